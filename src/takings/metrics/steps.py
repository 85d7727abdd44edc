"""Makes the table of a model: of its SQL's answer, or of what a step in Python makes of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa

from takings.metrics import pricing
from takings.metrics.model import Model
from takings.metrics.storing import Files, Memory
from takings.warehouse import Session

#: Steps by the name that headers give them: each turns one table into another.
STEPS: Final[dict[str, Callable[[pa.Table], pa.Table]]] = {"pricing": pricing.answers}


def fill(session: Session, store: Memory | Files, model: Model, name: str, sql: str, values: Mapping[str, Any]) -> None:
    """Make the table of a model.

    Args:
        session: Who asks.
        store: Where the table goes.
        model: Which.
        name: The table's.
        sql: The model's statement, with the names of the tables that it reads here.
        values: Of its parameters.
    """
    if not model.through:
        store.make(name, sql, values)
        return
    made = STEPS[model.through](session.execute(sql, dict(values)).to_arrow_table())
    session.register("made", made)
    store.make(name, "SELECT * FROM made")
    session.unregister("made")
