"""What a figure may lack: tables behind it that have not been read completely, and history that was never asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from takings.connections import Connections
from takings.metrics import Figures, Question, Registry
from takings.sync import HealthBook


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a figure may lack.

    Attributes:
        connection: Name of the connection, or of a table of figures.
        table: Of Stripe; None where it holds for all of the connection's.
        reason: In English; with ``reason_code`` and ``since`` for translation.
        short: Whether more reading brings it. What the key may not read, and history before a chosen first day, will not
            come by itself.
        since: First day of what was loaded, as ``2026-01-31``; empty otherwise.
    """

    connection: str
    table: str | None
    reason: str
    reason_code: str | None
    short: bool
    since: str = ""

    @property
    def where(self) -> str:
        """The connection, and the table."""
        return f"{self.connection}: {self.table}" if self.table else self.connection


def missing_of(
    figures: Figures, registry: Registry, connections: Connections, health: HealthBook, question: Question
) -> list[Missing]:
    """Return what a figure may lack.

    Args:
        figures: Know which of them could not be worked out.
        registry: What figures come from.
        connections: The connections there are.
        health: How their tables stand.
        question: The figure, and whose.

    Raises:
        NotFound: There is no such figure.
        Unavailable: The figures have not been made yet.
    """
    accounts = question.accounts or (None if question.account is None else (question.account,))
    tables = frozenset().union(*(registry.sources(one.model) for one in registry.behind(question.measure)))
    said = "it could not be worked out, and is too old: the log says why."
    failed = [
        Missing(f"metrics.{one}", None, said, "reports.model_failed", short=True)
        for one in figures.failed(question.measure)
    ]
    return [*failed, *missing_from(connections, health, tables, question.livemode, accounts)]


def missing_from(
    connections: Connections,
    health: HealthBook,
    tables: Iterable[str],
    livemode: bool,
    accounts: Collection[str] | None,
) -> list[Missing]:
    """Return what tables of schema ``stripe`` may lack of the data of some accounts (None: of all); see :func:`missing_of`."""
    found: list[Missing] = []
    tables = {one for table in tables for one in health.carriers(table) or (table,)}
    for connection in connections.all():
        if connection.livemode != livemode or (accounts is not None and connection.account_id not in accounts):
            continue
        stands = {one.table: one for one in health.tables(connection.id)}
        for table in sorted(tables):
            one = stands.get(table)
            if one is None and stands:
                said, code = "Stripe gives it one object at a time, so it is not read.", "reports.one_by_one"
                found.append(Missing(connection.name, table, said, code, short=False))
            elif one is None or (one.as_of is None and one.state in ("waiting", "running", "complete")):
                said, code = "it has not been loaded yet.", "reports.not_loaded"
                found.append(Missing(connection.name, table, said, code, short=True))
            elif one.state not in ("running", "complete"):
                refused = one.state in ("forbidden", "unavailable")
                known = (
                    (one.reason, one.reason_code) if one.reason else ("its last reading failed.", "reports.not_read")
                )
                found.append(Missing(connection.name, table, *known, short=not refused))
            elif one.reason_code == "sync.plain" and one.reason:
                found.append(Missing(connection.name, table, one.reason, one.reason_code, short=False))
        if connection.start_at is not None:
            since = f"{connection.start_at:%Y-%m-%d}"
            said = f"only what was made since {since} was loaded."
            found.append(Missing(connection.name, None, said, "reports.since", short=False, since=since))
    return found
