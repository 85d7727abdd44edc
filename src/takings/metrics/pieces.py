"""The lines of a model as SQL reads them: as they are or were known, and those that accrue cut where time is."""

from __future__ import annotations

from datetime import UTC, date, datetime

from takings.metrics.asking import Question
from takings.metrics.foreseeing import as_text
from takings.metrics.model import KNOWN_AT, LINE_COLUMNS, SPAN, Model
from takings.metrics.periods import Grain


def lines_of(model: Model, question: Question, grain: Grain | None = None, *, literal: bool = False) -> str:
    """Return the lines of a model as they are, or as they were known; those that accrue cut where the question cuts time."""
    lines = model.table
    span = SPAN if model.spread else ()
    if question.known is not None:
        names = ", ".join(f'"{name}"' for name in (*LINE_COLUMNS, *model.dimensions, *span, KNOWN_AT))
        known = as_text(question.known) if literal else "$known"
        lines = (
            f"(SELECT {names} FROM {model.table} WHERE {KNOWN_AT} <= {known} UNION ALL "
            f"SELECT {names} FROM {model.past} WHERE {KNOWN_AT} <= {known} AND until > {known})"
        )
    return _pieces(model, lines, question, grain) if model.spread else lines


def reaches_over(question: Question, grain: Grain | None) -> bool:
    """Tell whether lines that accrue to the end of their month may reach over an edge of a period that is asked for."""
    edges = (question.start, question.end)
    return grain in ("day", "week") or any(day is not None and day.day != 1 for day in edges)


def _pieces(model: Model, lines: str, question: Question, grain: Grain | None) -> str:
    """Return lines of which none that accrues reaches over the ends of the question's period, or over a day or week.

    Each piece has earned the whole minor units that had accrued by its end less those that had by its start, so pieces add
    up to their line.
    """
    if not reaches_over(question, grain):  # lines end with their month
        return lines
    if grain in ("day", "week"):
        at = "range((c.since_s // 86400 + 1) * 86400, c.until_s, 86400)"
    else:
        edges = [_seconds(day) for day in (question.start, question.end) if day is not None and day.day != 1]
        at = f"list_filter({sorted(edges)}, lambda s: s > c.since_s AND s < c.until_s)"
    keep = [
        name for name in (*LINE_COLUMNS, *model.dimensions, KNOWN_AT) if name not in ("at", "day", "day_utc", "amount")
    ]
    names = ", ".join(f"c.{name} AS {name}" for name in keep)
    accrued = "CAST(c.amount AS HUGEINT) * (c.{} - c.since_s) // (c.until_s - c.since_s)"
    day = "DATE '1970-01-01' + CAST((c.to_s - 1) // 86400 AS INTEGER)"
    return (
        f"(SELECT {names}, c.at AS at, c.day AS day, c.day_utc AS day_utc, c.amount AS amount FROM {lines} AS c "
        f"WHERE c.since_s IS NULL OR len({at}) = 0 UNION ALL "
        f"SELECT {names}, to_timestamp(c.to_s - 1) AS at, {day} AS day, {day} AS day_utc, "
        f"CAST({accrued.format('to_s')} - {accrued.format('from_s')} AS BIGINT) AS amount FROM ("
        f"SELECT c.*, unnest(list_concat([c.since_s], {at})) AS from_s, unnest(list_concat({at}, [c.until_s])) AS to_s "
        f"FROM {lines} AS c WHERE c.since_s IS NOT NULL AND len({at}) > 0) AS c)"
    )


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
