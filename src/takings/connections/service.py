"""Connections: everything that can be done with them, put together."""

from __future__ import annotations

from takings.connections.keeping import Keeping
from takings.connections.platforms import Platforms


class Connections(Keeping, Platforms):
    """The connections of this installation.

    Reading is open to whoever holds this object. Each act that changes something takes the person who does it:
    ``None`` for the program's own command line, whose user may do everything anyway; anybody else needs
    ``Action.MANAGE_CONNECTIONS``, or the act raises :class:`NotAllowed`. Every act is in the audit trail.
    """
