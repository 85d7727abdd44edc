"""Sessions: an opaque token in the browser, its SHA-256 in the store, listed, revoked, and at an end some day."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from takings.accounts.model import Person, Session
from takings.accounts.people import person_of
from takings.accounts.tokens import hashed, new_token
from takings.clock import Clock
from takings.store import Store
from takings.store import schema as s

LASTS: Final = timedelta(days=30)
"""A session ends so long after sign-in, used or not."""

IDLE: Final = timedelta(days=7)
"""A session ends when it was not used for so long."""

_NOTE_EVERY = timedelta(minutes=5)
_SHOWN = 16  # characters of the hash by which its owner names a session


class Sessions:
    """Opens, finds, lists and closes sessions. A token is never stored, only its hash.

    Args:
        store: The product's own database.
        clock: Tells what has expired.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def open(self, person: Person, user_agent: str = "", *, instead_of: str | None = None) -> str:
        """Open a session and return its token, always a new one: a token known before sign-in is worth nothing.

        Args:
            person: Who signed in.
            user_agent: What the browser says it is; 300 characters are kept.
            instead_of: A token to close at the same time: the session that is rotated.
        """
        token, now = new_token(), self._clock.now()
        t = s.sessions.c
        with self._store.write() as connection:
            gone = [t.expires_at <= now, t.seen_at <= now - IDLE]
            if instead_of is not None:
                gone.append(t.token_hash == hashed(instead_of))
            connection.execute(sa.delete(s.sessions).where(sa.or_(*gone)))
            connection.execute(
                sa.insert(s.sessions).values(
                    token_hash=hashed(token),
                    person_id=person.id,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + LASTS,
                    user_agent=user_agent[:300],
                )
            )
        return token

    def who(self, token: str) -> Person | None:
        """Return who holds a token; None when it is unknown, expired, unused for a week, or its person is disabled."""
        now, t = self._clock.now(), s.sessions.c
        query = (
            sa.select(s.people, t.seen_at)
            .join(s.sessions, t.person_id == s.people.c.id)
            .where(
                t.token_hash == hashed(token),
                t.expires_at > now,
                t.seen_at > now - IDLE,
                s.people.c.disabled_at.is_(None),
            )
        )
        with self._store.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        if now - row.seen_at > _NOTE_EVERY:
            with self._store.write() as connection:
                connection.execute(sa.update(s.sessions).where(t.token_hash == hashed(token)).values(seen_at=now))
        return person_of(row)

    def close(self, token: str) -> None:
        """Close the session of a token; an unknown one is closed already."""
        with self._store.write() as connection:
            connection.execute(sa.delete(s.sessions).where(s.sessions.c.token_hash == hashed(token)))

    def close_all(self, person: Person, *, but: str | None = None) -> int:
        """Close all sessions of a person.

        Args:
            person: Whose.
            but: A token whose session stays open.

        Returns:
            How many were closed.
        """
        mine = [s.sessions.c.person_id == person.id]
        if but is not None:
            mine.append(s.sessions.c.token_hash != hashed(but))
        with self._store.write() as connection:
            return connection.execute(sa.delete(s.sessions).where(*mine)).rowcount

    def revoke(self, person: Person, session_id: str) -> bool:
        """Close one of a person's own sessions by the name that :meth:`list` gave it; False: they have no such one."""
        t = s.sessions.c
        with self._store.write() as connection:
            closed = connection.execute(
                sa.delete(s.sessions).where(
                    t.person_id == person.id, sa.func.substr(t.token_hash, 1, _SHOWN) == session_id
                )
            )
        return closed.rowcount > 0

    def list(self, person: Person) -> list[Session]:
        """Return where a person is signed in, last used first."""
        now, t = self._clock.now(), s.sessions.c
        query = (
            sa.select(s.sessions)
            .where(t.person_id == person.id, t.expires_at > now, t.seen_at > now - IDLE)
            .order_by(t.seen_at.desc())
        )
        with self._store.read() as connection:
            return [
                Session(
                    id=row.token_hash[:_SHOWN],
                    created_at=row.created_at,
                    seen_at=row.seen_at,
                    expires_at=row.expires_at,
                    user_agent=row.user_agent,
                )
                for row in connection.execute(query)
            ]

    @staticmethod
    def name_of(token: str) -> str:
        """Return the name under which :meth:`list` shows a token's session."""
        return hashed(token)[:_SHOWN]
