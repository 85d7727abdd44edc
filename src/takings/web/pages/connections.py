"""Admin > Connections: the data sources, one connection with its progress, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from takings.connections import Connection, Removal, Standing, progress, standings, worker_is_there
from takings.errors import Invalid, TakingsError
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages import connections_live, connections_new
from takings.web.pages.connections_live import LivePart
from takings.web.pages.connections_parts import ADMIN, HOME, TONES, connections_of, size
from takings.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A line of the *Data Sources* table.

    Attributes:
        href: Where a click on its name leads: to re-authentication where its status asks for it.
        tone: How the status is coloured.
        reason: Why it does not work, in the reader's language; None where it does.
        rows: Rows in all its tables.
        fresh_as_of: Everything Stripe held at this moment is here.
    """

    id: str
    name: str
    href: str
    source: str
    account_name: str
    account_id: str
    livemode: bool
    status: str
    status_text: str
    tone: str
    reason: str | None
    last_sync: str
    rows: int
    freshness: str
    fresh_as_of: datetime | None
    next_sync: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsPage:
    """The data sources.

    Attributes:
        worker: Some process is there to work.
    """

    sources: tuple[SourceRow, ...]
    worker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionPage:
    """One connection.

    Attributes:
        row: As in the list.
        live: Its progress, which the stream renews.
        can: What may be done with it now.
    """

    connection: Connection
    row: SourceRow
    worker: bool
    live: LivePart
    can: frozenset[str]
    history: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectPage:
    """What disconnecting does.

    Attributes:
        removal: What a purge deletes.
        size: Room on disk that it frees, in words; None: unknown.
    """

    connection: Connection
    removal: Removal
    size: str | None
    problem: str | None


@get(HOME, opt=ADMIN, sync_to_thread=True)
def overview(app: FromApp, reader: FromReader) -> Response[Any]:
    """Draw the *Data Sources* table."""
    page = ConnectionsPage(
        sources=tuple(source_row(one, reader) for one in standings(app.store)),
        worker=worker_is_there(app.store, reader.now),
    )
    return show(reader, "connections", page)


