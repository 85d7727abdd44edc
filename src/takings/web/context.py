"""What every page has at hand: the app, the reader it is drawn for, and the ways to answer: show, go elsewhere, flash."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response import Redirect, Template

from takings.accounts import Action, Company, Person, Theme
from takings.alerts import Bell, headline
from takings.app import App
from takings.errors import NotAllowed
from takings.words import Words

__all__ = [
    "App",
    "Elsewhere",
    "Flash",
    "Form",
    "FromApp",
    "FromForm",
    "FromReader",
    "NavEntry",
    "Reader",
    "Who",
    "go",
    "local_path",
    "show",
]

FLASH_COOKIE: Final = "takings_flash"
LOCALE_COOKIE: Final = "takings_locale"
THEME_COOKIE: Final = "takings_theme"

Form = dict[str, str]
"""What a form sent, one value a name; the dependency ``form``."""


class Who(Enum):
    """Who may use a route that no single action describes. Declared as ``opt={"who": Who.SIGNED_IN}``."""

    PUBLIC = "public"
    SIGNED_IN = "signed_in"


class Elsewhere(Exception):
    """Send the reader to another page instead of answering.

    Args:
        to: Path within the product.
    """

    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


@dataclass(frozen=True, slots=True)
class Flash:
    """A banner at the top of the next page, shown once.

    Attributes:
        kind: What it is: its colour, its icon, and how a screen reader announces it.
        key: Key of its sentence.
        fields: Values of the sentence's placeholders. Never a secret: they travel in a cookie.
    """

    kind: Literal["success", "info", "warning", "error"]
    key: str
    fields: dict[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NavEntry:
    """One way in the top bar.

    Attributes:
        key: Key of its words.
        path: Where it leads; the entry is current on every page below.
        icon: Name of an icon of ``macros/icons.html.j2``.
        action: What a person must be permitted to see it.
        group: Key of the words of the menu it lies in; None: in the bar itself.
    """

    key: str
    path: str
    icon: str
    action: Action
    group: str | None = None


NAV: Final[tuple[NavEntry, ...]] = (
    NavEntry("web.nav_home", "/", "home", Action.VIEW_REPORTS),
    NavEntry("web.nav_month_end", "/month-end", "calendar", Action.VIEW_REPORTS),
    NavEntry("dashboards.nav", "/dashboards", "chart", Action.VIEW_REPORTS),
    NavEntry("web.nav_tables", "/tables", "table", Action.SEE_TABLES),
    NavEntry("sql.nav", "/sql", "sql", Action.SEE_TABLES),
    NavEntry("web.nav_connections", "/admin/connections", "plug", Action.MANAGE_CONNECTIONS, "web.nav_admin"),
    NavEntry("alerts.nav", "/admin/alerts", "bell", Action.MANAGE_ALERTS, "web.nav_admin"),
    NavEntry("web.nav_company", "/admin/company", "globe", Action.MANAGE_COMPANY, "web.nav_admin"),
    NavEntry("web.nav_people", "/admin/people", "people", Action.MANAGE_PEOPLE, "web.nav_admin"),
)
"""Everything in the top bar, in order. A new page adds a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """For whom a page is drawn; the dependency ``reader``.

    Attributes:
        person: Who is signed in; None: nobody.
        company: The company's settings; None before the first set-up.
        words: Sentences and formats in the reader's language and the company's time zone.
        csrf: What each form must send back, as ``_csrf``.
        path: Path of this page, for what is current in the top bar.
        here: Path and query of this page, to come back to.
        now: The moment the page is drawn for.
        token: The session's token; None: nobody is signed in.
        wants_json: The reader is a program: answer with the page's values.
        bell: What every page shows of alerts; nothing for those who may not see them.
    """

    person: Person | None
    company: Company | None
    words: Words
    theme: Theme
    csrf: str
    path: str
    here: str
    now: datetime
    flashes: tuple[Flash, ...] = ()
    token: str | None = field(default=None, repr=False)
    wants_json: bool = False
    bell: Bell = field(default_factory=Bell)

    @property
    def alarms(self) -> tuple[str, ...]:
        """The serious alerts that nobody has seen, a sentence each."""
        return tuple(headline(one, self.words) for one in self.bell.serious)

    @property
    def signed_in(self) -> Person:
        """The person. Only for routes that nobody else reaches.

        Raises:
            NotAllowed: Nobody is signed in.
        """
        if self.person is None:
            raise NotAllowed("web.sign_in_needed", "Sign in first.")
        return self.person

    @property
    def locale(self) -> str:
        """``en`` or ``fr``."""
        return self.words.locale

    @property
    def zone(self) -> str:
        """IANA name of the zone moments are shown in."""
        return self.words.zone.key

    def may(self, action: Action | str) -> bool:
        """Tell whether the reader's role permits an action (templates give its value, such as ``manage_people``)."""
        wanted = Action(action) if isinstance(action, str) else action
        return self.person is not None and self.person.may(wanted)

    @property
    def nav(self) -> tuple[NavEntry, ...]:
        """The entries of the top bar that this reader may follow."""
        return tuple(entry for entry in NAV if self.may(entry.action))

    def is_current(self, entry: NavEntry) -> bool:
        """Tell whether this page lies at or below an entry of the top bar."""
        return self.path == entry.path or (entry.path != "/" and self.path.startswith(entry.path + "/"))

    def is_group_current(self, group: str) -> bool:
        """Tell whether this page lies below an entry of a menu of the top bar."""
        return any(entry.group == group and self.is_current(entry) for entry in NAV)


