"""Fills the tables of lines, and only those whose sources, text or settings have changed since the last time.

A line is never overwritten: what changed or went is kept, with the moments between which it was known so. That is the
second clock of every figure: what it was, as known on any day since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from takings.clock import Clock
from takings.errors import Unavailable, Unexpected
from takings.log import get
from takings.metrics import rolling
from takings.metrics.model import KNOWN_AT, Model
from takings.metrics.policies import DEFAULT, Policy
from takings.metrics.registry import Registry
from takings.metrics.steps import fill
from takings.warehouse import Session, Warehouse, mapped

FILLINGS: Final = "metrics.fillings"
"""The table that tells when each model was filled, from what, why, and how many lines came and went."""

FAILED: Final = "failed"
"""Stands in place of a cause where a model could not be worked out: its lines stay those of the filling before."""

Cause = Literal["first", "data", "definition"]
"""Why a model was filled: for the first time; Stripe's objects had changed; its text or a setting had."""

_CREATE: Final = (
    f"CREATE TABLE {FILLINGS} (model VARCHAR, print VARCHAR, definition VARCHAR, cause VARCHAR, rows BIGINT, came BIGINT, "
    "gone BIGINT, milliseconds BIGINT, built_at TIMESTAMP WITH TIME ZONE)"
)
FAILING: Final = (
    f"SELECT l.model FROM (SELECT f.model AS model, arg_max(f.cause, f.built_at) AS cause FROM {FILLINGS} AS f GROUP BY f.model) "
    f"AS l WHERE l.cause = '{FAILED}'"
)
"""Asks for the models that could not be worked out the last time."""

_NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
_NO_MEMORY: Final = "warehouse.memory"  # waiting does not heal it
_VERSIONS: Final = "raw.versions"
_TODAY: Final = "today"  # a parameter that changes by itself, and with it the lines, but not what they mean
_OLD: Final = "metrics.builds"  # what a warehouse of before kept in place of fillings; its lines had no second clock


