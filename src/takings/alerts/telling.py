"""What is said of alerts, in either language: headlines, what to do, mails as text and HTML, and the body of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from takings.alerts.model import Alert, Fields, Notice
from takings.words import Words

_NAMED: Final = 6


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is sent, in one language.

    Attributes:
        subject: One line.
        text: For people.
        html: The same.
    """

    subject: str
    text: str
    html: str


def headline(alert: Alert, words: Words) -> str:
    """Say in one sentence what is wrong."""
    return words(f"alerts.headline.{alert.kind}", **_filled(alert, words))


def advice(alert: Alert, words: Words) -> str:
    """Say what to do about it, or what happens by itself."""
    kind, fields = alert.kind, alert.fields
    said: list[str] = []
    reason = fields.get("reason")
    if isinstance(reason, str) and reason:
        code = fields.get("reason_code")
        said.append(words.reason(code if isinstance(code, str) else None, reason))
    key = f"alerts.advice.{kind}"
    if kind == "refused" and fields.get("state") == "failed":
        key = "alerts.advice.failed"
    said.append(words(key))
    return " ".join(said)


def answered(text: str, words: Words) -> str:
    """Return what a server said as it stands, or our own sentence on why it said nothing."""
    key, colon, detail = text.partition(": ")
    if not key.startswith("alerts.unanswered.") or not words.has(key):
        return text
    return f"{words(key)} ({detail})" if colon else words(key)


def path(alert: Alert) -> str:
    """Return its place on the page of alerts, which everybody who is told of alerts may see."""
    return f"/alerts#alert-{alert.id}"


def _filled(alert: Alert, words: Words) -> dict[str, object]:
    """Return the values of a headline as they are shown: names in one line, moments and lists in the reader's way."""
    fields: Fields = alert.fields
    shown: dict[str, object] = {
        key: _one_line(value) if isinstance(value, str) else value for key, value in fields.items() if value is not None
    }
    shown["name"] = _one_line(alert.connection_name or str(fields.get("name", "")))
    for name in ("oldest", "start", "end"):
        value = fields.get(name)
        if isinstance(value, str):
            shown[name] = words.moment(datetime.fromisoformat(value))
    if not isinstance(fields.get("end"), str):
        shown["end"] = words("alerts.now")
    tables = fields.get("tables")
    if isinstance(tables, list):
        total = fields.get("n")
        shown["tables"] = named(tables, total if isinstance(total, int) else len(tables), words)
    return shown


def named(tables: Sequence[str], total: int, words: Words) -> str:
    """Name tables, the first few of many."""
    first = ", ".join(tables[:_NAMED])
    more = total - min(len(tables), _NAMED)
    return words("alerts.and_more", tables=first, n=more) if more > 0 else first


def subject(notices: Sequence[Notice], words: Words) -> str:
    """Return the subject of a message: the headline where it speaks of one alert, else how many it speaks of."""
    product = words("common.product")
    if len(notices) == 1:
        one = notices[0]
        key = "alerts.subject_opened" if one.what == "opened" else "alerts.subject_closed"
        return _one_line(words(key, product=product, headline=headline(one.alert, words)))[:200]
    opened = sum(one.what == "opened" for one in notices)
    closed = len(notices) - opened
    if not closed:
        return words("alerts.subject_opened_many", product=product, n=opened)
    if not opened:
        return words("alerts.subject_closed_many", product=product, n=closed)
    return words("alerts.subject_both", product=product, opened=opened, closed=closed)


