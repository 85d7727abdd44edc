"""Money: Stripe's exponents, exact sums, never two currencies together."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takings.money import THREE_DECIMAL, ZERO_DECIMAL, Money, exponent

CURRENCIES = st.sampled_from(["usd", "eur", "jpy", "kwd", "isk", "ugx"])
AMOUNTS = st.integers(min_value=-(10**15), max_value=10**15)


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("usd", 2), ("EUR", 2), ("jpy", 0), ("KRW", 0), ("kwd", 3), ("tnd", 3), ("isk", 2), ("ugx", 2), ("clp", 0)],
)
def test_exponents_are_stripes_and_not_those_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals


def test_no_currency_has_two_exponents() -> None:
    assert not ZERO_DECIMAL & THREE_DECIMAL


@given(AMOUNTS, AMOUNTS, CURRENCIES)
def test_sums_are_exact_and_undone_by_differences(first: int, second: int, currency: str) -> None:
    a, b = Money(first, currency), Money(second, currency)
    assert (a + b) - b == a
    assert a + (-a) == Money(0, currency)
    assert (a < b) == (first < second)


@given(AMOUNTS, CURRENCIES)
def test_major_units_lose_nothing(minor: int, currency: str) -> None:
    assert Money(minor, currency).major * 10 ** exponent(currency) == minor


def test_major_units_of_each_kind() -> None:
    assert Money(1234, "usd").major == Decimal("12.34")
    assert Money(1234, "jpy").major == Decimal(1234)
    assert Money(1234, "kwd").major == Decimal("1.234")


@pytest.mark.parametrize("act", [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b, lambda a, b: a >= b])
def test_two_currencies_never_meet(act: object) -> None:
    with pytest.raises(ValueError, match="usd and eur are different currencies"):
        act(Money(1, "usd"), Money(1, "eur"))  # type: ignore[operator]


@pytest.mark.parametrize("minor", [1.0, True, "1", None, Decimal(1)])
def test_only_whole_minor_units(minor: object) -> None:
    with pytest.raises(TypeError, match="whole minor units"):
        Money(minor, "usd")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["", "us", "usdx", "u1d"])
def test_only_three_letter_currencies(currency: str) -> None:
    with pytest.raises(ValueError, match="three-letter"):
        Money(1, currency)


def test_the_case_of_a_currency_does_not_matter() -> None:
    assert Money(5, "EUR") == Money(5, "eur")
