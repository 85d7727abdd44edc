"""What the pages on connections share: how values become words, and which permissions a key should have."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from babel import Locale

from takings.accounts import Action
from takings.catalog import Catalog
from takings.connections import Connection, Connections, Estimate, Family, Standing, Status
from takings.errors import TakingsError
from takings.settings import Settings
from takings.web.context import App, Reader
from takings.words import Words

ADMIN: Final[dict[str, Any]] = {"who": Action.MANAGE_CONNECTIONS}
HOME: Final = "/admin/connections"

TONES: Final[dict[Status, str]] = {
    "success": "good",
    "syncing": "busy",
    "waiting": "quiet",
    "incomplete": "warn",
    "reauth": "bad",
    "withdrawn": "bad",
    "failed": "bad",
    "paused": "quiet",
    "disconnecting": "quiet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, for the top of a form.

    Attributes:
        sentence: One sentence in the reader's language, with what to do.
        code: Its name.
        request_id: Stripe's name for the request, to quote to Stripe; None where there is none.
        connection_id: The connection that the way on leads to; None: there is none.
        connection_name: Its name.
    """

    sentence: str
    code: str
    request_id: str | None
    connection_id: str | None
    connection_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One read permission of a restricted key, and the tables it opens."""

    permission: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCount:
    """How many connected accounts have a status; ``text`` says so in words."""

    status: str
    text: str
    tone: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPart:
    """The accounts connected to a platform, as a whole.

    Attributes:
        href: Their page.
        counts: By status, what needs somebody first.
        rows: Rows in all their tables.
    """

    href: str
    total: int
    text: str
    counts: tuple[StatusCount, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A line of the *Data Sources* table.

    Attributes:
        href: Where a click on its name leads: to re-authentication where its status asks for it.
        tone: How the status is coloured.
        reason: Why it does not work, in the reader's language; None where it does.
        rows: Rows in all its tables.
        history: How far back it is wanted.
        fresh_as_of: Everything Stripe held at this moment is here.
        family: The accounts connected to it; None: it is no platform.
    """

    id: str
    name: str
    href: str
    source: str
    account_name: str
    account_id: str
    livemode: bool
    status: str
    status_text: str
    tone: str
    reason: str | None
    last_sync: str
    rows: int
    freshness: str
    fresh_as_of: datetime | None
    next_sync: str
    history: str
    family: FamilyPart | None = None


def connections_of(app: App) -> Connections:
    """Return the service with its type."""
    found: Connections = app.connections
    return found


def problem(error: TakingsError, words: Words) -> Problem:
    """Turn an error into what the page says of it."""
    request_id, connection, name = (error.fields.get(key) for key in ("request_id", "connection", "name"))
    linked = error.code == "connections.already"
    return Problem(
        sentence=words.error(error),
        code=error.code,
        request_id=str(request_id) if request_id else None,
        connection_id=str(connection) if connection and linked else None,
        connection_name=str(name) if name and linked else None,
    )


def wanted_permissions(catalog: Catalog) -> tuple[Wanted, ...]:
    """Return the read permissions that open every list read by default, by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for endpoint in catalog.lists:
        if endpoint.default and not endpoint.computed:
            found[endpoint.permission or humanised(endpoint.table)].add(endpoint.table)
    return tuple(
        Wanted(permission=name, tables=tuple(sorted(tables)))
        for name, tables in sorted(found.items(), key=lambda pair: pair[0].lower())
    )


def key_page(catalog: Catalog, settings: Settings) -> str:
    """Return the address of Stripe's page for creating a restricted key, with name and permissions filled in.

    Stripe fills in what it knows by the name given and passes over the rest, so the page is of use in any case.
    """
    scopes = sorted({f"rak_{one.scope}" for one in catalog.lists if one.default and one.scope})
    query = [("name", "Takings"), *((f"permissions[{place}]", scope) for place, scope in enumerate(scopes))]
    return f"{settings.stripe_dashboard_base}/apikeys/create?{urlencode(query)}"


def humanised(table: str) -> str:
    """Return a table's name as words: ``balance_transactions`` gives ``Balance transactions``."""
    return table.removeprefix("v2_").replace("_", " ").capitalize()


def country(code: str | None, words: Words) -> str | None:
    """Return a country's name in the reader's language; the code where there is none."""
    return None if code is None else Locale.parse(words.locale).territories.get(code.upper(), code)


def currency(code: str | None, words: Words) -> str | None:
    """Return a currency's code with its name in the reader's language."""
    if code is None:
        return None
    name = Locale.parse(words.locale).currencies.get(code.upper())
    return f"{code.upper()} ({name})" if name else code.upper()


