"""How connections stand: the word people read, rows, freshness, and how far the data reaches while it first loads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from takings.connections import records
from takings.connections.model import Connection
from takings.store import Store
from takings.store.schema import list_states, runs, table_rows, workers

Status = Literal["success", "syncing", "waiting", "incomplete", "reauth", "failed", "paused", "disconnecting"]

WORKER_SILENT: Final = timedelta(seconds=60)
#: Tables whose first load decides how far back figures can be trusted.
MEASURED: Final = frozenset(
    (
        "balance_transactions",
        "charges",
        "customers",
        "disputes",
        "invoices",
        "payment_intents",
        "payouts",
        "refunds",
        "subscriptions",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A connection, and everything the list of data sources says of it.

    Attributes:
        status: The word for it.
        rows: Rows in all its tables.
        fresh_as_of: Everything Stripe held at this moment is here; None: not every permitted list is complete yet.
        progress: Share of the run under way that is done, 0 to 1; None: nothing is under way.
        trouble: Lists that are not complete although the credentials may read them.
    """

    connection: Connection
    status: Status
    rows: int
    fresh_as_of: datetime | None
    progress: float | None
    trouble: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far the data reaches while a first load is under way.

    Attributes:
        connection_id: The connection that loads.
        name: Its name.
        since: From this moment on the payments are complete so far; None: nothing can be said yet.
        progress: Share of the load that is done, 0 to 1.
        running: False where the load waits (for a worker, for new credentials, or for being resumed).
    """

    connection_id: str
    name: str
    since: datetime | None
    progress: float
    running: bool


@dataclass(frozen=True, slots=True)
class _List:
    table: str
    state: str
    progress: float
    reaches_back_to: datetime | None
    complete_as_of: datetime | None


@dataclass(frozen=True, slots=True)
class _Facts:
    connection: Connection
    rows: int
    lists: Sequence[_List]
    run: str | None  # state of the latest run


def status_of(connection: Connection, latest_run: str | None) -> Status:
    """Choose the word for a connection.

    Args:
        connection: It.
        latest_run: State of its latest run; None: there was none.
    """
    if connection.state != "active":
        return connection.state
    if latest_run == "running":
        return "syncing"
    if connection.sync_wanted_at is not None or latest_run is None:
        return "waiting"
    return "incomplete" if latest_run in ("partial", "failed") else "success"


def standings(store: Store, connection_id: str | None = None) -> list[Standing]:
    """Return how connections stand, by name.

    Args:
        store: The product's own database.
        connection_id: Only this one; None: all.
    """
    return [_standing(facts) for facts in _facts(store, connection_id)]


def reach(store: Store) -> list[Reach]:
    """Return how far the data reaches, one for each connection whose first load is not complete."""
    return [found for facts in _facts(store, None) if (found := _reach(facts)) is not None]


def worker_is_there(store: Store, now: datetime) -> bool:
    """Tell whether any process has worked, or said that it could, within the last minute."""
    with store.read() as db:
        seen = db.execute(sa.select(sa.func.max(workers.c.seen_at))).scalar()
    return seen is not None and now - seen < WORKER_SILENT


def _standing(facts: _Facts) -> Standing:
    readable = [one for one in facts.lists if one.state not in ("forbidden", "unavailable")]
    complete = [one.complete_as_of for one in readable]
    moments = [moment for moment in complete if moment is not None]
    status = status_of(facts.connection, facts.run)
    return Standing(
        connection=facts.connection,
        status=status,
        rows=facts.rows,
        fresh_as_of=min(moments) if moments and len(moments) == len(complete) else None,
        progress=_progress(readable) if status == "syncing" else None,
        trouble=sum(one.state == "partial" for one in readable),
    )


def _reach(facts: _Facts) -> Reach | None:
    connection = facts.connection
    if connection.last_sync_at is not None or connection.state == "disconnecting":
        return None
    readable = [one for one in facts.lists if one.state not in ("forbidden", "unavailable")]
    measured = [one for one in readable if one.table in MEASURED]
    loading = [one for one in measured if one.complete_as_of is None and (one.progress < 1 or one.state == "partial")]
    if measured and not loading:
        return None
    moments = [one.reaches_back_to for one in loading]
    known = [moment for moment in moments if moment is not None]
    return Reach(
        connection_id=connection.id,
        name=connection.name,
        since=max(known) if known and len(known) == len(moments) else None,
        progress=_progress(readable),
        running=connection.state == "active" and facts.run == "running",
    )


def _progress(lists: Sequence[_List]) -> float:
    return sum(min(1.0, one.progress) for one in lists) / len(lists) if lists else 0.0


def _facts(store: Store, connection_id: str | None) -> list[_Facts]:
    newest = sa.select(runs.c.connection_id, sa.func.max(runs.c.started_at).label("at")).group_by(runs.c.connection_id)
    latest = newest.subquery()
    with store.read() as db:
        found = [records.to_connection(row) for row in db.execute(records.select_connections())]
        sums = sa.select(table_rows.c.connection_id, sa.func.sum(table_rows.c.rows)).group_by(
            table_rows.c.connection_id
        )
        rows: dict[str, int] = {row[0]: int(row[1]) for row in db.execute(sums)}
        last = sa.select(runs.c.connection_id, runs.c.state).join(
            latest, sa.and_(latest.c.connection_id == runs.c.connection_id, latest.c.at == runs.c.started_at)
        )
        states: dict[str, str] = {row[0]: row[1] for row in db.execute(last)}
        lists: defaultdict[str, list[_List]] = defaultdict(list)
        for row in db.execute(sa.select(list_states)):
            lists[row.connection_id].append(
                _List(row.table_name, row.state, row.progress, row.reaches_back_to, row.complete_as_of)
            )
    return [
        _Facts(one, rows.get(one.id, 0), lists[one.id], states.get(one.id))
        for one in found
        if connection_id in (None, one.id)
    ]
