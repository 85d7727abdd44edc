"""Figures for Prometheus, read from the store: the process that serves them is not the one that works."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, get_args

import sqlalchemy as sa
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from takings import __version__
from takings.alerts.book import AlertBook
from takings.alerts.model import BudgetFacts, Budgets
from takings.clock import Clock, to_unix
from takings.connections import State
from takings.store import Store
from takings.store import schema as s

FIGURES_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The media type of the text."""

#: The age of each table is given for so many connections at most (by name); of all others only the oldest.
BY_TABLE: Final = 20

_KEPT_S: Final = 5.0
_BUDGETS_KEPT_S: Final = 120.0
#: Requests of an hour may be written down late, when the store was away; not later than after so many hours.
_HOURS_OPEN: Final = 24
_RUN_STATES: Final = ("running", "complete", "partial", "failed", "stopped")


class Figures:
    """All figures, as text for Prometheus.

    Args:
        store: The product's own database.
        clock: Tells the time.
        budgets: Tells what connections may still ask of Stripe; None: budgets are left out.
    """

    def __init__(self, store: Store, clock: Clock, budgets: Budgets | None = None) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._text: tuple[float, bytes] | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_FromStore(store, clock, budgets))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format, at most a few seconds old.

        Raises:
            Unavailable: The store is away.
        """
        with self._mutex:
            now = self._clock.monotonic()
            if self._text is None or now - self._text[0] >= _KEPT_S:
                self._text = (now, generate_latest(self._registry))
            return self._text[1]


class _Requests:
    """Requests to Stripe since the hour in which this process began to look: they only rise while it lives.

    Counts are kept by the hour, so hours that nobody adds to any more are read once and remembered as a sum.

    Args:
        now: The present.
    """

    def __init__(self, now: datetime) -> None:
        self._open = to_unix(now) // 3600
        self._closed: Counter[tuple[str, bool, str]] = Counter()

    def read(self, db: sa.Connection, names: Mapping[tuple[str, bool], str], now: datetime) -> CounterMetricFamily:
        """Return the counter."""
        found = CounterMetricFamily(
            "takings_stripe_requests",
            "Requests to Stripe by what they were for, counted from the hour in which this process began.",
            labels=["connection", "purpose"],
        )
        r = s.request_counts.c
        rows = db.execute(
            sa.select(r.hour, r.account_id, r.livemode, r.purpose, sa.func.sum(r.requests))
            .where(r.hour >= self._open)
            .group_by(r.hour, r.account_id, r.livemode, r.purpose)
        ).all()
        total, closing = Counter(self._closed), to_unix(now) // 3600 - _HOURS_OPEN
        for hour, account, livemode, purpose, requests in rows:
            key = (account, bool(livemode), purpose)
            total[key] += int(requests)
            if hour < closing:
                self._closed[key] += int(requests)
        self._open = max(self._open, closing)
        for (account, livemode, purpose), requests in total.items():
            name = names.get((account, livemode))
            if name is not None:
                found.add_metric([name, purpose], requests)
        return found


class _FromStore(Collector):
    def __init__(self, store: Store, clock: Clock, budgets: Budgets | None) -> None:
        self._store, self._clock, self._asked = store, clock, budgets
        self._book = AlertBook(store, clock)
        self._budgets: tuple[float, dict[str, BudgetFacts]] | None = None
        self._requests = _Requests(clock.now())

    def describe(self) -> Iterable[Metric]:
        """Say nothing beforehand: the store is only asked when somebody reads the figures."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Read every figure in one look."""
        now = self._clock.now()
        c = s.connections.c
        with self._store.read() as db:
            connections = db.execute(
                sa.select(c.id, c.name, c.state, c.account_id, c.livemode, c.last_sync_at).order_by(
                    sa.func.lower(c.name)
                )
            ).all()
            names = {row.id: row.name for row in connections}
            found: list[Metric] = [
                _info(),
                _states([(row.name, row.state) for row in connections]),
                *_freshness(db, names, now),
                _rows(db, names),
                self._requests.read(db, {(row.account_id, row.livemode): row.name for row in connections}, now),
                *_runs(db, names, now),
                *_findings(db, names, now),
                _deliveries(db, names),
                *_workers(db),
            ]
        alerts = _gauge("takings_alerts_open", "Alerts that are open, by kind.", ["kind"])
        for kind, n in self._book.counts().items():
            alerts.add_metric([kind], n)
        return [*found, alerts, *self._budget(names)]

    def _budget(self, names: dict[str, str]) -> list[Metric]:
        if self._asked is None:
            return []
        now = self._clock.monotonic()
        if self._budgets is None or now - self._budgets[0] >= _BUDGETS_KEPT_S:
            known = {one: self._asked(one) for one in names}
            self._budgets = (now, {key: budget for key, budget in known.items() if budget is not None})
        used = _gauge("takings_read_budget_used", "Requests of the last 30 days.", ["connection"])
        limit = _gauge("takings_read_budget_limit", "Requests in 30 days that are ours to use.", ["connection"])
        for key, budget in self._budgets[1].items():
            if key in names:
                used.add_metric([names[key]], budget.used)
                limit.add_metric([names[key]], budget.limit)
        return [used, limit]


