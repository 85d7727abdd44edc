"""DuckDB behind one door: extensions, attaching, sessions, and its errors in our words. The only importer of DuckDB."""

from __future__ import annotations

import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from filelock import FileLock, Timeout

from takings.errors import Invalid, Misconfigured, TakingsError, Unavailable, Unexpected
from takings.warehouse.copying import copy_apart
from takings.warehouse.spilling import Spill
from takings.warehouse.upkeep import DataFile, due

NAME = "warehouse"
Session = duckdb.DuckDBPyConnection

CATALOG, DATA, FILE = "lake.sqlite", "data", "warehouse.duckdb"

_BACKUPS_KEPT = 3
_LOCK_PATIENCE_S = 60.0
_DERIVING_PATIENCE_S = 600.0
# Merging makes files that may be worth merging again, three sizes up; more rounds would be a fault of ours.
_ROUNDS = 12
_STILL_READ = timedelta(hours=1)
_UNFINISHED = timedelta(days=1)
_IDLE = 8  # sessions kept for the next to ask

# Payloads are wide: small row groups keep reading and merging them within little memory.
_LAKE_OPTIONS = (
    ("parquet_compression", "'zstd'"),
    ("parquet_row_group_size", "8192"),
    ("target_file_size", "'64MB'"),
)


# The lake's own catalog: what it holds is public (ducklake.select), and asking it directly costs one query in place of
# one a table.
_FILES = f"""
SELECT s.schema_name, t.table_name, f.file_size_bytes, f.record_count, coalesce(d.delete_count, 0)
FROM __ducklake_metadata_{NAME}.ducklake_data_file AS f
JOIN __ducklake_metadata_{NAME}.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_{NAME}.ducklake_delete_file AS d
    ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL
"""

_EMPTY = f"""
SELECT t.table_name
FROM __ducklake_metadata_{NAME}.ducklake_table AS t
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE t.end_snapshot IS NULL AND s.schema_name = 'stripe' AND t.table_id NOT IN (
    SELECT f.table_id FROM __ducklake_metadata_{NAME}.ducklake_data_file AS f WHERE f.end_snapshot IS NULL
)
"""

_BARE = f"""
SELECT s.schema_name || '.' || t.table_name
FROM __ducklake_metadata_{NAME}.ducklake_table AS t
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE t.begin_snapshot <= $1 AND t.end_snapshot IS NULL AND t.table_id NOT IN (
    SELECT f.table_id FROM __ducklake_metadata_{NAME}.ducklake_data_file AS f
    WHERE f.begin_snapshot <= $1 AND (f.end_snapshot IS NULL OR f.end_snapshot > $1)
)
"""

_COMMENTS = f"""
SELECT s.schema_name, t.table_name, g.value
FROM __ducklake_metadata_{NAME}.ducklake_tag AS g
JOIN __ducklake_metadata_{NAME}.ducklake_table AS t ON t.table_id = g.object_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE g.end_snapshot IS NULL AND g.key = 'comment' AND g.value IS NOT NULL
"""

_MARKS = f"""
SELECT s.schema_name || '.' || t.table_name, concat_ws(':', f.n, f.newest, d.n, d.newest)
FROM __ducklake_metadata_{NAME}.ducklake_table AS t
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN (
    SELECT table_id, count(*) AS n, max(begin_snapshot) AS newest
    FROM __ducklake_metadata_{NAME}.ducklake_data_file WHERE end_snapshot IS NULL GROUP BY table_id
) AS f ON f.table_id = t.table_id
LEFT JOIN (
    SELECT table_id, count(*) AS n, max(begin_snapshot) AS newest
    FROM __ducklake_metadata_{NAME}.ducklake_delete_file WHERE end_snapshot IS NULL GROUP BY table_id
) AS d ON d.table_id = t.table_id
WHERE t.end_snapshot IS NULL
"""


_RENEWED = f"""
SELECT s.schema_name || '.' || t.table_name
FROM __ducklake_metadata_{NAME}.ducklake_table AS t
JOIN __ducklake_metadata_{NAME}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE t.end_snapshot IS NULL AND t.begin_snapshot > $1
"""


#: Counts writes of what is derived, in an engine that has no snapshots of its own.
DERIVED = "metrics.revision"


