"""What Stripe delivers to webhooks: checked, written down before it is answered, and handed to whoever follows.

Deliveries only make things sooner: what none brings, following Stripe's list of events brings as well.
"""

from __future__ import annotations

import re
import secrets as dice
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from takings.accounts.tokens import new_id
from takings.clock import Clock, from_unix
from takings.connections.signing import SigningSecrets
from takings.errors import Invalid, NotFound
from takings.log import get
from takings.settings import Settings
from takings.store import Store
from takings.store.schema import connections, deliveries
from takings.stripe.signatures import check

PATH: Final = "/webhooks/stripe"
"""Where deliveries come to: the connection's id follows."""

MOST_BYTES: Final = 2_000_000
"""Largest body that is accepted."""

KEPT: Final = timedelta(days=30)
"""How long it is remembered that an event was handled: as long as Stripe's own list of events reaches."""

MOST_WAITING: Final = 5_000
"""So many events of one connection wait at most: a day's of a busy account."""

MOST_WAITING_BYTES: Final = 64_000_000
"""Their bodies hold so many bytes at most."""

_NOBODYS: Final = dice.token_hex(32)
_FORGOTTEN: Final = 10
_CHUNK: Final = 1_000

DeliveryState = Literal["waiting", "handled", "ignored", "let_go"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A delivered event that has not been made use of.

    Attributes:
        id: Ours, for :meth:`Deliveries.handled`.
        event_id: Stripe's: ``evt_…``.
        body: The event, byte for byte as it came.
    """

    id: str
    event_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is remembered of a delivered event.

    Attributes:
        event_id: ``evt_…``.
        event_type: Such as ``charge.refunded``.
        event_at: When it happened at Stripe, to the second.
        received_at: When it came for the first time.
        times: How often it came.
        size_bytes: Size of its body.
        state: ``waiting`` to be made use of, ``handled``, ``ignored``: of another mode or account, or ``let_go``: nobody
            took it up before too many waited.
        handled_at: Since when it is one of the latter three.
    """

    event_id: str
    event_type: str
    event_at: datetime | None
    received_at: datetime
    times: int
    size_bytes: int
    state: DeliveryState
    handled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """Events that were let go since too many waited: what they told, Stripe's list of events tells too.

    Attributes:
        events: How many.
        since: When the first of them had come.
        until: When the last of them had come.
        at: When the last of them was let go.
    """

    events: int
    since: datetime
    until: datetime
    at: datetime


class _Event(msgspec.Struct):
    """The part of an event that tells where it belongs. Thin events bear ``created`` as a text."""

    id: str
    object: Literal["event", "v2.core.event"]
    type: str
    livemode: bool
    created: int | str
    account: str | None = None
    context: str | None = None

    @property
    def of_account(self) -> str | None:
        """The account it speaks of, where it is not simply the endpoint's own."""
        named = self.account or self.context
        return named.rpartition("/")[2] if named else None


_DECODER: Final = msgspec.json.Decoder(_Event)
_TOKEN: Final = re.compile(r"[!-~]{1,255}")
_TYPE: Final = re.compile(r"[!-~]{1,200}")
_LATEST_UNIX: Final = 253_402_300_799  # the year 9999


class Deliveries:
    """The events that came by webhook, for all connections. Safe for threads and processes.

    Args:
        store: The product's own database.
        signing: The secrets that deliveries are signed with.
        clock: Tells whether a signature is fresh.
    """

    def __init__(self, store: Store, signing: SigningSecrets, clock: Clock) -> None:
        self._store, self._signing, self._clock = store, signing, clock
        self._log = get("webhooks")

    def receive(self, connection_id: str, body: bytes, signature: str) -> None:
        """Take in a delivery; when this returns, it is on the disk and Stripe may be told so.

        An event that came before is only counted. One of the other mode, or of an account that is not here, is written
        down as ignored, since refusing it would make Stripe send it for days. An event of a connected account goes to
        the connection of that account, where its platform's connection is addressed.

        Args:
            connection_id: Whose address it came to; anything may have been put there.
            body: The body, byte for byte.
            signature: The header ``Stripe-Signature``, empty where there was none.

        Raises:
            NotFound: No connection has this address.
            Invalid: ``webhook.too_large``, ``webhook.signature`` (forged, too old, or signed with a secret that is not
                known) or ``webhook.malformed``; nothing was written.
            Unavailable: The store is away or locked: answer 503, Stripe sends it again.
        """
        if len(body) > MOST_BYTES:
            raise too_large()
        now = self._clock.now()
        with self._store.read() as db:
            row = db.execute(
                sa.select(connections.c.account_id, connections.c.livemode, connections.c.webhook_secrets).where(
                    connections.c.id == connection_id
                )
            ).first()
        known = () if row is None else self._signing.unsealed(row.webhook_secrets)
        try:
            # Where there is no secret, the same work is done with one that nobody knows.
            check(body, signature, [one.secret for one in known] or [_NOBODYS], now)
        except Invalid:
            if row is None:
                raise _no_such() from None
            raise
        if row is None:
            raise _no_such()
        event = _read(body)
        try:
            with self._store.write(durable=True) as db:
                target = _target(db, connection_id, row.account_id, row.livemode, event)
                state = self._note(db, target or connection_id, target is not None, event, body, now)
                self._forget(db, target or connection_id, now)
                gone = self._let_go(db, target, now) if target is not None and state == "waiting" else 0
                if target is not None and state == "waiting":
                    db.execute(
                        sa.update(connections)
                        .where(connections.c.id == target, connections.c.next_sync_at > now)
                        .values(next_sync_at=now)
                    )
        except sa.exc.IntegrityError as error:
            raise _no_such() from error  # disconnected this very moment
        self._log.debug("webhooks.received", connection=target or connection_id, id=event.id, type=event.type)
        if gone:
            self._log.warning("webhooks.let_go", connection=target, events=gone)

    def _note(
        self, db: sa.Connection, connection_id: str, useful: bool, event: _Event, body: bytes, now: datetime
    ) -> DeliveryState:
        """Write a delivery down, or count it where its event is known; return how it stands then."""
        insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
        statement = (
            insert(deliveries)
            .values(
                id=new_id(),
                connection_id=connection_id,
                event_id=event.id,
                event_type=event.type,
                event_at=_moment(event.created),
                body=body if useful else None,
                size_bytes=len(body),
                received_at=now,
                times=1,
                state="waiting" if useful else "ignored",
                handled_at=None if useful else now,
            )
            .on_conflict_do_update(
                index_elements=[deliveries.c.connection_id, deliveries.c.event_id],
                set_={"times": deliveries.c.times + 1},
            )
            .returning(deliveries.c.state)
        )
        state: DeliveryState = db.execute(statement).scalar_one()
        return state

    def take(self, connection_id: str, limit: int) -> list[Waiting]:
        """Return events that wait, in the order they came. They wait on until :meth:`handled` is told of them.

        Whoever takes holds the connection's run, so that nobody else takes the same ones meanwhile.

        Args:
            connection_id: Whose.
            limit: How many at most.
        """
        d = deliveries.c
        query = (
            sa.select(d.id, d.event_id, d.body)
            .where(d.connection_id == connection_id, d.state == "waiting")
            .order_by(d.received_at, d.id)
            .limit(limit)
        )
        with self._store.read() as db:
            return [Waiting(id=row.id, event_id=row.event_id, body=bytes(row.body)) for row in db.execute(query)]

    def handled(self, ids: Iterable[str]) -> None:
        """Note that events have been made use of: their bodies go, their ids stay for :data:`KEPT`."""
        every = list(ids)
        for start in range(0, len(every), _CHUNK):
            with self._store.write() as db:
                db.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.id.in_(every[start : start + _CHUNK]), deliveries.c.state == "waiting")
                    .values(state="handled", body=None, handled_at=self._clock.now())
                )

    def pending(self, connection_id: str) -> int:
        """Return how many events of a connection wait."""
        with self._store.read() as db:
            return int(
                db.execute(
                    sa.select(sa.func.count()).where(
                        deliveries.c.connection_id == connection_id, deliveries.c.state == "waiting"
                    )
                ).scalar_one()
            )

    def let_go(self, connection_id: str) -> LetGo | None:
        """Return what was let go in the last thirty days since too much waited; None: nothing."""
        d = deliveries.c
        query = sa.select(
            sa.func.count().label("events"),
            sa.func.min(d.received_at).label("since"),
            sa.func.max(d.received_at).label("until"),
            sa.func.max(d.handled_at).label("at"),
        ).where(d.connection_id == connection_id, d.state == "let_go")
        with self._store.read() as db:
            row = db.execute(query).one()
        return LetGo(events=row.events, since=row.since, until=row.until, at=row.at) if row.events else None

    def recent(self, connection_id: str, limit: int) -> list[Delivery]:
        """Return what came last, newest first."""
        d = deliveries.c
        columns = (d.event_id, d.event_type, d.event_at, d.received_at, d.times, d.size_bytes, d.state, d.handled_at)
        query = (
            sa.select(*columns)
            .where(d.connection_id == connection_id)
            .order_by(d.received_at.desc(), d.id.desc())
            .limit(limit)
        )
        with self._store.read() as db:
            return [Delivery(**row._mapping) for row in db.execute(query)]

    def _let_go(self, db: sa.Connection, connection_id: str, now: datetime) -> int:
        """Let the oldest events go where too many wait, a quarter of them at once; return how many."""
        d = deliveries.c
        here = sa.and_(d.connection_id == connection_id, d.state == "waiting")
        # The length of a body stands before it, its size behind it: databases need not read the body for the former.
        number, size = db.execute(sa.select(sa.func.count(), sa.func.sum(sa.func.length(d.body))).where(here)).one()
        if number <= MOST_WAITING and (size or 0) <= MOST_WAITING_BYTES:
            return 0
        oldest = sa.select(d.id).where(here).order_by(d.received_at, d.id).limit(max(1, number // 4))
        gone = sa.update(deliveries).where(d.id.in_(oldest)).values(state="let_go", body=None, handled_at=now)
        return int(db.execute(gone).rowcount)

    def _forget(self, db: sa.Connection, connection_id: str, now: datetime) -> None:
        """Forget a few events that came before :data:`KEPT` and do not wait: more than come, so that they never grow."""
        d = deliveries.c
        old = (
            sa.select(d.id)
            .where(d.connection_id == connection_id, d.received_at < now - KEPT, d.state != "waiting")
            .limit(_FORGOTTEN)
        )
        db.execute(sa.delete(deliveries).where(d.id.in_(old)))


def address(settings: Settings, connection_id: str) -> str:
    """Return what to give to Stripe as the address of a connection's webhook."""
    return f"{settings.public_url}{PATH}/{connection_id}"


def too_large() -> Invalid:
    """Return the error for a body that is larger than any event."""
    return Invalid(
        "webhook.too_large", f"A delivery holds at most {MOST_BYTES:,} bytes; this one is larger.", most=MOST_BYTES
    )


def _no_such() -> NotFound:
    return NotFound("webhook.no_such", "There is no webhook at this address: copy it again from the connection’s page.")


def _read(body: bytes) -> _Event:
    """Read where an event belongs.

    Raises:
        Invalid: It is no event of Stripe's.
    """
    try:
        event = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed() from error
    if not _TOKEN.fullmatch(event.id) or not _TYPE.fullmatch(event.type):
        raise malformed()
    if isinstance(event.created, int) and not 0 <= event.created <= _LATEST_UNIX:
        raise malformed()
    return event


def malformed() -> Invalid:
    """Return the error for what is no event."""
    return Invalid("webhook.malformed", "This message is no event of Stripe.")


def _moment(created: int | str) -> datetime | None:
    return from_unix(created) if isinstance(created, int) else None


def _target(db: sa.Connection, connection_id: str, account_id: str, livemode: bool, event: _Event) -> str | None:
    """Return the connection that an event speaks of; None: none that is here."""
    if event.livemode != livemode or event.object != "event":
        return None
    account = event.of_account
    if account is None or account == account_id:
        return connection_id
    children: Sequence[Any] = (
        db.execute(
            sa.select(connections.c.id).where(
                connections.c.platform_id == connection_id,
                connections.c.account_id == account,
                connections.c.livemode == livemode,
            )
        )
        .scalars()
        .all()
    )
    return str(children[0]) if children else None