@get(f"{HOME}/{{connection_id:str}}", opt=ADMIN, sync_to_thread=True)
def detail(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Draw one connection."""
    service = connections_of(app)
    connection = service.get(connection_id)
    standing = standings(app.store, connection_id)[0]
    start = connection.start_at
    page = ConnectionPage(
        connection=connection,
        row=source_row(standing, reader),
        worker=worker_is_there(app.store, reader.now),
        live=connections_live.live_part(progress(app.store, connection_id, reader.now), connection, reader),
        can=possible(connection),
        history=reader.words("connections.history_whole")
        if start is None
        else reader.words(
            "connections.history_since", day=reader.words.day(start.astimezone(reader.words.zone).date())
        ),
    )
    return show(reader, "connections_detail", page)


@post(f"{HOME}/{{connection_id:str}}/pause", opt=ADMIN, sync_to_thread=True)
def pause(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Pause it."""
    connection = connections_of(app).pause(reader.signed_in, connection_id)
    return _back(connection, "connections.paused_done")


@post(f"{HOME}/{{connection_id:str}}/resume", opt=ADMIN, sync_to_thread=True)
def resume(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Go on."""
    connection = connections_of(app).resume(reader.signed_in, connection_id)
    return _back(connection, "connections.resumed_done")


@post(f"{HOME}/{{connection_id:str}}/sync", opt=ADMIN, sync_to_thread=True)
def sync_now(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Look at once."""
    connection = connections_of(app).sync_now(reader.signed_in, connection_id)
    return _back(connection, "connections.sync_wanted_done")


@post(f"{HOME}/{{connection_id:str}}/rename", opt=ADMIN, sync_to_thread=True)
def rename(app: FromApp, reader: FromReader, form: FromForm, connection_id: FromPath[str]) -> Response[Any]:
    """Call it something else."""
    try:
        connection = connections_of(app).rename(reader.signed_in, connection_id, form.get("name", ""))
    except Invalid as error:
        code = f"error.{error.code}"
        fields = {name: value for name, value in error.fields.items() if value is not None}
        return go(f"{HOME}/{connection_id}", Flash("error", code, fields))
    return _back(connection, "connections.renamed_done")


@get(f"{HOME}/{{connection_id:str}}/disconnect", opt=ADMIN, sync_to_thread=True)
def preview(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Show what disconnecting does, before it is done."""
    return show(reader, "connections_disconnect", _disconnect_page(app, reader, connection_id, None))


@post(f"{HOME}/{{connection_id:str}}/disconnect", opt=ADMIN, sync_to_thread=True)
def disconnect(app: FromApp, reader: FromReader, form: FromForm, connection_id: FromPath[str]) -> Response[Any]:
    """Disconnect, keeping or deleting the data."""
    service = connections_of(app)
    connection = service.get(connection_id)
    try:
        data = form.get("data")
        if data not in ("keep", "purge"):
            raise Invalid("connections.no_choice", "Choose whether the data is kept or deleted.")
        service.disconnect(reader.signed_in, connection_id, data == "purge")
    except Invalid as error:
        page = _disconnect_page(app, reader, connection_id, error)
        return show(reader, "connections_disconnect", page, status=error.http_status)
    done = "connections.disconnected_purge" if data == "purge" else "connections.disconnected_keep"
    return go(HOME, Flash("success", done, {"name": connection.name}))


def source_row(one: Standing, reader: Reader) -> SourceRow:
    """Say in the reader's words how a connection stands."""
    words, now, connection = reader.words, reader.now, one.connection
    reason = None
    if one.status in ("reauth", "failed") and connection.reason:
        reason = words.reason(connection.reason_code, connection.reason)
    elif one.status == "incomplete" and one.trouble:
        reason = words("connections.trouble", n=one.trouble)
    reauth = one.status == "reauth"
    return SourceRow(
        id=connection.id,
        name=connection.name,
        href=f"{HOME}/{connection.id}/reauthenticate" if reauth else f"{HOME}/{connection.id}",
        source=connection.source,
        account_name=connection.account_name,
        account_id=connection.account_id,
        livemode=connection.livemode,
        status=one.status,
        status_text=_status_text(one, words),
        tone=TONES[one.status],
        reason=reason,
        last_sync=words("connections.never")
        if connection.last_sync_at is None
        else words.ago(min(connection.last_sync_at, now), now),
        rows=one.rows,
        freshness=words("connections.not_yet_whole")
        if one.fresh_as_of is None
        else words.ago(min(one.fresh_as_of, now), now),
        fresh_as_of=one.fresh_as_of,
        next_sync=_next(one, words, now),
    )


def possible(connection: Connection) -> frozenset[str]:
    """Return what may be done with a connection in its present state."""
    found: dict[str, frozenset[str]] = {
        "active": frozenset(("pause", "sync", "reauthenticate", "rename", "disconnect")),
        "failed": frozenset(("pause", "sync", "reauthenticate", "rename", "disconnect")),
        "paused": frozenset(("resume", "reauthenticate", "rename", "disconnect")),
        "reauth": frozenset(("reauthenticate", "rename", "disconnect")),
        "disconnecting": frozenset(),
    }
    can = found[connection.state]
    return can - {"reauthenticate"} if connection.source == "sample" else can


def _status_text(one: Standing, words: Words) -> str:
    if one.status == "syncing" and one.progress is not None:
        return words("connections.status_syncing_share", share=words.percent(one.progress, 0))
    return words(f"connections.status_{one.status}")


def _next(one: Standing, words: Words, now: datetime) -> str:
    connection = one.connection
    if one.status in ("paused", "reauth", "disconnecting"):
        return words("connections.none")
    wanted = connection.sync_wanted_at is not None
    if one.status == "syncing" or wanted or connection.next_sync_at is None or connection.next_sync_at <= now:
        return words("connections.soon")
    return words.ago(connection.next_sync_at, now)


def _back(connection: Connection, key: str) -> Response[Any]:
    return go(f"{HOME}/{connection.id}", Flash("info", key, {"name": connection.name}))


def _disconnect_page(app: App, reader: Reader, connection_id: str, error: TakingsError | None) -> DisconnectPage:
    service = connections_of(app)
    removal = service.preview_disconnect(connection_id)
    return DisconnectPage(
        connection=service.get(connection_id),
        removal=removal,
        size=None if removal.size_bytes is None or not removal.rows else size(removal.size_bytes, reader.words),
        problem=None if error is None else reader.words.error(error),
    )


routes = [
    overview,
    *connections_new.routes,
    *connections_live.routes,
    detail,
    pause,
    resume,
    sync_now,
    rename,
    preview,
    disconnect,
]
