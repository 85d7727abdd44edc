"""``takings restore``: a data folder from a backup, proven whole first."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


@click.command(short_help="Make a data folder from a backup.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Move what is in the data folder aside, to before-… in it.")
@json_option
@home_option
def restore(source: Path, replace: bool, as_json: bool, home: Path | None) -> None:
    """Make the data folder from the backup SOURCE, after every file of it has been proven whole.

    Stop the product first. A data folder that is not empty is refused without --replace.
    """
    import sys
    from datetime import UTC, datetime

    from takings import archive, catalog, log
    from takings.cli.output import bytes_said, moment, print_json, progress
    from takings.cli.processes import unused
    from takings.settings import load, settings_file
    from takings.store.engine import sqlite_file

    settings = load(home=home)
    log.configure(settings.log_form, "warning")
    with unused(settings.home), progress("Read", shown=sys.stderr.isatty() and not as_json) as tell:
        made, aside = archive.restore(
            source.absolute(),
            settings.home,
            now=datetime.now(UTC),
            stripe=catalog.load().sdk_version,
            replace=replace,
            on_bytes=tell,
        )
    settings = load(home=home)
    notes = []
    if made.store == "postgres":
        notes.append(
            "The product's own database is not in this backup: put back what pg_dump made (TAKINGS_STORE_URL)."
        )
    elif sqlite_file(settings.store_address) != settings.home / "takings.db":
        notes.append(
            "TAKINGS_STORE_URL names another place than this data folder: takings.db in it is the database restored."
        )
    if not made.key and not settings.secret_key:
        notes.append("The key is not in this backup: put secret.key into the data folder, or give credentials again.")
    if made.settings and settings_file(settings.home) != settings.home / "settings.toml":
        notes.append("TAKINGS_SETTINGS names another file than the settings.toml that was restored.")
    if made.warehouse != settings.warehouse:
        notes.append(f"The warehouse in this backup is of the kind {made.warehouse}: set TAKINGS_WAREHOUSE to it.")
    if as_json:
        print_json(
            {
                "home": str(settings.home),
                "made_at": made.made_at,
                "files": len(made.files),
                "bytes": made.size,
                "moved_aside": None if aside is None else str(aside),
                "notes": notes,
            }
        )
        return
    click.echo(
        f"{settings.home}: restored as of {moment(made.made_at)}, {len(made.files):,} files, {bytes_said(made.size)}."
    )
    if aside is not None:
        click.echo(f"What was there is in {aside}.")
    for note in notes:
        click.echo(note, err=True)
    click.echo("Start it with `takings up`: what has happened since is read from Stripe.")
