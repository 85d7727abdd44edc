"""Closed months, restatements and corrections: what changed in the past, since when, and where it is booked.

A line that came, or went, after the period it belongs to had ended restates that period's figures. Once a month is closed
its figures stay: what becomes known of it later is booked to the month that is open then, and listed as a correction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from takings.accounts import Audit, Person
from takings.accounts.tokens import new_id
from takings.clock import Clock
from takings.errors import Invalid
from takings.metrics.asking import Contribution, Question
from takings.metrics.builder import FAILED, FILLINGS
from takings.metrics.explaining import Figures
from takings.store import Store
from takings.store import schema as s

_COMMAND_LINE: Final = "takings"
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Closing:
    """A month that is closed, by whom and since when."""

    month: date
    closed_at: datetime
    closed_by: str


@dataclass(frozen=True, slots=True)
class Restatement:
    """How a figure of a month that had ended changed, by one build.

    Attributes:
        known_at: Since when it has been known.
        month: First day of the month whose figure changed.
        currency: ISO code, small letters.
        amount: By how much, in minor units or things.
        came: How many lines were added.
        gone: How many were taken out.
    """

    known_at: datetime
    month: date
    currency: str
    amount: int
    came: int
    gone: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A month's figure as the books have it, in one currency.

    Attributes:
        currency: ISO code, small letters.
        own: Minor units of what belongs to the month and was known before it was closed.
        corrections: Minor units of what belongs to closed months and became known while this one was open.
    """

    currency: str
    own: int
    corrections: int

    @property
    def amount(self) -> int:
        """What the books say: both together."""
        return self.own + self.corrections


