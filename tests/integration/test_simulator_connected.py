"""The simulator's platform and organisation over HTTP: what is connected to it, by whose key, at whose rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from takings.simulator import Simulator

COUNT = 12


@pytest.fixture(scope="module")
def own() -> Iterator[Simulator]:
    with Simulator(
        objects=300, test_objects=300, seed=5, rate=0, test_rate=0, endpoint_rate=0, connected=COUNT
    ) as running:
        yield running


@pytest.fixture(scope="module")
def get(own: Simulator) -> Iterator[Callable[..., httpx2.Response]]:
    with httpx2.Client(base_url=own.api_base, trust_env=False) as client:

        def ask(path: str, key: str = own.platform_key, **headers: str) -> httpx2.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.get(path, headers={"authorization": f"Bearer {key}", **named})

        yield ask


def error(answer: httpx2.Response) -> dict[str, Any]:
    return answer.json()["error"]


def test_the_platform_lists_its_accounts_newest_first(own: Simulator, get: Callable[..., httpx2.Response]) -> None:
    seen: list[dict[str, Any]] = []
    path = "/v1/accounts?limit=5"
    while True:
        page = get(path).json()
        seen += page["data"]
        if not page["has_more"]:
            break
        path = f"/v1/accounts?limit=5&starting_after={seen[-1]['id']}"
    assert [one["id"] for one in seen] == list(own.connected())
    assert len({one["id"] for one in seen}) == COUNT
    assert [one["created"] for one in seen] == sorted((one["created"] for one in seen), reverse=True)
    before = get(f"/v1/accounts?limit=3&ending_before={seen[6]['id']}").json()
    assert [one["id"] for one in before["data"]] == [one["id"] for one in seen[3:6]]
    assert before["has_more"]
    middle = seen[5]["created"]
    newer = get(f"/v1/accounts?limit=100&created[gte]={middle}").json()["data"]
    assert newer == [one for one in seen if one["created"] >= middle]
    after = get(f"/v1/accounts?limit=100&created[lt]={middle}&starting_after={seen[0]['id']}").json()["data"]
    assert after == [one for one in seen if one["created"] < middle]
    assert error(get("/v1/accounts?starting_after=acct_none"))["code"] == "resource_missing"


def test_its_key_reads_each_of_them_and_no_other(own: Simulator, get: Callable[..., httpx2.Response]) -> None:
    accounts = list(own.connected())
    ids = set()
    for account in accounts:
        listed = get(f"/v1/accounts/{account}").json()
        assert get("/v1/account", stripe_account=account).json() == listed
        (charge,) = get("/v1/charges?limit=1", stripe_account=account).json()["data"]
        ids.add(charge["id"])
        external = get(f"/v1/accounts/{account}/external_accounts").json()["data"]
        assert external == listed["external_accounts"]["data"]
    assert len(ids) == COUNT
    assert get("/v1/account").json()["id"] == own.platform
    for key, account in ((own.platform_key, own.account), (own.live_key, accounts[0])):
        answer = get("/v1/charges", key, stripe_account=account)
        assert (answer.status_code, error(answer)["code"]) == (403, "account_invalid")
    assert error(get("/v1/accounts/acct_none"))["code"] == "account_invalid"
    assert get("/v1/accounts", own.live_key).json()["data"] == []
    sandbox = get("/v1/charges?limit=1", own.platform_test_key, stripe_account=accounts[0]).json()["data"]
    assert sandbox[0]["livemode"] is False
    blind = own.create_key(account=own.platform, permissions=["charge"])
    assert "rak_connected_account_read" in error(get("/v1/accounts", blind))["message"]
    assert get("/v1/charges", blind, stripe_account=accounts[0]).status_code == 200


def test_an_account_comes_withdraws_and_comes_back(own: Simulator, get: Callable[..., httpx2.Response]) -> None:
    made = own.connect(name="Newcomer")
    assert own.connected()[made] == "Newcomer"
    assert get("/v1/account", stripe_account=made).json()["settings"]["dashboard"]["display_name"] == "Newcomer"
    own.create("customer", {"name": "Kept"}, account=made)
    own.deauthorize(made)
    answer = get("/v1/charges", stripe_account=made)
    assert (answer.status_code, error(answer)["code"]) == (403, "account_invalid")
    assert made not in [one["id"] for one in get("/v1/accounts?limit=100").json()["data"]]
    assert made in own.connected(livemode=False)
    own.connect(made)
    assert get("/v1/customers?limit=1", stripe_account=made).json()["data"][0]["name"] == "Kept"
    own.deauthorize(made)


def test_one_rate_for_the_platform_and_all_its_accounts(own: Simulator, get: Callable[..., httpx2.Response]) -> None:
    accounts = list(own.connected())[:3]
    own.limits(live=2)
    try:
        answers = [get("/v1/balance", stripe_account=account) for account in accounts] + [get("/v1/balance")]
        assert [answer.status_code for answer in answers].count(429) >= 1
        assert answers[-1].headers.get("stripe-rate-limited-reason", "global-rate") == "global-rate"
        # An organisation's accounts have nothing to do with each other.
        for account in own.org_accounts:
            assert get("/v1/balance", own.org_key, stripe_context=account).status_code == 200
    finally:
        own.limits(live=0)


def test_the_key_of_an_organisation_names_the_account(own: Simulator, get: Callable[..., httpx2.Response]) -> None:
    answer = get("/v1/balance", own.org_key)
    assert answer.status_code == 400
    assert "Stripe-Context" in error(answer)["message"]
    seen = {
        get("/v1/account", own.org_key, stripe_context=account).json()["id"]
        for account in [*own.org_accounts, own.platform]
    }
    assert seen == {*own.org_accounts, own.platform}
    direct = get("/v1/charges?limit=5", own.live_key).content
    assert get("/v1/charges?limit=5", own.org_key, stripe_context=own.account).content == direct
    assert (
        get("/v1/charges?limit=1", own.org_test_key, stripe_context=own.account).json()["data"][0]["livemode"] is False
    )
    connected = next(iter(own.connected()))
    through = get("/v1/account", own.org_key, stripe_context=f"{own.platform}/{connected}")
    assert through.json()["id"] == connected
    for foreign in (connected, "acct_none", f"{own.account}/{connected}"):
        refused = get("/v1/account", own.org_key, stripe_context=foreign)
        assert (refused.status_code, error(refused)["code"]) == (403, "account_invalid"), foreign
