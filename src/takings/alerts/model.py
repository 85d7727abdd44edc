"""The values of alerts: facts as the store tells them, troubles that stand now, alerts, channels, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple

from takings.connections import State

Kind = Literal["refused", "permission", "incomplete", "stale", "verify", "drift", "gap", "budget", "worker"]
Way = Literal["mail", "webhook"]
Encryption = Literal["starttls", "tls", "none"]
What = Literal["opened", "closed"]
NoticeState = Literal["waiting", "sent", "given_up"]
Fields = Mapping[str, "str | int | list[str] | None"]
"""Values that the sentences of an alert are filled with. Never a secret, never a customer's data."""

KINDS: Final[tuple[Kind, ...]] = (
    "refused",
    "verify",
    "worker",
    "stale",
    "permission",
    "incomplete",
    "drift",
    "gap",
    "budget",
)
"""Every kind of trouble, the gravest first."""

SERIOUS: Final[frozenset[Kind]] = frozenset(("refused", "verify", "worker", "stale"))
"""Troubles by which what people see is or soon will be wrong or old."""


class Key(NamedTuple):
    """What a trouble is about: of one key at most one alert is open.

    Attributes:
        connection: Id of the connection; empty: the whole installation.
        subject: Table or list concerned; empty: the connection as such.
    """

    kind: Kind
    connection: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that stands now and that people should know.

    Attributes:
        fields: Values of its sentences.
        since: Since when it stands; None: since it was first seen.
        resting: Nothing new is known, since its connection does not work now: what was told stays as it was.
    """

    key: Key
    fields: Fields
    since: datetime | None = None
    resting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """How a connection stands."""

    id: str
    name: str
    state: State
    reason: str | None = None
    reason_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFacts:
    """How one list of a connection stands.

    Attributes:
        state: ``waiting``, ``running``, ``complete``, ``partial``, ``forbidden`` or ``unavailable``.
        was_read: It has been complete once, or rows of it are here.
        complete_as_of: Everything Stripe held at this moment is here; None: never complete yet.
        since: Since when it is in this state; None: not known.
        empty: It has no rows: where no event tells of it, it is looked at seldom.
    """

    connection: str
    path: str
    table: str
    state: str
    was_read: bool
    complete_as_of: datetime | None = None
    since: datetime | None = None
    reason: str | None = None
    reason_code: str | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFacts:
    """How the latest verification of a connection that came to an answer came out.

    Attributes:
        state: ``proven`` or ``differs``.
        differences: Rows and figures that differ.
        ended_at: When it ended.
    """

    connection: str
    state: str
    differences: int
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFacts:
    """Differences of one table that reconciling found although events tell of the table's changes.

    Attributes:
        days: On how many of the last :data:`takings.alerts.rules.DRIFT_WINDOW` days there were any.
        rows: Rows concerned on these days together.
        last_at: When one was last found.
    """

    connection: str
    table: str
    days: int
    rows: int
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFacts:
    """Events of a connection that are lost for good, while what they told of is being read again."""

    connection: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFacts:
    """What a connection has used of the requests that are ours.

    Attributes:
        used: Requests of the last thirty days.
        limit: Requests in thirty days that are ours to use.
    """

    used: int
    limit: int

    @property
    def ratio(self) -> float:
        """Share that is used, 0 and more."""
        return self.used / self.limit if self.limit else 0.0


Budgets = Callable[[str], BudgetFacts | None]
"""Tells what a connection (by id) has used and may use; None: not known, or no limit holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that decides what stands now.

    Attributes:
        now: The moment they hold for.
        lists: At least those that are not complete or whose data are older than the promise.
        budgets: By id of the connection.
        worker_seen_at: When a worker last said that it lives; None: none is known.
        synced_at: When some connection was last found complete.
    """

    now: datetime
    connections: tuple[ConnectionFacts, ...] = ()
    lists: tuple[ListFacts, ...] = ()
    proofs: tuple[ProofFacts, ...] = ()
    drifts: tuple[DriftFacts, ...] = ()
    gaps: tuple[GapFacts, ...] = ()
    budgets: Mapping[str, BudgetFacts] = field(default_factory=dict)
    worker_seen_at: datetime | None = None
    synced_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A trouble from its beginning to its end.

    Attributes:
        connection: Id of the connection; None: the whole installation.
        connection_name: Its name now; None likewise.
        opened_at: Since when it stands.
        told_at: When it was told; None: it has not stood long enough yet.
        closed_at: When it was over; None: it stands.
        seen_by: Name of the person who said “seen”; None: nobody has.
    """

    id: str
    kind: Kind
    connection: str | None
    connection_name: str | None
    subject: str
    fields: Fields
    opened_at: datetime
    told_at: datetime | None
    closed_at: datetime | None
    seen_by: str | None

    @property
    def serious(self) -> bool:
        """Whether what people see is or soon will be wrong or old by it."""
        return self.kind in SERIOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """How mail is sent.

    Attributes:
        host: The mail server.
        port: Its port: 587 with STARTTLS, 465 with TLS, 25 without.
        encryption: ``starttls``, ``tls``, or ``none``.
        user: Name to sign in with; empty: without.
        password: For that name. Never shown.
        sender: Address in ``From``.
        recipients: Addresses in ``To``, at least one.
    """

    host: str
    port: int
    encryption: Encryption
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """Where a webhook goes.

    Attributes:
        url: Address; may hold a token, so that it is not shown whole.
        secret: What messages are signed with. Never shown but once, when it is made.
    """

    url: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A way in which people are told, without its secrets.

    Attributes:
        target: Where it leads, as it may be shown: the recipients, or the webhook's host.
        locale: Language of what is sent: ``en`` or ``fr``.
        disabled_at: Since when it is silent; None: it speaks.
        used_at: When something was last sent over it, or tried.
        answer: What the server said then.
        failed: Whether that was no success.
        waiting: Messages that have not come through yet.
    """

    id: str
    kind: Way
    name: str
    target: str
    locale: str
    created_at: datetime
    disabled_at: datetime | None
    used_at: datetime | None
    answer: str | None
    failed: bool
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a mail server or a webhook's receiver said.

    Attributes:
        ok: It took the message.
        text: Its code and words; or, where there was no answer, the key of a sentence of ours that says why, with a
            detail after a colon: see :func:`takings.alerts.telling.answered`. At most 500 characters, without secrets.
    """

    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to say of an alert over one channel.

    Attributes:
        tries: How often it has been tried, this time included.
    """

    id: str
    what: What
    tries: int
    alert: Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How it went to tell of an alert over one channel.

    Attributes:
        channel: The channel's name.
        next_at: When it is tried again; None: it is not.
    """

    alert: str
    channel: str
    what: What
    state: NoticeState
    tries: int
    next_at: datetime | None
    sent_at: datetime | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Bell:
    """What every page shows of alerts.

    Attributes:
        unseen: Open alerts that nobody has said “seen” to.
        serious: The serious ones among them, the gravest first; at most three.
        more: How many serious ones there are beyond these.
    """

    unseen: int = 0
    serious: tuple[Alert, ...] = ()
    more: int = 0
