"""How much Stripe lets through: token buckets an account and an endpoint, and requests under way at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from takings.simulator.replies import Reply, error

Reason = Literal["global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", "resource-specific"]

REASONS: Final[tuple[Reason, ...]] = (
    "global-rate",
    "endpoint-rate",
    "global-concurrency",
    "endpoint-concurrency",
    "resource-specific",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The limits in force. Rates are requests a second with a bucket of one second's worth; 0 means no limit."""

    live: float = 100
    test: float = 25
    endpoint: float = 25
    concurrency: int = 0
    endpoint_concurrency: int = 0


class _Bucket:
    """Tokens that come back at a steady rate, at most one second's worth of them."""

    __slots__ = ("at", "tokens")

    def __init__(self, rate: float, now: float) -> None:
        self.tokens = max(rate, 1.0)
        self.at = now

    def fill(self, rate: float, now: float) -> bool:
        """Add what has come back since; tell whether one token is there."""
        self.tokens = min(max(rate, 1.0), self.tokens + (now - self.at) * rate)
        self.at = now
        return self.tokens >= 1.0


class Slot(NamedTuple):
    """One side of an account (live or test) and one of its endpoints."""

    account: str
    livemode: bool
    endpoint: str


class Limits:
    """Counts requests against an :class:`Allowance`. Not thread-safe: one event loop calls it.

    Time is given as monotonic seconds by the caller.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self._buckets: dict[tuple[str, bool, str], _Bucket] = {}
        self._under_way: defaultdict[tuple[str, bool, str], int] = defaultdict(int)

    def change(self, allowance: Allowance) -> None:
        """Put other limits in force; buckets start full again."""
        self.allowance = allowance
        self._buckets.clear()

    def enter(self, slot: Slot, now: float) -> Reason | None:
        """Let a request in, or say why not. One that was let in must :meth:`leave`."""
        allowance = self.allowance
        whole = (slot.account, slot.livemode, "")
        if allowance.concurrency and self._under_way[whole] >= allowance.concurrency:
            return "global-concurrency"
        if allowance.endpoint_concurrency and self._under_way[slot] >= allowance.endpoint_concurrency:
            return "endpoint-concurrency"
        rate = allowance.live if slot.livemode else allowance.test
        account = self._bucket(whole, rate, now) if rate else None
        endpoint = self._bucket(slot, allowance.endpoint, now) if allowance.endpoint else None
        if account is not None and not account.fill(rate, now):
            return "global-rate"
        if endpoint is not None and not endpoint.fill(allowance.endpoint, now):
            return "endpoint-rate"
        for bucket in (account, endpoint):
            if bucket is not None:
                bucket.tokens -= 1.0
        self._under_way[whole] += 1
        self._under_way[slot] += 1
        return None

    def leave(self, slot: Slot) -> None:
        """Say that a request that was let in is answered."""
        self._under_way[(slot.account, slot.livemode, "")] -= 1
        self._under_way[slot] -= 1

    def _bucket(self, key: tuple[str, bool, str], rate: float, now: float) -> _Bucket:
        found = self._buckets.get(key)
        if found is None:
            found = self._buckets[key] = _Bucket(rate, now)
        return found


def too_many(reason: Reason) -> Reply:
    """Answer 429 with the reason that Stripe names in a header."""
    return error(
        429,
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers=((b"stripe-rate-limited-reason", reason.encode()),),
    )


def locked() -> Reply:
    """Answer 429 because another request holds the object: no reason header, to be retried at once."""
    return error(
        429,
        "This object cannot be accessed right now because another request is using it. Try again in a moment.",
        code="lock_timeout",
    )
