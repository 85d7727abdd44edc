"""Credentials that are good right now: access tokens are renewed by one process at a time, and no new token is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from takings.clock import Clock
from takings.connections import records
from takings.connections.model import Credentials
from takings.errors import Unavailable
from takings.log import get
from takings.store import Store, Vault
from takings.store.schema import connections

RENEW_BEFORE: Final = timedelta(minutes=5)
"""How long before its end a token is renewed."""

_CLAIM: Final = timedelta(seconds=90)  # longer than an exchange can take with its time-outs
_LAST_MOMENT: Final = timedelta(seconds=20)
_PATIENCE_S: Final = 100.0
_POLL_S: Final = 0.2
_REREAD_S: Final = 10.0

Renew = Callable[[Credentials], Credentials]
"""Exchanges a refresh token at Stripe. The old one is dead afterwards."""


class Tokens:
    """Hands out credentials, renewing those of Stripe Apps before they end.

    Stripe kills a refresh token with each exchange, so of all processes that find a token near its end one takes a
    claim in the store (compare and set on ``credentials_rev``), exchanges outside any transaction, and writes the new
    tokens through to the disk before anybody uses them; the others go on with the old access token while it lasts, and
    wait for the new one then. Only a process killed in between the two loses the tokens: then the next exchange is
    refused, and the connection asks to be re-authenticated.

    Args:
        store: Where the credentials are.
        vault: What opens them.
        clock: The one clock.
        renew: Exchanges the refresh token.
    """

    def __init__(self, store: Store, vault: Vault, clock: Clock, renew: Renew) -> None:
        self._store, self._vault, self._clock, self._renew = store, vault, clock, renew
        self._log = get("connections")

    def current(self, connection_id: str) -> Credentials:
        """Return credentials that can be used now.

        Raises:
            NotFound: There is no such connection.
            Refused: Stripe does not take the refresh token any more: re-authenticate.
            Unavailable: Stripe cannot be reached and the old token has ended.
        """
        waited_until = self._clock.monotonic() + _PATIENCE_S
        while True:
            credentials, revision = self._stored(connection_id)
            left = time_left(credentials, self._clock.now())
            if left is None or left > RENEW_BEFORE:
                return credentials
            if self._claim(connection_id, revision):
                return self._rotate(connection_id, revision, credentials)
            if left > _LAST_MOMENT:
                return credentials
            if self._clock.monotonic() > waited_until:
                raise Unavailable(
                    "connections.token_busy",
                    "Another process is renewing the access to Stripe and has not finished; it is tried again.",
                    connection=connection_id,
                )
            self._clock.sleep(_POLL_S)

    def _stored(self, connection_id: str) -> tuple[Credentials, int]:
        with self._store.read() as db:
            row = db.execute(
                sa.select(connections.c.credentials, connections.c.credentials_rev).where(
                    connections.c.id == connection_id
                )
            ).first()
        if row is None:
            raise records.no_such(connection_id)
        return records.unseal(self._vault, row.credentials), row.credentials_rev

    def _claim(self, connection_id: str, revision: int) -> bool:
        now = self._clock.now()
        claim = connections.c.credentials_claim
        with self._store.write() as db:
            done = db.execute(
                sa.update(connections)
                .where(
                    connections.c.id == connection_id,
                    connections.c.credentials_rev == revision,
                    sa.or_(claim.is_(None), claim < now),
                )
                .values(credentials_claim=now + _CLAIM)
            )
        return bool(done.rowcount == 1)

    def _rotate(self, connection_id: str, revision: int, old: Credentials) -> Credentials:
        try:
            new = self._renew(old)
        except Unavailable:
            self._release(connection_id, revision)
            left = time_left(old, self._clock.now())
            if left is not None and left > _LAST_MOMENT:
                return old
            raise
        except BaseException:
            self._release(connection_id, revision)
            raise
        with self._store.write(durable=True) as db:
            done = db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.credentials_rev == revision)
                .values(
                    credentials=records.seal(self._vault, new),
                    credentials_rev=revision + 1,
                    credentials_claim=None,
                )
            )
        if done.rowcount != 1:  # a person gave other credentials meanwhile: theirs count
            return self._stored(connection_id)[0]
        self._log.info("connections.token_renewed", connection=connection_id)
        return new

    def _release(self, connection_id: str, revision: int) -> None:
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.credentials_rev == revision)
                .values(credentials_claim=None)
            )


def time_left(credentials: Credentials, now: datetime) -> timedelta | None:
    """Return how long credentials still hold; None where they do not end or nothing can renew them."""
    if credentials.expires_at is None or credentials.refresh is None:
        return None
    return credentials.expires_at - now


def renewed(old: Credentials, secret: str, refresh: str | None, expires_at: datetime | None) -> Credentials:
    """Return the credentials after an exchange; what the answer leaves out stays."""
    return replace(old, secret=secret, refresh=refresh or old.refresh, expires_at=expires_at)


class Token:
    """The token of one connection, asked for before each request: re-read from the store every few seconds.

    So a worker takes up new credentials by itself after a re-authentication, and renews those that are about to end.
    """

    def __init__(self, current: Callable[[], Credentials], clock: Clock) -> None:
        self._current, self._clock = current, clock
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._read_at = 0.0

    def __call__(self) -> str:
        """Return the key or access token.

        Raises:
            Refused, Unavailable, NotFound: As :meth:`Tokens.current`.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._credentials is None or now - self._read_at > _REREAD_S:
                self._credentials = self._current()
                self._read_at = now
            return self._credentials.secret
