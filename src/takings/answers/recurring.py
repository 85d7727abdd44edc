"""How recurring revenue moved over a period, as the command line and programs are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

from takings.answers.plain import amount_in, exact
from takings.app import App
from takings.metrics import Figures, Question
from takings.metrics.policies import policy
from takings.metrics.rates import Rolled
from takings.metrics.recurring import MOVEMENTS

SHARES: Final = ("nrr", "grr", "nrr_12", "grr_12", "logo_churn", "logo_churn_stripe")


@dataclass(frozen=True, slots=True)
class Moved:
    """Opening, movements and closing of each currency; opening and movements make closing.

    Attributes:
        policy: Under which policy.
        start: First day.
        end: Day after the last.
        opening: MRR before the first day, in minor units by currency.
        movements: What the period brought, by figure and currency.
        closing: MRR at its end.
        shares: Retention and churn, by figure and currency; None where there is nothing to divide by.
        rolled: All currencies in one, where that was asked for.
    """

    policy: str
    start: date
    end: date
    opening: Mapping[str, int]
    movements: Mapping[str, Mapping[str, int]]
    closing: Mapping[str, int]
    shares: Mapping[str, Mapping[str, Fraction | None]]
    rolled: Rolled | None

    @property
    def currencies(self) -> list[str]:
        """Every currency in which anything stood or moved."""
        return sorted({*self.opening, *self.closing, *(one for held in self.movements.values() for one in held)})

    def plain(self) -> dict[str, Any]:
        """Return it as plain values: minor units, and exact fractions as text."""
        return {
            "policy": self.policy,
            "start": self.start,
            "end": self.end,
            "currencies": [
                {
                    **amount_in(one, "money"),
                    "opening": self.opening.get(one, 0),
                    "closing": self.closing.get(one, 0),
                    **{name: held.get(one, 0) for name, held in self.movements.items()},
                    **{name: exact(held.get(one)) for name, held in self.shares.items()},
                }
                for one in self.currencies
            ],
            **({} if self.rolled is None else {"converted": _converted(self.rolled)}),
        }


def last_month(app: App) -> tuple[date, date]:
    """Return the first day of the last whole month, and the day after it."""
    end = app.builder.today(app.zone()).replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


def moved(app: App, question: Question, *, under: str | None = None, into: str | None = None) -> Moved:
    """Say how recurring revenue moved.

    Args:
        app: The program.
        question: Of MRR, with first and last day, and whose.
        under: Name of the policy; None: the company's.
        into: A currency that all are converted to, too.

    Raises:
        NotFound: There is no such policy.
        Invalid: There is no such currency.
        Misconfigured: The table of rates cannot be read.
        Unavailable: The figures have not been made yet, or the warehouse is busy.
    """
    chosen = policy(app.settings.home, under) if under else app.recurring.policy
    assert question.start is not None and question.end is not None
    start, end = question.start, question.end
    with app.recurring.under(chosen, app.zone()) as figures:
        found = Moved(
            policy=chosen.label,
            start=start,
            end=end,
            opening=_amounts(figures, replace(question, start=None, end=start)),
            movements={name: _amounts(figures, replace(question, measure=name)) for name in MOVEMENTS},
            closing=_amounts(figures, replace(question, start=None)),
            shares={
                name: {one.currency: one.value for one in figures.values(replace(question, measure=name))}
                for name in SHARES
            },
            rolled=app.exchange.roll_forward(figures, question, MOVEMENTS, into) if into else None,
        )
    for one in found.currencies:
        total = found.opening.get(one, 0) + sum(held.get(one, 0) for held in found.movements.values())
        if total != found.closing.get(one, 0):
            raise AssertionError(f"{one}: opening and movements make {total}, closing is {found.closing.get(one, 0)}")
    return found


def _amounts(figures: Figures, question: Question) -> dict[str, int]:
    return {one.currency: one.amount for one in figures.answer(question)}


def _converted(rolled: Rolled) -> dict[str, Any]:
    return {
        **amount_in(rolled.currency, "money"),
        **rolled.rounded(),
        "currencies": list(rolled.currencies),
        "left_out": list(rolled.left_out),
        "rates_of": sorted(rolled.origins),
    }
