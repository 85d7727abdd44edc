"""CSV and Excel files, read back."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from takings.money import Money
from takings.reports import export
from takings.reports.export import Column, Sheet, plain, to_csv, to_excel

MOMENT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 in Paris, just after the clocks changed
COLUMNS = (
    Column("at", "moment", "Quand"),
    Column("day", "day", "Jour"),
    Column("who", "text", "Client"),
    Column("currency", "text"),
    Column("amount", "money", "Montant"),
    Column("share", "ratio"),
    Column("n", "number"),
    Column("link", "link"),
)
ROWS = [
    (MOMENT, date(2026, 3, 29), "Zoë, « O’Neill »", "EUR", Money(-123456, "eur"), 0.125, 3, "https://x.example/pi_1"),
    (None, None, None, "JPY", Money(1234567, "jpy"), None, None, None),
    (MOMENT, date(2026, 3, 29), "a\nb", "KWD", Money(1, "kwd"), 1.0, Decimal("0.100000000000"), None),
]


def sheet(rows=ROWS, columns=COLUMNS, **more):
    return Sheet("takings-rows", columns, iter(rows), "Europe/Paris", **more)


def read_csv(made: Sheet) -> list[dict[str, str]]:
    text = b"".join(to_csv(made)).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_is_the_same_in_every_language():
    first, yen, dinar = read_csv(sheet())
    assert first == {
        "at": "2026-03-29T03:30:00+02:00",
        "day": "2026-03-29",
        "who": "Zoë, « O’Neill »",
        "currency": "EUR",
        "amount": "-1234.56",
        "amount_minor": "-123456",
        "share": "0.125",
        "n": "3",
        "link": "https://x.example/pi_1",
    }
    assert (yen["amount"], yen["amount_minor"], yen["at"], yen["share"]) == ("1234567", "1234567", "", "")
    assert (dinar["amount"], dinar["amount_minor"], dinar["who"], dinar["n"]) == (
        "0.001",
        "1",
        "a\nb",
        "0.100000000000",
    )


def test_csv_has_no_mark_in_front_and_no_grouping():
    raw = b"".join(to_csv(sheet([(None, None, None, "JPY", Money(1_234_567_890, "jpy"), 1 / 3, 1_000_000, None)])))
    assert raw.split(b"\r\n") == [
        b"at,day,who,currency,amount,amount_minor,share,n,link",
        b",,,JPY,1234567890,1234567890,0.3333333333333333,1000000,",
        b"",
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd", "'-2+3+cmd"),
        ("\tx", "'\tx"),
        ("+33 1 23 45 67 89", "+33 1 23 45 67 89"),
        ("-12.50", "-12.50"),
        ("a=b", "a=b"),
    ],
)
def test_csv_defuses_formulas_but_not_numbers(text, written):
    (row,) = read_csv(sheet([(text,)], (Column("x"),)))
    assert row["x"] == written


@given(st.integers(-(10**14), 10**14), st.sampled_from(["eur", "jpy", "kwd", "isk"]))
def test_a_plain_amount_is_exact(minor, currency):
    amount = Money(minor, currency)
    assert Decimal(plain(amount)) == amount.major


def test_csv_of_many_rows_is_whole_and_comes_in_pieces():
    pieces = list(to_csv(sheet(((n,) for n in range(50_000)), (Column("n", "number"),))))
    assert len(pieces) > 3
    assert b"".join(pieces).split() == [b"n", *(str(n).encode() for n in range(50_000))]


def test_excel_has_native_values(tmp_path):
    path = tmp_path / "x.xlsx"
    to_excel(sheet(about=(("Période", "2026"),)), path)
    book = load_workbook(path)
    page = book.worksheets[0]
    assert [cell.value for cell in page[1]] == ["Quand", "Jour", "Client", "currency", "Montant", "share", "n", "link"]
    assert [cell.value for cell in page[2]] == [
        datetime(2026, 3, 29, 3, 30),  # noqa: DTZ001 -- Excel knows no zones
        datetime(2026, 3, 29),  # noqa: DTZ001
        "Zoë, « O’Neill »",
        "EUR",
        -1234.56,
        0.125,
        3,
        "pi_1",
    ]
    assert [page.cell(row, 5).number_format for row in (2, 3, 4)] == ["#,##0.00", "#,##0", "#,##0.000"]
    assert [page.cell(row, 5).value for row in (2, 3, 4)] == [-1234.56, 1234567, 0.001]
    assert page.cell(2, 8).hyperlink.target == "https://x.example/pi_1"
    assert page.cell(3, 1).value is None
    assert [cell.value for cell in book["About"][1]] == ["Période", "2026"]


def test_excel_runs_no_formulas(tmp_path):
    path = tmp_path / "x.xlsx"
    to_excel(sheet([("=1+1",), ("https://x.example",)], (Column("x"),)), path)
    page = load_workbook(path).worksheets[0]
    assert [(page.cell(row, 1).value, page.cell(row, 1).data_type) for row in (2, 3)] == [
        ("=1+1", "s"),
        ("https://x.example", "s"),
    ]


def test_excel_goes_on_in_another_sheet(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SHEET_ROWS", 1_001)
    path = tmp_path / "x.xlsx"
    to_excel(sheet(((n,) for n in range(2_500)), (Column("n", "number"),)), path)
    book = load_workbook(path)
    assert [page.max_row - 1 for page in book.worksheets] == [1_000, 1_000, 500]
    assert [cell.value for page in book.worksheets for (cell,) in page.iter_rows(min_row=2)] == list(range(2_500))


def test_excel_says_when_a_cell_cannot_hold_a_text(tmp_path):
    path = tmp_path / "x.xlsx"
    to_excel(sheet([("x" * 40_000,)], (Column("x"),)), path)
    value = load_workbook(path).worksheets[0]["A2"].value
    assert len(value) == export.CELL_CHARACTERS
    assert value.endswith("the CSV file has this whole]")


def test_integers_beyond_excels_precision_stay_whole(tmp_path):
    path = tmp_path / "x.xlsx"
    to_excel(sheet([(9_007_199_254_740_993,)], (Column("n", "number"),)), path)
    assert load_workbook(path).worksheets[0]["A2"].value == "9007199254740993"
