"""Reading the facts out of the store, in one short look that brings back only what may matter."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from takings.alerts.model import (
    Budgets,
    ConnectionFacts,
    DriftFacts,
    Facts,
    GapFacts,
    ListFacts,
    ProofFacts,
)
from takings.alerts.rules import DRIFT_WINDOW
from takings.store import Store
from takings.store import schema as s

#: Differences that reconciling finds and that an event should have told.
_DRIFT_KINDS: Final = ("missing", "stale", "ghost")


def read(store: Store, now: datetime, promise: timedelta, budgets: Budgets | None = None) -> Facts:
    """Return what decides about troubles now.

    Args:
        store: The product's own database.
        now: The present.
        promise: Age of a table's data from which on it is too old.
        budgets: Asked for each active connection; None: budgets are left out.

    Raises:
        Unavailable: The store is away.
    """
    with store.read() as db:
        connections = _connections(db)
        facts = Facts(
            now=now,
            connections=connections,
            lists=_lists(db, now - promise),
            proofs=_proofs(db),
            drifts=_drifts(db, now - DRIFT_WINDOW),
            gaps=_gaps(db),
            worker_seen_at=db.execute(sa.select(sa.func.max(s.workers.c.seen_at))).scalar(),
            synced_at=db.execute(sa.select(sa.func.max(s.connections.c.last_sync_at))).scalar(),
        )
    if budgets is None:
        return facts
    known = {one.id: budgets(one.id) for one in connections if one.state == "active"}
    return replace(facts, budgets={key: budget for key, budget in known.items() if budget is not None})


def _connections(db: sa.Connection) -> tuple[ConnectionFacts, ...]:
    c = s.connections.c
    rows = db.execute(sa.select(c.id, c.name, c.state, c.reason, c.reason_code).order_by(c.id))
    return tuple(
        ConnectionFacts(id=row.id, name=row.name, state=row.state, reason=row.reason, reason_code=row.reason_code)
        for row in rows
    )


def _lists(db: sa.Connection, too_old: datetime) -> tuple[ListFacts, ...]:
    state, r = s.list_states.c, s.table_rows.c
    rows = db.execute(
        sa.select(
            state.connection_id,
            state.list,
            state.table_name,
            state.state,
            state.complete_as_of,
            state.state_since,
            state.reason,
            state.reason_code,
            sa.func.coalesce(r.rows, 0).label("rows"),
        )
        .outerjoin(s.table_rows, sa.and_(r.connection_id == state.connection_id, r.table_name == state.table_name))
        .where(sa.or_(state.state.not_in(("complete", "unavailable")), state.complete_as_of < too_old))
        .order_by(state.connection_id, state.list)
    )
    return tuple(
        ListFacts(
            connection=row.connection_id,
            path=row.list,
            table=row.table_name,
            state=row.state,
            was_read=row.complete_as_of is not None or row.rows > 0,
            complete_as_of=row.complete_as_of,
            since=row.state_since,
            reason=row.reason,
            reason_code=row.reason_code,
            empty=row.rows == 0,
        )
        for row in rows
    )


def _proofs(db: sa.Connection) -> tuple[ProofFacts, ...]:
    p = s.proofs.c
    ended = p.state.in_(("proven", "differs"))  # one that could not be finished says nothing either way
    newest = sa.select(p.connection_id, sa.func.max(p.started_at).label("at")).where(ended).group_by(p.connection_id)
    latest = newest.subquery()
    rows = db.execute(
        sa.select(p.connection_id, p.state, p.differences, p.ended_at)
        .join(latest, sa.and_(latest.c.connection_id == p.connection_id, latest.c.at == p.started_at))
        .where(ended)
    )
    return tuple(
        ProofFacts(connection=row.connection_id, state=row.state, differences=row.differences, ended_at=row.ended_at)
        for row in rows
    )


def _drifts(db: sa.Connection, since: datetime) -> tuple[DriftFacts, ...]:
    f = s.findings.c
    rows = db.execute(
        sa.select(f.connection_id, f.table_name, f.found_at, f.count.label("n")).where(
            f.origin == "reconcile", f.silent.is_(sa.false()), f.kind.in_(_DRIFT_KINDS), f.found_at >= since
        )
    )
    found: defaultdict[tuple[str, str], list[tuple[datetime, int]]] = defaultdict(list)
    for row in rows:
        found[row.connection_id, row.table_name].append((row.found_at, row.n))
    return tuple(
        DriftFacts(
            connection=connection,
            table=table,
            days=len({at.astimezone(UTC).date() for at, _ in seen}),
            rows=sum(count for _, count in seen),
            last_at=max(at for at, _ in seen),
        )
        for (connection, table), seen in sorted(found.items())
    )


def _gaps(db: sa.Connection) -> tuple[GapFacts, ...]:
    f = s.follows.c
    rows = db.execute(sa.select(f.connection_id, f.gap_from, f.gap_to).where(f.gap_from.is_not(None)))
    return tuple(GapFacts(connection=row.connection_id, start=row.gap_from, end=row.gap_to) for row in rows)
