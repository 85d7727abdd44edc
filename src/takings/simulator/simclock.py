"""The simulator's clock: real time, moved."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from takings.clock import require_aware


class MovableClock:
    """Ticks like the machine's clock, from any moment, and can be advanced.

    Args:
        start: Where it starts (aware); None for the present.
    """

    def __init__(self, start: datetime | None = None) -> None:
        real = datetime.now(UTC)
        self._ahead = timedelta(0) if start is None else require_aware(start) - real

    def now(self) -> datetime:
        """Return the simulated moment, aware, in UTC."""
        return datetime.now(UTC) + self._ahead

    def unix(self) -> float:
        """Return the simulated moment as Unix seconds."""
        return time.time() + self._ahead.total_seconds()

    def monotonic(self) -> float:
        """Return real seconds from an arbitrary point that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        time.sleep(seconds)

    def advance(self, by: timedelta) -> None:
        """Move forward.

        Raises:
            ValueError: ``by`` is negative.
        """
        if by < timedelta(0):
            raise ValueError("The clock only goes forward.")
        self._ahead += by

    def shift(self, by: timedelta) -> None:
        """Set it wrong, or right again: unlike :meth:`advance` also backward."""
        self._ahead += by
