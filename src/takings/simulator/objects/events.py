"""Events: what happened, with the object as it stood and what the change replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.happenings import TYPES
from takings.simulator.objects.base import Object, Rows

Builder = Callable[[Company, I64], list[Object]]

_DRAFT: Object = {
    "amount_paid": 0,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "effective_at": None,
    "ending_balance": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "next_payment_attempt": None,
    "number": None,
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "status": "draft",
    "status_details": None,
}
_NO_TRANSITIONS: Object = {
    "finalized_at": None,
    "marked_uncollectible_at": None,
    "paid_at": None,
    "voided_at": None,
}


def _as_then(type: str, thing: Object) -> Object:
    """Return the object as it stood when the event was made, where that is known to differ from now."""
    if type == "invoice.created":
        amounts = {"amount_due": thing["total"], "amount_remaining": thing["total"]}
        return thing | _DRAFT | amounts | {"status_transitions": _NO_TRANSITIONS}
    if type == "invoice.finalized" and thing["status"] != "open" and thing["amount_due"] > 0:
        since = _NO_TRANSITIONS | {"finalized_at": thing["status_transitions"]["finalized_at"]}
        unpaid = {"amount_paid": 0, "amount_remaining": thing["amount_due"], "attempt_count": 0, "attempted": False}
        return thing | unpaid | {"status": "open", "status_details": None, "status_transitions": since}
    if type == "payment_intent.created":
        fresh = {"amount_received": 0, "canceled_at": None, "cancellation_reason": None, "last_payment_error": None}
        fresh |= {"latest_charge": None, "next_action": None, "payment_method": None}
        return thing | fresh | {"status": "requires_payment_method"}
    if type in ("charge.succeeded", "charge.pending"):
        status = type.split(".")[1]
        return thing | {"amount_refunded": 0, "disputed": False, "refunded": False, "status": status}
    if type == "payout.created":
        return thing | {
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "status": "in_transit",
        }
    if type == "payout.paid":
        return thing | {
            "failure_balance_transaction": None,
            "failure_code": None,
            "failure_message": None,
            "status": "paid",
        }
    if type == "customer.subscription.created" and thing["status"] not in ("trialing", "incomplete"):
        ended = {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None, "ended_at": None}
        status = "trialing" if thing["trial_start"] else "active"
        return thing | ended | {"status": status}
    return thing


def events(company: Company, rows: I64, builders: dict[str, Builder]) -> list[Object]:
    """Build events.

    Args:
        builders: For each table what builds its objects.
    """
    read = Rows(company, "events", rows)
    types, things = read("type"), read.array("row")
    at_table: dict[str, set[int]] = {}
    for type, row in zip(types, things.tolist(), strict=True):
        at_table.setdefault(TYPES[type][1], set()).add(row)
    built: dict[tuple[str, int], Object] = {}
    for table, wanted in at_table.items():
        order = sorted(wanted)
        for row, thing in zip(order, builders[table](company, np.array(order, np.int64)), strict=True):
            built[table, row] = thing
    out: list[Object] = []
    for id, created, type, row, detail in zip(
        read.ids(), read.created(), types, things.tolist(), read("detail"), strict=True
    ):
        name, table = TYPES[type]
        thing = built[table, row]
        data: dict[str, Any] = {"object": _as_then(name, thing)}
        if detail >= 0:
            data["previous_attributes"] = _previous(company, name, thing, row, detail)
            if name == "charge.refunded":
                data["object"] = thing | _after_refund(company, thing, row, detail)
        out.append(event(company, id, created, name, data))
    return out


def event(company: Company, id: str, created: int, type: str, data: Object) -> Object:
    """Return an event around its data."""
    return {
        "id": id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "data": data,
        "livemode": company.livemode,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }


def _after_refund(company: Company, charge: Object, row: int, refund: int) -> Object:
    refunded = _refunded(company, row, refund)
    return {"amount_refunded": refunded, "refunded": refunded == charge["amount"]}


def _refunded(company: Company, charge: int, until: int) -> int:
    """Return what had gone back of a charge once a refund was made."""
    refunds = company.tables["refunds"]
    rows = refunds.rows_where("charge", charge)
    rows = rows[(rows <= until) & (refunds["failed_at"][rows] == 0)]
    return int(refunds["amount"][rows].astype(np.int64).sum())


def _previous(company: Company, type: str, thing: Object, row: int, detail: int) -> Object:
    if type == "charge.refunded":
        before = _refunded(company, row, detail - 1)
        return {"amount_refunded": before, "refunded": False}
    if type == "customer.subscription.updated":
        invoices = company.tables["invoices"]
        earlier = invoices.rows_where("sub", row)
        earlier = earlier[earlier < detail]
        return {"latest_invoice": invoices.codec.one(int(earlier[-1]))} if len(earlier) else {"latest_invoice": None}
    if type == "transfer.reversed":
        amount = int(company.tables["transfer_reversals"]["amount"][detail])
        return {"amount_reversed": thing["amount_reversed"] - amount, "reversed": False}
    amount = int(company.tables["application_fee_refunds"]["amount"][detail])
    return {"amount_refunded": thing["amount_refunded"] - amount, "refunded": False}
