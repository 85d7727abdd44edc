"""Answers that are right and yet strange: fields and words that nobody knows, and objects that vanish while a list is read."""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: A field that no version of the API has, with what it holds.
FIELD: Final = "orbit_assessment"
VALUE: Final[dict[str, Any]] = {"score": 0.25, "tags": ["new", None], "grüße": "✓"}
#: A word that stands where one of a few known ones is expected.
WORD: Final = "levitating"

_WORDS: Final = frozenset(("status", "type", "reason", "payment_status", "billing_reason"))


def with_strangers(body: bytes) -> bytes:
    """Give every object in an answer a field that nobody knows, and its listed objects unknown words in fields of a few."""
    answer = msgspec.json.decode(body)
    things = answer["data"] if isinstance(answer, dict) and answer.get("object") == "list" else [answer]
    for thing in things:
        for name in _WORDS & thing.keys():
            if isinstance(thing[name], str):
                thing[name] = WORD
    _mark(answer)
    return msgspec.json.encode(answer)


def _mark(value: Any) -> None:
    if isinstance(value, dict):
        for each in list(value.values()):
            _mark(each)
        if "id" in value and "object" in value:
            value[FIELD] = VALUE
    elif isinstance(value, list):
        for each in value:
            _mark(each)


def cursor(body: bytes) -> str | None:
    """Return the id that the next page would begin after; None where there is no next page."""
    answer = msgspec.json.decode(body)
    if not isinstance(answer, dict) or not answer.get("has_more") or not answer.get("data"):
        return None
    return str(answer["data"][-1]["id"])
