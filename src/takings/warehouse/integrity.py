"""Does a typed row say what its own payload says: questions that find rows for which this does not hold, in SELECTs."""

from __future__ import annotations

from takings.warehouse.tables import Table, quote

_OWNER = "t._account = $account AND t._livemode = $livemode"


def within(table: Table, start: int | None, end: int | None) -> str:
    """Return the condition, to follow others, that rows ``t`` were made in a range of Unix seconds; empty for none."""
    moment = table.resource.created_field or ("created" if table.resource.created else None)
    if moment is None:
        return ""
    after = "" if start is None else f" AND t.{quote(moment)} >= to_timestamp({start:d})"
    return after + ("" if end is None else f" AND t.{quote(moment)} < to_timestamp({end:d})")


def _theirs(table: Table, span: str) -> str:
    return (
        "v.resource = $table AND v.account = $account AND v.livemode = $livemode AND (v.id, v.hash) IN "
        f"(SELECT (t.id, t._hash) FROM {table.name} AS t WHERE {_OWNER}{span})"
    )


def altered(table: Table, start: int | None = None, end: int | None = None) -> str:
    """Return the question for ids of typed rows that are not what the version they name says, or name none.

    Each version is typed anew as it was when it came; what is compared is a hash of all columns, so that memory stays
    small however wide the rows. Parameters: ``table``, ``account``, ``livemode``.

    Args:
        table: Which.
        start: Only rows made from this second on; None: no bound.
        end: Only rows made before this second; None: no bound.
    """
    span = within(table, start, end)
    incoming = (
        "SELECT v.id AS id, v.payload AS payload, v.parent AS parent, v.hash AS hash, v.account AS account, "
        "v.livemode AS livemode, v.as_of AS as_of, v.known_at AS known_at, "
        f"CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS gone_at FROM raw.versions AS v WHERE {_theirs(table, span)}"
    )
    columns = [quote(name) for name, _ in table.columns if not name.startswith("_")]
    mine = ", ".join(f"t.{name}" for name in columns)
    said = ", ".join(f"s.{name}" for name in columns)
    return (
        f"SELECT t.id AS id FROM {table.name} AS t WHERE {_OWNER}{span} AND NOT EXISTS (SELECT 1 FROM "
        f"(SELECT s.id AS id, s._hash AS hash, hash({said}) AS said FROM ({table.typed(incoming)}) AS s) AS x "
        f"WHERE x.id = t.id AND x.hash = t._hash AND x.said = hash({mine}))"
    )


def payloads(table: Table, start: int | None = None, end: int | None = None) -> str:
    """Return the question for id, hash and payload of each version that a typed row names. Arguments as of :func:`altered`."""
    span = within(table, start, end)
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


def fingerprint(table: Table, start: int | None = None, end: int | None = None) -> str:
    """Return the question for count and two sums of hashes that change with any value of any row. Arguments as of :func:`altered`."""
    mine = ", ".join(f"t.{quote(name)}" for name, _ in table.columns)
    return (
        f"SELECT count(*) AS n, bit_xor(hash({mine})) AS x, CAST(sum(hash({mine})) AS VARCHAR) AS s "
        f"FROM {table.name} AS t WHERE {_OWNER}{within(table, start, end)}"
    )


def doubled(table: Table, start: int | None = None, end: int | None = None) -> str:
    """Return the question for ids that more than one typed row bears. Arguments as of :func:`altered`."""
    return (
        f"SELECT t.id AS id FROM {table.name} AS t WHERE {_OWNER}{within(table, start, end)} "
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
