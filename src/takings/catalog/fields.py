"""The fields of an SDK class and what each is: kind, currency, targets, values; those inside nested objects too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from takings.catalog import rules
from takings.catalog.annotations import Type, read_type
from takings.catalog.model import Field, Kind
from takings.catalog.source import Class

#: Kinds that are worth naming inside nested objects.
_INNER: frozenset[Kind] = frozenset(("timestamp", "amount", "decimal", "currency", "id"))
#: Objects within objects that are followed; Stripe's deepest is seven.
_DEPTH = 8


def _kind(name: str, doc: str, of: Type, api: str) -> Kind:
    if of.base == "list-object":
        return "list"
    if of.many or of.mapping or of.base == "any":
        return "json"
    if of.base == "class":
        return "id" if of.expandable else "json"
    if of.base == "literal":
        return "string" if name == "object" else "enum"
    if of.base == "int":
        if rules.is_time(name, doc):
            return "timestamp"
        return "amount" if rules.is_amount(name, doc) else "integer"
    if of.base == "str":
        if api == "v2" and rules.is_time_text(name, doc):
            return "timestamp"
        if rules.is_currency(name, doc):
            return "currency"
        return "id" if rules.is_id(name, doc) else "string"
    simple: dict[str, Kind] = {"bool": "boolean", "float": "float", "Decimal": "decimal"}
    return simple[of.base]


@dataclass(frozen=True)
class Level:
    """An object on the way from the top to a field: its path and the currencies it names."""

    path: str
    currencies: frozenset[str]
    #: True for the values of a mapping whose keys are currencies.
    by_currency: bool = False


def _currency_of(name: str, levels: Sequence[Level]) -> str | None:
    """Return the path of the field that says an amount's currency: its namesake beside it, else the nearest ``currency``."""
    for level in reversed(levels):
        beside = (f"{name}_currency", re.sub(r"_?amount$", "_currency", name)) if level is levels[-1] else ()
        for candidate in (*beside, "currency"):
            if candidate in level.currencies:
                return f"{level.path}.{candidate}" if level.path else candidate
        if level.by_currency:
            return "key"
    return None


def read_fields(top: Class, api: Literal["v1", "v2"]) -> tuple[list[Field], list[Field]]:
    """Return the fields of a class, and of its nested objects those that are told apart (times, money, ids)."""
    outer: list[Field] = []
    inner: list[Field] = []

    def walk(of: Class, prefix: str, levels: tuple[Level, ...], seen: tuple[Class, ...], keyed: bool = False) -> None:
        read = [
            (attribute, read_type(attribute.annotation, of))
            for attribute in of.attributes.values()
            if attribute.name != "deleted"
        ]
        kinds = {attribute.name: _kind(attribute.name, attribute.doc, kind, api) for attribute, kind in read}
        if kinds.get("value") == "integer" and kinds.get("currency") == "currency":
            kinds["value"] = "amount"  # v2's `Amount`, which describes neither
        currencies = frozenset(name for name, kind in kinds.items() if kind == "currency")
        here = Level(prefix.removesuffix("."), currencies, keyed)
        levels = (*levels, here)
        for attribute, kind in read:
            path = f"{prefix}{attribute.name}"
            made = _field(path, kinds[attribute.name], kind, levels, api)
            if not prefix:
                outer.append(made)
            elif made.kind in _INNER or made.kind == "list":
                inner.append(made)
            below = path + ("[]" if kind.many else "") + (".*" if kind.mapping else "")
            by_currency = kind.mapping and "currenc" in f"{attribute.name} {attribute.doc}".lower()
            if by_currency and kind.base == "int":
                inner.append(Field(name=below, kind="amount", currency="key"))
            if kind.base == "class" and not kind.expandable and len(seen) < _DEPTH:
                for found in kind.classes:
                    # An object of its own that stands inside this one is catalogued where it belongs.
                    if found.object_name is None and found not in seen:
                        walk(found, f"{below}.", levels, (*seen, found), by_currency)

    walk(top, "", (), (top,))
    return outer, inner


def _field(path: str, kind: Kind, of: Type, levels: Sequence[Level], api: str) -> Field:
    name = path.rsplit(".", 1)[-1]
    objects = tuple(sorted({found.object_name for found in of.classes if found.object_name}))
    return Field(
        name=path,
        kind=kind,
        nullable=of.nullable,
        target=objects,
        expandable=of.expandable,
        currency=_currency_of(name, levels) if kind == "amount" else None,
        values=tuple(sorted(of.values)) if of.base == "literal" and name != "object" else (),
        open=of.open,
        text=api == "v2" and kind == "timestamp" and of.base == "str",
    )


def merge(many: Sequence[Sequence[Field]]) -> list[Field]:
    """Put the fields of several classes together: a field that not all have may be missing, two kinds become text."""
    if len(many) == 1:
        return list(many[0])
    merged: dict[str, Field] = {}
    count: dict[str, int] = {}
    for fields in many:
        for item in fields:
            count[item.name] = count.get(item.name, 0) + 1
            known = merged.setdefault(item.name, item)
            kind: Kind = known.kind if known.kind == item.kind else "string"
            if "json" in (known.kind, item.kind):
                kind = "json"
            if {known.kind, item.kind} == {"enum", "string"}:
                kind = "string"
            merged[item.name] = msgspec.structs.replace(
                known,
                kind=kind,
                nullable=known.nullable or item.nullable,
                target=tuple(sorted({*known.target, *item.target})),
                expandable=known.expandable or item.expandable,
                values=tuple(sorted({*known.values, *item.values})) if kind == "enum" else (),
                open=(known.open or item.open) and kind == "enum",
            )
    return [
        msgspec.structs.replace(item, nullable=True) if count[name] < len(many) else item
        for name, item in sorted(merged.items())
    ]
