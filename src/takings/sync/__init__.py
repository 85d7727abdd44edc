"""Stripe to warehouse: what to read, reading it side by side, picking up where it was left, and saying how it stands."""

from takings.sync.book import ListProgress, RunBook
from takings.sync.sync import Summary, Sync
from takings.sync.worker import Worker

__all__ = ["ListProgress", "RunBook", "Summary", "Sync", "Worker"]
