"""Sources of data: add, authorize, re-authenticate, pause, disconnect; what credentials may read; how far data reaches."""

from takings.connections.authorization import Authorization, Authorized
from takings.connections.book import Sample
from takings.connections.discovering import Discovering
from takings.connections.keys import Key, key_credentials, read_accounts, read_key
from takings.connections.model import (
    Connection,
    Credentials,
    Discovery,
    Estimate,
    Found,
    ListAccess,
    Pending,
    Probe,
    Removal,
    Source,
    State,
    Way,
)
from takings.connections.platforms import may_follow
from takings.connections.probe import is_refusal
from takings.connections.progress import ListProgress, Progress, RunProgress, progress
from takings.connections.service import Connections
from takings.connections.signing import SigningSecret, SigningSecrets
from takings.connections.standing import (
    Connected,
    Family,
    Reach,
    Standing,
    Status,
    connected,
    families,
    own_standings,
    reach,
    standings,
    worker_is_there,
)
from takings.connections.webhooks import Deliveries, Delivery, Waiting

__all__ = [
    "Authorization",
    "Authorized",
    "Connected",
    "Connection",
    "Connections",
    "Credentials",
    "Deliveries",
    "Delivery",
    "Discovering",
    "Discovery",
    "Estimate",
    "Family",
    "Found",
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
    "connected",
    "families",
    "is_refusal",
    "key_credentials",
    "may_follow",
    "own_standings",
    "progress",
    "reach",
    "read_accounts",
    "read_key",
    "standings",
    "worker_is_there",
]
