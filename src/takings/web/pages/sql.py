"""SQL: an editor, the answer with its types, the tables and columns there are, and queries that are kept for all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.accounts import Action
from takings.answers import tables as shelf
from takings.answers.plain import distinct, plain
from takings.answers.query import DIALECTS, Answered, Dialect, answered, streamed
from takings.errors import Invalid, NotAllowed, NotFound, TakingsError, Unavailable
from takings.reports import Column, SavedQuery, Sheet
from takings.reports.tables import kind_of
from takings.warehouse.sigma import load
from takings.web.context import App, Flash, Form, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages.explain import lacking_text
from takings.web.pages.rows import send
from takings.web.pages.tables import cell
from takings.words import Words

SHOWN: Final = 500
"""Rows that the page shows; files have all."""

PATH: Final = "/sql"
_SEE: Final = {"who": Action.SEE_TABLES}
_FIRST: Final[dict[Dialect, str]] = {
    "duckdb": "SELECT currency, count(*) AS charges, sum(amount) AS amount_minor\nFROM stripe.charges\n"
    "WHERE paid AND _deleted_at IS NULL\nGROUP BY currency\nORDER BY charges DESC",
    "sigma": "select currency, count(*) as charges, sum(amount) as amount_minor\nfrom charges\nwhere paid\n"
    "group by currency\norder by charges desc",
}


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of an answer, and whether its values stand at the right."""

    name: str
    type: str
    number: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An answer.

    Attributes:
        rows: Each value as text, cut to what a cell can show; None for no value.
        said: How many rows, and how long it took.
        truncated: Says that there are more; empty where there are not.
        missing: What the tables behind it may lack, a sentence each.
    """

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    said: str
    truncated: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table that can be asked."""

    name: str
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A table's columns, as (name, type, description).

    Attributes:
        full: Its name as it is written in a query.
        href: Its page; None: it has none.
    """

    name: str
    full: str
    href: str | None
    columns: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A query that is kept."""

    query: SavedQuery
    href: str
    said: str
    mine: bool
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlPage:
    """The page.

    Attributes:
        name: Of the saved query that is open; empty where none is.
        error: Why there is no answer, in the reader's language; ``place`` says where in the query.
        filled: Tables with rows; ``others`` those without.
        opened: The table whose columns are shown.
    """

    sql: str
    dialect: Dialect
    name: str
    error: str | None
    place: str | None
    result: Result | None
    filled: tuple[TableName, ...]
    others: tuple[TableName, ...]
    opened: Columns | None
    kept: tuple[Kept, ...]


