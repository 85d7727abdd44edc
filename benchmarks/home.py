"""Prints how long the server takes for the home page, cold and warm, over a company of N payments.

Run ``python benchmarks/home.py --payments 100000``. The company is written straight into a warehouse in a temporary
folder (or in ``--home``, where it stays and is used again).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from litestar.testing import TestClient

from takings import app as program
from takings import log, settings
from takings.store.schema import connections, list_states, table_rows
from takings.warehouse import Delivery, Item, Scope
from takings.web import server

ACCOUNT = "acct_1AuroreCoffee"
EMAIL, PASSWORD = "demo@example.com", "correct-horse-battery"
FIRST = ["Ada", "Émile", "Zoë", "Noé", "Inès", "Hugo", "Léa", "Kenji", "Fatma", "Olga", "Tomás", "Yara"]
LAST = ["Lefèvre", "O’Neill", "Müller", "Rossi", "Tanaka", "Al-Sabah", "Nowak", "García", "Dubois", "Smith"]
REASONS = (
    ["insufficient_funds"] * 9 + ["generic_decline"] * 5 + ["expired_card"] * 3 + ["do_not_honor"] * 2 + ["lost_card"]
)
BATCH = 20_000


def objects(payments: int, now: datetime, months: int, seed: int = 5) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make a company: its payments grow, rest on Sundays, and have all that goes wrong with payments."""
    dice = random.Random(seed)
    span = timedelta(days=30.4 * months)
    for n in range(max(payments // 12, 5)):
        name = f"{dice.choice(FIRST)} {dice.choice(LAST)}"
        email = f"customer{n}@example.com"
        yield "customers", {"id": f"cus_{n:06}", "name": name, "email": email, "created": int((now - span).timestamp())}
    customers = max(payments // 12, 5)
    for n in range(payments):
        at = now - span * (1 - math.sqrt(dice.random()))
        if at.weekday() == 6 and dice.random() < 0.6:
            at -= timedelta(days=dice.choice([1, 2]))
        yield from payment(n, int(at.timestamp()), int(now.timestamp()), f"cus_{dice.randrange(customers):06}", dice)


def payment(n: int, at: int, now: int, customer: str, dice: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make one payment with its attempts and what followed."""
    currency = dice.choices(["eur", "usd", "jpy", "kwd"], [80, 10, 7, 3])[0]
    base = dice.choice([900, 1900, 1900, 2900, 4900, 4900, 9900, 24900])
    amount = {"jpy": base * 3 // 2, "kwd": base * 10 // 3 // 10 * 10}.get(currency, base)
    settled, rate = ("eur", 0.92) if currency == "usd" else (currency, 1.0)
    common = {"currency": currency, "customer": customer, "description": f"Subscription · order {n:06}"}
    card = {
        "type": "card",
        "card": {"brand": dice.choice(["visa", "mastercard", "amex"]), "last4": f"{dice.randrange(10000):04}"},
    }
    luck, charge = dice.random(), f"ch_{n:07}"
    intent = {
        "id": f"pi_{n:07}",
        "amount": amount,
        "amount_received": 0,
        "created": at,
        "last_payment_error": None,
        **common,
    }
    attempt = {
        "payment_intent": intent["id"],
        "amount": amount,
        "captured": False,
        "amount_captured": 0,
        "amount_refunded": 0,
    }
    attempt |= {"refunded": False, "disputed": False, "payment_method_details": card, "failure_code": None, **common}
    attempt |= {"billing_details": {"name": None, "email": None}}
    if luck < 0.02:
        yield "payment_intents", intent | {"status": "requires_payment_method"}
        return
    if luck < 0.10:
        reason = dice.choice(REASONS)
        outcome = {"type": "issuer_declined", "reason": reason}
        if luck < 0.03:
            outcome = {"type": "blocked", "reason": "highest_risk_level"}
        failed = {
            "id": f"{charge}f",
            "status": "failed",
            "outcome": outcome,
            "failure_code": "card_declined",
            "created": at,
        }
        yield "charges", attempt | failed
        if luck < 0.065:
            error = {"type": "card_error", "code": "card_declined"}
            yield "payment_intents", intent | {"status": "requires_payment_method", "last_payment_error": error}
            return
    took = {"id": charge, "status": "succeeded", "outcome": {"type": "authorized", "reason": None}, "created": at + 40}
    if luck > 0.985:
        yield "charges", attempt | took
        yield "payment_intents", intent | {"status": "requires_capture", "latest_charge": charge}
        return
    gross = round(amount * rate)
    fee = 25 + round(gross * 0.015)
    yield "balance_transactions", entry(f"txn_{n:07}", "charge", gross, fee, settled, at + 40, charge)
    after = at + 86_400 * dice.randrange(1, 25)
    done = attempt | took | {"captured": True, "amount_captured": amount}
    if luck > 0.955 and after < now:
        part = amount if luck > 0.965 else amount // 2 // 10 * 10
        done |= {"amount_refunded": part, "refunded": part == amount}
        back = {"id": f"re_{n:07}", "charge": charge, "payment_intent": intent["id"], "amount": part, "created": after}
        yield "refunds", back | {"currency": currency, "status": "succeeded"}
        yield (
            "balance_transactions",
            entry(f"txn_{n:07}r", "refund", -round(part * rate), 0, settled, after, back["id"]),
        )
    elif luck > 0.951 and after < now:
        done |= {"disputed": True}
        taken = {
            "id": f"dp_{n:07}",
            "charge": charge,
            "payment_intent": intent["id"],
            "amount": amount,
            "created": after,
        }
        yield "disputes", taken | {"currency": currency, "status": "lost"}
        yield "balance_transactions", entry(f"txn_{n:07}d", "dispute", -gross, 1500, settled, after, taken["id"])
    yield "charges", done
    yield "payment_intents", intent | {"status": "succeeded", "amount_received": amount, "latest_charge": charge}
    if n % 3 == 0:
        waits = luck > 0.93 and now - at < 86_400 * 170
        due = at + 86_400 * dice.choice([7, 30])
        yield (
            "invoices",
            {
                "id": f"in_{n:07}",
                "number": f"AUR-{n:05}",
                "status": "open" if waits else "paid",
                "amount_remaining": amount if waits else 0,
                "due_date": due if n % 2 else None,
                "currency": currency,
                "customer": customer,
                "customer_name": "Café de l’Aurore",
                "status_transitions": {"finalized_at": at},
                "created": at,
            },
        )


def entry(id_: str, category: str, amount: int, fee: int, currency: str, at: int, source: str) -> dict[str, Any]:
    """Make a balance transaction."""
    found = {"id": id_, "reporting_category": category, "amount": amount, "fee": fee, "net": amount - fee}
    return found | {"currency": currency, "created": at, "source": source}


def fill(app: program.App, payments: int, months: int, now: datetime) -> None:
    """Write the company's objects and the connection that they came through, as a sync leaves them.

    Args:
        app: The product to write into.
        payments: How many payments.
        months: How far back they reach.
        now: The present, in whole seconds.
    """
    waiting: dict[str, list[Item]] = {}
    counts: dict[str, int] = {}
    writer = app.warehouse.writer()

    def write() -> None:
        deliveries = [
            Delivery(
                table=table,
                scope=Scope(ACCOUNT, True),
                items=tuple(items),
                as_of=now,
                known_at=now,
                source="list",
                api_version=app.catalog.api_version,
            )
            for table, items in waiting.items()
        ]
        writer.write(deliveries)
        waiting.clear()

    for table, body in objects(payments, now, months):
        counts[table] = counts.get(table, 0) + 1
        waiting.setdefault(table, []).append(Item.of(body["id"], body["created"], json.dumps(body).encode()))
        if counts[table] % BATCH == 0:
            write()
    write()
    with app.store.write() as db:
        db.execute(
            sa.insert(connections).values(
                id="c0ffee",
                name="Aurore Coffee",
                source="stripe",
                way="key",
                account_id=ACCOUNT,
                account_name="Aurore Coffee",
                livemode=True,
                country="FR",
                currency="eur",
                state="active",
                credentials=app.vault.seal({"way": "key", "secret": "none"}),
                permissions={},
                created_at=now,
                last_sync_at=now,
            )
        )
        for table, rows in counts.items():
            db.execute(
                sa.insert(table_rows).values(connection_id="c0ffee", table_name=table, rows=rows, updated_at=now)
            )
        for endpoint in app.catalog.lists:
            if endpoint.default:
                db.execute(
                    sa.insert(list_states).values(
                        connection_id="c0ffee",
                        list=endpoint.path,
                        table_name=endpoint.table,
                        state="complete",
                        rows=counts.get(endpoint.table, 0),
                        progress=1.0,
                        started_at=now,
                        updated_at=now,
                        complete_as_of=now,
                    )
                )


def set_up(app: program.App) -> None:
    """Make the company and its administrator."""
    app.people.setup(
        company_name="Aurore Coffee",
        locale="en",
        time_zone="Europe/Paris",
        currency="eur",
        email=EMAIL,
        name="Demo",
        password=PASSWORD,
    )


def timed(client: TestClient[Any], path: str) -> tuple[float, int]:
    """Ask for a page; return its time in ms and its size in bytes."""
    start = time.perf_counter()
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    return (time.perf_counter() - start) * 1000, len(answer.content)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=36)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--fill-only", action="store_true")
    given = parser.parse_args()
    log.configure("text", "warning")
    with tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder:
        parts = program.build(settings.load({}, home=given.home or folder))
        try:
            if not parts.people.is_set_up():
                set_up(parts)
                fill(parts, given.payments, given.months, datetime.now(UTC).replace(microsecond=0))
            if given.fill_only:
                return
            measure(parts)
        finally:
            parts.close()


def measure(parts: program.App) -> None:
    """Time the home page in its heaviest and its usual forms."""
    person = parts.people.authenticate(EMAIL, PASSWORD)
    token = parts.sessions.open(person, "benchmark")
    rows = sum(
        parts.warehouse.query(f"SELECT count(*) FROM stripe.{t}").rows[0][0]
        for t in ("charges", "balance_transactions", "payment_intents")
    )
    print(f"{rows:,} charges, balance transactions and payment intents")
    with TestClient(server.create(parts)) as client:
        client.cookies.set("takings_session", token)
        client.get("/healthz")
        for name, path in (
            ("last 30 days", "/"),
            ("12 months by week", "/?range=12m&grain=week"),
            ("everything by day", "/?range=all&grain=day"),
        ):
            cold, size = timed(client, path)
            warm = statistics.median(timed(client, path)[0] for _ in range(15))
            print(f"{name:>18}: cold {cold:7.1f} ms   warm {warm:6.1f} ms   {size / 1000:6.1f} kB of HTML")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    print(f"{'':>18}  peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
