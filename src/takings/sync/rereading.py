"""Asking for what is here to be read again: by a person, for one table and from a day on, or all of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from takings.accounts import Action, Audit, Person, require
from takings.clock import Clock
from takings.connections import Connections
from takings.errors import Invalid
from takings.store import Store
from takings.store.schema import connections
from takings.sync.health import HealthBook
from takings.sync.stretches import StretchBook

_STOPPED: Final = ("paused", "reauth", "disconnecting")


class Rereading:
    """Notes that a table is wanted anew; the worker compares it with Stripe, row by row, as soon as it comes to it.

    Args:
        store: The product's own database.
        connections: Who is connected.
        health: Which lists bring which table.
        stretches: What is compared.
        audit: Every act is recorded there.
        clock: The one clock.
    """

    def __init__(
        self,
        store: Store,
        connections: Connections,
        health: HealthBook,
        stretches: StretchBook,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._store, self._connections, self._health = store, connections, health
        self._stretches, self._audit, self._clock = stretches, audit, clock

    def want(self, person: Person | None, connection_id: str, table: str, since: datetime | None) -> int:
        """Ask for a table to be read again; return about how many requests that takes.

        Args:
            person: Who wants it; None: the program's own command line.
            connection_id: Whose.
            table: Name of a table. One whose rows lie inside others' is read with those.
            since: Only what was made since then, where the list can be cut by time; None: all of it.

        Raises:
            NotAllowed: This person may not.
            NotFound: There is no such connection.
            Invalid: The connection is stopped, the table is none that can be read again, or it was never loaded.
        """
        if person is not None:
            require(person, Action.MANAGE_CONNECTIONS)
        connection = self._connections.get(connection_id)
        if connection.state in _STOPPED:
            raise Invalid(
                "sync.reread_stopped",
                f"“{connection.name}” is not being synchronised at present: let it go on first.",
                name=connection.name,
            )
        lists = self._health.reread_lists(table)
        if not lists:
            raise Invalid("sync.reread_unknown", f"There is no table “{table}” to read again.", table=table[:100])
        now = self._clock.now()
        if not self._stretches.want(connection_id, now, lists, since):
            raise Invalid(
                "sync.reread_never",
                f"The table “{table}” has not been loaded completely yet: wait for that.",
                table=table,
            )
        with self._store.write() as db:
            db.execute(
                sa.update(connections)
                .where(connections.c.id == connection_id, connections.c.state == "active")
                .values(next_sync_at=now)
            )
            self._audit.record_in(
                db,
                person,
                "connection.reread",
                connection.name,
                id=connection_id,
                table=table,
                since=None if since is None else since.isoformat(),
            )
        return self._stretches.cost(connection_id, lists, since)
