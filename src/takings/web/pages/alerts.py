"""Alerts: what is wrong now, what was, and who was told. For administrators and standard users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath

from takings.accounts import Action
from takings.alerts import Alert, Told, advice, answered, headline
from takings.web.context import App, Flash, FromApp, FromReader, Reader, go, show

HERE: Final = "/alerts"
_SEE: Final = {"who": Action.SEE_ALERTS}
_PAST: Final = 100

Tone = Literal["good", "warn", "bad", "busy", "quiet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRow:
    """How it went to tell somebody.

    Attributes:
        text: How it stands, in words.
        answer: What the server said; None: nothing yet.
    """

    channel: str
    what: str
    text: str
    tone: Tone
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert.

    Attributes:
        headline: What is wrong, in one sentence.
        advice: What to do, or what happens by itself.
        tables: Tables concerned, where there are several.
        when: Since when, or from when to when, in words.
        href: The connection's page; None: there is none, or this reader may not see it.
        notices: How it went to tell people; empty for those who may not know.
    """

    id: str
    kind: str
    serious: bool
    headline: str
    advice: str
    tables: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime | None
    when: str
    seen_by: str | None
    href: str | None
    notices: tuple[NoticeRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPage:
    """What stands, and what is over.

    Attributes:
        unseen: Open alerts that nobody has said “seen” to.
        manages: The reader may say who is told.
    """

    open: tuple[AlertRow, ...]
    past: tuple[AlertRow, ...]
    unseen: int
    manages: bool


@get(HERE, opt=_SEE, sync_to_thread=True)
def alerts(app: FromApp, reader: FromReader) -> Response[Any]:
    """Show alerts."""
    manages = reader.may(Action.MANAGE_ALERTS)
    standing, past = app.alerts.open(), app.alerts.past(_PAST)
    told = app.alerts.told([*standing, *past]) if manages else {}
    page = AlertsPage(
        open=tuple(_row(one, reader, told.get(one.id, ())) for one in standing),
        past=tuple(_row(one, reader, told.get(one.id, ())) for one in past),
        unseen=sum(one.seen_by is None for one in standing),
        manages=manages,
    )
    return show(reader, "alerts", page)


@post(f"{HERE}/seen", opt=_SEE, sync_to_thread=True, status_code=200)
def seen_all(app: FromApp, reader: FromReader) -> Response[Any]:
    """Note that all open alerts were seen."""
    return _seen(app, reader, None)


@post(f"{HERE}/{{alert_id:str}}/seen", opt=_SEE, sync_to_thread=True, status_code=200)
def seen(app: FromApp, reader: FromReader, alert_id: FromPath[str]) -> Response[Any]:
    """Note that one alert was seen."""
    return _seen(app, reader, alert_id)


def _seen(app: App, reader: Reader, alert_id: str | None) -> Response[Any]:
    app.alerts.seen(reader.signed_in, alert_id)
    return go(HERE, Flash("success", "alerts.seen_done"))


def _row(alert: Alert, reader: Reader, told: tuple[Told, ...]) -> AlertRow:
    words = reader.words
    tables = alert.fields.get("tables")
    when = words("alerts.since", moment=words.moment(alert.opened_at))
    if alert.closed_at is not None:
        when = words("alerts.from_to", start=words.moment(alert.opened_at), end=words.moment(alert.closed_at))
    linked = alert.connection is not None and reader.may(Action.MANAGE_CONNECTIONS)
    return AlertRow(
        id=alert.id,
        kind=alert.kind,
        serious=alert.serious,
        headline=headline(alert, words),
        advice=advice(alert, words),
        tables=tuple(tables) if isinstance(tables, list) and len(tables) > 1 else (),
        opened_at=alert.opened_at,
        closed_at=alert.closed_at,
        when=when,
        seen_by=alert.seen_by,
        href=f"/admin/connections/{alert.connection}" if linked else None,
        notices=tuple(_notice(one, reader) for one in told),
    )


def _notice(told: Told, reader: Reader) -> NoticeRow:
    words = reader.words
    tone: Tone = "good"
    if told.state == "sent":
        text = words("alerts.notice_sent", moment=words.moment(told.sent_at)) if told.sent_at else ""
    elif told.state == "given_up":
        text, tone = words("alerts.notice_given_up", n=told.tries), "bad"
    elif told.tries and told.next_at is not None:
        text, tone = words("alerts.notice_waiting", n=told.tries, moment=words.moment(told.next_at)), "warn"
    else:
        text, tone = words("alerts.notice_first"), "busy"
    return NoticeRow(
        channel=told.channel,
        what=words(f"alerts.notice_{told.what}"),
        text=text,
        tone=tone,
        answer=answered(told.answer, words) if told.answer else None,
    )


routes = [alerts, seen_all, seen]
