"""``takings explain``: a figure, what it means, and the signed contributions that add up to it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.metrics import Contribution, Figure, Measure, Question

INCOMPLETE = 1
_SHOWN = 20


@click.command(short_help="Show a metric and the contributions that make it.")
@click.argument("metric")
@click.option(
    "--period", metavar="PERIOD", help="2026, 2026-10, 2026-10-31, or 2026-10-01..2026-11-01 (without its end)."
)
@click.option("--at", metavar="DAY", help="What stands at the end of this day; default now.")
@click.option("--currency", metavar="CODE", help="Only this currency; default each by itself.")
@click.option("--account", metavar="ACCT", help="Only this account of Stripe.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@click.option("--only", multiple=True, metavar="NAME=VALUE", help="Only lines with this value; may be repeated.")
@click.option("--by", metavar="NAME", help="Cut by day, month, or a dimension of the metric.")
@click.option(
    "--all", "every", is_flag=True, help=f"Every contribution; default the {_SHOWN} largest of each currency."
)
@json_option
@home_option
def explain(
    metric: str,
    period: str | None,
    at: str | None,
    currency: str | None,
    account: str | None,
    test: bool,
    only: tuple[str, ...],
    by: str | None,
    every: bool,
    as_json: bool,
    home: Path | None,
) -> int:
    """Show METRIC in each currency, and the contributions, down to Stripe's objects, that add up to it exactly.

    Tables whose sources have changed are brought up to date first. Ends with 1 when a table it comes from has not been
    read completely.
    """
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Invalid
    from takings.metrics import Question

    if period and at:
        raise Invalid("cli.period_or_at", "--period and --at contradict each other: give one of them.")
    start, end = period_of(period) if period else (None, None)
    if at:
        end = day_of(at) + timedelta(days=1)
    filters = dict(filter_of(text) for text in only)
    question = Question(metric, start, end, currency and currency.lower(), account, not test, filters)
    with opened(settings_for(home=home)) as app:
        measure = app.registry.measure(metric)
        for _ in app.builder.build(app.zone()):
            pass
        figures = app.figures.answer(question)
        groups = app.figures.answer(question, by) if by else []
        lines = app.figures.contributions(question, limit=None if every else _SHOWN)
        known_at = app.figures.built_at(metric)
        zone = "UTC" if measure.utc else app.zone()
        missing = missing_of(app, question, measure)
    if as_json:
        print_json(
            {
                "metric": metric,
                "meaning": measure.meaning["en"],
                "source": measure.source,
                "start": start,
                "end": end,
                "zone": zone,
                "known_at": known_at,
                "missing": [{"table": table, "reason": reason} for table, reason, _ in missing],
                "figures": [_figure(one) for one in figures],
                "groups": [{**_figure(one), "group": one.group} for one in groups],
                "contributions": [_contribution(one) for one in lines],
            }
        )
    else:
        basis = f"Days of {zone}; as known at {known_at:%Y-%m-%d %H:%M} UTC."
        _show(measure, question, figures, groups, lines, basis, by)
    for table, reason, _ in missing:
        click.echo(f"Not all of {table} is here: {reason}", err=True)
    return INCOMPLETE if any(short for *_, short in missing) else 0


def missing_of(app: App, question: Question, measure: Measure) -> list[tuple[str, str, bool]]:
    """Return what a figure may lack: table, why, and whether the figure is short until more has been read.

    What the key may not read, and history before a chosen first day, will not come by itself: it is said, no more.
    """
    found: list[tuple[str, str, bool]] = []
    sources = app.registry.sources(measure.model)
    for connection in app.connections.all():
        if connection.livemode != question.livemode or question.account not in (None, connection.account_id):
            continue
        stands = {one.table: one for one in app.health.tables(connection.id)}
        for table in sorted(sources):
            where, one = f"{connection.name}: {table}", stands.get(table)
            if one is None or (one.as_of is None and one.state in ("waiting", "running", "complete")):
                found.append((where, "it has not been loaded yet.", True))
            elif one.state not in ("running", "complete"):
                refused = one.state in ("forbidden", "unavailable")
                found.append((where, one.reason or "its last reading failed.", not refused))
        if connection.start_at is not None:
            said = f"only what was made since {connection.start_at:%Y-%m-%d} was loaded."
            found.append((f"{connection.name}", said, False))
    return found


def _show(
    measure: Measure,
    question: Question,
    figures: list[Figure],
    groups: list[Figure],
    lines: list[Contribution],
    basis: str,
    by: str | None,
) -> None:
    from takings.cli.output import moment, print_table
    from takings.money import Money

    click.echo(f"{measure.title['en']}: {measure.meaning['en']}")
    span = " ".join(
        text
        for text in (
            f"from {question.start}" if question.start else "",
            f"up to the end of {question.end - timedelta(days=1)}" if question.end else "",
        )
        if text
    )
    click.echo(f"{span[:1].upper() + span[1:]}. {basis}" if span else basis)
    if not figures:
        click.echo("There is nothing in it.")
        return
    click.echo()
    print_table(
        ("currency", "amount", "lines"), [(f.currency, Money(f.amount, f.currency).major, f.lines) for f in figures]
    )
    if by:
        click.echo()
        print_table(
            (by, "currency", "amount", "lines"),
            [(f.group, f.currency, Money(f.amount, f.currency).major, f.lines) for f in groups],
        )
    click.echo()
    print_table(
        ("at", "part", "amount", "currency", "object", "id", "customer"),
        [
            (moment(c.at), c.part, Money(c.amount, c.currency).major, c.currency, c.object, c.source, c.customer)
            for c in lines
        ],
    )
    left = sum(figure.lines for figure in figures) - len(lines)
    if left:
        click.echo(f"{left:,} smaller contributions are not shown: --all shows them.")


def _figure(one: Figure) -> dict[str, Any]:
    return {"currency": one.currency, "amount": one.amount, "lines": one.lines}


def _contribution(one: Contribution) -> dict[str, Any]:
    return {
        "at": one.at,
        "part": one.part,
        "amount": one.amount,
        "currency": one.currency,
        "account": one.account,
        "object": one.object,
        "id": one.source,
        "customer": one.customer,
    }


def period_of(text: str) -> tuple[date, date]:
    """Read a period: a year, a month, a day, or two days with ``..`` between, the second not included.

    Raises:
        Invalid: It is none of these, or ends before it begins.
    """
    from takings.errors import Invalid

    wrong = Invalid(
        "cli.no_period",
        f"“{text}” is no period: write it as 2026, 2026-10, 2026-10-31 or 2026-10-01..2026-11-01.",
        text=text,
    )
    first, dots, last = text.partition("..")
    try:
        if dots:
            start, end = date.fromisoformat(first), date.fromisoformat(last)
        elif re.fullmatch(r"\d{4}", text):
            start, end = date(int(text), 1, 1), date(int(text) + 1, 1, 1)
        elif re.fullmatch(r"\d{4}-\d{2}", text):
            start = date.fromisoformat(f"{text}-01")
            end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
        else:
            start = date.fromisoformat(text)
            end = start + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if end <= start:
        raise wrong
    return start, end


def day_of(text: str) -> date:
    """Read a day.

    Raises:
        Invalid: It is none.
    """
    from takings.errors import Invalid

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid("cli.no_date", f"“{text}” is no date: write it as 2026-03-01.", text=text) from error


def filter_of(text: str) -> tuple[str, str]:
    """Read a condition.

    Raises:
        Invalid: It has no ``=``.
    """
    from takings.errors import Invalid

    name, sign, value = text.partition("=")
    if not (sign and name and value):
        raise Invalid("cli.no_filter", f"“{text}” is no condition: write it as country=FR.", text=text)
    return name, value
