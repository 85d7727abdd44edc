"""Every definition and trap of recurring revenue on subscriptions made by hand, through the models, with sums worked out by hand."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from takings import app, settings
from takings.clock import to_unix
from takings.errors import Invalid
from takings.metrics import Builder, Difference, Question
from takings.metrics.cohorts import cohorts
from takings.metrics.policies import BUILT_IN, DEFAULT, Policy, Switches
from takings.reports import read_mrr
from takings.warehouse import Delivery, Item, Scope

SEEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
ZONE = "UTC"


def moment(text: str) -> int:
    return to_unix(datetime.fromisoformat(text).replace(tzinfo=UTC))


class Books:
    """A company written by hand: each call is what Stripe gives for an object."""

    def __init__(self, parts: app.App, account: str) -> None:
        self.parts = parts
        self.account = account
        self._writer = parts.warehouse.writer()
        self._known: dict[str, dict[str, Any]] = {}
        self._invoices: set[str] = set()
        self._waiting: list[Delivery] = []

    def write(
        self, table: str, body: dict[str, Any], *, at: datetime = SEEN, parent: str | None = None, source: Any = "list"
    ) -> None:
        body = {"object": table, "created": moment("2026-01-01"), "livemode": True, **body}
        item = Item.of(body["id"], body["created"], json.dumps(body).encode())
        delivery = Delivery(
            table=table, scope=Scope(self.account, True), items=(item,), as_of=at, known_at=at, source=source, api_version="2026-10-28.endive",
            parent=parent,
        )  # fmt: skip
        self._waiting.append(delivery)

    def price(self, id: str, amount: int | str | None, every: str = "month", count: int = 1, **more: Any) -> str:
        whole = {
            "id": id, "object": "price", "active": True, "billing_scheme": "per_unit", "currency": "eur", "product": f"prod_{id}", "tiers_mode": None,
            "transform_quantity": None, "type": "recurring", "unit_amount_decimal": None if amount is None else str(amount),
            "unit_amount": amount if isinstance(amount, int) else None,
            "recurring": {"interval": every, "interval_count": count, "usage_type": more.pop("usage_type", "licensed")},
        } | more  # fmt: skip
        self._known[id] = {key: value for key, value in whole.items() if key not in ("tiers", "currency_options")}
        self.write("prices", whole)
        return id

    def coupon(self, id: str, start: str = "2026-01-01", end: str | None = None, on: str = "", **more: Any) -> str:
        """Make a coupon and the discount ``di_…`` of it, on a customer where one is named."""
        self.write(
            "coupons",
            {"id": id, "duration": "forever", "percent_off": None, "amount_off": None, "currency": None} | more,
        )
        ends = None if end is None else moment(end)
        discount = {
            "id": f"di_{id}",
            "object": "discount",
            "source": {"coupon": id, "type": "coupon"},
            "start": moment(start),
            "end": ends,
        }
        if on:
            self.customer(on, discount=discount)
        else:
            self.write("discounts", discount)
        return f"di_{id}"

    def customer(self, id: str, **more: Any) -> None:
        self.write("customers", {"id": id, "address": {"country": "FR"}, "discount": None} | more)

    def subscription(
        self,
        id: str,
        *items: tuple[str, int],
        at: datetime = SEEN,
        source: Any = "list",
        currency: str = "eur",
        since: str = "2026-01-10",
        **more: Any,
    ) -> None:
        item_more: dict[str, Any] = more.pop("item", {})
        rows = [
            {
                "id": item_more.get("id", f"si_{id}_{price}"), "object": "subscription_item", "created": moment(since),
                "quantity": quantity, "price": self._known[price], "discounts": [], "tax_rates": [], "subscription": id,
            } | {key: value for key, value in item_more.items() if key != "id"}
            for price, quantity in items
        ]  # fmt: skip
        body = {
            "id": id, "object": "subscription", "status": "active", "customer": more.pop("customer", f"cus_{id}"), "currency": currency,
            "created": moment(since), "start_date": moment(since), "trial_start": None, "trial_end": None, "canceled_at": None, "ended_at": None,
            "cancel_at": None, "cancel_at_period_end": False, "cancellation_details": {"reason": None}, "pause_collection": None, "discounts": [],
            "default_tax_rates": [], "latest_invoice": None, "items": {"object": "list", "data": rows, "has_more": False},
        } | more  # fmt: skip
        self.write("subscriptions", body, at=at, source=source)
        self._waiting.append(
            Delivery(
                table="subscription_items", scope=Scope(self.account, True), as_of=at, known_at=at, source=source,
                items=tuple(Item.of(row["id"], row["created"], json.dumps(row).encode()) for row in rows),
                api_version="2026-10-28.endive", parent=id, all_of="subscriptions",
            )
        )  # fmt: skip

    def schedule(
        self,
        id: str,
        sub: str | None,
        *phases: tuple[str, str, tuple[tuple[str, int], ...], dict[str, Any]],
        at: datetime = SEEN,
        source: Any = "list",
        **more: Any,
    ) -> None:
        """Make a schedule; each phase is its first day, the day after its last, its prices with quantities, and what else it says."""
        made = [
            {
                "start_date": moment(start), "end_date": moment(end), "trial_end": None, "currency": "eur", "discounts": [], "default_tax_rates": [],
                "items": [
                    {"price": price, "quantity": quantity, "discounts": [], "tax_rates": []} | said.get("item", {}) for price, quantity in items
                ],
            } | {key: value for key, value in said.items() if key != "item"}
            for start, end, items, said in phases
        ]  # fmt: skip
        body = {
            "id": id, "object": "subscription_schedule", "status": "active", "subscription": sub, "customer": f"cus_{sub or id}",
            "created": moment("2026-05-01"), "end_behavior": "release", "canceled_at": None, "phases": made,
        } | more  # fmt: skip
        self.write("subscription_schedules", body, at=at, source=source)

    def invoice(self, id: str, **more: Any) -> None:
        """Make an invoice where there is none of this id yet."""
        if id not in self._invoices:
            self._invoices.add(id)
            self.write("invoices", {"id": id, "status": "paid", "status_transitions": {}, "currency": "eur"} | more)

    def usage(self, invoice: str, sub: str, price: str, amount: int, start: str, end: str, **more: Any) -> None:
        """Make a line of metered use, and its invoice, which is final on the day the period ends."""
        said = {key: more.pop(key) for key in ("status", "status_transitions") if key in more}
        self.invoice(invoice, created=moment(end), **said)
        self.line(invoice, sub, price, 1, start, end, amount=amount, **more)

    def line(self, invoice: str, sub: str, price: str, quantity: int, start: str, end: str, **more: Any) -> None:
        """Make a line of an invoice, and the invoice."""
        self.invoice(invoice, created=moment(start))
        details = {
            "subscription": sub,
            "subscription_item": more.pop("item", f"si_{sub}_{price}"),
            "proration": more.pop("proration", False),
        }
        self.write(
            "invoice_line_items",
            {
                "id": f"il_{invoice}_{sub}_{price}_{start}_{more.get('amount', 0)}_{more.pop('n', '')}", "invoice": invoice, "currency": "eur", "amount": 0,
                "quantity": quantity, "period": {"start": moment(start), "end": moment(end)}, "discount_amounts": [], "taxes": [],
                "parent": {"type": "subscription_item_details", "subscription_item_details": details},
                "pricing": {"price_details": {"price": price, "product": f"prod_{price}"}},
            } | more,
            parent=invoice,
        )  # fmt: skip

    def build(self, zone: str = ZONE) -> None:
        """Hand everything over and fill the models of recurring revenue."""
        self.flush()
        parts = self.parts
        Builder(parts.warehouse, parts.registry.only(*RECURRING), parts.clock).build(zone)

    def flush(self) -> None:
        """Hand over everything in one commit."""
        self._writer.write(self._waiting)
        self._waiting = []

    def ask(self, measure: str, start: date | None = None, end: date | None = None, **only: str) -> Question:
        return Question(measure, start, end, account=self.account, only=only)

    def total(self, measure: str) -> int:
        return sum(one.amount for one in self.parts.figures.answer(self.ask(measure)))

    def under(self, policy: Policy) -> dict[str | None, int]:
        """Return what each subscription is worth under a policy."""
        with self.parts.recurring.under(policy, ZONE, "mrr_lines") as figures:
            return {one.group: one.amount for one in figures.answer(self.ask("mrr"), by="subscription")}

    def differences(self, policy: Policy = DEFAULT, zone: str = ZONE) -> list[Difference]:
        return [one for one in self.parts.recurring.differences(policy, zone) if one.account == self.account]

    def moves(self, **only: str) -> list[tuple[str, str, str, int]]:
        lines = self.parts.figures.contributions(self.ask("mrr", None, None, **only))
        return [
            (f"{one.at:%Y-%m-%d}", one.part, str(one.cuts["reason"]), one.amount)
            for one in sorted(lines, key=lambda one: (one.at, one.amount))
        ]


#: All that the figures below come from.
RECURRING = (
    "committed_lines",
    "money_lines",
    "mrr_lines",
    "retained_lines",
    "subscriber_lines",
    "trial_lines",
    "usage_lines",
)
_accounts = count(1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[app.App]:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(furnish(tmp_path_factory.mktemp("cases")))}))) as built:
        yield built


@pytest.fixture
def books(parts: app.App) -> Books:
    """A company of its own for each test, in one warehouse."""
    return Books(parts, f"acct_{next(_accounts)}")


def test_what_items_are_worth_and_what_counts(books: Books) -> None:
    """One company with every case of a subscription as it stands; each figure is worked out beside it."""
    b = books
    b.price("m1000", 1_000)
    b.price("y500", 50_000, "year")
    b.price("y_odd", 1_000, "year")
    b.price("w100", 100, "week")
    b.price("d10", 10, "day")
    b.price("q300", 300, "month", 3)
    b.price("sub_cent", "0.05")
    b.price("pack_up", 700, transform_quantity={"divide_by": 10, "round": "up"})
    b.price("pack_down", 700, transform_quantity={"divide_by": 10, "round": "down"})
    tiers = [
        {
            "up_to": 5,
            "unit_amount": 700,
            "unit_amount_decimal": "700",
            "flat_amount": None,
            "flat_amount_decimal": None,
        },
        {
            "up_to": 10,
            "unit_amount": 650,
            "unit_amount_decimal": "650",
            "flat_amount": 1_000,
            "flat_amount_decimal": "1000",
        },
        {
            "up_to": None,
            "unit_amount": 600,
            "unit_amount_decimal": "600",
            "flat_amount": None,
            "flat_amount_decimal": None,
        },
    ]
    b.price("graduated", None, billing_scheme="tiered", tiers_mode="graduated", tiers=tiers)
    b.price("volume", None, billing_scheme="tiered", tiers_mode="volume", tiers=tiers)
    b.price("untold", None, billing_scheme="tiered", tiers_mode="volume")
    b.price("options", 1_000, currency_options={"usd": {"unit_amount": 1_250, "unit_amount_decimal": "1250"}})
    b.price("metered", 40, usage_type="metered")
    half, fifth, off = (
        b.coupon("half", percent_off=50),
        b.coupon("fifth", percent_off=20),
        b.coupon("off", amount_off=500, currency="eur"),
    )
    half2 = b.coupon("half2", percent_off=50)
    b.coupon("usd_off", amount_off=500, currency="usd")
    b.coupon("only", amount_off=600, currency="eur", applies_to={"products": ["prod_m1000"]})
    b.coupon("rep", percent_off=50, duration="repeating", duration_in_months=24, end="2028-01-01")
    b.coupon("once", percent_off=50, duration="once")
    b.coupon("over", percent_off=50, end="2026-03-01")
    b.coupon("on_customer", percent_off=10, on="cus_cust")
    b.customer("cus_plain")
    past, future = moment("2026-05-01"), moment("2099-01-01")
    one = ("m1000", 1)
    cases: dict[str, tuple[tuple[tuple[str, int], ...], dict[str, Any], int]] = {
        "plain": ((one,), {}, 1_000),
        "three": ((("m1000", 3),), {}, 3_000),
        "yearly": ((("y500", 1),), {}, 4_167),  # 50,000 ÷ 12 = 4,166.67
        "weekly": ((("w100", 1),), {}, 433),  # 100 × 52 ÷ 12 = 433.33
        "daily": ((("d10", 1),), {}, 304),  # 10 × 365 ÷ 12 = 304.17
        "quarterly": ((("q300", 1),), {}, 100),
        "sub_cents": ((("sub_cent", 50),), {}, 2),  # 2.5 rounds half to even
        "pack_up": ((("pack_up", 11),), {}, 1_400),
        "pack_down": ((("pack_down", 19),), {}, 700),
        "graduated": ((("graduated", 6),), {}, 5_150),  # 5 × 700 + 1 × 650 + 1,000
        "volume": ((("volume", 6),), {}, 4_900),  # 6 × 650 + 1,000
        "in_dollars": ((("options", 2),), {"currency": "usd"}, 2_500),
        "halves": ((one,), {"discounts": [half, half2]}, 250),  # two coupons of 50 % on 1,000 leave 250
        "percent_first": ((one,), {"discounts": [off, half]}, 0),  # 1,000 × 50 % = 500, less 500
        "off_yearly": ((("y500", 1),), {"discounts": [off]}, 4_125),  # (50,000 − 500) ÷ 12: 41.67 a month
        "floor": ((("q300", 1),), {"discounts": [off]}, 0),
        "spread": ((("m1000", 1), ("pack_up", 30)), {"discounts": [off]}, 2_600),  # 1,000 + 2,100 − 500
        "only": ((("m1000", 1), ("q300", 1)), {"discounts": ["di_only"]}, 500),  # 1,000 − 600, and 100
        "other_currency": ((one,), {"discounts": ["di_usd_off"]}, 1_000),
        "of_item": ((one,), {"item": {"discounts": [fifth]}, "discounts": [half]}, 400),
        "repeating": ((one,), {"discounts": ["di_rep"]}, 1_000),
        "once": ((one,), {"discounts": ["di_once"]}, 1_000),
        "over": ((one,), {"discounts": ["di_over"]}, 1_000),
        "cust": ((one,), {}, 900),
        "taxed": ((one,), {"default_tax_rates": [{"id": "txr_1", "inclusive": True, "percentage": 20.0}]}, 833),  # 1,000 ÷ 1.2
        "tax_on_top": ((one,), {"default_tax_rates": [{"id": "txr_1", "inclusive": False, "percentage": 20.0}]}, 1_000),
        "metered": ((("metered", 0), ("q300", 1)), {}, 100),
        "past_due": ((one,), {"status": "past_due"}, 1_000),
        "trialing": ((one,), {"status": "trialing", "trial_start": past, "trial_end": future}, 0),
        "active_on_trial": ((one,), {"trial_start": past, "trial_end": future}, 0),
        "trial_over": ((one,), {"trial_start": moment("2026-01-10"), "trial_end": past}, 1_000),
        "incomplete": ((one,), {"status": "incomplete"}, 0),
        "expired": ((one,), {"status": "incomplete_expired", "ended_at": past, "canceled_at": past}, 0),
        "unpaid": ((one,), {"status": "unpaid"}, 0),
        "paused": ((one,), {"status": "paused"}, 0),
        "canceled": ((one,), {"status": "canceled", "ended_at": past, "canceled_at": past}, 0),
        "leaving": ((one,), {"cancel_at_period_end": True, "canceled_at": past, "cancel_at": future}, 0),
        "void": ((one,), {"pause_collection": {"behavior": "void", "resumes_at": None}}, 0),
        "uncollectible": ((one,), {"pause_collection": {"behavior": "mark_uncollectible", "resumes_at": None}}, 0),
        "as_draft": ((one,), {"pause_collection": {"behavior": "keep_as_draft", "resumes_at": None}}, 1_000),
        "resumed": ((one,), {"pause_collection": {"behavior": "void", "resumes_at": past}}, 1_000),
    }  # fmt: skip
    for name, (items, more, _) in cases.items():
        b.subscription(name, *items, **more)
    b.build()
    got = {row.group: row.amount for row in b.parts.figures.answer(b.ask("mrr"), by="subscription")}
    assert {name: got.get(name, 0) for name in cases} == {name: worth for name, (*_, worth) in cases.items()}
    assert b.differences() == []

    # Currencies are never added; what is taken to a month is exact before it is rounded once.
    assert {one.currency for one in b.parts.figures.answer(b.ask("mrr"))} == {"eur", "usd"}
    arr = {one.currency: one.value for one in b.parts.figures.values(b.ask("arr"))}
    assert arr["usd"] == Fraction(30_000)

    # Every switch the other way.
    other = Switches(
        cancel="at_period_end",
        repeating=True,
        once=True,
        past_due=False,
        pause="in",
        trials=True,
        metered="last_invoiced",
        refunds="out",
        thirty_days=True,
    )
    got = b.under(Policy("other", 1, other))
    turned = {
        "leaving": 1_000, "repeating": 500, "once": 500, "void": 1_000, "trialing": 1_000, "active_on_trial": 1_000, "daily": 300,
        "weekly": 429,  # 100 × 30 ÷ 7 = 428.57
    }  # fmt: skip
    assert {name: got[name] for name in turned} == turned and got.get("past_due", 0) == 0
    assert b.under(BUILT_IN["conservative"]).get("as_draft", 0) == 0
    for policy in (BUILT_IN["conservative"], Policy("other", 1, other)):
        assert b.differences(policy) == []
    start, end = BUILT_IN["stripe"], BUILT_IN["chartmogul-like"]
    fall = b.parts.recurring.waterfall(start, end, ZONE, b.ask("mrr"))
    assert fall.start["eur"] != fall.end["eur"]
    assert [step.switch for step in fall.steps] == ["cancel", "repeating", "thirty_days"]
    assert [step.amounts for step in fall.steps] == [{"eur": 1_000}, {"eur": -500}, {"eur": -8}]
    for currency, amount in fall.end.items():
        assert fall.start[currency] + sum(step.amounts.get(currency, 0) for step in fall.steps) == amount

    # A price without its tiers, and a discount without its coupon, are named, never passed over in silence.
    b.subscription("blind", ("untold", 3), discounts=["di_unknown"])
    b.build()
    (blind,) = b.differences()
    assert (blind.subscription, blind.changes, blind.scanned) == ("blind", 0, 0)
    assert set(blind.lacking) == {"si_blind_untold", "di_unknown"}


def test_what_is_decided_is_committed_and_nothing_else_is(books: Books) -> None:
    """One company with every trap; for each subscription what each thing that is decided does to MRR, worked out by hand."""
    b = books
    b.price("m1000", 1_000)
    b.price("m2500", 2_500)
    b.price("y600", 60_000, "year")
    b.price("metered", 40, usage_type="metered")
    b.coupon("forever", percent_off=10)
    b.coupon("rep", percent_off=50, duration="repeating", duration_in_months=24, end="2098-01-01")
    b.coupon("rep_new", percent_off=50, duration="repeating", duration_in_months=3)
    b.coupon("ends", percent_off=20, end="2097-02-01")  # a customer's discount may have an end of its own
    b.write("promotion_codes", {"id": "promo_1", "promotion": {"type": "coupon", "coupon": "forever"}})
    past, future, later = moment("2026-05-01"), moment("2097-01-01"), moment("2097-06-01")
    one, none = (("m1000", 1),), dict[str, Any]()
    dear, now = (("m2500", 1),), ("2026-05-01", "2097-01-01", (("m1000", 1),), none)
    leaving = {"cancel_at_period_end": True, "canceled_at": past, "cancel_at": future}
    trial = {"trial_start": past, "trial_end": future, "status": "trialing"}

    def planned(*phases: Any, **more: Any) -> dict[str, Any]:
        return {"phases": phases, **more}

    def coming(items: Any, start: str = "2097-01-01", end: str = "2098-01-01", **said: Any) -> Any:
        return (start, end, items, said)

    by_coupon = {"coupon": "forever", "discount": None, "promotion_code": None}
    # What is on the subscription, on its schedule, its MRR, and what each kind of decision changes.
    cases: dict[str, tuple[dict[str, Any], dict[str, Any], int, dict[str, int]]] = {
        "plain": ({}, {}, 1_000, {}),
        "asked_to_leave": (leaving, {}, 0, {}),  # out of MRR when asking: nothing is left to go
        "up": ({}, planned(now, coming(dear)), 1_000, {"phase": 1_500}),
        "up_and_down": ({}, planned(now, coming(dear, end="2097-06-01"), coming(one, "2097-06-01")), 1_000, {}),  # 1,500 and −1,500
        "seats": ({}, planned(now, coming((("m1000", 3),))), 1_000, {"phase": 2_000}),
        "to_yearly": ({}, planned(now, coming((("y600", 1),))), 1_000, {"phase": 4_000}),  # 60,000 ÷ 12 less 1,000
        "to_metered": ({}, planned(now, coming((("metered", 1),))), 1_000, {"phase": -1_000}),
        "over": ({}, planned(now, end_behavior="cancel"), 1_000, {"cancellation": -1_000}),
        "up_then_over": ({}, planned(now, coming(dear), end_behavior="cancel"), 1_000, {"phase": 1_500, "cancellation": -2_500}),
        "same_again": ({}, planned(now, coming(one)), 1_000, {}),
        "with_coupon": ({}, planned(now, coming(dear, discounts=[by_coupon])), 1_000, {"phase": 1_250}),  # 2,250 less 1,000
        "with_code": (
            {}, planned(now, coming(dear, discounts=[{"coupon": None, "discount": None, "promotion_code": "promo_1"}])), 1_000, {"phase": 1_250},
        ),
        "coupon_that_ends": ({}, planned(now, coming(dear, discounts=[by_coupon | {"coupon": "rep_new"}])), 1_000, {"phase": 1_500}),
        "of_item": ({}, planned(now, coming(dear, item={"discounts": [by_coupon]})), 1_000, {"phase": 1_250}),
        "loses_coupon": ({"discounts": ["di_forever"]}, planned(now, coming(one)), 900, {"phase": 100}),
        "keeps_discount": (
            {"discounts": ["di_forever"]},
            planned(now, coming(dear, discounts=[{"coupon": None, "discount": "di_forever", "promotion_code": None}])), 900, {"phase": 1_350},
        ),
        "taxed": (
            {"default_tax_rates": [{"id": "txr_1", "inclusive": True, "percentage": 25.0}]}, planned(now, coming(dear)), 800, {"phase": 1_200},
        ),
        "expires": ({"discounts": ["di_ends"]}, {}, 800, {"discount_end": 200}),
        "expires_twice": ({"discounts": ["di_ends", "di_forever"]}, {}, 720, {"discount_end": 180}),
        "repeating": ({"discounts": ["di_rep"]}, {}, 1_000, {}),  # the policy does not count it, so its end changes nothing
        "expires_after_the_end": ({"discounts": ["di_ends"]}, planned(now, end_behavior="cancel"), 800, {"cancellation": -800}),
        "trial": (trial, {}, 0, {}),  # a trial that ends is not decided revenue …
        "trial_then_phase": (trial, planned(now, coming(dear)), 0, {"phase": 2_500}),  # … a phase of a schedule after it is
        "phase_on_trial": ({}, planned(now, coming(dear, trial_end=later)), 1_000, {"phase": -1_000}),
        "trial_leaving": (trial | leaving, planned(now, coming(dear)), 0, {}),
        "paused": ({"pause_collection": {"behavior": "void", "resumes_at": future}}, planned(now, coming(dear)), 0, {}),
        "unpaid": ({"status": "unpaid"}, planned(now, coming(dear)), 0, {}),
        "pending": ({"pending_update": {"expires_at": future, "subscription_items": []}}, {}, 1_000, {}),
        "released": ({}, planned(now, coming(dear), status="released"), 1_000, {}),
        "unknown": ({}, planned(now, coming((("m404", 1),))), 1_000, {}),
        "ended": ({"status": "canceled", "canceled_at": past, "ended_at": past}, planned(now, coming(dear)), 0, {}),
    }  # fmt: skip
    for name, (said, plan, *_) in cases.items():
        b.subscription(name, *one, **said)
        if plan:
            phases = plan.pop("phases")
            b.schedule(f"sched_{name}", name, *phases, **plan)
    b.schedule("sched_alone", None, coming(dear), coming(one, "2098-01-01", "2099-01-01"), status="not_started")
    b.build()
    wanted = {name: {"mrr": mrr} | changes for name, (_, _, mrr, changes) in cases.items()}
    assert committed(b, b.parts.figures) == {
        name: {part: amount for part, amount in parts.items() if amount} for name, parts in wanted.items() if any(parts.values())
    } | {None: {"phase": 1_000}}  # fmt: skip
    kinds = {
        "committed_mrr": None,
        "scheduled_cancellations": "cancellation",
        "scheduled_phases": "phase",
        "expiring_discounts": "discount_end",
    }
    for measure, kind in kinds.items():
        parts = [*wanted.values(), {"phase": 1_000}]
        assert b.total(measure) == sum(amount for one in parts for part, amount in one.items() if kind in (None, part))
    ups = [
        one
        for one in b.parts.figures.contributions(b.ask("committed_mrr", subscription="up_then_over"))
        if one.part != "mrr"
    ]
    assert sorted((one.part, one.object, one.source, one.cuts["due"], one.cuts["price"], one.amount) for one in ups) == [
        ("cancellation", "subscription_schedules", "sched_up_then_over", "2098-01", "m2500", -2_500),
        ("phase", "subscription_schedules", "sched_up_then_over", "2097-01", "m1000", -1_000),
        ("phase", "subscription_schedules", "sched_up_then_over", "2097-01", "m2500", 2_500),
    ]  # fmt: skip

    # A phase that cannot be priced is left out, and said.
    assert [(one.subscription, one.lacking) for one in b.differences()] == [("unknown", ("m404",))]

    # Under a policy that keeps who leaves to the end and counts discounts that do not last, both are still to come.
    other = Policy("other", 1, Switches(cancel="at_period_end", repeating=True))
    with b.parts.recurring.under(other, ZONE, "committed_lines") as figures:
        got = committed(b, figures)
        assert got["asked_to_leave"] == {"mrr": 1_000, "cancellation": -1_000}
        assert got["repeating"] == {"mrr": 500, "discount_end": 500}
        (end,) = figures.contributions(b.ask("scheduled_cancellations", subscription="asked_to_leave"))
        assert (end.object, end.source, end.cuts["due"]) == ("subscriptions", "asked_to_leave", "2097-01")


def committed(b: Books, figures: Any) -> dict[Any, dict[str, int]]:
    """Return what each subscription's committed MRR is made of; None: that of schedules without one."""
    found: dict[Any, dict[str, int]] = defaultdict(dict)
    rows = figures.ask(
        "SELECT l.subscription, l.part, CAST(SUM(l.amount) AS BIGINT) FROM metrics.committed_lines AS l "
        "WHERE l.account = $account GROUP BY 1, 2",
        {"account": b.account},
    )
    for subscription, part, amount in rows:
        if amount:
            found[subscription][part] = amount
    return dict(found)


