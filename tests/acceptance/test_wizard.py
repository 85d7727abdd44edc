"""The first run in a real browser: every way leads to the wizard, and the wizard into the product."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import Page, expect

from takings.accounts import SetupToken, company

from .conftest import PASSWORD, Look, Site, csrf_of

pytestmark = pytest.mark.browser


def fill(page: Page, **changes: str) -> None:
    values = {"name": "Ada Lovelace", "email": "ada@example.com", "password": PASSWORD, "company": "Bakery & Sons"}
    for name, value in {**values, **changes}.items():
        page.fill(f"[name={name}]", value)


@pytest.mark.parametrize("path", ["/", "/sign-in", "/admin/people", "/tables", "/profile"])
def test_before_the_set_up_every_page_leads_to_it(make_site: Callable[..., Site], path: str) -> None:
    site = make_site()
    with site.client() as client:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/setup")


def test_a_french_browser_sets_the_product_up_in_french(
    make_site: Callable[..., Site], look: Callable[..., Look]
) -> None:
    site = make_site()
    window = look(on=site, locale="fr")
    window.context.clear_cookies()
    page = window.at("/")
    expect(page).to_have_title("Configurer Takings · Takings")
    expect(page.locator("[name=time_zone]")).to_have_value("Europe/Paris")
    expect(page.locator("[name=currency]")).to_have_value("eur")
    expect(page.locator("[name=token]")).to_have_count(0)
    fill(page)
    page.get_by_role("button", name="Créer l’administrateur").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bienvenue, Ada Lovelace")
    expect(page.get_by_text("Se connecter avec Stripe")).to_be_visible()
    firm = company(site.app.store)
    assert firm is not None
    assert (firm.name, firm.locale, firm.time_zone, firm.currency) == ("Bakery & Sons", "fr", "Europe/Paris", "eur")
    page.get_by_role("link", name="Se connecter avec Stripe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Autorisation Stripe")
    page.goto(site.url + "/setup")
    expect(page).to_have_url(site.url + "/")
    assert window.troubles == []


def test_a_mistake_is_named_and_what_was_typed_stays(make_site: Callable[..., Site], look: Callable[..., Look]) -> None:
    site = make_site()
    page = look(on=site).at("/setup")
    fill(page, password="ada@example.com")
    page.select_option("[name=time_zone]", "Asia/Tokyo")
    page.get_by_role("button", name="Create the administrator").click()
    expect(page.get_by_role("alert")).to_contain_text("The password cannot be the e-mail address")
    expect(page.locator("[name=company]")).to_have_value("Bakery & Sons")
    expect(page.locator("[name=time_zone]")).to_have_value("Asia/Tokyo")
    expect(page.locator("[name=password]")).to_have_value("")
    assert not site.app.people.is_set_up()


def over_the_network(site: Site) -> httpx2.Client:
    return httpx2.Client(base_url=site.url, headers={"accept": "text/html", "x-forwarded-for": "203.0.113.9"})


def sent(client: httpx2.Client, **changes: str) -> httpx2.Response:
    values = {
        "_csrf": csrf_of(client.get("/setup").text),
        "name": "Mallory",
        "email": "mallory@example.com",
        "password": PASSWORD,
        "company": "M",
        "locale": "en",
        "time_zone": "UTC",
        "currency": "usd",
    }
    return client.post("/setup", data={**values, **changes})


def test_over_the_network_the_set_up_needs_the_code_from_the_terminal(make_site: Callable[..., Site]) -> None:
    site = make_site()
    code = SetupToken(site.app.settings.home).issue()
    with over_the_network(site) as client:
        assert 'name="token"' in client.get("/setup").text
        for wrong in ("", "x", code[:-1]):
            assert sent(client, token=wrong).status_code == 403
        assert not site.app.people.is_set_up()
        assert sent(client, token=code).headers["location"] == "/welcome"
    assert not SetupToken(site.app.settings.home).matches(code)


def test_a_name_that_leads_to_the_machine_from_elsewhere_is_the_network(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with httpx2.Client(base_url=site.url, headers={"accept": "text/html", "host": "rebound.example"}) as client:
        assert sent(client).status_code == 403


def test_the_code_in_the_link_fills_the_form_and_leaves_the_address(
    make_site: Callable[..., Site], look: Callable[..., Look]
) -> None:
    site = make_site(base_url="https://takings.example.com")
    code = SetupToken(site.app.settings.home).issue()
    page = look(on=site).at(f"/setup#token={code}")
    expect(page.locator("[name=token]")).to_have_value(code)
    expect(page).to_have_url(site.url + "/setup")


def test_the_set_up_happens_once(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.client() as client, site.client() as thief:
        token = csrf_of(thief.get("/setup").text)
        assert sent(client, email="ada@example.com").status_code == 303
        late = thief.post("/setup", data={"_csrf": token, "email": "thief@example.com", "password": PASSWORD})
        assert (late.status_code, late.headers["location"]) == (303, "/")
    with pytest.raises(Exception, match="not right"):
        site.app.people.authenticate("thief@example.com", PASSWORD)
