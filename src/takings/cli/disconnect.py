"""``takings disconnect``: end a connection, and keep or purge its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Connection


@click.command(short_help="End a connection, keep or purge its data.")
@click.argument("name")
@click.option("--purge", is_flag=True, help="Delete its rows from the warehouse too; without it they stay.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@home_option
def disconnect(name: str, purge: bool, yes: bool, as_json: bool, home: Path | None) -> None:
    """End the connection NAME: its credentials are deleted, its data are kept unless --purge is given."""
    from takings.answers.asking import find_connection
    from takings.cli.common import can_ask, opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Invalid

    with opened(settings_for(home=home)) as app:
        connection = find_connection(app, name)
        removal = app.connections.preview_disconnect(connection.id)
        if not yes:
            if not can_ask():
                raise Invalid("disconnect.unconfirmed", "Nobody is here to confirm: repeat the command with --yes.")
            click.echo(f"{connection.name}: {connection.account_name} ({connection.account_id})", err=True)
            for table, rows in removal.tables:
                click.echo(f"{rows:>12,}  {table}", err=True)
            click.echo(f"{removal.rows:>12,}  rows in all", err=True)
            click.confirm(
                "Disconnect and delete these rows?" if purge else "Disconnect and keep these rows?",
                abort=True,
                err=True,
            )
        app.connections.disconnect(None, connection.id, purge=purge)
        if purge:
            _purge(app, connection)
    if as_json:
        print_json(
            {
                "connection": connection.name,
                "account": connection.account_id,
                "purged": purge,
                "rows": removal.rows,
                "tables": dict(removal.tables),
            }
        )
    else:
        click.echo(f"{connection.name} is disconnected; its data are {'deleted' if purge else 'kept'}.")


def _purge(app: App, connection: Connection) -> None:
    """Delete the rows here, or wait for the worker to do it where one runs: it may just be writing some."""
    from takings.connections import worker_is_there
    from takings.errors import NotFound
    from takings.warehouse import Scope

    while worker_is_there(app.store, app.clock.now()):
        try:
            app.connections.get(connection.id)
        except NotFound:
            return
        app.clock.sleep(0.5)
    app.warehouse.purge(Scope(connection.account_id, connection.livemode))
    app.connections.forget(connection.id)
