"""The dashboards: one TOML file each, checked against the figures there are before anything is shown."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, Literal, get_args

from takings.errors import NotFound
from takings.metrics import Derived, Measure, Registry

Good = Literal["up", "down", "none"]
"""Which way of a figure is good news."""

Shape = Literal["bar", "line", "area"]

MOST_ROWS: Final = 50


class BadDashboard(Exception):
    """A dashboard's file is not as it must be; the text names file and reason."""


@dataclass(frozen=True, slots=True)
class TileSpec:
    """One figure with its change.

    Attributes:
        metric: Its name.
        good: Which way is good news.
    """

    metric: str
    good: Good


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """Figures over time.

    Attributes:
        title: By language.
        metrics: Names of the figures, of one unit.
        by: What the one figure is cut by; None: not cut.
        shape: How it is drawn.
        stacked: Whether series stand on each other.
    """

    title: dict[str, str]
    metrics: tuple[str, ...]
    by: str | None
    shape: Shape
    stacked: bool


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Figures by the values of a dimension, the largest first.

    Attributes:
        title: By language.
        by: The dimension.
        metrics: Names of the figures; the first gives the order.
        top: How many rows are shown.
    """

    title: dict[str, str]
    by: str
    metrics: tuple[str, ...]
    top: int


@dataclass(frozen=True, slots=True)
class GridSpec:
    """A figure by cohort and by month since the cohort began: a heat map.

    Attributes:
        title: By language.
        metric: Name of the figure; what stands at a moment.
        by: The dimension whose values are first days of months.
        share: Whether cells are shares of the cohort's first month.
    """

    title: dict[str, str]
    metric: str
    by: str
    share: bool


@dataclass(frozen=True, slots=True)
class SectionSpec:
    """What belongs together; ``lead``: a sentence on it by language, none where there is nothing to say."""

    title: dict[str, str]
    lead: dict[str, str]
    tiles: tuple[TileSpec, ...]
    charts: tuple[ChartSpec, ...]
    tables: tuple[TableSpec, ...]
    grids: tuple[GridSpec, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard, as its file says.

    Attributes:
        name: The file's name without its ending.
        position: Its place among the others.
        title: By language.
        intro: What it shows, by language.
        empty: What it would show, and why there is nothing, by language.
        about: Name of the figure without a line of which the dashboard is empty.
        filters: Dimensions that the page offers to filter by.
    """

    name: str
    position: int
    title: dict[str, str]
    intro: dict[str, str]
    empty: dict[str, str]
    about: str
    filters: tuple[str, ...]
    sections: tuple[SectionSpec, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all figures on it, each once."""
        found: list[str] = [self.about]
        for section in self.sections:
            found += [tile.metric for tile in section.tiles] + [grid.metric for grid in section.grids]
            found += [name for chart in section.charts for name in chart.metrics]
            found += [name for table in section.tables for name in table.metrics]
        return tuple(dict.fromkeys(found))

    @classmethod
    def read(cls, name: str, text: str, registry: Registry) -> Dashboard:
        """Read a file and check it against the figures there are.

        Raises:
            BadDashboard: A key is missing or unknown, or a figure or dimension is not there.
        """
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise BadDashboard(f"{name}: it is no TOML: {error}") from error
        reading = _Reading(name, registry)
        return reading.dashboard(given)


def load(registry: Registry) -> tuple[Dashboard, ...]:
    """Read every dashboard, in their order.

    Raises:
        BadDashboard: See :meth:`Dashboard.read`; or two have one position.
    """
    folder = resources.files(__name__)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    found = [Dashboard.read(file.name.removesuffix(".toml"), file.read_text("utf-8"), registry) for file in files]
    if len({one.position for one in found}) < len(found):
        raise BadDashboard("Two dashboards have the same position.")
    return tuple(sorted(found, key=lambda one: one.position))


class _Reading:
    """Reads one file."""

    def __init__(self, name: str, registry: Registry) -> None:
        self._name = name
        self._registry = registry

    def dashboard(self, given: dict[str, Any]) -> Dashboard:
        keys = ("position", "title", "intro", "empty", "about", "filters", "sections")
        self._only(given, keys)
        made = Dashboard(
            name=self._name,
            position=self._of(given, "position", int),
            title=self._both(given, "title"),
            intro=self._both(given, "intro"),
            empty=self._both(given, "empty"),
            about=self._figure(self._of(given, "about", str)).name,
            filters=tuple(given.get("filters", ())),
            sections=tuple(self._section(one) for one in self._of(given, "sections", list)),
        )
        for cut in made.filters:
            if not any(cut in self._registry.cuts(metric) for metric in made.metrics):
                raise BadDashboard(f"{self._name}: no figure on it can be filtered by {cut}")
        return made

    def _section(self, given: dict[str, Any]) -> SectionSpec:
        self._only(given, ("title", "lead", "tiles", "charts", "tables", "grids"))
        return SectionSpec(
            title=self._both(given, "title"),
            lead=self._both(given, "lead") if "lead" in given else {},
            tiles=tuple(self._tile(one) for one in given.get("tiles", ())),
            charts=tuple(self._chart(one) for one in given.get("charts", ())),
            tables=tuple(self._table(one) for one in given.get("tables", ())),
            grids=tuple(self._grid(one) for one in given.get("grids", ())),
        )

    def _tile(self, given: str | dict[str, Any]) -> TileSpec:
        if isinstance(given, str):
            given = {"metric": given}
        self._only(given, ("metric", "good"))
        good = given.get("good", "up")
        if good not in get_args(Good):
            raise BadDashboard(f"{self._name}: good is {good!r}")
        return TileSpec(self._figure(self._of(given, "metric", str)).name, good)

    def _chart(self, given: dict[str, Any]) -> ChartSpec:
        self._only(given, ("title", "metrics", "by", "shape", "stacked"))
        figures = [self._figure(name) for name in self._of(given, "metrics", list)]
        by = given.get("by")
        if len({figure.unit for figure in figures}) > 1:
            raise BadDashboard(f"{self._name}: a chart has figures of several units")
        if by is not None:
            if len(figures) > 1:
                raise BadDashboard(f"{self._name}: a chart that is cut has one figure")
            self._cut(figures[0], by)
        flows = all(isinstance(figure, Measure) and figure.sum == "flow" for figure in figures)
        shape = given.get("shape", "bar" if flows else "area" if by and isinstance(figures[0], Measure) else "line")
        if shape not in get_args(Shape):
            raise BadDashboard(f"{self._name}: a chart's shape is {shape!r}")
        summed = all(isinstance(figure, Measure) for figure in figures)
        stacked = bool(given.get("stacked", summed and (shape == "bar" or by is not None)))
        if stacked and not summed:
            raise BadDashboard(f"{self._name}: what is derived is not stacked: it does not add up")
        return ChartSpec(self._both(given, "title"), tuple(one.name for one in figures), by, shape, stacked)

    def _table(self, given: dict[str, Any]) -> TableSpec:
        self._only(given, ("title", "by", "metrics", "top"))
        by, top = self._of(given, "by", str), given.get("top", 10)
        figures = [self._figure(name) for name in self._of(given, "metrics", list)]
        for figure in figures:
            self._cut(figure, by)
        if not isinstance(top, int) or not 0 < top <= MOST_ROWS:
            raise BadDashboard(f"{self._name}: a table shows 1 to {MOST_ROWS} rows, and not {top!r}")
        return TableSpec(self._both(given, "title"), by, tuple(one.name for one in figures), top)

    def _grid(self, given: dict[str, Any]) -> GridSpec:
        self._only(given, ("title", "metric", "by", "share"))
        figure, by = self._figure(self._of(given, "metric", str)), self._of(given, "by", str)
        self._cut(figure, by)
        return GridSpec(self._both(given, "title"), figure.name, by, bool(given.get("share", False)))

    def _figure(self, name: str) -> Measure | Derived:
        try:
            return self._registry.figure(name)
        except NotFound as error:
            raise BadDashboard(f"{self._name}: there is no figure called {name}") from error

    def _cut(self, figure: Measure | Derived, by: str) -> None:
        if by not in self._registry.cuts(figure.name):
            raise BadDashboard(f"{self._name}: {figure.name} cannot be cut by {by}")

    def _of(self, given: dict[str, Any], key: str, kind: type) -> Any:
        value = given.get(key)
        if not isinstance(value, kind) or not value:
            raise BadDashboard(f"{self._name}: it lacks {key}")
        return value

    def _both(self, given: dict[str, Any], key: str) -> dict[str, str]:
        said = self._of(given, key, dict)
        if set(said) != {"en", "fr"} or not all(isinstance(text, str) and text for text in said.values()):
            raise BadDashboard(f"{self._name}: {key} is wanted in en and fr")
        return dict(said)

    def _only(self, given: dict[str, Any], keys: tuple[str, ...]) -> None:
        if unknown := sorted(set(given) - set(keys)):
            raise BadDashboard(f"{self._name}: it has {unknown}, which mean nothing")
