"""Month-end on a simulated company: every day ties with Stripe, every row that does not is named, and reports compare."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from pypdf import PdfReader

from takings import app
from takings import settings as config
from takings.cli import main
from takings.connections import Connection, Credentials
from takings.money import Money
from takings.proof import Asked, Statement
from takings.reports import REPORTS, Comparison, ReportName, Span, to_csv, to_excel, to_pdf
from takings.reports.export import plain
from takings.reports.month_end import document, sheets
from takings.reports.stripe_files import parse_file
from takings.simulator import Options, Simulator
from takings.simulator.simclock import MovableClock
from takings.warehouse import Delivery, Item, Scope
from takings.words import Words

PRESENT = datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))
ALWAYS = (date(2023, 1, 1), date(2026, 11, 1))


class Company:
    """A loaded company, and hands that reach into its warehouse behind the program's back."""

    def __init__(self, home: Path, stripe: Simulator) -> None:
        self.stripe, self.home = stripe, home
        self.clock = MovableClock(stripe.advance(timedelta(0)))
        known = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "error"}
        self.parts = app.build(config.load(known), self.clock)
        credentials = Credentials(way="key", secret=stripe.live_key)
        pending = self.parts.connections.pend(None, credentials, self.parts.connections.probe(credentials))
        self.connection: Connection = self.parts.connections.confirm(None, pending, "Company", None)
        self.scope = Scope(self.connection.account_id, True)

    def load(self) -> None:
        assert self.parts.sync.run_once(self.connection.id).state == "complete"

    def verify(self) -> None:
        assert self.parts.proof.verify(self.connection.id, Asked()).verification.state == "proven"

    def statements(self, days: tuple[date, date] = OCTOBER) -> dict[str, Statement]:
        return self.parts.month_end.statements(self.connection, *days)

    def ask(self, sql: str) -> list[Any]:
        return list(self.parts.warehouse.query(sql).rows)

    def truth(self) -> list[dict[str, Any]]:
        """Return every balance transaction, as the simulator has it."""
        return [dict(one) for one in self.stripe.contents("balance_transactions").values()]

    @contextmanager
    def tampered(self, table: str, *statements: str) -> Iterator[None]:
        """Change a table for as long as the block lasts."""
        engine = self.parts.warehouse._engine
        with engine.session(write=True) as session:
            session.execute(f"CREATE OR REPLACE TABLE raw.kept AS SELECT * FROM stripe.{table}")
            for statement in statements:
                session.execute(statement)
        try:
            yield
        finally:
            with engine.session(write=True) as session:
                session.execute(f"DELETE FROM stripe.{table}")
                session.execute(f"INSERT INTO stripe.{table} SELECT * FROM raw.kept")
                session.execute("DROP TABLE raw.kept")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[Company]:
    options = Options(objects=2_500, test_objects=0, seed=7, end=PRESENT, rate=0, test_rate=0, endpoint_rate=0)
    with Simulator(options) as stripe:
        loaded = Company(furnish(tmp_path_factory.mktemp("month_end")), stripe)
        yield loaded
        loaded.parts.close()


@pytest.fixture(scope="module", autouse=True)
def _before_and_after_it_was_proven(company: Company) -> None:
    company.load()
    found = company.statements()
    assert {one.state for one in found.values()} == {"incomplete"}
    assert {reason.code for one in found.values() for reason in one.reasons} == {"proof.no_balance"}
    company.verify()


def charge_of(company: Company) -> tuple[str, str, int]:
    """Return id, currency and amount of a charge of October that a payout has paid out."""
    rows = company.ask(
        "SELECT t.id, t.currency, t.amount FROM stripe.balance_transactions AS t "
        "JOIN stripe.payout_balance_transactions AS k ON k.balance_transaction = t.id "
        "JOIN stripe.payouts AS p ON p.id = k.payout AND p.created < '2026-11-01' AND p.status = 'paid' "
        "WHERE t.created >= '2026-10-02' AND t.created < '2026-10-20' AND t.reporting_category = 'charge' ORDER BY t.created"
    )
    return (rows[0][0], rows[0][1], rows[0][2])


def named(statement: Statement) -> set[tuple[str, str]]:
    return {(one.kind, one.id) for one in statement.untied}


