"""Lets go of what nobody looks back to: runs that are long over, counts of requests, differences healed more than a year ago."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.clock import Clock, to_unix
from takings.log import get
from takings.store import Store
from takings.store import schema as s

#: How long what was done is remembered. First loads are kept for ever, and so are verifications.
FOLLOWS_KEPT: Final = timedelta(days=30)
COMPARISONS_KEPT: Final = timedelta(days=90)
#: The read allocation looks back over thirty days.
REQUESTS_KEPT: Final = timedelta(days=60)
HEALED_KEPT: Final = timedelta(days=400)

_EVERY_S: Final = 3600.0
#: So many rows a transaction, so that whoever wants to write waits for a moment at most.
_AT_ONCE: Final = 2_000


class Forgetting:
    """A chore: keeps the store from growing with time.

    Args:
        store: The product's own database.
        clock: The one clock.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._next = float("-inf")

    def tick(self) -> int:
        """Delete what is due, hourly; return how many rows went.

        Raises:
            Unavailable: The store is away or locked: the rest goes at the next turn.
        """
        if self._clock.monotonic() < self._next:
            return 0
        now, runs, findings, counts = self._clock.now(), s.runs.c, s.findings.c, s.request_counts.c
        over = runs.state != "running"
        gone = {
            "follows": self._delete(
                s.runs, [runs.id], sa.and_(over, runs.kind == "follow", runs.started_at < now - FOLLOWS_KEPT)
            ),
            "comparisons": self._delete(
                s.runs, [runs.id], sa.and_(over, runs.kind == "reconcile", runs.started_at < now - COMPARISONS_KEPT)
            ),
            "findings": self._delete(s.findings, [findings.id], findings.healed_at < now - HEALED_KEPT),
            "requests": self._delete(
                s.request_counts,
                [counts.account_id, counts.livemode, counts.hour, counts.endpoint, counts.purpose],
                counts.hour < to_unix(now - REQUESTS_KEPT) // 3600,
            ),
        }
        self._next = self._clock.monotonic() + _EVERY_S
        if any(gone.values()):
            get("maintenance").info("maintenance.forgotten", **gone)
        return sum(gone.values())

    def _delete(self, table: sa.Table, key: Sequence[sa.ColumnElement[Any]], condition: sa.ColumnElement[bool]) -> int:
        total = 0
        while True:
            some = sa.select(*key).where(condition).limit(_AT_ONCE)
            with self._store.write() as db:
                number = int(db.execute(sa.delete(table).where(sa.tuple_(*key).in_(some))).rowcount)
            total += number
            if number < _AT_ONCE:
                return total
