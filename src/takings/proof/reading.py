"""Reads lists and single objects from Stripe side by side, as they are compared; nothing is written."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import unquote

import msgspec

from takings.catalog.model import Catalog, ListEndpoint
from takings.clock import Clock
from takings.errors import NotFound, Refused, TakingsError, Unavailable, Unexpected
from takings.log import get
from takings.settings import Settings
from takings.stripe import Item as Received
from takings.stripe import Page, Stripe
from takings.stripe.refusals import not_enabled
from takings.sync import plan
from takings.sync.cut import Cutter, Pieces, Stamp
from takings.sync.plan import BY_ID, Window
from takings.warehouse import Delivery, Item, Scope

_MOST_A_LIST: Final = 12
_LEAST_A_LIST: Final = 3
#: Failures in a row, each after the client's own patience, before a list counts as not compared.
_TRIES: Final = 3


@dataclass(slots=True)
class Read:
    """What came of asking for a window's next page, or for one object.

    Attributes:
        before: The window as it was asked for.
        after: The window after it.
        asked_at: When it was asked for, by Stripe's clock.
        pieces: What came.
        ids: Ids of the list's own rows, in order.
        requests: Requests it took.
        born: The other half, where its rest was split.
        failure: Why nothing came; the window is given up.
        gone: For one object: Stripe has it no more.
    """

    before: Window
    after: Window
    asked_at: datetime
    pieces: Pieces | None = None
    ids: list[str] = field(default_factory=list)
    requests: int = 1
    born: list[Window] = field(default_factory=list)
    failure: TakingsError | None = None
    gone: bool = False


class _Head(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    created: int | None = None
    deleted: bool = False


_head = msgspec.json.Decoder(_Head)


class Reader:
    """Reads windows, several at a time, of the list with the fewest requests under way first.

    Args:
        stripe: Client of the connection.
        catalog: What lists there are.
        cutter: Cuts what comes.
        scope: Whose rows they are.
        settings: How many threads.
        clock: The one clock.
        stop: Set by whoever wants it to end early.
    """

    def __init__(
        self,
        stripe: Stripe,
        catalog: Catalog,
        cutter: Cutter,
        scope: Scope,
        settings: Settings,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._stripe, self._catalog, self._cutter, self._scope = stripe, catalog, cutter, scope
        self._settings, self._clock, self._stop = settings, clock, stop
        self._turn = threading.Condition()
        self._ready: dict[str, deque[Window]] = {}
        self._active: dict[str, int] = {}
        self._outstanding = 0
        self._done: deque[Read] = deque()
        self._waiting = 0
        self._halt = False
        self._refused: dict[str, TakingsError] = {}
        self._log = get("proof")

    def offer(self, windows: Iterable[Window]) -> None:
        """Add windows, before or while they are read."""
        with self._turn:
            for window in windows:
                self._ready.setdefault(window.list, deque()).append(window)
                self._outstanding += 1
            self._turn.notify_all()

    def read(self) -> Iterator[Read]:
        """Give what comes until nothing is left, or until told to stop; windows may be added meanwhile."""
        count = max(1, self._settings.fetch_threads)
        threads = [threading.Thread(target=self._fetching, name=f"verify-{n}", daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        try:
            while (found := self._next_read()) is not None:
                yield found
        finally:
            with self._turn:
                self._halt = True
                self._turn.notify_all()
            for thread in threads:
                thread.join()
            self._halt = False

    def _next_read(self) -> Read | None:
        with self._turn:
            while True:
                if self._done:
                    found = self._done.popleft()
                    self._waiting -= len(found.ids)
                    self._turn.notify_all()
                    return found
                if self._stop.is_set() or not self._outstanding:
                    return None
                self._turn.wait(0.25)

    def _fetching(self) -> None:
        while (window := self._take()) is not None:
            try:
                read = self._fetch(window)
            except Exception as error:  # a fault of ours: this list counts as not compared
                self._log.exception("proof.crashed", list=window.list)
                read = Read(
                    window,
                    replace(window, done=True),
                    self._stripe.now(),
                    failure=Unexpected("proof.crashed", f"Reading failed unexpectedly ({type(error).__name__})."),
                )
            self._settle(read)

    def _take(self) -> Window | None:
        with self._turn:
            while not self._halt and not self._stop.is_set():
                # What waits to be compared is bounded: reading never runs away from comparing.
                if self._waiting <= 3 * self._settings.batch_rows and (window := self._choose()) is not None:
                    self._active[window.list] = self._active.get(window.list, 0) + 1
                    return window
                self._turn.wait(0.25)
        return None

    def _choose(self) -> Window | None:
        busy = sum(1 for path, waiting in self._ready.items() if waiting or self._active.get(path))
        most = max(_LEAST_A_LIST, min(_MOST_A_LIST, self._settings.fetch_threads // max(1, busy)))
        open_now = [
            (self._active.get(path, 0), path)
            for path, waiting in self._ready.items()
            if waiting and self._active.get(path, 0) < most
        ]
        return self._ready[min(open_now)[1]].popleft() if open_now else None

    def _settle(self, read: Read) -> None:
        with self._turn:
            self._active[read.before.list] -= 1
            self._outstanding -= 1
            if read.failure is not None:
                if isinstance(read.failure, Refused) and read.before.purpose not in BY_ID:
                    self._refused[read.before.list] = read.failure
            elif not read.after.done:
                self._ready.setdefault(read.after.list, deque()).append(read.after)
                self._outstanding += 1
            for window in read.born:
                self._ready.setdefault(window.list, deque()).append(window)
                self._outstanding += 1
            self._done.append(read)
            self._waiting += len(read.ids)
            self._turn.notify_all()

    def _fetch(self, window: Window) -> Read:
        asked_at = self._stripe.now()
        done = replace(window, done=True)
        refused = self._refused.get(window.list)
        if refused is not None:
            return Read(window, done, asked_at, requests=0, failure=refused)
        for attempt in range(1, _TRIES + 1):
            try:
                return self._object(window) if window.purpose in BY_ID else self._page(window)
            except NotFound:
                failure = None if window.parent else not_enabled(endpoint=window.list)
                return Read(window, done, asked_at, failure=failure)
            except Refused as error:
                if error.code != "stripe.cursor_lost":
                    return Read(window, done, asked_at, failure=error)
                return Read(window, plan.without_cursor(window), asked_at)
            except Unavailable as error:
                if attempt == _TRIES or self._stop.is_set():
                    return Read(window, done, asked_at, requests=attempt, failure=error)
                self._clock.sleep(float(attempt))
            except TakingsError as error:
                return Read(window, done, asked_at, failure=error)
        raise AssertionError("not reached")

    def _page(self, window: Window) -> Read:
        endpoint = self._catalog.endpoint(window.list)
        asked_at = self._stripe.now()
        if endpoint.api == "v2" and window.cursor is not None:
            page = self._stripe.page(window.cursor, endpoint=endpoint.path)
        else:
            path = plan.fill(endpoint.path, window.parent)

            def ask(expand: tuple[str, ...]) -> Page:
                return self._stripe.page(path, plan.parameters(window, endpoint, expand), endpoint=endpoint.path)

            page = ask(()) if endpoint.needs else self._cutter.asked(endpoint.table, ask)
        stamp = Stamp(self._scope, asked_at, self._clock.now(), self._catalog.api_version)
        pieces = self._cutter.page(endpoint, page, stamp, window.parent if endpoint.needs else "", look=True)
        created = self._created(endpoint, page.items)
        after = plan.moved(
            window,
            ids=[item.id for item in page.items],
            created=created,
            has_more=page.has_more,
            next_page=page.next_page_url if page.has_more else None,
        )
        read = Read(window, after, asked_at, pieces, [item.id for item in pieces.deliveries[0].items], page.attempts)
        seen = plan.density(created)
        if endpoint.created_filter and not after.done and seen is not None:
            halves = plan.split(after, seen, plan.STRIPE_BEGAN_UNIX)
            if halves is not None:
                read.after, older = halves
                read.born.append(older)
        return read

    def _created(self, endpoint: ListEndpoint, items: list[Received]) -> list[int | None]:
        if not endpoint.created_filter:
            return []
        name = self._catalog.resources[endpoint.table].created_field
        if name in (None, "created"):
            return [item.created for item in items]
        found = (msgspec.json.decode(item.raw, type=dict[str, msgspec.Raw]).get(name) for item in items)
        return [int(bytes(value)) if value and bytes(value).isdigit() else None for value in found]

    def _object(self, window: Window) -> Read:
        """Ask for one object; that it is gone is an answer too."""
        asked_at = self._stripe.now()
        endpoint = self._catalog.endpoint(window.list)
        done = replace(window, done=True, rows=1, pages=1)
        parent = unquote(window.parent.partition("/")[0])
        wanted = plan.object_id(window)
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
            raw = msgspec.json.format(answer.body, indent=-1)
            head = _head.decode(raw)
            gone = head.deleted
        except NotFound:
            raw, head, gone = b"{}", _Head(), True
        except Refused as error:
            if error.code != "stripe.not_enabled":
                raise
            # Stripe gives no address for single objects of this kind: its list has the last word.
            raw, head, gone = b"{}", _Head(), True
        stamp = Stamp(self._scope, asked_at, self._clock.now(), self._catalog.api_version, "refetch")
        if gone:
            delivery = Delivery(
                table=endpoint.table,
                scope=self._scope,
                items=(Item.of(wanted, None, msgspec.json.encode({"id": wanted, "deleted": True})),),
                as_of=asked_at,
                known_at=stamp.known_at,
                source="refetch",
                api_version=stamp.api_version,
                deleted=True,
            )
            return Read(window, done, asked_at, Pieces([delivery]), [wanted], attempts, gone=True)
        received = Received(head.id or wanted, head.object or "", head.created, raw)
        pieces = self._cutter.objects(
            endpoint.table,
            [received],
            stamp,
            parent or self._cutter.parent_of(endpoint.table, raw),
            asked=True,
            look=True,
        )
        return Read(window, done, asked_at, pieces, [received.id], attempts)
