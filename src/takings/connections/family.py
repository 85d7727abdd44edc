"""A platform's connection and those of the accounts connected to it: what happens to one happens to all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from takings.errors import Refused, TakingsError
from takings.store.schema import connections

# Why a connected account is not followed at present: errors that are told and never raised.
PAUSED: Final = Refused(
    "connections.platform_paused", "The platform whose key reads this account is paused: resume it."
)
REFUSED: Final = Refused(
    "connections.platform_refused",
    "Stripe does not accept the key of the platform that reads this account any more: re-authenticate the platform.",
)
WITHDRAWN: Final = Refused(
    "connections.withdrawn",
    "This account has withdrawn the platform’s access, or was closed: what is loaded stays, and it is followed again as soon as it is connected to the platform again.",
)


def hold(db: sa.Connection, platform_id: str, state: str, why: TakingsError) -> int:
    """Stop the accounts connected to a platform that are running; return how many there were."""
    done = db.execute(
        sa.update(connections)
        .where(connections.c.platform_id == platform_id, connections.c.state.in_(("active", "failed")))
        .values(state=state, reason=why.sentence, reason_code=why.code, sync_wanted_at=None)
    )
    return int(done.rowcount)


def let_go(db: sa.Connection, platform_id: str, whys: Iterable[TakingsError], now: datetime) -> int:
    """Let those go on that were stopped for one of these reasons; return how many there were."""
    done = db.execute(
        sa.update(connections)
        .where(connections.c.platform_id == platform_id, connections.c.reason_code.in_([why.code for why in whys]))
        .values(state="active", reason=None, reason_code=None, sync_wanted_at=now, next_sync_at=now)
    )
    return int(done.rowcount)


def with_family(connection_id: str) -> sa.ColumnElement[bool]:
    """Return the condition for a connection and all that hang on it."""
    return sa.or_(connections.c.id == connection_id, connections.c.platform_id == connection_id)


def name_for(base: str, account_id: str, taken: set[str]) -> str:
    """Return a name that no connection has: the account's, with its id where that is taken. It is added to ``taken``.

    Args:
        base: What the account is called.
        account_id: Its id.
        taken: Names there are, in lower case.
    """
    tries = (base, f"{base} ({account_id})", *(f"{base} ({account_id}, {number})" for number in range(2, 100)))
    name = next(one for one in tries if one.lower() not in taken)
    taken.add(name.lower())
    return name


def names(db: sa.Connection) -> set[str]:
    """Return the names of all connections in lower case."""
    return {row.name.lower() for row in db.execute(sa.select(connections.c.name))}
