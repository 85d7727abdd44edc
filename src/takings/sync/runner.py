"""Carries out one phase of a run: threads fetch windows side by side, one writer commits, and then progress is noted.

Pages go through one queue. A window's next page is asked for only after its page before stands in that queue, and what a
page gives birth to (a split, a list inside an object) is noted together with it: so whatever was noted at a kill is a true
beginning of the whole, and the rest is read again.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar
from urllib.parse import unquote

import msgspec

from takings.catalog.model import Catalog, ListEndpoint
from takings.clock import Clock
from takings.errors import NotFound, Refused, TakingsError, Unavailable, Unexpected
from takings.log import get
from takings.settings import Settings
from takings.stripe import Item as Received
from takings.stripe import Page, Stripe
from takings.stripe.refusals import malformed, not_enabled
from takings.sync import plan
from takings.sync.book import Advance, ListProgress, Run, RunBook
from takings.sync.checking import Checking
from takings.sync.cut import PLAIN, Cutter, Pieces, Stamp
from takings.sync.follow import EVENTS_TABLE, Follower
from takings.sync.plan import BRIDGE_LIST, BY_ID, CHECKS, PRICES_BY_ID, Window
from takings.warehouse import BRIDGE, Delivery, Item, Scope, Warehouse, Writer, WriteResult
from takings.warehouse.model import VersionSource

_T = TypeVar("_T")

#: What is read as one object, with the table it goes to.
SINGLES: Final = {"/v1/account": "accounts", "/v1/balance": "balance", PRICES_BY_ID: "prices"}

_BATCH_BYTES: Final = 24 * 2**20
_LINGER_S: Final = 2.0
_BEAT_S: Final = 4.0
_MOST_A_LIST: Final = 12
_LEAST_A_LIST: Final = 3
#: Failures in a row (each after the client's own patience) before a window is left for the next run.
_TRIES: Final = 4

_FORBIDDEN = frozenset(("stripe.permission_missing",))
_LOCKED_OUT = frozenset(("stripe.key_refused", "stripe.key_expired", "stripe.account_access"))


@dataclass(slots=True)
class Step:
    """What came of asking for a window's next page."""

    before: Window
    after: Window
    pieces: Pieces | None = None
    requests: int = 0
    rows: int = 0
    created: list[int | None] = field(default_factory=list)
    born: list[Window] = field(default_factory=list)
    failure: TakingsError | None = None
    #: True where the failure ends the window for this run.
    final: bool = False
    #: When the page was asked for.
    asked_at: datetime | None = None

    @property
    def bytes(self) -> int:
        """Size of the payloads it carries."""
        return sum(len(i.raw) for d in self.pieces.deliveries for i in d.items) if self.pieces else 0


@dataclass(slots=True)
class Outcome:
    """How a phase came out.

    Attributes:
        lists: How each list stands.
        parked: Failures of windows that are left for later, by list.
        fatal: What stopped the whole run, None when nothing did.
        stopped: True when it was asked to stop before the end.
        tables: Tables whose rows it changed.
        later: Objects to be asked for, and lists inside objects to be read, once this phase is over.
        closed: Lists that Stripe refused, with why.
        requests: Requests it took.
    """

    lists: dict[str, ListProgress]
    parked: dict[str, TakingsError]
    fatal: TakingsError | None = None
    stopped: bool = False
    tables: set[str] = field(default_factory=set)
    later: list[Window] = field(default_factory=list)
    closed: dict[str, TakingsError] = field(default_factory=dict)
    requests: int = 0


