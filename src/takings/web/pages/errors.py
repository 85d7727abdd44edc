"""What a reader sees when something is wrong: one sentence in their language, what to do, and an id to tell us."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from takings import log
from takings.errors import TakingsError, Unavailable, Unexpected
from takings.web.api.door import refuse
from takings.web.context import Elsewhere, Reader, go, show
from takings.web.guard import read_for

_log = log.get("web")

_KNOWN: Final = {
    400: ("web.bad_request", "This request cannot be understood."),
    401: ("web.sign_in_needed", "Sign in first."),
    403: ("web.forbidden", "This is not permitted."),
    404: ("web.no_page", "There is no such page."),
    405: ("web.no_page", "There is no such page."),
    413: ("web.too_large", "What was sent is too large."),
    429: ("web.too_many", "Too many attempts: wait a minute, then try again."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """An error as a reader sees it.

    Attributes:
        status: HTTP status.
        code: Stable name of the situation.
        sentence: What is wrong and what to do, in the reader's language.
        id: What to quote when telling us; in the log beside the cause.
    """

    status: int
    code: str
    sentence: str
    id: str


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Turn any error into a page, or into JSON for programs; below the API's address into the API's own form."""
    if request.url.path.startswith("/api/"):
        return refuse(request, error)
    error_id = secrets.token_hex(4)
    status, told = _told(error)
    if status >= 500:
        _log.error(
            "web.failed", error_id=error_id, path=_shown(request), code=told.code, exc_info=_traced(error, status)
        )
    else:
        _log.info("web.refused", error_id=error_id, path=_shown(request), code=told.code, status=status)
    try:
        reader = read_for(request.app.state.takings, request)
    except TakingsError:
        return Response(content=f"{told.sentence} [{error_id}]", status_code=503, media_type="text/plain")
    page = ErrorPage(status=status, code=told.code, sentence=reader.words.error(told), id=error_id)
    return _drawn(reader, page)


def _drawn(reader: Reader, page: ErrorPage) -> Response[Any]:
    response = show(reader, "error", page, status=page.status)
    if page.status == 429:
        response.headers["Retry-After"] = "60"
    return response


def _told(error: Exception) -> tuple[int, TakingsError]:
    if isinstance(error, TakingsError):
        status = 401 if error.code == "web.sign_in_needed" else error.http_status
        return status, error
    if isinstance(error, HTTPException) and error.status_code < 500:
        code, sentence = _KNOWN.get(error.status_code, _KNOWN[400])
        return error.status_code, Unavailable(code, sentence)
    return 500, Unexpected("web.unexpected", "Something went wrong here. It is written down; nothing was lost.")


def _shown(request: Request[Any, Any, Any]) -> str:
    """Return a request's path for the log; of an invitation without its token."""
    path = request.url.path
    return "/invitation/…" if path.startswith("/invitation/") else path


def _traced(error: Exception, status: int) -> Exception | None:
    return error if status == 500 else None


def elsewhere(request: Request[Any, Any, Any], error: Elsewhere) -> Response[Any]:
    """Send the reader to another page; a part of a page that asked takes the whole page along."""
    if request.headers.get("hx-request") == "true":
        return Response(content="", status_code=204, headers={"HX-Redirect": error.to, "Cache-Control": "no-store"})
    return go(error.to)
