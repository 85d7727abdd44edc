"""The product's own database: opened, migrated, and reached through short transactions that wait for their turn."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from takings.errors import Misconfigured, TakingsError, Unavailable
from takings.settings import Settings
from takings.store import migrate

BUSY_S: Final = 30.0
"""How long a writer waits for another one, in seconds, before it gives up."""

_SQLITE_BUSY_MS = 5_000
_POOL = 16
_POOL_MOST = 64


class Store:
    """The product's own database, SQLite (WAL) or Postgres. Safe for threads; every process opens its own.

    Args:
        engine: A SQLAlchemy engine made by :meth:`open`.

    Transactions are short: nobody talks to Stripe or to the warehouse inside one.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._turn = threading.Lock()
        self._mine = threading.local()

    @classmethod
    def open(cls, settings: Settings) -> Store:
        """Open the database, creating it or bringing it up to date first.

        An existing SQLite file is copied beside itself before it is migrated. Several processes may open at once:
        one migrates, the others wait.

        Raises:
            Misconfigured: The address, the driver, the password or the folder's permissions are wrong, or a newer
                version of this program made the database.
            Unavailable: The database server cannot be reached, the disk is full, or the file stays locked.
        """
        url = _address(settings.store_address)
        if url.get_backend_name() == "sqlite":
            _prepare_file(url)
        with mapped(url):
            store = cls(_engine(url))
            try:
                store._migrate(url)
            except BaseException:
                store.close()
                raise
        return store

    def close(self) -> None:
        """Give back all database connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one unchanging state and cannot write.

        Raises:
            Unavailable: The database is away or locked.
        """
        with mapped(self.engine.url, reading=True), self._connect() as connection:
            if self._sqlite:
                raw = _sqlite_connection(connection)
                raw.execute("PRAGMA query_only = 1")
                try:
                    raw.execute("BEGIN")
                    with connection.begin() as transaction:
                        yield connection
                        transaction.rollback()
                finally:
                    raw.execute("PRAGMA query_only = 0")
            else:
                connection = connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
                with connection.begin() as transaction:
                    yield connection
                    transaction.rollback()

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sa.Connection]:
        """Give a connection whose changes are kept together at the end, or not at all when an error passes through.

        On SQLite the lock is taken at the start (``BEGIN IMMEDIATE``), so what is read inside stays true until the
        end. On Postgres lock the rows that must not change (``with_for_update``).

        Args:
            durable: Wait until the disk has it, so that it survives the loss of power and not only of the process.
                For what cannot be had twice, such as a refresh token.

        Raises:
            Unavailable: Another writer kept the lock too long, the disk is full, or the database is away.
        """
        if getattr(self._mine, "writing", False):
            raise RuntimeError("A write inside a write would wait for itself: pass the connection on instead.")
        with mapped(self.engine.url), self._in_turn(), self._connect() as connection:
            if not self._sqlite:
                with connection.begin():
                    yield connection
                return
            raw = _sqlite_connection(connection)
            if durable:
                raw.execute("PRAGMA synchronous = FULL")
            try:
                _begin_immediate(raw)
                with connection.begin():
                    yield connection
            finally:
                if durable:
                    raw.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let the threads of this process write one after the other: cheaper than polling the file's lock."""
        self._mine.writing = True
        taken = self._sqlite and self._turn.acquire(timeout=BUSY_S)
        try:
            if self._sqlite and not taken:
                raise _locked()
            yield
        finally:
            if taken:
                self._turn.release()
            self._mine.writing = False

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection

    def _migrate(self, url: URL) -> None:
        with self._connect() as connection:
            if self._sqlite:
                raw = _sqlite_connection(connection)
                _patiently(lambda: raw.execute("PRAGMA journal_mode = WAL"))
                _begin_immediate(raw)
            with connection.begin():
                if not self._sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(migrate.LOCK)))
                backup = Path(url.database) if self._sqlite and url.database else None
                migrate.upgrade(connection, backup)


@contextmanager
def mapped(url: URL, *, reading: bool = False) -> Iterator[None]:
    """Turn the database's errors into this program's own. Broken constraints pass through as SQLAlchemy's.

    Args:
        url: Where the database is; its password is never shown.
        reading: Nothing may be written anyway, so that an attempt to is a mistake of ours and passes through.
    """
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        shown = url.render_as_string(hide_password=True)
        if isinstance(original, sqlite3.Error):
            known: TakingsError | None = _of_sqlite(original, url.database or shown)
            if reading and known is not None and known.code == "store.read_only":
                raise
        else:
            known = _of_postgres(original, shown)
        if known is None:
            raise
        raise known from error
    except sa.exc.TimeoutError as error:
        raise Unavailable(
            "store.busy", "Too much is asked of the product's database at once; it is tried again."
        ) from error


