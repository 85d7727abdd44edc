"""Faults while events are followed and rows compared: what cannot be known is said, and once a fault is over all is equal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from takings import app, settings
from takings.connections import Credentials
from takings.errors import Refused, Unavailable
from takings.proof import Asked
from takings.simulator import Options, Simulator
from takings.simulator.fingerprint import fingerprint
from takings.simulator.simclock import MovableClock
from takings.simulator.strange import FIELD, WORD
from takings.store.schema import deliveries
from takings.stripe import Retries
from takings.sync import Summary

#: What the key may read: some of each kind of list.
PERMISSIONS = (
    "balance",
    "balance_transaction_source",
    "charge",
    "credit_note",
    "checkout_session",
    "customer",
    "event",
    "invoice",
    "subscription",
)
TABLES = (
    *(
        "balance_transactions",
        "charges",
        "checkout_session_line_items",
        "checkout_sessions",
        "customers",
        "invoice_line_items",
    ),
    *("invoices", "refunds", "subscription_items", "subscriptions"),
)


class Replica:
    """The product in this process beside a company of its own, with one clock."""

    def __init__(self, home: Path, stripe: Simulator) -> None:
        self.stripe, self.home = stripe, home
        self.clock = MovableClock(stripe.advance(timedelta(0)))
        known = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "error"}
        self.parts = app.build(settings.load(known), self.clock)
        self.key = stripe.create_key(permissions=PERMISSIONS)
        credentials = Credentials(way="key", secret=self.key)
        pending = self.parts.connections.pend(None, credentials, self.parts.connections.probe(credentials))
        self.id: str = self.parts.connections.confirm(None, pending, "Company", None).id

    def advance(self, by: timedelta) -> None:
        self.stripe.advance(by)
        self.clock.advance(by)

    def follow(self, by: timedelta = timedelta(minutes=3)) -> Summary:
        self.advance(by)
        return self.parts.sync.run_once(self.id)

    def compare(self) -> Summary:
        self.advance(timedelta(minutes=3))
        return self.parts.sync.reconcile(self.id)

    def payloads(self, table: str) -> dict[str, str]:
        rows = self.parts.warehouse.query(
            f'SELECT t.id, v.payload FROM stripe."{table}" t JOIN raw.versions v '
            "ON v.resource = $1 AND v.id = t.id AND v.hash = t._hash WHERE t._deleted_at IS NULL",
            [table],
        ).rows
        return {row[0]: row[1] for row in rows}

    def differences(self) -> list[str]:
        found = []
        for table in TABLES:
            theirs = self.stripe.objects(table)
            ours = {id: fingerprint(payload.encode()) for id, payload in self.payloads(table).items()}
            found += [f"{table}: {id}" for id in theirs.keys() | ours.keys() if theirs.get(id) != ours.get(id)]
        return found


@contextmanager
def replica_of(home: Path, seed: int = 5) -> Iterator[Replica]:
    options = Options(objects=600, test_objects=300, seed=seed, rate=0, test_rate=0, endpoint_rate=0)
    with Simulator(options) as stripe:
        replica = Replica(home, stripe)
        try:
            assert replica.parts.sync.run_once(replica.id).state == "complete"
            assert replica.follow().state == "complete"
            yield replica
        finally:
            replica.parts.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Replica]:
    with replica_of(furnish(tmp_path_factory.mktemp("faults"))) as replica:
        yield replica


@pytest.fixture
def replica(shared: Replica, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica]:
    """A replica that is in step with its company, and gives up soon."""
    monkeypatch.setattr("takings.stripe.client.Retries", lambda: Retries(tries=2, first_s=0.01))
    monkeypatch.setattr("takings.sync.runner._TRIES", 2)
    yield shared
    shared.stripe.clear_faults()
    shared.stripe.limits(live=0, test=0, endpoint=0, latency_ms=0)


def healed(replica: Replica, after: timedelta = timedelta(minutes=16)) -> None:
    """The fault is over: after the cycles promised everything is equal."""
    replica.stripe.clear_faults()
    for wait in (timedelta(minutes=3), after):
        summary = replica.follow(wait)
    short = {path: (one.state, one.reason) for path, one in summary.lists.items() if one.state == "partial"}
    assert summary.state == "complete", (summary.reason, short)
    assert replica.compare().state == "complete"
    problems = replica.differences()
    assert not problems, "\n".join([*sorted(problems)[:10], str(len(problems))])


PASSING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"status": 500}),
    ("drop_before", {}),
    ("drop_middle", {}),
    ("slow", {"seconds": 0.4}),
    *(("rate_limit", {"reason": reason}) for reason in ("global-rate", "global-concurrency", "endpoint-rate")),
    *(("rate_limit", {"reason": reason}) for reason in ("endpoint-concurrency", "resource-specific")),
    ("lock_timeout", {}),
    ("malformed", {}),
    ("truncated", {}),
    ("html", {}),
)


def test_passing_faults_while_following_cost_at_most_a_cycle(replica: Replica) -> None:
    """One fault of each kind at a time, on whatever request meets it first: what was told is here a cycle later."""
    for number, (kind, more) in enumerate(PASSING):
        customer = replica.stripe.create("customer", {"name": f"During {kind} {number}"})
        replica.stripe.fault(kind, path="/v1/*", times=1 + number % 3, **more)
        replica.follow()
        assert any(rule["fired"] for rule in replica.stripe.faults()), kind
        replica.stripe.clear_faults()
        assert replica.follow().state == "complete", kind
        held = replica.payloads("customers")
        assert json.loads(held[customer])["name"] == f"During {kind} {number}"
    healed(replica)


def test_events_that_cannot_be_read_are_said_and_caught_up_with(replica: Replica) -> None:
    for number, kind in enumerate(("status", "drop_before", "malformed", "html")):
        customer = replica.stripe.create("customer", {"name": f"Unseen {number}"})
        replica.stripe.fault(kind, path="/v1/events", times=None)
        summary = replica.follow()
        assert summary.state == "partial", kind
        assert summary.reason is not None
        replica.stripe.clear_faults()
        replica.follow()
        assert customer in replica.payloads("customers"), kind
    healed(replica)


def test_a_key_that_is_refused_while_following_asks_for_another(replica: Replica) -> None:
    replica.stripe.live(4, seed=11)
    replica.stripe.fault("unauthorized", path="/v1/*", times=None)
    outcome = "stopped"
    with suppress(Refused):
        outcome = replica.follow().state
    assert outcome == "stopped"
    assert replica.parts.connections.get(replica.id).state == "reauth"
    replica.stripe.clear_faults()
    replica.parts.connections.reauthenticate(None, replica.id, Credentials(way="key", secret=replica.key))
    healed(replica)


def test_a_list_that_fails_while_it_is_compared_is_no_success(replica: Replica) -> None:
    replica.stripe.live(6, seed=12, told=False)
    replica.stripe.fault("status", path="/v1/customers", times=None)
    replica.stripe.fault("malformed", path="/v1/invoices", times=None)
    replica.stripe.fault("drop_middle", path="/v1/charges", times=None)
    summary = replica.compare()
    assert summary.state == "partial"
    for path in ("/v1/customers", "/v1/invoices", "/v1/charges"):
        assert summary.lists[path].state == "partial" and summary.lists[path].reason, path
    healed(replica)
    assert replica.parts.sync.book.lists(replica.id)["/v1/customers"].state == "complete"


def test_a_list_that_is_forbidden_from_now_on_is_said_and_no_success(replica: Replica) -> None:
    replica.stripe.live(6, seed=13, told=False)
    replica.stripe.fault("forbidden", path="/v1/charges", times=None)
    summary = replica.compare()
    assert summary.state != "complete"
    assert summary.lists["/v1/charges"].state in ("forbidden", "partial")
    assert summary.lists["/v1/charges"].reason
    held = replica.payloads("charges")
    assert len(held) >= replica.stripe.facts()["objects"]["charges"] - 10  # nothing is taken for deleted
    summary = replica.follow()
    assert summary.state != "complete"
    healed(replica, timedelta(hours=7))  # what is forbidden is asked for again every six hours


def test_a_person_who_asks_has_what_failed_tried_at_once(replica: Replica) -> None:
    """What failed waits for its turn, a quarter of an hour or six; whoever asks does not."""
    sync = replica.parts.sync
    replica.stripe.fault("status", path="/v1/customers", times=None)
    replica.stripe.fault("forbidden", path="/v1/charges", times=None)
    assert replica.compare().state == "partial"
    replica.stripe.clear_faults()
    replica.stripe.reset_stats()
    replica.follow(timedelta(minutes=1))
    assert not {"/v1/customers", "/v1/charges"} & {path for _, path, _, _ in replica.stripe.requests()}
    assert sync.reconcile(replica.id, lists=["/v1/customers"]).state == "complete"  # charges were not asked for
    assert sync.book.standings(replica.id)["/v1/charges"].state == "forbidden"
    assert sync.reconcile(replica.id, lists=["/v1/charges"]).state == "complete"
    refused = sync.reconcile(replica.id, lists=["/v1/coupons"])  # this key has never been allowed to read them
    assert refused.state == "partial"
    assert refused.reason is not None and refused.reason.code == "stripe.permission_missing"
    proven = replica.parts.proof.verify(replica.id, Asked(extent="full", lists=("/v1/coupons",)))
    assert proven.verification.state == "incomplete"

    for path in ("/v1/customers", "/v1/charges"):
        replica.stripe.fault("forbidden", path=path, times=None)
    assert replica.compare().state == "partial"
    replica.stripe.clear_faults()
    replica.advance(timedelta(minutes=1))
    replica.parts.rereading.want(None, replica.id, "customers", None)
    assert replica.parts.sync.run_once(replica.id).state == "partial"
    assert sync.book.standings(replica.id)["/v1/customers"].state == "complete"
    replica.advance(timedelta(minutes=1))
    replica.parts.connections.sync_now(None, replica.id)
    assert replica.parts.sync.run_once(replica.id).state == "complete"
    healed(replica)


def test_what_deliveries_told_that_were_let_go_is_compared_where_events_cannot_be_read(replica: Replica) -> None:
    replica.stripe.fault("forbidden", path="/v1/events", times=None)
    assert replica.follow().state == "partial"
    told = sorted(replica.stripe.objects("customers"))[0]
    replica.stripe.update(told, {"name": "Delivered to nobody"})
    replica.follow()
    assert json.loads(replica.payloads("customers")[told])["name"] != "Delivered to nobody"
    with replica.parts.store.write() as db:
        db.execute(
            sa.insert(deliveries).values(
                id="let_go",
                connection_id=replica.id,
                event_id="evt_let_go",
                event_type="customer.updated",
                size_bytes=100,
                received_at=replica.clock.now(),
                state="let_go",
                handled_at=replica.clock.now(),
            )
        )
    replica.follow()
    assert json.loads(replica.payloads("customers")[told])["name"] == "Delivered to nobody"
    replica.stripe.reset_stats()
    replica.follow()
    assert "/v1/customers" not in {path for _, path, _, _ in replica.stripe.requests()}  # once is enough
    replica.parts.connections.sync_now(None, replica.id)
    healed(replica)


def test_what_is_fetched_by_id_and_fails_is_fetched_again(replica: Replica) -> None:
    """An event in an older API version leaves its object open; asking for it fails for a while."""
    replica.stripe.change("telling", api_version="2024-06-20")
    some = sorted(replica.stripe.objects("customers"))[:3]
    for id in some:
        replica.stripe.update(id, {"name": f"Asked for {id}"})
    replica.stripe.change("telling", api_version="2026-10-28.endive")
    replica.stripe.fault("status", path="/v1/customers*", times=None)
    assert replica.follow().state == "partial"
    replica.stripe.clear_faults()
    replica.follow()
    replica.follow(timedelta(minutes=16))
    held = replica.payloads("customers")
    assert [json.loads(held[id])["name"] for id in some] == [f"Asked for {id}" for id in some]
    healed(replica)


def test_lines_that_cannot_be_read_are_read_later(replica: Replica) -> None:
    """An event shows ten of fourteen lines of an old invoice; the list of all of them fails for a while."""
    invoice = next(iter(replica.stripe.contents("invoices")))
    for n in range(14):
        replica.stripe.create("line_item", {"amount": n}, parent=invoice, event=False)
    replica.stripe.update(invoice, {}, event=True)
    replica.stripe.fault("status", path="/v1/invoices/*/lines", times=None)
    assert replica.follow().state == "partial"
    replica.stripe.clear_faults()
    replica.follow()
    replica.follow(timedelta(minutes=16))
    theirs = {line for line, parent in replica.stripe.parents("invoice_line_items").items() if parent == invoice}
    assert theirs <= replica.payloads("invoice_line_items").keys()
    healed(replica)


def test_the_object_under_the_cursor_vanishes_between_two_pages(replica: Replica) -> None:
    replica.stripe.fault("vanish", path="/v1/invoices", after=0, times=1)
    replica.stripe.fault("vanish", path="/v1/balance_transactions", after=1, times=1)
    replica.compare()
    assert sum(rule["fired"] for rule in replica.stripe.faults()) >= 1
    healed(replica)


def test_fields_and_words_nobody_knows_are_kept_and_harm_nothing(replica: Replica) -> None:
    replica.stripe.fault("strange", path="/v1/customers*", times=None)
    replica.stripe.fault("strange", path="/v1/charges*", times=None)
    assert replica.compare().state == "complete"
    charges = [json.loads(payload) for payload in replica.payloads("charges").values()]
    assert charges and all(FIELD in charge and charge["status"] == WORD for charge in charges)
    healed(replica)


def test_a_kind_of_object_nobody_knows_is_kept_as_its_event_and_harms_nothing(replica: Replica) -> None:
    ship = {"id": "star_1", "object": "starship", "crew": 3}
    replica.stripe.changes([{"do": "tell", "type": "starship.launched", "fields": ship}])
    customer = replica.stripe.create("customer", {"name": "Passenger"})
    assert replica.follow().state == "complete"
    assert customer in replica.payloads("customers")
    (event,) = replica.parts.warehouse.query("SELECT data FROM stripe.events WHERE type = 'starship.launched'").rows
    assert json.loads(event[0])["object"] == ship
    healed(replica)


def test_a_store_that_somebody_holds_loses_nothing(replica: Replica) -> None:
    """Another program holds the product's database: the cycle says so, and the next one brings what it missed."""
    customer = replica.stripe.create("customer", {"name": "Unwritten"})
    with closing(sqlite3.connect(replica.home / "takings.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            replica.follow()
        other.execute("ROLLBACK")
    assert replica.follow().state == "complete"
    assert customer in replica.payloads("customers")
    healed(replica)


@pytest.mark.parametrize("skew", [timedelta(minutes=-7), timedelta(hours=5)])
def test_a_clock_that_is_wrong_loses_nothing(replica: Replica, skew: timedelta) -> None:
    """Stripe's clock and ours differ: events are followed by Stripe's."""
    replica.stripe.skew(skew)
    try:
        for seed in range(3):
            replica.stripe.live(4, seed=20 + seed)
            replica.follow(timedelta(minutes=2))
        healed(replica)
    finally:
        replica.stripe.skew(-skew)
    replica.follow(timedelta(minutes=10) if skew < timedelta(hours=1) else timedelta(hours=6))
    replica.stripe.live(4, seed=30)
    healed(replica)


def test_events_that_were_lost_before_any_was_read_are_noticed_too(tmp_path: Path) -> None:
    """The first load was made, and then nothing for longer than events are kept."""
    options = Options(objects=600, test_objects=300, seed=5, rate=0, test_rate=0, endpoint_rate=0)
    with Simulator(options) as stripe:
        replica = Replica(tmp_path, stripe)
        try:
            assert replica.parts.sync.run_once(replica.id).state == "complete"
            stripe.live(8, seed=11)
            replica.advance(timedelta(days=40))
            replica.follow()
            (gap,) = [one for one in replica.parts.sync.findings.of(replica.id) if one.kind == "gap"]
            assert gap.start is not None and gap.end is not None and gap.start < gap.end
            for _ in range(4):
                replica.follow(timedelta(minutes=16))
            assert not (problems := replica.differences()), problems[:10]
            (gap,) = [one for one in replica.parts.sync.findings.of(replica.id) if one.kind == "gap"]
            assert gap.healed_by == "reconciled"
            for _ in range(6):  # nothing happens for weeks, and somebody looks: nothing is lost
                replica.follow(timedelta(days=7))
            assert [one for one in replica.parts.sync.findings.of(replica.id) if one.kind == "gap"] == [gap]
        finally:
            replica.parts.close()


def test_the_rate_cut_to_one_a_second_is_waited_out(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takings.stripe.client.Retries", Retries)
    replica.stripe.live(3, seed=40)
    replica.stripe.limits(live=1)
    assert replica.follow().state == "complete"
    replica.stripe.limits(live=0)
    healed(replica)