def test_every_day_is_what_the_company_had_and_the_last_is_stripes(company: Company) -> None:
    nets: dict[tuple[str, date], int] = defaultdict(int)
    for one in company.truth():
        nets[one["currency"], datetime.fromtimestamp(one["created"], UTC).date()] += one["net"]
    found = company.statements(ALWAYS)
    assert set(found) == {currency for currency, _ in nets} and len(found) > 1
    for currency, statement in found.items():
        balance = statement.opening
        assert balance == sum(n for (c, day), n in nets.items() if c == currency and day < ALWAYS[0])
        for day in statement.days:
            assert (day.opening, day.difference) == (balance, 0)
            balance += nets[currency, day.day]
            assert day.closing == balance == day.opening + day.gross - day.fee + day.payouts
        assert statement.state == "proven" and statement.untied == []
        assert statement.proof is not None and statement.proof.stripe == statement.closing
        assert statement.closing == statement.opening + statement.gross - statement.fee + statement.paid_out
        assert sum(one.net for one in statement.categories) == statement.closing - statement.opening


def test_automatic_payouts_tie_and_the_others_say_why_they_cannot(company: Company) -> None:
    states: dict[str, set[str]] = defaultdict(set)
    seen = 0
    for statement in company.statements(ALWAYS).values():
        seen += len(statement.payouts)
        for one in statement.payouts:
            states[one.state].add(one.id)
            assert (one.net == one.amount) == (one.state == "ties")
    rows = company.ask("SELECT id, automatic, status FROM stripe.payouts")
    assert seen == len(rows)
    assert states["manual"] == {key for key, automatic, _ in rows if not automatic} != set()
    assert states["failed"] == {key for key, automatic, status in rows if automatic and status == "failed"}
    assert states["ties"] == {key for key, automatic, status in rows if automatic and status != "failed"} != set()


def test_an_instant_and_an_unsettled_payout_are_not_attributed(company: Company) -> None:
    (one, other) = [
        row[0]
        for row in company.ask("SELECT id FROM stripe.payouts WHERE created >= '2026-10-01' ORDER BY created LIMIT 2")
    ]
    with company.tampered(
        "payouts",
        f"UPDATE stripe.payouts SET method = 'instant' WHERE id = '{one}'",
        f"UPDATE stripe.payouts SET reconciliation_status = 'in_progress' WHERE id = '{other}'",
    ):
        states = {each.id: each for each in (p for s in company.statements().values() for p in s.payouts)}
    assert (states[one].state, states[one].net) == ("instant", None)
    assert (states[other].state, states[other].net) == ("unsettled", None)


@pytest.mark.parametrize("also", ["", ", net = net + 700", ", _hash = 'feedfeedfeedfeedfeedfeedfeedfeed'"])
def test_an_altered_row_is_named_with_what_stripe_sent(company: Company, also: str) -> None:
    changed, currency, amount = charge_of(company)
    with company.tampered(
        "balance_transactions",
        f"UPDATE stripe.balance_transactions SET amount = amount + 700{also} WHERE id = '{changed}'",
    ):
        found = company.statements()
        assert found[currency].state == "differs"
        assert {one.state for name, one in found.items() if name != currency} <= {"proven"}
        fields = {one.field: one for one in found[currency].untied if one.kind == "altered"}
        assert {one.id for one in fields.values()} == {changed}
        assert (fields["amount"].stripe, fields["amount"].ours) == (amount, amount + 700)
        if "net" in also:
            assert {"balance", "payout"} <= {one.kind for one in found[currency].untied}
        else:  # the day does not add up either
            assert [day.difference for day in found[currency].days if day.difference] == [-700]
    assert {(one.state, len(one.untied)) for one in company.statements().values()} == {("proven", 0)}


def test_a_row_of_long_ago_is_found_once_the_balance_does_not_tie(company: Company) -> None:
    (changed, currency) = company.ask(
        "SELECT id, currency FROM stripe.balance_transactions WHERE reporting_category = 'charge' ORDER BY created LIMIT 1"
    )[0]
    with company.tampered(
        "balance_transactions",
        f"UPDATE stripe.balance_transactions SET net = net - 1, fee = fee + 1 WHERE id = '{changed}'",
    ):
        found = company.statements()[currency]
    assert found.state == "differs"
    assert {("altered", changed), ("balance", "")} <= named(found)


