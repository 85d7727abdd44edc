"""Keeps verifications: asked for, under way, done; and lets one process at a time carry one out."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Action, Audit, Person, require
from takings.clock import Clock
from takings.connections import Connections
from takings.proof.model import Asked, Part, State, Verification
from takings.store import Store
from takings.store.schema import follows, proofs

#: A verification of which nothing was heard for so long belongs to a process that is gone.
SILENT: Final = timedelta(minutes=5)
#: Verifications looked through for one that asked for the balance: some are of single lists.
_LOOKED_AT: Final = 20
_CODE: Final = "proof.interrupted"
_SENTENCE: Final = "The process that verified ended before it was done."


class ProofBook:
    """Reads and writes verifications of connections.

    Args:
        store: The product's own database.
        connections: Who is connected.
        audit: That somebody asked for one is recorded there.
        clock: The one clock.
    """

    def __init__(self, store: Store, connections: Connections, audit: Audit, clock: Clock) -> None:
        self._store, self._connections, self._audit, self._clock = store, connections, audit, clock

    def latest(self, connection_id: str, limit: int = 20) -> list[Verification]:
        """Return a connection's verifications, newest first."""
        query = sa.select(proofs).where(proofs.c.connection_id == connection_id)
        with self._store.read() as db:
            rows = db.execute(query.order_by(proofs.c.started_at.desc(), proofs.c.id).limit(limit)).all()
        return [_verification(row) for row in rows]

    def around(self, connection_id: str, start: datetime, end: datetime) -> list[Verification]:
        """Return the verifications that ended in a period, the last one before it, and the first and the last after it.

        Only those count that asked Stripe for its balance and had a steady answer. Oldest first.

        Args:
            connection_id: Whose.
            start: Beginning of the period.
            end: Its end, exclusive.
        """
        ended = proofs.c.ended_at
        query = sa.select(proofs).where(proofs.c.connection_id == connection_id, ended.is_not(None))
        before = query.where(ended < start).order_by(ended.desc()).limit(_LOOKED_AT)
        within = query.where(ended >= start, ended < end).order_by(ended)
        first = query.where(ended >= end).order_by(ended).limit(_LOOKED_AT)
        last = query.where(ended >= end).order_by(ended.desc()).limit(_LOOKED_AT)
        with self._store.read() as db:
            groups = [[_verification(row) for row in db.execute(one).all()] for one in (before, within, first, last)]
        found: dict[str, Verification] = {}
        for number, group in enumerate(groups):
            heard = [one for one in group if _heard(one)]
            found |= {one.id: one for one in (heard if number == 1 else heard[:1])}
        return sorted(found.values(), key=lambda one: (one.ended_at or one.started_at, one.id))

    def get(self, connection_id: str, proof_id: str) -> Verification | None:
        """Return one verification; None where this connection has none of that id."""
        query = sa.select(proofs).where(proofs.c.connection_id == connection_id, proofs.c.id == proof_id)
        with self._store.read() as db:
            row = db.execute(query).first()
        return None if row is None else _verification(row)

    def want(self, connection_id: str, person: Person | None, asked: Asked | None = None) -> Verification:
        """Ask the worker for a verification; one that waits or runs already is returned as it is.

        Args:
            connection_id: Whose.
            person: Who wants it; None: the program's own command line.
            asked: What; default the youngest rows, all that costs nothing, and samples.

        Raises:
            NotAllowed: This person may not.
            NotFound: There is no such connection.
        """
        if person is not None:
            require(person, Action.MANAGE_CONNECTIONS)
        connection = self._connections.get(connection_id)
        self.forget_silent(connection_id)
        now = self._clock.now()
        with self._store.write() as db:
            going = db.execute(
                sa.select(proofs).where(
                    proofs.c.connection_id == connection_id, proofs.c.state.in_(("waiting", "running"))
                )
            ).first()
            if going is not None:
                return _verification(going)
            values = _values(connection_id, asked or Asked(), "waiting", now)
            db.execute(sa.insert(proofs).values(**values))
            self._audit.record_in(db, person, "connection.verify", connection.name, id=connection_id)
            row = db.execute(sa.select(proofs).where(proofs.c.id == values["id"])).one()
        return _verification(row)

    def waiting(self) -> list[Verification]:
        """Return those that wait for the worker, oldest first."""
        query = sa.select(proofs).where(proofs.c.state == "waiting").order_by(proofs.c.started_at)
        with self._store.read() as db:
            return [_verification(row) for row in db.execute(query).all()]

    def take(self, proof_id: str) -> bool:
        """Take one that waits; False where another process was first."""
        now = self._clock.now()
        with self._store.write() as db:
            return bool(
                db.execute(
                    sa.update(proofs)
                    .where(proofs.c.id == proof_id, proofs.c.state == "waiting")
                    .values(state="running", started_at=now, seen_at=now)
                ).rowcount
            )

    def begin(self, connection_id: str, asked: Asked) -> str:
        """Note that one begins now; return its id."""
        values = _values(connection_id, asked, "running", self._clock.now())
        with self._store.write() as db:
            db.execute(sa.insert(proofs).values(**values))
        return str(values["id"])

    def claim(self, connection_id: str, seen: datetime | None) -> bool:
        """Take the turn of a scheduled verification; False where another process was first.

        Args:
            connection_id: Whose.
            seen: When the last one was, as whoever claims has seen it.
        """
        last = follows.c.verified_at
        with self._store.write() as db:
            return bool(
                db.execute(
                    sa.update(follows)
                    .where(follows.c.connection_id == connection_id, last.is_(None) if seen is None else last == seen)
                    .values(verified_at=self._clock.now())
                ).rowcount
            )

    def verified_at(self, connection_id: str) -> tuple[bool, datetime | None]:
        """Return whether a connection is followed at all, and when it was last verified, or its turn was taken."""
        query = sa.select(follows.c.verified_at).where(follows.c.connection_id == connection_id)
        with self._store.read() as db:
            row = db.execute(query).first()
        return (False, None) if row is None else (True, row[0])

    def beat(self, proof_id: str, requests: int, rows: int) -> None:
        """Note how far one is, and that somebody is at it."""
        with self._store.write() as db:
            db.execute(
                sa.update(proofs)
                .where(proofs.c.id == proof_id)
                .values(seen_at=self._clock.now(), requests=requests, rows=rows)
            )

    def end(
        self,
        proof_id: str,
        state: State,
        parts: Sequence[Part],
        *,
        requests: int,
        rows: int,
        differences: int,
        reason: str | None = None,
        reason_code: str | None = None,
    ) -> Verification:
        """Note how one came out."""
        with self._store.write() as db:
            now = self._clock.now()
            here = proofs.c.id == proof_id
            db.execute(
                sa.update(proofs)
                .where(here)
                .values(
                    state=state,
                    parts=[part.as_json() for part in parts],
                    requests=requests,
                    rows=rows,
                    differences=differences,
                    reason=None if reason is None else reason[:500],
                    reason_code=reason_code,
                    ended_at=now,
                    seen_at=now,
                )
            )
            row = db.execute(sa.select(proofs).where(here)).one()
            db.execute(sa.update(follows).where(follows.c.connection_id == row.connection_id).values(verified_at=now))
        return _verification(row)

    def forget_silent(self, connection_id: str | None = None) -> int:
        """Note of those whose process is gone that they are incomplete; return how many there were."""
        now = self._clock.now()
        seen = sa.func.coalesce(proofs.c.seen_at, proofs.c.started_at)
        gone = sa.and_(proofs.c.state == "running", seen < now - SILENT)
        if connection_id is not None:
            gone = sa.and_(gone, proofs.c.connection_id == connection_id)
        with self._store.write() as db:
            return int(
                db.execute(
                    sa.update(proofs)
                    .where(gone)
                    .values(state="incomplete", reason=_SENTENCE, reason_code=_CODE, ended_at=now)
                ).rowcount
            )


def _heard(one: Verification) -> bool:
    """Tell whether a verification heard Stripe's balance, and can be held against it again."""
    return any(
        part.check == "balance" and part.state in ("proven", "differs") and part.as_of is not None for part in one.parts
    )


def _values(connection_id: str, asked: Asked, state: State, now: datetime) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(8),
        "connection_id": connection_id,
        "asked": asked.as_json(),
        "state": state,
        "started_at": now,
        "seen_at": now,
        "parts": [],
    }


def _verification(row: sa.Row[Any]) -> Verification:
    return Verification(
        id=row.id,
        connection_id=row.connection_id,
        state=row.state,
        asked=Asked.from_json(row.asked),
        reason=row.reason,
        reason_code=row.reason_code,
        started_at=row.started_at,
        ended_at=row.ended_at,
        requests=row.requests,
        rows=row.rows,
        differences=row.differences,
        parts=tuple(Part.from_json(part) for part in row.parts),
    )
