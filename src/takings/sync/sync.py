"""Runs of a connection from beginning to end: what is due, its phases, and how it is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from takings.catalog.model import Catalog
from takings.clock import Clock, to_unix
from takings.connections import Connection, Connections
from takings.errors import Refused, TakingsError, Unavailable
from takings.log import get
from takings.settings import Settings
from takings.store import RequestCounter, SharedLimiter, Store
from takings.stripe import Stripe
from takings.sync import plan
from takings.sync.book import EVENTS, Kind, ListProgress, Lost, Run, RunBook, RunState
from takings.sync.changes import changes
from takings.sync.cut import Cutter
from takings.sync.plan import BRIDGE_LIST, PRICES_BY_ID, Window
from takings.sync.runner import SINGLES, Outcome, Runner
from takings.warehouse import BRIDGE, Scope, Warehouse

#: A refresh reads lists again from this long before the moment they were last complete.
OVERLAP: Final = timedelta(days=3)
#: Events of this long before that moment are looked at again.
EVENTS_OVERLAP: Final = timedelta(hours=1)

_BRIDGES = """
SELECT p.id AS id
FROM stripe.payouts AS p
LEFT JOIN (
    SELECT DISTINCT b.payout AS payout FROM stripe.payout_balance_transactions AS b
    WHERE b._account = $account AND b._livemode = $livemode
) AS known ON known.payout = p.id
WHERE p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
  AND p.automatic AND (known.payout IS NULL OR p.reconciliation_status = 'in_progress')
