"""SQL over the warehouse, as ``takings query`` answers it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Request, Response, post
from litestar.params import JSONBody
from msgspec import Meta

from takings.accounts import Action
from takings.answers.explanation import lack
from takings.answers.plain import distinct, write_csv
from takings.answers.query import ASKED_ROWS, MOST_ROWS, Dialect, answered
from takings.web.api.asking import told, wants_csv
from takings.web.context import FromApp


@dataclass(frozen=True, slots=True)
class Query:
    """A question in SQL.

    Attributes:
        sql: One SELECT.
        dialect: DuckDB's SQL over the schemas stripe, raw and metrics, or Stripe Sigma's over Sigma's tables.
        limit: Most rows.
        account: Sigma's tables show only this account.
        test: Sigma's tables show data of sandboxes instead of live data.
    """

    sql: Annotated[str, Meta(min_length=1, max_length=100_000)]
    dialect: Dialect = "duckdb"
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = ASKED_ROWS
    account: str | None = None
    test: bool = False


@post(
    "/query",
    opt={"who": Action.SEE_TABLES, "api": True},
    status_code=200,
    sync_to_thread=True,
    summary="Ask in SQL",
)
def query(request: Request[Any, Any, Any], app: FromApp, data: JSONBody[Query]) -> Response[Any]:
    """Answer one SELECT as JSON, or as CSV to whoever accepts that. It says when there are more rows than were asked for."""
    found = answered(app, data.sql, data.dialect, data.limit, data.account, test=data.test)
    names = distinct([column.name for column in found.rows.columns])
    if wants_csv(request.headers.get("accept", "")):
        to = io.StringIO(newline="")
        write_csv(names, found.rows.rows, to)
        said = {"X-Takings-Truncated": str(found.rows.truncated).lower(), "X-Takings-Missing": str(len(found.missing))}
        return Response(
            content=to.getvalue().encode(),
            media_type="text/csv",
            headers={"Cache-Control": "no-store", "Vary": "Accept", **said},
        )
    return told(
        {
            "columns": [
                {"name": name, "type": column.type} for name, column in zip(names, found.rows.columns, strict=True)
            ],
            "rows": [dict(zip(names, row, strict=True)) for row in found.rows.rows],
            "truncated": found.rows.truncated,
            "seconds": round(found.seconds, 3),
            "missing": [lack(one) for one in found.missing],
        }
    )


routes: Final = [query]
