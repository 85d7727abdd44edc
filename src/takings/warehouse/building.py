"""Makes the warehouse's tables and brings them up to date: forward only, with a copy of the catalog first.

What the warehouse is stands in the comment of ``raw.versions``: the number of its form, and the release of Stripe's library that
its typed columns come from. Both only ever grow. A typed table whose columns had to be changed says so in its own comment
until it has been filled from the versions; see :mod:`takings.warehouse.rebuild`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from takings.errors import Misconfigured
from takings.log import get
from takings.warehouse.engine import Engine, Session, mapped
from takings.warehouse.tables import VERSION_COLUMNS, Table, quote

FORMAT: Final = 1
"""The form of the warehouse that this program writes. A change that is more than new columns gets the next number."""

UNFILLED: Final = (
    "Columns were added or changed: rows written before lack them until they are filled from raw.versions."
)
"""What a table says of itself while its rows wait to be filled."""

_STATED = re.compile(r"\(format (\d+), stripe ([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Form:
    """What a warehouse is.

    Attributes:
        format: Number of its form; 0 for one from before forms were numbered.
        stripe: Release of Stripe's library that its typed columns come from; empty where unknown.
    """

    format: int
    stripe: str

    def __str__(self) -> str:
        return f"format {self.format}, stripe {self.stripe}"

    @classmethod
    def of(cls, comment: str | None) -> Form:
        """Read what the comment of ``raw.versions`` says."""
        found = _STATED.search(comment or "")
        return cls(int(found[1]), found[2]) if found else cls(0, "")


def check(form: Form, stripe: str) -> None:
    """See that this program may work with a warehouse.

    Args:
        form: What the warehouse is.
        stripe: Release of Stripe's library that this program's catalogue comes from.

    Raises:
        Misconfigured: A newer version of the program made it.
    """
    if form.format > FORMAT or _release(form.stripe) > _release(stripe):
        raise Misconfigured(
            "warehouse.newer",
            f"A newer version of Takings made this warehouse ({form}): install that version or a later one.",
            form=str(form),
        )


def build(engine: Engine, tables: dict[str, Table], stripe: str) -> None:
    """Make what is missing: schemas, tables, columns. Columns of another type are made anew; nothing else is dropped.

    Args:
        engine: Whose; the caller holds :meth:`Engine.building`.
        tables: Every typed table by name.
        stripe: Release of Stripe's library that they come from.

    Raises:
        Misconfigured: A newer version of the program made this warehouse.
        Unavailable: The disk is full, or others hold the warehouse.
    """
    wanted: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {("raw", "versions"): VERSION_COLUMNS}
    wanted.update({("stripe", name): table.columns for name, table in tables.items()})
    if engine.counted:
        wanted[("raw", "revision")] = (("n", "BIGINT"),)
    with engine.session(write=False) as session, mapped():
        have = _columns(session)
        form = Form.of(engine.comments(session).get(("raw", "versions")))
    check(form, stripe)
    target = Form(FORMAT, stripe)
    if form == target and all(
        key in have and all(have[key].get(name) == kind for name, kind in columns) for key, columns in wanted.items()
    ):
        return
    if ("raw", "versions") in have:
        get("warehouse").info("warehouse.backup_made", file=str(engine.back_up(f"format-{form.format}")))
    with engine.session(write=True) as session, mapped():
        session.execute("BEGIN TRANSACTION")
        session.execute("CREATE SCHEMA IF NOT EXISTS raw")
        session.execute("CREATE SCHEMA IF NOT EXISTS stripe")
        for (schema, table), columns in wanted.items():
            name = f"{schema}.{quote(table)}"
            there = have.get((schema, table))
            if there is None:
                session.execute(f"CREATE TABLE {name} ({', '.join(f'{quote(n)} {t}' for n, t in columns)})")
                if (schema, table) == ("raw", "revision"):
                    session.execute(f"INSERT INTO {name} VALUES (0)")
                continue
            differing = [(column, kind) for column, kind in columns if there.get(column) != kind]
            for column, kind in differing:
                if column in there:
                    session.execute(f"ALTER TABLE {name} DROP COLUMN {quote(column)}")
                session.execute(f"ALTER TABLE {name} ADD COLUMN {quote(column)} {kind}")
            if differing and schema == "stripe" and session.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone():
                session.execute(f"COMMENT ON TABLE {name} IS '{UNFILLED}'")
        session.execute(f"COMMENT ON TABLE raw.versions IS 'Every state of every object ({target}).'")
        session.execute("COMMIT")
    if form != target and ("raw", "versions") in have:
        get("warehouse").info("warehouse.upgraded", before=str(form), after=str(target))


def unfilled(engine: Engine, tables: dict[str, Table]) -> list[str]:
    """Return the typed tables whose rows wait to be filled from the versions, by name."""
    with engine.session(write=False) as session, mapped():
        comments = engine.comments(session)
    return sorted(name for name in tables if comments.get(("stripe", name)) == UNFILLED)


def _columns(session: Session) -> dict[tuple[str, str], dict[str, str]]:
    have: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in session.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = current_database()"
    ).fetchall():
        have.setdefault((schema, table), {})[column] = kind
    return have


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
