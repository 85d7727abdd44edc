"""How connections stand: the word people read, rows, freshness, and how far the data reaches while it first loads."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from takings.connections import records
from takings.connections.family import WITHDRAWN
from takings.connections.model import Connection
from takings.store import Store
from takings.store.schema import connections, list_states, runs, table_rows, workers

Status = Literal[
    "success", "syncing", "waiting", "incomplete", "reauth", "withdrawn", "failed", "paused", "disconnecting"
]

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


#: States of lists that the credentials may not read, or that Stripe does not offer.
_CLOSED: Final = ("forbidden", "unavailable")


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
class Family:
    """The accounts connected to a platform, as a whole.

    Attributes:
        total: How many there are.
        counts: How many have each status; statuses that none has are left out.
        rows: Rows in all their tables.
        loading: How many have never been loaded completely, without those that are stopped.
    """

    total: int
    counts: dict[Status, int]
    rows: int
    loading: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Some of the accounts connected to a platform.

    Attributes:
        standings: The page asked for, by name.
        matching: How many match what was asked for.
    """

    standings: tuple[Standing, ...]
    matching: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far the data reaches while a first load is under way.

    Attributes:
        connection_id: The connection that loads.
        name: Its name.
        since: From this moment on the payments are complete so far; None: nothing can be said yet.
        progress: Share of the load that is done, 0 to 1.
        running: False where the load waits (for a worker, for new credentials, or for being resumed).
        accounts: Where it speaks of the accounts connected to a platform: how many are still to be loaded; else 0.
    """

    connection_id: str
    name: str
    since: datetime | None
    progress: float
    running: bool
    accounts: int = 0


@dataclass(frozen=True, slots=True)
class _List:
    table: str
    state: str
    progress: float
    reaches_back_to: datetime | None
    complete_as_of: datetime | None


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a connection and its lists.

    Attributes:
        run: What the work on it came to, see :func:`_word`; None: there was none.
        readable: Lists that the credentials may read.
        complete: Those of them that were ever complete.
        oldest: Of those the oldest moment up to which one is.
        done: Sum of how far they are loaded, each 0 to 1.
        partial: Those that are not complete now.
    """

    connection: Connection
    rows: int
    run: str | None
    readable: int = 0
    complete: int = 0
    oldest: datetime | None = None
    done: float = 0.0
    partial: int = 0

    @property
    def share(self) -> float:
        """How much of the load is done, 0 to 1."""
        return self.done / self.readable if self.readable else 0.0


