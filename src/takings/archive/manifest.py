"""What a backup says of itself: versions, and every file with size and SHA-256."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from takings.errors import Misconfigured

NAME: Final = "manifest.json"
FORMAT: Final = 1


class Entry(msgspec.Struct, frozen=True):
    """A file of a backup.

    Attributes:
        name: Its path in the data folder, with slashes.
        size: Bytes.
        sha256: Hash of its content, hexadecimal.
    """

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    Attributes:
        format: Number of the backup's own form.
        made_at: When, aware.
        takings: Version of the program that made it.
        store: Where the product's own database was: in the backup, or in a Postgres of its own that it does not hold.
        store_schema: Revision of its schema; None where it is not in the backup, or empty.
        warehouse: Kind of the warehouse.
        warehouse_format: Number of the warehouse's form; 0 where there was none yet.
        stripe: Release of Stripe's library that the warehouse's columns come from.
        key: True when the key that opens stored credentials is in it.
        settings: True when the settings file is in it.
        files: Every file.
    """

    format: int
    made_at: datetime
    takings: str
    store: Literal["sqlite", "postgres"]
    store_schema: str | None
    warehouse: Literal["ducklake", "duckdb"]
    warehouse_format: int
    stripe: str
    key: bool
    settings: bool
    files: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def encoded(self) -> bytes:
        """Return it as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def decoded(raw: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        Misconfigured: It is none, or one of a newer version of the program.
    """
    try:
        said = msgspec.json.decode(raw, type=dict[str, object]).get("format")
        if isinstance(said, int) and said > FORMAT:
            raise newer()
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise no_backup() from error


def newer() -> Misconfigured:
    """Return the error of a backup that this program is too old for."""
    return Misconfigured(
        "archive.newer", "A newer version of Takings made this backup: install that version or a later one."
    )


def no_backup() -> Misconfigured:
    """Return the error of what is no backup, or a part of one only."""
    return Misconfigured(
        "archive.no_backup", "This is no backup of Takings, or it is not whole: nothing was changed. Take another."
    )
