"""Recurring revenue a second way: from the rows of subscriptions as they stand, with nothing of how they came to be so."""

from __future__ import annotations

import json
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from takings.metrics.policies import Switches
from takings.metrics.pricing import Discount, Item, Subscription, half_even, worths
from takings.warehouse import Warehouse

_SUBSCRIPTIONS: Final = """
SELECT s._account AS account, s._livemode AS livemode, s.id AS id, s.customer AS customer, s.currency AS currency, s.status AS status,
    s.trial_end AS trial_end, s.cancel_at AS cancel_at, s.cancel_at_period_end AS leaving, s.discounts AS discounts,
    s.pause_collection AS pause, s.default_tax_rates AS taxes, s.start_date AS start_at, s.latest_invoice AS invoice
FROM stripe.subscriptions AS s
WHERE s._deleted_at IS NULL AND s.status IN ('active', 'past_due', 'trialing')
"""
_ITEMS: Final = """
SELECT i._account AS account, i._livemode AS livemode, coalesce(i.subscription, i._parent) AS subscription, i.id AS id, i.quantity AS quantity,
    i.price AS price, i.discounts AS discounts, i.tax_rates AS taxes
FROM stripe.subscription_items AS i
WHERE i._deleted_at IS NULL
"""
_PRICES: Final = """
SELECT p._account AS account, p._livemode AS livemode, p.id AS id, p.tiers AS tiers, p.currency_options AS options
FROM stripe.prices AS p
WHERE p.tiers IS NOT NULL OR p.currency_options IS NOT NULL
"""
_DISCOUNTS: Final = """
SELECT d._account AS account, d._livemode AS livemode, d.id AS id, d."start" AS since, d."end" AS until,
    coalesce(json_extract_string(d.source, '$.coupon.id'), json_extract_string(d.source, '$.coupon')) AS coupon
FROM stripe.discounts AS d
"""
_ON_CUSTOMERS: Final = """
SELECT c._account AS account, c._livemode AS livemode, c.id AS id, c.discount AS discount
FROM stripe.customers AS c
WHERE json_extract_string(c.discount, '$.id') IS NOT NULL
"""
_COUPONS: Final = """
SELECT c._account AS account, c._livemode AS livemode, c.id AS id, c.duration AS duration, c.percent_off AS percent_off,
    c.amount_off AS amount_off, c.currency AS currency, c.currency_options AS options, c.applies_to AS applies_to
FROM stripe.coupons AS c
"""
_INCLUDED: Final = """
SELECT l._account AS account, l._livemode AS livemode,
    json_extract_string(l.parent, '$.subscription_item_details.subscription_item') AS item, l.period AS period, l.taxes AS taxes
FROM stripe.invoice_line_items AS l
WHERE l._deleted_at IS NULL AND json_extract_string(l.parent, '$.subscription_item_details.subscription_item') IS NOT NULL
    AND list_contains(json_extract_string(l.taxes, '$[*].tax_behavior'), 'inclusive')
"""
_USED_UP: Final = """
SELECT l._account AS account, l._livemode AS livemode, l.subscription || '/' || l.discount AS id, max(l.until) AS until
FROM (
    SELECT b._account, b._livemode, json_extract_string(b.parent, '$.subscription_item_details.subscription') AS subscription,
        unnest(json_extract_string(b.discount_amounts, '$[*].discount')) AS discount,
        to_timestamp(CAST(json_extract_string(b.period, '$.end') AS BIGINT)) AS until
    FROM stripe.invoice_line_items AS b
    WHERE b._deleted_at IS NULL
) AS l
WHERE l.subscription IS NOT NULL
GROUP BY 1, 2, 3
"""
_SCHEDULES: Final = """
SELECT s._account AS account, s._livemode AS livemode, s.id AS id, s.subscription AS subscription, s.customer AS customer, s.phases AS phases
FROM stripe.subscription_schedules AS s
WHERE s._deleted_at IS NULL AND s.status IN ('not_started', 'active')
"""
_KNOWN_PRICES: Final = """
SELECT p._account AS account, p._livemode AS livemode, p.id AS id FROM stripe.prices AS p
UNION
SELECT i._account AS account, i._livemode AS livemode, json_extract_string(i.price, '$.id') AS id FROM stripe.subscription_items AS i
"""
_RATES: Final = "SELECT x.id AS id, x.percentage AS percentage FROM stripe.tax_rates AS x WHERE x.inclusive"

