"""Where Stripe delivers events: open to strangers, since each delivery proves by its signature where it comes from."""

from __future__ import annotations

from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from takings import log
from takings.connections.webhooks import MOST_BYTES, PATH, malformed, too_large
from takings.errors import Invalid, NotFound, TakingsError, Unavailable
from takings.web.context import FromApp, Who

_UNDER_WAY: Final = 64
"""Deliveries read at once, so that strangers cannot fill the memory; what comes beyond is sent again by Stripe."""

_THREADS: Final = 4
"""Threads that write deliveries down: few, so that pages keep theirs."""

_log = log.get("webhooks")


class Desk:
    """What one process takes in at a time."""

    def __init__(self) -> None:
        self.under_way = 0
        self.threads = CapacityLimiter(_THREADS)


def _refuse(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """Answer with one sentence, for whoever looks at the delivery in Stripe's dashboard."""
    status, told = _told(error)
    fields = {"connection": str(request.path_params.get("connection_id", ""))[:32], "code": told.code}
    if status == 500:
        _log.error("webhooks.failed", **fields, exc_info=error)
    else:
        _log.info("webhooks.refused", **fields, status=status)
    return Response(content=told.sentence, status_code=status, media_type="text/plain")


def _told(error: Exception) -> tuple[int, TakingsError]:
    if isinstance(error, HTTPException):  # too much was sent, or the sender went away half way
        return (413, too_large()) if error.status_code == 413 else (400, malformed())
    if isinstance(error, Invalid):
        return 413 if error.code == "webhook.too_large" else 400, error
    if isinstance(error, NotFound | Unavailable):
        return error.http_status, error
    return 500, Unavailable("webhook.failed", "Something went wrong here: send it again later.")


@post(
    f"{PATH}/{{connection_id:str}}",
    opt={"who": Who.PUBLIC, "signed": True},
    status_code=200,
    request_max_body_size=MOST_BYTES,
    exception_handlers={Exception: _refuse},
)
async def deliver(
    app: FromApp, request: Request[Any, Any, Any], state: State, connection_id: FromPath[str]
) -> Response[bytes]:
    """Take in an event: it is on the disk when this answers, and made use of afterwards."""
    desk: Desk = state.desk
    if desk.under_way >= _UNDER_WAY:
        raise Unavailable("webhook.busy", "Too much comes at once: send it again later.")
    desk.under_way += 1
    try:
        body = await request.body()
        signature = request.headers.get("stripe-signature", "")
        await to_thread.run_sync(app.deliveries.receive, connection_id, body, signature, limiter=desk.threads)
    finally:
        desk.under_way -= 1
    return Response(content=b"", status_code=200, headers={"Cache-Control": "no-store"})


routes = [deliver]
