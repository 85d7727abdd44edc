"""Settings: the environment over the file, sentences that name what is wrong, secrets that never show."""

from dataclasses import fields
from pathlib import Path

import pytest

from takings.errors import Misconfigured
from takings.settings import Settings, is_loopback, load, variable


def at(home: Path, **environ: str) -> Settings:
    return load({"TAKINGS_HOME": str(home), **environ})


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = at(tmp_path)
    assert (settings.host, settings.port, settings.warehouse) == ("127.0.0.1", 8420, "ducklake")
    assert settings.stripe_api_base == "https://api.stripe.com"
    assert settings.store_address == f"sqlite:///{tmp_path / 'takings.db'}"
    assert settings.public_url == "http://127.0.0.1:8420"


def test_reading_settings_makes_nothing(tmp_path: Path) -> None:
    at(tmp_path / "not yet")
    assert not (tmp_path / "not yet").exists()


def test_the_environment_wins_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('port = 1000\nhost = "10.0.0.1"\nheadroom = 0.5\n')
    assert at(tmp_path).port == 1000
    settings = at(tmp_path, TAKINGS_PORT="2000")
    assert (settings.port, settings.host, settings.headroom) == (2000, "10.0.0.1", 0.5)
    assert load({"TAKINGS_HOME": str(tmp_path), "TAKINGS_PORT": "2000"}, port=3000, host=None).port == 3000


def test_the_file_can_stand_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.toml"
    with pytest.raises(Misconfigured, match="does not exist"):
        at(tmp_path, TAKINGS_SETTINGS=str(file))
    file.write_text("port = 77")
    assert at(tmp_path, TAKINGS_SETTINGS=str(file)).port == 77


@pytest.mark.parametrize(
    ("content", "said"), [("prot = 1", "“prot”, which is no setting"), ("port = [", "cannot be read")]
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "settings.toml").write_text(content)
    with pytest.raises(Misconfigured, match=said):
        at(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TAKINGS_PORT", "eighty", "TAKINGS_PORT is 'eighty'; it must be a whole number"),
        ("TAKINGS_PORT", "70000", "TAKINGS_PORT is '70000'; it must be between 0 and 65535"),
        ("TAKINGS_BATCH_ROWS", "0", "TAKINGS_BATCH_ROWS is '0'; it must be between 1 and 100000"),
        ("TAKINGS_SYNC_EVERY_SECONDS", "1", "it must be at least 10"),
        ("TAKINGS_HEADROOM", "lots", "it must be a number"),
        ("TAKINGS_WAREHOUSE", "excel", "allowed are ducklake, duckdb"),
        ("TAKINGS_STRIPE_API_BASE", "http://stripe.example", "must begin with https://"),
        ("TAKINGS_STRIPE_API_BASE", "api.stripe.com", "must begin with https://"),
    ],
)
def test_a_wrong_value_names_variable_value_and_what_is_allowed(
    tmp_path: Path, name: str, value: str, said: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        at(tmp_path, **{name: value})
    assert said in caught.value.sentence


def test_plain_http_only_to_this_machine(tmp_path: Path) -> None:
    assert at(tmp_path, TAKINGS_STRIPE_API_BASE="http://127.0.0.1:99/").stripe_api_base == "http://127.0.0.1:99"
    assert is_loopback("http://[::1]:5") and is_loopback("http://localhost")
    assert not is_loopback("http://127.0.0.1.example.com")


def test_an_empty_variable_means_the_default(tmp_path: Path) -> None:
    assert at(tmp_path, TAKINGS_PORT="").port == 8420


def test_secrets_come_from_a_file_and_never_show(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("sk_live_abcdefgh\n")
    settings = at(tmp_path, TAKINGS_STRIPE_APP_SECRET_FILE=str(file))
    assert settings.stripe_app_secret == "sk_live_abcdefgh"
    assert "sk_live" not in repr(settings)
    with pytest.raises(Misconfigured, match="TAKINGS_STRIPE_APP_SECRET_FILE names"):
        at(tmp_path, TAKINGS_STRIPE_APP_SECRET_FILE=str(tmp_path / "none"))


def test_every_field_with_a_secret_is_kept_out_of_repr() -> None:
    for field in fields(Settings):
        assert bool(field.metadata.get("secret")) != field.repr, field.name


def test_every_setting_says_what_it_means() -> None:
    for field in fields(Settings):
        meaning = field.metadata["meaning"]
        assert meaning.endswith("."), f"{variable(field.name)}: {meaning!r} is no sentence."
