"""Invoices, receivables and tax, on objects made by hand: figures worked out by hand, and lives replayed event by event."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from takings.errors import Unavailable
from takings.metrics import Collection, Contribution, Question, aging, collection, period_of
from takings.metrics.aging import BUCKETS, bucket_of, days_past_due

ISSUED = datetime(2026, 1, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
JANUARY = (date(2026, 1, 1), date(2026, 2, 1))
FEBRUARY = (date(2026, 2, 1), date(2026, 3, 1))
MARCH = (date(2026, 3, 1), date(2026, 4, 1))


def invoice(shop: Any, account: str, id: str, total: int, **other: Any) -> str:
    """Add an open invoice of 10 January, charged automatically and without tax unless said otherwise."""
    moments = {name: other.pop(name, None) for name in ("paid_at", "voided_at", "marked_uncollectible_at")}
    finalized = other.pop("finalized_at", ISSUED)
    fields: dict[str, Any] = {
        "created": ISSUED - DAY,
        "currency": "eur",
        "customer": "cus_1",
        "status": "open",
        "total": total,
        "total_excluding_tax": total,
        "amount_due": total,
        "amount_paid": 0,
        "amount_remaining": total,
        "starting_balance": 0,
        "ending_balance": 0,
        "collection_method": "send_invoice",
        "due_date": None,
        "status_transitions": {"finalized_at": finalized, **moments},
    }
    return str(shop.add(account, "invoices", id, **(fields | other)))


def paid(shop: Any, account: str, id: str, amount: int, at: datetime, number: int = 0) -> None:
    """Add a payment of an invoice."""
    shop.add(
        account, "invoice_payments", f"inpay_{id}_{number}", invoice=id, created=ISSUED, currency="eur", amount_paid=amount,
        amount_requested=amount, status="paid", payment={"type": "payment_intent", "payment_intent": f"pi_{id}_{number}"},
        status_transitions={"paid_at": at},
    )  # fmt: skip


def credited(shop: Any, account: str, id: str, invoice: str, at: datetime, **other: Any) -> None:
    """Add a credit note; what it did is given by the amounts."""
    amounts = {"pre_payment_amount": 0, "post_payment_amount": 0, "out_of_band_amount": None, "refunds": [], **other}
    total = amounts["pre_payment_amount"] + amounts["post_payment_amount"]
    fields = {"created": at, "currency": "eur", "status": "issued", "voided_at": None, "total": total} | amounts
    shop.add(account, "credit_notes", id, invoice=invoice, customer="cus_1", **fields)


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    return [Life.draw(random.Random(number), f"in_{number}") for number in range(250)]


@pytest.fixture(scope="module")
def shop(hand_made: Any, lives: list[Life]) -> Any:
    for scenario in (
        billing,
        kinds_of_notes,
        receiving,
        balances,
        outside,
        endings,
        unexplained,
        old,
        aged,
        published,
        taxes,
    ):
        scenario(hand_made)
    for life in lives:
        life.write(hand_made)
    hand_made.build("Europe/Paris")
    return hand_made


def owed(shop: Any, account: str, day: date | None = None) -> int:
    """What was owed at the end of a day; None: after everything."""
    figures = shop.figures("receivables", account, None, day + DAY if day else None)
    return int(figures.get("eur", 0))


# Billed


def billing(shop: Any) -> None:
    invoice(
        shop,
        "billing",
        "in_1",
        12_000,
        total_excluding_tax=10_000,
        paid_at=ISSUED + 20 * DAY,
        status="paid",
        amount_paid=12_000,
    )
    invoice(
        shop,
        "billing",
        "in_2",
        2_400,
        total_excluding_tax=None,
        total_taxes=[{"amount": 400}],
        paid_at=ISSUED + 10 * DAY,
        status="paid",
        amount_paid=2_400,
    )
    invoice(shop, "billing", "in_void", 6_000, total_excluding_tax=5_000, status="void", voided_at=ISSUED + 30 * DAY)
    invoice(
        shop,
        "billing",
        "in_credit",
        -1_500,
        amount_due=0,
        amount_remaining=0,
        ending_balance=-1_500,
        status="paid",
        paid_at=ISSUED,
    )
    invoice(shop, "billing", "in_free", 0, status="paid", paid_at=ISSUED)
    invoice(shop, "billing", "in_yen", 5_000, currency="jpy")
    invoice(shop, "billing", "in_draft", 9_000, status="draft", finalized_at=None)
    # Finalised on 1 February in Paris, still January in UTC.
    invoice(shop, "billing", "in_night", 700, finalized_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))  # fmt: skip


def test_billed_is_what_was_finalised_and_a_void_shows_when_it_happens(shop: Any) -> None:
    assert shop.figures("billed", "billing", *JANUARY) == {"eur": 12_000 + 2_400 + 6_000 - 1_500, "jpy": 5_000}
    assert shop.figures("billed_excluding_tax", "billing", *JANUARY) == {
        "eur": 10_000 + 2_000 + 5_000 - 1_500,
        "jpy": 5_000,
    }
    assert shop.figures("billed", "billing", *FEBRUARY) == {"eur": 700 - 6_000}
    assert shop.figures("billed_excluding_tax", "billing", *FEBRUARY) == {"eur": 700 - 5_000}
    assert shop.figures("invoices_issued", "billing", *JANUARY) == {"eur": 5, "jpy": 1}
    assert shop.figures("invoices_voided", "billing", *FEBRUARY) == {"eur": 1}


def test_days_to_pay_are_of_invoices_that_asked_for_money(shop: Any) -> None:
    assert shop.figures("invoices_paid", "billing") == {"eur": 2}
    assert shop.figures("days_to_payment", "billing") == {"eur": 30}
    assert shop.value("average_days_to_pay", "billing")["eur"] == Fraction(15)


def kinds_of_notes(shop: Any) -> None:
    invoice(shop, "notes", "in_1", 10_000)
    credited(shop, "notes", "cn_lowered", "in_1", ISSUED + DAY, pre_payment_amount=1_000)
    credited(
        shop, "notes", "cn_mixed", "in_1", ISSUED + 2 * DAY, pre_payment_amount=500, post_payment_amount=6_000,
        out_of_band_amount=700, refunds=[{"refund": "re_1", "amount_refunded": 1_300}, {"refund": "re_2", "amount_refunded": 1_000}],
    )  # fmt: skip
    credited(
        shop,
        "notes",
        "cn_void",
        "in_1",
        ISSUED + 3 * DAY,
        pre_payment_amount=2_000,
        status="void",
        voided_at=ISSUED + 40 * DAY,
    )


def test_a_credit_note_lowers_what_is_due_refunds_credits_or_is_settled_outside(shop: Any) -> None:
    assert shop.figures("credit_notes", "notes", *JANUARY, by="part") == {
        ("eur", "credit_note_pre_payment"): -3_500,
        ("eur", "credit_note_refunded"): -2_300,
        ("eur", "credit_note_out_of_band"): -700,
        ("eur", "credit_note_credited"): -3_000,  # 6,000 - 2,300 - 700
    }
    assert shop.figures("credit_notes", "notes", *FEBRUARY) == {"eur": 2_000}


# Receivables


def receiving(shop: Any) -> None:
    """10,000 due, of which 3,000 and 2,000 were paid, 1,500 credited, and a credit note of 500 taken back."""
    invoice(shop, "receiving", "in_1", 10_000, amount_due=8_500, amount_paid=5_000, amount_remaining=3_500)
    paid(shop, "receiving", "in_1", 3_000, ISSUED + 5 * DAY)
    paid(shop, "receiving", "in_1", 2_000, ISSUED + 25 * DAY, 1)
    credited(shop, "receiving", "cn_1", "in_1", ISSUED + 10 * DAY, pre_payment_amount=1_500)
    credited(
        shop,
        "receiving",
        "cn_2",
        "in_1",
        ISSUED + 15 * DAY,
        pre_payment_amount=500,
        status="void",
        voided_at=ISSUED + 35 * DAY,
    )
    credited(shop, "receiving", "cn_3", "in_1", ISSUED + 15 * DAY, post_payment_amount=4_000)
    shop.add(
        "receiving", "invoice_payments", "inpay_open", invoice="in_1", created=ISSUED, currency="eur", amount_paid=None,
        amount_requested=3_500, status="open", payment={"type": "payment_intent"}, status_transitions={"paid_at": None},
    )  # fmt: skip


def test_each_thing_that_lowers_an_invoice_counts_from_its_own_day(shop: Any) -> None:
    """Today's amount_remaining, 3,500, is wrong for every day but the last."""
    for days, expected in (
        (-1, 0),
        (0, 10_000),
        (4, 10_000),
        (5, 7_000),
        (10, 5_500),
        (15, 5_000),
        (25, 3_000),
        (35, 3_500),
    ):
        assert owed(shop, "receiving", ISSUED.date() + days * DAY) == expected, days
    assert owed(shop, "receiving") == 3_500
    assert shop.figures("receivables_issued", "receiving", *JANUARY) == {"eur": 10_000}
    assert shop.figures("collected", "receiving", *JANUARY) == {"eur": -3_000}
    assert shop.figures("receivables_credited", "receiving", *JANUARY) == {"eur": -2_000}
    assert shop.figures("receivables_credited", "receiving", *FEBRUARY) == {"eur": 500}


