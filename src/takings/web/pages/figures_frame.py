"""What dashboards and explanations share: the view that an address asks for, and how figures and groups are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from babel import Locale

from takings.errors import Invalid
from takings.metrics import Derived, Measure, Registry
from takings.money import Money
from takings.reports import Days, Named, View
from takings.web.context import App, Reader
from takings.web.pages.reports_frame import Frame, frame
from takings.words import Words

_FILTER: Final = "f_"
_NAMED: Final[Mapping[str, Named]] = {
    "customer": "customer",
    "product": "product",
    "price": "price",
    "tax_rate": "tax_rate",
}
_MONTHS: Final = frozenset(("cohort", "booked"))
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")
_REASONS: Final = frozenset(("reason", "failure_code", "decline"))
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Look:
    """What an address asks for.

    Attributes:
        frame: Accounts, days, grain, currency, comparison; its state keeps filters and the known day in every link.
        only: Filters: values of dimensions by name; None for lines without a value.
        known_day: As it was known at the end of this day, in UTC; None: now.
    """

    frame: Frame
    only: Mapping[str, str | None]
    known_day: date | None
    problems: tuple[str, ...]

    @property
    def view(self) -> View:
        """The view for the figures."""
        asked = self.frame
        known = None
        if self.known_day is not None:
            known = datetime.combine(self.known_day + timedelta(days=1), time(), UTC)
        return View(asked.scope, asked.currency, asked.days, asked.against, asked.grain, self.only, known)

    def query(
        self,
        *,
        only: Mapping[str, str | None] | None = None,
        known: date | str | None = "kept",
        days: Days | None = None,
        **more: str | int | None,
    ) -> str:
        """Return the query of a link that keeps the view, but for what is given.

        Args:
            only: Other filters.
            known: Another known day; None: now.
            days: Other days.
            **more: Further parameters; those that are None are left out.
        """
        state = self.frame.state
        if days is not None:
            state = state.but(preset="custom", first=days.first, last=days.last)
        kept = [pair for pair in state.more if not pair[0].startswith(_FILTER) and pair[0] not in ("known", *more)]
        day = self.known_day if known == "kept" else known
        if day is not None:
            kept.append(("known", str(day)))
        kept += [(_FILTER + name, value or "") for name, value in (self.only if only is None else only).items()]
        return replace(state, more=tuple(kept)).query(**more)

    def explain(self, metric: str, *, days: Days | None = None, only: Mapping[str, str | None] | None = None) -> str:
        """Return the address where a figure of this view is explained."""
        return "/explain" + self.query(only=only, days=days, metric=metric)


def looking(app: App, reader: Reader, given: Mapping[str, str], **more: str | None) -> Look | None:
    """Read a view from an address.

    Args:
        app: The assembled program.
        reader: For whom.
        given: The address's parameters.
        **more: Parameters of the page that its links keep.

    Returns:
        ``None`` where there is no account to report on.
    """
    asked = frame(app, reader, {name: value for name, value in given.items() if name != "zone"})
    if asked is None:
        return None
    words, problems = reader.words, list(asked.problems)
    cuts = {cut for name in (*app.registry.measures, *app.registry.derived) for cut in app.registry.cuts(name)}
    only: dict[str, str | None] = {}
    for name, value in given.items():
        if name.startswith(_FILTER):
            if name.removeprefix(_FILTER) in cuts:
                only[name.removeprefix(_FILTER)] = value or None
            else:
                problems.append(words.error(_refused(name, value)))
    known = _known(given.get("known", ""), reader.now)
    if known is None and given.get("known"):
        problems.append(words.error(_refused("known", given["known"])))
    elif known is not None and known >= reader.now.astimezone(UTC).date():
        known = None
    kept = [(name, value) for name, value in more.items() if value is not None]
    kept += [("known", known.isoformat())] if known else []
    kept += [(_FILTER + name, value or "") for name, value in only.items()]
    asked = replace(asked, state=replace(asked.state, more=tuple(kept)))
    return Look(asked, only, known, tuple(problems))


def shown(words: Words, figure: Measure | Derived, value: Fraction | None, currency: str) -> str:
    """Write a figure in the reader's language, rounded half-even once."""
    if value is None:
        return words.percent(None)
    match figure.unit:
        case "money":
            return words.money(Money(round(value), currency))
        case "count":
            return words.number(round(value))
        case "share":
            return words.percent(Decimal(round(value * 1000)) / 1000)
        case "days":
            return words("dashboards.days", n=words.number(Decimal(round(value * 10)) / 10))
        case "number":
            return words.number(Decimal(round(value * 100)) / 100)


