"""Stripe's objects: the tables with their freshness, their columns, and their rows page by page."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from takings.accounts import Action
from takings.answers.tables import cursor_of, described, key_of, of
from takings.errors import Invalid, NotFound
from takings.web.api.asking import Account, told
from takings.web.context import FromApp

MOST: Final = 1_000
"""Rows in one answer."""

Livemode = Annotated[
    bool | None, QueryParameter(description="Only live data, or only that of sandboxes; default both.")
]

_SEE: Final = {"who": Action.SEE_TABLES, "api": True}


@get("/tables", opt=_SEE, sync_to_thread=True, summary="List tables")
def tables(app: FromApp) -> Response[dict[str, Any]]:
    """List every table with its rows and how fresh it is."""
    return told({"tables": [described(table) for table in of(app).all()]})


@get("/tables/{name:str}", opt=_SEE, sync_to_thread=True, summary="A table and its columns")
def table(app: FromApp, name: FromPath[str]) -> Response[dict[str, Any]]:
    """Return how full and fresh a table is, and its columns with Stripe's description of each."""
    columns = [
        {"name": one.name, "type": one.type, "kind": one.kind, "description": one.description}
        for one in of(app).columns(name)
    ]
    return told({**described(of(app).summary(name)), "columns": columns})


@get("/tables/{name:str}/rows", opt=_SEE, sync_to_thread=True, summary="Rows of a table")
def rows(
    app: FromApp,
    name: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="Most rows.")] = 100,
    after: Annotated[str | None, QueryParameter(description="Where to go on: next of the page before.")] = None,
    account: Account = None,
    livemode: Livemode = None,
) -> Response[dict[str, Any]]:
    """Return rows in the order of their ids, also those that Stripe has deleted since (_deleted_at is set)."""
    found, following = of(app).page(name, limit, after=key_of(after), account=account, livemode=livemode)
    return told({"table": name, "rows": found, "next": cursor_of(following)})


@get("/tables/{name:str}/rows/{id:str}", opt=_SEE, sync_to_thread=True, summary="One row")
def row(
    app: FromApp, name: FromPath[str], id: FromPath[str], account: Account = None, livemode: Livemode = None
) -> Response[dict[str, Any]]:
    """Return the row of one object, as it stood last. Ids that a company chose itself may be there once an account."""
    found, more = of(app).page(name, 1, account=account, livemode=livemode, id_=id)
    if not found:
        raise NotFound("reports.no_row", "There is no such row: it may not have been loaded yet.")
    if more is not None:
        raise Invalid("api.which_row", "Several accounts have an object with this id: give account and livemode.")
    return told({"table": name, "row": found[0]})


routes: Final = [tables, table, rows, row]
