"""What outlives a restart, where wanted: keys that were made and accesses that were given."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from takings.simulator.keys import Key, Keyring
from takings.simulator.oauth import Grant, OAuth


class _Kept(msgspec.Struct, kw_only=True):
    keys: list[Key]
    grants: list[Grant]


class Memory:
    """Keeps keys and grants in one JSON file, readable by its owner only.

    Args:
        file: Where; None keeps nothing.
        keys: The key ring, filled from the file at once.
        oauth: The accesses, filled from the file at once.
    """

    def __init__(self, file: Path | None, keys: Keyring, oauth: OAuth) -> None:
        self._file = file
        self._keys = keys
        self._oauth = oauth
        self._written = b""
        if file is not None and file.exists():
            kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
            for key in kept.keys:
                keys.add(key)
            oauth.restore(kept.grants)

    def keep(self) -> None:
        """Write what changed since the last time."""
        if self._file is None:
            return
        content = msgspec.json.encode(_Kept(keys=self._keys.all(), grants=self._oauth.grants))
        if content == self._written:
            return
        beside = self._file.with_name(self._file.name + ".new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
        beside.replace(self._file)
        self._written = content
