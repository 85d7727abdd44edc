"""Turns Stripe's events of late into newer states of objects that a list read by time does not show again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from takings.catalog.model import Catalog, Resource
from takings.clock import from_unix
from takings.stripe import Item as Received
from takings.sync.cut import Cutter, Pieces, Stamp
from takings.warehouse import Delivery, Item, Scope, Warehouse


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

_EVENTS = (
    "SELECT v.payload FROM raw.versions AS v WHERE v.account = $account AND v.livemode = $livemode "
    "AND v.resource = 'events' AND v.id IN (SELECT e.id FROM stripe.events AS e WHERE e._account = $account "
    "AND e._livemode = $livemode AND e.created >= $since)"
)


def changes(
    warehouse: Warehouse, catalog: Catalog, scope: Scope, since: datetime, now: datetime, *, batch: int = 2000
) -> Iterator[list[Pieces]]:
    """Give the states that events since a moment carry, as rows for the warehouse.

    Only payloads in the catalogue's own API version are taken: others have other shapes. A state that is older than what
    the warehouse has does no harm, since the newest wins.
    """
    cutter = Cutter(catalog)
    asked = {"account": scope.account, "livemode": scope.livemode, "since": since}
    with warehouse.stream(_EVENTS, asked, batch=batch) as (_, batches):
        for rows in batches:
            found = [_pieces(catalog, cutter, scope, row[0].encode(), now) for row in rows]
            yield [pieces for pieces in found if pieces is not None]


def _pieces(catalog: Catalog, cutter: Cutter, scope: Scope, payload: bytes, now: datetime) -> Pieces | None:
    try:
        event = _event.decode(payload)
        raw = bytes(event.data.object) if event.data else b""
        head = _head.decode(raw)
    except msgspec.MsgspecError:
        return None
    resource = catalog.by_event(event.type) or (catalog.by_object(head.object) if head.object else None)
    if resource is None or head.id is None or head.object not in (resource.object, *resource.objects):
        return None
    stamp = Stamp(scope, from_unix(event.created), now, event.api_version or catalog.api_version, "event")
    if _is_deletion(event.type, resource, head):
        gone = Delivery(
            table=resource.table,
            scope=scope,
            items=(Item.of(head.id, head.created, raw),),
            as_of=stamp.as_of,
            known_at=now,
            source="event",
            api_version=stamp.api_version,
            deleted=True,
        )
        return Pieces([gone])
    if event.api_version != catalog.api_version:
        return None
    return cutter.objects(resource.table, [Received(head.id, head.object or "", head.created, raw)], stamp)


def _is_deletion(kind: str, resource: Resource, head: _Head) -> bool:
    # A subscription that ends sends "deleted" too, yet it stays: canceled.
    return (kind.endswith(".deleted") and resource.table != "subscriptions") or head.deleted
