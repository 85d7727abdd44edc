"""``takings report``: Stripe's own financial reports, made from what is here."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option

if TYPE_CHECKING:
    from datetime import date

    from takings.app import App
    from takings.connections import Connection
    from takings.reports import Sheet

SHORT = 1
#: The names of :data:`takings.reports.REPORTS`, here so that ``--help`` loads nothing; a test holds them equal.
NAMES = ("balance_summary", "balance_change_from_activity", "payout_reconciliation", "ending_balance_reconciliation")


@click.command(short_help="Make one of Stripe's financial reports.")
@click.argument("report", type=click.Choice(NAMES))
@click.argument("name", required=False)
@click.option("--period", metavar="PERIOD", help="2026-10, or any days 2026-10-01..2026-11-01; default the last month.")
@click.option(
    "--zone", metavar="ZONE", default="UTC", help="IANA name of the zone of the days; default UTC, as Stripe's."
)
@click.option("--currency", metavar="CODE", help="Only this currency; default each by itself.")
@click.option("--itemized", is_flag=True, help="Every transaction instead of sums.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "xlsx", "pdf"]),
    help="How it is written; default by the ending of --output, else csv.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file and not to standard output.",
)
@home_option
def report(
    report: str,
    name: str | None,
    period: str | None,
    zone: str,
    currency: str | None,
    itemized: bool,
    form: str | None,
    output: Path | None,
    home: Path | None,
) -> int:
    """Make one of Stripe's financial reports for the account NAME, with Stripe's columns, amounts in major units.

    Ends with 1 when not everything that it sums is here: it says on standard error what is missing.
    """
    from takings.answers.asking import days_of, require_zone, the_account
    from takings.cli.common import opened, settings_for
    from takings.errors import Invalid
    from takings.reports import Span
    from takings.warehouse import Scope

    require_zone(zone)
    form = form or (output.suffix.lower().removeprefix(".") if output is not None else "csv")
    if form not in ("csv", "xlsx", "pdf"):
        raise Invalid(
            "cli.report_form", f"{output} must end with .csv, .xlsx or .pdf, or give --format.", path=str(output)
        )
    if form != "csv" and output is None:
        raise Invalid("cli.report_to_screen", "Excel and PDF are not for the screen: name a file with --output.")
    if form == "pdf" and itemized:
        raise Invalid("cli.report_itemized_pdf", "A PDF holds a summary: take --format csv or xlsx with --itemized.")
    with opened(settings_for(home=home)) as app:
        connection = the_account(app, name)
        start, end = days_of(app, period)
        scope = Scope(connection.account_id, connection.livemode)
        span = Span(scope=scope, start=start, end=end, zone=zone, currency=currency and currency.lower())
        sheet = app.stripe_reports.sheet(report, span, itemized=itemized)  # type: ignore[arg-type]  # click checked it
        write(sheet, form, output)
        return say_lacking(app, connection, end)


def say_lacking(app: App, connection: Connection, end: date) -> int:
    """Say on standard error what is not here; return the exit code."""
    missing = app.month_end.lacking(connection, datetime(end.year, end.month, end.day, tzinfo=UTC))
    for one in missing:
        click.echo(f"{connection.name}: {one.sentence}", err=True)
    return SHORT if any(one.code != "proof.cut" for one in missing) else 0


def write(sheet: Sheet, form: str, output: Path | None) -> None:
    """Write a list.

    Raises:
        Misconfigured: The file cannot be written.
    """
    from takings.errors import Misconfigured
    from takings.reports import Document, to_csv, to_excel, to_pdf
    from takings.words import Words

    try:
        if output is None:
            for chunk in to_csv(sheet):
                sys.stdout.write(chunk.decode())
            sys.stdout.flush()
            return
        if form == "csv":
            with output.open("wb") as to:
                to.writelines(to_csv(sheet))
        elif form == "xlsx":
            to_excel(sheet, output)
        else:
            words = Words("en")
            title = sheet.about[0][1]
            to_pdf(Document(title=title, about=sheet.about[1:], tables=(sheet,)), output, words)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Misconfigured(
            "query.output", f"{output} cannot be written: {error.strerror}.", path=str(output)
        ) from error
    click.echo(f"The report is in {output}.", err=True)
