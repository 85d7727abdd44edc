"""What is looked at next: what it costs, what is chosen, and that nothing waits beyond the horizon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from takings import catalog
from takings.sync.agenda import Pace, Unit, affordable, check_every, due, is_deep
from takings.sync.book import Standing
from takings.sync.stretches import Stretch, cost

CATALOG = catalog.load()
NOW = datetime(2026, 11, 1, tzinfo=UTC)
PACE = Pace(new_every=timedelta(minutes=15), horizon=timedelta(days=30))
LONG_AGO = NOW - timedelta(days=400)


def stretch(**changes: object) -> Stretch:
    known: dict[str, object] = {"id": "s", "list": "/v1/invoices", "rows": 1_950}
    known |= dict.fromkeys(("listed_at", "nested_at", "open_at"), NOW)
    return Stretch(**(known | changes))  # type: ignore[arg-type]


def unit(cost: int, late: float, *, pressing: bool = False) -> Unit:
    return Unit(kind="check", windows=(), cost=cost, late=late, pressing=pressing)


def test_lists_inside_objects_and_rows_a_list_hides_cost_their_requests() -> None:
    invoices, prices = CATALOG.endpoint("/v1/invoices"), CATALOG.endpoint("/v1/prices")
    one = stretch(hidden=7, inner=300)
    assert cost(invoices, one, deep=False) == 20 + 7
    assert cost(invoices, one, deep=True) == 20 + 7 + 300
    assert cost(prices, stretch(list="/v1/prices"), deep=False) == 21  # active ones and others are two lists


@given(age=st.integers(7, 4_000), factor=st.floats(1, 50))
def test_lists_inside_objects_are_read_within_the_horizon_too(age: int, factor: float) -> None:
    """However often a stretch is due, the lists inside its objects are never left for a turn that comes too late."""
    pace = Pace(new_every=timedelta(minutes=15), horizon=timedelta(days=30), factor=factor)
    end = int((NOW - timedelta(days=age)).timestamp())
    one, now = stretch(end=end), NOW
    longest = timedelta(0)
    for _ in range(60):
        every = check_every(one, CATALOG.resources["invoices"], pace, now)
        now += every
        deep = is_deep(one, every, pace, now)
        if deep:
            longest = max(longest, now - one.nested_at)
        one = stretch(end=end, listed_at=now, nested_at=now if deep else one.nested_at)
    assert timedelta(0) < longest <= pace.horizon


def test_what_is_dearer_than_a_run_goes_alone() -> None:
    cheap, dear = unit(10, 1.2), unit(3_000, 1.5)
    assert affordable([dear, cheap], 5_000, 1_000) == [dear]
    assert affordable([dear, cheap], 200, 1_000) == [cheap]
    assert affordable([dear], 200, 1_000) == []
    assert affordable([unit(3_000, 2.0)], 200, 1_000) == [unit(3_000, 2.0)]
    pressing = unit(3_000, 1.1, pressing=True)
    assert affordable([dear, pressing], 200, 1_000) == [pressing]
    assert affordable([dear, pressing], -5, 1_000) == []


def test_what_somebody_asked_for_is_paid_for_whatever_there_is() -> None:
    asked = [unit(700, inf), unit(400, inf), unit(300, inf)]
    assert affordable([*asked, unit(1, 3.0)], -10, 1_000) == [asked[0], asked[2]]
    assert affordable([unit(5_000, inf)], -10, 1_000) == [unit(5_000, inf)]


def test_a_list_that_failed_is_tried_in_its_turn_or_when_it_is_asked_for() -> None:
    def tried(state: str, minutes: float, asked_minutes: float | None = None) -> bool:
        standing = Standing(
            list="/v1/customers",
            table="customers",
            state=state,  # type: ignore[arg-type]
            reason_code=None,
            complete_as_of=LONG_AGO,
            read_at=NOW - timedelta(minutes=minutes),
            rows=10,
        )
        asked = {} if asked_minutes is None else {"/v1/customers": NOW - timedelta(minutes=asked_minutes)}
        return bool(due(CATALOG, {"/v1/customers": standing}, [], {}, PACE, NOW, None, asked))

    assert not tried("partial", 14)
    assert tried("partial", 16)
    assert tried("partial", 14, 13)
    assert not tried("partial", 13, 14)  # it was tried since
    assert not tried("forbidden", 300)
    assert tried("forbidden", 300, 1)
    assert not tried("complete", 300, 1)  # there is nothing to make good
