"""Puts a backup back: read and proven whole beside what is there, and only then in its place."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import pyarrow as pa

from takings.archive import manifest
from takings.archive.manifest import Entry, Manifest
from takings.errors import Misconfigured, Unavailable
from takings.store.migrate import known_revisions
from takings.warehouse.building import Form, check

_CHUNK: Final = 2**20
_MOST_MANIFEST: Final = 2**30


def restore(
    source: Path,
    home: Path,
    *,
    now: datetime,
    stripe: str,
    replace: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> tuple[Manifest, Path | None]:
    """Make a data folder from a backup. Nothing in it is touched before every file of the backup is proven whole.

    Args:
        source: A file or folder that :func:`takings.archive.back_up` made.
        home: The data folder; nobody uses it meanwhile.
        now: The present moment, aware.
        stripe: Release of Stripe's library that this program's catalogue comes from.
        replace: What is in the data folder is moved to a folder in it, ``before-…``; False refuses it when anything is.
        on_bytes: Told how many bytes were read, again and again.

    Returns:
        What the backup holds, and where the former content went, None where there was none.

    Raises:
        Misconfigured: The data folder is not empty, the source is no whole backup, or a newer version made it.
        Unavailable: The disk is full or does not answer; the data folder is as it was.
    """
    if home.exists():
        for left in home.glob(".restoring-*"):
            shutil.rmtree(left)
    if home.exists() and any(home.iterdir()) and not replace:
        raise Misconfigured(
            "archive.not_empty",
            f"The data folder {home} is not empty: choose another with --home, or --replace, which moves aside what is there.",
            path=str(home),
        )
    made_home = not home.exists()
    beside = home / f".restoring-{secrets.token_hex(4)}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.mkdir(mode=0o700)
        try:
            found = _proven(source, beside, on_bytes or (lambda _: None))
            _fits(found, stripe)
            return found, _exchange(home, beside, now)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if made_home and not any(home.iterdir()):
                home.rmdir()
    except OSError as error:
        cause = error.strerror or str(error)
        raise Unavailable(
            "archive.unrestored",
            f"The backup could not be put back ({cause}): see to room and permissions in {home}.",
            path=str(home),
            cause=cause,
        ) from error


def _fits(found: Manifest, stripe: str) -> None:
    """See that this program is not too old for the backup."""
    if found.store_schema is not None and found.store_schema not in known_revisions():
        raise manifest.newer()
    check(Form(found.warehouse_format, found.stripe), stripe)


def _exchange(home: Path, beside: Path, now: datetime) -> Path | None:
    """Move what is in the data folder aside and the new content in: within the folder, which may be a mounted one."""
    former = [entry for entry in home.iterdir() if entry != beside and not entry.name.startswith("before-")]
    aside = None
    if former:
        aside = home / f"before-{now:%Y%m%dT%H%M%SZ}"
        aside.mkdir(mode=0o700)
        for entry in former:
            entry.rename(aside / entry.name)
    for entry in beside.iterdir():
        entry.rename(home / entry.name)
    return aside


def _proven(source: Path, into: Path, on_bytes: Callable[[int], None]) -> Manifest:
    """Copy a backup's files and see that they are exactly what its manifest says."""
    copied: dict[str, Entry] = {}
    raw: bytes | None = None
    done = 0
    try:
        with _opened(source) as files:
            for name, file in files:
                if name == manifest.NAME:
                    raw = file.read(_MOST_MANIFEST)
                    continue
                _check_name(name)
                copied[name] = _copy(name, file, into)
                done += copied[name].size
                on_bytes(done)
    except (tarfile.TarError, pa.ArrowException, EOFError) as error:
        raise manifest.no_backup() from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise manifest.no_backup() from error  # the decompressor's way of saying that the end is missing
    if raw is None:
        raise manifest.no_backup()
    found = manifest.decoded(raw)
    if {entry.name: entry for entry in found.files} != copied:
        raise Misconfigured(
            "archive.damaged",
            "This backup is damaged: files in it are not what they were when it was made. Nothing was changed. Take another.",
        )
    return found


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0].startswith("."):
        raise manifest.no_backup()


def _copy(name: str, file: IO[bytes], into: Path) -> Entry:
    path = into / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        while raw := file.read(_CHUNK):
            digest.update(raw)
            size += len(raw)
            out.write(raw)
        out.flush()
        os.fsync(out.fileno())
    return Entry(name, size, digest.hexdigest())


@contextmanager
def _opened(source: Path) -> Iterator[Iterator[tuple[str, Any]]]:
    """Open a backup, whichever form it has, and go through its files."""
    if source.is_dir():
        yield _of_folder(source)
        return
    if not source.exists():
        raise Misconfigured("archive.missing", f"There is no backup at {source}.", path=str(source))
    with source.open("rb") as file:
        packed = file.read(4) == b"\x28\xb5\x2f\xfd"
        file.seek(0)
        if packed:
            with (
                pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd") as plain,
                tarfile.open(fileobj=plain, mode="r|") as tar,
            ):
                yield _of_tar(tar)
        else:
            with tarfile.open(fileobj=file, mode="r|") as tar:
                yield _of_tar(tar)


def _of_tar(tar: tarfile.TarFile) -> Iterator[tuple[str, Any]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise manifest.no_backup()
        yield member.name, content


def _of_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise manifest.no_backup()
        if path.is_file():
            with path.open("rb") as file:
                yield path.relative_to(folder).as_posix(), file
