"""People, their roles, sessions and tokens, the company's settings, and the audit trail."""

from takings.accounts.api_tokens import ApiTokens
from takings.accounts.audit import Audit
from takings.accounts.company import SetupToken, company
from takings.accounts.company_settings import CompanySettings
from takings.accounts.model import (
    MATRIX,
    ROLES,
    THEMES,
    Action,
    ApiToken,
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
    "ApiToken",
    "ApiTokens",
    "Audit",
    "AuditEntry",
    "Company",
    "CompanySettings",
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
