"""A model: one SQL file with a header that says what it is, what it needs, and what its figures mean."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Kind = Literal["staging", "lines", "windows"]
"""``staging``: Stripe's objects as columns, in the engine's own SQL. ``lines``: signed contributions, in portable SQL.
``windows``: the same made of other models' lines, anew for each period that is asked for, since they cannot be had by adding
up days: the SQL reads the periods as ``JOIN windows AS w``, with the first day (``since``) and the day after the last
(``until``)."""

Sum = Literal["flow", "stock", "window"]
"""``flow``: what a period brought. ``stock``: what stands at a moment, the sum of all that came before it. ``window``: what
became of something over a period, which is not what became of it over the period's parts, added up."""

Unit = Literal["money", "count", "share", "days", "number"]
"""``money``: minor units of the currency. ``count``: whole things. ``share``: a part of one. Measures are money or counts."""

LINE_COLUMNS: Final = (
    "id",
    "account",
    "livemode",
    "currency",
    "at",
    "day",
    "day_utc",
    "part",
    "amount",
    "object",
    "source",
)
"""What every line has: its id within the model, whose it is, when, which part of the whole, how much in minor units of the
currency (or how many), and the Stripe object (its table and id) that made it."""

KNOWN_AT: Final = "known_at"
"""The column that the builder adds to lines: since when a line has been known as it is."""

SPAN: Final = ("since_s", "until_s")
"""Columns of models whose lines may accrue over a span of time."""

MANY: Final = frozenset(
    ("customer", "subscription", "invoice", "entry", "line", "document", "product", "price", "slot")
)
"""Dimensions that may have as many values as there are lines."""

_HEADER: Final = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.S)
_READS: Final = re.compile(r"\b(raw|stripe|metrics)\.([a-z_0-9]+)")
WINDOWS: Final = re.compile(r"\bJOIN windows AS w\b")
"""What the SQL of a model of windows reads its periods from."""

_PARAMETER: Final = re.compile(r"\$([a-z_]+)")


class BadModel(Exception):
    """A model file is not as it must be; the text names file and reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A figure: a sum of lines.

    Attributes:
        name: As it is asked for, such as ``gross_volume``.
        model: Name of the model whose lines it sums.
        title: By language.
        meaning: By language.
        sum: Over a period, or up to a moment.
        unit: ``money``, or ``count`` where lines are things instead of amounts.
        parts: Which parts of the lines count; empty for all.
        utc: Whether its days are those of UTC, as Stripe's balance reports have them, or of the reporting zone.
        trailing: Of windows: so many months, ending with each period that is asked for; 0: the period itself.
        source: Where the definition comes from.
    """

    name: str
    model: str
    title: dict[str, str]
    meaning: dict[str, str]
    sum: Sum
    unit: Unit
    parts: tuple[str, ...]
    utc: bool
    source: str
    trailing: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """A figure made of others: ``over`` times ``times``, divided by ``under``; an exact fraction.

    Attributes:
        name: As it is asked for, such as ``arr``.
        title: By language.
        meaning: By language.
        unit: Of the result.
        over: Name of a measure or of another derived figure.
        under: Likewise; None for a mere multiple. Where it is 0 there is no figure.
        times: A whole number multiplied in; negative where the sign is turned.
        days: Whether the days of the period are multiplied in, too: there is no figure without a start and an end then.
        under_at: Whether a stock below the line is taken at the end of the period, or at its start.
        source: Where the definition comes from.
    """

    name: str
    title: dict[str, str]
    meaning: dict[str, str]
    unit: Unit
    over: str
    under: str | None
    times: int
    days: bool
    under_at: Literal["start", "end"]
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """One file.

    Attributes:
        name: The file's name without its ending; the table in schema ``metrics``.
        kind: See :data:`Kind`.
        meaning: By language.
        grain: Columns that no two rows share.
        dimensions: Further columns that figures may be cut by.
        needs: Tables it reads, such as ``stripe.charges``.
        measures: Figures that are sums of its lines.
        derived: Figures made of measures, of this model or of others.
        spread: Whether lines may stand for a span of time that their amount accrues over evenly: from ``since_s`` to
            ``until_s``, seconds since 1970, both empty in lines that fall at once. They reach into the future.
        sql: The statement without the header.
        parameters: Names of the values it takes.
        through: Name of a step of :data:`takings.metrics.steps.STEPS` that turns the SQL's answer into the table's rows, where SQL
            cannot say it exactly; empty where the answer is the table.
    """

    name: str
    kind: Kind
    meaning: dict[str, str]
    grain: tuple[str, ...]
    dimensions: tuple[str, ...]
    needs: tuple[str, ...]
    measures: tuple[Measure, ...]
    derived: tuple[Derived, ...]
    spread: bool
    sql: str
    parameters: frozenset[str]
    through: str = ""

    @classmethod
    def read(cls, name: str, text: str) -> Model:
        """Read a file.

        Raises:
            BadModel: The header is missing, incomplete, or says other than what the SQL does.
        """
        found = _HEADER.match(text)
        if found is None:
            raise BadModel(f"{name}: it does not begin with a header between /* and */")
        try:
            header = tomllib.loads(found[1])
        except tomllib.TOMLDecodeError as error:
            raise BadModel(f"{name}: its header is no TOML: {error}") from error
        sql = text[found.end() :].strip()
        needs = tuple(_wanted(name, header, "needs", list))
        reads = {f"{schema}.{table}" for schema, table in _READS.findall(sql)}
        if set(needs) != reads:
            raise BadModel(f"{name}: it says that it needs {sorted(needs)}, and reads {sorted(reads)}")
        kind = _wanted(name, header, "kind", str)
        if kind not in get_args(Kind):
            raise BadModel(f"{name}: its kind is {kind!r}")
        measures = tuple(_measure(name, key, table) for key, table in header.get("measures", {}).items())
        if (kind != "staging") != bool(measures):
            raise BadModel(f"{name}: lines and windows have measures, and nothing else has")
        if (kind == "windows") != bool(WINDOWS.search(sql)):
            raise BadModel(f"{name}: a model of windows reads JOIN windows AS w, and no other does")
        if any((kind == "windows") != (measure.sum == "window") for measure in measures):
            raise BadModel(f"{name}: measures of windows, and no other, have window as their sum")
        if kind != "windows" and any(measure.trailing for measure in measures):
            raise BadModel(f"{name}: only measures of windows are trailing")
        return cls(
            name=name,
            kind=kind,
            meaning=_both(name, header, "meaning"),
            grain=tuple(_wanted(name, header, "grain", list)),
            dimensions=tuple(header.get("dimensions", ())),
            needs=needs,
            measures=measures,
            derived=tuple(_derived(name, key, table) for key, table in header.get("derived", {}).items()),
            spread=bool(header.get("spread", False)),
            sql=sql,
            parameters=frozenset(_PARAMETER.findall(sql)),
            through=str(header.get("through", "")),
        )

    @property
    def table(self) -> str:
        """Qualified name of the table it fills."""
        return f"metrics.{self.name}"

    def renamed(self, sql: str, table: str) -> str:
        """Return SQL that reads this model from another table."""
        return re.sub(rf"\b{re.escape(self.table)}\b", table, sql)

    @property
    def rolled(self) -> tuple[str, ...]:
        """The dimensions by which sums of its lines are kept (:mod:`takings.metrics.rolling`)."""
        return tuple(name for name in self.dimensions if name not in MANY)

    @property
    def past(self) -> str:
        """Qualified name of the table that keeps lines as they were known before."""
        return f"metrics.{self.name}_past"


