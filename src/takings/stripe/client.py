"""Stripe's API as this program uses it: GET, page by page, paced, retried, counted; bytes in, bytes on."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from takings.clock import Clock
from takings.errors import TakingsError, Unexpected
from takings.log import get as get_logger
from takings.stripe import refusals
from takings.stripe.limiter import Limiter
from takings.stripe.pages import Malformed, Page, cut
from takings.stripe.retry import Again, Retries, Trouble, decide, trouble_of
from takings.stripe.transport import NoAnswer, Transport, is_header_value

Token = Callable[[], str]
"""Gives the key or access token; asked before each request, so that a rotated one is taken up."""
Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]
"""Query parameters in Stripe's form, such as ``("created[gte]", 1700000000)``."""

_T = TypeVar("_T")

# Collections whose ids their owner chooses, so that an id may look like any word.
_OWN_IDS: Final = frozenset(("coupons", "plans", "products", "promotion_codes", "skus"))
#: Answers tell whole seconds, and some later than others.
_TOLERATED_SKEW: Final = timedelta(seconds=5)
_WORD = re.compile(r"[a-z]+(?:_[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What Stripe answered, with a status below 300.

    Attributes:
        status: HTTP status.
        body: As sent, unpacked.
        request_id: Stripe's name for the request; None where it gave none.
        api_version: The version Stripe answered in; None where it did not say.
        attempts: How many requests it took.
    """

    status: int
    body: bytes
    request_id: str | None
    api_version: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was made, whatever came of it: what is counted.

    Attributes:
        endpoint: Path template.
        status: HTTP status; None where no answer came.
        attempt: 1 for the first try.
        seconds: How long it took.
        request_id: Stripe's name for it, None where it gave none.
    """

    endpoint: str
    status: int | None
    attempt: int
    seconds: float
    request_id: str | None


class Stripe:
    """One account's API. Safe for threads.

    Args:
        api_base: Scheme and host; plain HTTP only to this machine.
        api_version: Sent as ``Stripe-Version``.
        token: Gives the key before each request.
        limiter: Asked before each request.
        account: ``acct_…`` to read as a platform (``Stripe-Account``), else None.
        context: The key is an organisation's: ``account``, or ``acct_platform/acct_connected``, goes as ``Stripe-Context``.
        clock: Where waiting is done.
        on_request: Told of each request.
        retries: How patient to be.

    Raises:
        Misconfigured: The address is neither HTTPS nor this machine.
    """

    def __init__(
        self,
        *,
        api_base: str,
        api_version: str,
        token: Token,
        limiter: Limiter,
        account: str | None = None,
        context: bool = False,
        clock: Clock,
        on_request: Callable[[Request], None] | None = None,
        retries: Retries | None = None,
    ) -> None:
        common = {"Stripe-Version": api_version, "Accept": "application/json"}
        if account:
            common["Stripe-Context" if context else "Stripe-Account"] = account
        self._transport = Transport(api_base, common)
        self._token = token
        self._limiter = limiter
        self._account = account
        self._clock = clock
        self._on_request = on_request
        self._retries = retries or Retries()
        self._skew = timedelta(0)
        self._log = get_logger("stripe")

    def get(self, path: str, params: Params = (), *, endpoint: str | None = None) -> Answer:
        """Get one thing.

        Args:
            path: Path with its ids filled in, ``/v1/charges/ch_…``; or what a v2 list gave as ``next_page_url``.
            params: Query parameters.
            endpoint: Path template it is counted and paced under; found from ``path`` where not given.

        Raises:
            Refused: ``stripe.key_refused``, ``stripe.key_expired``, ``stripe.permission_missing``,
                ``stripe.account_access``, ``stripe.not_enabled``, ``stripe.cursor_lost``.
            NotFound: ``stripe.missing``: the object is not there (any more).
            Unavailable: ``stripe.down``, ``stripe.rate_limited``, ``stripe.network``: all tries are used up.
            Unexpected: ``stripe.status``, ``stripe.malformed``.
        """
        return self._fetch(path, params, endpoint, lambda answer: answer)

    def page(self, path: str, params: Params = (), *, endpoint: str | None = None) -> Page:
        """Get one page of a list; what cannot be read as a list is asked for again.

        Args and errors as for :meth:`get`.
        """
        return self._fetch(path, params, endpoint, _page)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _fetch(self, path: str, params: Params, endpoint: str | None, read: Callable[[Answer], _T]) -> _T:
        target = self._target(path, params)
        endpoint = endpoint or template(target.partition("?")[0])
        begun = self._clock.monotonic()
        attempt = 0
        while True:
            attempt += 1
            outcome = self._attempt(target, endpoint, attempt, read)
            if not isinstance(outcome, _Failed):
                return outcome
            elapsed_s = self._clock.monotonic() - begun
            step = decide(self._retries, outcome.trouble, attempt, elapsed_s, random.random())
            if not isinstance(step, Again):
                raise outcome.error from outcome.cause
            self._log.info(
                "stripe.retried",
                endpoint=endpoint,
                reason=step.reason,
                attempt=attempt,
                wait_ms=round(step.wait_s * 1000),
                request_id=outcome.error.fields.get("request_id"),
            )
            self._clock.sleep(step.wait_s)

    def _attempt(self, target: str, endpoint: str, attempt: int, read: Callable[[Answer], _T]) -> _T | _Failed:
        """Make one request."""
        headers = {"Authorization": f"Bearer {self._key(endpoint)}"}
        self._limiter.take(endpoint)
        begun = self._clock.monotonic()
        status: int | None = None
        request_id: str | None = None
        limited: str | None = None
        try:
            wire = self._transport.send("GET", target, headers)
            status = wire.status
            self._heed(wire.headers.get("date"))
            request_id = wire.headers.get("request-id")
            if status >= 300:
                trouble = trouble_of(status, wire.headers)
                limited = trouble.limited
                error = refusals.refusal(
                    status,
                    refusals.read_error(wire.body),
                    endpoint=endpoint,
                    request_id=request_id,
                    account=self._account,
                )
                return _Failed(trouble, error)
            version = wire.headers.get("stripe-version")
            try:
                return read(Answer(status, wire.body, request_id, version, attempt))
            except Malformed as cause:
                return _Failed(Trouble(failure="malformed"), refusals.malformed(endpoint, request_id), cause)
        except NoAnswer as cause:
            if cause.kind == "malformed":
                failure: TakingsError = refusals.malformed(endpoint, None)
            else:
                failure = refusals.unreachable(self._transport.host, endpoint, cause.kind)
            return _Failed(Trouble(failure=cause.kind), failure, cause)
        finally:
            if status is None or status == 429 or status >= 500:
                self._limiter.slowed(endpoint, limited)
            else:
                self._limiter.succeeded(endpoint)
            if self._on_request is not None:
                self._on_request(Request(endpoint, status, attempt, self._clock.monotonic() - begun, request_id))

    def now(self) -> datetime:
        """Return the present by Stripe's clock, as far as its answers have told: what its events are dated by.

        It may lag by as long as an answer takes, and never runs ahead.
        """
        return self._clock.now() + self._skew

    def _heed(self, date: str | None) -> None:
        """Learn from an answer's ``Date`` how far this machine's clock is off; within some seconds it is taken as right."""
        if date is None:
            return
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        if told.tzinfo is None:
            return
        off = told - self._clock.now()
        self._skew = off if abs(off) > _TOLERATED_SKEW else timedelta(0)

    def _key(self, endpoint: str) -> str:
        key = self._token().strip()
        if not is_header_value(key):
            raise refusals.refusal(401, refusals.StripeError(), endpoint=endpoint, request_id=None)
        return key

    def _target(self, path: str, params: Params) -> str:
        """Join path and query; a whole URL must lead to the very address that the key is for."""
        if not path.startswith("/") or path.startswith("//"):
            parts, base = urlsplit(path), urlsplit(self._transport.base)
            if (parts.scheme, parts.netloc) != (base.scheme, base.netloc):
                raise Unexpected(
                    "stripe.foreign_address",
                    "Stripe’s list goes on at an address that is not Stripe’s: nothing was sent there.",
                )
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        pairs = list(params.items()) if isinstance(params, Mapping) else list(params)
        if not pairs:
            return path
        return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"


@dataclass(frozen=True, slots=True)
class _Failed:
    """A request that failed: what to judge it by, and what to raise when it is final."""

    trouble: Trouble
    error: TakingsError
    cause: Exception | None = None


@lru_cache(maxsize=4096)
def template(path: str) -> str:
    """Return a path with its ids struck out: ``/v1/invoices/in_1/lines`` becomes ``/v1/invoices/{}/lines``.

    Args:
        path: Without query.
    """
    parts = path.split("/")
    for place in range(3, len(parts)):
        if parts[place - 1] in _OWN_IDS or not _WORD.fullmatch(parts[place]):
            parts[place] = "{}"
    return "/".join(parts)


def _page(answer: Answer) -> Page:
    return replace(cut(answer.body), request_id=answer.request_id, attempts=answer.attempts)
