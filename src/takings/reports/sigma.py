"""Questions in Sigma's dialect: whose rows they are about, complete up to when, and the SQL that answers them.

Imported only by who is asked such a question: to load the library that reads SQL takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from takings.connections import Connection
from takings.errors import NotFound
from takings.reports.question import scopes
from takings.store import Store
from takings.store.schema import connections, list_states
from takings.warehouse import Among
from takings.warehouse.sigma.dialect import parse


@dataclass(frozen=True, slots=True)
class Asked:
    """A question ready for the warehouse.

    Attributes:
        sql: The engine's SQL.
        reads: Tables of schema ``stripe`` behind it.
    """

    sql: str
    reads: frozenset[str]


class Sigma:
    """Understands questions in Sigma's dialect.

    Args:
        store: Where it stands how far each table has been read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def ask(self, text: str, among: Among) -> Asked:
        """Turn a question into the engine's SQL.

        Args:
            text: One SELECT in Trino's SQL over Sigma's tables.
            among: Whose rows it is about.

        Raises:
            Invalid: It cannot be understood, or asks for what is not here.
        """
        parsed = parse(text)
        moment = self.loaded_at(parsed.reads, among) if parsed.asks_load_time else None
        return Asked(parsed.sql(moment), parsed.reads)

    def loaded_at(self, tables: Iterable[str], among: Among) -> datetime | None:
        """Return the moment at which everything that Stripe held in some tables is here; None: not yet known.

        Lists that the key may not read, or that the account does not have, are left out.
        """
        of = list_states.c
        whose = sa.select(connections.c.id).where(connections.c.livemode == among.livemode)
        if among.accounts is not None:
            whose = whose.where(connections.c.account_id.in_(among.accounts))
        asked = sa.select(of.complete_as_of).where(
            of.connection_id.in_(whose),
            of.table_name.in_(sorted(tables)),
            of.state.not_in(("forbidden", "unavailable")),
        )
        with self._store.read() as db:
            moments = db.execute(asked).scalars().all()
        return min(moments) if moments and None not in moments else None


def among(every: Iterable[Connection], account: str | None, *, test: bool) -> Among:
    """Return whose rows are meant: as in Sigma, live or test data and never both, and sample data by itself.

    Args:
        every: The connections there are.
        account: A Stripe account; None: all of the kind.
        test: Test data instead of live data.

    Raises:
        NotFound: No connection is to that account in that mode.
    """
    found = [scope for scope in scopes(every) if scope.livemode is not test]
    if account is not None:
        if not any(account in scope.accounts for scope in found):
            kind = "test" if test else "live"
            raise NotFound(
                "sql.no_account", f"No connection reads the {kind} data of the account {account}.", account=account
            )
        return Among(not test, (account,))
    return Among(not test, found[0].accounts if found else ())
