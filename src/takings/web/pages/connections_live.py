"""Progress while it happens: the part of a connection's page that a stream of server-sent events renews."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from anyio import to_thread
from litestar import Request, get
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from takings.connections import Connection, ListProgress, Progress, progress, standings
from takings.web.context import FromApp, FromReader, Reader
from takings.web.pages.connections_health import LIST_TONES, health_part
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of, duration, rounded, source_row

LOOK_EVERY_S: Final = 1.0
#: A stream ends by itself and the browser opens the next one: so rights are checked again, and servers can stop.
STREAM_S: Final = 45.0
_KEEP_ALIVE_EVERY: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRow:
    """One list, in the reader's words; an empty text where there is nothing to say."""

    path: str
    table: str
    state: str
    state_text: str
    tone: str
    reason: str | None
    rows: int
    of: str
    rate: str
    left: str
    share: float | None
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePart:
    """All progress of a connection, in the reader's words.

    Attributes:
        stream: Address of the stream of it.
        running: The worker is at it.
        waiting: It is wanted, and the worker has not begun.
        share: Share of the whole that is done, 0 to 1.
        summary: One sentence on the whole.
        left: Another on the time it still takes; None: it cannot be told.
        reason: Why the last run did not end well; None: it did, or none has ended.
    """

    stream: str
    running: bool
    waiting: bool
    share: float
    summary: str
    left: str | None
    reason: str | None
    rows: tuple[LiveRow, ...]


@get(f"{HOME}/{{connection_id:str}}/progress", opt={**ADMIN, "uncompressed": True})
async def stream(
    app: FromApp,
    reader: FromReader,
    request: Request[Any, Any, Any],
    connection_id: FromPath[str],
) -> ServerSentEvent:
    """Send the progress whenever it changes, for a while; it lives in the store, so any process can send it."""
    await to_thread.run_sync(connections_of(app).get, connection_id)
    engine = request.app.template_engine
    assert engine is not None
    template = engine.get_template("connections_stream.html.j2")

    def draw() -> str:
        connection = connections_of(app).get(connection_id)
        found = progress(app.store, connection_id, app.clock.now())
        now = replace(reader, now=app.clock.now())
        part = live_part(found, connection, now)
        row = source_row(standings(app.store, connection_id)[0], now)
        health = health_part(app, connection, now)
        return str(
            template.render(live=part, health=health, row=row, connection=connection, reader=now, w=reader.words)
        )

    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        shown = None
        for turn in range(round(STREAM_S / LOOK_EVERY_S)):
            drawn = await to_thread.run_sync(draw)
            if drawn != shown:
                shown = drawn
                yield ServerSentEventMessage(data=drawn)
            elif turn % _KEEP_ALIVE_EVERY == 0:
                yield ServerSentEventMessage(comment="still here")
            await asyncio.sleep(LOOK_EVERY_S)

    return ServerSentEvent(messages(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def live_part(found: Progress, connection: Connection, reader: Reader) -> LivePart:
    """Say in the reader's words how far a connection is."""
    words, run = reader.words, found.run
    # What runs after the first load is told by the health of the connection.
    running = found.is_running and run is not None and run.kind == "backfill" and connection.state == "active"
    waiting = (
        connection.state == "active" and not found.is_running and (run is None or connection.sync_wanted_at is not None)
    )
    left = None
    if run is None or waiting:
        summary = words("connections.progress_waiting") if waiting else ""
    elif running:
        rate = words.number(round(run.rate)) if run.rate is not None else words("connections.none")
        summary = words("connections.progress_running", rows=run.rows, rate=rate, requests=run.requests)
        if found.left is not None and found.left >= timedelta(seconds=1):
            left = words("connections.progress_left", left=duration(found.left, words))
    else:
        ago = words.ago(min(run.ended_at or run.started_at, reader.now), reader.now)
        summary = words("connections.progress_done", ago=ago, rows=run.rows, requests=run.requests)
    ended_badly = run is not None and not found.is_running and run.reason is not None
    return LivePart(
        stream=f"{HOME}/{connection.id}/progress",
        running=running,
        waiting=waiting,
        share=found.share,
        summary=summary,
        left=left,
        reason=words.reason(run.reason_code, run.reason) if ended_badly and run and run.reason else None,
        rows=tuple(_row(one, reader) for one in found.lists),
    )


def _row(one: ListProgress, reader: Reader) -> LiveRow:
    words = reader.words
    of = since = ""
    is_read = one.state == "running" and one.share >= 1  # what lies inside its objects may still be on its way
    if one.estimate and one.state in ("running", "waiting") and one.estimate > one.rows:
        of = words("connections.of_about", n=rounded(one.estimate))
    if one.reaches_back_to is not None and one.complete_as_of is None:
        day = words.day(one.reaches_back_to.astimezone(words.zone).date())
        since = words("connections.since_so_far", day=day)
    return LiveRow(
        path=one.path,
        table=one.table,
        state=one.state,
        state_text=words("connections.list_read" if is_read else f"connections.list_{one.state}"),
        tone="good" if is_read else LIST_TONES[one.state],
        reason=words.reason(one.reason_code, one.reason) if one.reason else None,
        rows=one.rows,
        of=of,
        rate="" if one.rate is None or is_read else words.number(round(one.rate)),
        left="" if one.left is None or is_read else duration(one.left, words),
        share=one.share if one.state == "running" and not is_read else None,
        since=since,
    )


routes = [stream]
