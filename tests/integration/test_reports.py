"""Figures on a real warehouse: each definition by numbers, the traps, and that the rows behind a figure add up to it."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from takings import catalog, metrics, settings
from takings.metrics import Builder, Figures, Registry
from takings.reports import AGES, FIGURES, Days, Drill, Question, Reports, Scope, figures_of
from takings.warehouse import Delivery, Item, Warehouse
from takings.warehouse import Scope as Owner

PARIS = "Europe/Paris"
NOW = datetime(2026, 11, 18, 9, 30, 15, tzinfo=UTC)
LIVE = Scope("live", None, True, ("acct_1",))


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")

    ticks = 0.0


class Books:
    """Writes objects as Stripe would give them, for an account of its own."""

    def __init__(self, warehouse: Warehouse, account: str) -> None:
        self.warehouse = warehouse
        self.account = account
        self.scope = Scope("live", None, True, (account,))
        self.clock = FixedClock()
        self._reports = Reports(warehouse, self.clock)
        self._waiting: dict[tuple[str, Owner], list[Item]] = {}
        self.count = 0

    @property
    def reports(self) -> Reports:
        """Ask, after everything added so far is written."""
        deliveries = [
            Delivery(
                table=table,
                scope=owner,
                items=tuple(items),
                as_of=NOW,
                known_at=NOW,
                source="list",
                api_version="2026-10-28.endive",
            )
            for (table, owner), items in self._waiting.items()
        ]
        self._waiting.clear()
        if deliveries:
            self.warehouse.writer().write(deliveries)
            self.clock.ticks += 1  # so that the snapshot is looked at anew
        return self._reports

    def add(self, table: str, *, account: str | None = None, livemode: bool = True, **fields: Any) -> str:
        """Add one object; moments become Unix seconds."""
        self.count += 1
        body = {"id": f"{table[:2]}_{self.count}", "object": catalog.load().resources[table].object, **fields}
        body = {k: int(v.timestamp()) if isinstance(v, datetime) else v for k, v in body.items()}
        item = Item.of(body["id"], body.get("created"), json.dumps(body, separators=(",", ":")).encode())
        self._waiting.setdefault((table, Owner(account or self.account, livemode)), []).append(item)
        return str(body["id"])

    def ask(self, key: str, days: Days, **more: Any) -> Question:
        """Put a question about a figure to this account."""
        return ask(key, days, **({"scope": self.scope} | more))

    def balance(
        self, category: str, amount: int, at: datetime, fee: int = 0, currency: str = "eur", **more: Any
    ) -> str:
        return self.add(
            "balance_transactions",
            reporting_category=category,
            amount=amount,
            fee=fee,
            net=amount - fee,
            currency=currency,
            created=at,
            **more,
        )

    def figure(self, key: str, days: Days, **more: Any) -> Any:
        return self.reports.answer(self.ask(key, days, **more)).total(key).value


def ask(key: str, days: Days, **more: Any) -> Question:
    given = {"grain": "day", "currency": "eur", "zone": PARIS, "scope": LIVE} | more
    return Question(topic=FIGURES[key].topic, days=days, **given)


def days(first: str, last: str | None = None) -> Days:
    return Days(date.fromisoformat(first), date.fromisoformat(last or first))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Warehouse]:
    home = furnish(tmp_path_factory.mktemp("reports"))
    with Warehouse.open(settings.load({}, home=home), catalog.load()) as opened:
        yield opened


@pytest.fixture
def books(warehouse: Warehouse, request: pytest.FixtureRequest) -> Books:
    return Books(warehouse, f"acct_{request.node.name}")


def test_gross_refunds_disputes_fees_and_net(books: Books) -> None:
    noon = utc("2026-11-10T12:00")
    books.balance("charge", 10_000, noon, fee=320)
    books.balance("charge", 5_000, noon, fee=175)
    books.balance("partial_capture_reversal", -1_000, noon)
    books.balance("charge_failure", -5_000, noon)
    books.balance("refund", -2_000, noon)
    books.balance("refund_failure", 500, noon)
    books.balance("dispute", -3_000, noon, fee=1_500)
    books.balance("dispute_reversal", 3_000, noon, fee=-1_500)
    books.balance("fee", -250, noon)
    books.balance("network_cost", -40, noon)
    books.balance("tax", -10, noon)
    # Not made by taking payments:
    books.balance("payout", -9_000, noon)
    books.balance("topup", 7_000, noon)
    books.balance("transfer", -600, noon)
    day = days("2026-11-10")
    assert {f.key: books.figure(f.key, day) for f in figures_of("volume")} == {
        "gross": 9_000,
        "refunds": -1_500,
        "disputes": 0,
        "fees": -795,
        "net": 6_705,
    }


@pytest.mark.parametrize("zone", [PARIS, "UTC"])
def test_the_dashboards_have_the_same_volume(tmp_path: Path, zone: str) -> None:
    """The home page asks Stripe's rows and dashboards ask lines of figures: each category counts in the same one."""
    written = resources.files("takings.words").joinpath("reports.toml").read_text("utf-8")
    categories = sorted(tomllib.loads(written)["reports"]["category"])
    assert {"charge_failure", "network_cost", "tax", "payout"} <= set(categories)
    registry = Registry.load(catalog.load()).only("money_lines")
    with Warehouse.open(settings.load({}, home=tmp_path), catalog.load()) as warehouse:
        books = Books(warehouse, "acct_same")
        for n, category in enumerate(categories):
            books.balance(category, 10_000 + 2**n, utc("2026-11-09T23:30"), fee=n + 1)
        day = days("2026-11-10")
        whole = {one.key: books.figure(one.key, day, zone=zone) or 0 for one in figures_of("volume")}
        Builder(warehouse, registry, books.clock).build(zone)
        figures = Figures(warehouse, registry, books.clock)

        def value(name: str) -> int:
            asked = metrics.Question(name, date(2026, 11, 10), date(2026, 11, 11), currency="eur")
            return sum(one.amount for one in figures.answer(asked))

        ours = {
            key: value("gross_volume" if key == "gross" else key) for key in ("gross", "refunds", "disputes", "fees")
        }
        assert ours | {"net": value("net_volume") + ours["fees"]} == whole
        assert all(ours.values()) == (zone == PARIS)


