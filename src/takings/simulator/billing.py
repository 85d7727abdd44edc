"""What the company bills: invoices cycle by cycle, their lines, discounts and taxes, and when each is paid."""

from __future__ import annotations

import numpy as np

from takings.simulator.dice import DAY_S, HOUR_S, I64, add_months, spread
from takings.simulator.draft import Draft, Frame, rows_of, whole
from takings.simulator.growth import EXPIRED, FAILED, INCOMPLETE, NEVER, NOTHING, PAST_DUE, RETRY_S, UNPAID
from takings.simulator.market import COUNTRIES, OFFERS, price_in
from takings.simulator.tables import joined, ranks, sorted_by

#: Invoice statuses, in the order of their numbers.
INVOICE_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
DRAFT, OPEN, PAID, UNCOLLECTIBLE, VOID = range(5)

#: What a line is for: the subscription's own item, a credit or a debit for a change of plan, an invoice item.
OWN, CREDIT, DEBIT, ITEM = range(4)

DUE_S = 30 * DAY_S
SEPA_S = 4 * DAY_S
_NEVER_AT = 1 << 40


def draw_invoices(draft: Draft) -> None:
    """Draw all invoices with their lines and totals, and when each is finalized, paid, voided or given up."""
    subs = draft.frames["subscriptions"]
    invoices = _occasions(draft, subs)
    draft.frames["invoices"] = invoices
    _draw_lines(draft, subs, invoices)
    _total(draft, invoices)
    _collect(draft, subs, invoices)
    invoices["number"] = ranks(invoices["customer"])
    rows = rows_of(invoices)
    subs["latest_invoice"] = whole(len(subs["created"]), -1)
    of_sub = rows[invoices["sub"] >= 0]
    subs["latest_invoice"][invoices["sub"][of_sub]] = of_sub
    open_latest = (subs["latest_invoice"] >= 0) & (subs["cancel"] == 0)
    latest = np.maximum(subs["latest_invoice"], 0)
    if len(rows):
        owed = open_latest & (invoices["status"][latest] == OPEN) & (invoices["attempts"][latest] > 0)
        late = owed & (subs["status"] == 0) & ~subs["send"]
        subs["status"] = np.where(late, PAST_DUE, subs["status"])
        lost = open_latest & (invoices["status"][latest] == UNCOLLECTIBLE) & (subs["status"] == 0)
        subs["status"] = np.where(lost, UNPAID, subs["status"])
    step = np.where(subs["interval"] == 1, 12, 1)
    cycle = invoices["cycle"][latest] if len(rows) else whole(len(latest))
    in_trial = cycle < 0
    subs["period_start"] = np.where(in_trial, subs["created"], add_months(subs["anchor"], np.maximum(cycle, 0) * step))
    subs["period_end"] = np.where(
        in_trial, subs["anchor"], add_months(subs["anchor"], (np.maximum(cycle, 0) + 1) * step)
    )


