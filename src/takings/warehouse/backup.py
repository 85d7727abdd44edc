"""Gives a consistent copy of the warehouse's files while others read and write it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from takings.errors import Unexpected
from takings.settings import Settings
from takings.warehouse.building import Form
from takings.warehouse.engine import CATALOG, DATA, FILE, File, copy_file, mapped, preserving

FOLDER: Final = "warehouse"
"""Name of the warehouse's folder in the data folder."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A warehouse as it stood at one moment.

    Attributes:
        form: What it is.
        files: Each file's name in the data folder, with where to read it: nobody changes or deletes it meanwhile.
    """

    form: Form
    files: tuple[tuple[str, Path], ...]


@contextmanager
def copied(settings: Settings, into: Path) -> Iterator[Copy]:
    """Lend a copy of an installation's warehouse for as long as the block lasts.

    The lake is not copied but for its catalog: data files are never changed, and none is deleted meanwhile. Of a DuckDB
    file a whole copy is made, for which its users wait.

    Args:
        settings: Which installation.
        into: A folder for what has to be copied first, with room for it.

    Raises:
        Unavailable: Another backup is being made, the disk is full, or the warehouse is busy.
    """
    folder = settings.home / FOLDER
    if settings.warehouse == "ducklake":
        if not (folder / CATALOG).exists():
            yield Copy(Form(0, ""), ())
            return
        with preserving(folder):
            copy_file("sqlite", folder / CATALOG, into / CATALOG)
            form, names = _lake(into / CATALOG)
            data = tuple((f"{FOLDER}/{name}", folder / name) for name in names)
            yield Copy(form, ((f"{FOLDER}/{CATALOG}", into / CATALOG), *data))
        return
    if not (folder / FILE).exists():
        yield Copy(Form(0, ""), ())
        return
    with preserving(folder):
        engine = File(folder, settings.warehouse_memory_mb)
        with engine.session(write=True) as session, mapped():
            session.execute("CHECKPOINT")
            row = session.execute(
                "SELECT comment FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'versions'"
            ).fetchone()
            copy_file("plain", engine.path, into / FILE)
        yield Copy(Form.of(row[0] if row else None), ((f"{FOLDER}/{FILE}", into / FILE),))


def _lake(catalog: Path) -> tuple[Form, list[str]]:
    """Read from a copied catalog what the lake is and which files it has; files on their way out are struck from the copy."""
    with closing(sqlite3.connect(catalog)) as db:
        db.execute("DELETE FROM ducklake_files_scheduled_for_deletion")
        db.commit()
        comment = db.execute(
            """
            SELECT g.value FROM ducklake_tag AS g
            JOIN ducklake_table AS t ON t.table_id = g.object_id AND t.table_name = 'versions' AND t.end_snapshot IS NULL
            JOIN ducklake_schema AS s ON s.schema_id = t.schema_id AND s.schema_name = 'raw'
            WHERE g.key = 'comment' AND g.end_snapshot IS NULL
            """
        ).fetchone()
        rows = db.execute(
            """
            SELECT s.path, s.path_is_relative, t.path, t.path_is_relative, f.path, f.path_is_relative
            FROM (
                SELECT table_id, path, path_is_relative FROM ducklake_data_file
                UNION ALL SELECT table_id, path, path_is_relative FROM ducklake_delete_file
            ) AS f
            JOIN (SELECT DISTINCT table_id, schema_id, path, path_is_relative FROM ducklake_table) AS t
                ON t.table_id = f.table_id
            JOIN (SELECT DISTINCT schema_id, path, path_is_relative FROM ducklake_schema) AS s ON s.schema_id = t.schema_id
            """
        ).fetchall()
    names = set()
    for schema, schema_relative, table, table_relative, file, file_relative in rows:
        if not (schema_relative and table_relative and file_relative):
            raise Unexpected("warehouse.elsewhere", "The warehouse's catalog names files outside of its own folder.")
        names.add(str(PurePosixPath(DATA) / schema / table / file))
    return Form.of(comment[0] if comment else None), sorted(names)
