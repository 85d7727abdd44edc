"""The wire to Stripe: one request out, one answer in, as bytes. Here alone Stripe is spoken to."""

from __future__ import annotations

import os
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal, cast
from urllib.parse import urlsplit

import httpx2
from isal import isal_zlib

from takings.errors import Misconfigured
from takings.settings import is_loopback

CONNECT_S: Final = 10.0
"""Longest wait for a connection, in seconds."""
READ_S: Final = 80.0
"""Longest wait for the next bytes of an answer, in seconds: expanded lists take their time."""

_CONNECTIONS = 256
_KEEP_S = 45.0  # Stripe closes idle connections after about a minute
_CUT_OFF: Final = (cast(type[Exception], isal_zlib.IsalError), EOFError)
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class NoAnswer(Exception):
    """A request got no usable answer.

    Args:
        kind: ``connect`` (nothing was sent), ``timeout``, ``broken`` (the connection ended early) or ``malformed`` (the
            body cannot be unpacked).
        detail: Name of the failure, without addresses or values.
    """

    def __init__(self, kind: Literal["connect", "timeout", "broken", "malformed"], detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Wire:
    """An answer as it came: status, headers (names in lower case), unpacked body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Kept-alive connections to one address. Safe for threads.

    Args:
        base: Scheme and host, such as ``https://api.stripe.com``; plain HTTP only to this machine.
        headers: Sent with every request.
        read_s: Longest wait for the next bytes of an answer, in seconds.

    Raises:
        Misconfigured: The address is neither HTTPS nor this machine.
    """

    def __init__(self, base: str, headers: Mapping[str, str] | None = None, read_s: float = READ_S) -> None:
        parts = urlsplit(base)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(base)):
            raise Misconfigured(
                "stripe.address",
                "Stripe's address must begin with https:// (plain http:// only for this machine itself).",
            )
        self.base = base.rstrip("/")
        self.host = parts.hostname or ""
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "gzip", "User-Agent": user_agent(), **(headers or {})},
            timeout=httpx2.Timeout(read_s, connect=CONNECT_S, pool=None),
            limits=httpx2.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_KEEP_S
            ),
            verify=_trusted(parts.scheme == "https", os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")),
            follow_redirects=False,
            trust_env=parts.scheme == "https",  # a company's proxy, but never with a key in the clear
        )

    def send(self, method: str, target: str, headers: Mapping[str, str], content: bytes | None = None) -> Wire:
        """Send one request and read the whole answer.

        Args:
            method: ``GET`` or ``POST``.
            target: Path with query, beginning with a slash.
            headers: Sent besides the common ones.
            content: Body of a POST.

        Raises:
            NoAnswer: Nothing usable came back; trying again may help.
            Misconfigured: The other side's certificate is not trusted.
        """
        try:
            with self._client.stream(method, self.base + target, headers=headers, content=content) as answer:
                packed = b"".join(answer.iter_raw())
                found = answer.headers
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
            if _is_untrusted(error):
                raise Misconfigured(
                    "stripe.certificate",
                    f"The certificate of {self.host} is not trusted here: if your network inspects traffic, give its "
                    "certificate authority in the variable SSL_CERT_FILE.",
                    host=self.host,
                ) from error
            raise NoAnswer("connect", type(error).__name__) from error
        except httpx2.TimeoutException as error:
            raise NoAnswer("timeout", type(error).__name__) from error
        except httpx2.HTTPError as error:
            raise NoAnswer("broken", type(error).__name__) from error
        return Wire(answer.status_code, found, _unpacked(packed, found.get("content-encoding", "")))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


@lru_cache(maxsize=4)
def _trusted(trust_env: bool, _file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return whom to trust; reading all authorities takes 50 ms, more than anything else in an idle look at Stripe.

    The library reads where they are from the environment: the variables are given so that a change of them is seen.
    """
    return httpx2.create_ssl_context(trust_env=trust_env)


def user_agent() -> str:
    """Say who asks."""
    try:
        return f"Takings/{version('takings')}"
    except PackageNotFoundError:  # run from a bare source tree
        return "Takings"


def is_header_value(text: str) -> bool:
    """Tell whether a text (a key somebody pasted) can stand in a header at all."""
    return _HEADER_VALUE.fullmatch(text) is not None


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Unpack gzip with ISA-L, a third of zlib's cost."""
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise NoAnswer("malformed", f"content encoding {encoding[:20]}")
    try:
        return isal_zlib.decompress(body, zlib.MAX_WBITS | 16)
    except _CUT_OFF as error:
        raise NoAnswer("malformed", "gzip") from error


def _is_untrusted(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
