"""The torture test: a company that changes in every way a replica gets wrong, and the warehouse that must end equal to it.

Seeds: one in the suite; ``TAKINGS_TORTURE_SEEDS=8`` tries more, ``TAKINGS_TORTURE_OBJECTS`` and ``TAKINGS_TORTURE_TURNS``
make it bigger.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from takings import app, settings
from takings.connections import Credentials
from takings.simulator import Options, Simulator
from takings.simulator.fingerprint import fingerprint
from takings.simulator.simclock import MovableClock
from takings.sync import Summary
from takings.warehouse import Scope

SEEDS = range(1, 1 + int(os.environ.get("TAKINGS_TORTURE_SEEDS", "1")))
OBJECTS = int(os.environ.get("TAKINGS_TORTURE_OBJECTS", "400"))
TURNS = int(os.environ.get("TAKINGS_TORTURE_TURNS", "30"))
HORIZON = timedelta(days=30)

#: Objects that hold others whole: those change them, and no event tells.
HOLDS = {
    "subscription_items": ("price", "plan"),
    "checkout_session_line_items": ("price",),
    "subscriptions": ("items", "default_tax_rates"),
    "disputes": ("balance_transactions",),
}
#: Tables whose rows are parts of others.
PARTS = (
    "invoice_line_items",
    "subscription_items",
    "credit_note_line_items",
    "checkout_session_line_items",
    "transfer_reversals",
    "application_fee_refunds",
)


class Replica:
    """The product in this process, with a clock that goes with the simulated Stripe's."""

    def __init__(self, home: Path, stripe: Simulator, **environ: str) -> None:
        self.stripe = stripe
        self.clock = MovableClock(stripe.advance(timedelta(0)))
        known = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "error", **environ}
        self.parts = app.build(settings.load(known), self.clock)
        try:
            credentials = Credentials(way="key", secret=stripe.live_key)
            pending = self.parts.connections.pend(None, credentials, self.parts.connections.probe(credentials))
            self.connection = self.parts.connections.confirm(None, pending, "Company", None)
        except BaseException:
            self.parts.close()
            raise
        self.scope = Scope(self.connection.account_id, self.connection.livemode)
        self.seen: dict[str, set[str]] = {}

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, *_: object) -> None:
        self.parts.close()

    def sync(self) -> Summary:
        return self.parts.sync.run_once(self.connection.id)

    def advance(self, by: timedelta) -> None:
        self.stripe.advance(by)
        self.clock.advance(by)

    def step(self, by: timedelta) -> None:
        """Let time go by and do what is due."""
        self.advance(by)
        summary = self.sync()
        bad = {path: (one.state, one.reason) for path, one in summary.lists.items() if one.state == "partial"}
        assert summary.state == "complete", (summary.reason, bad)

    def ask(self, sql: str, values: list[Any] | None = None) -> list[Any]:
        return list(self.parts.warehouse.query(sql, values or []).rows)

    def payloads(self, table: str, rows: list[Any] | None = None) -> dict[str, str]:
        """Return the payload of every living row of a table by id; the rows are read where they are not given."""
        living = {
            (id, hash) for id, hash, _, deleted in (self.rows(table) if rows is None else rows) if deleted is None
        }
        seen = self.ask("SELECT id, hash, payload FROM raw.versions WHERE resource = $1", [table]) if living else ()
        return {id: payload for id, hash, payload in seen if (id, hash) in living}

    def rows(self, table: str) -> list[Any]:
        """Return id, hash, parent and moment of deletion of every row of a table."""
        return self.ask(f'SELECT id, _hash, _parent, _deleted_at FROM stripe."{table}"')

    def differences(self, tables: Iterable[str] | None = None, *, lost: int | None = None) -> list[str]:
        """Compare every table with Stripe and return what differs, a sentence each.

        Args:
            tables: Which; None for all.
            lost: Unix seconds before which events may be lacking since nobody looked for more than thirty days; None for none.
        """
        found: list[str] = []
        for table in tables or self.stripe.tables():
            theirs = self.stripe.objects(table)
            rows = self.rows(table)
            payloads = self.payloads(table, rows)
            ours = {id: fingerprint(payload.encode()) for id, payload in payloads.items()}
            if table == "events":  # what Stripe has forgotten stays here
                ours = {id: hash for id, hash in ours.items() if id in theirs}
                if lost is not None:
                    contents = self.stripe.contents("events")
                    theirs = {id: hash for id, hash in theirs.items() if contents[id]["created"] >= lost or id in ours}
            found += [f"{table}: {id} is missing" for id in theirs.keys() - ours.keys()]
            found += [f"{table}: {id} is a ghost" for id in ours.keys() - theirs.keys()]
            found += [f"{table}: {id} is stale" for id in theirs.keys() & ours.keys() if theirs[id] != ours[id]]
            kinds = {json.loads(payload).get("object") for payload in payloads.values()}
            resource = self.parts.catalog.resources[table]
            wrong = kinds - {resource.object, *resource.objects}
            found += [f"{table}: holds {kind}" for kind in wrong]
            known = {row[0] for row in rows}
            if len(rows) != len(known):
                found.append(f"{table}: {len(rows) - len(known)} rows are double")
            found += [f"{table}: {id} was dropped" for id in self.seen.get(table, set()) - known]
            self.seen[table] = known
            if table in PARTS:
                parents = {id: parent for id, _, parent, deleted in rows if deleted is None}
                found += [
                    f"{table}: {id} is under {parents[id]}, not {parent}"
                    for id, parent in self.stripe.parents(table).items()
                    if id in parents and parents[id] != parent
                ]
        return found

    def money(self) -> list[str]:
        """Return in which currencies balance and transactions, here and at Stripe, are not one sum; and payouts likewise."""
        facts = self.stripe.facts()
        available, pending = self.ask("SELECT available, pending FROM stripe.balance")[0]
        found = []
        for part, held in (("available", available), ("pending", pending)):
            ours = {each["currency"]: each["amount"] for each in json.loads(held)}
            if ours != facts["balance"][part]:
                found.append(f"balance: {part} is {ours}, not {facts['balance'][part]}")
        sums = dict(
            self.ask("SELECT currency, sum(net)::BIGINT FROM stripe.balance_transactions WHERE _deleted_at IS NULL GROUP BY 1")
        )  # fmt: skip
        if {code: net for code, net in sums.items() if net} != {code: net for code, net in facts["net"].items() if net}:
            found.append(f"balance_transactions: {sums}, not {facts['net']}")
        uneven = self.ask(
            "SELECT p.id, p.amount, sum(t.net)::BIGINT FROM stripe.payouts p "
            "LEFT JOIN stripe.payout_balance_transactions b ON b.payout = p.id AND b._deleted_at IS NULL "
            "LEFT JOIN stripe.balance_transactions t ON t.id = b.balance_transaction AND t.type <> 'payout' AND t._deleted_at IS NULL "
            "WHERE p.automatic AND p._deleted_at IS NULL GROUP BY p.id, p.amount HAVING sum(t.net) IS DISTINCT FROM p.amount"
        )
        return found + [f"payouts: {id} is {amount}, its transactions {net}" for id, amount, net in uneven]

    def untold(self, ids: Iterable[str]) -> list[str]:
        """Return which of these objects are not here as they are at Stripe, apart from what they hold of others."""
        wanted, found = set(ids), []
        for table in self.stripe.tables():
            if table in ("events", "plans"):
                continue
            theirs, ours = self.stripe.contents(table), self.payloads(table)
            for id in wanted & (theirs.keys() | ours.keys()):
                here = json.loads(ours[id]) if id in ours else None
                there = theirs.get(id)
                for field in HOLDS.get(table, ()):
                    for thing in (here, there):
                        if thing is not None:
                            thing.pop(field, None)
                if here != there:
                    found.append(
                        f"{table}: {id} was told and is {'missing' if here is None else 'a ghost' if there is None else 'stale'}"
                    )
        return found


