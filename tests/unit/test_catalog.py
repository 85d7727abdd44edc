"""The catalogue as the product reads it: complete, consistent in itself, and honest about what Stripe hides."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from takings import catalog
from takings.catalog import Catalog, Resource


@pytest.fixture(scope="module")
def known() -> Catalog:
    return catalog.load()


def test_it_has_every_list_of_the_sdk(known: Catalog) -> None:
    assert Counter((item.api, item.top_level) for item in known.lists) == {
        ("v1", True): 97,
        ("v1", False): 23,
        ("v2", True): 17,
        ("v2", False): 1,
    }
    assert len({item.path for item in known.lists}) == 138
    assert sum(item.created_filter for item in known.lists if item.api == "v1" and item.top_level) == 51
    assert sum(bool(item.query_parents or item.query_fixed or item.window) for item in known.lists) == 21


def test_each_list_has_a_table_and_each_parent_a_list_or_a_table(known: Catalog) -> None:
    for item in known.lists:
        assert item.table in known.resources, item.path
        assert set(item.path_parents) == set(re.findall(r"{(\w+)}", item.path))
        for parent in item.needs.values():
            table, _, field = parent.partition(".")
            assert table in known.resources, item.path
            assert known.resources[table].field(field or "id") is not None, item.path
        for name in (*item.query_parents, *item.window):
            assert name in item.parameters, item.path
        for variant in item.variants:
            assert set(variant) <= set(item.parameters), item.path


def test_each_resource_says_what_names_its_rows(known: Catalog) -> None:
    for table, resource in known.resources.items():
        assert resource.table == table
        names = [field.name for field in resource.fields]
        assert len(names) == len(set(names)), table
        assert set(resource.key) <= set(names), table
    assert {table for table, resource in known.resources.items() if not resource.key} == {
        "balance",
        "balance_settings",
        "tax_settings",
    }
    assert known.resources["capabilities"].key == ("account", "id")


def test_rows_of_every_list_can_be_kept_by_id(known: Catalog) -> None:
    assert all("id" in known.resources[item.table].key for item in known.lists)


def _currency_is_known(resource: Resource, at: str) -> bool:
    if at in ("key", "account", "parent", "linked") or re.fullmatch(r"=[a-z]{3}", at):
        return True
    found = resource.field(at)
    return found is not None and found.kind == "currency"


def test_every_amount_has_a_currency(known: Catalog) -> None:
    count = 0
    for table, resource in known.resources.items():
        for field in (*resource.fields, *resource.inner):
            if field.kind == "amount":
                count += 1
                assert field.currency is not None, f"{table}.{field.name}"
                assert _currency_is_known(resource, field.currency), f"{table}.{field.name} → {field.currency}"
            else:
                assert field.currency is None, f"{table}.{field.name}"
    assert count > 400


@pytest.mark.parametrize(
    ("table", "path", "kind", "currency"),
    [
        ("charges", "amount", "amount", "currency"),
        ("balance_transactions", "fee", "amount", "currency"),
        ("balance_transactions", "net", "amount", "currency"),
        ("balance_transactions", "fee_details.amount", "amount", "fee_details[].currency"),
        ("balance_transactions", "exchange_rate", "float", None),
        ("balance", "available.amount", "amount", "available[].currency"),
        ("balance", "pending[].source_types.card", "amount", "pending[].currency"),
        ("prices", "currency_options.jpy.unit_amount", "amount", "key"),
        ("charges", "presentment_details.presentment_amount", "amount", "presentment_details.presentment_currency"),
        ("issuing_transactions", "merchant_amount", "amount", "merchant_currency"),
        ("customers", "balance", "amount", "currency"),
        ("customers", "invoice_credit_balance.eur", "amount", "key"),
        ("credit_note_line_items", "amount", "amount", "parent"),
        ("promotion_codes", "restrictions.minimum_amount", "amount", "restrictions.minimum_amount_currency"),
        ("billing_credit_grants", "amount.monetary.value", "amount", "amount.monetary.currency"),
        ("invoices", "total_taxes[].amount", "amount", "currency"),
        ("v2_money_management_transactions", "amount.value", "amount", "amount.currency"),
        ("prices", "unit_amount_decimal", "decimal", None),
        ("tax_rates", "percentage", "float", None),
        ("invoices", "status_transitions.paid_at", "timestamp", None),
        ("subscriptions", "billing_cycle_anchor", "timestamp", None),
        ("subscription_items", "current_period_end", "timestamp", None),
        ("coupons", "duration_in_months", "integer", None),
        ("prices", "transform_quantity.divide_by", None, None),
        ("charges", "no_such_field", None, None),
    ],
)
def test_fields_are_what_stripe_means(
    known: Catalog, table: str, path: str, kind: str | None, currency: str | None
) -> None:
    found = known.field_at(known.resources[table], path)
    assert (found and found.kind, found and found.currency) == (kind, currency)


def test_times_of_v2_are_texts_and_of_v1_numbers(known: Catalog) -> None:
    for resource in known.resources.values():
        for field in (*resource.fields, *resource.inner):
            if field.kind == "timestamp":
                assert field.text == (resource.api == "v2"), f"{resource.table}.{field.name}"


def test_ids_say_what_they_point_to_and_enums_whether_they_are_closed(known: Catalog) -> None:
    charge = known.resources["charges"]
    customer, source = charge.field("customer"), known.resources["balance_transactions"].field("source")
    assert customer is not None and source is not None
    assert (customer.kind, customer.target, customer.expandable) == ("id", ("customer",), True)
    assert len(source.target) == 16
    status = charge.field("status")
    assert status is not None and status.values == ("failed", "pending", "succeeded") and status.open
    collection = known.resources["coupons"].field("duration")
    assert collection is not None and collection.open and set(collection.values) == {"forever", "once", "repeating"}
    assert any(field.kind == "enum" and not field.open for item in known.resources.values() for field in item.fields)


def test_lists_that_hide_rows_say_how_to_lift_it_and_what_stays_hidden(known: Catalog) -> None:
    assert known.endpoint("/v1/subscriptions").variants == ({"status": "all"},)
    assert known.endpoint("/v1/prices").variants == ({"active": "true"}, {"active": "false"})
    assert known.endpoint("/v2/core/accounts").variants == ({}, {"closed": "true"})
    assert known.endpoint("/v1/charges").variants == ({},)
    for path in ("/v1/prices", "/v1/tax_ids", "/v1/reviews", "/v1/events", "/v1/customers", "/v1/subscriptions"):
        assert known.endpoint(path).hides.endswith(".")
    assert known.endpoint("/v1/charges").hides == ""


def test_nested_lists_are_there_always_or_when_expanded(known: Catalog) -> None:
    nested = {(table, item.field): item for table, resource in known.resources.items() for item in resource.nested}
    always = {where for where, item in nested.items() if item.always}
    assert always >= {
        ("invoices", "lines"),
        ("subscriptions", "items"),
        ("credit_notes", "lines"),
        ("transfers", "reversals"),
        ("application_fees", "refunds"),
    }
    assert {where for where, item in nested.items() if item.expand} == {
        ("checkout_sessions", "line_items"),
        ("payment_links", "line_items"),
        ("quotes", "line_items"),
        ("customers", "tax_ids"),
    }
    flat = {("charges", "refunds"), ("invoices", "payments"), ("customers", "subscriptions")}
    for where in flat:
        item = nested[where]
        assert not item.always and not item.expand and item.path is not None
        assert not known.endpoint(item.path).needs
    for item in nested.values():
        assert item.path is not None and known.endpoint(item.path).table == item.table


def test_line_items_of_different_parents_go_to_different_tables(known: Catalog) -> None:
    tables = [table for table, resource in known.resources.items() if resource.object == "item"]
    assert sorted(tables) == [
        "checkout_session_line_items",
        "payment_link_line_items",
        "quote_computed_upfront_line_items",
        "quote_line_items",
    ]
    assert known.by_object("item") is None


def test_objects_and_events_lead_to_their_tables(known: Catalog) -> None:
    def table_of(resource: Resource | None) -> str | None:
        return resource.table if resource else None

    assert table_of(known.by_object("line_item")) == "invoice_line_items"
    assert table_of(known.by_object("fee_refund")) == "application_fee_refunds"
    assert table_of(known.by_object("credit_note_line_item")) == "credit_note_line_items"
    assert table_of(known.by_object("source")) == "customer_sources"
    assert table_of(known.by_object("card")) is None  # a customer's or an account's
    assert table_of(known.by_event("customer.subscription.deleted")) == "subscriptions"
    assert table_of(known.by_event("charge.dispute.closed")) == "disputes"
    assert table_of(known.by_event("charge.refund.updated")) == "refunds"
    assert table_of(known.by_event("customer.source.created")) == "customer_sources"
    assert table_of(known.by_event("issuing_card.created")) == "issuing_cards"
    assert table_of(known.by_event("invoice.upcoming")) is None  # a preview
    assert table_of(known.by_event("no.such_event")) is None


@pytest.mark.parametrize(
    "table",
    # As facts/stripe.md has them: no events at all.
    [
        "balance_transactions",
        "subscription_items",
        "setup_attempts",
        "shipping_rates",
        "tax_codes",
        "tax_registrations",
        "invoice_rendering_templates",
        "payment_records",
        "radar_value_lists",
        "file_links",
        "webhook_endpoints",
        "customer_balance_transactions",
        "invoice_line_items",
    ],
)
def test_what_no_event_tells_of(known: Catalog, table: str) -> None:
    assert known.resources[table].events == ()


@pytest.mark.parametrize(
    "table",
    # Events, but none that says updated.
    [
        "payment_intents",
        "setup_intents",
        "checkout_sessions",
        "quotes",
        "invoiceitems",
        "topups",
        "reviews",
        "invoice_payments",
    ],
)
def test_what_no_update_event_tells_of(known: Catalog, table: str) -> None:
    assert known.resources[table].events and not known.resources[table].updated_event


def test_what_can_be_deleted(known: Catalog) -> None:
    deletable = {table for table, resource in known.resources.items() if resource.deletable}
    assert deletable >= {"coupons", "customers", "invoices", "invoiceitems", "plans", "prices", "products", "tax_ids"}
    assert deletable >= {"persons", "external_accounts", "customer_sources", "test_helpers_test_clocks"}
    assert not deletable & {"charges", "subscriptions", "balance_transactions", "payment_intents", "refunds", "events"}


def test_what_is_read_by_default_costs_no_request_for_each_parent(known: Catalog) -> None:
    completed = {
        item.path for resource in known.resources.values() for item in resource.nested if item.always or item.expand
    }
    for item in known.lists:
        assert item.default == ((not item.needs and not item.window) or item.path in completed), item.path
    assert known.endpoint("/v1/events").default
    assert not known.endpoint("/v1/credit_notes/preview/lines").default


def test_what_orders_a_list_is_named(known: Catalog) -> None:
    assert known.resources["charges"].created and known.resources["charges"].created_field == "created"
    assert not known.resources["invoiceitems"].created and known.resources["invoiceitems"].created_field == "date"
    for item in known.lists:
        named = known.resources[item.table].created_field
        assert not item.created_filter or named or item.path == "/v1/product_catalog/trial_offers", item.path


def test_permissions_are_named_in_both_tongues(known: Catalog) -> None:
    for item in known.lists:
        assert bool(item.permission) == bool(item.scope), item.path
        assert item.scope is None or re.fullmatch(r"[a-z_]+_read", item.scope)
    assert known.endpoint("/v1/prices").scope == "plan_read"
    assert known.endpoint("/v1/refunds").permission == "Charges and Refunds"


def test_most_fields_are_described_in_stripes_words(known: Catalog) -> None:
    described = catalog.describe(known.resources["charges"])
    assert "smallest currency unit" in described["amount"] and "](" not in described["amount"]
    assert catalog.summary(known.resources["charges"]).startswith("The `Charge` object")
    total = with_text = 0
    for resource in known.resources.values():
        described = catalog.describe(resource)
        assert all(text and "\n" not in text for text in described.values())
        total += len(resource.fields)
        with_text += sum(field.name in described for field in resource.fields)
    assert with_text / total > 0.8


def test_a_resource_of_an_unknown_class_has_no_descriptions() -> None:
    unknown = Resource(object="x", table="xs", sdk="_no_such_module.X", fields=())
    assert catalog.describe(unknown) == {}
    assert catalog.summary(unknown) == ""


def test_none_of_stripes_sentences_is_in_the_data_file(known: Catalog) -> None:
    text = catalog.DATA.read_text(encoding="utf-8")
    assert len(text) < 2_500_000
    for resource in known.resources.values():
        for sentence in catalog.describe(resource).values():
            assert len(sentence) < 25 or sentence not in text
