"""``takings explain``: a figure, what it means, and the signed contributions that add up to it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from datetime import datetime
    from fractions import Fraction

    from takings.app import App
    from takings.metrics import Contribution, Derived, Figure, Figures, Measure, Question, Value

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
        models = {one.model for one in behind}
        failed = [one.model for one in app.builder.build(app.zone()) if one.failed and one.model in models]
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
                sums=[_sum(figures, replace(question, measure=one.name), one, every) for one in behind],
                known_at=moment or figures.built_at(metric),
                zone=zone,
                policy=chosen.label if any(app.recurring.depends(one.model, chosen) for one in behind) else None,
                missing=[
                    *(
                        (f"metrics.{one}", "it could not be built from what is here, and is too old: tell us.", True)
                        for one in failed
                    ),
                    *missing_of(app, question, behind),
                ],
            )
    if as_json:
        print_json(shown.plain())
    else:
        shown.show()
    return say_missing(shown.missing)


def say_missing(missing: list[tuple[str, str, bool]]) -> int:
    """Say what figures may lack, as :func:`missing_of` returns it, and return the exit code: 1 if any is short."""
    for table, reason, _ in missing:
        click.echo(f"Not all of {table} is here: {reason}", err=True)
    return INCOMPLETE if any(short for *_, short in missing) else 0


def missing_of(app: App, question: Question, measures: tuple[Measure, ...]) -> list[tuple[str, str, bool]]:
    """Return what a figure may lack: table, why, and whether the figure is short until more has been read.

    What the key may not read, and history before a chosen first day, will not come by itself: it is said, no more.
    """
    accounts = None if question.account is None else (question.account,)
    sources = frozenset().union(*(app.registry.sources(measure.model) for measure in measures))
    return missing_from(app, sources, question.livemode, accounts)


def missing_from(
    app: App, tables: Iterable[str], livemode: bool, accounts: Collection[str] | None
) -> list[tuple[str, str, bool]]:
    """Return what tables of schema ``stripe`` may lack of the data of some accounts; see :func:`missing_of`."""
    found: list[tuple[str, str, bool]] = []
    for connection in app.connections.all():
        if connection.livemode != livemode or (accounts is not None and connection.account_id not in accounts):
            continue
        stands = {one.table: one for one in app.health.tables(connection.id)}
        for table in sorted(tables):
            where, one = f"{connection.name}: {table}", stands.get(table)
            if one is None and stands:
                found.append((where, "Stripe gives it one object at a time, so it is not read.", False))
            elif one is None or (one.as_of is None and one.state in ("waiting", "running", "complete")):
                found.append((where, "it has not been loaded yet.", True))
            elif one.state not in ("running", "complete"):
                refused = one.state in ("forbidden", "unavailable")
                found.append((where, one.reason or "its last reading failed.", not refused))
        if connection.start_at is not None:
            said = f"only what was made since {connection.start_at:%Y-%m-%d} was loaded."
            found.append((f"{connection.name}", said, False))
    return found


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
    policy: str | None
    missing: list[tuple[str, str, bool]]

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
            "missing": [{"table": table, "reason": reason} for table, reason, _ in self.missing],
            "values": [{"currency": one.currency, "value": _exact(one.value)} for one in self.values],
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
        if self.by:
            cuts = [(one.period or one.group, one.currency, spoken(one.value, unit, one.currency))
                    for one in (*self.groups, *self.series)]  # fmt: skip
            click.echo()
            print_table((self.by, "currency", unit), cuts)
        for one in self.sums:
            _show_sum(one, alone=len(self.sums) == 1)


def _sum(figures: Figures, question: Question, measure: Measure, every: bool) -> _Sum:
    if measure.sum == "stock":
        question = replace(question, start=None)
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
