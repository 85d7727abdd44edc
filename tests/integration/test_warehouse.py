"""The warehouse, on each of its engines: what is written is there, once, newest state, and only SELECTs get in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from takings import settings as takings_settings
from takings.catalog.model import Catalog, Field, Resource
from takings.errors import Invalid, Unavailable
from takings.warehouse import Delivery, Item, Scope, Warehouse, integrity
from takings.warehouse.integrity import Span
from takings.warehouse.tables import Table

OWNER = Scope("acct_1", True)
OTHER = Scope("acct_1", False)
T0 = datetime(2026, 1, 1, tzinfo=UTC)

CATALOG = Catalog(
    sdk_version="0",
    api_version="0",
    lists=(),
    resources={
        "charges": Resource(
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
                Field(name="paid", kind="boolean"),
                Field(name="unit_amount_decimal", kind="decimal"),
                Field(name="exchange_rate", kind="float"),
            ),
        ),
        "coupons": Resource(
            object="coupon",
            table="coupons",
            sdk="",
            fields=(
                Field(name="id", kind="id"),
                Field(name="created", kind="timestamp"),
                Field(name="name", kind="string"),
            ),
        ),
    },
)


@pytest.fixture(params=["ducklake", "duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    settings = takings_settings.load({}, home=tmp_path, warehouse=request.param)
    with Warehouse.open(settings, CATALOG) as opened:
        yield opened


def charge(number: int, **fields: Any) -> Item:
    created = 1_700_000_000 + number
    body = {
        "id": f"ch_{number}",
        "object": "charge",
        "created": created,
        "currency": "eur",
        "amount": 100 + number,
        **fields,
    }
    return Item.of(body["id"], created, json.dumps(body, separators=(",", ":")).encode())


def delivery(
    *items: Item, at: int = 0, table: str = "charges", scope: Scope = OWNER, deleted: bool = False
) -> Delivery:
    moment = T0 + timedelta(seconds=at)
    return Delivery(
        table=table,
        scope=scope,
        items=items,
        as_of=moment,
        known_at=moment,
        source="list",
        api_version="0",
        deleted=deleted,
    )


def test_each_kind_of_field_gets_its_type(warehouse: Warehouse) -> None:
    item = charge(
        1,
        customer={"id": "cus_9", "object": "customer"},
        metadata={"a": "é"},
        paid=True,
        unit_amount_decimal="0.5",
        exchange_rate=1.25,
        brand_new_field={"kept": "in the payload"},
    )
    warehouse.writer().write([delivery(item)])
    row = warehouse.query("SELECT * FROM stripe.charges").dicts()[0]
    assert (row["id"], row["amount"], row["customer"], row["paid"]) == ("ch_1", 101, "cus_9", True)
    assert row["created"] == datetime.fromtimestamp(1_700_000_001, UTC)
    assert row["unit_amount_decimal"] == Decimal("0.5")
    assert row["exchange_rate"] == 1.25
    assert json.loads(row["metadata"]) == {"a": "é"}
    assert row["_account"] == "acct_1" and row["_livemode"] is True and row["_deleted_at"] is None
    payload = warehouse.query("SELECT payload FROM raw.versions").rows[0][0]
    assert payload.encode() == item.raw


def test_a_field_of_the_wrong_kind_or_missing_costs_only_itself(warehouse: Warehouse) -> None:
    warehouse.writer().write(
        [delivery(Item.of("ch_1", 5, b'{"id":"ch_1","amount":"many","created":5,"paid":{"no":1}}'))]
    )
    row = warehouse.query("SELECT id, amount, paid, currency, epoch(created) AS created FROM stripe.charges").dicts()[0]
    assert row == {"id": "ch_1", "amount": None, "paid": None, "currency": None, "created": 5}


def test_an_unchanged_payload_adds_no_version_and_a_changed_one_replaces_the_row(warehouse: Warehouse) -> None:
    writer = warehouse.writer()
    first = writer.write([delivery(*(charge(n) for n in range(50)))])
    again = writer.write([delivery(*(charge(n) for n in range(50)), at=10)])
    changed = writer.write([delivery(charge(7, amount=1), charge(60), at=20)])
    assert (first.new, first.changed) == (50, 0)
    assert (again.new, again.changed) == (0, 0)
    assert (changed.new, changed.changed) == (1, 1)
    assert warehouse.query("SELECT count(*), sum(amount) FROM stripe.charges").rows == [
        (51, sum(100 + n for n in [*range(50), 60]) - 107 + 1)
    ]
    assert warehouse.query("SELECT count(*) FROM raw.versions").rows == [(52,)]


def test_a_late_state_is_kept_as_a_version_and_never_replaces_a_newer_row(warehouse: Warehouse) -> None:
    writer = warehouse.writer()
    writer.write([delivery(charge(1, amount=2), at=20)])
    for _ in range(2):
        writer.write([delivery(charge(1, amount=1), at=10)])
    assert warehouse.query("SELECT amount FROM stripe.charges").rows == [(2,)]
    assert warehouse.query("SELECT count(*) FROM raw.versions").rows == [(2,)]


def test_owners_do_not_mix(warehouse: Warehouse) -> None:
    writer = warehouse.writer()
    writer.write([delivery(charge(1)), delivery(charge(1, amount=5), scope=OTHER)])
    assert warehouse.count(OWNER) == {"charges": 1, "coupons": 0, "payout_balance_transactions": 0}
    warehouse.purge(OWNER)
    assert warehouse.query("SELECT _livemode, amount FROM stripe.charges").rows == [(False, 5)]
    assert warehouse.query("SELECT count(*) FROM raw.versions").rows == [(1,)]


def test_what_is_purged_is_gone_from_the_disk(tmp_path: Path) -> None:
    settings = takings_settings.load({}, home=tmp_path)
    with Warehouse.open(settings, CATALOG) as warehouse:
        writer = warehouse.writer()
        writer.write([delivery(*(charge(n) for n in range(300))), delivery(charge(1), scope=OTHER)])
        writer.write([delivery(charge(900))])
        warehouse.maintain()
        warehouse.purge(OWNER)
        left = list((tmp_path / "warehouse" / "data").rglob("*.parquet"))
        assert warehouse.query("SELECT count(*) FROM raw.versions").rows == [(1,)]
        import pyarrow.parquet as parquet

        assert left and all(set(parquet.read_table(file).column("id").to_pylist()) == {"ch_1"} for file in left)
        warehouse.purge(OTHER)
        assert list((tmp_path / "warehouse" / "data").rglob("*.parquet")) == []
        warehouse.writer().write([delivery(charge(5))])
        assert warehouse.count(OWNER, ["charges"]) == {"charges": 1}


def test_rows_that_others_wrote_into_an_empty_table_are_found(warehouse: Warehouse, tmp_path: Path) -> None:
    """A writer asks nothing of tables that have no rows; whatever else fills or empties them, it must learn of it."""
    one = warehouse.writer()
    one.write([delivery(charge(1), table="coupons")])
    settings = takings_settings.load(
        {}, home=tmp_path, warehouse="ducklake" if (tmp_path / "warehouse/lake.sqlite").exists() else "duckdb"
    )
    with Warehouse.open(settings, CATALOG) as elsewhere:
        elsewhere.writer().write([delivery(charge(1), charge(2))])
    change = one.write([delivery(charge(1), charge(2, amount=9), charge(3), at=5)]).table("charges", OWNER)
    assert (change.new_ids, change.changed_ids, change.unchanged) == (["ch_3"], ["ch_2"], 1)
    assert one.compare([delivery(charge(3), charge(4), at=6)]).table("charges", OWNER).new_ids == ["ch_4"]
    warehouse.purge(OWNER)
    assert one.write([delivery(charge(2), at=7)]).table("charges", OWNER).new_ids == ["ch_2"]
    assert warehouse.query("SELECT id FROM stripe.charges").rows == [("ch_2",)]


def test_two_owners_fill_a_table_in_one_transaction(warehouse: Warehouse) -> None:
    writer = warehouse.writer()
    for at in (0, 5):
        changes = writer.write([delivery(charge(1), at=at), delivery(charge(1), scope=OTHER, at=at)])
        assert [len(changes.table("charges", scope).new_ids) for scope in (OWNER, OTHER)] == [1 - at // 5] * 2
    assert warehouse.query("SELECT count(*) FROM stripe.charges").rows == [(2,)]


def test_nothing_is_loaded_into_an_open_lake(tmp_path: Path) -> None:
    """The engine does not check the signatures of extensions: so once ours are there, no other gets in."""
    inside = tmp_path / "warehouse" / "other.duckdb_extension"
    with Warehouse.open(takings_settings.load({}, home=tmp_path), CATALOG) as opened, opened.reading() as session:
        inside.write_bytes(b"not ours")
        for sql, refusal in (
            (f"LOAD '{inside}'", "Loading external extensions is disabled"),
            ("LOAD httpfs", "Loading external extensions is disabled"),
            (f"INSTALL '{inside}'", "file system operations are disabled"),
            ("SET enable_external_access = true", "while database is running"),
        ):
            with pytest.raises(Exception, match=refusal):
                session.execute(sql)


def test_a_deleted_object_keeps_its_last_row_and_may_come_back(warehouse: Warehouse) -> None:
    writer = warehouse.writer()
    writer.write([delivery(charge(1), charge(2))])
    writer.write([delivery(Item.of("ch_1", None, b""), at=10, deleted=True)])
    gone = warehouse.query("SELECT id, amount, _deleted_at FROM stripe.charges ORDER BY id").rows
    assert gone == [("ch_1", 101, T0 + timedelta(seconds=10)), ("ch_2", 102, None)]
    assert warehouse.count(OWNER, ["charges"]) == {"charges": 1}
    writer.write([delivery(charge(1), at=5)])
    assert warehouse.count(OWNER, ["charges"]) == {"charges": 1}
    writer.write([delivery(charge(1), at=20)])
    assert warehouse.count(OWNER, ["charges"]) == {"charges": 2}


def test_a_table_called_bare_has_no_row_at_the_sessions_moment(warehouse: Warehouse) -> None:
    lake = warehouse._engine.dated
    with warehouse.deriving() as session:
        assert warehouse.bare(session) == (
            {"raw.versions", "stripe.charges", "stripe.coupons", "stripe.payout_balance_transactions"}
            if lake
            else set()
        )
    warehouse.writer().write([delivery(charge(1))])
    with warehouse.deriving() as session:
        session.execute("BEGIN TRANSACTION")
        before = warehouse.bare(session)
        assert not before & {"raw.versions", "stripe.charges"}
        if lake:
            warehouse.writer().write([delivery(charge(2), table="coupons")])
            assert "stripe.coupons" in warehouse.bare(session) == before
            assert session.execute("SELECT count(*) FROM stripe.coupons").fetchone() == (0,)
            session.execute("COMMIT")
            assert warehouse.bare(session) == before - {"stripe.coupons"}
    warehouse.purge(OWNER)
    with warehouse.deriving() as session:
        for name in warehouse.bare(session):
            assert session.execute(f"SELECT count(*) FROM {name}").fetchone() == (0,)


def test_every_write_changes_the_snapshot_and_an_empty_one_does_not(warehouse: Warehouse) -> None:
    before = warehouse.snapshot()
    warehouse.writer().write([])
    assert warehouse.snapshot() == before
    warehouse.writer().write([delivery(charge(1))])
    assert warehouse.snapshot() != before


states = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=12)


@given(states=states, data=st.data())
@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_order_and_repetition_gives_the_same_rows(
    states: list[tuple[int, int, int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shuffled = data.draw(st.permutations(states + states[: len(states) // 2]))
    found = []
    for order in (states, shuffled):
        settings = takings_settings.load({}, home=tmp_path_factory.mktemp("order"))
        with Warehouse.open(settings, CATALOG) as warehouse:
            writer = warehouse.writer()
            cut = len(order) // 2
            for part in (order[:cut], order[cut:]):
                writer.write([delivery(charge(n, amount=amount), at=at) for n, amount, at in part])
            found.append(warehouse.query("SELECT id, amount, _version_at, _hash FROM stripe.charges ORDER BY id").rows)
    by_id = {}
    for n, amount, at in states:
        key = (at, json.loads(charge(n, amount=amount).raw)["amount"])
        by_id.setdefault(f"ch_{n}", []).append(key)
    assert [(row[0], row[1]) for row in found[0]] == [(row[0], row[1]) for row in found[1]]
    assert [row[0] for row in found[0]] == sorted(by_id)
    for identifier, amount, _, _ in found[0]:
        newest = max(at for at, _ in by_id[identifier])
        assert amount in {a for at, a in by_id[identifier] if at == newest}


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("DELETE FROM stripe.charges", "sql.select_only"),
        ("SELECT 1; SELECT 2", "sql.select_only"),
        ("SELEC 1", "sql.syntax"),
        ("SELECT * FROM read_csv('/etc/passwd')", "sql.function"),
        ("SELECT * FROM sqlite_scan('takings.db', 'people')", "sql.function"),
        ("WITH x AS (SELECT (SELECT count(*) FROM read_text('/etc/passwd'))) SELECT * FROM x", "sql.function"),
        ("SELECT * FROM '/etc/passwd'", "sql.file"),
        ("SELECT nothing FROM stripe.charges", "sql.wrong"),
        ("COPY (SELECT 1) TO '/tmp/x'", "sql.select_only"),
        ("ATTACH 'x.db'", "sql.select_only"),
    ],
)
def test_only_selects_over_the_warehouse_get_in(warehouse: Warehouse, sql: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        warehouse.query(sql)
    assert caught.value.code == code


def test_limits_and_timeouts_are_said(warehouse: Warehouse) -> None:
    answer = warehouse.query("SELECT * FROM range(10) AS r(n)", limit=3)
    assert (len(answer.rows), answer.truncated) == (3, True)
    with pytest.raises(Unavailable) as caught:
        warehouse.query("SELECT count(*) FROM range(10000000000) a, range(1000) b", timeout_s=0.2)
    assert caught.value.code == "sql.timeout"


def test_a_stream_gives_everything(warehouse: Warehouse) -> None:
    warehouse.writer().write([delivery(*(charge(n) for n in range(1000)))])
    with warehouse.stream("SELECT id FROM stripe.charges", batch=64) as (columns, batches):
        ids = {row[0] for batch in batches for row in batch}
    assert columns[0].name == "id"
    assert len(ids) == 1000


def _write_many(home: str, kind: str, first: int) -> None:
    settings = takings_settings.load({}, home=home, warehouse=kind)
    with Warehouse.open(settings, CATALOG) as warehouse:
        for n in range(first, first + 5):
            warehouse.writer().write([delivery(charge(n))])


@pytest.mark.parametrize("kind", ["ducklake", "duckdb"])
def test_several_processes_write_and_read_at_once(tmp_path: Path, kind: str) -> None:
    settings = takings_settings.load({}, home=tmp_path, warehouse=kind)
    with Warehouse.open(settings, CATALOG) as warehouse:
        writers = [subprocess.Popen([sys.executable, __file__, str(tmp_path), kind, str(n * 100)]) for n in range(2)]
        counts = []
        while any(process.poll() is None for process in writers):
            counts.append(warehouse.query("SELECT count(*) FROM stripe.charges").rows[0][0])
        assert [process.wait() for process in writers] == [0, 0]
        assert counts == sorted(counts)
        assert warehouse.query("SELECT count(*), count(DISTINCT id) FROM stripe.charges").rows == [(10, 10)]


def test_new_columns_of_a_newer_catalogue_are_added(tmp_path: Path) -> None:
    settings = takings_settings.load({}, home=tmp_path)
    with Warehouse.open(settings, CATALOG) as warehouse:
        warehouse.writer().write([delivery(charge(1))])
    grown = Resource(
        object="charge",
        table="charges",
        sdk="",
        created=True,
        fields=(*CATALOG.resources["charges"].fields, Field(name="risk", kind="integer")),
    )
    newer = Catalog(sdk_version="1", api_version="1", lists=(), resources={**CATALOG.resources, "charges": grown})
    with Warehouse.open(settings, newer) as warehouse:
        warehouse.writer().write([delivery(charge(2, risk=9))])
        assert warehouse.query("SELECT id, risk FROM stripe.charges ORDER BY id").rows == [("ch_1", None), ("ch_2", 9)]


if __name__ == "__main__":
    _write_many(sys.argv[1], sys.argv[2], int(sys.argv[3]))


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([(None, None)], range(10)),
        ([(3, 5)], (3, 4)),
        ([(None, 2), (8, None)], (0, 1, 8, 9)),
        ([(1, 3), (2, 4), (7, 8)], (1, 2, 3, 7)),
        ([(6, None), (2, 3)], (2, 6, 7, 8, 9)),
        ([(4, 4), (20, 30)], ()),
    ],
)
def test_rows_of_several_ranges_of_time_are_asked_for_at_once(
    warehouse: Warehouse, spans: list[Span], found: Iterable[int]
) -> None:
    warehouse.writer().write([delivery(*map(charge, range(10)))])
    begin = 1_700_000_000
    asked = [(None if a is None else begin + a, None if b is None else begin + b) for a, b in spans]
    within = integrity.within(Table(CATALOG.resources["charges"]), asked)
    rows = warehouse.query(f"SELECT t.id FROM stripe.charges AS t WHERE t._livemode{within} ORDER BY t.created").rows
    assert rows == [(f"ch_{number}",) for number in found]
