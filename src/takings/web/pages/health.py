"""For machines that watch this one: whether the product can answer, and figures for Prometheus."""

from __future__ import annotations

import secrets
import threading
from typing import Any, Final, Literal

from litestar import Request, Response, get

from takings import log
from takings.alerts import FIGURES_TYPE, Figures
from takings.errors import TakingsError
from takings.web.context import App, FromApp, Who

_BARE: Final = {"who": Who.PUBLIC, "bare": True}
"""No session, no cookie, no set-up: who asks is no person."""

Part = Literal["store", "warehouse"]

_KEPT_S: Final = 5.0
_PATIENCE_S: Final = 5.0
_log = log.get("health")


class Health:
    """Whether the store answers and the warehouse can be opened, looked at once in a while whoever asks.

    A look that does not come back counts as a failure after some seconds; no second one is begun meanwhile.

    Args:
        app: The assembled program.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._mutex = threading.Lock()
        self._looked: float | None = None
        self._failing: Part | None = None
        self._busy: threading.Thread | None = None

    def failing(self) -> Part | None:
        """Return the part that fails, ``store`` or ``warehouse``; None: all is well."""
        with self._mutex:
            now = self._app.clock.monotonic()
            if self._busy is not None and self._busy.is_alive():
                return self._failing  # an earlier look has not come back: nobody waits for it again
            if self._looked is not None and now - self._looked < _KEPT_S:
                return self._failing
            self._part: Part = "store"
            self._busy = threading.Thread(target=self._look, name="health", daemon=True)
            self._busy.start()
            self._busy.join(_PATIENCE_S)
            if self._busy.is_alive():
                self._failing = self._part
                _log.warning("health.silent", failing=self._part)
            self._looked = self._app.clock.monotonic()
            return self._failing

    def _look(self) -> None:
        found: Part | None = None
        try:
            with self._app.store.read() as db:
                db.exec_driver_sql("SELECT 1")
            self._part = "warehouse"
            self._app.warehouse.snapshot()
        except TakingsError as error:
            found = self._part
            _log.warning("health.failing", failing=found, code=error.code)
        except Exception:
            found = self._part
            _log.exception("health.failing", failing=found)
        self._failing = found


@get("/healthz", opt=_BARE, sync_to_thread=True)
def healthz(request: Request[Any, Any, Any]) -> Response[dict[str, str]]:
    """Say whether the product can answer: open to anybody, and no more than that."""
    health: Health = request.app.state.health
    failing = health.failing()
    content = {"status": "ok"} if failing is None else {"status": "failing", "part": failing}
    return Response(content=content, status_code=200 if failing is None else 503, headers={"Cache-Control": "no-store"})


@get("/metrics", opt=_BARE, sync_to_thread=True)
def metrics(request: Request[Any, Any, Any], app: FromApp) -> Response[Any]:
    """Give figures in Prometheus's text format, where that is switched on, to whoever has the token if there is one."""
    headers = {"Cache-Control": "no-store"}
    if app.settings.metrics != "on":
        return Response(content="Not found.\n", status_code=404, media_type="text/plain", headers=headers)
    token = app.settings.metrics_token
    if token is not None:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(sent.strip().encode(), token.encode()):
            headers["WWW-Authenticate"] = "Bearer"
            return Response(content="A token is needed.\n", status_code=401, media_type="text/plain", headers=headers)
    figures: Figures = request.app.state.figures
    try:
        return Response(content=figures.text(), media_type=FIGURES_TYPE, headers=headers)
    except TakingsError as error:
        _log.warning("metrics.failing", code=error.code)
        return Response(content="Not now.\n", status_code=503, media_type="text/plain", headers=headers)


routes = [healthz, metrics]
