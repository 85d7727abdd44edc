"""Keeps the figures in step with Stripe's tables: the worker's chore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from takings.clock import Clock
from takings.errors import TakingsError, Unavailable
from takings.log import get
from takings.metrics.builder import Builder, Built
from takings.metrics.policies import Policy

EVERY_S: Final = 60.0
"""Least time between two builds, in seconds."""
SHARE: Final = 0.05
"""Most of the time that building may take: after a build of a minute there is none for twenty."""


class Keeping:
    """Builds what is stale, neither more often than :data:`EVERY_S` says nor for a larger part of the time than :data:`SHARE`.

    Where people have chosen another zone or policy it builds at once: they wait for it, and it is seldom.

    Args:
        builder: What builds.
        zone: Gives the reporting zone.
        clock: The one clock.
    """

    def __init__(self, builder: Builder, zone: Callable[[], str], clock: Clock) -> None:
        self._builder, self._zone, self._clock = builder, zone, clock
        self._next = float("-inf")
        self._under: tuple[str, Policy] | None = None
        self._log = get("metrics")

    def tick(self) -> tuple[Built, ...]:
        """Build what is stale, when it is due.

        Never raises what waiting may heal: it is tried again at its next turn.

        Returns:
            What was filled.
        """
        began = self._clock.monotonic()
        if (began < self._next and not self._is_changed()) or not self._builder.has_sources():
            return ()
        try:
            zone = self._zone()
            self._under = (zone, self._builder.policy())
            built = self._builder.build(zone)
        except Unavailable as error:
            self._log.debug("metrics.later", code=error.code)
            self._next = began
            return ()
        except TakingsError as error:
            self._log.warning("metrics.failed", code=error.code)
            self._next = began + EVERY_S
            return ()
        took = self._clock.monotonic() - began
        done = tuple(one for one in built if one.fresh)
        if done or any(one.failed for one in built):
            self._next = began + max(EVERY_S, took / SHARE)
            self._log.info(
                "metrics.built",
                models=len(done),
                came=sum(one.came for one in done),
                gone=sum(one.gone for one in done),
                ms=round(took * 1000),
            )
        return done

    def _is_changed(self) -> bool:
        """Tell whether people have chosen another zone or policy since the last time."""
        if self._under is None:
            return False
        try:
            return (self._zone(), self._builder.policy()) != self._under
        except TakingsError:  # the policy is gone: said when it is built the next time
            return False
