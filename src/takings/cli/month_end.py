"""``takings month-end``: does the month tie with Stripe, and which rows do not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.proof import Statement

DIFFERS = 1
_SHOWN = 50


@click.command("month-end", short_help="Say whether a month ties with Stripe.")
@click.argument("name", required=False)
@click.option("--period", metavar="PERIOD", help="2026-10, or any days 2026-10-01..2026-11-01; default the last month.")
@click.option("--currency", metavar="CODE", help="Only this currency; default each by itself.")
@click.option("--test", is_flag=True, help="Data of sandboxes instead of live data.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the statement to this file, .pdf or .xlsx; of one currency of one account.",
)
@click.option("--language", type=click.Choice(["en", "fr"]), default="en", help="Language of the file; default en.")
@json_option
@home_option
def month_end(
    name: str | None,
    period: str | None,
    currency: str | None,
    test: bool,
    output: Path | None,
    language: str,
    as_json: bool,
    home: Path | None,
) -> int:
    """Say for every account, or for NAME alone, whether opening, activity and payouts make the closing balance, whether it
    is Stripe's, whether each payout is what its transactions come to, and name every row that does not tie.

    Days are those of UTC. Ends with 0 only when everything ties and Stripe's balance was asked for.
    """
    from takings.answers.asking import accounts_of, days_of
    from takings.answers.month_end import described
    from takings.cli.common import opened, settings_for
    from takings.cli.output import print_json
    from takings.errors import Invalid

    with opened(settings_for(home=home)) as app:
        start, end = days_of(app, period)
        found = [
            one
            for connection in accounts_of(app, name, test)
            for one in app.month_end.statements(connection, start, end).values()
            if currency is None or one.currency == currency.lower()
        ]
        if output is not None:
            if len(found) != 1:
                raise Invalid(
                    "cli.one_statement",
                    f"A file holds one statement, and there are {len(found)}: give the account's name and --currency.",
                    n=len(found),
                )
            write(app, found[0], output, language)
        if as_json:
            print_json([described(one) for one in found])
        else:
            if not found:
                click.echo("There was no balance transaction up to the end of these days.")
            for one in found:
                show(one)
    return DIFFERS if not found or any(one.state not in ("proven", "open") for one in found) else 0


def write(app: App, one: Statement, output: Path, language: str) -> None:
    """Write a statement to a PDF or an Excel file.

    Raises:
        Invalid: The file's ending is neither.
        Misconfigured: The file cannot be written.
    """
    from takings.errors import Invalid, Misconfigured
    from takings.reports import to_excel, to_pdf
    from takings.reports.month_end import document, sheets
    from takings.words import Words

    words = Words(language, app.zone())
    suffix = output.suffix.lower()
    if suffix not in (".pdf", ".xlsx"):
        raise Invalid("cli.statement_form", f"{output} must end with .pdf or .xlsx.", path=str(output))
    try:
        if suffix == ".pdf":
            to_pdf(document(one, words), output, words)
        else:
            first, *more = sheets(one, words)
            to_excel(first, output, *more)
    except OSError as error:
        raise Misconfigured(
            "query.output", f"{output} cannot be written: {error.strerror}.", path=str(output)
        ) from error
    click.echo(f"The statement is in {output}.", err=True)


def show(one: Statement) -> None:
    """Print a statement: how it stands, its lines, and what does not tie."""
    from takings.cli.output import moment, print_table
    from takings.money import Money
    from takings.reports.month_end import difference, remedy_text, summary_lines, value_text, verdict, what_text
    from takings.words import Words

    words = Words("en")
    found = verdict(one, words)
    last = one.end - timedelta(days=1)
    click.echo(f"{one.account_name}, {one.currency.upper()}, {one.start} to {last} (UTC): {found.title}.")
    for sentence in found.sentences:
        click.echo(f"  {sentence}")
    print_table(
        ("", one.currency),
        [(label, words.amount(Money(amount, one.currency))) for label, amount, _ in summary_lines(one, words)],
    )
    if one.untied:
        print_table(
            ("table", "id", "made", "what", "stripe", "here", "difference"),
            [
                (
                    each.table,
                    each.id,
                    "" if each.at is None else moment(each.at.replace(microsecond=0)),
                    what_text(each, words),
                    value_text(each.stripe, each, one.currency, words),
                    value_text(each.ours, each, one.currency, words),
                    "" if (gap := difference(each)) is None else words.amount(Money(gap, one.currency)),
                )
                for each in one.untied[:_SHOWN]
            ],
        )
        left = len(one.untied) - _SHOWN + one.cut
        if left > 0:
            click.echo(f"{left:,} more do not tie: --json shows them.")
        for line in dict.fromkeys(remedy_text(each, words) for each in one.untied):
            click.echo(line)
    click.echo()
