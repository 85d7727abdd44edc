"""Webhooks over real HTTP: the simulator delivers to the product, strangers try, and the page tells."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from takings.accounts import Person
from takings.clock import SystemClock, to_unix
from takings.connections import Credentials, Delivery, records
from takings.connections.webhooks import MOST_BYTES, address
from takings.simulator import Simulator
from takings.simulator.webhooks import signed
from takings.store.schema import connections

from .conftest import PASSWORD, Look, Site, csrf_of

SECRET = "whsec_0123456789abcdefghijklmnop"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.refunded",
    "created": 1_790_000_000,
    "livemode": True,
    "data": {"object": {"id": "ch_1", "object": "charge"}},
}


def join(site: Site, id: str, account: str = "acct_1", platform: str | None = None) -> None:
    """Put a connection into the store, as joining it does."""
    with site.app.store.write() as db:
        db.execute(
            sa.insert(connections).values(
                id=id,
                name=f"Aurore {id}",
                source="stripe",
                way="key",
                account_id=account,
                account_name="Aurore",
                livemode=True,
                state="active",
                credentials=records.seal(site.app.vault, Credentials(way="key", secret="rk_live_1")),
                permissions={},
                created_at=SystemClock().now(),
                platform_id=platform,
            )
        )


@pytest.fixture(scope="module")
def hooked(site: Site) -> str:
    """The id of a connection with a webhook."""
    join(site, "hooked")
    site.app.signing.add(None, "hooked", SECRET)
    return "hooked"


def send(site: Site, id: str, body: bytes, *secrets: str, age_s: int = 0, **headers: str) -> httpx2.Response:
    stamp = to_unix(SystemClock().now()) - age_s
    sign = signed(body, list(secrets or (SECRET,)), stamp)
    with httpx2.Client(trust_env=False) as stripe:
        return stripe.post(
            f"{site.url}/webhooks/stripe/{id}", content=body, headers={"stripe-signature": sign, **headers}
        )


def event(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def came(site: Site, id: str, number: int, times: int = 0) -> list[Delivery]:
    """Wait until so many events came, in all so many times; return them, oldest first."""
    for _ in range(600):
        found = site.app.deliveries.recent(id, 100)[::-1]
        if len(found) >= number and sum(one.times for one in found) >= times:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{len(found)} of {number} came")


def test_an_event_is_answered_at_once_with_nothing_and_no_session(site: Site, hooked: str) -> None:
    answer = send(site, hooked, event(id="evt_first"))
    assert (answer.status_code, answer.content) == (200, b"")
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    (waiting,) = site.app.deliveries.take(hooked, 10)
    assert waiting.body == event(id="evt_first")


def test_strangers_get_one_sentence_and_leave_no_trace(site: Site, hooked: str) -> None:
    before = site.app.deliveries.recent(hooked, 100)
    for answer, status in (
        (send(site, hooked, event(), "whsec_stranger"), 400),
        (send(site, hooked, event(), age_s=400), 400),
        (send(site, hooked, b"{}"), 400),
        (send(site, hooked, event(), **{"stripe-signature": ""}), 400),
        (send(site, "nobody", event()), 404),
        (send(site, hooked, b" " * (MOST_BYTES + 1)), 413),
    ):
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert 20 < len(answer.text) < 160
        assert "\n" not in answer.text
        assert "set-cookie" not in answer.headers
    for _ in range(15):
        assert send(site, hooked, event(), "whsec_stranger").status_code == 400
    assert send(site, hooked, event(id="evt_after_many_refusals")).status_code == 200
    assert len(site.app.deliveries.recent(hooked, 100)) == len(before) + 1


def test_what_is_too_large_is_not_read(site: Site, hooked: str) -> None:
    """The answer comes although the body never does."""
    at = urlsplit(site.url)
    for head in (b"content-length: 900000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"):
        with socket.create_connection((at.hostname, at.port), timeout=30) as wire:
            wire.sendall(f"POST /webhooks/stripe/{hooked} HTTP/1.1\r\nhost: here\r\nstripe-signature: t=1\r\n".encode())
            wire.sendall(head)
            if b"chunked" in head:
                piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
                for _ in range(MOST_BYTES // 0x10000 + 1):
                    wire.sendall(piece)
            assert wire.recv(100).startswith(b"HTTP/1.1 413")


def test_a_session_and_a_forms_token_are_worth_nothing_here(site: Site, hooked: str, ada: Person) -> None:
    with site.client(ada) as client:
        token = csrf_of(client.get("/profile").text)
        answer = client.post(f"/webhooks/stripe/{hooked}", data={"_csrf": token})
        assert answer.status_code == 400
        assert client.get(f"/webhooks/stripe/{hooked}").status_code == 405


def test_the_simulator_delivers_whatever_befalls_it_and_each_event_is_here_once(
    site: Site, simulator_factory: Callable[..., Simulator]
) -> None:
    sim = simulator_factory(objects=300, test_objects=200)
    join(site, "whole", sim.account)
    id, secret = sim.add_webhook(address(site.app.settings, "whole"))
    sim.retry_webhooks(*[0.1] * 30)
    sim.create("customer", {"name": "Before the secret is stored"})
    site.app.signing.add(None, "whole", secret)
    (first,) = came(site, "whole", 1)
    assert first.event_type == "customer.created"
    for kind in ("doubled", "reordered", "forged", "old"):
        sim.disturb_webhooks(kind)
    sim.disturb_webhooks("delayed", seconds=0.3)
    for number in range(6):
        sim.create("customer", {"name": f"Customer {number}"})
    came(site, "whole", 7, times=8)
    rolled = sim.roll_webhook(id)
    sim.create("customer", {"name": "While it rolls"})
    came(site, "whole", 8)
    site.app.signing.add(None, "whole", rolled)
    sim.expire_webhook(id)
    sim.create("customer", {"name": "After it rolled"})
    seen = came(site, "whole", 9)
    events = {id for id, content in sim.contents("events").items() if content["type"] == "customer.created"}
    assert {one.event_id for one in seen} <= events
    assert len(seen) == 9
    assert not any(one.event_id.startswith("evt_forged") for one in seen)
    kinds = [kind for _, _, kind in sim.webhook_attempts(id)]
    assert (kinds.count("forged"), kinds.count("old")) == (1, 1)
    assert {status for _, status, kind in sim.webhook_attempts(id) if kind != "true"} == {400}
    bodies = [json.loads(one.body)["data"]["object"]["name"] for one in site.app.deliveries.take("whole", 100)]
    assert sorted(bodies)[:3] == ["After it rolled", "Before the secret is stored", "Customer 0"]


def test_a_platforms_webhook_feeds_the_connections_of_its_accounts(
    site: Site, simulator_factory: Callable[..., Simulator]
) -> None:
    sim = simulator_factory(objects=300, test_objects=200, connected=2)
    one, other = list(sim.connected())
    join(site, "platform", sim.platform)
    join(site, "child", one, "platform")
    _, secret = sim.add_webhook(address(site.app.settings, "platform"), account=sim.platform, connect=True)
    site.app.signing.add(None, "platform", secret)
    sim.create("customer", {"name": "Of the child"}, account=one)
    sim.create("customer", {"name": "Of a stranger"}, account=other)
    assert [event.state for event in came(site, "child", 1)] == ["waiting"]
    assert [event.state for event in came(site, "platform", 1)] == ["ignored"]


# The page


@pytest.fixture
def member(site: Site, ada: Person) -> Iterator[httpx2.Client]:
    with site.client(site.joined(ada, "standard")) as client:
        yield client


def test_only_administrators_see_and_change_it(site: Site, hooked: str, member: httpx2.Client) -> None:
    token = csrf_of(member.get("/profile").text)
    at = f"/admin/connections/{hooked}/webhook"
    (secret,) = site.app.signing.all(hooked)
    assert member.get(at).status_code == 403
    assert member.post(f"{at}/add", data={"_csrf": token, "secret": SECRET + "2"}).status_code == 403
    assert member.post(f"{at}/{secret.id}/remove", data={"_csrf": token}).status_code == 403
    assert site.app.signing.all(hooked) == (secret,)


def test_no_secret_is_ever_shown(site: Site, ada: Person, hooked: str) -> None:
    at = f"/admin/connections/{hooked}/webhook"
    with site.client(ada) as client:
        page = client.get(at)
        assert SECRET not in page.text
        assert f"whsec_…{SECRET[-4:]}" in page.text
        answer = client.post(f"{at}/add", data={"_csrf": csrf_of(page.text), "secret": "rk_live_wrong0123456789"})
        assert answer.status_code == 422
        assert "rk_live_wrong" not in answer.text
        values = client.get(at, headers={"accept": "application/json"})
        assert SECRET not in values.text
        assert values.json()["url"] == f"{site.url}/webhooks/stripe/{hooked}"
        assert client.get("/admin/connections/nobody/webhook").status_code == 404


def test_the_page_says_what_was_let_go(site: Site, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takings.connections.webhooks.MOST_WAITING", 2)
    join(site, "paused", "acct_paused")
    site.app.signing.add(None, "paused", SECRET)
    for number in range(3):
        assert send(site, "paused", event(id=f"evt_{number}")).status_code == 200
    with site.client(ada) as client:
        page = client.get("/admin/connections/paused/webhook").text
    assert "1 event was let go" in page and "Nothing is missing" in page
    assert "2 events wait to be taken up" in page


@pytest.mark.browser
def test_an_administrator_sets_one_up(site: Site, look: Callable[..., Look]) -> None:
    join(site, "fresh", "acct_fresh")
    ada = site.app.people.authenticate("ada@example.com", PASSWORD)
    window = look(ada)
    page = window.at("/admin/connections/fresh")
    page.get_by_role("link", name="Webhook", exact=True).click()
    expect(page.get_by_role("heading", name="Webhook of Aurore fresh")).to_be_visible()
    expect(page.get_by_label("paste this address")).to_have_value(f"{site.url}/webhooks/stripe/fresh")
    expect(page.get_by_text("Nothing is accepted until")).to_be_visible()
    page.get_by_label("New signing secret").fill("we_not_a_secret")
    page.get_by_role("button", name="Add the secret").click()
    expect(page.get_by_text("A signing secret begins with whsec_")).to_be_visible()
    page.get_by_label("New signing secret").fill(SECRET)
    page.get_by_role("button", name="Add the secret").click()
    expect(page.get_by_text("whsec_…mnop")).to_be_visible()
    for id in ("evt_1", "evt_2", "evt_2"):
        assert send(site, "fresh", event(id=id)).status_code == 200
    assert send(site, "fresh", event(id="evt_3", livemode=False)).status_code == 200
    site.app.deliveries.handled(one.id for one in site.app.deliveries.take("fresh", 1))
    window.at("/admin/connections/fresh/webhook")
    rows = page.get_by_role("row").filter(has_text="charge.refunded")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="evt_2")).to_contain_text("Waiting")
    expect(rows.filter(has_text="evt_2").get_by_role("cell").last).to_have_text("2")
    expect(rows.filter(has_text="evt_3")).to_contain_text("Ignored")
    assert page.get_by_role("link", name="evt_1").get_attribute("href") == "https://dashboard.stripe.com/events/evt_1"
    for locale, theme, width in (("en", "dark", 375), ("fr", "light", 375)):
        narrow = look(ada, locale=locale, theme=theme, width=width)
        narrow.at("/admin/connections/fresh/webhook")
        assert narrow.violations() == []
        assert not narrow.is_too_wide()
        assert narrow.troubles == []
    site.app.people.set_preferences(ada, locale="en")
    page.get_by_role("button", name="Remove the secret that ends in mnop").click()
    expect(page.get_by_text("nothing signed with it is accepted any more")).to_be_visible()
    assert send(site, "fresh", event(id="evt_4")).status_code == 400
    assert window.troubles == []
