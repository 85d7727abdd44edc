"""The values that speak of a connection: the connection itself, its credentials, and what a probe found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

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
        account: ``acct_…`` sent as ``Stripe-Account`` (platform keys), else None.
        api_base: Address of the API where it is not the setting's: the built-in simulator of sample data.
    """

    way: Way
    secret: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    account: str | None = None
    api_base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One Stripe account (or sandbox) joined by a user. Mirrors the row in the store, without credentials."""

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
