"""The draft of a company: what is known while its life is drawn up, column by column, before it becomes tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from takings.money import exponent
from takings.simulator.dice import DAY_S, I64, Dice
from takings.simulator.market import COUNTRIES, RATE_OF_EUR

#: Columns of one kind of object, all of one length; ``created`` (Unix seconds) among them.
Frame = dict[str, NDArray[Any]]

#: Currencies that have a bank account of their own; the others are converted to the main one.
SETTLED = ("eur", "usd", "gbp")


@dataclass
class Draft:
    """What a company's life is drawn from.

    Args:
        dice: The account's dice.
        start: Unix seconds of the company's first day.
        end: Unix seconds of "now".
        main: Main currency.
        small: True where the company is too small for a whole catalogue.
        one_currency: True where it sells in its main currency only.
    """

    dice: Dice
    start: int
    end: int
    main: str
    small: bool
    one_currency: bool = False
    frames: dict[str, Frame] = field(default_factory=dict)
    #: Price rows by [version, tier, interval, currency], [add-on, interval, currency], [good, currency].
    tier_price: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    addon_price: I64 = field(default_factory=lambda: np.zeros(0, np.int64))
    good_price: I64 = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        known = () if self.one_currency else ("eur", "usd", "gbp", "jpy", "kwd")
        others = tuple(code for code in known if code != self.main)
        self.currencies: tuple[str, ...] = (self.main, *others)
        #: For each currency the one it settles in.
        self.settles = np.array([i if code in SETTLED or i == 0 else 0 for i, code in enumerate(self.currencies)])
        self.exponents = np.array([exponent(code) for code in self.currencies])
        self.countries = tuple(
            country if country.currency in self.currencies else country._replace(currency=self.main)
            for country in COUNTRIES
        )
        self.country_currency = np.array([self.currencies.index(country.currency) for country in self.countries])

    @property
    def span(self) -> int:
        """Length of the company's life in seconds."""
        return self.end - self.start

    @property
    def day(self) -> int:
        """Unix seconds of the midnight before "now"."""
        return self.end - self.end % DAY_S

    def rate(self, currency: int, day: I64) -> I64:
        """Return the exchange rate to the main currency in ten-millionths, in major units, wandering by the day."""
        base = RATE_OF_EUR.get(self.main, 1.0) / RATE_OF_EUR.get(self.currencies[currency], 1.0)
        wander = 1 + 0.04 * np.sin(day / 97.0) + 0.01 * np.sin(day / 7.3)
        return np.asarray(np.round(base * wander * 1e7), np.int64)

    def has(self, table: str) -> bool:
        """Whether anything was drawn of a kind."""
        return table in self.frames and len(self.frames[table]["created"]) > 0


def rows_of(frame: Frame) -> I64:
    """Return the row numbers of a frame."""
    return np.arange(len(frame["created"]), dtype=np.int64)


def whole(length: int, value: int = 0) -> I64:
    """Return a column of one whole number."""
    return np.full(length, value, np.int64)
