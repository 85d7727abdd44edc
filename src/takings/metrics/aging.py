"""What customers owe at a moment, by how long it has been due: the lines of receivables in buckets that add up to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from takings.clock import require_aware
from takings.metrics.explaining import unbuilt
from takings.warehouse import Warehouse

BUCKETS: Final = ("not_due", "days_1_30", "days_31_60", "days_61_90", "days_91_120", "days_over_120")
"""As Stripe's own report has them: https://docs.stripe.com/revenue-recognition/reports/accounts-receivable-aging."""

_WIDTH: Final = 30
_LINES: Final = "metrics.receivable_lines"
_COLUMNS: Final = "l.account, l.livemode, l.invoice, l.currency, l.customer, l.due_at, l.at, l.amount"
_AS_KNOWN: Final = (
    f"(SELECT {_COLUMNS} FROM {_LINES} AS l WHERE l.known_at <= $known UNION ALL "
    f"SELECT {_COLUMNS} FROM {_LINES}_past AS l WHERE l.known_at <= $known AND l.until > $known)"
)
_OWED: Final = """
SELECT
  l.account AS account,
  l.invoice AS invoice,
  l.currency AS currency,
  MAX(l.customer) AS customer,
  MAX(l.due_at) AS due_at,
  CAST(SUM(l.amount) AS BIGINT) AS amount
FROM {lines} AS l
WHERE l.livemode = $livemode
  AND l.at < $at
  AND ($account IS NULL OR l.account = $account)
  AND ($currency IS NULL OR l.currency = $currency)
GROUP BY 1, 2, 3
HAVING SUM(l.amount) <> 0
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """What one invoice still asked for.

    Attributes:
        account: Of Stripe.
        invoice: Its id.
        customer: Theirs; None where it has none.
        due_at: When it was due: its due date, else when it was finalised.
        days: Days past due, part days rounded up; 0 or less where it was not due yet.
        bucket: One of :data:`BUCKETS`.
        amount: Minor units.
    """

    account: str
    invoice: str
    customer: str | None
    due_at: datetime
    days: int
    bucket: str
    amount: int


@dataclass(frozen=True, slots=True)
class Aging:
    """What was owed in one currency.

    Attributes:
        at: Up to when, exclusive.
        currency: ISO code, small letters.
        buckets: Minor units by every bucket, in order, 0 where there is nothing.
        invoices: Those that the buckets are made of, the longest due first.
    """

    at: datetime
    currency: str
    buckets: dict[str, int]
    invoices: tuple[Owed, ...]

    @property
    def total(self) -> int:
        """Minor units in all: the receivables at that moment."""
        return sum(self.buckets.values())

    @property
    def overdue(self) -> int:
        """Minor units that were due."""
        return self.total - self.buckets["not_due"]


def days_past_due(due_at: datetime, at: datetime) -> int:
    """Return the days between two moments, a part of a day counting as one; 0 or less before the invoice is due."""
    return -((due_at - at) // timedelta(days=1))


def bucket_of(days: int) -> str:
    """Return the bucket for a number of days past due."""
    return BUCKETS[0] if days <= 0 else BUCKETS[min((days - 1) // _WIDTH + 1, len(BUCKETS) - 1)]


def aging(
    warehouse: Warehouse,
    at: datetime,
    *,
    livemode: bool = True,
    account: str | None = None,
    currency: str | None = None,
    known: datetime | None = None,
) -> list[Aging]:
    """Return what was owed at a moment, by currency.

    Args:
        warehouse: Whose models have been built.
        at: Aware; what happened at that very moment is not in it. For the end of a day, the next one's first moment.
        livemode: Live data, or that of sandboxes.
        account: Only this account of Stripe; None for all.
        currency: Only this one; None for each by itself.
        known: As was known at this moment; None for what is known now.

    Raises:
        ValueError: A moment is naive.
        Unavailable: The models have not been built yet.
    """
    moment = require_aware(at)
    if _LINES not in warehouse.marks():
        raise unbuilt()
    values: dict[str, Any] = {"livemode": livemode, "at": moment, "account": account, "currency": currency}
    if known is not None:
        values["known"] = require_aware(known)
    rows = warehouse.query(_OWED.format(lines=_LINES if known is None else _AS_KNOWN), values).rows
    found: dict[str, list[Owed]] = {}
    for owner, invoice, code, customer, due_at, amount in rows:
        days = days_past_due(due_at, moment)
        found.setdefault(code, []).append(Owed(owner, invoice, customer, due_at, days, bucket_of(days), amount))
    return [_aged(moment, code, found[code]) for code in sorted(found)]


def _aged(at: datetime, currency: str, owed: list[Owed]) -> Aging:
    buckets = dict.fromkeys(BUCKETS, 0)
    for one in owed:
        buckets[one.bucket] += one.amount
    ordered = sorted(owed, key=lambda one: (one.due_at, one.account, one.invoice))
    return Aging(at, currency, buckets, tuple(ordered))
