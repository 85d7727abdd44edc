"""Giving applications access: Connect OAuth and Stripe App OAuth, from the consent pages to the tokens."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from takings.simulator.keys import Keyring, fresh, masked, secret_of
from takings.simulator.pages import page, style
from takings.simulator.replies import Headers, Reply, as_json, oauth_error

Kind = Literal["connect", "app"]

CODE_SECONDS: Final = 300
ACCESS_SECONDS: Final = 3600
REFRESH_SECONDS: Final = 365 * 24 * 3600
_REQUEST_SECONDS: Final = 3600
_COOKIE: Final = "takings_simulator"


@dataclass(frozen=True, slots=True)
class Client:
    """An application that asks for access: a Connect platform or a Stripe App.

    Args:
        id: ``ca_…``.
        kind: Which of the two flows it uses.
        name: What the consent page calls it.
        secrets: Secret keys it proves itself with, live and test.
    """

    id: str
    kind: Kind
    name: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in at the simulated Stripe, for every account there is."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """One side of an account that can be connected."""

    account: str
    livemode: bool
    name: str

    @property
    def value(self) -> str:
        """How a form names it."""
        return f"{self.account}:{'live' if self.livemode else 'test'}"


class Grant(msgspec.Struct, kw_only=True):
    """One access that was given."""

    id: str
    client: str
    account: str
    livemode: bool
    scope: str
    refresh: str
    refresh_expires_at: float
    revoked: bool = False


@dataclass(slots=True)
class _Asked:
    """An authorization that is under way in somebody's browser."""

    client: Client
    redirect_uri: str
    state: str | None
    scope: str
    browser: str
    nonce: str
    until: float
    signed_in: bool = False


@dataclass(slots=True)
class _Code:
    client: str
    choice: Choice
    scope: str
    until: float
    grant: str | None = None


