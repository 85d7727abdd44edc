"""How much there is to load, judged from a handful of pages: pure arithmetic on what was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

PAGE_ROWS = 100  # Stripe's largest page


@dataclass(frozen=True, slots=True)
class Sampled:
    """One page of a list, newest first, asked for with ``created[lt]=before``.

    Attributes:
        before: The bound in Unix seconds; for the newest page, a second after the present.
        created: Creation times of its rows in Unix seconds, newest first; empty where nothing is older than ``before``.
        has_more: True where more rows lie further back.
    """

    before: int
    created: tuple[int, ...]
    has_more: bool

    @property
    def density(self) -> float:
        """Rows a second over the stretch that the page covers."""
        if not self.created:
            return 0.0
        return len(self.created) / max(1, self.before - self.created[-1])


def rows_since(samples: Sequence[Sampled], start: int) -> tuple[int, bool]:
    """Estimate how many rows of a list were created at or after ``start``.

    Where pages meet or overlap, rows are counted; in between, the density is taken to change at a steady pace from
    one page to the next (logarithmic mean, as of a company that grows).

    Args:
        samples: Pages of one list; the newest page among them. Any order.
        start: Unix seconds. Rows before it do not count.

    Returns:
        The number of rows, and whether it is exact.
    """
    total, exact = 0.0, True
    pages = sorted(samples, key=lambda page: page.before)
    for place, page in enumerate(pages):
        older = pages[place - 1] if place else None
        floor = max(start, older.before if older else start)
        if page.before <= floor:
            continue
        total += sum(1 for moment in page.created if moment >= floor)
        unseen = (page.created[-1] if page.created else page.before) - floor
        if not page.has_more or unseen < 0:
            continue
        exact = False
        total += unseen * (_mean(older.density, page.density) if older else page.density)
    return round(total), exact


def _mean(first: float, second: float) -> float:
    if first <= 0 or second <= 0 or abs(first - second) < 1e-12 * max(first, second):
        return (first + second) / 2
    return (second - first) / log(second / first)


def pages_for(rows: int) -> int:
    """Return how many requests list that many rows: at least one."""
    return max(1, ceil(rows / PAGE_ROWS))


def minutes_for(requests: Sequence[int], rate_account: float, rate_endpoint: float) -> float:
    """Return how long loading takes at least, in minutes, by Stripe's rate alone.

    Args:
        requests: Requests of each list.
        rate_account: Requests a second that the account gives us, head-room taken off.
        rate_endpoint: Requests a second that one list gives us, head-room taken off.
    """
    if not requests:
        return 0.0
    return max(sum(requests) / rate_account, max(requests) / rate_endpoint) / 60
