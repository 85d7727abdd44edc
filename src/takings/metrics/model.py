"""A model: one SQL file with a header that says what it is, what it needs, and what its figures mean."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Kind = Literal["staging", "lines"]
"""``staging``: Stripe's objects as columns, in the engine's own SQL. ``lines``: signed contributions, in portable SQL."""

Sum = Literal["flow", "stock"]
"""``flow``: what a period brought. ``stock``: what stands at a moment, the sum of all that came before it."""

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
currency, and the Stripe object (its table and id) that made it."""

_HEADER: Final = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.S)
_READS: Final = re.compile(r"\b(stripe|metrics)\.([a-z_0-9]+)")
_PARAMETER: Final = re.compile(r"\$([a-z_]+)")


class BadModel(Exception):
    """A model file is not as it must be; the text names file and reason."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure: a sum of lines.

    Attributes:
        name: As it is asked for, such as ``gross_volume``.
        model: Name of the model whose lines it sums.
        title: By language.
        meaning: By language.
        sum: Over a period, or up to a moment.
        parts: Which parts of the lines count; empty for all.
        utc: Whether its days are those of UTC, as Stripe's balance reports have them, or of the reporting zone.
        source: Where the definition comes from.
    """

    name: str
    model: str
    title: dict[str, str]
    meaning: dict[str, str]
    sum: Sum
    parts: tuple[str, ...]
    utc: bool
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
        sql: The statement without the header.
        parameters: Names of the values it takes.
    """

    name: str
    kind: Kind
    meaning: dict[str, str]
    grain: tuple[str, ...]
    dimensions: tuple[str, ...]
    needs: tuple[str, ...]
    measures: tuple[Measure, ...]
    sql: str
    parameters: frozenset[str]

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
        if (kind == "lines") != bool(measures):
            raise BadModel(f"{name}: lines have measures, and nothing else has")
        return cls(
            name=name,
            kind=kind,
            meaning=_both(name, header, "meaning"),
            grain=tuple(_wanted(name, header, "grain", list)),
            dimensions=tuple(header.get("dimensions", ())),
            needs=needs,
            measures=measures,
            sql=sql,
            parameters=frozenset(_PARAMETER.findall(sql)),
        )

    @property
    def table(self) -> str:
        """Qualified name of the table it fills."""
        return f"metrics.{self.name}"


def _measure(model: str, name: str, table: dict[str, Any]) -> Measure:
    where = f"{model}, measure {name}"
    total = _wanted(where, table, "sum", str)
    if total not in get_args(Sum):
        raise BadModel(f"{where}: its sum is {total!r}")
    return Measure(
        name=name,
        model=model,
        title=_both(where, table, "title"),
        meaning=_both(where, table, "meaning"),
        sum=total,
        parts=tuple(table.get("parts", ())),
        utc=bool(table.get("utc", False)),
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
