"""Draws lists as a PDF to be filed: a heading, what it is about, a verdict, tables that go on over pages, page numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, LongTable, PageTemplate, Paragraph, Spacer, TableStyle

from takings.money import Money
from takings.reports.export import Column, Sheet
from takings.words import Words

#: So many rows of one table at most: a PDF is for reading and filing, the Excel file has all.
MOST_ROWS: Final = 2_000

_INK: Final = HexColor("#1a1f36")
_SOFT: Final = HexColor("#596171")
_LINE: Final = HexColor("#d5dbe1")
_TONES: Final = {
    "good": HexColor("#0b6b3a"),
    "bad": HexColor("#b3093c"),
    "warn": HexColor("#9a5a00"),
    "busy": HexColor("#0055bc"),
}
_MARGIN: Final = 16 * mm
_BODY: Final = ParagraphStyle("body", fontName="Helvetica", fontSize=9, leading=12.5, textColor=_INK)
_TITLE: Final = ParagraphStyle("title", parent=_BODY, fontName="Helvetica-Bold", fontSize=18, leading=24)
_HEADING: Final = ParagraphStyle(
    "heading",
    parent=_BODY,
    fontName="Helvetica-Bold",
    fontSize=11,
    leading=15,
    spaceBefore=9,
    spaceAfter=4,
    keepWithNext=1,
)
_SMALL: Final = ParagraphStyle("small", parent=_BODY, fontSize=7.5, leading=9.5, splitLongWords=1)
_HEAD: Final = ParagraphStyle("head", parent=_SMALL, fontName="Helvetica-Bold", textColor=_SOFT)
_SMALL_RIGHT: Final = ParagraphStyle("small_right", parent=_SMALL, alignment=TA_RIGHT)
_HEAD_RIGHT: Final = ParagraphStyle("head_right", parent=_HEAD, alignment=TA_RIGHT)
_RIGHT: Final = frozenset(("money", "major", "number", "ratio"))
_UNITS: Final = {"major": 1.15, "money": 1.15, "number": 0.9, "day": 1.0, "moment": 1.3, "ratio": 0.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is drawn.

    Attributes:
        title: At its head, and the file's own title.
        about: Lines (label, text) that say what it is about.
        verdict: How it stands, in a few words; empty: nothing is said of that.
        tone: ``good``, ``bad``, ``warn`` or ``busy``: the colour of the verdict.
        sentences: Why.
        tables: The tables, each under its name; the first follows the verdict at once, without its name.
        foot: At the foot of every page, beside its number.
    """

    title: str
    about: Sequence[tuple[str, str]]
    verdict: str = ""
    tone: str = "good"
    sentences: Sequence[str] = ()
    tables: Sequence[Sheet]
    foot: str = ""


def to_pdf(document: Document, path: Path, words: Words) -> None:
    """Draw a document.

    Args:
        document: What.
        path: The file to make.
        words: The language of numbers, days and page numbers.
    """
    template = BaseDocTemplate(
        str(path),
        pagesize=A4,
        title=_plain(document.title),
        author="Takings",
        lang=words.locale,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=20 * mm,
    )
    frame = Frame(_MARGIN, 20 * mm, A4[0] - 2 * _MARGIN, A4[1] - 20 * mm - _MARGIN, 0, 0, 0, 0)
    template.addPageTemplates([PageTemplate("page", [frame])])
    foot = _plain(document.foot)

    class Numbered(_Numbered):
        def told(self, page: int, pages: int) -> tuple[str, str]:
            return foot, _plain(words("month_end.page_of", page=page, pages=pages))

    template.build(list(_story(document, words, A4[0] - 2 * _MARGIN)), canvasmaker=Numbered)


class _Numbered(Canvas):
    """A canvas that knows how many pages there are before it draws their feet."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pages: list[dict[str, Any]] = []

    def told(self, page: int, pages: int) -> tuple[str, str]:
        raise NotImplementedError

    def showPage(self) -> None:  # the library's name
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # as the library itself begins one

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            left, right = self.told(number, len(self._pages))
            self.setFont("Helvetica", 7)
            self.setFillColor(_SOFT)
            self.drawString(_MARGIN, 11 * mm, left)
            self.drawRightString(A4[0] - _MARGIN, 11 * mm, right)
            super().showPage()
        super().save()


def _story(document: Document, words: Words, width: float) -> Iterable[Flowable]:
    yield Paragraph(_text(document.title), _TITLE)
    for label, text in document.about:
        yield Paragraph(
            f'<font color="{_SOFT.hexval().replace("0x", "#")}">{_text(label)}</font>  {_text(text)}', _BODY
        )
    yield Spacer(1, 4 * mm)
    if document.verdict:
        tone = _TONES[document.tone]
        style = ParagraphStyle(
            "verdict", parent=_BODY, fontName="Helvetica-Bold", fontSize=12, leading=16, textColor=white, backColor=tone,
            borderPadding=5, leftIndent=5, rightIndent=5, spaceAfter=8,
        )  # fmt: skip
        yield Paragraph(_text(document.verdict), style)
    for sentence in document.sentences:
        yield Paragraph(_text(sentence), _BODY)
    yield Spacer(1, 3 * mm)
    for number, sheet in enumerate(document.tables):
        if number:
            yield Paragraph(_text(sheet.name), _HEADING)
        yield _table(sheet, words, width, narrow=not number and len(sheet.columns) < 3)


def _table(sheet: Sheet, words: Words, width: float, *, narrow: bool) -> LongTable:
    head = [
        Paragraph(_text(one.label or one.key), _HEAD_RIGHT if one.kind in _RIGHT else _HEAD) for one in sheet.columns
    ]
    rows: list[list[Any]] = [head]
    for at, row in enumerate(sheet.rows):
        if at == MOST_ROWS:
            rows.append([Paragraph("…", _SMALL), *([""] * (len(head) - 1))])
            break
        rows.append([_cell(one, value, words) for one, value in zip(sheet.columns, row, strict=True)])
    units = [_UNITS.get(one.kind, 1.6) for one in sheet.columns]
    total = width * 0.62 if narrow else width
    made = LongTable(rows, colWidths=[total * one / sum(units) for one in units], repeatRows=1, hAlign="LEFT")
    line: Color = _LINE
    made.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, _SOFT),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, line),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            ]
        )
    )
    return made


def _cell(column: Column, value: Any, words: Words) -> Paragraph:
    style = _SMALL_RIGHT if column.kind in _RIGHT else _SMALL
    if value is None:
        shown = ""
    elif isinstance(value, Money):
        shown = words.amount(value)
    elif isinstance(value, datetime):
        shown = words.moment(value)
    elif isinstance(value, date):
        shown = words.day(value)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        shown = words.number(value)
    else:
        shown = str(value)
    return Paragraph(_text(shown), style)


def _text(text: str) -> str:
    return escape(_plain(text))


def _plain(text: str) -> str:
    """Return a text in the letters that the fonts of every PDF reader have; others lose their marks, or become ``?``."""
    shown = text.replace("\u202f", "\u00a0").replace("\u2212", "-")
    made = []
    for letter in shown:
        if _drawn(letter):
            made.append(letter)
            continue
        bare = "".join(one for one in unicodedata.normalize("NFKD", letter) if _drawn(one))
        made.append(bare or "?")
    return "".join(made)


def _drawn(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