def test_a_row_that_is_gone_twice_or_made_up_is_named(company: Company) -> None:
    changed, currency, _ = charge_of(company)
    with company.tampered("balance_transactions", f"DELETE FROM stripe.balance_transactions WHERE id = '{changed}'"):
        assert {("missing", changed), ("balance", "")} <= named(company.statements()[currency])
    copied = (
        f"INSERT INTO stripe.balance_transactions SELECT * {{}} FROM stripe.balance_transactions WHERE id = '{changed}'"
    )
    with company.tampered("balance_transactions", copied.format("")):
        assert {("duplicate", changed), ("balance", "")} <= named(company.statements()[currency])
    with company.tampered("balance_transactions", copied.format("REPLACE ('txn_made_up' AS id)")):
        assert {("altered", "txn_made_up"), ("balance", "")} <= named(company.statements()[currency])


def test_what_a_payout_lost_is_named(company: Company) -> None:
    payout, row, currency = company.ask(
        "SELECT k.payout, k.id, p.currency FROM stripe.payout_balance_transactions AS k JOIN stripe.payouts AS p "
        "ON p.id = k.payout WHERE k.balance_transaction <> p.balance_transaction AND p.created >= '2026-10-01' ORDER BY k.id"
    )[0]
    with company.tampered(
        "payout_balance_transactions", f"DELETE FROM stripe.payout_balance_transactions WHERE id = '{row}'"
    ):
        found = company.statements()[currency]
    assert found.state == "differs"
    assert {("payout", payout), ("missing", row)} <= named(found)


def test_a_transaction_that_came_late_into_a_proven_month_is_named(company: Company) -> None:
    company.clock.advance(timedelta(minutes=1))
    body = {
        "id": "txn_late", "object": "balance_transaction", "created": 1_790_900_000, "available_on": 1_790_900_000, "amount": 500,
        "fee": 20, "net": 480, "currency": "eur", "reporting_category": "charge", "type": "charge", "source": None,
    }  # fmt: skip
    item = Item.of("txn_late", 1_790_900_000, json.dumps(body, separators=(",", ":")).encode())
    now = company.clock.now()
    company.parts.warehouse.writer().write(
        [
            Delivery(
                table="balance_transactions", scope=company.scope, items=(item,), as_of=now, known_at=now, source="list",
                api_version="0",
            )
        ]
    )  # fmt: skip
    try:
        found = company.statements()["eur"]
        assert {("late", "txn_late"), ("balance", "")} <= named(found)
    finally:
        with company.parts.warehouse._engine.session(write=True) as session:
            session.execute("DELETE FROM stripe.balance_transactions WHERE id = 'txn_late'")
            session.execute("DELETE FROM raw.versions WHERE id = 'txn_late'")
    assert company.statements()["eur"].state == "proven"


def test_history_since_a_chosen_day_is_said_to_be_cut(company: Company) -> None:
    cut = replace(company.connection, start_at=datetime(2026, 1, 1, tzinfo=UTC))
    found = company.parts.month_end.statements(cut, *OCTOBER)
    assert {one.state for one in found.values()} == {"incomplete"}
    assert {reason.code for one in found.values() for reason in one.reasons} == {"proof.cut"}


# Stripe's own reports


def totals(company: Company, name: ReportName, span: Span) -> dict[str, int]:
    found = company.parts.stripe_reports.summary(name, span)
    return {one.currency: one.net for one in found if one.category == "total"}


