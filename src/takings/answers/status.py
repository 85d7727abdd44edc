"""How the connections stand, for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from takings.accounts import company
from takings.app import App
from takings.connections import (
    Connection,
    Family,
    Progress,
    Standing,
    families,
    own_standings,
    progress,
    standings,
    worker_is_there,
)

DRIFT_DAYS: Final = 7
"""Days over which differences are counted."""


def health(app: App, connection: Connection) -> dict[str, Any]:
    """Return how in step a connection is, for programs: how far it follows, what differed, what its requests come to."""
    firm = company(app.store)
    zone, now = ZoneInfo(firm.time_zone if firm else "UTC"), app.clock.now()
    tables = app.health.tables(connection.id)
    found = app.health.health(connection, tables, now, zone)
    following, budget = found.following, app.health.budget(connection, now, found.following)
    drift = app.health.drift(connection.id, now - timedelta(days=DRIFT_DAYS), zone)
    by_table: dict[str, int] = {}
    for one in drift:
        by_table[one.table] = by_table.get(one.table, 0) + one.rows
    return {
        "word": found.word,
        "as_of": found.as_of,
        "lag_seconds": None if found.lag is None else round(found.lag.total_seconds()),
        "oldest": min((one.as_of for one in tables if one.rows and one.as_of), default=None),
        "events_read_to": following.read_to,
        "gap": None if following.gap_from is None else {"start": following.gap_from, "end": following.gap_to},
        "drift": {"days": DRIFT_DAYS, "rows": sum(by_table.values()), "by_table": by_table, "open": found.open},
        "verified": None
        if found.proof is None
        else {
            "at": found.proof.at,
            "tied": found.proof.tied,
            "whole": found.proof.whole,
            "differences": found.proof.differences,
        },
        "requests": {
            "days": 30,
            "used": budget.spent,
            "by_purpose": dict(budget.used),
            "limit": budget.limit,
            "forecast": budget.forecast or None,
            "follow_every_seconds": round(budget.follow_every.total_seconds()),
        },
        "tables": {
            one.table: {
                "state": one.state,
                "complete_as_of": one.as_of,
                "compared_at": one.compared_at,
                "rows": one.rows,
            }
            for one in tables
        },
    }


def described(standing: Standing, at: Progress, family: Family | None = None) -> dict[str, Any]:
    """Return everything that is known of a connection and what is connected to it, for programs."""
    connection, run = standing.connection, at.run
    return {
        "id": connection.id,
        "name": connection.name,
        "source": connection.source,
        "account": connection.account_id,
        "account_name": connection.account_name,
        "livemode": connection.livemode,
        "platform": connection.platform_id,
        "connected_accounts": None
        if family is None
        else {"total": family.total, "by_status": family.counts, "rows": family.rows},
        "status": standing.status,
        "reason": connection.reason or (run.reason if run else None),
        "reason_code": connection.reason_code or (run.reason_code if run else None),
        "rows": standing.rows,
        "complete_as_of": standing.fresh_as_of,
        "last_sync_at": connection.last_sync_at,
        "next_sync_at": connection.next_sync_at,
        "progress": standing.progress,
        "run": None
        if run is None
        else {
            "kind": run.kind,
            "state": run.state,
            "rows": run.rows,
            "requests": run.requests,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "rows_per_second": run.rate,
        },
        "lists": [
            {
                "list": one.path,
                "table": one.table,
                "state": one.state,
                "rows": one.rows,
                "done": one.share,
                "reason": one.reason,
                "reason_code": one.reason_code,
                "complete_as_of": one.complete_as_of,
            }
            for one in at.lists
        ],
    }


def connections(app: App, *, every: bool) -> dict[str, Any]:
    """Return whether a worker runs and how the connections stand, each connected account of a platform too or not."""
    now, platforms = app.clock.now(), families(app.store)
    return {
        "worker": worker_is_there(app.store, now),
        "connections": [
            {
                **described(one, progress(app.store, one.connection.id, now), platforms.get(one.connection.id)),
                "health": health(app, one.connection),
            }
            for one in (standings(app.store) if every else own_standings(app.store))
        ],
    }
