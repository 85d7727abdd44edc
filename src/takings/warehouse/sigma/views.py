"""Which views a question needs, and their SQL."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from takings.errors import Invalid
from takings.warehouse.sigma.model import Mapping, load, reason

DATABASE: Final = "sigma"
"""The name that stands before a Sigma table."""
LEAN: Final = "lean"
"""Within it, the schema of the views without joined columns."""


def needed(tables: Iterable[str]) -> dict[str, str]:
    """Return the SELECT of each view that a question needs, by its whole name.

    Args:
        tables: Names of the tables that the question reads, such as ``sigma.charges`` and ``stripe.charges``.

    Raises:
        Invalid: Sigma has no such table, or it cannot be had.
    """
    before = f"{DATABASE}."
    asked = {name.removeprefix(before).removeprefix("main.") for name in tables if name.startswith(before)}
    found = {}
    for name in sorted(asked):
        table = name.removeprefix(f"{LEAN}.")
        mapping = load()
        found[f"{before}{name}"] = mapping.tables[available(table, mapping)].select(lean=table != name)
    return found


def available(name: str, mapping: Mapping) -> str:
    """Return the name of a table that can be had.

    Raises:
        Invalid: Sigma has no such table, or it cannot be had; the sentence says why.
    """
    table = mapping.tables.get(name)
    if table is None:
        near = difflib.get_close_matches(name, mapping.available, n=1)
        raise Invalid(
            "sql.sigma_no_table",
            f"Sigma has no table {name}{f': do you mean {near[0]}?' if near else ': `takings sigma` lists them.'}",
            table=name,
        )
    if not table.parts:
        raise Invalid("sql.sigma_lacks_table", f"Sigma's table {name} is not here: {reason(table.why)}", table=name)
    return name
