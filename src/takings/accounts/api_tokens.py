"""Tokens of the API: made by a person for a program, shown once, stored as a hash, and never worth more than the person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from takings.accounts.audit import Audit
from takings.accounts.model import MATRIX, Action, ApiToken, Person, require
from takings.accounts.people import person_of, require_name, require_role
from takings.accounts.tokens import hashed, new_id, new_token
from takings.clock import Clock
from takings.errors import Invalid
from takings.store import Store
from takings.store import schema as s

PREFIX: Final = "takings_"
"""How every token begins, so that whoever searches code for secrets finds it."""

MOST: Final = 50
"""Tokens that one person may have at a time."""

_NOTE_EVERY = timedelta(minutes=5)


class ApiTokens:
    """Makes, finds, lists and revokes tokens. A token is never stored, only its hash.

    Args:
        store: The product's own database.
        clock: Tells what has expired.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._audit = Audit(store, clock)

    def make(self, person: Person, name: str, role: str, last_day: date | None = None, zone: str = "UTC") -> str:
        """Make a token and return it: it is shown once and cannot be had again.

        Args:
            person: Whose it is.
            name: What it is for.
            role: What it may do: at most what its person may.
            last_day: The last day on which it works, in ``zone``; None: until it is revoked.
            zone: IANA name of that day's zone.

        Raises:
            Invalid: The name or the role cannot be used, the role may more than the person, the day is over, or the person
                has too many tokens already.
        """
        shown, wanted, now = require_name(name), require_role(role), self._clock.now()
        if not MATRIX[wanted] <= MATRIX[person.role]:
            raise Invalid("accounts.token_role", "A token may not do more than its person may: choose another role.")
        expires_at = _after(last_day, zone) if last_day is not None else None
        if expires_at is not None and expires_at <= now:
            raise Invalid("accounts.token_day", "The last day of a token cannot be over already.")
        token, t = PREFIX + new_token(), s.api_tokens.c
        with self._store.write() as connection:
            mine = connection.execute(sa.select(sa.func.count()).where(t.person_id == person.id)).scalar_one()
            if mine >= MOST:
                raise Invalid("accounts.token_many", f"One person may have {MOST} tokens: revoke one first.", n=MOST)
            connection.execute(
                sa.insert(s.api_tokens).values(
                    token_hash=hashed(token),
                    id=new_id(),
                    person_id=person.id,
                    name=shown,
                    role=wanted,
                    created_at=now,
                    expires_at=expires_at,
                )
            )
            day = last_day.isoformat() if last_day else None
            self._audit.record_in(connection, person, "token.made", shown, role=wanted, last_day=day)
        return token

    def who(self, token: str) -> Person | None:
        """Return in whose name a token asks, with the token's role.

        None where it is unknown, revoked, expired, or may more than its person may today; and where its person is disabled.
        """
        if not token.startswith(PREFIX):
            return None
        now, t = self._clock.now(), s.api_tokens.c
        query = (
            sa.select(s.people, t.role.label("own_role"), t.used_at)
            .join(s.api_tokens, t.person_id == s.people.c.id)
            .where(
                t.token_hash == hashed(token),
                sa.or_(t.expires_at.is_(None), t.expires_at > now),
                s.people.c.disabled_at.is_(None),
            )
        )
        with self._store.read() as connection:
            row = connection.execute(query).first()
        if row is None or not MATRIX[row.own_role] <= MATRIX[row.role]:
            return None
        if row.used_at is None or now - row.used_at > _NOTE_EVERY:
            with self._store.write() as connection:
                connection.execute(sa.update(s.api_tokens).where(t.token_hash == hashed(token)).values(used_at=now))
        return replace(person_of(row), role=row.own_role)

    def list(self, person: Person) -> tuple[ApiToken, ...]:
        """Return a person's tokens, the newest first, those that have expired too."""
        return self._read(s.api_tokens.c.person_id == person.id)

    def every(self, by: Person | None) -> tuple[ApiToken, ...]:
        """Return everybody's tokens, as :meth:`list` does.

        Args:
            by: Who asks; None: whoever has the data folder.

        Raises:
            NotAllowed: Not an administrator.
        """
        if by is not None:
            require(by, Action.MANAGE_PEOPLE)
        return self._read()

    def revoke(self, person: Person, token_id: str) -> bool:
        """Make one of a person's own tokens worthless at once; False: they have no such one."""
        return self._revoke(person, s.api_tokens.c.id == token_id, s.api_tokens.c.person_id == person.id)

    def revoke_any(self, by: Person | None, token_id: str) -> bool:
        """Make anybody's token worthless at once; False: there is no such one.

        Args:
            by: Who does; None: whoever has the data folder.
            token_id: Which.

        Raises:
            NotAllowed: Not an administrator.
        """
        if by is not None:
            require(by, Action.MANAGE_PEOPLE)
        return self._revoke(by, s.api_tokens.c.id == token_id)

    def _read(self, *conditions: sa.ColumnElement[bool]) -> tuple[ApiToken, ...]:
        t = s.api_tokens.c
        query = (
            sa.select(s.api_tokens, s.people.c.name.label("owner"))
            .join(s.people, t.person_id == s.people.c.id)
            .where(*conditions)
            .order_by(t.created_at.desc(), t.id)
        )
        with self._store.read() as connection:
            return tuple(
                ApiToken(
                    id=row.id,
                    name=row.name,
                    role=row.role,
                    owner=row.owner,
                    created_at=row.created_at,
                    expires_at=row.expires_at,
                    used_at=row.used_at,
                )
                for row in connection.execute(query)
            )

    def _revoke(self, by: Person | None, *conditions: sa.ColumnElement[bool]) -> bool:
        with self._store.write() as connection:
            row = connection.execute(sa.select(s.api_tokens.c.name).where(*conditions)).first()
            if row is None:
                return False
            connection.execute(sa.delete(s.api_tokens).where(*conditions))
            self._audit.record_in(connection, by, "token.revoked", row.name)
        return True


def _after(day: date, zone: str) -> datetime:
    """Return the moment at which a day ends in a zone.

    Raises:
        Invalid: It is the last day that a calendar has.
    """
    try:
        return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    except OverflowError as error:
        raise Invalid("accounts.token_day", "The last day of a token cannot be over already.") from error
