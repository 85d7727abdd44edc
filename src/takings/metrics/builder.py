"""Fills the tables of the models, and only those whose sources, text or settings have changed since the last time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from takings.clock import Clock
from takings.metrics.model import Model
from takings.metrics.registry import Registry
from takings.warehouse import Warehouse

BUILDS: Final = "metrics.builds"
"""The table that tells when each model was filled, and from what."""
_CREATE: Final = (
    f"CREATE TABLE IF NOT EXISTS {BUILDS} "
    "(model VARCHAR, print VARCHAR, rows BIGINT, milliseconds BIGINT, built_at TIMESTAMP WITH TIME ZONE)"
)


@dataclass(frozen=True, slots=True)
class Built:
    """What came of one model.

    Attributes:
        model: Its name.
        fresh: False where nothing it comes from had changed.
        rows: How many its table has.
        seconds: What filling it took; of the last time where it was left as it is.
    """

    model: str
    fresh: bool
    rows: int
    seconds: float


class Builder:
    """Runs the models in the order of need, each in a transaction of its own.

    Args:
        warehouse: Where Stripe's rows are and the tables of the models go, schema ``metrics``.
        registry: The models.
        clock: For how long it took and when it was.
    """

    def __init__(self, warehouse: Warehouse, registry: Registry, clock: Clock) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._clock = clock

    def build(self, zone: str, *, anew: bool = False) -> Iterator[Built]:
        """Bring every model up to date, giving each as it is done.

        Args:
            zone: IANA name of the reporting zone, for the days of business figures.
            anew: Fill also those whose sources have not changed.

        Raises:
            Unavailable: The disk is full, or the warehouse is busy: models built so far stay.
        """
        marks = self._warehouse.marks()
        before = self._before(BUILDS in marks)
        prints: dict[str, str] = {}
        values = {"zone": zone}
        for model in self._registry.ordered:
            used = {name: values[name] for name in sorted(model.parameters)}
            prints[model.table] = _print(model, used, {**marks, **prints})
            last = before.get(model.name)
            if not anew and last is not None and last[0] == prints[model.table] and model.table in marks:
                yield Built(model.name, False, last[1], last[2] / 1000)
            else:
                yield self._fill(model, used, prints[model.table])

    def _before(self, any_: bool) -> dict[str, tuple[Any, ...]]:
        """Return print, rows and milliseconds of each model's last filling."""
        if any_:
            rows = self._warehouse.query(f"SELECT b.model, b.print, b.rows, b.milliseconds FROM {BUILDS} AS b").rows
            return {row[0]: row[1:] for row in rows}
        with self._warehouse.deriving() as session:
            session.execute("CREATE SCHEMA IF NOT EXISTS metrics")
            session.execute(_CREATE)
        return {}

    def _fill(self, model: Model, used: dict[str, Any], print_: str) -> Built:
        began = self._clock.monotonic()
        with self._warehouse.deriving() as session:
            session.execute(f"DROP TABLE IF EXISTS {model.table}")
            session.execute(f"CREATE TABLE {model.table} AS {model.sql}", used)
            row = session.execute(f"SELECT count(*) FROM {model.table}").fetchone()
            rows = int(row[0]) if row else 0
            taken = round((self._clock.monotonic() - began) * 1000)
            session.execute(f"DELETE FROM {BUILDS} WHERE model = $1", [model.name])
            session.execute(
                f"INSERT INTO {BUILDS} VALUES ($1, $2, $3, $4, $5)",
                [model.name, print_, rows, taken, self._clock.now()],
            )
        return Built(model.name, True, rows, taken / 1000)


def _print(model: Model, used: dict[str, Any], marks: dict[str, str]) -> str:
    """Return what changes whenever the model's table would."""
    parts = [model.sql, repr(used), *(f"{need}={marks.get(need, '')}" for need in sorted(model.needs))]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
