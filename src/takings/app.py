"""The one place where the parts are put together."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from takings import catalog as catalogs
from takings.accounts import ApiTokens, Audit, CompanySettings, People, Sessions, company
from takings.alerts import Alerts, BudgetFacts, Budgets
from takings.catalog import Catalog
from takings.clock import Clock, SystemClock
from takings.connections import Connections, Credentials, Deliveries, Discovering, SigningSecrets
from takings.metrics import Books, Builder, Exchange, Figures, Journal, Keeping, Recurring, Registry
from takings.metrics.policies import DEFAULT, Policy, standing
from takings.proof import MonthEnd, Proof, ProofBook, Verifier
from takings.reports import (
    Dashboard,
    Reports,
    SavedQueries,
    StripeCompare,
    StripeMrrCompare,
    StripeReports,
    load_dashboards,
)
from takings.settings import Settings
from takings.simulator.process import Simulator
from takings.store import Store, Vault
from takings.sync import Forgetting, HealthBook, Maintenance, Rereading, Sync, Worker
from takings.warehouse import Warehouse

SAMPLE_OBJECTS: Final = 20_000
_SAMPLE_SEED: Final = 36


class Sample:
    """Sample data: the built-in simulator, started in this process's name when it is asked for the first time.

    Every process that needs it runs one of its own; the same seed and the same end make them the same company.

    Args:
        home: The data folder, where the sample's present is remembered.
    """

    def __init__(self, home: Path) -> None:
        self._file = home / "sample.json"
        self._lock = threading.Lock()
        self._simulator: Simulator | None = None

    def __call__(self) -> Credentials:
        """Return the address and key of the running simulator."""
        with self._lock:
            if self._simulator is None:
                self._simulator = Simulator(objects=SAMPLE_OBJECTS, seed=_SAMPLE_SEED, end=self._end()).start()
            return Credentials(way="key", secret=self._simulator.live_key, api_base=self._simulator.api_base)

    def _end(self) -> datetime:
        try:
            with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as to:
                json.dump({"end": datetime.now(UTC).replace(microsecond=0).isoformat()}, to)
        except FileExistsError:
            pass
        return datetime.fromisoformat(json.loads(self._file.read_text("utf-8"))["end"])

    def close(self) -> None:
        """Stop the simulator, if it runs."""
        with self._lock:
            if self._simulator is not None:
                self._simulator.stop()
                self._simulator = None


@dataclass(frozen=True, slots=True)
class App:
    """The assembled program. It holds parts and does nothing itself."""

    settings: Settings
    clock: Clock
    catalog: Catalog
    store: Store
    vault: Vault
    warehouse: Warehouse
    people: People
    sessions: Sessions
    tokens: ApiTokens
    firm: CompanySettings
    audit: Audit
    connections: Connections
    signing: SigningSecrets
    deliveries: Deliveries
    sync: Sync
    health: HealthBook
    rereading: Rereading
    registry: Registry
    builder: Builder
    figures: Figures
    books: Books
    journal: Journal
    recurring: Recurring
    exchange: Exchange
    proof: Proof
    month_end: MonthEnd
    alerts: Alerts
    reports: Reports
    queries: SavedQueries
    stripe_reports: StripeReports
    stripe_compare: StripeCompare
    stripe_mrr: StripeMrrCompare
    dashboards: tuple[Dashboard, ...]
    sample: Sample

    def worker(self) -> Worker:
        """Return a worker over these parts."""
        verifier = Verifier(self.proof, self.proof.book, self.connections, self.store, self.settings, self.clock)
        maintenance = Maintenance(self.warehouse, self.settings, self.clock)
        keeping = Keeping(self.builder, self.zone, self.clock)
        discovering, forgetting = Discovering(self.connections, self.clock), Forgetting(self.store, self.clock)
        chores = (self.alerts.watch(), discovering, verifier, maintenance, keeping, forgetting)
        return Worker(self.sync, self.connections, self.store, self.warehouse, self.clock, chores)

    def zone(self) -> str:
        """Return the reporting zone: the company's, UTC before it is set up."""
        known = company(self.store)
        return known.time_zone if known else "UTC"

    def today(self) -> date:
        """Return the present day in the reporting zone."""
        return self.clock.now().astimezone(ZoneInfo(self.zone())).date()

    def close(self) -> None:
        """Let go of files, connections and processes."""
        self.sample.close()
        self.warehouse.close()
        self.store.close()


def _budgets(connections: Connections, health: HealthBook, clock: Clock) -> Budgets:
    """Return what tells alerts how far a connection's share of Stripe's read allocation is used up."""

    def facts(connection_id: str) -> BudgetFacts | None:
        known = health.budget(connections.get(connection_id), clock.now())
        return BudgetFacts(used=known.upkeep, limit=known.limit)

    return facts


def build(settings: Settings, clock: Clock | None = None) -> App:
    """Put the parts together for one process. The caller closes the result.

    Raises:
        Misconfigured: A setting cannot be used; the sentence says which and what to do.
        Unavailable: The database or the warehouse is held by others.
    """
    clock = clock or SystemClock()
    catalog = catalogs.load()
    store = Store.open(settings)
    try:
        vault = Vault.open(settings)
        warehouse = Warehouse.open(settings, catalog)
    except BaseException:
        store.close()
        raise
    audit = Audit(store, clock)
    sample = Sample(settings.home)
    connections = Connections(store, vault, catalog, settings, clock, audit, sample)
    signing = SigningSecrets(store, vault, clock, audit)
    deliveries = Deliveries(store, signing, clock)
    sync = Sync(store, warehouse, catalog, connections, deliveries, settings, clock)
    health = HealthBook(store, catalog, settings)
    registry = Registry.load(catalog)
    figures = Figures(warehouse, registry, clock)

    def policy() -> Policy:
        known = company(store)
        return standing(settings.home, known.policy if known else DEFAULT.name)

    builder = Builder(warehouse, registry, clock, policy=policy)
    recurring = Recurring(warehouse, registry, builder, figures, clock)
    stripe_reports = StripeReports(warehouse)
    proofs = ProofBook(store, connections, audit, clock)
    return App(
        settings=settings,
        clock=clock,
        catalog=catalog,
        store=store,
        vault=vault,
        warehouse=warehouse,
        people=People(store, clock),
        sessions=Sessions(store, clock),
        tokens=ApiTokens(store, clock),
        firm=CompanySettings(store, audit),
        audit=audit,
        connections=connections,
        signing=signing,
        deliveries=deliveries,
        sync=sync,
        health=health,
        rereading=Rereading(store, connections, health, sync.stretches, audit, clock),
        registry=registry,
        builder=builder,
        figures=figures,
        books=Books(figures, store, audit, clock, sync.book.loaded),
        journal=Journal(warehouse, figures),
        recurring=recurring,
        exchange=Exchange(warehouse, registry, settings.home, clock),
        proof=Proof(
            store,
            warehouse,
            catalog,
            connections,
            deliveries,
            proofs,
            settings,
            clock,
        ),
        month_end=MonthEnd(store, warehouse, catalog, proofs, clock),
        alerts=Alerts(store, vault, settings, clock, audit, _budgets(connections, health, clock)),
        reports=Reports(warehouse, clock, figures),
        queries=SavedQueries(store, audit, clock),
        stripe_reports=stripe_reports,
        stripe_compare=StripeCompare(warehouse, catalog, stripe_reports),
        stripe_mrr=StripeMrrCompare(warehouse, recurring),
        dashboards=load_dashboards(registry),
        sample=sample,
    )
