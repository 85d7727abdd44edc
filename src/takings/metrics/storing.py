"""Keeps what models come to while they are worked out: in the engine's memory, or, where there is much of it, in files."""

from __future__ import annotations

import glob
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from takings.warehouse import Session

FROM_ROWS: Final = 200_000
"""From how many rows of sources on files are worth it: measured, they are at 500,000, and cost a second more at 25,000."""

_GROUPS: Final = 16  # of rows a file: two million rows
_PLACE: Final = "temp.main."


class Memory:
    """Temporary tables of the engine: the fastest there is, as long as all fits into memory. On disk they are not compressed.

    Args:
        session: Whose tables they are.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def make(self, name: str, sql: str, values: Mapping[str, Any] | None = None) -> None:
        """Keep the rows that a question gives.

        Args:
            name: Of the table: it is read as ``temp.main.name``.
            sql: The question.
            values: Of its parameters.
        """
        self._session.execute(f"CREATE TEMP TABLE {name} AS {sql}", None if values is None else dict(values))

    def drop(self, name: str) -> None:
        """Let a table go; one that is not there does no harm."""
        self._session.execute(f"DROP TABLE IF EXISTS {_PLACE}{name}")

    def abandon(self, name: str) -> None:
        """Let go of a table whose transaction is lost: no more can be said in it, and the table goes with it."""

    def pieces(self, name: str) -> tuple[str, ...]:
        """Return what SQL may read one after the other in place of a table, none of them large."""
        return (f"{_PLACE}{name}",)


class Files:
    """Parquet files, and temporary views of them: a tenth of the bytes, and nothing of it in memory.

    Args:
        session: Whose views they are.
        folder: Where the files go; the engine may read and write there.
    """

    def __init__(self, session: Session, folder: Path) -> None:
        self._session = session
        self._folder = folder
        self._places: dict[str, tuple[Path, str]] = {}

    def make(self, name: str, sql: str, values: Mapping[str, Any] | None = None) -> None:
        """See :meth:`Memory.make`."""
        given = None if values is None else dict(values)
        # Parquet has no whole numbers of 128 bits and would keep them as floats.
        described = self._session.execute(f"DESCRIBE {sql}", given).fetchall()
        wide = [column for column, kind, *_ in described if kind == "HUGEINT"]
        place = self._place(name)
        self._write(
            place,
            place / "0",
            f"SELECT *{_cast(wide, 'DECIMAL(38, 0)')} FROM ({sql})",
            f"ROW_GROUPS_PER_FILE {_GROUPS}",
            given,
        )
        self._show(name, place, _cast(wide, "HUGEINT"))

    def divide(self, name: str, sql: str, column: str) -> Path:
        """Keep the rows that a question gives, apart by a column of whole numbers, which is not kept itself.

        Returns:
            A folder that has one with files for each number that there is: ``column=number``. It is the caller's to delete.
        """
        place = self._place(name)
        self._write(place, place, sql, f"PARTITION_BY ({column})", None)
        return place

    def move(self, name: str, to: str) -> None:
        """Add the rows of a table to another, which is made when it is not there; the first is gone then."""
        place, cast = self._places[name]
        if to not in self._places:
            goal = self._place(to)
            goal.mkdir()
        else:
            goal = self._places[to][0]
        taken = len(list(goal.iterdir()))
        for number, folder in enumerate(sorted(place.iterdir())):
            folder.rename(goal / f"{taken + number}")
        if to not in self._places:
            self._show(to, goal, cast)
        self.drop(name)

    def drop(self, name: str) -> None:
        """See :meth:`Memory.drop`."""
        self._session.execute(f"DROP VIEW IF EXISTS {_PLACE}{name}")
        self.abandon(name)

    def abandon(self, name: str) -> None:
        """See :meth:`Memory.abandon`."""
        if name in self._places:
            shutil.rmtree(self._places.pop(name)[0], ignore_errors=True)

    def pieces(self, name: str) -> tuple[str, ...]:
        """See :meth:`Memory.pieces`."""
        place, cast = self._places[name]
        return tuple(f"({reading([file], cast)})" for file in sorted(place.glob("*/*.parquet")))

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}_{secrets.token_hex(8)}"

    def _write(self, place: Path, folder: Path, sql: str, how: str, values: dict[str, Any] | None) -> None:
        try:
            if folder != place:
                place.mkdir()
            self._session.execute(
                f"COPY ({sql}) TO {quoted(str(folder))} (FORMAT parquet, COMPRESSION zstd, {how})", values
            )
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _show(self, name: str, place: Path, cast: str) -> None:
        self._places[name] = place, cast
        files = quoted(f"{glob.escape(str(place))}/*/*.parquet")
        self._session.execute(f"CREATE TEMP VIEW {name} AS SELECT *{cast} FROM read_parquet({files})")


def reading(files: Iterable[Path], cast: str = "") -> str:
    """Return the question that reads files."""
    names = ", ".join(quoted(glob.escape(str(file))) for file in files)
    return f"SELECT *{cast} FROM read_parquet([{names}], hive_partitioning = false)"


def quoted(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _cast(columns: list[str], kind: str) -> str:
    casts = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column in columns)
    return f" REPLACE ({casts})" if casts else ""
