"""The figures of a dashboard for one choice of days, currency, account and filters: values, curves and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from takings.metrics import MANY, Derived, Figures, Measure, Question, Registry
from takings.reports.question import Scope
from takings.reports.ranges import Bucket, Days, Grain, bucket_start, buckets

MOST_CURVES: Final = 6


@dataclass(frozen=True, slots=True)
class View:
    """What a reader chose.

    Attributes:
        days: Both ends in them.
        against: The days compared with; None for none.
        only: Values of dimensions, by name; None for lines without a value.
        known: As was known at this moment; None for now.
    """

    scope: Scope
    currency: str
    days: Days
    against: Days | None
    grain: Grain
    only: Mapping[str, str | None] = field(default_factory=dict)
    known: datetime | None = None

    def ask(self, metric: str, days: Days | None = None) -> Question:
        """Return the question about a figure, over the view's days or others."""
        over = days or self.days
        return Question(
            metric,
            start=over.first,
            end=over.last + timedelta(days=1),
            currency=self.currency,
            livemode=self.scope.livemode,
            only=dict(self.only),
            known=self.known,
            accounts=self.scope.accounts,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure and what it was.

    Attributes:
        value: Exact; None where there is none.
        before: Over the days compared with.
        there: Whether it has any line.
        applies: Whether it can be filtered as the view is; if not, there is no value.
    """

    figure: Measure | Derived
    value: Fraction | None
    before: Fraction | None
    there: bool
    applies: bool = True

    @property
    def change(self) -> Fraction | None:
        """The change as a share of what was before; None where that is 0, or of another sign."""
        if self.value is None or not self.before or self.value * self.before < 0:
            return None
        return (self.value - self.before) / self.before


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure along the buckets of a view.

    Attributes:
        figure: Which.
        group: Value of the dimension it is cut by; None also for lines without one.
        values: One a bucket.
        before: Over the days compared with, bucket for bucket; empty without comparison.
        rest: How many further groups are added up in it; 0: it is one group.
    """

    figure: Measure | Derived
    group: str | None
    values: tuple[Fraction | None, ...]
    before: tuple[Fraction | None, ...] = ()
    rest: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A group of a table: a value for each figure."""

    group: str | None
    values: tuple[Fraction | None, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures by group, the largest of the first figure first.

    Attributes:
        rows: At most as many as were asked for.
        left: How many groups are not among them; None: some, nobody counted.
        rest: What these come to, where figures add up.
        total: What all come to; None where a figure has none.
    """

    rows: tuple[Row, ...]
    left: int | None
    rest: tuple[Fraction | None, ...]
    total: tuple[Fraction | None, ...]


class Board:
    """Asks for the figures of one view, all of one state of the lines.

    Args:
        figures: Where they are asked.
        registry: What they are.
        view: What the reader chose.
    """

    def __init__(self, figures: Figures, registry: Registry, view: View) -> None:
        self._figures = figures.still()
        self._registry = registry
        self.view = view
        self.buckets: tuple[Bucket, ...] = buckets(view.days, view.grain)

    def applies(self, metric: str) -> bool:
        """Tell whether a figure can be filtered as the view is."""
        return set(self.view.only) <= set(self._registry.cuts(metric))

    def reading(self, metric: str) -> Reading:
        """Return a figure and what it was.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        figure = self._registry.figure(metric)
        if not self.applies(metric):
            return Reading(figure, None, None, there=False, applies=False)
        found = self._value(metric, self.view.days)
        before = self._value(metric, self.view.against) if self.view.against else {}
        return Reading(figure, found.get(None), before.get(None), there=bool(found))

    def curves(self, metric: str, by: str | None) -> tuple[Curve, ...]:
        """Return a figure along the view's buckets: one curve, or one for each of the largest groups and one for the rest.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        figure = self._registry.figure(metric)
        if not self.applies(metric):
            return ()
        view = self.view
        found = self._series(metric, view.days, by)
        if by is None:
            values = found.get(None, ())
            before = self._series(metric, view.against, None).get(None, ()) if view.against else ()
            return (Curve(figure, None, values, before[: len(values)]),) if values else ()
        ordered = sorted(found, key=lambda group: (-_weight(found[group]), group or ""))
        kept, others = ordered[:MOST_CURVES], ordered[MOST_CURVES:]
        if len(others) == 1:
            kept, others = ordered, []
        made = [Curve(figure, group, found[group]) for group in kept]
        if others and isinstance(figure, Measure):
            summed = tuple(_sum(column) for column in zip(*(found[group] for group in others), strict=True))
            made.append(Curve(figure, None, summed, rest=len(others)))
        return tuple(made)

    def table(self, by: str, metrics: tuple[str, ...], top: int | None) -> Table | None:
        """Return figures by group; None where one of them cannot be filtered as the view is.

        Args:
            by: The dimension.
            metrics: The figures.
            top: How many rows; None: all.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        if not all(self.applies(metric) for metric in metrics):
            return None
        figures = [self._registry.figure(metric) for metric in metrics]
        measures = self._measures(metrics, by, top)
        if top is not None and measures:
            shown, count, columns = self._ranked(metrics, measures, by, top)
        else:
            columns = [self._value(metric, self.view.days, by) for metric in metrics]
            first = columns[0]
            found = dict.fromkeys(sorted(first, key=lambda group: (-abs(first[group] or 0), group or "")))
            found |= dict.fromkeys(group for column in columns for group in column)
            shown, count = list(found) if top is None else list(found)[:top], len(found)
        rows = tuple(
            Row(group, tuple(_cell(column, group, figure) for column, figure in zip(columns, figures, strict=True)))
            for group in shown
        )
        if top is not None:  # what came back to nothing is among the others
            rows = tuple(row for row in rows if any(row.values))
        total = tuple(
            _cell(self._value(metric, self.view.days), None, figure)
            for metric, figure in zip(metrics, figures, strict=True)
        )
        rest = tuple(
            (whole or 0) - _sum(row.values[at] for row in rows) if isinstance(figure, Measure) else None
            for at, (figure, whole) in enumerate(zip(figures, total, strict=True))
        )
        return Table(rows, None if count is None else count - len(rows), rest, total)

    def table_at_once(self, by: str, metrics: tuple[str, ...], top: int | None) -> bool:
        """Tell whether :meth:`table` answers without reading many lines.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        measures = self._measures(metrics, by, top)
        if top is None or not measures or not all(self.applies(metric) for metric in metrics):
            return True
        return self._figures.ranks_at_once([self.view.ask(metric) for metric in measures], by, top)

    def _measures(self, metrics: tuple[str, ...], by: str, top: int | None) -> list[str]:
        """Return the measures whose lines tell the largest of many groups; none where all groups are asked for anyway."""
        if top is None or by not in MANY or not isinstance(self._registry.figure(metrics[0]), Measure):
            return []
        return [metric for metric in metrics if isinstance(self._registry.figure(metric), Measure)]

    def _ranked(
        self, metrics: tuple[str, ...], measures: list[str], by: str, top: int
    ) -> tuple[list[str | None], int | None, list[dict[str | None, Fraction | None]]]:
        """Return the largest groups, those of the first figure before others; how many there are, if that is known; and the figures."""
        rankings = self._figures.rankings([self.view.ask(metric) for metric in measures], by, top)
        place = {name: (ranking, at) for ranking in rankings for at, name in enumerate(ranking.measures)}
        each = [place[metric] for metric in measures]
        groups = list(dict.fromkeys(one.group for ranking, at in each for one in ranking.largest(at, top)))
        counts = [ranking.counts[at] for ranking, at in each]
        count = len(groups) if all(one <= top for one in counts) else counts[0] if len(counts) == 1 else None
        shown = groups[:top]
        columns: list[dict[str | None, Fraction | None]] = []
        for metric in metrics:
            if metric in place and len(rankings) == 1:
                ranking, at = place[metric]
                columns.append(
                    {group: Fraction(held[at].amount) for group, held in ranking.figures.items() if held[at].lines}
                )
            else:
                columns.append(self._value(metric, self.view.days, by, tuple(shown)))
        return shown, count, columns

    @property
    def figures(self) -> Figures:
        """Where the figures are asked: all of one state of the lines."""
        return self._figures

    @contextmanager
    def foreseeing(self) -> Iterator[None]:
        """Take what is asked meanwhile as what will be asked; see :meth:`takings.metrics.Figures.foreseeing`.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        with self._figures.foreseeing():
            yield

    def values_of(self, metric: str, cut: str, most: int) -> tuple[str | None, ...]:
        """Return the values of a dimension that occur, whatever is filtered by it now, the largest first.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        asked = self.view.ask(metric)
        only = {
            name: value for name, value in asked.only.items() if name != cut and name in self._registry.cuts(metric)
        }
        question = replace(asked, only=only)
        if cut in MANY and isinstance(self._registry.figure(metric), Measure):
            return tuple(one.group for one in self._figures.largest(question, cut, most)[0])
        found = self._figures.values(question, cut)
        return tuple(one.group for one in sorted(found, key=lambda one: (-abs(one.value or 0), one.group or "")))[:most]

    def ever(self, metric: str) -> bool:
        """Tell whether a figure has any line at all, of the view's accounts, in whatever currency.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        scope = self.view.scope
        question = Question(metric, livemode=scope.livemode, accounts=scope.accounts, known=self.view.known)
        return bool(self._figures.values(question))

    def grid(self, metric: str, by: str) -> dict[str, dict[int, Fraction | None]]:
        """Return a figure by cohort and by month since the cohort began, of a year's cohorts at least.

        Returns:
            By cohort, the earliest first (see :func:`month_of`), then by number of months since.

        Raises:
            Unavailable: The figures have not been made yet.
        """
        if not self.applies(metric):
            return {}
        last = self.view.days.last
        first = min(self.view.days.first, (last.replace(day=1) - timedelta(days=330))).replace(day=1)
        found: dict[str, dict[int, Fraction | None]] = {}
        for one in self._figures.series(self.view.ask(metric, Days(first, last)), "month", by):
            cohort = month_of(one.group)
            if one.group is None or cohort is None or one.period is None or cohort < first:
                continue
            age = (one.period.year - cohort.year) * 12 + one.period.month - cohort.month
            if age >= 0:
                found.setdefault(one.group, {})[age] = one.value
        return dict(sorted(found.items()))

    def _value(
        self, metric: str, days: Days, by: str | None = None, among: tuple[str | None, ...] | None = None
    ) -> dict[str | None, Fraction | None]:
        asked = self.view.ask(metric, days)
        if by is not None and among is not None and by not in asked.only:
            asked = replace(asked, only={**asked.only, by: among})
        return {one.group: one.value for one in self._figures.values(asked, by)}

    def _series(self, metric: str, days: Days, by: str | None) -> dict[str | None, tuple[Fraction | None, ...]]:
        grain = self.view.grain
        found: dict[str | None, dict[date, Fraction | None]] = {}
        for one in self._figures.series(self.view.ask(metric, days), grain, by):
            if one.period is not None:
                found.setdefault(one.group, {})[one.period] = one.value
        steps = [bucket_start(bucket.days.first, grain) for bucket in buckets(days, grain)]
        return {group: tuple(values.get(step) for step in steps) for group, values in found.items()}


def month_of(text: str | None) -> date | None:
    """Return the first day of the month that a cohort is named after, such as ``2026-03``; None where it is no month."""
    try:
        return date.fromisoformat(text if text and len(text) > 7 else f"{text}-01").replace(day=1)
    except ValueError:
        return None


def _cell(column: dict[str | None, Fraction | None], group: str | None, figure: Measure | Derived) -> Fraction | None:
    return column.get(group, Fraction(0) if isinstance(figure, Measure) else None)


def _weight(values: tuple[Fraction | None, ...]) -> Fraction:
    return sum((abs(value) for value in values if value is not None), Fraction(0))


def _sum(values: Iterable[Fraction | None]) -> Fraction:
    return sum((value for value in values if value is not None), Fraction(0))
