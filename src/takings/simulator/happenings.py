"""What happened in the last thirty days: one row for each event that ``/v1/events`` tells, drawn from all objects."""

from __future__ import annotations

import numpy as np

from takings.simulator.billing import PAID, UNCOLLECTIBLE, VOID
from takings.simulator.dice import DAY_S, I64
from takings.simulator.draft import Draft, Frame, whole
from takings.simulator.payments import C_FAILED, C_PENDING, C_SUCCEEDED, I_CANCELED, I_SUCCEEDED
from takings.simulator.tables import joined, sorted_by

#: How long Stripe keeps events.
KEPT_S = 30 * DAY_S

#: Every event type the company's life makes, with the table of its object; an event's ``type`` is a row of this.
TYPES: tuple[tuple[str, str], ...] = (
    ("product.created", "products"),
    ("price.created", "prices"),
    ("coupon.created", "coupons"),
    ("promotion_code.created", "promotion_codes"),
    ("customer.created", "customers"),
    ("customer.deleted", "customers"),
    ("customer.tax_id.created", "tax_ids"),
    ("payment_method.attached", "payment_methods"),
    ("setup_intent.created", "setup_intents"),
    ("setup_intent.succeeded", "setup_intents"),
    ("customer.subscription.created", "subscriptions"),
    ("customer.subscription.updated", "subscriptions"),
    ("customer.subscription.deleted", "subscriptions"),
    ("subscription_schedule.created", "subscription_schedules"),
    ("invoice.created", "invoices"),
    ("invoice.finalized", "invoices"),
    ("invoice.paid", "invoices"),
    ("invoice.voided", "invoices"),
    ("invoice.marked_uncollectible", "invoices"),
    ("invoice.payment_failed", "invoices"),
    ("invoiceitem.created", "invoiceitems"),
    ("invoice_payment.paid", "invoice_payments"),
    ("credit_note.created", "credit_notes"),
    ("checkout.session.completed", "checkout_sessions"),
    ("checkout.session.expired", "checkout_sessions"),
    ("payment_intent.created", "payment_intents"),
    ("payment_intent.succeeded", "payment_intents"),
    ("payment_intent.payment_failed", "payment_intents"),
    ("payment_intent.canceled", "payment_intents"),
    ("charge.succeeded", "charges"),
    ("charge.failed", "charges"),
    ("charge.pending", "charges"),
    ("charge.refunded", "charges"),
    ("refund.created", "refunds"),
    ("refund.failed", "refunds"),
    ("charge.dispute.created", "disputes"),
    ("charge.dispute.closed", "disputes"),
    ("transfer.created", "transfers"),
    ("transfer.reversed", "transfers"),
    ("application_fee.created", "application_fees"),
    ("application_fee.refunded", "application_fees"),
    ("payout.created", "payouts"),
    ("payout.paid", "payouts"),
    ("payout.failed", "payouts"),
)  # fmt: skip

NUMBER = {name: number for number, (name, _) in enumerate(TYPES)}


def draw_events(draft: Draft) -> None:
    """Draw the events of the last thirty days, oldest first."""
    since = draft.end - KEPT_S
    parts: list[Frame] = []

    def tell(type: str, moments: I64, rows: I64 | None = None, detail: I64 | None = None) -> None:
        """Add events at these moments (0 means never) for these rows; ``detail`` is a row their change came from."""
        if rows is None:
            rows = np.arange(len(moments), dtype=np.int64)
        chosen = np.flatnonzero((moments > since) & (moments <= draft.end))
        parts.append(
            {
                "created": moments[chosen],
                "type": whole(len(chosen), NUMBER[type]),
                "row": rows[chosen],
                "detail": whole(len(chosen), -1) if detail is None else detail[chosen],
            }
        )

    frames = draft.frames
    for type, table in TYPES:
        if type.endswith(".created"):
            tell(type, frames[table]["created"])
    tell("customer.deleted", frames["customers"]["gone"])
    methods, intents = frames["payment_methods"], frames["setup_intents"]
    tell("payment_method.attached", np.where(methods["customer"] >= 0, methods["created"], 0))
    tell("setup_intent.succeeded", np.where(intents["status"] == 0, intents["created"] + 1, 0))
    subs, invoices = frames["subscriptions"], frames["invoices"]
    renewals = np.flatnonzero((invoices["sub"] >= 0) & (invoices["cycle"] > 0))
    tell("customer.subscription.updated", invoices["created"][renewals], invoices["sub"][renewals], renewals)
    tell("customer.subscription.deleted", subs["cancel"])
    tell("invoice.finalized", invoices["finalized"])
    tell("invoice.paid", np.where(invoices["status"] == PAID, invoices["paid_at"], 0))
    tell("invoice.voided", np.where(invoices["status"] == VOID, invoices["ended"], 0))
    tell("invoice.marked_uncollectible", np.where(invoices["status"] == UNCOLLECTIBLE, invoices["ended"], 0))
    payments = frames["invoice_payments"]
    tell("invoice_payment.paid", invoices["paid_at"][payments["invoice"]])
    sessions = frames["checkout_sessions"]
    tell("checkout.session.completed", np.where(sessions["status"] == 0, sessions["created"] + 60, 0))
    tell("checkout.session.expired", np.where(sessions["status"] == 1, sessions["created"] + DAY_S, 0))
    intents, charges = frames["payment_intents"], frames["charges"]
    failed = np.flatnonzero(charges["status"] == C_FAILED)
    tell("charge.failed", charges["created"][failed], failed)
    tell("payment_intent.payment_failed", charges["created"][failed], charges["intent"][failed])
    billed = failed[charges["invoice"][failed] >= 0]
    tell("invoice.payment_failed", charges["created"][billed], charges["invoice"][billed])
    tell("payment_intent.canceled", np.where(intents["status"] == I_CANCELED, intents["canceled_at"], 0))
    succeeded = np.flatnonzero(charges["status"] == C_SUCCEEDED)
    tell("charge.succeeded", charges["settled_at"][succeeded], succeeded)
    done = succeeded[intents["status"][charges["intent"][succeeded]] == I_SUCCEEDED]
    tell("payment_intent.succeeded", charges["settled_at"][done], charges["intent"][done])
    pending = np.flatnonzero(charges["status"] == C_PENDING)
    tell("charge.pending", charges["created"][pending], pending)
    refunds, disputes = frames["refunds"], frames["disputes"]
    good = np.flatnonzero(refunds["failed_at"] == 0)
    tell("charge.refunded", refunds["created"][good], refunds["charge"][good], good)
    tell("refund.failed", refunds["failed_at"])
    tell("charge.dispute.closed", disputes["closed"])
    reversals, fee_refunds, payouts = frames["transfer_reversals"], frames["application_fee_refunds"], frames["payouts"]
    tell("transfer.reversed", reversals["created"], reversals["transfer"], np.arange(len(reversals["created"])))
    tell("application_fee.refunded", fee_refunds["created"], fee_refunds["fee"], np.arange(len(fee_refunds["created"])))
    tell("payout.paid", np.where((payouts["status"] == 0) | (payouts["status"] == 2), payouts["arrival"], 0))
    tell("payout.failed", payouts["failed_at"])
    frame = joined(parts)
    draft.frames["events"] = sorted_by(frame["created"], frame)[1]
