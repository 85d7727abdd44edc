"""Reads a file that Stripe exported: which report it may be, its rows with exact amounts, and the days it says it has."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from takings.errors import Invalid
from takings.money import exponent
from takings.reports.stripe_reports import ReportName

_NAMES: Final[tuple[tuple[str, ReportName], ...]] = (
    ("balance_change_from_activity", "balance_change_from_activity"),
    ("balance_change", "balance_change_from_activity"),
    ("ending_balance", "ending_balance_reconciliation"),
    ("payout_reconciliation", "payout_reconciliation"),
    ("balance_summary", "balance_summary"),
)
#: As Stripe's dashboard names a file: …_2025-11-01_to_2025-11-29_UTC.csv
_NAMED_DAYS: Final = re.compile(r"(\d{4}-\d{2}-\d{2})_to_(\d{4}-\d{2}-\d{2})(?:_([A-Za-z][A-Za-z_+-]*[A-Za-z0-9]))?")
_DESCRIBED: Final = re.compile(r"\((\d{4}-\d{2}-\d{2})\)")
_SIGN: Final = re.compile(r"^([-+]?)\s*([0-9][0-9., \u00a0\u202f']*)$")
_MOMENT: Final = re.compile(r"^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2})(:\d{2})?(?:\.0+)?(Z|[+-]\d{2}:?\d{2}| UTC)?$")
MOST_BYTES: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file: its number, the header being 1, and its cells by column."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeFile:
    """What a file holds.

    Attributes:
        name: The file's name, without its folder.
        columns: Its header.
        lines: Its rows.
        itemized: Each row is a transaction.
        candidates: Which reports it may be, the likeliest first.
        start: First day, where the file says so.
        end: The day after the last, where the file says so.
        zone: The zone that its name tells; None: it tells none.
        comma: Amounts have a comma before their decimals.
    """

    name: str
    columns: tuple[str, ...]
    lines: Sequence[Line]
    itemized: bool
    candidates: tuple[ReportName, ...]
    start: date | None
    end: date | None
    zone: str | None
    comma: bool

    def minor(self, line: Line, column: str, currency: str) -> int | None:
        """Return an amount in minor units; None for an empty cell.

        Raises:
            Invalid: It is no amount of this currency.
        """
        text = line.cells.get(column, "").strip()
        if not text:
            return None
        return minor_of(text, currency, comma=self.comma, where=f"line {line.number}, {column}")


def read_file(path: Path) -> StripeFile:
    """Read a file that Stripe exported.

    Raises:
        Invalid: It is no such file; the sentence says why.
    """
    return parse_file(path.name, _text(path))


def read_rows(path: Path) -> tuple[tuple[str, ...], Iterator[Line]]:
    """Return a file's header and its rows, whatever it is. Errors as of :func:`read_file`."""
    return rows_of(path.name, _text(path))


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_BYTES:
        raise Invalid("reports.file_large", f"{path.name} is larger than 2 GB: export shorter periods.", name=path.name)
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            "reports.file_encoding", f"{path.name} is not text in UTF-8: export it as CSV again.", name=path.name
        ) from error


def parse_file(name: str, text: str) -> StripeFile:
    """Make sense of a file's text. Arguments and errors as of :func:`read_file`."""
    columns, rows = rows_of(name, text)
    kind = _kind(name, columns)
    lines = list(rows)
    itemized, candidates = kind
    start, end, zone = _days(name, lines, candidates)
    comma = is_comma(line.cells.get(column, "") for line in lines for column in ("gross", "fee", "net", "net_amount"))
    return StripeFile(
        name=name,
        columns=columns,
        lines=lines,
        itemized=itemized,
        candidates=candidates,
        start=start,
        end=end,
        zone=zone,
        comma=comma,
    )


def rows_of(name: str, text: str) -> tuple[tuple[str, ...], Iterator[Line]]:
    """Take a text apart: its header, and the rows that are not empty.

    Raises:
        Invalid: A row has more or fewer cells than the header; once it is come to.
    """
    first = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = tuple(cell.strip() for cell in next(rows, []))
    return columns, _lines(name, columns, rows)


def _lines(name: str, columns: tuple[str, ...], rows: Iterator[list[str]]) -> Iterator[Line]:
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(columns):
            raise Invalid(
                "reports.file_row",
                f"{name}, line {number} has {len(row)} cells where the header has {len(columns)}: the file is damaged.",
                name=name,
                line=number,
            )
        yield Line(number, dict(zip(columns, row, strict=True)))


def is_comma(amounts: Iterable[str]) -> bool:
    """Tell whether amounts have a comma before their decimals."""
    held = list(amounts)
    return any("," in one for one in held) and not any("." in one for one in held)


