"""What is asked again and when: properties that hold for every kind of trouble."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.stripe.retry import Again, Retries, Stop, Trouble, decide, trouble_of

RETRIES = Retries()
TROUBLES = st.builds(
    Trouble,
    failure=st.none() | st.sampled_from(("connect", "timeout", "broken", "malformed")),
    status=st.none() | st.integers(300, 599),
    should_retry=st.none() | st.booleans(),
    limited=st.none() | st.sampled_from(("global-rate", "endpoint-rate", "new-reason")),
    retry_after_s=st.none() | st.floats(0, 1e6),
)
DICE = st.floats(0, 1, exclude_max=True)


@given(trouble=TROUBLES, dice=st.lists(DICE, min_size=20, max_size=20))
def test_every_story_ends_within_its_tries_and_its_time(trouble: Trouble, dice: list[float]) -> None:
    elapsed = 0.0
    for attempt in range(1, 21):
        step = decide(RETRIES, trouble, attempt, elapsed, dice[attempt - 1])
        if isinstance(step, Stop):
            break
        assert 0 < step.wait_s <= RETRIES.most_s
        elapsed += step.wait_s
    assert isinstance(step, Stop)
    assert attempt <= RETRIES.tries
    assert elapsed <= RETRIES.total_s


@given(trouble=TROUBLES, attempt=st.integers(1, 8), low=DICE, high=DICE)
def test_waits_double_and_chance_only_adds(trouble: Trouble, attempt: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    first = decide(RETRIES, trouble, attempt, 0, low)
    second = decide(RETRIES, trouble, attempt, 0, high)
    if isinstance(first, Again) and isinstance(second, Again):
        assert first.wait_s <= second.wait_s
        assert first.wait_s >= min(RETRIES.most_s, RETRIES.first_s * 2 ** (attempt - 1)) / 2


@given(trouble=TROUBLES, attempt=st.integers(1, 3))
def test_stripe_s_own_word_wins(trouble: Trouble, attempt: int) -> None:
    step = decide(RETRIES, trouble, attempt, 0, 0.5)
    if trouble.should_retry is not None:
        assert isinstance(step, Again) == trouble.should_retry


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(status: int) -> None:
    assert isinstance(decide(RETRIES, trouble_of(status, {}), 1, 0, 0), Again)


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404])
def test_what_does_not_pass_is_not(status: int) -> None:
    assert decide(RETRIES, trouble_of(status, {}), 1, 0, 0) == Stop(f"status_{status}", worn_out=False)


def test_a_429_tells_its_reason_and_a_lock_timeout_has_none() -> None:
    limited = trouble_of(429, {"stripe-rate-limited-reason": "endpoint-rate"})
    assert decide(RETRIES, limited, 1, 0, 0) == Again(0.25, "endpoint-rate")
    assert decide(RETRIES, trouble_of(429, {}), 1, 0, 0) == Again(0.25, "lock_timeout")


def test_garbage_is_given_up_sooner_than_silence() -> None:
    for failure, tries in (("malformed", RETRIES.tries_malformed), ("broken", RETRIES.tries)):
        trouble = Trouble(failure=failure)  # type: ignore[arg-type]
        assert isinstance(decide(RETRIES, trouble, tries - 1, 0, 0), Again)
        assert decide(RETRIES, trouble, tries, 0, 0) == Stop(failure, worn_out=True)


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.0), ("0.1", 0.25), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.25), ("nan", 0.25), ("-1", 0.25)],
)
def test_retry_after_is_honoured_where_it_is_a_number(header: str, wait: float) -> None:
    assert decide(RETRIES, trouble_of(503, {"retry-after": header}), 1, 0, 0) == Again(wait, "status_503")
