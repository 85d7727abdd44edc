"""What every page says while a first load runs: how far the data reaches so far."""

from __future__ import annotations

from takings.accounts import Action, Person
from takings.connections import Reach
from takings.connections import reach as reach_of
from takings.web.context import App


def reach(app: App, person: Person | None) -> tuple[Reach, ...]:
    """Return how far the data reaches, one for each connection whose first load is not complete; often none.

    Draw it with ``{% include "connections_reach.html.j2" %}``, which takes this value as ``reaches``.

    Args:
        app: The assembled program.
        person: For whom; nobody and those who may not see reports are told nothing.
    """
    if person is None or not person.may(Action.VIEW_REPORTS):
        return ()
    return tuple(reach_of(app.store))
