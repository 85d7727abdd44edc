"""Addresses of objects in Stripe's own dashboard."""

from __future__ import annotations

from typing import Final

_PAGES: Final = {
    "pi_": "payments",
    "ch_": "payments",
    "py_": "payments",
    "cus_": "customers",
    "in_": "invoices",
    "po_": "payouts",
    "sub_": "subscriptions",
    "prod_": "products",
    "price_": "prices",
    "tr_": "connect/transfers",
}


def in_stripe(base: str, object_id: str | None, *, livemode: bool) -> str | None:
    """Return the address of an object in Stripe's dashboard.

    Args:
        base: Address of the dashboard, without a slash at the end.
        object_id: The object's id; what it is shows in its prefix.
        livemode: Test objects stand under ``/test``.

    Returns:
        ``None`` where the dashboard has no page of its own for such an object.
    """
    if not object_id:
        return None
    for prefix, page in _PAGES.items():
        if object_id.startswith(prefix):
            return f"{base}/{'' if livemode else 'test/'}{page}/{object_id}"
    return None
