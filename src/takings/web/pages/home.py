"""Home: what came in, what failed, what is owed and the latest payments, for the days, currency and account asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from litestar import Request, Response, get

from takings.accounts import Action
from takings.connections import Reach
from takings.money import Money
from takings.reports import AGES, FIGURES, Answer, Payment, Point, Standing, Value, in_stripe
from takings.web.chart import Chart, Series, Tone
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.connections_reach import reach
from takings.web.pages.reports_frame import Controls, Explanation, Frame, controls, explain, frame, money, span
from takings.words import Words

LATEST: Final = 10
DECLINES: Final = 6
#: With more points than these, only the net of each leads to its rows: the page stays light.
_LINKED_POINTS: Final = 100

Badge = Literal["good", "warn", "bad", "busy", "quiet"]
STATE_TONES: Final[dict[str, Badge]] = {
    "succeeded": "good",
    "uncaptured": "busy",
    "released": "quiet",
    "refunded": "quiet",
    "partly_refunded": "quiet",
    "disputed": "warn",
    "pending": "busy",
    "failed": "bad",
    "blocked": "bad",
}


@dataclass(frozen=True, slots=True)
class Exports:
    """Where a list comes as a file.

    Attributes:
        what: What is exported, in the reader's language.
    """

    what: str
    csv: str
    excel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure.

    Attributes:
        value: Minor units, a count or a ratio; ``text`` is the same as it is shown.
        delta: The change, as it is shown; ``None`` without comparison.
        tone: ``good``, ``bad`` or ``quiet``: what the change means.
        direction: ``up`` or ``down``: where the figure went.
        before: What it was, as it is shown.
        note: What else has to be known of it, such as how many invoices it is.
        href: The rows behind it.
        meaning: How it is calculated, in a sentence or two.
        spark: Points of a small line; empty: none.
    """

    key: str
    label: str
    value: int | float | None
    text: str
    delta: str | None
    tone: Literal["good", "bad", "quiet"]
    direction: Literal["up", "down"] | None
    before: str | None
    note: str | None
    href: str
    meaning: str
    spark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Figures of one topic, their chart, and how they are calculated.

    Attributes:
        small: Figures of less weight, shown in one line.
        empty: What is said in place of the chart where there is nothing; ``None`` where there is something.
    """

    tiles: tuple[Tile, ...]
    small: tuple[Tile, ...]
    chart: Chart | None
    empty: str | None
    explanation: Explanation
    exports: Exports


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """A reason for which attempts were declined.

    Attributes:
        share: Of all declined attempts, 0 to 1.
    """

    code: str
    label: str
    attempts: int
    share: float
    share_text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """Open invoices by how long they are overdue.

    Attributes:
        share: Of all that is due, 0 to 1.
    """

    key: str
    label: str
    invoices: int
    amount: int
    text: str
    share: float
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivables:
    """What customers owe now.

    Attributes:
        oldest: Due date of the oldest open invoice; ``None`` where there is none.
        oldest_text: How long that is overdue.
    """

    lead: str
    tiles: tuple[Tile, ...]
    oldest: date | None
    oldest_day: str
    oldest_text: str
    ages: tuple[Age, ...]
    explanation: Explanation
    exports: Exports


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """One attempt in the list of latest payments."""

    id: str
    at: datetime
    at_text: str
    amount: int
    currency: str
    amount_text: str
    state: str
    state_text: str
    tone: Badge
    reason: str | None
    method: str
    customer: str
    description: str
    stripe: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage:
    """The home page. With ``empty`` set there is nothing to report on and everything below is ``None``.

    Attributes:
        empty: ``connect`` (no account yet) or ``wait`` (connected, nothing read yet).
        problems: What in the address could not be used, each a sentence.
        reaches: How far the data of first loads under way reaches.
        notices: What has to be known of what is shown: test data, coarser steps.
    """

    empty: Literal["connect", "wait"] | None
    reaches: tuple[Reach, ...]
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    controls: Controls | None = None
    compared: str = ""
    currency: str = ""
    volume: Card | None = None
    volume_lead: str = ""
    payments: Card | None = None
    attempts: Card | None = None
    declines: tuple[Decline, ...] = ()
    declines_exports: Exports | None = None
    receivables: Receivables | None = None
    latest: tuple[PaymentRow, ...] = ()
    latest_all: str = ""
    latest_href: str = ""
    latest_exports: Exports | None = None


@get("/", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def home(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the figures that the address asks for."""
    return show(reader, "home", home_page(app, reader, dict(request.query_params)))


