"""Maintenance: what is due is done, once, by whoever asks first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from takings import settings as takings_settings
from takings.catalog.model import Catalog, Field, Resource
from takings.settings import Settings
from takings.sync.maintenance import LOOK, SWEEP, THIN, Done, Maintenance
from takings.warehouse import Delivery, Item, Scope, Warehouse

T0 = datetime(2026, 1, 1, tzinfo=UTC)
CHARGES = Resource(
    object="charge", table="charges", sdk="", fields=(Field(name="id", kind="id"), Field(name="n", kind="integer"))
)


def catalog(sdk: str = "1.0.0", charges: Resource = CHARGES) -> Catalog:
    return Catalog(sdk_version=sdk, api_version="0", lists=(), resources={"charges": charges})


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = T0 + timedelta(days=10)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return takings_settings.load({}, home=tmp_path, keep_versions_days=3)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with Warehouse.open(settings, catalog()) as opened:
        yield opened


def write(warehouse: Warehouse, *moments: int) -> None:
    for at in moments:
        moment = T0 + timedelta(seconds=at)
        item = Item.of("ch_1", None, json.dumps({"id": "ch_1", "n": at, "more": "x"}).encode())
        warehouse.writer().write(
            [
                Delivery(
                    table="charges",
                    scope=Scope("acct_1", True),
                    items=(item,),
                    as_of=moment,
                    known_at=moment,
                    source="event",
                    api_version="0",
                )
            ]
        )


def versions(warehouse: Warehouse) -> int:
    return int(warehouse.query("SELECT count(*) FROM raw.versions").rows[0][0])


def test_each_thing_is_done_when_it_is_due(warehouse: Warehouse, settings: Settings) -> None:
    clock = Hand()
    maintenance = Maintenance(warehouse, settings, clock)
    write(warehouse, 1, 2, 3, 4)
    assert maintenance.tick() == Done(swept=True, thinned=2)
    assert versions(warehouse) == 2
    assert not maintenance.tick()
    write(warehouse, *range(10, 24))
    assert not maintenance.tick()
    clock.at += LOOK
    merged = maintenance.tick()
    assert merged.merged > 0 and not merged.swept
    clock.at += LOOK
    assert not maintenance.tick()
    assert versions(warehouse) == 16
    # Another process shares the schedule, and a new one goes on with it.
    another = Maintenance(warehouse, settings, clock)
    clock.at += SWEEP - 2 * LOOK
    assert another.tick() == Done(swept=True)
    clock.at += LOOK
    assert not maintenance.tick()
    clock.at += THIN
    assert maintenance.tick() == Done(swept=True, thinned=14)
    assert warehouse.query("SELECT n FROM stripe.charges").rows == [(23,)]


def test_states_stay_for_ever_unless_said_otherwise(warehouse: Warehouse, tmp_path: Path) -> None:
    write(warehouse, 1, 2, 3, 4)
    kept_for_ever = takings_settings.load({}, home=tmp_path)
    assert Maintenance(warehouse, kept_for_ever, Hand()).tick() == Done(swept=True)
    assert versions(warehouse) == 4


def test_who_comes_second_goes_on_and_a_schedule_that_cannot_be_read_begins_anew(
    warehouse: Warehouse, settings: Settings
) -> None:
    clock = Hand()
    maintenance = Maintenance(warehouse, settings, clock)
    with warehouse._engine.keeping():
        (settings.home / "warehouse" / "kept.json").write_text('{"swept": "2026-01-10T23:59:00+00:00"}')
        assert not maintenance.tick()
    for said in ("{", "[]", '{"swept": "x"}', '{"swept": "2036-01-01T00:00:00+00:00"}'):
        (settings.home / "warehouse" / "kept.json").write_text(said)
        clock.at += LOOK
        assert maintenance.tick().swept


def test_new_columns_are_filled_after_an_upgrade(warehouse: Warehouse, settings: Settings) -> None:
    write(warehouse, 1)
    warehouse.close()
    grown = replace(CHARGES, fields=(*CHARGES.fields, Field(name="more", kind="string")))
    with Warehouse.open(settings, catalog("1.1.0", grown)) as newer:
        assert newer.query("SELECT more FROM stripe.charges").rows == [(None,)]
        assert Maintenance(newer, settings, Hand()).tick().filled == ("charges",)
        assert newer.query("SELECT more, n FROM stripe.charges").rows == [("x", 1)]
