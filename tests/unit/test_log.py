"""Logs: events with fields, and nothing that looks like a secret."""

import io
import json

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from takings import log

SECRETS = [
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
    "rk_test_51H8abcDEF",
    "rk_live_abcdef",
    "whsec_abcdef123456",
    "ac_abcdef123456",
    "rt_abcdef123456",
    "sk_org_live_abcdef123",
    "Bearer rk_live_abcdef",
    "pk_live_abcdefg",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_everything_with_the_form_of_a_secret_is_struck_out(secret: str) -> None:
    assert secret not in log.redact(f"key {secret}, and more")
    assert "and more" in log.redact(f"key {secret}, and more")


@given(st.text(alphabet="abcXYZ0189", min_size=6, max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_a_key_is_found_wherever_it_stands(tail: str, before: str, after: str) -> None:
    assert f"rk_live_{tail}" not in log.redact(f"{before} rk_live_{tail} {after}")


def test_an_oauth_code_in_an_address_is_struck_out() -> None:
    assert log.redact("https://x/back?code=abc123&state=s") == "https://x/back?code=[secret]&state=s"


@pytest.mark.parametrize("harmless", ["acct_1H8abc", "ch_3abcdef", "task_force_one", "/v1/charges?limit=100"])
def test_ids_and_paths_stay(harmless: str) -> None:
    assert log.redact(harmless) == harmless


@pytest.fixture
def _afterwards() -> object:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_afterwards")
def test_json_logs_are_one_object_a_line_with_fields_and_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    logger = log.get("sync", connection="c1")
    logger.info(
        "sync.page_loaded", resource="charges", rows=100, note="rk_live_abcdefgh", deep=[{"a": ("sk_live_abcdefg",)}]
    )
    logger.debug("sync.unseen")
    try:
        raise RuntimeError("with sk_test_abcdefgh inside")
    except RuntimeError:
        logger.exception("sync.failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first.items() >= {"event": "sync.page_loaded", "part": "sync", "connection": "c1", "rows": 100}.items()
    assert first["note"] == "[secret]"
    assert first["deep"] == [{"a": ["[secret]"]}]
    assert first["timestamp"].endswith("Z")
    assert "sk_test" not in json.dumps(second) and "RuntimeError" in second["exception"]


@pytest.mark.usefixtures("_afterwards")
def test_a_logger_made_before_logging_is_set_up_tells_no_secret_either(capsys: pytest.CaptureFixture[str]) -> None:
    early = log.get("web")
    log.configure("text", "info")
    secret = "rk_live_abcdefgh"
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        early.exception("web.failed", note=secret)
    said = capsys.readouterr().err
    assert "web.failed" in said and "RuntimeError: broken" in said
    assert secret not in said, "neither in a field nor among the variables of a traceback"


@pytest.mark.usefixtures("_afterwards")
def test_a_stream_that_was_replaced_is_no_longer_written_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = io.StringIO()
    with monkeypatch.context() as earlier:
        earlier.setattr("sys.stderr", closed)
        log.configure("json", "info")
    closed.close()
    log.get("sync").info("sync.later")
    assert "sync.later" in capsys.readouterr().err
