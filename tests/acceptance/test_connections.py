"""Connecting Stripe in a real browser: the whole path, every refusal on it, and what can be done afterwards."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from takings.accounts import Person
from takings.simulator import Simulator
from takings.words import Words

from .conftest import PASSWORD, Look, Site, csrf_of

pytestmark = pytest.mark.browser

LOAD_MS = 120_000


def settings_for(simulator: Simulator, **which: bool) -> dict[str, str]:
    """Return the settings that make a product use a simulated Stripe."""
    found = simulator.environ(**which)
    return {name.removeprefix("TAKINGS_").lower(): value for name, value in found.items()}


@dataclass
class Shots:
    """Pictures for people to look at, taken where ``SCREENSHOTS`` names a folder."""

    prefix: str
    taken: int = 0

    def take(self, page: Page, name: str) -> None:
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.taken += 1
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=Path(folder) / f"{self.prefix}-{self.taken:02d}-{name}.png", full_page=True)


@pytest.fixture
def working(make_site: Callable[..., Site]) -> Iterator[Callable[..., Site]]:
    """Start products that synchronise: server and worker; they stop when the test ends."""
    with ExitStack() as running:

        def start(simulator: Simulator, **which: bool) -> Site:
            site = make_site(**settings_for(simulator, **which))
            site.administrator()
            stop = threading.Event()
            thread = threading.Thread(target=site.app.worker().run, args=(stop,))
            thread.start()
            running.callback(thread.join, 30)
            running.callback(stop.set)
            return site

        yield start


def admin_of(site: Site) -> Person:
    return site.app.people.authenticate("ada@example.com", PASSWORD)


def check(window: Look) -> None:
    """The page is fit to be used by everybody, and nothing went wrong in it."""
    assert window.violations() == []
    assert not window.is_too_wide()
    assert window.troubles == []


def consent(page: Page, simulator: Simulator, decision: str = "connect") -> None:
    """Sign in at the simulated Stripe and decide."""
    page.wait_for_url(f"{simulator.api_base}/oauth/**")
    page.get_by_role("button").first.click()
    page.locator("#email").fill(simulator.email)
    page.locator("#password").fill(simulator.password)
    page.get_by_role("button").first.click()
    page.locator(f"button[value={decision}]").click()


def wait_until_loaded(site: Site, connection_id: str | None = None) -> None:
    """Wait until a first load is complete."""
    found = connection_id or site.app.connections.all()[0].id
    for _ in range(LOAD_MS // 200):
        if site.app.connections.get(found).last_sync_at is not None:
            return
        threading.Event().wait(0.2)
    raise AssertionError("the first load did not end")


@pytest.mark.parametrize(
    ("locale", "theme", "way"), [("en", "light", "app_oauth"), ("fr", "dark", "connect_oauth"), ("fr", "light", "key")]
)
def test_the_whole_path(
    simulator: Simulator,
    working: Callable[..., Site],
    look: Callable[..., Look],
    locale: str,
    theme: str,
    way: str,
) -> None:
    site = working(simulator)
    site.app.people.set_preferences(admin_of(site), locale=locale, theme="auto")
    window, shots, w = (
        look(on=site, locale=locale, theme=theme),
        Shots(f"{locale}-{theme}-{way}"),
        Words(locale, "Europe/Paris"),
    )
    page = window.at("/sign-in?next=/admin/connections")
    page.get_by_label(w("web.email")).fill("ada@example.com")
    page.get_by_label(w("web.password"), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=w("web.sign_in")).click()

    page.wait_for_url("**/admin/connections")
    expect(page.get_by_role("heading", level=1)).to_have_text(w("connections.title"))
    check(window)
    shots.take(page, "empty")
    page.get_by_role("link", name=w("connections.add")).click()

    page.wait_for_url("**/admin/connections/new")
    check(window)
    shots.take(page, "sources")
    page.get_by_role("link", name="Stripe").click()

    expect(page.get_by_role("heading", level=1)).to_have_text(w("connections.authorization"))
    for offered in ("key", "app_oauth", "connect_oauth"):
        expect(page.get_by_text(w(f"connections.way_{offered}_text"))).to_be_visible()
    page.locator(f"input[name=way][value={way}]").check()
    check(window)
    shots.take(page, "authorization")
    if way == "key":
        page.locator("#f-key").fill(simulator.live_key)
        assert page.locator("#f-key").get_attribute("type") == "password"
        assert page.locator("#f-key").get_attribute("autocomplete") == "off"
    page.get_by_role("button", name=w("connections.connect")).click()
    if way != "key":
        consent(page, simulator)

    page.wait_for_url("**/admin/connections/pending/*")
    expect(page.get_by_role("heading", level=1)).to_have_text(w("connections.confirm_title"), timeout=60_000)
    expect(page.get_by_text(simulator.account)).to_be_visible(timeout=60_000)
    expect(page.get_by_text(w("connections.mode_live"))).to_be_visible()
    assert "code=" not in page.url
    assert simulator.live_key not in page.content()
    page.locator("input[name=history][value=date]").check()
    expect(page.locator("#f-day")).to_be_visible()
    page.locator("input[name=history][value=all]").check()
    page.get_by_text(w("connections.reads_all")).click()
    check(window)
    shots.take(page, "confirm")
    simulator.limits(latency_ms=300)  # time to look at the progress
    page.get_by_role("button", name=w("connections.yes")).click()

    page.wait_for_url("**/admin/connections")
    expect(page.locator("#banners")).to_contain_text(w("connections.successful"))
    expect(page.locator("tbody tr")).to_have_count(1)
    check(window)
    shots.take(page, "successful")
    page.locator("tbody th a").click()

    running = page.locator("table.live tr").filter(
        has_text=re.compile(w("connections.list_running") + "|" + w("connections.list_read"))
    )
    expect(running.first).to_be_visible(timeout=LOAD_MS)  # told by the stream
    page.reload()
    expect(running.first).to_be_visible(timeout=LOAD_MS)
    check(window)
    shots.take(page, "progress")
    simulator.limits(latency_ms=0)
    charges = page.locator(".tall tr", has=page.locator("code", has_text=re.compile("^charges$")))
    expect(charges).to_contain_text(w("connections.list_complete"), timeout=LOAD_MS)  # no reload
    expect(page.locator("#badges")).to_contain_text(w("connections.status_success"), timeout=LOAD_MS)
    check(window)
    shots.take(page, "complete")
    expect(charges).to_contain_text(w.number(simulator.facts()["listed"]["charges"]))
    page.goto(f"{site.url}/admin/connections")
    check(window)
    shots.take(page, "sources-connected")


@pytest.fixture
def quiet(make_site: Callable[..., Site], simulator: Simulator) -> Site:
    """A product that does not synchronise, with the shared simulated Stripe."""
    site = make_site(**settings_for(simulator))
    site.administrator()
    return site


def enter_key(window: Look, key: str, path: str = "/admin/connections/new/stripe") -> Page:
    page = window.at(path)
    page.locator("input[name=way][value=key]").check()
    page.locator("#f-key").fill(key)
    page.get_by_role("button", name=re.compile("Stripe")).click()
    return page


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_what_cannot_be_used_is_told_in_a_sentence(
    simulator: Simulator, quiet: Site, look: Callable[..., Look], locale: str
) -> None:
    w = Words(locale)
    window = look(admin_of(quiet), on=quiet, locale=locale)
    expired = simulator.create_key()
    simulator.expire_key(expired)
    revoked = simulator.create_key()
    simulator.revoke_key(revoked)
    blind = simulator.create_key(permissions=[])
    for key, code in (
        ("", "connections.key_missing"),
        ("hello", "connections.key_form"),
        ("pk_live_51AbCdEfGh", "connections.key_publishable"),
        ("rk_live_51Wrong", "stripe.key_refused"),
        (revoked, "stripe.key_refused"),
        (expired, "stripe.key_expired"),
        (blind, "connections.nothing_readable"),
    ):
        page = enter_key(window, key)
        banner = page.locator(".banner-error")
        expect(banner).to_contain_text(w(f"error.{code}"), timeout=30_000)
        assert not key or key not in page.content()
        assert page.locator("#f-key").input_value() == ""
        check(window)
    Shots(f"{locale}-refused").take(window.page, "blind")
    assert quiet.app.connections.all() == []


def test_stripe_down_and_the_way_on(simulator: Simulator, quiet: Site, look: Callable[..., Look]) -> None:
    window = look(admin_of(quiet), on=quiet)
    simulator.fault("status", status=503, times=10_000)
    page = enter_key(window, simulator.live_key)
    expect(page.locator(".banner-error")).to_contain_text("Stripe does not answer as it should", timeout=60_000)
    simulator.clear_faults()
    page = enter_key(window, simulator.live_key)
    page.wait_for_url("**/pending/*", timeout=60_000)


def test_saying_no_at_stripe_and_a_stale_answer(simulator: Simulator, quiet: Site, look: Callable[..., Look]) -> None:
    w, window = Words("en"), look(admin_of(quiet), on=quiet)
    page = window.at("/admin/connections/new/stripe")
    page.locator("input[name=way][value=app_oauth]").check()
    page.get_by_role("button", name=w("connections.connect")).click()
    consent(page, simulator, "deny")
    page.wait_for_url("**/admin/connections/new/stripe")
    expect(page.locator(".banner-error")).to_contain_text(w("error.oauth.denied"))
    check(window)
    page.goto(f"{quiet.url}/admin/connections/stripe/callback?code=ac_x&state=made-up")
    page.wait_for_url("**/admin/connections/new/stripe")
    expect(page.locator(".banner-error")).to_contain_text(w("error.connections.oauth_state"))


def test_the_answer_of_stripe_counts_once_and_for_one_person(
    simulator: Simulator, quiet: Site, look: Callable[..., Look]
) -> None:
    admin = admin_of(quiet)
    window = look(admin, on=quiet)
    page = window.at("/admin/connections/new/stripe")
    page.locator("input[name=way][value=app_oauth]").check()
    answers: list[str] = []
    page.on("request", lambda sent: answers.append(sent.url) if "/stripe/callback" in sent.url else None)
    page.get_by_role("button", name="Connect with Stripe").click()
    consent(page, simulator)
    page.wait_for_url("**/pending/*")
    path = answers[0].removeprefix(quiet.url)
    with quiet.client(admin) as client:
        again = client.get(path)
        assert (again.status_code, again.headers["location"]) == (303, "/admin/connections/new/stripe")
    other = quiet.joined(admin, "admin")
    page = look(other, on=quiet).at(page.url.removeprefix(quiet.url))
    expect(page.get_by_role("heading", level=1)).to_contain_text("not confirmed within an hour")


def test_the_same_account_twice_leads_to_reauthentication(
    simulator: Simulator, quiet: Site, look: Callable[..., Look]
) -> None:
    w, window = Words("fr"), look(admin_of(quiet), on=quiet, locale="fr")
    page = enter_key(window, simulator.live_key)
    page.get_by_role("button", name=w("connections.yes")).click(timeout=60_000)
    page.wait_for_url("**/admin/connections")
    page = enter_key(window, simulator.create_key())
    expect(page.locator(".banner-error")).to_contain_text("est déjà connecté", timeout=60_000)
    check(window)
    page.locator(".banner-error a").click()
    page.wait_for_url("**/reauthenticate")
    page.locator("input[name=way][value=key]").check()
    page.locator("#f-key").fill(simulator.test_key)
    page.get_by_role("button", name=w("connections.connect")).click()
    expect(page.locator(".banner-error")).to_contain_text("rk_live_", timeout=60_000)
    page.locator("#f-key").fill(simulator.create_key())
    page.get_by_role("button", name=w("connections.connect")).click()
    page.wait_for_url("**/admin/connections", timeout=60_000)
    expect(page.locator("#banners")).to_contain_text(w("connections.successful"))


def test_a_refused_key_asks_for_a_new_one_and_everything_stays(
    simulator_factory: Callable[..., Simulator], working: Callable[..., Site], look: Callable[..., Look]
) -> None:
    stripe = simulator_factory(objects=600)
    site = working(stripe, app=False, connect=False)
    w, window = Words("en"), look(admin_of(site), on=site)
    key = stripe.create_key()
    page = enter_key(window, key)
    page.locator("#f-name").fill("Our shop", timeout=60_000)
    page.locator("input[name=history][value='24']").check()
    page.get_by_role("button", name=w("connections.yes")).click()
    page.wait_for_url("**/admin/connections")
    wait_until_loaded(site)
    before = site.app.connections.all()[0]
    page.locator("tbody th a").click()
    sync_now = page.get_by_role("button", name=w("connections.sync_now"))
    expect(sync_now).to_be_visible()
    stripe.revoke_key(key)  # only now: the worker notices it by itself, too, and then there is nothing to press
    sync_now.click()
    for _ in range(300):
        if site.app.connections.get(before.id).state == "reauth":
            break
        threading.Event().wait(0.2)
    page.goto(f"{site.url}/admin/connections")
    expect(page.locator("tbody")).to_contain_text(w("connections.status_reauth"))
    check(window)
    Shots("en-reauth").take(page, "list")
    page.get_by_role("link", name="Our shop").click()
    page.wait_for_url("**/reauthenticate")
    expect(page.locator(".banner-warning")).to_contain_text(w("error.stripe.key_refused"))
    check(window)
    Shots("en-reauth").take(page, "authorization")
    page.locator("#f-key").fill(stripe.create_key())
    page.get_by_role("button", name=w("connections.connect")).click()
    page.wait_for_url("**/admin/connections", timeout=60_000)
    expect(page.locator("#banners")).to_contain_text(w("connections.successful"))
    after = site.app.connections.get(before.id)
    assert (after.name, after.start_at, after.created_at) == (before.name, before.start_at, before.created_at)
    assert (after.state, after.reason) == ("active", None)


def test_pause_resume_rename_and_both_ways_to_disconnect(
    simulator_factory: Callable[..., Simulator], working: Callable[..., Site], look: Callable[..., Look]
) -> None:
    stripe = simulator_factory(objects=600)
    site = working(stripe)
    w, window = Words("en"), look(admin_of(site), on=site)
    for data in ("keep", "purge"):
        page = enter_key(window, stripe.live_key)
        page.get_by_role("button", name=w("connections.yes")).click(timeout=60_000)
        page.wait_for_url("**/admin/connections")
        wait_until_loaded(site)
        page.locator("tbody th a").click()
        if data == "keep":
            page.get_by_role("button", name=w("connections.pause")).click()
            expect(page.locator(".page-head .badge").first).to_have_text(w("connections.status_paused"))
            check(window)
            page.get_by_role("button", name=w("connections.resume")).click()
            expect(page.get_by_role("button", name=w("connections.pause"))).to_be_visible()
            page.get_by_text(w("connections.rename")).click()
            page.locator("#f-name").fill("The shop")
            page.get_by_role("button", name=w("common.save")).click()
            expect(page.get_by_role("heading", level=1)).to_have_text("The shop")
        page.get_by_role("link", name=w("connections.disconnect")).click()
        expect(page.get_by_role("table")).to_contain_text("charges")
        check(window)
        Shots("en-disconnect").take(page, data)
        page.locator(f"input[name=data][value={data}]").check()
        page.get_by_role("button", name=w("connections.disconnect")).click()
        page.wait_for_url("**/admin/connections")
        expect(page.locator("#banners")).to_contain_text("is disconnected")
        for _ in range(300):
            if not site.app.connections.all():
                break
            threading.Event().wait(0.2)
        left = site.app.warehouse.query("SELECT count(*) FROM stripe.charges").rows[0][0]
        assert (left > 0) is (data == "keep")


def test_sample_data_needs_no_stripe(make_site: Callable[..., Site], look: Callable[..., Look]) -> None:
    site = make_site()
    site.administrator()
    w, window = Words("en"), look(admin_of(site), on=site)
    page = window.at("/admin/connections/new")
    page.get_by_role("button", name=w("connections.source_sample")).click()
    page.get_by_role("button", name=w("connections.yes")).click(timeout=90_000)
    page.wait_for_url("**/admin/connections")
    expect(page.locator("tbody")).to_contain_text("Sample data")
    check(window)
    assert site.app.connections.all()[0].source == "sample"


def test_without_scripts_a_key_can_be_given_all_the_same(
    simulator: Simulator, quiet: Site, look: Callable[..., Look]
) -> None:
    window = look(admin_of(quiet), on=quiet, javascript=False)
    page = enter_key(window, simulator.live_key)
    page.wait_for_url("**/pending/*", timeout=60_000)
    page.locator("form button").filter(has_text="Yes").click()
    page.wait_for_url("**/admin/connections")
    assert "Connection Successful!" in page.content()


def test_narrow_screens(simulator: Simulator, quiet: Site, look: Callable[..., Look]) -> None:
    window = look(admin_of(quiet), on=quiet, width=390)
    page = enter_key(window, simulator.live_key)
    page.wait_for_url("**/pending/*", timeout=60_000)
    check(window)
    Shots("narrow").take(page, "confirm")
    page.get_by_role("button", name="Yes").click()
    page.wait_for_url("**/admin/connections")
    check(window)
    Shots("narrow").take(page, "list")
    for path in ("/new", "/new/stripe", f"/{quiet.app.connections.all()[0].id}"):
        window.at(f"/admin/connections{path}")
        check(window)


@pytest.mark.parametrize("role", ["standard", "read_only"])
def test_others_see_no_menu_and_are_refused(quiet: Site, role: str) -> None:
    person: Any = quiet.joined(admin_of(quiet), role)
    with quiet.client(person) as client:
        token = csrf_of(client.get("/profile").text)
        assert "/admin/connections" not in client.get("/profile").text
        for path in ("", "/new", "/new/stripe", "/none", "/none/reauthenticate", "/none/disconnect", "/pending/none"):
            assert client.get(f"/admin/connections{path}").status_code == 403
        for path in ("/new/stripe", "/new/sample", "/none/pause", "/none/sync", "/none/disconnect", "/pending/none"):
            assert client.post(f"/admin/connections{path}", data={"_csrf": token}).status_code == 403
    with quiet.client() as stranger:
        assert stranger.get("/admin/connections").headers["location"].startswith("/sign-in")
        assert stranger.post("/admin/connections/new/stripe").status_code in (401, 403)
