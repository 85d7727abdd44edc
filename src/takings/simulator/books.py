"""The books: a balance transaction for every movement of money, payouts that sweep them up, and the balance they leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from takings.simulator.dice import DAY_S, I64
from takings.simulator.draft import Draft, Frame, rows_of, whole
from takings.simulator.payments import D_CLOSED, D_WARNS, D_WON
from takings.simulator.tables import joined, sorted_by

#: What a balance transaction is for, in the order of the numbers in its ``kind``.
(
    CHARGE, PAYMENT, REFUND, PAYMENT_REFUND, DISPUTE, DISPUTE_REVERSAL, TRANSFER, TRANSFER_REVERSAL, FEE, FEE_REFUND,
    PAYOUT, PAYOUT_FAILURE, STRIPE_FEE, REFUND_FAILURE,
) = range(14)  # fmt: skip

#: For each kind Stripe's ``type``, its ``reporting_category``, and the table of its source.
KINDS: tuple[tuple[str, str, str | None], ...] = (
    ("charge", "charge", "charges"),
    ("payment", "charge", "charges"),
    ("refund", "refund", "refunds"),
    ("payment_refund", "refund", "refunds"),
    ("adjustment", "dispute", "disputes"),
    ("adjustment", "dispute_reversal", "disputes"),
    ("transfer", "transfer", "transfers"),
    ("transfer_refund", "transfer_reversal", "transfer_reversals"),
    ("application_fee", "platform_earning", "application_fees"),
    ("application_fee_refund", "platform_earning_refund", "application_fee_refunds"),
    ("payout", "payout", "payouts"),
    ("payout_failure", "payout_reversal", "payouts"),
    ("stripe_fee", "fee", None),
    ("refund_failure", "refund_failure", "refunds"),
)

#: Payout statuses, in the order of their numbers.
PAYOUT_STATUSES = ("paid", "in_transit", "failed", "pending")
P_PAID, P_TRANSIT, P_FAILED, P_PENDING = range(4)

DISPUTE_FEE = 2_000
RATE_UNIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Balance:
    """What is in the account, in minor units by currency.

    Args:
        available: What can be paid out.
        pending: What will be.
    """

    available: dict[str, int]
    pending: dict[str, int]


def _movements(
    draft: Draft, kind: int | I64, source: I64, created: I64, currency: I64, amount: I64, *, charged: I64 | None = None
) -> Frame:
    """Return balance transactions in the currency that each settles in.

    Args:
        charged: For charges, 1 where Stripe takes its fee.
    """
    count = len(source)
    settled, rate = amount.copy(), whole(count)
    for index in range(len(draft.currencies)):
        if draft.settles[index] == index:
            continue
        chosen = np.flatnonzero(currency == index)
        if not len(chosen):
            continue
        rates = draft.rate(index, created[chosen] // DAY_S)
        # Major units times the rate, in the minor units of the main currency, halves away from zero.
        places = 10 ** int(draft.exponents[index])
        into = 10 ** int(draft.exponents[0])
        scaled = np.abs(amount[chosen]) * rates * into
        settled[chosen] = np.sign(amount[chosen]) * ((2 * scaled + places * RATE_UNIT) // (2 * places * RATE_UNIT))
        rate[chosen] = rates
    fee = whole(count)
    if charged is not None:
        bp = np.where(rate > 0, 490, np.where(currency == 0, 150, 290))
        fee = np.where(charged == 1, (settled * bp + 5_000) // 10_000 + 25, 0)
    delay = np.where(rate > 0, 7, 3) * DAY_S
    available = np.where(
        (charged if charged is not None else whole(count)) == 1, created - created % DAY_S + delay, created
    )
    return {
        "created": created,
        "kind": np.broadcast_to(np.asarray(kind, np.int64), (count,)).copy(),
        "source": source,
        "currency": draft.settles[currency],
        "amount": settled,
        "fee": fee,
        "available": available,
        "rate": rate,
        "payout": whole(count, -1),
    }


def _collect_movements(draft: Draft) -> list[Frame]:
    charges, refunds, disputes = draft.frames["charges"], draft.frames["refunds"], draft.frames["disputes"]
    paid = np.flatnonzero(charges["captured"])
    moves = [
        _movements(
            draft,
            np.where(charges["sepa"][paid], PAYMENT, CHARGE),
            paid,
            charges["settled_at"][paid],
            charges["currency"][paid],
            charges["amount"][paid],
            charged=whole(len(paid), 1),
        )
    ]
    rows = rows_of(refunds)
    of = refunds["charge"]
    moves.append(
        _movements(
            draft,
            np.where(charges["sepa"][of], PAYMENT_REFUND, REFUND),
            rows,
            refunds["created"],
            charges["currency"][of],
            -refunds["amount"],
        )
    )
    failed = rows[refunds["failed_at"] > 0]
    back = _movements(
        draft,
        REFUND_FAILURE,
        failed,
        refunds["created"][failed],
        charges["currency"][of[failed]],
        refunds["amount"][failed],
    )
    # What comes back is what went out, whatever the rate has done since.
    back["created"] = back["available"] = refunds["failed_at"][failed]
    moves.append(back)
    lost = np.flatnonzero((disputes["status"] != D_CLOSED) & (disputes["status"] != D_WARNS))
    out = _movements(
        draft, DISPUTE, lost, disputes["created"][lost], disputes["currency"][lost], -disputes["amount"][lost]
    )
    out["fee"] += DISPUTE_FEE
    moves.append(out)
    won = np.flatnonzero(disputes["status"] == D_WON)
    again = _movements(
        draft, DISPUTE_REVERSAL, won, disputes["created"][won], disputes["currency"][won], disputes["amount"][won]
    )
    again["created"] = again["available"] = disputes["closed"][won]
    again["fee"] -= DISPUTE_FEE
    moves.append(again)
    for kind, table, sign in (
        (TRANSFER, "transfers", -1),
        (FEE, "application_fees", 1),
        (TRANSFER_REVERSAL, "transfer_reversals", 1),
        (FEE_REFUND, "application_fee_refunds", -1),
    ):
        frame = draft.frames[table]
        count = len(frame["created"])
        moves.append(_movements(draft, kind, rows_of(frame), frame["created"], whole(count), sign * frame["amount"]))
    if not draft.small:
        # Stripe's own monthly invoice for Billing and Radar.
        months = np.arange(1, draft.span // (30 * DAY_S) + 1)
        gross = int(np.sum(charges["amount"][paid])) // max(1, len(months))
        cost = gross * months // max(1, len(months)) * 2 // 250 + 990
        moves.append(
            _movements(
                draft, STRIPE_FEE, whole(len(months), -1), draft.start + months * 30 * DAY_S, whole(len(months)), -cost
            )
        )
    return moves


def draw_books(draft: Draft) -> Balance:
    """Draw balance transactions and payouts, tell the objects theirs, and return the balance."""
    moves = joined(_collect_movements(draft))
    # created, currency, amount, automatic, status, arrival, failed_at
    payouts: list[tuple[int, ...]] = []

    switch = draft.start - draft.start % DAY_S + int(draft.span * 0.2) // DAY_S * DAY_S
    available_day = -(-moves["available"] // DAY_S)
    for currency in np.unique(moves["currency"]).tolist():
        of_currency = np.flatnonzero(moves["currency"] == currency)
        _pay_out(draft, moves, of_currency, available_day[of_currency], currency, switch, payouts)
    table = np.array(payouts, np.int64).reshape(-1, 7)
    names = ("created", "currency", "amount", "automatic", "status", "arrival", "failed_at")
    frame: Frame = {name: table[:, i] for i, name in enumerate(names)}
    _, frame, place = sorted_by(frame["created"], frame)
    moves["payout"] = (
        np.where(moves["payout"] >= 0, place[np.maximum(moves["payout"], 0)], -1) if len(place) else moves["payout"]
    )
    rows = rows_of(frame)
    count = len(rows)
    out = {
        "created": frame["created"],
        "kind": whole(count, PAYOUT),
        "source": rows,
        "currency": frame["currency"],
        "amount": -frame["amount"],
        "fee": whole(count),
        "available": frame["created"],
        "rate": whole(count),
        "payout": np.where(frame["automatic"] == 1, rows, -1),
    }
    failed = rows[frame["failed_at"] > 0]
    back = {key: column[failed] for key, column in out.items()}
    back |= {
        "created": frame["failed_at"][failed],
        "kind": whole(len(failed), PAYOUT_FAILURE),
        "amount": frame["amount"][failed],
        "available": frame["failed_at"][failed],
        "payout": _swept(frame, failed),
    }
    _, books, _ = sorted_by(
        np.concatenate([moves["created"], out["created"], back["created"]]), joined([moves, out, back])
    )
    draft.frames["payouts"] = frame
    draft.frames["balance_transactions"] = books
    _tell(draft, books)
    net = books["amount"] - books["fee"]
    ready = books["available"] <= draft.end
    available, pending = {}, {}
    for currency in sorted({0, *np.unique(books["currency"]).tolist()}):
        mine = books["currency"] == currency
        available[draft.currencies[currency]] = int(net[mine & ready].sum())
        pending[draft.currencies[currency]] = int(net[mine & ~ready].sum())
    return Balance(available, pending)


def _swept(payouts: Frame, failed: I64) -> I64:
    """Return the automatic payout that swept up what came back from each failed one; -1 if none has yet."""
    swept = whole(len(failed), -1)
    for position, row in enumerate(failed.tolist()):
        later = np.flatnonzero(
            (payouts["currency"] == payouts["currency"][row])
            & (payouts["automatic"] == 1)
            & (payouts["created"] // DAY_S * DAY_S >= payouts["failed_at"][row])
        )
        if len(later):
            swept[position] = later[0]
    return swept


def _pay_out(
    draft: Draft, moves: Frame, rows: I64, days: I64, currency: int, switch: int, payouts: list[tuple[int, ...]]
) -> None:
    """Sweep one currency: by hand every month until ``switch``, then automatically every working day that leaves something."""
    first, last = draft.start // DAY_S, draft.end // DAY_S
    sums = np.zeros(last - first + 400, np.int64)
    np.add.at(sums, days - first, (moves["amount"] - moves["fee"])[rows])
    swept_by = np.full(len(sums), -1, np.int64)
    throws = draft.dice.unit(f"payout.fails.{currency}", np.arange(len(sums)))
    carried, unswept = 0, 0
    by_hand_until = switch // DAY_S - first
    for day in range(last - first + 1):
        carried += int(sums[day])
        moment = (first + day) * DAY_S + 1_800 + currency * 61
        automatic = day > by_hand_until
        weekend = (first + day + 3) % 7 > 4
        turn = (automatic and not weekend) or day == by_hand_until or (day and day % 30 == 0)
        if not turn or carried <= 0 or moment > draft.end:
            continue
        arrival = (first + day + 2) * DAY_S
        failed_at = arrival + 10 * 3_600
        fails = automatic and throws[day] < 0.012 and failed_at <= draft.end
        status = P_FAILED if fails else P_PAID if arrival <= draft.end else P_TRANSIT if automatic else P_PENDING
        if automatic:
            swept_by[unswept : day + 1] = len(payouts)
        payouts.append((moment, currency, carried, int(automatic), status, arrival, failed_at if fails else 0))
        if fails:
            sums[-(-failed_at // DAY_S) - first] += carried
        unswept, carried = day + 1, 0
    moves["payout"][rows] = swept_by[days - first]


def _tell(draft: Draft, books: Frame) -> None:
    """Tell every object its balance transaction."""
    kind, source = books["kind"], books["source"]
    rows = rows_of(books)
    draft.frames["payouts"]["txn"] = whole(len(draft.frames["payouts"]["created"]), -1)
    draft.frames["payouts"]["failed_txn"] = draft.frames["payouts"]["txn"].copy()
    for kinds, table, column in (
        ((CHARGE, PAYMENT), "charges", "txn"),
        ((REFUND, PAYMENT_REFUND), "refunds", "txn"),
        ((REFUND_FAILURE,), "refunds", "failed_txn"),
        ((DISPUTE,), "disputes", "out_txn"),
        ((DISPUTE_REVERSAL,), "disputes", "in_txn"),
        ((TRANSFER,), "transfers", "txn"),
        ((TRANSFER_REVERSAL,), "transfer_reversals", "txn"),
        ((FEE,), "application_fees", "txn"),
        ((FEE_REFUND,), "application_fee_refunds", "txn"),
        ((PAYOUT,), "payouts", "txn"),
        ((PAYOUT_FAILURE,), "payouts", "failed_txn"),
    ):
        chosen = rows[np.isin(kind, kinds)]
        draft.frames[table][column][source[chosen]] = chosen
