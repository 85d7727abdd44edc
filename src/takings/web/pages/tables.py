"""The tables: every one with its rows and freshness, then one with its columns explained, its newest rows, and its file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.accounts import Action
from takings.connections import Reach
from takings.errors import NotFound
from takings.reports import Scope, Tables, TableSummary, in_stripe, scopes
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.choose import with_source
from takings.web.pages.connections_reach import reach
from takings.web.pages.home import Badge, Exports
from takings.web.pages.reports_frame import FEW, Choice, choosing, few, scope_name
from takings.web.pages.rows import send
from takings.words import Words

_SEE: Final = {"who": Action.SEE_TABLES}
_CELL: Final = 120
_TONES: Final[dict[str, Badge]] = {
    "running": "busy",
    "partial": "warn",
    "waiting": "quiet",
    "complete": "good",
    "forbidden": "warn",
    "unavailable": "quiet",
    "none": "quiet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One table in the list.

    Attributes:
        rows: Rows of all connections together; ``None``: not counted yet.
        complete_as_of: Everything Stripe held at this moment is here; ``None``: not yet.
        reason: Why it is not complete, in the reader's language.
    """

    name: str
    object: str
    href: str
    rows: int | None
    rows_text: str
    columns: int
    state: str
    state_text: str
    tone: Badge
    complete_as_of: datetime | None
    fresh_text: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picker:
    """The choice of the account whose rows are shown; all at first.

    Attributes:
        more: Page on which one of all accounts can be chosen; None: ``choices`` are all.
    """

    label: str
    choices: tuple[Choice, ...]
    more: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesPage:
    """Every table: those with rows (or about to have some), those that may not be read, and the others."""

    filled: tuple[TableRow, ...]
    filled_title: str
    forbidden: tuple[TableRow, ...]
    forbidden_title: str
    empty: tuple[TableRow, ...]
    empty_title: str
    reaches: tuple[Reach, ...]
    picker: Picker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRow:
    """One column of a table.

    Attributes:
        description: What it means; ``ours`` tells our columns, described in the reader's language, from Stripe's.
    """

    name: str
    type: str
    kind: str
    description: str
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """One table.

    Attributes:
        shown: The columns of the preview: those that hold something in it.
        preview: The newest rows, each value as text, cut to what a cell can show.
        hidden: Says how many columns are empty in all of them; empty where none is.
    """

    table: TableRow
    lead: str
    columns: tuple[ColumnRow, ...]
    shown: tuple[str, ...]
    preview: tuple[tuple[str, ...], ...]
    preview_lead: str
    hidden: str
    exports: Exports
    back: str
    picker: Picker | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """One row of a table.

    Attributes:
        stripe: The object in Stripe's dashboard.
        deleted: Says since when Stripe has it no more; empty where it has.
        fields: What it holds, as (name, value, meaning); empty ones are left out.
    """

    table: str
    id: str
    back: str
    stripe: str | None
    deleted: str
    fields: tuple[tuple[str, str, str], ...]


@get("/tables", opt=_SEE, sync_to_thread=True)
def tables(app: FromApp, reader: FromReader, request: Request[Any, Any, Any]) -> Response[Any]:
    """Show every table, of all accounts or of some."""
    every, scope = _scope(app, request)
    found = [_row(reader.words, reader.now, table, scope) for table in _tables(app).all(scope)]
    filled = tuple(row for row in found if row.rows or row.state in ("running", "partial"))
    forbidden = tuple(row for row in found if not row.rows and row.state == "forbidden")
    others = tuple(row for row in found if row not in filled and row not in forbidden)
    page = TablesPage(
        filled=filled,
        filled_title=reader.words("reports.tables_filled", n=len(filled)),
        forbidden=forbidden,
        forbidden_title=reader.words("reports.tables_forbidden", n=len(forbidden)),
        empty=others,
        empty_title=reader.words("reports.tables_empty", n=len(others)),
        reaches=reach(app, reader.person),
        picker=_picker(reader, every, scope),
    )
    return show(reader, "tables", page)


@get("/tables/{name:str}", opt=_SEE, sync_to_thread=True)
def table(app: FromApp, reader: FromReader, request: Request[Any, Any, Any], name: FromPath[str]) -> Response[Any]:
    """Show one table, of all accounts or of some."""
    return show(reader, "table", table_page(app, reader, name, *_scope(app, request)))


@get("/tables/{name:str}/rows/{id:str}", opt=_SEE, sync_to_thread=True)
def row(app: FromApp, reader: FromReader, name: FromPath[str], id: FromPath[str]) -> Response[Any]:
    """Show one row of a table, as Stripe's object stood last."""
    columns = _tables(app).columns(name)
    found = _tables(app).row(name, id)
    page = RowPage(
        table=name,
        id=id,
        back=f"/tables/{name}",
        stripe=in_stripe(app.settings.stripe_dashboard_base, id, livemode=bool(found["_livemode"])),
        deleted=reader.words("reports.row_deleted", moment=reader.words.moment(found["_deleted_at"]))
        if found["_deleted_at"]
        else "",
        fields=tuple(
            (
                one.name,
                _whole(found[one.name]),
                reader.words(f"reports.column.{one.name}") if one.kind == "own" else one.description,
            )
            for one in columns
            if found[one.name] is not None
        ),
    )
    return show(reader, "row", page)


