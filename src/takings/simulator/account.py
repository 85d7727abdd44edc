"""One Stripe account in one mode: everything its API answers to GET, the truth for tests, and changes by hand."""

from __future__ import annotations

import copy
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from takings.catalog import ListEndpoint, load
from takings.clock import Clock, to_unix
from takings.simulator.answers import Answer, Fault, encode, missing, unknown_url
from takings.simulator.children import CHILDREN, CONTAINED, HELD, WHOLE
from takings.simulator.company import KINDS, Company
from takings.simulator.dice import I64, Flags
from takings.simulator.expansion import Expander
from takings.simulator.filters import FILTERS, HIDDEN_UNLESS, Choice, field_of
from takings.simulator.growth import CANCELED
from takings.simulator.happenings import KEPT_S
from takings.simulator.objects import events as events_module
from takings.simulator.objects import money, shop
from takings.simulator.objects.base import EMBEDDED, Object, listed
from takings.simulator.objects.builders import BUILDERS
from takings.simulator.older import render
from takings.simulator.overlay import Overlays, table_of
from takings.simulator.paging import Bounds, Cursor, Place, all_pass, key_of_row, page
from takings.simulator.queries import Query, read
from takings.simulator.tables import base62

#: The API version whose shapes the objects have.
API_VERSION = "2026-10-28.endive"

#: Top-level lists that have data, by path.
LISTS = {
    "/v1/products": "products",
    "/v1/prices": "prices",
    "/v1/plans": "plans",
    "/v1/coupons": "coupons",
    "/v1/promotion_codes": "promotion_codes",
    "/v1/tax_rates": "tax_rates",
    "/v1/customers": "customers",
    "/v1/payment_methods": "payment_methods",
    "/v1/setup_intents": "setup_intents",
    "/v1/subscriptions": "subscriptions",
    "/v1/subscription_items": "subscription_items",
    "/v1/subscription_schedules": "subscription_schedules",
    "/v1/invoices": "invoices",
    "/v1/invoiceitems": "invoiceitems",
    "/v1/invoice_payments": "invoice_payments",
    "/v1/credit_notes": "credit_notes",
    "/v1/checkout/sessions": "checkout_sessions",
    "/v1/payment_intents": "payment_intents",
    "/v1/charges": "charges",
    "/v1/refunds": "refunds",
    "/v1/disputes": "disputes",
    "/v1/transfers": "transfers",
    "/v1/application_fees": "application_fees",
    "/v1/balance_transactions": "balance_transactions",
    "/v1/payouts": "payouts",
    "/v1/events": "events",
}

#: Lists below an object that have data: the parent's path, the word after its id, the list's field.
BELOW = {
    ("/v1/invoices", "lines"): ("invoices", "lines"),
    ("/v1/credit_notes", "lines"): ("credit_notes", "lines"),
    ("/v1/checkout/sessions", "line_items"): ("checkout_sessions", "line_items"),
    ("/v1/charges", "refunds"): ("charges", "refunds"),
    ("/v1/transfers", "reversals"): ("transfers", "reversals"),
    ("/v1/application_fees", "refunds"): ("application_fees", "refunds"),
    ("/v1/customers", "tax_ids"): ("customers", "tax_ids"),
    ("/v1/customers", "payment_methods"): ("customers", "payment_methods"),
    ("/v1/customers", "subscriptions"): ("customers", "subscriptions"),
}

#: Objects with a path of their own though no top-level list gives them.
_BY_ID_ONLY = {"/v1/tax_ids": "tax_ids"}

#: Products this account does not have: the beginning of their paths, the status, and Stripe's sentence.
_NOT_SET_UP: tuple[tuple[str, int, str], ...] = (
    (
        "/v1/issuing/",
        400,
        "Your account is not set up to use Issuing. Please visit https://dashboard.stripe.com/issuing/overview to get started.",
    ),
    (
        "/v1/treasury/",
        400,
        "Unrecognized request URL or Treasury is not enabled for this account. Please visit https://stripe.com/treasury.",
    ),
    ("/v1/climate/", 403, "Your account is not set up to use Climate Orders. Please visit https://dashboard.stripe.com/climate."),
    ("/v1/forwarding/", 403, "Your account does not have access to the Forwarding API. Please contact Stripe support."),
    (
        "/v1/financial_connections/",
        400,
        "You must complete your platform profile to use Financial Connections: https://dashboard.stripe.com/settings/financial-connections.",
    ),
    ("/v1/sigma/", 403, "Your account does not have access to Sigma. Please visit https://dashboard.stripe.com/sigma."),
    (
        "/v1/identity/",
        400,
        "Your account is not set up to use Identity. Please have an account admin visit https://dashboard.stripe.com/identity/application.",
    ),
    ("/v2/money_management/", 403, "This account is not enabled for money management."),
    ("/v2/core/vault/", 403, "This account is not enabled for stored bank accounts."),
)  # fmt: skip

#: How event names of an object begin where they do not by its own word.
_EVENT_NAMES = {
    "subscription": "customer.subscription",
    "dispute": "charge.dispute",
    "tax_id": "customer.tax_id",
    "fee_refund": "application_fee.refund",
}

#: What tells that an object is new, where no ``….created`` does.
_NEW = {
    "charge": "charge.succeeded",
    "checkout.session": "checkout.session.completed",
    "invoice_payment": "invoice_payment.paid",
    "payment_method": "payment_method.attached",
}

