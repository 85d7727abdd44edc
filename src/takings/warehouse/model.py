"""The values that go into the warehouse and come out of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

VersionSource = Literal["list", "event", "webhook", "refetch", "bridge"]


def content_hash(raw: bytes) -> str:
    """Return the hash of a minified payload by which two states are told apart: BLAKE2b, 128 bits, hexadecimal."""
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


class Item(NamedTuple):
    """One object on its way in. Make it with :meth:`of`."""

    id: str
    created: int | None  # Unix seconds; None where the object has none
    raw: bytes  # minified JSON
    hash: str

    @classmethod
    def of(cls, identifier: str, created: int | None, raw: bytes) -> Item:
        """Return an object with the hash of its content."""
        return cls(identifier, created, raw, content_hash(raw))


class Scope(NamedTuple):
    """Whose rows: part of every key."""

    account: str
    livemode: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Objects of one table that Stripe gave at one moment.

    Attributes:
        table: Name in schema ``stripe``.
        scope: Whose they are.
        items: The objects; one that comes twice counts once.
        as_of: Moment Stripe stood for this state, aware.
        known_at: Moment we knew it, aware.
        source: Where it came from.
        api_version: Version of Stripe's API that shaped it.
        parent: Id of the parent for child tables, else None.
        deleted: True when Stripe says the objects are gone: their last rows stay, marked.
    """

    table: str
    scope: Scope
    items: tuple[Item, ...]
    as_of: datetime
    known_at: datetime
    source: VersionSource
    api_version: str
    parent: str | None = None
    deleted: bool = False


@dataclass(slots=True)
class TableChange:
    """What one write did to one table, in rows."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0


@dataclass(slots=True)
class WriteResult:
    """What one write did."""

    tables: dict[tuple[str, Scope], TableChange] = field(default_factory=dict)

    def table(self, name: str, scope: Scope) -> TableChange:
        """Return the entry of a table, made when missing."""
        return self.tables.setdefault((name, scope), TableChange())

    @property
    def new(self) -> int:
        """Rows that were not there before."""
        return sum(change.new for change in self.tables.values())

    @property
    def changed(self) -> int:
        """Rows that took a newer state."""
        return sum(change.changed for change in self.tables.values())


class Column(NamedTuple):
    """A column of an answer or a table, with the engine's type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer.

    Attributes:
        columns: Names and types.
        rows: Values as Python has them: aware datetimes, Decimal, int, str, bool, None.
        truncated: True when a limit cut it short.
    """

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as a mapping from column name to value."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table and its columns."""

    schema: str
    name: str
    columns: tuple[Column, ...]
