"""Cuts Stripe's objects into shares that have nothing to do with each other, so that models never hold all of them at once.

Some of what models do cannot go to disk, such as making a list for each of ten million invoices. An account whose rows fit into a share
is in one as a whole. Of a larger one each object belongs to a root: the customer that it hangs on by the links of
:mod:`takings.metrics.touched`, or else what it hangs on or itself. Where an object hangs on two roots, both are in one share.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa

from takings.metrics.storing import Files, reading
from takings.metrics.touched import CUSTOMER, LINKS, STATES, VERSIONS, Reached, read_instead
from takings.warehouse import Session

ROWS: Final = 2_500_000
"""How many rows of sources a share has, about."""

_EVERYBODY: Final = -1
_LARGE: Final = "share_large"
_JOINED: Final = "share_joined"


class Shares:
    """What models read of one share after the other.

    Args:
        session: In the transaction in which models are worked out.
        store: Where copies of the sources go.
        tables: Qualified names of the tables that the models read, as :meth:`takings.metrics.registry.Registry.tables` has them.
        bare: Tables without rows: they are read as they are.
        words: Every name that the models' SQL has: other columns are not read.
        count: How many shares.
        rows: Accounts of more rows than that are cut.

    Raises:
        Unfollowed: See there.
    """

    def __init__(
        self,
        session: Session,
        store: Files,
        tables: Iterable[str],
        bare: frozenset[str],
        words: frozenset[str],
        count: int,
        rows: int = ROWS,
    ) -> None:
        self._session, self._store, self._words = session, store, words
        self._rows = rows
        self._reached = Reached.of(tables)
        self._tables = tuple(name for name in self._reached.tables if f"stripe.{name}" not in bare)
        self.count = count
        self._made: list[str] = []
        self._copies: dict[str, Path] = {}

    def __enter__(self) -> Shares:
        try:
            self._cut()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, wrong: type[BaseException] | None, *_: object) -> None:
        for name in self._made:
            (self._store.drop if wrong is None else self._store.abandon)(name)
        for place in self._copies.values():
            shutil.rmtree(place, ignore_errors=True)

    def share(self, number: int) -> Share:
        """Return what to read of a share, from 0 on."""
        reads = {f"stripe.{name}": f"stripe.{name}" for name in self._reached.shared}
        for table, place in self._copies.items():
            folders = (place / f"share={number}", place / f"share={_EVERYBODY}")
            files = [file for folder in folders for file in sorted(folder.glob("*.parquet"))]
            reads[table] = f"({reading(files)})" if files else f"(SELECT * FROM {table} LIMIT 0)"
        return Share(reads)

    def _cut(self) -> None:
        self._find_large()
        roots = self._roots()
        self._join(roots)
        for name in self._tables:
            self._copy(f"stripe.{name}", "t._account", "t._livemode", [("TRUE", "t.id", roots.get(name))])
        if self._reached.states:
            arms = [
                (f"t.resource = '{kind}'", f"t.{STATES[kind][0]}", roots.get(STATES[kind][1]))
                for kind in self._reached.states
            ]
            self._copy(VERSIONS, "t.account", "t.livemode", arms)
        for name in tuple(self._made):
            self._drop(name)

    def _find_large(self) -> None:
        """Note the accounts that are cut."""
        counts = " UNION ALL ".join(
            f"SELECT t._account AS account, count(*) AS n FROM stripe.{name} AS t GROUP BY 1" for name in self._tables
        )
        self._make(
            _LARGE, f"SELECT c.account AS account FROM ({counts}) AS c GROUP BY 1 HAVING sum(c.n) > {self._rows}"
        )

    def _roots(self) -> dict[str, str]:
        """Return, by table, a table of the roots of its rows, of large accounts."""
        row = self._session.execute(f"SELECT count(*) FROM temp.main.{_LARGE}").fetchone()
        if not row or not row[0]:
            return {}
        roots: dict[str, str] = {}
        for name in self._tables:
            joins, candidates = "", []
            for number, (other, sql) in enumerate(LINKS[name].items()):
                if other in roots:
                    joins += (
                        f" LEFT JOIN {roots[other]} AS r{number} ON r{number}.account = t._account "
                        f"AND r{number}.livemode = t._livemode AND r{number}.id = {sql}"
                    )
                    candidates.append(f"coalesce(r{number}.root, {sql})")
                else:
                    candidates.append(sql)
            root = f"coalesce({', '.join((*candidates, 't.id'))})"
            more = "".join(f", {sql} AS c{number}" for number, sql in enumerate(candidates))
            roots[name] = self._make(
                f"share_{name}",
                f"SELECT t._account AS account, t._livemode AS livemode, t.id AS id, {root} AS root{more} "
                f"FROM stripe.{name} AS t{joins} WHERE t._account IN (SELECT g.account FROM temp.main.{_LARGE} AS g)",
            )
        return roots

    def _join(self, roots: Mapping[str, str]) -> None:
        """Note which roots belong together since an object hangs on both of them, by one that stands for all."""
        arms = [
            f"SELECT r.account AS account, r.livemode AS livemode, r.root AS one, r.c{number} AS other FROM {table} AS r "
            f"WHERE r.c{number} <> r.root"
            for name, table in roots.items()
            for number in range(len(LINKS[name]))
        ]
        heads: dict[tuple[str, bool, str], tuple[str, bool, str]] = {}

        def head(one: tuple[str, bool, str]) -> tuple[str, bool, str]:
            while (above := heads.get(one, one)) != one:
                heads[one] = heads.get(above, above)
                one = above
            return one

        if arms:
            for account, livemode, one, other in self._session.execute(" UNION ".join(arms)).fetchall():
                a, b = head((account, livemode, one)), head((account, livemode, other))
                heads[max(a, b)] = min(a, b)
        pairs = [(*one, head(one)[2]) for one in heads]
        columns = zip(*pairs, strict=True) if pairs else ((), (), (), ())
        kinds = (("account", pa.string()), ("livemode", pa.bool_()), ("root", pa.string()), ("head", pa.string()))
        joined = pa.table({name: pa.array(values, kind) for (name, kind), values in zip(kinds, columns, strict=True)})
        self._session.register("joined", joined)
        self._make(_JOINED, "SELECT * FROM joined")
        self._session.unregister("joined")

    def _copy(self, table: str, account: str, livemode: str, arms: Collection[tuple[str, str, str | None]]) -> None:
        """Copy a table's rows by share.

        Args:
            table: Which.
            account: SQL of a row's account.
            livemode: SQL of its mode.
            arms: Conditions, and for the rows that one holds for, SQL of the object's id and the table of its roots, if there is one.
        """
        described = self._session.execute(f"SELECT * FROM {table} LIMIT 0").description or ()
        names = ", ".join(f't."{item[0]}"' for item in described if item[0] in self._words)
        asked = []
        for condition, key, roots in arms:
            joins, root = "", key
            if roots is not None:
                joins = (
                    f" LEFT JOIN {roots} AS r ON r.account = {account} AND r.livemode = {livemode} AND r.id = {key}"
                    f" LEFT JOIN temp.main.{_JOINED} AS j ON j.account = {account} AND j.livemode = {livemode} "
                    f"AND j.root = coalesce(r.root, {key})"
                )
                root = f"coalesce(j.head, r.root, {key})"
            share = f"CASE WHEN g.account IS NULL THEN hash({account}) ELSE hash({account}, {root}) END % {self.count}"
            if table == "stripe.discounts":  # one that does not say whose it is belongs to everybody
                share = f"CASE WHEN {CUSTOMER} IS NULL THEN {_EVERYBODY} ELSE CAST({share} AS INTEGER) END"
            asked.append(
                f"SELECT {names}, CAST({share} AS INTEGER) AS share FROM {table} AS t "
                f"LEFT JOIN temp.main.{_LARGE} AS g ON g.account = {account}{joins} WHERE {condition}"
            )
        self._copies[table] = self._store.divide(table.partition(".")[2], " UNION ALL ".join(asked), "share")

    def _make(self, name: str, sql: str) -> str:
        self._store.make(name, sql)
        self._made.append(name)
        return f"temp.main.{name}"

    def _drop(self, name: str) -> None:
        self._store.drop(name)
        self._made.remove(name)


class Share:
    """One of them.

    Args:
        reads: By qualified name of a table of the warehouse, what to read in its place.
    """

    def __init__(self, reads: Mapping[str, str]) -> None:
        self._reads = reads

    def read_here(self, sql: str) -> str:
        """Return a model's SQL so that it reads this share in place of the warehouse's tables."""
        return read_instead(sql, self._reads)
