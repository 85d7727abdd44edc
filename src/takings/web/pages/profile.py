"""One's own account: name, language, theme, password, and where one is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.accounts import THEMES, Session, Sessions
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
class ProfilePage:
    """The reader's own account.

    Attributes:
        least: Characters a password has at least.
        error: Why the password was not changed, in the reader's language.
    """

    name: str
    email: str
    role: str
    locale: str
    theme: str
    themes: tuple[str, ...]
    places: tuple[Place, ...]
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


def _page(app: App, reader: Reader, error: str | None = None) -> ProfilePage:
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
        error=error,
    )


routes = [profile, save, change_password, close, close_others]
