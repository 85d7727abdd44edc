"""Admin > People: who may come in and as what, invitations by link, and accepting one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.accounts import ROLES, Action, Invitation, Person
from takings.accounts.passwords import SHORTEST
from takings.errors import Invalid
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, Who, go, show
from takings.web.pages.profile import Token, tokens_of
from takings.web.pages.sign_in import opened, throttle

_ADMIN = {"who": Action.MANAGE_PEOPLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """Everybody, the open invitations, and the form to invite.

    Attributes:
        you: Id of the reader.
        link: Address of an invitation made just now: it is shown this once.
        link_email: For whom.
        tokens: Everybody's tokens of the API, the newest first.
        error: Why inviting did not work, in the reader's language.
    """

    people: tuple[Person, ...]
    invitations: tuple[Invitation, ...]
    tokens: tuple[Token, ...]
    roles: tuple[str, ...]
    you: str
    email: str = ""
    role: str = "standard"
    link: str | None = None
    link_email: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationPage:
    """The form by which an invited person makes their account.

    Attributes:
        email: Whom the invitation is for.
        least: Characters a password has at least.
        error: Why it did not work, in the reader's language.
    """

    email: str
    role: str
    company: str
    name: str = ""
    least: int = SHORTEST
    error: str | None = None


@get("/admin/people", opt=_ADMIN, sync_to_thread=True)
def people(app: FromApp, reader: FromReader) -> Response[Any]:
    """Show everybody."""
    return show(reader, "people", _page(app, reader))


@post("/admin/people/invite", opt=_ADMIN, sync_to_thread=True, status_code=200)
def invite(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Make an invitation and show its link, this once."""
    email, role = form.get("email", ""), form.get("role", "")
    try:
        token = app.people.invite(reader.signed_in, email, role)
    except Invalid as error:
        page = _page(app, reader, email=email, role=role, error=reader.words.error(error))
        return show(reader, "people", page, status=error.http_status)
    link = f"{app.settings.public_url}/invitation/{token}"
    return show(reader, "people", _page(app, reader, link=link, link_email=email.strip().lower()))


@post("/admin/people/{person_id:str}/role", opt=_ADMIN, sync_to_thread=True, status_code=200)
def change_role(app: FromApp, reader: FromReader, form: FromForm, person_id: FromPath[str]) -> Response[Any]:
    """Give somebody another role."""
    return _done(
        lambda: app.people.change_role(reader.signed_in, person_id, form.get("role", "")), "accounts.role_changed"
    )


@post("/admin/people/{person_id:str}/disable", opt=_ADMIN, sync_to_thread=True, status_code=200)
def disable(app: FromApp, reader: FromReader, person_id: FromPath[str]) -> Response[Any]:
    """Bar somebody from signing in."""
    return _done(lambda: app.people.disable(reader.signed_in, person_id), "accounts.person_disabled")


@post("/admin/people/{person_id:str}/enable", opt=_ADMIN, sync_to_thread=True, status_code=200)
def enable(app: FromApp, reader: FromReader, person_id: FromPath[str]) -> Response[Any]:
    """Let somebody sign in again."""
    return _done(lambda: app.people.enable(reader.signed_in, person_id), "accounts.person_enabled")


@post("/admin/people/invitations/{invitation_id:str}/revoke", opt=_ADMIN, sync_to_thread=True, status_code=200)
def revoke(app: FromApp, reader: FromReader, invitation_id: FromPath[str]) -> Response[Any]:
    """Make an invitation's link worthless."""
    return _done(lambda: app.people.revoke_invitation(reader.signed_in, invitation_id), "accounts.invitation_revoked")


@post("/admin/people/tokens/{token_id:str}/revoke", opt=_ADMIN, sync_to_thread=True, status_code=200)
def revoke_token(app: FromApp, reader: FromReader, token_id: FromPath[str]) -> Response[Any]:
    """Make anybody's token worthless."""
    return _done(lambda: app.tokens.revoke_any(reader.signed_in, token_id), "accounts.token_revoked")


@get("/invitation/{token:str}", opt={"who": Who.PUBLIC}, sync_to_thread=True)
def invited(app: FromApp, reader: FromReader, token: FromPath[str]) -> Response[Any]:
    """Show what the invitation offers."""
    return show(reader, "invitation", _invitation(reader, app.people.invitation(token)))


@post(
    "/invitation/{token:str}",
    opt={"who": Who.PUBLIC},
    sync_to_thread=True,
    middleware=[throttle.middleware],
    status_code=200,
)
def join(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, form: FromForm, token: FromPath[str]
) -> Response[Any]:
    """Make the account and sign in."""
    name = form.get("name", "")
    try:
        person = app.people.accept(token, name, form.get("password", ""), locale=reader.locale)
    except Invalid as error:
        page = _invitation(reader, app.people.invitation(token), name, reader.words.error(error))
        return show(reader, "invitation", page, status=error.http_status)
    return go("/", Flash("success", "accounts.joined"), cookies=(opened(app, request, person, reader.token),))


def _done(act: Any, key: str) -> Response[Any]:
    """Do something to the list and go back to it; what cannot be done is said in a banner there."""
    try:
        act()
    except Invalid as error:
        return go("/admin/people", Flash("error", f"error.{error.code}"))
    return go("/admin/people", Flash("success", key))


def _page(
    app: App,
    reader: Reader,
    *,
    email: str = "",
    role: str = "standard",
    link: str | None = None,
    link_email: str | None = None,
    error: str | None = None,
) -> PeoplePage:
    by = reader.signed_in
    return PeoplePage(
        people=tuple(app.people.list(by)),
        invitations=tuple(app.people.invitations(by)),
        tokens=tokens_of(reader, app.tokens.every(by)),
        roles=ROLES,
        you=by.id,
        email=email,
        role=role,
        link=link,
        link_email=link_email,
        error=error,
    )


def _invitation(reader: Reader, offered: Invitation, name: str = "", error: str | None = None) -> InvitationPage:
    firm = reader.company.name if reader.company else ""
    return InvitationPage(email=offered.email, role=offered.role, company=firm, name=name, error=error)


routes = [people, invite, change_role, disable, enable, revoke, revoke_token, invited, join]
