"""Admin > Connections: the data sources, one connection with its progress, and what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath

from takings.connections import (
    Connection,
    Progress,
    Removal,
    families,
    may_follow,
    own_standings,
    progress,
    standings,
    worker_is_there,
)
from takings.errors import Invalid, TakingsError
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages import (
    connections_accounts,
    connections_health,
    connections_live,
    connections_new,
    connections_runs,
)
from takings.web.pages.connections_health import HealthPart, Steps
from takings.web.pages.connections_live import LivePart
from takings.web.pages.connections_parts import ADMIN, HOME, SourceRow, connections_of, size, source_row
from takings.web.pages.connections_runs import RunRow


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
        live: Its progress, which the stream renews while it first loads.
        health: How in step it is, which the stream renews from then on.
        steps: What comes next, what its requests come to, and what differed.
        runs: The latest ones.
        can: What may be done with it now.
        platform: The platform whose key reads it; None: it has its own key.
        connected: How many accounts could be followed with its key and are not; 0: none.
    """

    connection: Connection
    row: SourceRow
    worker: bool
    live: LivePart
    health: HealthPart
    steps: Steps
    runs: tuple[RunRow, ...]
    can: frozenset[str]
    platform: Connection | None
    connected: int


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
    found = families(app.store)
    page = ConnectionsPage(
        sources=tuple(source_row(one, reader, found.get(one.connection.id)) for one in own_standings(app.store)),
        worker=worker_is_there(app.store, reader.now),
    )
    return show(reader, "connections", page)


@get(f"{HOME}/{{connection_id:str}}", opt=ADMIN, sync_to_thread=True)
def detail(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Draw one connection."""
    service = connections_of(app)
    connection = service.get(connection_id)
    standing = standings(app.store, connection_id)[0]
    at = progress(app.store, connection_id, reader.now)
    page = ConnectionPage(
        connection=connection,
        row=source_row(standing, reader, families(app.store, connection_id).get(connection_id)),
        worker=worker_is_there(app.store, reader.now),
        live=connections_live.live_part(at, connection, reader),
        health=connections_health.health_part(app, connection, reader),
        steps=connections_health.steps(app, connection, reader),
        runs=connections_runs.rows_of(app.health.runs(connection_id, limit=connections_runs.RECENT), reader),
        can=possible(connection),
        platform=None if connection.platform_id is None else service.get(connection.platform_id),
        connected=_could_follow(connection, at),
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
    try:
        connection = connections_of(app).resume(reader.signed_in, connection_id)
    except Invalid as error:
        return _refused(connection_id, error)
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
        return _refused(connection_id, error)
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


def possible(connection: Connection) -> frozenset[str]:
    """Return what may be done with a connection in its present state."""
    found: dict[str, frozenset[str]] = {
        "active": frozenset(("pause", "sync", "verify", "reread", "reauthenticate", "rename", "disconnect")),
        "failed": frozenset(("pause", "sync", "reauthenticate", "rename", "disconnect")),
        "paused": frozenset(("resume", "reauthenticate", "rename", "disconnect")),
        "reauth": frozenset(("reauthenticate", "rename", "disconnect")),
        "disconnecting": frozenset(),
    }
    can = found[connection.state]
    if connection.platform_id is not None:
        return can - {"reauthenticate"}
    return can - {"reauthenticate"} if connection.source == "sample" else can


def _could_follow(connection: Connection, at: Progress) -> int:
    """Return how many accounts are connected to a platform whose accounts are not followed."""
    if connection.follows_accounts or not may_follow(connection):
        return 0
    return next((one.rows for one in at.lists if one.path == connections_accounts.LIST), 0)


def _refused(connection_id: str, error: Invalid) -> Response[Any]:
    fields = {name: value for name, value in error.fields.items() if value is not None}
    return go(f"{HOME}/{connection_id}", Flash("error", f"error.{error.code}", fields))


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
    *connections_accounts.routes,
    detail,
    pause,
    resume,
    sync_now,
    rename,
    preview,
    disconnect,
]