_USAGE: Final = """
SELECT l._account AS account, l._livemode AS livemode, json_extract_string(l.parent, '$.subscription_item_details.subscription_item') AS item,
    l.amount AS amount, l.period AS period, l.discount_amounts AS discounts, l.taxes AS taxes, l.invoice AS invoice, i.created AS created,
    json_extract_string(l.pricing, '$.price_details.price') AS price
FROM stripe.invoice_line_items AS l
JOIN stripe.invoices AS i ON i.id = l.invoice AND i._account = l._account AND i._livemode = l._livemode
WHERE l._deleted_at IS NULL AND i._deleted_at IS NULL AND i.status IN ('open', 'paid', 'uncollectible')
    AND json_extract_string(l.parent, '$.subscription_item_details.proration') IS DISTINCT FROM 'true'
"""
_PAID_BACK: Final = """
SELECT p._account AS account, p._livemode AS livemode, p.invoice AS id, i.amount_paid AS paid, sum(r.amount) AS refunded
FROM stripe.invoice_payments AS p
JOIN stripe.invoices AS i ON i.id = p.invoice AND i._account = p._account AND i._livemode = p._livemode
JOIN stripe.refunds AS r ON r._account = p._account AND r._livemode = p._livemode AND r.status = 'succeeded' AND r._deleted_at IS NULL
    AND coalesce(r.payment_intent, r.charge) = coalesce(json_extract_string(p.payment, '$.payment_intent'), json_extract_string(p.payment, '$.charge'))
WHERE p._deleted_at IS NULL AND i.amount_paid > 0
GROUP BY 1, 2, 3, 4
"""

Key = tuple[str, bool, str]


@dataclass(slots=True)
class Scanned:
    """A subscription as it stands.

    Attributes:
        account, livemode, subscription, customer, currency: Whose it is.
        items: Minor units a month by item; empty where it does not count.
        lacking: Items whose price, discounts whose coupon, and prices of phases to come, that are not known here: they count as nothing.
    """

    account: str
    livemode: bool
    subscription: str
    customer: str | None
    currency: str
    items: dict[str, int] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    @property
    def amount(self) -> int:
        """All of its items together."""
        return sum(self.items.values())


@dataclass(frozen=True, slots=True)
class _Term:
    coupon: Key
    since: datetime | None
    until: datetime | None


def scan(warehouse: Warehouse, switches: Switches, zone: str, today: date) -> Iterator[Scanned]:
    """Give every subscription that may count, with what it is worth at the end of a day.

    Args:
        warehouse: Whose typed rows are read, as they are now.
        switches: The policy's.
        zone: Whose day.
        today: The day.
    """
    after = datetime(today.year, today.month, today.day, tzinfo=ZoneInfo(zone)) + timedelta(days=1)
    return _Scan(warehouse, switches, after.astimezone(UTC)).all()