def test_a_fee_on_a_payout_is_a_fee_and_the_payout_is_not(books: Books) -> None:
    books.balance("payout", -9_000, utc("2026-11-10T12:00"), fee=90)
    assert books.figure("fees", days("2026-11-10")) == -90
    assert books.figure("net", days("2026-11-10")) == -90


def test_days_are_the_companys_and_half_open(books: Books) -> None:
    books.balance("charge", 1, utc("2026-11-09T22:59:59"))  # 9 November, 23:59:59 in Paris
    books.balance("charge", 10, utc("2026-11-09T23:00:00"))  # midnight: the 10th
    books.balance("charge", 100, utc("2026-11-10T22:59:59"))
    books.balance("charge", 1_000, utc("2026-11-10T23:00:00"))  # the 11th
    assert books.figure("gross", days("2026-11-10")) == 110
    assert books.figure("gross", days("2026-11-10"), zone="UTC") == 1_100 + 0
    assert books.figure("gross", days("2026-11-09"), zone="America/Los_Angeles") == 11
    assert books.figure("gross", days("2026-11-09", "2026-11-11")) == 1_111


def test_days_on_which_the_clocks_change(books: Books) -> None:
    for hour in range(-2, 52):
        books.balance("charge", 1, datetime(2026, 3, 28, tzinfo=UTC) + timedelta(hours=hour))
        books.balance("charge", 1, datetime(2026, 10, 24, tzinfo=UTC) + timedelta(hours=hour))
    spring = books.reports.answer(books.ask("gross", days("2026-03-28", "2026-03-29")))
    autumn = books.reports.answer(books.ask("gross", days("2026-10-24", "2026-10-25")))
    assert [p.value(FIGURES["gross"]) for p in spring.points] == [24, 23]
    assert [p.value(FIGURES["gross"]) for p in autumn.points] == [24, 25]


def test_the_engine_and_python_agree_on_every_day_of_a_zone(books: Books) -> None:
    """The SQL cuts by the engine's own time zones, the bounds of a range come from Python's: they must not part."""
    rows = books.warehouse.query(
        "SELECT n AS n, CAST(z.zone AS VARCHAR) AS zone, CAST((to_timestamp(n) AT TIME ZONE z.zone) AS DATE) AS day "
        "FROM (SELECT unnest(range(1704067200, 1830297600, 86399 * 3)) AS n) AS s, "
        "(SELECT unnest(['Europe/Paris', 'America/New_York', 'Asia/Kolkata', 'Pacific/Auckland', 'America/Sao_Paulo', "
        "'Asia/Beirut', 'Australia/Lord_Howe', 'Africa/Casablanca']) AS zone) AS z"
    ).rows
    assert len(rows) > 3_000
    assert all(datetime.fromtimestamp(n, ZoneInfo(zone)).date() == day for n, zone, day in rows)


