"""Webhooks: what happens is sent to endpoints, signed, with retries, and with whatever may befall a delivery."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from takings.simulator.answers import encode
from takings.simulator.keys import fresh
from takings.simulator.objects.base import Object

#: Seconds after which a delivery that failed is tried again, one after the other; then it is given up.
RETRIES_S: Final = (0.2, 0.4, 0.8, 1.6, 3.2)

Mischief = Literal[
    "doubled",  # it comes twice
    "reordered",  # it comes after the event that follows it
    "delayed",  # it comes late
    "lost",  # it never comes
    "forged",  # before it comes an altered one, signed with a secret that is not the endpoint's
    "old",  # before it comes one that was signed an hour ago
]

_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))
_OLD_S: Final = 3_600
_TIMEOUT_S: Final = 20.0
_LOG: Final = 10_000


class Attempt(msgspec.Struct, frozen=True):
    """One request to an endpoint.

    Attributes:
        event: The event's id; of a forged one its own.
        status: What was answered; None: nothing.
        kind: ``true``, ``forged`` or ``old``.
    """

    event: str
    status: int | None
    kind: str


@dataclass
class Endpoint:
    """Where events are sent.

    Attributes:
        account: Whose it is.
        connect: True: it gets the events of the accounts connected to ``account``, and not its own.
        secrets: Signing secrets, newest first; while several are there, a delivery bears a signature with each.
        attempts: The latest requests, oldest first.
    """

    id: str
    url: str
    account: str
    livemode: bool
    connect: bool
    secrets: list[str]
    attempts: deque[Attempt] = field(default_factory=lambda: deque(maxlen=_LOG))


@dataclass(order=True)
class _Parcel:
    due: float
    number: int
    endpoint: str = field(compare=False)
    event: str = field(compare=False)
    body: bytes = field(compare=False)
    kind: Literal["true", "forged", "old"] = field(compare=False, default="true")
    tried: int = field(compare=False, default=0)


class Webhooks:
    """All endpoints, and one thread that sends to them. Signed at the real moment, since receivers' clocks are real.

    Args:
        connected: Gives the accounts connected to an account in one mode.
    """

    def __init__(self, connected: Callable[[str, bool], frozenset[str]]) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.retries_s: tuple[float, ...] = RETRIES_S
        self._connected = connected
        self._mischief: list[tuple[Mischief, int | None, float]] = []
        self._aside: list[tuple[Endpoint, str, bytes]] = []
        self._waiting: list[_Parcel] = []
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(
        self, url: str, account: str, *, livemode: bool = True, connect: bool = False, secret: str = ""
    ) -> Endpoint:
        """Register an endpoint on this machine; without ``secret`` it gets a new one.

        Raises:
            ValueError: The address is not a loopback one.
        """
        if urlsplit(url).hostname not in _LOOPBACK or urlsplit(url).scheme not in ("http", "https"):
            raise ValueError("the simulator sends to this machine only")
        made = Endpoint(f"we_1{fresh(23)}", url, account, livemode, connect, [secret or f"whsec_{fresh(32)}"])
        with self._changed:
            self.endpoints[made.id] = made
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
                self._thread.start()
        return made

    def roll(self, id: str) -> str:
        """Give an endpoint a new secret; the ones before sign too until :meth:`expire`."""
        self.endpoints[id].secrets.insert(0, f"whsec_{fresh(32)}")
        return self.endpoints[id].secrets[0]

    def expire(self, id: str) -> None:
        """Sign with an endpoint's newest secret only."""
        del self.endpoints[id].secrets[1:]

    def remove(self, id: str) -> None:
        """Send an endpoint nothing any more."""
        del self.endpoints[id]

    def disturb(self, kind: Mischief, times: int | None, seconds: float) -> None:
        """Let something befall the next ``times`` deliveries (None: all): one mischief after the other."""
        with self._changed:
            self._mischief.append((kind, times, seconds))

    def calm(self) -> None:
        """Let nothing befall deliveries any more."""
        with self._changed:
            self._mischief.clear()

    def tell(self, account: str, livemode: bool, event: Object) -> None:
        """Send an event to every endpoint that it concerns. Returns at once."""
        with self._changed:
            for one in self.endpoints.values():
                if one.livemode != livemode:
                    continue
                if one.connect and account in self._connected(one.account, livemode):
                    self._queue(one, event | {"account": account})
                elif not one.connect and one.account == account:
                    self._queue(one, event)
            self._changed.notify()

    def _queue(self, endpoint: Endpoint, event: Object) -> None:
        kind, seconds = self._next_mischief()
        now, id = time.monotonic(), event["id"]
        body = msgspec.json.format(encode(event), indent=2)
        if kind == "forged":
            forged = event | {"id": f"evt_forged{fresh(18)}"}
            self._push(now, endpoint, forged["id"], encode(forged), "forged")
        if kind == "old":
            self._push(now, endpoint, id, body, "old")
        if kind == "lost":
            return
        if kind == "reordered":
            self._aside.append((endpoint, id, body))
            return
        for _ in range(2 if kind == "doubled" else 1):
            self._push(now + (seconds if kind == "delayed" else 0), endpoint, id, body)
        for held in self._aside:
            self._push(now, *held)
        self._aside.clear()

    def _next_mischief(self) -> tuple[Mischief | None, float]:
        if not self._mischief:
            return None, 0.0
        kind, times, seconds = self._mischief[0]
        if times is not None:
            self._mischief[0] = (kind, times - 1, seconds)
            if times <= 1:
                del self._mischief[0]
        return kind, seconds

    def _push(
        self, due: float, endpoint: Endpoint, event: str, body: bytes, kind: Literal["true", "forged", "old"] = "true"
    ) -> None:
        heapq.heappush(self._waiting, _Parcel(due, next(self._numbers), endpoint.id, event, body, kind))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting or self._waiting[0].due > time.monotonic():
                    self._changed.wait(self._waiting[0].due - time.monotonic() if self._waiting else None)
                parcel = heapq.heappop(self._waiting)
                endpoint = self.endpoints.get(parcel.endpoint)
            if endpoint is not None:
                self._deliver(parcel, endpoint)

    def _deliver(self, parcel: _Parcel, endpoint: Endpoint) -> None:
        secrets = ["whsec_forged"] if parcel.kind == "forged" else list(endpoint.secrets)
        stamp = int(time.time()) - (_OLD_S if parcel.kind == "old" else 0)
        status = _post(endpoint.url, parcel.body, signed(parcel.body, secrets, stamp))
        endpoint.attempts.append(Attempt(parcel.event, status, parcel.kind))
        if parcel.kind == "true" and (status is None or not 200 <= status < 300) and parcel.tried < len(self.retries_s):
            with self._changed:
                parcel.due = time.monotonic() + self.retries_s[parcel.tried]
                parcel.tried += 1
                heapq.heappush(self._waiting, parcel)


def signed(body: bytes, secrets: list[str], stamp: int) -> str:
    """Return the header ``Stripe-Signature``: the moment, and a signature with each secret."""
    to_sign = f"{stamp}.".encode() + body
    signatures = [hmac.new(secret.encode(), to_sign, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={stamp}", *(f"v1={one}" for one in signatures)])


def _post(url: str, body: bytes, signature: str) -> int | None:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 -- http to our own loopback
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TIMEOUT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code
    except OSError:
        return None
