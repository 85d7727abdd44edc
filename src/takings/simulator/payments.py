"""How money comes in and goes back: orders, payment intents, charges, refunds, disputes, transfers and fees."""

from __future__ import annotations

import numpy as np

from takings.simulator.billing import DRAFT, OPEN, PAID, SEPA_S, UNCOLLECTIBLE, VOID
from takings.simulator.dice import DAY_S, HOUR_S, I64, spread
from takings.simulator.draft import Draft, Frame, rows_of, whole
from takings.simulator.growth import BOTH, BUYS, RETRY_S
from takings.simulator.tables import joined, remap, sorted_by

#: Payment intent statuses, in the order of their numbers.
INTENT_STATUSES = (
    "succeeded", "requires_payment_method", "canceled", "processing", "requires_capture", "requires_action",
)  # fmt: skip
I_SUCCEEDED, I_WAITS, I_CANCELED, I_PROCESSING, I_CAPTURE, I_ACTION = range(6)

#: Charge statuses, in the order of their numbers.
CHARGE_STATUSES = ("failed", "succeeded", "pending")
C_FAILED, C_SUCCEEDED, C_PENDING = range(3)

#: Dispute statuses, in the order of their numbers.
DISPUTE_STATUSES = ("won", "lost", "needs_response", "under_review", "warning_closed", "warning_needs_response")
D_WON, D_LOST, D_NEEDS, D_REVIEW, D_CLOSED, D_WARNS = range(6)

#: How an order comes to be: a checkout page, or a payment intent of the company's own shop.
BY_PAGE, DIRECT = range(2)
#: How an order ends: paid, left, canceled, only reserved.
DONE, LEFT, CALLED_OFF, RESERVED = range(4)


