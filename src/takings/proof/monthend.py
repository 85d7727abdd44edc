"""Makes month-end statements: rolls the balance forward, reconciles payouts, and names every row that does not tie."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from takings.catalog.model import Catalog
from takings.clock import Clock, from_unix, to_unix
from takings.connections import Connection
from takings.errors import Invalid
from takings.proof import figures, payouts, rollforward, soundness
from takings.proof.book import ProofBook
from takings.proof.rollforward import Rolled
from takings.proof.statement import Checkpoint, PayoutLine, Reason, Statement, StatementState, Untied, UntiedKind
from takings.store import Store
from takings.sync import Finding, FindingBook, RunBook
from takings.warehouse import BRIDGE, Scope, Warehouse, integrity
from takings.warehouse.engine import Session
from takings.warehouse.tables import all_tables

TRANSACTIONS: Final = "balance_transactions"
#: So many rows that do not tie are named; all are counted.
NAMED: Final = 500
_TABLES: Final = (TRANSACTIONS, "payouts")
_FOUND_IN: Final = (*_TABLES, BRIDGE.table)
_KINDS: Final[dict[str, UntiedKind]] = {
    "missing": "missing",
    "stale": "stale",
    "ghost": "ghost",
    "altered": "altered",
    "duplicate": "duplicate",
}
_AMOUNTS: Final = frozenset(("amount", "fee", "net"))
_REMEMBERED: Final = 64
_STILL_FRESH_S: Final = 600.0

_OWN: Final = "t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL"

_MALFORMED: Final = f"""
SELECT t.id AS id, t.currency AS currency, t.created AS created, t.amount AS amount, t.fee AS fee, t.net AS net,
    t.reporting_category AS category
FROM stripe.balance_transactions AS t
WHERE {_OWN} AND t.created >= $start AND t.created < $end
    AND (t.net IS DISTINCT FROM t.amount - t.fee OR t.reporting_category IS NULL)
ORDER BY t.created, t.id
"""

# What came, or went, after a balance that covers it had been proven.
_SINCE: Final = """
SELECT t.id AS id, t.created AS created, t.net AS net, t._deleted_at IS NOT NULL AS gone
FROM stripe.balance_transactions AS t
WHERE t._account = $account AND t._livemode = $livemode AND t.currency = $currency AND t.created <= $through
    AND (
        t._deleted_at > $at
        OR t._deleted_at IS NULL AND t.created < $through AND t.id IN (
            SELECT v.id FROM raw.versions AS v
            WHERE v.resource = 'balance_transactions' AND v.account = $account AND v.livemode = $livemode
            GROUP BY v.id HAVING min(v.known_at) > $at
        )
    )
