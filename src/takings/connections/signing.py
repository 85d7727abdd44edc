"""Signing secrets of webhooks: several for each connection, sealed, so that one can roll while another still signs."""

from __future__ import annotations

import re
import secrets as dice
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from takings.accounts import Action, Audit, Person, require
from takings.clock import Clock
from takings.connections import records
from takings.connections.book import refuse_disconnecting, update
from takings.errors import Invalid, NotFound
from takings.store import Store, Vault
from takings.store.schema import connections

MOST_SECRETS: Final = 16
"""Secrets of one connection: as many as Stripe lets an account have webhook endpoints."""

_FORM: Final = re.compile(r"whsec_[A-Za-z0-9+/=_-]{16,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """One signing secret. It never shows itself.

    Attributes:
        id: Our own name for it.
        secret: ``whsec_…``.
        added_at: When it was added.
    """

    id: str
    secret: str = field(repr=False)
    added_at: datetime

    @property
    def ending(self) -> str:
        """Its last four characters: all of it that anybody is shown."""
        return self.secret[-4:]


class SigningSecrets:
    """The signing secrets of all connections.

    Args:
        store: The product's own database.
        vault: Seals them.
        clock: Tells when one was added.
        audit: Every act is recorded there, with the last four characters.
    """

    def __init__(self, store: Store, vault: Vault, clock: Clock, audit: Audit) -> None:
        self._store, self._vault, self._clock, self._audit = store, vault, clock, audit

    def all(self, connection_id: str) -> tuple[SigningSecret, ...]:
        """Return a connection's secrets, newest first; none where it has no webhook.

        Raises:
            NotFound: There is no such connection.
        """
        with self._store.read() as db:
            records.fetch(db, connection_id)
            return self.unsealed(db.execute(_select(connection_id)).scalar_one())

    def unsealed(self, sealed: bytes | None) -> tuple[SigningSecret, ...]:
        """Open what the column ``webhook_secrets`` holds."""
        if sealed is None:
            return ()
        return tuple(
            SigningSecret(id=one["id"], secret=one["secret"], added_at=datetime.fromisoformat(one["added_at"]))
            for one in self._vault.unseal(sealed)["secrets"]
        )

    def add(self, person: Person | None, connection_id: str, typed: str) -> SigningSecret:
        """Accept deliveries signed with one more secret; those there already stay good until they are removed.

        Args:
            person: Who does it; None: the command line.
            connection_id: Whose webhook.
            typed: The secret as pasted.

        Raises:
            Invalid: It is no signing secret, is there already, or there are too many.
            NotFound: There is no such connection.
        """
        _require(person)
        secret = read_secret(typed)
        made = SigningSecret(id=dice.token_hex(4), secret=secret, added_at=self._clock.now())
        with self._store.write(durable=True) as db:
            connection = records.fetch(db, connection_id)
            refuse_disconnecting(connection)
            there = self._locked(db, connection_id)
            if any(one.secret == secret for one in there):
                raise Invalid("webhook.secret_known", "This signing secret is stored already.")
            if len(there) >= MOST_SECRETS:
                raise Invalid(
                    "webhook.secrets_full",
                    f"{MOST_SECRETS} signing secrets are stored already: remove one that is no longer in use first.",
                    most=MOST_SECRETS,
                )
            self._keep(db, connection_id, (made, *there))
            self._audit.record_in(
                db, person, "connection.webhook_secret_added", connection.name, id=connection_id, ending=made.ending
            )
        return made

    def remove(self, person: Person | None, connection_id: str, secret_id: str) -> SigningSecret:
        """Accept nothing signed with a secret any more, at once.

        Raises:
            NotFound: There is no such connection, or no such secret.
        """
        _require(person)
        with self._store.write(durable=True) as db:
            connection = records.fetch(db, connection_id)
            there = self._locked(db, connection_id)
            gone = next((one for one in there if one.id == secret_id), None)
            if gone is None:
                raise NotFound("webhook.no_secret", "This signing secret has been removed already.")
            self._keep(db, connection_id, tuple(one for one in there if one is not gone))
            self._audit.record_in(
                db, person, "connection.webhook_secret_removed", connection.name, id=connection_id, ending=gone.ending
            )
        return gone

    def _locked(self, db: sa.Connection, connection_id: str) -> tuple[SigningSecret, ...]:
        return self.unsealed(db.execute(_select(connection_id).with_for_update()).scalar_one())

    def _keep(self, db: sa.Connection, connection_id: str, every: tuple[SigningSecret, ...]) -> None:
        values = [{"id": one.id, "secret": one.secret, "added_at": one.added_at.isoformat()} for one in every]
        sealed = self._vault.seal({"secrets": values}) if every else None
        update(db, connection_id, {"webhook_secrets": sealed})


def read_secret(typed: str) -> str:
    """Return a signing secret as pasted, without blanks around it.

    Raises:
        Invalid: It is something else; the sentence says where to find the right one.
    """
    secret = typed.strip()
    if _FORM.fullmatch(secret):
        return secret
    raise Invalid(
        "webhook.not_secret",
        "A signing secret begins with whsec_: copy it whole from the webhook’s page in Stripe.",
    )


def _require(person: Person | None) -> None:
    if person is not None:
        require(person, Action.MANAGE_CONNECTIONS)


def _select(connection_id: str) -> sa.Select[Any]:
    return sa.select(connections.c.webhook_secrets).where(connections.c.id == connection_id)
