"""What looking at Stripe costs and may cost: the read allocation, the share of it that is ours, and the forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Stripe's read allocation over a rolling thirty days: reads for each transaction, and the least whatever comes in.
READS_A_TRANSACTION: Final = 500
LEAST_READS: Final = 10_000
PERIOD: Final = timedelta(days=30)
#: Share of our reads that following may take before it looks less often.
_FOLLOWING: Final = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an account's reads come to.

    Attributes:
        transactions: Payments of the last thirty days.
        allocation: Reads that Stripe allots for thirty days.
        share: Share of them that is ours, 0 to 1.
        used: Requests of the last thirty days by purpose.
        follow_every: Time between two looks at events.
        forecast: Requests that following and reconciling take in thirty days at the pace wanted, before any stretching.
    """

    transactions: int
    allocation: int
    share: float
    used: Mapping[str, int]
    follow_every: timedelta
    forecast: int

    @property
    def limit(self) -> int:
        """Requests in thirty days that are ours to use."""
        return int(self.allocation * self.share)

    @property
    def spent(self) -> int:
        """Requests of the last thirty days, whatever for."""
        return sum(self.used.values())

    @property
    def upkeep(self) -> int:
        """Requests of the last thirty days that count against the limit: all but those of first loads."""
        return sum(self.used.get(purpose, 0) for purpose in ("follow", "reconcile", "verify"))

    @property
    def pace(self) -> float:
        """By what factor times between two looks at one thing are stretched to stay within the limit: 1 or more."""
        polls = PERIOD / self.follow_every
        return max(1.0, (self.forecast - polls) / max(1.0, self.limit - polls))


def allocation(transactions: int) -> int:
    """Return the reads that Stripe allots for thirty days with so many transactions."""
    return max(LEAST_READS, READS_A_TRANSACTION * transactions)


def follow_every(wanted: timedelta, reads: int, share: float) -> timedelta:
    """Return the time between two looks at events that the read allocation allows: as wanted, or longer."""
    return max(wanted, PERIOD / max(1.0, reads * share * _FOLLOWING))


def refilled(tokens: float, since: datetime | None, now: datetime, a_month: float) -> float:
    """Return how many requests may be spent now.

    They come in evenly. A day's worth can be saved up, or two hundred, so that whoever runs seldom gets things done.

    Args:
        tokens: What was left when it was last looked at.
        since: When that was; None: never.
        now: The present.
        a_month: Requests that come in during thirty days.
    """
    most = max(a_month / 30, 200.0)
    if since is None:
        return most
    return min(most, tokens + a_month * max(timedelta(0), now - since) / PERIOD)
