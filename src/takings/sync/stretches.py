"""Stretches: the ranges of lists that are compared with Stripe again and again, and when that was last done."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from takings.catalog.model import Catalog, ListEndpoint
from takings.clock import from_unix, to_unix
from takings.store import Store
from takings.store.schema import list_states, stretches
from takings.sync import plan
from takings.warehouse import Scope, Warehouse
from takings.warehouse.tables import quote

#: Rows in a stretch, about: what an interruption costs at most, and what one difference makes be read again.
ROWS: Final = 2_000
#: A stretch is cut off the living end of a list once it is as old as this and has so many rows.
SETTLED: Final = timedelta(days=7)
WORTH_CUTTING: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A range of one list.

    Attributes:
        id: Ours.
        list: Path template.
        start: First second of ``created``, inclusive; None: from the beginning.
        end: Last second, exclusive; None: up to now: the living end of the list, or all of it.
        rows: Rows in it, as last seen.
        hidden: Requests for rows that the list does not show, as the last comparison took.
        inner: Requests for the lists inside its objects: as the last comparison with them took, else by the first load's.
        listed_at: When every row of it was last compared with Stripe.
        nested_at: The same with every list inside its objects.
        open_at: When its objects in open states were last looked at.
        wanted_at: When somebody asked for it out of its turn; None: nobody did.
        bounded: False where the list takes no range of time: it is read whole.
    """

    id: str
    list: str
    start: int | None = None
    end: int | None = None
    rows: int = 0
    hidden: int = 0
    inner: int = 0
    listed_at: datetime
    nested_at: datetime
    open_at: datetime
    wanted_at: datetime | None = None
    bounded: bool = True

    @property
    def pages(self) -> int:
        """Requests that listing it takes, about."""
        return self.rows // 100 + 1


@dataclass(frozen=True, slots=True)
class Compared:
    """How the comparison of a stretch came out.

    Attributes:
        began: It holds since then.
        deep: The lists inside its objects were compared too.
        rows: Rows in it.
        hidden: Requests for rows that the list did not show.
        inner: Requests for lists inside its objects.
    """

    began: datetime
    deep: bool
    rows: int
    hidden: int
    inner: int


