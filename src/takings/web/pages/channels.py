"""Admin > Alerts: who is told of alerts: mail and webhooks added, changed, tested, silenced, deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from litestar import Response, get, post
from litestar.params import FromPath

from takings.accounts import Action
from takings.alerts import Answer, Channel, MailSettings, answered
from takings.errors import Invalid, NotFound
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages.alerts import Tone
from takings.words import LOCALES

HERE: Final = "/admin/alerts"
_ADMIN: Final = {"who": Action.MANAGE_ALERTS}
_KINDS: Final = ("mail", "webhook")
_ENCRYPTIONS: Final = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """One channel.

    Attributes:
        target: Where it leads, without what may be a secret.
        state: How it stands, in words; ``tone`` is its colour.
        used: When something was last sent over it, in words; None: never.
    """

    id: str
    kind: str
    name: str
    target: str
    disabled: bool
    state: str
    tone: Tone
    used: str | None
    answer: str | None
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsPage:
    """Who is told.

    Attributes:
        tested: Name of the channel that was tested just now; None: none was.
        answer: What its server said.
        secret: The signing secret of ``secret_of``, made just now: it is shown this once.
    """

    channels: tuple[ChannelRow, ...]
    tested: str | None = None
    answer: Answer | None = None
    secret: str | None = field(default=None, repr=False)
    secret_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPage:
    """The form of one channel.

    Attributes:
        id: The channel that is changed; None: a new one.
        title: What is done, in words.
        form: What stands in the fields; never a password nor a webhook's address.
        target: Where the webhook leads now, as far as it may be shown; None: nowhere yet.
        has_password: A password is stored.
        error: Why it did not work, in the reader's language.
    """

    id: str | None
    kind: Literal["mail", "webhook"]
    title: str
    form: Mapping[str, str]
    encryptions: tuple[str, ...] = _ENCRYPTIONS
    locales: tuple[str, ...] = LOCALES
    target: str | None = None
    has_password: bool = False
    error: str | None = None


@get(HERE, opt=_ADMIN, sync_to_thread=True)
def channels(app: FromApp, reader: FromReader) -> Response[Any]:
    """Show everybody who is told."""
    return show(reader, "channels", _page(app, reader))


@get(f"{HERE}/new/{{kind:str}}", opt=_ADMIN, sync_to_thread=True)
def ask(app: FromApp, reader: FromReader, kind: FromPath[str]) -> Response[Any]:
    """Show an empty form."""
    firm = reader.company
    form = {"encryption": "starttls", "locale": firm.locale if firm else reader.locale}
    return show(reader, "channel", _new(reader, kind, form))


@post(f"{HERE}/new/{{kind:str}}", opt=_ADMIN, sync_to_thread=True, status_code=200)
def add(app: FromApp, reader: FromReader, form: FromForm, kind: FromPath[str]) -> Response[Any]:
    """Add a channel; a webhook's secret is shown this once."""
    page = _new(reader, kind, form)
    try:
        channel, secret = app.alerts.channels.add(reader.signed_in, kind, form)
    except Invalid as error:
        return show(reader, "channel", _wrong(page, reader, error), status=error.http_status)
    return _done(app, reader, channel, secret, "alerts.added")


@get(f"{HERE}/{{channel_id:str}}", opt=_ADMIN, sync_to_thread=True)
def edit(app: FromApp, reader: FromReader, channel_id: FromPath[str]) -> Response[Any]:
    """Show a channel's form."""
    return show(reader, "channel", _existing(app, reader, channel_id))


@post(f"{HERE}/{{channel_id:str}}", opt=_ADMIN, sync_to_thread=True, status_code=200)
def change(app: FromApp, reader: FromReader, form: FromForm, channel_id: FromPath[str]) -> Response[Any]:
    """Change a channel."""
    page = _existing(app, reader, channel_id, form)
    try:
        channel, secret = app.alerts.channels.change(reader.signed_in, channel_id, form)
    except Invalid as error:
        return show(reader, "channel", _wrong(page, reader, error), status=error.http_status)
    return _done(app, reader, channel, secret, "alerts.changed")


@post(f"{HERE}/{{channel_id:str}}/test", opt=_ADMIN, sync_to_thread=True, status_code=200)
def test(app: FromApp, reader: FromReader, channel_id: FromPath[str]) -> Response[Any]:
    """Send a test, and show what the server said."""
    channel = app.alerts.channels.get(channel_id)
    answer = app.alerts.test(reader.signed_in, channel_id)
    return show(reader, "channels", _page(app, reader, tested=channel.name, answer=answer))


@post(f"{HERE}/{{channel_id:str}}/disable", opt=_ADMIN, sync_to_thread=True, status_code=200)
def disable(app: FromApp, reader: FromReader, channel_id: FromPath[str]) -> Response[Any]:
    """Make a channel silent."""
    return _acted(lambda: app.alerts.channels.disable(reader.signed_in, channel_id), "alerts.disabled")


@post(f"{HERE}/{{channel_id:str}}/enable", opt=_ADMIN, sync_to_thread=True, status_code=200)
def enable(app: FromApp, reader: FromReader, channel_id: FromPath[str]) -> Response[Any]:
    """Let a channel speak again."""
    return _acted(lambda: app.alerts.channels.enable(reader.signed_in, channel_id), "alerts.enabled")


@post(f"{HERE}/{{channel_id:str}}/delete", opt=_ADMIN, sync_to_thread=True, status_code=200)
def delete(app: FromApp, reader: FromReader, channel_id: FromPath[str]) -> Response[Any]:
    """Delete a channel."""
    return _acted(lambda: app.alerts.channels.delete(reader.signed_in, channel_id), "alerts.deleted")


def _acted(act: Callable[[], Channel], key: str) -> Response[Any]:
    return go(HERE, Flash("success", key, {"name": act().name}))


def _done(app: App, reader: Reader, channel: Channel, secret: str | None, key: str) -> Response[Any]:
    if secret is None:
        return go(HERE, Flash("success", key, {"name": channel.name}))
    return show(reader, "channels", _page(app, reader, secret=secret, secret_of=channel.name))


def _page(
    app: App,
    reader: Reader,
    *,
    tested: str | None = None,
    answer: Answer | None = None,
    secret: str | None = None,
    secret_of: str | None = None,
) -> ChannelsPage:
    return ChannelsPage(
        channels=tuple(_row(one, reader) for one in app.alerts.channels.all()),
        tested=tested,
        answer=Answer(answer.ok, answered(answer.text, reader.words)) if answer else None,
        secret=secret,
        secret_of=secret_of,
    )


def _row(channel: Channel, reader: Reader) -> ChannelRow:
    words = reader.words
    tone: Tone = "good"
    if channel.disabled_at is not None:
        state, tone = words("alerts.state_disabled"), "quiet"
    elif channel.failed:
        state, tone = words("alerts.state_failed"), "bad"
    elif channel.used_at is None:
        state, tone = words("alerts.state_new"), "quiet"
    else:
        state = words("alerts.state_good")
    return ChannelRow(
        id=channel.id,
        kind=channel.kind,
        name=channel.name,
        target=channel.target,
        disabled=channel.disabled_at is not None,
        state=state,
        tone=tone,
        used=words.moment(channel.used_at) if channel.used_at else None,
        answer=answered(channel.answer, words) if channel.answer else None,
        waiting=channel.waiting,
    )


def _new(reader: Reader, kind: str, form: Mapping[str, str]) -> ChannelPage:
    if kind not in _KINDS:
        raise NotFound("web.no_page", "There is no such page.")
    return ChannelPage(
        id=None,
        kind="mail" if kind == "mail" else "webhook",
        title=reader.words("alerts.add_mail" if kind == "mail" else "alerts.add_webhook"),
        form=_shown(form),
    )


def _existing(app: App, reader: Reader, channel_id: str, form: Mapping[str, str] | None = None) -> ChannelPage:
    channel, settings = app.alerts.channels.get(channel_id), app.alerts.channels.settings(channel_id)
    kept = {"name": channel.name, "locale": channel.locale}
    if isinstance(settings, MailSettings):
        kept |= {
            "host": settings.host,
            "port": str(settings.port),
            "encryption": settings.encryption,
            "user": settings.user,
            "sender": settings.sender,
            "recipients": ", ".join(settings.recipients),
        }
    return ChannelPage(
        id=channel.id,
        kind=channel.kind,
        title=reader.words("alerts.edit_title", name=channel.name),
        form=_shown(form if form is not None else kept),
        target=None if isinstance(settings, MailSettings) else channel.target,
        has_password=isinstance(settings, MailSettings) and bool(settings.password),
    )


def _wrong(page: ChannelPage, reader: Reader, error: Invalid) -> ChannelPage:
    return ChannelPage(
        id=page.id,
        kind=page.kind,
        title=page.title,
        form=page.form,
        target=page.target,
        has_password=page.has_password,
        error=reader.words.error(error),
    )


def _shown(form: Mapping[str, str]) -> dict[str, str]:
    """Return what stands in the fields: everything but secrets, which are typed anew."""
    names = ("name", "locale", "host", "port", "encryption", "user", "sender", "recipients")
    return {name: form.get(name, "") for name in names}


routes = [channels, ask, add, edit, change, test, disable, enable, delete]
