"""Charts as pictures: the page's own drawing, run on the server by a small JavaScript engine, as SVG and as PNG."""

from __future__ import annotations

import html
import json
import threading
from dataclasses import asdict
from datetime import date
from functools import cache
from typing import Any, Final

import dukpy
import resvg_py
from babel.dates import format_skeleton

from takings.errors import Misconfigured
from takings.money import exponent
from takings.web.built import BUILT
from takings.web.chart import Chart
from takings.words import Words

WIDTH: Final = 960
HEIGHT: Final = 480
SCALE: Final = 2
"""A PNG has so many pixels for each of the SVG's."""

_FONT: Final = "Figtree, 'DejaVu Sans', sans-serif"
_CALL: Final = "takingsDraw(dukpy.picture, (value) => call_python('axis', value))"


def svg(chart: Chart, title: str, about: str, words: Words) -> str:
    """Draw a chart as SVG, as the page shows it in light, with its title, its legend and a line about it.

    Args:
        chart: What is drawn.
        title: Stands above it.
        about: Stands below the title: days, currency, account.
        words: For the axes.

    Raises:
        Misconfigured: The front end was never built.
    """
    picture: dict[str, Any] = {
        "chart": asdict(chart)
        | {"digits": exponent(chart.currency) if chart.unit == "money" and chart.currency else 0},
        "title": title,
        "about": about,
        "width": WIDTH,
        "height": HEIGHT,
        "font": _FONT,
        "dark": False,
        "points": [_point(words, chart, point) for point in chart.points],
    }
    picture["chart"]["names"] = chart.point_names
    drawn = _engine().draw(picture, lambda value: _axis(words, chart, value))
    said = f"<title>{html.escape(title)}</title><desc>{html.escape(f'{chart.label}. {about}')}</desc>"
    head, end, rest = drawn.partition(">")
    return f'{head} role="img"{end}{said}{rest}'


def png(drawn: str, scale: float = SCALE) -> bytes:
    """Turn an SVG of ours into a PNG of twice its size; its letters come with the product, whatever fonts the machine has."""
    fonts = [str(path) for path in sorted(BUILT.glob("*.ttf"))]
    made: bytes = resvg_py.svg_to_bytes(
        svg_string=drawn, zoom=scale, font_files=fonts, skip_system_fonts=True, sans_serif_family="Figtree"
    )
    return bytes(made)


class _Engine:
    """The JavaScript engine with the drawing in it. It serves one at a time."""

    def __init__(self) -> None:
        try:
            script = (BUILT / "picture.js").read_text("utf-8")
        except OSError as error:
            raise Misconfigured(
                "web.not_built",
                "The front end was not built: install the product again (its build step makes it).",
            ) from error
        self._lock = threading.Lock()
        self._engine = dukpy.JSInterpreter()
        self._engine.evaljs(
            f"globalThis.global ??= globalThis; globalThis.setTimeout ??= () => 0; globalThis.clearTimeout ??= () => 0;\n{script};0"
        )

    def draw(self, picture: dict[str, Any], axis: Any) -> str:
        with self._lock:
            self._engine.export_function("axis", axis)
            return str(self._engine.evaljs(_CALL, picture=json.loads(json.dumps(picture))))


@cache
def _engine() -> _Engine:
    return _Engine()


def _axis(words: Words, chart: Chart, value: float) -> str:
    if chart.unit == "percent":
        return words.percent(value, 0 if abs(value) >= 0.1 or value == 0 else 1)
    return words.short(value, chart.currency if chart.unit == "money" else None)


def _point(words: Words, chart: Chart, point: str) -> str:
    if chart.grain == "category":
        return point
    skeleton = {"month": "yyMMM", "quarter": "yQQQ", "year": "y"}.get(chart.grain, "MMMd")
    return str(format_skeleton(skeleton, date.fromisoformat(point), locale=words.locale)).replace("\u202f", "\u00a0")
