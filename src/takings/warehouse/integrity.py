"""Does a typed row say what its own payload says: questions that find rows for which this does not hold, in SELECTs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from takings.warehouse.tables import Table, quote

_OWNER = "t._account = $account AND t._livemode = $livemode"


Span = tuple[int | None, int | None]
"""Rows made from one second on, and before another; None: no bound."""

ALL: Final[tuple[Span, ...]] = ((None, None),)
"""Every row, whenever it was made."""


def within(table: Table, spans: Sequence[Span]) -> str:
    """Return the condition, to follow others, that rows ``t`` were made in one of some ranges; empty where that is all rows."""
    moment = table.resource.created_field or ("created" if table.resource.created else None)
    if moment is None or (None, None) in spans:
        return ""
    column = f"t.{quote(moment)}"
    starts, ends = ([edge for edge in edges if edge is not None] for edges in zip(*spans, strict=True))
    # What bounds all ranges is said first: by that, files are passed over.
    widest = (
        min(starts) if len(starts) == len(spans) else None,
        max(ends) if len(ends) == len(spans) else None,
    )
    either = " OR ".join(_between(column, span) for span in spans)
    return "".join(f" AND {one}" for one in (_between(column, widest), f"({either})" if len(spans) > 1 else "") if one)


def _between(column: str, span: Span) -> str:
    start, end = span
    after = [] if start is None else [f"{column} >= to_timestamp({start:d})"]
    return " AND ".join(after + ([] if end is None else [f"{column} < to_timestamp({end:d})"]))


def _theirs(table: Table, span: str) -> str:
    return (
        "v.resource = $table AND v.account = $account AND v.livemode = $livemode AND (v.id, v.hash) IN "
        f"(SELECT (t.id, t._hash) FROM {table.name} AS t WHERE {_OWNER}{span})"
    )


def altered(table: Table, spans: Sequence[Span] = ALL) -> str:
    """Return the question for ids of typed rows that are not what the version they name says, or name none.

    Each version is typed anew as it was when it came; what is compared is a hash of all columns, so that memory stays
    small however wide the rows. Parameters: ``table``, ``account``, ``livemode``.

    Args:
        table: Which.
        spans: Only rows made in one of these ranges, of which there is at least one.
    """
    span = within(table, spans)
    incoming = (
        "SELECT v.id AS id, v.payload AS payload, v.parent AS parent, v.hash AS hash, v.account AS account, "
        "v.livemode AS livemode, v.as_of AS as_of, v.known_at AS known_at, "
        f"CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS gone_at FROM raw.versions AS v WHERE {_theirs(table, span)}"
    )
    columns = [quote(name) for name, _ in table.columns if not name.startswith("_")]
    mine = ", ".join(f"t.{name}" for name in columns)
    said = ", ".join(f"s.{name}" for name in columns)
    # Joined on values worked out before: a condition that computes with both sides is planned as a join on every column.
    return (
        f"SELECT m.id AS id FROM (SELECT t.id AS id, t._hash AS hash, hash({mine}) AS said FROM {table.name} AS t "
        f"WHERE {_OWNER}{span}) AS m ANTI JOIN (SELECT s.id AS id, s._hash AS hash, hash({said}) AS said "
        f"FROM ({table.typed(incoming)}) AS s) AS x ON x.id = m.id AND x.hash = m.hash AND x.said = m.said"
    )


def payloads(table: Table, spans: Sequence[Span] = ALL) -> str:
    """Return the question for id, hash and payload of each version that a typed row names. Arguments as of :func:`altered`."""
    span = within(table, spans)
    return (
        f"SELECT v.id AS id, v.hash AS hash, v.payload AS payload FROM raw.versions AS v WHERE {_theirs(table, span)}"
    )


def unsound(table: Table) -> str:
    """Return the question for ids of rows that do not stand as they should, each with what is wrong.

    ``altered``: see :func:`altered`; ``duplicate``: more than one typed row bears the id; ``missing``: there are versions
    of it and no typed row. Parameters: ``table``, ``account``, ``livemode``.
    """
    return (
        f"SELECT 'altered' AS kind, a.id AS id FROM ({altered(table)}) AS a UNION ALL "
        f"SELECT 'duplicate' AS kind, t.id AS id FROM {table.name} AS t WHERE {_OWNER} GROUP BY t.id HAVING count(*) > 1 "
        "UNION ALL SELECT DISTINCT 'missing' AS kind, v.id AS id FROM raw.versions AS v WHERE v.resource = $table "
        "AND v.account = $account AND v.livemode = $livemode "
        f"AND NOT EXISTS (SELECT 1 FROM {table.name} AS t WHERE {_OWNER} AND t.id = v.id)"
    )


#: Which tables an owner has versions of. Parameters: ``account``, ``livemode``.
HELD = "SELECT DISTINCT v.resource FROM raw.versions AS v WHERE v.account = $account AND v.livemode = $livemode"


def living(table: Table, *, ids: bool) -> str:
    """Return the question for id, parent and moment of rows that Stripe still has: of ``$ids``, or of parents ``$ids``."""
    column = "id" if ids else "_parent"
    return (
        f"SELECT t.id AS id, t._parent AS parent, t._version_at AS at FROM {table.name} AS t WHERE {_OWNER} "
        f"AND t._deleted_at IS NULL AND t.{column} IN (SELECT unnest($ids))"
    )


def lost(table: Table) -> str:
    """Return the question for ids of objects that came from Stripe and have no typed row, each with its newest payload."""
    return (
        "SELECT v.id AS id, arg_max(v.payload, v.as_of) AS payload FROM raw.versions AS v WHERE v.resource = $table "
        "AND v.account = $account AND v.livemode = $livemode "
        f"AND NOT EXISTS (SELECT 1 FROM {table.name} AS t WHERE {_OWNER} AND t.id = v.id) GROUP BY v.id"
    )


def fingerprint(table: Table, spans: Sequence[Span] = ALL) -> str:
    """Return the question for count and two sums of hashes that change with any value of any row. Arguments as of :func:`altered`."""
    mine = ", ".join(f"t.{quote(name)}" for name, _ in table.columns)
    return (
        f"SELECT count(*) AS n, bit_xor(hash({mine})) AS x, CAST(sum(hash({mine})) AS VARCHAR) AS s "
        f"FROM {table.name} AS t WHERE {_OWNER}{within(table, spans)}"
    )


def doubled(table: Table, spans: Sequence[Span] = ALL) -> str:
    """Return the question for ids that more than one typed row bears. Arguments as of :func:`altered`."""
    return (
        f"SELECT t.id AS id FROM {table.name} AS t WHERE {_OWNER}{within(table, spans)} "
        "GROUP BY t.id HAVING count(*) > 1"
    )


def beside(table: Table) -> str:
    """Return the question for the rows ``$ids`` of a table, each with the newest payload that came of it, last."""
    own = ", ".join(f"t.{quote(name)}" for name, _ in table.columns if not name.startswith("_"))
    return (
        f"SELECT {own}, (SELECT arg_max(v.payload, v.as_of) FROM raw.versions AS v WHERE v.resource = $table "
        "AND v.account = $account AND v.livemode = $livemode AND v.id = t.id) AS _payload "
        f"FROM {table.name} AS t WHERE {_OWNER} AND t.id IN (SELECT unnest($ids))"
    )
