"""What happens to the simulated company after it was drawn: told or silent, on old objects, in lists inside objects, with its money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from takings.clock import SystemClock
from takings.simulator.changes import Change, make
from takings.simulator.company import KINDS
from takings.simulator.life import Life
from takings.simulator.strange import FIELD, WORD, cursor, with_strangers
from takings.simulator.world import Account, World, WorldConfig

END = datetime(2026, 11, 20, 15, tzinfo=UTC)


class HandClock(SystemClock):
    """Stands where it is put."""

    def __init__(self) -> None:
        self.moment = END + timedelta(minutes=10)

    def now(self) -> datetime:
        return self.moment


class Desk:
    """An account with its clock, asked and changed as over HTTP."""

    def __init__(self, objects: int = 6_000, seed: int = 3) -> None:
        self.clock = HandClock()
        world = World(WorldConfig(objects=objects, seed=seed, end=END), self.clock)
        self.account: Account = world.account(world.accounts()[0])

    def ask(self, path: str, *query: tuple[str, str]) -> tuple[int, dict[str, Any]]:
        answer = self.account.get(path, query)
        return answer.status, msgspec.json.decode(answer.body)

    def good(self, path: str, *query: tuple[str, str]) -> dict[str, Any]:
        status, body = self.ask(path, *query)
        assert status == 200, body
        return body

    def through(self, path: str, *query: tuple[str, str], limit: int = 3) -> list[str]:
        found: list[str] = []
        after: tuple[tuple[str, str], ...] = ()
        while True:
            page = self.good(path, ("limit", str(limit)), *query, *after)
            found += [row["id"] for row in page["data"]]
            if not page["has_more"]:
                return found
            after = (("starting_after", found[-1]),)

    def do(self, do: Any, id: str = "", **more: Any) -> str:
        return make(self.account, Change(do=do, id=id, **more))

    def truth(self, table: str) -> dict[str, dict[str, Any]]:
        return {id: msgspec.json.decode(body) for id, body in self.account.objects(table)}

    def told(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the latest events, the newest first."""
        found: list[dict[str, Any]] = self.good("/v1/events", ("limit", str(count)))["data"]
        return found

    def balances(self) -> bool:
        """Whether the balance is the sum of its transactions."""
        facts = self.account.facts()
        sums: dict[str, int] = {}
        for txn in self.truth("balance_transactions").values():
            key = f"{txn['status']} {txn['currency']}"
            sums[key] = sums.get(key, 0) + txn["net"]
        shown = self.good("/v1/balance")
        told = {
            f"{part} {each['currency']}": each["amount"] for part in ("available", "pending") for each in shown[part]
        }
        both = {
            c: facts["balance"]["available"][c] + facts["balance"]["pending"][c] for c in facts["balance"]["available"]
        }
        return {k: n for k, n in told.items() if n} == {k: n for k, n in sums.items() if n} and both == facts["net"]


@pytest.mark.parametrize("table", [name for name in KINDS if name != "events"])
def test_objects_of_every_kind_can_be_made_changed_and_taken_away(table: str) -> None:
    desk = Desk(20_000)
    object, count = KINDS[table][0], desk.account.facts()["objects"][table]
    made = desk.do("create", object=object, fields={"metadata": {"made": "by hand"}})
    assert desk.account.facts()["objects"][table] == count + 1
    assert desk.truth(table)[made]["metadata"] == {"made": "by hand"}
    desk.do("update", made, fields={"metadata": {"made": "twice"}}, event=False)
    old = next(desk.account.ids(table))
    desk.do("update", old, fields={"metadata": {"made": "old"}}, event=False)
    truth = desk.truth(table)
    assert (truth[made]["metadata"], truth[old]["metadata"]) == ({"made": "twice"}, {"made": "old"})
    desk.do("delete", made)
    desk.do("delete", old)
    left = set(desk.account.ids(table))
    assert {made, old}.isdisjoint(left) and len(left) == desk.account.facts()["objects"][table] == count - 1


