"""Ranges of days: presets, comparisons, buckets."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from takings.reports.ranges import (
    GRAINS,
    MOST_POINTS,
    Days,
    add_months,
    buckets,
    compared,
    default_grain,
    fitting_grain,
    midnight,
    preset_days,
)

TODAY = date(2026, 11, 18)  # a Wednesday
a_day = st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31))


@st.composite
def some_days(draw: st.DrawFn, longest: int = 900) -> Days:
    first = draw(a_day)
    return Days(first, first + timedelta(days=draw(st.integers(0, longest))))


@pytest.mark.parametrize(
    ("preset", "first", "last"),
    [
        ("7d", date(2026, 11, 12), TODAY),
        ("30d", date(2026, 10, 20), TODAY),
        ("90d", date(2026, 8, 21), TODAY),
        ("month", date(2026, 11, 1), TODAY),
        ("last_month", date(2026, 10, 1), date(2026, 10, 31)),
        ("quarter", date(2026, 10, 1), TODAY),
        ("last_quarter", date(2026, 7, 1), date(2026, 9, 30)),
        ("year", date(2026, 1, 1), TODAY),
        ("last_year", date(2025, 1, 1), date(2025, 12, 31)),
        ("12m", date(2025, 12, 1), TODAY),
        ("all", date(2024, 2, 29), TODAY),
    ],
)
def test_presets(preset, first, last):
    assert preset_days(preset, TODAY, date(2024, 2, 29)) == Days(first, last)


def test_all_of_nothing_is_today():
    assert preset_days("all", TODAY, None) == Days(TODAY, TODAY)


def test_a_range_never_ends_before_it_starts():
    with pytest.raises(ValueError, match="before it starts"):
        Days(TODAY, TODAY - timedelta(days=1))


@pytest.mark.parametrize(
    ("preset", "days", "previous"),
    [
        # As many days, immediately before.
        ("7d", Days(date(2026, 11, 12), TODAY), Days(date(2026, 11, 5), date(2026, 11, 11))),
        ("custom", Days(date(2026, 3, 5), date(2026, 3, 5)), Days(date(2026, 3, 4), date(2026, 3, 4))),
        # The same part of the month, quarter or year before.
        ("month", Days(date(2026, 11, 1), TODAY), Days(date(2026, 10, 1), date(2026, 10, 18))),
        ("quarter", Days(date(2026, 10, 1), TODAY), Days(date(2026, 7, 1), date(2026, 8, 18))),
        ("year", Days(date(2026, 1, 1), TODAY), Days(date(2025, 1, 1), date(2025, 11, 18))),
        ("12m", Days(date(2025, 12, 1), TODAY), Days(date(2024, 12, 1), date(2025, 11, 18))),
        # Shorter months end where they end, whole months are compared whole.
        ("month", Days(date(2026, 3, 1), date(2026, 3, 30)), Days(date(2026, 2, 1), date(2026, 2, 28))),
        ("last_month", Days(date(2026, 2, 1), date(2026, 2, 28)), Days(date(2026, 1, 1), date(2026, 1, 31))),
        ("last_quarter", Days(date(2026, 4, 1), date(2026, 6, 30)), Days(date(2026, 1, 1), date(2026, 3, 31))),
        ("custom", Days(date(2026, 2, 1), date(2026, 3, 31)), Days(date(2025, 12, 1), date(2026, 1, 31))),
    ],
)
def test_the_previous_period(preset, days, previous):
    assert compared(days, preset, "previous") == previous


def test_the_previous_year_keeps_the_ends_of_months():
    assert compared(Days(date(2024, 2, 29), date(2024, 2, 29)), "custom", "year") == Days(
        date(2023, 2, 28), date(2023, 2, 28)
    )
    assert compared(Days(date(2025, 2, 1), date(2025, 2, 28)), "custom", "year") == Days(
        date(2024, 2, 1), date(2024, 2, 29)
    )


def test_nothing_to_compare_with():
    days = Days(TODAY, TODAY)
    assert compared(days, "7d", "none") is None
    assert compared(days, "all", "previous") is None


@given(some_days())
@example(Days(date(2026, 11, 1), date(2026, 11, 30)))
def test_the_previous_stretch_touches_and_never_overlaps(days):
    previous = compared(days, "30d", "previous")
    assert previous is not None
    assert len(previous) == len(days)
    assert previous.last + timedelta(days=1) == days.first


@given(some_days(), st.sampled_from(GRAINS))
def test_buckets_cover_a_range_without_gap_or_overlap(days, grain):
    found = buckets(days, grain)
    assert found[0].days.first == days.first
    assert found[-1].days.last == days.last
    assert all(a.days.last + timedelta(days=1) == b.days.first for a, b in pairwise(found))
    assert sum(len(bucket.days) for bucket in found) == len(days)
    for bucket in found[1:]:
        assert grain != "week" or bucket.days.first.weekday() == 0
        assert grain != "month" or bucket.days.first.day == 1


def test_buckets_at_the_edges_say_that_they_are_cut():
    weeks = buckets(Days(date(2026, 11, 4), date(2026, 11, 17)), "week")  # Wednesday to Tuesday
    assert [(w.days.first.day, w.days.last.day, w.whole) for w in weeks] == [
        (4, 8, False),
        (9, 15, True),
        (16, 17, False),
    ]


@given(some_days(20_000), st.sampled_from([None, *GRAINS]))
def test_no_chart_has_too_many_points(days, wanted):
    grain = fitting_grain(days, wanted)
    assert len(buckets(days, grain)) <= MOST_POINTS + 2
    if wanted:
        assert GRAINS.index(grain) >= GRAINS.index(wanted)


def test_default_grains():
    assert default_grain(Days(date(2026, 1, 1), date(2026, 1, 31))) == "day"
    assert default_grain(Days(date(2026, 1, 1), date(2026, 6, 30))) == "week"
    assert default_grain(Days(date(2026, 1, 1), date(2026, 12, 31))) == "month"


def test_days_are_cut_at_midnight_of_the_zone_also_when_the_clocks_change():
    spring = Days(date(2026, 3, 29), date(2026, 3, 29)).period("Europe/Paris")
    assert (spring.start, spring.end) == (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    autumn = Days(date(2026, 10, 25), date(2026, 10, 25)).period("Europe/Paris")
    assert autumn.length == timedelta(hours=25)
    assert spring.length == timedelta(hours=23)


def test_a_period_is_half_open():
    period = Days(date(2026, 11, 1), date(2026, 11, 30)).period("Asia/Tokyo")
    assert datetime(2026, 10, 31, 15, tzinfo=UTC) in period
    assert datetime(2026, 11, 30, 15, tzinfo=UTC) not in period
    assert datetime(2026, 11, 30, 14, 59, 59, 999999, tzinfo=UTC) in period


def test_midnights_that_do_not_exist():
    # Lebanon's clocks jump from midnight to one o'clock.
    assert midnight(date(2026, 3, 29), "Asia/Beirut").astimezone(UTC) == datetime(2026, 3, 28, 22, tzinfo=UTC)


@given(a_day, st.integers(-40, 40))
def test_adding_months_stays_in_the_month_meant(day, months):
    then = add_months(day, months)
    assert (then.year - day.year) * 12 + then.month - day.month == months
    assert then.day <= day.day
