"""What each number means: SQL models with a header, in the order they need each other, and figures that explain themselves."""

from takings.metrics.aging import BUCKETS, Aging, Owed, aging
from takings.metrics.asking import Contribution, Figure, Question, Value
from takings.metrics.books import Booked, Books, Closing, Restatement
from takings.metrics.builder import Builder, Built
from takings.metrics.collecting import Collection, collection
from takings.metrics.explaining import Figures
from takings.metrics.journal import ACCOUNTS, Balance, Billed, Entry, Journal
from takings.metrics.keeping import Keeping
from takings.metrics.model import MANY, Derived, Measure, Model
from takings.metrics.periods import GRAINS, Grain, period_of
from takings.metrics.policies import Policy
from takings.metrics.rates import Converted, Exchange
from takings.metrics.recurring import Difference, Recurring, Waterfall
from takings.metrics.registry import Registry

__all__ = [
    "ACCOUNTS",
    "BUCKETS",
    "GRAINS",
    "MANY",
    "Aging",
    "Balance",
    "Billed",
    "Booked",
    "Books",
    "Builder",
    "Built",
    "Closing",
    "Collection",
    "Contribution",
    "Converted",
    "Derived",
    "Difference",
    "Entry",
    "Exchange",
    "Figure",
    "Figures",
    "Grain",
    "Journal",
    "Keeping",
    "Measure",
    "Model",
    "Owed",
    "Policy",
    "Question",
    "Recurring",
    "Registry",
    "Restatement",
    "Value",
    "Waterfall",
    "aging",
    "collection",
    "period_of",
]
