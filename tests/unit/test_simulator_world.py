"""The simulated company's books add up, and its life has all that it should have, whatever the seed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest

from takings.clock import SystemClock
from takings.simulator.world import Account, World, WorldConfig

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
Rows = dict[str, dict[str, Any]]
SEEDS = (1, 2, 7)


@cache
def account(seed: int = 1, objects: int = 25_000, currency: str = "eur") -> Account:
    world = World(WorldConfig(objects=objects, seed=seed, end=END, currency=currency), SystemClock())
    return world.account(world.accounts()[0])


@cache
def table(seed: int, name: str) -> Rows:
    return {id: msgspec.json.decode(body) for id, body in account(seed).objects(name)}


def whole(account: Account, path: str, field: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all rows of an embedded list."""
    if not field["has_more"]:
        return list(field["data"])
    rows: list[dict[str, Any]] = []
    more = True
    while more:
        query = [("limit", "100"), *([("starting_after", rows[-1]["id"])] if rows else [])]
        page = msgspec.json.decode(account.get(path, query).body)
        rows, more = rows + page["data"], page["has_more"]
    return rows


@pytest.mark.parametrize("seed", SEEDS)
def test_net_of_all_balance_transactions_is_the_balance(seed: int) -> None:
    net: Counter[str] = Counter()
    split: dict[str, Counter[str]] = {"available": Counter(), "pending": Counter()}
    for txn in table(seed, "balance_transactions").values():
        assert txn["net"] == txn["amount"] - txn["fee"]
        assert txn["fee"] == sum(detail["amount"] for detail in txn["fee_details"])
        net[txn["currency"]] += txn["net"]
        split[txn["status"]][txn["currency"]] += txn["net"]
    balance = msgspec.json.decode(account(seed).get("/v1/balance").body)
    for part in ("available", "pending"):
        assert {each["currency"]: each["amount"] for each in balance[part]} == {
            currency: split[part][currency] for currency in net
        }
    assert account(seed).facts()["net"] == net
    assert len(net) == 3
    assert split["pending"].total() > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_each_automatic_payout_is_what_its_transactions_say(seed: int) -> None:
    payouts = table(seed, "payouts")
    seen: set[str] = set()
    checked = 0
    for id, payout in payouts.items():
        if not payout["automatic"]:
            continue
        rows = whole_list(account(seed), "/v1/balance_transactions", ("payout", id))
        own = [row for row in rows if row["type"] == "payout"]
        assert [row["net"] for row in own] == [-payout["amount"]]
        assert own[0]["id"] == payout["balance_transaction"]
        assert sum(row["net"] for row in rows) == 0
        assert len(rows) > 1
        assert {row["currency"] for row in rows} == {payout["currency"]}
        assert not seen & {row["id"] for row in rows}
        seen |= {row["id"] for row in rows}
        checked += 1
    assert checked > 300
    assert {payout["status"] for payout in payouts.values()} >= {"paid", "failed", "in_transit"}
    by_hand = next(id for id, payout in payouts.items() if not payout["automatic"])
    assert account(seed).get("/v1/balance_transactions", [("payout", by_hand)]).status == 400


