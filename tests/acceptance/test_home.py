"""Home, the rows behind it and its files, over HTTP and in a browser, on a company whose books are added up here again."""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openpyxl import load_workbook

from takings.accounts import Person

from .conftest import Look, Site, as_json, cold_bytes

PARIS = ZoneInfo("Europe/Paris")
PAYMENTS, MONTHS = 2_500, 14
GROSS = ("charge", "partial_capture_reversal", "charge_failure")


def _benchmark() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "home.py"
    spec = importlib.util.spec_from_file_location("benchmark_home", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_home"] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Books:
    """The company's objects as they were written."""

    objects: dict[str, list[dict[str, Any]]]
    today: date

    def of(self, table: str, currency: str, first: date, last: date) -> list[dict[str, Any]]:
        return [
            one
            for one in self.objects[table]
            if one["currency"] == currency
            and first <= datetime.fromtimestamp(one["created"], UTC).astimezone(PARIS).date() <= last
        ]

    def volume(self, currency: str, first: date, last: date) -> dict[str, int]:
        found: dict[str, int] = defaultdict(int)
        for one in self.of("balance_transactions", currency, first, last):
            part = {"refund": "refunds", "dispute": "disputes"}.get(one["reporting_category"], "gross")
            assert part != "gross" or one["reporting_category"] in GROSS
            found[part] += one["amount"]
            found["fees"] -= one["fee"]
            found["net"] += one["net"]
        return found


@pytest.fixture(scope="module")
def books(site: Site, ada: Person) -> Books:
    benchmark = _benchmark()
    now = datetime.now(UTC).replace(microsecond=0)
    benchmark.fill(site.app, PAYMENTS, MONTHS, now)
    objects: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table, body in benchmark.objects(PAYMENTS, now, MONTHS):
        objects[table].append(body)
    return Books(objects, now.astimezone(PARIS).date())


@pytest.fixture(scope="module")
def reader(site: Site, ada: Person) -> Person:
    return site.joined(ada, "read_only")


def tiles(card: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in card["tiles"] + card["small"]}


@pytest.mark.parametrize("currency", ["eur", "jpy", "kwd"])
@pytest.mark.parametrize("span", [7, 30, 200])
def test_figures_are_those_of_the_books(site: Site, ada: Person, books: Books, currency: str, span: int) -> None:
    first = books.today - timedelta(days=span - 1)
    query = f"/?from={first}&to={books.today}&currency={currency}"
    with site.client(ada) as client:
        page = as_json(client, query)
    expected = books.volume(currency, first, books.today)
    figures = tiles(page["volume"])
    assert figures == {key: expected[key] for key in figures}
    assert figures["net"] == sum(figures[key] for key in ("gross", "refunds", "disputes", "fees"))
    intents = books.of("payment_intents", currency, first, books.today)
    payments = tiles(page["payments"])
    assert payments["succeeded"] == sum(one["status"] == "succeeded" for one in intents)
    assert payments["failed"] == sum(one["last_payment_error"] is not None for one in intents)
    assert payments.get("uncaptured", 0) == sum(one["status"] == "requires_capture" for one in intents)
    charges = books.of("charges", currency, first, books.today)
    attempts = tiles(page["attempts"])
    assert attempts["authorized"] == sum(one["status"] == "succeeded" for one in charges)
    assert attempts["declined"] == sum(one["outcome"]["type"] == "issuer_declined" for one in charges)
    assert attempts["blocked"] == sum(one["outcome"]["type"] == "blocked" for one in charges)


def test_open_invoices_are_those_of_the_books(site: Site, ada: Person, books: Books) -> None:
    due = [one for one in books.objects["invoices"] if one["status"] == "open" and one["currency"] == "eur"]
    with site.client(ada) as client:
        receivables = as_json(client, "/")["receivables"]
    assert receivables["tiles"][0]["value"] == sum(one["amount_remaining"] for one in due) > 0
    assert sum(age["invoices"] for age in receivables["ages"]) == len(due)
    assert sum(age["amount"] for age in receivables["ages"]) == receivables["tiles"][0]["value"]
    assert sum(age["amount"] for age in receivables["ages"][1:]) == receivables["tiles"][1]["value"]


@pytest.mark.parametrize("query", ["/?range=90d", "/?range=12m&grain=week&currency=jpy", "/?range=month&compare=year"])
def test_every_figure_leads_to_rows_that_add_up_to_it(site: Site, ada: Person, books: Books, query: str) -> None:
    with site.client(ada) as client:
        page = as_json(client, query)
        cards = [page["volume"], page["payments"], page["attempts"]]
        all_tiles = [one for card in cards for one in card["tiles"] + card["small"]]
        all_tiles += page["receivables"]["tiles"] if page["receivables"] else []
        for one in all_tiles:
            rows = as_json(client, one["href"])
            assert rows["value"] == one["value"]
            if isinstance(one["value"], float) or one["value"] is None:
                continue
            is_money = one["key"] in ("gross", "refunds", "disputes", "fees", "net", "open", "overdue")
            assert (rows["sum"] if is_money else rows["count"]) == one["value"]
            assert one["key"] != "net" or rows["count"] > 50
        for age in page["receivables"]["ages"] if page["receivables"] else []:
            assert as_json(client, age["href"])["sum"] == age["amount"]
        for decline in page["declines"]:
            assert as_json(client, decline["href"])["count"] == decline["attempts"]


def test_every_point_leads_to_its_rows(site: Site, ada: Person, books: Books) -> None:
    with site.client(ada) as client:
        chart = as_json(client, "/?range=90d&grain=week")["volume"]["chart"]
        checked = 0
        for series in chart["series"]:
            for href, value in zip(series["hrefs"], series["values"], strict=False):
                if href and checked % 3 == 0:
                    assert as_json(client, href)["sum"] == value
                checked += bool(href)
        assert checked > 20


def test_pages_of_rows_together_are_all_of_them(site: Site, ada: Person, books: Books) -> None:
    with site.client(ada) as client:
        at, found, amount = "/rows?figure=net&range=90d", 0, 0
        while at:
            page = as_json(client, at)
            found, amount, at = (
                found + len(page["rows"]),
                amount + sum(row["amount"] for row in page["rows"]),
                page["next"],
            )
        assert (found, amount) == (page["count"], page["sum"])
        beyond = as_json(client, "/rows?figure=net&range=90d&page=9999")
        assert beyond["rows"] == page["rows"]


def test_rows_link_into_stripes_dashboard(site: Site, ada: Person, books: Books) -> None:
    with site.client(ada) as client:
        (row, *_) = as_json(client, "/rows?figure=gross")["rows"]
        assert row["stripe"].startswith("https://dashboard.stripe.com/payments/pi_")
        assert row["customer_stripe"].startswith("https://dashboard.stripe.com/customers/cus_")
        (invoice, *_) = as_json(client, "/rows?figure=open")["rows"]
        assert invoice["stripe"] == f"https://dashboard.stripe.com/invoices/{invoice['id']}"


def test_the_chart_as_csv_and_excel(site: Site, reader: Person, books: Books) -> None:
    query = "range=12m&grain=month&currency=kwd"
    with site.client(reader) as client:
        chart = as_json(client, f"/?{query}")["volume"]["chart"]
        answer = client.get(f"/export/volume/csv?{query}")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "attachment" in answer.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        net = next(series for series in chart["series"] if series["name"] == "Net")
        assert [int(row["net_minor"]) for row in rows] == net["values"]
        assert [row["first_day"] for row in rows] == chart["points"]
        assert {row["currency"] for row in rows} == {"KWD"}
        assert all(row["net"] == f"{int(row['net_minor']) / 1000:.3f}" for row in rows)
        assert rows[0]["compared_first_day"] < rows[0]["first_day"]
        book = load_workbook(io.BytesIO(client.get(f"/export/volume/excel?{query}").content))
        header = [cell.value for cell in book.worksheets[0][1]]
        column = header.index("Net") + 1
        cells = [book.worksheets[0].cell(row, column) for row in range(2, len(rows) + 2)]
        assert [round(cell.value * 1000) for cell in cells] == net["values"]
        assert {cell.number_format for cell in cells} == {"#,##0.000"}


def test_lists_are_exported_whole(site: Site, reader: Person, books: Books) -> None:
    with site.client(reader) as client:
        rows = as_json(client, "/rows?figure=net&range=12m")
        exported = list(csv.DictReader(io.StringIO(client.get(rows["exports"]["csv"]).text, newline="")))
        assert len(exported) == rows["count"] > 1_000
        assert sum(int(row["amount_minor"]) for row in exported) == rows["sum"]
        book = load_workbook(io.BytesIO(client.get(rows["exports"]["excel"]).content))
        assert book.worksheets[0].max_row == rows["count"] + 1
        latest = list(csv.DictReader(io.StringIO(client.get("/export/latest/csv?range=12m").text, newline="")))
        attempts = as_json(client, "/rows?figure=attempts&range=12m")
        assert len(latest) == attempts["count"]
        declines = list(csv.DictReader(io.StringIO(client.get("/export/declines/csv?range=12m").text, newline="")))
        assert (
            sum(int(row["attempts"]) for row in declines)
            == as_json(client, "/?range=12m")["attempts"]["tiles"][2]["value"]
        )


def test_who_may_see_and_export(site: Site, ada: Person, reader: Person, books: Books) -> None:
    with site.client() as stranger:
        for path in ("/", "/rows?figure=net", "/export/volume/csv"):
            answer = stranger.get(path)
            assert answer.status_code in (302, 303, 307)
            assert answer.headers["location"].startswith("/sign-in")
        assert stranger.get("/export/rows/csv?figure=net", headers={"accept": "application/json"}).status_code == 401
    with site.client(reader) as client:
        for path in ("/", "/rows?figure=net", "/export/volume/csv", "/export/rows/excel?figure=net"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("range=fortnight", "“range” in the address cannot be “fortnight”"),
        ("from=2026-02-30", "“2026-02-30” is not a day"),
        ("currency=xyz", "“currency” in the address cannot be “xyz”"),
        ("source=nobody", "“source” in the address cannot be “nobody”"),
        ("zone=Mars", "“zone” in the address cannot be “Mars”"),
        ("grain=%3Cscript%3E", "“grain” in the address cannot be “<script>”"),
    ],
)
def test_a_bad_address_is_named_and_the_page_still_answers(
    site: Site, ada: Person, books: Books, query: str, said: str
) -> None:
    with site.client(ada) as client:
        page = as_json(client, f"/?{query}")
        assert [problem for problem in page["problems"] if said in problem]
        assert page["volume"]["tiles"]
        answer = client.get(f"/?{query}")
        assert answer.status_code == 200
        assert "<script>”" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/rows", 404),
        ("/rows?figure=none", 404),
        ("/rows?figure=net&at=yesterday", 422),
        ("/rows?figure=net&at=1999-01-01", 422),
        ("/export/none/csv", 404),
        ("/export/volume/pdf", 404),
        ("/rows?figure=net&page=-1", 200),
        ("/rows?figure=declined&detail=%27%20OR%201%3D1", 200),
    ],
)
def test_addresses_that_lead_nowhere(site: Site, ada: Person, books: Books, path: str, status: int) -> None:
    with site.client(ada) as client:
        answer = client.get(path)
        assert answer.status_code == status
        if "OR" in path:
            assert as_json(client, path)["count"] == 0


