"""What differs between two catalogues: lists, resources and fields that were added, removed, moved or changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from takings.catalog.model import Catalog, Field, ListEndpoint, Resource


@dataclass
class Part:
    """The differences among one sort of thing, each a line ready to print."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved or self.changed)


@dataclass
class Changes:
    """What a newer SDK brings, against the catalogue before."""

    versions: tuple[str, str]
    lists: Part = field(default_factory=Part)
    resources: Part = field(default_factory=Part)
    fields: Part = field(default_factory=Part)

    def __bool__(self) -> bool:
        return bool(self.lists or self.resources or self.fields)

    def text(self) -> str:
        """Return the differences for a person to read, a thing a line; ``Nothing moved.`` when there is none."""
        out = [f"From {self.versions[0]} to {self.versions[1]}:"]
        for title, part in (("lists", self.lists), ("resources", self.resources), ("fields", self.fields)):
            for verb, sign in (("added", "+"), ("removed", "-"), ("moved", ">"), ("changed", "~")):
                lines: list[str] = getattr(part, verb)
                if lines:
                    out.append(f"{title} {verb} ({len(lines)}):")
                    out.extend(f"  {sign} {item}" for item in lines)
        return "\n".join(out if len(out) > 1 else [*out, "Nothing moved."])


def compare(before: Catalog, after: Catalog) -> Changes:
    """Return what changed from one catalogue to another.

    A list has moved when its rows are found under another path; a resource when its object type has another table; a
    field when the same name is found at another place of the same resource (as ``invoice.subscription`` went to
    ``invoice.parent.subscription_details.subscription``).
    """
    changes = Changes((_version(before), _version(after)))
    _lists(before.lists, after.lists, changes.lists)
    renamed = _resources(before.resources, after.resources, changes.resources)
    for table, resource in after.resources.items():
        known = before.resources.get(renamed.get(table, table))
        if known is not None:
            _fields(table, known, resource, changes.fields)
    return changes


def _version(catalog: Catalog) -> str:
    return f"stripe {catalog.sdk_version} ({catalog.api_version})"


def _differences(before: msgspec.Struct, after: msgspec.Struct, names: Iterable[str]) -> str:
    parts = []
    for name in names:
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(old, tuple) and isinstance(new, tuple) and all(isinstance(item, str) for item in (*old, *new)):
            parts.append(
                f"{name} "
                + " ".join([*(f"+{x}" for x in new if x not in old), *(f"-{x}" for x in old if x not in new)])
            )
        elif isinstance(old, tuple) and isinstance(new, tuple):
            parts.append(f"{name} {_named(old)} → {_named(new)}")
        else:
            parts.append(f"{name} {old!r} → {new!r}")
    return ", ".join(parts)


def _named(items: tuple[object, ...]) -> str:
    """Return a tuple of structs or mappings as their values that are not empty, short enough to read."""
    shown = []
    for item in items:
        values: dict[str, object] = msgspec.to_builtins(item)
        shown.append("(" + " ".join(f"{key}={value}" for key, value in values.items()) + ")")
    return " ".join(shown) or "none"


def _lists(before: Iterable[ListEndpoint], after: Iterable[ListEndpoint], part: Part) -> None:
    old = {item.path: item for item in before}
    new = {item.path: item for item in after}
    gone = {path: item for path, item in old.items() if path not in new}
    for path, item in new.items():
        if path in old:
            difference = _differences(old[path], item, (x for x in item.__struct_fields__ if x != "path"))
            if difference:
                part.changed.append(f"{path}: {difference}")
            continue
        origin = next(
            (known for known, was in gone.items() if (was.object, was.table) == (item.object, item.table)), None
        )
        if origin is None:
            part.added.append(f"{path} ({item.object})")
        else:
            del gone[origin]
            part.moved.append(f"{origin} → {path}")
    part.removed.extend(f"{path} ({item.object})" for path, item in gone.items())


def _resources(before: Mapping[str, Resource], after: Mapping[str, Resource], part: Part) -> dict[str, str]:
    """Fill in what happened to resources and return the new tables of those that moved, each with its old one."""
    gone = {table: item for table, item in before.items() if table not in after}
    renamed: dict[str, str] = {}
    for table, item in after.items():
        if table in before:
            names = ("object", "sdk", "nested", "deletable", "events", "updated_event", "created", "objects", "key")
            difference = _differences(before[table], item, names)
            if difference:
                part.changed.append(f"{table}: {difference}")
            continue
        origin = next((known for known, was in gone.items() if was.object == item.object), None)
        if origin is None:
            part.added.append(f"{table} ({item.object})")
        else:
            del gone[origin]
            renamed[table] = origin
            part.moved.append(f"{origin} → {table} ({item.object})")
    part.removed.extend(f"{table} ({item.object})" for table, item in gone.items())
    return renamed


def _leaf(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _fields(table: str, before: Resource, after: Resource, part: Part) -> None:
    old: dict[str, Field] = {item.name: item for item in (*before.fields, *before.inner)}
    new: dict[str, Field] = {item.name: item for item in (*after.fields, *after.inner)}
    gone = [path for path in old if path not in new]
    for path, item in new.items():
        if path in old:
            difference = _differences(old[path], item, (x for x in item.__struct_fields__ if x != "name"))
            if difference:
                part.changed.append(f"{table}.{path}: {difference}")
            continue
        origin = next((known for known in gone if _leaf(known) == _leaf(path) and old[known].kind == item.kind), None)
        if origin is None:
            part.added.append(f"{table}.{path} ({item.kind})")
        else:
            gone.remove(origin)
            part.moved.append(f"{table}.{origin} → {path}")
    part.removed.extend(f"{table}.{path} ({old[path].kind})" for path in gone)
