"""Webhooks: one signed POST, no redirects, and what came back.

Only an administrator sets the address. It may name any host over HTTPS, also within the company's network, and plain
HTTP for this very machine: of what such a machine answers, only the status is shown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from takings.alerts.model import Answer, HookSettings
from takings.clock import to_unix
from takings.log import redact
from takings.settings import is_loopback
from takings.stripe.transport import user_agent

CONNECT_S: Final = 5.0
"""Longest wait for a connection, in seconds."""
READ_S: Final = 10.0
"""Longest wait for an answer, in seconds."""
SIGNATURE: Final = "Takings-Signature"
"""The header ``t=<seconds since 1970>,v1=<hex>``: HMAC-SHA256 of ``<t>.<body>``, as Stripe signs."""

_READ_BYTES: Final = 2048
_SHOWN_CHARS: Final = 200


def sign(body: bytes, secret: str, now: datetime) -> str:
    """Return the signature's header for a body."""
    stamp = to_unix(now)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def send(settings: HookSettings, values: Mapping[str, Any], message_id: str, now: datetime) -> Answer:
    """Post values as JSON.

    Args:
        settings: Where to, and the secret.
        values: What.
        message_id: The same when it is sent again, as ``Idempotency-Key``.
        now: For the signature.

    Returns:
        The status and the first words of the answer; success is 2xx. A redirect is none and is not followed.
    """
    body = json.dumps({"id": message_id, "created": to_unix(now), **values}, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": user_agent(),
        "Accept-Encoding": "identity",
        "Idempotency-Key": message_id,
        SIGNATURE: sign(body, settings.secret, now),
    }
    local = is_loopback(settings.url)
    try:
        with (
            httpx2.Client(
                timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
                follow_redirects=False,
                trust_env=not local,
            ) as client,
            client.stream("POST", settings.url, content=body, headers=headers) as answer,
        ):
            said = "" if local else _first_words(answer)
            status = f"HTTP {answer.status_code} {answer.reason_phrase}".rstrip()
            taken = 200 <= answer.status_code < 300
    except httpx2.HTTPError as error:
        return Answer(False, _why(error))
    except (httpx2.InvalidURL, ValueError):
        return Answer(False, "alerts.unanswered.address")
    return Answer(taken, _clean(f"{status}: {said}" if said else status, settings))


def _first_words(answer: httpx2.Response) -> str:
    """Read the beginning of an answer, and no longer than a whole answer may take."""
    read, give_up = b"", time.monotonic() + READ_S
    for chunk in answer.iter_raw():
        read += chunk
        if len(read) >= _READ_BYTES or time.monotonic() > give_up:
            break
    return read[:_READ_BYTES].decode("utf-8", "replace")


def _why(error: httpx2.HTTPError) -> str:
    text = str(error).lower()
    if isinstance(error, httpx2.TimeoutException):
        return "alerts.unanswered.late"
    if "certificate" in text:
        return "alerts.unanswered.untrusted"
    if isinstance(error, httpx2.ConnectError):
        return "alerts.unanswered.unreachable"
    return f"alerts.unanswered.broken: {type(error).__name__}"


def _clean(text: str, settings: HookSettings) -> str:
    """Return an answer in one line, without what only the two sides may know."""
    parts = urlsplit(settings.url)
    for secret in (settings.secret, settings.url, parts.path.strip("/"), parts.query):
        if len(secret) >= 12:
            text = text.replace(secret, "[secret]")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in redact(text)).split())
    return line[: _SHOWN_CHARS + 40]
