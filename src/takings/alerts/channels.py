"""Channels: where people are told, checked when they are entered, their settings sealed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgspec
import sqlalchemy as sa

from takings.accounts import Action, Audit, Person, require
from takings.alerts.book import note_answer
from takings.alerts.model import Answer, Channel, Encryption, HookSettings, MailSettings, Way
from takings.clock import Clock
from takings.errors import Invalid, NotFound
from takings.settings import is_loopback
from takings.store import Store, Vault
from takings.store import schema as s
from takings.words import LOCALES

MOST_RECIPIENTS: Final = 50
_MOST_CHANNELS: Final = 50
_PORTS: Final[Mapping[Encryption, int]] = {"starttls": 587, "tls": 465, "none": 25}
#: One address: nothing that could end a header or a command of the mail server.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]{2,45}\]?")


class Channels:
    """The ways in which people are told.

    Each act takes the person who does it, who needs ``Action.MANAGE_ALERTS``; ``None`` is the command line. Every act
    is in the audit trail.

    Args:
        store: The product's own database.
        vault: Seals passwords, addresses of webhooks and signing secrets.
        clock: Tells the time.
        audit: The trail.
    """

    def __init__(self, store: Store, vault: Vault, clock: Clock, audit: Audit) -> None:
        self._store, self._vault, self._clock, self._audit = store, vault, clock, audit

    def all(self) -> list[Channel]:
        """Return every channel, by name."""
        c, n = s.channels.c, s.notices.c
        waiting = (
            sa.select(n.channel_id, sa.func.count().label("n"))
            .where(n.state == "waiting")
            .group_by(n.channel_id)
            .subquery()
        )
        with self._store.read() as db:
            rows = db.execute(
                sa.select(s.channels, sa.func.coalesce(waiting.c.n, 0).label("waiting"))
                .outerjoin(waiting, waiting.c.channel_id == c.id)
                .order_by(sa.func.lower(c.name))
            ).all()
        return [self._channel(row) for row in rows]

    def get(self, channel_id: str) -> Channel:
        """Return one channel.

        Raises:
            NotFound: There is none with this id.
        """
        found = next((one for one in self.all() if one.id == channel_id), None)
        if found is None:
            raise _no_such()
        return found

    def named(self, name: str) -> Channel:
        """Return the channel that a person names, by name or id.

        Raises:
            NotFound: There is none; the sentence lists the names there are.
        """
        every = self.all()
        for one in every:
            if one.name == name or one.id == name:
                return one
        for one in every:
            if one.name.casefold() == name.casefold():
                return one
        names = ", ".join(f"“{one.name}”" for one in every) or "none yet: add one in the browser, Admin > Alerts"
        raise NotFound("alerts.unknown_channel", f"No channel is called “{name}”. There are: {names}.", name=name)

    def settings(self, channel_id: str) -> MailSettings | HookSettings:
        """Return what a channel needs to speak, secrets included: for sending only.

        Raises:
            NotFound: There is none with this id.
            Misconfigured: No key at hand opens them.
        """
        c = s.channels.c
        with self._store.read() as db:
            row = db.execute(sa.select(c.kind, c.settings).where(c.id == channel_id)).first()
        if row is None:
            raise _no_such()
        return _of_sealed(row.kind, self._vault.unseal(row.settings))

    def add(self, by: Person | None, kind: str, form: Mapping[str, str]) -> tuple[Channel, str | None]:
        """Add a channel.

        Args:
            by: Who does it.
            kind: ``mail`` or ``webhook``.
            form: What was entered: ``name``, ``locale``, and ``host``, ``port``, ``encryption``, ``user``, ``password``,
                ``sender``, ``recipients``; or ``url``.

        Returns:
            The channel, and of a webhook the secret its messages are signed with: it is shown this once.

        Raises:
            Invalid: Something entered cannot be used.
            NotAllowed: The person's role does not permit it.
        """
        self._require(by)
        if kind not in ("mail", "webhook"):
            raise Invalid("alerts.kind_unknown", "Choose mail or webhook.")
        settings = read_mail(form) if kind == "mail" else read_hook(form, None, new_secret=True)
        channel_id, name = secrets.token_hex(8), _name(form)
        try:
            with self._store.write() as db:
                if (db.execute(sa.select(sa.func.count()).select_from(s.channels)).scalar() or 0) >= _MOST_CHANNELS:
                    raise Invalid("alerts.too_many_channels", "There are 50 channels already: delete one first.")
                db.execute(
                    sa.insert(s.channels).values(
                        id=channel_id,
                        kind=kind,
                        name=name,
                        settings=self._vault.seal(msgspec.to_builtins(settings)),
                        locale=_locale(form),
                        created_at=self._clock.now(),
                    )
                )
                self._audit.record_in(db, by, "channel.added", name, kind=kind)
        except sa.exc.IntegrityError as error:
            raise _taken(name) from error
        return self.get(channel_id), settings.secret if isinstance(settings, HookSettings) else None

    def change(self, by: Person | None, channel_id: str, form: Mapping[str, str]) -> tuple[Channel, str | None]:
        """Change a channel; an empty password or address stays as it was. What waits is tried again at once.

        Args:
            by: Who does it.
            channel_id: Which.
            form: As :meth:`add`; ``new_secret`` makes a new secret for a webhook.

        Returns:
            As :meth:`add`; None where the secret stays.

        Raises:
            Invalid: Something entered cannot be used.
            NotFound: There is no such channel.
        """
        self._require(by)
        before, kept = self.get(channel_id), self.settings(channel_id)
        settings: MailSettings | HookSettings
        if isinstance(kept, MailSettings):
            settings = read_mail(form, kept)
        else:
            settings = read_hook(form, kept, new_secret=bool(form.get("new_secret")))
        name, now, n = _name(form), self._clock.now(), s.notices.c
        try:
            with self._store.write() as db:
                db.execute(
                    sa.update(s.channels)
                    .where(s.channels.c.id == channel_id)
                    .values(
                        name=name,
                        settings=self._vault.seal(msgspec.to_builtins(settings)),
                        locale=_locale(form),
                        answer=None,
                        failed=False,
                    )
                )
                db.execute(
                    sa.update(s.notices)
                    .where(n.channel_id == channel_id, n.state == "waiting", n.next_at > now)
                    .values(next_at=now)
                )
                self._audit.record_in(db, by, "channel.changed", name, kind=before.kind)
        except sa.exc.IntegrityError as error:
            raise _taken(name) from error
        renewed = (
            isinstance(settings, HookSettings) and isinstance(kept, HookSettings) and settings.secret != kept.secret
        )
        return self.get(channel_id), settings.secret if renewed and isinstance(settings, HookSettings) else None

    def disable(self, by: Person | None, channel_id: str) -> Channel:
        """Make a channel silent: what waits is not said any more.

        Raises:
            NotFound: There is no such channel.
        """
        self._require(by)
        channel, n = self.get(channel_id), s.notices.c
        with self._store.write() as db:
            db.execute(sa.update(s.channels).where(s.channels.c.id == channel_id).values(disabled_at=self._clock.now()))
            db.execute(
                sa.update(s.notices)
                .where(n.channel_id == channel_id, n.state == "waiting")
                .values(state="given_up", next_at=None)
            )
            self._audit.record_in(db, by, "channel.disabled", channel.name)
        return channel

    def enable(self, by: Person | None, channel_id: str) -> Channel:
        """Let a channel speak again, of what comes from now on.

        Raises:
            NotFound: There is no such channel.
        """
        self._require(by)
        channel = self.get(channel_id)
        with self._store.write() as db:
            db.execute(sa.update(s.channels).where(s.channels.c.id == channel_id).values(disabled_at=None))
            self._audit.record_in(db, by, "channel.enabled", channel.name)
        return channel

    def delete(self, by: Person | None, channel_id: str) -> Channel:
        """Delete a channel with its settings and what was said over it.

        Raises:
            NotFound: There is no such channel.
        """
        self._require(by)
        channel = self.get(channel_id)
        with self._store.write() as db:
            db.execute(sa.delete(s.channels).where(s.channels.c.id == channel_id))
            self._audit.record_in(db, by, "channel.deleted", channel.name)
        return channel

    def note(self, channel_id: str, answer: Answer, now: datetime) -> None:
        """Keep what a channel's server said last."""
        with self._store.write() as db:
            note_answer(db, channel_id, answer, now)

    def _channel(self, row: sa.Row[Any]) -> Channel:
        settings = _of_sealed(row.kind, self._vault.unseal(row.settings))
        return Channel(
            id=row.id,
            kind=row.kind,
            name=row.name,
            target=target(settings),
            locale=row.locale,
            created_at=row.created_at,
            disabled_at=row.disabled_at,
            used_at=row.used_at,
            answer=row.answer,
            failed=row.failed,
            waiting=int(row.waiting),
        )

    @staticmethod
    def _require(by: Person | None) -> None:
        if by is not None:
            require(by, Action.MANAGE_ALERTS)


