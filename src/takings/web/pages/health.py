"""For machines that watch this one: whether the product can answer, and figures for Prometheus."""

from __future__ import annotations

import secrets
from typing import Any, Final

from litestar import Request, Response, get

from takings import log
from takings.alerts import FIGURES_TYPE, Figures, Health
from takings.errors import TakingsError
from takings.web.context import FromApp, Who

_BARE: Final = {"who": Who.PUBLIC, "bare": True}
"""No session, no cookie, no set-up: who asks is no person."""

_KEEP_NOTHING: Final = {"Cache-Control": "no-store"}
_log = log.get("health")


@get("/healthz", opt=_BARE, sync_to_thread=True)
def healthz(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Say whether the product can answer: open to anybody, and no more than that."""
    health: Health = request.app.state.health
    failing = health.failing()
    content = {"status": "ok"} if failing is None else {"status": "failing", "part": failing}
    return Response(content=content, status_code=200 if failing is None else 503, headers=_KEEP_NOTHING)


@get("/metrics", opt=_BARE, sync_to_thread=True)
def metrics(request: Request[Any, Any, Any], app: FromApp) -> Response[Any]:
    """Give figures in Prometheus's text format, where that is switched on, to whoever has the token if there is one."""
    if app.settings.metrics != "on":
        return _said(404, "Not found.")
    token = app.settings.metrics_token
    if token is not None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(sent.strip().encode(), token.encode()):
            refused = _said(401, "A token is needed.")
            refused.headers["WWW-Authenticate"] = "Bearer"
            return refused
    figures: Figures = request.app.state.figures
    try:
        return Response(content=figures.text(), media_type=FIGURES_TYPE, headers=_KEEP_NOTHING)
    except TakingsError as error:
        _log.warning("metrics.failing", code=error.code)
        return _said(503, "Not now.")


def _said(status: int, sentence: str) -> Response[str]:
    return Response(content=sentence + "\n", status_code=status, media_type="text/plain", headers=_KEEP_NOTHING)


routes = [healthz, metrics]
