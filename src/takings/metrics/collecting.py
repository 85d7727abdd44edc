"""How well what is billed comes in: days sales outstanding and collection effectiveness of a period, with what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from takings.metrics.aging import aging
from takings.metrics.asking import Question
from takings.metrics.explaining import Figures
from takings.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Collection:
    """A period in one currency.

    Attributes:
        currency: ISO code, small letters.
        days: How many the period has.
        opening: Receivables at its start, in minor units.
        billed: Invoices finalised in it less those voided in it, in minor units.
        closing: Receivables at its end, in minor units.
        current: The part of them that was not due yet, in minor units.
    """

    currency: str
    days: int
    opening: int
    billed: int
    closing: int
    current: int

    @property
    def days_sales_outstanding(self) -> Fraction | None:
        """Receivables at the end over what was billed, times the days; None where nothing was billed."""
        return Fraction(self.closing * self.days, self.billed) if self.billed else None

    @property
    def effectiveness(self) -> Fraction | None:
        """What was collected of what could have been; 1 when nothing due is left. None where nothing could have been.

        (opening + billed - closing) / (opening + billed - current), the collection effectiveness index that credit
        managers use: the Credit Research Foundation's formula.
        """
        below = self.opening + self.billed - self.current
        return Fraction(self.opening + self.billed - self.closing, below) if below else None


def collection(
    warehouse: Warehouse,
    figures: Figures,
    start: date,
    end: date,
    zone: str,
    *,
    livemode: bool = True,
    account: str | None = None,
    currency: str | None = None,
) -> list[Collection]:
    """Return how well a period's bills came in, by currency.

    Args:
        warehouse: Whose models have been built.
        figures: What answers from them.
        start: First day.
        end: The day after the last.
        zone: IANA name of the reporting zone that the models were built with.
        livemode: Live data, or that of sandboxes.
        account: Only this account of Stripe; None for all.
        currency: Only this one; None for each by itself.

    Raises:
        Unavailable: The models have not been built.
    """

    def ask(measure: str, since: date | None, until: date) -> dict[str, int]:
        question = Question(measure, since, until, currency, account, livemode)
        return {one.currency: one.amount for one in figures.answer(question)}

    opening, closing = ask("receivables", None, start), ask("receivables", None, end)
    billed = ask("billed", start, end)
    at = datetime(end.year, end.month, end.day, tzinfo=ZoneInfo(zone))
    aged = aging(warehouse, at, livemode=livemode, account=account, currency=currency)
    current = {one.currency: one.buckets["not_due"] for one in aged}
    return [
        Collection(
            code,
            (end - start).days,
            opening.get(code, 0),
            billed.get(code, 0),
            closing.get(code, 0),
            current.get(code, 0),
        )
        for code in sorted({*opening, *closing, *billed})
    ]
