"""``takings metrics``: what figures there are and what each means, and filling their tables."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option, json_option


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
            columns = ("model", "built", "rows", "seconds")
            done = [(one.model, one.fresh, one.rows, one.seconds) for one in app.builder.build(app.zone(), anew=anew)]
            if as_json:
                print_json([dict(zip(columns, entry, strict=True)) for entry in done])
            else:
                print_table(columns, [(name, "yes" if fresh else "unchanged", *rest) for name, fresh, *rest in done])
            return
        measures = [app.registry.measures[name] for name in sorted(app.registry.measures)]
        if as_json:
            print_json(
                [
                    {
                        "metric": one.name,
                        "title": one.title,
                        "meaning": one.meaning,
                        "kind": one.sum,
                        "parts": list(one.parts),
                        "days": "UTC" if one.utc else "reporting zone",
                        "cuts": list(app.figures.cuts(one.name)),
                        "source": one.source,
                    }
                    for one in measures
                ]
            )
            return
        for one in measures:
            click.echo(f"{one.name}: {one.title['en']}")
            click.echo(f"  {one.meaning['en']}")
