"""The figures that reports show: what each adds up, its unit, and which way is good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Topic = Literal["volume", "payments", "attempts", "receivables"]
Unit = Literal["money", "count", "ratio"]
Better = Literal["up", "down", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number and how it comes from contributions.

    Attributes:
        key: Its name in URLs, files and words (``reports.figure.<key>``).
        topic: The contributions it is made of: ``sql/<topic>.sql``.
        unit: ``money`` sums amounts in minor units, ``count`` counts lines, ``ratio`` divides two counts.
        parts: The parts that are added (for a ratio: the numerator's).
        of: For a ratio: the parts of the denominator.
        better: Which way is good news. For money going out it speaks of the size, not the sign.
        out: True where the money goes out and the figure is negative.
    """

    key: str
    topic: Topic
    unit: Unit
    parts: tuple[str, ...]
    of: tuple[str, ...] = ()
    better: Better = "up"
    out: bool = False


_OVERDUE: Final = ("days_1_30", "days_31_60", "days_61_90", "days_91_120", "days_over_120")
AGES: Final = ("not_due", *_OVERDUE)

_ALL: Final = (
    Figure(key="gross", topic="volume", unit="money", parts=("gross",)),
    Figure(key="refunds", topic="volume", unit="money", parts=("refunds",), better="down", out=True),
    Figure(key="disputes", topic="volume", unit="money", parts=("disputes",), better="down", out=True),
    Figure(key="fees", topic="volume", unit="money", parts=("fees",), better="down", out=True),
    Figure(key="net", topic="volume", unit="money", parts=("gross", "refunds", "disputes", "fees")),
    Figure(key="succeeded", topic="payments", unit="count", parts=("succeeded",)),
    Figure(key="failed", topic="payments", unit="count", parts=("failed",), better="down"),
    Figure(key="incomplete", topic="payments", unit="count", parts=("incomplete",), better="neither"),
    Figure(key="uncaptured", topic="payments", unit="count", parts=("uncaptured",), better="neither"),
    Figure(key="processing", topic="payments", unit="count", parts=("processing",), better="neither"),
    Figure(key="canceled", topic="payments", unit="count", parts=("canceled",), better="neither"),
    Figure(key="success_rate", topic="payments", unit="ratio", parts=("succeeded",), of=("succeeded", "failed")),
    Figure(
        key="attempts",
        topic="attempts",
        unit="count",
        parts=("authorized", "declined", "blocked", "pending"),
        better="neither",
    ),
    Figure(key="authorized", topic="attempts", unit="count", parts=("authorized",)),
    Figure(key="declined", topic="attempts", unit="count", parts=("declined",), better="down"),
    Figure(key="blocked", topic="attempts", unit="count", parts=("blocked",), better="neither"),
    Figure(key="pending", topic="attempts", unit="count", parts=("pending",), better="neither"),
    Figure(
        key="authorization_rate",
        topic="attempts",
        unit="ratio",
        parts=("authorized",),
        of=("authorized", "declined"),
    ),
    Figure(key="open", topic="receivables", unit="money", parts=AGES, better="neither"),
    Figure(key="overdue", topic="receivables", unit="money", parts=_OVERDUE, better="down"),
    *(Figure(key=age, topic="receivables", unit="money", parts=(age,), better="neither") for age in AGES),
)

FIGURES: Final[dict[str, Figure]] = {figure.key: figure for figure in _ALL}


def figures_of(topic: Topic) -> tuple[Figure, ...]:
    """Return a topic's figures in the order they are shown."""
    return tuple(figure for figure in _ALL if figure.topic == topic)
