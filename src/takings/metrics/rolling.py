"""Sums of lines by day and one dimension at a time: what most questions come to, without reading every line.

They are kept of models with many lines to a day, where there are far fewer sums than lines, and as lines are: what comes is added and what goes is added with its sign turned, in the transaction that changes the
lines, so that both always say the same. All models' sums are in one table, since a lake pays for each table that is written.
"""

from __future__ import annotations

from typing import Final

from takings.metrics.model import Model
from takings.warehouse import Session

SUMS: Final = "metrics.sums"
KEYS: Final = ("model", "account", "livemode", "currency", "cut", "value", "day", "day_utc", "part")
"""What the sums are told apart by: ``cut`` is the name of a dimension and ``value`` its value; both empty for no dimension."""

FROM_LINES: Final = 200_000
"""Of fewer lines no sums are kept: to read them takes no longer."""
FEWER: Final = 4
"""How many times fewer the sums must be than the lines."""

_LEEWAY: Final = 1.25  # a guess is wrong by a few hundredths
_KEY: Final = "l.account, l.livemode, l.currency, l.day, l.day_utc, l.part"
_COLUMNS: Final = (
    "(model VARCHAR, account VARCHAR, livemode BOOLEAN, currency VARCHAR, cut VARCHAR, value VARCHAR, "
    "day DATE, day_utc DATE, part VARCHAR, amount BIGINT, lines BIGINT)"
)


def create(session: Session) -> None:
    """Make the table."""
    session.execute(f"CREATE TABLE {SUMS} {_COLUMNS}")


def kept(session: Session) -> frozenset[str]:
    """Return the models whose sums are kept."""
    return frozenset(model for (model,) in session.execute(f"SELECT DISTINCT model FROM {SUMS}").fetchall())


def summed(session: Session, model: Model, table: str, lines: int) -> str | None:
    """Sum up a model's lines; return the temporary table of the sums, which :func:`put` takes.

    Args:
        session: Whose table it is.
        model: Whose lines.
        table: Where they are.
        lines: How many there are.

    Returns:
        None where sums are not worth it.
    """
    if lines < FROM_LINES:
        return None
    rolled = f"rolled_{model.name}"
    session.execute(f"CREATE OR REPLACE TEMP TABLE {rolled} {_COLUMNS}")
    for cut in ("", *model.rolled):  # as soon as there are too many, the rest need not be known
        guess = f"SELECT approx_count_distinct(hash({_KEY}, l.{cut or 'part'})) FROM {table} AS l"
        if _one(session, guess) * FEWER <= lines * _LEEWAY:
            session.execute(f"INSERT INTO {rolled} {_summed(model, table, 1, cut)}")
            if _one(session, f"SELECT count(*) FROM {rolled}") * FEWER <= lines:
                continue
        session.execute(f"DROP TABLE {rolled}")
        return None
    return rolled


def put(session: Session, model: Model, rolled: str | None) -> None:
    """Keep sums of a model in place of those that there were.

    Args:
        session: In the transaction that changes the lines.
        model: Whose.
        rolled: What :func:`summed` has returned; the table is dropped.
    """
    session.execute(f"DELETE FROM {SUMS} WHERE model = $1", [model.name])
    if rolled is not None:
        session.execute(f"INSERT INTO {SUMS} SELECT * FROM {rolled} ORDER BY {', '.join(KEYS)}")
        session.execute(f"DROP TABLE {rolled}")


def add(session: Session, model: Model, come: str | None, gone: str | None) -> None:
    """Add what came and take off what went.

    Args:
        session: In the transaction that changes the lines.
        model: Whose.
        come: Table of the lines that came; None: none did.
        gone: Table of those that went; None: none did.
    """
    changes = [
        _summed(model, table, sign, cut)
        for table, sign in ((come, 1), (gone, -1))
        if table is not None
        for cut in ("", *model.rolled)
    ]
    if changes:
        session.execute(f"INSERT INTO {SUMS} {' UNION ALL '.join(changes)}")


def compact(session: Session) -> None:
    """Write the sums anew from themselves, one row a key; what came to nothing is dropped."""
    keys = ", ".join(KEYS)
    session.execute(
        f"CREATE TEMP TABLE rolled AS SELECT {keys}, CAST(SUM(amount) AS BIGINT) AS amount, CAST(SUM(lines) AS BIGINT) AS lines "
        f"FROM {SUMS} GROUP BY {keys} HAVING SUM(lines) <> 0 OR SUM(amount) <> 0"
    )
    session.execute(f"DELETE FROM {SUMS}")
    session.execute(f"INSERT INTO {SUMS} SELECT * FROM rolled ORDER BY {keys}")
    session.execute("DROP TABLE rolled")


def _summed(model: Model, table: str, sign: int, cut: str) -> str:
    """Return the sums of the lines in a table, by one dimension or (empty) without any."""
    value = f"CAST(l.{cut} AS VARCHAR)" if cut else "CAST(NULL AS VARCHAR)"
    return (
        f"SELECT '{model.name}' AS model, l.account AS account, l.livemode AS livemode, l.currency AS currency, "
        f"'{cut}' AS cut, {value} AS value, l.day AS day, l.day_utc AS day_utc, l.part AS part, "
        f"CAST({sign} * SUM(l.amount) AS BIGINT) AS amount, CAST({sign} * COUNT(*) AS BIGINT) AS lines "
        f"FROM {table} AS l GROUP BY ALL"
    )


def _one(session: Session, sql: str) -> int:
    row = session.execute(sql).fetchone()
    return int(row[0]) if row else 0
