"""The store on real databases: migrations, transactions, many processes, sudden death, and what is said when it fails."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from takings.clock import SystemClock
from takings.errors import Misconfigured, TakingsError, Unavailable
from takings.settings import Settings
from takings.store import RequestCounter, SharedLimiter, Store, engine, migrate, requests, schema
from takings.stripe import Request

BUCKETS = schema.rate_buckets


def made(home: Path, url: str | None = None) -> Settings:
    return Settings(home=home, store_url=url)


def put(store: Store, bucket: str, moment: int = 0) -> None:
    with store.write() as connection:
        connection.execute(sa.insert(BUCKETS).values(bucket=bucket, next_free_us=moment, rate_per_s=1.0, changed_us=0))


def buckets(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(sa.select(BUCKETS.c.bucket).order_by(BUCKETS.c.bucket)).scalars())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return made(tmp_path / "home")
    return made(tmp_path / "home", request.getfixturevalue("postgres_database"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings)
    yield opened
    opened.close()


def test_the_migrations_lead_exactly_to_the_schema(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": migrate.default_differs}
        )
        assert compare_metadata(context, schema.metadata) == []


def test_what_is_written_stays_and_what_fails_leaves_nothing(store: Store) -> None:
    put(store, "a")
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(sa.delete(BUCKETS))
        raise ZeroDivisionError
    with pytest.raises(sa.exc.IntegrityError):
        put(store, "a")
    with store.write(durable=True) as connection:
        connection.execute(sa.update(BUCKETS).values(bucket="b"))
    assert buckets(store) == ["b"]


def test_a_reader_cannot_write_and_sees_one_state(store: Store) -> None:
    put(store, "a")
    with pytest.raises(sa.exc.DBAPIError), store.read() as connection:
        connection.execute(sa.delete(BUCKETS))
    with store.read() as connection:
        before = connection.execute(sa.select(sa.func.count()).select_from(BUCKETS)).scalar_one()
        other = threading.Thread(target=put, args=(store, "b"))
        other.start()
        other.join()
        assert connection.execute(sa.select(sa.func.count()).select_from(BUCKETS)).scalar_one() == before == 1
    assert buckets(store) == ["a", "b"]


def test_a_write_inside_a_write_is_refused_at_once(store: Store) -> None:
    with store.write(), pytest.raises(RuntimeError), store.write():
        pass
    put(store, "after")


def test_foreign_keys_hold_and_cascade(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:
        connection.execute(
            sa.insert(schema.table_rows).values(connection_id="none", table_name="t", rows=1, updated_at=None)
        )


def test_the_limiter_and_the_counter_work_on_either_database(settings: Settings, store: Store) -> None:
    clock = SystemClock()
    limiters = [SharedLimiter(store, "acct_1", settings, True, clock) for _ in range(2)]
    counter = RequestCounter(store, "acct_1", True, clock)
    for i in range(20):
        limiters[i % 2].take(f"/v1/{i % 3}")
        limiters[i % 2].succeeded(f"/v1/{i % 3}")
        counter(Request(f"/v1/{i % 3}", 200, 1, 0.1, None))
        if i % 7 == 0:
            counter.flush()
    limiters[0].take("/v1/0")
    limiters[0].slowed("/v1/0", "global-rate")
    counter.flush()
    assert requests.used(store, "acct_1", True, 0) == 20
    with store.read() as connection:
        rates = dict(connection.execute(sa.select(BUCKETS.c.bucket, BUCKETS.c.rate_per_s)).all())
    assert rates == {"acct_1:live": 40.0, **{f"acct_1:live:/v1/{i}": 20.0 for i in range(3)}}


def test_many_threads_and_processes_count_without_losing_any(settings: Settings, store: Store) -> None:
    put(store, "a")
    script = f"""
