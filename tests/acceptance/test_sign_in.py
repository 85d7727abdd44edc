"""Signing in and out, sessions that change their token, language and theme, one's own profile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from takings.accounts import Person
from takings.accounts.people import FREE_TRIES

from .conftest import PASSWORD, Look, Site, as_json, csrf_of


@pytest.mark.browser
def test_signing_in_leads_where_one_wanted_to_go(look: Callable[..., Look], site: Site, ada: Person) -> None:
    window = look()
    page = window.at("/admin/people?x=1")
    expect(page).to_have_url(f"{site.url}/sign-in?next=/admin/people%3Fx%3D1")
    page.fill("[name=email]", "ada@example.com")
    page.fill("[name=password]", "wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is not right.")
    expect(page.locator("[name=email]")).to_have_value("ada@example.com")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.url}/admin/people?x=1")
    cookies = {one["name"]: one for one in window.context.cookies()}
    session = cookies["takings_session"]
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    page.get_by_text("Account of Ada Lovelace").locator("..").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{site.url}/sign-in")
    assert site.app.sessions.who(session["value"]) is None
    assert window.troubles == []


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_language_and_theme_change_with_and_without_scripts(
    look: Callable[..., Look], site: Site, ada: Person, javascript: bool
) -> None:
    page = look(ada, javascript=javascript).at("/profile")
    root = page.locator("html")
    page.get_by_text("Language and theme").locator("..").click()
    page.get_by_role("button", name="Français").click()
    expect(root).to_have_attribute("lang", "fr")
    expect(page).to_have_url(site.url + "/profile")
    page.get_by_text("Langue et thème").locator("..").click()
    page.get_by_role("button", name="Sombre").click()
    expect(root).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 22, 21)"
    site.app.people.set_preferences(ada, locale="en", theme="auto")


def test_a_stranger_chooses_a_language_for_this_browser(site: Site) -> None:
    with site.client() as client:
        token = csrf_of(client.get("/sign-in").text)
        sent = {"_csrf": token, "locale": "fr", "next": "/sign-in"}
        assert client.post("/preferences", data=sent).headers["location"] == "/sign-in"
        assert "Se connecter" in client.get("/sign-in").text


def test_a_session_known_before_signing_in_is_worth_nothing_after(site: Site, ada: Person) -> None:
    with site.client() as client:
        client.cookies.set("takings_session", "planted")
        page = client.get("/sign-in")
        sent = {"_csrf": csrf_of(page.text), "email": "ada@example.com", "password": PASSWORD}
        answer = client.post("/sign-in", data=sent)
        token = answer.cookies["takings_session"]
    assert token != "planted"
    assert site.app.sessions.who("planted") is None
    with site.client(ada) as client:
        before = client.cookies["takings_session"]
        sent = {"_csrf": csrf_of(client.get("/profile").text), "email": "ada@example.com", "password": PASSWORD}
        after = client.post("/sign-in", data=sent).cookies["takings_session"]
    assert after != before
    assert site.app.sessions.who(before) is None


def test_a_new_password_closes_all_other_sessions_and_rotates_this_one(make_site: Callable[..., Site]) -> None:
    site = make_site()
    ada = site.administrator()
    elsewhere = site.app.sessions.open(ada)
    with site.client(ada) as client:
        before = client.cookies["takings_session"]
        sent = {"_csrf": csrf_of(client.get("/profile").text), "present": PASSWORD, "new": "another good password"}
        answer = client.post("/profile/password", data=sent)
        after = answer.cookies["takings_session"]
        client.cookies.clear()
        client.cookies.set("takings_session", after)
        assert client.get("/profile").status_code == 200
    assert site.app.sessions.who(elsewhere) is None
    assert site.app.sessions.who(before) is None
    assert site.app.people.authenticate("ada@example.com", "another good password").id == ada.id


def test_many_wrong_passwords_lock_the_account_and_say_for_how_long(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.administrator()
    with site.client() as client:
        token = csrf_of(client.get("/sign-in").text)
        sent = {"_csrf": token, "email": "ada@example.com", "password": "wrong"}
        for _ in range(FREE_TRIES):
            assert client.post("/sign-in", data=sent).status_code == 422
        locked = client.post("/sign-in", data={**sent, "password": PASSWORD})
        assert locked.status_code == 403
        assert "Try again in 1 min." in locked.text


def test_one_address_may_try_twenty_times_a_minute(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.administrator()
    with site.client() as client:
        token = csrf_of(client.get("/sign-in").text)
        answers = [
            client.post("/sign-in", data={"_csrf": token, "email": f"{n}@example.com", "password": "wrong"})
            for n in range(21)
        ]
        assert [answer.status_code for answer in answers] == [422] * 20 + [429]
        assert answers[-1].headers["retry-after"] == "60"
        assert "Too many attempts" in answers[-1].text


def test_where_one_is_signed_in_is_listed_and_closed(make_site: Callable[..., Site]) -> None:
    site = make_site()
    ada = site.administrator()
    other = site.app.sessions.open(ada, "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0")
    with site.client(ada) as client:
        places = as_json(client, "/profile")["places"]
        assert sorted((place["browser"], place["is_here"]) for place in places)[0] == ("Firefox, Windows", False)
        (named,) = [place["session"]["id"] for place in places if not place["is_here"]]
        client.post(f"/profile/sessions/{named}/close", data={"_csrf": csrf_of(client.get("/profile").text)})
        assert len(as_json(client, "/profile")["places"]) == 1
    assert site.app.sessions.who(other) is None


def test_tokens_and_hashes_are_in_no_page(site: Site, ada: Person) -> None:
    with site.client(ada) as client:
        token = client.cookies["takings_session"]
        for path in ("/profile", "/admin/people"):
            for accept in ("text/html", "application/json"):
                text = client.get(path, headers={"accept": accept}).text
                assert token not in text
                assert "argon2" not in text
