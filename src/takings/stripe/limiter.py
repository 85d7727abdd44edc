"""When the next request may go: one account's rate and each endpoint's, slowed by Stripe's refusals, given back bit by bit."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from math import inf
from typing import Final, Protocol

from takings.clock import Clock

BURST_S: Final = 0.04
"""How far requests may run ahead of an even pace, in seconds: what late wake-ups are made good with."""
NAP_S: Final = 0.012
"""How much longer than needed a thread sleeps, in seconds, to wake for several requests at once."""
LEAST_RATE: Final = 1.0
"""No slowing goes below this many requests a second."""
RECOVERY: Final = 0.05
"""Share of the full rate that comes back each second after a slowing."""
HOLD_S: Final = 1.0
"""Refusals within this time of a slowing speak of requests sent before it: they slow nothing further."""


class Limiter(Protocol):
    """Who decides when a request may go. Safe for threads.

    After each :meth:`take` that returned, exactly one of :meth:`succeeded` and :meth:`slowed` is called.
    """

    def take(self, endpoint: str) -> None:
        """Wait until a request to an endpoint (its path template) may go."""
        ...

    def slowed(self, endpoint: str, reason: str | None) -> None:
        """Hear that a request was refused for ``reason`` (``Stripe-Rate-Limited-Reason``).

        ``None`` says that rates are not to blame: a lock time-out, or no answer at all.
        """
        ...

    def succeeded(self, endpoint: str) -> None:
        """Hear that a request was answered."""
        ...


def recovered(rate: float, ceiling: float, since_s: float) -> float:
    """Return what a slowed rate has grown back to.

    Args:
        rate: Requests a second right after the slowing.
        ceiling: The full rate.
        since_s: Seconds since the slowing.
    """
    return min(ceiling, rate + ceiling * RECOVERY * max(0.0, since_s))


@dataclass(slots=True)
class Bucket:
    """An even pace with a small burst. All moments are seconds on one clock.

    Attributes:
        ceiling: Full rate, requests a second.
        due: The moment at which the next request is due at an even pace.
        end: Requests due at or after this moment are not granted yet.
        slowed_to: Rate right after the latest slowing.
        slowed_at: Moment of the latest slowing.
    """

    ceiling: float
    due: float = -inf
    end: float = inf
    slowed_to: float = inf
    slowed_at: float = -inf

    def rate(self, now: float) -> float:
        """Requests a second at present."""
        return recovered(self.slowed_to, self.ceiling, now - self.slowed_at)

    def ready(self) -> float:
        """Moment from which the next request may go."""
        return self.due - BURST_S

    def exhausted(self, now: float) -> bool:
        """Tell whether no granted request is left."""
        return max(self.due, now) + 0.999 / self.rate(now) > self.end

    def spend(self, now: float) -> None:
        """Let a request go."""
        self.due = max(self.due, now) + 1.0 / self.rate(now)

    def slow(self, now: float) -> bool:
        """Halve the rate, once for all refusals of one moment; tell whether it was."""
        if now - self.slowed_at < HOLD_S:
            return False
        self.slowed_to = max(LEAST_RATE, self.rate(now) / 2)
        self.slowed_at = now
        return True


@dataclass(slots=True)
class Room:
    """How many requests may be under way at once: no limit until a refusal names one, then it grows with each success."""

    most: float = inf
    under_way: int = 0

    def full(self) -> bool:
        """Tell whether the next request has to wait for one to end."""
        return self.under_way >= int(max(1.0, self.most)) if self.most != inf else False

    def shrink(self) -> None:
        """Take half of what was under way, the refused one included, as the most."""
        self.most = max(1.0, min(self.most, self.under_way + 1.0) / 2)

    def grow(self) -> None:
        """Give back one place for every "most" successes."""
        if self.most != inf:
            self.most += 1.0 / max(1.0, self.most)


class _Waiter:
    """A thread in the queue."""

    __slots__ = ("endpoint", "granted", "parked", "signal")

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.granted = False
        self.parked = False
        self.signal = threading.Lock()
        self.signal.acquire()

    def may_go(self) -> bool:
        """Tell whether its turn has come."""
        return self.granted


class Pacer:
    """A queue of threads before two buckets: the account's and the endpoint's. First come, first served, but nobody
    waits for an endpoint that is not theirs.

    At most one thread sleeps until the next moment at which anybody may go; it wakes those whose turn it is. The others
    are parked and cost nothing.

    Args:
        rate_global: Requests a second that Stripe grants the account.
        rate_endpoint: Requests a second that Stripe grants one endpoint.
        headroom: Share of both left to the company's own traffic, 0 to 1.
        clock: Where sleeping is done.
    """

    def __init__(self, rate_global: float, rate_endpoint: float, headroom: float, clock: Clock) -> None:
        self._clock = clock
        self._ceiling_endpoint = max(LEAST_RATE, min(rate_endpoint, rate_global) * (1 - headroom))
        self._global = Bucket(max(LEAST_RATE, rate_global * (1 - headroom)))
        self._endpoints: dict[str, Bucket] = {}
        self._room = Room()
        self._rooms: dict[str, Room] = {}
        self._mutex = threading.Lock()
        self._waiting: dict[_Waiter, None] = {}  # in order of arrival
        self._wakes: list[float] = []  # moments at which sleeping threads wake

    def take(self, endpoint: str) -> None:
        """Wait until a request to an endpoint may go."""
        waiter = _Waiter(endpoint)
        self._mutex.acquire()
        self._waiting[waiter] = None
        try:
            while True:
                now = self._now()
                ready = self._dispatch(now)
                if waiter.may_go():
                    return
                if ready == inf or (self._wakes and min(self._wakes) <= ready):
                    waiter.parked = True
                    self._mutex.release()
                    try:
                        waiter.signal.acquire()  # until granted, or asked to keep watch
                    finally:
                        self._mutex.acquire()
                        waiter.parked = False
                    if waiter.may_go():
                        return
                else:
                    self._wakes.append(ready)
                    self._mutex.release()
                    try:
                        self._clock.sleep(ready - now + NAP_S)
                    finally:
                        self._mutex.acquire()
                        self._wakes.remove(ready)
        except BaseException:
            if waiter.may_go():  # granted meanwhile, but nobody will say how it went
                self._room.under_way -= 1
                self._room_of(endpoint).under_way -= 1
            raise
        finally:
            self._waiting.pop(waiter, None)
            self._pass_watch()
            self._mutex.release()

    def succeeded(self, endpoint: str) -> None:
        """Hear that a request was answered."""
        with self._mutex:
            for room in (self._room, self._room_of(endpoint)):
                room.under_way -= 1
                room.grow()
            self._pass_watch(always=self._room.most != inf or self._room_of(endpoint).most != inf)

    def slowed(self, endpoint: str, reason: str | None) -> None:
        """Slow down what a refusal names: the account's rate, the endpoint's, or how many go at once."""
        with self._mutex:
            self._room.under_way -= 1
            self._room_of(endpoint).under_way -= 1
            if reason == "global-rate":
                self._slow(None, self._global, self._now())
            elif reason in ("endpoint-rate", "resource-specific"):
                self._slow(endpoint, self._bucket(endpoint), self._now())
            elif reason == "global-concurrency":
                self._room.shrink()
            elif reason == "endpoint-concurrency":
                self._room_of(endpoint).shrink()
            self._pass_watch(always=True)

    def _now(self) -> float:
        """Return the moment on the clock that the buckets are kept in."""
        return self._clock.monotonic()

    def _slow(self, endpoint: str | None, bucket: Bucket, now: float) -> None:
        """Slow a bucket (the account's where ``endpoint`` is None)."""
        bucket.slow(now)

    def _refill(self, endpoint: str, now: float) -> None:
        """Get more requests granted for the account and an endpoint; where nobody else grants there is nothing to do."""

    def _bucket(self, endpoint: str) -> Bucket:
        found = self._endpoints.get(endpoint)
        if found is None:
            found = self._endpoints[endpoint] = self._new_bucket(self._ceiling_endpoint)
        return found

    def _new_bucket(self, ceiling: float) -> Bucket:
        return Bucket(ceiling)

    def _room_of(self, endpoint: str) -> Room:
        found = self._rooms.get(endpoint)
        if found is None:
            found = self._rooms[endpoint] = Room()
        return found

    def _dispatch(self, now: float) -> float:
        """Let everybody go whose turn it is; return the moment at which the next one may go, infinity when nobody waits
        for time."""
        earliest = inf
        tried: set[str] = set()
        granted: list[_Waiter] = []
        account = self._global
        try:
            for waiter in self._waiting:
                if waiter.endpoint in tried:
                    continue
                if self._room.full():
                    break
                endpoint = waiter.endpoint
                if self._room_of(endpoint).full():
                    tried.add(endpoint)
                    continue
                bucket = self._bucket(endpoint)
                if bucket.exhausted(now) or account.exhausted(now):
                    self._refill(endpoint, now)
                if account.ready() > now:
                    earliest = min(earliest, max(account.ready(), bucket.ready()))
                    if bucket.ready() <= account.ready():
                        break
                    tried.add(endpoint)
                elif bucket.ready() > now:
                    earliest = min(earliest, bucket.ready())
                    tried.add(endpoint)
                else:
                    account.spend(now)
                    bucket.spend(now)
                    self._room.under_way += 1
                    self._room_of(endpoint).under_way += 1
                    waiter.granted = True
                    granted.append(waiter)
        finally:
            for waiter in granted:
                del self._waiting[waiter]
                _wake(waiter)
        return earliest

    def _pass_watch(self, *, always: bool = False) -> None:
        """See to it that somebody keeps watch while anybody waits."""
        if self._waiting and (always or not self._wakes):
            for waiter in self._waiting:
                if waiter.parked:
                    _wake(waiter)
                    return


def _wake(waiter: _Waiter) -> None:
    if waiter.parked:
        waiter.parked = False
        waiter.signal.release()


class LocalLimiter(Pacer):
    """The limiter of a single process."""