def balances(shop: Any) -> None:
    common = {"status": "paid", "paid_at": ISSUED, "amount_remaining": 0}
    invoice(shop, "balances", "in_partly", 10_000, starting_balance=-3_000, amount_due=7_000, amount_remaining=7_000)
    invoice(
        shop, "balances", "in_wholly", 2_000, starting_balance=-5_000, ending_balance=-3_000, amount_due=0, **common
    )
    invoice(shop, "balances", "in_negative", -4_000, ending_balance=-4_000, amount_due=0, **common)
    # Below the least that can be charged: it waits on the balance for the next invoice, which asks for it.
    invoice(shop, "balances", "in_tiny", 30, ending_balance=30, amount_due=0, **common)
    invoice(shop, "balances", "in_next", 1_000, starting_balance=30, amount_due=1_030, amount_remaining=1_030)


def test_the_credit_balance_pays_and_adds(shop: Any) -> None:
    assert owed(shop, "balances") == 7_000 + 1_030
    assert shop.figures("receivables_applied_balance", "balances", by="invoice") == {
        ("eur", "in_partly"): -3_000,
        ("eur", "in_wholly"): -2_000,
        ("eur", "in_negative"): 4_000,
        ("eur", "in_tiny"): -30,
        ("eur", "in_next"): 30,
    }
    assert shop.figures("receivables_unexplained", "balances") == {}