#: What a plan shares with the price that it also is, by the price's field.
_AS_PLAN = {
    "active": "active",
    "currency": "currency",
    "metadata": "metadata",
    "nickname": "nickname",
    "product": "product",
    "unit_amount": "amount",
    "unit_amount_decimal": "amount_decimal",
}

_HOUR_S = 3_600
_PARENT = re.compile(r"\{[^}]*\}")


@cache
def _empty_lists() -> dict[str, ListEndpoint]:
    return {_PARENT.sub("{}", endpoint.path): endpoint for endpoint in load().lists}


@dataclass
class Telling:
    """How ``/v1/events`` tells of changes.

    Attributes:
        api_version: What payloads are rendered in: another account default than this API version gives older shapes.
        late_s: Seconds from an event's ``created`` until it is in the list.
        times: How many events tell one change.
    """

    api_version: str = API_VERSION
    late_s: float = 0.0
    times: int = 1


class Account:
    """One Stripe account in one mode (live or test): everything its API answers to GET.

    Thread-safe: readers see each change whole or not at all.

    Args:
        company: Its data.
        clock: Dates changes made by hand.
        hear: Given each event of such a change, with this account's id and mode.
    """

    def __init__(self, company: Company, clock: Clock, hear: Callable[[str, bool, Object], None] | None = None) -> None:
        self.id = company.account
        self.livemode = company.livemode
        self.name = company.name
        self.country = company.country
        self.default_currency = company.currencies[0]
        self._company = company
        self._clock = clock
        self._hear = hear
        self._lock = threading.RLock()
        self._overlays = Overlays()
        self._made = 0
        self._known = _empty_lists()
        self._opened = to_unix(clock.now())
        self._expander = Expander(self._find, self._at, self._table_of, self._places)
        #: How events of changes from now on are told.
        self.telling = Telling()

    # Reading

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """Answer a GET.

        Args:
            path: Without host or query: ``/v1/charges``.
            query: Decoded pairs: ``("expand[]", "data.customer")``.

        Returns:
            What Stripe would say. Errors are answers too (400, 404 … with Stripe's error body), never exceptions.
        """
        try:
            with self._lock:
                return Answer(200, encode(self._get(path.rstrip("/"), query)))
        except Fault as fault:
            return fault.answer()

    def _get(self, path: str, pairs: Sequence[tuple[str, str]]) -> Object:
        if path in LISTS:
            return self._list(path, LISTS[path], pairs)
        if path == "/v1/balance":
            read(pairs, ())
            return self._balance()
        if path in ("/v1/account", f"/v1/accounts/{self.id}"):
            read(pairs, ())
            return money.account(self._company)
        if path in self._known:
            return self._without_data(path, pairs)
        head, _, last = path.rpartition("/")
        if head in LISTS or head in _BY_ID_ONLY:
            return self._one(LISTS.get(head) or _BY_ID_ONLY[head], last, pairs)
        below, _, parent = head.rpartition("/")
        if (below, last) in BELOW:
            return self._nested(path, *BELOW[below, last], parent, pairs)
        parents, _, parent_id = below.rpartition("/")
        if (parents, parent) in BELOW:
            table, field = BELOW[parents, parent]
            return self._one_below(table, field, parent_id, last, pairs)
        return self._without_data(path, pairs)

    # One object

    def _one(self, table: str, id: str, pairs: Sequence[tuple[str, str]]) -> Object:
        query = read(pairs, ())
        thing = self._object(table, id)
        if thing is None:
            raise missing(self._company.tables[table].object, id)
        self._expander.expand([thing], query.expand, in_list=False)
        return thing

    def _one_below(self, table: str, field: str, parent_id: str, id: str, pairs: Sequence[tuple[str, str]]) -> Object:
        child = CHILDREN[table, field].table
        parent = self._object(table, parent_id)
        if parent is None or parent.get("deleted"):
            raise missing(self._company.tables[table].object, parent_id)
        places = self._places(table, field, parent_id)
        if id not in places and self._company.tables[child].row(id) not in places:
            raise missing(self._company.tables[child].object, id)
        return self._one(child, id, pairs)

    def _object(self, table: str, id: str) -> Object | None:
        """Return an object as GET by id gives it; None where there is none."""
        base, overlay = self._company.tables[table], self._overlays.get(table)
        if overlay is not None:
            if id in overlay.deleted:
                return _tombstone(base.object, id)
            if id in overlay.objects:
                return self._at(table, [id])[0] if self._is_told(table, id) else None
        row = base.row(id)
        if row is None or (table == "events" and base.created[row] < self._told_since()):
            return None
        if base.deleted is not None and base.deleted[row]:
            return _tombstone(base.object, id)
        return self._build(table, np.array([row], np.int64))[0]

    def _build(self, table: str, rows: I64) -> list[Object]:
        made = BUILDERS[table](self._company, rows)
        overlay = self._overlays.get(table)
        if overlay is not None and overlay.patches:
            made = [overlay.applied(thing) for thing in made]
        return self._as_now(table, made)

    def _at(self, table: str, places: Sequence[Place]) -> list[Object]:
        """Return the objects at some places of a list, in that order."""
        rows = [place for place in places if isinstance(place, int)]
        made = iter(self._build(table, np.array(rows, np.int64))) if rows else iter(())
        added = {place for place in places if isinstance(place, str)}
        new: dict[str, Object] = {}
        if added:
            objects = self._overlays[table].objects
            new = {id: self._as_now(table, [copy.deepcopy(objects[id])])[0] for id in added}
        return [next(made) if isinstance(place, int) else new[place] for place in places]

    def _as_now(self, table: str, things: list[Object]) -> list[Object]:
        """Bring what objects hold of others up to the changes of those: whole objects, and embedded lists."""
        for field, other in WHOLE.get(table, ()):
            overlay = self._overlays.get(other)
            if overlay is not None and (overlay.patches or overlay.objects):
                for thing in things:
                    held = thing.get(field)
                    if isinstance(held, dict):
                        thing[field] = overlay.applied(held)
                    elif isinstance(held, list):
                        thing[field] = [overlay.applied(each) for each in held]
        for (parent, field), children in CHILDREN.items():
            if parent != table:
                continue
            overlay = self._overlays.get(children.table)
            holds_changed = any(other in self._overlays for _, other in WHOLE.get(children.table, ()))
            if overlay is None and not holds_changed:
                continue
            for thing in things:
                held = thing.get(field)
                if not isinstance(held, dict) or held.get("object") != "list":
                    continue
                row = self._company.tables[table].row(thing["id"])
                before = children.rows(self._company, row).tolist() if row is not None else []
                places = self._places(table, field, thing["id"])
                if (
                    places != before
                    or holds_changed
                    or (overlay is not None and not overlay.rows.keys().isdisjoint(before))
                ):
                    data = self._at(children.table, places[:EMBEDDED])
                    thing[field] = listed(data, len(places), children.url.format(id=thing["id"]))
        return things

    def _places(self, table: str, field: str, parent_id: str) -> list[Place]:
        """Return what a list under an object holds, in Stripe's order."""
        children = CHILDREN[table, field]
        row = self._company.tables[table].row(parent_id)
        places: list[Place] = []
        if row is not None:
            places += children.rows(self._company, row).tolist()
        overlay = self._overlays.get(children.table)
        if overlay is None:
            return places
        places = [place for place in places if place not in overlay.deleted_rows]
        back = children.back
        moved = {row: patch for row, id in overlay.rows.items() if back in (patch := overlay.patches[id])}
        if back is not None and moved:
            places = [place for place in places if place not in moved or moved[int(place)][back] == parent_id]
            places += [
                row
                for row, patch in moved.items()
                if patch[back] == parent_id and row not in places and row not in overlay.deleted_rows
            ]
        added: list[Place] = [
            id
            for _, _, id in overlay.extras
            if overlay.parents.get(id) == parent_id or (back is not None and overlay.objects[id].get(back) == parent_id)
        ]
        places = [*added[::-1], *places] if children.newest_first else [*places, *added]
        if children.table == "subscriptions":  # a customer's living ones
            changed = [place for place in places if isinstance(place, str) or place in overlay.rows]
            ended = {
                place
                for place, sub in zip(changed, self._at("subscriptions", changed), strict=True)
                if sub["status"] == "canceled"
            }
            places = [place for place in places if place not in ended]
        return places

    def _table_of(self, id: str) -> str | None:
        where = table_of(self._company, id)
        if where is not None:
            return where[0]
        extra = self._overlays.find(id)
        return None if extra is None else extra[0]

    # What events tell by now

    def _told_since(self) -> int:
        """Return the second before which events are gone: thirty days ago, in whole hours since the account was opened."""
        passed = max(0, to_unix(self._clock.now()) - self._opened) // _HOUR_S * _HOUR_S
        return self._company.end + passed - KEPT_S

    def _is_told(self, table: str, id: str) -> bool:
        """Whether a new object can be seen by now: events can be late, and go after thirty days."""
        if table != "events":
            return True
        overlay = self._overlays[table]
        if overlay.objects[id]["created"] < self._told_since():
            return False
        return overlay.seen_from.get(id, 0) <= to_unix(self._clock.now())

    def _find(self, ids: set[str]) -> dict[str, Object]:
        """Return the objects that ids name, for expansion."""
        found: dict[str, Object] = {}
        by_table: dict[str, list[int]] = {}
        for id in ids:
            if id.startswith("di_"):
                discount = self._discount(id)
                if discount is not None:
                    found[id] = discount
                continue
            if id == self.id:
                found[id] = money.account(self._company)
                continue
            where = table_of(self._company, id)
            extra = self._overlays.find(id) if where is None else None
            if extra is not None:
                found[id] = self._at(extra[0], [id])[0]
            elif where is not None:
                base, overlay = self._company.tables[where[0]], self._overlays.get(where[0])
                gone = base.deleted is not None and bool(base.deleted[where[1]])
                if gone or (overlay is not None and id in overlay.deleted):
                    stone = _tombstone(base.object, id)
                    if stone is not None:
                        found[id] = stone
                else:
                    by_table.setdefault(where[0], []).append(where[1])
        for table, rows in by_table.items():
            for thing in self._at(table, rows):
                found[thing["id"]] = thing
        return found

    def _discount(self, id: str) -> Object | None:
        company = self._company
        row = shop.discounted(company, id)
        if row is None:
            return None
        subs = company.tables["subscriptions"]
        return shop.discount(
            company,
            row,
            company.tables["coupons"].codec.one(int(subs["coupon"][row])),
            company.tables["customers"].codec.one(int(subs["customer"][row])),
            subs.codec.one(row),
            int(subs.created[row]),
        )

    # Lists

    def _list(self, path: str, table: str, pairs: Sequence[tuple[str, str]]) -> Object:
        endpoint = self._known[path]
        query = read(pairs, endpoint.parameters)
        for parent in endpoint.query_parents:
            if parent not in query.filters:
                raise Fault(400, f"Missing required param: {parent}.", code="parameter_missing", param=parent)
        if table == "subscription_items":
            # Stripe lists a subscription's items in the order they hold in it.
            parent = query.filters["subscription"]
            self._require("subscriptions", parent, "subscription")
            return self._in_order(path, table, self._places("subscriptions", "items", parent), query)
        if table == "events":
            bounds = query.ranges.get("created", Bounds())
            query.ranges["created"] = Bounds(max(bounds.since or 0, self._told_since()), bounds.until)
        choice = Choice(self._company, self._overlays, table, None, [], [])
        self._filter(choice, query)
        overlay = self._overlays.get(table)
        matching: dict[int, bool] = {}
        extras: list[tuple[int, int, str]] = []
        if overlay is not None:
            if choice.tests or choice.rows is not None:  # what nothing is asked of matches however it changed
                for row, id in overlay.rows.items():
                    matching[row] = id not in overlay.deleted and all_pass(choice, self._object(table, id) or {})
            extras = [
                each
                for each in overlay.extras
                if all_pass(choice, overlay.objects[each[2]]) and self._is_told(table, each[2])
            ]
        cursor = self._cursor(table, query)
        places, more = page(choice, query.ranges.get("created", Bounds()), cursor, query.limit, matching, extras)
        return self._answer_list(path, table, places, more, query)

    def _answer_list(self, path: str, table: str, places: Sequence[Place], more: bool, query: Query) -> Object:
        data = self._at(table, places)
        if query.expand:
            self._expander.expand(data, query.expand, in_list=True)
        return {"object": "list", "data": data, "has_more": more, "url": path}

    def _filter(self, choice: Choice, query: Query) -> None:
        """Put the query's filters and the list's own into effect."""
        hidden = HIDDEN_UNLESS.get(choice.table)
        if hidden is not None and hidden[0] not in query.filters:
            hidden[1](choice)
        for name, value in query.filters.items():
            quick = FILTERS.get((choice.table, name))
            if quick is not None:
                quick(choice, name, value)
            else:
                self._compare(choice, name, _equals(name, value))
        for name, bounds in query.ranges.items():
            if name != "created":
                self._compare(choice, name, _within(name, bounds))

    def _compare(self, choice: Choice, name: str, test: Callable[[Object], bool]) -> None:
        """Filter by a field that no column holds: object by object, slow but right."""
        if name == "delivery_success":
            return

        def mask(rows: I64) -> Flags:
            return np.array([test(thing) for thing in BUILDERS[choice.table](self._company, rows)], np.bool_)

        choice.masks.append(mask)
        choice.tests.append(test)

    def _cursor(self, table: str, query: Query) -> Cursor | None:
        param = "starting_after" if query.starting_after else "ending_before"
        id = query.starting_after or query.ending_before
        if not id:
            return None
        newer = param == "ending_before"
        base, overlay = self._company.tables[table], self._overlays.get(table)
        if overlay is not None:
            for created, sequence, extra in overlay.extras:
                if extra == id:
                    return Cursor((created, 1, sequence), newer)
        row = base.row(id)
        gone = overlay is not None and id in overlay.deleted
        gone = gone or (row is not None and table == "events" and base.created[row] < self._told_since())
        if row is None or gone or (base.deleted is not None and base.deleted[row]):
            raise missing(base.object, id, param)
        return Cursor(key_of_row(base, row), newer)

    def _nested(self, path: str, table: str, field: str, parent_id: str, pairs: Sequence[tuple[str, str]]) -> Object:
        children = CHILDREN[table, field]
        endpoint = self._known.get(path.replace(parent_id, "{}", 1))
        query = read(pairs, endpoint.parameters if endpoint else ("limit", "starting_after", "ending_before"))
        parent = self._object(table, parent_id)
        if parent is None or parent.get("deleted"):
            raise missing(self._company.tables[table].object, parent_id)
        places = self._places(table, field, parent_id)
        choice = Choice(self._company, self._overlays, children.table, None, [], [])
        self._filter(choice, query)
        if choice.tests or choice.masks:
            added = self._overlays.get(children.table)
            kept: list[Place] = []
            for place in places:
                if isinstance(place, str) or (added is not None and place in added.rows):
                    fits = all_pass(choice, self._at(children.table, [place])[0])
                else:
                    fits = all(bool(mask(np.array([place]))[0]) for mask in choice.masks)
                if fits:
                    kept.append(place)
            places = kept
        return self._in_order(path, children.table, places, query)

    def _in_order(self, path: str, table: str, places: list[Place], query: Query) -> Object:
        """Page through places in the order given."""
        base = self._company.tables[table]
        param = "starting_after" if query.starting_after else "ending_before"
        id = query.starting_after or query.ending_before
        newer = query.ending_before is not None
        if id:
            row = base.row(id)
            place = id if id in places else row
            if place is None or place not in places:
                raise missing(base.object, id, param)
            at = places.index(place)
            places = places[:at] if newer else places[at + 1 :]
        more = len(places) > query.limit
        places = places[-query.limit :] if newer else places[: query.limit]
        return self._answer_list(path, table, places, more, query)

    def _without_data(self, path: str, pairs: Sequence[tuple[str, str]]) -> Object:
        """Answer a list that this account has nothing in, or no right to; or an object it does not have."""
        for beginning, status, sentence in _NOT_SET_UP:
            if path.startswith(beginning) and self._shape(path) is not None:
                raise Fault(status, sentence)
        shape = self._shape(path)
        if shape is None:
            raise unknown_url(path)
        template, ids = shape
        endpoint = self._known.get(template)
        if endpoint is None:
            endpoint = self._known[template.rpartition("/")[0]]
            if endpoint.table == "accounts":
                self._require("accounts", path.rpartition("/")[2])
            raise missing(endpoint.object, path.rpartition("/")[2])
        names = [name.strip("{}") for name in _PARENT.findall(endpoint.path)]
        for name, id in zip(names, ids, strict=True):
            self._require(endpoint.path_parents.get(name, ""), id)
        known = {
            *endpoint.parameters,
            *(name.partition("[")[0] for name in (*endpoint.query_parents, *endpoint.query_fixed, *endpoint.window)),
        }
        query = read(pairs, known)
        given = {name for name, _ in pairs}
        for name in (*endpoint.query_parents, *endpoint.query_fixed, *endpoint.window):
            if name not in given:
                raise Fault(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
        for name, table in endpoint.query_parents.items():
            self._require(table, query.filters.get(name, ""), name)
        if path == "/v1/tax_ids" and query.filters.get("owner[type]") == "customer":
            return self._nested(f"/v1/customers/{query.filters.get('owner[customer]', '')}/tax_ids", "customers", "tax_ids",
                                query.filters.get("owner[customer]", ""), [p for p in pairs if not p[0].startswith("owner")]) | {"url": path}  # fmt: skip
        if query.starting_after or query.ending_before:
            param = "starting_after" if query.starting_after else "ending_before"
            raise missing(endpoint.object, query.starting_after or query.ending_before or "", param)
        if endpoint.api == "v2":
            return {"data": [], "next_page_url": None, "previous_page_url": None}
        if path == f"/v1/accounts/{self.id}/external_accounts":
            held: Object = money.account(self._company)["external_accounts"]
            return {"object": "list", "data": held["data"], "has_more": False, "url": path}
        return {"object": "list", "data": [], "has_more": False, "url": path}

    def _require(self, table: str, id: str, param: str = "id") -> None:
        """Raise Stripe's answer where a parent is not there."""
        if table == "accounts":
            if id != self.id:
                raise Fault(
                    403,
                    f"The provided key does not have access to account '{id}' (or that account does not exist). Application access may have been revoked.",
                    code="account_invalid",
                )
            return
        if table in self._company.tables:
            thing = self._object(table, id)
            if thing is None or thing.get("deleted"):
                raise missing(self._company.tables[table].object, id, param)
            return
        resource = load().resources.get(table)
        raise missing(resource.object if resource else table, id, param)

    def _shape(self, path: str) -> tuple[str, list[str]] | None:
        """Return the template of a known list (or of an object in one) with the ids in it; None if there is none."""
        words = path.split("/")
        if path in self._known:
            return path, []
        for positions in ((len(words) - 2,), (len(words) - 1,), (len(words) - 3, len(words) - 1)):
            tried, ids = list(words), []
            for position in positions:
                if position < 3:
                    break
                ids.append(tried[position])
                tried[position] = "{}"
            else:
                template = "/".join(tried)
                if template in self._known:
                    return template, ids
                if tried[-1] == "{}" and template.rpartition("/")[0] in self._known:
                    return template, ids
        return None

    def _balance(self) -> Object:
        balance = money.balance(self._company)
        for thing, sign in self._moved():
            part = "available" if thing["status"] == "available" else "pending"
            for each in balance[part]:
                if each["currency"] == thing["currency"]:
                    each["amount"] += sign * thing["net"]
                    each["source_types"] = {"card": each["amount"]}
        return balance

    def _moved(self) -> Iterator[tuple[Object, int]]:
        """Go through the balance transactions that changes took away (-1) and put in (1); a changed one is both."""
        overlay = self._overlays.get("balance_transactions")
        if overlay is None:
            return
        rows = sorted(overlay.rows.keys() | overlay.deleted_rows)
        for thing in BUILDERS["balance_transactions"](self._company, np.array(rows, np.int64)) if rows else ():
            yield thing, -1
            if thing["id"] not in overlay.deleted:
                yield overlay.applied(thing), 1
        for _, _, id in overlay.extras:
            yield overlay.objects[id], 1

    # The truth, for tests

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables that can hold anything, in the catalogue's words (``charges``)."""
        return (*KINDS, "plans")

    def facts(self) -> dict[str, Any]:
        """Return the truth for tests.

        Returns:
            ``objects``: by table how many there are, hidden ones included, deleted ones not; ``listed``: how many of
            them lists can give with their default filters lifted (all but inline prices); ``hidden``: how many lists
            leave out by default, and inline prices; ``deleted``; ``net``: Σ net of balance transactions by currency in
            minor units; ``balance``: available and pending; ``start`` and ``end`` in Unix seconds.
        """
        with self._lock:
            company = self._company
            objects = {table: self._count(table) for table in self.tables()}
            inline = int(company.tables["prices"]["inline"].sum()) if len(company.tables["prices"]) else 0
            in_lists = objects | {"prices": objects["prices"] - inline}
            subs, prices, customers = (company.tables[name] for name in ("subscriptions", "prices", "customers"))
            canceled = self._fitting(
                "subscriptions",
                subs["status"] == CANCELED if len(subs) else None,
                lambda sub: sub["status"] == "canceled",
            )
            given = prices["inline"] == 0 if len(prices) else None
            archived = self._fitting(
                "prices",
                (prices["active"] == 0) & given if given is not None else None,
                lambda price: not price["active"],
                given,
            )
            removed = self._overlays.get("customers")
            net: dict[str, int] = {}
            transactions = company.tables["balance_transactions"]
            if len(transactions):
                nets = transactions["amount"].astype(np.int64) - transactions["fee"].astype(np.int64)
                for currency in np.unique(transactions["currency"]).tolist():
                    net[company.currencies[currency]] = int(nets[transactions["currency"] == currency].sum())
            for thing, sign in self._moved():
                net[thing["currency"]] = net.get(thing["currency"], 0) + sign * thing["net"]
            return {
                "account": self.id,
                "livemode": self.livemode,
                "objects": objects,
                "listed": in_lists,
                "hidden": {"subscriptions": canceled, "prices": archived, "inline_prices": inline},
                "deleted": {"customers": len(customers) - customers.alive + (len(removed.deleted) if removed else 0)},
                "net": net,
                "balance": {part: {each["currency"]: each["amount"] for each in self._balance()[part]} for part in ("available", "pending")},
                "start": company.start,
                "end": company.end,
            }  # fmt: skip

    def _count(self, table: str) -> int:
        base, overlay = self._company.tables[table], self._overlays.get(table)
        alive = base.alive
        if table == "events":
            alive -= int(np.searchsorted(base.created, self._told_since(), "left"))
        if overlay is None:
            return alive
        return alive + sum(self._is_told(table, id) for _, _, id in overlay.extras) - len(overlay.deleted_rows)

    def _fitting(
        self, table: str, flags: Flags | None, test: Callable[[Object], bool], within: Flags | None = None
    ) -> int:
        """Count the objects that pass a test: rows by a column of flags, changed and new ones by their fields.

        Args:
            flags: Of the rows as drawn; None where there are none.
            within: Rows that count at all; None for every one.
        """
        count, overlay = 0 if flags is None else int(np.sum(flags)), self._overlays.get(table)
        if overlay is None:
            return count
        if flags is not None:
            for row in overlay.rows.keys() | overlay.deleted_rows:
                count -= int(flags[row])
            places: list[Place] = [
                row for row in overlay.rows if row not in overlay.deleted_rows and (within is None or bool(within[row]))
            ]
            count += sum(map(test, self._at(table, places)))
        return count + sum(test(overlay.objects[id]) for _, _, id in overlay.extras)

    def ids(self, table: str) -> Iterator[str]:
        """Go through all ids of a table, oldest first, hidden objects included, deleted ones left out."""
        for id, _ in self._walk(table, build=False):
            yield id

    def objects(self, table: str) -> Iterator[tuple[str, bytes]]:
        """Go through all objects of a table as :meth:`ids` does, each with the JSON that GET by id gives."""
        for id, thing in self._walk(table, build=True):
            yield id, encode(thing)

    def _walk(self, table: str, *, build: bool) -> Iterator[tuple[str, Object]]:
        base = self._company.tables[table]
        for start in range(0, len(base), 500):
            with self._lock:
                rows = np.arange(start, min(start + 500, len(base)))
                if base.deleted is not None:
                    rows = rows[~base.deleted[rows]]
                if table == "events":
                    rows = rows[base.created[rows] >= self._told_since()]
                overlay = self._overlays.get(table)
                if overlay is not None and overlay.deleted_rows:
                    rows = rows[~np.isin(rows, np.array(sorted(overlay.deleted_rows)))]
                things = self._build(table, rows) if build else [{} for _ in rows]
                batch = list(zip(base.codec.encode(rows), things, strict=True))
            yield from batch
        overlay = self._overlays.get(table)
        for _, _, id in list(overlay.extras) if overlay is not None else ():
            thing = self._object(table, id)
            if thing is not None:
                yield id, thing

    def object(self, table: str, id: str) -> bytes:
        """Return one object's JSON as a GET by id gives it, without expansion.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            thing = self._object(table, id)
        if thing is None:
            raise KeyError(id)
        return encode(thing)

    # Changes

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Make several changes that readers see together or not at all."""
        with self._lock:
            yield

    def now(self) -> int:
        """Return the account's present in Unix seconds."""
        return to_unix(self._clock.now())

    def everything(self, table: str) -> Iterator[Object]:
        """Go through all objects of a table, oldest first, as :meth:`ids` does."""
        for _, thing in self._walk(table, build=True):
            yield thing

    def changed(self, table: str) -> list[Object]:
        """Return the objects of a table that were changed or made since the account was drawn, as they are."""
        with self._lock:
            overlay = self._overlays.get(table)
            if overlay is None:
                return []
            places: list[Place] = [row for row in sorted(overlay.rows) if row not in overlay.deleted_rows]
            return self._at(table, [*places, *(id for _, _, id in overlay.extras)])

    def drew(self, object: str) -> bool:
        """Whether the account was drawn with objects of a kind, after which new ones can take."""
        return any(kind[0] == object and len(self._company.tables[table]) for table, kind in KINDS.items())

    def pick(self, table: str, dice: random.Random) -> Object | None:
        """Return an object of a table by dice; None where the dice fall on one that is gone."""
        with self._lock:
            base, overlay = self._company.tables[table], self._overlays.get(table)
            extras = overlay.extras if overlay is not None else []
            if not len(base) + len(extras):
                return None
            at = dice.randrange(len(base) + len(extras))
            id = base.codec.one(at) if at < len(base) else extras[at - len(base)][2]
            thing = self._object(table, id)
            return None if thing is None or thing.get("deleted") else thing

    def last_child(self, table: str, field: str, parent: str) -> str:
        """Return the id of the last object in a list under an object."""
        with self._lock:
            return self._id(CHILDREN[table, field].table, self._places(table, field, parent)[-1])

    def parents(self, table: str) -> dict[str, str]:
        """Return for every object that is part of another, by its id, the id of that other."""
        found: dict[str, str] = {}
        for (parent, field), children in CHILDREN.items():
            if children.table == table and (parent, field) in CONTAINED:
                for id in self.ids(parent):
                    with self._lock:
                        found |= {self._id(table, place): id for place in self._places(parent, field, id)}
        return found

    def show(self, id: str) -> Object:
        """Return an object by its id alone, as a GET by id gives it.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            return self._existing(id)[2]

    def update(self, id: str, changes: Mapping[str, Any], *, event: bool | str = True, at: int | None = None) -> None:
        """Change top-level fields of an object; without any, only tell how it is.

        Args:
            id: Which object.
            changes: New values.
            event: Whether ``/v1/events`` tells of it, or the type of the event that does. True tells only where
                Stripe has an ``….updated`` event for the object.
            at: The event's ``created`` in Unix seconds; None for now.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            table, row, before = self._existing(id)
            self._overlays.of(table).patch(id, row, copy.deepcopy(dict(changes)))
            previous = {key: before.get(key) for key, value in changes.items() if before.get(key) != value}
            self._tell(table, id, "updated", event, previous, at=at)
            mirrored = {_AS_PLAN[key]: value for key, value in changes.items() if key in _AS_PLAN}
            if table == "prices" and mirrored and self._object("plans", id) is not None:
                was = self._object("plans", id) or {}
                self._overlays.of("plans").patch(id, self._company.tables["plans"].row(id), copy.deepcopy(mirrored))
                self._tell("plans", id, "updated", event is True, {key: was.get(key) for key in mirrored}, at=at)

    def delete(self, id: str, *, event: bool | str = True, at: int | None = None) -> None:
        """Delete an object: it leaves every list, and GET by id answers as for a deleted one; what it holds goes with it.

        A customer's subscriptions end, its tax ids go and so do its pending invoice items, as at Stripe.

        Args:
            id: Which object.
            event: As in :meth:`update`, with ``….deleted``.
            at: As in :meth:`update`.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            table, row, before = self._existing(id)
            held: list[str] = []
            for (parent, field), children in CHILDREN.items():
                if parent == table and (parent, field) in HELD:
                    held += [self._id(children.table, place) for place in self._places(table, field, id)]
            if table == "customers":
                now, told = to_unix(self._clock.now()), event is not False
                for place in self._places("customers", "subscriptions", id):
                    ended = {"status": "canceled", "canceled_at": now, "ended_at": now}
                    name = "customer.subscription.deleted" if told else False
                    self.update(self._id("subscriptions", place), ended, event=name, at=at)
                for item in self._list(
                    "/v1/invoiceitems", "invoiceitems", [("customer", id), ("pending", "true"), ("limit", "100")]
                )["data"]:
                    self.delete(item["id"], event=told, at=at)
            self._tell(table, id, "deleted", event, None, before, at=at)
            self._overlays.of(table).delete(id, row)
            for each in held:
                child, child_row, _ = self._existing(each)
                self._overlays.of(child).delete(each, child_row)
            if table == "prices" and (plan := self._object("plans", id)) is not None:
                self._tell("plans", id, "deleted", event is True, None, plan, at=at)
                self._overlays.of("plans").delete(id, self._company.tables["plans"].row(id))

    def can_create(self, object: str) -> bool:
        """Tell whether there is an object of a kind to take after; in a small company there may be no refund, say."""
        return any(len(self._company.tables[name]) for name, kind in KINDS.items() if kind[0] == object)

    def create(
        self,
        object: str,
        fields: Mapping[str, Any],
        *,
        event: bool | str = True,
        parent: str | None = None,
        at: int | None = None,
    ) -> str:
        """Create an object now and return its id.

        Args:
            object: Stripe's word for its kind: ``customer``.
            fields: Its fields; those not given are as in the newest object of its kind, without what lists it holds.
            event: As in :meth:`update`, with ``….created`` or what Stripe tells in its place.
            parent: Whose it is: the invoice of a line, the subscription of an item, the payout of a balance transaction.
            at: As in :meth:`update`.

        Raises:
            KeyError: There is no object of that kind to take after.
        """
        with self._lock:
            table = next(name for name, kind in KINDS.items() if kind[0] == object)
            base = self._company.tables[table]
            if not len(base):
                raise KeyError(object)
            now = to_unix(self._clock.now())
            self._made += 1
            id = str(fields.get("id") or base.codec.one(len(base) + 10_000_000 + self._made))
            thing: Object = copy.deepcopy(BUILDERS[table](self._company, np.array([len(base) - 1], np.int64))[0])
            for key, value in thing.items():
                if isinstance(value, dict) and value.get("object") == "list":
                    url = value["url"].replace(thing["id"], id)
                    thing[key] = value | {"data": [], "has_more": False, "total_count": 0, "url": url}
            thing |= {"id": id, **({"created": now} if "created" in thing else {})}
            back = next(
                (each.back for each in CHILDREN.values() if each.table == table and each.newest_first is False), None
            )
            thing |= {back: parent} if back and parent else {}
            thing |= copy.deepcopy(dict(fields))
            overlay = self._overlays.of(table)
            overlay.add(id, int(thing.get("created", now)), thing)
            if parent is not None:
                overlay.parents[id] = parent
            self._tell(table, id, "created", _NEW.get(object, event) if event is True else event, None, at=at)
            if table == "prices" and thing.get("recurring"):
                self._overlays.of("plans").add(id, int(thing["created"]), shop.plan_of(thing))
                self._tell("plans", id, "created", event is True, None, at=at)
            return id

    def attribute(self, ids: Iterable[str], payout: str) -> None:
        """Say which payout paid balance transactions out."""
        with self._lock:
            parents = self._overlays.of("balance_transactions").parents
            parents |= dict.fromkeys(ids, payout)

    def attributed(self) -> frozenset[str]:
        """Return the balance transactions that were said to be paid out."""
        overlay = self._overlays.get("balance_transactions")
        return frozenset(overlay.parents if overlay is not None else ())

    def tell(
        self,
        type: str,
        thing: Object,
        *,
        previous: Object | None = None,
        at: int | None = None,
        id: str | None = None,
        late_s: float | None = None,
        api_version: str | None = None,
    ) -> str:
        """Have ``/v1/events`` tell something, true or not, of a known kind or not; return the event's id.

        Args:
            type: The event's type.
            thing: What is in ``data.object``, in the shape of this API version.
            previous: What is in ``data.previous_attributes``.
            at: The event's ``created`` in Unix seconds; None for now.
            id: Its id; None makes one.
            late_s: Seconds from now until it is in the list; None for as long as :attr:`telling` says.
            api_version: What it is rendered in; None for what :attr:`telling` says.
        """
        with self._lock:
            now = to_unix(self._clock.now())
            version = api_version or self.telling.api_version
            data: Object = {"object": render(thing, version, self._lookup)}
            if previous is not None:
                data["previous_attributes"] = previous
            self._made += 1
            made_id = (
                id or "evt_1" + base62((1 << 62) + self._made * 7_919, 11) + self._company.tables["events"].codec.tail
            )
            created = now if at is None else at
            made = events_module.event(self._company, made_id, created, type, data) | {"api_version": version}
            overlay = self._overlays.of("events")
            overlay.add(made_id, created, copy.deepcopy(made))
            late = self.telling.late_s if late_s is None else late_s
            if late:
                overlay.seen_from[made_id] = now + late
            if self._hear is not None:
                self._hear(self.id, self.livemode, made)
            return made_id

    def _lookup(self, id: str) -> Object | None:
        try:
            return self._existing(id)[2]
        except KeyError:
            return None

    def _id(self, table: str, place: Place) -> str:
        return place if isinstance(place, str) else self._company.tables[table].codec.one(place)

    def _existing(self, id: str) -> tuple[str, int | None, Object]:
        where = table_of(self._company, id)
        extra = self._overlays.find(id)
        if extra is not None:
            return extra[0], None, self._at(extra[0], [id])[0]
        if where is None:
            raise KeyError(id)
        thing = self._object(where[0], id)
        if thing is None or thing.get("deleted"):
            raise KeyError(id)
        return where[0], where[1], thing

    def _tell(
        self,
        table: str,
        id: str,
        what: str,
        event: bool | str,
        previous: Object | None,
        thing: Object | None = None,
        *,
        at: int | None = None,
    ) -> None:
        """Add an event, where one is wanted and Stripe has it."""
        word = self._company.tables[table].object
        name = event if isinstance(event, str) else f"{_EVENT_NAMES.get(word, word)}.{what}"
        if event is False or (event is True and load().by_event(name) is None):
            return
        told = thing if thing is not None else self._object(table, id)
        for _ in range(self.telling.times):
            self.tell(name, told or {}, previous=previous, at=at)


def _tombstone(object: str, id: str) -> Object | None:
    """Return what GET by id says of a deleted object: customers keep a trace, others answer 404 (None)."""
    return {"id": id, "object": "customer", "deleted": True} if object == "customer" else None


def _equals(name: str, value: str) -> Callable[[Object], bool]:
    path = name.replace("[", ".").replace("]", "")

    def test(thing: Object) -> bool:
        have = field_of(thing, path)
        if name == "lookup_keys":
            return field_of(thing, "lookup_key") in value.split("\0")
        if name == "scheduled":
            return bool((thing["status"] == "not_started") == (value == "true"))
        if isinstance(have, bool):
            return ("true" if have else "false") == value
        return have is not None and str(have) == value

    return test


def _within(name: str, bounds: Bounds) -> Callable[[Object], bool]:
    def test(thing: Object) -> bool:
        have = field_of(thing, name)
        if not isinstance(have, int):
            return False
        return (bounds.since is None or have >= bounds.since) and (bounds.until is None or have <= bounds.until)

    return test
