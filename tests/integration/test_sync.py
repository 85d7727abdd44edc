"""Synchronising the simulated company: complete to the last row, whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from takings import app, settings
from takings.connections import Connection, Credentials
from takings.errors import Refused
from takings.proof import Asked
from takings.reports import missing_from
from takings.simulator import Simulator
from takings.simulator.fingerprint import fingerprint
from takings.sync import Summary
from takings.warehouse import Scope


class Installation:
    """A data folder with one connection to a simulated Stripe."""

    def __init__(self, home: Path, stripe: Simulator, key: str | None = None, **environ: str) -> None:
        self.home = home
        self.environ = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "warning", **environ}
        with self.opened() as parts:
            credentials = Credentials(way="key", secret=key or stripe.live_key)
            pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
            self.connection: Connection = parts.connections.confirm(None, pending, "Company", None)
        self.scope = Scope(self.connection.account_id, self.connection.livemode)

    def opened(self) -> Any:
        return _closing(app.build(settings.load(self.environ)))

    def sync(self) -> Summary:
        with self.opened() as parts:
            return parts.sync.run_once(self.connection.id)  # type: ignore[no-any-return]

    def rows(self) -> dict[str, dict[str, str]]:
        """Return, by table, the hash of every row by id."""
        with self.opened() as parts:
            found = {}
            for table, count in parts.warehouse.count(self.scope).items():
                if count and table != "balance":
                    rows = parts.warehouse.query(
                        f'SELECT id, _hash FROM stripe."{table}" WHERE _deleted_at IS NULL'
                    ).rows
                    assert len(rows) == len(dict(rows)), f"{table} has a row twice"
                    found[table] = dict(rows)
            return found

    def contents(self, tables: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return, by table, the fingerprint of every living row's payload by id."""
        found = {}
        with self.opened() as parts:
            for table in tables:
                rows = parts.warehouse.query(
                    f'SELECT t.id, v.payload FROM stripe."{table}" t JOIN raw.versions v '
                    "ON v.resource = $1 AND v.id = t.id AND v.hash = t._hash WHERE t._deleted_at IS NULL",
                    [table],
                ).rows
                found[table] = {row[0]: fingerprint(row[1].encode()) for row in rows}
        return found


class _closing:
    def __init__(self, parts: app.App) -> None:
        self.parts = parts

    def __enter__(self) -> app.App:
        return self.parts

    def __exit__(self, *_: object) -> None:
        self.parts.close()


@pytest.fixture(scope="module")
def undisturbed(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]
) -> Iterator[Installation]:
    """The company, loaded without any trouble."""
    installation = Installation(furnish(tmp_path_factory.mktemp("undisturbed")), simulator)
    written = simulator.stats()["writes_refused"]
    assert installation.sync().state == "complete"
    assert simulator.stats()["writes_refused"] == written, "nothing is ever written to Stripe"
    return installation


def test_every_table_has_as_many_rows_as_stripe(undisturbed: Installation, simulator: Simulator) -> None:
    tables = simulator.facts()["objects"]
    rows = undisturbed.rows()
    assert {name: len(rows.get(name, ())) for name in tables} == tables


def test_every_row_has_stripes_content(undisturbed: Installation, simulator: Simulator) -> None:
    contents = undisturbed.contents(simulator.tables())
    for table in simulator.tables():
        assert contents[table] == simulator.objects(table), table


def test_balance_transactions_add_up_to_stripes_balance(undisturbed: Installation, simulator: Simulator) -> None:
    with undisturbed.opened() as parts:
        sums = dict(
            parts.warehouse.query("SELECT currency, sum(net)::BIGINT FROM stripe.balance_transactions GROUP BY 1").rows
        )
        available, pending = parts.warehouse.query("SELECT available, pending FROM stripe.balance").rows[0]
    balance: dict[str, int] = {}
    for part in (*json.loads(available), *json.loads(pending)):
        balance[part["currency"]] = balance.get(part["currency"], 0) + part["amount"]
    assert {c: n for c, n in sums.items() if n} == {c: n for c, n in balance.items() if n}


def test_each_automatic_payout_is_its_transactions(undisturbed: Installation) -> None:
    with undisturbed.opened() as parts:
        wrong = parts.warehouse.query(
            "SELECT p.id, p.amount, sum(t.net) FROM stripe.payouts p "
            "LEFT JOIN stripe.payout_balance_transactions b ON b.payout = p.id "
            "LEFT JOIN stripe.balance_transactions t ON t.id = b.balance_transaction AND t.type <> 'payout' "
            "WHERE p.automatic GROUP BY p.id, p.amount HAVING sum(t.net) IS DISTINCT FROM p.amount"
        ).rows
        many = parts.warehouse.query("SELECT count(DISTINCT payout) FROM stripe.payout_balance_transactions").rows[0][0]
    assert wrong == []
    assert many > 10