import sqlalchemy as sa
from pathlib import Path
from takings.settings import Settings
from takings.store import Store, schema
store = Store.open(Settings(home=Path({str(settings.home)!r}), store_url={settings.store_url!r}))
b = schema.rate_buckets
for _ in range(40):
    with store.write() as c:
        n = c.execute(sa.select(b.c.next_free_us).with_for_update()).scalar_one()
        c.execute(sa.update(b).values(next_free_us=n + 1))
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]

    def count() -> None:
        for _ in range(40):
            with store.write() as connection:
                n = connection.execute(sa.select(BUCKETS.c.next_free_us).with_for_update()).scalar_one()
                connection.execute(sa.update(BUCKETS).values(next_free_us=n + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(120) for process in processes] == [0, 0]
    with store.read() as connection:
        assert connection.execute(sa.select(BUCKETS.c.next_free_us)).scalar_one() == 6 * 40


def test_several_processes_that_start_together_migrate_once(settings: Settings) -> None:
    script = f"""
from pathlib import Path
from takings.settings import Settings
from takings.store import Store
Store.open(Settings(home=Path({str(settings.home)!r}), store_url={settings.store_url!r})).close()
"""
    starting = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120)[0] for process in starting]
    assert [process.returncode for process in starting] == [0] * 4, said
    assert sum("store.migrated" in text for text in said) == 1


def test_a_commit_survives_kill_9(tmp_path: Path) -> None:
    script = f"""
import sqlalchemy as sa, sys, time
from pathlib import Path
from takings.settings import Settings
from takings.store import Store, schema
store = Store.open(Settings(home=Path({str(tmp_path)!r})))
i = 0
while True:
    with store.write() as c:
        c.execute(sa.insert(schema.rate_buckets).values(bucket=f"{{i:06d}}", next_free_us=i, rate_per_s=1.0, changed_us=0))
        c.execute(sa.insert(schema.rate_buckets).values(bucket=f"{{i:06d}}x", next_free_us=i, rate_per_s=1.0, changed_us=0))
    print(i, flush=True)
    i += 1
"""
    last = 0
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().isdigit():
                last = int(line)
            if last == 50:
                process.send_signal(signal.SIGKILL)
    store = Store.open(made(tmp_path))
    names = buckets(store)
    assert len(names) % 2 == 0
    assert len(names) >= 2 * (last + 1)
    assert names[: 2 * (last + 1)] == [f"{i:06d}{x}" for i in range(last + 1) for x in ("", "x")]
    store.close()


@pytest.fixture
def two_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Migrations with one more step than this program has."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for file in migrate._FOLDER.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            (folder / file.relative_to(migrate._FOLDER)).write_bytes(file.read_bytes())
    (folder / "versions" / "9999_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = '9999'\ndown_revision = {ScriptDirectory.from_config(migrate.config()).get_current_head()!r}\n"
        "def upgrade():\n"
        "    op.create_table('later', sa.Column('id', sa.Integer, primary_key=True))\n"
        "    if FAIL: raise ZeroDivisionError\n"
        "FAIL = False\n"
    )
    monkeypatch.setattr(migrate, "_FOLDER", folder)
    return folder


def test_an_existing_file_is_copied_before_it_is_migrated(
    tmp_path: Path, two_steps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    with monkeypatch.context() as before:
        before.setattr(migrate, "_FOLDER", Path(migrate.__file__).parent / "migrations")
        older = Store.open(made(home))
        put(older, "kept")
    newer = Store.open(made(home))
    (backup,) = home.glob("takings.db.*.backup")
    assert backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT bucket FROM rate_buckets").fetchall() == [("kept",)]
        assert copy.execute("SELECT name FROM sqlite_master WHERE name = 'later'").fetchall() == []
    with newer.read() as connection:
        assert sa.inspect(connection).has_table("later")
    assert buckets(newer) == ["kept"]
    Store.open(made(home)).close()
    assert len(list(home.glob("*.backup"))) == 1
    older.close()
    newer.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, two_steps: Path) -> None:
    home = tmp_path / "home"
    file = two_steps / "versions" / "9999_more.py"
    file.write_text(file.read_text().replace("FAIL = False", "FAIL = True"))
    with pytest.raises(ZeroDivisionError):
        Store.open(made(home))
    file.unlink()
    store = Store.open(made(home))
    with store.read() as connection:
        assert not sa.inspect(connection).has_table("later")
    store.close()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = Store.open(made(tmp_path))
    with store.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '7777'"))
    store.close()
    with pytest.raises(Misconfigured) as told:
        Store.open(made(tmp_path))
    assert (told.value.code, told.value.fields["revision"]) == ("store.newer", "7777")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "takings.db")) as other:
        other.execute("CREATE TABLE people (x)")
    with pytest.raises(Misconfigured) as told:
        Store.open(made(tmp_path))
    assert told.value.code == "store.foreign"


