"""The lists that hang on an object: which rows of which table are whose, in Stripe's order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.growth import CANCELED


class Children(NamedTuple):
    """A list of one table's rows under a row of another.

    ``back`` is the field of the child that names its parent, for new objects; None where none does. New ones come first
    in a list whose newest are first, and else last.
    """

    table: str
    rows: Callable[[Company, int], I64]
    url: str
    back: str | None = None
    newest_first: bool = True


def _span(parent: str, child: str, first: str, count: str, url: str, back: str | None = None) -> Children:
    """Return children that stand one after another in their table."""

    def rows(company: Company, row: int) -> I64:
        table = company.tables[parent]
        start = int(table[first][row])
        return np.arange(start, start + int(table[count][row]))

    return Children(child, rows, url, back, newest_first=False)


def _newest(child: str, column: str, url: str, back: str) -> Children:
    """Return children found by a column of references, the newest first."""

    def rows(company: Company, row: int) -> I64:
        return company.tables[child].rows_where(column, row)[::-1]

    return Children(child, rows, url, back)


def _living_subscriptions(company: Company, row: int) -> I64:
    table = company.tables["subscriptions"]
    rows = table.rows_where("customer", row)[::-1]
    return rows[table["status"][rows] != CANCELED] if len(rows) else rows


_LINES = _span("invoices", "invoice_line_items", "line", "lines", "/v1/invoices/{id}/lines", "invoice")

#: By table and the field that holds the list; ``{id}`` in the URL is the parent's.
CHILDREN: dict[tuple[str, str], Children] = {
    ("invoices", "lines"): _LINES,
    ("invoices", "payments"): _newest("invoice_payments", "invoice", "/v1/invoice_payments?invoice={id}", "invoice"),
    ("subscriptions", "items"): _span("subscriptions", "subscription_items", "item", "items", "/v1/subscription_items?subscription={id}", "subscription"),
    ("credit_notes", "lines"): _span("credit_notes", "credit_note_line_items", "line", "lines", "/v1/credit_notes/{id}/lines"),
    ("checkout_sessions", "line_items"): _span(
        "checkout_sessions", "checkout_session_line_items", "line", "lines", "/v1/checkout/sessions/{id}/line_items"
    ),
    ("charges", "refunds"): _newest("refunds", "charge", "/v1/charges/{id}/refunds", "charge"),
    ("transfers", "reversals"): _newest("transfer_reversals", "transfer", "/v1/transfers/{id}/reversals", "transfer"),
    ("application_fees", "refunds"): _newest("application_fee_refunds", "fee", "/v1/application_fees/{id}/refunds", "fee"),
    ("customers", "tax_ids"): _newest("tax_ids", "customer", "/v1/customers/{id}/tax_ids", "customer"),
    ("customers", "payment_methods"): _newest("payment_methods", "customer", "/v1/customers/{id}/payment_methods", "customer"),
    ("customers", "subscriptions"): Children("subscriptions", _living_subscriptions, "/v1/customers/{id}/subscriptions", "customer"),
}  # fmt: skip

#: Lists whose rows are parts of their parent, and go with it.
CONTAINED = frozenset(
    (
        ("invoices", "lines"),
        ("subscriptions", "items"),
        ("credit_notes", "lines"),
        ("checkout_sessions", "line_items"),
        ("transfers", "reversals"),
        ("application_fees", "refunds"),
    )
)

#: Lists whose objects are gone with their parent.
HELD = CONTAINED | {("customers", "tax_ids")}

#: Fields in which an object holds others whole, as they are now, with the table of those: so it changes when they do,
#: and no event tells.
WHOLE: dict[str, tuple[tuple[str, str], ...]] = {
    "subscription_items": (("price", "prices"), ("plan", "plans")),
    "checkout_session_line_items": (("price", "prices"),),
    "subscriptions": (("default_tax_rates", "tax_rates"),),
    "disputes": (("balance_transactions", "balance_transactions"),),
}
