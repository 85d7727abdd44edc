"""``takings metrics``: what figures there are and what each means, and filling their tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.metrics import Derived, Measure


@click.command(short_help="List what can be asked, or fill its tables.")
@click.option("--build", is_flag=True, help="Bring the tables of schema metrics up to date with what has changed.")
@click.option("--anew", is_flag=True, help="With --build: fill also those whose sources have not changed.")
@json_option
@home_option
def metrics(build: bool, anew: bool, as_json: bool, home: Path | None) -> None:
    """List every metric with its meaning; `takings explain METRIC` answers and explains one."""
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json, print_table
    from takings.errors import Invalid

    if anew and not build:
        raise Invalid("cli.anew_alone", "--anew goes with --build: give both.")
    with opened(settings_for(home=home)) as app:
        if build:
            columns = ("model", "built", "rows", "came", "gone", "seconds")
            built = app.builder.build(app.zone(), anew=anew)
            done = [(one.model, one.fresh, one.rows, one.came, one.gone, one.seconds) for one in built]
            if as_json:
                print_json([dict(zip(columns, entry, strict=True)) for entry in done])
            else:
                print_table(columns, [(name, "yes" if fresh else "unchanged", *rest) for name, fresh, *rest in done])
            return
        names = sorted((*app.registry.measures, *app.registry.derived))
        figures = [app.registry.figure(name) for name in names]
        if as_json:
            print_json([_plain(app, one) for one in figures])
            return
        for one in figures:
            click.echo(f"{one.name}: {one.title['en']}")
            click.echo(f"  {one.meaning['en']}")


def _plain(app: App, figure: Measure | Derived) -> dict[str, Any]:
    from takings.metrics import Measure

    behind = app.registry.behind(figure.name)
    own = (
        {"kind": figure.sum, "parts": list(figure.parts)}
        if isinstance(figure, Measure)
        else {"kind": "derived", "over": figure.over, "under": figure.under, "times": figure.times, "days": figure.days}
    )
    return {
        "metric": figure.name,
        "title": figure.title,
        "meaning": figure.meaning,
        "unit": figure.unit,
        **own,
        "days": "UTC" if all(one.utc for one in behind) else "reporting zone",
        "cuts": list(app.figures.cuts(figure.name)),
        "source": figure.source,
    }
