"""What every answer carries so that browsers guard the reader: content policy, framing, sniffing, transport; cookies."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Literal
from urllib.parse import urlsplit

from litestar.datastructures import Cookie
from litestar.types import Message, Scope

from takings.settings import Settings


def is_secure(settings: Settings) -> bool:
    """Tell whether people reach the product over https, so that cookies may demand it."""
    return settings.public_url.startswith("https://")


def session_cookie(settings: Settings) -> str:
    """Return the name of the session's cookie; over https one that no other host can set."""
    return "__Host-takings" if is_secure(settings) else "takings_session"


def visit_cookie(settings: Settings) -> str:
    """Return the name of the cookie that binds forms to a browser nobody has signed in with."""
    return "__Host-takings-visit" if is_secure(settings) else "takings_visit"


def cookie(
    settings: Settings,
    name: str,
    value: str,
    *,
    max_age_s: int | None = None,
    same_site: Literal["lax", "strict"] = "lax",
) -> Cookie:
    """Make a cookie that scripts cannot read and other sites cannot send.

    Args:
        settings: Tell whether it must travel over https only.
        name: Its name.
        value: Its value.
        max_age_s: For how many seconds the browser keeps it; 0 removes it; None: until the browser is closed.
        same_site: ``lax`` sends it when a link elsewhere leads here.
    """
    return Cookie(
        key=name,
        value=value,
        path="/",
        httponly=True,
        secure=is_secure(settings),
        samesite=same_site,
        max_age=max_age_s,
    )


def form_token(secret: str) -> str:
    """Return what forms must send back, derived from a cookie that other sites can neither read nor send.

    Args:
        secret: The session's token, or the value of the visit's cookie.
    """
    return hmac.new(secret.encode(), b"takings form", hashlib.sha256).hexdigest()


def is_same_origin(origin: str | None, fetch_site: str | None, host: str | None, settings: Settings) -> bool:
    """Tell from a browser's own headers whether a form was sent by a page of ours. What sends neither is no browser.

    Args:
        origin: The ``Origin`` header.
        fetch_site: The ``Sec-Fetch-Site`` header.
        host: The ``Host`` header.
        settings: Name the public address.
    """
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return False
    if origin is None:
        return True
    sender = urlsplit(origin)
    return sender.netloc == host or origin == settings.public_url


def content_policy(settings: Settings) -> str:
    """Return the Content-Security-Policy: everything from here, no inline script or style, no frames.

    Forms may lead on to Stripe's pages (browsers check redirects against ``form-action`` too).
    """
    targets = {"'self'"}
    for base in (settings.stripe_connect_base, settings.stripe_marketplace_base):
        parts = urlsplit(base)
        targets.add(f"{parts.scheme}://{parts.netloc}")
        if parts.netloc.endswith(".stripe.com"):
            targets.add("https://*.stripe.com")
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            f"form-action {' '.join(sorted(targets))}",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


class SecurityHeaders:
    """Adds the headers to every answer, whatever made it.

    Args:
        settings: Name Stripe's addresses, and tell whether the product is reached over https.
    """

    def __init__(self, settings: Settings) -> None:
        headers = {
            "content-security-policy": content_policy(settings),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": _NOTHING,
        }
        if is_secure(settings):
            headers["strict-transport-security"] = "max-age=31536000"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, message: Message, scope: Scope) -> None:
        """Add what the answer does not have yet."""
        if message["type"] != "http.response.start":
            return
        there = {name.lower() for name, _ in message["headers"]}
        message["headers"] = [*message["headers"], *(pair for pair in self._headers if pair[0] not in there)]


_NOTHING: Final = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"
