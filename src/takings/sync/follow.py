"""Turns Stripe's events into states of objects, and says which objects have to be asked for because an event does not tell."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from takings.catalog.model import Catalog, ListEndpoint, Resource
from takings.clock import from_unix
from takings.stripe import Item as Received
from takings.sync import plan
from takings.sync.cut import Cutter, Pieces, Stamp
from takings.sync.plan import Purpose, Window
from takings.warehouse import Delivery, Item, Scope, Warehouse

EVENTS_TABLE: Final = "events"
#: An event knows whole seconds. What is deleted stays deleted: it comes after all else of its second.
_DEAUTHORIZED: Final = "account.application.deauthorized"
_END_OF_SECOND: Final = timedelta(microseconds=999_999)


class _Data(msgspec.Struct):
    object: msgspec.Raw = msgspec.Raw(b"")


class _Event(msgspec.Struct):
    id: str
    type: str
    created: int
    api_version: str | None = None
    data: _Data | None = None


class _Head(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    created: int | None = None
    deleted: bool = False


_event = msgspec.json.Decoder(_Event)
_head = msgspec.json.Decoder(_Head)

_KNOWN = (
    "SELECT e.id AS id FROM stripe.events AS e "
    "WHERE e._account = $account AND e._livemode = $livemode AND e.created >= $since"
)


class Follower:
    """Reads the events of one cycle. Safe for threads once made: pages may come side by side and in any order.

    Args:
        catalog: What objects there are.
        cutter: Cuts objects and the lists inside them.
        known: Ids of events that were made use of before.

    Attributes:
        tables: Tables of which events told something new.
        objects: Ids of objects of which events told something new.
        fresh: Ids of the events that were new.
        deauthorized: True where an event says that the account has ended this access.
        newest: Moment of the newest event seen, new or not; None: none was seen.
    """

    def __init__(self, catalog: Catalog, cutter: Cutter, known: Iterable[str] = ()) -> None:
        self._catalog, self._cutter = catalog, cutter
        self._known = frozenset(known)
        self.tables: set[str] = set()
        self.objects: set[str] = set()
        self.fresh: set[str] = set()
        self.newest: datetime | None = None
        self.deauthorized = False
        self._moments: dict[str, datetime] = {}
        self._one_at_a_time = threading.Lock()
        self._by_id: dict[str, tuple[ListEndpoint | None, ListEndpoint | None]] = {}

    @staticmethod
    def known(warehouse: Warehouse, scope: Scope, since: datetime) -> set[str]:
        """Return the ids of the events since a moment that the warehouse has."""
        asked = {"account": scope.account, "livemode": scope.livemode, "since": since}
        return {row[0] for row in warehouse.query(_KNOWN, asked).rows}

    def pieces(self, received: Sequence[Received], stamp: Stamp) -> Pieces:
        """Cut a page of events: the new ones as rows of their own, the states they carry, and the objects to ask for.

        A state that is older than what the warehouse has does no harm, since the newest wins.
        """
        with self._one_at_a_time:
            return self._pieces(received, stamp)

    def _pieces(self, received: Sequence[Received], stamp: Stamp) -> Pieces:
        found = Pieces([])
        if stamp.source == "list":
            self._moments |= {item.id: from_unix(item.created) for item in received if item.created is not None}
            self.newest = max(self._moments.values(), default=None)
        fresh = [item for item in received if item.id and item.id not in self._known and item.id not in self.fresh]
        if not fresh:
            return found
        self.fresh.update(item.id for item in fresh)
        found.deliveries += self._cutter.objects(EVENTS_TABLE, fresh, stamp).deliveries
        for item in fresh:
            self._take(item.raw, stamp, found)
        return found

    def _take(self, payload: bytes, stamp: Stamp, found: Pieces) -> None:
        try:
            event = _event.decode(payload)
            raw = bytes(event.data.object) if event.data else b""
            head = _head.decode(raw)
        except msgspec.MsgspecError:
            return
        self.deauthorized |= event.type == _DEAUTHORIZED
        resource = self._catalog.by_event(event.type) or (self._catalog.by_object(head.object) if head.object else None)
        if resource is None or head.id is None or head.object not in (resource.object, *resource.objects):
            return
        self.tables.add(resource.table)
        self.objects.add(head.id)
        version = event.api_version or self._catalog.api_version
        moment = from_unix(event.created)
        parent = self._cutter.parent_of(resource.table, raw)
        if _is_deletion(event.type, resource, head):
            found.deliveries.append(
                Delivery(
                    table=resource.table,
                    scope=stamp.scope,
                    items=(Item.of(head.id, head.created, raw),),
                    as_of=moment + _END_OF_SECOND,
                    known_at=stamp.known_at,
                    source="event" if stamp.source == "list" else stamp.source,
                    api_version=version,
                    parent=parent or None,
                    deleted=True,
                )
            )
            return
        window = self.by_id(resource.table, head.id, parent, start=head.created)
        if version != self._catalog.api_version and window is not None:
            found.windows.append(window)
            return
        state = Stamp(stamp.scope, moment, stamp.known_at, version, "event" if stamp.source == "list" else stamp.source)
        item = Received(head.id, head.object or "", head.created, raw)
        cut = self._cutter.objects(resource.table, [item], state, parent)
        found.deliveries += cut.deliveries
        found.windows += cut.windows
        if window is not None and self._cutter.is_cut_short(resource.table, raw):
            found.windows.append(window)

    def seen_since(self, moment: datetime) -> frozenset[str]:
        """Return the ids of events of a moment or later that Stripe showed, new or not."""
        return frozenset(key for key, made in self._moments.items() if made >= moment)

    def by_id(
        self, table: str, identifier: str, parent: str = "", *, purpose: Purpose = "refetch", start: int | None = None
    ) -> Window | None:
        """Return the window that asks for one object of a table; None where Stripe gives no address for it."""
        if table not in self._by_id:
            lists = self._catalog.for_table(table)
            top = next((known for known in lists if not known.needs and not known.computed), None)
            below = next((known for known in lists if known.top_level is False and len(known.needs) == 1), None)
            self._by_id[table] = (top, below)
        top, below = self._by_id[table]
        if parent and below is not None:
            return plan.by_id(below.path, identifier, parent, purpose=purpose, start=start)
        return plan.by_id(top.path, identifier, purpose=purpose, start=start) if top is not None else None


def _is_deletion(kind: str, resource: Resource, head: _Head) -> bool:
    # A subscription that ends sends "deleted" too, yet it stays: canceled.
    return (kind.endswith(".deleted") and resource.table != "subscriptions") or head.deleted
