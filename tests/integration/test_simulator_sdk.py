"""The official SDK as an independent client: it reads every list it knows from the simulator, to the last row."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import stripe

from takings.catalog import load
from takings.simulator import Simulator

#: Lists under a parent or with a required parameter: what names the parent, and the table it stands in.
CHILDREN = {
    "v1.accounts.capabilities": "accounts",
    "v1.accounts.external_accounts": "accounts",
    "v1.accounts.persons": "accounts",
    "v1.application_fees.refunds": "application_fees",
    "v1.checkout.sessions.line_items": "checkout_sessions",
    "v1.credit_notes.line_items": "credit_notes",
    "v1.customers.balance_transactions": "customers",
    "v1.customers.cash_balance_transactions": "customers",
    "v1.customers.payment_methods": "customers",
    "v1.customers.payment_sources": "customers",
    "v1.customers.tax_ids": "customers",
    "v1.invoices.line_items": "invoices",
    "v1.payment_intents.amount_details_line_items": "payment_intents",
    "v1.products.features": "products",
    "v1.transfers.reversals": "transfers",
    "v1.subscription_items": "subscriptions",
    "v1.setup_attempts": "setup_intents",
    "v1.entitlements.active_entitlements": "customers",
}

#: Required parameters that name no object.
WORDS = {
    "v1.apps.secrets": {"scope": {"type": "account"}},
    "v1.tax.locations": {"type": "performance"},
}

#: Required parameters that name an object; the account may have none of its kind.
NAMED = {
    "v1.entitlements.active_entitlements": "customer",
    "v1.financial_connections.accounts.owners": "ownership",
    "v1.financial_connections.transactions": "account",
    "v1.issuing.tokens": "card",
    "v1.payment_attempt_records": "payment_record",
    "v1.radar.value_list_items": "value_list",
    "v1.setup_attempts": "setup_intent",
    "v1.subscription_items": "subscription",
    "v1.treasury.inbound_transfers": "financial_account",
}


def services(service: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Go through all services of the SDK that have a list."""
    if hasattr(type(service), "list"):
        yield name, service
    for below in getattr(sys.modules[type(service).__module__], "_subservices", {}):
        yield from services(getattr(service, below), f"{name}.{below}")


@cache
def client(base: str, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": base, "connect": base, "meter_events": base})


def lists() -> list[str]:
    anyone = stripe.StripeClient("rk_test_none")
    return [name for api in ("v1", "v2") for name, _ in services(getattr(anyone, api), api)]


@pytest.fixture(scope="module")
def live(simulator: Simulator) -> stripe.StripeClient:
    return client(simulator.api_base, simulator.live_key)


def service(live: stripe.StripeClient, name: str) -> Any:
    found: Any = live
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_the_sdk_knows_as_many_lists_as_the_catalogue() -> None:
    assert len(lists()) == len(load().lists)


def ids(pages: Any) -> list[str]:
    return [row["id"] for row in pages.auto_paging_iter()]
