"""Changing and ending connections: new credentials, name, pause, wish for a look at once, disconnect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Person
from takings.connections import family, records
from takings.connections.book import name_taken, refuse_disconnecting, select_name, update
from takings.connections.joining import Joining
from takings.connections.model import Connection, Credentials, Probe, Removal, State
from takings.errors import Invalid, TakingsError
from takings.store.schema import connections, oauth_states, table_rows

# How the row of a connection reads whose data is being deleted.
_ENDING: Final[dict[str, Any]] = {
    "state": "disconnecting",
    "follows_accounts": False,
    "webhook_secrets": None,
    "sync_wanted_at": None,
    "reason": None,
    "reason_code": None,
}


class Keeping(Joining):
    """Everything that a person does with a connection that exists."""

    def reauthenticate(self, person: Person | None, connection_id: str, credentials: Credentials) -> Connection:
        """Give a connection new credentials of the same account: history and settings stay.

        The accounts connected to a platform go on with it; with an organisation's key, so do all connections that had
        the same key before.

        Raises:
            Invalid: The credentials open another account, or the other of live and test mode; or the account is read
                with its platform's key.
            Refused, Unavailable: As :meth:`probe`.
            NotFound: There is no such connection.
        """
        self._require(person)
        connection = self.get(connection_id)
        refuse_disconnecting(connection)
        if connection.platform_id is not None:
            platform = self.get(connection.platform_id)
            raise Invalid(
                "connections.by_platform",
                f"This account is read with the key of its platform: re-authenticate “{platform.name}”.",
                name=platform.name,
                connection=platform.id,
            )
        probe = self.probe(credentials, estimate=False)
        _require_same_account(connection, probe)
        siblings = self._siblings(connection, credentials) if credentials.context else ()
        now = self._clock.now()
        changes: dict[str, Any] = {
            "credentials": records.seal(self._vault, credentials),
            "credentials_rev": connections.c.credentials_rev + 1,
            "credentials_claim": None,
            "way": credentials.way,
            "permissions": probe.permissions,
            "pool_account": probe.pool_account,
            "discovered_at": None,
        }
        if probe.account_known:
            changes |= {"account_name": probe.account_name, "country": probe.country, "currency": probe.currency}
        if connection.state in ("reauth", "failed"):
            changes |= {"state": "active", "reason": None, "reason_code": None}
        if connection.state != "paused":
            changes |= {"sync_wanted_at": now, "next_sync_at": now}
        with self._store.write(durable=True) as db:
            update(db, connection_id, changes)
            if connection.state != "paused":
                family.let_go(db, connection_id, (family.REFUSED,), now)
            for sibling, theirs in siblings:
                self._heal(db, sibling, theirs)
            for one in (connection, *(sibling for sibling, _ in siblings)):
                self._audit.record_in(
                    db, person, "connection.reauthenticated", one.name, id=one.id, way=credentials.way
                )
        return self.get(connection_id)

    def _siblings(self, connection: Connection, new: Credentials) -> tuple[tuple[Connection, Credentials], ...]:
        """Return the other connections that have the same key of an organisation and that the new one opens too."""
        with self._store.read() as db:
            rows = db.execute(sa.select(connections.c.id, connections.c.credentials)).all()
        held = {row.id: records.unseal(self._vault, row.credentials) for row in rows}
        before = held[connection.id].secret
        found = []
        for other in self.all():
            theirs = held.get(other.id)
            if theirs is None or other.id == connection.id or not theirs.context or theirs.secret != before:
                continue
            changed = replace(new, account=theirs.account)
            try:
                self.look_up(changed)
            except TakingsError:
                continue  # the new key does not open that one: it asks for one of its own
            found.append((other, changed))
        return tuple(found)

    def _heal(self, db: sa.Connection, connection: Connection, credentials: Credentials) -> None:
        now = self._clock.now()
        changes: dict[str, Any] = {
            "credentials": records.seal(self._vault, credentials),
            "credentials_rev": connections.c.credentials_rev + 1,
        }
        if connection.state in ("reauth", "failed"):
            changes |= {"state": "active", "reason": None, "reason_code": None}
            changes |= {"sync_wanted_at": now, "next_sync_at": now}
        update(db, connection.id, changes)
        family.let_go(db, connection.id, (family.REFUSED,), now)

    def rename(self, person: Person | None, connection_id: str, name: str) -> Connection:
        """Call a connection something else.

        Raises:
            Invalid: The name is empty, too long or taken.
        """
        self._require(person)
        connection = self.get(connection_id)
        chosen = self._name(name)
        if not chosen:
            raise Invalid("connections.name_missing", "A connection needs a name: enter one.")
        try:
            with self._store.write() as db:
                self._refuse_name(db, chosen, connection_id)
                update(db, connection_id, {"name": chosen})
                self._audit.record_in(
                    db, person, "connection.renamed", chosen, id=connection_id, before=connection.name
                )
        except sa.exc.IntegrityError as error:
            raise name_taken(chosen) from error
        return self.get(connection_id)

    def pause(self, person: Person | None, connection_id: str) -> Connection:
        """Stop synchronising until :meth:`resume`; the data stays as it is. Connected accounts stop with their platform."""
        return self._switch(
            person,
            connection_id,
            ("active", "failed"),
            "connection.paused",
            {"state": "paused", "sync_wanted_at": None},
            lambda db: family.hold(db, connection_id, "paused", family.PAUSED),
        )

    def resume(self, person: Person | None, connection_id: str) -> Connection:
        """Go on synchronising, at once; connected accounts that stopped with their platform go on too.

        Raises:
            Invalid: The platform that reads this account does not run itself.
        """
        now = self._clock.now()
        self._require_platform_runs(self.get(connection_id))
        return self._switch(
            person,
            connection_id,
            ("paused",),
            "connection.resumed",
            {"state": "active", "reason": None, "reason_code": None, "sync_wanted_at": now, "next_sync_at": now},
            lambda db: family.let_go(db, connection_id, (family.PAUSED, family.REFUSED), now),
        )

    def sync_now(self, person: Person | None, connection_id: str) -> Connection:
        """Ask the worker to look at once, for a platform also at all that is connected to it.

        Raises:
            Invalid: The connection is paused, asks to be re-authenticated, or is being disconnected.
        """
        connection = self.get(connection_id)
        if connection.state == "paused":
            raise Invalid("connections.paused", "This connection is paused: resume it first.")
        if connection.state == "reauth" and connection.platform_id is not None:
            raise Invalid(
                "connections.needs_platform",
                "This account cannot be read with its platform’s key at present: what stands beside its status tells why.",
            )
        if connection.state == "reauth":
            raise Invalid(
                "connections.needs_reauth",
                "Stripe does not accept this connection’s credentials any more: re-authenticate it first.",
            )
        now = self._clock.now()
        return self._switch(
            person,
            connection_id,
            ("active", "failed"),
            "connection.sync_wanted",
            {
                "state": "active",
                "reason": None,
                "reason_code": None,
                "sync_wanted_at": now,
                "next_sync_at": now,
                "discovered_at": None,
            },
            lambda db: db.execute(
                sa.update(connections)
                .where(connections.c.platform_id == connection_id, connections.c.state == "active")
                .values(sync_wanted_at=now, next_sync_at=now)
            ),
        )

    def preview_disconnect(self, connection_id: str) -> Removal:
        """Return what a purge would delete, for a platform with all that is connected to it.

        Raises:
            NotFound: There is no such connection.
        """
        self.get(connection_id)
        ours = sa.select(connections.c.id).where(family.with_family(connection_id))
        number = sa.func.sum(table_rows.c.rows)
        with self._store.read() as db:
            found = db.execute(
                sa.select(table_rows.c.table_name, number)
                .where(table_rows.c.connection_id.in_(ours), table_rows.c.rows > 0)
                .group_by(table_rows.c.table_name)
                .order_by(number.desc(), table_rows.c.table_name)
            ).all()
            rows = tuple((str(name), int(count)) for name, count in found)
            accounts = db.execute(
                sa.select(sa.func.count()).where(connections.c.platform_id == connection_id)
            ).scalar_one()
            everything = db.execute(sa.select(sa.func.coalesce(sa.func.sum(table_rows.c.rows), 0))).scalar_one()
        total = sum(count for _, count in rows)
        size = self._disk_bytes()
        share = None if size is None or not everything else round(size * total / int(everything))
        return Removal(tables=rows, rows=total, size_bytes=share, accounts=accounts)

    def disconnect(self, person: Person | None, connection_id: str, purge: bool) -> None:
        """End a connection: its credentials are deleted at once. A platform takes along all that is connected to it; a
        connected account alone is not taken in again when its platform's accounts are listed.

        Args:
            person: Who wants it.
            connection_id: Which.
            purge: True: the worker deletes its data and then calls :meth:`forget`; until then its state is
                ``disconnecting``. False: the data stays, and connecting the same account again goes on from it.

        Raises:
            NotFound: There is no such connection.
            Invalid: It is being disconnected already.
        """
        self._require(person)
        connection = self.get(connection_id)
        refuse_disconnecting(connection)
        self._take_leave(connection)
        with self._store.write(durable=True) as db:
            self._audit.record_in(
                db,
                person,
                "connection.disconnected",
                connection.name,
                id=connection_id,
                account=connection.account_id,
                purge=purge,
            )
            if connection.platform_id is not None:
                _leave_out(db, connection.platform_id, connection.account_id)
            if purge:
                nothing = Credentials(way=connection.way, secret="")
                ended = _ENDING | {
                    "credentials": records.seal(self._vault, nothing),
                    "credentials_rev": connections.c.credentials_rev + 1,
                }
                update(db, connection_id, ended)
                db.execute(sa.update(connections).where(connections.c.platform_id == connection_id).values(**ended))
            else:
                # First the platform, so that nobody takes in a connected account meanwhile.
                db.execute(sa.delete(connections).where(connections.c.id == connection_id))
                db.execute(sa.delete(connections).where(connections.c.platform_id == connection_id))
            db.execute(sa.delete(oauth_states).where(oauth_states.c.details["connection"].as_string() == connection_id))

    def forget(self, connection_id: str) -> None:
        """Delete the connection itself, after its data is gone. For the worker; one that is not there is forgotten already.

        Whatever still hangs on it as its platform is purged in its turn.
        """
        with self._store.write() as db:
            row = db.execute(select_name(connection_id)).first()
            db.execute(sa.delete(connections).where(connections.c.id == connection_id))
            db.execute(sa.update(connections).where(connections.c.platform_id == connection_id).values(**_ENDING))
            if row is not None:
                self._audit.record_in(db, None, "connection.purged", row.name, id=connection_id)

    def _switch(
        self,
        person: Person | None,
        connection_id: str,
        expected: tuple[State, ...],
        action: str,
        changes: dict[str, Any],
        then: Callable[[sa.Connection], object] | None = None,
    ) -> Connection:
        """Change a state, unless the connection is in none of the expected ones (then nothing happens).

        ``then`` does what follows from it, in the same transaction.
        """
        self._require(person)
        connection = self.get(connection_id)
        refuse_disconnecting(connection)
        with self._store.write() as db:
            done = db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state.in_(expected))
                .values(**changes)
            )
            if done.rowcount:
                self._audit.record_in(db, person, action, connection.name, id=connection_id)
                if then is not None:
                    then(db)
        return self.get(connection_id)

    def _require_platform_runs(self, connection: Connection) -> None:
        if connection.platform_id is None:
            return
        platform = self.get(connection.platform_id)
        if platform.state in ("paused", "reauth", "disconnecting"):
            raise Invalid(
                "connections.platform_first",
                f"“{platform.name}”, whose key reads this account, does not run itself: resume or re-authenticate it first.",
                name=platform.name,
                connection=platform.id,
            )

    def _take_leave(self, connection: Connection) -> None:
        """Tell Stripe that a platform gives up its access; when Stripe does not answer, the access is just forgotten."""
        try:
            self.authorization.leave(connection.way, connection.account_id)
        except TakingsError as error:
            self._log.warning("connections.deauthorize_failed", connection=connection.id, reason=error.code)

    def _disk_bytes(self) -> int | None:
        """Return the room that the warehouse's files take, None where they are elsewhere."""
        folder = self._settings.home / "warehouse"
        if not folder.is_dir():
            return None
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _leave_out(db: sa.Connection, platform_id: str, account_id: str) -> None:
    """Note that a connected account is not to be taken in again."""
    row = db.execute(sa.select(connections.c.left_out).where(connections.c.id == platform_id)).first()
    if row is not None:
        left_out = sorted({*(row.left_out or ()), account_id})
        db.execute(sa.update(connections).where(connections.c.id == platform_id).values(left_out=left_out))


def _require_same_account(connection: Connection, probe: Probe) -> None:
    if not probe.is_account(connection.account_id):
        raise Invalid(
            "connections.other_account",
            f"These credentials open another account ({probe.account_name}) than “{connection.name}” ({connection.account_name}): "
            "take them from that account, or add the other one as a new data source.",
            name=connection.name,
            account=connection.account_name,
            other=probe.account_name,
        )
    if probe.livemode != connection.livemode:
        if connection.livemode:
            raise Invalid(
                "connections.wants_live",
                f"This is a test-mode key, and “{connection.name}” holds live data: give a key that begins with rk_live_.",
                name=connection.name,
            )
        raise Invalid(
            "connections.wants_test",
            f"This is a live-mode key, and “{connection.name}” holds test data: give a key that begins with rk_test_.",
            name=connection.name,
        )
