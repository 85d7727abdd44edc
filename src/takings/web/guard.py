"""The one guard: who is there, whether a form is genuine, and whether the route's declaration lets this person in."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import BaseRoute

from takings.accounts import Action, Company, Person, Theme, company, require
from takings.alerts import Bell
from takings.errors import NotAllowed
from takings.web.api.door import admit
from takings.web.context import (
    FLASH_COOKIE,
    LOCALE_COOKIE,
    THEME_COOKIE,
    App,
    Elsewhere,
    Reader,
    Who,
    sign_in_path,
    unpack,
)
from takings.web.security import form_token, is_same_origin, session_cookie, visit_cookie
from takings.words import LOCALES, Words

Connection = ASGIConnection[Any, Any, Any, Any]

_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
IDENTITY: Final = "takings.identity"
"""Under this name a request's state keeps who sent it."""
_ALWAYS_OPEN: Final = ("/setup", "/static", "/preferences", "/help")


@dataclass(frozen=True, slots=True)
class Identity:
    """What one look into the store tells about a request.

    Attributes:
        secret: The cookie that this request's forms are bound to: session or visit.
        new_visit: The secret was made just now and has to be set as a cookie.
    """

    person: Person | None
    company: Company | None
    is_set_up: bool
    token: str | None = field(repr=False)
    secret: str = field(repr=False)
    new_visit: bool


def look_up(app: App, connection: Connection) -> Identity:
    """Find out who sends a request, once for each request."""
    known = connection.scope["state"].get(IDENTITY)
    if isinstance(known, Identity):
        return known
    token = connection.cookies.get(session_cookie(app.settings))
    person = app.sessions.who(token) if token else None
    visit = connection.cookies.get(visit_cookie(app.settings), "")
    secret = token if person is not None and token else visit
    identity = Identity(
        person=person,
        company=company(app.store) if app.people.is_set_up() else None,
        is_set_up=app.people.is_set_up(),
        token=token if person is not None else None,
        secret=secret or secrets.token_urlsafe(24),
        new_visit=not secret,
    )
    connection.scope["state"][IDENTITY] = identity
    return identity


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request through to its handler, or not. Routes that are ``signed`` find out themselves who
    sends it; ``bare`` ones ask nothing at all of the store; those of the ``api`` look at tokens and never at cookies.

    Raises:
        Elsewhere: The product is not set up, or a reader has to sign in first.
        NotAllowed: The form is not genuine, or the person's role does not permit the route's action.
    """
    who = handler.opt.get("who")
    app: App = connection.app.state.takings
    if any(map(handler.opt.get, ("static", "signed", "bare"))) or "OPTIONS" in getattr(handler, "http_methods", ()):
        return
    if handler.opt.get("api"):
        await admit(connection, handler)
        return
    identity = await to_thread.run_sync(look_up, app, connection)
    path = connection.url.path
    if not identity.is_set_up and not any(path == p or path.startswith(p + "/") for p in _ALWAYS_OPEN):
        raise Elsewhere("/setup")
    method = connection.scope.get("method", "GET")
    if method not in _SAFE and not handler.opt.get("no_form_token"):
        await _require_genuine(app, identity, connection)
    if who is Who.PUBLIC:
        return
    if identity.person is None:
        if method in _SAFE and not wants_json(connection):
            here = path + (f"?{connection.url.query}" if connection.url.query else "")
            raise Elsewhere(sign_in_path(here))
        raise NotAllowed("web.sign_in_needed", "Sign in first.")
    if isinstance(who, Action):
        require(identity.person, who)


async def _require_genuine(app: App, identity: Identity, connection: Connection) -> None:
    headers = connection.headers
    same = is_same_origin(headers.get("origin"), headers.get("sec-fetch-site"), headers.get("host"), app.settings)
    sent = headers.get("x-csrf-token")
    if sent is None and isinstance(connection, Request):
        value = (await connection.form()).get("_csrf")
        sent = value if isinstance(value, str) else None
    if (
        not same
        or sent is None
        or identity.new_visit
        or not secrets.compare_digest(sent.encode(), form_token(identity.secret).encode())
    ):
        raise NotAllowed(
            "web.form_stale", "This form is too old or was not sent by this page: load the page again and retry."
        )


def require_declared(routes: Iterable[BaseRoute]) -> None:
    """Check that every route says who may use it.

    Raises:
        RuntimeError: One does not, so the product must not start.
    """
    silent = [
        f"{'/'.join(sorted(handler.http_methods))} {route.path}"
        for route in routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
        and handler.http_methods != {"OPTIONS"}
        and not isinstance(handler.opt.get("who"), Who | Action)
    ]
    if silent:
        raise RuntimeError(f"These routes do not declare who may use them: {', '.join(silent)}.")


def wants_json(connection: Connection) -> bool:
    """Tell whether the sender is a program: it accepts JSON and not HTML."""
    accept = connection.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def read_for(app: App, connection: Connection) -> Reader:
    """Make the reader of a request."""
    identity = look_up(app, connection)
    person, firm = identity.person, identity.company
    words = Words(_locale(connection, person, firm), firm.time_zone if firm else "UTC")
    query = connection.url.query
    return Reader(
        person=person,
        company=firm,
        words=words,
        theme=_theme(connection, person),
        csrf=form_token(identity.secret),
        path=connection.url.path,
        here=connection.url.path + (f"?{query}" if query else ""),
        now=app.clock.now(),
        flashes=unpack(connection.cookies.get(FLASH_COOKIE), words),
        token=identity.token,
        wants_json=wants_json(connection),
        bell=app.alerts.bell() if person is not None and person.may(Action.SEE_ALERTS) else Bell(),
    )


def _locale(connection: Connection, person: Person | None, firm: Company | None) -> str:
    if person is not None and person.locale:
        return person.locale
    chosen = connection.cookies.get(LOCALE_COOKIE)
    if person is None and chosen in LOCALES:
        return str(chosen)
    return firm.locale if firm else preferred_locale(connection.headers.get("accept-language", ""))


def preferred_locale(header: str) -> str:
    """Return the product's language that a browser's ``Accept-Language`` likes best; English where it likes neither."""
    best, weight = "en", -1.0
    for part in header.split(","):
        name, _, quality = part.strip().partition(";q=")
        try:
            wanted = float(quality or 1)
        except ValueError:
            continue
        short = name.split("-")[0].lower()
        if short in LOCALES and wanted > weight:
            best, weight = short, wanted
    return best


def _theme(connection: Connection, person: Person | None) -> Theme:
    if person is not None:
        return person.theme
    chosen = connection.cookies.get(THEME_COOKIE)
    return "light" if chosen == "light" else "dark" if chosen == "dark" else "auto"
