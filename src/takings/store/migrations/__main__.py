"""Writes the next migration: ``python -m takings.store.migrations "what changed"``."""

from __future__ import annotations

import sys

from takings.store.migrate import write_revision

print(write_revision(sys.argv[1]))
