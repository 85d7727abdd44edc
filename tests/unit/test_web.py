"""Small decisions of the web part: where one may be sent, which language, what travels in a banner, what a chart says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from takings.errors import Misconfigured
from takings.settings import load
from takings.web.browser import describe
from takings.web.built import Assets
from takings.web.chart import Chart, Series, chart_json, chart_value, point_name
from takings.web.context import Flash, local_path, pack, sign_in_path, unpack
from takings.web.guard import preferred_locale
from takings.web.pages.help import anchor, chapters
from takings.web.security import content_policy, form_token, is_same_origin
from takings.words import LOCALES, Words


@pytest.mark.parametrize("wanted", ["/", "/tables", "/tables?x=1&y=//z", "/a/b#c"])
def test_a_path_of_ours_is_kept(wanted: str) -> None:
    assert local_path(wanted) == wanted


@pytest.mark.parametrize(
    "wanted", [None, "", "tables", "//evil", "///evil", "/\\evil", "https://evil", "/a\r\nb", "/" + "a" * 3000]
)
def test_anything_else_leads_home(wanted: str | None) -> None:
    assert local_path(wanted) == "/"


def test_the_way_back_survives_sign_in() -> None:
    assert sign_in_path("/") == "/sign-in"
    assert sign_in_path("/rows?a=1&b=2") == "/sign-in?next=/rows%3Fa%3D1%26b%3D2"


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("de-DE,de;q=0.9,fr;q=0.5,en;q=0.4", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=x,en;q=0.1", "en"),
    ],
)
def test_the_browsers_best_language_is_taken(header: str, locale: str) -> None:
    assert preferred_locale(header) == locale


def test_a_banner_travels_and_a_forged_one_is_nothing() -> None:
    words, flash = Words("fr"), Flash("success", "web.welcome", {"name": "Zoë <b>"})
    assert unpack(pack(flash), words) == (flash,)
    forged = (
        None,
        "",
        "x",
        "AAAA",
        pack(Flash("success", "web.none")),
        pack(Flash("shout", "web.welcome", {"name": "x"})),  # type: ignore[arg-type]
        "A" * 5000,
    )
    assert [unpack(value, words) for value in forged] == [()] * len(forged)


def test_the_policy_lets_forms_lead_to_stripe_and_nothing_run_inline(tmp_path: Path) -> None:
    policy = content_policy(load({}, home=tmp_path))
    assert "form-action 'self' https://*.stripe.com https://connect.stripe.com" in policy
    assert "unsafe" not in policy
    local = content_policy(
        load({}, home=tmp_path, stripe_connect_base="http://127.0.0.1:9", stripe_marketplace_base="http://127.0.0.1:9")
    )
    assert "form-action 'self' http://127.0.0.1:9;" in local


@pytest.mark.parametrize(
    ("origin", "site", "host", "same"),
    [
        (None, None, "a:1", True),
        ("http://a:1", "same-origin", "a:1", True),
        ("http://a:1", None, "a:1", True),
        ("http://a:2", None, "a:1", False),
        ("null", None, "a:1", False),
        ("http://a:1", "cross-site", "a:1", False),
        ("https://takings.example.com", "same-origin", "inner:8420", True),
    ],
)
def test_only_pages_of_ours_send_forms(
    tmp_path: Path, origin: str | None, site: str | None, host: str, same: bool
) -> None:
    settings = load({}, home=tmp_path, base_url="https://takings.example.com")
    assert is_same_origin(origin, site, host, settings) is same


def test_a_forms_token_does_not_show_the_cookie_it_comes_from() -> None:
    assert form_token("secret") == form_token("secret") != form_token("secreu")
    assert "secret" not in form_token("secret")


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit Chrome/140.0 Safari/537 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/19.0 Safari/605", "Safari, macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/605", "Safari, iPhone"),
        ("curl/8.0", "curl/8.0"),
        ("", "–"),
    ],
)
def test_a_browser_is_named_as_people_name_it(agent: str, said: str) -> None:
    assert describe(agent) == said


def chart() -> Chart:
    return Chart(
        label="x",
        points=("2026-01-01", "2026-02-01"),
        grain="month",
        unit="money",
        currency="kwd",
        series=(Series(name="</script><script>alert('&')", values=(1500, None), tone="gross"),),
    )


def test_a_charts_data_cannot_leave_its_block() -> None:
    text = str(chart_json(chart(), "fr"))
    assert not set("<>&") & set(text)
    data = json.loads(text)
    assert (data["series"][0]["name"], data["digits"], data["locale"]) == ("</script><script>alert('&')", 3, "fr")


@pytest.mark.parametrize(
    ("grain", "en", "fr"),
    [
        ("day", "Feb 1, 2026", "1 févr. 2026"),
        ("month", "February 2026", "février 2026"),
        ("quarter", "Q1 2026", "T1 2026"),
        ("year", "2026", "2026"),
    ],
)
def test_a_point_is_named_in_the_readers_language(grain: str, en: str, fr: str) -> None:
    assert (point_name(Words("en"), "2026-02-01", grain), point_name(Words("fr"), "2026-02-01", grain)) == (en, fr)


def test_a_value_is_written_in_the_charts_unit() -> None:
    assert chart_value(Words("fr"), 1500, chart()) == "1,500\u00a0KWD"
    assert chart_value(Words("en"), None, chart()) == "–"


def test_a_product_without_its_front_end_says_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        Assets(tmp_path)
    assert refused.value.code == "web.not_built"


def test_the_manual_is_the_same_in_both_languages_and_shows_no_comments() -> None:
    assert len({tuple(one.slug for one in chapters(locale)) for locale in LOCALES}) == 1
    for locale in LOCALES:
        for chapter in chapters(locale):
            assert "&lt;!--" not in chapter.html
            assert 'href="' not in chapter.html or '.md"' not in chapter.html


def test_a_heading_has_an_address() -> None:
    assert anchor("À propos d’une clé (1)") == "a-propos-dune-cle-1"