def test_going_back_is_not_possible(tmp_path: Path) -> None:
    store = Store.open(made(tmp_path))
    with store.engine.connect() as connection, pytest.raises(AttributeError):
        command.downgrade(migrate.config(connection), "base")
    store.close()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense", "store.address"),
        ("mysql://user:hunter2@localhost/db", "store.address"),
        ("sqlite://", "store.address"),
        ("sqlite:///:memory:", "store.address"),
        ("sqlite:////proc/nowhere/takings.db", "store.cannot_open"),
    ],
)
def test_a_wrong_address_is_a_matter_of_settings(tmp_path: Path, url: str, code: str) -> None:
    with pytest.raises(Misconfigured) as told:
        Store.open(made(tmp_path, url))
    assert told.value.code == code
    assert "hunter2" not in str(told.value)


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "takings.db").write_bytes(b"This is a letter, not a database. " * 100)
    with pytest.raises(Misconfigured) as told:
        Store.open(made(tmp_path))
    assert told.value.code == "store.damaged"


def test_a_server_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as told:
        Store.open(made(tmp_path, "postgresql://user:hunter2@127.0.0.1:9/takings"))
    assert told.value.code == "store.unreachable"
    assert "hunter2" not in f"{told.value}{told.value.fields}"


@pytest.mark.postgres
def test_a_postgres_without_that_database_is_a_matter_of_settings(tmp_path: Path, postgres: str) -> None:
    with pytest.raises(Misconfigured) as told:
        Store.open(
            made(tmp_path, sa.make_url(postgres).set(database="nothing_here").render_as_string(hide_password=False))
        )
    assert told.value.code == "store.no_database"


def test_a_full_disk_is_waited_for_and_nothing_is_lost(tmp_path: Path) -> None:
    store = Store.open(made(tmp_path))
    put(store, "a")

    def limit(raw: sqlite3.Connection, *_: object) -> None:
        raw.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size: not a page more

    sa.event.listen(store.engine, "checkout", limit)
    with pytest.raises(Unavailable) as told, store.write() as connection:
        for i in range(2000):
            connection.execute(
                sa.insert(BUCKETS).values(bucket=f"{i}" * 40, next_free_us=0, rate_per_s=1.0, changed_us=0)
            )
    assert told.value.code == "store.full"
    sa.event.remove(store.engine, "checkout", limit)
    assert buckets(store) == ["a"]
    store.close()


def test_a_lock_that_is_kept_is_waited_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_S", 0.2)
    monkeypatch.setattr(engine, "_SQLITE_BUSY_MS", 50)
    store = Store.open(made(tmp_path))
    with closing(sqlite3.connect(tmp_path / "takings.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as told:
            put(store, "a")
        assert told.value.code == "store.locked"
        other.execute("ROLLBACK")
    put(store, "a")
    store.close()


@pytest.mark.parametrize("home", ["made unwritable", "/proc/takings"])
def test_a_folder_that_may_not_be_written_is_told_of(tmp_path: Path, home: str) -> None:
    folder = Path(home) if home.startswith("/") else tmp_path / "home"
    if folder.is_relative_to(tmp_path):
        folder.mkdir(mode=0o500)
        if os.geteuid() == 0:  # root may write everywhere but into the kernel's own files
            folder = Path("/sys/takings")
    with pytest.raises(Misconfigured):
        Store.open(made(folder))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_READONLY_DBMOVED", "store.read_only"),
        ("SQLITE_IOERR_WRITE", "store.disk"),
        ("SQLITE_BUSY_SNAPSHOT", "store.locked"),
        ("SQLITE_PERM", "store.cannot_open"),
    ],
)
def test_what_sqlite_says_is_sorted(name: str, code: str) -> None:
    error = sqlite3.OperationalError("…")
    error.sqlite_errorname = name
    with pytest.raises(TakingsError) as told, engine.mapped(sa.make_url("sqlite:////x/takings.db")):
        raise error
    assert told.value.code == code


def test_passwords_and_values_are_not_in_errors(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError) as told, store.write() as connection:
        connection.execute(sa.text("INSERT INTO nothing VALUES (:x)"), {"x": "rk_live_51AbCdEf"})
    assert "51AbCdEf" not in str(told.value)


def test_the_home_and_the_file_are_the_owner_s_alone(tmp_path: Path) -> None:
    store = Store.open(made(tmp_path / "home"))
    put(store, "a")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "home").iterdir()} == {0o600}
    assert urlsplit(str(store.engine.url)).scheme == "sqlite"
    store.close()
