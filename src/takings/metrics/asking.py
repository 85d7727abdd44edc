"""What is asked of figures, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        measure: Name of the figure.
        start: First day of a flow; None for all there is. What stands at a moment has none, but for a series.
        end: The day after the last: periods are half-open. None for all there is.
        currency: Only this one; None for each by itself.
        account: Only this account of Stripe; None for all.
        accounts: Only these accounts; empty for all.
        livemode: Live data, or that of sandboxes.
        only: Values of dimensions, by name; None for lines without a value, several for lines with any of them.
        known: As was known at this moment; None for what is known now.
    """

    measure: str
    start: date | None = None
    end: date | None = None
    currency: str | None = None
    account: str | None = None
    livemode: bool = True
    only: Mapping[str, str | tuple[str | None, ...] | None] = field(default_factory=dict)
    known: datetime | None = None
    accounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A sum in one currency.

    Attributes:
        currency: ISO code, small letters.
        amount: Minor units, or how many.
        lines: How many lines it sums.
        group: Value of the dimension it was cut by; None where it was not cut, or where lines have no value.
    """

    currency: str
    amount: int
    lines: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of any kind in one currency, at or over one time.

    Attributes:
        currency: ISO code, small letters.
        value: Exact: minor units, things, a share of one, days or a number, as the figure's unit says; None where there
            is none, because what it would be divided by is 0.
        group: As :class:`Figure` has it.
        period: First day of the part of a series; None in a single answer.
    """

    currency: str
    value: Fraction | None
    group: str | None = None
    period: date | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line of a figure: when, how much, why, and the Stripe object that made it.

    Attributes:
        at: When it happened.
        part: Of what it is a part.
        amount: Minor units, or how many; signed.
        currency: ISO code, small letters.
        account: Account of Stripe.
        object: Table of Stripe's object.
        source: Its id.
        customer: Id of the customer, where there is one.
        known_at: Since when it has been known so.
        cuts: Values of the model's dimensions.
    """

    at: datetime
    part: str
    amount: int
    currency: str
    account: str
    object: str
    source: str
    customer: str | None
    known_at: datetime
    cuts: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The largest groups of measures of the same lines.

    Attributes:
        measures: Their names.
        figures: What each of them comes to, by group: those that are among the largest of any of them.
        counts: How many groups each measure has.
    """

    measures: tuple[str, ...]
    figures: Mapping[str | None, tuple[Figure, ...]]
    counts: tuple[int, ...]

    def largest(self, place: int, limit: int) -> list[Figure]:
        """Return the largest groups of the measure at a place, the largest first."""
        return largest_first(held[place] for held in self.figures.values() if held[place].lines)[:limit]


def largest_first(figures: Iterable[Figure]) -> list[Figure]:
    """Return figures by size, whatever their sign; those of one size by group."""
    return sorted(figures, key=lambda one: (-abs(one.amount), one.group is None, one.group or ""))
