"""Integer money: minor units per currency with Stripe's exponents, never a float, never two currencies together."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering

# Stripe's list, not ISO 4217's: ISK and UGX are two-decimal on Stripe's wire. Source: docs.stripe.com/currencies.
ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def exponent(currency: str) -> int:
    """Return how many decimals Stripe gives a currency's minor unit.

    Args:
        currency: Three-letter code in any case.

    Returns:
        0, 2 or 3.
    """
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


@total_ordering
@dataclass(frozen=True, slots=True)
class Money:
    """An amount in one currency.

    Args:
        minor: Whole minor units (cents, yen, fils); negative for money going out.
        currency: Lower-case three-letter code.

    Raises:
        TypeError: ``minor`` is not an integer.
        ValueError: The currency is not three letters, or two currencies meet in one sum or comparison.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.minor, int) or isinstance(self.minor, bool):
            raise TypeError(f"Money counts whole minor units; {type(self.minor).__name__} is not an integer.")
        if len(self.currency) != 3 or not self.currency.isalpha():
            raise ValueError(f"{self.currency!r} is not a three-letter currency code.")
        object.__setattr__(self, "currency", self.currency.lower())

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} are different currencies and are never combined.")
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    @property
    def major(self) -> Decimal:
        """The amount in major units (dollars, yen, dinars), exact."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))
