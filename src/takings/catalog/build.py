"""The catalogue put together: lists, tables, parents, nested lists and events, out of the SDK's source and the overlay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from takings.catalog import overlay, rules
from takings.catalog.annotations import Type, read_type
from takings.catalog.fields import merge, read_fields
from takings.catalog.lists import Found, read_deletable, read_events, read_lists
from takings.catalog.model import Catalog, Field, ListEndpoint, NestedList, Resource
from takings.catalog.source import Class, Sdk, installed


class Builder:
    """Builds the catalogue out of the SDK's source and the overlay.

    Args:
        sdk: The SDK's source.
        said: What it does not say.
    """

    def __init__(self, sdk: Sdk, said: overlay.Overlay) -> None:
        self.sdk = sdk
        self.overlay = said
        self.found = read_lists(sdk)
        self.deletable = read_deletable(sdk)
        self.unsaid: list[str] = []
        self.events = read_events(sdk)

    def build(self) -> Catalog:
        """Return the catalogue.

        Raises:
            ValueError: The SDK has something that the rules do not place (say it in the overlay), or the overlay speaks
                of something that the SDK does not have.
        """
        classes: dict[str, tuple[Class, ...]] = {}
        tables: dict[str, str] = {}
        for found in self.found:
            tables[found.path] = self._table(found)
            known = classes.setdefault(tables[found.path], found.classes)
            if known != found.classes:
                raise ValueError(
                    f"Two kinds of objects would go to table {tables[found.path]}: name one in overlay.toml."
                )
        for dotted in self.overlay.keys("extra"):
            extra = self.sdk.cls(dotted)
            if extra is None or extra.object_name is None:
                raise ValueError(f"overlay.toml names the class {dotted}, which the SDK does not have.")
            classes.setdefault(self.overlay.section("extra", dotted), (extra,))
        lists = [self._list(found, tables) for found in self.found]
        resources = {table: self._resource(table, classes[table], lists) for table in sorted(classes)}
        wanted = {
            nested.path
            for resource in resources.values()
            for nested in resource.nested
            if nested.path and (nested.always or nested.expand)
        }
        lists = [
            msgspec.structs.replace(item, default=True)
            if item.path in wanted and self._entry(item.path).get("default") is None
            else item
            for item in lists
        ]
        if self.unsaid:
            raise ValueError("\n".join([*self.unsaid, "Say it in overlay.toml."]))
        if unused := self.overlay.unused():
            raise ValueError(f"overlay.toml speaks of what the SDK does not have: {', '.join(unused)}.")
        return Catalog(
            sdk_version=self.sdk.constant("_version", "VERSION"),
            api_version=self.sdk.constant("_api_version", "CURRENT"),
            resources=resources,
            lists=tuple(lists),
        )

    def _entry(self, path: str) -> Mapping[str, Any]:
        return self.overlay.section("lists", path) or {}

    def _object(self, found: Found) -> str:
        if named := self._entry(found.path).get("object"):
            return str(named)
        if len(found.classes) != 1 or not found.classes[0].object_name:
            raise ValueError(f"{found.path} gives several kinds of objects: name them together in overlay.toml.")
        return found.classes[0].object_name

    def _table(self, found: Found) -> str:
        if named := self._entry(found.path).get("table"):
            return str(named)
        object_name = self._object(found)
        return str(self.overlay.section("tables", object_name) or rules.table_name(object_name))

    def _list(self, found: Found, tables: Mapping[str, str]) -> ListEndpoint:
        entry = self._entry(found.path)
        fixed = {name: tuple(values) for name, values in entry.get("query_fixed", {}).items()}
        window = tuple(entry.get("window", ()))
        named = dict(entry.get("parents", {}))
        path_parents = {
            name: named.pop(name, None) or self._parent(found.path, name, tables) for name in _names(found.path)
        }
        query_parents: dict[str, str] = {}
        for name in found.required:
            if name in window or name in {key.partition("[")[0] for key in fixed}:
                continue
            query_parents[name] = named.pop(name, None) or self._query_parent(found.path, name, tables)
        if named:
            raise ValueError(f"overlay.toml gives {found.path} parents that it does not need: {', '.join(named)}.")
        object_name = self._object(found)
        scope = self._scope(tables[found.path])
        computed = bool(entry.get("computed", False))
        return ListEndpoint(
            path=found.path,
            api=found.api,
            object=object_name,
            table=tables[found.path],
            created_filter=found.created_filter,
            path_parents=path_parents,
            query_parents=query_parents,
            query_fixed=fixed,
            variants=tuple(dict(variant) for variant in entry.get("variants", ({},))),
            hides=entry.get("hides", ""),
            parameters=tuple(sorted(found.parameters)),
            default=entry.get("default", not path_parents and not query_parents and not window and not computed),
            permission=self.overlay.section("permissions", scope) if scope else None,
            scope=scope,
            objects=_object_names(found.classes) if len(found.classes) > 1 else (),
            window=window,
            computed=computed,
        )

    def _scope(self, table: str) -> str | None:
        scope = self.overlay.section("scopes", table)
        return str(scope) if scope else None

    def _parent(self, path: str, name: str, tables: Mapping[str, str]) -> str:
        prefix = path.partition("/{" + name + "}")[0]
        if prefix in tables:
            return tables[prefix]
        raise ValueError(f"Whose ids fill {{{name}}} in {path}? No list {prefix}: name the parent in overlay.toml.")

    def _query_parent(self, path: str, name: str, tables: Mapping[str, str]) -> str:
        family = path.rsplit("/", 1)[0]
        for candidate in (f"{family}/{rules.plural(name)}", f"/v1/{rules.plural(name)}"):
            if candidate in tables:
                return tables[candidate]
        raise ValueError(f"What fills the required parameter {name} of {path}? Say it in overlay.toml.")

    def _resource(self, table: str, classes: tuple[Class, ...], lists: Sequence[ListEndpoint]) -> Resource:
        api: Literal["v1", "v2"] = "v2" if classes[0].module.name.startswith("v2.") else "v1"
        entry = self.overlay.section("resources", table) or {}
        read = [read_fields(item, api) for item in classes]
        fields = merge([outer for outer, _ in read])
        undeclared = self.overlay.section("fields", table) or ()
        fields += [Field(name=name, kind="json", nullable=True) for name in undeclared]
        inner = merge([inside for _, inside in read])
        fields = self._corrected(table, fields)
        inner = self._corrected(table, inner)
        own = [item for item in lists if item.table == table]
        object_name = own[0].object if own else str(classes[0].object_name)
        objects = _object_names(classes)
        events = self._events(object_name)
        created = next((item for item in fields if item.name == entry.get("created_field", "created")), None)
        names = {item.name for item in fields}
        holders = [item.name for item in (*fields, *inner) if item.kind == "list"] if len(classes) == 1 else []
        nested = [found for name in holders if (found := self._nested(table, classes[0], name, lists))]
        return Resource(
            object=object_name,
            table=table,
            sdk=classes[0].dotted,
            sdk_also=tuple(item.dotted for item in classes[1:]),
            objects=objects if len(objects) > 1 else (),
            api=api,
            fields=tuple(fields),
            inner=tuple(item for item in inner if item.kind != "list"),
            nested=tuple(nested),
            key=tuple(entry.get("key", ("id",) if "id" in names else ())),
            deletable=bool(entry.get("deletable", self._deletable(classes, events))),
            events=events,
            updated_event=any(event.endswith(".updated") for event in events),
            created=created is not None and created.name == "created" and not created.nullable,
            created_field=created.name if created is not None else None,
            expand=tuple(self.overlay.section("expand", table) or ()),
        )

    def _deletable(self, classes: Iterable[Class], events: Iterable[str]) -> bool:
        """Tell whether Stripe can delete an object: it may say ``deleted``, can be asked to, or tells by event."""
        return any("deleted" in item.attributes or item.dotted in self.deletable for item in classes) or any(
            event.endswith(".deleted") for event in events
        )

    def _corrected(self, table: str, fields: Iterable[Field]) -> list[Field]:
        """Put the overlay's kinds and currencies in place of what the rules found."""
        corrected = []
        for item in fields:
            kind = self.overlay.section("kinds", f"{table}.{item.name}")
            if kind:
                item = msgspec.structs.replace(item, kind=kind, currency=None)
            currency = self.overlay.match("currencies", f"{table}.{item.name}") if item.kind == "amount" else None
            if currency:
                item = msgspec.structs.replace(item, currency=currency)
            if item.kind == "amount" and item.currency is None:
                self.unsaid.append(f"{table}.{item.name} is an amount of no known currency")
            corrected.append(item)
        return corrected

    def _events(self, object_name: str) -> tuple[str, ...]:
        mine = []
        for event in self.events:
            prefix = event.rpartition(".")[0].partition("[")[0]
            named = self.overlay.section("events", event)
            if named is None:
                named = self.overlay.section("events", prefix)
            if (prefix if named is None else named) == object_name:
                mine.append(event)
        return tuple(mine)

    def _nested(self, table: str, parent: Class, path: str, lists: Sequence[ListEndpoint]) -> NestedList | None:
        of = _type_at(parent, path)
        entry = self.overlay.section("nested", f"{table}.{path}") or {}
        object_name = str(of.classes[0].object_name)
        parents = {item.path for item in lists if item.table == table and item.top_level}
        tail = path.replace(".", "_")
        whole = [
            item
            for item in lists
            if any(
                re.fullmatch(re.escape(parent) + r"/\{\w+\}/" + end, item.path)
                for parent in parents
                for end in (tail, path.rsplit(".", 1)[-1])
            )
        ] or [item for item in lists if item.object == object_name and item.top_level and not item.computed]
        exact = [item for item in whole if item.path.endswith(f"/{tail}")] or whole
        given = entry.get("path")
        endpoint = next((item for item in lists if item.path == given), exact[0] if exact else None)
        row_table = entry.get("table") or (endpoint.table if endpoint else None)
        if row_table is None:
            self.unsaid.append(f"Where do the rows of {table}.{path} ({object_name}) go?")
            return None
        return NestedList(
            field=path,
            object=endpoint.object if endpoint and endpoint.objects else object_name,
            table=row_table,
            always=bool(entry.get("always", not of.nullable and "." not in path)),
            path=endpoint.path if endpoint else None,
            expand=bool(entry.get("expand", False)),
        )


def _names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _object_names(classes: Iterable[Class]) -> tuple[str, ...]:
    return tuple(sorted(str(item.object_name) for item in classes))


def _type_at(scope: Class, path: str) -> Type:
    """Return the type of a field by its dotted path (through single nested objects only)."""
    *way, last = path.split(".")
    for name in way:
        scope = read_type(scope.attributes[name].annotation, scope).classes[0]
    return read_type(scope.attributes[last].annotation, scope)


def build(sdk: Sdk | None = None) -> Catalog:
    """Return the catalogue of an SDK's source (the installed one when none is given), with the overlay.

    Raises:
        FileNotFoundError: No SDK is installed.
        ValueError: Rules and overlay do not cover what the SDK has; the sentence says what to write where.
    """
    return Builder(sdk or Sdk(installed()), overlay.read()).build()
