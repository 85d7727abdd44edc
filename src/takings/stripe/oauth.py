"""Both ways to be let in by a click: Stripe App OAuth 2.0 (today's) and Connect OAuth (for those who own a platform)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

from takings.clock import Clock
from takings.errors import Misconfigured, Refused, TakingsError, Unavailable, Unexpected
from takings.settings import Settings
from takings.stripe.transport import NoAnswer, Transport, is_header_value

OAuthWay = Literal["app_oauth", "connect_oauth"]

APP_TOKEN_LIFE: Final = timedelta(hours=1)
"""How long an App's access token lasts where the answer does not say."""
_TRIES = 3  # only where nothing was sent: a code or refresh token works once
_READ_S = 30.0  # with the tries above an exchange ends within 60 s
_NOT_JOINED = re.compile("not connected", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to be let in, as set up by whoever owns the app or the platform.

    Attributes:
        way: Which of the two.
        client_id: ``ca_…`` of the app or platform.
        secret: Secret key of the account that owns it.
        authorize_base: Scheme and host of the consent page.
        token_base: Scheme and host of the token endpoint.
    """

    way: OAuthWay
    client_id: str
    secret: str = field(repr=False)
    authorize_base: str
    token_base: str

    @classmethod
    def of(cls, settings: Settings, way: OAuthWay) -> Provider | None:
        """Return the provider that the settings describe; None where client id or secret is not set."""
        if way == "app_oauth":
            client_id, secret = settings.stripe_app_client_id, settings.stripe_app_secret
            bases = (settings.stripe_marketplace_base, settings.stripe_api_base)
        else:
            client_id, secret = settings.stripe_connect_client_id, settings.stripe_connect_secret
            bases = (settings.stripe_connect_base, settings.stripe_connect_base)
        if not client_id or not secret:
            return None
        return cls(way=way, client_id=client_id, secret=secret, authorize_base=bases[0], token_base=bases[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What Stripe gave. Secrets never show in ``repr``.

    Attributes:
        access_token: Opens the account's API.
        refresh_token: Gets the next access token, once; None where there is none.
        expires_at: End of the access token; None where it does not end.
        account_id: ``acct_…`` that was joined.
        livemode: Live or test.
        scope: What was granted, in Stripe's words; None where it was not said.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    account_id: str
    livemode: bool
    scope: str | None = None


class _Answer(msgspec.Struct):
    access_token: str | None = None
    refresh_token: str | None = None
    expires_in: int | None = None
    stripe_user_id: str | None = None
    livemode: bool = False
    scope: str | None = None
    error: str | dict[str, object] | None = None
    error_description: str | None = None


def authorize_url(
    provider: Provider,
    *,
    state: str,
    redirect_uri: str,
    scope: Literal["read_write", "read_only"] = "read_write",
) -> str:
    """Return the address of Stripe's consent page.

    Args:
        provider: The way in.
        state: Unguessable word that comes back with the code; the caller keeps it, and checks and uses it once.
        redirect_uri: Where Stripe sends the browser afterwards; must be registered at Stripe.
        scope: What a Connect platform asks for. Stripe grants ``read_only`` to extensions alone, of which no new ones
            can be made; nothing is ever written here all the same. An App's permissions stand in its manifest.
    """
    query = {"client_id": provider.client_id, "redirect_uri": redirect_uri, "state": state}
    if provider.way == "app_oauth":
        return f"{provider.authorize_base}/oauth/v2/authorize?{urlencode(query)}"
    query = {"response_type": "code", "scope": scope, **query}
    return f"{provider.authorize_base}/oauth/authorize?{urlencode(query)}"


def denied(error: str, provider: Provider) -> TakingsError:
    """Return the error for what came back on the redirect in place of a code.

    Args:
        error: The ``error`` parameter, such as ``access_denied``. Its description is not shown to anybody.
        provider: The way in.
    """
    if error == "access_denied":
        return Refused(
            "oauth.denied", "The connection was declined at Stripe: press “Connect with Stripe” to try again."
        )
    return _refused(error, provider)


def exchange_code(provider: Provider, code: str, clock: Clock) -> Grant:
    """Turn the code from the redirect into tokens. A code works once, for five minutes.

    Raises:
        Refused: ``oauth.code_refused``: the code was used, is too old, or belongs to another app.
        Misconfigured: ``oauth.client_refused``: client id or secret are wrong.
        Unavailable: Stripe cannot be reached or gave no answer: start again from the consent page.
        Unexpected: The answer cannot be read.
    """
    return _grant(provider, {"grant_type": "authorization_code", "code": code}, clock)


def refresh(provider: Provider, refresh_token: str, clock: Clock) -> Grant:
    """Get the next access token. The refresh token dies by this: store the new one before anything else.

    Raises:
        Refused: ``oauth.grant_refused``: the refresh token was used or withdrawn: connect again.
        Misconfigured: ``oauth.client_refused``: client id or secret are wrong.
        Unavailable: Stripe cannot be reached or gave no answer.
        Unexpected: The answer cannot be read.
    """
    return _grant(provider, {"grant_type": "refresh_token", "refresh_token": refresh_token}, clock)


def deauthorize(provider: Provider, account_id: str) -> None:
    """Withdraw a Connect authorization. An App is uninstalled by its user in Stripe's dashboard: nothing is done then.

    An account that was not joined (any more) counts as done.

    Raises:
        Misconfigured: ``oauth.client_refused``: client id or secret are wrong.
        Unavailable: Stripe cannot be reached or gave no answer.
        Unexpected: The answer cannot be read.
    """
    if provider.way == "app_oauth":
        return
    form = {"client_id": provider.client_id, "stripe_user_id": account_id, "client_secret": provider.secret}
    answer = _post(provider, "/oauth/deauthorize", form)
    if answer.error is not None and not _NOT_JOINED.search(answer.error_description or ""):
        raise _refused(_name(answer), provider)


def _grant(provider: Provider, form: dict[str, str], clock: Clock) -> Grant:
    if provider.way == "app_oauth":
        answer = _post(provider, "/v1/oauth/token", form)
    else:
        answer = _post(provider, "/oauth/token", {**form, "client_secret": provider.secret})
    if answer.error is not None:
        raise _refused(_name(answer), provider, refreshing="refresh_token" in form)
    if not answer.access_token or not answer.stripe_user_id:
        raise _unreadable()
    expires_at: datetime | None = None
    if provider.way == "app_oauth":
        life = APP_TOKEN_LIFE if answer.expires_in is None else timedelta(seconds=answer.expires_in)
        expires_at = clock.now() + life
    return Grant(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        expires_at=expires_at,
        account_id=answer.stripe_user_id,
        livemode=answer.livemode,
        scope=answer.scope,
    )


def _post(provider: Provider, path: str, form: dict[str, str]) -> _Answer:
    """Post a form and read the answer, an error or not; asked again only where nothing was sent."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if provider.way == "app_oauth":
        if not is_header_value(provider.secret):
            raise _refused("invalid_client", provider)
        headers["Authorization"] = "Basic " + base64.b64encode(f"{provider.secret}:".encode()).decode()
    transport = Transport(provider.token_base, read_s=_READ_S)
    try:
        for attempt in range(1, _TRIES + 1):
            try:
                wire = transport.send("POST", path, headers, urlencode(form).encode())
                break
            except NoAnswer as cause:
                if cause.kind == "connect" and attempt < _TRIES:
                    continue
                raise Unavailable(
                    "oauth.unreachable",
                    f"{transport.host} gave no answer: check this machine’s network connection, then try again.",
                    host=transport.host,
                ) from cause
    finally:
        transport.close()
    try:
        answer = msgspec.json.decode(wire.body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if wire.status >= 500:
            raise _down(wire.status) from error
        raise _unreadable() from error
    if wire.status >= 500 or wire.status == 429:
        raise _down(wire.status)
    if wire.status >= 300 and answer.error is None:
        raise _unreadable()
    return answer


def _name(answer: _Answer) -> str:
    """Return OAuth's name of an error; an API error in its place speaks of the secret key."""
    return answer.error if isinstance(answer.error, str) else "invalid_client"


def _refused(name: str, provider: Provider, *, refreshing: bool = False) -> TakingsError:
    """Sort the errors of OAuth by what the reader can do."""
    if name == "invalid_grant":
        if refreshing:
            return Refused(
                "oauth.grant_refused",
                "Stripe no longer accepts this connection: its authorization was withdrawn or has expired. "
                "Re-authenticate to go on; history and settings stay.",
            )
        return Refused(
            "oauth.code_refused",
            "Stripe’s authorization was already used or is more than five minutes old: press “Connect with Stripe” again.",
        )
    if name in ("invalid_client", "unauthorized_client", "invalid_redirect_uri"):
        variable = "STRIPE_APP" if provider.way == "app_oauth" else "STRIPE_CONNECT"
        return Misconfigured(
            "oauth.client_refused",
            f"Stripe does not accept this installation’s client id, secret or return address: correct "
            f"TAKINGS_{variable}_CLIENT_ID and TAKINGS_{variable}_SECRET, and register the return address at Stripe.",
            variable=f"TAKINGS_{variable}",
        )
    return Unexpected(
        "oauth.unexpected",
        "Stripe refused the authorization for a reason this program does not know: please report it.",
        error=name if name.replace("_", "").isalpha() and len(name) <= 60 else "unknown",
    )


def _down(status: int) -> Unavailable:
    return Unavailable(
        "oauth.down", "Stripe cannot authorize anybody at present: try again in a few minutes.", status=status
    )


def _unreadable() -> Unexpected:
    return Unexpected("oauth.malformed", "Stripe’s answer to the authorization cannot be read: please report it.")
