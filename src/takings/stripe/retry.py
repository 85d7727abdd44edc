"""What to do when a request failed: again after a while, or never. A function of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Failure = Literal["connect", "timeout", "broken", "malformed"]


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient to be.

    Attributes:
        tries: Most requests for one answer.
        tries_malformed: Most requests where Stripe answers, but with something that cannot be read.
        total_s: Most seconds for one answer; no wait begins that would pass it.
        first_s: Wait before the second request, in seconds, doubled for each further one.
        most_s: Longest wait between two requests, in seconds.
    """

    tries: int = 9
    tries_malformed: int = 4
    total_s: float = 180.0
    first_s: float = 0.5
    most_s: float = 32.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one request.

    Attributes:
        failure: How the wire failed; None where an answer came.
        status: HTTP status of the answer.
        should_retry: What ``Stripe-Should-Retry`` said; None where it said nothing.
        limited: What ``Stripe-Rate-Limited-Reason`` said of a 429.
        retry_after_s: What ``Retry-After`` said, in seconds.
    """

    failure: Failure | None = None
    status: int | None = None
    should_retry: bool | None = None
    limited: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Ask again after ``wait_s`` seconds, because of ``reason``."""

    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Do not ask again. ``worn_out`` says that asking later may still help."""

    reason: str
    worn_out: bool


def trouble_of(status: int, headers: Mapping[str, str]) -> Trouble:
    """Read off an answer what matters here.

    Args:
        status: HTTP status.
        headers: With names in lower case.
    """
    word = headers.get("stripe-should-retry", "").lower()
    return Trouble(
        status=status,
        should_retry={"true": True, "false": False}.get(word),
        limited=headers.get("stripe-rate-limited-reason") if status == 429 else None,
        retry_after_s=_seconds(headers.get("retry-after")),
    )


def decide(retries: Retries, trouble: Trouble, attempt: int, elapsed_s: float, dice: float) -> Again | Stop:
    """Decide on the next step after a request failed.

    Args:
        retries: How patient to be.
        trouble: What went wrong.
        attempt: How many requests have been made, this one included (1 or more).
        elapsed_s: Seconds since the first one began.
        dice: A random number, 0 up to 1, that spreads the waits of many threads.

    Returns:
        :class:`Again` only while tries and time are left. Every request here is a GET, so asking twice does no harm.
    """
    reason = _reason(trouble)
    again = trouble.should_retry
    if again is None:
        again = trouble.failure is not None or trouble.status in (408, 409, 425, 429) or (trouble.status or 0) >= 500
    if not again:
        return Stop(
            reason, worn_out=trouble.failure is not None or trouble.status == 429 or (trouble.status or 0) >= 500
        )
    if attempt >= (retries.tries_malformed if trouble.failure == "malformed" else retries.tries):
        return Stop(reason, worn_out=True)
    # Half of the wait is certain, half is chance: after "Exponential Backoff And Jitter" (AWS, "equal jitter").
    wait = min(retries.most_s, retries.first_s * 2.0 ** min(attempt - 1, 30)) * (0.5 + dice / 2)
    if trouble.retry_after_s is not None:
        wait = max(wait, min(trouble.retry_after_s, retries.most_s))
    if elapsed_s + wait > retries.total_s:
        return Stop(reason, worn_out=True)
    return Again(wait, reason)


def _reason(trouble: Trouble) -> str:
    if trouble.failure is not None:
        return trouble.failure
    if trouble.status == 429:
        return trouble.limited or "lock_timeout"
    return f"status_{trouble.status}"


def _seconds(text: str | None) -> float | None:
    """Read ``Retry-After`` where it is a plain number; the form with a date is not used by Stripe."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e9 else None