def test_a_second_run_finds_nothing_new(undisturbed: Installation, simulator: Simulator) -> None:
    before = undisturbed.rows()
    # The first to look at events also asks how Stripe's clock goes: where it is not told, it looks back further.
    simulator.fault("status", path="/v1/account", status=503, times=None, should_retry=False)
    assert undisturbed.sync().state == "complete"
    assert any(rule["fired"] for rule in simulator.faults())
    simulator.clear_faults()
    assert undisturbed.sync().state == "complete"
    assert undisturbed.rows() == before


@pytest.mark.parametrize("seed", [1])
def test_killed_at_any_moment_it_goes_on_and_the_rows_are_the_same(
    undisturbed: Installation, simulator: Simulator, furnished: Path, seed: int
) -> None:
    dice = random.Random(seed)
    simulator.limits(latency_ms=15)
    killed = Installation(furnished, simulator, TAKINGS_BATCH_ROWS="150")
    kills = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, __file__, killed.connection.id], env=os.environ | killed.environ)
        try:
            process.wait(timeout=2.0 + dice.random() * 4)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    simulator.limits(latency_ms=0)
    _let_leases_lapse(killed)
    assert killed.sync().state == "complete"
    assert kills
    assert killed.rows() == undisturbed.rows()


def _let_leases_lapse(installation: Installation) -> None:
    """Wait until nobody holds the run of a killed process any more."""
    with installation.opened() as parts:
        give_up = time.monotonic() + 30
        while parts.sync.book.held(installation.connection.id) and time.monotonic() < give_up:
            time.sleep(0.2)


def test_faults_on_the_way_lose_nothing(undisturbed: Installation, simulator: Simulator, furnished: Path) -> None:
    installation = Installation(furnished, simulator)
    for kind in (
        "status",
        "drop_before",
        "drop_middle",
        "malformed",
        "truncated",
        "html",
        "rate_limit",
        "lock_timeout",
    ):
        simulator.fault(kind, path="/v1/*", after=20, times=2)
    assert installation.sync().state == "complete"
    assert installation.rows() == undisturbed.rows()


def test_a_list_the_key_may_not_read_is_forbidden_and_the_rest_complete(
    simulator_factory: Callable[..., Simulator], furnished: Path
) -> None:
    stripe = simulator_factory(objects=600)
    key = stripe.create_key(permissions=["charge", "customer", "balance", "balance_transaction_source"])
    installation = Installation(furnished, stripe, key)
    summary = installation.sync()
    states = {path: progress.state for path, progress in summary.lists.items()}
    assert summary.state == "complete"
    assert states["/v1/charges"] == states["/v1/customers"] == states["/v1/balance_transactions"] == "complete"
    assert states["/v1/invoices"] == states["/v1/payouts"] == "forbidden"
    assert summary.lists["/v1/invoices"].reason


def test_rows_come_without_what_the_key_may_not_read_of_them_and_that_is_said(
    simulator_factory: Callable[..., Simulator], furnished: Path
) -> None:
    """A key that may list subscriptions is refused when it asks for them with discounts, which it may not read."""
    stripe = simulator_factory(objects=3_000)
    key = stripe.create_key(permissions=["balance", "customer", "invoice", "subscription"])
    installation = Installation(furnished, stripe, key)
    summary = installation.sync()
    assert summary.state == "complete"
    for path in ("/v1/subscriptions", "/v1/invoices"):
        listed = summary.lists[path]
        assert (listed.state, listed.reason_code) == ("complete", "sync.plain") and "coupons" in (listed.reason or "")
    assert summary.lists["/v1/customers"].reason_code is None
    with installation.opened() as parts:
        assert parts.warehouse.query("SELECT count(*) FROM stripe.discounts").rows == [(0,)]
        with_some = "SELECT count(*) > 0 FROM stripe.subscriptions WHERE CAST(discounts AS VARCHAR) LIKE '%di_%'"
        assert parts.warehouse.query(with_some).rows == [(True,)]
        said = missing_from(parts.connections, parts.health, ["discounts"], livemode=True, accounts=None)
        assert {(one.table, one.reason_code, one.short) for one in said} == {
            ("invoices", "sync.plain", False),
            ("subscriptions", "sync.plain", False),
        }
        # The checker asks as the writer does.
        outcome = parts.proof.verify(installation.connection.id, Asked(extent="full", lists=("/v1/subscriptions",)))
        assert (outcome.verification.state, list(outcome.findings)) == ("proven", [])


