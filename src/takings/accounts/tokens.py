"""Opaque tokens: made at random, stored only as their SHA-256."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """Return an unguessable token of 256 bits, fit for a cookie or a link."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """Return an unguessable key for a row."""
    return secrets.token_hex(8)


def hashed(token: str) -> str:
    """Return the form in which a token is stored: it proves the token and opens nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