def _of_sqlite(error: sqlite3.Error, path: str) -> TakingsError | None:
    """Sort SQLite's errors by what the reader can do; None for a mistake in our own SQL."""
    name: str = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _locked()
    if name.startswith("SQLITE_FULL"):
        return _full(path)
    if name.startswith("SQLITE_READONLY"):
        return Misconfigured(
            "store.read_only",
            f"The database {path} cannot be written: give this user the right to write to it and to its folder.",
            path=path,
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Misconfigured(
            "store.cannot_open",
            f"The database {path} cannot be opened: check that its folder exists and that this user may write there.",
            path=path,
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Misconfigured(
            "store.damaged",
            f"The file {path} is damaged or is no database of this program: put a backup in its place.",
            path=path,
        )
    if name.startswith("SQLITE_IOERR"):
        return Unavailable(
            "store.disk", f"The disk that holds {path} does not answer as it should; it is tried again.", path=path
        )
    return None


def _of_postgres(error: BaseException | None, shown: str) -> TakingsError | None:
    """Sort Postgres's errors by what the reader can do; None for a mistake in our own SQL."""
    state: str = getattr(error, "sqlstate", None) or ""
    text = str(error).lower()
    if state in ("28P01", "28000") or "authentication failed" in text or "no password supplied" in text:
        return Misconfigured(
            "store.password",
            f"The database {shown} refuses the user or the password: correct them in TAKINGS_STORE_URL.",
            address=shown,
        )
    if state == "3D000" or ("database" in text and "does not exist" in text and not state):
        return Misconfigured(
            "store.no_database",
            f"There is no database at {shown}: create it, or correct TAKINGS_STORE_URL.",
            address=shown,
        )
    if state == "42501":
        return Misconfigured(
            "store.privilege",
            f"The user of {shown} may not create or write tables there: give it that right.",
            address=shown,
        )
    if state == "53100":
        return _full(shown)
    if state in ("55P03", "40001", "40P01"):
        return _locked()
    if (state[:2] in ("08", "53", "57")) or (
        not state and type(error).__name__ in ("OperationalError", "InterfaceError")
    ):
        return Unavailable(
            "store.unreachable",
            f"The database {shown} cannot be reached: check that it runs and that the address is right; "
            "it is tried again.",
            address=shown,
        )
    return None


def _locked() -> Unavailable:
    return Unavailable("store.locked", "The product's database stayed locked by another process; it is tried again.")


def _full(path: str) -> Unavailable:
    return Unavailable(
        "store.full",
        f"The disk that holds {path} is full: make room. Nothing is lost; work goes on by itself afterwards.",
        path=path,
    )


def _address(address: str) -> URL:
    """Read the database's address and choose its driver."""
    wanted = "Set TAKINGS_STORE_URL to sqlite:////path/to/takings.db or postgresql://user:password@host/database."
    try:
        url = make_url(address)
    except sa.exc.ArgumentError as error:
        raise Misconfigured(
            "store.address", f"The address of the product's database cannot be used. {wanted}"
        ) from error
    driver = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}.get(
        url.drivername.partition("+")[0]
    )
    if driver is None or (driver == "sqlite" and url.database in (None, "", ":memory:")):
        raise Misconfigured("store.address", f"The address of the product's database cannot be used. {wanted}")
    return url.set(drivername=driver)


def sqlite_file(address: str) -> Path | None:
    """Return the file of the product's database, None for a database on a server.

    Raises:
        Misconfigured: The address cannot be used.
    """
    url = _address(address)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def _prepare_file(url: URL) -> None:
    """Make the folder (mode 700) and an empty file (mode 600); SQLite gives its companions the same mode."""
    path = Path(url.database or "")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Misconfigured(
            "store.cannot_open",
            f"The database {path} cannot be opened: check that its folder exists and that this user may write there.",
            path=str(path),
        ) from error


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=_POOL,
            max_overflow=_POOL_MOST - _POOL,
            connect_args={"isolation_level": None, "timeout": _SQLITE_BUSY_MS / 1000, "check_same_thread": False},
        )
        sa.event.listen(engine, "connect", _set_up_sqlite)
        return engine
    try:
        return sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=_POOL,
            max_overflow=_POOL_MOST - _POOL,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )
    except ImportError as error:
        raise Misconfigured(
            "store.driver", "Postgres needs the driver psycopg: install takings[postgres] in place of takings."
        ) from error


def _set_up_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    raw.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a commit survives kill -9; see Store.write(durable=True)


def _sqlite_connection(connection: sa.Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.dbapi_connection)


def _begin_immediate(raw: sqlite3.Connection) -> None:
    _patiently(lambda: raw.execute("BEGIN IMMEDIATE"))


def _patiently(act: Callable[[], object]) -> None:
    """Do something again while SQLite says that the file is locked, for :data:`BUSY_S` seconds at most."""
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            act()
            return
        except sqlite3.OperationalError as error:
            name = getattr(error, "sqlite_errorname", None) or ""
            if not name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
