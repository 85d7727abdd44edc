"""A month-end statement in words and lists: what the page, the Excel file and the PDF all say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from takings.money import Money
from takings.proof import Day, Statement, Untied
from takings.reports.export import Column, Sheet
from takings.reports.pdf import Document
from takings.words import Words

Tone = Literal["good", "bad", "warn", "busy"]

TONES: Final[dict[str, Tone]] = {"proven": "good", "differs": "bad", "incomplete": "warn", "open": "busy"}
#: Columns of a transaction or payout that are amounts of its currency.
_AMOUNTS: Final = frozenset(("amount", "fee", "net"))
_REBUILT: Final = frozenset(("altered", "duplicate"))
_REREAD: Final = frozenset(("missing", "stale", "ghost", "payout", "unbooked", "uncategorised", "arithmetic"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a month stands: in a few words, and why in some sentences."""

    title: str
    tone: Tone
    sentences: tuple[str, ...]


def verdict(one: Statement, words: Words) -> Verdict:
    """Say how a statement stands."""
    count = len(one.untied) + one.cut
    said: list[str] = []
    if one.state == "proven" and one.proof is not None:
        balance = words.money(Money(one.proof.stripe, one.currency))
        said.append(words("month_end.said_proven", moment=words.moment(one.proof.at), balance=balance))
    elif one.state in ("open", "differs"):
        said.append(words(f"month_end.said_{one.state}"))
    said += [words.reason(reason.code, reason.sentence) for reason in one.reasons]
    said.append(words("month_end.said_days", n=one.asked_days) if one.asked_days else words("month_end.said_days_none"))
    said.append(words("month_end.said_rows", n=one.rows))
    return Verdict(words(f"month_end.state_{one.state}", n=count), TONES[one.state], tuple(said))


def category_text(category: str, words: Words) -> str:
    """Name a reporting category; Stripe's own name where we have none."""
    key = f"reports.category.{category}"
    return words(key) if words.has(key) else category.replace("_", " ") or "–"


def what_text(one: Untied, words: Words) -> str:
    """Say what is wrong with a row, and with which of its fields."""
    said = words(f"month_end.kind.{one.kind}")
    return f"{said} ({one.field})" if one.field and one.kind == "altered" else said


def value_text(value: int | str | None, one: Untied, currency: str, words: Words) -> str:
    """Print what a field holds: an amount with its currency, a time in the reader's zone, else as it is."""
    if value is None:
        return ""
    if isinstance(value, int):
        return words.money(Money(value, currency))
    if one.field in ("created", "available_on", "arrival_date"):
        try:
            return words.moment(datetime.fromisoformat(value))
        except ValueError:
            return value
    return value


def difference(one: Untied) -> int | None:
    """Return what is here less what Stripe says, in minor units; None where they are no amounts."""
    return one.ours - one.stripe if isinstance(one.ours, int) and isinstance(one.stripe, int) else None


def remedy_text(one: Untied, words: Words) -> str:
    """Say what puts it right."""
    table = one.table or "balance_transactions"
    # What a payout paid out has no list of its own: its rows are made anew from what Stripe sent.
    if (
        one.kind in _REBUILT
        or table == "payout_balance_transactions"
        or (one.kind == "missing" and one.stripe is not None)
    ):
        return words("month_end.remedy_rebuild", table=table)
    if one.kind in _REREAD:
        return words("month_end.remedy_reconcile", table=table)
    return words("month_end.remedy_verify")


def day_text(one: Statement, day: Day, words: Words) -> str:
    """Say how a day's closing balance is known to be right."""
    heard, through = day.checkpoint, one.followed_through
    if heard is not None and heard.ties:
        return words("month_end.asked_ties")
    if heard is not None:
        return words("month_end.asked_differs", balance=words.money(Money(heard.stripe, one.currency)))
    return words("month_end.follows" if through is not None and day.day <= through else "month_end.unproven")


def summary_lines(one: Statement, words: Words) -> list[tuple[str, int, bool]]:
    """Return the lines of the summary: label, minor units, and whether it is a balance."""
    lines = [
        (words("month_end.opening"), one.opening, True),
        (words("month_end.gross"), one.gross, False),
        (words("month_end.fee"), -one.fee, False),
        (words("month_end.payouts"), one.paid_out, False),
        (words("month_end.closing"), one.closing, True),
    ]
    if one.in_transit:
        lines.append((words("month_end.in_transit"), one.in_transit, False))
        lines.append((words("month_end.reported"), one.closing + one.in_transit, True))
    return lines


def sheets(one: Statement, words: Words) -> tuple[Sheet, ...]:
    """Return a statement as lists, the summary first; those that would be empty are left out."""
    made = [_summary(one, words)]
    if one.untied:
        made.append(_untied(one, words))
    made.append(_categories(one, words))
    made.append(_days(one, words))
    if one.payouts:
        made.append(_payouts(one, words))
    return tuple(made)


