"""The books: Stripe's own reports made from what is here, and whether months tie."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath, QueryParameter

from takings.accounts import Action, require
from takings.answers.asking import accounts_of, days_of, require_zone, the_account
from takings.answers.month_end import described
from takings.answers.plain import amount_in, write_csv
from takings.errors import NotFound
from takings.money import Money
from takings.reports import REPORTS, ReportName, Sheet, Span
from takings.warehouse import Scope
from takings.web.api.asking import Code, Test, told, wants_csv
from takings.web.api.door import FromCaller
from takings.web.context import FromApp
from takings.web.pages.rows import send

Period = Annotated[
    str | None, QueryParameter(description="2026-10, or any days 2026-10-01..2026-11-01; default the last month.")
]
Name = Annotated[
    str | None, QueryParameter(description="Name or account (acct_…) of the connection; default the only one.")
]

MOST: Final = 100_000
"""Rows of a report that are given as JSON; a CSV file may have any number."""

_SUMS: Final = ("opening", "gross", "fee", "payouts", "closing", "in_transit")


@get("/reports", opt={"who": Action.EXPORT, "api": True}, sync_to_thread=False, summary="List Stripe's reports")
def reports() -> Response[dict[str, Any]]:
    """List Stripe's own financial reports that can be made from what is here."""
    return told({"reports": list(REPORTS)})


@get(
    "/reports/{name:str}",
    opt={"who": Action.EXPORT, "api": True},
    sync_to_thread=True,
    summary="One of Stripe's reports",
)
def report(
    request: Request[Any, Any, Any],
    app: FromApp,
    name: FromPath[str],
    period: Period = None,
    zone: Annotated[str, QueryParameter(description="IANA name of the zone of the days.")] = "UTC",
    currency: Code = None,
    account: Name = None,
    itemized: Annotated[bool, QueryParameter(description="Every transaction instead of sums.")] = False,
) -> Response[Any]:
    """Make one of Stripe's financial reports, with Stripe's columns: as JSON, or as CSV to whoever accepts that."""
    require_zone(zone)
    kind = _report(name)
    connection = the_account(app, account)
    start, end = days_of(app, period)
    scope = Scope(connection.account_id, connection.livemode)
    span = Span(scope=scope, start=start, end=end, zone=zone, currency=currency and currency.lower())
    sheet = app.stripe_reports.sheet(kind, span, itemized=itemized)
    lacking = app.month_end.lacking(connection, datetime(end.year, end.month, end.day, tzinfo=UTC))
    if wants_csv(request.headers.get("accept", "")):
        file = send(sheet, "csv")
        file.headers["X-Takings-Missing"] = str(len(lacking))
        return file
    rows, cut = _rows(sheet)
    return told(
        {
            "report": name,
            "account": connection.account_id,
            "start": start,
            "end": end,
            "zone": zone,
            "columns": [column.key for column in sheet.columns],
            "rows": rows,
            "truncated": cut,
            "missing": [{"table": connection.name, "reason": one.sentence} for one in lacking],
        }
    )


@get("/month-end", opt={"who": Action.VIEW_REPORTS, "api": True}, sync_to_thread=True, summary="Whether a month ties")
def month_end(
    request: Request[Any, Any, Any],
    app: FromApp,
    caller: FromCaller,
    period: Period = None,
    currency: Code = None,
    account: Name = None,
    test: Test = False,
) -> Response[Any]:
    """Say for each account and currency whether opening, activity and payouts make Stripe's closing balance, and which rows do not tie: as JSON, or one line a statement as CSV."""
    start, end = days_of(app, period)
    found = [
        described(one)
        for connection in accounts_of(app, account, test)
        for one in app.month_end.statements(connection, start, end).values()
        if currency is None or one.currency == currency.lower()
    ]
    if not wants_csv(request.headers.get("accept", "")):
        return told({"statements": found})
    require(caller, Action.EXPORT)
    names = (
        "account",
        "livemode",
        "connection",
        "currency",
        "exponent",
        "start",
        "end",
        "state",
        *_SUMS,
        "rows",
        "known_at",
    )
    to = io.StringIO(newline="")
    write_csv(names, ([one[name] for name in names] for one in found), to)
    return Response(
        content=to.getvalue().encode(), media_type="text/csv", headers={"Cache-Control": "no-store", "Vary": "Accept"}
    )


def _report(name: str) -> ReportName:
    for known in REPORTS:
        if name == known:
            return known
    raise NotFound(
        "api.no_report", f"There is no such report. There are: {', '.join(REPORTS)}.", names=", ".join(REPORTS)
    )


def _rows(sheet: Sheet) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows of a list by column, and whether there are more; amounts in minor units."""
    found: list[dict[str, Any]] = []
    for row in sheet.rows:
        if len(found) == MOST:
            return found, True
        found.append({column.key: _cell(value) for column, value in zip(sheet.columns, row, strict=True)})
    return found, False


def _cell(value: Any) -> Any:
    return {"amount": value.minor, **amount_in(value.currency, "money")} if isinstance(value, Money) else value


routes: Final = [reports, report, month_end]