def test_the_same_days_in_another_zone_are_other_moments(site: Site, ada: Person, books: Books) -> None:
    day = books.today - timedelta(days=40)
    with site.client(ada) as client:
        per_zone = {
            zone: as_json(client, f"/rows?figure=attempts&from={day}&to={day}&zone={zone}")["count"]
            for zone in ("Europe/Paris", "Asia/Tokyo", "UTC")
        }
    for zone, count in per_zone.items():
        expected = [
            one
            for one in books.objects["charges"]
            if one["currency"] == "eur" and datetime.fromtimestamp(one["created"], ZoneInfo(zone)).date() == day
        ]
        assert count == len(expected)


def test_where_nothing_is_connected_yet(make_site: Callable[..., Site]) -> None:
    fresh = make_site()
    admin = fresh.administrator()
    standard = fresh.joined(admin, "standard")
    with fresh.client(admin) as client:
        assert as_json(client, "/")["empty"] == "connect"
        assert 'href="/admin/connections/new"' in client.get("/").text
        assert client.get("/rows?figure=net").status_code == 404
        assert client.get("/export/volume/csv").status_code == 404
    with fresh.client(standard) as client:
        page = client.get("/").text
        assert 'href="/admin/connections/new"' not in page
        assert "An administrator can add it" in page


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("en", 1280), ("fr", 1280), ("fr", 390)])
@pytest.mark.parametrize("path", ["/", "/?currency=usd", "/rows?figure=net"])
def test_it_looks_right(
    look: Callable[..., Look], ada: Person, books: Books, path: str, locale: str, theme: str, width: int
) -> None:
    window = look(ada, locale=locale, theme=theme, width=width)
    page = window.at(path)
    if page.query_selector("takings-chart"):
        page.wait_for_selector("takings-chart[data-drawn]")
    assert window.violations() == []
    assert window.troubles == []
    assert not window.is_too_wide()


