"""Small accounts beside the company's: a Connect platform, what is connected to it, an organisation; drawn when first asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from takings.catalog import load
from takings.simulator.answers import Answer, Fault, encode, missing
from takings.simulator.books import Balance
from takings.simulator.company import KINDS, Company, found_small
from takings.simulator.dice import DAY_S, Dice, key_of
from takings.simulator.draft import Draft
from takings.simulator.keys import Keyring
from takings.simulator.objects import money
from takings.simulator.objects.base import Object
from takings.simulator.paging import Bounds
from takings.simulator.queries import Query, read
from takings.simulator.tables import Ids, Table, base62

LIST: Final = "/v1/accounts"

_OWNERS: Final = (
    *("Alma", "Brio", "Cobalt", "Dune", "Ember", "Faro", "Gingko", "Harbour", "Indigo", "Juno", "Kelp", "Lumen"),
    *("Marlow", "Nacre", "Ochre", "Pollen", "Quartz", "Ravel", "Sable", "Tansy", "Umber", "Verve", "Willow", "Zephyr"),
)
_TRADES: Final = (
    *("Bakery", "Books", "Bikes", "Ceramics", "Cinema", "Coffee", "Dance", "Farm", "Films", "Florist", "Galerie"),
    *("Guitars", "Kitchen", "Lighting", "Museum", "Optics", "Paper", "Pottery", "Records", "Repairs", "Soap", "Tea"),
)
_PLACES: Final = (("FR", "eur"), ("DE", "eur"), ("US", "usd"), ("GB", "gbp"), ("BE", "eur"), ("JP", "jpy"))
#: How far the dice of an account's test mode are from its live mode's.
_SANDBOX_SEED: Final = 500_009
_OPENED_BEFORE_S: Final = 45 * DAY_S  # as the account object says


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """What is known of a small account before anything in it is drawn.

    Attributes:
        seed: What its live mode's dice start from.
        start: Unix seconds of its first day.
        end: Unix seconds of "now".
    """

    account: str
    seed: int
    name: str
    country: str
    currency: str
    customers: int
    start: int
    end: int

    @property
    def created(self) -> int:
        """Unix seconds at which the account was opened."""
        return self.start - _OPENED_BEFORE_S

    def draw(self, livemode: bool) -> Company:
        """Draw one mode of it: some 10 ms."""
        return found_small(
            account=self.account,
            seed=self._seed(livemode),
            livemode=livemode,
            customers=self.customers,
            start=self.start,
            end=self.end,
            name=self.name,
            country=self.country,
            currency=self.currency,
        )

    def body(self, livemode: bool) -> Object:
        """Return the account object, the same as the drawn account's own, without drawing it."""
        seed = self._seed(livemode)
        _, prefix, length, lead = KINDS["payouts"]
        nothing = np.zeros(0, np.int64)
        payouts = Table("payouts", "payout", Ids(seed * 2 + livemode, "payouts", prefix, length, lead), nothing, {})
        draft = Draft(Dice(seed), self.start, self.end, self.currency, small=True, one_currency=True)
        company = Company(
            self.account, livemode, self.name, self.country, self.start, self.end, draft.dice, draft.currencies,
            draft.countries, {"payouts": payouts}, Balance({}, {}), held=(self.currency,),
        )  # fmt: skip
        return money.account(company)

    def _seed(self, livemode: bool) -> int:
        return self.seed if livemode else self.seed + _SANDBOX_SEED


def sketch(seed: int, place: int, end: int, *, name: str | None = None, purpose: str = "connected") -> Sketch:
    """Make up a small account.

    Args:
        seed: The world's.
        place: Its number among those of one purpose, from 0.
        end: Unix seconds of "now".
        name: What it is called; None makes a name up.
        purpose: What keeps it apart from other small accounts.
    """
    dice = key_of(seed, f"{purpose} {place}")
    country, currency = _PLACES[dice % len(_PLACES)]
    months = 3 + (dice >> 8) % 16
    made_up = (
        f"{_OWNERS[place % len(_OWNERS)]} {_TRADES[(place + place // len(_OWNERS)) % len(_TRADES)]}"
        if purpose == "connected"
        else f"{purpose.capitalize()} {place + 1}"
    )
    return Sketch(
        account="acct_1" + base62(dice, 10) + base62(key_of(seed, f"{purpose} {place} 2"), 5),
        seed=1_000 + dice % (1 << 40),
        name=name or made_up,
        country=country,
        currency=currency,
        customers=1 + (dice >> 16) % 3,
        start=end - months * 30 * DAY_S - (dice >> 24) % DAY_S,
        end=end,
    )


