"""``takings metrics``: what figures there are and what each means, and filling their tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from takings.metrics import Built

_OF = {"built": "fresh"}


@click.command(short_help="List what can be asked, or fill its tables.")
@click.option("--build", is_flag=True, help="Bring the tables of schema metrics up to date with what has changed.")
@click.option("--anew", is_flag=True, help="With --build: fill also those whose sources have not changed.")
@json_option
@home_option
def metrics(build: bool, anew: bool, as_json: bool, home: Path | None) -> int:
    """List every metric with its meaning; `takings explain METRIC` answers and explains one."""
    from takings.answers.explanation import described, every_figure
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json, print_table
    from takings.errors import Invalid

    if anew and not build:
        raise Invalid("cli.anew_alone", "--anew goes with --build: give both.")
    with opened(settings_for(home=home)) as app:
        if build:
            columns = ("model", "built", "rows", "came", "gone", "seconds")
            built = app.builder.build(app.zone(), anew=anew)
            if as_json:
                print_json(
                    [
                        {name: getattr(one, _OF.get(name, name)) for name in (*columns, "failed", "partly", "strays")}
                        for one in built
                    ]
                )
            else:
                words = [_word(one) for one in built]
                numbers = [(one.rows, one.came, one.gone, one.seconds) for one in built]
                names = [one.model for one in built]
                print_table(
                    columns, [(name, word, *rest) for name, word, rest in zip(names, words, numbers, strict=True)]
                )
            for made in built:
                if made.strays:
                    click.echo(
                        f"{made.model}: {made.strays} lines were not as working out everything makes them; they are now. Tell us.",
                        err=True,
                    )
            return say_failed(built)
        figures = every_figure(app)
        if as_json:
            print_json([described(app, one) for one in figures])
            return 0
        for one in figures:
            click.echo(f"{one.name}: {one.title['en']}")
            click.echo(f"  {one.meaning['en']}")
        return 0


def _word(one: Built) -> str:
    if one.failed:
        return "failed"
    return "unchanged" if not one.fresh else "in part" if one.partly else "yes"


def say_failed(built: Iterable[Built]) -> int:
    """Say which models could not be built, and return the exit code: 1 if there are any."""
    failed = [one.model for one in built if one.failed]
    for name in failed:
        click.echo(
            f"{name} could not be built: its sources hold what it does not expect, so its figures are too old. Tell us.",
            err=True,
        )
    return 1 if failed else 0
