"""What the worker reports of a connection: synchronised, refused by Stripe, failed."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from takings.connections import family
from takings.connections.book import Book
from takings.connections.model import Connection
from takings.connections.probe import is_refusal
from takings.errors import NotFound, Refused, TakingsError
from takings.store.schema import Moment, connections, deliveries
from takings.stripe import LocalLimiter

_REASON_CHARS: Final = 500
# What Stripe answers where an account has ended the access that OAuth gave.
_ENDED: Final = frozenset(("stripe.key_refused", "stripe.account_access", "oauth.grant_refused"))


class Marking(Book):
    """Notes what became of the work on a connection."""

    def mark_reauth(self, connection_id: str, error: TakingsError | None = None) -> bool:
        """Note that Stripe refuses the credentials, after asking once more with those stored now.

        (A person may have given new ones while the refused request was under way.) Where a platform's key is refused,
        the platform and all that is connected to it stop; where one connected account has withdrawn, only that one.
        Call it too when something else says that the access has ended, such as ``account.application.deauthorized``.

        Args:
            connection_id: Which.
            error: What was refused; None: nothing yet.

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
            refusal = again
        if connection.platform_id is None:
            return self._mark_refused(connection, refusal)
        if refusal.code == "stripe.account_access":
            return self._mark(connection, "reauth", family.WITHDRAWN)
        try:
            self._mark_refused(self.get(connection.platform_id), refusal)
            return self.get(connection_id).state == "reauth"
        except NotFound:
            return False

    def _mark_refused(self, connection: Connection, refusal: TakingsError) -> bool:
        """Stop a connection whose own credentials are refused, and all that is read with them."""
        marked = self._mark(connection, "reauth", _in_their_words(connection, refusal))
        with self._store.write() as db:
            family.hold(db, connection.id, "reauth", family.REFUSED)
        return marked

    def mark_failed(self, connection_id: str, error: TakingsError) -> bool:
        """Note that synchronising failed in a way that waiting does not mend; False where it is not running anyway."""
        try:
            return self._mark(self.get(connection_id), "failed", error)
        except NotFound:
            return False

    def mark_followed(self, connection_id: str, again: timedelta, began: datetime | None = None) -> None:
        """Note that what could be read was read, though some list is not complete, and plan the next look.

        Args:
            connection_id: Which.
            again: How soon the next look is due; at once where a webhook brought something meanwhile.
            began: When the look that has ended began; None: whatever came meanwhile waits its turn.
        """
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state.in_(("active", "failed")))
                .values(next_sync_at=self._next(connection_id, again, began))
            )

    def mark_synced(self, connection_id: str, at: datetime, again: timedelta) -> None:
        """Note that every permitted list came out complete, as of a moment, and plan the next look.

        Args:
            connection_id: Which.
            at: Everything Stripe held at this moment is here.
            again: How soon the next look is due; at once where a webhook brought something since ``at``.
        """
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state.in_(("active", "failed")))
                .values(
                    state="active",
                    reason=None,
                    reason_code=None,
                    last_sync_at=at,
                    next_sync_at=self._next(connection_id, again, at),
                )
            )

    def _next(self, connection_id: str, again: timedelta, began: datetime | None) -> sa.ColumnElement[datetime]:
        """Return when the next look is due. What came during a look rang while nobody listened: so it is asked for here."""
        now = self._clock.now()
        planned: sa.ColumnElement[datetime] = sa.literal(now + again, Moment)
        if began is None:
            return planned
        came = sa.exists().where(
            deliveries.c.connection_id == connection_id,
            deliveries.c.state == "waiting",
            deliveries.c.received_at >= began,
        )
        return sa.case((came, sa.literal(now, Moment)), else_=planned)

    def _mark(self, connection: Connection, state: Literal["reauth", "failed"], error: TakingsError) -> bool:
        with self._store.write() as db:
            done = db.execute(
                sa.update(connections)
                .where(connections.c.id == connection.id, connections.c.state.in_(("active", "failed")))
                .values(state=state, reason=error.sentence[:_REASON_CHARS], reason_code=error.code)
            )
            if done.rowcount and state == "reauth":
                self._audit.record_in(
                    db, None, "connection.refused", connection.name, id=connection.id, reason=error.code
                )
        self._log.warning("connections.marked", connection=connection.id, state=state, reason=error.code)
        return bool(done.rowcount)


def _in_their_words(connection: Connection, refusal: TakingsError) -> TakingsError:
    """Say of an access that OAuth gave that its owner has ended it, where nothing else can have happened."""
    if connection.way == "key" or refusal.code not in _ENDED:
        return refusal
    return Refused(
        "connections.deauthorized",
        "This account’s owner has ended Takings’ access at Stripe, by uninstalling the app or disconnecting the platform: what is loaded stays, and re-authenticating goes on from there.",
    )