def drawn(figure: Measure | Derived, value: Fraction | None) -> int | float | None:
    """Return what a chart draws of a figure: minor units and things whole, anything else as near as a pixel needs."""
    if value is None:
        return None
    return round(value) if figure.unit in ("money", "count") else float(value)


def exact(value: Fraction | None) -> str | None:
    """Return a figure as a page's JSON has it: a whole number or a fraction."""
    return None if value is None else str(value)


def cut_name(words: Words, cut: str) -> str:
    """Name a dimension."""
    key = f"dashboards.cut.{cut}"
    return words(key) if words.has(key) else cut.replace("_", " ").capitalize()


def names_of(app: App, cut: str, groups: Iterable[str | None]) -> dict[str, str]:
    """Return what people call the values of a dimension, by id."""
    kind = _NAMED.get(cut)
    return app.reports.names(kind, frozenset(one for one in groups if one)) if kind else {}


def group_name(words: Words, look: Look, cut: str, value: str | None, names: Mapping[str, str]) -> str:
    """Name a value of a dimension in the reader's language; what has no name is shown as Stripe has it."""
    if value is None:
        return words("dashboards.without", cut=cut_name(words, cut).lower())
    if cut in _NAMED:
        return names.get(value, value)
    if cut in ("country", "tax_country", "jurisdiction"):
        return str(Locale.parse(words.locale).territories.get(value, value))
    if cut == "account":
        found = (scope.name for scope in look.frame.scopes if scope.accounts == (value,) and scope.name)
        return next(found, value)
    if cut in _MONTHS and (month := _MONTH.fullmatch(value)):
        return words.month(date(int(month[1]), int(month[2]), 1))
    said = value.removesuffix("_count") if cut == "part" else value  # how many of something, or what it comes to
    first = (f"reports.reason.{value}",) if cut in _REASONS else ()
    for key in (*first, f"dashboards.value.{said}", f"reports.category.{said}"):
        if words.has(key):
            text = words(key)
            return text[:1].upper() + text[1:]
    plain = re.fullmatch(r"[a-z_]+", value)
    return value.replace("_", " ").capitalize() if plain else value


def spark(values: Iterable[Fraction | None]) -> str:
    """Return the points of a small line, 100 wide and 28 high; empty where there are fewer than two."""
    found = [float(value) for value in values if value is not None]
    if len(found) < 2:
        return ""
    low, high = min(found), max(found)
    span = (high - low) or 1.0
    step = 100 / (len(found) - 1)
    return " ".join(f"{at * step:.1f},{26 - 24 * (value - low) / span:.1f}" for at, value in enumerate(found))


def adds_up(figure: Measure | Derived) -> bool:
    """Tell whether a figure without a line is nothing, rather than not to be had: whether nothing divides it."""
    return isinstance(figure, Measure) or figure.under is None


def applying(registry: Registry, metric: str, only: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return those filters that a figure takes."""
    cuts = registry.cuts(metric)
    return {name: value for name, value in only.items() if name in cuts}


def _known(text: str, now: datetime) -> date | None:
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
    return day if day is not None and 2000 <= day.year <= now.year + 1 else None


def _refused(name: str, value: str) -> Invalid:
    said = f"“{name}” in the address cannot be “{value[:40]}”: it was left out."
    return Invalid("reports.choice", said, name=name[:40], value=value[:40])
