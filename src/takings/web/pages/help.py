"""The manual, in the reader's language: the Markdown files of ``takings/help``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from takings.errors import NotFound
from takings.web.context import FromReader, Reader, Who, show

_FOLDER: Final = Path(__file__).parents[2] / "help"
_LINK = re.compile(r"^(?:\./)?([a-z0-9-]+)\.md(#.*)?$")

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One text of the manual.

    Attributes:
        slug: Its name in addresses: the file's without its ending.
        html: The text, drawn.
    """

    slug: str
    title: str
    html: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpPage:
    """A chapter and the list of all."""

    chapters: tuple[tuple[str, str], ...]
    chapter: Chapter


@get("/help", opt={"who": Who.PUBLIC}, sync_to_thread=True)
def first(reader: FromReader) -> Response[Any]:
    """Show the first chapter."""
    return _show(reader, None)


@get("/help/{slug:str}", opt={"who": Who.PUBLIC}, sync_to_thread=True)
def chapter(reader: FromReader, slug: FromPath[str]) -> Response[Any]:
    """Show a chapter."""
    return _show(reader, slug)


def _show(reader: Reader, slug: str | None) -> Response[Any]:
    found = chapters(reader.locale)
    wanted = next((one for one in found if slug in (None, one.slug)), None)
    if wanted is None:
        raise NotFound("web.no_page", "There is no such page.")
    page = HelpPage(chapters=tuple((one.slug, one.title) for one in found), chapter=wanted)
    return show(reader, "help", page)


@cache
def chapters(locale: str) -> tuple[Chapter, ...]:
    """Return the manual in a language, in the order of ``contents.txt``."""
    order = (_FOLDER / "contents.txt").read_text("utf-8").split()
    return tuple(_read(_FOLDER / locale / f"{slug}.md") for slug in order)


def _read(path: Path) -> Chapter:
    text = _COMMENT.sub("", path.read_text("utf-8"))
    title = next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), path.stem)
    return Chapter(slug=path.stem, title=title, html=Markup(_markdown().render(text, {"title": title})))  # noqa: S704 (our own files, HTML off)


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("heading_open", _heading)
    markdown.add_render_rule("link_open", _link)
    markdown.add_render_rule("table_open", _table)
    markdown.add_render_rule("table_close", _table_end)
    markdown.add_render_rule("fence", _code)
    return markdown


def _heading(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Give each heading an id, so that links can lead to it."""
    tokens[index].attrSet("id", anchor(tokens[index + 1].content))
    return self.renderToken(tokens, index, options, env)


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Turn links between files into links between chapters, and open the outside in a page of its own."""
    target = str(tokens[index].attrGet("href") or "")
    inside = _LINK.match(target)
    if inside:
        tokens[index].attrSet("href", f"/help/{inside[1]}{inside[2] or ''}")
    elif "://" in target:
        tokens[index].attrSet("rel", "noopener noreferrer")
        tokens[index].attrSet("target", "_blank")
    return self.renderToken(tokens, index, options, env)


def _table(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Let a wide table scroll within itself, by keyboard too."""
    return (
        f'<div class="table-wrap" role="group" tabindex="0" aria-label="{escape(env["title"])}"><table class="table">'
    )


def _table_end(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</table></div>"


def _code(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """Let a long line of code scroll within itself, by keyboard too."""
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>'


def anchor(heading: str) -> str:
    """Return the id of a heading: its letters and digits in lower case, without accents, joined by hyphens."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "part"


routes = [first, chapter]
