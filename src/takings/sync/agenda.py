"""Decides what of a connection is looked at again next: how often each thing is due, what it costs, and what comes first.

Pure decisions over values. Following events comes before all of this and is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Final, Literal

from takings.catalog.model import Catalog, ListEndpoint, Resource
from takings.clock import to_unix
from takings.sync import plan
from takings.sync.book import EVENTS, Standing
from takings.sync.budget import PERIOD
from takings.sync.plan import Window
from takings.sync.stretches import Stretch, age, cost

#: Looks at new rows begin this long before the moment up to which they are known.
OVERLAP: Final = timedelta(minutes=5)
#: Tables whose changes move money: each new row of theirs comes with balance transactions.
MOVES_MONEY: Final = frozenset(
    (
        "application_fee_refunds",
        "application_fees",
        "charges",
        "disputes",
        "issuing_authorizations",
        "issuing_transactions",
        "payouts",
        "refunds",
        "topups",
        "transfer_reversals",
        "transfers",
    )
)
#: Lists that grow when money moves, though no event tells of them.
MONEY_LISTS: Final = ("/v1/balance_transactions",)

_AGAIN: Final = timedelta(minutes=15)
_FORBIDDEN_AGAIN: Final = timedelta(hours=6)
_UNAVAILABLE_AGAIN: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_LEAST_OPEN: Final = timedelta(hours=1)
_LEAST_UNTOLD: Final = timedelta(hours=6)
_UNTOLD_AT_MOST: Final = timedelta(hours=18)
#: Everything is due a little before the horizon, so that it is done within it.
_EARLY: Final = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things are looked at.

    Attributes:
        new_every: Time between two looks for new rows that no event tells of.
        horizon: Time within which every row is compared again.
        factor: By what everything but the horizon is stretched to stay within the budget: 1 or more.
        told: True where events can be read.
    """

    new_every: timedelta
    horizon: timedelta
    factor: float = 1.0
    told: bool = True

    def stretched(self, wanted: timedelta) -> timedelta:
        """Return a time between two looks, stretched, but never beyond the horizon."""
        return min(wanted * self.factor, self.horizon * _EARLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Something to look at.

    Attributes:
        kind: ``load``: a list that is not complete; ``head``: new rows; ``check``: a stretch, row by row; ``open``: the
            objects of a stretch that are in an open state.
        windows: What is read.
        cost: Requests, about.
        late: How late it is, in times between two looks: due from 1 on; infinite where somebody asked for it.
        stretch: The stretch concerned, None where it is none.
        pressing: It would not be looked at within the horizon if it had to wait further.
    """

    kind: Literal["load", "head", "check", "open"]
    windows: tuple[Window, ...]
    cost: int
    late: float
    stretch: Stretch | None = None
    pressing: bool = False


def is_told(resource: Resource, pace: Pace) -> bool:
    """Tell whether events tell of new rows of a table."""
    return pace.told and bool(resource.events)


def head_every(endpoint: ListEndpoint, resource: Resource, rows: int, pace: Pace) -> timedelta | None:
    """Return the time between two looks for new rows of a list; None where events tell of them, or it is read whole."""
    if is_told(resource, pace) or not endpoint.created_filter:
        return None
    return pace.stretched(pace.new_every if rows else _DAY)


def check_every(stretch: Stretch, resource: Resource, pace: Pace, now: datetime) -> timedelta:
    """Return the time between two comparisons of a stretch: young ones often, old ones once within the horizon."""
    told = is_told(resource, pace)
    if stretch.end is not None:
        wanted = max(_DAY, age(stretch, now) / 2)
    elif not stretch.rows:
        wanted = _WEEK if told else _DAY
    elif stretch.bounded:
        wanted = _DAY if told else _LEAST_UNTOLD
    else:
        # A list that is read whole costs more the longer it is.
        wanted = max(_DAY, stretch.pages * _LEAST_UNTOLD) if told else max(_LEAST_UNTOLD, stretch.pages * _LEAST_OPEN)
    if not told and stretch.end is None and stretch.rows:
        return min(pace.stretched(wanted), _UNTOLD_AT_MOST)  # nothing else says that it is still so
    return pace.stretched(wanted)


def open_every(youngest: datetime | None, pace: Pace, now: datetime) -> timedelta:
    """Return the time between two looks at objects in open states: the longer they are open, the longer."""
    since = timedelta(0) if youngest is None else now - youngest
    return pace.stretched(max(_LEAST_OPEN, since / 10))


def is_deep(stretch: Stretch, every: timedelta, pace: Pace, now: datetime) -> bool:
    """Tell whether the lists inside a stretch's objects are to be read whole with it this time.

    They are every half horizon, and sooner where the next time would be beyond the horizon.
    """
    waited = now - stretch.nested_at
    return waited >= pace.horizon * 0.5 or waited + every > pace.horizon * _EARLY or stretch.wanted_at is not None


def due(
    catalog: Catalog,
    standings: Mapping[str, Standing],
    stretches: Sequence[Stretch],
    opened: Mapping[str, Sequence[tuple[Window, datetime | None]]],
    pace: Pace,
    now: datetime,
    since: int | None = None,
    asked: Mapping[str, datetime] | None = None,
) -> list[Unit]:
    """Return what is due, what is latest first.

    Args:
        catalog: What lists there are.
        standings: How each list stands.
        stretches: What is compared.
        opened: By stretch: windows for its objects in open states, with when each was made.
        pace: How often.
        now: The present.
        since: Second from which history is wanted; None: from its beginning.
        asked: By list: when somebody last asked for it. One that did not come out complete is then tried at once.
    """
    found = [
        *_lists(catalog, standings, pace, now, since, asked or {}),
        *_stretches(catalog, standings, stretches, opened, pace, now),
    ]
    return sorted((unit for unit in found if unit.late >= 1), key=lambda unit: (-unit.late, unit.cost))


def _lists(
    catalog: Catalog,
    standings: Mapping[str, Standing],
    pace: Pace,
    now: datetime,
    since: int | None,
    asked: Mapping[str, datetime],
) -> Iterable[Unit]:
    for endpoint in catalog.lists:
        standing = standings.get(endpoint.path)
        if standing is None or endpoint.needs or endpoint.computed or endpoint.window:
            continue
        resource = catalog.resources[endpoint.table]
        wanted = asked.get(endpoint.path)
        never = standing.read_at is None or (wanted is not None and wanted > standing.read_at)
        read = inf if never else 0.0
        idle = timedelta(0) if standing.read_at is None else now - standing.read_at
        refused = standing.state in ("forbidden", "unavailable")
        late = max(read, idle / _AGAIN)
        if standing.state == "partial" and standing.complete_as_of is not None and endpoint.created_filter:
            yield Unit(kind="head", windows=head(endpoint, standing.complete_as_of), cost=1, late=late)
            continue
        if refused or standing.complete_as_of is None or standing.state == "partial":
            every = _AGAIN
            if refused:
                every = _FORBIDDEN_AGAIN if standing.state == "forbidden" else _UNAVAILABLE_AGAIN
            start = since if endpoint.created_filter else None
            windows = tuple(
                plan.new_window(endpoint.path, variant=variant, start=start) for variant in plan.variants(endpoint)
            )
            late = max(read, idle / every)
            yield Unit(kind="load", windows=windows, cost=1 if refused else standing.rows // 100 + 1, late=late)
            continue
        if endpoint.path == EVENTS:
            continue
        every_head = head_every(endpoint, resource, standing.rows, pace)
        if every_head is not None:
            yield Unit(
                kind="head",
                windows=head(endpoint, standing.complete_as_of),
                cost=len(plan.variants(endpoint)),
                late=(now - standing.complete_as_of) / every_head,
            )


def head(endpoint: ListEndpoint, complete_as_of: datetime) -> tuple[Window, ...]:
    """Return the windows that read a list's rows since it was last complete."""
    start = to_unix(complete_as_of - OVERLAP)
    return tuple(
        plan.new_window(endpoint.path, variant=variant, start=start, purpose="head")
        for variant in plan.variants(endpoint)
    )


def _stretches(
    catalog: Catalog,
    standings: Mapping[str, Standing],
    stretches: Sequence[Stretch],
    opened: Mapping[str, Sequence[tuple[Window, datetime | None]]],
    pace: Pace,
    now: datetime,
) -> Iterable[Unit]:
    for stretch in stretches:
        standing = standings.get(stretch.list)
        if standing is None or standing.complete_as_of is None or standing.state != "complete":
            continue
        endpoint = catalog.endpoint(stretch.list)
        every = check_every(stretch, catalog.resources[endpoint.table], pace, now)
        late = inf if stretch.wanted_at is not None else (now - stretch.listed_at) / every
        deep = is_deep(stretch, every, pace, now)
        if late < 1:
            still = opened.get(stretch.id, ())
            if not still:
                continue
            moments = [made for _, made in still if made is not None]
            late = (now - stretch.open_at) / open_every(max(moments, default=None), pace, now)
            if len(still) <= stretch.pages:
                windows = tuple(window for window, _ in still)
                yield Unit(kind="open", windows=windows, cost=len(windows), late=late, stretch=stretch)
                continue
        yield Unit(
            kind="check",
            windows=comparing(endpoint, stretch, deep=deep),
            cost=cost(endpoint, stretch, deep=deep),
            late=late,
            stretch=stretch,
            pressing=now - (stretch.nested_at if deep else stretch.listed_at) >= pace.horizon * _EARLY,
        )


def comparing(endpoint: ListEndpoint, stretch: Stretch, *, deep: bool) -> tuple[Window, ...]:
    """Return the windows that show every row of a stretch."""
    return tuple(
        plan.new_window(
            stretch.list,
            variant=variant,
            start=stretch.start,
            end=stretch.end,
            purpose="deep" if deep else "check",
            check=stretch.id,
        )
        for variant in plan.variants(endpoint)
    )


def forecast(
    catalog: Catalog,
    standings: Mapping[str, Standing],
    stretches: Sequence[Stretch],
    opened: Mapping[str, Sequence[tuple[Window, datetime | None]]],
    pace: Pace,
    follow_every: timedelta,
    now: datetime,
) -> int:
    """Return how many requests following and comparing take in thirty days at a pace."""
    total = PERIOD / follow_every
    for endpoint in catalog.lists:
        standing = standings.get(endpoint.path)
        if standing is None or endpoint.needs or standing.complete_as_of is None:
            continue
        every = head_every(endpoint, catalog.resources[endpoint.table], standing.rows, pace)
        if every is not None and endpoint.path != EVENTS:
            total += len(plan.variants(endpoint)) * (PERIOD / every)
    for stretch in stretches:
        endpoint = catalog.endpoint(stretch.list)
        every = check_every(stretch, catalog.resources[endpoint.table], pace, now)
        total += cost(endpoint, stretch, deep=False) * (PERIOD / every)
        total += stretch.inner * (PERIOD / max(every, pace.horizon * 0.5))
        still = opened.get(stretch.id, ())
        if still:
            moments = [made for _, made in still if made is not None]
            total += min(len(still), stretch.pages) * (PERIOD / open_every(max(moments, default=None), pace, now))
    return ceil(total)


def affordable(units: Sequence[Unit], requests: float, most: int) -> list[Unit]:
    """Return the first units that together take no more than so many requests.

    What somebody asked for is paid for whatever there is. A unit that is dearer than one run may be goes alone; one that
    is dearer than all that can ever be saved up does so once it is twice as late as it should be, or pressing.

    Args:
        units: Those due, the latest first.
        requests: What may be spent.
        most: Requests that one run takes at most, asked for or not.
    """
    chosen: list[Unit] = []
    left, room = requests, float(most)
    for unit in units:
        if unit.late != inf and unit.cost > left:
            continue
        if not chosen or unit.cost <= room:
            chosen.append(unit)
            room -= unit.cost
            left -= 0 if unit.late == inf else unit.cost
    if not chosen and requests > 0:
        return [unit for unit in units if unit.late >= 2 or unit.pressing][:1]
    return chosen
