"""Sigma's mapping and dialect: nothing drifts, nothing is guessed, and what cannot be had says why."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from takings import catalog
from takings.catalog.source import Sdk, installed
from takings.errors import Invalid
from takings.warehouse import sigma
from takings.warehouse.sigma import derive, generate
from takings.warehouse.sigma.dialect import parse
from takings.words import LOCALES

MAPPING = sigma.load()


@pytest.fixture(scope="module")
def derived() -> sigma.Mapping:
    return derive.derive(catalog.load(), Sdk(installed()))


def test_the_committed_mapping_is_what_catalogue_sdk_and_overlay_give(derived: sigma.Mapping) -> None:
    text = sigma.model.DATA.read_text(encoding="utf-8")
    assert generate.encode(derived) == text, "run python -m takings.warehouse.sigma.generate"


def test_it_has_every_table_and_column_of_sigma_with_its_type() -> None:
    wanted = derive.schema()
    assert len(wanted) == 187
    assert {name: {c.name: (c.type, c.key) for c in columns} for name, columns in wanted.items()} == {
        name: {column: (one.type, one.key) for column, one in table.columns.items()}
        for name, table in MAPPING.tables.items()
    }


def test_at_least_nine_tenths_are_here_of_what_the_api_gives_and_two_thirds_of_all() -> None:
    open_to = sum(len(table.columns) for table in MAPPING.available.values())
    assert MAPPING.had / open_to >= 0.90
    assert MAPPING.share >= 0.67
    for name in ("charges", "customers", "invoices", "invoice_line_items", "subscriptions", "payment_intents"):
        assert MAPPING.tables[name].share >= 0.8, name
    for name in ("balance_transactions", "refunds", "subscription_items", "customers_metadata", "prices", "transfers"):
        assert MAPPING.tables[name].share >= 0.92, name


@pytest.mark.parametrize("locale", LOCALES)
def test_what_is_not_here_says_why_in_both_languages(locale: str) -> None:
    for table in MAPPING.tables.values():
        for why in table.lacking.values():
            assert sigma.reason(why, locale).endswith(".")
        assert not table.note or sigma.note(table.note, locale).endswith(".")
        assert bool(table.parts) != bool(table.why)


def test_an_overlay_that_speaks_of_what_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = derive.OVERLAY.read_text(encoding="utf-8")
    file = tmp_path / "overlay.toml"
    monkeypatch.setattr(derive, "OVERLAY", file)
    for wrong, said in (
        (
            whole.replace('destination_id = "transfer_data.destination"', 'destination_id = "transfer_data.nowhere"'),
            "nowhere",
        ),
        (whole.replace("destination_id =", "destination_ix ="), "destination_ix"),
        (whole + '\n[tables.chargez]\nfrom = "charges"\n', "chargez"),
        (whole.replace('from = "invoiceitems"', 'from = "mandates"'), "mandates"),
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(derive.BadOverlay, match=said):
            derive.derive(catalog.load(), Sdk(installed()))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("select id frm charges where (a", "sql.syntax", "line 1, column 15"),
        ("select 1; select 2", "sql.select_only", "single SELECT"),
        ("delete from charges", "sql.select_only", "single SELECT"),
        ("create table x as select 1", "sql.select_only", "single SELECT"),
        ("select id from chargez", "sql.sigma_no_table", "do you mean charges?"),
        ("select * from zzz", "sql.sigma_no_table", "`takings sigma` lists them"),
        ("select * from captures", "sql.sigma_lacks_table", "older version"),
        ("select * from raw.versions", "sql.sigma_only", "raw.versions is none of Sigma's"),
        (
            "select id from (select id, amout from charges) c",
            "sql.sigma_no_column",
            "line 1, column 28): do you mean amount?",
        ),
        ("select c.amout from charges c", "sql.sigma_no_column", "do you mean amount?"),
        ("select card_id from charges", "sql.sigma_lacks_column", "charges.card_id is not here (line 1, column 8)"),
        ("select count(*) from charges where created < data_load_time", "sql.load_time", "takings sync"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_its_place(text: str, code: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text).sql()
    assert caught.value.code == code
    assert said in caught.value.sentence and "\n" not in caught.value.sentence


def test_the_load_time_is_the_midnight_before_and_a_column_of_that_name_in_a_table_is_left_alone() -> None:
    parsed = parse("select count(*) from charges where created < data_load_time")
    assert parsed.asks_load_time and parsed.reads == {"charges", "disputes", "invoice_payments"}
    paris = datetime.fromisoformat("2026-11-02T00:30:00+01:00")
    assert "2026-11-01 00:00:00" in parsed.sql(paris) and "2026-11-01 00:00:00" in parsed.sql(
        datetime(2026, 11, 1, 5, tzinfo=UTC)
    )
    assert not parse("select t.data_load_time from (select 1 as data_load_time) t").asks_load_time


def test_a_join_is_paid_for_only_by_who_asks_for_its_columns() -> None:
    assert '"sigma"."lean"."charges"' in parse("select amount from charges").sql()
    for full in (
        "select invoice_id from charges",
        "select * from charges",
        "select c.id from charges c join invoices i on i.id = c.invoice_id",
        "with x as (select * from charges) select id from x where dispute_id is not null",
    ):
        assert '"sigma"."charges"' in parse(full).sql(), full
    assert "disputes" not in MAPPING.tables["charges"].select(lean=True)
