"""What happens to an account after it was drawn, as tests and the demo order it: one value a change, whole with its money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from takings.simulator.account import Account
from takings.simulator.objects.base import Object

_DISPUTE_FEE: Final = 2_000


class Change(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One change to an account's data; every field that its verb does not name is left alone.

    The verbs:

    - ``create`` an ``object`` with ``fields`` (under ``parent``), ``update`` or ``delete`` the one with this ``id``;
    - ``cancel`` a subscription, ``archive`` a price or a product;
    - ``refund`` a charge (``amount``, or the rest of it), ``dispute`` it, ``capture`` it late: with its balance transactions;
    - ``settle``: balance transactions that are due at ``at`` (or now) turn available, and no event tells;
    - ``pay_out`` what has turned available since the company was drawn or was made after it, in ``currency``; answers the
      payout's id, or "" where there is nothing to pay out;
    - ``finish`` a payout: it arrives, or ``failed``;
    - ``tell`` an event of ``type`` about ``fields`` (or the object of this ``id``), true or not, ``late_s`` seconds late;
    - ``telling``: how later changes are told (``api_version``, ``late_s``, ``times``).
    """

    do: Literal[
        "create", "update", "delete", "cancel", "archive", "refund", "dispute", "capture", "settle", "pay_out", "finish", "tell",
        "telling",
    ]  # fmt: skip
    account: str | None = None
    livemode: bool = True
    #: Whom it happens to; for ``tell``, where ``fields`` are given, the event's own id.
    id: str = ""
    #: For create, Stripe's word: ``customer``.
    object: str = ""
    fields: dict[str, Any] = {}
    #: For create: whose it is; the invoice of a line, the subscription of an item.
    parent: str | None = None
    #: Whether, or as which type, ``/v1/events`` tells of it.
    event: bool | str = True
    #: The event's ``created``, or until when to settle, in Unix seconds; None for now.
    at: int | None = None
    amount: int | None = None
    currency: str = ""
    failed: bool = False
    type: str = ""
    late_s: float | None = None
    api_version: str | None = None
    times: int | None = None


def make(account: Account, change: Change) -> str:
    """Make a change and return the id of what it made or changed.

    Raises:
        KeyError: There is no such object.
        ValueError: The object is in no state for it.
    """
    with account.at_once():
        return _VERBS[change.do](account, change)


def _create(account: Account, change: Change) -> str:
    return account.create(change.object, change.fields, event=change.event, parent=change.parent, at=change.at)


def _update(account: Account, change: Change) -> str:
    account.update(change.id, change.fields, event=change.event, at=change.at)
    return change.id


def _delete(account: Account, change: Change) -> str:
    account.delete(change.id, event=change.event, at=change.at)
    return change.id


def _cancel(account: Account, change: Change) -> str:
    now = account.now()
    ended = {
        "status": "canceled",
        "canceled_at": now,
        "ended_at": now,
        "cancel_at_period_end": False,
        "cancel_at": None,
    }
    event = "customer.subscription.deleted" if change.event is True else change.event
    account.update(change.id, ended, event=event, at=change.at)
    return change.id


def _archive(account: Account, change: Change) -> str:
    account.update(change.id, {"active": False}, event=change.event, at=change.at)
    return change.id


def _books(account: Account, amount: int, currency: str, category: str, source: str, **more: Any) -> str:
    """Make the balance transaction of a movement and return its id."""
    now = account.now()
    fee = more.pop("fee", 0)
    fields: Object = {
        "amount": amount,
        "available_on": now,
        "currency": currency,
        "description": category.replace("_", " ").capitalize(),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": "Stripe fees",
                "type": "stripe_fee",
            }
        ]
        if fee
        else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": source,
        "status": "available",
        "type": category,
    }
    return account.create("balance_transaction", fields | more, event=False)


def _settled(account: Account, charge: Object, amount: int) -> tuple[int, str]:
    """Return an amount of a charge in the currency it settled in."""
    if not charge["balance_transaction"]:
        return amount, account.default_currency
    txn = account.show(charge["balance_transaction"])
    return round(amount * txn["amount"] / charge["amount"]), txn["currency"]


def _refund(account: Account, change: Change) -> str:
    charge = account.show(change.id)
    left = charge["amount"] - charge["amount_refunded"]
    amount = left if change.amount is None else change.amount
    if charge["status"] != "succeeded" or not charge["captured"] or not 0 < amount <= left:
        raise ValueError(f"{change.id} cannot be refunded by {amount}")
    told = change.event is not False
    refund = account.create("refund", _of(charge) | {"amount": amount, "metadata": {}, "reason": None, "status": "succeeded",
                                                     "transfer_reversal": None}, event=False)  # fmt: skip
    minor, currency = _settled(account, charge, amount)
    account.update(refund, {"balance_transaction": _books(account, -minor, currency, "refund", refund)}, event=False)
    account.update(refund, {}, event="refund.created" if told else False, at=change.at)
    refunded = charge["amount_refunded"] + amount
    account.update(
        change.id,
        {"amount_refunded": refunded, "refunded": refunded == charge["amount"]},
        event="charge.refunded" if told else False,
        at=change.at,
    )
    return refund


