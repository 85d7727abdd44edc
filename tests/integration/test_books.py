"""Closed months: they stay as booked, what comes later is a correction, and nothing is lost or counted twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from takings import app, settings
from takings.cli import main
from takings.errors import Invalid
from takings.metrics import Books, Builder, Question
from takings.simulator.simclock import MovableClock
from takings.warehouse import Delivery, Item, Scope

SCOPE = Scope("acct_1", True)
JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (1, 2, 3, 4))


class Company:
    """A warehouse in which things become known over time."""

    def __init__(self, home: Path, *models: str) -> None:
        self.clock = MovableClock(datetime(2026, 1, 20, 12, tzinfo=UTC))
        self.app = app.build(settings.load({"TAKINGS_HOME": str(home)}), self.clock)
        self.builder = Builder(self.app.warehouse, self.app.registry.only(*(models or ("money_lines",))), self.clock)

    def put(self, name: str, day: date, amount: int, *, gone: bool = False) -> None:
        """Write the balance transaction of a charge."""
        created = int(datetime(day.year, day.month, day.day, 9, tzinfo=UTC).timestamp())
        body = {"id": name, "created": created, "amount": amount, "fee": 0, "net": amount, "currency": "eur"}
        item = Item.of(name, created, json.dumps({**body, "reporting_category": "charge"}).encode())
        now = self.clock.now()
        self.app.warehouse.writer().write(
            [
                Delivery(
                    table="balance_transactions",
                    scope=SCOPE,
                    items=(item,),
                    as_of=now,
                    known_at=now,
                    source="list",
                    api_version="0",
                    deleted=gone,
                )
            ]
        )

    def build(self) -> None:
        """Bring the figures up to date."""
        self.builder.build("UTC")

    def until(self, day: date) -> None:
        """Let time pass."""
        self.clock.advance(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - self.clock.now())

    def booked(self, month: date) -> tuple[int, int]:
        """Return what is the month's own, and its corrections."""
        found = self.app.books.booked(Question("gross_volume", month))
        return (found[0].own, found[0].corrections) if found else (0, 0)

    def known(self, month: date) -> int:
        """Return what is known of a month now."""
        end = (month + timedelta(days=31)).replace(day=1)
        return sum(one.amount for one in self.app.figures.answer(Question("gross_volume", month, end)))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Company]:
    """January is closed on 3 February, February on 5 March, and things of both become known later."""
    made = Company(furnish(tmp_path_factory.mktemp("books")))
    with closing(made.app):
        made.put("txn_1", date(2026, 1, 10), 100)
        made.put("txn_2", date(2026, 1, 12), 50)
        made.build()
        made.until(date(2026, 2, 2))
        made.put("txn_3", date(2026, 1, 31), 7)  # late, but January is still open
        made.put("txn_4", date(2026, 2, 1), 1_000)
        made.build()
        made.until(date(2026, 2, 3))
        made.app.books.close(None, JANUARY, date(2026, 2, 3))
        made.until(date(2026, 2, 10))
        made.put("txn_1", date(2026, 1, 10), 80)  # what is known of January changes
        made.put("txn_5", date(2026, 2, 9), 2_000)
        made.build()
        made.until(date(2026, 3, 5))
        made.app.books.close(None, FEBRUARY, date(2026, 3, 5))
        made.until(date(2026, 3, 9))
        made.put("txn_2", date(2026, 1, 12), 50, gone=True)  # of January, known in March
        made.put("txn_6", date(2026, 2, 20), 30)  # of February
        made.put("txn_7", date(2026, 3, 8), 400)
        made.build()
        yield made


def test_a_closed_month_stays_and_what_comes_later_is_booked_to_the_open_one(company: Company) -> None:
    assert company.booked(JANUARY) == (157, 0)
    assert company.booked(FEBRUARY) == (3_000, -20)
    assert company.booked(MARCH) == (400, -50 + 30)
    assert [company.known(month) for month in (JANUARY, FEBRUARY, MARCH)] == [87, 3_030, 400]
    booked = sum(sum(company.booked(month)) for month in (JANUARY, FEBRUARY, MARCH))
    assert booked == sum(company.known(month) for month in (JANUARY, FEBRUARY, MARCH))