def test_currencies_are_never_mixed(books: Books) -> None:
    noon = utc("2026-11-10T12:00")
    books.balance("charge", 10_000, noon, currency="eur")
    books.balance("charge", 1_500, noon, currency="jpy")
    books.balance("charge", 12_345, noon, currency="kwd")
    day = days("2026-11-10")
    assert [books.figure("gross", day, currency=c) for c in ("eur", "jpy", "kwd", "usd")] == [10_000, 1_500, 12_345, 0]
    assert [(u.currency, u.balance) for u in books.reports.currencies(books.scope)] == [
        ("eur", 1),
        ("jpy", 1),
        ("kwd", 1),
    ]


def test_live_test_and_other_accounts_are_never_mixed(books: Books) -> None:
    noon = utc("2026-11-10T12:00")
    books.balance("charge", 1, noon)
    books.balance("charge", 20, noon, livemode=False)
    books.balance("charge", 300, noon, account="acct_other")
    day = days("2026-11-10")
    assert books.figure("gross", day) == 1
    assert books.figure("gross", day, scope=Scope("t", None, False, (books.account,))) == 20
    assert books.figure("gross", day, scope=Scope("live", None, True, (books.account, "acct_other"))) == 301
    assert {(books.account, False), (books.account, True), ("acct_other", True)} <= set(books.reports.accounts())


def test_what_stripe_deleted_does_not_count(books: Books) -> None:
    id_ = books.balance("charge", 10, utc("2026-11-10T12:00"))
    assert books.figure("gross", days("2026-11-10")) == 10
    resource = Delivery(
        table="balance_transactions",
        scope=Owner(books.account, True),
        items=(Item.of(id_, None, json.dumps({"id": id_, "deleted": True}).encode()),),
        as_of=NOW + timedelta(hours=1),
        known_at=NOW + timedelta(hours=1),
        source="refetch",
        api_version="x",
        deleted=True,
    )
    books.warehouse.writer().write([resource])
    books.clock.ticks += 1
    assert books.figure("gross", days("2026-11-10")) == 0


DECLINED = {"type": "issuer_declined", "reason": "insufficient_funds"}
AUTHORIZED = {"type": "authorized", "reason": None}


def test_payments_by_intent(books: Books) -> None:
    noon = utc("2026-11-10T12:00")
    card_error = {"type": "card_error", "code": "card_declined"}

    def intent(status: str, error: Any = None, received: int = 0, **more: Any) -> str:
        return books.add(
            "payment_intents",
            status=status,
            last_payment_error=error,
            amount=1_000,
            amount_received=received,
            currency="eur",
            created=noon,
            **more,
        )

    # Canceling makes Stripe forget the error, not the refused charge.
    refused = books.add("charges", status="failed", captured=False, amount=1, currency="eur", created=noon)
    released = books.add("charges", status="succeeded", captured=False, amount=1, currency="eur", created=noon)
    intent("canceled", latest_charge=refused)
    intent("canceled", latest_charge=released)
    intent("succeeded", received=1_000)
    intent("succeeded", card_error, received=600)  # failed first, then went through, captured in part
    intent("requires_capture")
    intent("requires_payment_method", card_error)
    intent("canceled", card_error)
    intent("requires_payment_method")
    intent("requires_action")
    intent("requires_confirmation")
    intent("processing")
    intent("canceled")
    day = days("2026-11-10")
    answer = books.reports.answer(books.ask("succeeded", day))
    assert {f.key: answer.total(f.key).value for f in figures_of("payments")} == {
        "succeeded": 2,
        "uncaptured": 1,
        "failed": 3,
        "incomplete": 3,
        "processing": 1,
        "canceled": 2,
        "success_rate": 2 / 5,
    }
    lines = books.reports.lines(Drill(question=books.ask("succeeded", day), figure="succeeded"), 10)
    assert sorted(line.amount for line in lines) == [600, 1_000]


