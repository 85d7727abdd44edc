"""A disk that fills up at any point: what was kept stays, what was refused is said, and it goes on when there is room.

The system's limit on the size of a file stands in for the disk: it works everywhere, and for one process alone.
"""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from takings import archive
from takings import settings as takings_settings
from takings.catalog.model import Catalog, Field, Resource
from takings.errors import TakingsError, Unavailable
from takings.store import Store
from takings.store.schema import workers
from takings.warehouse import Delivery, Item, Scope, Warehouse

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CATALOG = Catalog(
    sdk_version="1.0.0",
    api_version="0",
    lists=(),
    resources={
        "charges": Resource(
            object="charge",
            table="charges",
            sdk="",
            fields=(Field(name="id", kind="id"), Field(name="n", kind="integer")),
        )
    },
)
#: Bytes a file may have: nothing at all can be written, the rows cannot, the catalog cannot, something large cannot.
LIMITS = (0, 3_000, 120_000, 5_000_000)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def delivery(at: int, count: int = 400) -> Delivery:
    moment = T0 + timedelta(seconds=at)
    dice = random.Random(at)
    bodies = ({"id": f"x_{n}", "n": at * n, "noise": dice.randbytes(1_500).hex()} for n in range(count))
    return Delivery(
        table="charges",
        scope=Scope("acct_1", True),
        items=tuple(Item.of(body["id"], None, json.dumps(body).encode()) for body in bodies),  # type: ignore[arg-type]
        as_of=moment,
        known_at=moment,
        source="event",
        api_version="0",
    )


def in_the_warehouse(home: str, kind: str) -> dict[str, Any]:
    """Write, rebuild and merge under every limit; say what each ended with, and what is there."""
    settings = takings_settings.load({}, home=home, warehouse=kind)
    refused: list[str] = []
    written = 1
    with Warehouse.open(settings, CATALOG) as warehouse:
        warehouse.writer().write([delivery(0)])
        for limit in LIMITS:
            for act in ("write", "rebuild", "maintain"):
                # A file's own room stays its own on a full disk. What DuckDB's file cannot bear to lose, the lake can.
                own = Path(home, "warehouse", "warehouse.duckdb")
                size = limit + (own.stat().st_size if own.exists() else 0)
                try:
                    with file_size_limit(size):
                        if act == "write":
                            # A DuckDB file first takes to its log what has no room in it: here more than that may be.
                            much = 8_000 if kind == "duckdb" and limit == 0 else 400
                            warehouse.writer().write([delivery(written, much)])
                        elif act == "rebuild":
                            warehouse.rebuild("charges")
                        else:
                            warehouse.maintain(keep=timedelta(0))
                    refused.append("done")
                except TakingsError as error:
                    assert isinstance(error, Unavailable), f"{limit} {act}: {error.code} {error.sentence}"
                    refused.append(error.code)
                found = warehouse.query("SELECT count(*), max(epoch(_version_at)) FROM stripe.charges").rows[0]
                assert found[0] == 400, (limit, act, found)
                written = int(found[1] - T0.timestamp()) + 1
        warehouse.writer().write([delivery(written)])
        before = warehouse.query("SELECT * FROM stripe.charges ORDER BY id").rows
        warehouse.rebuild("charges")
        warehouse.maintain(keep=timedelta(0))
        same = warehouse.query("SELECT * FROM stripe.charges ORDER BY id").rows == before
    return {"refused": refused, "same": same, "states": written}


def in_the_store(home: str, _kind: str) -> dict[str, Any]:
    """Write to the product's database under every limit."""
    settings = takings_settings.load({}, home=home)
    refused: list[str] = []
    store = Store.open(settings)

    def write(key: str, size: int) -> None:
        with store.write() as db:
            db.execute(sa.insert(workers).values(id=key, host="x" * size, pid=1, started_at=T0, seen_at=T0))

    write("first", 10)
    kept = 1
    for limit in LIMITS:
        try:
            with file_size_limit(limit):
                write(f"at{limit}", 500_000)
            kept += 1
            refused.append("done")
        except TakingsError as error:
            assert isinstance(error, Unavailable), f"{limit}: {error.code}"
            refused.append(error.code)
    write("last", 500_000)
    with store.read() as db:
        count = db.execute(sa.select(sa.func.count()).select_from(workers)).scalar_one()
    store.close()
    with closing(sqlite3.connect(Path(home) / "takings.db")) as raw:
        whole = raw.execute("PRAGMA integrity_check").fetchone()[0]
    return {"refused": refused, "same": count == kept + 1 and whole == "ok", "states": count}


def in_a_backup(home: str, _kind: str) -> dict[str, Any]:
    """Make a backup under every limit."""
    settings = takings_settings.load({}, home=home)
    Store.open(settings).close()
    with Warehouse.open(settings, CATALOG) as warehouse:
        warehouse.writer().write([delivery(0)])
    refused = []
    target = Path(home).parent / "backups"
    target.mkdir()
    for limit in LIMITS[:-1]:
        try:
            with file_size_limit(limit):
                archive.back_up(settings, target / "copy.tar", now=T0)
            refused.append("done")
        except TakingsError as error:
            assert isinstance(error, Unavailable), f"{limit}: {error.code}"
            refused.append(error.code)
    left = [path.name for path in target.iterdir()]
    archive.back_up(settings, target / "copy.tar", now=T0)
    refused.append("done")
    return {"refused": refused, "same": left == [], "states": len(left)}


PLACES = {"warehouse": in_the_warehouse, "store": in_the_store, "backup": in_a_backup}


@pytest.mark.parametrize(
    ("place", "kind"),
    [("warehouse", "ducklake"), ("warehouse", "duckdb"), ("store", "sqlite"), ("backup", "ducklake")],
)
def test_nothing_is_lost_when_the_disk_is_full(tmp_path: Path, place: str, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, __file__, place, str(tmp_path / "home"), kind], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["same"], said
    assert {"done"} < set(said["refused"]), said


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(PLACES[sys.argv[1]](sys.argv[2], sys.argv[3])) + "\n")
