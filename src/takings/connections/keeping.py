"""Changing and ending connections: new credentials, name, pause, wish for a look at once, disconnect."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from takings.accounts import Person
from takings.connections import records
from takings.connections.book import name_taken, refuse_disconnecting, select_name, update
from takings.connections.joining import Joining
from takings.connections.model import Connection, Credentials, Probe, Removal, State
from takings.errors import Invalid, TakingsError
from takings.store.schema import connections, oauth_states, table_rows


class Keeping(Joining):
    """Everything that a person does with a connection that exists."""

    def reauthenticate(self, person: Person | None, connection_id: str, credentials: Credentials) -> Connection:
        """Give a connection new credentials of the same account: history and settings stay.

        Raises:
            Invalid: The credentials open another account, or the other of live and test mode.
            Refused, Unavailable: As :meth:`probe`.
            NotFound: There is no such connection.
        """
        self._require(person)
        connection = self.get(connection_id)
        refuse_disconnecting(connection)
        probe = self.probe(credentials, estimate=False)
        _require_same_account(connection, probe)
        now = self._clock.now()
        changes: dict[str, Any] = {
            "credentials": records.seal(self._vault, credentials),
            "credentials_rev": connections.c.credentials_rev + 1,
            "credentials_claim": None,
            "way": credentials.way,
            "permissions": probe.permissions,
        }
        if probe.account_known:
            changes |= {"account_name": probe.account_name, "country": probe.country, "currency": probe.currency}
        if connection.state in ("reauth", "failed"):
            changes |= {"state": "active", "reason": None, "reason_code": None}
        if connection.state != "paused":
            changes |= {"sync_wanted_at": now, "next_sync_at": now}
        with self._store.write(durable=True) as db:
            update(db, connection_id, changes)
            self._audit.record_in(
                db, person, "connection.reauthenticated", connection.name, id=connection_id, way=credentials.way
            )
        return self.get(connection_id)

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
        """Stop synchronising until :meth:`resume`; the data stays as it is."""
        return self._switch(
            person,
            connection_id,
            ("active", "failed"),
            "connection.paused",
            {"state": "paused", "sync_wanted_at": None},
        )

    def resume(self, person: Person | None, connection_id: str) -> Connection:
        """Go on synchronising, at once."""
        now = self._clock.now()
        return self._switch(
            person,
            connection_id,
            ("paused",),
            "connection.resumed",
            {"state": "active", "reason": None, "reason_code": None, "sync_wanted_at": now, "next_sync_at": now},
        )

    def sync_now(self, person: Person | None, connection_id: str) -> Connection:
        """Ask the worker to look at once.

        Raises:
            Invalid: The connection is paused, asks to be re-authenticated, or is being disconnected.
        """
        connection = self.get(connection_id)
        if connection.state == "paused":
            raise Invalid("connections.paused", "This connection is paused: resume it first.")
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
            {"state": "active", "reason": None, "reason_code": None, "sync_wanted_at": now, "next_sync_at": now},
        )

    def preview_disconnect(self, connection_id: str) -> Removal:
        """Return what a purge would delete.

        Raises:
            NotFound: There is no such connection.
        """
        self.get(connection_id)
        with self._store.read() as db:
            rows = db.execute(
                sa.select(table_rows.c.table_name, table_rows.c.rows)
                .where(table_rows.c.connection_id == connection_id, table_rows.c.rows > 0)
                .order_by(table_rows.c.rows.desc(), table_rows.c.table_name)
            ).all()
            everything = db.execute(sa.select(sa.func.coalesce(sa.func.sum(table_rows.c.rows), 0))).scalar_one()
        total = sum(row.rows for row in rows)
        size = self._disk_bytes()
        share = None if size is None or not everything else round(size * total / int(everything))
        return Removal(tables=tuple((row.table_name, row.rows) for row in rows), rows=total, size_bytes=share)

    def disconnect(self, person: Person | None, connection_id: str, purge: bool) -> None:
        """End a connection: its credentials are deleted at once.

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
            if purge:
                nothing = Credentials(way=connection.way, secret="")
                update(
                    db,
                    connection_id,
                    {
                        "state": "disconnecting",
                        "credentials": records.seal(self._vault, nothing),
                        "credentials_rev": connections.c.credentials_rev + 1,
                        "webhook_secrets": None,
                        "sync_wanted_at": None,
                        "reason": None,
                        "reason_code": None,
                    },
                )
            else:
                db.execute(sa.delete(connections).where(connections.c.id == connection_id))
            db.execute(sa.delete(oauth_states).where(oauth_states.c.details["connection"].as_string() == connection_id))

    def forget(self, connection_id: str) -> None:
        """Delete the connection itself, after its data is gone. For the worker; one that is not there is forgotten already."""
        with self._store.write() as db:
            row = db.execute(select_name(connection_id)).first()
            db.execute(sa.delete(connections).where(connections.c.id == connection_id))
            if row is not None:
                self._audit.record_in(db, None, "connection.purged", row.name, id=connection_id)

    def _switch(
        self,
        person: Person | None,
        connection_id: str,
        expected: tuple[State, ...],
        action: str,
        changes: dict[str, Any],
    ) -> Connection:
        """Change a state, unless the connection is in none of the expected ones (then nothing happens)."""
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
        return self.get(connection_id)

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
