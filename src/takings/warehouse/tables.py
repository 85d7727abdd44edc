"""The tables of the warehouse: what columns each has, how they come about, and the SQL that fills them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from takings.catalog.model import Catalog, Field, Resource

#: Which balance transactions each automatic payout paid out: Stripe's objects do not say it, a list parameter does.
BRIDGE = Resource(
    object="payout_balance_transaction",
    table="payout_balance_transactions",
    sdk="",
    fields=(
        Field(name="id", kind="id"),
        Field(name="object", kind="string"),
        Field(name="payout", kind="id", target=("payout",)),
        Field(name="balance_transaction", kind="id", target=("balance_transaction",)),
    ),
)

VERSION_COLUMNS = (
    ("account", "VARCHAR"),
    ("livemode", "BOOLEAN"),
    ("resource", "VARCHAR"),  # table in schema stripe
    ("id", "VARCHAR"),
    ("parent", "VARCHAR"),
    ("payload", "VARCHAR"),  # minified JSON, as Stripe gave it
    ("api_version", "VARCHAR"),
    ("source", "VARCHAR"),
    ("deleted", "BOOLEAN"),
    ("as_of", "TIMESTAMP WITH TIME ZONE"),  # Stripe stood for it
    ("known_at", "TIMESTAMP WITH TIME ZONE"),  # we knew it
    ("hash", "VARCHAR"),  # BLAKE2b-128 of the payload, hexadecimal
)

_META = (
    ("_account", "VARCHAR"),
    ("_livemode", "BOOLEAN"),
    ("_parent", "VARCHAR"),
    ("_hash", "VARCHAR"),
    ("_version_at", "TIMESTAMP WITH TIME ZONE"),
    ("_synced_at", "TIMESTAMP WITH TIME ZONE"),
    ("_deleted_at", "TIMESTAMP WITH TIME ZONE"),
)

_TYPES = {
    "id": "VARCHAR",
    "string": "VARCHAR",
    "enum": "VARCHAR",
    "currency": "VARCHAR",
    "integer": "BIGINT",
    "amount": "BIGINT",
    "decimal": "DECIMAL(38,12)",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "json": "JSON",
    "list": "JSON",
}

# What the JSON reader is asked for; the projection turns it into the column's type.
_READ_AS = {**_TYPES, "decimal": "VARCHAR", "timestamp": "VARCHAR"}

#: Where our own columns come from, but for the last, which says since when a row is deleted.
_OWN = ("i.account", "i.livemode", "i.parent", "i.hash", "i.as_of", "i.known_at")


def quote(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Table:
    """One typed table: its columns and the SQL that writes it."""

    resource: Resource

    @property
    def name(self) -> str:
        """Qualified, quoted name."""
        return f"stripe.{quote(self.resource.table)}"

    @cached_property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Name and engine type of each column: Stripe's fields, then our own, which begin with an underscore."""
        own = tuple((field.name, _TYPES[field.kind]) for field in self._fields)
        return (*own, *_META)

    @cached_property
    def _fields(self) -> tuple[Field, ...]:
        """The catalogue's fields with ``id`` first, made up where an object has none of its own."""
        rest = tuple(field for field in self.resource.fields if field.name != "id")
        return (Field(name="id", kind="id"), *rest)

    @property
    def bounded(self) -> bool:
        """True where ``created`` never changes, so that it may bound a search for existing rows."""
        return self.resource.created

    @cached_property
    def insert(self) -> str:
        """Statement that types the rows of the registered relation ``incoming`` and adds them.

        ``incoming`` has: id, payload, parent, hash, as_of, known_at, account, livemode.
        """
        names = ", ".join(quote(name) for name, _ in self.columns)
        values = ", ".join((*self._values, *_OWN, "NULL"))
        return f"INSERT INTO {self.name} ({names}) SELECT {values} FROM {self._read('incoming')}"

    def typed(self, versions: str) -> str:
        """Return the SELECT that turns versions into rows with all columns, as :attr:`insert` does with what arrives.

        Args:
            versions: A SELECT that gives what ``incoming`` has, and ``gone_at``: when the object was deleted, or NULL.
        """
        values = (*self._values, *_OWN, "i.gone_at")
        named = (f"{value} AS {quote(name)}" for value, (name, _) in zip(values, self.columns, strict=True))
        return f"SELECT {', '.join(named)} FROM {self._read(f'({versions})')}"

    @cached_property
    def _values(self) -> tuple[str, ...]:
        return ("i.id", *(_project(field) for field in self._fields if field.name != "id"))

    def _read(self, source: str) -> str:
        shape = json.dumps({field.name: _READ_AS[field.kind] for field in self._fields if field.name != "id"})
        literal = shape.replace("'", "''")
        return f"(SELECT *, from_json(payload, '{literal}') AS s FROM {source}) AS i"

    def any_known(self, bounds: tuple[int, int] | None) -> str:
        """Statement that tells whether any id of ``incoming`` may be here already, whoever's.

        It reads two columns where :meth:`existing` reads eight, each of which costs a look at the lake's catalog: in a
        first load, where nothing is known, this is all that is asked.
        """
        within = "" if bounds is None else f" AND {_between(bounds)}"
        return f"SELECT 1 FROM {self.name} AS t WHERE t.id IN (SELECT id FROM incoming){within} LIMIT 1"

    def existing(self, bounds: tuple[int, int] | None) -> str:
        """Statement that finds which ids of ``incoming`` are here already, as (id, hash, version µs, deleted)."""
        return (
            f"SELECT t.id, t._hash, epoch_us(t._version_at), t._deleted_at IS NOT NULL FROM {self.name} AS t "
            f"WHERE {_where(bounds)} AND t.id IN (SELECT id FROM incoming)"
        )

    def delete(self, bounds: tuple[int, int] | None) -> str:
        """Statement that removes the rows whose ids are in the registered relation ``leaving``."""
        return f"DELETE FROM {self.name} AS t WHERE {_where(bounds)} AND t.id IN (SELECT id FROM leaving)"

    @property
    def stood(self) -> str:
        """Statement that notes that objects stood as their rows have them at later moments: ``again`` has id and as_of."""
        return (
            f"UPDATE {self.name} AS t SET _version_at = a.as_of FROM again AS a "
            "WHERE t._account = $1 AND t._livemode = $2 AND t.id = a.id"
        )

    @property
    def mark_deleted(self) -> str:
        """Statement that marks the rows whose ids are in ``leaving`` as deleted at a moment (first parameter)."""
        return (
            f"UPDATE {self.name} AS t SET _deleted_at = $1, _version_at = $1, _synced_at = $2 "
            f"WHERE t._account = $3 AND t._livemode = $4 AND t.id IN (SELECT id FROM leaving)"
        )


