"""Keeps account of a comparison with Stripe: which rows were shown, which were not and may be gone, and what differed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from takings.catalog.model import Catalog
from takings.clock import from_unix
from takings.sync.cut import Pieces
from takings.sync.findings import Finding, Kind
from takings.sync.follow import EVENTS_TABLE
from takings.sync.plan import Window
from takings.sync.stretches import Compared, Stretch
from takings.warehouse import Delivery, Item, Scope, Warehouse, WriteResult
from takings.warehouse.tables import quote

ById = Callable[[str, str], Window | None]
"""Returns the window that asks for one object of a table by its id; None where Stripe gives no address for it."""


@dataclass(slots=True)
class _Group:
    """What is known of one stretch while it is compared."""

    stretch: Stretch
    open: int = 0
    seen: set[str] = field(default_factory=set)
    began: datetime | None = None
    failed: bool = False
    deep: bool = False
    #: True once it was worked out which rows were not shown.
    searched: bool = False
    #: Requests for rows that the list did not show, and for the lists inside its objects.
    hidden: int = 0
    inner: int = 0


@dataclass(slots=True)
class _Whole:
    """What is known of one list inside an object while it is read."""

    window: Window
    began: datetime
    seen: set[str] = field(default_factory=set)
    done: bool = False


class Checking:
    """One run's comparison of stretches with Stripe. For the one thread that writes.

    Args:
        run_id: The run.
        warehouse: What is here.
        catalog: What tables there are.
        scope: Whose rows.
        stretches: What is compared.
        windows: The windows that do it, at their beginning.
        by_id: Gives the address of single objects.
        told_until: For each table, the moment from which on rows are new and no difference: as far as events, or looks at
            its new rows, had come before this run. Rows of tables that are missing here are all new.
        now: Gives the present.
    """

    def __init__(
        self,
        *,
        run_id: str,
        warehouse: Warehouse,
        catalog: Catalog,
        scope: Scope,
        stretches: Sequence[Stretch],
        windows: Sequence[Window],
        by_id: ById,
        told_until: Mapping[str, datetime],
        now: Callable[[], datetime],
    ) -> None:
        self._run_id, self._warehouse, self._catalog, self._scope = run_id, warehouse, catalog, scope
        self._by_id, self._told_until, self._now = by_id, told_until, now
        self._groups = {stretch.id: _Group(stretch) for stretch in stretches}
        self._wholes: dict[str, _Whole] = {}
        self._doubtful: list[Window] = []
        for window in windows:
            group = self._groups.get(window.check)
            if group is not None and window.purpose in ("check", "deep"):
                group.open += 1
                group.deep |= window.purpose == "deep"

    def seen(
        self,
        before: Window,
        after: Window,
        pieces: Pieces | None,
        asked_at: datetime | None,
        born: Sequence[Window] = (),
        *,
        requests: int = 0,
        failed: bool = False,
    ) -> None:
        """Take note of one step of one window, whatever came of it, and of the requests it took."""
        if before.purpose == "whole":
            self._seen_whole(before, after, pieces, asked_at)
        group = self._groups.get(before.check)
        if group is None:
            return
        group.failed |= failed
        group.hidden += requests if before.purpose == "confirm" else 0
        group.inner += requests if before.purpose == "whole" else 0
        if before.purpose not in ("check", "deep"):
            return
        if group.began is None or (asked_at is not None and asked_at < group.began):
            group.began = asked_at
        if pieces is not None and pieces.deliveries:
            group.seen.update(item.id for item in pieces.deliveries[0].items)
        group.open += sum(window.purpose == before.purpose and window.check == before.check for window in born)
        group.open -= after.done and not before.done

    def _seen_whole(self, before: Window, after: Window, pieces: Pieces | None, asked_at: datetime | None) -> None:
        if pieces is None or asked_at is None:
            return
        whole = self._wholes.setdefault(before.id, _Whole(before, asked_at))
        whole.seen.update(item.id for item in pieces.deliveries[0].items)
        whole.done = after.done

    def gone(self) -> list[Delivery]:
        """Return the rows that are gone for certain, to be marked; those that may be are asked for (:meth:`doubtful`).

        Raises:
            Unavailable: The warehouse is held by others; try again.
        """
        found: list[Delivery] = []
        read = [
            group
            for group in self._groups.values()
            if group.open == 0 and not group.searched and not group.failed and group.began is not None
        ]
        done = [(key, whole) for key, whole in self._wholes.items() if whole.done]
        # Most lists of most companies have nothing, and to look for rows in an empty table is dear.
        empty = self._warehouse.empty() if read or done else frozenset()
        for group in read:
            if self._catalog.endpoint(group.stretch.list).table not in empty:
                found += self._search(group)
            group.searched = True
        for key, whole in done:
            table = self._catalog.endpoint(whole.window.list).table
            ids = [] if table in empty else self._children(table, whole)
            if ids:
                found.append(self._delivery(table, ids, whole.began, whole.window.parent))
            del self._wholes[key]
        return found

    def doubtful(self) -> list[Window]:
        """Return, once, the windows that ask for rows which their list did not show."""
        found, self._doubtful = self._doubtful, []
        return found

    def _search(self, group: _Group) -> list[Delivery]:
        stretch = group.stretch
        table = self._catalog.endpoint(stretch.list).table
        if table == EVENTS_TABLE:
            return []  # Stripe forgets its events; we do not
        resource = self._catalog.resources[table]
        moment = quote(resource.created_field or "created") if stretch.bounded else None
        within = ""
        if moment is not None and stretch.start is not None:
            within += f" AND t.{moment} >= to_timestamp({stretch.start:d})"
        if moment is not None and stretch.end is not None:
            within += f" AND t.{moment} < to_timestamp({stretch.end:d})"
        rows = self._warehouse.query(
            f"SELECT t.id AS id FROM stripe.{quote(table)} AS t WHERE t._account = $account AND t._livemode = $livemode "
            f"AND t._deleted_at IS NULL AND t._version_at < $began{within}",
            {"account": self._scope.account, "livemode": self._scope.livemode, "began": group.began},
        ).rows
        certain: list[str] = []
        for (identifier,) in rows:
            if identifier in group.seen:
                continue
            window = self._by_id(table, identifier)
            if window is None:
                certain.append(identifier)
            else:
                self._doubtful.append(replace(window, purpose="confirm", check=stretch.id))
        assert group.began is not None
        return [self._delivery(table, certain, group.began, None)] if certain else []

    def _children(self, table: str, whole: _Whole) -> list[str]:
        rows = self._warehouse.query(
            f"SELECT t.id AS id FROM stripe.{quote(table)} AS t WHERE t._account = $account AND t._livemode = $livemode "
            "AND t._deleted_at IS NULL AND t._version_at < $began AND t._parent = $parent",
            {
                "account": self._scope.account,
                "livemode": self._scope.livemode,
                "began": whole.began,
                "parent": whole.window.parent,
            },
        ).rows
        return [row[0] for row in rows if row[0] not in whole.seen]

    def _delivery(self, table: str, ids: Sequence[str], began: datetime, parent: str | None) -> Delivery:
        items = tuple(Item.of(one, None, msgspec.json.encode({"id": one, "deleted": True})) for one in ids)
        return Delivery(
            table=table,
            scope=self._scope,
            items=items,
            as_of=began,
            known_at=self._now(),
            source="list",
            api_version=self._catalog.api_version,
            parent=parent,
            deleted=True,
        )

    def judged(self, steps: Sequence[tuple[Window, Pieces]], result: WriteResult) -> list[Finding]:
        """Return what a commit of compared rows found different, one finding for each table, kind and stretch."""
        changes = {
            table: (set(change.new_ids), set(change.changed_ids), set(change.deleted_ids))
            for (table, _), change in result.tables.items()
            if change
        }
        if not changes or not steps:
            return []
        found: dict[tuple[str, Kind, str], list[str]] = {}
        for window, pieces in steps:
            for delivery in pieces.deliveries:
                new, changed, _ = changes.get(delivery.table, (set(), set(), set()))
                for item in delivery.items:
                    if item.id in new and not self._is_fresh(delivery.table, item):
                        found.setdefault((delivery.table, "missing", window.check), []).append(item.id)
                    elif item.id in changed:
                        found.setdefault((delivery.table, "stale", window.check), []).append(item.id)
        for table, (_, _, deleted) in changes.items():
            if deleted:
                check = next((window.check for window, pieces in steps if _speaks_of(pieces, table)), "")
                found.setdefault((table, "ghost", check), []).extend(sorted(deleted))
        return [
            self._finding(table, kind, check, list(dict.fromkeys(ids))) for (table, kind, check), ids in found.items()
        ]

    def _is_fresh(self, table: str, item: Item) -> bool:
        """Tell whether a row is so new that nobody could have told of it yet."""
        until = self._told_until.get(table)
        return until is None or (item.created is not None and from_unix(item.created) >= until)

    def _finding(self, table: str, kind: Kind, check: str, ids: list[str]) -> Finding:
        resource = self._catalog.resources.get(table)
        stretch = self._groups[check].stretch if check in self._groups else None
        now = self._now()
        silent = resource is None or not resource.events or (kind == "stale" and not resource.updated_event)
        if kind == "ghost" and resource is not None:
            silent = not any(name.endswith(".deleted") for name in resource.events)
        return Finding(
            kind=kind,
            origin="reconcile",
            table=table,
            list=stretch.list if stretch else "",
            ids=tuple(ids),
            count=len(ids),
            start=from_unix(stretch.start) if stretch and stretch.start is not None else None,
            end=from_unix(stretch.end) if stretch and stretch.end is not None else None,
            silent=silent,
            since=stretch.listed_at if stretch else None,
            found_at=now,
            healed_at=now,
            healed_by="marked_deleted" if kind == "ghost" else "read_again",
            run_id=self._run_id,
        )

    def finished(self) -> dict[str, Compared]:
        """Return how the stretches compared to their end came out."""
        return {
            key: Compared(group.began, group.deep, len(group.seen), group.hidden, group.inner)
            for key, group in self._groups.items()
            if group.searched and not group.failed and group.began is not None
        }


def _speaks_of(pieces: Pieces, table: str) -> bool:
    return any(delivery.table == table for delivery in pieces.deliveries)
