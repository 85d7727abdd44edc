"""A figure and what it is made of: both are sums of the same lines, so the contributions add up to the figure exactly."""

from __future__ import annotations

import threading
from calendar import monthrange
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal, Self

from takings.clock import Clock
from takings.errors import Invalid, Unavailable
from takings.metrics.builder import FAILED, FAILING, FILLINGS
from takings.metrics.model import KNOWN_AT, LINE_COLUMNS, SPAN, WINDOWS, Derived, Measure, Model
from takings.metrics.registry import Registry
from takings.metrics.rolling import SUMS
from takings.warehouse import Warehouse

Grain = Literal["day", "week", "month", "quarter", "year"]

GRAINS: Final[tuple[Grain, ...]] = ("day", "week", "month", "quarter", "year")
_FIRST: Final = date(1, 1, 1)
_KEPT: Final = 512  # answers remembered
_KEPT_ROWS: Final = 5_000  # and no larger ones


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


_Key = tuple[str, str | None, date | None]
"""Currency, group and period."""

_Sums = Mapping[_Key, Mapping[str, tuple[int, int]]]
"""By part: amount and number of lines."""


class Figures:
    """Answers questions from the lines that the models hold.

    Answers are remembered as long as the lines they come from stay as they are.

    Args:
        warehouse: Where they are.
        registry: What figures there are.
        clock: For what has come about by now: lines that accrue reach into the future.
    """

    def __init__(self, warehouse: Warehouse, registry: Registry, clock: Clock) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._clock = clock
        self._marks: Mapping[str, str] | None = None
        self._bare: frozenset[str] = frozenset()  # models whose lines are others than those that sums are kept of
        self._kept_sums: dict[str, frozenset[str]] = {}
        self._kept: OrderedDict[tuple[Any, ...], _Sums] = OrderedDict()
        self._ranked: OrderedDict[tuple[Any, ...], list[tuple[Any, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def still(self) -> Self:
        """Return the same for several questions one after the other: which lines have changed is asked once for all."""
        made = type(self)(self._warehouse, self._registry, self._clock)
        made._marks, made._kept, made._lock = self._warehouse.marks(), self._kept, self._lock
        made._ranked, made._kept_sums = self._ranked, self._kept_sums
        return made

    def cuts(self, name: str) -> tuple[str, ...]:
        """Return what a figure may be cut by and filtered on.

        Raises:
            NotFound: There is no such figure.
        """
        return self._registry.cuts(name)

    def answer(self, question: Question, by: str | None = None) -> list[Figure]:
        """Return a measure in each currency, or in each currency and group.

        Args:
            question: What.
            by: A dimension, or a grain of time such as ``month``; the latter only of flows.

        Raises:
            NotFound: There is no such figure.
            Invalid: It cannot be cut or filtered so, or is no sum of lines.
            Unavailable: The models have not been built yet.
        """
        measure = self._registry.measure(question.measure)
        grain = _grain(by)
        if measure.sum == "stock" and (grain or question.start is not None):
            raise _stock(grain)
        sums = self._measured(measure, question, grain, None if grain else by)
        found = [
            Figure(currency, amount, lines, _label(period, grain) if grain else group)
            for (currency, group, period), (amount, lines) in sums.items()
        ]
        return sorted(found, key=lambda one: (one.currency, one.group is not None, one.group or ""))

    def largest(self, question: Question, by: str, limit: int) -> tuple[list[Figure], int]:
        """Return the largest groups of a measure in one currency, and how many groups there are.

        Args:
            question: What, with a currency: amounts of several cannot be compared.
            by: A dimension.
            limit: How many at most.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        measure = self._registry.measure(question.measure)
        if measure.sum == "stock":
            question = replace(question, start=None)
        model = self._registry.model(measure.model)
        question = self._by_now(question, model)
        where, values = self._where(question, measure)
        cut = self._cut(question.measure, by)
        sql = (
            f"SELECT l.currency AS currency, l.{cut} AS cut, CAST(SUM(l.amount) AS BIGINT) AS amount, COUNT(*) AS lines, "
            f"COUNT(*) OVER () AS groups FROM {self._lines(measure, question)} AS l WHERE {where} GROUP BY 1, 2 "
            f"ORDER BY abs(SUM(l.amount)) DESC, l.{cut} LIMIT {limit:d}"
        )
        key = self._key(model, sql, values)
        with self._lock:
            rows = self._ranked.get(key)
        if rows is None:
            rows = self.ask(sql, values)
            with self._lock:
                self._ranked[key] = rows
                while len(self._ranked) > _KEPT:
                    self._ranked.popitem(last=False)
        found = [Figure(currency, int(amount), int(lines), cut) for currency, cut, amount, lines, _ in rows]
        return found, int(rows[0][4]) if rows else 0

    def values(self, question: Question, by: str | None = None) -> list[Value]:
        """Return any figure, a measure or a derived one, in each currency or in each currency and group.

        A stock stands at the end of the question's period.

        Args:
            question: What.
            by: A dimension.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        found = self._valued(self._registry.figure(question.measure), question, by)
        return [Value(currency, value, group) for (currency, group, _), value in sorted(found.items(), key=_order)]

    def series(self, question: Question, grain: Grain, by: str | None = None) -> list[Value]:
        """Return any figure for each part of the question's period, none left out: flows of it, stocks at its end.

        Args:
            question: What; without a start or end, from the first line to the last.
            grain: How long a part is.
            by: A dimension.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        figure = self._registry.figure(question.measure)
        spans = {one: self._span(one, question, grain) for one in self._registry.behind(question.measure)}
        starts = [start for start, _ in spans.values() if start]
        ends = [end for _, end in spans.values() if end]
        if not starts or not ends:
            return []
        first, last = question.start or min(starts), question.end or max(ends) + timedelta(days=1)
        periods = list(_periods(first, last, grain))
        found = self._curved(figure, replace(question, start=first, end=last), grain, by, periods)
        return [
            Value(currency, value, group, period)
            for (currency, group, period), value in sorted(found.items(), key=_order)
        ]

    def contributions(self, question: Question, *, limit: int | None = None, offset: int = 0) -> list[Contribution]:
        """Return the lines of a measure, currency by currency, the largest first.

        Args:
            question: What.
            limit: Most lines of each currency, whose amounts cannot be compared; None: all.
            offset: Leave out so many of each currency; with a limit: the next page.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        measure = self._registry.measure(question.measure)
        if measure.sum == "stock" and question.start is not None:
            raise _stock(None)
        model = self._registry.model(measure.model)
        question = self._by_now(question, model)
        where, values = self._where(question, measure)
        order = "abs(l.amount) DESC, l.at, l.id"
        most, cut = "", ""
        if limit is not None and question.currency is not None:  # the engine need not sort them all
            cut = f" LIMIT {limit:d} OFFSET {offset:d}"
        elif limit is not None:
            most = (
                f"QUALIFY row_number() OVER (PARTITION BY l.currency ORDER BY {order}) "
                f"BETWEEN {offset + 1:d} AND {offset + limit:d} "
            )
        cuts = "".join(f", l.{name} AS {name}" for name in model.dimensions)
        rows = self.ask(
            "SELECT l.at AS at, l.part AS part, l.amount AS amount, l.currency AS currency, l.account AS account, "
            f"l.object AS object, l.source AS source, l.{KNOWN_AT} AS {KNOWN_AT}{cuts} "
            f"FROM {self._lines(measure, question)} AS l WHERE {where} {most}ORDER BY l.currency, {order}{cut}",
            values,
        )
        found = []
        for row in rows:
            at, part, amount, currency, account, table, source, known_at, *said = row
            by = dict(zip(model.dimensions, said, strict=True))
            found.append(
                Contribution(at, part, amount, currency, account, table, source, by.get("customer"), known_at, by)
            )
        return found

    def sides(self, question: Question) -> list[tuple[Measure, Question]]:
        """Return the measures that a figure comes from, those over the line first, and what each of them is asked there.

        Raises:
            NotFound: There is no such figure.
        """
        figure = self._registry.figure(question.measure)
        if isinstance(figure, Measure):
            if figure.sum == "stock":
                question = replace(question, start=None)
            if figure.trailing and question.end is not None:
                question = replace(question, start=_months_before(question.end, figure.trailing))
            return [(figure, question)]
        found = self.sides(replace(question, measure=figure.over))
        if figure.under is not None:
            below = replace(question, measure=figure.under)
            if figure.under_at == "start":
                below = replace(below, start=None, end=question.start)
            found += [side for side in self.sides(below) if side not in found]
        return found

    def statement(self, question: Question) -> str:
        """Return the SQL that gives a measure: anybody can run it on the warehouse.

        Raises:
            NotFound, Invalid: As :meth:`answer`.
        """
        lines, where = self.source(question)
        return (
            f"SELECT l.currency AS currency, SUM(l.amount) AS amount\nFROM {lines} AS l\n"
            f"WHERE {where}\nGROUP BY l.currency"
        )

    def source(self, question: Question) -> tuple[str, str]:
        """Return the lines of a measure as SQL: what to read as ``l``, and the condition.

        Raises:
            NotFound, Invalid: As :meth:`answer`.
        """
        measure = self._registry.measure(question.measure)
        model = self._registry.model(measure.model)
        question = self._by_now(question, model)
        where, values = self._where(question, measure)
        for name in sorted(values, key=len, reverse=True):  # $accounts before $account
            where = where.replace(f"${name}", _literal(values[name]))
        return self._lines(measure, question, literal=True), where

    def model(self, name: str) -> Model:
        """Return the model whose lines a measure sums.

        Raises:
            NotFound, Invalid: As :meth:`answer`.
        """
        return self._registry.model(self._registry.measure(name).model)

    def changes(self, question: Question) -> tuple[str, dict[str, Any]]:
        """Return SQL, and its values, of everything that ever made a measure what it is: each line's coming and going.

        Its rows are lines with ``sign`` (+1 came, -1 went), ``changed_at``, ``month`` (first day of the month the line belongs
        to) and ``began_at`` (when the first line of its account became known).

        Raises:
            NotFound, Invalid: As :meth:`answer`.
        """
        measure = self._registry.measure(question.measure)
        model = self.model(question.measure)
        if model.kind == "windows":
            said = f"“{measure.name}” is worked out for each period anew, so no line of it is booked to a month."
            raise Invalid("metrics.windows", said, name=measure.name)
        where, values = self._where(replace(question, known=None), measure)
        names = ", ".join(f'l."{name}"' for name in (*LINE_COLUMNS, *model.dimensions))
        arms = " UNION ALL ".join(
            f"SELECT {names}, {sign} AS sign, l.{moment} AS changed_at FROM {table} AS l"
            for sign, moment, table in (
                (1, KNOWN_AT, model.table),
                (1, KNOWN_AT, model.past),
                (-1, "until", model.past),
            )
        )
        day = "day_utc" if measure.utc else "day"
        began = " UNION ALL ".join(
            f"SELECT b.account, b.livemode, min(b.{KNOWN_AT}) AS known_at FROM {table} AS b GROUP BY 1, 2"
            for table in (model.table, model.past)
        )
        return (
            f"SELECT l.*, CAST(date_trunc('month', l.{day}) AS DATE) AS month, f.began_at AS began_at FROM ({arms}) AS l "
            f"JOIN (SELECT e.account, e.livemode, min(e.known_at) AS began_at FROM ({began}) AS e GROUP BY 1, 2) AS f "
            f"ON f.account = l.account AND f.livemode = l.livemode WHERE {where}",
            values,
        )

    def ask(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Ask SQL of the program's own about lines.

        Raises:
            Unavailable: The models have not been built yet.
        """
        bound = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        try:
            return self._warehouse.query(sql, bound).rows
        except Invalid:  # a table that is not there is the only thing that can be wrong with SQL of ours
            if FILLINGS in self._warehouse.marks():
                raise
            raise unbuilt() from None

    def built_at(self, name: str) -> datetime:
        """Return when the lines of a figure were last made: it knows what was known then.

        Raises:
            NotFound, Unavailable: As :meth:`answer`.
        """
        behind = [self._registry.model(one.model) for one in self._registry.behind(name)]
        models = sorted({one.name for model in behind for one in self._registry.filled(model)})
        rows = self.ask(
            f"SELECT max(f.built_at) AS at FROM {FILLINGS} AS f WHERE f.model IN (SELECT UNNEST($models)) "
            f"AND f.cause <> '{FAILED}' GROUP BY f.model",
            {"models": models},
        )
        if not rows:
            raise unbuilt()
        at: datetime = min(row[0] for row in rows)
        return at

    def failed(self, *names: str) -> list[str]:
        """Return the models behind some figures that could not be worked out the last time: their lines are too old.

        Raises:
            NotFound, Unavailable: As :meth:`answer`.
        """
        behind = {one.model for name in names for one in self._registry.behind(name)}
        models = {one.name for model in behind for one in self._registry.filled(self._registry.model(model))}
        return sorted(models & {model for (model,) in self.ask(FAILING, {})})

    def _valued(self, figure: Measure | Derived, question: Question, by: str | None) -> dict[_Key, Fraction | None]:
        if isinstance(figure, Measure):
            if figure.sum == "stock":
                question = replace(question, start=None)
            sums = self._measured(figure, question, None, by)
            return {key: Fraction(amount) for key, (amount, _) in sums.items()}
        over = self._valued(self._registry.figure(figure.over), question, by)
        if figure.days:
            over = _for_days(over, {None: _length(question.start, question.end)})
        if figure.under is None:
            return _divided(figure, over, None)
        below = self._registry.figure(figure.under)
        if figure.under_at == "start":
            if question.start is None:  # nothing stood before the beginning
                return dict.fromkeys(over)
            question = replace(question, start=None, end=question.start)
        return _divided(figure, over, self._valued(below, question, by))

    def _curved(
        self, figure: Measure | Derived, question: Question, grain: Grain, by: str | None, periods: list[date]
    ) -> dict[_Key, Fraction | None]:
        """Return a figure's value by currency, group and period."""
        if isinstance(figure, Derived):
            over = self._curved(self._registry.figure(figure.over), question, grain, by, periods)
            if figure.days:
                over = _for_days(over, _lengths(periods, question))
            if figure.under is None:
                return _divided(figure, over, None)
            under = self._curved(self._registry.figure(figure.under), question, grain, by, periods)
            if figure.under_at == "start":
                below = self._registry.figure(figure.under)
                at_start = replace(question, start=None, end=question.start)
                opening = self._valued(below, at_start, by)
                before = dict(zip(periods[1:], periods, strict=False))
                under = {
                    (c, g, p): under.get((c, g, before[p])) if p in before else opening.get((c, g, None))
                    for c, g, p in under
                }
            return _divided(figure, over, under)
        sums = self._measured(figure, question, grain, by)
        found: dict[_Key, Fraction | None] = {}
        for currency, group in {(c, g): None for c, g, _ in sums}:
            running = sums.get((currency, group, None), (0, 0))[0]
            for period in periods:
                moved = sums.get((currency, group, period), (0, 0))[0]
                running += moved
                found[currency, group, period] = Fraction(running if figure.sum == "stock" else moved)
        return found

    def _measured(
        self, measure: Measure, question: Question, grain: Grain | None, by: str | None
    ) -> dict[_Key, tuple[int, int]]:
        """Return amount and number of lines of a measure, by currency, group and period; None: before the start."""
        if by is not None:
            self._cut(measure.name, by)
        sums = self._sums(measure, question, grain, by)
        found = {}
        for key, by_part in sums.items():
            counted = [both for part, both in by_part.items() if not measure.parts or part in measure.parts]
            if counted:
                found[key] = (sum(amount for amount, _ in counted), sum(lines for _, lines in counted))
        return found

    def _sums(self, measure: Measure, question: Question, grain: Grain | None, by: str | None) -> _Sums:
        """Ask for all parts of a model at once: its other measures are answered from the same sums."""
        model = self._registry.model(measure.model)
        question = self._by_now(question, model)
        day = "l.day_utc" if measure.utc else "l.day"
        group = f"l.{by}" if by else "CAST(NULL AS VARCHAR)"
        period = f"CAST(date_trunc('{grain}', {day}) AS DATE)" if grain else "CAST(NULL AS DATE)"
        opening = measure.sum == "stock" and grain is not None and question.start is not None
        asked = replace(question, start=None) if opening else question
        rolled = self._rolled(measure, question, grain, by)
        where, values = self._where(asked, measure, parts=False, rolled=rolled or "")
        if opening:
            period = f"CASE WHEN {day} < $start THEN NULL ELSE {period} END"
            values["start"] = question.start
        counted, lines, some = "COUNT(*)", self._lines(measure, question, grain), ""
        if rolled is not None:
            group = "l.value" if by == rolled else group
            counted, lines, some = "CAST(SUM(l.lines) AS BIGINT)", SUMS, " HAVING SUM(l.lines) > 0"
            where += f" AND l.model = '{model.name}' AND l.cut = '{rolled}'"
        sql = (
            f"SELECT l.currency AS currency, {group} AS cut, {period} AS period, l.part AS part, "
            f"CAST(SUM(l.amount) AS BIGINT) AS amount, {counted} AS lines "
            f"FROM {lines} AS l WHERE {where} GROUP BY 1, 2, 3, 4{some}"
        )
        key = self._key(model, sql, values)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found: dict[_Key, dict[str, tuple[int, int]]] = {}
        for currency, cut, since, part, amount, lines in self.ask(sql, values):
            found.setdefault((currency, cut, since), {})[part] = (int(amount), int(lines))
        if len(found) <= _KEPT_ROWS:
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return found

    def _rolled(self, measure: Measure, question: Question, grain: Grain | None, by: str | None) -> str | None:
        """Return the dimension of the sums by day that answer a question (empty: none); None where the lines must."""
        model = self._registry.model(measure.model)
        if model.kind != "lines" or question.known is not None or model.name not in self._summed():
            return None
        if model.spread and _reaches_over(question, grain):
            return None
        cuts = {*question.only, by} - {None, "account", "part"}
        if not cuts:
            return ""
        return by_one if len(cuts) == 1 and (by_one := str(*cuts)) in model.rolled else None

    def _summed(self) -> frozenset[str]:
        """Return the models of which sums by day are kept."""
        state = self._state().get(SUMS)
        if state is None:
            return frozenset()
        with self._lock:
            found = self._kept_sums.get(state)
        if found is None:
            found = frozenset(name for (name,) in self.ask(f"SELECT DISTINCT s.model AS model FROM {SUMS} AS s", {}))
            with self._lock:
                self._kept_sums.clear()
                self._kept_sums[state] = found
        return found - self._bare

    def _state(self) -> Mapping[str, str]:
        return self._warehouse.marks() if self._marks is None else self._marks

    def _key(self, model: Model, sql: str, values: dict[str, Any]) -> tuple[Any, ...]:
        """Return what an answer is remembered by: another one when a line of the model has changed.

        Raises:
            Unavailable: The models have not been built yet.
        """
        marks = self._state()
        filled = self._registry.filled(model)
        if any(one.table not in marks for one in filled):
            raise unbuilt()
        states = tuple((marks[one.table], marks.get(one.past)) for one in filled)
        return (states, sql, tuple(sorted(values.items())))

    def _span(self, measure: Measure, question: Question, grain: Grain) -> tuple[date | None, date | None]:
        """Return first and last day that lines of a measure fall on, as far as the question leaves them open."""
        if question.start is not None and question.end is not None:
            return question.start, question.end
        model = self._registry.model(measure.model)
        if model.kind == "windows":
            below = self._registry.filled(model)[0].measures[0]
            return self._span(below, replace(question, measure=below.name, only={}), grain)
        if model.spread:
            months = [p for (*_, p) in self._measured(measure, replace(question, start=None), "month", None) if p]
            return (min(months), self._clock.now().astimezone(UTC).date()) if months else (None, None)
        days = [
            period
            for (*_, period) in self._measured(measure, replace(question, start=None), "day", None)
            if period is not None
        ]
        return (min(days), max(days)) if days else (None, None)

    def _by_now(self, question: Question, model: Model) -> Question:
        """Leave out what is only to come, where no end is asked for."""
        if not model.spread or question.end is not None:
            return question
        return replace(question, end=self._clock.now().astimezone(UTC).date() + timedelta(days=1))

    def _where(
        self, question: Question, measure: Measure, *, parts: bool = True, rolled: str = ""
    ) -> tuple[str, dict[str, Any]]:
        """Return the condition of a question's lines, or of the sums by a dimension (``rolled``), and its values."""
        day = "l.day_utc" if measure.utc else "l.day"
        conditions = ["l.livemode = $livemode"]
        values: dict[str, Any] = {"livemode": question.livemode}
        if measure.parts and parts:
            conditions.append(f"l.part IN ({', '.join(_literal(part) for part in measure.parts)})")
        if question.start is not None:
            conditions.append(f"{day} >= $start")
            values["start"] = question.start
        if question.end is not None:
            conditions.append(f"{day} < $end")
            values["end"] = question.end
        if question.known is not None:
            values["known"] = question.known
        for name, one in (("currency", question.currency), ("account", question.account)):
            if one is not None:
                conditions.append(f"l.{name} = ${name}")
                values[name] = one
        if question.accounts:
            conditions.append("l.account IN (SELECT UNNEST($accounts))")
            values["accounts"] = question.accounts
        for name, value in question.only.items():
            cut = self._cut(question.measure, name)
            cut = "value" if rolled and cut == rolled else cut
            if isinstance(value, tuple):
                empty = f" OR l.{cut} IS NULL" if None in value else ""
                conditions.append(f"(l.{cut} IN (SELECT UNNEST($only_{name})){empty})")
                values[f"only_{name}"] = tuple(one for one in value if one is not None)
            elif value is None:
                conditions.append(f"l.{cut} IS NULL")
            else:
                conditions.append(f"l.{cut} = $only_{name}")
                values[f"only_{name}"] = value
        return " AND ".join(conditions), values

    def _lines(self, measure: Measure, question: Question, grain: Grain | None = None, *, literal: bool = False) -> str:
        """Return what a measure's lines are read from: a table, or a query in brackets."""
        model = self._registry.model(measure.model)
        if model.kind == "lines":
            return _lines(model, question, grain, literal=literal)
        sql = model.sql
        for need in self._registry.needed(model):
            sql = need.renamed(sql, _lines(need, question, literal=literal))
        windows = ", ".join(
            f"({_literal(since)}, {_literal(until)})" for since, until in self._windows(measure, question, grain)
        )
        return f"({WINDOWS.sub(f'JOIN (VALUES {windows}) AS w(since, until)', sql)})"

    def _windows(self, measure: Measure, question: Question, grain: Grain | None) -> list[tuple[date, date]]:
        """Return the periods that a measure of windows is worked out for: first day, and the day after the last."""
        end = question.end or self._clock.now().astimezone(UTC).date() + timedelta(days=1)
        if grain is None:
            bounds = [question.start or _FIRST, end]
        else:
            start = question.start or self._span(measure, question, grain)[0] or end
            bounds = [start, *list(_periods(start, end, grain))[1:], end]
        return [
            (_months_before(until, measure.trailing) if measure.trailing else since, until)
            for since, until in pairwise(bounds)
        ]

    def _cut(self, figure: str, name: str) -> str:
        cuts = self.cuts(figure)
        if name not in cuts:
            names = ", ".join(cuts)
            raise Invalid(
                "metrics.no_cut", f"This metric cannot be cut by “{name}”. It can by: {names}.", name=name, names=names
            )
        return name


def _lines(model: Model, question: Question, grain: Grain | None = None, *, literal: bool = False) -> str:
    """Return the lines of a model as they are, or as they were known; those that accrue cut where the question cuts time."""
    lines = model.table
    span = SPAN if model.spread else ()
    if question.known is not None:
        names = ", ".join(f'"{name}"' for name in (*LINE_COLUMNS, *model.dimensions, *span, KNOWN_AT))
        known = _literal(question.known) if literal else "$known"
        lines = (
            f"(SELECT {names} FROM {model.table} WHERE {KNOWN_AT} <= {known} UNION ALL "
            f"SELECT {names} FROM {model.past} WHERE {KNOWN_AT} <= {known} AND until > {known})"
        )
    return _pieces(model, lines, question, grain) if model.spread else lines


def _reaches_over(question: Question, grain: Grain | None) -> bool:
    """Tell whether lines that accrue to the end of their month may reach over an edge of a period that is asked for."""
    edges = (question.start, question.end)
    return grain in ("day", "week") or any(day is not None and day.day != 1 for day in edges)


def _pieces(model: Model, lines: str, question: Question, grain: Grain | None) -> str:
    """Return lines of which none that accrues reaches over the ends of the question's period, or over a day or week.

    Each piece has earned the whole minor units that had accrued by its end less those that had by its start, so pieces add
    up to their line.
    """
    if not _reaches_over(question, grain):  # lines end with their month
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


def _months_before(day: date, months: int) -> date:
    """Return the same day so many months before, or the last of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _divided(
    figure: Derived, over: dict[_Key, Fraction | None], under: dict[_Key, Fraction | None] | None
) -> dict[_Key, Fraction | None]:
    if under is None:
        return {key: None if value is None else value * figure.times for key, value in over.items()}
    found: dict[_Key, Fraction | None] = {}
    for key in {**over, **under}:
        below = under.get(key)
        above = over.get(key, Fraction(0))
        found[key] = above * figure.times / below if below and above is not None else None
    return found


def _for_days(
    values: dict[_Key, Fraction | None], days: Mapping[date | None, int | None]
) -> dict[_Key, Fraction | None]:
    """Return values times the days of their periods, None where a period has no length."""
    found: dict[_Key, Fraction | None] = {}
    for key, value in values.items():
        length = days[key[2]]
        found[key] = None if value is None or length is None else value * length
    return found


def _length(start: date | None, end: date | None) -> int | None:
    return None if start is None or end is None else (end - start).days


def _lengths(periods: list[date], question: Question) -> dict[date | None, int | None]:
    """Return how many days each part of a question's period has; the first and the last may be cut short."""
    assert question.start is not None and question.end is not None
    bounds = [question.start, *periods[1:], question.end]
    return {period: _length(bounds[at], bounds[at + 1]) for at, period in enumerate(periods)}


def _grain(by: str | None) -> Grain | None:
    return next((grain for grain in GRAINS if grain == by), None)


def _label(period: date | None, grain: Grain) -> str | None:
    if period is None:
        return None
    if grain == "quarter":
        return f"{period:%Y}-Q{(period.month + 2) // 3}"
    return period.strftime({"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[grain])


def period_of(day: date, grain: Grain) -> date:
    """Return the first day of the part of time that a day is in; weeks begin on Monday."""
    if grain == "week":
        return day - timedelta(days=day.weekday())
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if grain == "year" else day


def _periods(start: date, end: date, grain: Grain) -> Iterator[date]:
    """Give the first day of every part of time from one day to another, which is not included."""
    at = period_of(start, grain)
    while at < end:
        yield at
        step = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[grain]
        at = period_of(at + timedelta(days=step), grain)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(one) for one in value)}]"
    return "'" + str(value).replace("'", "''") + "'"


def _order(item: tuple[_Key, object]) -> tuple[Any, ...]:
    currency, group, period = item[0]
    return currency, group is not None, group or "", period or date.min


def _stock(grain: Grain | None) -> Invalid:
    if grain:
        return Invalid("metrics.stock_by_time", "What stands at a moment is asked for one moment at a time.")
    return Invalid("metrics.stock_since", "What stands at a moment has no beginning: leave it out.")


def unbuilt() -> Unavailable:
    """Return what is said where a figure's lines have not been made yet."""
    return Unavailable("metrics.unbuilt", "No metric has been built yet: run `takings metrics --build`.")
