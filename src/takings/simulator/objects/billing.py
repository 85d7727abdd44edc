"""Subscriptions, their items and schedules, invoices with lines, invoice items and payments, and credit notes."""

from __future__ import annotations

from typing import Any

import numpy as np

from takings.simulator.billing import CREDIT, DRAFT, INVOICE_STATUSES, ITEM, OPEN, OWN, PAID, UNCOLLECTIBLE, VOID
from takings.simulator.company import Company
from takings.simulator.dice import DAY_S, I64, add_months
from takings.simulator.growth import (
    ASKED,
    CANCELED,
    EXPIRED,
    FAILED,
    SUB_STATUSES,
)
from takings.simulator.objects import shop
from takings.simulator.objects.base import EMBEDDED, Object, Rows, listed, optional, people, refs, token
from takings.simulator.objects.customers import invoice_prefix

_MANUAL_LIABILITY = {"disabled_reason": None, "enabled": False, "liability": None}
_ISSUER = {"type": "self"}
_NO_AUTOMATIC_TAX: Object = {
    "disabled_reason": None,
    "enabled": False,
    "liability": None,
    "provider": None,
    "status": None,
}
_NOTHING_CREDITED: Object = {"credited_items": None}
_INVOICE_SETTINGS: Object = {"default_mandate": None, "payment_method_options": None, "payment_method_types": None}
_NO_SETTINGS: Object = {
    "payment_method_options": {
        "acss_debit": None,
        "bancontact": None,
        "card": {"network": None, "request_three_d_secure": "automatic"},
        "customer_balance": None,
        "konbini": None,
        "payto": None,
        "sepa_debit": None,
        "us_bank_account": None,
    },
    "payment_method_types": None,
    "save_default_payment_method": "off",
}


def _by_row(builder: Any, company: Company, rows: I64) -> dict[int, Object]:
    """Build each distinct row once."""
    distinct = np.unique(rows)
    return dict(zip(distinct.tolist(), builder(company, distinct), strict=True))


def subscription_items(company: Company, rows: I64) -> list[Object]:
    """Build subscription items."""
    read = Rows(company, "subscription_items", rows)
    price_of = _by_row(shop.prices, company, read.array("price"))
    made = zip(
        read.ids(), read.created(), read.refs("sub", "subscriptions"), read("price"), read("quantity"),
        read.via("sub", "subscriptions", "period_start").tolist(), read.via("sub", "subscriptions", "period_end").tolist(), strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": created,
            "current_period_end": until,
            "current_period_start": since,
            "current_trial": None,
            "discounts": [],
            "metadata": {},
            "plan": shop.plan_of(price_of[price]),
            "price": price_of[price],
            "quantity": quantity,
            "subscription": subscription,
            "tax_rates": [],
        }
        for id, created, subscription, price, quantity, since, until in made
    ]


