"""DuckDB behind one door: extensions, attaching, sessions, and its errors in our words. The only importer of DuckDB."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import duckdb
from filelock import FileLock, Timeout

from takings.errors import Invalid, Misconfigured, TakingsError, Unavailable, Unexpected

NAME = "warehouse"
Session = duckdb.DuckDBPyConnection

_LOCK_PATIENCE_S = 60.0

# Payloads are wide: small row groups keep reading and merging them within little memory.
_LAKE_OPTIONS = (
    ("parquet_compression", "'zstd'"),
    ("parquet_row_group_size", "8192"),
    ("target_file_size", "'64MB'"),
)


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
        except OSError as error:
            raise Misconfigured(
                "warehouse.folder", f"The folder {folder} cannot be made: {error.strerror}.", folder=str(folder)
            ) from error
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(folder / "temporary"),
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
    def maintain(self) -> None:
        """Merge small files and drop what nobody can reach any more."""

    @abstractmethod
    def scrub(self) -> None:
        """Remove deleted rows from the disk at once, with every older state of the tables they were in."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and memory."""

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

    def preserving(self, patience_s: float = _LOCK_PATIENCE_S) -> AbstractContextManager[None]:
        """See to it that no file disappears: whoever copies files holds this, and whoever deletes some.

        Raises:
            Unavailable: Another one does, for longer than ``patience_s`` seconds.
        """
        return held(
            self.folder / "preserving.lock",
            Unavailable("warehouse.preserving", "A backup of the warehouse is being made: wait until it is done."),
            patience_s,
        )


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


class Lake(Engine):
    """A DuckLake: its catalog in a SQLite file, its rows in Parquet files beside it. Many processes at once.

    Readers work side by side with one writer. Writers take turns by a lock of ours: SQLite would let a second
    transaction work and then refuse its commit, since what it had read has changed.
    """

    def __init__(self, folder: Path, memory_mb: int, threads: int = 2) -> None:
        super().__init__(folder, memory_mb, threads)
        self._lock, self._turn = threading.Lock(), threading.Lock()
        with mapped():
            self._root = duckdb.connect(config=self._config)
            for package, extension in (
                ("duckdb_extension_ducklake", "ducklake"),
                ("duckdb_extension_sqlite_scanner", "sqlite_scanner"),
            ):
                self._root.execute(f"LOAD '{_extension(package, extension)}'")
            catalog, data = folder / "lake.sqlite", folder / "data"
            # Rows are never kept inside the catalog: a table for each of ours there makes every look-up slower.
            attach = (
                f"ATTACH 'ducklake:sqlite:{catalog}' AS {NAME} (DATA_PATH '{data}/', OVERRIDE_DATA_PATH true, "
                "DATA_INLINING_ROW_LIMIT 0, META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 10000)"
            )
            with self.building():
                fresh = not catalog.exists()
                self._root.execute(attach)
                if fresh:
                    for option, value in _LAKE_OPTIONS:
                        self._root.execute(f"CALL {NAME}.set_option('{option}', {value})")
            # Answers to people's SQL may touch the lake's own files and nothing else on this machine.
            self._root.execute(f"SET allowed_directories = ['{folder}']")
            self._root.execute("SET enable_external_access = false")

    @contextmanager
    def session(self, *, write: bool) -> Iterator[Session]:
        """Lend a cursor of its own; readers work side by side, writers one after the other.

        Raises:
            Unavailable: Others have been writing for more than a minute.
        """
        with self._writing() if write else nullcontext():
            with self._lock:
                cursor = self._root.cursor()
            try:
                with mapped():
                    cursor.execute(f"USE {NAME}; SET TimeZone = 'UTC'")
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        refusal = Unavailable("warehouse.locked", "The warehouse is busy with another process: it is tried again.")
        # Threads of this process queue here: cheaper than all of them asking for the file's lock again and again.
        if not self._turn.acquire(timeout=_LOCK_PATIENCE_S):
            raise refusal
        try:
            with held(self.folder / "writing.lock", refusal):
                yield
        finally:
            self._turn.release()

    def snapshot(self) -> int:
        """Return DuckLake's snapshot number."""
        with self.session(write=False) as session, mapped():
            row = session.execute(f"SELECT id FROM {NAME}.current_snapshot()").fetchone()
        return int(row[0]) if row else 0

    def maintain(self) -> None:
        """Merge the small files of many commits, and drop those that no snapshot of the last day needs."""
        with self.session(write=True) as session, mapped():
            # One thread merges in half the memory of two.
            session.execute("SET threads = 1")
            try:
                session.execute(f"CALL ducklake_merge_adjacent_files('{NAME}')")
            finally:
                session.execute(f"SET threads = {self._config['threads']}")
            session.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => now() - INTERVAL 1 DAY)")
            session.execute(f"CALL ducklake_cleanup_old_files('{NAME}', older_than => now() - INTERVAL 1 HOUR)")
            # What a killed writer left unfinished.
            session.execute(f"CALL ducklake_delete_orphaned_files('{NAME}', older_than => now() - INTERVAL 1 DAY)")

    def scrub(self) -> None:
        """Rewrite files that hold deleted rows, forget every snapshot but the present one, and delete what was theirs."""
        with self.session(write=True) as session, mapped():
            session.execute(f"CALL ducklake_rewrite_data_files('{NAME}', delete_threshold => 0)")
            session.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => now())")
            session.execute(f"CALL ducklake_cleanup_old_files('{NAME}', cleanup_all => true)")

    def close(self) -> None:
        """Close every session."""
        self._root.close()


