"""Decisions, all pure: from facts to the troubles that stand, from troubles to alerts opened and closed, when to retry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from takings.alerts.model import ConnectionFacts, Facts, Key, Kind, ListFacts, Trouble

DRIFT_WINDOW: Final = timedelta(days=7)
#: On so many days of the window reconciling must have found differences before it is a trouble, and to go on being one.
DRIFT_DAYS: Final = 3
_DRIFT_DAYS_STILL: Final = 2

#: Share of our requests from which on the budget is near its end, and below which it is so no longer.
BUDGET_NEAR: Final = 0.9
_BUDGET_STILL: Final = 0.8

#: A worker that has said nothing for so long is none.
WORKER_SILENT: Final = timedelta(seconds=60)
#: After so long it counts no more that there was one: a schedule may be at work in its place.
WORKER_FORGOTTEN: Final = timedelta(hours=1)

#: How long a trouble must stand before anybody is told: what heals itself within that time is no news.
PATIENCE: Final[Mapping[Kind, timedelta]] = {
    "incomplete": timedelta(hours=6),
    "stale": timedelta(minutes=30),
    "worker": timedelta(minutes=5),
}

#: How long it must not be seen before it is taken as over.
CALM: Final[Mapping[Kind, timedelta]] = {"worker": timedelta(minutes=5)}

#: A trouble that nobody looked at for longer than its patience is seen anew: nothing ran in between.
_LEAST_PATIENCE: Final = timedelta(minutes=5)

_WAITS: Final = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    *([timedelta(hours=6)] * 11),
)

#: A list in one of these states is being read: nothing new can be said of it.
_UNDER_WAY: Final = frozenset(("waiting", "running"))
_TABLES_NAMED: Final = 20


def retry_after(tries: int) -> timedelta | None:
    """Return how long to wait after so many tries without success; None: give up (after a little more than three days)."""
    return _WAITS[tries - 1] if 0 < tries <= len(_WAITS) else None


# -- which troubles stand


def troubles(facts: Facts, promise: timedelta, open_keys: Collection[Key] = ()) -> tuple[Trouble, ...]:
    """Return the troubles that stand now, the same for the same facts.

    While a connection is refused, paused or being removed, no trouble of it but the refusal begins, and none ends.

    Args:
        facts: What the store tells.
        promise: Age of a table's data from which on it is too old.
        open_keys: What alerts are open on: some troubles begin later than they end, so that nothing flickers.
    """
    keys = frozenset(open_keys)
    active = {one.id: one for one in facts.connections if one.state == "active"}
    found = [
        *_refused(facts.connections),
        *_of_lists(facts, active, promise, keys),
        *_verify(facts, active),
        *_drift(facts, active, keys),
        *_gaps(facts, active),
        *_budget(facts, active, keys),
        *_worker(facts),
    ]
    named = {one.id: one.name for one in facts.connections}
    resting = {one.id for one in facts.connections if one.state != "active"}
    known = {trouble.key for trouble in found}
    kept = (
        Trouble(key, {}, resting=True)
        for key in sorted(keys)
        if key.connection in resting and key.kind != "refused" and key not in known and key.connection in named
    )
    return (*found, *kept)


#: Lists without rows that no event tells of are looked at once a day, or less often where the budget is small.
_EMPTY_LONGER = timedelta(days=30)
#: Why an account stops that hangs on a platform which has a trouble of its own: that one is told, not hundreds.
_WITH_THE_PLATFORM = frozenset(("connections.platform_refused", "connections.platform_paused"))


def _refused(connections: Sequence[ConnectionFacts]) -> Iterator[Trouble]:
    for one in connections:
        if one.state in ("reauth", "failed") and one.reason_code not in _WITH_THE_PLATFORM:
            yield Trouble(
                Key("refused", one.id),
                {"name": one.name, "state": one.state, "reason": one.reason or "", "reason_code": one.reason_code},
            )


def _of_lists(
    facts: Facts, active: Mapping[str, ConnectionFacts], promise: timedelta, open_keys: frozenset[Key]
) -> Iterator[Trouble]:
    stale: defaultdict[str, list[ListFacts]] = defaultdict(list)
    partial: defaultdict[str, list[ListFacts]] = defaultdict(list)
    for one in facts.lists:
        if one.connection not in active:
            continue
        lost = Key("permission", one.connection, one.path)
        if (one.state == "forbidden" and one.was_read) or (one.state in _UNDER_WAY and lost in open_keys):
            yield Trouble(
                lost,
                {
                    "name": active[one.connection].name,
                    "table": one.table,
                    "reason": one.reason or "",
                    "reason_code": one.reason_code,
                },
                one.since if one.state == "forbidden" else None,
            )
            continue
        if one.state in ("forbidden", "unavailable"):
            continue
        late = promise + _EMPTY_LONGER if one.empty else promise
        if one.complete_as_of is not None and facts.now - one.complete_as_of > late:
            stale[one.connection].append(one)
        # A list that is being read again keeps the trouble alive; it does not begin one.
        if one.state == "partial" or (one.state in _UNDER_WAY and Key("incomplete", one.connection) in open_keys):
            partial[one.connection].append(one)
    for connection, lists in stale.items():
        oldest = min(one.complete_as_of for one in lists if one.complete_as_of is not None)
        yield Trouble(
            Key("stale", connection),
            {
                "name": active[connection].name,
                "oldest": oldest.isoformat(),
                **_tables(lists),
            },
        )
    for connection, lists in partial.items():
        reason = next((one for one in lists if one.reason), lists[0])
        yield Trouble(
            Key("incomplete", connection),
            {
                "name": active[connection].name,
                "reason": reason.reason or "",
                "reason_code": reason.reason_code,
                **_tables(lists),
            },
        )


def _tables(lists: Sequence[ListFacts]) -> dict[str, int | list[str]]:
    tables = sorted({one.table for one in lists})
    return {"tables": tables[:_TABLES_NAMED], "n": len(tables)}


def _verify(facts: Facts, active: Mapping[str, ConnectionFacts]) -> Iterator[Trouble]:
    for one in facts.proofs:
        if one.state == "differs" and one.connection in active:
            yield Trouble(
                Key("verify", one.connection),
                {"name": active[one.connection].name, "n": one.differences},
                one.ended_at,
            )


def _drift(facts: Facts, active: Mapping[str, ConnectionFacts], open_keys: frozenset[Key]) -> Iterator[Trouble]:
    for one in facts.drifts:
        key = Key("drift", one.connection, one.table)
        if one.connection in active and one.days >= (_DRIFT_DAYS_STILL if key in open_keys else DRIFT_DAYS):
            yield Trouble(
                key,
                {"name": active[one.connection].name, "table": one.table, "n": one.rows, "days": one.days},
            )


def _gaps(facts: Facts, active: Mapping[str, ConnectionFacts]) -> Iterator[Trouble]:
    for one in facts.gaps:
        if one.connection in active:
            yield Trouble(
                Key("gap", one.connection),
                {
                    "name": active[one.connection].name,
                    "start": one.start.isoformat(),
                    "end": one.end.isoformat() if one.end else None,
                },
            )


def _budget(facts: Facts, active: Mapping[str, ConnectionFacts], open_keys: frozenset[Key]) -> Iterator[Trouble]:
    for connection, budget in facts.budgets.items():
        key = Key("budget", connection)
        if connection in active and budget.ratio >= (_BUDGET_STILL if key in open_keys else BUDGET_NEAR):
            yield Trouble(
                key,
                {
                    "name": active[connection].name,
                    "used": budget.used,
                    "limit": budget.limit,
                    "percent": int(budget.ratio * 100),
                },
            )


def _worker(facts: Facts) -> Iterator[Trouble]:
    """A worker that stopped without a word; or none at all, and nobody who synchronises by the command line instead."""
    if not any(one.state == "active" for one in facts.connections):
        return
    seen, synced = facts.worker_seen_at, facts.synced_at
    if seen is not None and facts.now - seen < WORKER_FORGOTTEN:
        gone = facts.now - seen > WORKER_SILENT
    else:
        gone = synced is None or facts.now - synced > WORKER_FORGOTTEN
    if gone:
        yield Trouble(Key("worker"), {})


# -- what becomes of alerts


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert that is not over, as kept in the store.

    Attributes:
        opened_at: Since when its trouble stands.
        stood_at: When that was last seen, while nobody is told.
        told_at: When it was told; None: not yet.
        gone_at: Since when its trouble is not seen any more; None: it is.
    """

    id: str
    key: Key
    fields: Mapping[str, object]
    opened_at: datetime
    stood_at: datetime
    told_at: datetime | None
    gone_at: datetime | None


