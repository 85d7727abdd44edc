"""Works out the lines of models in tables of its own, holds them against those that their tables have, and writes what differs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from takings.errors import Unexpected
from takings.metrics.model import KNOWN_AT, Model
from takings.metrics.registry import Registry
from takings.metrics.sharing import Share
from takings.metrics.steps import fill
from takings.metrics.storing import Files, Memory
from takings.metrics.touched import WHOLE, Touched
from takings.warehouse import Session

_SOURCE: Final = re.compile(r"\b(?:stripe|raw)\.\w+\b")
_BARE: Final = "bare_"
#: Lines are compared as sums of their hashes first, in so many heaps; only heaps that differ are compared line by line.
_HEAPS: Final = 4096
#: From how many lines on a new table is written in several transactions, so that other writers need not wait for all of it.
_POURED_FROM: Final = 500_000
_BREATH_S: Final = 0.05  # whoever waits for the turn looks every hundredth of a second
POURED: Final = "_poured"
"""How the names of such tables end, until they are put in place; none is left but by a build that was killed."""


class Work:
    """Tables of one session: staging models, made once when a model of lines needs them, and what differs.

    Args:
        session: Whose tables they are.
        store: Where they go.
        registry: The models.
        values: Of their parameters.
        bare: Tables without rows, as :meth:`takings.warehouse.Warehouse.bare` has them: empty copies are read in their place.
        some: What to work out the lines of; None: of everything.
        above: In whose tables the models are that always read everything; wanted where some is.
    """

    def __init__(
        self,
        session: Session,
        store: Memory | Files,
        registry: Registry,
        values: dict[str, Any],
        bare: frozenset[str],
        some: Touched | Share | None = None,
        above: Work | None = None,
    ) -> None:
        self._session = session
        self._store = store
        self._registry = registry
        self._values = values
        self._bare = bare
        self._some = some
        self._above = above
        self._made: list[str] = []

    def __enter__(self) -> Work:
        return self

    def __exit__(self, wrong: type[BaseException] | None, *_: object) -> None:
        for name in reversed(self._made):
            (self._store.drop if wrong is None else self._store.abandon)(name)

    def table(self, model: Model) -> str:
        """Return the table of a model, made when it is not there yet."""
        if self._above is not None and model.name in WHOLE:
            return self._above.table(model)
        name = self._name(model)
        if name not in self._made:
            sql = model.sql
            for need in self._registry.needed(model):
                sql = need.renamed(sql, self.table(need))
            if self._some is not None:
                sql = self._some.read_here(sql)
            sql = _SOURCE.sub(self._copy, sql)
            used = {one: self._values[one] for one in sorted(model.parameters)}
            fill(self._session, self._store, model, name, sql, used)
            self._made.append(name)
        return f"temp.main.{name}"

    def _name(self, model: Model) -> str:
        return model.name if self._some is None else f"part_{model.name}"

    def _copy(self, named: re.Match[str]) -> str:
        """Return what to read in place of a table of the warehouse: the same one, or an empty copy where it has no rows."""
        source = named[0]
        if source not in self._bare:
            return source
        name = f"{_BARE}{source.partition('.')[2]}" if self._some is None else f"part_{_BARE}{source.partition('.')[2]}"
        if name not in self._made:
            self._make(name, f"SELECT * FROM {source} LIMIT 0")
        return f"temp.main.{name}"

    def turn(self, values: dict[str, Any]) -> None:
        """Take other values of parameters from now on; tables that depend on those that changed are made anew."""
        changed = [name for name, value in values.items() if value != self._values[name]]
        self._values = values
        for name in tuple(reversed(self._made)):
            if not name.startswith(_BARE) and any(self._registry.takes(name, one) for one in changed):
                self._drop(name)

    def keep(self, models: Iterable[Model], deltas: Iterable[Delta] = (), ready: Iterable[Model] = ()) -> None:
        """Let go of all tables but some.

        Args:
            models: Have yet to be worked out: what they will read stays.
            deltas: Have yet to be written.
            ready: Have been worked out, and are wanted.
        """
        kept = {table.removeprefix("temp.main.") for one in deltas for table in (one.come, one.former) if table}
        kept |= WHOLE | {self._name(model) for model in ready}

        def want(model: Model) -> None:
            name = self._name(model)
            if name not in kept:
                kept.add(name)
                if name not in self._made:  # a table that is there is read, and not made of others again
                    for need in self._registry.needed(model):
                        want(need)

        for model in models:
            want(model)
        for name in tuple(reversed(self._made)):
            if name not in kept and _BARE not in name:
                self._drop(name)

    def collect(self, share: Work, models: Iterable[Model]) -> None:
        """Take over what another has worked out of some models, and add it to what there is of them.

        Args:
            share: The other, with the same files.
            models: Which.
        """
        assert isinstance(self._store, Files)
        for model in models:
            name, to = share._name(model), self._name(model)
            self._store.move(name, to)
            share._made.remove(name)
            if to not in self._made:
                self._made.append(to)

    def _drop(self, name: str) -> None:
        self._store.drop(name)
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
            return Delta(model, columns, fresh, None, rows, rows, 0, whole=True, pieces=self._pieces(fresh))
        table, held = model.table, self._columns(model.table)
        if set(held) != {*columns, KNOWN_AT}:
            if self._some is not None:  # cannot be, unless somebody has altered the table
                said = (
                    f"The columns of {table} are not those that Takings gave it: run `takings metrics --build --anew`."
                )
                raise Unexpected("metrics.columns", said, table=table)
            former = self._count(table)
            return Delta(model, columns, fresh, table, rows, rows, former, whole=True, pieces=self._pieces(fresh))
        if table in self._bare:
            table = self._make(f"{model.name}_held", f"SELECT * FROM {table} LIMIT 0")
        elif isinstance(self._some, Touched):
            kept = ", ".join(f"l.{column}" for column in held)
            table = self._make(f"{model.name}_held", f"SELECT {kept} FROM {table} AS l WHERE {self._some.lines(held)}")
        # Lines are told apart by their grain and the hash of all that they say.
        heaps = None
        if isinstance(self._store, Files):
            heaps = self._make(f"{model.name}_heaps", _differing(model, fresh, table, columns))
        gone = self._make(f"{model.name}_gone", _missing(model, table, held, fresh, columns, heaps))
        come = self._make(f"{model.name}_come", _missing(model, fresh, columns, table, columns, heaps))
        came, went = self._count(come), self._count(gone)
        rows = rows if self._some is None else before + came - went
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
        self._store.make(name, sql)
        self._made.append(name)
        return f"temp.main.{name}"

    def _pieces(self, table: str) -> tuple[str, ...]:
        return self._store.pieces(table.removeprefix("temp.main."))

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
        pieces: What SQL may read one after the other in place of ``come``, where it is whole.
    """

    model: Model
    columns: list[str]
    come: str
    former: str | None
    rows: int
    came: int
    gone: int
    whole: bool
    pieces: tuple[str, ...] = ()

    @property
    def poured(self) -> bool:
        """Whether the model's table is made anew of so many lines that others had to wait for long."""
        return self.whole and self.came >= _POURED_FROM

    def pour(self, session: Session, publishing: Callable[[], AbstractContextManager[None]], now: datetime) -> None:
        """Write a large new table under another name, in a transaction for each piece.

        Args:
            session: Who writes.
            publishing: Begins and ends a transaction of it.
            now: As :meth:`write` gets it, which puts the table in its place.
        """
        names, table = self._names, f"{self.model.table}{POURED}"
        with publishing():
            session.execute("CREATE SCHEMA IF NOT EXISTS metrics")
            session.execute(
                f"CREATE TABLE {table} AS SELECT {names}, $1::TIMESTAMPTZ AS {KNOWN_AT} FROM {self.come} LIMIT 0", [now]
            )
        for piece in self.pieces:
            time.sleep(_BREATH_S)
            with publishing():
                session.execute(f"INSERT INTO {table} SELECT {names}, $1::TIMESTAMPTZ FROM {piece}", [now])

    @property
    def _names(self) -> str:
        return ", ".join(f'"{column}"' for column in self.columns)

    def write(self, session: Session, now: datetime) -> None:
        """Add what is new, and move what is not so any more to the past."""
        table, past, names = self.model.table, self.model.past, self._names
        if self.former is not None and self.gone:
            self._keep(session, now)
        if self.whole:
            session.execute(f"DROP TABLE IF EXISTS {table}")
            if self.poured:
                session.execute(f"ALTER TABLE {table}{POURED} RENAME TO {self.model.name}")
            else:
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


