"""The hand-written overlay: what the SDK's source does not say, each entry asked for by name so that none grows stale."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Overlay:
    """What the SDK's source does not say, written by hand in ``overlay.toml``.

    Args:
        data: The parsed file. Each key that is used is noted, so that what nothing uses can be reported.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self._used: set[tuple[str, str]] = set()

    def section(self, section: str, key: str) -> Any:
        """Return an entry of a section; None when there is none."""
        if key in self.data.get(section, {}):
            self._used.add((section, key))
            return self.data[section][key]
        return None

    def match(self, section: str, name: str) -> Any:
        """Return the first entry of a section whose key, a shell pattern, a name matches; None when none does."""
        for key in self.data.get(section, {}):
            if fnmatch.fnmatchcase(name, key):
                return self.section(section, key)
        return None

    def keys(self, section: str) -> list[str]:
        """Return the keys of a section, in the order they are written."""
        return list(self.data.get(section, {}))

    def unused(self) -> list[str]:
        """Return the entries that nothing asked for: they speak of what Stripe no longer has."""
        return [
            f"{section}.{key}"
            for section, entries in self.data.items()
            for key in entries
            if (section, key) not in self._used
        ]


def read() -> Overlay:
    """Return the overlay that stands beside this file."""
    return Overlay(tomllib.loads(Path(__file__).with_name("overlay.toml").read_text(encoding="utf-8")))
