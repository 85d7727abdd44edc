"""A request's query, read and checked as Stripe does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from takings.simulator.answers import Fault, unknown_parameter
from takings.simulator.paging import Bounds

_PAGING = frozenset(("limit", "starting_after", "ending_before", "expand", "page"))
_INDEX = re.compile(r"\[\d*\]$")

#: Parameters that are ranges of Unix seconds, compared with the field of their name.
RANGES = frozenset(
    (
        "created",
        "arrival_date",
        "due_date",
        "current_period_start",
        "current_period_end",
        "canceled_at",
        "completed_at",
        "released_at",
    )
)


@dataclass
class Query:
    """What a request asks for.

    Attributes:
        limit: Objects a page.
        starting_after: Id to go on after.
        ending_before: Id to stop before.
        expand: Paths to expand.
        filters: Everything else, by full parameter name (``recurring[interval]``); several values of one array
            parameter (``types[]``) are joined by NUL under the name without brackets.
        ranges: Ranges of times by parameter.
    """

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    expand: list[str] = field(default_factory=list)
    filters: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, Bounds] = field(default_factory=dict)


def read(pairs: Sequence[tuple[str, str]], known: Iterable[str]) -> Query:
    """Read a query.

    Args:
        pairs: Decoded names and values.
        known: Parameters the endpoint has, without brackets.

    Raises:
        Fault: A parameter is unknown, or a value cannot be read.
    """
    query, allowed = Query(), {*known, "expand"}
    for name, value in pairs:
        base, _, inside = name.partition("[")
        if base not in allowed:
            raise unknown_parameter(name)
        if base == "expand":
            query.expand.append(value)
        elif base == "limit":
            query.limit = _limit(value)
        elif base == "starting_after":
            query.starting_after = value
        elif base == "ending_before":
            query.ending_before = value
        elif base in RANGES:
            query.ranges[base] = _narrowed(query.ranges.get(base, Bounds()), name, inside.rstrip("]"), value)
        elif _INDEX.search(name):
            array = _INDEX.sub("", name)
            query.filters[array] = f"{query.filters[array]}\0{value}" if array in query.filters else value
        else:
            query.filters[name] = value
    if query.starting_after and query.ending_before:
        raise Fault(
            400, "You can only specify one of these parameters: ending_before, starting_after.", param="ending_before"
        )
    return query


def _integer(name: str, value: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", value):
        raise Fault(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def _limit(value: str) -> int:
    limit = _integer("limit", value)
    if limit < 1:
        raise Fault(
            400, "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="limit"
        )
    if limit > 100:
        raise Fault(
            400, "This value must be less than or equal to 100.", code="parameter_invalid_integer", param="limit"
        )
    return limit


def _narrowed(bounds: Bounds, name: str, comparison: str, value: str) -> Bounds:
    moment = _integer(name, value)
    since, until = bounds.since, bounds.until
    if comparison in ("gte", "gt", ""):
        low = moment + (comparison == "gt")
        since = low if since is None else max(since, low)
    if comparison in ("lte", "lt", ""):
        high = moment - (comparison == "lt")
        until = high if until is None else min(until, high)
    if comparison not in ("gt", "gte", "lt", "lte", ""):
        raise unknown_parameter(name)
    return Bounds(since, until)
