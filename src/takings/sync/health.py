"""How in step a connection is, read from the store alone: its tables, runs, differences, requests, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from takings.catalog.model import Catalog
from takings.clock import from_unix
from takings.connections import Connection
from takings.settings import Settings
from takings.store import Store
from takings.store.schema import findings, follows, list_states, proofs, runs, stretches, table_rows
from takings.sync import agenda, budget
from takings.sync.agenda import Pace
from takings.sync.book import EVENTS, ListStanding
from takings.sync.budget import Budget
from takings.sync.findings import Kind as FindingKind
from takings.sync.following import FollowBook, Following
from takings.sync.stretches import Stretch, StretchBook, cost
from takings.warehouse import BRIDGE

#: Rows that were not as they are at Stripe: what people call drift.
DRIFT: Final[tuple[FindingKind, ...]] = ("missing", "stale", "ghost")
#: A table drifts steadily when, on so many of the last days, differences were found that an event should have told of.
STEADY_DAYS: Final = 3
STEADY_WITHIN: Final = timedelta(days=7)
#: So many looks at events may be missed before a connection is called behind.
_LOOKS_MISSED: Final = 5
_LEAST_LAG: Final = timedelta(minutes=10)
#: Differences are counted by the quarter of an hour, which falls into one day in every zone of the world.
_QUARTER_US: Final = 900 * 1_000_000

RunKind = Literal["backfill", "follow", "reconcile", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHealth:
    """How one table of a connection stands.

    Attributes:
        lists: Path templates of the lists that fill it.
        state: Of its lists the one that needs attention most.
        reason: English sentence on why it is partial, forbidden or unavailable; ``reason_code`` is for translation.
        since: Since when it stands so; None: not known.
        as_of: Everything Stripe held at this moment is here; None: it never was complete. This moves on only when
            it is shown to be so, never because somebody tried.
        rows: Rows in it.
        told: Events tell of its changes.
        inside: The table whose rows bring these along; None: it has a list of its own.
        compared_at: Every row of it was compared with Stripe at this moment or later; None: not yet.
        wanted: It is to be compared out of its turn and that is not done yet.
        can_reread: It can be asked for anew.
    """

    table: str
    lists: tuple[str, ...]
    state: ListStanding
    reason: str | None
    reason_code: str | None
    since: datetime | None
    as_of: datetime | None
    rows: int
    told: bool
    inside: str | None
    compared_at: datetime | None
    wanted: bool
    can_reread: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. A look at events that found nothing leaves none.

    Attributes:
        kind: ``backfill``, ``follow``, ``reconcile`` or ``verify``.
        state: ``running``, ``complete``, ``partial``, ``failed`` or ``stopped``.
        reason: English sentence on what stood in the way; ``reason_code`` is for translation.
        rows_seen: Rows that Stripe delivered.
        events: Events read for the first time.
        findings: Rows that differed from Stripe's.
        estimate: Requests it was expected to take; None: nobody asked.
    """

    id: str
    kind: RunKind
    state: str
    reason: str | None
    reason_code: str | None
    started_at: datetime
    ended_at: datetime | None
    rows_new: int
    rows_changed: int
    rows_deleted: int
    rows_seen: int
    events: int
    requests: int
    retries: int
    findings: int
    estimate: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDay:
    """Rows of one table that were found different on one day.

    Attributes:
        day: In the zone asked for.
        silent: Stripe has no event that would have told.
        open: How many of them are not put right yet.
    """

    day: date
    table: str
    kind: FindingKind
    silent: bool
    rows: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastProof:
    """How the newest verification that came to its end came out.

    Attributes:
        tied: Nothing that was checked differed.
        whole: Everything was checked.
        differences: Rows and figures that differed.
        at: When it ended.
    """

    tied: bool
    whole: bool
    differences: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What comes next.

    Attributes:
        look_at: When events are looked at next; None: not planned.
        follow_every: Time between two such looks.
        compare_at: When the next stretch is due to be compared; None: there is none. In the past where it waits for its
            turn or for the budget.
        waiting: Requests that comparing what is due by now takes, about.
        horizon: Time within which every row is compared.
        oldest: When the stretch was compared that was so longest ago; None: there is none.
        verify_at: When the next verification is due; None: none was made yet.
    """

    look_at: datetime | None
    follow_every: timedelta
    compare_at: datetime | None
    waiting: int
    horizon: timedelta
    oldest: datetime | None
    verify_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How in step a connection is, as a whole.

    Attributes:
        word: ``loading``: its first load is not over; ``stopped``: it is paused or refused; ``gap``: events are lost
            and what they may have told of is being compared; ``behind``: nobody has caught up with Stripe for too long;
            ``short``: some table is not complete; ``well``: none of these.
        as_of: Everything that events tell was here at this moment, and where events cannot be read: the oldest table;
            None: never.
        lag: How long ago that was.
        following: How far events were read.
        short: Tables that are partial.
        forbidden: Tables that the credentials may not read.
        healed_today: Rows that differed today (in the zone asked for) and were put right.
        open: Rows or figures that still differ.
        proof: How the newest verification came out; None: there is none yet.
    """

    word: Literal["loading", "stopped", "gap", "behind", "short", "well"]
    as_of: datetime | None
    lag: timedelta | None
    following: Following
    short: tuple[str, ...]
    forbidden: tuple[str, ...]
    healed_today: int
    open: int
    proof: LastProof | None


