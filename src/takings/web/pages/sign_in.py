"""Signing in and out, the choice of language and theme, and the sign that the server lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.middleware.rate_limit import RateLimitConfig

from takings.accounts import THEMES, Person
from takings.errors import Invalid, NotAllowed
from takings.web.context import (
    LOCALE_COOKIE,
    THEME_COOKIE,
    App,
    FromApp,
    FromForm,
    FromReader,
    Who,
    go,
    local_path,
    show,
)
from takings.web.security import cookie, session_cookie
from takings.words import LOCALES

_YEAR_S: Final = 31_536_000
_SESSION_S: Final = 30 * 86_400


def _address_of(request: Request[Any, Any, Any]) -> str:
    return request.client.host if request.client else "unknown"


throttle = RateLimitConfig(rate_limit=("minute", 20), identifier_for_request=_address_of, set_rate_limit_headers=False)
"""Twenty tries a minute from one address, over all pages that check a password; each account has its own lock too."""


def opened(app: App, request: Request[Any, Any, Any], person: Person, instead_of: str | None) -> Cookie:
    """Open a session and return the cookie that carries its new token.

    Args:
        app: The program.
        request: Names the browser.
        person: Who signed in.
        instead_of: The token of a session to close with it; None: there was none.
    """
    token = app.sessions.open(person, request.headers.get("user-agent", ""), instead_of=instead_of)
    return cookie(app.settings, session_cookie(app.settings), token, max_age_s=_SESSION_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """The sign-in form.

    Attributes:
        next: Where the reader wanted to go.
        email: What was typed.
        error: Why it did not work, in the reader's language.
    """

    next: str
    email: str = ""
    error: str | None = None


@get("/sign-in", opt={"who": Who.PUBLIC}, sync_to_thread=False)
def ask(request: Request[Any, Any, Any], reader: FromReader) -> Response[Any]:
    """Show the form; whoever is signed in already goes on."""
    following = local_path(request.query_params.get("next"))
    if reader.person is not None:
        return go(following)
    return show(reader, "sign_in", SignInPage(next=following))


@post("/sign-in", opt={"who": Who.PUBLIC}, sync_to_thread=True, middleware=[throttle.middleware], status_code=200)
def enter(
    request: Request[Any, Any, Any],
    app: FromApp,
    reader: FromReader,
    form: FromForm,
) -> Response[Any]:
    """Check address and password and open a new session."""
    following, email = local_path(form.get("next")), form.get("email", "")
    try:
        person = app.people.authenticate(email, form.get("password", ""))
    except (Invalid, NotAllowed) as error:
        page = SignInPage(next=following, email=email, error=reader.words.error(error))
        return show(reader, "sign_in", page, status=error.http_status)
    return go(following, cookies=(opened(app, request, person, reader.token),))


@post("/sign-out", opt={"who": Who.PUBLIC}, sync_to_thread=True, status_code=200)
def leave(app: FromApp, reader: FromReader) -> Response[Any]:
    """Close the session."""
    if reader.token is not None:
        app.sessions.close(reader.token)
    return go("/sign-in", cookies=(cookie(app.settings, session_cookie(app.settings), "", max_age_s=0),))


@post("/preferences", opt={"who": Who.PUBLIC}, sync_to_thread=True, status_code=200)
def prefer(
    app: FromApp,
    reader: FromReader,
    form: FromForm,
) -> Response[Any]:
    """Change language or theme: a person's own, or this browser's while nobody is signed in."""
    locale, theme = form.get("locale"), form.get("theme")
    if reader.person is not None:
        app.people.set_preferences(reader.person, locale=locale, theme=theme)
    kept = [
        cookie(app.settings, name, value, max_age_s=_YEAR_S)
        for name, value, offered in ((LOCALE_COOKIE, locale, LOCALES), (THEME_COOKIE, theme, THEMES))
        if value in offered and value is not None
    ]
    return go(local_path(form.get("next")), cookies=tuple(kept))


routes = [ask, enter, leave, prefer]
