"""Holds each payout against the transactions it paid out, and says of the others why that cannot be done."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Final

from takings.proof.statement import PayoutLine, PayoutState, Untied
from takings.warehouse import Scope
from takings.warehouse.engine import Session

_PAYOUTS: Final = """
SELECT p.id AS id, p.currency AS currency, p.created AS created, p.arrival_date AS arrival, p.amount AS amount,
    p.automatic AS automatic, p.method AS method, p.status AS status, p.reconciliation_status AS reconciled,
    coalesce(sum(b.net), 0) AS net, count(b.id) AS n,
    any_value(o.id) AS booked, any_value(o.amount) AS booked_amount, any_value(p.balance_transaction) AS booking
FROM stripe.payouts AS p
LEFT JOIN stripe.balance_transactions AS o
    ON o.id = p.balance_transaction AND o._account = $account AND o._livemode = $livemode AND o._deleted_at IS NULL
LEFT JOIN stripe.payout_balance_transactions AS k
    ON k.payout = p.id AND k._account = $account AND k._livemode = $livemode AND k._deleted_at IS NULL
LEFT JOIN stripe.balance_transactions AS b
    ON b.id = k.balance_transaction AND b._account = $account AND b._livemode = $livemode
    AND b._deleted_at IS NULL AND b.id IS DISTINCT FROM p.balance_transaction
WHERE p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
    AND p.created >= $start AND p.created < $end
GROUP BY p.id, p.currency, p.created, p.arrival_date, p.amount, p.automatic, p.method, p.status, p.reconciliation_status
ORDER BY p.created, p.id
"""

_IN_TRANSIT: Final = """
SELECT p.currency AS currency, -sum(t.net) AS amount
FROM stripe.payouts AS p
JOIN stripe.balance_transactions AS t
    ON t.id = p.balance_transaction AND t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL
WHERE p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
    AND p.automatic AND t.created < $end AND p.arrival_date >= $end
GROUP BY p.currency
"""

# Payments to the bank that no payout stands behind.
_UNKNOWN: Final = """
SELECT t.id AS id, t.currency AS currency, t.created AS created, t.net AS net, t.source AS source
FROM stripe.balance_transactions AS t
WHERE t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL AND t.reporting_category = 'payout'
    AND t.created >= $start AND t.created < $end
    AND NOT EXISTS (
        SELECT 1 FROM stripe.payouts AS p
        WHERE p.id = t.source AND p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
    )
ORDER BY t.created, t.id
"""

# What Stripe once said that a payout paid out, and what is no more here.
_LOST: Final = """
SELECT v.parent AS payout, v.id AS id
FROM raw.versions AS v
WHERE v.resource = 'payout_balance_transactions' AND v.account = $account AND v.livemode = $livemode
    AND v.parent IN (SELECT unnest($payouts))
    AND NOT EXISTS (
        SELECT 1 FROM stripe.payout_balance_transactions AS k
        JOIN stripe.balance_transactions AS b ON b.id = k.balance_transaction AND b._account = $account
            AND b._livemode = $livemode AND b._deleted_at IS NULL
        WHERE k.id = v.id AND k._account = $account AND k._livemode = $livemode AND k._deleted_at IS NULL
    )
GROUP BY 1, 2
ORDER BY 1, 2
"""


def reconcile(
    session: Session, scope: Scope, start: datetime, end: datetime
) -> tuple[dict[str, list[PayoutLine]], dict[str, list[Untied]]]:
    """Return the payouts that were made in a period, and what of them does not tie, both by currency.

    Args:
        session: Where they are.
        scope: Whose.
        start: Made from this moment on.
        end: Made before this one.
    """
    owner = {"account": scope.account, "livemode": scope.livemode}
    bounds = {**owner, "start": start, "end": end}
    lines: dict[str, list[PayoutLine]] = defaultdict(list)
    untied: dict[str, list[Untied]] = defaultdict(list)
    wrong: dict[str, PayoutLine] = {}
    for row in session.execute(_PAYOUTS, bounds).fetchall():
        (key, currency, created, arrival, amount, automatic, method, status, reconciled, net, count) = row[:11]
        booked, booked_amount, booking = row[11:]
        state = _state(bool(automatic), method, status, reconciled, int(amount), int(net))
        attributed = state in ("ties", "differs")
        line = PayoutLine(
            id=key,
            created=created,
            arrival=arrival,
            amount=int(amount),
            net=int(net) if attributed else None,
            transactions=int(count),
            state=state,
        )
        lines[currency].append(line)
        if state == "differs":
            wrong[key] = line
            untied[currency].append(
                Untied(
                    kind="payout",
                    id=key,
                    table="payouts",
                    at=created,
                    field="amount",
                    stripe=int(amount),
                    ours=int(net),
                )
            )
        if booking is not None and (booked is None or booked_amount != -amount):
            ours = None if booked is None else -int(booked_amount)
            untied[currency].append(
                Untied(
                    kind="unbooked",
                    id=key,
                    table="payouts",
                    at=created,
                    field="amount",
                    stripe=int(amount),
                    ours=ours,
                )
            )
    for key, currency, created, net, source in session.execute(_UNKNOWN, bounds).fetchall():
        untied[currency].append(
            Untied(
                kind="unbooked",
                id=key,
                table="balance_transactions",
                at=created,
                field="source",
                stripe=source,
                ours=int(net),
            )
        )
    if wrong:
        of = {line.id: currency for currency, its in lines.items() for line in its}
        for payout, key in session.execute(_LOST, {**owner, "payouts": list(wrong)}).fetchall():
            untied[of[payout]].append(
                Untied(kind="missing", id=key, table="payout_balance_transactions", at=wrong[payout].created)
            )
    return lines, untied


def in_transit(session: Session, scope: Scope, end: datetime) -> dict[str, int]:
    """Return what automatic payouts had taken from the balance and not yet brought to the bank at a moment, by currency."""
    asked = {"account": scope.account, "livemode": scope.livemode, "end": end}
    return {currency: int(amount) for currency, amount in session.execute(_IN_TRANSIT, asked).fetchall()}


def _state(
    automatic: bool, method: str | None, status: str | None, reconciled: str | None, amount: int, net: int
) -> PayoutState:
    if method == "instant":
        return "instant"
    if not automatic:
        return "manual"
    if status in ("failed", "canceled"):
        return "failed" if status == "failed" else "canceled"
    if reconciled != "completed":
        return "unsettled"
    return "ties" if amount == net else "differs"
