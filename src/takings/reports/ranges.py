"""Ranges of calendar days, the grains they are cut into, and what they are compared with. Pure: knows no data."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from takings.clock import Period

Preset = Literal[
    "7d", "30d", "90d", "month", "last_month", "quarter", "last_quarter", "year", "last_year", "12m", "all", "custom"
]
Grain = Literal["day", "week", "month"]
Compare = Literal["previous", "year", "none"]

PRESETS: Final[tuple[Preset, ...]] = get_args(Preset)
GRAINS: Final[tuple[Grain, ...]] = get_args(Grain)
COMPARES: Final[tuple[Compare, ...]] = get_args(Compare)

#: The most points that one chart shows; a finer grain is made coarser.
MOST_POINTS: Final = 1100


@dataclass(frozen=True, slots=True, order=True)
class Days:
    """A stretch of calendar days as a person says it: the first and the last are both in it.

    Raises:
        ValueError: The last day lies before the first.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("A range of days cannot end before it starts.")

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def period(self, zone: str) -> Period:
        """Return the half-open period from the first midnight to the midnight after the last day.

        Args:
            zone: IANA name of the zone whose midnights count.
        """
        return Period(midnight(self.first, zone), midnight(self.last + timedelta(days=1), zone))


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """One step of a grain, cut to the range it belongs to.

    Attributes:
        days: The days of the range that lie in it.
        whole: False where the range's edge cuts the week or month, so that it holds less than its neighbours.
    """

    days: Days
    whole: bool


def midnight(day: date, zone: str) -> datetime:
    """Return the moment at which a day begins in a zone (the first existing one where the clocks jump over midnight)."""
    return datetime.combine(day, time.min, ZoneInfo(zone))


def month_end(day: date) -> date:
    """Return the last day of a day's month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def add_months(day: date, months: int) -> date:
    """Return the same day some months later (or earlier), or that month's last day where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def quarter_start(day: date) -> date:
    """Return the first day of a day's calendar quarter."""
    return date(day.year, day.month - (day.month - 1) % 3, 1)


def preset_days(preset: Preset, today: date, earliest: date | None = None) -> Days:
    """Return the days a preset means today. Running ones end today: the rest of the month has not happened yet.

    Args:
        preset: Any but ``custom``.
        today: The present day in the reporting zone.
        earliest: First day with data, for ``all``; ``None`` where there is none yet.

    Raises:
        ValueError: ``custom`` has no days of its own.
    """
    month = today.replace(day=1)
    quarter = quarter_start(today)
    match preset:
        case "7d" | "30d" | "90d":
            return Days(today - timedelta(days=int(preset[:-1]) - 1), today)
        case "month":
            return Days(month, today)
        case "last_month":
            return Days(add_months(month, -1), month - timedelta(days=1))
        case "quarter":
            return Days(quarter, today)
        case "last_quarter":
            return Days(add_months(quarter, -3), quarter - timedelta(days=1))
        case "year":
            return Days(date(today.year, 1, 1), today)
        case "last_year":
            return Days(date(today.year - 1, 1, 1), date(today.year - 1, 12, 31))
        case "12m":
            return Days(add_months(month, -11), today)
        case "all":
            return Days(min(earliest or today, today), today)
        case "custom":
            raise ValueError("A custom range has no days of its own.")


_CALENDAR_MONTHS: Final[dict[str, int]] = {
    "month": 1,
    "last_month": 1,
    "quarter": 3,
    "last_quarter": 3,
    "year": 12,
    "last_year": 12,
    "12m": 12,
}


def compared(days: Days, preset: Preset, how: Compare) -> Days | None:
    """Return the days that a range is compared with.

    ``year`` is the same days a year before. ``previous`` is the stretch before it: for months, quarters and years the
    same part of the one before (1–15 November with 1–15 October), whole for whole, also where somebody has chosen whole months by
    their days; otherwise as many days, immediately before.

    Returns:
        ``None`` where there is nothing to compare with: ``none``, or the preset ``all``.
    """
    if how == "none" or preset == "all":
        return None
    if how == "year":
        return _months_back(days, 12)
    months = _CALENDAR_MONTHS.get(preset)
    if preset == "custom" and days.first.day == 1 and days.last == month_end(days.last):
        months = (days.last.year - days.first.year) * 12 + days.last.month - days.first.month + 1
    if months is not None:
        return _months_back(days, months)
    return Days(days.first - timedelta(days=len(days)), days.first - timedelta(days=1))


def _months_back(days: Days, months: int) -> Days:
    last = add_months(days.last, -months)
    if days.first.day == 1 and days.last == month_end(days.last):
        last = month_end(last)
    return Days(add_months(days.first, -months), last)


def default_grain(days: Days) -> Grain:
    """Choose the grain that shows a range best: days up to three months, weeks up to a year, then months."""
    if len(days) <= 92:
        return "day"
    return "week" if len(days) <= 200 else "month"


def fitting_grain(days: Days, wanted: Grain | None) -> Grain:
    """Return the wanted grain, or the next coarser one under which a chart keeps to :data:`MOST_POINTS`."""
    if wanted is None:
        return default_grain(days)
    lengths: dict[Grain, int] = {"day": 1, "week": 7, "month": 30}
    for grain in GRAINS[GRAINS.index(wanted) :]:
        if len(days) / lengths[grain] <= MOST_POINTS:
            return grain
    return "month"


def bucket_start(day: date, grain: Grain) -> date:
    """Return the first day of the day, ISO week (Monday) or month that a day lies in."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if grain == "month" else day


def bucket_end(day: date, grain: Grain) -> date:
    """Return the last day of the day, ISO week (Sunday) or month that a day lies in."""
    if grain == "week":
        return day + timedelta(days=6 - day.weekday())
    return month_end(day) if grain == "month" else day


def buckets(days: Days, grain: Grain) -> tuple[Bucket, ...]:
    """Cut a range into its days, ISO weeks or months, in order, without gap or overlap."""
    found: list[Bucket] = []
    first = days.first
    while first <= days.last:
        end = bucket_end(first, grain)
        last = min(end, days.last)
        found.append(Bucket(Days(first, last), whole=first == bucket_start(first, grain) and last == end))
        first = last + timedelta(days=1)
    return tuple(found)
