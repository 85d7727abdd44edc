"""The warehouse through upgrades and repairs, on each engine: forms, new columns, tables made anew, states let go."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from msgspec.structs import replace

from takings import settings as takings_settings
from takings.catalog.model import Catalog, Field, Resource
from takings.errors import Misconfigured, NotFound, Unavailable
from takings.warehouse import Delivery, Item, Scope, Warehouse

OWNER, OTHER = Scope("acct_1", True), Scope("acct_1", False)
T0 = datetime(2026, 1, 1, tzinfo=UTC)

CHARGES = Resource(
    object="charge",
    table="charges",
    sdk="",
    created=True,
    fields=(
        Field(name="id", kind="id"),
        Field(name="amount", kind="amount", currency="currency"),
        Field(name="created", kind="timestamp"),
        Field(name="currency", kind="currency"),
        Field(name="customer", kind="id", expandable=True),
        Field(name="metadata", kind="json"),
        Field(name="fee_decimal", kind="decimal"),
    ),
)
LINES = Resource(
    object="line_item", table="lines", sdk="", fields=(Field(name="id", kind="id"), Field(name="amount", kind="amount"))
)


def catalog(*, sdk: str = "1.0.0", charges: Resource = CHARGES) -> Catalog:
    return Catalog(sdk_version=sdk, api_version="0", lists=(), resources={"charges": charges, "lines": LINES})


Open = Callable[..., Warehouse]


@pytest.fixture(params=["ducklake", "duckdb"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the test's warehouse, again and again, by whatever catalogue."""
    settings = takings_settings.load({}, home=tmp_path, warehouse=request.param)
    opened: list[Warehouse] = []

    def one(found: Catalog | None = None) -> Warehouse:
        opened.append(Warehouse.open(settings, found or catalog()))
        return opened[-1]

    yield one
    for warehouse in opened:
        warehouse.close()


def charge(number: int, **fields: Any) -> Item:
    body = {"id": f"ch_{number}", "object": "charge", "created": 1_700_000_000 + number, "currency": "eur", **fields}
    return Item.of(body["id"], body["created"], json.dumps(body, separators=(",", ":")).encode())


def delivery(*items: Item, at: float = 0, scope: Scope = OWNER, table: str = "charges", **more: Any) -> Delivery:
    moment = T0 + timedelta(seconds=at)
    return Delivery(
        table=table,
        scope=scope,
        items=items,
        as_of=moment,
        known_at=moment + timedelta(seconds=1),
        source="list",
        api_version="0",
        **more,
    )


def lived_in(warehouse: Warehouse) -> None:
    """Write what brings about every kind of row: changed, late, deleted, back again, with a parent, another owner's."""
    writer, dice = warehouse.writer(), random.Random(5)
    writer.write([delivery(*(charge(n, amount=n, customer={"id": "cus_9"}, metadata={"é": n}) for n in range(60)))])
    writer.write([delivery(*(charge(n, amount=n) for n in range(9)), scope=OTHER)])
    for at in range(10, 15):
        changed = dice.sample(range(60), 20)
        writer.write([delivery(*(charge(n, amount=n * at, fee_decimal="0.125") for n in changed), at=at)])
    writer.write([delivery(charge(1, amount=-1), charge(2, amount=-2), at=5)])
    line = Item.of("li_1", None, b'{"id":"li_1","amount":7}')
    writer.write([delivery(line, table="lines", parent="in_1")])
    gone = [Item.of(f"ch_{n}", None, b"") for n in (3, 4, 5)]
    writer.write([delivery(*gone, at=20, deleted=True)])
    writer.write([delivery(Item.of("li_1", None, b""), at=20, table="lines", deleted=True)])
    writer.write([delivery(charge(4, amount=44), at=30), delivery(charge(99), at=30)])


def rows(warehouse: Warehouse, table: str = "charges") -> list[tuple[Any, ...]]:
    return warehouse.query(f"SELECT * FROM stripe.{table} ORDER BY _livemode, id").rows


def damage(warehouse: Warehouse, *statements: str) -> None:
    with warehouse._engine.session(write=True) as session:
        for statement in statements:
            session.execute(statement)


