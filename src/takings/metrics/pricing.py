"""What the items of a subscription are worth a month, as exact fractions, rounded once for each item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import msgspec
import pyarrow as pa

#: Months in one of each interval, as Stripe counts: a year has 12 months, 52 weeks and 365 days.
BY_THE_YEAR: Final = {
    "day": Fraction(12, 365),
    "week": Fraction(12, 52),
    "month": Fraction(1),
    "year": Fraction(12),
}
#: The same where every month has 30 days.
THIRTY_DAYS: Final = {**BY_THE_YEAR, "day": Fraction(1, 30), "week": Fraction(7, 30)}


class Unpriced(Exception):
    """A price lacks what its worth depends on: its tiers, or an amount in the subscription's currency."""


class Tier(msgspec.Struct, frozen=True):
    """A step of a tiered price; amounts are decimal texts in minor units, ``up_to`` None for the last."""

    up_to: int | None = None
    unit_amount: int | None = None
    unit_amount_decimal: str | None = None
    flat_amount: int | None = None
    flat_amount_decimal: str | None = None


class Option(msgspec.Struct, frozen=True):
    """A price, or a coupon, in a further currency."""

    unit_amount: int | None = None
    unit_amount_decimal: str | None = None
    tiers: tuple[Tier, ...] | None = None
    amount_off: int | None = None


class Transform(msgspec.Struct, frozen=True):
    """How a quantity becomes packages."""

    divide_by: int = 1
    round: str = "up"


class Discount(msgspec.Struct, frozen=True):
    """A coupon on a subscription or one of its items: a percent or an amount of each invoice.

    Attributes:
        percent_off: Per cent, as JSON has it; its shortest decimal form is what Stripe means.
        amount_off: Minor units of ``currency``.
        currency: Of ``amount_off``.
        options: ``amount_off`` in further currencies.
        products: The only products it is for; None for all.
    """

    percent_off: float | None = None
    amount_off: int | None = None
    currency: str | None = None
    options: dict[str, Option] | None = None
    products: tuple[str, ...] | None = None


class Item(msgspec.Struct, frozen=True):
    """An item of a subscription with its price.

    Attributes:
        quantity: Whole units.
        product: Id, for coupons that are for some products only.
        currency: Of the price; ``options`` holds it in others.
        interval, count: How often it is billed.
        taxes: Per cents of the taxes that the price includes.
        discounts: Those of the item itself, which come off before the subscription's.
        settled: The amount is what an invoice came to: discounts of the subscription are off already.
    """

    quantity: int = 1
    product: str | None = None
    currency: str = ""
    unit_amount: int | None = None
    unit_amount_decimal: str | None = None
    interval: str = "month"
    count: int = 1
    transform: Transform | None = None
    tiers_mode: str | None = None
    tiers: tuple[Tier, ...] | None = None
    options: dict[str, Option] | None = None
    taxes: tuple[float, ...] = ()
    discounts: tuple[Discount, ...] = ()
    settled: bool = False


class Subscription(msgspec.Struct, frozen=True):
    """What is asked: a subscription's items, and the discounts that count."""

    currency: str
    items: tuple[Item, ...]
    discounts: tuple[Discount, ...] = ()
    thirty_days: bool = False


@dataclass(frozen=True, slots=True)
class Worth:
    """What one item is worth a month.

    Attributes:
        net: With discounts, without tax, in minor units, not rounded.
        gross: The same without discounts.
    """

    net: Fraction
    gross: Fraction


def half_even(value: Fraction) -> int:
    """Round to a whole number, halves to the even one."""
    return round(value)


def worths(subscription: Subscription) -> list[Worth | None]:
    """Return for each item what it is worth a month; None where its price lacks what that depends on.

    Percent coupons compound, then amounts come off what an invoice bills and are spread over the items they are for by what
    those have left; then each is brought to a month, and taxes that prices include are divided out.
    """
    table = THIRTY_DAYS if subscription.thirty_days else BY_THE_YEAR
    billed: list[Fraction | None] = []
    for item in subscription.items:
        try:
            billed.append(period_amount(item, subscription.currency))
        except Unpriced:
            billed.append(None)
    known = [index for index, amount in enumerate(billed) if amount is not None]
    left = {index: billed[index] or Fraction(0) for index in known}
    for index in known:
        item = subscription.items[index]
        left |= _discounted({index: left[index]}, item.discounts, subscription)
    open_ = {index: amount for index, amount in left.items() if not subscription.items[index].settled}
    left |= _discounted(open_, subscription.discounts, subscription)
    found: list[Worth | None] = [None] * len(subscription.items)
    for index in known:
        item = subscription.items[index]
        if item.interval not in table or item.count < 1:
            continue
        months = table[item.interval] * item.count
        untaxed = 1 / (1 + sum((decimal(each) for each in item.taxes), Fraction(0)) / 100)
        found[index] = Worth(left[index] / months * untaxed, (billed[index] or 0) / months * untaxed)
    return found


