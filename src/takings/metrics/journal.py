"""The journal as accountants read it: its entries, the statements of a period, and the waterfall of what was billed when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal

from takings.metrics.asking import Question
from takings.metrics.books import Books
from takings.metrics.explaining import Figures
from takings.warehouse import Warehouse

Kind = Literal["Assets", "Liabilities", "Revenue", "ContraRevenue", "Gains", "Expenses", "Losses"]

ACCOUNTS: Final[dict[str, Kind]] = {
    "AccountsReceivable": "Assets",
    "UnbilledAccountsReceivable": "Assets",
    "Cash": "Assets",
    "ExternalAsset": "Assets",
    "CurrencyExchange": "Assets",
    "Suspense": "Assets",
    "DeferredRevenue": "Liabilities",
    "TaxLiability": "Liabilities",
    "CustomerBalance": "Liabilities",
    "ExternalCustomerBalance": "Liabilities",
    "Revenue": "Revenue",
    "Refunds": "ContraRevenue",
    "Disputes": "ContraRevenue",
    "CreditNotes": "ContraRevenue",
    "BadDebt": "ContraRevenue",
    "Voids": "ContraRevenue",
    "UnbilledVoids": "ContraRevenue",
    "Transfer": "ContraRevenue",
    "Recoverables": "Gains",
    "Fees": "Expenses",
    "CustomerBalanceAdjustments": "Expenses",
    "OtherLoss": "Losses",
}
"""Every account and what it is. Names and kinds are those of Stripe's Revenue Recognition
(https://docs.stripe.com/revenue-recognition/methodology), but for ``CurrencyExchange``, which keeps a payment that was settled
in another currency balanced in both, and ``Suspense``, which holds movements of the Stripe balance that are no sale."""

BALANCE_SHEET: Final = ("Assets", "Liabilities")
_SAID: Final = (
    "object", "source", "account", "invoice", "line", "customer", "subscription", "product", "price", "booked",
)  # fmt: skip
_CREDIT: Final = ("Liabilities", "Revenue", "Gains")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the same amount to the debit of one account and the credit of another.

    Attributes:
        id: Made of the ids of Stripe's objects it comes from.
        day: In UTC.
        at: The moment.
        debit: Account.
        credit: Account.
        amount: Minor units, above 0.
        currency: ISO code, small letters.
        event: What it is about, such as ``invoice_finalized``.
        object: Table of Stripe's object.
        source: Its id.
        account: Account of Stripe.
        invoice: Id, where there is one; likewise the following.
        line: Invoice line.
        customer: Id.
        subscription: Id.
        product: Id.
        price: Id.
        booked: Month of billing, ``2026-10``.
        period: First day of the month it is booked to, where closed months stay as they are; None: that of its day.
        correction: Whether it belongs to an earlier month that was closed when it became known.
    """

    id: str
    day: date
    at: datetime
    debit: str
    credit: str
    amount: int
    currency: str
    event: str
    object: str
    source: str
    account: str
    invoice: str | None
    line: str | None
    customer: str | None
    subscription: str | None
    product: str | None
    price: str | None
    booked: str
    period: date | None = None
    correction: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """One account in one currency over a period.

    Attributes:
        account: Its name.
        kind: See :data:`ACCOUNTS`.
        currency: ISO code, small letters.
        opening: Debits less credits before the period, minor units.
        debits: In the period.
        credits: In the period, above 0.
        corrections: Debits less credits that belong to earlier months and became known after these were closed; among those above.
    """

    account: str
    kind: Kind
    currency: str
    opening: int
    debits: int
    credits: int
    corrections: int = 0

    @property
    def closing(self) -> int:
        """Debits less credits at the end."""
        return self.opening + self.debits - self.credits

    @property
    def change(self) -> int:
        """What the period brought, in the account's own direction: more revenue, more debt, more cash are above 0."""
        return self.natural(self.debits - self.credits)

    def natural(self, debit: int) -> int:
        """Turn debits less credits into the account's own direction."""
        return -debit if self.kind in _CREDIT else debit


@dataclass(frozen=True, slots=True)
class Billed:
    """A row of the waterfall: what was billed in a month, and when it is earned.

    Attributes:
        month: Of billing, ``2026-10``.
        currency: ISO code, small letters.
        total: Net revenue billed in the month, minor units; what was taken back counts in the month it was.
        by_month: How much of it each month earns.
        later: What is earned after the last month asked for.
    """

    month: str
    currency: str
    total: int
    by_month: dict[str, int]
    later: int


class Journal:
    """Reads the journal.

    Args:
        warehouse: Where its lines are.
        figures: Sums them.
    """

    def __init__(self, warehouse: Warehouse, figures: Figures) -> None:
        self._warehouse = warehouse
        self._figures = figures

    def entries(self, start: date, end: date, *, livemode: bool = True, account: str | None = None) -> Iterator[Entry]:
        """Give the entries of a period in UTC by day, without holding them all; one that accrues over its end in part.

        Args:
            start: First day.
            end: The day after the last.
            livemode: Live data, or that of sandboxes.
            account: Only this account of Stripe.

        Raises:
            Unavailable: The models have not been built yet.
        """
        question = Question("journal_difference", start, end, account=account, livemode=livemode)
        lines, where = self._figures.source(question)
        said = ", ".join(f"l.{name} AS {name}" for name in _SAID)
        sql = (
            "SELECT l.entry AS id, l.day_utc AS day, l.at AS at, l.ledger AS debit, l.counter AS credit, l.amount AS amount, "
            f"l.currency AS currency, l.event AS event, {said} FROM {lines} AS l "
            f"WHERE {where} AND l.side = 'debit' AND l.amount <> 0 ORDER BY l.day_utc, l.at, l.entry"
        )
        with self._warehouse.stream(sql) as (_, batches):
            for batch in batches:
                for row in batch:
                    yield Entry(*row)

    def booked_entries(
        self, books: Books, start: date, end: date, *, livemode: bool = True, account: str | None = None
    ) -> Iterator[Entry]:
        """Give the entries that are booked to some months: what became known of a closed month belongs to the one open then.

        An entry of a closed month that has gone, or is another now, is taken back by one with debit and credit the other way round.

        Args:
            books: Which months are closed.
            start: First day of the first month.
            end: First day after the last.
            livemode: Live data, or that of sandboxes.
            account: Only this account of Stripe.

        Raises:
            Invalid: These are no whole months, or the last has not ended.
            Unavailable: The models have not been built yet.
        """
        question = Question("journal_difference", account=account, livemode=livemode, only={"side": "debit"})
        said = ("entry", "day_utc", "at", "ledger", "counter", "amount", "currency", "event", *_SAID)
        sql, values = books.booked_lines(question, start, end, said)
        rows = self._figures.ask(
            f"SELECT * FROM ({sql}) AS l ORDER BY l.period, l.day_utc, l.at, l.entry, l.times", values
        )
        for times, period, correction, entry, day, at, ledger, counter, amount, *rest in rows:
            if amount == 0:
                continue
            sides = (ledger, counter) if times > 0 else (counter, ledger)
            yield replace(Entry(entry, day, at, *sides, amount, *rest), period=period, correction=correction)

    def booked_balances(
        self, books: Books, start: date, end: date, *, livemode: bool = True, account: str | None = None
    ) -> list[Balance]:
        """Return the trial balance of some months as the books have it: see :meth:`booked_entries`.

        Raises:
            Invalid, Unavailable: See there.
        """
        question = Question("journal_difference", account=account, livemode=livemode)
        sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for currency, place, amount, (ledger, side) in books.sums(question, start, end, "part", "side"):
            mine = sums[currency, ledger]
            mine["opening" if place == "before" else side] += amount
            if place == "correction":
                mine["corrections"] += amount
        found = [
            Balance(
                ledger,
                ACCOUNTS[ledger],
                currency,
                mine["opening"],
                mine["debit"],
                -mine["credit"],
                mine["corrections"],
            )
            for (currency, ledger), mine in sums.items()
        ]
        order = list(ACCOUNTS)
        return sorted(found, key=lambda one: (one.currency, order.index(one.account)))

    def balances(self, start: date, end: date, *, livemode: bool = True, account: str | None = None) -> list[Balance]:
        """Return the trial balance of a period in UTC: every account that ever had an entry, by currency.

        Raises:
            Unavailable: The models have not been built yet.
        """
        before = Question("journal_difference", end=start, account=account, livemode=livemode)
        opening = {(one.currency, one.group): one.amount for one in self._figures.answer(before, "part")}
        sides: dict[tuple[str, str | None], list[int]] = defaultdict(lambda: [0, 0])
        for side, index in (("debit", 0), ("credit", 1)):
            asked = Question("journal_difference", start, end, account=account, livemode=livemode, only={"side": side})
            for one in self._figures.answer(asked, "part"):
                sides[one.currency, one.group][index] += abs(one.amount)
        found = []
        for currency, name in {*opening, *sides}:
            ledger = str(name)
            debits, credits = sides[currency, name]
            found.append(Balance(ledger, ACCOUNTS[ledger], currency, opening.get((currency, name), 0), debits, credits))
        order = list(ACCOUNTS)
        return sorted(found, key=lambda one: (one.currency, order.index(one.account)))

    def waterfall(
        self,
        start: date,
        end: date,
        until: date,
        *,
        livemode: bool = True,
        account: str | None = None,
    ) -> list[Billed]:
        """Return what each month billed and which months earn it; what is to come is as it stands today.

        Args:
            start: First day of the first month of billing.
            end: First day after the last.
            until: The day after the last month of earning that is shown by itself.
            livemode: Live data, or that of sandboxes.
            account: Only this account of Stripe.

        Raises:
            Unavailable: The models have not been built yet.
        """
        question = Question("ledger_net_revenue", end=date(9999, 1, 1), account=account, livemode=livemode)
        first, last = f"{start:%Y-%m}", f"{end - timedelta(days=1):%Y-%m}"
        shown = f"{until - timedelta(days=1):%Y-%m}"
        lines, where = self._figures.source(question)
        rows = self._warehouse.query(
            "SELECT l.booked AS booked, l.currency AS currency, strftime(l.day_utc, '%Y-%m') AS month, "
            f"-CAST(SUM(l.amount) AS BIGINT) AS amount FROM {lines} AS l WHERE {where} "
            "AND l.booked >= $first AND l.booked <= $last GROUP BY 1, 2, 3 ORDER BY 2, 1, 3",
            {"first": first, "last": last},
        ).rows
        found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for booked, currency, month, amount in rows:
            found[currency, booked][month] = int(amount)
        return [
            Billed(
                month=booked,
                currency=currency,
                total=sum(earned.values()),
                by_month={month: amount for month, amount in earned.items() if month <= shown},
                later=sum(amount for month, amount in earned.items() if month > shown),
            )
            for (currency, booked), earned in sorted(found.items())
        ]
