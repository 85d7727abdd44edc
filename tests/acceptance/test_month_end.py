"""The month-end page: who sees it, what it says of a month, the row that does not tie, and its files."""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from takings.accounts import Person
from takings.proof import Asked, Part

from .conftest import Look, Site, as_json

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filled(site: Site, ada: Person) -> Site:
    """A company of 400 payments in euros, yen and dinars, whose balance Stripe was asked for today."""
    path = Path(__file__).parents[2] / "benchmarks" / "home.py"
    spec = importlib.util.spec_from_file_location("benchmark_home", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_home"] = module
    spec.loader.exec_module(module)
    module.fill(site.app, 400, 4, datetime.now(UTC).replace(microsecond=0))
    connection = site.app.connections.all()[0]
    sums = site.app.warehouse.query(
        "SELECT currency, CAST(sum(net) AS BIGINT), count(*), max(created) FROM stripe.balance_transactions GROUP BY 1"
    ).rows
    parts = [
        Part(check="balance", state="proven", subject=currency, stripe=net, ours=net, rows=n, as_of=newest)
        for currency, net, n, newest in sums
    ]
    book = site.app.proof.book
    book.end(book.begin(connection.id, Asked()), "proven", parts, requests=2, rows=0, differences=0)
    return site


@pytest.fixture(scope="module")
def month() -> str:
    """The last month that is over."""
    return f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"


@contextmanager
def altered(site: Site, month: str) -> Iterator[tuple[str, str]]:
    """Alter the amount of one transaction of the month for as long as the block lasts; gives its id and currency."""
    identifier, currency = site.app.warehouse.query(
        f"SELECT id, currency FROM stripe.balance_transactions WHERE created >= '{month}-03' "
        "AND currency = 'eur' AND reporting_category = 'charge' ORDER BY created LIMIT 1"
    ).rows[0]
    update = "UPDATE stripe.balance_transactions SET amount = amount {} 700 WHERE id = '{}'"
    with site.app.warehouse._engine.session(write=True) as session:
        session.execute(update.format("+", identifier))
    try:
        yield identifier, currency
    finally:
        with site.app.warehouse._engine.session(write=True) as session:
            session.execute(update.format("-", identifier))


def test_a_month_that_ties_is_green_for_everybody_who_sees_reports(filled: Site, ada: Person, month: str) -> None:
    with filled.client(ada) as client:
        page = as_json(client, "/month-end")
        assert (page["month"], page["state"]) == (month, "proven")
        assert {one["code"] for one in page["currencies"]} >= {"EUR", "JPY"}
        assert {one["state"] for one in page["currencies"]} == {"proven"}
        assert page["untied"] == [] and page["next"] and page["days"][0]["proof"]
        now = as_json(client, f"/month-end?month={datetime.now(UTC):%Y-%m}&currency=jpy")
        assert now["state"] in ("open", "proven") and now["next"] is None
        assert now["days"][-1]["day"] == f"{datetime.now(UTC):%Y-%m-%d}"
    reader = filled.joined(ada, "read_only")
    with filled.client(reader) as client, altered(filled, month) as (identifier, _):
        page = as_json(client, "/month-end")
        assert {one["id"] for one in page["untied"]} == {identifier}
        assert {one["href"] for one in page["untied"]} == {None}, "tables are not for read-only users"
        assert "/tables" not in client.get("/month-end").text
    with filled.client() as stranger:
        assert stranger.get("/month-end").status_code == 303


def test_an_altered_row_is_named_on_the_page_and_in_both_files(filled: Site, ada: Person, month: str) -> None:
    with filled.client(ada) as client, altered(filled, month) as (identifier, currency):
        page = as_json(client, "/month-end")
        assert (page["state"], page["currencies"][0]["code"]) == ("differs", "EUR")
        (row,) = page["untied"]
        assert (row["id"], row["href"], row["difference"]) == (identifier, "/tables/balance_transactions", "€7.00")
        assert identifier in client.get("/month-end").text
        pdf = client.get(page["pdf"])
        assert pdf.headers["content-type"] == "application/pdf"
        assert f"month-end_{month}_{currency}" in pdf.headers["content-disposition"]
        text = "".join(one.extract_text() for one in PdfReader(io.BytesIO(pdf.content)).pages)
        assert identifier in text.replace("\n", "")
        book = load_workbook(io.BytesIO(client.get(page["excel"]).content))
        assert any(identifier in str(cell) for line in book.worksheets[1].iter_rows(values_only=True) for cell in line)


def test_stripes_reports_come_from_the_page(filled: Site, ada: Person, month: str) -> None:
    with filled.client(ada) as client:
        page = as_json(client, f"/month-end?month={month}&currency=jpy")
        for report in page["reports"]:
            for label, href in (*report["summary"], *report["itemized"]):
                answer = client.get(href)
                assert answer.status_code == 200 and answer.content, (report["name"], label)
        href = dict(page["reports"][1]["itemized"])["CSV"]
        rows = list(csv.DictReader(io.StringIO(client.get(href).text)))
        assert rows and {row["currency"] for row in rows} == {"jpy"} and not any("." in row["gross"] for row in rows)
        line = next(one for one in page["summary"] if not one["balance"])
        assert sum(int(row["gross"]) for row in rows) == line["amount"]


@pytest.mark.parametrize(
    "path",
    [
        "/month-end/statement/none",
        "/month-end/reports/none/summary/csv",
        "/month-end/reports/balance_summary/itemized/pdf",
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(filled: Site, ada: Person, path: str) -> None:
    with filled.client(ada) as client:
        assert client.get(path).status_code == 404


def test_what_an_address_cannot_mean_is_left_out_and_told(filled: Site, ada: Person, month: str) -> None:
    with filled.client(ada) as client:
        page = as_json(client, "/month-end?month=2026-13&currency=euro&source=none")
        assert page["month"] == month and len(page["problems"]) == 3
        assert len(as_json(client, "/month-end?currency=sek")["problems"]) == 1
        assert len(as_json(client, "/month-end?month=2999-01")["problems"]) == 1


@pytest.mark.parametrize(("locale", "theme", "width"), [("en", "light", 1280), ("fr", "dark", 390)])
def test_it_can_be_read_in_both_languages_wide_and_narrow(
    filled: Site, ada: Person, look: Callable[..., Look], month: str, locale: str, theme: str, width: int
) -> None:
    with altered(filled, month) as (identifier, _):
        window = look(ada, locale=locale, theme=theme, width=width)
        page = window.at("/month-end")
        assert page.get_by_text(identifier).first.is_visible()
        assert not window.is_too_wide()
        assert window.violations() == []
        assert window.troubles == []
    filled.app.people.set_preferences(ada, locale="en")