def test_attempts_and_their_declines(books: Books) -> None:
    noon = utc("2026-11-10T12:00")

    def charge(status: str, outcome: Any, *, captured: bool = True, code: str | None = None) -> str:
        return books.add(
            "charges",
            status=status,
            outcome=outcome,
            captured=captured,
            failure_code=code,
            amount=1_000,
            currency="eur",
            created=noon,
        )

    for _ in range(3):
        charge("succeeded", AUTHORIZED)
    charge("succeeded", AUTHORIZED, captured=False)  # authorized, waiting to be captured: no failure
    charge("failed", DECLINED)
    charge("failed", DECLINED)
    charge("failed", {"type": "issuer_declined", "reason": "expired_card"})
    charge("failed", {"type": "blocked", "reason": "highest_risk_level"})
    charge("failed", None, code="card_declined")
    charge("pending", AUTHORIZED)
    answer = books.reports.answer(books.ask("authorized", days("2026-11-10")))
    assert {f.key: answer.total(f.key).value for f in figures_of("attempts")} == {
        "attempts": 10,
        "authorized": 4,
        "declined": 4,
        "blocked": 1,
        "pending": 1,
        "authorization_rate": 0.5,
    }
    assert [(d.detail, d.sum.lines) for d in answer.details if d.part == "declined"] == [
        ("insufficient_funds", 2),
        ("card_declined", 1),
        ("expired_card", 1),
    ]


def test_a_rate_without_base_is_none(books: Books) -> None:
    total = books.reports.answer(books.ask("success_rate", days("2026-11-10"), against=days("2026-11-09"))).total(
        "success_rate"
    )
    assert (total.value, total.previous, total.change, total.good) == (None, None, None, None)


def test_open_invoices_and_their_age(books: Books) -> None:
    def invoice(amount: int, due: datetime | None, finalized: datetime, status: str = "open", **more: Any) -> str:
        return books.add(
            "invoices",
            status=status,
            amount_remaining=amount,
            due_date=due,
            currency="eur",
            created=finalized - timedelta(hours=1),
            status_transitions={"finalized_at": int(finalized.timestamp())},
            **more,
        )

    as_of = NOW.replace(second=0)
    last_week = as_of - timedelta(days=7)
    invoice(1, as_of + timedelta(days=5), last_week)
    invoice(2, as_of, last_week)  # due this very moment: not overdue
    invoice(10, as_of - timedelta(seconds=1), last_week)  # a part of a day counts as one
    invoice(20, as_of - timedelta(days=30), last_week)
    invoice(100, as_of - timedelta(days=30, seconds=1), last_week)
    invoice(1_000, None, as_of - timedelta(days=61))  # charged automatically: since it was finalised
    invoice(10_000, as_of - timedelta(days=120), last_week)
    invoice(100_000, as_of - timedelta(days=121), last_week)
    for status in ("draft", "paid", "void", "uncollectible"):
        invoice(7, as_of - timedelta(days=3), last_week, status)
    invoice(0, as_of - timedelta(days=3), last_week)
    standing = books.reports.standing(books.ask("open", days("2026-11-18"), as_of=as_of))
    assert [standing.total(age).value for age in AGES] == [3, 30, 100, 1_000, 10_000, 100_000]
    assert (standing.total("open").value, standing.total("open").lines) == (111_133, 8)
    assert (standing.total("overdue").value, standing.total("overdue").lines) == (111_130, 6)
    assert standing.oldest_of("open") == as_of - timedelta(days=121)
    drill = Drill(question=standing.question, figure="overdue")
    assert books.reports.total(drill).amount == 111_130


def test_comparison_says_good_or_bad(books: Books) -> None:
    for day, gross, refund in (("2026-11-09T12:00", 1_000, -100), ("2026-11-10T12:00", 1_500, -150)):
        books.balance("charge", gross, utc(day))
        books.balance("refund", refund, utc(day))
    answer = books.reports.answer(books.ask("gross", days("2026-11-10"), against=days("2026-11-09")))
    gross, refunds = answer.total("gross"), answer.total("refunds")
    assert (gross.value, gross.previous, gross.change, gross.good) == (1_500, 1_000, 0.5, True)
    # Half as many refunds again: the change is +50 %, and bad news.
    assert (refunds.value, refunds.previous, refunds.change, refunds.good) == (-150, -100, 0.5, False)
    assert answer.total("disputes").change is None


def test_the_nth_point_is_compared_with_the_nth(books: Books) -> None:
    books.balance("charge", 5, utc("2026-10-03T12:00"))
    books.balance("charge", 7, utc("2026-11-03T12:00"))
    answer = books.reports.answer(
        books.ask("gross", days("2026-11-01", "2026-11-18"), against=days("2026-10-01", "2026-10-18"))
    )
    assert answer.points[2].value(FIGURES["gross"]) == 7
    assert answer.previous[2].value(FIGURES["gross"]) == 5


