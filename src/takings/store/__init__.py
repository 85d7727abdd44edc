"""The product's own database: people, connections, secrets, runs, progress, findings."""

from takings.store.engine import Store
from takings.store.limits import SharedLimiter
from takings.store.requests import RequestCounter
from takings.store.vault import Vault

__all__ = ["RequestCounter", "SharedLimiter", "Store", "Vault"]