def _differing(model: Model, fresh: str, table: str, columns: list[str]) -> str:
    """Return the SQL of the heaps of lines in which two tables are not the same: in number, or in the sum of what they say."""
    arms = " UNION ALL ".join(
        f"SELECT {_heap(model)} AS heap, {sign} AS sign, CAST({_said(columns)} AS HUGEINT) AS said FROM {one} AS l"
        for one, sign in ((fresh, 1), (table, -1))
    )
    return f"SELECT d.heap AS heap FROM ({arms}) AS d GROUP BY 1 HAVING SUM(d.sign) <> 0 OR SUM(d.sign * d.said) <> 0"


def _missing(
    model: Model, table: str, wanted: list[str], other: str, columns: list[str], heaps: str | None = None
) -> str:
    """Return the SQL of the lines of one table that another has not, or has otherwise; in some heaps, or in all."""
    said = _said(columns)
    grain = ", ".join(f"l.{column}" for column in model.grain)
    among = "" if heaps is None else f" WHERE {_heap(model)} IN (SELECT h.heap FROM {heaps} AS h)"
    return (
        f"SELECT {', '.join(f'l.{column}' for column in wanted)} FROM {table} AS l "
        f"ANTI JOIN (SELECT {grain}, {said} AS said FROM {other} AS l{among}) AS f "
        f"ON {_same('l', 'f', model.grain)} AND {said} = f.said{among}"
    )


def _said(columns: list[str]) -> str:
    return f"hash({', '.join(f'l.{column}' for column in columns)})"


def _heap(model: Model) -> str:
    return f"hash({', '.join(f'l.{column}' for column in model.grain)}) % {_HEAPS}"


def _same(one: str, other: str, columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in columns)
