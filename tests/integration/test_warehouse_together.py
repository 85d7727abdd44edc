"""Several at one warehouse at once: whoever reads, writes or merges, in one process or in two, gets in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from takings import settings
from takings.catalog.model import Catalog, Field, Resource
from takings.warehouse import Delivery, Item, Scope, Warehouse
from takings.warehouse.spilling import Spill

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TABLES = ("charges", "coupons", "customers")
CATALOG = Catalog(
    sdk_version="0",
    api_version="0",
    lists=(),
    resources={
        name: Resource(
            object=name[:-1], table=name, sdk="", fields=(Field(name="id", kind="id"), Field(name="n", kind="integer"))
        )
        for name in TABLES
    },
)

#: What sorts more than fits into memory, and answers the same however it is done.
_SPILLS = """
SELECT sum(hash(s.x)) AS spilled
FROM (SELECT md5(CAST(r.i * {times} AS VARCHAR)) AS x FROM range(2000000) AS r(i) ORDER BY x OFFSET 1) AS s
"""

_KILLED = """
import sys, time
from pathlib import Path
from takings.warehouse.spilling import Spill
spill = Spill(Path(sys.argv[1]))
(spill.folder / "left").write_bytes(b"x")
print(spill.folder.name, flush=True)
time.sleep(600)
"""


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[], Warehouse]:
    known = settings.load({}, home=tmp_path, warehouse_memory_mb=100)
    return lambda: Warehouse.open(known, CATALOG)


def test_two_engines_spill_beside_each_other(opened: Callable[[], Warehouse]) -> None:
    def ask(one: Warehouse, times: int) -> object:
        return one.query(_SPILLS.format(times=times)).rows

    with opened() as web, opened() as worker, ThreadPoolExecutor(2) as pool:
        alone = ask(web, 3), ask(worker, 7)
        for _ in range(3):
            asked = pool.submit(ask, web, 3), pool.submit(ask, worker, 7)
            assert tuple(future.result() for future in asked) == alone


def test_merging_stops_nobody(opened: Callable[[], Warehouse]) -> None:
    over = Event()

    def read(warehouse: Warehouse) -> int:
        asked = 0
        while not over.is_set():
            for table in TABLES:
                warehouse.query(f"SELECT count(*) AS n FROM stripe.{table} AS t WHERE t.id > 'a'")
                asked += 1
        return asked

    def write(warehouse: Warehouse) -> int:
        writer, written = warehouse.writer(), 0
        while not over.is_set():
            moment = T0 + timedelta(seconds=written)
            writer.write(
                [
                    Delivery(
                        table=table,
                        scope=Scope("acct_1", True),
                        items=(Item.of(f"{table}_{written}", None, b'{"n":%d}' % written),),
                        as_of=moment,
                        known_at=moment,
                        source="list",
                        api_version="0",
                    )
                    for table in TABLES
                ]
            )
            written += 1
        return written

    with opened() as warehouse, ThreadPoolExecutor(4) as pool:
        work = [pool.submit(write, warehouse), *(pool.submit(read, warehouse) for _ in range(3))]
        merged, until = 0, time.monotonic() + 60
        try:
            while merged < 6 and time.monotonic() < until and not any(future.done() for future in work):
                merged += warehouse.tidy()
        finally:
            over.set()
        written, *_ = (future.result(timeout=60) for future in work)
        assert merged >= 6
        counted = {table: warehouse.query(f"SELECT count(*) FROM stripe.{table} AS t").rows[0][0] for table in TABLES}
        assert counted == dict.fromkeys(TABLES, written)


def test_what_a_killed_process_spilled_is_deleted_by_the_next(tmp_path: Path) -> None:
    killed = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    name = killed.stdout.readline().strip()
    hour_ago = time.time() - 3_600
    os.utime(tmp_path / f"{name}.lock", (hour_ago, hour_ago))
    shared = tmp_path / "duckdb_temp_storage-0.tmp"  # of a release in which engines shared the folder
    shared.write_bytes(b"x")
    os.utime(shared, (hour_ago - 86_400, hour_ago - 86_400))

    Spill(tmp_path).close()
    assert (tmp_path / name / "left").exists(), "it was in use"
    assert not shared.exists()

    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    Spill(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
