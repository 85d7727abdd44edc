"""Rolls the balance forward day by day from its transactions, and holds it against each balance that Stripe has stated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from takings.proof.model import Verification
from takings.proof.statement import PAYOUT_CATEGORIES, Category, Checkpoint, Day
from takings.warehouse import Scope
from takings.warehouse.engine import Session

_OWN: Final = "t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL"

_NETS: Final = f"""
SELECT t.currency AS currency, CAST(t.created AT TIME ZONE 'UTC' AS DATE) AS day, sum(t.net) AS net, count(*) AS n
FROM stripe.balance_transactions AS t
WHERE {_OWN} AND t.created < $until
GROUP BY 1, 2
"""

_ACTIVITY: Final = f"""
SELECT t.currency AS currency, CAST(t.created AT TIME ZONE 'UTC' AS DATE) AS day,
    coalesce(t.reporting_category, '') AS category,
    count(*) AS n, sum(t.amount) AS gross, sum(t.fee) AS fee, sum(t.net) AS net
FROM stripe.balance_transactions AS t
WHERE {_OWN} AND t.created >= $start AND t.created < $end
GROUP BY 1, 2, 3
"""

_ASKED: Final = """
WITH asked AS (
    SELECT unnest($numbers) AS number, unnest($currencies) AS currency, unnest($throughs) AS through,
        unnest($moments) AS moment, unnest($days) AS day
)
"""

_PARTIAL: Final = f"""{_ASKED}
SELECT k.number AS number, sum(t.net) AS net
FROM asked AS k
JOIN stripe.balance_transactions AS t
    ON t.currency = k.currency AND CAST(t.created AT TIME ZONE 'UTC' AS DATE) = k.day AND t.created <= k.through
WHERE {_OWN} AND t.created >= $since
GROUP BY k.number
"""

# A transaction of the very second of the newest one that was not here yet when the balance was asked for came after it.
_AFTER: Final = f"""{_ASKED}
SELECT m.number AS number, sum(m.net) AS net
FROM (
    SELECT k.number AS number, t.id AS id, any_value(t.net) AS net
    FROM asked AS k
    JOIN stripe.balance_transactions AS t ON t.currency = k.currency AND t.created = k.through
    JOIN raw.versions AS v ON v.id = t.id AND v.resource = 'balance_transactions'
        AND v.account = $account AND v.livemode = $livemode
    WHERE {_OWN} AND t.created >= $since
    GROUP BY k.number, t.id, k.moment
    HAVING min(v.known_at) > k.moment
) AS m
GROUP BY m.number
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A balance that Stripe stated: who asked, when, through which transaction, Stripe's figure, and ours of that time."""

    proof_id: str
    currency: str
    at: datetime
    through: datetime
    stripe: int
    then: int


@dataclass(frozen=True, slots=True)
class Rolled:
    """The days, categories and checkpoints of one currency."""

    days: list[Day]
    categories: list[Category]
    checkpoints: list[Checkpoint]


def asked_of(verifications: Iterable[Verification]) -> list[Asked]:
    """Return the balances that verifications heard from Stripe while nothing moved, oldest first."""
    found = [
        Asked(one.id, part.subject, one.ended_at, part.as_of, part.stripe, part.ours)
        for one in verifications
        if one.ended_at is not None
        for part in one.parts
        if part.check == "balance"
        and part.state in ("proven", "differs")
        and part.as_of is not None
        and part.stripe is not None
        and part.ours is not None
    ]
    return sorted(found, key=lambda one: (one.at, one.currency))


