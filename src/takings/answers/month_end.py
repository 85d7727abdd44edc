"""A month's statement for programs."""

from __future__ import annotations

from typing import Any

from takings.money import exponent
from takings.proof import Statement


def described(one: Statement) -> dict[str, Any]:
    """Return a statement for programs; amounts in minor units."""
    return {
        "account": one.scope.account,
        "livemode": one.scope.livemode,
        "connection": one.account_name,
        "currency": one.currency,
        "exponent": exponent(one.currency),
        "start": one.start,
        "end": one.end,
        "state": one.state,
        "opening": one.opening,
        "gross": one.gross,
        "fee": one.fee,
        "payouts": one.paid_out,
        "closing": one.closing,
        "in_transit": one.in_transit,
        "rows": one.rows,
        "known_at": one.known_at,
        "reasons": [{"code": each.code, "sentence": each.sentence} for each in one.reasons],
        "checkpoints": [
            {"at": each.at, "through": each.through, "stripe": each.stripe, "then": each.then, "now": each.now}
            for each in one.checkpoints
        ],
        "days": [
            {
                "day": each.day,
                "opening": each.opening,
                "gross": each.gross,
                "fee": each.fee,
                "payouts": each.payouts,
                "closing": each.closing,
                "difference": each.difference,
                "asked": each.checkpoint is not None,
            }
            for each in one.days
        ],
        "categories": [
            {
                "category": each.category,
                "count": each.count,
                "gross": each.gross,
                "fee": each.fee,
                "net": each.net,
            }
            for each in one.categories
        ],
        "payout_list": [
            {
                "id": each.id,
                "created": each.created,
                "arrival": each.arrival,
                "amount": each.amount,
                "net": each.net,
                "transactions": each.transactions,
                "state": each.state,
            }
            for each in one.payouts
        ],
        "untied": [
            {
                "kind": each.kind,
                "table": each.table,
                "id": each.id,
                "at": each.at,
                "field": each.field,
                "stripe": each.stripe,
                "here": each.ours,
            }
            for each in one.untied
        ],
        "cut": one.cut,
    }
