"""Decides what to read next: windows of lists, how a page moves one on, and when its unread rest is split in two.

Pure decisions over values. A list with a ``created`` filter is read newest first; as soon as a page shows that much is
left, the unread range is halved, and the halves are read side by side. Splitting follows the density seen, never a fixed
slicing, so that a small list costs no empty requests.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from takings.catalog.model import Catalog, ListEndpoint

PAGE_ROWS: Final = 100
#: A rest of fewer pages than this is not worth another cursor.
SPLIT_PAGES: Final = 6
#: Before this moment Stripe took no payments: 1 January 2010.
STRIPE_BEGAN_UNIX: Final = 1_262_304_000

#: What is read one by one once the lists are there; each stands in the plan like a list.
PRICES_BY_ID: Final = "/v1/prices/{price}"
BRIDGE_LIST: Final = "/v1/balance_transactions?payout={payout}"


#: Why a window is read. ``load``: its rows are not here yet. ``head``: new rows that no event tells of. ``events``: what
#: happened. ``refetch``: one object, whose present state an event leaves open. ``check``: is what is here still so?
#: ``deep``: the same, with every list inside the objects. ``confirm``: the same
#: for one object. ``whole``: a list inside an object that changed; what it does not show is gone.
Purpose = Literal["load", "head", "events", "refetch", "check", "deep", "confirm", "whole"]
BY_ID: Final = frozenset(("refetch", "confirm"))
CHECKS: Final = frozenset(("check", "deep", "confirm"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of one list and how far it has been read.

    Attributes:
        id: Ours.
        list: Path template, or one of the plan's own names.
        variant: Parameter set as a canonical query string.
        parent: Id that fills the template's placeholder, empty for none.
        start: First second, inclusive, Unix; None: no bound.
        end: Last second, exclusive, Unix; None: no bound.
        cursor: Where to go on: id of the last row read (v1) or address of the next page (v2); None: at the top.
        reached: ``created`` of the last row read.
        done: Read to its end.
        attempts: Failures in a row.
        purpose: Why it is read.
        check: Id of the stretch that it compares together with others, empty for none.

    A window for one object (``refetch``, ``confirm``) names in ``list`` the list it belongs to and in ``parent`` the
    object's id, behind its parent's id and a slash where the list has a parent; ``start`` is its ``created``.
    """

    id: str
    list: str
    variant: str = ""
    parent: str = ""
    start: int | None = None
    end: int | None = None
    cursor: str | None = None
    reached: int | None = None
    rows: int = 0
    pages: int = 0
    done: bool = False
    attempts: int = 0
    purpose: Purpose = "load"
    check: str = ""

    @property
    def span(self) -> tuple[int | None, int | None]:
        """The unread range, as [from, to) in Unix seconds."""
        return (self.start, self.end if self.reached is None else self.reached + 1)


def new_window(path: str, **fields: object) -> Window:
    """Return a window at its top, with an id of its own."""
    return Window(id=secrets.token_hex(8), list=path, **fields)  # type: ignore[arg-type]


def first_windows(catalog: Catalog, since: int | None, *, only: Iterable[str] | None = None) -> list[Window]:
    """Return the windows that a run begins with: one for each list and parameter set.

    Args:
        catalog: What lists there are.
        since: Lists with a ``created`` filter start at this second; None: at their beginning.
        only: Paths to restrict it to; None: every list read by default that needs no parent.
    """
    chosen = None if only is None else set(only)
    windows = []
    for endpoint in catalog.lists:
        if chosen is not None and endpoint.path not in chosen:
            continue
        if endpoint.needs or not endpoint.default or endpoint.computed or endpoint.window:
            continue
        for variant in variants(endpoint):
            windows.append(new_window(endpoint.path, variant=variant, start=since if endpoint.created_filter else None))
    return windows


def variants(endpoint: ListEndpoint) -> list[str]:
    """Return the parameter sets that together show every row of a list, as canonical query strings."""
    sets: list[dict[str, str]] = [dict(variant) for variant in endpoint.variants]
    for name, values in endpoint.query_fixed.items():
        sets = [{**known, name: value} for known in sets for value in values]
    return [urlencode(sorted(known.items())) for known in sets]


def parameters(
    window: Window, endpoint: ListEndpoint | None, expand: Iterable[str] = ()
) -> list[tuple[str, str | int]]:
    """Return the query of the next page of a window."""
    takes_limit = endpoint is None or not endpoint.parameters or "limit" in endpoint.parameters
    asked: list[tuple[str, str | int]] = [("limit", PAGE_ROWS)] if takes_limit else []
    asked += parse_qsl(window.variant)
    if endpoint is not None:
        asked += [(name, window.parent) for name in endpoint.query_parents]
    if window.start is not None:
        asked.append(("created[gte]", window.start))
    if window.end is not None:
        asked.append(("created[lt]", window.end))
    asked += [("expand[]", f"data.{name}") for name in expand]
    if window.cursor is not None:
        asked.append(("starting_after", window.cursor))
    return asked


