"""Several questions to the same lines put as one: for an answer of a few rows, most of the time goes into planning the statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

_COLUMN: Final = re.compile(r"\bl\.([a-z_0-9]+)")
_NAME: Final = re.compile(r"\$([a-z_][a-z_0-9]*)")
_EITHER_WAY: Final = timedelta(days=2)
"""So much earlier or later may a day of one zone lie than that of another."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A question that waits for others.

    Attributes:
        table: What it reads, as ``l``.
        sql: Its statement.
        values: What the statement is bound to.
        kept: Of the sums by day: model and dimension; None where lines are read.
        since: No line of an earlier day counts; None: each may.
        until: Neither does one of this day or later.
    """

    table: str
    sql: str
    values: Mapping[str, Any]
    kept: tuple[str, str] | None
    since: date | None
    until: date | None


def at_once(table: str, noted: Sequence[Noted]) -> str:
    """Return one statement that answers all questions to a table, which is read once.

    Returns:
        SQL without parameters. Its rows begin with the place of the question that they answer.
    """
    columns = sorted({name for one in noted for name in _COLUMN.findall(one.sql)})
    conditions = [f"l.livemode IN ({_texts(noted, lambda one: one.values['livemode'])})"]
    if all("currency" in one.values for one in noted):
        conditions.append(f"l.currency IN ({_texts(noted, lambda one: one.values['currency'])})")
    if all(one.kept for one in noted):
        conditions.append(f"l.model IN ({_texts(noted, lambda one: one.kept and one.kept[0])})")
        conditions.append(f"l.cut IN ({_texts(noted, lambda one: one.kept and one.kept[1])})")
    firsts, ends = [one.since for one in noted if one.since], [one.until for one in noted if one.until]
    if len(firsts) == len(noted):
        conditions.append(f"l.day >= {as_text(min(firsts) - _EITHER_WAY)}")
    if len(ends) == len(noted):
        conditions.append(f"l.day < {as_text(max(ends) + _EITHER_WAY)}")
    read = ", ".join(f"l.{name} AS {name}" for name in columns)
    arms = (
        f"SELECT {place} AS place, q.* FROM ({bound(one.sql, one.values).replace(f'FROM {table} AS l', 'FROM together AS l')}) AS q"
        for place, one in enumerate(noted)
    )
    return (
        f"WITH together AS MATERIALIZED (SELECT {read} FROM {table} AS l WHERE {' AND '.join(conditions)}) "
        + " UNION ALL ".join(arms)
    )


def bound(sql: str, values: Mapping[str, Any]) -> str:
    """Return SQL with its values written into it; what looks like a name within a value is left alone."""
    return _NAME.sub(lambda found: as_text(values[found[1]]), sql)


def as_text(value: object) -> str:
    """Return a value as SQL has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, tuple):
        return f"[{', '.join(as_text(one) for one in value)}]" if value else "CAST([] AS VARCHAR[])"
    return "'" + str(value).replace("'", "''") + "'"


def _texts(noted: Sequence[Noted], of: Callable[[Noted], object]) -> str:
    return ", ".join(sorted({as_text(of(one)) for one in noted}))
