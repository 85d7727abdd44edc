"""The simulator's API over HTTP: keys, permissions, versions, compression, and that nothing can be written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from takings.catalog import load
from takings.errors import Unexpected
from takings.simulator import Simulator, fingerprint
from takings.simulator.endpoints import permission


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=simulator.api_base, trust_env=False) as client:
        yield client


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} | {name.replace("_", "-"): value for name, value in more.items()}


def error(answer: httpx2.Response) -> dict[str, Any]:
    return answer.json()["error"]


class TestKeys:
    def test_bearer_and_basic_both_open(self, simulator: Simulator, http: httpx2.Client) -> None:
        by_bearer = http.get("/v1/charges?limit=3", headers=bearer(simulator.live_key))
        by_basic = http.get("/v1/charges?limit=3", auth=(simulator.live_key, ""))
        assert by_bearer.status_code == by_basic.status_code == 200
        assert by_bearer.content == by_basic.content
        assert len(by_bearer.json()["data"]) == 3

    @pytest.mark.parametrize("header", [None, "", "Basic !!!", "Digest x", "Bearer"])
    def test_no_key_is_401_with_a_challenge(self, http: httpx2.Client, header: str | None) -> None:
        answer = http.get("/v1/charges", headers={} if header is None else {"authorization": header})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="Stripe"'
        assert error(answer)["type"] == "invalid_request_error"

    def test_a_wrong_key_is_401_and_not_echoed(self, http: httpx2.Client) -> None:
        answer = http.get("/v1/charges", headers=bearer("rk_live_51NobodyHasThisKey9xYz"))
        assert answer.status_code == 401
        assert error(answer)["message"] == "Invalid API Key provided: rk_live_***9xYz"

    def test_a_short_wrong_key_is_not_echoed_at_all(self, http: httpx2.Client) -> None:
        assert error(http.get("/v1/charges", headers=bearer("hunter2")))["message"] == "Invalid API Key provided: ***"

    def test_live_and_test_are_two_worlds(self, simulator: Simulator, http: httpx2.Client) -> None:
        live, test = (
            http.get("/v1/charges?limit=100", headers=bearer(key)).json()["data"]
            for key in (simulator.live_key, simulator.test_key)
        )
        assert {row["livemode"] for row in live} == {True}
        assert {row["livemode"] for row in test} == {False}
        assert not {row["id"] for row in live} & {row["id"] for row in test}

    def test_a_revoked_key_is_invalid(self, simulator: Simulator, http: httpx2.Client) -> None:
        key = simulator.create_key()
        assert http.get("/v1/balance", headers=bearer(key)).status_code == 200
        simulator.revoke_key(key)
        answer = http.get("/v1/balance", headers=bearer(key))
        assert (answer.status_code, error(answer)["message"]) == (
            401,
            f"Invalid API Key provided: rk_live_***{key[-4:]}",
        )

    def test_an_expired_key_has_a_code_of_its_own(self, simulator: Simulator, http: httpx2.Client) -> None:
        key = simulator.create_key(livemode=False)
        simulator.expire_key(key)
        answer = http.get("/v1/balance", headers=bearer(key))
        assert (answer.status_code, error(answer)["code"]) == (401, "api_key_expired")
        assert key not in answer.text

    def test_another_account_is_not_reached(self, simulator: Simulator, http: httpx2.Client) -> None:
        answer = http.get("/v1/charges", headers=bearer(simulator.live_key, stripe_account="acct_1Stranger"))
        assert (answer.status_code, error(answer)["code"]) == (403, "account_invalid")

    def test_ones_own_account_may_be_named(self, simulator: Simulator, http: httpx2.Client) -> None:
        answer = http.get("/v1/charges", headers=bearer(simulator.live_key, stripe_account=simulator.account))
        assert answer.status_code == 200
        assert answer.headers["stripe-account"] == simulator.account

    def test_a_platform_reads_the_accounts_connected_to_it(self, simulator: Simulator, http: httpx2.Client) -> None:
        platform = simulator.create_key(account="acct_1Platform", kind="sk", connected=[simulator.account])
        through = http.get("/v1/charges", headers=bearer(platform, stripe_account=simulator.account))
        direct = http.get("/v1/charges", headers=bearer(simulator.live_key))
        assert through.content == direct.content
        assert http.get("/v1/charges", headers=bearer(platform)).status_code == 403


class TestPermissions:
    @pytest.mark.parametrize(
        ("path", "named"),
        [
            ("/v1/charges", "rak_charge_read"),
            ("/v1/refunds", "rak_charge_read"),
            ("/v1/prices", "rak_plan_read"),
            ("/v1/balance_transactions", "rak_balance_transaction_source_read"),
            ("/v1/account", "rak_accounts_kyc_basic_read"),
            ("/v1/invoices/in_1/lines", "rak_invoice_read"),
            ("/v1/checkout/sessions", "rak_checkout_session_read"),
            ("/v1/customers/cus_1/payment_methods", "rak_payment_method_read"),
            ("/v1/subscription_items?subscription=sub_1", "rak_subscription_read"),
            ("/v1/issuing/cards", "rak_issuing_card_read"),
            ("/v1/tax_rates", "rak_tax_rate_read"),
        ],
    )
    def test_a_403_names_the_permission_and_the_account(
        self, simulator: Simulator, http: httpx2.Client, path: str, named: str
    ) -> None:
        key = simulator.create_key(permissions=[])
        answer = http.get(path, headers=bearer(key))
        assert answer.status_code == 403
        assert error(answer)["message"] == (
            f"The provided key 'rk_live_***{key[-4:]}' does not have the required permissions for this endpoint on "
            f"account '{simulator.account}'. Having the '{named}' permission would allow this request to continue."
        )

    def test_permissions_are_named_as_the_catalogue_names_them(self) -> None:
        told = {
            listed.path: (f"{permission(re.sub('{[^}]*}', 'x_1', listed.path))}_read", listed.scope)
            for listed in load().lists
            if listed.scope is not None and listed.path != "/v1/balance_transactions"  # named by the test above
        }
        assert len(told) > 80
        assert {path: names for path, names in told.items() if names[0] != names[1]} == {}

    def test_what_is_permitted_opens_and_the_rest_does_not(self, simulator: Simulator, http: httpx2.Client) -> None:
        key = simulator.create_key(permissions=["rak_charge_read", "customer"])
        statuses = {
            path: http.get(path, headers=bearer(key)).status_code
            for path in ("/v1/charges", "/v1/refunds", "/v1/customers", "/v1/invoices")
        }
        assert statuses == {"/v1/charges": 200, "/v1/refunds": 200, "/v1/customers": 200, "/v1/invoices": 403}

    def test_permissions_can_change_under_a_running_key(self, simulator: Simulator, http: httpx2.Client) -> None:
        key = simulator.create_key(permissions=["charge"])
        simulator.permit_key(key, ["invoice"])
        assert http.get("/v1/charges", headers=bearer(key)).status_code == 403
        assert http.get("/v1/invoices", headers=bearer(key)).status_code == 200


class TestWrites:
    @pytest.mark.parametrize(("method", "path"), [("POST", "/v1/charges"), ("DELETE", "/v1/customers/cus_1")])
    def test_a_write_is_refused_and_counted(
        self, simulator: Simulator, http: httpx2.Client, method: str, path: str
    ) -> None:
        simulator.reset_stats()
        answer = http.request(method, path, headers=bearer(simulator.live_key), data={"amount": "100"})
        assert answer.status_code == 403
        assert "_write' permission" in error(answer)["message"]
        stats = simulator.stats()
        assert stats["writes_refused"] == 1
        assert list(stats["writes"]) == [f"{method} {path.replace('cus_1', '{id}')}"]

    def test_a_write_without_a_key_is_counted_too(self, simulator: Simulator, http: httpx2.Client) -> None:
        simulator.reset_stats()
        assert http.post("/v1/charges").status_code == 401
        assert simulator.stats()["writes_refused"] == 1


class TestHeaders:
    def test_the_version_asked_for_comes_back(self, simulator: Simulator, http: httpx2.Client) -> None:
        answer = http.get("/v1/balance", headers=bearer(simulator.live_key, stripe_version="2025-03-31.basil"))
        assert answer.headers["stripe-version"] == "2025-03-31.basil"

    def test_without_one_it_is_the_accounts(self, simulator: Simulator, http: httpx2.Client) -> None:
        answer = http.get("/v1/balance", headers=bearer(simulator.live_key))
        assert answer.headers["stripe-version"] == "2026-10-28.endive"

    def test_a_version_that_is_none_is_refused(self, simulator: Simulator, http: httpx2.Client) -> None:
        answer = http.get("/v1/balance", headers=bearer(simulator.live_key, stripe_version="latest"))
        assert (answer.status_code, error(answer)["message"]) == (400, "Invalid Stripe API version: latest")

    def test_every_answer_has_a_request_id_of_its_own(self, simulator: Simulator, http: httpx2.Client) -> None:
        keys = (simulator.live_key, "wrong", simulator.live_key)
        ids = [http.get("/v1/balance", headers=bearer(key)).headers["request-id"] for key in keys]
        assert len(set(ids)) == 3
        assert all(id.startswith("req_") for id in ids)

    def test_gzip_when_accepted_and_the_same_content(self, simulator: Simulator, http: httpx2.Client) -> None:
        plain, packed = (
            http.get("/v1/charges?limit=100", headers=bearer(simulator.live_key, accept_encoding=accepted))
            for accepted in ("identity", "gzip")
        )
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content) / 3

    def test_the_connection_stays_open(self, simulator: Simulator, http: httpx2.Client) -> None:
        ports = {
            http.get("/v1/balance", headers=bearer(simulator.live_key))
            .extensions["network_stream"]
            .get_extra_info("client_addr")[1]
            for _ in range(3)
        }
        assert len(ports) == 1

    def test_an_address_that_is_none_is_404(self, http: httpx2.Client) -> None:
        answer = http.get("/nothing")
        assert answer.status_code == 404
        assert "Unrecognized request URL (GET: /nothing)" in error(answer)["message"]


class TestControls:
    def test_stats_count_by_path_and_status(self, simulator: Simulator, http: httpx2.Client) -> None:
        simulator.reset_stats()
        first = http.get("/v1/charges?limit=1", headers=bearer(simulator.live_key)).json()["data"][0]["id"]
        http.get(f"/v1/charges/{first}", headers=bearer(simulator.live_key))
        http.get("/v1/charges", headers=bearer("wrong"))
        stats = simulator.stats()
        assert stats["by_path"] == {"/v1/charges": {"200": 1, "401": 1}, "/v1/charges/{id}": {"200": 1}}
        assert stats["by_status"] == {"200": 2, "401": 1}
        assert (stats["requests"], stats["pages"]) == (3, 1)
        assert stats["busy_cpu_seconds"] > 0
        assert simulator.requests(last=3) == [
            ("GET", "/v1/charges", "limit=1", 200),
            ("GET", f"/v1/charges/{first}", "", 200),
            ("GET", "/v1/charges", "", 401),
        ]

    def test_the_truth_has_the_same_content_as_the_api(self, simulator: Simulator, http: httpx2.Client) -> None:
        truth = simulator.objects("charges", livemode=False)
        assert len(truth) > 10
        for id in list(truth)[:10]:
            answer = http.get(f"/v1/charges/{id}", headers=bearer(simulator.test_key))
            assert fingerprint(answer.content) == truth[id]

    def test_an_unknown_table_is_refused(self, simulator: Simulator) -> None:
        with pytest.raises(Unexpected, match="400"):
            simulator.objects("chargse")

    def test_content_that_differs_has_another_fingerprint(self) -> None:
        assert fingerprint(b'{"a": 1, "b": [1, 2]}') == fingerprint(b'{"b":[1,2],"a":1}')
        assert fingerprint(b'{"a": 1}') != fingerprint(b'{"a": 2}')
        assert fingerprint(b'{"a": [1, 2]}') != fingerprint(b'{"a": [2, 1]}')

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("faults", {"kind": "flood"}),
            ("faults", {"kind": "status", "status": 200}),
            ("faults", {"kind": "status", "pth": "/v1/*"}),
            ("keys", {"do": "revoke", "key": "rk_live_unknown"}),
            ("limits", {"livee": 3}),
            ("clock", {"advance_s": -1}),
            ("mutate", {"do": "update", "id": "ch_none", "fields": {}}),
        ],
    )
    def test_a_control_that_is_not_understood_says_so(self, http: httpx2.Client, name: str, body: Any) -> None:
        answer = http.post(f"/_sim/{name}", json=body)
        assert answer.status_code == 400
        assert answer.json()["problem"]

    def test_a_page_in_a_browser_turns_no_control(self, http: httpx2.Client) -> None:
        answer = http.post("/_sim/keys", json={"do": "create"}, headers={"origin": "https://elsewhere.example"})
        assert answer.status_code == 403

    def test_changes_show_in_the_api(self, simulator_factory: Callable[..., Simulator]) -> None:
        simulator = simulator_factory(objects=500)
        with httpx2.Client(base_url=simulator.api_base, headers=bearer(simulator.live_key), trust_env=False) as http:
            made = simulator.create("customer", {"name": "Nouvelle cliente"})
            assert http.get(f"/v1/customers/{made}").json()["name"] == "Nouvelle cliente"
            simulator.update(made, {"name": "Autre"})
            assert http.get(f"/v1/customers/{made}").json()["name"] == "Autre"
            assert http.get("/v1/events?limit=1").json()["data"][0]["type"] == "customer.updated"
            simulator.delete(made)
            assert http.get(f"/v1/customers/{made}").json() == {"id": made, "object": "customer", "deleted": True}