def _measure(model: str, name: str, table: dict[str, Any]) -> Measure:
    where = f"{model}, measure {name}"
    total = _wanted(where, table, "sum", str)
    if total not in get_args(Sum):
        raise BadModel(f"{where}: its sum is {total!r}")
    unit = table.get("unit", "money")
    if unit not in ("money", "count"):
        raise BadModel(f"{where}: its unit is {unit!r}")
    return Measure(
        name=name,
        model=model,
        title=_both(where, table, "title"),
        meaning=_both(where, table, "meaning"),
        sum=total,
        unit=unit,
        parts=tuple(table.get("parts", ())),
        utc=bool(table.get("utc", False)),
        source=_wanted(where, table, "source", str),
        trailing=int(table.get("trailing", 0)),
    )


def _derived(model: str, name: str, table: dict[str, Any]) -> Derived:
    where = f"{model}, derived {name}"
    unit = _wanted(where, table, "unit", str)
    if unit not in get_args(Unit):
        raise BadModel(f"{where}: its unit is {unit!r}")
    under_at = table.get("under_at", "end")
    if under_at not in ("start", "end"):
        raise BadModel(f"{where}: under_at is {under_at!r}")
    times = table.get("times", 1)
    return Derived(
        name=name,
        title=_both(where, table, "title"),
        meaning=_both(where, table, "meaning"),
        unit=unit,
        over=_wanted(where, table, "over", str),
        under=table.get("under"),
        times=(1 if times == "days" else int(times)) * (-1 if table.get("flip") else 1),
        days=times == "days",
        under_at=under_at,
        source=_wanted(where, table, "source", str),
    )


def _wanted(where: str, table: dict[str, Any], key: str, kind: type) -> Any:
    value = table.get(key)
    if not isinstance(value, kind) or not value:
        raise BadModel(f"{where}: its header lacks {key}")
    return value


def _both(where: str, table: dict[str, Any], key: str) -> dict[str, str]:
    said = _wanted(where, table, key, dict)
    if set(said) != {"en", "fr"} or not all(isinstance(text, str) and text for text in said.values()):
        raise BadModel(f"{where}: {key} is wanted in en and fr")
    return dict(said)
