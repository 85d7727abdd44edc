"""One cycle of a connection that was loaded: follow its events, take up what they leave open, compare what is due.

Moments in the store are by our clock; those in the warehouse, and where events were read to, are by Stripe's.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from takings.catalog.model import Catalog
from takings.clock import Clock, to_unix
from takings.connections import Connection, Deliveries
from takings.errors import Refused, TakingsError, Unavailable
from takings.log import get
from takings.settings import Settings
from takings.store import RequestCounter, Store
from takings.stripe import Item as Received
from takings.stripe import Stripe
from takings.sync import agenda, budget, plan
from takings.sync.agenda import MONEY_LISTS, MOVES_MONEY, Unit
from takings.sync.book import EVENTS, ListProgress, Run, RunBook, RunState, Standing
from takings.sync.checking import Checking
from takings.sync.cut import Cutter, Stamp
from takings.sync.findings import Finding, FindingBook
from takings.sync.follow import EVENTS_TABLE, Follower
from takings.sync.following import FollowBook, Following
from takings.sync.plan import BRIDGE_LIST, PRICES_BY_ID, Window
from takings.sync.planning import Plan, Planner, is_told
from takings.sync.runner import SINGLES, Outcome, Runner
from takings.sync.stretches import Stretch, StretchBook
from takings.sync.unlisted import NAMES_PRICES, inline_prices, open_payouts
from takings.warehouse import BRIDGE, Scope, Warehouse

#: Events of this long before the newest one known are read again: they may show up late.
EVENTS_OVERLAP: Final = timedelta(seconds=60)
#: Stripe keeps events for thirty days; what lies this close to it is not counted on.
EVENTS_KEPT: Final = timedelta(days=30) - timedelta(hours=1)
#: How often what is here is looked through for what may be due.
PLAN_EVERY: Final = timedelta(minutes=10)
#: By how much Stripe's clock may differ from ours where it could not be asked.
_UNKNOWN_SKEW: Final = timedelta(days=1)
#: How long events wait for what they left open and Stripe does not give at present.
_HELD_AT_MOST: Final = timedelta(hours=1)
#: Time between two looks at what is one object and no list: the balance, settings.
_SINGLES_EVERY: Final = timedelta(hours=6)
#: Requests that one run of comparing takes at most, about: between two of them events are followed.
MOST_A_RUN: Final = 1_000
_WEBHOOKS_AT_ONCE: Final = 500
#: Nothing of these can change once it is there, so that lost events took nothing from them.
_FIXED: Final = frozenset(("balance_transactions", "events"))


@dataclass(frozen=True, slots=True)
class Done:
    """What a cycle came to.

    Attributes:
        state: How it ended.
        reason: What stood in the way, None where nothing did.
        fatal: True where the credentials are refused.
        requests: Requests it took.
    """

    state: RunState
    reason: TakingsError | None = None
    fatal: bool = False
    requests: int = 0


@dataclass(slots=True)
class _Lists:
    """How lists came out of the runs of one cycle: columns of ``list_states`` by path."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, path: str, **values: Any) -> None:
        self.values.setdefault(path, {}).update(values)


