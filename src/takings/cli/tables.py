"""``takings tables``: what is in the warehouse, how much and how fresh."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


@click.command(short_help="List tables with rows and freshness.")
@click.option("--all", "every", is_flag=True, help="Show empty tables too.")
@json_option
@home_option
def tables(every: bool, as_json: bool, home: Path | None) -> None:
    """List the tables of the warehouse with their rows and freshness."""
    from takings.answers.tables import described, of
    from takings.cli.common import opened, settings_for
    from takings.cli.output import ago, print_json, print_table

    with opened(settings_for(home=home)) as app:
        found = [table for table in of(app).all() if every or table.rows]
        now = app.clock.now()
    if as_json:
        print_json([described(table) for table in found])
    elif found:
        print_table(
            ["table", "rows", "columns", "state", "complete as of"],
            [(t.name, t.rows or 0, t.columns, t.state, ago(t.complete_as_of, now)) for t in found],
        )
    else:
        click.echo("No rows yet: `takings sync` loads them. `takings tables --all` shows every table.")