def draw_orders(draft: Draft) -> None:
    """Draw one-off orders and all checkout sessions with their lines, and the prices made for one session."""
    dice, customers = draft.dice, draft.frames["customers"]
    buyers = np.flatnonzero((customers["kind"] == BUYS) | (customers["kind"] == BOTH))
    counts = 1 + (-np.log1p(-dice.unit("order.count", buyers)) * 3.2).astype(np.int64)
    which, place = spread(np.minimum(counts, 40))
    buyer = buyers[which]
    until = np.where(customers["deleted"][buyer], customers["gone"][buyer], draft.end)
    came = customers["created"][buyer] + 250
    throw = buyer * 64 + place
    created = came + ((until - came) * dice.unit("order.when", throw)).astype(np.int64)
    guests = np.arange(len(customers["created"]) * 3 // 10, dtype=np.int64)
    guest_at = draft.start + (draft.span * np.sqrt(dice.unit("guest.when", guests))).astype(np.int64)
    home = customers["currency"][np.minimum(guests * 3, max(0, len(customers["currency"]) - 1))]
    frame: Frame = {
        "created": np.concatenate([created, guest_at]),
        "customer": np.concatenate([buyer, whole(len(guests), -1)]),
        "currency": np.concatenate([customers["currency"][buyer], home]),
        "country": np.concatenate([customers["country"][buyer], customers["country"][np.minimum(guests * 3, max(0, len(customers["country"]) - 1))]]),
    }  # fmt: skip
    fits = frame["created"] < draft.end - 2
    frame = {key: column[fits] for key, column in frame.items()}
    _, frame, _ = sorted_by(frame["created"], frame)
    rows = rows_of(frame)
    way = np.where((frame["customer"] < 0) | (dice.unit("order.way", rows) < 0.8), BY_PAGE, DIRECT)
    ending = dice.pick("order.ending", rows, (82, 14, 4))
    # Cards may be charged within days after they were reserved: the latest orders are still open.
    recent = (way == DIRECT) & (frame["created"] > draft.end - 5 * DAY_S) & (dice.unit("order.reserved", rows) < 0.3)
    ending = np.where(recent, RESERVED, ending)
    ending = np.where((way == BY_PAGE) & (ending == CALLED_OFF), LEFT, ending)
    frame["way"], frame["ending"] = way, ending
    _draw_sessions(draft, frame)
    draft.frames["orders"] = frame


def _draw_sessions(draft: Draft, orders: Frame) -> None:
    """Draw checkout sessions: of orders, of subscriptions, and some that only saved a card."""
    dice, subs, invoices = draft.dice, draft.frames["subscriptions"], draft.frames["invoices"]
    prices, lines = draft.frames["prices"], draft.frames["invoice_line_items"]
    pages = np.flatnonzero(orders["way"] == BY_PAGE)
    first = np.flatnonzero(invoices["first"] == 1)
    taken = first[subs["checkout"][invoices["sub"][first]]] if len(first) else first
    intents = draft.frames["setup_intents"]
    saved = np.flatnonzero((intents["status"] == 0) & (dice.unit("session.setup", rows_of(intents)) < 0.1))
    order_counts = np.where(
        dice.unit("session.long", pages) < 0.02, 11 + dice.below("session.lines", pages, 15), 1 + pages % 3
    )
    frame: Frame = {
        "created": np.concatenate([orders["created"][pages], invoices["created"][taken] - 180, intents["created"][saved] - 60]),
        "mode": np.concatenate([whole(len(pages)), whole(len(taken), 1), whole(len(saved), 2)]),
        "order": np.concatenate([pages, whole(len(taken) + len(saved), -1)]),
        "invoice": np.concatenate([whole(len(pages), -1), taken, whole(len(saved), -1)]),
        "setup": np.concatenate([whole(len(pages) + len(taken), -1), saved]),
        "customer": np.concatenate([orders["customer"][pages], invoices["customer"][taken], intents["customer"][saved]]),
        "currency": np.concatenate([orders["currency"][pages], invoices["currency"][taken], whole(len(saved), -1)]),
        "lines": np.concatenate([order_counts, invoices["lines"][taken], whole(len(saved))]),
    }  # fmt: skip
    _, frame, place = sorted_by(frame["created"], frame)
    frame["line"] = np.cumsum(frame["lines"]) - frame["lines"]
    session, position = spread(frame["lines"])
    line_rows = np.arange(len(session), dtype=np.int64)
    from_invoice = frame["invoice"][session] >= 0
    source = np.where(from_invoice, invoices["line"][np.maximum(frame["invoice"][session], 0)] + position, 0) if len(
        invoices["line"]) else whole(len(session))  # fmt: skip
    currency = np.maximum(frame["currency"][session], 0)
    good = draft.good_price[dice.below("session.good", line_rows, draft.good_price.shape[0]), currency]
    price = np.where(from_invoice, lines["price"][source], good) if len(lines["created"]) else good
    # Prices made for one session: hidden from every list.
    own = np.flatnonzero(~from_invoice & (dice.unit("session.inline", line_rows) < 0.1))
    listed = len(prices["created"])
    amount = prices["amount"][price[own]] * (70 + own % 60) // 100
    amount -= amount % 10
    draft.frames["prices"] = joined(
        [
            prices,
            {
                "created": frame["created"][session[own]],
                "product": prices["product"][price[own]],
                "currency": currency[own],
                "amount": amount,
                "interval": whole(len(own), -1),
                "active": whole(len(own)),
                "inline": whole(len(own), 1),
            },
        ]
    )
    price = price.copy()
    price[own] = listed + np.arange(len(own))
    quantity = 1 + dice.below("session.quantity", line_rows, 3)
    subtotal = draft.frames["prices"]["amount"][price] * quantity
    discount, tax = whole(len(session)), whole(len(session))
    if len(lines["created"]):
        quantity = np.where(from_invoice, lines["quantity"][source], quantity)
        subtotal = np.where(from_invoice, lines["amount"][source], subtotal)
        discount = np.where(from_invoice, lines["discount"][source], 0)
        tax = np.where(from_invoice, lines["tax"][source], 0)
    draft.frames["checkout_session_line_items"] = {
        "created": frame["created"][session],
        "session": session,
        "price": price,
        "quantity": quantity,
        "subtotal": subtotal,
        "discount": discount,
        "tax": tax,
    }
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(subtotal)])
    amount = sums[frame["line"] + frame["lines"]] - sums[frame["line"]]
    by_invoice = frame["invoice"] >= 0
    at = np.maximum(frame["invoice"], 0)
    frame["subtotal"] = amount
    frame["total"] = np.where(by_invoice, invoices["total"][at], amount) if len(invoices["total"]) else amount
    orders["session"] = whole(len(orders["created"]), -1)
    orders["session"][pages] = place[: len(pages)]
    orders["amount"] = whole(len(orders["created"]))
    orders["amount"][pages] = amount[place[: len(pages)]]
    straight = np.flatnonzero(orders["way"] == DIRECT)
    pick = draft.good_price[straight % draft.good_price.shape[0], orders["currency"][straight]]
    orders["amount"][straight] = draft.frames["prices"]["amount"][pick] * (1 + straight % 4)
    # 0 complete, 1 expired, 2 open
    left = orders["ending"][np.maximum(frame["order"], 0)] == LEFT if len(orders["created"]) else by_invoice & False
    left = left & (frame["order"] >= 0)
    status = np.where(left, np.where(frame["created"] > draft.end - DAY_S, 2, 1), 0)
    unpaid = by_invoice & (invoices["status"][at] != PAID) if len(invoices["total"]) else by_invoice & False
    frame["status"] = status
    frame["unpaid"] = (unpaid | left).astype(np.int64)
    frame["intent"] = whole(len(frame["created"]), -1)
    draft.frames["checkout_sessions"] = frame


