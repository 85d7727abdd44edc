"""What can go wrong, on demand: rules that say which requests are to fail, how, and how often."""

from __future__ import annotations

import fnmatch
import itertools
import random
import re
from typing import Literal

import msgspec

from takings.simulator.limits import REASONS, Reason

Kind = Literal[
    "status",  # an error status with Stripe's error body
    "drop_before",  # the connection closes without a byte
    "drop_middle",  # the connection closes in the middle of the body
    "slow",  # the right answer, late
    "rate_limit",  # 429 with a reason
    "lock_timeout",  # 429 without one
    "malformed",  # 200 with a body that is not JSON
    "truncated",  # 200 with the first half of the JSON
    "html",  # 200 with somebody's web page
    "unauthorized",  # 401: the key is no longer good
    "forbidden",  # 403: the key lost its permission
    "strange",  # the right answer, with fields and words nobody knows in every object
    "vanish",  # the right page, and then the object at its end is deleted, which the next page would begin after
]


class Rule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which requests fail, and how.

    A request meets the first rule that matches it and still has something to do.
    """

    kind: Kind
    #: Shell-style pattern on the path: ``/v1/charges``, ``/v1/*``.
    path: str = "/v[12]/*"
    #: Only requests whose raw query contains this: ``starting_after=``.
    query: str = ""
    #: Only requests in live mode, or only in test mode.
    livemode: bool | None = None
    #: How many matching requests pass before it begins.
    after: int = 0
    #: How many requests it makes fail; None never ends.
    times: int | None = 1
    #: Chance that a matching request fails, by dice of its own.
    probability: float = 1.0
    seed: int = 0
    #: For ``status``: 400 to 599.
    status: int = 500
    #: For ``slow``, in seconds.
    seconds: float = 1.0
    #: For ``rate_limit``.
    reason: Reason = "global-rate"
    #: For ``vanish``, whether an event tells of the deletion.
    event: bool = False
    #: Value of ``Stripe-Should-Retry``; None leaves the header out.
    should_retry: bool | None = None
    #: Value of ``Retry-After`` in seconds; None leaves the header out, as Stripe does.
    retry_after: int | None = None

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError("status is an error: 400 to 599")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError("probability lies between 0 and 1")
        if self.reason not in REASONS:
            raise ValueError(f"reason is one of {', '.join(REASONS)}")


class Shown(msgspec.Struct, kw_only=True):
    """A rule as it stands."""

    id: str
    rule: Rule
    #: Requests it made fail so far.
    fired: int


class _Active:
    def __init__(self, id: str, rule: Rule) -> None:
        self.id = id
        self.rule = rule
        self.pattern = re.compile(fnmatch.translate(rule.path))
        self.dice = random.Random(rule.seed)
        self.passed = 0
        self.fired = 0

    def fires(self, path: str, query: str, livemode: bool | None) -> bool:
        rule = self.rule
        if rule.times is not None and self.fired >= rule.times:
            return False
        if rule.livemode is not None and livemode is not rule.livemode:
            return False
        if rule.query not in query or self.pattern.match(path) is None:
            return False
        if self.passed < rule.after:
            self.passed += 1
            return False
        if rule.probability < 1.0 and self.dice.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The rules in force, in the order they were given."""

    def __init__(self) -> None:
        self._active: list[_Active] = []
        self._numbers = itertools.count(1)

    def add(self, rule: Rule) -> str:
        """Put a rule in force and return its id."""
        active = _Active(f"fault_{next(self._numbers)}", rule)
        self._active.append(active)
        return active.id

    def remove(self, id: str) -> None:
        """Take a rule out; one that is not there is no error."""
        self._active = [active for active in self._active if active.id != id]

    def clear(self) -> None:
        """Take every rule out."""
        self._active.clear()

    def all(self) -> list[Shown]:
        """Return the rules, those that have done their work included."""
        return [Shown(id=active.id, rule=active.rule, fired=active.fired) for active in self._active]

    def meet(self, path: str, query: str, livemode: bool | None) -> Rule | None:
        """Return the rule that this request meets, counting it, or None."""
        if not self._active:
            return None
        return next((active.rule for active in self._active if active.fires(path, query, livemode)), None)
