"""``takings alerts``: what is wrong now, and a test of whom it is told to."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


@click.group(invoke_without_command=True, short_help="Show what is wrong now; test who is told.")
@json_option
@home_option
@click.pass_context
def alerts(context: click.Context, as_json: bool, home: Path | None) -> None:
    """Show the alerts that are open. `takings alerts test CHANNEL` sends a test over one channel and shows the server's answer."""
    if context.invoked_subcommand is not None:
        context.obj = (as_json, home)
        return
    from takings.alerts import advice, headline
    from takings.cli.common import opened, settings_for
    from takings.cli.output import ago, moment, print_json, print_table
    from takings.words import Words

    words = Words("en")
    with opened(settings_for(home=home)) as app:
        now, found = app.clock.now(), app.alerts.open()
        if as_json:
            print_json(
                [
                    {
                        "id": one.id,
                        "kind": one.kind,
                        "serious": one.serious,
                        "connection": one.connection,
                        "connection_name": one.connection_name,
                        "subject": one.subject,
                        "headline": headline(one, words),
                        "advice": advice(one, words),
                        "opened_at": moment(one.opened_at),
                        "seen_by": one.seen_by,
                    }
                    for one in found
                ]
            )
            return
        if not found:
            click.echo("Nothing is wrong.")
            return
        print_table(
            ["kind", "since", "what"],
            [(one.kind, ago(one.opened_at, now), headline(one, words)) for one in found],
        )
        for one in found:
            click.echo(f"\n{headline(one, words)}\n{advice(one, words)}")


@alerts.command(short_help="Send a test over one channel.")
@click.argument("channel")
@json_option
@home_option
@click.pass_context
def test(context: click.Context, channel: str, as_json: bool, home: Path | None) -> int:
    """Send a test over CHANNEL and show the server's answer; ends with 0 only if it took the message."""
    from takings.alerts import answered
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Unavailable
    from takings.words import Words

    above_json, above_home = context.obj or (False, None)
    with opened(settings_for(home=home or above_home)) as app:
        found = app.alerts.channels.named(channel)
        answer = app.alerts.test(None, found.id)
    said = answered(answer.text, Words("en"))
    if as_json or above_json:
        print_json({"channel": found.name, "kind": found.kind, "ok": answer.ok, "answer": said})
    else:
        click.echo(f"{found.name}: {said}")
    return 0 if answer.ok else Unavailable.exit_code
