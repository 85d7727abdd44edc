"""The tables as people look at them: which there are, how full and how fresh, their columns explained, and their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa

from takings import catalog as catalogue
from takings.catalog.model import Catalog
from takings.errors import NotFound
from takings.reports.export import Column, Kind, Sheet
from takings.reports.question import Scope
from takings.store import Store
from takings.store.schema import connections, list_states, table_rows
from takings.warehouse import TableInfo, Warehouse
from takings.warehouse.tables import quote

State = Literal["running", "partial", "waiting", "complete", "forbidden", "unavailable", "none"]

# What a table fed by several lists or connections shows: the first of these that any of them is in.
_WORST_FIRST: Final[tuple[State, ...]] = ("running", "partial", "waiting", "complete", "forbidden", "unavailable")

PREVIEW_ROWS: Final = 50

_NUMBERS: Final = (
    "BIGINT",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "HUGEINT",
    "INTEGER",
    "SMALLINT",
    "TINYINT",
    "UBIGINT",
    "UINTEGER",
)

_AMONG: Final = " AND _account IN (SELECT unnest($accounts)) AND _livemode = $livemode"

#: What our own columns mean, in words of ``words/reports.toml`` (``reports.column.<name>``).
OWN_COLUMNS: Final = ("_account", "_livemode", "_parent", "_hash", "_version_at", "_synced_at", "_deleted_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSummary:
    """One table in the list of tables.

    Attributes:
        rows: Rows of all connections together; ``None`` where nobody has counted.
        complete_as_of: Everything that Stripe held at this moment is here, for every connection; ``None``: not yet.
        state: The state of the lists that feed it; ``none`` where none does.
        reason: Why it is not complete, in English; with ``reason_code`` for translation.
    """

    name: str
    object: str
    columns: int
    rows: int | None
    state: State
    complete_as_of: datetime | None
    reason: str | None = None
    reason_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnInfo:
    """One column of a table.

    Attributes:
        kind: What the catalogue says it is (``amount``, ``timestamp``…), ``own`` for columns that we add.
        description: Stripe's words, English; empty where there are none.
    """

    name: str
    type: str
    kind: str
    description: str


class Key(NamedTuple):
    """What no two rows of a table share, and what they are ordered by."""

    id: str
    account: str
    livemode: bool


class Tables:
    """The tables of the warehouse.

    Args:
        warehouse: Where the rows are.
        catalog: What Stripe says of them.
        store: Where counts and states are kept.
    """

    def __init__(self, warehouse: Warehouse, catalog: Catalog, store: Store) -> None:
        self._warehouse = warehouse
        self._catalog = catalog
        self._store = store

    def all(self, scope: Scope | None = None) -> tuple[TableSummary, ...]:
        """Return every table, by name.

        Args:
            scope: The accounts that are counted; None: all.
        """
        of = list_states.c
        counted_in = sa.select(table_rows.c.table_name, sa.func.sum(table_rows.c.rows))
        stood = (of.table_name, of.state, of.reason, of.reason_code)
        # As many connections share a few states: one line for each of them.
        standing = sa.select(
            *stood,
            sa.case((sa.func.count() == sa.func.count(of.complete_as_of), sa.func.min(of.complete_as_of))).label(
                "complete_as_of"
            ),
        )
        if scope is not None:
            chosen = sa.select(connections.c.id).where(
                connections.c.account_id.in_(scope.accounts), connections.c.livemode == scope.livemode
            )
            counted_in = counted_in.where(table_rows.c.connection_id.in_(chosen))
            standing = standing.where(of.connection_id.in_(chosen))
        with self._store.read() as db:
            counted = db.execute(counted_in.group_by(table_rows.c.table_name)).all()
            states = db.execute(standing.group_by(*stood)).all()
        rows = {name: int(number) for name, number in counted}
        lists: dict[str, list[Any]] = {}
        for state in states:
            lists.setdefault(state.table_name, []).append(state)
        return tuple(self._summary(info, rows.get(info.name), lists.get(info.name, ())) for info in self._infos())

    def summary(self, name: str, scope: Scope | None = None) -> TableSummary:
        """Return one table's line of the list, for some accounts or (None) for all.

        Raises:
            NotFound: There is no such table.
        """
        self.find(name)
        return next(summary for summary in self.all(scope) if summary.name == name)

    def find(self, name: str) -> TableInfo:
        """Return a table by its name.

        Raises:
            NotFound: There is no such table.
        """
        for info in self._infos():
            if info.name == name:
                return info
        raise NotFound("reports.no_table", "There is no such table: choose one from the list.")

    def columns(self, name: str) -> tuple[ColumnInfo, ...]:
        """Return a table's columns with what Stripe says of each.

        Raises:
            NotFound: There is no such table.
        """
        info = self.find(name)
        resource = self._catalog.resources.get(name)
        kinds = {field.name: field.kind for field in resource.fields} if resource else {}
        said = catalogue.describe(resource) if resource else {}
        return tuple(
            ColumnInfo(
                name=column.name,
                type=column.type,
                kind="own" if column.name in OWN_COLUMNS else kinds.get(column.name, "string"),
                description=said.get(column.name, ""),
            )
            for column in info.columns
        )

    def preview(self, name: str, scope: Scope | None = None) -> tuple[tuple[Any, ...], ...]:
        """Return the newest rows that Stripe still has, at most :data:`PREVIEW_ROWS`, of some accounts or (None) of all.

        Raises:
            NotFound: There is no such table.
        """
        info = self.find(name)
        newest = "created" if any(column.name == "created" for column in info.columns) else "_synced_at"
        sql = (
            f"SELECT {_names(info)} FROM {_quoted(info)} WHERE _deleted_at IS NULL{_AMONG if scope else ''} "
            f"ORDER BY {quote(newest)} DESC NULLS LAST LIMIT {PREVIEW_ROWS}"
        )
        return tuple(self._warehouse.query(sql, _among(scope)).rows)

    def row(self, name: str, id_: str) -> dict[str, Any]:
        """Return one row by Stripe's id, also one that Stripe has deleted since.

        Raises:
            NotFound: There is no such table, or no such row in it.
        """
        info = self.find(name)
        missing = NotFound("reports.no_row", "There is no such row: it may not have been loaded yet.")
        if not any(column.name == "id" for column in info.columns):
            raise missing
        rows = self._warehouse.query(
            f"SELECT {_names(info)} FROM {_quoted(info)} WHERE id = $id LIMIT 1", {"id": id_}
        ).rows
        if not rows:
            raise missing
        return dict(zip((column.name for column in info.columns), rows[0], strict=True))

    def page(
        self,
        name: str,
        limit: int,
        *,
        after: Key | None = None,
        account: str | None = None,
        livemode: bool | None = None,
        id_: str | None = None,
    ) -> tuple[list[dict[str, Any]], Key | None]:
        """Return some rows in the order of their keys, also those that Stripe has deleted since, and the key of the last.

        Args:
            name: Which table.
            limit: Most rows.
            after: Only rows behind this key, such as the last of the page before.
            account: Only this account's.
            livemode: Only live data, or only that of sandboxes; None: both.
            id_: Only those with this id: several accounts may have one.

        Returns:
            The rows by column, and the key that the next page begins after; None: there are no more.

        Raises:
            NotFound: There is no such table.
        """
        info = self.find(name)
        values: dict[str, Any] = {}
        where = ["true"]
        for column, value in (("_account", account), ("_livemode", livemode), ("id", id_)):
            if value is not None:
                values[column] = value
                where.append(f"{column} = ${column}")
        if after is not None:
            values |= {"after_id": after.id, "after_account": after.account, "after_livemode": after.livemode}
            where.append("id >= $after_id")  # by this alone whole files are left out
            where.append("(id, _account, _livemode) > ($after_id, $after_account, $after_livemode)")
        sql = (
            f"SELECT {_names(info)} FROM {_quoted(info)} WHERE {' AND '.join(where)} "
            f"ORDER BY id, _account, _livemode LIMIT {limit + 1:d}"
        )
        names = [column.name for column in info.columns]
        found = [dict(zip(names, row, strict=True)) for row in self._warehouse.query(sql, values or None).rows]
        rows = found[:limit]
        more = len(found) > limit
        return rows, Key(rows[-1]["id"], rows[-1]["_account"], rows[-1]["_livemode"]) if more else None

    def sheet(self, name: str, zone: str, scope: Scope | None = None) -> Sheet:
        """Return a whole table for export: every row, also those that Stripe has deleted since (``_deleted_at`` is set).

        Args:
            name: Which.
            zone: IANA name of the zone moments are written in.
            scope: The accounts whose rows are wanted; None: all.

        Raises:
            NotFound: There is no such table.
        """
        info = self.find(name)
        columns = tuple(Column(column.name, kind_of(column.type)) for column in info.columns)
        return Sheet(name=name, columns=columns, rows=self._rows(info, scope), zone=zone)

    def _rows(self, info: TableInfo, scope: Scope | None) -> Iterator[Sequence[Any]]:
        sql = f"SELECT {_names(info)} FROM {_quoted(info)} WHERE true{_AMONG if scope else ''}"
        with self._warehouse.stream(sql, _among(scope)) as (_, batches):
            for batch in batches:
                yield from batch

    def _infos(self) -> list[TableInfo]:
        return [info for info in self._warehouse.tables() if info.schema == "stripe"]

    def _summary(self, info: TableInfo, rows: int | None, lists: Sequence[Any]) -> TableSummary:
        state: State = next((s for s in _WORST_FIRST if any(one.state == s for one in lists)), "none")
        telling = next((one for one in lists if one.state == state), None)
        readable = [one for one in lists if one.state not in ("forbidden", "unavailable")]
        moments = [one.complete_as_of for one in readable]
        resource = self._catalog.resources.get(info.name)
        return TableSummary(
            name=info.name,
            object=resource.object if resource else info.name,
            columns=len(info.columns),
            rows=rows,
            state=state,
            complete_as_of=min(moments) if moments and None not in moments else None,
            reason=telling.reason if telling and state != "complete" else None,
            reason_code=telling.reason_code if telling and state != "complete" else None,
        )


def _among(scope: Scope | None) -> dict[str, Any] | None:
    return None if scope is None else {"accounts": list(scope.accounts), "livemode": scope.livemode}


def _quoted(info: TableInfo) -> str:
    return f"{quote(info.schema)}.{quote(info.name)}"


def _names(info: TableInfo) -> str:
    return ", ".join(quote(column.name) for column in info.columns)


def kind_of(type_: str) -> Kind:
    """Return as what the values of a type of the engine's are written to files."""
    if type_.endswith("]"):
        return "text"
    if type_.startswith("TIMESTAMP"):
        return "moment"
    return "number" if type_.startswith(_NUMBERS) else "text"
