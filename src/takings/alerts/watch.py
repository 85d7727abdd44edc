"""Watching: looks at the facts every half minute or so, opens and closes alerts, and sends what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from takings.alerts import facts, rules
from takings.alerts.book import AlertBook
from takings.alerts.model import Answer, BudgetFacts, Budgets, Notice
from takings.clock import Clock
from takings.errors import NotFound, TakingsError
from takings.log import get
from takings.settings import Settings
from takings.store import Store
from takings.store.schema import workers

EVERY_S: Final = 25.0
"""Time between two looks, in seconds."""

_BUDGETS_EVERY_S: Final = 600.0
_TIDY_EVERY_S: Final = 86_400.0
_AT_THE_END_S: Final = 5.0


class Watch:
    """Looks for troubles and tells of them. Any number of processes may: each thing is opened, closed and sent by one.

    Args:
        store: The product's own database.
        book: Where alerts are kept.
        settings: Name the promise that data are no older than.
        clock: Tells the time.
        send: Says something over a channel and returns the answer.
        budgets: Tells what connections may still ask of Stripe; None: budgets are left out.
    """

    def __init__(
        self,
        store: Store,
        book: AlertBook,
        settings: Settings,
        clock: Clock,
        send: Callable[[str, Sequence[Notice]], Answer],
        budgets: Budgets | None,
    ) -> None:
        self._store, self._book, self._clock, self._send, self._asked = store, book, clock, send, budgets
        self._promise = timedelta(hours=settings.promise_hours)
        self._next = self._next_budgets = self._next_tidy = float("-inf")
        self._budgets: Mapping[str, BudgetFacts | None] = {}
        self._busy: threading.Thread | None = None
        self._log = get("alerts")

    def tick(self) -> None:
        """Look, if it is time to, in a thread of its own: returns at once and raises nothing."""
        now = self._clock.monotonic()
        if now < self._next or (self._busy is not None and self._busy.is_alive()):
            return
        self._next = now + EVERY_S
        self._busy = threading.Thread(target=self._look_safely, name="alerts", daemon=True)
        self._busy.start()

    def close(self) -> None:
        """Wait a little for a look under way; what it could not send is sent by another."""
        if self._busy is not None:
            self._busy.join(_AT_THE_END_S)

    @contextmanager
    def standing_in(self) -> Iterator[None]:
        """Look while no worker does, in a thread, until the block ends: somebody has to tell that there is none."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(EVERY_S):
                try:
                    if not self._worker_looks():
                        self._look_safely()
                except TakingsError as error:
                    self._log.warning("alerts.held_up", code=error.code)

        thread = threading.Thread(target=work, name="alerts", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_AT_THE_END_S)

    def look(self) -> None:
        """Bring alerts into line with the facts, and send what is due. For tests and threads of their own.

        Raises:
            Unavailable: The store is away.
        """
        self.assess()
        self.tell()

    def assess(self) -> None:
        """Open and close alerts.

        Raises:
            Unavailable: The store is away.
        """
        now = self._clock.now()
        seen = facts.read(self._store, now, self._promise, self._budget if self._asked else None)
        found = rules.troubles(seen, self._promise, {one.key for one in self._book.standing()})
        for what, alert in self._book.apply(found, now):
            fields = {
                "kind": alert.kind,
                "connection": alert.connection,
                "subject": alert.subject,
                "alert": alert.id,
                "since": alert.opened_at.isoformat(),
            }
            if what == "opened":
                self._log.warning("alerts.opened", **fields)
            else:
                self._log.info("alerts.closed", **fields)
        if self._clock.monotonic() >= self._next_tidy:
            self._next_tidy = self._clock.monotonic() + _TIDY_EVERY_S
            self._book.forget_old(now)

    def tell(self) -> None:
        """Send what is due, one message a channel, and note what the servers said.

        Raises:
            Unavailable: The store is away.
        """
        for channel in self._book.due(self._clock.now()):
            while notices := self._book.claim(channel, self._clock.now()):
                try:
                    answer = self._send(channel, notices)
                except NotFound:
                    break  # deleted meanwhile, and what was to be said with it
                self._book.answered(channel, notices, answer, self._clock.now())
                log = self._log.info if answer.ok else self._log.warning
                log(
                    "alerts.sent" if answer.ok else "alerts.not_sent",
                    channel=channel,
                    notices=len(notices),
                    tries=max(one.tries for one in notices),
                )
                if not answer.ok:
                    break

    def _look_safely(self) -> None:
        try:
            self.look()
        except TakingsError as error:
            self._log.warning("alerts.held_up", code=error.code)
        except Exception:
            self._log.exception("alerts.failed")

    def _worker_looks(self) -> bool:
        with self._store.read() as db:
            seen = db.execute(sa.select(sa.func.max(workers.c.seen_at))).scalar()
        return seen is not None and self._clock.now() - seen < rules.WORKER_SILENT

    def _budget(self, connection: str) -> BudgetFacts | None:
        """Return a connection's budget, asked anew every ten minutes: counting requests is not free."""
        if self._clock.monotonic() >= self._next_budgets:
            self._next_budgets = self._clock.monotonic() + _BUDGETS_EVERY_S
            self._budgets = {}
        if connection not in self._budgets:
            assert self._asked is not None
            self._budgets = {**self._budgets, connection: self._asked(connection)}
        return self._budgets[connection]