@get("/tables/{name:str}/export/{kind:str}", opt=_SEE, sync_to_thread=True)
def export_table(
    app: FromApp, reader: FromReader, request: Request[Any, Any, Any], name: FromPath[str], kind: FromPath[str]
) -> Response[Any]:
    """Send a whole table as a file, of all accounts or of some. Moments are in the company's zone."""
    return send(_tables(app).sheet(name, reader.zone, _scope(app, request)[1]), kind)


def table_page(
    app: App, reader: Reader, name: str, every: tuple[Scope, ...] = (), scope: Scope | None = None
) -> TablePage:
    """Put the page of a table together.

    Args:
        app: The assembled program.
        reader: For whom.
        name: Which table.
        every: The accounts that can be chosen.
        scope: Those that are; None: all.

    Raises:
        NotFound: There is no such table.
    """
    words, shelf = reader.words, _tables(app)
    summary = shelf.summary(name, scope)
    preview = shelf.preview(name, scope)
    columns = shelf.columns(name)
    filled = [at for at in range(len(columns)) if any(row[at] is not None for row in preview)]
    return TablePage(
        table=_row(words, reader.now, summary, scope),
        lead=words("reports.table_lead", object=summary.object),
        columns=tuple(
            ColumnRow(
                name=column.name,
                type=column.type,
                kind=column.kind,
                description=words(f"reports.column.{column.name}") if column.kind == "own" else column.description,
                ours=column.kind == "own",
            )
            for column in columns
        ),
        shown=tuple(columns[at].name for at in filled),
        preview=tuple(tuple(cell(row[at]) for at in filled) for row in preview),
        preview_lead=words("reports.table_preview_lead", n=len(preview)),
        hidden=words("reports.table_hidden", n=len(columns) - len(filled)) if len(filled) < len(columns) else "",
        exports=Exports(
            name,
            with_source(f"/tables/{name}/export/csv", _key(scope)),
            with_source(f"/tables/{name}/export/excel", _key(scope)),
        ),
        back=with_source("/tables", _key(scope)),
        picker=_picker(reader, every, scope),
    )


def _scope(app: App, request: Request[Any, Any, Any]) -> tuple[tuple[Scope, ...], Scope | None]:
    """Return the accounts that can be chosen, and those that the address asks for; None: all.

    Raises:
        NotFound: It asks for accounts that are not there: rows of others are never shown in their place.
    """
    found = scopes(app.connections.all(), app.reports.accounts())
    wanted = request.query_params.get("source")
    if not wanted:
        return found, None
    scope = next((one for one in found if one.key == wanted), None)
    if scope is None:
        raise NotFound("reports.no_source", "This account is not here (any more): choose another one.")
    return found, scope


def _key(scope: Scope | None) -> str | None:
    return None if scope is None else scope.key


def _picker(reader: Reader, every: tuple[Scope, ...], scope: Scope | None) -> Picker | None:
    words = reader.words
    if len(every) < 2:
        return None
    all_of_them = Choice("", words("platforms.every_account"), with_source(reader.here, None), scope is None)
    return Picker(
        label=words("platforms.every_account") if scope is None else scope_name(scope, words),
        choices=(
            all_of_them,
            *(
                Choice(one.key, scope_name(one, words), with_source(reader.here, one.key), one == scope)
                for one in few(every, scope)
            ),
        ),
        more=choosing(reader.here) if len(every) > FEW else None,
    )


def _tables(app: App) -> Tables:
    return Tables(app.warehouse, app.catalog, app.store)


def _row(words: Words, now: datetime, table: TableSummary, scope: Scope | None) -> TableRow:
    complete = table.complete_as_of
    return TableRow(
        name=table.name,
        object=table.object,
        href=with_source(f"/tables/{table.name}", _key(scope)),
        rows=table.rows,
        rows_text="–" if table.rows is None else words.number(table.rows),
        columns=table.columns,
        state=table.state,
        state_text=words(f"reports.table_state.{table.state}"),
        tone=_TONES[table.state],
        complete_as_of=complete,
        fresh_text=f"{words.moment(complete)} · {words.ago(complete, now)}" if complete else "",
        reason=words.reason(table.reason_code, table.reason) if table.reason else None,
    )


def cell(value: object) -> str:
    """Return a value as a cell shows it, cut to what one can hold."""
    text = _whole(value)
    return text if len(text) <= _CELL else text[:_CELL] + "…"


def _whole(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


routes = [tables, table, row, export_table]
