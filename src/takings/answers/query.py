"""SQL of people's own: in which dialect it is asked, whose rows it shows, and what the tables behind it may lack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from takings.app import App
from takings.errors import Invalid, Unavailable
from takings.reports import Missing, missing_from
from takings.reports.sigma import Sigma, among
from takings.warehouse import EVERYBODY, Among, Column, Rows

Dialect = Literal["duckdb", "sigma"]
DIALECTS: Final[tuple[Dialect, ...]] = ("duckdb", "sigma")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question ready for the warehouse.

    Attributes:
        sql: The engine's SQL.
        among: Whose rows Sigma's tables show.
        missing: What the tables behind it may lack; empty where they are not known.
    """

    sql: str
    among: Among
    missing: tuple[Missing, ...]


def asked(app: App, sql: str, dialect: Dialect = "duckdb", account: str | None = None, *, test: bool = False) -> Asked:
    """Make a question of somebody's SQL.

    Args:
        app: The program.
        sql: One SELECT.
        dialect: DuckDB's SQL, or that of Stripe Sigma over Sigma's tables.
        account: Sigma's tables show only this account; None: all.
        test: Sigma's tables show data of sandboxes instead of live data.

    Raises:
        Invalid: It cannot be understood, or chooses among Sigma's tables and names none.
        NotFound: There is no such account.
    """
    if not is_of_sigma(sql, dialect):
        if account or test:
            raise Invalid(
                "sql.not_sigma",
                "An account or test data can be chosen among Sigma's tables only: the query names none.",
            )
        return Asked(sql, EVERYBODY, ())
    whose = among(app.connections.all(), account, test=test)
    if dialect != "sigma":
        return Asked(sql, whose, ())
    read = Sigma(app.store).ask(sql, whose)
    missing = missing_from(app.connections, app.health, read.reads, whose.livemode, whose.accounts)
    return Asked(read.sql, whose, tuple(missing))


def is_of_sigma(sql: str, dialect: Dialect) -> bool:
    """Tell whether a question is asked in Sigma's dialect, or of Sigma's tables in DuckDB's."""
    return dialect == "sigma" or "sigma." in sql.lower()


ASKED_ROWS: Final = 1_000
"""Rows that are given unless more are asked for."""

MOST_ROWS: Final = 10_000
"""Rows that one answer may have in the memory of the web server; a file may have any number."""

SECONDS: Final = 60.0
"""After so long a question to the web server is given up."""

_AT_ONCE = threading.BoundedSemaphore(2)
"""Questions worked on at once, so that pages keep their threads and the engine its memory; others wait, but not for long."""

_IN_LINE = threading.BoundedSemaphore(10)
"""Questions worked on or waiting: each holds one of the server's threads."""

_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer and how it came about.

    Attributes:
        rows: The answer; cut where it is longer than was asked for.
        seconds: How long the warehouse took.
        missing: See :class:`Asked`.
    """

    rows: Rows
    seconds: float
    missing: tuple[Missing, ...]


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one's turn to ask the warehouse on behalf of the web server.

    Raises:
        Unavailable: Too many questions are being worked on.
    """
    busy = Unavailable("sql.busy", "Other queries are being worked on: try again in a moment.")
    if not _IN_LINE.acquire(blocking=False):
        raise busy
    try:
        if not _AT_ONCE.acquire(timeout=_PATIENCE_S):
            raise busy
        try:
            yield
        finally:
            _AT_ONCE.release()
    finally:
        _IN_LINE.release()


def answered(
    app: App, sql: str, dialect: Dialect, limit: int, account: str | None = None, *, test: bool = False
) -> Answered:
    """Answer somebody's SQL within bounds of rows, time and memory.

    Args:
        app: The program.
        sql: One SELECT.
        dialect: See :func:`asked`.
        limit: Most rows.
        account: See :func:`asked`.
        test: See :func:`asked`.

    Raises:
        Invalid: The SQL is wrong, or does more than select from the warehouse.
        NotFound: There is no such account.
        Unavailable: It took too long, too much memory, or others are being answered.
    """
    question = asked(app, sql, dialect, account, test=test)
    with turn(), as_asked(dialect):
        began = app.clock.monotonic()
        rows = app.warehouse.query(question.sql, limit=limit, timeout_s=SECONDS, among=question.among)
        return Answered(rows, app.clock.monotonic() - began, question.missing)


@contextmanager
def streamed(app: App, sql: str, dialect: Dialect) -> Iterator[tuple[tuple[Column, ...], Iterator[tuple[Any, ...]]]]:
    """Answer somebody's SQL row by row, however many there are, for a file: gives the columns and the rows.

    Raises:
        Invalid, NotFound, Unavailable: As :func:`answered`.
    """
    question = asked(app, sql, dialect)
    with (
        turn(),
        as_asked(dialect),
        app.warehouse.stream(question.sql, timeout_s=SECONDS, among=question.among) as (columns, batches),
    ):
        yield columns, (row for batch in batches for row in batch)


@contextmanager
def as_asked(dialect: Dialect) -> Iterator[None]:
    """Leave out where the engine finds fault if it was asked something else than the asker wrote."""
    try:
        yield
    except Invalid as error:
        if dialect == "duckdb" or error.code != "sql.wrong":
            raise
        detail = error.fields["detail"]
        raise Invalid("sql.wrong", f"The warehouse cannot answer this: {detail}", detail=detail) from error
