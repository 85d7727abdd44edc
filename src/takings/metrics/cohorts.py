"""What stays of recurring revenue: cohorts of customers by the month of their first MRR."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

Ask = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""Answers SQL over the lines, as :meth:`takings.metrics.Figures.ask` does."""

_COHORTS: Final = """
SELECT l.currency AS currency, l.cohort AS cohort, strftime(l.day, '%Y-%m') AS month, 'mrr' AS figure, CAST(SUM(l.amount) AS BIGINT) AS amount
FROM metrics.mrr_lines AS l
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account) AND l.cohort IS NOT NULL
GROUP BY 1, 2, 3
UNION ALL
SELECT l.currency, l.cohort, strftime(l.day, '%Y-%m'), 'customers', CAST(SUM(l.amount) AS BIGINT)
FROM metrics.subscriber_lines AS l
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account) AND l.cohort IS NOT NULL
GROUP BY 1, 2, 3
UNION ALL
SELECT l.currency, f.cohort, strftime(l.day, '%Y-%m'), 'collected', CAST(SUM(l.amount) AS BIGINT)
FROM metrics.money_lines AS l
JOIN (
  SELECT m.account AS account, m.livemode AS livemode, m.customer AS customer, MIN(m.cohort) AS cohort
  FROM metrics.mrr_lines AS m
  WHERE m.cohort IS NOT NULL
  GROUP BY 1, 2, 3
) AS f ON f.account = l.account AND f.livemode = l.livemode AND f.customer = l.customer
WHERE l.livemode = $livemode AND l.day < $end AND ($account IS NULL OR l.account = $account)
  AND l.part IN ('charge', 'partial_capture_reversal', 'refund', 'refund_failure', 'dispute', 'dispute_reversal')
GROUP BY 1, 2, 3
"""


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