def whole_list(account: Account, path: str, *query: tuple[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        cursor = [("starting_after", rows[-1]["id"])] if rows else []
        answer = account.get(path, [("limit", "100"), *query, *cursor])
        assert answer.status == 200, answer.body
        page = msgspec.json.decode(answer.body)
        rows += page["data"]
        if not page["has_more"]:
            return rows


@pytest.mark.parametrize("seed", SEEDS)
def test_charges_refunds_and_disputes_tie_to_their_transactions(seed: int) -> None:
    txns, charges = table(seed, "balance_transactions"), table(seed, "charges")
    refunded: Counter[str] = Counter()
    for refund in table(seed, "refunds").values():
        txn = txns[refund["balance_transaction"]]
        assert txn["source"] == refund["id"]
        if txn["exchange_rate"] is None:
            assert txn["amount"] == -refund["amount"]
        if refund["status"] == "failed":
            back = txns[refund["failure_balance_transaction"]]
            assert back["net"] == -txn["net"]
        else:
            refunded[refund["charge"]] += refund["amount"]
        assert refund["created"] >= charges[refund["charge"]]["created"]
    long_after = 0
    for id, charge in charges.items():
        assert charge["amount_refunded"] == refunded[id] <= charge["amount"]
        assert charge["refunded"] == (refunded[id] == charge["amount"])
        assert (charge["balance_transaction"] is not None) == (
            charge["status"] == "succeeded" and charge["amount_captured"] > 0
        )
        if charge["balance_transaction"]:
            txn = txns[charge["balance_transaction"]]
            assert txn["source"] == id
            if charge["currency"] in ("jpy", "kwd"):
                places = {"jpy": 0, "kwd": 3}[charge["currency"]]
                assert txn["currency"] == "eur"
                assert abs(charge["amount"] / 10**places * txn["exchange_rate"] * 100 - txn["amount"]) < 0.51
            else:
                assert (txn["amount"], txn["currency"]) == (charge["amount"], charge["currency"])
        if charge["currency"] == "kwd":
            assert charge["amount"] % 10 == 0
    for refund in table(seed, "refunds").values():
        long_after += refund["created"] - charges[refund["charge"]]["created"] > 90 * 86_400
    assert long_after
    disputed = {dispute["charge"] for dispute in table(seed, "disputes").values()}
    assert disputed == {id for id, charge in charges.items() if charge["disputed"]}
    for dispute in table(seed, "disputes").values():
        assert dispute["amount"] == charges[dispute["charge"]]["amount"]
        out = [txn for txn in dispute["balance_transactions"] if txn["reporting_category"] == "dispute"]
        assert len(out) == (0 if dispute["status"].startswith("warning") else 1)
        for txn in dispute["balance_transactions"]:
            assert txn == txns[txn["id"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_invoices_are_the_sum_of_their_lines(seed: int) -> None:
    lines_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in table(seed, "invoice_line_items").values():
        lines_of[line["invoice"]].append(line)
    longest = 0
    for id, invoice in table(seed, "invoices").items():
        lines = lines_of[id]
        longest = max(longest, len(lines))
        assert invoice["lines"]["has_more"] == (len(lines) > 10)
        assert len(invoice["lines"]["data"]) == min(10, len(lines))
        assert invoice["subtotal"] == sum(line["amount"] for line in lines)
        off = sum(each["amount"] for line in lines for each in line["discount_amounts"])
        assert sum(each["amount"] for each in invoice["total_discount_amounts"]) == off
        taxes = [tax for line in lines for tax in line["taxes"]]
        assert sum(tax["amount"] for tax in invoice["total_taxes"]) == sum(tax["amount"] for tax in taxes)
        added = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
        assert invoice["total"] == invoice["subtotal"] - off + added >= 0
        assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
        if invoice["status"] != "draft":
            assert invoice["amount_due"] == invoice["total"] - invoice["pre_payment_credit_notes_amount"]
        assert (invoice["status"] == "paid") == (invoice["amount_remaining"] == 0)
    assert longest > 20
    statuses = Counter(invoice["status"] for invoice in table(seed, "invoices").values())
    assert set(statuses) >= {"open", "paid", "void", "uncollectible"}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_an_invoice_was_paid_with_is_what_it_asked(seed: int) -> None:
    invoices, intents, charges = table(seed, "invoices"), table(seed, "payment_intents"), table(seed, "charges")
    charges_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for charge in charges.values():
        charges_of[charge["payment_intent"]].append(charge)
    late = 0
    paid = set()
    for payment in table(seed, "invoice_payments").values():
        invoice, intent = invoices[payment["invoice"]], intents[payment["payment"]["payment_intent"]]
        assert payment["amount_requested"] == intent["amount"] == invoice["amount_due"]
        good = [charge for charge in charges_of[intent["id"]] if charge["status"] == "succeeded"]
        assert len(good) == (1 if invoice["status"] == "paid" else 0)
        assert (intent["status"] == "succeeded") == (invoice["status"] == "paid")
        if invoice["status"] == "paid":
            paid.add(invoice["id"])
            assert intent["latest_charge"] == good[0]["id"]
            assert invoice["status_transitions"]["paid_at"] >= good[0]["created"]
        late += bool(invoice["due_date"] and (invoice["status_transitions"]["paid_at"] or 0) > invoice["due_date"])
    for id, invoice in invoices.items():
        if invoice["status"] == "paid" and invoice["amount_due"]:
            assert id in paid
    assert late
    recovered = sum(1 for each in charges_of.values() if {"failed", "succeeded"} <= {c["status"] for c in each})
    assert recovered > 20


@pytest.mark.parametrize("seed", SEEDS)
def test_credit_notes_agree_with_invoices_and_refunds(seed: int) -> None:
    invoices, refunds = table(seed, "invoices"), table(seed, "refunds")
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for note in table(seed, "credit_notes").values():
        lines = whole(account(seed), f"/v1/credit_notes/{note['id']}/lines", note["lines"])
        assert note["subtotal"] == sum(line["amount"] for line in lines)
        exclusive = sum(tax["amount"] for tax in note["total_taxes"] if tax["tax_behavior"] == "exclusive")
        assert note["total"] == note["amount"] == note["subtotal"] - note["discount_amount"] + exclusive
        assert note["pre_payment_amount"] + note["post_payment_amount"] == note["amount"]
        before[note["invoice"]] += note["pre_payment_amount"]
        after[note["invoice"]] += note["post_payment_amount"]
        for each in note["refunds"]:
            assert each["amount_refunded"] == refunds[each["refund"]]["amount"]
    assert sum(before.values()) > 0 < sum(after.values())
    for id, invoice in invoices.items():
        assert invoice["pre_payment_credit_notes_amount"] == before[id]
        assert invoice["post_payment_credit_notes_amount"] == after[id]


@pytest.mark.parametrize("seed", SEEDS)
def test_transfers_and_fees_tie(seed: int) -> None:
    txns, charges = table(seed, "balance_transactions"), table(seed, "charges")
    for transfer in table(seed, "transfers").values():
        assert txns[transfer["balance_transaction"]]["net"] == -transfer["amount"]
        assert transfer["amount_reversed"] == sum(each["amount"] for each in transfer["reversals"]["data"])
        assert charges[transfer["source_transaction"]]["transfer"] == transfer["id"]
    for fee in table(seed, "application_fees").values():
        assert txns[fee["balance_transaction"]]["net"] == fee["amount"]
        assert fee["amount_refunded"] == sum(each["amount"] for each in fee["refunds"]["data"])
        assert charges[fee["charge"]]["application_fee"] == fee["id"]


@pytest.mark.parametrize("seed", SEEDS)
def test_checkout_sessions_are_the_sum_of_their_lines(seed: int) -> None:
    lines_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    intents = table(seed, "payment_intents")
    for session in table(seed, "checkout_sessions").values():
        lines_of[session["id"]] = whole_list(account(seed), f"/v1/checkout/sessions/{session['id']}/line_items")
        if session["mode"] == "setup":
            assert not lines_of[session["id"]]
            continue
        assert session["amount_total"] == sum(line["amount_total"] for line in lines_of[session["id"]])
        assert session["amount_subtotal"] == sum(line["amount_subtotal"] for line in lines_of[session["id"]])
        if session["payment_intent"]:
            assert intents[session["payment_intent"]]["amount"] == session["amount_total"]
    assert max(len(lines) for lines in lines_of.values()) > 10
    assert sum(len(lines) for lines in lines_of.values()) == len(table(seed, "checkout_session_line_items"))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_reference_leads_to_an_object(seed: int) -> None:
    known = {id for name in account(seed).tables() for id in account(seed).ids(name)}
    deleted = account(seed).facts()["deleted"]["customers"]
    assert deleted
    prefixes = {id.rpartition("_")[0] for id in known} - {""}
    looks = re.compile(f"({'|'.join(sorted(prefixes))})_[A-Za-z0-9]{{14,58}}")
    lost: Counter[str] = Counter()

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                walk(each, f"{path}.{key}")
        elif isinstance(value, list):
            for each in value:
                walk(each, path)
        elif isinstance(value, str) and looks.fullmatch(value) and value not in known:
            answer = account(seed).get(f"/v1/customers/{value}") if value.startswith("cus_") else None
            if answer is None or b'"deleted":true' not in answer.body:
                lost[path] += 1

    for name in account(seed).tables():
        for thing in list(table(seed, name).values())[:1500]:
            walk({key: value for key, value in thing.items() if key != "client_secret"}, name)
    assert not {path: count for path, count in lost.items() if not path.endswith(".client_secret")}


def test_the_company_lives_in_several_currencies_and_states() -> None:
    assert {charge["currency"] for charge in table(1, "charges").values()} == {"eur", "usd", "gbp", "jpy", "kwd"}
    statuses = Counter(sub["status"] for sub in table(1, "subscriptions").values())
    assert {"active", "canceled", "trialing", "past_due"} <= set(statuses)
    reasons = Counter(sub["cancellation_details"]["reason"] for sub in table(1, "subscriptions").values())
    assert {"cancellation_requested", "payment_failed"} <= set(reasons)
    assert any(
        len(whole(account(), f"/v1/invoices/{i['id']}/lines", i["lines"])) > 10 for i in table(1, "invoices").values()
    )
    assert any(sub["discounts"] for sub in table(1, "subscriptions").values())
    prorations = [
        line
        for line in table(1, "invoice_line_items").values()
        if (line["parent"]["subscription_item_details"] or {}).get("proration")
    ]
    assert {line["amount"] < 0 for line in prorations} == {True, False}
    taxes = {tax["tax_behavior"] for invoice in table(1, "invoices").values() for tax in invoice["total_taxes"]}
    assert taxes == {"exclusive", "inclusive"}
    assert sum(1 for charge in table(1, "charges").values() if charge["customer"] is None) > 10
    assert {"setup", "payment", "subscription"} == {each["mode"] for each in table(1, "checkout_sessions").values()}
    intents = {each["status"] for each in table(1, "payment_intents").values()}
    assert intents >= {"succeeded", "requires_payment_method", "canceled", "processing", "requires_action"}
    answers = {each["outcome"]["type"] for each in table(1, "charges").values()}
    assert answers == {"authorized", "issuer_declined", "blocked"}


@pytest.mark.parametrize("objects", [100, 1_000, 5_000, 50_000, 300_000])
def test_there_are_about_as_many_objects_as_asked(objects: int) -> None:
    have = sum(account(4, objects).facts()["objects"].values())
    assert have <= max(objects * 1.2, 500)
    assert have >= objects * 0.85


def test_another_main_currency_settles_in_it() -> None:
    assert account(3, 5_000, "usd").default_currency == "usd"
    facts = account(3, 20_000, "usd").facts()
    assert set(facts["net"]) == {"usd", "eur", "gbp"}


def test_the_same_configuration_gives_the_same_bytes_in_any_order() -> None:
    config = WorldConfig(objects=8_000, seed=5, end=END)
    one, two = (World(config, SystemClock()) for _ in range(2))
    first, second = one.account(one.accounts()[0]), two.account(two.accounts()[0])
    for name in first.tables():
        ids = list(first.ids(name))
        assert ids == list(second.ids(name))
        whole_first = dict(first.objects(name))
        assert all(second.object(name, id) == whole_first[id] for id in reversed(ids[-40:]))
    other = World(WorldConfig(objects=8_000, seed=6, end=END), SystemClock())
    assert set(other.account(other.accounts()[0]).ids("charges")).isdisjoint(first.ids("charges"))


def test_live_and_test_mode_are_apart() -> None:
    world = World(WorldConfig(objects=5_000, end=END), SystemClock())
    id = world.accounts()[0]
    live, sandbox = world.account(id), world.account(id, livemode=False)
    assert msgspec.json.decode(live.get("/v1/charges").body)["data"][0]["livemode"] is True
    charge = msgspec.json.decode(sandbox.get("/v1/charges").body)["data"][0]
    assert charge["livemode"] is False
    assert live.get(f"/v1/charges/{charge['id']}").status == 404
    with pytest.raises(KeyError):
        world.account("acct_nobody")


@pytest.fixture
def benchmark() -> Callable[[str], list[bytes]]:
    world = World(WorldConfig(objects=4_000, end=END, profile="benchmark"), SystemClock())
    made = world.account(world.accounts()[0])
    return lambda name: [body for _, body in made.objects(name)]


def test_the_benchmark_has_four_equal_lists_of_real_size(benchmark: Callable[[str], list[bytes]]) -> None:
    tables = [benchmark(name) for name in ("charges", "customers", "invoices", "balance_transactions")]
    assert [len(rows) for rows in tables] == [1_000] * 4
    mean = sum(len(body) for rows in tables for body in rows) / 4_000
    assert 3_100 < mean < 3_700
    assert benchmark("payment_intents") == benchmark("events") == []
