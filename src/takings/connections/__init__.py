"""Sources of data: add, authorize, re-authenticate, pause, disconnect; what credentials may read; how far data reaches."""

from takings.connections.authorization import Authorization, Authorized
from takings.connections.book import Sample
from takings.connections.keys import Key, read_account, read_key
from takings.connections.model import (
    Connection,
    Credentials,
    Estimate,
    ListAccess,
    Pending,
    Probe,
    Removal,
    Source,
    State,
    Way,
)
from takings.connections.probe import is_refusal
from takings.connections.progress import ListProgress, Progress, RunProgress, progress
from takings.connections.service import Connections
from takings.connections.signing import SigningSecret, SigningSecrets
from takings.connections.standing import Reach, Standing, Status, reach, standings, worker_is_there
from takings.connections.webhooks import Deliveries, Delivery, Waiting

__all__ = [
    "Authorization",
    "Authorized",
    "Connection",
    "Connections",
    "Credentials",
    "Deliveries",
    "Delivery",
    "Estimate",
    "Key",
    "ListAccess",
    "ListProgress",
    "Pending",
    "Probe",
    "Progress",
    "Reach",
    "Removal",
    "RunProgress",
    "Sample",
    "SigningSecret",
    "SigningSecrets",
    "Source",
    "Standing",
    "State",
    "Status",
    "Waiting",
    "Way",
    "is_refusal",
    "progress",
    "reach",
    "read_account",
    "read_key",
    "standings",
    "worker_is_there",
]