class Books:
    """Closes months, and tells what their figures are and how figures of the past have changed.

    Args:
        figures: What answers questions.
        store: Where closings are kept.
        audit: Where closing and opening are recorded.
        clock: The one clock.
        loaded: Gives each account and mode with the moment its first load was over; None where it is not yet.
    """

    def __init__(
        self,
        figures: Figures,
        store: Store,
        audit: Audit,
        clock: Clock,
        loaded: Callable[[], Sequence[tuple[str, bool, datetime | None]]],
    ) -> None:
        self._figures, self._store, self._audit, self._clock = figures, store, audit, clock
        self._loaded = loaded

    def closings(self) -> list[Closing]:
        """Return the closed months, the latest first."""
        c = s.closings.c
        with self._store.read() as connection:
            rows = connection.execute(sa.select(c.month, c.closed_at, c.closed_by).order_by(c.month.desc())).all()
        return [Closing(date.fromisoformat(f"{month}-01"), at, by) for month, at, by in rows]

    def close(self, person: Person | None, month: date, zone_today: date) -> Closing:
        """Close a month, and with it every month before.

        Args:
            person: Who; None: the command line.
            month: Its first day.
            zone_today: Today in the reporting zone.

        Raises:
            Invalid: It has not ended, or is closed already.
        """
        if _after(month) > zone_today:
            raise Invalid(
                "metrics.not_ended", f"{month:%Y-%m} has not ended: close it afterwards.", month=f"{month:%Y-%m}"
            )
        last = self._last()
        if last is not None and month <= last:
            raise Invalid("metrics.closed", f"{month:%Y-%m} is closed already.", month=f"{month:%Y-%m}")
        made = Closing(month, self._clock.now(), person.name if person else _COMMAND_LINE)
        with self._store.write() as connection:
            connection.execute(
                sa.insert(s.closings).values(
                    id=new_id(), month=f"{month:%Y-%m}", closed_at=made.closed_at, closed_by=made.closed_by
                )
            )
            self._audit.record_in(connection, person, "month.closed", f"{month:%Y-%m}")
        return made

    def reopen(self, person: Person | None, month: date) -> None:
        """Open a month again, and with it every month after.

        Raises:
            Invalid: It is not closed.
        """
        last = self._last()
        if last is None or month > last:
            raise Invalid("metrics.not_closed", f"{month:%Y-%m} is not closed.", month=f"{month:%Y-%m}")
        with self._store.write() as connection:
            connection.execute(sa.delete(s.closings).where(s.closings.c.month >= f"{month:%Y-%m}"))
            self._audit.record_in(connection, person, "month.opened", f"{month:%Y-%m}")

    def booked(self, question: Question) -> list[Booked]:
        """Return a flow of one month as the books have it, by currency.

        Args:
            question: With the first day of a month as its start; its end is not looked at.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`Figures.answer`.
        """
        month = _month(question)
        booking = self._booking()
        sql, values = self._figures.changes(replace(question, start=None, end=None))
        rows = self._figures.ask(
            f"SELECT c.currency AS currency, c.month = $month AS own, CAST(SUM(c.sign * c.amount) AS BIGINT) AS amount "
            f"FROM (SELECT d.*, {booking} AS posted_month FROM ({sql}) AS d) AS c WHERE c.posted_month = $month GROUP BY 1, 2",
            {**values, "month": month},
        )
        found: dict[str, dict[bool, int]] = {}
        for currency, own, amount in rows:
            found.setdefault(currency, {})[own] = int(amount)
        return [Booked(code, said.get(True, 0), said.get(False, 0)) for code, said in sorted(found.items())]

    def sums(
        self, question: Question, start: date, end: date, *by: str
    ) -> list[tuple[str, Literal["before", "own", "correction"], int, tuple[Any, ...]]]:
        """Return a flow of some months as the books have it: currency, place, minor units, and the values of some dimensions.

        ``before`` is all that is booked to earlier months, ``own`` what belongs to these, and ``correction`` what belongs to
        earlier ones and became known after they were closed.

        Args:
            question: Which measure, and of whom; its period is not looked at.
            start: First day of the first month.
            end: First day after the last.
            by: Dimensions, or ``part``.

        Raises:
            Invalid: These are no whole months, or the last has not ended; otherwise as :meth:`Figures.answer`.
        """
        sql, values = self._period(question, start, end)
        cuts = "".join(f", c.{name} AS {name}" for name in by)
        rows = self._figures.ask(
            "SELECT c.currency AS currency, CASE WHEN c.posted_month < $first THEN 'before' WHEN c.month >= $first THEN 'own' "
            f"ELSE 'correction' END AS place, CAST(SUM(c.sign * c.amount) AS BIGINT) AS amount{cuts} "
            f"FROM ({sql}) AS c WHERE c.posted_month < $after GROUP BY ALL",
            values,
        )
        return [(currency, place, int(amount), tuple(rest)) for currency, place, amount, *rest in rows]

    def booked_lines(
        self, question: Question, start: date, end: date, columns: Sequence[str]
    ) -> tuple[str, dict[str, Any]]:
        """Return SQL, and its values, of the lines that are booked to some months: ``times`` (below 0: taken back), ``period`` (the
        month it is booked to), ``correction``, and some columns of theirs.

        What came and went again before its month was closed is left out.

        Raises:
            Invalid: See :meth:`sums`.
        """
        sql, values = self._period(question, start, end)
        names = ", ".join(f"c.{name} AS {name}" for name in columns)
        return (
            f"SELECT SUM(c.sign) AS times, c.posted_month AS period, c.month < c.posted_month AS correction, {names} FROM ({sql}) AS c "
            "WHERE c.posted_month >= $first AND c.posted_month < $after GROUP BY ALL HAVING SUM(c.sign) <> 0",
            values,
        )

    def _period(self, question: Question, start: date, end: date) -> tuple[str, dict[str, Any]]:
        if start.day != 1 or end.day != 1:
            said = "The books are asked for whole months: give a month, a year, or the first days of two months."
            raise Invalid("metrics.whole_months", said)
        if end > self._clock.now().date():
            last = f"{end - timedelta(days=1):%Y-%m}"
            raise Invalid("metrics.open_month", f"{last} has not ended: the books have it afterwards.", month=last)
        sql, values = self._figures.changes(replace(question, start=None, end=None))
        return f"SELECT d.*, {self._booking()} AS posted_month FROM ({sql}) AS d", {
            **values,
            "first": start,
            "after": end,
        }

    def corrections(self, question: Question) -> list[tuple[int, Contribution]]:
        """Return the lines of closed months that are booked to a month, each with its sign, the largest first.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`Figures.answer`.
        """
        month = _month(question)
        sql, values = self._figures.changes(replace(question, start=None, end=None))
        where = f"c.month <> $month AND {self._booking()} = $month"
        return self._lines(sql, where, {**values, "month": month})

    def restatements(self, question: Question, zone: str) -> list[Restatement]:
        """Return how figures of months that had ended have changed since, newest first.

        What was learned when an account was first read, and what a new definition made otherwise, is no restatement.

        Args:
            question: Which figure; its period, if any, tells which days.
            zone: Reporting zone, which tells when a month had ended.

        Raises:
            NotFound, Invalid, Unavailable: As :meth:`Figures.answer`.
        """
        sql, values = self._figures.changes(question)
        rows = self._figures.ask(
            "SELECT c.changed_at AS changed_at, c.month AS month, c.currency AS currency, "
            "CAST(SUM(c.sign * c.amount) AS BIGINT) AS amount, "
            "COUNT(*) FILTER (WHERE c.sign > 0) AS came, COUNT(*) FILTER (WHERE c.sign < 0) AS gone "
            f"FROM ({sql}) AS c WHERE {self._late()} GROUP BY 1, 2, 3 HAVING SUM(c.sign * c.amount) <> 0 "
            "ORDER BY 1 DESC, 2 DESC, 3",
            {**values, "zone": zone, **self._settled(question)},
        )
        return [Restatement(*row) for row in rows]

    def restated(self, question: Question, zone: str, one: Restatement) -> list[tuple[int, Contribution]]:
        """Return the lines behind a restatement, each with its sign: +1 came, -1 went; the largest first."""
        sql, values = self._figures.changes(question)
        where = f"{self._late()} AND c.changed_at = $known_at AND c.month = $month AND c.currency = $money"
        more = {"zone": zone, "known_at": one.known_at, "month": one.month, "money": one.currency}
        return self._lines(sql, where, {**values, **more, **self._settled(question)})

    def _lines(self, sql: str, where: str, values: dict[str, Any]) -> list[tuple[int, Contribution]]:
        rows = self._figures.ask(
            "SELECT c.sign AS sign, c.at AS at, c.part AS part, c.amount AS amount, c.currency AS currency, "
            "c.account AS account, c.object AS object, c.source AS source, c.changed_at AS changed_at "
            f"FROM ({sql}) AS c WHERE {where} ORDER BY c.currency, abs(c.amount) DESC, c.source, c.sign",
            values,
        )
        return [
            (sign, Contribution(at, part, amount, currency, account, table, source, None, known_at, {}))
            for sign, at, part, amount, currency, account, table, source, known_at in rows
        ]

    def _settled(self, question: Question) -> dict[str, Any]:
        """Return the values of :meth:`_late`: when the first build after its first load was done, by account and mode."""
        model = self._figures.model(question.measure).name
        rows = self._figures.ask(
            f"SELECT f.built_at AS at FROM {FILLINGS} AS f WHERE f.model = $model AND f.cause <> '{FAILED}' ORDER BY 1",
            {"model": model},
        )
        found = [
            (account, livemode, next((at for (at,) in rows if over is not None and at >= over), _NEVER))
            for account, livemode, over in self._loaded()
        ]
        return {
            "model": model,
            "accounts": [account for account, _, _ in found],
            "modes": [livemode for _, livemode, _ in found],
            "settled": [at for *_, at in found],
        }

    def _late(self) -> str:
        """Return the condition of a change that came after its month, and not with an account or a definition."""
        settled = (
            "SELECT s.settled FROM (SELECT unnest($accounts::VARCHAR[]) AS account, unnest($modes::BOOLEAN[]) AS livemode, "
            "unnest($settled::TIMESTAMPTZ[]) AS settled) AS s WHERE s.account = c.account AND s.livemode = c.livemode"
        )
        return (
            "c.month < date_trunc('month', CAST(c.changed_at AT TIME ZONE $zone AS DATE)) "
            f"AND c.changed_at > coalesce(({settled}), c.began_at) "
            f"AND c.changed_at IN (SELECT f.built_at FROM {FILLINGS} AS f WHERE f.model = $model AND f.cause = 'data')"
        )

    def _last(self) -> date | None:
        closed = self.closings()
        return closed[0].month if closed else None

    def _booking(self) -> str:
        """Return the SQL of the month that a change is booked to: its own, or the first that was open when it was known."""
        shut: list[tuple[datetime, date]] = []
        for one in sorted(self.closings(), key=lambda closing: closing.closed_at):
            shut.append((one.closed_at, max([one.month, *(month for _, month in shut)])))
        return _booking(shut)


def _booking(shut: Sequence[tuple[datetime, date]]) -> str:
    if not shut:
        return "month"
    cases = " ".join(
        f"WHEN changed_at > TIMESTAMPTZ '{at.isoformat()}' THEN "
        f"CASE WHEN month <= DATE '{month}' THEN DATE '{_after(month)}' ELSE month END"
        for at, month in reversed(shut)
    )
    return f"CASE {cases} ELSE month END"


def _month(question: Question) -> date:
    if question.start is None or question.start.day != 1:
        raise Invalid("metrics.whole_month", "The books are asked for one month: give its first day.")
    return question.start


def _after(month: date) -> date:
    """Return the first day of the next month."""
    return (month + timedelta(days=31)).replace(day=1)
