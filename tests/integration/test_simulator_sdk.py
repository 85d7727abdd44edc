"""The official SDK as an independent client: it reads every list it knows from the simulator, to the last row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from takings.catalog import load
from takings.simulator import Simulator

#: Lists that stand alone: the table they give, and the parameters that together lift what Stripe hides.
WHOLE: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "v1.application_fees": ("application_fees", [{}]),
    "v1.balance_transactions": ("balance_transactions", [{}]),
    "v1.charges": ("charges", [{}]),
    "v1.checkout.sessions": ("checkout_sessions", [{}]),
    "v1.coupons": ("coupons", [{}]),
    "v1.credit_notes": ("credit_notes", [{}]),
    "v1.customers": ("customers", [{}]),
    "v1.disputes": ("disputes", [{}]),
    "v1.events": ("events", [{}]),
    "v1.invoice_items": ("invoiceitems", [{}]),
    "v1.invoice_payments": ("invoice_payments", [{}]),
    "v1.invoices": ("invoices", [{}]),
    "v1.payment_intents": ("payment_intents", [{}]),
    "v1.payment_methods": ("payment_methods", [{}]),
    "v1.payouts": ("payouts", [{}]),
    "v1.plans": ("plans", [{}]),
    "v1.prices": ("prices", [{"active": True}, {"active": False}]),
    "v1.products": ("products", [{}]),
    "v1.promotion_codes": ("promotion_codes", [{}]),
    "v1.refunds": ("refunds", [{}]),
    "v1.setup_intents": ("setup_intents", [{}]),
    "v1.subscription_schedules": ("subscription_schedules", [{}]),
    "v1.subscriptions": ("subscriptions", [{"status": "all"}]),
    "v1.tax_rates": ("tax_rates", [{}]),
    "v1.transfers": ("transfers", [{}]),
}

#: Lists below a parent: the table they give, and the parent's.
BELOW = {
    "v1.application_fees.refunds": ("application_fee_refunds", "application_fees"),
    "v1.checkout.sessions.line_items": ("checkout_session_line_items", "checkout_sessions"),
    "v1.credit_notes.line_items": ("credit_note_line_items", "credit_notes"),
    "v1.customers.payment_methods": ("payment_methods", "customers"),
    "v1.customers.tax_ids": ("tax_ids", "customers"),
    "v1.invoices.line_items": ("invoice_line_items", "invoices"),
    "v1.subscription_items": ("subscription_items", "subscriptions"),
    "v1.transfers.reversals": ("transfer_reversals", "transfers"),
}

#: Required parameters of lists the account has nothing for.
REQUIRED: dict[str, dict[str, Any]] = {
    "v1.apps.secrets": {"scope": {"type": "account"}},
    "v1.billing.meters.event_summaries": {"customer": "cus_none", "start_time": 0, "end_time": 60},
    "v1.credit_notes.preview_lines": {"invoice": "in_none"},
    "v1.entitlements.active_entitlements": {"customer": "cus_none"},
    "v1.financial_connections.accounts.owners": {"ownership": "fcaowns_none"},
    "v1.financial_connections.transactions": {"account": "fca_none"},
    "v1.issuing.tokens": {"card": "ic_none"},
    "v1.payment_attempt_records": {"payment_record": "pr_none"},
    "v1.radar.value_list_items": {"value_list": "rsl_none"},
    "v1.setup_attempts": {"setup_intent": "seti_none"},
    "v1.tax.locations": {"type": "performance"},
    "v1.treasury.credit_reversals": {"financial_account": "fa_none"},
    "v1.treasury.debit_reversals": {"financial_account": "fa_none"},
    "v1.treasury.inbound_transfers": {"financial_account": "fa_none"},
    "v1.treasury.outbound_payments": {"financial_account": "fa_none"},
    "v1.treasury.outbound_transfers": {"financial_account": "fa_none"},
    "v1.treasury.received_credits": {"financial_account": "fa_none"},
    "v1.treasury.received_debits": {"financial_account": "fa_none"},
    "v1.treasury.transaction_entries": {"financial_account": "fa_none"},
    "v1.treasury.transactions": {"financial_account": "fa_none"},
}


#: Tables whose rows may stand in no parent's list: the field that names the parent, null or one that was deleted.
_PARENT = {"payment_methods": "customer", "tax_ids": "customer"}


def services(service: Any, name: str) -> Iterator[str]:
    """Go through all services of the SDK that have a list."""
    if hasattr(type(service), "list"):
        yield name
    for below in getattr(sys.modules[type(service).__module__], "_subservices", {}):
        yield from services(getattr(service, below), f"{name}.{below}")


ANYONE = stripe.StripeClient("rk_test_none")
EVERY = [name for api in ("v1", "v2") for name in services(getattr(ANYONE, api), api)]


def client(simulator: Simulator, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(key, base_addresses={"api": simulator.api_base, "connect": simulator.api_base})


@pytest.fixture(scope="module")
def live(simulator: Simulator) -> stripe.StripeClient:
    return client(simulator, simulator.live_key)


def service(client: stripe.StripeClient, name: str) -> Any:
    found: Any = client
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_the_sdk_knows_as_many_lists_as_the_catalogue() -> None:
    assert len(EVERY) == len(load().lists)


def test_what_the_tests_below_name_exists() -> None:
    assert {*WHOLE, *BELOW, *REQUIRED} <= set(EVERY)


@pytest.mark.parametrize("name", WHOLE)
def test_a_list_is_read_to_its_last_row_newest_first(
    simulator: Simulator, live: stripe.StripeClient, name: str
) -> None:
    table, variants = WHOLE[name]
    found: list[str] = []
    for variant in variants:
        rows = list(service(live, name).list(params={"limit": 100, **variant}).auto_paging_iter())
        moments = [row["created"] if "created" in row else row["date"] for row in rows]
        assert moments == sorted(moments, reverse=True)
        found += [row["id"] for row in rows]
    assert len(found) == len(set(found)) == simulator.facts()["listed"][table] > 0
    assert set(found) <= set(simulator.objects(table))


@pytest.mark.parametrize("name", BELOW)
def test_what_lies_below_parents_is_read_whole(simulator: Simulator, live: stripe.StripeClient, name: str) -> None:
    table, parents = BELOW[name]
    asked = service(live, name)
    found: list[str] = []
    known = simulator.objects(parents)
    for parent in known:
        if name == "v1.subscription_items":
            page = asked.list(params={"limit": 100, "subscription": parent})
        else:
            page = asked.list(parent, params={"limit": 100})
        found += [row["id"] for row in page.auto_paging_iter()]
    rows = simulator.contents(table)
    truth = {id for id, row in rows.items() if table not in _PARENT or row[_PARENT[table]] in known}
    assert len(found) == len(set(found)) > 0
    assert set(found) == truth


@pytest.mark.parametrize("name", sorted({*EVERY} - {*WHOLE} - {*BELOW}))
def test_every_other_list_answers_as_an_account_without_that_product(live: stripe.StripeClient, name: str) -> None:
    asked = service(live, name)
    parents = ["none_1"] if _has_parent(asked) else []
    params = REQUIRED.get(name, {})
    try:
        page = asked.list(*parents, params=params)
    except (stripe.InvalidRequestError, stripe.PermissionError) as refused:
        assert refused.http_status in (400, 403, 404)
        assert refused.user_message
        assert refused.request_id is not None
        assert parents or params or name.startswith("v2") or "Unrecognized request URL (GET" not in str(refused)
    else:
        assert isinstance(page, stripe.ListObject) or name.startswith("v2")
        assert isinstance(page.data, list)


def _has_parent(asked: Any) -> bool:
    code = type(asked).list.__code__
    return code.co_varnames[1] not in ("params", "options")


def test_the_sdk_meets_stripes_errors_as_its_own(simulator: Simulator) -> None:
    with pytest.raises(stripe.AuthenticationError) as invalid:
        client(simulator, "rk_live_51SimNobodyHasThisKey").v1.charges.list()
    assert invalid.value.http_status == 401
    expired = simulator.create_key()
    simulator.expire_key(expired)
    with pytest.raises(stripe.AuthenticationError) as gone:
        client(simulator, expired).v1.charges.list()
    assert gone.value.json_body is not None
    assert gone.value.json_body["error"]["code"] == "api_key_expired"
    with pytest.raises(stripe.PermissionError) as forbidden:
        client(simulator, simulator.create_key(permissions=["charge"])).v1.customers.list()
    assert "rak_customer_read" in str(forbidden.value)
    simulator.fault("rate_limit", reason="endpoint-rate")
    with pytest.raises(stripe.RateLimitError) as limited:
        client(simulator, simulator.live_key).v1.charges.list()
    assert limited.value.headers is not None
    assert limited.value.headers["stripe-rate-limited-reason"] == "endpoint-rate"
    simulator.fault("status", status=503)
    with pytest.raises(stripe.APIError):
        client(simulator, simulator.live_key).v1.charges.list()
    simulator.fault("drop_before")
    with pytest.raises(stripe.APIConnectionError):
        client(simulator, simulator.live_key).v1.charges.list()


def test_the_sdk_cannot_write(simulator: Simulator, live: stripe.StripeClient) -> None:
    simulator.reset_stats()
    with pytest.raises(stripe.PermissionError):
        live.v1.customers.create(params={"name": "Nobody"})
    assert simulator.stats()["writes_refused"] == 1


def test_the_account_and_its_balance(simulator: Simulator, live: stripe.StripeClient) -> None:
    assert live.v1.accounts.retrieve_current().id == simulator.account
    balance = live.v1.balance.retrieve()
    assert balance.livemode is True
    assert {entry.currency for entry in balance.available}
