"""Finds typed rows that do not stand as they should, and says what is wrong with each: without Stripe, from what came from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from takings.clock import to_unix
from takings.sync.findings import Kind
from takings.warehouse import Scope, integrity
from takings.warehouse.engine import Session
from takings.warehouse.integrity import Span
from takings.warehouse.model import content_hash
from takings.warehouse.tables import Table

_BATCH: Final = 2_000
_COMPARED: Final = frozenset(("VARCHAR", "BIGINT", "BOOLEAN", "TIMESTAMP WITH TIME ZONE"))


def unsound(
    session: Session, table: Table, scope: Scope, spans: Sequence[Span], *, whole: bool
) -> tuple[int, dict[Kind, set[str]]]:
    """Return how many rows of a table were checked, and the ids of those that do not stand as they should, by kind.

    Args:
        session: Where they are asked for.
        table: Which.
        scope: Whose.
        spans: Which rows.
        whole: All rows are meant: then also those are looked for that are here twice, or not at all.
    """
    found: dict[Kind, set[str]] = {"altered": set(), "duplicate": set(), "missing": set()}
    asked = {"account": scope.account, "livemode": scope.livemode, "table": table.resource.table}
    rows = 0
    if whole:
        for kind, identifier in session.execute(integrity.unsound(table), asked).fetchall():
            found[kind].add(identifier)
    else:
        altered = session.execute(integrity.altered(table, spans), asked).fetchall()
        found["altered"].update(row[0] for row in altered)
    session.execute(integrity.payloads(table, spans), asked)
    while batch := session.fetchmany(_BATCH):
        rows += len(batch)
        found["altered"].update(row[0] for row in batch if content_hash(row[2].encode()) != row[1])
    return rows, found


@dataclass(frozen=True, slots=True)
class Altered:
    """A typed row that is not what Stripe's payload says.

    Attributes:
        row: Its columns as they are here.
        fields: What differs: column, in the payload, here.
    """

    row: Mapping[str, Any]
    fields: tuple[tuple[str, Any, Any], ...]


def altered(session: Session, table: Table, scope: Scope, ids: Sequence[str]) -> dict[str, Altered]:
    """Return rows side by side with the newest payload that came of each, by id."""
    asked = {
        "account": scope.account,
        "livemode": scope.livemode,
        "table": table.resource.table,
        "ids": list(ids),
    }
    names = [name for name, _ in table.columns if not name.startswith("_")]
    types = dict(table.columns)
    found: dict[str, Altered] = {}
    for row in session.execute(integrity.beside(table), asked).fetchall():
        here = dict(zip(names, row, strict=False))
        said = payload(row[-1])
        fields = tuple(
            (name, said[name], here[name])
            for name in names
            if types[name] in _COMPARED and name in said and not _same(said[name], here[name])
        )
        found[here["id"]] = Altered(here, fields)
    return found


def payload(raw: str | None) -> dict[str, Any]:
    """Return an object as Stripe sent it; empty where it cannot be read."""
    try:
        found = msgspec.json.decode(raw or "{}")
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _same(said: Any, here: Any) -> bool:
    if isinstance(here, datetime):
        return isinstance(said, int) and said == to_unix(here)
    if isinstance(said, dict):  # an object where an id is kept
        said = said.get("id")
    return bool(said == here)
