"""All routes of the API, what each understands, and the description of them that programs read."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import SkipValidation

from takings import __version__
from takings.accounts import Action
from takings.errors import Invalid
from takings.web.api import books, figures, sql, status, tables
from takings.web.api.asking import asking
from takings.web.api.door import PATH, caller_of, refuse
from takings.web.context import App, Who


@get("/openapi.json", opt={"who": Who.PUBLIC, "api": True}, sync_to_thread=True, summary="This description")
def openapi() -> Response[dict[str, Any]]:
    """Describe every route, for programs that write programs: it holds nothing of anybody's."""
    return Response(content=describe(), media_type="application/json")


def understood(request: Request[Any, Any, Any]) -> None:
    """See that an address asks for nothing that is not understood: a figure of a mistyped filter would be another one.

    Raises:
        Invalid: A parameter is unknown, or given twice where one counts.
    """
    described = describe()["paths"][request.scope["path_template"]].get(request.method.lower())
    if described is None:  # only asks which methods there are
        return
    known = {one["name"]: one["schema"] for one in described.get("parameters", ()) if one["in"] == "query"}
    for name in request.query_params:
        if name not in known:
            names = ", ".join(known) or "none"
            raise Invalid(
                "api.unknown_parameter",
                f"There is no parameter “{name[:50]}” here. There are: {names}.",
                name=name[:50],
                names=names,
            )
        if len(request.query_params.getall(name)) > 1 and "array" not in str(known[name]):
            raise Invalid("api.parameter_twice", f"The parameter “{name}” is given twice.", name=name)


def _app(request: Request[Any, Any, Any]) -> SkipValidation[App]:
    app: App = request.app.state.takings
    return app


ROUTER: Final = Router(
    path=PATH,
    route_handlers=[openapi, *figures.routes, *tables.routes, *sql.routes, *books.routes, *status.routes],
    dependencies={
        "app": Provide(_app, sync_to_thread=False),
        "caller": Provide(caller_of),
        "asked": Provide(asking, sync_to_thread=False),
    },
    exception_handlers={Exception: refuse},
    before_request=understood,
)


_WRONG: Final = {
    "description": "What is wrong: 401 the token, 403 its role, 400 and 422 the question, 404 what it is about, 429 too many wrong tokens, 503 not now.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {
                        "type": "object",
                        "required": ["code", "message"],
                        "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                    }
                },
            }
        }
    },
}


def _name(handler: HTTPRouteHandler, _method: object, _path: object) -> str:
    return handler.handler_name


@cache
def describe() -> dict[str, Any]:
    """Return the API's description in the form of OpenAPI, made of the routes themselves: what each scope names is the action that a token's role must permit."""
    token = SecurityScheme(type="http", scheme="bearer", description="A personal token, made on the profile page.")
    web = Litestar(
        route_handlers=[ROUTER],
        openapi_config=OpenAPIConfig(
            title="Takings",
            version=__version__,
            components=Components(security_schemes={"token": token}),
            use_handler_docstrings=True,
            operation_id_creator=_name,
        ),
        logging_config=None,
    )
    described = web.openapi_schema.to_schema()
    for route in (one for one in web.routes if one.path_format in described["paths"]):
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods - {"OPTIONS"}:
                operation = described["paths"][route.path_format][str(method).lower()]
                who = handler.opt["who"]
                operation["security"] = [{"token": [who.value]} if isinstance(who, Action) else {}]
                operation["responses"].pop("400", None)
                operation["responses"]["default"] = _WRONG
    return described
