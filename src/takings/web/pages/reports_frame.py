"""What home, rows and exports share: which accounts, days, grain, currency and comparison an address asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode

from babel.dates import format_date, format_interval

from takings.errors import Invalid
from takings.money import Money
from takings.reports import (
    COMPARES,
    GRAINS,
    PRESETS,
    Bucket,
    Compare,
    Days,
    Grain,
    Question,
    Scope,
    State,
    Topic,
    Use,
    figures_of,
    parameters,
    parse,
    scopes,
)
from takings.reports import queries as sql
from takings.reports.ranges import compared, fitting_grain
from takings.web.context import App, Reader
from takings.words import Words

_NO_THIN_SPACE = {0x202F: 0x00A0, 0x2009: 0x0020}

CHOOSE: Final = "/accounts"
#: A menu of accounts has at most so many entries; of more, one is chosen on a page of its own.
FEW: Final = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways to go."""

    key: str
    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Controls:
    """What a person can choose on a report.

    Attributes:
        range_label: The chosen period by name.
        days_label: Its days.
        hidden: What the form of a custom period sends along, as (name, value).
        first: First day of the period, for the form.
        last: Last day of the period, for the form.
        today: The latest day that can be chosen sensibly.
        compare_label: What is compared with.
        sources: Accounts; empty where there is one only. Of very many only some.
        source_label: The chosen account.
        more_sources: Page on which one of all accounts can be chosen; None: ``sources`` are all.
    """

    range_label: str
    days_label: str
    presets: tuple[Choice, ...]
    hidden: tuple[tuple[str, str], ...]
    first: date
    last: date
    today: date
    grains: tuple[Choice, ...]
    compares: tuple[Choice, ...]
    compare_label: str
    currencies: tuple[Choice, ...]
    sources: tuple[Choice, ...]
    source_label: str
    more_sources: str | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a figure means."""

    figure: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the figures of a topic are calculated.

    Attributes:
        meanings: What each figure means.
        notes: What holds for all of them: days, currency, when it was read.
        sql: The statement that finds the rows.
        values: What its parameters stand for, as (name, value).
    """

    meanings: tuple[Meaning, ...]
    notes: tuple[str, ...]
    sql: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a report: everything an address and the present decide before a figure is asked for.

    Attributes:
        state: What the address said.
        problems: What in it could not be used, each a sentence.
        uses: The currencies there are.
        coarser: True where the wanted grain would have had too many points.
    """

    state: State
    problems: tuple[str, ...]
    scopes: tuple[Scope, ...]
    scope: Scope
    uses: tuple[Use, ...]
    currency: str
    zone: str
    days: Days
    against: Days | None
    grain: Grain
    coarser: bool
    now: datetime
    words: Words

    def ask(self, topic: Topic, *, days: Days | None = None) -> Question:
        """Put a question about a topic.

        Args:
            topic: What about.
            days: Other days than the frame's, without comparison.
        """
        standing = topic == "receivables"
        return Question(
            topic=topic,
            days=days or self.days,
            grain=self.grain,
            zone=self.zone,
            currency=self.currency,
            scope=self.scope,
            against=None if days or standing else self.against,
            as_of=self.now if standing else None,
        )

    def rows(self, figure: str, at: date | None = None, detail: str | None = None) -> str:
        """Return the address of the rows behind a figure, or behind one step of it."""
        return "/rows" + self.state.query(figure=figure, at=at.isoformat() if at else None, detail=detail)

    def export(self, what: str, form: str, **more: str | int | None) -> str:
        """Return the address of an export."""
        return f"/export/{what}/{form}" + self.state.query(**more)

    def name_of(self, bucket: Bucket) -> str:
        """Name a step of a chart: a month by its name, anything else by its days."""
        if self.grain == "month" and bucket.whole:
            return month_name(bucket.days.first, self.words)
        return span(bucket.days, self.words)


def frame(app: App, reader: Reader, given: Mapping[str, str]) -> Frame | None:
    """Read a report's frame from its address.

    Args:
        app: The assembled program.
        reader: For whom.
        given: The address's parameters.

    Returns:
        ``None`` where there is no account to report on.
    """
    state, problems = parse(given)
    words = reader.words
    found = scopes(app.connections.all(), app.reports.accounts())
    if not found:
        return None
    scope = next((s for s in found if s.key == state.source), found[0])
    wrong = [words.error(problem) for problem in problems]
    if state.source and scope.key != state.source:
        wrong.append(words.error(_unknown("source", state.source)))
        state = state.but(source=None)
    uses = app.reports.currencies(scope)
    currency = _currency(state, uses, reader)
    if state.currency and state.currency != currency:
        wrong.append(words.error(_unknown("currency", state.currency)))
        state = state.but(currency=None)
    zone = state.zone or (reader.company.time_zone if reader.company else reader.zone)
    today = app.reports.today(zone)
    extent = app.reports.extent(scope) if state.preset == "all" else None
    earliest = extent[0].astimezone(words.zone).date() if extent else None
    days = state.days(today, earliest)
    grain = fitting_grain(days, state.grain)
    return Frame(
        state=state,
        problems=tuple(wrong),
        scopes=found,
        scope=scope,
        uses=uses,
        currency=currency,
        zone=zone,
        days=days,
        against=compared(days, state.preset, state.compare),
        grain=grain,
        coarser=state.grain is not None and grain != state.grain,
        now=app.reports.now(),
        words=words,
    )


def controls(frame: Frame, path: str, today: date) -> Controls:
    """Return the choices of a report.

    Args:
        frame: What is chosen now.
        path: The page they lead to.
        today: The present day.
    """
    state, words = frame.state, frame.words

    def choice(key: str, label: str, current: bool, **changes: object) -> Choice:
        return Choice(key, label, path + state.but(**changes).query(), current)

    compares: tuple[Compare, ...] = () if state.preset == "all" else COMPARES
    hidden = tuple(pair for pair in state.but(preset="30d").pairs() if pair[0] not in ("range", "from", "to"))
    return Controls(
        range_label=words(f"reports.range_{state.preset}"),
        days_label=span(frame.days, words),
        presets=tuple(
            choice(preset, words(f"reports.range_{preset}"), state.preset == preset, preset=preset)
            for preset in PRESETS
            if preset != "custom"
        ),
        hidden=hidden,
        first=frame.days.first,
        last=frame.days.last,
        today=today,
        grains=tuple(choice(g, words(f"reports.grain_{g}"), frame.grain == g, grain=g) for g in GRAINS),
        compares=tuple(
            choice(how, words(f"reports.compare_{how}"), state.compare == how, compare=how) for how in compares
        ),
        compare_label=words(f"reports.compare_{state.compare}"),
        currencies=tuple(
            choice(use.currency, use.currency.upper(), use.currency == frame.currency, currency=use.currency)
            for use in frame.uses
        ),
        sources=tuple(
            choice(s.key, scope_name(s, words), s == frame.scope, source=s.key)
            for s in (few(frame.scopes, frame.scope) if len(frame.scopes) > 1 else ())
        ),
        source_label=scope_name(frame.scope, words),
        more_sources=choosing(path + state.query()) if len(frame.scopes) > FEW else None,
    )


def few(scopes: Sequence[Scope], chosen: Scope | None) -> tuple[Scope, ...]:
    """Return the accounts that a menu shows: all of them, or of very many the kinds, the chosen one and the first."""
    if len(scopes) <= FEW:
        return tuple(scopes)
    kinds = [scope for scope in scopes if scope.name is None]
    kept = {scope.key for scope in (*kinds, *([chosen] if chosen else []))}
    kept |= {scope.key for scope in [scope for scope in scopes if scope.key not in kept][: FEW - len(kept)]}
    return tuple(scope for scope in scopes if scope.key in kept)


def choosing(back: str) -> str:
    """Return the address of the page on which one of very many accounts is chosen for another page."""
    return f"{CHOOSE}?{urlencode({'back': back})}"


def explain(frame: Frame, topic: Topic, snapshot: int, known_at: datetime) -> Explanation:
    """Say how a topic's figures are calculated."""
    words = frame.words
    question = frame.ask(topic)
    settled = "reports.why_currency_settled" if topic == "volume" else "reports.why_currency_paid"
    weeks = words("reports.weeks_start") if frame.grain == "week" else ""
    notes = [words(settled, currency=frame.currency.upper())]
    if topic != "receivables":
        notes.append(words("reports.why_days", zone=frame.zone, weeks=weeks).strip())
    notes.append(words("reports.why_rows"))
    notes.append(words("reports.why_known", moment=words.moment(known_at), snapshot=str(snapshot)))
    statement = sql.statement(topic)
    values = sql.used(statement, parameters(question))
    return Explanation(
        meanings=tuple(
            Meaning(figure.key, words(f"reports.figure.{figure.key}"), words(f"reports.meaning.{figure.key}"))
            for figure in figures_of(topic)
            if words.has(f"reports.meaning.{figure.key}")
        ),
        notes=tuple(notes),
        sql=sql.text(topic),
        values=tuple(sorted((name, _shown(value)) for name, value in values.items())),
    )


