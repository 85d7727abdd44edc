"""The world: its configuration, its Stripe accounts, and the one way to read (and change) each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from takings.clock import Clock

#: The API version whose shapes the objects have.
API_VERSION = "2026-10-28.endive"


class Answer(NamedTuple):
    """What Stripe says to one GET: an HTTP status and a JSON body."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """What a world is made from; the same configuration gives the same bytes.

    Args:
        objects: About how many objects the live account has, over all kinds (100 to 10,000,000).
        seed: What the dice start from.
        months: Length of the company's life, in months of 365.2425 / 12 days.
        end: The world's "now" (aware); None takes the clock's at start.
        name: The company's name.
        country: Two letters.
        currency: Main currency, lower case.
        test_objects: About how many objects the test-mode (sandbox) side of the account has.
        profile: ``company`` makes a whole company; ``benchmark`` makes equal numbers of charges, customers, invoices
            and balance transactions of about 3.4 kB each and nothing else.
    """

    objects: int = 50_000
    seed: int = 1
    months: int = 36
    end: datetime | None = None
    name: str = "Aurore Coffee"
    country: str = "FR"
    currency: str = "eur"
    test_objects: int = 1_500
    profile: Literal["company", "benchmark"] = "company"


class Account:
    """One Stripe account in one mode (live or test): everything its API answers to GET.

    Thread-safe for reading; changes take a lock.
    """

    id: str
    livemode: bool
    name: str
    country: str
    default_currency: str

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """Answer a GET: ``path`` without host or query (``/v1/charges``), ``query`` as decoded pairs (``("expand[]", "data.customer")``).

        Errors are answers too (400, 404 … with Stripe's error body), never exceptions. Knows no keys and no limits.
        """
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Return the truth for tests (see the implementation for its keys)."""
        raise NotImplementedError

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that hold anything, in the catalogue's words (``charges``)."""
        raise NotImplementedError

    def ids(self, table: str) -> Iterator[str]:
        """Go through all ids of a table, hidden objects included, deleted ones left out."""
        raise NotImplementedError

    def object(self, table: str, id: str) -> bytes:
        """Return one object's JSON as a GET by id gives it, without expansion.

        Raises:
            KeyError: There is no such object.
        """
        raise NotImplementedError

    def update(self, id: str, changes: Mapping[str, Any], *, event: bool | str = True) -> None:
        """Change top-level fields of an object; ``event`` says whether (or as which type) ``/v1/events`` tells of it."""
        raise NotImplementedError

    def delete(self, id: str, *, event: bool | str = True) -> None:
        """Delete an object; ``event`` as in :meth:`update`."""
        raise NotImplementedError

    def create(self, object: str, fields: Mapping[str, Any], *, event: bool | str = True) -> str:
        """Create an object of a kind (``"customer"``) with these fields over defaults, and return its id."""
        raise NotImplementedError


class World:
    """All Stripe accounts there are."""

    def __init__(self, config: WorldConfig, clock: Clock) -> None:
        raise NotImplementedError

    def accounts(self) -> tuple[str, ...]:
        """Return the ids of all accounts; the company's is first."""
        raise NotImplementedError

    def account(self, account_id: str, livemode: bool = True) -> Account:
        """Return one mode of an account.

        Raises:
            KeyError: There is no such account.
        """
        raise NotImplementedError
