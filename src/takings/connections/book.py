"""What all acts on connections share: the store's rows, the credentials that are good now, clients, and who may act."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Action, Audit, Person, require
from takings.catalog import Catalog
from takings.clock import Clock
from takings.connections import records
from takings.connections.authorization import Authorization
from takings.connections.model import Connection, Credentials, Probe, Source
from takings.connections.tokens import Token, Tokens
from takings.errors import Invalid
from takings.log import get
from takings.settings import Settings
from takings.store import SharedLimiter, Store, Vault
from takings.store.schema import connections
from takings.stripe import Limiter, Request, Stripe

NAME_CHARS: Final = 100

Sample = Callable[[], Credentials]
"""Returns the address and key of a running built-in simulator, starting it where need be. Asked whenever they are used."""


class Book:
    """The connections there are. The acts are in the classes made from it, one module each.

    Args:
        store: The product's own database.
        vault: Seals credentials.
        catalog: What lists Stripe has.
        settings: Addresses, rates, client ids.
        clock: The one clock.
        audit: Every act is recorded there.
        sample: What gives sample data; None: it is not offered.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        catalog: Catalog,
        settings: Settings,
        clock: Clock,
        audit: Audit,
        sample: Sample | None = None,
    ) -> None:
        self._store, self._vault, self._catalog = store, vault, catalog
        self._settings, self._clock, self._audit = settings, clock, audit
        self._sample = sample
        self._log = get("connections")
        self.authorization = Authorization(store, settings, clock)
        self._tokens = Tokens(store, vault, clock, self.authorization.renew)
        self._limiters: dict[tuple[str, bool], SharedLimiter] = {}
        self._making_limiters = threading.Lock()

    def all(self) -> list[Connection]:
        """Return every connection, by name."""
        with self._store.read() as db:
            return [records.to_connection(row) for row in db.execute(records.select_connections())]

    def get(self, connection_id: str) -> Connection:
        """Return one connection.

        Raises:
            NotFound: There is none with this id.
        """
        with self._store.read() as db:
            return records.fetch(db, connection_id)

    @property
    def offers_sample(self) -> bool:
        """True where sample data can be connected."""
        return self._sample is not None

    def credentials(self, connection_id: str) -> Credentials:
        """Return credentials that can be used now; those of a Stripe App are renewed when they are about to end.

        A connected account has none of its own: its platform's are used, with its id.

        Raises:
            NotFound: There is no such connection.
            Refused: Stripe does not renew them any more: re-authenticate.
            Unavailable: Stripe is away and the old ones have ended.
        """
        connection = self.get(connection_id)
        if connection.source == "sample" and self._sample is not None:
            return self._sample()
        if connection.platform_id is not None:
            return self.credentials(connection.platform_id).of_connected(connection.account_id)
        return self._tokens.current(connection_id)

    def client(
        self, connection: Connection, *, limiter: Limiter, on_request: Callable[[Request], None] | None = None
    ) -> Stripe:
        """Return a client for a connection; it takes up new credentials by itself. The caller closes it."""
        credentials = self.credentials(connection.id)
        return Stripe(
            api_base=credentials.api_base or self._settings.stripe_api_base,
            api_version=self._catalog.api_version,
            token=Token(lambda: self.credentials(connection.id), self._clock),
            limiter=limiter,
            account=credentials.account,
            context=credentials.context,
            clock=self._clock,
            on_request=on_request,
        )

    def limiter(self, connection: Connection) -> SharedLimiter:
        """Return what keeps requests for a connection within Stripe's rate: one for all that Stripe counts together.

        Each limiter has half a second's requests granted at once. If each of a platform's accounts had one of its own and used a
        single request of that, all of them together would come to two requests a second.
        """
        key = (connection.pool_account_id, connection.livemode)
        with self._making_limiters:
            if key not in self._limiters:
                self._limiters[key] = SharedLimiter(self._store, key[0], self._settings, key[1], self._clock)
            return self._limiters[key]

    # For the acts

    def _require(self, person: Person | None) -> None:
        if person is not None:
            require(person, Action.MANAGE_CONNECTIONS)

    def _refuse_twice(self, probe: Probe, source: Source) -> None:
        for account_id in (probe.account_id, *probe.aliases):
            self._refuse_account(account_id, probe.livemode, source)

    def _refuse_account(self, account_id: str, livemode: bool, source: Source) -> None:
        query = records.select_connections().where(
            connections.c.account_id == account_id,
            connections.c.livemode == livemode,
            connections.c.source == source,
        )
        with self._store.read() as db:
            row = db.execute(query).first()
        if row is None:
            return
        connection = records.to_connection(row)
        refuse_disconnecting(connection)
        raise Invalid(
            "connections.already",
            f"This Stripe account is connected already, as “{connection.name}”: to give it a new key, re-authenticate that connection.",
            name=connection.name,
            connection=connection.id,
        )

    def _name(self, typed: str) -> str:
        name = " ".join(typed.split())
        if len(name) > NAME_CHARS:
            raise Invalid(
                "connections.name_long",
                f"This name is longer than {NAME_CHARS} characters: shorten it.",
                most=NAME_CHARS,
            )
        return name

    def _refuse_name(self, db: sa.Connection, name: str, but: str | None) -> None:
        query = sa.select(connections.c.id).where(sa.func.lower(connections.c.name) == name.lower())
        if any(row.id != but for row in db.execute(query)):
            raise name_taken(name)


def select_name(connection_id: str) -> sa.Select[Any]:
    """Return the query for a connection's name."""
    return sa.select(connections.c.name).where(connections.c.id == connection_id)


def name_taken(name: str) -> Invalid:
    """Return the error for a name that another connection has."""
    return Invalid("connections.name_taken", f"Another connection is called “{name}”: choose another name.", name=name)


def update(db: sa.Connection, connection_id: str, changes: dict[str, Any]) -> None:
    """Change a connection's row.

    Raises:
        NotFound: It is gone.
    """
    done = db.execute(sa.update(connections).where(connections.c.id == connection_id).values(**changes))
    if done.rowcount != 1:
        raise records.no_such(connection_id)


def refuse_disconnecting(connection: Connection) -> None:
    """Let nothing be done with a connection whose data is being deleted.

    Raises:
        Invalid: It is.
    """
    if connection.state == "disconnecting":
        raise Invalid(
            "connections.disconnecting",
            f"“{connection.name}” is being disconnected and its data deleted: wait until it has gone from the list.",
            name=connection.name,
        )
