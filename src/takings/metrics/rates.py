"""Amounts of several currencies in one, by dated rates: Stripe's own first, then those of a table that the user keeps."""

from __future__ import annotations

import csv
import re
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from takings.clock import Clock
from takings.errors import Invalid, Misconfigured
from takings.metrics.asking import Question
from takings.metrics.explaining import Figures
from takings.metrics.model import Derived
from takings.metrics.registry import Registry
from takings.money import exponent
from takings.warehouse import Warehouse

FILE: Final = "rates.csv"
"""Where the user's rates are, in the data folder: columns ``date``, ``from``, ``to``, ``rate`` (one ``from`` is so many ``to``)."""

STANDS: Final = timedelta(days=31)
"""How long a rate stands where no younger one is known."""

Origin = Literal["stripe", "table"]

_CODE: Final = re.compile(r"[a-z]{3}")
_HEAD: Final = ["date", "from", "to", "rate"]
# What Stripe converted on a day, and to how much: the rate it took, weighted by what went through it.
_SQL: Final = """
SELECT CAST(t.created AT TIME ZONE 'UTC' AS DATE) AS day, c.currency AS given, t.currency AS got,
  CAST(SUM(c.amount_captured) AS BIGINT), CAST(SUM(t.amount) AS BIGINT)
FROM stripe.balance_transactions AS t
JOIN stripe.charges AS c ON c.id = t.source AND c._account = t._account AND c._livemode = t._livemode
WHERE t.reporting_category = 'charge' AND t.exchange_rate IS NOT NULL AND t.currency <> c.currency AND c.amount_captured > 0
  AND t.amount > 0 AND t._livemode = $livemode
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a minor unit of one currency was worth in minor units of another.

    Attributes:
        factor: Exact.
        day: Which day's it is.
        origin: Stripe's own conversions of that day, or the user's table.
    """

    factor: Fraction
    day: date
    origin: Origin


@dataclass(frozen=True, slots=True)
class Part:
    """A figure in one currency, and what of it could be converted.

    Attributes:
        currency: ISO code, small letters.
        value: Minor units of it, exact; None where the figure has none.
        converted: Minor units of the other currency, exact: of all days that have a rate.
        lacking: Minor units of it that no rate was known for.
        days: How many days that was on.
        origins: Where the rates came from.
    """

    currency: str
    value: Fraction | None
    converted: Fraction
    lacking: Fraction
    days: int
    origins: frozenset[Origin]


@dataclass(frozen=True, slots=True)
class Converted:
    """A figure of all currencies in one.

    Attributes:
        currency: That one.
        parts: Each currency's.
    """

    currency: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> Fraction:
        """All of it in minor units, exact; to be rounded once, when it is shown."""
        return sum((one.converted for one in self.parts), Fraction(0))

    @property
    def whole(self) -> bool:
        """Whether a rate was known for everything."""
        return not any(one.days for one in self.parts)


@dataclass(frozen=True, slots=True)
class Rolled:
    """What stood in all currencies, what moved it and what stands now, in one: minor units of it, exact.

    Attributes:
        currency: That one.
        opening: What stood before the period, at the rates of the day before it.
        movements: What the period brought, by figure, each day's at its own rate.
        closing: What stands after the period, at the rates of its last day.
        currencies: What is in it.
        left_out: Currencies of which some amount has no rate: nothing of them is in it.
        origins: Where the rates came from.
    """

    currency: str
    opening: Fraction
    movements: Mapping[str, Fraction]
    closing: Fraction
    currencies: tuple[str, ...]
    left_out: tuple[str, ...]
    origins: frozenset[Origin]

    @property
    def fx(self) -> Fraction:
        """What other rates made of what stood and what came: the rest between opening, movements and closing."""
        return self.closing - self.opening - sum(self.movements.values(), Fraction(0))

    def rounded(self) -> dict[str, int]:
        """Return opening, movements, ``fx`` and closing as minor units that add up: each is rounded once, and fx is what is left."""
        opening, closing = round(self.opening), round(self.closing)
        moved = {name: round(amount) for name, amount in self.movements.items()}
        return {"opening": opening, **moved, "fx": closing - opening - sum(moved.values()), "closing": closing}


