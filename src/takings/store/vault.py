"""Secrets at rest: sealed with a key that lives outside the database, and renewed when the key is."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from takings.errors import Misconfigured
from takings.settings import Settings
from takings.store import schema
from takings.store.engine import Store

SEALED: Final = (
    (schema.connections, schema.connections.c.credentials),
    (schema.connections, schema.connections.c.webhook_secrets),
    (schema.pending_connections, schema.pending_connections.c.credentials),
    (schema.channels, schema.channels.c.settings),
)
"""Every table with its sealed column: what a rotation goes through."""

_HOW = "Make one with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'."


class Vault:
    """Seals and opens small dictionaries of secrets.

    Args:
        keys: Fernet keys, newest first: the first seals, all open.
        file: The key file they came from, read again when another process has changed it; None where they come from
            the settings.
    """

    def __init__(self, keys: list[str], file: Path | None = None) -> None:
        self._file = file
        self._stamp = _stamp(file)
        self._fernet = _fernet(keys, str(file or "TAKINGS_SECRET_KEY"))

    @classmethod
    def open(cls, settings: Settings) -> Vault:
        """Take the keys from the settings, else from ``secret.key`` in the data folder, made at first use (mode 600).

        Raises:
            Misconfigured: A key is no Fernet key, or the file can neither be read nor made.
        """
        if settings.secret_key:
            return cls(_split(settings.secret_key))
        file = key_file(settings)
        try:
            settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                _create(file, Fernet.generate_key().decode())
            elif file.stat().st_mode & 0o077:
                file.chmod(0o600)
            return cls(_split(file.read_text("ascii")), file)
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(
                "vault.file",
                f"The key file {file} cannot be read or made: give this user the right to it, or set TAKINGS_SECRET_KEY.",
                path=str(file),
            ) from error

    def seal(self, secret: dict[str, Any]) -> bytes:
        """Encrypt a dictionary of JSON values."""
        self._refresh()
        return self._fernet.encrypt(msgspec.json.encode(secret))

    def unseal(self, sealed: bytes) -> dict[str, Any]:
        """Decrypt what :meth:`seal` gave.

        Raises:
            Misconfigured: No key at hand opens it.
        """
        return msgspec.json.decode(self._opened(bytes(sealed)), type=dict[str, Any])

    def renew(self, sealed: bytes) -> bytes:
        """Seal again with the newest key.

        Raises:
            Misconfigured: No key at hand opens it.
        """
        self._opened(bytes(sealed))
        return self._fernet.rotate(bytes(sealed))

    def _opened(self, sealed: bytes) -> bytes:
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            pass
        if self._refresh():
            try:
                return self._fernet.decrypt(sealed)
            except InvalidToken:
                pass
        where = str(self._file) if self._file else "TAKINGS_SECRET_KEY"
        raise Misconfigured(
            "vault.key",
            f"The stored credentials were encrypted with another key: put the former key back in {where}, "
            "or connect the account again.",
            path=where,
        )

    def _refresh(self) -> bool:
        """Read the key file again when it is not the one read before; tell whether it was."""
        stamp = _stamp(self._file)
        if self._file is None or stamp == self._stamp or stamp is None:
            return False
        self._fernet = _fernet(_split(self._file.read_text("ascii")), str(self._file))
        self._stamp = stamp
        return True


def key_file(settings: Settings) -> Path:
    """Return where the key lives when the settings do not name one."""
    return settings.home / "secret.key"


def rotate(settings: Settings, store: Store) -> int:
    """Put a new key in place of the present ones and seal everything with it. Safe to stop at any moment.

    With ``TAKINGS_SECRET_KEY`` the new key is the first of the setting's, put there by its owner; the others may be
    taken out afterwards.

    Returns:
        How many secrets were sealed again.

    Raises:
        Misconfigured: A stored secret opens with no key at hand; nothing was changed then.
    """
    vault = Vault.open(settings)
    file = None if settings.secret_key else key_file(settings)
    if file is not None:
        new = Fernet.generate_key().decode()
        _replace(file, [new, *_split(file.read_text("ascii"))])
        vault = Vault.open(settings)
    done = 0
    with store.write(durable=True) as connection:
        for table, column in SEALED:
            for key, sealed in connection.execute(sa.select(table.c.id, column).where(column.is_not(None))).all():
                connection.execute(sa.update(table).where(table.c.id == key).values({column.name: vault.renew(sealed)}))
                done += 1
    if file is not None:
        _replace(file, [new])
    return done


def _split(text: str) -> list[str]:
    return [key.strip() for key in text.replace("\n", ",").split(",") if key.strip()]


def _fernet(keys: list[str], where: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise Misconfigured(
            "vault.malformed", f"{where} must hold Fernet keys (32 bytes in base64), newest first. {_HOW}", where=where
        ) from error


def _stamp(file: Path | None) -> tuple[int, int] | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino) if found else None


def _create(file: Path, key: str) -> None:
    """Write the key to a file that is either whole or not there; a file made meanwhile by another process stays."""
    fresh = _written(file, [key])
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _replace(file: Path, keys: list[str]) -> None:
    _written(file, keys).replace(file)


def _written(file: Path, keys: list[str]) -> Path:
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write("\n".join(keys) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return fresh