ITEMIZED = [name for name in REPORTS if REPORTS[name][1]]
DAYS = st.dates(date(2024, 6, 1), date(2026, 10, 30))
ZONES = st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata"])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DAYS, st.integers(1, 200), ZONES, st.sampled_from(ITEMIZED))
@example(date(2026, 2, 1), 9, "UTC", "ending_balance_reconciliation")
def test_the_four_reports_tie_for_any_days_in_any_zone(
    company: Company, start: date, length: int, zone: str, name: ReportName
) -> None:
    end = min(start + timedelta(days=length), date(2026, 11, 1))
    span = Span(scope=company.scope, start=start, end=end, zone=zone)
    balance: dict[str, dict[str, int]] = defaultdict(dict)
    for line in company.parts.stripe_reports.balance(span):
        balance[line.currency][line.category] = line.amount
    sums = {each: totals(company, each, span) for each in ITEMIZED}
    for currency, lines in balance.items():
        assert lines["starting_balance"] + lines["activity"] + lines["payouts"] == lines["ending_balance"]
        assert lines["activity_gross"] + lines["activity_fee"] == lines["activity"]
        assert lines["activity"] == sums["balance_change_from_activity"].get(currency, 0)
        assert lines["ending_balance"] == sums["ending_balance_reconciliation"].get(currency, 0)
    if zone == "UTC":
        for currency, statement in company.statements((start, end)).items():
            assert statement.closing + statement.in_transit == balance[currency]["ending_balance"]
            assert statement.gross - statement.fee == balance[currency]["activity"]
    summed: dict[str, int] = defaultdict(int)
    for row in company.parts.stripe_reports.items(name, span):
        summed[row["currency"]] += row["net"]
    assert dict(summed) == sums[name]


def test_payouts_of_a_time_without_manual_ones_are_what_the_reconciliation_comes_to(company: Company) -> None:
    span = Span(scope=company.scope, start=date(2025, 1, 1), end=date(2026, 11, 1))
    paid = {one.currency: one.amount for one in company.parts.stripe_reports.balance(span) if one.category == "payouts"}
    back = company.ask(
        "SELECT currency, CAST(sum(net) AS BIGINT) FROM stripe.balance_transactions "
        "WHERE reporting_category = 'payout_reversal' AND created >= '2025-01-01' GROUP BY 1"
    )
    reversed_ = dict(back)
    for currency, net in totals(company, "payout_reconciliation", span).items():
        assert net == -(paid[currency] - reversed_.get(currency, 0))


def exported(company: Company, name: ReportName, *, itemized: bool, zone: str = "UTC", **more: Any) -> tuple[str, str]:
    span = Span(scope=company.scope, start=OCTOBER[0], end=OCTOBER[1], zone=zone, **more)
    sheet = company.parts.stripe_reports.sheet(name, span, itemized=itemized)
    return f"{sheet.name}.csv", b"".join(to_csv(sheet)).decode()


def compared(company: Company, name: str, text: str, **asked: Any) -> Comparison:
    file = parse_file(name, text)
    scope = (
        company.parts.stripe_compare.owner(file, [company.scope, Scope("acct_other", True)])
        if file.itemized
        else company.scope
    )
    span = company.parts.stripe_compare.span(file, scope, asked.get("days"), asked.get("zone"))
    return company.parts.stripe_compare.compare(file, span, asked.get("report"))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("name", [*REPORTS])
def test_our_own_export_compares_with_nothing_left(company: Company, name: ReportName, zone: str) -> None:
    for itemized in (False, True) if REPORTS[name][1] else (False,):
        file, text = exported(company, name, itemized=itemized, zone=zone)
        found = compared(company, file, text)
        assert found.differences == [] and found.ties and found.rows[0] >= (1 if name != "payout_reconciliation" else 0)
        assert (found.report, found.span.zone, found.span.end) == (name, zone, OCTOBER[1])


def test_without_its_name_a_file_is_told_by_what_it_holds(company: Company) -> None:
    for name in ("balance_change_from_activity", "payout_reconciliation", "ending_balance_reconciliation"):
        _, text = exported(company, name, itemized=True)
        found = compared(company, "export.csv", text, days=OCTOBER)
        assert (found.report, found.differences) == (name, [])
        _, text = exported(company, name, itemized=False)
        assert compared(company, "export.csv", text, days=OCTOBER).report == name


def edited(text: str, row: int, **cells: str) -> str:
    """Return a file with cells of one row changed."""
    rows = list(csv.DictReader(io.StringIO(text)))
    rows[row].update(cells)
    return written(rows)


