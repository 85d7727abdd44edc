"""Sigma's dialect: Trino's SQL over Sigma's tables, checked against the mapping and turned into the engine's SQL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

from takings.errors import Invalid
from takings.warehouse.sigma.model import EXTRA, Mapping, Table, load, reason
from takings.warehouse.sigma.views import DATABASE, LEAN, available

LOAD_TIME: Final = "data_load_time"
"""What Sigma calls the moment up to which the data is there."""

_UNNAMED = re.compile(r"_col_(\d+)")
_NOWHERE = re.compile(r"Column '([^']+)' could not be resolved")
_UNKNOWN = re.compile(r"Unknown column: (\S+)")
_AMBIGUOUS = re.compile(r"Column '([^']+)' is ambiguous|ambiguous: (\S+)")
_LINE = re.compile(r"Line: (\d+), Col: (\d+)")
_COMPARING = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_NOW = (exp.CurrentTimestamp, exp.UnixToTime)
_AWARE = (exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A question in Sigma's dialect, understood but not yet turned into the engine's SQL.

    Attributes:
        tables: Sigma's tables that it reads.
        reads: Tables of schema ``stripe`` behind them.
        asks_load_time: Whether it speaks of ``data_load_time``.
    """

    tree: exp.Expr
    tables: tuple[str, ...]
    reads: frozenset[str]
    asks_load_time: bool

    def sql(self, load_time: datetime | None = None) -> str:
        """Return the engine's SQL.

        Args:
            load_time: Up to when the data is complete, aware; as in Sigma the midnight (UTC) before it is meant. Needed
                where the question speaks of it.

        Raises:
            Invalid: A column is not there, or the question cannot be turned into the engine's SQL.
        """
        mapping = load()
        tree: exp.Expr = self.tree.copy()
        if self.asks_load_time:
            if load_time is None:
                raise Invalid(
                    "sql.load_time",
                    "data_load_time is not known yet: the tables this asks for have not been read to their end. "
                    "Run `takings sync`, or write a date.",
                )
            midnight = load_time.astimezone(UTC).strftime("%Y-%m-%d 00:00:00")
            tree = tree.transform(lambda node: _moment(midnight) if _is_load_time(node) else node)
        try:
            tree = qualify(tree, dialect="trino", schema=_schema(), db=DATABASE, identify=True, quote_identifiers=True)
            tree = annotate_types(tree, schema=_schema(), dialect="trino")
        except OptimizeError as error:
            raise _unknown_column(str(error), [mapping.tables[name] for name in self.tables], self.tables) from error
        except SqlglotError as error:
            raise _syntax(error) from error
        _choose_views(tree, mapping)
        for moved in list(tree.find_all(exp.AtTimeZone)):
            _at_zone(moved)
        tree = tree.transform(_as_meant)
        for name in tree.find_all(exp.Identifier):
            name.set("this", _UNNAMED.sub(r"_col\1", name.this))
        return tree.sql(dialect="duckdb", identify=True)


def parse(sql: str) -> Parsed:
    """Understand a question in Sigma's dialect.

    Raises:
        Invalid: It is not Trino's SQL, not one SELECT, or asks for a table that Sigma or this warehouse does not have.
    """
    try:
        statements = [one for one in sqlglot.parse(sql, read="trino") if one is not None]
    except SqlglotError as error:
        raise _syntax(error) from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise Invalid("sql.select_only", "Only a single SELECT statement is accepted: the warehouse is read-only here.")
    tree = statements[0].transform(_plain_functions)
    mapping = load()
    tables = tuple(dict.fromkeys(_known(table, mapping) for table in _tables(tree)))
    return Parsed(
        tree=tree,
        tables=tables,
        reads=frozenset(read for name in tables for read in mapping.tables[name].reads),
        asks_load_time=any(_is_load_time(node) for node in tree.find_all(exp.Column)),
    )


def _tables(tree: exp.Expr) -> Iterator[exp.Table]:
    for scope in traverse_scope(tree):
        for source in scope.sources.values():
            if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                yield source


def _known(table: exp.Table, mapping: Mapping) -> str:
    whole = ".".join(part.name for part in table.parts)
    if (table.db and table.db.lower() != DATABASE) or table.catalog:
        raise Invalid(
            "sql.sigma_only",
            f"{whole} is none of Sigma's tables: in Sigma's dialect write a table's name alone, such as charges.",
            table=whole,
        )
    return available(table.name.lower(), mapping)


def _plain_functions(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Anonymous) and node.name.lower() == "at_timezone" and len(node.expressions) == 2:
        return exp.AtTimeZone(this=node.expressions[0], zone=node.expressions[1])
    return node


