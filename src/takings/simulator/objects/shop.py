"""Products, prices, plans, coupons, discounts, promotion codes and tax rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from takings.simulator.company import Company
from takings.simulator.dice import DAY_S, I64
from takings.simulator.market import ADDONS, GOODS, OFFERS, TIERS, price_in
from takings.simulator.objects.base import Object, Rows, token
from takings.simulator.tables import Ids

_INTERVALS = ("month", "year")


def product_name(kind: int, item: int) -> str:
    """Return what a product is called."""
    if kind == 0:
        return TIERS[item].name
    if kind == 1:
        return ADDONS[item][0]
    return GOODS[item][0] if kind == 2 else "Discovery box (until last year)"


def products(company: Company, rows: I64) -> list[Object]:
    """Build products."""
    read = Rows(company, "products", rows)
    made = zip(read.ids(), read.created(), read("kind"), read("item"), read("active"), strict=True)
    return [
        {
            "id": id,
            "object": "product",
            "active": active,
            "created": created,
            "default_price": None,
            "description": f"{product_name(kind, item)}, roasted in small batches and sent within two days.",
            "images": [],
            "livemode": company.livemode,
            "marketing_features": [],
            "metadata": {"line": ("subscription", "add-on", "shop", "retired")[kind]},
            "name": product_name(kind, item),
            "package_dimensions": None,
            "shippable": True if kind == 2 else None,
            "statement_descriptor": None,
            "tax_code": None,
            "tax_details": None,
            "type": "service" if kind != 2 else "good",
            "unit_label": TIERS[item].unit if kind == 0 else None,
            "updated": created,
            "url": None,
        }
        for id, created, kind, item, active in made
    ]


def prices(company: Company, rows: I64) -> list[Object]:
    """Build prices, inline ones included."""
    read = Rows(company, "prices", rows)
    made = zip(
        read.ids(), read.created(), read("active"), read("currency"), read("amount"), read("interval"),
        read("inline"), read.refs("product", "products"), strict=True,
    )  # fmt: skip
    out: list[Object] = []
    for id, created, active, currency, amount, interval, inline, product in made:
        recurring = None
        if interval >= 0:
            recurring = {
                "interval": _INTERVALS[interval],
                "interval_count": 1,
                "meter": None,
                "trial_period_days": None,
                "usage_type": "licensed",
            }
        out.append(
            {
                "id": id,
                "object": "price",
                "active": bool(active),
                "billing_scheme": "per_unit",
                "created": created,
                "currency": company.currencies[currency],
                "custom_unit_amount": None,
                "livemode": company.livemode,
                "lookup_key": None,
                "metadata": {"made_for": "one customer"} if inline else {},
                "nickname": None,
                "product": product,
                "recurring": recurring,
                "tax_behavior": "unspecified",
                "tiers_mode": None,
                "transform_quantity": None,
                "type": "one_time" if recurring is None else "recurring",
                "unit_amount": amount,
                "unit_amount_decimal": str(amount),
            }
        )
    return out


def plan_of(price: Object) -> Object:
    """Return the plan that a recurring price also is."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": 1,
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": None,
        "nickname": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def plans(company: Company, rows: I64) -> list[Object]:
    """Build plans."""
    return [plan_of(price) for price in prices(company, company.tables["plans"]["price"][rows].astype(np.int64))]


def coupons(company: Company, rows: I64) -> list[Object]:
    """Build coupons."""
    read = Rows(company, "coupons", rows)
    used = company.tables["subscriptions"]["coupon"] if len(company.tables["subscriptions"]) else np.zeros(0)
    out: list[Object] = []
    for row, id, created, at in zip(rows.tolist(), read.ids(), read.created(), read("offer"), strict=True):
        offer = OFFERS[at]
        amount = price_in(company.currencies[0], offer.eur_minor) if offer.eur_minor else None
        out.append(
            {
                "id": id,
                "object": "coupon",
                "amount_off": amount,
                "created": created,
                "currency": company.currencies[0] if amount else None,
                "duration": offer.duration,
                "duration_in_months": offer.months,
                "livemode": company.livemode,
                "max_redemptions": None,
                "metadata": {},
                "name": offer.name,
                "percent_off": offer.percent,
                "redeem_by": None,
                "times_redeemed": int(np.sum(used == row)),
                "valid": True,
            }
        )
    return out


def discount(company: Company, sub: int, coupon: str, customer: str, subscription: str, start: int) -> Object:
    """Return the discount that a subscription's coupon is."""
    offer = OFFERS[int(company.tables["coupons"]["offer"][company.tables["subscriptions"]["coupon"][sub]])]
    return {
        "id": discount_id(company, sub),
        "object": "discount",
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": start + offer.months * 30 * DAY_S if offer.months else None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": coupon, "type": "coupon"},
        "start": start,
        "subscription": subscription,
        "subscription_item": None,
    }


def _discount_ids(company: Company) -> Ids:
    return Ids(company.dice.seed * 2 + company.livemode, "discounts", "di_", 24, "1")


def discount_id(company: Company, sub: int) -> str:
    """Return the id of a subscription's discount, which is in no list."""
    return _discount_ids(company).one(sub)


def discounted(company: Company, id: str) -> int | None:
    """Return the row of the subscription whose discount has this id, or None."""
    row = _discount_ids(company).decode(id)
    subs = company.tables["subscriptions"]
    return row if row is not None and row < len(subs) and subs["coupon"][row] >= 0 else None


def promotion_codes(company: Company, rows: I64) -> list[Object]:
    """Build promotion codes."""
    read = Rows(company, "promotion_codes", rows)
    made = zip(
        read.ids(), read.created(), read.refs("coupon", "coupons"), read.refs("customer", "customers"), read("active"),
        read.bits("code"), strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "promotion_code",
            "active": bool(active),
            "code": token(bits)[2:].upper(),
            "created": created,
            "customer": customer,
            "customer_account": None,
            "expires_at": None,
            "livemode": company.livemode,
            "max_redemptions": 1 if customer else None,
            "metadata": {},
            "promotion": {"coupon": coupon, "type": "coupon"},
            "restrictions": {
                "first_time_transaction": False,
                "minimum_amount": None,
                "minimum_amount_currency": None,
            },
            "times_redeemed": 0,
        }
        for id, created, coupon, customer, active, bits in made
    ]


def tax_rates(company: Company, rows: I64) -> list[Object]:
    """Build tax rates."""
    read = Rows(company, "tax_rates", rows)
    out: list[Object] = []
    for id, created, at, active in zip(read.ids(), read.created(), read("country"), read("active"), strict=True):
        country = company.countries[at]
        # The retired one is the reduced rate.
        percentage: Any = country.tax_bp / 100 if active else 5.5
        out.append(
            {
                "id": id,
                "object": "tax_rate",
                "active": active,
                "country": country.code,
                "created": created,
                "description": f"{country.tax_name} {country.code}",
                "display_name": country.tax_name,
                "effective_percentage": percentage,
                "flat_amount": None,
                "inclusive": country.inclusive,
                "jurisdiction": country.code,
                "jurisdiction_level": "country",
                "livemode": company.livemode,
                "metadata": {},
                "percentage": percentage,
                "rate_type": "percentage",
                "state": None,
                "tax_type": country.tax_type,
            }
        )
    return out