def message(notices: Sequence[Notice], words: Words, public_url: str) -> Message:
    """Write the mail that tells of some alerts.

    Args:
        notices: What is to be said, at least one.
        words: Language and zone.
        public_url: Address under which people reach the product.
    """
    lines: list[str] = []
    parts: list[Markup] = []
    for one in notices:
        alert = one.alert
        state = words("alerts.opened" if one.what == "opened" else "alerts.closed")
        link = public_url + path(alert)
        since = words("alerts.since", moment=words.moment(alert.opened_at))
        if one.what == "closed" and alert.closed_at is not None:
            since = words("alerts.from_to", start=words.moment(alert.opened_at), end=words.moment(alert.closed_at))
        said = advice(alert, words) if one.what == "opened" else ""
        lines += [
            words("alerts.line", state=state, headline=headline(alert, words)),
            since,
            *([said] if said else []),
            link,
            "",
        ]
        colour = "#17693a" if one.what == "closed" else "#a52a18" if alert.serious else "#7d5200"
        parts.append(
            Markup(
                '<div style="border-left:4px solid {0};padding:2px 0 2px 14px;margin:0 0 20px">'
                '<p style="margin:0 0 4px;color:{0};font-weight:600">{1}</p>'
                '<p style="margin:0 0 4px;font-weight:600">{2}</p>'
                '<p style="margin:0 0 4px;color:#51605c">{3}</p>'
                "{4}"
                '<p style="margin:0"><a href="{5}" style="color:#0a6356">{6}</a></p></div>'
            ).format(
                colour,
                state,
                headline(alert, words),
                since,
                Markup('<p style="margin:0 0 4px">{}</p>').format(said) if said else "",
                link,
                words("alerts.look"),
            )
        )
    page = public_url + "/alerts"
    foot = words("alerts.mail_foot", address=page)
    return Message(
        subject=subject(notices, words),
        text="\n".join([*lines, "-- ", foot]) + "\n",
        html=_page(words, Markup("").join(parts), foot),
    )


def trial(name: str, words: Words, public_url: str) -> Message:
    """Write the mail that only shows that a channel works."""
    said = words("alerts.test_text", name=_one_line(name))
    page = public_url + "/alerts"
    return Message(
        subject=words("alerts.test_subject", product=words("common.product")),
        text=f"{said}\n{page}\n",
        html=_page(
            words,
            Markup('<p style="margin:0 0 12px">{}</p>').format(said),
            words("alerts.mail_foot", address=page),
        ),
    )


def _page(words: Words, body: Markup, foot: str) -> str:
    return str(
        Markup(
            '<!doctype html><html lang="{0}"><head><meta charset="utf-8"><title>{1}</title></head>'
            '<body style="margin:0;padding:24px;background:#f5f6f3;color:#17211f;'
            'font:16px/1.5 system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif">'
            '<div style="max-width:36rem;margin:0 auto;padding:24px;background:#ffffff;border-radius:10px">'
            '<p style="margin:0 0 20px;font-weight:700;font-size:18px">{1}</p>{2}'
            '<p style="margin:20px 0 0;font-size:13px;color:#51605c">{3}</p></div></body></html>'
        ).format(words.locale, words("common.product"), body, foot)
    )


def body(notices: Sequence[Notice], words: Words, public_url: str) -> dict[str, Any]:
    """Return what a webhook is told of some alerts, as JSON values."""
    return {
        "type": "alerts",
        "text": subject(notices, words),
        "alerts": [
            {
                "id": one.id,
                "what": one.what,
                "alert": one.alert.id,
                "kind": one.alert.kind,
                "serious": one.alert.serious,
                "connection": one.alert.connection,
                "connection_name": one.alert.connection_name,
                "subject": one.alert.subject,
                "headline": headline(one.alert, words),
                "advice": advice(one.alert, words),
                "opened_at": _utc(one.alert.opened_at),
                "closed_at": _utc(one.alert.closed_at),
                "url": public_url + path(one.alert),
            }
            for one in notices
        ],
    }


def trial_body(name: str, words: Words, public_url: str) -> dict[str, Any]:
    """Return what a webhook is sent only to show that it works."""
    return {
        "type": "test",
        "text": words("alerts.test_text", name=_one_line(name)),
        "alerts": [],
        "url": public_url + "/alerts",
    }


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """Take out whatever could end a line or a header."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