def _kind(name: str, columns: tuple[str, ...]) -> tuple[bool, tuple[ReportName, ...]]:
    """Return whether it is itemised, and which reports its columns allow, the one its name says first."""
    header = set(columns)
    allowed: tuple[ReportName, ...]
    if {"category", "net_amount", "currency"} <= header:
        return False, ("balance_summary",)
    if {"balance_transaction_id", "currency"} <= header and header & {"gross", "net"}:
        itemized = True
        if columns[0].startswith("automatic_payout") or "payout_reconciliation" in name:
            allowed = ("payout_reconciliation", "ending_balance_reconciliation", "balance_change_from_activity")
        else:
            allowed = ("balance_change_from_activity", "ending_balance_reconciliation", "payout_reconciliation")
    elif {"reporting_category", "currency"} <= header and header & {"gross", "net"}:
        itemized = False
        allowed = ("balance_change_from_activity", "payout_reconciliation", "ending_balance_reconciliation")
    else:
        raise Invalid(
            "reports.file_unknown",
            f"{name} is none of Stripe's reports that can be compared: its columns are {', '.join(columns)[:200] or 'none'}. "
            "Export the balance summary, the balance change from activity, the payout reconciliation, the ending balance, or MRR per subscriber per month.",
            name=name,
            columns=", ".join(columns)[:200],
        )
    told = re.sub(r"[\W_]+", "_", name.lower())
    for word, report in _NAMES:
        if word in told and report in allowed:
            return itemized, (report,)
    return itemized, allowed


def _days(
    name: str, lines: Sequence[Line], candidates: Sequence[ReportName]
) -> tuple[date | None, date | None, str | None]:
    """Return first day, the day after the last, and zone, as far as the file's name or its descriptions tell them."""
    if found := _NAMED_DAYS.search(name):
        zone = found[3]
        if zone is not None:
            zone = (
                zone.replace("-", "/") if zone.replace("-", "/") != zone and _is_zone(zone.replace("-", "/")) else zone
            )
            zone = zone if _is_zone(zone) else None
        return date.fromisoformat(found[1]), date.fromisoformat(found[2]) + timedelta(days=1), zone
    if candidates == ("balance_summary",):
        told = {
            line.cells["category"]: date.fromisoformat(match[1])
            for line in lines
            if (match := _DESCRIBED.search(line.cells.get("description", "")))
        }
        start, last = told.get("starting_balance"), told.get("ending_balance")
        if start is not None and last is not None:
            # Some exports name the last day, some the day after it: nobody asks for a month and a day.
            return start, last if last.day == start.day and last > start else last + timedelta(days=1), None
    return None, None, None


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def minor_of(text: str, currency: str, *, comma: bool, where: str, rounded: bool = False) -> int:
    """Return an amount that is written in major units, in minor units, exactly.

    Args:
        text: Such as ``-1,234.50``.
        currency: Whose decimals it has.
        comma: The comma parts the decimals.
        where: Where it stands, for the error.
        rounded: What has more decimals than the currency is rounded, half to even, and not refused.

    Raises:
        Invalid: It is no number, or has more decimals than the currency.
    """
    plain = text.strip().replace("−", "-")
    found = _SIGN.match(plain)
    try:
        if found is None:
            raise InvalidOperation
        digits = re.sub(r"[ \u00a0\u202f']", "", found[2])
        digits = digits.replace(".", "").replace(",", ".") if comma else digits.replace(",", "")
        value = Decimal(found[1] + digits)
    except InvalidOperation:
        raise Invalid(
            "reports.file_amount", f"{where}: “{text[:40]}” is no amount.", where=where, text=text[:40]
        ) from None
    scaled = value.scaleb(exponent(currency))
    if rounded:
        return int(scaled.to_integral_value(ROUND_HALF_EVEN))
    if scaled != scaled.to_integral_value():
        raise Invalid(
            "reports.file_decimals",
            f"{where}: “{text[:40]}” has more decimals than {currency.upper()}.",
            where=where,
            text=text[:40],
            currency=currency.upper(),
        )
    return int(scaled)


def moment_of(text: str, zone: ZoneInfo, where: str) -> datetime | None:
    """Return a moment as Stripe's files write it; None for an empty cell.

    Args:
        text: Such as ``2026-09-01 20:09:00``.
        zone: The zone it is in where it does not say.
        where: Where it stands, for the error.

    Raises:
        Invalid: It is no moment.
    """
    if not text.strip():
        return None
    found = _MOMENT.match(text.strip())
    if found is None:
        raise Invalid("reports.file_moment", f"{where}: “{text[:40]}” is no time.", where=where, text=text[:40])
    naive = datetime.fromisoformat(f"{found[1]} {found[2]}{found[3] or ':00'}")
    if found[4] in ("Z", " UTC"):
        return naive.replace(tzinfo=UTC)
    if found[4]:
        return datetime.fromisoformat(f"{naive.isoformat()}{found[4]}").astimezone(UTC)
    return naive.replace(tzinfo=zone).astimezone(UTC)
