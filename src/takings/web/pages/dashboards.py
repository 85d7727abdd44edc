"""The dashboards: figures of one topic with their changes, curves and tables, each leading to its explanation, and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final, Literal

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.accounts import Action
from takings.connections import Reach
from takings.errors import Misconfigured, NotFound, Unavailable
from takings.metrics import Derived, Measure
from takings.money import Money
from takings.reports import Board, Column, Curve, Dashboard, Days, Reading, Sheet
from takings.reports.board import month_of
from takings.reports.dashboards import ChartSpec, Good, GridSpec, SectionSpec, TableSpec, TileSpec
from takings.web import picture
from takings.web.chart import Chart, Series, Tone
from takings.web.context import App, FromApp, FromReader, Reader, show
from takings.web.pages.connections_reach import reach
from takings.web.pages.figures_frame import (
    Look,
    adds_up,
    applying,
    cut_name,
    drawn,
    exact,
    group_name,
    looking,
    names_of,
    shown,
    spark,
)
from takings.web.pages.policies import PATH as POLICIES
from takings.web.pages.reports_frame import Choice, Controls, controls, scope_name, span
from takings.web.pages.rows import send

_VALUES: Final = 40
#: With more points than these, a chart's bars do not lead anywhere themselves: the page stays light.
_LINKED_POINTS: Final = 62
_TONES: Final[tuple[Tone, ...]] = ("a", "b", "c", "d", "e", "f", "neutral")
_OWN_TONES: Final[Mapping[str, Tone]] = {
    "gross_volume": "gross",
    "net_volume": "net",
    "refunds": "refunds",
    "fees": "fees",
    "disputes": "e",
    "payouts": "a",
    "balance": "net",
}
_UNITS: Final[Mapping[str, Literal["money", "number", "percent"]]] = {"money": "money", "share": "percent"}
_KINDS: Final[Mapping[str, Literal["money", "number", "ratio"]]] = {"money": "money", "share": "ratio"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One dashboard on the list of them."""

    name: str
    title: str
    intro: str
    href: str


@dataclass(frozen=True, slots=True)
class DashboardsPage:
    """The list of dashboards."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterMenu:
    """A dimension to filter by.

    Attributes:
        chosen: The value filtered by now, as it is shown.
        active: Whether there is one.
    """

    cut: str
    label: str
    chosen: str
    active: bool
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTile:
    """One figure.

    Attributes:
        value: Exact: minor units, things, or a fraction; None where there is none.
        spark: Points of a small line of the period.
    """

    metric: str
    label: str
    value: str | None
    text: str
    delta: str | None
    tone: Literal["good", "bad", "quiet"]
    direction: Literal["up", "down"] | None
    before: str | None
    note: str | None
    href: str
    meaning: str
    spark: str


@dataclass(frozen=True, slots=True)
class Files:
    """Where something comes as a file.

    Attributes:
        what: What it is, in the reader's language.
        files: As (name of the form, address).
    """

    what: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ChartCard:
    """A chart, or what is said in its place."""

    title: str
    chart: Chart | None
    note: str
    files: Files | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        step: Of a heat map: how strong, 0 to 9; None: no colour.
    """

    text: str
    value: str | None
    href: str | None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class TableLine:
    """A row of a table: its name, where that leads (the same dashboard, filtered), its cells."""

    label: str
    href: str | None
    cells: tuple[Cell, ...]
    kind: Literal["group", "rest", "total"] = "group"


