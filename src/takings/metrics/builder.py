"""Fills the tables of lines, and only those whose sources, text or settings have changed since the last time.

A line is never overwritten: what changed or went is kept, with the moments between which it was known so. That is the
second clock of every figure: what it was, as known on any day since.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from typing import Any, Final, Literal, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from takings.clock import Clock
from takings.errors import Unavailable, Unexpected
from takings.log import get
from takings.metrics import rolling, sharing, storing, touched
from takings.metrics.model import Model
from takings.metrics.policies import DEFAULT, Policy
from takings.metrics.registry import Registry
from takings.metrics.sharing import Shares
from takings.metrics.storing import Files, Memory
from takings.metrics.touched import Touched
from takings.metrics.working import POURED, Delta, Work
from takings.warehouse import Session, Warehouse, mapped

FILLINGS: Final = "metrics.fillings"
"""The table that tells when each model was filled, from what, why, and how many lines came and went."""

FAILED: Final = "failed"
"""Stands in place of a cause where a model could not be worked out: its lines stay those of the filling before."""

Cause = Literal["first", "data", "definition"]
"""Why a model was filled: for the first time; Stripe's objects had changed; its text or a setting had."""

_COLUMNS: Final = {
    "model": "VARCHAR",
    "print": "VARCHAR",
    "definition": "VARCHAR",
    "cause": "VARCHAR",
    "rows": "BIGINT",
    "came": "BIGINT",
    "gone": "BIGINT",
    "milliseconds": "BIGINT",
    "built_at": "TIMESTAMP WITH TIME ZONE",
    # Of which state of the warehouse; how many versions of the kinds that it reads there were; and for which day, in the reporting
    # zone, all of its lines were worked out the last time.
    "state": "BIGINT",
    "versions": "BIGINT",
    "whole": "DATE",
}
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
        partly: True where only the lines of what has changed were worked out.
        strays: How many lines differ though they have nothing to do with what has changed; known where all were worked out after
            times when only some were. There are none, unless one of those left something out.
    """

    model: str
    fresh: bool
    rows: int
    came: int
    gone: int
    seconds: float
    cause: Cause
    failed: bool = False
    partly: bool = False
    strays: int = 0


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
    state: int | None = None
    versions: int = 0
    whole: date | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """What filling a model comes to."""

    delta: Delta
    milliseconds: int
    state: int | None
    versions: int
    whole: date
    partly: bool
    strays: int


@dataclass(frozen=True, slots=True)
class _Traced:
    """What hangs together with all that has changed, and for which models it is known: by name."""

    touched: Touched | None
    models: frozenset[str]


class _Failed(Exception):
    """A model cannot be worked out. What the engine says of it may hold a customer's data: it goes no further."""

    def __init__(self, model: str, code: str) -> None:
        super().__init__(model)
        self.model, self.code = model, code


class _Untraced(Exception):
    """Links between objects cannot be followed; the transaction is lost with it."""

    def __init__(self, lost: str) -> None:
        super().__init__(lost)
        self.lost = lost


_CHANGES, _SHARES = "changes", "shares"  # what links are followed for