def draw_intents(draft: Draft) -> None:
    """Draw a payment intent for every invoice that asks money and every order that came to paying, then their charges."""
    dice, customers = draft.dice, draft.frames["customers"]
    invoices, orders = draft.frames["invoices"], draft.frames["orders"]
    billed = np.flatnonzero((invoices["status"] != DRAFT) & (invoices["due"] > 0))
    paying = np.flatnonzero((orders["way"] == DIRECT) | (orders["ending"] == DONE))
    paused = np.where(orders["way"][paying] == BY_PAGE, 20 + dice.below("order.pause", paying, 400), 0)
    failures = np.where(dice.unit("order.fails", paying) < 0.09, 1 + dice.below("order.failures", paying, 2), 0)
    ending = orders["ending"][paying]
    failures = np.where(ending == DONE, failures, 0)
    hopeless = np.where(invoices["paid_at"][billed] > 0, 0, 1)
    payer = orders["customer"][paying]
    frame: Frame = {
        "created": np.concatenate([invoices["finalized"][billed], np.minimum(orders["created"][paying] + paused, draft.end - 1)]),
        "invoice": np.concatenate([billed, whole(len(paying), -1)]),
        "order": np.concatenate([whole(len(billed), -1), paying]),
        "customer": np.concatenate([invoices["customer"][billed], payer]),
        "currency": np.concatenate([invoices["currency"][billed], orders["currency"][paying]]),
        "amount": np.concatenate([invoices["due"][billed], orders["amount"][paying]]),
        "failures": np.concatenate([np.minimum(invoices["failures"][billed], 4), failures]),
        "ending": np.concatenate([whole(len(billed)), ending]),
        "tries": np.concatenate([invoices["attempts"][billed], np.where((ending == LEFT) | (ending == CALLED_OFF), 0, failures + 1)]),
        "hopeless": np.concatenate([hopeless, whole(len(paying))]),
    }  # fmt: skip
    _, frame, place = sorted_by(frame["created"], frame)
    rows = rows_of(frame)
    invoices["intent"][billed] = place[: len(billed)]
    sessions = draft.frames["checkout_sessions"]
    of_session = orders["session"][paying]
    has = of_session >= 0
    sessions["intent"][of_session[has]] = place[len(billed) :][has]
    payer_at = np.maximum(frame["customer"], 0)
    frame["pm"] = np.where(frame["customer"] >= 0, customers["pm"][payer_at], -1)
    _guest_cards(draft, frame)
    methods = draft.frames["payment_methods"]
    sepa = methods["kind"][frame["pm"]] == 1
    frame["sepa"] = sepa
    lag = np.where(sepa, SEPA_S, 3)
    at = np.maximum(frame["invoice"], 0)
    by_invoice = frame["invoice"] >= 0
    state = invoices["status"][at] if len(invoices["status"]) else rows
    due = by_invoice & (state == OPEN)
    waits_sepa = due & (invoices["tried"][at] <= draft.end) & (frame["hopeless"] == 1) & sepa & (
        frame["tries"] > frame["failures"]) if len(invoices["status"]) else by_invoice  # fmt: skip
    order_open = ~by_invoice & (frame["created"] + 200 + lag > draft.end) & sepa & (frame["ending"] == DONE)
    status = whole(len(rows), I_SUCCEEDED)
    status = np.where(due, I_WAITS, status)
    status = np.where(
        by_invoice & ((state == VOID) | (state == UNCOLLECTIBLE)), np.where(state == VOID, I_CANCELED, I_WAITS), status
    )
    status = np.where(waits_sepa | order_open, I_PROCESSING, status)
    # Some of those who left did so when their bank asked who they were.
    asked = dice.unit("intent.asked", rows) < 0.4
    status = np.where(frame["ending"] == LEFT, np.where(asked & ~sepa, I_ACTION, I_WAITS), status)
    status = np.where(frame["ending"] == CALLED_OFF, I_CANCELED, status)
    status = np.where(frame["ending"] == RESERVED, I_CAPTURE, status)
    frame["status"] = status
    frame["canceled_at"] = np.where(
        status == I_CANCELED,
        np.where(
            by_invoice, invoices["ended"][at] if len(state) else 0, np.minimum(frame["created"] + HOUR_S, draft.end)
        ),
        0,
    )
    frame["paid_invoice"] = np.where(by_invoice & (state == PAID), 1, 0)
    draft.frames["payment_intents"] = frame
    _draw_invoice_payments(draft, frame)
    _draw_charges(draft, frame)


