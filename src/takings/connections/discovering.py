"""The chore of listing each platform's connected accounts again, so that new ones are followed and lost ones are told."""

from __future__ import annotations

from typing import Final

from takings.clock import Clock
from takings.connections.platforms import Platforms
from takings.errors import NotFound, TakingsError
from takings.log import get

_LOOK_EVERY_S: Final = 2.0
_AGAIN_S: Final = 300.0  # after a failure


class Discovering:
    """Lists connected accounts when it is time: within seconds where it is wanted, else every hour.

    Args:
        connections: Which platforms there are, and the act itself.
        clock: The one clock.
    """

    def __init__(self, connections: Platforms, clock: Clock) -> None:
        self._connections, self._clock = connections, clock
        self._next_look = float("-inf")
        self._not_before: dict[str, float] = {}
        self._log = get("discovering")

    def tick(self) -> None:
        """Do what is due: nothing, mostly; else one request to Stripe for each hundred accounts of a platform.

        Troubles are logged, and the platform is tried again some minutes later.

        Raises:
            Unavailable: The store is away or locked.
        """
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        due = self._connections.due_for_discovery()
        self._not_before = {key: until for key, until in self._not_before.items() if key in due}
        for connection_id in due:
            if now < self._not_before.get(connection_id, now):
                continue
            self._not_before.pop(connection_id, None)
            try:
                self._connections.discover(connection_id)
            except NotFound:
                continue
            except TakingsError as error:
                self._not_before[connection_id] = self._clock.monotonic() + _AGAIN_S
                self._log.warning("discovering.failed", connection=connection_id, code=error.code)
