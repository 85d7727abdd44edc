"""``takings connect``: join a Stripe account by a restricted key."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from takings.connections import Connection, Discovery, Found, Probe

#: Lists of absent products are named when they are no more than this.
NAMED = 8


@click.command(short_help="Connect a Stripe account by a restricted key.")
@click.option(
    "--api-key", metavar="KEY", help="The restricted key; - to be asked for it or to read it from standard input."
)
@click.option(
    "--api-key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file that holds the key; TAKINGS_API_KEY works too.",
)
@click.option(
    "--account",
    "accounts",
    metavar="ID",
    multiple=True,
    help="With an organisation's or a platform's key: the account to read (acct_…); may be given again.",
)
@click.option(
    "--connected-accounts",
    is_flag=True,
    help="With a platform's key: follow all accounts connected to it too, and those to come.",
)
@click.option("--name", metavar="NAME", help="What the connection is called; default the account's name.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Load history from this day on (YYYY-MM-DD, UTC); default everything.",
)
@click.option(
    "--reauthenticate",
    metavar="NAME",
    help="Give the connection NAME this key instead of making a new one: history and settings stay.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@home_option
def connect(
    api_key: str | None,
    api_key_file: Path | None,
    accounts: tuple[str, ...],
    connected_accounts: bool,
    name: str | None,
    start: datetime | None,
    reauthenticate: str | None,
    yes: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Connect a Stripe account by a restricted key with read permissions.

    The key comes from --api-key, --api-key-file, TAKINGS_API_KEY or a prompt, and is stored encrypted. What the key
    opens is shown first; at a terminal you are asked before anything is stored.
    """
    from takings.answers.asking import find_connection
    from takings.cli.common import can_ask, opened, settings_for
    from takings.connections import key_credentials, read_accounts, read_key
    from takings.errors import Invalid

    start_at = None if start is None else start.replace(tzinfo=UTC)
    key = read_key(given_key(api_key, api_key_file))
    named = read_accounts(accounts)
    with opened(settings_for(home=home)) as app:
        if reauthenticate is not None:
            connection = find_connection(app, reauthenticate)
            if len(named) > 1:
                raise Invalid("connections.one_account", "New credentials are for one account: name only that one.")
            held = app.connections.credentials(connection.id).account if connection.way == "key" else None
            credentials = key_credentials(key, named[0] if named else held)
            connection = app.connections.reauthenticate(None, connection.id, credentials)
            tell(connection, None, as_json, "has its new key")
            return
        credentials = key_credentials(key, named[0] if named else None)
        if not as_json:
            click.echo("Asking Stripe what this key opens …", err=True)
        probe = app.connections.probe(credentials)
        if connected_accounts and ((named and not key.organization) or not probe.connected):
            raise Invalid("connect.no_platform", "No account is connected to this one: leave out --connected-accounts.")
        if not as_json:
            show(probe, start_at)
            if probe.connected:
                show_platform(probe, connected_accounts)
        if can_ask() and not yes and not as_json:
            click.confirm("Connect this account?", default=True, abort=True, err=True)
        pending = app.connections.pend(None, credentials, probe, others=named[1:])
        others = app.connections.pending(None, pending).others
        connection = app.connections.confirm(None, pending, name or "", start_at, follow_accounts=connected_accounts)
        found = app.connections.discover(connection.id) if connected_accounts else None
    tell(connection, probe, as_json, "is connected", others, found)


def show_platform(probe: Probe, follow: bool) -> None:
    """Print, on stderr, that accounts are connected to this one."""
    told = "followed too" if follow else "not followed: --connected-accounts brings them along"
    _say(f"Platform  {probe.connected:,} connected accounts, {told}")


