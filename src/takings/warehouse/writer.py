"""Writes deliveries: new versions are appended, the newest becomes the typed row, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

from takings.clock import to_unix
from takings.errors import TakingsError, Unavailable
from takings.log import get
from takings.warehouse.engine import Engine, Session, is_conflict, mapped
from takings.warehouse.model import Delivery, Scope, TableChange, WriteResult, content_hash
from takings.warehouse.tables import Table, quote

_STAMP = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("account", pa.string()),
        ("livemode", pa.bool_()),
        ("resource", pa.string()),
        ("id", pa.string()),
        ("parent", pa.string()),
        ("payload", pa.string()),
        ("api_version", pa.string()),
        ("source", pa.string()),
        ("deleted", pa.bool_()),
        ("as_of", _STAMP),
        ("known_at", _STAMP),
        ("hash", pa.string()),
    ]
)
_ATTEMPTS = 8


@dataclass(slots=True)
class _State:
    """One state of one object, on its way in."""

    id: str
    created: int | None
    raw: bytes
    hash: str
    delivery: Delivery

    @property
    def rank(self) -> tuple[datetime, str]:
        """Which of two states is the newer one: by moment; at one moment by content, so that order of arrival is nothing."""
        return (self.delivery.as_of, self.hash)


@dataclass(slots=True)
class _Group:
    """The states of one table and one owner in a batch."""

    newest: dict[str, _State] = field(default_factory=dict)
    others: list[_State] = field(default_factory=list)
    gone: dict[str, Delivery] = field(default_factory=dict)

    def add(self, state: _State) -> None:
        had = self.newest.get(state.id)
        if had is None:
            self.newest[state.id] = state
        elif had.hash == state.hash:
            if state.delivery.as_of > had.delivery.as_of:
                self.newest[state.id] = state
        else:
            older, newer = sorted((had, state), key=lambda s: s.rank)
            self.others.append(older)
            self.newest[state.id] = newer

    def bounds(self, table: Table) -> tuple[int, int] | None:
        """Return the first and last ``created``, where they may bound a search."""
        if not table.bounded:
            return None
        created = [state.created for state in self.newest.values()]
        if not created or None in created:
            return None
        known = [c for c in created if c is not None]
        return min(known), max(known)


class Writer:
    """Writes into one warehouse. One writer at a time per process; other processes' writers are waited for.

    Args:
        engine: Where to.
        tables: Every typed table by name.
    """

    def __init__(self, engine: Engine, tables: dict[str, Table]) -> None:
        self._engine = engine
        self._tables = tables
        self._log = get("warehouse")

    def write(self, deliveries: Sequence[Delivery]) -> WriteResult:
        """Write deliveries in one transaction: all of it is there afterwards, or nothing.

        The same deliveries in any order and any number of times leave the same typed rows. A payload that is the
        present one already adds no version; an older one never replaces a newer.

        Returns:
            What changed, by table and owner.

        Raises:
            Unavailable: The disk is full, or others hold the warehouse: nothing was written, try again later.
            KeyError: A delivery names a table that does not exist.
        """
        groups = self._sort(deliveries)
        if not groups:
            return WriteResult()
        for attempt in range(_ATTEMPTS):
            try:
                with self._engine.session(write=True) as session:
                    return self._transaction(session, groups)
            except Exception as error:
                if not is_conflict(error) and not (isinstance(error, Unavailable) and error.code == "warehouse.locked"):
                    if isinstance(error, TakingsError):
                        raise
                    with mapped():
                        raise
                if attempt == _ATTEMPTS - 1:
                    raise Unavailable(
                        "warehouse.locked", "The warehouse is busy with another process: it is tried again."
                    ) from error
                self._log.debug("warehouse.conflict", attempt=attempt + 1)
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("not reached")

    def _sort(self, deliveries: Sequence[Delivery]) -> dict[tuple[str, Scope], _Group]:
        groups: dict[tuple[str, Scope], _Group] = {}
        for delivery in deliveries:
            if delivery.table not in self._tables:
                raise KeyError(f"There is no table {delivery.table}.")
            group = groups.setdefault((delivery.table, delivery.scope), _Group())
            if delivery.deleted:
                group.gone.update((item.id, delivery) for item in delivery.items)
                continue
            for item in delivery.items:
                group.add(_State(*item, delivery))
        return {key: group for key, group in groups.items() if group.newest or group.gone}

    def _transaction(self, session: Session, groups: dict[tuple[str, Scope], _Group]) -> WriteResult:
        result = WriteResult()
        versions: list[pa.Table] = []
        session.execute("BEGIN TRANSACTION")
        try:
            for (name, scope), group in groups.items():
                change = result.table(name, scope)
                if group.newest:
                    versions.extend(self._merge(session, self._tables[name], scope, group, change))
                if group.gone:
                    versions.extend(self._mark(session, self._tables[name], scope, group, change))
            if versions:
                session.register("arriving", pa.concat_tables(versions))
                names = ", ".join(quote(column) for column in _SCHEMA.names)
                session.execute(f"INSERT INTO raw.versions ({names}) SELECT {names} FROM arriving")
                session.unregister("arriving")
                if self._engine.counted:
                    session.execute("UPDATE raw.revision SET n = n + 1")
            session.execute("COMMIT")
        except BaseException:
            try:
                session.execute("ROLLBACK")
            except Exception:  # the engine has rolled back by itself
                self._log.debug("warehouse.rolled_back")
            raise
        return result

    def _merge(
        self, session: Session, table: Table, scope: Scope, group: _Group, change: TableChange
    ) -> list[pa.Table]:
        bounds = group.bounds(table)
        incoming = _arrow(table.resource.table, scope, list(group.newest.values()))
        session.register("incoming", incoming.select(["id"]))
        here: dict[str, tuple[str, int, bool]] = {}
        if session.execute(table.any_known(bounds)).fetchone():
            known_rows = session.execute(table.existing(bounds), [scope.account, scope.livemode]).fetchall()
            here = {row[0]: row[1:] for row in known_rows}
        session.unregister("incoming")
        keep: list[_State] = []
        leaving: list[str] = []
        late = list(group.others)
        for state in group.newest.values():
            known = here.get(state.id)
            if known is None:
                keep.append(state)
                change.new += 1
                continue
            hash_here, version_us, deleted = known
            as_of_us = _micros(state.delivery.as_of)
            if hash_here == state.hash and not (deleted and as_of_us > version_us):
                change.unchanged += 1
            elif (as_of_us, state.hash) > (version_us, hash_here):
                keep.append(state)
                leaving.append(state.id)
                change.changed += 1
            else:
                late.append(state)
                change.unchanged += 1
        if leaving:
            session.register("leaving", pa.table({"id": pa.array(leaving, pa.string())}))
            session.execute(table.delete(bounds), [scope.account, scope.livemode])
            session.unregister("leaving")
        found: list[pa.Table] = []
        if keep:
            if len(keep) != len(group.newest):
                incoming = _arrow(table.resource.table, scope, keep)
            session.register("incoming", incoming)
            session.execute(table.insert)
            session.unregister("incoming")
            found.append(incoming)
        if late:
            found.append(self._unknown(session, _arrow(table.resource.table, scope, late)))
        return found

    def _unknown(self, session: Session, late: pa.Table) -> pa.Table:
        """Return those of some late states that the versions do not hold yet."""
        session.register("late", late)
        known = session.execute(
            "SELECT DISTINCT v.id, v.hash FROM raw.versions AS v "
            "WHERE (v.resource, v.id, v.hash) IN (SELECT (resource, id, hash) FROM late) "
            "AND v.account = (SELECT any_value(account) FROM late) AND v.livemode = (SELECT any_value(livemode) FROM late)"
        ).fetchall()
        session.unregister("late")
        seen = set(known)
        picks: list[int] = []
        for index, pair in enumerate(zip(late["id"].to_pylist(), late["hash"].to_pylist(), strict=True)):
            if pair not in seen:
                seen.add(pair)
                picks.append(index)
        return late.take(pa.array(picks, pa.int64()))

    def _mark(self, session: Session, table: Table, scope: Scope, group: _Group, change: TableChange) -> list[pa.Table]:
        session.register("leaving", pa.table({"id": pa.array(list(group.gone), pa.string())}))
        alive = {
            row[0]
            for row in session.execute(
                f"SELECT t.id, t._version_at FROM {table.name} AS t WHERE t._account = $1 AND t._livemode = $2 "
                "AND t._deleted_at IS NULL AND t.id IN (SELECT id FROM leaving)",
                [scope.account, scope.livemode],
            ).fetchall()
            if row[1] <= group.gone[row[0]].as_of
        }
        session.unregister("leaving")
        found: list[pa.Table] = []
        by_moment: dict[tuple[datetime, datetime], list[str]] = {}
        for gone_id in alive:
            delivery = group.gone[gone_id]
            by_moment.setdefault((delivery.as_of, delivery.known_at), []).append(gone_id)
            raw = b'{"id":"%s","deleted":true}' % gone_id.encode()
            found.append(
                _arrow(
                    table.resource.table, scope, [_State(gone_id, None, raw, content_hash(raw), delivery)], deleted=True
                )
            )
        for (as_of, known_at), ids in by_moment.items():
            session.register("leaving", pa.table({"id": pa.array(ids, pa.string())}))
            session.execute(table.mark_deleted, [as_of, known_at, scope.account, scope.livemode])
            session.unregister("leaving")
        change.deleted += len(alive)
        return found


def _micros(moment: datetime) -> int:
    return to_unix(moment) * 1_000_000 + moment.microsecond


def _arrow(resource: str, scope: Scope, states: list[_State], *, deleted: bool = False) -> pa.Table:
    count = len(states)
    return pa.table(
        [
            pa.repeat(pa.scalar(scope.account, pa.string()), count),
            pa.repeat(pa.scalar(scope.livemode, pa.bool_()), count),
            pa.repeat(pa.scalar(resource, pa.string()), count),
            pa.array([state.id for state in states], pa.string()),
            pa.array([state.delivery.parent for state in states], pa.string()),
            pa.array([state.raw for state in states], pa.binary()).cast(pa.string()),
            pa.array([state.delivery.api_version for state in states], pa.string()),
            pa.array([state.delivery.source for state in states], pa.string()),
            pa.repeat(pa.scalar(deleted, pa.bool_()), count),
            pa.array([_micros(state.delivery.as_of) for state in states], pa.int64()).cast(_STAMP),
            pa.array([_micros(state.delivery.known_at) for state in states], pa.int64()).cast(_STAMP),
            pa.array([state.hash for state in states], pa.string()),
        ],
        schema=_SCHEMA,
    )
