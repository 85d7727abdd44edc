"""Keeps account of what Stripe showed and what is here: rows that are missing, of another state, or gone at Stripe.

What Stripe shows of a stretch is kept as ids and hashes until the stretch was read to its end; then the rows that are here
are looked up once, by the stretch's own range of time, so that each row is read once however many pages there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

import pyarrow as pa

from takings.catalog.model import Catalog
from takings.clock import from_unix
from takings.errors import TakingsError
from takings.proof.reading import Read, Reader
from takings.sync.cut import Cutter
from takings.sync.findings import Kind
from takings.sync.follow import EVENTS_TABLE
from takings.sync.plan import BY_ID, Window
from takings.sync.stretches import Stretch
from takings.warehouse import Delivery, Scope, Warehouse
from takings.warehouse.engine import Session
from takings.warehouse.integrity import living, within
from takings.warehouse.tables import Table

#: Rows that are looked up together, about.
TOGETHER: Final = 20_000

Differing = dict[tuple[str, Kind], dict[str, str]]
"""By table and kind: ids of rows that differ, each with its parent's id, empty for none."""


class _Shown(NamedTuple):
    """A row as Stripe shows it."""

    hash: str
    as_of: datetime
    created: int | None
    parent: str


@dataclass(slots=True)
class _Group:
    """What Stripe has shown of a stretch so far."""

    stretch: Stretch
    open: int = 0
    shown: dict[str, _Shown] = field(default_factory=dict)
    began: datetime | None = None
    failed: bool = False


@dataclass(slots=True)
class _Whole:
    """What Stripe has shown of a list inside an object so far."""

    table: str
    parent: str
    began: datetime
    shown: dict[str, _Shown] = field(default_factory=dict)


@dataclass(slots=True)
class _Inner:
    """Rows inside objects that wait to be looked up, with the objects whose rows were all shown, and when."""

    shown: dict[str, _Shown] = field(default_factory=dict)
    parents: dict[str, datetime] = field(default_factory=dict)


