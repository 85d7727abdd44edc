"""Queries that people keep for one another: named, shared by the whole company, changed by whoever keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Action, Audit, Person
from takings.accounts.people import require_name
from takings.accounts.tokens import new_id
from takings.clock import Clock
from takings.errors import Invalid, NotAllowed, NotFound
from takings.store import Store
from takings.store import schema as s

LONGEST: Final = 100_000
"""Characters that a query may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A query that is kept.

    Attributes:
        dialect: In which SQL it is written: ``duckdb`` or ``sigma``.
        keeper: Id of the person who keeps it; None: they are gone.
        saved_by: Their name at the time.
    """

    id: str
    name: str
    sql: str
    dialect: str
    keeper: str | None
    saved_by: str
    saved_at: datetime

    def is_kept_by(self, person: Person) -> bool:
        """Tell whether a person may change it: who keeps it, and administrators."""
        return self.keeper == person.id or person.may(Action.MANAGE_PEOPLE)


class SavedQueries:
    """Keeps queries.

    Args:
        store: The product's own database.
        audit: Told who saved and removed what.
        clock: Tells when.
    """

    def __init__(self, store: Store, audit: Audit, clock: Clock) -> None:
        self._store, self._audit, self._clock = store, audit, clock

    def all(self) -> list[SavedQuery]:
        """Return every query, by name."""
        with self._store.read() as db:
            rows = db.execute(sa.select(s.queries).order_by(sa.func.lower(s.queries.c.name), s.queries.c.id))
            return [_query(row) for row in rows]

    def get(self, id_: str) -> SavedQuery:
        """Return one query.

        Raises:
            NotFound: There is no such one.
        """
        with self._store.read() as db:
            row = db.execute(sa.select(s.queries).where(s.queries.c.id == id_)).first()
        if row is None:
            raise NotFound("reports.no_query", "There is no such saved query: it may have been removed.")
        return _query(row)

    def save(self, person: Person, name: str, sql: str, dialect: str) -> SavedQuery:
        """Keep a query under a name; one of that name that the person keeps already is replaced.

        Raises:
            Invalid: The name cannot be used or is somebody else's, or there is no query.
        """
        shown, text = require_name(name), sql.strip()
        if not text or len(text) > LONGEST:
            raise Invalid(
                "reports.query_empty",
                f"There is no query to save, or it has more than {LONGEST} characters.",
                n=LONGEST,
            )
        values = {
            "sql": text,
            "dialect": dialect,
            "person_id": person.id,
            "saved_by": person.name,
            "saved_at": self._clock.now(),
        }
        q = s.queries.c
        with self._store.write() as db:
            row = db.execute(sa.select(s.queries).where(q.name == shown).with_for_update()).first()
            if row is not None and not _query(row).is_kept_by(person):
                raise Invalid(
                    "reports.query_taken",
                    f"{row.saved_by} keeps a query of this name: choose another one.",
                    name=row.saved_by,
                )
            if row is None:
                db.execute(sa.insert(s.queries).values(id=new_id(), name=shown, **values))
            else:
                db.execute(sa.update(s.queries).where(q.id == row.id).values(**values))
            self._audit.record_in(db, person, "query.saved", shown)
            return _query(db.execute(sa.select(s.queries).where(q.name == shown)).one())

    def remove(self, person: Person, id_: str) -> None:
        """Remove a query.

        Raises:
            NotFound: There is no such one.
            NotAllowed: Somebody else keeps it.
        """
        q = s.queries.c
        with self._store.write() as db:
            row = db.execute(sa.select(s.queries).where(q.id == id_).with_for_update()).first()
            if row is None:
                raise NotFound("reports.no_query", "There is no such saved query: it may have been removed.")
            if not _query(row).is_kept_by(person):
                raise NotAllowed("reports.query_foreign", "Only who saved a query, or an administrator, may remove it.")
            db.execute(sa.delete(s.queries).where(q.id == id_))
            self._audit.record_in(db, person, "query.removed", row.name)


def _query(row: Any) -> SavedQuery:
    return SavedQuery(
        id=row.id,
        name=row.name,
        sql=row.sql,
        dialect=row.dialect,
        keeper=row.person_id,
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )
