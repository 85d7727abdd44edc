"""The webhook of a connection: how to set one up in Stripe, its signing secrets, and what was delivered last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from takings.connections import Delivery
from takings.connections.webhooks import address
from takings.errors import Invalid
from takings.settings import Settings, is_loopback
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages.connections_parts import ADMIN, HOME, connections_of, duration
from takings.words import Words

_SHOWN: Final = 50
_TONES: Final = {"waiting": "busy", "handled": "good", "ignored": "quiet", "let_go": "quiet"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRow:
    """A signing secret: all that is ever shown of it.

    Attributes:
        ending: Its last four characters.
    """

    id: str
    ending: str
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """An event that was delivered.

    Attributes:
        href: Its page in Stripe's dashboard.
        times: How often it came.
    """

    event_id: str
    event_type: str
    href: str
    received_at: datetime
    state: str
    state_text: str
    tone: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPage:
    """The webhook of one connection.

    Attributes:
        url: What to paste in Stripe.
        base: The product's own address in front of it.
        public: Stripe may reach that address.
        every: Time between two looks at Stripe's events, in words.
        stripe_page: Stripe's page of webhooks.
        waiting: Events that were delivered and not made use of yet.
        let_go: What is to be said of those that were let go since too many waited; None: there are none.
        problem: What is wrong with the secret just typed; None: nothing.
    """

    connection_id: str
    connection_name: str
    url: str
    base: str
    public: bool
    every: str
    api_version: str
    stripe_page: str
    secrets: tuple[SecretRow, ...]
    deliveries: tuple[DeliveryRow, ...]
    waiting: int
    let_go: str | None
    problem: str | None


@get(f"{HOME}/{{connection_id:str}}/webhook", opt=ADMIN, sync_to_thread=True)
def webhook(app: FromApp, reader: FromReader, connection_id: FromPath[str]) -> Response[Any]:
    """Show it."""
    return show(reader, "connections_webhook", _page(app, reader, connection_id))


@post(f"{HOME}/{{connection_id:str}}/webhook/add", opt=ADMIN, sync_to_thread=True)
def add(app: FromApp, reader: FromReader, form: FromForm, connection_id: FromPath[str]) -> Response[Any]:
    """Accept what is signed with one more secret."""
    try:
        made = app.signing.add(reader.signed_in, connection_id, form.get("secret", ""))
    except Invalid as error:
        page = _page(app, reader, connection_id, reader.words.error(error))
        return show(reader, "connections_webhook", page, status=error.http_status)
    return _back(connection_id, "webhooks.added", made.ending)


@post(f"{HOME}/{{connection_id:str}}/webhook/{{secret_id:str}}/remove", opt=ADMIN, sync_to_thread=True)
def remove(app: FromApp, reader: FromReader, connection_id: FromPath[str], secret_id: FromPath[str]) -> Response[Any]:
    """Accept nothing signed with a secret any more."""
    gone = app.signing.remove(reader.signed_in, connection_id, secret_id)
    return _back(connection_id, "webhooks.removed", gone.ending)


def _page(app: App, reader: Reader, connection_id: str, problem: str | None = None) -> WebhookPage:
    connection = connections_of(app).get(connection_id)
    base = app.settings.stripe_dashboard_base + ("" if connection.livemode else "/test")
    return WebhookPage(
        connection_id=connection.id,
        connection_name=connection.name,
        url=address(app.settings, connection.id),
        base=app.settings.public_url,
        public=_is_public(app.settings),
        every=duration(timedelta(seconds=app.settings.follow_every_seconds), reader.words),
        api_version=app.catalog.api_version,
        stripe_page=f"{base}/webhooks",
        secrets=tuple(
            SecretRow(id=one.id, ending=one.ending, added_at=one.added_at) for one in app.signing.all(connection_id)
        ),
        deliveries=tuple(_row(one, base, reader.words) for one in app.deliveries.recent(connection_id, _SHOWN)),
        waiting=app.deliveries.pending(connection_id),
        let_go=_let_go(app, reader.words, connection_id),
        problem=problem,
    )


def _let_go(app: App, words: Words, connection_id: str) -> str | None:
    gone = app.deliveries.let_go(connection_id)
    if gone is None:
        return None
    return words("webhooks.let_go", n=gone.events, since=words.moment(gone.since), until=words.moment(gone.until))


def _row(one: Delivery, base: str, words: Words) -> DeliveryRow:
    return DeliveryRow(
        event_id=one.event_id,
        event_type=one.event_type,
        href=f"{base}/events/{one.event_id}",
        received_at=one.received_at,
        state=one.state,
        state_text=words(f"webhooks.state_{one.state}"),
        tone=_TONES[one.state],
        times=one.times,
    )


def _is_public(settings: Settings) -> bool:
    """Tell whether the address may be one that Stripe reaches: it delivers to https only, and not to this machine."""
    return settings.public_url.startswith("https://") and not is_loopback(settings.public_url)


def _back(connection_id: str, key: str, ending: str) -> Response[Any]:
    return go(f"{HOME}/{connection_id}/webhook", Flash("success", key, {"ending": ending}))


routes = [webhook, add, remove]
