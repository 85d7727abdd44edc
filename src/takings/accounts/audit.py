"""The audit trail: who did what to what, kept even when the person is gone."""

from __future__ import annotations

import sqlalchemy as sa

from takings.accounts.model import AuditEntry, Person
from takings.accounts.tokens import new_id
from takings.clock import Clock
from takings.store import Store
from takings.store import schema as s

Detail = str | int | bool | None


class Audit:
    """Writes and reads the trail.

    Args:
        store: The product's own database.
        clock: Tells when.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def record(self, person: Person | None, action: str, subject: str, **details: Detail) -> None:
        """Add an entry in a transaction of its own.

        Args:
            person: Who did it; None: the program itself or its command line.
            action: What, such as ``connection.added``.
            subject: To what: a name or an address, at most 200 characters are kept.
            **details: What else identifies the case. Never a secret, never a customer's data.
        """
        with self._store.write() as connection:
            self.record_in(connection, person, action, subject, **details)

    def record_in(
        self, connection: sa.Connection, person: Person | None, action: str, subject: str, **details: Detail
    ) -> None:
        """Add an entry in the transaction of the change it speaks of, so that neither is there without the other."""
        connection.execute(
            sa.insert(s.audit).values(
                id=new_id(),
                at=self._clock.now(),
                person_id=person.id if person else None,
                person_name=person.name if person else "takings",
                action=action,
                subject=subject[:200],
                details=details,
            )
        )

    def latest(self, limit: int = 100) -> list[AuditEntry]:
        """Return the newest entries, newest first."""
        a = s.audit.c
        query = (
            sa.select(a.at, a.person_name, a.action, a.subject, a.details)
            .order_by(a.at.desc(), a.id.desc())
            .limit(limit)
        )
        with self._store.read() as connection:
            return [
                AuditEntry(
                    at=row.at, person_name=row.person_name, action=row.action, subject=row.subject, details=row.details
                )
                for row in connection.execute(query)
            ]
