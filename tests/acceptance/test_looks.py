"""Each page in both languages and themes, wide and narrow: nothing axe finds, nothing sideways, nothing refused, light."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from takings.accounts import Person
from takings.web.pages.help import chapters

from .conftest import Look, Site, cold_bytes

pytestmark = pytest.mark.browser

MINE = (
    "/",
    "/dashboards",
    "/dashboards/payments",
    "/tables",
    "/tables/charges",
    "/sql",
    "/profile",
    "/welcome",
    "/admin/company",
    "/admin/people",
    "/no/such/page",
)
CONNECTING = ("/admin/connections", "/admin/connections/new", "/admin/connections/new/stripe")
STRANGERS = ("/sign-in", "/help")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_pages_are_accessible(look: Callable[..., Look], ada: Person, locale: str, theme: str) -> None:
    wrong: dict[str, object] = {}
    for person, paths in ((ada, MINE + CONNECTING), (None, STRANGERS)):
        window = look(person, locale=locale, theme=theme)
        for path in paths:
            page = window.at(path)
            assert page.locator("html").get_attribute("lang") == locale
            for menu in page.locator("details.menu > summary").all():
                menu.click()
            if found := window.violations():
                wrong[path] = found
        assert window.troubles == []
    assert wrong == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_wizard_and_an_invitation_are_accessible(
    make_site: Callable[..., Site], look: Callable[..., Look], site: Site, ada: Person, locale: str, theme: str
) -> None:
    window = look(on=make_site(), locale=locale, theme=theme)
    window.at("/setup")
    assert window.violations() == []
    assert window.troubles == []
    window = look(locale=locale, theme=theme)
    window.at(f"/invitation/{site.app.people.invite(ada, 'guest@example.com', 'standard')}")
    assert window.violations() == []


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_manual_is_accessible(look: Callable[..., Look], ada: Person, locale: str) -> None:
    window = look(ada, locale=locale)
    wrong = {}
    for chapter in chapters(locale):
        window.at(f"/help/{chapter.slug}")
        if found := window.violations():
            wrong[chapter.slug] = found
    assert wrong == {}


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_no_page_scrolls_sideways(look: Callable[..., Look], ada: Person, locale: str, width: int) -> None:
    window = look(ada, locale=locale, width=width)
    paths = MINE + CONNECTING + STRANGERS + tuple(f"/help/{one.slug}" for one in chapters(locale))
    assert [path for path in paths if window.at(path) and window.is_too_wide()] == []


@pytest.mark.parametrize("path", [*MINE, *CONNECTING, "/help"])
def test_a_cold_page_weighs_less_than_250_kb(look: Callable[..., Look], ada: Person, path: str) -> None:
    assert cold_bytes(look(ada), path) <= 250_000


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(look: Callable[..., Look], ada: Person) -> None:
    page = look(ada).at("/profile")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "name"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_menu_closes_on_escape_and_gives_the_focus_back(look: Callable[..., Look], ada: Person) -> None:
    page = look(ada).at("/profile")
    admin = page.locator("summary", has_text="Admin")
    admin.click()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert page.locator("details.menu[open]").count() == 0
    assert page.evaluate("document.activeElement.textContent.trim()") == "Admin"