def outside(shop: Any) -> None:
    # Marked as paid outside Stripe: no payment says so, the invoice does.
    invoice(
        shop,
        "outside",
        "in_1",
        5_000,
        status="paid",
        amount_paid=5_000,
        amount_remaining=0,
        amount_paid_off_stripe=5_000,
        paid_at=ISSUED + 30 * DAY,
    )
    invoice(
        shop, "outside", "in_2", 5_000, status="paid", amount_paid=5_000, amount_remaining=0, paid_at=ISSUED + 40 * DAY
    )
    paid(shop, "outside", "in_2", 2_000, ISSUED + 30 * DAY)
    # Paid too much: the rest is the customer's credit.
    invoice(
        shop,
        "outside",
        "in_3",
        5_000,
        status="paid",
        amount_paid=5_000,
        amount_remaining=0,
        amount_overpaid=400,
        paid_at=ISSUED + 30 * DAY,
    )
    paid(shop, "outside", "in_3", 5_400, ISSUED + 30 * DAY)  # fmt: skip


def test_payments_outside_stripe_count_from_the_day_the_invoice_was_paid(shop: Any) -> None:
    assert owed(shop, "outside", date(2026, 2, 8)) == 15_000
    assert owed(shop, "outside", date(2026, 2, 9)) == 3_000
    assert owed(shop, "outside", date(2026, 2, 19)) == 0
    assert shop.figures("collected", "outside", *FEBRUARY) == {"eur": -15_000}
    assert shop.figures("receivables_unexplained", "outside") == {}


