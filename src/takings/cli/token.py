"""``takings token``: the tokens by which programs ask the API, made and revoked without a browser."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from takings.cli.common import home_option, json_option


@click.command(short_help="List, make or revoke tokens of the API.")
@click.option("--make", "name", metavar="NAME", help="Make one for what NAME says, and print it: it is shown once.")
@click.option("--for", "email", metavar="EMAIL", help="Whose it is: it may never do more than this person may.")
@click.option(
    "--role", metavar="ROLE", default="read_only", help="What it may do: read_only (default), standard or admin."
)
@click.option("--until", metavar="DAY", help="The last day on which it works; default until it is revoked.")
@click.option("--revoke", "token_id", metavar="ID", help="Make the token with this id worthless at once.")
@json_option
@home_option
def token(
    name: str | None,
    email: str | None,
    role: str,
    until: str | None,
    token_id: str | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """List everybody's tokens of the API, with their ids. With --make only the new token is printed, so that a script can keep it.

    Tokens are stored as hashes: one that was lost cannot be shown again.
    """
    from takings.answers.asking import day_of
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json, print_table
    from takings.errors import Invalid, NotFound

    if (name is None) != (email is None):
        raise Invalid("cli.token_for", "Give --make and --for together: a token belongs to a person.")
    if name is None and until is not None:
        raise Invalid("cli.token_until", "--until is of a token that --make makes.")
    with opened(settings_for(home=home)) as app:
        if token_id is not None and not app.tokens.revoke_any(None, token_id):
            raise NotFound("accounts.no_token", "There is no token with this id: `takings token` lists them.")
        if name is not None and email is not None:
            person = app.people.known_as(email)
            made = app.tokens.make(person, name, role, day_of(until) if until else None, app.zone())
            if as_json:
                print_json({"token": made})
            else:
                click.echo(made)
            return
        found = app.tokens.every(None)
    columns = ("id", "name", "owner", "role", "created_at", "expires_at", "used_at")
    rows: list[dict[str, Any]] = [{column: getattr(one, column) for column in columns} for one in found]
    if as_json:
        print_json(rows)
        return
    print_table(columns, [tuple(_said(value) for value in row.values()) for row in rows])


def _said(value: Any) -> Any:
    return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value