class _Scan:
    def __init__(self, warehouse: Warehouse, switches: Switches, after: datetime) -> None:
        self._warehouse, self._switches, self._after = warehouse, switches, after
        self._prices = {_key(row): row for row in self._rows(_PRICES)}
        self._coupons = {_key(row): row for row in self._rows(_COUPONS)}
        self._terms = {
            _key(row): _Term((row["account"], row["livemode"], row["coupon"]), row["since"], row["until"])
            for row in self._rows(_DISCOUNTS)
        }
        self._customers = {_key(row): _term_of_customer(row) for row in self._rows(_ON_CUSTOMERS)}
        # What is off one invoice only is off for the time that this invoice is for.
        self._used_up = {_key(row): row["until"] for row in self._rows(_USED_UP)} if switches.once else {}
        rates = {row["id"]: row["percentage"] for row in self._rows(_RATES)}
        latest: dict[Key, tuple[int, tuple[float, ...]]] = {}
        for row in self._rows(_INCLUDED):
            start = int((_json(row["period"]) or {}).get("start") or 0)
            named = [(tax.get("tax_rate_details") or {}).get("tax_rate") for tax in _json(row["taxes"]) or ()]
            key = (row["account"], row["livemode"], row["item"])
            found = tuple(sorted({rates[rate] for rate in named if rate in rates}))
            latest[key] = max(latest.get(key, (0, ())), (start, found))
        self._included = {key: found for key, (_, found) in latest.items()}
        self._usage = self._used() if switches.metered == "last_invoiced" else {}
        refunded = self._rows(_PAID_BACK) if switches.refunds == "out" else []
        self._paid_back = {_key(row) for row in refunded if row["refunded"] >= row["paid"]}
        self._items: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(_ITEMS):
            self._items[row["account"], row["livemode"], row["subscription"]].append(row)

    def all(self) -> Iterator[Scanned]:
        to_come = self._unknown_to_come()
        for row in self._rows(_SUBSCRIPTIONS):
            found = Scanned(row["account"], row["livemode"], row["id"], row["customer"], row["currency"] or "")
            if (scheduled := to_come.pop(_key(row), None)) is not None:
                found.lacking += scheduled.lacking
            if self._counts(row):
                self._value(row, found)
            yield found
        yield from to_come.values()

    def _unknown_to_come(self) -> dict[Key, Scanned]:
        """Return the prices of phases to come that are not known here, by subscription, or by schedule where it has none yet."""
        schedules = self._rows(_SCHEDULES)
        known = {_key(row) for row in self._rows(_KNOWN_PRICES)} if schedules else set()
        found: dict[Key, Scanned] = {}
        for row in schedules:
            for phase in _json(row["phases"]) or ():
                prices = _names(item["price"] for item in phase.get("items") or ())
                unknown = [one for one in prices if (row["account"], row["livemode"], one) not in known]
                if not unknown or phase["start_date"] < self._after.timestamp():
                    continue
                key = (row["account"], row["livemode"], row["subscription"] or row["id"])
                found.setdefault(key, Scanned(*key, row["customer"], phase.get("currency") or "")).lacking.extend(
                    unknown
                )
        return found

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        return self._warehouse.query(sql).dicts()

    def _counts(self, row: dict[str, Any]) -> bool:
        on = self._switches
        if row["start_at"] is not None and row["start_at"] >= self._after:
            return False
        on_trial = row["status"] == "trialing" or (row["trial_end"] is not None and row["trial_end"] >= self._after)
        if on_trial and not on.trials:
            return False
        if row["status"] == "past_due" and not on.past_due:
            return False
        if on.cancel == "at_request" and (row["leaving"] or row["cancel_at"] is not None):
            return False
        pause = _json(row["pause"])
        if pause and (pause.get("resumes_at") is None or pause["resumes_at"] >= self._after.timestamp()):
            drafts = pause.get("behavior") == "keep_as_draft"
            if not (on.pause == "in" or (on.pause == "by_behavior" and drafts)):
                return False
        return (row["account"], row["livemode"], row["invoice"]) not in self._paid_back

    def _used(self) -> dict[Key, list[dict[str, Any]]]:
        """Return the lines of invoices by item, the latest period first."""
        found: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows(_USAGE):
            found[row["account"], row["livemode"], row["item"]].append(row | {"period": _json(row["period"])})
        for rows in found.values():
            rows.sort(key=lambda row: (row["period"]["start"], row["created"]), reverse=True)
        return found

    def _last_used(self, key: Key, price: dict[str, Any]) -> int | None:
        """Return what an item was invoiced for its last whole billing period by its price; None where there is none yet."""
        lines = [line for line in self._usage.get(key, []) if line["price"] == price["id"]]
        every = price["recurring"]
        for line in lines:
            start, end = (datetime.fromtimestamp(line["period"][each], UTC) for each in ("start", "end"))
            if end >= _later(start, every["interval"], every["interval_count"]) - timedelta(hours=1):
                same = [one for one in lines if one["invoice"] == line["invoice"] and one["period"] == line["period"]]
                return sum(_untaxed(one) for one in same)
        return None

    def _value(self, row: dict[str, Any], found: Scanned) -> None:
        names = _names(row["discounts"])
        terms = [(name, self._terms.get((found.account, found.livemode, name))) for name in names]
        of_customer = self._customers.get((found.account, found.livemode, found.customer or ""))
        if not names and of_customer is not None:
            terms = [("customer", of_customer)]
        asked: list[Item] = []
        ids: list[str] = []
        for item in sorted(
            self._items[found.account, found.livemode, found.subscription], key=lambda one: str(one["id"])
        ):
            price = _json(item["price"]) or {}
            recurring = price.get("recurring") or {}
            if recurring.get("usage_type") == "metered":
                used = self._last_used((found.account, found.livemode, item["id"]), price)
                if used is not None:
                    every, count = recurring["interval"], recurring["interval_count"]
                    ids.append(item["id"])
                    asked.append(
                        Item(currency=found.currency, unit_amount=used, interval=every, count=count, settled=True)
                    )
                continue
            whole = self._prices.get((found.account, found.livemode, price.get("id") or ""), {})
            taxes = _inclusive(item["taxes"]) or _inclusive(row["taxes"])
            own = [(name, self._terms.get((found.account, found.livemode, name))) for name in _names(item["discounts"])]
            ids.append(item["id"])
            asked.append(
                msgspec.convert(
                    {
                        "quantity": 1 if item["quantity"] is None else item["quantity"],
                        "product": price.get("product"),
                        "currency": price.get("currency") or "",
                        "unit_amount": price.get("unit_amount"),
                        "unit_amount_decimal": price.get("unit_amount_decimal"),
                        "interval": recurring.get("interval", ""),
                        "count": recurring.get("interval_count", 1),
                        "transform": price.get("transform_quantity"),
                        "tiers_mode": price.get("tiers_mode"),
                        "tiers": _json(whole.get("tiers")),
                        "options": _json(whole.get("options")),
                        "taxes": taxes or self._included.get((found.account, found.livemode, item["id"]), ()),
                        "discounts": self._discounts(own, found),
                    },
                    Item,
                    strict=False,
                )
            )
        discounts = self._discounts(terms, found)
        question = Subscription(found.currency, tuple(asked), tuple(discounts), self._switches.thirty_days)
        for id, worth in zip(ids, worths(question), strict=True):
            if worth is None:
                found.lacking.append(id)
            found.items[id] = 0 if worth is None else half_even(worth.net)

    def _discounts(self, terms: list[tuple[str, _Term | None]], found: Scanned) -> list[Discount]:
        kept: list[Discount] = []
        for name, term in terms:
            coupon = None if term is None else self._coupons.get(term.coupon)
            if term is None or coupon is None:
                found.lacking.append(name)
                continue
            if term.since is not None and term.since >= self._after:
                continue
            if term.until is not None and term.until < self._after:
                continue
            duration = coupon["duration"]
            used_up = self._used_up.get((found.account, found.livemode, f"{found.subscription}/{name}"))
            if duration == "once" and used_up is not None and used_up < self._after:
                continue
            counts = duration == "forever" or (duration == "repeating" and self._switches.repeating)
            if counts or (duration == "once" and self._switches.once):
                kept.append(_discount(coupon))
        return kept


