"""One's own account: name, language, theme, password, where one is signed in, and the tokens of one's programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.accounts import MATRIX, ROLES, THEMES, ApiToken, Role, Session, Sessions
from takings.accounts.passwords import SHORTEST
from takings.errors import Invalid, NotAllowed
from takings.web.browser import describe
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, Who, go, show
from takings.web.pages.sign_in import opened, throttle

_MINE = {"who": Who.SIGNED_IN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place where the reader is signed in.

    Attributes:
        browser: Which browser on which system, as far as it told.
        is_here: It is the one in use now.
    """

    session: Session
    browser: str
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token.

    Attributes:
        used: When it was last used, as it is shown.
        ends: Its last day, as it is shown.
        over: It has expired.
    """

    token: ApiToken
    used: str
    ends: str
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """The form that makes a token.

    Attributes:
        roles: What a token may do: what the reader may, and less.
        today: The first day that can be a token's last.
        made: A token that was made just now: shown this once.
        name: What was typed; ``role`` and ``day`` likewise.
        error: Why none was made, in the reader's language.
    """

    roles: tuple[Role, ...]
    today: str
    made: str | None = None
    name: str = ""
    role: str = "read_only"
    day: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePage:
    """The reader's own account.

    Attributes:
        least: Characters a password has at least.
        error: Why the password was not changed, in the reader's language.
        tokens: The reader's own tokens, the newest first.
        making: The form that makes one.
    """

    name: str
    email: str
    role: str
    locale: str
    theme: str
    themes: tuple[str, ...]
    places: tuple[Place, ...]
    tokens: tuple[Token, ...]
    making: Making
    least: int = SHORTEST
    error: str | None = None


@get("/profile", opt=_MINE, sync_to_thread=True)
def profile(app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the reader's own account."""
    return show(reader, "profile", _page(app, reader))


@post("/profile", opt=_MINE, sync_to_thread=True, status_code=200)
def save(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Change name, language and theme."""
    try:
        app.people.rename(reader.signed_in, form.get("name", ""))
        app.people.set_preferences(reader.signed_in, locale=form.get("locale"), theme=form.get("theme"))
    except Invalid as error:
        return go("/profile", Flash("error", f"error.{error.code}"))
    return go("/profile", Flash("success", "accounts.saved"))


@post("/profile/password", opt=_MINE, sync_to_thread=True, middleware=[throttle.middleware], status_code=200)
def change_password(request: Request[Any, Any, Any], app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Change the password, close all other sessions and give this one a new token."""
    person = reader.signed_in
    try:
        app.people.change_password(person, form.get("present", ""), form.get("new", ""))
    except (Invalid, NotAllowed) as error:
        page = _page(app, reader, error=reader.words.error(error))
        return show(reader, "profile", page, status=error.http_status)
    app.sessions.close_all(person)
    return go(
        "/profile",
        Flash("success", "accounts.password_changed"),
        cookies=(opened(app, request, person, reader.token),),
    )


@post("/profile/sessions/{session_id:str}/close", opt=_MINE, sync_to_thread=True, status_code=200)
def close(app: FromApp, reader: FromReader, session_id: FromPath[str]) -> Response[Any]:
    """Sign the reader out somewhere."""
    app.sessions.revoke(reader.signed_in, session_id)
    return go("/profile", Flash("success", "accounts.session_closed"))


@post("/profile/sessions/close-others", opt=_MINE, sync_to_thread=True, status_code=200)
def close_others(app: FromApp, reader: FromReader) -> Response[Any]:
    """Sign the reader out everywhere but here."""
    app.sessions.close_all(reader.signed_in, but=reader.token)
    return go("/profile", Flash("success", "accounts.sessions_closed"))


@post("/profile/tokens", opt=_MINE, sync_to_thread=True, status_code=200)
def make_token(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Make a token and show it, this once."""
    name, role, day = form.get("token_name", ""), form.get("token_role", ""), form.get("token_day", "")
    try:
        made = app.tokens.make(reader.signed_in, name, role, _day(day), reader.zone)
    except Invalid as error:
        making = _making(reader, name=name, role=role, day=day, error=reader.words.error(error))
        return show(reader, "profile", _page(app, reader, making=making), status=error.http_status)
    return show(reader, "profile", _page(app, reader, making=_making(reader, name=name, made=made)))


@post("/profile/tokens/{token_id:str}/revoke", opt=_MINE, sync_to_thread=True, status_code=200)
def revoke_token(app: FromApp, reader: FromReader, token_id: FromPath[str]) -> Response[Any]:
    """Make a token worthless at once."""
    app.tokens.revoke(reader.signed_in, token_id)
    return go("/profile", Flash("success", "accounts.token_revoked"))


def tokens_of(reader: Reader, tokens: Iterable[ApiToken]) -> tuple[Token, ...]:
    """Return tokens as a page shows them."""
    words = reader.words
    return tuple(
        Token(
            token=one,
            used=words.moment(one.used_at) if one.used_at else words("accounts.token_unused"),
            ends=words.day((one.expires_at - timedelta(seconds=1)).astimezone(words.zone).date())
            if one.expires_at
            else words("accounts.token_lasts"),
            over=one.expires_at is not None and one.expires_at <= reader.now,
        )
        for one in tokens
    )


def _day(text: str) -> date | None:
    """Read the last day of a token; none where none is given.

    Raises:
        Invalid: It is no day.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid("reports.day", f"“{text[:40]}” is not a day: write it as 2026-11-30.", value=text[:40]) from error


def _making(reader: Reader, **typed: str) -> Making:
    return Making(
        roles=tuple(role for role in ROLES if MATRIX[role] <= MATRIX[reader.signed_in.role]),
        today=reader.now.astimezone(reader.words.zone).date().isoformat(),
        **typed,
    )


def _page(app: App, reader: Reader, *, making: Making | None = None, error: str | None = None) -> ProfilePage:
    person = reader.signed_in
    here = Sessions.name_of(reader.token) if reader.token else ""
    return ProfilePage(
        name=person.name,
        email=person.email,
        role=person.role,
        locale=reader.locale,
        theme=person.theme,
        themes=THEMES,
        places=tuple(
            Place(session=session, browser=describe(session.user_agent), is_here=session.id == here)
            for session in app.sessions.list(person)
        ),
        tokens=tokens_of(reader, app.tokens.list(person)),
        making=making or _making(reader),
        error=error,
    )


routes = [profile, save, change_password, close, close_others, make_token, revoke_token]
