"""What was done for a connection: each load, follow and comparison with its rows, requests and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.sync import RunRecord
from takings.web.context import FromApp, FromReader, Reader, show
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of, duration

PAGE: Final = 50
RECENT: Final = 5
_MOST_PAGES: Final = 10_000
_TONES: Final = {"running": "busy", "complete": "good", "partial": "warn", "failed": "bad", "stopped": "quiet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run, in the reader's words.

    Attributes:
        took: How long it took, or has so far.
        of: How many requests were expected; empty where nobody asked.
        reason: What stood in the way; None: nothing.
    """

    id: str
    kind: str
    kind_text: str
    started_at: datetime
    started: str
    took: str
    rows_new: int
    rows_changed: int
    rows_deleted: int
    events: int
    requests: int
    of: str
    retries: int
    findings: int
    state: str
    state_text: str
    tone: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """The runs of one connection, newest first, a page of them at a time."""

    connection_id: str
    connection_name: str
    runs: tuple[RunRow, ...]
    shown: str
    previous: str | None
    next: str | None


@get(f"{HOME}/{{connection_id:str}}/runs", opt=ADMIN, sync_to_thread=True)
def runs(
    app: FromApp, reader: FromReader, request: Request[Any, Any, Any], connection_id: FromPath[str]
) -> Response[Any]:
    """Show them."""
    connection = connections_of(app).get(connection_id)
    asked = request.query_params.get("page", "")
    number = min(max(1, int(asked)), _MOST_PAGES) if asked.isdecimal() and len(asked) < 7 else 1
    first = (number - 1) * PAGE
    found = app.health.runs(connection_id, limit=PAGE + 1, offset=first)
    here = f"{HOME}/{connection_id}/runs"
    page = RunsPage(
        connection_id=connection.id,
        connection_name=connection.name,
        runs=rows_of(found[:PAGE], reader),
        shown=reader.words("health.runs_shown", first=first + 1, last=first + min(len(found), PAGE)),
        previous=f"{here}?page={number - 1}" if number > 1 else None,
        next=f"{here}?page={number + 1}" if len(found) > PAGE else None,
    )
    return show(reader, "connections_runs", page)


def rows_of(found: Sequence[RunRecord], reader: Reader) -> tuple[RunRow, ...]:
    """Say in the reader's words what runs came to."""
    return tuple(_row(one, reader) for one in found)


def _row(one: RunRecord, reader: Reader) -> RunRow:
    words = reader.words
    length = max(one.ended_at or reader.now, one.started_at) - one.started_at
    return RunRow(
        id=one.id,
        kind=one.kind,
        kind_text=words(f"health.kind_{one.kind}") if words.has(f"health.kind_{one.kind}") else one.kind,
        started_at=one.started_at,
        started=words.moment(one.started_at),
        took=duration(length, words),
        rows_new=one.rows_new,
        rows_changed=one.rows_changed,
        rows_deleted=one.rows_deleted,
        events=one.events,
        requests=one.requests,
        of=words("health.of_about", n=one.estimate) if one.estimate else "",
        retries=one.retries,
        findings=one.findings,
        state=one.state,
        state_text=words(f"health.run_{one.state}"),
        tone=_TONES[one.state],
        reason=words.reason(one.reason_code, one.reason) if one.reason else None,
    )


routes = [runs]
