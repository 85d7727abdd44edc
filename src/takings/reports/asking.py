"""Asks the warehouse: answers to questions, the rows behind each figure, and the lists of a report; cached by snapshot."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from takings.clock import Clock, Period
from takings.metrics import Figures
from takings.reports import queries
from takings.reports.answer import Answer, Detail, Point, Standing, Sum, total_of
from takings.reports.figures import FIGURES
from takings.reports.question import Question, Scope
from takings.reports.ranges import Days, Grain, bucket_start, buckets
from takings.warehouse import Warehouse

T = TypeVar("T")

_EVERYTHING: Final = {"limit": 2**62, "offset": 0}
#: Longer pages than this are not kept in memory.
_KEPT_LINES: Final = 1000
_LOOK_S: Final = 0.25
_AGES_DAYS: Final = (30, 60, 90, 120)
_BALANCE: Final = "money_lines"
_SIDES: Final = {
    "balance": (_BALANCE,),
    "payments": ("attempt_lines", "intent_lines"),
    "invoices": ("receivable_lines",),
}
"""Models whose lines tell which currencies are in use, by side."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much a currency is used.

    Attributes:
        balance: Balance transactions settled in it.
        payments: Payments and attempts made in it.
        invoices: Open invoices written in it.
    """

    currency: str
    balance: int
    payments: int
    invoices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """Which contributions to show: those behind a figure, perhaps of one step or one detail.

    Attributes:
        question: The question the figure answered; its ``days`` may be those of one bucket.
        figure: Key of the figure.
        detail: Only contributions with this detail, ``None`` for all.
    """

    question: Question
    figure: str
    detail: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts whose contributions are shown; for a ratio those of its base."""
        figure = FIGURES[self.figure]
        return figure.of or figure.parts


@dataclass(frozen=True, slots=True)
class Line:
    """One contribution to a figure.

    Attributes:
        at: When it counts.
        part: Which part of the figure it belongs to.
        detail: What kind it is there: reporting category, status, decline reason, invoice number.
        id: The object that it is taken from.
        object: That object's type in Stripe's words.
        amount: Signed minor units.
        source: What the object refers to, such as the charge behind a balance transaction.
        payment: The PaymentIntent or charge it belongs to, where there is one.
        customer: The customer's id, where there is one.
    """

    at: datetime
    part: str
    detail: str | None
    id: str
    object: str
    amount: int
    currency: str
    source: str | None
    payment: str | None
    customer: str | None
    customer_name: str | None
    description: str | None
    account: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class Payment:
    """One charge in the list of latest payments: an attempt that went through, or did not.

    Attributes:
        state: succeeded, uncaptured, released, refunded, partly_refunded, disputed, pending, failed or blocked.
        reason: Why it failed, else ``None``.
    """

    id: str
    payment_intent: str | None
    at: datetime
    amount: int
    captured: int | None
    refunded: int | None
    currency: str
    state: str
    reason: str | None
    method: str | None
    brand: str | None
    last4: str | None
    customer: str | None
    customer_name: str | None
    description: str | None
    account: str
    livemode: bool


Named = Literal["customer", "product", "price", "tax_rate"]
"""Kinds of objects that people have names for."""


