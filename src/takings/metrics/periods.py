"""Parts of time: days, weeks, months, quarters and years, and what lies between two days."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, Literal

Grain = Literal["day", "week", "month", "quarter", "year"]

GRAINS: Final[tuple[Grain, ...]] = ("day", "week", "month", "quarter", "year")


def period_of(day: date, grain: Grain) -> date:
    """Return the first day of the part of time that a day is in; weeks begin on Monday."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if grain == "year" else day


def periods(start: date, end: date, grain: Grain) -> Iterator[date]:
    """Give the first day of every part of time from one day to another, which is not included."""
    at = period_of(start, grain)
    while at < end:
        yield at
        step = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[grain]
        at = period_of(at + timedelta(days=step), grain)


def months_before(day: date, months: int) -> date:
    """Return the same day so many months before, or the last of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def length_of(start: date | None, end: date | None) -> int | None:
    """Return how many days lie between two days; None where one of them is open."""
    return None if start is None or end is None else (end - start).days


def lengths_of(firsts: list[date], start: date, end: date) -> dict[date | None, int | None]:
    """Return how many days each part of the time between two days has; the first and the last may be cut short."""
    bounds = [start, *firsts[1:], end]
    return {first: length_of(bounds[at], bounds[at + 1]) for at, first in enumerate(firsts)}


def grain_of(by: str | None) -> Grain | None:
    """Return the part of time that something is called after; None where it is none."""
    return next((grain for grain in GRAINS if grain == by), None)


def label_of(period: date | None, grain: Grain) -> str | None:
    """Name a part of time by its first day, such as ``2026-Q3``."""
    if period is None:
        return None
    if grain == "quarter":
        return f"{period:%Y}-Q{(period.month + 2) // 3}"
    return period.strftime({"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[grain])
