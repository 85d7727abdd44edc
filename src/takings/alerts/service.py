"""Alerts: everything about them, put together for pages, commands and whoever watches."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from typing import Final

from takings.accounts import Action, Audit, Person, company, require
from takings.alerts import hook, mail, telling
from takings.alerts.book import AlertBook
from takings.alerts.channels import Channels
from takings.alerts.figures import Figures
from takings.alerts.model import Alert, Answer, Bell, Budgets, Channel, HookSettings, MailSettings, Notice, Told
from takings.alerts.watch import Watch
from takings.clock import Clock
from takings.errors import Misconfigured
from takings.settings import Settings
from takings.store import Store, Vault
from takings.words import Words

#: For so long a page may show what another process has changed meanwhile.
_BELL_S: Final = 5.0


class Alerts:
    """What is wrong, who is told of it, and over what.

    Reading is open to whoever holds this object; acts take the person who does them, ``None`` being the program's own
    command line.

    Attributes:
        channels: The ways in which people are told.

    Args:
        store: The product's own database.
        vault: Seals the settings of channels.
        settings: The public address, and the promise that data are no older than.
        clock: Tells the time.
        audit: Acts are recorded there.
        budgets: Tells what a connection may still ask of Stripe; None: budgets are left out.
    """

    def __init__(
        self, store: Store, vault: Vault, settings: Settings, clock: Clock, audit: Audit, budgets: Budgets | None = None
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._book = AlertBook(store, clock)
        self._budgets = budgets
        self._mutex = threading.Lock()
        self._bell: tuple[float, Bell] | None = None
        self.channels = Channels(store, vault, clock, audit)

    def watch(self) -> Watch:
        """Return what keeps looking for troubles and tells of them, for a process that runs for long."""
        return Watch(self._store, self._book, self._settings, self._clock, self.send, self._budgets)

    def figures(self) -> Figures:
        """Return the figures for Prometheus."""
        return Figures(self._store, self._clock, self._budgets)

    def open(self) -> list[Alert]:
        """Return the alerts that stand, the gravest first, then the newest."""
        return self._book.open()

    def past(self, limit: int = 100) -> list[Alert]:
        """Return the alerts that are over, the newest first."""
        return self._book.past(limit)

    def told(self, alerts: Sequence[Alert]) -> dict[str, tuple[Told, ...]]:
        """Return how it went to tell of alerts, by id of the alert."""
        return self._book.told([one.id for one in alerts])

    def bell(self) -> Bell:
        """Return what every page shows, at most :data:`_BELL_S` seconds old.

        Raises:
            Unavailable: The store is away.
        """
        now = self._clock.monotonic()
        with self._mutex:
            if self._bell is not None and now - self._bell[0] < _BELL_S:
                return self._bell[1]
        bell = self._book.bell()
        with self._mutex:
            self._bell = (now, bell)
        return bell

    def seen(self, by: Person, alert_id: str | None) -> int:
        """Note that somebody has seen an open alert, or all of them (None): pages remind of it no more.

        Returns:
            How many nobody had seen before.

        Raises:
            NotAllowed: The person's role does not permit it.
        """
        require(by, Action.SEE_ALERTS)
        done = self._book.seen(alert_id, by.name)
        with self._mutex:
            self._bell = None
        return done

    def test(self, by: Person | None, channel_id: str) -> Answer:
        """Send something over a channel to show that it works; silent channels speak too.

        Returns:
            What its server said.

        Raises:
            NotAllowed: The person's role does not permit it.
            NotFound: There is no such channel.
        """
        if by is not None:
            require(by, Action.MANAGE_ALERTS)
        channel = self.channels.get(channel_id)
        answer = self._say(channel, (), f"test-{secrets.token_hex(8)}")
        self.channels.note(channel_id, answer, self._clock.now())
        return answer

    def send(self, channel_id: str, notices: Sequence[Notice]) -> Answer:
        """Say something of alerts over a channel, in one message, and return what its server said.

        Raises:
            NotFound: There is no such channel.
        """
        # The same notices make the same id, so that a receiver can tell a repetition.
        return self._say(self.channels.get(channel_id), notices, notices[0].id)

    def _say(self, channel: Channel, notices: Sequence[Notice], message_id: str) -> Answer:
        firm = company(self._store)
        words, url, now = (
            Words(channel.locale, firm.time_zone if firm else "UTC"),
            self._settings.public_url,
            self._clock.now(),
        )
        try:
            settings = self.channels.settings(channel.id)
        except Misconfigured as error:
            return Answer(False, f"alerts.unanswered.sealed: {error.code}")
        if isinstance(settings, MailSettings):
            letter = telling.message(notices, words, url) if notices else telling.trial(channel.name, words, url)
            return mail.send(settings, letter, f"takings-{message_id}", now)
        assert isinstance(settings, HookSettings)
        values = telling.body(notices, words, url) if notices else telling.trial_body(channel.name, words, url)
        return hook.send(settings, values, message_id, now)
