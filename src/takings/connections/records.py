"""Rows of the store and the values of this part: the translation in both directions, secrets sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from takings.connections.model import Connection, Credentials, Probe
from takings.errors import NotFound
from takings.store import Vault
from takings.store.schema import connections

_COLUMNS = tuple(connections.c[name] for name in Connection.__dataclass_fields__)


def select_connections() -> sa.Select[Any]:
    """Return the query for :func:`to_connection`, in order of name."""
    return sa.select(*_COLUMNS).order_by(sa.func.lower(connections.c.name))


def to_connection(row: sa.Row[Any]) -> Connection:
    """Turn a row into the value."""
    return Connection(**row._mapping)


def fetch(db: sa.Connection, connection_id: str) -> Connection:
    """Return one connection.

    Raises:
        NotFound: There is none with this id.
    """
    row = db.execute(select_connections().where(connections.c.id == connection_id)).first()
    if row is None:
        raise no_such(connection_id)
    return to_connection(row)


def no_such(connection_id: str) -> NotFound:
    """Return the error for an id that no connection has."""
    return NotFound(
        "connections.no_such",
        "This connection does not exist any more: go back to the list of connections.",
        connection=connection_id,
    )


def seal(vault: Vault, credentials: Credentials) -> bytes:
    """Encrypt credentials for the store."""
    expires = credentials.expires_at
    return vault.seal(
        {
            "way": credentials.way,
            "secret": credentials.secret,
            "refresh": credentials.refresh,
            "expires_at": None if expires is None else expires.isoformat(),
            "account": credentials.account,
            "context": credentials.context,
            "api_base": credentials.api_base,
        }
    )


def unseal(vault: Vault, sealed: bytes) -> Credentials:
    """Decrypt credentials from the store."""
    values = vault.unseal(sealed)
    expires = values.pop("expires_at", None)
    return Credentials(**values, expires_at=None if expires is None else datetime.fromisoformat(expires))


def dump_probe(probe: Probe | None) -> dict[str, Any]:
    """Turn a probe into JSON values; an empty object stands for none."""
    return {} if probe is None else dict(msgspec.to_builtins(probe))


def load_probe(values: dict[str, Any]) -> Probe | None:
    """Turn them back."""
    return msgspec.convert(values, Probe) if values else None
