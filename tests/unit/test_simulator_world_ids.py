"""Ids encode rows reversibly, and calendar sums are the calendar's."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from takings.simulator.dice import Dice, add_months, mix, mix_one, unmix_one
from takings.simulator.tables import Ids, ranks

NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS)
def test_mixing_can_be_undone_and_is_the_same_one_by_one(number: int) -> None:
    assert unmix_one(mix_one(number)) == number
    assert int(mix(np.array([number], np.uint64))[0]) == mix_one(number)


@given(
    st.integers(0, 2**40),
    st.integers(0, 99),
    st.sampled_from([("ch_", 24, "3"), ("cus_", 14, ""), ("cs_live_", 58, "")]),
)
def test_an_id_leads_back_to_its_row(row: int, seed: int, kind: tuple[str, int, str]) -> None:
    ids = Ids(seed, "charges", *kind)
    id = ids.encode(np.array([row]))[0]
    assert id == ids.one(row)
    assert len(id) == len(kind[0]) + kind[1]
    assert ids.decode(id) == row
    assert Ids(seed + 1, "charges", *kind).decode(id) != row


@given(st.text(max_size=30))
def test_what_is_no_id_is_not_taken_for_one(text: str) -> None:
    assert (Ids(1, "charges", "ch_", 24, "3").decode(text) or 2**40) >= 2**40


@given(st.datetimes(datetime(2019, 1, 1), datetime(2031, 12, 31)), st.integers(0, 60))  # noqa: DTZ001
def test_months_end_on_their_last_day(naive: datetime, months: int) -> None:
    moment = naive.replace(tzinfo=UTC, microsecond=0)
    later = datetime.fromtimestamp(int(add_months(np.array([int(moment.timestamp())]), np.array([months]))[0]), UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    assert (later.year, later.month - 1, later.time()) == (year, month, moment.time())
    assert later.day <= moment.day
    if later.day < moment.day:
        following = datetime.fromtimestamp(later.timestamp() + 86_400, UTC)
        assert following.month != later.month


def test_ranks_count_within_groups() -> None:
    assert ranks(np.array([5, 3, 5, 5, 3])).tolist() == [1, 1, 2, 3, 2]


def test_dice_fall_alike_for_the_same_seed_topic_and_row() -> None:
    rows = np.arange(10_000)
    one, other = Dice(1), Dice(2)
    assert (one.unit("a", rows) == one.unit("a", rows)).all()
    assert (one.unit("a", rows)[::-1] == one.unit("a", rows[::-1])).all()
    assert abs(one.unit("a", rows).mean() - 0.5) < 0.02
    assert not (one.unit("a", rows) == other.unit("a", rows)).any()
    assert not (one.unit("a", rows) == one.unit("b", rows)).any()
    assert set(one.pick("c", rows, (1, 0, 3)).tolist()) == {0, 2}
