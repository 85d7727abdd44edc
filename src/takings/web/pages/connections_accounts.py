"""The accounts connected to a platform: a page of them at a time, searched and cut by status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.connections import Connection, Family, connected, families
from takings.errors import NotFound
from takings.web.context import Flash, FromApp, FromReader, go, show
from takings.web.pages.connections_parts import (
    ADMIN,
    HOME,
    FamilyPart,
    SourceRow,
    connections_of,
    family_part,
    source_row,
)

LIST: Final = "/v1/accounts"
"""Path of Stripe's list of connected accounts."""
PAGE_ROWS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One way to cut the list by status."""

    text: str
    tone: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsPage:
    """The accounts connected to a platform.

    Attributes:
        listed: When Stripe's list was looked at last, in words; None: not yet.
        family: All of them, as a whole.
        search: What was searched for.
        status: Status asked for, for the form; empty: all.
        shown: Which of how many are on this page.
        previous: The page before; None: there is none.
        next: The page after; None: there is none.
        left_out: Accounts that were disconnected here and stay out.
    """

    connection: Connection
    listed: str | None
    family: FamilyPart
    search: str
    status: str
    filters: tuple[Filter, ...]
    rows: tuple[SourceRow, ...]
    shown: str
    previous: str | None
    next: str | None
    left_out: tuple[str, ...]


@get(f"{HOME}/{{connection_id:str}}/accounts", opt=ADMIN, sync_to_thread=True)
def accounts(
    app: FromApp, reader: FromReader, request: Request[Any, Any, Any], connection_id: FromPath[str]
) -> Response[Any]:
    """Draw the accounts connected to a platform."""
    service, words = connections_of(app), reader.words
    connection = service.get(connection_id)
    whole = families(app.store, connection_id).get(connection_id)
    if whole is None and not connection.follows_accounts:
        raise NotFound("web.no_page", "There is no such page.")
    family = family_part(connection_id, whole or Family(total=0, counts={}, rows=0, loading=0), words)
    search, status = request.query_params.get("q", "")[:200], request.query_params.get("status", "")
    number = _page_number(request.query_params.get("page", ""))

    def address(**changed: str | int) -> str:
        asked = {"q": search, "status": status, "page": 1, **changed}
        query = {name: value for name, value in asked.items() if value and (name, value) != ("page", 1)}
        return family.href + (f"?{urlencode(query)}" if query else "")

    offset = (number - 1) * PAGE_ROWS
    found = connected(app.store, connection_id, search=search, status=status, limit=PAGE_ROWS, offset=offset)
    if number > 1 and not found.standings:
        return go(address())
    last = offset + len(found.standings)
    filters = [Filter(text=words("platforms.all"), tone="", href=address(status=""), current=not status)]
    filters += [
        Filter(text=one.text, tone=one.tone, href=address(status=one.status), current=one.status == status)
        for one in family.counts
    ]
    page = AccountsPage(
        connection=connection,
        listed=None
        if connection.discovered_at is None
        else words("platforms.listed", ago=words.ago(min(connection.discovered_at, reader.now), reader.now)),
        family=family,
        search=search,
        status=status,
        filters=tuple(filters),
        rows=tuple(source_row(one, reader) for one in found.standings),
        shown=words("platforms.shown", first=min(offset + 1, last), last=last, all=found.matching),
        previous=address(page=number - 1) if number > 1 else None,
        next=address(page=number + 1) if last < found.matching else None,
        left_out=service.left_out(connection_id),
    )
    return show(reader, "connections_accounts", page)


@post(f"{HOME}/{{connection_id:str}}/accounts/follow", opt=ADMIN, sync_to_thread=True)
def follow(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Follow the accounts connected to a platform, those that were left out too."""
    connection = connections_of(app).follow_accounts(reader.signed_in, connection_id)
    return go(f"{HOME}/{connection_id}/accounts", Flash("info", "platforms.followed", {"name": connection.name}))


def _page_number(given: str) -> int:
    return max(1, int(given)) if given.isdecimal() and len(given) < 7 else 1


routes = [accounts, follow]
