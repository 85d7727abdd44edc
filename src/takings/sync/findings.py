"""What was found different from Stripe, as values, and where it is kept."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from takings.store import Store
from takings.store.schema import findings

Kind = Literal["missing", "stale", "ghost", "altered", "duplicate", "count", "balance", "payout", "gap"]
Origin = Literal["follow", "reconcile", "verify"]
Healed = Literal["read_again", "marked_deleted", "reconciled"]

#: So many ids are kept with a finding; its count is of all of them.
IDS_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something here that was not as it is at Stripe.

    Attributes:
        kind: ``missing``: Stripe has rows that were not here; ``stale``: rows here were of an older state; ``ghost``: rows
            here are gone from Stripe; ``altered``: a row here is not what its own payload says; ``duplicate``: a row is
            here twice; ``count``, ``balance``, ``payout``: figures differ; ``gap``: events are lost for good.
        origin: Which work found it.
        table: Table concerned, empty for none.
        list: Path template of the list that showed it.
        ids: Ids of the rows concerned.
        count: How many rows or events it concerns.
        subject: Currency or payout, where one is meant.
        start: From when the rows or the events are, None: no bound.
        end: Until when, exclusive.
        stripe: Stripe's figure: minor units or a count. None where there are no figures.
        ours: Our figure.
        silent: True where Stripe has no event that would have told.
        since: When it was last known to be right; None: it never was looked at before.
        found_at: When it was found.
        healed_at: When it was put right; None: it stands.
        healed_by: How it was put right.
    """

    kind: Kind
    origin: Origin
    table: str = ""
    list: str = ""
    ids: tuple[str, ...] = ()
    count: int = 1
    subject: str = ""
    start: datetime | None = None
    end: datetime | None = None
    stripe: int | None = None
    ours: int | None = None
    silent: bool = False
    since: datetime | None = None
    found_at: datetime
    healed_at: datetime | None = None
    healed_by: Healed | None = None
    run_id: str | None = None
    id: str = ""

    @property
    def difference(self) -> int | None:
        """Stripe's figure less ours; None where there are no figures."""
        return None if self.stripe is None or self.ours is None else self.stripe - self.ours


def insert(db: sa.Connection, connection_id: str, found: Iterable[Finding]) -> None:
    """Write findings down within a transaction."""
    rows = [_row(connection_id, finding) for finding in found]
    if rows:
        db.execute(sa.insert(findings), rows)


class FindingBook:
    """Reads and writes findings of connections."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, connection_id: str, found: Sequence[Finding]) -> None:
        """Write findings down."""
        if found:
            with self._store.write() as db:
                insert(db, connection_id, found)

    def dismiss(self, run_id: str, ids: Collection[str]) -> int:
        """Take rows out of a run's findings that were no difference after all; return how many.

        A row that changed at Stripe between the last look at its events and the look at the row itself is none.
        """
        taken = 0
        with self._store.write() as db:
            for row in db.execute(sa.select(findings).where(findings.c.run_id == run_id)).all():
                kept = [one for one in row.ids if one not in ids]
                out = len(row.ids) - len(kept)
                if not out:
                    continue
                taken += out
                count = row._mapping["count"]  # a row has a method of that name
                here = findings.c.id == row.id
                if count == out:
                    db.execute(sa.delete(findings).where(here))
                else:
                    db.execute(sa.update(findings).where(here).values(ids=kept, count=count - out))
        return taken

    def of(
        self,
        connection_id: str,
        *,
        since: datetime | None = None,
        run_id: str | None = None,
        open_only: bool = False,
        limit: int = 500,
    ) -> list[Finding]:
        """Return a connection's findings, newest first.

        Args:
            connection_id: Which.
            since: Only those found at this moment or later.
            run_id: Only those of one run.
            open_only: Only those that still stand.
            limit: At most so many.
        """
        query = sa.select(findings).where(findings.c.connection_id == connection_id)
        if since is not None:
            query = query.where(findings.c.found_at >= since)
        if run_id is not None:
            query = query.where(findings.c.run_id == run_id)
        if open_only:
            query = query.where(findings.c.healed_at.is_(None))
        with self._store.read() as db:
            rows = db.execute(query.order_by(findings.c.found_at.desc(), findings.c.id).limit(limit)).all()
        return [_finding(row) for row in rows]

    def heal(self, connection_id: str, kinds: Sequence[Kind], now: datetime, by: Healed) -> None:
        """Note that all findings of some kinds that still stand were put right."""
        with self._store.write() as db:
            db.execute(
                sa.update(findings)
                .where(
                    findings.c.connection_id == connection_id,
                    findings.c.kind.in_(list(kinds)),
                    findings.c.healed_at.is_(None),
                )
                .values(healed_at=now, healed_by=by)
            )


def _row(connection_id: str, finding: Finding) -> dict[str, Any]:
    difference = finding.difference
    return {
        "id": finding.id or secrets.token_hex(8),
        "connection_id": connection_id,
        "run_id": finding.run_id,
        "origin": finding.origin,
        "kind": finding.kind,
        "table_name": finding.table,
        "list": finding.list,
        "count": finding.count,
        "ids": list(finding.ids[:IDS_KEPT]),
        "subject": finding.subject,
        "start_at": finding.start,
        "end_at": finding.end,
        "stripe_figure": None if finding.stripe is None else str(finding.stripe),
        "our_figure": None if finding.ours is None else str(finding.ours),
        "difference": None if difference is None else str(difference),
        "silent": finding.silent,
        "since": finding.since,
        "found_at": finding.found_at,
        "healed_at": finding.healed_at,
        "healed_by": finding.healed_by,
    }


def _finding(row: sa.Row[Any]) -> Finding:
    return Finding(
        kind=row.kind,
        origin=row.origin,
        table=row.table_name,
        list=row.list,
        ids=tuple(row.ids),
        count=row._mapping["count"],
        subject=row.subject,
        start=row.start_at,
        end=row.end_at,
        stripe=None if row.stripe_figure is None else int(row.stripe_figure),
        ours=None if row.our_figure is None else int(row.our_figure),
        silent=row.silent,
        since=row.since,
        found_at=row.found_at,
        healed_at=row.healed_at,
        healed_by=row.healed_by,
        run_id=row.run_id,
        id=row.id,
    )