def test_corrections_name_the_objects(company: Company) -> None:
    def lines(month: date) -> list[tuple[int, str, int]]:
        found = company.app.books.corrections(Question("gross_volume", month))
        return [(sign, one.source, one.amount) for sign, one in found]

    assert lines(JANUARY) == []
    assert lines(FEBRUARY) == [(-1, "txn_1", 100), (1, "txn_1", 80)]
    assert sorted(lines(MARCH)) == [(-1, "txn_2", 50), (1, "txn_6", 30)]


def test_restatements_say_which_past_figure_changed_when_and_by_what(company: Company) -> None:
    question = Question("gross_volume")
    found = company.app.books.restatements(question, "UTC")
    said = [(one.known_at.date(), one.month, one.amount, one.came, one.gone) for one in found]
    assert said == [
        (date(2026, 3, 9), FEBRUARY, 30, 1, 0),
        (date(2026, 3, 9), JANUARY, -50, 0, 1),
        (date(2026, 2, 10), JANUARY, -20, 1, 1),
        (date(2026, 2, 2), JANUARY, 7, 1, 0),
    ]
    lines = company.app.books.restated(question, "UTC", found[2])
    assert [(sign, one.source, one.amount) for sign, one in lines] == [(-1, "txn_1", 100), (1, "txn_1", 80)]
    assert company.app.books.restatements(Question("gross_volume", MARCH), "UTC") == []
    # A zone in which everything falls on other days is a new definition, and no news from Stripe.
    company.builder.build("Pacific/Auckland")
    assert company.app.books.restatements(question, "UTC") == found
    company.builder.build("UTC")


def test_what_a_first_load_brings_restates_nothing(company: Company) -> None:
    """Through the first build after the load was over; what another account does meanwhile is not hidden by it."""
    made = company.app

    def months(account: str, over: datetime | None) -> list[tuple[date, int]]:
        books = Books(made.figures, made.store, made.audit, made.clock, lambda: [(account, True, over)])
        return [(one.known_at.date(), one.amount) for one in books.restatements(Question("gross_volume"), "UTC")]

    everything = months("acct_other", None)
    assert len(everything) == 4
    assert months("acct_1", None) == []
    assert months("acct_1", datetime(2026, 2, 9, tzinfo=UTC)) == everything[:2]
    assert months("acct_1", datetime(2026, 1, 1, tzinfo=UTC)) == everything
    assert made.books.restatements(Question("gross_volume"), "UTC")  # no connection: nothing is being loaded


def test_months_are_closed_in_order_once_they_have_ended(company: Company) -> None:
    books = company.app.books
    assert [one.month for one in books.closings()] == [FEBRUARY, JANUARY]
    for month, today, said in (
        (MARCH, date(2026, 3, 31), "has not ended"),
        (FEBRUARY, date(2026, 4, 1), "closed already"),
        (JANUARY, date(2026, 4, 1), "closed already"),
    ):
        with pytest.raises(Invalid, match=said):
            books.close(None, month, today)
    with pytest.raises(Invalid, match="not closed"):
        books.reopen(None, APRIL)
    with pytest.raises(Invalid, match="one month"):
        books.booked(Question("gross_volume", date(2026, 1, 2)))


