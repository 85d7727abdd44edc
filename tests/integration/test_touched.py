"""Lines of what has changed: working out those alone gives what working out everything would."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from takings import app, catalog, settings
from takings.metrics import Builder, Built, Registry, working
from takings.metrics.sharing import Shares
from takings.metrics.storing import Files
from takings.metrics.touched import LINKS, SHARED, STATES, Reached
from takings.simulator import Simulator
from takings.simulator.simclock import MovableClock
from takings.warehouse import Delivery, Item, Scope

ZONE: Final = "Europe/Paris"


class Books:
    """A warehouse with a company in it that lives on."""

    def __init__(self, parts: app.App, clock: MovableClock, registry: Registry) -> None:
        self.parts, self.clock, self.dice = parts, clock, random.Random(5)
        self.registry = registry
        self.builder = Builder(parts.warehouse, registry, clock, partly_from=0)
        self.filed = Builder(parts.warehouse, registry, clock, partly_from=0, filed_from=0, share_rows=3000)
        ((account, livemode),) = parts.warehouse.query("SELECT DISTINCT _account, _livemode FROM stripe.invoices").rows
        self.scope = Scope(account, livemode)

    def build(self, *, anew: bool = False, filed: bool = False) -> dict[str, Built]:
        self.clock.advance(timedelta(seconds=1))
        return {one.model: one for one in (self.filed if filed else self.builder).build(ZONE, anew=anew)}

    def some(self, table: str, where: str = "NOT v.deleted") -> dict[str, Any]:
        """Return the newest state of any object of a table."""
        rows = self.parts.warehouse.query(
            "SELECT v.id, arg_max(v.payload, v.as_of), max(v.parent) FROM raw.versions AS v "
            f"WHERE v.resource = $table AND {where} GROUP BY 1 ORDER BY 1",
            {"table": table},
        ).rows
        key, payload, parent = self.dice.choice(rows)
        return {**json.loads(payload), "_id": key, "_parent": parent}

    def write(self, table: str, body: dict[str, Any], *, deleted: bool = False, ago: timedelta = timedelta(0)) -> None:
        """Let an object be other than it was."""
        self.clock.advance(timedelta(seconds=1))
        at = self.clock.now() - ago
        said = {name: value for name, value in body.items() if not name.startswith("_")}
        item = Item.of(body["_id"], body.get("created"), json.dumps(said, separators=(",", ":")).encode())
        delivery = Delivery(
            table=table,
            scope=self.scope,
            items=(item,),
            as_of=at,
            known_at=self.clock.now(),
            source="list",
            api_version="0",
            parent=body["_parent"],
            deleted=deleted,
        )
        self.parts.warehouse.writer().write([delivery])

    def let_a_payment_fail(self) -> None:
        charge = self.some("charges")
        self.write("charges", {**charge, "status": "failed", "captured": False, "failure_code": "card_declined"})

    def let_a_payment_have_another_customer(self) -> None:
        charge, customer = self.some("charges"), self.some("customers")
        self.write("charges", {**charge, "customer": customer["id"]})

    def let_a_payment_have_no_customer(self) -> None:
        self.write("charges", {**self.some("charges"), "customer": None})

    def let_an_intent_have_another_customer(self) -> None:
        intent, customer = self.some("payment_intents"), self.some("customers")
        self.write("payment_intents", {**intent, "customer": customer["id"], "status": "canceled"})

    def let_a_refund_be_more(self) -> None:
        refund = self.some("refunds")
        self.write("refunds", {**refund, "amount": refund["amount"] + 7})

    def let_a_refund_fail(self) -> None:
        self.write("refunds", {**self.some("refunds"), "status": "failed"})

    def let_a_dispute_be_an_inquiry(self) -> None:
        self.write("disputes", {**self.some("disputes"), "status": "warning_closed"})

    def let_a_transaction_be_more(self) -> None:
        moved = self.some("balance_transactions")
        self.write("balance_transactions", {**moved, "amount": moved["amount"] + 5, "net": moved["net"] + 5})

    def let_an_invoice_be_void(self) -> None:
        invoice = self.some("invoices")
        when = {**invoice["status_transitions"], "voided_at": int(self.clock.now().timestamp())}
        self.write("invoices", {**invoice, "status": "void", "status_transitions": when})

    def let_an_invoice_go(self) -> None:
        self.write("invoices", self.some("invoices"), deleted=True)

    def let_an_invoice_have_another_customer(self) -> None:
        invoice, customer = self.some("invoices"), self.some("customers")
        self.write("invoices", {**invoice, "customer": customer["id"]})

    def let_a_line_be_more(self) -> None:
        line = self.some("invoice_line_items")
        self.write("invoice_line_items", {**line, "amount": line["amount"] + 100})

    def let_an_invoice_payment_be_less(self) -> None:
        paid = self.some("invoice_payments")
        self.write("invoice_payments", {**paid, "amount_paid": max(0, (paid["amount_paid"] or 0) - 3)})

    def let_a_credit_note_be_void(self) -> None:
        note = self.some("credit_notes")
        self.write("credit_notes", {**note, "voided_at": int(self.clock.now().timestamp()), "status": "void"})

    def let_a_customer_move(self) -> None:
        customer = self.some("customers")
        self.write("customers", {**customer, "address": {**(customer["address"] or {}), "country": "PT"}})

    def let_a_customer_go(self) -> None:
        self.write("customers", self.some("customers"), deleted=True)

    def let_a_subscription_be_more(self) -> None:
        held = self.some("subscriptions")
        item = held["items"]["data"][0]
        item["quantity"] = (item.get("quantity") or 1) + 2
        self.write("subscriptions", held)

    def let_a_subscription_end(self) -> None:
        now = int(self.clock.now().timestamp())
        self.write(
            "subscriptions", {**self.some("subscriptions"), "status": "canceled", "canceled_at": now, "ended_at": now}
        )

    def let_an_older_state_come_late(self) -> None:
        """The row stays as it is: only the history of the subscription is another."""
        held = self.some("subscriptions")
        item = held["items"]["data"][0]
        item["quantity"] = (item.get("quantity") or 1) + 5
        self.write("subscriptions", held, ago=timedelta(days=40))

    def let_a_phase_be_more(self) -> None:
        """Of what is to come of a subscription, all that is seen is the schedule."""
        plan = self.some("subscription_schedules")
        for phase in plan["phases"]:
            phase["items"][0]["quantity"] = (phase["items"][0].get("quantity") or 1) + 3
        self.write("subscription_schedules", plan)

    def let_a_plan_be_released(self) -> None:
        self.write(
            "subscription_schedules",
            {**self.some("subscription_schedules"), "status": "released", "subscription": None},
        )

    def let_a_discount_end(self) -> None:
        self.write("discounts", {**self.some("discounts"), "end": int(self.clock.now().timestamp())})


@pytest.fixture(scope="module")
def parts(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory, load: Callable[[Path], Path]
) -> Iterator[app.App]:
    known = {**simulator.environ(), "TAKINGS_HOME": str(load(tmp_path_factory.mktemp("touched")))}
    with closing(app.build(settings.load(known))) as built:
        yield built


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0))


def test_lines_of_what_has_changed_are_those_of_working_out_everything(parts: app.App, clock: MovableClock) -> None:
    books = Books(parts, clock, parts.registry)
    first = books.build(anew=True)
    assert first and not any(one.partly for one in first.values())
    happened = [name for name in dir(books) if name.startswith("let_")]
    books.dice.shuffle(happened)
    partly: set[str] = set()
    changed = 0
    for turn in range(3):
        for name in happened[turn::3]:
            getattr(books, name)()
        built = books.build()
        assert not any(one.failed for one in built.values())
        partly |= {one.model for one in built.values() if one.partly}
        changed += sum(one.came + one.gone for one in built.values())
    assert len(partly) > 10 and changed
    for model in partly:
        held = parts.warehouse.query(f"SELECT count(*) FROM metrics.{model} AS l").rows[0][0]
        assert built[model].rows == held
    for filed in (False, True):
        whole = books.build(anew=True, filed=filed)
        other = {one.model: (one.came, one.gone) for one in whole.values() if one.came or one.gone}
        assert other == {}, happened
        assert not any(one.strays for one in whole.values())
    assert not list(parts.warehouse.temporary.iterdir())


@pytest.mark.parametrize("rows", [100, 1_000_000], ids=["cut", "as a whole"])
def test_each_object_is_in_one_share_with_all_that_it_hangs_on(parts: app.App, clock: MovableClock, rows: int) -> None:
    """Also where it hangs on two customers; an account that is not large is in one share."""
    books = Books(parts, clock, parts.registry)
    books.let_a_payment_have_another_customer()
    books.let_an_invoice_have_another_customer()
    tables = frozenset[str]().union(*(parts.registry.tables(model.name) for model in parts.registry.ordered))
    found: dict[tuple[str, str], set[int]] = {}
    with parts.warehouse.deriving() as session:
        bare, store = parts.warehouse.bare(session), Files(session, parts.warehouse.temporary)
        words = frozenset(word for model in parts.registry.ordered for word in re.findall(r"\w+", model.sql))
        read = [name for name in Reached.of(tables).tables if f"stripe.{name}" not in bare]
        with Shares(session, store, tables, bare, words, 7, rows=rows) as cut:
            for number in range(cut.count):
                share = cut.share(number)
                for name in read:
                    for (key,) in session.execute(share.read_here(f"SELECT t.id FROM stripe.{name} AS t")).fetchall():
                        found.setdefault((name, key), set()).add(number)
                for key, parent, kind in session.execute(
                    share.read_here("SELECT v.id, v.parent, v.resource FROM raw.versions AS v")
                ).fetchall():
                    column, table = STATES[kind]
                    found.setdefault((table, key if column == "id" else parent), set()).add(number)
        hangs = {
            (name, key, other, on)
            for name in read
            for other, sql in LINKS[name].items()
            for key, on in session.execute(f"SELECT t.id, {sql} FROM stripe.{name} AS t").fetchall()
            if on is not None
        }
        counted = {name: session.execute(f"SELECT count(*) FROM stripe.{name}").fetchall()[0][0] for name in read}
    assert not list(parts.warehouse.temporary.iterdir())
    everybodys = {one for one, shares in found.items() if one[0] == "discounts" and len(shares) == 7}
    assert all(len(shares) == 1 for one, shares in found.items() if one not in everybodys)
    used = set[int]().union(*(shares for one, shares in found.items() if one not in everybodys))
    assert len(used) == (7 if rows == 100 else 1)
    for name in read:
        assert sum(table == name for table, _ in found) >= counted[name]
    followed = 0
    for name, key, other, on in hangs:
        if (other, on) in found and (name, key) not in everybodys:
            assert found[name, key] == found[other, on], (name, other)
            followed += 1
    assert followed > 1000


@pytest.fixture(scope="module")
def books(parts: app.App, clock: MovableClock) -> Books:
    """One model of lines will do."""
    made = Books(parts, clock, parts.registry.only("money_lines"))
    made.build()
    return made


@pytest.fixture(scope="module")
def subscribed(parts: app.App, clock: MovableClock) -> Books:
    """Beside it, one of what was seen of subscriptions."""
    made = Books(parts, clock, parts.registry.only("money_lines", "mrr_lines"))
    made.build()
    return made


def test_every_table_that_a_model_reads_is_said_to_hang_together_with_others() -> None:
    registry = Registry.load(catalog.load())
    read = {name for model in registry.ordered for name in registry.sources(model.name)}
    assert read <= LINKS.keys() | SHARED
    placed = list(LINKS)
    for name, links in LINKS.items():
        assert all(placed.index(other) < placed.index(name) for other in links), name


def test_a_day_later_everything_is_worked_out_once(books: Books) -> None:
    books.let_a_transaction_be_more()
    assert books.build()["money_lines"].partly
    books.clock.advance(timedelta(days=1))
    books.let_a_transaction_be_more()
    built = books.build()
    assert built["money_lines"].fresh and not built["money_lines"].partly
    books.let_a_transaction_be_more()
    assert books.build()["money_lines"].partly


def test_of_a_large_company_too_only_what_has_changed_is_worked_out(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.build(filed=True)
    books.let_a_transaction_be_more()
    with monkeypatch.context() as uncut:
        uncut.setattr(Shares, "__enter__", None)  # nothing is cut for it
        built = books.build(filed=True)["money_lines"]
    assert (built.came, built.gone, built.partly, built.failed) == (1, 1, True, False)


def test_where_shares_cannot_be_told_everything_is_worked_out_at_once(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.build()
    with monkeypatch.context() as broken:
        broken.setitem(LINKS, "refunds", {"charges": "CAST(CAST(t.id AS BIGINT) AS VARCHAR)"})  # type: ignore[arg-type]
        built = books.build(anew=True, filed=True)["money_lines"]
    assert (built.fresh, built.came, built.gone, built.failed) == (True, 0, 0, False)
    assert not list(books.parts.warehouse.temporary.iterdir())


@pytest.mark.parametrize("filed", [False, True])
def test_lines_that_were_left_out_are_found_when_everything_is_worked_out(books: Books, filed: bool) -> None:
    books.build()
    warehouse = books.parts.warehouse
    with warehouse.deriving() as session, warehouse.publishing(session):
        session.execute(
            "UPDATE metrics.money_lines SET amount = amount + 1 WHERE id = (SELECT min(l.id) FROM metrics.money_lines AS l)"
        )
    books.let_a_refund_fail()
    assert books.build()["money_lines"].strays == 0
    whole = books.build(anew=True, filed=filed)
    assert whole["money_lines"].strays == 2  # what it is, and what it was
    assert books.build(anew=True, filed=filed)["money_lines"].strays == 0


def test_others_write_while_a_large_table_is_written(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made beside the one that there was; one that a killed build has left is done away with."""
    books.build()
    warehouse = books.parts.warehouse
    wanted = warehouse.query("SELECT l.* EXCLUDE (known_at) FROM metrics.money_lines AS l ORDER BY ALL").rows
    with warehouse.deriving() as session, warehouse.publishing(session):
        session.execute("DROP TABLE metrics.money_lines")
        session.execute("CREATE TABLE metrics.fee_lines_poured AS SELECT 1 AS n")
    wrote: list[float] = []

    def meanwhile(seconds: float) -> None:
        wrote.append(seconds)
        books.write("customers", books.some("customers"))

    monkeypatch.setattr(working, "_POURED_FROM", len(wanted))
    monkeypatch.setattr(working.time, "sleep", meanwhile)
    built = books.build(filed=True)["money_lines"]
    assert (built.rows, built.came, built.gone) == (len(wanted), len(wanted), 0) and wrote
    assert warehouse.query("SELECT l.* EXCLUDE (known_at) FROM metrics.money_lines AS l ORDER BY ALL").rows == wanted
    assert not [name for name in warehouse.marks() if name.endswith(working.POURED)]
    books.let_a_transaction_be_more()
    assert books.build()["money_lines"].partly


