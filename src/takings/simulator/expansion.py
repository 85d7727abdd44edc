"""``expand[]``: ids replaced by the objects they name, and lists that come only when asked for, whole pages at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from takings.catalog import load
from takings.simulator.answers import Fault
from takings.simulator.children import CHILDREN
from takings.simulator.objects.base import EMBEDDED, Object, listed
from takings.simulator.paging import Place

_DEEPEST = 4

#: Lists that are in an object only when expanded, and are empty here.
_EMPTY = {("customers", "sources"): "/v1/customers/{id}/sources"}

#: Returns for ids the objects they name; ids that name nothing known are left out.
Find = Callable[[set[str]], dict[str, Object]]
#: Returns the objects at some places of a table.
Build = Callable[[str, Sequence[Place]], list[Object]]
#: Returns the table of an object's id, or None.
Locate = Callable[[str], str | None]
#: Returns the places of a list under an object: parent table, field, the parent's id.
Below = Callable[[str, str, str], list[Place]]


class Expander:
    """Expands what a request asks.

    Args:
        find: Finds objects by id.
        build: Builds objects.
        locate: Tells which table an id is in.
        children: Gives the lists under objects.
    """

    def __init__(self, find: Find, build: Build, locate: Locate, children: Below) -> None:
        self._find = find
        self._build = build
        self._locate = locate
        self._children = children

    def expand(self, things: Sequence[Object], paths: Sequence[str], *, in_list: bool) -> None:
        """Replace ids in place.

        Args:
            things: What was found.
            paths: Dotted paths; in a list they begin with ``data.``.
            in_list: Whether a list was asked for.

        Raises:
            Fault: A path is too deep or leads nowhere.
        """
        for path in paths:
            steps = path.split(".")
            if in_list:
                if steps[0] != "data" or len(steps) == 1:
                    raise _cannot(path)
                steps = steps[1:]
            if len(steps) > _DEEPEST + steps.count("data"):
                raise Fault(
                    400,
                    f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}",
                    param="expand",
                )
            level: list[Object] = list(things)
            for step in steps:
                level = self._step(level, step, path)

    def _step(self, level: list[Object], step: str, path: str) -> list[Object]:
        level = [thing for thing in level if isinstance(thing, dict) and not thing.get("deleted")]
        self._add_lists(level, step)
        if level and not any(step in thing or _is_field(thing, step) for thing in level):
            raise _cannot(path)
        slots: list[tuple[Any, Any, str]] = []
        further: list[Object] = []
        for thing in level:
            value = thing.get(step)
            if isinstance(value, str):
                slots.append((thing, step, value))
            elif isinstance(value, dict):
                further.append(value)
            elif isinstance(value, list):
                thing[step] = value = list(value)
                for place, each in enumerate(value):
                    if isinstance(each, str):
                        slots.append((value, place, each))
                    else:
                        further.append(each)
            elif value is not None:
                raise _cannot(path)
        if slots:
            found = self._find({id for _, _, id in slots})
            if not found and not any("_" in id for _, _, id in slots):
                raise _cannot(path)
            for holder, place, id in slots:
                if id in found:
                    holder[place] = found[id]
                    further.append(found[id])
        return further

    def _add_lists(self, level: list[Object], step: str) -> None:
        """Put in the lists that are there only when asked for."""
        wanted: list[tuple[Object, str]] = []
        for thing in level:
            if step in thing or "id" not in thing:
                continue
            table = self._locate(thing["id"])
            if table is None:
                continue
            if (table, step) in CHILDREN:
                wanted.append((thing, table))
            elif (table, step) in _EMPTY:
                thing[step] = listed([], 0, _EMPTY[table, step].format(id=thing["id"]))
        places: list[Place] = []
        counts: list[int] = []
        totals: list[int] = []
        for thing, table in wanted:
            children = self._children(table, step, thing["id"])
            totals.append(len(children))
            places.extend(children[:EMBEDDED])
            counts.append(min(len(children), EMBEDDED))
        if not wanted:
            return
        made = iter(self._build(CHILDREN[wanted[0][1], step].table, places)) if places else iter(())
        for (thing, table), count, total in zip(wanted, counts, totals, strict=True):
            url = CHILDREN[table, step].url.format(id=thing["id"])
            thing[step] = listed([next(made) for _ in range(count)], total, url)


def _is_field(thing: Object, name: str) -> bool:
    """Whether Stripe has such a field on this kind of object, though this one lacks it."""
    resource = load().by_object(thing.get("object", ""))
    return resource is not None and resource.field(name) is not None


def _cannot(path: str) -> Fault:
    return Fault(400, f"This property cannot be expanded ({path.removeprefix('data.')}).", param="expand")