def home_page(app: App, reader: Reader, given: dict[str, str]) -> HomePage:
    """Put the home page together."""
    reaches = reach(app, reader.person)
    asked = frame(app, reader, given)
    if asked is None:
        return HomePage(empty="connect", reaches=reaches)
    if not asked.uses:
        return HomePage(empty="wait", reaches=reaches, problems=asked.problems)
    words = reader.words
    volume = app.reports.answer(asked.ask("volume"))
    payments = app.reports.answer(asked.ask("payments"))
    attempts = app.reports.answer(asked.ask("attempts"))
    standing = app.reports.standing(asked.ask("receivables"))
    latest = app.reports.payments(asked.ask("attempts"), LATEST)
    days = span(asked.days, words)
    all_attempts = attempts.total("attempts").lines
    return HomePage(
        empty=None,
        reaches=reaches,
        problems=asked.problems,
        notices=_notices(asked),
        controls=controls(asked, "/", app.reports.today(asked.zone)),
        compared=words("reports.compared_with", days=span(asked.against, words)) if asked.against else "",
        currency=asked.currency.upper(),
        volume=_volume(asked, volume, days),
        volume_lead=words("reports.volume_lead", currency=asked.currency.upper()),
        payments=_payments(asked, payments, days),
        attempts=_attempts(asked, attempts),
        declines=_declines(asked, attempts),
        declines_exports=_exports(asked, "declines", words("reports.declines")),
        receivables=_receivables(asked, standing) if standing.total("open").lines else None,
        latest=tuple(payment_row(app, words, payment) for payment in latest),
        latest_all=words("reports.latest_all", n=all_attempts),
        latest_href=asked.rows("attempts"),
        latest_exports=_exports(asked, "latest", words("reports.latest")),
    )


def _notices(asked: Frame) -> tuple[str, ...]:
    words = asked.words
    found: list[str] = []
    if not asked.scope.livemode:
        found.append(words("reports.test_data"))
    if asked.coarser:
        found.append(words("reports.grain_coarser"))
    return tuple(found)


def _volume(asked: Frame, answer: Answer, days: str) -> Card:
    words, currency = asked.words, asked.currency
    points = answer.points
    bars: tuple[tuple[str, Tone], ...] = (
        ("gross", "gross"),
        ("refunds", "refunds"),
        ("disputes", "e"),
        ("fees", "fees"),
    )
    linked = len(points) <= _LINKED_POINTS
    series = [
        Series(
            name=words("reports.figure.net"),
            values=_values(points, "net"),
            tone="net",
            shape="line",
            hrefs=_hrefs(asked, points, "net"),
        ),
        *(
            Series(
                name=words(f"reports.figure.{key}"),
                values=_values(points, key),
                tone=tone,
                stack="volume",
                hrefs=_hrefs(asked, points, key) if linked else (),
            )
            for key, tone in bars
            if key != "disputes" or any(_values(points, key))
        ),
    ]
    if answer.previous:
        series.append(_before(asked, answer, "net", "net"))
    chart = Chart(
        label=words("reports.volume_chart", currency=currency.upper(), days=days),
        points=_starts(points),
        grain=asked.grain,
        series=tuple(series),
        unit="money",
        currency=currency,
        point_names=_names(asked, points),
    )
    settled = [use for use in asked.uses if use.balance]
    empty: str | None = None
    if not any(use.currency == currency for use in settled):
        others = " / ".join(use.currency.upper() for use in settled[:4]) or "–"
        empty = words("reports.volume_none", currency=currency.upper(), others=others)
    return Card(
        tiles=tuple(tile(asked, answer.total(key)) for key in ("gross", "refunds", "disputes", "fees", "net")),
        small=(),
        chart=None if empty else chart,
        empty=empty,
        explanation=explain(asked, "volume", answer.snapshot, answer.known_at),
        exports=_exports(asked, "volume", words("reports.volume")),
    )


