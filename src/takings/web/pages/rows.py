"""The rows behind a figure, and every chart and list as a CSV or Excel file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath
from litestar.response import File

from takings.accounts import Action
from takings.errors import Invalid, NotFound
from takings.money import Money
from takings.reports import (
    FIGURES,
    Bucket,
    Column,
    Days,
    Drill,
    Figure,
    Line,
    Point,
    Sheet,
    Topic,
    figures_of,
    in_stripe,
    to_csv,
    to_excel,
)
from takings.reports.ranges import bucket_end
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.home import Exports, figure_text, reason_text
from takings.web.pages.reports_frame import Choice, Controls, Explanation, Frame, controls, explain, frame, money, span
from takings.words import Words

PAGE: Final = 50

_TYPES: Final = {
    "csv": "text/csv",
    "excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_ENDINGS: Final = {"csv": "csv", "excel": "xlsx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contribution, as it is shown.

    Attributes:
        stripe: Address of the payment (or invoice) in Stripe's dashboard.
        customer_stripe: Address of the customer there.
    """

    at: datetime
    at_text: str
    part: str
    what: str
    id: str
    object: str
    amount: int
    currency: str
    amount_text: str
    customer: str
    customer_stripe: str | None
    description: str
    stripe: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPage:
    """The rows behind one figure.

    Attributes:
        figure: Its key; ``label`` its name.
        value: What it comes to, with ``text`` as shown.
        sum: What all rows add up to in minor units; ``count`` how many there are.
        when: Heading of the dates: what they are.
        shown: Which of them this page has.
        days: The days they lie in; empty for what stands now.
        detail: The reason or kind they are limited to.
        siblings: The other figures of the same topic.
        back: The page of the figures, with the same choices.
    """

    figure: str
    label: str
    value: int | float | None
    text: str
    sum: int
    sum_text: str
    count: int
    count_text: str
    days: str
    detail: str | None
    problems: tuple[str, ...]
    controls: Controls
    siblings: tuple[Choice, ...]
    rows: tuple[Row, ...]
    when: str
    shown: str
    previous: str | None
    next: str | None
    back: str
    explanation: Explanation
    exports: Exports


