"""Every request to Stripe, counted by hour and endpoint: Stripe allots reads over a rolling 30 days."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from takings.clock import Clock, to_unix
from takings.errors import Unavailable
from takings.store.engine import Store
from takings.store.schema import request_counts
from takings.stripe.client import Request

Purpose = Literal["backfill", "follow", "reconcile", "verify", "other"]
"""What requests are made for."""

EVERY_S: Final = 5.0
"""Longest time, in seconds, for which counts of a busy connection are kept in memory only."""


class RequestCounter:
    """Counts the requests of one account; hand it to :class:`takings.stripe.Stripe` as ``on_request``. Safe for threads.

    Args:
        store: Where counts are kept; written every few seconds, and at :meth:`flush`.
        account_id: ``acct_…``.
        livemode: Live and test are counted apart.
        clock: Tells the hour.

    Attributes:
        purpose: What requests are made for from now on.
    """

    def __init__(self, store: Store, account_id: str, livemode: bool, clock: Clock, purpose: Purpose = "other") -> None:
        self._store = store
        self._account_id = account_id
        self._livemode = livemode
        self._clock = clock
        self.purpose: Purpose = purpose
        self._mutex = threading.Lock()
        self._counts: Counter[tuple[int, str, Purpose]] = Counter()
        self._total = 0
        self._next_flush = clock.monotonic() + EVERY_S

    def __call__(self, request: Request) -> None:
        """Count a request."""
        hour = to_unix(self._clock.now()) // 3600
        with self._mutex:
            self._counts[hour, request.endpoint[:300], self.purpose] += 1
            self._total += 1
            now = self._clock.monotonic()
            if now < self._next_flush:
                return
            self._next_flush = now + EVERY_S
        try:
            self.flush()
        except Unavailable:
            return  # kept in memory, written next time: a request must not fail because it cannot be counted yet

    @property
    def total(self) -> int:
        """How many requests this counter has seen."""
        return self._total

    def flush(self) -> None:
        """Write what has been counted since the last time.

        Raises:
            Unavailable: The store is away or locked; the counts are kept and written next time.
        """
        with self._mutex:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [
            {
                "account_id": self._account_id,
                "livemode": self._livemode,
                "hour": hour,
                "endpoint": endpoint,
                "purpose": purpose,
                "requests": n,
            }
            for (hour, endpoint, purpose), n in sorted(counts.items())
        ]
        try:
            with self._store.write() as connection:
                insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
                statement = insert(request_counts)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["account_id", "livemode", "hour", "endpoint", "purpose"],
                        set_={"requests": request_counts.c.requests + statement.excluded.requests},
                    ),
                    rows,
                )
        except BaseException:
            with self._mutex:
                self._counts.update(counts)
            raise


def used(store: Store, account_id: str, livemode: bool, since_hour: int) -> int:
    """Return how many requests an account was asked since an hour (hours since 1970, inclusive).

    Raises:
        Unavailable: The store is away.
    """
    with store.read() as connection:
        return int(
            connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(request_counts.c.requests), 0)).where(
                    request_counts.c.account_id == account_id,
                    request_counts.c.livemode == livemode,
                    request_counts.c.hour >= since_hour,
                )
            ).scalar_one()
        )


def used_for(store: Store, account_id: str, livemode: bool, since_hour: int) -> dict[str, int]:
    """Return how many requests an account was asked since an hour (hours since 1970, inclusive), by purpose.

    Raises:
        Unavailable: The store is away.
    """
    counts = request_counts
    with store.read() as connection:
        rows = connection.execute(
            sa.select(counts.c.purpose, sa.func.sum(counts.c.requests))
            .where(counts.c.account_id == account_id, counts.c.livemode == livemode, counts.c.hour >= since_hour)
            .group_by(counts.c.purpose)
        )
        return {row[0]: int(row[1]) for row in rows}
