"""How far each connection has come in Stripe's events, and what it may still spend: one row a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from takings.clock import to_unix
from takings.store import Store, used_for
from takings.store.schema import follows, stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How far a connection has come.

    Attributes:
        read_to: Moment of the newest event that was made use of, by Stripe's clock; None: none was.
        caught_up_at: When Stripe last had nothing further to tell, by our clock; None: never.
        gap_from: From when events are lost for good, by Stripe's clock; None: no gap is being healed.
        gap_to: Until when.
        tokens: Requests that comparing might spend at ``tokens_at``.
        tokens_at: When that was; None: never.
        planned_at: When it was last worked out what is due; None: it is to be worked out now.
        transactions: Payments of thirty days, as last counted; None: not counted yet.
        forecast: Requests that thirty days take, as last worked out; None: not worked out yet.
    """

    read_to: datetime | None = None
    caught_up_at: datetime | None = None
    gap_from: datetime | None = None
    gap_to: datetime | None = None
    tokens: float = 0.0
    tokens_at: datetime | None = None
    planned_at: datetime | None = None
    transactions: int | None = None
    forecast: int | None = None


_COLUMNS = tuple(follows.c[name] for name in Following.__dataclass_fields__)


class FollowBook:
    """Reads and writes how far connections have come."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, connection_id: str) -> Following:
        """Return how far a connection has come."""
        with self._store.read() as db:
            row = db.execute(sa.select(*_COLUMNS).where(follows.c.connection_id == connection_id)).first()
        return Following() if row is None else Following(**row._mapping)

    def note(self, connection_id: str, **values: Any) -> None:
        """Change columns of a connection's row."""
        with self._store.write() as db:
            here = follows.c.connection_id == connection_id
            if not db.execute(sa.update(follows).where(here).values(**values)).rowcount:
                db.execute(sa.insert(follows).values(connection_id=connection_id, **values))

    def anything_wanted(self, connection_id: str) -> bool:
        """Tell whether stretches of a connection were asked for out of their turn and are not done yet."""
        with self._store.read() as db:
            return (
                db.execute(
                    sa.select(stretches.c.id)
                    .where(stretches.c.connection_id == connection_id, stretches.c.wanted_at.is_not(None))
                    .limit(1)
                ).first()
                is not None
            )

    def spent(self, account_id: str, livemode: bool, since: datetime) -> dict[str, int]:
        """Return the requests of an account since a moment, by purpose."""
        return used_for(self._store, account_id, livemode, to_unix(since) // 3600)
