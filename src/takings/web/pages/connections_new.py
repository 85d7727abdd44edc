"""Adding a data source: choose it, authorize at Stripe or with a key, see what it opens, say yes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any, Final

from litestar import Request, Response, get, post
from litestar.params import FromPath

from takings.clock import require_aware
from takings.connections import (
    Connection,
    Connections,
    Credentials,
    Found,
    ListAccess,
    Pending,
    Probe,
    Source,
    Way,
    key_credentials,
    read_accounts,
    read_key,
)
from takings.errors import Invalid, NotFound, TakingsError
from takings.web.context import App, Flash, Form, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages.connections_parts import (
    ADMIN,
    HOME,
    Problem,
    Wanted,
    connections_of,
    country,
    currency,
    estimate_text,
    humanised,
    key_page,
    problem,
    rounded,
    wanted_permissions,
)

CALLBACK: Final = f"{HOME}/stripe/callback"
_CHOICES: Final = ("all", "24", "12", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesPage:
    """Where data can come from.

    Attributes:
        sample: Sample data is offered.
        problem: Why it could not be started; None: nothing was tried.
    """

    sample: bool
    problem: Problem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPage:
    """The *Stripe authorization* page, for a new connection or for new credentials of an existing one.

    Attributes:
        action: Where its form goes.
        ways: Ways in that are set up.
        way: The one that is chosen.
        key_page: Address of Stripe's page for making a restricted key.
        wanted: Read permissions to give it.
        problem: Why the last attempt failed; None: there was none.
        connection: The connection to re-authenticate; None: a new one.
        account: Accounts that were entered.
    """

    action: str
    ways: tuple[Way, ...]
    way: Way
    key_page: str
    wanted: tuple[Wanted, ...]
    problem: Problem | None
    connection: Connection | None
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryChoice:
    """One possible start of history: ``all``, ``24``, ``12`` (months) or ``date``, and what it costs."""

    value: str
    label: str
    estimate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """One list, and whether it may be read."""

    path: str
    table: str
    access: str
    permission: str
    rows: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPage:
    """What the credentials open, before the person says yes.

    Attributes:
        id: Of the pending connection.
        probe: What was found; None: Stripe is being asked.
        problem: Why it cannot go on, or why the form was refused.
        over: The credentials were thrown away: there is nothing to confirm.
        again: Where to begin again.
        lists: Every list.
        counts: Access to number of lists.
        headroom: Share of Stripe's rate that is left to others, in words.
        others: Further accounts that the same key opens and that are connected too.
        connected: How many accounts are connected to this one and can be followed too; 0: it is no platform.
        follow: They shall be.
    """

    id: str
    probe: Probe | None
    problem: Problem | None = None
    over: bool = False
    again: str = f"{HOME}/new/stripe"
    name: str = ""
    country: str | None = None
    currency: str | None = None
    first_day: str | None = None
    lists: tuple[Readable, ...] = ()
    forbidden: tuple[Readable, ...] = ()
    counts: dict[str, int] | None = None
    history: str = "all"
    day: str = ""
    latest_day: str = ""
    choices: tuple[HistoryChoice, ...] = ()
    headroom: str = ""
    others: tuple[Found, ...] = ()
    connected: int = 0
    follow: bool = True


@get(f"{HOME}/new", opt=ADMIN, sync_to_thread=True)
def sources(app: FromApp, reader: FromReader) -> Response[Any]:
    """Draw the page of sources."""
    return show(reader, "connections_sources", SourcesPage(sample=connections_of(app).offers_sample, problem=None))


@post(f"{HOME}/new/sample", opt=ADMIN, sync_to_thread=True)
def add_sample(app: FromApp, reader: FromReader) -> Response[Any]:
    """Take sample data as the source."""
    service = connections_of(app)
    try:
        return _pend(service, reader, service.sample_credentials(), "sample")
    except TakingsError as error:
        page = SourcesPage(sample=service.offers_sample, problem=problem(error, reader.words))
        return show(reader, "connections_sources", page, status=error.http_status)


@get(f"{HOME}/new/stripe", opt=ADMIN, sync_to_thread=True)
def authorization(app: FromApp, reader: FromReader) -> Response[Any]:
    """Draw the *Stripe authorization* page."""
    return show(reader, "connections_authorization", _authorization_page(app))


@post(f"{HOME}/new/stripe", opt=ADMIN, sync_to_thread=True)
def authorize(app: FromApp, reader: FromReader, form: FromForm, request: Request[Any, Any, Any]) -> Response[Any]:
    """Take a key, or send the person to Stripe."""
    service = connections_of(app)
    try:
        way = _way(form)
        if way != "key":
            address = service.authorization.begin(reader.signed_in, way, _callback(app, request))
            return go(address)
        credentials, others = _typed(form)
        return _pend(service, reader, credentials, "stripe", others)
    except TakingsError as error:
        page = _authorization_page(app, form=form, failed=problem(error, reader.words))
        return show(reader, "connections_authorization", page, status=error.http_status)


@get(f"{HOME}/{{connection_id:str}}/reauthenticate", opt=ADMIN, sync_to_thread=True)
def reauthorization(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Draw the same page for a connection that exists."""
    connection = connections_of(app).get(connection_id)
    return show(reader, "connections_authorization", _authorization_page(app, connection))