def _where(bounds: tuple[int, int] | None) -> str:
    owner = "t._account = $1 AND t._livemode = $2"
    if bounds is None:
        return owner
    return f"{owner} AND {_between(bounds)}"


def _between(bounds: tuple[int, int]) -> str:
    # Literals, not parameters: files outside the range are skipped while the statement is planned.
    return f"t.created BETWEEN to_timestamp({bounds[0]:d}) AND to_timestamp({bounds[1]:d})"


def _project(field: Field) -> str:
    value = f"i.s.{quote(field.name)}"
    match field.kind:
        case "decimal":
            return f"TRY_CAST({value} AS DECIMAL(38,12))"
        case "timestamp":  # v1 gives Unix seconds, v2 gives RFC 3339
            return f"coalesce(to_timestamp(TRY_CAST({value} AS BIGINT)), TRY_CAST({value} AS TIMESTAMP WITH TIME ZONE))"
        case "id" if field.expandable:
            return f"CASE WHEN starts_with({value}, '{{') THEN json_extract_string({value}, '$.id') ELSE {value} END"
        case _:
            return value


def all_tables(catalog: Catalog) -> dict[str, Table]:
    """Return every typed table by name: the catalogue's resources and the bridge."""
    return {resource.table: Table(resource) for resource in (*catalog.resources.values(), BRIDGE)}