@dataclass(frozen=True, slots=True)
class Begin:
    """Write a trouble down, telling of it at once where it needs no patience."""

    trouble: Trouble
    opened_at: datetime
    tell: bool


@dataclass(frozen=True, slots=True)
class Keep:
    """Note what has changed of an alert that stands.

    Attributes:
        opened_at: Since when it stands, which is now where nobody had looked for long.
        tell: It has stood long enough to be told.
        fields: The newest values; None: as they were.
    """

    alert: Standing
    opened_at: datetime
    tell: bool
    fields: Mapping[str, object] | None


@dataclass(frozen=True, slots=True)
class Fade:
    """Note that an alert's trouble is not seen any more."""

    alert: Standing


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop an alert that was never told: it healed itself."""

    alert: Standing


@dataclass(frozen=True, slots=True)
class End:
    """Close an alert and say that it is over.

    Attributes:
        at: When it was over.
    """

    alert: Standing
    at: datetime


Step = Begin | Keep | Fade | Forget | End


def steps(standing: Sequence[Standing], found: Sequence[Trouble], now: datetime) -> tuple[Step, ...]:
    """Return what becomes of alerts: nothing at all where nothing has changed.

    Args:
        standing: Alerts that are not over.
        found: Troubles that stand now.
        now: The present.
    """
    present = {trouble.key: trouble for trouble in found}
    known = {alert.key for alert in standing}
    made: list[Step] = []
    for key, trouble in present.items():
        if key not in known:
            since = min(trouble.since or now, now)
            made.append(Begin(trouble, since, tell=not _patience(key.kind)))
    for alert in standing:
        seen = present.get(alert.key)
        step = _gone(alert, now) if seen is None else _still(alert, seen, now)
        if step is not None:
            made.append(step)
    return tuple(made)


def _still(alert: Standing, seen: Trouble, now: datetime) -> Step | None:
    if seen.resting:
        return Forget(alert) if alert.told_at is None else None
    fields = seen.fields if dict(seen.fields) != dict(alert.fields) else None
    if alert.told_at is not None:
        return Keep(alert, alert.opened_at, tell=False, fields=fields) if fields or alert.gone_at else None
    patience = _patience(alert.key.kind)
    unwatched = now - alert.stood_at > max(patience, _LEAST_PATIENCE)
    opened_at = now if unwatched else alert.opened_at
    return Keep(alert, opened_at, tell=now - opened_at >= patience, fields=fields)


def _gone(alert: Standing, now: datetime) -> Step | None:
    if alert.told_at is None:
        return Forget(alert)
    gone_at = alert.gone_at or now
    if now - gone_at >= CALM.get(alert.key.kind, timedelta(0)):
        return End(alert, gone_at)
    return Fade(alert) if alert.gone_at is None else None


def _patience(kind: Kind) -> timedelta:
    return PATIENCE.get(kind, timedelta(0))