def _slices(starts: list[int], counts: list[int], most: int) -> I64:
    """Return the rows of the first ``most`` children of each parent, one parent after the other."""
    parts = [np.arange(start, start + min(count, most)) for start, count in zip(starts, counts, strict=True)]
    return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def subscriptions(company: Company, rows: I64) -> list[Object]:
    """Build subscriptions with up to ten of their items."""
    read = Rows(company, "subscriptions", rows)
    starts, counts = read("item"), read("items")
    items = iter(subscription_items(company, _slices(starts, counts, EMBEDDED)))
    rate_of = (
        _by_row(shop.tax_rates, company, np.maximum(read.array("tax_rate"), 0))
        if company.tables["tax_rates"].size
        else {}
    )
    made = zip(
        rows.tolist(), read.ids(), read.created(), read.refs("customer", "customers"), read("currency"), read("status"),
        read("anchor"), read("trial"), read("cancel"), read("reason"), read("leaving"), read("send"), read("coupon"),
        read("tax_rate"), counts, read.refs("latest_invoice", "invoices"), read("period_end"),
        read.refs("schedule", "subscription_schedules"), read.bits("subscription"),
        refs(company, "payment_methods", read.via("customer", "customers", "pm")), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        row, id, created, customer, currency, status, anchor, trial, cancel, reason, leaving, send, coupon, tax_rate,
        count, latest, period_end, schedule, bits, method,
    ) in made:  # fmt: skip
        ended = status in (CANCELED, EXPIRED)
        why = (
            {ASKED: "cancellation_requested", FAILED: "payment_failed"}.get(reason)
            if ended and status == CANCELED
            else None
        )
        url = f"/v1/subscription_items?subscription={id}"
        data = [next(items) for _ in range(min(count, EMBEDDED))]
        out.append(
            {
                "id": id,
                "object": "subscription",
                "application": None,
                "application_fee_percent": None,
                "automatic_tax": _MANUAL_LIABILITY,
                "billing_cycle_anchor": anchor,
                "billing_cycle_anchor_config": None,
                "billing_mode": {"flexible": None, "type": "classic"},
                "billing_schedules": [],
                "billing_thresholds": None,
                "cancel_at": period_end if leaving else None,
                "cancel_at_period_end": bool(leaving),
                "canceled_at": cancel or (company.end - DAY_S // 2 if leaving else None),
                "cancellation_details": {
                    "comment": None,
                    "feedback": ("too_expensive", "unused", "switched_service", None)[bits & 3] if why == "cancellation_requested" else None,
                    "reason": why or ("cancellation_requested" if leaving else None),
                },
                "collection_method": "send_invoice" if send else "charge_automatically",
                "created": created,
                "currency": company.currencies[currency],
                "customer": customer,
                "customer_account": None,
                "days_until_due": 30 if send else None,
                "default_payment_method": None if send else method,
                "default_source": None,
                "default_tax_rates": [rate_of[tax_rate]] if tax_rate >= 0 else [],
                "description": None,
                "discounts": [shop.discount_id(company, row)] if coupon >= 0 else [],
                "ended_at": cancel if ended else None,
                "invoice_settings": {"account_tax_ids": None, "issuer": _ISSUER},
                "items": listed(data, count, url),
                "latest_invoice": latest,
                "livemode": company.livemode,
                "managed_payments": None,
                "metadata": {"crm_deal": f"D{bits >> 44:06d}", "campaign": ("spring", "fair", "friends", "none")[(bits >> 8) & 3]},
                "next_pending_invoice_item_invoice": None,
                "on_behalf_of": None,
                "pause_collection": None,
                "payment_settings": _NO_SETTINGS,
                "pending_invoice_item_interval": None,
                "pending_setup_intent": None,
                "pending_update": None,
                "schedule": schedule,
                "start_date": created,
                "status": SUB_STATUSES[status],
                "status_details": None,
                "test_clock": None,
                "transfer_data": None,
                "trial_end": optional(trial),
                "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
                "trial_start": created if trial else None,
            }
        )  # fmt: skip
    return out


def subscription_schedules(company: Company, rows: I64) -> list[Object]:
    """Build subscription schedules: one phase, and on every other one that runs a second, a year later, with one unit more."""
    read = Rows(company, "subscription_schedules", rows)
    sub_rows = read.array("sub")
    subs = Rows(company, "subscriptions", sub_rows)
    items = Rows(company, "subscription_items", subs.array("item"))
    made = zip(
        read.ids(), read.created(), read("status"), subs.ids(), subs.refs("customer", "customers"), subs("cancel"),
        subs("period_end"), subs("currency"), items.refs("price", "prices"), items("quantity"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for row, (id, created, status, sub, customer, cancel, until, currency, price, quantity) in enumerate(made):
        grows = status == 0 and int(rows[row]) % 2 == 0
        settings: Object = {
            "application_fee_percent": None,
            "automatic_tax": _MANUAL_LIABILITY,
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": _ISSUER},
            "on_behalf_of": None,
            "transfer_data": None,
        }
        phase = settings | {
            "add_invoice_items": [],
            "billing_cycle_anchor": None,
            "currency": company.currencies[currency],
            "default_tax_rates": [],
            "discounts": [],
            "end_date": max(until, created + 1),
            "items": [
                {
                    "billing_thresholds": None,
                    "discounts": [],
                    "metadata": {},
                    "plan": price,
                    "price": price,
                    "quantity": quantity,
                    "tax_rates": [],
                }
            ],
            "metadata": {},
            "proration_behavior": "create_prorations",
            "start_date": created,
            "trial_end": None,
        }
        phases = [phase]
        if grows:
            phase["end_date"] += 365 * DAY_S
            more = phase["items"][0] | {"quantity": quantity + 1}
            phases.append(
                phase | {"start_date": phase["end_date"], "end_date": phase["end_date"] + 365 * DAY_S, "items": [more]}
            )
        released = min(created + 30 * DAY_S, company.end) if status == 1 else None
        out.append(
            {
                "id": id,
                "object": "subscription_schedule",
                "application": None,
                "billing_mode": {"flexible": None, "type": "classic"},
                "canceled_at": cancel if status == 2 else None,
                "completed_at": None,
                "created": created,
                "current_phase": {"end_date": phase["end_date"], "start_date": created} if status == 0 else None,
                "customer": customer,
                "customer_account": None,
                "default_settings": settings,
                "end_behavior": "release",
                "livemode": company.livemode,
                "metadata": {},
                "pause_schedules": [],
                "phases": phases,
                "released_at": released,
                "released_subscription": sub if status == 1 else None,
                "status": ("active", "released", "canceled")[status],
                "subscription": None if status == 1 else sub,
                "test_clock": None,
            }
        )
    return out


def _period(company: Company, invoices: Rows) -> tuple[list[int], list[int]]:
    """Return the period that an invoice's subscription lines are for; for work billed by hand, its own moment."""
    sub = np.maximum(invoices.array("sub"), 0)
    created = invoices.table.created[invoices.rows]
    table = company.tables["subscriptions"]
    if not table.size:
        moments: list[int] = created.tolist()
        return moments, moments
    manual = invoices.array("sub") < 0
    cycle = invoices.array("cycle")
    step = np.where(table["interval"][sub] == 1, 12, 1)
    anchor = table["anchor"][sub].astype(np.int64)
    since = np.where(manual | (cycle < 0), created, add_months(anchor, np.maximum(cycle, 0) * step))
    until = np.where(
        manual, created, np.where(cycle < 0, anchor, add_months(anchor, (np.maximum(cycle, 0) + 1) * step))
    )
    since_list: list[int] = since.tolist()
    until_list: list[int] = until.tolist()
    return since_list, until_list


def invoice_line_items(company: Company, rows: I64) -> list[Object]:
    """Build invoice lines."""
    read = Rows(company, "invoice_line_items", rows)
    invoice_rows = read.array("invoice")
    invoices = Rows(company, "invoices", invoice_rows)
    price_rows = read.array("price")
    products = Rows(company, "products", Rows(company, "prices", price_rows).array("product"))
    names = [shop.product_name(kind, item) for kind, item in zip(products("kind"), products("item"), strict=True)]
    country = invoices.via("tax_rate", "tax_rates", "country").tolist()
    since_list, until_list = _period(company, invoices)
    made = zip(
        read.ids(), invoices.ids(), read("kind"), read.refs("item", "subscription_items"), refs(company, "prices", price_rows),
        products.ids(), names, read("quantity"), read("amount"), read("discount"), read("tax"), read.refs("ii", "invoiceitems"),
        invoices.refs("sub", "subscriptions"), invoices("sub"), invoices("currency"), invoices.refs("tax_rate", "tax_rates"),
        country, since_list, until_list, Rows(company, "prices", price_rows)("amount"), invoices("cycle"), read("used"), strict=True,
    )  # fmt: skip
    livemode, currencies, countries = company.livemode, company.currencies, company.countries
    out: list[Object] = []
    for (
        id, invoice, kind, item, price, product, name, quantity, amount, discount, tax, invoice_item, subscription, sub,
        currency, tax_rate, at, since, until, unit, cycle, used,
    ) in made:  # fmt: skip
        proration = kind not in (OWN, ITEM)
        if kind == ITEM:
            parent: Object = {
                "invoice_item_details": {
                    "invoice_item": invoice_item,
                    "proration": False,
                    "proration_details": _NOTHING_CREDITED,
                    "subscription": subscription,
                },
                "subscription_item_details": None,
                "type": "invoice_item_details",
            }
            description = name
        else:
            parent = {
                "invoice_item_details": None,
                "subscription_item_details": {
                    "invoice_item": invoice_item,
                    "proration": proration,
                    "proration_details": _NOTHING_CREDITED,
                    "subscription": subscription,
                    "subscription_item": item,
                },
                "type": "subscription_item_details",
            }
            if kind == OWN:
                description = f"Trial period for {name}" if cycle < 0 else f"{quantity} × {name}"
            else:
                description = f"{'Unused' if kind == CREDIT else 'Remaining'} time on {name}"
                until = since
                since = since - (30 * DAY_S) * used // 100
        if discount:
            di = shop.discount_id(company, sub)
            amounts: list[Object] = [{"amount": discount, "discount": di}]
            discounts = [di]
            credits = [{"amount": discount, "discount": di, "type": "discount"}]
        else:
            amounts, discounts, credits = [], [], []
        taxes: list[Object] = []
        if tax_rate is not None:
            inclusive = countries[at].inclusive
            taxes = [
                {
                    "amount": tax,
                    "tax_behavior": "inclusive" if inclusive else "exclusive",
                    "tax_rate_details": {"tax_rate": tax_rate},
                    "taxability_reason": "not_available",
                    "taxable_amount": amount - discount - (tax if inclusive else 0),
                    "type": "tax_rate_details",
                }
            ]
        out.append(
            {
                "id": id,
                "object": "line_item",
                "amount": amount,
                "currency": currencies[currency],
                "description": description,
                "discount_amounts": amounts,
                "discountable": kind == OWN,
                "discounts": discounts,
                "invoice": invoice,
                "livemode": livemode,
                "metadata": {},
                "parent": parent,
                "period": {"end": until, "start": since},
                "pretax_credit_amounts": credits,
                "pricing": {
                    "price_details": {"price": price, "product": product},
                    "type": "price_details",
                    "unit_amount_decimal": str(unit),
                },
                "quantity": quantity,
                "quantity_decimal": str(quantity),
                "subscription": subscription,
                "subtotal": amount,
                "taxes": taxes,
            }
        )
    return out


def invoices(company: Company, rows: I64) -> list[Object]:
    """Build invoices with up to ten of their lines."""
    read = Rows(company, "invoices", rows)
    starts, counts = read("line"), read("lines")
    lines = iter(invoice_line_items(company, _slices(starts, counts, EMBEDDED)))
    customer_rows = read.array("customer")
    customer_read = Rows(company, "customers", customer_rows)
    who = people(company, customer_rows, customer_read("country"), customer_read("business"))
    since_list, until_list = _period(company, read)
    country = read.via("tax_rate", "tax_rates", "country").tolist()
    made = zip(
        read.ids(), read.created(), customer_read.ids(), customer_rows.tolist(), who, customer_read("exempt"), read("sub"),
        read.refs("sub", "subscriptions"), read("cycle"), read("first"), read("currency"), read("status"), read("finalized"),
        read("paid_at"), read("ended"), read("due_at"), read("attempts"), read("next_try"), read("subtotal"), read("discount"),
        read("tax"), read("total"), read("pre_credit"), read("post_credit"), read("due"), read("send"), read("number"),
        read.refs("tax_rate", "tax_rates"), country, counts, since_list, until_list, read.bits("invoice"),
        strict=True,
    )  # fmt: skip
    livemode, currencies, countries = company.livemode, company.currencies, company.countries
    account, account_name, account_country = company.account, company.name, company.country
    fat: Object = (
        {f"line_{i:02d}": "Delivered with the morning round, signed for at the front desk." for i in range(5)}
        if company.fat
        else {}
    )
    out: list[Object] = []
    for (
        id, created, customer, customer_row, person, exempt, sub, subscription, cycle, first, currency, status, finalized,
        paid_at, ended, due_at, attempts, next_try, subtotal, discount, tax, total, pre, post, due, send, number,
        tax_rate, at, count, since, until, bits,
    ) in made:  # fmt: skip
        paid = status == PAID
        draft = status == DRAFT
        data = [next(lines) for _ in range(min(count, EMBEDDED))]
        # The period that ended: subscription invoices look back, while their lines look ahead.
        period_start = created if first or subscription is None or cycle <= 0 else since - (until - since)
        if subscription is None:
            parent = None
            reason = "manual"
        else:
            parent = {
                "quote_details": None,
                "subscription_details": {"metadata": {}, "subscription": subscription},
                "type": "subscription_details",
            }
            reason = "subscription_create" if first else "subscription_cycle"
        di = shop.discount_id(company, sub) if discount else None
        taxes: list[Object] = []
        excluded = subtotal
        if tax_rate is not None:
            inclusive = countries[at].inclusive
            excluded = subtotal - (tax if inclusive else 0)
            taxes = [
                {
                    "amount": tax,
                    "tax_behavior": "inclusive" if inclusive else "exclusive",
                    "tax_rate_details": {"tax_rate": tax_rate},
                    "taxability_reason": "not_available",
                    "taxable_amount": subtotal - discount - (tax if inclusive else 0),
                    "type": "tax_rate_details",
                }
            ]
        secret = f"live_{token(bits)}{id[4:]}"
        out.append(
            {
                "id": id,
                "object": "invoice",
                "account_country": account_country,
                "account_name": account_name,
                "account_tax_ids": None,
                "amount_due": due,
                "amount_overpaid": 0,
                "amount_paid": due if paid else 0,
                "amount_paid_off_stripe": 0,
                "amount_remaining": 0 if paid else due,
                "amount_shipping": 0,
                "application": None,
                "attempt_count": attempts,
                "attempted": attempts > 0 or (paid and due == 0),
                "auto_advance": draft or (status == OPEN and next_try > 0),
                "automatic_tax": _NO_AUTOMATIC_TAX,
                "automatically_finalizes_at": created + 3_600 if draft else None,
                "billing_reason": reason,
                "collection_method": "send_invoice" if send else "charge_automatically",
                "created": created,
                "currency": currencies[currency],
                "custom_fields": None,
                "customer": customer,
                "customer_account": None,
                "customer_address": person.address,
                "customer_email": person.email,
                "customer_name": person.business or person.name,
                "customer_phone": person.phone,
                "customer_shipping": None,
                "customer_tax_exempt": ("none", "exempt", "reverse")[exempt],
                "customer_tax_ids": [],
                "default_payment_method": None,
                "default_source": None,
                "default_tax_rates": [],
                "description": None,
                "discounts": [di] if di else [],
                "due_date": optional(due_at),
                "effective_at": optional(finalized),
                "ending_balance": None if draft else 0,
                "footer": None,
                "from_invoice": None,
                "hosted_invoice_url": None if draft else f"https://invoice.stripe.com/i/{account}/{secret}?s=ap",
                "invoice_pdf": None if draft else f"https://pay.stripe.com/invoice/{account}/{secret}/pdf?s=ap",
                "issuer": _ISSUER,
                "last_finalization_error": None,
                "latest_revision": None,
                "lines": listed(data, count, f"/v1/invoices/{id}/lines"),
                "livemode": livemode,
                "metadata": fat,
                "next_payment_attempt": optional(next_try),
                "number": None if draft else f"{invoice_prefix(customer_row)}-{number:04d}",
                "on_behalf_of": None,
                "parent": parent,
                "payment_settings": _INVOICE_SETTINGS,
                "period_end": created,
                "period_start": period_start,
                "post_payment_credit_notes_amount": post,
                "pre_payment_credit_notes_amount": pre,
                "receipt_number": None,
                "rendering": None,
                "shipping_cost": None,
                "shipping_details": None,
                "starting_balance": 0,
                "statement_descriptor": None,
                "status": INVOICE_STATUSES[status],
                "status_details": {"uncollectible": {"reason": "user_forgiven" if send else "max_payment_attempts"}}
                if status == UNCOLLECTIBLE
                else None,
                "status_transitions": {
                    "finalized_at": optional(finalized),
                    "marked_uncollectible_at": ended if status == UNCOLLECTIBLE else None,
                    "paid_at": paid_at if paid else None,
                    "voided_at": ended if status == VOID else None,
                },
                "subtotal": subtotal,
                "subtotal_excluding_tax": excluded,
                "test_clock": None,
                "total": total,
                "total_discount_amounts": [{"amount": discount, "discount": di}] if di else [],
                "total_excluding_tax": total - tax,
                "total_pretax_credit_amounts": [{"amount": discount, "discount": di, "type": "discount"}] if di else [],
                "total_taxes": taxes,
                "webhooks_delivered_at": created + 4,
            }
        )
    return out


def invoiceitems(company: Company, rows: I64) -> list[Object]:
    """Build invoice items, those waiting for an invoice included."""
    read = Rows(company, "invoiceitems", rows)
    kind = read.via("line", "invoice_line_items", "kind").tolist()
    invoice = read.via("line", "invoice_line_items", "invoice")
    sub = (
        np.where(invoice >= 0, company.tables["invoices"]["sub"][np.maximum(invoice, 0)], -1)
        if company.tables["invoices"].size
        else invoice
    )
    item = read.via("line", "invoice_line_items", "item")
    prices = Rows(company, "prices", read.array("price"))
    products = Rows(company, "products", prices.array("product"))
    made = zip(
        read.ids(), read.created(), read.refs("customer", "customers"), prices.ids(), prices("amount"), prices("currency"),
        products.ids(), products("kind"), products("item"), read("quantity"), read("amount"), kind,
        refs(company, "invoices", invoice), refs(company, "subscriptions", sub), refs(company, "subscription_items", item), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        id, created, customer, price, unit, currency, product, product_kind, product_item, quantity, amount, line_kind,
        invoice_id, subscription, item_id,
    ) in made:  # fmt: skip
        proration = line_kind not in (-1, OWN, ITEM)
        name = shop.product_name(product_kind, product_item)
        out.append(
            {
                "id": id,
                "object": "invoiceitem",
                "amount": amount,
                "currency": company.currencies[currency],
                "customer": customer,
                "customer_account": None,
                "date": created,
                "description": f"{'Unused' if line_kind == CREDIT else 'Remaining'} time on {name}"
                if proration
                else name,
                "discountable": False,
                "discounts": [],
                "frozen_fields": None,
                "invoice": invoice_id,
                "invoicing_rules": None,
                "livemode": company.livemode,
                "metadata": {},
                "net_amount": amount,
                "parent": {
                    "subscription_details": {"subscription": subscription, "subscription_item": item_id},
                    "type": "subscription_details",
                }
                if proration
                else None,
                "period": {"end": created, "start": created},
                "pricing": {
                    "price_details": {"price": price, "product": product},
                    "type": "price_details",
                    "unit_amount_decimal": str(unit),
                },
                "proration": proration,
                "proration_details": {"credited_items": None, "discount_amounts": []} if proration else None,
                "quantity": quantity,
                "quantity_decimal": str(quantity),
                "tax_rates": [],
                "test_clock": None,
            }
        )
        if not proration:
            del out[-1]["proration_details"]
    return out


def invoice_payments(company: Company, rows: I64) -> list[Object]:
    """Build invoice payments."""
    read = Rows(company, "invoice_payments", rows)
    invoices = Rows(company, "invoices", read.array("invoice"))
    made = zip(
        read.ids(), read.created(), invoices.ids(), read.refs("intent", "payment_intents"), invoices("due"),
        invoices("currency"), invoices("status"), invoices("paid_at"), invoices("ended"), strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "invoice_payment",
            "amount_paid": due if status == PAID else None,
            "amount_requested": due,
            "created": created,
            "currency": company.currencies[currency],
            "invoice": invoice,
            "is_default": True,
            "livemode": company.livemode,
            "payment": {"payment_intent": intent, "type": "payment_intent"},
            "status": "paid" if status == PAID else "canceled" if status == VOID else "open",
            "status_transitions": {
                "canceled_at": ended if status == VOID else None,
                "paid_at": paid_at if status == PAID else None,
            },
        }
        for id, created, invoice, intent, due, currency, status, paid_at, ended in made
    ]


def credit_note_line_items(company: Company, rows: I64) -> list[Object]:
    """Build credit note lines."""
    read = Rows(company, "credit_note_line_items", rows)
    notes = Rows(company, "credit_notes", read.array("note"))
    invoices = Rows(company, "invoices", notes.array("invoice"))
    country = invoices.via("tax_rate", "tax_rates", "country").tolist()
    made = zip(
        read.ids(), read.refs("line", "invoice_line_items"), read("amount"), read("discount"), read("tax"), read("quantity"),
        invoices("sub"), invoices.refs("tax_rate", "tax_rates"), country, strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for id, line, amount, discount, tax, quantity, sub, tax_rate, at in made:
        di = shop.discount_id(company, sub) if discount else None
        taxes = []
        if tax_rate is not None and line is not None:
            inclusive = company.countries[at].inclusive
            taxes = [
                {
                    "amount": tax,
                    "tax_behavior": "inclusive" if inclusive else "exclusive",
                    "tax_rate_details": {"tax_rate": tax_rate},
                    "taxability_reason": "not_available",
                    "taxable_amount": amount - discount - (tax if inclusive else 0),
                    "type": "tax_rate_details",
                }
            ]
        made_line: Object = {
            "id": id,
            "object": "credit_note_line_item",
            "amount": amount,
            "description": "Goodwill" if line is None else "As invoiced",
            "discount_amount": discount,
            "discount_amounts": [{"amount": discount, "discount": di}] if di else [],
            "livemode": company.livemode,
            "metadata": {},
            "pretax_credit_amounts": [{"amount": discount, "discount": di, "type": "discount"}] if di else [],
            "quantity": quantity,
            "tax_rates": [],
            "taxes": taxes,
            "type": "custom_line_item" if line is None else "invoice_line_item",
            "unit_amount": amount if line is None else None,
            "unit_amount_decimal": str(amount) if line is None else None,
        }
        if line is not None:
            made_line["invoice_line_item"] = line
        out.append(made_line)
    return out


def credit_notes(company: Company, rows: I64) -> list[Object]:
    """Build credit notes with up to ten of their lines."""
    read = Rows(company, "credit_notes", rows)
    starts, counts = read("line"), read("lines")
    lines = iter(credit_note_line_items(company, _slices(starts, counts, EMBEDDED)))
    invoices = Rows(company, "invoices", read.array("invoice"))
    country = invoices.via("tax_rate", "tax_rates", "country").tolist()
    made = zip(
        read.ids(), read.created(), invoices.ids(), invoices.refs("customer", "customers"), invoices("customer"), invoices("currency"),
        invoices("sub"), invoices("subtotal"), invoices("discount"), invoices("tax"), invoices("number"), read("amount"),
        read.refs("refund", "refunds"), read("whole"), counts, read("number"), invoices.refs("tax_rate", "tax_rates"), country, strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for (
        id, created, invoice, customer, customer_row, currency, sub, subtotal, discount, tax, invoice_number, amount, refund,
        entire, count, number, tax_rate, at,
    ) in made:  # fmt: skip
        if not entire:
            subtotal, discount, tax = amount, 0, 0
        inclusive = tax_rate is not None and company.countries[at].inclusive
        di = shop.discount_id(company, sub) if discount else None
        before = refund is None
        out.append(
            {
                "id": id,
                "object": "credit_note",
                "amount": amount,
                "amount_shipping": 0,
                "created": created,
                "currency": company.currencies[currency],
                "customer": customer,
                "customer_account": None,
                "customer_balance_transaction": None,
                "discount_amount": discount,
                "discount_amounts": [{"amount": discount, "discount": di}] if di else [],
                "effective_at": created,
                "invoice": invoice,
                "lines": listed(
                    [next(lines) for _ in range(min(count, EMBEDDED))], count, f"/v1/credit_notes/{id}/lines"
                ),
                "livemode": company.livemode,
                "memo": None,
                "metadata": {},
                "number": f"{invoice_prefix(customer_row)}-{invoice_number:04d}-CN-{number:02d}",
                "out_of_band_amount": None,
                "pdf": f"https://pay.stripe.com/credit_notes/{company.account}/{id[3:]}/pdf?s=ap",
                "post_payment_amount": 0 if before else amount,
                "pre_payment_amount": amount if before else 0,
                "pretax_credit_amounts": [{"amount": discount, "discount": di, "type": "discount"}] if di else [],
                "reason": "order_change" if before else "product_unsatisfactory",
                "refunds": []
                if before
                else [{"amount_refunded": amount, "payment_record_refund": None, "refund": refund, "type": "refund"}],
                "shipping_cost": None,
                "status": "issued",
                "subtotal": subtotal,
                "subtotal_excluding_tax": subtotal - (tax if inclusive else 0),
                "total": amount,
                "total_excluding_tax": amount - tax,
                "total_taxes": [
                    {
                        "amount": tax,
                        "tax_behavior": "inclusive" if inclusive else "exclusive",
                        "tax_rate_details": {"tax_rate": tax_rate},
                        "taxability_reason": "not_available",
                        "taxable_amount": subtotal - discount - (tax if inclusive else 0),
                        "type": "tax_rate_details",
                    }
                ]
                if tax_rate is not None and entire
                else [],
                "type": "pre_payment" if before else "post_payment",
                "voided_at": None,
            }
        )
    return out
