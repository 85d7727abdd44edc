"""Revenue recognition: Stripe's own worked examples, one by hand for each trap, and what always holds."""

from __future__ import annotations

import csv
import io
import json
import random
from calendar import timegm
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from takings import app, settings
from takings.cli import main
from takings.metrics import ACCOUNTS, Question
from takings.warehouse import Delivery, Item, Scope


def at(text: str) -> int:
    """Return a moment in UTC as seconds: a day, or a day and a time."""
    moment = datetime.fromisoformat(text)
    return timegm(moment.timetuple())


class Company:
    """Writes Stripe's objects of one account, by hand."""

    def __init__(self, name: str, scope: str | None = None) -> None:
        self.account = name
        self.scope = scope or name
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def invoice(
        self,
        when: str,
        *lines: tuple[int, str | None, str | None],
        currency: str = "usd",
        tax: tuple[int, str] | None = None,
        discount: int = 0,
        paid: str | None = None,
        voided: str | None = None,
        uncollectible: str | None = None,
        balance: tuple[int, int] = (0, 0),
        outside: int = 0,
        status: str | None = None,
        item: str | None = None,
    ) -> str:
        """Add an invoice finalised at a moment; each line has an amount and the period it is for.

        Args:
            tax: On the first line, and whether it is ``inclusive`` or ``exclusive``.
            discount: On the first line.
            balance: The customer's before and after.
            outside: Paid outside Stripe.
        """
        number = len(self.rows["invoices"]) + 1
        id_ = f"in_{self.account}_{number}"
        amounts = tax[0] if tax else 0
        total = sum(amount for amount, *_ in lines) - discount + (amounts if tax and tax[1] == "exclusive" else 0)
        taxes = [{"amount": tax[0], "tax_behavior": tax[1]}] if tax else []
        for place, (amount, start, end) in enumerate(lines):
            moment = at(start or when)
            parent = {"invoice_item_details": {"invoice_item": item}} if item and place == 0 else None
            self.rows["invoice_line_items"].append(
                {
                    "id": f"il_{self.account}_{number}_{place}",
                    "invoice": id_,
                    "amount": amount,
                    "currency": currency,
                    "period": {"start": moment, "end": at(end) if end else moment},
                    "discount_amounts": [{"amount": discount}] if discount and place == 0 else [],
                    "taxes": taxes if place == 0 else [],
                    "parent": parent,
                }
            )
        state = status or ("void" if voided else "paid" if paid else "uncollectible" if uncollectible else "open")
        self.rows["invoices"].append(
            {
                "id": id_,
                "created": at(when),
                "currency": currency,
                "customer": f"cus_{self.account}",
                "status": state,
                "total": total,
                "total_taxes": taxes,
                "starting_balance": balance[0],
                "ending_balance": balance[1],
                "amount_paid_off_stripe": outside,
                "status_transitions": {
                    "finalized_at": None if state == "draft" else at(when),
                    "paid_at": at(paid) if paid else None,
                    "voided_at": at(voided) if voided else None,
                    "marked_uncollectible_at": at(uncollectible) if uncollectible else None,
                },
            }
        )
        return id_

    def pay(
        self,
        invoice: str | None,
        when: str,
        amount: int,
        currency: str = "usd",
        *,
        settled: tuple[int, str] | None = None,
        fee: int = 0,
    ) -> str:
        """Add a charge, attached to an invoice or alone, and its balance transaction."""
        number = len(self.rows["charges"]) + 1
        charge, intent = f"ch_{self.account}_{number}", f"pi_{self.account}_{number}"
        self.rows["charges"].append(
            {
                "id": charge,
                "created": at(when),
                "payment_intent": intent,
                "amount": amount,
                "amount_captured": amount,
                "currency": currency,
                "customer": f"cus_{self.account}",
            }
        )
        if invoice:
            self.rows["invoice_payments"].append(
                {
                    "id": f"inpay_{self.account}_{number}",
                    "invoice": invoice,
                    "status": "paid",
                    "amount_paid": amount,
                    "amount_requested": amount,
                    "currency": currency,
                    "created": at(when),
                    "payment": {"type": "payment_intent", "payment_intent": intent},
                }
            )
        self._moved("charge", charge, when, *(settled or (amount, currency)), fee=fee)
        return charge

    def back(
        self,
        kind: str,
        charge: str,
        when: str,
        amount: int,
        currency: str = "usd",
        *,
        settled: tuple[int, str] | None = None,
    ) -> str:
        """Add a refund or dispute with its balance transaction; an amount below 0 gives it back."""
        table = "refunds" if kind.startswith("refund") else "disputes"
        id_ = f"{'re' if table == 'refunds' else 'dp'}_{self.account}_{len(self.rows[table]) + 1}"
        if amount > 0:
            self.rows[table].append(
                {"id": id_, "created": at(when), "charge": charge, "amount": amount, "currency": currency}
            )
        else:
            id_ = f"{'re' if table == 'refunds' else 'dp'}_{self.account}_{len(self.rows[table])}"
        minor, into = settled or (amount, currency)
        self._moved(kind, id_, when, -minor, into)
        return id_

    def credit_note(
        self,
        invoice: str,
        when: str,
        amount: int,
        *,
        before: int = 0,
        balance: int = 0,
        outside: int = 0,
        refunds: dict[str, int] | None = None,
        lines: dict[str, int] | None = None,
        voided: str | None = None,
    ) -> str:
        """Add a credit note without tax: what it takes off before payment, gives to the balance, outside or by refunds."""
        id_ = f"cn_{self.account}_{len(self.rows['credit_notes']) + 1}"
        del balance
        self.rows["credit_notes"].append(
            {
                "id": id_,
                "created": at(when),
                "invoice": invoice,
                "customer": f"cus_{self.account}",
                "amount": amount,
                "currency": "usd",
                "pre_payment_amount": before,
                "post_payment_amount": amount - before,
                "out_of_band_amount": outside or None,
                "refunds": [{"refund": name, "amount_refunded": part} for name, part in (refunds or {}).items()],
                "voided_at": at(voided) if voided else None,
            }
        )
        for place, (line, part) in enumerate((lines or {"": amount}).items()):
            self.rows["credit_note_line_items"].append(
                {
                    "id": f"cnli_{id_}_{place}",
                    "_parent": id_,
                    "invoice_line_item": line or None,
                    "amount": part,
                    "discount_amount": 0,
                    "taxes": [],
                }
            )
        return id_

    def item(self, when: str, amount: int, start: str, end: str, invoice: str | None = None) -> str:
        """Add an invoice item."""
        id_ = f"ii_{self.account}_{len(self.rows['invoiceitems']) + 1}"
        self.rows["invoiceitems"].append(
            {
                "id": id_,
                "date": at(when),
                "amount": amount,
                "net_amount": amount,
                "customer": f"cus_{self.account}",
                "currency": "usd",
                "invoice": invoice,
                "period": {"start": at(start), "end": at(end)},
            }
        )
        return id_

    def _moved(self, category: str, source: str, when: str, amount: int, currency: str, *, fee: int = 0) -> None:
        id_ = f"txn_{self.account}_{len(self.rows['balance_transactions']) + 1}"
        self.rows["balance_transactions"].append(
            {
                "id": id_,
                "created": at(when),
                "amount": amount,
                "fee": fee,
                "net": amount - fee,
                "currency": currency,
                "reporting_category": category,
                "source": source,
            }
        )

    def write(self, parts: app.App, *others: Company) -> None:
        """Put them, and those of others of the same account, into the warehouse."""
        for other in others:
            for table, rows in other.rows.items():
                self.rows[table] += rows
        now = datetime(2026, 11, 1, tzinfo=UTC)
        deliveries = []
        for table, rows in self.rows.items():
            by_parent: dict[str | None, list[Item]] = defaultdict(list)
            for row in rows:
                body = {name: value for name, value in row.items() if name != "_parent"}
                by_parent[row.get("_parent")].append(
                    Item.of(row["id"], row.get("created", 0), json.dumps(body).encode())
                )
            for parent, items in by_parent.items():
                deliveries.append(
                    Delivery(
                        table=table,
                        scope=Scope(self.scope, True),
                        items=tuple(items),
                        as_of=now,
                        known_at=now,
                        source="list",
                        api_version="0",
                        **({"parent": parent} if parent else {}),
                    )
                )
        parts.warehouse.writer().write(deliveries)


