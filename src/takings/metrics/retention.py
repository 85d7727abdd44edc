"""What stays of recurring revenue: retention, churn and cohorts, worked out on customers, each with what each of them adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final

Ask = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""Answers SQL over the lines, as :meth:`takings.metrics.Figures.ask` does."""

_PRESENT: Final = """
SELECT
  l.account AS account,
  l.customer AS customer,
  l.currency AS currency,
  CAST(SUM(CASE WHEN l.day < $start THEN l.amount ELSE 0 END) AS BIGINT) AS opening,
  CAST(SUM(l.amount) AS BIGINT) AS closing,
  MAX(CASE WHEN l.day >= $start AND l.part = 'churn' THEN 1 ELSE 0 END) AS churned,
  MAX(CASE WHEN l.day >= $start AND l.part = 'new' THEN 1 ELSE 0 END) AS came
FROM metrics.mrr_lines AS l
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account) AND ($currency IS NULL OR l.currency = $currency)
GROUP BY l.account, l.customer, l.currency
ORDER BY l.currency, l.account, l.customer
"""
_COHORTS: Final = """
WITH firsts AS (
  SELECT l.account AS account, l.customer AS customer, l.currency AS currency, MIN(strftime(l.day, '%Y-%m')) AS cohort
  FROM metrics.mrr_lines AS l
  WHERE l.livemode = $livemode AND l.part = 'new'
  GROUP BY l.account, l.customer, l.currency
)
SELECT f.currency AS currency, f.cohort AS cohort, strftime(l.day, '%Y-%m') AS month, 'mrr' AS figure, CAST(SUM(l.amount) AS BIGINT) AS amount
FROM metrics.mrr_lines AS l
JOIN firsts AS f ON f.account = l.account AND f.customer = l.customer AND f.currency = l.currency
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account)
GROUP BY 1, 2, 3
UNION ALL
SELECT f.currency, f.cohort, strftime(l.day, '%Y-%m'), 'customers', CAST(SUM(l.amount) AS BIGINT)
FROM metrics.subscriber_lines AS l
JOIN firsts AS f ON f.account = l.account AND f.customer = l.customer AND f.currency = l.currency
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account)
GROUP BY 1, 2, 3
UNION ALL
SELECT l.currency, f.cohort, strftime(l.day, '%Y-%m'), 'collected', CAST(SUM(l.amount) AS BIGINT)
FROM metrics.money_lines AS l
JOIN (SELECT g.account AS account, g.customer AS customer, MIN(g.cohort) AS cohort FROM firsts AS g GROUP BY 1, 2) AS f
  ON f.account = l.account AND f.customer = l.customer
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account)
  AND l.part IN ('charge', 'partial_capture_reversal', 'refund', 'refund_failure', 'dispute', 'dispute_reversal')
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What one customer adds to a share: to what is divided and to what it is divided by, in the figure's own unit."""

    account: str
    customer: str
    over: int
    under: int


@dataclass(frozen=True, slots=True)
class Share:
    """An exact share in one currency, with the customers it is made of.

    Attributes:
        currency: ISO code, small letters.
        over, under: What is divided by what: minor units, or customers.
        parts: Every customer's; they add up to ``over`` and ``under``.
    """

    currency: str
    over: int
    under: int
    parts: tuple[Part, ...]

    @property
    def value(self) -> Fraction | None:
        """The share; None (not applicable) where there is nothing to divide by."""
        return Fraction(self.over, self.under) if self.under else None


@dataclass(frozen=True, slots=True)
class Window:
    """Whose share, and over which days.

    Attributes:
        start: First day; what stood before it is the opening.
        end: The day after the last.
    """

    start: date
    end: date
    account: str | None = None
    livemode: bool = True
    currency: str | None = None


def net_retention(ask: Ask, window: Window) -> list[Share]:
    """Return NRR: (start + expansion − contraction − churn) ÷ start, over the customers present at the start.

    Who churned within the window is at nothing for the rest of it, even after coming back: reactivation is no retention.
    Source: https://docs.stripe.com/billing/subscriptions/analytics/glossary
    """
    return _shares(ask, window, lambda opening, closing, churned: 0 if churned else closing)


def gross_retention(ask: Ask, window: Window) -> list[Share]:
    """Return GRR: as NRR without expansion, each customer capped at what it had at the start."""
    return _shares(ask, window, lambda opening, closing, churned: 0 if churned else min(opening, closing))


def _shares(ask: Ask, window: Window, kept: Callable[[int, int, bool], int]) -> list[Share]:
    parts: dict[str, list[Part]] = defaultdict(list)
    for account, customer, currency, opening, closing, churned, _ in ask(_PRESENT, _values(window)):
        if opening > 0:
            parts[currency].append(Part(account, customer, kept(opening, closing, bool(churned)), opening))
    return _summed(parts)


def logo_churn(ask: Ask, window: Window, *, with_new: bool = False) -> list[Share]:
    """Return the share of the customers present at the start who lost all of their MRR within the window.

    Args:
        ask: See :data:`Ask`.
        window: Whose and when.
        with_new: Stripe's variant: those who came within the window are counted too, above and below.
    """
    parts: dict[str, list[Part]] = defaultdict(list)
    for account, customer, currency, opening, _, churned, came in ask(_PRESENT, _values(window)):
        if opening > 0 or (with_new and came):
            parts[currency].append(Part(account, customer, int(churned), 1))
    return _summed(parts)


def _values(window: Window) -> dict[str, Any]:
    return {
        "start": window.start,
        "end": window.end,
        "livemode": window.livemode,
        "account": window.account,
        "currency": window.currency,
    }


def _summed(parts: dict[str, list[Part]]) -> list[Share]:
    return [
        Share(currency, sum(part.over for part in held), sum(part.under for part in held), tuple(held))
        for currency, held in sorted(parts.items())
    ]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cohort in one of its months.

    Attributes:
        currency: ISO code.
        cohort: Month of the customers' first MRR, ``2026-03``.
        month: Which month.
        age: Whole months since the cohort's.
        customers: Those with MRR at the end of the month.
        mrr: Theirs, minor units, at the end of the month.
        collected: What these customers paid in the month less refunds and disputes, in the balance's currency.
    """

    currency: str
    cohort: str
    month: str
    age: int
    customers: int
    mrr: int
    collected: int


def cohorts(ask: Ask, end: date, *, account: str | None = None, livemode: bool = True) -> list[Cell]:
    """Return customers, MRR and what was collected of each cohort by first month of MRR, month by month.

    Args:
        ask: See :data:`Ask`.
        end: The day after the last that counts.
        account: Only this one; None for all.
        livemode: Live data, or sandboxes'.
    """
    moved: dict[tuple[str, str], dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    rows = ask(_COHORTS, {"end": end, "account": account, "livemode": livemode})
    for currency, cohort, month, figure, amount in rows:
        moved[currency, cohort][figure][_number(month)] += amount
    last = _number(f"{end.year:04d}-{end.month:02d}") - (1 if end.day == 1 else 0)
    cells: list[Cell] = []
    for (currency, cohort), figures in sorted(moved.items()):
        customers = mrr = 0
        first = _number(cohort)
        for month in range(first, last + 1):
            customers += figures["customers"].get(month, 0)
            mrr += figures["mrr"].get(month, 0)
            collected = figures["collected"].get(month, 0)
            cells.append(Cell(currency, cohort, _name(month), month - first, customers, mrr, collected))
    return cells


def _number(month: str) -> int:
    year, _, number = month.partition("-")
    return int(year) * 12 + int(number) - 1


def _name(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
