"""Finds where a Sigma column lives in Stripe's API: names are matched against the classes of the installed SDK, never guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from takings.catalog.annotations import Type, read_type
from takings.catalog.source import Class


@dataclass(frozen=True, slots=True)
class Place:
    """A field of the API.

    Attributes:
        steps: Names from the top of the object down to it.
        type: What the SDK says it holds.
    """

    steps: tuple[str, ...]
    type: Type


def find(classes: tuple[Class, ...], name: str) -> Place | None:
    """Return the field that a Sigma column of that name holds.

    Sigma writes a nested field as its path joined by underscores (``outcome_risk_score``) and a reference with ``_id``.

    Args:
        classes: Classes that the object may be of.
        name: Of the column.
    """
    wanted = (name, name.removesuffix("_id")) if name.endswith("_id") else (name,)
    for spelling in wanted:
        for cls in classes:
            if spelling in cls.attributes and not _within(cls, spelling, name):
                return Place((spelling,), _type(cls, spelling))
    for cls in classes:
        for attribute in sorted(cls.attributes, key=len, reverse=True):
            if name.startswith(f"{attribute}_"):
                kind = _type(cls, attribute)
                if _holds(kind):
                    below = find(kind.classes, name.removeprefix(f"{attribute}_"))
                    if below is not None:
                        return Place((attribute, *below.steps), below.type)
    return None


def at(classes: tuple[Class, ...], path: str) -> Place | None:
    """Return the field at a dotted path; None when the SDK has none there."""
    steps = tuple(path.split("."))
    kind = Type("class", classes=classes)
    for step in steps:
        cls = next((one for one in kind.classes if step in one.attributes), None)
        if cls is None or not _holds(kind):
            return None
        kind = _type(cls, step)
    return Place(steps, kind)


def _holds(kind: Type) -> bool:
    """Tell whether a field holds one object whole: not a list, not a mapping, not a reference, which comes as an id."""
    return bool(kind.classes) and not (kind.many or kind.mapping or kind.expandable or kind.base == "list-object")


def _within(cls: Class, spelling: str, name: str) -> bool:
    """Tell whether ``x_id`` means the id inside an object ``x`` that is no reference."""
    kind = _type(cls, spelling)
    return spelling != name and kind.base == "class" and not kind.expandable


def _type(cls: Class, attribute: str) -> Type:
    found = read_type(cls.attributes[attribute].annotation, cls)
    return replace(found, nullable=False)
