"""The world: its configuration, its Stripe accounts, and the one way to read (and change) each."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from takings.clock import Clock, to_unix
from takings.simulator.account import API_VERSION, Account
from takings.simulator.answers import Answer
from takings.simulator.company import found
from takings.simulator.dice import key_of
from takings.simulator.neighbours import Sketch
from takings.simulator.objects.base import Object
from takings.simulator.tables import base62

__all__ = ["API_VERSION", "Account", "Answer", "World", "WorldConfig"]

#: How far the sandbox's dice are from the live account's.
_SANDBOX_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """What a world is made from; the same configuration (``end`` given) gives the same bytes.

    Args:
        objects: About how many objects the live account has, over all kinds (100 to 10,000,000). A company has a few
            hundred at least.
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


class World:
    """All Stripe accounts there are: one company's, live and as its sandbox, and small ones drawn when first asked for.

    Args:
        config: What it is made from.
        clock: What time it is in the world; used for what changes after the start, and for ``end`` where none is given.
        hear: Given each event of a change, with its account's id and mode.
    """

    def __init__(
        self, config: WorldConfig, clock: Clock, hear: Callable[[str, bool, Object], None] | None = None
    ) -> None:
        self.config = config
        end = to_unix(config.end if config.end is not None else clock.now())
        self.end = end
        self._clock = clock
        self._hear = hear
        self._sketches: dict[str, Sketch] = {}
        number = key_of(config.seed, "account")
        self._id = "acct_1" + base62(number, 10) + base62(key_of(config.seed, "account 2"), 5)
        common: Mapping[str, Any] = {
            "account": self._id,
            "months": config.months,
            "end": end,
            "name": config.name,
            "country": config.country,
            "currency": config.currency,
        }
        live = found(seed=config.seed, livemode=True, objects=config.objects, profile=config.profile, **common)
        sandbox = found(seed=config.seed + _SANDBOX_SEED, livemode=False, objects=config.test_objects, **common)
        self._accounts = {
            (self._id, True): Account(live, clock, hear),
            (self._id, False): Account(sandbox, clock, hear),
        }
        _give_back_memory()

    def accounts(self) -> tuple[str, ...]:
        """Return the ids of the accounts that were drawn at the start: the company's."""
        return (self._id,)

    def add(self, sketch: Sketch) -> None:
        """Take a small account in; each of its modes is drawn when it is first asked for."""
        self._sketches[sketch.account] = sketch

    def account(self, account_id: str, livemode: bool = True) -> Account:
        """Return one mode of an account.

        Raises:
            KeyError: There is no such account.
        """
        known = self._accounts.get((account_id, livemode))
        if known is None:
            known = Account(self._sketches[account_id].draw(livemode), self._clock, self._hear)
            self._accounts[account_id, livemode] = known
        return known


def _give_back_memory() -> None:
    """Give what drawing the company took back to the system, where the C library would keep it (glibc)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