@dataclass(frozen=True, slots=True)
class TableCard:
    """A table, or what is said in its place.

    Attributes:
        later: Where the table comes from, if many lines have to be read for it: the page does not wait for them.
        whole: The page with every table in it, for a browser without script.
    """

    title: str
    first: str
    heads: tuple[str, ...]
    lines: tuple[TableLine, ...]
    note: str
    files: Files | None
    heat: bool = False
    later: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """What belongs together."""

    title: str
    lead: str
    tiles: tuple[FigureTile, ...]
    charts: tuple[ChartCard, ...]
    tables: tuple[TableCard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardPage:
    """One dashboard.

    Attributes:
        state: ``connect`` (no account yet), ``wait`` (nothing read yet), ``unbuilt`` (figures are being made), ``empty``
            (this business has none of it) or ``shown``; below it is only filled for the last.
        empty: What is said in the state ``empty``.
        known: The day whose knowledge is shown, for the form; empty: now.
        path: Address of this page, without choices.
        hidden: What the form of the known day sends along.
        others: The other dashboards.
        policy: The policy that figures here are under, and where it is explained; None where none has a bearing on them.
    """

    name: str
    title: str
    intro: str
    state: Literal["connect", "wait", "unbuilt", "empty", "shown"]
    others: tuple[Choice, ...]
    reaches: tuple[Reach, ...] = ()
    empty: str = ""
    path: str = ""
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    controls: Controls | None = None
    filters: tuple[FilterMenu, ...] = ()
    known: str = ""
    known_label: str = ""
    hidden: tuple[tuple[str, str], ...] = ()
    compared: str = ""
    policy: Choice | None = None
    sections: tuple[Section, ...] = ()


@get("/dashboards", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def dashboards(app: FromApp, reader: FromReader) -> Response[Any]:
    """List the dashboards."""
    entries = tuple(
        Entry(one.name, one.title[reader.locale], one.intro[reader.locale], f"/dashboards/{one.name}")
        for one in app.dashboards
    )
    return show(reader, "dashboards", DashboardsPage(entries))


@get("/dashboards/{name:str}", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def dashboard(request: Request[Any, Any, Any], app: FromApp, reader: FromReader, name: FromPath[str]) -> Response[Any]:
    """Show one dashboard."""
    given = dict(request.query_params)
    page = dashboard_page(app, reader, name, given, patient=not reader.wants_json and not given.get("whole"))
    return show(reader, "dashboard", page)


@get("/dashboard-tables/{name:str}/{item:str}", opt={"who": Action.VIEW_REPORTS}, sync_to_thread=True)
def dashboard_table(
    request: Request[Any, Any, Any], app: FromApp, reader: FromReader, name: FromPath[str], item: FromPath[str]
) -> Response[Any]:
    """Show one table of a dashboard: what the page does not wait for."""
    spec = _spec(app, name)
    look = looking(app, reader, dict(request.query_params))
    found = _items(spec).get(item)
    if look is None or not isinstance(found, TableSpec):
        raise NotFound("dashboards.no_table", "There is no such table: open the dashboard again.")
    return show(reader, "dashboard_table", _Drawing(app, reader, spec, look).table_card(item, found))


@get("/dashboards/{name:str}/{item:str}/{kind:str}", opt={"who": Action.EXPORT}, sync_to_thread=True)
def export_item(
    request: Request[Any, Any, Any],
    app: FromApp,
    reader: FromReader,
    name: FromPath[str],
    item: FromPath[str],
    kind: FromPath[str],
) -> Response[Any]:
    """Send a chart or table of a dashboard as a file: CSV, Excel, and charts also as PNG and SVG."""
    spec = _spec(app, name)
    look = looking(app, reader, dict(request.query_params))
    if look is None:
        raise NotFound("reports.no_accounts", "There is nothing to report on yet: connect a Stripe account first.")
    items = _items(spec)
    if item not in items:
        raise _no_export()
    drawing = _Drawing(app, reader, spec, look)
    found = items[item]
    if kind in ("svg", "png"):
        if not isinstance(found, ChartSpec):
            raise _no_export()
        return drawing.picture(item, found, kind)
    return send(drawing.sheet(item, found), kind)


def dashboard_page(
    app: App, reader: Reader, name: str, given: dict[str, str], *, patient: bool = False
) -> DashboardPage:
    """Put a dashboard together.

    Args:
        app: The program.
        reader: Who reads it.
        name: Which.
        given: What its address says.
        patient: Whether tables for which many lines have to be read may come later.

    Raises:
        NotFound: There is no such dashboard.
    """
    spec, words, locale = _spec(app, name), reader.words, reader.locale
    path = f"/dashboards/{name}"
    look = looking(app, reader, given)
    common: dict[str, Any] = {
        "name": name,
        "title": spec.title[locale],
        "intro": spec.intro[locale],
        "reaches": reach(app, reader.person),
        "path": path,
        "others": tuple(
            Choice(
                one.name,
                one.title[locale],
                f"/dashboards/{one.name}{look.query(only={}) if look else ''}",
                one.name == name,
            )
            for one in app.dashboards
        ),
    }
    if look is None:
        return DashboardPage(state="connect", **common)
    asked = look.frame
    common["problems"] = look.problems
    if not asked.uses:
        return DashboardPage(state="wait", **common)
    drawing = _Drawing(app, reader, spec, look, patient=patient)
    try:
        drawing.foresee()
        sections = tuple(drawing.section(at, section) for at, section in enumerate(spec.sections))
        there = any(tile.value is not None for section in sections for tile in section.tiles)
        if not there and not drawing.board.ever(spec.about):
            return DashboardPage(state="empty", empty=spec.empty[locale], **common)
        filters = drawing.filters()
        if failed := app.figures.failed(*spec.metrics):
            tables = ", ".join(f"metrics.{name}" for name in failed)
            common["problems"] = (*look.problems, words("dashboards.too_old", tables=tables))
    except Unavailable as error:
        if error.code != "metrics.unbuilt":
            raise
        return DashboardPage(state="unbuilt", **common)
    known = look.known_day
    try:
        policy = _policy(app, reader, drawing)
    except Misconfigured as error:
        policy, common["problems"] = None, (*common["problems"], words.error(error))
    return DashboardPage(
        state="shown",
        notices=_notices(look, reader),
        controls=controls(asked, path, app.reports.today(asked.zone)),
        filters=filters,
        known=known.isoformat() if known else "",
        known_label=words.day(known) if known else words("dashboards.known_now"),
        hidden=tuple(pair for pair in asked.state.pairs() if pair[0] != "known"),
        compared=words("reports.compared_with", days=span(asked.against, words)) if asked.against else "",
        policy=policy,
        sections=sections,
        **common,
    )


def _policy(app: App, reader: Reader, drawing: _Drawing) -> Choice | None:
    """Return the policy that figures of a dashboard are under; None where none has a bearing on them.

    Raises:
        Misconfigured: It is one that there is not any more.
    """
    models = {one.model for metric in drawing.spec.metrics for one in app.registry.behind(metric)}
    if not any(app.recurring.depends(model) for model in models):
        return None
    kept = app.recurring.policy
    key = "policies.changing" if app.recurring.changing(models, app.zone(), drawing.board.figures) else "policies.link"
    return Choice(kept.name, reader.words(key, policy=kept.label), POLICIES, current=False)


class _Drawing:
    """Turns the figures of one view into what a page or a file shows."""

    def __init__(self, app: App, reader: Reader, spec: Dashboard, look: Look, *, patient: bool = False) -> None:
        self._app = app
        self._patient = patient
        self._words = reader.words
        self._locale = reader.locale
        self._may_export = reader.may(Action.EXPORT)
        self.spec = spec
        self._look = look
        self._path = f"/dashboards/{spec.name}"
        self.board = Board(app.figures, app.registry, look.view)

    def foresee(self) -> None:
        """Ask at once for all that the sections and the filters will ask for."""
        with self.board.foreseeing():
            for section in self.spec.sections:
                for tile in section.tiles:
                    self.board.reading(tile.metric)
                    self.board.curves(tile.metric, None)
                for chart in section.charts:
                    for metric in chart.metrics:
                        self.board.curves(metric, chart.by)
                for table in section.tables:
                    if self._now(table):
                        self.board.table(table.by, table.metrics, table.top)
                for grid in section.grids:
                    self.board.grid(grid.metric, grid.by)
            for cut in self.spec.filters:
                self._values(cut)

    def section(self, at: int, spec: SectionSpec) -> Section:
        return Section(
            title=spec.title[self._locale],
            lead=spec.lead.get(self._locale, ""),
            tiles=tuple(self.tile(one) for one in spec.tiles),
            charts=tuple(self.chart_card(f"c{at}-{n}", one) for n, one in enumerate(spec.charts)),
            tables=(
                *(self.table_card(f"t{at}-{n}", one) for n, one in enumerate(spec.tables)),
                *(self.grid_card(f"g{at}-{n}", one) for n, one in enumerate(spec.grids)),
            ),
        )

    def tile(self, spec: TileSpec) -> FigureTile:
        words, look = self._words, self._look
        reading = self.board.reading(spec.metric)
        figure, currency = reading.figure, look.frame.currency
        value, note = reading.value, None
        if not reading.applies:
            note = words("dashboards.not_filtered")
        elif not reading.there:
            note = words("dashboards.no_lines")
        if value is None and reading.applies and adds_up(figure):
            value = Fraction(0)
        before = reading.before
        if before is None and look.frame.against and reading.applies and adds_up(figure):
            before = Fraction(0)
        curves = self.board.curves(spec.metric, None)
        delta, tone, direction = None, "quiet", None
        if look.frame.against and reading.applies:
            delta, tone, direction = self._change(reading, spec.good, value, before)
        return FigureTile(
            metric=figure.name,
            label=figure.title[self._locale],
            value=exact(reading.value),
            text="–" if not reading.applies else shown(words, figure, value, currency),
            delta=delta,
            tone=tone,  # type: ignore[arg-type]
            direction=direction,  # type: ignore[arg-type]
            before=words("reports.previous_value", value=shown(words, figure, before, currency)) if delta else None,
            note=note,
            href=look.explain(figure.name, only=applying(self._app.registry, figure.name, look.only)),
            meaning=figure.meaning[self._locale],
            spark=spark(curves[0].values) if curves else "",
        )

    def _change(
        self, reading: Reading, good: Good, value: Fraction | None, before: Fraction | None
    ) -> tuple[str, str, str | None]:
        """Return the change in words, what it means, and where the figure went; of what is negative: how much there is."""
        words = self._words
        share = reading.change
        if value is None or before is None or value == before:
            return (words.percent(0) if value is not None and value == before else words.percent(None)), "quiet", None
        tone = "quiet" if good == "none" else "good" if (value > before) == (good == "up") else "bad"
        if share is None:
            return words.percent(None), tone, None
        text = words.percent(float(round(abs(share) * 1000)) / 1000)
        return ("+" if share > 0 else "−") + text, tone, "up" if share > 0 else "down"

    def chart_card(self, item: str, spec: ChartSpec) -> ChartCard:
        title = spec.title[self._locale]
        chart = self.chart(spec)
        if chart is None:
            return ChartCard(title, None, self._nothing(spec.metrics), None)
        return ChartCard(title, chart, self._left_out(spec), self._files(item, title, pictures=True))

    def chart(self, spec: ChartSpec, *, linked: bool = True) -> Chart | None:
        """Return a chart, or None where there is nothing to draw."""
        words, frame = self._words, self._look.frame
        curves = [curve for metric in spec.metrics for curve in self.board.curves(metric, spec.by)]
        if not curves:
            return None
        names = names_of(self._app, spec.by, (curve.group for curve in curves)) if spec.by else {}
        series: list[Series] = []
        for at, curve in enumerate(curves):
            tone = _TONES[-1] if curve.rest else self._tone(spec, curve, at, len(curves))
            name = curve.figure.title[self._locale]
            if curve.rest:
                name = words("dashboards.others", n=curve.rest)
            elif spec.by:
                name = group_name(words, self._look, spec.by, curve.group, names)
            values = tuple(drawn(curve.figure, value) for value in curve.values)
            hrefs = self._hrefs(spec, curve) if linked and not curve.rest else ()
            stack = "all" if spec.stacked else None
            series.append(Series(name=name, values=values, tone=tone, shape=spec.shape, stack=stack, hrefs=hrefs))
        if len(curves) == 1 and curves[0].before:
            what = words(f"reports.compare_{frame.state.compare}").lower()
            before = [drawn(curves[0].figure, value) for value in curves[0].before]
            before += [None] * (len(self.board.buckets) - len(before))
            series.append(
                Series(
                    name=f"{series[0].name}, {what}",
                    values=tuple(before),
                    tone=series[0].tone,
                    shape="line",
                    dashed=True,
                )
            )
        unit = curves[0].figure.unit
        return Chart(
            label=f"{spec.title[self._locale]}, {frame.currency.upper()}, {span(frame.days, words)}",
            points=tuple(bucket.days.first.isoformat() for bucket in self.board.buckets),
            grain=frame.grain,
            series=tuple(series),
            unit=_UNITS.get(unit, "number"),
            currency=frame.currency if unit == "money" else None,
            point_names=() if frame.grain == "day" else tuple(frame.name_of(bucket) for bucket in self.board.buckets),
        )

    def table_card(self, item: str, spec: TableSpec) -> TableCard:
        words, look, currency = self._words, self._look, self._look.frame.currency
        title = spec.title[self._locale]
        figures = self._figures(spec)
        heads = tuple(figure.title[self._locale] for figure in figures)
        first = cut_name(words, spec.by)
        if not self._now(spec):
            files = self._files(item, title)
            later = f"/dashboard-tables/{self.spec.name}/{item}{look.query()}"
            return TableCard(title, first, heads, (), "", files, later=later, whole=self._path + look.query(whole=1))
        table = self.board.table(spec.by, spec.metrics, spec.top)
        if table is None or not table.rows:
            return TableCard(title, first, heads, (), self._nothing(spec.metrics), None)
        names = names_of(self._app, spec.by, (row.group for row in table.rows))

        def cells(values: tuple[Fraction | None, ...], only: Mapping[str, str | None] | None) -> tuple[Cell, ...]:
            return tuple(
                Cell(
                    shown(words, figure, value, currency),
                    exact(value),
                    None if only is None else look.explain(figure.name, only=only),
                )
                for figure, value in zip(figures, values, strict=True)
            )

        lines = [
            TableLine(
                group_name(words, look, spec.by, row.group, names),
                self._path + look.query(only={**look.only, spec.by: row.group}),
                cells(row.values, {**look.only, spec.by: row.group}),
            )
            for row in table.rows
        ]
        if table.left != 0:
            summed = tuple(
                Cell(shown(words, figure, value, currency), exact(value), None)
                if isinstance(figure, Measure)
                else Cell("", None, None)
                for figure, value in zip(figures, table.rest, strict=True)
            )
            others = words("dashboards.rest") if table.left is None else words("dashboards.others", n=table.left)
            lines.append(TableLine(others, None, summed, "rest"))
        lines.append(TableLine(words("dashboards.total"), None, cells(table.total, look.only), "total"))
        return TableCard(title, first, heads, tuple(lines), "", self._files(item, title))

    def grid_card(self, item: str, spec: GridSpec) -> TableCard:
        words, look, currency = self._words, self._look, self._look.frame.currency
        title, figure = spec.title[self._locale], self._app.registry.figure(spec.metric)
        found = self.board.grid(spec.metric, spec.by)
        if not found:
            return TableCard(title, cut_name(words, spec.by), (), (), self._nothing((spec.metric,)), None, heat=True)
        ages = range(max(age for row in found.values() for age in row) + 1)
        most = max((abs(value) for row in found.values() for value in row.values() if value), default=Fraction(1))
        lines = []
        for group, row in found.items():
            cohort, start = _began(group), row.get(0)
            cells = []
            for age in ages:
                value = row.get(age)
                if age not in row:
                    cells.append(Cell("", None, None))
                    continue
                whole = start if spec.share else most
                part = value / whole if value is not None and whole else None
                text = (
                    words.percent(float(part))
                    if spec.share and part is not None
                    else shown(words, figure, value, currency)
                )
                end = Days(cohort, _month_on(cohort, age + 1) - timedelta(days=1))
                href = look.explain(spec.metric, days=end, only={**look.only, spec.by: group})
                step = None if part is None else max(0, min(9, int(part * 10)))
                cells.append(Cell(text, exact(value), href, step))
            lines.append(TableLine(words.month(cohort), None, tuple(cells)))
        heads = tuple(words("dashboards.month_n", n=age) for age in ages)
        return TableCard(title, cut_name(words, spec.by), heads, tuple(lines), "", self._files(item, title), heat=True)

    def _now(self, spec: TableSpec) -> bool:
        """Tell whether a table is part of the page: the page does not wait for one that reads many lines."""
        return not self._patient or self.board.table_at_once(spec.by, spec.metrics, spec.top)

    def _values(self, cut: str) -> tuple[str | None, ...]:
        metric = next((one for one in self.spec.metrics if cut in self._app.registry.cuts(one)), None)
        return () if metric is None else self.board.values_of(metric, cut, _VALUES)

    def filters(self) -> tuple[FilterMenu, ...]:
        words, look = self._words, self._look
        menus = []
        for cut in dict.fromkeys((*self.spec.filters, *look.only)):
            values = self._values(cut) if cut in self.spec.filters else ()
            active = cut in look.only
            if active and look.only[cut] not in values:
                values = (*values, look.only[cut])
            if not values:
                continue
            names = names_of(self._app, cut, values)
            without = {name: value for name, value in look.only.items() if name != cut}
            every = Choice("", words("dashboards.every"), self._path + look.query(only=without), not active)
            menus.append(
                FilterMenu(
                    cut=cut,
                    label=cut_name(words, cut),
                    chosen=group_name(words, look, cut, look.only[cut], names) if active else words("dashboards.every"),
                    active=active,
                    choices=(
                        every,
                        *(
                            Choice(
                                value or "",
                                group_name(words, look, cut, value, names),
                                self._path + look.query(only={**without, cut: value}),
                                active and look.only[cut] == value,
                            )
                            for value in values
                        ),
                    ),
                )
            )
        return tuple(menus)

    def picture(self, item: str, spec: ChartSpec, form: str) -> Response[bytes]:
        """Return a chart as a file.

        Raises:
            NotFound: There is nothing to draw.
        """
        chart = self.chart(spec, linked=False)
        if chart is None:
            raise NotFound("dashboards.nothing_drawn", "There is nothing to draw: choose other days or filters.")
        frame, words = self._look.frame, self._words
        about = [span(frame.days, words), frame.currency.upper(), scope_name(frame.scope, words)]
        about += [menu.chosen for menu in self.filters() if menu.active]
        if self._look.known_day:
            about.append(words("dashboards.as_known", day=words.day(self._look.known_day)))
        svg = picture.svg(chart, spec.title[self._locale], " · ".join(about), words)
        body = svg.encode() if form == "svg" else picture.png(svg)
        return Response(
            content=body,
            media_type={"svg": "image/svg+xml", "png": "image/png"}[form],
            headers={
                "Content-Disposition": f'attachment; filename="{self._file(item)}.{form}"',
                "Cache-Control": "no-store",
            },
        )

    def sheet(self, item: str, spec: ChartSpec | TableSpec | GridSpec) -> Sheet:
        """Return a chart's figures, a table (whole) or a grid as a list."""
        if isinstance(spec, ChartSpec):
            columns, rows = self._chart_rows(spec)
        elif isinstance(spec, TableSpec):
            columns, rows = self._table_rows(spec)
        else:
            columns, rows = self._grid_rows(spec)
        return Sheet(
            self._file(item), tuple(columns), rows, self._look.frame.zone, self._about(spec.title[self._locale])
        )

    def _chart_rows(self, spec: ChartSpec) -> tuple[list[Column], Iterator[list[Any]]]:
        words, currency = self._words, self._look.frame.currency
        columns = [
            Column("first_day", "day", words("reports.from")),
            Column("last_day", "day", words("reports.to")),
            Column("metric", "text", words("dashboards.metric")),
            Column("group", "text", cut_name(words, spec.by) if spec.by else words("dashboards.group")),
            Column("currency", "text", words("reports.currency")),
        ]
        curves = [curve for metric in spec.metrics for curve in self.board.curves(metric, spec.by)]
        figure = self._app.registry.figure(spec.metrics[0])
        columns.append(Column("value", _KINDS.get(figure.unit, "number"), words("dashboards.value_column")))
        if any(curve.before for curve in curves):
            columns.append(Column("before", _KINDS.get(figure.unit, "number"), words("dashboards.before_column")))
        wide = len(columns) == 7

        def rows() -> Iterator[list[Any]]:
            for curve in curves:
                group = words("dashboards.others", n=curve.rest) if curve.rest else curve.group
                for at, bucket in enumerate(self.board.buckets):
                    row: list[Any] = [bucket.days.first, bucket.days.last, curve.figure.name, group, currency.upper()]
                    row.append(_cell_of(curve.figure, curve.values[at], currency))
                    if wide:
                        before = curve.before[at] if at < len(curve.before) else None
                        row.append(_cell_of(curve.figure, before, currency))
                    yield row

        return columns, rows()

    def _table_rows(self, spec: TableSpec) -> tuple[list[Column], Iterator[list[Any]]]:
        words, look, currency = self._words, self._look, self._look.frame.currency
        figures = self._figures(spec)
        table = self.board.table(spec.by, spec.metrics, None)
        groups = [row.group for row in table.rows] if table else []
        names = names_of(self._app, spec.by, groups)
        columns = [
            Column(spec.by, "text", cut_name(words, spec.by)),
            Column("name", "text", words("dashboards.name_column")),
            Column("currency", "text", words("reports.currency")),
            *(Column(one.name, _KINDS.get(one.unit, "number"), one.title[self._locale]) for one in figures),
        ]

        def rows() -> Iterator[list[Any]]:
            for row in table.rows if table else ():
                label = group_name(words, look, spec.by, row.group, names)
                cells = (_cell_of(f, value, currency) for f, value in zip(figures, row.values, strict=True))
                yield [row.group, label, currency.upper(), *cells]

        return columns, rows()

    def _grid_rows(self, spec: GridSpec) -> tuple[list[Column], Iterator[list[Any]]]:
        words, currency = self._words, self._look.frame.currency
        figure = self._app.registry.figure(spec.metric)
        columns = [
            Column(spec.by, "day", cut_name(words, spec.by)),
            Column("month", "number", words("dashboards.month_column")),
            Column("currency", "text", words("reports.currency")),
            Column(spec.metric, _KINDS.get(figure.unit, "number"), figure.title[self._locale]),
        ]
        found = self.board.grid(spec.metric, spec.by)
        rows = (
            [_began(group), age, currency.upper(), _cell_of(figure, value, currency)]
            for group, row in found.items()
            for age, value in sorted(row.items())
        )
        return columns, rows

    def _figures(self, spec: TableSpec) -> list[Measure | Derived]:
        return [self._app.registry.figure(name) for name in spec.metrics]

    def _tone(self, spec: ChartSpec, curve: Curve, at: int, among: int) -> Tone:
        if spec.by is None and (among == 1 or curve.figure.name in _OWN_TONES):
            return _OWN_TONES.get(curve.figure.name, "a")
        return _TONES[at % (len(_TONES) - 1)]

    def _hrefs(self, spec: ChartSpec, curve: Curve) -> tuple[str | None, ...]:
        if len(self.board.buckets) > _LINKED_POINTS:
            return ()
        look = self._look
        only = {**look.only, spec.by: curve.group} if spec.by else look.only
        return tuple(
            look.explain(curve.figure.name, days=bucket.days, only=only) if value is not None else None
            for bucket, value in zip(self.board.buckets, curve.values, strict=True)
        )

    def _nothing(self, metrics: tuple[str, ...]) -> str:
        if not all(self.board.applies(metric) for metric in metrics):
            return self._words("dashboards.not_filtered")
        return self._words("dashboards.nothing")

    def _left_out(self, spec: ChartSpec) -> str:
        missing = [name for name in spec.metrics if not self.board.applies(name)]
        return self._words("dashboards.not_filtered") if missing else ""

    def _files(self, item: str, what: str, *, pictures: bool = False) -> Files | None:
        if not self._may_export:
            return None
        words, query = self._words, self._look.query()
        forms = [("csv", words("reports.export_csv")), ("excel", words("reports.export_excel"))]
        forms += [("png", "PNG"), ("svg", "SVG")] if pictures else []
        return Files(what, tuple((name, f"{self._path}/{item}/{form}{query}") for form, name in forms))

    def _file(self, item: str) -> str:
        frame = self._look.frame
        days = f"{frame.days.first.isoformat()}-{frame.days.last.isoformat()}"
        return f"takings-{self.spec.name}-{item}-{frame.currency}-{days}"

    def _about(self, title: str) -> tuple[tuple[str, str], ...]:
        words, frame = self._words, self._look.frame
        known = words.day(self._look.known_day) if self._look.known_day else words("dashboards.known_now")
        return (
            (self.spec.title[self._locale], title),
            (words("reports.about_period"), f"{frame.days.first.isoformat()} – {frame.days.last.isoformat()}"),
            (words("reports.about_zone"), frame.zone),
            (words("reports.about_currency"), frame.currency.upper()),
            (words("reports.about_account"), ", ".join(frame.scope.accounts)),
            (words("dashboards.known_label"), known),
            *((menu.label, menu.chosen) for menu in self.filters() if menu.active),
            (words("reports.about_made"), frame.now.isoformat()),
        )


def _cell_of(figure: Measure | Derived, value: Fraction | None, currency: str) -> Any:
    if value is None:
        return None
    if figure.unit == "money":
        return Money(round(value), currency)
    return round(value) if figure.unit == "count" else float(value)


def _began(group: str) -> date:
    """Return the first day of a cohort's month."""
    found = month_of(group)
    assert found is not None, group
    return found


def _month_on(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, 1)


def _items(spec: Dashboard) -> dict[str, ChartSpec | TableSpec | GridSpec]:
    """Return what can be exported, by its name in addresses."""
    found: dict[str, ChartSpec | TableSpec | GridSpec] = {}
    for at, section in enumerate(spec.sections):
        found |= {f"c{at}-{n}": one for n, one in enumerate(section.charts)}
        found |= {f"t{at}-{n}": one for n, one in enumerate(section.tables)}
        found |= {f"g{at}-{n}": one for n, one in enumerate(section.grids)}
    return found


def _spec(app: App, name: str) -> Dashboard:
    found = next((one for one in app.dashboards if one.name == name), None)
    if found is None:
        raise NotFound("dashboards.none", "There is no such dashboard: choose one from the list.")
    return found


def _no_export() -> NotFound:
    return NotFound("reports.no_export", "There is no such export: use the buttons of the page.")


def _notices(look: Look, reader: Reader) -> tuple[str, ...]:
    words, asked = reader.words, look.frame
    found = []
    if not asked.scope.livemode:
        found.append(words("reports.test_data"))
    if asked.coarser:
        found.append(words("reports.grain_coarser"))
    if look.known_day is not None:
        found.append(words("dashboards.as_known", day=words.day(look.known_day)))
    return tuple(found)


routes = [dashboards, dashboard, dashboard_table, export_item]
