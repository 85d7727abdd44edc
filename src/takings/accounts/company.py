"""The company's own settings, and the one-time token that protects the first set-up."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from takings.accounts.model import Company
from takings.accounts.tokens import new_token
from takings.errors import Invalid, Misconfigured
from takings.store import Store
from takings.store import schema as s
from takings.words import LOCALES


def company(store: Store) -> Company | None:
    """Return the company's settings; None until it is set up."""
    with store.read() as connection:
        row = connection.execute(sa.select(s.company)).first()
    if row is None:
        return None
    return Company(name=row.name, locale=row.locale, time_zone=row.time_zone, currency=row.currency, policy=row.policy)


def require_locale(locale: str) -> str:
    """Return a language if the product speaks it.

    Raises:
        Invalid: It does not.
    """
    if locale not in LOCALES:
        raise Invalid("accounts.locale_unknown", "Choose one of the languages offered.")
    return locale


def require_zone(name: str) -> str:
    """Return a time zone's name if it is one.

    Raises:
        Invalid: No such zone.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            "accounts.zone_unknown", "There is no such time zone: choose one of the list, such as Europe/Paris."
        ) from error
    return name


def require_currency(code: str) -> str:
    """Return a currency's code in lower case if it has the form of one.

    Raises:
        Invalid: It is not three letters.
    """
    lower = code.strip().lower()
    if len(lower) != 3 or not (lower.isascii() and lower.isalpha()):
        raise Invalid("accounts.currency_unknown", "A currency is a code of three letters, such as EUR.")
    return lower


class SetupToken:
    """The one-time token without which a stranger on the network cannot make themselves the first administrator.

    It lies in a file of the data folder that only this user may read, so that whoever starts the product can show it
    and every process can check it.

    Args:
        home: The data folder.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / "setup-token"

    def issue(self) -> str:
        """Return the token, making it at the first call.

        Raises:
            Misconfigured: The data folder cannot be written.
        """
        existing = self._read()
        if existing:
            return existing
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(new_token())
        except FileExistsError:
            pass  # another process was quicker: theirs counts
        except OSError as error:
            raise Misconfigured(
                "accounts.home_unwritable",
                f"The data folder {self._path.parent} cannot be written: give this user the right to.",
                path=str(self._path.parent),
            ) from error
        return self._read()

    def matches(self, typed: str) -> bool:
        """Tell whether somebody typed the token; never while none was issued."""
        token = self._read()
        return bool(token) and secrets.compare_digest(token.encode(), typed.strip().encode())

    def forget(self) -> None:
        """Remove the token: the product is set up."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _read(self) -> str:
        try:
            return self._path.read_text("utf-8").strip()
        except OSError:
            return ""