def test_an_invoices_lines_grow_past_ten_and_shrink() -> None:
    desk = Desk()
    invoice = next(i for i in desk.truth("invoices").values() if i["lines"]["total_count"] == 1)
    path, url = f"/v1/invoices/{invoice['id']}", invoice["lines"]["url"]
    added = [desk.do("create", object="line_item", fields={"amount": n}, parent=invoice["id"]) for n in range(13)]
    lines = desk.good(path)["lines"]
    whole = desk.through(url)
    assert (len(lines["data"]), lines["has_more"], lines["total_count"]) == (10, True, 14)
    assert whole == [invoice["lines"]["data"][0]["id"], *added]
    assert [line["id"] for line in lines["data"]] == whole[:10]
    listed = {
        row["id"]: row
        for row in desk.good("/v1/invoices", ("limit", "100"), ("created", str(invoice["created"])))["data"]
    }
    assert listed[invoice["id"]] == desk.good(path)
    assert {line["invoice"] for line in desk.good(url, ("limit", "100"))["data"]} == {invoice["id"]}
    desk.do("update", added[2], fields={"description": "Silently other"}, event=False)
    assert desk.good(path)["lines"]["data"][3]["description"] == "Silently other"
    for line in (whole[0], *added[4:]):
        desk.do("delete", line, event=False)
    assert [line["id"] for line in desk.good(path)["lines"]["data"]] == added[:4]
    assert desk.good(path)["lines"]["has_more"] is False
    desk.do("update", invoice["id"])
    assert desk.told()[0]["type"] == "invoice.updated"
    assert desk.told()[0]["data"]["object"]["lines"]["total_count"] == 4


def test_a_subscriptions_items_grow_past_ten() -> None:
    desk = Desk()
    sub = next(s for s in desk.truth("subscriptions").values() if s["status"] == "active")
    count = sub["items"]["total_count"]
    added = [
        desk.do("create", object="subscription_item", fields={"quantity": n}, parent=sub["id"]) for n in range(1, 13)
    ]
    found = desk.through("/v1/subscription_items", ("subscription", sub["id"]))
    assert found == [*(item["id"] for item in sub["items"]["data"]), *added]
    items = desk.good(f"/v1/subscriptions/{sub['id']}")["items"]
    assert (len(items["data"]), items["has_more"], items["total_count"]) == (10, True, count + 12)
    desk.do("delete", added[0])
    assert added[0] not in desk.through("/v1/subscription_items", ("subscription", sub["id"]))
    assert desk.good(f"/v1/subscriptions/{sub['id']}")["items"]["total_count"] == count + 11


def test_a_new_invoice_has_lines_of_its_own_and_takes_them_with_it() -> None:
    desk = Desk()
    invoice = desk.do("create", object="invoice")
    lines = [desk.do("create", object="line_item", parent=invoice) for _ in range(12)]
    assert desk.good(f"/v1/invoices/{invoice}")["lines"]["total_count"] == 12
    assert desk.through(f"/v1/invoices/{invoice}/lines") == lines
    assert desk.good(f"/v1/invoices/{invoice}/lines/{lines[3]}")["invoice"] == invoice
    desk.do("delete", invoice)
    assert set(lines).isdisjoint(desk.account.ids("invoice_line_items"))
    assert desk.ask(f"/v1/invoices/{invoice}/lines")[0] == 404


def test_line_items_of_a_new_session_come_when_asked_for() -> None:
    desk = Desk()
    session = desk.do("create", object="checkout.session")
    lines = [desk.do("create", object="item", parent=session) for _ in range(11)]
    (shown,) = desk.good("/v1/checkout/sessions", ("limit", "1"), ("expand[]", "data.line_items"))["data"]
    assert [line["id"] for line in shown["line_items"]["data"]] == lines[:10]
    assert shown["line_items"]["has_more"]
    assert desk.through(f"/v1/checkout/sessions/{session}/line_items") == lines


def test_an_archived_price_leaves_its_list_and_changes_what_holds_it_silently() -> None:
    desk = Desk()
    item = next(
        i
        for i in desk.truth("subscription_items").values()
        if i["price"]["active"] and i["price"]["id"] in desk.through("/v1/prices")
    )
    price = item["price"]["id"]
    desk.do("archive", price)
    assert {event["type"] for event in desk.told(2)} == {"price.updated", "plan.updated"}
    assert price not in desk.through("/v1/prices") and price in desk.through("/v1/prices", ("active", "false"))
    assert desk.good(f"/v1/plans/{price}")["active"] is False
    now = desk.truth("subscription_items")[item["id"]]
    assert (now["price"]["active"], now["plan"]["active"]) == (False, False)
    sub = desk.good(f"/v1/subscriptions/{item['subscription']}")
    assert now in sub["items"]["data"]
    assert desk.account.facts()["hidden"]["prices"] == len(desk.through("/v1/prices", ("active", "false")))


def test_a_canceled_subscription_is_hidden_and_told() -> None:
    desk = Desk()
    sub = desk.through("/v1/subscriptions", ("status", "active"))[5]
    hidden = desk.account.facts()["hidden"]["subscriptions"]
    desk.do("cancel", sub)
    assert sub not in desk.through("/v1/subscriptions") and sub in desk.through("/v1/subscriptions", ("status", "all"))
    assert desk.account.facts()["hidden"]["subscriptions"] == hidden + 1
    assert (desk.told()[0]["type"], desk.told()[0]["data"]["object"]["status"]) == (
        "customer.subscription.deleted",
        "canceled",
    )


