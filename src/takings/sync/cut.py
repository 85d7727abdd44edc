"""Cuts what Stripe sends into rows for the warehouse: objects, the lists inside them, and which of those go on elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from takings.catalog.model import Catalog, ListEndpoint, NestedList, Resource
from takings.errors import Refused
from takings.stripe import Item as Received
from takings.stripe import Page
from takings.sync.plan import Window, new_window
from takings.warehouse import Delivery, Item, Scope
from takings.warehouse.model import VersionSource


class _Embedded(msgspec.Struct):
    data: list[msgspec.Raw] = []
    has_more: bool | None = None


class _Head(msgspec.Struct):
    id: str | None = None
    created: int | None = None


_T = TypeVar("_T")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_embedded = msgspec.json.Decoder(_Embedded)
_head = msgspec.json.Decoder(_Head)
_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_raws = msgspec.json.Decoder(list[msgspec.Raw] | None)

#: Lists of ids that ``expand[]`` turns into the objects they name, which have a table of their own.
_BY_ID = frozenset(("discounts",))
#: Said of a table whose objects came without what the key may not read of them.
PLAIN: Final = "The key may not read the discounts of these rows: give it the permission for coupons in Stripe, then read this table again."
_NAMED = re.compile(rb'"discounts":\["')


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all rows of one answer share: whose they are, when Stripe stood for them, when we knew, in which shape."""

    scope: Scope
    as_of: datetime
    known_at: datetime
    api_version: str
    source: VersionSource = "list"


@dataclass(slots=True)
class Pieces:
    """What one page came to.

    Attributes:
        deliveries: Rows for the warehouse, the page's own first.
        windows: Lists inside objects that go on beyond what was embedded, to be read whole.
        children: Rows that came embedded, by path of the nested list.
        unexpanded: Nested lists that were asked for, did not come, and are not read at their own address either.
    """

    deliveries: list[Delivery]
    windows: list[Window] = field(default_factory=list)
    children: dict[str, int] = field(default_factory=dict)
    unexpanded: set[str] = field(default_factory=set)


