"""A figure and what it is made of: both are sums of the same lines, so the contributions add up to the figure exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from takings.errors import Invalid, Unavailable
from takings.metrics.builder import BUILDS
from takings.metrics.model import Measure
from takings.metrics.registry import Registry
from takings.warehouse import Warehouse

_ALWAYS: Final = ("account", "part")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        measure: Name of the figure.
        start: First day of a flow; None for all there is. A stock takes none.
        end: The day after the last: periods are half-open. None for all there is.
        currency: Only this one; None for each by itself.
        account: Only this account of Stripe; None for all.
        livemode: Live data, or that of sandboxes.
        only: Values of dimensions, by name.
    """

    measure: str
    start: date | None = None
    end: date | None = None
    currency: str | None = None
    account: str | None = None
    livemode: bool = True
    only: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """A sum in one currency.

    Attributes:
        currency: ISO code, small letters.
        amount: Minor units.
        lines: How many lines it sums.
        group: Value of the dimension it was cut by; None where it was not cut, or where lines have no value.
    """

    currency: str
    amount: int
    lines: int
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line of a figure: when, how much, why, and the Stripe object that made it."""

    at: datetime
    part: str
    amount: int
    currency: str
    account: str
    object: str
    source: str
    customer: str | None


class Figures:
    """Answers questions from the lines that the models hold.

    Args:
        warehouse: Where they are.
        registry: What figures there are.
    """

    def __init__(self, warehouse: Warehouse, registry: Registry) -> None:
        self._warehouse = warehouse
        self._registry = registry

    def cuts(self, measure: str) -> tuple[str, ...]:
        """Return what a figure may be cut by and filtered on.

        Raises:
            NotFound: There is no such figure.
        """
        model = self._registry.model(self._registry.measure(measure).model)
        return (*_ALWAYS, *model.dimensions)

    def answer(self, question: Question, by: str | None = None) -> list[Figure]:
        """Return the figure in each currency, or in each currency and group.

        Args:
            question: What.
            by: A dimension, ``day`` or ``month``; of a flow only where it is a time.

        Raises:
            NotFound: There is no such figure.
            Invalid: It cannot be cut or filtered so.
            Unavailable: The models have not been built yet.
        """
        measure = self._registry.measure(question.measure)
        day = "l.day_utc" if measure.utc else "l.day"
        group = "CAST(NULL AS VARCHAR)"
        if by in ("day", "month"):
            if measure.sum == "stock":
                raise Invalid("metrics.stock_by_time", "What stands at a moment is asked for one moment at a time.")
            group = f"strftime({day}, '{'%Y-%m-%d' if by == 'day' else '%Y-%m'}')"
        elif by is not None:
            group = f"l.{self._cut(question.measure, by)}"
        where, values = self._where(question, measure)
        rows = self._ask(
            f"SELECT l.currency AS currency, {group} AS cut, CAST(SUM(l.amount) AS BIGINT) AS amount, COUNT(*) AS lines "
            f"FROM metrics.{measure.model} AS l WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2",
            values,
        )
        return [Figure(currency, int(amount), int(lines), group) for currency, group, amount, lines in rows]

    def contributions(self, question: Question, *, limit: int | None = None) -> list[Contribution]:
        """Return the lines of a figure, currency by currency, the largest first.

        Args:
            question: What.
            limit: Most lines of each currency, whose amounts cannot be compared; None: all.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`answer`.
        """
        measure = self._registry.measure(question.measure)
        where, values = self._where(question, measure)
        model = self._registry.model(measure.model)
        customer = "l.customer" if "customer" in model.dimensions else "NULL"
        order = "abs(l.amount) DESC, l.at, l.id"
        most = (
            ""
            if limit is None
            else f"QUALIFY row_number() OVER (PARTITION BY l.currency ORDER BY {order}) <= {limit:d} "
        )
        rows = self._ask(
            f"SELECT l.at AS at, l.part AS part, l.amount AS amount, l.currency AS currency, l.account AS account, "
            f"l.object AS object, l.source AS source, {customer} AS customer FROM metrics.{measure.model} AS l "
            f"WHERE {where} {most}ORDER BY l.currency, {order}",
            values,
        )
        return [Contribution(*row) for row in rows]

    def built_at(self, measure: str) -> datetime:
        """Return when the lines of a figure were made: it knows what was known then.

        Raises:
            NotFound, Unavailable: As :meth:`answer`.
        """
        model = self._registry.measure(measure).model
        rows = self._ask(f"SELECT b.built_at AS at FROM {BUILDS} AS b WHERE b.model = $model", {"model": model})
        if not rows:
            raise _unbuilt()
        at: datetime = rows[0][0]
        return at

    def _where(self, question: Question, measure: Measure) -> tuple[str, dict[str, Any]]:
        day = "l.day_utc" if measure.utc else "l.day"
        conditions = ["l.livemode = $livemode"]
        values: dict[str, Any] = {"livemode": question.livemode}
        if measure.parts:
            conditions.append("l.part IN (SELECT UNNEST($parts))")
            values["parts"] = list(measure.parts)
        if question.start is not None:
            if measure.sum == "stock":
                raise Invalid("metrics.stock_since", "What stands at a moment has no beginning: leave it out.")
            conditions.append(f"{day} >= $start")
            values["start"] = question.start
        if question.end is not None:
            conditions.append(f"{day} < $end")
            values["end"] = question.end
        asked = {"currency": question.currency, "account": question.account}
        for name, value in asked.items():
            if value is not None:
                conditions.append(f"l.{name} = ${name}")
                values[name] = value
        for name, value in question.only.items():
            conditions.append(f"l.{self._cut(question.measure, name)} = $only_{name}")
            values[f"only_{name}"] = value
        return " AND ".join(conditions), values

    def _cut(self, measure: str, name: str) -> str:
        cuts = self.cuts(measure)
        if name not in cuts:
            names = ", ".join(cuts)
            raise Invalid(
                "metrics.no_cut", f"This metric cannot be cut by “{name}”. It can by: {names}.", name=name, names=names
            )
        return name

    def _ask(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return self._warehouse.query(sql, values).rows
        except Invalid:  # a table that is not there is the only thing that can be wrong with SQL of ours
            if BUILDS in self._warehouse.marks():
                raise
            raise _unbuilt() from None


def _unbuilt() -> Unavailable:
    return Unavailable("metrics.unbuilt", "No metric has been built yet: run `takings metrics --build`.")