class StretchBook:
    """Reads, cuts and marks the stretches of connections."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store, self._catalog = store, catalog

    def of(self, connection_id: str) -> list[Stretch]:
        """Return every stretch of a connection, oldest range first."""
        with self._store.read() as db:
            rows = db.execute(
                sa.select(stretches)
                .where(stretches.c.connection_id == connection_id)
                .order_by(stretches.c.list, stretches.c.start_unix)
            ).all()
            loaded = {row[0]: row[1] for row in db.execute(_inner_requests(connection_id))}
        of: Counter[str] = Counter()
        for row in rows:
            of[row.list] += row.rows
        inner = {path: self._inner(path, loaded) / max(1, number) for path, number in of.items()}
        return [self._stretch(row, inner[row.list]) for row in rows]

    def _inner(self, path: str, loaded: Mapping[str, int]) -> int:
        """Return the requests that the first load took for the lists inside a list's objects."""
        endpoint = self._endpoint(path)
        if endpoint is None:
            return 0
        return sum(loaded.get(nested.path or "", 0) for nested in self._catalog.resources[endpoint.table].nested)

    def extend(
        self,
        connection_id: str,
        warehouse: Warehouse,
        scope: Scope,
        complete: Mapping[str, datetime],
        rows: Mapping[str, int],
        now: datetime,
        start_at: datetime | None = None,
    ) -> None:
        """Bring the stretches up to what is here: lists that became complete get theirs, settled ends are cut off.

        Args:
            connection_id: Whose.
            warehouse: Where rows are counted.
            scope: Whose rows.
            complete: When each list was last complete; others get no stretches.
            rows: Rows of each table.
            now: The present, by Stripe's clock.
            start_at: From when history is wanted; None: from its beginning.
        """
        known: dict[str, list[Stretch]] = {}
        for stretch in self.of(connection_id):
            known.setdefault(stretch.list, []).append(stretch)
        fresh: list[Stretch] = []
        changed: list[Stretch] = []
        for path, as_of in complete.items():
            endpoint = self._endpoint(path)
            if endpoint is None:
                continue
            count = rows.get(endpoint.table, 0)
            tail = next((one for one in known.get(path, ()) if one.end is None), None)
            if tail is None:
                tail = _whole(path, as_of, start_at if endpoint.created_filter else None, endpoint.created_filter)
                fresh.append(tail)
            if not endpoint.created_filter:
                changed.append(replace(tail, rows=count))
                continue
            others = sum(one.rows for one in known.get(path, ()) if one.end is not None)
            cuts = self._cuts(warehouse, scope, endpoint, tail.start, now) if count - others > WORTH_CUTTING else []
            for end, cut_rows in cuts:
                fresh.append(replace(tail, id=secrets.token_hex(8), end=end, rows=cut_rows))
                tail = replace(tail, start=end)
                others += cut_rows
            changed.append(replace(tail, rows=max(0, count - others)))
        made = {stretch.id for stretch in fresh}
        shorter = {stretch.list for stretch in fresh if stretch.end is not None}
        with self._store.write() as db:
            if fresh:
                db.execute(sa.insert(stretches), [_row(connection_id, stretch) for stretch in fresh])
            for stretch in changed:
                if stretch.id in made or stretch.rows or stretch.start is not None:
                    # How much of what its lists inside took lay in what was cut off, nobody knows.
                    cut = {"hidden_requests": None, "inner_requests": None} if stretch.list in shorter else {}
                    db.execute(
                        sa.update(stretches)
                        .where(stretches.c.id == stretch.id)
                        .values(start_unix=stretch.start, rows=stretch.rows, **cut)
                    )

    def _cuts(
        self, warehouse: Warehouse, scope: Scope, endpoint: ListEndpoint, start: int | None, now: datetime
    ) -> list[tuple[int, int]]:
        """Return where settled rows are cut into stretches: end (exclusive, Unix) and rows of each, oldest first."""
        moment = quote(self._catalog.resources[endpoint.table].created_field or "created")
        counted = warehouse.query(
            f"SELECT d.s AS s, count(*) AS n FROM (SELECT CAST(epoch(t.{moment}) AS BIGINT) AS s "
            f"FROM stripe.{quote(endpoint.table)} AS t WHERE t._account = $account AND t._livemode = $livemode "
            f"AND t.{moment} >= to_timestamp($start) AND t.{moment} < $until) AS d GROUP BY d.s ORDER BY d.s",
            {
                "account": scope.account,
                "livemode": scope.livemode,
                "start": start or 0,
                "until": now - SETTLED,
            },
        ).rows
        cuts: list[tuple[int, int]] = []
        held = 0
        for second, count in counted:
            if held and held + count > ROWS:
                cuts.append((int(second), held))
                held = 0
            held += int(count)
        if held >= WORTH_CUTTING:
            cuts.append((to_unix(now - SETTLED), held))
        return cuts

    def mark(self, finished: Mapping[str, Compared]) -> None:
        """Note which stretches were compared to their end, and what that took."""
        with self._store.write() as db:
            for key, one in finished.items():
                values: dict[str, Any] = {"listed_at": one.began, "open_at": one.began, "wanted_at": None}
                values |= {"rows": one.rows, "hidden_requests": one.hidden}
                if one.deep:
                    values |= {"nested_at": one.began, "inner_requests": one.inner}
                db.execute(sa.update(stretches).where(stretches.c.id == key).values(**values))

    def mark_open(self, ids: Iterable[str], at: datetime) -> None:
        """Note when the objects in open states of some stretches were looked at."""
        with self._store.write() as db:
            for key in ids:
                db.execute(sa.update(stretches).where(stretches.c.id == key).values(open_at=at))

    def want(
        self,
        connection_id: str,
        at: datetime,
        lists: Iterable[str] | None,
        since: datetime | None,
        *,
        compared_before: datetime | None = None,
    ) -> int:
        """Ask for stretches out of their turn; return how many.

        Args:
            connection_id: Whose.
            at: The present.
            lists: Only of these lists; None: of all.
            since: Only those that reach beyond this moment; None: all.
            compared_before: Only those that were last compared before this moment and are not wanted yet; None: all.
        """
        here = stretches.c.connection_id == connection_id
        if lists is not None:
            here = sa.and_(here, stretches.c.list.in_(list(lists)))
        if since is not None:
            here = sa.and_(here, sa.or_(stretches.c.end_unix.is_(None), stretches.c.end_unix > to_unix(since)))
        if compared_before is not None:
            here = sa.and_(here, stretches.c.listed_at < compared_before, stretches.c.wanted_at.is_(None))
        with self._store.write() as db:
            return int(db.execute(sa.update(stretches).where(here).values(wanted_at=at)).rowcount)

    def cost(self, connection_id: str, lists: Iterable[str] | None, since: datetime | None) -> int:
        """Return how many requests comparing stretches takes, about, with every list inside their objects.

        Args:
            connection_id: Whose.
            lists: Only of these lists; None: of all.
            since: Only those that reach beyond this moment; None: all.
        """
        chosen = None if lists is None else set(lists)
        return sum(
            cost(self._catalog.endpoint(stretch.list), stretch, deep=True)
            for stretch in self.of(connection_id)
            if (chosen is None or stretch.list in chosen)
            and (since is None or stretch.end is None or stretch.end > to_unix(since))
        )

    def wanted(self, connection_id: str) -> dict[str, datetime]:
        """Return, by list, when stretches of it that are not done yet were last asked for out of their turn."""
        query = (
            sa.select(stretches.c.list, sa.func.max(stretches.c.wanted_at).label("at"))
            .where(stretches.c.connection_id == connection_id, stretches.c.wanted_at.is_not(None))
            .group_by(stretches.c.list)
        )
        with self._store.read() as db:
            return {row.list: row.at for row in db.execute(query)}

    def _endpoint(self, path: str) -> ListEndpoint | None:
        try:
            endpoint = self._catalog.endpoint(path)
        except KeyError:
            return None
        return None if endpoint.needs or endpoint.computed else endpoint

    def _stretch(self, row: sa.Row[Any], inner_a_row: float) -> Stretch:
        endpoint = self._endpoint(row.list)
        return Stretch(
            id=row.id,
            list=row.list,
            start=row.start_unix,
            end=row.end_unix,
            rows=row.rows,
            hidden=row.hidden_requests or 0,
            inner=round(row.rows * inner_a_row) if row.inner_requests is None else row.inner_requests,
            listed_at=row.listed_at,
            nested_at=row.nested_at,
            open_at=row.open_at,
            wanted_at=row.wanted_at,
            bounded=endpoint is not None and endpoint.created_filter,
        )


