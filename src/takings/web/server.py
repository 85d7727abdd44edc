"""Puts the pages together into one web application."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2
from anyio import to_thread
from litestar import Litestar, Request, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import SkipValidation
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig
from litestar.types import Message, Scope

from takings.alerts import Health
from takings.web import built, deliveries
from takings.web.api.door import Door
from takings.web.api.routes import ROUTER
from takings.web.chart import chart_json, chart_value, point_name
from takings.web.context import App, Elsewhere, Form, FromApp, Reader
from takings.web.guard import IDENTITY, Identity, guard, read_for, require_declared
from takings.web.pages import (
    alerts,
    channels,
    choose,
    company,
    connections,
    connections_drift,
    connections_health,
    connections_runs,
    connections_webhook,
    dashboards,
    errors,
    explain,
    health,
    help,
    home,
    month_end,
    people,
    policies,
    profile,
    proofs,
    rows,
    sign_in,
    sql,
    tables,
    wizard,
)
from takings.web.security import SecurityHeaders, cookie, visit_cookie

PAGES: Final = (
    home,
    dashboards,
    policies,
    explain,
    rows,
    month_end,
    tables,
    sql,
    choose,
    company,
    alerts,
    connections,
    connections_health,
    connections_runs,
    connections_drift,
    proofs,
    connections_webhook,
    channels,
    sign_in,
    wizard,
    people,
    profile,
    help,
    health,
)
"""The modules of ``web/pages`` that have routes. A new page adds a word."""

_TEMPLATES: Final = Path(__file__).parent / "templates"


def create(app: App) -> Litestar:
    """Make the web application.

    Args:
        app: The assembled program.

    Raises:
        Misconfigured: The front end was never built.
        RuntimeError: A route does not declare who may use it.
    """
    built.assets()
    web = Litestar(
        # All in one router: Litestar 2.25 wraps a threaded handler twice when a second one joins its path later.
        route_handlers=[
            Router(
                path="/",
                route_handlers=[
                    *built.routes,
                    *deliveries.routes,
                    *(route for page in PAGES for route in page.routes),
                    ROUTER,
                ],
            )
        ],
        guards=[guard],
        dependencies={
            "app": Provide(_app, sync_to_thread=False),
            "reader": Provide(_reader),
            "form": Provide(_form),
        },
        exception_handlers={Exception: errors.answer, Elsewhere: errors.elsewhere},
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment())),
        compression_config=CompressionConfig(backend="gzip", exclude_opt_key="uncompressed", minimum_size=500),
        before_send=[SecurityHeaders(app.settings), _SetVisit(app)],
        state=State(
            {
                "takings": app,
                "desk": deliveries.Desk(),
                "door": Door(app.tokens, app.clock),
                "health": Health(app.store, app.warehouse.snapshot, app.clock),
                "figures": app.alerts.figures(),
            }
        ),
        openapi_config=None,
        request_max_body_size=1_000_000,
        debug=False,
        logging_config=None,
    )
    require_declared(web.routes)
    return web


def environment() -> jinja2.Environment:
    """Make the template engine: everything is escaped, and a missing value is an error rather than nothing."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.globals["assets"] = built.assets()
    env.filters.update(chart_json=chart_json, chart_value=chart_value, point_name=point_name)
    return env


class _SetVisit:
    """Gives a browser that nobody has signed in with the cookie that its forms are bound to."""

    def __init__(self, app: App) -> None:
        self._settings = app.settings

    async def __call__(self, message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start":
            return
        identity = scope["state"].get(IDENTITY)
        drawn = any(
            name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"]
        )
        if isinstance(identity, Identity) and identity.new_visit and drawn:
            header = cookie(self._settings, visit_cookie(self._settings), identity.secret).to_header(header="")
            message["headers"] = [*message["headers"], (b"set-cookie", header.encode())]


def _app(request: Request[Any, Any, Any]) -> SkipValidation[App]:
    app: App = request.app.state.takings
    return app


async def _reader(request: Request[Any, Any, Any], app: FromApp) -> SkipValidation[Reader]:
    return await to_thread.run_sync(read_for, app, request)


async def _form(request: Request[Any, Any, Any]) -> Form:
    sent = await request.form()
    return {name: value for name, value in sent.items() if isinstance(value, str)}
