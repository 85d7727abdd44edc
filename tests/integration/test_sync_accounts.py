"""Several accounts in one warehouse: keys that are the same never clash, one that withdraws stops alone, one rate for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from takings.app import App, build
from takings.clock import SystemClock
from takings.connections import Connection, Discovering, key_credentials, read_key
from takings.settings import load
from takings.simulator import Simulator
from takings.store.requests import used

COUNT = 15
FEW = ("customer", "event", "connected_account", "accounts_kyc_basic")


@pytest.fixture
def stripe() -> Iterator[Simulator]:
    with Simulator(objects=300, test_objects=300, seed=8, rate=0, test_rate=0, endpoint_rate=0, connected=COUNT) as it:
        yield it


@pytest.fixture
def app(stripe: Simulator, tmp_path: Path) -> Iterator[App]:
    found = build(
        load({}, home=tmp_path, stripe_api_base=stripe.api_base, rate_live=1000, rate_sandbox=1000, rate_endpoint=1000)
    )
    yield found
    found.close()


def joined(app: App, key: str, account: str | None = None, *, follow: bool = False) -> Connection:
    credentials = key_credentials(read_key(key), account)
    pending = app.connections.pend(None, credentials, app.connections.probe(credentials, estimate=False))
    return app.connections.confirm(None, pending, "", None, follow_accounts=follow)


def test_accounts_live_and_test_side_by_side(app: App, stripe: Simulator) -> None:
    accounts = list(stripe.connected())[:3]
    live = stripe.create_key(account=stripe.platform, permissions=FEW)
    test = stripe.create_key(account=stripe.platform, permissions=FEW, livemode=False)
    same = "cus_TheSameEverywhere"
    for account in accounts:
        stripe.create("customer", {"id": same, "name": f"Live {account}"}, account=account)
        stripe.create("customer", {"id": same, "name": f"Test {account}"}, account=account, livemode=False)
    platform, sandbox = joined(app, live, follow=True), joined(app, test, follow=True)
    Discovering(app.connections, SystemClock()).tick()
    found = {(one.account_id, one.livemode): one for one in app.connections.all()}
    assert len(found) == 2 * (COUNT + 1)
    gone, first, second = accounts
    before = used(app.store, platform.account_id, True, 0)
    stripe.deauthorize(gone)
    assert app.connections.discover(platform.id).gone == (gone,)
    assert app.connections.get(found[gone, True].id).reason_code == "connections.withdrawn"
    for one in (found[first, True], found[second, True], found[first, False]):
        assert app.sync.run_once(one.id).state == "complete"
        assert app.connections.get(one.id).state == "active"

    rows = app.warehouse.query(
        "SELECT _account, _livemode, name FROM stripe.customers WHERE id = $id ORDER BY ALL", {"id": same}
    ).rows
    assert sorted(rows) == sorted(
        [(first, True, f"Live {first}"), (second, True, f"Live {second}"), (first, False, f"Test {first}")]
    )
    for account, livemode in ((first, True), (second, True), (first, False)):
        ids = app.warehouse.query(
            "SELECT id FROM stripe.customers WHERE _account = $account AND _livemode = $live AND _deleted_at IS NULL",
            {"account": account, "live": livemode},
        ).rows
        assert {row[0] for row in ids} == stripe.objects("customers", account, livemode=livemode).keys()

    # All of it was counted with the platform, live and test apart.
    assert used(app.store, platform.account_id, True, 0) > before + 100
    assert used(app.store, sandbox.account_id, False, 0) > 50
    assert used(app.store, first, True, 0) == used(app.store, first, False, 0) == 0

    # One changes, the others do not.
    stripe.update(same, {"name": "Renamed"}, account=first)
    assert app.sync.run_once(found[first, True].id).state == "complete"
    names = app.warehouse.query("SELECT name FROM stripe.customers WHERE id = $id ORDER BY 1", {"id": same}).rows
    assert [row[0] for row in names] == sorted([f"Live {second}", "Renamed", f"Test {first}"])

    # Who comes back goes on.
    stripe.connect(gone)
    assert app.connections.discover(platform.id).returned == (gone,)
    assert app.sync.run_once(found[gone, True].id).state == "complete"


def test_an_account_that_is_withdrawn_when_it_is_read_is_told(app: App, stripe: Simulator) -> None:
    platform = joined(app, stripe.create_key(account=stripe.platform, permissions=FEW), follow=True)
    app.connections.discover(platform.id)
    one = next(each for each in app.connections.all() if each.platform_id == platform.id)
    stripe.deauthorize(one.account_id)
    assert app.sync.run_once(one.id).state == "stopped"
    told = app.connections.get(one.id)
    assert (told.state, told.reason_code) == ("reauth", "connections.withdrawn")
    assert app.connections.get(platform.id).state == "active"