class HealthBook:
    """Reads how connections stand. Everything comes from the store, in few queries: the warehouse is not asked.

    Args:
        store: The product's own database.
        catalog: What tables there are.
        settings: Pace and budget.
    """

    def __init__(self, store: Store, catalog: Catalog, settings: Settings) -> None:
        self._store, self._catalog, self._settings = store, catalog, settings
        self._follows = FollowBook(store)
        self._stretches = StretchBook(store, catalog)
        self._inside = _inside(catalog)

    def tables(self, connection_id: str) -> list[TableHealth]:
        """Return how each table of a connection stands, by name."""
        here = stretches.c.connection_id == connection_id
        with self._store.read() as db:
            lists = db.execute(sa.select(list_states).where(list_states.c.connection_id == connection_id)).all()
            counted = db.execute(
                sa.select(table_rows.c.table_name, table_rows.c.rows).where(table_rows.c.connection_id == connection_id)
            )
            rows = {row.table_name: int(row.rows) for row in counted}
            compared = {
                row.list: (row.compared, row.wanted)
                for row in db.execute(
                    sa.select(
                        stretches.c.list,
                        sa.func.min(stretches.c.listed_at).label("compared"),
                        sa.func.max(stretches.c.wanted_at).label("wanted"),
                    )
                    .where(here)
                    .group_by(stretches.c.list)
                )
            }
        by_table: dict[str, list[sa.Row[Any]]] = {}
        for row in lists:
            by_table.setdefault(row.table_name, []).append(row)
        own = {table: _as_of(those) for table, those in by_table.items()}
        found = []
        for table, those in by_table.items():
            worst = min(those, key=lambda row: (_URGENT[row.state], row.list))
            inside = self._inside.get(table)
            above = by_table.get(inside, []) if inside else []
            paths = [row.list for row in (above or those)]
            done = [compared[path] for path in paths if path in compared]
            as_of = own[table]
            if inside and worst.state == "complete" and as_of is not None:
                # What lies inside rows comes with them: it is as fresh as they are.
                as_of = max(filter(None, (as_of, own.get(inside))))
            resource = self._catalog.resources.get(table)
            found.append(
                TableHealth(
                    table=table,
                    lists=tuple(row.list for row in those),
                    state=worst.state,
                    reason=worst.reason,
                    reason_code=worst.reason_code,
                    since=worst.state_since,
                    as_of=as_of,
                    rows=rows.get(table, 0),
                    told=resource is not None and bool(resource.events),
                    inside=inside,
                    compared_at=min((at for at, _ in done), default=None),
                    wanted=any(wanted is not None for _, wanted in done),
                    can_reread=bool(done) and table != "events",
                )
            )
        return sorted(found, key=lambda one: one.table)

    def carriers(self, table: str) -> tuple[str, ...]:
        """Return the tables whose lists bring a table's rows along with their own, expanded; none for most tables."""
        return tuple(
            name
            for name, resource in sorted(self._catalog.resources.items())
            if any(path.rpartition(".")[2] == table for path in resource.expand)
        )

    def reread_lists(self, table: str) -> list[str]:
        """Return the lists that bring a table's rows: its own, or those of the rows it lies in.

        Args:
            table: Name of a table, or the path template of a list.
        """
        known = next((one.table for one in self._catalog.lists if one.path == table), table)
        wanted = self._inside.get(known, known)
        return [
            one.path
            for one in self._catalog.for_table(wanted)
            if one.top_level and not one.needs and not one.computed and one.path != EVENTS
        ]

    def health(self, connection: Connection, tables: Sequence[TableHealth], now: datetime, zone: ZoneInfo) -> Health:
        """Return how in step a connection is.

        Args:
            connection: It.
            tables: As :meth:`tables` gave them.
            now: The present.
            zone: Whose day *today* is.
        """
        following = self._follows.of(connection.id)
        midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        here = findings.c.connection_id == connection.id
        count = sa.func.coalesce(sa.func.sum(findings.c.count), 0)
        with self._store.read() as db:
            healed = db.execute(
                sa.select(count).where(
                    here, findings.c.kind.in_(DRIFT), findings.c.found_at >= midnight, findings.c.healed_at.is_not(None)
                )
            ).scalar_one()
            still = db.execute(
                sa.select(count).where(here, findings.c.healed_at.is_(None), findings.c.kind != "gap")
            ).scalar_one()
            last = db.execute(
                sa.select(proofs.c.state, proofs.c.asked, proofs.c.differences, proofs.c.ended_at)
                .where(proofs.c.connection_id == connection.id, proofs.c.state.in_(("proven", "differs")))
                .order_by(proofs.c.ended_at.desc())
                .limit(1)
            ).first()
        read = [one for one in tables if one.state not in ("forbidden", "unavailable")]
        events = next((one for one in tables if EVENTS in one.lists), None)
        told = events is not None and events.state not in ("forbidden", "unavailable")
        moments = [one.as_of for one in read if one.as_of is not None and (one.rows or one.told)]
        as_of = following.caught_up_at if told and following.caught_up_at else min(moments, default=None)
        lag = None if as_of is None else max(timedelta(0), now - as_of)
        short = tuple(one.table for one in read if one.state == "partial")
        return Health(
            word=self._word(connection, following, read, lag, short),
            as_of=as_of,
            lag=lag,
            following=following,
            short=short,
            forbidden=tuple(one.table for one in tables if one.state == "forbidden"),
            healed_today=int(healed),
            open=int(still),
            proof=None if last is None else _last_proof(last),
        )

    def _word(
        self,
        connection: Connection,
        following: Following,
        read: Sequence[TableHealth],
        lag: timedelta | None,
        short: Sequence[str],
    ) -> Literal["loading", "stopped", "gap", "behind", "short", "well"]:
        if connection.state != "active":
            return "stopped"
        if lag is None or any(one.as_of is None and one.state in ("waiting", "running") for one in read):
            return "loading"
        if following.gap_from is not None:
            return "gap"
        if lag > max(_LEAST_LAG, self.budget(connection, None, following).follow_every * _LOOKS_MISSED):
            return "behind"
        return "short" if short else "well"

    def runs(
        self,
        connection_id: str,
        *,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> list[RunRecord]:
        """Return a connection's runs, newest first.

        Args:
            connection_id: Whose.
            kinds: Only these; empty: all.
            since: Only those that began at this moment or later.
            limit: At most so many.
            offset: How many to leave out before.
        """
        query = sa.select(*(runs.c[name] for name in RunRecord.__dataclass_fields__))
        query = query.where(runs.c.connection_id == connection_id)
        if kinds:
            query = query.where(runs.c.kind.in_(list(kinds)))
        if since is not None:
            query = query.where(runs.c.started_at >= since)
        with self._store.read() as db:
            found = db.execute(query.order_by(runs.c.started_at.desc(), runs.c.id).limit(limit).offset(offset))
            return [RunRecord(**row._mapping) for row in found]

    def drift(self, connection_id: str, since: datetime, zone: ZoneInfo) -> list[DriftDay]:
        """Return how many rows of each table were found different on each day, oldest first.

        Args:
            connection_id: Whose.
            since: Only what was found at this moment or later.
            zone: Whose days they are counted by.
        """
        quarter = (sa.type_coerce(findings.c.found_at, sa.BigInteger) // _QUARTER_US).label("quarter")
        number = sa.func.sum(findings.c.count).label("number")
        still = sa.func.sum(sa.case((findings.c.healed_at.is_(None), findings.c.count), else_=0)).label("still")
        with self._store.read() as db:
            rows = db.execute(
                sa.select(quarter, findings.c.table_name, findings.c.kind, findings.c.silent, number, still)
                .where(
                    findings.c.connection_id == connection_id,
                    findings.c.kind.in_(DRIFT),
                    findings.c.found_at >= since,
                )
                .group_by(quarter, findings.c.table_name, findings.c.kind, findings.c.silent)
            ).all()
        sums: dict[tuple[date, str, FindingKind, bool], list[int]] = {}
        for row in rows:
            day = from_unix(int(row.quarter) * 900).astimezone(zone).date()
            held = sums.setdefault((day, row.table_name, row.kind, bool(row.silent)), [0, 0])
            held[0] += int(row.number)
            held[1] += int(row.still)
        return [
            DriftDay(day=day, table=table, kind=kind, silent=silent, rows=held[0], open=held[1])
            for (day, table, kind, silent), held in sorted(sums.items())
        ]

    def budget(self, connection: Connection, now: datetime | None, following: Following | None = None) -> Budget:
        """Return what a connection's requests come to, as far as the store tells: payments and forecast as last worked out.

        Args:
            connection: It.
            now: The present, to count the requests of the thirty days before; None: they are not counted.
            following: How far it has come, where that is known already.
        """
        at = following or self._follows.of(connection.id)
        transactions = at.transactions or 0
        reads = budget.allocation(transactions)
        share = self._settings.read_share
        wanted = timedelta(seconds=self._settings.follow_every_seconds)
        used: dict[str, int] = {}
        if now is not None:
            used = self._follows.spent(connection.pool_account_id, connection.livemode, now - budget.PERIOD)
        return Budget(
            transactions=transactions,
            allocation=reads,
            share=share,
            used=used,
            follow_every=wanted if at.transactions is None else budget.follow_every(wanted, reads, share),
            forecast=at.forecast or 0,
        )

    def ahead(self, connection: Connection, now: datetime) -> Ahead:
        """Return what comes next for a connection."""
        following = self._follows.of(connection.id)
        known = self.budget(connection, None, following)
        pace = self._pace(known.pace if following.forecast is not None else 1.0)
        dues: list[tuple[datetime, Stretch]] = []
        for stretch in self._stretches.of(connection.id):
            table = self._table(stretch.list)
            if table is None:
                continue
            every = agenda.check_every(stretch, self._catalog.resources[table], pace, now)
            due = now if stretch.wanted_at is not None else stretch.listed_at + every
            dues.append((due, stretch))
        with self._store.read() as db:
            last = db.execute(sa.select(follows.c.verified_at).where(follows.c.connection_id == connection.id)).scalar()
        return Ahead(
            look_at=connection.next_sync_at,
            follow_every=known.follow_every,
            compare_at=min((due for due, _ in dues), default=None),
            waiting=sum(
                cost(self._catalog.endpoint(stretch.list), stretch, deep=stretch.wanted_at is not None)
                for due, stretch in dues
                if due <= now
            ),
            horizon=timedelta(days=self._settings.reconcile_horizon_days),
            oldest=min((stretch.listed_at for _, stretch in dues), default=None),
            verify_at=None if last is None else last + timedelta(hours=self._settings.verify_every_hours),
        )

    def _pace(self, factor: float) -> Pace:
        return Pace(
            new_every=timedelta(seconds=self._settings.sync_every_seconds),
            horizon=timedelta(days=self._settings.reconcile_horizon_days),
            factor=factor,
        )

    def _table(self, path: str) -> str | None:
        try:
            return self._catalog.endpoint(path).table
        except KeyError:
            return None


def steady(found: Sequence[DriftDay], today: date) -> dict[str, int]:
    """Return the tables that drift steadily though events tell of them, each with on how many of the last days.

    Either events are lost on their way, or Stripe changes these objects without telling.
    """
    first = today - STEADY_WITHIN
    days: dict[str, set[date]] = {}
    for one in found:
        if not one.silent and first < one.day <= today:
            days.setdefault(one.table, set()).add(one.day)
    return {table: len(those) for table, those in sorted(days.items()) if len(those) >= STEADY_DAYS}


_URGENT: Final[dict[str, int]] = {
    "partial": 0,
    "forbidden": 1,
    "running": 2,
    "waiting": 3,
    "complete": 4,
    "unavailable": 5,
}


def _as_of(lists: Sequence[sa.Row[Any]]) -> datetime | None:
    """Return the moment up to which all lists of a table are complete; None where one that may be read never was."""
    read = [row.complete_as_of for row in lists if row.state not in ("forbidden", "unavailable")]
    read = read or [row.complete_as_of for row in lists]
    return None if None in read else cast(datetime, min(read))


def _last_proof(row: Any) -> LastProof:
    asked: Mapping[str, Any] = row.asked
    whole = asked.get("extent") == "full" and not any(asked.get(bound) for bound in ("lists", "start", "end"))
    return LastProof(tied=row.state == "proven", whole=whole, differences=row.differences, at=row.ended_at)


def _inside(catalog: Catalog) -> dict[str, str]:
    """Return the tables that come with the rows of another: name to that other's."""
    listed = {one.table for one in catalog.lists if one.top_level and not one.needs and not one.computed}
    found = {BRIDGE.table: "payouts"}
    for resource in catalog.resources.values():
        for nested in resource.nested:
            if nested.table not in listed:
                found.setdefault(nested.table, resource.table)
    return found
