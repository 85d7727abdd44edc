"""The warehouse as the rest of the program sees it: open it, write to it, ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa

from takings.catalog.model import Catalog
from takings.errors import NotFound
from takings.settings import Settings
from takings.warehouse import building, guard, rebuild, sigma, thinning
from takings.warehouse.engine import DERIVED, Engine, File, Lake, Session, asked, mapped
from takings.warehouse.model import EVERYBODY, Among, Column, Rows, Scope, TableInfo
from takings.warehouse.tables import all_tables
from takings.warehouse.writer import Writer

#: How long a state of the tables that is no longer the present one stays within reach.
KEEP: Final = timedelta(days=1)

Parameters = Sequence[Any] | Mapping[str, Any] | None


class Warehouse:
    """Raw versions and typed tables, and SQL over them. Safe to share between threads.

    Args:
        engine: What keeps the tables.
        catalog: What tables there are.
        deriving_mb: Memory the engine may take while :meth:`deriving` lasts.
    """

    def __init__(self, engine: Engine, catalog: Catalog, deriving_mb: int = 2048) -> None:
        self._engine, self._deriving_mb = engine, deriving_mb
        self._tables = all_tables(catalog)
        with self._engine.building():
            building.build(self._engine, self._tables, catalog.sdk_version)

    @classmethod
    def open(cls, settings: Settings, catalog: Catalog) -> Self:
        """Open the warehouse of an installation, made or brought up to the catalogue's columns when needed.

        Raises:
            Misconfigured: The data folder cannot be used, or a newer version of the program made the warehouse.
            Unavailable: The disk is full, or another process holds on to the warehouse.
        """
        kind = Lake if settings.warehouse == "ducklake" else File
        engine = kind(settings.home / "warehouse", settings.warehouse_memory_mb)
        return cls(engine, catalog, settings.metrics_memory_mb)

    def close(self) -> None:
        """Let go of files and memory."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def writer(self) -> Writer:
        """Return what writes deliveries here."""
        return Writer(self._engine, self._tables)

    def snapshot(self) -> int:
        """Return a number that changes with every commit: whoever caches answers keys them by it."""
        return self._engine.snapshot()

    def tidy(self) -> int:
        """Merge files where many small ones have come together, and nothing else: cheap where they have not.

        Returns:
            How many transactions it took, each short: 0 when there was nothing to do.

        Raises:
            Unavailable: Another process does it already, or the disk is full.
        """
        with self._engine.keeping(0):
            return self._engine.tidy(thorough=False)

    def maintain(self, keep: timedelta = KEEP) -> None:
        """Merge small files and drop unreachable ones, wherever there is anything. Safe while others read and write.

        Args:
            keep: How long a state of the tables that is no longer the present one stays within reach.

        Raises:
            Unavailable: Another process does it already, or the disk is full.
        """
        with self._engine.keeping():
            self._engine.tidy(thorough=True)
            self._engine.clean(keep)

    def rebuild(self, table: str, on_rows: Callable[[int], None] | None = None) -> int:
        """Make one typed table anew from the versions, for every owner, while others read and write.

        Args:
            table: Its name in schema ``stripe``.
            on_rows: Told how many rows are ready, again and again.

        Returns:
            How many rows it has now.

        Raises:
            NotFound: There is no such table.
            Unavailable: Another process tidies up or rebuilds, the disk is full, or the warehouse is busy: the table is
                as it was.
        """
        if table not in self._tables:
            raise NotFound("warehouse.no_table", f"There is no table called “{table}”.", name=table)
        with self._engine.keeping():
            return rebuild.rebuild(self._engine, self._tables[table], on_rows)

    def unfilled(self) -> list[str]:
        """Return the tables whose columns were changed by an upgrade, and whose rows :meth:`rebuild` has yet to fill."""
        return building.unfilled(self._engine, self._tables)

    def thin(self, older_than: datetime) -> int:
        """Remove states between an object's first and its newest for which Stripe stood before ``older_than``.

        Returns:
            How many were removed.

        Raises:
            Unavailable: Another process tidies up or rebuilds, the disk is full, or the warehouse is busy.
        """
        with self._engine.keeping():
            return thinning.thin(self._engine, older_than)

    def tables(self) -> list[TableInfo]:
        """Return every typed table with its columns, by name."""
        return [
            TableInfo("stripe", name, tuple(Column(*column) for column in table.columns))
            for name, table in sorted(self._tables.items())
        ]

    def query(
        self,
        sql: str,
        params: Parameters = None,
        *,
        limit: int | None = None,
        timeout_s: float | None = None,
        among: Among = EVERYBODY,
    ) -> Rows:
        """Answer one SELECT.

        Args:
            sql: The statement. ``$name`` or ``?`` take values from ``params``.
            params: Values, by name or by position.
            limit: Most rows returned; more are cut, and the answer says so. None: all.
            timeout_s: Seconds after which it is given up. None: never.
            among: Whose rows the tables of schema ``sigma`` show.

        Raises:
            Invalid: The SQL is wrong, or does more than select from the warehouse.
            Unavailable: It took longer than ``timeout_s``, or the warehouse is busy.
        """
        with self._asked(sql, params, timeout_s, among) as session:
            columns = _columns(session)
            rows = session.fetchall() if limit is None else session.fetchmany(limit + 1)
        truncated = limit is not None and len(rows) > limit
        return Rows(columns, rows[:limit] if truncated else rows, truncated)

    @contextmanager
    def stream(
        self,
        sql: str,
        params: Parameters = None,
        *,
        batch: int = 5000,
        timeout_s: float | None = None,
        among: Among = EVERYBODY,
    ) -> Iterator[tuple[tuple[Column, ...], Iterator[list[tuple[Any, ...]]]]]:
        """Answer one SELECT of any size piece by piece: gives its columns and an iterator over batches of rows.

        Raises:
            Invalid: See :meth:`query`.
        """
        with self._asked(sql, params, timeout_s, among) as session:

            def batches() -> Iterator[list[tuple[Any, ...]]]:
                with asked(sql):
                    while rows := session.fetchmany(batch):
                        yield rows

            yield _columns(session), batches()

    def arrow(
        self, sql: str, params: Parameters = None, *, timeout_s: float | None = None, among: Among = EVERYBODY
    ) -> pa.Table:
        """Answer one SELECT as an Arrow table.

        Raises:
            Invalid: See :meth:`query`.
        """
        with self._asked(sql, params, timeout_s, among) as session:
            return session.to_arrow_table()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Lend a session for many of the program's own questions, all about one state of the warehouse.

        Raises:
            Unavailable: The warehouse is in trouble.
        """
        with self._engine.session(write=False) as session, mapped():
            session.execute("BEGIN TRANSACTION")
            try:
                yield session
            finally:
                session.execute("ROLLBACK")

    @contextmanager
    def deriving(self) -> Iterator[Session]:
        """Lend a session that works out what is derived from Stripe's tables, in temporary tables of its own.

        One process at a time has it. It keeps no writer waiting: what it has worked out it writes by :meth:`publishing`.

        Raises:
            Unavailable: Another process has had it for more than ten minutes, or the disk is full.
        """
        with (
            self._engine.deriving(),
            self._engine.session(write=False) as session,
            mapped(),
            self._engine.roomy(session, self._deriving_mb),
        ):
            yield session

    @contextmanager
    def publishing(self, session: Session) -> Iterator[None]:
        """Let a session that :meth:`deriving` lent make and fill tables of schema ``metrics``, in one transaction.

        An engine that counts its writes counts these apart: they say nothing that Stripe's tables do not.

        Raises:
            Unavailable: The disk is full, or others are writing for more than a minute.
        """
        with self._engine.turn(), mapped():
            session.execute("BEGIN TRANSACTION")
            try:
                yield
                if self._engine.counted:
                    session.execute(f"CREATE TABLE IF NOT EXISTS {DERIVED} AS SELECT 0 AS n")
                    session.execute(f"UPDATE {DERIVED} SET n = n + 1")
                session.execute("COMMIT")
            except BaseException:
                session.execute("ROLLBACK")
                raise

    @property
    def temporary(self) -> Path:
        """Folder for files that nobody needs once the warehouse is closed; SQL may read and write there."""
        return self._engine.temporary

    def state(self, session: Session) -> int | None:
        """Return the state that a session stands at: rows written later have a higher ``snapshot_id``.

        None where rows do not tell when they were written.
        """
        return self._engine.mark(session) if self._engine.dated else None

    def bare(self, session: Session) -> frozenset[str]:
        """Return the qualified names of tables that have no row at a session's moment and are dear to read all the same.

        Who reads an empty copy in place of such a one gets the same answers.
        """
        return self._engine.bare(session)

    def renewed(self, session: Session, since: int) -> frozenset[str]:
        """Return the qualified names of tables that were made anew after a :meth:`state`: their rows may be older than that."""
        return self._engine.renewed(session, since)

    def marks(self) -> dict[str, str]:
        """Return, by qualified name of every table, a text that changes whenever its rows do."""
        with self._engine.session(write=False) as session, mapped():
            return self._engine.marks(session)

    def empty(self) -> frozenset[str]:
        """Return typed tables that certainly have no row at this moment, where it is cheaper to know than to ask."""
        with self._engine.session(write=False) as session, mapped():
            return self._engine.empty(session)

    def count(self, scope: Scope, tables: Sequence[str] | None = None) -> dict[str, int]:
        """Count the rows of one owner that Stripe still has, by table.

        Args:
            scope: Whose rows.
            tables: Which tables; default all.
        """
        names = sorted(self._tables) if tables is None else list(tables)
        found: dict[str, int] = {}
        with self._engine.session(write=False) as session, mapped():
            empty = self._engine.empty(session) if names else frozenset()
            for name in names:
                if name in empty:
                    found[name] = 0
                    continue
                row = session.execute(
                    f"SELECT count(*) FROM {self._tables[name].name} "
                    "WHERE _account = $1 AND _livemode = $2 AND _deleted_at IS NULL",
                    [scope.account, scope.livemode],
                ).fetchone()
                found[name] = int(row[0]) if row else 0
        return found

    def purge(self, scope: Scope) -> None:
        """Remove every row and version of one owner, from the tables and from the disk.

        Raises:
            Unavailable: The warehouse is busy or the disk is full; try again.
        """
        owner = [scope.account, scope.livemode]
        # Whoever makes a table anew, or derives one, has the owner's rows in hand: they would come back.
        with self._engine.keeping(), self._engine.deriving(), self._engine.session(write=True) as session, mapped():
            session.execute("BEGIN TRANSACTION")
            try:
                empty = self._engine.empty(session)
                for name, table in self._tables.items():
                    session.execute(f"DROP TABLE IF EXISTS {rebuild.beside(table)}")
                    if name in empty:
                        continue
                    session.execute(f"DELETE FROM {table.name} WHERE _account = $1 AND _livemode = $2", owner)
                session.execute("DELETE FROM raw.versions WHERE account = $1 AND livemode = $2", owner)
                session.execute(
                    "DROP SCHEMA IF EXISTS metrics CASCADE"
                )  # what is derived is built anew from what stays
                if self._engine.counted:
                    session.execute("UPDATE raw.revision SET n = n + 1")
                session.execute("COMMIT")
            except BaseException:
                session.execute("ROLLBACK")
                raise
        self._engine.scrub()

    @contextmanager
    def _asked(self, sql: str, params: Parameters, timeout_s: float | None, among: Among) -> Iterator[Session]:
        views = sigma.needed(guard.check(sql))
        with self._engine.session(write=False) as session:
            if views:
                self._show(session, views, among)
            timer = None
            if timeout_s is not None:
                timer = threading.Timer(timeout_s, session.interrupt)
                timer.daemon = True
                timer.start()
            try:
                with asked(sql):
                    session.execute(sql, params)
                    yield session
            finally:
                if timer is not None:
                    timer.cancel()
                    timer.join()  # else it might still interrupt whoever gets this session next

    def _show(self, session: Session, views: Mapping[str, str], among: Among) -> None:
        with mapped():
            self._engine.show(session, views)
            session.execute("SET VARIABLE sigma_livemode = $1", [among.livemode])
            accounts = None if among.accounts is None else list(among.accounts)
            session.execute("SET VARIABLE sigma_accounts = CAST($1 AS VARCHAR[])", [accounts])


def _columns(session: Session) -> tuple[Column, ...]:
    return tuple(Column(item[0], str(item[1])) for item in session.description or ())