def test_rows_lead_to_the_payment_and_the_customer(books: Books) -> None:
    noon = utc("2026-11-10T12:00")
    books.add("customers", id="cus_1", name="Ada Lovelace", email="ada@example.com", created=noon)
    books.add(
        "charges",
        id="ch_1",
        payment_intent="pi_1",
        customer="cus_1",
        description="Subscription",
        status="succeeded",
        captured=True,
        amount=10,
        currency="eur",
        created=noon,
    )
    books.add("refunds", id="re_1", charge="ch_1", payment_intent="pi_1", amount=10, currency="eur", created=noon)
    books.add("disputes", id="dp_1", charge="ch_1", payment_intent="pi_1", amount=10, currency="eur", created=noon)
    books.balance("charge", 10, noon, fee=1, source="ch_1")
    books.balance("refund", -10, noon, source="re_1")
    books.balance("dispute", -10, noon, source="dp_1")
    lines = books.reports.lines(Drill(question=books.ask("net", days("2026-11-10")), figure="net"), 10)
    assert sorted((line.part, line.amount) for line in lines) == [
        ("disputes", -10),
        ("fees", -1),
        ("gross", 10),
        ("refunds", -10),
    ]
    assert {(line.payment, line.customer, line.customer_name) for line in lines} == {("pi_1", "cus_1", "Ada Lovelace")}


def test_latest_payments_and_their_states(books: Books) -> None:
    def charge(minute: int, **fields: Any) -> None:
        base = {"status": "succeeded", "captured": True, "amount": 100, "amount_refunded": 0, "refunded": False}
        base |= {"disputed": False, "currency": "eur", "created": utc(f"2026-11-10T12:{minute:02}")}
        books.add("charges", **(base | fields))

    charge(1)
    charge(2, captured=False)
    charge(3, captured=False, refunded=True, amount_refunded=100)
    charge(4, refunded=True, amount_refunded=100)
    charge(5, amount_refunded=40)
    charge(6, disputed=True)
    charge(7, status="pending")
    charge(8, status="failed", outcome=DECLINED)
    charge(9, status="failed", outcome={"type": "blocked", "reason": "rule"})
    charge(10, currency="jpy")
    payments = books.reports.payments(books.ask("gross", days("2026-11-10")), 20)
    assert [p.state for p in payments] == [
        "blocked",
        "failed",
        "pending",
        "disputed",
        "partly_refunded",
        "refunded",
        "released",
        "uncaptured",
        "succeeded",
    ]
    assert [p.reason for p in payments[:3]] == ["rule", "insufficient_funds", None]
    assert len(list(books.reports.all_payments(books.ask("gross", days("2026-11-10"))))) == 9


def test_nothing_at_all(books: Books) -> None:
    assert books.reports.currencies(books.scope) == ()
    assert books.reports.extent(books.scope) is None
    answer = books.reports.answer(books.ask("gross", days("2026-11-01", "2026-11-10")))
    assert [p.sums for p in answer.points] == [{}] * 10
    assert books.reports.total(Drill(question=books.ask("net", days("2026-11-01")), figure="net")).lines == 0


def test_an_answer_is_kept_until_the_data_changes(books: Books) -> None:
    question = books.ask("gross", days("2026-11-10"))
    first = books.reports.answer(question)
    books.clock.ticks += 1
    assert books.reports.answer(question) is first
    books.balance("charge", 10, utc("2026-11-10T12:00"))
    assert books.reports.answer(question).total("gross").value == 10


CATEGORIES = ("charge", "refund", "refund_failure", "dispute", "dispute_reversal", "fee", "payout", "charge_failure")


