"""The limiter's arithmetic and its queue, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from takings.clock import SystemClock
from takings.stripe.limiter import BURST_S, HOLD_S, LEAST_RATE, RECOVERY, Bucket, LocalLimiter, Room, recovered


class StillClock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.t = 1000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=self.t)

    def monotonic(self) -> float:
        return self.t

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.t += seconds


def most_in_a_second(moments: list[float]) -> int:
    return max((i - bisect_left(moments, t - 1 + 1e-9) + 1 for i, t in enumerate(moments)), default=0)


@given(
    rate=st.integers(1, 200),
    headroom=st.floats(0, 0.9),
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.3)), min_size=1, max_size=300),
)
@settings(max_examples=60)
def test_no_second_holds_more_than_the_rates_allow(rate: int, headroom: float, steps: list[tuple[int, float]]) -> None:
    clock = StillClock()
    limiter = LocalLimiter(rate, 25, headroom, clock)
    went: dict[str, list[float]] = {}
    for which, pause in steps:
        clock.sleep(pause)
        endpoint = f"/v1/{which}"
        limiter.take(endpoint)
        limiter.succeeded(endpoint)
        went.setdefault(endpoint, []).append(clock.t)
    share = 1 - headroom
    together = sorted(t for moments in went.values() for t in moments)
    assert most_in_a_second(together) <= max(LEAST_RATE, rate * share) * (1 + BURST_S) + 1
    for moments in went.values():
        assert most_in_a_second(moments) <= max(LEAST_RATE, min(25, rate) * share) * (1 + BURST_S) + 1


@given(rate=st.integers(2, 300), lateness=st.floats(0, 0.01))
def test_a_queue_that_never_empties_gets_the_whole_rate(rate: int, lateness: float) -> None:
    clock = StillClock()
    limiter = LocalLimiter(rate, rate, 0, clock)
    begun = clock.t
    n = rate * 3
    for _ in range(n):
        before = clock.t
        limiter.take("/v1/charges")
        limiter.succeeded("/v1/charges")
        if clock.t > before:
            clock.sleep(lateness)  # woken late
    assert n / (clock.t - begun) >= 0.97 * rate


def test_one_endpoint_s_queue_does_not_hold_up_another() -> None:
    clock = StillClock()
    limiter = LocalLimiter(100, 1, 0, clock)
    limiter.take("/v1/charges")
    begun = clock.t
    limiter.take("/v1/refunds")
    assert clock.t - begun < 0.05


def test_a_refusal_halves_the_rate_it_names_and_time_gives_it_back() -> None:
    clock = StillClock()
    limiter = LocalLimiter(100, 25, 0, clock)

    def rate_of(endpoint: str) -> float:
        clock.sleep(0.2)
        begun = clock.t
        for _ in range(20):
            limiter.take(endpoint)
            limiter.succeeded(endpoint)
        return 20 / (clock.t - begun)

    limiter.take("/v1/charges")
    limiter.slowed("/v1/charges", "endpoint-rate")
    assert rate_of("/v1/charges") < 25 * 0.75
    assert rate_of("/v1/refunds") > 25
    clock.sleep(1 / RECOVERY)
    assert rate_of("/v1/charges") > 25


@pytest.mark.parametrize("reason", [None, "a-new-reason"])
def test_a_lock_timeout_or_an_unknown_reason_slows_nothing(reason: str | None) -> None:
    clock = StillClock()
    limiter = LocalLimiter(100, 100, 0, clock)
    begun = clock.t
    for _ in range(200):
        limiter.take("/v1/charges")
        limiter.slowed("/v1/charges", reason)
    assert 200 / (clock.t - begun) > 97


def test_all_refusals_of_one_moment_count_once() -> None:
    bucket = Bucket(100.0)
    assert bucket.slow(10.0)
    assert not bucket.slow(10.0 + HOLD_S / 2)
    assert bucket.rate(10.0) == 50.0
    assert bucket.slow(10.0 + HOLD_S)
    assert bucket.rate(10.0 + HOLD_S) == (50 + 100 * RECOVERY * HOLD_S) / 2


@given(rate=st.floats(LEAST_RATE, 100), since=st.floats(0, 1e6), more=st.floats(0, 1e3))
def test_a_rate_only_grows_back_and_never_past_the_full_one(rate: float, since: float, more: float) -> None:
    assert rate <= recovered(rate, 100, since) <= recovered(rate, 100, since + more) <= 100


@given(st.lists(st.floats(0.01, 2), max_size=50))
def test_refusals_without_end_leave_the_least_rate(gaps: list[float]) -> None:
    bucket, now = Bucket(100.0), 0.0
    for gap in gaps:
        now += gap
        bucket.slow(now)
        assert bucket.rate(now) >= LEAST_RATE


@given(st.lists(st.sampled_from(("shrink", "grow")), max_size=200), st.integers(0, 300))
def test_there_is_always_room_for_one(steps: list[str], under_way: int) -> None:
    room = Room()
    for step in steps:
        room.under_way = under_way
        room.shrink() if step == "shrink" else room.grow()
        room.under_way = 0
        assert not room.full()


def test_a_concurrency_refusal_lowers_how_many_go_at_once_and_nobody_is_forgotten() -> None:
    limiter = LocalLimiter(100_000, 100_000, 0, SystemClock())
    for _ in range(9):
        limiter.take("/v1/charges")
    limiter.slowed("/v1/charges", "endpoint-concurrency")
    for _ in range(8):
        limiter.succeeded("/v1/charges")
    mutex, under_way, seen, done = threading.Lock(), [0], [0], []

    def work() -> None:
        for _ in range(5):
            limiter.take("/v1/charges")
            with mutex:
                under_way[0] += 1
                seen[0] = max(seen[0], under_way[0])
            time.sleep(0.001)
            with mutex:
                under_way[0] -= 1
            limiter.succeeded("/v1/charges")
            with mutex:
                done.append(1)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 100
    # Half of the nine, then one more place for each round of successes.
    assert seen[0] < 20


def test_threads_share_fairly_and_all_get_through() -> None:
    limiter = LocalLimiter(1000, 500, 0, SystemClock())
    taken = [0] * 16

    def work(which: int) -> None:
        for _ in range(20):
            limiter.take(f"/v1/{which % 3}")
            limiter.succeeded(f"/v1/{which % 3}")
            taken[which] += 1

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert taken == [20] * 16


def test_a_thread_whose_wait_fails_hands_the_watch_on() -> None:
    class Failing(SystemClock):
        failed = False

        def sleep(self, seconds: float) -> None:
            if not Failing.failed:
                Failing.failed = True
                raise KeyboardInterrupt
            super().sleep(seconds)

    limiter = LocalLimiter(50, 50, 0, Failing())
    outcomes: list[str] = []

    def work() -> None:
        for _ in range(3):
            try:
                limiter.take("/v1/charges")
                limiter.succeeded("/v1/charges")
                outcomes.append("went")
            except KeyboardInterrupt:
                outcomes.append("stopped")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["stopped"] + ["went"] * 17
