"""Platforms: finding the accounts connected to one, and taking them in or leaving them out."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from takings.accounts import Person
from takings.connections import family, records
from takings.connections.book import update
from takings.connections.joining import base_name
from takings.connections.marking import Marking
from takings.connections.model import ACCOUNTS, Connection, Credentials, Discovery, Found
from takings.connections.probe import account_of, is_refusal
from takings.errors import Invalid, Refused, TakingsError, Unexpected
from takings.store import RequestCounter
from takings.store.schema import connections
from takings.stripe import Limiter, Stripe

DISCOVER_EVERY: Final = timedelta(hours=1)
"""How often the accounts connected to a platform are listed again."""

_PAGE_ROWS: Final = 100
_PAGES: Final = 10_000  # a million accounts: a list that has no end is an error
_RUNNING: Final = ("active", "failed")


class Platforms(Marking):
    """What is done with platforms."""

    def follow_accounts(self, person: Person | None, connection_id: str) -> Connection:
        """Follow the accounts connected to a platform too: they are found by :meth:`discover`, soon.

        Accounts that had been left out are taken in as well.

        Raises:
            Invalid: The connection is read through another one's key, or by OAuth, or is sample data.
            NotFound: There is no such connection.
        """
        self._require(person)
        connection = self.get(connection_id)
        if not may_follow(connection):
            raise Invalid(
                "connections.no_platform",
                "Only a platform that is connected with a key of its own can bring its connected accounts along.",
            )
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id)
                .values(follows_accounts=True, discovered_at=None, left_out=None)
            )
            self._audit.record_in(db, person, "connection.accounts_followed", connection.name, id=connection_id)
        return self.get(connection_id)

    def left_out(self, connection_id: str) -> tuple[str, ...]:
        """Return the accounts connected to a platform that somebody disconnected here, so that they stay away."""
        query = sa.select(connections.c.left_out).where(connections.c.id == connection_id)
        with self._store.read() as db:
            found = db.execute(query).scalar()
        return tuple(found or ())

    def discover(self, connection_id: str) -> Discovery:
        """List the accounts connected to a platform; take in those that are new, and note who has withdrawn.

        Any process may do it at any time: it takes one request for a hundred accounts, and one for each that has
        vanished from the list, which is asked whether it is really gone. An account that has a connection of its own
        is left to that.

        Raises:
            NotFound: There is no such connection.
            Refused: The key is refused (then that is noted), or may not list accounts.
            Unavailable: Stripe is away; nothing has changed.
        """
        platform = self.get(connection_id)
        if not platform.follows_accounts or platform.state not in _RUNNING:
            return Discovery()
        limiter = self.limiter(platform)
        counter = RequestCounter(self._store, platform.pool_account_id, platform.livemode, self._clock)
        try:
            with closing(self.client(platform, limiter=limiter, on_request=counter)) as stripe:
                listed = _listed(stripe)
            gone = self._gone(platform, listed, limiter, counter)
        except TakingsError as error:
            if is_refusal(error):
                self.mark_reauth(connection_id, error)
            raise
        finally:
            counter.flush()
        found = self._take_in(platform, listed, gone)
        self._log.info(
            "connections.discovered",
            connection=connection_id,
            listed=found.listed,
            added=len(found.added),
            returned=len(found.returned),
            gone=len(found.gone),
        )
        return found

    def due_for_discovery(self) -> list[str]:
        """Return the platforms whose accounts are to be listed now."""
        query = sa.select(connections.c.id).where(
            connections.c.follows_accounts,
            connections.c.state.in_(_RUNNING),
            sa.or_(
                connections.c.discovered_at.is_(None),
                connections.c.discovered_at <= self._clock.now() - DISCOVER_EVERY,
            ),
        )
        with self._store.read() as db:
            return [row.id for row in db.execute(query)]

    def _gone(
        self, platform: Connection, listed: Mapping[str, Found], limiter: Limiter, counter: RequestCounter
    ) -> frozenset[str]:
        """Return the connections of accounts that are listed no more and that Stripe refuses when asked."""
        query = records.select_connections().where(
            connections.c.platform_id == platform.id, connections.c.state.in_((*_RUNNING, "paused"))
        )
        with self._store.read() as db:
            present = [records.to_connection(row) for row in db.execute(query)]
        gone = set()
        for one in present:
            if one.account_id in listed:
                continue
            try:
                with closing(self.client(one, limiter=limiter, on_request=counter)) as stripe:
                    stripe.get("/v1/account")
            except Refused as error:
                if error.code == "stripe.account_access":
                    gone.add(one.id)
                elif is_refusal(error):
                    raise
        return frozenset(gone)

    def _take_in(self, platform: Connection, listed: Mapping[str, Found], gone: frozenset[str]) -> Discovery:
        now, why = self._clock.now(), family.WITHDRAWN
        with self._store.write() as db:
            # The first write holds off whoever disconnects or pauses the platform meanwhile.
            held = db.execute(
                sa.update(connections)
                .where(
                    connections.c.id == platform.id,
                    connections.c.follows_accounts,
                    connections.c.state.in_(_RUNNING),
                )
                .values(discovered_at=now)
            )
            if held.rowcount != 1:
                return Discovery()
            known = self._known(db, platform)
            row = db.execute(sa.select(connections.c.left_out).where(connections.c.id == platform.id)).one()
            left_out = frozenset(row.left_out or ())
            new = [one for id, one in listed.items() if id not in known and id not in left_out]
            self._insert(db, platform, new)
            ours = [one for one in known.values() if one.platform_id == platform.id]
            returned = [one for one in ours if one.account_id in listed and one.reason_code == why.code]
            lost = [one for one in ours if one.id in gone]
            for one in returned:
                update(
                    db,
                    one.id,
                    {
                        "state": "active",
                        "reason": None,
                        "reason_code": None,
                        "sync_wanted_at": now,
                        "next_sync_at": now,
                    },
                )
            for one in lost:
                update(
                    db,
                    one.id,
                    {"state": "reauth", "reason": why.sentence, "reason_code": why.code, "sync_wanted_at": None},
                )
            for one in ours:
                told = listed.get(one.account_id)
                if told is not None and told.name != one.account_name:
                    update(db, one.id, {"account_name": told.name})
            if new or returned or lost:
                self._audit.record_in(
                    db,
                    None,
                    "connection.accounts_found",
                    platform.name,
                    id=platform.id,
                    added=len(new),
                    returned=len(returned),
                    gone=len(lost),
                )
        return Discovery(
            added=tuple(one.account_id for one in new),
            returned=tuple(one.account_id for one in returned),
            gone=tuple(one.account_id for one in lost),
            listed=len(listed),
        )

    def _known(self, db: sa.Connection, platform: Connection) -> dict[str, Connection]:
        """Return the connections of the platform's mode by account, whoever's key reads them."""
        query = records.select_connections().where(
            connections.c.livemode == platform.livemode, connections.c.source == platform.source
        )
        return {row.account_id: records.to_connection(row) for row in db.execute(query)}

    def _insert(self, db: sa.Connection, platform: Connection, new: list[Found]) -> None:
        if not new:
            return
        now = self._clock.now()
        taken = family.names(db)
        nothing = records.seal(self._vault, Credentials(way=platform.way, secret=""))
        rows: list[dict[str, Any]] = [
            {
                "id": secrets.token_hex(8),
                "name": family.name_for(base_name(one.name, platform.livemode), one.account_id, taken),
                "source": platform.source,
                "way": platform.way,
                "account_id": one.account_id,
                "account_name": one.name,
                "livemode": platform.livemode,
                "country": one.country,
                "currency": one.currency,
                "state": "active",
                "credentials": nothing,
                "start_at": platform.start_at,
                "permissions": {},
                "created_at": now,
                "sync_wanted_at": now,
                "next_sync_at": now,
                "platform_id": platform.id,
                "pool_account": platform.pool_account_id,
            }
            for one in new
        ]
        db.execute(sa.insert(connections), rows)


def may_follow(connection: Connection) -> bool:
    """Tell whether a connection's key may read accounts that are connected to its own."""
    return (
        connection.way == "key"
        and connection.source == "stripe"
        and connection.platform_id is None
        and connection.pool_account is None
        and connection.state != "disconnecting"
    )


def _listed(stripe: Stripe) -> dict[str, Found]:
    """List all connected accounts, by id, newest first.

    Raises:
        Unexpected: The list does not end, or an account in it cannot be read.
    """
    found: dict[str, Found] = {}
    after: dict[str, str] = {}
    for _ in range(_PAGES):
        page = stripe.page(ACCOUNTS, {"limit": str(_PAGE_ROWS), **after})
        for item in page.items:
            try:
                told = account_of(item.raw)
            except msgspec.DecodeError as error:
                raise _unreadable() from error
            found[item.id] = Found(
                account_id=item.id,
                path=item.id,
                name=told.name or item.id,
                country=told.country,
                currency=told.currency,
            )
        if not page.has_more or not page.items:
            return found
        after = {"starting_after": page.items[-1].id}
    raise _unreadable()


def _unreadable() -> Unexpected:
    return Unexpected(
        "connections.accounts_unreadable", "Stripe’s list of connected accounts cannot be read: please report it."
    )