def _guest_cards(draft: Draft, intents: Frame) -> None:
    """Give every order without a customer, or of a customer without a card, a card of its own."""
    bare = np.flatnonzero(intents["pm"] < 0)
    methods = draft.frames["payment_methods"]
    added: Frame = {
        "created": np.maximum(intents["created"][bare] - 2, draft.start),
        "customer": intents["customer"][bare],
        "kind": whole(len(bare)),
    }
    _, frame, place = sorted_by(np.concatenate([methods["created"], added["created"]]), joined([methods, added]))
    draft.frames["payment_methods"] = frame
    intents["pm"] = remap(place, intents["pm"])
    intents["pm"][bare] = place[len(methods["created"]) :]
    for table in ("customers", "setup_intents"):
        draft.frames[table]["pm"] = remap(place, draft.frames[table]["pm"])


def _draw_invoice_payments(draft: Draft, intents: Frame) -> None:
    rows = np.flatnonzero(intents["invoice"] >= 0)
    invoice = intents["invoice"][rows]
    draft.frames["invoice_payments"] = {
        "created": intents["created"][rows],
        "invoice": invoice,
        "intent": rows,
    }
    invoices = draft.frames["invoices"]
    invoices["payment"] = whole(len(invoices["created"]), -1)
    invoices["payment"][invoice] = np.arange(len(rows))


