"""Runs of a connection from beginning to end: what is due, its phases, and how it is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from takings.catalog.model import Catalog
from takings.clock import Clock, to_unix
from takings.connections import Connection, Connections, Deliveries
from takings.errors import Invalid, Refused, TakingsError, Unavailable
from takings.log import get
from takings.settings import Settings
from takings.store import RequestCounter, Store
from takings.stripe import Stripe
from takings.sync import budget, plan
from takings.sync.book import ListProgress, Lost, Run, RunBook, RunState
from takings.sync.cut import Cutter
from takings.sync.cycle import Cycle, Done
from takings.sync.findings import FindingBook
from takings.sync.following import FollowBook
from takings.sync.plan import BRIDGE_LIST, Window
from takings.sync.runner import SINGLES, Outcome, Runner
from takings.sync.stretches import StretchBook
from takings.sync.unlisted import inline_prices, open_payouts
from takings.warehouse import BRIDGE, Scope, Warehouse

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run came out.

    Attributes:
        state: ``complete`` when every list that the account may read is complete.
        lists: How each list came out, by path.
        reason: Why it did not come to its end, a sentence; None where it did.
    """

    connection_id: str
    state: RunState
    lists: dict[str, ListProgress] = field(default_factory=dict)
    reason: TakingsError | None = None


