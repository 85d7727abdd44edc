"""The simulator's limits over HTTP: rates and concurrency, an account and an endpoint, and Stripe's headers for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from takings.simulator import Simulator
from takings.simulator.endpoints import template
from takings.simulator.limits import Allowance, Limits, Slot


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=simulator.api_base,
        auth=(simulator.live_key, ""),
        trust_env=False,
        limits=httpx2.Limits(max_connections=20),
    ) as client:
        yield client


def at_once(http: httpx2.Client, paths: list[str]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(10) as threads:
        return list(threads.map(http.get, paths))


def reasons(answers: list[httpx2.Response]) -> set[str | None]:
    return {answer.headers.get("stripe-rate-limited-reason") for answer in answers if answer.status_code == 429}


def test_an_endpoint_gives_its_rate_and_no_more(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.limits(endpoint=2)
    answers = at_once(http, ["/v1/charges?limit=1"] * 20)
    assert Counter(answer.status_code for answer in answers)[429] >= 10
    assert reasons(answers) == {"endpoint-rate"}
    body = next(answer for answer in answers if answer.status_code == 429).json()["error"]
    assert (body["code"], body["type"]) == ("rate_limit", "invalid_request_error")


def test_one_endpoint_at_its_limit_leaves_the_others_alone(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.limits(endpoint=1)
    at_once(http, ["/v1/charges?limit=1"] * 5)
    assert http.get("/v1/customers?limit=1").status_code == 200


def test_an_account_gives_its_rate_over_all_endpoints(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.limits(live=2)
    lists = ["/v1/charges", "/v1/customers", "/v1/invoices", "/v1/refunds", "/v1/payouts"]
    assert reasons(at_once(http, lists * 4)) == {"global-rate"}


def test_live_and_test_are_limited_apart(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.limits(live=1, test=100)
    at_once(http, ["/v1/balance"] * 5)
    assert http.get("/v1/balance", auth=(simulator.test_key, "")).status_code == 200


@pytest.mark.parametrize("reason", ["global-concurrency", "endpoint-concurrency"])
def test_too_many_under_way_at_once(simulator: Simulator, http: httpx2.Client, reason: str) -> None:
    simulator.limits(latency_ms=100, **{"concurrency" if reason[0] == "g" else "endpoint_concurrency": 2})
    answers = at_once(http, ["/v1/balance"] * 10)
    assert reasons(answers) == {reason}
    simulator.limits(latency_ms=0)
    assert http.get("/v1/balance").status_code == 200


def test_latency_is_waited_side_by_side(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.reset_stats()
    simulator.limits(latency_ms=200)
    at_once(http, ["/v1/balance"] * 10)
    assert simulator.stats()["most_at_once"] >= 5


class TestBuckets:
    """The arithmetic of the limits, on a clock of its own."""

    def passed(self, limits: Limits, endpoint: str, moments: list[float], livemode: bool = True) -> int:
        slot = Slot("acct_1", livemode, endpoint)
        return sum(limits.enter(slot, moment) is None for moment in moments)

    def test_a_full_bucket_is_one_seconds_worth(self) -> None:
        assert self.passed(Limits(Allowance()), "a", [0.0] * 60) == 25

    def test_it_fills_at_the_rate_and_not_beyond(self) -> None:
        limits = Limits(Allowance())
        self.passed(limits, "a", [0.0] * 60)
        assert self.passed(limits, "a", [0.2] * 60) == 5
        assert self.passed(limits, "a", [1000.0] * 60) == 25

    def test_a_steady_client_at_the_rate_is_never_refused(self) -> None:
        limits = Limits(Allowance())
        assert self.passed(limits, "a", [n / 25 for n in range(1000)]) == 1000

    def test_five_endpoints_share_the_accounts_rate(self) -> None:
        limits = Limits(Allowance())
        assert sum(self.passed(limits, name, [0.0] * 25) for name in "abcde") == 100

    def test_a_refused_request_costs_nothing(self) -> None:
        limits = Limits(Allowance(live=100, endpoint=25))
        self.passed(limits, "a", [0.0] * 200)
        assert self.passed(limits, "b", [0.0] * 25) == 25

    def test_test_mode_has_its_own_rate(self) -> None:
        limits = Limits(Allowance(endpoint=0))
        assert self.passed(limits, "a", [0.0] * 200, livemode=False) == 25
        assert self.passed(limits, "a", [0.0] * 200) == 100


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/charges", "/v1/charges"),
        ("/v1/charges/ch_1", "/v1/charges/{id}"),
        ("/v1/charges/search", "/v1/charges/search"),
        ("/v1/coupons/SUMMER", "/v1/coupons/{id}"),
        ("/v1/invoices/in_1/lines", "/v1/invoices/{id}/lines"),
        ("/v1/checkout/sessions/cs_1/line_items", "/v1/checkout/sessions/{id}/line_items"),
        ("/v1/customers/cus_1/tax_ids/txi_1", "/v1/customers/{id}/tax_ids/{id}"),
        ("/v1/test_helpers/test_clocks/clock_1", "/v1/test_helpers/test_clocks/{id}"),
        ("/v2/core/accounts/acct_1/persons", "/v2/core/accounts/{id}/persons"),
        ("/v1/tax/settings", "/v1/tax/settings"),
        ("/v1/balance/history", "/v1/balance/history"),
    ],
)
def test_paths_of_one_endpoint_are_limited_together(path: str, endpoint: str) -> None:
    assert template(path) == endpoint
