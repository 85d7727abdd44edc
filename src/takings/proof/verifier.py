"""Verifies by itself: what people asked for on the pages, and every connection, sampled, in its turn and within the budget."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from takings.clock import Clock
from takings.connections import Connection, Connections
from takings.errors import TakingsError
from takings.log import get
from takings.proof.book import ProofBook
from takings.proof.model import Asked
from takings.proof.proving import Proof
from takings.settings import Settings
from takings.store import Store
from takings.sync import FollowBook, RunBook
from takings.sync.budget import PERIOD, allocation

#: Share of the requests that are ours which scheduled verifications take.
SHARE: Final = 0.05
#: A scheduled verification takes so many requests at least: anything less would prove nothing.
LEAST: Final = 5


def affordable(transactions: int | None, share: float, every: timedelta) -> int:
    """Return how many requests one scheduled verification may take.

    Args:
        transactions: Payments of thirty days; None: not counted yet.
        share: Share of Stripe's read allocation that is ours, 0 to 1.
        every: Time between two of them.
    """
    return max(LEAST, int(allocation(transactions or 0) * share * SHARE * (every / PERIOD)))


class Verifier:
    """A chore: what is looked after beside the connections, in a thread of its own so that no other chore waits for it.

    Args:
        proof: What verifies.
        book: Where verifications are kept.
        connections: Who is connected.
        store: The product's own database.
        settings: How often, and the budget.
        clock: The one clock.
    """

    def __init__(
        self, proof: Proof, book: ProofBook, connections: Connections, store: Store, settings: Settings, clock: Clock
    ) -> None:
        self._proof, self._book, self._connections = proof, book, connections
        self._settings, self._clock = settings, clock
        self._follows = FollowBook(store)
        self._runs = RunBook(store, clock)
        self._log = get("proof")
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Look for what is due, unless a verification is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._quietly, name="verify", daemon=True)
            self._thread.start()

    def _quietly(self) -> None:
        try:
            self.look()
        except TakingsError as error:
            self._log.warning("proof.held_up", code=error.code)
        except Exception:
            self._log.exception("proof.crashed")

    def look(self) -> None:
        """Carry out what was asked for, and the scheduled verification of one connection whose turn it is."""
        self._book.forget_silent()
        for asked in self._book.waiting():
            if self._book.take(asked.id):
                self._verify(asked.connection_id, asked.asked, proof_id=asked.id)
        every = timedelta(hours=self._settings.verify_every_hours)
        for connection in self._connections.all():
            if connection.state == "active" and self._is_due(connection, every):
                transactions = self._follows.of(connection.id).transactions
                budget = affordable(transactions, self._settings.read_share, every)
                self._verify(connection.id, Asked(extent="sampled", scheduled=True), budget=budget)
                return  # one at a time: what somebody asks for meanwhile comes first

    def _is_due(self, connection: Connection, every: timedelta) -> bool:
        followed, last = self._book.verified_at(connection.id)
        if not followed or (last is not None and self._clock.now() - last < every):
            return False
        return bool(self._runs.complete_as_of(connection.id)) and self._book.claim(connection.id, last)

    def _verify(
        self, connection_id: str, asked: Asked, *, proof_id: str | None = None, budget: int | None = None
    ) -> None:
        try:
            proven = self._proof.verify(connection_id, asked, proof_id=proof_id, budget=budget)
            self._log.info(
                "proof.ended",
                connection=connection_id,
                state=proven.verification.state,
                requests=proven.verification.requests,
                rows=proven.verification.rows,
                differences=proven.verification.differences,
            )
        except TakingsError as error:
            self._log.warning("proof.failed", connection=connection_id, code=error.code)
