"""The SQL page: both dialects, mistakes with their place, files, saved queries, and the keyboard, in a real browser."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from openpyxl import load_workbook

from takings.accounts import Person
from takings.warehouse import Delivery, Item, Scope
from takings.web.pages.sql import SHOWN

from .conftest import Look, Site, csrf_of

COUNT = 7
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def charges(site: Site) -> None:
    """A few charges, so that there is something to ask about."""
    bodies = [
        {"id": f"ch_{n}", "object": "charge", "amount": 100 + n, "currency": "eur", "created": 1_790_000_000 + n}
        for n in range(COUNT)
    ]
    items = tuple(Item.of(one["id"], one["created"], json.dumps(one).encode()) for one in bodies)
    site.app.warehouse.writer().write(
        [
            Delivery(
                table="charges",
                scope=Scope("acct_1", True),
                items=items,
                as_of=NOON,
                known_at=NOON,
                source="list",
                api_version="2026-10-28.endive",
            )
        ]
    )


@pytest.fixture(scope="module")
def grace(site: Site, ada: Person) -> Person:
    return site.joined(ada, "standard")


@pytest.fixture
def client(site: Site, grace: Person) -> Iterator[httpx2.Client]:
    with site.client(grace) as opened:
        yield opened


def asked(client: httpx2.Client, status: int = 200, path: str = "/sql", **form: str) -> Any:
    """Send the page's form and return the page's values."""
    token = csrf_of(client.get("/sql").text)
    answer = client.post(path, data={"_csrf": token, **form}, headers={"accept": "application/json"})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_an_answer_has_types_time_and_rows(client: httpx2.Client) -> None:
    page = asked(
        client, sql="SELECT currency, sum(amount) AS minor, NULL AS n, [1, 2] AS l FROM stripe.charges GROUP BY 1"
    )
    result = page["result"]
    assert [(one["name"], one["type"], one["number"]) for one in result["columns"]] == [
        ("currency", "varchar", False),
        ("minor", "hugeint", True),
        ("n", "integer", True),
        ("l", "integer[]", False),
    ]
    assert result["rows"] == [["eur", str(sum(100 + n for n in range(COUNT))), None, "[1, 2]"]]
    assert result["said"].startswith("1 row in ") and not result["truncated"] and page["error"] is None
    sigma = asked(client, sql="select count(*) as n from charges", dialect="sigma")
    assert (sigma["dialect"], sigma["result"]["columns"][0]["name"]) == ("sigma", "n")
    assert {one["name"] for one in sigma["filled"]} > {"charges", "invoices"}


def test_more_rows_than_the_page_shows_are_said_and_are_all_in_the_files(client: httpx2.Client) -> None:
    sql = f"SELECT range AS n, TIMESTAMP '2026-01-02 03:04:05' AS t, '=1+1' AS f FROM range({SHOWN + 20})"
    result = asked(client, sql=sql)["result"]
    assert len(result["rows"]) == SHOWN and str(SHOWN) in result["truncated"]
    token = csrf_of(client.get("/sql").text)
    answer = client.post("/sql/export/csv", data={"_csrf": token, "sql": sql})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["n"]) for row in rows] == list(range(SHOWN + 20))
    assert (rows[0]["t"], rows[0]["f"]) == ("2026-01-02 03:04:05", "'=1+1"), "a spreadsheet runs nothing"
    answer = client.post("/sql/export/excel", data={"_csrf": token, "sql": sql})
    sheet = load_workbook(io.BytesIO(answer.content)).worksheets[0]
    assert (sheet.max_row, sheet.cell(3, 1).value) == (SHOWN + 21, 1)
    assert client.post("/sql/export/pdf", data={"_csrf": token, "sql": sql}).status_code == 404
    assert client.post("/sql/export/csv", data={"_csrf": token, "sql": "DROP TABLE stripe.charges"}).status_code == 422


def test_what_takes_too_long_is_stopped_on_the_page_and_in_files(
    client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("takings.answers.query.SECONDS", 0.3)
    sql = "SELECT a.range FROM range(100000000) AS a, range(100000000) AS b WHERE (a.range * b.range) % 7 = 3"
    assert "took too long" in asked(client, 503, sql=f"SELECT count(*) FROM ({sql})")["error"]
    token = csrf_of(client.get("/sql").text)
    for kind in ("csv", "excel"):
        answer = client.post(f"/sql/export/{kind}", data={"_csrf": token, "sql": sql})
        assert answer.status_code == 503 and "took too long" in answer.text


@pytest.mark.parametrize(
    ("dialect", "sql", "english", "place"),
    [
        ("duckdb", "SELECT amount,\n  nothing\nFROM stripe.charges", "(line 2, column 3)", "Ligne 2, colonne 3."),
        ("duckdb", "SELEC 1", "(line 1, column 1)", "Ligne 1, colonne 1."),
        ("duckdb", f"SELECT {'1,' * 90} nothing FROM stripe.charges", "(line 1, column 189)", "Ligne 1, colonne 189."),
        ("duckdb", "DELETE FROM stripe.charges", "read-only", None),
        ("duckdb", "SELECT * FROM read_text('/etc/passwd')", "read_text", None),
        ("sigma", "select amount,\n nothing from charges", "(line 2, column 2)", "Ligne 2, colonne 2."),
        ("sigma", "select cast('x' as bigint) from (values 1) as t(a)", "", None),
    ],
)
def test_a_mistake_is_said_with_its_place_in_the_readers_language(
    site: Site, grace: Person, client: httpx2.Client, dialect: str, sql: str, english: str, place: str | None
) -> None:
    page = asked(client, 422, sql=sql, dialect=dialect)
    assert english in page["error"] and page["place"] is None and page["sql"] == sql
    site.app.people.set_preferences(grace, locale="fr")
    page = asked(client, 422, sql=sql, dialect=dialect)
    site.app.people.set_preferences(grace, locale="en")
    assert page["place"] == place and page["error"] != "" and page["result"] is None


def test_a_table_is_shown_with_stripes_words_and_the_query_stays(client: httpx2.Client) -> None:
    page = asked(client, sql="SELECT 1 + ", table="charges")
    assert (page["sql"], page["error"], page["opened"]["full"]) == ("SELECT 1 + ", None, "stripe.charges")
    assert any(name == "amount" and kind == "bigint" and text for name, kind, text in page["opened"]["columns"])
    sigma = asked(client, sql="x", table="charges", dialect="sigma")["opened"]
    assert ("card_brand" in {name for name, *_ in sigma["columns"]}) and sigma["href"] is None
    assert asked(client, 404, sql="x", table="no_such")["code"] == "reports.no_table"


def test_queries_are_kept_for_all_and_changed_by_who_keeps_them(
    site: Site, ada: Person, grace: Person, client: httpx2.Client
) -> None:
    alan = site.joined(ada, "standard", name="alan")
    token = csrf_of(client.get("/sql").text)
    saved = client.post("/sql/queries", data={"_csrf": token, "sql": " SELECT 1 ", "name": " My  query "})
    address = saved.headers["location"]
    with site.client(alan, accept="application/json") as other, site.client(ada) as admin:
        page = other.get(address).json()
        assert (page["sql"], page["name"]) == ("SELECT 1", "My query")
        ((mine, said),) = [(one["mine"], one["said"]) for one in page["kept"]]
        assert not mine and said.startswith("Standard, ")
        token_of_alan = csrf_of(other.get("/sql", headers={"accept": "text/html"}).text)
        taken = other.post("/sql/queries", data={"_csrf": token_of_alan, "sql": "SELECT 2", "name": "My query"})
        assert taken.status_code == 422 and "Standard" in taken.json()["error"]
        id_ = address.split("=")[1]
        assert other.post(f"/sql/queries/{id_}/remove", data={"_csrf": token_of_alan}).status_code == 303
        assert [one.sql for one in site.app.queries.all()] == ["SELECT 1"], "it is not theirs to remove"
        client.post("/sql/queries", data={"_csrf": token, "sql": "select 3", "name": "My query", "dialect": "sigma"})
        assert [(one.sql, one.dialect) for one in site.app.queries.all()] == [("select 3", "sigma")]
        for name, sql in (("", "SELECT 1"), ("Empty", "  ")):
            assert client.post("/sql/queries", data={"_csrf": token, "sql": sql, "name": name}).status_code == 422
        csrf = csrf_of(admin.get("/sql").text)
        admin.post(f"/sql/queries/{id_}/remove", data={"_csrf": csrf})
        assert site.app.queries.all() == [] and other.get(address).status_code == 404
    said_of = [(one.action, one.subject, one.person_name) for one in site.app.audit.latest(3)]
    assert said_of == [
        ("query.removed", "My query", "Ada Lovelace"),
        ("query.saved", "My query", "Standard"),
        ("query.saved", "My query", "Standard"),
    ]


@pytest.mark.browser
def test_the_page_works_by_keyboard_and_without_scripts(look: Callable[..., Look], grace: Person) -> None:
    window = look(grace, locale="fr", theme="dark", width=390)
    page = window.at("/sql")
    page.fill("#sql", "SELECT id, amount FROM stripe.charges ORDER BY id LIMIT 2")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#result")
    assert page.locator("#result tbody tr").all_inner_texts() == ["ch_0\t100", "ch_1\t101"]
    page.get_by_role("button", name="charges", exact=False).first.click()
    page.wait_for_selector(".sql-opened")
    assert page.locator("#result").count() == 1, "looking at a table leaves the answer where it is"
    assert window.violations() == [] and not window.is_too_wide() and window.troubles == []
    plain = look(grace, javascript=False)
    page = plain.at("/sql")
    page.fill("#sql", "SELECT 42 AS answer")
    page.click("button[name=table][value=charges]")
    assert page.input_value("#sql") == "SELECT 42 AS answer" and page.locator(".sql-opened").count() == 1
    page.fill("#sql", "SELECT\n  42 AS answer")
    page.click("#sql-form .button-primary")
    assert page.locator("#result td").inner_text() == "42"
    assert page.input_value("#sql") == "SELECT\n  42 AS answer"
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.path().read_text("utf-8").splitlines() == ["answer", "42"]


@pytest.mark.browser
def test_a_token_is_made_in_the_browser_and_opens_the_api(look: Callable[..., Look], site: Site, grace: Person) -> None:
    window = look(grace, width=1280)
    page = window.at("/profile")
    page.fill("#f-token_name", "My sheet")
    page.select_option("#f-token_role", "standard")
    assert page.locator("#f-token_role option").count() == 2, "no more than its person may"
    page.get_by_role("button", name="Make a token").click()
    token = page.input_value("#token")
    answer = httpx2.post(
        site.url + "/api/v1/query",
        json={"sql": "SELECT count(*) AS n FROM stripe.charges"},
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.json()["rows"] == [{"n": COUNT}]
    assert window.violations() == [] and not window.is_too_wide() and window.troubles == []
    page.get_by_role("button", name="Revoke the token My sheet").click()
    page.wait_for_load_state()
    assert page.get_by_text("My sheet").count() == 0
