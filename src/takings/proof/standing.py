"""Findings of verifications that still stand: put at rest once a later verification proves their rows, kept once otherwise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from takings.store import Store
from takings.store.schema import findings
from takings.sync import Finding, FindingBook

Alive = Callable[[str, Sequence[str]], set[str]]
"""Tells which rows of a table are here and not marked as deleted."""


class FindingsKept:
    """Reads and settles what verifications found."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._book = FindingBook(store)

    def standing(self, connection_id: str) -> list[Finding]:
        """Return what verifications found and none has proven since."""
        return [
            one
            for one in self._book.of(connection_id, open_only=True, limit=100_000)
            if one.origin == "verify" and one.healed_at is None
        ]

    def settle(
        self,
        connection_id: str,
        found: Sequence[Finding],
        *,
        now: datetime,
        seen: Collection[str],
        tables: Collection[str],
        sound: Collection[str],
        figures: Collection[tuple[str, str]],
        alive: Alive,
    ) -> None:
        """Write down what was found, and put earlier findings at rest that tie now.

        Args:
            connection_id: Whose.
            found: What differs.
            now: The present.
            seen: Ids of earlier findings that Stripe showed this time.
            tables: Tables that were compared to the last row, and tie.
            sound: Tables of which every row is what its payload says.
            figures: Check and subject of each figure that ties.
            alive: Tells which rows are here and not marked as deleted.
        """
        bad: dict[str, set[str]] = {}
        again: dict[tuple[str, str, str], set[str]] = {}
        for one in found:
            bad.setdefault(one.table, set()).update(one.ids)
            again.setdefault((one.kind, one.table, one.subject), set()).update(one.ids)
        healed: list[str] = []
        replaced: list[str] = []
        for one in self.standing(connection_id):
            ids = set(one.ids)
            same = again.get((one.kind, one.table, one.subject))
            if same is not None and ids <= same:
                replaced.append(one.id)
            elif not ids & bad.get(one.table, set()) and self._ties(one, seen, tables, sound, figures, alive):
                healed.append(one.id)
        self._book.add(connection_id, found)
        with self._store.write() as db:
            for key in replaced:
                db.execute(sa.delete(findings).where(findings.c.id == key))
            for key in healed:
                db.execute(
                    sa.update(findings).where(findings.c.id == key).values(healed_at=now, healed_by="reconciled")
                )

    def _ties(
        self,
        one: Finding,
        seen: Collection[str],
        tables: Collection[str],
        sound: Collection[str],
        figures: Collection[tuple[str, str]],
        alive: Alive,
    ) -> bool:
        match one.kind:
            case "balance":
                return ("balance", one.subject) in figures
            case "payout":
                return ("payouts", "") in figures
            case "altered" | "duplicate":
                return one.table in sound
            case "ghost":
                return not alive(one.table, one.ids)
            case _:
                return one.table in tables or (one.table in sound and set(one.ids) <= set(seen))
