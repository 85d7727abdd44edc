"""``takings status``: how the connections stand and what is going on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Family, Progress, Standing

NOTEWORTHY = ("running", "partial", "forbidden")


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
                        described(standing, at, platforms.get(standing.connection.id)) for standing, at in found
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
    click.echo()
    print_table(
        ["name", "account", "mode", "status", "rows", "complete as of", "next sync"],
        [
            (
                standing.connection.name,
                standing.connection.account_id,
                "live" if standing.connection.livemode else "test",
                standing.status if standing.progress is None else f"{standing.status} {at.share:.0%}",
                standing.rows,
                ago(standing.fresh_as_of, now),
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