def test_a_list_refused_half_way_is_partial_and_the_run_is_no_success(
    simulator_factory: Callable[..., Simulator], furnished: Path
) -> None:
    stripe = simulator_factory(objects=3_000)
    installation = Installation(furnished, stripe)
    stripe.fault("forbidden", path="/v1/balance_transactions", query="payout=", after=3, times=None)
    summary = installation.sync()
    bridge = summary.lists["/v1/balance_transactions?payout={payout}"]
    assert (bridge.state, summary.state) == ("partial", "partial")
    assert bridge.rows and bridge.reason


def test_a_revoked_key_stops_the_run_asks_for_a_new_one_and_the_run_goes_on(
    simulator_factory: Callable[..., Simulator], furnished: Path
) -> None:
    stripe = simulator_factory(objects=3_000, latency_ms=40)
    key = stripe.create_key()
    installation = Installation(furnished, stripe, key, TAKINGS_BATCH_ROWS="100")
    timer = threading.Timer(2.0, stripe.revoke_key, [key])
    timer.start()
    try:
        outcome: str = installation.sync().state
    except Refused:
        outcome = "stopped"
    timer.join()
    assert outcome == "stopped"
    with installation.opened() as parts:
        assert parts.connections.get(installation.connection.id).state == "reauth"
        parts.connections.reauthenticate(
            None, installation.connection.id, Credentials(way="key", secret=stripe.live_key)
        )
    assert installation.sync().state == "complete"
    tables = stripe.facts()["objects"]
    rows = installation.rows()
    assert {name: len(rows.get(name, ())) for name in tables} == tables


def test_stripe_away_for_long_ends_partial_and_the_next_run_completes_it(
    simulator_factory: Callable[..., Simulator], furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from takings.stripe import Retries

    stripe = simulator_factory(objects=600)
    installation = Installation(furnished, stripe)
    rule = stripe.fault("status", path="/v1/charges", status=503, times=100_000)
    monkeypatch.setattr("takings.stripe.client.Retries", lambda: Retries(tries=1))
    monkeypatch.setattr("takings.sync.runner._TRIES", 1)
    summary = installation.sync()
    assert summary.state == "partial"
    assert summary.lists["/v1/charges"].state == "partial" and summary.lists["/v1/charges"].reason
    assert summary.lists["/v1/customers"].state == "complete"
    stripe.clear_faults(rule)
    assert installation.sync().state == "complete"
    assert len(installation.rows()["charges"]) == stripe.facts()["objects"]["charges"]


def test_two_processes_never_do_the_same_work_at_once(
    simulator_factory: Callable[..., Simulator], furnished: Path
) -> None:
    stripe = simulator_factory(objects=1_500, latency_ms=20)
    installation = Installation(furnished, stripe)
    processes = [
        subprocess.Popen([sys.executable, __file__, installation.connection.id], env=os.environ | installation.environ)
        for _ in range(2)
    ]
    codes = sorted(process.wait() for process in processes)
    assert codes in ([0, 6], [0, 0])  # the other found it taken; or came so late that it made a run of its own
    tables = stripe.facts()["objects"]
    rows = installation.rows()
    assert {name: len(rows.get(name, ())) for name in tables} == tables


def test_what_changed_arrives_with_the_next_run(simulator_factory: Callable[..., Simulator], furnished: Path) -> None:
    stripe = simulator_factory(objects=900, end=None)  # its events must be of today
    installation = Installation(furnished, stripe)
    installation.sync()
    old: Any = min(stripe.contents("customers").values(), key=lambda customer: customer["created"])
    stripe.update(old["id"], {"name": "Changed Name"}, event=True)
    assert installation.sync().state == "complete"
    assert installation.contents(["customers"])["customers"][old["id"]] == stripe.objects("customers")[old["id"]]


if __name__ == "__main__":
    from takings.errors import TakingsError

    with _closing(app.build(settings.load())) as running:
        try:
            ended = running.sync.run_once(sys.argv[1])
        except TakingsError as error:
            sys.exit(error.exit_code)
        sys.exit(0 if ended.state == "complete" else 1)