def roll(session: Session, scope: Scope, start: date, end: date, asked: Sequence[Asked]) -> dict[str, Rolled]:
    """Roll every currency of an account forward.

    Args:
        session: Where the transactions are.
        scope: Whose.
        start: First UTC day.
        end: The day after the last.
        asked: Balances that Stripe stated.

    Returns:
        By currency; those that had no transaction before ``end`` are left out, unless Stripe says that they had.
    """
    owner = {"account": scope.account, "livemode": scope.livemode}
    until = max([_midnight(end), *(_midnight(one.through.date() + timedelta(days=1)) for one in asked)])
    nets: dict[str, dict[date, int]] = defaultdict(dict)
    for currency, day, net, _ in session.execute(_NETS, {**owner, "until": until}).fetchall():
        nets[currency][day] = int(net)
    cells: dict[str, dict[date, list[Category]]] = defaultdict(lambda: defaultdict(list))
    bounds = {**owner, "start": _midnight(start), "end": _midnight(end)}
    for currency, day, category, count, gross, fee, net in session.execute(_ACTIVITY, bounds).fetchall():
        cells[currency][day].append(
            Category(category=category, count=int(count), gross=int(gross), fee=int(fee), net=int(net))
        )
    checkpoints = _checkpoints(session, owner, asked, nets)
    found: dict[str, Rolled] = {}
    for currency in sorted({*nets, *checkpoints}):
        days = _days(start, end, nets[currency], cells[currency], checkpoints[currency])
        if min(nets[currency], default=end) < end or not all(one.ties for one in checkpoints[currency]):
            found[currency] = Rolled(days, _categories(cells[currency]), checkpoints[currency])
    return found


def _checkpoints(
    session: Session, owner: Mapping[str, Any], asked: Sequence[Asked], nets: Mapping[str, Mapping[date, int]]
) -> dict[str, list[Checkpoint]]:
    found: dict[str, list[Checkpoint]] = defaultdict(list)
    if not asked:
        return found
    days = [one.through.astimezone(UTC).date() for one in asked]
    before = [
        sum(net for at, net in nets.get(one.currency, {}).items() if at < day)
        for one, day in zip(asked, days, strict=True)
    ]
    partial = _numbered(session, _PARTIAL, owner, asked, days, range(len(asked)))
    now = [before[at] + partial.get(at, 0) for at in range(len(asked))]
    if wrong := [at for at, one in enumerate(asked) if now[at] != one.stripe]:
        for at, net in _numbered(session, _AFTER, owner, asked, days, wrong).items():
            now[at] -= net
    for at, one in enumerate(asked):
        found[one.currency].append(
            Checkpoint(
                proof_id=one.proof_id, at=one.at, through=one.through, stripe=one.stripe, then=one.then, now=now[at]
            )
        )
    return found


def _days(
    start: date,
    end: date,
    nets: Mapping[date, int],
    cells: Mapping[date, Sequence[Category]],
    checkpoints: Sequence[Checkpoint],
) -> list[Day]:
    balance = sum(net for day, net in nets.items() if day < start)
    heard = {one.at.astimezone(UTC).date(): one for one in checkpoints}  # the last of a day stays
    days: list[Day] = []
    day = start
    while day < end:
        activity = [one for one in cells.get(day, ()) if not one.payout]
        payouts = [one for one in cells.get(day, ()) if one.payout]
        closing = balance + nets.get(day, 0)
        days.append(
            Day(
                day=day,
                opening=balance,
                gross=sum(one.gross for one in activity),
                fee=sum(one.fee for one in activity),
                payouts=sum(one.gross - one.fee for one in payouts),
                closing=closing,
                checkpoint=heard.get(day),
            )
        )
        balance = closing
        day += timedelta(days=1)
    return days


def _categories(cells: Mapping[date, Sequence[Category]]) -> list[Category]:
    summed: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for day in cells.values():
        for one in day:
            for at, value in enumerate((one.count, one.gross, one.fee, one.net)):
                summed[one.category][at] += value
    order = sorted(summed, key=lambda name: (name in PAYOUT_CATEGORIES, name))
    return [
        Category(category=name, count=count, gross=gross, fee=fee, net=net)
        for name in order
        for count, gross, fee, net in [summed[name]]
    ]


def _numbered(
    session: Session,
    sql: str,
    owner: Mapping[str, Any],
    asked: Sequence[Asked],
    days: Sequence[date],
    chosen: Iterable[int],
) -> dict[int, int]:
    numbers = list(chosen)
    values = {
        **owner,
        "numbers": numbers,
        "currencies": [asked[at].currency for at in numbers],
        "throughs": [asked[at].through for at in numbers],
        "days": [days[at] for at in numbers],
        "since": _midnight(min(days[at] for at in numbers)),
        "moments": [asked[at].at for at in numbers],
    }
    return {int(number): int(net) for number, net in session.execute(sql, values).fetchall()}


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
