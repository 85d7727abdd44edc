"""The shapes of the mapping: which of Sigma's tables and columns there are here, from what, and why the others are not."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec

from takings.words import Words

DATA = Path(__file__).with_name("mapping.json")
"""The committed mapping, made by ``python -m takings.warehouse.sigma.generate``."""

ENGINE_TYPES = {
    "varchar": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}
"""The engine's name of each of Sigma's types."""

EXTRA = "merchant_id"
"""The column that Sigma adds where one asks many accounts at once: whose row it is."""


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column of Sigma.

    ``sql`` has one expression a part of the table's source, ``NULL`` in the parts that have no such thing; it is empty
    where the column cannot be had, and ``why`` says the reason (see :func:`reason`).
    """

    type: str
    key: bool = False
    sql: tuple[str, ...] = ()
    why: str = ""
    #: True where it comes from a joined table: views that are not asked for it leave the join out.
    joined: bool = False


class Table(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One table of Sigma; without ``parts`` it cannot be had, and ``why`` says the reason."""

    columns: dict[str, Column]
    #: What stands between SELECT and the view's own conditions, one a part (parts are united).
    parts: tuple[str, ...] = ()
    #: The joins of each part that only ``joined`` columns need.
    joins: tuple[str, ...] = ()
    #: Tables of schema ``stripe`` that it is made of.
    reads: tuple[str, ...] = ()
    #: True where rows that Stripe has deleted are shown, too.
    deleted: bool = False
    why: str = ""
    note: str = ""

    @property
    def had(self) -> int:
        """How many columns there are."""
        return sum(bool(column.sql) for column in self.columns.values())

    @property
    def share(self) -> float:
        """The share of its columns that are here, 0 to 1."""
        return self.had / len(self.columns)

    @property
    def lacking(self) -> dict[str, str]:
        """The columns that cannot be had, each with the reason."""
        return {name: column.why for name, column in self.columns.items() if not column.sql}

    @property
    def joining(self) -> frozenset[str]:
        """The columns that need another table."""
        return frozenset(name for name, column in self.columns.items() if column.joined)

    def select(self, *, lean: bool = False) -> str:
        """Return the SELECT of its view.

        Args:
            lean: Without the columns that need another table, and so without the cost of joining it.
        """
        wanted = {name: column for name, column in self.columns.items() if column.sql and not (lean and column.joined)}
        selects = []
        for number, part in enumerate(self.parts):
            source, _, condition = part.partition(" WHERE ")
            values = [column.sql[number] for column in wanted.values()]
            source, values = _read_once(source, values)
            columns = [
                f'CAST({value} AS {ENGINE_TYPES[column.type]}) AS "{name}"'
                for (name, column), value in zip(wanted.items(), values, strict=True)
            ]
            joins = "" if lean or not self.joins else f" {self.joins[number]}"
            kept = "" if self.deleted else " AND t._deleted_at IS NULL"
            selects.append(
                f'SELECT {", ".join(columns)}, t._account AS "{EXTRA}" FROM {source}{joins}\n'
                f"WHERE {_SCOPE}{kept}{f' AND ({condition})' if condition else ''}"
            )
        return "\nUNION ALL\n".join(selects)


_EXTRACTS = re.compile(r"""json_extract_string\(t\."([a-z0-9_]+)", ('\$[^'*]*')\)""")
_FEW = 2


def _read_once(source: str, values: list[str]) -> tuple[str, list[str]]:
    """Have each nested object that many columns come from read once a row, and not once a column.

    The engine keeps a tree of the object for each expression that reads it: a hundred columns of one object take
    hundreds of megabytes.
    """
    paths: dict[str, list[str]] = {}
    for value in values:
        for holder, path in _EXTRACTS.findall(value):
            known = paths.setdefault(holder, [])
            if path not in known:
                known.append(path)
    places = {holder: f"_read_{holder}" for holder, known in paths.items() if len(known) > _FEW}
    if not places:
        return source, values

    def placed(found: re.Match[str]) -> str:
        holder, path = found.groups()
        return f"t.{places[holder]}[{paths[holder].index(path) + 1}]" if holder in places else found[0]

    read = "".join(
        f', json_extract_string("{holder}", [{", ".join(paths[holder])}]) AS {place}'
        for holder, place in places.items()
    )
    table, _, rest = source.partition(" AS t")
    return f"(SELECT *{read} FROM {table}) AS t{rest}", [_EXTRACTS.sub(placed, value) for value in values]


# Set for the session that asks: one mode, as Sigma keeps live and test data apart, and perhaps only some accounts.
_SCOPE = (
    "t._livemode = coalesce(getvariable('sigma_livemode'), true) "
    "AND coalesce(list_contains(getvariable('sigma_accounts'), t._account), true)"
)


class Mapping(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Every table of Sigma, in alphabetical order, as of one version of Stripe's API."""

    api_version: str
    tables: dict[str, Table]

    @cached_property
    def available(self) -> dict[str, Table]:
        """The tables that have a view."""
        return {name: table for name, table in self.tables.items() if table.parts}

    @property
    def columns(self) -> int:
        """How many columns Sigma has."""
        return sum(len(table.columns) for table in self.tables.values())

    @property
    def had(self) -> int:
        """How many of them are here."""
        return sum(table.had for table in self.tables.values())

    @property
    def share(self) -> float:
        """The share of Sigma's columns that are here, 0 to 1."""
        return self.had / self.columns


def reason(why: str, locale: str = "en") -> str:
    """Return the sentence that says why a column or a table is not here."""
    return Words(locale)(f"sigma.why.{why}")


def note(about: str, locale: str = "en") -> str:
    """Return the sentence that says what is to be known of a table; empty where there is nothing."""
    return Words(locale)(f"sigma.note.{about}") if about else ""


@lru_cache(maxsize=1)
def load() -> Mapping:
    """Return the mapping; read once a process."""
    return msgspec.json.decode(DATA.read_bytes(), type=Mapping)