@pytest.fixture(scope="module")
def year(warehouse: Warehouse) -> Reports:
    """A year of everything at random moments, in three currencies."""
    dice = random.Random(11)
    start = utc("2025-12-01T00:00")
    found: dict[str, list[dict[str, Any]]] = {
        "balance_transactions": [],
        "charges": [],
        "payment_intents": [],
        "invoices": [],
    }
    for n in range(3_000):
        at = int((start + timedelta(seconds=dice.randrange(350 * 86_400))).timestamp())
        at -= at % 3_600 if dice.random() < 0.3 else 0  # many on the hour: midnights among them
        money = {"currency": dice.choice(["eur", "eur", "jpy", "kwd"]), "created": at}
        category = dice.choice(CATEGORIES)
        found["balance_transactions"].append(
            {
                "id": f"txn_{n}",
                "reporting_category": category,
                "amount": dice.randrange(-9_999, 9_999),
                "fee": dice.choice([0, 7, -3]),
                **money,
            }
        )
        status = dice.choice(["succeeded", "failed", "pending"])
        found["charges"].append(
            {
                "id": f"ch_{n}",
                "status": status,
                "captured": dice.random() < 0.9,
                "outcome": DECLINED,
                "amount": n,
                **money,
            }
        )
        status = dice.choice(["succeeded", "canceled", "requires_payment_method", "requires_capture"])
        found["payment_intents"].append(
            {"id": f"pi_{n}", "status": status, "last_payment_error": None, "amount": n, "amount_received": n, **money}
        )
        found["invoices"].append(
            {"id": f"in_{n}", "status": dice.choice(["open", "paid"]), "amount_remaining": n, "due_date": at, **money}
        )
    deliveries = [
        Delivery(
            table=table,
            scope=Owner("acct_1", True),
            items=tuple(Item.of(o["id"], o["created"], json.dumps(o).encode()) for o in objects),
            as_of=NOW,
            known_at=NOW,
            source="list",
            api_version="x",
        )
        for table, objects in found.items()
    ]
    warehouse.writer().write(deliveries)
    return Reports(warehouse, FixedClock())


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("seed", range(2))
def test_the_rows_behind_a_figure_add_up_to_it(year: Reports, zone: str, seed: int) -> None:
    dice = random.Random(seed)
    for key, figure in FIGURES.items():
        first = date(2025, 12, 1) + timedelta(days=dice.randrange(300))
        chosen = Days(first, first + timedelta(days=dice.randrange(60)))
        question = ask(
            key,
            chosen,
            zone=zone,
            grain=dice.choice(["day", "week", "month"]),
            currency=dice.choice(["eur", "jpy", "kwd"]),
            as_of=NOW if figure.topic == "receivables" else None,
        )
        if figure.topic == "receivables":
            total = year.standing(question).total(key)
            assert year.total(Drill(question=question, figure=key)).amount == total.value
            continue
        answer = year.answer(question)
        total = answer.total(key)
        drill = Drill(question=question, figure=key)
        lines = list(year.all_lines(drill))
        found = year.total(drill)
        assert (found.lines, found.amount) == (len(lines), sum(line.amount for line in lines))
        assert found.lines == total.lines
        if figure.unit == "money":
            assert total.value == found.amount
            assert sum(p.value(figure) or 0 for p in answer.points) == total.value
        if figure.unit == "count":
            assert total.value == found.lines
        # ... and so do those of each step.
        for point in dice.sample(answer.points, k=min(2, len(answer.points))):
            step = Question(
                topic=question.topic,
                days=point.bucket.days,
                grain="day",
                zone=zone,
                currency=question.currency,
                scope=question.scope,
            )
            behind = year.total(Drill(question=step, figure=key))
            if figure.unit == "money":
                assert behind.amount == point.value(figure)
            elif figure.unit == "count":
                assert behind.lines == point.value(figure)


def test_pages_of_rows_are_all_the_rows(year: Reports) -> None:
    drill = Drill(question=ask("net", days("2025-12-01", "2026-11-30")), figure="net")
    pages = [year.lines(drill, 50, offset) for offset in range(0, year.total(drill).lines, 50)]
    paged = [line for page in pages for line in page]
    assert paged == list(year.all_lines(drill))
    assert len({(line.id, line.part, line.amount) for line in paged}) == len(paged) > 1_000


def test_net_is_the_sum_of_its_parts_at_every_step(year: Reports) -> None:
    for grain in ("day", "week", "month"):
        answer = year.answer(ask("net", days("2025-12-01", "2026-11-18"), grain=grain))
        for point in answer.points:
            parts = [point.value(FIGURES[key]) for key in ("gross", "refunds", "disputes", "fees")]
            assert sum(parts) == point.value(FIGURES["net"])


def test_a_detail_is_a_part_of_its_figure(year: Reports) -> None:
    question = ask("declined", days("2025-12-01", "2026-11-18"))
    answer = year.answer(question)
    (reason,) = {d.detail for d in answer.details if d.part == "declined"}
    drill = Drill(question=question, figure="declined", detail=reason)
    assert year.total(drill).lines == answer.total("declined").value
    assert year.total(Drill(question=question, figure="declined", detail="stolen_card")).lines == 0
