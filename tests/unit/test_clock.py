"""The clock and periods: aware moments only, half-open."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.clock import Period, SystemClock, from_unix, require_aware, to_unix

SECONDS = st.integers(min_value=0, max_value=4_000_000_000)


@given(SECONDS)
def test_unix_seconds_go_there_and_back(seconds: int) -> None:
    moment = from_unix(seconds)
    assert moment.tzinfo is UTC
    assert to_unix(moment) == seconds


def test_fractions_are_rounded_down_also_before_1970() -> None:
    assert to_unix(datetime(2026, 1, 1, 0, 0, 0, 999_999, UTC)) == to_unix(datetime(2026, 1, 1, tzinfo=UTC))
    assert to_unix(datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC)) == -1


def test_naive_moments_are_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    for act in (require_aware, to_unix, lambda m: Period(m, datetime(2026, 2, 1, tzinfo=UTC))):
        with pytest.raises(ValueError, match="without a time zone"):
            act(naive)


def test_a_moment_of_another_zone_becomes_utc() -> None:
    paris = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert require_aware(paris) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert require_aware(paris).tzinfo is UTC


@given(SECONDS, SECONDS, SECONDS)
def test_neighbouring_periods_share_no_moment_and_leave_none_out(a: int, b: int, c: int) -> None:
    first, middle, last = sorted((a, b, c))
    before, after = Period(from_unix(first), from_unix(middle)), Period(from_unix(middle), from_unix(last))
    whole = Period(from_unix(first), from_unix(last))
    for seconds in (first, middle, last, (first + last) // 2):
        moment = from_unix(seconds)
        assert (moment in before) + (moment in after) == (moment in whole)
    assert before.length + after.length == whole.length


def test_a_period_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        Period(from_unix(2), from_unix(1))


def test_the_systems_clock_is_aware_and_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= first