@get(PATH, opt=_SEE, sync_to_thread=True)
def sql(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the editor, with a saved query in it if one is asked for."""
    given = request.query_params
    if wanted := given.get("query"):
        query = app.queries.get(wanted)
        return show(reader, "sql", _page(app, reader, query.sql, _dialect(query.dialect), name=query.name))
    dialect = _dialect(given.get("dialect"))
    return show(reader, "sql", _page(app, reader, _FIRST[dialect], dialect))


@post(PATH, opt=_SEE, sync_to_thread=True, status_code=200)
def run(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Answer the query, or show a table's columns beside it."""
    text, dialect, name = _text(form), _dialect(form.get("dialect")), form.get("name", "")
    if table := form.get("table"):
        return show(reader, "sql", _page(app, reader, text, dialect, name=name, table=table))
    try:
        found = answered(app, text, dialect, SHOWN)
    except (Invalid, NotFound, Unavailable) as error:
        page = _page(app, reader, text, dialect, name=name, error=error)
        return show(reader, "sql", page, status=error.http_status)
    return show(reader, "sql", _page(app, reader, text, dialect, name=name, found=found))


@post(f"{PATH}/export/{{kind:str}}", opt=_SEE, sync_to_thread=True, status_code=200)
def export_answer(app: FromApp, reader: FromReader, form: FromForm, kind: FromPath[str]) -> Response[Any]:
    """Send the whole answer as a file. Moments are in the company's zone."""
    with streamed(app, _text(form), _dialect(form.get("dialect"))) as (columns, rows):
        names = distinct([column.name for column in columns])
        sheet = Sheet(
            name="takings-query",
            columns=tuple(Column(name, kind_of(one.type)) for name, one in zip(names, columns, strict=True)),
            rows=([_flat(value) for value in row] for row in rows),
            zone=reader.zone,
        )
        return send(sheet, kind)


@post(f"{PATH}/queries", opt=_SEE, sync_to_thread=True, status_code=200)
def save(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Keep the query under a name."""
    text, dialect, name = _text(form), _dialect(form.get("dialect")), form.get("name", "")
    try:
        kept = app.queries.save(reader.signed_in, name, text, dialect)
    except Invalid as error:
        page = _page(app, reader, text, dialect, name=name, error=error)
        return show(reader, "sql", page, status=error.http_status)
    return go(f"{PATH}?query={kept.id}", Flash("success", "sql.saved"))


@post(f"{PATH}/queries/{{query_id:str}}/remove", opt=_SEE, sync_to_thread=True, status_code=200)
def remove(app: FromApp, reader: FromReader, query_id: FromPath[str]) -> Response[Any]:
    """Remove a saved query."""
    try:
        app.queries.remove(reader.signed_in, query_id)
    except NotAllowed as error:
        return go(PATH, Flash("error", f"error.{error.code}"))
    return go(PATH, Flash("success", "sql.removed"))


def _page(
    app: App,
    reader: Reader,
    text: str,
    dialect: Dialect,
    *,
    name: str = "",
    table: str = "",
    found: Answered | None = None,
    error: TakingsError | None = None,
) -> SqlPage:
    filled, others = _sigma_tables() if dialect == "sigma" else _tables(app, reader.words)
    return SqlPage(
        sql=text,
        dialect=dialect,
        name=name,
        error=reader.words.error(error) if error else None,
        place=_place(reader.words, error) if error else None,
        result=_result(reader, found) if found else None,
        filled=filled,
        others=others,
        opened=_columns(app, reader, table, dialect) if table else None,
        kept=tuple(
            Kept(
                query=one,
                href=f"{PATH}?query={one.id}",
                said=reader.words("sql.saved_by", name=one.saved_by, moment=reader.words.moment(one.saved_at)),
                mine=one.is_kept_by(reader.signed_in),
                current=one.name == name,
            )
            for one in app.queries.all()
        ),
    )


def _text(form: Form) -> str:
    """Return the query with the line ends that it was written with: forms send others."""
    return form.get("sql", "").replace("\r\n", "\n")


def _dialect(given: str | None) -> Dialect:
    return next((one for one in DIALECTS if one == given), "duckdb")


def _place(words: Words, error: TakingsError) -> str | None:
    """Return where the fault lies; None where that is not known, or the English sentence says it already."""
    line, column = error.fields.get("at_line"), error.fields.get("at_column")
    if line is None or words.locale == "en":
        return None
    return words("sql.place", line=line, column=column) if column is not None else words("sql.place_line", line=line)


def _result(reader: Reader, found: Answered) -> Result:
    words, rows = reader.words, found.rows
    names = distinct([column.name for column in rows.columns])
    return Result(
        columns=tuple(
            ResultColumn(name, one.type.lower(), kind_of(one.type) == "number")
            for name, one in zip(names, rows.columns, strict=True)
        ),
        rows=tuple(tuple(None if value is None else cell(_flat(value)) for value in row) for row in rows.rows),
        said=words("sql.said", n=len(rows.rows), seconds=words.number(round(Decimal(found.seconds), 2))),
        truncated=words("sql.truncated", n=SHOWN) if rows.truncated else "",
        missing=tuple(lacking_text(reader, one) for one in found.missing),
    )


def _flat(value: Any) -> Any:
    """Return a value as a cell can hold it: nested ones as JSON, moments without a zone as they stand."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(plain(value), ensure_ascii=False)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.isoformat(sep=" ")
    return plain(value) if isinstance(value, bytes | timedelta | UUID) else value


def _tables(app: App, words: Words) -> tuple[tuple[TableName, ...], tuple[TableName, ...]]:
    every = [
        (TableName(name=one.name, rows=words.number(one.rows) if one.rows else ""), bool(one.rows))
        for one in shelf.of(app).all()
    ]
    return tuple(one for one, full in every if full), tuple(one for one, full in every if not full)


def _sigma_tables() -> tuple[tuple[TableName, ...], tuple[TableName, ...]]:
    return tuple(TableName(name=name, rows="") for name in load().available), ()


def _columns(app: App, reader: Reader, name: str, dialect: Dialect) -> Columns:
    """Return a table's columns.

    Raises:
        NotFound: There is no such table.
    """
    if dialect == "sigma":
        table = load().available.get(name)
        if table is None:
            raise NotFound("reports.no_table", "There is no such table: choose one from the list.")
        told = tuple((column, one.type, "") for column, one in table.columns.items() if one.sql)
        return Columns(name=name, full=name, href=None, columns=told)
    return Columns(
        name=name,
        full=f"stripe.{name}",
        href=f"/tables/{name}",
        columns=tuple(
            (
                one.name,
                one.type.lower(),
                reader.words(f"reports.column.{one.name}") if one.kind == "own" else one.description,
            )
            for one in shelf.of(app).columns(name)
        ),
    )


routes = [sql, run, export_answer, save, remove]