def endings(shop: Any) -> None:
    void = {"status": "void", "voided_at": ISSUED + 60 * DAY}
    lost = {"status": "uncollectible", "marked_uncollectible_at": ISSUED + 60 * DAY}
    invoice(shop, "endings", "in_void", 8_000, amount_paid=1_000, amount_remaining=7_000, **void)
    paid(shop, "endings", "in_void", 1_000, ISSUED + 5 * DAY)
    invoice(shop, "endings", "in_lost", 4_000, **lost)
    # Given up, and paid after all; given up, then voided.
    invoice(
        shop,
        "endings",
        "in_late",
        2_000,
        amount_paid=2_000,
        amount_remaining=0,
        **(lost | {"status": "paid", "paid_at": ISSUED + 90 * DAY}),
    )
    paid(shop, "endings", "in_late", 2_000, ISSUED + 90 * DAY)
    invoice(shop, "endings", "in_both", 1_000, **(lost | {"status": "void", "voided_at": ISSUED + 70 * DAY}))  # fmt: skip


def test_what_ends_an_invoice_takes_what_is_left_of_it_and_no_more(shop: Any) -> None:
    assert owed(shop, "endings", date(2026, 3, 10)) == 14_000
    assert owed(shop, "endings", date(2026, 3, 11)) == 0
    assert owed(shop, "endings") == 0
    assert shop.figures("receivables_voided", "endings", *MARCH) == {"eur": -7_000}
    assert shop.figures("receivables_written_off", "endings", *MARCH) == {"eur": -7_000}
    april = (date(2026, 4, 1), date(2026, 5, 1))
    assert shop.figures("collected", "endings", *april) == {"eur": -2_000}
    assert shop.figures("receivables_written_off", "endings", *april) == {"eur": 2_000}


def unexplained(shop: Any) -> None:
    invoice(shop, "unexplained", "in_1", 5_000, amount_remaining=4_200, amount_due=5_000)


def test_what_no_object_explains_is_shown_and_named(shop: Any) -> None:
    assert owed(shop, "unexplained") == 4_200
    assert shop.figures("receivables_unexplained", "unexplained", by="invoice") == {("eur", "in_1"): -800}


def old(shop: Any) -> None:
    """Objects from before some fields: no payment list, no moments, no amounts on the credit note."""
    invoice(
        shop,
        "old",
        "in_paid",
        3_000,
        status="paid",
        amount_paid=3_000,
        amount_remaining=0,
        paid_at=ISSUED + 3 * DAY,
        starting_balance=None,
        ending_balance=None,
    )
    invoice(shop, "old", "in_open", 2_000, amount_due=1_500, amount_remaining=1_500, finalized_at=None)
    credited(shop, "old", "cn_1", "in_open", ISSUED + 5 * DAY, pre_payment_amount=500)
    shop.add("old", "credit_notes", "cn_elsewhere", created=ISSUED, currency="eur", status="issued", type="pre_payment", total=100, invoice="in_not_here")  # fmt: skip


def test_what_lacks_newer_fields_counts_all_the_same(shop: Any) -> None:
    assert owed(shop, "old", ISSUED.date() - DAY) == 2_000  # by the day it was created, the only one it has
    assert owed(shop, "old") == 1_500
    assert shop.figures("receivables_unexplained", "old") == {}


# Lives replayed


