"""Makes a backup while the product runs: first the product's own database, then the warehouse, which is never behind it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

import pyarrow as pa

from takings import __version__
from takings.archive import manifest
from takings.archive.manifest import Entry, Manifest
from takings.errors import Misconfigured, TakingsError, Unavailable
from takings.settings import Settings, settings_file
from takings.store.engine import sqlite_file
from takings.store.vault import key_file
from takings.warehouse.backup import copied

STORE: Final = "takings.db"
KEY: Final = "secret.key"
SETTINGS: Final = "settings.toml"
#: What else has to be there for the same product to start again.
_OTHERS: Final = ("sample.json",)
_CHUNK: Final = 2**20
_SECRET_SETTING = re.compile(r"^\s*\"?\w*(?:secret|token|password|key)\w*\"?\s*=", re.MULTILINE | re.IGNORECASE)


class Readable(Protocol):
    """What can be read from beginning to end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, none at the end."""


class Target(Protocol):
    """Where files of a backup go."""

    def add(self, name: str, size: int, source: Readable) -> None:
        """Take a file of ``size`` bytes."""


def back_up(
    settings: Settings,
    target: Path,
    *,
    now: datetime,
    with_key: bool = True,
    with_store: bool = True,
    environ: Mapping[str, str] | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Manifest:
    """Copy everything an installation holds to one file or folder, while it runs.

    What the copy of the product's database speaks of is in the copy of the warehouse, which is made after it; what came
    in between is read from Stripe again.

    Args:
        settings: Which installation.
        target: ``….tar`` or ``….tar.zst`` makes a file (mode 600); any other name a folder (mode 700). It appears when
            the backup is whole.
        now: The present moment, aware.
        with_key: False leaves out the key that opens stored credentials, and a settings file that holds secrets.
        with_store: False leaves out the product's own database, for one in Postgres, which has means of its own.
        environ: The environment, for the place of the settings file; default the process's own.
        on_bytes: Told how many bytes were copied, again and again.

    Returns:
        What it holds.

    Raises:
        Misconfigured: The target exists, or the product's database is in Postgres.
        Unavailable: The disk is full, another backup is being made, or the warehouse is busy; nothing is left behind.
    """
    store = sqlite_file(settings.store_address)
    if store is None and with_store:
        raise Misconfigured(
            "archive.postgres",
            "The product's own database is in Postgres: copy it with pg_dump first, "
            "and then the rest with `takings backup --without-store`.",
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Misconfigured("archive.exists", f"{target} exists already: choose another name.", path=str(target))
    entries: list[Entry] = []
    copied_bytes = 0

    def count(size: int) -> None:
        nonlocal copied_bytes
        copied_bytes += size
        if on_bytes is not None:
            on_bytes(copied_bytes)

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            scratch = Path(
                held.enter_context(tempfile.TemporaryDirectory(prefix=".takings-backup-", dir=target.parent))
            )
            into = held.enter_context(_opened(target))

            def add(name: str, source: Path) -> None:
                entries.append(_added(into, name, source, count))

            schema = None
            if store is not None and with_store and store.exists():
                schema = _copy_store(store, scratch / STORE)
                add(STORE, scratch / STORE)
                (scratch / STORE).unlink()
            key = with_key and not settings.secret_key and key_file(settings).exists()
            if key:
                add(KEY, key_file(settings))
            file = settings_file(settings.home, environ)
            kept = file.exists() and (with_key or not _SECRET_SETTING.search(file.read_text("utf-8")))
            if kept:
                add(SETTINGS, file)
            for name in _OTHERS:
                if (settings.home / name).exists():
                    add(name, settings.home / name)
            warehouse = held.enter_context(copied(settings, scratch))
            for name, source in warehouse.files:
                add(name, source)
            made = Manifest(
                format=manifest.FORMAT,
                made_at=now,
                takings=__version__,
                store="postgres" if store is None else "sqlite",
                store_schema=schema,
                warehouse=settings.warehouse,
                warehouse_format=warehouse.form.format,
                stripe=warehouse.form.stripe,
                key=key,
                settings=kept,
                files=tuple(entries),
            )
            raw = made.encoded()
            into.add(manifest.NAME, len(raw), io.BytesIO(raw))
    except sqlite3.Error as error:
        raise _unwritten(target, str(error)) from error
    except OSError as error:
        raise _unwritten(target, error.strerror or str(error)) from error
    return made


def _unwritten(target: Path, cause: str) -> TakingsError:
    return Unavailable(
        "archive.unwritten",
        f"The backup {target} could not be written ({cause}): see to room and permissions there. Nothing was kept of it.",
        path=str(target),
        cause=cause,
    )


def _copy_store(file: Path, to: Path) -> str | None:
    """Copy the product's database as committed; return the revision of its schema."""
    os.close(os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(file, timeout=60)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without companions
        try:
            row = copy.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None


def _added(into: Target, name: str, source: Path, count: Callable[[int], None]) -> Entry:
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        hashed = _Hashed(file, count)
        into.add(name, size, hashed)
    return Entry(name, size, hashed.hash.hexdigest())


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        self.hash = hashlib.sha256()
        self._file, self._count = file, count

    def read(self, size: int = -1, /) -> bytes:
        raw = self._file.read(size)
        self.hash.update(raw)
        self._count(len(raw))
        return raw


@contextmanager
def _opened(target: Path) -> Iterator[Target]:
    """Open what takes the files: it gets its name when all went well, and is deleted when something did not."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        if target.name.endswith((".tar", ".tar.zst")):
            handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                with _compressed(file, target) as out, tarfile.open(fileobj=out, mode="w|") as tar:
                    yield _Tar(tar)
                file.flush()
                os.fsync(file.fileno())
        else:
            part.mkdir(mode=0o700)
            yield _Folder(part)
            if target.exists():
                target.rmdir()
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
        raise


@contextmanager
def _compressed(file: IO[bytes], target: Path) -> Iterator[Any]:
    if target.name.endswith(".zst"):
        # It closes what it writes to: a second handle, so that the first can still be synced.
        second = os.fdopen(os.dup(file.fileno()), "wb")
        with second, pa.CompressedOutputStream(pa.PythonFile(second, mode="w"), "zstd") as out:
            yield out
    else:
        yield file


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, size: int, source: Readable) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, cast(IO[bytes], source))


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, size: int, source: Readable) -> None:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while raw := source.read(_CHUNK):
                file.write(raw)
            file.flush()
            os.fsync(file.fileno())
