"""Stripe's own four financial reports from what is here, with Stripe's columns: summaries and single transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from takings.errors import Invalid
from takings.money import Money
from takings.reports import queries
from takings.reports.export import Column, Sheet
from takings.warehouse import Scope, Warehouse

ReportName = Literal[
    "balance_summary", "balance_change_from_activity", "payout_reconciliation", "ending_balance_reconciliation"
]

#: The reports, each with the type of Stripe's Reporting API that it follows, as a summary and itemised.
#: Source: https://docs.stripe.com/reports/report-types.
REPORTS: Final[dict[ReportName, tuple[str, str | None]]] = {
    "balance_summary": ("balance.summary.1", None),
    "balance_change_from_activity": (
        "balance_change_from_activity.summary.1",
        "balance_change_from_activity.itemized.3",
    ),
    "payout_reconciliation": ("payout_reconciliation.summary.1", "payout_reconciliation.itemized.5"),
    "ending_balance_reconciliation": (
        "ending_balance_reconciliation.summary.1",
        "ending_balance_reconciliation.itemized.4",
    ),
}

BALANCE_COLUMNS: Final = ("category", "description", "net_amount", "currency")
SUMMARY_COLUMNS: Final = ("reporting_category", "currency", "count", "gross", "fee", "net")
_PAYOUT: Final = ("automatic_payout_id", "automatic_payout_effective_at_utc", "automatic_payout_effective_at")
_TRANSACTION: Final = (
    "balance_transaction_id",
    "created_utc",
    "created",
    "available_on_utc",
    "available_on",
    "currency",
    "gross",
    "fee",
    "net",
    "reporting_category",
    "source_id",
    "description",
    "customer_facing_amount",
    "customer_facing_currency",
)
_PAYMENT: Final = (
    "customer_id",
    "charge_id",
    "charge_created_utc",
    "charge_created",
    "payment_intent_id",
    "payment_method_type",
    "card_brand",
    "card_funding",
    "card_country",
    "dispute_reason",
)
ITEM_COLUMNS: Final[dict[ReportName, tuple[str, ...]]] = {
    "balance_change_from_activity": (*_TRANSACTION, *_PAYOUT, *_PAYMENT),
    "payout_reconciliation": (*_PAYOUT, *_TRANSACTION, *_PAYMENT),
    "ending_balance_reconciliation": (*_TRANSACTION, *_PAYOUT, *_PAYMENT),
}
_AMOUNTS: Final = frozenset(("gross", "fee", "net", "net_amount", "customer_facing_amount"))
_CHOSEN: Final[dict[str, str]] = {
    "balance_change_from_activity": "stripe_activity",
    "payout_reconciliation": "stripe_payouts",
    "ending_balance_reconciliation": "stripe_ending",
}
TOTAL: Final = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a report is about.

    Attributes:
        scope: Whose.
        start: First day.
        end: The day after the last.
        zone: IANA name of the zone whose days they are; Stripe's reports have UTC where nothing is asked for.
        currency: Only this one, lower case; None: all, each by itself.
    """

    scope: Scope
    start: date
    end: date
    zone: str = "UTC"
    currency: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the values of the SQL."""
        zone = ZoneInfo(self.zone)
        return {
            "account": self.scope.account,
            "livemode": self.scope.livemode,
            "start": datetime(self.start.year, self.start.month, self.start.day, tzinfo=zone),
            "end": datetime(self.end.year, self.end.month, self.end.day, tzinfo=zone),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A line of the balance summary, minor units."""

    category: str
    description: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategorySum:
    """A line of the other summaries, minor units; ``fee`` is positive where it was taken, as in single transactions."""

    category: str
    currency: str
    count: int
    gross: int
    fee: int
    net: int


