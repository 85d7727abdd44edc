"""``takings webhook``: where Stripe may deliver events to, and the secrets they are signed with."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takings.connections import SigningSecret


@click.command(short_help="Show a connection's webhook, add or remove its signing secrets.")
@click.argument("name")
@click.option(
    "--add-secret",
    metavar="SECRET",
    help="Store a signing secret (whsec_…); - to be asked for it or to read it from standard input.",
)
@click.option("--remove", metavar="ENDING", help="Remove the signing secret that ends in these characters.")
@json_option
@home_option
def webhook(name: str, add_secret: str | None, remove: str | None, as_json: bool, home: Path | None) -> None:
    """Show where Stripe may deliver the events of the connection NAME, and what came.

    A webhook only makes things sooner: without one nothing is missed.
    """
    from takings.answers.asking import find_connection
    from takings.cli.common import opened, settings_for
    from takings.cli.output import ago, print_json
    from takings.connections.webhooks import address

    with opened(settings_for(home=home)) as app:
        connection = find_connection(app, name)
        if add_secret is not None:
            app.signing.add(None, connection.id, _given(add_secret))
        if remove is not None:
            app.signing.remove(None, connection.id, _ending_in(app.signing.all(connection.id), remove))
        secrets = app.signing.all(connection.id)
        waiting = app.deliveries.pending(connection.id)
        last = next(iter(app.deliveries.recent(connection.id, 1)), None)
        gone = app.deliveries.let_go(connection.id)
        url = address(app.settings, connection.id)
        now = app.clock.now()
    if as_json:
        print_json(
            {
                "connection": connection.name,
                "url": url,
                "secrets": [{"ending": one.ending, "added_at": one.added_at} for one in secrets],
                "waiting": waiting,
                "last_received_at": None if last is None else last.received_at,
                "let_go": None if gone is None else asdict(gone),
            }
        )
        return
    click.echo(f"address   {url}")
    for one in secrets:
        click.echo(f"secret    whsec_…{one.ending}, added {ago(one.added_at, now)}")
    if not secrets:
        click.echo("secret    none: nothing is accepted (takings webhook NAME --add-secret -)")
    click.echo(f"events    {waiting:,} waiting, the last came {ago(None if last is None else last.received_at, now)}")
    if gone is not None:
        click.echo(
            f"let go    {gone.events:,} since too many waited, the last {ago(gone.at, now)}: Stripe's list of events tells the same"
        )


def _given(secret: str) -> str:
    """Return a secret from the command line, a prompt or standard input."""
    from takings.cli.common import can_ask

    if secret != "-":  # noqa: S105 -- the sign for standard input
        return secret
    return str(click.prompt("Signing secret", hide_input=True, err=True)) if can_ask() else sys.stdin.readline()


def _ending_in(secrets: Sequence[SigningSecret], ending: str) -> str:
    from takings.errors import NotFound

    found = [one.id for one in secrets if ending and one.secret.endswith(ending)]
    if len(found) != 1:
        raise NotFound(
            "webhook.no_such_ending",
            "No signing secret, or more than one, ends in these characters: repeat the command without --remove to see "
            "them.",
        )
    return found[0]