ORDER BY t.created, t.id
"""

_PLACES: Final = {
    TRANSACTIONS: (
        "SELECT t.id AS id, t.currency AS currency, t.created AS at FROM stripe.balance_transactions AS t "
        "WHERE t._account = $account AND t._livemode = $livemode AND t.id IN (SELECT unnest($ids))"
    ),
    "payouts": (
        "SELECT t.id AS id, t.currency AS currency, t.created AS at FROM stripe.payouts AS t "
        "WHERE t._account = $account AND t._livemode = $livemode AND t.id IN (SELECT unnest($ids))"
    ),
}


@dataclass(frozen=True, slots=True)
class _Fault:
    """A row that does not tie, and the currencies it concerns; none: it is not known which."""

    currencies: tuple[str, ...]
    untied: Untied


@dataclass(frozen=True, slots=True)
class _Checked:
    rows: int
    faults: tuple[_Fault, ...]
    at: float


class MonthEnd:
    """Makes statements of whole UTC days. It asks nothing of Stripe and writes nothing.

    Args:
        store: Where verifications and findings are.
        warehouse: Where the transactions are.
        catalog: What tables there are.
        book: The verifications.
        clock: The one clock.
    """

    def __init__(self, store: Store, warehouse: Warehouse, catalog: Catalog, book: ProofBook, clock: Clock) -> None:
        self._warehouse, self._book, self._clock = warehouse, book, clock
        self._runs = RunBook(store, clock)
        self._findings = FindingBook(store)
        self._tables = all_tables(catalog)
        self._remembered: OrderedDict[tuple[Any, ...], _Checked] = OrderedDict()
        self._made: OrderedDict[tuple[Any, ...], tuple[float, dict[str, Statement]]] = OrderedDict()
        self._lock = threading.Lock()

    def statements(self, connection: Connection, start: date, end: date) -> dict[str, Statement]:
        """Return the statement of each currency of an account.

        Args:
            connection: The account.
            start: First UTC day.
            end: The day after the last.

        Returns:
            By currency, in their order; empty where there was never a transaction before ``end``.

        Raises:
            Invalid: The days end before they begin.
            Unavailable: The store or the warehouse is in trouble.
        """
        if end <= start:
            raise Invalid("proof.no_days", "The last day comes before the first.")
        scope = Scope(connection.account_id, connection.livemode)
        first, last = _midnight(start), _midnight(end)
        asked = rollforward.asked_of(self._book.around(connection.id, first, last))
        reasons = self.lacking(connection, last)
        told = [one for one in self._findings.of(connection.id, open_only=True, limit=10_000) if _concerns(one)]
        marks = self._warehouse.marks()
        state = (*(marks.get(f"stripe.{name}") for name in _FOUND_IN), *asked, *reasons, *told)
        key = (connection.id, connection.name, start, end, self._clock.now().date(), state)
        now = self._clock.monotonic()
        with self._lock:
            made = self._made.get(key)
        if made is None or now - made[0] >= _STILL_FRESH_S:
            made = (now, self._make(connection, scope, start, end, asked, told, reasons))
            with self._lock:
                _remember(self._made, key, made)
        return made[1]

    def _make(
        self,
        connection: Connection,
        scope: Scope,
        start: date,
        end: date,
        asked: Sequence[rollforward.Asked],
        told: Sequence[Finding],
        reasons: Sequence[Reason],
    ) -> dict[str, Statement]:
        first, last = _midnight(start), _midnight(end)
        with self._warehouse.reading() as session:
            rolled = rollforward.roll(session, scope, start, end, asked)
            lines, unpaid = payouts.reconcile(session, scope, first, last)
            on_the_way = payouts.in_transit(session, scope, last)
            broken = any(not one.ties for its in rolled.values() for one in its.checkpoints)
            rows, faults = self._faults(session, scope, first, last, whole=broken)
            faults += _verified(session, scope, told, last, faults)
            faults += [_Fault((currency,), one) for currency, its in unpaid.items() for one in its]
            for currency, its in rolled.items():
                faults += _since(session, scope, currency, its)
        return {
            currency: self._statement(
                connection, scope, currency, start, end, its, lines.get(currency, []), faults, reasons,
                on_the_way.get(currency, 0), rows,
            )
            for currency, its in rolled.items()
        }  # fmt: skip

    def _statement(
        self,
        connection: Connection,
        scope: Scope,
        currency: str,
        start: date,
        end: date,
        rolled: Rolled,
        lines: Sequence[PayoutLine],
        faults: Sequence[_Fault],
        reasons: Sequence[Reason],
        on_the_way: int,
        rows: int,
    ) -> Statement:
        now = self._clock.now()
        untied = [fault.untied for fault in faults if not fault.currencies or currency in fault.currencies]
        wrong = next((one for one in rolled.checkpoints if not one.ties), None)
        if wrong is not None:
            untied.append(Untied(kind="balance", at=wrong.at, stripe=wrong.stripe, ours=wrong.now))
        untied.sort(key=lambda one: (one.kind != "balance", one.at or now, one.table, one.id))
        said = [*reasons, *_unproven(rolled.checkpoints, end, now)]
        return Statement(
            scope=scope,
            connection_id=connection.id,
            account_name=connection.name,
            currency=currency,
            start=start,
            end=end,
            state=_state(untied, said, end, now),
            days=[day for day in rolled.days if day.day <= now.astimezone(UTC).date()] or rolled.days[:1],
            categories=rolled.categories,
            payouts=lines,
            checkpoints=rolled.checkpoints,
            in_transit=on_the_way,
            untied=untied[:NAMED],
            cut=max(0, len(untied) - NAMED),
            reasons=said,
            rows=rows,
            known_at=now,
        )

    def lacking(self, connection: Connection, end: datetime) -> list[Reason]:
        """Say what of an account's balance transactions and payouts of before a moment is not here; empty: all of it is."""
        found = []
        standings = self._runs.standings(connection.id)
        for path in (figures.TRANSACTIONS, figures.PAYOUTS):
            standing = standings.get(path)
            as_of = None if standing is None else standing.complete_as_of
            if standing is None or standing.state != "complete" or as_of is None:
                found.append(Reason(code="proof.not_loaded", sentence=f"The list {path} is not here completely."))
            elif as_of < min(end, self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)):
                sentence = f"The list {path} was last known to be complete before the days ended."
                found.append(Reason(code="proof.days_not_read", sentence=sentence))
        if connection.start_at is not None:
            sentence = "Only history since a chosen day is here: what came before it is in the balance."
            found.append(Reason(code="proof.cut", sentence=sentence))
        return found

    # Rows

    def _faults(
        self, session: Session, scope: Scope, start: datetime, end: datetime, *, whole: bool
    ) -> tuple[int, list[_Fault]]:
        """Check rows against the payloads they came from: those of the days, or all where a balance does not tie."""
        rows, found = 0, []
        for name in _TABLES:
            checked = self._checked(session, scope, name, start, end, whole=whole)
            found += [one for one in checked.faults if one.untied.at is None or one.untied.at < end]
            rows += checked.rows
        named = {(one.untied.kind, one.untied.id) for one in found}
        bounds = {"account": scope.account, "livemode": scope.livemode, "start": start, "end": end}
        for key, currency, created, amount, fee, net, category in session.execute(_MALFORMED, bounds).fetchall():
            if ("altered", key) in named:
                continue
            if net is None or amount is None or fee is None or net != amount - fee:
                due = None if amount is None or fee is None else amount - fee
                untied = Untied(
                    kind="arithmetic", id=key, table=TRANSACTIONS, at=created, field="net", stripe=due, ours=net
                )
                found.append(_Fault((currency,), untied))
            if category is None:
                untied = Untied(kind="uncategorised", id=key, table=TRANSACTIONS, at=created)
                found.append(_Fault((currency,), untied))
        return rows, found

    def _checked(
        self, session: Session, scope: Scope, name: str, start: datetime, end: datetime, *, whole: bool
    ) -> _Checked:
        """Check one table's rows, unless the very same rows were checked a while ago."""
        table = self._tables[name]
        span = (None, None) if whole else (to_unix(start), to_unix(end))
        owner = {"account": scope.account, "livemode": scope.livemode}
        own = session.execute(integrity.fingerprint(table, [span]), owner).fetchone()
        every = session.execute(f"SELECT count(*) FROM {table.name} AS t WHERE {_OWN}", owner).fetchone()
        key = (name, scope, span, own, every)
        now = self._clock.monotonic()
        with self._lock:
            known = self._remembered.get(key)
        if known is not None and now - known.at < _STILL_FRESH_S:
            return known
        rows, kinds = soundness.unsound(session, table, scope, [span], whole=whole)
        asked = {**owner, "table": name}
        if not whole:
            doubled = session.execute(integrity.doubled(table, [span]), owner).fetchall()
            kinds["duplicate"] |= {row[0] for row in doubled}
        lost = dict(session.execute(integrity.lost(table), asked).fetchall())
        here = sorted(kinds["altered"] | kinds["duplicate"])
        beside = soundness.altered(session, table, scope, here[:NAMED]) if here else {}
        faults: list[_Fault] = []
        for identifier in sorted(kinds["altered"]):
            faults += _altered(name, identifier, beside.get(identifier))
        for identifier in sorted(kinds["duplicate"]):
            row: Mapping[str, Any] = beside[identifier].row if identifier in beside else {}
            untied = Untied(kind="duplicate", id=identifier, table=name, at=row.get("created"), ours=row.get("net"))
            faults.append(_Fault((row["currency"],) if row else (), untied))
        for identifier, raw in sorted(lost.items()):
            said = soundness.payload(raw)
            at = said.get("created")
            untied = Untied(
                kind="missing",
                id=identifier,
                table=name,
                at=from_unix(at) if isinstance(at, int) else None,
                stripe=said.get("net" if name == TRANSACTIONS else "amount"),
            )
            faults.append(_Fault((said["currency"],) if "currency" in said else (), untied))
        checked = _Checked(rows, tuple(faults), now)
        with self._lock:
            _remember(self._remembered, key, checked)
        return checked