class Cycle:
    """Follows and compares one connection, once.

    Args:
        connection: Which; its first load is over.
        stripe: Its client.
        counter: Counts its requests.
        stop: Set by whoever wants it to end early.
        patient: True to wait for a full disk or a locked warehouse as long as it takes.
        memory: What this process remembers between cycles, by connection: when it last caught up, and the events that a
            look at the latest ones would show again. It spares an idle cycle the warehouse.
    """

    def __init__(
        self,
        *,
        connection: Connection,
        stripe: Stripe,
        counter: RequestCounter,
        stop: threading.Event,
        patient: bool,
        store: Store,
        warehouse: Warehouse,
        catalog: Catalog,
        deliveries: Deliveries,
        book: RunBook,
        settings: Settings,
        clock: Clock,
        memory: dict[str, tuple[datetime, frozenset[str]]] | None = None,
    ) -> None:
        self._memory = memory
        #: True where an event said that the account has ended this access.
        self.deauthorized = False
        told = {name for name, one in catalog.resources.items() if one.events}
        inside = {nested.table for name in told for nested in catalog.resources[name].nested}
        #: Tables that are as fresh as the events, with what lies inside their objects and what payouts paid out.
        self._told_tables = frozenset(told | inside | {EVENTS_TABLE, BRIDGE.table})
        self._connection, self._stripe, self._counter = connection, stripe, counter
        self._stop, self._patient = stop, patient
        self._warehouse, self._catalog, self._deliveries = warehouse, catalog, deliveries
        self._book, self._settings, self._clock = book, settings, clock
        self._scope = Scope(connection.account_id, connection.livemode)
        self._follows = FollowBook(store)
        self._stretches = StretchBook(store, catalog)
        self._findings = FindingBook(store)
        self._planner = Planner(connection, stripe, store, warehouse, catalog, book, settings, clock)
        self._cutter = Cutter(catalog)
        self._log = get("sync", connection=connection.id)

    @property
    def _skew(self) -> timedelta:
        return self._stripe.now() - self._clock.now()

    # Following

    def follow(self, asked_for: Collection[str] = ()) -> Done:
        """Read what happened since the last time, bring it in, and look for what no event tells of.

        Args:
            asked_for: Lists that somebody wants now: one that failed or was refused is tried at once, not in its turn.

        Raises:
            Unavailable: Another worker is at this connection (``sync.busy``).
        """
        self._counter.purpose = "follow"
        halfway = self._book.left_halfway(self._connection.id)
        run = self._begun("follow")
        began = self._clock.now()
        following = self._follows.of(self._connection.id)
        standings = self._book.standings(self._connection.id)
        told = is_told(standings)
        lists = _Lists()
        try:
            since = following.read_to or self._first_since(standings)
            known = set() if halfway else self._known(following, since - EVENTS_OVERLAP)
            follower = Follower(self._catalog, self._cutter, known)
            asked: set[str] = set()
            later, delivered = self._delivered(follower)
            if not told:
                self._make_good(standings, began)
            polls = told and not (delivered and self._is_fresh(following))
            first = []
            if polls:
                first.append(plan.new_window(EVENTS, start=to_unix(since - EVENTS_OVERLAP), purpose="events"))
            elif not told:
                first.append(plan.new_window("/v1/account"))
            outcome = self._run(run, first, follower=follower, asked=asked) if first else _nothing()
            later += outcome.later
            tables = set(outcome.tables) | follower.tables
            if not outcome.fatal and not outcome.stopped:
                wanted = self._unasked(standings, tables, told, lists, asked_for)
                second = [*plan.coalesce(later, self._catalog, to_unix(since - EVENTS_OVERLAP)), *wanted]
                more = self._rest(run, second, follower, asked, tables, began)
                outcome = _joined(outcome, more)
            if outcome.fatal or outcome.stopped:
                self._book.release(run)
                return Done("stopped", outcome.fatal, outcome.fatal is not None, outcome.requests)
            held = self._holds(outcome, following, began)
            if not held:
                self._deliveries.handled(delivered)
            self.deauthorized = follower.deauthorized
            state = self._close_follow(run, began, following, follower, standings, outcome, lists, since, polls, held)
            return Done(state, next(iter(_failed(outcome, standings).values()), None), False, outcome.requests)
        except BaseException:
            self._release(run)
            raise

    def _close_follow(
        self,
        run: Run,
        began: datetime,
        following: Following,
        follower: Follower,
        standings: Mapping[str, Standing],
        outcome: Outcome,
        lists: _Lists,
        since: datetime,
        polled: bool,
        held: bool,
    ) -> RunState:
        """Note how far events were read and how each list stands, and close the run; forget it where nothing happened."""
        failed = _failed(outcome, standings)
        self._note_lists(lists, outcome, standings, began)
        read = polled and EVENTS not in outcome.closed and EVENTS not in outcome.parked
        if read:
            newest = max(filter(None, (follower.newest, following.read_to, since)))
            if held:  # what events left open could not be asked for: they are made use of once more
                newest = since
                self._follows.note(self._connection.id, read_to=newest)
            else:
                self._follows.note(self._connection.id, read_to=newest, caught_up_at=began)
                if outcome.parked:
                    self._stretches.want(self._connection.id, began, self._above(outcome.parked), None)
            self._gap(following, since)
            if standings[EVENTS].state != "complete":  # they could not be read for a while, and now are
                lists.note(EVENTS, table_name=standings[EVENTS].table, state="complete", reason=None, reason_code=None)
            if self._memory is not None and held:
                self._memory.pop(self._connection.id, None)
            elif self._memory is not None:
                self._memory[self._connection.id] = (began, follower.seen_since(newest - EVENTS_OVERLAP))
        if lists.values:
            self._book.stand(self._connection.id, lists.values)
        if read:
            unread = {standings[path].table for path in failed if path in standings}
            self._book.told(self._connection.id, self._told_tables - unread, began)
        state: RunState = "partial" if failed else "complete"
        if state == "complete" and not follower.fresh and not outcome.tables:
            self._book.drop(run)
        else:
            self._book.close(run, "failed" if held else state, {}, next(iter(failed.values()), None))
        return state

    def _holds(self, outcome: Outcome, following: Following, began: datetime) -> bool:
        """Tell whether events are to be made use of once more, since what they left open cannot be had just now.

        Not for ever: after an hour it goes on, and what is open is compared out of its turn.
        """
        away = any(isinstance(error, Unavailable) for error in outcome.parked.values())
        since = following.caught_up_at or began
        return away and began - since < _HELD_AT_MOST

    def _above(self, paths: Iterable[str]) -> list[str]:
        """Return the lists whose comparison shows what some lists, or lists inside their objects, hold."""
        found: set[str] = set()
        for path in paths:
            if "{" not in path:
                found.add(path)
            elif path in (BRIDGE_LIST, PRICES_BY_ID):
                continue  # looked for again by themselves
            else:
                tables = {name.partition(".")[0] for name in self._catalog.endpoint(path).needs.values()}
                found.update(one.path for table in tables for one in self._catalog.for_table(table) if not one.needs)
        return sorted(found)

    def _first_since(self, standings: Mapping[str, Standing]) -> datetime:
        """Return from when events are read where they never were: the beginning of the first load, by Stripe's clock."""
        events = standings.get(EVENTS)
        moments = [one.complete_as_of for one in standings.values() if one.complete_as_of is not None]
        earliest = (
            events.complete_as_of if events and events.complete_as_of else min(moments, default=self._clock.now())
        )
        try:
            self._stripe.get("/v1/account")  # tells the difference of the clocks
        except Refused:
            self._log.debug("sync.account_unreadable")
        except Unavailable:  # the clocks may differ by as much; an event read twice does no harm
            return earliest - _UNKNOWN_SKEW
        return earliest + self._skew - timedelta(minutes=5)

    def _is_told(self, table: str) -> bool:
        resource = self._catalog.resources.get(table)
        return resource is not None and bool(resource.events)

    def _is_fresh(self, following: Following) -> bool:
        """Tell whether events were read so lately that what a webhook brought is all there is to do."""
        if following.caught_up_at is None:
            return False
        return self._clock.now() - following.caught_up_at < timedelta(seconds=self._settings.follow_every_seconds)

    def _known(self, following: Following, since: datetime) -> Collection[str]:
        """Return the events since a moment that were made use of: as remembered, or as the warehouse has them."""
        remembered = (self._memory or {}).get(self._connection.id)
        if remembered is not None and remembered[0] == following.caught_up_at:
            return remembered[1]
        return Follower.known(self._warehouse, self._scope, since)

    def _delivered(self, follower: Follower) -> tuple[list[Window], list[str]]:
        """Bring in what webhooks delivered; return the objects to ask for, and which deliveries those are."""
        later: list[Window] = []
        handled: list[str] = []
        waiting = self._deliveries.take(self._connection.id, _WEBHOOKS_AT_ONCE)
        if not waiting:
            return later, handled
        now = self._clock.now()
        stamp = Stamp(self._scope, self._stripe.now(), now, self._catalog.api_version, "webhook")
        received: list[Received] = []
        for one in waiting:
            handled.append(one.id)
            try:
                raw = msgspec.json.format(one.body, indent=-1)
                created = msgspec.json.decode(raw, type=_Made).created
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue  # a thin event: it carries no object
            received.append(Received(one.event_id, "event", created, raw))
        pieces = follower.pieces(received, stamp)
        result = self._warehouse.writer().write([d for d in pieces.deliveries if d.items or d.all_of])
        later += pieces.windows
        for (table, _), change in result.tables.items():
            later += [window for one in change.tied_ids if (window := follower.by_id(table, one)) is not None]
        return later, handled

    def _make_good(self, standings: Mapping[str, Standing], now: datetime) -> None:
        """Have compared what deliveries told that were let go, where this key may not read the events themselves."""
        lost = self._deliveries.let_go(self._connection.id)
        if lost is not None:
            told = [path for path in self._readable() if self._is_told(standings[path].table)]
            self._stretches.want(self._connection.id, now, told, None, compared_before=lost.at)

    def _unasked(
        self,
        standings: Mapping[str, Standing],
        tables: Iterable[str],
        told: bool,
        lists: _Lists,
        asked_for: Collection[str],
    ) -> list[Window]:
        """Return what is to be read in this cycle though no event named it: new rows, lists that are not complete."""
        now = self._clock.now()
        units = self._planner.unasked(standings, told, now, self._asked(standings, asked_for, now))
        unread = self._book.unread_lists(self._connection.id)
        wanted = [window for unit in units for window in unit.windows if window.list not in unread]
        asked = {window.list for window in wanted}
        if MOVES_MONEY & set(tables):
            for path in MONEY_LISTS:
                standing = standings.get(path)
                if path not in asked and standing is not None and standing.complete_as_of is not None:
                    wanted += agenda.head(self._catalog.endpoint(path), standing.complete_as_of)
            wanted.append(plan.new_window("/v1/balance"))
        asked = {window.list for window in wanted}
        for path in SINGLES:
            standing = standings.get(path)
            idle = standing is not None and (standing.read_at is None or now - standing.read_at >= _SINGLES_EVERY)
            if "{" not in path and standing is not None and standing.state == "complete" and idle and path not in asked:
                wanted.append(plan.new_window(path))
        for window in wanted:
            if window.list in standings:
                lists.note(window.list, table_name=standings[window.list].table, read_at=now)
        skew = to_unix(self._stripe.now()) - to_unix(now)
        return [
            replace(window, start=window.start + skew) if window.purpose == "head" and window.start else window
            for window in wanted
        ]

    def _asked(
        self, standings: Mapping[str, Standing], asked_for: Collection[str], now: datetime
    ) -> dict[str, datetime]:
        """Return when somebody asked for a list that is not complete: by its name, by one of its stretches, or for a sync."""
        short = {path: one for path, one in standings.items() if one.state not in ("complete", "waiting", "running")}
        if not short:
            return {}
        found = self._stretches.wanted(self._connection.id)
        if (at := self._connection.sync_wanted_at) is not None:
            # What Stripe does not offer to this account is not asked for anew with every sync.
            every = (path for path, one in short.items() if one.state != "unavailable")
            found |= {path: max(at, found.get(path, at)) for path in every}
        return found | dict.fromkeys(asked_for, now)

    def _rest(
        self,
        run: Run,
        windows: list[Window],
        follower: Follower,
        asked: set[str],
        tables: set[str],
        began: datetime,
        checking: Checking | None = None,
    ) -> Outcome:
        """Read what a phase left open, and what that leaves open, to its end."""
        if checking is None:  # lists inside objects that are read whole show which of their rows are gone
            checking = self._checking(run, follower)
        total = self._run(run, windows, follower=follower, asked=asked, checking=checking) if windows else _nothing()
        tables |= total.tables
        payouts = bool(tables & {"payouts", "balance_transactions"})
        while not total.fatal and not total.stopped:
            further = total.later
            total.later = []
            if tables & NAMES_PRICES:
                prices = inline_prices(self._warehouse, self._scope, began)
                further += [window for window in prices if window.parent not in asked]
                asked.update(window.parent for window in prices)
            if payouts:
                further += open_payouts(self._warehouse, self._scope)
                payouts = False
            if not further:
                break
            total = _joined(total, self._run(run, further, follower=follower, asked=asked, checking=checking))
            tables |= total.tables
        return total

    def _note_lists(self, lists: _Lists, outcome: Outcome, standings: Mapping[str, Standing], began: datetime) -> None:
        """Note how the lists that were read came out."""
        for path, progress in outcome.lists.items():
            if "{" in path and path not in standings:
                self._note_inner(lists, path, progress, outcome)
                continue
            failure = outcome.closed.get(path) or outcome.parked.get(path)
            if failure is None and progress.state not in ("forbidden", "unavailable"):
                standing = standings.get(path)
                whole = path in lists.values or standing is None
                if whole or (standing is not None and standing.state == "complete"):
                    lists.note(path, table_name=progress.table, state="complete", reason=None, reason_code=None)
                if whole:
                    lists.note(path, complete_as_of=began, progress=1.0)
            elif failure is not None and "{" not in path:
                state = progress.state if progress.state in ("forbidden", "unavailable") else "partial"
                lists.note(
                    path,
                    table_name=progress.table,
                    state=state,
                    reason=failure.sentence[:500],
                    reason_code=failure.code,
                    read_at=began,
                )

    def _note_inner(self, lists: _Lists, path: str, progress: ListProgress, outcome: Outcome) -> None:
        failure = outcome.closed.get(path) or outcome.parked.get(path)
        if failure is not None:
            lists.note(
                path,
                table_name=progress.table,
                # A key that may read events and not these objects gets what events carry, and no more.
                state=progress.state if progress.state in ("forbidden", "unavailable") else "partial",
                reason=failure.sentence[:500],
                reason_code=failure.code,
            )

    def _gap(self, following: Following, since: datetime) -> None:
        """Notice that events were lost for good, and have everything they may have told of compared."""
        lost_until = self._stripe.now() - EVENTS_KEPT
        # Where nothing happened for long, the newest event is old, and yet none is missing.
        if following.caught_up_at is not None:
            since = max(since, following.caught_up_at + self._skew - EVENTS_OVERLAP)
        if since >= lost_until or following.gap_from == since:
            return
        now = self._clock.now()
        self._planner.extend()  # before it is noted that everything is here: it was, when it was loaded
        paths = [path for path in self._readable() if self._catalog.endpoint(path).table not in _FIXED]
        self._stretches.want(self._connection.id, now, paths, None)
        self._follows.note(self._connection.id, gap_from=following.gap_from or since, gap_to=lost_until)
        self._findings.add(
            self._connection.id,
            [
                Finding(
                    kind="gap",
                    origin="follow",
                    table="events",
                    list=EVENTS,
                    start=since,
                    end=lost_until,
                    since=following.caught_up_at,
                    found_at=now,
                )
            ],
        )
        self._log.warning("sync.events_lost", since=since.isoformat(), until=lost_until.isoformat())

    def _readable(self) -> list[str]:
        return [
            path
            for path, standing in self._book.standings(self._connection.id).items()
            if standing.complete_as_of is not None and "{" not in path and path not in SINGLES
        ]

    # Comparing

    def compare(self, *, wanted_only: bool = False) -> Done:
        """Compare with Stripe what is due and affordable; nothing where nothing is.

        Args:
            wanted_only: Only what somebody asked for, whatever it costs.

        Raises:
            Unavailable: Another worker is at this connection (``sync.busy``).
        """
        self._counter.purpose = "reconcile"
        following = self._follows.of(self._connection.id)
        now = self._clock.now()
        waits = following.planned_at is not None and now - following.planned_at < PLAN_EVERY
        if waits and not wanted_only and not self._follows.anything_wanted(self._connection.id):
            return Done("complete")
        known = self._planner.plan(following)
        units = [unit for unit in self._planner.due(known, now) if unit.stretch is not None]
        if wanted_only:
            units = [unit for unit in units if unit.stretch is not None and unit.stretch.wanted_at is not None]
        a_month = max(0.0, known.budget.limit - budget.PERIOD / known.budget.follow_every)
        tokens = budget.refilled(following.tokens, following.tokens_at, now, a_month)
        rate = self._settings.rate_live if self._connection.livemode else self._settings.rate_sandbox
        most = min(MOST_A_RUN, rate * self._settings.reconcile_rate_share * 60)
        chosen = agenda.affordable(units, tokens, int(MOST_A_RUN if wanted_only else most))
        if not chosen:
            self._follows.note(self._connection.id, planned_at=now, tokens=tokens, tokens_at=now)
            return Done("complete")
        done = self._compare(chosen, known, following)
        self._follows.note(
            self._connection.id,
            planned_at=None if len(chosen) < len(units) or done.state != "complete" else now,
            tokens=tokens - done.requests,
            tokens_at=now,
        )
        self._heal_gap()
        return done

    def extend(self) -> None:
        """Bring the stretches up to what is here."""
        self._planner.extend()

    def anything_wanted(self) -> bool:
        """Tell whether something was asked for out of its turn and is not done yet."""
        return self._follows.anything_wanted(self._connection.id)

    def _compare(self, units: Sequence[Unit], known: Plan, following: Following) -> Done:
        estimate = sum(unit.cost for unit in units)
        run = self._begun("reconcile", estimate)
        began = self._clock.now()
        skew = self._skew
        windows = [window for unit in units for window in unit.windows]
        follower = Follower(
            self._catalog,
            self._cutter,
            Follower.known(self._warehouse, self._scope, self._stripe.now() - budget.PERIOD - timedelta(days=1))
            if any(window.list == EVENTS for window in windows)
            else (),
        )
        told_until = {
            standing.table: (
                following.read_to
                if self._is_told(standing.table) and following.read_to
                else standing.complete_as_of + skew
            )
            for standing in known.standings.values()
            if standing.complete_as_of is not None
        }
        compared = [unit.stretch for unit in units if unit.stretch is not None and unit.kind == "check"]
        checking = self._checking(run, follower, compared, windows, told_until)
        try:
            asked: set[str] = set()
            outcome = self._rest(run, windows, follower, asked, set(), began, checking)
            if outcome.fatal or outcome.stopped:
                self._book.release(run)
                return Done("stopped", outcome.fatal, outcome.fatal is not None, outcome.requests)
            finished = checking.finished()
            self._stretches.mark({key: replace(one, began=one.began - skew) for key, one in finished.items()})
            failed = _failed(outcome, known.standings)
            self._stretches.mark_open(
                [
                    unit.stretch.id
                    for unit in units
                    if unit.kind == "open" and unit.stretch is not None and unit.stretch.list not in failed
                ],
                began,
            )
            requests = outcome.requests + self._explain(run, following)
            lists = _Lists()
            self._note_lists(lists, outcome, known.standings, began)
            for unit in units:
                path = unit.stretch.list if unit.stretch else ""
                if unit.kind == "check" and path not in failed and unit.stretch and unit.stretch.end is None:
                    lists.note(path, table_name=known.standings[path].table, complete_as_of=began, read_at=began)
            self._book.stand(self._connection.id, lists.values)
            state: RunState = "partial" if failed else "complete"
            reason = next(iter(failed.values()), None)
            self._book.close(run, state, {}, reason)
            return Done(state, reason, False, requests)
        except BaseException:
            self._release(run)
            raise

    def _checking(
        self,
        run: Run,
        follower: Follower,
        stretches: Sequence[Stretch] = (),
        windows: Sequence[Window] = (),
        told_until: Mapping[str, datetime] | None = None,
    ) -> Checking:
        return Checking(
            run_id=run.id,
            warehouse=self._warehouse,
            catalog=self._catalog,
            scope=self._scope,
            stretches=stretches,
            windows=windows,
            by_id=lambda table, identifier: follower.by_id(table, identifier),
            told_until=told_until or {},
            now=self._clock.now,
        )

    def _explain(self, run: Run, following: Following) -> int:
        """Take out of a run's findings what merely changed at Stripe while it was under way: events tell; return requests."""
        found = self._findings.of(self._connection.id, run_id=run.id)
        if not any(not one.silent for one in found) or following.read_to is None:
            return 0
        asked = [("limit", 100), ("created[gte]", to_unix(following.read_to - EVENTS_OVERLAP))]
        try:
            page = self._stripe.page(EVENTS, asked)
        except TakingsError as error:
            self._log.info("sync.unexplained", code=error.code)
            return 1
        fresh = Follower(
            self._catalog,
            self._cutter,
            Follower.known(self._warehouse, self._scope, following.read_to - EVENTS_OVERLAP),
        )
        fresh.pieces(page.items, Stamp(self._scope, self._stripe.now(), self._clock.now(), self._catalog.api_version))
        if fresh.objects:
            self._findings.dismiss(run.id, fresh.objects)
        return 1

    def _heal_gap(self) -> None:
        """Note that a gap is healed once everything it may have touched was compared."""
        following = self._follows.of(self._connection.id)
        if following.gap_from is None or self._follows.anything_wanted(self._connection.id):
            return
        self._findings.heal(self._connection.id, ("gap",), self._clock.now(), "reconciled")
        self._follows.note(self._connection.id, gap_from=None, gap_to=None)
        self._log.info("sync.gap_healed", since=following.gap_from.isoformat())

    # Both

    def _begun(self, kind: Any, estimate: int | None = None) -> Run:
        run = self._book.begin(self._connection.id, kind, estimate=estimate)
        if run is None:
            raise Unavailable(
                "sync.busy",
                f"“{self._connection.name}” is being synchronised by another process: wait for it.",
                name=self._connection.name,
            )
        return run

    def _release(self, run: Run) -> None:
        try:
            self._book.release(run)
        except TakingsError as error:
            self._log.warning("sync.left_undone", code=error.code)

    def _run(
        self,
        run: Run,
        windows: list[Window],
        *,
        follower: Follower,
        asked: set[str],
        checking: Checking | None = None,
    ) -> Outcome:
        return Runner(
            run=run,
            windows=windows,
            lists={},
            book=self._book,
            stripe=self._stripe,
            warehouse=self._warehouse,
            catalog=self._catalog,
            settings=self._settings,
            clock=self._clock,
            scope=self._scope,
            floor=plan.STRIPE_BEGAN_UNIX,
            stop=self._stop,
            patient=self._patient,
            follower=follower,
            checking=checking,
            asked=asked,
        ).work()


class _Made(msgspec.Struct):
    created: int


def _nothing() -> Outcome:
    return Outcome({}, {})


def _joined(one: Outcome, other: Outcome) -> Outcome:
    """Return what two phases of one run came to."""
    lists = dict(one.lists)
    for path, progress in other.lists.items():
        if path not in lists or progress.state != "complete":
            lists[path] = progress
    return Outcome(
        lists,
        {**one.parked, **other.parked},
        other.fatal or one.fatal,
        one.stopped or other.stopped,
        one.tables | other.tables,
        other.later,
        {**one.closed, **other.closed},
        one.requests + other.requests,
    )


def _failed(outcome: Outcome, standings: Mapping[str, Standing]) -> dict[str, TakingsError]:
    """Return what makes a run no success: what failed, and lists that are refused now and were not before."""
    lost = {
        path: error
        for path, error in outcome.closed.items()
        # A list inside objects that the key may not read either: what events carry of them is all there is.
        if (standings[path].complete_as_of is not None if path in standings else "{" not in path)
    }
    return {**outcome.parked, **lost}