@dataclass
class Life:
    """A random invoice and what happened to it, with what it asked for after each event: an oracle of its own."""

    id: str
    total: int
    due: datetime | None
    events: list[tuple[datetime, str, int]] = field(default_factory=list)
    states: list[tuple[datetime, int]] = field(default_factory=list)

    @classmethod
    def draw(cls, dice: random.Random, id: str) -> Life:
        at = ISSUED + timedelta(seconds=dice.randrange(60 * 86_400))
        life = cls(id, dice.randrange(1, 500_000), dice.choice((None, at + 14 * DAY, at + 30 * DAY)))
        applied = min(life.total, dice.choice((0, 0, 0, dice.randrange(1, 600_000))))
        left = life.total - applied
        life.events.append((at, "finalized", applied))
        life.states.append((at, left))
        while left and len(life.events) < 6:
            at += timedelta(seconds=dice.randrange(1, 40 * 86_400))
            kind = dice.choice(("payment", "payment", "credit", "void", "lost", "nothing"))
            if kind == "nothing":
                break
            amount = left if kind in ("void", "lost") else dice.choice((left, dice.randrange(1, left + 1)))
            left -= amount
            life.events.append((at, kind, amount))
            life.states.append((at, left))
        return life

    def at(self, moment: datetime) -> int:
        """What it asked for before a moment."""
        return next((left for at, left in reversed(self.states) if at < moment), 0)

    def write(self, shop: Any) -> None:
        (finalized, _, applied), *rest = self.events
        amounts: dict[str, int] = defaultdict(int)
        for number, (at, kind, amount) in enumerate(rest):
            amounts[kind] += amount
            if kind == "payment":
                paid(shop, "lives", self.id, amount, at, number)
            elif kind == "credit":
                credited(shop, "lives", f"cn_{self.id}_{number}", self.id, at, pre_payment_amount=amount)
        last, kind, _ = self.events[-1]
        over = not self.states[-1][1]
        status = {"void": "void", "lost": "uncollectible"}.get(kind, "paid" if over else "open")
        invoice(
            shop, "lives", self.id, self.total, finalized_at=finalized, due_date=self.due, status=status,
            starting_balance=-applied, amount_due=self.total - applied - amounts["credit"], amount_paid=amounts["payment"],
            amount_remaining=self.states[-1][1] if status == "open" else amounts["void"] + amounts["lost"],
            paid_at=last if status == "paid" else None, voided_at=last if status == "void" else None,
            marked_uncollectible_at=last if status == "uncollectible" else None,
        )  # fmt: skip


@given(days=st.integers(-5, 320), seconds=st.integers(0, 86_399))
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_at_any_moment_each_invoice_asks_for_what_its_life_left(
    shop: Any, lives: list[Life], days: int, seconds: int
) -> None:
    moment = ISSUED + days * DAY + timedelta(seconds=seconds)
    expected = {life.id: left for life in lives if (left := life.at(moment))}
    found = aging(shop.parts.warehouse, moment, account="lives")
    assert {one.invoice: one.amount for each in found for one in each.invoices} == expected
    dues = {life.id: life.due or life.events[0][0] for life in lives}
    for one in (one for each in found for one in each.invoices):
        assert one.due_at == dues[one.invoice] and one.bucket == bucket_of(days_past_due(one.due_at, moment))
    for each in found:
        assert sum(each.buckets.values()) == each.total == sum(expected.values())


def test_opening_and_movements_make_the_closing(shop: Any) -> None:
    movements = (
        "receivables_issued", "collected", "receivables_credited", "receivables_applied_balance", "receivables_voided",
        "receivables_written_off", "receivables_unexplained",
    )  # fmt: skip
    for account in ("lives", "endings", "unexplained"):
        moved: dict[str | None, int] = defaultdict(int)
        for name in movements:
            for (_, month), amount in shop.figures(name, account, by="month").items():
                moved[month] += amount
        closing, day = 0, date(2026, 1, 1)
        while day < date(2026, 12, 1):
            opening, first = closing, day
            day = period_of(first + 31 * DAY, "month")
            closing = owed(shop, account, day - DAY)
            assert opening + moved.pop(f"{first:%Y-%m}", 0) == closing, (account, first)
        assert not moved and closing == owed(shop, account)


def test_each_line_of_receivables_is_of_one_movement(shop: Any) -> None:
    measures = shop.parts.registry.model("receivable_lines").measures
    parts = [part for measure in measures for part in measure.parts]
    found = {row[0] for row in shop.parts.warehouse.query("SELECT DISTINCT part FROM metrics.receivable_lines").rows}
    assert len(parts) == len(set(parts)) and found == set(parts)


# Aging


