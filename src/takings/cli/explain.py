"""``takings explain``: a figure, what it means, and the signed contributions that add up to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from datetime import datetime
    from fractions import Fraction

    from takings.app import App
    from takings.metrics import Contribution, Converted, Derived, Figure, Figures, Measure, Question, Value
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
@click.option("--policy", "name", metavar="NAME", default="stripe", help="Under this policy; default stripe.")
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
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Invalid
    from takings.metrics import GRAINS, Question
    from takings.metrics.policies import DEFAULT, policy

    if known and name != DEFAULT.name:
        raise Invalid(
            "cli.known_policy",
            f"What was known on a day is kept for the policy {DEFAULT.name} only: leave out --known or --policy.",
            name=DEFAULT.name,
        )
    if period and at:
        raise Invalid("cli.period_or_at", "--period and --at contradict each other: give one of them.")
    start, end = period_of(period) if period else (None, None)
    if at:
        end = day_of(at) + timedelta(days=1)
    filters = dict(filter_of(text) for text in only)
    moment = end_of(known) if known else None
    question = Question(metric, start, end, currency and currency.lower(), account, not test, filters, moment)
    with opened(settings_for(home=home)) as app:
        figure = app.registry.figure(metric)
        behind = app.registry.behind(metric)
        app.builder.build(app.zone())
        zone = "UTC" if all(one.utc for one in behind) else app.zone()
        chosen = policy(app.settings.home, name)
        with app.recurring.under(chosen, app.zone()) as under:
            figures = under.still()
            shown = _Shown(
                figure=figure,
                question=question,
                by=by,
                values=figures.values(question),
                groups=figures.values(question, by) if by and by not in GRAINS else [],
                series=figures.series(question, by) if by in GRAINS else [],
                sums=[_sum(figures, asked, one, every) for one, asked in figures.sides(question)],
                known_at=moment or figures.built_at(metric),
                zone=zone,
                converted=app.exchange.convert(figures, question, into) if into else None,
                policy=chosen.label if any(app.recurring.depends(one.model, chosen) for one in behind) else None,
                missing=missing_here(app, question),
            )
    if as_json:
        print_json(shown.plain())
    else:
        shown.show()
    code = say_missing(shown.missing)
    return INCOMPLETE if shown.converted is not None and not shown.converted.whole else code


def missing_here(app: App, question: Question) -> list[Missing]:
    """Return what a figure may lack; see :func:`takings.reports.missing_of`."""
    from takings.reports import missing_of

    return missing_of(app.figures, app.registry, app.connections, app.health, question)


def say_missing(missing: list[Missing]) -> int:
    """Say what figures may lack, and return the exit code: 1 if any is short."""
    for one in missing:
        click.echo(f"Not all of {one.where} is here: {one.reason}", err=True)
    return INCOMPLETE if any(one.short for one in missing) else 0


@dataclass(frozen=True, slots=True)
class _Sum:
    """A measure, its figures and the lines that make them."""

    measure: Measure
    figures: list[Figure]
    lines: list[Contribution]
    sql: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """An answer with everything it is made of."""

    figure: Measure | Derived
    question: Question
    by: str | None
    values: list[Value]
    groups: list[Value]
    series: list[Value]
    sums: list[_Sum]
    known_at: datetime
    zone: str
    converted: Converted | None
    policy: str | None
    missing: list[Missing]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values; amounts are minor units, values exact fractions."""
        return {
            "metric": self.figure.name,
            "meaning": self.figure.meaning["en"],
            "unit": self.figure.unit,
            "source": self.figure.source,
            "start": self.question.start,
            "end": self.question.end,
            "zone": self.zone,
            "policy": self.policy,
            "known_at": self.known_at,
            "missing": [{"table": one.where, "reason": one.reason} for one in self.missing],
            "values": [{"currency": one.currency, "value": _exact(one.value)} for one in self.values],
            **({"converted": _converted(self.converted)} if self.converted else {}),
            "groups": [
                {"currency": one.currency, "group": one.group, "value": _exact(one.value)} for one in self.groups
            ],
            "series": [
                {"currency": one.currency, "period": one.period, "value": _exact(one.value)} for one in self.series
            ],
            "sums": [
                {
                    "metric": one.measure.name,
                    "sql": one.sql,
                    "figures": [_figure(figure) for figure in one.figures],
                    "contributions": [_contribution(line) for line in one.lines],
                }
                for one in self.sums
            ],
        }

    def show(self) -> None:
        """Write it for people."""
        from takings.cli.output import print_table

        click.echo(f"{self.figure.title['en']}: {self.figure.meaning['en']}")
        start, end = self.question.start, self.question.end
        said = (f"from {start}" if start else "", f"up to the end of {end - timedelta(days=1)}" if end else "")
        span = " ".join(text for text in said if text)
        basis = f"Days of {self.zone}; as known at {self.known_at:%Y-%m-%d %H:%M} UTC."
        if self.policy:
            basis += f" Policy {self.policy}."
        click.echo(f"{span[:1].upper() + span[1:]}. {basis}" if span else basis)
        if not self.values:
            click.echo("There is nothing in it.")
            return
        unit = self.figure.unit
        click.echo()
        print_table(("currency", unit), [(one.currency, spoken(one.value, unit, one.currency)) for one in self.values])
        if self.converted:
            _show_converted(self.converted)
        if self.by:
            cuts = [(one.period or one.group, one.currency, spoken(one.value, unit, one.currency))
                    for one in (*self.groups, *self.series)]  # fmt: skip
            click.echo()
            print_table((self.by, "currency", unit), cuts)
        for one in self.sums:
            _show_sum(one, alone=len(self.sums) == 1)


def _converted(found: Converted) -> dict[str, Any]:
    return {
        "currency": found.currency,
        "total": _exact(found.total),
        "parts": [
            {
                "currency": one.currency,
                "converted": _exact(one.converted),
                "rates": sorted(one.origins),
                "without_rate": _exact(one.lacking),
                "days_without_rate": one.days,
            }
            for one in found.parts
        ],
    }


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


def _sum(figures: Figures, question: Question, measure: Measure, every: bool) -> _Sum:
    return _Sum(
        measure,
        figures.answer(question),
        figures.contributions(question, limit=None if every else _SHOWN),
        figures.statement(question),
    )


def _show_sum(one: _Sum, *, alone: bool) -> None:
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


def _exact(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


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
        "known_at": one.known_at,
        **one.cuts,
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


def end_of(text: str) -> datetime:
    """Return the end of a day in UTC.

    Raises:
        Invalid: It is no day.
    """
    from datetime import UTC, datetime, time

    return datetime.combine(day_of(text) + timedelta(days=1), time(), UTC)


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
