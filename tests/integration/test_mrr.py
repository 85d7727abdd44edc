"""Recurring revenue of a company of three years: as the company itself knows it, held by two derivations, under every policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from takings import app, settings
from takings.metrics import Question
from takings.simulator import Simulator
from takings.simulator.company import Company, found
from takings.simulator.growth import EXPIRED, INCOMPLETE, UNPAID
from takings.simulator.market import OFFERS

ZONE = ZoneInfo("Europe/Paris")
PRESENT = datetime(2026, 11, 1, tzinfo=UTC)
DAY_S = 86_400


@pytest.fixture(scope="module")
def parts(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory, load: Callable[[Path], Path]
) -> Iterator[app.App]:
    folder = load(tmp_path_factory.mktemp("mrr"))
    built = app.build(settings.load({**simulator.environ(), "TAKINGS_HOME": str(folder)}))
    list(built.builder.build(str(ZONE)))
    yield built
    built.close()


@pytest.fixture(scope="module")
def company() -> Company:
    """The same company as the simulator draws, with its books open."""
    return found(
        account="acct_1", seed=7, livemode=True, objects=5_000, months=36, end=int(PRESENT.timestamp()), name="Aurore Coffee",
        country="FR", currency="eur",
    )  # fmt: skip


class Truth:
    """What each subscription of the company was worth a month at any moment, from the numbers it was drawn from."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.subs, self.items = company.tables["subscriptions"], company.tables["subscription_items"]
        self.prices, self.lines = company.tables["prices"], company.tables["invoice_line_items"]
        self.invoices = company.tables["invoices"]
        self.changed_at: dict[int, int] = {}
        for line in np.flatnonzero(
            self.lines["kind"] == 2
        ):  # the debit for the rest of a period after a change of plan
            invoice = int(self.lines["invoice"][line])
            sub = int(self.invoices["sub"][invoice])
            cycle = (
                int(self.invoices["created"][invoice])
                if "created" in self.invoices.columns
                else int(self.invoices.created[invoice])
            )
            self.changed_at[sub] = cycle - 30 * DAY_S * int(self.lines["used"][line]) // 100

    def price_of(self, sub: int, tier: int) -> int:
        """Return the row of the list price of a tier, as the subscription's version has it."""
        fits = (
            (self.prices["product"] == tier)
            & (self.prices["interval"] == self.subs["interval"][sub])
            & (self.prices["currency"] == self.subs["currency"][sub])
            & (self.prices["active"] == self.subs["version"][sub])
            & (self.prices["inline"] == 0)
        )
        (row,) = np.flatnonzero(fits)
        return int(row)

    def worth(self, sub: int, at: int) -> int:
        """Return minor units a month."""
        subs = self.subs
        status, cancel = int(subs["status"][sub]), int(subs["cancel"][sub])
        if status in (EXPIRED, INCOMPLETE) or at < int(subs["anchor"][sub]) or (cancel and at >= cancel):
            return 0
        if subs["leaving"][sub] and at >= self.company.end - DAY_S // 2:
            return 0
        if status == UNPAID and at >= int(self.invoices["ended"][int(subs["latest_invoice"][sub])]):
            return 0
        total = 0
        for item in range(int(subs["item"][sub]), int(subs["item"][sub]) + int(subs["items"][sub])):
            price = int(self.items["price"][item])
            if self.items["place"][item] == 0 and sub in self.changed_at and at < self.changed_at[sub]:
                price = self.price_of(sub, int(subs["tier"][sub]))
            amount = Fraction(int(self.prices["amount"][price]) * int(self.items["quantity"][item]))
            if subs["interval"][sub] == 1:
                amount /= 12
            coupon = int(subs["coupon"][sub])
            if coupon >= 0:
                offer = OFFERS[int(self.company.tables["coupons"]["offer"][coupon])]
                if offer.duration == "forever":
                    amount *= 1 - Fraction(str(offer.percent)) / 100
            rate = int(subs["tax_rate"][sub])
            if rate >= 0:
                country = self.company.countries[int(self.company.tables["tax_rates"]["country"][rate])]
                if country.inclusive:
                    amount /= 1 + Fraction(country.tax_bp, 10_000)
            total += round(amount)
        return total

    def total(self, at: int) -> dict[str, int]:
        sums: dict[str, int] = defaultdict(int)
        for sub in range(len(self.subs)):
            if int(self.subs.created[sub]) <= at:
                sums[self.company.currencies[int(self.subs["currency"][sub])]] += self.worth(sub, at)
        return {currency: amount for currency, amount in sums.items() if amount}


def month_ends(first: date, last: date) -> list[date]:
    """Return the first days of the months after each month."""
    days, day = [], first.replace(day=1)
    while day < last:
        day = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
        days.append(day)
    return [one for one in days if one <= last]


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp())


def by_currency(parts: app.App, question: Question) -> dict[str, int]:
    return {one.currency: one.amount for one in parts.figures.answer(question) if one.amount}


def test_reconstructed_history_is_the_companys_at_every_month_end(parts: app.App, company: Company) -> None:
    truth = Truth(company)
    ends = month_ends(date(2023, 11, 1), date(2026, 11, 1))
    assert len(ends) == 36
    seen: set[str] = set()
    for day in ends:
        wanted = truth.total(midnight(day) - 1)
        seen |= set(wanted)
        assert by_currency(parts, Question("mrr", end=day)) == wanted, day
    assert len(seen) > 2


def rows(parts: app.App, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    return parts.warehouse.query(sql, values or None).rows
