"""A company made for measuring: as many customers, invoices, charges and balance transactions, and next to nothing else."""

from __future__ import annotations

import numpy as np

from takings.simulator.billing import ITEM, PAID
from takings.simulator.books import CHARGE, Balance
from takings.simulator.dice import DAY_S, HOUR_S
from takings.simulator.draft import Draft, Frame, whole
from takings.simulator.growth import BUYS, draw_shop


def draw(draft: Draft, count: int, tables: tuple[str, ...]) -> Balance:
    """Draw so many of each: every customer has one invoice of one line, one charge, and its balance transaction.

    Args:
        draft: An empty draft.
        count: How many of each.
        tables: All tables; those not drawn stay empty.

    Returns:
        The balance.
    """
    rows = np.arange(count, dtype=np.int64)
    zero, none, one = whole(count), whole(count, -1), whole(count, 1)
    frames = draft.frames
    draw_shop(draft)
    main = int(np.flatnonzero(draft.country_currency == 0)[0])

    def times(topic: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        spread = (rows + draft.dice.unit(topic, rows)) / count * (draft.span - HOUR_S)
        return np.asarray(draft.start + spread, np.int64)

    frames["customers"] = {
        "created": times("customer"),
        "country": whole(count, main),
        "currency": zero,
        "kind": whole(count, BUYS),
        "business": zero,
        "exempt": zero,
        "tax_rate": none,
        "deleted": zero != 0,
        "gone": zero,
        "pm": none,
        "numbered": one,
        "late": zero,
    }
    price = draft.good_price[0, 0]
    quantity = 1 + draft.dice.below("quantity", rows, 9)
    amount = frames["prices"]["amount"][price] * quantity
    created = times("invoice")
    invoices: Frame = {
        "created": created,
        "customer": rows,
        "currency": zero,
        "tax_rate": none,
        "sub": none,
        "line": rows,
        "lines": one,
        "status": whole(count, PAID),
        "finalized": created,
        "paid_at": created + 60,
        "due_at": created + 30 * DAY_S,
        "attempts": one,
        "number": one,
        "send": one,
        "subtotal": amount,
        "total": amount,
        "due": amount,
        "intent": none,
        "payment": none,
    }
    zeros = ("cycle", "first", "ended", "next_try", "discount", "tax", "pre_credit", "post_credit", "failures", "tried")
    frames["invoices"] = invoices | dict.fromkeys(zeros, zero)
    frames["invoice_line_items"] = {
        "created": created,
        "invoice": rows,
        "place": zero,
        "kind": whole(count, ITEM),
        "item": none,
        "price": whole(count, int(price)),
        "quantity": quantity,
        "amount": amount,
        "discount": zero,
        "tax": zero,
        "used": zero,
        # Ids of invoice items that are in no list: they are not what is measured.
        "ii": rows,
    }
    paid_at = times("charge")
    frames["charges"] = {
        "created": paid_at,
        "customer": rows,
        "currency": zero,
        "amount": amount,
        "status": one,
        "captured": one == 1,
        "sepa": zero == 1,
        "settled_at": paid_at,
        "txn": rows,
        **dict.fromkeys(("refunded", "fee_amount"), zero),
        **dict.fromkeys(("intent", "invoice", "order", "pm", "transfer", "fee", "dispute"), none),
    }
    fee = (amount * 150 + 5_000) // 10_000 + 25
    available = paid_at - paid_at % DAY_S + 3 * DAY_S
    frames["balance_transactions"] = {
        "created": paid_at,
        "kind": whole(count, CHARGE),
        "source": rows,
        "currency": zero,
        "amount": amount,
        "fee": fee,
        "available": available,
        "rate": zero,
        "payout": none,
    }
    for table in tables:
        frames.setdefault(table, {"created": np.zeros(0, np.int64), "inline": np.zeros(0, np.int64)})
    net, ready = amount - fee, available <= draft.end
    return Balance({draft.main: int(net[ready].sum())}, {draft.main: int(net[~ready].sum())})
