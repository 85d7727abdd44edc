"""What is kept of runs in the store: the run, its windows, how each list stands. Every process can show it from there."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from takings.clock import Clock, from_unix
from takings.errors import TakingsError
from takings.store import Store
from takings.store.schema import connections, list_states, runs, table_rows, windows, workers
from takings.sync.findings import Finding, insert
from takings.sync.plan import Window

ListStanding = Literal["waiting", "running", "complete", "partial", "forbidden", "unavailable"]
RunState = Literal["running", "complete", "partial", "failed", "stopped"]
Phase = Literal["lists", "changes", "bridges", "done"]
Kind = Literal["backfill", "follow", "reconcile"]

#: How long a run belongs to whoever last said that it works on it.
LEASE = timedelta(seconds=15)
_REASON_CHARS = 500
#: Up to when events were read is noted at the end of a run only: until then they are still to be made use of.
EVENTS: Final = "/v1/events"


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of sync work as the store has it."""

    id: str
    connection_id: str
    kind: Kind
    phase: Phase
    state: RunState
    started_at: datetime


@dataclass(slots=True)
class ListProgress:
    """How one list stands within a run."""

    list: str
    table: str
    state: ListStanding = "waiting"
    reason: str | None = None
    reason_code: str | None = None
    rows: int = 0
    pages: int = 0
    requests: int = 0
    estimate: int | None = None
    progress: float = 0.0
    reaches_back_to: int | None = None


