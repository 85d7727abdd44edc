"""OAuth, seen from here: sending a person to Stripe's consent page, and taking them back, once, within ten minutes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Person
from takings.clock import Clock
from takings.connections.model import Credentials, Way
from takings.connections.tokens import renewed
from takings.errors import Invalid, TakingsError
from takings.settings import Settings
from takings.store import Store
from takings.store.schema import oauth_states
from takings.stripe import oauth

STATE_LIVES: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """What came of a consent.

    Attributes:
        credentials: What Stripe gave.
        connection_id: The connection that they are new credentials for; None: a new connection.
    """

    credentials: Credentials
    connection_id: str | None


class Authorization:
    """Both OAuth flows.

    Args:
        store: Keeps the states, hashed.
        settings: Client ids, secrets and addresses.
        clock: The one clock.
    """

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store, self._settings, self._clock = store, settings, clock

    def ways(self) -> tuple[Way, ...]:
        """Return the ways in that are set up; a restricted key always is."""
        oauth_ways: tuple[oauth.OAuthWay, ...] = ("app_oauth", "connect_oauth")
        return ("key", *(way for way in oauth_ways if oauth.Provider.of(self._settings, way) is not None))

    def begin(self, person: Person, way: Way, redirect_uri: str, connection_id: str | None = None) -> str:
        """Return the address of Stripe's consent page for this person.

        Args:
            person: Who asks; only they can come back with the answer.
            way: ``app_oauth`` or ``connect_oauth``.
            redirect_uri: Our own address that Stripe sends the person back to; it must be registered at Stripe.
            connection_id: The connection to re-authenticate, if any.

        Raises:
            Invalid: This way is not set up here.
        """
        provider = self._provider(way)
        state = secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._store.write() as db:
            db.execute(sa.delete(oauth_states).where(oauth_states.c.created_at < now - 2 * STATE_LIVES))
            db.execute(
                sa.insert(oauth_states).values(
                    state_hash=_hash(state),
                    person_id=person.id,
                    way=way,
                    details={"connection": connection_id, "redirect_uri": redirect_uri},
                    created_at=now,
                )
            )
        return oauth.authorize_url(provider, state=state, redirect_uri=redirect_uri)

    def finish(self, person: Person, *, state: str, code: str | None, error: str | None) -> Authorized:
        """Take up what Stripe's redirect brought: check the state, use it up, exchange the code.

        Args:
            person: Who came back.
            state: The ``state`` parameter.
            code: The ``code`` parameter, None where Stripe sent an error.
            error: The ``error`` parameter, such as ``access_denied``.

        Raises:
            Invalid: The state is not one of this person's, is used up or too old.
            Refused: The person said no, or Stripe does not take the code.
            Misconfigured: Stripe does not take the app's or platform's own id or secret.
            Unavailable: Stripe cannot be reached.
        """
        way, details = self._use(person, state)
        connection_id: str | None = details.get("connection")
        provider = self._provider(way)
        try:
            if error is not None or not code:
                raise oauth.denied(error or "unknown", provider)
            grant = oauth.exchange_code(provider, code, self._clock)
        except TakingsError as refused:
            refused.fields["connection"] = connection_id  # so that the reader finds the way back
            raise
        credentials = Credentials(
            way=way, secret=grant.access_token, refresh=grant.refresh_token, expires_at=grant.expires_at
        )
        return Authorized(credentials=credentials, connection_id=connection_id)

    def renew(self, old: Credentials) -> Credentials:
        """Exchange the refresh token of a Stripe App.

        Raises:
            Refused: Stripe does not take it any more.
            Unavailable: Stripe cannot be reached.
        """
        assert old.refresh is not None
        grant = oauth.refresh(self._provider(old.way), old.refresh, self._clock)
        return renewed(old, grant.access_token, grant.refresh_token, grant.expires_at)

    def leave(self, way: Way, account_id: str) -> None:
        """Tell Stripe that a platform gives up its access to an account; there is nothing to tell for the other ways.

        Raises:
            Misconfigured, Unavailable, Unexpected: Stripe did not hear it.
        """
        if way == "connect_oauth":
            oauth.deauthorize(self._provider(way), account_id)

    def _provider(self, way: Way) -> oauth.Provider:
        provider = None if way == "key" else oauth.Provider.of(self._settings, way)
        if provider is None:
            raise Invalid(
                "connections.way_missing",
                "This way of connecting is not set up here: set its client id and secret, or use a restricted key.",
            )
        return provider

    def _use(self, person: Person, state: str) -> tuple[Way, dict[str, Any]]:
        """Use a state up: of two that come with the same one, the first wins."""
        now = self._clock.now()
        mine = sa.and_(oauth_states.c.state_hash == _hash(state), oauth_states.c.person_id == person.id)
        with self._store.write() as db:
            row = db.execute(sa.select(oauth_states).where(mine)).first()
            used = db.execute(
                sa.update(oauth_states)
                .where(mine, oauth_states.c.used_at.is_(None), oauth_states.c.created_at > now - STATE_LIVES)
                .values(used_at=now)
            )
        if row is None or used.rowcount != 1:
            raise Invalid(
                "connections.oauth_state",
                "This answer from Stripe is too old, was used already, or was not asked for here: begin again.",
            )
        return row.way, dict(row.details)


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
