"""How in step a connection is: one line in words, each table's freshness, what comes next, requests; and reading again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal

from babel.dates import format_time
from litestar import Response, post
from litestar.params import FromPath

from takings.connections import Connection
from takings.errors import Invalid
from takings.proof import ProofBook, Verification
from takings.sync import EVENTS, DriftDay, Health, RunRecord, TableHealth, steady
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of, duration, rounded
from takings.words import Words

Tone = Literal["good", "warn", "bad", "busy", "quiet"]

LIST_TONES: Final = {
    "waiting": "quiet",
    "running": "busy",
    "complete": "good",
    "partial": "warn",
    "forbidden": "bad",
    "unavailable": "quiet",
}
_TONES: Final[dict[str, Tone]] = {
    "loading": "busy",
    "stopped": "quiet",
    "gap": "warn",
    "behind": "bad",
    "short": "warn",
    "well": "good",
}
_PURPOSES: Final = ("backfill", "follow", "reconcile", "verify", "other")
DRIFT_DAYS: Final = 30
_STEADY_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to know under the line.

    Attributes:
        kind: Colour and icon of its banner.
        detail: A second sentence; None: there is none.
        href: Where to see more; None: nowhere.
    """

    kind: Literal["info", "warning", "error"]
    text: str
    detail: str | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One table, in the reader's words.

    Attributes:
        fresh: How long ago everything Stripe held was here; ``fresh_as_of`` that moment.
        compared: How long ago its rows were all compared with Stripe.
        hint: What is to be known of it: it comes with another, no event tells of it, it is being read again.
    """

    table: str
    href: str
    state: str
    state_text: str
    tone: str
    reason: str | None
    fresh: str
    fresh_as_of: datetime | None
    rows: int
    compared: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPart:
    """How in step a connection is, in the reader's words: the part of its page that the stream renews.

    Attributes:
        loading: Its first load is not over: the page shows that instead.
        line: One sentence.
        activity: What is going on now; None: nothing.
        share: How much of that is done, 0 to 1; None: nobody can tell.
        rows: The tables that have rows or need somebody.
        quiet: The others.
    """

    loading: bool
    word: str
    tone: Tone
    line: str
    notes: tuple[Note, ...]
    activity: str | None
    share: float | None
    rows: tuple[TableRow, ...]
    quiet: tuple[TableRow, ...]
    quiet_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and what it is, with more on it in small print."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Requests of the last thirty days for one purpose; ``share`` of the limit, 0 to 1."""

    purpose: str
    requests: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPart:
    """What a connection's requests come to.

    Attributes:
        line: How many of how many.
        share: Of the limit, 0 to 1 (1 where it is more).
        tone: How near the limit is.
        why: Where the limit comes from.
        forecast: What thirty days take.
    """

    line: str
    spent: int
    limit: int
    share: float
    tone: Tone
    why: str
    forecast: str
    beyond: bool
    by_purpose: tuple[Spent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPart:
    """The differences of the last days in short: ``text`` says how many in how many tables."""

    text: str
    href: str
    any: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What the connection's own page shows besides its health: nothing of it asks the warehouse.

    Attributes:
        next: What comes next.
        tables: Those that can be read again.
        today: The last day that can be chosen.
    """

    next: tuple[Fact, ...]
    budget: BudgetPart
    drift: DriftPart
    tables: tuple[str, ...]
    today: str


def proofs_of(app: App) -> ProofBook:
    """Return the book of verifications with its type."""
    found: ProofBook = app.proof.book
    return found


def health_part(app: App, connection: Connection, reader: Reader) -> HealthPart:
    """Say in the reader's words how in step a connection is."""
    words, now = reader.words, reader.now
    tables = app.health.tables(connection.id)
    health = app.health.health(connection, tables, now, words.zone)
    drift = app.health.drift(connection.id, now - timedelta(days=8), words.zone)
    run = next(iter(app.health.runs(connection.id, limit=1)), None)
    going = _going(proofs_of(app).latest(connection.id, 1))
    activity, share = _activity(connection, run, going, words)
    shown = [one for one in tables if one.rows or one.state in ("partial", "forbidden", "running")]
    shown.sort(key=lambda one: (one.state not in ("partial", "forbidden"), one.table))
    quiet = [one for one in tables if one not in shown]
    return HealthPart(
        loading=health.word == "loading",
        word=health.word,
        tone="warn" if health.word == "well" and health.open else _TONES[health.word],
        line=line(health, words, now),
        notes=tuple(_notes(connection, health, tables, drift, words, now)),
        activity=activity,
        share=share,
        rows=tuple(_row(one, words, now) for one in shown),
        quiet=tuple(_row(one, words, now) for one in quiet),
        quiet_title=words("health.tables_quiet", n=len(quiet)),
    )


def line(health: Health, words: Words, now: datetime) -> str:
    """Say in one sentence how in step a connection is."""
    pieces = [_first(health, words, now)]
    if health.word == "loading":
        return words("health.line", line=pieces[0])
    if health.short:
        pieces.append(words("health.short", n=len(health.short)))
    if health.forbidden:
        pieces.append(words("health.forbidden", n=len(health.forbidden)))
    if health.open:
        pieces.append(words("health.open", n=health.open))
    if health.healed_today:
        pieces.append(words("health.healed", n=health.healed_today))
    proof = health.proof
    if proof is None:
        pieces.append(words("health.unproven"))
    else:
        when = on_day(proof.at, words, now)
        if not proof.tied:
            pieces.append(words("health.differed", n=proof.differences, when=when))
        else:
            pieces.append(words("health.proven" if proof.whole else "health.tied", when=when))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = words("health.joint", line=joined, piece=piece)
    return words("health.line", line=joined)


def _first(health: Health, words: Words, now: datetime) -> str:
    if health.word in ("loading", "gap") or health.as_of is None:
        return words(f"health.{'stopped' if health.word == 'stopped' else health.word}")
    if health.word == "stopped":
        return words("health.stopped_as_of", at=words.moment(health.as_of))
    if health.word == "behind":
        return words("health.behind", ago=words.ago(health.as_of, now))
    same_day = _local(health.as_of, words).date() == _local(now, words).date()
    if same_day:
        return words("health.well", at=clock_time(health.as_of, words))
    return words("health.well_on", at=words.moment(health.as_of))


def _notes(
    connection: Connection,
    health: Health,
    tables: Sequence[TableHealth],
    drift: Sequence[DriftDay],
    words: Words,
    now: datetime,
) -> list[Note]:
    found = []
    at = health.following
    if at.gap_from is not None and at.gap_to is not None:
        start, end = words.moment(at.gap_from), words.moment(at.gap_to)
        found.append(Note(kind="warning", text=words("health.gap_note", start=start, end=end)))
    events = next((one for one in tables if EVENTS in one.lists), None)
    if events is not None and events.state == "forbidden":
        found.append(Note(kind="info", text=words("health.events_unreadable")))
    often = steady(drift, _local(now, words).date())
    for table, days in list(often.items())[:_STEADY_SHOWN]:
        found.append(
            Note(
                kind="warning",
                text=words("health.steady_note", table=table, n=days),
                detail=words("health.steady_advice"),
                href=f"{HOME}/{connection.id}/drift",
            )
        )
    return found


def _going(latest: Sequence[Verification]) -> Verification | None:
    return next((one for one in latest if one.state in ("waiting", "running")), None)


def _activity(
    connection: Connection, run: RunRecord | None, going: Verification | None, words: Words
) -> tuple[str | None, float | None]:
    if connection.state != "active":
        return None, None
    if run is not None and run.state == "running" and run.kind != "backfill":
        if run.kind == "follow":
            return words("health.reading_events"), None
        if not run.estimate:
            return words("health.comparing_some", requests=run.requests, rows=run.rows_seen), None
        text = words("health.comparing", requests=run.requests, estimate=run.estimate, rows=run.rows_seen)
        return text, min(1.0, run.requests / run.estimate)
    if going is not None:
        if going.state == "waiting":
            return words("health.verify_asked"), None
        return words("health.verifying", requests=going.requests, rows=going.rows), None
    return (words("health.asked"), None) if connection.sync_wanted_at is not None else (None, None)


def _row(one: TableHealth, words: Words, now: datetime) -> TableRow:
    hint = ""
    if one.wanted:
        hint = words("health.wanted")
    elif one.inside is not None:
        hint = words("health.inside", table=one.inside)
    elif not one.told and one.rows:
        hint = words("health.untold")
    return TableRow(
        table=one.table,
        href=f"/tables/{one.table}",
        state=one.state,
        state_text=words(f"connections.list_{one.state}"),
        tone=LIST_TONES[one.state],
        reason=words.reason(one.reason_code, one.reason) if one.reason and one.state != "complete" else None,
        fresh=_ago(one.as_of, words, now),
        fresh_as_of=one.as_of,
        rows=one.rows,
        compared=_ago(one.compared_at, words, now),
        hint=hint,
    )


def _ago(moment: datetime | None, words: Words, now: datetime) -> str:
    return words("health.not_yet") if moment is None else words.ago(min(moment, now), now)


def steps(app: App, connection: Connection, reader: Reader) -> Steps:
    """Say what comes next for a connection, what its requests come to, and what differed of late."""
    words, now = reader.words, reader.now
    drift = app.health.drift(connection.id, now - timedelta(days=DRIFT_DAYS), words.zone)
    text = words("health.drift_none", days=DRIFT_DAYS)
    if drift:
        tables = len({one.table for one in drift})
        text = words("health.drift_sum", n=sum(one.rows for one in drift), tables=tables)
    return Steps(
        next=_next(app, connection, words, now),
        budget=budget_part(app, connection, words, now),
        drift=DriftPart(text=text, href=f"{HOME}/{connection.id}/drift", any=bool(drift)),
        tables=tuple(one.table for one in app.health.tables(connection.id) if one.can_reread and one.rows),
        today=_local(now, words).date().isoformat(),
    )


def _next(app: App, connection: Connection, words: Words, now: datetime) -> tuple[Fact, ...]:
    ahead = app.health.ahead(connection, now)
    none, due = words("health.unplanned"), words("health.due")

    def when(moment: datetime | None) -> str:
        if moment is None or connection.state != "active":
            return none
        return due if moment <= now else words.ago(moment, now)

    return (
        Fact(
            name=words("health.next_look"),
            value=when(ahead.look_at),
            more=words("health.next_look_every", every=duration(ahead.follow_every, words)),
        ),
        Fact(
            name=words("health.next_compare"),
            value=when(ahead.compare_at),
            more=words("health.next_waiting", n=ahead.waiting) if ahead.waiting else "",
        ),
        Fact(
            name=words("health.next_oldest"),
            value=_ago(ahead.oldest, words, now),
            more=words("health.next_horizon", n=ahead.horizon.days),
        ),
        Fact(name=words("health.next_verify"), value=when(ahead.verify_at)),
    )


def budget_part(app: App, connection: Connection, words: Words, now: datetime) -> BudgetPart:
    """Say what a connection's requests come to."""
    known = app.health.budget(connection, now)
    share = known.spent / known.limit if known.limit else 0.0
    beyond = known.forecast > known.limit
    if not known.forecast:
        forecast = words("health.forecast_none")
    elif beyond:
        forecast = words(
            "health.forecast_beyond",
            forecast=rounded(known.forecast),
            factor=words.number(round(known.pace, 1)),
            every=duration(known.follow_every, words),
        )
    else:
        forecast = words("health.forecast_within", forecast=rounded(known.forecast))
    why = words(
        "health.budget_why", n=known.transactions, allocation=known.allocation, share=words.percent(known.share, 0)
    )
    if connection.pool_account_id != connection.account_id or connection.follows_accounts:
        why = f"{why} {words('health.budget_shared')}"
    return BudgetPart(
        line=words("health.budget_line", spent=known.spent, limit=known.limit),
        spent=known.spent,
        limit=known.limit,
        share=min(1.0, share),
        tone="bad" if share >= 1 else "warn" if share >= 0.9 else "good",
        why=why,
        forecast=forecast,
        beyond=beyond,
        by_purpose=tuple(
            Spent(
                purpose=words(f"health.purpose_{purpose}"),
                requests=known.used[purpose],
                share=min(1.0, known.used[purpose] / known.limit) if known.limit else 0.0,
            )
            for purpose in _PURPOSES
            if known.used.get(purpose)
        ),
    )


@post(f"{HOME}/{{connection_id:str}}/reread", opt=ADMIN, sync_to_thread=True)
def reread(app: FromApp, reader: FromReader, form: FromForm, connection_id: FromPath[str]) -> Response[Any]:
    """Ask for a table to be read again, from a day on or whole."""
    try:
        since = _day(form.get("since", ""), reader)
        table = form.get("table", "").strip()
        requests = app.rereading.want(reader.signed_in, connection_id, table, since)
    except Invalid as error:
        fields = {name: value for name, value in error.fields.items() if value is not None}
        return go(f"{HOME}/{connection_id}", Flash("error", f"error.{error.code}", fields))
    return go(f"{HOME}/{connection_id}", Flash("info", "health.reread_done", {"table": table, "n": requests}))


@post(f"{HOME}/{{connection_id:str}}/verify", opt=ADMIN, sync_to_thread=True)
def verify(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Ask for a verification."""
    connection = connections_of(app).get(connection_id)
    proofs_of(app).want(connection_id, reader.signed_in)
    return go(f"{HOME}/{connection_id}", Flash("info", "health.verify_done", {"name": connection.name}))


def _day(text: str, reader: Reader) -> datetime | None:
    """Return midnight of a day in the reader's zone; None for no day.

    Raises:
        Invalid: It is no day, or lies ahead.
    """
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("health.no_day", "Enter a day that is not in the future.") from None
    moment = datetime.combine(day, time(), reader.words.zone)
    if moment > reader.now:
        raise Invalid("health.no_day", "Enter a day that is not in the future.")
    return moment


def _local(moment: datetime, words: Words) -> datetime:
    return moment.astimezone(words.zone)


def clock_time(moment: datetime, words: Words) -> str:
    """Return the time of day of a moment in the reader's zone."""
    locale = {"en": "en_US", "fr": "fr_FR"}[words.locale]
    return str(format_time(_local(moment, words), "short", locale=locale)).replace("\u202f", "\u00a0")


def on_day(moment: datetime, words: Words, now: datetime) -> str:
    """Say on which day a moment was, and today also when."""
    day, today = _local(moment, words).date(), _local(now, words).date()
    if day == today:
        return words("health.today_at", time=clock_time(moment, words))
    if day == today - timedelta(days=1):
        return words("health.yesterday")
    return words("health.on_day", day=words.day(day))


routes = [reread, verify]
