"""The first run: who administers, language, time zone, currency; then what to look at first."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import available_timezones

from babel.numbers import get_currency_name
from litestar import Request, Response, get, post

from takings.accounts import Action, SetupToken
from takings.accounts.passwords import SHORTEST
from takings.errors import Invalid, NotAllowed
from takings.settings import is_loopback
from takings.web.context import App, FromApp, FromForm, FromReader, Reader, Who, go, show
from takings.web.pages.sign_in import opened, throttle
from takings.words import LOCALES

_CODES: Final = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp "
    "cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr "
    "isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn "
    "myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle "
    "sos srd szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
"""Currencies that Stripe charges in."""

_FIRST_CURRENCIES: Final = ("eur", "usd", "gbp", "chf", "cad")


@dataclass(frozen=True, slots=True, kw_only=True)
class WizardPage:
    """The set-up form.

    Attributes:
        needs_token: The reader comes over the network: the token that the program printed is asked for.
        least: Characters a password has at least.
        error: Why it did not work, in the reader's language.
    """

    needs_token: bool
    zones: tuple[str, ...]
    currencies: tuple[tuple[str, str], ...]
    name: str = ""
    email: str = ""
    company: str = ""
    locale: str
    time_zone: str
    guess_zone: bool
    currency: str
    least: int = SHORTEST
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomePage:
    """What to do first."""

    name: str


@get("/setup", opt={"who": Who.PUBLIC}, sync_to_thread=True)
def ask(request: Request[Any, Any, Any], app: FromApp, reader: FromReader) -> Response[Any]:
    """Show the set-up form; once the product is set up this page is gone."""
    if app.people.is_set_up():
        return go("/")
    return show(reader, "wizard", _page(request, app, reader, {}))


@post("/setup", opt={"who": Who.PUBLIC}, sync_to_thread=True, middleware=[throttle.middleware], status_code=200)
def set_up(request: Request[Any, Any, Any], app: FromApp, reader: FromReader, form: FromForm) -> Response[Any]:
    """Make the company and its first administrator, and sign them in."""
    if app.people.is_set_up():
        return go("/")
    token = SetupToken(app.settings.home)
    try:
        if not is_at_the_machine(request, app) and not token.matches(form.get("token", "")):
            raise NotAllowed(
                "web.setup_token_wrong",
                "The set-up code is not right: it is shown in the terminal where the product was started.",
            )
        person = app.people.setup(
            company_name=form.get("company", ""),
            locale=form.get("locale", reader.locale),
            time_zone=form.get("time_zone", ""),
            currency=form.get("currency", ""),
            email=form.get("email", ""),
            name=form.get("name", ""),
            password=form.get("password", ""),
        )
    except (Invalid, NotAllowed) as error:
        page = _page(request, app, reader, form, reader.words.error(error))
        return show(reader, "wizard", page, status=error.http_status)
    token.forget()
    return go("/welcome", cookies=(opened(app, request, person, reader.token),))


@get("/welcome", opt={"who": Action.MANAGE_CONNECTIONS}, sync_to_thread=False)
def welcome(reader: FromReader) -> Response[Any]:
    """Offer to connect Stripe, or to explore with sample data."""
    return show(reader, "welcome", WelcomePage(name=reader.signed_in.name))


def is_at_the_machine(request: Request[Any, Any, Any], app: App) -> bool:
    """Tell whether the reader surely sits at the machine itself: nothing stands between, and no other name led here."""
    if app.settings.base_url is not None and not is_loopback(app.settings.base_url):
        return False
    if any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via")):
        return False
    host = request.client.host if request.client else ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    return local and is_loopback(f"http://{request.headers.get('host', '')}")


def _page(
    request: Request[Any, Any, Any], app: App, reader: Reader, form: dict[str, str], error: str | None = None
) -> WizardPage:
    french = reader.locale == "fr"
    return WizardPage(
        needs_token=not is_at_the_machine(request, app),
        zones=zones(),
        currencies=currencies(reader.locale),
        name=form.get("name", ""),
        email=form.get("email", ""),
        company=form.get("company", ""),
        locale=form.get("locale", reader.locale) if form.get("locale", reader.locale) in LOCALES else reader.locale,
        time_zone=form.get("time_zone", "Europe/Paris" if french else "UTC"),
        guess_zone="time_zone" not in form,
        currency=form.get("currency", "eur" if french else "usd"),
        error=error,
    )


def zones() -> tuple[str, ...]:
    """Return the names of time zones that people live in, and UTC first."""
    lived = {name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/"))}
    return ("UTC", *sorted(lived))


def currencies(locale: str) -> tuple[tuple[str, str], ...]:
    """Return the currencies that Stripe charges in, with their names in a language; those of most first."""
    ordered = (*_FIRST_CURRENCIES, *(code for code in _CODES.split() if code not in _FIRST_CURRENCIES))
    return tuple((code, f"{code.upper()} – {get_currency_name(code.upper(), locale=locale)}") for code in ordered)


routes = [ask, set_up, welcome]
