"""The chart island in a real browser: it draws under the strict policy, follows theme and locale, and leads to rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, Route, expect

from takings.web.chart import Chart, Series
from takings.web.context import Reader
from takings.web.security import content_policy
from takings.web.server import environment
from takings.words import Words

from .conftest import Look, Site

pytestmark = pytest.mark.browser

PAGE = """
{% extends "base.html.j2" %}
{% from "macros/ui.html.j2" import chart with context %}
{% block title %}Chart{% endblock %}
{% block main %}<h1>Chart</h1>{{ chart(page) }}{% endblock %}
"""


def drawn(look: Callable[..., Look], site: Site, locale: str, theme: str) -> tuple[Look, Page]:
    """Show a page with one chart: three months, a point of which leads to the manual."""
    made = Chart(
        label="Payments by month",
        points=("2026-01-01", "2026-02-01", "2026-03-01"),
        grain="month",
        unit="money",
        currency="eur",
        series=(
            Series(
                name="Gross",
                values=(1_234_567, 2_000_000, None),
                tone="gross",
                hrefs=("/help/start", "/help/home", None),
            ),
            Series(name="Refunds", values=(-100_000, -50_000, 0), tone="refunds", shape="line"),
        ),
    )
    reader = Reader(
        person=None,
        company=None,
        words=Words(locale),
        theme="auto",
        csrf="0",
        path="/chart",
        here="/chart",
        now=datetime(2026, 4, 1, tzinfo=UTC),
    )
    html = environment().from_string(PAGE).render(page=made, reader=reader, w=reader.words)
    window = look(locale=locale, theme=theme)

    def answer(route: Route) -> None:
        policy = content_policy(site.app.settings)
        route.fulfill(body=html, content_type="text/html", headers={"content-security-policy": policy})

    window.page.route("**/chart", answer)
    page = window.at("/chart")
    page.wait_for_selector("takings-chart[data-drawn]")
    return window, page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_a_chart_draws_under_the_strict_policy_and_is_accessible(
    look: Callable[..., Look], site: Site, locale: str, theme: str
) -> None:
    window, page = drawn(look, site, locale, theme)
    colours = page.evaluate(
        """() => { const c = document.querySelector('takings-chart canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data, seen = new Set();
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255) seen.add(`${d[i]},${d[i + 1]},${d[i + 2]}`);
        return [...seen]; }"""
    )
    assert {"light": "43,108,184", "dark": "106,168,236"}[theme] in colours
    assert window.violations() == []
    assert window.troubles == []


def test_the_same_values_stand_in_a_table(look: Callable[..., Look], site: Site) -> None:
    _, page = drawn(look, site, "fr", "light")
    page.get_by_text("Afficher en tableau").click()
    rows = page.locator(".chart-table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("janvier 2026")
    expect(rows.nth(0)).to_contain_text("12\u00a0345,67\u00a0€")
    expect(rows.nth(2).locator("td").nth(0)).to_have_text("–")
    expect(rows.nth(1).get_by_role("link")).to_have_attribute("href", "/help/home")


def test_a_click_on_a_point_leads_to_its_rows(look: Callable[..., Look], site: Site) -> None:
    _, page = drawn(look, site, "en", "light")
    box = page.locator("takings-chart canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(page).to_have_url(site.url + "/help/home")


def test_a_page_may_answer_the_click_itself(look: Callable[..., Look], site: Site) -> None:
    _, page = drawn(look, site, "en", "light")
    page.evaluate(
        "document.addEventListener('takings:point', e => { e.preventDefault(); window.pointed = e.detail.index; })"
    )
    box = page.locator("takings-chart canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
    assert page.evaluate("window.pointed") == 0
    expect(page).to_have_url(site.url + "/chart")


def test_a_name_in_the_legend_hides_its_series(look: Callable[..., Look], site: Site) -> None:
    _, page = drawn(look, site, "en", "light")
    name = page.get_by_role("button", name="Gross")
    expect(name).to_have_attribute("aria-pressed", "true")
    name.click()
    expect(name).to_have_attribute("aria-pressed", "false")
    box = page.locator("takings-chart canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(page).to_have_url(site.url + "/chart")


def test_a_page_without_charts_does_not_load_them(look: Callable[..., Look]) -> None:
    window = look()
    loaded: list[str] = []
    window.page.on("request", lambda request: loaded.append(request.url))
    window.page.goto(window.site.url + "/sign-in", wait_until="networkidle")
    assert not any("/chart-" in url for url in loaded)