def target(settings: MailSettings | HookSettings) -> str:
    """Return where a channel leads, as it may be shown: a webhook's path may be a secret and is left out."""
    if isinstance(settings, MailSettings):
        return ", ".join(settings.recipients)
    parts = urlsplit(settings.url)
    return f"{parts.scheme}://{parts.netloc}/{'…' if parts.path.strip('/') or parts.query else ''}"


def read_mail(form: Mapping[str, str], kept: MailSettings | None = None) -> MailSettings:
    """Read what was entered for mail; an empty password stays as it was, for the same server and user.

    Raises:
        Invalid: Something cannot be used; the sentence says what.
    """
    host = form.get("host", "").strip()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise Invalid("alerts.host_form", "Give the mail server’s name, such as smtp.example.com.")
    encryption = form.get("encryption", "")
    if encryption not in _PORTS:
        raise Invalid("alerts.encryption_unknown", "Choose how the connection to the mail server is encrypted.")
    encryption = cast(Encryption, encryption)
    port = form.get("port", "").strip() or str(_PORTS[encryption])
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise Invalid("alerts.port_form", "The port is a number between 1 and 65535: 587 with STARTTLS, 465 with TLS.")
    user, password = form.get("user", "").strip(), form.get("password", "")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in user + password):
        raise Invalid("alerts.password_form", "The user or the password holds characters that cannot be sent.")
    if user and not password and kept is not None and (kept.host, kept.user) == (host, user):
        password = kept.password
    if user and not password:
        raise Invalid("alerts.password_missing", "Give the password of this user, or leave both empty.")
    if user and encryption == "none" and not is_loopback(f"smtp://{host}"):
        raise Invalid(
            "alerts.password_in_clear", "A password is sent over an encrypted connection only: choose STARTTLS or TLS."
        )
    recipients = tuple(dict.fromkeys(one for one in re.split(r"[\s,;]+", form.get("recipients", "")) if one))
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise Invalid("alerts.recipients_missing", "Give between 1 and 50 recipients, separated by commas.")
    return MailSettings(
        host=host.strip("[]"),
        port=int(port),
        encryption=encryption,
        user=user,
        password=password if user else "",
        sender=_address(form.get("sender", "")),
        recipients=tuple(map(_address, recipients)),
    )