def _payments(asked: Frame, answer: Answer, days: str) -> Card:
    words, points = asked.words, answer.points
    shown: tuple[tuple[str, Tone], ...] = (("succeeded", "good"), ("failed", "bad"))
    series = [
        Series(
            name=words(f"reports.figure.{key}"),
            values=_values(points, key),
            tone=tone,
            stack="payments",
            hrefs=_hrefs(asked, points, key) if len(points) <= _LINKED_POINTS else (),
        )
        for key, tone in shown
    ]
    if answer.previous:
        series.append(_before(asked, answer, "succeeded", "good"))
    chart = Chart(
        label=words("reports.payments_chart", days=days),
        points=_starts(points),
        grain=asked.grain,
        series=tuple(series),
        point_names=_names(asked, points),
    )
    small = (tile(asked, answer.total(key)) for key in ("incomplete", "uncaptured", "processing", "canceled"))
    return Card(
        tiles=tuple(tile(asked, answer.total(key)) for key in ("success_rate", "succeeded", "failed")),
        small=tuple(one for one in small if one.value),
        chart=chart if any(point.sums for point in points) else None,
        empty=None if any(point.sums for point in points) else words("reports.none_in_period"),
        explanation=explain(asked, "payments", answer.snapshot, answer.known_at),
        exports=_exports(asked, "payments", words("reports.payments")),
    )


def _attempts(asked: Frame, answer: Answer) -> Card:
    words = asked.words
    small = (tile(asked, answer.total(key)) for key in ("pending",))
    return Card(
        tiles=tuple(
            tile(asked, answer.total(key)) for key in ("authorization_rate", "authorized", "declined", "blocked")
        ),
        small=tuple(one for one in small if one.value),
        chart=None,
        empty=None if any(point.sums for point in answer.points) else words("reports.none_in_period"),
        explanation=explain(asked, "attempts", answer.snapshot, answer.known_at),
        exports=_exports(asked, "attempts", words("reports.attempts")),
    )


def _declines(asked: Frame, answer: Answer) -> tuple[Decline, ...]:
    found = [detail for detail in answer.details if detail.part == "declined"]
    whole = sum(detail.sum.lines for detail in found)
    return tuple(
        Decline(
            code=detail.detail,
            label=reason_text(detail.detail, asked.words),
            attempts=detail.sum.lines,
            share=detail.sum.lines / whole,
            share_text=asked.words.percent(detail.sum.lines / whole),
            href=asked.rows("declined", detail=detail.detail),
        )
        for detail in found[:DECLINES]
    )


def _receivables(asked: Frame, standing: Standing) -> Receivables:
    words = asked.words
    due, overdue = standing.total("open"), standing.total("overdue")
    oldest = standing.oldest_of("open")
    late_days = -((oldest - asked.now).days) if oldest else 0
    most = max((abs(int(standing.total(age).value or 0)) for age in AGES), default=0)
    return Receivables(
        lead=words("reports.receivables_lead", moment=words.moment(asked.now)),
        tiles=tuple(tile(asked, one, words("reports.invoices_open", n=one.lines)) for one in (due, overdue)),
        oldest=oldest.astimezone(words.zone).date() if oldest else None,
        oldest_day=words.day(oldest.astimezone(words.zone).date()) if oldest else "",
        oldest_text=words("reports.oldest_days", n=late_days)
        if oldest and oldest < asked.now
        else words("reports.due_later"),
        ages=tuple(_age(asked, standing.total(age), most) for age in AGES),
        explanation=explain(asked, "receivables", standing.snapshot, standing.known_at),
        exports=_exports(asked, "rows", words("reports.receivables"), figure="open"),
    )


def _age(asked: Frame, value: Value, most: int) -> Age:
    amount = int(value.value or 0)
    return Age(
        key=value.figure,
        label=asked.words(f"reports.figure.{value.figure}"),
        invoices=value.lines,
        amount=amount,
        text=money(amount, asked),
        share=abs(amount) / most if most else 0,
        href=asked.rows(value.figure),
    )


