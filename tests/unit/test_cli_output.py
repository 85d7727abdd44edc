"""How answers are printed, and the small decisions of the commands."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.answers.explanation import FEW
from takings.answers.plain import distinct
from takings.cli import explain, output
from takings.cli.processes import restart_delay_s
from takings.cli.query import Counted
from takings.cli.up import address

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ROWS = [(1, Decimal("12.5000"), NOW, None, 'a,"b"\nc', True, {"k": [1]}), (2, None, None, "é", "", False, [])]
COLUMNS = ["n", "d", "t", "s", "q", "b", "j"]


def test_json_is_exact_and_says_where_a_moment_stands() -> None:
    to = io.StringIO()
    output.write_json_rows(COLUMNS, ROWS, to)
    first, second = json.loads(to.getvalue())
    assert first == {
        "n": 1, "d": "12.5000", "t": "2026-11-23T12:00:00Z", "s": None, "q": "a,\"b\"\nc", "b": True, "j": {"k": [1]},
    }  # fmt: skip
    assert second["s"] == "é" and second["j"] == []


def test_no_rows_are_valid_json_and_csv_too() -> None:
    to = io.StringIO()
    output.write_json_rows(COLUMNS, [], to)
    assert json.loads(to.getvalue()) == []
    to = io.StringIO()
    output.write_csv(COLUMNS, [], to)
    assert to.getvalue() == "n,d,t,s,q,b,j\n"


def test_csv_comes_back_as_it_was() -> None:
    to = io.StringIO()
    output.write_csv(COLUMNS, ROWS, to)
    back = list(csv.reader(io.StringIO(to.getvalue())))
    assert back[1] == ["1", "12.5000", "2026-11-23T12:00:00Z", "", 'a,"b"\nc', "true", '{"k": [1]}']


def test_a_table_in_a_pipe_is_never_cut() -> None:
    to = io.StringIO()
    long = "x" * 500
    output.print_table(["name", "rows"], [(long, 1), ("short\nline", 22)], to)
    assert long in to.getvalue() and "short line" in to.getvalue()
    lines = to.getvalue().splitlines()
    assert len({len(line.rstrip()) for line in lines if line.rstrip().endswith(("1", "22"))}) == 1, (
        "numbers are aligned"
    )


def test_markup_in_data_is_only_text() -> None:
    to = io.StringIO()
    output.print_table(["[bold]n"], [("[red]x[/red]",)], to)
    assert "[red]x[/red]" in to.getvalue() and "[bold]n" in to.getvalue()


def test_dates_and_lengths() -> None:
    assert output.plain(date(2026, 1, 2)) == "2026-01-02"
    assert output.plain(b"\x00\xff") == "00ff"
    assert output.ago(None, NOW) == "never"
    for length, said in ((1, "just now"), (59, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")):
        assert output.ago(NOW - timedelta(seconds=length), NOW) == said
    assert output.ago(NOW + timedelta(minutes=5), NOW) == "in 5 min"


@given(st.lists(st.sampled_from(["id", "id_2", "n"]), max_size=8))
def test_columns_get_names_of_their_own_and_keep_their_order(names: list[str]) -> None:
    got = distinct(names)
    assert len(set(got)) == len(got) == len(names)
    assert all(fresh.startswith(name) for fresh, name in zip(got, names, strict=True))


@given(st.lists(st.lists(st.tuples(st.integers()), max_size=4), max_size=5), st.none() | st.integers(0, 12))
def test_a_limit_cuts_and_says_so(batches: list[list[tuple[int]]], limit: int | None) -> None:
    every = [row for batch in batches for row in batch]
    counted = Counted(batches, limit)
    got = list(counted)
    assert got == (every if limit is None else every[:limit])
    assert counted.count == len(got)
    assert counted.more == (len(got) < len(every))


def test_a_child_is_started_again_after_a_growing_pause() -> None:
    delays = [restart_delay_s(deaths) for deaths in range(1, 40)]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays == sorted(delays) and delays[-1] == 60.0


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
        ("box.local", "http://box.local:80"),
    ],
)
def test_the_address_can_be_typed_in_a_browser(host: str, url: str) -> None:
    assert address(host, 80) == url


def test_the_command_says_how_many_contributions_it_shows() -> None:
    assert explain._SHOWN == FEW
