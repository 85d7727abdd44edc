"""Reading what Stripe exported: amounts to the minor unit whatever the decimals, times in their zone, the report and its days."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.cli.report import NAMES
from takings.errors import Invalid
from takings.money import Money, exponent
from takings.reports import REPORTS
from takings.reports.export import plain
from takings.reports.stripe_files import minor_of, moment_of, parse_file, rows_of
from takings.reports.stripe_mrr import MrrFile, is_rounding, parse_mrr

CURRENCIES = st.sampled_from(["eur", "usd", "jpy", "krw", "kwd", "bhd", "isk"])
ITEMS = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category\n"


@given(st.integers(-(10**15), 10**15), CURRENCIES)
def test_an_amount_that_is_written_is_read_as_it_was(minor: int, currency: str) -> None:
    text = plain(Money(minor, currency))
    assert minor_of(text, currency, comma=False, where="") == minor
    assert minor_of(text.replace(".", ","), currency, comma=True, where="") == minor


@given(st.integers(1_000, 10**12), CURRENCIES)
def test_thousands_may_be_parted_by_commas_dots_and_spaces(minor: int, currency: str) -> None:
    grouped = f"{Money(minor, currency).major:,.{exponent(currency)}f}"
    assert minor_of(grouped, currency, comma=False, where="") == minor
    turned = grouped.replace(",", "\u202f").replace(".", ",")
    assert minor_of(turned, currency, comma=True, where="") == minor


@pytest.mark.parametrize("text", ["1.234", "ten", "1e3", "--1", "0.001", "NaN"])
def test_what_is_no_amount_in_euros_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(Invalid, match="line 4, gross"):
        minor_of(text, "eur", comma=False, where="line 4, gross")


def test_moments_are_in_the_zone_of_the_file_unless_they_say_so() -> None:
    paris = ZoneInfo("Europe/Paris")
    assert moment_of("2026-07-01 02:00:00", paris, "") == datetime(2026, 7, 1, tzinfo=UTC)
    assert moment_of("2026-07-01T02:00:00Z", paris, "") == datetime(2026, 7, 1, 2, tzinfo=UTC)
    assert moment_of("2026-07-01 02:00", paris, "") == datetime(2026, 7, 1, tzinfo=UTC)
    assert moment_of("2026-07-01 02:00:00+0200", paris, "") == datetime(2026, 7, 1, tzinfo=UTC)
    assert moment_of(" ", paris, "") is None
    with pytest.raises(Invalid, match="is no time"):
        moment_of("yesterday", paris, "line 2, created")


def test_a_file_says_which_report_it_is_and_of_which_days() -> None:
    named = parse_file("Itemised_balance_change_from_activity_HKD_2025-11-01_to_2025-11-29_UTC.csv", ITEMS)
    assert named.candidates == ("balance_change_from_activity",) and named.itemized
    assert (named.start, named.end, named.zone) == (date(2025, 11, 1), date(2025, 11, 30), "UTC")
    zoned = parse_file("Ending_balance_reconciliation_2025-11-01_to_2025-11-30_America-New_York.csv", ITEMS)
    assert (zoned.candidates, zoned.zone) == (("ending_balance_reconciliation",), "America/New_York")
    bare = parse_file("report.csv", "\ufeff".removeprefix("\ufeff") + ITEMS)
    assert bare.candidates[0] == "balance_change_from_activity" and len(bare.candidates) == 3 and bare.start is None
    payouts = parse_file("report.csv", "automatic_payout_id," + ITEMS)
    assert payouts.candidates[0] == "payout_reconciliation"


@pytest.mark.parametrize(("ending", "after"), [("2026-09-30", 1), ("2026-10-01", 0)])
def test_a_balance_summary_has_its_days_in_its_descriptions(ending: str, after: int) -> None:
    text = (
        '"category","description","net_amount","currency"\n'
        '"starting_balance","Starting balance (2026-09-01)","100.00","usd"\n'
        f'"ending_balance","Ending balance ({ending})","0.00","usd"\n'
    )
    found = parse_file("balance.csv", text)
    assert found.candidates == ("balance_summary",) and not found.itemized
    assert (found.start, found.end) == (date(2026, 9, 1), date(2026, 10, 1))


def test_commas_before_decimals_are_told_from_those_between_thousands() -> None:
    header = ITEMS.replace(",", ";")
    comma = parse_file("a.csv", header + "txn_1;2026-01-01 00:00:00;eur;1234,50;0,00;1234,50;charge\n")
    assert comma.comma and comma.minor(comma.lines[0], "gross", "eur") == 123_450
    dot = parse_file("a.csv", ITEMS + 'txn_1,2026-01-01 00:00:00,eur,"1,234.50",0.00,1234.50,charge\n')
    assert not dot.comma and dot.minor(dot.lines[0], "gross", "eur") == 123_450


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "none of Stripe's reports"),
        (ITEMS + "txn_1,2026\n", "line 2 has 2 cells"),
        ("", "columns are none"),
    ],
)
def test_another_file_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parse_file("other.csv", text)


def test_the_command_names_the_reports_there_are() -> None:
    assert tuple(REPORTS) == NAMES


def mrr(text: str) -> MrrFile | None:
    columns, lines = rows_of("mrr.csv", text)
    return parse_mrr("mrr.csv", columns, lines)


@pytest.mark.parametrize(
    "text",
    [
        "Customer ID,Customer,Customer Email,Currency,2026-09,2026-10\ncus_1,Ada,a@x.org,EUR,,41.67\nTotal,,,EUR,0,41.67\n",
        "customer_id;currency;sep 2026;October 2026\ncus_1;eur;;41,67\n",
        "Customer ID\tCurrency\tMRR 2026-09-30\tMRR 2026/10\ncus_1\teur\t0\t41.6666667\n",
        "Month,Customer ID,Currency,MRR\n2026-09-30,cus_1,eur,0\n2026-10-31,cus_1,eur,41.67\n",
        "customer_id,month,currency,mrr\ncus_1,2026-09,eur,\ncus_1,Oct 2026,eur,41.67\n",
    ],
)
def test_mrr_by_customer_and_month_is_read_in_every_shape(text: str) -> None:
    file = mrr(text)
    assert file is not None and file.months == (date(2026, 9, 1), date(2026, 10, 1))
    said = {(cell.customer, cell.currency, cell.month.month): file.minor(cell, "eur") for cell in file.cells}
    assert said == {("cus_1", "eur", 9): 0, ("cus_1", "eur", 10): 4_167}


@pytest.mark.parametrize(
    ("text", "currency", "minor"), [("1000.00", "jpy", 1_000), ("1.2345", "kwd", 1_234), ("1.2355", "kwd", 1_236)]
)
def test_mrr_has_the_decimals_of_its_currency(text: str, currency: str, minor: int) -> None:
    file = mrr(f"Customer ID,Currency,2026-10\ncus_1,{currency},{text}\n")
    assert file is not None and file.minor(file.cells[0], currency) == minor


def test_what_is_no_export_of_mrr_is_left_to_others_or_refused_in_one_sentence() -> None:
    assert mrr(ITEMS) is None and mrr("Customer ID,Currency\ncus_1,eur\n") is None and mrr("") is None
    for text, said in (
        ("Customer ID,2026-10\nada@x.org,1\n", "line 2: “ada@x.org” is no id of a customer"),
        ("Customer ID,Currency,2026-10\ncus_1,,1\n", "line 2 says no currency"),
        ("Customer ID,Month,MRR\ncus_1,soon,1\n", "“soon” is no month"),
        ("Customer ID,2026-10\n", "no row of a customer"),
        ("Customer ID,2026-10\ncus_1\n", "the file is damaged"),
    ):
        with pytest.raises(Invalid, match=said):
            mrr(text)
    file = mrr("Customer ID,Currency,2026-10\ncus_1,eur,ten\n")
    assert file is not None
    with pytest.raises(Invalid, match=r"mrr\.csv, line 2: “ten” is no amount"):
        file.minor(file.cells[0], "eur")


def test_rounding_is_at_most_a_unit_for_each_item() -> None:
    assert [is_rounding(*one) for one in ((1, 1), (-2, 2), (0, 3), (2, 1), (1, 0))] == [True, True, False, False, False]
