"""Structured logs: an event name and fields, on stderr, with anything that looks like a secret struck out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, cast

import structlog

_SECRET = re.compile(
    r"\b(?:sk|rk|pk|whsec|ac|rt|oauth)_(?:(?:live|test|org)_)?[A-Za-z0-9_]{6,}|\btakings_[A-Za-z0-9_-]{43}|\bBearer\s+\S+|(?<=code=)[^&\s]+"
)


def redact(text: str) -> str:
    """Strike out everything in a text that has the form of a Stripe key, token, code or webhook secret, or of a token of ours."""
    return _SECRET.sub("[secret]", text)


def _redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    """Return a field's value with every text in it redacted, however deep it lies."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _redacted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner) for inner in value]
    return value


def configure(form: Literal["text", "json"] = "text", level: str = "info") -> None:
    """Set up logging for this process.

    Args:
        form: ``text`` for people, ``json`` for machines (one object a line).
        level: The least level shown: ``debug``, ``info``, ``warning`` or ``error``.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        # The stream of the moment: one kept from set-up may be closed by now.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def get(name: str, **fields: object) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose events carry ``fields``. It takes up :func:`configure` also when that is called later.

    Args:
        name: The part that speaks, such as ``sync``.
        **fields: What identifies the work: connection, run, resource. Never a secret.
    """
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(part=name, **fields))