class Engine(ABC):
    """A place for tables.

    Args:
        folder: Where its files lie; made when missing.
        memory_mb: Memory the engine may take before it spills to disk.
        threads: Threads it may use.
    """

    #: True where the engine has no snapshots of its own, so that writes are counted in ``raw.revision``.
    counted: ClassVar[bool] = False

    def __init__(self, folder: Path, memory_mb: int, threads: int = 2) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._spill = Spill(folder / "temporary")
        except OSError as error:
            raise Misconfigured(
                "warehouse.folder", f"The folder {folder} cannot be made: {error.strerror}.", folder=str(folder)
            ) from error
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(self._spill.folder),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }

    @abstractmethod
    @contextmanager
    def session(self, *, write: bool) -> Iterator[Session]:
        """Lend a session whose default catalog is the warehouse."""

    @abstractmethod
    def snapshot(self) -> int:
        """Return a number that changes with every commit."""

    @abstractmethod
    def comments(self, session: Session) -> dict[tuple[str, str], str]:
        """Return what tables say of themselves, by schema and name."""

    @abstractmethod
    def marks(self, session: Session) -> dict[str, str]:
        """Return, by qualified name of every table, a text that changes whenever its rows do."""

    def empty(self, session: Session) -> frozenset[str]:
        """Return typed tables that certainly have no row at a session's moment, where it is cheaper to know than to ask."""
        return frozenset()

    def bare(self, session: Session) -> frozenset[str]:
        """Return the qualified names of tables that have no row at a session's moment and are dear to read all the same."""
        return frozenset()

    def show(self, session: Session, views: Mapping[str, str]) -> None:
        """Make views that only this process has, in a database of its own in memory, as far as they are missing.

        Args:
            session: Whose question asks for them.
            views: SELECT by name: ``database.schema.view``, or ``database.view``.
        """
        for name, select in views.items():
            database, *middle, view = name.split(".")
            schema = middle[0] if middle else "main"
            session.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {database}")
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {database}.{schema}")
            session.execute(f'CREATE VIEW IF NOT EXISTS {database}.{schema}."{view}" AS {select}')

    @abstractmethod
    def tidy(self, *, thorough: bool) -> int:
        """Merge small files and leave deleted rows out, in short transactions between those of writers.

        Args:
            thorough: False to act only where there is much to gain.

        Returns:
            How many transactions it took; 0 when there was nothing to do.
        """

    @abstractmethod
    def clean(self, keep: timedelta) -> None:
        """Drop what nobody can reach any more, unless a backup is being made.

        Args:
            keep: How long a state of the tables that is no longer the present one stays within reach.
        """

    @abstractmethod
    def scrub(self) -> None:
        """Remove deleted rows from the disk at once, with every older state of the tables they were in."""

    @abstractmethod
    def undisturbed(self) -> AbstractContextManager[object]:
        """Keep what sessions have seen true between them, where the engine could not tell afterwards what came meanwhile."""

    def renewed(self, session: Session, since: int) -> frozenset[str]:
        """Return the qualified names of tables that have been put in place of others after a :meth:`mark`."""
        return frozenset()

    @property
    def dated(self) -> bool:
        """Whether each row tells, as ``snapshot_id``, after which :meth:`mark` it was last written."""
        return False

    @abstractmethod
    def mark(self, session: Session) -> int:
        """Return the moment a session stands at, for :meth:`arrivals`."""

    @abstractmethod
    def arrivals(self, session: Session, since: int, resource: str) -> list[str]:
        """Return the ids of one resource of which versions have come after a moment that :meth:`mark` returned."""

    @abstractmethod
    def back_up(self, label: str) -> Path:
        """Copy what says which tables there are to a file beside it, as committed, and return its path.

        The last three such copies are kept.

        Raises:
            Unavailable: The disk is full.
        """

    def close(self) -> None:
        """Let go of files and memory."""
        self._spill.close()

    @property
    def temporary(self) -> Path:
        """Folder for files that nobody needs once this engine is closed."""
        return self._spill.folder

    def building(self) -> AbstractContextManager[None]:
        """Let only one process at a time make or alter tables.

        Raises:
            Unavailable: Another process holds on to it for more than a minute.
        """
        return held(
            self.folder / "building.lock",
            Unavailable(
                "warehouse.building",
                "Another process has been preparing the warehouse for more than a minute: wait, or stop it.",
            ),
        )

    def keeping(self, patience_s: float = _LOCK_PATIENCE_S) -> AbstractContextManager[None]:
        """Let only one process at a time merge, thin or rebuild.

        Raises:
            Unavailable: Another one does, for longer than ``patience_s`` seconds.
        """
        return held(
            self.folder / "keeping.lock",
            Unavailable("warehouse.keeping", "Another process is tidying up or rebuilding the warehouse: wait for it."),
            patience_s,
        )

    def deriving(self) -> AbstractContextManager[None]:
        """Let only one process at a time work out what is derived from Stripe's tables.

        Raises:
            Unavailable: Another one does, for more than ten minutes.
        """
        return held(
            self.folder / "deriving.lock",
            Unavailable("warehouse.deriving", "Another process has been building the metrics for long: wait for it."),
            _DERIVING_PATIENCE_S,
        )

    @contextmanager
    def roomy(self, session: Session, memory_mb: int) -> Iterator[None]:
        """Let the engine have more memory for as long as this lasts; what was its limit before is its limit after."""
        usual = str(self._config["memory_limit"])
        session.execute(f"SET memory_limit = '{max(memory_mb, int(usual.removesuffix('MB')))}MB'")
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # it is not lowered below what others use just now
                session.execute(f"SET memory_limit = '{usual}'")

    def turn(self) -> AbstractContextManager[None]:
        """Give a session that was lent for reading the turn to write, where writers take turns.

        Raises:
            Unavailable: Others have been writing for more than a minute.
        """
        return nullcontext()

    def preserving(self, patience_s: float = _LOCK_PATIENCE_S) -> AbstractContextManager[None]:
        """See to it that no file disappears: whoever copies files holds this, and whoever deletes some.

        Raises:
            Unavailable: Another one does, for longer than ``patience_s`` seconds.
        """
        return preserving(self.folder, patience_s)


