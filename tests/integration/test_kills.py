"""kill -9 at random moments of loading, following and comparing: no row lost or double, no run stuck, no delivery forgotten.

A warm mother process forks a worker for each kill, so that a hundred kills cost seconds. Its clock and the simulated
Stripe's are moved past the lease of the killed one. ``TAKINGS_KILLS`` sets how many kills there are in all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

import httpx2
import pytest
import sqlalchemy as sa

from takings import app, log, settings
from takings.connections import Credentials
from takings.errors import TakingsError
from takings.simulator import Options, Simulator
from takings.simulator.fingerprint import fingerprint
from takings.simulator.simclock import MovableClock
from takings.store.schema import deliveries, runs
from takings.sync import Summary
from takings.warehouse import building

SEEDS: Final = 2
KILLS: Final = int(os.environ.get("TAKINGS_KILLS", "100"))
#: A killed worker's lease is over after this.
LEASE: Final = timedelta(seconds=20)
#: What the key may read: some of each kind of list, so that a run is short. The rest is forbidden and takes no time.
PERMISSIONS: Final = (
    "balance",
    "balance_transaction_source",
    "credit_note",
    "customer",
    "event",
    "plan",
    "product",
    "subscription",
)
TABLES: Final = (
    *("balance_transactions", "credit_note_line_items", "credit_notes", "customers", "events", "prices", "products"),
    *("subscription_items", "subscriptions", "tax_ids"),
)
SECRET: Final = "whsec_0123456789abcdefghijklmn"

Work = Literal["load", "follow", "compare"]


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    options = Options(objects=300, test_objects=300, seed=5, rate=0, test_rate=0, endpoint_rate=0, latency_ms=2)
    with Simulator(options) as running:
        yield running


class Mother:
    """A process that has everything imported and forks workers."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environ,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def work(self, work: Work, connection: str, ahead: timedelta, kill_after: float | None) -> str:
        """Have a worker work, and kill it so many seconds after it has begun; return how it ended, or "killed"."""
        order = {"work": work, "connection": connection, "ahead": ahead.total_seconds(), "kill_after": kill_after}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return str(json.loads(self._process.stdout.readline()))


class House:
    """An installation whose workers are killed."""

    def __init__(self, home: Path, stripe: Simulator) -> None:
        self.stripe = stripe
        self.environ = {
            **stripe.environ(),
            "TAKINGS_HOME": str(home),
            "TAKINGS_LOG_LEVEL": "error",
            "TAKINGS_BATCH_ROWS": "40",
        }
        self.start = stripe.advance(timedelta(0)) - MovableClock().now()
        self.ahead = timedelta(0)
        with self.opened() as parts:
            credentials = Credentials(way="key", secret=stripe.create_key(permissions=PERMISSIONS))
            pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
            self.connection: str = parts.connections.confirm(None, pending, "Company", None).id

    def opened(self) -> Any:
        return _opened(self.environ, self.start + self.ahead)

    def advance(self, by: timedelta) -> None:
        self.stripe.advance(by)
        self.ahead += by

    def ask(self, sql: str) -> list[Any]:
        with self.opened() as parts:
            return list(parts.warehouse.query(sql).rows)

    def differences(self) -> list[str]:
        found = []
        with self.opened() as parts:
            for table in TABLES:
                rows = parts.warehouse.query(
                    f'SELECT t.id, v.payload FROM stripe."{table}" t LEFT JOIN raw.versions v '
                    f"ON v.resource = '{table}' AND v.id = t.id AND v.hash = t._hash WHERE t._deleted_at IS NULL"
                ).rows
                theirs = self.stripe.objects(table)
                ours = {id: fingerprint((payload or "").encode()) for id, payload in rows}
                held = parts.warehouse.query(f'SELECT id FROM stripe."{table}"').rows
                found += [f"{table}: {row[0]} is double" for row, n in Counter(held).items() if n > 1]
                found += [f"{table}: {id} is lost" for id in theirs.keys() - ours.keys()]
                found += [f"{table}: {id} is a ghost" for id in ours.keys() - theirs.keys() if table != "events"]
                found += [f"{table}: {id} is stale" for id in theirs.keys() & ours.keys() if theirs[id] != ours[id]]
        return found

    def stuck(self) -> list[str]:
        """Return what is under way though nobody is there to do it."""
        with self.opened() as parts, parts.store.read() as db:
            rows = db.execute(sa.select(runs.c.id, runs.c.kind).where(runs.c.state == "running")).all()
            found = [f"{row.kind} {row.id}" for row in rows]
        with self.opened() as parts:
            if parts.sync.book.held(self.connection):
                found.append("held")
        return found


