"""The company: its whole life drawn from a seed as tables of columns, and its balance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from takings.simulator import benchmark
from takings.simulator.billing import draw_invoices, settle_credit_notes, tell_customers
from takings.simulator.books import Balance, draw_books
from takings.simulator.dice import DAY_S, Dice
from takings.simulator.draft import Draft, whole
from takings.simulator.growth import draw_customers, draw_shop, draw_subscriptions, settle_prices
from takings.simulator.happenings import draw_events
from takings.simulator.market import Country
from takings.simulator.payments import credit_notes_after_payment, draw_intents, draw_orders
from takings.simulator.tables import Aliases, Ids, Table, sorted_by

#: For each table Stripe's word for its object, the prefix of its ids, their length after it, and a lead.
KINDS: dict[str, tuple[str, str, int, str]] = {
    "products": ("product", "prod_", 14, ""),
    "prices": ("price", "price_", 24, "1"),
    "coupons": ("coupon", "", 12, ""),
    "promotion_codes": ("promotion_code", "promo_", 24, "1"),
    "tax_rates": ("tax_rate", "txr_", 24, "1"),
    "customers": ("customer", "cus_", 14, ""),
    "tax_ids": ("tax_id", "txi_", 24, "1"),
    "payment_methods": ("payment_method", "pm_", 24, "1"),
    "setup_intents": ("setup_intent", "seti_", 24, "1"),
    "subscriptions": ("subscription", "sub_", 24, "1"),
    "subscription_items": ("subscription_item", "si_", 14, ""),
    "subscription_schedules": ("subscription_schedule", "sub_sched_", 24, "1"),
    "invoices": ("invoice", "in_", 24, "1"),
    "invoice_line_items": ("line_item", "il_", 24, "1"),
    "invoiceitems": ("invoiceitem", "ii_", 24, "1"),
    "invoice_payments": ("invoice_payment", "inpay_", 24, "1"),
    "credit_notes": ("credit_note", "cn_", 24, "1"),
    "credit_note_line_items": ("credit_note_line_item", "cnli_", 24, "1"),
    "checkout_sessions": ("checkout.session", "cs_", 58, ""),
    "checkout_session_line_items": ("item", "li_", 24, "1"),
    "payment_intents": ("payment_intent", "pi_", 24, "3"),
    "charges": ("charge", "ch_", 24, "3"),
    "refunds": ("refund", "re_", 24, "3"),
    "disputes": ("dispute", "du_", 24, "1"),
    "transfers": ("transfer", "tr_", 24, "3"),
    "transfer_reversals": ("transfer_reversal", "trr_", 24, "1"),
    "application_fees": ("application_fee", "fee_", 24, "1"),
    "application_fee_refunds": ("fee_refund", "fr_", 14, ""),
    "balance_transactions": ("balance_transaction", "txn_", 24, "3"),
    "payouts": ("payout", "po_", 24, "1"),
    "events": ("event", "evt_", 24, "1"),
}

_MONTH_S = 365.2425 / 12 * DAY_S
_PILOT = 1_500


@dataclass(frozen=True, slots=True)
class Company:
    """One account's books and tables in one mode, as of ``end``.

    Args:
        account: Its id, ``acct_…``.
        start: Unix seconds of its first day.
        end: Unix seconds of "now".
        currencies: The currencies it sells in; columns hold places in this.
        balance: What it has.
        held: Currencies it has bank accounts in; None: those it has money in.
    """

    account: str
    livemode: bool
    name: str
    country: str
    start: int
    end: int
    dice: Dice
    currencies: tuple[str, ...]
    countries: tuple[Country, ...]
    tables: dict[str, Table]
    balance: Balance
    fat: bool = False
    held: tuple[str, ...] | None = None


def found(
    *,
    account: str,
    seed: int,
    livemode: bool,
    objects: int,
    months: int,
    end: int,
    name: str,
    country: str,
    currency: str,
    profile: str = "company",
) -> Company:
    """Draw a company of about so many objects.

    Args:
        objects: Target over all tables; a few hundred are the least a company has.
        months: Length of its life.
        end: Unix seconds of "now".
        profile: ``company``, or ``benchmark`` for four equal lists only.
    """
    dice = Dice(seed)
    start = end - int(months * _MONTH_S)
    small = objects < 1_500

    def drawn(customers: int) -> tuple[Draft, Balance]:
        draft = Draft(dice, start, end, currency, small)
        if profile == "benchmark":
            return draft, benchmark.draw(draft, customers, tuple(KINDS))
        return draft, _live(draft, customers)

    if profile == "benchmark":
        draft, balance = drawn(max(1, objects // 4))
    else:
        none, pilot = _size(drawn(1)[0]), _size(drawn(_PILOT)[0])
        each = (pilot - none) / (_PILOT - 1)
        customers = max(1, round((objects - none) / each))
        draft, balance = drawn(customers)
        # Small companies are not as their bigger sisters: correct the guess once or twice (a miss costs little time then).
        for _ in range(2):
            size = _size(draft)
            if customers == 1 or abs(size - objects) <= objects * 0.05 or objects > 200_000:
                break
            customers = max(1, round(customers * (objects - none) / max(1, size - none)))
            draft, balance = drawn(customers)
    return Company(
        account, livemode, name, country, start, end, dice, draft.currencies, draft.countries,
        _tables(draft, seed, livemode), balance, profile == "benchmark",
    )  # fmt: skip


def found_small(
    *,
    account: str,
    seed: int,
    livemode: bool,
    customers: int,
    start: int,
    end: int,
    name: str,
    country: str,
    currency: str,
) -> Company:
    """Draw a company of a few customers, a hundred objects or so, in about 10 ms and one currency.

    Args:
        start: Unix seconds of its first day.
        end: Unix seconds of "now".
    """
    dice = Dice(seed)
    draft = Draft(dice, start, end, currency, small=True, one_currency=True)
    balance = _live(draft, customers)
    return Company(
        account, livemode, name, country, start, end, dice, draft.currencies, draft.countries,
        _tables(draft, seed, livemode), balance, held=(currency,),
    )  # fmt: skip


def _tables(draft: Draft, seed: int, livemode: bool) -> dict[str, Table]:
    """Make the tables of what was drawn; the draft is used up."""
    topic = seed * 2 + livemode
    tables = {}
    for table, (object, prefix, length, lead) in KINDS.items():
        columns = draft.frames.pop(table)
        created = columns.pop("created")
        if table == "checkout_sessions":
            prefix = "cs_live_" if livemode else "cs_test_"
        tables[table] = Table(
            table,
            object,
            Ids(topic, table, prefix, length, lead),
            created,
            columns,
            hidden=columns["inline"] == 1 if table == "prices" and len(created) else None,
            deleted=columns["deleted"] if table == "customers" and len(created) else None,
        )
    prices = tables["prices"]
    planned = (
        np.flatnonzero((prices["interval"] >= 0) & (prices["inline"] == 0)) if len(prices) else np.zeros(0, np.int64)
    )
    tables["plans"] = Table("plans", "plan", Aliases(prices.codec, planned), prices.created[planned], {
        key: column[planned] for key, column in prices.columns.items()} | {"price": planned})  # fmt: skip
    return tables


def _size(draft: Draft) -> int:
    return sum(len(draft.frames[table]["created"]) for table in KINDS)


def _live(draft: Draft, customers: int) -> Balance:
    """Let the company live from its first day to its last."""
    draw_shop(draft)
    draw_customers(draft, customers)
    draw_subscriptions(draft)
    _draw_promotion_codes(draft)
    draw_invoices(draft)
    draw_orders(draft)
    draw_intents(draft)
    tell_customers(draft)
    settle_credit_notes(draft, credit_notes_after_payment(draft))
    settle_prices(draft)
    balance = draw_books(draft)
    draw_events(draft)
    del draft.frames["orders"]
    return balance


def _draw_promotion_codes(draft: Draft) -> None:
    """Draw two codes for each coupon, and one for each customer in fifty."""
    coupons, customers = draft.frames["coupons"], draft.frames["customers"]
    count = len(coupons["created"])
    rows = np.arange(len(customers["created"]), dtype=np.int64)
    own = rows[(draft.dice.unit("promo", rows) < 0.02) & ~customers["deleted"]]
    frame = {
        "created": np.concatenate([coupons["created"] + 60, coupons["created"] + 90, customers["created"][own] + 600]),
        "coupon": np.concatenate([np.arange(count), np.arange(count), own % count]),
        "customer": np.concatenate([whole(2 * count, -1), own]),
        "active": np.concatenate([whole(count, 1), whole(count), whole(len(own), 1)]),
    }
    frame["created"] = np.minimum(frame["created"], draft.end)
    draft.frames["promotion_codes"] = sorted_by(frame["created"], frame)[1]