@contextmanager
def held(file: Path, refusal: Unavailable, patience_s: float = _LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold a lock that a file stands for, against every other thread and process; it ends with the process.

    Raises:
        Unavailable: ``refusal``, when it cannot be had within ``patience_s`` seconds (0: at once).
    """
    lock = FileLock(file, timeout=patience_s, thread_local=False)
    try:
        lock.acquire(poll_interval=0.01)
    except Timeout as error:
        raise refusal from error
    try:
        yield
    finally:
        lock.release()


def preserving(folder: Path, patience_s: float = _LOCK_PATIENCE_S) -> AbstractContextManager[None]:
    """See to it that no file of the warehouse in ``folder`` disappears; see :meth:`Engine.preserving`."""
    return held(
        folder / "preserving.lock",
        Unavailable("warehouse.preserving", "A backup of the warehouse is being made: wait until it is done."),
        patience_s,
    )


class Lake(Engine):
    """A DuckLake: its catalog in a SQLite file, its rows in Parquet files beside it. Many processes at once.

    Readers work side by side with one writer. Writers take turns by a lock of ours: SQLite would let a second
    transaction work and then refuse its commit, since what it had read has changed.
    """

    def __init__(self, folder: Path, memory_mb: int, threads: int = 2) -> None:
        super().__init__(folder, memory_mb, threads)
        # To check the signatures of the two extensions, 70 MB, takes 0.4 s at every start; their files lie among the
        # installed packages, as trusted as this very code, and once they are loaded nothing else can be.
        self._config["allow_unsigned_extensions"] = True
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._idle: list[Session] = []
        self._showing, self._shown = threading.Lock(), set[str]()
        with mapped(), self.building():
            fresh = not (folder / CATALOG).exists()
            self._root = self._opened()
            if fresh:
                for option, value in _LAKE_OPTIONS:
                    self._root.execute(f"CALL {NAME}.set_option('{option}', {value})")
            # Answers to people's SQL may touch the lake's own files and nothing else on this machine.
            self._root.execute(f"SET allowed_directories = ['{folder}']")
            self._root.execute("SET enable_external_access = false")

    def _opened(self, **changes: Any) -> duckdb.DuckDBPyConnection:
        """Return an engine with the lake attached, ours but for some of its settings."""
        root = duckdb.connect(config={**self._config, **changes})
        for package, extension in (
            ("duckdb_extension_ducklake", "ducklake"),
            ("duckdb_extension_sqlite_scanner", "sqlite_scanner"),
        ):
            root.execute(f"LOAD '{_extension(package, extension)}'")
        # Rows are never kept inside the catalog: a table for each of ours there makes every look-up slower.
        root.execute(
            f"ATTACH 'ducklake:sqlite:{self.folder / CATALOG}' AS {NAME} (DATA_PATH '{self.folder / DATA}/', "
            "OVERRIDE_DATA_PATH true, DATA_INLINING_ROW_LIMIT 0, META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 10000)"
        )
        return root

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Session]:
        """Lend a cursor of its own; readers work side by side, writers one after the other.

        Raises:
            Unavailable: Others have been writing for more than a minute.
        """
        with self.turn() if write else nullcontext():
            cursor = self._cursor()
            try:
                yield cursor
                cursor.execute("SELECT NULL")  # lets go of an answer that was not read to its end
            except BaseException:
                cursor.close()
                raise
            with self._lock:
                if len(self._idle) < _IDLE:
                    self._idle.append(cursor)
                    return
            cursor.close()

    def _cursor(self) -> Session:
        """Return a session that stands in the lake; to get there costs as much as a small query, so they are kept."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            cursor = self._root.cursor()
        try:
            with mapped():
                cursor.execute(f"USE {NAME}; SET TimeZone = 'UTC'")
        except BaseException:
            cursor.close()
            raise
        return cursor

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let one session write at a time, of all processes.

        Raises:
            Unavailable: Others have been writing for more than a minute.
        """
        refusal = Unavailable("warehouse.locked", "The warehouse is busy with another process: it is tried again.")
        # Threads of this process queue here: cheaper than all of them asking for the file's lock again and again.
        if not self._turn.acquire(timeout=_LOCK_PATIENCE_S):
            raise refusal
        try:
            with held(self.folder / "writing.lock", refusal, _LOCK_PATIENCE_S):
                yield
        finally:
            self._turn.release()

    def snapshot(self) -> int:
        """Return DuckLake's snapshot number."""
        with self.session(write=False) as session, mapped():
            return self.mark(session)

    def comments(self, session: Session) -> dict[tuple[str, str], str]:
        """Ask the lake's catalog: the engine's own view of it counts every table's rows, half a second for ours."""
        return {(schema, table): comment for schema, table, comment in session.execute(_COMMENTS).fetchall()}

    def marks(self, session: Session) -> dict[str, str]:
        """Ask the lake's catalog of which files a table consists."""
        return dict(session.execute(_MARKS).fetchall())

    def empty(self, session: Session) -> frozenset[str]:
        """Ask the lake's catalog which tables have no file: one query in place of one a table, each of 50 ms."""
        return frozenset(name for (name,) in session.execute(_EMPTY).fetchall())

    def bare(self, session: Session) -> frozenset[str]:
        """Ask the lake's catalog, as of the session's snapshot.

        Of a table that never had a row the lake keeps no statistics, and whoever plans a statement that reads it asks the catalog
        for them again and again, 20 ms for each time that it is named.
        """
        return frozenset(name for (name,) in session.execute(_BARE, [self.mark(session)]).fetchall())

    def show(self, session: Session, views: Mapping[str, str]) -> None:
        """Make them once for all sessions: to make one costs as much as to ask it."""
        with self._showing:
            missing = {name: select for name, select in views.items() if name not in self._shown}
            super().show(session, missing)
            self._shown.update(missing)

    def tidy(self, *, thorough: bool) -> int:
        """Write small files and those with deleted rows anew, a table at a time, until nothing is worth it."""
        done = 0
        with ExitStack() as open_:
            merger: Session | None = None
            for _ in range(_ROUNDS):
                jobs = due(self.files(), thorough=thorough)
                for job in jobs:
                    merger = merger or open_.enter_context(self._merger())
                    with self.turn(), mapped():
                        if job.kind == "merge":
                            merger.execute(
                                f"CALL ducklake_merge_adjacent_files('{NAME}', $1, schema => $2, "
                                "max_file_size => $3, max_compacted_files => 1)",
                                [job.table, job.schema, int(job.limit)],
                            )
                        else:
                            merger.execute(
                                f"CALL ducklake_rewrite_data_files('{NAME}', $1, schema => $2, delete_threshold => $3)",
                                [job.table, job.schema, job.limit],
                            )
                    done += 1
                if not jobs:
                    break
        return done

    @contextmanager
    def _merger(self) -> Iterator[Session]:
        """Open an engine of one thread beside ours: it merges in half the memory that two threads take.

        To set the threads of an engine that others use stops it for good, now and then: it waits for a thread that waits, inside a
        question to the lake's catalog, for the very setting.
        """
        with closing(Spill(self._spill.folder.parent)) as spill, mapped():
            merger = self._opened(threads=1, temp_directory=str(spill.folder))
            try:
                yield merger
            finally:
                merger.close()

    def files(self) -> list[DataFile]:
        """Return every data file that the present state of a table has."""
        with self.session(write=False) as session, mapped():
            return [DataFile(*row) for row in session.execute(_FILES).fetchall()]

    def clean(self, keep: timedelta) -> None:
        """Forget snapshots older than ``keep``, and delete files that none of the others needs."""
        now = datetime.now(UTC)  # the lake stamps its snapshots by the machine's clock
        with self.session(write=True) as session, mapped():
            session.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => $1)", [now - keep])
        try:
            with self.preserving(0), self.session(write=True) as session, mapped():
                # Somebody may still be reading what was replaced a moment ago.
                session.execute(
                    f"CALL ducklake_cleanup_old_files('{NAME}', older_than => $1)", [now - min(keep, _STILL_READ)]
                )
                # What a killed writer left unfinished.
                session.execute(f"CALL ducklake_delete_orphaned_files('{NAME}', older_than => $1)", [now - _UNFINISHED])
        except Unavailable as error:
            if error.code != "warehouse.preserving":
                raise

    def scrub(self) -> None:
        """Rewrite files that hold deleted rows, forget every snapshot but the present one, and delete what was theirs."""
        with self.preserving(), self.session(write=True) as session, mapped():
            session.execute(f"CALL ducklake_rewrite_data_files('{NAME}', delete_threshold => 0)")
            session.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => now())")
            session.execute(f"CALL ducklake_cleanup_old_files('{NAME}', cleanup_all => true)")

    def undisturbed(self) -> AbstractContextManager[object]:
        """The lake knows afterwards what came when."""
        return nullcontext()

    def renewed(self, session: Session, since: int) -> frozenset[str]:
        """Ask the lake's catalog since when its tables have their names."""
        return frozenset(name for (name,) in session.execute(_RENEWED, [since]).fetchall())

    @property
    def dated(self) -> bool:
        """A row keeps the snapshot that it came with, whatever becomes of its file."""
        return True

    def mark(self, session: Session) -> int:
        """Return the snapshot a session stands at."""
        row = session.execute(f"SELECT id FROM {NAME}.current_snapshot()").fetchone()
        return int(row[0]) if row else 0

    def arrivals(self, session: Session, since: int, resource: str) -> list[str]:
        """Ask the lake what was inserted after a snapshot."""
        now = self.mark(session)
        if now <= since:
            return []
        rows = session.execute(
            f"SELECT DISTINCT v.id FROM ducklake_table_insertions('{NAME}', 'raw', 'versions', {since + 1}, {now}) AS v "
            "WHERE v.resource = $1",
            [resource],
        ).fetchall()
        return [row[0] for row in rows]

    def back_up(self, label: str) -> Path:
        """Copy the catalog; the data files it names are never changed, but deleted a day after they were replaced."""
        return _back_up("sqlite", self.folder / CATALOG, label)

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in (*idle, self._root):
            session.close()
        super().close()