def quarter(company: Company, **said: Any) -> str:
    """Add what most of Stripe's examples begin with: 90 for January to March 2019."""
    return company.invoice("2019-01-01", (9000, "2019-01-01", "2019-04-01"), **said)


CONTRA_PAGE = "https://docs.stripe.com/revenue-recognition/examples/contra"
NOTES_PAGE = "https://docs.stripe.com/revenue-recognition/examples/credit-notes"
SUBSCRIPTIONS_PAGE = "https://docs.stripe.com/revenue-recognition/examples/subscriptions"
TAX_PAGE = "https://docs.stripe.com/revenue-recognition/examples/tax"
OTHER_PAGE = "https://docs.stripe.com/revenue-recognition/examples/other"

Summary = dict[str, dict[str, int]]


def monthly(c: Company) -> Summary:
    c.pay(c.invoice("2019-01-15", (3100, "2019-01-15", "2019-02-15"), paid="2019-01-15"), "2019-01-15", 3100)
    return {"Revenue": {"01": 1700, "02": 1400}, "DeferredRevenue": {"01": 1400, "02": -1400}, "Cash": {"01": 3100}}


def upgrade(c: Company) -> Summary:
    c.invoice("2019-04-01", (9000, "2019-04-01", "2019-05-01"))
    c.invoice(
        "2019-05-01",
        (-3000, "2019-04-21", "2019-05-01"),
        (4000, "2019-04-21", "2019-05-01"),
        (12000, "2019-05-01", "2019-06-01"),
    )
    return {
        "Revenue": {"04": 10000, "05": 12000},
        "AccountsReceivable": {"04": 9000, "05": 13000},
        "UnbilledAccountsReceivable": {"04": 1000, "05": -1000},
    }


def downgrade(c: Company) -> Summary:
    c.invoice("2019-04-01", (9000, "2019-04-01", "2019-05-01"))
    c.invoice(
        "2019-05-01",
        (-3000, "2019-04-21", "2019-05-01"),
        (1000, "2019-04-21", "2019-05-01"),
        (3000, "2019-05-01", "2019-06-01"),
    )
    return {
        "Revenue": {"04": 7000, "05": 3000},
        "AccountsReceivable": {"04": 9000, "05": 1000},
        "UnbilledAccountsReceivable": {"04": -2000, "05": 2000},
    }