def _gauge(name: str, meaning: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=labels)


def _info() -> GaugeMetricFamily:
    found = _gauge("takings_info", "The version that runs, as a label.", ["version"])
    found.add_metric([__version__], 1)
    return found


def _states(connections: Iterable[tuple[str, str]]) -> GaugeMetricFamily:
    found = _gauge("takings_connection_state", "1 for the state a connection is in, else 0.", ["connection", "state"])
    for name, present in connections:
        for state in get_args(State):
            found.add_metric([name, state], float(present == state))
    return found


def _freshness(db: sa.Connection, names: dict[str, str], now: datetime) -> list[GaugeMetricFamily]:
    """Return ages of data: of each table where there are few connections, of the oldest table of every one."""
    table = _gauge(
        "takings_table_age_seconds",
        f"Age of the newest proven moment of a table; for the first {BY_TABLE} connections by name.",
        ["connection", "table"],
    )
    oldest = _gauge(
        "takings_oldest_table_age_seconds", "Age of the oldest table's newest proven moment.", ["connection"]
    )
    unproven = _gauge("takings_lists_incomplete", "Lists that may be read and were never complete yet.", ["connection"])
    forbidden = _gauge("takings_lists_forbidden", "Lists that the credentials may not read.", ["connection"])
    shown = set(list(names)[:BY_TABLE])
    state = s.list_states.c
    ages: defaultdict[str, dict[str, float]] = defaultdict(dict)
    never: dict[str, int] = dict.fromkeys(names, 0)
    closed: dict[str, int] = dict.fromkeys(names, 0)
    for row in db.execute(sa.select(state.connection_id, state.table_name, state.state, state.complete_as_of)):
        if row.connection_id not in names or row.state == "unavailable":
            continue
        if row.state == "forbidden":
            closed[row.connection_id] += 1
        elif row.complete_as_of is None:
            never[row.connection_id] += 1
        else:
            of = ages[row.connection_id]
            of[row.table_name] = max(of.get(row.table_name, 0.0), max(0.0, (now - row.complete_as_of).total_seconds()))
    for key, name in names.items():
        unproven.add_metric([name], never[key])
        forbidden.add_metric([name], closed[key])
        if ages[key]:
            oldest.add_metric([name], max(ages[key].values()))
        if key in shown:
            for table_name, age in sorted(ages[key].items()):
                table.add_metric([name, table_name], age)
    return [table, oldest, unproven, forbidden]


