"""One Stripe account in one mode: everything its API answers to GET, the truth for tests, and changes by hand."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from takings.catalog import ListEndpoint, load
from takings.clock import Clock, to_unix
from takings.simulator.answers import Answer, Fault, encode, missing, unknown_url
from takings.simulator.children import CHILDREN
from takings.simulator.company import KINDS, Company
from takings.simulator.dice import I64, Flags
from takings.simulator.expansion import Expander
from takings.simulator.filters import FILTERS, HIDDEN_UNLESS, Choice, field_of
from takings.simulator.growth import CANCELED
from takings.simulator.objects import events as events_module
from takings.simulator.objects import money, shop
from takings.simulator.objects.base import Object
from takings.simulator.objects.builders import BUILDERS
from takings.simulator.overlay import Overlay, Overlays, table_of
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

_PARENT = re.compile(r"\{[^}]*\}")


def _empty_lists() -> dict[str, ListEndpoint]:
    return {_PARENT.sub("{}", endpoint.path): endpoint for endpoint in load().lists}


class Account:
    """One Stripe account in one mode (live or test): everything its API answers to GET.

    Thread-safe: readers see each change whole or not at all.

    Args:
        company: Its data.
        clock: Dates changes made by hand.
    """

    def __init__(self, company: Company, clock: Clock) -> None:
        self.id = company.account
        self.livemode = company.livemode
        self.name = company.name
        self.country = company.country
        self.default_currency = company.currencies[0]
        self._company = company
        self._clock = clock
        self._lock = threading.RLock()
        self._overlays = Overlays()
        self._made = 0
        self._known = _empty_lists()
        self._expander = Expander(self._find, self._build_rows, lambda id: table_of(company, id), self._child_rows)

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
        parent = self._company.tables[table].row(parent_id)
        if parent is None:
            raise missing(self._company.tables[table].object, parent_id)
        row = self._company.tables[child].row(id)
        if row is None or row not in CHILDREN[table, field].rows(self._company, parent).tolist():
            raise missing(self._company.tables[child].object, id)
        return self._one(child, id, pairs)

    def _object(self, table: str, id: str) -> Object | None:
        """Return an object as GET by id gives it; None where there is none."""
        base, overlay = self._company.tables[table], self._overlays.get(table)
        if overlay is not None:
            if id in overlay.deleted:
                return _tombstone(base.object, id)
            if id in overlay.objects:
                return copy.deepcopy(overlay.objects[id])
        row = base.row(id)
        if row is None:
            return None
        if base.deleted is not None and base.deleted[row]:
            return _tombstone(base.object, id)
        return self._build(table, np.array([row], np.int64))[0]

    def _build(self, table: str, rows: I64) -> list[Object]:
        made = BUILDERS[table](self._company, rows)
        overlay = self._overlays.get(table)
        if overlay is not None and overlay.patches:
            return [overlay.applied(thing) for thing in made]
        return made

    def _build_rows(self, table: str, rows: list[int]) -> list[Object]:
        return self._build(table, np.array(rows, np.int64))

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
                found[id] = extra[1]
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
            for thing in self._build_rows(table, rows):
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

    def _child_rows(self, table: str, field: str, row: int) -> list[int]:
        rows: list[int] = CHILDREN[table, field].rows(self._company, row).tolist()
        return rows

    # Lists

    def _list(self, path: str, table: str, pairs: Sequence[tuple[str, str]]) -> Object:
        endpoint = self._known[path]
        query = read(pairs, endpoint.parameters)
        for parent in endpoint.query_parents:
            if parent not in query.filters:
                raise Fault(400, f"Missing required param: {parent}.", code="parameter_missing", param=parent)
        choice = Choice(self._company, self._overlays, table, None, [], [])
        self._filter(choice, query)
        overlay = self._overlays.get(table)
        matching: dict[int, bool] = {}
        extras: list[tuple[int, int, str]] = []
        if overlay is not None:
            for row, id in overlay.rows.items():
                matching[row] = id not in overlay.deleted and all_pass(choice, self._object(table, id) or {})
            extras = [each for each in overlay.extras if all_pass(choice, overlay.objects[each[2]])]
        cursor = self._cursor(table, query)
        if table == "subscription_items":
            # Stripe lists a subscription's items in the order they hold in it.
            return self._in_order(
                path, table, choice.rows if choice.rows is not None else np.zeros(0, np.int64), extras, query
            )
        places, more = page(choice, query.ranges.get("created", Bounds()), cursor, query.limit, matching, extras)
        return self._answer_list(path, table, places, more, query)

    def _answer_list(self, path: str, table: str, places: Sequence[Place], more: bool, query: Query) -> Object:
        rows = [place for place in places if isinstance(place, int)]
        made = iter(self._build_rows(table, rows)) if rows else iter(())
        data = [
            next(made) if isinstance(place, int) else copy.deepcopy(self._overlays[table].objects[place])
            for place in places
        ]
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
        if row is None or gone or (base.deleted is not None and base.deleted[row]):
            raise missing(base.object, id, param)
        return Cursor(key_of_row(base, row), newer)

    def _nested(self, path: str, table: str, field: str, parent_id: str, pairs: Sequence[tuple[str, str]]) -> Object:
        children = CHILDREN[table, field]
        endpoint = self._known.get(path.replace(parent_id, "{}", 1))
        query = read(pairs, endpoint.parameters if endpoint else ("limit", "starting_after", "ending_before"))
        parents, overlay = self._company.tables[table], self._overlays.get(table)
        if overlay is not None and parent_id in overlay.objects and parent_id not in overlay.deleted:
            held = overlay.objects[parent_id].get(field)
            data = copy.deepcopy(held["data"]) if isinstance(held, dict) else []
            return {"object": "list", "data": data, "has_more": False, "url": path}
        row = parents.row(parent_id)
        gone = overlay is not None and parent_id in overlay.deleted
        if row is None or gone or (parents.deleted is not None and parents.deleted[row]):
            raise missing(parents.object, parent_id)
        rows = children.rows(self._company, row)
        choice = Choice(self._company, self._overlays, children.table, None, [], [])
        self._filter(choice, query)
        for mask in choice.masks:
            rows = rows[mask(rows)]
        added = self._overlays.get(children.table)
        extras: list[tuple[int, int, str]] = []
        if added is not None and children.back is not None:
            extras = [
                each
                for each in added.extras
                if added.objects[each[2]].get(children.back) == parent_id and all_pass(choice, added.objects[each[2]])
            ]
        return self._in_order(path, children.table, rows, extras, query)

    def _in_order(self, path: str, table: str, rows: I64, extras: list[tuple[int, int, str]], query: Query) -> Object:
        """Page through rows in the order given, new objects first."""
        overlay = self._overlays.get(table)
        gone = overlay.deleted_rows if overlay is not None else set()
        places: list[Place] = [id for _, _, id in reversed(extras)]
        places += [row for row in rows.tolist() if row not in gone]
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
        overlay = self._overlays.get("balance_transactions")
        if overlay is not None:
            for _, _, id in overlay.extras:
                thing = overlay.objects[id]
                part = "available" if thing["status"] == "available" else "pending"
                for each in balance[part]:
                    if each["currency"] == thing["currency"]:
                        each["amount"] += thing["net"]
                        each["source_types"] = {"card": each["amount"]}
        return balance

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
            listed = objects | {"prices": objects["prices"] - inline}
            subs, prices, customers = (company.tables[name] for name in ("subscriptions", "prices", "customers"))
            net: dict[str, int] = {}
            transactions = company.tables["balance_transactions"]
            if len(transactions):
                nets = transactions["amount"].astype(np.int64) - transactions["fee"].astype(np.int64)
                for currency in np.unique(transactions["currency"]).tolist():
                    net[company.currencies[currency]] = int(nets[transactions["currency"] == currency].sum())
            overlay = self._overlays.get("balance_transactions")
            for _, _, id in overlay.extras if overlay is not None else ():
                thing = overlay.objects[id] if overlay is not None else {}
                net[thing["currency"]] = net.get(thing["currency"], 0) + thing["net"]
            return {
                "account": self.id,
                "livemode": self.livemode,
                "objects": objects,
                "listed": listed,
                "hidden": {
                    "subscriptions": int(np.sum(subs["status"] == CANCELED)) if len(subs) else 0,
                    "prices": int(np.sum((prices["active"] == 0) & (prices["inline"] == 0))) if len(prices) else 0,
                    "inline_prices": inline,
                },
                "deleted": {"customers": len(customers) - customers.alive},
                "net": net,
                "balance": {part: {each["currency"]: each["amount"] for each in self._balance()[part]} for part in ("available", "pending")},
                "start": company.start,
                "end": company.end,
            }  # fmt: skip

    def _count(self, table: str) -> int:
        base, overlay = self._company.tables[table], self._overlays.get(table)
        if overlay is None:
            return base.alive
        return base.alive + len(overlay.extras) - len(overlay.deleted_rows)

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

    def update(self, id: str, changes: Mapping[str, Any], *, event: bool | str = True) -> None:
        """Change top-level fields of an object.

        Args:
            id: Which object.
            changes: New values.
            event: Whether ``/v1/events`` tells of it, or the type of the event that does. True tells only where
                Stripe has an ``….updated`` event for the object.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            table, row, before = self._existing(id)
            self._overlays.of(table).patch(id, row, copy.deepcopy(dict(changes)))
            previous = {key: before.get(key) for key, value in changes.items() if before.get(key) != value}
            self._tell(table, id, "updated", event, previous)

    def delete(self, id: str, *, event: bool | str = True) -> None:
        """Delete an object: it leaves every list, and GET by id answers as for a deleted one.

        Args:
            id: Which object.
            event: As in :meth:`update`, with ``….deleted``.

        Raises:
            KeyError: There is no such object.
        """
        with self._lock:
            table, row, before = self._existing(id)
            self._tell(table, id, "deleted", event, None, before)
            self._overlays.of(table).delete(id, row)

    def create(self, object: str, fields: Mapping[str, Any], *, event: bool | str = True) -> str:
        """Create an object now and return its id.

        Args:
            object: Stripe's word for its kind: ``customer``.
            fields: Its fields; those not given are as in the newest object of its kind, without what lists it holds.
            event: As in :meth:`update`, with ``….created``.

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
            thing |= copy.deepcopy(dict(fields))
            overlay: Overlay = self._overlays.of(table)
            overlay.add(id, int(thing.get("created", now)), thing)
            self._tell(table, id, "created", event, None)
            return id

    def _existing(self, id: str) -> tuple[str, int | None, Object]:
        where = table_of(self._company, id)
        extra = self._overlays.find(id)
        if extra is not None:
            return extra[0], None, extra[1]
        if where is None:
            raise KeyError(id)
        thing = self._object(where[0], id)
        if thing is None or thing.get("deleted"):
            raise KeyError(id)
        return where[0], where[1], thing

    def _tell(
        self, table: str, id: str, what: str, event: bool | str, previous: Object | None, thing: Object | None = None
    ) -> None:
        """Add an event, where one is wanted and Stripe has it."""
        word = self._company.tables[table].object
        name = event if isinstance(event, str) else f"{_EVENT_NAMES.get(word, word)}.{what}"
        if event is False or (event is True and load().by_event(name) is None):
            return
        data: Object = {"object": thing if thing is not None else self._object(table, id)}
        if previous is not None:
            data["previous_attributes"] = previous
        now = to_unix(self._clock.now())
        self._made += 1
        event_id = "evt_1" + base62((1 << 62) + self._made * 7_919, 11) + self._company.tables["events"].codec.tail
        made = events_module.event(self._company, event_id, now, name, data)
        self._overlays.of("events").add(event_id, now, made)


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
