"""The filters of every list: which rows a query parameter keeps, and which are hidden unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from takings.simulator.answers import Fault, missing
from takings.simulator.billing import INVOICE_STATUSES
from takings.simulator.books import KINDS, PAYOUT_STATUSES
from takings.simulator.company import Company
from takings.simulator.dice import I64, Flags
from takings.simulator.growth import CANCELED, SUB_STATUSES
from takings.simulator.happenings import TYPES
from takings.simulator.objects.base import Object
from takings.simulator.overlay import Overlays

#: Tells for some rows which stay.
Mask = Callable[[I64], Flags]


@dataclass
class Choice:
    """What a query keeps of a table.

    Attributes:
        rows: The rows that can stay, ascending; None for all.
        masks: What each of them must pass besides.
        tests: The same for objects that are not rows (new or changed ones), in terms of their fields.
    """

    company: Company
    overlays: Overlays
    table: str
    rows: I64 | None
    masks: list[Mask]
    tests: list[Callable[[Object], bool]]

    def only(self, rows: I64) -> None:
        """Keep no rows but these (ascending)."""
        self.rows = rows if self.rows is None else np.intersect1d(self.rows, rows, assume_unique=True)

    def where(self, column: str, values: tuple[int, ...]) -> None:
        """Keep rows whose column is one of these."""
        table = self.company.tables[self.table]
        if not len(table):
            return
        data = table[column]
        wanted = np.array(values)
        if len(values) == 1:
            self.masks.append(lambda rows: data[rows] == values[0])
        else:
            self.masks.append(lambda rows: np.isin(data[rows], wanted))


#: Puts one query parameter's value into effect.
Filter = Callable[[Choice, str, str], None]


def field_of(thing: Object, path: str) -> Any:
    """Return the field at a dotted path; None where there is none."""
    value: Any = thing
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value["id"] if isinstance(value, dict) and "id" in value else value


def _row(choice: Choice, table: str, param: str, id: str) -> int:
    """Return the row of an id given as a filter; -1 for a new object.

    Raises:
        Fault: There is no such object.
    """
    found = choice.company.tables[table]
    row = found.row(id)
    overlay = choice.overlays.get(table)
    if overlay is not None and id in overlay.deleted and table != "customers":
        raise missing(found.object, id, param)
    if row is None:
        if overlay is not None and id in overlay.objects and id not in overlay.deleted:
            return -1
        raise missing(found.object, id, param)
    return row


def ref(column: str, table: str, path: str = "") -> Filter:
    """Filter by an id that a column of references holds."""

    def apply(choice: Choice, param: str, value: str) -> None:
        row = _row(choice, table, param, value)
        choice.tests.append(lambda thing: field_of(thing, path or param) == value)
        choice.only(choice.company.tables[choice.table].rows_where(column, row) if row >= 0 else np.zeros(0, np.int64))

    return apply


def chained(middle: str, middle_column: str, column: str, table: str) -> Filter:
    """Filter by an id that a table in between refers to: refunds by payment intent, through charges."""

    def apply(choice: Choice, param: str, value: str) -> None:
        row = _row(choice, table, param, value)
        between = choice.company.tables[middle].rows_where(middle_column, row) if row >= 0 else np.zeros(0, np.int64)
        own = choice.company.tables[choice.table]
        parts = [own.rows_where(column, each) for each in between.tolist()]
        choice.tests.append(lambda thing: field_of(thing, param) == value)
        choice.only(np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64))

    return apply


def enum(column: str, words: tuple[str, ...], path: str = "", *, known: tuple[str, ...] = ()) -> Filter:
    """Filter by a word that a column holds as its number; ``known`` are further words that no row has."""

    def apply(choice: Choice, param: str, value: str) -> None:
        if value not in words and value not in known:
            allowed = ", ".join((*words, *known))
            raise Fault(400, f"Invalid {param}: must be one of {allowed}", param=param)
        choice.where(column, tuple(i for i, word in enumerate(words) if word == value))
        choice.tests.append(lambda thing: field_of(thing, path or param) == value)

    return apply


def boolean(param: str, value: str) -> bool:
    """Read a boolean parameter.

    Raises:
        Fault: It is none.
    """
    if value not in ("true", "false"):
        raise Fault(400, f"Invalid boolean: {value}", param=param)
    return value == "true"


def flag(column: str, path: str = "") -> Filter:
    """Filter by a column of flags."""

    def apply(choice: Choice, param: str, value: str) -> None:
        wanted = boolean(param, value)
        choice.where(column, (int(wanted),))
        choice.tests.append(lambda thing: bool(field_of(thing, path or param)) == wanted)

    return apply


def currency(choice: Choice, param: str, value: str) -> None:
    """Filter by currency."""
    codes = choice.company.currencies
    choice.where("currency", tuple(i for i, code in enumerate(codes) if code == value.lower()))
    choice.tests.append(lambda thing: thing.get("currency") == value.lower())


def _subscription_status(choice: Choice, param: str, value: str) -> None:
    if value == "all":
        return
    if value == "ended":
        choice.where("status", (SUB_STATUSES.index("canceled"), SUB_STATUSES.index("incomplete_expired")))
        choice.tests.append(lambda thing: thing["status"] in ("canceled", "incomplete_expired"))
        return
    enum("status", SUB_STATUSES)(choice, param, value)


def _hide_canceled(choice: Choice) -> None:
    if len(choice.company.tables[choice.table]):
        status = choice.company.tables[choice.table]["status"]
        choice.masks.append(lambda rows: status[rows] != CANCELED)
    choice.tests.append(lambda thing: thing["status"] != "canceled")


def _hide_inactive(choice: Choice) -> None:
    flag("active")(choice, "active", "true")


def _transaction_type(choice: Choice, param: str, value: str) -> None:
    choice.where("kind", tuple(i for i, (type, _, _) in enumerate(KINDS) if type == value))
    choice.tests.append(lambda thing: thing["type"] == value)


def _transaction_source(choice: Choice, param: str, value: str) -> None:
    choice.tests.append(lambda thing: thing["source"] == value)
    parts = [np.zeros(0, np.int64)]
    table = choice.company.tables[choice.table]
    for kind, (_, _, source) in enumerate(KINDS):
        row = choice.company.tables[source].row(value) if source else None
        if row is not None and len(table):
            rows = table.rows_where("source", row)
            parts.append(rows[table["kind"][rows] == kind])
    choice.only(np.sort(np.concatenate(parts)))


def _transaction_payout(choice: Choice, param: str, value: str) -> None:
    row = _row(choice, "payouts", param, value)
    table, overlay = choice.company.tables[choice.table], choice.overlays.get(choice.table)
    said = {id for id, payout in overlay.parents.items() if payout == value} if overlay is not None else set()
    drawn = table.rows_where("payout", row) if row >= 0 and len(table) else np.zeros(0, np.int64)
    paid_out = {*table.codec.encode(drawn), *said}
    choice.tests.append(lambda thing: thing["id"] in paid_out)
    if row >= 0 and not choice.company.tables["payouts"]["automatic"][row]:
        raise Fault(
            400,
            "Balance transaction history can only be filtered on automatic transfers, not manual.",
            param=param,
        )
    more = [found for id in said if (found := table.row(id)) is not None]
    choice.only(np.union1d(drawn, np.array(more, np.int64)))


def _event_type(choice: Choice, param: str, value: str) -> None:
    def fits(name: str) -> bool:
        return value in ("*", name) or (value.endswith(".*") and name.startswith(value[:-1]))

    choice.where("type", tuple(i for i, (name, _) in enumerate(TYPES) if fits(name)) or (-1,))
    choice.tests.append(lambda thing: fits(thing["type"]))


def _event_types(choice: Choice, param: str, value: str) -> None:
    wanted = value.split("\0")
    if len(wanted) > 20:
        raise Fault(400, "You may only specify up to 20 event types.", param=param)
    choice.where("type", tuple(i for i, (name, _) in enumerate(TYPES) if name in wanted) or (-1,))
    choice.tests.append(lambda thing: thing["type"] in wanted)


def _item_invoice(choice: Choice, param: str, value: str) -> None:
    row = _row(choice, "invoices", param, value)
    choice.tests.append(lambda thing: thing["invoice"] == value)
    if row < 0:
        choice.only(np.zeros(0, np.int64))
        return
    invoices, lines = choice.company.tables["invoices"], choice.company.tables["invoice_line_items"]
    start = int(invoices["line"][row])
    items = lines["ii"][start : start + int(invoices["lines"][row])].astype(np.int64)
    choice.only(np.sort(items[items >= 0]))


def _pending(choice: Choice, param: str, value: str) -> None:
    wanted = boolean(param, value)
    if len(choice.company.tables[choice.table]):
        lines = choice.company.tables[choice.table]["line"]
        choice.masks.append(lambda rows: (lines[rows] < 0) == wanted)
    choice.tests.append(lambda thing: (thing["invoice"] is None) == wanted)


def _by_ids(choice: Choice, param: str, value: str) -> None:
    wanted = value.split("\0")
    rows = (choice.company.tables[choice.table].row(id) for id in wanted)
    choice.only(np.array(sorted({row for row in rows if row is not None}), np.int64))
    choice.tests.append(lambda thing: thing["id"] in wanted)


def _price_type(choice: Choice, param: str, value: str) -> None:
    choice.where("interval", (-1,) if value == "one_time" else (0, 1))
    choice.tests.append(lambda thing: thing["type"] == value)


def _sub_price(choice: Choice, param: str, value: str) -> None:
    row = _row(choice, "prices", param, value)
    items = choice.company.tables["subscription_items"]
    rows = items.rows_where("price", row) if row >= 0 else np.zeros(0, np.int64)
    choice.only(np.unique(items["sub"][rows].astype(np.int64)) if len(rows) else rows)
    choice.tests.append(lambda thing: any(item["price"]["id"] == value for item in thing["items"]["data"]))


def _invoice_status_of_payment(choice: Choice, param: str, value: str) -> None:
    payments, invoices = choice.company.tables[choice.table], choice.company.tables["invoices"]
    if len(payments):
        of, status = payments["invoice"], invoices["status"]
        paid, void = INVOICE_STATUSES.index("paid"), INVOICE_STATUSES.index("void")

        def mask(rows: I64) -> Flags:
            have = status[of[rows]]
            if value == "open":
                return np.asarray((have != paid) & (have != void), np.bool_)
            return np.asarray(have == (paid if value == "paid" else void if value == "canceled" else -1), np.bool_)

        choice.masks.append(mask)
    choice.tests.append(lambda thing: thing["status"] == value)


_COLLECTION = enum("send", ("charge_automatically", "send_invoice"))
_INTENT = ref("intent", "payment_intents")

#: For each table and parameter its quick filter; any other parameter compares the field of its name, object by object.
FILTERS: dict[tuple[str, str], Filter] = {
    ("charges", "customer"): ref("customer", "customers"),
    ("charges", "payment_intent"): _INTENT,
    ("invoices", "customer"): ref("customer", "customers"),
    ("invoices", "subscription"): ref("sub", "subscriptions", "parent.subscription_details.subscription"),
    ("invoices", "status"): enum("status", INVOICE_STATUSES),
    ("invoices", "collection_method"): _COLLECTION,
    ("subscriptions", "customer"): ref("customer", "customers"),
    ("subscriptions", "status"): _subscription_status,
    ("subscriptions", "collection_method"): _COLLECTION,
    ("subscriptions", "price"): _sub_price,
    ("subscription_items", "subscription"): ref("sub", "subscriptions"),
    ("prices", "active"): flag("active"),
    ("prices", "currency"): currency,
    ("prices", "product"): ref("product", "products"),
    ("prices", "type"): _price_type,
    ("plans", "active"): flag("active"),
    ("plans", "product"): ref("product", "products"),
    ("products", "active"): flag("active"),
    ("products", "ids"): _by_ids,
    ("promotion_codes", "active"): flag("active"),
    ("promotion_codes", "coupon"): ref("coupon", "coupons", "promotion.coupon"),
    ("promotion_codes", "customer"): ref("customer", "customers"),
    ("tax_rates", "active"): flag("active"),
    ("invoiceitems", "customer"): ref("customer", "customers"),
    ("invoiceitems", "invoice"): _item_invoice,
    ("invoiceitems", "pending"): _pending,
    ("invoice_payments", "invoice"): ref("invoice", "invoices"),
    ("invoice_payments", "status"): _invoice_status_of_payment,
    ("invoice_payments", "payment[payment_intent]"): ref("intent", "payment_intents", "payment.payment_intent"),
    ("credit_notes", "invoice"): ref("invoice", "invoices"),
    ("credit_notes", "customer"): chained("invoices", "customer", "invoice", "customers"),
    ("payment_intents", "customer"): ref("customer", "customers"),
    ("payment_methods", "customer"): ref("customer", "customers"),
    ("payment_methods", "type"): enum(
        "kind", ("card", "sepa_debit"), known=("link", "paypal", "us_bank_account", "bacs_debit")
    ),
    ("setup_intents", "customer"): ref("customer", "customers"),
    ("setup_intents", "payment_method"): ref("pm", "payment_methods"),
    ("checkout_sessions", "customer"): ref("customer", "customers"),
    ("checkout_sessions", "payment_intent"): _INTENT,
    ("checkout_sessions", "subscription"): chained("invoices", "sub", "invoice", "subscriptions"),
    ("checkout_sessions", "status"): enum("status", ("complete", "expired", "open")),
    ("refunds", "charge"): ref("charge", "charges"),
    ("refunds", "payment_intent"): chained("charges", "intent", "charge", "payment_intents"),
    ("disputes", "charge"): ref("charge", "charges"),
    ("disputes", "payment_intent"): chained("charges", "intent", "charge", "payment_intents"),
    ("application_fees", "charge"): ref("charge", "charges"),
    ("payouts", "status"): enum("status", PAYOUT_STATUSES, known=("canceled",)),
    ("balance_transactions", "currency"): currency,
    ("balance_transactions", "type"): _transaction_type,
    ("balance_transactions", "source"): _transaction_source,
    ("balance_transactions", "payout"): _transaction_payout,
    ("events", "type"): _event_type,
    ("events", "types"): _event_types,
}

#: What a table's list leaves out unless the parameter is given.
HIDDEN_UNLESS: dict[str, tuple[str, Callable[[Choice], None]]] = {
    "subscriptions": ("status", _hide_canceled),
    "prices": ("active", _hide_inactive),
}