def _rows(db: sa.Connection, names: dict[str, str]) -> GaugeMetricFamily:
    found = _gauge("takings_rows", "Rows in all tables of a connection.", ["connection"])
    t = s.table_rows.c
    sums = dict.fromkeys(names, 0)
    for row in db.execute(sa.select(t.connection_id, sa.func.sum(t.rows)).group_by(t.connection_id)):
        if row[0] in sums:
            sums[row[0]] = int(row[1])
    for key, n in sums.items():
        found.add_metric([names[key]], n)
    return found


def _runs(db: sa.Connection, names: dict[str, str], now: datetime) -> list[GaugeMetricFamily]:
    state = _gauge(
        "takings_last_run_state",
        "1 for the state of the latest run of its kind, else 0.",
        ["connection", "kind", "state"],
    )
    took = _gauge(
        "takings_last_run_duration_seconds",
        "How long the latest run of its kind took, or has taken so far.",
        ["connection", "kind"],
    )
    began = _gauge(
        "takings_last_run_start_timestamp_seconds", "When the latest run of its kind began.", ["connection", "kind"]
    )
    r = s.runs.c
    newest = (
        sa.select(r.connection_id, r.kind, sa.func.max(r.started_at).label("at"))
        .group_by(r.connection_id, r.kind)
        .subquery()
    )
    rows = db.execute(
        sa.select(r.connection_id, r.kind, r.state, r.started_at, r.ended_at).join(
            newest,
            sa.and_(newest.c.connection_id == r.connection_id, newest.c.kind == r.kind, newest.c.at == r.started_at),
        )
    )
    for (connection, kind), row in {(row.connection_id, row.kind): row for row in rows}.items():
        if connection not in names:
            continue
        labels = [names[connection], kind]
        for one in _RUN_STATES:
            state.add_metric([*labels, one], float(row.state == one))
        took.add_metric(labels, max(0.0, ((row.ended_at or now) - row.started_at).total_seconds()))
        began.add_metric(labels, row.started_at.timestamp())
    return [state, took, began]


def _findings(db: sa.Connection, names: dict[str, str], now: datetime) -> list[GaugeMetricFamily]:
    standing = _gauge("takings_findings_open", "Differences from Stripe that are not healed.", ["connection", "kind"])
    day = _gauge("takings_findings_day", "Differences from Stripe found in the last 24 hours.", ["connection", "kind"])
    f = s.findings.c
    for gauge, which in ((standing, f.healed_at.is_(None)), (day, f.found_at >= now - timedelta(days=1))):
        rows = db.execute(
            sa.select(f.connection_id, f.kind, sa.func.sum(f.count)).where(which).group_by(f.connection_id, f.kind)
        )
        for row in rows:
            if row[0] in names:
                gauge.add_metric([names[row[0]], row[1]], int(row[2]))
    return [standing, day]


def _deliveries(db: sa.Connection, names: dict[str, str]) -> GaugeMetricFamily:
    found = _gauge(
        "takings_webhook_deliveries_waiting", "Deliveries of Stripe that are not made use of yet.", ["connection"]
    )
    d = s.deliveries.c
    waiting = dict.fromkeys(names, 0)
    for row in db.execute(
        sa.select(d.connection_id, sa.func.count()).where(d.state == "waiting").group_by(d.connection_id)
    ):
        if row[0] in waiting:
            waiting[row[0]] = int(row[1])
    for key, n in waiting.items():
        found.add_metric([names[key]], n)
    return found


def _workers(db: sa.Connection) -> list[GaugeMetricFamily]:
    w = s.workers.c
    n, seen = db.execute(sa.select(sa.func.count(), sa.func.max(w.seen_at))).one()
    count = _gauge("takings_workers", "Workers known, also those that stopped without a word within the hour.", [])
    count.add_metric([], int(n))
    last = _gauge("takings_worker_seen_timestamp_seconds", "When a worker last said that it lives; 0: never.", [])
    last.add_metric([], seen.timestamp() if seen is not None else 0.0)
    return [count, last]