def _of(charge: Object) -> Object:
    """Return what a refund says of its charge."""
    return {
        "charge": charge["id"],
        "currency": charge["currency"],
        "customer": charge["customer"],
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
    }


def _dispute(account: Account, change: Change) -> str:
    charge = account.show(change.id)
    minor, currency = _settled(account, charge, charge["amount"])
    told = change.event is not False
    of = {key: charge[key] for key in ("amount", "currency", "payment_intent")} | {"charge": charge["id"]}
    dispute = account.create("dispute", of | {"balance_transactions": [], "status": "needs_response"}, event=False)
    txn = _books(account, -minor, currency, "dispute", dispute, fee=_DISPUTE_FEE, type="adjustment")
    account.update(dispute, {"balance_transactions": [account.show(txn)]}, event=False)
    account.update(change.id, {"disputed": True}, event=False)  # Stripe tells of the dispute, and not of the charge
    for name in ("charge.dispute.created", "charge.dispute.funds_withdrawn"):
        account.update(dispute, {}, event=name if told else False, at=change.at)
    return dispute


def _capture(account: Account, change: Change) -> str:
    charge = account.show(change.id)
    if charge["status"] != "succeeded" or charge["captured"]:
        raise ValueError(f"{change.id} has nothing to capture")
    amount, told = charge["amount"], change.event is not False
    currency = account.default_currency
    txn = _books(account, amount, currency, "charge", change.id, fee=amount * 15 // 1_000 + 25, status="pending",
                 available_on=account.now() + 3 * 86_400)  # fmt: skip
    account.update(
        change.id,
        {"amount_captured": amount, "captured": True, "balance_transaction": txn},
        event="charge.captured" if told else False,
        at=change.at,
    )
    if charge["payment_intent"]:
        account.update(
            charge["payment_intent"],
            {"amount_capturable": 0, "amount_received": amount, "status": "succeeded"},
            event="payment_intent.succeeded" if told else False,
            at=change.at,
        )
    return txn


def _settle(account: Account, change: Change) -> str:
    until = account.now() if change.at is None else change.at
    due = [
        thing["id"]
        for thing in account.everything("balance_transactions")
        if thing["status"] == "pending" and thing["available_on"] <= until
    ]
    for id in due:
        account.update(id, {"status": "available"}, event=False)
    return str(len(due))


def _pay_out(account: Account, change: Change) -> str:
    currency = change.currency or account.default_currency
    done = account.attributed()
    swept = [
        thing
        for thing in account.changed("balance_transactions")
        if thing["status"] == "available"
        and thing["currency"] == currency
        and thing["id"] not in done
        and thing["type"] != "payout"
    ]
    amount = sum(thing["net"] for thing in swept)
    if amount <= 0:
        return ""
    now = account.now()
    payout = account.create(
        "payout",
        {
            "amount": amount, "arrival_date": now + 2 * 86_400, "automatic": True, "currency": currency, "failure_balance_transaction": None,
            "failure_code": None, "failure_message": None, "reconciliation_status": "completed", "status": "in_transit",
        },
        event=False,
    )  # fmt: skip
    txn = _books(account, -amount, currency, "payout", payout)
    account.update(payout, {"balance_transaction": txn}, event=False)
    account.attribute([txn, *(thing["id"] for thing in swept)], payout)
    account.update(payout, {}, event="payout.created" if change.event is not False else False, at=change.at)
    return payout


def _finish(account: Account, change: Change) -> str:
    payout = account.show(change.id)
    if payout["status"] not in ("in_transit", "pending"):
        raise ValueError(f"{change.id} has arrived or failed")
    told = change.event is not False
    if not change.failed:
        account.update(change.id, {"status": "paid"}, event="payout.paid" if told else False, at=change.at)
        return change.id
    back = _books(account, payout["amount"], payout["currency"], "payout_reversal", change.id, type="payout_failure")
    failed = {
        "failure_balance_transaction": back,
        "failure_code": "account_closed",
        "failure_message": "The bank account has been closed.",
        "status": "failed",
    }
    account.update(change.id, failed, event="payout.failed" if told else False, at=change.at)
    return change.id


def _tell(account: Account, change: Change) -> str:
    thing, own = (change.fields, change.id or None) if change.fields else (account.show(change.id), None)
    return account.tell(change.type, thing, at=change.at, id=own, late_s=change.late_s, api_version=change.api_version)


def _telling(account: Account, change: Change) -> str:
    telling = account.telling
    telling.api_version = change.api_version or telling.api_version
    telling.late_s = telling.late_s if change.late_s is None else change.late_s
    telling.times = change.times or telling.times
    return ""


_VERBS: Final[dict[str, Callable[[Account, Change], str]]] = {
    "archive": _archive,
    "cancel": _cancel,
    "capture": _capture,
    "create": _create,
    "delete": _delete,
    "dispute": _dispute,
    "finish": _finish,
    "pay_out": _pay_out,
    "refund": _refund,
    "settle": _settle,
    "tell": _tell,
    "telling": _telling,
    "update": _update,
}