def read_hook(form: Mapping[str, str], kept: HookSettings | None, *, new_secret: bool) -> HookSettings:
    """Read what was entered for a webhook; an empty address stays as it was.

    Raises:
        Invalid: It is no address that a message may be sent to.
    """
    url = form.get("url", "").strip()
    if not url and kept is not None:
        url = kept.url
    wrong = Invalid(
        "alerts.url_form",
        "The address must begin with https:// (plain http:// only for this machine itself) and hold no user, no "
        "password and no fragment.",
    )
    try:
        parts = urlsplit(url)
        fits = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise wrong from error
    if (
        not fits
        or len(url) > 2000
        or not url.isascii()
        or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url)
        or "\\" in url
        or "@" in parts.netloc
        or parts.fragment
        or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))
    ):
        raise wrong
    secret = kept.secret if kept is not None and not new_secret else f"whsec_{secrets.token_hex(24)}"
    return HookSettings(url=url, secret=secret)


def _of_sealed(kind: Way, values: dict[str, Any]) -> MailSettings | HookSettings:
    if kind == "mail":
        return msgspec.convert(values, MailSettings)
    return msgspec.convert(values, HookSettings)


def _name(form: Mapping[str, str]) -> str:
    name = " ".join(form.get("name", "").split())
    if not name or len(name) > 100 or not name.isprintable():
        raise Invalid("alerts.name_missing", "Give the channel a name of 1 to 100 characters.")
    return name


def _locale(form: Mapping[str, str]) -> str:
    locale = form.get("locale", "")
    if locale not in LOCALES:
        raise Invalid("alerts.locale_unknown", "Choose one of the languages offered.")
    return locale


def _address(text: str) -> str:
    address = text.strip()
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise Invalid(
            "alerts.address_form",
            "This is not a mail address: it should read like name@example.com.",
            address=address[:80],
        )
    return address


def _taken(name: str) -> Invalid:
    return Invalid("alerts.name_taken", "There is a channel with this name already: choose another.", name=name)


def _no_such() -> NotFound:
    return NotFound("alerts.no_channel", "There is no such channel any more: go back to the list.")
