"""``takings books``: close months, and see what became known of them later."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.metrics import Contribution


@click.group(invoke_without_command=True, short_help="Close months; see what became known of them later.")
@json_option
@home_option
@click.pass_context
def books(context: click.Context, as_json: bool, home: Path | None) -> None:
    """List closed months. `books close MONTH` closes one, `reopen` opens it, `show METRIC MONTH` shows what is booked, and `restatements METRIC` what became known later."""
    if context.invoked_subcommand:
        return
    from takings.cli.common import opened, settings_for
    from takings.cli.output import moment, print_json, print_table

    with opened(settings_for(home=home)) as app:
        closed = app.books.closings()
    if as_json:
        print_json(
            [{"month": f"{one.month:%Y-%m}", "closed_at": one.closed_at, "closed_by": one.closed_by} for one in closed]
        )
    elif closed:
        print_table(
            ("month", "closed at", "by"),
            [(f"{one.month:%Y-%m}", moment(one.closed_at), one.closed_by) for one in closed],
        )
    else:
        click.echo("No month is closed.")


@books.command("close", short_help="Close a month, and every month before it.")
@click.argument("month")
@home_option
def close(month: str, home: Path | None) -> int:
    """Close MONTH, such as 2026-10: build all figures, then let them stay as they are."""
    from takings.cli.common import opened, settings_for
    from takings.cli.explain import say_missing
    from takings.cli.metrics import say_failed
    from takings.reports import missing_from

    with opened(settings_for(home=home)) as app:
        day = month_of(month)
        tables = frozenset().union(*(app.registry.sources(one.model) for one in app.registry.measures.values()))
        short = say_missing(missing_from(app.connections, app.health, tables, livemode=True, accounts=None))
        if say_failed(app.builder.build(app.zone())) or short:
            click.echo(f"{day:%Y-%m} stays open until everything is here.", err=True)
            return 1
        made = app.books.close(None, day, app.today())
    click.echo(f"{made.month:%Y-%m} is closed: what becomes known of it from now on is booked to the next month.")
    return 0


@books.command("reopen", short_help="Open a month again, and every month after it.")
@click.argument("month")
@home_option
def reopen(month: str, home: Path | None) -> None:
    """Open MONTH again, such as 2026-10: its figures are again what is known of them."""
    from takings.cli.common import opened, settings_for

    with opened(settings_for(home=home)) as app:
        app.books.reopen(None, month_of(month))
    click.echo(f"{month} is open again.")


@books.command("show", short_help="Show a month's figure as the books have it.")
@click.argument("metric")
@click.argument("month")
@click.option("--account", metavar="ACCT", help="Only this account of Stripe.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@json_option
@home_option
def show(metric: str, month: str, account: str | None, test: bool, as_json: bool, home: Path | None) -> int:
    """Show METRIC of MONTH: what is its own, and corrections of closed months that became known while it was open."""
    from takings.answers.explanation import missing_here
    from takings.cli.common import opened, settings_for
    from takings.cli.explain import say_missing, spoken
    from takings.cli.output import print_json, print_table
    from takings.metrics import Question

    with opened(settings_for(home=home)) as app:
        measure = app.registry.measure(metric)
        app.builder.build(app.zone(), figures=(metric,))
        question = Question(metric, month_of(month), account=account, livemode=not test)
        code = say_missing(missing_here(app, question))
        booked = app.books.booked(question)
        lines = app.books.corrections(question)
    if as_json:
        print_json(
            {
                "metric": metric,
                "month": month,
                "booked": [
                    {"currency": one.currency, "amount": one.amount, "own": one.own, "corrections": one.corrections}
                    for one in booked
                ],
                "corrections": [
                    {"sign": sign, "at": one.at, "known_at": one.known_at, "amount": one.amount, "currency": one.currency,
                     "object": one.object, "id": one.source}
                    for sign, one in lines
                ],
            }
        )  # fmt: skip
        return code
    click.echo(f"{measure.title['en']}, {month}")
    if not booked:
        click.echo("There is nothing in it.")
        return code
    unit = measure.unit
    print_table(
        ("currency", "booked", "of the month", "corrections"),
        [
            (one.currency, *(spoken(part, unit, one.currency) for part in (one.amount, one.own, one.corrections)))
            for one in booked
        ],
    )
    if lines:
        click.echo()
        print_table(_COLUMNS, [_row(sign, one, unit) for sign, one in lines])
    return code


@books.command("restatements", short_help="Show how a figure of past months has changed since.")
@click.argument("metric")
@click.option("--period", metavar="PERIOD", help="Only days of it: 2026, 2026-10, or 2026-10-01..2026-11-01.")
@click.option("--account", metavar="ACCT", help="Only this account of Stripe.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@click.option("--lines", "with_lines", is_flag=True, help="With the objects of Stripe behind each.")
@json_option
@home_option
def restatements(
    metric: str, period: str | None, account: str | None, test: bool, with_lines: bool, as_json: bool, home: Path | None
) -> int:
    """Show how METRIC of months that had ended has changed since, when that became known, and by which objects."""
    from takings.answers.asking import period_of
    from takings.answers.explanation import missing_here
    from takings.cli.common import opened, settings_for
    from takings.cli.explain import say_missing, spoken
    from takings.cli.output import moment, print_json, print_table
    from takings.metrics import Question

    start, end = period_of(period) if period else (None, None)
    with opened(settings_for(home=home)) as app:
        measure = app.registry.measure(metric)
        app.builder.build(app.zone(), figures=(metric,))
        question = Question(metric, start, end, account=account, livemode=not test)
        code = say_missing(missing_here(app, question))
        found = app.books.restatements(question, app.zone())
        behind = [app.books.restated(question, app.zone(), one) if with_lines else [] for one in found]
    if as_json:
        print_json(
            [
                {
                    "known_at": one.known_at,
                    "month": f"{one.month:%Y-%m}",
                    "currency": one.currency,
                    "amount": one.amount,
                    "came": one.came,
                    "gone": one.gone,
                    "lines": [
                        {"sign": sign, "at": line.at, "amount": line.amount, "object": line.object, "id": line.source}
                        for sign, line in lines
                    ],
                }
                for one, lines in zip(found, behind, strict=True)
            ]
        )
        return code
    if not found:
        click.echo("No month that had ended has changed.")
        return code
    print_table(
        ("known at", "month", "currency", "change", "lines came", "went"),
        [
            (
                moment(one.known_at),
                f"{one.month:%Y-%m}",
                one.currency,
                spoken(one.amount, measure.unit, one.currency),
                one.came,
                one.gone,
            )
            for one in found
        ],
    )
    if with_lines:
        click.echo()
        print_table(_COLUMNS, [_row(sign, line, measure.unit) for lines in behind for sign, line in lines])
    return code


_COLUMNS = ("known at", "", "at", "part", "amount", "currency", "object", "id")


def _row(sign: int, one: Contribution, unit: str) -> tuple[object, ...]:
    from takings.cli.explain import spoken
    from takings.cli.output import moment

    amount = spoken(sign * one.amount, unit, one.currency)
    word = "came" if sign > 0 else "went"
    return moment(one.known_at), word, moment(one.at), one.part, amount, one.currency, one.object, one.source


def month_of(text: str) -> date:
    """Read a month.

    Raises:
        Invalid: It is none.
    """
    from takings.errors import Invalid

    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise Invalid("cli.no_month", f"“{text}” is no month: write it as 2026-10.", text=text) from error