def _whole(path: str, as_of: datetime, start_at: datetime | None, bounded: bool) -> Stretch:
    return Stretch(
        id=secrets.token_hex(8),
        list=path,
        start=None if start_at is None else to_unix(start_at),
        listed_at=as_of,
        nested_at=as_of,
        open_at=as_of,
        bounded=bounded,
    )


def _row(connection_id: str, stretch: Stretch) -> dict[str, Any]:
    return {
        "id": stretch.id,
        "connection_id": connection_id,
        "list": stretch.list,
        "start_unix": stretch.start,
        "end_unix": stretch.end,
        "rows": stretch.rows,
        "listed_at": stretch.listed_at,
        "nested_at": stretch.nested_at,
        "open_at": stretch.open_at,
        "wanted_at": stretch.wanted_at,
    }


def _inner_requests(connection_id: str) -> sa.Select[Any]:
    return sa.select(list_states.c.list, list_states.c.requests).where(
        list_states.c.connection_id == connection_id, list_states.c.requests > 0, list_states.c.list.contains("{")
    )


def cost(endpoint: ListEndpoint, stretch: Stretch, *, deep: bool) -> int:
    """Return how many requests comparing a stretch takes, about.

    Args:
        endpoint: Its list.
        stretch: It.
        deep: With every list inside its objects.
    """
    listing = stretch.pages + len(plan.variants(endpoint)) - 1 + stretch.hidden
    return listing + stretch.inner if deep else listing


def covers(stretch: Stretch, moment: datetime | None) -> bool:
    """Tell whether a row made at a moment lies in a stretch; one that does not say when lies in the living end."""
    if moment is None:
        return stretch.end is None
    second = to_unix(moment)
    return (stretch.start is None or stretch.start <= second) and (stretch.end is None or second < stretch.end)


def age(stretch: Stretch, now: datetime) -> timedelta:
    """Return how old the youngest rows of a stretch are."""
    return timedelta(0) if stretch.end is None else max(timedelta(0), now - from_unix(stretch.end))
