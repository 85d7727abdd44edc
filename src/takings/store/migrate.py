"""Bring a database up to the present schema: forward only, once, with a copy of the file first.

For developers: after a change of ``schema.py``, ``python -m takings.store.migrations "what changed"`` writes the next
migration from the difference; read it before you commit it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from takings.errors import Misconfigured
from takings.log import get
from takings.store import schema

LOCK: Final = 7_254_018_230_561
"""Key of the Postgres advisory lock that lets one process migrate at a time."""

_FOLDER = Path(__file__).parent / "migrations"


def config(connection: sa.Connection | None = None) -> Config:
    """Return Alembic's configuration for the migrations of this package."""
    settings = Config()
    settings.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def upgrade(connection: sa.Connection, file: Path | None = None) -> bool:
    """Migrate to the newest schema inside the transaction of ``connection``, which must hold the lock.

    Args:
        connection: In a transaction that excludes other writers.
        file: The SQLite file, copied beside itself before an existing schema is changed; None for Postgres.

    Returns:
        True when something was changed.

    Raises:
        Misconfigured: A newer version of the program made the database, or it belongs to something else.
    """
    scripts = ScriptDirectory.from_config(config())
    head = scripts.get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    if current == head:
        return False
    if current is not None and current not in known_revisions():
        raise Misconfigured(
            "store.newer",
            f"A newer version of Takings made this database (schema {current}): install that version or a later one.",
            revision=current,
        )
    if current is None and set(sa.inspect(connection).get_table_names()) & set(schema.metadata.tables):
        raise Misconfigured(
            "store.foreign",
            "This database holds tables of another program under the same names: "
            "give Takings a database of its own in TAKINGS_STORE_URL.",
        )
    log = get("store")
    if current is not None and file is not None:
        log.info("store.backup_made", file=str(back_up(file, current)))
    command.upgrade(config(connection), "head")
    log.info("store.migrated", before=current, after=head)
    return True


def known_revisions() -> frozenset[str]:
    """Return every revision of the schema that this program knows."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())


def default_differs(
    context: MigrationContext,
    _found: sa.Column[Any],
    _wanted: sa.Column[Any],
    found: str | None,
    _clause: object,
    wanted: str | None,
) -> bool | None:
    """Tell whether a column's default in the database is another than the schema's, for Alembic.

    Returns:
        None where Alembic knows best: it takes SQLite's ``('')`` for something else than ``''``.
    """
    if context.dialect.name != "sqlite":
        return None
    return (found or "").strip("()'") != (wanted or "").strip("()'") or (found is None) != (wanted is None)


def back_up(file: Path, revision: str) -> Path:
    """Copy a SQLite database, as committed, to a file beside it (mode 600) and return its path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = file.with_name(f"{file.name}.{revision}.{stamp}.backup")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    return target


def write_revision(message: str) -> Path:
    """Write the next migration from the difference between the migrations so far and ``schema.py``.

    Returns:
        The path of the new file.
    """
    with tempfile.TemporaryDirectory() as folder:
        engine = sa.create_engine(f"sqlite:///{folder}/empty.db")
        with engine.connect() as connection:
            existing = ScriptDirectory.from_config(config()).get_heads()
            if existing:
                command.upgrade(config(connection), "head")
                connection.commit()
            number = f"{len(list((_FOLDER / 'versions').glob('[0-9]*.py'))) + 1:04d}"
            script = command.revision(config(connection), message, autogenerate=True, rev_id=number)
        engine.dispose()
    assert script is not None and not isinstance(script, list)
    return Path(script.path)