def customer_balance(c: Company) -> Summary:
    made = c.invoice("2019-01-15", (3100, "2019-01-15", "2019-02-15"), balance=(-1100, 0), paid="2019-02-09")
    c.pay(made, "2019-02-09", 2000)
    return {
        "AccountsReceivable": {"01": 2000, "02": -2000},
        "Cash": {"02": 2000},
        "CustomerBalance": {"01": -1100},
        "Revenue": {"01": 1700, "02": 1400},
        "DeferredRevenue": {"01": 1400, "02": -1400},
    }


def negative_invoice(c: Company) -> Summary:
    c.invoice("2019-01-15", (-3100, "2019-01-15", "2019-02-15"), balance=(0, -3100), paid="2019-01-15")
    return {
        "CustomerBalance": {"01": 3100},
        "Revenue": {"01": -1700, "02": -1400},
        "DeferredRevenue": {"01": -1400, "02": 1400},
    }


def refund(c: Company) -> Summary:
    c.back("refund", c.pay(quarter(c, paid="2019-01-01"), "2019-01-01", 9000), "2019-02-01", 9000)
    return {
        "Revenue": {"01": 3100},
        "DeferredRevenue": {"01": 5900, "02": -5900},
        "Cash": {"01": 9000, "02": -9000},
        "Refunds": {"02": 3100},
    }


def partial_refund(c: Company) -> Summary:
    c.back("refund", c.pay(quarter(c, paid="2019-01-01"), "2019-01-01", 9000), "2019-02-01", 900)
    return {
        "Revenue": {"01": 3100, "02": 2520, "03": 2790},
        "DeferredRevenue": {"01": 5900, "02": -3110, "03": -2790},
        "Cash": {"01": 9000, "02": -900},
        "Refunds": {"02": 310},
    }


def void(c: Company) -> Summary:
    quarter(c, voided="2019-02-01")
    return {
        "AccountsReceivable": {"01": 9000, "02": -9000},
        "Revenue": {"01": 3100},
        "DeferredRevenue": {"01": 5900, "02": -5900},
        "Voids": {"02": 3100},
    }


WRITTEN_OFF: Summary = {
    "AccountsReceivable": {"01": 9000, "02": -9000},
    "Revenue": {"01": 3100},
    "DeferredRevenue": {"01": 5900, "02": -5900},
    "BadDebt": {"02": 3100},
}


def uncollectible(c: Company) -> Summary:
    quarter(c, uncollectible="2019-02-01")
    return WRITTEN_OFF


def uncollectible_paid(c: Company) -> Summary:
    c.pay(quarter(c, uncollectible="2019-02-01", paid="2019-04-01"), "2019-04-01", 9000)
    return {**WRITTEN_OFF, "BadDebt": {"02": 3100, "04": -3100}, "Cash": {"04": 9000}, "Recoverables": {"04": 5900}}


def uncollectible_voided(c: Company) -> Summary:
    quarter(c, uncollectible="2019-02-01", voided="2019-04-01")
    return {**WRITTEN_OFF, "BadDebt": {"02": 3100, "04": -3100}, "Voids": {"04": 3100}}


def uncollectible_disputed(c: Company) -> Summary:
    charge = c.pay(quarter(c, uncollectible="2019-02-01", paid="2019-04-01"), "2019-04-01", 9000)
    c.back("dispute", charge, "2019-05-01", 9000)
    return {
        **WRITTEN_OFF,
        "BadDebt": {"02": 3100, "04": -3100},
        "Cash": {"04": 9000, "05": -9000},
        "Disputes": {"05": 3100},
        "Recoverables": {"04": 5900, "05": -5900},
    }


def uncollectible_with_credit(c: Company) -> Summary:
    """The page rounds 10.97 and 4.97 to 11 and 5, and counts to the end of January."""
    c.invoice("2019-01-15", (3100, "2019-01-15", "2019-02-15"), balance=(-1100, 0), uncollectible="2019-02-01")
    return {
        "AccountsReceivable": {"01": 2000, "02": -2000},
        "BadDebt": {"02": 1097},
        "CustomerBalance": {"01": -1100},
        "Recoverables": {"02": 497},
        "Revenue": {"01": 1700},
        "DeferredRevenue": {"01": 1400, "02": -1400},
    }


def uncollectible_with_debt(c: Company) -> Summary:
    c.invoice("2019-01-15", (3100, "2019-01-15", "2019-02-15"), balance=(1000, 0), uncollectible="2019-02-01")
    return {
        "AccountsReceivable": {"01": 4100, "02": -4100},
        "BadDebt": {"02": 1700},
        "CustomerBalance": {"01": 1000},
        "Recoverables": {"02": -1000},
        "Revenue": {"01": 1700},
        "DeferredRevenue": {"01": 1400, "02": -1400},
    }


def dispute_won(c: Company) -> Summary:
    charge = c.pay(quarter(c, paid="2019-01-01"), "2019-01-01", 9000)
    c.back("dispute", charge, "2019-02-01", 9000)
    c.back("dispute_reversal", charge, "2019-04-01", -9000)
    return {
        "Revenue": {"01": 3100},
        "DeferredRevenue": {"01": 5900, "02": -5900},
        "Cash": {"01": 9000, "02": -9000, "04": 9000},
        "Disputes": {"02": 3100},
        "Recoverables": {"04": 9000},
    }


