"""Paging as Stripe's: newest first, cursors both ways, and new objects merged in where they belong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from takings.simulator.dice import I64, Flags
from takings.simulator.filters import Choice
from takings.simulator.objects.base import Object
from takings.simulator.tables import Table

_FIRST_CHUNK = 512


@dataclass(frozen=True, slots=True)
class Bounds:
    """A range of ``created``: Unix seconds, both ends inclusive; None for open."""

    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: at a row or a new object, going to older ones or newer ones."""

    key: tuple[int, int, int]
    newer: bool


#: A place in a list: a row, or the id of a new object.
Place = int | str


def key_of_row(table: Table, row: int) -> tuple[int, int, int]:
    """Return what a row is ordered by."""
    return int(table.created[row]), 0, row


def page(
    choice: Choice,
    bounds: Bounds,
    cursor: Cursor | None,
    limit: int,
    matching: dict[int, bool],
    extras: list[tuple[int, int, str]],
) -> tuple[list[Place], bool]:
    """Return the places of one page, newest first, and whether more follow in the direction read.

    Args:
        choice: What the query keeps.
        bounds: Of ``created``.
        cursor: Where the page begins; None for the newest.
        matching: For changed rows, whether they still match.
        extras: New objects that match, as (created, sequence, id), ascending.
    """
    table = choice.company.tables[choice.table]
    newer = cursor is not None and cursor.newer
    low = 0 if bounds.since is None else int(np.searchsorted(table.created, bounds.since, "left"))
    high = len(table) if bounds.until is None else int(np.searchsorted(table.created, bounds.until, "right"))
    if cursor is not None:
        created, kind, place = cursor.key
        # New objects come after (are newer than) the rows of their second.
        edge = int(np.searchsorted(table.created, created, "right"))
        if newer:
            low = max(low, place + 1 if kind == 0 else edge)
        else:
            high = min(high, place if kind == 0 else edge)
    rows = _scan(choice, table, low, high, limit + 1, newer, matching)
    if not extras:
        more = len(rows) > limit
        rows = rows[:limit]
        return (rows[::-1] if newer else rows), more
    keyed: list[tuple[tuple[int, int, int], Place]] = [
        (key_of_row(table, row), row) for row in rows if isinstance(row, int)
    ]
    for created, sequence, id in extras:
        key = (created, 1, sequence)
        if (bounds.since is not None and created < bounds.since) or (
            bounds.until is not None and created > bounds.until
        ):
            continue
        if cursor is not None and (key <= cursor.key if newer else key >= cursor.key):
            continue
        keyed.append((key, id))
    keyed.sort(reverse=not newer, key=lambda each: each[0])
    places = [place for _, place in keyed[:limit]]
    return (places[::-1] if newer else places), len(keyed) > limit


def _scan(
    choice: Choice, table: Table, low: int, high: int, count: int, newer: bool, matching: dict[int, bool]
) -> list[Place]:
    """Return up to ``count`` matching rows between two bounds, from the newest down or from the oldest up."""
    if choice.rows is not None:
        rows = choice.rows[np.searchsorted(choice.rows, low) : np.searchsorted(choice.rows, high)]
        changed = [row for row, fits in matching.items() if fits and low <= row < high]
        if changed:
            rows = np.union1d(rows, np.array(changed, np.int64))
        rows = rows[_passes(choice, table, rows, matching)]
        rows = rows[:count] if newer else rows[::-1][:count]
        found: list[Place] = rows.tolist()
        return found
    out: list[Place] = []
    size = _FIRST_CHUNK
    while low < high and len(out) < count:
        if newer:
            rows = np.arange(low, min(high, low + size))
            low += size
        else:
            rows = np.arange(high - 1, max(low, high - size) - 1, -1)
            high -= size
        size = min(size * 2, 1 << 17)
        kept = rows[_passes(choice, table, rows, matching)]
        out.extend(kept[: count - len(out)].tolist())
    return out


def _passes(choice: Choice, table: Table, rows: I64, matching: dict[int, bool]) -> Flags:
    passes = np.ones(len(rows), np.bool_)
    for mask in choice.masks:
        passes &= mask(rows)
    if matching:
        changed = np.isin(rows, np.fromiter(matching, np.int64, len(matching)))
        for position in np.flatnonzero(changed).tolist():
            passes[position] = matching[int(rows[position])]
    if table.hidden is not None:
        passes &= ~table.hidden[rows]
    if table.deleted is not None:
        passes &= ~table.deleted[rows]
    overlay = choice.overlays.get(choice.table)
    if overlay is not None and overlay.deleted_rows:
        passes &= ~np.isin(rows, np.fromiter(overlay.deleted_rows, np.int64, len(overlay.deleted_rows)))
    return passes


def all_pass(choice: Choice, thing: Object) -> bool:
    """Whether an object that is no row (any more) passes every test of a query."""
    return all(test(thing) for test in choice.tests)
