"""The process that works: looks for connections with something due, and runs them, several side by side."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Final, Protocol

import sqlalchemy as sa

from takings.clock import Clock
from takings.connections import Connection, Connections
from takings.errors import Refused, TakingsError, Unavailable
from takings.log import get
from takings.store import Store
from takings.store.schema import connections as connections_table
from takings.sync.sync import Summary, Sync
from takings.warehouse import Scope, Warehouse

_LOOK_S: Final = 1.0
_SEEN_EVERY_S: Final = 5.0
_AT_ONCE: Final = 4
_CHORES_PATIENCE_S: Final = 10.0
#: How soon a run that something held up is tried again.
_AGAIN: Final = timedelta(seconds=60)
#: Time between two rounds of the chores.
_CHORES_EVERY_S: Final = 15.0


class Chore(Protocol):
    """Something that is looked after beside the connections."""

    def tick(self) -> object:
        """Do what is due; cheap when nothing is."""
        ...


class Worker:
    """Does what is due for every connection until told to stop.

    Args:
        sync: What synchronises one connection.
        connections: Who is connected.
        store: The product's own database.
        warehouse: Where rows go.
        clock: The one clock.
        chores: What else is looked after, each in a thread of its own.
    """

    def __init__(
        self,
        sync: Sync,
        connections: Connections,
        store: Store,
        warehouse: Warehouse,
        clock: Clock,
        chores: Sequence[Chore] = (),
    ) -> None:
        self._chores = chores
        self._sync, self._connections, self._store = sync, connections, store
        self._warehouse, self._clock = warehouse, clock
        self._id = secrets.token_hex(8)
        self._busy: dict[str, tuple[Future[None], threading.Event]] = {}
        self._log = get("worker")

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; then let go of runs where they are, for another time."""
        seen = float("-inf")
        self._log.info("worker.started", pid=os.getpid())
        threads = [
            threading.Thread(target=self._look_after, args=(chore, stop), name=type(chore).__name__, daemon=True)
            for chore in self._chores
        ]
        for thread in threads:
            thread.start()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="connection") as pool:
            while not stop.is_set():
                try:
                    if self._clock.monotonic() - seen >= _SEEN_EVERY_S:
                        self._sync.book.worker_seen(self._id, socket.gethostname(), os.getpid())
                        seen = self._clock.monotonic()
                    self._look(pool)
                except Unavailable as error:
                    self._log.warning("worker.held_up", code=error.code)
                stop.wait(_LOOK_S)
            for _, halt in self._busy.values():
                halt.set()
        for thread in threads:
            thread.join(_CHORES_PATIENCE_S)
        try:
            self._sync.book.worker_gone(self._id)
        except TakingsError as error:
            self._log.warning("worker.unsaid", code=error.code)
        self._log.info("worker.stopped")

    def _look_after(self, chore: Chore, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                chore.tick()
            except TakingsError as error:
                self._log.warning("worker.chore_failed", chore=type(chore).__name__, code=error.code)
            except Exception:
                self._log.exception("worker.chore_crashed", chore=type(chore).__name__)
            stop.wait(_CHORES_EVERY_S)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        self._busy = {key: busy for key, busy in self._busy.items() if not busy[0].done()}
        present = {connection.id: connection for connection in self._connections.all()}
        for key, (_, halt) in self._busy.items():
            connection = present.get(key)
            if connection is None or connection.state in ("paused", "disconnecting", "reauth"):
                halt.set()
        for connection in present.values():
            if connection.id in self._busy or len(self._busy) >= _AT_ONCE:
                continue
            if connection.state == "disconnecting" or self._is_due(connection):
                halt = threading.Event()
                self._busy[connection.id] = (pool.submit(self._serve, connection, halt), halt)

    def _is_due(self, connection: Connection) -> bool:
        """Tell whether there is something to do for a connection now."""
        if connection.state != "active":
            return False
        now = self._clock.now()
        wanted = connection.sync_wanted_at is not None
        due = connection.next_sync_at is None or connection.next_sync_at <= now
        if not (wanted or due):
            return False
        return not self._sync.book.held(connection.id)

    def _serve(self, connection: Connection, halt: threading.Event) -> None:
        try:
            if connection.state == "disconnecting":
                self._warehouse.purge(Scope(connection.account_id, connection.livemode))
                self._connections.forget(connection.id)
                return
            summary = self._sync.run_once(connection.id, stop=halt, patient=True)
            if summary.state == "partial":
                self._later(connection, summary)
        except Refused as error:
            self._log.warning("worker.refused", connection=connection.id, code=error.code)
        except TakingsError as error:
            self._log.warning("worker.failed", connection=connection.id, code=error.code)
            self._later(connection, None)
        except Exception:
            self._log.exception("worker.crashed", connection=connection.id)
            self._later(connection, None)

    def _later(self, connection: Connection, summary: Summary | None, wait: timedelta = _AGAIN) -> None:
        self._log.info("worker.again_later", connection=connection.id, state=summary.state if summary else "failed")
        try:
            with self._store.write() as db:
                db.execute(
                    sa.update(connections_table)
                    .where(connections_table.c.id == connection.id)
                    .values(next_sync_at=self._clock.now() + wait)
                )
        except TakingsError as error:
            self._log.warning("worker.unsaid", code=error.code)
