"""The pages a person sees when giving an application access: drawn from templates, with a strict content policy."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from takings.simulator.replies import Headers, Reply
from takings.words import LOCALES, Words

_TEMPLATES = Path(__file__).parent / "templates"

# No form-action: Chromium holds redirects after a form against it, and the way back leads to the application.
_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)

_HTML: Headers = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)


def page(template: str, accept_language: str, *, status: int = 200, headers: Headers = (), **values: Any) -> Reply:
    """Draw a page.

    Args:
        template: File name without its ending.
        accept_language: The browser's header; the first language we have is taken, else English.
        status: HTTP status.
        headers: Further headers.
        **values: What the template shows.
    """
    html = _environment().get_template(f"{template}.html.j2").render(words=Words(_locale(accept_language)), **values)
    return Reply(status, html.encode(), _HTML + headers)


def style() -> Reply:
    """Answer with the style sheet of the pages."""
    content = (_TEMPLATES / "style.css").read_bytes()
    return Reply(200, content, ((b"content-type", b"text/css; charset=utf-8"), (b"cache-control", b"max-age=60")))


def _locale(accept_language: str) -> str:
    for wanted in accept_language.split(","):
        language = wanted.strip()[:2].lower()
        if language in LOCALES:
            return language
    return "en"
