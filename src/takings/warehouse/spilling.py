"""Where an engine puts what does not fit into memory: a folder of its own, since two engines in one overwrite each other's files."""

from __future__ import annotations

import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

#: A lock is younger than this while whoever made it has not taken it yet.
_FRESH_S: Final = 60.0
#: Files of engines that had one folder together, as they did once.
_SHARED: Final = "duckdb_temp_*"
_SHARED_S: Final = 86_400.0


class Spill:
    """A folder for one engine's temporary files, there until it is closed.

    DuckDB gives these files the same names in every process. Where two engines have one folder, each reads what the other has
    written over: questions fail, or are answered wrong. What engines left that were killed is deleted by the next one.

    Args:
        parent: Where all of a warehouse's lie; made when missing.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        name = secrets.token_hex(8)
        self._file = parent / f"{name}.lock"
        self._lock = FileLock(self._file, thread_local=False)
        self._lock.acquire()
        self.folder = parent / name
        self.folder.mkdir()

    def close(self) -> None:
        """Delete it; the engine is closed before. More than once does no harm."""
        _forget(self.folder, self._file)
        self._lock.release()


def _sweep(parent: Path) -> None:
    now = time.time()
    for file in parent.glob("*.lock"):
        with suppress(OSError):  # another one sweeps, too
            if now - file.stat().st_mtime < _FRESH_S:
                continue
            lock = FileLock(file, thread_local=False)
            with suppress(Timeout), lock.acquire(timeout=0):
                _forget(parent / file.stem, file)
    for file in parent.glob(_SHARED):
        with suppress(OSError):
            if now - file.stat().st_mtime > _SHARED_S:
                file.unlink()


def _forget(folder: Path, file: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        file.unlink()