class OAuth:
    """Both flows over one set of pages.

    Args:
        clients: The applications there are.
        user: Who may sign in.
        choices: What can be connected, in the order shown.
        keys: Where tokens become keys.
        redirect_uris: Addresses it may return to, besides loopback ones; one that ends in ``/`` stands for all below.
    """

    def __init__(
        self,
        *,
        clients: Sequence[Client],
        user: User,
        choices: Sequence[Choice],
        keys: Keyring,
        redirect_uris: Sequence[str] = (),
    ) -> None:
        self._clients = {client.id: client for client in clients}
        self._user = user
        self._choices = {choice.value: choice for choice in choices}
        self._keys = keys
        self._redirect_uris = set(redirect_uris)
        self._asked: dict[str, _Asked] = {}
        self._codes: dict[str, _Code] = {}
        self._grants: dict[str, Grant] = {}
        self._app_permissions: list[str] | None = None

    @property
    def grants(self) -> list[Grant]:
        """Every access that was given, revoked ones included."""
        return list(self._grants.values())

    def restore(self, grants: Sequence[Grant]) -> None:
        """Take up accesses that were given before a restart (their keys are restored by the key ring)."""
        for grant in grants:
            self._grants[grant.id] = grant
            self._connect_platform(grant)

    def permit_app(self, permissions: list[str] | None) -> None:
        """Set what the Stripe App's manifest asks for, as ``charge`` or ``rak_charge_read``; None is all."""
        self._app_permissions = permissions

    def handle(self, method: str, path: str, query: str, headers: Mapping[bytes, bytes], body: bytes) -> Reply | None:
        """Answer a request to one of OAuth's addresses; None when there is nothing at this address."""
        match method, path:
            case "GET", "/oauth/authorize":
                return self._authorize("connect", dict(parse_qsl(query)), headers)
            case "GET", "/oauth/v2/authorize":
                return self._authorize("app", dict(parse_qsl(query)), headers)
            case "GET", "/oauth/style.css":
                return style()
            case "GET", "/oauth/sign_in":
                return self._sign_in_page(dict(parse_qsl(query)), headers)
            case "POST", "/oauth/sign_in":
                return self._sign_in(_form(body), headers)
            case "GET", "/oauth/consent":
                return self._consent_page(dict(parse_qsl(query)), headers)
            case "POST", "/oauth/consent":
                return self._consent(_form(body), headers)
            case "POST", "/oauth/token":
                return self._token("connect", _form(body), headers)
            case "POST", "/v1/oauth/token":
                return self._token("app", _form(body), headers)
            case "POST", "/oauth/deauthorize":
                return self._deauthorize(_form(body), headers)
            case _:
                return None

    # In the browser

    def _authorize(self, kind: Kind, asked: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        language = _language(headers)
        client = self._clients.get(asked.get("client_id", ""))
        if client is None or client.kind != kind:
            return page("problem", language, status=400, problem="client")
        redirect_uri = asked.get("redirect_uri", "")
        if not self._may_return_to(redirect_uri):
            return page("problem", language, status=400, problem="redirect")
        state = asked.get("state")
        if asked.get("response_type", "code") != "code":
            return _back(redirect_uri, state, error="unsupported_response_type", error_description="Only code is.")
        scope = "stripe_apps" if kind == "app" else asked.get("scope", "read_only")
        if scope not in ("stripe_apps", "read_only", "read_write"):
            return _back(redirect_uri, state, error="invalid_scope", error_description="Unknown scope.")
        now = self._keys.now()
        self._asked = {id: one for id, one in self._asked.items() if one.until > now}
        browser = _browser(headers) or fresh()
        id = f"auth_{fresh()}"
        self._asked[id] = _Asked(client, redirect_uri, state, scope, browser, fresh(), now + _REQUEST_SECONDS)
        cookie = f"{_COOKIE}={browser}; Path=/oauth; HttpOnly; SameSite=Lax".encode()
        return page("access", language, headers=((b"set-cookie", cookie),), client=client.name, request=id)

    def _may_return_to(self, address: str) -> bool:
        return _is_loopback(address) or any(
            address == known or (known.endswith("/") and address.startswith(known)) for known in self._redirect_uris
        )

    def _sign_in_page(self, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        asked = self._under_way(given, headers)
        if isinstance(asked, Reply):
            return asked
        return self._draw_sign_in(given["request"], asked, headers)

    def _draw_sign_in(
        self, request: str, asked: _Asked, headers: Mapping[bytes, bytes], *, wrong: bool = False, typed: str = ""
    ) -> Reply:
        return page(
            "sign_in",
            _language(headers),
            status=422 if wrong else 200,
            request=request,
            nonce=asked.nonce,
            wrong=wrong,
            typed=typed,
            email=self._user.email,
            password=self._user.password,
        )

    def _sign_in(self, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        asked = self._under_way(given, headers, posted=True)
        if isinstance(asked, Reply):
            return asked
        email = given.get("email", "").strip()
        if (email.lower(), given.get("password", "")) != (self._user.email, self._user.password):
            return self._draw_sign_in(given["request"], asked, headers, wrong=True, typed=email)
        asked.signed_in = True
        return _to(f"/oauth/consent?{urlencode({'request': given['request']})}")

    def _consent_page(self, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        asked = self._under_way(given, headers)
        if isinstance(asked, Reply):
            return asked
        if not asked.signed_in:
            return _to(f"/oauth/sign_in?{urlencode({'request': given['request']})}")
        return page(
            "consent",
            _language(headers),
            request=given["request"],
            nonce=asked.nonce,
            client=asked.client.name,
            choices=list(self._choices.values()),
            writes=asked.scope == "read_write",
        )

    def _consent(self, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        asked = self._under_way(given, headers, posted=True)
        if isinstance(asked, Reply):
            return asked
        choice = self._choices.get(given.get("account", ""))
        if not asked.signed_in or (choice is None and given.get("decision") == "connect"):
            return _to(f"/oauth/consent?{urlencode({'request': given['request']})}")
        del self._asked[given["request"]]
        if choice is None or given.get("decision") != "connect":
            return _back(
                asked.redirect_uri,
                asked.state,
                error="access_denied",
                error_description="The user denied your request",
            )
        code = f"ac_{fresh(32)}"
        self._codes[code] = _Code(asked.client.id, choice, asked.scope, self._keys.now() + CODE_SECONDS)
        more = {"scope": asked.scope} if asked.client.kind == "connect" else {}
        return _back(asked.redirect_uri, asked.state, code=code, **more)

    def _under_way(
        self, given: Mapping[str, str], headers: Mapping[bytes, bytes], *, posted: bool = False
    ) -> _Asked | Reply:
        asked = self._asked.get(given.get("request", ""))
        ours = (
            asked is not None
            and asked.until > self._keys.now()
            and _same(asked.browser, _browser(headers) or "")
            and (not posted or _same(asked.nonce, given.get("nonce", "")))
        )
        if asked is None or not ours:
            return page("problem", _language(headers), status=400, problem="expired")
        return asked

    # Between servers

    def _token(self, kind: Kind, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        client = self._client(kind, given, headers)
        if isinstance(client, Reply):
            return client
        match given.get("grant_type"):
            case "authorization_code":
                return self._exchange(client, given.get("code", ""))
            case "refresh_token":
                return self._refresh(client, given.get("refresh_token", ""))
            case None:
                return oauth_error(400, "invalid_request", "No grant type specified")
            case _:
                return oauth_error(400, "unsupported_grant_type", "grant_type is authorization_code or refresh_token")

    def _exchange(self, client: Client, code: str) -> Reply:
        known = self._codes.get(code)
        if not code:
            return oauth_error(400, "invalid_request", "No authorization code provided")
        if known is None:
            return oauth_error(400, "invalid_grant", f"Authorization code does not exist: {masked(code)}")
        if known.client != client.id:
            return oauth_error(400, "invalid_grant", "Authorization code was issued to another application")
        if known.grant is not None:
            self._revoke(self._grants[known.grant])
            return oauth_error(
                400,
                "invalid_grant",
                "This authorization code has already been used. All tokens issued with this code have been revoked.",
            )
        if self._keys.now() >= known.until:
            return oauth_error(400, "invalid_grant", "Authorization code expired")
        grant = Grant(
            id=f"grant_{fresh()}",
            client=client.id,
            account=known.choice.account,
            livemode=known.choice.livemode,
            scope=known.scope,
            refresh=f"rt_{fresh(32)}",
            refresh_expires_at=self._keys.now() + REFRESH_SECONDS,
        )
        self._grants[grant.id] = grant
        known.grant = grant.id
        self._connect_platform(grant)
        return self._issue(client, grant)

    def _refresh(self, client: Client, refresh: str) -> Reply:
        grant = next(
            (each for each in self._grants.values() if each.client == client.id and each.refresh == refresh), None
        )
        if grant is None or grant.revoked:
            return oauth_error(400, "invalid_grant", f"Refresh token does not exist: {masked(refresh)}")
        if self._keys.now() >= grant.refresh_expires_at:
            return oauth_error(400, "invalid_grant", "Refresh token expired")
        if client.kind == "app":
            grant.refresh = f"rt_{fresh(32)}"
            grant.refresh_expires_at = self._keys.now() + REFRESH_SECONDS
        return self._issue(client, grant)

    def _issue(self, client: Client, grant: Grant) -> Reply:
        is_app = client.kind == "app"
        key = self._keys.create(
            grant.account,
            grant.livemode,
            kind="sk",
            grant=grant.id,
            permissions=self._app_permissions if is_app else None,
            expires_at=self._keys.now() + ACCESS_SECONDS if is_app else None,
        )
        mode = "live" if grant.livemode else "test"
        return as_json(
            {
                "access_token": key.secret,
                "livemode": grant.livemode,
                "refresh_token": grant.refresh,
                "scope": grant.scope,
                "stripe_publishable_key": f"pk_{mode}_51Sim{fresh()}",
                "stripe_user_id": grant.account,
                "token_type": "bearer",
            }
        )

    def _deauthorize(self, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Reply:
        client = self._client("connect", given, headers)
        if isinstance(client, Reply):
            return client
        if given.get("client_id") not in (None, client.id):
            return oauth_error(401, "invalid_client", "The client id does not belong to this secret key")
        account = given.get("stripe_user_id", "")
        if not self.withdraw(account, client.id):
            return oauth_error(
                401,
                "invalid_client",
                f"This application is not connected to stripe account {account}, or that account does not exist.",
            )
        return as_json({"stripe_user_id": account})

    def withdraw(self, account: str, client: str | None = None) -> int:
        """End the accesses to an account, as an uninstall does; return how many there were."""
        ended = [
            grant
            for grant in self._grants.values()
            if grant.account == account and not grant.revoked and client in (None, grant.client)
        ]
        for grant in ended:
            self._revoke(grant)
        return len(ended)

    def _revoke(self, grant: Grant) -> None:
        grant.revoked = True
        for key in self._keys.of_grant(grant.id):
            key.revoked = True
        self._connect_platform(grant)

    def _connect_platform(self, grant: Grant) -> None:
        """Let the platform's own keys reach the accounts that are connected to it, and no others."""
        client = self._clients.get(grant.client)
        if client is None or client.kind != "connect":
            return
        for secret in client.secrets:
            key = self._keys.get(secret)
            key.connected = frozenset(
                each.account
                for each in self._grants.values()
                if each.client == client.id and not each.revoked and each.livemode == key.livemode
            )

    def _client(self, kind: Kind, given: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Client | Reply:
        secret = secret_of(headers.get(b"authorization")) or given.get("client_secret", "")
        if not secret:
            return oauth_error(401, "invalid_client", "No secret key provided")
        for client in self._clients.values():
            if client.kind == kind and any(_same(secret, known) for known in client.secrets):
                return client
        return oauth_error(401, "invalid_client", f"No such API key: {masked(secret)}")


def _back(redirect_uri: str, state: str | None, **values: str) -> Reply:
    parts = urlsplit(redirect_uri)
    carried = (
        parse_qsl(parts.query, keep_blank_values=True)
        + list(values.items())
        + ([("state", state)] if state is not None else [])
    )
    return _to(urlunsplit(parts._replace(query=urlencode(carried))))


def _to(address: str) -> Reply:
    headers: Headers = (
        (b"location", address.encode("latin-1", "replace")),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
    )
    return Reply(303, b"", headers)


def _is_loopback(address: str) -> bool:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        return False
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _language(headers: Mapping[bytes, bytes]) -> str:
    return headers.get(b"accept-language", b"").decode("latin-1")


def _browser(headers: Mapping[bytes, bytes]) -> str | None:
    for cookie in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == _COOKIE:
            return value
    return None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
