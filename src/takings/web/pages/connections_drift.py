"""Where a connection was not as Stripe is: rows found different by day and table, what, since when, and how healed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.connections import Connection
from takings.money import Money
from takings.reports import in_stripe
from takings.sync import DriftDay, Finding, FindingBook, steady
from takings.web.chart import Chart, Series, Tone
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of
from takings.words import Words

PERIODS: Final = (30, 90)
LISTED: Final = 50
_IDS: Final = 2
_COLOURS: Final[tuple[Tone, ...]] = ("a", "b", "c", "d", "e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A row that differed: its id, and its page in Stripe's dashboard; None: it has none there."""

    id: str
    href: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """Something that was found different, in the reader's words.

    Attributes:
        where: When the rows were made.
        since: Until when they were known to be right; empty: they had never been looked at.
        healed: How it was put right.
        stripe, ours, difference: Figures, where they are what differed; empty otherwise.
        more: How many ids are not shown; empty: none.
    """

    kind: str
    kind_text: str
    table: str
    href: str | None
    rows: int
    subject: str
    found_at: datetime
    found: str
    where: str
    since: str
    healed: str
    is_healed: bool
    silent: bool
    stripe: str
    ours: str
    difference: str
    ids: tuple[Named, ...]
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableDrift:
    """All differences of one table in the period.

    Attributes:
        told: Rows that an event should have told of, in words; where Stripe has no such event, that.
        steady: They go on day after day though Stripe has events for them.
    """

    table: str
    href: str
    missing: int
    stale: int
    ghost: int
    told: str
    last: str
    steady: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A length of time to choose."""

    text: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPage:
    """The differences of one connection.

    Attributes:
        warnings: Tables that drift steadily, a sentence each.
        chart: Rows by day; None: there were none.
        cut: Says that not all are listed; None: they are.
    """

    connection_id: str
    connection_name: str
    days: int
    periods: tuple[Period, ...]
    warnings: tuple[str, ...]
    chart: Chart | None
    tables: tuple[TableDrift, ...]
    findings: tuple[FindingRow, ...]
    cut: str | None


@get(f"{HOME}/{{connection_id:str}}/drift", opt=ADMIN, sync_to_thread=True)
def drift(
    app: FromApp, reader: FromReader, request: Request[Any, Any, Any], connection_id: FromPath[str]
) -> Response[Any]:
    """Show them."""
    words, now = reader.words, reader.now
    connection = connections_of(app).get(connection_id)
    days = next((one for one in PERIODS if request.query_params.get("days") == str(one)), PERIODS[0])
    today = now.astimezone(words.zone).date()
    first = today - timedelta(days=days - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=words.zone)
    found = app.health.drift(connection_id, since, words.zone)
    often = steady(found, today)
    listed = [
        one
        for one in FindingBook(app.store).of(connection_id, since=since, limit=LISTED + 1)
        if one.origin != "verify" or one.kind == "gap"
    ]
    page = DriftPage(
        connection_id=connection.id,
        connection_name=connection.name,
        days=days,
        periods=tuple(
            Period(
                text=words(f"health.days_{one}"), href=f"{HOME}/{connection_id}/drift?days={one}", current=one == days
            )
            for one in PERIODS
        ),
        warnings=tuple(words("health.steady_note", table=table, n=number) for table, number in often.items()),
        chart=chart_of(found, first, today, words) if found else None,
        tables=_tables(found, often, words),
        findings=tuple(finding_row(app, one, connection, reader) for one in listed[:LISTED]),
        cut=words("health.drift_list_cut", n=LISTED) if len(listed) > LISTED else None,
    )
    return show(reader, "connections_drift", page)


def chart_of(found: Sequence[DriftDay], first: date, last: date, words: Words) -> Chart:
    """Return rows found different by day: the tables with most, each in its colour, and the others together."""
    sums = Counter[str]()
    for one in found:
        sums[one.table] += one.rows
    named = [table for table, _ in sums.most_common(len(_COLOURS))]
    rest = len(sums) > len(named)
    points = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    cells = Counter[tuple[str, date]]()
    for one in found:
        cells[one.table if one.table in named else "", one.day] += one.rows
    groups: list[tuple[str, str, Tone]] = [
        (table, table, colour) for table, colour in zip(named, _COLOURS, strict=False)
    ]
    if rest:
        groups.append(("", words("health.drift_others"), "neutral"))
    return Chart(
        label=words("health.drift_chart"),
        points=tuple(point.isoformat() for point in points),
        grain="day",
        series=tuple(
            Series(name=name, values=tuple(cells[key, point] for point in points), tone=colour, stack="drift")
            for key, name, colour in groups
        ),
    )


def _tables(found: Sequence[DriftDay], often: dict[str, int], words: Words) -> tuple[TableDrift, ...]:
    by_kind, told = Counter[tuple[str, str]](), Counter[str]()
    last: dict[str, date] = {}
    for one in found:
        by_kind[one.table, one.kind] += one.rows
        last[one.table] = max(one.day, last.get(one.table, one.day))
        if not one.silent:
            told[one.table] += one.rows
    ordered = sorted(last, key=lambda table: (table not in often, -told[table], table))
    return tuple(
        TableDrift(
            table=table,
            href=f"/tables/{table}",
            missing=by_kind[table, "missing"],
            stale=by_kind[table, "stale"],
            ghost=by_kind[table, "ghost"],
            told=words("health.told_some", n=told[table]) if told[table] else words("health.silent_all"),
            last=words.day(last[table]),
            steady=table in often,
        )
        for table in ordered
    )


def finding_row(app: App, one: Finding, connection: Connection, reader: Reader) -> FindingRow:
    """Say in the reader's words what was found different."""
    words = reader.words
    base = app.settings.stripe_dashboard_base
    is_table = one.table in app.catalog.resources
    return FindingRow(
        kind=one.kind,
        kind_text=words("health.gap_kind" if one.kind == "gap" else f"health.{one.kind}"),
        table=one.table,
        href=f"/tables/{one.table}" if is_table else None,
        rows=one.count,
        subject=one.subject,
        found_at=one.found_at,
        found=words.moment(one.found_at),
        where=_where(one, words),
        since="" if one.since is None else words.moment(one.since),
        healed=_healed(one, words),
        is_healed=one.healed_at is not None,
        silent=one.silent,
        stripe=figure(one.stripe, one, words),
        ours=figure(one.ours, one, words),
        difference=figure(one.difference, one, words),
        ids=tuple(
            Named(id=identifier, href=in_stripe(base, identifier, livemode=connection.livemode))
            for identifier in one.ids[:_IDS]
        ),
        more=words("health.ids_more", n=one.count - _IDS) if one.ids and one.count > _IDS else "",
    )


def figure(value: int | None, one: Finding, words: Words) -> str:
    """Write a figure: money where the finding names its currency, else a number; empty where there is none."""
    if value is None:
        return ""
    if len(one.subject) == 3 and one.subject.isalpha():
        return words.money(Money(value, one.subject.lower()))
    return words.number(value)


def _healed(one: Finding, words: Words) -> str:
    if one.healed_at is None:
        return words("health.by_none")
    key = f"health.by_{one.healed_by}"
    return words(key) if words.has(key) else words.moment(one.healed_at)


def _where(one: Finding, words: Words) -> str:
    def day(moment: datetime) -> str:
        return words.moment(moment) if one.kind == "gap" else words.day(moment.astimezone(words.zone).date())

    if one.start is not None and one.end is not None:
        return words("health.range", start=day(one.start), end=day(one.end))
    if one.start is not None:
        return words("health.range_since", start=day(one.start))
    if one.end is not None:
        return words("health.range_until", end=day(one.end))
    return words("health.range_any")


routes = [drift]
