"""Measures revenue recognition: ``python benchmarks/recognition.py [--lines 1000000] [--daily]`` prints what it costs.

So many invoice lines are put straight into the warehouse's tables: nine monthly ones to one yearly one over three years,
each on an invoice of its own, paid, 19 in 100 taxed, one in fifty refunded in part half way, one in a hundred void. Measured
are the builds (all models, the first, one without a change, one after one void) and the questions that follow. ``--daily`` also makes one line for each day of
each invoice line, the other grain that was thought of.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from takings import app, settings
from takings.metrics import Question

_FILL = (
    """
    CREATE TEMP TABLE made AS
    SELECT
      r.range AS n,
      r.range % 10 = 0 AS yearly,
      TIMESTAMPTZ '2023-01-01 00:00:00+00' + to_seconds((r.range * 7919) % 94608000) AS at,
      500 + (r.range * 7) % 20000 AS net,
      CASE WHEN r.range % 100 < 19 THEN (500 + (r.range * 7) % 20000) // 5 ELSE 0 END AS tax
    FROM range($lines) AS r
    """,
    """
    INSERT INTO stripe.invoices BY NAME
    SELECT 'in_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'eur' AS currency, 'cus_' || m.n % 50000 AS customer,
      m.net + m.tax AS total, CASE WHEN m.n % 100 = 1 THEN 'void' ELSE 'paid' END AS status, m.at AS created,
      json_object(
        'finalized_at', CAST(epoch(m.at) AS BIGINT) + 3600,
        'paid_at', CASE WHEN m.n % 100 = 1 THEN NULL ELSE CAST(epoch(m.at) AS BIGINT) + 3603 END,
        'voided_at', CASE WHEN m.n % 100 = 1 THEN CAST(epoch(m.at) AS BIGINT) + 1000000 END
      ) AS status_transitions,
      CASE WHEN m.tax > 0 THEN json_array(json_object('amount', m.tax)) ELSE json_array() END AS total_taxes
    FROM made AS m
    """,
    """
    INSERT INTO stripe.invoice_line_items BY NAME
    SELECT 'il_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'in_' || m.n AS invoice, m.net AS amount,
      'sub_' || m.n % 60000 AS subscription,
      json_object('price_details', json_object('price', 'price_' || m.n % 20, 'product', 'prod_' || m.n % 5)) AS pricing,
      json_object(
        'start', CAST(epoch(m.at) AS BIGINT),
        'end', CAST(epoch(m.at) AS BIGINT) + CASE WHEN m.yearly THEN 31536000 ELSE 2592000 END
      ) AS period,
      CASE WHEN m.tax > 0 THEN json_array(json_object('amount', m.tax, 'tax_behavior', 'exclusive')) ELSE json_array() END AS taxes,
      json_array() AS discount_amounts
    FROM made AS m
    """,
    """
    INSERT INTO stripe.invoice_payments BY NAME
    SELECT 'inpay_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'in_' || m.n AS invoice, 'paid' AS status,
      m.net + m.tax AS amount_paid, m.net + m.tax AS amount_requested, 'eur' AS currency, m.at AS created,
      json_object('type', 'payment_intent', 'payment_intent', 'pi_' || m.n) AS payment
    FROM made AS m WHERE m.n % 100 <> 1
    """,
    """
    INSERT INTO stripe.charges BY NAME
    SELECT 'ch_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'pi_' || m.n AS payment_intent, 'eur' AS currency,
      m.net + m.tax AS amount, m.net + m.tax AS amount_captured, 'cus_' || m.n % 50000 AS customer, m.at AS created
    FROM made AS m WHERE m.n % 100 <> 1
    """,
    """
    INSERT INTO stripe.refunds BY NAME
    SELECT 're_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'ch_' || m.n AS charge, 'eur' AS currency,
      m.net // 3 AS amount, m.at AS created
    FROM made AS m WHERE m.n % 50 = 2
    """,
    """
    INSERT INTO stripe.balance_transactions BY NAME
    SELECT 'txn_' || m.n AS id, 'acct_1' AS _account, TRUE AS _livemode, 'ch_' || m.n AS source, 'eur' AS currency,
      m.net + m.tax AS amount, 30 AS fee, m.net + m.tax - 30 AS net, 'charge' AS reporting_category,
      m.at + INTERVAL 3603 SECOND AS created
    FROM made AS m WHERE m.n % 100 <> 1
    UNION ALL
    SELECT 'txn_r' || m.n, 'acct_1', TRUE, 're_' || m.n, 'eur', -(m.net // 3), 0, -(m.net // 3), 'refund',
      m.at + INTERVAL 1200000 SECOND
    FROM made AS m WHERE m.n % 50 = 2
    """,
)

_CHANGE = "UPDATE stripe.invoices SET status = 'void', status_transitions = json_object('finalized_at', 1700000000, 'voided_at', 1700100000) WHERE id = 'in_7'"

_DAILY = """
    CREATE TEMP TABLE daily AS
    SELECT l.* REPLACE (d.day AS day_utc, d.day AS day) FROM metrics.journal_lines AS l,
      LATERAL (
        SELECT DATE '1970-01-01' + CAST(unnest(range(l.since_s // 86400, (l.until_s + 86399) // 86400)) AS INTEGER) AS day
      ) AS d
    WHERE l.since_s IS NOT NULL
"""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--daily", action="store_true", help="also count what one line for each day would be")
    asked = parser.parse_args()
    print(f"{asked.lines:,} invoice lines")
    print(f"{'':44}{'wall s':>9}{'CPU s':>9}{'rows':>12}")
    with (
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
        closing(app.build(settings.load({"TAKINGS_HOME": folder}))) as parts,
    ):
        with measured("put into the warehouse") as told, parts.warehouse.deriving() as session:
            session.execute(_FILL[0], {"lines": asked.lines})
            for statement in _FILL[1:]:
                session.execute(statement)
            told(asked.lines)
        for what, change in (
            ("first build", None),
            ("build, nothing changed", None),
            ("build, an invoice is void", _CHANGE),
        ):
            if change:
                with parts.warehouse.deriving() as session:
                    session.execute(change)
            with measured(what) as told:
                built = parts.builder.build("UTC")
                told(sum(one.came for one in built))
            print(
                *(f"    {one.model}: {one.rows:,} lines, {one.seconds:.1f} s" for one in built if one.fresh), sep="\n"
            )
        for what, question in (
            ("revenue of a month", Question("ledger_revenue", date(2024, 3, 1), date(2024, 4, 1))),
            ("revenue of ten days", Question("ledger_revenue", date(2024, 3, 5), date(2024, 3, 15))),
            ("deferred revenue at a month's end", Question("ledger_deferred_revenue", end=date(2024, 4, 1))),
            ("deferred revenue within a month", Question("ledger_deferred_revenue", end=date(2024, 4, 15))),
        ):
            with measured(what) as told:
                told(sum(figure.lines for figure in parts.figures.answer(question)))
        with measured("waterfall of a year") as told:
            told(len(parts.journal.waterfall(date(2024, 1, 1), date(2025, 1, 1), date(2025, 1, 1))))
        with measured("trial balance of a month") as told:
            told(len(parts.journal.balances(date(2024, 3, 1), date(2024, 4, 1))))
        with measured("journal of a month") as told:
            told(sum(1 for _ in parts.journal.entries(date(2024, 3, 1), date(2024, 4, 1))))
        if asked.daily:
            with measured("one line a day, made only") as told, parts.warehouse.deriving() as session:
                session.execute(_DAILY)
                row = session.execute("SELECT count(*) FROM daily").fetchone()
                told(int(row[0]) if row else 0)
        size = sum(file.stat().st_size for file in Path(folder, "warehouse", "data", "metrics").rglob("*.parquet"))
        print(
            f"{size / 1e6:,.0f} MB of models; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:,.0f} MB of memory"
        )


@contextmanager
def measured(what: str) -> Iterator[Callable[[int], None]]:
    """Print how long a piece took and how many rows it says it came to."""
    count = 0

    def told(rows: int) -> None:
        nonlocal count
        count = rows

    began, cpu = time.monotonic(), time.process_time()
    yield told
    printed(what, time.monotonic() - began, time.process_time() - cpu, count)


def printed(what: str, wall_s: float, cpu_s: float, rows: int) -> None:
    """Print one line of the table."""
    print(f"{what:44}{wall_s:9.1f}{cpu_s:9.1f}{rows:12,}", flush=True)


if __name__ == "__main__":
    main()
