"""Platforms and organisations: accounts that come, withdraw and come back, whose key reads them, and at whose rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from takings import catalog, settings
from takings.accounts import Audit, People, Person
from takings.clock import SystemClock
from takings.connections import (
    Connection,
    Connections,
    Discovering,
    Probe,
    connected,
    families,
    key_credentials,
    own_standings,
    reach,
    read_key,
)
from takings.errors import Invalid, Refused, TakingsError
from takings.simulator import Simulator
from takings.store import Store, Vault
from takings.store.requests import used
from takings.store.schema import audit, connections, list_states, request_counts, table_rows
from takings.stripe import LocalLimiter

COUNT = 15
FAST = {"TAKINGS_RATE_LIVE": "1000", "TAKINGS_RATE_SANDBOX": "1000", "TAKINGS_RATE_ENDPOINT": "1000"}
PROBES: dict[tuple[str, str | None], Probe] = {}


@dataclass
class House:
    stripe: Simulator
    store: Store
    service: Connections
    admin: Person

    def joined(self, key: str, account: str | None = None, **more: Any) -> Connection:
        credentials = key_credentials(read_key(key), account)
        others = more.pop("others", ())
        if (key, account) not in PROBES:  # a hundred requests, each time the same
            PROBES[key, account] = self.service.probe(credentials)
        pending = self.service.pend(self.admin, credentials, PROBES[key, account], others=others)
        return self.service.confirm(self.admin, pending, more.pop("name", ""), None, **more)

    def platform(self) -> Connection:
        return self.joined(self.stripe.platform_key, name="Halles", follow_accounts=True)

    def children(self, platform: Connection) -> dict[str, Connection]:
        return {one.account_id: one for one in self.service.all() if one.platform_id == platform.id}

    def reads(self, connection: Connection, path: str = "/v1/account") -> bytes:
        limiter = LocalLimiter(rate_global=100, rate_endpoint=100, headroom=0, clock=SystemClock())
        with closing(self.service.client(connection, limiter=limiter)) as client:
            return client.get(path).body


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    with Simulator(
        objects=300, test_objects=300, seed=9, rate=0, test_rate=0, endpoint_rate=0, connected=COUNT
    ) as running:
        yield running


@pytest.fixture(scope="module")
def opened(stripe: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tmp_path, clock = tmp_path_factory.mktemp("home"), SystemClock()
    chosen = settings.load({"TAKINGS_HOME": str(tmp_path), **FAST, **stripe.environ()})
    store = Store.open(chosen)
    admin = People(store, clock).setup(
        company_name="Aurore",
        locale="en",
        time_zone="UTC",
        currency="eur",
        email="ada@example.com",
        name="Ada",
        password="a long enough password",
    )
    service = Connections(store, Vault.open(chosen), catalog.load(), chosen, clock, Audit(store, clock))
    yield House(stripe, store, service, admin)
    store.close()


@pytest.fixture
def house(opened: House) -> Iterator[House]:
    """The product, with nothing connected."""
    yield opened
    with opened.store.write() as db:
        db.execute(sa.delete(connections))
        db.execute(sa.delete(audit))
        db.execute(sa.delete(request_counts))


def refused(act: Callable[[], object]) -> TakingsError:
    with pytest.raises(TakingsError) as caught:
        act()
    return caught.value


def test_the_accounts_of_a_platform_are_found_and_read_with_its_key(house: House) -> None:
    probe = house.service.probe(key_credentials(read_key(house.stripe.platform_key), None))
    assert probe.connected == COUNT
    platform = house.platform()
    assert (platform.account_id, platform.follows_accounts) == (house.stripe.platform, True)
    assert house.children(platform) == {}
    house.stripe.reset_stats()
    found = house.service.discover(platform.id)
    assert set(found.added) == set(house.stripe.connected())
    assert (found.listed, found.gone, found.returned) == (COUNT, (), ())
    assert len(house.stripe.requests()) == 1
    children = house.children(platform)
    assert {id: one.account_name for id, one in children.items()} == house.stripe.connected()
    assert len({one.name for one in children.values()}) == COUNT
    for account, one in children.items():
        assert account.encode() in house.reads(one)
        assert one.pool_account_id == platform.account_id
        assert (one.state, one.livemode, one.sync_wanted_at is not None) == ("active", True, True)
    assert platform.pool_account_id == platform.account_id
    assert used(house.store, platform.account_id, True, 0) >= 1
    assert used(house.store, next(iter(children)), True, 0) == 0
    # What is granted to one is there for all: with a grant for each, a request a grant would go.
    limiters = {house.service.limiter(one) for one in (platform, *children.values())}
    assert len(limiters) == 1
    assert house.service.limiter(replace(platform, livemode=False)) not in limiters
    again = house.service.discover(platform.id)
    assert (again.added, again.gone, again.returned, again.listed) == ((), (), (), COUNT)


def test_no_secret_is_kept_with_a_connected_account(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    child = next(iter(house.children(platform).values()))
    held = house.service.credentials(child.id)
    assert (held.secret, held.account, held.context) == (house.stripe.platform_key, child.account_id, False)
    with house.store.read() as db:
        sealed = {
            row.id: house.service._vault.unseal(row.credentials)["secret"]
            for row in db.execute(sa.select(connections.c.id, connections.c.credentials))
        }
    assert {secret for id, secret in sealed.items() if id != platform.id} == {""}


def test_who_withdraws_stops_alone_and_comes_back_by_itself(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    children = house.children(platform)
    account, other = list(children)[:2]
    house.stripe.deauthorize(account)
    try:
        error = refused(lambda: house.reads(children[account]))
        assert (type(error), error.code) == (Refused, "stripe.account_access")
        assert house.service.mark_reauth(children[account].id, error)
        withdrawn = house.service.get(children[account].id)
        assert (withdrawn.state, withdrawn.reason_code) == ("reauth", "connections.withdrawn")
        assert house.service.get(platform.id).state == "active"
        assert {one.state for id, one in house.children(platform).items() if id != account} == {"active"}
        house.reads(children[other])
        (shown,) = connected(house.store, platform.id, status="withdrawn").standings
        assert shown.connection.account_id == account
        assert refused(lambda: house.service.sync_now(house.admin, withdrawn.id)).code == "connections.needs_platform"
        by_platform = refused(
            lambda: house.service.reauthenticate(
                house.admin, withdrawn.id, key_credentials(read_key(house.stripe.platform_key), account)
            )
        )
        assert (by_platform.code, by_platform.fields["connection"]) == ("connections.by_platform", platform.id)
        assert house.service.discover(platform.id).gone == ()  # that is known already
    finally:
        house.stripe.connect(account)
    assert house.service.discover(platform.id).returned == (account,)
    back = house.service.get(children[account].id)
    assert (back.state, back.reason, back.created_at) == ("active", None, children[account].created_at)


def test_who_vanishes_from_the_list_is_asked_before_it_is_believed(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    account = next(iter(house.stripe.connected()))
    house.stripe.deauthorize(account)
    made = house.stripe.connect(name="Newcomer")
    try:
        found = house.service.discover(platform.id)
        assert (found.added, found.gone) == ((made,), (account,))
        assert house.children(platform)[account].reason_code == "connections.withdrawn"
        assert house.children(platform)[made].name == "Newcomer"
        with house.store.read() as db:
            told = db.execute(sa.select(audit.c.details).where(audit.c.action == "connection.accounts_found")).all()
        assert told[-1][0] == {"id": platform.id, "added": 1, "returned": 0, "gone": 1}
    finally:
        house.stripe.connect(account)
        for livemode in (True, False):
            house.stripe.deauthorize(made, livemode=livemode)


def test_a_refused_platform_stops_all_and_new_credentials_heal_all(house: House) -> None:
    key = house.stripe.create_key(account=house.stripe.platform)
    platform = house.joined(key, follow_accounts=True)
    house.service.discover(platform.id)
    children = house.children(platform)
    paused = next(iter(children.values()))
    house.service.pause(house.admin, paused.id)
    house.stripe.revoke_key(key)
    child = list(children.values())[3]
    error = refused(lambda: house.reads(child))
    assert house.service.mark_reauth(child.id, error)
    assert (house.service.get(platform.id).state, house.service.get(platform.id).reason_code) == (
        "reauth",
        "stripe.key_refused",
    )
    told = [one.reason_code for one in house.children(platform).values() if one.id != paused.id]
    assert told == ["connections.platform_refused"] * (COUNT - 1)
    assert house.service.get(paused.id).state == "paused"
    assert refused(lambda: house.service.resume(house.admin, paused.id)).code == "connections.platform_first"
    assert house.service.due_for_discovery() == []
    house.service.reauthenticate(
        house.admin,
        platform.id,
        key_credentials(read_key(house.stripe.create_key(account=house.stripe.platform)), None),
    )
    assert {one.state for one in house.children(platform).values() if one.id != paused.id} == {"active"}
    assert house.service.get(paused.id).state == "paused"
    assert house.service.due_for_discovery() == [platform.id]
    house.reads(child)


def test_pausing_a_platform_pauses_all_and_resuming_only_those(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    own = next(iter(house.children(platform).values()))
    house.service.pause(house.admin, own.id)
    house.service.pause(house.admin, platform.id)
    assert {one.state for one in house.children(platform).values()} == {"paused"}
    assert house.service.discover(platform.id).listed == 0
    house.service.resume(house.admin, platform.id)
    assert {one.state for one in house.children(platform).values() if one.id != own.id} == {"active"}
    assert house.service.get(own.id).state == "paused"
    house.service.resume(house.admin, own.id)
    with house.store.write() as db:
        db.execute(sa.update(connections).values(sync_wanted_at=None))
    house.service.sync_now(house.admin, platform.id)
    assert all(one.sync_wanted_at is not None for one in house.service.all())


@pytest.mark.parametrize("purge", [True, False])
def test_a_platform_takes_its_accounts_along(house: House, purge: bool) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    children = house.children(platform)
    with house.store.write() as db:
        for number, one in enumerate((platform, *children.values())):
            db.execute(
                sa.insert(table_rows).values(
                    connection_id=one.id, table_name="charges", rows=number, updated_at=datetime.now(UTC)
                )
            )
    removal = house.service.preview_disconnect(platform.id)
    assert (removal.accounts, removal.rows, removal.tables) == (COUNT, 120, (("charges", 120),))
    alone = house.joined(house.stripe.live_key)
    house.service.disconnect(house.admin, platform.id, purge=purge)
    assert house.service.discover(alone.id).listed == 0
    if not purge:
        assert [one.id for one in house.service.all()] == [alone.id]
        return
    ending = [one for one in house.service.all() if one.state == "disconnecting"]
    assert {one.id for one in ending} == {platform.id, *(one.id for one in children.values())}
    house.service.forget(platform.id)  # whichever the worker comes to first
    assert all(one.state == "disconnecting" for one in house.service.all() if one.id != alone.id)
    for one in children.values():
        house.service.forget(one.id)
    assert [one.id for one in house.service.all()] == [alone.id]


def test_what_is_taken_in_while_the_platform_goes_is_purged_too(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    child = next(iter(house.children(platform).values()))
    house.service.disconnect(house.admin, platform.id, purge=True)
    with house.store.write() as db:
        db.execute(sa.update(connections).where(connections.c.id == child.id).values(state="active"))
    house.service.forget(platform.id)
    assert house.service.get(child.id).state == "disconnecting"


def test_an_account_left_out_stays_out_until_all_are_wanted(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    account, child = next(iter(house.children(platform).items()))
    house.service.disconnect(house.admin, child.id, purge=False)
    assert house.service.discover(platform.id).added == ()
    assert house.service.left_out(platform.id) == (account,)
    house.service.follow_accounts(house.admin, platform.id)
    assert house.service.discover(platform.id).added == (account,)


def test_an_account_with_a_key_of_its_own_is_left_to_it(house: House) -> None:
    account = next(iter(house.stripe.connected()))
    own = house.joined(house.stripe.create_key(account=account))
    platform = house.platform()
    assert account not in house.service.discover(platform.id).added
    assert house.service.get(own.id).platform_id is None
    twice = refused(lambda: house.joined(house.stripe.platform_key, account))
    assert (twice.code, twice.fields["connection"]) == ("connections.already", own.id)


def test_one_connected_account_alone_uses_its_platforms_rate(house: House) -> None:
    account = next(iter(house.stripe.connected()))
    made = house.joined(house.stripe.platform_key, account)
    assert (made.account_id, made.pool_account_id, made.platform_id) == (account, house.stripe.platform, None)
    assert refused(lambda: house.service.follow_accounts(house.admin, made.id)).code == "connections.no_platform"


def test_live_sandbox_and_unrelated_accounts_side_by_side(house: House) -> None:
    live, sandbox = house.joined(house.stripe.live_key), house.joined(house.stripe.test_key)
    platform, trial = house.platform(), house.joined(house.stripe.platform_test_key, follow_accounts=True)
    for one in (platform, trial):
        assert len(house.service.discover(one.id).added) == COUNT
    assert (live.account_id, live.livemode) == (sandbox.account_id, True)
    assert sandbox.livemode is False
    assert len({one.name for one in house.service.all()}) == 2 * COUNT + 4
    assert {one.livemode for one in house.children(trial).values()} == {False}
    assert house.children(platform).keys() == house.children(trial).keys()
    assert all(one.name.endswith(" (test)") for one in house.children(trial).values())


def test_the_key_of_an_organisation_opens_the_accounts_that_are_named(house: House) -> None:
    first, *others = house.stripe.org_accounts
    key = house.stripe.create_key(organization=True, connected=house.stripe.org_accounts)
    error = refused(lambda: house.joined(key, first, others=[others[0], "acct_nobody"]))
    assert (error.code, error.fields["account"]) == ("stripe.account_access", "acct_nobody")
    made = house.joined(key, first, name="First", others=others)
    every = house.service.all()
    assert {one.account_id for one in every} == {first, *others}
    for one in every:
        held = house.service.credentials(one.id)
        assert (held.context, held.account, one.platform_id) == (True, one.account_id, None)
        assert one.pool_account_id == one.account_id
        assert one.account_id.encode() in house.reads(one)
    assert made.name == "First"
    assert refused(lambda: house.joined(key, others[0])).code == "connections.already"
    assert [one.id for one in every if house.service.mark_reauth(one.id)] == []
    # A new key for one of them is a new key for all that had the same.
    house.stripe.revoke_key(key)
    for one in every:
        assert house.service.mark_reauth(one.id)
        assert house.service.get(one.id).reason_code == "stripe.key_refused"
    new = house.stripe.create_key(organization=True, connected=[first, others[0]])
    house.service.reauthenticate(house.admin, made.id, key_credentials(read_key(new), first))
    states = {one.account_id: one.state for one in house.service.all()}
    assert states == {first: "active", others[0]: "active", others[1]: "reauth"}


def test_a_platform_within_an_organisation(house: House) -> None:
    platform = house.joined(house.stripe.org_key, house.stripe.platform, follow_accounts=True)
    assert len(house.service.discover(platform.id).added) == COUNT
    account, child = next(iter(house.children(platform).items()))
    assert house.service.credentials(child.id).account == f"{house.stripe.platform}/{account}"
    assert account.encode() in house.reads(child)
    assert child.pool_account_id == house.stripe.platform


def test_the_chore_finds_what_is_due(house: House) -> None:
    chore = Discovering(house.service, SystemClock())
    house.stripe.reset_stats()
    chore.tick()
    platform = house.platform()
    house.stripe.reset_stats()
    chore = Discovering(house.service, SystemClock())
    chore.tick()
    assert len(house.children(platform)) == COUNT
    chore.tick()
    Discovering(house.service, SystemClock()).tick()
    assert len(house.stripe.requests()) == 1
    with house.store.write() as db:
        before = datetime.now(UTC) - timedelta(minutes=61)
        db.execute(sa.update(connections).where(connections.c.id == platform.id).values(discovered_at=before))
    house.stripe.fault("status", path="/v1/accounts", status=403)
    late = Discovering(house.service, SystemClock())
    late.tick()  # a trouble is no end
    Discovering(house.service, SystemClock()).tick()
    assert house.service.due_for_discovery() == []
    assert len(house.children(platform)) == COUNT


def test_hundreds_are_shown_a_page_at_a_time(house: House) -> None:
    platform = house.platform()
    house.service.discover(platform.id)
    names = sorted((one.name for one in house.children(platform).values()), key=str.lower)
    page = connected(house.store, platform.id, limit=4, offset=8)
    assert ([one.connection.name for one in page.standings], page.matching) == (names[8:12], COUNT)
    account, name = next(iter(house.stripe.connected().items()))
    assert [one.connection.account_id for one in connected(house.store, platform.id, search=account[5:]).standings] == [
        account
    ]
    assert account in [
        one.connection.account_id for one in connected(house.store, platform.id, search=name.upper()).standings
    ]
    assert connected(house.store, platform.id, search="no such").matching == 0
    assert [one.connection.id for one in own_standings(house.store)] == [platform.id]
    (told,) = [one for one in reach(house.store) if one.accounts]
    assert (told.connection_id, told.accounts) == (platform.id, COUNT)
    child = house.children(platform)[account]
    with house.store.write() as db:
        db.execute(
            sa.insert(list_states).values(
                connection_id=child.id, list="/v1/charges", table_name="charges", state="partial"
            )
        )
        db.execute(sa.update(connections).where(connections.c.id == child.id).values(sync_wanted_at=None))
    whole = families(house.store)[platform.id]
    assert (whole.total, whole.counts, whole.loading) == (COUNT, {"waiting": COUNT - 1, "incomplete": 1}, COUNT)


def test_only_a_key_of_its_own_brings_accounts_along(house: House) -> None:
    plain = house.joined(house.stripe.live_key, follow_accounts=True)
    assert not plain.follows_accounts  # nothing is connected to it
    platform = house.platform()
    house.service.discover(platform.id)
    child = next(iter(house.children(platform).values()))
    with pytest.raises(Invalid, match="key of its own"):
        house.service.follow_accounts(house.admin, child.id)
