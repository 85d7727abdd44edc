"""How far the work on a connection is: each list with its rows, rate and time left, read from the store by anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from takings.connections.records import no_such
from takings.connections.standing import MEASURED
from takings.store import Store
from takings.store.schema import connections, list_states, runs

ListState = Literal["waiting", "running", "complete", "partial", "forbidden", "unavailable"]

_TELLS_NOTHING: Final = 0.01  # below this share done, a time left would be a guess
_ORDER: Final = {"running": 0, "partial": 1, "waiting": 2, "complete": 3, "forbidden": 4, "unavailable": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListProgress:
    """One list.

    Attributes:
        path: Path of the list.
        table: Table its rows go to.
        state: How it stands.
        reason: English sentence on why it is partial, forbidden or unavailable.
        reason_code: Its code, for translation.
        rows: Rows delivered in this run, or in the last one.
        estimate: Rows expected; None: unknown.
        rate: Rows a second in this run; None where it is not running or has not begun.
        left: Time it still takes, about; None likewise.
        share: How much of its plan is done, 0 to 1.
        reaches_back_to: From this moment on everything is there; None: nothing can be said.
        complete_as_of: Everything Stripe held at this moment is here; None: never complete yet.
    """

    path: str
    table: str
    state: ListState
    reason: str | None
    reason_code: str | None
    rows: int
    estimate: int | None
    rate: float | None
    left: timedelta | None
    share: float
    reaches_back_to: datetime | None
    complete_as_of: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """The latest run of a connection.

    Attributes:
        kind: ``backfill`` or ``refresh``.
        state: ``running``, ``complete``, ``partial``, ``failed`` or ``stopped``.
        reason: English sentence on why it did not end well.
        reason_code: Its code, for translation.
        rows: Rows seen.
        requests: Requests made.
        rate: Rows a second over the whole run so far; None before it has begun.
    """

    kind: str
    state: str
    reason: str | None
    reason_code: str | None
    rows: int
    requests: int
    started_at: datetime
    ended_at: datetime | None
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a connection is.

    Attributes:
        run: The latest run; None: there was none yet.
        lists: Those under way first, then those in trouble, then the others; within, those that figures are made of,
            and the longest.
        share: How much of the plan is done, 0 to 1, over the lists that can be read.
        left: Time the run still takes, about; None: nothing runs, or it is too early to tell.
        counts: State to number of lists.
    """

    run: RunProgress | None
    lists: tuple[ListProgress, ...]
    share: float
    left: timedelta | None
    counts: dict[str, int]

    @property
    def is_running(self) -> bool:
        """True while the worker is at it."""
        return self.run is not None and self.run.state == "running"


def progress(store: Store, connection_id: str, now: datetime) -> Progress:
    """Read how far a connection is.

    Args:
        store: The product's own database.
        connection_id: Which.
        now: The present moment, for rates and times left.

    Raises:
        NotFound: There is no such connection.
    """
    with store.read() as db:
        if db.execute(sa.select(connections.c.id).where(connections.c.id == connection_id)).first() is None:
            raise no_such(connection_id)
        found = db.execute(sa.select(list_states).where(list_states.c.connection_id == connection_id)).all()
        run = db.execute(
            sa.select(runs).where(runs.c.connection_id == connection_id).order_by(runs.c.started_at.desc()).limit(1)
        ).first()
    lists = tuple(sorted((_list(row, now) for row in found), key=_place))
    readable = [one for one in lists if one.state not in ("forbidden", "unavailable")]
    share = sum(one.share for one in readable) / len(readable) if readable else 0.0
    shown = None if run is None else _run(run, now)
    left = None
    if shown is not None and shown.state == "running":
        known = [one.left for one in readable if one.left is not None]
        left = max([time_left(share, now - shown.started_at) or timedelta(0), *known], default=None) or None
    counts: dict[str, int] = {}
    for one in lists:
        counts[one.state] = counts.get(one.state, 0) + 1
    return Progress(run=shown, lists=lists, share=share, left=left, counts=counts)


def _place(one: ListProgress) -> tuple[int, bool, int, str]:
    """Return where a list stands among the others: what moves and what matters comes first."""
    is_read = one.state == "running" and one.share >= 1
    return _ORDER["complete" if is_read else one.state], one.table not in MEASURED, -one.rows, one.path


def time_left(share: float, spent: timedelta) -> timedelta | None:
    """Return the time that remains when ``share`` (0 to 1) of the work took ``spent``; None while it is too early."""
    if share < _TELLS_NOTHING or spent <= timedelta(0):
        return None
    return spent * ((1 - min(1.0, share)) / share)


def _list(row: sa.Row[tuple[object, ...]], now: datetime) -> ListProgress:
    running = row.state == "running" and row.started_at is not None
    spent = now - row.started_at if running else timedelta(0)
    seconds = spent.total_seconds()
    return ListProgress(
        path=row.list,
        table=row.table_name,
        state=row.state,
        reason=row.reason,
        reason_code=row.reason_code,
        rows=row.rows,
        estimate=row.estimate,
        rate=row.rows / seconds if running and seconds >= 1 else None,
        left=time_left(row.progress, spent) if running else None,
        share=1.0 if row.state == "complete" else min(1.0, row.progress),
        reaches_back_to=row.reaches_back_to,
        complete_as_of=row.complete_as_of,
    )


def _run(row: sa.Row[tuple[object, ...]], now: datetime) -> RunProgress:
    seconds = ((row.ended_at or now) - row.started_at).total_seconds()
    return RunProgress(
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        reason_code=row.reason_code,
        rows=row.rows_seen,
        requests=row.requests,
        started_at=row.started_at,
        ended_at=row.ended_at,
        rate=row.rows_seen / seconds if seconds >= 1 else None,
    )
