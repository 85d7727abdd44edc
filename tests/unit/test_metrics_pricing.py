"""What items are worth a month: exact, rounded once, and never more for a discount."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.metrics.pricing import Discount, Item, Option, Subscription, Tier, Transform, half_even, tiered, worths

TIERS = (
    Tier(up_to=5, unit_amount_decimal="700"),
    Tier(up_to=10, unit_amount_decimal="650"),
    Tier(up_to=None, unit_amount_decimal="600"),
)


def worth(item: Item, *discounts: Discount, currency: str = "eur") -> Fraction:
    (found,) = worths(Subscription(currency, (item,), discounts))
    assert found is not None
    return found.net


@pytest.mark.parametrize(
    ("mode", "quantity", "total"),
    [
        # https://docs.stripe.com/products-prices/pricing-models: 7, 6.50 and 6 a seat up to 5, up to 10 and above
        ("volume", 1, 700),
        ("volume", 5, 3_500),
        ("volume", 6, 3_900),
        ("volume", 20, 12_000),
        ("volume", 25, 15_000),
        ("graduated", 1, 700),
        ("graduated", 5, 3_500),
        ("graduated", 6, 4_150),
        ("graduated", 20, 12_750),
        ("graduated", 25, 15_750),
        ("graduated", 0, 0),
    ],
)
def test_tiers_as_stripe_bills_them(mode: str, quantity: int, total: int) -> None:
    assert tiered(TIERS, mode, quantity) == total
    assert tiered(TIERS[::-1], mode, quantity) == total


def test_flat_fees_of_tiers_are_added_for_each_tier_that_is_reached() -> None:
    tiers = (Tier(up_to=5, unit_amount=500, flat_amount=1_000), Tier(unit_amount=400, flat_amount=2_000))
    assert tiered(tiers, "graduated", 0) == 1_000
    assert tiered(tiers, "graduated", 5) == 3_500
    assert tiered(tiers, "graduated", 6) == 3_500 + 400 + 2_000
    assert tiered(tiers, "volume", 6) == 2_400 + 2_000


def test_examples() -> None:
    assert worth(Item(unit_amount=1_000, currency="eur"), Discount(percent_off=50.0), Discount(percent_off=50.0)) == 250
    # Stripe's own example: a yearly price of 1,200 counts 100 (https://support.stripe.com/questions/billing-analytics).
    assert worth(Item(unit_amount=120_000, currency="usd", interval="year"), currency="usd") == 10_000
    yearly = Item(unit_amount=50_000, currency="eur", interval="year")
    off = worth(yearly) - worth(yearly, Discount(amount_off=500, currency="eur"))
    assert off == Fraction(500, 12) and half_even(off) == 42  # 41.67
    month = Item(unit_amount=1_000, currency="eur")
    assert worth(month, Discount(percent_off=33.33)) == Fraction("666.7")
    assert worth(month, Discount(amount_off=300, currency="usd")) == 1_000
    assert worth(month, Discount(amount_off=300, currency="usd", options={"eur": Option(amount_off=250)})) == 750
    assert worth(Item(unit_amount=10, currency="eur", interval="day")) == Fraction(3_650, 12)
    assert worth(Item(unit_amount=10, currency="eur", interval="week", count=2)) == Fraction(520, 24)
    pack = Item(unit_amount=700, currency="eur", quantity=11, transform=Transform(divide_by=10, round="up"))
    assert worth(pack) == 1_400
    assert worth(Item(unit_amount_decimal="0.000000000001", currency="eur", quantity=3)) == Fraction(3, 10**12)
    assert worth(Item(unit_amount=1_200, currency="eur", taxes=(20.0,))) == 1_000
    assert worths(Subscription("usd", (month,))) == [None]
    assert worths(Subscription("eur", (Item(currency="eur", tiers_mode="volume"),))) == [None]
    assert [half_even(Fraction(odd, 2)) for odd in (1, 3, 5)] == [0, 2, 2]


amounts = st.integers(0, 10**9)
discounts = st.lists(
    st.one_of(
        st.builds(Discount, percent_off=st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)),
        st.builds(Discount, amount_off=st.integers(0, 10**6), currency=st.sampled_from(("eur", "usd"))),
    ),
    max_size=4,
).map(tuple)
items = st.lists(
    st.builds(
        Item,
        quantity=st.integers(0, 50),
        currency=st.just("eur"),
        unit_amount=amounts,
        interval=st.sampled_from(("day", "week", "month", "year")),
        count=st.integers(1, 12),
        discounts=discounts,
    ),
    min_size=1,
    max_size=4,
).map(tuple)


@given(items, discounts)
def test_a_discount_never_adds_and_never_goes_below_nothing(held: tuple[Item, ...], off: tuple[Discount, ...]) -> None:
    for found in worths(Subscription("eur", held, off)):
        assert found is not None and 0 <= found.net <= found.gross


@given(items, st.integers(1, 10**6))
def test_an_amount_comes_off_once_however_many_items_it_is_spread_over(held: tuple[Item, ...], amount: int) -> None:
    bare = tuple(Item(quantity=one.quantity, currency="eur", unit_amount=one.unit_amount) for one in held)
    found = [one for one in worths(Subscription("eur", bare, (Discount(amount_off=amount, currency="eur"),))) if one]
    before, after = sum(one.gross for one in found), sum(one.net for one in found)
    assert before - after == min(amount, before)


@given(items, discounts)
def test_the_order_of_discounts_is_of_no_matter_for_percents(held: tuple[Item, ...], off: tuple[Discount, ...]) -> None:
    percents = tuple(one for one in off if one.percent_off is not None)
    assert worths(Subscription("eur", held, percents)) == worths(Subscription("eur", held, percents[::-1]))
