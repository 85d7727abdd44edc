"""A question to the figures, the accounts it is asked of, and what of it stands in a page's address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from takings.connections.model import Connection
from takings.errors import Invalid
from takings.reports.figures import Topic
from takings.reports.ranges import COMPARES, GRAINS, PRESETS, Compare, Days, Grain, Preset, preset_days

DEFAULT_PRESET: Final[Preset] = "30d"
_CURRENCY = re.compile(r"[a-z]{3}")
_SOURCE = re.compile(r"[A-Za-z0-9_:]{1,300}")


@dataclass(frozen=True, slots=True)
class Scope:
    """The accounts that one figure is made of: only live ones, or only test ones, or only sample data, never mixed.

    Attributes:
        key: Its name in addresses: ``live``, ``test``, ``sample``, a connection's id, or an account whose connection is gone.
        name: The name of the one connection (or account), ``None`` for all of a kind.
        livemode: Whether it is live money.
        accounts: Stripe's account ids.
    """

    key: str
    name: str | None
    livemode: bool
    accounts: tuple[str, ...]


def scopes(connections: Iterable[Connection], kept: Iterable[tuple[str, bool]] = ()) -> tuple[Scope, ...]:
    """Return what a person can choose to look at, the best first.

    Args:
        connections: The connections there are.
        kept: Accounts with data in the warehouse, as (id, livemode): those without a connection can be chosen alone.

    Returns:
        Live, then test, then sample data: all of a kind together (where there are several), then each of them; last
        the accounts whose connection is gone. Empty where there is nothing at all.
    """
    kinds: dict[str, list[Connection]] = {"live": [], "test": [], "sample": []}
    for connection in connections:
        kind = "sample" if connection.source == "sample" else "live" if connection.livemode else "test"
        kinds[kind].append(connection)
    found: list[Scope] = []
    for kind, members in kinds.items():
        modes = {c.livemode for c in members}
        if len(members) > 1 and len(modes) == 1:
            accounts = tuple(sorted({c.account_id for c in members}))
            found.append(Scope(kind, None, modes.pop(), accounts))
        found += [Scope(c.id, c.name, c.livemode, (c.account_id,)) for c in sorted(members, key=lambda c: c.name)]
    known = {(account, scope.livemode) for scope in found for account in scope.accounts}
    found += [
        Scope(account if live else f"{account}:test", account, live, (account,))
        for account, live in sorted(set(kept) - known)
    ]
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the figures. Equal questions have equal answers as long as the data stands still.

    Attributes:
        topic: What is asked about.
        days: The calendar days, both ends in them, in ``zone``.
        grain: How the answer is cut.
        zone: IANA name of the reporting zone, whose midnights part the days.
        currency: The one currency, lower case: amounts of two are never added.
        scope: The accounts.
        against: The days to compare with, ``None`` for no comparison.
        as_of: For what stands at a moment (receivables): that moment.
    """

    topic: Topic
    days: Days
    grain: Grain
    zone: str
    currency: str
    scope: Scope
    against: Days | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a person chose on a report, as it stands in the address. ``None`` means: not chosen, take what fits.

    Attributes:
        preset: The named range; ``custom`` has ``first`` and ``last``.
        first: First day of a custom range.
        last: Last day of a custom range, in it.
        more: Further parameters of a page that each of its links keeps.
    """

    preset: Preset = DEFAULT_PRESET
    first: date | None = None
    last: date | None = None
    grain: Grain | None = None
    compare: Compare = "previous"
    currency: str | None = None
    source: str | None = None
    zone: str | None = None
    more: tuple[tuple[str, str], ...] = ()

    def days(self, today: date, earliest: date | None) -> Days:
        """Return the chosen days, as of today."""
        if self.preset == "custom" and self.first and self.last:
            return Days(self.first, self.last)
        return preset_days(DEFAULT_PRESET if self.preset == "custom" else self.preset, today, earliest)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the address's parameters in a fixed order, without those at their default."""
        custom = self.preset == "custom" and self.first and self.last
        values: Sequence[tuple[str, Any, Any]] = (
            ("range", self.preset, DEFAULT_PRESET),
            ("from", self.first.isoformat() if custom and self.first else None, None),
            ("to", self.last.isoformat() if custom and self.last else None, None),
            ("grain", self.grain, None),
            ("compare", self.compare, "previous"),
            ("currency", self.currency, None),
            ("source", self.source, None),
            ("zone", self.zone, None),
        )
        return [(name, value) for name, value, default in values if value is not None and value != default] + [
            *self.more
        ]

    def but(self, **changes: Any) -> State:
        """Return the same state with something changed; a preset drops the custom days."""
        if changes.get("preset", "custom") != "custom":
            changes.update(first=None, last=None)
        return replace(self, **changes)

    def query(self, **more: str | int | None) -> str:
        """Return the query string, with ``?`` in front where there is any.

        Args:
            **more: Further parameters of a page; those that are ``None`` are left out.
        """
        pairs = self.pairs() + [(k, str(v)) for k, v in more.items() if v is not None]
        return f"?{urlencode(pairs)}" if pairs else ""


