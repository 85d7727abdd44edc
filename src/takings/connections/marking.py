"""What the worker reports of a connection: synchronised, refused by Stripe, failed."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from takings.connections.book import Book, select_name
from takings.connections.probe import is_refusal
from takings.errors import NotFound, TakingsError
from takings.store.schema import connections
from takings.stripe import LocalLimiter

_REASON_CHARS: Final = 500


class Marking(Book):
    """Notes what became of the work on a connection."""

    def mark_reauth(self, connection_id: str, error: TakingsError) -> bool:
        """Note that Stripe refuses the credentials, after asking once more with those stored now.

        (A person may have given new ones while the refused request was under way.)

        Returns:
            True where the connection now asks to be re-authenticated; False where the present credentials are good, or
            Stripe gave no clear answer: try again.
        """
        try:
            connection = self.get(connection_id)
            limiter = LocalLimiter(rate_global=1, rate_endpoint=1, headroom=0.0, clock=self._clock)
            with closing(self.client(connection, limiter=limiter)) as stripe:
                stripe.get("/v1/account")
            return False
        except NotFound:
            return False
        except TakingsError as again:
            if not is_refusal(again):
                return False
        return self._mark(connection_id, "reauth", error)

    def mark_failed(self, connection_id: str, error: TakingsError) -> bool:
        """Note that synchronising failed in a way that waiting does not mend; False where it is not running anyway."""
        return self._mark(connection_id, "failed", error)

    def mark_synced(self, connection_id: str, at: datetime) -> None:
        """Note that every permitted list came out complete, as of a moment, and plan the next look."""
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state.in_(("active", "failed")))
                .values(
                    state="active",
                    reason=None,
                    reason_code=None,
                    last_sync_at=at,
                    next_sync_at=self._clock.now() + timedelta(seconds=self._settings.sync_every_seconds),
                )
            )

    def _mark(self, connection_id: str, state: Literal["reauth", "failed"], error: TakingsError) -> bool:
        with self._store.write() as db:
            row = db.execute(select_name(connection_id)).first()
            done = db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state.in_(("active", "failed")))
                .values(state=state, reason=error.sentence[:_REASON_CHARS], reason_code=error.code)
            )
            if done.rowcount and row is not None and state == "reauth":
                self._audit.record_in(db, None, "connection.refused", row.name, id=connection_id, reason=error.code)
        self._log.warning("connections.marked", connection=connection_id, state=state, reason=error.code)
        return bool(done.rowcount)