def test_a_deleted_customer_takes_subscriptions_tax_ids_and_pending_items_along() -> None:
    desk = Desk()
    owner = next(t["customer"] for t in desk.truth("tax_ids").values())
    sub = desk.do("create", object="subscription", fields={"customer": owner, "status": "active"})
    item = desk.do("create", object="invoiceitem", fields={"customer": owner, "invoice": None})
    desk.do("delete", owner)
    assert desk.good(f"/v1/customers/{owner}") == {"id": owner, "object": "customer", "deleted": True}
    assert desk.good(f"/v1/subscriptions/{sub}")["status"] == "canceled"
    assert desk.ask(f"/v1/invoiceitems/{item}")[0] == 404
    assert {event["type"] for event in desk.told(20)} >= {
        "customer.deleted",
        "customer.subscription.deleted",
        "invoiceitem.deleted",
    }
    assert desk.ask(f"/v1/customers/{owner}/tax_ids")[0] == 404
    assert owner not in {t["customer"] for t in desk.truth("tax_ids").values()}
    told = len(desk.through("/v1/events", limit=100))
    other = desk.through("/v1/customers")[7]
    desk.do("delete", other, event=False)
    assert len(desk.through("/v1/events", limit=100)) == told
    assert other not in desk.through("/v1/customers")


def test_money_moves_with_refunds_disputes_captures_settling_and_payouts() -> None:
    desk = Desk(20_000)
    assert desk.balances()
    charges = list(desk.truth("charges").values())
    good = [c for c in charges if c["captured"] and c["amount_refunded"] == 0 and not c["disputed"]]
    old, other = good[0]["id"], good[1]["id"]
    assert charges[-1]["created"] - good[0]["created"] > 700 * 86_400
    refund = desk.do("refund", old, amount=100)
    assert desk.good(f"/v1/charges/{old}")["amount_refunded"] == 100
    assert desk.good(f"/v1/charges/{old}/refunds")["data"][0]["id"] == refund
    assert [event["type"] for event in desk.told(2)] == ["charge.refunded", "refund.created"]
    assert desk.told()[0]["data"]["previous_attributes"] == {"amount_refunded": 0}
    dispute = desk.do("dispute", other)
    assert desk.good(f"/v1/disputes/{dispute}")["balance_transactions"][0]["net"] < 0
    assert desk.good(f"/v1/charges/{other}")["disputed"] is True
    reserved = next(c["id"] for c in charges if c["status"] == "succeeded" and not c["captured"])
    desk.do("capture", reserved)
    assert {event["type"] for event in desk.told(2)} == {"charge.captured", "payment_intent.succeeded"}
    assert desk.balances()
    before = desk.account.facts()["balance"]
    desk.clock.moment += timedelta(days=4)
    told = len(desk.through("/v1/events", limit=100))
    assert int(desk.do("settle")) > 3
    assert desk.account.facts()["balance"]["available"] != before["available"]
    assert desk.balances()
    for currency in ("eur", "usd"):
        payout = desk.do("pay_out", currency=currency)
        if payout:
            break
    paid = desk.good("/v1/balance_transactions", ("payout", payout), ("limit", "100"))["data"]
    assert sum(txn["net"] for txn in paid if txn["type"] != "payout") == desk.good(f"/v1/payouts/{payout}")["amount"]
    assert desk.do("pay_out", currency=currency) == ""
    desk.do("finish", payout)
    waiting = next(p["id"] for p in desk.truth("payouts").values() if p["status"] == "in_transit")
    desk.do("finish", waiting, failed=True)
    assert desk.good(f"/v1/payouts/{waiting}")["status"] == "failed"
    assert [event["type"] for event in desk.told(3)] == ["payout.failed", "payout.paid", "payout.created"]
    assert len(desk.through("/v1/events", limit=100)) == told + 3
    assert desk.balances()


def test_changed_transactions_stay_in_their_payout() -> None:
    desk = Desk(20_000)
    payout = next(p["id"] for p in reversed(desk.truth("payouts").values()) if p["automatic"])
    before = desk.through("/v1/balance_transactions", ("payout", payout))
    desk.do("update", before[0], fields={"description": "Otherwise"}, event=False)
    assert desk.through("/v1/balance_transactions", ("payout", payout)) == before


