"""The answer to a question: sums of contributions by step, and the figures they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from takings.reports.figures import FIGURES, Figure
from takings.reports.question import Question
from takings.reports.ranges import Bucket


@dataclass(frozen=True, slots=True)
class Sum:
    """How many contributions, and what they add up to in minor units."""

    lines: int = 0
    amount: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.lines + other.lines, self.amount + other.amount)


Sums = Mapping[str, Sum]


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a chart: the sums of each part in one bucket."""

    bucket: Bucket
    sums: Sums

    def value(self, figure: Figure) -> int | float | None:
        """Return a figure's value in this step: minor units, a count, or a ratio (``None`` where it has no base)."""
        return evaluate(figure, self.sums)


@dataclass(frozen=True, slots=True)
class Detail:
    """The contributions of one part that share a detail, such as a decline reason."""

    part: str
    detail: str
    sum: Sum


@dataclass(frozen=True, slots=True)
class Value:
    """A figure over the whole range, and how it compares.

    Attributes:
        figure: Its key in :data:`takings.reports.figures.FIGURES`.
        value: Minor units, a count, or a ratio from 0 to 1; ``None`` for a ratio without a base.
        lines: The contributions behind it.
        previous: The same over the days compared with; ``None`` without comparison, or where it has no base.
        change: Relative change of its size (0.5 = half as much again); for a ratio the difference in points (0.01 = one
            point). ``None`` where there is nothing to compare with, or it was 0.
        good: Whether the change is good news; ``None`` where it is neither, or there is no change.
    """

    figure: str
    value: int | float | None
    lines: int
    previous: int | float | None = None
    change: float | None = None
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the data says to a question.

    Attributes:
        points: One for each bucket, in order, also where nothing happened.
        previous: The same for the days compared with; empty without comparison. The nth belongs to the nth point.
        details: Sums by part and detail over the whole range, the most lines first.
        sums: Sums by part over the whole range.
        sums_before: The same over the days compared with.
        snapshot: The state of the warehouse it was read from.
        known_at: When it was read.
    """

    question: Question
    points: tuple[Point, ...]
    previous: tuple[Point, ...]
    details: tuple[Detail, ...]
    sums: Sums
    sums_before: Sums
    snapshot: int
    known_at: datetime

    def total(self, key: str) -> Value:
        """Return a figure over the whole range, compared."""
        figure = FIGURES[key]
        value = evaluate(figure, self.sums)
        previous = evaluate(figure, self.sums_before) if self.previous else None
        change = _change(figure, value, previous)
        return Value(
            key,
            value,
            sum(self.sums.get(part, Sum()).lines for part in figure.of or figure.parts),
            previous,
            change,
            _good(figure, change),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at one moment, by part: open invoices by age.

    Attributes:
        oldest: The earliest date of each part.
    """

    question: Question
    sums: Sums
    oldest: Mapping[str, datetime]
    snapshot: int
    known_at: datetime

    def total(self, key: str) -> Value:
        """Return a figure as it stands."""
        figure = FIGURES[key]
        lines = sum(self.sums.get(part, Sum()).lines for part in figure.parts)
        return Value(key, evaluate(figure, self.sums), lines)

    def oldest_of(self, key: str) -> datetime | None:
        """Return the earliest date behind a figure, ``None`` where nothing is."""
        return min((self.oldest[part] for part in FIGURES[key].parts if part in self.oldest), default=None)


def total_of(points: Iterable[Point]) -> dict[str, Sum]:
    """Add up the sums of points, part by part."""
    found: dict[str, Sum] = {}
    for point in points:
        for part, amount in point.sums.items():
            found[part] = found.get(part, Sum()) + amount
    return found


def evaluate(figure: Figure, sums: Sums) -> int | float | None:
    """Return a figure's value from sums by part."""
    if figure.unit == "money":
        return sum(sums.get(part, Sum()).amount for part in figure.parts)
    lines = sum(sums.get(part, Sum()).lines for part in figure.parts)
    if figure.unit == "count":
        return lines
    base = sum(sums.get(part, Sum()).lines for part in figure.of)
    return lines / base if base else None


def _change(figure: Figure, value: int | float | None, previous: int | float | None) -> float | None:
    if value is None or previous is None:
        return None
    if figure.unit == "ratio":
        return value - previous
    if previous == 0:
        return None
    sign = -1 if figure.out else 1
    return sign * (value - previous) / abs(previous)


def _good(figure: Figure, change: float | None) -> bool | None:
    if not change or figure.better == "neither":
        return None
    return (change > 0) == (figure.better == "up")