def written(rows: list[dict[str, str]]) -> str:
    to = io.StringIO()
    writer = csv.DictWriter(to, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return to.getvalue()


def test_each_altered_line_is_named_by_transaction_and_cause(company: Company) -> None:
    name, text = exported(company, "balance_change_from_activity", itemized=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    third = rows[2]["balance_transaction_id"]
    for column, value in (
        ("gross", "123.45" if rows[2]["currency"] != "jpy" else "123"),
        ("reporting_category", "refund"),
        ("created_utc", "2026-10-31 23:59:59"),
        ("automatic_payout_id", "po_other"),
    ):
        (one,) = compared(company, name, edited(text, 2, **{column: value})).differences
        assert (one.id, one.cause, one.field, one.line) == (third, "differs", column, 4)
    (one,) = compared(company, name, written(rows[:2] + rows[3:])).differences
    assert (one.id, one.cause, one.line) == (third, "missing_there", None)
    (one,) = compared(company, name, edited(text, 2, balance_transaction_id="txn_unknown")).differences[:1]
    assert (one.id, one.cause) == ("txn_unknown", "missing_here")
    (one,) = compared(company, name, written([*rows, rows[2]])).differences
    assert (one.id, one.cause, one.line) == (third, "twice", len(rows) + 2)


def test_a_row_of_other_days_or_another_report_says_so(company: Company) -> None:
    name, text = exported(company, "balance_change_from_activity", itemized=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    other, payout = (
        company.ask(f"SELECT id FROM stripe.balance_transactions WHERE {where} ORDER BY created LIMIT 1")[0][0]
        for where in ("created < '2026-09-01' AND reporting_category = 'charge'", "reporting_category = 'payout'")
    )
    for identifier, cause in ((other, "other_days"), (payout, "other_report")):
        found = compared(company, name, written([*rows, rows[0] | {"balance_transaction_id": identifier}]))
        assert found.differences[0].id == identifier and found.differences[0].cause == cause


def test_an_altered_row_here_is_told_from_another_value_there(company: Company) -> None:
    name, text = exported(company, "balance_change_from_activity", itemized=True)
    changed, _, amount = charge_of(company)
    with company.tampered(
        "balance_transactions", f"UPDATE stripe.balance_transactions SET amount = amount + 700 WHERE id = '{changed}'"
    ):
        (one,) = compared(company, name, text).differences
    assert (one.id, one.cause, one.field, one.stripe, one.ours) == (
        changed,
        "altered_here",
        "gross",
        amount,
        amount + 700,
    )


def test_times_in_another_zone_are_told_from_other_times(company: Company) -> None:
    name, text = exported(company, "balance_change_from_activity", itemized=True, zone="Asia/Kolkata")
    rows = [{k: v for k, v in row.items() if not k.endswith("_utc")} for row in csv.DictReader(io.StringIO(text))]
    assert compared(company, name, written(rows)).ties
    found = compared(company, "balance_change_from_activity.csv", written(rows), days=OCTOBER)
    assert not found.ties and found.zone_hint == 5.5


def test_summaries_name_the_category_and_either_sign_of_fees_will_do(company: Company) -> None:
    name, text = exported(company, "balance_change_from_activity", itemized=False)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["reporting_category"] == "charge" and rows[0]["fee"] != "0.00"
    turned = [
        row | {"fee": row["fee"].removeprefix("-") if row["fee"].startswith("-") else f"-{row['fee']}"} for row in rows
    ]
    assert compared(company, name, written(turned)).ties
    differences = compared(company, name, edited(text, 0, count="1")).differences
    assert [(one.id, one.field, one.stripe) for one in differences] == [("charge", "count", 1)]
    name, text = exported(company, "balance_summary", itemized=False)
    differences = compared(company, name, edited(text, 7, net_amount="1.00")).differences
    assert [(one.id, one.field, one.stripe) for one in differences] == [("ending_balance", "net_amount", 100)]


def test_currencies_of_no_and_of_three_decimals_are_written_and_read_exactly(company: Company) -> None:
    scope, now = Scope("acct_yen", True), company.clock.now()
    amounts = {"txn_y": ("jpy", 1234567), "txn_k": ("kwd", -98765), "txn_b": ("bhd", 10)}
    items = [
        Item.of(
            key,
            1_790_900_000,
            json.dumps(
                {"id": key, "created": 1_790_900_000, "amount": n + 5, "fee": 5, "net": n, "currency": currency,
                 "reporting_category": "charge"}, separators=(",", ":"),
            ).encode(),
        )
        for key, (currency, n) in amounts.items()
    ]  # fmt: skip
    company.parts.warehouse.writer().write(
        [
            Delivery(
                table="balance_transactions", scope=scope, items=tuple(items), as_of=now, known_at=now, source="list",
                api_version="0",
            )
        ]
    )  # fmt: skip
    try:
        span = Span(scope=scope, start=OCTOBER[0], end=OCTOBER[1])
        text = b"".join(
            to_csv(company.parts.stripe_reports.sheet("balance_change_from_activity", span, itemized=True))
        ).decode()
        written_ = {row["balance_transaction_id"]: row["net"] for row in csv.DictReader(io.StringIO(text))}
        assert written_ == {"txn_y": "1234567", "txn_k": "-98.765", "txn_b": "0.010"}
        file = parse_file("export.csv", text)
        found = company.parts.stripe_compare.compare(file, span, "balance_change_from_activity")
        assert found.ties and found.sums["kwd"] == (-98765, -98765)
        (one,) = company.parts.stripe_compare.compare(
            parse_file("export.csv", text.replace("-98.765", "-98.764")), span, "balance_change_from_activity"
        ).differences
        assert (one.id, one.stripe, one.ours) == ("txn_k", -98764, -98765)
        other = replace(company.connection, id="none", account_id="acct_yen")
        statements = company.parts.month_end.statements(other, *OCTOBER)
        assert {currency: one.closing for currency, one in statements.items()} == {
            "jpy": 1234567, "kwd": -98765, "bhd": 10,
        }  # fmt: skip
    finally:
        company.parts.warehouse.purge(scope)


# Files


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_pdf_and_the_excel_file_say_what_the_statement_says(company: Company, tmp_path: Path, locale: str) -> None:
    words = Words(locale)
    changed, currency, _ = charge_of(company)
    with company.tampered(
        "balance_transactions", f"UPDATE stripe.balance_transactions SET amount = amount + 700 WHERE id = '{changed}'"
    ):
        one = company.statements()[currency]
    pdf, excel = tmp_path / "a.pdf", tmp_path / "a.xlsx"
    to_pdf(document(one, words), pdf, words)
    pages = [page.extract_text() for page in PdfReader(pdf).pages]
    text = " ".join("\n".join(pages).split())
    for sentence in (words("month_end.state_differs", n=1), words("month_end.closing"), words("month_end.days")):
        assert " ".join(sentence.replace("\u202f", "\u00a0").split()) in text
    assert changed in text.replace(" ", "")
    assert words("month_end.page_of", page=len(pages), pages=len(pages)) in " ".join(pages[-1].split())
    assert all(line.id in text.replace(" ", "") for line in one.payouts)
    first, *more = sheets(one, words)
    to_excel(first, excel, *more)
    book = load_workbook(excel)
    titles = [sheet.title for sheet in book.worksheets]
    assert len(titles) == 6 and titles[1] == words("month_end.untied")[:26]
    cells = list(book[words("month_end.days")].iter_rows(min_row=2, values_only=True))
    assert [round(row[5] * 100) for row in cells] == [day.closing for day in one.days]
    assert sum(round(row[6] * 100) for row in cells) == -700
    assert any(changed in str(row) for row in book.worksheets[1].iter_rows(values_only=True))


def test_the_commands_name_the_row_and_end_with_one(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**company.stripe.environ(), "TAKINGS_HOME": str(company.home)}.items():
        monkeypatch.setenv(name, value)
    changed, currency, _ = charge_of(company)
    file = tmp_path / "activity.csv"
    period = ["--period", "2026-10"]
    assert main(["report", "balance_change_from_activity", *period, "--itemized", "-o", str(file)]) == 0
    assert main(["compare", str(file), *period]) == 0
    assert "Everything ties." in capfd.readouterr().out
    assert main(["month-end", *period]) == 0
    assert main(["month-end", *period, "--currency", currency, "-o", str(tmp_path / "a.pdf"), "--language", "fr"]) == 0
    assert "Fin de mois" in PdfReader(tmp_path / "a.pdf").pages[0].extract_text()
    assert main(["report", "balance_summary", *period, "--format", "pdf", "-o", str(tmp_path / "b")]) == 0
    assert "starting_balance" in PdfReader(tmp_path / "b").pages[0].extract_text()
    capfd.readouterr()
    with company.tampered(
        "balance_transactions",
        f"UPDATE stripe.balance_transactions SET amount = amount + 700, net = net + 700 WHERE id = '{changed}'",
    ):
        assert main(["month-end", *period]) == 1
        assert changed in capfd.readouterr().out
        assert main(["month-end", *period, "--json"]) == 1
        said = {one["currency"]: one for one in json.loads(capfd.readouterr().out)}
        assert said[currency]["state"] == "differs" and changed in {one["id"] for one in said[currency]["untied"]}
        assert main(["compare", str(file), *period, "--json"]) == 1
        found = json.loads(capfd.readouterr().out)
        assert {(one["id"], one["cause"]) for one in found["differences"]} == {(changed, "altered_here")}
    assert main(["report", "balance_change_from_activity", *period, "--itemized", "--format", "pdf", "-o", "x"]) == 2
    company.parts.builder.build("UTC")
    rows = company.ask(
        "SELECT l.customer, l.currency, CAST(SUM(l.amount) AS BIGINT) AS minor FROM metrics.mrr_lines AS l "
        "WHERE l.day < DATE '2026-11-01' GROUP BY 1, 2 HAVING SUM(l.amount) > 0 ORDER BY 1, 2"
    )
    lines = [f"{customer},{currency},{plain(Money(minor, currency))}" for customer, currency, minor in rows]
    mrr = tmp_path / "MRR_per_Subscriber__monthly_2026-10.csv"
    mrr.write_text("\n".join(["Customer ID,Currency,2026-10", *lines]), "utf-8")
    assert len(rows) > 10 and main(["compare", str(mrr)]) == 0
    assert "Everything ties." in capfd.readouterr().out
    mrr.write_text("\n".join(["Customer ID,Currency,2026-10", *lines[1:]]), "utf-8")
    assert main(["compare", str(mrr), "--json"]) == 1
    (left,) = json.loads(capfd.readouterr().out)["differences"]
    assert (left["customer"], left["currency"], left["file"], left["here"]) == (rows[0][0], rows[0][1], 0, rows[0][2])
    assert main(["compare", str(mrr)]) == 1
    assert rows[0][0] in capfd.readouterr().out
    assert main(["compare", str(file), "--report", "mrr_per_subscriber"]) == 2
    assert main(["month-end", *period, "-o", str(tmp_path / "a.pdf")]) == 2
    assert main(["compare", str(tmp_path / "a.pdf"), *period]) == 2
    capfd.readouterr()


def test_each_day_on_which_stripe_is_asked_is_green(company: Company) -> None:
    charges = [
        key
        for key, one in sorted(company.stripe.contents("charges").items())
        if one["status"] == "succeeded" and one["captured"] and not one["amount_refunded"] and not one["disputed"]
    ]
    for turn in range(3):
        company.stripe.advance(timedelta(days=1))
        company.clock.advance(timedelta(days=1))
        company.stripe.change("refund", id=charges[turn], amount=100)
        company.stripe.change("settle")
        company.stripe.change("pay_out", currency="eur")
        company.load()
        parts = company.parts.proof.verify(company.connection.id, Asked()).verification.parts
        assert {part.state for part in parts if part.check in ("balance", "payouts")} == {"proven"}
        # A day's leap may leave a list older than promised, and no row other than Stripe's.
        assert {part.state for part in parts if part.check != "freshness"} == {"proven", "unchecked"}
        assert not [path for _, path, _, _ in company.stripe.requests(5_000) if path.endswith("/")]
    found = company.statements((date(2026, 11, 1), date(2026, 12, 1)))
    for one in found.values():
        assert (one.state, one.untied) == ("open", [])
        assert [day.day for day in one.days if day.checkpoint] == [date(2026, 11, day) for day in (1, 2, 3, 4)]
        assert all(day.checkpoint.ties for day in one.days if day.checkpoint)
    assert sum(one.count for each in found.values() for one in each.categories if one.category == "refund") == 3
    assert {one.state for one in company.statements().values()} == {"proven"}
