"""Measures building the figures: ``python benchmarks/metrics.py [--transactions 100000 1000000] [--one]`` prints a table.

A simulated company of some three thousand balance transactions is loaded as any account is, and copied until there are so many: as
further accounts, or as further customers of the same account. Measured are the first build of every model, a look when nothing has changed, the build after 100 balance
transactions, invoices and subscriptions have changed, and questions to the figures, each in CPU seconds of this process, wall time and
its peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

from takings import app, log, settings
from takings.app import App
from takings.connections import Credentials
from takings.metrics import Built, Question
from takings.metrics.touched import SHARED
from takings.simulator.process import Simulator

CHANGED = 100
#: Ids of what each customer has of their own; prices, coupons and the account are shared.
IDS = r"\b((?:sub_sched|cs_live|ch|cn|cnli|cus|di|dp|du|ii|il|in|inpay|pi|py|pyr|re|si|sub|txn)_)([A-Za-z0-9]{10,})"


def load(parts: App, stripe: Simulator) -> int:
    """Load the company; return how many balance transactions it has."""
    credentials = Credentials(way="key", secret=stripe.live_key)
    pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
    made = parts.connections.confirm(None, pending, "Benchmark", None)
    assert parts.sync.run_once(made.id).state == "complete"
    return int(parts.warehouse.query("SELECT count(*) FROM stripe.balance_transactions").rows[0][0])


def copy(parts: App, copies: int, *, one: bool) -> None:
    """Let further accounts have the same objects, told apart by account; or the one account further objects, told apart by their ids."""
    tables = sorted({name for model in parts.registry.ordered for name in parts.registry.sources(model.name)})
    if one:
        _multiply(parts, [name for name in tables if name not in SHARED], copies)
        return
    with parts.warehouse.deriving() as session, parts.warehouse.publishing(session):
        for table, column in (*((f"stripe.{name}", "_account") for name in tables), ("raw.versions", "account")):
            only = " WHERE v.resource IN ('subscriptions', 'subscription_items')" if table == "raw.versions" else ""
            session.execute(
                f"INSERT INTO {table} SELECT v.* REPLACE ('acct_' || r.n AS {column}) FROM {table} AS v, "
                f"range({copies}) AS r(n){only}"
            )


def _multiply(parts: App, tables: list[str], copies: int) -> None:
    with parts.warehouse.deriving() as session, parts.warehouse.publishing(session):
        for table in (*(f"stripe.{name}" for name in tables), "raw.versions"):
            where = " WHERE v.resource IN ('subscriptions', 'subscription_items')" if table == "raw.versions" else ""
            described = session.execute(f"DESCRIBE {table}").fetchall()
            texts = [(name, kind) for name, kind, *_ in described if kind in ("VARCHAR", "JSON")]
            has = ", ".join(f"bool_or(regexp_matches(CAST(v.{name} AS VARCHAR), $ids))" for name, _ in texts)
            found = session.execute(f"SELECT {has} FROM {table} AS v", {"ids": IDS}).fetchone() or ()
            other = ", ".join(
                f"CAST(regexp_replace(CAST(v.{name} AS VARCHAR), '{IDS}', '\\1\\2x' || r.n, 'g') AS {kind}) AS {name}"
                for (name, kind), any_ in zip(texts, found, strict=True)
                if any_
            )
            replaced = f" REPLACE ({other})" if other else ""
            session.execute(
                f"INSERT INTO {table} SELECT v.*{replaced} FROM {table} AS v, range({copies}) AS r(n){where}"
            )


def change(parts: App) -> None:
    """Let some objects of a few kinds be other than they were."""
    changes = {
        "balance_transactions": "amount = amount + 1, net = net + 1",
        "invoices": "due_date = due_date + INTERVAL 1 DAY",
        "subscription_items": "quantity = quantity + 1",
    }
    with parts.warehouse.deriving() as session, parts.warehouse.publishing(session):
        for table, what in changes.items():
            session.execute(
                f"UPDATE stripe.{table} SET {what} WHERE hash(_account, id) IN "
                f"(SELECT hash(t._account, t.id) FROM stripe.{table} AS t ORDER BY 1 LIMIT {CHANGED})"
            )


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """Give the size of a folder, a few times a second."""
    sizes: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            with suppress(OSError):
                sizes.append(sum(file.stat().st_size for file in folder.rglob("*")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield sizes
    finally:
        over.set()
        watcher.join()


def measured(act: Callable[[], object]) -> str:
    """Return the time something takes."""
    wall, cpu = time.monotonic(), time.process_time()
    act()
    return f"{time.process_time() - cpu:8.2f} s CPU {time.monotonic() - wall:8.2f} s wall"


def measure(transactions: int, stripe: Simulator, *, one: bool) -> None:
    """Print the figures of one size."""
    with tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder:
        known = {**os.environ, **stripe.environ(), "TAKINGS_HOME": folder, "TAKINGS_LOG_LEVEL": "error"}
        with closing(app.build(settings.load(known))) as parts:
            _measure(transactions, stripe, parts, folder, one=one)


def _measure(transactions: int, stripe: Simulator, parts: App, folder: str, *, one: bool) -> None:
    began = time.monotonic()
    held = load(parts, stripe)
    copy(parts, max(0, transactions // held - 1), one=one)
    rows = parts.warehouse.query("SELECT count(*) FROM stripe.balance_transactions").rows[0][0]
    print(f"\n{rows:,} balance transactions, made in {time.monotonic() - began:.0f} s")
    built: list[Built] = []
    with watched(parts.warehouse.temporary) as sizes:
        print(f"  first build                {measured(lambda: built.extend(parts.builder.build('UTC')))}")
    print(f"    temporary files          {max(sizes, default=0) / 1e6:8.0f} MB at most")
    for one in built:
        print(f"    {one.model:22} {one.rows:12,} lines {one.seconds:8.2f} s")
    lines = sum(one.rows for one in built)
    sums = parts.warehouse.query("SELECT count(*) FROM metrics.sums").rows[0][0]
    print(
        f"  nothing has changed        {measured(lambda: parts.builder.build('UTC'))}   {lines:,} lines, {sums:,} sums"
    )
    change(parts)
    again: list[Built] = []
    took = measured(lambda: again.extend(parts.builder.build("UTC")))
    partly, fresh = sum(one.partly for one in again), sum(one.fresh for one in again)
    print(f"  {CHANGED} of each kind changed   {took}   {fresh} models, {partly} of them in part")
    size = sum(file.stat().st_size for file in Path(folder).rglob("metrics/**/*.parquet"))
    print(f"  on disk                    {size / max(lines, 1):8.1f} bytes a line")
    month = Question("gross_volume", date(2026, 9, 1), date(2026, 10, 1))
    asked: dict[str, Callable[[], object]] = {
        "a month": lambda: parts.figures.answer(month),
        "the same again": lambda: parts.figures.answer(month),
        "balance now": lambda: parts.figures.answer(Question("balance")),
        "three years by month": lambda: parts.figures.series(Question("net_volume"), "month"),
        "by country": lambda: parts.figures.values(month, "country"),
        "mrr by month": lambda: parts.figures.series(Question("mrr"), "month"),
        "nrr of a month": lambda: parts.figures.values(replace(month, measure="nrr")),
        "nrr, twelve months": lambda: parts.figures.series(
            Question("nrr", date(2025, 10, 1), date(2026, 10, 1)), "month"
        ),
        "largest customers": lambda: parts.figures.largest(replace(month, currency="eur"), "customer", 10),
        "20 largest contributions": lambda: parts.figures.contributions(month, limit=20),
    }
    for name, act in asked.items():
        print(f"  {name:24}   {measured(act)}")
    print(f"  peak memory                {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--one", action="store_true", help="of one account, in place of many")
    parser.add_argument("--short", action="store_true", help="20,000: whether it runs")
    asked = parser.parse_args()
    log.configure("text", "error")
    with Simulator(objects=20_000) as stripe:
        for transactions in [20_000] if asked.short else asked.transactions:
            measure(transactions, stripe, one=asked.one)


if __name__ == "__main__":
    main()
