"""Keeps the warehouse small and quick: merges files, lets old states go, fills new columns, each when it is due."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from takings.clock import Clock
from takings.errors import TakingsError, Unavailable
from takings.log import get
from takings.settings import Settings
from takings.warehouse import Warehouse

#: How often it is looked whether many small files have come together: one query of some milliseconds.
LOOK: Final = timedelta(seconds=30)
#: How often few small files are merged too, and what nobody can reach any more is deleted.
SWEEP: Final = timedelta(hours=1)
#: How often states beyond the policy are let go.
THIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Done:
    """What one look led to.

    Attributes:
        filled: Tables whose new columns were filled.
        merged: Transactions in which files were merged.
        thinned: States that were let go.
        swept: True where everything was gone through.
    """

    filled: tuple[str, ...] = ()
    merged: int = 0
    thinned: int = 0
    swept: bool = False

    def __bool__(self) -> bool:
        return bool(self.filled or self.merged or self.thinned or self.swept)


class Maintenance:
    """Does for one warehouse what is due, in whichever process asks first; the others go on.

    When each thing was last done stands in a file beside the warehouse, so that several workers share the schedule and a
    restart does not begin it anew.

    Args:
        warehouse: Of what.
        settings: How long states are kept, and where the data folder is.
        clock: The one clock.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings, clock: Clock) -> None:
        self._warehouse, self._settings, self._clock = warehouse, settings, clock
        self._file = settings.home / "warehouse" / "kept.json"
        self._looked = float("-inf")
        self._filled = False
        self._log = get("maintenance")

    def tick(self) -> Done:
        """Do what is due. Cheap when nothing is; else it may take minutes, in which writers wait for a moment at a time.

        Never raises what waiting may heal: it is tried again at its next turn.

        Returns:
            What was done.
        """
        now = self._clock.monotonic()
        if now - self._looked < LOOK.total_seconds():
            return Done()
        self._looked = now
        try:
            done = self._due()
        except Unavailable as error:
            self._log.debug("maintenance.later", code=error.code)
            return Done()
        except TakingsError as error:
            self._log.warning("maintenance.failed", code=error.code)
            return Done()
        if done:
            self._log.info(
                "maintenance.done",
                filled=list(done.filled),
                merged=done.merged,
                thinned=done.thinned,
                swept=done.swept,
                ms=round((self._clock.monotonic() - now) * 1000),
            )
        return done

    def _due(self) -> Done:
        filled = self._fill()
        if self._is_due("swept", SWEEP):
            self._warehouse.maintain()
            self._note("swept")
            thinned = self._thin() if self._is_due("thinned", THIN) else 0
            return Done(filled, thinned=thinned, swept=True)
        return Done(filled, merged=self._warehouse.tidy())

    def _fill(self) -> tuple[str, ...]:
        """Fill what an upgrade left to be filled; asked until there is nothing, which stays so in this process."""
        if self._filled:
            return ()
        names = self._warehouse.unfilled()
        for name in names:
            self._log.info("maintenance.filling", table=name)
            self._warehouse.rebuild(name)
        self._filled = True
        return tuple(names)

    def _thin(self) -> int:
        days = self._settings.keep_versions_days
        removed = 0 if days is None else self._warehouse.thin(self._clock.now() - timedelta(days=days))
        if removed:
            self._warehouse.maintain()
        self._note("thinned")
        return removed

    def _is_due(self, what: str, every: timedelta) -> bool:
        last = self._said().get(what)
        now = self._clock.now()
        # A moment in the future was written by a clock that was wrong.
        return last is None or not now - every < last <= now

    def _note(self, what: str) -> None:
        said = {**self._said(), what: self._clock.now()}
        fresh = self._file.with_name(f".{self._file.name}")
        try:
            fresh.write_text(json.dumps({key: at.isoformat() for key, at in said.items()}), "utf-8")
            fresh.replace(self._file)
        except OSError as error:
            self._log.warning("maintenance.unsaid", cause=error.strerror)

    def _said(self) -> dict[str, datetime]:
        try:
            return {key: _aware(at) for key, at in json.loads(self._file.read_text("utf-8")).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _aware(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
