"""Figures: which there are, what they come to, and what they are made of."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import QueryParameter

from takings.accounts import Action
from takings.answers.asking import period_of
from takings.answers.explanation import FEW, described, every_figure
from takings.answers.explanation import explain as explained
from takings.answers.query import turn
from takings.answers.recurring import last_month, moved
from takings.metrics import GRAINS, Question
from takings.metrics.policies import read
from takings.web.api.asking import Account, FromAsking, Into, Policy, Test, told
from takings.web.context import FromApp

MOST: Final = 1_000
"""Contributions of each currency in one answer."""

_SEE: Final = {"who": Action.VIEW_REPORTS, "api": True}


@get("/metrics", opt=_SEE, sync_to_thread=True, summary="List metrics")
def metrics(app: FromApp) -> Response[dict[str, Any]]:
    """List every metric with its meaning, unit, dimensions, the tables it needs, and whether a policy changes it."""
    return told(
        {
            "metrics": [described(app, one) for one in every_figure(app)],
            "grains": list(GRAINS),
            "policies": [one.label for one in read(app.settings.home).values()],
            "policy": app.recurring.policy.label,
        }
    )


@get("/metrics/{name:str}", opt=_SEE, sync_to_thread=True, summary="A figure or a series")
def metric(app: FromApp, asked: FromAsking) -> Response[dict[str, Any]]:
    """Return a figure in each currency, and cut by time or by a dimension: minor units and exact fractions, as text."""
    with _turn(asked.policy):
        answer = explained(app, asked.question, by=asked.by, under=asked.policy, into=asked.into, whole=False)
    return told(answer.figures())


@get("/metrics/{name:str}/explain", opt=_SEE, sync_to_thread=True, summary="A figure explained")
def explain(
    app: FromApp,
    asked: FromAsking,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="Most contributions of each currency.")] = FEW,
    offset: Annotated[
        int,
        QueryParameter(
            ge=0, description="So many of each currency are left out before: next_offset of the page before."
        ),
    ] = 0,
) -> Response[dict[str, Any]]:
    """Return a figure with its SQL, what it may lack, and the signed contributions that add up to it, the largest first."""
    with _turn(asked.policy):
        answer = explained(
            app, asked.question, by=asked.by, under=asked.policy, into=asked.into, limit=limit, offset=offset
        )
    return told(answer.plain())


@get("/recurring", opt=_SEE, sync_to_thread=True, summary="How recurring revenue moved")
def recurring(
    app: FromApp,
    period: Annotated[
        str | None,
        QueryParameter(description="2026-10, or any days 2026-10-01..2026-11-01; default the last whole month."),
    ] = None,
    account: Account = None,
    test: Test = False,
    policy: Policy = None,
    into: Into = None,
) -> Response[dict[str, Any]]:
    """Return opening MRR, its movements, closing MRR, retention and churn in each currency; and in one, with what exchange rates did (fx)."""
    start, end = period_of(period) if period else last_month(app)
    with _turn(policy):
        found = moved(app, Question("mrr", start, end, account=account, livemode=not test), under=policy, into=into)
    return told(found.plain())


def _turn(policy: str | None) -> AbstractContextManager[None]:
    """Return what waits for one's turn where figures are worked out anew for the answer: under any policy but the kept one."""
    return nullcontext() if policy is None else turn()


routes: Final = [metrics, metric, explain, recurring]
