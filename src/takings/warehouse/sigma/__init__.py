"""Stripe Sigma's tables as views over ours; its dialect of SQL is understood by :mod:`takings.warehouse.sigma.dialect`."""

from takings.warehouse.sigma.model import EXTRA, Column, Mapping, Table, load, note, reason
from takings.warehouse.sigma.views import DATABASE, LEAN, needed

__all__ = ["DATABASE", "EXTRA", "LEAN", "Column", "Mapping", "Table", "load", "needed", "note", "reason"]