class Cutter:
    """Cuts pages of one catalogue's lists."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        #: The lists inside objects that are read with their parents, by table of the parent.
        self.nested: dict[str, tuple[NestedList, ...]] = {
            table: kept
            for table, resource in catalog.resources.items()
            if (kept := tuple(n for n in resource.nested if (n.always or n.expand) and n.path and "." not in n.field))
        }
        fed = {endpoint.table for endpoint in catalog.lists if not endpoint.needs and endpoint.default}
        #: Tables that nothing else fills: their rows are worth a request for each parent, should it come to that.
        self._only_here = {n.table for kept in self.nested.values() for n in kept} - fed
        #: Tables whose objects the key may list, but not with what further lists have of them.
        self._plain: set[str] = set()
        #: By table of children: the field of theirs that names their parent.
        self._parent_field: dict[str, str] = {}
        for table, kept in self.nested.items():
            words = {catalog.resources[table].object, *catalog.resources[table].objects}
            for nested in kept:
                for known in catalog.resources[nested.table].fields:
                    if known.kind == "id" and words & set(known.target):
                        self._parent_field.setdefault(nested.table, known.name)

    def expanded(self, table: str) -> tuple[str, ...]:
        """Return the fields of a table's objects that are asked for with ``expand[]`` when they are listed."""
        nested = tuple(nested.field for nested in self.nested.get(table, ()) if nested.expand)
        return nested if table in self._plain else (*nested, *self._catalog.resources[table].expand)

    def is_plain(self, table: str) -> bool:
        """Tell whether a table's objects come without what the key may not read of them."""
        return table in self._plain

    def asked(self, table: str, ask: Callable[[tuple[str, ...]], _T]) -> _T:
        """Ask for objects with all that comes when asked for, or without what the key may not read of it.

        A key that may list subscriptions is refused when they are asked for with their discounts and it may not read those.

        Args:
            table: Where the objects go.
            ask: Asks Stripe, given the fields to expand.

        Raises:
            TakingsError: What ``ask`` raises.
        """
        while True:
            expand = self.expanded(table)
            try:
                return ask(expand)
            except Refused as error:
                more = set(self._catalog.resources[table].expand).intersection(expand)
                if error.code != "stripe.permission_missing" or not more:
                    raise
                self._plain.add(table)  # others may be asking for more, too, and come by here as well

    def is_cut_short(self, table: str, raw: bytes) -> bool:
        """Tell whether an event's payload lacks something that nothing else gives: it comes only when asked for.

        Args:
            table: Where the object goes.
            raw: The payload.
        """
        if any(nested.expand and nested.table in self._only_here for nested in self.nested.get(table, ())):
            return True
        expand = self._catalog.resources[table].expand
        if not all(name.rpartition(".")[2] in _BY_ID for name in expand):
            return True
        # An invoice's discounts are those of its subscription, which come with that.
        return bool(expand) and table != "invoices" and _NAMED.search(raw) is not None

    def page(self, endpoint: ListEndpoint, page: Page, stamp: Stamp, parent: str = "", *, look: bool = False) -> Pieces:
        """Cut a page of a list."""
        return self.objects(endpoint.table, page.items, stamp, parent, asked=True, look=look)

    def parent_of(self, table: str, raw: bytes) -> str:
        """Return the id of the parent that an object of a child table names itself; empty where it names none."""
        name = self._parent_field.get(table)
        part = _object.decode(raw).get(name) if name else None
        value = msgspec.json.decode(part) if part is not None else None
        if isinstance(value, dict):
            value = value.get("id")
        return value if isinstance(value, str) else ""

    def objects(
        self,
        table: str,
        received: Sequence[Received],
        stamp: Stamp,
        parent: str = "",
        *,
        asked: bool = False,
        look: bool = False,
    ) -> Pieces:
        """Cut objects of one table.

        Args:
            table: Where they go.
            received: The objects.
            stamp: What they share.
            parent: Id of their parent, for child tables.
            asked: True when their expandable lists were asked for: one that is missing is then read by its own address.
            look: True to look for children that are gone even where the parent is as it was.
        """
        resource = self._catalog.resources[table]
        nested = self.nested.get(table, ())
        pieces = Pieces([])
        items: list[Item] = []
        for item in received:
            identifier = item.id or self._name(resource, item.raw, stamp.scope)
            raw = item.raw
            if resource.expand:
                raw = self._folded(resource, raw, stamp, pieces)
            if nested:
                raw = self._nested(resource, nested, identifier, raw, stamp, pieces, asked, look)
            items.append(Item.of(identifier, item.created, raw))
        own = _delivery(table, stamp, items, parent or None)
        pieces.deliveries.insert(0, own)
        return pieces

    def _folded(self, resource: Resource, raw: bytes, stamp: Stamp, pieces: Pieces) -> bytes:
        """Put ids back where objects came in their place, and deliver those; the payload is then as events have it."""
        paths = [name.split(".") for name in resource.expand if name.rpartition(".")[2] in _BY_ID]
        if not paths or b'"discount"' not in raw:
            return raw
        fields = _object.decode(raw)
        found: list[msgspec.Raw] = []
        for path in paths:
            _fold(fields, path, found)
        if not found:
            return raw
        items = [Item.of(head.id, head.created, bytes(part)) for part in found if (head := _head.decode(part)).id]
        pieces.deliveries.append(_delivery("discounts", stamp, items, None))
        return msgspec.json.encode(fields)

    def _nested(
        self,
        resource: Resource,
        nested: tuple[NestedList, ...],
        identifier: str,
        raw: bytes,
        stamp: Stamp,
        pieces: Pieces,
        asked: bool,
        look: bool,
    ) -> bytes:
        """Take the lists out of an object; return its payload as it is without expansion."""
        fields = _object.decode(raw)
        stripped = False
        for kind in nested:
            part = fields.get(kind.field)
            found = _read(part) if part is not None else None
            if found is None:
                if asked and kind.table in self._only_here:
                    self._whole(kind, identifier, pieces)
                elif asked:
                    pieces.unexpanded.add(kind.path or "")
                continue
            if kind.expand:
                del fields[kind.field]
                stripped = True
            rows = [self._child(kind, row, stamp.scope) for row in found.data]
            all_of = None if found.has_more else resource.table
            if rows or all_of:
                pieces.deliveries.append(_delivery(kind.table, stamp, rows, identifier, all_of, look))
            if rows:
                path = kind.path or ""
                pieces.children[path] = pieces.children.get(path, 0) + len(rows)
            if found.has_more:
                self._whole(kind, identifier, pieces)
        return msgspec.json.encode(fields) if stripped else raw

    def _whole(self, kind: NestedList, parent: str, pieces: Pieces) -> None:
        if kind.path is not None:
            pieces.windows.append(new_window(kind.path, parent=parent))

    def _child(self, kind: NestedList, row: msgspec.Raw, scope: Scope) -> Item:
        raw = bytes(row)
        try:
            head = _head.decode(raw)
        except msgspec.ValidationError:
            head = _Head()
        return Item.of(head.id or self._name(self._catalog.resources[kind.table], raw, scope), head.created, raw)

    def _name(self, resource: Resource, raw: bytes, scope: Scope) -> str:
        """Name an object that has no id: by its key fields, else by the account, else by its content."""
        if not resource.key:
            return scope.account
        if resource.key != ("id",):
            fields = _object.decode(raw)
            if all(name in fields for name in resource.key):
                return "/".join(bytes(fields[name]).decode().strip('"') for name in resource.key)
        return hashlib.blake2b(raw, digest_size=12).hexdigest()


def _fold(fields: dict[str, msgspec.Raw], path: list[str], found: list[msgspec.Raw]) -> None:
    """Replace the objects in a list at the end of a path by their ids, noting them."""
    held = fields.get(path[0])
    if held is None:
        return
    if len(path) > 1:
        inside = _object.decode(held)
        rows = _rows.decode(inside["data"])
        for row in rows:
            _fold(row, path[2:], found)
        fields[path[0]] = msgspec.Raw(msgspec.json.encode(inside | {"data": msgspec.Raw(msgspec.json.encode(rows))}))
        return
    kept: list[msgspec.Raw] = []
    for part in _raws.decode(held) or ():
        whole = bytes(part).startswith(b"{")
        if whole:
            found.append(part)
            part = msgspec.Raw(msgspec.json.encode(_head.decode(part).id))
        kept.append(part)
    if kept:
        fields[path[0]] = msgspec.Raw(msgspec.json.encode(kept))


def _read(part: msgspec.Raw) -> _Embedded | None:
    try:
        return _embedded.decode(part)
    except msgspec.ValidationError:
        return None


def _delivery(
    table: str, stamp: Stamp, items: list[Item], parent: str | None, all_of: str | None = None, look: bool = False
) -> Delivery:
    return Delivery(
        table=table,
        scope=stamp.scope,
        items=tuple(items),
        as_of=stamp.as_of,
        known_at=stamp.known_at,
        source=stamp.source,
        api_version=stamp.api_version,
        parent=parent,
        all_of=all_of,
        look=look,
    )