class _opened:
    def __init__(self, environ: dict[str, str], ahead: timedelta) -> None:
        clock = MovableClock()
        clock.shift(ahead)
        self.parts = app.build(settings.load(environ), clock)

    def __enter__(self) -> app.App:
        return self.parts

    def __exit__(self, *_: object) -> None:
        self.parts.close()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_a_hundred_times_nothing_is_lost_double_or_stuck(stripe: Simulator, furnished: Path, seed: int) -> None:
    dice, house = random.Random(seed), House(furnished, stripe)
    kills: Counter[str] = Counter()
    each = KILLS // SEEDS // 3
    wanted: dict[Work, int] = {"load": KILLS // SEEDS - 2 * each, "follow": each, "compare": each}
    #: About how long each kind of work takes; learnt from those that were not killed in time.
    lasts: dict[Work, float] = {"load": 1.5, "follow": 0.6, "compare": 1.5}
    with Mother(house.environ) as mother:
        for work, number in wanted.items():
            if work != "load":
                assert mother.work("load", house.connection, house.ahead + house.start, None) == "complete"
            while kills[work] < number:
                if work == "follow" or (work == "compare" and dice.random() < 0.3):
                    stripe.live(2, seed=dice.randrange(1 << 30))
                    house.advance(timedelta(minutes=3))
                moment = min(dice.expovariate(4 / lasts[work]), lasts[work])
                ended = mother.work(work, house.connection, house.ahead + house.start, moment)
                if ended == "killed":
                    kills[work] += 1
                    house.advance(LEASE)
                elif work == "load":
                    break  # it is loaded: what is left of these kills falls on the others
                else:
                    lasts[work] *= 0.8
                    assert ended == "complete", ended
            missed = number - kills[work]
            if missed and work == "load":
                wanted["compare"] += missed
        house.advance(timedelta(minutes=3))
        assert mother.work("follow", house.connection, house.ahead + house.start, None) == "complete"
        house.advance(timedelta(minutes=16))
        assert mother.work("compare", house.connection, house.ahead + house.start, None) == "complete"
    assert sum(kills.values()) >= KILLS // SEEDS, kills
    assert min(kills.values()) > 0, kills
    problems = house.differences()
    assert not problems, f"{kills} {len(problems)}: " + "\n".join(sorted(problems)[:10])
    assert house.stuck() == []


def test_two_workers_at_one_connection_never_do_the_same_at_once(stripe: Simulator, furnished: Path) -> None:
    """Two processes follow and compare the same connection as fast as they can: one of them finds it taken, always."""
    house = House(furnished, stripe)
    stripe.reset_stats()
    with Mother(house.environ) as one, Mother(house.environ) as other:
        outcomes: Counter[str] = Counter()

        def hurry(mother: Mother, times: int) -> None:
            for work in (("load", "follow", "compare") * times)[: times * 3]:
                outcomes[mother.work(work, house.connection, house.ahead + house.start, None)] += 1

        threads = [threading.Thread(target=hurry, args=(mother, 3)) for mother in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(outcomes) <= {"complete", "sync.busy", "sync.not_loaded"}, outcomes
    assert outcomes["complete"] and outcomes["sync.busy"], outcomes
    with house.opened() as parts, parts.store.read() as db:
        spans = db.execute(sa.select(runs.c.started_at, runs.c.ended_at).order_by(runs.c.started_at)).all()
    assert all(before.ended_at <= after.started_at for before, after in pairwise(spans)), spans
    assert house.differences() == []


def test_the_web_process_is_killed_while_webhooks_arrive(stripe: Simulator, furnished: Path) -> None:
    """Whatever Stripe was told is taken in is on the disk, kill or no kill."""
    house, dice = House(furnished, stripe), random.Random(9)
    with house.opened() as parts:
        parts.signing.add(None, house.connection, SECRET)
    acknowledged: list[str] = []
    sent: set[str] = set()
    for turn in range(3):
        with _Web(house.environ) as web:
            stop = threading.Event()
            senders = [
                threading.Thread(target=_send, args=(web.address, house, f"{turn}_{n}", acknowledged, sent, stop))
                for n in range(4)
            ]
            for sender in senders:
                sender.start()
            while len(acknowledged) < 5 * (turn + 1):
                time.sleep(0.01)
            time.sleep(dice.random() * 0.3)
            web.kill()
            stop.set()
            for sender in senders:
                sender.join()
    assert len(acknowledged) >= 15
    with house.opened() as parts, parts.store.read() as db:
        kept = Counter(db.execute(sa.select(deliveries.c.event_id)).scalars())
    assert set(acknowledged) <= kept.keys()
    assert kept.keys() <= sent and max(kept.values()) == 1


class _Web:
    """The web process, to be killed."""

    def __init__(self, environ: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "takings", "web", "--port", str(port)],
            env=os.environ | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        while True:
            assert self._process.poll() is None
            try:
                httpx2.get(f"{self.address}/healthz", timeout=5)
                return self
            except httpx2.HTTPError:
                time.sleep(0.05)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.stdin.close()  # type: ignore[union-attr]


def _send(
    address: str, house: House, name: str, acknowledged: list[str], sent: set[str], stop: threading.Event
) -> None:
    """Deliver events one after the other until the process is gone."""
    number = 0
    with httpx2.Client(timeout=5) as client:
        while not stop.is_set():
            number += 1
            id = f"evt_kill_{name}_{number}"
            event = {"id": id, "object": "event", "type": "customer.updated", "created": 1_790_000_000, "livemode": True,
                     "api_version": "2026-10-28.endive", "data": {"object": {"id": "cus_1", "object": "customer"}}}  # fmt: skip
            body = json.dumps(event).encode()
            stamp = int(time.time())
            mark = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            sent.add(id)
            try:
                answer = client.post(
                    f"{address}/webhooks/stripe/{house.connection}",
                    content=body,
                    headers={"stripe-signature": f"t={stamp},v1={mark}"},
                )
            except httpx2.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged.append(id)


# The mother process


def _mother() -> None:
    log.configure("text", "error")
    # Its tables were made before the first worker: looking whether they are all there takes half of a worker's second.
    building.build = lambda *_: None
    for line in sys.stdin:
        order = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            outcome = "crashed"
            try:
                outcome = _worked(order, writer)
            finally:
                os.write(writer, json.dumps(outcome).encode())
                os._exit(0)
        os.close(writer)
        print(json.dumps(_ended(child, reader, order["kill_after"])), flush=True)


def _ended(child: int, reader: int, kill_after: float | None) -> str:
    os.read(reader, 1)  # it has begun
    said = b""
    killer = threading.Timer(kill_after or 0.0, os.kill, (child, signal.SIGKILL))
    if kill_after is not None:
        killer.start()
    while part := os.read(reader, 4096):
        said += part
    killer.cancel()
    os.close(reader)
    os.waitpid(child, 0)
    return str(json.loads(said)) if said else "killed"


def _worked(order: dict[str, Any], writer: int) -> str:
    with _opened(dict(os.environ), timedelta(seconds=order["ahead"])) as parts:
        os.write(writer, b".")
        try:
            summary: Summary
            if order["work"] == "compare":
                summary = parts.sync.reconcile(order["connection"])
            else:
                summary = parts.sync.run_once(order["connection"])
        except TakingsError as error:
            return error.code
        return summary.state


if __name__ == "__main__":
    _mother()
