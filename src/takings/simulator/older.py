"""Objects in the shapes of API versions before basil (2025-03-31), as events of accounts that stay on those bear them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from takings.simulator.objects import shop
from takings.simulator.objects.base import Object

#: The first version with the shapes of today's invoices, lines and subscriptions.
BASIL = "2025-03-31"

#: The first version in which a discount and a promotion code name their coupon in an object of its own.
CLOVER = "2025-09-30"

#: Returns an object by id, or None.
Lookup = Callable[[str], Object | None]


def render(thing: Object, version: str, lookup: Lookup) -> Object:
    """Return an object in the shape an API version gives it; the fields that moved are where they were.

    Args:
        thing: In the shape of today's version.
        version: ``2024-06-20``, or with its name: ``2025-03-31.basil``.
        lookup: Finds the objects that older shapes held whole.
    """
    if version[:10] >= CLOVER:
        return thing
    shape = _SHAPES.get(thing.get("object", ""))
    if thing.get("object") == "promotion_code":
        return _promotion_code(thing, lookup)
    return thing if shape is None or version[:10] >= BASIL else shape(thing, lookup)


def _without(thing: Object, *names: str) -> Object:
    return {key: value for key, value in thing.items() if key not in names}


def _promotion_code(thing: Object, lookup: Lookup) -> Object:
    promotion = thing.get("promotion") or {}
    return _without(thing, "promotion") | {"coupon": lookup(str(promotion.get("coupon"))) or promotion.get("coupon")}


def _each(held: Any, shape: Callable[[Object, Lookup], Object], lookup: Lookup) -> Any:
    """Return an embedded list with every row in an older shape."""
    return held | {"data": [shape(row, lookup) for row in held["data"]]} if isinstance(held, dict) else held


def _taxes(taxes: list[Object]) -> list[Object]:
    return [
        {
            "amount": tax["amount"],
            "inclusive": tax["tax_behavior"] == "inclusive",
            "tax_rate": tax["tax_rate_details"]["tax_rate"],
            "taxability_reason": tax["taxability_reason"],
            "taxable_amount": tax["taxable_amount"],
        }
        for tax in taxes
    ]


def _line(line: Object, lookup: Lookup) -> Object:
    parent = line.get("parent") or {}
    kind = parent.get("type")
    details = parent.get(kind) or {} if kind else {}
    pricing = (line.get("pricing") or {}).get("price_details") or {}
    price = lookup(str(pricing.get("price")))
    return _without(line, "parent", "pricing", "taxes", "pretax_credit_amounts", "quantity_decimal", "subtotal") | {
        "amount_excluding_tax": line["amount"],
        "invoice_item": details.get("invoice_item"),
        "plan": shop.plan_of(price) if price and price.get("recurring") else None,
        "price": price,
        "proration": bool(details.get("proration")),
        "proration_details": {"credited_items": None},
        "subscription_item": details.get("subscription_item"),
        "tax_amounts": _taxes(line.get("taxes") or []),
        "tax_rates": [],
        "type": "invoiceitem" if kind == "invoice_item_details" else "subscription",
        "unit_amount_excluding_tax": (line.get("pricing") or {}).get("unit_amount_decimal"),
    }


def _invoice(invoice: Object, lookup: Lookup) -> Object:
    parent = (invoice.get("parent") or {}).get("subscription_details") or {}
    taxes = invoice.get("total_taxes") or []
    return _without(
        invoice, "parent", "payments", "total_taxes", "amount_overpaid", "amount_paid_off_stripe", "status_details"
    ) | {
        "charge": None,
        "discount": None,
        "lines": _each(invoice.get("lines"), _line, lookup),
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": False,
        "payment_intent": None,
        "quote": None,
        "subscription": parent.get("subscription"),
        "subscription_details": {"metadata": parent.get("metadata")},
        "tax": sum(tax["amount"] for tax in taxes) if taxes else None,
        "total_tax_amounts": _taxes(taxes),
    }  # fmt: skip


def _item(item: Object, lookup: Lookup) -> Object:
    return _without(item, "current_period_start", "current_period_end", "current_trial") | {"billing_thresholds": None}


def _subscription(subscription: Object, lookup: Lookup) -> Object:
    items = subscription["items"]["data"]
    first = items[0] if items else {}
    return _without(subscription, "billing_mode", "billing_schedules", "managed_payments", "status_details") | {
        "current_period_end": first.get("current_period_end", subscription["billing_cycle_anchor"]),
        "current_period_start": first.get("current_period_start", subscription["billing_cycle_anchor"]),
        "discount": None,
        "items": _each(subscription["items"], _item, lookup),
        "plan": first.get("plan"),
        "quantity": first.get("quantity"),
    }


def _charge(charge: Object, lookup: Lookup) -> Object:
    return charge | {"invoice": None}


def _invoice_item(item: Object, lookup: Lookup) -> Object:
    details = (item.get("parent") or {}).get("subscription_details") or {}
    pricing = item.get("pricing") or {}
    price = lookup(str((pricing.get("price_details") or {}).get("price")))
    return _without(item, "parent", "pricing", "net_amount", "quantity_decimal", "proration_details") | {
        "plan": shop.plan_of(price) if price and price.get("recurring") else None,
        "price": price,
        "subscription": details.get("subscription"),
        "subscription_item": details.get("subscription_item"),
        "unit_amount": price["unit_amount"] if price else None,
        "unit_amount_decimal": pricing.get("unit_amount_decimal"),
    }


_SHAPES: dict[str, Callable[[Object, Lookup], Object]] = {
    "charge": _charge,
    "invoice": _invoice,
    "invoiceitem": _invoice_item,
    "line_item": _line,
    "payment_intent": _charge,
    "subscription": _subscription,
    "subscription_item": _item,
}
