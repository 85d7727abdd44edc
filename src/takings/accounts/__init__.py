"""People, their roles and sessions, the company's settings, and the audit trail."""

from takings.accounts.audit import Audit
from takings.accounts.company import SetupToken, company
from takings.accounts.model import (
    MATRIX,
    ROLES,
    THEMES,
    Action,
    AuditEntry,
    Company,
    Invitation,
    Person,
    Role,
    Session,
    Theme,
    require,
)
from takings.accounts.passwords import Passwords
from takings.accounts.people import People
from takings.accounts.sessions import Sessions

__all__ = [
    "MATRIX",
    "ROLES",
    "THEMES",
    "Action",
    "Audit",
    "AuditEntry",
    "Company",
    "Invitation",
    "Passwords",
    "People",
    "Person",
    "Role",
    "Session",
    "Sessions",
    "SetupToken",
    "Theme",
    "company",
    "require",
]