_GATES: dict[Path, threading.RLock] = {}


class File(Engine):
    """One DuckDB file. It admits a single process, so each session opens it, works, and lets go of it."""

    counted = True

    def __init__(self, folder: Path, memory_mb: int, threads: int = 2) -> None:
        super().__init__(folder, memory_mb, threads)
        self.path = folder / FILE
        # Within one process DuckDB lets everybody in: there the turn is ours to give, whichever engine asks.
        self._gate = _GATES.setdefault(self.path.resolve(), threading.RLock())

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Session]:
        """Open the file, waiting up to a minute for other processes to let go of it.

        Raises:
            Unavailable: It stays in another process's hands.
        """
        with self._gate:
            session = self._open()
            try:
                yield session
            finally:
                session.close()

    def _open(self) -> Session:
        give_up = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                session = duckdb.connect(str(self.path), config=self._config)
                session.execute("SET TimeZone = 'UTC'")
                return session
            except duckdb.IOException as error:
                if "lock" not in str(error).lower() or time.monotonic() > give_up:
                    raise translate(error) from error
                time.sleep(0.02)

    def snapshot(self) -> int:
        """Return how many writes there have been."""
        with self.session(write=False) as session, mapped():
            row = session.execute("SELECT max(n) FROM raw.revision").fetchone()
        return int(row[0] or 0) if row else 0

    def comments(self, session: Session) -> dict[tuple[str, str], str]:
        """Ask the file's own catalog."""
        return {
            (schema, table): comment
            for schema, table, comment in session.execute(
                "SELECT schema_name, table_name, comment FROM duckdb_tables() "
                "WHERE database_name = current_database() AND comment IS NOT NULL"
            ).fetchall()
        }

    def marks(self, session: Session) -> dict[str, str]:
        """Every write to Stripe's tables counts for all of them, every write of what is derived for all of that."""
        found = {
            f"{schema}.{table}": str(n)
            for schema, table, n in session.execute(
                "SELECT schema_name, table_name, (SELECT max(n) FROM raw.revision) FROM duckdb_tables() "
                "WHERE database_name = current_database()"
            ).fetchall()
        }
        if DERIVED in found:
            row = session.execute(f"SELECT n FROM {DERIVED}").fetchone()
            found |= {name: f"{mark}:{row and row[0]}" for name, mark in found.items() if name.startswith("metrics.")}
        return found

    def tidy(self, *, thorough: bool) -> int:
        """Write everything from the log into the file; it has no small files to merge."""
        if thorough:
            with self.session(write=True) as session, mapped():
                session.execute("CHECKPOINT")
        return 0

    def clean(self, keep: timedelta) -> None:
        """Nothing unreachable is left behind."""

    def scrub(self) -> None:
        """Give the room of deleted rows back."""
        with self.session(write=True) as session, mapped():
            session.execute("VACUUM")
            session.execute("FORCE CHECKPOINT")

    def undisturbed(self) -> AbstractContextManager[object]:
        """Keep the file: nobody else gets in meanwhile."""
        return self.session(write=True)

    def mark(self, session: Session) -> int:
        """Nothing can come meanwhile."""
        return 0

    def arrivals(self, session: Session, since: int, resource: str) -> list[str]:
        """Nothing can come meanwhile."""
        return []

    def back_up(self, label: str) -> Path:
        """Copy the whole file."""
        with self.session(write=True) as session, mapped():
            session.execute("CHECKPOINT")
            return _back_up("plain", self.path, label)


