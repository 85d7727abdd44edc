"""How the connections stand."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter

from takings.accounts import Action
from takings.answers.status import connections
from takings.web.api.asking import told
from takings.web.context import FromApp


@get(
    "/status",
    opt={"who": Action.MANAGE_CONNECTIONS, "api": True},
    sync_to_thread=True,
    summary="How the connections stand",
)
def status(
    app: FromApp,
    accounts: Annotated[bool, QueryParameter(description="Each connected account of a platform too.")] = False,
) -> Response[dict[str, Any]]:
    """Say whether a worker runs, how far the data of each connection reach, and what is going on."""
    return told(connections(app, every=accounts))


routes: Final = [status]
