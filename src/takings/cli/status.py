"""``takings status``: how the connections stand and what is going on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Connection, Family, Progress, Standing

NOTEWORTHY = ("running", "partial", "forbidden")
#: Days over which differences are counted.
DRIFT_DAYS = 7


@click.command(short_help="Show how the connections stand.")
@click.option("--accounts", is_flag=True, help="Show each connected account of a platform too.")
@json_option
@home_option
def status(accounts: bool, as_json: bool, home: Path | None) -> None:
    """Show connections, how far their data reach, and what is going on."""
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.processes import running
    from takings.connections import families, own_standings, progress, standings, worker_is_there

    settings = settings_for(home=home)
    up = running(settings.home)
    with opened(settings) as app:
        now = app.clock.now()
        shown = standings(app.store) if accounts else own_standings(app.store)
        found = [(standing, progress(app.store, standing.connection.id, now)) for standing in shown]
        platforms = families(app.store)
        worker = worker_is_there(app.store, now)
        if as_json:
            print_json(
                {
                    "home": str(settings.home),
                    "url": (up or {}).get("url"),
                    "worker": worker,
                    "connections": [
                        {
                            **described(standing, at, platforms.get(standing.connection.id)),
                            "health": health(app, standing.connection),
                        }
                        for standing, at in found
                    ],
                }
            )
            return
        click.echo(f"Data folder  {settings.home}")
        click.echo(
            f"Web          {(up or {}).get('url', 'starting') if up is not None else 'not running: `takings up`'}"
        )
        click.echo(f"Worker       {'running' if worker else 'none running'}")
        _show(app, found, platforms)


def _show(app: App, found: list[tuple[Standing, Progress]], platforms: dict[str, Family]) -> None:
    from takings.cli.output import ago, print_table

    if not found:
        click.echo("Connections  none yet: `takings connect`")
        return
    now = app.clock.now()
    known = {standing.connection.id: health(app, standing.connection) for standing, _ in found}
    click.echo()
    print_table(
        ["name", "account", "mode", "status", "rows", "in step as of", "oldest table", "next sync"],
        [
            (
                standing.connection.name,
                standing.connection.account_id,
                "live" if standing.connection.livemode else "test",
                standing.status if standing.progress is None else f"{standing.status} {at.share:.0%}",
                standing.rows,
                ago(known[standing.connection.id]["as_of"], now),
                ago(known[standing.connection.id]["oldest"], now),
                ago(standing.connection.next_sync_at, now) if standing.connection.next_sync_at else "–",
            )
            for standing, at in found
        ],
    )
    for standing, _ in found:
        family = platforms.get(standing.connection.id)
        if family is not None:
            counts = ", ".join(f"{number:,} {status}" for status, number in sorted(family.counts.items()))
            click.echo(f"\n{standing.connection.name}: {family.total:,} connected accounts ({counts})")
    for standing, _ in found:
        if standing.fresh_as_of is not None or known[standing.connection.id]["as_of"] is not None:
            click.echo(f"\n{standing.connection.name}: {health_said(known[standing.connection.id])}")
    for standing, at in found:
        if standing.connection.reason:
            click.echo(f"\n{standing.connection.name}: {standing.connection.reason}")
        elif at.run is not None and at.run.reason:
            click.echo(f"\n{standing.connection.name}: {at.run.reason}")
        lists = [one for one in at.lists if one.state in NOTEWORTHY]
        if lists:
            click.echo()
            print_table(
                ["list", "state", "rows", "done", "reason"],
                [(one.path, one.state, one.rows, f"{one.share:.0%}", one.reason or "") for one in lists],
            )


def health(app: App, connection: Connection) -> dict[str, Any]:
    """Return how in step a connection is, for programs: how far it follows, what differed, what its requests come to."""
    from zoneinfo import ZoneInfo

    from takings.accounts import company

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


def health_said(known: dict[str, Any]) -> str:
    """Return in a sentence what differed of late, how it was verified, and what requests came to."""
    drift, requests, verified = known["drift"], known["requests"], known["verified"]
    pieces = []
    if known["gap"] is not None:
        pieces.append("events are lost for good, and what they told of is being compared")
    if drift["rows"]:
        most = sorted(drift["by_table"].items(), key=lambda pair: (-pair[1], pair[0]))
        named = ", ".join(f"{table} {rows:,}" for table, rows in most[:3]) + (" …" if len(most) > 3 else "")
        pieces.append(f"{drift['rows']:,} rows differed in {drift['days']} days ({named})")
    else:
        pieces.append(f"nothing differed in {drift['days']} days")
    if verified is None:
        pieces.append("not verified yet")
    else:
        said = f"{verified['differences']:,} differences"
        if verified["tied"]:
            said = "proven complete" if verified["whole"] else "everything tied"
        pieces.append(f"verified {verified['at']:%Y-%m-%d}: {said}")
    forecast = "" if requests["forecast"] is None else f", about {requests['forecast']:,} forecast"
    pieces.append(f"{requests['used']:,} of {requests['limit']:,} requests in {requests['days']} days{forecast}")
    return "; ".join(pieces) + "."


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