@post(f"{HOME}/{{connection_id:str}}/reauthenticate", opt=ADMIN, sync_to_thread=True)
def reauthorize(
    app: FromApp, reader: FromReader, form: FromForm, request: Request[Any, Any, Any], connection_id: FromPath[str]
) -> Response[Any]:
    """Take new credentials for it."""
    service = connections_of(app)
    connection = service.get(connection_id)
    try:
        way = _way(form)
        if way != "key":
            address = service.authorization.begin(reader.signed_in, way, _callback(app, request), connection_id)
            return go(address)
        held = service.credentials(connection_id) if connection.way == "key" else None
        credentials, others = _typed(form, held.account if held is not None else None)
        if others:
            raise Invalid("connections.one_account", "New credentials are for one account: name only that one.")
        service.reauthenticate(reader.signed_in, connection_id, credentials)
    except NotFound:
        raise
    except TakingsError as error:
        page = _authorization_page(app, connection, form=form, failed=problem(error, reader.words))
        return show(reader, "connections_authorization", page, status=error.http_status)
    return go(HOME, Flash("success", "connections.successful"))


@get(CALLBACK, opt=ADMIN, sync_to_thread=True)
def callback(app: FromApp, reader: FromReader, request: Request[Any, Any, Any]) -> Response[Any]:
    """Take the person back from Stripe's consent page."""
    service = connections_of(app)
    query = request.query_params
    try:
        authorized = service.authorization.finish(
            reader.signed_in,
            state=query.get("state") or "",
            code=query.get("code"),
            error=query.get("error"),
        )
        pending_id = service.pend(reader.signed_in, authorized.credentials, reauthenticates=authorized.connection_id)
    except TakingsError as error:
        connection_id = error.fields.get("connection")
        back = f"{HOME}/{connection_id}/reauthenticate" if connection_id else f"{HOME}/new/stripe"
        return go(back, _flash(error, reader))  # elsewhere, so that the code is not left in the address bar
    return go(f"{HOME}/pending/{pending_id}")


@get(f"{HOME}/pending/{{pending_id:str}}", opt=ADMIN, sync_to_thread=True)
def pending(app: FromApp, reader: FromReader, pending_id: FromPath[str]) -> Response[Any]:
    """Draw what the credentials open; while Stripe is being asked, a page that says so and asks."""
    found = connections_of(app).pending(reader.signed_in, pending_id)
    if found.probe is None:
        return show(reader, "connections_pending", PendingPage(id=pending_id, probe=None))
    return show(reader, "connections_pending", _pending_page(app, reader, found, found.probe))