ORDER BY p.created DESC, p.id
"""

_PRICES = """
SELECT DISTINCT seen.price AS id FROM (
    SELECT coalesce(json_extract_string(i.price, '$.id'), json_extract_string(i.price, '$')) AS price
    FROM stripe.subscription_items AS i WHERE i._account = $account AND i._livemode = $livemode
    UNION SELECT json_extract_string(l.pricing, '$.price_details.price') AS price
    FROM stripe.invoice_line_items AS l WHERE l._account = $account AND l._livemode = $livemode
    UNION SELECT json_extract_string(n.pricing, '$.price_details.price') AS price
    FROM stripe.invoiceitems AS n WHERE n._account = $account AND n._livemode = $livemode
    UNION SELECT coalesce(json_extract_string(c.price, '$.id'), json_extract_string(c.price, '$')) AS price
    FROM stripe.checkout_session_line_items AS c WHERE c._account = $account AND c._livemode = $livemode
) AS seen
WHERE seen.price IS NOT NULL AND seen.price NOT IN (
    SELECT p.id FROM stripe.prices AS p WHERE p._account = $account AND p._livemode = $livemode
)
ORDER BY 1
"""


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
        settings: Rates, threads, batch size.
        clock: The one clock.
    """

    def __init__(
        self,
        store: Store,
        warehouse: Warehouse,
        catalog: Catalog,
        connections: Connections,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._store, self._warehouse, self._catalog = store, warehouse, catalog
        self._connections, self._settings, self._clock = connections, settings, clock
        self.book = RunBook(store, clock)

    def run_once(self, connection_id: str, *, stop: threading.Event | None = None, patient: bool = False) -> Summary:
        """Carry an unfinished run of a connection to its end, or make a new one.

        Args:
            connection_id: Which.
            stop: Set it to have the run left where it is, for another time.
            patient: Wait for a full disk or a lock as long as it takes.

        Raises:
            NotFound: There is no such connection.
            Unavailable: Another worker is at this connection.
            TakingsError: Credentials cannot be used.
        """
        connection = self._connections.get(connection_id)
        log = get("sync", connection=connection.id)
        stop = stop or threading.Event()
        limiter = SharedLimiter(self._store, connection.account_id, self._settings, connection.livemode, self._clock)
        counter = RequestCounter(self._store, connection.account_id, connection.livemode, self._clock)
        try:
            with closing(self._connections.client(connection, limiter=limiter, on_request=counter)) as stripe:
                resumed = self.book.claim(connection_id)
                run = resumed or self._begin(connection)
                if run is None:
                    raise Unavailable(
                        "sync.busy",
                        f"“{connection.name}” is being synchronised by another process: wait for it.",
                        name=connection.name,
                    )
                self.book.taken_up(connection_id)
                log.info("sync.run_started", run=run.id, kind=run.kind, phase=run.phase)
                try:
                    summary = self._carry_out(connection, run, stripe, stop, patient, resumed is not None)
                except Lost:
                    raise Unavailable(
                        "sync.busy",
                        f"“{connection.name}” is being synchronised by another process: wait for it.",
                        name=connection.name,
                    ) from None
                except BaseException:
                    self._release(run)
                    raise
        except Refused as error:
            self._connections.mark_reauth(connection_id, error)
            raise
        finally:
            _quietly(counter.flush)
        log.info("sync.run_ended", run=run.id, state=summary.state)
        return summary

    def _release(self, run: Run) -> None:
        _quietly(lambda: self.book.release(run))

    def _begin(self, connection: Connection) -> Run | None:
        """Plan a new run: everything at first, later what may be new."""
        complete = self.book.complete_as_of(connection.id)
        since = None if connection.start_at is None else to_unix(connection.start_at)
        windows = plan.first_windows(self._catalog, since)
        kind: Kind = "backfill"
        if complete:
            kind = "refresh"
            windows = [self._later(window, complete.get(window.list)) for window in windows]
        windows += [plan.new_window(path) for path in SINGLES if "{" not in path]
        lists = {window.list: ListProgress(window.list, self._table(window.list)) for window in windows}
        return self.book.begin(connection.id, kind, windows, lists)

    def _later(self, window: Window, complete: datetime | None) -> Window:
        endpoint = self._catalog.endpoint(window.list)
        if complete is None or not endpoint.created_filter:
            return window
        start = to_unix(complete - OVERLAP)
        return plan.new_window(window.list, variant=window.variant, start=max(start, window.start or start))

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
        tables: set[str] = set()
        recount: set[str] = set()
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
            tables.update(outcome.tables)
            parked.update(outcome.parked)
            return outcome

        outcome = phase(self.book.windows(run))
        if outcome.fatal or outcome.stopped:
            return self._leave(connection, run, outcome)
        if run.phase == "lists":
            run = self.book.phase(run, "changes", [], {})
        if run.phase == "changes":
            extra = self._by_id(scope)
            if run.kind == "refresh":
                extra += self._take_changes(connection, run, scope, recount)
                tables |= recount
            for path in {window.list for window in extra} - lists.keys():
                lists[path] = ListProgress(path, BRIDGE.table if path == BRIDGE_LIST else self._table(path))
            run = self.book.phase(run, "bridges", extra, lists)
            outcome = phase(extra)
            if outcome.fatal or outcome.stopped:
                return self._leave(connection, run, outcome)
        return self._close(
            connection, run, lists, parked, changed=bool(tables), recount=None if uncounted else sorted(recount)
        )

    def _floor(self, stripe: Stripe) -> int:
        """Return the second at which the account was made: nothing is older."""
        try:
            created = msgspec.json.decode(stripe.get("/v1/account").body, type=_Account).created
        except Unavailable:
            raise
        except (TakingsError, msgspec.MsgspecError):
            created = None
        return created or plan.STRIPE_BEGAN_UNIX

    def _take_changes(self, connection: Connection, run: Run, scope: Scope, tables: set[str]) -> list[Window]:
        """Bring in what events tell of objects that were not listed again; return lists inside them to read whole."""
        since = self.book.complete_as_of(connection.id).get(EVENTS)
        if since is None:
            return []
        born: list[Window] = []
        writer = self._warehouse.writer()
        for pieces in changes(self._warehouse, self._catalog, scope, since - EVENTS_OVERLAP, self._clock.now()):
            deliveries = [delivery for piece in pieces for delivery in piece.deliveries]
            result = writer.write(deliveries)
            tables.update(
                table for (table, _), change in result.tables.items() if change.new or change.changed or change.deleted
            )
            born += [window for piece in pieces for window in piece.windows]
            self.book.beat(run)
        return list({(window.list, window.parent): window for window in born}.values())

    def _holds_rows(self, scope: Scope) -> bool:
        asked = {"account": scope.account, "livemode": scope.livemode}
        return bool(
            self._warehouse.query(
                "SELECT 1 AS here FROM raw.versions AS v WHERE v.account = $account AND v.livemode = $livemode LIMIT 1",
                asked,
            ).rows
        )

    def _by_id(self, scope: Scope) -> list[Window]:
        """Return what no list gives: inline prices, and which transactions each automatic payout paid out."""
        asked = {"account": scope.account, "livemode": scope.livemode}
        prices = self._warehouse.query(_PRICES, asked).rows
        payouts = self._warehouse.query(_BRIDGES, asked).rows
        return [plan.new_window(PRICES_BY_ID, parent=row[0]) for row in prices] + [
            plan.new_window(BRIDGE_LIST, parent=row[0]) for row in payouts
        ]

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
        changed: bool,
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
                progress.state, progress.reason, progress.reason_code = "complete", None, None
                progress.progress = 1.0
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
            self._connections.mark_synced(connection.id, run.started_at)
            if changed:
                _quietly(self._warehouse.maintain)
        return Summary(connection.id, state, lists, reason)


class _Account(msgspec.Struct):
    created: int | None = None


def _quietly(act: Callable[[], None]) -> None:
    """Do what the work does not hang on; a failure is logged only."""
    try:
        act()
    except TakingsError as error:
        get("sync").warning("sync.left_undone", code=error.code)
