"""Which objects are still open: Stripe may change them without an event, so they are looked at until they are settled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from takings.warehouse import Scope, Warehouse
from takings.warehouse.tables import quote

#: By table: the condition under which an object may still change silently. ``$now`` is the present.
OPEN: Final[Mapping[str, str]] = {
    "balance_transactions": "t.status = 'pending' AND t.available_on <= $now",
    "charges": "t.status = 'pending' OR (t.status = 'succeeded' AND NOT t.captured AND NOT t.refunded)",
    "checkout_sessions": "t.status = 'open'",
    "disputes": "t.status NOT IN ('won', 'lost', 'warning_closed', 'prevented')",
    "invoiceitems": "t.invoice IS NULL",
    "invoices": "t.status IN ('draft', 'open')",
    "payment_intents": "t.status NOT IN ('succeeded', 'canceled')",
    "payouts": "t.status IN ('pending', 'in_transit')",
    "quotes": "t.status IN ('draft', 'open')",
    "refunds": "t.status IN ('pending', 'requires_action')",
    "reviews": "t.open",
    "setup_intents": "t.status NOT IN ('succeeded', 'canceled')",
    "subscription_schedules": "t.status IN ('not_started', 'active')",
    "topups": "t.status = 'pending'",
}


def open_rows(
    warehouse: Warehouse, scope: Scope, table: str, moment: str, now: datetime
) -> list[tuple[str, datetime | None]]:
    """Return the objects of a table that are still open: id and when each was made.

    Args:
        warehouse: Where they are.
        scope: Whose.
        table: One of :data:`OPEN`.
        moment: The column that says when an object was made.
        now: The present.
    """
    values: dict[str, object] = {"account": scope.account, "livemode": scope.livemode}
    if "$now" in OPEN[table]:
        values["now"] = now
    rows = warehouse.query(
        f"SELECT t.id AS id, t.{quote(moment)} AS made FROM stripe.{quote(table)} AS t "
        f"WHERE t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL AND ({OPEN[table]})",
        values,
    ).rows
    return [(row[0], row[1]) for row in rows]