class Platform:
    """A Connect platform as its own keys see it: the accounts connected to it, which come and go.

    Args:
        account: The platform's own id.
        keys: Told which accounts the platform's keys reach.
    """

    def __init__(self, account: str, keys: Keyring) -> None:
        self.account = account
        self._keys = keys
        self._known: dict[str, Sketch] = {}
        self._members: dict[bool, dict[str, Sketch]] = {True: {}, False: {}}

    def connect(self, one: Sketch, livemode: bool) -> None:
        """Connect an account, or connect it again."""
        self._known[one.account] = one
        self._members[livemode][one.account] = one
        self._tell(livemode)

    def deauthorize(self, account: str, livemode: bool) -> None:
        """Let an account withdraw from the platform.

        Raises:
            KeyError: It is not connected.
        """
        del self._members[livemode][account]
        self._tell(livemode)

    def known(self, account: str) -> Sketch:
        """Return an account that is connected or was.

        Raises:
            KeyError: There is none.
        """
        return self._known[account]

    def members(self, livemode: bool) -> list[Sketch]:
        """Return the accounts connected now, newest first, as Stripe lists them."""
        found = self._members[livemode].values()
        return sorted(found, key=lambda one: (one.created, one.account), reverse=True)

    def get(self, path: str, pairs: Sequence[tuple[str, str]], livemode: bool) -> Answer | None:
        """Answer a GET of the platform's at ``/v1/accounts`` and below; None where it is about something else."""
        if path != LIST and not path.startswith(f"{LIST}/"):
            return None
        words = path.removeprefix(LIST).split("/")[1:]
        if words[:1] == [self.account]:
            return None
        try:
            found = self._list(pairs, livemode) if not words else self._below(path, words, pairs, livemode)
        except Fault as fault:
            return fault.answer()
        return None if found is None else Answer(200, encode(found))

    def _list(self, pairs: Sequence[tuple[str, str]], livemode: bool) -> Object:
        query = read(pairs, load().endpoint(LIST).parameters)
        bounds = query.ranges.get("created", Bounds())
        members = self.members(livemode)
        chosen, more = _paged(members, query)
        if bounds != Bounds():
            inside = [one for one in members if _within(bounds, one.created)]
            chosen, more = _paged(inside, query, members)
        return {"object": "list", "data": [one.body(livemode) for one in chosen], "has_more": more, "url": LIST}

    def _below(self, path: str, words: list[str], pairs: Sequence[tuple[str, str]], livemode: bool) -> Object | None:
        one = self._members[livemode].get(words[0])
        if one is None:
            raise Fault(
                403,
                f"The provided key does not have access to account '{words[0]}' (or that account does not exist). "
                "Application access may have been revoked.",
                code="account_invalid",
            )
        if len(words) == 1:
            read(pairs, ())
            return one.body(livemode)
        if len(words) == 2 and words[1] == "external_accounts":
            held: list[Object] = one.body(livemode)["external_accounts"]["data"]
            return {"object": "list", "data": held, "has_more": False, "url": path}
        if len(words) == 2 and words[1] in ("persons", "capabilities"):
            return {"object": "list", "data": [], "has_more": False, "url": path}
        return None

    def _tell(self, livemode: bool) -> None:
        self._keys.connected[self.account, livemode] = frozenset(self._members[livemode])


def _within(bounds: Bounds, moment: int) -> bool:
    return (bounds.since is None or moment >= bounds.since) and (bounds.until is None or moment <= bounds.until)


def _paged(listed: list[Sketch], query: Query, known: list[Sketch] | None = None) -> tuple[list[Sketch], bool]:
    """Return one page of a list, newest first, and whether more follow in the direction read.

    Args:
        listed: What the list gives.
        query: With its cursor and limit.
        known: What a cursor may name, where that is more.
    """
    cursor = query.starting_after or query.ending_before
    if cursor is None:
        return listed[: query.limit], len(listed) > query.limit
    param = "starting_after" if query.starting_after else "ending_before"
    at = next((one for one in known or listed if one.account == cursor), None)
    if at is None:
        raise missing("account", cursor, param)
    edge = (at.created, at.account)
    if query.starting_after:
        rest = [one for one in listed if (one.created, one.account) < edge]
        return rest[: query.limit], len(rest) > query.limit
    rest = [one for one in listed if (one.created, one.account) > edge]
    return rest[-query.limit :], len(rest) > query.limit
