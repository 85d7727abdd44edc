"""``takings journal`` and the statements made from it: trial balance, income statement, balance sheet, waterfall."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import Command, home_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.metrics import Entry

_COLUMNS = (
    "accounting_period", "booked_date", "currency", "debit", "credit", "amount", "event_type", "entry_id",
    "transaction_model_id", "invoice_id", "invoice_line_item_id", "customer_id", "subscription_id", "product_id", "price_id",
    "account_id",
)  # fmt: skip


def _shared(command: Command) -> Command:
    """Give a command what all of these take."""
    for option in (
        click.option("--account", metavar="ACCT", help="Only this account of Stripe."),
        click.option("--test", is_flag=True, help="Data of sandboxes instead of live data."),
        click.option(
            "--format",
            "form",
            type=click.Choice(["table", "csv", "json"]),
            default="table",
            show_default=True,
            help="How it is written.",
        ),
        home_option,
    ):
        command = option(command)
    return command


def _period(command: Command) -> Command:
    return click.option(
        "--period",
        metavar="PERIOD",
        required=True,
        help="2026-10, 2026, or 2026-10-01..2026-11-01 (without its end), in UTC.",
    )(command)


def _booking(command: Command) -> Command:
    return click.option(
        "--booked",
        is_flag=True,
        help="Leave closed months as they were closed: what became known of them later is booked to the month open then.",
    )(command)


@click.command(short_help="Write the double-entry journal of a period.")
@_period
@_booking
@_shared
def journal(period: str, booked: bool, account: str | None, test: bool, form: str, home: Path | None) -> int:
    """Write the double-entry journal: each entry debits one account and credits another by the same amount.

    The accounts are those of Stripe's Revenue Recognition, days are in UTC, amounts in major units. Ends with 1 when a
    table it comes from has not been read completely.
    """
    from takings.answers.asking import period_of

    start, end = period_of(period)
    with _built(home, account, not test) as (app, code):
        if booked:
            found = app.journal.booked_entries(app.books, start, end, livemode=not test, account=account)
            _write((*_COLUMNS, "correction"), ((*_entry(one), one.correction) for one in found), form)
        else:
            rows = (_entry(one) for one in app.journal.entries(start, end, livemode=not test, account=account))
            _write(_COLUMNS, rows, form)
    return code()


def _entry(one: Entry) -> tuple[Any, ...]:
    from takings.money import Money

    return (
        f"{one.period or one.day:%Y-%m}", one.day, one.currency, one.debit, one.credit, Money(one.amount, one.currency).major, one.event,
        one.id, one.source, one.invoice, one.line, one.customer, one.subscription, one.product, one.price, one.account,
    )  # fmt: skip


@click.command("trial-balance", short_help="Show every account of the ledger over a period.")
@_period
@_booking
@_shared
def trial_balance(period: str, booked: bool, account: str | None, test: bool, form: str, home: Path | None) -> int:
    """Show each account's opening, debits, credits and closing in each currency: debits equal credits.

    Amounts are debits less credits, in major units, days in UTC. Ends with 1 when a table it comes from has not been read
    completely.
    """
    return _statement(
        period, booked, account, test, form, home,
        ("currency", "account", "type", "opening", "debits", "credits", "closing"),
        lambda one, major: (one.currency, one.account, one.kind, *map(major, (one.opening, one.debits, one.credits, one.closing))),
    )  # fmt: skip


@click.command("income-statement", short_help="Show revenue, contra revenue, gains, fees and losses of a period.")
@_period
@_booking
@_shared
def income_statement(period: str, booked: bool, account: str | None, test: bool, form: str, home: Path | None) -> int:
    """Show what a period earned and lost in each currency: revenue, contra revenue, gains, expenses and losses.

    Each account in its own direction, in major units, days in UTC; the last line is revenue and gains less the rest. Ends
    with 1 when a table it comes from has not been read completely.
    """
    return _statement(
        period, booked, account, test, form, home, ("currency", "account", "type", "amount"),
        lambda one, major: (one.currency, one.account, one.kind, major(one.change)),
        kinds=("Revenue", "ContraRevenue", "Gains", "Expenses", "Losses"), total="net_income",
    )  # fmt: skip


@click.command("balance-sheet", short_help="Show what is owned and owed at the end of a period.")
@_period
@_booking
@_shared
def balance_sheet(period: str, booked: bool, account: str | None, test: bool, form: str, home: Path | None) -> int:
    """Show assets and liabilities at the end of a period in each currency, and how the period changed them.

    Each account in its own direction, in major units, days in UTC; the last line is assets less liabilities. Ends with 1
    when a table it comes from has not been read completely.
    """
    return _statement(
        period, booked, account, test, form, home, ("currency", "account", "type", "opening", "change", "closing"),
        lambda one, major: (
            one.currency, one.account, one.kind, major(one.natural(one.opening)), major(one.change), major(one.natural(one.closing)),
        ),
        kinds=("Assets", "Liabilities"), total="net_assets",
    )  # fmt: skip


@click.command(short_help="Show which months earn what each month billed.")
@_period
@click.option("--until", metavar="MONTH", help="Last month of earning shown by itself; default the last of the period.")
@_shared
def waterfall(period: str, until: str | None, account: str | None, test: bool, form: str, home: Path | None) -> int:
    """Show, for each month of billing in PERIOD, the net revenue billed, the months that earn it, and what is earned later.

    What refunds, disputes, credit notes and voids take back counts in the month it happened. In major units, months in UTC.
    Ends with 1 when a table it comes from has not been read completely.
    """
    from takings.answers.asking import period_of
    from takings.money import Money

    start, end = period_of(period)
    last = period_of(until)[1] if until else end
    with _built(home, account, not test) as (app, code):
        found = app.journal.waterfall(start, end, last, livemode=not test, account=account)
        months = sorted({month for row in found for month in row.by_month})
        rows = [
            (
                one.currency, one.month, Money(one.total, one.currency).major,
                *(Money(one.by_month[m], one.currency).major if m in one.by_month else None for m in months),
                Money(one.later, one.currency).major,
            )
            for one in found
        ]  # fmt: skip
        _write(("currency", "booked", "total", *months, "later"), rows, form)
    return code()


def _statement(
    period: str,
    booked: bool,
    account: str | None,
    test: bool,
    form: str,
    home: Path | None,
    columns: Sequence[str],
    row: Callable[[Any, Callable[[int], Any]], tuple[Any, ...]],
    kinds: Sequence[str] = (),
    total: str = "",
) -> int:
    """Write one line an account; with a total, the last line of a currency sums them, what is owed or lost negative.

    As booked, the last column is how much of the period's movement corrects closed months, in the account's own direction.
    """
    from takings.answers.asking import period_of
    from takings.money import Money

    start, end = period_of(period)
    with _built(home, account, not test) as (app, code):
        whose: dict[str, Any] = {"livemode": not test, "account": account}
        if booked:
            balances = app.journal.booked_balances(app.books, start, end, **whose)
        else:
            balances = app.journal.balances(start, end, **whose)
        found = [one for one in balances if not kinds or one.kind in kinds]
        rows = []
        for currency in dict.fromkeys(one.currency for one in found):

            def major(minor: int, currency: str = currency) -> Any:
                return Money(minor, currency).major

            mine = [one for one in found if one.currency == currency]
            last = (
                (major(one.natural(one.corrections) if kinds else one.corrections),) if booked else () for one in mine
            )
            rows += [(*row(one, major), *more) for one, more in zip(mine, last, strict=True)]
            if total:
                sums = (
                    (
                        sum(one.opening for one in mine),
                        sum(one.closing - one.opening for one in mine),
                        sum(one.closing for one in mine),
                    )
                    if "closing" in columns
                    else (sum(one.credits - one.debits for one in mine),)
                )
                corrected = sum(one.corrections for one in mine) * (1 if "closing" in columns else -1)
                rows.append((currency, total, None, *map(major, (*sums, *((corrected,) if booked else ())))))
        _write((*columns, *(("corrections",) if booked else ())), rows, form)
    return code()


@contextmanager
def _built(home: Path | None, account: str | None, livemode: bool) -> Iterator[tuple[App, Callable[[], int]]]:
    """Lend the parts with the journal up to date, and what says whether a table behind it is short, and ends with 1 then."""
    from takings.answers.explanation import missing_here
    from takings.cli.common import opened, settings_for
    from takings.cli.explain import say_missing
    from takings.metrics import Question

    code = 0
    with opened(settings_for(home=home)) as app:
        app.builder.build(app.zone(), figures=("journal_difference",))
        question = Question("journal_difference", account=account, livemode=livemode)
        missing = missing_here(app, question)
        yield app, lambda: code
    code = say_missing(missing)


def _write(columns: Sequence[str], rows: Any, form: str) -> None:
    from takings.cli.output import print_table, write_csv, write_json_rows

    if form == "csv":
        write_csv(columns, rows, sys.stdout)
    elif form == "json":
        write_json_rows(columns, rows, sys.stdout)
    else:
        print_table(columns, rows)
