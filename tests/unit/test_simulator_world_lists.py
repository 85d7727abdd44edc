"""The simulator's lists behave as Stripe's: order, cursors, bounds, filters, hidden rows, errors, changes by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from takings.catalog import load
from takings.clock import SystemClock
from takings.simulator.account import LISTS
from takings.simulator.world import Account, World, WorldConfig

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
TOP = {path: table for path, table in LISTS.items() if table != "subscription_items"}


class StillClock(SystemClock):
    """Stands at ten minutes after the world's end."""

    def now(self) -> datetime:
        return END + timedelta(minutes=10)


def fresh(objects: int = 6_000, seed: int = 3) -> Account:
    world = World(WorldConfig(objects=objects, seed=seed, end=END), StillClock())
    return world.account(world.accounts()[0])


@cache
def shared() -> Account:
    return fresh(20_000)


def ask(account: Account, path: str, *query: tuple[str, str]) -> tuple[int, dict[str, Any]]:
    answer = account.get(path, query)
    return answer.status, msgspec.json.decode(answer.body)


def good(account: Account, path: str, *query: tuple[str, str]) -> dict[str, Any]:
    status, body = ask(account, path, *query)
    assert status == 200, body
    return body


def through(account: Account, path: str, *query: tuple[str, str], limit: int = 100, back: bool = False) -> list[str]:
    """Page through a list and return its ids in the list's order."""
    found: list[str] = []
    cursor = ()
    while True:
        page = good(account, path, ("limit", str(limit)), *query, *cursor)
        ids = [row["id"] for row in page["data"]]
        found = ids + found if back else found + ids
        if not page["has_more"]:
            return found
        cursor = (("ending_before", ids[0]),) if back else (("starting_after", ids[-1]),)


def everything(account: Account, path: str, table: str) -> list[str]:
    if table == "subscriptions":
        return through(account, path, ("status", "all"))
    if table == "prices":
        return through(account, path, ("active", "true")) + through(account, path, ("active", "false"))
    return through(account, path)


@pytest.mark.parametrize("path", TOP)
def test_paging_gives_every_object_once_newest_first(path: str) -> None:
    account, table = shared(), TOP[path]
    found = everything(account, path, table)
    assert len(found) == len(set(found)) == account.facts()["listed"][table]
    assert set(found) <= set(account.ids(table))
    if table != "prices":
        moments = [msgspec.json.decode(account.object(table, id)) for id in found]
        times = [each.get("created", each.get("date")) for each in moments]
        assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/invoices", "/v1/events", "/v1/customers"])
def test_paging_backwards_gives_the_same_list(path: str) -> None:
    account = shared()
    forwards = through(account, path)
    oldest = forwards[-1]
    backwards = [*_back(account, path, oldest), oldest]
    assert backwards == forwards
    assert through(account, path, limit=7)[:200] == forwards[:200]


def _back(account: Account, path: str, oldest: str) -> list[str]:
    found: list[str] = []
    cursor = oldest
    while True:
        page = good(account, path, ("limit", "93"), ("ending_before", cursor))
        ids = [row["id"] for row in page["data"]]
        found = ids + found
        if not page["has_more"]:
            return found
        cursor = ids[0]


