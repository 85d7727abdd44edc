"""The one clock, and half-open periods of aware UTC time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What tells the time and waits. The only source of "now" in the program."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary point that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an arbitrary point that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def from_unix(seconds: int) -> datetime:
    """Turn Stripe's integer into an aware moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def to_unix(moment: datetime) -> int:
    """Turn an aware moment into whole Unix seconds, rounding down.

    Raises:
        ValueError: The moment has no time zone.
    """
    require_aware(moment)
    return int(moment.timestamp() // 1)


def require_aware(moment: datetime) -> datetime:
    """Return the moment in UTC.

    Raises:
        ValueError: The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone is not accepted.")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open stretch of time: ``start`` is in it, ``end`` is not.

    Raises:
        ValueError: A bound is naive, or the end lies before the start.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_aware(self.start))
        object.__setattr__(self, "end", require_aware(self.end))
        if self.end < self.start:
            raise ValueError("A period cannot end before it starts.")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start
