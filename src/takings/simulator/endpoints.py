"""What endpoint a path belongs to, and which permission of a restricted key opens it."""

from __future__ import annotations

from functools import lru_cache

#: First words of a path that are a family of resources, not a resource.
_FAMILIES = frozenset(
    (
        *(
            "apple_pay",
            "apps",
            "billing",
            "billing_portal",
            "checkout",
            "climate",
            "core",
            "entitlements",
            "financial_connections",
        ),
        *("commerce", "crypto", "forwarding", "identity", "issuing", "money_management", "payments", "radar"),
        *("reporting", "reserve", "sigma", "tax", "terminal", "test_helpers", "treasury"),
    )
)

#: Words that stand where an id could, and are none.
_FIXED = frozenset(("search", "history", "settings", "data", "summary"))

#: Permissions whose name does not follow from the path. Prices and plans are one permission in Stripe, refunds ride on
#: charges, ``/v1/account`` asks for one of its own. Source: docs.stripe.com/stripe-apps/reference/permissions.
_PERMISSIONS = {
    "account": "accounts_kyc_basic",
    "accounts": "connected_account",
    "apple_pay/domains": "apple_pay_domain",
    "application_fees": "application_fee",
    "apps/secrets": "secret",
    "balance": "balance",
    "balance_settings": "balance",
    "balance_transactions": "balance_transaction_source",
    "billing_portal/configurations": "customer_portal",
    "charges": "charge",
    "commerce/product_catalog": "product_catalog_import",
    "core/accounts": "connected_account",
    "core/event_destinations": "webhook",
    "core/events": "event",
    "customers/payment_methods": "payment_method",
    "customers/sources": "source",
    "customers/subscriptions": "subscription",
    "entitlements/active_entitlements": "entitlement",
    "entitlements/features": "entitlement",
    "file_links": "file",
    "invoice_payments": "invoice",
    "invoice_rendering_templates": "invoice",
    "invoiceitems": "invoice",
    "money_management/payout_intents": "payout_intent",
    "payment_attempt_records": "payment_records",
    "payment_links": "payment_links",
    "payment_method_configurations": "payment_method_configurations",
    "payment_records": "payment_records",
    "plans": "plan",
    "prices": "plan",
    "refunds": "charge",
    "reporting/report_runs": "report_runs_and_report_types",
    "reporting/report_types": "report_runs_and_report_types",
    "setup_attempts": "setup_intent",
    "subscription_items": "subscription",
    "subscription_schedules": "subscription",
    "tax/calculations": "tax_calculations_and_transactions",
    "tax/locations": "tax_locations",
    "tax/registrations": "tax_settings",
    "tax/settings": "tax_settings",
    "tax/transactions": "tax_calculations_and_transactions",
    "tax_ids": "customer",
    "test_helpers/test_clocks": "billing_clock",
    "topups": "top_up",
    "treasury/credit_reversals": "received_credit",
    "treasury/debit_reversals": "received_debit",
    "treasury/financial_accounts": "financial_account",
    "treasury/inbound_transfers": "inbound_transfer",
    "treasury/outbound_payments": "outbound_payment",
    "treasury/outbound_transfers": "outbound_transfer",
    "treasury/received_credits": "received_credit",
    "treasury/received_debits": "received_debit",
    "treasury/transaction_entries": "treasury_transaction",
    "webhook_endpoints": "webhook",
}


@lru_cache(maxsize=50_000)
def template(path: str) -> str:
    """Return the path with ids replaced by ``{id}``: the unit that Stripe limits.

    >>> template("/v1/invoices/in_1/lines")
    '/v1/invoices/{id}/lines'
    >>> template("/v1/checkout/sessions/cs_1")
    '/v1/checkout/sessions/{id}'
    """
    words, ids = _split(path)
    version = path.split("/", 2)[1] if path.count("/") > 1 else ""
    shown = ["{id}" if i in ids else word for i, word in enumerate(words)]
    return "/" + "/".join([version, *shown])


#: What can be expanded and has a permission of its own: a path that this opens, too.
OPENED_BY = {"discounts": "/v1/coupons"}


@lru_cache(maxsize=50_000)
def permission(path: str) -> str:
    """Return the permission a restricted key needs for a path, without ``rak_`` and ``_read``: ``charge``."""
    words, ids = _split(path)
    named = [word for i, word in enumerate(words) if i not in ids]
    for known in ("/".join(named[:2]), named[0] if named else ""):
        if known in _PERMISSIONS:
            return _PERMISSIONS[known]
    own = named[: 2 if named and named[0] in _FAMILIES else 1]
    return "_".join([*own[:-1], _singular(own[-1])]) if own else "unknown"


def _split(path: str) -> tuple[list[str], frozenset[int]]:
    words = [word for word in path.split("/")[2:] if word]
    first = 1
    while first < len(words) and words[first - 1] in _FAMILIES:
        first += 1
    return words, frozenset(i for i in range(first, len(words), 2) if words[i] not in _FIXED)


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word.removesuffix("s")