@pytest.mark.parametrize("path", ["/v1/charges", "/v1/customers", "/v1/balance_transactions", "/v1/payouts"])
def test_ranges_of_created_that_touch_cover_every_object_once(path: str) -> None:
    account = shared()
    facts = account.facts()
    everything = through(account, path)
    edges = [facts["start"] - 90 * 86_400 + i * (facts["end"] - facts["start"] + 91 * 86_400) // 13 for i in range(14)]
    found: list[str] = []
    for low, high in pairwise(edges):
        found = through(account, path, ("created[gte]", str(low)), ("created[lt]", str(high))) + found
    assert found == everything
    found = []
    for low, high in pairwise(edges):
        found = through(account, path, ("created[gt]", str(low)), ("created[lte]", str(high))) + found
    assert found == everything


def test_many_objects_share_a_second() -> None:
    account = shared()
    customers = [msgspec.json.decode(body) for _, body in account.objects("customers")]
    seconds = [each["created"] for each in customers]
    busiest = max(set(seconds), key=seconds.count)
    assert seconds.count(busiest) > 10
    same = through(account, "/v1/customers", ("created", str(busiest)), limit=3)
    assert len(same) == len(set(same))
    assert set(same) == {each["id"] for each in customers if each["created"] == busiest}


def test_what_hides_is_found_when_asked_for() -> None:
    account = shared()
    facts = account.facts()
    default = through(account, "/v1/subscriptions")
    canceled = through(account, "/v1/subscriptions", ("status", "canceled"))
    assert len(canceled) == facts["hidden"]["subscriptions"] > 0
    assert not set(default) & set(canceled)
    assert len(default) + len(canceled) == facts["objects"]["subscriptions"]
    active = through(account, "/v1/prices")
    inactive = through(account, "/v1/prices", ("active", "false"))
    assert len(inactive) == facts["hidden"]["prices"] > 0
    inline = set(account.ids("prices")) - set(active) - set(inactive)
    assert len(inline) == facts["hidden"]["inline_prices"] > 0
    for id in inline:
        assert good(account, f"/v1/prices/{id}")["active"] is False
    items = [msgspec.json.decode(body)["price"]["id"] for _, body in account.objects("subscription_items")]
    assert inline & set(items)


def test_events_are_of_the_last_thirty_days() -> None:
    account = shared()
    events = [msgspec.json.decode(body) for _, body in account.objects("events")]
    assert min(each["created"] for each in events) > account.facts()["end"] - 30 * 86_400
    kinds = {each["type"] for each in events}
    assert {"invoice.paid", "charge.succeeded", "customer.subscription.updated", "payout.paid"} <= kinds
    assert kinds <= {name for resource in load().resources.values() for name in resource.events}
    updated = [each for each in events if each["type"] == "customer.subscription.updated"]
    assert all(each["data"]["previous_attributes"] for each in updated)
    wanted = through(account, "/v1/events", ("types[]", "charge.failed"), ("types[]", "invoice.paid"))
    assert set(wanted) == {each["id"] for each in events if each["type"] in ("charge.failed", "invoice.paid")}
    by_star = through(account, "/v1/events", ("type", "charge.*"))
    assert set(by_star) == {each["id"] for each in events if each["type"].startswith("charge.")}


FILTERS = (
    ("/v1/charges", "customer", "customer"),
    ("/v1/charges", "payment_intent", "payment_intent"),
    ("/v1/invoices", "customer", "customer"),
    ("/v1/invoices", "status", "status"),
    ("/v1/invoices", "collection_method", "collection_method"),
    ("/v1/invoices", "subscription", "parent.subscription_details.subscription"),
    ("/v1/refunds", "charge", "charge"),
    ("/v1/refunds", "payment_intent", "payment_intent"),
    ("/v1/disputes", "charge", "charge"),
    ("/v1/payouts", "status", "status"),
    ("/v1/balance_transactions", "type", "type"),
    ("/v1/balance_transactions", "currency", "currency"),
    ("/v1/balance_transactions", "source", "source"),
    ("/v1/invoiceitems", "invoice", "invoice"),
    ("/v1/invoice_payments", "invoice", "invoice"),
    ("/v1/invoice_payments", "status", "status"),
    ("/v1/credit_notes", "invoice", "invoice"),
    ("/v1/credit_notes", "customer", "customer"),
    ("/v1/payment_intents", "customer", "customer"),
    ("/v1/payment_methods", "customer", "customer"),
    ("/v1/payment_methods", "type", "type"),
    ("/v1/setup_intents", "customer", "customer"),
    ("/v1/checkout/sessions", "status", "status"),
    ("/v1/checkout/sessions", "subscription", "subscription"),
    ("/v1/customers", "email", "email"),
    ("/v1/application_fees", "charge", "charge"),
    ("/v1/promotion_codes", "code", "code"),
    ("/v1/promotion_codes", "coupon", "promotion.coupon"),
)


@pytest.mark.parametrize(("path", "param", "field"), FILTERS)
def test_a_filter_keeps_what_its_field_says(path: str, param: str, field: str) -> None:
    account, table = shared(), LISTS[path]
    rows = [msgspec.json.decode(body) for _, body in account.objects(table)]

    def value(row: dict[str, Any]) -> Any:
        found: Any = row
        for key in field.split("."):
            found = found[key] if found is not None else None
        return found

    wanted = next(value(row) for row in reversed(rows) if value(row) is not None)
    expected = {row["id"] for row in rows if value(row) == wanted}
    assert set(through(account, path, (param, wanted))) == expected
    assert expected


def test_the_items_of_all_subscriptions_are_all_items() -> None:
    account = shared()
    found: list[str] = []
    for id in account.ids("subscriptions"):
        mine = through(account, "/v1/subscription_items", ("subscription", id), limit=4)
        embedded = good(account, f"/v1/subscriptions/{id}")["items"]
        assert [each["id"] for each in embedded["data"]] == mine[:10]
        assert embedded["has_more"] == (len(mine) > 10)
        found += mine
    assert sorted(found) == sorted(account.ids("subscription_items"))


def test_the_lines_of_all_invoices_are_all_lines() -> None:
    account = shared()
    found: list[str] = []
    for id in account.ids("invoices"):
        found += through(account, f"/v1/invoices/{id}/lines")
    assert sorted(found) == sorted(account.ids("invoice_line_items"))


def error(account: Account, path: str, *query: tuple[str, str]) -> tuple[int, str | None, str | None]:
    status, body = ask(account, path, *query)
    assert body["error"]["message"]
    assert body["error"]["type"] == "invalid_request_error"
    return status, body["error"].get("code"), body["error"].get("param")


def test_wrong_requests_are_answered_as_stripe_does() -> None:
    account = shared()
    assert error(account, "/v1/charges", ("limit", "0")) == (400, "parameter_invalid_integer", "limit")
    assert error(account, "/v1/charges", ("limit", "101")) == (400, "parameter_invalid_integer", "limit")
    assert error(account, "/v1/charges", ("limit", "ten")) == (400, "parameter_invalid_integer", "limit")
    assert error(account, "/v1/charges", ("colour", "red")) == (400, "parameter_unknown", "colour")
    assert error(account, "/v1/charges", ("starting_after", "ch_none")) == (400, "resource_missing", "starting_after")
    assert error(account, "/v1/charges", ("customer", "cus_none")) == (400, "resource_missing", "customer")
    assert error(account, "/v1/charges", ("created[gte]", "soon")) == (400, "parameter_invalid_integer", "created[gte]")
    assert error(account, "/v1/charges/ch_none") == (404, "resource_missing", "id")
    assert error(account, "/v1/invoices/in_none/lines") == (404, "resource_missing", "id")
    assert error(account, "/v1/subscription_items") == (400, "parameter_missing", "subscription")
    assert error(account, "/v1/nothing") == (404, None, None)
    assert error(account, "/v1/charges", ("expand[]", "data.amount"))[0] == 400
    assert error(account, "/v1/charges", ("expand[]", "data.customer.a.b.c.d"))[0] == 400
    assert error(account, "/v1/issuing/cards")[0] == 400
    two = [row["id"] for row in good(account, "/v1/charges", ("limit", "2"))["data"]]
    assert error(account, "/v1/charges", ("starting_after", two[0]), ("ending_before", two[1]))[0] == 400


def test_ten_is_the_default_page() -> None:
    page = good(shared(), "/v1/charges")
    assert (len(page["data"]), page["has_more"], page["url"], page["object"]) == (10, True, "/v1/charges", "list")


@pytest.mark.parametrize("endpoint", [e for e in load().lists if e.top_level], ids=lambda e: e.path)
def test_every_list_of_the_catalogue_answers(endpoint: Any) -> None:
    status, body = ask(shared(), endpoint.path)
    if status == 200:
        assert isinstance(body["data"], list)
        assert ("next_page_url" in body) == (endpoint.api == "v2")
    else:
        assert status in (400, 403)
        assert body["error"]["message"]


def test_expansion_goes_four_levels_deep() -> None:
    page = good(
        shared(),
        "/v1/invoices",
        ("status", "paid"),
        ("limit", "100"),
        ("expand[]", "data.payments.data.payment.payment_intent.latest_charge"),
        ("expand[]", "data.customer"),
    )
    payments = [payment for each in page["data"] for payment in each["payments"]["data"]]
    assert payments
    assert all(each["payment"]["payment_intent"]["latest_charge"]["object"] == "charge" for each in payments)
    assert all(each["customer"]["object"] == "customer" for each in page["data"])


# Changes by hand


def test_an_update_is_seen_everywhere_and_told_by_an_event() -> None:
    account = fresh()
    id = good(account, "/v1/customers", ("limit", "1"))["data"][0]["id"]
    before = good(account, f"/v1/customers/{id}")
    events = account.facts()["objects"]["events"]
    account.update(id, {"email": "new@example.com", "name": before["name"]})
    assert good(account, f"/v1/customers/{id}") == before | {"email": "new@example.com"}
    assert good(account, "/v1/customers", ("limit", "1"))["data"][0]["email"] == "new@example.com"
    assert through(account, "/v1/customers", ("email", "new@example.com")) == [id]
    told = good(account, "/v1/events", ("limit", "1"))["data"][0]
    assert told["type"] == "customer.updated"
    assert told["data"]["previous_attributes"] == {"email": before["email"]}
    assert told["data"]["object"]["email"] == "new@example.com"
    assert account.facts()["objects"]["events"] == events + 1
    account.update(id, {"email": "silent@example.com"}, event=False)
    assert account.facts()["objects"]["events"] == events + 1


def test_a_change_moves_an_object_between_filters() -> None:
    account = fresh()
    id = through(account, "/v1/subscriptions", ("status", "active"))[3]
    account.update(id, {"status": "canceled"}, event="customer.subscription.deleted")
    assert id not in through(account, "/v1/subscriptions")
    assert id not in through(account, "/v1/subscriptions", ("status", "active"))
    assert id in through(account, "/v1/subscriptions", ("status", "canceled"))
    assert id in through(account, "/v1/subscriptions", ("status", "all"))
    assert good(account, "/v1/events", ("limit", "1"))["data"][0]["type"] == "customer.subscription.deleted"


def test_what_has_no_updated_event_changes_silently() -> None:
    account = fresh()
    id = next(account.ids("payment_intents"))
    events = account.facts()["objects"]["events"]
    account.update(id, {"description": "x"})
    assert account.facts()["objects"]["events"] == events


def test_a_deleted_object_leaves_its_list() -> None:
    account = fresh()
    first, second, third = (row["id"] for row in good(account, "/v1/customers", ("limit", "3"))["data"])
    account.delete(second)
    assert [row["id"] for row in good(account, "/v1/customers", ("limit", "2"))["data"]] == [first, third]
    assert good(account, f"/v1/customers/{second}") == {"id": second, "object": "customer", "deleted": True}
    assert second not in set(account.ids("customers"))
    assert error(account, "/v1/customers", ("starting_after", second))[0] == 400
    assert good(account, "/v1/events", ("limit", "1"))["data"][0]["type"] == "customer.deleted"
    coupon = next(account.ids("coupons"))
    account.delete(coupon)
    assert error(account, f"/v1/coupons/{coupon}") == (404, "resource_missing", "id")
    with pytest.raises(KeyError):
        account.delete(coupon)


def test_new_objects_come_first_and_old_ones_where_they_belong() -> None:
    account = fresh()
    before = through(account, "/v1/customers")
    one = account.create("customer", {"name": "First"})
    two = account.create("customer", {"name": "Second"})
    middle = good(account, f"/v1/customers/{before[10]}")["created"]
    late = account.create("customer", {"name": "Late", "created": middle})
    now = through(account, "/v1/customers", limit=3)
    assert now[:2] == [two, one]
    at = now.index(late)
    assert good(account, f"/v1/customers/{now[at + 1]}")["created"] <= middle
    assert good(account, f"/v1/customers/{now[at - 1]}")["created"] >= middle
    assert sorted(now) == sorted([*before, one, two, late])
    assert [*_back(account, "/v1/customers", now[-1]), now[-1]] == now
    assert good(account, f"/v1/customers/{one}")["name"] == "First"
    assert late in through(account, "/v1/customers", ("created", str(middle)))
    assert account.facts()["objects"]["customers"] == len(now)


def test_a_new_balance_transaction_moves_the_balance() -> None:
    account = fresh()
    before = account.facts()
    account.create("balance_transaction", {"amount": 500, "fee": 0, "net": 500, "currency": "eur", "status": "pending"})
    after = account.facts()
    assert after["net"]["eur"] == before["net"]["eur"] + 500
    assert after["balance"]["pending"]["eur"] == before["balance"]["pending"]["eur"] + 500
