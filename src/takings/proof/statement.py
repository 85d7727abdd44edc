"""The values of a month-end statement: days that roll forward, what was proven against Stripe, and the rows that do not tie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from takings.warehouse import Scope

StatementState = Literal["proven", "differs", "incomplete", "open"]
"""``proven``: all ties, and Stripe's balance was asked for after the last day; ``open``: all ties so far, and the last day is
not over; ``differs``: something does not tie; ``incomplete``: nothing is known to differ, and something is yet to be proven."""

UntiedKind = Literal[
    "altered",
    "missing",
    "duplicate",
    "arithmetic",
    "uncategorised",
    "late",
    "gone",
    "payout",
    "unbooked",
    "stale",
    "ghost",
    "balance",
]

PayoutState = Literal["ties", "differs", "manual", "instant", "failed", "canceled", "unsettled"]
"""``ties``, ``differs``: an automatic payout and what it paid out. The others cannot be attributed, or not yet: Stripe itself
does not say what a ``manual`` or ``instant`` payout was made of; an ``unsettled`` one it has not worked out yet."""

PAYOUT_CATEGORIES: tuple[str, ...] = ("payout", "payout_reversal")
"""Reporting categories of what goes to the bank and comes back: not activity.
Source: https://docs.stripe.com/reports/reporting-categories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A moment at which Stripe was asked for its balance.

    Attributes:
        proof_id: The verification that asked.
        at: When.
        through: When the newest transaction in it was made.
        stripe: Stripe's balance, available and pending, minor units.
        then: What the transactions up to there came to at that time.
        now: What they come to now.
    """

    proof_id: str
    at: datetime
    through: datetime
    stripe: int
    then: int
    now: int

    @property
    def ties(self) -> bool:
        """Whether what is here now is what Stripe had."""
        return self.now == self.stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day of one currency, in minor units; what leaves the balance is negative.

    Attributes:
        opening: The sum of the net of everything before it.
        gross: Activity before fees, payouts not counted.
        fee: Fees of that activity; positive where they were taken.
        payouts: What went to the bank less what came back, fees of payouts taken off.
        closing: The sum of the net of everything up to its end.
        checkpoint: The last time on this day that Stripe was asked for its balance; None: it was not asked.
    """

    day: date
    opening: int
    gross: int
    fee: int
    payouts: int
    closing: int
    checkpoint: Checkpoint | None = None

    @property
    def activity(self) -> int:
        """Net of the activity."""
        return self.gross - self.fee

    @property
    def difference(self) -> int:
        """What is left when opening, activity and payouts are taken from the closing: 0 where the day ties."""
        return self.closing - self.opening - self.activity - self.payouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """All transactions of one reporting category in the days, in minor units."""

    category: str
    count: int
    gross: int
    fee: int
    net: int

    @property
    def payout(self) -> bool:
        """Whether it is money to the bank or back, and not activity."""
        return self.category in PAYOUT_CATEGORIES


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """A payout and what it paid out.

    Attributes:
        created: When it left the balance.
        arrival: The day it is expected in the bank account.
        amount: What Stripe paid out, minor units.
        net: What its transactions come to; None where they cannot be known.
        transactions: How many there are.
    """

    id: str
    created: datetime
    arrival: datetime | None
    amount: int
    net: int | None
    transactions: int
    state: PayoutState


@dataclass(frozen=True, slots=True, kw_only=True)
class Untied:
    """A row, or a figure, that does not tie.

    Attributes:
        kind: ``altered``: the row is not what Stripe's payload says; ``missing``: it came from Stripe and is not here;
            ``duplicate``: it is here more than once; ``arithmetic``: its net is not its amount less its fee;
            ``uncategorised``: it has no reporting category; ``late``, ``gone``: it came, or was marked as deleted, after a
            balance that covers it was proven; ``payout``: it is not what its transactions come to; ``unbooked``: it and
            the transaction by which it left the balance do not agree; ``stale``, ``ghost``: a verification found an older
            state here, or a row that Stripe has no more; ``balance``: Stripe's balance is another.
        table: Where the row is; empty for a figure.
        at: When it was made, or the moment of the figure; None: not known.
        field: What differs in it; empty where it is the whole.
        stripe: What Stripe says: minor units where the field is an amount, else as text; None: nothing.
        ours: What is here.
    """

    kind: UntiedKind
    id: str = ""
    table: str = ""
    at: datetime | None = None
    field: str = ""
    stripe: int | str | None = None
    ours: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a statement is not proven though nothing is known to differ: a code, and an English sentence."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One account, one currency, some UTC days.

    Attributes:
        start: First day.
        end: The day after the last.
        checkpoints: Moments at which Stripe was asked, oldest first: the last before the days, those within them, and
            the first and newest after them.
        in_transit: Automatic payouts that had left the balance at the end and were to arrive later, minor units, positive:
            Stripe's own reports count them as not yet paid out.
        untied: What does not tie, oldest first.
        cut: How many more rows there are than ``untied`` names.
        reasons: Why it is not proven, where nothing differs.
        rows: How many rows were compared with their payloads.
        known_at: When this was worked out.
    """

    scope: Scope
    connection_id: str
    account_name: str
    currency: str
    start: date
    end: date
    state: StatementState
    days: Sequence[Day]
    categories: Sequence[Category]
    payouts: Sequence[PayoutLine]
    checkpoints: Sequence[Checkpoint]
    in_transit: int
    untied: Sequence[Untied]
    cut: int
    reasons: Sequence[Reason]
    rows: int
    known_at: datetime

    @property
    def opening(self) -> int:
        """The balance at the beginning of the first day."""
        return self.days[0].opening

    @property
    def closing(self) -> int:
        """The balance at the end of the last day."""
        return self.days[-1].closing

    @property
    def gross(self) -> int:
        """Activity before fees."""
        return sum(day.gross for day in self.days)

    @property
    def fee(self) -> int:
        """Fees of the activity."""
        return sum(day.fee for day in self.days)

    @property
    def paid_out(self) -> int:
        """What went to the bank less what came back; negative where money left."""
        return sum(day.payouts for day in self.days)

    @property
    def proof(self) -> Checkpoint | None:
        """The first balance that ties and was asked for after the last day; None: none yet."""
        return next((one for one in self.checkpoints if one.ties and one.at.date() >= self.end), None)

    @property
    def followed_through(self) -> date | None:
        """The last day that a balance of Stripe's vouches for, all checkpoints before it tying too; None: there is none."""
        through: date | None = None
        for one in self.checkpoints:
            if not one.ties:
                break
            through = one.at.date()
        return through

    @property
    def asked_days(self) -> int:
        """On how many of the days Stripe was asked for its balance."""
        return sum(day.checkpoint is not None for day in self.days)