@dataclass(slots=True)
class Advance:
    """What one commit to the warehouse made true, to be written down after it."""

    windows: dict[str, Window] = field(default_factory=dict)
    lists: dict[str, ListProgress] = field(default_factory=dict)
    table_rows: dict[str, int] = field(default_factory=dict)
    rows_new: int = 0
    rows_changed: int = 0
    rows_seen: int = 0
    requests: int = 0
    retries: int = 0
    rows_deleted: int = 0
    events: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one list stands between runs.

    Attributes:
        state: As it came out when it was last asked for.
        complete_as_of: Everything Stripe held at this moment is here; None: it never was complete.
        read_at: When it was last asked for; None: never.
        rows: Rows of its table.
    """

    list: str
    table: str
    state: ListStanding
    reason_code: str | None
    complete_as_of: datetime | None
    read_at: datetime | None
    rows: int


class Lost(Exception):
    """The run belongs to another worker now: stop at once and leave everything to it."""


class RunBook:
    """Reads and writes runs of connections."""

    def __init__(self, store: Store, clock: Clock, owner: str | None = None) -> None:
        self._store = store
        self._clock = clock
        self.owner = owner or secrets.token_hex(8)

    def claim(self, connection_id: str) -> Run | None:
        """Take over the connection's latest first load where it has windows left to read; None when there is none.

        Also None when another worker is at the connection. Other runs are never taken over: they begin anew.
        """
        now = self._clock.now()
        with self._store.write() as db:
            row = db.execute(
                sa.select(runs)
                .where(runs.c.connection_id == connection_id, runs.c.kind == "backfill")
                .order_by(runs.c.started_at.desc())
                .limit(1)
                .with_for_update()
            ).first()
            if row is None or self._others(db, connection_id, now):
                return None
            phase: Phase = row.phase
            if row.state != "running":
                if not self._unread(db, row.id):
                    return None
                phase = "lists"
            db.execute(
                sa.update(runs)
                .where(runs.c.id == row.id)
                .values(
                    state="running",
                    phase=phase,
                    ended_at=None,
                    lease_owner=self.owner,
                    lease_until=now + LEASE,
                    reason=None,
                    reason_code=None,
                )
            )
            return Run(row.id, row.connection_id, row.kind, phase, "running", row.started_at)

    def _others(self, db: sa.Connection, connection_id: str, now: datetime) -> bool:
        """Close runs that nobody is at any more and that begin anew; tell whether another worker is at one."""
        rows = db.execute(
            sa.select(runs).where(runs.c.connection_id == connection_id, runs.c.state == "running").with_for_update()
        ).all()
        if any(self._held(row, now) for row in rows):
            return True
        for row in rows:
            if row.kind != "backfill":
                db.execute(
                    sa.update(runs)
                    .where(runs.c.id == row.id)
                    .values(state="stopped", ended_at=row.lease_until or now, lease_owner=None, lease_until=None)
                )
        return False

    def taken_up(self, connection_id: str) -> None:
        """Note that the wish to synchronise now is being fulfilled."""
        with self._store.write() as db:
            db.execute(sa.update(connections).where(connections.c.id == connection_id).values(sync_wanted_at=None))

    def _unread(self, db: sa.Connection, run_id: str) -> bool:
        return (
            db.execute(
                sa.select(windows.c.id).where(windows.c.run_id == run_id, windows.c.state == "open").limit(1)
            ).first()
            is not None
        )

    def unfinished(self, connection_id: str) -> bool:
        """Tell whether the first load left something unread that nobody is at: it can go on."""
        with self._store.read() as db:
            row = db.execute(
                sa.select(runs)
                .where(runs.c.connection_id == connection_id, runs.c.kind == "backfill")
                .order_by(runs.c.started_at.desc())
                .limit(1)
            ).first()
            if row is None or self._held(row, self._clock.now()):
                return False
            return row.state == "running" or self._unread(db, row.id)

    def unread_lists(self, connection_id: str) -> set[str]:
        """Return the lists of which a first load has left something unread."""
        with self._store.read() as db:
            here = sa.and_(windows.c.connection_id == connection_id, windows.c.state == "open")
            return set(db.execute(sa.select(windows.c.list).where(here).distinct()).scalars())

    def loaded(self) -> list[tuple[str, bool, datetime | None]]:
        """Return by account and mode when its first load was over; None: it is not yet."""
        over = sa.func.min(sa.case((runs.c.state.in_(("complete", "partial")), runs.c.ended_at)))
        query = (
            sa.select(connections.c.account_id, connections.c.livemode, sa.type_coerce(over, runs.c.ended_at.type))
            .select_from(
                connections.outerjoin(
                    runs, sa.and_(runs.c.connection_id == connections.c.id, runs.c.kind == "backfill")
                )
            )
            .group_by(connections.c.account_id, connections.c.livemode)
        )
        with self._store.read() as db:
            return [(account, livemode, moment) for account, livemode, moment in db.execute(query)]

    def left_halfway(self, connection_id: str) -> bool:
        """Tell whether the latest run that followed events did not come to its end."""
        with self._store.read() as db:
            state = db.execute(
                sa.select(runs.c.state)
                .where(runs.c.connection_id == connection_id, runs.c.kind == "follow")
                .order_by(runs.c.started_at.desc())
                .limit(1)
            ).scalar()
        return state not in (None, "complete", "partial")

    def held(self, connection_id: str) -> bool:
        """Tell whether another worker is at this connection now."""
        with self._store.read() as db:
            row = db.execute(
                sa.select(runs).where(runs.c.connection_id == connection_id, runs.c.state == "running").limit(1)
            ).first()
        return row is not None and self._held(row, self._clock.now())

    def _held(self, row: sa.Row[Any], now: datetime) -> bool:
        return bool(
            row.lease_owner and row.lease_owner != self.owner and row.lease_until is not None and row.lease_until > now
        )

    def begin(
        self,
        connection_id: str,
        kind: Kind,
        plan: Sequence[Window] = (),
        lists: Mapping[str, ListProgress] | None = None,
        *,
        estimate: int | None = None,
    ) -> Run | None:
        """Write down a new run; None when another worker is at the connection, or its first load is not finished.

        Args:
            connection_id: Whose.
            kind: A first load notes its plan and how each list stands.
            plan: What a first load reads.
            lists: How the lists of a first load stand.
            estimate: Requests it is expected to take.
        """
        now = self._clock.now()
        run = Run(secrets.token_hex(8), connection_id, kind, "lists", "running", now)
        with self._store.write() as db:
            if self._others(db, connection_id, now):
                return None
            if (
                kind == "backfill"
                and db.execute(
                    sa.select(runs.c.id)
                    .where(runs.c.connection_id == connection_id, runs.c.state == "running")
                    .limit(1)
                ).first()
            ):
                return None
            db.execute(
                sa.insert(runs).values(
                    id=run.id,
                    connection_id=connection_id,
                    kind=kind,
                    phase=run.phase,
                    state=run.state,
                    started_at=now,
                    lease_owner=self.owner,
                    lease_until=now + LEASE,
                    estimate=estimate,
                )
            )
            if kind == "backfill":
                db.execute(
                    sa.update(list_states)
                    .where(list_states.c.connection_id == connection_id)
                    .values(state="waiting", reason=None, reason_code=None, rows=0, pages=0, requests=0, progress=0.0)
                )
                # Plans of runs that came to their end are of no further use.
                db.execute(sa.delete(windows).where(windows.c.connection_id == connection_id))
                self._write_windows(db, run, plan)
                self._write_lists(db, run, (lists or {}).values(), begun=True)
        return run

    def drop(self, run: Run) -> None:
        """Forget a run in which nothing happened."""
        with self._store.write() as db:
            db.execute(sa.delete(runs).where(runs.c.id == run.id, runs.c.lease_owner == self.owner))

    def standings(self, connection_id: str) -> dict[str, Standing]:
        """Return how each list of a connection stands, by path."""
        counted = self.table_rows(connection_id)
        with self._store.read() as db:
            rows = db.execute(sa.select(list_states).where(list_states.c.connection_id == connection_id)).all()
        return {
            row.list: Standing(
                list=row.list,
                table=row.table_name,
                state=row.state,
                reason_code=row.reason_code,
                complete_as_of=row.complete_as_of,
                read_at=row.read_at or row.updated_at,
                rows=counted.get(row.table_name, 0),
            )
            for row in rows
        }

    def told(self, connection_id: str, tables: Collection[str], at: datetime) -> None:
        """Note that everything Stripe held at a moment is here, for complete lists of some tables."""
        c = list_states.c
        with self._store.write() as db:
            db.execute(
                sa.update(list_states)
                .where(
                    c.connection_id == connection_id,
                    c.state == "complete",
                    c.table_name.in_(list(tables)),
                    c.complete_as_of < at,
                )
                .values(complete_as_of=at, read_at=at)
            )

    def stand(self, connection_id: str, lists: Mapping[str, Mapping[str, Any]]) -> None:
        """Note how lists stand after a run: columns of ``list_states`` by path.

        A moment never moves ``complete_as_of`` back.
        """
        now = self._clock.now()
        with self._store.write() as db:
            for path, values in lists.items():
                here = sa.and_(list_states.c.connection_id == connection_id, list_states.c.list == path)
                known = db.execute(sa.select(list_states.c.state, list_states.c.complete_as_of).where(here)).first()
                changes = {"updated_at": now, **values}
                if known is None or ("state" in changes and changes["state"] != known.state):
                    changes["state_since"] = now
                as_of = changes.get("complete_as_of")
                if as_of is not None and known is not None and known.complete_as_of is not None:
                    changes["complete_as_of"] = max(as_of, known.complete_as_of)
                if known is None:
                    db.execute(sa.insert(list_states).values(connection_id=connection_id, list=path, **changes))
                else:
                    db.execute(sa.update(list_states).where(here).values(**changes))

    def windows(self, run: Run) -> list[Window]:
        """Return every window of a run, in the order they were made."""
        with self._store.read() as db:
            rows = db.execute(sa.select(windows).where(windows.c.run_id == run.id)).all()
        return [_window(row) for row in rows]

    def lists(self, connection_id: str) -> dict[str, ListProgress]:
        """Return how each list of a connection stands, by path."""
        with self._store.read() as db:
            rows = db.execute(sa.select(list_states).where(list_states.c.connection_id == connection_id)).all()
        return {
            row.list: ListProgress(
                row.list,
                row.table_name,
                row.state,
                row.reason,
                row.reason_code,
                row.rows,
                row.pages,
                row.requests,
                row.estimate,
                row.progress,
                None if row.reaches_back_to is None else int(row.reaches_back_to.timestamp()),
            )
            for row in rows
        }

    def table_rows(self, connection_id: str) -> dict[str, int]:
        """Return how many rows each table of a connection has, as last noted."""
        with self._store.read() as db:
            rows = db.execute(sa.select(table_rows).where(table_rows.c.connection_id == connection_id)).all()
        return {row.table_name: row.rows for row in rows}

    def complete_as_of(self, connection_id: str) -> dict[str, datetime]:
        """Return, by list, the moment at which everything Stripe held was here; lists never complete are missing."""
        with self._store.read() as db:
            rows = db.execute(
                sa.select(list_states.c.list, list_states.c.complete_as_of).where(
                    list_states.c.connection_id == connection_id, list_states.c.complete_as_of.is_not(None)
                )
            ).all()
        return {row.list: row.complete_as_of for row in rows}

    def advance(self, run: Run, made: Advance) -> None:
        """Write down what a commit to the warehouse made true, and keep the run ours.

        Raises:
            Lost: Another worker has taken the run over.
        """
        now = self._clock.now()
        with self._store.write() as db:
            self._keep(db, run, now, made)
            self._write_windows(db, run, list(made.windows.values()))
            self._write_lists(db, run, made.lists.values())
            self._write_rows(db, run, made.table_rows, now)
            insert(db, run.connection_id, made.findings)

    def phase(self, run: Run, phase: Phase, plan: Sequence[Window], lists: Mapping[str, ListProgress]) -> Run:
        """Move a run on to its next phase, with what there is to do in it.

        Raises:
            Lost: See :meth:`advance`.
        """
        with self._store.write() as db:
            self._keep(db, run, self._clock.now(), Advance())
            db.execute(sa.update(runs).where(runs.c.id == run.id).values(phase=phase))
            self._write_windows(db, run, plan)
            self._write_lists(db, run, lists.values())
        return Run(run.id, run.connection_id, run.kind, phase, run.state, run.started_at)

    def trouble(self, run: Run, error: TakingsError | None) -> None:
        """Say why a run stands still at present; None: it goes on."""
        with self._store.write() as db:
            self._keep(db, run, self._clock.now(), Advance())
            db.execute(
                sa.update(runs)
                .where(runs.c.id == run.id)
                .values(
                    reason=error.sentence[:_REASON_CHARS] if error else None, reason_code=error.code if error else None
                )
            )

    def beat(self, run: Run) -> None:
        """Keep the run ours for another while.

        Raises:
            Lost: See :meth:`advance`.
        """
        with self._store.write() as db:
            self._keep(db, run, self._clock.now(), Advance())

    def release(self, run: Run) -> None:
        """Leave an unfinished run to whoever comes next: a first load goes on, others begin anew."""
        values: dict[str, Any] = {"lease_owner": None, "lease_until": None}
        if run.kind != "backfill":
            values |= {"state": "stopped", "ended_at": self._clock.now()}
        with self._store.write() as db:
            db.execute(sa.update(runs).where(runs.c.id == run.id, runs.c.lease_owner == self.owner).values(**values))

    def close(self, run: Run, state: RunState, rows: Mapping[str, int], error: TakingsError | None = None) -> None:
        """Close a run that followed or compared: how it came out, and rows of tables counted anew."""
        now = self._clock.now()
        with self._store.write() as db:
            self._keep(db, run, now, Advance())
            db.execute(sa.update(runs).where(runs.c.id == run.id).values(**_closed(state, now, error)))
            self._write_rows(db, run, rows, now)

    def _write_rows(self, db: sa.Connection, run: Run, rows: Mapping[str, int], now: datetime) -> None:
        self._upsert(
            db,
            table_rows.c.table_name,
            run.connection_id,
            [{"table_name": table, "rows": count, "updated_at": now} for table, count in rows.items()],
        )

    def end(
        self,
        run: Run,
        state: RunState,
        lists: Mapping[str, ListProgress],
        rows: Mapping[str, int],
        error: TakingsError | None = None,
    ) -> None:
        """Close a run: how each list came out, how many rows each table has now.

        Lists that came out complete hold everything that Stripe held when the run began.
        """
        now = self._clock.now()
        with self._store.write() as db:
            self._keep(db, run, now, Advance())
            db.execute(sa.update(runs).where(runs.c.id == run.id).values(**_closed(state, now, error)))
            self._write_lists(db, run, lists.values())
            if EVENTS in lists and lists[EVENTS].state == "complete":
                db.execute(
                    sa.update(list_states)
                    .where(list_states.c.connection_id == run.connection_id, list_states.c.list == EVENTS)
                    .values(complete_as_of=run.started_at)
                )
            self._write_rows(db, run, rows, now)

    def worker_seen(self, worker_id: str, host: str, pid: int) -> None:
        """Say that a worker lives; forget those not heard of for an hour."""
        now = self._clock.now()
        with self._store.write() as db:
            changed = db.execute(sa.update(workers).where(workers.c.id == worker_id).values(seen_at=now))
            if not changed.rowcount:
                db.execute(sa.insert(workers).values(id=worker_id, host=host, pid=pid, started_at=now, seen_at=now))
            db.execute(sa.delete(workers).where(workers.c.seen_at < now - timedelta(hours=1)))

    def worker_gone(self, worker_id: str) -> None:
        """Forget a worker that stops of its own accord."""
        with self._store.write() as db:
            db.execute(sa.delete(workers).where(workers.c.id == worker_id))

    def _keep(self, db: sa.Connection, run: Run, now: datetime, made: Advance) -> None:
        kept = db.execute(
            sa.update(runs)
            .where(runs.c.id == run.id, runs.c.lease_owner == self.owner, runs.c.state == "running")
            .values(
                lease_until=now + LEASE,
                rows_new=runs.c.rows_new + made.rows_new,
                rows_changed=runs.c.rows_changed + made.rows_changed,
                rows_seen=runs.c.rows_seen + made.rows_seen,
                requests=runs.c.requests + made.requests,
                retries=runs.c.retries + made.retries,
                rows_deleted=runs.c.rows_deleted + made.rows_deleted,
                events=runs.c.events + made.events,
                findings=runs.c.findings + sum(finding.count for finding in made.findings),
            )
        )
        if not kept.rowcount:
            raise Lost(run.id)

    def _write_windows(self, db: sa.Connection, run: Run, plan: Sequence[Window]) -> None:
        if not plan:
            return
        have = set(
            db.execute(sa.select(windows.c.id).where(windows.c.id.in_([window.id for window in plan[:500]]))).scalars()
            if len(plan) <= 500
            else db.execute(sa.select(windows.c.id).where(windows.c.run_id == run.id)).scalars()
        )
        fresh = [window for window in plan if window.id not in have]
        if fresh:
            db.execute(sa.insert(windows), [_row(run, window) for window in fresh])
        known = [window for window in plan if window.id in have]
        if known:
            db.execute(
                sa.update(windows)
                .where(windows.c.id == sa.bindparam("window"))
                .values(
                    start_unix=sa.bindparam("s"),
                    end_unix=sa.bindparam("e"),
                    cursor=sa.bindparam("c"),
                    state=sa.bindparam("st"),
                    rows=sa.bindparam("r"),
                    pages=sa.bindparam("p"),
                    attempts=sa.bindparam("a"),
                ),
                [
                    {
                        "window": window.id,
                        "s": window.start,
                        "e": window.end,
                        "c": _cursor(window),
                        "st": "done" if window.done else "open",
                        "r": window.rows,
                        "p": window.pages,
                        "a": window.attempts,
                    }
                    for window in known
                ],
            )

    def _write_lists(self, db: sa.Connection, run: Run, lists: Iterable[ListProgress], *, begun: bool = False) -> None:
        now = self._clock.now()
        rows: list[dict[str, Any]] = []
        for known in lists:
            values: dict[str, Any] = {
                "list": known.list,
                "table_name": known.table,
                "state": known.state,
                "reason": known.reason[:_REASON_CHARS] if known.reason else None,
                "reason_code": known.reason_code,
                "rows": known.rows,
                "pages": known.pages,
                "requests": known.requests,
                "estimate": known.estimate,
                "progress": known.progress,
                "reaches_back_to": None if known.reaches_back_to is None else from_unix(known.reaches_back_to),
                "updated_at": now,
                "read_at": now,
            }
            if begun:
                values["started_at"] = now
                values["state_since"] = now
            if known.state == "complete" and known.list != EVENTS:
                values["complete_as_of"] = run.started_at
            rows.append(values)
        self._upsert(db, list_states.c.list, run.connection_id, rows)

    def _upsert(
        self, db: sa.Connection, key: sa.Column[str], connection_id: str, rows: Sequence[dict[str, Any]]
    ) -> None:
        """Write rows of one connection, each with its ``key``, in a statement for each set of columns, not one for each row."""
        if not rows:
            return
        table = key.table
        mine = table.c.connection_id == connection_id
        known = set(db.execute(sa.select(key).where(mine, key.in_([row[key.name] for row in rows]))).scalars())
        alike: dict[tuple[bool, tuple[str, ...]], list[dict[str, Any]]] = {}
        for row in rows:
            alike.setdefault((row[key.name] in known, tuple(row)), []).append(row)
        for (is_known, columns), group in alike.items():
            if not is_known:
                db.execute(sa.insert(table), [{"connection_id": connection_id, **row} for row in group])
                continue
            # Names of columns are taken in an UPDATE: its values come under others.
            change = sa.update(table).where(mine, key == sa.bindparam(f"new_{key.name}"))
            values: dict[str, Any] = {column: sa.bindparam(f"new_{column}") for column in columns if column != key.name}
            db.execute(
                change.values(**values), [{f"new_{column}": value for column, value in row.items()} for row in group]
            )


def _closed(state: RunState, now: datetime, error: TakingsError | None) -> dict[str, Any]:
    return {
        "state": state,
        "phase": "done",
        "ended_at": now,
        "reason": error.sentence[:_REASON_CHARS] if error else None,
        "reason_code": error.code if error else None,
        "lease_owner": None,
        "lease_until": None,
    }


# The cursor and the second it has reached go into one column: they only mean something together.
def _cursor(window: Window) -> str | None:
    if window.cursor is None:
        return None
    return f"{'' if window.reached is None else window.reached}|{window.cursor}"


def _window(row: sa.Row[Any]) -> Window:
    reached, bar, cursor = (row.cursor or "").partition("|")
    return Window(
        id=row.id,
        list=row.list,
        variant=row.variant,
        parent=row.parent,
        start=row.start_unix,
        end=row.end_unix,
        cursor=cursor if bar else None,
        reached=int(reached) if reached else None,
        rows=row.rows,
        pages=row.pages,
        done=row.state == "done",
        attempts=row.attempts,
    )


def _row(run: Run, window: Window) -> dict[str, Any]:
    return {
        "id": window.id,
        "run_id": run.id,
        "connection_id": run.connection_id,
        "list": window.list,
        "variant": window.variant,
        "parent": window.parent,
        "start_unix": window.start,
        "end_unix": window.end,
        "cursor": _cursor(window),
        "state": "done" if window.done else "open",
        "rows": window.rows,
        "pages": window.pages,
        "attempts": window.attempts,
    }
