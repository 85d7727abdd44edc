"""Month-end: whether an account's month ties with Stripe, what does not, and the files to be filed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlencode

from litestar import Request, Response, get
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath
from litestar.response import File

from takings.accounts import Action
from takings.connections import Connection
from takings.errors import Invalid, NotFound
from takings.money import Money
from takings.proof import PayoutLine, Statement, Untied
from takings.reports import Document, ReportName, Sheet, Span, in_stripe, to_excel, to_pdf
from takings.reports.month_end import (
    TONES,
    Tone,
    category_text,
    day_text,
    difference,
    document,
    file_name,
    remedy_text,
    sheets,
    summary_lines,
    value_text,
    verdict,
    what_text,
)
from takings.warehouse import Scope
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.reports_frame import FEW, Choice, choosing, month_name
from takings.web.pages.rows import send
from takings.words import Words

PATH: Final = "/month-end"
_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")
_EARLIEST: Final = date(2011, 1, 1)
_REPORTS: Final = get_args(ReportName)
_PDF: Final = "application/pdf"
_EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PAYOUT_TONES: Final = {"ties": "good", "differs": "bad", "unsettled": "busy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyChoice:
    """One currency of the account, and how its month stands."""

    code: str
    href: str
    current: bool
    state: str
    tone: Tone
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """A line of the summary."""

    label: str
    amount: int
    text: str
    balance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UntiedRow:
    """Something that does not tie.

    Attributes:
        href: The table it is in, for those who may see tables.
        stripe_href: The object in Stripe's dashboard.
    """

    kind: str
    id: str
    table: str
    href: str | None
    stripe_href: str | None
    when: str
    what: str
    stripe: str
    here: str
    difference: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow:
    """A reporting category."""

    category: str
    text: str
    count: str
    gross: str
    fee: str
    net: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """A day; ``wrong`` where it does not add up, or Stripe said otherwise."""

    day: date
    text: str
    opening: str
    gross: str
    fee: str
    payouts: str
    closing: str
    proof: str
    tone: str
    wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRow:
    """A payout."""

    id: str
    href: str | None
    created: str
    arrival: str
    amount: str
    net: str
    transactions: str
    state: str
    state_text: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLinks:
    """One of Stripe's reports: links to its summary and its transactions, as (label, address)."""

    name: str
    label: str
    summary: tuple[tuple[str, str], ...]
    itemized: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthEndPage:
    """The page.

    Attributes:
        account: Name of the account; empty where there is none at all.
        accounts: Accounts to choose from; empty where there is one only.
        month: Such as ``2026-10``.
        previous: Address of the month before.
        next: Address of the month after; None: it has not begun.
        latest: The latest month that can be chosen.
        hidden: What the form of the month sends along, as (name, value).
        state: How the chosen currency's month stands; empty where there is no currency.
        payouts_said: How many payouts tie, and how many cannot be attributed.
        cut: That more does not tie than is listed; empty where all is.
    """

    account: str
    accounts: tuple[Choice, ...]
    more_accounts: str | None
    month: str
    month_label: str
    previous: str | None
    next: str | None
    latest: str
    hidden: tuple[tuple[str, str], ...]
    currencies: tuple[CurrencyChoice, ...]
    state: str
    title: str
    tone: Tone
    sentences: tuple[str, ...]
    summary: tuple[SummaryLine, ...]
    in_transit: bool
    untied: tuple[UntiedRow, ...]
    cut: str
    categories: tuple[CategoryRow, ...]
    days: tuple[DayRow, ...]
    payouts: tuple[PayoutRow, ...]
    payouts_said: tuple[str, ...]
    pdf: str
    excel: str
    reports: tuple[ReportLinks, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an address asks for."""

    connection: Connection | None
    connections: tuple[Connection, ...]
    start: date
    end: date
    currency: str | None
    problems: tuple[str, ...]

    @property
    def month(self) -> str:
        return f"{self.start:%Y-%m}"

    def address(self, path: str = PATH, **changes: str | None) -> str:
        values: dict[str, str | None] = {
            "source": self.connection.id if self.connection and len(self.connections) > 1 else None,
            "month": self.month,
            "currency": self.currency,
            **changes,
        }
        pairs = [(name, value) for name, value in values.items() if value]
        return path + (f"?{urlencode(pairs)}" if pairs else "")


@get(PATH, opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def month_end(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show how the month stands."""
    return show(reader, "month_end", page_of(app, reader, dict(request.query_params)))


@get(f"{PATH}/statement/{{ending:str}}", opt={"who": Action.EXPORT}, sync_to_thread=True)
def statement(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, ending: FromPath[str]
) -> Response[Any]:
    """Send the statement of one currency as a file."""
    asked = _asked(app, reader, dict(request.query_params))
    one = _chosen(_statements(app, asked), asked.currency, reader)
    if one is None or ending not in ("pdf", "excel"):
        raise NotFound("reports.no_statement", "There is no such statement: use the buttons of the page.")
    words = reader.words
    if ending == "pdf":
        return _file(lambda path: to_pdf(document(one, words), path, words), f"{file_name(one)}.pdf", _PDF)
    first, *more = sheets(one, words)
    return _file(lambda path: to_excel(first, path, *more), f"{file_name(one)}.xlsx", _EXCEL)


@get(f"{PATH}/reports/{{name:str}}/{{kind:str}}/{{ending:str}}", opt={"who": Action.EXPORT}, sync_to_thread=True)
def stripes(
    request: Request[Any, Any, Any],
    app: FromApp,
    reader: FromReader,
    name: FromPath[str],
    kind: FromPath[str],
    ending: FromPath[str],
) -> Response[Any]:
    """Send one of Stripe's reports as a file."""
    asked = _asked(app, reader, dict(request.query_params))
    known = name in _REPORTS and kind in ("summary", "itemized") and ending in ("csv", "excel", "pdf")
    if asked.connection is None or not known or (kind, ending) == ("itemized", "pdf"):
        raise NotFound("reports.no_statement", "There is no such statement: use the buttons of the page.")
    scope = Scope(asked.connection.account_id, asked.connection.livemode)
    span = Span(scope=scope, start=asked.start, end=asked.end, currency=asked.currency)
    sheet = app.stripe_reports.sheet(_report(name), span, itemized=kind == "itemized")
    if ending != "pdf":
        return send(sheet, ending)
    words = reader.words
    made = Document(title=words(f"month_end.report.{name}"), about=_about(sheet, asked, words), tables=(sheet,))
    return _file(lambda path: to_pdf(made, path, words), f"{sheet.name}.pdf", _PDF)


def page_of(app: App, reader: Reader, given: Mapping[str, str]) -> MonthEndPage:
    """Put the page together."""
    asked, words = _asked(app, reader, given), reader.words
    found = _statements(app, asked)
    one = _chosen(found, asked.currency, reader)
    problems = list(asked.problems)
    if asked.currency and one is not None and one.currency != asked.currency:
        problems.append(words.error(_unknown("currency", asked.currency)))
    today = app.clock.now().astimezone(UTC).date()
    stands = None if one is None else verdict(one, words)
    before = asked.start - timedelta(days=1)
    here = asked.address()
    return MonthEndPage(
        account="" if asked.connection is None else asked.connection.name,
        accounts=tuple(
            Choice(each.id, each.name, asked.address(source=each.id, currency=None), each == asked.connection)
            for each in (asked.connections[:FEW] if len(asked.connections) > 1 else ())
        ),
        more_accounts=choosing(here) if len(asked.connections) > FEW else None,
        month=asked.month,
        month_label=month_name(asked.start, words),
        previous=asked.address(month=f"{before:%Y-%m}") if before >= _EARLIEST else None,
        next=asked.address(month=f"{asked.end:%Y-%m}") if asked.end <= today else None,
        latest=f"{today:%Y-%m}",
        hidden=_hidden(asked),
        currencies=tuple(
            CurrencyChoice(
                code=each.currency.upper(),
                href=asked.address(currency=each.currency),
                current=each is one,
                state=each.state,
                tone=TONES[each.state],
                text=verdict(each, words).title,
            )
            for each in found.values()
        ),
        state="" if one is None else one.state,
        title="" if stands is None else stands.title,
        tone="warn" if stands is None else stands.tone,
        sentences=() if stands is None else stands.sentences,
        summary=() if one is None else _summary(one, words),
        in_transit=one is not None and one.in_transit != 0,
        untied=() if one is None else tuple(_untied(app, reader, one, each) for each in one.untied),
        cut=words("month_end.untied_cut", n=one.cut) if one is not None and one.cut else "",
        categories=() if one is None else _categories(one, words),
        days=() if one is None else _days(one, words),
        payouts=() if one is None else tuple(_payout(app, one, each, words) for each in one.payouts),
        payouts_said=() if one is None else _payouts_said(one, words),
        pdf="" if one is None else asked.address(f"{PATH}/statement/pdf", currency=one.currency),
        excel="" if one is None else asked.address(f"{PATH}/statement/excel", currency=one.currency),
        reports=() if one is None else tuple(_links(name, asked, one.currency, words) for name in _REPORTS),
        problems=tuple(problems),
    )


def _asked(app: App, reader: Reader, given: Mapping[str, str]) -> _Asked:
    """Read an address; what cannot be used is left out and told."""
    words = reader.words
    order = sorted(app.connections.all(), key=lambda one: (not one.livemode, one.name.casefold()))
    chosen = next((one for one in order if one.id == given.get("source")), order[0] if order else None)
    problems = []
    if given.get("source") and (chosen is None or chosen.id != given["source"]):
        problems.append(words.error(_unknown("source", given["source"])))
    today = app.clock.now().astimezone(UTC).date()
    start = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    if wanted := given.get("month"):
        try:
            start = _month(wanted, today)
        except Invalid as error:
            problems.append(words.error(error))
    end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    currency = given.get("currency", "").lower() or None
    if currency is not None and not re.fullmatch("[a-z]{3}", currency):
        problems.append(words.error(_unknown("currency", currency)))
        currency = None
    return _Asked(chosen, tuple(order), start, end, currency, tuple(problems))


def _month(text: str, today: date) -> date:
    found = _MONTH.fullmatch(text)
    try:
        day = date(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        day = None
    if day is None or not _EARLIEST <= day <= today:
        shown = text[:40]
        raise Invalid("reports.month", f"“{shown}” is not a month: write it as 2026-10.", value=shown)
    return day


def _unknown(name: str, value: str) -> Invalid:
    shown = value[:40]
    sentence = f"“{name}” in the address cannot be “{shown}”: it was left out."
    return Invalid("reports.choice", sentence, name=name, value=shown)


def _statements(app: App, asked: _Asked) -> dict[str, Statement]:
    if asked.connection is None:
        return {}
    return app.month_end.statements(asked.connection, asked.start, asked.end)


def _chosen(found: Mapping[str, Statement], currency: str | None, reader: Reader) -> Statement | None:
    """Return the statement of the currency asked for, else what does not tie, else the company's own currency, else any."""
    if currency is not None and currency in found:
        return found[currency]
    wrong = [one for one in found.values() if one.state == "differs"]
    home = reader.company.currency if reader.company else ""
    return next(iter(wrong), None) or found.get(home) or next(iter(found.values()), None)


def _hidden(asked: _Asked) -> tuple[tuple[str, str], ...]:
    several = asked.connection is not None and len(asked.connections) > 1
    pairs = (
        ("source", asked.connection.id if several and asked.connection else ""),
        ("currency", asked.currency or ""),
    )
    return tuple(pair for pair in pairs if pair[1])


def _summary(one: Statement, words: Words) -> tuple[SummaryLine, ...]:
    return tuple(
        SummaryLine(label=label, amount=amount, text=words.money(Money(amount, one.currency)), balance=balance)
        for label, amount, balance in summary_lines(one, words)
    )


def _untied(app: App, reader: Reader, one: Statement, each: Untied) -> UntiedRow:
    words, gap = reader.words, difference(each)
    base = app.settings.stripe_dashboard_base
    return UntiedRow(
        kind=each.kind,
        id=each.id,
        table=each.table,
        href=f"/tables/{each.table}" if each.table and reader.may(Action.SEE_TABLES) else None,
        stripe_href=in_stripe(base, each.id, livemode=one.scope.livemode),
        when="" if each.at is None else words.moment(each.at),
        what=what_text(each, words),
        stripe=value_text(each.stripe, each, one.currency, words),
        here=value_text(each.ours, each, one.currency, words),
        difference="" if gap is None else words.money(Money(gap, one.currency)),
        remedy=remedy_text(each, words),
    )


def _categories(one: Statement, words: Words) -> tuple[CategoryRow, ...]:
    return tuple(
        CategoryRow(
            category=each.category,
            text=category_text(each.category, words),
            count=words.number(each.count),
            gross=words.amount(Money(each.gross, one.currency)),
            fee=words.amount(Money(each.fee, one.currency)),
            net=words.amount(Money(each.net, one.currency)),
        )
        for each in one.categories
    )


def _days(one: Statement, words: Words) -> tuple[DayRow, ...]:
    rows = []
    for day in one.days:
        wrong = day.difference != 0 or (day.checkpoint is not None and not day.checkpoint.ties)
        known = one.followed_through is not None and day.day <= one.followed_through
        amounts = [
            words.amount(Money(amount, one.currency))
            for amount in (day.opening, day.gross, -day.fee, day.payouts, day.closing)
        ]
        rows.append(
            DayRow(
                day=day.day,
                text=words.day(day.day),
                opening=amounts[0],
                gross=amounts[1],
                fee=amounts[2],
                payouts=amounts[3],
                closing=amounts[4],
                proof=day_text(one, day, words),
                tone="bad" if wrong else "good" if day.checkpoint else "quiet" if known else "warn",
                wrong=wrong,
            )
        )
    return tuple(rows)


def _payout(app: App, one: Statement, each: PayoutLine, words: Words) -> PayoutRow:
    return PayoutRow(
        id=each.id,
        href=in_stripe(app.settings.stripe_dashboard_base, each.id, livemode=one.scope.livemode),
        created=words.moment(each.created),
        arrival="" if each.arrival is None else words.day(each.arrival.astimezone(UTC).date()),
        amount=words.amount(Money(each.amount, one.currency)),
        net="" if each.net is None else words.amount(Money(each.net, one.currency)),
        transactions=words.number(each.transactions) if each.transactions else "",
        state=each.state,
        state_text=words(f"month_end.payout_state.{each.state}"),
        tone=_PAYOUT_TONES.get(each.state, "quiet"),
    )


def _payouts_said(one: Statement, words: Words) -> tuple[str, ...]:
    if not one.payouts:
        return (words("month_end.payout_none"),)
    ties = sum(each.state == "ties" for each in one.payouts)
    left = sum(each.state not in ("ties", "differs") for each in one.payouts)
    said = [words("month_end.payout_summary", n=ties, of=len(one.payouts))]
    return (*said, *([words("month_end.payout_left", n=left)] if left else []))


def _links(name: str, asked: _Asked, currency: str, words: Words) -> ReportLinks:
    def links(kind: str, *forms: str) -> tuple[tuple[str, str], ...]:
        named = {
            "csv": words("reports.export_csv"),
            "excel": words("reports.export_excel"),
            "pdf": words("month_end.pdf"),
        }
        at = f"{PATH}/reports/{name}/{kind}"
        return tuple((named[form], asked.address(f"{at}/{form}", currency=currency)) for form in forms)

    return ReportLinks(
        name=name,
        label=words(f"month_end.report.{name}"),
        summary=links("summary", "csv", "excel", "pdf"),
        itemized=() if name == "balance_summary" else links("itemized", "csv", "excel"),
    )


def _report(name: str) -> ReportName:
    found: ReportName = next(one for one in _REPORTS if one == name)
    return found


def _about(sheet: Sheet, asked: _Asked, words: Words) -> tuple[tuple[str, str], ...]:
    account = f"{asked.connection.name} · {asked.connection.account_id}" if asked.connection else ""
    return (
        (words("month_end.account"), account),
        (words("month_end.period"), f"{words.day(asked.start)} – {words.day(asked.end - timedelta(days=1))}"),
        ("Stripe", sheet.about[0][1].rsplit(" ", 1)[-1]),
    )


def _file(write: Callable[[Path], None], name: str, media_type: str) -> File:
    """Write a temporary file, send it, and remove it."""
    with tempfile.NamedTemporaryFile(prefix="takings-", suffix=Path(name).suffix, delete=False) as file:
        path = Path(file.name)
    try:
        write(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return File(
        path=path,
        filename=name,
        media_type=media_type,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


routes = [month_end, statement, stripes]