@contextmanager
def in_step(home: Path, seed: int, objects: int, **environ: str) -> Iterator[Replica]:
    """Make a company of one's own and a replica that is in step with it."""
    options = Options(objects=objects, test_objects=300, seed=seed, rate=0, test_rate=0, endpoint_rate=0)
    with Simulator(options) as stripe, Replica(home, stripe, **environ) as replica:
        assert replica.sync().state == "complete"
        yield replica


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Replica]:
    """A small company that the tests below change one after the other, each leaving it in step."""
    with in_step(furnish(tmp_path_factory.mktemp("small")), 40, 300) as replica:
        yield replica


def few(problems: list[str]) -> str:
    """Return problems so that a person can read them."""
    return "\n".join([*sorted(problems)[:20], f"… {len(problems)} in all"])


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_warehouse_ends_equal(furnished: Path, seed: int) -> None:
    with in_step(furnished, seed, OBJECTS) as replica:
        torture(replica, random.Random(seed))


def torture(replica: Replica, dice: random.Random) -> None:
    """Let everything happen, and compare after the cycles promised."""
    stripe = replica.stripe
    assert not (problems := replica.differences() + replica.money()), few(problems)

    # In step: what events tell is here within a cycle, whatever its age, its version, its order and its repetition.
    for version, times in (("2026-10-28.endive", 1), ("2024-06-20", 2)):
        stripe.change("telling", api_version=version, times=times)
        told = stripe.live(TURNS, seed=dice.randrange(10_000))
        replica.step(timedelta(minutes=3))
        replica.step(timedelta(minutes=16))
        assert not (problems := replica.untold(told)), f"{version}: {few(problems)}"
    stripe.change("telling", api_version="2026-10-28.endive", times=1)

    # Silent: found within the horizon, while life goes on.
    stripe.live(TURNS, seed=dice.randrange(10_000), told=False)
    for day in range(0, HORIZON.days + 5, 5):
        if day % 10 == 0 and day < HORIZON.days:
            stripe.live(TURNS // 10, seed=dice.randrange(10_000))
        replica.step(timedelta(days=5))
    assert not (problems := replica.differences() + replica.money()), few(problems)

    # At rest.
    replica.step(timedelta(minutes=2))
    stripe.reset_stats()
    replica.step(timedelta(minutes=1))
    assert stripe.stats()["requests"] <= 3, stripe.requests()
    assert stripe.stats()["writes_refused"] == 0


def test_being_away_for_longer_than_events_are_kept_is_noticed_and_healed(small: Replica) -> None:
    replica, stripe, dice = small, small.stripe, random.Random(5)
    for _ in range(4):
        stripe.live(TURNS // 4, seed=dice.randrange(10_000))
        stripe.live(TURNS // 8, seed=dice.randrange(10_000), told=False)
        replica.advance(timedelta(days=9))
    replica.step(timedelta(minutes=3))
    back = replica.clock.now()
    for _ in range(4):
        replica.step(timedelta(days=8))
    replica.step(timedelta(days=1))
    lost = int((back - timedelta(days=29)).timestamp())
    assert not (problems := replica.differences(lost=lost) + replica.money()), few(problems)

    kinds = {finding.kind: finding for finding in replica.parts.sync.findings.of(replica.connection.id)}
    assert kinds["gap"].healed_at is not None and kinds["gap"].healed_by == "reconciled"


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_repetition_of_events_gives_the_same_rows(small: Replica, seed: int) -> None:
    """States are told in any order, some twice, over several cycles: the rows are as Stripe's objects in the end."""
    replica, dice = small, random.Random(seed)
    stripe = replica.stripe
    known, billed = sorted(stripe.objects("customers")), sorted(stripe.objects("subscriptions"))
    customers, subs = dice.sample(known, min(6, len(known))), dice.sample(billed, min(3, len(billed)))
    now = int(replica.clock.now().timestamp())
    told: list[dict[str, Any]] = []
    for id in customers + subs:
        for second in range(3):
            stripe.update(id, {"description": f"state {second} of {id}"}, event=False)
            name = "customer.updated" if id in customers else "customer.subscription.updated"
            thing = stripe.contents("customers" if id in customers else "subscriptions")[id]
            told += [{"do": "tell", "type": name, "fields": thing, "at": now + second // 2}] * dice.choice((1, 2))
    dice.shuffle(told)
    for some in range(0, len(told), 7):
        stripe.changes(told[some : some + 7])
        if dice.random() < 0.5:
            replica.step(timedelta(seconds=8))
    replica.step(timedelta(minutes=3))
    replica.step(timedelta(minutes=16))
    assert not (problems := replica.differences(("customers", "subscriptions"))), few(problems)


def test_late_events_are_not_missed(small: Replica) -> None:
    """Events that show up some time after their ``created`` are told of all the same."""
    replica, stripe = small, small.stripe
    first, second = sorted(stripe.objects("customers"))[:2]
    stripe.change("telling", late_s=45)
    stripe.update(first, {"name": "Late"})
    stripe.change("telling", late_s=0)
    stripe.update(second, {"name": "At once"})
    for _ in range(4):
        replica.step(timedelta(minutes=1))
    assert not (problems := replica.differences(("customers",))), few(problems)


def test_an_idle_minute_costs_little(small: Replica) -> None:
    replica = small
    replica.step(timedelta(minutes=2))
    for _ in range(5):
        replica.stripe.reset_stats()
        replica.step(timedelta(seconds=60))
        assert replica.stripe.stats()["requests"] <= 3, replica.stripe.requests()


def test_payloads_stay_as_stripe_gave_them(small: Replica) -> None:
    """Unknown fields, ids of 255 characters and objects of a megabyte go through unharmed."""
    replica, stripe = small, small.stripe
    long_id, wide = "cus_" + "x" * 251, {"description": "é" * 500_000, "new_field": {"a": [1, None, {"b": "ü"}]}}
    stripe.create("customer", {"id": long_id, **wide})
    silent = stripe.create(
        "product", {"id": "p" * 255, "name": "Silent", "metadata": {"k" * 40: "v" * 500}}, event=False
    )
    for _ in range(3):
        replica.step(timedelta(days=10))
    replica.step(timedelta(days=1))
    assert not (problems := replica.differences(("customers", "products"))), few(problems)
    (held,) = replica.ask("SELECT description FROM stripe.customers WHERE id = $1", [long_id])
    assert held[0] == wide["description"]
    assert msgspec.json.decode(replica.payloads("products")[silent])["name"] == "Silent"
