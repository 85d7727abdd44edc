"""What outlives a restart, where wanted: keys that were made, accesses that were given, and when the world is."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from takings.simulator.keys import Key, Keyring
from takings.simulator.oauth import Grant, OAuth


class _Kept(msgspec.Struct, kw_only=True):
    end: datetime
    keys: list[Key]
    grants: list[Grant]


class Memory:
    """Keeps keys, grants and the world's present in one JSON file, readable by its owner only.

    Args:
        file: Where; None keeps nothing.
        end: The world's present; None takes the file's, and at the first start ``now``.
        now: The present.

    Attributes:
        end: The world's present: the same at each start, so that the data is.
    """

    def __init__(self, file: Path | None, end: datetime | None, now: datetime) -> None:
        self._file = file
        self._written = b""
        self._kept: _Kept | None = None
        if file is not None and file.exists():
            self._kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
        self.end = end or (now.replace(microsecond=0) if self._kept is None else self._kept.end)

    def recall(self, keys: Keyring, oauth: OAuth) -> None:
        """Give back what was kept."""
        if self._kept is not None:
            for key in self._kept.keys:
                keys.add(key)
            oauth.restore(self._kept.grants)

    def keep(self, keys: Keyring, oauth: OAuth) -> None:
        """Write what changed since the last time."""
        if self._file is None:
            return
        content = msgspec.json.encode(_Kept(end=self.end, keys=keys.all(), grants=oauth.grants))
        if content == self._written:
            return
        beside = self._file.with_name(self._file.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
        beside.replace(self._file)
        self._written = content