class Builder:
    """Runs the models in the order of need, all on one state of the warehouse, and writes what is new in one commit.

    Args:
        warehouse: Where Stripe's rows are and the tables of the models go, schema ``metrics``.
        registry: The models.
        clock: For how long it took and when it was.
        partly_from: From how many rows of sources on only lines of what has changed are worked out.
        filed_from: From how many on what is worked out goes to files.
        share_rows: Of more than that, models are run on one share of about so many after the other.
        policy: Gives the policy that lines are kept under.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        registry: Registry,
        clock: Clock,
        partly_from: int = touched.FROM_ROWS,
        filed_from: int = storing.FROM_ROWS,
        share_rows: int = sharing.ROWS,
        policy: Callable[[], Policy] = lambda: DEFAULT,
    ) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._clock = clock
        self._partly_from = partly_from
        self._filed_from = filed_from
        self._share_rows = share_rows
        self.policy = policy
        self._log = get("metrics")
        tables = frozenset().union(*(registry.tables(model.name) for model in self._lines))
        self._kinds = sorted(name.partition("/")[2] for name in tables if name.startswith(f"{_VERSIONS}/"))
        self._versions: tuple[str, dict[str, str]] | None = None

    def build(self, zone: str, *, anew: bool = False, figures: Collection[str] = ()) -> tuple[Built, ...]:
        """Bring every model of lines up to date.

        Args:
            zone: IANA name of the reporting zone, for the days of business figures.
            anew: Fill also those whose sources have not changed.
            figures: Once every model has been filled, only those that these figures come from; none given: all.

        Raises:
            NotFound: There is no such figure.
            Misconfigured: There is no such policy any more as figures are kept under.
            Unavailable: The disk is full, or the warehouse is busy: everything stays as it was.
        """
        values = self._values(zone, self.policy())
        if not anew:
            marks = self._marks()
            before = self._before(marks)
            if not self._stale(values, marks, before, figures):
                return tuple(self._left(model, before) for model in self._lines)
        with self._warehouse.deriving() as session:
            marks = self._marks()  # before the first row is read: what comes meanwhile is filled next time
            before = self._before(marks)
            stale = self._lines if anew else self._stale(values, marks, before, figures)
            failed: set[str] = set()
            follow = {_CHANGES, _SHARES}
            while True:  # once, and again without each model that cannot be worked out
                with ExitStack() as made:
                    wanted = [one for one in stale if one.name not in failed]
                    try:
                        changes = self._worked_out(
                            session, made, wanted, values, marks, before, anew=anew, follow=follow
                        )
                    except _Untraced as error:
                        follow.discard(error.lost)  # all lines are worked out instead, or all in one share
                        continue
                    except _Failed as error:
                        self._log.warning("metrics.model_failed", model=error.model, code=error.code)
                        failed.add(error.model)
                        continue
                    return self._publish(session, values, marks, before, changes, failed)

    def definition(self, model: Model, zone: str) -> str:
        """Return what lines of a model are known by that are kept in a zone, under the policy that holds now, as the model says today.

        Raises:
            Misconfigured: See :meth:`build`.
        """
        return self._definition(model, self._values(zone, self.policy()))

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
        with self._warehouse.deriving() as session, ExitStack() as made, _one_state(session):
            bare = self._warehouse.bare(session)
            tables = frozenset[str]().union(*(self._registry.tables(name) for name in names))
            store = self._store(session, self._rows(session, tables - bare))
            work = made.enter_context(Work(session, store, self._registry, self._values(zone, DEFAULT), bare))

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
        had = {column.name for column in self._warehouse.query(f"SELECT * FROM {FILLINGS} LIMIT 0").columns}
        later = ", ".join(
            f"f.{name}" if name in had else f"NULL::{_COLUMNS[name]}" for name in ("state", "versions", "whole")
        )
        rows = self._warehouse.query(
            "SELECT f.model, f.print, f.definition, f.rows, f.milliseconds / 1000, f.cause, f.built_at, "
            f"f.failed_at IS NOT NULL AND f.failed_at > f.built_at, {later} FROM (SELECT g.*, max(CASE WHEN g.cause = '{FAILED}' "
            f"THEN g.built_at END) OVER (PARTITION BY g.model) AS failed_at FROM {FILLINGS} AS g) AS f "
            f"WHERE f.cause <> '{FAILED}' QUALIFY row_number() OVER (PARTITION BY f.model ORDER BY f.built_at DESC) = 1"
        ).rows
        return {row[0]: _Last(*row[1:]) for row in rows}

    def _failing(self, marks: Mapping[str, str]) -> set[str]:
        """Return the models that could not be worked out the last time."""
        if FILLINGS not in marks:
            return set()
        return {name for (name,) in self._warehouse.query(FAILING).rows}

    def _stale(
        self, values: dict[str, Any], marks: Mapping[str, str], before: dict[str, _Last], figures: Collection[str]
    ) -> tuple[Model, ...]:
        def stale(model: Model) -> bool:
            last = before.get(model.name)
            return (
                last is None
                or last.failed
                or not {model.table, rolling.SUMS} <= marks.keys()
                or last.print != self._print(model, values, marks)
            )

        asked = self._lines
        if figures and all(model.name in before for model in asked):
            behind = {one.model for name in figures for one in self._registry.behind(name)}
            asked = tuple(one for name in sorted(behind) for one in self._registry.filled(self._registry.model(name)))
        return tuple(model for model in self._lines if model in asked and stale(model))

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
        self,
        session: Session,
        made: ExitStack,
        models: list[Model],
        values: dict[str, Any],
        marks: Mapping[str, str],
        before: dict[str, _Last],
        *,
        anew: bool,
        follow: Collection[str],
    ) -> dict[str, _Change]:
        """Return what differs, by model; temporary tables last as long as the stack.

        Raises:
            _Failed: One of them cannot be worked out.
            _Untraced: What has changed since they were last filled cannot be followed, or the shares cannot be told.
        """
        changes: dict[str, _Change] = {}
        with _one_state(session):
            state, bare = self._warehouse.state(session), self._warehouse.bare(session)
            versions = {model.name: self._seen(session, model) for model in models}
            tables = frozenset[str]().union(*(self._registry.tables(model.name) for model in models))
            rows = self._rows(session, tables - bare)
            store = self._store(session, rows)
            traced = self._traced(session, made, models if _CHANGES in follow else [], values, marks, before)
            everything = made.enter_context(Work(session, store, self._registry, values, bare))
            part = everything
            partly = {name for name in traced.models if not anew and before[name].whole == values[_TODAY]}
            if traced.touched is not None and partly:
                part = made.enter_context(
                    Work(session, Memory(session), self._registry, values, bare, traced.touched, everything)
                )
            took: dict[str, float] = {}
            whole = [model for model in models if model.name not in partly]
            if whole and _SHARES in follow and isinstance(store, Files) and rows > self._share_rows:
                took = self._worked_out_by_shares(session, store, everything, whole, values, bare, rows)
            for number, model in enumerate(models):
                began = self._clock.monotonic()
                last, name = before.get(model.name), model.name
                held = last.rows if last and model.table in marks else None
                with _turned(partial(_Failed, name)):
                    delta = (part if name in partly else everything).delta(model, held)
                    strays = 0
                    if name in traced.models - partly and (
                        before[name].whole == values[_TODAY] or not self._registry.takes(name, _TODAY)
                    ):
                        strays = everything.strays(delta, traced.touched)
                if strays:
                    self._log.warning("metrics.strays", model=name, lines=strays)
                seconds = took.get(name, 0.0) + self._clock.monotonic() - began
                changes[name] = _Change(
                    delta, round(seconds * 1000), state, versions[name], values[_TODAY], name in partly, strays
                )
                rest, deltas = models[number + 1 :], [change.delta for change in changes.values()]
                everything.keep([one for one in rest if one.name not in partly], deltas)
                if part is not everything:
                    part.keep([one for one in rest if one.name in partly], deltas)
        return changes

    def _worked_out_by_shares(
        self,
        session: Session,
        store: Files,
        everything: Work,
        models: list[Model],
        values: dict[str, Any],
        bare: frozenset[str],
        rows: int,
    ) -> dict[str, float]:
        """Fill the tables of some models share by share; return how many seconds each has taken.

        Raises:
            _Failed: One of them cannot be worked out.
            _Untraced: The shares cannot be told.
        """
        tables = frozenset[str]().union(*(self._registry.tables(model.name) for model in models))
        took = dict.fromkeys((model.name for model in models), 0.0)
        with ExitStack() as made:
            cut = Shares(session, store, tables, bare, self._words, -(-rows // self._share_rows), self._share_rows)
            with self._followed(_SHARES):
                made.enter_context(cut)
            for number in range(cut.count):
                work = Work(session, store, self._registry, values, bare, cut.share(number), everything)
                with work:
                    for place, model in enumerate(models):
                        began = self._clock.monotonic()
                        with _turned(partial(_Failed, model.name)):
                            work.table(model)
                        work.keep(models[place + 1 :], ready=models[: place + 1])
                        took[model.name] += self._clock.monotonic() - began
                    everything.collect(work, models)
        return took

    @contextmanager
    def _followed(self, what: str) -> Iterator[None]:
        """Say that links between objects cannot be followed, where the engine fails at it.

        Raises:
            _Untraced: They cannot.
        """

        def untraced(code: str) -> _Untraced:
            self._log.warning("metrics.untraced", code=code, lost=what)
            return _Untraced(what)

        with _turned(untraced):
            yield

    def _store(self, session: Session, rows: int) -> Memory | Files:
        """Return where to keep what is worked out from so many rows of sources."""
        return Files(session, self._warehouse.temporary) if rows >= self._filed_from else Memory(session)

    def _traced(
        self,
        session: Session,
        made: ExitStack,
        models: list[Model],
        values: dict[str, Any],
        marks: Mapping[str, str],
        before: dict[str, _Last],
    ) -> _Traced:
        """Return what has changed since some models were last filled, and which those are.

        Of the others, or where so much has changed that it is not worth it, all lines may be other ones.

        Raises:
            _Untraced: It cannot be told.
        """

        def fit(model: Model) -> bool:
            last = before.get(model.name)
            return (
                last is not None
                and last.state is not None
                and not last.failed
                and last.definition == self._definition(model, values)
                and {model.table, rolling.SUMS} <= marks.keys()
                # Of what was seen before, nothing has been let go since, and no table has been put in place of another.
                and last.versions == self._seen(session, model, last.state)
                and not {name.partition("/")[0] for name in self._registry.tables(model.name)}
                & self._warehouse.renewed(session, last.state)
            )

        able = [model for model in models if fit(model)]
        since = min((state for model in able if (state := before[model.name].state) is not None), default=None)
        tables = frozenset[str]().union(*(self._registry.tables(model.name) for model in able))
        if since is None or self._rows(session, tables - self._warehouse.bare(session)) < self._partly_from:
            return _Traced(None, frozenset())
        some = Touched(session, tables, since, self._words)
        made.callback(some.drop)
        with self._followed(_CHANGES):
            if not some.find():
                return _Traced(None, frozenset())
            if any(before[model.name].whole == values[_TODAY] for model in able):
                some.gather()
            shared = some.shared_changed()
        return _Traced(some, frozenset(one.name for one in able if not self._registry.sources(one.name) & shared))

    @cached_property
    def _words(self) -> frozenset[str]:
        """Every name in any model's SQL."""
        return frozenset(word for model in self._registry.ordered for word in re.findall(r"\w+", model.sql))

    def _rows(self, session: Session, tables: Iterable[str]) -> int:
        counts = [f"(SELECT count(*) FROM {name})" for name in tables if name.startswith("stripe.")]
        row = session.execute(f"SELECT {' + '.join(counts)}").fetchone() if counts else None
        return int(row[0]) if row else 0

    def _seen(self, session: Session, model: Model, state: int | None = None) -> int:
        """Return how many versions there are of the kinds that a model reads: all, or those written up to a state."""
        tables = self._registry.tables(model.name)
        kinds = [name.partition("/")[2] for name in tables if name.startswith(f"{_VERSIONS}/")]
        if not kinds:
            return 0
        until = "" if state is None else f" AND v.snapshot_id <= {state:d}"
        row = session.execute(
            f"SELECT count(*) FROM {_VERSIONS} AS v WHERE v.resource IN (SELECT unnest($1)){until}", [kinds]
        ).fetchone()
        return int(row[0]) if row else 0

    def _publish(
        self,
        session: Session,
        values: dict[str, Any],
        marks: Mapping[str, str],
        before: dict[str, _Last],
        changes: dict[str, _Change],
        failed: set[str],
    ) -> tuple[Built, ...]:
        now = self._clock.now()
        done = []
        deltas = [change.delta for change in changes.values()]
        last_day = max((last.at for last in before.values()), default=now).date()
        if _OLD in marks:
            with self._warehouse.publishing(session):
                session.execute("DROP SCHEMA metrics CASCADE")
        if left := [name for name in marks if name.endswith(POURED)]:
            with self._warehouse.publishing(session):
                for name in left:
                    session.execute(f"DROP TABLE {name}")
        rolled = self._rolled(session, marks, deltas, daily=last_day < now.date())
        for delta in deltas:
            if delta.poured:
                delta.pour(session, lambda: self._warehouse.publishing(session), now)
        with self._warehouse.publishing(session):
            columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
            if FILLINGS not in marks:
                session.execute("CREATE SCHEMA IF NOT EXISTS metrics")
                session.execute(f"CREATE TABLE {FILLINGS} ({columns})")
            else:
                had = {item[0] for item in session.execute(f"SELECT * FROM {FILLINGS} LIMIT 0").description or ()}
                for name in _COLUMNS.keys() - had:  # made before there were so many
                    session.execute(f"ALTER TABLE {FILLINGS} ADD COLUMN {name} {_COLUMNS[name]}")
            if rolling.SUMS not in marks:
                rolling.create(session)
            entries: list[Any] = []
            for model in self._lines:
                if model.name not in changes:
                    done.append(self._left(model, before, failed=model.name in failed))
                    continue
                change = changes[model.name]
                delta, taken = change.delta, change.milliseconds
                delta.write(session, now)
                definition, last = self._definition(model, values), before.get(model.name)
                cause: Cause = "data" if last and last.definition == definition else "definition" if last else "first"
                print_ = self._print(model, values, marks)
                entries += [model.name, print_, definition, cause, delta.rows, delta.came, delta.gone, taken, now]
                entries += [change.state, change.versions, change.whole]
                done.append(
                    Built(
                        model.name,
                        True,
                        delta.rows,
                        delta.came,
                        delta.gone,
                        taken / 1000,
                        cause,
                        partly=change.partly,
                        strays=change.strays,
                    )
                )
            for name in sorted(failed - self._failing(marks) if failed else ()):
                entries += [name, "", "", FAILED, 0, 0, 0, 0, now, None, 0, None]
            width = len(_COLUMNS)
            rows = ", ".join(
                f"({', '.join(f'${start + n + 1}' for n in range(width))})" for start in range(0, len(entries), width)
            )
            if entries:
                session.execute(f"INSERT INTO {FILLINGS} ({', '.join(_COLUMNS)}) VALUES {rows}", entries)
            if changes:
                self._roll(session, deltas, rolled, daily=last_day < now.date())
        return tuple(done)

    def _rolled(
        self, session: Session, marks: Mapping[str, str], deltas: list[Delta], *, daily: bool
    ) -> dict[str, str | None]:
        """Sum up the lines of models whose sums are to be anew, without anybody's having to wait for it; give tables by model.

        These are of new tables, and once a day of tables without sums as they are before they change: whether it is worth it by now.
        """
        kept = rolling.kept(session) if rolling.SUMS in marks else frozenset()
        return {
            one.model.name: rolling.summed(session, one.model, one.come if one.whole else one.model.table, one.rows)
            for one in deltas
            if one.whole or (daily and one.model.name not in kept)
        }

    def _roll(self, session: Session, deltas: list[Delta], rolled: dict[str, str | None], *, daily: bool) -> None:
        """Bring the sums of some models' lines up to date; once a day, write all anew."""
        kept = rolling.kept(session)
        for delta in deltas:
            name = delta.model.name
            if name in rolled:
                rolling.put(session, delta.model, rolled[name])
            if not delta.whole and (name in kept or rolled.get(name) is not None):
                come, gone = delta.come if delta.came else None, delta.former if delta.gone else None
                rolling.add(session, delta.model, come, gone)
        if daily and kept:
            rolling.compact(session)

    def _left(self, model: Model, before: dict[str, _Last], *, failed: bool = False) -> Built:
        last = before.get(model.name, _Last("", "", 0, 0.0, "first"))
        return Built(model.name, False, last.rows, 0, 0, last.seconds, last.cause, failed)


@contextmanager
def _turned(into: Callable[[str], Exception]) -> Iterator[None]:
    """Turn what the engine cannot do into an error made of its code; what waiting heals stays as it is."""
    try:
        with mapped():
            yield
    except (Unexpected, Unavailable) as error:
        if isinstance(error, Unavailable) and error.code != _NO_MEMORY:
            raise
        raise into(error.code) from None


@contextmanager
def _one_state(session: Session) -> Iterator[None]:
    """Let all that is read be of one state of the warehouse; nothing but temporary tables is written."""
    session.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        session.execute("ROLLBACK")
        raise
    session.execute("COMMIT")