class Staged(Protocol):
    """Answers SQL that reads models by their names."""

    def __call__(self, sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows; values are those of ``$name`` in the SQL."""


@dataclass(frozen=True, slots=True)
class Built:
    """What came of one model.

    Attributes:
        model: Its name.
        fresh: False where nothing it comes from had changed.
        rows: How many lines its table has.
        came: How many of them are new or other than before.
        gone: How many lines of before are not there any more, or other.
        seconds: What filling it took; of the last time where it was left as it is.
        cause: Why it was filled, the last time.
        failed: True where its lines could not be worked out: they are those of the last time, and too old.
    """

    model: str
    fresh: bool
    rows: int
    came: int
    gone: int
    seconds: float
    cause: Cause
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Last:
    """How a model was filled the last time."""

    print: str
    definition: str
    rows: int
    seconds: float
    cause: Cause
    at: datetime = _NEVER
    failed: bool = False  # since then


class _Failed(Exception):
    """A model cannot be worked out. What the engine says of it may hold a customer's data: it goes no further."""

    def __init__(self, model: str, code: str) -> None:
        super().__init__(model)
        self.model, self.code = model, code


class Builder:
    """Runs the models in the order of need, all on one state of the warehouse, and writes what is new in one commit.

    Args:
        warehouse: Where Stripe's rows are and the tables of the models go, schema ``metrics``.
        registry: The models.
        clock: For how long it took and when it was.
    """

    def __init__(self, warehouse: Warehouse, registry: Registry, clock: Clock) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._clock = clock
        self._log = get("metrics")
        tables = frozenset().union(*(registry.tables(model.name) for model in self._lines))
        self._kinds = sorted(name.partition("/")[2] for name in tables if name.startswith(f"{_VERSIONS}/"))
        self._versions: tuple[str, dict[str, str]] | None = None

    def build(self, zone: str, *, anew: bool = False) -> tuple[Built, ...]:
        """Bring every model of lines up to date.

        Args:
            zone: IANA name of the reporting zone, for the days of business figures.
            anew: Fill also those whose sources have not changed.

        Raises:
            Unavailable: The disk is full, or the warehouse is busy: everything stays as it was.
        """
        values = self._values(zone, DEFAULT)
        if not anew:
            marks = self._marks()
            before = self._before(marks)
            if not self._stale(values, marks, before):
                return tuple(self._left(model, before) for model in self._lines)
        with self._warehouse.deriving() as session:
            marks = self._marks()  # before the first row is read: what comes meanwhile is filled next time
            before = self._before(marks)
            stale = self._lines if anew else self._stale(values, marks, before)
            failed: set[str] = set()
            while True:  # once, and again without each model that cannot be worked out
                with _Work(session, self._registry, values) as work:
                    try:
                        changes = self._worked_out(
                            work, [one for one in stale if one.name not in failed], marks, before
                        )
                    except _Failed as error:
                        self._log.warning("metrics.model_failed", model=error.model, code=error.code)
                        failed.add(error.model)
                        continue
                    return self._publish(session, values, marks, before, changes, failed)

    def has_sources(self) -> bool:
        """Tell whether any table that a model comes from may have rows."""
        marks = self._warehouse.marks()
        return any(marks.get(f"stripe.{name}") for model in self._lines for name in self._registry.sources(model.name))

    @contextmanager
    def staged(self, zone: str, *names: str, policy: Policy = DEFAULT) -> Iterator[Staged]:
        """Make models for the time of a few questions; gives what answers SQL that reads them by their names.

        Args:
            zone: As :meth:`build` takes it.
            names: Which models.
            policy: The switches of recurring revenue.

        Raises:
            Unavailable: See :meth:`build`.
        """
        with self.turning(zone, *names) as turn:
            yield turn(policy)

    @contextmanager
    def turning(self, zone: str, *names: str) -> Iterator[Callable[[Policy], Staged]]:
        """As :meth:`staged`, under one policy after the other: what does not depend on the switches is made once.

        Gives what turns to a policy; the answers before it are not to be had any more then.
        """
        with self._warehouse.deriving() as session, _Work(session, self._registry, self._values(zone, DEFAULT)) as work:

            def turn(policy: Policy) -> Staged:
                work.turn(self._values(zone, policy))
                tables = {name: work.table(self._registry.model(name)) for name in names}

                def ask(sql: str, values: Mapping[str, Any] | None = None) -> pa.Table:
                    for name, table in tables.items():
                        sql = self._registry.model(name).renamed(sql, table)
                    return session.execute(sql, None if values is None else dict(values)).to_arrow_table()

                return ask

            yield turn

    def today(self, zone: str) -> date:
        """Return what day it is in a zone: nothing of a later one is in any figure yet."""
        return self._clock.now().astimezone(ZoneInfo(zone)).date()

    def _values(self, zone: str, policy: Policy) -> dict[str, Any]:
        return {"zone": zone, _TODAY: self.today(zone), **policy.parameters()}

    @property
    def _lines(self) -> tuple[Model, ...]:
        return tuple(model for model in self._registry.ordered if model.kind == "lines")

    def _marks(self) -> dict[str, str]:
        """Return what changes whenever a table's rows do; of what was seen of Stripe's objects, by kind of object.

        All kinds are in one table, and any delivery writes to it: each kind has its own mark, asked anew when it may differ.
        """
        marks = dict(self._warehouse.marks())
        state = marks.get(_VERSIONS)
        if state is None:
            return marks
        if self._versions is None or self._versions[0] != state:
            rows = self._warehouse.query(
                f"SELECT v.resource, count(*), max(v.as_of) FROM {_VERSIONS} AS v "
                "WHERE v.resource IN (SELECT unnest($kinds)) GROUP BY 1",
                {"kinds": self._kinds},
            ).rows
            self._versions = state, {f"{_VERSIONS}/{kind}": f"{n}:{latest}" for kind, n, latest in rows}
        return marks | self._versions[1]

    def _before(self, marks: Mapping[str, str]) -> dict[str, _Last]:
        """Return each model's last filling."""
        if FILLINGS not in marks:
            return {}
        rows = self._warehouse.query(
            "SELECT f.model, f.print, f.definition, f.rows, f.milliseconds / 1000, f.cause, f.built_at, "
            f"f.failed_at IS NOT NULL AND f.failed_at > f.built_at FROM (SELECT g.*, max(CASE WHEN g.cause = '{FAILED}' "
            f"THEN g.built_at END) OVER (PARTITION BY g.model) AS failed_at FROM {FILLINGS} AS g) AS f "
            f"WHERE f.cause <> '{FAILED}' QUALIFY row_number() OVER (PARTITION BY f.model ORDER BY f.built_at DESC) = 1"
        ).rows
        return {row[0]: _Last(*row[1:]) for row in rows}

    def _failing(self, marks: Mapping[str, str]) -> set[str]:
        """Return the models that could not be worked out the last time."""
        if FILLINGS not in marks:
            return set()
        return {name for (name,) in self._warehouse.query(FAILING).rows}

    def _stale(self, values: dict[str, Any], marks: Mapping[str, str], before: dict[str, _Last]) -> tuple[Model, ...]:
        def stale(model: Model) -> bool:
            last = before.get(model.name)
            return (
                last is None
                or last.failed
                or not {model.table, rolling.SUMS} <= marks.keys()
                or last.print != self._print(model, values, marks)
            )

        return tuple(model for model in self._lines if stale(model))

    def _definition(self, model: Model, values: dict[str, Any]) -> str:
        """Return what changes with the text of a model, of those it needs, and with the settings they take."""
        parts = [model.sql, repr({name: values[name] for name in sorted(model.parameters - {_TODAY})})]
        parts += [self._definition(need, values) for need in self._registry.needed(model)]
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    def _print(self, model: Model, values: dict[str, Any], marks: Mapping[str, str]) -> str:
        """Return what changes whenever a model's lines would."""
        sources = sorted(self._registry.tables(model.name))
        parts = [self._definition(model, values), *(f"{name}={marks.get(name, '')}" for name in sources)]
        if self._registry.takes(model.name, _TODAY):
            parts.append(f"{_TODAY}={values[_TODAY]}")
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    def _worked_out(
        self, work: _Work, models: list[Model], marks: Mapping[str, str], before: dict[str, _Last]
    ) -> dict[str, tuple[_Delta, int]]:
        """Return what differs, and how many milliseconds it took, by model.

        Raises:
            _Failed: One of them cannot be worked out.
        """
        changes: dict[str, tuple[_Delta, int]] = {}
        with work.state():
            for model in models:
                began = self._clock.monotonic()
                try:
                    with mapped():
                        delta = work.delta(model, there=model.table in marks and model.name in before)
                except (Unexpected, Unavailable) as error:
                    if isinstance(error, Unavailable) and error.code != _NO_MEMORY:
                        raise
                    raise _Failed(model.name, error.code) from None
                changes[model.name] = delta, round((self._clock.monotonic() - began) * 1000)
        return changes

    def _publish(
        self,
        session: Session,
        values: dict[str, Any],
        marks: Mapping[str, str],
        before: dict[str, _Last],
        changes: dict[str, tuple[_Delta, int]],
        failed: set[str],
    ) -> tuple[Built, ...]:
        now = self._clock.now()
        done = []
        with self._warehouse.publishing(session):
            if _OLD in marks:
                session.execute("DROP SCHEMA metrics CASCADE")
            if FILLINGS not in marks:
                session.execute("CREATE SCHEMA IF NOT EXISTS metrics")
                session.execute(_CREATE)
            if rolling.SUMS not in marks:
                rolling.create(session)
            entries: list[Any] = []
            for model in self._lines:
                if model.name not in changes:
                    done.append(self._left(model, before, failed=model.name in failed))
                    continue
                delta, taken = changes[model.name]
                delta.write(session, now)
                definition, last = self._definition(model, values), before.get(model.name)
                cause: Cause = "data" if last and last.definition == definition else "definition" if last else "first"
                print_ = self._print(model, values, marks)
                entries += [model.name, print_, definition, cause, delta.rows, delta.came, delta.gone, taken, now]
                done.append(Built(model.name, True, delta.rows, delta.came, delta.gone, taken / 1000, cause))
            for name in sorted(failed - self._failing(marks) if failed else ()):
                entries += [name, "", "", FAILED, 0, 0, 0, 0, now]
            width = len(_CREATE.split(","))
            rows = ", ".join(
                f"({', '.join(f'${start + n + 1}' for n in range(width))})" for start in range(0, len(entries), width)
            )
            if entries:
                session.execute(f"INSERT INTO {FILLINGS} VALUES {rows}", entries)
            if changes:
                last_day = max((last.at for last in before.values()), default=now).date()
                self._roll(session, [delta for delta, _ in changes.values()], daily=last_day < now.date())
        return tuple(done)

    def _roll(self, session: Session, deltas: list[_Delta], *, daily: bool) -> None:
        """Bring the sums of some models' lines up to date; once a day, write all anew, and see whether others are worth it."""
        kept = rolling.kept(session)
        for delta in deltas:
            if delta.whole or (daily and delta.model.name not in kept):
                rolling.anew(session, delta.model, delta.rows)
            elif delta.model.name in kept:
                come, gone = delta.come if delta.came else None, delta.former if delta.gone else None
                rolling.add(session, delta.model, come, gone)
        if daily and kept:
            rolling.compact(session)

    def _left(self, model: Model, before: dict[str, _Last], *, failed: bool = False) -> Built:
        last = before.get(model.name, _Last("", "", 0, 0.0, "first"))
        return Built(model.name, False, last.rows, 0, 0, last.seconds, last.cause, failed)


class _Work:
    """Temporary tables of one session: staging models, made once when a model of lines needs them, and what differs."""

    def __init__(self, session: Session, registry: Registry, values: dict[str, Any]) -> None:
        self._session = session
        self._registry = registry
        self._values = values
        self._made: list[str] = []

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._made):
            self._session.execute(f"DROP TABLE IF EXISTS {name}")

    @contextmanager
    def state(self) -> Iterator[None]:
        """Let all that is read be of one state of the warehouse; nothing but temporary tables is written."""
        self._session.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self._session.execute("ROLLBACK")
            raise
        self._session.execute("COMMIT")

    def table(self, model: Model) -> str:
        """Return the temporary table of a model, made when it is not there yet."""
        name = f"temp.main.{model.name}"
        if name not in self._made:
            sql = model.sql
            for need in self._registry.needed(model):
                sql = need.renamed(sql, self.table(need))
            used = {one: self._values[one] for one in sorted(model.parameters)}
            fill(self._session, model, sql, used)
            self._made.append(name)
        return name

    def turn(self, values: dict[str, Any]) -> None:
        """Take other values of parameters from now on; tables that depend on those that changed are made anew."""
        changed = [name for name, value in values.items() if value != self._values[name]]
        self._values = values
        for name in tuple(reversed(self._made)):
            if any(self._registry.takes(name.removeprefix("temp.main."), one) for one in changed):
                self._session.execute(f"DROP TABLE IF EXISTS {name}")
                self._made.remove(name)

    def delta(self, model: Model, *, there: bool) -> _Delta:
        """Return how a model's lines differ from those that its table holds."""
        fresh = self.table(model)
        columns = self._columns(fresh)
        rows = self._count(fresh)
        if not there:
            return _Delta(model, columns, fresh, None, rows, rows, 0, whole=True)
        held = self._columns(model.table)
        if set(held) != {*columns, KNOWN_AT}:
            return _Delta(model, columns, fresh, model.table, rows, rows, self._count(model.table), whole=True)
        come, gone = f"{model.name}_come", f"{model.name}_gone"
        # Lines are told apart by their grain and the hash of all that they say.
        said = f"hash({', '.join(f'l.{column}' for column in columns)})"
        self._session.execute(
            f"CREATE TEMP TABLE {gone} AS SELECT {', '.join(f'l.{c}' for c in held)} FROM {model.table} AS l "
            f"ANTI JOIN (SELECT {', '.join(f'l.{c}' for c in model.grain)}, {said} AS said FROM {fresh} AS l) AS f "
            f"ON {_same('l', 'f', model.grain)} AND {said} = f.said"
        )
        self._made.append(f"temp.main.{gone}")
        self._session.execute(
            f"CREATE TEMP TABLE {come} AS SELECT {', '.join(f'l.{c}' for c in columns)} FROM {fresh} AS l "
            f"ANTI JOIN (SELECT {', '.join(f'l.{c}' for c in model.grain)}, {said} AS said FROM {model.table} AS l) AS f "
            f"ON {_same('l', 'f', model.grain)} AND {said} = f.said"
        )
        self._made.append(f"temp.main.{come}")
        return _Delta(model, columns, come, gone, rows, self._count(come), self._count(gone), whole=False)

    def _columns(self, table: str) -> list[str]:
        return [item[0] for item in self._session.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]

    def _count(self, table: str) -> int:
        row = self._session.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class _Delta:
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


def _same(one: str, other: str, columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{one}.{column} = {other}.{column}" for column in columns)
