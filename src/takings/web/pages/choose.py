"""Choosing one of very many accounts for a report or a table: a page of them at a time, searched by name or id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Request, Response, get

from takings.accounts import Action
from takings.reports import Scope, scopes
from takings.web.context import FromApp, FromReader, local_path, show
from takings.web.pages.reports_frame import CHOOSE, Choice, scope_name

PAGE_ROWS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account, or all of a kind, that can be chosen."""

    name: str
    href: str
    account_id: str | None
    livemode: bool
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoosePage:
    """Accounts to choose from.

    Attributes:
        back: The page it is chosen for.
        total: How many single accounts there are.
        every: Leads back without any choice, where that page can count all accounts; None: it cannot.
        shown: Which of how many are on this page.
        previous: The page before; None: there is none.
        next: The page after; None: there is none.
    """

    back: str
    search: str
    total: int
    every: Choice | None
    rows: tuple[Account, ...]
    shown: str
    previous: str | None
    next: str | None


@get(CHOOSE, opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def choose(app: FromApp, reader: FromReader, request: Request[Any, Any, Any]) -> Response[Any]:
    """Draw the accounts to choose from."""
    words, asked = reader.words, request.query_params
    back, search = local_path(asked.get("back"), "/"), asked.get("q", "")[:200]
    number = max(1, int(asked["page"])) if asked.get("page", "").isdecimal() and len(asked["page"]) < 7 else 1
    found = scopes(app.connections.all(), app.reports.accounts())
    matching = [scope for scope in found if _matches(scope, scope_name(scope, words), search)]
    offset = (number - 1) * PAGE_ROWS
    rows = matching[offset : offset + PAGE_ROWS]
    chosen = dict(parse_qsl(urlsplit(back).query)).get("source")

    def address(page: int) -> str:
        pairs = (("back", back), ("q", search), ("page", page if page > 1 else ""))
        return f"{CHOOSE}?{urlencode([(name, value) for name, value in pairs if value])}"

    last = offset + len(rows)
    page = ChoosePage(
        back=back,
        search=search,
        total=sum(scope.name is not None for scope in found),
        every=Choice("", words("platforms.every_account"), with_source(back, None), chosen is None)
        if urlsplit(back).path.startswith("/tables")
        else None,
        rows=tuple(
            Account(
                name=scope_name(scope, words),
                href=with_source(back, scope.key),
                account_id=scope.accounts[0] if scope.name is not None else None,
                livemode=scope.livemode,
                current=scope.key == chosen,
            )
            for scope in rows
        ),
        shown=words("platforms.shown", first=min(offset + 1, last), last=last, all=len(matching)),
        previous=address(number - 1) if number > 1 else None,
        next=address(number + 1) if last < len(matching) else None,
    )
    return show(reader, "choose", page)


def with_source(address: str, source: str | None) -> str:
    """Return an address within the product that asks for another account; None: for all."""
    parts = urlsplit(address)
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in ("source", "page")]
    if source is not None:
        pairs.append(("source", source))
    return parts.path + (f"?{urlencode(pairs)}" if pairs else "")


def _matches(scope: Scope, name: str, search: str) -> bool:
    sought = search.strip().casefold()
    ids = scope.accounts if scope.name is not None else ()
    return any(sought in text.casefold() for text in (name, *ids))


routes = [choose]