def other_loss(c: Company) -> Summary:
    """Ten parts of 31 days, so that a tenth is earned at each event as on the page, but for a cent that is not whole yet."""
    charge = c.pay(c.invoice("2019-01-01", (10000, "2019-01-01", "2019-11-07"), paid="2019-01-01"), "2019-01-01", 10000)
    c.back("refund", charge, "2019-02-01", 8000)
    c.back("dispute", charge, "2019-03-04", 8000)
    return {
        "Cash": {"01": 10000, "02": -8000, "03": -8000},
        "Revenue": {"01": 1000, "02": 180, "03": 19},
        "DeferredRevenue": {"01": 9000, "02": -7380, "03": -1620},
        "Refunds": {"02": 800},
        "Disputes": {"03": 399},
        "OtherLoss": {"03": 6000},
    }


def note_before_payment(c: Company) -> Summary:
    made = c.invoice("2019-01-01", (12000, "2019-01-01", "2019-04-01"), paid="2019-02-01")
    c.credit_note(made, "2019-01-01", 3000, before=3000)
    c.pay(made, "2019-02-01", 9000)
    return {
        "AccountsReceivable": {"01": 9000, "02": -9000},
        "Cash": {"02": 9000},
        "Revenue": {"01": 3100, "02": 2800, "03": 3100},
        "DeferredRevenue": {"01": 5900, "02": -2800, "03": -3100},
    }


def note_after_payment(c: Company) -> Summary:
    """The page splits 15.50 of contra revenue into 5.10 and 10.40; by thirds it is 5.16 and 10.34."""
    made = quarter(c, paid="2019-01-01")
    back = c.back("refund", c.pay(made, "2019-01-01", 9000), "2019-02-01", 1500)
    c.credit_note(made, "2019-02-01", 4500, balance=1000, outside=2000, refunds={back: 1500})
    return {
        "Cash": {"01": 9000, "02": -1500},
        "Revenue": {"01": 3100, "02": 1400, "03": 1550},
        "DeferredRevenue": {"01": 5900, "02": -4350, "03": -1550},
        "Refunds": {"02": 516},
        "CreditNotes": {"02": 1034},
        "CustomerBalance": {"02": 1000},
        "ExternalCustomerBalance": {"02": 2000},
    }


def note_and_its_voiding(c: Company) -> Summary:
    made = c.invoice("2019-01-01", (18100, "2019-01-01", "2019-07-01"))
    c.credit_note(made, "2019-02-01", 9050, before=9050, voided="2019-05-03")
    return {
        "AccountsReceivable": {"01": 18100, "02": -9050, "05": 9050},
        "Revenue": {"01": 3100, "02": 1400, "03": 1550, "04": 1500, "05": 7550, "06": 3000},
        "DeferredRevenue": {"01": 15000, "02": -8900, "03": -1550, "04": -1500, "05": -50, "06": -3000},
        "CreditNotes": {"02": 1550, "05": -1550},
    }


def tax_exclusive(c: Company) -> Summary:
    made = c.invoice("2019-01-01", (3100, "2019-01-01", "2019-02-01"), tax=(310, "exclusive"), paid="2019-01-01")
    c.pay(made, "2019-01-01", 3410)
    return {"Revenue": {"01": 3100}, "Cash": {"01": 3410}, "TaxLiability": {"01": 310}}


def tax_inclusive(c: Company) -> Summary:
    made = c.invoice("2019-01-01", (3100, "2019-01-01", "2019-02-01"), tax=(310, "inclusive"), paid="2019-01-01")
    c.pay(made, "2019-01-01", 3100)
    return {"Revenue": {"01": 2790}, "Cash": {"01": 3100}, "TaxLiability": {"01": 310}}


def external_asset(c: Company) -> Summary:
    c.invoice("2019-01-01", (3100, "2019-01-01", "2019-02-01"), paid="2019-02-05", outside=3100)
    return {"AccountsReceivable": {"01": 3100, "02": -3100}, "Revenue": {"01": 3100}, "ExternalAsset": {"02": 3100}}


def fees(c: Company) -> Summary:
    c.pay(quarter(c, paid="2019-01-01"), "2019-01-01", 9000, fee=2)
    return {
        "Revenue": {"01": 3100, "02": 2800, "03": 3100},
        "DeferredRevenue": {"01": 5900, "02": -2800, "03": -3100},
        "Cash": {"01": 8998},
        "Fees": {"01": 2},
    }


def one_time(c: Company) -> Summary:
    c.back("refund", c.pay(None, "2019-01-01", 9000), "2019-02-01", 9000)
    return {"Revenue": {"01": 9000}, "Refunds": {"02": 9000}, "Cash": {"01": 9000, "02": -9000}}


# From here by hand.


def leap_february(c: Company) -> Summary:
    """58 days, 29 of them in February 2020."""
    c.invoice("2020-02-01", (5800, "2020-02-01", "2020-03-30"))
    return {
        "AccountsReceivable": {"02": 5800},
        "Revenue": {"02": 2900, "03": 2900},
        "DeferredRevenue": {"02": 2900, "03": -2900},
    }


def one_second(c: Company) -> Summary:
    """The last second of a month earns all."""
    c.invoice("2019-01-31T23:59:59", (777, "2019-01-31T23:59:59", "2019-02-01"))
    return {"AccountsReceivable": {"01": 777}, "Revenue": {"01": 777}}


def last_cents(c: Company) -> Summary:
    """100 over 91 days: 34.07, 30.77 and 35.16; the largest remainders, .93 and .77, take the two cents left over."""
    c.invoice("2019-01-01", (100, "2019-01-01", "2019-04-02"))
    return {
        "AccountsReceivable": {"01": 100},
        "Revenue": {"01": 34, "02": 31, "03": 34, "04": 1},
        "DeferredRevenue": {"01": 66, "02": -31, "03": -34, "04": -1},
    }


