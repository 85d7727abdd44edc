"""What every route about figures understands: when, whose, cut how, under which policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter, SkipValidation

from takings.answers.asking import after, end_of, filters_of, period_of
from takings.answers.plain import plain
from takings.errors import Invalid
from takings.metrics import Question

Code = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Za-z]{3}$", description="Only this currency, such as eur; default each by itself."),
]
Account = Annotated[str | None, QueryParameter(description="Only this account of Stripe, acct_…")]
Policy = Annotated[str | None, QueryParameter(description="Under this policy; default the company's.")]
Into = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Za-z]{3}$", description="Also all currencies in this one, by dated rates."),
]
Test = Annotated[bool, QueryParameter(description="Data of sandboxes instead of live data.")]


@dataclass(frozen=True, slots=True)
class Asking:
    """A question about a figure, and how its answer is wanted."""

    question: Question
    by: str | None
    policy: str | None
    into: str | None


def asking(
    name: FromPath[str],
    first: Annotated[date | None, QueryParameter(name="from", description="First day, as 2026-10-01.")] = None,
    last: Annotated[date | None, QueryParameter(name="to", description="Last day, in it, as 2026-10-31.")] = None,
    period: Annotated[
        str | None,
        QueryParameter(description="2026, 2026-10, 2026-10-31, or 2026-10-01..2026-11-01 (without its end)."),
    ] = None,
    at: Annotated[date | None, QueryParameter(description="What stands at the end of this day; default now.")] = None,
    known: Annotated[
        date | None, QueryParameter(description="As it was known at the end of this day, in UTC; default now.")
    ] = None,
    by: Annotated[
        str | None, QueryParameter(description="Cut by day, week, month, quarter, year, or a dimension.")
    ] = None,
    only: Annotated[
        list[str] | None,
        QueryParameter(description="Only lines with this value, as country=FR; repeated, with any of the values."),
    ] = None,
    currency: Code = None,
    account: Account = None,
    test: Test = False,
    policy: Policy = None,
    into: Into = None,
) -> SkipValidation[Asking]:
    """Read a question from an address.

    Raises:
        Invalid: It contradicts itself, or a period or a condition cannot be read.
    """
    if sum((period is not None, at is not None, first is not None or last is not None)) > 1:
        raise Invalid("api.days", "Give one of: period, at, or from and to.")
    start, end = period_of(period) if period else (first, None)
    if (until := at or last) is not None:
        end = after(until)
    if start is not None and end is not None and end <= start:
        raise Invalid("api.days_order", "The last day comes before the first.")
    question = Question(
        name,
        start,
        end,
        currency and currency.lower(),
        account,
        not test,
        filters_of(only or ()),
        end_of(known.isoformat()) if known else None,
    )
    return Asking(question, by, policy, into)


FromAsking = NamedDependency[SkipValidation[Asking]]
"""``asked: FromAsking`` in a handler's arguments: the question of its address."""


def told(value: object, **headers: str) -> Response[dict[str, Any]]:
    """Answer with values as JSON; nothing on the way may keep them."""
    return Response(
        content=plain(value),
        media_type="application/json",
        headers={"Cache-Control": "no-store", "Vary": "Accept", **headers},
    )


def wants_csv(accept: str) -> bool:
    """Tell whether an ``Accept`` header asks for CSV."""
    return "text/csv" in accept and "application/json" not in accept
