"""Keeps account of what Stripe showed and what is here: rows that are missing, of another state, or gone at Stripe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from takings.catalog.model import Catalog
from takings.clock import from_unix
from takings.errors import TakingsError
from takings.proof.reading import Read, Reader
from takings.sync.cut import Cutter
from takings.sync.findings import Kind
from takings.sync.follow import EVENTS_TABLE
from takings.sync.plan import Window
from takings.sync.stretches import Stretch
from takings.warehouse import Delivery, Scope, Warehouse
from takings.warehouse.engine import Session
from takings.warehouse.integrity import living, within
from takings.warehouse.tables import Table

Differing = dict[tuple[str, Kind], dict[str, str]]
"""By table and kind: ids of rows that differ, each with its parent's id, empty for none."""


@dataclass(slots=True)
class _Group:
    stretch: Stretch
    open: int = 0
    seen: set[str] = field(default_factory=set)
    began: datetime | None = None
    failed: bool = False


@dataclass(slots=True)
class _Whole:
    table: str
    parent: str
    began: datetime
    seen: set[str] = field(default_factory=set)


class Comparing:
    """Compares what a reader gives with the warehouse, in batches. Memory is bounded by a list that cannot be cut by time.

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
        batch_rows: Rows compared at once, about.
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
        batch_rows: int = 4_000,
        search: bool = True,
    ) -> None:
        self._warehouse, self._tables, self._catalog, self._scope = warehouse, tables, catalog, scope
        self._reader, self._by_id, self._told_until = reader, by_id, told_until
        self._watched, self._batch_rows, self._search = frozenset(watched), batch_rows, search
        self._inner = {n.path or "": n.table for kept in cutter.nested.values() for n in kept}
        self._writer = warehouse.writer()
        self._groups: dict[str, _Group] = {}
        self._wholes: dict[str, _Whole] = {}
        self._ended: list[_Whole] = []
        self._listed: list[_Group] = []
        self._asked: set[tuple[str, str]] = set()
        self._pending: list[Delivery] = []
        self._pending_rows = 0
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
        elif window.purpose == "whole" and read.pieces is not None:
            self._step_whole(read)
        if self._pending_rows >= self._batch_rows:
            self.flush()

    def _deliver(self, read: Read) -> None:
        assert read.pieces is not None
        if self._watched:
            for delivery in read.pieces.deliveries:
                self.seen.update(item.id for item in delivery.items if item.id in self._watched)
        for delivery in read.pieces.deliveries:
            if delivery.items or delivery.all_of:
                self._pending.append(delivery)
                self._pending_rows += len(delivery.items)
                self.rows[delivery.table] += len(delivery.items)
        wholes = [one for one in read.pieces.windows if (one.list, one.parent) not in self._asked]
        self._asked.update((one.list, one.parent) for one in wholes)
        if wholes:
            self._reader.offer(replace(one, purpose="whole", check=read.before.check) for one in wholes)

    def _step(self, group: _Group, read: Read) -> None:
        group.failed |= read.failure is not None
        if group.began is None or read.asked_at < group.began:
            group.began = read.asked_at
        fresh = set(read.ids) - group.seen
        group.seen |= fresh
        self.shown[group.stretch.list] += len(fresh)
        group.open += len(read.born)
        group.open -= read.after.done
        if group.open == 0 and not group.failed and self._search:
            self._listed.append(group)

    def _step_whole(self, read: Read) -> None:
        window = read.before
        table = self._inner.get(window.list) or self._catalog.endpoint(window.list).table
        whole = self._wholes.setdefault(window.id, _Whole(table, window.parent, read.asked_at))
        whole.seen.update(read.ids)
        if read.after.done:
            self._ended.append(self._wholes.pop(window.id))

    def flush(self) -> bool:
        """Compare what has come and was not compared yet; return whether more is to be read because of it."""
        deliveries, self._pending, self._pending_rows = self._pending, [], 0
        ended, self._ended = self._ended, []
        listed, self._listed = self._listed, []
        if deliveries:
            self._compare(deliveries)
        doubtful: list[Window] = []
        if listed or ended:
            with self._warehouse.reading() as session:
                for group in listed:
                    doubtful += self._look_for_ghosts(session, group)
                    group.seen = set()
                self._look_for_inner_ghosts(session, ended)
        self._reader.offer(doubtful)
        return bool(doubtful)

    def _look_for_ghosts(self, session: Session, group: _Group) -> list[Window]:
        """Return the windows that ask for rows which a stretch did not show though they are here."""
        stretch = group.stretch
        table = self._catalog.endpoint(stretch.list).table
        if table == EVENTS_TABLE:
            return []  # Stripe forgets its events; we do not
        bounds = (stretch.start, stretch.end) if stretch.bounded else (None, None)
        typed = self._tables[table]
        rows = session.execute(
            f"SELECT t.id FROM {typed.name} AS t WHERE t._account = $account AND t._livemode = $livemode "
            f"AND t._deleted_at IS NULL AND t._version_at < $began{within(typed, *bounds)}",
            {"account": self._scope.account, "livemode": self._scope.livemode, "began": group.began},
        ).fetchall()
        doubtful: list[Window] = []
        for (identifier,) in rows:
            if identifier in group.seen:
                continue
            window = self._by_id(table, identifier)
            if window is None:
                self._note(table, "ghost", identifier)
            else:
                doubtful.append(replace(window, purpose="confirm"))
        return doubtful

    def _look_for_inner_ghosts(self, session: Session, ended: list[_Whole]) -> None:
        by_table: dict[str, dict[str, _Whole]] = {}
        for whole in ended:
            by_table.setdefault(whole.table, {})[whole.parent] = whole
        for table, wholes in by_table.items():
            for identifier, parent, at in self._living(session, table, list(wholes), ids=False):
                if identifier not in wholes[parent].seen and at < wholes[parent].began:
                    self._note(table, "ghost", identifier, parent)

    def _compare(self, deliveries: list[Delivery]) -> None:
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
