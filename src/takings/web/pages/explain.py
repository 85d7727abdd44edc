"""Explain this number: what a figure means, its SQL, what it knows and lacks, and the signed contributions that make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.accounts import Action
from takings.errors import Invalid, Misconfigured, NotFound, Unavailable
from takings.metrics import MANY, Contribution, Converted, Derived, Figure, Figures, Measure, Question, Value
from takings.metrics.rates import FILE as RATES
from takings.metrics.rates import Rolled
from takings.metrics.recurring import MOVEMENTS
from takings.money import Money
from takings.reports import Column, Missing, Sheet, in_stripe, missing_of
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.figures_frame import (
    Look,
    adds_up,
    cut_name,
    exact,
    group_name,
    looking,
    names_of,
    shown,
)
from takings.web.pages.home import Exports
from takings.web.pages.policies import PATH as POLICIES
from takings.web.pages.reports_frame import Choice, Controls, controls, scope_name, span
from takings.web.pages.rows import send

PAGE: Final = 50
FEW: Final = 20
_GROUPS: Final = 25
_ROAD: Final = ("customer", "subscription", "price", "invoice", "part")
"""From the whole to its cause: by which of these contributions are summed up first, unless one is filtered by already."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to know of a figure: its name, what it is, and where more is said of it."""

    name: str
    text: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """A figure in one currency."""

    currency: str
    text: str
    value: str | None
    href: str
    current: bool
    converted: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """All currencies in one.

    Attributes:
        currency: That one; empty where nothing is converted.
        total: Exact minor units of it; ``text`` as it is shown.
        notes: Where the rates come from, and what is not in it.
        choices: Which currencies there are to choose from, and none; empty where the figure cannot be converted.
    """

    currency: str
    total: str | None
    text: str
    notes: tuple[str, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """How MRR in one currency became what it is.

    Attributes:
        days: Over which days.
        lines: Opening, movements (each with the address of its explanation), what exchange rates did, closing; as (text, minor
            units as shown, address).
        notes: What is in it, and what is not.
    """

    days: str
    lines: tuple[tuple[str, str, str | None], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on, and the address without it."""

    label: str
    text: str
    without: str


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the figure by a dimension."""

    label: str
    amount: int
    text: str
    lines: int
    href: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One contribution.

    Attributes:
        table: Of Stripe's object, with ``id``; ``href`` leads to its row here, where the reader may see tables.
        stripe: The object, or the payment it is about, in Stripe's dashboard.
    """

    at: datetime
    at_text: str
    what: str
    amount: int
    text: str
    customer: str
    customer_stripe: str | None
    table: str
    id: str
    href: str | None
    stripe: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A measure behind the figure: its sum, summed up by a dimension, and its lines.

    Attributes:
        amount: What all its lines add up to; ``lines`` how many there are.
        time: The days it is taken over, or the day it stands at the end of.
        cuts: By what it can be summed up.
        shown: Which of the lines are below.
        every: Where all lines are, if they are not here.
        later: Where groups and lines come from, if many lines have to be read for them: the page does not wait for them.
        whole: The page with all of them in it, for a browser without script.
    """

    metric: str
    label: str
    meaning: str
    time: str
    amount: int
    text: str
    lines: int
    lines_text: str
    cuts: tuple[Choice, ...]
    by: str
    groups: tuple[Group, ...]
    left: str
    pieces: tuple[Piece, ...]
    shown: str
    previous: str | None
    next: str | None
    every: str | None
    sql: str
    exports: Exports | None
    later: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainPage:
    """A figure explained.

    Attributes:
        value: Exact: minor units, things or a fraction; None where there is none.
        empty: Said in place of a value where it has no line.
        forward: Of MRR, where it is converted and there is any; None otherwise.
        equation: Of a derived figure: how it is made of the sides; None for a sum of lines.
        source: Address of the definition; None where it is ours.
        missing: What it may lack, a sentence each; ``short`` whether more reading brings some of it.
        unbuilt: The figures are being made: nothing below is there yet.
    """

    metric: str
    label: str
    meaning: str
    unit: str
    value: str | None
    text: str
    empty: str
    equation: str | None
    sums: tuple[Sum, ...]
    conversion: Conversion
    forward: Forward | None
    chips: tuple[Chip, ...]
    facts: tuple[Fact, ...]
    source: str | None
    missing: tuple[str, ...]
    short: bool
    unbuilt: bool
    problems: tuple[str, ...]
    controls: Controls
    known: str
    known_label: str
    hidden: tuple[tuple[str, str], ...]
    path: str
    sides: tuple[Side, ...]


@get("/explain", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def explain(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Explain a figure."""
    given = dict(request.query_params)
    page = explain_page(app, reader, given, patient=not reader.wants_json and not given.get("whole"))
    return show(reader, "explain", page)


@get("/explain-sides/{place:str}", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def explain_side(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, place: FromPath[str]
) -> Response[Any]:
    """Show groups and lines of one measure behind a figure: what the page does not wait for."""
    given = dict(request.query_params)
    figure, look = app.registry.figure(given.get("metric", "")), _look(app, reader, given)
    figures = app.figures.still()
    sides = figures.sides(look.view.ask(figure.name))
    side = {str(at): one for at, one in enumerate(sides)}.get(place)
    if side is None:
        raise NotFound("dashboards.no_table", "There is no such table: open the dashboard again.")
    return show(reader, "explain_side", _side(app, reader, figures, look, figure, side, given))


@get("/explain/{kind:str}", opt={"who": Action.EXPORT}, sync_to_thread=True)
def export_contributions(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, kind: FromPath[str]
) -> Response[Any]:
    """Send every contribution of a measure as a file."""
    given = dict(request.query_params)
    look = _look(app, reader, given)
    return send(_sheet(app, reader, look, app.registry.measure(given.get("metric", ""))), kind)


def explain_page(app: App, reader: Reader, given: dict[str, str], *, patient: bool = False) -> ExplainPage:
    """Put the explanation of a figure together.

    Args:
        app: The program.
        reader: Who reads it.
        given: What its address says.
        patient: Whether groups and lines may come later, where many lines have to be read for them.

    Raises:
        NotFound: There is no such figure, or no account.
        Invalid: It cannot be filtered so.
    """
    words, locale = reader.words, reader.locale
    figure = app.registry.figure(given.get("metric", ""))
    look = _look(app, reader, given)
    asked = look.frame
    whole = replace(look.view.ask(figure.name), currency=None)
    figures = app.figures.still()
    found: list[Value] = []
    sides: tuple[Side, ...] = ()
    known_at, unbuilt = look.view.known, False
    lacking: list[Missing] = []
    converted, refused = None, ""
    forward: Forward | None = None
    try:
        found = figures.values(whole)
        known_at = known_at or figures.built_at(figure.name)
        sides = tuple(
            _side(app, reader, figures, look, figure, side, given, later=_later(look, figure, at) if patient else "")
            for at, side in enumerate(figures.sides(look.view.ask(figure.name)))
        )
        converted, refused = _converted(app, reader, figures, whole, given.get("into", ""))
        if converted is not None and figure.name == "mrr":
            forward = _forward(
                app, reader, look, app.exchange.roll_forward(figures, whole, MOVEMENTS, converted.currency)
            )
        lacking = missing_of(figures, app.registry, app.connections, app.health, whole)
    except Unavailable as error:
        if error.code != "metrics.unbuilt":
            raise
        unbuilt = True
    mine = next((one.value for one in found if one.currency == asked.currency), None)
    there = any(one.currency == asked.currency for one in found)
    value = mine if there or not adds_up(figure) else Fraction(0)
    known, problems = look.known_day, look.problems
    try:
        facts = _facts(app, reader, look, figure, known_at)
    except Misconfigured as error:
        facts, problems = (), (*problems, words.error(error))
    return ExplainPage(
        metric=figure.name,
        label=figure.title[locale],
        meaning=figure.meaning[locale],
        unit=figure.unit,
        value=exact(value),
        text=shown(words, figure, value, asked.currency),
        empty="" if there or unbuilt else words("dashboards.no_lines"),
        equation=_equation(app, reader, figures, look, figure, value)
        if isinstance(figure, Derived) and not unbuilt
        else None,
        sums=tuple(
            Sum(
                one.currency.upper(),
                shown(words, figure, one.value, one.currency),
                exact(one.value),
                "/explain" + asked.state.but(currency=one.currency).query(),
                one.currency == asked.currency,
                _in_one(reader, converted, one.currency),
            )
            for one in found
        ),
        conversion=_conversion(app, reader, look, figure, converted, refused),
        forward=forward,
        chips=_chips(app, reader, look),
        facts=facts,
        source=figure.source if figure.source.startswith("https://") else None,
        missing=tuple(lacking_text(reader, one) for one in lacking),
        short=any(one.short for one in lacking),
        unbuilt=unbuilt,
        problems=problems,
        controls=controls(asked, "/explain", app.reports.today(asked.zone)),
        known=known.isoformat() if known else "",
        known_label=words.day(known) if known else words("dashboards.known_now"),
        hidden=tuple(pair for pair in asked.state.pairs() if pair[0] != "known"),
        path="/explain",
        sides=sides,
    )


def _converted(
    app: App, reader: Reader, figures: Figures, question: Question, currency: str
) -> tuple[Converted | None, str]:
    """Return a figure in one currency, or why it cannot be had."""
    if not currency:
        return None, ""
    try:
        return app.exchange.convert(figures, question, currency), ""
    except (Invalid, Misconfigured) as error:
        return None, reader.words.error(error)


def _in_one(reader: Reader, converted: Converted | None, currency: str) -> str:
    if converted is None:
        return ""
    part = next(one for one in converted.parts if one.currency == currency)
    return reader.words.money(Money(round(part.converted), converted.currency))


def _conversion(
    app: App, reader: Reader, look: Look, figure: Measure | Derived, found: Converted | None, refused: str
) -> Conversion:
    words, uses = reader.words, [one.currency for one in look.frame.uses]
    adds = figure.unit == "money" and adds_up(figure)
    href = "/explain" + look.query(into=None)
    choices = (
        Choice("", words("dashboards.not_converted"), href, found is None),
        *(
            Choice(one, one.upper(), "/explain" + look.query(into=one), found is not None and found.currency == one)
            for one in uses
        ),
    )
    if found is None:
        return Conversion("", None, "", (refused,) if refused else (), choices if adds and len(uses) > 1 else ())
    notes = [words("dashboards.rates_of")]
    notes += [
        words(
            "dashboards.without_rate",
            amount=words.money(Money(round(one.lacking), one.currency)),
            n=one.days,
            file=RATES,
        )
        for one in found.parts
        if one.days
    ]
    text = words.money(Money(round(found.total), found.currency))
    return Conversion(found.currency.upper(), exact(found.total), text, tuple(notes), choices)


def _forward(app: App, reader: Reader, look: Look, found: Rolled) -> Forward | None:
    if not found.currencies and not found.left_out:
        return None
    words, currency = reader.words, found.currency
    amounts = found.rounded()

    def line(name: str) -> tuple[str, str, str | None]:
        text = words.money(Money(amounts[name], currency))
        if name not in MOVEMENTS:
            return words(f"dashboards.forward_{name}"), text, None
        href = "/explain" + look.query(metric=name, into=currency)
        return app.registry.figure(name).title[reader.locale], text, href

    notes = [words("dashboards.forward_in_it", currencies=", ".join(one.upper() for one in found.currencies))]
    notes += [
        words("dashboards.forward_left_out", currency=one.upper(), into=currency.upper(), file=RATES)
        for one in found.left_out
    ]
    lines = tuple(line(name) for name in amounts) if found.currencies else ()
    return Forward(span(look.frame.days, words), lines, tuple(notes if found.currencies else notes[1:]))


def _look(app: App, reader: Reader, given: Mapping[str, str]) -> Look:
    look = looking(
        app, reader, given, metric=given.get("metric"), by=given.get("by") or None, into=given.get("into") or None
    )
    if look is None:
        raise NotFound("reports.no_accounts", "There is nothing to report on yet: connect a Stripe account first.")
    return look


def _later(look: Look, figure: Measure | Derived, place: int) -> str:
    return f"/explain-sides/{place}{look.query(metric=figure.name)}"


def _side(
    app: App,
    reader: Reader,
    figures: Figures,
    look: Look,
    figure: Measure | Derived,
    side: tuple[Measure, Question],
    given: Mapping[str, str],
    *,
    later: str = "",
) -> Side:
    """Put a side together; without groups and lines where these come from ``later`` because there are many to read."""
    measure, question = side
    alone = isinstance(figure, Measure)
    words, currency, locale = reader.words, look.frame.currency, reader.locale
    whole: Figure | None = next(iter(figures.answer(question)), None)
    lines, amount = (whole.lines, whole.amount) if whole else (0, 0)
    cuts = app.registry.cuts(measure.name)
    by = given.get("by", "")
    if by not in cuts:
        by = next((cut for cut in _ROAD if cut in cuts and cut not in look.only), "part")
    size = PAGE if alone else FEW
    pages = max(1, -(-lines // size))
    page = min(max(1, _number(given.get("page"))), pages) if alone else 1
    offset = (page - 1) * size
    if later and figures.contributes_at_once(question, limit=size, offset=offset):
        later = "" if by not in MANY or figures.ranks_at_once([question], by, _GROUPS) else later
    groups, count = ([], 0) if later else figures.largest(question, by, _GROUPS)
    names = names_of(app, by, (one.group for one in groups))
    pieces = [] if later else figures.contributions(question, limit=size, offset=offset)
    own = "/explain" + _query(look, measure.name, question)

    def at(to: int) -> str:
        return "/explain" + look.query(metric=measure.name, page=to if to > 1 else None)

    left = count - len(groups)
    first = offset + 1 if lines else 0
    return Side(
        metric=measure.name,
        label=measure.title[locale],
        meaning=measure.meaning[locale],
        time=_time(reader, measure, question),
        amount=amount,
        text=shown(words, measure, Fraction(amount), currency),
        lines=lines,
        lines_text=words("dashboards.lines", n=lines),
        cuts=tuple(
            Choice(cut, cut_name(words, cut), "/explain" + look.query(metric=given.get("metric"), by=cut), cut == by)
            for cut in cuts
        ),
        by=cut_name(words, by),
        groups=tuple(
            Group(
                group_name(words, look, by, one.group, names),
                one.amount,
                shown(words, measure, Fraction(one.amount), currency),
                one.lines,
                "/explain" + look.query(only={**look.only, by: one.group}, metric=given.get("metric"), by=None),
            )
            for one in groups
        ),
        left=words(
            "dashboards.groups_left",
            n=left,
            amount=shown(words, measure, Fraction(amount - sum(one.amount for one in groups)), currency),
        )
        if left
        else "",
        pieces=_pieces(app, reader, look, measure, pieces),
        shown=words("reports.rows_shown", first=first, last=first + len(pieces) - 1 if lines else 0, all=lines),
        previous=at(page - 1) if page > 1 else None,
        next=at(page + 1) if alone and page < pages else None,
        every=own if not alone else None,
        sql=figures.statement(question),
        exports=Exports(
            measure.title[locale],
            f"/explain/csv{_query(look, measure.name, question)}",
            f"/explain/excel{_query(look, measure.name, question)}",
        )
        if reader.may(Action.EXPORT)
        else None,
        later=f"{later}&page={page}" if later and page > 1 else later,
        whole="/explain" + look.query(metric=figure.name, whole=1) if later else "",
    )


def _query(look: Look, metric: str, question: Question) -> str:
    """Return the query of a measure over what it is asked here: a stock at the start of a period ends the day before."""
    days = look.frame.days
    if question.end is not None and question.end <= days.first:
        before = question.end - timedelta(days=1)
        return look.query(days=type(days)(before, before), metric=metric, by=None)
    return look.query(metric=metric, by=None)


def _pieces(app: App, reader: Reader, look: Look, measure: Measure, lines: list[Contribution]) -> tuple[Piece, ...]:
    words, base, livemode = reader.words, app.settings.stripe_dashboard_base, look.frame.scope.livemode
    customers = names_of(app, "customer", (one.customer for one in lines))
    about = app.reports.about(frozenset(one.source for one in lines if one.object == "balance_transactions"))
    tables = reader.may(Action.SEE_TABLES)
    return tuple(
        Piece(
            at=one.at,
            at_text=words.moment(one.at),
            what=group_name(words, look, "part", one.part, {}),
            amount=one.amount,
            text=shown(words, measure, Fraction(one.amount), one.currency),
            customer=customers.get(one.customer or "", one.customer or ""),
            customer_stripe=in_stripe(base, one.customer, livemode=livemode),
            table=one.object,
            id=one.source,
            href=f"/tables/{one.object}/rows/{one.source}" if tables else None,
            stripe=in_stripe(base, about.get(one.source, one.source), livemode=livemode),
        )
        for one in lines
    )


def _chips(app: App, reader: Reader, look: Look) -> tuple[Chip, ...]:
    found = []
    for cut, value in look.only.items():
        names = names_of(app, cut, (value,))
        without = {name: other for name, other in look.only.items() if name != cut}
        text = group_name(reader.words, look, cut, value, names)
        metric = dict(look.frame.state.more).get("metric")
        found.append(Chip(cut_name(reader.words, cut), text, "/explain" + look.query(only=without, metric=metric)))
    return tuple(found)


def _facts(
    app: App, reader: Reader, look: Look, figure: Measure | Derived, known_at: datetime | None
) -> tuple[Fact, ...]:
    """Return what there is to know of a figure.

    Raises:
        Misconfigured: It is kept under a policy that there is not any more.
    """
    words, asked = reader.words, look.frame
    behind = app.registry.behind(figure.name)
    zone = "UTC" if all(one.utc for one in behind) else asked.zone
    stock = all(one.sum == "stock" for one in behind)
    day = words.day(asked.days.last)
    facts = [
        Fact(words("dashboards.as_of"), words("dashboards.end_of", day=day) if stock else span(asked.days, words)),
        Fact(words("reports.about_zone"), zone),
        Fact(words("dashboards.known_label"), words.moment(known_at) if known_at else "–"),
        Fact(words("reports.about_account"), scope_name(asked.scope, words)),
        Fact(words("dashboards.metric"), figure.name),
    ]
    if any(app.recurring.depends(one.model) for one in behind):
        facts.insert(3, Fact(words("dashboards.policy"), app.recurring.policy.label, POLICIES))
    return tuple(facts)


def _equation(app: App, reader: Reader, figures: Figures, look: Look, figure: Derived, value: Fraction | None) -> str:
    """Write how a derived figure is made: its parts with their values, and what comes of them."""
    words, currency, locale = reader.words, look.frame.currency, reader.locale

    def part(name: str, question: Question) -> str:
        of = app.registry.figure(name)
        found = next((one.value for one in figures.values(replace(question, measure=name))), None)
        if found is None and adds_up(of):
            found = Fraction(0)
        return f"{of.title[locale]} ({shown(words, of, found, currency)})"

    question = look.view.ask(figure.name)
    text = part(figure.over, question)
    if figure.times == -1:
        text = f"− {text}"
    elif figure.times != 1:
        text = f"{words.number(figure.times)} × {text}"
    if figure.under is not None:
        if figure.under_at == "start":
            question = replace(question, start=None, end=question.start)
        text += f" ÷ {part(figure.under, question)}"
    return f"{figure.title[locale]} = {text} = {shown(words, figure, value, currency)}"


def _time(reader: Reader, measure: Measure, question: Question) -> str:
    words = reader.words
    if question.end is None:
        return ""
    last = question.end - timedelta(days=1)
    if measure.sum == "stock" or question.start is None:
        return words("dashboards.end_of", day=words.day(last))
    return words("dashboards.from_to", first=words.day(question.start), last=words.day(last))


def lacking_text(reader: Reader, one: Missing) -> str:
    """Say what a figure may lack, in the reader's language."""
    words = reader.words
    reason = (
        words.reason(one.reason_code, one.reason, day=one.since)
        if one.since
        else words.reason(one.reason_code, one.reason)
    )
    return words("dashboards.lacking", where=one.where, reason=reason)


def _sheet(app: App, reader: Reader, look: Look, measure: Measure) -> Sheet:
    words, base, frame = reader.words, app.settings.stripe_dashboard_base, look.frame
    figures = app.figures.still()
    (_, question), *_ = figures.sides(look.view.ask(measure.name))
    dimensions = app.registry.model(measure.model).dimensions
    amount: Any = "money" if measure.unit == "money" else "number"
    columns = (
        Column("at", "moment", words("reports.when")),
        Column("part", "text", words("reports.what")),
        Column("currency", "text", words("reports.currency")),
        Column("amount", amount, words("reports.amount")),
        Column("object", "text"),
        Column("id", "text", words("reports.object")),
        Column("account", "text", words("reports.source")),
        Column("known_at", "moment", words("dashboards.known_since")),
        *(Column(name, "text", cut_name(words, name)) for name in dimensions),
        Column("stripe", "link", words("reports.in_stripe")),
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for one in figures.contributions(question):
            value = Money(one.amount, one.currency) if measure.unit == "money" else one.amount
            yield (
                one.at,
                one.part,
                one.currency.upper(),
                value,
                one.object,
                one.source,
                one.account,
                one.known_at,
                *(one.cuts[name] for name in dimensions),
                in_stripe(base, one.source, livemode=frame.scope.livemode),
            )

    about = (
        (measure.title[reader.locale], measure.meaning[reader.locale]),
        (words("dashboards.as_of"), _time(reader, measure, question)),
        (words("reports.about_currency"), frame.currency.upper()),
        (words("reports.about_account"), ", ".join(frame.scope.accounts)),
        (words("reports.about_made"), frame.now.isoformat()),
        ("SQL", figures.statement(question)),
    )
    name = f"takings-{measure.name}-{frame.currency}-{frame.days.first.isoformat()}-{frame.days.last.isoformat()}"
    return Sheet(name, columns, rows(), frame.zone, about)


def _number(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 9 else 1


routes = [explain, explain_side, export_contributions]