def year_over_its_end(c: Company) -> Summary:
    """A year from October, through both changes of the clock in Paris, which UTC has not: 36 500 over 365 days."""
    c.invoice("2018-10-01", (36500, "2018-10-01", "2019-10-01"))
    return {
        "Revenue": {
            "10": 3100, "11": 3000, "12": 3100, "01": 3100, "02": 2800, "03": 3100, "04": 3000, "05": 3100, "06": 3000,
            "07": 3100, "08": 3100, "09": 3000,
        },
        "AccountsReceivable": {"10": 36500},
        "DeferredRevenue": {
            "10": 33400, "11": -3000, "12": -3100, "01": -3100, "02": -2800, "03": -3100, "04": -3000, "05": -3100, "06": -3000,
            "07": -3100, "08": -3100, "09": -3000,
        },
    }  # fmt: skip


def refund_half_way(c: Company) -> Summary:
    """A month of 30 days, half refunded at the end of its 15th: 15 earned, 7.50 of it taken back, and 7.50 still to earn."""
    c.back(
        "refund",
        c.pay(c.invoice("2019-04-01", (3000, "2019-04-01", "2019-05-01")), "2019-04-01", 3000),
        "2019-04-16",
        1500,
    )
    return {"Revenue": {"04": 2250}, "Refunds": {"04": 750}, "Cash": {"04": 1500}}


def void_after_two_months(c: Company) -> Summary:
    quarter(c, voided="2019-03-01", tax=(1800, "exclusive"))
    return {
        "AccountsReceivable": {"01": 10800, "03": -10800},
        "TaxLiability": {"01": 1800, "03": -1800},
        "Revenue": {"01": 3100, "02": 2800},
        "DeferredRevenue": {"01": 5900, "02": -2800, "03": -3100},
        "Voids": {"03": 5900},
    }


def note_beyond_what_is_deferred(c: Company) -> Summary:
    """80 of 90 credited when 31 are still deferred: eight ninths of both parts."""
    made = quarter(c)
    c.credit_note(made, "2019-03-01", 8000, before=8000)
    return {
        "AccountsReceivable": {"01": 9000, "03": -8000},
        "Revenue": {"01": 3100, "02": 2800, "03": 345},
        "DeferredRevenue": {"01": 5900, "02": -2800, "03": -3100},
        "CreditNotes": {"03": 5245},
    }


def yen_in_euros(c: Company) -> Summary:
    """Paid in yen, settled in euros, half refunded at another rate: both currencies balance, and Cash is the balance's."""
    made = c.invoice("2019-01-01", (3100, "2019-01-01", "2019-02-01"), currency="jpy")
    charge = c.pay(made, "2019-01-01", 3100, "jpy", settled=(2500, "eur"), fee=100)
    c.back("refund", charge, "2019-02-01", 1550, "jpy", settled=(1300, "eur"))
    return {
        "Revenue": {"01": 3100},
        "Refunds": {"02": 1550},
        "CurrencyExchange": {"01": 3100 - 2500, "02": -1550 + 1300},
        "Cash": {"01": 2400, "02": -1300},
        "Fees": {"01": 100},
    }


def dinar(c: Company) -> Summary:
    """Three decimals: 31.000 dinars are 31 000 fils."""
    c.invoice("2019-01-15", (31000, "2019-01-15", "2019-02-15"), currency="kwd")
    return {
        "AccountsReceivable": {"01": 31000},
        "Revenue": {"01": 17000, "02": 14000},
        "DeferredRevenue": {"01": 14000, "02": -14000},
    }


def nothing(c: Company) -> Summary:
    """A line of 0 and a line fully discounted: no entry."""
    c.invoice("2019-01-01", (0, "2019-01-01", "2019-02-01"))
    c.invoice("2019-01-01", (500, "2019-01-01", "2019-02-01"), discount=500)
    return {}


def discounted(c: Company) -> Summary:
    c.invoice("2019-01-15", (4100, "2019-01-15", "2019-02-15"), discount=1000)
    return {
        "AccountsReceivable": {"01": 3100},
        "Revenue": {"01": 1700, "02": 1400},
        "DeferredRevenue": {"01": 1400, "02": -1400},
    }


def no_period(c: Company) -> Summary:
    c.invoice("2019-01-15", (3100, None, None))
    return {"AccountsReceivable": {"01": 3100}, "Revenue": {"01": 3100}}


def note_by_line(c: Company) -> Summary:
    """A credit note on the second line leaves the first alone."""
    made = c.invoice("2019-01-01", (3100, "2019-01-01", "2019-02-01"), (9000, "2019-01-01", "2019-04-01"))
    c.credit_note(made, "2019-02-01", 9000, before=9000, lines={f"il_{c.account}_1_1": 9000})
    return {
        "AccountsReceivable": {"01": 12100, "02": -9000},
        "Revenue": {"01": 6200},
        "DeferredRevenue": {"01": 5900, "02": -5900},
        "CreditNotes": {"02": 3100},
    }


def waiting_item(c: Company) -> Summary:
    c.item("2019-05-14", 3100, "2019-05-14", "2019-06-14")
    return {"Revenue": {"05": 1800, "06": 1300}, "UnbilledAccountsReceivable": {"05": 1800, "06": 1300}}


