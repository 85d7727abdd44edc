"""Policies of recurring revenue: what they decide, what each switch does to MRR, and MRR held against a second derivation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Response, get

from takings.accounts import Action
from takings.errors import Misconfigured, NotFound, TakingsError
from takings.metrics import Difference, Question
from takings.metrics.policies import BUILT_IN, DEFAULT, SWITCHES, Policy, read
from takings.money import Money
from takings.reports import in_stripe
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.reports_frame import Choice, Frame, frame, scope_name

PATH: Final = "/policies"
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN: Final = 200  # subscriptions that differ; whoever has more looks at them with the command


@dataclass(frozen=True, slots=True)
class Switch:
    """What one switch of every policy stands at; ``differs``: not at the same in the two that are held against each other."""

    name: str
    meaning: str
    values: tuple[str, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A line of the waterfall: a policy's MRR, or what a switch adds to it.

    Attributes:
        amounts: Minor units by currency, in the order of the page's currencies.
    """

    label: str
    amounts: tuple[int, ...]
    texts: tuple[str, ...]
    total: bool


@dataclass(frozen=True, slots=True)
class Differing:
    """A subscription on which the two derivations do not agree, or that lacks what prices it."""

    id: str
    href: str | None
    stripe: str | None
    changes: str
    scanned: str
    lacking: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoliciesPage:
    """The page.

    Attributes:
        choices: Every policy, as (name, label).
        kept: Label of the one that the company's figures are kept under.
        at: The last day that counts, for the form.
        steps: The waterfall from the first policy to the second; empty where nothing was compared.
        checked: Whether the two derivations were held against each other; what differs is in ``differing``.
        check: Address that does so.
    """

    choices: tuple[tuple[str, str], ...]
    kept: str
    labels: tuple[str, ...]
    switches: tuple[Switch, ...]
    first: str
    second: str
    at: str
    at_label: str
    today: str
    whose: str
    sources: tuple[Choice, ...]
    hidden: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    currencies: tuple[str, ...]
    steps: tuple[Bar, ...]
    alike: bool
    check: str
    checked: bool
    checked_label: str
    differing: tuple[Differing, ...]
    more: int


@get(PATH, opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def policies(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the policies, two of them side by side, and MRR worked out a second way."""
    return show(reader, "policies", policies_page(app, reader, dict(request.query_params)))


def policies_page(app: App, reader: Reader, given: Mapping[str, str]) -> PoliciesPage:
    """Put the page together.

    Raises:
        NotFound: There is no account to report on.
    """
    words = reader.words
    asked = frame(app, reader, {name: given[name] for name in ("source",) if name in given})
    if asked is None:
        raise NotFound("reports.no_accounts", "There is nothing to report on yet: connect a Stripe account first.")
    problems = list(asked.problems)
    known = dict(BUILT_IN)
    try:
        known = read(app.settings.home)
    except Misconfigured as error:
        problems.append(words.error(error))
    kept = known.get(reader.company.policy if reader.company else "", DEFAULT)
    first = known.get(given.get("policy", ""), kept)
    second = known.get(given.get("against", ""))
    today = app.builder.today(app.zone())
    at = _day(given.get("at", "")) or today
    steps: tuple[Bar, ...] = ()
    currencies: tuple[str, ...] = ()
    differing: tuple[Differing, ...] = ()
    checked, more = False, 0
    try:
        if second is not None:
            currencies, steps = _waterfall(app, reader, asked, first, second, at)
        if given.get("check"):
            found = app.recurring.differences(first, app.zone())
            mine = [
                one for one in found if one.account in asked.scope.accounts and one.livemode == asked.scope.livemode
            ]
            differing, more, checked = _differing(app, reader, mine[:_SHOWN]), len(mine[_SHOWN:]), True
    except TakingsError as error:
        problems.append(words.error(error))
    switches = tuple(
        Switch(
            name,
            words(f"policies.switch.{name}"),
            tuple(_said(reader, one.parameters()[name]) for one in known.values()),
            second is not None and first.parameters()[name] != second.parameters()[name],
        )
        for name in SWITCHES
    )
    base = {"policy": first.name, "at": at.isoformat()} | ({"source": asked.scope.key} if asked.state.source else {})
    return PoliciesPage(
        choices=tuple((one.name, one.label) for one in known.values()),
        kept=kept.label,
        labels=tuple(one.label for one in known.values()),
        switches=switches,
        first=first.name,
        second=second.name if second else next(name for name in known if name != first.name),
        at=at.isoformat(),
        at_label=words.day(at),
        today=today.isoformat(),
        whose=scope_name(asked.scope, words),
        sources=tuple(
            Choice(
                one.key, scope_name(one, words), f"{PATH}?{urlencode({**base, 'source': one.key})}", one == asked.scope
            )
            for one in asked.scopes
        )
        if len(asked.scopes) > 1
        else (),
        hidden=(("source", asked.scope.key),) if asked.state.source else (),
        problems=tuple(problems),
        currencies=tuple(one.upper() for one in currencies),
        steps=steps,
        alike=second is not None and not problems and len(steps) == 2 and bool(currencies),
        check=f"{PATH}?{urlencode({**base, 'check': 1})}#check",
        checked=checked,
        checked_label=first.label,
        differing=differing,
        more=more,
    )


def _waterfall(
    app: App, reader: Reader, asked: Frame, first: Policy, second: Policy, at: date
) -> tuple[tuple[str, ...], tuple[Bar, ...]]:
    scope = asked.scope
    question = Question("mrr", end=at + timedelta(days=1), livemode=scope.livemode, accounts=tuple(scope.accounts))
    found = app.recurring.waterfall(first, second, app.zone(), question)
    currencies = tuple(sorted({*found.start, *found.end}))

    def bar(label: str, amounts: Mapping[str, int], *, total: bool = False) -> Bar:
        of = tuple(amounts.get(one, 0) for one in currencies)
        texts = (reader.words.money(Money(amount, one)) for amount, one in zip(of, currencies, strict=True))
        return Bar(label, of, tuple(texts), total)

    steps = [bar(reader.words(f"policies.switch.{one.switch}"), one.amounts) for one in found.steps]
    return currencies, (bar(first.label, found.start, total=True), *steps, bar(second.label, found.end, total=True))


def _differing(app: App, reader: Reader, found: Sequence[Difference]) -> tuple[Differing, ...]:
    tables = reader.may(Action.SEE_TABLES)
    return tuple(
        Differing(
            one.subscription,
            f"/tables/subscriptions/rows/{one.subscription}" if tables else None,
            in_stripe(app.settings.stripe_dashboard_base, one.subscription, livemode=one.livemode),
            reader.words.money(Money(one.changes, one.currency)),
            reader.words.money(Money(one.scanned, one.currency)),
            ", ".join(one.lacking),
        )
        for one in found
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) and text[:2] == "20" else None
    except ValueError:
        return None


def _said(reader: Reader, value: object) -> str:
    return reader.words(f"policies.value.{str(value).lower()}")


routes = [policies]
