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

    ``back`` is the field of the child that names its parent, for new objects; None where there can be none.
    """

    table: str
    rows: Callable[[Company, int], I64]
    url: str
    back: str | None = None


def _span(parent: str, child: str, first: str, count: str, url: str) -> Children:
    """Return children that stand one after another in their table."""

    def rows(company: Company, row: int) -> I64:
        table = company.tables[parent]
        start = int(table[first][row])
        return np.arange(start, start + int(table[count][row]))

    return Children(child, rows, url)


def _newest(child: str, column: str, url: str, back: str) -> Children:
    """Return children found by a column of references, the newest first."""

    def rows(company: Company, row: int) -> I64:
        return company.tables[child].rows_where(column, row)[::-1]

    return Children(child, rows, url, back)


def _living_subscriptions(company: Company, row: int) -> I64:
    table = company.tables["subscriptions"]
    rows = table.rows_where("customer", row)[::-1]
    return rows[table["status"][rows] != CANCELED] if len(rows) else rows


_LINES = _span("invoices", "invoice_line_items", "line", "lines", "/v1/invoices/{id}/lines")

#: By table and the field that holds the list; ``{id}`` in the URL is the parent's.
CHILDREN: dict[tuple[str, str], Children] = {
    ("invoices", "lines"): _LINES,
    ("invoices", "payments"): _newest("invoice_payments", "invoice", "/v1/invoice_payments?invoice={id}", "invoice"),
    ("subscriptions", "items"): _span("subscriptions", "subscription_items", "item", "items", "/v1/subscription_items?subscription={id}"),
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
