"""Decides which files of the lake are worth writing anew: pure, from sizes and counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal, NamedTuple

MB: Final = 10**6

#: Files are merged with their like, in three sizes (bytes, exclusive), so that no row is copied more than thrice on its
#: way from a small file to a large one.
TIERS: Final = (MB, 8 * MB, 64 * MB)
#: How many files of one size are merged when asked in passing, and when asked to be thorough.
MANY: Final = 12
SEVERAL: Final = 4
#: Share of deleted rows from which on a large file is written anew.
MUCH_DELETED: Final = 0.1
#: Bytes of files with deleted rows that are written anew in one go, about: writers wait meanwhile.
AT_ONCE: Final = 32 * MB


class DataFile(NamedTuple):
    """A data file of the lake as it stands now.

    Attributes:
        schema: Schema of its table.
        table: Its table.
        size: Bytes.
        rows: Rows in it, deleted ones included.
        deleted: Rows of it that are deleted: their places stand in a second file that every reader has to open.
    """

    schema: str
    table: str
    size: int
    rows: int
    deleted: int

    @property
    def share(self) -> float:
        """Share of its rows that are deleted, 0 to 1."""
        return self.deleted / self.rows if self.rows else 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do to one table, in a transaction of its own.

    Attributes:
        kind: ``merge`` joins files without deleted rows; ``rewrite`` makes files anew without their deleted rows.
        limit: For ``merge``: files below this many bytes; for ``rewrite``: files with at least this share deleted.
    """

    schema: str
    table: str
    kind: Literal["merge", "rewrite"]
    limit: float


def due(files: Iterable[DataFile], *, thorough: bool) -> list[Job]:
    """Return what is worth doing, at most one job a table: more may follow from it, so ask again afterwards.

    Args:
        files: All present files.
        thorough: True to join also a few small files; False to leave them until they are many.
    """
    many = SEVERAL if thorough else MANY

    def by_table(file: DataFile) -> tuple[str, str]:
        return (file.schema, file.table)

    jobs = []
    for (schema, table), group in groupby(sorted(files, key=by_table), by_table):
        mine = list(group)
        job = _rewrite(schema, table, mine, many) or _merge(schema, table, mine, many)
        if job is not None:
            jobs.append(job)
    return jobs


def _merge(schema: str, table: str, files: list[DataFile], many: int) -> Job | None:
    whole = [file.size for file in files if not file.deleted]
    below = 0
    for limit in TIERS:
        if sum(1 for size in whole if below <= size < limit) >= many:
            return Job(schema, table, "merge", limit)
        below = limit
    return None


def _rewrite(schema: str, table: str, files: list[DataFile], many: int) -> Job | None:
    """Choose files with deleted rows: those with a large share of them, and the small ones when they are many."""
    pierced = sorted((file for file in files if file.deleted), key=lambda file: -file.share)
    small = sum(1 for file in pierced if file.size < TIERS[0])
    chosen: float | None = None
    bytes_ = 0
    for file in pierced:
        wanted = file.share >= MUCH_DELETED if file.size >= TIERS[0] else file.share >= MUCH_DELETED or small >= many
        if not wanted or (bytes_ and bytes_ + file.size > AT_ONCE):
            # The engine takes every file from a share on: one that is not wanted ends the choice.
            break
        chosen = file.share
        bytes_ += file.size
    if chosen is None or (len(pierced) < many and all(file.share < MUCH_DELETED for file in pierced)):
        return None
    worth = [file for file in pierced if file.share >= chosen]
    if len(worth) < many and not any(file.size >= TIERS[0] for file in worth):
        return None  # a few small files: not yet
    return Job(schema, table, "rewrite", chosen)
