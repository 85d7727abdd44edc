"""Finds what hangs together with the objects that have changed, so that only their lines are worked out anew.

Every line of a model comes from one object of Stripe and from others that hang together with it: a payment with its refunds,
a customer with all that was billed to them. What has nothing to do with a changed object cannot have other lines than before.
A lake tells of each row in which of its states it was written; from those that were written since a model was last filled, the
links between objects are followed to the end, and the models are run on what was found as if there were nothing else.

Prices, coupons, promotion codes and tax rates are shared by everyone: their links are not followed. Where one of them has changed, models that read
them are worked out whole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from takings.warehouse import Session

FROM_ROWS: Final = 100_000
"""From how many rows of sources on it is worth it: below that, working out everything costs no more."""

_FEWER: Final = 4  # where more than one row in so many is touched, everything is worked out

CUSTOMER: Final = "coalesce(t.customer, t.customer_account)"
"""SQL of the customer that a row ``t`` is of."""
_PAYMENT: Final = "json_extract_string(t.payment, '$.{}')"

_SOURCE: Final = "CASE WHEN NOT regexp_matches(t.source, '^({})_') THEN t.source END"

LINKS: Final[Mapping[str, Mapping[str, str]]] = {
    "customers": {},
    "payment_intents": {"customers": CUSTOMER},
    "invoices": {"customers": CUSTOMER},
    "subscriptions": {"customers": CUSTOMER},
    "subscription_schedules": {"customers": CUSTOMER},
    "charges": {"payment_intents": "t.payment_intent", "customers": "t.customer"},
    "credit_notes": {"invoices": "t.invoice", "customers": CUSTOMER},
    "refunds": {"charges": "t.charge"},
    "disputes": {"charges": "t.charge"},
    "discounts": {"customers": CUSTOMER},
    "checkout_sessions": {"payment_intents": "t.payment_intent", "customers": CUSTOMER},
    "invoiceitems": {"customers": CUSTOMER},
    "customer_balance_transactions": {"invoices": "t.invoice", "customers": CUSTOMER},
    "invoice_payments": {
        "invoices": "t.invoice",
        "charges": _PAYMENT.format("charge"),
        "payment_intents": _PAYMENT.format("payment_intent"),
    },
    "invoice_line_items": {"invoices": "t.invoice"},
    "credit_note_line_items": {"credit_notes": "t._parent"},
    "subscription_items": {"subscriptions": "t._parent"},
    "balance_transactions": {
        "charges": _SOURCE.format("re|pyr|dp|du|po"),
        "refunds": _SOURCE.format("ch|py|dp|du|po"),
        "disputes": _SOURCE.format("ch|py|re|pyr|po"),
    },
}
"""By table, the tables whose rows one of its rows hangs on, and the SQL that gives the id there of a row ``t``. A table comes after
those that it hangs on."""

SHARED: Final = frozenset(("coupons", "prices", "promotion_codes", "tax_rates"))
"""Tables of few rows that all customers share."""

WHOLE: Final = frozenset(("stg_prices",))
"""Models that say of what is shared, and read it off tables of other things, too: they always read everything."""

VERSIONS: Final = "raw.versions"
STATES: Final = {
    "subscriptions": ("id", "subscriptions"),
    "subscription_items": ("parent", "subscriptions"),
    "subscription_schedules": ("id", "subscription_schedules"),
}
"""Of what was seen of Stripe's objects: of which kinds models read, and by which column they hang on a table."""

#: Columns of lines that name an object, and the table it is of: the first that there is will do.
_NAMED: Final = {"customer": "customers", "subscription": "subscriptions", "invoice": "invoices", "charge": "charges"}

_TOUCHED: Final = "temp.main.touched"
_HIT: Final = "temp.main.touched_hit"


class Unfollowed(Exception):
    """A model reads a table of which nobody has said how it hangs together with others."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Tables that models read, and those that their rows hang on.

    Attributes:
        tables: Names of tables whose links are followed, each after those that it hangs on.
        shared: Names of those that all customers share.
        states: Kinds of objects of which states are read.
    """

    tables: tuple[str, ...]
    shared: frozenset[str]
    states: tuple[str, ...]

    @classmethod
    def of(cls, tables: Iterable[str]) -> Reached:
        """Return what some tables reach, given by their qualified names, as :meth:`takings.metrics.registry.Registry.tables` has them.

        Raises:
            Unfollowed: See there.
        """
        names = frozenset(tables)
        wanted = {name.removeprefix("stripe.") for name in names if name.startswith("stripe.")}
        if strange := sorted(wanted - LINKS.keys() - SHARED):
            raise Unfollowed(f"nothing is said in takings.metrics.touched of how these hang together: {strange}")
        states = tuple(sorted(name.partition("/")[2] for name in names if name.startswith(f"{VERSIONS}/")))
        if strange := sorted(set(states) - STATES.keys()):
            raise Unfollowed(
                f"nothing is said in takings.metrics.touched of how states of these hang together: {strange}"
            )
        # What others hang on is followed even where no model reads it.
        wanted |= {table for kind, (_, table) in STATES.items() if kind in states}
        reached = wanted | {other for name in wanted & LINKS.keys() for other in LINKS[name]}
        reached |= {other for name in reached & LINKS.keys() for other in LINKS[name]}
        return cls(tuple(name for name in LINKS if name in reached), frozenset(wanted & SHARED), states)


