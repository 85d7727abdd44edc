"""Tables and their rows for programs."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from takings.app import App
from takings.errors import Invalid
from takings.reports import Key, Tables, TableSummary


def of(app: App) -> Tables:
    """Return the tables of the warehouse."""
    return Tables(app.warehouse, app.catalog, app.store)


def described(table: TableSummary) -> dict[str, Any]:
    """Return how full and how fresh a table is, as plain values."""
    return {
        "table": table.name,
        "rows": table.rows or 0,
        "columns": table.columns,
        "state": table.state,
        "complete_as_of": table.complete_as_of,
        "reason": table.reason,
    }


def cursor_of(key: Key | None) -> str | None:
    """Return a key as a text that a program gives back to go on; None: there is nothing to go on with."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def key_of(cursor: str | None) -> Key | None:
    """Read what :func:`cursor_of` wrote.

    Raises:
        Invalid: It did not write this.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return Key(*msgspec.json.decode(raw, type=tuple[str, str, bool]))
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        said = "This is no place to go on from: take the “next” of the page before, as it is."
        raise Invalid("answers.no_cursor", said) from error
