"""Prints how long the server takes for a dashboard and an explanation, cold and warm, over N lines of the balance.

Run ``python benchmarks/dashboards.py --lines 1000000``. A small company is written into a warehouse in a temporary folder
and its figures are made; then lines are added to ``metrics.money_lines`` until there are N, with their sums by day. Cold: a new process' first
question of each kind, the database's own caches included; warm: the same page again. What reads every line comes after its page, and
is measured by itself.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import home as company
from litestar.testing import TestClient

from takings import app as program
from takings import log, settings
from takings.metrics import rolling
from takings.web import server

BASE = 10_000
PAGES = {
    "payments, 30 days": "/dashboards/payments",
    "payments, 12 months": "/dashboards/payments?range=12m&grain=month",
    "payments, one country": "/dashboards/payments?range=12m&grain=month&f_country=FR",
    "balance, 12 months": "/dashboards/balance?range=12m&grain=month",
    "largest customers, 30 days": "/dashboard-tables/payments/t3-0",
    "largest customers, 12 months": "/dashboard-tables/payments/t3-0?range=12m",
    "explain gross volume": "/explain?metric=gross_volume&range=12m",
    "its largest lines": "/explain-sides/0?metric=gross_volume&range=12m",
    "explain balance": "/explain?metric=balance&range=12m",
    "its largest lines, of all": "/explain-sides/0?metric=balance&range=12m",
}
_LINES = """
INSERT INTO metrics.money_lines BY NAME
SELECT
  'txn_b' || n AS id, l.account, l.livemode, l.currency, l.at, l.day, l.day_utc, l.part, l.amount, l.object, l.source,
  'cus_' || lpad(CAST(hash(n) % {customers} AS VARCHAR), 6, '0') AS customer, l.payment_method,
  ['FR', 'DE', 'IT', 'ES', 'US', 'GB', 'JP', 'BE'][1 + CAST(hash(n * 7) % 8 AS INTEGER)] AS country, l.known_at
FROM (SELECT *, row_number() OVER (ORDER BY day, id) AS place FROM metrics.money_lines) AS l, range({copies}) AS r(copy),
LATERAL (SELECT l.place * {copies} + copy AS n)
ORDER BY l.day
"""


def fill(app: program.App, lines: int) -> int:
    """Make the company and its figures, and add lines until there are so many; return how many there are."""
    company.set_up(app)
    company.fill(app, BASE, 36, datetime.now(UTC).replace(microsecond=0))
    (built,) = [one for one in app.builder.build("Europe/Paris") if one.model == "money_lines"]
    copies = max(0, lines // built.rows - 1)
    if copies:
        model = app.registry.model("money_lines")
        with app.warehouse.deriving() as session, app.warehouse.publishing(session):
            session.execute(_LINES.format(customers=max(lines // 20, 10), copies=copies))
            rolling.put(session, model, rolling.summed(session, model, model.table, built.rows * (copies + 1)))
    return built.rows * (copies + 1)


def main() -> None:
    """Run it."""
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--lines", type=int, default=100_000)
    ask.add_argument("--again", type=int, default=5, help="how often each page is asked for warm")
    given = ask.parse_args()
    log.configure(level="error")
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.load({}, home=Path(folder))
        app = program.build(chosen)
        began = time.perf_counter()
        lines = fill(app, given.lines)
        app.close()
        print(f"{lines:,} lines, made in {time.perf_counter() - began:.1f} s")
        print(f"{'page':28} {'cold ms':>9} {'cpu ms':>8} {'warm ms':>9} {'kB':>7}")
        for name, path in PAGES.items():
            app = program.build(chosen)
            token = app.sessions.open(app.people.authenticate(company.EMAIL, company.PASSWORD))
            with TestClient(server.create(app), cookies={"takings_session": token}) as client:
                client.get("/profile")
                cpu = time.process_time()
                cold, size = company.timed(client, path)
                cpu = (time.process_time() - cpu) * 1000
                warm = statistics.median(company.timed(client, path)[0] for _ in range(given.again))
            app.close()
            print(f"{name:28} {cold:9.0f} {cpu:8.0f} {warm:9.0f} {size / 1000:7.0f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    sys.exit(main())