class Touched:
    """What hangs together with all that was written after a state of the warehouse, in temporary tables of a session.

    Args:
        session: In the transaction in which models are worked out; its engine tells when rows were written.
        tables: Qualified names of the tables that the models read, as :meth:`takings.metrics.registry.Registry.tables` has them.
        since: The state.
        words: Every name that the models' SQL has: other columns are not read.

    Raises:
        Unfollowed: See there.
    """

    def __init__(self, session: Session, tables: Iterable[str], since: int, words: frozenset[str]) -> None:
        self._session, self._since, self._words = session, since, words
        reached = Reached.of(tables)
        self._states, self._tables, self._shared = reached.states, reached.tables, reached.shared
        self._turn = 0
        self._made = [_TOUCHED]
        self.reads: dict[str, str] = {}

    def shared_changed(self) -> frozenset[str]:
        """Return the shared tables of which any row was written since."""
        return frozenset(
            name
            for name in self._shared
            if self._one(f"SELECT count(*) FROM stripe.{name} AS t WHERE t.snapshot_id > {self._since}")
        )

    def find(self) -> bool:
        """Follow the links; False where so much is touched that working out everything costs no more."""
        self._session.execute(
            f"CREATE TEMP TABLE {_name(_TOUCHED)} "
            "(kind VARCHAR, account VARCHAR, livemode BOOLEAN, id VARCHAR, turn INTEGER, own BOOLEAN)"
        )
        rows = sum(self._one(f"SELECT count(*) FROM stripe.{name}") for name in self._tables)
        changed = 0
        for name in self._tables:
            changed += self._follow(name, f"t.snapshot_id > {self._since}")
        changed += self._follow_states()
        if changed * _FEWER > rows:
            return False
        # Up first: whose the changed objects are. Then down: all that these have.
        for upwards in (True, False):
            scanned: dict[str, int] = {}
            while (table := self._next(scanned, upwards=upwards)) is not None:
                since, scanned[table] = scanned.get(table, 0), self._turn
                self._scan(table, since, upwards=upwards)
            if self._one(f"SELECT count(*) FROM {_TOUCHED} AS x WHERE x.own") * _FEWER > rows:
                return False
        return True

    def gather(self) -> None:
        """Copy what was found to tables that models can read in place of the warehouse's: see :attr:`reads`."""
        for name in self._tables:
            self._copy(f"stripe.{name}", f"part_{name}", _in(name, "t.id", own=True))
        for name in sorted(self._shared):
            self.reads[f"stripe.{name}"] = f"stripe.{name}"
        if self._states:
            arms = [
                f"(t.resource = '{kind}' AND {_in(table, f't.{column}', owner=('t.account', 't.livemode'))})"
                for kind, (column, table) in STATES.items()
                if kind in self._states
            ]
            self._copy(VERSIONS, "part_versions", f"({' OR '.join(arms)})")

    def read_here(self, sql: str) -> str:
        """Return a model's SQL so that it reads what was found in place of the warehouse's tables."""
        return read_instead(sql, self.reads)

    def lines(self, columns: Collection[str]) -> str:
        """Return the condition under which a line ``l`` that is held comes from what was found.

        Args:
            columns: Of the lines.
        """
        owner = ("l.account", "l.livemode")
        arms = [_in(None, "l.source", owner=owner)]
        # Some lines are of objects that were never here, such as an item that only invoices tell of.
        whose = next((name for name in _NAMED if name in columns), None)
        if whose is not None:
            arms.append(_in(_NAMED[whose], f"l.{whose}", owner=owner))
        return f"({' OR '.join(arms)})"

    def drop(self) -> None:
        """Let the temporary tables go."""
        for name in reversed(self._made):
            self._session.execute(f"DROP TABLE IF EXISTS {name}")

    def _follow(self, name: str, condition: str) -> int:
        """Note the rows that a condition holds for, with what they hang on; return how many rows there are."""
        links = LINKS[name]
        values = "".join(f", {sql} AS to_{other}" for other, sql in links.items())
        self._session.execute(
            f"CREATE TEMP TABLE {_name(_HIT)} AS SELECT t._account AS account, t._livemode AS livemode, t.id AS id{values} "
            f"FROM stripe.{name} AS t WHERE {condition}"
        )
        found = self._one(f"SELECT count(*) FROM {_HIT}")
        if found:
            self._note(name, "id", own=True)
            for other in links:
                self._note(other, f"to_{other}", own=False)
        self._session.execute(f"DROP TABLE {_HIT}")
        return found

    def _follow_states(self) -> int:
        found = 0
        for kind, (column, table) in STATES.items():
            if kind not in self._states:
                continue
            self._session.execute(
                f"CREATE TEMP TABLE {_name(_HIT)} AS SELECT v.account AS account, v.livemode AS livemode, v.{column} AS id "
                f"FROM {VERSIONS} AS v WHERE v.resource = '{kind}' AND v.snapshot_id > {self._since}"
            )
            found += self._one(f"SELECT count(*) FROM {_HIT}")
            self._note(table, "id", own=False)
            self._session.execute(f"DROP TABLE {_HIT}")
        return found

    def _note(self, kind: str, column: str, *, own: bool) -> None:
        """Add ids to those that are touched: of rows that have been read (own), or of others that they name."""
        self._turn += 1
        known = "AND x.own" if own else ""
        self._session.execute(
            f"INSERT INTO {_TOUCHED} SELECT DISTINCT '{kind}', h.account, h.livemode, h.{column}, {self._turn}, {own} "
            f"FROM {_HIT} AS h ANTI JOIN {_TOUCHED} AS x ON x.kind = '{kind}' {known} AND x.account = h.account "
            f"AND x.livemode = h.livemode AND x.id = h.{column} WHERE h.{column} IS NOT NULL"
        )

    def _next(self, scanned: Mapping[str, int], *, upwards: bool) -> str | None:
        """Return the next table that may have rows which were not found yet: its own, and downwards those that hang on others."""
        latest: dict[str, int] = {}
        unread: dict[str, int] = {}
        for kind, turn, missing in self._session.execute(
            f"SELECT x.kind, max(x.turn), max(x.turn) FILTER (NOT x.own AND y.id IS NULL) FROM {_TOUCHED} AS x "
            f"LEFT JOIN (SELECT * FROM {_TOUCHED} AS z WHERE z.own) AS y "
            "ON y.kind = x.kind AND y.account = x.account AND y.livemode = x.livemode AND y.id = x.id GROUP BY 1"
        ).fetchall():
            latest[kind], unread[kind] = turn, missing or 0
        for name in reversed(self._tables) if upwards else self._tables:
            turns = [unread.get(name, 0), *(() if upwards else (latest.get(other, 0) for other in LINKS[name]))]
            if max(turns) > scanned.get(name, 0):
                return name
        return None

    def _scan(self, name: str, since: int, *, upwards: bool) -> None:
        """Read the rows of a table that are touched by ids which came after a turn."""
        arms = [_in(name, "t.id", after=since)]
        if not upwards:
            arms += [_in(other, sql, after=since) for other, sql in LINKS[name].items()]
            if name == "discounts":  # one that does not say whose it is
                arms.append(f"{CUSTOMER} IS NULL")
        self._follow(name, " OR ".join(arms))

    def _copy(self, table: str, part: str, condition: str) -> None:
        self._session.execute(f"DROP TABLE IF EXISTS temp.main.{part}")
        described = self._session.execute(f"SELECT * FROM {table} LIMIT 0").description or ()
        columns = ", ".join(f't."{item[0]}"' for item in described if item[0] in self._words)
        self._session.execute(f"CREATE TEMP TABLE {part} AS SELECT {columns} FROM {table} AS t WHERE {condition}")
        self._made.append(f"temp.main.{part}")
        self.reads[table] = f"temp.main.{part}"

    def _one(self, sql: str) -> int:
        row: tuple[Any, ...] | None = self._session.execute(sql).fetchone()
        return int(row[0] or 0) if row else 0


def read_instead(sql: str, reads: Mapping[str, str]) -> str:
    """Return SQL that reads other things in place of some tables, given by their qualified names."""
    for table, other in reads.items():
        sql = re.sub(rf"\b{re.escape(table)}\b", lambda _, other=other: other, sql)  # type: ignore[misc]
    return sql


def _in(
    kind: str | None,
    value: str,
    *,
    owner: tuple[str, str] = ("t._account", "t._livemode"),
    after: int = 0,
    own: bool = False,
) -> str:
    """Return the condition that an id is among those touched: of one kind, or of any."""
    where = [f"x.kind = '{kind}'"] if kind is not None else []
    where += [f"x.turn > {after}"] if after else []
    where += ["x.own"] if own else []
    only = f" WHERE {' AND '.join(where)}" if where else ""
    return f"({', '.join((*owner, value))}) IN (SELECT (x.account, x.livemode, x.id) FROM {_TOUCHED} AS x{only})"


def _name(table: str) -> str:
    return table.removeprefix("temp.main.")
