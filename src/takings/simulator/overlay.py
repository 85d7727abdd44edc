"""What was changed by hand since the company was drawn: patches, deletions and new objects, over tables that never change."""

from __future__ import annotations

import copy
from bisect import insort
from collections.abc import Mapping
from typing import Any

from takings.simulator.company import Company
from takings.simulator.objects.base import Object


class Overlay:
    """The changes of one table.

    Attributes:
        patches: Changed top-level fields by id.
        deleted: Ids that are gone.
        extras: New objects as (created, sequence, id), ascending.
        parents: Whose an object is, where a change said so: the invoice of a new line, the payout of a transaction.
        seen_from: For events that are late, from which Unix second on they are listed.
    """

    def __init__(self) -> None:
        self.patches: dict[str, Object] = {}
        self.rows: dict[int, str] = {}
        self.deleted: set[str] = set()
        self.deleted_rows: set[int] = set()
        self.extras: list[tuple[int, int, str]] = []
        self.objects: dict[str, Object] = {}
        self.parents: dict[str, str] = {}
        self.seen_from: dict[str, float] = {}

    def patch(self, id: str, row: int | None, changes: Mapping[str, Any]) -> None:
        """Change fields of an object; ``row`` is None for a new one."""
        if row is None:
            self.objects[id] = self.objects[id] | dict(changes)
        else:
            self.patches[id] = self.patches.get(id, {}) | dict(changes)
            self.rows[row] = id

    def delete(self, id: str, row: int | None) -> None:
        """Take an object away."""
        self.deleted.add(id)
        self.parents.pop(id, None)
        if row is not None:
            self.deleted_rows.add(row)
        self.extras = [extra for extra in self.extras if extra[2] != id]

    def add(self, id: str, created: int, thing: Object) -> None:
        """Add an object."""
        self.objects[id] = thing
        insort(self.extras, (created, len(self.objects), id))

    def applied(self, thing: Object) -> Object:
        """Return an object with its changes, if it has any."""
        new = self.objects.get(thing["id"])
        if new is not None and new is not thing:  # held as a copy by another object
            return copy.deepcopy(new)
        changes = self.patches.get(thing["id"])
        return thing | copy.deepcopy(changes) if changes else thing


class Overlays(dict[str, Overlay]):
    """The changes of all tables; a table without changes has none here."""

    def of(self, table: str) -> Overlay:
        """Return a table's changes, to change them."""
        return self.setdefault(table, Overlay())

    def find(self, id: str) -> tuple[str, Object] | None:
        """Return the table and the fields of a new object, or None."""
        for table, overlay in self.items():
            if table == "plans":  # a plan is its price
                continue
            if id in overlay.objects and id not in overlay.deleted:
                return table, copy.deepcopy(overlay.objects[id])
        return None


def table_of(company: Company, id: str) -> tuple[str, int] | None:
    """Return the table and row that an id stands for in the drawn company, whatever kind it is."""
    prefix = id[: id.rfind("_") + 1]
    for name, table in company.tables.items():
        if name != "plans" and table.codec.head.startswith(prefix) and (prefix or name == "coupons"):
            row = table.row(id)
            if row is not None:
                return name, row
    return None