@get(f"{HOME}/pending/{{pending_id:str}}/probe", opt=ADMIN, sync_to_thread=True)
def look(app: FromApp, reader: FromReader, request: Request[Any, Any, Any], pending_id: FromPath[str]) -> Response[Any]:
    """Ask Stripe what the credentials open, and answer with that part of the page (or the page, without scripts)."""
    service = connections_of(app)
    template = "connections_pending_part" if request.headers.get("hx-request") == "true" else "connections_pending"
    again = f"{HOME}/new/stripe"
    try:
        found = service.pending(reader.signed_in, pending_id)
        if found.reauthenticates is not None:
            again = f"{HOME}/{found.reauthenticates}/reauthenticate"
            return _reauthenticate_pending(service, reader, pending_id, found.reauthenticates)
        probe = service.probe_pending(reader.signed_in, pending_id)
    except TakingsError as error:
        gone = error.http_status < 500
        page = PendingPage(id=pending_id, probe=None, problem=problem(error, reader.words), over=gone, again=again)
        return show(reader, template, page)
    return show(reader, template, _pending_page(app, reader, replace(found, probe=probe), probe))


@post(f"{HOME}/pending/{{pending_id:str}}", opt=ADMIN, sync_to_thread=True)
def confirm(app: FromApp, reader: FromReader, form: FromForm, pending_id: FromPath[str]) -> Response[Any]:
    """Say yes."""
    service = connections_of(app)
    found = service.pending(reader.signed_in, pending_id)
    if found.probe is None:
        return go(f"{HOME}/pending/{pending_id}")
    try:
        start_at = _start(form, found.probe, reader)
        follow = form.get("accounts") == "follow"
        service.confirm(reader.signed_in, pending_id, form.get("name", ""), start_at, follow_accounts=follow)
    except Invalid as error:
        page = replace(
            _pending_page(app, reader, found, found.probe),
            problem=problem(error, reader.words),
            name=form.get("name", ""),
            history=form.get("history", "all"),
            day=form.get("day", ""),
            follow=form.get("accounts") == "follow",
        )
        return show(reader, "connections_pending", page, status=error.http_status)
    return go(HOME, Flash("success", "connections.successful"))


@post(f"{HOME}/pending/{{pending_id:str}}/cancel", opt=ADMIN, sync_to_thread=True)
def cancel(app: FromApp, reader: FromReader, pending_id: FromPath[str]) -> Response[Any]:
    """Say no: the credentials are thrown away."""
    connections_of(app).drop_pending(reader.signed_in, pending_id)
    return go(HOME, Flash("info", "connections.canceled"))


def _flash(error: TakingsError, reader: Reader) -> Flash:
    key = f"error.{error.code}"
    fields = {name: value for name, value in error.fields.items() if value is not None}
    return Flash("error", key if reader.words.has(key) else "connections.oauth_failed", fields)


def _reauthenticate_pending(service: Connections, reader: Reader, pending_id: str, connection_id: str) -> Response[Any]:
    """Give a connection the credentials that came back from Stripe; they are used up whatever comes of it."""
    try:
        credentials = service.pending_credentials(reader.signed_in, pending_id)
        service.reauthenticate(reader.signed_in, connection_id, credentials)
    finally:
        service.drop_pending(reader.signed_in, pending_id)
    answer = go(HOME, Flash("success", "connections.successful"))
    if reader.wants_json:
        return answer
    answer.headers["HX-Redirect"] = HOME
    answer.status_code = 200
    return answer


def _pend(
    service: Connections, reader: Reader, credentials: Credentials, source: Source, others: tuple[str, ...] = ()
) -> Response[Any]:
    """Look at credentials and keep them for the person's yes."""
    probe = service.probe(credentials)
    return go(f"{HOME}/pending/{service.pend(reader.signed_in, credentials, probe, source=source, others=others)}")


def _typed(form: Form, known: str | None = None) -> tuple[Credentials, tuple[str, ...]]:
    """Return what was typed: the key for the first account (its own, or a known one, where none is named), and the others."""
    key = read_key(form.get("key", ""))
    first, *others = read_accounts(form.get("account")) or (known,)
    return key_credentials(key, first), tuple(one for one in others if one is not None)