class Exchange:
    """Converts figures.

    Args:
        warehouse: Has Stripe's own conversions.
        registry: The figures.
        home: The data folder, with the user's table.
        clock: What day it is.
    """

    def __init__(self, warehouse: Warehouse, registry: Registry, home: Path, clock: Clock) -> None:
        self._warehouse, self._registry, self._home, self._clock = warehouse, registry, home, clock
        self._lock = threading.Lock()
        self._held: tuple[object, Mapping[tuple[str, str], Mapping[date, Rate]]] | None = None

    def convert(self, figures: Figures, question: Question, currency: str) -> Converted:
        """Return a figure in each currency and in one.

        What a period brought is converted day by day, at each day's rate; what stands at a moment, and what became of something
        over a period, at the rate of its last day.

        Args:
            figures: Where it is asked.
            question: Which, and when.
            currency: ISO code of the one.

        Raises:
            Invalid: The figure is no amount, or a ratio of amounts: its parts can be converted, it cannot.
            Misconfigured: The user's table cannot be read.
            NotFound, Unavailable: As :meth:`takings.metrics.Figures.values`.
        """
        target = currency.lower()
        if not _CODE.fullmatch(target):
            raise Invalid("metrics.no_currency", f"“{currency}” is no currency: write it as eur.", currency=currency)
        figure = self._registry.figure(question.measure)
        if figure.unit != "money" or (isinstance(figure, Derived) and figure.under is not None):
            said = f"“{figure.name}” cannot be converted: only amounts that add up can."
            raise Invalid("metrics.not_converted", said, name=figure.name)
        rates = self._rates(question.livemode)
        moments: dict[str, dict[date, Fraction]] = defaultdict(dict)
        values = {one.currency: one.value for one in figures.values(question)}
        if all(one.sum == "flow" for one in self._registry.behind(figure.name)):
            for one in figures.series(question, "day"):
                if one.period is not None and one.value:
                    moments[one.currency][one.period] = one.value
        else:
            last = question.end - timedelta(days=1) if question.end else self._clock.now().date()
            for name, value in values.items():
                if value:
                    moments[name][last] = value
        return Converted(target, tuple(_part(one, values[one], moments[one], target, rates) for one in sorted(values)))

    def roll_forward(self, figures: Figures, question: Question, flows: Sequence[str], currency: str) -> Rolled:
        """Return how a figure that stands became another over a period, in one currency.

        A currency is in it with all of its amounts or with none, so that what is lacking is not taken for what rates did.

        Args:
            figures: Where it is asked.
            question: The figure that stands, such as ``mrr``, whose, and from when to when.
            flows: The figures that move it, which together make its difference in each currency.
            currency: ISO code of the one.

        Raises:
            ValueError: The question has no first or no last day.
            Invalid, Misconfigured, NotFound, Unavailable: As :meth:`convert`.
        """
        if question.start is None or question.end is None:
            raise ValueError("what rolls forward has a first and a last day")
        before, after = replace(question, start=None, end=question.start), replace(question, start=None)
        opening, closing, *moved = (
            self.convert(figures, one, currency)
            for one in (before, after, *(replace(question, measure=name) for name in flows))
        )
        every = (opening, closing, *moved)
        found = {part.currency for one in every for part in one.parts}
        short = {part.currency for one in every for part in one.parts if part.days}

        def total(one: Converted) -> Fraction:
            return sum((part.converted for part in one.parts if part.currency not in short), Fraction(0))

        return Rolled(
            currency=opening.currency,
            opening=total(opening),
            movements={name: total(one) for name, one in zip(flows, moved, strict=True)},
            closing=total(closing),
            currencies=tuple(sorted(found - short)),
            left_out=tuple(sorted(short)),
            origins=frozenset().union(
                *(part.origins for one in every for part in one.parts if part.currency not in short)
            ),
        )

    def _rates(self, livemode: bool) -> Mapping[tuple[str, str], Mapping[date, Rate]]:
        """Return each pair's rates by day; Stripe's go before the table's."""
        file = self._home / FILE
        marks = self._warehouse.marks()
        stamp = file.stat().st_mtime_ns if file.is_file() else None
        state = (livemode, stamp, marks.get("stripe.balance_transactions"), marks.get("stripe.charges"))
        with self._lock:
            if self._held is not None and self._held[0] == state:
                return self._held[1]
        found: dict[tuple[str, str], dict[date, Rate]] = defaultdict(dict)
        for day, given, got, factor in _table(file):
            found[given, got][day] = Rate(factor, day, "table")
            found[got, given].setdefault(day, Rate(1 / factor, day, "table"))
        for day, given, got, amount, became in self._warehouse.query(_SQL, {"livemode": livemode}).rows:
            found[given, got][day] = Rate(Fraction(became, amount), day, "stripe")
            back = found[got, given].get(day)
            if back is None or back.origin == "table":
                found[got, given][day] = Rate(Fraction(amount, became), day, "stripe")
        ordered = {pair: dict(sorted(held.items())) for pair, held in found.items()}
        with self._lock:
            self._held = state, ordered
        return ordered


def _part(
    currency: str,
    value: Fraction | None,
    moments: Mapping[date, Fraction],
    target: str,
    rates: Mapping[tuple[str, str], Mapping[date, Rate]],
) -> Part:
    if currency == target:
        return Part(currency, value, value or Fraction(0), Fraction(0), 0, frozenset())
    held = rates.get((currency, target), {})
    days = list(held)
    converted, lacking, without = Fraction(0), Fraction(0), 0
    origins: set[Origin] = set()
    for day, amount in moments.items():
        at = bisect_right(days, day)
        rate = held[days[at - 1]] if at else None
        if rate is None or day - rate.day > STANDS:
            lacking, without = lacking + amount, without + 1
            continue
        converted += amount * rate.factor
        origins.add(rate.origin)
    return Part(currency, value, converted, lacking, without, frozenset(origins))


def _table(file: Path) -> list[tuple[date, str, str, Fraction]]:
    """Read the user's rates, in minor units.

    Raises:
        Misconfigured: A line is not as it must be; the sentence says which.
    """
    if not file.is_file():
        return []
    found = []
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines)
        if [name.strip().lower() for name in next(reader, [])] != _HEAD:
            raise _wrong(file, 1)
        for number, row in enumerate(reader, 2):
            if not row:
                continue
            try:
                day, given, got, rate = (text.strip().lower() for text in row)
                worth = Decimal(rate)
                if not (_CODE.fullmatch(given) and _CODE.fullmatch(got) and worth.is_finite() and worth > 0):
                    raise _wrong(file, number)
                factor = Fraction(worth) * Fraction(10) ** (exponent(got) - exponent(given))
                found.append((date.fromisoformat(day), given, got, factor))
            except (ValueError, InvalidOperation) as error:
                raise _wrong(file, number) from error
    return found


def _wrong(file: Path, line: int) -> Misconfigured:
    return Misconfigured(
        "metrics.rates_file",
        f"Line {line} of {file.name} cannot be read: its columns are date, from, to, rate, such as 2026-10-31,usd,eur,0.9234.",
        line=line,
        file=file.name,
    )
