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
    from takings.answers.status import connections
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.processes import running
    from takings.connections import families, own_standings, progress, standings, worker_is_there

    settings = settings_for(home=home)
    up = running(settings.home)
    with opened(settings) as app:
        if as_json:
            print_json({"home": str(settings.home), "url": (up or {}).get("url"), **connections(app, every=accounts)})
            return
        now = app.clock.now()
        shown = standings(app.store) if accounts else own_standings(app.store)
        found = [(standing, progress(app.store, standing.connection.id, now)) for standing in shown]
        platforms = families(app.store)
        worker = worker_is_there(app.store, now)
        click.echo(f"Data folder  {settings.home}")
        click.echo(
            f"Web          {(up or {}).get('url', 'starting') if up is not None else 'not running: `takings up`'}"
        )
        click.echo(f"Worker       {'running' if worker else 'none running'}")
        _show(app, found, platforms)


def _show(app: App, found: list[tuple[Standing, Progress]], platforms: dict[str, Family]) -> None:
    from takings.answers.status import health
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
