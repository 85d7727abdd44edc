"""The values that speak of a connection: the connection itself, its credentials, and what a probe found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

ACCOUNTS: Final = "/v1/accounts"
"""Path of the list of the accounts that are connected to a platform."""

Access = Literal["allowed", "forbidden", "unavailable", "unknown"]
Way = Literal["key", "app_oauth", "connect_oauth"]
State = Literal["active", "paused", "reauth", "failed", "disconnecting"]
Source = Literal["stripe", "sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What opens an account. Secrets never show in ``repr``.

    Attributes:
        way: How they were obtained.
        secret: Restricted key or access token.
        refresh: Refresh token of a Stripe App, else None.
        expires_at: When the access token ends, None where it does not.
        account: ``acct_…`` sent as ``Stripe-Account`` (platform keys) or ``Stripe-Context``, else None.
        context: The key is an organisation's: ``account`` is sent as ``Stripe-Context``, and may be a platform and an
            account connected to it (``acct_…/acct_…``).
        api_base: Address of the API where it is not the setting's: the built-in simulator of sample data.
    """

    way: Way
    secret: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    account: str | None = None
    context: bool = False
    api_base: str | None = None

    def of_connected(self, account_id: str) -> Credentials:
        """Return what opens an account that is connected to the platform which these open."""
        return replace(self, account=f"{self.account}/{account_id}" if self.context and self.account else account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One Stripe account (or sandbox) joined by a user. Mirrors the row in the store, without credentials.

    Attributes:
        platform_id: Id of the connection of the platform whose key opens this account; None: it has its own key.
        pool_account: Account whose rate and read allocation its requests count against; None: its own.
        follows_accounts: It is a platform's, and the accounts connected to it are followed too.
        discovered_at: When they were last listed; None: not yet, or wanted again.
    """

    id: str
    name: str
    source: Source
    way: Way
    account_id: str
    account_name: str
    livemode: bool
    country: str | None
    currency: str | None
    state: State
    reason: str | None
    reason_code: str | None
    start_at: datetime | None
    permissions: dict[str, str]
    created_at: datetime
    last_sync_at: datetime | None
    sync_wanted_at: datetime | None
    next_sync_at: datetime | None
    platform_id: str | None = None
    pool_account: str | None = None
    follows_accounts: bool = False
    discovered_at: datetime | None = None

    @property
    def pool_account_id(self) -> str:
        """Account whose rate and read allocation its requests count against: the platform's, for connected ones."""
        return self.pool_account or self.account_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAccess:
    """What credentials may do with one of Stripe's lists.

    Attributes:
        path: Path of the list, such as ``/v1/charges``.
        table: Table its rows go to.
        access: ``allowed``; ``forbidden``: the key lacks ``permission``; ``unavailable``: the account does not have
            this product; ``unknown``: Stripe gave no clear answer just now, it is asked again while syncing.
        permission: Name of the permission that opens it, as Stripe says or as the catalogue knows; None: not known.
        reason: English sentence on why it cannot be read; None where it can.
        reason_code: Code of that sentence, for translation.
        rows: How many rows there are; None: not known or not readable.
        exact: True where ``rows`` was counted and not estimated.
    """

    path: str
    table: str
    access: Access
    permission: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    rows: int | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What loading costs, from one possible start of history.

    Attributes:
        start_at: Oldest moment to load; None: everything.
        objects: Objects to load, nested ones too.
        requests: Requests to Stripe.
        minutes: Least duration in minutes, by the rate that Stripe grants and the share we take of it.
        exact: True where every list was counted whole.
    """

    start_at: datetime | None
    objects: int
    requests: int
    minutes: float
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What credentials turned out to open.

    Attributes:
        account_id: ``acct_…``; where Stripe does not tell it, an id of our own that begins with ``unknown_``.
        account_known: False for such an id of our own.
        account_name: Name on Stripe's dashboard, or the id.
        country: Two letters, upper case; None: the credentials may not read it.
        currency: The account's default currency, lower case; None likewise.
        livemode: True for real money.
        first_at: Oldest moment of which there is data; None: no data, or no list could tell.
        lists: Every list that is read by default.
        estimates: All history first, then shorter ones.
        aliases: Ids under which this account may also have been joined: found when less was known of it.
        pool_account: Account whose rate is used where that is not this one: the platform's whose key it is.
        broad_key: True where a secret key was given although a restricted one does.
        requests: Requests that the probe itself took.
    """

    account_id: str
    account_known: bool
    account_name: str
    country: str | None
    currency: str | None
    livemode: bool
    first_at: datetime | None
    lists: tuple[ListAccess, ...]
    estimates: tuple[Estimate, ...]
    aliases: tuple[str, ...] = ()
    pool_account: str | None = None
    broad_key: bool = False
    requests: int = 0

    @property
    def permissions(self) -> dict[str, str]:
        """List path to access, as kept with the connection."""
        return {one.path: one.access for one in self.lists}

    @property
    def connected(self) -> int:
        """How many accounts are connected to this one, about; 0: it is no platform, or its key may not list them."""
        return next((one.rows or 0 for one in self.lists if one.path == ACCOUNTS and one.access == "allowed"), 0)

    def is_account(self, account_id: str) -> bool:
        """Tell whether these credentials open the account joined under that id."""
        return account_id == self.account_id or account_id in self.aliases


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What Stripe says of an account.

    Attributes:
        path: How the credentials name it: its id, for an organisation's key perhaps after that of a platform.
        name: Name on Stripe's dashboard, or the id.
        country: Two letters, upper case; None: not told.
        currency: The account's default currency, lower case; None likewise.
    """

    account_id: str
    path: str
    name: str
    country: str | None
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What listing the accounts connected to a platform brought.

    Attributes:
        added: Accounts that are followed from now on.
        returned: Accounts whose access had been withdrawn and is there again.
        gone: Accounts whose access is withdrawn.
        listed: How many accounts Stripe lists.
    """

    added: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    listed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A connection being made: credentials at hand, waiting for the person's yes.

    Attributes:
        probe: What they open; None: not looked at yet.
        reauthenticates: Id of the connection that these are new credentials for; None: a new connection.
        others: Further accounts that the same key opens and that become connections of their own.
    """

    id: str
    source: Source
    way: Way
    created_at: datetime
    probe: Probe | None
    reauthenticates: str | None = None
    others: tuple[Found, ...] = ()

    @property
    def platform(self) -> bool:
        """True where the accounts connected to this one can be followed too."""
        return self.source == "stripe" and self.way == "key" and self.probe is not None and self.probe.connected > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What disconnecting with a purge would delete.

    Attributes:
        tables: Table name and rows, largest first; empty tables left out.
        rows: Their sum.
        accounts: Connected accounts that go along with a platform.
        size_bytes: Room on disk that this data takes, about; None: unknown.
    """

    tables: tuple[tuple[str, int], ...]
    rows: int
    size_bytes: int | None
    accounts: int = 0
