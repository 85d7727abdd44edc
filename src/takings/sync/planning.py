"""Works out for one connection what is to be looked at: how its lists stand, what is open, what it costs, and the pace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from takings.catalog.model import Catalog
from takings.clock import Clock, to_unix
from takings.connections import Connection
from takings.settings import Settings
from takings.store import Store
from takings.stripe import Stripe
from takings.sync import agenda, budget
from takings.sync.agenda import Pace, Unit
from takings.sync.book import EVENTS, RunBook, Standing
from takings.sync.budget import Budget
from takings.sync.cut import Cutter
from takings.sync.follow import Follower
from takings.sync.following import FollowBook, Following
from takings.sync.plan import Window
from takings.sync.runner import SINGLES
from takings.sync.states import OPEN, open_rows
from takings.sync.stretches import Stretch, StretchBook, covers
from takings.warehouse import Scope, Warehouse

_TRANSACTIONS = (
    "SELECT count(*) AS n FROM stripe.charges AS c WHERE c._account = $account AND c._livemode = $livemode "
    "AND c.status = 'succeeded' AND c.created >= $since"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a connection when it is decided what to look at."""

    standings: dict[str, Standing]
    stretches: list[Stretch]
    opened: dict[str, list[tuple[Window, datetime | None]]]
    pace: Pace
    budget: Budget


class Planner:
    """Decides what of a connection is read next, from what the store and the warehouse hold; it asks Stripe nothing.

    Args:
        connection: Which.
        stripe: Its client, for Stripe's clock.
        store: How far it has come.
        warehouse: What is here.
        catalog: What lists there are.
        book: How its lists stand.
        settings: Pace and budget.
        clock: Ours.
    """

    def __init__(
        self,
        connection: Connection,
        stripe: Stripe,
        store: Store,
        warehouse: Warehouse,
        catalog: Catalog,
        book: RunBook,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._connection, self._stripe = connection, stripe
        self._warehouse, self._catalog, self._book = warehouse, catalog, book
        self._settings, self._clock = settings, clock
        self._scope = Scope(connection.account_id, connection.livemode)
        self._follows = FollowBook(store)
        self._stretches = StretchBook(store, catalog)

    def extend(self) -> None:
        """Bring the stretches up to what is here."""
        standings = self._book.standings(self._connection.id)
        complete = {
            path: standing.complete_as_of
            for path, standing in standings.items()
            if standing.complete_as_of is not None and standing.state == "complete" and path not in SINGLES
        }
        self._stretches.extend(
            self._connection.id,
            self._warehouse,
            self._scope,
            complete,
            self._book.table_rows(self._connection.id),
            self._stripe.now(),
            self._connection.start_at,
        )

    def plan(self, following: Following) -> Plan:
        """Look through what is here, and note what its requests come to."""
        self.extend()
        standings = self._book.standings(self._connection.id)
        stretches = self._stretches.of(self._connection.id)
        opened = self._opened(stretches, standings)
        told = is_told(standings)
        now = self._clock.now()
        month_ago = self._stripe.now() - budget.PERIOD
        asked = {"account": self._scope.account, "livemode": self._scope.livemode, "since": month_ago}
        transactions = int(self._warehouse.query(_TRANSACTIONS, asked).rows[0][0])
        reads = budget.allocation(transactions)
        share = self._settings.read_share
        every = budget.follow_every(timedelta(seconds=self._settings.follow_every_seconds), reads, share)
        forecast = agenda.forecast(self._catalog, standings, stretches, opened, self._pace(told), every, now)
        spent = self._follows.spent(self._connection.pool_account_id, self._connection.livemode, now - budget.PERIOD)
        known = Budget(
            transactions=transactions, allocation=reads, share=share, used=spent, follow_every=every, forecast=forecast
        )
        self._follows.note(self._connection.id, transactions=transactions, forecast=forecast)
        return Plan(standings, stretches, opened, self._pace(told, known.pace), known)

    def due(self, known: Plan, now: datetime) -> list[Unit]:
        """Return what is due of a plan, what is latest first."""
        return agenda.due(self._catalog, known.standings, known.stretches, known.opened, known.pace, now)

    def unasked(
        self, standings: Mapping[str, Standing], told: bool, now: datetime, asked: Mapping[str, datetime]
    ) -> list[Unit]:
        """Return what is due though no event tells of it: new rows, and lists that are not complete.

        Args:
            standings: How the lists stand.
            told: Events can be read.
            now: The present.
            asked: By list: when somebody last asked for it.
        """
        since = self._connection.start_at
        start = None if since is None else to_unix(since)
        return agenda.due(self._catalog, standings, [], {}, self._pace(told), now, start, asked)

    def _pace(self, told: bool, factor: float = 1.0) -> Pace:
        return Pace(
            new_every=timedelta(seconds=self._settings.sync_every_seconds),
            horizon=timedelta(days=self._settings.reconcile_horizon_days),
            factor=factor,
            told=told,
        )

    def _opened(
        self, stretches: Sequence[Stretch], standings: Mapping[str, Standing]
    ) -> dict[str, list[tuple[Window, datetime | None]]]:
        """Return the objects in open states, by the stretch they lie in."""
        found: dict[str, list[tuple[Window, datetime | None]]] = {}
        by_list: dict[str, list[Stretch]] = {}
        for stretch in stretches:
            by_list.setdefault(stretch.list, []).append(stretch)
        follower = Follower(self._catalog, Cutter(self._catalog))
        skew = self._stripe.now() - self._clock.now()
        for path, its in by_list.items():
            table = standings[path].table if path in standings else ""
            if table not in OPEN or not standings[path].rows:
                continue
            resource = self._catalog.resources[table]
            moment = resource.created_field or "created"
            for identifier, made in open_rows(self._warehouse, self._scope, table, moment, self._stripe.now()):
                stretch_of = next((one for one in its if covers(one, made)), None)
                window = follower.by_id(table, identifier, purpose="confirm")
                if stretch_of is not None and window is not None:
                    found.setdefault(stretch_of.id, []).append((window, None if made is None else made - skew))
        return found


def is_told(standings: Mapping[str, Standing]) -> bool:
    """Tell whether a connection's key may read events."""
    events = standings.get(EVENTS)
    return events is not None and events.state not in ("forbidden", "unavailable")
