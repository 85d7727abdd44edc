"""``takings query``: SQL over the warehouse, read-only, also while the product runs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option

if TYPE_CHECKING:
    from takings.answers.query import Dialect
    from takings.reports import Missing
    from takings.warehouse import Among, Warehouse

TABLE_ROWS = 1000


@click.command(short_help="Ask the warehouse in SQL.")
@click.argument("sql")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "parquet"]),
    help="How the answer is written; default by the ending of --output, else table.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Print at most this many rows; default {TABLE_ROWS} for a table and all of them otherwise.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file and not to standard output.",
)
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "sigma"]),
    default="duckdb",
    show_default=True,
    help="The SQL it is written in: DuckDB's, or that of Stripe Sigma (Trino's, with Sigma's tables).",
)
@click.option("--account", metavar="ACCT", help="Sigma's tables show only this account of Stripe.")
@click.option("--test", is_flag=True, help="Sigma's tables show data of sandboxes instead of live data.")
@home_option
def query(
    sql: str,
    form: str | None,
    as_json: bool,
    limit: int | None,
    output: Path | None,
    dialect: Dialect,
    account: str | None,
    test: bool,
    home: Path | None,
) -> int:
    """Ask the warehouse in SQL. SQL is a SELECT, or - to read it from standard input.

    The tables are in the schema stripe: `takings query "SELECT count(*) FROM stripe.charges"`. Queries from Stripe Sigma
    run as they are: `takings query --dialect sigma "select count(*) from charges"`. They end with 1 when a table has not
    been read completely.
    """
    from takings import catalog
    from takings.answers.query import as_asked, asked, is_of_sigma
    from takings.cli.common import opened, settings_for
    from takings.cli.explain import INCOMPLETE
    from takings.errors import Invalid
    from takings.warehouse import Warehouse

    form = "json" if as_json else form or _form_of(output)
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise Invalid("query.parquet_to_screen", "Parquet is not for the screen: name a file with --output.")
    if limit is None and form == "table":
        limit = TABLE_ROWS
    statement = sys.stdin.read() if sql == "-" else sql
    settings = settings_for(home=home)
    missing: tuple[Missing, ...] = ()
    if is_of_sigma(statement, dialect) or account or test:
        with opened(settings) as app:
            question = asked(app, statement, dialect, account, test=test)
            with as_asked(dialect):
                rows, more = _write(app.warehouse, question.sql, form, limit, output, question.among)
            missing = question.missing
    else:
        with Warehouse.open(settings, catalog.load()) as warehouse:
            rows, more = _write(warehouse, statement, form, limit, output)
    for lack in missing:
        click.echo(f"Not all of {lack.where} is here: {lack.reason}", err=True)
    if more:
        click.echo(f"Only the first {rows:,} rows; there are more (--limit).", err=True)
    elif output is not None:
        click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} written to {output}.", err=True)
    return INCOMPLETE if any(lack.short for lack in missing) else 0


def _form_of(output: Path | None) -> str:
    suffix = "" if output is None else output.suffix.lower().removeprefix(".")
    return suffix if suffix in ("json", "csv", "parquet") else "table"


def _write(
    warehouse: Warehouse, sql: str, form: str, limit: int | None, output: Path | None, whose: Among | None = None
) -> tuple[int, bool]:
    """Write the answer, in pieces where the form allows it.

    Returns:
        How many rows were written, and whether there are more.

    Raises:
        Misconfigured: The file cannot be written.
    """
    from takings.answers.plain import distinct
    from takings.cli import output as out
    from takings.errors import Misconfigured
    from takings.warehouse import EVERYBODY

    whose = whose or EVERYBODY
    with ExitStack() as stack:
        if form == "parquet":
            table = warehouse.arrow(sql, among=whose)
            columns, rows = None, None
        else:
            columns, batches = stack.enter_context(warehouse.stream(sql, among=whose))
            rows = Counted(batches, limit)
            names = distinct([column.name for column in columns])
        try:
            if rows is None:
                import pyarrow.parquet as pq

                more = limit is not None and table.num_rows > limit
                table = table.slice(0, limit).rename_columns(distinct(table.column_names))
                pq.write_table(table, sys.stdout.buffer if output is None else output, compression="zstd")
                return table.num_rows, more
            to = sys.stdout if output is None else stack.enter_context(output.open("w", encoding="utf-8", newline=""))
            writer = {"json": out.write_json_rows, "csv": out.write_csv, "table": out.print_table}[form]
            writer(names, rows, to)
            to.flush()
            return rows.count, rows.more
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Misconfigured(
                "query.output",
                f"{output or 'Standard output'} cannot be written: {error.strerror}.",
                path=str(output),
            ) from error


class Counted:
    """Rows one by one out of batches, counted, up to a limit.

    Args:
        batches: Lists of rows.
        limit: Most rows given; None: all.

    Attributes:
        count: How many rows have been given.
        more: True when the limit left some out.
    """

    def __init__(self, batches: Iterable[list[tuple[Any, ...]]], limit: int | None) -> None:
        self._batches, self._limit = batches, limit
        self.count, self.more = 0, False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for batch in self._batches:
            for row in batch:
                if self.count == self._limit:
                    self.more = True
                    return
                self.count += 1
                yield row
