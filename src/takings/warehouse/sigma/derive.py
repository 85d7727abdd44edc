"""Derives the mapping: every Sigma column is looked up in the SDK's classes or in the overlay, or gets a reason."""

from __future__ import annotations

import csv
import fnmatch
import json
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from takings.catalog import Catalog
from takings.catalog.annotations import Type
from takings.catalog.model import Resource
from takings.catalog.source import Class, Sdk
from takings.warehouse.sigma.model import Column, Mapping, Table
from takings.warehouse.sigma.paths import Place, at, find
from takings.warehouse.tables import BRIDGE, quote
from takings.warehouse.tables import Table as Typed

SCHEMA = Path(__file__).with_name("schema.tsv")
OVERLAY = Path(__file__).with_name("overlay.toml")

_META = {"key": "m.entry.key", "value": "m.entry.value"}


class BadOverlay(ValueError):
    """The overlay speaks of what Sigma or Stripe does not have; the text says of what."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column as Sigma has it."""

    name: str
    type: str
    key: bool


def schema() -> dict[str, list[Wanted]]:
    """Return Sigma's tables and their columns, as its documentation lists them."""
    found: dict[str, list[Wanted]] = defaultdict(list)
    with SCHEMA.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["table"]].append(Wanted(row["column"], row["type"], row["primary_key"] == "1"))
    return dict(found)


def derive(catalog: Catalog, sdk: Sdk) -> Mapping:
    """Return the mapping.

    Raises:
        BadOverlay: An entry of the overlay names a table, column or path that is not there.
    """
    overlay = tomllib.loads(OVERLAY.read_text(encoding="utf-8"))
    wanted = schema()
    if unknown := (set(overlay["tables"]) | set(overlay["unavailable"])) - set(wanted):
        raise BadOverlay(f"Sigma has no such tables: {sorted(unknown)}")
    tables = {name: _table(name, columns, overlay, catalog, sdk) for name, columns in sorted(wanted.items())}
    return Mapping(api_version=catalog.api_version, tables=tables)


def _table(name: str, columns: list[Wanted], overlay: dict[str, Any], catalog: Catalog, sdk: Sdk) -> Table:
    if name in overlay["unavailable"]:
        why = str(overlay["unavailable"][name])
        lacking = {one.name: Column(type=one.type, key=one.key, why=why) for one in columns}
        return Table(columns=lacking, why=why)
    entry = overlay["tables"].get(name, {})
    if "copy" in entry:
        entry = {"from": entry["copy"], **overlay["tables"][entry["copy"]], **entry}
    parts = [Part.read(name, entry, catalog, sdk)]
    parts += [Part.read(name, more, catalog, sdk) for more in entry.get("united", [])]
    found: dict[str, Column] = {}
    for one in columns:
        each = [part.column(one) for part in parts]
        if any(each):
            sql = tuple(value or "NULL" for value in each)
            joined = any(one.name in part.joined for part in parts)
            found[one.name] = Column(type=one.type, key=one.key, sql=sql, joined=joined)
        else:
            found[one.name] = Column(type=one.type, key=one.key, why=_why(one.name, entry, overlay))
    for part in parts:
        if part.unused:
            raise BadOverlay(f"{name}: Sigma has no such columns: {sorted(part.unused)}")
    return Table(
        columns=found,
        parts=tuple(part.source for part in parts),
        joins=tuple(part.joins for part in parts) if any(part.joins for part in parts) else (),
        reads=tuple(dict.fromkeys(table for part in parts for table in part.reads)),
        deleted=bool(entry.get("deleted")),
        note=entry.get("note", ""),
    )


def _why(column: str, entry: dict[str, Any], overlay: dict[str, Any]) -> str:
    for known in (entry.get("lacking", {}), overlay["lacking"]):
        for pattern, why in known.items():
            if fnmatch.fnmatchcase(column, pattern):
                return str(why)
    return "absent"


