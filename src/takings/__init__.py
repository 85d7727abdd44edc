"""Takings: every Stripe payment and invoice in a warehouse you own, complete, proven and explained."""

__version__ = "0.1.0"
