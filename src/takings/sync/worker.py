"""The process that works: looks for connections with something due, and runs them, several side by side."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
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
#: First loads take hours, looks at events a moment: each kind has so many threads of its own, so that none waits for the other.
_AT_ONCE: Final = 4
#: So many connections more wait in line for a thread, so that none is idle until the next look.
_IN_LINE: Final = 12
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


@dataclass(frozen=True, slots=True)
class _Work:
    """A connection that is worked on, or waits in line for it; ``loads``: for the first time; ``leaves``: it is removed."""

    loads: bool
    leaves: bool
    future: Future[None]
    halt: threading.Event


def in_turn(connections: Iterable[Connection], now: datetime) -> list[Connection]:
    """Return the connections with something to do now: those that somebody waits for, then who has waited longest.

    However many there are and however long each takes, every one has its turn before another has its second.

    Args:
        connections: All of them.
        now: The present.
    """

    def is_due(one: Connection) -> bool:
        due = one.sync_wanted_at is not None or one.next_sync_at is None or one.next_sync_at <= now
        return one.state == "disconnecting" or (one.state == "active" and due)

    def waits_since(one: Connection) -> tuple[bool, datetime, str]:
        asked = one.sync_wanted_at or (now if one.state == "disconnecting" else None)
        return asked is None, asked or one.next_sync_at or one.created_at, one.id

    return sorted(filter(is_due, connections), key=waits_since)


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
        self._busy: dict[str, _Work] = {}
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
        with ExitStack() as stack:
            pools = {
                loads: stack.enter_context(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=name))
                for loads, name in ((True, "load"), (False, "connection"))
            }
            while not stop.is_set():
                try:
                    if self._clock.monotonic() - seen >= _SEEN_EVERY_S:
                        self._sync.book.worker_seen(self._id, socket.gethostname(), os.getpid())
                        seen = self._clock.monotonic()
                    self._look(pools)
                except Unavailable as error:
                    self._log.warning("worker.held_up", code=error.code)
                stop.wait(_LOOK_S)
            for work in self._busy.values():
                work.halt.set()
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

    def _look(self, pools: Mapping[bool, ThreadPoolExecutor]) -> None:
        """Put connections in line, who has waited longest first; have work end on those that are not to be worked on now."""
        self._busy = {key: work for key, work in self._busy.items() if not work.future.done()}
        present = {connection.id: connection for connection in self._connections.all()}
        for key, work in self._busy.items():
            connection = present.get(key)
            if not work.leaves and (connection is None or connection.state in ("paused", "disconnecting", "reauth")):
                work.halt.set()
        room = {loads: _AT_ONCE + _IN_LINE - self._number(loads) for loads in pools}
        for connection in in_turn(present.values(), self._clock.now()):
            loads = connection.last_sync_at is None
            if room[loads] and connection.id not in self._busy and not self._sync.book.held(connection.id):
                halt = threading.Event()
                future = pools[loads].submit(self._serve, connection.id, halt)
                self._busy[connection.id] = _Work(loads, connection.state == "disconnecting", future, halt)
                room[loads] -= 1

    def _number(self, loads: bool) -> int:
        return sum(work.loads == loads for work in self._busy.values())

    def _serve(self, connection_id: str, halt: threading.Event) -> None:
        """Do what is due for a connection, unless somebody has done it while this one waited in line."""
        if halt.is_set():
            return
        try:
            found = in_turn([self._connections.get(connection_id)], self._clock.now())
        except TakingsError as error:
            self._log.debug("worker.passed_over", connection=connection_id, code=error.code)
            return
        for connection in found:
            self._work(connection, halt)

    def _work(self, connection: Connection, halt: threading.Event) -> None:
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
