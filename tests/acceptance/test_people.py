"""Admin > People in a real browser: invite by link, join, change role, disable."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from structlog.testing import capture_logs

from takings.accounts import Person

from .conftest import PASSWORD, Look, Site, as_json, csrf_of

pytestmark = pytest.mark.browser


def test_an_invited_person_joins_by_the_link(look: Callable[..., Look], site: Site, ada: Person) -> None:
    admin = look(ada)
    page = admin.at("/admin/people")
    page.get_by_label("E-mail address").fill("grace@example.com")
    page.get_by_label("Role", exact=True).select_option("read_only")
    page.get_by_role("button", name="Create the link").click()
    link = page.get_by_label("Invitation link").input_value()
    assert link.startswith(site.url + "/invitation/")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    page.goto(site.url + "/admin/people")
    expect(page.get_by_label("Invitation link")).to_have_count(0)
    expect(page.get_by_role("cell", name="grace@example.com").or_(page.get_by_role("rowheader"))).not_to_have_count(0)

    guest = look(locale="fr")
    page = guest.at(link.removeprefix(site.url))
    expect(page.get_by_role("heading", level=1)).to_have_text("Rejoindre Bakery & Sons")
    page.fill("[name=name]", "Grace Hopper")
    page.fill("[name=password]", "tropcourt")
    page.evaluate("document.querySelector('[name=password]').removeAttribute('minlength')")
    page.get_by_role("button", name="Créer mon compte").click()
    expect(page.get_by_role("alert")).to_contain_text("au moins 12 caractères")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Créer mon compte").click()
    expect(page.get_by_role("status").first).to_contain_text("Votre compte est prêt.")
    expect(page.get_by_role("navigation", name="Principale").get_by_role("link")).to_have_text(
        ["Accueil", "Fin de mois", "Tableaux de bord"]
    )
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cette invitation n’est pas valable")
    assert guest.troubles == []
    assert admin.troubles == []


def test_a_role_changes_at_once_and_the_last_administrator_stays(
    look: Callable[..., Look], site: Site, ada: Person
) -> None:
    alan = site.joined(ada, "standard")
    window = look(ada)
    page = window.at("/admin/people")
    page.get_by_label(f"Role of {alan.name}").select_option("read_only")
    expect(page.locator("#banners")).to_contain_text("The role was changed")
    assert next(one for one in site.app.people.list(ada) if one.id == alan.id).role == "read_only"
    page.get_by_label("Role of Ada Lovelace").select_option("standard")
    expect(page.get_by_role("alert")).to_contain_text("This is the last administrator")
    page.goto(site.url + "/admin/people")
    expect(page.locator("#banners")).to_be_hidden()


def test_disabling_asks_first_and_ends_every_session(look: Callable[..., Look], site: Site, ada: Person) -> None:
    token = site.app.people.invite(ada, "alan@example.com", "standard")
    alan = site.app.people.accept(token, "Alan Turing", PASSWORD)
    session = site.app.sessions.open(alan)
    page = look(ada).at("/admin/people")
    page.get_by_role("button", name="Disable Alan Turing").click()
    dialog = page.get_by_role("dialog", name="Disable Alan Turing?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert site.app.sessions.who(session) is not None
    page.get_by_role("button", name="Disable Alan Turing").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Enable Alan Turing")).to_be_visible()
    assert site.app.sessions.who(session) is None


def test_an_open_invitation_can_be_revoked(look: Callable[..., Look], site: Site, ada: Person) -> None:
    token = site.app.people.invite(ada, "mary@example.com", "standard")
    page = look(ada).at("/admin/people")
    page.get_by_role("button", name="Revoke the invitation of mary@example.com").click()
    expect(page.get_by_text("mary@example.com")).to_have_count(0)
    with site.client() as client:
        assert client.get(f"/invitation/{token}").status_code == 404


def test_tokens_of_everybody_are_listed_and_can_be_revoked(site: Site, ada: Person) -> None:
    ben = site.joined(ada, "standard", "token-owner")
    token = site.app.tokens.make(ben, "Ben’s warehouse", "read_only")
    with site.client(ada) as page:
        shown = page.get("/admin/people")
        listed = next(one for one in as_json(page, "/admin/people")["tokens"] if one["token"]["owner"] == ben.name)
        assert "Ben’s warehouse" in shown.text and token not in shown.text
        way = f"/admin/people/tokens/{listed['token']['id']}/revoke"
        assert page.post(way, data={"_csrf": csrf_of(shown.text)}).status_code == 303
        assert "Ben’s warehouse" not in page.get("/admin/people").text
    assert site.app.tokens.who(token) is None


def test_an_invitation_link_is_not_written_into_the_log(site: Site, ada: Person) -> None:
    with capture_logs() as logged, site.client() as client:
        client.get("/invitation/unguessable-token-of-somebody")
    (refused,) = [entry for entry in logged if entry["event"] == "web.refused"]
    assert refused["path"] == "/invitation/…"
    assert "unguessable" not in str(logged)


def test_only_administrators_see_the_page(site: Site, ada: Person) -> None:
    token = site.app.people.invite(ada, "eve@example.com", "standard")
    eve = site.app.people.accept(token, "Eve", PASSWORD)
    with site.client(eve) as client:
        assert client.get("/admin/people").status_code == 403
        mine = csrf_of(client.get("/profile").text)
        assert client.post(f"/admin/people/{eve.id}/role", data={"_csrf": mine, "role": "admin"}).status_code == 403
    assert site.app.people.authenticate("eve@example.com", PASSWORD).role == "standard"
