"""Alerts on their page, in the bell and on the home page, by role; channels from form to answer; health and figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from takings.accounts import Person
from takings.store import schema

from .conftest import Look, Site, as_json, csrf_of

MAIL = {
    "name": "Office",
    "locale": "en",
    "host": "127.0.0.1",
    "port": "9",
    "encryption": "none",
    "user": "",
    "password": "",
    "sender": "takings@example.com",
    "recipients": "ada@example.com",
}


@pytest.fixture(scope="module")
def people(site: Site, ada: Person) -> dict[str, Person]:
    return {"admin": ada, "standard": site.joined(ada, "standard"), "read_only": site.joined(ada, "read_only")}


@pytest.fixture
def troubled(site: Site) -> Iterator[Site]:
    """The product with one serious trouble and one warning, both told."""
    now = datetime.now(UTC)
    with site.app.store.write() as db:
        for key, state in (("c1", "reauth"), ("c2", "active")):
            db.execute(
                sa.insert(schema.connections).values(
                    id=key,
                    name={"c1": "Shop", "c2": "Bar"}[key],
                    source="stripe",
                    way="key",
                    account_id=f"acct_{key}",
                    account_name=key,
                    livemode=True,
                    state=state,
                    reason="Stripe refuses the key." if state == "reauth" else None,
                    credentials=site.app.vault.seal({"way": "key", "secret": "x"}),
                    permissions={},
                    created_at=now,
                )
            )
        db.execute(
            sa.insert(schema.list_states).values(
                connection_id="c2",
                list="/v1/charges",
                table_name="charges",
                state="forbidden",
                complete_as_of=now - timedelta(hours=2),
            )
        )
    site.app.alerts.channels.add(None, "mail", MAIL)
    site.app.alerts.watch().look()
    yield site
    with site.app.store.write() as db:
        for table in (schema.connections, schema.channels, schema.alerts):
            db.execute(sa.delete(table))
    site.app.alerts.seen(site.app.people.authenticate("ada@example.com", "correct horse battery"), None)


def test_administrators_and_standard_users_see_alerts_and_others_do_not(
    troubled: Site, people: dict[str, Person]
) -> None:
    with troubled.client(people["admin"]) as client:
        page = as_json(client, "/alerts")
        assert [(one["kind"], one["serious"]) for one in page["open"]] == [("refused", True), ("permission", False)]
        assert page["open"][0]["href"] == "/admin/connections/c1"
        assert page["open"][0]["notices"][0]["answer"] == "Nothing listens on this port."
        home = client.get("/").text
        assert "Stripe refuses the connection “Shop”" in home
        assert "may not read charges" not in home, "a warning waits on its page"
        assert "Alerts: 2 new" in home
    with troubled.client(people["standard"]) as client:
        page = as_json(client, "/alerts")
        assert len(page["open"]) == 2
        assert [(one["href"], one["notices"]) for one in page["open"]] == [(None, [])] * 2
        assert client.get("/admin/alerts").status_code == 403
        assert "/admin/alerts" not in client.get("/alerts").text
    with troubled.client(people["read_only"]) as client:
        assert client.get("/alerts").status_code == 403
        home = client.get("/").text
        assert "refuses the connection" not in home and "/alerts" not in home
        token = csrf_of(client.get("/profile").text)
        assert client.post("/alerts/seen", data={"_csrf": token}).status_code == 403


def test_whoever_has_seen_it_is_named_and_it_is_recalled_no_more(troubled: Site, people: dict[str, Person]) -> None:
    with troubled.client(people["standard"]) as client:
        page = client.get("/alerts").text
        first = as_json(client, "/alerts")["open"][0]["id"]
        assert client.post(f"/alerts/{first}/seen", data={"_csrf": csrf_of(page)}).headers["location"] == "/alerts"
        page = client.get("/alerts").text
        assert "Seen by Standard" in page and "Alerts: 1 new" in page
        assert "refuses the connection" not in client.get("/").text
        assert client.post("/alerts/seen", data={"_csrf": csrf_of(page)}).status_code == 303
        assert as_json(client, "/alerts")["unseen"] == 0
        assert len(as_json(client, "/alerts")["open"]) == 2, "they stand all the same"


def test_only_an_administrator_says_who_is_told(troubled: Site, people: dict[str, Person]) -> None:
    channel = troubled.app.alerts.channels.all()[0].id
    paths = [
        "/admin/alerts/new/mail",
        *(f"/admin/alerts/{channel}{act}" for act in ("", "/test", "/disable", "/delete")),
    ]
    for role in ("standard", "read_only"):
        with troubled.client(people[role]) as client:
            token = csrf_of(client.get("/profile").text)
            assert client.get(f"/admin/alerts/{channel}").status_code == 403
            for path in paths:
                assert client.post(path, data={"_csrf": token, **MAIL}).status_code == 403
    assert [one.disabled_at for one in troubled.app.alerts.channels.all()] == [None]


def test_a_form_that_cannot_be_used_comes_back_with_what_was_entered_but_the_password(
    troubled: Site, people: dict[str, Person]
) -> None:
    with troubled.client(people["admin"]) as client:
        token = csrf_of(client.get("/admin/alerts/new/mail").text)
        wrong = {**MAIL, "name": "Other", "recipients": "ada@example.com, who?", "user": "ada", "password": "hush-hush"}
        answer = client.post("/admin/alerts/new/mail", data={"_csrf": token, **wrong})
        assert answer.status_code == 422
        assert "This is not a mail address" in answer.text and "ada@example.com, who?" in answer.text
        assert "hush-hush" not in answer.text
        assert client.get("/admin/alerts/new/pigeon").status_code == 404
        assert client.get("/admin/alerts/none").status_code == 404


@pytest.fixture
def receiver() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/a-long-secret-path"
    server.shutdown()
    server.server_close()


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "theme"), [("en", "light"), ("fr", "dark")])
def test_a_webhook_is_added_tested_and_deleted_in_a_browser(
    troubled: Site, look: Callable[..., Look], ada: Person, receiver: str, locale: str, theme: str
) -> None:
    window = look(ada, locale=locale, theme=theme)
    page = window.at("/alerts")
    assert window.violations() == []
    page.locator(".page-actions a").click()
    assert window.violations() == []
    page.locator("a[href='/admin/alerts/new/webhook']").click()
    page.fill("[name=name]", "Robot")
    page.fill("[name=url]", receiver)
    assert window.violations() == []
    page.locator("main form button.button-primary").click()
    expect(page.locator("#secret")).to_have_value(troubled.app.alerts.channels.settings(robot(troubled)).secret)  # type: ignore[union-attr]
    assert "a-long-secret-path" not in page.content()
    row = page.get_by_role("row").filter(has_text="Robot")
    row.locator("form[action$='/test'] button").click()
    expect(page.locator(".banner-success .server-answer")).to_have_text("HTTP 202 Accepted")
    expect(page.locator("#secret")).to_have_count(0)
    assert window.violations() == []
    page.get_by_role("row").filter(has_text="Office").locator("form[action$='/test'] button").click()
    said = {"en": "Nothing listens on this port.", "fr": "Rien n’écoute sur ce port."}[locale]
    expect(page.locator(".banner-error .server-answer")).to_have_text(said)
    row.locator("[data-dialog]").click()
    page.get_by_role("dialog").locator("button.button-danger").click()
    expect(page.get_by_role("row").filter(has_text="Robot")).to_have_count(0)
    page.set_viewport_size({"width": 360, "height": 800})
    for path in ("/alerts", "/admin/alerts", "/admin/alerts/new/mail", "/"):
        window.at(path)
        assert not window.is_too_wide(), path
    assert window.troubles == []


def robot(site: Site) -> str:
    return site.app.alerts.channels.named("Robot").id


# -- for machines


@pytest.fixture(scope="module")
def counted(make_site: Callable[..., Site]) -> Site:
    """A product that is not set up, and gives figures against a token."""
    return make_site(metrics="on", metrics_token="token-of-prometheus")


def test_health_is_told_to_anybody_even_before_the_set_up(counted: Site) -> None:
    with counted.client() as client:
        well = client.get("/healthz")
        assert (well.status_code, well.json()) == (200, {"status": "ok"})
        assert well.headers["cache-control"] == "no-store"
        assert "set-cookie" not in well.headers


def test_figures_are_off_until_switched_on_and_ask_for_their_token(site: Site, counted: Site) -> None:
    with site.client() as client:
        assert client.get("/metrics").status_code == 404
    with counted.client() as client:
        for sent in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic token-of-prometheus"}):
            refused = client.get("/metrics", headers=sent)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert "takings_" not in refused.text
        given = client.get("/metrics", headers={"authorization": "Bearer token-of-prometheus"})
        assert given.status_code == 200
        assert given.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'takings_alerts_open{kind="worker"} 0.0' in given.text
        assert "process_resident_memory_bytes" in given.text