def about(one: Statement, words: Words) -> tuple[tuple[str, str], ...]:
    """Return what a statement is about, as (label, text)."""
    account = f"{one.account_name} · {one.scope.account}"
    return (
        (words("month_end.account"), account if one.scope.livemode else f"{account} ({words('month_end.test_data')})"),
        (words("month_end.period"), f"{words.day(one.start)} – {words.day(one.end - timedelta(days=1))}"),
        (words("month_end.currency"), one.currency.upper()),
    )


def document(one: Statement, words: Words) -> Document:
    """Return a statement as what is drawn as a PDF."""
    found = verdict(one, words)
    return Document(
        title=words("month_end.title"),
        about=about(one, words),
        verdict=found.title,
        tone=found.tone,
        sentences=found.sentences,
        tables=sheets(one, words),
        foot=words("month_end.made", moment=words.moment(one.known_at)),
    )


def file_name(one: Statement) -> str:
    """Return a file's name for a statement, without its ending."""
    days = f"{one.start:%Y-%m}"
    if one.start.day != 1 or (one.end - timedelta(days=1)).month != one.start.month or one.end.day != 1:
        days = f"{one.start}_to_{one.end - timedelta(days=1)}"
    return f"month-end_{days}_{one.currency}_{one.scope.account}"


def _summary(one: Statement, words: Words) -> Sheet:
    found = verdict(one, words)
    rows = [[label, Money(amount, one.currency)] for label, amount, _ in summary_lines(one, words)]
    return Sheet(
        name=words("month_end.title"),
        columns=(Column("line", label=words("month_end.line")), Column("amount", "major", one.currency.upper())),
        rows=rows,
        about=(*about(one, words), *((found.title, sentence) for sentence in found.sentences)),
    )


def _untied(one: Statement, words: Words) -> Sheet:
    rows = []
    for each in one.untied:
        gap = difference(each)
        rows.append(
            [
                each.at,
                f"{each.table} {each.id}".strip() or words("month_end.stripe"),
                what_text(each, words),
                value_text(each.stripe, each, one.currency, words),
                value_text(each.ours, each, one.currency, words),
                None if gap is None else Money(gap, one.currency),
                remedy_text(each, words).replace("`", ""),
            ]
        )
    return Sheet(
        name=words("month_end.untied"),
        columns=(
            Column("at", "moment", words("month_end.when")),
            Column("row", label=words("month_end.row")),
            Column("what", label=words("month_end.what")),
            Column("stripe", label=words("month_end.at_stripe")),
            Column("here", label=words("month_end.here")),
            Column("difference", "major", words("month_end.difference")),
            Column("remedy", label=words("month_end.remedy")),
        ),
        rows=rows,
    )


def _categories(one: Statement, words: Words) -> Sheet:
    return Sheet(
        name=words("month_end.categories"),
        columns=(
            Column("category", label=words("month_end.category")),
            Column("count", "number", words("month_end.count")),
            Column("gross", "major", words("month_end.amount_gross")),
            Column("fee", "major", words("month_end.fee")),
            Column("net", "major", words("month_end.amount_net")),
        ),
        rows=[
            [category_text(each.category, words), each.count]
            + [Money(amount, one.currency) for amount in (each.gross, each.fee, each.net)]
            for each in one.categories
        ],
    )


def _days(one: Statement, words: Words) -> Sheet:
    rows = []
    for day in one.days:
        amounts = (day.opening, day.gross, -day.fee, day.payouts, day.closing, day.difference)
        rows.append([day.day, *(Money(amount, one.currency) for amount in amounts), day_text(one, day, words)])
    return Sheet(
        name=words("month_end.days"),
        columns=(
            Column("day", "day", words("month_end.day")),
            Column("opening", "major", words("month_end.opening")),
            Column("gross", "major", words("month_end.gross")),
            Column("fee", "major", words("month_end.fee")),
            Column("payouts", "major", words("month_end.payouts")),
            Column("closing", "major", words("month_end.closing")),
            Column("difference", "major", words("month_end.difference")),
            Column("proof", label=words("month_end.proof")),
        ),
        rows=rows,
    )


def _payouts(one: Statement, words: Words) -> Sheet:
    return Sheet(
        name=words("month_end.payouts"),
        columns=(
            Column("payout", label=words("month_end.payout")),
            Column("created", "moment", words("month_end.created")),
            Column("arrival", "day", words("month_end.arrival")),
            Column("amount", "major", words("month_end.amount")),
            Column("net", "major", words("month_end.its_net")),
            Column("transactions", "number", words("month_end.count")),
            Column("state", label=words("month_end.proof")),
        ),
        rows=[
            [
                each.id,
                each.created,
                None if each.arrival is None else each.arrival.astimezone(UTC).date(),
                Money(each.amount, one.currency),
                None if each.net is None else Money(each.net, one.currency),
                each.transactions,
                words(f"month_end.payout_state.{each.state}"),
            ]
            for each in one.payouts
        ],
    )
