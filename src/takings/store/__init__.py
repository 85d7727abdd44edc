"""The product's own database: people, connections, secrets, runs, progress, findings."""

from takings.store.engine import Store
from takings.store.limits import SharedLimiter
from takings.store.requests import Purpose, RequestCounter, used_for
from takings.store.vault import Vault

__all__ = ["Purpose", "RequestCounter", "SharedLimiter", "Store", "Vault", "used_for"]
