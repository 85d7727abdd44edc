"""Answers that are not data: Stripe's error bodies, and the shape every answer of the simulator has."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json"),)


class Reply(NamedTuple):
    """One HTTP answer: status, body and the headers that go beyond the usual ones."""

    status: int
    body: bytes
    headers: Headers = JSON


def as_json(content: object, status: int = 200) -> Reply:
    """Answer with any value as JSON."""
    return Reply(status, msgspec.json.encode(content))


def error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    headers: Headers = (),
    **more: Any,
) -> Reply:
    """Answer with Stripe's error body.

    Args:
        status: HTTP status.
        message: The sentence a developer reads.
        kind: Stripe's ``type``.
        code: Stripe's ``code``, where it has one; the documentation's address follows from it.
        headers: Further headers.
        **more: Further members of ``error``.
    """
    body: dict[str, Any] = {}
    if code is not None:
        body["code"] = code
        body["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
    body |= {"message": message, "type": kind} | more
    return Reply(status, msgspec.json.encode({"error": body}), JSON + headers)


def oauth_error(status: int, name: str, description: str) -> Reply:
    """Answer as Stripe's OAuth endpoints do: ``{error, error_description}``."""
    return as_json({"error": name, "error_description": description}, status)