class Reports:
    """The one place to ask. Safe to share between threads.

    Args:
        warehouse: Where the rows are.
        clock: Tells when an answer was read.
        figures: Tell of which lines there are so many that their sums by day say sooner what there is; None: it is always asked of
            Stripe's tables.
        entries: Answers kept, at most; an older one gives way, and all of an older snapshot are of no use.
    """

    def __init__(self, warehouse: Warehouse, clock: Clock, figures: Figures | None = None, entries: int = 1024) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._figures = figures
        self._entries = entries
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._looked: tuple[float, int | None] = (0.0, None)

    def today(self, zone: str) -> date:
        """Return the present day in a zone."""
        return self._clock.now().astimezone(ZoneInfo(zone)).date()

    def now(self) -> datetime:
        """Return the present moment, cut to the minute: answers about the present hold that long."""
        return self._clock.now().replace(second=0, microsecond=0)

    def accounts(self) -> tuple[tuple[str, bool], ...]:
        """Return the accounts with payments in the warehouse, as (id, livemode)."""

        def read(_: int) -> tuple[tuple[str, bool], ...]:
            name = "accounts_summed" if _BALANCE in self._summed() else "accounts"
            return tuple(self._rows(queries.statement(name), {}))

        return self._cached(("accounts",), read)

    def currencies(self, scope: Scope) -> tuple[Use, ...]:
        """Return the currencies in use, the most settled first."""

        def read(_: int) -> tuple[Use, ...]:
            sides: dict[str, dict[str, int]] = {}
            summed = self._summed()
            sql = _uses(summed) if _BALANCE in summed else queries.statement("currencies")
            for currency, side, lines in self._rows(sql, _of(scope)):
                sides.setdefault(currency, {})[side] = lines
            found = (
                Use(currency, n.get("balance", 0), n.get("payments", 0), n.get("invoices", 0))
                for currency, n in sides.items()
            )
            return tuple(sorted(found, key=lambda u: (-u.balance, -u.payments, -u.invoices, u.currency)))

        return self._cached(("currencies", scope), read)

    def extent(self, scope: Scope) -> tuple[datetime, datetime] | None:
        """Return the first and the last moment with payments, ``None`` where there are none."""

        def read(_: int) -> tuple[datetime, datetime] | None:
            ((first, last),) = self._rows(queries.statement("extent"), _of(scope))
            return None if first is None else (first, last)

        return self._cached(("extent", scope), read)

    def answer(self, question: Question) -> Answer:
        """Answer a question about a range of days."""

        def read(snapshot: int) -> Answer:
            points, details = self._points(question, question.days)
            previous = self._points(question, question.against)[0] if question.against else ()
            sums, before = total_of(points), total_of(previous)
            return Answer(question, points, previous, details, sums, before, snapshot, self._clock.now())

        return self._cached(("answer", question), read)

    def standing(self, question: Question) -> Standing:
        """Answer a question about what stands at the moment ``question.as_of``."""

        def read(snapshot: int) -> Standing:
            sums: dict[str, Sum] = {}
            oldest: dict[str, datetime] = {}
            sql = queries.over(question.topic, "by_part")
            for part, lines, amount, first in self._rows(sql, parameters(question)):
                sums[part] = Sum(lines, amount)
                oldest[part] = first
            return Standing(question, sums, oldest, snapshot, self._clock.now())

        return self._cached(("standing", question), read)

    def total(self, drill: Drill) -> Sum:
        """Return how many contributions a drill shows and what they add up to."""

        def read(_: int) -> Sum:
            values = parameters(drill.question) | {"parts": list(drill.parts), "detail": drill.detail}
            ((lines, amount),) = self._rows(queries.over(drill.question.topic, "rows_total"), values)
            return Sum(lines, amount)

        return self._cached(("total", drill), read)

    def lines(self, drill: Drill, limit: int, offset: int = 0) -> tuple[Line, ...]:
        """Return a page of the contributions behind a figure, newest first."""

        def read(_: int) -> tuple[Line, ...]:
            values = parameters(drill.question) | {"parts": list(drill.parts), "detail": drill.detail}
            sql = queries.over(drill.question.topic, "rows")
            rows = self._rows(sql, values | {"limit": limit, "offset": offset})
            return tuple(Line(*row) for row in rows)

        return self._cached(("lines", drill, limit, offset), read, keep=limit <= _KEPT_LINES)

    def all_lines(self, drill: Drill) -> Iterator[Line]:
        """Go through every contribution behind a figure, as of one state of the data."""
        values = parameters(drill.question) | {"parts": list(drill.parts), "detail": drill.detail} | _EVERYTHING
        for row in self._stream(queries.over(drill.question.topic, "rows"), values):
            yield Line(*row)

    def payments(self, question: Question, limit: int, offset: int = 0) -> tuple[Payment, ...]:
        """Return the payments of a question's days, newest first."""

        def read(_: int) -> tuple[Payment, ...]:
            values = parameters(question) | {"limit": limit, "offset": offset}
            rows = self._rows(queries.statement("latest"), values)
            return tuple(Payment(*row) for row in rows)

        return self._cached(("payments", question, limit, offset), read, keep=limit <= _KEPT_LINES)

    def all_payments(self, question: Question) -> Iterator[Payment]:
        """Go through every payment of a question's days, as of one state of the data."""
        for row in self._stream(queries.statement("latest"), parameters(question) | _EVERYTHING):
            yield Payment(*row)

    def names(self, kind: Named, ids: frozenset[str]) -> dict[str, str]:
        """Return what people call objects of a kind, by id; those without a name are left out."""

        def read(_: int) -> dict[str, str]:
            rows = self._rows(queries.statement(f"names_{kind}"), {"ids": sorted(ids)})
            return {id_: name for id_, name in rows if name}

        return self._cached(("names", kind, ids), read) if ids else {}

    def about(self, transactions: frozenset[str]) -> dict[str, str]:
        """Return the payment (else Stripe's source) that each of some balance transactions is about, by its id."""

        def read(_: int) -> dict[str, str]:
            rows = self._rows(queries.statement("behind"), {"ids": sorted(transactions)})
            return {id_: about for id_, about in rows if about}

        return self._cached(("about", transactions), read) if transactions else {}

    def _summed(self) -> frozenset[str]:
        """Return the models with many lines, whose sums by day are kept."""
        figures = self._figures
        return frozenset() if figures is None else self._cached(("summed",), lambda _: figures.summed())

    def _points(self, question: Question, days: Days) -> tuple[tuple[Point, ...], tuple[Detail, ...]]:
        sums: dict[date, dict[str, Sum]] = {}
        details: dict[tuple[str, str], Sum] = {}
        sql = queries.over(question.topic, "by_day")
        for day, part, detail, lines, amount in self._rows(sql, parameters(question, days)):
            found = Sum(lines, amount)
            step = sums.setdefault(_step(day, question.grain, days), {})
            step[part] = step.get(part, Sum()) + found
            key = (part, detail or "")
            details[key] = details.get(key, Sum()) + found
        points = tuple(Point(bucket, sums.get(bucket.days.first, {})) for bucket in buckets(days, question.grain))
        ordered = sorted(details.items(), key=lambda item: (-item[1].lines, item[0]))
        return points, tuple(Detail(part, detail, found) for (part, detail), found in ordered)

    def _rows(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._warehouse.query(sql, queries.used(sql, values)).rows
        return rows

    def _stream(self, sql: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        with self._warehouse.stream(sql, queries.used(sql, values)) as (_, batches):
            for batch in batches:
                yield from batch

    def _snapshot(self) -> int:
        # Asking costs a look into the catalog, and a page has a dozen questions: they share one look.
        read_at, snapshot = self._looked
        now = self._clock.monotonic()
        if snapshot is None or now - read_at > _LOOK_S:
            snapshot = self._warehouse.snapshot()
            self._looked = (now, snapshot)
        return snapshot

    def _cached(self, key: Hashable, read: Callable[[int], T], *, keep: bool = True) -> T:
        snapshot = self._snapshot()
        full = (snapshot, key)
        with self._lock:
            if full in self._kept:
                self._kept.move_to_end(full)
                return self._kept[full]  # type: ignore[no-any-return]
        found = read(snapshot)
        if keep:
            with self._lock:
                self._kept[full] = found
                while len(self._kept) > self._entries:
                    self._kept.popitem(last=False)
        return found


def _uses(summed: frozenset[str]) -> str:
    """Return SQL that tells of lines what ``currencies.sql`` tells of Stripe's tables."""
    arms = [
        queries.statement("uses_summed" if model in summed else "uses_lines").format(side=side, model=model)
        for side, models in _SIDES.items()
        for model in models
    ]
    return (
        f"SELECT x.currency AS currency, x.side AS side, CAST(SUM(x.lines) AS BIGINT) AS lines FROM ({' UNION ALL '.join(arms)}) AS x "
        "GROUP BY x.currency, x.side ORDER BY currency, side"
    )


def parameters(question: Question, days: Days | None = None) -> dict[str, Any]:
    """Return the values that a topic's SQL is bound to: what the explanation of a figure shows beside it.

    Args:
        question: The question.
        days: Other days than the question's own.
    """
    period: Period = (days or question.days).period(question.zone)
    end = question.as_of or period.end
    return (
        _of(question.scope)
        | {"currency": question.currency, "zone": question.zone, "start": period.start, "end": end}
        | {f"days_{age}": end - timedelta(days=age) for age in _AGES_DAYS}
    )


def _of(scope: Scope) -> dict[str, Any]:
    return {"livemode": scope.livemode, "accounts": list(scope.accounts)}


def _step(day: date, grain: Grain, days: Days) -> date:
    return max(bucket_start(day, grain), days.first)