FromApp = NamedDependency[SkipValidation[App]]
"""``app: FromApp`` in a handler's arguments: the assembled program."""

FromReader = NamedDependency[SkipValidation[Reader]]
"""``reader: FromReader`` in a handler's arguments: for whom the page is drawn."""

FromForm = NamedDependency[Form]
"""``form: FromForm`` in a handler's arguments: what the form sent, one value a name."""


def show(reader: Reader, template: str, page: object, *, status: int = 200) -> Response[Any]:
    """Answer with a page, or with its values as JSON to whoever accepts only that.

    Args:
        reader: For whom.
        template: Name of the template without ``.html.j2``, such as ``people``.
        page: The page's frozen dataclass: all that the template gets besides ``reader`` and ``w`` (the words).
        status: HTTP status.
    """
    headers = {"Vary": "Accept, Cookie", "Cache-Control": "no-store"}
    if reader.wants_json:
        return Response(
            content=msgspec.json.encode(page, enc_hook=_plain),
            media_type="application/json",
            status_code=status,
            headers=headers,
        )
    answer = Template(
        template_name=f"{template}.html.j2",
        context={"page": page, "reader": reader, "w": reader.words},
        status_code=status,
        headers=headers,
        media_type="text/html",
    )
    if reader.flashes:
        answer.delete_cookie(FLASH_COOKIE)
    return answer


def go(to: str, flash: Flash | None = None, cookies: tuple[Cookie, ...] = ()) -> Redirect:
    """Answer a form by sending the reader to a page (303), with a banner there.

    Args:
        to: Path within the product, or an address at Stripe that we made ourselves. What a request gave goes through
            :func:`local_path` first.
        flash: The banner.
        cookies: Cookies to set.
    """
    all_cookies = list(cookies)
    if flash is not None:
        all_cookies.append(
            Cookie(key=FLASH_COOKIE, value=pack(flash), path="/", httponly=True, samesite="lax", max_age=120)
        )
    return Redirect(path=to, status_code=303, cookies=all_cookies, headers={"Cache-Control": "no-store"})


def local_path(wanted: str | None, otherwise: str = "/") -> str:
    """Return a path that a request asked to go back to, if it surely leads into this product."""
    if not wanted or not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or len(wanted) > 2000:
        return otherwise
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or any(ord(letter) < 32 for letter in wanted):
        return otherwise
    return wanted


def sign_in_path(here: str) -> str:
    """Return the address of the sign-in page that leads back to where the reader wanted to go."""
    return "/sign-in" if here in ("", "/") else f"/sign-in?next={quote(here, safe='/')}"


def pack(flash: Flash) -> str:
    """Write a banner into the form of a cookie's value."""
    raw = json.dumps([flash.kind, flash.key, flash.fields], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unpack(value: str | None, words: Words) -> tuple[Flash, ...]:
    """Read banners from a cookie; anything that is not exactly what :func:`pack` wrote is nothing."""
    if not value or len(value) > 2000:
        return ()
    try:
        kind, key, fields = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
        flash = msgspec.convert({"kind": kind, "key": key, "fields": fields}, Flash)
        words(flash.key, **flash.fields)
    except (binascii.Error, ValueError, TypeError, KeyError, msgspec.ValidationError):
        return ()
    return (flash,)


def _plain(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    if hasattr(value, "__html__"):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON.")
