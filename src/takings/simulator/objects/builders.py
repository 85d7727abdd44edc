"""Which builder makes the objects of which table."""

from __future__ import annotations

from takings.simulator.company import Company
from takings.simulator.dice import I64
from takings.simulator.objects import billing, customers, events, money, payments, shop
from takings.simulator.objects.base import Object
from takings.simulator.objects.events import Builder


def _events(company: Company, rows: I64) -> list[Object]:
    return events.events(company, rows, BUILDERS)


#: For each table its builder; each takes rows of that table, none negative, and keeps their order.
BUILDERS: dict[str, Builder] = {
    "products": shop.products,
    "prices": shop.prices,
    "plans": shop.plans,
    "coupons": shop.coupons,
    "promotion_codes": shop.promotion_codes,
    "tax_rates": shop.tax_rates,
    "customers": customers.customers,
    "tax_ids": customers.tax_ids,
    "payment_methods": customers.payment_methods,
    "setup_intents": customers.setup_intents,
    "subscriptions": billing.subscriptions,
    "subscription_items": billing.subscription_items,
    "subscription_schedules": billing.subscription_schedules,
    "invoices": billing.invoices,
    "invoice_line_items": billing.invoice_line_items,
    "invoiceitems": billing.invoiceitems,
    "invoice_payments": billing.invoice_payments,
    "credit_notes": billing.credit_notes,
    "credit_note_line_items": billing.credit_note_line_items,
    "checkout_sessions": payments.checkout_sessions,
    "checkout_session_line_items": payments.checkout_session_line_items,
    "payment_intents": payments.payment_intents,
    "charges": payments.charges,
    "refunds": payments.refunds,
    "disputes": payments.disputes,
    "transfers": money.transfers,
    "transfer_reversals": money.transfer_reversals,
    "application_fees": money.application_fees,
    "application_fee_refunds": money.application_fee_refunds,
    "balance_transactions": money.balance_transactions,
    "payouts": money.payouts,
    "events": _events,
}
