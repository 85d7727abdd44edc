"""Tables: sorted columns per kind of object, and ids that encode a row reversibly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takings.simulator.dice import I64, MASK, key_of, mix, mix_one, unmix_one

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_CODEPOINTS = np.array([ord(digit) for digit in _DIGITS], np.uint32)
_WIDTH = 11
_POWERS = np.array([62**place for place in range(_WIDTH)], np.uint64)
_BASE = np.uint64(62)


def base62(number: int, width: int) -> str:
    """Write a number in so many base-62 digits, the lowest first."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(digits)


class Ids:
    """Turns rows of one kind into ids and back.

    An id is a prefix, a lead, eleven base-62 digits of a keyed permutation of the row, and a tail that is the same
    for the whole account, as Stripe's own have.

    Args:
        seed: The account's seed.
        topic: What is numbered: the table's name.
        prefix: ``ch_``.
        length: Characters after the prefix, 11 to 58.
        lead: What comes before the digits.
    """

    def __init__(self, seed: int, topic: str, prefix: str, length: int, lead: str = "") -> None:
        self.head = prefix + lead
        self._key = key_of(seed, "id:" + topic)
        self._key64 = np.uint64(self._key)
        number, tail = key_of(seed, "tail"), ""
        while len(tail) < length - _WIDTH - len(lead):
            tail += base62(number, 10)
            number = mix_one(number + 1)
        self.tail = tail[: length - _WIDTH - len(lead)]
        self._length = len(self.head) + _WIDTH + len(self.tail)

    def encode(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the ids of rows (none negative)."""
        if not len(rows):
            return []
        numbers = mix(rows.astype(np.uint64) + self._key64)
        digits = _CODEPOINTS[(numbers[:, None] // _POWERS) % _BASE]
        head, tail = self.head, self.tail
        return [head + text + tail for text in digits.view(f"<U{_WIDTH}").ravel().tolist()]

    def encode_or_none(self, rows: NDArray[np.integer]) -> list[str | None]:
        """Return the ids of rows, None where a row is negative."""
        ids = self.encode(np.maximum(rows, 0))
        if len(rows) and int(rows.min()) < 0:
            return [id if row >= 0 else None for id, row in zip(ids, rows.tolist(), strict=True)]
        return list(ids)

    def one(self, row: int) -> str:
        """Return the id of one row."""
        return self.head + base62(mix_one(row + self._key), _WIDTH) + self.tail

    def decode(self, id: str) -> int | None:
        """Return the row an id stands for, which may lie beyond the table; None if it is no such id at all."""
        if len(id) != self._length or not id.startswith(self.head) or not id.endswith(self.tail):
            return None
        number = 0
        for digit in reversed(id[len(self.head) : len(self.head) + _WIDTH]):
            value = _VALUE.get(digit)
            if value is None:
                return None
            number = number * 62 + value
        if number > MASK:
            return None
        return (unmix_one(number) - self._key) & MASK


class Aliases(Ids):
    """Numbers some rows of one table anew, under the ids they have there: a plan is its price.

    Args:
        ids: The other table's numbering.
        rows: Its rows, ascending, in the order of the new ones.
    """

    def __init__(self, ids: Ids, rows: I64) -> None:
        self.head, self.tail = ids.head, ids.tail
        self._ids = ids
        self._rows = rows

    def encode(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the ids of rows (none negative)."""
        return self._ids.encode(self._rows[rows])

    def one(self, row: int) -> str:
        """Return the id of one row."""
        return self._ids.one(int(self._rows[row]))

    def decode(self, id: str) -> int | None:
        """Return the row an id stands for, or None."""
        other = self._ids.decode(id)
        if other is None or other > (1 << 62):
            return None
        row = int(np.searchsorted(self._rows, other))
        return row if row < len(self._rows) and int(self._rows[row]) == other else None


class Table:
    """All objects of one kind as columns, oldest first: a row's number is its place in Stripe's list, from the end.

    Args:
        name: The catalogue's table name: ``charges``.
        object: Stripe's word: ``charge``.
        ids: The numbering.
        created: Unix seconds, ascending; a table without times (lines) is ordered by its parent.
        columns: Further columns of the same length.
        hidden: Rows that no list returns although GET by id does (inline prices), or None.
        deleted: Rows that were deleted, or None.
    """

    def __init__(
        self,
        name: str,
        object: str,
        ids: Ids,
        created: NDArray[np.integer],
        columns: Mapping[str, NDArray[Any]],
        *,
        hidden: NDArray[np.bool_] | None = None,
        deleted: NDArray[np.bool_] | None = None,
    ) -> None:
        self.name = name
        self.object = object
        self.codec = ids
        self.created = created.astype(np.int64)
        self.columns = {key: _narrow(column) for key, column in columns.items()}
        self.hidden = hidden
        self.deleted = deleted
        self.size = len(created)
        self._orders: dict[str, tuple[I64, NDArray[Any]]] = {}

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.columns[column]

    def __len__(self) -> int:
        return self.size

    def row(self, id: str) -> int | None:
        """Return the row of an id, deleted ones included; None if there never was one."""
        row = self.codec.decode(id)
        return row if row is not None and row < self.size else None

    def rows_where(self, column: str, value: int) -> I64:
        """Return the rows that have a value in a column, ascending; the first use of a column of a big table sorts it once."""
        if self.size < 20_000:
            if not self.size:
                return np.zeros(0, np.int64)
            return np.flatnonzero(self.columns[column] == value)
        values = self.columns[column]
        if column not in self._orders:
            order = np.argsort(values, kind="stable")
            self._orders[column] = (order.astype(np.int32), values[order])
        order, ordered = self._orders[column]
        low, high = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
        return order[low:high].astype(np.int64)

    @property
    def alive(self) -> int:
        """How many rows are not deleted."""
        return self.size - (int(self.deleted.sum()) if self.deleted is not None else 0)

    @property
    def bytes(self) -> int:
        """Memory that the columns take."""
        return self.created.nbytes + sum(column.nbytes for column in self.columns.values())


def _narrow(column: NDArray[Any]) -> NDArray[Any]:
    """Keep whole numbers in the narrowest type that holds them."""
    if column.dtype.kind not in "iu" or not len(column):
        return column
    low, high = int(column.min()), int(column.max())
    for kind in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(kind)
        if bounds.min <= low and high <= bounds.max:
            return column.astype(kind)
    return column.astype(np.int64)


def sorted_by(created: I64, columns: Mapping[str, NDArray[Any]]) -> tuple[I64, dict[str, NDArray[Any]], I64]:
    """Sort rows by time, ties in their present order.

    Returns:
        The times, the columns, and for each old row its new one.
    """
    order = np.argsort(created, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return created[order], {key: column[order] for key, column in columns.items()}, place


def joined(parts: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Put rows of the same columns one after another."""
    listed = list(parts)
    return {key: np.concatenate([part[key] for part in listed]) for key in listed[0]}


def remap(places: I64, rows: I64) -> I64:
    """Translate references through the result of :func:`sorted_by`; negative ones (none) stay."""
    if not len(places):
        return rows
    return np.where(rows >= 0, places[np.maximum(rows, 0)], rows)


def ranks(groups: I64) -> I64:
    """Return for each row its place, from 1, among the rows of its group, in their order."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered, "left") + 1
    return number
