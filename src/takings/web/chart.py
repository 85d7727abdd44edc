"""Charts as values: what a page hands to the ``<takings-chart>`` island, and to the table that always stands with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from babel.dates import format_date
from markupsafe import Markup

from takings.money import Money, exponent
from takings.words import Words

Tone = Literal["gross", "net", "refunds", "fees", "good", "bad", "neutral", "a", "b", "c", "d", "e", "f"]
"""Colour by meaning, so that one thing has one colour on every page; ``a`` to ``f`` are for what has no meaning here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of values along the chart's points.

    Attributes:
        name: In the reader's language.
        values: One for each point, None where there is none. Money in minor units; ratios from 0 to 1.
        shape: How it is drawn.
        dashed: A comparison: drawn dashed and pale, over the same points.
        stack: Series with the same word here stand on each other; None: beside.
        hrefs: Where a click on each point leads; empty: nowhere.
    """

    name: str
    values: tuple[int | float | None, ...]
    tone: Tone
    shape: Literal["bar", "line", "area"] = "bar"
    dashed: bool = False
    stack: str | None = None
    hrefs: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with one axis of points and one of values.

    Attributes:
        label: What it shows, in the reader's language: its accessible name.
        points: First day of each point as ``2025-03-01``, or names for categories.
        grain: What a point is; decides how the axis is written.
        unit: What the values are.
        currency: Of money, in lower case; a chart never mixes two.
        point_names: In a table or tooltip, names of the points that say more than a date (``12–18 May``); empty: by grain.
    """

    label: str
    points: tuple[str, ...]
    grain: Literal["day", "week", "month", "quarter", "year", "category"]
    series: tuple[Series, ...]
    unit: Literal["money", "number", "percent"] = "number"
    currency: str | None = None
    point_names: tuple[str, ...] = ()


def chart_json(chart: Chart, locale: str) -> Markup:
    """Write a chart as the data block of its island, safe inside a ``<script type="application/json">``."""
    values: dict[str, Any] = {
        "locale": locale,
        "grain": chart.grain,
        "points": chart.points,
        "names": chart.point_names,
        "unit": chart.unit,
        "currency": chart.currency.upper() if chart.currency else None,
        "digits": exponent(chart.currency) if chart.unit == "money" and chart.currency else 0,
        "series": [
            {
                "name": series.name,
                "values": series.values,
                "tone": series.tone,
                "shape": series.shape,
                "dashed": series.dashed,
                "stack": series.stack,
                "hrefs": series.hrefs,
            }
            for series in chart.series
        ],
    }
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    # Nothing in a name can end the script element or open a comment in it.
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def point_name(words: Words, point: str, grain: str) -> str:
    """Write the name of a chart's point in the reader's language, as a table row carries it."""
    if grain == "category":
        return point
    day = date.fromisoformat(point)
    pattern = {"month": "LLLL y", "quarter": "QQQ y", "year": "y"}.get(grain)
    return words.day(day) if pattern is None else format_date(day, pattern, locale=words.locale)


def chart_value(words: Words, value: int | float | None, chart: Chart) -> str:
    """Write a chart's value in the reader's language and the chart's unit; None is a dash."""
    if value is None:
        return "–"
    if chart.unit == "money" and chart.currency:
        return words.money(Money(int(value), chart.currency))
    return words.percent(value) if chart.unit == "percent" else words.number(value)
