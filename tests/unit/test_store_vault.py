"""The vault: who has the key reads, who has not is told what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from takings.errors import Misconfigured
from takings.settings import Settings
from takings.store import Store, Vault, schema, vault

SECRET = {"secret": "rk_live_51AbCdEf", "n": 1, "none": None, "list": ["é"]}


def made(home: Path, **more: str) -> Settings:
    return Settings(home=home, **more)  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers(-(2**53), 2**53) | st.booleans()))
def test_what_is_sealed_comes_back(secret: dict[str, object]) -> None:
    box = Vault([Fernet.generate_key().decode()])
    assert box.unseal(box.seal(secret)) == secret


def test_the_key_file_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = made(tmp_path / "home")
    sealed = Vault.open(settings).seal(SECRET)
    file = vault.key_file(settings)
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"rk_live" not in sealed
    file.chmod(0o644)
    assert Vault.open(settings).unseal(sealed) == SECRET
    assert file.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in settings.home.iterdir()] == ["secret.key"]


def test_keys_in_the_settings_win_and_the_newest_seals(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    sealed = Vault.open(made(tmp_path, secret_key=old)).seal(SECRET)
    both = Vault.open(made(tmp_path, secret_key=f" {new} , {old}"))
    assert both.unseal(sealed) == SECRET
    only_new = Vault.open(made(tmp_path, secret_key=new))
    assert only_new.unseal(both.seal(SECRET)) == SECRET
    assert only_new.unseal(both.renew(sealed)) == SECRET
    with pytest.raises(Misconfigured) as told:
        only_new.unseal(sealed)
    assert told.value.code == "vault.key"
    assert not (tmp_path / "secret.key").exists()


@pytest.mark.parametrize(
    "key", ["correct horse battery staple", "AAAA", "ключ", Fernet.generate_key().decode() + ",x"], ids=range(4)
)
def test_a_passphrase_is_no_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(Misconfigured) as told:
        Vault.open(made(tmp_path, secret_key=key))
    assert told.value.code == "vault.malformed"
    assert key not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense\n", b"\xff\xfe"])
def test_a_spoilt_key_file_is_told_of_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(Misconfigured):
        Vault.open(made(tmp_path))
    assert (tmp_path / "secret.key").read_bytes() == content


@pytest.mark.parametrize("sealed", [b"", b"x", b"gAAAAAB", Fernet(Fernet.generate_key()).encrypt(b"{}")], ids=range(4))
def test_what_no_key_opens_is_a_matter_of_keys(tmp_path: Path, sealed: bytes) -> None:
    with pytest.raises(Misconfigured) as told:
        Vault.open(made(tmp_path)).unseal(sealed)
    assert told.value.code == "vault.key"


def test_rotation_seals_everything_anew_and_running_processes_follow(tmp_path: Path) -> None:
    settings = made(tmp_path)
    store = Store.open(settings)
    running, sealing = Vault.open(settings), Vault.open(settings)
    before = running.seal(SECRET)
    with store.write() as connection:
        connection.execute(
            sa.insert(schema.pending_connections).values(
                id="p1", way="key", source="stripe", credentials=before, probe={}, created_at=datetime.now(UTC)
            )
        )
    old_key = vault.key_file(settings).read_text()

    assert vault.rotate(settings, store) == 1

    with store.read() as connection:
        after = connection.execute(sa.select(schema.pending_connections.c.credentials)).scalar_one()
    assert after != before
    assert old_key.strip() not in vault.key_file(settings).read_text()
    assert vault.key_file(settings).stat().st_mode & 0o777 == 0o600
    assert running.unseal(after) == SECRET
    assert Vault.open(settings).unseal(sealing.seal(SECRET)) == SECRET
    store.close()


def test_a_rotation_that_cannot_open_everything_changes_nothing(tmp_path: Path) -> None:
    settings = made(tmp_path)
    store = Store.open(settings)
    stranger = Vault([Fernet.generate_key().decode()])
    mine = Vault.open(settings).seal(SECRET)
    with store.write() as connection:
        for key, sealed in (("p1", mine), ("p2", stranger.seal(SECRET))):
            connection.execute(
                sa.insert(schema.pending_connections).values(
                    id=key, way="key", source="stripe", credentials=sealed, probe={}, created_at=datetime.now(UTC)
                )
            )
    with pytest.raises(Misconfigured):
        vault.rotate(settings, store)
    with store.read() as connection:
        kept = connection.execute(
            sa.select(schema.pending_connections.c.credentials).where(schema.pending_connections.c.id == "p1")
        ).scalar_one()
    assert Vault.open(settings).unseal(kept) == SECRET
    store.close()
