"""One limiter for all processes: stretches of time in which requests may go, granted through the store."""

from __future__ import annotations

from math import inf
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from takings.clock import Clock
from takings.errors import Unavailable
from takings.settings import Settings
from takings.store.engine import Store
from takings.store.schema import rate_buckets
from takings.stripe.limiter import HOLD_S, LEAST_RATE, Bucket, Pacer, recovered

ALONE_S: Final = 0.5
"""Length of a grant, in seconds, while no other process asks: the store is written about twice a second."""
TOGETHER_S: Final = 0.1
"""Length of a grant while others ask too."""
FURTHEST_S: Final = 30.0
"""No grant lies further ahead than this; one that does tells of a clock that was set back, and is forgotten."""

_US = 1_000_000


class SharedLimiter(Pacer):
    """A limiter whose rates all processes share, whatever machine they are on.

    Each process has stretches granted to it in ``rate_buckets``, for the account and for each endpoint, and lets its
    threads go inside them at an even pace. What a process does not use is lost, half a second's worth at most. Rates
    are slowed for all processes at once; how many requests go at once is each process's own affair.

    Args:
        store: Where the grants are kept.
        account_key: What Stripe counts by: the account (``acct_…``), or the platform for its connected accounts.
        settings: Rates and head-room.
        livemode: Live and test are counted apart.
        clock: Wall time and sleeping; clocks of several machines may differ by less than a second without harm.

    Raises (from every method):
        Unavailable: The store is away or locked.
    """

    def __init__(self, store: Store, account_key: str, settings: Settings, livemode: bool, clock: Clock) -> None:
        rate = settings.rate_live if livemode else settings.rate_sandbox
        super().__init__(rate, settings.rate_endpoint, settings.headroom, clock)
        self._store = store
        self._name = f"{account_key}:{'live' if livemode else 'test'}"
        self._global.end = self._global.due  # nothing is granted yet
        self._latest = -inf
        self._seen: dict[str, float] = {}  # end of the latest grant, by bucket

    def _now(self) -> float:
        now = self._clock.now().timestamp()
        if now < self._latest - 1.0:  # the clock was set back: what was granted lies in another time
            for bucket in (self._global, *self._endpoints.values()):
                bucket.due = bucket.end = -inf
        self._latest = now
        return now

    def _new_bucket(self, ceiling: float) -> Bucket:
        bucket = Bucket(ceiling)
        bucket.end = bucket.due
        return bucket

    def _key(self, endpoint: str | None) -> str:
        return self._name if endpoint is None else f"{self._name}:{endpoint}"[:400]

    def _refill(self, endpoint: str, now: float) -> None:
        """Have the next stretch granted to every bucket that is in use and nearly used up, in one go."""
        wanted = {self._key(None): self._global, self._key(endpoint): self._bucket(endpoint)}
        for name, bucket in self._endpoints.items():
            if bucket.due > now - ALONE_S:  # in use: spare it a write of its own
                wanted[self._key(name)] = bucket
        used_up = {
            key: bucket
            for key, bucket in wanted.items()
            if bucket.exhausted(now) or bucket.end - max(bucket.due, now) < ALONE_S / 2
        }
        with self._store.write() as connection:
            rows = {
                row.bucket: row
                for row in connection.execute(
                    sa.select(rate_buckets).where(rate_buckets.c.bucket.in_(used_up)).with_for_update()
                )
            }
            missing = [_new_row(key, bucket.ceiling) for key, bucket in used_up.items() if key not in rows]
            if missing:
                self._insert(connection, missing)
                rows.update(
                    (row.bucket, row)
                    for row in connection.execute(
                        sa.select(rate_buckets)
                        .where(rate_buckets.c.bucket.in_([row["bucket"] for row in missing]))
                        .with_for_update()
                    )
                )
            changes = list(filter(None, (self._grant(key, bucket, rows[key], now) for key, bucket in used_up.items())))
            connection.execute(
                sa.update(rate_buckets)
                .where(rate_buckets.c.bucket == sa.bindparam("key"))
                .values(next_free_us=sa.bindparam("until")),
                changes,
            )

    def _grant(self, key: str, bucket: Bucket, row: sa.Row[Any], now: float) -> dict[str, object] | None:
        """Take the next stretch for a bucket and return the change to its row; None where the present one must do."""
        bucket.slowed_to, bucket.slowed_at = row.rate_per_s, row.changed_us / _US
        free = row.next_free_us / _US
        if free > now + FURTHEST_S:
            free = now
        goes_on = abs(free - self._seen.get(key, -inf)) < 1e-4
        rate = bucket.rate(now)
        requests = max(1, round(rate * (ALONE_S if goes_on or free <= now else TOGETHER_S)))
        if bucket.exhausted(now):
            bucket.due = max(free, now)
            bucket.end = bucket.due + requests / rate
        elif goes_on:
            bucket.end += requests / rate
        else:
            return None
        self._seen[key] = bucket.end
        return {"key": key, "until": round(bucket.end * _US)}

    def _slow(self, endpoint: str | None, bucket: Bucket, now: float) -> None:
        """Halve a rate for all processes, once for all refusals of one moment, and give back what is not used."""
        key = self._key(endpoint)
        try:
            with self._store.write() as connection:
                row = connection.execute(
                    sa.select(rate_buckets).where(rate_buckets.c.bucket == key).with_for_update()
                ).one_or_none()
                if row is None or 0 <= now - row.changed_us / _US < HOLD_S:
                    return
                present = recovered(row.rate_per_s, bucket.ceiling, now - row.changed_us / _US)
                rate = max(LEAST_RATE, present / 2)
                connection.execute(
                    sa.update(rate_buckets)
                    .where(rate_buckets.c.bucket == key)
                    .values(rate_per_s=rate, changed_us=round(now * _US))
                )
        except Unavailable:  # this process at least; the next refusal tells the others
            bucket.slow(now)
            return
        bucket.slowed_to, bucket.slowed_at = rate, now
        bucket.end = min(bucket.end, bucket.due)

    def _insert(self, connection: sa.Connection, rows: list[dict[str, object]]) -> None:
        """Add rows that another process may be adding at this moment."""
        if connection.dialect.name == "sqlite":
            connection.execute(sqlite.insert(rate_buckets).on_conflict_do_nothing(), rows)
        else:
            connection.execute(postgresql.insert(rate_buckets).on_conflict_do_nothing(), rows)


def _new_row(key: str, ceiling: float) -> dict[str, object]:
    return {"bucket": key, "next_free_us": 0, "rate_per_s": ceiling, "changed_us": 0}