def _way(form: Form) -> Way:
    chosen = form.get("way", "key")
    return "app_oauth" if chosen == "app_oauth" else "connect_oauth" if chosen == "connect_oauth" else "key"


def _callback(app: App, request: Request[Any, Any, Any]) -> str:
    """Return where Stripe sends the person back to: the public address, else the one they came by (their cookie's)."""
    base = app.settings.base_url or f"{request.base_url.scheme}://{request.base_url.netloc}"
    return base.rstrip("/") + CALLBACK


def _authorization_page(
    app: App,
    connection: Connection | None = None,
    *,
    form: Form | None = None,
    failed: Problem | None = None,
) -> AuthorizationPage:
    ways = connections_of(app).authorization.ways()
    preferred: Way = connection.way if connection is not None and connection.way in ways else (*ways[1:], "key")[0]
    return AuthorizationPage(
        action=f"{HOME}/new/stripe" if connection is None else f"{HOME}/{connection.id}/reauthenticate",
        ways=ways,
        way=_way(form) if form is not None else preferred,
        key_page=key_page(app.catalog, app.settings),
        wanted=wanted_permissions(app.catalog),
        problem=failed,
        connection=connection,
        account=(form or {}).get("account", ""),
    )


def _pending_page(app: App, reader: Reader, found: Pending, probe: Probe) -> PendingPage:
    words = reader.words
    counts = dict.fromkeys(("allowed", "forbidden", "unavailable", "unknown"), 0)
    for one in probe.lists:
        counts[one.access] += 1
    lists = tuple(_readable(one, reader) for one in sorted(probe.lists, key=lambda one: (-(one.rows or 0), one.path)))
    labels = {"all": "connections.history_all", "24": "connections.history_24", "12": "connections.history_12"}
    choices = [
        HistoryChoice(value=value, label=words(labels[value]), estimate=estimate_text(estimate, words))
        for value, estimate in zip(("all", "24", "12"), probe.estimates, strict=False)
    ]
    choices.append(HistoryChoice(value="date", label=words("connections.history_date"), estimate=None))
    return PendingPage(
        id=found.id,
        probe=probe,
        name=connections_of(app).suggested_name(probe, found.source),
        country=country(probe.country, words),
        currency=currency(probe.currency, words),
        first_day=None if probe.first_at is None else words.day(probe.first_at.astimezone(words.zone).date()),
        lists=lists,
        forbidden=tuple(one for one in lists if one.access == "forbidden"),
        counts=counts,
        latest_day=reader.now.astimezone(words.zone).date().isoformat(),
        choices=tuple(choices),
        headroom=words.percent(app.settings.headroom, 0),
        others=found.others,
        connected=probe.connected if found.platform else 0,
    )


def _readable(one: ListAccess, reader: Reader) -> Readable:
    rows = None
    if one.rows is not None:
        number = reader.words.number(one.rows if one.exact else rounded(one.rows))
        rows = number if one.exact else reader.words("connections.about", n=number)
    permission = one.permission or humanised(one.table)
    return Readable(path=one.path, table=one.table, access=one.access, permission=permission, rows=rows)


def _start(form: Form, probe: Probe, reader: Reader) -> datetime | None:
    """Read the chosen start of history: a day begins at midnight in the company's zone.

    Raises:
        Invalid: The day is missing or none.
    """
    choice = form.get("history", "all")
    if choice == "date":
        try:
            day = date.fromisoformat(form.get("day", ""))
        except ValueError as error:
            raise Invalid("connections.start_day", "Choose the first day to load, such as 2025-03-12.") from error
        return require_aware(datetime.combine(day, time.min, reader.words.zone))
    months = dict(zip(("all", "24", "12"), probe.estimates, strict=False))
    return months[choice].start_at if choice in months else None


routes = [
    sources,
    add_sample,
    authorization,
    authorize,
    reauthorization,
    reauthorize,
    callback,
    pending,
    look,
    confirm,
    cancel,
]