def test_part_days_round_up_as_in_stripes_report() -> None:
    """https://docs.stripe.com/revenue-recognition/reports/accounts-receivable-aging: 30.5 days overdue are in 31-60."""
    due = datetime(2026, 1, 1, tzinfo=UTC)
    assert bucket_of(days_past_due(due, due + timedelta(days=30.5))) == "days_31_60"
    assert bucket_of(days_past_due(due, due + timedelta(days=30))) == "days_1_30"
    assert bucket_of(days_past_due(due, due)) == "not_due"
    assert bucket_of(days_past_due(due, due + timedelta(seconds=1))) == "days_1_30"
    assert bucket_of(days_past_due(due, due - timedelta(seconds=1))) == "not_due"
    assert [bucket_of(days) for days in (60, 61, 90, 91, 120, 121, 9_999)] == [
        "days_31_60", "days_61_90", "days_61_90", "days_91_120", "days_91_120", "days_over_120", "days_over_120",
    ]  # fmt: skip


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
@example(timedelta(0))
def test_an_invoice_grows_older_and_never_younger(passed: timedelta) -> None:
    due = datetime(2026, 1, 1, tzinfo=UTC)
    days = days_past_due(due, due + passed)
    assert (days - 1) * DAY < passed <= days * DAY
    later = BUCKETS.index(bucket_of(days_past_due(due, due + passed + DAY)))
    assert later - BUCKETS.index(bucket_of(days)) in (0, 1)


def aged(shop: Any) -> None:
    for days, amount in ((-10, 1), (0, 20), (1, 300), (30, 4_000), (31, 50_000), (100, 600_000), (121, 7_000_000)):
        invoice(shop, "aged", f"in_{days}", amount, due_date=datetime(2026, 6, 30, 22, tzinfo=UTC) - days * DAY)
    # Charged automatically: due when it was finalised.
    at = datetime(2026, 6, 30, 12, tzinfo=UTC)
    invoice(shop, "aged", "in_automatic", 80_000_000, collection_method="charge_automatically", finalized_at=at)
    invoice(shop, "aged", "in_yen", 5, currency="jpy", due_date=at)


def test_the_invoices_of_each_bucket_add_up_to_what_is_owed_in_each_currency(shop: Any) -> None:
    end_of_june = datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Paris"))
    euros, yen = aging(shop.parts.warehouse, end_of_june, account="aged")
    assert euros.buckets == {
        "not_due": 21,
        "days_1_30": 80_004_300,
        "days_31_60": 50_000,
        "days_61_90": 0,
        "days_91_120": 600_000,
        "days_over_120": 7_000_000,
    }
    assert (yen.currency, yen.total, yen.overdue) == ("jpy", 5, 5)
    assert euros.total == owed(shop, "aged", date(2026, 6, 30)) and euros.overdue == euros.total - 21
    assert [one.invoice for one in euros.invoices][:3] == ["in_121", "in_100", "in_31"]
    assert aging(shop.parts.warehouse, end_of_june, account="aged", currency="jpy") == [yen]
    with pytest.raises(ValueError, match="time zone"):
        aging(shop.parts.warehouse, datetime(2026, 7, 1))  # noqa: DTZ001 (naive on purpose)


def test_aging_as_it_was_known(hand_made: Any, tmp_path: Path) -> None:
    home = type(hand_made)(tmp_path)
    with pytest.raises(Unavailable, match="--build"):
        aging(home.parts.warehouse, ISSUED)
    invoice(home, "known", "in_1", 5_000)
    home.build("UTC")
    first = home.parts.figures.built_at("receivables")
    # A payment of a month before that Stripe tells us of now.
    invoice(home, "known", "in_1", 5_000, amount_paid=2_000, amount_remaining=3_000)
    paid(home, "known", "in_1", 2_000, ISSUED + DAY)
    home.build("UTC")
    at = ISSUED + 30 * DAY
    assert [one.total for one in aging(home.parts.warehouse, at)] == [3_000]
    assert [one.buckets["days_1_30"] for one in aging(home.parts.warehouse, at, known=first)] == [5_000]
    assert aging(home.parts.warehouse, at, known=first - DAY) == []
    home.parts.close()


# How well it comes in


