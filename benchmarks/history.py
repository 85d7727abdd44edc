"""Measure how a warehouse ages: years of small commits, with maintenance on schedule. By hand: ``python benchmarks/history.py``.

Every simulated day brings new objects, and changes of recent and of old ones, to ten tables, in small commits as the follower
makes them. Snapshots and files of the day before are let go each day, as they would be after a real one. Times are CPU milliseconds of this process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from takings import catalog as catalogs
from takings import settings as takings_settings
from takings.warehouse import Delivery, Item, Scope, Warehouse

OWNER = Scope("acct_history", True)
START = datetime(2026, 1, 1, tzinfo=UTC)
#: Tables with how many objects are new, and how many known ones change, on a day.
TABLES = {
    "charges": (40, 30),
    "payment_intents": (40, 60),
    "customers": (10, 25),
    "invoices": (20, 60),
    "invoice_line_items": (40, 20),
    "subscriptions": (4, 25),
    "balance_transactions": (45, 40),
    "refunds": (2, 2),
    "events": (250, 0),
    "products": (0, 1),
}


class Company:
    """Objects that come and change."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._known: dict[str, list[int]] = {table: [START.timestamp().__int__()] for table in TABLES}

    def _item(self, table: str, number: int) -> Item:
        created = self._known[table][number]
        body = {
            "id": f"{table[:4]}_{number:024d}",
            "object": table,
            "amount": self._dice.randrange(100, 100_000),
            "created": created,
            "currency": "eur",
            "customer": f"cus_{self._dice.randrange(10_000):020d}",
            "metadata": {"order": f"{self._dice.getrandbits(64):x}"},
            "status": self._dice.choice(("open", "paid", "succeeded", "failed")),
            "billing_details": {
                "address": {"city": "Lyon", "line1": f"{self._dice.randrange(200)} rue"},
                "phone": None,
            },
            "receipt_url": f"https://pay.example.com/receipts/{self._dice.getrandbits(256):x}",
            "extra": {f"field_{n}": None for n in range(40)},
        }
        return Item.of(body["id"], created, json.dumps(body, separators=(",", ":")).encode())

    def commit(self, at: datetime, part: float) -> list[Delivery]:
        """Return what has happened in a part of a day: 0 to 1."""
        found = []
        for table, (new, changed) in TABLES.items():
            numbers = set()
            for _ in range(self._some(new * part)):
                self._known[table].append(int(at.timestamp()))
                numbers.add(len(self._known[table]) - 1)
            size = len(self._known[table])
            for _ in range(self._some(changed * part)):
                # Most changes come to recent objects, one in eight to any.
                recent = self._dice.random() > 0.125
                age = int(self._dice.expovariate(1 / (max(new, 1) * 3))) if recent else self._dice.randrange(size)
                numbers.add(max(0, size - 1 - age))
            if numbers:
                found.append(
                    Delivery(
                        table=table,
                        scope=OWNER,
                        items=tuple(self._item(table, number) for number in sorted(numbers)),
                        as_of=at,
                        known_at=at,
                        source="event",
                        api_version="x",
                    )
                )
        return found

    def _some(self, expected: float) -> int:
        whole = int(expected)
        return whole + (self._dice.random() < expected - whole)


def timed_ms(act: object) -> float:
    """Return the CPU time a call takes: what a busy machine does not change."""
    started = time.process_time()
    act()  # type: ignore[operator]
    return (time.process_time() - started) * 1000


def main() -> None:
    """Live through the days and print how the warehouse stands."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--commits", type=int, default=8, help="commits a day")
    parser.add_argument("--warehouse", default="ducklake")
    parser.add_argument("--no-upkeep", action="store_true", help="without maintenance, to compare")
    options = parser.parse_args()
    shown = {1, 30, 90, 180, 365, options.days}
    company = Company(3)
    print(
        f"{'day':>4} {'versions':>9} {'bytes/version':>13} {'catalog MB':>10} {'files':>6} {'commit ms':>10} "
        f"{'upkeep ms/day':>13} {'sum ms':>7} {'one row ms':>10} {'RSS MB':>7}"
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = takings_settings.load({}, home=folder, warehouse=options.warehouse)
        with Warehouse.open(settings, catalogs.load()) as warehouse:
            writer, versions = warehouse.writer(), 0
            for day in range(1, options.days + 1):
                commits, upkeep = [], 0.0
                for n in range(options.commits):
                    deliveries = company.commit(
                        START + timedelta(days=day, seconds=n * 86_400 / options.commits), 1 / options.commits
                    )
                    versions += sum(len(delivery.items) for delivery in deliveries)
                    commits.append(timed_ms(lambda deliveries=deliveries: writer.write(deliveries)))
                    if not options.no_upkeep:
                        upkeep += timed_ms(warehouse.tidy)
                if not options.no_upkeep:
                    upkeep += timed_ms(lambda: warehouse.maintain(keep=timedelta(0)))
                if day in shown:
                    root = Path(folder) / "warehouse"
                    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
                    catalog = sum(file.stat().st_size for file in root.glob("lake.sqlite*"))
                    total = [
                        timed_ms(
                            lambda: warehouse.query(
                                "SELECT date_trunc('month', c.created) AS m, sum(c.amount) FROM stripe.charges AS c GROUP BY 1"
                            )
                        )
                        for _ in range(5)
                    ]
                    one = [
                        timed_ms(
                            lambda: warehouse.query(
                                "SELECT * FROM stripe.charges WHERE id = 'char_000000000000000000000007'"
                            )
                        )
                        for _ in range(5)
                    ]
                    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                    files = len(list(root.rglob("*.parquet")))
                    print(
                        f"{day:>4} {versions:>9,} {size / versions:>13,.0f} {catalog / 1e6:>10.1f} {files:>6} "
                        f"{statistics.median(commits):>10,.0f} {upkeep:>13,.0f} {statistics.median(total):>7,.0f} "
                        f"{statistics.median(one):>10,.0f} {rss:>7,.0f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