def scope_name(scope: Scope, words: Words) -> str:
    """Name the accounts of a scope."""
    if scope.name is None:
        return words(f"reports.source_{scope.key}")
    if scope.key.partition(":")[0] == scope.name:
        return words("reports.source_kept", account=scope.name)
    return scope.name


def span(days: Days, words: Words) -> str:
    """Write a stretch of days, as short as it can be said: ``3–9 Nov 2026``."""
    if days.first == days.last:
        return words.day(days.first)
    return str(format_interval(days.first, days.last, "yMMMd", locale=words.locale)).translate(_NO_THIN_SPACE)


def month_name(day: date, words: Words) -> str:
    """Write a month with its year, as a title."""
    name = format_date(day, "LLLL y", locale=words.locale)
    return name[0].upper() + name[1:]


def money(minor: int, frame: Frame) -> str:
    """Write an amount in the frame's currency."""
    return frame.words.money(Money(minor, frame.currency))


def _currency(state: State, uses: tuple[Use, ...], reader: Reader) -> str:
    known = [use.currency for use in uses]
    home = reader.company.currency if reader.company else "eur"
    if state.currency in known or (state.currency and not known):
        return str(state.currency)
    if home in known or not known:
        return home
    return known[0]


def _unknown(name: str, value: str) -> Invalid:
    shown = value[:40]
    sentence = f"“{name}” in the address cannot be “{shown}”: it was left out."
    return Invalid("reports.choice", sentence, name=name, value=shown)


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
