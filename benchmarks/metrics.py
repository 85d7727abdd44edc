"""Measures building the figures: ``python benchmarks/metrics.py [--transactions 100000 1000000]`` prints a table.

A warehouse gets so many charges with their balance transactions, written by the engine itself. Measured are the first build of
every model, a look when nothing has changed, the build after 100 transactions have changed, and questions to the figures,
each in CPU seconds of this process and its peak memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

from takings import app, log, settings
from takings.app import App
from takings.metrics import Question

CHANGED = 100


def fill(parts: App, transactions: int) -> None:
    """Write charges and their balance transactions over three years: ten a day and customer at most."""
    columns = "_account, _livemode, _version_at, _synced_at, id, created, currency"
    row = (
        "'acct_bench', true, now(), now(), '{0}_' || lpad(n::VARCHAR, 12, '0'), "
        f"TIMESTAMPTZ '2023-11-01' + to_seconds(n * {3 * 365 * 86_400} // {transactions}), "
        "['eur', 'usd', 'gbp', 'jpy'][1 + n % 4]"
    )
    with parts.warehouse.deriving() as session, parts.warehouse.publishing(session):
        session.execute(
            f"INSERT INTO stripe.charges ({columns}, customer, amount, payment_method_details) SELECT {row.format('ch')}, "
            "'cus_' || (n % 50000), 100 + n % 9900, "
            "'{\"type\": \"card\", \"card\": {\"country\": \"' || ['FR', 'DE', 'US'][1 + n % 3] || '\"}}' "
            f"FROM range({transactions}) AS r(n)"
        )
        session.execute(
            f"INSERT INTO stripe.balance_transactions ({columns}, amount, fee, net, reporting_category, source) "
            f"SELECT {row.format('txn')}, 100 + n % 9900, 30, 70 + n % 9900, 'charge', "
            f"'ch_' || lpad(n::VARCHAR, 12, '0') FROM range({transactions}) AS r(n)"
        )


def change(parts: App) -> None:
    """Let some transactions be other than they were."""
    with parts.warehouse.deriving() as session, parts.warehouse.publishing(session):
        session.execute(
            "UPDATE stripe.balance_transactions SET amount = amount + 1, net = net + 1 WHERE id IN "
            f"(SELECT t.id FROM stripe.balance_transactions AS t ORDER BY hash(t.id) LIMIT {CHANGED})"
        )


def measured(act: Callable[[], object]) -> str:
    """Return the time something takes."""
    wall, cpu = time.monotonic(), time.process_time()
    act()
    return f"{time.process_time() - cpu:8.2f} s CPU {time.monotonic() - wall:8.2f} s wall"


def measure(transactions: int) -> None:
    """Print the figures of one size."""
    with (
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
        closing(app.build(settings.load({"TAKINGS_HOME": folder}))) as parts,
    ):
        print(f"\n{transactions:,} balance transactions")
        fill(parts, transactions)
        print(f"  first build of {len(parts.registry.ordered)} models   {measured(lambda: parts.builder.build('UTC'))}")
        lines = sum(one.rows for one in parts.builder.build("UTC"))
        print(f"  nothing has changed        {measured(lambda: parts.builder.build('UTC'))}   {lines:,} lines")
        change(parts)
        print(f"  {CHANGED} have changed           {measured(lambda: parts.builder.build('UTC'))}")
        size = sum(file.stat().st_size for file in Path(folder).rglob("metrics/**/*.parquet"))
        print(f"  on disk                    {size / max(lines, 1):8.1f} bytes a line")
        month = Question("gross_volume", date(2026, 9, 1), date(2026, 10, 1))
        asked: dict[str, Callable[[], object]] = {
            "a month": lambda: parts.figures.answer(month),
            "the same again": lambda: parts.figures.answer(month),
            "balance now": lambda: parts.figures.answer(Question("balance")),
            "three years by month": lambda: parts.figures.series(Question("net_volume"), "month"),
            "by country": lambda: parts.figures.values(month, "country"),
            "20 largest contributions": lambda: parts.figures.contributions(month, limit=20),
        }
        for name, act in asked.items():
            print(f"  {name:24}   {measured(act)}")
        print(f"  peak memory                {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--short", action="store_true", help="20,000: whether it runs")
    asked = parser.parse_args()
    log.configure("text", "error")
    for transactions in [20_000] if asked.short else asked.transactions:
        measure(transactions)


if __name__ == "__main__":
    main()
