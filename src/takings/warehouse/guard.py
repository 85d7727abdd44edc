"""Decides whether a piece of SQL may be run for a person: one SELECT, over the warehouse's own tables."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from takings.errors import Invalid
from takings.warehouse.engine import parse

# Functions that make rows from their arguments alone. Everything else that makes rows could read a file or a database.
_ALLOWED = frozenset(
    ("range", "generate_series", "unnest", "json_each", "json_tree", "repeat_row", "duckdb_tables", "duckdb_columns")
)


@lru_cache(maxsize=512)
def check(sql: str) -> frozenset[str]:
    """Accept one SELECT statement that reads tables of the warehouse only.

    Returns:
        Names of the tables it reads, with what stands before them, in small letters: ``stripe.charges``. The names of
        its own WITH clauses may be among them.

    Raises:
        Invalid: It is not SQL, not one statement, not a SELECT, or it reaches outside of the warehouse.
    """
    found: set[str] = set()
    _walk(parse(sql), found)
    return frozenset(found)


def _walk(node: Any, found: set[str]) -> None:
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            name = str((node.get("function") or {}).get("function_name", "")).lower()
            if name not in _ALLOWED:
                raise Invalid(
                    "sql.function",
                    f"The function {name} may not be used here: query the warehouse's tables.",
                    name=name,
                )
        if node.get("type") == "BASE_TABLE" and any(mark in str(node.get("table_name", "")) for mark in "/\\.*:"):
            raise Invalid("sql.file", "Files cannot be read here: query the warehouse's tables.")
        if node.get("type") == "BASE_TABLE":
            parts = (str(node.get(part) or "") for part in ("catalog_name", "schema_name", "table_name"))
            found.add(".".join(part for part in parts if part).lower())
        for below in node.values():
            _walk(below, found)
    elif isinstance(node, list):
        for below in node:
            _walk(below, found)
