"""Passwords: the rules for new ones, and argon2id hashes made and checked a few at a time."""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from takings.errors import Invalid

SHORTEST: Final = 12
"""Characters a new password has at least."""

LONGEST: Final = 200
"""Characters a password may have at most, so that nobody can make the server hash a novel."""

_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB: two at once bound what a crowd at the door can cost."""


class Passwords:
    """Makes and checks hashes. Safe for threads; slow on purpose (about 50 ms), so never call it on an event loop.

    Args:
        hasher: Cost of a hash; the default is argon2id with 64 MiB, three passes, four lanes (RFC 9106's second choice).
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4, type=Type.ID)
        self._nobody: str | None = None

    def make(self, password: str) -> str:
        """Return the hash to store for a password."""
        with _AT_ONCE:
            return self._hasher.hash(password)

    def check(self, stored: str | None, password: str) -> bool:
        """Tell whether a password is the one that was stored.

        Args:
            stored: The hash; None for a person that does not exist, which takes just as long and is never right.
            password: What was typed.
        """
        if len(password) > LONGEST:
            return False
        if stored is None:
            self._nobody = self._nobody or self.make("nobody has this password")
        with _AT_ONCE:
            try:
                self._hasher.verify(stored or self._nobody or "", password)
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_dated(self, stored: str) -> bool:
        """Tell whether a hash was made with lower costs than today's, so that it is made anew at the next sign-in."""
        return self._hasher.check_needs_rehash(stored)


def require_good(password: str, email: str) -> str:
    """Return a new password if it keeps the rules: 12 to 200 characters, not one repeated, not the e-mail address.

    Raises:
        Invalid: It is too short, too long, one character over and over, or the address itself.
    """
    if len(password) < SHORTEST:
        raise Invalid("accounts.password_short", f"The password needs at least {SHORTEST} characters.", least=SHORTEST)
    if len(password) > LONGEST:
        raise Invalid("accounts.password_long", f"The password may have at most {LONGEST} characters.", most=LONGEST)
    if len(set(password)) < 4:
        raise Invalid("accounts.password_simple", "The password repeats the same few characters: choose another one.")
    typed, address = password.casefold(), email.casefold()
    if typed in (address, address.partition("@")[0]):
        raise Invalid("accounts.password_is_email", "The password cannot be the e-mail address: choose another one.")
    return password
