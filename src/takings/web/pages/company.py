"""Admin > Company: its name, language, zone and currency, and the policy its figures are kept under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from litestar import Response, get, post

from takings.accounts import Action
from takings.errors import Invalid, Misconfigured
from takings.metrics.policies import BUILT_IN, read
from takings.web.context import App, Flash, FromApp, FromForm, FromReader, Reader, go, show
from takings.web.pages.policies import PATH as POLICIES
from takings.web.pages.wizard import currencies, zones

PATH = "/admin/company"
_ADMIN = {"who": Action.MANAGE_COMPANY}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyPage:
    """The form.

    Attributes:
        policies: Every policy, as (name, label).
        compare: Where policies are held side by side.
        problem: Why the user's own policies cannot be read; None: they can.
        error: Why saving did not work, in the reader's language.
    """

    zones: tuple[str, ...]
    currencies: tuple[tuple[str, str], ...]
    policies: tuple[tuple[str, str], ...]
    name: str
    locale: str
    time_zone: str
    currency: str
    policy: str
    compare: str = POLICIES
    problem: str | None = None
    error: str | None = None


@get(PATH, opt=_ADMIN, sync_to_thread=True)
def ask(app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the company's settings."""
    return show(reader, "company", _page(app, reader, {}))


@post(PATH, opt=_ADMIN, sync_to_thread=True, status_code=200)
def change(app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Change the company's settings."""
    try:
        known = read(app.settings.home)
        policy = form.get("policy", "")
        if policy not in known:
            raise Invalid("web.policy_unknown", "There is no such policy: choose one of the list.")
        changed = app.firm.change(
            reader.signed_in,
            name=form.get("name", ""),
            locale=form.get("locale", ""),
            time_zone=form.get("time_zone", ""),
            currency=form.get("currency", ""),
            policy=policy,
        )
    except (Invalid, Misconfigured) as error:
        page = _page(app, reader, form, reader.words.error(error))
        return show(reader, "company", page, status=error.http_status)
    key = "web.company_anew" if {"time_zone", "policy"} & set(changed) else "accounts.saved"
    return go(PATH, Flash("success", key))


def _page(app: App, reader: Reader, form: dict[str, str], error: str | None = None) -> CompanyPage:
    firm, problem = reader.company, None
    assert firm is not None  # nobody is signed in before it is set up
    known = dict(BUILT_IN)
    try:
        known = read(app.settings.home)
    except Misconfigured as wrong:
        problem = reader.words.error(wrong)
    policies = [(one.name, one.label) for one in known.values()]
    if firm.policy not in known:
        policies.insert(0, (firm.policy, firm.policy))
    return CompanyPage(
        zones=zones(),
        currencies=currencies(reader.locale),
        policies=tuple(policies),
        name=form.get("name", firm.name),
        locale=form.get("locale", firm.locale),
        time_zone=form.get("time_zone", firm.time_zone),
        currency=form.get("currency", firm.currency),
        policy=form.get("policy", firm.policy),
        problem=problem,
        error=error,
    )


routes = [ask, change]
