"""Whether a webhook really comes from Stripe: its signature, checked in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from takings.clock import to_unix
from takings.errors import Invalid

TOLERANCE: Final = timedelta(seconds=300)
"""How old a signature may be: Stripe's own bound."""


def check(payload: bytes, header: str, secrets: Sequence[str], now: datetime, tolerance: timedelta = TOLERANCE) -> None:
    """Check that a payload was signed with one of the secrets a short while ago.

    Args:
        payload: The body, byte for byte as received.
        header: ``Stripe-Signature``: ``t=…,v1=hex``, with several ``v1`` while a secret rolls.
        secrets: The endpoint's secrets (``whsec_…``).
        now: The present moment, aware.
        tolerance: How far the signature's time may lie from ``now``, on either side.

    Raises:
        Invalid: ``webhook.signature``: it was not, or too long ago.
    """
    stamp, signatures = _read(header)
    signed = str(stamp).encode() + b"." + payload
    fits = False
    for secret in secrets:
        wanted = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
        for signature in signatures:
            fits |= hmac.compare_digest(wanted, signature)
    if not fits or stamp is None or abs(to_unix(now) - stamp) > tolerance.total_seconds():
        raise Invalid(
            "webhook.signature",
            "This message does not bear a fresh signature of Stripe: check the webhook’s signing secret and this "
            "machine’s clock.",
        )


def _read(header: str) -> tuple[int | None, list[bytes]]:
    """Take the time and all ``v1`` signatures out of the header; (None, []) where it is no such header."""
    stamp: int | None = None
    signatures: list[bytes] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) < 16:
            stamp = int(value)
        elif name == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    return stamp, signatures
