"""Writes deliveries: new versions are appended, the newest becomes the typed row, all in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
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
_FILLED: Final = (
    "SELECT DISTINCT v.resource FROM raw.versions AS v WHERE v.account = $1 AND v.livemode = $2 AND v.resource IN $3"
)


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


#: Tables whose history is asked: for these it matters since when a state stands, not only that it was seen.
_DATED: Final = frozenset(("subscriptions", "subscription_items"))


def _is_dated(state: _State) -> bool:
    """Tell whether a state says when it came to be; a list only says that it is."""
    return state.delivery.table in _DATED and state.delivery.source != "list"


@dataclass(slots=True)
class _Group:
    """The states of one table and one owner in a batch."""

    newest: dict[str, _State] = field(default_factory=dict)
    others: list[_State] = field(default_factory=list)
    gone: dict[str, _State] = field(default_factory=dict)
    #: For each parent that says what all its children are: their ids, and the delivery that says so.
    whole: dict[str, tuple[set[str], Delivery]] = field(default_factory=dict)

    def add(self, state: _State) -> None:
        had = self.newest.get(state.id)
        if had is None:
            self.newest[state.id] = state
        elif had.hash == state.hash:
            older, newer = sorted((had, state), key=lambda s: s.delivery.as_of)
            self.newest[state.id] = newer
            if _is_dated(older) and older.delivery.as_of < newer.delivery.as_of:
                self.others.append(older)
        else:
            older, newer = sorted((had, state), key=lambda s: s.rank)
            self.others.append(older)
            self.newest[state.id] = newer

    def add_whole(self, delivery: Delivery) -> None:
        assert delivery.parent is not None
        known = self.whole.get(delivery.parent)
        if known is None or delivery.as_of >= known[1].as_of:
            self.whole[delivery.parent] = ({item.id for item in delivery.items}, delivery)

    def add_gone(self, state: _State) -> None:
        known = self.gone.get(state.id)
        if known is None or state.rank > known.rank:
            self.gone[state.id] = state

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
        #: Tables in which an owner has, or had, rows: the others are asked nothing, since a question to a table is dear.
        self._filled: set[tuple[str, Scope]] = set()
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
        return self._tried(lambda session: self._transaction(session, groups), write=True)

    def compare(self, deliveries: Sequence[Delivery]) -> WriteResult:
        """Tell what :meth:`write` would do, and write nothing.

        Raises:
            Unavailable: The warehouse is held by others; try again later.
            KeyError: A delivery names a table that does not exist.
        """
        groups = self._sort(deliveries)

        def look(session: Session) -> WriteResult:
            result = WriteResult()
            self._look_for_rows(session, groups)
            for (name, scope), group in groups.items():
                change = result.table(name, scope)
                self._judge(session, self._tables[name], scope, group, change)
                if group.gone:
                    change.deleted_ids += self._alive(session, self._tables[name], scope, group)
            for (name, scope), ghosts in self._ghosts(session, groups, result).items():
                result.table(name, scope).deleted_ids += list(ghosts)
            for (name, scope), orphans in self._orphans(session, groups, result).items():
                result.table(name, scope).deleted_ids += list(orphans)
            return result

        return self._tried(look, write=False) if groups else WriteResult()

    def _tried(self, act: Callable[[Session], WriteResult], *, write: bool) -> WriteResult:
        for attempt in range(_ATTEMPTS):
            try:
                with self._engine.session(write=write) as session:
                    return act(session)
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
            if delivery.all_of is not None:
                group.add_whole(delivery)
            for item in delivery.items:
                (group.add_gone if delivery.deleted else group.add)(_State(*item, delivery))
        return {key: group for key, group in groups.items() if group.newest or group.gone or group.whole}

    def _transaction(self, session: Session, groups: dict[tuple[str, Scope], _Group]) -> WriteResult:
        result = WriteResult()
        versions: list[pa.Table] = []
        session.execute("BEGIN TRANSACTION")
        try:
            self._look_for_rows(session, groups)
            for (name, scope), group in groups.items():
                change = result.table(name, scope)
                if group.newest:
                    versions.extend(self._merge(session, self._tables[name], scope, group, change))
                if group.gone:
                    versions.extend(self._bury(session, self._tables[name], scope, group, change))
            for (name, scope), ghosts in self._ghosts(session, groups, result).items():
                change = result.table(name, scope)
                versions.extend(self._mark(session, self._tables[name], scope, ghosts, change))
            for (name, scope), orphans in self._orphans(session, groups, result).items():
                change = result.table(name, scope)
                versions.extend(self._mark(session, self._tables[name], scope, orphans, change))
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

    def _look_for_rows(self, session: Session, groups: dict[tuple[str, Scope], _Group]) -> None:
        """See in which of the tables owners have rows, at a session's moment. What has had some counts as filled for good.

        Every row has a version: one question to those of an owner answers for all tables. In a warehouse of many accounts, each
        table has rows of somebody, and an account that is new would ask each of them for nothing.
        """
        empty: frozenset[str] | None = None
        for scope in {scope for _, scope in groups}:
            unknown = {name for (name, whose), group in groups.items() if group.newest and whose == scope}
            unknown = {name for name in unknown if (name, scope) not in self._filled}
            if unknown and empty is None:
                empty = self._engine.empty(session)
            unknown -= empty or frozenset()
            if unknown:
                found = session.execute(_FILLED, [scope.account, scope.livemode, sorted(unknown)]).fetchall()
                self._filled |= {(name, scope) for (name,) in found}

    def _judge(
        self, session: Session, table: Table, scope: Scope, group: _Group, change: TableChange
    ) -> tuple[list[_State], list[_State], list[_State]]:
        """Decide which states become the row, noting it in ``change``.

        Returns:
            Those; the ones that came late; and the ones that say that an object is again as its row has it. Lists say so of
            nearly every row they show, and are not counted among these.
        """
        keep: list[_State] = []
        again: list[_State] = []
        late = list(group.others)
        if not group.newest:
            return keep, late, again
        here: dict[str, tuple[str, int, bool]] = {}
        if (table.resource.table, scope) in self._filled:
            bounds = group.bounds(table)
            session.register("incoming", pa.table({"id": pa.array(list(group.newest), pa.string())}))
            if session.execute(table.any_known(bounds)).fetchone():
                known_rows = session.execute(table.existing(bounds), [scope.account, scope.livemode]).fetchall()
                here = {row[0]: row[1:] for row in known_rows}
            session.unregister("incoming")
        tied = {
            other.id
            for other in group.others
            if _tied(_micros(other.delivery.as_of), _micros(group.newest[other.id].delivery.as_of))
        }
        for state in group.newest.values():
            known = here.get(state.id)
            if known is None:
                keep.append(state)
                change.new_ids.append(state.id)
                continue
            hash_here, version_us, deleted = known
            as_of_us = _micros(state.delivery.as_of)
            if hash_here == state.hash and not (deleted and as_of_us > version_us):
                change.unchanged += 1
                if as_of_us > version_us and state.delivery.source != "list":
                    again.append(state)
                elif as_of_us < version_us and _is_dated(state):
                    late.append(state)
                continue
            if hash_here != state.hash and not deleted and _tied(as_of_us, version_us):
                tied.add(state.id)
            if (as_of_us, state.hash) > (version_us, hash_here):
                keep.append(state)
                change.changed_ids.append(state.id)
            else:
                late.append(state)
                change.unchanged += 1
        change.tied_ids += sorted(tied)
        return keep, late, again

    def _merge(
        self, session: Session, table: Table, scope: Scope, group: _Group, change: TableChange
    ) -> list[pa.Table]:
        keep, late, again = self._judge(session, table, scope, group, change)
        found: list[pa.Table] = []
        if again:  # else what was in between, and comes late, would win over it
            moments = pa.array([_micros(state.delivery.as_of) for state in again], pa.int64()).cast(_STAMP)
            session.register("again", pa.table({"id": pa.array([s.id for s in again], pa.string()), "as_of": moments}))
            session.execute(table.stood, [scope.account, scope.livemode])
            session.unregister("again")
            found.append(_arrow(table.resource.table, scope, again))
        if change.changed_ids:
            session.register("leaving", pa.table({"id": pa.array(change.changed_ids, pa.string())}))
            session.execute(table.delete(group.bounds(table)), [scope.account, scope.livemode])
            session.unregister("leaving")
        if keep:
            incoming = _arrow(table.resource.table, scope, keep)
            session.register("incoming", incoming)
            session.execute(table.insert)
            session.unregister("incoming")
            found.append(incoming)
        if late:
            found.append(self._unknown(session, _arrow(table.resource.table, scope, late)))
        return found

    def _unknown(self, session: Session, late: pa.Table) -> pa.Table:
        """Return those of some late states that the versions do not hold yet.

        Of what events say of subscriptions the moment counts, too: a state that is there can have been there before.
        """
        session.register("late", late)
        known = session.execute(
            "SELECT DISTINCT v.id, v.hash, epoch_us(v.as_of) FROM raw.versions AS v "
            "WHERE (v.resource, v.id, v.hash) IN (SELECT (resource, id, hash) FROM late) "
            "AND v.account = (SELECT any_value(account) FROM late) AND v.livemode = (SELECT any_value(livemode) FROM late)"
        ).fetchall()
        session.unregister("late")
        moments = set(known)
        seen = {(id, hash_) for id, hash_, _ in known}
        picks: list[int] = []
        columns = (late[name].to_pylist() for name in ("id", "hash", "as_of", "resource", "source"))
        for index, (id, hash_, as_of, resource, source) in enumerate(zip(*columns, strict=True)):
            moment = (id, hash_, _micros(as_of))
            dated = resource in _DATED and source != "list"
            if moment not in moments and (dated or (id, hash_) not in seen):
                moments.add(moment)
                seen.add((id, hash_))
                picks.append(index)
        return late.take(pa.array(picks, pa.int64()))

    def _alive(self, session: Session, table: Table, scope: Scope, group: _Group) -> list[str]:
        """Return those ids said to be gone whose rows are here, not marked yet, and no newer than that."""
        session.register("leaving", pa.table({"id": pa.array(list(group.gone), pa.string())}))
        rows = session.execute(
            f"SELECT t.id, t._version_at FROM {table.name} AS t WHERE t._account = $1 AND t._livemode = $2 "
            "AND t._deleted_at IS NULL AND t.id IN (SELECT id FROM leaving)",
            [scope.account, scope.livemode],
        ).fetchall()
        session.unregister("leaving")
        return [row[0] for row in rows if row[1] <= group.gone[row[0]].delivery.as_of]

    def _bury(self, session: Session, table: Table, scope: Scope, group: _Group, change: TableChange) -> list[pa.Table]:
        """Mark rows as deleted; objects never seen before are added, marked, so that no late older state brings them up."""
        found: list[pa.Table] = []
        session.register("leaving", pa.table({"id": pa.array(list(group.gone), pa.string())}))
        here = {
            row[0]
            for row in session.execute(
                f"SELECT t.id FROM {table.name} AS t WHERE t._account = $1 AND t._livemode = $2 "
                "AND t.id IN (SELECT id FROM leaving)",
                [scope.account, scope.livemode],
            ).fetchall()
        }
        session.unregister("leaving")
        alive = self._alive(session, table, scope, group)
        if alive:
            found += self._mark(session, table, scope, {gone: group.gone[gone].delivery for gone in alive}, change)
        unseen = [state for state in group.gone.values() if state.id not in here]
        if unseen:
            incoming = _arrow(table.resource.table, scope, unseen, deleted=True)
            session.register("incoming", incoming)
            session.execute(table.insert)
            session.unregister("incoming")
            self._set_deleted(session, table, scope, {state.id: state.delivery for state in unseen})
            found.append(incoming)
        return found

    def _ghosts(
        self, session: Session, groups: dict[tuple[str, Scope], _Group], result: WriteResult
    ) -> dict[tuple[str, Scope], dict[str, Delivery]]:
        """Find children whose parent, in the state that is now the newest, does not have them any more."""
        found: dict[tuple[str, Scope], dict[str, Delivery]] = {}
        changed = {key: frozenset(change.changed_ids) for key, change in result.tables.items()}
        # Of a parent that came in several states at once, an older one may have brought children that the newest lacks.
        several = {key: frozenset(state.id for state in group.others) for key, group in groups.items()}
        for (name, scope), group in groups.items():

            def is_doubtful(parent: str, delivery: Delivery, scope: Scope = scope) -> bool:
                key = (delivery.all_of or "", scope)
                return delivery.look or parent in changed.get(key, ()) or parent in several.get(key, ())

            doubtful = {parent: whole for parent, whole in group.whole.items() if is_doubtful(parent, whole[1])}
            if not doubtful:
                continue
            session.register("parents", pa.table({"id": pa.array(list(doubtful), pa.string())}))
            rows = session.execute(
                f"SELECT t.id, t._parent, t._version_at FROM {self._tables[name].name} AS t WHERE t._account = $1 "
                "AND t._livemode = $2 AND t._deleted_at IS NULL AND t._parent IN (SELECT id FROM parents)",
                [scope.account, scope.livemode],
            ).fetchall()
            session.unregister("parents")
            ghosts = {
                row[0]: doubtful[row[1]][1]
                for row in rows
                if row[0] not in doubtful[row[1]][0] and row[2] < doubtful[row[1]][1].as_of
            }
            if ghosts:
                found[name, scope] = ghosts
        return found

    def _orphans(
        self, session: Session, groups: dict[tuple[str, Scope], _Group], result: WriteResult
    ) -> dict[tuple[str, Scope], dict[str, Delivery]]:
        """Find children whose parent has just been marked as deleted: what lies inside an object goes with it."""
        found: dict[tuple[str, Scope], dict[str, Delivery]] = {}
        for (name, scope), group in groups.items():
            buried = [one for one in result.table(name, scope).deleted_ids if one in group.gone]
            inside = {nested.table for nested in self._tables[name].resource.nested} & self._tables.keys()
            if not buried or not inside:
                continue
            session.register("parents", pa.table({"id": pa.array(buried, pa.string())}))
            for child in sorted(inside):
                rows = session.execute(
                    f"SELECT t.id, t._parent FROM {self._tables[child].name} AS t WHERE t._account = $1 "
                    "AND t._livemode = $2 AND t._deleted_at IS NULL AND t._parent IN (SELECT id FROM parents)",
                    [scope.account, scope.livemode],
                ).fetchall()
                if rows:
                    found.setdefault((child, scope), {}).update((row[0], group.gone[row[1]].delivery) for row in rows)
            session.unregister("parents")
        return found

    def _mark(
        self, session: Session, table: Table, scope: Scope, gone: dict[str, Delivery], change: TableChange
    ) -> list[pa.Table]:
        states = []
        for gone_id, delivery in gone.items():
            raw = msgspec.json.encode({"id": gone_id, "deleted": True})
            states.append(_State(gone_id, None, raw, content_hash(raw), delivery))
        self._set_deleted(session, table, scope, gone)
        change.deleted_ids += list(gone)
        return [_arrow(table.resource.table, scope, states, deleted=True)]

    def _set_deleted(self, session: Session, table: Table, scope: Scope, gone: dict[str, Delivery]) -> None:
        by_moment: dict[tuple[datetime, datetime], list[str]] = {}
        for gone_id, delivery in gone.items():
            by_moment.setdefault((delivery.as_of, delivery.known_at), []).append(gone_id)
        for (as_of, known_at), ids in by_moment.items():
            session.register("leaving", pa.table({"id": pa.array(ids, pa.string())}))
            session.execute(table.mark_deleted, [as_of, known_at, scope.account, scope.livemode])
            session.unregister("leaving")


def _tied(one_us: int, other_us: int) -> bool:
    """Tell whether the order of two moments is open: one is an event's, which knows whole seconds only, in the other's."""
    return one_us // 1_000_000 == other_us // 1_000_000 and (one_us % 1_000_000 == 0 or other_us % 1_000_000 == 0)


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