def draft(c: Company) -> Summary:
    c.invoice("2019-01-15", (3100, "2019-01-15", "2019-02-15"), status="draft")
    return {}


EXAMPLES = {
    SUBSCRIPTIONS_PAGE: (monthly, upgrade, downgrade),
    CONTRA_PAGE: (
        customer_balance, negative_invoice, refund, partial_refund, void, uncollectible, uncollectible_paid,
        uncollectible_voided, uncollectible_disputed, uncollectible_with_credit, uncollectible_with_debt, dispute_won, other_loss,
    ),
    NOTES_PAGE: (note_before_payment, note_after_payment, note_and_its_voiding),
    TAX_PAGE: (tax_exclusive, tax_inclusive),
    OTHER_PAGE: (external_asset, fees),
    "https://docs.stripe.com/revenue-recognition/methodology/refunds-and-disputes": (one_time,),
    "by hand": (
        leap_february, one_second, last_cents, year_over_its_end, refund_half_way, void_after_two_months,
        note_beyond_what_is_deferred, yen_in_euros, dinar, nothing, discounted, no_period, note_by_line, waiting_item, draft,
    ),
}  # fmt: skip
APART = ("monthly", "partial_refund", "fees", "dinar")  # asked for by account
ALL = [example for those in EXAMPLES.values() for example in those]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[app.App, dict[str, Summary]]]:
    """Every example, each an account of its own, in one warehouse."""
    folder = tmp_path_factory.mktemp("book")
    with closing(app.build(settings.load({"TAKINGS_HOME": str(folder), "TAKINGS_WAREHOUSE": "duckdb"}))) as parts:
        wanted = {}
        by_scope: dict[str, list[Company]] = defaultdict(list)
        for example in ALL:
            name = example.__name__
            company = Company(name, name if name in APART else "examples")
            wanted[name] = example(company)
            by_scope[company.scope].append(company)
        for company in (*waterfalls(), *(random_company(seed) for seed in SEEDS)):
            by_scope[company.scope].append(company)
        for first, *others in by_scope.values():
            first.write(parts, *others)
        parts.builder.build("UTC")
        yield parts, wanted


@pytest.mark.parametrize("name", [example.__name__ for example in ALL])
def test_an_example_comes_out_as_published(book: tuple[app.App, dict[str, Summary]], name: str) -> None:
    parts, wanted = book
    rows = parts.warehouse.query(
        "SELECT l.ledger, strftime(l.day_utc, '%m'), CAST(SUM(l.amount) AS BIGINT) FROM metrics.journal_lines AS l "
        "WHERE l.customer = 'cus_' || $name GROUP BY 1, 2",
        {"name": name},
    ).rows
    found: Summary = defaultdict(dict)
    for ledger, month, amount in rows:
        sign = -1 if ACCOUNTS[ledger] in ("Liabilities", "Revenue", "Gains") else 1
        if amount:
            found[ledger][month] = sign * amount
    assert dict(found) == wanted[name]


def test_the_waterfall_is_as_published(book: tuple[app.App, dict[str, Summary]]) -> None:
    """https://docs.stripe.com/revenue-recognition/reports/waterfall: simple, void, tax, and invoice items."""
    parts, _ = book

    def rows(name: str) -> list[tuple[str, int, dict[str, int]]]:
        found = parts.journal.waterfall(date(2025, 1, 1), date(2025, 12, 1), date(2026, 1, 1), account=name)
        return [(one.month, one.total, one.by_month) for one in found]

    assert rows("waterfall_simple") == [("2025-07", 3100, {"2025-07": 1100, "2025-08": 2000})]
    assert rows("waterfall_tax") == rows("waterfall_simple")
    assert rows("waterfall_void") == [
        ("2025-07", 3100, {"2025-07": 1100, "2025-08": 2000}),
        ("2025-09", -3100, {"2025-09": -3100}),
    ]
    assert rows("waterfall_item") == [
        ("2025-05", 3100, {"2025-05": 1800, "2025-06": 1300}),
        ("2025-06", 6200, {"2025-06": 2000, "2025-07": 4200}),
    ]
    (later,) = parts.journal.waterfall(date(2025, 7, 1), date(2025, 8, 1), date(2025, 8, 1), account="waterfall_simple")
    assert (later.total, later.by_month, later.later) == (3100, {"2025-07": 1100}, 2000)


def waterfalls() -> list[Company]:
    """Return the companies of the waterfall's examples; its June line is here 62 days' worth from June 11."""
    simple, tax, void_, item = (Company(f"waterfall_{name}") for name in ("simple", "tax", "void", "item"))
    simple.invoice("2025-07-14", (3100, "2025-07-21", "2025-08-21"))
    tax.invoice("2025-07-14", (3500, "2025-07-21", "2025-08-21"), tax=(400, "inclusive"))
    void_.invoice("2025-07-14", (3100, "2025-07-21", "2025-08-21"), voided="2025-09-12")
    made = item.item("2025-05-14", 3100, "2025-05-14", "2025-06-14")
    item.invoice("2025-06-19", (3100, "2025-05-14", "2025-06-14"), (6200, "2025-06-21", "2025-07-22"), item=made)
    return [simple, tax, void_, item]


