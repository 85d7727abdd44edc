"""Compares Stripe's export of MRR per subscriber and month with our MRR, and says for each customer what makes the difference."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_type_hints
from zoneinfo import ZoneInfo

from takings.errors import Invalid
from takings.metrics import Figures, Recurring
from takings.metrics.policies import DEFAULT, Policy, Switches
from takings.reports.stripe_files import Line, is_comma, minor_of, read_rows
from takings.warehouse import Scope, Warehouse

MrrCause = Literal[
    "switch", "month_end", "rounding", "other_currency", "customer_unknown", "lacking", "reconstructed", "unexplained"
]

_IDS: Final = ("customer_id", "subscriber_id", "customer", "subscriber")
_CURRENCIES: Final = ("currency", "mrr_currency")
_MONTHS: Final = ("month", "month_end", "date", "period")
_AMOUNTS: Final = ("mrr", "mrr_amount", "monthly_recurring_revenue")
_NUMBERED: Final = re.compile(r"^(?:mrr[ _-]*)?(20\d{2})[-/](0[1-9]|1[0-2])(?:[-/]\d{2})?(?:[ T].*)?$", re.I)
_NAMED: Final = re.compile(
    r"^(?:mrr[ _-]*)?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ -](20\d{2})$", re.I
)
_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Switches that change what a subscription counts for, and not whether it does.
_AMOUNTS_BY: Final = frozenset(("repeating", "once", "metered", "thirty_days"))
_PAIRS: Final = 8
#: No two zones are further apart.
_A_ZONE: Final = timedelta(hours=26)

Key = tuple[str, str]
"""Customer and currency."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What the file says of a customer at the end of a month: an amount in major units, or nothing."""

    customer: str
    currency: str
    month: date
    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MrrFile:
    """The export as it was read.

    Attributes:
        name: The file's name, without its folder.
        cells: Of all customers and months; the currency is empty where the file has none.
        months: First days of the months it is about.
        comma: Amounts have a comma before their decimals.
    """

    name: str
    cells: Sequence[Cell]
    months: tuple[date, ...]
    comma: bool

    def minor(self, cell: Cell, currency: str) -> int:
        """Return an amount in minor units; what has more decimals than the currency is rounded once, half to even.

        Raises:
            Invalid: It is no amount.
        """
        where = f"{self.name}, line {cell.line}"
        return minor_of(cell.text, currency, comma=self.comma, where=where, rounded=True) if cell.text else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MrrDifference:
    """A customer whose MRR at the end of a month is another in the file than here.

    Attributes:
        cause: ``switch``: the policy with ``switches`` turned has Stripe's amount; ``month_end``: it has it within a day of the
            month's end, so in another zone; ``rounding``: not more than a minor unit for each item; ``other_currency``: the
            customer's MRR here is in another; ``customer_unknown``: there is no such customer here; ``lacking``: what prices a
            subscription is not here; ``reconstructed``: that time was before the first state that was seen; else ``unexplained``.
        line: Line of the file; None: the file does not have the customer, which is 0.
        stripe, ours: Minor units.
        switches: Such as ``trials = true``.
    """

    cause: MrrCause
    customer: str
    currency: str
    month: date
    line: int | None
    stripe: int
    ours: int
    switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MrrComparison:
    """How a comparison came out.

    Attributes:
        name: Of the file.
        zone: In which months ended.
        policy: The one ours are under, with its version.
        rows: Amounts other than 0 that were compared: in the file, and here.
        sums: By month and currency, minor units: in the file, and here.
        differences: In the order of months and customers.
    """

    name: str
    scope: Scope
    zone: str
    policy: str
    rows: tuple[int, int]
    sums: Mapping[tuple[date, str], tuple[int, int]]
    differences: Sequence[MrrDifference]

    @property
    def ties(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def read_mrr(path: Path) -> MrrFile | None:
    """Read Stripe's export of MRR per subscriber and month; None where the file's columns are those of something else.

    A column for each month, or one that says the month of each row; the currency in a column of its own, if at all.

    Raises:
        Invalid: It is such a file, and cannot be read; the sentence says why.
    """
    columns, lines = read_rows(path)
    return parse_mrr(path.name, columns, lines)


def parse_mrr(name: str, columns: Sequence[str], lines: Iterator[Line]) -> MrrFile | None:
    """Make sense of a file's rows. See :func:`read_mrr`."""
    plain = {re.sub(r"[\W_]+", "_", column.strip().lower()).strip("_"): column for column in columns}
    id = next((plain[one] for one in _IDS if one in plain), None)
    currency = next((plain[one] for one in _CURRENCIES if one in plain), None)
    by_month = {column: month for column in columns if (month := _month(column)) is not None}
    of_row = next((plain[one] for one in _MONTHS if one in plain), None)
    amount = next((plain[one] for one in _AMOUNTS if one in plain), None)
    if id is None or not (by_month or (of_row and amount)):
        return None
    rows = list(lines)
    held = list(by_month) or [amount or ""]
    comma = is_comma(line.cells[column] for line in rows for column in held)
    cells: list[Cell] = []
    for line in rows:
        customer = line.cells[id].strip()
        if not customer.startswith("cus_"):
            if customer.lower() in ("", "total"):
                continue
            raise Invalid(
                "reports.mrr_customer",
                f"{name}, line {line.number}: “{customer[:40]}” is no id of a customer (cus_…): export the report with its column Customer ID.",
                name=name, line=line.number, text=customer[:40],
            )  # fmt: skip
        money = line.cells[currency].strip().lower() if currency else ""
        if currency and not re.fullmatch(r"[a-z]{3}", money):
            raise Invalid(
                "reports.mrr_currency_cell", f"{name}, line {line.number} says no currency: “{money[:10]}”.",
                name=name, line=line.number, text=money[:10],
            )  # fmt: skip
        for column in held:
            month = by_month.get(column) or _month(line.cells[of_row or ""])
            if month is None:
                raise Invalid(
                    "reports.mrr_month", f"{name}, line {line.number}: “{line.cells[of_row or ''][:20]}” is no month.",
                    name=name, line=line.number, text=line.cells[of_row or ""][:20],
                )  # fmt: skip
            cells.append(Cell(customer, money, month, line.cells[column].strip(), line.number))
    if not cells:
        raise Invalid("reports.mrr_empty", f"{name} has no row of a customer.", name=name)
    return MrrFile(name=name, cells=cells, months=tuple(sorted({cell.month for cell in cells})), comma=comma)


def _month(text: str) -> date | None:
    """Return the first day of a month that is written as ``2026-10``, ``2026-10-31`` or ``Oct 2026``."""
    if found := _NUMBERED.match(text.strip()):
        return date(int(found[1]), int(found[2]), 1)
    if found := _NAMED.match(text.strip()):
        return date(int(found[2]), _NAMES.index(found[1].lower()) + 1, 1)
    return None


class _Levels:
    """MRR of customers at any moment, from the changes of it."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        changes: dict[Key, list[tuple[datetime, int]]] = defaultdict(list)
        for customer, currency, at, amount in rows:
            changes[customer, currency].append((at, amount))
        self._at: dict[Key, list[datetime]] = {}
        self._after: dict[Key, list[int]] = {}
        for key, held in changes.items():
            held.sort()
            self._at[key] = [at for at, _ in held]
            total, after = 0, []
            for _, amount in held:
                total += amount
                after.append(total)
            self._after[key] = after

    @property
    def keys(self) -> Sequence[Key]:
        return tuple(self._at)

    def at(self, key: Key, moment: datetime) -> int:
        """Return MRR just before a moment."""
        place = bisect_left(self._at.get(key, []), moment)
        return self._after[key][place - 1] if place else 0

    def near(self, key: Key, moment: datetime) -> set[int]:
        """Return what MRR was at any time within the hours by which zones may differ."""
        times = self._at.get(key, [])
        first, last = bisect_left(times, moment - _A_ZONE), bisect_left(times, moment + _A_ZONE)
        return {self._after[key][place - 1] if place else 0 for place in range(first, last + 1)}


@dataclass(frozen=True, slots=True)
class _Asked:
    """One amount of the file beside ours."""

    key: Key
    month: date
    end: datetime
    line: int | None
    stripe: int
    ours: int


class StripeMrrCompare:
    """Compares files. It writes nothing and asks nothing of Stripe.

    Args:
        warehouse: Where customers are, and the lines of MRR.
        recurring: MRR under any policy.
    """

    def __init__(self, warehouse: Warehouse, recurring: Recurring) -> None:
        self._warehouse, self._recurring = warehouse, recurring

    def owner(self, file: MrrFile, scopes: Sequence[Scope]) -> Scope:
        """Return whose file it is: of the accounts given, the one that has most of its customers.

        Raises:
            Invalid: It cannot be told.
        """
        if len(scopes) == 1:
            return scopes[0]
        rows = self._warehouse.query(
            "SELECT c._account, c._livemode, count(*) FROM stripe.customers AS c WHERE c.id IN (SELECT unnest($ids)) GROUP BY 1, 2 ORDER BY 3 DESC",
            {"ids": sorted({cell.customer for cell in file.cells})},
        ).rows
        for account, livemode, _ in rows:
            if Scope(account, livemode) in scopes:
                return Scope(account, livemode)
        names = ", ".join(sorted(scope.account for scope in scopes)) or "none"
        raise Invalid(
            "reports.which_account",
            f"It cannot be told which account the file is of: give --account. There are: {names}.",
            names=names,
        )

    def compare(self, file: MrrFile, scope: Scope, zone: str, days: tuple[date, date] | None = None) -> MrrComparison:
        """Compare a file with MRR under the policy ``stripe``.

        Args:
            file: The file.
            scope: Whose it is.
            zone: IANA name of the zone in which its months end.
            days: Only months that begin within these; None for all.

        Raises:
            Invalid: An amount cannot be read, or the file has no currency and the account has several.
        """
        with self._recurring.under(DEFAULT, zone) as figures:
            ours = _levels(figures, scope)
        months = [one for one in file.months if days is None or days[0] <= one < days[1]]
        theirs, lines = self._theirs(file, ours, set(months))
        keys = sorted({*ours.keys, *(key for key, _ in theirs)})
        sums: dict[tuple[date, str], tuple[int, int]] = {}
        asked: list[_Asked] = []
        rows = [0, 0]
        for month in months:
            end = _end(month, zone)
            for key in keys:
                stripe, mine = theirs.get((key, month), 0), ours.at(key, end)
                if not stripe and not mine:
                    continue
                rows = [rows[0] + bool(stripe), rows[1] + bool(mine)]
                before = sums.get((month, key[1]), (0, 0))
                sums[month, key[1]] = before[0] + stripe, before[1] + mine
                if stripe != mine:
                    asked.append(_Asked(key, month, end, lines.get((key, month)), stripe, mine))
        return MrrComparison(
            name=file.name, scope=scope, zone=zone, policy=DEFAULT.label, rows=(rows[0], rows[1]), sums=sums,
            differences=self._explained(asked, ours, scope, zone) if asked else (),
        )  # fmt: skip

    def _theirs(
        self, file: MrrFile, ours: _Levels, months: set[date]
    ) -> tuple[dict[tuple[Key, date], int], dict[tuple[Key, date], int]]:
        """Return amounts and lines of the file; several rows of a customer are parts of one amount."""
        only = {currency for _, currency in ours.keys}
        if len(only) != 1 and any(not cell.currency for cell in file.cells):
            raise Invalid(
                "reports.mrr_no_currency",
                f"{file.name} does not say its currency, and there is not just one here: export it with the column Currency.",
                name=file.name,
            )
        amounts: dict[tuple[Key, date], int] = defaultdict(int)
        lines: dict[tuple[Key, date], int] = {}
        for cell in file.cells:
            if cell.month in months:
                currency = cell.currency or next(iter(only))
                where = ((cell.customer, currency), cell.month)
                amounts[where] += file.minor(cell, currency)
                lines.setdefault(where, cell.line)
        return amounts, lines

    def _explained(self, asked: Sequence[_Asked], ours: _Levels, scope: Scope, zone: str) -> list[MrrDifference]:
        customers = sorted({one.key[0] for one in asked})
        known = {
            id for (id,) in self._warehouse.query(
                "SELECT c.id FROM stripe.customers AS c WHERE c._account = $account AND c._livemode = $livemode AND c.id IN (SELECT unnest($ids))",
                {"account": scope.account, "livemode": scope.livemode, "ids": customers},
            ).rows
        }  # fmt: skip
        items = self._items(scope, customers)
        lacking = {
            one.subscription
            for one in self._recurring.differences(DEFAULT, zone)
            if one.lacking and one.account == scope.account
        }
        short = self._owners(scope, lacking)
        seen = self._first_seen(scope, customers)
        switches = self._switches(asked, scope, zone)
        held: dict[str, list[Key]] = defaultdict(list)
        for key in ours.keys:
            held[key[0]].append(key)
        found: list[MrrDifference] = []
        for one in asked:
            switched = switches.get(one, ())
            elsewhere = any(ours.at(key, one.end) for key in held[one.key[0]] if key != one.key)
            causes: dict[MrrCause, bool] = {
                "customer_unknown": one.key[0] not in known,
                "other_currency": not one.ours and elsewhere,
                "switch": len(switched) == 1,
                "month_end": one.stripe in ours.near(one.key, one.end),
                "rounding": is_rounding(one.stripe - one.ours, items.get(one.key[0], 0)),
                "lacking": one.key[0] in short,
                "reconstructed": one.end <= seen.get(one.key[0], one.end - _A_ZONE),
            }
            cause: MrrCause = next((name for name, holds in causes.items() if holds), "unexplained")
            if len(switched) > 1 and cause in ("lacking", "reconstructed", "unexplained"):
                cause = "switch"
            found.append(
                MrrDifference(
                    cause=cause,
                    customer=one.key[0],
                    currency=one.key[1],
                    month=one.month,
                    line=one.line,
                    stripe=one.stripe,
                    ours=one.ours,
                    switches=switched if cause == "switch" else (),
                )
            )
        return found

    def _switches(self, asked: Sequence[_Asked], scope: Scope, zone: str) -> dict[_Asked, tuple[str, ...]]:
        """Return the switch that makes our amount Stripe's, else two that do so together, where there are such.

        One that takes subscriptions in or out hides what the others do to their amounts: so pairs are worked out, as many as
        are likely.
        """
        customers = sorted({one.key[0] for one in asked})
        found: dict[_Asked, tuple[str, ...]] = {}
        pairs: Counter[tuple[str, str]] = Counter()
        with self._recurring.turning(zone, "mrr_lines") as under:
            turned = dict(_turned(DEFAULT.switches))
            levels = {said: _levels(under(policy), scope, customers) for said, policy in turned.items()}
            for one in asked:
                moves = {said: held.at(one.key, one.end) for said, held in levels.items()}
                moving = [said for said, amount in moves.items() if amount != one.ours]
                right = [said for said in moving if moves[said] == one.stripe]
                if right:
                    found[one] = (right[0],)
                for first in () if right else moving:
                    seconds = [other for other in levels if _name(other) in _AMOUNTS_BY - {_name(first)}]
                    pairs.update((first, second) for second in seconds)
            for (first, second), _ in pairs.most_common(_PAIRS):
                both = dict(_turned(turned[first].switches))[second]
                held = _levels(under(both), scope, customers)
                for one in asked:
                    if one not in found and held.at(one.key, one.end) == one.stripe:
                        found[one] = (first, second)
        return found

    def _first_seen(self, scope: Scope, customers: Sequence[str]) -> dict[str, datetime]:
        """Return when the last of each customer's subscriptions was seen for the first time."""
        rows = self._warehouse.query(
            "SELECT s.customer, max(f.at) FROM (SELECT v.id AS id, min(v.as_of) AS at FROM raw.versions AS v "
            "WHERE v.resource = 'subscriptions' AND v.account = $account AND v.livemode = $livemode GROUP BY 1) AS f "
            "JOIN stripe.subscriptions AS s ON s.id = f.id AND s._account = $account AND s._livemode = $livemode "
            "WHERE s.customer IN (SELECT unnest($customers)) GROUP BY 1",
            {"account": scope.account, "livemode": scope.livemode, "customers": customers},
        ).rows
        return dict(rows)

    def _items(self, scope: Scope, customers: Sequence[str]) -> dict[str, int]:
        """Return of how many items each customer's MRR is made."""
        rows = self._warehouse.query(
            "SELECT l.customer, count(DISTINCT l.source) FROM metrics.mrr_lines AS l "
            "WHERE l.account = $account AND l.livemode = $livemode AND l.customer IN (SELECT unnest($customers)) GROUP BY 1",
            {"account": scope.account, "livemode": scope.livemode, "customers": customers},
        ).rows
        return dict(rows)

    def _owners(self, scope: Scope, subscriptions: set[str]) -> set[str]:
        if not subscriptions:
            return set()
        rows = self._warehouse.query(
            "SELECT s.customer FROM stripe.subscriptions AS s WHERE s._account = $account AND s._livemode = $livemode AND s.id IN (SELECT unnest($ids))",
            {"account": scope.account, "livemode": scope.livemode, "ids": sorted(subscriptions)},
        ).rows
        return {customer for (customer,) in rows}


def _levels(figures: Figures, scope: Scope, customers: Sequence[str] | None = None) -> _Levels:
    """Return MRR of some customers of an account, or of all."""
    some = "" if customers is None else "AND l.customer IN (SELECT unnest($customers)) "
    values = {"account": scope.account, "livemode": scope.livemode} | (
        {} if customers is None else {"customers": customers}
    )
    return _Levels(
        figures.ask(
            "SELECT l.customer, l.currency, l.at, CAST(SUM(l.amount) AS BIGINT) FROM metrics.mrr_lines AS l "
            f"WHERE l.account = $account AND l.livemode = $livemode {some}GROUP BY 1, 2, 3",
            values,
        )
    )


def is_rounding(difference: int, items: int) -> bool:
    """Tell whether a difference, in minor units, may come of each item having been rounded in another way."""
    return 0 < abs(difference) <= items


def _end(month: date, zone: str) -> datetime:
    after = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    return datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _turned(switches: Switches) -> Iterator[tuple[str, Policy]]:
    """Give switches with one turned, each way there is; what moves within a day is no matter at a month's end."""
    hints = get_type_hints(Switches)
    for one in fields(Switches):
        if one.name == "netting":
            continue
        held = getattr(switches, one.name)
        for value in get_args(hints[one.name]) or (True, False):
            if value != held:
                said = f"{one.name} = {str(value).lower()}"
                yield said, Policy(said, 0, replace(switches, **{one.name: value}))


def _name(said: str) -> str:
    return said.partition(" ")[0]