def _occasions(draft: Draft, subs: Frame) -> Frame:
    """Draw when there is something to bill: trials, cycles, and work billed by hand."""
    dice, customers = draft.dice, draft.frames["customers"]
    limit = np.where(subs["cancel"] > 0, np.minimum(subs["cancel"] - 1, draft.end), draft.end)
    step = np.where(subs["interval"] == 1, 12, 1)
    counts = np.where(subs["anchor"] <= limit, (limit - subs["anchor"]) // (28 * DAY_S) // step + 1, 0)
    once = (subs["status"] == EXPIRED) | (subs["status"] == INCOMPLETE)
    counts = np.where(once, 1, counts)
    sub, cycle = spread(counts)
    moment = add_months(subs["anchor"][sub], cycle * step[sub])
    keep = moment <= limit[sub]
    sub, cycle, moment = sub[keep], cycle[keep], moment[keep]
    trial = np.flatnonzero(subs["trial"] > 0)
    billed = np.flatnonzero(customers["business"] & (customers["kind"] != NOTHING))
    works = dice.below("invoice.works", billed, 4)
    which, place = spread(works)
    by_hand = billed[which]
    until = np.where(customers["deleted"][by_hand], customers["gone"][by_hand], draft.end)
    came = customers["created"][by_hand]
    throw = by_hand * 16 + place
    hand_at = came + 600 + ((until - came - 600) * dice.unit("invoice.hand", throw)).astype(np.int64)
    fits = hand_at < draft.end
    by_hand, hand_at = by_hand[fits], hand_at[fits]
    frame: Frame = {
        "created": np.concatenate([subs["created"][trial], moment, hand_at]),
        "sub": np.concatenate([trial, sub, whole(len(by_hand), -1)]),
        "cycle": np.concatenate([whole(len(trial), -1), cycle, whole(len(by_hand))]),
        "customer": np.concatenate([subs["customer"][trial], subs["customer"][sub], by_hand]),
    }
    _, frame, _ = sorted_by(frame["created"], frame)
    frame["currency"] = customers["currency"][frame["customer"]]
    frame["tax_rate"] = customers["tax_rate"][frame["customer"]]
    return frame


def _draw_lines(draft: Draft, subs: Frame, invoices: Frame) -> None:
    dice, items, prices = draft.dice, draft.frames["subscription_items"], draft.frames["prices"]
    rows = rows_of(invoices)
    manual = invoices["sub"] < 0
    sub = np.maximum(invoices["sub"], 0)
    have_subs = len(subs["created"]) > 0
    pick = (lambda name: subs[name][sub]) if have_subs else (lambda name: whole(len(rows)))
    cycle = invoices["cycle"]
    own = np.where(manual, 0, np.where(cycle < 0, 1, pick("items")))
    changes = np.where(~manual & (pick("changes") > 0) & (cycle == pick("changes")), 2, 0)
    extra = np.where(~manual & (cycle > 0) & (dice.unit("invoice.extra", rows) < 0.1), 1, 0)
    works = np.where(dice.unit("invoice.long", rows) < 0.06, 11 + dice.below("invoice.lines", rows, 30), 1 + rows % 3)
    asides = np.where(manual, works, extra)
    counts = own + changes + asides
    invoices["line"] = np.cumsum(counts) - counts
    invoices["lines"] = counts
    of, place = spread(counts)
    line_rows = np.arange(len(of), dtype=np.int64)
    kind = np.where(
        place < own[of],
        OWN,
        np.where(place < (own + changes)[of], np.where(place == own[of], CREDIT, DEBIT), ITEM),
    )
    line_sub = sub[of]
    currency = invoices["currency"][of]
    item = np.where(kind != ITEM, (pick("item")[of]) + np.where(kind == OWN, place, 0), -1)
    at = np.maximum(item, 0)
    item_price = items["price"][at] if len(items["price"]) else whole(len(of))
    item_quantity = items["quantity"][at] if len(items["price"]) else whole(len(of), 1)
    if have_subs:
        after = (subs["changes"][line_sub] > 0) & (cycle[of] >= subs["changes"][line_sub]) & (kind != CREDIT)
        tier = np.where(after, subs["after"][line_sub], subs["tier"][line_sub])
        tier_price = draft.tier_price[subs["version"][line_sub], tier, subs["interval"][line_sub], currency]
        head = (kind == CREDIT) | (kind == DEBIT) | ((kind == OWN) & (place == 0))
        item_price = np.where(head & (subs["inline"][line_sub] == 0), tier_price, item_price)
    good = draft.good_price[dice.below("line.good", line_rows, draft.good_price.shape[0]), currency]
    price = np.where(kind == ITEM, good, item_price)
    quantity = np.where(kind == ITEM, 1 + dice.below("line.quantity", line_rows, 5), item_quantity)
    unit = prices["amount"][price]
    amount = unit * quantity
    amount = np.where((kind == OWN) & (cycle[of] < 0), 0, amount)
    # A change of plan comes some days before the renewal that bills it: credit for what was not used, debit for the rest.
    used = 10 + dice.below("line.used", of, 81)
    partial = amount * used // 100
    first_amount = amount[np.minimum(invoices["line"][of], max(0, len(of) - 1))] if len(of) else amount
    amount = np.where(
        kind == DEBIT, partial, np.where(kind == CREDIT, -np.minimum(partial, first_amount * 8 // 10), amount)
    )
    three = np.array(draft.exponents)[currency] == 3
    amount = np.where(three, np.sign(amount) * (np.abs(amount) // 10 * 10), amount)
    discount = _discounts(draft, subs, invoices, of, place, kind, amount)
    bp, inclusive = _tax(draft, invoices["tax_rate"][of])
    taxable = amount - discount
    tax = np.where(inclusive, _round(taxable * bp, 10_000 + bp), _round(taxable * bp, whole(len(of), 10_000)))
    tax = np.where(three, tax // 10 * 10, tax)
    draft.frames["invoice_line_items"] = {
        "created": invoices["created"][of],
        "invoice": of,
        "place": place,
        "kind": kind,
        "item": item,
        "price": price,
        "quantity": quantity,
        "amount": amount,
        "discount": discount,
        "tax": tax,
        "used": used,
    }
    _draw_invoice_items(draft, invoices)


def _round(numerator: I64, denominator: I64) -> I64:
    """Divide whole numbers, halves rounding up."""
    return np.asarray((2 * numerator + denominator) // (2 * denominator), np.int64)


def _tax(draft: Draft, tax_rate: I64) -> tuple[I64, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return for each tax rate row its hundredths of a percent and whether prices include it; 0 where there is none."""
    country = np.array([COUNTRIES[i].tax_bp for i in range(len(COUNTRIES))])
    inclusive = np.array([each.inclusive for each in COUNTRIES])
    at = draft.frames["tax_rates"]["country"][np.maximum(tax_rate, 0)]
    return np.where(tax_rate >= 0, country[at], 0), (tax_rate >= 0) & inclusive[at]


def _discounts(draft: Draft, subs: Frame, invoices: Frame, of: I64, place: I64, kind: I64, amount: I64) -> I64:
    """Return what the subscription's coupon takes off each line."""
    sub = invoices["sub"][of]
    if not len(subs["created"]):
        return whole(len(of))
    coupon = np.where(sub >= 0, subs["coupon"][np.maximum(sub, 0)], -1)
    months = np.array(
        [{"once": 1, "forever": 10_000, "repeating": offer.months or 0}[offer.duration] for offer in OFFERS]
    )
    # A yearly cycle outlasts any coupon that repeats for less than a year.
    cycle = invoices["cycle"][of]
    elapsed = np.where(subs["interval"][np.maximum(sub, 0)] == 1, cycle * 12, cycle)
    offer = draft.frames["coupons"]["offer"][np.maximum(coupon, 0)]
    active = (coupon >= 0) & (kind == OWN) & (cycle >= 0) & (elapsed < months[offer])
    percent = np.array([int((offer.percent or 0) * 100) for offer in OFFERS])[offer]
    off = np.array([price_in(draft.main, offer.eur_minor) if offer.eur_minor else 0 for offer in OFFERS])[offer]
    by_percent = _round(amount * percent, whole(len(of), 10_000))
    three = np.array(draft.exponents)[invoices["currency"][of]] == 3
    by_percent = np.where(three, by_percent // 10 * 10, by_percent)
    taken = np.where(percent > 0, by_percent, np.where(place == 0, np.minimum(off, amount), 0))
    return np.where(active, taken, 0)


def _draw_invoice_items(draft: Draft, invoices: Frame) -> None:
    """Draw an invoice item for every line that stands for one, and some that wait for their invoice."""
    dice, lines, customers = draft.dice, draft.frames["invoice_line_items"], draft.frames["customers"]
    chosen = np.flatnonzero(lines["kind"] != OWN)
    of = lines["invoice"][chosen]
    manual = invoices["sub"][of] < 0
    before = np.where(
        manual, 40 + dice.below("ii.before", chosen, 200), HOUR_S + dice.below("ii.days", chosen, 20 * DAY_S)
    )
    came = customers["created"][invoices["customer"][of]]
    waiting = np.flatnonzero((dice.unit("ii.waiting", rows_of(customers)) < 0.02) & ~customers["deleted"])
    waiting_price = draft.good_price[
        dice.below("ii.good", waiting, draft.good_price.shape[0]), customers["currency"][waiting]
    ]
    frame: Frame = {
        "created": np.concatenate([
            np.maximum(invoices["created"][of] - before, np.minimum(came + 5, invoices["created"][of])),
            np.maximum(draft.end - dice.below("ii.recent", waiting, 20 * DAY_S) - 5, customers["created"][waiting]),
        ]),
        "line": np.concatenate([chosen, whole(len(waiting), -1)]),
        "customer": np.concatenate([invoices["customer"][of], waiting]),
        "price": np.concatenate([lines["price"][chosen], waiting_price]),
        "quantity": np.concatenate([lines["quantity"][chosen], whole(len(waiting), 1)]),
        "amount": np.concatenate([lines["amount"][chosen], draft.frames["prices"]["amount"][waiting_price]]),
    }  # fmt: skip
    _, frame, place = sorted_by(frame["created"], frame)
    draft.frames["invoiceitems"] = frame
    lines["ii"] = whole(len(lines["created"]), -1)
    lines["ii"][chosen] = place[: len(chosen)]


def _total(draft: Draft, invoices: Frame) -> None:
    lines = draft.frames["invoice_line_items"]
    count = len(invoices["created"])

    def per_invoice(column: I64) -> I64:
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(column)])
        return np.asarray(sums[invoices["line"] + invoices["lines"]] - sums[invoices["line"]], np.int64)

    invoices["subtotal"] = per_invoice(lines["amount"]) if count else whole(0)
    invoices["discount"] = per_invoice(lines["discount"]) if count else whole(0)
    invoices["tax"] = per_invoice(lines["tax"]) if count else whole(0)
    _, inclusive = _tax(draft, invoices["tax_rate"])
    invoices["total"] = invoices["subtotal"] - invoices["discount"] + np.where(inclusive, 0, invoices["tax"])


def _collect(draft: Draft, subs: Frame, invoices: Frame) -> None:
    """Decide when each invoice is finalized, tried, paid late or never, voided or given up as of the end."""
    dice, customers, methods = draft.dice, draft.frames["customers"], draft.frames["payment_methods"]
    rows = rows_of(invoices)
    sub = np.maximum(invoices["sub"], 0)
    manual = invoices["sub"] < 0
    have = len(subs["created"]) > 0
    reason = np.where(manual, 0, subs["reason"][sub]) if have else whole(len(rows))
    cancel = np.where(manual, 0, subs["cancel"][sub]) if have else whole(len(rows))
    send = manual | ((subs["send"][sub] == 1) if have else np.zeros(len(rows), bool))
    first = ~manual & (invoices["created"] == (subs["created"][sub] if have else 0))
    finalized = np.where(first, invoices["created"], invoices["created"] + HOUR_S)
    last = np.zeros(len(rows), bool)
    if have and len(rows):
        latest = whole(len(subs["created"]), -1)
        of_sub = rows[~manual]
        latest[invoices["sub"][of_sub]] = of_sub
        last[latest[latest >= 0]] = True
    broken = last & (reason == FAILED) & ~send
    never = last & (reason == NEVER) & ~send
    hopeless = send & (dice.unit("collect.hopeless", rows) < 0.03)
    # A credit note before payment lowers what is due on some invoices sent by mail.
    credited = (
        send
        & (dice.unit("collect.credited", rows) < 0.06)
        & (invoices["total"] > 5000)
        & (finalized + DAY_S <= draft.end)
    )
    three = np.array(draft.exponents)[invoices["currency"]] == 3
    credit = np.where(credited, invoices["total"] // 10, 0)
    credit = np.where(three, credit // 10 * 10, credit)
    due_amount = invoices["total"] - credit
    sepa = (
        methods["kind"][np.maximum(customers["pm"][invoices["customer"]], 0)] == 1
        if len(methods["created"])
        else send & False
    )
    lag = np.where(sepa, SEPA_S, 3)
    failures = dice.pick("collect.failures", rows, (93, 4, 2, 1))
    failures = np.where(first | send | (invoices["cycle"] < 0), 0, failures)
    failures = np.where(broken, 4, np.where(never, 1, failures))
    lateness = np.exp(dice.unit("collect.late", rows) * 4.2) * DAY_S
    tried = np.where(
        send, finalized + DAY_S + lateness.astype(np.int64), finalized + 2 + RETRY_S[np.minimum(failures, 3)]
    )
    paid_at = tried + lag
    paid_at = np.where(broken | never | hopeless, _NEVER_AT, paid_at)
    nothing_due = due_amount <= 0
    paid_at = np.where(nothing_due, finalized, paid_at)
    given_up = np.where(broken & (cancel > 0), cancel, np.where(never & (cancel > 0), cancel, _NEVER_AT))
    given_up = np.where(hopeless, finalized + 60 * DAY_S, given_up)
    written_off = dice.unit("collect.written_off", rows) < 0.5
    status = np.full(len(rows), OPEN)
    status = np.where(paid_at <= draft.end, PAID, status)
    gone = (given_up <= draft.end) & ~nothing_due
    status = np.where(gone, np.where(written_off & ~never, UNCOLLECTIBLE, VOID), status)
    status = np.where(finalized > draft.end, DRAFT, status)
    starts = finalized + 2
    done = np.sum(
        (starts[:, None] + RETRY_S[None, :] <= draft.end) & (np.arange(4)[None, :] <= failures[:, None]), axis=1
    )
    done = np.where(never, np.minimum(done, 1), done)
    attempts = np.where(send, (tried <= draft.end) & ~hopeless, done)
    attempts = np.where((status == DRAFT) | nothing_due, 0, attempts)
    next_try = np.where(
        (status == OPEN) & ~send & (attempts <= 3) & ~never & (attempts <= failures) & (attempts > 0),
        starts + RETRY_S[np.minimum(attempts, 3)], 0,
    )  # fmt: skip
    invoices.update(
        {
            "send": send.astype(np.int64),
            "first": first.astype(np.int64),
            "finalized": np.where(status == DRAFT, 0, finalized),
            "status": status,
            "paid_at": np.where(status == PAID, paid_at, 0),
            "tried": tried,
            "ended": np.where((status == VOID) | (status == UNCOLLECTIBLE), given_up, 0),
            "due_at": np.where(send & (status != DRAFT), finalized + DUE_S, 0),
            "attempts": attempts,
            "failures": failures,
            "next_try": next_try,
            "pre_credit": np.where(status == DRAFT, 0, credit),
            "post_credit": whole(len(rows)),
            "due": np.where(status == DRAFT, invoices["total"], due_amount),
            "intent": whole(len(rows), -1),
        }
    )


def tell_customers(draft: Draft) -> None:
    """Tell customers how many invoices they have had and whether one is overdue."""
    customers, invoices = draft.frames["customers"], draft.frames["invoices"]
    count = len(customers["created"])
    customers["numbered"] = np.bincount(invoices["customer"], minlength=count)
    overdue = (invoices["status"] == OPEN) & (
        (invoices["attempts"] > 0) | ((invoices["due_at"] > 0) & (invoices["due_at"] < draft.end))
    )
    customers["late"] = np.bincount(invoices["customer"][overdue], minlength=count) > 0


def credit_notes_before_payment(draft: Draft) -> Frame:
    """Return the credit notes that lowered what an open invoice asked."""
    invoices = draft.frames["invoices"]
    chosen = np.flatnonzero(invoices["pre_credit"] > 0)
    return {
        "created": invoices["finalized"][chosen] + DAY_S // 2,
        "invoice": chosen,
        "refund": whole(len(chosen), -1),
        "amount": invoices["pre_credit"][chosen],
        "whole": whole(len(chosen)),
    }


def settle_credit_notes(draft: Draft, after_payment: Frame) -> None:
    """Put the credit notes of both kinds in order, draw their lines and tell the invoices."""
    frame = joined([credit_notes_before_payment(draft), after_payment])
    _, frame, _ = sorted_by(frame["created"], frame)
    invoices, lines = draft.frames["invoices"], draft.frames["invoice_line_items"]
    after = frame["refund"] >= 0
    np.add.at(invoices["post_credit"], frame["invoice"][after], frame["amount"][after])
    counts = np.where(frame["whole"] == 1, invoices["lines"][frame["invoice"]], 1)
    frame["line"] = np.cumsum(counts) - counts
    frame["lines"] = counts
    frame["number"] = ranks(frame["invoice"])
    draft.frames["credit_notes"] = frame
    note, position = spread(counts)
    copied = frame["whole"][note] == 1
    source = np.where(copied, invoices["line"][frame["invoice"][note]] + position, -1)
    at = np.maximum(source, 0)
    empty = not len(lines["created"])
    draft.frames["credit_note_line_items"] = {
        "created": frame["created"][note],
        "note": note,
        "line": source,
        "amount": frame["amount"][note] if empty else np.where(copied, lines["amount"][at], frame["amount"][note]),
        "discount": whole(len(note)) if empty else np.where(copied, lines["discount"][at], 0),
        "tax": whole(len(note)) if empty else np.where(copied, lines["tax"][at], 0),
        "quantity": whole(len(note), 1) if empty else np.where(copied, lines["quantity"][at], 1),
    }
