"""Copies files of the warehouse: run as a program of its own, ``python copying.py sqlite|plain FROM TO``.

A process that holds a database open must not open its file a second time by other means: closing that would release the locks
of the first (POSIX). So copies are made by a child, which knows the standard library only.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

_FULL = 28


def copy_apart(kind: str, source: Path, target: Path) -> bool:
    """Copy a database in a child process, to a file of mode 600.

    Args:
        kind: ``sqlite`` for a SQLite database in use, as committed; ``plain`` for a file that nobody writes to.
        source: From where.
        target: To where; replaced when it exists.

    Returns:
        False when the disk is full.

    Raises:
        OSError: It could not be copied for another reason.
    """
    done = subprocess.run(  # noqa: S603 - our own file and paths
        [sys.executable, "-I", __file__, kind, str(source), str(target)], capture_output=True, text=True
    )
    if done.returncode in (0, _FULL):
        return done.returncode == 0
    raise OSError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}")


def _copy(kind: str, source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if kind == "plain":
        shutil.copyfile(source, target)
        return
    address = f"{source.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=60)) as come, closing(sqlite3.connect(target)) as go:
        come.backup(go)
        # One file, whatever the original's way of writing: nothing beside it is left behind.
        go.execute("PRAGMA journal_mode = DELETE")


if __name__ == "__main__":
    try:
        _copy(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    except OSError as error:
        if error.errno in (28, 122, 27):  # no space, quota, too large
            sys.exit(_FULL)
        raise
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            sys.exit(_FULL)
        raise