class Sync:
    """Synchronises connections.

    Args:
        store: Where plans and progress are kept.
        warehouse: Where rows go.
        catalog: What lists there are.
        connections: Who is connected.
        deliveries: What webhooks brought.
        settings: Rates, threads, batch size.
        clock: The one clock.
    """

    def __init__(
        self,
        store: Store,
        warehouse: Warehouse,
        catalog: Catalog,
        connections: Connections,
        deliveries: Deliveries,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._store, self._warehouse, self._catalog = store, warehouse, catalog
        self._connections, self._settings, self._clock = connections, settings, clock
        self._deliveries = deliveries
        self._memory: dict[str, tuple[datetime, frozenset[str]]] = {}
        self.book = RunBook(store, clock)
        self.follows = FollowBook(store)
        self.stretches = StretchBook(store, catalog)
        self.findings = FindingBook(store)

    def run_once(self, connection_id: str, *, stop: threading.Event | None = None, patient: bool = False) -> Summary:
        """Do what is due: load what is not here yet, else follow what happened and compare what is to be compared.

        Args:
            connection_id: Which.
            stop: Set it to have the work left where it is, for another time.
            patient: Wait for a full disk or a lock as long as it takes.

        Raises:
            NotFound: There is no such connection.
            Unavailable: Another worker is at this connection.
            TakingsError: Credentials cannot be used.
        """
        with self._opened(connection_id, stop or threading.Event(), patient) as at:
            summary = self._load(at)
            if summary is None or (summary.state == "partial" and self.book.complete_as_of(connection_id)):
                return self._cycle(at, lambda cycle: cycle.compare())
            return summary

    def reconcile(
        self,
        connection_id: str,
        *,
        lists: Iterable[str] | None = None,
        since: datetime | None = None,
        stop: threading.Event | None = None,
    ) -> Summary:
        """Compare with Stripe now, whatever it costs, and heal what differs: all of it, or some lists, or since a moment.

        A list that failed or was refused before is read first, however lately that was.

        Args:
            connection_id: Which; its first load is over.
            lists: Path templates; None: every list.
            since: Only what was made since then; None: everything.
            stop: Set it to end early: what was asked for and is not done goes on by its turn.

        Returns:
            How it came out; where lists were named, whether those are complete and compared.

        Raises:
            NotFound: There is no such connection.
            Unavailable: Another worker is at this connection.
            Invalid: The first load is not over.
        """
        chosen = None if lists is None else set(lists)
        with self._opened(connection_id, stop or threading.Event(), False) as at:
            if not self.book.complete_as_of(connection_id):
                raise Invalid(
                    "sync.not_loaded",
                    f"“{at.connection.name}” has not been loaded yet: synchronise it first.",
                    name=at.connection.name,
                )

            def compare(cycle: Cycle) -> Done:
                cycle.extend()
                self.stretches.want(connection_id, self._clock.now(), chosen, since)
                done = Done("complete")
                while cycle.anything_wanted() and not at.stop.is_set():
                    done = cycle.compare(wanted_only=True)
                    if done.state != "complete" or not done.requests:
                        break
                return done

            return self._cycle(at, compare, chosen or self._offered(connection_id), chosen)

    def _offered(self, connection_id: str) -> set[str]:
        """Return every list that Stripe offers to an account."""
        return {path for path, one in self.book.standings(connection_id).items() if one.state != "unavailable"}

    def cost(self, connection_id: str, lists: Iterable[str] | None, since: datetime | None) -> int:
        """Return how many requests :meth:`reconcile` takes, about.

        Raises:
            NotFound: There is no such connection.
            Unavailable: The store or the warehouse is held by others.
        """
        with self._opened(connection_id, threading.Event(), False) as at:
            self._make(at).extend()
            return self.stretches.cost(connection_id, lists, since)

    @contextmanager
    def _opened(self, connection_id: str, stop: threading.Event, patient: bool) -> Iterator[_At]:
        """Give what is needed to work on a connection; credentials that are refused are noted."""
        connection = self._connections.get(connection_id)
        limiter = self._connections.limiter(connection)
        counter = RequestCounter(self._store, connection.pool_account_id, connection.livemode, self._clock)
        try:
            with closing(self._connections.client(connection, limiter=limiter, on_request=counter)) as stripe:
                yield _At(connection, stripe, counter, stop, patient)
        except Refused as error:
            self._connections.mark_reauth(connection_id, error)
            raise
        finally:
            _quietly(counter.flush)

    def _load(self, at: _At) -> Summary | None:
        """Carry a first load on, or begin it; None where it is over."""
        connection = at.connection
        log = get("sync", connection=connection.id)
        at.counter.purpose = "backfill"
        resumed = self.book.claim(connection.id)
        if resumed is None and self.book.complete_as_of(connection.id):
            return None
        run = resumed or self._begin(connection)
        if run is None:
            raise _busy(connection)
        self.book.taken_up(connection.id)
        log.info("sync.run_started", run=run.id, kind=run.kind, phase=run.phase)
        try:
            summary = self._carry_out(connection, run, at.stripe, at.stop, at.patient, resumed is not None)
        except Lost:
            raise _busy(connection) from None
        except BaseException:
            self._release(run)
            raise
        log.info("sync.run_ended", run=run.id, state=summary.state)
        return summary

    def _make(self, at: _At) -> Cycle:
        return Cycle(
            connection=at.connection,
            stripe=at.stripe,
            counter=at.counter,
            stop=at.stop,
            patient=at.patient,
            store=self._store,
            warehouse=self._warehouse,
            catalog=self._catalog,
            deliveries=self._deliveries,
            book=self.book,
            settings=self._settings,
            clock=self._clock,
            memory=self._memory,
        )

    def _cycle(
        self,
        at: _At,
        then: Callable[[Cycle], Done],
        asked_for: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> Summary:
        """Follow, then do something else with what is here.

        Args:
            at: The connection.
            then: What else; told of what is here.
            asked_for: Lists that are tried at once though they failed before.
            only: Lists whose outcome the summary speaks of; None: all.
        """
        connection = at.connection
        began = self._clock.now()
        cycle = self._make(at)
        try:
            done = cycle.follow(asked_for)
            self.book.taken_up(connection.id)
            if cycle.deauthorized:
                self._connections.mark_reauth(connection.id)
            if done.state != "stopped" and not at.stop.is_set():
                more = then(cycle)
                done = more if more.state != "complete" or only is not None else done
        except Lost:
            raise _busy(connection) from None
        if done.fatal and done.reason is not None:
            self._connections.mark_reauth(connection.id, done.reason)
        lists = self.book.lists(connection.id)
        state: RunState = done.state
        reason = done.reason
        if state != "stopped":
            short = {
                path
                for path, one in self.book.standings(connection.id).items()
                if one.state == "partial" or (one.state in ("forbidden", "unavailable") and one.complete_as_of)
            }
            # Of what was asked for by name, nothing may be missing, nor be passed over since it is refused.
            lacking = short if only is None else {path for path in only if _is_lacking(lists.get(path))}
            state = "partial" if lacking or done.state == "partial" else "complete"
            if only is not None and reason is None:
                reason = next(filter(None, (_why(lists.get(path)) for path in sorted(lacking))), None)
            every = self._follow_every(connection)
            if short:
                self._connections.mark_followed(connection.id, every, began)
            else:
                self._connections.mark_synced(connection.id, began, every)
        return Summary(connection.id, state, lists, reason)

    def _follow_every(self, connection: Connection) -> timedelta:
        following = self.follows.of(connection.id)
        wanted = timedelta(seconds=self._settings.follow_every_seconds)
        if following.transactions is None:
            return wanted
        reads = budget.allocation(following.transactions)
        return budget.follow_every(wanted, reads, self._settings.read_share)

    def _release(self, run: Run) -> None:
        _quietly(lambda: self.book.release(run))

    def _begin(self, connection: Connection) -> Run | None:
        """Plan a first load: everything."""
        since = None if connection.start_at is None else to_unix(connection.start_at)
        windows = plan.first_windows(self._catalog, since)
        windows += [plan.new_window(path) for path in SINGLES if "{" not in path]
        lists = {window.list: ListProgress(window.list, self._table(window.list)) for window in windows}
        return self.book.begin(connection.id, "backfill", windows, lists)

    def _table(self, path: str) -> str:
        return SINGLES.get(path) or self._catalog.endpoint(path).table

    def _carry_out(
        self,
        connection: Connection,
        run: Run,
        stripe: Stripe,
        stop: threading.Event,
        patient: bool,
        resumed: bool,
    ) -> Summary:
        scope = Scope(connection.account_id, connection.livemode)
        lists = self.book.lists(connection.id)
        floor = self._floor(stripe)
        # Rows that were written right before a kill, or that an earlier connection of this account left, are in no count.
        uncounted = resumed or (run.kind == "backfill" and self._holds_rows(scope))
        parked: dict[str, TakingsError] = {}

        def phase(windows: list[Window]) -> Outcome:
            runner = Runner(
                run=run,
                windows=windows,
                lists=lists,
                book=self.book,
                stripe=stripe,
                warehouse=self._warehouse,
                catalog=self._catalog,
                settings=self._settings,
                clock=self._clock,
                scope=scope,
                floor=floor,
                stop=stop,
                patient=patient,
            )
            outcome = runner.work()
            parked.update(outcome.parked)
            return outcome

        outcome = phase(self.book.windows(run))
        if outcome.fatal or outcome.stopped:
            return self._leave(connection, run, outcome)
        if run.phase == "lists":
            run = self.book.phase(run, "changes", [], {})
        if run.phase == "changes":
            extra = inline_prices(self._warehouse, scope, _EVER) + open_payouts(self._warehouse, scope)
            for path in {window.list for window in extra} - lists.keys():
                lists[path] = ListProgress(path, BRIDGE.table if path == BRIDGE_LIST else self._table(path))
            run = self.book.phase(run, "bridges", extra, lists)
            outcome = phase(extra)
            if outcome.fatal or outcome.stopped:
                return self._leave(connection, run, outcome)
        return self._close(connection, run, lists, parked, recount=None if uncounted else [])

    def _floor(self, stripe: Stripe) -> int:
        """Return the second at which the account was made: nothing is older."""
        try:
            created = msgspec.json.decode(stripe.get("/v1/account").body, type=_Account).created
        except Unavailable:
            raise
        except (TakingsError, msgspec.MsgspecError):
            created = None
        return created or plan.STRIPE_BEGAN_UNIX

    def _holds_rows(self, scope: Scope) -> bool:
        asked = {"account": scope.account, "livemode": scope.livemode}
        return bool(
            self._warehouse.query(
                "SELECT 1 AS here FROM raw.versions AS v WHERE v.account = $account AND v.livemode = $livemode LIMIT 1",
                asked,
            ).rows
        )

    def _leave(self, connection: Connection, run: Run, outcome: Outcome) -> Summary:
        """Leave a run unfinished: it goes on from here when it can."""
        error = outcome.fatal
        if error is not None:
            _quietly(lambda: self.book.trouble(run, error))
        self.book.release(run)
        if error is not None:
            self._connections.mark_reauth(connection.id, error)
        return Summary(connection.id, "stopped", outcome.lists, error)

    def _close(
        self,
        connection: Connection,
        run: Run,
        lists: dict[str, ListProgress],
        parked: dict[str, TakingsError],
        *,
        recount: list[str] | None,
    ) -> Summary:
        """Say of each list how it came out, count the rows, and end the run."""
        parents = {n.path: table for table, kept in Cutter(self._catalog).nested.items() for n in kept}
        for path, progress in lists.items():
            if progress.state in ("forbidden", "unavailable"):
                if progress.rows:  # it gave rows before it was refused: what is here is short
                    progress.state = "partial"
                continue
            failure = parked.get(path)
            if failure is not None:
                progress.state, progress.reason, progress.reason_code = "partial", failure.sentence, failure.code
            elif progress.reason_code == "sync.not_expanded":
                progress.state = "partial" if progress.rows else "unavailable"
                progress.reason = "Stripe did not send this list with its parents."
            else:
                progress.state, progress.progress = "complete", 1.0
                if progress.reason_code != "sync.plain":
                    progress.reason = progress.reason_code = None
        by_table = {progress.table: progress for progress in lists.values() if "{" not in progress.list}
        for path, progress in lists.items():
            # A list inside objects is as complete as the list of those objects.
            above = by_table.get(parents.get(path, ""))
            if above is not None and above.state != "complete" and progress.state == "complete":
                progress.state, progress.reason, progress.reason_code = above.state, above.reason, above.reason_code
        short = [progress for progress in lists.values() if progress.state == "partial"]
        state: RunState = "partial" if short else "complete"
        reason = next(iter(parked.values()), None)
        scope = Scope(connection.account_id, connection.livemode)
        self.book.end(run, state, lists, self._warehouse.count(scope, recount), reason)
        if state == "complete":
            self._connections.mark_synced(connection.id, run.started_at, timedelta(0))
        return Summary(connection.id, state, lists, reason)


@dataclass(frozen=True, slots=True)
class _At:
    """A connection that is being worked on."""

    connection: Connection
    stripe: Stripe
    counter: RequestCounter
    stop: threading.Event
    patient: bool


def _is_lacking(known: ListProgress | None) -> bool:
    return known is None or known.state != "complete"


def _why(known: ListProgress | None) -> TakingsError | None:
    """Return why a list is not complete, as it was noted; None where nothing was."""
    if known is None or known.reason is None or known.reason_code is None:
        return None
    kind = Unavailable if known.state == "partial" else Refused
    return kind(known.reason_code, known.reason, list=known.list)


def _busy(connection: Connection) -> Unavailable:
    return Unavailable(
        "sync.busy",
        f"“{connection.name}” is being synchronised by another process: wait for it.",
        name=connection.name,
    )


class _Account(msgspec.Struct):
    created: int | None = None


def _quietly(act: Callable[[], None]) -> None:
    """Do what the work does not hang on; a failure is logged only."""
    try:
        act()
    except TakingsError as error:
        get("sync").warning("sync.left_undone", code=error.code)
