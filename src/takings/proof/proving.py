"""Carries out one verification: brings the connection in step, compares with Stripe, looks twice, and says how it came out."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from takings.catalog.model import Catalog
from takings.clock import Clock, to_unix
from takings.connections import Connection, Connections, Deliveries
from takings.errors import Invalid, Refused, TakingsError, Unavailable
from takings.log import get
from takings.proof import figures, soundness
from takings.proof.book import ProofBook
from takings.proof.comparing import Comparing, Differing
from takings.proof.model import Asked, Part, PartState, Verification, verdict
from takings.proof.reading import Reader
from takings.proof.standing import FindingsKept
from takings.settings import Settings
from takings.store import RequestCounter, Store
from takings.stripe import Stripe
from takings.sync import EVENTS, Finding, FollowBook, RunBook, Standing, Stretch, StretchBook, plan
from takings.sync.agenda import comparing
from takings.sync.cut import Cutter
from takings.sync.cycle import Cycle
from takings.sync.findings import IDS_KEPT, Kind
from takings.sync.follow import Follower
from takings.sync.plan import Window
from takings.sync.runner import SINGLES
from takings.sync.states import OPEN, open_rows
from takings.sync.stretches import cost
from takings.warehouse import BRIDGE, Scope, Warehouse, integrity
from takings.warehouse.tables import all_tables

#: Stretches that are chosen by dice when the youngest rows are verified.
SAMPLES: Final = 12
#: Rows that differ are asked for one by one again, as long as they are no more than this.
LOOKED_AT_AGAIN: Final = 1_000
#: Times that the balance is read where money moves meanwhile.
_ROUNDS: Final = 3
_BUSY_PATIENCE_S: Final = 30.0
_BEAT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is: what it does, requests so far, requests expected, and rows compared so far."""

    doing: str
    requests: int
    estimate: int
    rows: int


@dataclass(frozen=True, slots=True)
class Proven:
    """How a verification came out: the verification, and what differs, with ids."""

    verification: Verification
    findings: Sequence[Finding]
    error: TakingsError | None = None


@dataclass(slots=True)
class _Work:
    """One verification while it is under way."""

    id: str
    connection: Connection
    asked: Asked
    stripe: Stripe
    counter: RequestCounter
    cycle: Cycle
    stop: threading.Event
    tell: Callable[[Progress], None]
    scope: Scope
    estimate: int = 0
    parts: list[Part] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    requests: int = 0
    rows: int = 0
    #: Ids of earlier findings that still stand, and those of them that were looked at and tie now.
    seen: set[str] = field(default_factory=set)
    sound: set[str] = field(default_factory=set)
    error: TakingsError | None = None