def _is_load_time(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and not node.table and node.name.lower() == LOAD_TIME


def _moment(text: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), exp.DataType.Type.TIMESTAMP)


@cache
def _schema() -> dict[str, object]:
    """Return the columns and types of every table that can be had, as sqlglot takes them."""
    return {
        DATABASE: {
            name: {
                **{column: one.type for column, one in table.columns.items() if one.sql},
                EXTRA: "varchar",
            }
            for name, table in load().available.items()
        }
    }


def _choose_views(tree: exp.Expr, mapping: Mapping) -> None:
    """Let each table be read through its lean view, unless a column is asked for that only the full one has."""
    for scope in traverse_scope(tree):
        for alias, source in scope.sources.items():
            if not isinstance(source, exp.Table) or source.db != DATABASE:
                continue
            joining = mapping.tables[source.name].joining
            asked = {column.name for column in scope.columns if column.table == alias}
            if joining and not joining & asked:
                source.set("catalog", exp.to_identifier(DATABASE, quoted=True))
                source.set("db", exp.to_identifier(LEAN, quoted=True))


def _at_zone(node: exp.AtTimeZone) -> None:
    """Read a moment without a zone as UTC, as Trino does; the engine would take it for one of that zone's clocks.

    The result is the zone's clock. Where a moment is compared, its zone does not matter to Trino: then it stays UTC.
    """
    inner = node.this
    while isinstance(inner, exp.AtTimeZone):  # the zone of a moment that is moved to another does not matter either
        inner = inner.this
    aware = isinstance(inner, _NOW) or (inner.type is not None and inner.type.this in _AWARE)
    if isinstance(node.parent, _COMPARING):
        node.replace(inner.copy())
    else:
        utc = inner.copy() if aware else exp.AtTimeZone(this=inner.copy(), zone=exp.Literal.string("UTC"))
        node.set("this", utc)


def _as_meant(node: exp.Expr) -> exp.Expr:
    """Replace functions of which the engine has one of the same name that does something else.

    ``date_diff`` counts whole units, where the engine's counts the bounds that lie between; ``format`` takes the
    patterns of ``printf``; ``slice`` takes a length.
    """
    if isinstance(node, exp.DateDiff):
        unit = exp.Literal.string(node.text("unit").lower() or "day")
        since, until = (exp.cast(one, exp.DataType.Type.TIMESTAMP) for one in (node.expression, node.this))
        return exp.func("date_sub", unit, since, until, dialect="duckdb")
    if isinstance(node, exp.Format):
        return exp.func("printf", node.this, *node.expressions, dialect="duckdb")
    if isinstance(node, exp.ArraySlice):
        start, length = node.args["start"], node.args["end"]
        return exp.func("list_slice", node.this, start.copy(), exp.paren(start + length - 1), dialect="duckdb")
    return node


def _syntax(error: SqlglotError) -> Invalid:
    first: dict[str, Any] = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    # The place that is given is where the word ends.
    begins = int(first.get("col") or 0) - max(len(str(first.get("highlight") or "")) - 1, 0)
    where = f"line {first['line']}, column {begins}: " if first.get("line") else ""
    said = (
        str(first.get("description") or error).splitlines()[0].rstrip(".").replace("\x1b[4m", "").replace("\x1b[0m", "")
    )
    detail = f"{where}{said}."
    place = {"at_line": int(first["line"]), "at_column": begins} if where else {}
    return Invalid("sql.syntax", f"This is not valid SQL: {detail}", detail=detail, **place)


def _unknown_column(said: str, tables: list[Table], names: tuple[str, ...]) -> Invalid:
    found = _NOWHERE.search(said) or _UNKNOWN.search(said)
    if found is None:
        detail = said.splitlines()[0]
        return Invalid("sql.wrong", f"The warehouse cannot answer this: {detail}", detail=detail)
    column = found[1].strip("\"'.").lower()
    place = _LINE.search(said)  # where the name ends
    at = {"at_line": int(place[1]), "at_column": int(place[2]) - len(column) + 1} if place else {}
    where = f" (line {at['at_line']}, column {at['at_column']})" if at else ""
    for name, table in zip(names, tables, strict=True):
        if column in table.lacking:
            return Invalid(
                "sql.sigma_lacks_column",
                f"Sigma's column {name}.{column} is not here{where}: {reason(table.lacking[column])}",
                column=f"{name}.{column}",
                **at,
            )
    every = sorted({known for table in tables for known, one in table.columns.items() if one.sql})
    near = difflib.get_close_matches(column, every, n=1)
    hint = f": do you mean {near[0]}?" if near else "."
    return Invalid(
        "sql.sigma_no_column",
        f"There is no column {column} in {', '.join(names) or 'this query'}{where}{hint}",
        column=column,
        tables=", ".join(names),
        **at,
    )
