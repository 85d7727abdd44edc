"""Makes a typed table anew from the versions: beside the old one, in pieces, and then in its place at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa
from msgspec.structs import replace

from takings.catalog.model import Field
from takings.warehouse.engine import Engine, Session, mapped
from takings.warehouse.tables import Table, quote

#: Rows that came meanwhile are taken over before the exchange when they are more than this, in the exchange otherwise.
_FEW: Final = 1_000
_PIECE: Final = "8MB"
#: Versions among which the newest are chosen in one go: their keys have to be in memory together.
_CHOSEN_AT_ONCE: Final = 400_000

# What a column that the catalogue no longer knows is read as, by its type.
_KINDS: Final = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "DECIMAL(38,12)": "decimal",
    "DOUBLE": "float",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "JSON": "json",
}

# The version that each object's row comes from: the newest that holds an object; where Stripe has said since that it is
# gone, the same with the moment of that. An object of which nothing but its end is known has what was said then.
_CHOSEN = """
SELECT coalesce(o.whole, o.grave) AS chosen,
    CASE WHEN o.gone_at >= o.whole_at OR o.whole IS NULL THEN o.gone_at END AS gone_at,
    o.gone_known AS gone_known
FROM (
    SELECT arg_max(v.rowid, (v.as_of, v.hash)) FILTER (NOT v.deleted) AS whole,
        max(v.as_of) FILTER (NOT v.deleted) AS whole_at,
        arg_max(v.rowid, (v.as_of, v.hash)) FILTER (v.deleted) AS grave,
        max(v.as_of) FILTER (v.deleted) AS gone_at,
        arg_max(v.known_at, (v.as_of, v.hash)) FILTER (v.deleted) AS gone_known
    FROM raw.versions AS v
    WHERE v.resource = $resource {only}
    GROUP BY v.account, v.livemode, v.id
) AS o
"""

_INCOMING = """
SELECT v.id AS id, v.payload AS payload, v.parent AS parent, v.hash AS hash, v.account AS account, v.livemode AS livemode,
    coalesce(c.gone_at, v.as_of) AS as_of,
    CASE WHEN c.gone_at IS NULL THEN v.known_at ELSE c.gone_known END AS known_at,
    c.gone_at AS gone_at
FROM raw.versions AS v JOIN ({chosen}) AS c ON c.chosen = v.rowid
WHERE v.resource = $resource
"""


def beside(table: Table) -> str:
    """Return the quoted, qualified name under which a table is made anew."""
    return f"stripe.{quote(table.resource.table + ' rebuilding')}"


def rebuild(engine: Engine, table: Table, on_rows: Callable[[int], None] | None = None) -> int:
    """Make one typed table anew from the versions, for every owner. Others read the old rows until the new ones are there.

    Memory stays within the engine's limit, however large the table. Writers wait for a moment at a time. Columns that the
    catalogue no longer has are kept, and filled too.

    Args:
        engine: Whose; the caller holds :meth:`Engine.keeping`.
        table: Which.
        on_rows: Told how many rows are ready, again and again.

    Returns:
        How many rows the table has now.

    Raises:
        Unavailable: The disk is full, or others hold the warehouse: the table is as it was.
    """
    folder = engine.temporary / "rebuild"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with engine.undisturbed():
            return _rebuild(engine, table, folder, on_rows or (lambda _: None))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rebuild(engine: Engine, table: Table, folder: Path, on_rows: Callable[[int], None]) -> int:
    resource = table.resource.table
    with engine.session(write=True) as session, mapped():
        session.execute(f"DROP TABLE IF EXISTS {beside(table)}")
    with engine.session(write=False) as session, mapped():
        session.execute("BEGIN TRANSACTION")
        since = engine.mark(session)
        table = _with_former_columns(session, table)
        _choose(session, resource)
        session.execute(
            f"COPY ({table.typed(_INCOMING.format(chosen='SELECT * FROM temp.chosen'))}) TO '{folder}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192, FILE_SIZE_BYTES '{_PIECE}')",
            {"resource": resource},
        )
        session.execute("ROLLBACK")
    with engine.session(write=True) as session, mapped():
        columns = ", ".join(f"{quote(name)} {kind}" for name, kind in table.columns)
        session.execute(f"CREATE TABLE {beside(table)} ({columns})")
    ready = 0
    for piece in sorted(folder.rglob("*.parquet")):
        with engine.session(write=True) as session, mapped():
            row = session.execute(f"INSERT INTO {_target(table)} SELECT * FROM read_parquet('{piece}')").fetchone()
        ready += int(row[0]) if row else 0
        on_rows(ready)
        piece.unlink()
    while True:
        with engine.session(write=True) as session, mapped():
            now = engine.mark(session)
            came = engine.arrivals(session, since, resource)
            session.execute("BEGIN TRANSACTION")
            try:
                if came:
                    _take_over(session, table, came)
                if len(came) > _FEW:
                    session.execute("COMMIT")
                    since = now
                    continue
                session.execute(f"DROP TABLE {table.name}")
                session.execute(f"ALTER TABLE {beside(table)} RENAME TO {quote(resource)}")
                if engine.counted:
                    session.execute("UPDATE raw.revision SET n = n + 1")
                session.execute("COMMIT")
            except BaseException:
                session.execute("ROLLBACK")
                raise
            row = session.execute(f"SELECT count(*) FROM {table.name}").fetchone()
            return int(row[0]) if row else 0


def _choose(session: Session, resource: str) -> None:
    """Note in a table of the session's own which version each object's row comes from, part by part."""
    row = session.execute("SELECT count(*) FROM raw.versions AS v WHERE v.resource = $1", [resource]).fetchone()
    parts = 1 + (int(row[0]) if row else 0) // _CHOSEN_AT_ONCE
    session.execute(
        "CREATE TEMP TABLE chosen (chosen BIGINT, gone_at TIMESTAMP WITH TIME ZONE, gone_known TIMESTAMP WITH TIME ZONE)"
    )
    for part in range(parts):
        only = f"AND hash(v.id) % {parts} = {part}"
        session.execute(f"INSERT INTO temp.chosen {_CHOSEN.format(only=only)}", {"resource": resource})


def _take_over(session: Session, table: Table, ids: list[str]) -> None:
    """Make the rows of some objects anew in the table that is being made."""
    session.register("came", pa.table({"id": pa.array(ids, pa.string())}))
    session.execute(f"DELETE FROM {beside(table)} AS t WHERE t.id IN (SELECT id FROM came)")
    only = "AND v.id IN (SELECT id FROM came)"
    session.execute(
        f"INSERT INTO {_target(table)} {table.typed(_INCOMING.format(chosen=_CHOSEN.format(only=only)))}",
        {"resource": table.resource.table},
    )
    session.unregister("came")


def _target(table: Table) -> str:
    return f"{beside(table)} ({', '.join(quote(name) for name, _ in table.columns)})"


def _with_former_columns(session: Session, table: Table) -> Table:
    """Return the table with the columns that it has had and that its catalogue does not name any more."""
    known = {name for name, _ in table.columns}
    former = [
        Field(name=name, kind=_KINDS[kind])  # type: ignore[arg-type]
        for name, kind in session.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = 'stripe' AND table_name = $1 ORDER BY column_index",
            [table.resource.table],
        ).fetchall()
        if name not in known and kind in _KINDS
    ]
    if not former:
        return table
    return Table(replace(table.resource, fields=(*table.resource.fields, *former)))
