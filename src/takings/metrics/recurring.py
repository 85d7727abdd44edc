"""Recurring revenue under any policy, held against a second derivation, and what makes two policies differ."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from takings.clock import Clock
from takings.metrics.asking import Question
from takings.metrics.builder import Builder, Staged
from takings.metrics.explaining import Figures
from takings.metrics.model import KNOWN_AT, Model
from takings.metrics.policies import SWITCHES, Policy, between
from takings.metrics.registry import Registry
from takings.metrics.scanning import scan
from takings.warehouse import Warehouse

MOVEMENTS: Final = ("new_mrr", "reactivation_mrr", "expansion_mrr", "contraction_mrr", "churned_mrr")
"""The figures that together make the difference between MRR at two moments."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A subscription on which the two derivations do not agree, or that counts as nothing for want of what prices it.

    Attributes:
        account, livemode, subscription, currency: Which.
        changes: Minor units a month by the running sum of changes.
        scanned: The same by the subscription's row as it stands.
        lacking: Ids of what is not known here.
    """

    account: str
    livemode: bool
    subscription: str
    currency: str
    changes: int
    scanned: int
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one switch makes of the figure, in minor units by currency."""

    switch: str
    amounts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Two policies side by side: the first one's figure, what each switch does to it in turn, the second one's."""

    start: dict[str, int]
    steps: list[Step]
    end: dict[str, int]


class Recurring:
    """Answers about recurring revenue.

    Args:
        warehouse: With the models built.
        registry: The models.
        builder: Makes their lines under other policies.
        figures: Those of the lines that are kept.
        clock: As figures take it.
    """

    def __init__(
        self, warehouse: Warehouse, registry: Registry, builder: Builder, figures: Figures, clock: Clock
    ) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._builder = builder
        self._figures = figures
        self._clock = clock

    @contextmanager
    def under(self, policy: Policy, zone: str, *only: str) -> Iterator[Figures]:
        """Give the figures under a policy; the company's are in the warehouse, others are worked out for as long as this lasts.

        Args:
            policy: Which.
            zone: Reporting zone.
            only: Models whose lines are asked for; all that depend on a policy where none is named.

        Raises:
            Unavailable: The warehouse is busy.
        """
        if self._holds(policy, zone):
            yield self._figures
            return
        with self.turning(zone, *only) as under:
            yield under(policy)

    @contextmanager
    def turning(self, zone: str, *only: str) -> Iterator[Callable[[Policy], Figures]]:
        """Give what gives the figures under one policy after the other; those of the one before are not to be had any more then.

        Args and errors as of :meth:`under`.
        """
        names = sorted(one.name for one in self._depending() if not only or one.name in only)
        with self._builder.turning(zone, *names) as turn:

            def under(policy: Policy) -> Figures:
                if self._holds(policy, zone):
                    return self._figures
                return _Under(self._warehouse, self._registry, self._clock, turn(policy), frozenset(names))

            yield under

    @property
    def policy(self) -> Policy:
        """The policy that lines are kept under.

        Raises:
            Misconfigured: There is no such policy any more.
        """
        return self._builder.policy()

    def depends(self, model: str) -> bool:
        """Tell whether the lines of a model depend on the policy."""
        return self._switched(self._registry.model(model))

    def changing(self, models: Iterable[str], zone: str, figures: Figures | None = None) -> bool:
        """Tell whether lines of some models are yet to be made under the policy that holds now.

        Args:
            models: Their names.
            zone: Reporting zone.
            figures: Those that the lines are asked of anyway.

        Raises:
            Misconfigured: There is no such policy any more.
            Unavailable: The models have not been built yet.
        """
        filled = {one.name for name in models for one in self._registry.filled(self._registry.model(name))}
        asked = figures or self._figures.still()
        return any(
            asked.definition(one.name) != self._builder.definition(one, zone)
            for one in self._depending()
            if one.name in filled
        )

    def differences(self, policy: Policy, zone: str) -> list[Difference]:
        """Return the subscriptions on which the two derivations differ, and those that lack what prices them."""
        summed: dict[tuple[str, bool, str, str], int] = defaultdict(int)
        with self.under(policy, zone, "mrr_lines") as figures:
            for row in figures.ask(
                "SELECT l.account, l.livemode, l.subscription, l.currency, CAST(SUM(l.amount) AS BIGINT) "
                "FROM metrics.mrr_lines AS l GROUP BY 1, 2, 3, 4",
                {},
            ):
                summed[row[0], row[1], row[2], row[3]] = row[4]
        found: list[Difference] = []
        for one in scan(self._warehouse, policy.switches, zone, self._builder.today(zone)):
            changes = summed.pop((one.account, one.livemode, one.subscription, one.currency), 0)
            if changes != one.amount or one.lacking:
                where = (one.account, one.livemode, one.subscription, one.currency)
                found.append(Difference(*where, changes, one.amount, tuple(one.lacking)))
        found += [Difference(*key, amount, 0) for key, amount in summed.items() if amount]
        return sorted(found, key=lambda one: (one.account, one.livemode, one.subscription))

    def waterfall(self, start: Policy, end: Policy, zone: str, question: Question) -> Waterfall:
        """Return a figure under two policies and what each switch between them does, turned one after the other.

        Each amount is what turning that switch adds; together they are the whole difference, to the minor unit.
        """
        models = [self._registry.model(one.model) for one in self._registry.behind(question.measure)]
        with self.turning(zone, *(one.name for model in models for one in self._registry.filled(model))) as under:

            def figure(policy: Policy) -> dict[str, int]:
                return {one.currency: one.amount for one in under(policy).answer(question)}

            first = before = figure(start)
            steps: list[Step] = []
            for switch, policy in between(start, end):
                after = figure(policy)
                steps.append(Step(switch, _less(after, before)))
                before = after
        return Waterfall(first, steps, before)

    def _holds(self, policy: Policy, zone: str) -> bool:
        """Tell whether the lines that are kept are those of a policy."""
        if policy.switches != self.policy.switches:
            return False
        return not self.changing((one.name for one in self._depending()), zone)

    def _depending(self) -> list[Model]:
        """Return the models whose lines depend on the policy."""
        return [one for one in self._registry.ordered if one.kind == "lines" and self._switched(one)]

    def _switched(self, model: Model) -> bool:
        """Tell whether a switch has a bearing on a model, by way of others too."""
        own = not model.parameters.isdisjoint(SWITCHES)
        return own or any(self._switched(need) for need in self._registry.needed(model))


class _Under(Figures):
    """Figures of lines that last as long as a session."""

    def __init__(
        self, warehouse: Warehouse, registry: Registry, clock: Clock, staged: Staged, names: frozenset[str]
    ) -> None:
        super().__init__(warehouse, registry, clock)
        self._staged, self._names = staged, names
        self._marks = {**warehouse.marks(), **{f"metrics.{name}": "staged" for name in names}}
        self._bare = names

    def still(self) -> Self:
        return self

    def ask(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        # Lines get the moment they became known when they are written; these are not.
        for name in self._names:
            fresh = f"(SELECT x.*, now() AS {KNOWN_AT} FROM metrics.{name} AS x)"
            sql = re.sub(rf"FROM metrics\.{name} AS", f"FROM {fresh} AS", sql)
        asked = self._staged(sql, {name: value for name, value in values.items() if f"${name}" in sql})
        return [tuple(row.values()) for row in asked.to_pylist()]


def _less(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    found = {currency: one.get(currency, 0) - other.get(currency, 0) for currency in sorted({*one, *other})}
    return {currency: amount for currency, amount in found.items() if amount}
