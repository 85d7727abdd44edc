"""``takings compare``: hold a file that Stripe exported against what is here, and name the cause of every difference."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option, json_option
from takings.cli.report import NAMES

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections import Connection
    from takings.reports import Comparison, Difference, MrrComparison, MrrDifference, MrrFile
    from takings.warehouse import Scope

DIFFERS = 1
_SHOWN = 50
_CAUSES = {
    "differs": "another value",
    "altered_here": "the row here is not what Stripe sent: takings rebuild --table balance_transactions",
    "missing_here": "not here: takings reconcile --resource balance_transactions --full",
    "missing_there": "here, and not in the file",
    "deleted_here": "marked as deleted here",
    "other_days": "here, on other days",
    "other_account": "here, of another account",
    "other_report": "here, and by its kind in another report",
    "other_payout": "here, and in another payout or none",
    "twice": "in the file more than once",
}
_MRR_CAUSES = {
    "month_end": "had this amount within a day of the end of the month: another zone (--zone)",
    "rounding": "each item was rounded in another way",
    "other_currency": "has MRR here in another currency",
    "customer_unknown": "no such customer here: takings reconcile --resource customers --full",
    "lacking": "what prices a subscription is not here: takings recurring --check",
    "reconstructed": "that time is reconstructed here from invoices",
    "unexplained": "not explained",
}
MRR = "mrr_per_subscriber"


@click.command(short_help="Compare a file that Stripe exported.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--account", metavar="ACCT", help="The account of Stripe that the file is of; default the one its rows are of."
)
@click.option("--period", metavar="PERIOD", help="The days it is about; default what its name or its rows say.")
@click.option(
    "--zone", metavar="ZONE", help="IANA name of the zone of its days and times; default what its name says, else UTC."
)
@click.option(
    "--report", type=click.Choice((*NAMES, MRR)), help="Which report it is; default what its name and columns say."
)
@json_option
@home_option
def compare(
    file: Path,
    account: str | None,
    period: str | None,
    zone: str | None,
    report: str | None,
    as_json: bool,
    home: Path | None,
) -> int:
    """Compare FILE, a CSV of Stripe's balance summary, balance change from activity, payout reconciliation or ending balance,
    summary or itemized, or of MRR per subscriber per month, with what is here, and explain every difference by transaction or customer and cause.

    Ends with 0 only when everything ties.
    """
    from takings.answers.asking import period_of, require_zone
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.cli.report import say_lacking
    from takings.errors import Invalid, NotFound
    from takings.reports import read_file, read_mrr
    from takings.warehouse import Scope

    if zone is not None:
        require_zone(zone)
    days = period_of(period) if period else None
    mrr = read_mrr(file) if report in (None, MRR) else None
    if mrr is None and report == MRR:
        raise Invalid(
            "reports.not_this_report", f"{file.name} has not the columns of {MRR}.", file=file.name, report=MRR
        )
    found = read_file(file) if mrr is None else None
    with opened(settings_for(home=home)) as app:
        owners = {Scope(one.account_id, one.livemode): one for one in app.connections.all()}
        scopes = [scope for scope in owners if account in (None, scope.account)]
        if not scopes:
            raise NotFound("cli.no_account", f"No connection is of the account “{account}”.", account=account)
        if found is None:
            assert mrr is not None
            return _mrr(app, mrr, owners, scopes, days, zone, as_json)
        scope = app.stripe_compare.owner(found, scopes)
        span = app.stripe_compare.span(found, scope, days, zone)
        made = app.stripe_compare.compare(found, span, report)  # type: ignore[arg-type]  # click checked it
        if as_json:
            print_json(described(made))
        else:
            show(made, file.name)
        short = say_lacking(app, owners[scope], span.end)
    return 0 if made.ties and not short else DIFFERS


def _mrr(
    app: App,
    file: MrrFile,
    owners: dict[Scope, Connection],
    scopes: list[Scope],
    days: Any,
    zone: str | None,
    as_json: bool,
) -> int:
    """Compare an export of MRR per subscriber and month."""
    from takings.cli.output import print_json
    from takings.cli.report import say_lacking

    app.builder.build(app.zone())
    scope = app.stripe_mrr.owner(file, scopes)
    made = app.stripe_mrr.compare(file, scope, zone or app.zone(), days)
    if as_json:
        print_json(mrr_described(made))
    else:
        show_mrr(made)
    short = say_lacking(app, owners[scope], min(file.months[-1] + timedelta(days=31), app.today()))
    return 0 if made.ties and not short else DIFFERS


def show_mrr(made: MrrComparison) -> None:
    """Print how a comparison of MRR came out."""
    from takings.cli.output import print_table
    from takings.money import Money

    click.echo(
        f"{made.name}: {MRR}, {made.scope.account}, {made.zone}, policy {made.policy}. "
        f"{made.rows[0]:,} amounts in the file, {made.rows[1]:,} here."
    )
    print_table(
        ("month", "currency", "MRR in the file", "MRR here", "difference"),
        [
            (f"{month:%Y-%m}", currency, *(f"{Money(n, currency).major:f}" for n in (theirs, ours, ours - theirs)))
            for (month, currency), (theirs, ours) in made.sums.items()
        ],
    )
    if made.ties:
        click.echo("Everything ties.")
        return
    print_table(
        ("line", "customer", "month", "currency", "in the file", "here", "cause"),
        [
            (
                "" if one.line is None else one.line,
                one.customer,
                f"{one.month:%Y-%m}",
                one.currency,
                *(f"{Money(n, one.currency).major:f}" for n in (one.stripe, one.ours)),
                mrr_cause(one),
            )
            for one in made.differences[:_SHOWN]
        ],
    )
    left = len(made.differences) - _SHOWN
    if left > 0:
        click.echo(f"{left:,} more differences: --json shows them.")


def mrr_cause(one: MrrDifference) -> str:
    """Say what makes a difference."""
    if one.cause == "switch":
        return f"as with the policy switch {' and '.join(one.switches)}"
    return _MRR_CAUSES[one.cause]


def mrr_described(made: MrrComparison) -> dict[str, Any]:
    """Return a comparison of MRR for programs; amounts in minor units."""
    return {
        "report": MRR,
        "account": made.scope.account,
        "livemode": made.scope.livemode,
        "zone": made.zone,
        "policy": made.policy,
        "ties": made.ties,
        "rows": {"file": made.rows[0], "here": made.rows[1]},
        "mrr": [
            {"month": f"{month:%Y-%m}", "currency": currency, "file": theirs, "here": ours}
            for (month, currency), (theirs, ours) in made.sums.items()
        ],
        "differences": [
            {
                "line": one.line,
                "customer": one.customer,
                "month": f"{one.month:%Y-%m}",
                "currency": one.currency,
                "file": one.stripe,
                "here": one.ours,
                "cause": one.cause,
                "switches": list(one.switches),
            }
            for one in made.differences
        ],
    }


def show(made: Comparison, name: str) -> None:
    """Print how a comparison came out."""
    from takings.cli.output import print_table
    from takings.money import Money

    span = made.span
    kind = "transactions" if made.itemized else "lines"
    click.echo(
        f"{name}: {made.report}{', itemized' if made.itemized else ''}, {span.scope.account}, {span.start} to "
        f"{span.end - timedelta(days=1)}, {span.zone}. {made.rows[0]:,} {kind} in the file, {made.rows[1]:,} here."
    )
    if made.sums:
        print_table(
            ("currency", "net in the file", "net here", "difference"),
            [
                (currency, *(f"{Money(n, currency).major:f}" for n in (theirs, ours, ours - theirs)))
                for currency, (theirs, ours) in made.sums.items()
            ],
        )
    if made.ties:
        click.echo("Everything ties.")
        return
    print_table(
        ("line", "id", "field", "in the file", "here", "cause"),
        [
            (
                "" if one.line is None else one.line,
                one.id,
                one.field,
                said(one, one.stripe),
                said(one, one.ours),
                _CAUSES[one.cause],
            )
            for one in made.differences[:_SHOWN]
        ],
    )
    left = len(made.differences) - _SHOWN
    if left > 0:
        click.echo(f"{left:,} more differences: --json shows them.")
    if made.zone_hint is not None:
        click.echo(
            f"Its local times are {-made.zone_hint:+g} hours from {span.zone}: give --zone the zone it was exported in."
        )
    if not made.itemized:
        click.echo("Compare the itemized file to see which transactions make the difference.")


def said(one: Difference, value: int | str | None) -> str:
    """Print a value: amounts in major units, counts and texts as they are."""
    from takings.money import Money

    if value is None:
        return ""
    if isinstance(value, int) and one.field in ("gross", "fee", "net", "net_amount") and one.currency:
        return f"{Money(value, one.currency).major:f}"
    return str(value)


def described(made: Comparison) -> dict[str, Any]:
    """Return a comparison for programs; amounts in minor units."""
    return {
        "report": made.report,
        "itemized": made.itemized,
        "account": made.span.scope.account,
        "livemode": made.span.scope.livemode,
        "start": made.span.start,
        "end": made.span.end,
        "zone": made.span.zone,
        "currency": made.span.currency,
        "ties": made.ties,
        "rows": {"file": made.rows[0], "here": made.rows[1]},
        "net": {currency: {"file": theirs, "here": ours} for currency, (theirs, ours) in made.sums.items()},
        "zone_hint_hours": made.zone_hint,
        "differences": [
            {
                "line": one.line,
                "id": one.id,
                "cause": one.cause,
                "field": one.field,
                "currency": one.currency,
                "file": one.stripe,
                "here": one.ours,
                "at": one.at,
            }
            for one in made.differences
        ],
    }
