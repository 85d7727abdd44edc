"""How the company grows: its price list, the customers who come, their cards, subscriptions and what these hold."""

from __future__ import annotations

import numpy as np

from takings.simulator.dice import DAY_S, HOUR_S, I64, add_months, spread
from takings.simulator.draft import Draft, Frame, rows_of, whole
from takings.simulator.market import ADDONS, GOODS, OFFERS, TIERS, price_in
from takings.simulator.tables import joined, remap, sorted_by

#: What a customer does: subscribes, buys now and then, both, nothing.
SUBSCRIBES, BUYS, BOTH, NOTHING = range(4)

TRIAL_S = 14 * DAY_S
#: Seconds between the first try to collect an invoice and each further one.
RETRY_S = np.array([0, 3 * DAY_S, 8 * DAY_S, 15 * DAY_S])
#: How long a first payment may stay unpaid before its subscription expires.
INCOMPLETE_S = 23 * HOUR_S

#: Subscription statuses, in the order of their numbers.
SUB_STATUSES = ("active", "canceled", "trialing", "past_due", "incomplete", "incomplete_expired", "unpaid", "paused")
ACTIVE, CANCELED, TRIALING, PAST_DUE, INCOMPLETE, EXPIRED, UNPAID, PAUSED = range(8)

#: Why a subscription ended: not at all, its customer asked, its payments failed, its first payment never came.
STAYS, ASKED, FAILED, NEVER = range(4)


