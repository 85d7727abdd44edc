"""The client against the simulated Stripe: whole lists, real limits, keys of every kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from takings.clock import SystemClock
from takings.errors import NotFound, Refused, TakingsError
from takings.simulator import Simulator
from takings.stripe import LocalLimiter, Request, Retries, Stripe

VERSION = "2026-10-28.endive"


@pytest.fixture
def open_stripe(simulator: Simulator) -> Iterator[Callable[..., Stripe]]:
    opened: list[Stripe] = []

    def make(key: str | None = None, to: Simulator = simulator, **more: Any) -> Stripe:
        clock = SystemClock()
        arguments: dict[str, Any] = {
            "api_base": to.api_base,
            "api_version": VERSION,
            "token": lambda: key or to.live_key,
            "limiter": LocalLimiter(10_000, 10_000, 0, clock),
            "clock": clock,
            "retries": Retries(first_s=0.02),
            **more,
        }
        opened.append(Stripe(**arguments))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def whole_list(stripe: Stripe, path: str, **params: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    query: dict[str, str | int] = {"limit": 100, **params}
    while True:
        page = stripe.page(path, query)
        assert not set(found) & {item.id for item in page.items}
        found.update((item.id, item.raw) for item in page.items)
        if not page.has_more:
            return found
        query["starting_after"] = page.items[-1].id


@pytest.mark.parametrize("table", ["charges", "customers", "balance_transactions"])
def test_a_whole_list_is_what_stripe_holds(
    simulator: Simulator, open_stripe: Callable[..., Stripe], table: str
) -> None:
    held = simulator.contents(table)
    found = whole_list(open_stripe(), f"/v1/{table}")
    assert set(found) == set(held)
    assert all(json.loads(raw)["id"] == key for key, raw in found.items())
    if table == "balance_transactions":
        assert {key: json.loads(raw) for key, raw in found.items()} == held


def test_faults_on_the_way_change_nothing(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    made: list[Request] = []
    stripe = open_stripe(on_request=made.append)
    undisturbed = whole_list(stripe, "/v1/charges")
    asked = len(made)
    for kind in ("status", "drop_before", "drop_middle", "rate_limit", "lock_timeout"):
        simulator.fault(kind, path="/v1/charges", **({"reason": "endpoint-rate"} if kind == "rate_limit" else {}))
    assert whole_list(stripe, "/v1/charges") == undisturbed
    assert len(made) == 2 * asked + 5


def test_within_the_limits_nobody_is_refused(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    simulator.limits(live=40, endpoint=20)
    clock = SystemClock()
    made: list[Request] = []
    stripe = open_stripe(limiter=LocalLimiter(40, 20, 0.2, clock), on_request=made.append)
    paths = ("/v1/charges", "/v1/customers", "/v1/refunds")

    def work(which: int) -> None:
        for _ in range(6):
            stripe.page(paths[which % 3], {"limit": 1})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [request.status for request in made] == [200] * 54


def test_past_the_limits_the_limiter_finds_the_pace(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    simulator.limits(live=20, endpoint=20)
    clock = SystemClock()
    made: list[Request] = []
    stripe = open_stripe(limiter=LocalLimiter(80, 80, 0, clock), on_request=made.append, retries=Retries())
    threads = [
        threading.Thread(target=lambda: [stripe.page("/v1/charges", {"limit": 1}) for _ in range(8)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    statuses = [request.status for request in made]
    assert statuses.count(200) == 64
    assert 0 < statuses.count(429) < 64


def refused(stripe: Stripe, path: str = "/v1/charges") -> TakingsError:
    with pytest.raises((Refused, NotFound)) as told:
        stripe.get(path)
    shown = f"{told.value} {told.value.fields}"
    assert "rk_" not in shown
    assert "sk_" not in shown
    return told.value


def test_keys_that_are_refused_say_why(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    assert refused(open_stripe("rk_live_51NoSuchKeyAtAll")).code == "stripe.key_refused"
    revoked, expired = simulator.create_key(), simulator.create_key()
    assert open_stripe(revoked).page("/v1/charges").items
    simulator.revoke_key(revoked)
    simulator.expire_key(expired)
    assert refused(open_stripe(revoked)).code == "stripe.key_refused"
    assert refused(open_stripe(expired)).code == "stripe.key_expired"


def test_a_key_without_the_permission_names_it(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    key = simulator.create_key(permissions=["customer"])
    assert open_stripe(key).page("/v1/customers").items
    told = refused(open_stripe(key))
    assert (told.code, told.fields["permission"]) == ("stripe.permission_missing", "rak_charge_read")


def test_another_account_is_not_opened(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    told = refused(open_stripe(simulator.connect_secret, account="acct_1Stranger"))
    assert (told.code, told.fields["account"]) == ("stripe.account_access", "acct_1Stranger")


def test_what_is_not_there_is_told_apart(simulator: Simulator, open_stripe: Callable[..., Stripe]) -> None:
    stripe = open_stripe()
    assert refused(stripe, "/v1/charges/ch_1None").code == "stripe.missing"
    assert refused(stripe, "/v1/no_such_list").code == "stripe.not_enabled"
    with pytest.raises(Refused) as told:
        stripe.page("/v1/charges", {"starting_after": "ch_1None"})
    assert told.value.code == "stripe.cursor_lost"