def _draw_charges(draft: Draft, intents: Frame) -> None:
    invoices = draft.frames["invoices"]
    intent, attempt = spread(intents["tries"])
    by_invoice = intents["invoice"][intent] >= 0
    at = np.maximum(intents["invoice"][intent], 0)
    retry = intents["created"][intent] + 2 + RETRY_S[np.minimum(attempt, 3)]
    if len(invoices["created"]):
        sent = invoices["send"][at] == 1
        retry = np.where(sent, invoices["tried"][at], retry)
    again = intents["created"][intent] + 1 + attempt * 47
    created = np.minimum(np.where(by_invoice, retry, again), draft.end)
    wins = attempt >= intents["failures"][intent]
    pending = wins & (intents["status"][intent] == I_PROCESSING)
    status = np.where(wins, np.where(pending, C_PENDING, C_SUCCEEDED), C_FAILED)
    reserved = intents["status"][intent] == I_CAPTURE
    frame: Frame = {
        "created": created,
        "intent": intent,
        "invoice": intents["invoice"][intent],
        "order": intents["order"][intent],
        "customer": intents["customer"][intent],
        "currency": intents["currency"][intent],
        "amount": intents["amount"][intent],
        "pm": intents["pm"][intent],
        "sepa": intents["sepa"][intent],
        "status": status,
        "captured": (status == C_SUCCEEDED) & ~reserved,
    }
    _, frame, _ = sorted_by(frame["created"], frame)
    rows = rows_of(frame)
    frame["settled_at"] = np.where(frame["sepa"], frame["created"] + SEPA_S, frame["created"])
    for name in ("refunded", "transfer", "fee", "fee_amount", "txn", "dispute"):
        frame[name] = whole(len(rows), 0 if name in ("refunded", "fee_amount") else -1)
    intents["latest_charge"] = whole(len(intents["created"]), -1)
    intents["latest_charge"][frame["intent"]] = rows
    draft.frames["charges"] = frame
    paid = np.flatnonzero(frame["captured"])
    _draw_disputes(draft, frame, paid)
    _draw_transfers(draft, frame, paid)
    _draw_refunds(draft, frame, paid)


def _draw_disputes(draft: Draft, charges: Frame, paid: I64) -> None:
    dice = draft.dice
    chosen = paid[(dice.unit("dispute", paid) < 0.006) & ~charges["sepa"][paid]]
    created = charges["created"][chosen] + 5 * DAY_S + dice.below("dispute.when", chosen, 60 * DAY_S)
    chosen, created = chosen[created <= draft.end], created[created <= draft.end]
    asked = dice.unit("dispute.asked", chosen) < 0.15
    closed = created + 40 * DAY_S + dice.below("dispute.closed", chosen, 30 * DAY_S)
    over = closed <= draft.end
    won = dice.unit("dispute.won", chosen) < 0.35
    young = created > draft.end - 10 * DAY_S
    status = np.where(over, np.where(won, D_WON, D_LOST), np.where(young, D_NEEDS, D_REVIEW))
    status = np.where(asked, np.where(over, D_CLOSED, D_WARNS), status)
    frame: Frame = {
        "created": created,
        "charge": chosen,
        "amount": charges["amount"][chosen],
        "currency": charges["currency"][chosen],
        "status": status,
        "closed": np.where(over, closed, 0),
    }
    _, frame, _ = sorted_by(created, frame)
    frame["out_txn"] = whole(len(chosen), -1)
    frame["in_txn"] = whole(len(chosen), -1)
    charges["dispute"][frame["charge"]] = np.arange(len(chosen))
    draft.frames["disputes"] = frame


def _draw_transfers(draft: Draft, charges: Frame, paid: I64) -> None:
    """Draw the orders sold for partner roasters: the money goes on to their account and a fee comes back."""
    dice = draft.dice
    main = (charges["currency"][paid] == 0) & (charges["order"][paid] >= 0) & (charges["dispute"][paid] < 0)
    chosen = paid[main & (dice.unit("transfer", paid) < 0.08)]
    rows = np.arange(len(chosen), dtype=np.int64)
    charges["transfer"][chosen] = rows
    charges["fee"][chosen] = rows
    charges["fee_amount"][chosen] = charges["amount"][chosen] * 12 // 100
    base = {
        "created": charges["created"][chosen],
        "charge": chosen,
        "reversed": whole(len(rows)),
        "txn": whole(len(rows), -1),
    }
    draft.frames["transfers"] = base | {"amount": charges["amount"][chosen]}
    draft.frames["application_fees"] = base | {
        "amount": charges["fee_amount"][chosen],
        "txn": whole(len(rows), -1),
        "reversed": whole(len(rows)),
    }


