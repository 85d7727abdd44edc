"""Alerts: what is wrong now, told once when it begins and once when it is over, by mail, by webhook and on a page."""

from takings.alerts.channels import Channels
from takings.alerts.figures import FIGURES_TYPE, Figures
from takings.alerts.health import Health
from takings.alerts.model import (
    KINDS,
    SERIOUS,
    Alert,
    Answer,
    Bell,
    BudgetFacts,
    Budgets,
    Channel,
    HookSettings,
    Kind,
    MailSettings,
    Told,
)
from takings.alerts.service import Alerts
from takings.alerts.telling import advice, answered, headline
from takings.alerts.watch import Watch

__all__ = [
    "FIGURES_TYPE",
    "KINDS",
    "SERIOUS",
    "Alert",
    "Alerts",
    "Answer",
    "Bell",
    "BudgetFacts",
    "Budgets",
    "Channel",
    "Channels",
    "Figures",
    "Health",
    "HookSettings",
    "Kind",
    "MailSettings",
    "Told",
    "Watch",
    "advice",
    "answered",
    "headline",
]