def published(shop: Any) -> None:
    """An opening of 100,000 paid within the year, 1,000,000 billed, 120,000 of it left, 20,000 of that due."""
    before, within = datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
    year_end = datetime(2026, 1, 1, tzinfo=UTC)
    for id, amount, finalized, due in (
        ("in_before", 10_000_000, before, before),
        ("in_paid", 88_000_000, within, within),
        ("in_due", 2_000_000, within, within + 30 * DAY),
        ("in_current", 10_000_000, year_end - 10 * DAY, year_end + 20 * DAY),
    ):
        over = id in ("in_before", "in_paid")
        invoice(
            shop, "published", id, amount, finalized_at=finalized, due_date=due, status="paid" if over else "open",
            amount_paid=amount if over else 0, amount_remaining=0 if over else amount, paid_at=within + 5 * DAY if over else None,
        )  # fmt: skip
        if over:
            paid(shop, "published", id, amount, within + 5 * DAY)


def test_collection_effectiveness_of_a_published_example(shop: Any) -> None:
    """https://gaviti.com/glossary/collection-effectiveness-index-cei/: opening 100,000, sales 1,000,000, 98 %."""
    year = (date(2025, 1, 1), date(2026, 1, 1))
    [found] = collection(shop.parts.warehouse, shop.parts.figures, *year, "Europe/Paris", account="published")
    assert found == Collection("eur", 365, 10_000_000, 100_000_000, 12_000_000, 10_000_000)
    assert found.effectiveness == Fraction(98, 100)
    assert found.days_sales_outstanding == Fraction(12 * 365, 100)
    assert shop.value("days_sales_outstanding", "published", *year) == {"eur": Fraction(12 * 365, 100)}
    assert shop.value("days_sales_outstanding", "published") == {"eur": None}  # no period, no days
    question = Question("days_sales_outstanding", date(2025, 5, 17), date(2025, 7, 3), account="published")
    series = {one.period: one.value for one in shop.parts.figures.series(question, "month")}
    # June: 2,000,000 are left of 90,000,000; half of May and two days of July billed nothing.
    assert series == {date(2025, 5, 1): None, date(2025, 6, 1): Fraction(2 * 30, 90), date(2025, 7, 1): None}


def test_days_sales_outstanding_of_a_published_example() -> None:
    """https://bit1024.com/tool/DSO-Calculator: 50,000 owed of 200,000 sold in 365 days are 91.25 days."""
    year = Collection("usd", 365, 0, 20_000_000, 5_000_000, 0)
    assert year.days_sales_outstanding == Fraction(9_125, 100)
    nothing = Collection("usd", 365, 0, 0, 0, 0)
    assert nothing.days_sales_outstanding is None and nothing.effectiveness is None


# Tax


def taxes(shop: Any) -> None:
    vat = {"country": "FR", "state": None, "jurisdiction": "France", "jurisdiction_level": "country", "tax_type": "vat"}
    shop.add("tax", "tax_rates", "txr_in", percentage=10.0, inclusive=True, display_name="VAT", **vat)
    shop.add("tax", "tax_rates", "txr_ex", percentage=10.0, inclusive=False, display_name="VAT", **vat)
    us = {"country": "US", "state": "CA", "tax_type": "sales_tax", "display_name": "Sales tax"}
    shop.add("tax", "tax_rates", "txr_ca", percentage=6.0, jurisdiction="California", jurisdiction_level="state", **us)
    shop.add("tax", "tax_rates", "txr_la", percentage=1.0, jurisdiction="Los Angeles", jurisdiction_level="city", **us)

    def tax(rate: str, amount: int, taxable: int, behavior: str = "exclusive") -> dict[str, Any]:
        return {
            "amount": amount, "taxable_amount": taxable, "tax_behavior": behavior, "taxability_reason": "standard_rated",
            "tax_rate_details": {"tax_rate": rate}, "type": "tax_rate_details",
        }  # fmt: skip

    def bill(id: str, total: int, lines: list[list[dict[str, Any]]], whole: list[dict[str, Any]], **other: Any) -> None:
        invoice(shop, "tax", id, total, total_taxes=whole, **other)
        for number, each in enumerate(lines):
            shop.add(
                "tax", "invoice_line_items", f"il_{id}_{number}", inside=id, invoice=id, currency="eur", taxes=each
            )

    inclusive, exclusive = tax("txr_in", 5_455, 54_545, "inclusive"), tax("txr_ex", 6_000, 60_000)
    bill("in_inclusive", 60_000, [[inclusive]], [inclusive])
    bill("in_exclusive", 66_000, [[exclusive]], [exclusive])
    both = [tax("txr_ca", 600, 10_000), tax("txr_la", 100, 10_000)]
    bill("in_two", 10_700, [both], both, currency="usd", finalized_at=ISSUED + DAY)
    bill(
        "in_void",
        1_100,
        [[tax("txr_ex", 100, 1_000)]],
        [tax("txr_ex", 100, 1_000)],
        status="void",
        voided_at=ISSUED + 40 * DAY,
    )
    # Shipping is taxed on the invoice and is no line.
    bill("in_shipped", 2_200, [[tax("txr_ex", 100, 1_000)]], [tax("txr_ex", 200, 2_000)])
    bill("in_exempt", 500, [[tax("txr_ex", 0, 0)]], [tax("txr_ex", 0, 0)])
    bill("in_untaxed", 500, [[]], [])
    bill("in_draft", 660, [[tax("txr_ex", 60, 600)]], [tax("txr_ex", 60, 600)], status="draft", finalized_at=None)
    note = tax("txr_ex", 1_000, 10_000)
    for id, at, other in (
        ("cn_1", ISSUED + 30 * DAY, {}),
        ("cn_void", ISSUED, {"status": "void", "voided_at": ISSUED + 30 * DAY}),
    ):
        credited(shop, "tax", id, "in_exclusive", at, post_payment_amount=11_000, total_taxes=[note], **other)
        shop.add("tax", "credit_note_line_items", f"cnli_{id}", inside=id, taxes=[note])


