"""The values of accounts: people and their roles, what each role may do, the company, invitations and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from takings.errors import NotAllowed

Role = Literal["admin", "standard", "read_only"]
Theme = Literal["auto", "light", "dark"]

ROLES: Final[tuple[Role, ...]] = ("admin", "standard", "read_only")
THEMES: Final[tuple[Theme, ...]] = ("auto", "light", "dark")


class Action(Enum):
    """What a person may want to do. Every route and every function that changes something names one."""

    VIEW_REPORTS = "view_reports"
    EXPORT = "export"
    SEE_TABLES = "see_tables"
    MANAGE_CONNECTIONS = "manage_connections"
    MANAGE_PEOPLE = "manage_people"
    MANAGE_COMPANY = "manage_company"
    SEE_AUDIT = "see_audit"
    SEE_ALERTS = "see_alerts"
    MANAGE_ALERTS = "manage_alerts"


MATRIX: Final[dict[Role, frozenset[Action]]] = {
    "admin": frozenset(Action),
    "standard": frozenset((Action.VIEW_REPORTS, Action.EXPORT, Action.SEE_TABLES, Action.SEE_ALERTS)),
    "read_only": frozenset((Action.VIEW_REPORTS, Action.EXPORT)),
}
"""The whole of who may do what. Nothing else in the program compares roles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account here.

    Attributes:
        email: In lower case; how they sign in.
        locale: ``en`` or ``fr``; None takes the company's.
        disabled_at: Since when they may no longer sign in; None: they may.
    """

    id: str
    email: str
    name: str
    role: Role
    locale: str | None
    theme: Theme
    created_at: datetime
    disabled_at: datetime | None = None

    def may(self, action: Action) -> bool:
        """Tell whether this person's role permits an action."""
        return self.disabled_at is None and action in MATRIX[self.role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The company that uses this installation.

    Attributes:
        locale: Language of those who chose none: ``en`` or ``fr``.
        time_zone: IANA name of the zone whose days reports count.
        currency: Reporting currency, ISO code in lower case.
        policy: Name of the policy of recurring revenue that figures are kept under.
    """

    name: str
    locale: str
    time_zone: str
    currency: str
    policy: str = "stripe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link by which somebody may make an account. The link's token itself is never stored.

    Attributes:
        expires_at: From then on it opens nothing.
    """

    id: str
    email: str
    role: Role
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One place where a person is signed in.

    Attributes:
        id: Names the session to its owner: the beginning of the hash of its token, which opens nothing.
        user_agent: What the browser said it is, cut to 300 characters.
    """

    id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token by which a person's programs ask the API. The token itself is never stored.

    Attributes:
        name: What it is for.
        role: What it may do.
        owner: Name of its person.
        expires_at: From then on it opens nothing; None: until it is revoked.
        used_at: When it was last used, to within five minutes; None: never.
    """

    id: str
    name: str
    role: Role
    owner: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something somebody did.

    Attributes:
        person_name: Their name at the time; of the program itself, ``takings``.
        action: What, such as ``connection.added``.
        subject: To what: a name or an address, never a secret.
    """

    at: datetime
    person_name: str
    action: str
    subject: str
    details: dict[str, str | int | bool | None]


def require(person: Person | None, action: Action) -> Person:
    """Return the person if their role permits an action.

    Raises:
        NotAllowed: Nobody is signed in, the person is disabled, or the role does not permit it.
    """
    if person is None or not person.may(action):
        raise NotAllowed(
            "accounts.not_allowed",
            "Your role does not permit this: ask an administrator of this installation.",
            action=action.value,
        )
    return person