def random_company(seed: int) -> Company:
    """Return a company with a bit of everything, the same for the same seed."""
    dice = random.Random(seed)
    company = Company(f"random_{seed}", "random")
    for _ in range(12):
        begin = datetime.fromisoformat("2024-01-01") + timedelta(seconds=dice.randrange(60_000_000))
        lines = []
        for _ in range(dice.randrange(1, 4)):
            starts = begin + timedelta(seconds=dice.choice((0, 0, -3600, 90_000, -5_000_000)))
            long = dice.choice((0, 1, 86_400, 2_600_000, 31_536_000, 40_000_000))
            lines.append(
                (
                    dice.choice((0, 1, 99, 1_000, 123_457)),
                    starts.isoformat(),
                    (starts + timedelta(seconds=long)).isoformat(),
                )
            )
        if dice.random() < 0.3:
            lines.append((-dice.randrange(1, 90), begin.isoformat(), (begin + timedelta(days=20)).isoformat()))
        total = sum(amount for amount, *_ in lines)
        tax = (max(total, 0) * dice.choice((0, 7, 20)) // 100, dice.choice(("inclusive", "exclusive")))
        gross = total + (tax[0] if tax[1] == "exclusive" else 0)
        later = [(begin + timedelta(seconds=dice.randrange(1, 20_000_000))).isoformat() for _ in range(5)]
        later.sort()
        fate = dice.choice(("open", "paid", "paid", "paid", "void", "uncollectible", "recovered"))
        note = dice.randrange(1, gross) if gross > 100 and dice.random() < 0.4 else 0
        made = company.invoice(
            begin.isoformat(),
            *lines,
            tax=tax if tax[0] else None,
            paid=later[3] if fate in ("paid", "recovered") else None,
            voided=later[2] if fate == "void" else None,
            uncollectible=later[2] if fate in ("uncollectible", "recovered") else None,
        )
        if note:
            company.credit_note(
                made, later[0], note, before=note, voided=later[1] if dice.random() < 0.3 and fate == "open" else None
            )
        if fate in ("paid", "recovered") and gross - note > 0:
            charge = company.pay(made, later[3], gross - note, fee=dice.randrange(50))
            for _ in range(dice.randrange(3)):
                part = dice.randrange(1, gross + 100)
                company.back(dice.choice(("refund", "dispute")), charge, later[4], part)
                if dice.random() < 0.3:
                    kind = (
                        "refund_failure"
                        if company.rows["balance_transactions"][-1]["reporting_category"] == "refund"
                        else "dispute_reversal"
                    )
                    company.back(kind, charge, "2026-10-01", -part)
    return company


SEEDS = range(12)


def test_what_always_holds(book: tuple[app.App, dict[str, Summary]]) -> None:
    """Entries balance, what was billed is earned or deferred at every moment, cash is the balance's, receivables are what is open."""
    parts, _ = book
    ask = parts.warehouse.query
    assert (
        ask(
            "SELECT entry FROM metrics.journal_lines GROUP BY account, entry HAVING SUM(amount) <> 0 OR COUNT(*) <> 2"
        ).rows
        == []
    )
    assert (
        ask(
            "SELECT currency FROM metrics.journal_lines GROUP BY account, currency, day_utc HAVING SUM(amount) <> 0"
        ).rows
        == []
    )
    assert (
        ask(
            "SELECT l.account, l.currency FROM (SELECT account, currency, SUM(amount) AS a FROM metrics.journal_lines "
            "WHERE ledger = 'Cash' GROUP BY 1, 2) AS l FULL JOIN (SELECT _account AS account, currency, SUM(net) AS a "
            "FROM stripe.balance_transactions GROUP BY 1, 2) AS t ON t.account = l.account AND t.currency = l.currency "
            "WHERE COALESCE(l.a, 0) <> COALESCE(t.a, 0)"
        ).rows
        == []
    )
    # Every line ends with nothing deferred and nothing unbilled, whatever happened to it.
    for ledger in ("DeferredRevenue", "UnbilledAccountsReceivable"):
        left = ask(
            f"SELECT account, line, SUM(amount) FROM metrics.journal_lines WHERE ledger = '{ledger}' AND customer <> 'cus_waiting_item' "
            "GROUP BY 1, 2 HAVING SUM(amount) <> 0"
        ).rows
        assert left == [], ledger
    for day in ("2024-03-01", "2024-07-15", "2025-01-01", "2025-02-11", "2025-12-31"):
        end = date.fromisoformat(day)
        lines, where = parts.figures.source(Question("journal_difference", end=end))
        off = ask(
            f"SELECT l.account, l.line, SUM(l.amount) FROM {lines} AS l WHERE {where} AND l.line IS NOT NULL AND l.ledger IN "
            "('Revenue', 'DeferredRevenue', 'UnbilledAccountsReceivable') AND l.event IN ('invoice_finalized', "
            "'revenue_recognized') GROUP BY 1, 2"
        ).rows
        billed = {
            (account, line): net
            for account, line, net in ask(
                "SELECT l.account, l.line, SUM(l.amount) FROM metrics.journal_lines AS l WHERE l.event = 'invoice_finalized' "
                f"AND l.ledger IN ('Revenue', 'DeferredRevenue', 'UnbilledAccountsReceivable') AND l.day_utc < DATE '{day}' GROUP BY 1, 2"
            ).rows
        }
        assert {(account, line): net for account, line, net in off if net} == {
            key: net for key, net in billed.items() if net
        }


def test_receivables_are_what_is_open(book: tuple[app.App, dict[str, Summary]]) -> None:
    parts, _ = book
    rows = parts.warehouse.query(
        "SELECT i.id, i.status, i.total - COALESCE((SELECT SUM(n.pre_payment_amount) FROM stripe.credit_notes AS n "
        "WHERE n.invoice = i.id AND n.voided_at IS NULL), 0), "
        "COALESCE((SELECT SUM(l.amount) FROM metrics.journal_lines AS l WHERE l.invoice = i.id AND l.ledger = 'AccountsReceivable'), 0) "
        "FROM stripe.invoices AS i WHERE i._account LIKE 'random%'"
    ).rows
    assert {status for _, status, *_ in rows} == {"open", "paid", "void", "uncollectible"}
    for id_, status, owed, receivable in rows:
        assert receivable == (owed if status == "open" or owed < 0 else 0), id_


def test_parts_of_a_month_add_up_to_it_and_to_the_second_half(book: tuple[app.App, dict[str, Summary]]) -> None:
    parts, _ = book
    question = Question("ledger_revenue", date(2019, 1, 1), date(2019, 2, 1), account="monthly")
    by_day = {one.group: -one.amount for one in parts.figures.answer(question, "day")}
    assert by_day == {f"2019-01-{day:02}": 100 for day in range(15, 32)}
    for cut in range(2, 32):
        middle = date(2019, 1, cut)
        halves = (
            Question("ledger_revenue", date(2019, 1, 1), middle, account="monthly"),
            Question("ledger_revenue", middle, date(2019, 2, 1), account="monthly"),
        )
        earned = [sum(-one.amount for one in parts.figures.answer(half)) for half in halves]
        assert earned == [max(0, cut - 15) * 100, 1700 - max(0, cut - 15) * 100]
    deferred = Question("deferred_revenue", end=date(2019, 1, 25), account="monthly")
    assert [one.value for one in parts.figures.values(deferred)] == [2100]
    weeks = parts.figures.series(Question("revenue", date(2019, 1, 14), date(2019, 2, 18), account="monthly"), "week")
    assert [one.value for one in weeks] == [600, 700, 700, 700, 400]
    entries = list(parts.journal.entries(date(2019, 1, 1), date(2019, 1, 20), account="monthly"))
    assert [(one.debit, one.credit, one.amount) for one in entries if one.event == "revenue_recognized"] == [
        ("DeferredRevenue", "Revenue", 500)
    ]
    assert all(one.amount > 0 for one in entries)


def test_statements_tie(book: tuple[app.App, dict[str, Summary]]) -> None:
    """Debits equal credits; opening and change make the closing; income is what net assets grew by."""
    parts, _ = book
    start, end = date(2025, 1, 1), date(2025, 2, 1)
    found = parts.journal.balances(start, end)
    assert {one.account for one in found} <= set(ACCOUNTS) and any(one.account == "BadDebt" for one in found)
    for currency in {one.currency for one in found}:
        mine = [one for one in found if one.currency == currency]
        assert sum(one.debits for one in mine) == sum(one.credits for one in mine)
        assert sum(one.opening for one in mine) == sum(one.closing for one in mine) == 0
        sheet = sum(one.closing - one.opening for one in mine if one.kind in ("Assets", "Liabilities"))
        assert sheet == sum(one.credits - one.debits for one in mine if one.kind not in ("Assets", "Liabilities"))
    earlier = parts.journal.balances(date(2024, 12, 1), start)
    closings = {(one.account, one.currency): one.closing for one in earlier if one.closing}
    assert closings == {(one.account, one.currency): one.opening for one in found if one.opening}


def test_the_command_line_writes_them(
    book: tuple[app.App, dict[str, Summary]], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    parts, _ = book
    monkeypatch.setenv("TAKINGS_HOME", str(parts.settings.home))
    monkeypatch.setenv("TAKINGS_WAREHOUSE", "duckdb")

    def run(*arguments: str) -> list[dict[str, str]]:
        capfd.readouterr()
        assert main([*arguments, "--format", "csv"]) == 0
        return list(csv.DictReader(io.StringIO(capfd.readouterr().out)))

    written = run("journal", "--period", "2019-02", "--account", "partial_refund")
    assert {(row["debit"], row["credit"], row["amount"]) for row in written} == {
        ("Refunds", "Cash", "3.10"),
        ("DeferredRevenue", "Cash", "5.90"),
        ("DeferredRevenue", "Revenue", "25.20"),
    }
    assert {row["accounting_period"] for row in written} == {"2019-02"}
    trial = run("trial-balance", "--period", "2019-02", "--account", "partial_refund")
    assert sum(Decimal(row["debits"]) - Decimal(row["credits"]) for row in trial) == 0
    income = {row["account"]: row["amount"] for row in run("income-statement", "--period", "2019", "--account", "fees")}
    assert income == {"Revenue": "90.00", "Fees": "0.02", "net_income": "89.98"}
    sheet = {
        row["account"]: row["closing"] for row in run("balance-sheet", "--period", "2019-01", "--account", "dinar")
    }
    assert sheet == {"AccountsReceivable": "31.000", "DeferredRevenue": "14.000", "net_assets": "17.000"}
    (fall,) = run("waterfall", "--period", "2025-07", "--until", "2025-08", "--account", "waterfall_simple")
    assert fall == {
        "currency": "usd",
        "booked": "2025-07",
        "total": "31.00",
        "2025-07": "11.00",
        "2025-08": "20.00",
        "later": "0.00",
    }
    capfd.readouterr()
    assert main(["journal"]) == 2 and main(["journal", "--period", "2019-13"]) == 2