@get("/rows", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def rows(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the rows behind a figure."""
    return show(reader, "rows", rows_page(app, reader, dict(request.query_params)))


@get("/export/{what:str}/{kind:str}", opt={"who": Action.EXPORT}, sync_to_thread=True)
def export(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, what: FromPath[str], kind: FromPath[str]
) -> Response[Any]:
    """Send a chart or a list of the reports as a file, whole."""
    given = dict(request.query_params)
    asked = framed(app, reader, given)
    if what not in _SHEETS:
        raise NotFound("reports.no_export", "There is no such export: use the buttons of the page.")
    return send(_SHEETS[what](app, asked, given), kind)


def send(sheet: Sheet, form: str) -> File:
    """Write a list to a temporary file, send it, and remove it.

    The whole is written before the first byte goes out, so that no slow reader holds on to the warehouse, and what
    arrives is complete.

    Args:
        sheet: The list.
        form: ``csv`` or ``excel``.

    Raises:
        NotFound: Another form.
    """
    if form not in _TYPES:
        raise NotFound("reports.no_export", "There is no such export: use the buttons of the page.")
    ending = _ENDINGS[form]
    with tempfile.NamedTemporaryFile(prefix="takings-", suffix=f".{ending}", delete=False) as file:
        path = Path(file.name)
        try:
            if form == "csv":
                for chunk in to_csv(sheet):
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    if form == "excel":
        try:
            to_excel(sheet, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return File(
        path=path,
        filename=f"{sheet.name}.{ending}",
        media_type=_TYPES[form],
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


def framed(app: App, reader: Reader, given: dict[str, str]) -> Frame:
    """Return a report's frame.

    Raises:
        NotFound: There is no account to report on.
    """
    asked = frame(app, reader, given)
    if asked is None:
        raise NotFound("reports.no_accounts", "There is nothing to report on yet: connect a Stripe account first.")
    return asked


def drill_of(asked: Frame, given: dict[str, str]) -> tuple[Drill, date | None]:
    """Read which rows an address asks for.

    Returns:
        The drill, and the first day of the step it is limited to.

    Raises:
        NotFound: There is no such figure.
        Invalid: ``at`` is not a day of the period.
    """
    figure = FIGURES.get(given.get("figure", ""))
    if figure is None:
        raise NotFound("reports.no_figure", "There is no such figure: go back to the figures and click one.")
    at = _step_day(asked, given.get("at")) if figure.topic != "receivables" else None
    days = None
    if at is not None:
        days = Days(at, min(bucket_end(at, asked.grain), asked.days.last))
    question = asked.ask(figure.topic, days=days)
    return Drill(question=question, figure=figure.key, detail=given.get("detail") or None), at


def rows_page(app: App, reader: Reader, given: dict[str, str]) -> RowsPage:
    """Put the page of a figure's rows together."""
    asked = framed(app, reader, given)
    drill, at = drill_of(asked, given)
    words, figure = reader.words, FIGURES[drill.figure]
    found = app.reports.total(drill)
    pages = max(1, -(-found.lines // PAGE))
    page = min(max(1, _number(given.get("page"))), pages)
    lines = app.reports.lines(drill, PAGE, (page - 1) * PAGE)
    known_at, snapshot, value = _value(app, asked, drill)

    def address(to: int) -> str:
        more = {"figure": figure.key, "at": at.isoformat() if at else None, "detail": drill.detail}
        return "/rows" + asked.state.query(**more, page=to if to > 1 else None)

    first = (page - 1) * PAGE + 1 if found.lines else 0
    standing = figure.topic == "receivables"
    return RowsPage(
        figure=figure.key,
        label=words(f"reports.figure.{figure.key}"),
        value=value,
        text=figure_text(asked, figure.key, value),
        sum=found.amount,
        sum_text=words("reports.rows_sum", amount=money(found.amount, asked)),
        count=found.lines,
        count_text=words("reports.rows_count", n=found.lines),
        days="" if standing else asked.name_of(Bucket(drill.question.days, False)) if at else span(asked.days, words),
        detail=_detail(figure, drill.detail, words) if drill.detail else None,
        problems=asked.problems,
        controls=controls(asked, "/", app.reports.today(asked.zone)),
        siblings=tuple(
            Choice(f.key, words(f"reports.figure.{f.key}"), asked.rows(f.key, at=at), f.key == figure.key)
            for f in figures_of(figure.topic)
            if f.unit != "ratio"
        ),
        rows=tuple(_row(app, asked, figure, line) for line in lines),
        when=words("reports.due_on" if standing else "reports.when"),
        shown=words("reports.rows_shown", first=first, last=first + len(lines) - 1 if lines else 0, all=found.lines),
        previous=address(page - 1) if page > 1 else None,
        next=address(page + 1) if page < pages else None,
        back="/" + asked.state.query(),
        explanation=explain(asked, figure.topic, snapshot, known_at),
        exports=Exports(
            words(f"reports.figure.{figure.key}"),
            asked.export("rows", "csv", figure=figure.key, at=at.isoformat() if at else None, detail=drill.detail),
            asked.export("rows", "excel", figure=figure.key, at=at.isoformat() if at else None, detail=drill.detail),
        ),
    )


def _value(app: App, asked: Frame, drill: Drill) -> tuple[datetime, int, int | float | None]:
    if drill.question.topic == "receivables":
        standing = app.reports.standing(drill.question)
        return standing.known_at, standing.snapshot, standing.total(drill.figure).value
    answer = app.reports.answer(drill.question)
    value = answer.total(drill.figure).value
    if drill.detail is not None:
        found = app.reports.total(drill)
        value = found.amount if FIGURES[drill.figure].unit == "money" else found.lines
    return answer.known_at, answer.snapshot, value


def _row(app: App, asked: Frame, figure: Figure, line: Line) -> Row:
    words, base = asked.words, app.settings.stripe_dashboard_base
    target = line.id if figure.topic == "receivables" else line.payment or line.source or line.id
    return Row(
        at=line.at,
        at_text=words.moment(line.at),
        part=line.part,
        what=_what(figure, line, words),
        id=line.id,
        object=line.object,
        amount=line.amount,
        currency=line.currency,
        amount_text=money(line.amount, asked),
        customer=line.customer_name or line.customer or "",
        customer_stripe=in_stripe(base, line.customer, livemode=line.livemode),
        description=line.description or "",
        stripe=in_stripe(base, target, livemode=line.livemode),
    )


def _what(figure: Figure, line: Line, words: Words) -> str:
    if figure.topic == "volume":
        part = words(f"reports.part.{line.part}")
        kind = _category(line.detail or "", words)
        return part if kind.lower() == part.lower() else f"{part} · {kind}"
    part = words(f"reports.figure.{line.part}")
    if figure.topic == "attempts" and line.part in ("declined", "blocked"):
        return f"{part} · {reason_text(line.detail or 'unknown', words)}"
    return part


def _detail(figure: Figure, detail: str, words: Words) -> str:
    return _category(detail, words) if figure.topic == "volume" else reason_text(detail, words)


def _category(category: str, words: Words) -> str:
    key = f"reports.category.{category}"
    return words(key) if words.has(key) else category.replace("_", " ")


def _step_day(asked: Frame, value: str | None) -> date | None:
    if not value:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day not in asked.days:
        raise Invalid("reports.day", f"“{value[:40]}” is not a day: write it as 2026-11-30.", value=value[:40])
    return day


def _number(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 9 else 1


def _about(asked: Frame, *, standing: bool = False) -> tuple[tuple[str, str], ...]:
    words = asked.words
    days = words.moment(asked.now) if standing else f"{asked.days.first.isoformat()} – {asked.days.last.isoformat()}"
    return (
        (words("reports.about_period"), days),
        (words("reports.about_zone"), asked.zone),
        (words("reports.about_currency"), asked.currency.upper()),
        (words("reports.about_account"), ", ".join(asked.scope.accounts)),
        (words("reports.about_made"), asked.now.isoformat()),
    )


def _file(asked: Frame, what: str) -> str:
    return f"takings-{what}-{asked.currency}-{asked.days.first.isoformat()}-{asked.days.last.isoformat()}"


def _series(topic: Topic) -> Callable[[App, Frame, dict[str, str]], Sheet]:
    """Return what makes a chart's figures into a list, one row a step, with the days compared with beside."""

    def sheet(app: App, asked: Frame, _: dict[str, str]) -> Sheet:
        answer, words = app.reports.answer(asked.ask(topic)), asked.words
        figures = figures_of(topic)
        kinds = {"money": "money", "count": "number", "ratio": "ratio"}
        columns = [
            Column("first_day", "day", words("reports.from")),
            Column("last_day", "day", words("reports.to")),
            Column("currency", "text", words("reports.currency")),
        ]
        columns += [Column(f.key, kinds[f.unit], words(f"reports.figure.{f.key}")) for f in figures]  # type: ignore[arg-type]
        if answer.previous:
            before = words(f"reports.compare_{asked.state.compare}")
            columns += [
                Column("compared_first_day", "day", f"{before}, {words('reports.from')}"),
                Column("compared_last_day", "day", f"{before}, {words('reports.to')}"),
            ]
            columns += [
                Column(f"compared_{f.key}", kinds[f.unit], f"{before}, {words(f'reports.figure.{f.key}')}")  # type: ignore[arg-type]
                for f in figures
            ]

        def cells(point: Point | None) -> list[Any]:
            if point is None:
                return [None] * (2 + len(figures))
            found: list[Any] = [point.bucket.days.first, point.bucket.days.last]
            for figure in figures:
                value = point.value(figure)
                found.append(Money(int(value or 0), asked.currency) if figure.unit == "money" else value)
            return found

        def rows() -> Iterator[list[Any]]:
            for index in range(max(len(answer.points), len(answer.previous))):
                now = cells(answer.points[index] if index < len(answer.points) else None)
                row = [*now[:2], asked.currency.upper(), *now[2:]]
                if answer.previous:
                    row += cells(answer.previous[index] if index < len(answer.previous) else None)
                yield row

        return Sheet(_file(asked, topic), tuple(columns), rows(), asked.zone, _about(asked))

    return sheet


def _declines(app: App, asked: Frame, _: dict[str, str]) -> Sheet:
    answer, words = app.reports.answer(asked.ask("attempts")), asked.words
    found = [detail for detail in answer.details if detail.part == "declined"]
    whole = sum(detail.sum.lines for detail in found)
    columns = (
        Column("reason", "text", words("reports.reason_column")),
        Column("meaning", "text", words("reports.what")),
        Column("attempts", "number", words("reports.attempts_column")),
        Column("share", "ratio", words("reports.share_column")),
        Column("currency", "text", words("reports.currency")),
        Column("amount", "money", words("reports.amount")),
    )
    rows = (
        (
            detail.detail,
            reason_text(detail.detail, words),
            detail.sum.lines,
            detail.sum.lines / whole,
            asked.currency.upper(),
            Money(detail.sum.amount, asked.currency),
        )
        for detail in found
    )
    return Sheet(_file(asked, "declines"), columns, rows, asked.zone, _about(asked))


def _lines(app: App, asked: Frame, given: dict[str, str]) -> Sheet:
    drill, _ = drill_of(asked, given)
    words, figure = asked.words, FIGURES[drill.figure]
    base = app.settings.stripe_dashboard_base
    columns = (
        Column("at", "moment", words("reports.when")),
        Column("part", "text", words("reports.what")),
        Column("detail", "text", words("reports.reason_column")),
        Column("id", "text", words("reports.object")),
        Column("object", "text"),
        Column("currency", "text", words("reports.currency")),
        Column("amount", "money", words("reports.amount")),
        Column("payment", "text"),
        Column("customer", "text"),
        Column("customer_name", "text", words("reports.customer")),
        Column("description", "text", words("reports.description")),
        Column("account", "text", words("reports.source")),
        Column("stripe", "link", words("reports.in_stripe")),
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for line in app.reports.all_lines(drill):
            target = line.id if figure.topic == "receivables" else line.payment or line.source or line.id
            yield (
                line.at,
                line.part,
                line.detail,
                line.id,
                line.object,
                line.currency.upper(),
                Money(line.amount, line.currency),
                line.payment,
                line.customer,
                line.customer_name,
                line.description,
                line.account,
                in_stripe(base, target, livemode=line.livemode),
            )

    days = drill.question.days
    name = f"takings-{figure.key}-{asked.currency}-{days.first.isoformat()}-{days.last.isoformat()}"
    return Sheet(name, columns, rows(), asked.zone, _about(asked, standing=figure.topic == "receivables"))


def _latest(app: App, asked: Frame, _: dict[str, str]) -> Sheet:
    words, base = asked.words, app.settings.stripe_dashboard_base
    columns = (
        Column("at", "moment", words("reports.when")),
        Column("id", "text", words("reports.object")),
        Column("payment_intent", "text"),
        Column("status", "text", words("reports.state")),
        Column("reason", "text", words("reports.reason_column")),
        Column("currency", "text", words("reports.currency")),
        Column("amount", "money", words("reports.amount")),
        Column("captured", "money", words("reports.captured")),
        Column("refunded", "money", words("reports.refunded")),
        Column("method", "text", words("reports.method")),
        Column("card", "text"),
        Column("customer", "text"),
        Column("customer_name", "text", words("reports.customer")),
        Column("description", "text", words("reports.description")),
        Column("account", "text", words("reports.source")),
        Column("stripe", "link", words("reports.in_stripe")),
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for p in app.reports.all_payments(asked.ask("attempts")):
            yield (
                p.at,
                p.id,
                p.payment_intent,
                p.state,
                p.reason,
                p.currency.upper(),
                Money(p.amount, p.currency),
                None if p.captured is None else Money(p.captured, p.currency),
                None if p.refunded is None else Money(p.refunded, p.currency),
                p.method,
                f"{p.brand or ''} {p.last4}".strip() if p.last4 else None,
                p.customer,
                p.customer_name,
                p.description,
                p.account,
                in_stripe(base, p.payment_intent or p.id, livemode=p.livemode),
            )

    return Sheet(_file(asked, "latest"), columns, rows(), asked.zone, _about(asked))


_SHEETS: Final[dict[str, Callable[[App, Frame, dict[str, str]], Sheet]]] = {
    "volume": _series("volume"),
    "payments": _series("payments"),
    "attempts": _series("attempts"),
    "declines": _declines,
    "rows": _lines,
    "latest": _latest,
}

routes = [rows, export]
