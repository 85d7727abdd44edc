"""``takings backup``: everything in one file or folder, while the product runs."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


@click.command(short_help="Copy everything to a file, while it runs.")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--without-key", is_flag=True, help="Leave out the key that opens stored credentials.")
@click.option("--without-store", is_flag=True, help="Leave out the product's own database, where it is in Postgres.")
@json_option
@home_option
def backup(target: Path, without_key: bool, without_store: bool, as_json: bool, home: Path | None) -> None:
    """Copy the product's database, the warehouse, settings and key to TARGET, while the product runs.

    TARGET is a file (name.tar, name.tar.zst) or else a folder. Put it back with `takings restore`.
    """
    import sys
    from datetime import UTC, datetime

    from takings import archive
    from takings.cli.common import settings_for
    from takings.cli.output import bytes_said, print_json, progress

    settings = settings_for(home=home)
    with progress("Copied", shown=sys.stderr.isatty() and not as_json) as tell:
        made = archive.back_up(
            settings,
            target.absolute(),
            now=datetime.now(UTC),
            with_key=not without_key,
            with_store=not without_store,
            on_bytes=tell,
        )
    notes = []
    if made.store == "postgres":
        notes.append(
            "The product's own database is in Postgres and not in this backup: keep what pg_dump made with it."
        )
    if settings.secret_key:
        notes.append("The key comes from TAKINGS_SECRET_KEY and is not in this backup: keep it elsewhere.")
    elif not made.key:
        notes.append(
            "The key is not in this backup: without secret.key, credentials must be given again after a restore."
        )
    if made.key or made.settings:
        notes.append(
            "This backup holds secrets: whoever reads it can read your Stripe account. Keep it as you keep passwords."
        )
    if without_key and not made.settings:
        notes.append("A settings file, if there is one, was left out because it may hold secrets.")
    if as_json:
        print_json(
            {
                "target": str(target),
                "files": len(made.files),
                "bytes": made.size,
                "key": made.key,
                "settings": made.settings,
                "store": made.store_schema is not None,
                "warehouse": made.warehouse,
                "notes": notes,
            }
        )
        return
    click.echo(f"{target}: {len(made.files):,} files, {bytes_said(made.size)}.")
    for note in notes:
        click.echo(note, err=True)