@pytest.mark.browser
def test_it_is_light(look: Callable[..., Look], ada: Person, books: Books) -> None:
    assert cold_bytes(look(ada), "/") <= 250_000
    assert cold_bytes(look(ada), "/?range=all&grain=day") <= 300_000


@pytest.mark.browser
def test_from_a_point_to_its_rows_and_back(look: Callable[..., Look], ada: Person, books: Books) -> None:
    window = look(ada)
    page = window.at("/?range=12m&grain=month")
    canvas = page.locator("takings-chart .chart-canvas").first
    page.wait_for_selector("takings-chart[data-drawn]")
    box = canvas.bounding_box()
    assert box
    canvas.click(position={"x": box["width"] * 0.7, "y": box["height"] * 0.5})
    page.wait_for_url("**/rows?*")
    assert "figure=net" in page.url
    assert "at=" in page.url
    assert page.locator("tbody tr").count() > 0
    page.get_by_role("link", name="Back to the figures").click()
    page.wait_for_url("**/?range=12m&grain=month")


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_choosing_what_is_shown(look: Callable[..., Look], ada: Person, books: Books, javascript: bool) -> None:
    window = look(ada, javascript=javascript)
    page = window.at("/")
    page.get_by_role("link", name="JPY").click()
    page.wait_for_url("**/?currency=jpy")
    page.locator(".toolbar summary").first.click()
    page.get_by_role("link", name="Last 90 days").click()
    page.wait_for_url("**/?range=90d&currency=jpy")
    page.get_by_role("link", name="Week", exact=True).click()
    page.wait_for_url("**/?range=90d&grain=week&currency=jpy")
    page.locator(".toolbar summary").first.click()
    first = books.today - timedelta(days=45)
    page.get_by_label("From").fill(first.isoformat())
    page.get_by_label("To (included)").fill(books.today.isoformat())
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(f"**from={first}**")
    assert "currency=jpy" in page.url
    assert page.locator(".picker strong").first.inner_text() == "Custom"
    assert "¥" in page.locator(".tile-value").first.inner_text()
    assert window.troubles == []


@pytest.mark.browser
def test_each_figure_says_how_it_is_calculated(look: Callable[..., Look], ada: Person, books: Books) -> None:
    page = look(ada, locale="fr").at("/")
    page.locator(".figures-5 .why-tile summary").last.click()
    assert page.get_by_text("au centime près").first.is_visible()
    page.locator("section .why > summary").first.click()
    assert page.locator(".why pre").first.is_visible()
    assert "reporting_category" in page.locator(".why pre").first.inner_text()
