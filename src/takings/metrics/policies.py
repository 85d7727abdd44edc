"""Policies: named, versioned sets of the switches on which good bookkeepers differ, and the user's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_type_hints

from takings.errors import Misconfigured, NotFound

FILE: Final = "policies.toml"
"""Where a user's own are, in the data folder."""

Leaving = Literal["at_request", "at_period_end"]
Pause = Literal["by_behavior", "in", "out"]
Metered = Literal["excluded", "last_invoiced"]
Refunds = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Each decision that changes recurring revenue.

    Attributes:
        cancel: Whether who cancels at the end of the period leaves when asking, or when the period ends.
        repeating: Whether discounts of some months count.
        once: Whether discounts of one invoice count.
        past_due: Whether subscriptions whose last invoice is being tried again count.
        pause: Whether subscriptions whose collection is paused count; ``by_behavior``: those that go on making drafts do.
        trials: Whether subscriptions on trial count.
        metered: Whether metered prices count, as what was invoiced for the last whole billing period.
        refunds: Whether subscriptions whose latest invoice was refunded in full count, until their next one.
        thirty_days: Whether a month has thirty days for weekly and daily prices, or a twelfth of 365 days (52 weeks).
        netting: Whether what a customer's subscriptions do on one day is taken together.
    """

    cancel: Leaving = "at_request"
    repeating: bool = False
    once: bool = False
    past_due: bool = True
    pause: Pause = "by_behavior"
    trials: bool = False
    metered: Metered = "excluded"
    refunds: Refunds = "in"
    thirty_days: bool = False
    netting: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """A named, versioned set of switches.

    Attributes:
        name: As it is asked for.
        version: Goes up whenever a switch of it changes.
        switches: See :class:`Switches`.
    """

    name: str
    version: int
    switches: Switches

    @property
    def label(self) -> str:
        """What is printed under a figure: name and version."""
        return f"{self.name} {self.version}"

    def parameters(self) -> dict[str, Any]:
        """Return the values that models take."""
        return {field.name: getattr(self.switches, field.name) for field in fields(Switches)}


DEFAULT: Final = Policy("stripe", 1, Switches())
#: What comes with the program.
BUILT_IN: Final = {
    policy.name: policy
    for policy in (
        DEFAULT,
        Policy("chartmogul-like", 1, Switches(cancel="at_period_end", repeating=True, thirty_days=True)),
        Policy("conservative", 2, Switches(repeating=True, once=True, past_due=False, pause="out", refunds="out")),
    )
}
SWITCHES: Final = tuple(field.name for field in fields(Switches))


def read(home: Path) -> dict[str, Policy]:
    """Return every policy by name: the built-in ones, and those of ``policies.toml`` in the data folder.

    A user's own is a table with its version, the policy it starts from and the switches it turns::

        [ours]
        version = 1
        from = "stripe"
        past_due = false

    Raises:
        Misconfigured: The file is no TOML, or names a switch or a value that there is not.
    """
    found = dict(BUILT_IN)
    file = home / FILE
    if not file.is_file():
        return found
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured("metrics.policy_file", f"{file} cannot be read: {error}", file=str(file)) from error
    for name, table in tables.items():
        found[name] = _own(name, table, found)
    return found


def _own(name: str, table: Any, known: Mapping[str, Policy]) -> Policy:
    def wrong(why: str) -> Misconfigured:
        return Misconfigured(
            "metrics.policy_wrong", f"{FILE}: the policy “{name}” cannot be used: {why}", name=name, why=why
        )

    if name in BUILT_IN:
        raise wrong("a policy of that name comes with Takings. Choose another name.")
    if not isinstance(table, dict) or not isinstance(table.get("version"), int) or isinstance(table["version"], bool):
        raise wrong("it needs a whole number as version.")
    base = known.get(table.get("from", DEFAULT.name))
    if base is None:
        raise wrong(f"there is no policy “{table['from']}” above it to start from.")
    turned = {key: value for key, value in table.items() if key not in ("version", "from")}
    hints = get_type_hints(Switches)
    for key, value in turned.items():
        if key not in hints:
            raise wrong(f"there is no switch “{key}”. There are: {', '.join(SWITCHES)}.")
        allowed = get_args(hints[key]) or (True, False)
        if value not in allowed or isinstance(value, bool) != (hints[key] is bool):
            said = ", ".join(str(one).lower() if isinstance(one, bool) else one for one in allowed)
            raise wrong(f"{key} is one of: {said}.")
    return Policy(name, table["version"], replace(base.switches, **turned))


def policy(home: Path, name: str) -> Policy:
    """Return a policy by name.

    Raises:
        NotFound: There is none; the sentence lists those there are.
        Misconfigured: See :func:`read`.
    """
    known = read(home)
    if name not in known:
        names = ", ".join(known)
        raise NotFound(
            "metrics.no_policy", f"There is no policy called “{name}”. There are: {names}.", name=name, names=names
        )
    return known[name]


def standing(home: Path, name: str) -> Policy:
    """Return the policy that figures are kept under.

    Raises:
        Misconfigured: It is one of the user's own and not in their file any more, or see :func:`read`.
    """
    found = read(home).get(name)
    if found is None:
        raise Misconfigured(
            "metrics.policy_gone",
            f"Figures are kept under the policy “{name}”, which is not in {home / FILE} any more: put it back, or choose another under "
            "Admin > Company.",
            name=name,
            file=str(home / FILE),
        )
    return found


def between(start: Policy, end: Policy) -> list[tuple[str, Policy]]:
    """Return the switches that differ, in the order of their definition, each with the policy after it was turned.

    The last one has all of ``end``'s switches, so that steps between them add up to the whole difference.
    """
    found: list[tuple[str, Policy]] = []
    switches = start.switches
    for name in SWITCHES:
        wanted = getattr(end.switches, name)
        if getattr(switches, name) != wanted:
            switches = replace(switches, **{name: wanted})
            found.append((name, Policy(f"{start.name} with {name}", 0, switches)))
    return found
