"""How much there is, judged from a few pages: exact where pages meet, close where they do not."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.connections.estimate import PAGE_ROWS, Sampled, minutes_for, pages_for, rows_since


def page(moments: list[int], before: int) -> Sampled:
    """Answer as Stripe does for ``created[lt]=before``: the newest hundred, newest first."""
    older = moments[: bisect_left(moments, before)]
    return Sampled(before, tuple(reversed(older[-PAGE_ROWS:])), len(older) > PAGE_ROWS)


def sampled(moments: list[int], now: int, points: int = 4) -> list[Sampled]:
    first = moments[0]
    return [page(moments, now)] + [
        page(moments, first + (now - first) * step // (points + 1)) for step in range(1, points + 1)
    ]


@given(st.lists(st.integers(0, 10_000), max_size=PAGE_ROWS), st.integers(0, 10_000))
def test_a_list_of_one_page_is_counted_exactly(moments: list[int], start: int) -> None:
    moments.sort()
    rows, exact = rows_since([page(moments, 10_001)], start)
    assert exact
    assert rows == sum(1 for moment in moments if moment >= start)


@given(st.lists(st.integers(0, 1_000_000), min_size=101, max_size=300), st.integers(0, 1_000_000))
def test_pages_that_overlap_are_counted_exactly(moments: list[int], start: int) -> None:
    moments.sort()
    before, pages = 1_000_001, []
    while True:  # pages as close as one gets by asking again from the middle of the last
        pages.append(page(moments, before))
        if not pages[-1].has_more:
            break
        created = pages[-1].created
        before = created[len(created) // 2]
        if before == created[-1]:
            return  # more rows in one second than half a page
    rows, exact = rows_since(pages, start)
    assert exact or any(start == page.created[-1] for page in pages)
    if exact:
        assert rows == sum(1 for moment in moments if moment >= start)


@pytest.mark.parametrize("total", [1_000, 50_000, 2_000_000])
def test_an_even_list_is_estimated_within_a_tenth(total: int) -> None:
    moments = [place * 10 for place in range(total)]
    rows, exact = rows_since(sampled(moments, moments[-1] + 1), 0)
    assert not exact
    assert rows == pytest.approx(total, rel=0.1)


def test_a_list_that_grows_forty_fold_is_estimated_within_a_quarter() -> None:
    span, moments = 36, []
    for month in range(span):
        rows = round(100 * 40 ** (month / span))
        moments += [month * 2_600_000 + place * 2_600_000 // rows for place in range(rows)]
    rows, exact = rows_since(sampled(moments, span * 2_600_000), 0)
    assert not exact
    assert rows == pytest.approx(len(moments), rel=0.25)


def test_a_later_start_counts_only_what_is_after_it() -> None:
    moments = [place * 10 for place in range(100_000)]
    rows, _ = rows_since(sampled(moments, 1_000_000), 750_000)
    assert rows == pytest.approx(25_000, rel=0.1)


def test_requests_and_minutes() -> None:
    assert [pages_for(rows) for rows in (0, 1, 100, 101, 2_000)] == [1, 1, 1, 2, 20]
    assert minutes_for([], 80, 20) == 0
    assert minutes_for([2_400], 80, 20) == pytest.approx(2)  # one list waits on its endpoint
    assert minutes_for([1_200] * 8, 80, 20) == pytest.approx(2)  # eight lists wait on the account