class Comparing:
    """Compares what a reader gives with the warehouse. Memory is bounded by the youngest stretches and by lists read whole.

    Args:
        warehouse: What is here.
        tables: Every typed table by name.
        catalog: What lists there are.
        cutter: Knows the lists inside objects.
        scope: Whose rows.
        reader: Is asked for more: lists inside objects that go on, rows that a list did not show.
        by_id: Gives the address of single objects.
        told_until: For each table, the moment from which on rows are new and no difference.
        watched: Ids of which it is to be told whether Stripe showed them.
        search: True to look for rows here that lists did not show.
    """

    def __init__(
        self,
        *,
        warehouse: Warehouse,
        tables: Mapping[str, Table],
        catalog: Catalog,
        cutter: Cutter,
        scope: Scope,
        reader: Reader,
        by_id: Callable[[str, str], Window | None],
        told_until: Mapping[str, datetime],
        watched: Collection[str] = (),
        search: bool = True,
    ) -> None:
        self._warehouse, self._tables, self._catalog, self._scope = warehouse, tables, catalog, scope
        self._reader, self._by_id, self._told_until = reader, by_id, told_until
        self._watched, self._search = frozenset(watched), search
        self._inner = {n.path or "": n.table for kept in cutter.nested.values() for n in kept}
        self._writer = warehouse.writer()
        self._groups: dict[str, _Group] = {}
        self._wholes: dict[str, _Whole] = {}
        self._listed: list[_Group] = []
        self._within: dict[str, _Inner] = {}
        self._waiting = 0
        self._asked: set[tuple[str, str]] = set()
        self._single: list[Delivery] = []
        self.differing: Differing = {}
        self.failures: dict[str, TakingsError] = {}
        self.rows: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.shown: Counter[str] = Counter()
        self.fresh: Counter[str] = Counter()
        self.seen: set[str] = set()

    def add(self, stretch: Stretch, windows: Iterable[Window]) -> None:
        """Have a stretch compared by its windows."""
        group = self._groups.setdefault(stretch.id, _Group(stretch))
        found = list(windows)
        group.open += len(found)
        self._reader.offer(found)

    def take(self, read: Read) -> None:
        """Take note of one answer; compare what has come together."""
        window = read.before
        self.requests[window.list] += read.requests
        if read.failure is not None:
            self.failures.setdefault(window.list, read.failure)
        if read.pieces is not None:
            self._deliver(read)
        group = self._groups.get(window.check)
        if group is not None and window.purpose == "deep":
            self._step(group, read)
        if self._waiting >= TOGETHER:
            self.flush()

    def _deliver(self, read: Read) -> None:
        """Take rows in: those of single objects as they are, others as ids and hashes."""
        assert read.pieces is not None
        window, (own, *inner) = read.before, read.pieces.deliveries
        for delivery in read.pieces.deliveries:
            self.rows[delivery.table] += len(delivery.items)
            if self._watched:
                self.seen.update(item.id for item in delivery.items if item.id in self._watched)
        further = [one for one in read.pieces.windows if (one.list, one.parent) not in self._asked]
        self._asked.update((one.list, one.parent) for one in further)
        self._reader.offer(replace(one, purpose="whole", check=window.check) for one in further)
        if window.purpose in BY_ID:
            self._single += [one for one in read.pieces.deliveries if one.items or one.all_of]
            return
        shown = {item.id: _Shown(item.hash, own.as_of, item.created, own.parent or "") for item in own.items}
        group = self._groups.get(window.check)
        if window.purpose == "whole":
            self._step_whole(read, shown)
        elif group is not None:
            group.shown.update(shown)
        for delivery in inner:
            self._take_inner(
                delivery.table,
                {item.id: _Shown(item.hash, delivery.as_of, None, delivery.parent or "") for item in delivery.items},
                delivery.parent if delivery.all_of else None,
                delivery.as_of,
            )

    def _take_inner(self, table: str, shown: dict[str, _Shown], parent: str | None, began: datetime) -> None:
        inner = self._within.setdefault(table, _Inner())
        inner.shown.update(shown)
        if parent is not None:
            inner.parents[parent] = began
        self._waiting += len(shown)

    def _step(self, group: _Group, read: Read) -> None:
        group.failed |= read.failure is not None
        if group.began is None or read.asked_at < group.began:
            group.began = read.asked_at
        group.open += len(read.born)
        group.open -= read.after.done
        if group.open == 0:
            self._listed.append(group)
            self._waiting += len(group.shown)
            self.shown[group.stretch.list] += len(group.shown)

    def _step_whole(self, read: Read, shown: dict[str, _Shown]) -> None:
        window = read.before
        table = self._inner.get(window.list) or self._catalog.endpoint(window.list).table
        whole = self._wholes.setdefault(window.id, _Whole(table, window.parent, read.asked_at))
        whole.shown.update(shown)
        if read.after.done:
            del self._wholes[window.id]
            self._take_inner(table, whole.shown, whole.parent, whole.began)

    def flush(self) -> bool:
        """Compare what has come and was not compared yet; return whether more is to be read because of it."""
        single, self._single = self._single, []
        listed, self._listed = self._listed, []
        inner, self._within = self._within, {}
        self._waiting = 0
        if single:
            self._compare(single)
        doubtful: list[Window] = []
        if listed or inner:
            with self._warehouse.reading() as session:
                for group in listed:
                    doubtful += self._judge_listed(session, group)
                    group.shown = {}
                for table, rows in inner.items():
                    self._judge_inner(session, table, rows)
        self._reader.offer(doubtful)
        return bool(doubtful)

    def _judge_listed(self, session: Session, group: _Group) -> list[Window]:
        """Compare a stretch; return the windows that ask for rows which it did not show though they are here."""
        stretch = group.stretch
        table = self._catalog.endpoint(stretch.list).table
        typed = self._tables[table]
        span = within(typed, [(stretch.start, stretch.end)]) if stretch.bounded else ""
        rows = session.execute(
            f"SELECT t.id, t._hash, t._version_at, t._deleted_at IS NOT NULL FROM {typed.name} AS t "
            f"WHERE t._account = $account AND t._livemode = $livemode{span}",
            {"account": self._scope.account, "livemode": self._scope.livemode},
        ).fetchall()
        began = None if group.failed or not self._search else group.began
        doubtful: list[Window] = []
        for identifier in self._judge(table, group.shown, rows, began):
            window = self._by_id(table, identifier)
            if window is None:
                self._note(table, "ghost", identifier)
            else:
                doubtful.append(replace(window, purpose="confirm"))
        return doubtful

    def _judge_inner(self, session: Session, table: str, inner: _Inner) -> None:
        """Compare rows inside objects, and look for others of the same objects that are gone."""
        session.register("shown", pa.table({"id": pa.array(list(inner.shown), pa.string())}))
        session.register("parents", pa.table({"id": pa.array(list(inner.parents), pa.string())}))
        rows = session.execute(
            f"SELECT t.id, t._hash, t._version_at, t._deleted_at IS NOT NULL, t._parent FROM {self._tables[table].name} AS t "
            "WHERE t._account = $account AND t._livemode = $livemode "
            "AND (t.id IN (SELECT id FROM shown) OR t._parent IN (SELECT id FROM parents))",
            {"account": self._scope.account, "livemode": self._scope.livemode},
        ).fetchall()
        session.unregister("shown")
        session.unregister("parents")
        self._judge(table, inner.shown, rows, None)
        for identifier, _, at, deleted, parent in rows:
            began = inner.parents.get(parent)
            if identifier not in inner.shown and not deleted and began is not None and at < began:
                self._note(table, "ghost", identifier, parent)

    def _judge(
        self,
        table: str,
        shown: Mapping[str, _Shown],
        rows: Iterable[tuple[str, str, datetime, bool]] | Iterable[tuple[str, str, datetime, bool, str]],
        began: datetime | None,
    ) -> list[str]:
        """Note rows that are missing or of another state; return those that are here and were not shown.

        Args:
            table: Whose rows.
            shown: What Stripe shows.
            rows: What is here: id, hash, when Stripe stood for it, whether it is marked as deleted.
            began: Rows younger than this are not returned; None: none are.
        """
        here: set[str] = set()
        unseen: list[str] = []
        for identifier, content, at, deleted, *_ in rows:
            theirs = shown.get(identifier)
            if theirs is None:
                # Stripe forgets its events; we do not.
                if began is not None and not deleted and at < began and table != EVENTS_TABLE:
                    unseen.append(identifier)
                continue
            here.add(identifier)
            # An event says how many webhooks still wait for it: that changes, and is no news.
            if (deleted or content != theirs.hash) and at < theirs.as_of and table != EVENTS_TABLE:
                self._note(table, "stale", identifier, theirs.parent)
        for identifier in shown.keys() - here:
            if self._is_fresh(table, shown[identifier].created):
                self.fresh[table] += 1
            else:
                self._note(table, "missing", identifier, shown[identifier].parent)
        return unseen

    def _compare(self, deliveries: list[Delivery]) -> None:
        """Compare single objects with what they hold, as a write of them would."""
        result = self._writer.compare(deliveries)
        for (table, _), change in result.tables.items():
            if not change:
                continue
            new, changed = set(change.new_ids), set(change.changed_ids)
            for delivery in deliveries:
                if delivery.table != table or delivery.deleted:
                    continue
                for item in delivery.items:
                    if item.id in new:
                        if self._is_fresh(table, item.created):
                            self.fresh[table] += 1
                        else:
                            self._note(table, "missing", item.id, delivery.parent or "")
                    elif item.id in changed and table != EVENTS_TABLE:
                        # An event says how many webhooks still wait for it: that changes, and is no news.
                        self._note(table, "stale", item.id, delivery.parent or "")
            for identifier in change.deleted_ids:
                self._note(table, "ghost", identifier)

    def _note(self, table: str, kind: Kind, identifier: str, parent: str = "") -> None:
        self.differing.setdefault((table, kind), {})[identifier] = parent

    def _is_fresh(self, table: str, created: int | None) -> bool:
        until = self._told_until.get(table)
        return until is not None and created is not None and from_unix(created) >= until

    def _living(self, session: Session, table: str, named: list[str], *, ids: bool) -> list[tuple[str, str, datetime]]:
        asked = {"account": self._scope.account, "livemode": self._scope.livemode, "ids": named}
        return session.execute(living(self._tables[table], ids=ids), asked).fetchall()

    def alive(self, table: str, ids: Iterable[str]) -> set[str]:
        """Return those rows of a table that are here and not marked as deleted."""
        wanted = list(ids)
        if not wanted:
            return set()
        with self._warehouse.reading() as session:
            return {row[0] for row in self._living(session, table, wanted, ids=True)}
