"""Renewing access tokens: one writer among threads and processes, and no new token is ever lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from filelock import FileLock

from takings.clock import SystemClock
from takings.connections import Credentials, records
from takings.connections.tokens import Token, Tokens
from takings.errors import NotFound, Refused, Unavailable
from takings.settings import Settings, load
from takings.store import Store, Vault
from takings.store.schema import connections

CLOCK = SystemClock()


@dataclass
class Issuer:
    """What Stripe does: a refresh token works once, and dies by the exchange. Shared by processes through a file."""

    file: Path
    slow_s: float = 0.3

    def begin(self, refresh: str) -> None:
        self.file.write_text(f"{refresh} 0")

    @property
    def state(self) -> tuple[str, int]:
        refresh, exchanges = self.file.read_text().split()
        return refresh, int(exchanges)

    def renew(self, old: Credentials) -> Credentials:
        with FileLock(f"{self.file}.lock"):
            refresh, exchanges = self.state
            if old.refresh != refresh:
                raise Refused("oauth.grant_refused", "Stripe no longer accepts this connection.")
            following = f"rt_{exchanges + 1}"
            self.file.write_text(f"{following} {exchanges + 1}")
        time.sleep(self.slow_s)  # the answer is under way: the old token is dead, the new one is not here yet
        return Credentials(
            way="app_oauth",
            secret=f"sk_live_{exchanges + 1}",
            refresh=following,
            expires_at=CLOCK.now() + timedelta(hours=1),
        )


def settings_in(home: Path) -> Settings:
    return load({"TAKINGS_HOME": str(home)})


def opened(home: Path) -> tuple[Store, Vault]:
    settings = settings_in(home)
    return Store.open(settings), Vault.open(settings)


def insert(store: Store, vault: Vault, credentials: Credentials) -> None:
    with store.write() as db:
        db.execute(
            sa.insert(connections).values(
                id="c1",
                name="Aurore",
                source="stripe",
                way=credentials.way,
                account_id="acct_1",
                account_name="Aurore",
                livemode=True,
                state="active",
                credentials=records.seal(vault, credentials),
                permissions={},
                created_at=CLOCK.now(),
            )
        )


def ending_in(left: timedelta, refresh: str = "rt_0") -> Credentials:
    return Credentials(way="app_oauth", secret="sk_live_0", refresh=refresh, expires_at=CLOCK.now() + left)


def work(home: Path) -> None:
    """Ask for credentials, in a process of its own, when all are ready."""
    store, vault = opened(home)
    tokens = Tokens(store, vault, CLOCK, Issuer(home / "issuer").renew)
    print("ready", flush=True)
    sys.stdin.readline()
    print(tokens.current("c1").secret, flush=True)
    store.close()


@pytest.mark.parametrize("left", [timedelta(minutes=2), timedelta(seconds=-1)], ids=["about to end", "ended"])
def test_of_several_processes_one_renews(tmp_path: Path, left: timedelta) -> None:
    store, vault = opened(tmp_path)
    insert(store, vault, ending_in(left))
    issuer = Issuer(tmp_path / "issuer")
    issuer.begin("rt_0")
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    secrets = {worker.communicate(timeout=60)[0].split()[-1] for worker in workers}
    refresh, exchanges = issuer.state
    assert exchanges == 1
    assert refresh == "rt_1"
    assert "sk_live_1" in secrets
    assert secrets <= ({"sk_live_0", "sk_live_1"} if left > timedelta(0) else {"sk_live_1"})
    with store.read() as db:
        row = db.execute(sa.select(connections)).one()
    assert records.unseal(vault, row.credentials).refresh == "rt_1"
    assert (row.credentials_rev, row.credentials_claim) == (2, None)
    store.close()


def test_threads_renew_once_and_again_when_it_is_time_again(tmp_path: Path) -> None:
    store, vault = opened(tmp_path)
    insert(store, vault, ending_in(timedelta(seconds=-1)))
    issuer = Issuer(tmp_path / "issuer", slow_s=0.05)
    issuer.begin("rt_0")
    tokens = Tokens(store, vault, CLOCK, issuer.renew)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: tokens.current("c1").secret, range(16)))
    assert set(found) == {"sk_live_1"}
    assert issuer.state[1] == 1
    with store.write() as db:
        db.execute(
            sa.update(connections).values(credentials=records.seal(vault, ending_in(timedelta(seconds=-1), "rt_1")))
        )
    assert tokens.current("c1").refresh == "rt_2"
    store.close()


def test_new_credentials_given_during_an_exchange_win(tmp_path: Path) -> None:
    store, vault = opened(tmp_path)
    insert(store, vault, ending_in(timedelta(seconds=-1)))
    theirs = Credentials(way="key", secret="rk_live_theirs")

    def renew(old: Credentials) -> Credentials:
        with store.write() as db:  # a person re-authenticates just now
            db.execute(
                sa.update(connections).values(
                    credentials=records.seal(vault, theirs),
                    credentials_rev=connections.c.credentials_rev + 1,
                    credentials_claim=None,
                )
            )
        return ending_in(timedelta(hours=1), "rt_1")

    assert Tokens(store, vault, CLOCK, renew).current("c1") == theirs
    with store.read() as db:
        assert records.unseal(vault, db.execute(sa.select(connections)).one().credentials) == theirs
    store.close()


@pytest.mark.parametrize("left", [timedelta(minutes=2), timedelta(seconds=-1)], ids=["about to end", "ended"])
def test_a_network_that_is_away_costs_nothing(tmp_path: Path, left: timedelta) -> None:
    store, vault = opened(tmp_path)
    old = ending_in(left)
    insert(store, vault, old)

    def renew(_: Credentials) -> Credentials:
        raise Unavailable("oauth.unreachable", "Stripe gave no answer.")

    tokens = Tokens(store, vault, CLOCK, renew)
    if left > timedelta(0):
        assert tokens.current("c1") == old
    else:
        with pytest.raises(Unavailable):
            tokens.current("c1")
    issuer = Issuer(tmp_path / "issuer", slow_s=0)
    issuer.begin("rt_0")
    assert (
        Tokens(store, vault, CLOCK, issuer.renew).current("c1").refresh == "rt_1"
    )  # at once: the claim was given back
    store.close()


def test_a_refusal_is_told_and_the_claim_given_back(tmp_path: Path) -> None:
    store, vault = opened(tmp_path)
    insert(store, vault, ending_in(timedelta(seconds=-1)))
    issuer = Issuer(tmp_path / "issuer")
    issuer.begin("rt_another")
    with pytest.raises(Refused) as caught:
        Tokens(store, vault, CLOCK, issuer.renew).current("c1")
    assert caught.value.code == "oauth.grant_refused"
    with store.read() as db:
        assert db.execute(sa.select(connections.c.credentials_claim)).scalar() is None
    store.close()


def test_the_claim_of_a_dead_process_runs_out(tmp_path: Path) -> None:
    store, vault = opened(tmp_path)
    insert(store, vault, ending_in(timedelta(seconds=-1)))
    with store.write() as db:
        db.execute(sa.update(connections).values(credentials_claim=CLOCK.now() + timedelta(seconds=1)))
    issuer = Issuer(tmp_path / "issuer", slow_s=0)
    issuer.begin("rt_0")
    assert Tokens(store, vault, CLOCK, issuer.renew).current("c1").refresh == "rt_1"
    store.close()


def test_a_connection_that_is_gone(tmp_path: Path) -> None:
    store, vault = opened(tmp_path)
    with pytest.raises(NotFound):
        Tokens(store, vault, CLOCK, Issuer(tmp_path / "issuer").renew).current("c1")
    store.close()


def test_a_client_takes_up_new_credentials_after_a_while() -> None:
    class Ticking(SystemClock):
        at = 0.0

        def monotonic(self) -> float:
            return self.at

    clock, given = Ticking(), ["one", "two"]
    token = Token(lambda: Credentials(way="key", secret=given[0]), clock)
    assert token() == "one"
    del given[0]
    clock.at = 5
    assert token() == "one"
    clock.at = 11
    assert token() == "two"


def test_a_token_is_read_once_by_many_threads() -> None:
    reads: list[int] = []
    lock = threading.Lock()

    def current() -> Credentials:
        with lock:
            reads.append(1)
        return Credentials(way="key", secret="one")

    token = Token(current, CLOCK)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: token(), range(50))) == {"one"}
    assert len(reads) == 1


if __name__ == "__main__":
    work(Path(sys.argv[1]))