def test_events_can_be_late_doubled_of_one_second_unknown_and_of_an_older_version() -> None:
    desk = Desk()
    customer = next(desk.account.ids("customers"))
    desk.do("telling", times=2, late_s=90)
    count = len(desk.through("/v1/events", limit=100))
    desk.do("update", customer, fields={"name": "Late"})
    assert len(desk.through("/v1/events", limit=100)) == count
    desk.clock.moment += timedelta(seconds=91)
    assert len(desk.through("/v1/events", limit=100)) == count + 2
    first, second = desk.told(2)
    assert first["id"] != second["id"] and first["data"] == second["data"]
    desk.do("telling", times=1, late_s=0)
    second_of = int(desk.clock.moment.timestamp())
    for name in ("C", "A", "B"):
        desk.do(
            "tell",
            type="customer.updated",
            fields=desk.good(f"/v1/customers/{customer}") | {"name": name},
            at=second_of,
        )
    assert [event["data"]["object"]["name"] for event in desk.told(3)] == ["B", "A", "C"]
    assert {event["created"] for event in desk.told(3)} == {second_of}
    desk.do("tell", type="hologram.projected", fields={"id": "holo_1", "object": "hologram", "metadata": {}})
    assert desk.told()[0]["type"] == "hologram.projected"
    desk.do("telling", api_version="2024-06-20")
    invoice = next(i for i in desk.truth("invoices").values() if i["parent"] and i["total_taxes"])
    desk.do("update", invoice["id"])
    old = desk.told()[0]
    assert old["api_version"] == "2024-06-20"
    then = old["data"]["object"]
    assert "parent" not in then and "total_taxes" not in then
    assert then["subscription"] == invoice["parent"]["subscription_details"]["subscription"]
    assert then["paid"] is (invoice["status"] == "paid")
    line, was = then["lines"]["data"][0], invoice["lines"]["data"][0]
    assert line["price"]["id"] == was["pricing"]["price_details"]["price"]
    assert line["tax_amounts"][0]["tax_rate"] == was["taxes"][0]["tax_rate_details"]["tax_rate"]
    sub = next(desk.account.ids("subscriptions"))
    desk.do("update", sub, fields={"description": "x"})
    then = desk.told()[0]["data"]["object"]
    assert then["current_period_end"] > then["current_period_start"]
    assert "current_period_end" not in then["items"]["data"][0]


def test_events_go_after_thirty_days() -> None:
    desk = Desk()
    customer = next(desk.account.ids("customers"))
    desk.do("update", customer, fields={"name": "Before"})
    (told,) = desk.told()
    oldest = desk.through("/v1/events", limit=100)[-1]
    desk.clock.moment += timedelta(days=29)
    assert told["id"] in desk.through("/v1/events", limit=100)
    assert desk.ask(f"/v1/events/{oldest}")[0] == 404
    assert desk.ask("/v1/events", ("starting_after", oldest))[0] == 400
    assert (
        len(desk.through("/v1/events", limit=100))
        == desk.account.facts()["objects"]["events"]
        == len(desk.truth("events"))
    )
    desk.clock.moment += timedelta(days=2)
    assert desk.through("/v1/events", limit=100) == []
    assert desk.ask(f"/v1/events/{told['id']}")[0] == 404


def test_ids_of_255_characters_and_objects_of_a_megabyte() -> None:
    desk = Desk()
    id = "cus_" + "x" * 251
    desk.do("create", object="customer", fields={"id": id, "description": "é" * 500_000})
    assert desk.good("/v1/customers", ("limit", "1"))["data"][0] == desk.good(f"/v1/customers/{id}")
    assert desk.through("/v1/customers", ("limit", "1"))[0] == id
    assert len(dict(desk.account.objects("customers"))[id]) > 1_000_000


def test_strange_answers_hold_fields_and_words_that_nobody_knows() -> None:
    body = Desk().account.get("/v1/subscriptions", [("limit", "2")]).body
    page = msgspec.json.decode(with_strangers(body))
    assert {thing["status"] for thing in page["data"]} == {WORD}
    assert all(FIELD in thing and FIELD in thing["items"]["data"][0] for thing in page["data"])
    assert cursor(body) == page["data"][-1]["id"]
    assert cursor(Desk().account.get("/v1/coupons", [("limit", "100")]).body) is None


@pytest.mark.parametrize("seed", [6, 40])
def test_a_company_too_small_for_a_refund_lives_all_the_same(seed: int) -> None:
    account = Desk(objects=300, seed=seed).account
    assert not (account.can_create("refund") and account.can_create("dispute"))
    assert len(Life(account, 3, told=True).live(60)) > 20
