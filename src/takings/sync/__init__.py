"""Stripe to warehouse: what to read, reading it side by side, keeping in step, comparing, and saying how it stands."""

from takings.sync.book import EVENTS, ListProgress, RunBook, Standing
from takings.sync.budget import Budget
from takings.sync.findings import Finding, FindingBook
from takings.sync.following import FollowBook, Following
from takings.sync.forgetting import Forgetting
from takings.sync.health import (
    DRIFT,
    STEADY_DAYS,
    Ahead,
    DriftDay,
    Health,
    HealthBook,
    LastProof,
    RunRecord,
    TableHealth,
    steady,
)
from takings.sync.maintenance import Maintenance
from takings.sync.rereading import Rereading
from takings.sync.stretches import Stretch, StretchBook
from takings.sync.sync import Summary, Sync
from takings.sync.worker import Chore, Worker

__all__ = [
    "DRIFT",
    "EVENTS",
    "STEADY_DAYS",
    "Ahead",
    "Budget",
    "Chore",
    "DriftDay",
    "Finding",
    "FindingBook",
    "FollowBook",
    "Following",
    "Forgetting",
    "Health",
    "HealthBook",
    "LastProof",
    "ListProgress",
    "Maintenance",
    "Rereading",
    "RunBook",
    "RunRecord",
    "Standing",
    "Stretch",
    "StretchBook",
    "Summary",
    "Sync",
    "TableHealth",
    "Worker",
    "steady",
]