def _draw_refunds(draft: Draft, charges: Frame, paid: I64) -> None:
    dice = draft.dice
    clear = paid[charges["dispute"][paid] < 0]
    chosen = clear[dice.unit("refund", clear) < np.where(charges["transfer"][clear] >= 0, 0.2, 0.045)]
    full = dice.unit("refund.full", chosen) < 0.6
    late = dice.unit("refund.late", chosen) < 0.3
    wait = np.where(
        late,
        30 * DAY_S + dice.below("refund.long", chosen, 300 * DAY_S),
        HOUR_S + dice.below("refund.soon", chosen, 14 * DAY_S),
    )
    created = np.maximum(charges["created"][chosen], charges["settled_at"][chosen]) + wait
    amount = charges["amount"][chosen]
    part = amount * (10 + dice.below("refund.part", chosen, 40)) // 100
    part -= part % 10 * (draft.exponents[charges["currency"][chosen]] == 3)
    part = np.maximum(part, np.minimum(amount, 10))
    twice = ~full & (dice.unit("refund.twice", chosen) < 0.3) & (2 * part <= amount)
    frame: Frame = {
        "created": np.concatenate([created, created[twice] + DAY_S + 7]),
        "charge": np.concatenate([chosen, chosen[twice]]),
        "amount": np.concatenate([np.where(full, amount, part), part[twice]]),
        "whole": np.concatenate([full.astype(np.int64), whole(int(twice.sum()))]),
    }
    fits = frame["created"] <= draft.end
    frame = {key: column[fits] for key, column in frame.items()}
    _, frame, _ = sorted_by(frame["created"], frame)
    rows = rows_of(frame)
    transfer = charges["transfer"][frame["charge"]]
    fails = (dice.unit("refund.fails", rows) < 0.006) & (frame["created"] < draft.end - 12 * DAY_S) & (transfer < 0)
    frame["failed_at"] = np.where(fails, frame["created"] + 9 * DAY_S, 0)
    frame["txn"], frame["failed_txn"] = whole(len(rows), -1), whole(len(rows), -1)
    frame["note"], frame["reversal"] = whole(len(rows), -1), whole(len(rows), -1)
    good = ~fails
    np.add.at(charges["refunded"], frame["charge"][good], frame["amount"][good])
    draft.frames["refunds"] = frame
    _reverse_transfers(draft, charges, frame, np.flatnonzero(good & (transfer >= 0)))


def _reverse_transfers(draft: Draft, charges: Frame, refunds: Frame, chosen: I64) -> None:
    """Draw what comes back from partners, and the fee that goes back to them, when their orders are refunded."""
    transfer = charges["transfer"][refunds["charge"][chosen]]
    amount = refunds["amount"][chosen]
    fee = np.minimum(amount * 12 // 100, draft.frames["application_fees"]["amount"][transfer])
    rows = np.arange(len(chosen), dtype=np.int64)
    refunds["reversal"][chosen] = rows
    created = refunds["created"][chosen]
    draft.frames["transfer_reversals"] = {
        "created": created, "transfer": transfer, "refund": chosen, "amount": amount, "txn": whole(len(rows), -1),
    }  # fmt: skip
    some = np.flatnonzero(fee > 0)
    draft.frames["application_fee_refunds"] = {
        "created": created[some], "fee": transfer[some], "amount": fee[some], "txn": whole(len(some), -1),
    }  # fmt: skip
    np.add.at(draft.frames["transfers"]["reversed"], transfer, amount)
    np.add.at(draft.frames["application_fees"]["reversed"], transfer, fee)


def credit_notes_after_payment(draft: Draft) -> Frame:
    """Return the credit notes that explain the refund of an invoice's charge."""
    refunds, charges, invoices = draft.frames["refunds"], draft.frames["charges"], draft.frames["invoices"]
    rows = rows_of(refunds)
    invoice = charges["invoice"][refunds["charge"]]
    fit = (invoice >= 0) & (refunds["failed_at"] == 0) & (draft.dice.unit("note", rows) < 0.6)
    chosen = rows[fit]
    of = invoice[chosen]
    entire = refunds["whole"][chosen]
    if len(chosen):
        entire = np.where(invoices["pre_credit"][of] > 0, 0, entire)
    return {
        "created": refunds["created"][chosen],
        "invoice": of,
        "refund": chosen,
        "amount": refunds["amount"][chosen],
        "whole": entire,
    }
