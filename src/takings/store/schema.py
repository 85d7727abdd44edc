"""The tables of the product's own database, in SQLAlchemy Core. Alembic's migrations lead here; a test compares them.

Moments are stored as whole microseconds since the epoch in UTC (:class:`Moment`), so that they sort and compare the same
on SQLite and Postgres.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from takings.clock import require_aware

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """An aware moment, kept as microseconds since 1970 in UTC; a naive one is refused."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Turn an aware moment into microseconds."""
        return None if value is None else (require_aware(value) - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Turn microseconds into an aware moment in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, metadata, *columns)


def _id() -> sa.Column[str]:
    """Random, unguessable key made by us (``secrets.token_hex(8)``)."""
    return sa.Column("id", sa.String(32), primary_key=True)


def _to(table: str, *, nullable: bool = False, cascade: bool = True) -> sa.Column[str]:
    names = {"people": "person_id", "connections": "connection_id", "runs": "run_id"}
    return sa.Column(
        names[table],
        sa.String(32),
        sa.ForeignKey(f"{table}.id", ondelete="CASCADE" if cascade else "SET NULL"),
        nullable=nullable,
        index=True,
    )


# The company that uses this installation: one row, id "company".
company = _table(
    "company",
    _id(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("locale", sa.String(8), nullable=False),  # en, fr
    sa.Column("time_zone", sa.String(64), nullable=False),  # IANA name
    sa.Column("currency", sa.String(3), nullable=False),  # reporting currency, lower case
    sa.Column("policy", sa.String(64), nullable=False, server_default="stripe"),  # of recurring revenue, by name
    sa.Column("created_at", Moment, nullable=False),
)

people = _table(
    "people",
    _id(),
    sa.Column("email", sa.String(320), nullable=False, unique=True),  # lower case
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("password_hash", sa.String(300), nullable=False),  # argon2id
    sa.Column("role", sa.String(16), nullable=False),  # admin, standard, read_only
    sa.Column("locale", sa.String(8)),  # None: the company's
    sa.Column("theme", sa.String(8), nullable=False, server_default="auto"),  # auto, light, dark
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("failed_logins", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_until", Moment),
)

sessions = _table(
    "sessions",
    sa.Column("token_hash", sa.String(64), primary_key=True),  # SHA-256 of the cookie's opaque token
    _to("people"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("user_agent", sa.String(300), nullable=False, server_default=""),
)

invitations = _table(
    "invitations",
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("email", sa.String(320), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("invited_by", sa.String(32), sa.ForeignKey("people.id", ondelete="SET NULL")),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("accepted_at", Moment),
    sa.Column("revoked_at", Moment),
)

# Keys by which a person's programs ask in their name. What is revoked is gone; the audit trail keeps that it was.
api_tokens = _table(
    "api_tokens",
    sa.Column("token_hash", sa.String(64), primary_key=True),  # SHA-256 of the token, which is shown once
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    _to("people"),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),  # what it may do: never more than its person may
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),  # from then on it opens nothing; None: it lasts
    sa.Column("used_at", Moment),  # to within five minutes
)

# SQL that people keep for one another.
queries = _table(
    "queries",
    _id(),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("sql", sa.Text, nullable=False),
    sa.Column("dialect", sa.String(16), nullable=False),  # duckdb, sigma
    sa.Column("person_id", sa.String(32), sa.ForeignKey("people.id", ondelete="SET NULL")),  # who keeps it
    sa.Column("saved_by", sa.String(200), nullable=False),  # their name at the time
    sa.Column("saved_at", Moment, nullable=False),
)

audit = _table(
    "audit",
    _id(),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.Column("person_id", sa.String(32)),  # None: the program itself or the command line; no key: survives the person
    sa.Column("person_name", sa.String(200), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),  # such as connection.added
    sa.Column("subject", sa.String(200), nullable=False, server_default=""),
    sa.Column("details", sa.JSON, nullable=False),  # never secrets
)

connections = _table(
    "connections",
    _id(),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("source", sa.String(16), nullable=False),  # stripe, sample
    sa.Column("way", sa.String(16), nullable=False),  # key, app_oauth, connect_oauth
    sa.Column("account_id", sa.String(255), nullable=False),  # acct_…
    sa.Column("account_name", sa.String(300), nullable=False),
    sa.Column("livemode", sa.Boolean, nullable=False),
    sa.Column("country", sa.String(2)),
    sa.Column("currency", sa.String(3)),
    sa.Column("state", sa.String(16), nullable=False),  # active, paused, reauth, failed, disconnecting
    sa.Column("reason", sa.String(500)),  # why reauth or failed: a sentence, English
    sa.Column("reason_code", sa.String(100)),  # the same as a TakingsError code, for translation
    sa.Column("credentials", sa.LargeBinary, nullable=False),  # encrypted JSON
    sa.Column("credentials_rev", sa.Integer, nullable=False, server_default="1"),  # one writer rotates: compare and set
    sa.Column("credentials_claim", Moment),  # until then one process is exchanging the refresh token; None: nobody
    sa.Column("start_at", Moment),  # history wanted from; None: all
    sa.Column("permissions", sa.JSON, nullable=False),  # list path -> allowed | forbidden | unavailable, at last probe
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("last_sync_at", Moment),  # end of the last run in which every permitted list came out complete
    sa.Column("sync_wanted_at", Moment),  # "Sync now" was pressed; cleared when a run takes it up
    sa.Column("next_sync_at", Moment),
    # Connection of the platform or organisation whose key opens this account; None: it has its own key. Not a foreign
    # key, since SQLite would have to remake the table: whoever removes a platform removes what hangs on it.
    sa.Column("platform_id", sa.String(32), index=True),
    sa.Column("pool_account", sa.String(255)),  # account whose rate and read allocation it uses; None: its own
    sa.Column(
        "follows_accounts", sa.Boolean, nullable=False, server_default=sa.false()
    ),  # platform: connected ones too
    sa.Column("discovered_at", Moment),  # when its connected accounts were last listed; None: not yet, or wanted again
    sa.Column("left_out", sa.JSON),  # connected accounts that somebody disconnected: not to be taken in again
    sa.Column("webhook_secrets", sa.LargeBinary),  # encrypted JSON: signing secrets, newest first; None: no webhook
    sa.UniqueConstraint("account_id", "livemode", "source", name="uq_connections_account"),
)

oauth_states = _table(
    "oauth_states",
    sa.Column("state_hash", sa.String(64), primary_key=True),
    _to("people"),
    sa.Column("way", sa.String(16), nullable=False),
    sa.Column("details", sa.JSON, nullable=False),  # connection being re-authenticated, chosen name, live or test
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
)

# A connection being made: credentials checked and probed, waiting for the person's yes.
pending_connections = _table(
    "pending_connections",
    _id(),
    _to("people", nullable=True),
    sa.Column("way", sa.String(16), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("credentials", sa.LargeBinary, nullable=False),
    sa.Column("probe", sa.JSON, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

runs = _table(
    "runs",
    _id(),
    _to("connections"),
    sa.Column("kind", sa.String(16), nullable=False),  # backfill, follow, reconcile, verify
    sa.Column("phase", sa.String(16), nullable=False, server_default="lists"),  # lists, changes, bridges, done
    sa.Column("state", sa.String(16), nullable=False),  # running, complete, partial, failed, stopped
    sa.Column("reason", sa.String(500)),
    sa.Column("reason_code", sa.String(100)),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("rows_new", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows_changed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows_seen", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("retries", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows_deleted", sa.BigInteger, nullable=False, server_default="0"),  # marked as gone from Stripe
    sa.Column("events", sa.BigInteger, nullable=False, server_default="0"),  # events read for the first time
    sa.Column("findings", sa.BigInteger, nullable=False, server_default="0"),  # rows that differed from Stripe's
    sa.Column("estimate", sa.BigInteger),  # requests it was expected to take; None: nobody asked
    # Whoever works on it says so here, again and again; when it stops saying so, another takes over.
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", Moment),
)

# The plan of a run: stretches of lists, each with how far it has been read.
windows = _table(
    "windows",
    _id(),
    _to("runs"),
    _to("connections"),
    sa.Column("list", sa.String(300), nullable=False),  # path template
    sa.Column("variant", sa.String(300), nullable=False),  # canonical query string of the parameter set
    sa.Column("parent", sa.String(255), nullable=False, server_default=""),  # parent's id for nested lists
    sa.Column("start_unix", sa.BigInteger),  # inclusive; None: no bound
    sa.Column("end_unix", sa.BigInteger),  # exclusive; None: no bound
    sa.Column("cursor", sa.String(2000)),  # starting_after (v1) or next page URL (v2); None: from the top
    sa.Column("state", sa.String(16), nullable=False),  # open, done, failed
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("pages", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("purpose", sa.String(16), nullable=False, server_default="load"),  # load, head, events, refetch, check
    sa.Column("check_id", sa.String(32), nullable=False, server_default=""),  # windows that together show a whole range
    sa.Index("ix_windows_run_state", "run_id", "state"),
)

# How each list of each connection stands: what people see.
list_states = _table(
    "list_states",
    _to("connections"),
    sa.Column("list", sa.String(300), nullable=False),
    sa.Column("table_name", sa.String(100), nullable=False),
    # waiting, running, complete, partial, forbidden, unavailable
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(500)),
    sa.Column("reason_code", sa.String(100)),
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),  # rows delivered in the present or last run
    sa.Column("pages", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("estimate", sa.BigInteger),  # rows expected, None: unknown
    sa.Column("progress", sa.Float, nullable=False, server_default="0"),  # share of the plan done, 0 to 1
    sa.Column("reaches_back_to", Moment),  # oldest moment from which on everything is there
    sa.Column("started_at", Moment),
    sa.Column("updated_at", Moment),
    sa.Column("complete_as_of", Moment),  # everything Stripe held at this moment is here; None: never complete yet
    sa.Column("read_at", Moment),  # when it was last asked for, whatever came of it; None: never
    sa.Column("state_since", Moment),  # since when it stands as it does
    sa.PrimaryKeyConstraint("connection_id", "list"),
)

# Rows per table and connection, kept by the writer after each commit, so that no page has to count.
table_rows = _table(
    "table_rows",
    _to("connections"),
    sa.Column("table_name", sa.String(100), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.PrimaryKeyConstraint("connection_id", "table_name"),
)

# Every request to Stripe, counted by hour: the read allocation is over a rolling 30 days.
request_counts = _table(
    "request_counts",
    sa.Column("account_id", sa.String(255), nullable=False),
    sa.Column("livemode", sa.Boolean, nullable=False),
    sa.Column("hour", sa.BigInteger, nullable=False),  # hours since 1970
    sa.Column("endpoint", sa.String(300), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),  # backfill, follow, reconcile, verify, other
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("account_id", "livemode", "hour", "endpoint", "purpose"),
)

# Requests granted to workers, one row a bucket: what makes one limiter of all of them.
rate_buckets = _table(
    "rate_buckets",
    sa.Column("bucket", sa.String(400), primary_key=True),  # acct_…:live or acct_…:live:/v1/charges
    sa.Column("next_free_us", sa.BigInteger, nullable=False),  # moment from which the next request may go, in µs
    sa.Column("rate_per_s", sa.Float, nullable=False),  # present rate, lowered by 429s
    sa.Column("changed_us", sa.BigInteger, nullable=False),
)

# Processes that work, so that the pages can say whether anybody does.
workers = _table(
    "workers",
    _id(),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
)

# How far each connection follows Stripe's events, and what it may still spend on looking again.
follows = _table(
    "follows",
    sa.Column("connection_id", sa.String(32), sa.ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("read_to", Moment),  # every event up to here has been made use of; None: not begun
    sa.Column("caught_up_at", Moment),  # when Stripe last had nothing further to tell
    sa.Column("gap_from", Moment),  # events from here to gap_to are lost for good; None: no gap being healed
    sa.Column("gap_to", Moment),
    sa.Column("tokens", sa.Float, nullable=False, server_default="0"),  # requests that looking again may spend now
    sa.Column("tokens_at", Moment),
    sa.Column("planned_at", Moment),  # when it was last worked out what is due; None: it is to be worked out now
    sa.Column("transactions", sa.BigInteger),  # payments of thirty days, as last counted
    sa.Column("forecast", sa.BigInteger),  # requests that thirty days take, as last worked out
    sa.Column("verified_at", Moment),  # when it was last compared with Stripe, sampled or whole
)

# Ranges of lists that are looked at again, with when that was last done.
stretches = _table(
    "stretches",
    _id(),
    _to("connections"),
    sa.Column("list", sa.String(300), nullable=False),  # path template
    sa.Column("start_unix", sa.BigInteger),  # inclusive; None: from the beginning
    sa.Column("end_unix", sa.BigInteger),  # exclusive; None: up to now (the tail of the list, or all of it)
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),  # rows in it, as last seen
    sa.Column("hidden_requests", sa.BigInteger),  # for rows that the list does not show, in the last comparison
    sa.Column("inner_requests", sa.BigInteger),  # for lists inside its objects, in the last comparison with them
    sa.Column("listed_at", Moment, nullable=False),  # when every row of it was last compared with Stripe
    sa.Column("nested_at", Moment, nullable=False),  # the same with every list inside its objects
    sa.Column("open_at", Moment, nullable=False),  # when its objects in open states were last looked at
    sa.Column("wanted_at", Moment),  # somebody asked for it at this moment; None: by its turn
    sa.Index("ix_stretches_connection_list", "connection_id", "list"),
)

# What was found different from Stripe, and how it was healed.
findings = _table(
    "findings",
    _id(),
    _to("connections"),
    sa.Column("run_id", sa.String(32)),  # the run that found it; no key: outlives the run
    sa.Column("origin", sa.String(16), nullable=False),  # follow, reconcile, verify
    # missing, stale, ghost, altered, duplicate, count, balance, payout, gap
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("table_name", sa.String(100), nullable=False, server_default=""),
    sa.Column("list", sa.String(300), nullable=False, server_default=""),
    sa.Column("count", sa.BigInteger, nullable=False, server_default="1"),  # rows or events concerned
    sa.Column("ids", sa.JSON, nullable=False),  # their ids, the first 1,000
    sa.Column("subject", sa.String(255), nullable=False, server_default=""),  # currency or payout where one is meant
    sa.Column("start_at", Moment),  # range of time it lies in; None: no bound
    sa.Column("end_at", Moment),
    sa.Column("stripe_figure", sa.String(64)),  # minor units or a count, as decimal text; None: no figures
    sa.Column("our_figure", sa.String(64)),
    sa.Column("difference", sa.String(64)),
    sa.Column("silent", sa.Boolean, nullable=False, server_default=sa.false()),  # Stripe has no event that would tell
    sa.Column("since", Moment),  # when it was last known to be right; None: never looked at before
    sa.Column("found_at", Moment, nullable=False, index=True),
    sa.Column("healed_at", Moment),
    sa.Column("healed_by", sa.String(32)),  # read_again, marked_deleted, returned, reconciled; None: not healed
)

# Comparisons with Stripe and how they came out.
proofs = _table(
    "proofs",
    _id(),
    _to("connections"),
    sa.Column("run_id", sa.String(32)),
    sa.Column("asked", sa.JSON, nullable=False),  # what was to be compared: resource, window, full, sampled
    sa.Column("state", sa.String(16), nullable=False),  # waiting, running, proven, differs, incomplete
    sa.Column("reason", sa.String(500)),
    sa.Column("reason_code", sa.String(100)),
    sa.Column("started_at", Moment, nullable=False, index=True),
    sa.Column("ended_at", Moment),
    sa.Column("requests", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),  # rows compared
    sa.Column("differences", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("parts", sa.JSON, nullable=False),  # by check: table or subject, rows, state, differences
    sa.Column("seen_at", Moment),  # when whoever carries it out was last heard of
)

# What Stripe sent to a webhook, written down before it is answered.
deliveries = _table(
    "deliveries",
    _id(),
    _to("connections"),
    sa.Column("event_id", sa.String(255), nullable=False),  # evt_…
    sa.Column("event_type", sa.String(200), nullable=False),
    sa.Column("event_at", Moment),
    sa.Column("body", sa.LargeBinary),  # as received; None once handled
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("received_at", Moment, nullable=False),
    sa.Column("times", sa.Integer, nullable=False, server_default="1"),  # how often it came
    sa.Column("state", sa.String(16), nullable=False),  # waiting, handled, ignored
    sa.Column("handled_at", Moment),
    sa.UniqueConstraint("connection_id", "event_id", name="uq_deliveries_event"),
    sa.Index("ix_deliveries_connection_state", "connection_id", "state"),
    sa.Index("ix_deliveries_connection_received", "connection_id", "received_at"),
)

# Ways in which people are told of trouble.
channels = _table(
    "channels",
    _id(),
    sa.Column("kind", sa.String(16), nullable=False),  # mail, webhook
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column(
        "settings", sa.LargeBinary, nullable=False
    ),  # encrypted JSON: addresses, server, password, signing secret
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("used_at", Moment),
    sa.Column("answer", sa.String(500)),  # what the server said at the last try
    sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.false()),
)

# Troubles that people are told of: one row from its beginning to its end.
alerts = _table(
    "alerts",
    _id(),
    _to("connections", nullable=True),
    # refused, permission, incomplete, stale, verify, drift, budget, gap, worker
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False, server_default=""),  # table, list or currency concerned
    sa.Column("fields", sa.JSON, nullable=False),  # values its sentence is filled with
    sa.Column("open_key", sa.String(400), unique=True),  # what it is about, until it is over: one open alert a trouble
    sa.Column("opened_at", Moment, nullable=False, index=True),  # since when it stands
    sa.Column("stood_at", Moment, nullable=False),  # when that was last seen, until it is told
    sa.Column("told_at", Moment),  # it has stood long enough to be told; None: not yet
    sa.Column("gone_at", Moment),  # since when it has not been seen, until it is taken as over; None: it stands
    sa.Column("closed_at", Moment),
    sa.Column("seen_by", sa.String(200)),  # name of the person who said “seen”
)

# What was said of an alert, by channel: opened and closed are each said once, tried until it succeeds or is given up.
notices = _table(
    "notices",
    _id(),
    sa.Column("alert_id", sa.String(32), sa.ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column(
        "channel_id", sa.String(32), sa.ForeignKey("channels.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("what", sa.String(16), nullable=False),  # opened, closed
    sa.Column("state", sa.String(16), nullable=False),  # waiting, sent, given_up
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_at", Moment),
    sa.Column("sent_at", Moment),
    sa.Column("answer", sa.String(500)),
    sa.UniqueConstraint("alert_id", "channel_id", "what", name="uq_notices_once"),
)

# Months whose books are closed: what becomes known of them later is booked to the month that is open.
closings = _table(
    "closings",
    _id(),
    sa.Column("month", sa.String(7), nullable=False, unique=True),  # 2026-10
    sa.Column("closed_at", Moment, nullable=False),
    sa.Column("closed_by", sa.String(200), nullable=False),  # name of the person
)
