"""Whether two copies of an object have the same content: a hash that the order of keys and blanks do not change."""

from __future__ import annotations

import hashlib

import msgspec


def fingerprint(object_json: bytes) -> str:
    """Return the SHA-256 of an object's JSON with sorted keys and without blanks, in hex."""
    content = msgspec.json.decode(object_json)
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