def test_what_all_customers_share_is_not_followed(subscribed: Books) -> None:
    subscribed.build()
    coupon = subscribed.some("coupons")
    subscribed.write("coupons", {**coupon, "percent_off": 1.0, "amount_off": None})
    subscribed.let_a_transaction_be_more()
    built = subscribed.build()
    assert built["money_lines"].partly
    assert built["mrr_lines"].fresh and not built["mrr_lines"].partly


def test_states_that_were_let_go_take_their_lines_along(subscribed: Books) -> None:
    subscribed.let_an_older_state_come_late()
    assert subscribed.build()["mrr_lines"].partly
    warehouse = subscribed.parts.warehouse
    with warehouse.deriving() as session, warehouse.publishing(session):
        session.execute(
            "DELETE FROM raw.versions WHERE resource = 'subscriptions' AND as_of = "
            "(SELECT min(v.as_of) FROM raw.versions AS v WHERE v.resource = 'subscriptions')"
        )
    built = subscribed.build()
    assert built["mrr_lines"].fresh and not built["mrr_lines"].partly


def test_a_table_that_is_made_anew_meanwhile_is_read_whole(books: Books) -> None:
    """Its rows were written before lines were last worked out, and took the place of others after."""
    warehouse = books.parts.warehouse
    ((before,),) = warehouse.query("SELECT SUM(l.amount) FROM metrics.money_lines AS l").rows
    with warehouse.deriving() as session, warehouse.publishing(session):
        session.execute(
            "UPDATE stripe.balance_transactions SET amount = amount + 1 WHERE id = (SELECT min(t.id) FROM stripe.balance_transactions AS t)"
        )

    def meanwhile(rows: int) -> None:
        assert rows and books.build()["money_lines"].partly
        ((wrong,),) = warehouse.query("SELECT SUM(l.amount) FROM metrics.money_lines AS l").rows
        assert wrong == before + 1

    warehouse.rebuild("balance_transactions", meanwhile)
    built = books.build()
    assert (built["money_lines"].came, built["money_lines"].gone, built["money_lines"].partly) == (1, 1, False)
    assert warehouse.query("SELECT SUM(l.amount) FROM metrics.money_lines AS l").rows == [(before,)]