def duration(length: timedelta, words: Words) -> str:
    """Return a length of time as people say it, rounded up."""
    seconds = length.total_seconds()
    if seconds < 1:
        return words("connections.less_than_second")
    if seconds < 60:
        return words("connections.seconds", n=round(seconds))
    minutes = round(seconds / 60)
    if minutes < 120:
        return words("connections.minutes", n=minutes)
    return words("connections.hours", n=round(minutes / 60))


def estimate_text(estimate: Estimate, words: Words) -> str:
    """Return an estimate as a sentence."""
    minutes = (
        words("connections.under_minute")
        if estimate.minutes < 1
        else duration(timedelta(minutes=estimate.minutes), words)
    )
    key = "connections.estimate_exact" if estimate.exact else "connections.estimate"
    return words(
        key,
        objects=estimate.objects if estimate.exact else rounded(estimate.objects),
        requests=rounded(estimate.requests),
        minutes=minutes,
    )


def rounded(number: int) -> int:
    """Return a number with two significant digits: what an estimate is worth."""
    digits = len(str(abs(number))) - 2
    return number if digits <= 0 else round(number, -digits)


def size(size_bytes: int, words: Words) -> str:
    """Return a size in bytes as people say it."""
    units = ("o", "ko", "Mo", "Go", "To") if words.locale == "fr" else ("B", "kB", "MB", "GB", "TB")
    value, place = float(size_bytes), 0
    while value >= 1000 and place < len(units) - 1:
        value, place = value / 1000, place + 1
    return f"{words.number(round(value, 1 if value < 10 and place else 0))}\u00a0{units[place]}"


def source_row(one: Standing, reader: Reader, family: Family | None = None) -> SourceRow:
    """Say in the reader's words how a connection stands, with what is connected to it."""
    words, now, connection = reader.words, reader.now, one.connection
    reason = None
    if connection.state in ("reauth", "failed", "paused") and connection.reason:
        reason = words.reason(connection.reason_code, connection.reason)
    elif one.status == "incomplete" and one.trouble:
        reason = words("connections.trouble", n=one.trouble)
    reauth = one.status == "reauth" and connection.platform_id is None
    return SourceRow(
        id=connection.id,
        name=connection.name,
        href=f"{HOME}/{connection.id}/reauthenticate" if reauth else f"{HOME}/{connection.id}",
        source=connection.source,
        account_name=connection.account_name,
        account_id=connection.account_id,
        livemode=connection.livemode,
        status=one.status,
        status_text=_status_text(one, words),
        tone=TONES[one.status],
        reason=reason,
        last_sync=words("connections.never")
        if connection.last_sync_at is None
        else words.ago(min(connection.last_sync_at, now), now),
        rows=one.rows,
        freshness=words("connections.not_yet_whole")
        if one.fresh_as_of is None
        else words.ago(min(one.fresh_as_of, now), now),
        fresh_as_of=one.fresh_as_of,
        next_sync=_next(one, words, now),
        history=_history(connection, words),
        family=None
        if family is None and not connection.follows_accounts
        else family_part(connection.id, family or Family(total=0, counts={}, rows=0, loading=0), words),
    )


def family_part(connection_id: str, family: Family, words: Words) -> FamilyPart:
    """Say in the reader's words how the accounts connected to a platform stand."""
    order = {tone: place for place, tone in enumerate(("bad", "warn", "busy", "quiet", "good"))}
    counts = sorted(family.counts.items(), key=lambda pair: (order[TONES[pair[0]]], pair[0]))
    return FamilyPart(
        href=f"{HOME}/{connection_id}/accounts",
        total=family.total,
        text=words("platforms.accounts", n=family.total),
        counts=tuple(
            StatusCount(
                status=status,
                text=words("platforms.count", n=number, status=words(f"connections.status_{status}")),
                tone=TONES[status],
                count=number,
            )
            for status, number in counts
        ),
        rows=family.rows,
    )


def _status_text(one: Standing, words: Words) -> str:
    if one.status == "syncing" and one.progress is not None:
        return words("connections.status_syncing_share", share=words.percent(one.progress, 0))
    return words(f"connections.status_{one.status}")


def _next(one: Standing, words: Words, now: datetime) -> str:
    connection = one.connection
    if one.status in ("paused", "reauth", "withdrawn", "disconnecting"):
        return words("connections.none")
    wanted = connection.sync_wanted_at is not None
    if one.status == "syncing" or wanted or connection.next_sync_at is None or connection.next_sync_at <= now:
        return words("connections.soon")
    return words.ago(connection.next_sync_at, now)


def _history(connection: Connection, words: Words) -> str:
    if connection.start_at is None:
        return words("connections.history_whole")
    return words("connections.history_since", day=words.day(connection.start_at.astimezone(words.zone).date()))