@dataclass(slots=True)
class Part:
    """One source of a Sigma table: a typed table, or the elements of an array or a mapping inside its rows."""

    resource: Resource
    #: Classes that names are looked up in first (those of an element, where there are elements).
    classes: tuple[Class, ...]
    #: Expression of the JSON that those names are in; empty: the typed columns of the table.
    inside: str
    #: Classes of the table's own objects.
    owner: tuple[Class, ...]
    source: str
    roots: dict[str, list[str]]
    columns: dict[str, Any]
    joined: dict[str, str]
    joins: str
    reads: tuple[str, ...]
    metadata: bool
    sdk_missing: frozenset[str]
    unused: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, name: str, entry: dict[str, Any], catalog: Catalog, sdk: Sdk) -> Part:
        """Read a part from the overlay, with what goes without saying filled in.

        Raises:
            BadOverlay: It speaks of what the catalogue or the SDK does not have.
        """
        base = name.removesuffix("_metadata")
        metadata = base != name
        table = entry.get("from") or next((one for one in (base, f"{base}s") if one in catalog.resources), "")
        resource = catalog.resources.get(table)
        if resource is None:
            raise BadOverlay(f"{name}: there is no table “{table}” to take it from")
        if not catalog.for_table(table) and not any(
            nested.table == table and (nested.always or nested.expand)
            for other in catalog.resources.values()
            for nested in other.nested
        ):
            raise BadOverlay(f"{name}: nothing lists {table}")
        owner = tuple(found for dotted in (resource.sdk, *resource.sdk_also) if (found := sdk.cls(dotted)))
        source, classes, inside = f"warehouse.stripe.{quote(table)} AS t", owner, ""
        each = [entry["each"]] if isinstance(entry.get("each"), str) else list(entry.get("each", []))
        for number, path in enumerate(each):
            place = _must(at(classes, path), name, path)
            classes = place.type.classes
            array = _json(inside, place.steps)
            inside = "e.item" if number == len(each) - 1 else f"e{number}.item"
            source += f", unnest(from_json({array}, '[\"JSON\"]')) AS {inside.partition('.')[0]}(item)"
        if metadata:
            place = _must(at(classes, "metadata"), name, "metadata")
            source += f", unnest(map_entries(from_json({_json(inside, place.steps)}, '\"MAP(VARCHAR,VARCHAR)\"'))) AS m(entry)"
        if "where" in entry:
            source += f" WHERE {entry['where']}"
        joined = dict(entry.get("joined", {}))
        part = cls(
            resource=resource,
            classes=classes,
            inside=inside,
            owner=owner,
            source=source,
            roots={key: [value] if isinstance(value, str) else value for key, value in entry.get("roots", {}).items()},
            columns=dict(entry.get("columns", {})),
            joined=joined,
            joins=" ".join(entry.get("joins", "").split()),
            reads=(table, *entry.get("reads", ())),
            metadata=metadata,
            sdk_missing=frozenset(entry.get("lacking", {})),
        )
        if unknown := set(part.reads) - {*catalog.resources, BRIDGE.table}:
            raise BadOverlay(f"{name}: there are no tables {sorted(unknown)}")
        part.unused = set(part.columns) | set(joined)
        return part

    def column(self, wanted: Wanted) -> str | None:
        """Return the expression of a column; None when this part does not have it."""
        name = wanted.name
        self.unused.discard(name)
        if name in self.joined:
            return self.joined[name]
        if name in self.columns:
            given = self.columns[name]
            if isinstance(given, str) and given.startswith("="):
                return given.removeprefix("=").strip()
            paths = [given] if isinstance(given, str) else given
            return _coalesced([self._at(path, wanted) for path in paths])
        if name == "batch_timestamp":
            return "t._synced_at AT TIME ZONE 'UTC'"
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.sdk_missing):
            return None
        if (self.inside or self.metadata) and name.removesuffix("_id") in self._owners:
            return "t.id"
        if self.metadata and name in _META:
            return _META[name]
        for prefix, roots in self.roots.items():
            if not prefix or name.startswith(f"{prefix}_"):
                rest = name.removeprefix(f"{prefix}_") if prefix else name
                values = []
                for root in roots:
                    place = _must(at(self.classes, root), name, root)
                    below = find(place.type.classes, rest)
                    if below is not None:
                        value = self._value(Place((*place.steps, *below.steps), below.type), wanted, self.inside)
                        values += [value] if value else []
                if values:
                    return _coalesced(values)
        below = find(self.classes, name)
        return self._value(below, wanted, self.inside) if below else None

    @property
    def _owners(self) -> frozenset[str]:
        """What Sigma may call the object that an element or its metadata belongs to."""
        whole = self.resource.object.replace(".", "_")
        return frozenset((whole, self.resource.object.rpartition(".")[2], self.resource.table.removesuffix("s")))

    def _at(self, path: str, wanted: Wanted) -> str:
        """Return the expression of a path that the overlay names; one that begins with a dot counts from the owner."""
        classes, inside = (self.owner, "") if path.startswith(".") else (self.classes, self.inside)
        place = _must(at(classes, path.removeprefix(".")), wanted.name, path)
        value = self._value(place, wanted, inside)
        if value is None:
            raise BadOverlay(f"{wanted.name}: {path} holds no {wanted.type}")
        return value

    def _value(self, place: Place, wanted: Wanted, inside: str) -> str | None:
        if not _fits(place.type, wanted.type):
            return None
        if not inside and len(place.steps) == 1:
            return self._typed(place.steps[0], wanted.type)
        path, below = (place.steps, "") if inside else (place.steps[1:], f"t.{quote(place.steps[0])}")
        holder = inside or below
        if place.type.many or place.type.mapping:
            return f"nullif(CAST(json_extract({holder}, {_path(path)}) AS VARCHAR), 'null')"
        text = f"json_extract_string({holder}, {_path(path)})"
        if place.type.expandable:
            text = f"coalesce(json_extract_string({holder}, {_path((*path, 'id'))}), {text})"
        if wanted.type == "timestamp":
            return f"make_timestamp(CAST({text} AS BIGINT) * 1000000)"
        return text

    def _typed(self, column: str, kind: str) -> str | None:
        """Return the expression of a typed column as one of Sigma's types."""
        types = dict(Typed(self.resource).columns)
        if column not in types:
            return None
        name, has = f"t.{quote(column)}", types[column]
        match has, kind:
            case "TIMESTAMP WITH TIME ZONE", "timestamp":
                return f"{name} AT TIME ZONE 'UTC'"
            case "TIMESTAMP WITH TIME ZONE", "bigint" | "double":
                return f"epoch({name})"
            case "TIMESTAMP WITH TIME ZONE", _:
                return None
            case "JSON", "varchar":
                return f"CAST({name} AS VARCHAR)"
            case ("JSON", _) | (_, "timestamp"):
                return None
            case "DECIMAL(38,12)", "varchar":
                return f"rtrim(rtrim(CAST({name} AS VARCHAR), '0'), '.')"
            case _:
                return name


_HOLDS = {
    "varchar": ("str", "literal", "Decimal"),
    "bigint": ("int", "Decimal"),
    "double": ("float", "Decimal", "int"),
    "boolean": ("bool",),
    "timestamp": ("int",),
}


def _fits(has: Type, kind: str) -> bool:
    """Tell whether a field can be a column of a type: arrays and mappings are given as JSON text."""
    if has.base == "list-object":
        return False
    if has.many or has.mapping:
        return kind == "varchar"
    if has.base == "class":
        return has.expandable and kind == "varchar"
    return has.base in _HOLDS[kind]


def _coalesced(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _must(place: Place | None, name: str, path: str) -> Place:
    if place is None:
        raise BadOverlay(f"{name}: Stripe's API has nothing at {path}")
    return place


def _json(inside: str, steps: tuple[str, ...]) -> str:
    """Return the expression of the JSON at a path."""
    holder, path = (inside, steps) if inside else (f"t.{quote(steps[0])}", steps[1:])
    return f"json_extract({holder}, {_path(path)})" if path else holder


def _path(steps: tuple[str, ...]) -> str:
    return "'$" + "".join(f".{step}" if step.isidentifier() else f".{json.dumps(step)}" for step in steps) + "'"
