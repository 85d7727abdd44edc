"""Values as JSON and CSV can hold them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import IO, Any
from uuid import UUID

from takings.money import exponent


def plain(value: object) -> Any:
    """Turn a value into what JSON can hold.

    Decimals become strings, since a JSON number would round them; moments become RFC 3339 in UTC.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime | date | time):
        return moment(value)
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [plain(inner) for inner in value]
    return str(value)


def moment(value: datetime | date | time) -> str:
    """Print a moment in UTC, RFC 3339, without microseconds where they are nought; a naive one as it stands."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def exact(value: Fraction | None) -> str | None:
    """Print a value exactly, as a whole number or as a fraction: ``1250``, ``125/7``."""
    return None if value is None else str(value)


def amount_in(currency: str, unit: str) -> dict[str, Any]:
    """Return what says how an amount is to be read: its currency, and for money the decimals of its minor unit."""
    return {"currency": currency, **({"exponent": exponent(currency)} if unit == "money" else {})}


def distinct(names: Sequence[str]) -> list[str]:
    """Return column names of which no two are the same: the second ``id`` becomes ``id_2``."""
    result: list[str] = []
    for name in names:
        number, fresh = 1, name
        while fresh in result:
            number += 1
            fresh = f"{name}_{number}"
        result.append(fresh)
    return result


def write_json_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], to: IO[str]) -> None:
    """Write rows as one JSON array of objects, a row a line."""
    first = True
    to.write("[")
    for row in rows:
        to.write("\n" if first else ",\n")
        to.write(json.dumps(dict(zip(columns, map(plain, row), strict=True)), ensure_ascii=False))
        first = False
    to.write("]\n" if first else "\n]\n")


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], to: IO[str]) -> None:
    """Write rows as CSV with a heading, RFC 4180 quoting and plain line ends; ``NULL`` is an empty field."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else _cell(value) for value in row])


def _cell(value: object) -> object:
    shown = plain(value)
    if isinstance(shown, bool):
        return "true" if shown else "false"
    return shown if isinstance(shown, str | int | float) else json.dumps(shown, ensure_ascii=False)