def test_a_table_made_anew_is_the_same_whatever_became_of_its_rows(
    opening: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("takings.warehouse.rebuild._CHOSEN_AT_ONCE", 40)
    warehouse = opening()
    lived_in(warehouse)
    charges, lines = rows(warehouse), rows(warehouse, "lines")
    damage(
        warehouse,
        "DELETE FROM stripe.charges WHERE amount % 3 = 0 AND _livemode",
        "UPDATE stripe.charges SET amount = 1, _deleted_at = NULL, _hash = 'x' WHERE amount % 2 = 0",
        "INSERT INTO stripe.charges (id, _account, _livemode) VALUES ('ch_made_up', 'acct_1', true)",
        "DELETE FROM stripe.lines",
    )
    assert rows(warehouse) != charges
    told: list[int] = []
    assert warehouse.rebuild("charges", told.append) == len(charges) == told[-1]
    assert warehouse.rebuild("lines") == 1
    assert (rows(warehouse), rows(warehouse, "lines")) == (charges, lines)
    assert sum(1 for row in charges if row[-1] is not None) == 2
    # It is a table like before: written to, and made anew again.
    warehouse.writer().write([delivery(charge(7, amount=70), at=40)])
    assert warehouse.query("SELECT amount FROM stripe.charges WHERE id = 'ch_7' AND _livemode").rows == [(70,)]
    assert warehouse.rebuild("charges") == len(charges)


def test_every_write_during_a_rebuild_is_in_the_new_table(opening: Open) -> None:
    warehouse = opening()
    warehouse.writer().write([delivery(*(charge(n, amount=1) for n in range(3_000)))])
    stop, at = threading.Event(), [10]

    def writing() -> None:
        writer = warehouse.writer()
        while not stop.is_set():
            at[0] += 1
            writer.write([delivery(charge(at[0] % 50, amount=at[0]), charge(10_000 + at[0], amount=1), at=at[0])])

    thread = threading.Thread(target=writing)
    thread.start()
    try:
        for _ in range(2):
            warehouse.rebuild("charges")
    finally:
        stop.set()
        thread.join()
    found = rows(warehouse)
    assert len(found) == 3_000 + at[0] - 10
    warehouse.rebuild("charges")
    assert rows(warehouse) == found


def test_what_a_killed_rebuild_left_is_swept_away_and_no_owner_comes_back_from_it(
    opening: Open, tmp_path: Path
) -> None:
    warehouse = opening()
    lived_in(warehouse)
    before = rows(warehouse)
    damage(warehouse, 'CREATE TABLE stripe."charges rebuilding" AS SELECT * FROM stripe.charges')
    warehouse.rebuild("charges")
    assert rows(warehouse) == before
    assert not list((tmp_path / "warehouse" / "temporary").rglob("*.parquet"))
    damage(warehouse, 'CREATE TABLE stripe."charges rebuilding" AS SELECT * FROM stripe.charges')
    warehouse.purge(OWNER)
    tables = warehouse.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'stripe'").rows
    assert {name for (name,) in tables} == {"charges", "lines", "payout_balance_transactions"}
    assert {row[-7:-5] for row in rows(warehouse)} == {("acct_1", False)}


def test_one_rebuild_at_a_time_and_only_of_what_there_is(opening: Open) -> None:
    warehouse = opening()
    with pytest.raises(NotFound):
        warehouse.rebuild("nothing")
    with warehouse._engine.keeping(), pytest.raises(Unavailable) as caught:
        warehouse.tidy()
    assert caught.value.code == "warehouse.keeping"


def test_columns_of_a_newer_catalogue_are_filled_from_what_is_here(opening: Open, tmp_path: Path) -> None:
    warehouse = opening()
    warehouse.writer().write([delivery(*(charge(n, amount=n, risk=n * 2, note=f"n{n}") for n in range(20)))])
    warehouse.writer().write([delivery(Item.of("ch_3", None, b""), at=9, deleted=True)])
    old = warehouse.query("SELECT id, amount, _hash, _version_at, _deleted_at FROM stripe.charges ORDER BY id").rows
    assert warehouse.unfilled() == []
    warehouse.close()
    fields = (*CHARGES.fields, Field(name="risk", kind="integer"), Field(name="note", kind="string"))
    warehouse = opening(catalog(sdk="1.1.0", charges=replace(CHARGES, fields=fields)))
    assert len(list((tmp_path / "warehouse").glob("*.backup"))) == 1
    assert warehouse.unfilled() == ["charges"]
    warehouse.writer().write([delivery(charge(50, risk=1), at=20)])
    warehouse.rebuild("charges")
    assert warehouse.unfilled() == []
    found = warehouse.query("SELECT id, risk, note FROM stripe.charges").rows
    assert sorted(found) == sorted([*((f"ch_{n}", n * 2, f"n{n}") for n in range(20)), ("ch_50", 1, None)])
    same = warehouse.query(
        "SELECT id, amount, _hash, _version_at, _deleted_at FROM stripe.charges WHERE id <> 'ch_50' ORDER BY id"
    ).rows
    assert same == old
    warehouse.close()
    # Opened again: nothing to do, and no further backup.
    warehouse = opening(catalog(sdk="1.1.0", charges=replace(CHARGES, fields=fields)))
    assert warehouse.unfilled() == []
    assert len(list((tmp_path / "warehouse").glob("*.backup"))) == 1


def test_a_column_of_another_type_is_made_anew_and_a_former_one_stays(opening: Open) -> None:
    warehouse = opening()
    warehouse.writer().write([delivery(*(charge(n, amount=n, fee_decimal="1.5") for n in range(5)))])
    warehouse.close()
    fields = tuple(
        replace(field, kind="string") if field.name == "fee_decimal" else field
        for field in CHARGES.fields
        if field.name != "amount"
    )
    warehouse = opening(catalog(sdk="2.0.0", charges=replace(CHARGES, fields=fields)))
    assert warehouse.unfilled() == ["charges"]
    warehouse.rebuild("charges")
    assert warehouse.query("SELECT fee_decimal, amount FROM stripe.charges ORDER BY id").rows == [
        ("1.5", n) for n in range(5)
    ]


def test_a_warehouse_of_a_newer_program_is_refused(opening: Open) -> None:
    opening(catalog(sdk="3.0.0")).close()
    with pytest.raises(Misconfigured) as caught:
        opening(catalog(sdk="2.9.9"))
    assert caught.value.code == "warehouse.newer"
    warehouse = opening(catalog(sdk="3.0.0"))
    damage(warehouse, "COMMENT ON TABLE raw.versions IS 'Something (format 2, stripe 1.0.0).'")
    warehouse.close()
    with pytest.raises(Misconfigured) as caught:
        opening(catalog(sdk="3.0.0"))
    assert "format 2" in caught.value.sentence


def test_a_warehouse_from_before_forms_were_numbered_is_taken_on(opening: Open) -> None:
    warehouse = opening()
    lived_in(warehouse)
    before = rows(warehouse)
    damage(warehouse, "COMMENT ON TABLE raw.versions IS NULL")
    warehouse.close()
    warehouse = opening()
    assert rows(warehouse) == before and warehouse.unfilled() == []


def test_states_between_the_first_and_the_last_are_let_go_and_nothing_else(opening: Open) -> None:
    warehouse = opening()
    writer = warehouse.writer()
    for at in range(6):
        writer.write([delivery(*(charge(n, amount=at) for n in range(4)), at=at)])
    writer.write([delivery(Item.of("ch_1", None, b""), at=7, deleted=True)])
    before = rows(warehouse)
    assert warehouse.thin(T0) == 0
    assert warehouse.thin(T0 + timedelta(seconds=3)) == 4 * 2
    assert warehouse.thin(T0 + timedelta(seconds=60)) == 4 * 2
    assert warehouse.thin(T0 + timedelta(seconds=60)) == 0
    kept = warehouse.query("SELECT id, epoch(as_of - $t), deleted FROM raw.versions ORDER BY 1, 2", {"t": T0}).rows
    assert kept == sorted([*((f"ch_{n}", at, False) for n in range(4) for at in (0.0, 5.0)), ("ch_1", 7.0, True)])
    warehouse.rebuild("charges")
    assert rows(warehouse) == before


def test_a_warehouse_that_others_write_to_is_waited_for_and_then_said_to_be_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = takings_settings.load({}, home=tmp_path)
    with Warehouse.open(settings, catalog()) as warehouse:
        monkeypatch.setattr("takings.warehouse.engine._LOCK_PATIENCE_S", 0.05)
        monkeypatch.setattr("takings.warehouse.writer._ATTEMPTS", 1)
        with FileLock(tmp_path / "warehouse" / "writing.lock"):
            with pytest.raises(Unavailable) as caught:
                warehouse.writer().write([delivery(charge(1))])
            assert caught.value.code == "warehouse.locked"
            assert warehouse.query("SELECT count(*) FROM stripe.charges").rows == [(0,)]
        warehouse.writer().write([delivery(charge(1))])
        assert warehouse.query("SELECT count(*) FROM stripe.charges").rows == [(1,)]


def test_many_small_commits_come_together_and_deleted_rows_leave(tmp_path: Path) -> None:
    with Warehouse.open(takings_settings.load({}, home=tmp_path), catalog()) as warehouse:
        writer = warehouse.writer()
        for at in range(26):
            writer.write([delivery(*(charge(n, amount=at) for n in range(at, at + 8)), at=at)])
        before = rows(warehouse)
        assert warehouse.tidy() > 0
        assert len(warehouse._engine.files()) < 12  # type: ignore[attr-defined]
        assert warehouse.tidy() == 0
        warehouse.maintain(keep=timedelta(0))
        assert rows(warehouse) == before
        assert len(list((tmp_path / "warehouse" / "data").rglob("*.parquet"))) < 12
        warehouse.rebuild("charges")
        assert rows(warehouse) == before
