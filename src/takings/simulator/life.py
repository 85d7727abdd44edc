"""A company that goes on living by dice: changes of every kind a replica must not miss, told by events or silent, of any age."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from takings.simulator.account import Account
from takings.simulator.changes import Change, make
from takings.simulator.objects.base import Object

#: Makes one change; returns the ids whose state it tells (all of it, where it is told), or None where nothing fits.
Turn = Callable[["Life"], list[str] | None]

_TRIES: Final = 40
#: Tables whose rows are changed in a field of their own, silently.
_SILENT: Final = (
    "application_fees", "balance_transactions", "charges", "checkout_sessions", "coupons", "credit_notes", "customers", "disputes",
    "invoice_payments", "invoiceitems", "invoices", "payment_intents", "payment_methods", "payouts", "prices", "products",
    "promotion_codes", "refunds", "setup_intents", "subscription_schedules", "subscriptions", "tax_ids", "tax_rates", "transfers",
)  # fmt: skip
#: Those of which Stripe tells with an ``….updated`` event.
_TOLD: Final = (
    "charges", "coupons", "credit_notes", "customers", "invoices", "payment_methods", "payouts", "prices", "products",
    "promotion_codes", "refunds", "subscription_schedules", "subscriptions", "tax_rates", "transfers",
)  # fmt: skip


class Life:
    """Changes one account by dice.

    Args:
        account: Whom.
        seed: What the dice start from.
        told: Whether events tell of what happens; what has no event in Stripe is silent all the same.
        only: Names of the kinds of change to choose from (:data:`KINDS`); none: all.
    """

    def __init__(self, account: Account, seed: int, *, told: bool, only: Sequence[str] = ()) -> None:
        self.account = account
        self.dice = random.Random(seed)
        self.told = told
        self.turn = 0
        kinds = [KINDS[name] for name in only] or [*_OFTEN, *KINDS.values()]
        self._kinds = [kind for kind in kinds if told or kind not in _ONLY_TOLD]

    def live(self, turns: int) -> list[str]:
        """Make so many changes and return the ids of the objects of which events tell the last state.

        Where nothing is told the list is empty.
        """
        touched: dict[str, None] = {}
        for _ in range(turns):
            self.turn += 1
            for _ in range(_TRIES):  # what fits nothing gives way to another kind; where none fits, the turn is lost
                done = self.dice.choice(self._kinds)(self)
                if done is not None:
                    touched |= dict.fromkeys(done)
                    break
        return list(touched) if self.told else []

    def do(self, do: Any, id: str = "", **more: Any) -> str:
        """Make one change, told or not as this life is."""
        return make(self.account, Change(do=do, id=id, **{"event": self.told} | more))

    def some(self, table: str, fits: Callable[[Object], bool] = lambda thing: True) -> Object | None:
        """Pick a living object of a table by dice; None where dice find none that fits."""
        for _ in range(_TRIES):
            thing = self.account.pick(table, self.dice)
            if thing is not None and fits(thing):
                return thing
        return None

    def word(self) -> str:
        """Return a text that no object has yet."""
        return f"turn {self.turn}, {self.dice.getrandbits(32):08x}"


def _change(life: Life) -> list[str] | None:
    table = life.dice.choice(_TOLD if life.told else _SILENT)
    thing = life.some(table)
    if thing is None:
        return None
    if "metadata" in thing:
        fields: Object = {"metadata": thing["metadata"] | {"touched": life.word()}}
    else:
        name = next(name for name in ("description", "value", "code", "currency") if name in thing)
        fields = {name: life.word()}
    return [life.do("update", thing["id"], fields=fields)]


def _remove(life: Life) -> list[str] | None:
    tables: tuple[str, ...] = ("coupons", "customers", "invoiceitems", "invoices", "products", "tax_ids")
    if not life.told:
        tables += ("charges", "payment_methods", "setup_intents", "subscriptions")
    table = life.dice.choice(tables)
    thing = life.some(table, lambda thing: table != "invoices" or not life.told or thing["status"] == "draft")
    return None if thing is None else [life.do("delete", thing["id"])]


def _customer(life: Life) -> list[str] | None:
    return [life.do("create", object="customer", fields={"name": life.word()})]


def _product(life: Life) -> list[str] | None:
    product = life.do("create", object="product", fields={"name": life.word()})
    price = life.do("create", object="price", fields={"product": product, "active": True, "nickname": life.word()})
    return [product, price]


def _payment(life: Life) -> list[str] | None:
    amount = life.dice.randint(100, 90_000)
    txn: Object = {
        "amount": amount, "available_on": life.account.now() + 3 * 86_400, "currency": life.account.default_currency,
        "exchange_rate": None, "fee": 0, "fee_details": [], "net": amount, "reporting_category": "charge", "status": "pending",
        "type": "charge",
    }  # fmt: skip
    intent = life.do(
        "create", object="payment_intent", fields={"amount": amount, "amount_received": amount}, event=False
    )
    charge = life.do("create", object="charge", event=False, fields={
        "amount": amount, "amount_captured": amount, "amount_refunded": 0, "balance_transaction": None, "captured": True,
        "currency": life.account.default_currency, "disputed": False, "payment_intent": intent, "refunded": False, "status": "succeeded",
    })  # fmt: skip
    made = life.do("create", object="balance_transaction", fields=txn | {"source": charge}, event=False)
    life.do("update", charge, fields={"balance_transaction": made}, event="charge.succeeded" if life.told else False)
    name = "payment_intent.succeeded" if life.told else False
    life.do("update", intent, fields={"latest_charge": charge, "status": "succeeded"}, event=name)
    return [charge, intent]


def _with_children(life: Life) -> list[str] | None:
    object, child, born = life.dice.choice(
        (
            ("invoice", "line_item", "invoice.created"),
            ("subscription", "subscription_item", "customer.subscription.created"),
            ("credit_note", "credit_note_line_item", "credit_note.created"),
            ("checkout.session", "item", "checkout.session.completed"),
        )
    )
    if not life.account.drew(object) or not life.account.drew(child):
        return None
    fields: Object = {"status": "active"} if object == "subscription" else {}
    made = life.do("create", object=object, fields=fields, event=False)
    children = [
        life.do("create", object=child, fields={"metadata": {"n": str(n)}}, parent=made, event=False)
        for n in range(life.dice.choice((1, 3, 11, 14)))
    ]
    life.do("update", made, event=born if life.told else False)
    return [made, *children]


_PARENTS: Final = (
    ("invoices", "lines", "line_item", "invoice.updated"),
    ("subscriptions", "items", "subscription_item", "customer.subscription.updated"),
    ("credit_notes", "lines", "credit_note_line_item", "credit_note.updated"),
)


def _grow(life: Life) -> list[str] | None:
    table, _, child, told = life.dice.choice(_PARENTS)
    parent = life.some(table)
    if parent is None:
        return None
    children = [
        life.do("create", object=child, fields={"metadata": {"n": str(n)}}, parent=parent["id"], event=False)
        for n in range(life.dice.choice((1, 6, 13)))
    ]
    life.do("update", parent["id"], event=told if life.told else False)
    return [parent["id"], *children]


def _shrink(life: Life) -> list[str] | None:
    table, field, _, told = life.dice.choice(_PARENTS)
    parent = life.some(table, lambda thing: thing[field]["total_count"] > 1)
    if parent is None:
        return None
    child = life.dice.choice(parent[field]["data"])["id"]
    life.do("delete", child, event=False)
    life.do("update", parent["id"], event=told if life.told else False)
    return [parent["id"], child]


def _alter_child(life: Life) -> list[str] | None:
    table, field, _, told = life.dice.choice(_PARENTS)
    parent = life.some(table, lambda thing: thing[field]["total_count"] > 0)
    if parent is None:
        return None
    child = life.account.last_child(table, field, parent["id"])
    life.do("update", child, fields={"metadata": {"touched": life.word()}}, event=False)
    life.do("update", parent["id"], event=told if life.told else False)
    return [parent["id"], child]


def _cancel(life: Life) -> list[str] | None:
    sub = life.some("subscriptions", lambda thing: thing["status"] in ("active", "trialing", "past_due"))
    return None if sub is None else [life.do("cancel", sub["id"])]


def _archive(life: Life) -> list[str] | None:
    thing = life.some(life.dice.choice(("prices", "products")), lambda thing: bool(thing["active"]))
    return None if thing is None else [life.do("archive", thing["id"])]


def _back(life: Life) -> list[str] | None:
    charge = life.some(
        "charges", lambda c: c["status"] == "succeeded" and c["captured"] and c["amount_refunded"] < c["amount"]
    )
    if charge is None or not life.account.can_create("refund"):
        return None
    left = charge["amount"] - charge["amount_refunded"]
    return [life.do("refund", charge["id"], amount=life.dice.choice((left, max(1, left // 3)))), charge["id"]]


def _dispute(life: Life) -> list[str] | None:
    if not life.account.drew("dispute"):
        return None
    charge = life.some("charges", lambda c: c["status"] == "succeeded" and c["captured"] and not c["disputed"])
    if charge is None or not life.account.can_create("dispute"):
        return None
    return [life.do("dispute", charge["id"])]


def _capture(life: Life) -> list[str] | None:
    charge = life.some("charges", lambda c: c["status"] == "succeeded" and not c["captured"])
    return None if charge is None else [life.do("capture", charge["id"]) and charge["id"]]


def _payout(life: Life) -> list[str] | None:
    life.do("settle")
    payout = life.do("pay_out", currency=life.dice.choice(("eur", "usd", "gbp")))
    if not payout:
        waiting = life.some("payouts", lambda p: p["status"] in ("in_transit", "pending"))
        if waiting is None:
            return None
        payout = life.do("finish", waiting["id"], failed=life.dice.random() < 0.3)
    return [payout]


def _in_one_second(life: Life) -> list[str] | None:
    """Tell three states of one customer in one second, in any order, some of them twice."""
    customer = life.some("customers")
    if customer is None:
        return None
    now, states = life.account.now(), []
    for _ in range(3):
        life.do("update", customer["id"], fields={"description": life.word()}, event=False)
        states.append(life.account.show(customer["id"]))
    states.append(life.dice.choice(states))
    life.dice.shuffle(states)
    for state in states if life.told else ():
        life.do("tell", type="customer.updated", fields=state, at=now)
    return [customer["id"]]


def _stranger(life: Life) -> list[str] | None:
    thing = {"id": f"holo_{life.dice.getrandbits(48):x}", "object": "hologram", "created": life.account.now()}
    life.do("tell", type="hologram.projected", fields=thing)
    return []


#: Kinds of change by name.
KINDS: Final[dict[str, Turn]] = {
    "alter": _alter_child,
    "archive": _archive,
    "cancel": _cancel,
    "capture": _capture,
    "change": _change,
    "customer": _customer,
    "dispute": _dispute,
    "grow": _grow,
    "one_second": _in_one_second,
    "payment": _payment,
    "payout": _payout,
    "product": _product,
    "refund": _back,
    "remove": _remove,
    "shrink": _shrink,
    "stranger": _stranger,
    "with_children": _with_children,
}
_OFTEN: Final[tuple[Turn, ...]] = (_change, _change, _remove, _payment, _with_children, _grow)
_ONLY_TOLD: Final = (_in_one_second, _stranger)
