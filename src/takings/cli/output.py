"""How answers are printed: aligned tables for people, JSON, CSV and Parquet for programs, moments and counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import IO

import click

from takings.answers.plain import moment, plain, write_csv, write_json_rows

__all__ = [
    "ago",
    "bytes_said",
    "moment",
    "plain",
    "print_json",
    "print_table",
    "progress",
    "write_csv",
    "write_json_rows",
]


def ago(value: datetime | None, now: datetime) -> str:
    """Say how long ago a moment was in one short word: ``3 min ago``, ``never``."""
    if value is None:
        return "never"
    seconds = int((now - value).total_seconds())
    if seconds < 0:
        return f"in {_length(-seconds)}"
    return "just now" if seconds < 5 else f"{_length(seconds)} ago"


def _length(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def bytes_said(size: int) -> str:
    """Say a number of bytes in its largest decimal unit: ``1.2 GB``."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"


@contextmanager
def progress(what: str, *, shown: bool, unit: str = "bytes") -> Iterator[Callable[[int], None]]:
    """Lend a function that shows how far something is, on one line of stderr that goes away at the end.

    Args:
        what: What is being done.
        shown: False shows nothing, for programs.
        unit: ``bytes``, or what is counted.
    """

    def tell(done: int) -> None:
        if shown:
            said = bytes_said(done) if unit == "bytes" else f"{done:,} {unit}"
            click.echo(f"\r\033[K{what}: {said}", nl=False, err=True)

    try:
        yield tell
    finally:
        if shown:
            click.echo("\r\033[K", nl=False, err=True)


def print_json(value: object, to: IO[str] | None = None) -> None:
    """Print one JSON document, indented, in UTF-8."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False), file=to)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], to: IO[str] | None = None) -> None:
    """Print rows under headings, aligned; numbers to the right, ``NULL`` as nothing.

    On a terminal long values are cut at its width; in a file or a pipe nothing is ever cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    kept = [tuple(row) for row in rows]
    console = Console(file=to or sys.stdout, highlight=False, soft_wrap=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        values = [row[index] for row in kept if row[index] is not None]
        numeric = bool(values) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis")
    for row in kept:
        table.add_row(*(Text(_cell(value)) for value in row))
    if not console.is_terminal:
        endless = console.options.update(width=1_000_000)
        console.width = max(80, console.measure(table, options=endless).maximum)
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\r", " ").replace("\n", " ")
    if isinstance(value, bool | int | float | Decimal):
        return str(value)
    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