def _altered(table: str, identifier: str, found: soundness.Altered | None) -> list[_Fault]:
    """Return one fault for each column that is not what the payload says."""
    if found is None or not found.fields:
        row = {} if found is None else found.row
        own = (row["currency"],) if row.get("currency") else ()
        return [_Fault(own, Untied(kind="altered", id=identifier, table=table, at=row.get("created")))]
    said = {name: value for name, value, _ in found.fields}
    currencies = tuple({one for one in (found.row.get("currency"), said.get("currency")) if isinstance(one, str)})
    return [
        _Fault(
            currencies,
            Untied(
                kind="altered",
                id=identifier,
                table=table,
                at=found.row.get("created"),
                field=name,
                stripe=_shown(name, theirs),
                ours=_shown(name, ours),
            ),
        )
        for name, theirs, ours in found.fields
    ]


def _shown(name: str, value: Any) -> int | str | None:
    if value is None or (name in _AMOUNTS and isinstance(value, int)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if name in ("created", "available_on", "arrival_date") and isinstance(value, int):
        return from_unix(value).isoformat()
    return str(value)


def _concerns(one: Finding) -> bool:
    """Tell whether a finding speaks of rows that a statement is made of."""
    return one.origin == "verify" and one.table in _FOUND_IN and one.kind in _KINDS


def _verified(
    session: Session, scope: Scope, told: Sequence[Finding], end: datetime, known: Sequence[_Fault]
) -> list[_Fault]:
    """Return what verifications found against Stripe and none has proven since."""
    named = {(one.untied.table, one.untied.id) for one in known}
    ids: dict[str, dict[str, UntiedKind]] = defaultdict(dict)
    for one in told:
        new = [identifier for identifier in one.ids if (one.table, identifier) not in named]
        ids[one.table].update(dict.fromkeys(new, _KINDS[one.kind]))
    found: list[_Fault] = []
    for table, kinds in ids.items():
        bridge = table == BRIDGE.table  # its rows are known by the payout that they are of
        owners = {each: each.split("/")[0] if bridge else each for each in kinds}
        asked = {"account": scope.account, "livemode": scope.livemode, "ids": sorted(set(owners.values()))}
        rows = session.execute(_PLACES["payouts" if bridge else table], asked).fetchall()
        places = {row[0]: (row[1], row[2]) for row in rows}
        for identifier, kind in kinds.items():
            currency, at = places.get(owners[identifier], (None, None))
            if at is None or at < end:
                untied = Untied(kind=kind, id=identifier, table=table, at=at)
                found.append(_Fault((currency,) if currency else (), untied))
    return found


def _remember(known: OrderedDict[tuple[Any, ...], Any], key: tuple[Any, ...], value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _since(session: Session, scope: Scope, currency: str, rolled: Rolled) -> list[_Fault]:
    """Return what came or went after the first balance that had tied and does no more."""
    broken = next((one for one in rolled.checkpoints if not one.ties and one.then == one.stripe), None)
    if broken is None:
        return []
    asked = {
        "account": scope.account,
        "livemode": scope.livemode,
        "currency": currency,
        "through": broken.through,
        "at": broken.at,
    }
    return [
        _Fault(
            (currency,),
            Untied(kind="gone" if gone else "late", id=key, table=TRANSACTIONS, at=created, field="net", ours=int(net)),
        )
        for key, created, net, gone in session.execute(_SINCE, asked).fetchall()
    ]


def _unproven(checkpoints: Sequence[Checkpoint], end: date, now: datetime) -> list[Reason]:
    """Say what is missing for the last day to be proven against Stripe's balance."""
    if any(one.at.astimezone(UTC).date() >= end for one in checkpoints):
        return []
    if not checkpoints:
        return [
            Reason(
                code="proof.no_balance", sentence="Stripe has not been asked for this balance yet: verify the account."
            )
        ]
    if now.astimezone(UTC).date() < end:
        return []
    sentence = "Stripe has not been asked for its balance since the last day ended: verify the account."
    return [Reason(code="proof.no_balance_since", sentence=sentence)]


def _state(untied: Sequence[Untied], reasons: Sequence[Reason], end: date, now: datetime) -> StatementState:
    if untied:
        return "differs"
    if reasons:
        return "incomplete"
    return "open" if now.astimezone(UTC).date() < end else "proven"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
