"""A page of a list, cut into its raw objects without building any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from takings.clock import to_unix


class Malformed(ValueError):
    """A body is no list as Stripe sends them: cut off, garbled, or something else altogether."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a list.

    Attributes:
        id: Its id; empty where the list's objects have none.
        object: Stripe's word for its kind; empty where it is not said.
        created: Unix seconds, None where the object does not say.
        raw: The object as Stripe wrote it, without the white space.
    """

    id: str
    object: str
    created: int | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list.

    Attributes:
        items: Its objects, in Stripe's order (newest first for v1).
        has_more: Whether there is a further page.
        next_page_url: Where it is (v2 only).
        request_id: Stripe's name for the request, None where none was given.
        attempts: How many requests it took.
    """

    items: list[Item]
    has_more: bool
    next_page_url: str | None = None
    request_id: str | None = None
    attempts: int = 1


class _List(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool | None = None
    next_page_url: str | None = None


class _Head(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    created: int | str | None = None


_list = msgspec.json.Decoder(_List)
_head = msgspec.json.Decoder(_Head)


def cut(body: bytes) -> Page:
    """Cut the body of a v1 or v2 list into its objects.

    Raises:
        Malformed: The body is not JSON, or has no list of objects in ``data``.
    """
    try:
        found = _list.decode(msgspec.json.format(body, indent=-1))
        items = [_item(bytes(raw)) for raw in found.data]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed("The answer is no list of objects.") from error
    more = found.has_more if found.has_more is not None else bool(found.next_page_url)
    return Page(items, more, found.next_page_url or None)


def _item(raw: bytes) -> Item:
    try:
        head = _head.decode(raw)
    except msgspec.ValidationError:
        return _odd(raw)
    created = head.created
    return Item(head.id or "", head.object or "", _unix(created) if isinstance(created, str) else created, raw)


def _odd(raw: bytes) -> Item:
    """Read an object whose id, kind or time has an unheard-of type; keep it all the same."""
    found = msgspec.json.decode(raw)
    if not isinstance(found, dict):
        raise msgspec.DecodeError("not an object")

    def text(value: Any) -> str:
        return value if isinstance(value, str) else ""

    created = found.get("created")
    if isinstance(created, bool) or not isinstance(created, int | float | str):
        created = None
    return Item(
        text(found.get("id")),
        text(found.get("object")),
        _unix(created) if isinstance(created, str) else None if created is None else int(created),
        raw,
    )


def _unix(text: str) -> int | None:
    """Read an RFC 3339 moment (v2) as Unix seconds; None where it is none."""
    try:
        return to_unix(datetime.fromisoformat(text))
    except ValueError:
        return None
