"""A platform with its accounts and an organisation, as people meet them: pages, the choice of an account, and tables cut by it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from takings.accounts import Person
from takings.clock import SystemClock
from takings.connections import Connection, Discovering
from takings.simulator import Simulator
from takings.web.pages import connections_accounts
from takings.words import Words

from .conftest import Look, Site, as_json, csrf_of

COUNT = 20
FAST = {"rate_live": 1000, "rate_sandbox": 1000, "rate_endpoint": 1000}
HOME = "/admin/connections"


@dataclass
class Stage:
    site: Site
    stripe: Simulator
    admin: Person
    platform: Connection
    children: dict[str, Connection]
    loaded: list[Connection]


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    with Simulator(objects=300, test_objects=300, seed=3, rate=0, test_rate=0, endpoint_rate=0, connected=COUNT) as it:
        yield it


@pytest.fixture(scope="module")
def stage(make_site: Callable[..., Site], stripe: Simulator) -> Stage:
    """A platform that was connected in the browser, with its accounts found by the chore."""
    site = make_site(stripe_api_base=stripe.api_base, **FAST)
    admin = site.administrator()
    service = site.app.connections
    with site.client(admin) as client:
        token = csrf_of(client.get(f"{HOME}/new/stripe").text)
        asked = {"_csrf": token, "way": "key", "key": stripe.platform_key}
        to = client.post(f"{HOME}/new/stripe", data=asked).headers["location"]
        page = client.get(to).text
        assert f"platform with {COUNT} connected accounts" in page
        assert re.search(r'name="accounts" value="follow" checked', page)
        done = client.post(to, data={"_csrf": token, "name": "Halles", "history": "all", "accounts": "follow"})
        assert done.status_code == 303
    (platform,) = service.all()
    assert platform.follows_accounts
    Discovering(service, SystemClock()).tick()
    children = {one.account_id: one for one in service.all() if one.platform_id == platform.id}
    assert len(children) == COUNT
    loaded = list(children.values())[:2]
    for one in loaded:
        assert site.app.sync.run_once(one.id).state == "complete"
    return Stage(site, stripe, admin, platform, children, loaded)


@pytest.fixture
def client(stage: Stage) -> Iterator[httpx2.Client]:
    with stage.site.client(stage.admin) as found:
        yield found


def test_a_platform_is_one_line(stage: Stage, client: httpx2.Client) -> None:
    (row,) = as_json(client, HOME)["sources"]
    assert (row["name"], row["family"]["total"], row["family"]["text"]) == (
        "Halles",
        COUNT,
        f"{COUNT} connected accounts",
    )
    assert f'href="{HOME}/{stage.platform.id}/accounts"' in client.get(HOME).text
    assert as_json(client, f"{HOME}/{stage.platform.id}")["row"]["family"]["total"] == COUNT


def test_its_accounts_are_paged_and_searched(
    stage: Stage, client: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_accounts, "PAGE_ROWS", 8)
    at = f"{HOME}/{stage.platform.id}/accounts"
    seen, path = [], at
    while path:
        page = as_json(client, path)
        seen += [row["account_id"] for row in page["rows"]]
        path = page["next"]
    assert sorted(seen) == sorted(stage.children)
    assert page["shown"] == f"17–{COUNT} of {COUNT}"
    account, one = next(iter(stage.children.items()))
    assert [row["id"] for row in as_json(client, f"{at}?q={account[6:]}")["rows"]] == [one.id]
    assert one.id in [row["id"] for row in as_json(client, f"{at}?q={one.name.upper()}")["rows"]]
    assert "No account matches" in client.get(f"{at}?q=nobody").text
    assert client.get(f"{at}?page=99").headers["location"] == at
    assert as_json(client, f"{at}?page=x&status=paused")["rows"] == []


def test_who_withdraws_is_told_apart(stage: Stage, client: httpx2.Client) -> None:
    account, one = list(stage.children.items())[4]
    stage.stripe.deauthorize(account)
    try:
        assert stage.site.app.connections.mark_reauth(one.id)
        at = f"{HOME}/{stage.platform.id}/accounts"
        (row,) = as_json(client, f"{at}?status=withdrawn")["rows"]
        assert (row["id"], row["status_text"], row["href"]) == (one.id, "Withdrawn", f"{HOME}/{one.id}")
        assert "has withdrawn the platform’s access" in row["reason"]
        page = client.get(f"{HOME}/{one.id}").text
        assert "can no longer be read with its platform" in page
        assert f'href="{HOME}/{stage.platform.id}"' in page
        assert f"{HOME}/{one.id}/reauthenticate" not in page
        assert f"{at}?status=withdrawn" in client.get(HOME).text
        token = csrf_of(page)
        back = client.post(f"{HOME}/{stage.platform.id}/sync", data={"_csrf": token})
        assert back.status_code == 303
    finally:
        stage.stripe.connect(account)
    Discovering(stage.site.app.connections, SystemClock()).tick()
    assert stage.site.app.connections.get(one.id).state == "active"


def test_one_that_was_disconnected_can_be_taken_in_again(stage: Stage, client: httpx2.Client) -> None:
    account, one = list(stage.children.items())[7]
    token = csrf_of(client.get("/profile").text)
    assert "not taken in again" in client.get(f"{HOME}/{one.id}/disconnect").text
    client.post(f"{HOME}/{one.id}/disconnect", data={"_csrf": token, "data": "keep"})
    at = f"{HOME}/{stage.platform.id}/accounts"
    page = as_json(client, at)
    assert (page["left_out"], page["family"]["total"]) == ([account], COUNT - 1)
    assert client.post(f"{at}/follow", data={"_csrf": token}).headers["location"] == at
    Discovering(stage.site.app.connections, SystemClock()).tick()
    assert as_json(client, at)["family"]["total"] == COUNT
    assert (
        f"The {COUNT} accounts connected to this platform go along"
        in client.get(f"{HOME}/{stage.platform.id}/disconnect").text
    )


def test_a_stopped_platform_is_told_where_somebody_tries_to_resume_one(stage: Stage, client: httpx2.Client) -> None:
    service, one = stage.site.app.connections, list(stage.children.values())[1]
    token = csrf_of(client.get("/profile").text)
    client.post(f"{HOME}/{stage.platform.id}/pause", data={"_csrf": token})
    try:
        assert service.get(one.id).state == "paused"
        answer = client.post(f"{HOME}/{one.id}/resume", data={"_csrf": token})
        assert answer.headers["location"] == f"{HOME}/{one.id}"
        page = client.get(f"{HOME}/{one.id}").text
        assert "does not run itself" in page
        assert "is paused: resume it" in page
    finally:
        client.post(f"{HOME}/{stage.platform.id}/resume", data={"_csrf": token})
    assert service.get(one.id).state == "active"


def test_the_pages_of_no_platform_are_not_there(stage: Stage, client: httpx2.Client) -> None:
    child = next(iter(stage.children.values()))
    assert client.get(f"{HOME}/{child.id}/accounts").status_code == 404
    token = csrf_of(client.get("/profile").text)
    refused = client.post(f"{HOME}/{child.id}/accounts/follow", data={"_csrf": token})
    assert refused.status_code == 422
    assert "with a key of its own" in refused.text


def test_of_many_accounts_one_is_chosen_on_a_page(stage: Stage, client: httpx2.Client) -> None:
    home = as_json(client, "/?range=7d")
    sources = home["controls"]["sources"]
    assert len(sources) == 12
    assert sources[0]["key"] == "live"
    more = home["controls"]["more_sources"]
    assert more.startswith("/accounts?back=")
    page = as_json(client, more)
    assert page["total"] == COUNT + 1
    assert {row["account_id"] for row in page["rows"]} >= set(stage.children)
    one = stage.loaded[0]
    (row,) = as_json(client, f"{more}&q={one.account_id}")["rows"]
    assert row["href"] == f"/?range=7d&source={one.id}"
    chosen = as_json(client, row["href"])
    assert chosen["controls"]["source_label"] == one.name
    assert any(each["current"] for each in chosen["controls"]["sources"])
    assert as_json(client, "/accounts?back=https://evil.example/")["back"] == "/"
    with stage.site.client(stage.site.joined(stage.admin, "read_only")) as reader:
        assert reader.get(more).status_code == 200
        assert reader.get(f"{HOME}/{stage.platform.id}/accounts").status_code == 403


def test_tables_are_cut_to_one_account(stage: Stage, client: httpx2.Client) -> None:
    truth = {one.id: stage.stripe.facts(one.account_id)["listed"]["charges"] for one in stage.loaded}
    one, other = stage.loaded

    def charges(query: str) -> dict[str, Any]:
        page = as_json(client, f"/tables{query}")
        found: list[dict[str, Any]] = [*page["filled"], *page["empty"]]
        return next(row for row in found if row["name"] == "charges")

    assert (charges("")["rows"], charges("")["state"]) == (sum(truth.values()), "complete")
    alone = charges(f"?source={one.id}")
    assert (alone["rows"], alone["state"]) == (truth[one.id], "complete")
    assert alone["complete_as_of"] is not None
    assert alone["href"] == f"/tables/charges?source={one.id}"
    page = as_json(client, alone["href"])
    account = page["shown"].index("_account")
    assert {row[account] for row in page["preview"]} == {one.account_id}
    assert len(page["preview"]) == truth[one.id]
    assert page["back"] == f"/tables?source={one.id}"
    assert page["picker"]["label"] == one.name
    assert page["picker"]["choices"][0]["href"] == "/tables/charges"
    file = client.get(page["exports"]["csv"]).text
    assert file.count(one.account_id) >= truth[one.id] > 0
    assert other.account_id not in file
    assert charges(f"?source={list(stage.children.values())[5].id}")["rows"] is None
    for path in ("/tables", "/tables/charges", "/tables/charges/export/csv"):
        assert client.get(f"{path}?source=nobody").status_code == 404


def test_an_organisation_names_its_accounts(stage: Stage, client: httpx2.Client) -> None:
    first, *others = stage.stripe.org_accounts
    token = csrf_of(client.get(f"{HOME}/new/stripe").text)
    asked = {"_csrf": token, "way": "key", "key": stage.stripe.org_key}
    nameless = client.post(f"{HOME}/new/stripe", data=asked)
    assert nameless.status_code == 422
    assert "name those to connect" in nameless.text
    asked["account"] = f"{first}, {' '.join(others)}"
    to = client.post(f"{HOME}/new/stripe", data=asked).headers["location"]
    page = client.get(to).text
    assert "2 more accounts are connected" in page
    assert all(account in page for account in (first, *others))
    client.post(to, data={"_csrf": token, "name": "Aurore", "history": "all"})
    found = {one.account_id: one for one in stage.site.app.connections.all()}
    assert {first, *others} <= found.keys()
    one = found[others[0]]
    form = {"_csrf": token, "way": "key", "key": stage.stripe.org_key, "account": " ".join(others)}
    assert "for one account" in client.post(f"{HOME}/{one.id}/reauthenticate", data=form).text
    form["account"] = ""
    assert client.post(f"{HOME}/{one.id}/reauthenticate", data=form).headers["location"] == HOME


@pytest.mark.browser
@pytest.mark.parametrize(("locale", "theme", "width"), [("en", "dark", 375), ("fr", "light", 1280)])
def test_the_pages_are_fit_for_everybody(
    stage: Stage, look: Callable[..., Look], locale: str, theme: str, width: int
) -> None:
    w = Words(locale)
    window = look(stage.admin, on=stage.site, locale=locale, theme=theme, width=width)
    for path, title in (
        (f"{HOME}/{stage.platform.id}/accounts", w("platforms.title", name="Halles")),
        ("/accounts?back=/tables", w("platforms.choose_title")),
        ("/tables", w("reports.tables_title")),
    ):
        page = window.at(path)
        assert page.locator("h1").inner_text() == title
        assert window.violations() == []
        assert not window.is_too_wide()
        assert window.troubles == []
    stage.site.app.people.set_preferences(stage.admin, locale="en", theme="auto")