def _back_up(kind: str, file: Path, label: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = file.with_name(f"{file.name}.{stamp}.{label}.backup")
    copy_file(kind, file, target)
    for older in sorted(file.parent.glob(f"{file.name}.*.backup"))[:-_BACKUPS_KEPT]:
        older.unlink(missing_ok=True)
    return target


def copy_file(kind: str, source: Path, target: Path) -> None:
    """Copy a database of the warehouse; see :func:`takings.warehouse.copying.copy_apart`.

    Raises:
        Unavailable: The disk is full, or does not answer.
    """
    try:
        whole = copy_apart(kind, source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise files_refused() from error
    if not whole:
        target.unlink(missing_ok=True)
        raise disk_full()


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the engine's errors into ours."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error) from error


_FULL = ("no space left", "disk full", "database or disk is full", "disk quota exceeded", "file too large")


def disk_full() -> Unavailable:
    """Return the error of a disk that is full."""
    return Unavailable("warehouse.disk_full", "The disk is full: make room; the work goes on by itself.")


def files_refused() -> Unavailable:
    """Return the error of files that the system does not let us have."""
    return Unavailable(
        "warehouse.files", "The warehouse's files cannot be read or written: check disk and permissions."
    )


def translate(error: duckdb.Error) -> TakingsError:
    """Return the engine's error in our words."""
    text = str(error)
    low = text.lower()
    if any(sign in low for sign in _FULL):
        return disk_full()
    if "database is locked" in low or "could not set lock" in low or "conflict" in low:
        return Unavailable("warehouse.locked", "The warehouse is busy with another process: it is tried again.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return Unavailable(
            "warehouse.memory", "The warehouse has too little memory: raise TAKINGS_WAREHOUSE_MEMORY_MB."
        )
    if isinstance(error, duckdb.IOException) or "disk i/o error" in low:
        return files_refused()
    return Unexpected("warehouse.engine", f"The warehouse engine reports: {_first_line(error)}")


# What is the asker's mistake, and not a trouble of the warehouse.
_WRONG = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.NotImplementedException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
    duckdb.SyntaxException,
    duckdb.TypeMismatchException,
)


_PLACE = re.compile(r"^LINE (\d+): (.*)\n( *)\^", re.MULTILINE)


def place_of(said: str, sql: str) -> dict[str, int]:
    """Return where in a question the engine finds fault, as ``at_line`` and ``at_column``; nothing where it does not say.

    Args:
        said: Its error: long lines are shown in part, with dots before.
        sql: The question.
    """
    found = _PLACE.search(said)
    if found is None:
        return {}
    line, shown = int(found[1]), found[2]
    column = len(found[3]) - len(f"LINE {line}: ") + 1
    if shown.startswith("..."):
        lines = sql.split("\n")
        begins = lines[line - 1].find(shown.removeprefix("...").removesuffix("...")) if line <= len(lines) else -1
        if begins < 0:
            return {"at_line": line}
        column += begins - 3
    return {"at_line": line, "at_column": column}


def _where(place: Mapping[str, int]) -> str:
    parts = [f"{name.removeprefix('at_')} {number}" for name, number in place.items()]
    return f" ({', '.join(parts)})" if parts else ""


@contextmanager
def asked(sql: str) -> Iterator[None]:
    """Turn the engine's errors into ours while it answers a person's question.

    Args:
        sql: The question.

    Raises:
        Invalid: The question is wrong.
        Unavailable: It was interrupted because it took too long, or the warehouse is in trouble.
    """
    try:
        yield
    except duckdb.InterruptException as error:
        raise Unavailable("sql.timeout", "The query took too long and was stopped: ask for less.") from error
    except _WRONG as error:
        line = _first_line(error)
        place = place_of(str(error), sql)
        sentence = f"The warehouse cannot answer this: {line}{_where(place)}"
        raise Invalid("sql.wrong", sentence, detail=line, **place) from error
    except duckdb.Error as error:
        raise translate(error) from error


def parse(sql: str) -> Any:
    """Return the syntax tree of one SELECT statement, as the engine serialises it.

    Raises:
        Invalid: It is not SQL, not one statement, or not a SELECT.
    """
    with _PARSING:
        return _parsed(sql)


def _parsed(sql: str) -> Any:
    only = Invalid("sql.select_only", "Only a single SELECT statement is accepted: the warehouse is read-only here.")
    parser = _parser()
    try:
        statements = parser.extract_statements(sql)
    except duckdb.Error as error:
        line = _first_line(error)
        place = place_of(str(error), sql)
        raise Invalid("sql.syntax", f"This is not valid SQL: {line}{_where(place)}", detail=line, **place) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise only
    row = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise only
    return tree["statements"]


_PARSING = threading.Lock()


@cache
def _parser() -> Session:
    """Return a database of nothing that parses; to open one for each text costs 10 ms."""
    return duckdb.connect(config={"threads": 1})


def is_conflict(error: BaseException) -> bool:
    """Tell whether a transaction only has to be tried again."""
    text = str(error).lower()
    return isinstance(error, duckdb.Error) and ("conflict" in text or "locked" in text)


def _extension(package: str, extension: str) -> Path:
    root = Path(str(import_module(package).__file__)).parent / "extensions" / f"v{duckdb.__version__}"
    path = root / f"{extension}.duckdb_extension"
    if not path.exists():
        raise Misconfigured(
            "warehouse.extension",
            f"The package {package} has no extension for DuckDB {duckdb.__version__}: install the version pinned by Takings.",
            package=package,
        )
    return path


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]
