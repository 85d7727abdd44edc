"""Joining an account: look at what the credentials open, keep them for the person's yes, make the connection."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from takings.accounts import Person
from takings.connections import records
from takings.connections.book import NAME_CHARS, Book, name_taken
from takings.connections.family import name_for, names
from takings.connections.keys import livemode_of
from takings.connections.model import Connection, Credentials, Found, Pending, Probe, Source
from takings.connections.probe import Prober, account_of, is_refusal
from takings.errors import Invalid, NotFound, Refused, TakingsError
from takings.store import RequestCounter
from takings.store.schema import connections, pending_connections
from takings.stripe import Limiter, LocalLimiter, Request, Retries, Stripe

PENDING_LIVES: Final = timedelta(hours=1)
UNKNOWN: Final = "unknown_"
_PATIENCE: Final = Retries(tries=3, tries_malformed=2, total_s=15.0, first_s=0.3, most_s=4.0)  # a person waits


class Joining(Book):
    """Everything up to the moment at which a connection exists."""

    def sample_credentials(self) -> Credentials:
        """Return the credentials of sample data.

        Raises:
            Invalid: Sample data is not offered here.
            Unavailable: The simulator does not start.
        """
        if self._sample is None:
            raise Invalid("connections.no_sample", "Sample data is not offered by this installation: connect Stripe.")
        return self._sample()

    def probe(self, credentials: Credentials, *, estimate: bool = True) -> Probe:
        """Ask Stripe what credentials open: a hundred requests or so, a few seconds.

        Args:
            credentials: Perhaps good, perhaps not.
            estimate: False to leave out how much there is to load.

        Raises:
            Refused: Stripe does not take them, or they may read nothing.
            Unavailable: Stripe or the network is away.
        """
        seen: list[Request] = []
        assumed = livemode_of(credentials.secret)
        account, endpoint = self._rates(bool(assumed))
        limiter = LocalLimiter(
            rate_global=account, rate_endpoint=endpoint, headroom=self._settings.headroom, clock=self._clock
        )
        with closing(self._probing_client(credentials, limiter, seen)) as stripe:
            pool = self._pool_account(credentials, limiter, seen)
            prober = Prober(stripe, self._catalog, self._clock, self._granted)
            found = prober.run(credentials, estimate=estimate, anchored=self._has_unknown(), pool_account=pool)
        counter = RequestCounter(self._store, found.pool_account or found.account_id, found.livemode, self._clock)
        for request in seen:
            counter(request)
        counter.flush()
        self._log.info("connections.probed", account=found.account_id, livemode=found.livemode, requests=len(seen))
        return found

    def look_up(self, credentials: Credentials) -> Found:
        """Ask Stripe what the account is called that credentials open: one request.

        Raises:
            Refused, Unavailable: As :meth:`probe`.
        """
        assert credentials.account is not None
        account_id = credentials.account.rpartition("/")[2]
        account, endpoint = self._rates(bool(livemode_of(credentials.secret)))
        limiter = LocalLimiter(
            rate_global=account, rate_endpoint=endpoint, headroom=self._settings.headroom, clock=self._clock
        )
        seen: list[Request] = []
        with closing(self._probing_client(credentials, limiter, seen)) as stripe:
            try:
                told = account_of(stripe.get("/v1/account").body)
            except msgspec.DecodeError:
                told = account_of(b"{}")
            except Refused as error:
                if is_refusal(error):
                    raise
                told = account_of(b"{}")  # only the account itself may not be read
        return Found(
            account_id=told.id or account_id,
            path=credentials.account,
            name=told.name or account_id,
            country=told.country,
            currency=told.currency,
        )

    def pend(
        self,
        person: Person | None,
        credentials: Credentials,
        probe: Probe | None = None,
        *,
        source: Source = "stripe",
        reauthenticates: str | None = None,
        others: Sequence[str] = (),
    ) -> str:
        """Keep credentials, sealed, until the person says yes, for an hour at most.

        Args:
            person: Who gave them: nobody else can confirm.
            credentials: What to keep.
            probe: What they open; None: it is looked at later, by :meth:`probe_pending`.
            source: Stripe or sample data.
            reauthenticates: The connection that they are new credentials for.
            others: Further accounts that the same key opens, each to become a connection of its own.

        Returns:
            The id for :meth:`confirm`.

        Raises:
            Invalid: This account is connected already, or another one that was named.
            Refused, Unavailable: Another account that was named cannot be read.
        """
        self._require(person)
        if probe is not None and reauthenticates is None:
            self._refuse_twice(probe, source)
        named = tuple(self.look_up(replace(credentials, account=one)) for one in others)
        for one in named:
            self._refuse_account(one.account_id, bool(probe is not None and probe.livemode), source)
        pending_id = secrets.token_hex(8)
        now = self._clock.now()
        with self._store.write() as db:
            db.execute(sa.delete(pending_connections).where(pending_connections.c.created_at < now - PENDING_LIVES))
            db.execute(
                sa.insert(pending_connections).values(
                    id=pending_id,
                    person_id=person.id if person else None,
                    way=credentials.way,
                    source=source,
                    credentials=records.seal(self._vault, credentials),
                    probe=_pending_values(probe, reauthenticates, named),
                    created_at=now,
                )
            )
        return pending_id

    def pending(self, person: Person | None, pending_id: str) -> Pending:
        """Return a connection in the making.

        Raises:
            NotFound: It is not there, is another person's, or is older than an hour.
        """
        self._require(person)
        return self._pending(person, pending_id)[0]

    def probe_pending(self, person: Person | None, pending_id: str) -> Probe:
        """Look at what pending credentials open, once; they are thrown away when they cannot be used.

        Raises:
            NotFound: As :meth:`pending`.
            Refused, Unavailable: As :meth:`probe`.
            Invalid: This account is connected already.
        """
        self._require(person)
        pending, sealed = self._pending(person, pending_id)
        if pending.probe is not None:
            return pending.probe
        try:
            probe = self.probe(records.unseal(self._vault, sealed))
            self._refuse_twice(probe, pending.source)
        except (Refused, Invalid):
            self.drop_pending(person, pending_id)
            raise
        with self._store.write() as db:
            db.execute(
                sa.update(pending_connections)
                .where(pending_connections.c.id == pending_id)
                .values(probe=_pending_values(probe, pending.reauthenticates, pending.others))
            )
        return probe

    def pending_credentials(self, person: Person | None, pending_id: str) -> Credentials:
        """Return the credentials of a connection in the making.

        Raises:
            NotFound: As :meth:`pending`.
        """
        self._require(person)
        return records.unseal(self._vault, self._pending(person, pending_id)[1])

    def drop_pending(self, person: Person | None, pending_id: str) -> None:
        """Throw away pending credentials; those that are gone already, too."""
        self._require(person)
        with self._store.write() as db:
            db.execute(
                sa.delete(pending_connections).where(
                    pending_connections.c.id == pending_id,
                    pending_connections.c.person_id == (person.id if person else None),
                )
            )

    def confirm(
        self,
        person: Person | None,
        pending_id: str,
        name: str,
        start_at: datetime | None,
        *,
        follow_accounts: bool = False,
    ) -> Connection:
        """Say yes: the connection exists from now on, and its first load is wanted at once.

        Further accounts that were named become connections of their own, called as Stripe calls them.

        Args:
            person: Who said yes; the same who gave the credentials.
            pending_id: From :meth:`pend`.
            name: What to call it; empty takes the account's name.
            start_at: Oldest moment to load; None: everything.
            follow_accounts: Follow the accounts connected to this one too, where it is a platform; they are found by
                :meth:`Platforms.discover`.

        Raises:
            NotFound: As :meth:`pending`, or it has not been looked at.
            Invalid: The name is taken or too long, the start lies in the future, or the account is connected already.
        """
        self._require(person)
        pending, sealed = self._pending(person, pending_id)
        if pending.probe is None:
            raise _pending_gone()
        probe, now = pending.probe, self._clock.now()
        if start_at is not None and start_at > now:
            raise Invalid("connections.start_future", "The history cannot start in the future: choose an earlier day.")
        self._refuse_twice(probe, pending.source)
        chosen = self._name(name) or self.suggested_name(probe, pending.source)
        connection_id = secrets.token_hex(8)
        try:
            with self._store.write() as db:
                gone = db.execute(sa.delete(pending_connections).where(pending_connections.c.id == pending_id))
                if gone.rowcount != 1:
                    raise _pending_gone()
                self._refuse_name(db, chosen, None)
                common = {
                    "source": pending.source,
                    "way": pending.way,
                    "livemode": probe.livemode,
                    "state": "active",
                    "start_at": start_at,
                    "created_at": now,
                    "sync_wanted_at": now,
                    "next_sync_at": now,
                }
                first = common | {
                    "id": connection_id,
                    "name": chosen,
                    "account_id": probe.account_id,
                    "account_name": probe.account_name or probe.account_id,
                    "country": probe.country,
                    "currency": probe.currency,
                    "credentials": sealed,
                    "permissions": probe.permissions,
                    "pool_account": probe.pool_account,
                    "follows_accounts": follow_accounts and pending.platform,
                }
                rows = [first, *self._further(db, pending, sealed, common, chosen)]
                for row in rows:
                    db.execute(sa.insert(connections).values(**row))
                    self._audit.record_in(
                        db,
                        person,
                        "connection.added",
                        row["name"],
                        id=row["id"],
                        account=row["account_id"],
                        livemode=probe.livemode,
                        way=pending.way,
                        start=None if start_at is None else start_at.date().isoformat(),
                    )
        except sa.exc.IntegrityError as error:
            self._refuse_twice(probe, pending.source)
            raise name_taken(chosen) from error
        self._log.info("connections.added", connection=connection_id, account=probe.account_id, way=pending.way)
        return self.get(connection_id)

    def _further(
        self, db: sa.Connection, pending: Pending, sealed: bytes, common: dict[str, Any], chosen: str
    ) -> list[dict[str, Any]]:
        """Return the rows of the further accounts that were named."""
        credentials = records.unseal(self._vault, sealed)
        taken = names(db) | {chosen.lower()}
        probe = pending.probe
        return [
            common
            | {
                "id": secrets.token_hex(8),
                "name": name_for(base_name(one.name, common["livemode"]), one.account_id, taken),
                "account_id": one.account_id,
                "account_name": one.name,
                "country": one.country,
                "currency": one.currency,
                "credentials": records.seal(self._vault, replace(credentials, account=one.path)),
                "permissions": {},
                "pool_account": one.path.partition("/")[0]
                if "/" in one.path
                else probe.pool_account
                if probe is not None and not credentials.context
                else None,
            }
            for one in pending.others
        ]

    def suggested_name(self, probe: Probe, source: Source = "stripe") -> str:
        """Return a name that no connection has: the account's, with a number where that is taken."""
        base = "Sample data" if source == "sample" else probe.account_name or probe.account_id
        base = base_name(base, probe.livemode or source == "sample")
        taken = {connection.name for connection in self.all()}
        names = (base if number == 1 else f"{base} {number}" for number in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _rates(self, livemode: bool) -> tuple[float, float]:
        account = self._settings.rate_live if livemode else self._settings.rate_sandbox
        return account, min(self._settings.rate_endpoint, account)

    def _granted(self, livemode: bool) -> tuple[float, float]:
        ours = 1 - self._settings.headroom
        account, endpoint = self._rates(livemode)
        return account * ours, endpoint * ours

    def _probing_client(self, credentials: Credentials, limiter: Limiter, seen: list[Request]) -> Stripe:
        return Stripe(
            api_base=credentials.api_base or self._settings.stripe_api_base,
            api_version=self._catalog.api_version,
            token=lambda: credentials.secret,
            limiter=limiter,
            account=credentials.account,
            context=credentials.context,
            clock=self._clock,
            on_request=seen.append,
            retries=_PATIENCE,
        )

    def _pool_account(self, credentials: Credentials, limiter: Limiter, seen: list[Request]) -> str | None:
        """Return whose key reads an account that is connected to a platform; None: its own, or Stripe does not say."""
        if credentials.account is None:
            return None
        if credentials.context:
            platform, _, connected = credentials.account.partition("/")
            return platform if connected else None
        try:
            with closing(self._probing_client(replace(credentials, account=None), limiter, seen)) as stripe:
                return account_of(stripe.get("/v1/account").body).id
        except (TakingsError, msgspec.DecodeError):
            return None

    def _has_unknown(self) -> bool:
        return any(connection.account_id.startswith(UNKNOWN) for connection in self.all())

    def _pending(self, person: Person | None, pending_id: str) -> tuple[Pending, bytes]:
        query = sa.select(pending_connections).where(
            pending_connections.c.id == pending_id,
            pending_connections.c.person_id == (person.id if person else None),
            pending_connections.c.created_at > self._clock.now() - PENDING_LIVES,
        )
        with self._store.read() as db:
            row = db.execute(query).first()
        if row is None:
            raise _pending_gone()
        pending = Pending(
            id=row.id,
            source=row.source,
            way=row.way,
            created_at=row.created_at,
            probe=records.load_probe(row.probe["probe"]),
            reauthenticates=row.probe["reauthenticates"],
            others=msgspec.convert(row.probe.get("others", []), tuple[Found, ...]),
        )
        return pending, row.credentials


def base_name(account_name: str, livemode: bool) -> str:
    """Return what to call an account: short enough for an addition, and a sandbox told from the real thing."""
    base = account_name[: NAME_CHARS - 40]
    return base if livemode else f"{base} (test)"


def _pending_values(probe: Probe | None, reauthenticates: str | None, others: Sequence[Found]) -> dict[str, Any]:
    return {
        "probe": records.dump_probe(probe),
        "reauthenticates": reauthenticates,
        "others": msgspec.to_builtins(others),
    }


def _pending_gone() -> NotFound:
    return NotFound(
        "connections.pending_gone",
        "This connection was not confirmed within an hour, or is finished already: add the data source again.",
    )
