"""Dice without state: an integer hash (splitmix64) of seed, topic and row, for whole arrays at once, and calendar sums."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MASK = (1 << 64) - 1
DAY_S = 86_400
HOUR_S = 3_600

_GAMMA = 0x9E3779B97F4A7C15
_A = 0xBF58476D1CE4E5B9
_B = 0x94D049BB133111EB
# Multiplicative inverses of _A and _B modulo 2**64.
_A_INVERSE = pow(_A, -1, 1 << 64)
_B_INVERSE = pow(_B, -1, 1 << 64)


def mix(values: U64) -> U64:
    """Scramble 64-bit numbers one to one (the finaliser of splitmix64)."""
    z = values ^ (values >> np.uint64(30))
    z = z * np.uint64(_A)
    z = z ^ (z >> np.uint64(27))
    z = z * np.uint64(_B)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def mix_one(value: int) -> int:
    """Scramble one number as :func:`mix` does."""
    z = value & MASK
    z = ((z ^ (z >> 30)) * _A) & MASK
    z = ((z ^ (z >> 27)) * _B) & MASK
    return z ^ (z >> 31)


def unmix_one(value: int) -> int:
    """Undo :func:`mix_one`."""
    z = value ^ (value >> 31) ^ (value >> 62)
    z = (z * _B_INVERSE) & MASK
    z = z ^ (z >> 27) ^ (z >> 54)
    z = (z * _A_INVERSE) & MASK
    return z ^ (z >> 30) ^ (z >> 60)


def key_of(seed: int, topic: str) -> int:
    """Derive the 64-bit key of a topic (a table, a question) from the world's seed."""
    return mix_one(seed * _GAMMA + zlib.crc32(topic.encode()) * 0x1F123BB5)


class Dice:
    """Throws that depend on nothing but seed, topic and row.

    Args:
        seed: The account's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys: dict[str, np.uint64] = {}

    def bits(self, topic: str, rows: NDArray[np.integer]) -> U64:
        """Return 64 random bits for each row."""
        key = self._keys.get(topic)
        if key is None:
            key = self._keys[topic] = np.uint64(key_of(self.seed, topic))
        return mix(rows.astype(np.uint64) * np.uint64(_GAMMA) ^ key)

    def unit(self, topic: str, rows: NDArray[np.integer]) -> Floats:
        """Return a number in [0, 1) for each row."""
        return (self.bits(topic, rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, topic: str, rows: NDArray[np.integer], bound: int | I64) -> I64:
        """Return a whole number in [0, bound) for each row; 0 where the bound is 0."""
        return np.asarray(self.unit(topic, rows) * bound, np.int64)

    def pick(self, topic: str, rows: NDArray[np.integer], weights: tuple[float, ...]) -> I64:
        """Return an index into ``weights`` for each row, each as likely as its weight says."""
        edges = np.cumsum(np.asarray(weights, np.float64))
        return np.minimum(
            np.searchsorted(edges / edges[-1], self.unit(topic, rows), side="right"), len(weights) - 1
        ).astype(np.int64)


def add_months(moments: I64, months: I64) -> I64:
    """Return Unix seconds so many calendar months later, at the same time of day, on the month's last day if need be."""
    stamp = moments.astype("datetime64[s]")
    month = stamp.astype("datetime64[M]")
    day = (stamp.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    target = month + months.astype("timedelta64[M]")
    first = target.astype("datetime64[D]")
    length = ((target + np.timedelta64(1, "M")).astype("datetime64[D]") - first).astype(np.int64)
    days = first.astype(np.int64) + np.minimum(day, length - 1)
    return np.asarray(days * DAY_S + moments % DAY_S, np.int64)


def spread(counts: I64) -> tuple[I64, I64]:
    """Return, for so many children of each parent, each child's parent and its place among its siblings."""
    parents = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    starts = np.cumsum(counts) - counts
    return parents, np.arange(len(parents), dtype=np.int64) - starts[parents]