class File(Engine):
    """One DuckDB file. It admits a single process, so each session opens it, works, and lets go of it."""

    counted = True

    def __init__(self, folder: Path, memory_mb: int, threads: int = 2) -> None:
        super().__init__(folder, memory_mb, threads)
        self.path = folder / "warehouse.duckdb"
        self._gate = threading.RLock()

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

    def maintain(self) -> None:
        """Write everything from the log into the file."""
        with self.session(write=True) as session, mapped():
            session.execute("CHECKPOINT")

    def scrub(self) -> None:
        """Give the room of deleted rows back."""
        with self.session(write=True) as session, mapped():
            session.execute("VACUUM")
            session.execute("FORCE CHECKPOINT")

    def close(self) -> None:
        """Nothing stays open between sessions."""


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the engine's errors into ours."""
    try:
        yield
    except duckdb.Error as error:
        raise translate(error) from error


def translate(error: duckdb.Error) -> TakingsError:
    """Return the engine's error in our words."""
    text = str(error)
    low = text.lower()
    if "no space left" in low or "disk full" in low or "database or disk is full" in low:
        return Unavailable("warehouse.disk_full", "The disk is full: make room; the work goes on by itself.")
    if "database is locked" in low or "could not set lock" in low or "conflict" in low:
        return Unavailable("warehouse.locked", "The warehouse is busy with another process: it is tried again.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return Unavailable(
            "warehouse.memory", "The warehouse has too little memory: raise TAKINGS_WAREHOUSE_MEMORY_MB."
        )
    if isinstance(error, duckdb.IOException):
        return Unavailable(
            "warehouse.files", "The warehouse's files cannot be read or written: check disk and permissions."
        )
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


@contextmanager
def asked() -> Iterator[None]:
    """Turn the engine's errors into ours while it answers a person's question.

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
        raise Invalid("sql.wrong", f"The warehouse cannot answer this: {line}", detail=line) from error
    except duckdb.Error as error:
        raise translate(error) from error


def parse(sql: str) -> Any:
    """Return the syntax tree of one SELECT statement, as the engine serialises it.

    Raises:
        Invalid: It is not SQL, not one statement, or not a SELECT.
    """
    only = Invalid("sql.select_only", "Only a single SELECT statement is accepted: the warehouse is read-only here.")
    with closing(duckdb.connect()) as parser:
        try:
            statements = parser.extract_statements(sql)
        except duckdb.Error as error:
            line = _first_line(error)
            raise Invalid("sql.syntax", f"This is not valid SQL: {line}", detail=line) from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise only
        row = parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise only
    return tree["statements"]


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