def status_of(connection: Connection, latest_run: str | None) -> Status:
    """Choose the word for a connection.

    Args:
        connection: It.
        latest_run: State of its latest run; None: there was none.
    """
    if connection.state == "reauth" and connection.reason_code == WITHDRAWN.code:
        return "withdrawn"
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
        connection_id: Only this one; None: all, connected accounts too.
    """
    query = records.select_connections()
    if connection_id is not None:
        query = query.where(connections.c.id == connection_id)
    return [_standing(facts) for facts in _facts(store, query)]


def own_standings(store: Store) -> list[Standing]:
    """Return how the connections stand that have a key of their own, by name: all but the connected accounts."""
    return [
        _standing(facts)
        for facts in _facts(store, records.select_connections().where(connections.c.platform_id.is_(None)))
    ]


def families(store: Store, platform_id: str | None = None) -> dict[str, Family]:
    """Return what hangs on each platform, by the id of its connection.

    Args:
        store: The product's own database.
        platform_id: Only this one; None: all.
    """
    of_platform = (
        connections.c.platform_id.is_not(None) if platform_id is None else connections.c.platform_id == platform_id
    )
    sums = (
        sa.select(connections.c.platform_id, sa.func.sum(table_rows.c.rows))
        .join(table_rows, table_rows.c.connection_id == connections.c.id)
        .where(of_platform)
        .group_by(connections.c.platform_id)
    )
    with store.read() as db:
        rows = {row[0]: int(row[1]) for row in db.execute(sums)}
    members: defaultdict[str, list[tuple[Connection, Status]]] = defaultdict(list)
    for connection, status in _members(store, of_platform):
        members[connection.platform_id or ""].append((connection, status))
    return {
        key: Family(
            total=len(those),
            counts=dict(Counter(status for _, status in those)),
            rows=rows.get(key, 0),
            loading=sum(one.last_sync_at is None and one.state in ("active", "failed") for one, _ in those),
        )
        for key, those in members.items()
    }


def connected(
    store: Store, platform_id: str, *, search: str = "", status: str = "", limit: int = 50, offset: int = 0
) -> Connected:
    """Return how the accounts connected to a platform stand, a page of them, by name.

    Args:
        store: The product's own database.
        platform_id: Id of the platform's connection.
        search: Part of a name or an account's id, in any case; empty: all.
        status: Only those with this status; empty: all.
        limit: Most to return.
        offset: How many to leave out before.
    """
    sought = search.strip().casefold()
    matching = [
        connection.id
        for connection, word in _members(store, connections.c.platform_id == platform_id)
        if status in ("", word)
        and any(sought in text.casefold() for text in (connection.name, connection.account_name, connection.account_id))
    ]
    page = matching[offset : offset + limit]
    query = records.select_connections().where(connections.c.id.in_(page))
    return Connected(standings=tuple(_standing(facts) for facts in _facts(store, query)), matching=len(matching))


def reach(store: Store) -> list[Reach]:
    """Return how far the data reaches, one for each connection whose first load is not complete.

    The accounts connected to a platform are told as one.
    """
    unfinished = records.select_connections().where(
        connections.c.last_sync_at.is_(None), connections.c.platform_id.is_(None)
    )
    known = _facts(store, unfinished)
    lists = _lists(store, [facts.connection.id for facts in known])
    found = [found for facts in known if (found := _reach(facts, lists[facts.connection.id])) is not None]
    parent = connections.alias()
    loading = (
        sa.select(parent.c.id, parent.c.name, sa.func.count())
        .join(connections, connections.c.platform_id == parent.c.id)
        .where(connections.c.last_sync_at.is_(None), connections.c.state.in_(("active", "failed")))
        .group_by(parent.c.id, parent.c.name)
        .order_by(parent.c.name)
    )
    with store.read() as db:
        families_loading = db.execute(loading).all()
    return found + [
        Reach(connection_id=id, name=name, since=None, progress=0.0, running=True, accounts=int(number))
        for id, name, number in families_loading
    ]


def worker_is_there(store: Store, now: datetime) -> bool:
    """Tell whether any process has worked, or said that it could, within the last minute."""
    with store.read() as db:
        seen = db.execute(sa.select(sa.func.max(workers.c.seen_at))).scalar()
    return seen is not None and now - seen < WORKER_SILENT


def _standing(facts: _Facts) -> Standing:
    status = status_of(facts.connection, facts.run)
    return Standing(
        connection=facts.connection,
        status=status,
        rows=facts.rows,
        fresh_as_of=facts.oldest if facts.complete == facts.readable else None,
        progress=facts.share if status == "syncing" else None,
        trouble=facts.partial,
    )


def _reach(facts: _Facts, lists: Sequence[_List]) -> Reach | None:
    connection = facts.connection
    if connection.last_sync_at is not None or connection.state == "disconnecting":
        return None
    measured = [one for one in lists if one.table in MEASURED and one.state not in _CLOSED]
    loading = [one for one in measured if one.complete_as_of is None and (one.progress < 1 or one.state == "partial")]
    if measured and not loading:
        return None
    moments = [one.reaches_back_to for one in loading]
    known = [moment for moment in moments if moment is not None]
    return Reach(
        connection_id=connection.id,
        name=connection.name,
        since=max(known) if known and len(known) == len(moments) else None,
        progress=facts.share,
        running=connection.state == "active" and facts.run == "running",
    )


def _members(store: Store, of_platform: sa.ColumnElement[bool]) -> list[tuple[Connection, Status]]:
    """Return connected accounts with the word for each, by name."""
    with store.read() as db:
        found = [records.to_connection(row) for row in db.execute(records.select_connections().where(of_platform))]
        states = _latest_runs(db, sa.select(connections.c.id).where(of_platform))
    return [(one, status_of(one, states.get(one.id))) for one in found]


def _word(partial: int, loading: bool) -> str:
    """Return what the work on a connection that has lists came to: running, partial or complete.

    Only a first load counts as running: looks at events and comparisons go on all the time. Where a list is not complete,
    neither is the connection, whatever the newest run came to: one that found nothing leaves no trace.
    """
    return "running" if loading else "partial" if partial else "complete"


def _loading(db: sa.Connection, ids: sa.Select[tuple[str]]) -> set[str]:
    here = sa.and_(runs.c.connection_id.in_(ids), runs.c.kind == "backfill", runs.c.state == "running")
    return set(db.execute(sa.select(runs.c.connection_id).where(here)).scalars())


def _latest_runs(db: sa.Connection, ids: sa.Select[tuple[str]]) -> dict[str, str]:
    """Return what the work on each connection came to (see :func:`_word`); none where there was none yet."""
    loading = _loading(db, ids)
    short = sa.func.max(sa.case((list_states.c.state == "partial", 1), else_=0))
    known = (
        sa.select(list_states.c.connection_id, short)
        .where(list_states.c.connection_id.in_(ids))
        .group_by(list_states.c.connection_id)
    )
    found = {row[0]: _word(row[1], row[0] in loading) for row in db.execute(known)}
    return found | dict.fromkeys(loading, "running")


def _facts(store: Store, query: sa.Select[Any]) -> list[_Facts]:
    """Return what is known of the connections that a query gives, in its order; their lists are summed up by the store."""
    of = list_states.c
    open_ = of.state.not_in(_CLOSED)

    def total(condition: sa.ColumnElement[bool], value: Any = 1) -> sa.ColumnElement[Any]:
        return sa.func.sum(sa.case((condition, value), else_=0))

    with store.read() as db:
        found = [records.to_connection(row) for row in db.execute(query)]
        chosen = query.with_only_columns(connections.c.id).order_by(None)
        sums = (
            sa.select(table_rows.c.connection_id, sa.func.sum(table_rows.c.rows))
            .where(table_rows.c.connection_id.in_(chosen))
            .group_by(table_rows.c.connection_id)
        )
        rows: dict[str, int] = {row[0]: int(row[1]) for row in db.execute(sums)}
        loading = _loading(db, chosen)
        lists = {
            row.connection_id: row
            for row in db.execute(
                sa.select(
                    of.connection_id,
                    total(open_).label("readable"),
                    total(sa.and_(open_, of.complete_as_of.is_not(None))).label("complete"),
                    sa.func.min(sa.case((open_, of.complete_as_of))).label("oldest"),
                    total(open_, sa.case((of.progress > 1, 1.0), else_=of.progress)).label("done"),
                    total(of.state == "partial").label("partial"),
                )
                .where(of.connection_id.in_(chosen))
                .group_by(of.connection_id)
            )
        }
    facts = []
    for one in found:
        known, runs_now = lists.get(one.id), one.id in loading
        number = rows.get(one.id, 0)
        if known is None:
            facts.append(_Facts(one, number, "running" if runs_now else None))
            continue
        facts.append(
            _Facts(
                one,
                number,
                _word(known.partial, runs_now),
                readable=known.readable,
                complete=known.complete,
                oldest=known.oldest,
                done=float(known.done),
                partial=known.partial,
            )
        )
    return facts


def _lists(store: Store, ids: Sequence[str]) -> dict[str, list[_List]]:
    """Return the lists of some connections."""
    found: defaultdict[str, list[_List]] = defaultdict(list)
    if ids:
        with store.read() as db:
            for row in db.execute(sa.select(list_states).where(list_states.c.connection_id.in_(ids))):
                found[row.connection_id].append(
                    _List(row.table_name, row.state, row.progress, row.reaches_back_to, row.complete_as_of)
                )
    return found