def _discounted(
    amounts: Mapping[int, Fraction], discounts: Sequence[Discount], subscription: Subscription
) -> dict[int, Fraction]:
    left = dict(amounts)

    def meant(discount: Discount) -> list[int]:
        return [i for i in left if discount.products is None or subscription.items[i].product in discount.products]

    for discount in discounts:
        if discount.percent_off is not None:
            for index in meant(discount):
                left[index] *= max(Fraction(0), 1 - decimal(discount.percent_off) / 100)
    for discount in discounts:
        off = _amount_off(discount, subscription.currency)
        if discount.percent_off is not None or off is None:
            continue
        held = meant(discount)
        total = sum((left[index] for index in held), Fraction(0))
        if total > 0:
            keep = max(Fraction(0), 1 - off / total)
            for index in held:
                left[index] *= keep
    return left


def _amount_off(discount: Discount, currency: str) -> Fraction | None:
    """Return what a coupon takes off in a currency; None where it has no amount in it: it does not apply then."""
    if discount.amount_off is not None and discount.currency == currency:
        return Fraction(discount.amount_off)
    option = (discount.options or {}).get(currency)
    return Fraction(option.amount_off) if option is not None and option.amount_off is not None else None


@lru_cache(maxsize=4096)
def decimal(value: float | str) -> Fraction:
    """Read a decimal number exactly as it is written; of a JSON number, its shortest form."""
    return Fraction(value if isinstance(value, str) else repr(value))


def _amount(text: str | None, whole: int | None) -> Fraction | None:
    if text is not None:
        return decimal(text)
    return None if whole is None else Fraction(whole)


def period_amount(item: Item, currency: str) -> Fraction:
    """Return what an item bills each period, before discounts and with the tax its price includes, in minor units.

    Raises:
        Unpriced: The price has no amount in the currency, or no tiers where it needs them.
    """
    unit = _amount(item.unit_amount_decimal, item.unit_amount)
    tiers = item.tiers
    if item.currency != currency:
        option = (item.options or {}).get(currency)
        if option is None:
            raise Unpriced(f"no amount in {currency}")
        unit, tiers = _amount(option.unit_amount_decimal, option.unit_amount), option.tiers
    quantity = item.quantity
    if item.transform is not None and item.transform.divide_by > 0:
        by = item.transform.divide_by
        quantity = -(-quantity // by) if item.transform.round == "up" else quantity // by
    if item.tiers_mode is not None:
        if not tiers:
            raise Unpriced("no tiers")
        return tiered(tiers, item.tiers_mode, quantity)
    if unit is None:
        raise Unpriced("no unit amount")
    return unit * quantity


def tiered(tiers: Iterable[Tier], mode: str, quantity: int) -> Fraction:
    """Return what a quantity costs by tiers.

    ``volume``: the tier that the quantity falls in prices all of it. ``graduated``: each tier prices the part within it. A
    tier's flat amount is added for each tier that is reached; nothing costs what the first tier's flat amount says.
    Source: https://docs.stripe.com/products-prices/pricing-models#tiered-pricing
    """
    ordered = sorted(tiers, key=lambda tier: (tier.up_to is None, tier.up_to or 0))

    def unit_of(tier: Tier) -> Fraction:
        return _amount(tier.unit_amount_decimal, tier.unit_amount) or Fraction(0)

    def flat_of(tier: Tier) -> Fraction:
        return _amount(tier.flat_amount_decimal, tier.flat_amount) or Fraction(0)

    if mode == "volume":
        fitting = next((tier for tier in ordered if tier.up_to is None or quantity <= tier.up_to), ordered[-1])
        return unit_of(fitting) * quantity + flat_of(fitting)
    total, below = Fraction(0), 0
    for place, tier in enumerate(ordered):
        if quantity <= below and place:
            break
        within = quantity if tier.up_to is None else min(quantity, tier.up_to)
        total += unit_of(tier) * (within - below) + flat_of(tier)
        below = within
    return total


_read = msgspec.json.Decoder(Subscription, strict=False)

ANSWERS: Final = pa.schema([("question", pa.string()), ("net", pa.list_(pa.int64())), ("gross", pa.list_(pa.int64()))])


def answers(questions: pa.Table) -> pa.Table:
    """Answer what subscriptions are worth.

    Args:
        questions: A column ``question``: a :class:`Subscription` as JSON.

    Returns:
        Columns ``question``, and ``net`` and ``gross``: for each item minor units a month, rounded half to even; null where the
        price lacks what it depends on.
    """
    texts: list[str] = questions["question"].to_pylist()
    net: list[list[int | None]] = []
    gross: list[list[int | None]] = []
    for text in texts:
        found = worths(_read.decode(text.encode()))
        net.append([None if one is None else half_even(one.net) for one in found])
        gross.append([None if one is None else half_even(one.gross) for one in found])
    return pa.table([texts, net, gross], schema=ANSWERS)
