"""A company made for measuring: as many customers, invoices, charges and balance transactions, and nothing else."""

from __future__ import annotations

import numpy as np

from takings.simulator.books import Balance
from takings.simulator.draft import Draft


def draw(draft: Draft, count: int) -> Balance:
    """Draw so many of each."""
    raise NotImplementedError(np, count)
