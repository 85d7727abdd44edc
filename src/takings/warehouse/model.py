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


class Among(NamedTuple):
    """Whose rows the tables of schema ``sigma`` show, as Sigma has one account or a company's, and one mode, at a time."""

    livemode: bool = True
    accounts: tuple[str, ...] | None = None  # None: every account


EVERYBODY = Among()


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
        all_of: Table of the parent where the items are all that ``parent`` has: others of its are gone then. None: there
            may be more.
        look: Whether to look for such others even where the parent is as it was.
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
    all_of: str | None = None
    look: bool = False


@dataclass(slots=True)
class TableChange:
    """What one write did to one table, in rows; or what it would do, for :meth:`Writer.compare`.

    Attributes:
        new_ids: Rows that were not there.
        changed_ids: Rows that took a newer state (one that had been marked as deleted and is back included).
        deleted_ids: Rows that were marked as deleted.
        tied_ids: Rows of which two different states claim the same second: which is the newer cannot be told.
        unchanged: Rows that were delivered as they were, or older than they are.
    """

    new_ids: list[str] = field(default_factory=list)
    changed_ids: list[str] = field(default_factory=list)
    deleted_ids: list[str] = field(default_factory=list)
    tied_ids: list[str] = field(default_factory=list)
    unchanged: int = 0

    @property
    def new(self) -> int:
        """Rows that were not there."""
        return len(self.new_ids)

    @property
    def changed(self) -> int:
        """Rows that took a newer state."""
        return len(self.changed_ids)

    @property
    def deleted(self) -> int:
        """Rows that were marked as deleted."""
        return len(self.deleted_ids)

    def __bool__(self) -> bool:
        """Whether it changed anything."""
        return bool(self.new_ids or self.changed_ids or self.deleted_ids)


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

    @property
    def deleted(self) -> int:
        """Rows that were marked as deleted."""
        return sum(change.deleted for change in self.tables.values())


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
