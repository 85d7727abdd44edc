"""Both OAuth ways against the simulated Stripe: states, codes, and tokens renewed by several writers at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import sqlalchemy as sa

from takings import catalog, settings
from takings.accounts import Audit, People, Person
from takings.clock import SystemClock
from takings.connections import Connection, Connections, Way, records
from takings.errors import Invalid, Misconfigured, Refused, TakingsError
from takings.simulator import Simulator
from takings.store import Store, Vault
from takings.store.schema import connections, oauth_states

BACK = "http://127.0.0.1:8420/admin/connections/stripe/callback"
WAYS: tuple[Way, ...] = ("app_oauth", "connect_oauth")


@dataclass
class House:
    stripe: Simulator
    store: Store
    vault: Vault
    service: Connections
    admin: Person
    people: People


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    opened: list[Store] = []

    def make(stripe: Simulator, **changed: str) -> House:
        clock = SystemClock()
        chosen = settings.load({"TAKINGS_HOME": str(tmp_path), **stripe.environ(), **changed})
        store = Store.open(chosen)
        opened.append(store)
        people = People(store, clock)
        admin = people.setup(
            company_name="Aurore",
            locale="en",
            time_zone="UTC",
            currency="eur",
            email="ada@example.com",
            name="Ada",
            password="a long enough password",
        )
        vault = Vault.open(chosen)
        service = Connections(store, vault, catalog.load(), chosen, clock, Audit(store, clock))
        return House(stripe, store, vault, service, admin, people)

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def house(simulator: Simulator, make_house: Callable[..., House]) -> House:
    return make_house(simulator)


def consented(stripe: Simulator, address: str, decision: str = "connect") -> dict[str, str]:
    """Go through the consent pages as a browser does; return what the redirect carries."""

    def hidden(page: str) -> dict[str, str]:
        return dict(re.findall(r'name="(request|nonce)" value="([^"]+)"', page))

    with httpx2.Client(base_url=stripe.api_base, follow_redirects=True) as browser:
        form = hidden(browser.get(address).text)
        form = hidden(browser.get("/oauth/sign_in", params=form).text)
        page = browser.post("/oauth/sign_in", data={**form, "email": stripe.email, "password": stripe.password}).text
        chosen = re.findall(r'name="account" value="([^"]+:live)"', page)[0]
        browser.follow_redirects = False
        answer = browser.post("/oauth/consent", data={**hidden(page), "account": chosen, "decision": decision})
    target = answer.headers["location"]
    assert target.startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}


def join(house: House, way: Way) -> Connection:
    carried = consented(house.stripe, house.service.authorization.begin(house.admin, way, BACK))
    done = house.service.authorization.finish(house.admin, state=carried["state"], code=carried["code"], error=None)
    pending = house.service.pend(house.admin, done.credentials)
    probe = house.service.probe_pending(house.admin, pending)
    assert probe.account_id == house.stripe.account
    return house.service.confirm(house.admin, pending, "", None)


def refused(act: Callable[[], object]) -> TakingsError:
    with pytest.raises(TakingsError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_an_account_is_joined_by_consent(house: House, way: Way) -> None:
    made = join(house, way)
    assert (made.way, made.account_id, made.livemode) == (way, house.stripe.account, True)
    held = house.service.credentials(made.id)
    assert (held.refresh is not None, held.expires_at is not None) == (True, way == "app_oauth")
    with house.store.read() as db:
        kept = db.execute(sa.select(oauth_states)).one()
    assert kept.used_at is not None
    assert held.secret not in str(kept._mapping)


def test_a_state_counts_once_for_one_person_for_ten_minutes(house: House) -> None:
    authorization = house.service.authorization
    other = house.people.accept(
        house.people.invite(house.admin, "bo@example.com", "admin"), name="Bo", password="another long password"
    )
    carried = consented(house.stripe, authorization.begin(house.admin, "app_oauth", BACK))

    def back(person: Person, state: str) -> Callable[[], object]:
        return lambda: authorization.finish(person, state=state, code=carried["code"], error=None)

    assert refused(back(other, carried["state"])).code == "connections.oauth_state"
    assert refused(back(house.admin, "made up")).code == "connections.oauth_state"
    with house.store.write() as db:
        db.execute(sa.update(oauth_states).values(created_at=datetime.now(UTC) - timedelta(minutes=11)))
    assert refused(back(house.admin, carried["state"])).code == "connections.oauth_state"
    with house.store.write() as db:
        db.execute(sa.update(oauth_states).values(created_at=datetime.now(UTC)))
    back(house.admin, carried["state"])()
    assert refused(back(house.admin, carried["state"])).code == "connections.oauth_state"
    with house.store.read() as db:
        assert carried["state"] not in str(db.execute(sa.select(oauth_states)).all())


def test_of_many_who_bring_one_state_one_gets_through(house: House) -> None:
    carried = consented(house.stripe, house.service.authorization.begin(house.admin, "app_oauth", BACK))

    def finish(_: int) -> bool:
        try:
            house.service.authorization.finish(house.admin, state=carried["state"], code=carried["code"], error=None)
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(finish, range(6))) == 1


def test_saying_no_and_a_used_code(house: House) -> None:
    authorization = house.service.authorization
    address = authorization.begin(house.admin, "connect_oauth", BACK)
    carried = consented(house.stripe, address, "deny")
    error = refused(
        lambda: authorization.finish(house.admin, state=carried["state"], code=None, error=carried["error"])
    )
    assert (type(error), error.code) == (Refused, "oauth.denied")
    first = consented(house.stripe, authorization.begin(house.admin, "app_oauth", BACK))
    second = consented(house.stripe, authorization.begin(house.admin, "app_oauth", BACK))
    authorization.finish(house.admin, state=first["state"], code=first["code"], error=None)
    error = refused(lambda: authorization.finish(house.admin, state=second["state"], code=first["code"], error=None))
    assert error.code == "oauth.code_refused"


def test_a_wrong_secret_names_the_setting(simulator: Simulator, make_house: Callable[..., House]) -> None:
    house = make_house(simulator, TAKINGS_STRIPE_APP_SECRET="sk_live_wrong")
    carried = consented(simulator, house.service.authorization.begin(house.admin, "app_oauth", BACK))
    error = refused(
        lambda: house.service.authorization.finish(
            house.admin, state=carried["state"], code=carried["code"], error=None
        )
    )
    assert isinstance(error, Misconfigured)
    assert "TAKINGS_STRIPE_APP_SECRET" in error.sentence


def test_ways_without_client_id_are_not_there(simulator: Simulator, make_house: Callable[..., House]) -> None:
    house = make_house(simulator, TAKINGS_STRIPE_APP_CLIENT_ID="", TAKINGS_STRIPE_CONNECT_SECRET="")
    assert house.service.authorization.ways() == ("key",)
    for way in WAYS:
        error = refused(lambda way=way: house.service.authorization.begin(house.admin, way, BACK))  # type: ignore[misc]
        assert error.code == "connections.way_missing"


def about_to_end(house: House, made: Connection) -> None:
    """Let the access token end now; Stripe would not take it any more either."""
    held = house.service.credentials(made.id)
    with house.store.write() as db:
        ended = replace(held, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        db.execute(sa.update(connections).values(credentials=records.seal(house.vault, ended)))


def test_writers_that_renew_at_once_do_not_lose_the_new_token(house: House) -> None:
    made = join(house, "app_oauth")
    chosen = settings.load({"TAKINGS_HOME": str(house.vault._file.parent), **house.stripe.environ()})  # type: ignore[union-attr]
    clock = SystemClock()
    stores = [Store.open(chosen) for _ in range(3)]
    services = [Connections(one, house.vault, catalog.load(), chosen, clock, Audit(one, clock)) for one in stores]
    for round_ in range(1, 4):  # each time the tokens of the last round must be the living ones
        about_to_end(house, made)
        house.stripe.reset_stats()
        with ThreadPoolExecutor(9) as pool:
            found = list(pool.map(lambda n: services[n % 3].credentials(made.id), range(9)))
        assert len({one.secret for one in found}) == 1
        assert sum(path == "/v1/oauth/token" for _, path, _, _ in house.stripe.requests()) == 1
        with house.store.read() as db:
            assert db.execute(sa.select(connections.c.credentials_rev)).scalar() == 1 + round_
    assert house.service.probe(found[0], estimate=False).account_id == house.stripe.account
    for one in stores:
        one.close()


def test_a_withdrawn_access_asks_to_be_given_again(
    simulator_factory: Callable[..., Simulator], make_house: Callable[..., House]
) -> None:
    house = make_house(simulator_factory(objects=300))
    made = join(house, "app_oauth")
    house.stripe.withdraw()
    about_to_end(house, made)
    error = refused(lambda: house.service.credentials(made.id))
    assert error.code == "oauth.grant_refused"
    assert house.service.mark_reauth(made.id, error) is True
    assert house.service.get(made.id).state == "reauth"
    address = house.service.authorization.begin(house.admin, "app_oauth", BACK, made.id)
    carried = consented(house.stripe, address)
    done = house.service.authorization.finish(house.admin, state=carried["state"], code=carried["code"], error=None)
    assert done.connection_id == made.id
    again = house.service.reauthenticate(house.admin, made.id, done.credentials)
    assert (again.state, again.created_at) == ("active", made.created_at)


@pytest.mark.parametrize("way", WAYS)
def test_who_ends_the_access_at_stripe_is_told_so_and_heals_by_consent(
    simulator_factory: Callable[..., Simulator], make_house: Callable[..., House], way: Way
) -> None:
    house = make_house(simulator_factory(objects=300))
    made = join(house, way)
    assert house.service.mark_reauth(made.id) is False  # it is asked, whoever says so
    house.stripe.withdraw()
    assert house.service.mark_reauth(made.id) is True
    told = house.service.get(made.id)
    assert (told.state, told.reason_code) == ("reauth", "connections.deauthorized")
    assert told.reason is not None and "ended Takings’ access at Stripe" in told.reason
    carried = consented(house.stripe, house.service.authorization.begin(house.admin, way, BACK, made.id))
    done = house.service.authorization.finish(house.admin, state=carried["state"], code=carried["code"], error=None)
    again = house.service.reauthenticate(house.admin, made.id, done.credentials)
    assert (again.state, again.reason, again.created_at) == ("active", None, made.created_at)


def test_disconnecting_a_platform_tells_stripe(
    simulator_factory: Callable[..., Simulator], make_house: Callable[..., House]
) -> None:
    house = make_house(simulator_factory(objects=300))
    made = join(house, "connect_oauth")
    held = house.service.credentials(made.id)
    house.service.disconnect(house.admin, made.id, purge=False)
    error = refused(lambda: house.service.probe(held))
    assert error.code == "stripe.key_refused"


def test_the_estimate_is_near_the_truth(house: House) -> None:
    made = join(house, "app_oauth")
    probe = house.service.probe(house.service.credentials(made.id))
    facts = house.stripe.facts()
    assert probe.estimates[0].objects == pytest.approx(sum(facts["listed"].values()), rel=0.15)
    assert probe.first_at is not None
    for one in probe.lists:
        truth = facts["listed"].get(one.table)
        if one.access == "allowed" and one.exact and truth is not None and one.table not in ("tax_ids",):
            assert one.rows == truth, one.path
    denied = house.stripe.create_key(permissions=["charge", "invoice", "connected_account"])
    found = house.service.probe(replace(house.service.credentials(made.id), secret=denied))
    access = {one.path: one for one in found.lists}
    assert access["/v1/charges"].access == "allowed"
    assert access["/v1/customers"].access == "forbidden"
    assert access["/v1/customers"].permission == "rak_customer_read"
