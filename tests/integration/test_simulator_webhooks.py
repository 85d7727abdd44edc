"""The simulator's webhooks, received by a plain server and checked with the official SDK."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from takings.errors import Unexpected
from takings.simulator import Simulator


@dataclass
class Inbox:
    """A server that keeps what it is sent."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, str]] = field(default_factory=list)

    def wait(self, number: int) -> list[tuple[str, str]]:
        for _ in range(600):
            if len(self.got) >= number:
                return self.got
            time.sleep(0.02)
        raise AssertionError(f"{len(self.got)} of {number} came")

    def ids(self, number: int) -> list[str]:
        return [json.loads(body)["id"] for body, _ in self.wait(number)]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            box.got.append((body, self.headers["stripe-signature"]))
            self.send_response(box.answers.pop(0) if box.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        box.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield box
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator(objects=300, test_objects=200, connected=2, seed=5) as running:
        running.retry_webhooks(0.05, 0.05)
        yield running


@pytest.fixture
def hook(sim: Simulator, inbox: Inbox) -> Iterator[tuple[str, str]]:
    id, secret = sim.add_webhook(inbox.url)
    yield id, secret
    sim.calm_webhooks()
    sim.remove_webhook(id)


def told(sim: Simulator, **more: Any) -> str:
    """Make a change and return the id of its event."""
    before = set(_events(sim, **more))
    sim.create("customer", {"name": "Amélie"}, **more)
    (new,) = set(_events(sim, **more)) - before
    return new


def attempts(sim: Simulator, id: str, number: int) -> list[tuple[str, int | None, str]]:
    """Return what the simulator tried, once it has the answers too."""
    for _ in range(600):
        if len(made := sim.webhook_attempts(id)) >= number:
            return made
        time.sleep(0.02)
    raise AssertionError("the attempts are not written down")


def _events(sim: Simulator, **more: Any) -> dict[str, str]:
    return sim.objects("events", **more)


def test_what_happens_is_sent_and_the_sdk_accepts_it(sim: Simulator, inbox: Inbox, hook: tuple[str, str]) -> None:
    id, secret = hook
    event = told(sim)
    told(sim, livemode=False)
    ((body, signature),) = inbox.wait(1)
    made = stripe.Webhook.construct_event(body, signature, secret)
    assert (made.id, made.type, made.data.object.name) == (event, "customer.created", "Amélie")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, signature, "whsec_other")
    assert attempts(sim, id, 1) == [(event, 200, "true")]


def test_a_delivery_that_fails_is_tried_again_until_it_is_given_up(
    sim: Simulator, inbox: Inbox, hook: tuple[str, str]
) -> None:
    inbox.answers = [500, 404, 500]
    first = told(sim)
    inbox.wait(3)
    second = told(sim)
    assert inbox.ids(4) == [first, first, first, second]


def test_while_a_secret_rolls_each_signs(sim: Simulator, inbox: Inbox, hook: tuple[str, str]) -> None:
    id, old = hook
    new = sim.roll_webhook(id)
    told(sim)
    body, signature = inbox.wait(1)[0]
    assert signature.count("v1=") == 2
    for secret in (old, new):
        stripe.Webhook.construct_event(body, signature, secret)
    sim.expire_webhook(id)
    told(sim)
    body, signature = inbox.wait(2)[1]
    stripe.Webhook.construct_event(body, signature, new)
    assert signature.count("v1=") == 1


def _doubled(a: str, b: str) -> list[str]:
    return [a, a, b]


def _reordered(a: str, b: str) -> list[str]:
    return [b, a]


def _lost(a: str, b: str) -> list[str]:
    return [b]


@pytest.mark.parametrize(
    ("kind", "expected"), [("doubled", _doubled), ("reordered", _reordered), ("lost", _lost), ("delayed", _reordered)]
)
def test_what_may_befall_a_delivery(
    sim: Simulator, inbox: Inbox, hook: tuple[str, str], kind: str, expected: Callable[[str, str], list[str]]
) -> None:
    sim.disturb_webhooks(kind, seconds=0.5)
    wanted = expected(told(sim), told(sim))
    assert inbox.ids(len(wanted)) == wanted


def test_forged_and_old_ones_come_before_the_true_one(sim: Simulator, inbox: Inbox, hook: tuple[str, str]) -> None:
    id, secret = hook
    sim.disturb_webhooks("forged")
    sim.disturb_webhooks("old")
    first, second = told(sim), told(sim)
    forged, true, old, again = inbox.wait(4)
    for body, signature in (forged, old):
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(body, signature, secret)
    assert [json.loads(one[0])["id"] for one in (true, old, again)] == [first, second, second]
    assert [kind for _, _, kind in attempts(sim, id, 4)] == ["forged", "true", "old", "true"]


def test_a_platform_gets_the_events_of_connected_accounts_with_their_name(sim: Simulator, inbox: Inbox) -> None:
    child = next(iter(sim.connected()))
    id, _ = sim.add_webhook(inbox.url, account=sim.platform, connect=True)
    event = told(sim, account=child)
    told(sim)
    told(sim, account=sim.platform)
    last = told(sim, account=child)
    assert inbox.ids(2) == [event, last]
    assert {json.loads(body)["account"] for body, _ in inbox.got} == {child}
    sim.remove_webhook(id)


def test_it_sends_to_this_machine_only(sim: Simulator) -> None:
    with pytest.raises(Unexpected, match="this machine only"):
        sim.add_webhook("https://example.com/hook")
