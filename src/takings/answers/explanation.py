"""A figure and what makes it: values, cuts, meaning, SQL, what is missing, and the contributions that add up to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from takings.answers.plain import amount_in, exact
from takings.app import App
from takings.errors import Invalid
from takings.metrics import GRAINS, Contribution, Converted, Derived, Figure, Figures, Measure, Question, Value
from takings.metrics.policies import policy
from takings.reports import Missing, missing_of

FEW: Final = 20
"""Contributions of each currency that are given unless more are asked for."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A measure, its figures and lines that make them.

    Attributes:
        lines: The contributions of this page.
        following: From which contribution of each currency on there are more; None: these are the last.
    """

    measure: Measure
    figures: list[Figure]
    lines: list[Contribution]
    following: int | None
    sql: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer with everything it is made of.

    Attributes:
        figure: What was asked.
        question: Of when, and whose.
        by: What it is cut by.
        groups: The values cut by a dimension.
        series: The values cut by a grain of time.
        sums: The measures it comes from.
        known_at: What was known when it was worked out.
        zone: Whose days it counts.
        converted: All currencies in one.
        policy: Under which policy; None: it depends on none.
        missing: What it may lack.
    """

    figure: Measure | Derived
    question: Question
    by: str | None
    values: list[Value]
    groups: list[Value]
    series: list[Value]
    sums: list[Sum]
    known_at: datetime
    zone: str
    converted: Converted | None
    policy: str | None
    missing: list[Missing]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values; amounts are minor units, values exact fractions."""
        return {
            **self.figures(),
            "sums": [
                {
                    "metric": one.measure.name,
                    "unit": one.measure.unit,
                    "sql": one.sql,
                    "figures": [_figure(figure, one.measure) for figure in one.figures],
                    "contributions": [_contribution(line, one.measure) for line in one.lines],
                    "next_offset": one.following,
                }
                for one in self.sums
            ],
        }

    def figures(self) -> dict[str, Any]:
        """Return the figures alone, without what they are made of, as plain values."""
        unit = self.figure.unit
        return {
            "metric": self.figure.name,
            "meaning": self.figure.meaning["en"],
            "unit": unit,
            "source": self.figure.source,
            "start": self.question.start,
            "end": self.question.end,
            "zone": self.zone,
            "policy": self.policy,
            "known_at": self.known_at,
            "missing": [lack(one) for one in self.missing],
            "values": [{**amount_in(one.currency, unit), "value": exact(one.value)} for one in self.values],
            **({"converted": _converted(self.converted)} if self.converted else {}),
            "groups": [
                {**amount_in(one.currency, unit), "group": one.group, "value": exact(one.value)} for one in self.groups
            ],
            "series": [
                {**amount_in(one.currency, unit), "period": one.period, "value": exact(one.value)}
                for one in self.series
            ],
        }


def explain(
    app: App,
    question: Question,
    *,
    by: str | None = None,
    under: str | None = None,
    into: str | None = None,
    limit: int | None = FEW,
    offset: int = 0,
    whole: bool = True,
) -> Explanation:
    """Answer a question about a figure, and say what the answer is made of.

    Args:
        app: The program.
        question: The figure, when, and whose.
        by: A grain of time, or a dimension of the figure.
        under: Name of the policy; None: the company's.
        into: A currency that all others are converted to, too.
        limit: Most contributions of each currency; None: all.
        offset: So many of each currency are left out before.
        whole: Whether contributions are wanted at all.

    Raises:
        NotFound: There is no such figure or policy.
        Invalid: It cannot be cut, filtered, converted or known so.
        Unavailable: The figures have not been made yet, or the warehouse is busy.
    """
    kept = app.recurring.policy
    chosen = policy(app.settings.home, under) if under else kept
    if question.known is not None and chosen.switches != kept.switches:
        raise Invalid(
            "metrics.known_policy",
            f"What was known on a day is kept for the policy {kept.name} only: leave out the day or the policy.",
            name=kept.name,
        )
    figure, behind = app.registry.figure(question.measure), app.registry.behind(question.measure)
    zone = "UTC" if all(one.utc for one in behind) else app.zone()
    with app.recurring.under(chosen, app.zone()) as answering:
        figures = answering.still()
        return Explanation(
            figure=figure,
            question=question,
            by=by,
            values=figures.values(question),
            groups=figures.values(question, by) if by and by not in GRAINS else [],
            series=figures.series(question, by) if by in GRAINS else [],
            sums=[_sum(figures, asked, one, limit, offset) for one, asked in figures.sides(question)] if whole else [],
            known_at=question.known or figures.built_at(question.measure),
            zone=zone,
            converted=app.exchange.convert(figures, question, into) if into else None,
            policy=chosen.label if any(app.recurring.depends(one.model) for one in behind) else None,
            missing=missing_here(app, question),
        )


def missing_here(app: App, question: Question) -> list[Missing]:
    """Return what a figure may lack; see :func:`takings.reports.missing_of`."""
    return missing_of(app.figures, app.registry, app.connections, app.health, question)


def lack(one: Missing) -> dict[str, Any]:
    """Return something that is missing as plain values."""
    return {"table": one.where, "reason": one.reason}


def _sum(figures: Figures, question: Question, measure: Measure, limit: int | None, offset: int) -> Sum:
    found = figures.answer(question)
    left = max((one.lines for one in found), default=0)
    return Sum(
        measure,
        found,
        figures.contributions(question, limit=limit, offset=offset),
        offset + limit if limit is not None and left > offset + limit else None,
        figures.statement(question),
    )


def _converted(found: Converted) -> dict[str, Any]:
    return {
        **amount_in(found.currency, "money"),
        "total": exact(found.total),
        "parts": [
            {
                **amount_in(one.currency, "money"),
                "converted": exact(one.converted),
                "rates": sorted(one.origins),
                "without_rate": exact(one.lacking),
                "days_without_rate": one.days,
            }
            for one in found.parts
        ],
    }


def _figure(one: Figure, measure: Measure) -> dict[str, Any]:
    return {**amount_in(one.currency, measure.unit), "amount": one.amount, "lines": one.lines}


def _contribution(one: Contribution, measure: Measure) -> dict[str, Any]:
    return {
        "at": one.at,
        "part": one.part,
        "amount": one.amount,
        **amount_in(one.currency, measure.unit),
        "account": one.account,
        "object": one.object,
        "id": one.source,
        "customer": one.customer,
        "known_at": one.known_at,
        **one.cuts,
    }


def described(app: App, figure: Measure | Derived) -> dict[str, Any]:
    """Return what a figure means, its unit, how it can be cut and what it comes from, as plain values."""
    behind = app.registry.behind(figure.name)
    own = (
        {"kind": figure.sum, "parts": list(figure.parts)}
        if isinstance(figure, Measure)
        else {"kind": "derived", "over": figure.over, "under": figure.under, "times": figure.times, "days": figure.days}
    )
    return {
        "metric": figure.name,
        "title": figure.title,
        "meaning": figure.meaning,
        "unit": figure.unit,
        **own,
        "days": "UTC" if all(one.utc for one in behind) else "reporting zone",
        "cuts": list(app.figures.cuts(figure.name)),
        "needs": sorted(frozenset().union(*(app.registry.sources(one.model) for one in behind))),
        "depends_on_policy": any(app.recurring.depends(one.model) for one in behind),
        "source": figure.source,
    }


def every_figure(app: App) -> Sequence[Measure | Derived]:
    """Return all figures by name."""
    return [app.registry.figure(name) for name in sorted((*app.registry.measures, *app.registry.derived))]
