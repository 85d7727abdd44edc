"""Customers, tax ids, payment methods and setup intents."""

from __future__ import annotations

from typing import Any

import numpy as np

from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.market import CHANNELS, COUNTRIES, ROASTS
from takings.simulator.objects.base import Object, Rows, cards, payers, people, token

_EXEMPT = ("none", "exempt", "reverse")


def invoice_prefix(row: int) -> str:
    """Return the token that a customer's invoice numbers begin with."""
    return f"{(row + 1) * 2_654_435_761 % (1 << 32):08X}"


def customers(company: Company, rows: I64) -> list[Object]:
    """Build customers (also those deleted since, as they were)."""
    read = Rows(company, "customers", rows)
    who = people(company, rows, read("country"), read("business"))
    made = zip(
        rows.tolist(), read.ids(), read.created(), who, read("currency"), read("kind"), read("exempt"),
        read.refs("pm", "payment_methods"), read("numbered"), read.bits("customer"), read("late"), strict=True,
    )  # fmt: skip
    story = _STORY if company.fat else None
    out: list[Object] = []
    for row, id, created, person, currency, kind, exempt, method, numbered, bits, late in made:
        metadata: dict[str, str] = {
            "channel": CHANNELS[bits % len(CHANNELS)],
            "crm_id": f"C{bits >> 40:08d}",
            "favourite_roast": ROASTS[(bits >> 8) % len(ROASTS)],
        }
        if story:
            metadata |= story
        address = person.address
        out.append(
            {
                "id": id,
                "object": "customer",
                "address": address,
                "balance": 0,
                "created": created,
                "currency": company.currencies[currency] if kind != 3 else None,
                "customer_account": None,
                "default_source": None,
                "delinquent": bool(late),
                "description": person.business or ("Newsletter only" if kind == 3 else None),
                "discount": None,
                "email": person.email,
                "invoice_prefix": invoice_prefix(row),
                "invoice_settings": {
                    "custom_fields": None,
                    "default_payment_method": method,
                    "footer": None,
                    "rendering_options": None,
                },
                "livemode": company.livemode,
                "metadata": metadata,
                "name": person.business or person.name,
                "next_invoice_sequence": numbered + 1,
                "phone": person.phone,
                "preferred_locales": [person.locale],
                "shipping": {"address": address, "name": person.name, "phone": person.phone},
                "tax_exempt": _EXEMPT[exempt],
                "test_clock": None,
            }
        )
    return out


#: What a fat customer carries in its metadata besides.
_STORY = {
    f"note_{i:02d}": f"Entry {i}: called about the delivery, asked for another grind, and was offered a tasting. " * 2
    for i in range(13)
}


def tax_ids(company: Company, rows: I64) -> list[Object]:
    """Build the tax ids of business customers."""
    read = Rows(company, "tax_ids", rows)
    countries = read.via("customer", "customers", "country").tolist()
    made = zip(
        read.ids(), read.created(), read.refs("customer", "customers"), countries, read.bits("tax_id"), strict=True
    )
    out: list[Object] = []
    for id, created, customer, at, bits in made:
        country = COUNTRIES[at]
        out.append(
            {
                "id": id,
                "object": "tax_id",
                "country": country.code,
                "created": created,
                "customer": customer,
                "customer_account": None,
                "livemode": company.livemode,
                "owner": {"customer": customer, "type": "customer"},
                "type": country.tax_id_type,
                "value": f"{country.code}{bits % 10**10:010d}",
                "verification": {"status": "verified", "verified_address": None, "verified_name": None},
            }
        )
    return out


def payment_methods(company: Company, rows: I64) -> list[Object]:
    """Build cards and SEPA mandates."""
    read = Rows(company, "payment_methods", rows)
    customer_rows = read.array("customer")
    currency = read.via("customer", "customers", "currency")
    who = payers(company, customer_rows, rows, np.maximum(currency, 0))
    made = zip(
        read.ids(),
        read.created(),
        read.refs("customer", "customers"),
        read("kind"),
        cards(company, rows),
        who,
        strict=True,
    )
    out: list[Object] = []
    for id, created, customer, kind, card, person in made:
        method: dict[str, Any] = {
            "id": id,
            "object": "payment_method",
            "allow_redisplay": "always" if customer else "unspecified",
            "billing_details": {
                "address": person.address,
                "email": person.email,
                "name": person.name,
                "phone": None,
                "tax_id": None,
            },
            "created": created,
            "customer": customer,
            "customer_account": None,
            "livemode": company.livemode,
            "metadata": {},
            "type": "sepa_debit" if kind else "card",
        }
        if kind:
            method["sepa_debit"] = {
                "bank_code": card.last4 + "0",
                "branch_code": "00001",
                "country": person.address["country"],
                "fingerprint": card.fingerprint,
                "generated_from": {"charge": None, "setup_attempt": None},
                "last4": card.last4,
            }
        else:
            method["card"] = {
                "brand": card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": "pass",
                    "cvc_check": "pass",
                },
                "country": person.address["country"],
                "display_brand": "american_express" if card.brand == "amex" else card.brand,
                "exp_month": card.exp_month,
                "exp_year": card.exp_year,
                "fingerprint": card.fingerprint,
                "funding": card.funding,
                "generated_from": None,
                "last4": card.last4,
                "networks": {"available": [card.network], "preferred": None},
                "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": True},
                "wallet": None,
            }
        out.append(method)
    return out


_SETUP = ("succeeded", "requires_payment_method", "canceled")


def setup_intents(company: Company, rows: I64) -> list[Object]:
    """Build setup intents."""
    read = Rows(company, "setup_intents", rows)
    made = zip(
        read.ids(), read.created(), read.refs("customer", "customers"), read.refs("pm", "payment_methods"), read("status"),
        read.bits("secret"), strict=True,
    )  # fmt: skip
    return [
        {
            "id": id,
            "object": "setup_intent",
            "allowed_payment_method_types": None,
            "application": None,
            "automatic_payment_methods": {"allow_redirects": "always", "enabled": True},
            "cancellation_reason": "abandoned" if status == 2 else None,
            "client_secret": f"{id}_secret_{token(bits)}",
            "created": created,
            "customer": customer,
            "customer_account": None,
            "description": None,
            "excluded_payment_method_types": None,
            "flow_directions": None,
            "last_setup_error": None,
            "latest_attempt": None,
            "livemode": company.livemode,
            "managed_payments": None,
            "mandate": None,
            "metadata": {},
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": method,
            "payment_method_configuration_details": None,
            "payment_method_options": {
                "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
            },
            "payment_method_types": ["card", "sepa_debit"],
            "single_use_mandate": None,
            "status": _SETUP[status],
            "usage": "off_session",
        }
        for id, created, customer, method, status, bits in made
    ]
