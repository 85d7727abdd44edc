"""A figure and what it is made of: both are sums of the same lines, so the contributions add up to the figure exactly."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Self

from takings.clock import Clock
from takings.errors import Invalid, Unavailable
from takings.metrics.asking import Contribution, Figure, Question, Ranking, Value, largest_first
from takings.metrics.builder import FAILED, FILLINGS
from takings.metrics.foreseeing import Noted, as_text, at_once, bound
from takings.metrics.model import KNOWN_AT, LINE_COLUMNS, MANY, WINDOWS, Derived, Measure, Model
from takings.metrics.periods import (
    Grain,
    grain_of,
    label_of,
    length_of,
    lengths_of,
    months_before,
    periods,
)
from takings.metrics.pieces import lines_of, reaches_over
from takings.metrics.registry import Registry
from takings.metrics.rolling import FROM_LINES, SUMS
from takings.warehouse import Warehouse

_FIRST: Final = date(1, 1, 1)
_KEPT: Final = 512  # answers remembered
_KEPT_ROWS: Final = 5_000  # and no larger ones
_LISTED_ROWS: Final = 200  # of lists of lines, whose rows are wide


_Key = tuple[str, str | None, date | None]
"""Currency, group and period."""

_Sums = Mapping[_Key, Mapping[str, tuple[int, int]]]
"""By part: amount and number of lines."""


@dataclass(frozen=True, slots=True)
class _Stand:
    """How a model was filled the last time: when (None: never), how many lines it has, from what text and settings, whether a
    later try failed, and whether sums are kept of it."""

    built_at: datetime | None
    rows: int
    definition: str
    failing: bool
    summed: bool


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
        self._stood: dict[tuple[str | None, ...], Mapping[str, _Stand]] = {}
        self._kept: OrderedDict[tuple[Any, ...], _Sums] = OrderedDict()
        self._listed: OrderedDict[tuple[Any, ...], list[tuple[Any, ...]]] = OrderedDict()
        self._noted: dict[tuple[Any, ...], Noted] | None = None
        self._foreseen: dict[tuple[Any, ...], _Sums] = {}
        self._lock = threading.Lock()

    def still(self) -> Self:
        """Return the same for several questions one after the other: which lines have changed is asked once for all."""
        made = type(self)(self._warehouse, self._registry, self._clock)
        made._marks, made._kept, made._lock = self._warehouse.marks(), self._kept, self._lock
        made._listed, made._stood = self._listed, self._stood
        return made

    @contextmanager
    def foreseeing(self) -> Iterator[None]:
        """Note what is asked meanwhile instead of answering it, then ask all of it at once: a dozen questions cost little more than one.

        Sums that are asked for in it come out empty; they are right when they are asked for again afterwards. Only of what
        :meth:`still` returned: nobody else may ask meanwhile.

        Raises:
            Unavailable: The models have not been built yet.
        """
        self._noted = {}
        try:
            yield
            noted = self._noted
        finally:
            self._noted = None
        tables = {one.table for one in noted.values()}
        for table in sorted(tables):
            mine = {key: one for key, one in noted.items() if one.table == table}
            found: list[dict[_Key, dict[str, tuple[int, int]]]] = [{} for _ in mine]
            for place, currency, cut, since, part, amount, lines in self.ask(at_once(table, [*mine.values()]), {}):
                found[place].setdefault((currency, cut, since), {})[part] = (int(amount), int(lines))
            for key, sums in zip(mine, found, strict=True):
                self._foreseen[key] = sums
                self._remember(self._kept, key, sums)

    def cuts(self, name: str) -> tuple[str, ...]:
        """Return what a figure may be cut by and filtered on.

        Raises:
            NotFound: There is no such figure.
        """
        return self._registry.cuts(name)

    def summed(self) -> frozenset[str]:
        """Return the models of which sums by day are kept, because they have many lines; none before they are built."""
        still = self.still()
        return frozenset() if FILLINGS not in still._state() else still._summed()

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
        grain = grain_of(by)
        if measure.sum == "stock" and (grain or question.start is not None):
            raise _stock(grain)
        sums = self._measured(measure, question, grain, None if grain else by)
        found = [
            Figure(currency, amount, lines, label_of(period, grain) if grain else group)
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
        if by not in MANY:
            measure = self._registry.measure(question.measure)
            groups = self.answer(replace(question, start=None) if measure.sum == "stock" else question, by)
            return largest_first(groups)[:limit], len(groups)
        (found,) = self.rankings([question], by, limit)
        return found.largest(0, limit), found.counts[0]

    def rankings(self, questions: Sequence[Question], by: str, limit: int) -> list[Ranking]:
        """Return the largest groups of several measures, each in one currency; those of the same lines are read together.

        Args:
            questions: What, each with a currency: amounts of several cannot be compared.
            by: A dimension of all of them.
            limit: How many groups of each measure at most.

        Returns:
            One for each set of lines, in the order of the first question of each.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        found = []
        for measures, key, sql, values in self._ranked(questions, by, limit):
            rows = self._list(key, sql, values)
            width = len(measures)
            figures = {
                cut: tuple(
                    Figure(currency, int(amount or 0), int(lines), cut)
                    for amount, lines in zip(numbers[:width], numbers[width : 2 * width], strict=True)
                )
                for currency, cut, *numbers in rows
            }
            counts = tuple(int(one) for one in rows[0][2 + 2 * width :]) if rows else (0,) * width
            found.append(Ranking(measures, figures, counts))
        return found

    def ranks_at_once(self, questions: Sequence[Question], by: str, limit: int) -> bool:
        """Tell whether :meth:`rankings` answers without reading many lines: it has answered before, or there are few."""
        return all(
            key in self._listed or self._few(self._registry.measure(names[0]).model)
            for names, key, _, _ in self._ranked(questions, by, limit)
        )

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
        found = self._curved(
            figure, replace(question, start=first, end=last), grain, by, list(periods(first, last, grain))
        )
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
        model, sql, values = self._contributing(question, limit, offset)
        rows = self.ask(sql, values) if limit is None else self._list(self._key(model, sql, values), sql, values)
        found = []
        for row in rows:
            at, part, amount, currency, account, table, source, known_at, *said = row
            by = dict(zip(model.dimensions, said, strict=True))
            found.append(
                Contribution(at, part, amount, currency, account, table, source, by.get("customer"), known_at, by)
            )
        return found

    def contributes_at_once(self, question: Question, *, limit: int, offset: int = 0) -> bool:
        """Tell whether :meth:`contributions` answers without reading many lines: it has answered before, or there are few."""
        model, sql, values = self._contributing(question, limit, offset)
        return self._key(model, sql, values) in self._listed or self._few(model.name)

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
                question = replace(question, start=months_before(question.end, figure.trailing))
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
        return self._lines(measure, question, literal=True), bound(where, values)

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
        stands = self._stands()
        filled = {one.name for model in behind for one in self._registry.filled(model)}
        known = [at for name in filled if name in stands and (at := stands[name].built_at) is not None]
        if not known:
            raise unbuilt()
        return min(known)

    def definition(self, model: str) -> str:
        """Return what the lines of a model are known by that are kept; empty where there are none.

        Raises:
            Unavailable: As :meth:`answer`.
        """
        stand = self._stands().get(model)
        return stand.definition if stand else ""

    def failed(self, *names: str) -> list[str]:
        """Return the models behind some figures that could not be worked out the last time: their lines are too old.

        Raises:
            NotFound, Unavailable: As :meth:`answer`.
        """
        behind = {one.model for name in names for one in self._registry.behind(name)}
        models = {one.name for model in behind for one in self._registry.filled(self._registry.model(model))}
        stands = self._stands()
        return sorted(name for name in models if name in stands and stands[name].failing)

    def _contributing(self, question: Question, limit: int | None, offset: int) -> tuple[Model, str, dict[str, Any]]:
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
        sql = (
            "SELECT l.at AS at, l.part AS part, l.amount AS amount, l.currency AS currency, l.account AS account, "
            f"l.object AS object, l.source AS source, l.{KNOWN_AT} AS {KNOWN_AT}{cuts} "
            f"FROM {self._lines(measure, question)} AS l WHERE {where} {most}ORDER BY l.currency, {order}{cut}"
        )
        return model, sql, values

    def _ranked(
        self, questions: Sequence[Question], by: str, limit: int
    ) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...], str, dict[str, Any]]]:
        """Give the names of measures of the same lines with the key, SQL and values that rank their groups."""
        sets: dict[tuple[Any, ...], list[tuple[Measure, Question]]] = {}
        for question in questions:
            measure = self._registry.measure(question.measure)
            self._cut(measure.name, by)
            if measure.sum == "stock":
                question = replace(question, start=None)
            question = self._by_now(question, self._registry.model(measure.model))
            where, values = self._where(question, measure, parts=False)
            lines = self._lines(measure, question)
            sets.setdefault((lines, where, tuple(sorted(values.items()))), []).append((measure, question))
        for (lines, where, valued), mine in sets.items():
            parts = [
                f"l.part IN ({', '.join(as_text(part) for part in one.parts)})" if one.parts else "true"
                for one, _ in mine
            ]
            some = "" if "true" in parts else f" AND ({' OR '.join(parts)})"
            amounts = ", ".join(
                f"CAST(SUM(l.amount) FILTER ({part}) AS BIGINT) AS a{n}" for n, part in enumerate(parts)
            )
            counts = ", ".join(f"COUNT(*) FILTER ({part}) AS n{n}" for n, part in enumerate(parts))
            # Lines without a value are a group, too; IN finds no NULL, and no value is empty.
            tops = " OR ".join(
                f"coalesce(g.cut, '') IN (SELECT coalesce(t.cut, '') FROM g AS t WHERE t.n{n} > 0 "
                f"ORDER BY abs(t.a{n}) DESC, t.cut LIMIT {limit:d})"
                for n in range(len(mine))
            )
            shown = ", ".join(f"g.{letter}{n}" for letter in "an" for n in range(len(mine)))
            all_ = ", ".join(f"(SELECT COUNT(*) FROM g AS t WHERE t.n{n} > 0)" for n in range(len(mine)))
            sql = (
                f"WITH g AS MATERIALIZED (SELECT l.currency AS currency, l.{by} AS cut, {amounts}, {counts} FROM {lines} AS l "
                f"WHERE {where}{some} GROUP BY 1, 2) SELECT g.currency, g.cut, {shown}, {all_} FROM g WHERE {tops} ORDER BY g.cut"
            )
            values = dict(valued)
            model = self._registry.model(mine[0][0].model)
            yield tuple(measure.name for measure, _ in mine), self._key(model, sql, values), sql, values

    def _list(self, key: tuple[Any, ...], sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Ask for rows, or remember them."""
        with self._lock:
            rows = self._listed.get(key)
        if rows is None:
            rows = self.ask(sql, values)
            self._remember(self._listed, key, rows, _LISTED_ROWS)
        return rows

    def _remember(
        self, kept: OrderedDict[tuple[Any, ...], Any], key: tuple[Any, ...], found: Sized, most: int = _KEPT_ROWS
    ) -> None:
        if len(found) > most:
            return
        with self._lock:
            kept[key] = found
            while len(kept) > _KEPT:
                kept.popitem(last=False)

    def _valued(self, figure: Measure | Derived, question: Question, by: str | None) -> dict[_Key, Fraction | None]:
        if isinstance(figure, Measure):
            if figure.sum == "stock":
                question = replace(question, start=None)
            sums = self._measured(figure, question, None, by)
            return {key: Fraction(amount) for key, (amount, _) in sums.items()}
        over = self._valued(self._registry.figure(figure.over), question, by)
        if figure.days:
            over = _for_days(over, {None: length_of(question.start, question.end)})
        if figure.under is None:
            return _divided(figure, over, None)
        below = self._registry.figure(figure.under)
        if figure.under_at == "start":
            if question.start is None:  # nothing stood before the beginning
                return dict.fromkeys(over)
            question = replace(question, start=None, end=question.start)
        return _divided(figure, over, self._valued(below, question, by))

    def _curved(
        self, figure: Measure | Derived, question: Question, grain: Grain, by: str | None, firsts: list[date]
    ) -> dict[_Key, Fraction | None]:
        """Return a figure's value by currency, group and period."""
        if isinstance(figure, Derived):
            over = self._curved(self._registry.figure(figure.over), question, grain, by, firsts)
            if figure.days:
                assert question.start is not None and question.end is not None
                over = _for_days(over, lengths_of(firsts, question.start, question.end))
            if figure.under is None:
                return _divided(figure, over, None)
            under = self._curved(self._registry.figure(figure.under), question, grain, by, firsts)
            if figure.under_at == "start":
                below = self._registry.figure(figure.under)
                at_start = replace(question, start=None, end=question.start)
                opening = self._valued(below, at_start, by)
                before = dict(zip(firsts[1:], firsts, strict=False))
                under = {
                    (c, g, p): under.get((c, g, before[p])) if p in before else opening.get((c, g, None))
                    for c, g, p in under
                }
            return _divided(figure, over, under)
        sums = self._measured(figure, question, grain, by)
        found: dict[_Key, Fraction | None] = {}
        for currency, group in {(c, g): None for c, g, _ in sums}:
            running = sums.get((currency, group, None), (0, 0))[0]
            for period in firsts:
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
        if key in self._foreseen:
            return self._foreseen[key]
        if self._noted is not None and (rolled is not None or (lines == model.table and self._few(model.name))):
            since = None if opening else asked.start
            kept = None if rolled is None else (model.name, rolled)
            self._noted[key] = Noted(lines, sql, values, kept, since, asked.end)
            return {}
        found: dict[_Key, dict[str, tuple[int, int]]] = {}
        for currency, cut, since, part, amount, lines in self.ask(sql, values):
            found.setdefault((currency, cut, since), {})[part] = (int(amount), int(lines))
        self._remember(self._kept, key, found)
        return found

    def _rolled(self, measure: Measure, question: Question, grain: Grain | None, by: str | None) -> str | None:
        """Return the dimension of the sums by day that answer a question (empty: none); None where the lines must."""
        model = self._registry.model(measure.model)
        if model.kind != "lines" or question.known is not None or model.name not in self._summed():
            return None
        if model.spread and reaches_over(question, grain):
            return None
        cuts = {*question.only, by} - {None, "account", "part"}
        if not cuts:
            return ""
        return by_one if len(cuts) == 1 and (by_one := str(*cuts)) in model.rolled else None

    def _summed(self) -> frozenset[str]:
        """Return the models of which sums by day are kept."""
        if SUMS not in self._state():
            return frozenset()
        return frozenset(name for name, one in self._stands().items() if one.summed) - self._bare

    def _few(self, model: str) -> bool:
        """Tell whether all lines of a model are read in no time; of those that last as long as a session nobody knows."""
        stand = None if model in self._bare else self._stands().get(model)
        return stand is not None and stand.rows < FROM_LINES and not stand.summed

    def _stands(self) -> Mapping[str, _Stand]:
        """Return how each model that was ever filled stands.

        Raises:
            Unavailable: None has been built yet.
        """
        state = self._state()
        key = (state.get(FILLINGS), state.get(SUMS))
        with self._lock:
            found = self._stood.get(key)
        if found is None:
            sums = f"SELECT s.model FROM {SUMS} AS s GROUP BY s.model" if SUMS in state else "SELECT NULL WHERE false"
            rows = self.ask(
                f"SELECT f.model AS model, max(f.built_at) FILTER (f.cause <> '{FAILED}') AS built_at, "
                f"coalesce(arg_max(f.rows, f.built_at) FILTER (f.cause <> '{FAILED}'), 0) AS rows, "
                f"coalesce(arg_max(f.definition, f.built_at) FILTER (f.cause <> '{FAILED}'), '') AS definition, "
                f"arg_max(f.cause, f.built_at) = '{FAILED}' AS failing, f.model IN ({sums}) AS summed "
                f"FROM {FILLINGS} AS f GROUP BY f.model",
                {},
            )
            found = {model: _Stand(*stand) for model, *stand in rows}
            with self._lock:
                self._stood.clear()
                self._stood[key] = found
        return found

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
            conditions.append(f"l.part IN ({', '.join(as_text(part) for part in measure.parts)})")
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
            return lines_of(model, question, grain, literal=literal)
        sql = model.sql
        for need in self._registry.needed(model):
            sql = need.renamed(sql, lines_of(need, question, literal=literal))
        windows = ", ".join(
            f"({as_text(since)}, {as_text(until)})" for since, until in self._windows(measure, question, grain)
        )
        return f"({WINDOWS.sub(f'JOIN (VALUES {windows}) AS w(since, until)', sql)})"

    def _windows(self, measure: Measure, question: Question, grain: Grain | None) -> list[tuple[date, date]]:
        """Return the periods that a measure of windows is worked out for: first day, and the day after the last."""
        end = question.end or self._clock.now().astimezone(UTC).date() + timedelta(days=1)
        if grain is None:
            bounds = [question.start or _FIRST, end]
        else:
            start = question.start or self._span(measure, question, grain)[0] or end
            bounds = [start, *list(periods(start, end, grain))[1:], end]
        return [
            (months_before(until, measure.trailing) if measure.trailing else since, until)
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
