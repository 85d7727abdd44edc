"""``takings worker``: one process that keeps the connections in step."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option


@click.command(short_help="Run one worker alone.")
@home_option
def worker(home: Path | None) -> None:
    """Run one worker alone (`takings up` runs one already).

    Several on one machine share the work; on several machines they need a Postgres store.
    """
    from takings.cli.common import opened, settings_for
    from takings.cli.processes import stop_event

    settings = settings_for(service=True, home=home)
    stop = stop_event()
    with opened(settings) as app:
        app.worker().run(stop)
