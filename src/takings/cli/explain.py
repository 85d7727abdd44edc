"""``takings explain``: a figure, what it means, and the signed contributions that add up to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from fractions import Fraction

    from takings.answers.explanation import Explanation, Sum
    from takings.metrics import Converted
    from takings.reports import Missing

INCOMPLETE = 1
_SHOWN = 20


@click.command(short_help="Show a metric and the contributions that make it.")
@click.argument("metric")
@click.option(
    "--period", metavar="PERIOD", help="2026, 2026-10, 2026-10-31, or 2026-10-01..2026-11-01 (without its end)."
)
@click.option("--at", metavar="DAY", help="What stands at the end of this day; default now.")
@click.option(
    "--known", metavar="DAY", help="As it was known at the end of this day, in UTC; default what is known now."
)
@click.option("--currency", metavar="CODE", help="Only this currency; default each by itself.")
@click.option("--account", metavar="ACCT", help="Only this account of Stripe.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@click.option("--only", multiple=True, metavar="NAME=VALUE", help="Only lines with this value; may be repeated.")
@click.option("--by", metavar="NAME", help="Cut by day, month, or a dimension of the metric.")
@click.option("--policy", "name", metavar="NAME", help="Under this policy; default the company's.")
@click.option("--in", "into", metavar="CODE", help="Also all currencies in this one, by dated rates.")
@click.option(
    "--all", "every", is_flag=True, help=f"Every contribution; default the {_SHOWN} largest of each currency."
)
@json_option
@home_option
def explain(
    metric: str,
    period: str | None,
    at: str | None,
    known: str | None,
    currency: str | None,
    account: str | None,
    test: bool,
    only: tuple[str, ...],
    by: str | None,
    name: str,
    into: str | None,
    every: bool,
    as_json: bool,
    home: Path | None,
) -> int:
    """Show METRIC in each currency, and the contributions, down to Stripe's objects, that add up to it exactly.

    Tables whose sources have changed are brought up to date first. Ends with 1 when a table it comes from has not been
    read completely, or a rate is wanted that is not known.
    """
    from takings.answers.asking import after, day_of, end_of, filters_of, period_of
    from takings.answers.explanation import FEW
    from takings.answers.explanation import explain as answered
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Invalid
    from takings.metrics import Question

    if period and at:
        raise Invalid("cli.period_or_at", "--period and --at contradict each other: give one of them.")
    start, end = period_of(period) if period else (None, None)
    if at:
        end = after(day_of(at))
    filters = filters_of(only)
    moment = end_of(known) if known else None
    question = Question(metric, start, end, currency and currency.lower(), account, not test, filters, moment)
    with opened(settings_for(home=home)) as app:
        app.registry.figure(metric)
        app.builder.build(app.zone(), figures=(metric,))
        shown = answered(app, question, by=by, under=name, into=into, limit=None if every else FEW)
    if as_json:
        print_json(shown.plain())
    else:
        show(shown)
    code = say_missing(shown.missing)
    return INCOMPLETE if shown.converted is not None and not shown.converted.whole else code


def say_missing(missing: list[Missing]) -> int:
    """Say what figures may lack, and return the exit code: 1 if any is short."""
    for one in missing:
        click.echo(f"Not all of {one.where} is here: {one.reason}", err=True)
    return INCOMPLETE if any(one.short for one in missing) else 0


def show(shown: Explanation) -> None:
    """Write it for people."""
    from takings.cli.output import print_table

    click.echo(f"{shown.figure.title['en']}: {shown.figure.meaning['en']}")
    start, end = shown.question.start, shown.question.end
    said = (f"from {start}" if start else "", f"up to the end of {end - timedelta(days=1)}" if end else "")
    span = " ".join(text for text in said if text)
    basis = f"Days of {shown.zone}; as known at {shown.known_at:%Y-%m-%d %H:%M} UTC."
    if shown.policy:
        basis += f" Policy {shown.policy}."
    click.echo(f"{span[:1].upper() + span[1:]}. {basis}" if span else basis)
    if not shown.values:
        click.echo("There is nothing in it.")
        return
    unit = shown.figure.unit
    click.echo()
    print_table(("currency", unit), [(one.currency, spoken(one.value, unit, one.currency)) for one in shown.values])
    if shown.converted:
        _show_converted(shown.converted)
    if shown.by:
        cuts = [(one.period or one.group, one.currency, spoken(one.value, unit, one.currency))
                for one in (*shown.groups, *shown.series)]  # fmt: skip
        click.echo()
        print_table((shown.by, "currency", unit), cuts)
    for one in shown.sums:
        _show_sum(one, alone=len(shown.sums) == 1)


def _show_converted(found: Converted) -> None:
    from takings.cli.output import print_table

    into = found.currency
    rows = [
        (one.currency, spoken(one.converted, "money", into), " and ".join(sorted(one.origins)) or "–")
        for one in found.parts
    ]
    rows.append((f"all, converted to {into}", spoken(found.total, "money", into), ""))
    click.echo()
    print_table(("currency", f"in {into}", "rates of"), rows)
    for one in found.parts:
        if one.days:
            amount, days = spoken(one.lacking, "money", one.currency), "day" if one.days == 1 else "days"
            said = f"{amount} {one.currency} of {one.days:,} {days} are not in it: no rate is known."
            click.echo(f"{said} Put some into rates.csv.", err=True)


def _show_sum(one: Sum, *, alone: bool) -> None:
    from takings.cli.output import moment, print_table

    click.echo()
    unit = one.measure.unit
    if not alone:
        click.echo(f"{one.measure.title['en']}: {one.measure.meaning['en']}")
        print_table(
            ("currency", unit, "lines"),
            [(f.currency, spoken(f.amount, unit, f.currency), f.lines) for f in one.figures],
        )
    print_table(
        ("at", "part", unit, "currency", "object", "id", "customer"),
        [
            (moment(c.at), c.part, spoken(c.amount, unit, c.currency), c.currency, c.object, c.source, c.customer)
            for c in one.lines
        ],
    )
    left = sum(figure.lines for figure in one.figures) - len(one.lines)
    if left:
        click.echo(f"{left:,} smaller contributions are not shown: --all shows them.")


def spoken(value: Fraction | int | None, unit: str, currency: str) -> str:
    """Write a value for people: money in major units, a share in per cent, rounded half-even once."""
    from takings.money import Money

    if value is None:
        return "n/a"
    if unit == "money":
        return str(Money(round(value), currency).major)
    if unit == "count":
        return f"{round(value):,}"
    return f"{round(value * 10_000) / 100:.2f} %" if unit == "share" else f"{round(value * 100) / 100:.2f}"