def draw_shop(draft: Draft) -> None:
    """Draw products, list prices, coupons, promotion codes and tax rates."""
    tiers, addons, goods = (2, 1, 1) if draft.small else (len(TIERS), len(ADDONS), len(GOODS))
    currencies = len(draft.currencies)
    names = tiers + addons + goods + 1
    draft.frames["products"] = {
        "created": draft.start - 40 * DAY_S + np.arange(names) * 2_011,
        "kind": np.concatenate(
            [whole(tiers, 0), whole(addons, 1), whole(goods, 2), whole(1, 3)]
        ),
        "item": np.concatenate([np.arange(tiers), np.arange(addons), np.arange(goods), whole(1)]),
        "active": np.arange(names) < names - 1,
    }  # fmt: skip
    price_rise = draft.start + int(draft.span * 0.55)
    rows: list[tuple[int, int, int, int, int, int]] = []  # created, product, currency, amount, interval, active
    draft.tier_price = np.zeros((2, tiers, 2, currencies), np.int64)
    draft.addon_price = np.zeros((addons, 2, currencies), np.int64)
    draft.good_price = np.zeros((goods, currencies), np.int64)
    for version in range(2):
        for tier in range(tiers):
            for interval in range(2):
                for currency, code in enumerate(draft.currencies):
                    eur_minor = TIERS[tier].eur_minor * (10 if interval else 1) * (100 if version else 90) // 100
                    created = price_rise if version else draft.start - 30 * DAY_S
                    draft.tier_price[version, tier, interval, currency] = len(rows)
                    rows.append((created + len(rows) % 7, tier, currency, price_in(code, eur_minor), interval, version))
    for addon in range(addons):
        for interval in range(2):
            for currency, code in enumerate(draft.currencies):
                draft.addon_price[addon, interval, currency] = len(rows)
                eur_minor = ADDONS[addon][1] * (10 if interval else 1)
                rows.append((draft.start - 20 * DAY_S, tiers + addon, currency, price_in(code, eur_minor), interval, 1))
    for good in range(goods):
        for currency, code in enumerate(draft.currencies):
            draft.good_price[good, currency] = len(rows)
            product = tiers + addons + good
            rows.append((draft.start - 20 * DAY_S + good, product, currency, price_in(code, GOODS[good][1]), -1, 1))
    table = np.array(rows, np.int64)
    draft.frames["prices"] = {
        "created": table[:, 0],
        "product": table[:, 1],
        "currency": table[:, 2],
        "amount": table[:, 3],
        "interval": table[:, 4],
        "active": table[:, 5],
        "inline": whole(len(rows)),
    }
    offers = 2 if draft.small else len(OFFERS)
    draft.frames["coupons"] = {
        "created": draft.start - 10 * DAY_S + np.arange(offers) * (draft.span // (2 * offers)),
        "offer": np.arange(offers),
    }
    taxed = np.array([i for i, country in enumerate(draft.countries) if country.tax_bp])
    draft.frames["tax_rates"] = {
        "created": draft.start - 35 * DAY_S + np.arange(len(taxed) + 1) * 61,
        "country": np.concatenate([taxed, taxed[:1]]),
        "active": np.arange(len(taxed) + 1) < len(taxed),
    }


def draw_customers(draft: Draft, count: int) -> None:
    """Draw customers, ever more of them, and their cards, mandates and tax numbers."""
    dice = draft.dice
    rows = np.arange(count, dtype=np.int64)
    growth = 2.2
    when = (rows + dice.unit("customer.when", rows)) / count
    created = draft.start + (draft.span * np.log1p(when * (np.exp(growth) - 1)) / growth).astype(np.int64)
    # The first ones were brought over from another system, 25 in each second: many share theirs.
    moved = max(0, int(count * 0.08))
    created[:moved] = draft.start + DAY_S + rows[:moved] // 25
    created = np.minimum(np.maximum.accumulate(created), draft.end - 3)
    country = dice.pick("customer.country", rows, tuple(each.weight for each in draft.countries))
    kind = dice.pick("customer.kind", rows, (62, 24, 9, 5))
    if count < 8:
        kind[:1] = BOTH
        country[:1] = int(np.flatnonzero(draft.country_currency == 0)[0])
    business = dice.unit("customer.business", rows) < 0.22
    taxed_row = np.full(len(draft.countries), -1)
    rates = draft.frames["tax_rates"]
    taxed_row[rates["country"][:-1]] = np.arange(len(rates["created"]) - 1)
    reverse = business & (taxed_row[country] >= 0) & (dice.unit("customer.reverse", rows) < 0.3)
    exempt = ~reverse & (dice.unit("customer.exempt", rows) < 0.01)
    deleted = (dice.unit("customer.deleted", rows) < 0.02) & (created < draft.end - 60 * DAY_S) & (rows > 2)
    draft.frames["customers"] = {
        "created": created,
        "country": country,
        "currency": draft.country_currency[country],
        "kind": kind,
        "business": business,
        "exempt": np.where(reverse, 2, np.where(exempt, 1, 0)),
        "tax_rate": np.where(reverse | exempt, -1, taxed_row[country]),
        "deleted": deleted,
        "gone": np.where(deleted, created + (draft.end - created) * 2 // 3, 0),
    }
    _draw_payment_methods(draft)
    with_id = rows[business & (dice.unit("customer.has_tax_id", rows) < 0.7) & ~deleted]
    draft.frames["tax_ids"] = {"created": created[with_id] + 30, "customer": with_id}


def _draw_payment_methods(draft: Draft) -> None:
    dice, customers = draft.dice, draft.frames["customers"]
    payers = np.flatnonzero(customers["kind"] != NOTHING)
    second = payers[(dice.unit("pm.second", payers) < 0.15) & (customers["created"][payers] < draft.end - 90 * DAY_S)]
    euro = np.array([code == "eur" for code in draft.currencies])
    sepa = euro[customers["currency"][payers]] & (dice.unit("pm.sepa", payers) < 0.12)
    age = draft.end - customers["created"][second]
    first_created = customers["created"][payers] + 1 + dice.below("pm.first", payers, 240)
    frame: Frame = {
        "created": np.minimum(
            np.concatenate([first_created, customers["created"][second] + (age * dice.unit("pm.when", second)).astype(np.int64)]),
            draft.end - 2,
        ),
        "customer": np.concatenate([payers, second]),
        "kind": np.concatenate([sepa.astype(np.int64), whole(len(second))]),
    }  # fmt: skip
    created, columns, place = sorted_by(frame["created"], frame)
    draft.frames["payment_methods"] = columns
    customers["pm"] = whole(len(customers["created"]), -1)
    customers["pm"][payers] = place[: len(payers)]
    kept = payers[dice.unit("si.kept", payers) < 0.3]
    lost = payers[dice.unit("si.lost", payers) < 0.05]
    intents: Frame = {
        "created": np.concatenate([created[customers["pm"][kept]], customers["created"][lost] + 1]),
        "customer": np.concatenate([kept, lost]),
        "pm": np.concatenate([customers["pm"][kept], whole(len(lost), -1)]),
        # 0 succeeded, 1 waits for a payment method, 2 canceled
        "status": np.concatenate([whole(len(kept)), 1 + dice.below("si.status", lost, 2)]),
    }
    draft.frames["setup_intents"] = sorted_by(intents["created"], intents)[1]


def draw_subscriptions(draft: Draft) -> None:
    """Draw subscriptions with their trials, changes and ends, their items, schedules, and the prices made for one of them."""
    dice, customers = draft.dice, draft.frames["customers"]
    first = np.flatnonzero((customers["kind"] == SUBSCRIBES) | (customers["kind"] == BOTH))
    again = first[dice.unit("sub.again", first) < 0.08]
    owner = np.concatenate([first, again])
    seed_rows = np.arange(len(owner), dtype=np.int64)
    came = customers["created"][owner]
    wait = np.where(
        seed_rows < len(first),
        240 + dice.below("sub.wait", seed_rows, 2 * HOUR_S),
        ((draft.end - came) * dice.unit("sub.later", seed_rows)).astype(np.int64) + 260,
    )
    # Those brought over from another system started in the same seconds as they came.
    wait[: len(first)] = np.where(came[: len(first)] < draft.start + 2 * DAY_S, 300, wait[: len(first)])
    created = came + wait
    leaves = np.where(customers["deleted"][owner], customers["gone"][owner], draft.end + 10**9)
    keep = (created < draft.end - 1) & (created < leaves - DAY_S)
    owner, created = owner[keep], created[keep]
    created, columns, _ = sorted_by(created, {"owner": owner})
    owner = columns["owner"]
    count = len(owner)
    rows = np.arange(count, dtype=np.int64)
    business = customers["business"][owner]
    tiers = draft.tier_price.shape[1]
    tier = np.where(
        business, dice.pick("sub.tier.b", rows, (1, 1, 6, 4)), dice.pick("sub.tier.p", rows, (5, 4, 1, 0.1))
    )
    tier = np.minimum(tier, tiers - 1)
    interval = (dice.unit("sub.interval", rows) < 0.14).astype(np.int64)
    seats = np.array([each.seats + (each.seats[-1],) * (5 - len(each.seats)) for each in TIERS])
    version = (created >= draft.start + int(draft.span * 0.55) + 60).astype(np.int64)
    trial = dice.unit("sub.trial", rows) < 0.25
    send = business & (dice.unit("sub.send", rows) < 0.35)
    anchor = np.where(trial, created + TRIAL_S, created)
    never = ~trial & ~send & (dice.unit("sub.never", rows) < 0.012)
    life = (-np.log1p(-dice.unit("sub.life", rows)) * 26 * 30 * DAY_S).astype(np.int64) + 3 * DAY_S
    failed = (dice.unit("sub.failed", rows) < 0.2) & ~send
    ends = np.minimum(
        created + life, np.where(customers["deleted"][owner], customers["gone"][owner], draft.end + 10**9)
    )
    forced = customers["deleted"][owner] & (ends == customers["gone"][owner])
    failed &= ~forced & (ends < draft.end) & (ends > anchor)
    step = np.where(interval == 1, 12, 1)
    # Whose payments fail ends with the last retry after a renewal.
    done = _periods(anchor, np.minimum(ends, draft.end), step)
    last = add_months(anchor, np.maximum(done, 0) * step)
    ends = np.where(failed, last + HOUR_S + RETRY_S[3] + 60, ends)
    ends = np.where(never, created + INCOMPLETE_S, ends)
    reason = np.where(never, NEVER, np.where(failed, FAILED, ASKED))
    over = ends <= draft.end
    reason = np.where(over | failed | never, reason, STAYS)
    cancel = np.where(over, ends, 0)
    status = np.where(over, np.where(never, EXPIRED, CANCELED), ACTIVE)
    status = np.where(~over & never, INCOMPLETE, status)
    status = np.where(~over & trial & (anchor > draft.end), TRIALING, status)
    changes = np.where(
        (dice.unit("sub.changes", rows) < 0.2) & (interval == 0), 1 + dice.below("sub.change", rows, 14), 0
    )
    up = dice.unit("sub.up", rows) < 0.7
    after = np.clip(tier + np.where(up, 1, -1), 0, min(1, tiers - 1))
    inline = (dice.unit("sub.inline", rows) < 0.03).astype(np.int64)
    changes = np.where((tier > 1) | (after == tier) | (inline == 1), 0, changes)
    lived = _periods(anchor, np.where(cancel > 0, cancel, draft.end), step)
    offered = dice.unit("sub.offered", rows) < 0.2
    offers = len(draft.frames["coupons"]["created"])
    coupon = np.where(offered, dice.pick("sub.offer", rows, (5, 3, 3, 2, 0.5, 2)[:offers]), -1)
    amount_off = np.array([offer.eur_minor is not None for offer in OFFERS])
    currency = customers["currency"][owner]
    coupon = np.where((coupon >= 0) & amount_off[np.maximum(coupon, 0)] & (currency != 0), 0, coupon)
    frame: Frame = {
        "created": created,
        "customer": owner,
        "currency": currency,
        "tier": tier,
        "after": after,
        "changes": changes,
        "interval": interval,
        "quantity": seats[tier, dice.below("sub.seats", rows, 5)],
        "version": version,
        "trial": np.where(trial, created + TRIAL_S, 0),
        "anchor": anchor,
        "cancel": cancel,
        "reason": reason,
        "status": status,
        "coupon": coupon,
        "tax_rate": customers["tax_rate"][owner],
        "send": send,
        "changed": (changes > 0) & (lived >= changes),
        "inline": inline,
        "leaving": (status == ACTIVE) & (dice.unit("sub.leaving", rows) < 0.03),
        "checkout": (dice.unit("sub.checkout", rows) < 0.4) & ~send & ~never,
    }
    draft.frames["subscriptions"] = frame
    _draw_items(draft, frame)
    _draw_schedules(draft, frame)


def _periods(anchor: I64, limit: I64, step: I64) -> I64:
    """Return how many whole periods after the anchor the last renewal at or before the limit comes; -1 if none."""
    guess = np.maximum(limit - anchor, 0) // (28 * DAY_S) // step + 1
    while True:
        late = (add_months(anchor, guess * step) > limit) & (guess > 0)
        if not late.any():
            break
        guess = np.where(late, guess - 1, guess)
    return np.where(anchor > limit, -1, guess)


def _draw_items(draft: Draft, subs: Frame) -> None:
    dice = draft.dice
    rows = rows_of(subs)
    extras = np.where(dice.unit("item.some", rows) < 0.1, 1 + dice.below("item.few", rows, 3), 0)
    big = (dice.unit("item.big", rows) < 0.012) & (subs["tier"] >= min(2, draft.tier_price.shape[1] - 1))
    extras = np.where(big, 10 + dice.below("item.many", rows, 10), extras)
    subs["item"] = np.cumsum(1 + extras) - (1 + extras)
    subs["items"] = 1 + extras
    sub, place = spread(1 + extras)
    item_rows = np.arange(len(sub), dtype=np.int64)
    interval, currency = subs["interval"][sub], subs["currency"][sub]
    addon = (place + sub) % draft.addon_price.shape[0]
    tier = np.where(subs["changed"][sub], subs["after"][sub], subs["tier"][sub])
    price = np.where(
        place == 0,
        draft.tier_price[subs["version"][sub], tier, interval, currency],
        draft.addon_price[addon, interval, currency],
    )
    # Prices made for one subscription: never in a list, but a GET by id finds them.
    own = np.flatnonzero((place == 0) & (subs["inline"][sub] == 1))
    prices = draft.frames["prices"]
    listed = len(prices["created"])
    amount = prices["amount"][price[own]] * 9 // 10
    amount -= amount % 10
    draft.frames["prices"] = joined(
        [
            prices,
            {
                "created": subs["created"][sub[own]],
                "product": prices["product"][price[own]],
                "currency": currency[own],
                "amount": amount,
                "interval": interval[own],
                "active": whole(len(own)),
                "inline": whole(len(own), 1),
            },
        ]
    )
    price[own] = listed + np.arange(len(own))
    draft.frames["subscription_items"] = {
        "created": subs["created"][sub],
        "sub": sub,
        "place": place,
        "price": price,
        "quantity": np.where(place == 0, subs["quantity"][sub], 1 + dice.below("item.quantity", item_rows, 3)),
    }


def _draw_schedules(draft: Draft, subs: Frame) -> None:
    rows = rows_of(subs)
    chosen = rows[(draft.dice.unit("schedule", rows) < 0.04) & (subs["status"] != EXPIRED)]
    ended = subs["cancel"][chosen] > 0
    released = draft.dice.unit("schedule.released", chosen) < 0.3
    subs["schedule"] = whole(len(rows), -1)
    subs["schedule"][chosen] = np.arange(len(chosen))
    draft.frames["subscription_schedules"] = {
        "created": subs["created"][chosen],
        "sub": chosen,
        # 0 active, 1 released, 2 canceled
        "status": np.where(ended, 2, np.where(released, 1, 0)),
    }


def settle_prices(draft: Draft) -> None:
    """Bring the prices into the order of their making, once all of them are drawn, and all references with them."""
    _, frame, place = sorted_by(draft.frames["prices"]["created"], draft.frames["prices"])
    draft.frames["prices"] = frame
    draft.tier_price, draft.addon_price, draft.good_price = (
        place[draft.tier_price], place[draft.addon_price], place[draft.good_price],
    )  # fmt: skip
    for table in ("subscription_items", "checkout_session_line_items", "invoice_line_items", "invoiceitems"):
        draft.frames[table]["price"] = remap(place, draft.frames[table]["price"])
