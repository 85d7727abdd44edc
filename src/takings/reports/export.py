"""Writes a list to a CSV or an Excel file, whole, row by row: plain for machines, native numbers and dates for Excel."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from takings.money import Money, exponent

Kind = Literal["text", "link", "day", "moment", "money", "major", "number", "ratio"]

#: What Excel can hold, from its specification.
SHEET_ROWS: Final = 1_048_576
CELL_CHARACTERS: Final = 32_767
SHEET_LINKS: Final = 65_000
_EXACT_INTEGER: Final = 10**15
_CHUNK_BYTES: Final = 64 * 1024
_CUT: Final = " … [Excel holds 32,767 characters a cell: the CSV file has this whole]"

# A text that a spreadsheet would run as a formula. Signed numbers and telephone numbers are harmless.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s.,()/-]*$)")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list.

    Attributes:
        key: Its name in CSV, the same in every language.
        kind: ``money`` and ``major`` take :class:`Money` (in CSV two columns, or one in major units alone), ``moment`` aware datetimes, ``day`` dates, ``number`` integers, decimals
            and floats, ``ratio`` 0 to 1; ``None`` is an empty cell everywhere.
        label: Its heading in Excel; the key where empty.
    """

    key: str
    kind: Kind = "text"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A list to be written.

    Attributes:
        name: Name of the file, without its ending, and of the Excel sheet.
        columns: The columns.
        rows: The rows, each a value for each column; gone through once.
        zone: The zone that moments are written in.
        about: Lines (label, text) that say what this is: a sheet of its own in Excel.
    """

    name: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]
    zone: str = "UTC"
    about: tuple[tuple[str, str], ...] = field(default=())


def to_csv(sheet: Sheet) -> Iterator[bytes]:
    """Write a list as CSV: UTF-8, commas, a full stop for decimals, ISO dates, no grouping, whatever the language.

    An amount takes two columns: in major units as a plain decimal, and ``<key>_minor`` in whole minor units.
    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    zone = ZoneInfo(sheet.zone)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    header: list[str] = []
    for column in sheet.columns:
        header += [column.key, f"{column.key}_minor"] if column.kind == "money" else [column.key]
    writer.writerow(header)
    for row in sheet.rows:
        cells: list[str] = []
        for column, value in zip(sheet.columns, row, strict=True):
            if column.kind == "money":
                cells += ["", ""] if value is None else [plain(value), str(value.minor)]
            elif column.kind == "major":
                cells.append("" if value is None else plain(value))
            else:
                cells.append(_csv_cell(value, zone))
        writer.writerow(cells)
        if buffer.tell() > _CHUNK_BYTES:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def plain(amount: Money) -> str:
    """Print an amount as a plain decimal with all the decimals of its currency: ``-1234.50``."""
    return f"{amount.major:.{exponent(amount.currency)}f}"


def _csv_cell(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def to_excel(sheet: Sheet, path: Path, *more: Sheet) -> None:
    """Write a list as an Excel file: native numbers with the decimals of their currency, native dates in the zone.

    What exceeds a sheet's 1,048,576 rows goes on in a further sheet.

    Args:
        sheet: The list.
        path: The file to make.
        more: Further lists, each on a sheet of its own; what they are about is not written.
    """
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd",
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        written = _Book(book, sheet)
        written.write()
        for one in more:
            _Book(book, one, written).write()
        written.about()


class _Book:
    """An Excel file being written."""

    def __init__(self, book: xlsxwriter.Workbook, sheet: Sheet, beside: _Book | None = None) -> None:
        self._book = book
        self._sheet = sheet
        self._zone = ZoneInfo(sheet.zone)
        self._heading: Format = (
            beside._heading if beside else book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        )
        self._formats: dict[str, Format] = beside._formats if beside else {}
        self._links = 0
        self._pages = 0

    def write(self) -> None:
        page, at = self._page(), 1
        for row in self._sheet.rows:
            if at == SHEET_ROWS:
                page, at = self._page(), 1
            for index, (column, value) in enumerate(zip(self._sheet.columns, row, strict=True)):
                if value is not None:
                    self._cell(page, at, index, column.kind, value)
            at += 1

    def about(self) -> None:
        """Write the sheet that says what the file is."""
        if self._sheet.about:
            about = self._book.add_worksheet("About")
            about.set_column(0, 0, 24)
            about.set_column(1, 1, 100)
            for at, (label, text) in enumerate(self._sheet.about):
                about.write_string(at, 0, label, self._heading)
                about.write_string(at, 1, text)

    def _page(self) -> Worksheet:
        self._pages += 1
        self._links = 0
        name = re.sub(r"[\[\]:*?/\\']", " ", self._sheet.name)[:26] or "Takings"
        page = self._book.add_worksheet(name if self._pages == 1 else f"{name} ({self._pages})")
        page.freeze_panes(1, 0)
        for index, column in enumerate(self._sheet.columns):
            width = {"text": 24, "link": 18, "moment": 20, "day": 12}.get(column.kind, 16)
            page.set_column(index, index, width)
            page.write_string(0, index, column.label or column.key, self._heading)
        return page

    def _cell(self, page: Worksheet, row: int, column: int, kind: Kind, value: Any) -> None:
        if isinstance(value, Money):
            digits = exponent(value.currency)
            page.write_number(
                row, column, float(value.major), self._format("#,##0" + ("." + "0" * digits if digits else ""))
            )
        elif isinstance(value, bool):
            page.write_boolean(row, column, value)
        elif isinstance(value, datetime):
            local = value.astimezone(self._zone).replace(tzinfo=None)
            page.write_datetime(row, column, local, self._format("yyyy-mm-dd hh:mm:ss"))
        elif isinstance(value, date):
            page.write_datetime(row, column, value, self._format("yyyy-mm-dd"))
        elif isinstance(value, int | float | Decimal) and abs(float(value)) < _EXACT_INTEGER:
            page.write_number(row, column, float(value), self._format("0.0%") if kind == "ratio" else None)
        elif kind == "link" and self._links < SHEET_LINKS:
            self._links += 1
            page.write_url(row, column, str(value), string=str(value).rsplit("/", 1)[-1])
        else:
            text = str(value)
            if len(text) > CELL_CHARACTERS:
                text = text[: CELL_CHARACTERS - len(_CUT)] + _CUT
            page.write_string(row, column, text)

    def _format(self, pattern: str) -> Format:
        if pattern not in self._formats:
            self._formats[pattern] = self._book.add_format({"num_format": pattern})
        return self._formats[pattern]
