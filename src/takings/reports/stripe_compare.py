"""Compares a file that Stripe exported with what is here, and names the cause of every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from takings.catalog.model import Catalog
from takings.errors import Invalid
from takings.proof import soundness
from takings.reports import queries
from takings.reports.stripe_files import Line, StripeFile, moment_of
from takings.reports.stripe_reports import TOTAL, ReportName, Span, StripeReports
from takings.warehouse import Scope, Warehouse
from takings.warehouse.tables import all_tables

Cause = Literal[
    "differs",
    "altered_here",
    "missing_here",
    "missing_there",
    "deleted_here",
    "other_days",
    "other_account",
    "other_report",
    "other_payout",
    "twice",
]

_TRANSACTIONS: Final = "balance_transactions"
_AMOUNTS: Final = ("gross", "fee", "net")
#: Text columns that are compared, with our name of each.
_TEXTS: Final = {
    "currency": "currency",
    "reporting_category": "category",
    "source_id": "source",
    "automatic_payout_id": "payout",
}
#: Moments that are compared: Stripe's column, our name, and whether it is in UTC whatever the report's zone.
_MOMENTS: Final = (
    ("created_utc", "created", True),
    ("created", "created", False),
    ("available_on_utc", "available_on", True),
    ("available_on", "available_on", False),
)
_AT_ONCE: Final = 5_000
_EXPLAINED: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something in which the file and what is here differ.

    Attributes:
        cause: ``differs``: a value is another; ``altered_here``: a value here is not what Stripe's payload says;
            ``missing_here``: the transaction is not here at all; ``missing_there``: it is here and not in the file;
            ``deleted_here``: it is here and marked as deleted; ``other_days``, ``other_report``, ``other_account``,
            ``other_payout``: it is here, and by its date, its kind, its owner or its payout not in this report;
            ``twice``: the file has it more than once.
        id: The transaction; for summaries the category.
        field: Stripe's column; empty where it is the whole.
        stripe: In the file: minor units, a count, or text.
        ours: Here.
        currency: Lower case.
        line: Line of the file, the header being 1; None: not in the file.
        at: When the transaction was made.
    """

    cause: Cause
    id: str
    field: str = ""
    stripe: int | str | None = None
    ours: int | str | None = None
    currency: str = ""
    line: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a comparison came out.

    Attributes:
        report: Which of Stripe's reports the file was taken for.
        rows: Rows compared: in the file, and here.
        sums: Net of all rows by currency, minor units: in the file, and here.
        differences: All of them, in the order of the file, what it lacks last.
        zone_hint: Hours by which all local times of the file differ, where that is all that is wrong with them.
    """

    report: ReportName
    itemized: bool
    span: Span
    rows: tuple[int, int]
    sums: Mapping[str, tuple[int, int]]
    differences: Sequence[Difference]
    zone_hint: float | None = None

    @property
    def ties(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(slots=True)
class _Found:
    differences: list[Difference] = field(default_factory=list)
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    rows: tuple[int, int] = (0, 0)
    shifts: list[tuple[int, float]] = field(default_factory=list)
    hint: float | None = None


class StripeCompare:
    """Compares files. It writes nothing and asks nothing of Stripe.

    Args:
        warehouse: Where the transactions are.
        catalog: What tables there are.
        reports: Stripe's reports as made here.
    """

    def __init__(self, warehouse: Warehouse, catalog: Catalog, reports: StripeReports) -> None:
        self._warehouse, self._reports = warehouse, reports
        self._table = all_tables(catalog)[_TRANSACTIONS]

    def owner(self, file: StripeFile, scopes: Sequence[Scope]) -> Scope:
        """Return whose file it is: of the accounts given, the one that has most of its transactions.

        Raises:
            Invalid: It cannot be told.
        """
        if len(scopes) == 1:
            return scopes[0]
        ids = [line.cells["balance_transaction_id"] for line in file.lines[:_AT_ONCE]] if file.itemized else []
        if ids:
            found = self._warehouse.query(queries.statement("stripe_owners"), {"ids": ids}).rows
            for account, livemode, _ in found:
                if Scope(account, livemode) in scopes:
                    return Scope(account, livemode)
        names = ", ".join(sorted(scope.account for scope in scopes)) or "none"
        raise Invalid(
            "reports.which_account",
            f"It cannot be told which account the file is of: give --account. There are: {names}.",
            names=names,
        )

    def span(self, file: StripeFile, scope: Scope, days: tuple[date, date] | None, zone: str | None) -> Span:
        """Return what the file is about: as asked for, else as it says itself, else as its rows show.

        Raises:
            Invalid: Its days cannot be told.
        """
        zone = zone or file.zone or "UTC"
        currencies = {line.cells.get("currency", "").strip().lower() for line in file.lines}
        currency = next(iter(currencies)) if len(currencies) == 1 else None
        start, end = days if days else (file.start, file.end)
        if start is None or end is None:
            start, end = self._shown(file, ZoneInfo(zone))
        return Span(scope=scope, start=start, end=end, zone=zone, currency=currency or None)

    def _shown(self, file: StripeFile, zone: ZoneInfo) -> tuple[date, date]:
        """Return the days from the first to the last row."""
        local = "automatic_payout_effective_at" if file.candidates[0] == "payout_reconciliation" else "created"
        moments = [
            moment.astimezone(zone).date()
            for line in file.lines
            if (moment := _moment(line, local, zone) or _moment(line, f"{local}_utc", ZoneInfo("UTC"))) is not None
        ]
        if not moments:
            raise Invalid(
                "reports.which_days", f"{file.name} does not say which days it is about: give --period.", name=file.name
            )
        return min(moments), max(moments) + timedelta(days=1)

    def compare(self, file: StripeFile, span: Span, report: ReportName | None = None) -> Comparison:
        """Compare a file with what is here.

        Args:
            file: The file.
            span: What it is about; see :meth:`span`.
            report: Which report it is; None: where its columns and name leave several, the one that ties best.

        Raises:
            Invalid: A row cannot be read, or the file cannot be this report.
        """
        candidates = file.candidates if report is None else (report,)
        best: Comparison | None = None
        for name in candidates:
            found = self._compared(file, span, name)
            made = Comparison(
                report=name,
                itemized=file.itemized,
                span=span,
                rows=found.rows,
                sums=found.sums,
                differences=found.differences,
                zone_hint=found.hint,
            )
            if best is None or len(made.differences) < len(best.differences):
                best = made
            if best.ties:
                break
        assert best is not None
        return best if not file.itemized else self._explained(best)

    def _compared(self, file: StripeFile, span: Span, name: ReportName) -> _Found:
        if name == "balance_summary":
            if "category" not in file.columns:
                raise _not_this(file, name)
            return self._balances(file, span)
        if "category" in file.columns:
            raise _not_this(file, name)
        return self._items(file, span, name) if file.itemized else self._categories(file, span, name)

    # Summaries

    def _balances(self, file: StripeFile, span: Span) -> _Found:
        ours = {(one.category, one.currency): one.amount for one in self._reports.balance(span)}
        known = {category for category, _ in ours} | {"starting_balance", "activity", "payouts", "ending_balance"}
        found = _Found()
        seen = 0
        for line in file.lines:
            category, currency = line.cells["category"], line.cells["currency"].lower()
            if category not in known:  # such as starting_balance_available: what part of it could be paid out
                continue
            seen += 1
            theirs, here = file.minor(line, "net_amount", currency), ours.get((category, currency), 0)
            if category == "ending_balance":
                found.sums[currency] = (theirs or 0, here)
            if (theirs or 0) != here:
                found.differences.append(
                    Difference(
                        cause="differs",
                        id=category,
                        field="net_amount",
                        stripe=theirs,
                        ours=here,
                        currency=currency,
                        line=line.number,
                    )
                )
        told = {line.cells["currency"].lower() for line in file.lines}
        for (category, currency), amount in ours.items():
            if category == "ending_balance" and currency not in told and amount:
                found.differences.append(
                    Difference(cause="missing_there", id=category, field="net_amount", ours=amount, currency=currency)
                )
        found.rows = (seen, len(ours))
        return found

    def _categories(self, file: StripeFile, span: Span, name: ReportName) -> _Found:
        ours = {(one.category, one.currency): one for one in self._reports.summary(name, span)}
        found = _Found()
        seen: set[tuple[str, str]] = set()
        payouts = name == "payout_reconciliation"
        for line in file.lines:
            key = (line.cells["reporting_category"], line.cells["currency"].lower())
            if payouts and key[0] == "payout":
                continue  # the payout itself, which some exports list beside what it paid out
            seen.add(key)
            here = ours.get(key)
            figures: dict[str, int | None] = {
                column: file.minor(line, column, key[1]) for column in _AMOUNTS if column in file.columns
            }
            gross, fee, net = (figures.get(column) for column in _AMOUNTS)
            if gross is not None and fee is not None and net == gross + fee != gross - fee:
                figures["fee"] = -fee  # written as what it does to the balance
            if "count" in file.columns:
                figures["count"] = int(line.cells["count"] or 0)
            if key[0] == TOTAL or key[1] not in found.sums:
                found.sums[key[1]] = (net or 0, ours[TOTAL, key[1]].net if (TOTAL, key[1]) in ours else 0)
            for column, value in figures.items():
                mine = 0 if here is None else getattr(here, column)
                if (value or 0) != mine:
                    found.differences.append(
                        Difference(
                            cause="differs",
                            id=key[0],
                            field=column,
                            stripe=value,
                            ours=mine,
                            currency=key[1],
                            line=line.number,
                        )
                    )
        for key, one in ours.items():
            if key not in seen and key[0] != TOTAL and (span.currency in (None, key[1])):
                found.differences.append(
                    Difference(cause="missing_there", id=key[0], field="net", ours=one.net, currency=key[1])
                )
        found.rows = (len(seen), len(ours))
        return found

    # Single transactions

    def _items(self, file: StripeFile, span: Span, name: ReportName) -> _Found:
        zone = ZoneInfo(span.zone)
        found = _Found()
        theirs: dict[str, Line] = {}
        sums: Counter[str] = Counter()
        for line in file.lines:
            identifier = line.cells["balance_transaction_id"].strip()
            currency = line.cells["currency"].strip().lower()
            if name == "payout_reconciliation" and line.cells.get("reporting_category") == "payout":
                continue  # the payout itself, which some exports list beside what it paid out
            if identifier in theirs:
                found.differences.append(Difference(cause="twice", id=identifier, currency=currency, line=line.number))
                continue
            theirs[identifier] = line
            sums[currency] += file.minor(line, "net", currency) or 0
        mine: Counter[str] = Counter()
        rows = 0
        absent: list[Difference] = []
        matched: set[str] = set()
        for row in self._reports.items(name, span):
            rows += 1
            mine[row["currency"]] += row["net"]
            at = theirs.get(row["id"])
            if at is None:
                absent.append(
                    Difference(
                        cause="missing_there",
                        id=row["id"],
                        field="net",
                        ours=row["net"],
                        currency=row["currency"],
                        at=row["created"],
                    )
                )
            else:
                matched.add(row["id"])
                self._row(file, at, row, zone, found)
        unmatched = [identifier for identifier in theirs if identifier not in matched]
        found.differences += self._elsewhere(file, unmatched, theirs, span, name, found, zone)
        found.differences.sort(key=lambda one: (one.line or 0, one.cause == "differs"))
        found.differences += sorted(absent, key=lambda one: (one.at or datetime.min.replace(tzinfo=UTC), one.id))
        _shifted(found, len(theirs))
        found.rows = (len(theirs), rows)
        found.sums = {one: (sums[one], mine[one]) for one in sorted({*sums, *mine})}
        return found

    def _row(self, file: StripeFile, line: Line, row: Mapping[str, Any], zone: ZoneInfo, found: _Found) -> None:
        """Note in what a transaction of the file is another than the one here."""

        def note(column: str, stripe: int | str | None, ours: int | str | None) -> None:
            found.differences.append(
                Difference(
                    cause="differs",
                    id=row["id"],
                    field=column,
                    stripe=stripe,
                    ours=ours,
                    currency=row["currency"],
                    line=line.number,
                    at=row["created"],
                )
            )

        currency = line.cells["currency"].strip().lower()
        for column in _AMOUNTS:
            if column in file.columns:
                value = file.minor(line, column, currency)
                if value != row[column]:
                    note(column, value, row[column])
        for column, name in _TEXTS.items():
            if column in file.columns:
                text = line.cells[column].strip()
                text = text.lower() if column == "currency" else text
                if text != (row.get(name) or ""):
                    note(column, text, row.get(name))
        for column, name, utc in _MOMENTS:
            moment = _moment(line, column, ZoneInfo("UTC") if utc else zone) if column in file.columns else None
            ours = row.get(name)
            if moment is None or ours is None or moment == ours.replace(microsecond=0):
                continue
            if not utc:
                found.shifts.append((len(found.differences), (moment - ours).total_seconds() / 3_600))
            note(column, moment.isoformat(), ours.astimezone(UTC).isoformat())

    def _elsewhere(
        self,
        file: StripeFile,
        ids: Sequence[str],
        theirs: Mapping[str, Line],
        span: Span,
        name: ReportName,
        found: _Found,
        zone: ZoneInfo,
    ) -> list[Difference]:
        """Say of transactions that the report here does not have where they are."""
        made: list[Difference] = []
        sql = f"{queries.statement('stripe_movements')}\n{queries.statement('stripe_known')}"
        for begin in range(0, len(ids), _AT_ONCE):
            part = list(ids[begin : begin + _AT_ONCE])
            known = self._warehouse.query(sql, queries.used(sql, {**span.parameters(), "ids": part})).dicts()
            here = {row["id"]: row for row in known}
            rest = [one for one in part if one not in here]
            places = {}
            if rest:
                rows = self._warehouse.query(queries.statement("stripe_places"), {"ids": rest}).dicts()
                places = {row["id"]: row for row in rows}
            for identifier in part:
                line = theirs[identifier]
                currency = line.cells["currency"].strip().lower()
                net = file.minor(line, "net", currency)
                one = Difference(
                    cause="missing_here", id=identifier, field="net", stripe=net, currency=currency, line=line.number
                )
                if identifier in here:
                    row = here[identifier]
                    cause, ours = _why_not(row, name, span)
                    made.append(replace(one, cause=cause, field="", ours=ours, at=row["created"]))
                    self._row(
                        file, line, row | {"available_on": None, "source": line.cells.get("source_id")}, zone, found
                    )
                elif identifier in places:
                    row = places[identifier]
                    mine = (row["account"], row["livemode"]) == (span.scope.account, span.scope.livemode)
                    cause = "deleted_here" if mine else "other_account"
                    made.append(replace(one, cause=cause, ours=row["account"], at=row["created"]))
                else:
                    made.append(one)
        return made

    def _explained(self, made: Comparison) -> Comparison:
        """Say of values that differ where it is the row here that is not what Stripe sent."""
        suspects = sorted(
            {one.id for one in made.differences if one.cause in ("differs", "missing_there", "other_days")}
        )
        if not suspects:
            return made
        with self._warehouse.reading() as session:
            beside = soundness.altered(session, self._table, made.span.scope, suspects[:_EXPLAINED])
        wrong = {identifier for identifier, one in beside.items() if one.fields}
        return replace(
            made,
            differences=[
                replace(one, cause="altered_here") if one.cause == "differs" and one.id in wrong else one
                for one in made.differences
            ],
        )


def _why_not(row: Mapping[str, Any], name: ReportName, span: Span) -> tuple[Cause, str | None]:
    """Return why a transaction that is here is not in a report."""
    bounds = span.parameters()
    if span.currency not in (None, row["currency"]):
        return "differs", row["currency"]
    if name == "balance_change_from_activity":
        if row["is_payout"]:
            return "other_report", row["category"]
        return "other_days", row["created"].astimezone(UTC).isoformat()
    if name == "payout_reconciliation":
        if row["payout"] is None:
            return "other_payout", None
        return "other_days", row["payout_effective"].astimezone(UTC).isoformat()
    if row["is_automatic"]:
        return "other_report", row["category"]
    if row["created"] >= bounds["end"]:
        return "other_days", row["created"].astimezone(UTC).isoformat()
    return "other_payout", row["payout"]


def _shifted(found: _Found, rows: int) -> None:
    """Where the local times of nearly all rows differ by one and the same number of hours, the zone is wrong, not the times."""
    hours = Counter(shift for _, shift in found.shifts)
    if not hours:
        return
    shift, count = hours.most_common(1)[0]
    if count >= max(2, rows // 3):
        found.hint = shift


def _moment(line: Line, column: str, zone: ZoneInfo) -> datetime | None:
    return moment_of(line.cells.get(column, ""), zone, f"line {line.number}, {column}")


def _not_this(file: StripeFile, name: ReportName) -> Invalid:
    return Invalid(
        "reports.not_this_report", f"{file.name} has not the columns of {name}.", file=file.name, report=name
    )