def test_what_was_decided_comes_and_committed_revenue_stays_what_it_was(books: Books) -> None:
    """From the day a change is decided on, the figure holds it; on the day it comes, it only moves into MRR."""
    b = books
    b.price("small", 1_000)
    b.price("large", 3_000)

    def day(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    def planned(id: str, *phases: Any, at: str, **more: Any) -> None:
        b.schedule(id, "s", *phases, at=day(at), source="event", **more)

    small, large = (("small", 1),), (("large", 1),)
    b.subscription("s", *small, item={"id": "si"})
    first = ("2026-06-03", "2026-06-10", small, dict[str, Any]())
    planned(
        "sched",
        first,
        ("2026-06-10", "2026-06-20", large, {}),
        at="2026-06-03",
        created=moment("2026-06-03"),
        end_behavior="cancel",
    )
    b.subscription("s", *large, item={"id": "si"}, at=day("2026-06-10"), source="event")
    planned(
        "sched",
        ("2026-06-10", "2026-06-20", (("large", 2),), {}),
        at="2026-06-12",
        created=moment("2026-06-03"),
        end_behavior="release",
    )
    planned("sched", first, at="2026-06-14", created=moment("2026-06-03"), status="released")
    b.build()
    days = ("2026-06-02", "2026-06-03", "2026-06-09", "2026-06-10", "2026-06-11", "2026-06-12", "2026-06-15")
    made = {
        text: {
            part.group: part.amount
            for part in b.parts.figures.answer(
                b.ask("committed_mrr", end=date.fromisoformat(text) + timedelta(days=1)), by="part"
            )
            if part.amount
        }
        for text in days
    }
    assert made["2026-06-02"] == {"mrr": 1_000}
    # Decided on the 3rd: 2,000 more from the 10th, and nothing after the 20th.
    assert made["2026-06-03"] == made["2026-06-09"] == {"mrr": 1_000, "phase": 2_000, "cancellation": -3_000}
    assert made["2026-06-10"] == made["2026-06-11"] == {"mrr": 3_000, "cancellation": -3_000}
    assert (
        made["2026-06-12"] == made["2026-06-15"] == {"mrr": 3_000}
    )  # it goes on after its last phase; a phase that runs is no promise


def test_committed_revenue_is_what_the_last_decision_makes_of_each_subscription(books: Books) -> None:
    """Schedules drawn by lot: MRR and its changes together are what a scan of each schedule's last phase is worth."""
    b, dice = books, random.Random(20_261_128)
    amounts = {"a": 999, "b": 4_500, "c": 25}
    for name, amount in amounts.items():
        b.price(name, amount)
    b.coupon("third", percent_off=33)
    wanted: dict[str, int] = {}
    for number in range(60):
        name, steps = f"s{number}", sorted(dice.sample(range(1, 40), dice.randint(1, 5)))
        plans = [[(price, dice.randint(0, 9)) for price in dice.sample("abc", dice.randint(1, 3))] for _ in steps]
        starts = [
            datetime.fromtimestamp(moment("2090-05-01") + step * 30 * 86_400, UTC).isoformat()[:10]
            for step in (0, *steps)
        ]
        off = [dice.choice(([], [{"coupon": "third", "discount": None, "promotion_code": None}])) for _ in steps]
        ends = dice.random() < 0.3
        cut = dice.random() < 0.2
        now = [("a", number)]
        b.subscription(name, *now)
        phases = [(starts[0], starts[1], now, {})]
        phases += [
            (start, end, plan, {"discounts": less})
            for start, end, plan, less in zip(starts[1:], (*starts[2:], "2099-01-01"), plans, off, strict=True)
        ]
        b.schedule(
            f"sched_{number}",
            name,
            *phases,
            end_behavior="cancel" if ends else "release",
            status="released" if cut else "active",
        )
        last, less = plans[-1], off[-1]
        each = [Fraction(amounts[price] * quantity) * (Fraction(67, 100) if less else 1) for price, quantity in last]
        wanted[name] = number * 999 if cut else 0 if ends else sum(round(one) for one in each)
    b.build()
    got = {one.group: one.amount for one in b.parts.figures.answer(b.ask("committed_mrr"), by="subscription")}
    assert {name: got.get(name, 0) for name in wanted} == wanted
    held = {one.group: one.amount for one in b.parts.figures.answer(b.ask("committed_mrr"), by="part")}
    mrr = sum(one.amount for one in b.parts.figures.answer(b.ask("mrr")))
    assert held["mrr"] == mrr and sum(held.values()) == b.total("committed_mrr") == sum(wanted.values())


COUNTED = Policy("usage", 1, Switches(metered="last_invoiced"))


def test_usage_is_a_figure_of_its_own_until_the_policy_counts_it(books: Books) -> None:
    """What metered items were invoiced for their last whole period; each figure is worked out beside it."""
    b = books
    b.price("m1000", 1_000)
    b.price("used", None, usage_type="metered")
    b.price("yearly", None, "year", usage_type="metered")
    b.price("weekly", None, "week", usage_type="metered")
    half = b.coupon("half", percent_off=50)
    january, february = ("2026-01-10", "2026-02-10"), ("2026-02-10", "2026-03-10")
    past, ended = moment("2026-05-01"), {"canceled_at": moment("2026-05-01"), "ended_at": moment("2026-05-01")}
    use = (("used", 0),)
    b.subscription("both", ("m1000", 1), ("used", 0), discounts=[half])
    b.usage("in_both", "both", "used", 700, *january)
    b.usage("in_both_2", "both", "used", 2_000, *february, discount_amounts=[{"amount": 1_000, "discount": half}])
    b.subscription("tiers", *use)
    b.usage("in_tiers", "tiers", "used", 500, *january)
    b.usage("in_tiers", "tiers", "used", 90, *january, n=2)  # each tier is a line
    b.subscription("short", *use)
    b.usage("in_short", "short", "used", 800, *january)
    b.usage("in_short_2", "short", "used", 100, "2026-02-10", "2026-02-20")  # cut short: not a whole period
    b.subscription("void", *use)
    b.usage("in_void", "void", "used", 300, *january)
    b.usage("in_void_2", "void", "used", 900, *february, status="void")
    b.subscription("draft", *use)
    b.usage("in_draft", "draft", "used", 300, *january, status="draft")
    b.subscription("late", *use)
    b.usage(
        "in_late",
        "late",
        "used",
        300,
        *january,
        status="open",
        status_transitions={"finalized_at": moment("2026-02-15")},
    )
    b.subscription("idle", *use)
    b.usage("in_idle", "idle", "used", 300, *january)
    b.usage("in_idle_2", "idle", "used", 0, *february)
    b.subscription("by_year", ("yearly", 0), since="2025-01-10")
    b.usage("in_year", "by_year", "yearly", 1_000, "2025-01-10", "2026-01-10")
    b.subscription("by_week", ("weekly", 0))
    b.usage("in_week", "by_week", "weekly", 120, "2026-02-10", "2026-02-17")
    b.subscription("taxed", *use)
    b.usage(
        "in_taxed",
        "taxed",
        "used",
        120,
        *january,
        taxes=[{"amount": 20, "tax_behavior": "inclusive"}, {"amount": 9, "tax_behavior": "exclusive"}],
    )
    b.subscription("gone", *use, status="canceled", **ended)
    b.usage("in_gone", "gone", "used", 400, *january)
    b.subscription("leaving", *use, cancel_at_period_end=True, canceled_at=past, cancel_at=moment("2099-01-01"))
    b.usage("in_leaving", "leaving", "used", 400, *january)
    b.subscription("new", *use)
    b.build()
    worth = {
        "both": 1_000, "tiers": 590, "short": 800, "void": 300, "late": 300, "taxed": 100,
        "by_year": 83,  # 1,000 ÷ 12 = 83.33
        "by_week": 520,  # 120 × 52 ÷ 12
    }  # fmt: skip
    got = {one.group: one.amount for one in b.parts.figures.answer(b.ask("usage_mrr"), by="subscription") if one.amount}
    assert got == worth
    assert b.total("mrr") == 500 and b.differences() == []
    lines = b.parts.figures.contributions(b.ask("usage_mrr", subscription="both"))
    assert sorted((f"{one.at:%Y-%m-%d}", one.source, one.cuts["reason"], one.amount) for one in lines) == [
        ("2026-02-10", "si_both_used", "usage", 700),
        ("2026-03-10", "si_both_used", "usage", 300),
    ]
    (first,) = b.parts.figures.contributions(b.ask("usage_mrr", subscription="late"))
    assert f"{first.at:%Y-%m-%d}" == "2026-02-15"  # when the invoice was final
    gone = b.parts.figures.contributions(b.ask("usage_mrr", subscription="gone"))
    assert [(one.cuts["reason"], one.amount) for one in sorted(gone, key=lambda one: one.at)] == [
        ("usage", 400),
        ("cancellation", -400),
    ]

    # The switch puts it into MRR, and into what is committed of it.
    assert {name: amount for name, amount in b.under(COUNTED).items() if amount} == worth | {"both": 1_500}
    assert b.differences(COUNTED) == []
    fall = b.parts.recurring.waterfall(DEFAULT, COUNTED, ZONE, b.ask("mrr"))
    assert [(one.switch, one.amounts) for one in fall.steps] == [("metered", {"eur": sum(worth.values())})]
    kept = Policy("kept", 1, Switches(metered="last_invoiced", cancel="at_period_end"))
    with b.parts.recurring.under(kept, ZONE, "committed_lines") as figures:
        assert committed(b, figures)["leaving"] == {"mrr": 400, "cancellation": -400}


def test_who_got_the_whole_last_payment_back_counts_as_the_policy_says(books: Books) -> None:
    b = books
    b.price("p", 1_000)
    strict = Policy("strict", 1, Switches(refunds="out"))

    def billed(id: str, sub: str, day: str, paid: int = 1_000, **refunds: tuple[int, str, str]) -> None:
        details = {"type": "subscription_details", "subscription_details": {"subscription": sub}}
        b.invoice(id, created=moment(day), amount_paid=paid, parent=details)
        b.write(
            "invoice_payments",
            {"id": f"inpay_{id}", "invoice": id, "payment": {"type": "payment_intent", "payment_intent": f"pi_{id}"}},
        )
        for name, (amount, on, status) in refunds.items():
            b.write(
                "refunds",
                {
                    "id": f"re_{id}_{name}",
                    "amount": amount,
                    "created": moment(on),
                    "status": status,
                    "payment_intent": f"pi_{id}",
                    "charge": f"ch_{id}",
                },
            )

    for name in ("plain", "whole", "part", "halves", "failed", "renewed", "free"):
        b.subscription(name, ("p", 1), latest_invoice=f"in_{name}_2" if name == "renewed" else f"in_{name}")
    billed("in_plain", "plain", "2026-05-10")
    billed("in_whole", "whole", "2026-05-10", a=(1_000, "2026-05-12", "succeeded"))
    billed("in_part", "part", "2026-05-10", a=(999, "2026-05-12", "succeeded"))
    billed("in_halves", "halves", "2026-05-10", a=(500, "2026-05-12", "succeeded"), b=(500, "2026-05-14", "succeeded"))
    billed("in_failed", "failed", "2026-05-10", a=(1_000, "2026-05-12", "failed"))
    billed("in_renewed", "renewed", "2026-04-10", a=(1_000, "2026-04-12", "succeeded"))
    billed("in_renewed_2", "renewed", "2026-05-10")
    billed("in_free", "free", "2026-05-10", 0)
    b.build()
    assert b.total("mrr") == 7_000  # a refund is no change of what recurs
    assert b.differences(strict) == []
    with b.parts.recurring.under(strict, ZONE, "mrr_lines") as figures:
        worth = {one.group: one.amount for one in figures.answer(b.ask("mrr"), by="subscription")}
        assert {name for name, amount in worth.items() if not amount} == {"whole", "halves"}
        lines = [
            line for name in ("halves", "renewed") for line in figures.contributions(b.ask("mrr", subscription=name))
        ]
        moves = [
            (f"{one.at:%m-%d}", one.part, str(one.cuts["reason"]), one.amount)
            for one in sorted(lines, key=lambda one: one.at)
        ]
    assert moves[2:] == [
        ("04-12", "churn", "refund", -1_000), ("05-10", "reactivation", "billed_again", 1_000), ("05-14", "churn", "refund", -1_000),
    ]  # fmt: skip
    fall = b.parts.recurring.waterfall(DEFAULT, strict, ZONE, b.ask("mrr"))
    assert [(one.switch, one.amounts) for one in fall.steps] == [("refunds", {"eur": -2_000})]
    assert BUILT_IN["conservative"].switches.refunds == "out"


def test_history_is_rebuilt_from_what_invoices_say(books: Books) -> None:
    b = books
    b.price("small", 1_000)
    b.price("large", 3_000)
    b.price("seat", 500)
    forever = b.coupon("was", percent_off=10, end="2026-03-10")
    # A change of plan on 20 February, told by the lines of the next invoice; five seats from 10 April on; an item given up.
    b.line(
        "in_1",
        "s",
        "small",
        1,
        "2026-01-10",
        "2026-02-10",
        item="si_s",
        amount=1_000,
        discount_amounts=[{"amount": 100, "discount": forever}],
    )
    b.line(
        "in_2",
        "s",
        "small",
        1,
        "2026-02-10",
        "2026-03-10",
        item="si_s",
        amount=1_000,
        discount_amounts=[{"amount": 100, "discount": forever}],
    )
    b.line("in_3", "s", "small", 1, "2026-02-20", "2026-03-10", item="si_s", amount=-643, proration=True)
    b.line("in_3", "s", "large", 1, "2026-02-20", "2026-03-10", item="si_s", amount=1_929, proration=True)
    b.line("in_3", "s", "large", 1, "2026-03-10", "2026-04-10", item="si_s", amount=3_000)
    b.line("in_4", "s", "large", 2, "2026-04-10", "2026-05-10", item="si_s", amount=6_000)
    b.line("in_1", "s", "seat", 2, "2026-01-10", "2026-02-10", item="si_gone", amount=1_000)
    b.line("in_2", "s", "seat", 2, "2026-02-10", "2026-03-10", item="si_gone", amount=1_000)
    b.line("in_3", "s", "seat", 2, "2026-02-25", "2026-03-10", item="si_gone", amount=-400, proration=True)
    b.subscription("s", ("large", 2), item={"id": "si_s"})
    b.build()
    assert b.moves(subscription="s") == [
        ("2026-01-10", "new", "start", 900),
        ("2026-01-10", "new", "start", 900),  # two seats, 10 % off
        ("2026-02-20", "expansion", "plan_switch", 1_800),  # 90 % of 3,000 for 90 % of 1,000
        ("2026-02-25", "contraction", "item_removed", -900),
        ("2026-03-10", "expansion", "discount_end", 300),
        ("2026-04-10", "expansion", "quantity", 3_000),
    ]
    assert {row.group for row in b.parts.figures.answer(b.ask("mrr"), by="basis")} == {"reconstructed"}


def test_events_move_it_and_the_basis_is_observed(books: Books) -> None:
    b = books
    b.price("small", 1_000)
    b.price("yearly", 9_600, "year", product="prod_small")
    b.price("dear", 1_200, product="prod_small")
    b.subscription("s", ("small", 1), item={"id": "si"})

    def then(day: str, *items: tuple[str, int], **more: Any) -> None:
        at = datetime.fromisoformat(day).replace(tzinfo=UTC)
        b.subscription("s", *items, item={"id": "si"}, at=at, source="event", **more)

    then("2026-06-10", ("dear", 1))
    then("2026-06-12", ("dear", 3))
    then("2026-06-14", ("yearly", 3))
    then("2026-06-16", ("yearly", 3), cancel_at_period_end=True, canceled_at=moment("2026-06-16"))
    then("2026-06-18", ("yearly", 3))
    then("2026-06-20", ("yearly", 3), pause_collection={"behavior": "void", "resumes_at": None})
    then("2026-06-22", ("yearly", 3))
    ended = moment("2026-06-24")
    then(
        "2026-06-24",
        ("yearly", 3),
        status="canceled",
        canceled_at=ended,
        ended_at=ended,
        cancellation_details={"reason": "payment_failed"},
    )
    b.build()
    assert b.moves(subscription="s") == [
        ("2026-01-10", "new", "start", 1_000),
        ("2026-06-10", "expansion", "price", 200),
        ("2026-06-12", "expansion", "quantity", 2_400),
        ("2026-06-14", "contraction", "interval", -1_200),
        ("2026-06-16", "churn", "cancellation", -2_400),
        ("2026-06-18", "reactivation", "cancellation_withdrawn", 2_400),
        ("2026-06-20", "churn", "pause", -2_400),
        ("2026-06-22", "reactivation", "resume", 2_400),
        ("2026-06-24", "churn", "payment_failed", -2_400),
    ]
    bases = {row.group: row.amount for row in b.parts.figures.answer(b.ask("mrr"), by="basis")}
    assert bases == {"reconstructed": 1_000, "observed": -1_000}
    assert [one.amount for one in b.parts.figures.answer(b.ask("churned_subscribers_involuntary"))] == [-1]
    assert b.differences() == []
    before = b.moves(subscription="s")
    b.build()  # an old state that comes late takes its place in the history, and changes nothing after it
    b.subscription("s", ("small", 2), item={"id": "si"}, at=datetime(2026, 6, 5, tzinfo=UTC), source="event")
    b.build()
    after = b.moves(subscription="s")
    assert after[:3] == [
        ("2026-01-10", "new", "start", 1_000),
        ("2026-06-05", "expansion", "quantity", 1_000),
        ("2026-06-10", "contraction", "price", -800),
    ]
    assert after[3:] == before[2:]


def test_a_customer_who_swaps_subscriptions_within_a_day_did_not_leave(books: Books) -> None:
    b = books
    b.price("small", 1_000)
    b.price("large", 2_500)
    ended = moment("2026-05-05T09:00:00")
    b.subscription("old", ("small", 1), customer="cus", status="canceled", canceled_at=ended, ended_at=ended)
    b.subscription("new", ("large", 1), customer="cus", since="2026-05-05T18:00:00")
    b.subscription(
        "brief",
        ("small", 1),
        customer="cus_2",
        since="2026-05-05T01:00:00",
        status="canceled",
        canceled_at=ended,
        ended_at=ended,
    )
    back = moment("2026-03-01")
    b.subscription("first", ("small", 1), customer="cus_3", status="canceled", canceled_at=back, ended_at=back)
    b.subscription("again", ("large", 1), customer="cus_3", since="2026-04-01")
    b.build()
    assert b.moves(customer="cus") == [
        ("2026-01-10", "new", "start", 1_000),
        ("2026-05-05", "expansion", "plan_switch", -1_000),
        ("2026-05-05", "expansion", "plan_switch", 2_500),
    ]
    assert [(part, amount) for _, part, _, amount in b.moves(customer="cus_2")] == [
        ("netted", 1_000),
        ("netted", -1_000),
    ]
    assert [part for _, part, _, _ in b.moves(customer="cus_3")] == ["new", "churn", "reactivation"]
    with b.parts.recurring.under(Policy("as it comes", 1, Switches(netting=False)), ZONE) as figures:
        lines = figures.contributions(b.ask("mrr", customer="cus"))
        assert sorted(one.part for one in lines) == ["churn", "new", "reactivation"]


def test_who_moves_to_another_currency_is_a_movement_in_both_and_lost_in_none(books: Books) -> None:
    b = books
    b.price("euro", 1_000)
    b.price("dollar", 1_200, currency="usd")
    noon = moment("2026-05-05T12:00:00")
    over: dict[str, Any] = {"status": "canceled", "canceled_at": noon, "ended_at": noon}
    euro, dollar = ("euro", 1), ("dollar", 1)
    # Moves; leaves; moves a day late; moves a part; swaps within euros and takes dollars as well; comes while another leaves.
    b.subscription("m1", euro, customer="cus_moves", **over)
    b.subscription("m2", dollar, customer="cus_moves", currency="usd", since="2026-05-05T18:00:00")
    b.subscription("l1", euro, customer="cus_leaves", **over)
    b.subscription("d1", euro, customer="cus_late", **over)
    b.subscription("d2", dollar, customer="cus_late", currency="usd", since="2026-05-06T18:00:00")
    b.subscription("p1", euro, customer="cus_part", **over)
    b.subscription("p2", ("euro", 2), customer="cus_part")
    b.subscription("p3", dollar, customer="cus_part", currency="usd", since="2026-05-05T18:00:00")
    b.subscription("s1", euro, customer="cus_swaps", **over)
    b.subscription("s2", ("euro", 3), customer="cus_swaps", since="2026-05-05T18:00:00")
    b.subscription("s3", dollar, customer="cus_swaps", currency="usd", since="2026-05-05T18:00:00")
    b.subscription("o1", dollar, customer="cus_other", currency="usd", since="2026-05-05T18:00:00")
    b.subscription("f1", euro, customer="cus_fails", cancellation_details={"reason": "payment_failed"}, **over)
    b.subscription("f2", dollar, customer="cus_fails", currency="usd", since="2026-05-05T18:00:00")
    b.build()
    may = {name: b.moves(customer=f"cus_{name}")[1:] for name in ("moves", "late", "part", "swaps", "fails")}
    day = "2026-05-05"
    assert may["moves"] == [(day, "churn", "currency", -1_000), (day, "new", "currency", 1_200)]
    assert may["late"] == [(day, "churn", "cancellation", -1_000), ("2026-05-06", "new", "start", 1_200)]
    assert may["part"][1:] == [(day, "contraction", "currency", -1_000), (day, "new", "currency", 1_200)]
    assert may["swaps"] == [
        (day, "expansion", "plan_switch", -1_000), (day, "new", "start", 1_200), (day, "expansion", "plan_switch", 3_000),
    ]  # fmt: skip
    assert may["fails"] == [(day, "churn", "payment_failed", -1_000), (day, "new", "start", 1_200)]
    period = (date(2026, 5, 1), date(2026, 6, 1))

    def by_currency(measure: str, start: date | None, end: date) -> dict[str, int]:
        return {one.currency: one.amount for one in b.parts.figures.answer(b.ask(measure, start, end)) if one.amount}

    assert by_currency("churned_subscribers", *period) == {"eur": -3}  # who leaves, who is late, whose payment fails
    assert by_currency("new_subscribers", *period) == {"usd": 4}
    assert by_currency("subscribers", None, period[0]) == {"eur": 6}
    assert by_currency("subscribers", None, period[1]) == {"eur": 2, "usd": 6}
    (churn,) = [one for one in b.parts.figures.values(b.ask("logo_churn", *period)) if one.currency == "eur"]
    assert churn.value == Fraction(3, 6)
    moved = ("new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr")
    for currency in ("eur", "usd"):
        opening, closing = (by_currency("mrr", None, end).get(currency, 0) for end in period)
        assert opening + sum(by_currency(name, *period).get(currency, 0) for name in moved) == closing


def test_stripes_mrr_by_customer_is_compared_and_every_difference_has_its_cause(books: Books, tmp_path: Path) -> None:
    b = books
    b.price("p", 1_000)
    b.price("d", 1_200, currency="usd")
    b.price("y", 1_000, "year")
    b.price("untold", None, billing_scheme="tiered", tiers_mode="volume")
    rep = b.coupon("rep", percent_off=50, duration="repeating", duration_in_months=24, end="2098-01-01")
    future = moment("2099-01-01")
    leaving = {"cancel_at_period_end": True, "canceled_at": moment("2026-04-01"), "cancel_at": future}
    trial = {"status": "trialing", "trial_start": moment("2026-04-20"), "trial_end": future}
    one = ("p", 1)
    stripes = {  # what stands on the subscription, what Stripe's file is made to say at the end of May, and the cause
        "same": ((one,), {}, "10.00", None),
        "nothing": ((one,), {"status": "unpaid", "latest_invoice": "in_due"}, "", None),
        "trial": ((one,), trial, "10.00", ("switch", "trials = true")),
        "late": ((one,), {"status": "past_due", "latest_invoice": "in_due"}, "0", ("switch", "past_due = false")),
        "coupon": ((one,), {"discounts": [rep]}, "5.00", ("switch", "repeating = true")),
        "both": ((one, ("y", 12)), {"discounts": [rep]} | leaving, "10.00", ("switch", "cancel = at_period_end and repeating = true")),
        "used": ((one, ("u", 0)), {}, "17.00", ("switch", "metered = last_invoiced")),
        "evening": ((one,), {"since": "2026-05-31T20:00:00"}, "0.00", ("month_end",)),
        "yearly": ((("y", 1),), {}, "0.84", ("rounding",)),  # 10 ÷ 12 = 0.833
        "dollars": ((("d", 1),), {"currency": "usd"}, "11.10", ("other_currency",)),
        "tiers": ((("untold", 3),), {}, "30.00", ("lacking",)),
        "before": ((one,), {"at": SEEN}, "99.99", ("reconstructed",)),
        "absent": ((one,), {}, None, ("unexplained",)),
    }  # fmt: skip
    b.price("u", None, usage_type="metered")
    b.invoice("in_due", created=moment("2026-05-10"), status="open")
    for name, (items, said, *_) in stripes.items():
        b.subscription(name, *items, **{"at": datetime(2026, 5, 31, tzinfo=UTC)} | said)
        b.customer(f"cus_{name}")
    b.usage("in_used", "used", "u", 700, "2026-02-10", "2026-03-10")
    b.flush()
    rows = [
        f"cus_{name},Someone,x@example.org,EUR,{amount}"
        for name, (_, _, amount, _) in stripes.items()
        if amount is not None
    ]
    file = tmp_path / "MRR_per_Subscriber__monthly_2026-05.csv"
    file.write_text(
        "\n".join(["Customer ID,Customer,Customer Email,Currency,2026-05", *rows, "cus_nobody,,,EUR,3.00", ""]), "utf-8"
    )
    found = read_mrr(file)
    assert found is not None
    b.build()
    made = b.parts.stripe_mrr.compare(found, Scope(b.account, True), ZONE)
    causes = {
        one.customer.removeprefix("cus_"): tuple(filter(None, (one.cause, " and ".join(one.switches))))
        for one in made.differences
        if one.currency == "eur"
    }
    assert causes == {name: cause for name, (*_, cause) in stripes.items() if cause} | {"nobody": ("customer_unknown",)}
    assert [
        (one.customer, one.currency, one.stripe, one.ours, one.line)
        for one in made.differences
        if one.currency == "usd"
    ] == [("cus_dollars", "usd", 0, 1_200, None)]
    month = date(2026, 5, 1)
    mrr = b.parts.figures.answer(b.ask("mrr", end=date(2026, 6, 1)))
    assert {key: ours for key, (_, ours) in made.sums.items()} == {(month, one.currency): one.amount for one in mrr}
    assert made.sums[month, "eur"][0] - made.sums[month, "eur"][1] == sum(
        one.stripe - one.ours for one in made.differences if one.currency == "eur"
    )

    # Our own figures, written as Stripe's, tie; without a currency they cannot be read where there are two.
    ours = b.parts.figures.answer(b.ask("mrr", end=date(2026, 6, 1)), by="customer")
    lines = [f"{one.group},{one.currency},{one.amount // 100}.{one.amount % 100:02}" for one in ours]
    file.write_text("\n".join(["Customer ID,Currency,2026-05", *lines]), "utf-8")
    found = read_mrr(file)
    assert found is not None and b.parts.stripe_mrr.compare(found, Scope(b.account, True), ZONE).ties
    file.write_text("Customer ID,2026-05\ncus_same,10.00\n", "utf-8")
    found = read_mrr(file)
    assert found is not None
    with pytest.raises(Invalid, match="does not say its currency"):
        b.parts.stripe_mrr.compare(found, Scope(b.account, True), ZONE)


def test_retention_churn_and_cohorts_are_worked_out_on_customers(books: Books) -> None:
    b = books
    b.price("p", 100)
    end = moment("2026-04-20")

    def customer(name: str, quantity: int, since: str = "2026-01-10", **more: Any) -> None:
        b.subscription(name, ("p", quantity), customer=f"cus_{name}", since=since, **more)

    customer("stays", 10)
    customer("grows", 10)
    customer("shrinks", 10)
    customer("leaves", 10, status="canceled", canceled_at=end, ended_at=end)
    customer("returns", 10, status="canceled", canceled_at=end, ended_at=end)
    b.subscription("back", ("p", 30), customer="cus_returns", since="2026-04-25")
    customer("comes", 50, since="2026-04-15")
    for name, quantity in (("grows", 25), ("shrinks", 4)):
        b.line(f"in_{name}", name, "p", 10, "2026-01-10", "2026-04-10", amount=1)
        b.line(f"in_{name}_2", name, "p", quantity, "2026-04-10", "2026-07-10", amount=1)
        b.subscription(name, ("p", quantity), customer=f"cus_{name}")
    b.build()
    april = (date(2026, 4, 1), date(2026, 5, 1))

    def share(name: str, *period: date) -> list[Fraction | None]:
        return [one.value for one in b.parts.figures.values(b.ask(name, *(period or april)))]

    assert share("nrr") == [Fraction(1_000 + 2_500 + 400, 5_000)]  # who left and came back retains nothing
    assert share("grr") == [Fraction(1_000 + 1_000 + 400, 5_000)]  # capped at the start
    assert share("logo_churn") == [Fraction(2, 5)] and share("logo_churn_stripe") == [Fraction(2, 6)]
    # Nothing stood a year before; over the last days of April only who came back and who came are there from the start.
    assert share("nrr_12") == share("grr_12") == []
    assert share("nrr", date(2026, 4, 28), date(2026, 5, 1)) == [Fraction(1)]
    assert share("nrr", date(2025, 1, 1), date(2025, 2, 1)) == []
    by_month = b.parts.figures.series(b.ask("nrr", date(2026, 2, 1), date(2026, 5, 1)), "month")
    assert [(one.period, one.value) for one in by_month] == [
        (date(2026, 2, 1), 1), (date(2026, 3, 1), 1), (date(2026, 4, 1), Fraction(3_900, 5_000)),
    ]  # fmt: skip
    kept = {one.customer: one.amount for one in b.parts.figures.contributions(b.ask("retained_mrr", *april))}
    assert kept == {"cus_stays": 1_000, "cus_grows": 2_500, "cus_shrinks": 400, "cus_leaves": 0, "cus_returns": 0}
    cells = {
        (cell.cohort, cell.month): (cell.customers, cell.mrr)
        for cell in cohorts(b.parts.figures.ask, date(2026, 5, 1), account=b.account)
    }
    assert cells["2026-01", "2026-03"] == (5, 5_000)
    assert cells["2026-01", "2026-04"] == (4, 1_000 + 2_500 + 400 + 3_000)
    assert cells["2026-04", "2026-04"] == (1, 5_000)
    ratio = b.parts.figures.values(b.ask("quick_ratio", date(2026, 4, 1), date(2026, 5, 1)))
    assert [one.value for one in ratio] == [Fraction(5_000 + 3_000 + 1_500, 600 + 2_000)]


def test_trials_end_well_or_not(books: Books) -> None:
    b = books
    b.price("p", 100)
    start, over = moment("2026-03-01"), moment("2026-03-15")
    trial: dict[str, Any] = {"since": "2026-03-01", "trial_start": start, "trial_end": over}
    b.subscription("won", ("p", 1), **trial)
    early = moment("2026-03-05")
    b.subscription("lost", ("p", 1), status="canceled", canceled_at=early, ended_at=early, **trial)
    b.subscription("no_card", ("p", 1), status="paused", **trial)
    b.subscription(
        "runs",
        ("p", 1),
        since="2026-03-20",
        status="trialing",
        trial_start=moment("2026-03-20"),
        trial_end=moment("2099-01-01"),
    )
    b.build()
    counts = {name: b.total(name) for name in ("trials_started", "trials_ended", "trials_converted")}
    assert counts == {"trials_started": 4, "trials_ended": 3, "trials_converted": 1}
    (rate,) = b.parts.figures.values(b.ask("trial_conversion"))
    assert rate.value == Fraction(1, 3)
    (march,) = b.parts.figures.values(b.ask("trial_conversion"), "cohort")
    assert (march.group, march.value) == ("2026-03", Fraction(1, 3))


def test_opening_and_movements_make_the_closing_of_every_customer(books: Books) -> None:
    """Whatever subscriptions do, in whatever order, for every customer, day and zone; and the two derivations agree."""
    b, dice, uses = books, random.Random(20_261_127), random.Random(1)
    for name, amount, every in (("a", 999, "month"), ("b", 12_345, "year"), ("c", 7, "day")):
        b.price(name, amount, every)
    b.price("u", None, "day", usage_type="metered")
    b.coupon("third", percent_off=33.33)
    for number in range(80):
        customer = f"cus_{number // 3}"
        for day in uses.sample(range(1, 10), number % 4):  # every fourth has no metered item
            b.usage(
                f"in_{number}_{day}",
                f"s{number}",
                "u",
                uses.randint(0, 999),
                f"2026-06-{day:02}",
                f"2026-06-{day + 1:02}",
            )
        for step in sorted(dice.sample(range(24 * 10), dice.randint(1, 5))):
            status = dice.choice(("active", "active", "active", "past_due", "unpaid", "canceled"))
            at = datetime.fromtimestamp(moment("2026-06-01") + step * 3_600, UTC)
            ended: dict[str, Any] = (
                {"ended_at": to_unix(at), "canceled_at": to_unix(at)} if status == "canceled" else {}
            )
            items = [(name, dice.randint(0, 9)) for name in dice.sample("abc", dice.randint(1, 3))]
            items += [("u", 0)] if number % 4 else []
            b.subscription(
                f"s{number}", *items, at=at, source="event", since="2026-06-01T12:00:00", customer=customer, status=status,
                discounts=dice.choice(([], ["di_third"])), **ended,
            )  # fmt: skip
    b.flush()
    totals = set()
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        b.build(zone)
        assert b.differences(zone=zone) == []
        assert _hold_together(b) >= {"new", "reactivation", "expansion", "contraction", "churn"}
        totals.add(b.total("mrr"))
        assert b.total("mrr") == sum(b.total(name) for name in ("gained_mrr", "lost_mrr"))
    assert len(totals) == 1
    both = Policy("both", 1, Switches(cancel="at_period_end", past_due=False, metered="last_invoiced", refunds="out"))
    assert b.differences(both, zone) == []


def _hold_together(b: Books) -> set[str]:
    """Walk through every customer's days; return the movements that were seen."""
    level: dict[tuple[str, str], int] = defaultdict(int)
    ever: set[tuple[str, str]] = set()
    seen: set[str] = set()
    mine = {"account": b.account}
    rows = b.parts.figures.ask(
        "SELECT l.customer, l.currency, l.day, l.part, CAST(SUM(l.amount) AS BIGINT) FROM metrics.mrr_lines AS l "
        "WHERE l.account = $account GROUP BY 1, 2, 3, 4 ORDER BY 3",
        mine,
    )
    for customer, currency, _, part, amount in rows:
        opening, closing = level[customer, currency], level[customer, currency] + amount
        assert closing >= 0
        expected = {
            "new": opening == 0 < closing and (customer, currency) not in ever,
            "reactivation": opening == 0 < closing and (customer, currency) in ever,
            "expansion": 0 < opening < closing,
            "contraction": 0 < closing < opening,
            "churn": closing == 0 < opening,
            "netted": amount == 0,
        }
        assert expected[part], (customer, part, opening, closing)
        seen.add(part)
        level[customer, currency] = closing
        if closing:
            ever.add((customer, currency))
    counted = dict(
        b.parts.figures.ask(
            "SELECT l.currency, CAST(SUM(l.amount) AS BIGINT) FROM metrics.subscriber_lines AS l "
            "WHERE l.account = $account GROUP BY 1",
            mine,
        )
    )
    for currency in {currency for _, currency in level}:
        assert counted.get(currency, 0) == sum(
            1 for (_, other), amount in level.items() if other == currency and amount > 0
        )
    return seen