def _key(row: dict[str, Any]) -> Key:
    return row["account"], row["livemode"], row["id"]


def _json(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


def _later(start: datetime, interval: str, count: int) -> datetime:
    """Return the end of a billing period, on the same day of the month, or its last."""
    if interval in ("day", "week"):
        return start + timedelta(days=count * (7 if interval == "week" else 1))
    months = start.month - 1 + count * (12 if interval == "year" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def _untaxed(line: dict[str, Any]) -> int:
    """Return the amount of a line less its discounts and the tax that it includes."""
    discounts: int = sum(one["amount"] for one in _json(line["discounts"]) or ())
    included: int = sum(one["amount"] for one in _json(line["taxes"]) or () if one.get("tax_behavior") == "inclusive")
    billed: int = line["amount"]
    return billed - discounts - included


def _names(text: Any) -> list[str]:
    return [one["id"] if isinstance(one, dict) else one for one in _json(text) or ()]


def _inclusive(text: Any) -> tuple[float, ...]:
    return tuple(rate["percentage"] for rate in _json(text) or () if rate.get("inclusive"))


def _term_of_customer(row: dict[str, Any]) -> _Term:
    discount = _json(row["discount"])
    coupon = (discount.get("source") or {}).get("coupon") or discount.get("coupon")
    name = coupon["id"] if isinstance(coupon, dict) else coupon
    moments = [
        None if (at := discount.get(end)) is None else datetime.fromtimestamp(at, UTC) for end in ("start", "end")
    ]
    return _Term((row["account"], row["livemode"], name), *moments)


def _discount(coupon: dict[str, Any]) -> Discount:
    return msgspec.convert(
        {
            "percent_off": coupon["percent_off"],
            "amount_off": coupon["amount_off"],
            "currency": coupon["currency"],
            "options": _json(coupon["options"]),
            "products": (_json(coupon["applies_to"]) or {}).get("products"),
        },
        Discount,
        strict=False,
    )
