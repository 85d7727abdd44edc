"""``takings recurring``: how recurring revenue moved and what stayed of it, under any policy, and whether it can be trusted."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.answers.recurring import Moved
    from takings.app import App
    from takings.metrics import Figures, Policy
    from takings.metrics.rates import Rolled

DIFFERENT = 1
INCOMPLETE = 1


@click.command(short_help="Show how recurring revenue moved, and check it.")
@click.option("--period", metavar="PERIOD", help="As `takings explain` takes it; default the last whole month.")
@click.option("--policy", "name", metavar="NAME", help="Under this policy; default the company's.")
@click.option("--against", metavar="NAME", help="Show what each switch does to MRR, from the policy to this one.")
@click.option(
    "--check", is_flag=True, help="Hold MRR against subscriptions as they stand; ends with 1 where they differ."
)
@click.option(
    "--cohorts", "by_cohort", is_flag=True, help="Customers, MRR and what was collected by month of first MRR."
)
@click.option("--in", "into", metavar="CODE", help="Also all currencies in this one, by dated rates.")
@click.option("--policies", "listed", is_flag=True, help="List the policies with their switches.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@json_option
@home_option
def recurring(
    period: str | None,
    name: str | None,
    against: str | None,
    check: bool,
    by_cohort: bool,
    into: str | None,
    listed: bool,
    test: bool,
    as_json: bool,
    home: Path | None,
) -> int:
    """Show opening MRR, its movements and closing MRR in each currency, with retention and churn.

    Each figure names its policy: stripe, chartmogul-like, conservative, or one of policies.toml in the data folder.
    """
    from takings.answers.asking import period_of
    from takings.answers.recurring import last_month, moved
    from takings.cli.common import opened, settings_for
    from takings.errors import Invalid
    from takings.metrics import Question
    from takings.metrics.policies import policy, read

    views = sum((check, by_cohort, listed, against is not None))
    if views > 1:
        raise Invalid("cli.one_view", "--against, --check, --cohorts and --policies are views of their own: give one.")
    if views and into:
        raise Invalid("cli.one_view_in", "--in converts opening, movements and closing MRR: leave the other views out.")
    with opened(settings_for(home=home)) as app:
        folder = app.settings.home
        if listed:
            return _policies(list(read(folder).values()), as_json)
        chosen = policy(folder, name) if name else app.recurring.policy
        zone = app.zone()
        start, end = period_of(period) if period else last_month(app)
        app.builder.build(zone)
        if check:
            return _check(app, chosen, as_json)
        if against is not None:
            return _waterfall(app, chosen, policy(folder, against), end if period else None, not test, as_json)
        if by_cohort:
            with app.recurring.under(chosen, zone) as figures:
                return _cohorts(figures, end, not test, as_json)
        return _movements(moved(app, Question("mrr", start, end, livemode=not test), under=name, into=into), as_json)


def _policies(policies: list[Policy], as_json: bool) -> int:
    from takings.cli.output import print_json, print_table

    rows = [{"policy": one.name, "version": one.version, **one.parameters()} for one in policies]
    if as_json:
        print_json(rows)
        return 0
    names = [name for name in rows[0] if name not in ("policy", "version")]
    print_table(
        ("switch", *(one.label for one in policies)), [(name, *(_said(row[name]) for row in rows)) for name in names]
    )
    return 0


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check(app: App, policy: Policy, as_json: bool) -> int:
    from takings.cli.output import print_json, print_table
    from takings.money import Money

    found = app.recurring.differences(policy, app.zone())
    if as_json:
        print_json(
            [
                {
                    "account": one.account, "livemode": one.livemode, "subscription": one.subscription, "currency": one.currency,
                    "changes": one.changes, "scanned": one.scanned, "lacking": list(one.lacking),
                }
                for one in found
            ]
        )  # fmt: skip
    elif found:
        print_table(
            ("subscription", "account", "currency", "by changes", "as it stands", "not known here"),
            [
                (one.subscription, one.account, one.currency, Money(one.changes, one.currency).major,
                 Money(one.scanned, one.currency).major, ", ".join(one.lacking))
                for one in found
            ],
        )  # fmt: skip
    if found:
        click.echo(f"{len(found):,} subscriptions differ or lack a price (policy {policy.label}).", err=True)
        return DIFFERENT
    if not as_json:
        click.echo(f"Every subscription is worth the same by its changes and as it stands (policy {policy.label}).")
    return 0


def _waterfall(app: App, start: Policy, end: Policy, before: Any, livemode: bool, as_json: bool) -> int:
    from takings.cli.output import print_json, print_table
    from takings.metrics import Question
    from takings.money import Money

    found = app.recurring.waterfall(start, end, app.zone(), Question("mrr", end=before, livemode=livemode))
    if as_json:
        print_json(
            {
                "from": start.label, "to": end.label, "start": found.start, "end": found.end,
                "steps": [{"switch": one.switch, "amounts": one.amounts} for one in found.steps],
            }
        )  # fmt: skip
        return 0
    currencies = sorted({*found.start, *found.end})
    rows = [(start.label, found.start), *((one.switch, one.amounts) for one in found.steps), (end.label, found.end)]
    print_table(
        ("MRR", *currencies),
        [(label, *(Money(amounts.get(one, 0), one).major for one in currencies)) for label, amounts in rows],
    )
    return 0


def _cohorts(figures: Figures, end: Any, livemode: bool, as_json: bool) -> int:
    from takings.cli.output import print_json, print_table
    from takings.metrics.cohorts import cohorts
    from takings.money import Money

    cells = cohorts(figures.ask, end, livemode=livemode)
    names = ("currency", "cohort", "month", "age", "customers", "mrr", "collected")
    if as_json:
        print_json([{name: getattr(cell, name) for name in names} for cell in cells])
        return 0
    print_table(
        names,
        [
            (one.currency, one.cohort, one.month, one.age, one.customers, Money(one.mrr, one.currency).major,
             Money(one.collected, one.currency).major)
            for one in cells
        ],
    )  # fmt: skip
    return 0


def _movements(found: Moved, as_json: bool) -> int:
    from takings.cli.explain import spoken
    from takings.cli.output import print_json, print_table
    from takings.money import Money

    if as_json:
        print_json(found.plain())
        return _whole(found.rolled)
    click.echo(f"From {found.start} up to the end of {found.end - timedelta(days=1)}; policy {found.policy}.")
    currencies = found.currencies
    rows: list[tuple[Any, ...]] = [
        (name, *(Money(held.get(one, 0), one).major for one in currencies))
        for name, held in (("opening", found.opening), *found.movements.items(), ("closing", found.closing))
    ]
    rows += [
        (name, *(spoken(held.get(one), "share", one) for one in currencies)) for name, held in found.shares.items()
    ]
    print_table(("", *currencies), rows)
    if found.rolled is not None:
        _show_rolled(found.rolled)
    return _whole(found.rolled)


def _show_rolled(rolled: Rolled) -> None:
    from takings.cli.output import print_table
    from takings.money import Money

    if rolled.currencies:
        click.echo(f"\nConverted to {rolled.currency}: {', '.join(rolled.currencies)}; rates of {_origins(rolled)}.")
        print_table(
            ("", f"in {rolled.currency}"),
            [(name, Money(amount, rolled.currency).major) for name, amount in rolled.rounded().items()],
        )
    for one in rolled.left_out:
        said = f"{one} is not converted to {rolled.currency}: some rate of the period is not known."
        click.echo(f"{said} Put it into rates.csv.", err=True)


def _whole(rolled: Rolled | None) -> int:
    return INCOMPLETE if rolled is not None and rolled.left_out else 0


def _origins(rolled: Rolled) -> str:
    return " and ".join(sorted(rolled.origins)) or "nobody: it is all in one currency"
