"""Finds in the warehouse what no list of Stripe's gives: prices of single lines, and which transactions a payout paid out."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from takings.sync import plan
from takings.sync.plan import BRIDGE_LIST, PRICES_BY_ID, Window
from takings.warehouse import Scope, Warehouse

_BRIDGES = """
SELECT p.id AS id
FROM stripe.payouts AS p
LEFT JOIN (
    SELECT DISTINCT b.payout AS payout FROM stripe.payout_balance_transactions AS b
    WHERE b._account = $account AND b._livemode = $livemode AND b._deleted_at IS NULL
) AS known ON known.payout = p.id
WHERE p._account = $account AND p._livemode = $livemode AND p._deleted_at IS NULL
  AND p.automatic AND (known.payout IS NULL OR p.reconciliation_status = 'in_progress')
ORDER BY p.created DESC, p.id
"""

_PRICES = """
SELECT DISTINCT seen.price AS id FROM (
    SELECT coalesce(json_extract_string(i.price, '$.id'), json_extract_string(i.price, '$')) AS price
    FROM stripe.subscription_items AS i WHERE i._account = $account AND i._livemode = $livemode AND i._synced_at >= $since
    UNION SELECT json_extract_string(l.pricing, '$.price_details.price') AS price
    FROM stripe.invoice_line_items AS l WHERE l._account = $account AND l._livemode = $livemode AND l._synced_at >= $since
    UNION SELECT json_extract_string(n.pricing, '$.price_details.price') AS price
    FROM stripe.invoiceitems AS n WHERE n._account = $account AND n._livemode = $livemode AND n._synced_at >= $since
    UNION SELECT coalesce(json_extract_string(c.price, '$.id'), json_extract_string(c.price, '$')) AS price
    FROM stripe.checkout_session_line_items AS c WHERE c._account = $account AND c._livemode = $livemode AND c._synced_at >= $since
) AS seen
WHERE seen.price IS NOT NULL AND seen.price NOT IN (
    SELECT p.id FROM stripe.prices AS p WHERE p._account = $account AND p._livemode = $livemode
)
ORDER BY 1
"""
#: Tables whose rows name prices that no list gives.
NAMES_PRICES: Final = frozenset(
    ("subscription_items", "invoice_line_items", "invoiceitems", "checkout_session_line_items")
)


def inline_prices(warehouse: Warehouse, scope: Scope, since: datetime) -> list[Window]:
    """Return the prices that rows which came since a moment (our clock) name and that no list gives."""
    asked = {"account": scope.account, "livemode": scope.livemode, "since": since}
    return [plan.new_window(PRICES_BY_ID, parent=row[0]) for row in warehouse.query(_PRICES, asked).rows]


def open_payouts(warehouse: Warehouse, scope: Scope) -> list[Window]:
    """Return the automatic payouts of which it is not settled yet which transactions they paid out."""
    asked = {"account": scope.account, "livemode": scope.livemode}
    return [plan.new_window(BRIDGE_LIST, parent=row[0]) for row in warehouse.query(_BRIDGES, asked).rows]
