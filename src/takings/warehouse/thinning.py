"""Lets go of states that lie between an object's first and its last."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import pyarrow as pa

from takings.warehouse.engine import Engine, mapped

_AT_ONCE: Final = 20_000

_RESOURCES = """
SELECT v.resource FROM raw.versions AS v
GROUP BY v.resource HAVING count(*) > 2 AND min(v.as_of) < $older_than ORDER BY v.resource
"""

# Kept are an object's first state, its newest, and the newest that holds more than the news of its end.
_BETWEEN = """
SELECT v.rowid
FROM raw.versions AS v
JOIN (
    SELECT w.account, w.livemode, w.id,
        arg_min(w.rowid, (w.as_of, w.hash)) AS first,
        arg_max(w.rowid, (w.as_of, w.deleted, w.hash)) AS newest,
        arg_max(w.rowid, (w.as_of, w.hash)) FILTER (NOT w.deleted) AS whole
    FROM raw.versions AS w WHERE w.resource = $resource
    GROUP BY w.account, w.livemode, w.id HAVING count(*) > 2
) AS k ON k.account = v.account AND k.livemode = v.livemode AND k.id = v.id
WHERE v.resource = $resource AND v.as_of < $older_than
    AND v.rowid <> k.first AND v.rowid <> k.newest AND v.rowid IS DISTINCT FROM k.whole
"""


def thin(engine: Engine, older_than: datetime) -> int:
    """Remove the states between an object's first and its newest for which Stripe stood before a moment.

    Args:
        engine: Whose; the caller holds :meth:`Engine.keeping`.
        older_than: The moment, aware.

    Returns:
        How many states were removed.

    Raises:
        Unavailable: The disk is full, or others hold the warehouse; what was removed until then is removed.
    """
    removed = 0
    with engine.undisturbed():
        with engine.session(write=False) as session, mapped():
            resources = [row[0] for row in session.execute(_RESOURCES, {"older_than": older_than}).fetchall()]
        for resource in resources:
            with engine.session(write=False) as session, mapped():
                between = session.execute(_BETWEEN, {"resource": resource, "older_than": older_than}).to_arrow_table()
            for start in range(0, between.num_rows, _AT_ONCE):
                piece: pa.Table = between.slice(start, _AT_ONCE)
                with engine.session(write=True) as session, mapped():
                    session.register("between", piece)
                    session.execute("BEGIN TRANSACTION")
                    session.execute("DELETE FROM raw.versions WHERE rowid IN (SELECT rowid FROM between)")
                    if engine.counted:
                        session.execute("UPDATE raw.revision SET n = n + 1")
                    session.execute("COMMIT")
                removed += piece.num_rows
    return removed