def test_tax_by_rate_is_that_of_stripes_example(shop: Any) -> None:
    """https://support.stripe.com/questions/inclusive-and-exclusive-tax-options-in-the-tax-rate-api-and-stripe-tax

    10 % of a price of 600.00: included, the total stays 600.00; exclusive, it is 660.00.
    """
    by_rate = shop.figures("tax", "tax", *JANUARY, by="tax_rate")
    # 6,000 of the example, 100 of the invoice voided in February, 200 with shipping, less the credit note voided later.
    assert by_rate == {
        ("eur", "txr_in"): 5_455,
        ("eur", "txr_ex"): 6_000 + 100 + 200 - 1_000,
        ("usd", "txr_ca"): 600,
        ("usd", "txr_la"): 100,
    }
    assert shop.figures("taxable", "tax", *JANUARY, by="tax_rate") == {
        ("eur", "txr_in"): 54_545,
        ("eur", "txr_ex"): 60_000 + 1_000 + 2_000 - 10_000,
        ("usd", "txr_ca"): 10_000,
        ("usd", "txr_la"): 10_000,
    }
    example = {"tax_rate": "txr_in"}
    included = (
        shop.figures("tax", "tax", *JANUARY, **example)["eur"]
        + shop.figures("taxable", "tax", *JANUARY, **example)["eur"]
    )
    assert included == 60_000


def test_credit_notes_take_tax_back_and_voids_their_own(shop: Any) -> None:
    # A credit note of February, the void of the invoice, and the void of January's credit note.
    assert shop.figures("tax", "tax", *FEBRUARY) == {"eur": -1_000 - 100 + 1_000}
    assert shop.figures("taxable", "tax", *FEBRUARY) == {"eur": -10_000 - 1_000 + 10_000}


def test_tax_is_cut_by_jurisdiction_and_by_inclusive_or_not(shop: Any) -> None:
    assert shop.figures("tax", "tax", by="jurisdiction") == {
        ("eur", "France"): 5_455 + 6_000 + 200 - 1_000,
        ("usd", "California"): 600,
        ("usd", "Los Angeles"): 100,
    }
    assert shop.figures("tax", "tax", by="tax_behavior")["eur", "inclusive"] == 5_455
    assert shop.figures("tax", "tax", by="tax_state")["usd", "CA"] == 700
    [line] = [one for one in lines(shop, "tax", "in_shipped") if one.object == "invoices"]
    assert (line.amount, line.source) == (100, "in_shipped")


def lines(shop: Any, account: str, document: str) -> list[Contribution]:
    return shop.parts.figures.contributions(Question("tax", account=account, only={"document": document}))