def parse(parameters: Mapping[str, str]) -> tuple[State, tuple[Invalid, ...]]:
    """Read a state from an address.

    What cannot be used is left at its default and named, so that the page still answers.

    Args:
        parameters: Names and values; unknown names are ignored.

    Returns:
        The state, and one error for each parameter that could not be used.
    """
    problems: list[Invalid] = []

    def fail(situation: str, sentence: str, **fields: str) -> None:
        problems.append(Invalid(f"reports.{situation}", sentence, **fields))

    def refuse(name: str, value: str) -> None:
        shown = value[:40]
        sentence = f"“{name}” in the address cannot be “{shown}”: it was left out."
        fail("choice", sentence, name=name, value=shown)

    def given(name: str) -> str | None:
        return parameters.get(name, "").strip() or None

    def choice(name: str, allowed: Sequence[str]) -> Any:
        value = given(name)
        if value is None or value in allowed:
            return value
        refuse(name, value)
        return None

    first, last = _day(given("from"), fail), _day(given("to"), fail)
    preset: Preset | None = choice("range", PRESETS)
    if preset is None:
        preset = "custom" if first or last else DEFAULT_PRESET
    if preset == "custom":
        if first is None and last is None:
            if not problems:
                fail("days_missing", "A custom range needs a first and a last day: the last 30 days are shown.")
            preset = DEFAULT_PRESET
        else:
            first, last = first or last, last or first
            if first and last and last < first:
                fail("days_order", "The last day lay before the first: they were exchanged.")
                first, last = last, first
    if preset != "custom":
        first = last = None
    currency, source, zone = given("currency"), given("source"), given("zone")
    if currency is not None and not _CURRENCY.fullmatch(currency := currency.lower()):
        refuse("currency", currency)
        currency = None
    if source is not None and not _SOURCE.fullmatch(source):
        refuse("source", source)
        source = None
    if zone is not None and not is_zone(zone):
        refuse("zone", zone)
        zone = None
    state = State(
        preset=preset,
        first=first,
        last=last,
        grain=choice("grain", GRAINS),
        compare=choice("compare", COMPARES) or "previous",
        currency=currency,
        source=source,
        zone=zone,
    )
    return state, tuple(problems)


def is_zone(name: str) -> bool:
    """Tell whether a name is a time zone's."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _day(value: str | None, fail: Any) -> date | None:
    if value is None:
        return None
    try:
        day = date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) else None
    except ValueError:
        day = None
    if day is None or not 1990 <= day.year <= 2200:
        fail("day", f"“{value[:40]}” is not a day: write it as 2026-11-30.", value=value[:40])
        return None
    return day