def test_the_command_line_closes_shows_and_opens(
    company: Company, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAKINGS_HOME", str(company.app.settings.home))

    def run(*arguments: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = main(["books", *arguments, *(["--json"] if arguments[:1] not in (("close",), ("reopen",)) else [])])
        out = capfd.readouterr().out
        return code, json.loads(out) if out.startswith(("[", "{")) else out

    assert [one["month"] for one in run()[1]] == ["2026-02", "2026-01"]
    said = run("show", "gross_volume", "2026-03")[1]
    assert said["booked"] == [{"currency": "eur", "amount": 380, "own": 400, "corrections": -20}]
    assert {one["id"] for one in said["corrections"]} == {"txn_2", "txn_6"}
    found = run("restatements", "gross_volume", "--period", "2026-01", "--lines")[1]
    assert [one["amount"] for one in found] == [-50, -20, 7] and found[0]["lines"][0]["id"] == "txn_2"
    assert main(["books", "show", "gross_volume", "2026-03"]) == 0 == main(["books", "restatements", "gross_volume"])
    assert "3.80" in capfd.readouterr().out
    assert run("show", "gross_volume", "March")[0] == 2 == run("show", "fee_rate", "2026-03")[0]
    # The command line has the machine's clock: March has ended for it.
    assert run("close", "2026-03")[0] == 0
    assert run("close", "2026-03")[0] == 2
    assert run("reopen", "2026-01")[0] == 0 and run()[1] == []
    assert company.booked(JANUARY) == (87, 0)


def test_statements_leave_closed_months_as_they_were_closed(
    furnished: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    company = Company(furnished, "journal_lines")
    with closing(company.app) as made:
        company.put("txn_1", date(2026, 1, 10), 100)
        company.put("txn_2", date(2026, 1, 12), 50)
        company.build()
        company.until(date(2026, 2, 3))
        made.books.close(None, JANUARY, date(2026, 2, 3))
        company.until(date(2026, 2, 10))
        company.put("txn_1", date(2026, 1, 10), 80)
        company.put("txn_2", date(2026, 1, 12), 50, gone=True)
        company.put("txn_5", date(2026, 2, 9), 2_000)
        company.build()
        company.until(date(2026, 3, 5))

        def ledger(start: date, end: date) -> dict[str, tuple[int, int, int, int]]:
            found = made.journal.booked_balances(made.books, start, end)
            assert sum(one.opening for one in found) == sum(one.closing for one in found) == 0
            assert sum(one.corrections for one in found) == 0
            return {one.account: (one.opening, one.change, one.corrections, one.closing) for one in found}

        assert ledger(JANUARY, FEBRUARY)["Revenue"] == (0, 150, 0, -150)
        assert ledger(FEBRUARY, MARCH)["Revenue"] == (-150, 1_930, 70, -2_080)
        assert ledger(FEBRUARY, MARCH)["Cash"] == (150, 1_930, -70, 2_080)
        assert ledger(JANUARY, MARCH)["Revenue"] == (0, 2_080, 0, -2_080)  # all of it is the period's own
        (shown,) = made.books.booked(Question("ledger_revenue", FEBRUARY))
        assert (shown.own, shown.corrections) == (-2_000, 70)
        known = {one.account: one.closing for one in made.journal.balances(JANUARY, MARCH)}
        assert {name: closing for name, (*_, closing) in ledger(FEBRUARY, MARCH).items()} == known

        def entries(start: date, end: date) -> list[tuple[str, str, int, bool]]:
            found = made.journal.booked_entries(made.books, start, end)
            return [
                (one.source, f"{one.debit} {one.credit}", one.amount, one.correction)
                for one in found
                if "Revenue" in (one.debit, one.credit)
            ]

        ((january, sides, *_), *_) = entries(JANUARY, FEBRUARY)
        back = " ".join(reversed(sides.split()))
        assert january == "txn_1" and entries(JANUARY, FEBRUARY) == [
            ("txn_1", sides, 100, False),
            ("txn_2", sides, 50, False),
        ]
        assert sorted(entries(FEBRUARY, MARCH)) == sorted(
            [
                ("txn_1", back, 100, True),
                ("txn_1", sides, 80, True),
                ("txn_2", back, 50, True),
                ("txn_5", sides, 2_000, False),
            ]
        )
        for start, end, said in (
            (date(2026, 1, 2), FEBRUARY, "whole months"),
            (FEBRUARY, date(2026, 2, 20), "whole months"),
            (MARCH, APRIL, "2026-03 has not ended"),
        ):
            with pytest.raises(Invalid, match=said):
                made.journal.booked_balances(made.books, start, end)

    monkeypatch.setenv("TAKINGS_HOME", str(furnished))

    def run(*arguments: str) -> Any:
        capfd.readouterr()
        assert main([*arguments, "--period", "2026-02", "--format", "json"]) == 0
        return json.loads(capfd.readouterr().out)

    (revenue,) = (row for row in run("income-statement", "--booked") if row["account"] == "Revenue")
    assert (revenue["amount"], revenue["corrections"]) == ("19.30", "-0.70")
    assert all("corrections" not in row for row in run("income-statement"))
    assert run("income-statement", "--booked")[-1] == {
        "currency": "eur", "account": "net_income", "type": None, "amount": "19.30", "corrections": "-0.70",
    }  # fmt: skip
    lines = run("journal", "--booked")
    assert {row["accounting_period"] for row in lines} == {"2026-02"} and sum(row["correction"] for row in lines) == 6
