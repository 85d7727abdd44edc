"""Works out the lines of models in temporary tables, holds them against those that their tables have, and writes what differs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from takings.errors import Unexpected
from takings.metrics.model import KNOWN_AT, Model
from takings.metrics.registry import Registry
from takings.metrics.steps import fill
from takings.metrics.touched import WHOLE, Touched
from takings.warehouse import Session

_SOURCE: Final = re.compile(r"\b(?:stripe|raw)\.\w+\b")
_BARE: Final = "bare_"


class Work:
    """Temporary tables of one session: staging models, made once when a model of lines needs them, and what differs.

    Args:
        session: Whose tables they are.
        registry: The models.
        values: Of their parameters.
        bare: Tables without rows, as :meth:`takings.warehouse.Warehouse.bare` has them: empty copies are read in their place.
        touched: What to work out the lines of; None: of everything.
    """

    def __init__(
        self,
        session: Session,
        registry: Registry,
        values: dict[str, Any],
        bare: frozenset[str],
        touched: Touched | None = None,
    ) -> None:
        self._session = session
        self._registry = registry
        self._values = values
        self._bare = bare
        self._touched = touched
        self._made: list[str] = []

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._made):
            self._session.execute(f"DROP TABLE IF EXISTS {name}")

    def table(self, model: Model) -> str:
        """Return the temporary table of a model, made when it is not there yet."""
        name = model.name if self._touched is None else f"part_{model.name}"
        if f"temp.main.{name}" not in self._made:
            sql = model.sql
            for need in self._registry.needed(model):
                sql = need.renamed(sql, self.table(need))
            if self._touched is not None and model.name not in WHOLE:
                sql = self._touched.read_here(sql)
            sql = _SOURCE.sub(self._copy, sql)
            used = {one: self._values[one] for one in sorted(model.parameters)}
            fill(self._session, model, name, sql, used)
            self._made.append(f"temp.main.{name}")
        return f"temp.main.{name}"

    def _copy(self, named: re.Match[str]) -> str:
        """Return what to read in place of a table of the warehouse: the same one, or an empty copy where it has no rows."""
        source = named[0]
        if source not in self._bare:
            return source
        name = (
            f"{_BARE}{source.partition('.')[2]}" if self._touched is None else f"part_{_BARE}{source.partition('.')[2]}"
        )
        if f"temp.main.{name}" not in self._made:
            self._make(name, f"SELECT * FROM {source} LIMIT 0")
        return f"temp.main.{name}"

    def turn(self, values: dict[str, Any]) -> None:
        """Take other values of parameters from now on; tables that depend on those that changed are made anew."""
        changed = [name for name, value in values.items() if value != self._values[name]]
        self._values = values
        for name in tuple(reversed(self._made)):
            model = name.removeprefix("temp.main.")
            if not model.startswith(_BARE) and any(self._registry.takes(model, one) for one in changed):
                self._session.execute(f"DROP TABLE IF EXISTS {name}")
                self._made.remove(name)

    def delta(self, model: Model, before: int | None) -> Delta:
        """Return how a model's lines differ from those that its table holds.

        Args:
            model: Which.
            before: How many lines the table has; None: there is no table.
        """
        fresh = self.table(model)
        columns = self._columns(fresh)
        rows = self._count(fresh)
        if before is None:
            return Delta(model, columns, fresh, None, rows, rows, 0, whole=True)
        table, held = model.table, self._columns(model.table)
        if set(held) != {*columns, KNOWN_AT}:
            if self._touched is not None:  # cannot be, unless somebody has altered the table
                said = (
                    f"The columns of {table} are not those that Takings gave it: run `takings metrics --build --anew`."
                )
                raise Unexpected("metrics.columns", said, table=table)
            return Delta(model, columns, fresh, table, rows, rows, self._count(table), whole=True)
        if table in self._bare:
            table = self._make(f"{model.name}_held", f"SELECT * FROM {table} LIMIT 0")
        elif self._touched is not None:
            kept = ", ".join(f"l.{column}" for column in held)
            table = self._make(
                f"{model.name}_held", f"SELECT {kept} FROM {table} AS l WHERE {self._touched.lines(held)}"
            )
        # Lines are told apart by their grain and the hash of all that they say.
        gone = self._make(f"{model.name}_gone", _missing(model, table, held, fresh, columns))
        come = self._make(f"{model.name}_come", _missing(model, fresh, columns, table, columns))
        came, went = self._count(come), self._count(gone)
        rows = rows if self._touched is None else before + came - went
        return Delta(model, columns, come, gone, rows, came, went, whole=False)

    def strays(self, delta: Delta, touched: Touched | None) -> int:
        """Return how many lines of a difference have nothing to do with what has changed."""
        if touched is None or delta.whole or delta.former is None:
            return 0
        return sum(
            self._count(f"{table} AS l WHERE {touched.lines(delta.columns)} IS NOT TRUE")
            for table in (delta.come, delta.former)
        )

    def _make(self, name: str, sql: str) -> str:
        self._session.execute(f"CREATE TEMP TABLE {name} AS {sql}")
        self._made.append(f"temp.main.{name}")
        return f"temp.main.{name}"

    def _columns(self, table: str) -> list[str]:
        return [item[0] for item in self._session.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]

    def _count(self, table: str) -> int:
        row = self._session.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class Delta:
    """How a model's lines differ from those that its table holds.

    Attributes:
        model: Which.
        columns: Of its lines.
        come: Table of the lines to be added.
        former: Table of the lines to be taken out; None where there is no table yet.
        rows: How many lines there are then.
        came: How many are added.
        gone: How many are taken out.
        whole: Whether the model's table is made anew.
    """

    model: Model
    columns: list[str]
    come: str
    former: str | None
    rows: int
    came: int
    gone: int
    whole: bool

    def write(self, session: Session, now: datetime) -> None:
        """Add what is new, and move what is not so any more to the past."""
        table, past = self.model.table, self.model.past
        names = ", ".join(f'"{column}"' for column in self.columns)
        if self.former is not None and self.gone:
            self._keep(session, now)
        if self.whole:
            session.execute(f"DROP TABLE IF EXISTS {table}")
            session.execute(
                f"CREATE TABLE {table} AS SELECT {names}, $1::TIMESTAMPTZ AS {KNOWN_AT} FROM {self.come}", [now]
            )
            if self.former is None:
                session.execute(f"DROP TABLE IF EXISTS {past}")
                session.execute(
                    f"CREATE TABLE {past} AS SELECT l.*, l.{KNOWN_AT} AS until FROM {table} AS l WHERE false"
                )
            return
        if self.gone:
            session.execute(
                f"DELETE FROM {table} AS l USING {self.former} AS g WHERE {_same('l', 'g', self.model.grain)}"
            )
        if self.came:
            session.execute(
                f"INSERT INTO {table} ({names}, {KNOWN_AT}) SELECT {names}, $1::TIMESTAMPTZ FROM {self.come}", [now]
            )

    def _keep(self, session: Session, now: datetime) -> None:
        past = self.model.past
        if self.whole:  # the columns are others than before: the past has room for both
            has = {row[0] for row in session.execute(f"DESCRIBE {past}").fetchall()}
            for name, kind, *_ in session.execute(f"DESCRIBE {self.come}").fetchall():
                if name not in has:
                    session.execute(f"ALTER TABLE {past} ADD COLUMN {name} {kind}")
        session.execute(
            f"INSERT INTO {past} BY NAME SELECT g.*, $1::TIMESTAMPTZ AS until FROM {self.former} AS g", [now]
        )


def _missing(model: Model, table: str, wanted: list[str], other: str, columns: list[str]) -> str:
    """Return the SQL of the lines of one table that another has not, or has otherwise."""
    said = f"hash({', '.join(f'l.{column}' for column in columns)})"
    grain = ", ".join(f"l.{column}" for column in model.grain)
    return (
        f"SELECT {', '.join(f'l.{column}' for column in wanted)} FROM {table} AS l "
        f"ANTI JOIN (SELECT {grain}, {said} AS said FROM {other} AS l) AS f ON {_same('l', 'f', model.grain)} AND {said} = f.said"
    )


def _same(one: str, other: str, columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in columns)