class Runner:
    """One phase of one run of one connection.

    Args:
        run: The run, held by ``book``'s owner.
        windows: Its plan; those done are kept for the count.
        lists: How its lists stand so far.
        book: Where progress is noted.
        stripe: Client of the connection.
        warehouse: Where rows go.
        catalog: What lists there are.
        settings: Threads and batch size.
        clock: The one clock.
        scope: Whose rows they are.
        floor: Second before which nothing can be, Unix.
        stop: Set by whoever wants it to end early.
        patient: True to wait for a full disk or a locked warehouse as long as it takes; else two minutes.
        follower: Reads the pages of windows whose purpose is ``events``.
        checking: Keeps account of what windows that compare have found; None: there are none.
        asked: Objects that were asked for already in this run, as paths: they are not asked for again.

    Only a first load (run kind ``backfill``) notes its windows and lists as it goes; other runs are short, and begin anew
    when they were interrupted.
    """

    def __init__(
        self,
        *,
        run: Run,
        windows: list[Window],
        lists: dict[str, ListProgress],
        book: RunBook,
        stripe: Stripe,
        warehouse: Warehouse,
        catalog: Catalog,
        settings: Settings,
        clock: Clock,
        scope: Scope,
        floor: int,
        stop: threading.Event,
        patient: bool,
        follower: Follower | None = None,
        checking: Checking | None = None,
        asked: set[str] | None = None,
    ) -> None:
        self._follower, self._checking = follower, checking
        self._loads = run.kind == "backfill"
        self._asked = set() if asked is None else asked
        self._later: list[Window] = []
        self._requests = 0
        self._told = 0
        self._run, self._book, self._stripe, self._warehouse = run, book, stripe, warehouse
        self._catalog, self._settings, self._clock, self._scope = catalog, settings, clock, scope
        self._floor, self._stop, self._patient = floor, stop, patient
        self._cutter = Cutter(catalog)
        self._endpoints: Mapping[str, ListEndpoint] = {endpoint.path: endpoint for endpoint in catalog.lists}
        self._lists = lists
        self._log = get("sync", connection=run.connection_id, run=run.id)

        self._turn = threading.Condition()
        self._ready: dict[str, deque[Window]] = {}
        self._active: dict[str, int] = {}
        self._delayed: list[tuple[float, Window]] = []
        self._outstanding = 0
        self._closed: dict[str, TakingsError] = {}
        self._parked: dict[str, TakingsError] = {}
        self._halt = False
        self._fatal: TakingsError | None = None

        self._queue: deque[Step] = deque()
        self._queued_rows = 0
        self._most_queued = settings.batch_rows * 3 // 2

        # As noted in the store: the writer's own, one step behind the fetchers.
        self._noted: dict[str, dict[str, Window]] = {}
        self._density: dict[str, float] = {}
        # Shown while it runs; counted exactly at the end.
        self._rows = book.table_rows(run.connection_id)
        self._touched: set[str] = set()
        for window in windows:
            self._noted.setdefault(window.list, {})[window.id] = window
            if not window.done:
                self._offer(window)

    def work(self) -> Outcome:
        """Read every window to its end, or until told to stop.

        Raises:
            Lost: Another worker has taken the run over.
        """
        threads = [
            threading.Thread(target=self._fetching, name=f"fetch-{n}", daemon=True) for n in range(self._threads())
        ]
        for thread in threads:
            thread.start()
        try:
            self._writing()
        finally:
            with self._turn:
                self._halt = True
                self._turn.notify_all()
            for thread in threads:
                thread.join()
        return Outcome(
            self._lists,
            self._parked,
            self._fatal,
            self._stop.is_set() and self._outstanding > 0,
            self._touched,
            self._later,
            self._closed,
            self._requests,
        )

    # Fetching: many threads

    def _threads(self) -> int:
        """Return how many threads are worth starting: few windows, which hardly split, need few."""
        most = self._settings.fetch_threads
        return most if self._loads and self._outstanding else min(most, self._outstanding + self._outstanding // 2)

    def _offer(self, window: Window) -> None:
        self._ready.setdefault(window.list, deque()).append(window)
        self._outstanding += 1

    def _fetching(self) -> None:
        while (window := self._next()) is not None:
            try:
                step = self._fetch(window)
            except Exception as error:  # a fault of ours: the window is left, the rest goes on
                self._log.exception("sync.crashed", list=window.list)
                step = Step(window, window, failure=_crash(error), final=True)
            self._settle(step)

    def _next(self) -> Window | None:
        with self._turn:
            while True:
                if self._halt or self._stop.is_set() or self._fatal or not self._outstanding:
                    self._turn.notify_all()
                    return None
                if self._queued_rows <= self._most_queued and (window := self._choose()) is not None:
                    self._active[window.list] = self._active.get(window.list, 0) + 1
                    return window
                self._turn.wait(0.25)

    def _choose(self) -> Window | None:
        """Take the next window: of the list with the fewest requests under way, so that no list waits on another."""
        now = self._clock.monotonic()
        if self._delayed:
            due = [window for at, window in self._delayed if at <= now]
            self._delayed = [(at, window) for at, window in self._delayed if at > now]
            for window in due:
                self._ready.setdefault(window.list, deque()).append(window)
        most = self._most_a_list()
        best: str | None = None
        for path, waiting in self._ready.items():
            busy = self._active.get(path, 0)
            if waiting and busy < most and (best is None or busy < self._active.get(best, 0)):
                best = path
                if not busy:
                    break
        return self._ready[best].popleft() if best is not None else None

    def _most_a_list(self) -> int:
        busy = sum(1 for path in self._ready if self._ready[path] or self._active.get(path))
        return max(_LEAST_A_LIST, min(_MOST_A_LIST, self._settings.fetch_threads // max(1, busy)))

    def _fetch(self, window: Window) -> Step:
        """Ask for the next page of a window and decide what comes of it."""
        closed = self._closed.get(window.list)
        if closed is not None:
            return Step(window, replace(window, done=True), failure=closed, final=True)
        try:
            if window.purpose in BY_ID:
                return self._object(window)
            if window.list in SINGLES:
                return self._single(window)
            return self._page(window)
        except NotFound:
            done = replace(window, done=True, pages=window.pages + 1)
            if window.parent:
                # The parent, or the object itself, has been deleted meanwhile: there is nothing to read here.
                return Step(window, done, requests=1)
            return Step(window, done, requests=1, failure=not_enabled(endpoint=window.list), final=True)
        except Refused as error:
            if error.code == "stripe.cursor_lost":
                return Step(window, plan.without_cursor(window), requests=1)
            if error.code in _LOCKED_OUT or error.code.startswith("oauth."):
                return Step(window, window, requests=1, failure=error, final=True)
            return Step(window, replace(window, done=True), requests=1, failure=error, final=True)
        except Unavailable as error:
            tried = replace(window, attempts=window.attempts + 1)
            return Step(window, tried, requests=1, failure=error, final=tried.attempts >= _TRIES)
        except TakingsError as error:
            return Step(window, window, requests=1, failure=error, final=True)

    def _page(self, window: Window) -> Step:
        bridge = window.list == BRIDGE_LIST
        endpoint = self._endpoints["/v1/balance_transactions" if bridge else window.list]
        asked_at = self._stripe.now()
        if endpoint.api == "v2" and window.cursor is not None:
            page = self._stripe.page(window.cursor, endpoint=endpoint.path)
        else:
            path, of = plan.fill(endpoint.path, window.parent), [("payout", window.parent)] if bridge else []

            def ask(expand: tuple[str, ...]) -> Page:
                asked = plan.parameters(window, endpoint, expand)
                return self._stripe.page(path, [*asked, *of], endpoint=endpoint.path)

            page = ask(()) if endpoint.needs else self._cutter.asked(endpoint.table, ask)
        stamp = Stamp(self._scope, asked_at, self._clock.now(), self._catalog.api_version)
        if endpoint.table == EVENTS_TABLE and self._follower is not None:
            pieces = self._follower.pieces(page.items, stamp)
        else:
            deep = window.purpose in ("deep", "head")
            pieces = self._cutter.page(endpoint, page, stamp, window.parent if endpoint.needs else "", look=deep)
        if bridge:
            pieces.deliveries.append(_bridge(window.parent, page.items, stamp))
        created = self._created(endpoint, page.items)
        after = plan.moved(
            window,
            ids=[item.id for item in page.items],
            created=created,
            has_more=page.has_more,
            next_page=page.next_page_url if page.has_more else None,
        )
        step = Step(window, after, pieces, page.attempts, len(page.items), created, asked_at=asked_at)
        if self._loads:
            step.born += pieces.windows
        if endpoint.created_filter and not after.done and not bridge:
            self._split(step)
        return step

    def _created(self, endpoint: ListEndpoint, items: list[Received]) -> list[int | None]:
        """Return the moments that the list is ordered and filtered by; empty where it is not filtered by time."""
        if not endpoint.created_filter:
            return []
        name = self._catalog.resources[endpoint.table].created_field
        if name in (None, "created"):
            return [item.created for item in items]
        found = (msgspec.json.decode(item.raw, type=dict[str, msgspec.Raw]).get(name) for item in items)
        return [int(bytes(value)) if value and bytes(value).isdigit() else None for value in found]

    def _split(self, step: Step) -> None:
        """Halve what is left of a window while its list could keep more requests under way."""
        seen = plan.density(step.created)
        if seen is None:
            return
        path = step.after.list
        with self._turn:
            open_now = len(self._ready.get(path, ())) + self._active.get(path, 0)
            most = self._most_a_list()
        if open_now >= most:
            return
        halves = plan.split(step.after, seen, self._floor)
        if halves is not None:
            step.after, older = halves
            step.born.append(older)

    def _single(self, window: Window) -> Step:
        asked_at = self._stripe.now()
        answer = self._stripe.get(plan.fill(window.list, window.parent), endpoint=window.list)
        raw, head = _one(answer.body, window.list)
        received = Received(head.id or "", head.object or "", head.created, raw)
        stamp = Stamp(self._scope, asked_at, self._clock.now(), self._catalog.api_version)
        pieces = self._cutter.objects(SINGLES[window.list], [received], stamp)
        after = replace(window, done=True, rows=1, pages=1, attempts=0)
        return Step(window, after, pieces, answer.attempts, 1, [head.created])

    def _object(self, window: Window) -> Step:
        """Ask for one object; that it is gone is an answer too."""
        asked_at = self._stripe.now()
        endpoint = self._endpoints[window.list]
        resource = self._catalog.resources[endpoint.table]
        done = replace(window, done=True, rows=1, pages=1, attempts=0)
        parent = unquote(window.parent.partition("/")[0])
        attempts = 1
        try:
            answer = self._cutter.asked(
                endpoint.table,
                lambda expand: self._stripe.get(
                    plan.object_path(window),
                    [("expand[]", name) for name in expand],
                    endpoint=f"{endpoint.path}/{{id}}",
                ),
            )
            attempts = answer.attempts
            raw, head = _one(answer.body, endpoint.path)
            gone = head.deleted
        except NotFound:
            raw, head, gone = b"{}", _SingleHead(), True
        except Refused as error:
            if window.purpose != "confirm" or error.code != "stripe.not_enabled":
                raise
            # Stripe gives no address for single objects of this kind: its list, read whole, has the last word.
            raw, head, gone = b"{}", _SingleHead(), True
        # An answer that merely confirms counts like a list's: that nothing changed is not worth a state of its own.
        source: VersionSource = "list" if window.purpose == "confirm" else "refetch"
        stamp = Stamp(self._scope, asked_at, self._clock.now(), self._catalog.api_version, source)
        if gone:
            identifier = plan.object_id(window)
            body = msgspec.json.encode({"id": identifier, "deleted": True})
            delivery = Delivery(
                table=resource.table,
                scope=self._scope,
                items=(Item.of(identifier, None, body),),
                as_of=asked_at,
                known_at=stamp.known_at,
                source="refetch",
                api_version=stamp.api_version,
                parent=parent or None,
                deleted=True,
            )
            return Step(window, done, Pieces([delivery]), attempts, 1, asked_at=asked_at)
        received = Received(head.id or plan.object_id(window), head.object or "", head.created, raw)
        pieces = self._cutter.objects(
            resource.table,
            [received],
            stamp,
            parent or self._cutter.parent_of(resource.table, raw),
            asked=True,
            look=True,
        )
        return Step(window, done, pieces, attempts, 1, [head.created], asked_at=asked_at)

    def _settle(self, step: Step) -> None:
        """Queue a step for the writer, then let its window and those born of it go on."""
        after, failure = step.after, step.failure
        with self._turn:
            self._queue.append(step)
            self._queued_rows += step.rows
            self._active[after.list] -= 1
            self._outstanding -= 1
            if failure is not None:
                (self._log.debug if isinstance(failure, Refused) else self._log.info)(
                    "sync.window_failed", list=after.list, code=failure.code, attempts=after.attempts, final=step.final
                )
                if failure.code in _LOCKED_OUT or failure.code.startswith("oauth."):
                    self._fatal = failure
                elif isinstance(failure, Refused) and (not after.parent or failure.code in _FORBIDDEN):
                    self._closed[after.list] = failure
                elif isinstance(failure, Refused):
                    # One object, or what lies below one, is refused: the others are read all the same.
                    self._parked[after.list] = failure
                elif step.final:
                    self._parked[after.list] = failure
                else:
                    self._delayed.append((self._clock.monotonic() + min(60.0, 2.0**after.attempts), after))
                    self._outstanding += 1
            elif not after.done:
                self._offer(after)
            for window in step.born:
                self._offer(window)
            self._turn.notify_all()

    # Writing: one thread

    def _writing(self) -> None:
        writer = self._warehouse.writer()
        last_beat = self._clock.monotonic()
        waited_since = self._clock.monotonic()
        while True:
            with self._turn:
                finished = not self._outstanding or self._fatal is not None or self._stop.is_set()
                idle = finished and not any(self._active.values())
                enough = self._queued_rows >= self._settings.batch_rows
                linger = bool(self._queue) and self._clock.monotonic() - waited_since >= _LINGER_S
                if not (enough or linger or (idle and self._queue)):
                    if idle and not self._queue:
                        return
                    self._turn.wait(0.1)
                    steps: list[Step] = []
                else:
                    steps = self._take()
                    self._turn.notify_all()
            if steps:
                self._commit(writer, steps)
                waited_since = last_beat = self._clock.monotonic()
            elif self._clock.monotonic() - last_beat > _BEAT_S:
                self._book.beat(self._run)
                last_beat = self._clock.monotonic()

    def _take(self) -> list[Step]:
        steps: list[Step] = []
        rows = size = 0
        while self._queue and rows < self._settings.batch_rows and size < _BATCH_BYTES:
            step = self._queue.popleft()
            self._queued_rows -= step.rows
            rows += step.rows
            size += step.bytes
            steps.append(step)
        return steps

    def _commit(self, writer: Writer, steps: list[Step]) -> None:
        """Write rows, then note what that made true."""
        deliveries = [
            delivery
            for step in steps
            if step.pieces
            for delivery in step.pieces.deliveries
            if delivery.items or delivery.all_of
        ]
        if self._checking is not None:
            for step in steps:
                self._checking.seen(
                    step.before,
                    step.after,
                    step.pieces,
                    step.asked_at,
                    step.born,
                    requests=step.requests,
                    failed=step.failure is not None and step.after.done,
                )
            deliveries += self._patiently(self._checking.gone)
        result = self._patiently(lambda: writer.write(deliveries))
        made = Advance()
        for (table, _), change in result.tables.items():
            if change:
                self._rows[table] = self._rows.get(table, 0) + change.new - change.deleted
                self._touched.add(table)
                made.table_rows[table] = self._rows[table]
            made.rows_new += change.new
            made.rows_changed += change.changed
            made.rows_deleted += change.deleted
        for step in steps:
            self._note(step, made)
        if not self._loads:
            self._postpone(steps, result)
            made.lists.clear()
            made.windows.clear()
            if self._checking is not None:
                self._later += self._checking.doubtful()
                made.findings += self._checking.judged(steps_of_checks(steps), result)
        for progress in made.lists.values():
            self._describe(progress)
        if self._follower is not None:
            made.events = len(self._follower.fresh) - self._told
            self._told = len(self._follower.fresh)
        self._patiently(lambda: self._book.advance(self._run, made))

    def _postpone(self, steps: list[Step], result: WriteResult) -> None:
        """Keep for later what an answer left open: objects to ask for, lists inside objects to read whole."""
        changed = {
            identifier for change in result.tables.values() for identifier in (*change.new_ids, *change.changed_ids)
        }
        for step in steps:
            for window in step.pieces.windows if step.pieces else ():
                if window.purpose in BY_ID:
                    self._ask_later(window)
                # What is as it was has the children that it had, unless it is looked at with all it holds.
                elif step.before.purpose != "check" or window.parent in changed:
                    key = f"{window.list} {window.parent}"
                    if key not in self._asked:
                        self._asked.add(key)
                        self._later.append(replace(window, purpose="whole", check=step.before.check))
        for (table, _), change in result.tables.items():
            for identifier in change.tied_ids:
                self._ask_later(self._by_id(table, identifier))

    def _by_id(self, table: str, identifier: str) -> Window | None:
        return self._follower.by_id(table, identifier) if self._follower is not None else None

    def _ask_later(self, window: Window | None) -> None:
        if window is not None and (key := plan.object_path(window)) not in self._asked:
            self._asked.add(key)
            self._later.append(window)

    def _note(self, step: Step, made: Advance) -> None:
        window = step.after
        known = self._noted.setdefault(window.list, {})
        known[window.id] = window
        made.windows[window.id] = window
        for born in step.born:
            self._noted.setdefault(born.list, {})[born.id] = born
            made.windows[born.id] = born
        made.rows_seen += step.rows
        made.requests += step.requests
        made.retries += max(0, step.requests - 1) + (step.failure is not None)
        self._requests += step.requests
        progress = self.progress(window.list)
        progress.rows += step.rows
        progress.pages += window.pages - step.before.pages
        progress.requests += step.requests
        if (seen := plan.density(step.created)) is not None:
            self._density[window.list] = seen
        made.lists[window.list] = progress
        if step.pieces is not None:
            for path, rows in step.pieces.children.items():
                child = self.progress(path)
                child.rows += rows
                made.lists[path] = child
            for path in step.pieces.unexpanded:
                self.progress(path).reason_code = "sync.not_expanded"
        self._mark_failure(step, progress)

    def _mark_failure(self, step: Step, progress: ListProgress) -> None:
        failure = step.failure
        if failure is None:
            if "{" not in progress.list and self._cutter.is_plain(progress.table):
                progress.reason, progress.reason_code = PLAIN, "sync.plain"
            elif progress.state == "running" and progress.reason_code != "sync.not_expanded":
                progress.reason = progress.reason_code = None
            return
        progress.reason, progress.reason_code = failure.sentence, failure.code
        if isinstance(failure, Refused) and failure.code not in _LOCKED_OUT:
            progress.state = "forbidden" if failure.code in _FORBIDDEN else "unavailable"

    def progress(self, path: str) -> ListProgress:
        """Return how a list stands, made when it is met for the first time."""
        known = self._lists.get(path)
        if known is None:
            known = self._lists[path] = ListProgress(path, self._table(path))
        return known

    def _table(self, path: str) -> str:
        if path == BRIDGE_LIST:
            return BRIDGE.table
        return SINGLES.get(path) or self._endpoints[path].table

    def _describe(self, progress: ListProgress) -> None:
        """Work out how far a list has come, from its windows as noted."""
        if progress.state in ("forbidden", "unavailable"):
            return
        progress.state = "running"
        path = progress.list
        windows = self._noted.get(path, {}).values()
        still = [window for window in windows if not window.done]
        endpoint = self._endpoints.get(path)
        if not still and endpoint is not None and not endpoint.needs:
            # Nothing adds to a list of its own any more: whoever looks need not wait for the rest of the run.
            progress.state, progress.progress, progress.estimate = "complete", 1.0, progress.rows
            progress.reaches_back_to = min((w.start for w in windows if w.start is not None), default=None)
            return
        if endpoint is None or not endpoint.created_filter or endpoint.needs:
            done = sum(1 for window in windows if window.done)
            progress.progress = done / len(windows) if windows else 0.0
            return
        rate = self._density.get(path, 0.0)
        left = sum(plan.pages_left(window, rate, self._floor) for window in still) * plan.PAGE_ROWS
        progress.estimate = progress.rows + int(left)
        progress.progress = progress.rows / progress.estimate if progress.estimate else float(not still)
        starts = [window.start for window in windows]
        progress.reaches_back_to = plan.reach(
            still, None if None in starts else min((s for s in starts if s), default=None)
        )

    def _patiently(self, act: Callable[[], _T]) -> _T:
        """Do something that a full disk or a lock may hold up: say so, wait, try again."""
        waited = 0.0
        pause = 1.0
        while True:
            try:
                result = act()
            except Unavailable as error:
                self._log.warning("sync.held_up", code=error.code, wait_s=pause)
                if self._stop.is_set() or (not self._patient and waited >= 120):
                    raise
                self._say(error)
                self._clock.sleep(pause)
                waited += pause
                pause = min(30.0, pause * 2)
                continue
            if waited:
                self._say(None)
            return result

    def _say(self, error: TakingsError | None) -> None:
        try:
            self._book.trouble(self._run, error)
        except Unavailable:
            self._log.debug("sync.trouble_unsaid")  # the store's disk may be the full one


class _SingleHead(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    created: int | None = None
    deleted: bool = False


_single_head = msgspec.json.Decoder(_SingleHead)


def _one(body: bytes, path: str) -> tuple[bytes, _SingleHead]:
    """Return one object as it is kept, and its head.

    Raises:
        Unexpected: It is a list, which is no row of any table.
    """
    raw = msgspec.json.format(body, indent=-1)
    head = _single_head.decode(raw)
    if head.object == "list":
        raise malformed(path, None)
    return raw, head


def steps_of_checks(steps: list[Step]) -> list[tuple[Window, Pieces]]:
    """Return the windows that compare, with what they brought."""
    return [
        (step.before, step.pieces)
        for step in steps
        if step.pieces and (step.before.purpose in CHECKS or (step.before.purpose == "whole" and step.before.check))
    ]


def _bridge(payout: str, items: list[Received], stamp: Stamp) -> Delivery:
    """Return which balance transactions a payout paid out, as rows of the bridge."""
    rows = []
    for item in items:
        body = {
            "id": f"{payout}/{item.id}",
            "object": BRIDGE.object,
            "payout": payout,
            "balance_transaction": item.id,
        }
        rows.append(Item.of(body["id"], None, json.dumps(body, separators=(",", ":")).encode()))
    return Delivery(
        table=BRIDGE.table,
        scope=stamp.scope,
        items=tuple(rows),
        as_of=stamp.as_of,
        known_at=stamp.known_at,
        source="bridge",
        api_version=stamp.api_version,
        parent=payout,
    )


def _crash(error: Exception) -> TakingsError:
    return Unexpected(
        "sync.crashed",
        f"Reading this list failed in a way the program does not know ({type(error).__name__}): tell us; the rest goes on.",
        kind=type(error).__name__,
    )