def test_what_cannot_be_followed_is_worked_out_whole(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's error takes its transaction along: it is begun anew, and no model counts as failed."""
    books.let_a_refund_be_more()
    books.let_a_transaction_be_more()
    with monkeypatch.context() as broken:
        broken.setitem(LINKS, "refunds", {"charges": "CAST(CAST(t.id AS BIGINT) AS VARCHAR)"})  # type: ignore[arg-type]
        built = books.build()
    assert (built["money_lines"].came, built["money_lines"].partly, built["money_lines"].failed) == (1, False, False)
    books.let_a_transaction_be_more()
    assert books.build()["money_lines"].partly


def test_where_most_has_changed_everything_is_worked_out(books: Books) -> None:
    books.build()
    warehouse = books.parts.warehouse
    with warehouse.deriving() as session, warehouse.publishing(session):
        for table in ("charges", "payment_intents", "balance_transactions", "invoice_line_items", "invoices"):
            session.execute(f"UPDATE stripe.{table} SET _synced_at = _synced_at")
    built = books.build()
    assert built["money_lines"].fresh and not built["money_lines"].partly


def test_a_small_warehouse_is_worked_out_whole(books: Books) -> None:
    books.let_a_transaction_be_more()
    small = Builder(books.parts.warehouse, books.registry, books.clock)
    books.clock.advance(timedelta(seconds=1))
    built = {one.model: one for one in small.build(ZONE)}
    assert built["money_lines"].fresh and not built["money_lines"].partly


def test_what_an_older_version_noted_of_its_fillings_is_gone_on_with(books: Books) -> None:
    books.build()
    warehouse = books.parts.warehouse
    with warehouse.deriving() as session, warehouse.publishing(session):
        for name in ("state", "versions", "whole"):
            session.execute(f"ALTER TABLE metrics.fillings DROP COLUMN {name}")
    before = warehouse.query("SELECT min(l.known_at) FROM metrics.money_lines AS l").rows
    books.let_a_transaction_be_more()
    built = books.build()
    assert (built["money_lines"].cause, built["money_lines"].came, built["money_lines"].partly) == ("data", 1, False)
    assert warehouse.query("SELECT min(l.known_at) FROM metrics.money_lines AS l").rows == before
    books.let_a_transaction_be_more()
    assert books.build()["money_lines"].partly


def test_in_a_warehouse_of_one_file_everything_is_worked_out(
    tmp_path: Path, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(tmp_path)}, warehouse="duckdb"))) as plain:
        at = books.clock.now()
        builder = Builder(plain.warehouse, books.registry, books.clock, partly_from=0)
        for n in range(2):
            body = {"id": f"txn_{n}", "object": "balance_transaction", "amount": 5, "net": 5, "currency": "eur"}
            item = Item.of(f"txn_{n}", 1_767_400_000, json.dumps({**body, "created": 1_767_400_000}).encode())
            delivery = Delivery(
                table="balance_transactions",
                scope=books.scope,
                items=(item,),
                as_of=at,
                known_at=at,
                source="list",
                api_version="0",
            )
            plain.warehouse.writer().write([replace(delivery, as_of=at + timedelta(seconds=n))])
            built = {one.model: one for one in builder.build(ZONE)}
            assert built["money_lines"].fresh and not built["money_lines"].partly
            assert built["money_lines"].rows == n + 1
        filed = Builder(plain.warehouse, books.registry, books.clock, filed_from=0, share_rows=1)
        monkeypatch.setattr(working, "_POURED_FROM", 0)
        for anew in (True, False):
            built = {one.model: one for one in filed.build(ZONE, anew=anew)}
            assert (built["money_lines"].rows, built["money_lines"].gone) == (2, 0)
            with plain.warehouse.deriving() as session, plain.warehouse.publishing(session):
                session.execute("DROP TABLE metrics.money_lines")
        assert built["money_lines"].fresh and built["money_lines"].came == 2
