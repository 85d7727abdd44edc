"""What adds up: Stripe's balance against the sum of its transactions here, and payouts against what they paid out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from takings.stripe import Stripe
from takings.warehouse import Scope, Warehouse

BALANCE: Final = "/v1/balance"
TRANSACTIONS: Final = "/v1/balance_transactions"
PAYOUTS: Final = "/v1/payouts"

_SUMS = (
    "SELECT t.currency AS currency, CAST(sum(t.net) AS VARCHAR) AS net, count(*) AS n, max(t.created) AS newest "
    "FROM stripe.balance_transactions AS t WHERE t._account = $account AND t._livemode = $livemode "
    "AND t._deleted_at IS NULL GROUP BY t.currency ORDER BY t.currency"
)

_PAYOUTS = """
SELECT p.id AS id, p.currency AS currency, p.created AS created, p.amount AS amount,
    CAST(coalesce(sum(b.net), 0) AS VARCHAR) AS net, count(b.id) AS n
FROM stripe.payouts AS p
LEFT JOIN stripe.payout_balance_transactions AS k
    ON k.payout = p.id AND k._account = $account AND k._livemode = $livemode AND k._deleted_at IS NULL
LEFT JOIN stripe.balance_transactions AS b
    ON b.id = k.balance_transaction AND b._account = $account AND b._livemode = $livemode
    AND b._deleted_at IS NULL AND b.id IS DISTINCT FROM p.balance_transaction
WHERE p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
    AND p.automatic AND p.reconciliation_status = 'completed' AND p.status NOT IN ('failed', 'canceled')
    {bounds}
GROUP BY p.id, p.currency, p.created, p.amount
"""


class _Amount(msgspec.Struct):
    amount: int
    currency: str


class _Balance(msgspec.Struct):
    available: list[_Amount] = []
    pending: list[_Amount] = []


@dataclass(frozen=True, slots=True)
class OurSum:
    """What balance transactions in one currency come to.

    Attributes:
        net: Minor units.
        rows: How many there are.
        newest: When the newest was made; None where there is none.
    """

    net: int = 0
    rows: int = 0
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Untied:
    """A payout that is not what its transactions come to.

    Attributes:
        amount: What Stripe says was paid out, minor units.
        net: What its transactions here come to, minor units.
    """

    id: str
    currency: str
    created: datetime
    amount: int
    net: int


def stripes_balance(stripe: Stripe) -> dict[str, int]:
    """Return Stripe's balance, available and pending together, by currency in minor units.

    Raises:
        TakingsError: Stripe does not say.
    """
    found = msgspec.json.decode(stripe.get(BALANCE).body, type=_Balance)
    sums: Counter[str] = Counter()
    for one in (*found.available, *found.pending):
        sums[one.currency] += one.amount
    return dict(sums)


def our_balance(warehouse: Warehouse, scope: Scope) -> dict[str, OurSum]:
    """Return what all balance transactions here come to, by currency."""
    asked = {"account": scope.account, "livemode": scope.livemode}
    return {row[0]: OurSum(int(row[1]), int(row[2]), row[3]) for row in warehouse.query(_SUMS, asked).rows}


def payouts(
    warehouse: Warehouse, scope: Scope, start: datetime | None, end: datetime | None
) -> tuple[int, int, list[Untied]]:
    """Return how many reconciled automatic payouts there are, how many transactions they paid out, and those that do not tie.

    Args:
        warehouse: Where they are.
        scope: Whose.
        start: Only those made from this moment on; None: no bound.
        end: Only those made before this moment; None: no bound.
    """
    asked: dict[str, object] = {"account": scope.account, "livemode": scope.livemode}
    bounds = ""
    if start is not None:
        asked["start"], bounds = start, bounds + " AND p.created >= $start"
    if end is not None:
        asked["end"], bounds = end, bounds + " AND p.created < $end"
    per_payout = _PAYOUTS.format(bounds=bounds)
    count, transactions = warehouse.query(
        f"SELECT count(*) AS n, coalesce(sum(x.n), 0) AS k FROM ({per_payout}) AS x", asked
    ).rows[0]
    rows = warehouse.query(
        f"SELECT x.* FROM ({per_payout}) AS x WHERE x.amount IS DISTINCT FROM CAST(x.net AS BIGINT) ORDER BY x.created",
        asked,
    ).rows
    untied = [Untied(row[0], row[1], row[2], int(row[3] or 0), int(row[4])) for row in rows]
    return int(count), int(transactions), untied