def tell(
    connection: Connection,
    probe: Probe | None,
    as_json: bool,
    what: str,
    others: Sequence[Found] = (),
    found: Discovery | None = None,
) -> None:
    """Print what became of it, of the other accounts that were named, and of those connected to a platform."""
    from takings.cli.output import print_json

    if not as_json:
        more = f" with {len(others):,} more" if others else ""
        more += f" with {len(found.added):,} connected accounts" if found is not None else ""
        click.echo(f"“{connection.name}” {what}{more}. `takings sync` loads it now; `takings up` keeps it in step.")
        return
    said: dict[str, Any] = {
        "id": connection.id,
        "name": connection.name,
        "account": connection.account_id,
        "account_name": connection.account_name,
        "country": connection.country,
        "currency": connection.currency,
        "livemode": connection.livemode,
        "start": connection.start_at,
    }
    if others:
        said["others"] = [{"account": one.account_id, "account_name": one.name} for one in others]
    if found is not None:
        said["connected_accounts"] = list(found.added)
    if probe is not None:
        said |= {
            "first_data": probe.first_at,
            "lists": {one.path: {"access": one.access, "permission": one.permission} for one in probe.lists},
            "estimate": _estimate(probe, connection.start_at),
        }
    print_json(said)


def given_key(api_key: str | None, api_key_file: Path | None) -> str:
    """Return the key from wherever the person put it; it is never printed.

    Raises:
        Invalid: It was given twice, or not at all and nobody is here to be asked.
    """
    from takings.cli.common import can_ask
    from takings.errors import Invalid

    if api_key is not None and api_key_file is not None:
        raise Invalid("connect.key_twice", "Give the key once: either --api-key or --api-key-file.")
    if api_key_file is not None:
        return api_key_file.read_text("utf-8")
    if api_key is None and (from_environment := os.environ.get("TAKINGS_API_KEY")):
        return from_environment
    if api_key not in (None, "-"):
        return api_key
    if can_ask():
        return str(click.prompt("Restricted key (not shown)", hide_input=True, err=True))
    if api_key == "-":
        return sys.stdin.readline()
    raise Invalid(
        "connect.key_missing",
        "No key was given: use --api-key-file, TAKINGS_API_KEY, or --api-key - with the key on standard input.",
    )


def show(probe: Probe, start_at: datetime | None) -> None:
    """Print what a key opens, on stderr."""
    say = _say
    say(f"Account   {probe.account_name} ({probe.account_id})")
    about = ", ".join(word.upper() for word in (probe.country, probe.currency) if word)
    say(f"Mode      {'live' if probe.livemode else 'test'}{', ' + about if about else ''}")
    say(f"Data      {'since ' + probe.first_at.date().isoformat() if probe.first_at else 'none found yet'}")
    allowed = [one for one in probe.lists if one.access == "allowed"]
    say(f"Readable  {len(allowed)} of {len(probe.lists)} lists")
    for one in probe.lists:
        if one.access == "forbidden":
            wanted = f": the key lacks “{one.permission}”" if one.permission else ": the key may not read it"
            say(f"  not     {one.table}{wanted}")
    absent = [one.table for one in probe.lists if one.access == "unavailable"]
    if absent:
        named = f" ({', '.join(absent)})" if len(absent) <= NAMED else ""
        say(f"Absent    {len(absent)} lists{named}: this account does not have these products")
    unknown = [one.table for one in probe.lists if one.access == "unknown"]
    if unknown:
        say(f"Unclear   {', '.join(unknown)}: Stripe gave no clear answer, they are asked again while syncing")
    estimate = _estimate(probe, start_at)
    if estimate:
        about = "" if estimate["exact"] else "about "
        say(
            f"To load   {about}{estimate['objects']:,} objects, {estimate['requests']:,} requests, "
            f"{max(1, round(float(str(estimate['minutes'])))):,} min at least"
        )
    if probe.broad_key:
        say("This is a secret key, which may change everything: a restricted key with read permissions is enough.")


def _estimate(probe: Probe, start_at: datetime | None) -> dict[str, float | int | bool] | None:
    """Return the estimate for the history wanted: the shortest one offered that reaches back far enough."""
    fitting = [e for e in probe.estimates if e.start_at is None or (start_at is not None and e.start_at <= start_at)]
    if not fitting:
        return None
    best = min(fitting, key=lambda e: e.objects)
    return {"objects": best.objects, "requests": best.requests, "minutes": best.minutes, "exact": best.exact}


def _say(line: str) -> None:
    click.echo(line, err=True)