class StripeReports:
    """Answers what Stripe's financial reports answer.

    Args:
        warehouse: Where the transactions are.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def balance(self, span: Span) -> list[Balance]:
        """Return the balance summary, currency by currency."""
        sql = f"{queries.statement('stripe_movements')}\n{queries.statement('stripe_balance')}"
        last = span.end - timedelta(days=1)
        lines: list[Balance] = []
        for row in self._warehouse.query(sql, queries.used(sql, span.parameters())).rows:
            currency = row[0]
            if span.currency not in (None, currency):
                continue
            opening, gross, fee, net, paid_gross, paid_fee, paid, ending = (int(value) for value in row[1:])
            said = (
                ("starting_balance", f"Starting balance ({span.start})", opening),
                ("activity_gross", "Account activity before fees", gross),
                ("activity_fee", "Less fees", -fee),
                ("activity", "Activity", net),
                ("payouts_gross", "Payouts to bank", paid_gross),
                ("payouts_fee", "Payout fees", -paid_fee),
                ("payouts", "Total payouts", paid),
                ("ending_balance", f"Ending balance ({last})", ending),
            )
            lines += [
                Balance(category=category, description=text, amount=amount, currency=currency)
                for category, text, amount in said
            ]
        return lines

    def summary(self, name: ReportName, span: Span) -> list[CategorySum]:
        """Return a report's sums by category, each currency followed by its total.

        Raises:
            Invalid: The balance summary has no categories.
        """
        sql = self._sql(name, "stripe_categories")
        found: list[CategorySum] = []
        totals: dict[str, list[int]] = {}
        for category, currency, *figures in self._warehouse.query(sql, queries.used(sql, span.parameters())).rows:
            if span.currency not in (None, currency):
                continue
            count, gross, fee, net = (int(value) for value in figures)
            found.append(CategorySum(category=category, currency=currency, count=count, gross=gross, fee=fee, net=net))
            so_far = totals.setdefault(currency, [0, 0, 0, 0])
            totals[currency] = [a + b for a, b in zip(so_far, (count, gross, fee, net), strict=True)]
        lines: list[CategorySum] = []
        for currency, (count, gross, fee, net) in sorted(totals.items()):
            lines += [one for one in found if one.currency == currency]
            lines.append(CategorySum(category=TOTAL, currency=currency, count=count, gross=gross, fee=fee, net=net))
        return lines

    def items(self, name: ReportName, span: Span) -> Iterator[dict[str, Any]]:
        """Go through a report's transactions, each by the names of ``stripe_items.sql``, however many there are.

        Raises:
            Invalid: The balance summary has no transactions.
        """
        sql = self._sql(name, "stripe_items")
        with self._warehouse.stream(sql, queries.used(sql, span.parameters())) as (columns, batches):
            names = [column.name for column in columns]
            for batch in batches:
                for row in batch:
                    found = dict(zip(names, row, strict=True))
                    if span.currency in (None, found["currency"]):
                        yield found

    def sheet(self, name: ReportName, span: Span, *, itemized: bool = False) -> Sheet:
        """Return a report as Stripe writes it: Stripe's columns, amounts in major units, times without their zone.

        Args:
            name: Which report.
            span: What it is about.
            itemized: Each transaction instead of sums.

        Raises:
            Invalid: The balance summary cannot be itemised.
        """
        stripes = REPORTS[name][itemized]
        if stripes is None:
            raise _not_itemized()
        rows: Iterator[list[Any]]
        columns: tuple[str, ...]
        if name == "balance_summary":
            columns = BALANCE_COLUMNS
            rows = (
                [one.category, one.description, Money(one.amount, one.currency), one.currency]
                for one in self.balance(span)
            )
        elif not itemized:
            columns = SUMMARY_COLUMNS
            rows = (
                [
                    one.category,
                    one.currency,
                    one.count,
                    *(Money(n, one.currency) for n in (one.gross, one.fee, one.net)),
                ]
                for one in self.summary(name, span)
            )
        else:
            columns, zone = ITEM_COLUMNS[name], ZoneInfo(span.zone)
            rows = ([cells[key] for key in columns] for cells in (_cells(one, zone) for one in self.items(name, span)))
        currency = f"_{span.currency}" if span.currency else ""
        title = stripes.rsplit(".", 1)[0].replace(".", "_")
        return Sheet(
            name=f"{title}{currency}_{span.start}_to_{span.end - timedelta(days=1)}_{span.zone.replace('/', '-')}",
            columns=tuple(Column(key, _kind(key)) for key in columns),
            rows=rows,
            zone=span.zone,
            about=(
                ("Report", f"{name}, as Stripe's {stripes}"),
                ("Account", span.scope.account + ("" if span.scope.livemode else " (test)")),
                ("Days", f"{span.start} – {span.end - timedelta(days=1)}, {span.zone}"),
                ("Currency", (span.currency or "each by itself").upper() if span.currency else "each by itself"),
            ),
        )

    def _sql(self, name: ReportName, what: str) -> str:
        if name not in _CHOSEN:
            raise _not_itemized()
        parts = ("stripe_movements", _CHOSEN[name], what)
        return "\n".join(queries.statement(part) for part in parts)


def _not_itemized() -> Invalid:
    return Invalid(
        "reports.not_itemized", "The balance summary has no single transactions: itemise balance_change_from_activity."
    )


def _kind(key: str) -> Any:
    return "major" if key in _AMOUNTS else "number" if key == "count" else "text"


def _cells(row: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Return an itemised line by Stripe's column names."""

    def local(moment: datetime | None, into: ZoneInfo = zone) -> str | None:
        return None if moment is None else f"{moment.astimezone(into):%Y-%m-%d %H:%M:%S}"

    utc = ZoneInfo("UTC")
    currency, facing = row["currency"], row["facing_currency"]
    return {
        "balance_transaction_id": row["id"],
        "created_utc": local(row["created"], utc),
        "created": local(row["created"]),
        "available_on_utc": local(row["available_on"], utc),
        "available_on": local(row["available_on"]),
        "currency": currency,
        "gross": Money(row["gross"], currency),
        "fee": Money(row["fee"], currency),
        "net": Money(row["net"], currency),
        "reporting_category": row["category"],
        "source_id": row["source"],
        "description": row["description"],
        "customer_facing_amount": None if row["facing"] is None or not facing else Money(row["facing"], facing),
        "customer_facing_currency": facing,
        "automatic_payout_id": row["payout"],
        "automatic_payout_effective_at_utc": local(row["payout_effective"], utc),
        "automatic_payout_effective_at": local(row["payout_effective"]),
        "customer_id": row["customer"],
        "charge_id": row["charge"],
        "charge_created_utc": local(row["charge_created"], utc),
        "charge_created": local(row["charge_created"]),
        "payment_intent_id": row["payment_intent"],
        "payment_method_type": row["payment_method_type"],
        "card_brand": row["card_brand"],
        "card_funding": row["card_funding"],
        "card_country": row["card_country"],
        "dispute_reason": row["dispute_reason"],
    }
