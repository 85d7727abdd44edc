"""``takings rebuild``: typed tables made anew from the versions, without asking Stripe."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


@click.command(short_help="Make tables anew from the states kept.")
@click.option(
    "--table",
    "only",
    multiple=True,
    metavar="TABLE",
    help="Only this table; may be repeated. Default: all that hold rows.",
)
@json_option
@home_option
def rebuild(only: tuple[str, ...], as_json: bool, home: Path | None) -> None:
    """Make typed tables anew from every state kept in raw.versions, without asking Stripe.

    Others may read and write meanwhile; each table changes at once when it is ready.
    """
    import sys

    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json, print_table, progress

    with opened(settings_for(home=home)) as app:
        names = list(only)
        if not names:
            held = app.warehouse.query("SELECT DISTINCT v.resource FROM raw.versions AS v").rows
            known = {table.name for table in app.warehouse.tables()}
            names = sorted({name for (name,) in held} & known | set(app.warehouse.unfilled()))
        done: list[tuple[str, int, float]] = []
        for name in names:
            started = app.clock.monotonic()
            with progress(name, shown=sys.stderr.isatty() and not as_json, unit="rows") as tell:
                rows = app.warehouse.rebuild(name, tell)
            done.append((name, rows, round(app.clock.monotonic() - started, 2)))
    columns = ("table", "rows", "seconds")
    if as_json:
        print_json(
            {
                "tables": [dict(zip(columns, entry, strict=True)) for entry in done],
                "rows": sum(rows for _, rows, _ in done),
            }
        )
    elif done:
        print_table(columns, done)
    else:
        click.echo("There is nothing to make anew: no state is kept yet.")