def moved(
    window: Window, *, ids: list[str], created: list[int | None], has_more: bool, next_page: str | None
) -> Window:
    """Return the window after a page.

    Args:
        window: As it was asked for.
        ids: Ids of the page's rows, in order.
        created: Their ``created``.
        has_more: What Stripe says.
        next_page: Address of the next page (v2).
    """
    on = replace(window, rows=window.rows + len(ids), pages=window.pages + 1, attempts=0)
    if next_page:
        return replace(on, cursor=next_page)
    last = next((identifier for identifier in reversed(ids) if identifier), None)
    # A list that says there is more but gives no row to go on from has come to its end.
    if not has_more or last is None or last == window.cursor:
        return replace(on, done=True)
    known = [moment for moment in created if moment is not None]
    return replace(on, cursor=last, reached=min(known) if known else None)


def without_cursor(window: Window) -> Window:
    """Return the window without its cursor, whose object has vanished: go on by time, one second overlapping."""
    return replace(window, cursor=None, end=window.end if window.reached is None else window.reached + 1, reached=None)


def pages_left(window: Window, rows_per_s: float, floor: int) -> float:
    """Estimate how many pages a window still has.

    Args:
        window: One that is read by time.
        rows_per_s: Density of the list's rows in time, rows a second.
        floor: Moment before which nothing is expected, Unix.
    """
    start, end = window.span
    if end is None:
        return 1.0
    return max(0.0, (end - max(start or floor, floor)) * rows_per_s / PAGE_ROWS)


def density(created: list[int | None]) -> float | None:
    """Return rows a second over a page; None where a page cannot tell."""
    known = [moment for moment in created if moment is not None]
    if len(known) < 2:
        return None
    return len(known) / max(1, max(known) - min(known))


def split(window: Window, rows_per_s: float, floor: int) -> tuple[Window, Window] | None:
    """Halve the unread rest of a window, when it is worth it.

    Returns:
        The window narrowed to the newer half, which goes on where it was, and a new one for the older half; or None.
    """
    start, end = window.span
    if end is None or window.done or pages_left(window, rows_per_s, floor) < SPLIT_PAGES:
        return None
    least = max(start or floor, floor)
    middle = least + (end - least) // 2
    if not least < middle < end - 1:
        return None
    older = new_window(
        window.list,
        variant=window.variant,
        parent=window.parent,
        start=window.start,
        end=middle,
        purpose=window.purpose,
        check=window.check,
    )
    return replace(window, start=middle), older


def reach(open_windows: Iterable[Window], start: int | None) -> int | None:
    """Return the oldest second from which on a list is wholly read, given its windows that are not done.

    Returns:
        None when nothing is certain yet.
    """
    bounds = []
    for window in open_windows:
        _, end = window.span
        if end is None:
            return None
        bounds.append(end)
    return max(bounds) if bounds else start


def fill(template: str, parent: str) -> str:
    """Put a parent's id into a path template."""
    head, brace, rest = template.partition("{")
    return template if not brace else head + parent + rest.partition("}")[2]


def by_id(path: str, identifier: str, parent: str = "", **fields: object) -> Window:
    """Return the window for one object of a list.

    Args:
        path: Path template of the list.
        identifier: The object's id.
        parent: Its parent's id, where the list has one.
        **fields: Further fields of the window.
    """
    return new_window(path, parent=f"{quote(parent, safe='')}/{quote(identifier, safe='')}", **fields)


def object_path(window: Window) -> str:
    """Return the path of the one object that a window of :func:`by_id` stands for."""
    parent, _, identifier = window.parent.partition("/")
    return f"{fill(window.list, parent)}/{identifier}"


def object_id(window: Window) -> str:
    """Return the id of the one object that a window of :func:`by_id` stands for."""
    return unquote(window.parent.partition("/")[2])


def coalesce(windows: Iterable[Window], catalog: Catalog, since: int) -> list[Window]:
    """Read objects that are all of one stretch as a list where that costs fewer requests than one by one.

    Objects made since a moment at which everything older was known are all of their list's rows since then, or nearly:
    a page of the list shows a hundred of them.

    Args:
        windows: Windows of :func:`by_id`; others are left as they are.
        catalog: What lists there are.
        since: That moment, Unix seconds.
    """
    kept: list[Window] = []
    young: dict[str, list[Window]] = {}
    for window in windows:
        endpoint = catalog.endpoint(window.list)
        fits = window.purpose == "refetch" and endpoint.created_filter and not endpoint.needs
        if fits and window.start is not None and window.start >= since:
            young.setdefault(window.list, []).append(window)
        else:
            kept.append(window)
    for path, group in young.items():
        endpoint = catalog.endpoint(path)
        sets = variants(endpoint)
        if len(group) <= 2 * len(sets):
            kept += group
            continue
        moments = [window.start for window in group if window.start is not None]
        kept += [
            new_window(path, variant=variant, start=min(moments), end=max(moments) + 1, purpose="head")
            for variant in sets
        ]
    return kept
