"""The door of the API: who bears which token, how often somebody may be wrong, and how an error is said."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict, deque
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from anyio import to_thread
from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.params import SkipValidation

from takings import log
from takings.accounts import Action, ApiTokens, Person, require
from takings.accounts.tokens import hashed
from takings.clock import Clock
from takings.errors import Invalid, NotAllowed, NotFound, TakingsError, Unavailable, Unexpected

PATH: Final = "/api/v1"
CALLER: Final = "takings.caller"
"""Under this name a request's state keeps in whose name it asks."""

TRIES: Final = 20
"""Wrong tokens from one address within a minute, as many as there are tries to sign in."""

_MINUTE: Final = timedelta(minutes=1)
_REMEMBERED: Final = 1_000
_log = log.get("api")

Connection = ASGIConnection[Any, Any, Any, Any]


class Door:
    """Lets in who bears a token, and keeps those who guess from guessing on.

    From an address that was wrong too often within a minute only tokens are looked up that were right not long ago: a stranger
    behind the same address cannot lock a working program out.

    Args:
        tokens: The tokens there are.
        clock: Tells what a minute ago was.
    """

    def __init__(self, tokens: ApiTokens, clock: Clock) -> None:
        self._tokens, self._clock = tokens, clock
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, header: str | None, address: str) -> Person:
        """Return in whose name a request asks.

        Args:
            header: What its ``Authorization`` says.
            address: Where it comes from.

        Raises:
            NotAllowed: It bears no token, or one that opens nothing.
            Unavailable: Too many wrong tokens came from there within a minute.
        """
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAllowed("api.token_needed", "Give a token, as Authorization: Bearer takings_…")
        token = token.strip()
        if self._is_closed(address, token):
            raise Unavailable("web.too_many", "Too many attempts: wait a minute, then try again.")
        person = self._tokens.who(token)
        self._note(address, token, right=person is not None)
        if person is None:
            raise NotAllowed(
                "api.token_wrong",
                "This token opens nothing: it is unknown, revoked or expired. Make another one on your profile page.",
            )
        return person

    def _is_closed(self, address: str, token: str) -> bool:
        with self._lock:
            wrong = self._wrong.get(address)
            since = self._clock.monotonic() - _MINUTE.total_seconds()
            while wrong and wrong[0] <= since:
                wrong.popleft()
            return bool(wrong) and len(wrong or ()) >= TRIES and hashed(token) not in self._right

    def _note(self, address: str, token: str, *, right: bool) -> None:
        with self._lock:
            if right:
                self._right[hashed(token)] = None
                self._right.move_to_end(hashed(token))
            else:
                self._wrong.setdefault(address, deque(maxlen=TRIES)).append(self._clock.monotonic())
                self._wrong.move_to_end(address)
                self._right.pop(hashed(token), None)
            for kept in (self._right, self._wrong):
                while len(kept) > _REMEMBERED:
                    kept.popitem(last=False)


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request through to a route of the API, or not. Cookies count for nothing here, so no page can make a browser ask.

    Raises:
        NotAllowed: It bears no token that opens this.
        Unavailable: Too many wrong tokens came from there.
    """
    who = handler.opt["who"]
    if not isinstance(who, Action):
        return
    door: Door = connection.app.state.door
    address = connection.client.host if connection.client else "unknown"
    caller = await to_thread.run_sync(door.admit, connection.headers.get("authorization"), address)
    connection.scope["state"][CALLER] = require(caller, who)


async def caller_of(request: Request[Any, Any, Any]) -> SkipValidation[Person]:
    """Return in whose name a request asks."""
    caller: Person = request.scope["state"][CALLER]
    return caller


FromCaller = NamedDependency[SkipValidation[Person]]
"""``caller: FromCaller`` in a handler's arguments: in whose name it is asked, with the token's role."""


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Say what is wrong: the same shape for every error, in English."""
    status, told = _told(error)
    message = told.sentence
    path = request.url.path
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error_id = secrets.token_hex(4)
        message = f"{message} [{error_id}]"
        _log.error("api.failed", error_id=error_id, path=path, code=told.code, exc_info=error)
    else:
        _log.info("api.refused", path=path, code=told.code, status=int(status))
    answer = Response(
        content={"error": {"code": told.code, "message": log.redact(message)}},
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        answer.headers["Retry-After"] = "60" if status == HTTPStatus.TOO_MANY_REQUESTS else "5"
    return answer


_STATUS: Final = {
    "api.token_needed": HTTPStatus.UNAUTHORIZED,
    "api.token_wrong": HTTPStatus.UNAUTHORIZED,
    "web.too_many": HTTPStatus.TOO_MANY_REQUESTS,
}


def _told(error: Exception) -> tuple[int, TakingsError]:
    if isinstance(error, TakingsError):
        return _STATUS.get(error.code, error.http_status), error
    if isinstance(error, ValidationException):
        return HTTPStatus.BAD_REQUEST, Invalid("api.parameter", _wrong(error))
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return error.status_code, _KNOWN.get(error.status_code, _KNOWN[HTTPStatus.BAD_REQUEST])
    return HTTPStatus.INTERNAL_SERVER_ERROR, Unexpected(
        "web.unexpected", "Something went wrong here. It is written down; nothing was lost."
    )


_KNOWN: Final[dict[int, TakingsError]] = {
    HTTPStatus.BAD_REQUEST: Invalid("web.bad_request", "This request cannot be understood."),
    HTTPStatus.NOT_FOUND: NotFound("api.no_route", f"There is nothing at this address: see {PATH}/openapi.json."),
    HTTPStatus.METHOD_NOT_ALLOWED: NotFound("api.no_method", f"This cannot be asked so: see {PATH}/openapi.json."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid("web.too_large", "What was sent is too large."),
}


def _wrong(error: ValidationException) -> str:
    """Return which parameters cannot be used, and why."""
    found = error.extra if isinstance(error.extra, list) else []
    said = [f"{one.get('key', 'body')}: {one.get('message', 'it cannot be read')}" for one in found]
    return f"This cannot be asked so: {'; '.join(said) or error.detail}."
