"""The tables: the list, one table with its columns and newest rows, its file, and who may see them."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import load_workbook

from takings.accounts import Person

from .conftest import Look, Site, as_json

PAYMENTS = 300


@pytest.fixture(scope="module")
def filled(site: Site, ada: Person) -> Site:
    path = Path(__file__).parents[2] / "benchmarks" / "home.py"
    spec = importlib.util.spec_from_file_location("benchmark_home", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_home"] = module
    spec.loader.exec_module(module)
    module.fill(site.app, PAYMENTS, 6, datetime.now(UTC).replace(microsecond=0))
    return site


def test_every_table_is_there_with_its_rows_and_freshness(filled: Site, ada: Person) -> None:
    with filled.client(ada) as client:
        page = as_json(client, "/tables")
    found = {one["name"]: one for one in page["filled"] + page["empty"]}
    assert set(filled.app.catalog.resources) <= set(found)
    assert found["payment_intents"]["rows"] == PAYMENTS
    assert found["payment_intents"]["state"] == "complete"
    assert found["payment_intents"]["complete_as_of"]
    assert {"charges", "invoices", "customers"} <= {one["name"] for one in page["filled"]}


def test_a_table_explains_its_columns_and_shows_its_newest_rows(filled: Site, ada: Person) -> None:
    with filled.client(ada) as client:
        page = as_json(client, "/tables/charges")
    columns = {one["name"]: one for one in page["columns"]}
    assert "currency" in columns["currency"]["description"]
    assert columns["amount"]["kind"] == "amount"
    assert columns["_deleted_at"]["ours"]
    assert len(page["preview"]) == 50
    created = page["shown"].index("created")
    moments = [row[created] for row in page["preview"]]
    assert moments == sorted(moments, reverse=True)
    newest = filled.app.warehouse.query("SELECT id FROM stripe.charges ORDER BY created DESC, id DESC LIMIT 1").rows[0][
        0
    ]
    assert page["preview"][0][page["shown"].index("id")] == newest


def test_a_table_as_csv_and_excel_is_the_whole_table(filled: Site, ada: Person) -> None:
    columns = [c.name for c in next(t for t in filled.app.warehouse.tables() if t.name == "charges").columns]
    names = ", ".join(f'"{name}"' for name in columns)
    rows = filled.app.warehouse.query(f"SELECT {names} FROM stripe.charges ORDER BY id").rows
    with filled.client(ada) as client:
        exported = list(csv.DictReader(io.StringIO(client.get("/tables/charges/export/csv").text, newline="")))
        assert len(exported) == len(rows) > 250
        for row, line in zip(rows, sorted(exported, key=lambda one: one["id"]), strict=True):
            values = dict(zip(columns, row, strict=True))
            assert int(line["amount"]) == values["amount"]
            assert datetime.fromisoformat(line["created"]) == values["created"]
            assert json.loads(line["outcome"]) == json.loads(values["outcome"])
            assert line["failure_code"] == (values["failure_code"] or "")
        book = load_workbook(io.BytesIO(client.get("/tables/charges/export/excel").content))
        page = book.worksheets[0]
        assert page.max_row == len(rows) + 1
        assert [cell.value for cell in page[1]] == columns


def test_who_may_see_tables(filled: Site, ada: Person) -> None:
    standard, reader = filled.joined(ada, "standard"), filled.joined(ada, "read_only")
    paths = ("/tables", "/tables/charges", "/tables/charges/export/csv", "/tables/charges/export/excel")
    for person, status in ((ada, 200), (standard, 200), (reader, 403)):
        with filled.client(person) as client:
            assert [client.get(path).status_code for path in paths] == [status] * len(paths)
    with filled.client() as stranger:
        assert all(stranger.get(path).headers["location"].startswith("/sign-in") for path in paths)


@pytest.mark.parametrize("name", ["nothing", "charges%22", "raw.versions", "charges;drop", "..%2F", "versions"])
def test_no_such_table(filled: Site, ada: Person, name: str) -> None:
    with filled.client(ada) as client:
        assert client.get(f"/tables/{name}").status_code == 404
        assert client.get(f"/tables/{name}/export/csv").status_code == 404
        assert client.get("/tables/charges/export/pdf").status_code == 404


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("en", 1280), ("fr", 390)])
@pytest.mark.parametrize("path", ["/tables", "/tables/charges", "/tables/coupons"])
def test_it_looks_right(
    look: Callable[..., Look], filled: Site, ada: Person, path: str, locale: str, theme: str, width: int
) -> None:
    window = look(ada, locale=locale, theme=theme, width=width)
    window.at(path)
    assert window.violations() == []
    assert window.troubles == []
    assert not window.is_too_wide()