class Proof:
    """Verifies connections against Stripe. It writes no rows and heals nothing.

    Args:
        store: The product's own database.
        warehouse: What is here.
        catalog: What lists there are.
        connections: Who is connected.
        deliveries: What webhooks brought, for getting in step.
        book: Where verifications are kept.
        settings: Threads and rates.
        clock: The one clock.
        dice: What samples are chosen by.
    """

    def __init__(
        self,
        store: Store,
        warehouse: Warehouse,
        catalog: Catalog,
        connections: Connections,
        deliveries: Deliveries,
        book: ProofBook,
        settings: Settings,
        clock: Clock,
        dice: random.Random | None = None,
    ) -> None:
        self._store, self._warehouse, self._catalog = store, warehouse, catalog
        self._connections, self._deliveries = connections, deliveries
        self.book = book
        self._settings, self._clock = settings, clock
        self._dice = dice or random.Random()
        self._runs = RunBook(store, clock)
        self._follows = FollowBook(store)
        self._stretches = StretchBook(store, catalog)
        self._kept = FindingsKept(store)
        self._cutter = Cutter(catalog)
        self._tables = all_tables(catalog)
        self._log = get("proof")

    def verify(
        self,
        connection_id: str,
        asked: Asked | None = None,
        *,
        proof_id: str | None = None,
        budget: int | None = None,
        stop: threading.Event | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> Proven:
        """Verify a connection, to the end.

        Args:
            connection_id: Which; its first load is over.
            asked: What is to be verified.
            proof_id: The verification that was asked for and taken; None: a new one.
            budget: Requests that it takes at most, about; None: as many as it needs.
            stop: Set it to end early: what was found by then is kept, and the verification is incomplete.
            tell: Told again and again how far it is.

        Raises:
            NotFound: There is no such connection.
            Invalid: The first load is not over.
            Refused: The credentials cannot be used.
            Unavailable: Stripe, the store or the warehouse is away.
        """
        asked = asked or Asked()
        connection = self._connections.get(connection_id)
        self.book.forget_silent(connection_id)
        proof = proof_id or self.book.begin(connection_id, asked)
        work: _Work | None = None
        try:
            if not self._runs.complete_as_of(connection_id):
                raise Invalid(
                    "sync.not_loaded",
                    f"“{connection.name}” has not been loaded yet: synchronise it first.",
                    name=connection.name,
                )
            with self._opened(connection, proof, asked, stop or threading.Event(), tell) as work:
                self._carry_out(work, budget)
        except TakingsError as error:
            self._end(proof, work, error)
            if isinstance(error, Refused):
                self._connections.mark_reauth(connection_id, error)
            raise
        except BaseException:
            self._end(proof, work, None)
            raise
        return Proven(self._end(proof, work, work.error), work.findings, work.error)

    def estimate(self, connection_id: str, asked: Asked) -> int:
        """Return about how many requests a verification takes, where nothing is chosen by dice yet."""
        chosen = self._chosen(self._stretches.of(connection_id), asked, None)
        return sum(self._cost(one) for one in chosen) + 5

    @contextmanager
    def _opened(
        self,
        connection: Connection,
        proof: str,
        asked: Asked,
        stop: threading.Event,
        tell: Callable[[Progress], None],
    ) -> Iterator[_Work]:
        limiter = self._connections.limiter(connection)
        counter = RequestCounter(self._store, connection.pool_account_id, connection.livemode, self._clock, "verify")
        try:
            with closing(self._connections.client(connection, limiter=limiter, on_request=counter)) as stripe:
                cycle = Cycle(
                    connection=connection,
                    stripe=stripe,
                    counter=counter,
                    stop=stop,
                    patient=False,
                    store=self._store,
                    warehouse=self._warehouse,
                    catalog=self._catalog,
                    deliveries=self._deliveries,
                    book=self._runs,
                    settings=self._settings,
                    clock=self._clock,
                )
                scope = Scope(connection.account_id, connection.livemode)
                yield _Work(proof, connection, asked, stripe, counter, cycle, stop, tell, scope)
        finally:
            try:
                counter.flush()
            except TakingsError as error:
                self._log.warning("proof.left_undone", code=error.code)

    def _carry_out(self, work: _Work, budget: int | None) -> None:
        self._say(work, "follow")
        self._follow(work)
        work.cycle.extend()
        standings = self._runs.standings(work.connection.id)
        every = self._stretches.of(work.connection.id)
        chosen = self._chosen(every, work.asked, budget)
        chosen = [one for one in chosen if (at := standings.get(one.list)) is not None and at.state == "complete"]
        work.estimate = sum(self._cost(one) for one in chosen) + 5
        standing = self._kept.standing(work.connection.id)
        watched = {one for finding in standing for one in finding.ids}
        self._say(work, "compare")
        differing, listed = self._compare(work, standings, chosen, watched)
        self._say(work, "integrity")
        sound, unsound = self._integrity(work, standings, chosen)
        _merge(differing, unsound)
        self._rows(work, standings, every, chosen, differing, listed)
        self._integrity_parts(work, sound, unsound)
        self._say(work, "figures")
        everything = not work.asked.lists
        if everything or figures.TRANSACTIONS in work.asked.lists:
            self._balance(work, standings)
        if everything or figures.PAYOUTS in work.asked.lists or figures.TRANSACTIONS in work.asked.lists:
            self._payouts(work, standings)
        self._freshness(work, standings)
        if work.stop.is_set():
            work.error = Unavailable("proof.stopped", "It was stopped before everything was compared.")

    # What is compared

    def _chosen(self, every: Sequence[Stretch], asked: Asked, budget: int | None) -> list[Stretch]:
        """Choose stretches: all; or the living end of each list and some by dice; or, by dice, what a budget allows."""
        start = None if asked.start is None else to_unix(asked.start)
        end = None if asked.end is None else to_unix(asked.end)
        within = [
            _cut(one, start, end)
            for one in every
            if (not asked.lists or one.list in asked.lists)
            and (start is None or one.end is None or one.end > start or not one.bounded)
            and (end is None or one.start is None or one.start < end or not one.bounded)
        ]
        if asked.extent == "full" or asked.start is not None or asked.end is not None:
            return within
        newest = [one for one in within if one.end is None and one.bounded]
        others = [one for one in within if one.end is not None or not one.bounded]
        self._dice.shuffle(others)
        if asked.extent == "recent":
            few = [one for one in others if not one.bounded and one.pages <= 2]
            return newest + few + [one for one in others if one not in few][:SAMPLES]
        left = float("inf") if budget is None else float(budget)
        newest = [one for one in newest if one.rows] or newest
        self._dice.shuffle(newest)
        picked: list[Stretch] = []
        # The newest rows of one list at least, however small the budget.
        for one in (*newest[:1], *others[:SAMPLES], *newest[1:]):
            if not picked or self._cost(one) <= left:
                picked.append(one)
                left -= self._cost(one)
        return picked

    def _cost(self, stretch: Stretch) -> int:
        return cost(self._catalog.endpoint(stretch.list), stretch, deep=True)

    def _follow(self, work: _Work) -> None:
        """Get in step; where another process is at that already, let it."""
        waited = 0.0
        while not work.stop.is_set():
            try:
                done = work.cycle.follow()
                if done.fatal and done.reason is not None:
                    raise done.reason
                break
            except Unavailable as error:
                if error.code != "sync.busy" or waited >= _BUSY_PATIENCE_S:
                    if error.code != "sync.busy":
                        raise
                    break
                self._clock.sleep(1.0)
                waited += 1.0
            finally:
                work.counter.purpose = "verify"

    def _told_until(self, work: _Work, standings: Mapping[str, Standing]) -> dict[str, datetime]:
        following = self._follows.of(work.connection.id)
        skew = work.stripe.now() - self._clock.now()
        events = standings.get(EVENTS)
        told = events is not None and events.state not in ("forbidden", "unavailable")
        found: dict[str, datetime] = {}
        for one in standings.values():
            resource = self._catalog.resources.get(one.table)
            if one.complete_as_of is None or resource is None or "{" in one.list:
                continue
            by_events = told and bool(resource.events) and following.read_to is not None
            found[one.table] = following.read_to if by_events and following.read_to else one.complete_as_of + skew
        return found

    def _comparing(
        self, work: _Work, reader: Reader, told_until: Mapping[str, datetime], watched: Iterable[str], search: bool
    ) -> Comparing:
        follower = Follower(self._catalog, self._cutter)
        return Comparing(
            warehouse=self._warehouse,
            tables=self._tables,
            catalog=self._catalog,
            cutter=self._cutter,
            scope=work.scope,
            reader=reader,
            by_id=lambda table, identifier: follower.by_id(table, identifier, purpose="confirm"),
            told_until=told_until,
            watched=frozenset(watched),
            search=search,
        )

    def _reader(self, work: _Work) -> Reader:
        return Reader(
            work.stripe, self._catalog, Cutter(self._catalog), work.scope, self._settings, self._clock, work.stop
        )

    def _compare(
        self, work: _Work, standings: Mapping[str, Standing], chosen: Sequence[Stretch], watched: set[str]
    ) -> tuple[Differing, Comparing]:
        """Compare stretches, look again at what differs, and return what still does."""
        reader = self._reader(work)
        first = self._comparing(work, reader, self._told_until(work, standings), watched, True)
        for stretch in chosen:
            first.add(stretch, comparing(self._catalog.endpoint(stretch.list), stretch, deep=True))
        self._drain(work, reader, first)
        work.seen |= first.seen
        if not first.differing or work.stop.is_set():
            return first.differing, first
        return self._again(work, standings, first), first

    def _drain(self, work: _Work, reader: Reader, into: Comparing) -> None:
        last = self._clock.monotonic()
        before = work.rows
        more = True
        while more and not work.stop.is_set():
            for read in reader.read():
                into.take(read)
                work.requests += read.requests
                work.rows = before + sum(into.rows.values())
                if self._clock.monotonic() - last >= _BEAT_S:
                    last = self._clock.monotonic()
                    self._say(work, "compare")
            more = into.flush()

    def _again(self, work: _Work, standings: Mapping[str, Standing], first: Comparing) -> Differing:
        """Get in step once more and ask for each row that differs by itself: what changed meanwhile is no difference."""
        self._follow(work)
        follower = Follower(self._catalog, self._cutter)
        inner = {n.table: n.path for kept in self._cutter.nested.values() for n in kept if n.path}
        windows: dict[str, Window] = {}
        asked: set[tuple[str, str]] = set()
        for (table, kind), rows in first.differing.items():
            if kind == "ghost":
                continue
            for identifier, parent in rows.items():
                window = follower.by_id(table, identifier) if table not in inner or not parent else None
                if window is None and parent and table in inner:
                    window = plan.new_window(inner[table] or "", parent=parent, purpose="whole")
                if window is None:
                    continue
                key = f"{window.list} {window.parent}"
                if key not in windows and len(windows) >= LOOKED_AT_AGAIN:
                    continue
                windows[key] = window
                asked.add((table, identifier))
        reader = self._reader(work)
        second = self._comparing(work, reader, {}, (), False)
        reader.offer(windows.values())
        rows_before = work.rows
        self._drain(work, reader, second)
        work.rows = rows_before
        found: Differing = {}
        for (table, kind), rows in first.differing.items():
            if kind == "ghost":
                alive = first.alive(table, rows)
                still = {one: parent for one, parent in rows.items() if one in alive}
            else:
                again = {**second.differing.get((table, "missing"), {}), **second.differing.get((table, "stale"), {})}
                failed = set(second.failures)
                still = {
                    one: parent
                    for one, parent in rows.items()
                    if (table, one) not in asked or one in again or (failed and not second.rows[table])
                }
            if still:
                found[table, kind] = still
        return found

    # Parts and findings

    def _rows(
        self,
        work: _Work,
        standings: Mapping[str, Standing],
        every: Sequence[Stretch],
        chosen: Sequence[Stretch],
        differing: Differing,
        compared: Comparing,
    ) -> None:
        """Say of each list and each table inside objects how its rows compare."""
        here = self._runs.table_rows(work.connection.id)
        awaited = self._awaited(work, differing)
        progress = self._runs.lists(work.connection.id)
        lists: dict[str, list[Stretch]] = {}
        for one in chosen:
            lists.setdefault(one.list, []).append(one)
        for path in sorted(standings):
            standing = standings[path]
            if "{" in path or path in SINGLES or (work.asked.lists and path not in work.asked.lists):
                continue
            reason = progress[path].reason if path in progress else None
            if standing.state in ("forbidden", "unavailable") or path not in lists:
                if standing.state in ("forbidden", "unavailable"):
                    why = reason or "Stripe does not give this list."
                    # What was asked for by name and cannot be compared is not proven.
                    named: PartState = "incomplete" if work.asked.lists else "unchecked"
                    work.parts.append(_unchecked(standing, why, standing.reason_code, state=named))
                elif standing.state != "complete":
                    why = reason or "This list has not been loaded completely yet."
                    code = standing.reason_code or "proof.not_loaded"
                    work.parts.append(_unchecked(standing, why, code, state="incomplete"))
                continue
            whole = len(lists[path]) == sum(one.list == path for one in every) and work.asked.start is None
            self._row_part(work, standing.table, path, differing, compared, awaited, None if whole else here)
        listed = {self._catalog.endpoint(path).table for path in lists}
        for table in sorted({*compared.rows, *(table for table, _ in differing)} - listed):
            self._row_part(work, table, "", differing, compared, awaited, None)

    def _row_part(
        self,
        work: _Work,
        table: str,
        path: str,
        differing: Differing,
        compared: Comparing,
        awaited: Mapping[str, set[str]],
        here: Mapping[str, int] | None,
    ) -> None:
        failure = compared.failures.get(path)
        ids: set[str] = set()
        kinds: tuple[Kind, ...] = ("missing", "stale", "ghost", "altered", "duplicate")
        counts: dict[str, int] = {}
        for kind in kinds:
            rows = differing.pop((table, kind), {})
            named = [one for one in rows if kind != "stale" or one not in awaited.get(table, set())]
            counts[kind] = len(named)
            ids.update(named)
            if named:
                self._find(work, kind, table, path, named)
        shown = compared.shown[path] - compared.fresh[table] if path else None
        state: PartState = "differs" if ids else "incomplete" if failure is not None or work.stop.is_set() else "proven"
        work.parts.append(
            Part(
                check="rows",
                state=state,
                table=table,
                list=path,
                rows=compared.rows[table],
                of=None if here is None else here.get(table),
                requests=compared.requests[path] if path else 0,
                differences=len(ids),
                awaited=len(awaited.get(table, ())),
                stripe=shown,
                ours=None if shown is None else shown - counts["missing"] + counts["ghost"],
                reason=None if failure is None else failure.sentence,
                reason_code=None if failure is None else failure.code,
            )
        )

    def _awaited(self, work: _Work, differing: Differing) -> dict[str, set[str]]:
        """Return stale rows that are open here and change without an event: the next look at them is due anyway."""
        found: dict[str, set[str]] = {}
        for (table, kind), rows in differing.items():
            resource = self._catalog.resources.get(table)
            if kind != "stale" or table not in OPEN or resource is None or resource.updated_event:
                continue
            moment = resource.created_field or "created"
            still = {row[0] for row in open_rows(self._warehouse, work.scope, table, moment, work.stripe.now())}
            if still & rows.keys():
                found[table] = still & rows.keys()
        return found

    def _find(
        self,
        work: _Work,
        kind: Kind,
        table: str,
        path: str,
        ids: Sequence[str],
        *,
        subject: str = "",
        stripe: int | None = None,
        ours: int | None = None,
    ) -> None:
        """Write down what differs, with every id."""
        resource = self._catalog.resources.get(table)
        silent = resource is None or not resource.events or (kind == "stale" and not resource.updated_event)
        named = sorted(ids)
        for begin in range(0, max(1, len(named)), IDS_KEPT):
            part = named[begin : begin + IDS_KEPT]
            work.findings.append(
                Finding(
                    kind=kind,
                    origin="verify",
                    table=table,
                    list=path,
                    ids=tuple(part),
                    count=max(1, len(part)),
                    subject=subject,
                    start=work.asked.start,
                    end=work.asked.end,
                    stripe=stripe,
                    ours=ours,
                    silent=silent,
                    found_at=self._clock.now(),
                    run_id=work.id,
                )
            )

    # Checks without Stripe

    def _integrity(
        self, work: _Work, standings: Mapping[str, Standing], chosen: Sequence[Stretch]
    ) -> tuple[dict[str, Part], Differing]:
        """Check rows against the payloads they came from: all of them, or those of what was chosen by dice."""
        everything = work.asked.extent != "sampled" and work.asked.start is None and work.asked.end is None
        unfilled = set(self._warehouse.unfilled())
        parts: dict[str, Part] = {}
        found: Differing = {}
        asked = {"account": work.scope.account, "livemode": work.scope.livemode}
        with self._warehouse.reading() as session:
            held = {row[0] for row in session.execute(integrity.HELD, asked).fetchall()}
            held |= {table for table, rows in self._runs.table_rows(work.connection.id).items() if rows}
            spans = self._spans(work.asked, chosen, held & self._tables.keys(), everything)
            for name, its in spans.items():
                if work.stop.is_set():
                    break
                if name in unfilled:
                    parts[name] = Part(
                        check="integrity",
                        state="incomplete",
                        table=name,
                        reason=f"Its columns are yet to be filled after an upgrade: `takings rebuild --table {name}`.",
                        reason_code="proof.unfilled",
                    )
                    continue
                rows, unsound = soundness.unsound(session, self._tables[name], work.scope, its, whole=everything)
                bad = {one for ids in unsound.values() for one in ids}
                found.update({(name, kind): dict.fromkeys(ids, "") for kind, ids in unsound.items() if ids})
                parts[name] = Part(
                    check="integrity",
                    state="differs" if bad else "proven",
                    table=name,
                    rows=rows,
                    of=None if everything else self._runs.table_rows(work.connection.id).get(name),
                    differences=len(bad),
                )
                self._say(work, "integrity")
        return parts, found

    def _spans(
        self, asked: Asked, chosen: Sequence[Stretch], held: set[str], everything: bool
    ) -> dict[str, list[tuple[int | None, int | None]]]:
        """Return which rows of which tables are checked, as ranges of Unix seconds."""
        if everything:
            wanted = {self._catalog.endpoint(path).table for path in asked.lists}
            wanted |= {n.table for one in list(wanted) for n in self._cutter.nested.get(one, ())}
            wanted |= {BRIDGE.table} if figures.PAYOUTS in asked.lists else set()
            return {one: [(None, None)] for one in sorted(held) if not wanted or one in wanted}
        spans: dict[str, list[tuple[int | None, int | None]]] = {}
        for stretch in chosen:
            table = self._catalog.endpoint(stretch.list).table
            if table in held:
                spans.setdefault(table, []).append((stretch.start, stretch.end) if stretch.bounded else (None, None))
        return spans

    def _integrity_parts(self, work: _Work, parts: Mapping[str, Part], unsound: Differing) -> None:
        work.parts += [parts[name] for name in sorted(parts)]
        work.sound |= {name for name, part in parts.items() if part.state == "proven" and part.of is None}

    # Figures

    def _balance(self, work: _Work, standings: Mapping[str, Standing]) -> None:
        """Compare the sum of all balance transactions with Stripe's balance, once nothing moves meanwhile."""
        standing = standings.get(figures.TRANSACTIONS)
        if standing is None or standing.state != "complete":
            self._leave_balance(work, "Balance transactions are not here completely.", "proof.not_loaded")
            return
        if work.connection.start_at is not None:
            self._leave_balance(
                work, "Only history since a chosen day is here: what came before it is in the balance.", "proof.cut"
            )
            return
        theirs: dict[str, int] = {}
        ours: dict[str, figures.OurSum] = {}
        steady = False
        requests, none = 0, figures.OurSum()
        try:
            for attempt in range(_ROUNDS):
                theirs = figures.stripes_balance(work.stripe)
                if attempt:
                    self._follow(work)
                ours = figures.our_balance(self._warehouse, work.scope)
                requests += 2
                steady = figures.stripes_balance(work.stripe) == theirs
                if steady and all(ours.get(one, none).net == theirs.get(one, 0) for one in {*ours, *theirs}):
                    break
        except (TakingsError, msgspec.MsgspecError) as error:
            code = error.code if isinstance(error, TakingsError) else "stripe.malformed"
            said = error.sentence if isinstance(error, TakingsError) else "Stripe's balance cannot be read."
            self._leave_balance(work, said, code, unchecked=isinstance(error, Refused))
            return
        work.requests += requests
        for currency in sorted({*ours, *theirs}):
            mine = ours.get(currency, none)
            stripe = theirs.get(currency, 0)
            ties = mine.net == stripe
            work.parts.append(
                Part(
                    check="balance",
                    state="proven" if ties else "differs" if steady else "incomplete",
                    table="balance_transactions",
                    subject=currency,
                    rows=mine.rows,
                    requests=requests,
                    differences=0 if ties or not steady else 1,
                    stripe=stripe,
                    ours=mine.net,
                    as_of=mine.newest,
                    reason=None if ties or steady else "Money moved each time the balance was read.",
                    reason_code=None if ties or steady else "proof.moving",
                )
            )
            requests = 0
            if not ties and steady:
                self._find(
                    work,
                    "balance",
                    "balance_transactions",
                    figures.TRANSACTIONS,
                    (),
                    subject=currency,
                    stripe=stripe,
                    ours=mine.net,
                )

    def _leave_balance(self, work: _Work, why: str, code: str, *, unchecked: bool = True) -> None:
        work.parts.append(
            Part(
                check="balance",
                state="unchecked" if unchecked else "incomplete",
                table="balance_transactions",
                list=figures.BALANCE,
                reason=why,
                reason_code=code,
            )
        )

    def _payouts(self, work: _Work, standings: Mapping[str, Standing]) -> None:
        for path in (figures.PAYOUTS, figures.TRANSACTIONS):
            standing = standings.get(path)
            if standing is None or standing.state != "complete":
                why, code = f"The list {path} is not here completely.", "proof.not_loaded"
                work.parts.append(
                    Part(check="payouts", state="unchecked", table="payouts", list=path, reason=why, reason_code=code)
                )
                return
        count, transactions, untied = figures.payouts(self._warehouse, work.scope, work.asked.start, work.asked.end)
        work.parts.append(
            Part(
                check="payouts",
                state="differs" if untied else "proven",
                table="payouts",
                rows=transactions,
                stripe=count,
                ours=count - len(untied),
                differences=len(untied),
            )
        )
        for one in untied:
            self._find(
                work, "payout", "payouts", figures.PAYOUTS, (one.id,), subject=one.id, stripe=one.amount, ours=one.net
            )

    def _freshness(self, work: _Work, standings: Mapping[str, Standing]) -> None:
        """Say up to when everything is here, and which tables are older than promised."""
        asked = [
            (one.complete_as_of, one.list, one.table)
            for one in standings.values()
            if "{" not in one.list
            and one.complete_as_of is not None
            and (not work.asked.lists or one.list in work.asked.lists)
            and one.state in ("complete", "partial")
        ]
        if not asked:
            return
        as_of, path, table = min(asked)
        late = self._clock.now() - as_of > timedelta(hours=self._settings.promise_hours)
        work.parts.append(
            Part(
                check="freshness",
                state="incomplete" if late else "proven",
                table=table if late else "",
                list=path if late else "",
                as_of=as_of,
                reason="It is older than promised." if late else None,
                reason_code="proof.old" if late else None,
            )
        )

    # The end

    def _end(self, proof: str, work: _Work | None, error: TakingsError | None) -> Verification:
        """Keep what came of it, put earlier findings that tie now at rest, and return it."""
        parts = [] if work is None else work.parts
        found = [] if work is None else work.findings
        state = verdict(parts)
        if error is not None or work is None:
            state = "differs" if state == "differs" else "incomplete"
        if work is not None:
            checked = {part.check: part for part in parts if part.check in ("balance", "payouts")}
            figures_sound = {
                (part.check, part.subject) for part in parts if part.state == "proven" and part.check in checked
            }
            proven = {
                part.table for part in parts if part.check == "rows" and part.of is None and part.state == "proven"
            }
            self._kept.settle(
                work.connection.id,
                found,
                now=self._clock.now(),
                seen=work.seen,
                tables=proven if work.asked.whole else set(),
                sound=work.sound,
                figures=figures_sound,
                alive=lambda table, ids: self._alive(work, table, ids),
            )
        short = next((part for part in parts if part.state == "incomplete"), None)
        sentence = error.sentence if error is not None else short.reason if short is not None else None
        code = error.code if error is not None else short.reason_code if short is not None else None
        return self.book.end(
            proof,
            state,
            parts,
            requests=0 if work is None else work.requests,
            rows=0 if work is None else work.rows,
            differences=sum(one.count for one in found),
            reason=sentence if state != "proven" else None,
            reason_code=code if state != "proven" else None,
        )

    def _alive(self, work: _Work, table: str, ids: Sequence[str]) -> set[str]:
        if table not in self._tables:
            return set()
        asked = {"account": work.scope.account, "livemode": work.scope.livemode, "ids": list(ids)}
        with self._warehouse.reading() as session:
            return {
                row[0] for row in session.execute(integrity.living(self._tables[table], ids=True), asked).fetchall()
            }

    def _say(self, work: _Work, doing: str) -> None:
        work.tell(Progress(doing, work.requests, work.estimate, work.rows))
        self.book.beat(work.id, work.requests, work.rows)


def _cut(stretch: Stretch, start: int | None, end: int | None) -> Stretch:
    """Return the part of a stretch that lies in a range; all of it where its list cannot be cut by time."""
    if not stretch.bounded:
        return stretch
    starts = [one for one in (stretch.start, start) if one is not None]
    ends = [one for one in (stretch.end, end) if one is not None]
    return replace(stretch, start=max(starts, default=None), end=min(ends, default=None))


def _merge(differing: Differing, unsound: Differing) -> None:
    """Join what Stripe's lists showed with what payloads say: one row, one kind of difference."""
    for (table, kind), rows in unsound.items():
        if kind == "altered":
            # A row that was made up is a ghost; one whose own hash was changed too is not merely of an older state.
            rows = {one: parent for one, parent in rows.items() if one not in differing.get((table, "ghost"), {})}
            for other in ("stale", "missing"):
                for one in rows:
                    differing.get((table, other), {}).pop(one, None)
        if rows:
            differing.setdefault((table, kind), {}).update(rows)


def _unchecked(standing: Standing, why: str, code: str | None, *, state: PartState = "unchecked") -> Part:
    return Part(
        check="rows",
        state=state,
        table=standing.table,
        list=standing.list,
        reason=why,
        reason_code=code,
    )
