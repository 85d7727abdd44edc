"""The simulator's faults over HTTP: each kind, which requests it hits, and how often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from takings.simulator import Simulator


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=simulator.api_base, auth=(simulator.live_key, ""), trust_env=False) as client:
        yield client


@pytest.mark.parametrize("status", [500, 502, 503, 409])
def test_a_status_comes_once_and_then_all_is_well(simulator: Simulator, http: httpx2.Client, status: int) -> None:
    simulator.fault("status", status=status, path="/v1/charges")
    failed = http.get("/v1/charges")
    assert failed.status_code == status
    assert failed.json()["error"]["type"] == ("api_error" if status >= 500 else "invalid_request_error")
    assert http.get("/v1/charges").status_code == 200


@pytest.mark.parametrize(("said", "header"), [(True, "true"), (False, "false"), (None, None)])
def test_stripe_can_say_whether_to_retry(
    simulator: Simulator, http: httpx2.Client, said: bool | None, header: str | None
) -> None:
    simulator.fault("status", should_retry=said)
    assert http.get("/v1/charges").headers.get("stripe-should-retry") == header


def test_a_connection_dropped_before_the_answer(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fault("drop_before")
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        http.get("/v1/charges")
    assert http.get("/v1/charges").status_code == 200


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_connection_dropped_in_the_middle(simulator: Simulator, http: httpx2.Client, encoding: str) -> None:
    simulator.fault("drop_middle")
    with (
        pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)),
        http.stream("GET", "/v1/charges?limit=100", headers={"accept-encoding": encoding}) as answer,
    ):
        assert answer.status_code == 200
        answer.read()
    assert http.get("/v1/charges").status_code == 200


def test_slow_is_the_right_answer_late(simulator: Simulator, http: httpx2.Client) -> None:
    right = http.get("/v1/charges").content
    simulator.fault("slow", seconds=0.5)
    with pytest.raises(httpx2.ReadTimeout):
        http.get("/v1/charges", timeout=0.1)
    simulator.fault("slow", seconds=0.05)
    assert http.get("/v1/charges", timeout=5).content == right


@pytest.mark.parametrize(
    "reason", ["global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", "resource-specific"]
)
def test_a_429_with_each_reason(simulator: Simulator, http: httpx2.Client, reason: str) -> None:
    simulator.fault("rate_limit", reason=reason)
    answer = http.get("/v1/charges")
    assert (answer.status_code, answer.headers["stripe-rate-limited-reason"]) == (429, reason)
    assert "retry-after" not in answer.headers


def test_a_lock_timeout_is_a_429_without_reason(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fault("lock_timeout")
    answer = http.get("/v1/charges")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "lock_timeout")
    assert "stripe-rate-limited-reason" not in answer.headers


@pytest.mark.parametrize("kind", ["malformed", "truncated", "html"])
def test_a_200_that_cannot_be_read(simulator: Simulator, http: httpx2.Client, kind: str) -> None:
    simulator.fault(kind)
    answer = http.get("/v1/charges?limit=100")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert answer.headers["content-type"].startswith("text/html" if kind == "html" else "application/json")


@pytest.mark.parametrize(("kind", "status"), [("unauthorized", 401), ("forbidden", 403)])
def test_a_key_that_is_no_longer_good_from_now_on(
    simulator: Simulator, http: httpx2.Client, kind: str, status: int
) -> None:
    simulator.fault(kind, times=None, after=1)
    assert [http.get("/v1/charges").status_code for _ in range(4)] == [200, status, status, status]


def test_a_rule_hits_what_it_names_and_nothing_else(simulator: Simulator, http: httpx2.Client) -> None:
    simulator.fault("status", path="/v1/charges", query="starting_after", livemode=True, times=None)
    second = http.get("/v1/charges?limit=1").json()["data"][0]["id"]
    assert http.get(f"/v1/charges?starting_after={second}").status_code == 500
    assert http.get(f"/v1/charges/{second}").status_code == 200
    assert http.get("/v1/customers?starting_after=cus_1").status_code != 500
    test_mode = http.get("/v1/charges?starting_after=ch_x", auth=(simulator.test_key, ""))
    assert test_mode.status_code != 500


def test_a_chance_falls_the_same_way_for_the_same_seed(simulator: Simulator, http: httpx2.Client) -> None:
    def fallen(**rule: Any) -> list[int]:
        simulator.clear_faults()
        simulator.fault("status", probability=0.3, times=None, **rule)
        return [http.get("/v1/balance").status_code for _ in range(60)]

    first = fallen(seed=1)
    assert first == fallen(seed=1)
    assert first != fallen(seed=2)
    assert 5 <= first.count(500) <= 35


def test_rules_are_listed_with_how_often_they_fired_and_can_be_taken_out(
    simulator: Simulator, http: httpx2.Client
) -> None:
    one = simulator.fault("status", times=None, path="/v1/charges")
    other = simulator.fault("status", times=None, path="/v1/customers")
    for path in ("/v1/charges", "/v1/charges", "/v1/customers"):
        http.get(path)
    assert {rule["id"]: rule["fired"] for rule in simulator.faults()} == {one: 2, other: 1}
    simulator.clear_faults(one)
    assert http.get("/v1/charges").status_code == 200
    assert http.get("/v1/customers").status_code == 500
    simulator.clear_faults()
    assert http.get("/v1/customers").status_code == 200