def tile(asked: Frame, value: Value, note: str | None = None) -> Tile:
    """Show a figure with its change and a note."""
    words, figure = asked.words, FIGURES[value.figure]
    meaning = f"reports.meaning.{figure.key}"
    change = value.change
    delta = None
    if asked.against is not None and figure.topic != "receivables":
        delta = _delta(words, value)
    return Tile(
        key=figure.key,
        label=words(f"reports.figure.{figure.key}"),
        value=value.value,
        text=figure_text(asked, figure.key, value.value),
        delta=delta,
        tone="quiet" if value.good is None else "good" if value.good else "bad",
        direction=None if not change else "up" if change > 0 else "down",
        before=words("reports.previous_value", value=figure_text(asked, figure.key, value.previous))
        if value.previous is not None
        else None,
        note=note,
        href=asked.rows(figure.key),
        meaning=words(meaning) if words.has(meaning) else "",
    )


def figure_text(asked: Frame, key: str, value: int | float | None) -> str:
    """Write a figure's value in its unit."""
    unit = FIGURES[key].unit
    if unit == "ratio":
        return asked.words.percent(value)
    return money(int(value or 0), asked) if unit == "money" else asked.words.number(int(value or 0))


def _delta(words: Words, value: Value) -> str:
    if value.change is None:
        return words("reports.not_comparable") if value.value else words("reports.no_change")
    if not value.change:
        return words("reports.no_change")
    sign = "+" if value.change > 0 else "−"
    size = abs(value.change)
    if FIGURES[value.figure].unit == "ratio":
        return sign + words("reports.points", n=words.number(round(size * 100, 1)))
    return sign + words.percent(size)


def payment_row(app: App, words: Words, payment: Payment) -> PaymentRow:
    """Show one attempt."""
    card = f"{(payment.brand or '').capitalize()} •••• {payment.last4}" if payment.last4 else ""
    return PaymentRow(
        id=payment.id,
        at=payment.at,
        at_text=words.moment(payment.at),
        amount=payment.amount,
        currency=payment.currency,
        amount_text=words.money(Money(payment.amount, payment.currency)),
        state=payment.state,
        state_text=words(f"reports.payment.{payment.state}"),
        tone=STATE_TONES[payment.state],
        reason=reason_text(payment.reason, words) if payment.reason else None,
        method=card or (payment.method or "").replace("_", " "),
        customer=payment.customer_name or payment.customer or "",
        description=payment.description or "",
        stripe=in_stripe(
            app.settings.stripe_dashboard_base, payment.payment_intent or payment.id, livemode=payment.livemode
        ),
    )


def reason_text(code: str, words: Words) -> str:
    """Say in words why a payment failed; a code that Stripe made up since is shown as it is."""
    key = f"reports.reason.{code}"
    return words(key) if words.has(key) else code.replace("_", " ").capitalize()


def _values(points: Sequence[Point], key: str) -> tuple[int | float | None, ...]:
    figure = FIGURES[key]
    return tuple(point.value(figure) for point in points)


def _hrefs(asked: Frame, points: Sequence[Point], key: str) -> tuple[str | None, ...]:
    first = asked.rows(key)
    return tuple(f"{first}&at={point.bucket.days.first}" if point.sums else None for point in points)


def _starts(points: Sequence[Point]) -> tuple[str, ...]:
    return tuple(point.bucket.days.first.isoformat() for point in points)


def _names(asked: Frame, points: Sequence[Point]) -> tuple[str, ...]:
    return () if asked.grain == "day" else tuple(asked.name_of(point.bucket) for point in points)


def _before(asked: Frame, answer: Answer, key: str, tone: Tone) -> Series:
    words = asked.words
    values = [point.value(FIGURES[key]) for point in answer.previous][: len(answer.points)]
    values += [None] * (len(answer.points) - len(values))
    what = words(f"reports.compare_{asked.state.compare}").lower()
    return Series(
        name=f"{words(f'reports.figure.{key}')}, {what}", values=tuple(values), tone=tone, shape="line", dashed=True
    )


def _exports(asked: Frame, what: str, label: str, **more: str) -> Exports:
    return Exports(label, asked.export(what, "csv", **more), asked.export(what, "excel", **more))


routes = [home]
