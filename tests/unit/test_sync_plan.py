"""The plan reads every row of a list once, whatever the rows' times, and wastes few requests."""

from __future__ import annotations

import bisect
import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from takings import catalog
from takings.sync import plan
from takings.sync.plan import Window

BEGAN = 1_600_000_000


class List:
    """A list as Stripe serves it: newest first, inclusive bounds in whole seconds, cursors by id."""

    def __init__(self, created: list[int]) -> None:
        self.rows = sorted(((moment, f"id_{n:06}") for n, moment in enumerate(created)), reverse=True)
        self._falling = [-moment for moment, _ in self.rows]
        self._place = {identifier: n for n, (_, identifier) in enumerate(self.rows)}
        self.requests = 0

    def page(self, window: Window) -> tuple[list[tuple[int, str]], bool]:
        self.requests += 1
        first = 0 if window.cursor is None else self._place[window.cursor] + 1
        if window.end is not None:
            first = max(first, bisect.bisect_right(self._falling, -window.end))
        last = len(self.rows)
        if window.start is not None:
            last = bisect.bisect_right(self._falling, -window.start)
        return self.rows[first : min(first + plan.PAGE_ROWS, last)], first + plan.PAGE_ROWS < last


def read(served: List, most_open: int, dice: random.Random, lose_cursors: float = 0.0) -> list[str]:
    """Read a list as the runner does, windows in any order; return every id received."""
    received: list[str] = []
    todo = [plan.new_window("/v1/things")]
    while todo:
        window = todo.pop(dice.randrange(len(todo)))
        if window.cursor is not None and dice.random() < lose_cursors:
            todo.append(plan.without_cursor(window))
            continue
        rows, more = served.page(window)
        received += [identifier for _, identifier in rows]
        created: list[int | None] = [moment for moment, _ in rows]
        after = plan.moved(window, ids=[i for _, i in rows], created=created, has_more=more, next_page=None)
        seen = plan.density(created)
        if not after.done and seen is not None and len(todo) + 1 < most_open:
            halves = plan.split(after, seen, BEGAN)
            if halves is not None:
                after, older = halves
                todo.append(older)
        if not after.done:
            todo.append(after)
    return received


moments = st.integers(BEGAN, BEGAN + 5_000)


@given(
    created=st.lists(moments, max_size=1500)
    | st.lists(st.sampled_from([BEGAN, BEGAN + 1, BEGAN + 4_000]), max_size=1500),
    most_open=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_every_row_arrives_and_none_twice(created: list[int], most_open: int, seed: int) -> None:
    served = List(created)
    received = read(served, most_open, random.Random(seed))
    assert sorted(received) == sorted(identifier for _, identifier in served.rows)


@given(created=st.lists(moments, max_size=900, unique=True), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_lost_cursors_lose_no_row(created: list[int], seed: int) -> None:
    served = List(created)
    received = read(served, 6, random.Random(seed), lose_cursors=0.3)
    assert set(received) == {identifier for _, identifier in served.rows}


def test_a_large_list_costs_few_requests_more_than_its_pages() -> None:
    dice = random.Random(7)
    growing = [BEGAN + int(90_000_000 * dice.random() ** 0.5) for _ in range(50_000)]
    served = List(growing)
    received = read(served, 6, dice)
    assert len(received) == len(set(received)) == 50_000
    assert served.requests <= 1.05 * 500


def test_a_small_list_costs_its_pages_and_nothing_more() -> None:
    served = List([BEGAN + n * 86_400 for n in range(300)])
    read(served, 12, random.Random(1))
    assert served.requests == 3


def test_a_split_keeps_the_newer_half_and_its_cursor() -> None:
    window = Window(id="w", list="/v1/charges", start=None, cursor="ch_1", reached=BEGAN + 10_000)
    halves = plan.split(window, rows_per_s=1.0, floor=BEGAN)
    assert halves is not None
    newer, older = halves
    assert (newer.cursor, newer.start, newer.end) == ("ch_1", BEGAN + 5_000, None)
    assert (older.cursor, older.start, older.end) == (None, None, BEGAN + 5_000)


def test_an_empty_page_that_promises_more_ends_the_window() -> None:
    window = Window(id="w", list="/v1/charges", cursor="ch_1")
    assert plan.moved(window, ids=[], created=[], has_more=True, next_page=None).done


def test_a_v2_list_goes_on_at_the_address_it_names() -> None:
    window = Window(id="w", list="/v2/core/accounts")
    after = plan.moved(window, ids=["a"], created=[], has_more=True, next_page="/v2/core/accounts?page=2")
    assert (after.cursor, after.done) == ("/v2/core/accounts?page=2", False)


def test_reach_is_the_oldest_moment_from_which_nothing_is_missing() -> None:
    first = Window(id="a", list="/v1/charges", start=50, end=None, cursor="x", reached=80)
    second = Window(id="b", list="/v1/charges", start=0, end=50)
    assert plan.reach([first, second], None) == 81
    assert plan.reach([second], None) == 50
    assert plan.reach([], 10) == 10
    assert plan.reach([replace(first, reached=None)], 10) is None


def test_the_first_windows_lift_every_default_filter() -> None:
    windows = plan.first_windows(catalog.load(), since=None)
    by_list: dict[str, list[str]] = {}
    for window in windows:
        by_list.setdefault(window.list, []).append(window.variant)
    assert by_list["/v1/subscriptions"] == ["status=all"]
    assert sorted(by_list["/v1/prices"]) == ["active=false", "active=true"]
    assert all("{" not in path for path in by_list)
    assert len(by_list) > 80


def test_a_chosen_start_bounds_only_lists_that_can_be_bounded() -> None:
    windows = {window.list: window for window in plan.first_windows(catalog.load(), since=BEGAN)}
    assert windows["/v1/charges"].start == BEGAN
    assert windows["/v1/payment_methods"].start is None
