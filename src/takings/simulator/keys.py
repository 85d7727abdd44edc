"""Keys: who a request speaks for, what it may read, and Stripe's words when it may not."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from takings.simulator.endpoints import permission
from takings.simulator.replies import Reply, error

Kind = Literal["rk", "sk"]

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CHALLENGE = ((b"www-authenticate", b'Basic realm="Stripe"'),)


class Key(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a key or an access token opens."""

    secret: str
    account: str
    livemode: bool
    #: Permissions without ``rak_`` and ``_read`` (``charge``); None reads everything.
    permissions: frozenset[str] | None = None
    #: Simulated Unix seconds after which it is expired.
    expires_at: float | None = None
    revoked: bool = False
    #: Grant it was issued for, where OAuth did.
    grant: str | None = None
    #: Accounts it reads through ``Stripe-Account``, beside its own.
    connected: frozenset[str] = frozenset()
    #: Key of an organisation: it has no account of its own and reads ``connected`` through ``Stripe-Context``.
    organization: bool = False


class Caller(msgspec.Struct, frozen=True):
    """Who a request speaks for."""

    key: Key
    account: str
    livemode: bool
    #: The account whose rate the request counts against: a platform's, for all that are connected to it.
    pool: str


def derived(seed: int, purpose: str, length: int = 24) -> str:
    """Make a token that is the same at each start: letters and digits from the seed and what it is for."""
    number = int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest())
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[rest])
    return "".join(letters)


def fresh(length: int = 24) -> str:
    """Make a token that nobody can guess."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def masked(secret: str) -> str:
    """Show what Stripe shows of a key: its kind and its last four letters."""
    head, _, tail = secret.rpartition("_")
    shown = f"{head}_" if head in {"rk_live", "rk_test", "sk_live", "sk_test", "pk_live", "pk_test"} else ""
    return f"{shown}***{tail[-4:]}" if len(tail) >= 12 else f"{shown}***"


class Keyring:
    """All keys there are.

    Args:
        now: Gives the simulated moment in Unix seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self._keys: dict[str, Key] = {}
        #: Accounts that every key of a platform reaches, by the platform's id and mode.
        self.connected: dict[tuple[str, bool], frozenset[str]] = {}

    def add(self, key: Key) -> Key:
        """Put a key on the ring."""
        self._keys[key.secret] = key
        return key

    def create(
        self,
        account: str,
        livemode: bool,
        *,
        kind: Kind = "rk",
        secret: str | None = None,
        permissions: Iterable[str] | None = None,
        expires_at: float | None = None,
        grant: str | None = None,
        connected: Iterable[str] = (),
        organization: bool = False,
    ) -> Key:
        """Make a key; without ``secret`` it is a new one. Permissions as ``charge`` or ``rak_charge_read``."""
        return self.add(
            Key(
                secret=secret
                or f"{'sk_org' if organization else kind}_{'live' if livemode else 'test'}_51Sim{fresh()}",
                account=account,
                livemode=livemode,
                permissions=None if permissions is None else frozenset(map(_bare, permissions)),
                expires_at=expires_at,
                grant=grant,
                connected=frozenset(connected),
                organization=organization,
            )
        )

    def get(self, secret: str) -> Key:
        """Return a key.

        Raises:
            KeyError: There is none.
        """
        return self._keys[secret]

    def of_grant(self, grant: str) -> list[Key]:
        """Return the keys issued for an OAuth grant."""
        return [key for key in self._keys.values() if key.grant == grant]

    def all(self) -> list[Key]:
        """Return every key."""
        return list(self._keys.values())

    def permit(self, secret: str, permissions: Iterable[str] | None) -> None:
        """Give a key other permissions; None lets it read everything."""
        self.get(secret).permissions = None if permissions is None else frozenset(map(_bare, permissions))

    def identify(
        self, authorization: bytes | None, on_behalf: bytes | None, context: bytes | None = None
    ) -> Caller | Reply:
        """Find out who speaks.

        Args:
            authorization: The ``Authorization`` header: Basic with the key as user name, or Bearer.
            on_behalf: The ``Stripe-Account`` header.
            context: The ``Stripe-Context`` header: an account, or a platform and an account connected to it.

        Returns:
            The caller, or Stripe's answer to a missing, wrong, expired or barred key.
        """
        secret = secret_of(authorization)
        if not secret:
            return error(
                401,
                "You did not provide an API key. Give it in the Authorization header, with Bearer auth (such as "
                "'Authorization: Bearer YOUR_SECRET_KEY') or as the user name of Basic auth.",
                headers=_CHALLENGE,
            )
        key = self._keys.get(secret)
        if key is None or key.revoked:
            return not_a_key(secret)
        if key.expires_at is not None and self.now() >= key.expires_at:
            return error(401, f"Expired API Key provided: {masked(secret)}", code="api_key_expired", headers=_CHALLENGE)
        if key.organization and context is None:
            return error(
                400,
                "Organization API keys must name the account that a request is about: send the Stripe-Context header.",
            )
        named = on_behalf if context is None else context
        account = key.account if named is None else named.decode("latin-1")
        opener, _, inside = account.partition("/") if key.organization else (key.account, "", account)
        if key.organization and opener not in key.connected:
            return no_such_account(secret, account)
        if inside and inside != opener and not self._reaches(key, opener, inside):
            return no_such_account(secret, account)
        return Caller(key, inside or opener, key.livemode, opener)

    def _reaches(self, key: Key, platform: str, account: str) -> bool:
        own = not key.organization and account in key.connected
        return own or account in self.connected.get((platform, key.livemode), ())

    def refusal(self, caller: Caller, path: str, access: Literal["read", "write"] = "read") -> Reply | None:
        """Return Stripe's 403 when the caller's key does not open a path, else None."""
        key = caller.key
        needed = permission(path)
        if access == "read" and (key.permissions is None or needed in key.permissions):
            return None
        return lacking(caller, path, access)


def lacking(caller: Caller, path: str, access: Literal["read", "write"] = "read") -> Reply:
    """Answer 403 naming the permission that would open a path."""
    return error(
        403,
        f"The provided key '{masked(caller.key.secret)}' does not have the required permissions for this endpoint on "
        f"account '{caller.account}'. Having the 'rak_{permission(path)}_{access}' permission would allow this request "
        "to continue.",
    )


def not_a_key(secret: str) -> Reply:
    """Answer 401 to a key that is wrong or no longer good."""
    return error(401, f"Invalid API Key provided: {masked(secret)}", headers=_CHALLENGE)


def no_such_account(secret: str, account: str) -> Reply:
    """Answer 403 to a key that speaks for an account it has nothing to do with."""
    return error(
        403,
        f"The provided key '{masked(secret)}' does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
    )


def secret_of(authorization: bytes | None) -> str | None:
    """Read the key out of an ``Authorization`` header; None where there is none."""
    if authorization is None:
        return None
    scheme, _, rest = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip().decode("latin-1")
        case b"basic":
            try:
                return base64.b64decode(rest.strip(), validate=True).decode("latin-1").partition(":")[0]
            except binascii.Error:
                return None
        case _:
            return None


def _bare(permission: str) -> str:
    return permission.removeprefix("rak_").removesuffix("_read")
