"""Every route, walked as a stranger and in each role; the headers every answer carries; files that are kept for ever."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import pytest
import sqlalchemy as sa
from litestar import Litestar, Router, get
from litestar.handlers import HTTPRouteHandler

from takings.accounts import MATRIX, ROLES, Action, Person, Role
from takings.store.schema import api_tokens
from takings.web.built import assets
from takings.web.context import Who
from takings.web.guard import require_declared
from takings.web.server import create

from .conftest import Site, csrf_of

SAFE = {"GET", "HEAD"}


@dataclass(frozen=True)
class Way:
    method: str
    path: str
    who: Who | Action
    signed: bool
    api: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@pytest.fixture(scope="module")
def ways(site: Site) -> list[Way]:
    return list(walked(create(site.app)))


def walked(web: Litestar) -> Iterator[Way]:
    for route in web.routes:
        for handler in getattr(route, "route_handlers", ()):
            if isinstance(handler, HTTPRouteHandler):
                for method in handler.http_methods - {"OPTIONS"}:
                    yield Way(
                        str(method),
                        re.sub(r"\{\w+:\w+\}", "none", route.path),
                        handler.opt["who"],
                        "signed" in handler.opt,
                        "api" in handler.opt,
                    )


@pytest.fixture(scope="module")
def people(site: Site, ada: Person) -> dict[str, Person]:
    return {"admin": ada, "standard": site.joined(ada, "standard"), "read_only": site.joined(ada, "read_only")}


def test_the_walk_sees_the_product(ways: list[Way]) -> None:
    seen = {str(way) for way in ways}
    assert {"GET /", "GET /tables", "GET /admin/connections", "POST /admin/people/invite"} <= seen
    assert {"GET /api/v1/metrics", "POST /api/v1/query", "GET /api/v1/tables/none/rows/none"} <= seen
    assert len(ways) > 30
    assert all(way.api == way.path.startswith("/api/") for way in ways)


def test_a_route_that_does_not_say_who_may_use_it_keeps_the_product_from_starting() -> None:
    @get("/silent", sync_to_thread=False)
    def silent() -> str:
        return "hello"

    with pytest.raises(RuntimeError, match="GET /silent"):
        require_declared(
            Litestar(route_handlers=[Router(path="/", route_handlers=[silent])], openapi_config=None).routes
        )


def test_a_stranger_reaches_only_what_is_public(site: Site, ways: list[Way]) -> None:
    with site.client() as page, site.client(accept="application/json") as program:
        token = csrf_of(page.get("/sign-in").text)
        for way in ways:
            if way.who is Who.PUBLIC:
                continue
            if way.api:
                assert told(page.request(way.method, way.path)) == (401, "api.token_needed"), way
            elif way.method in SAFE:
                answer = page.request(way.method, way.path)
                assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in"), way
            else:
                assert page.request(way.method, way.path, data={"_csrf": token}).status_code == 401, way
            refused = program.request(way.method, way.path)
            assert refused.status_code in (401, 403), way
            assert way.api or refused.json().keys() >= {"status", "code", "sentence", "id"}, way


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an error of the API."""
    assert set(answer.json()) == {"error"} and set(answer.json()["error"]) == {"code", "message"}
    assert "set-cookie" not in answer.headers
    return answer.status_code, answer.json()["error"]["code"]


def borne(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", ROLES)
def test_a_token_of_each_role_reaches_what_the_role_may_and_a_cookie_nothing(
    role: Role, site: Site, ways: list[Way], people: dict[str, Person]
) -> None:
    """An administrator's token bears the role that was chosen for it, as anybody's own does."""
    tokens = [site.app.tokens.make(person, "Walk", role) for person in (people["admin"], people[role])]
    gone = site.app.tokens.make(people[role], "Gone", role)
    assert site.app.tokens.revoke(people[role], site.app.tokens.list(people[role])[0].id)
    with site.client(people[role]) as cookie, site.client() as program:
        for way in (way for way in ways if way.api and way.who is not Who.PUBLIC):
            assert isinstance(way.who, Action), way
            assert told(cookie.request(way.method, way.path)) == (401, "api.token_needed"), way
            for token in tokens:
                answer = program.request(way.method, way.path, headers=borne(token))
                if way.who in MATRIX[role]:
                    assert answer.status_code in (200, 400, 404, 422, 503), (str(way), answer.status_code)
                else:
                    assert told(answer) == (403, "accounts.not_allowed"), way
    with site.client(people[role], **borne(gone)) as both:
        assert told(both.get("/api/v1/metrics")) == (401, "api.token_wrong")
        assert both.get("/profile").status_code == 200, (
            "a token says nothing to pages, and takes nothing from a session"
        )


@pytest.mark.parametrize("lost", ["expired", "disabled", "lesser", "foreign"])
def test_a_token_that_has_lost_its_worth_reaches_nothing(
    lost: str, site: Site, ways: list[Way], people: dict[str, Person]
) -> None:
    person, app = site.joined(people["admin"], "standard", name=lost), site.app
    token = app.tokens.make(person, "Lost", "standard", app.clock.now().date() + timedelta(days=2))
    good = {"accept": "application/json", **borne(token)}
    with site.client(**good) as before:
        assert before.get("/api/v1/metrics").status_code == 200
    if lost == "expired":
        with app.store.write() as db:
            db.execute(sa.update(api_tokens).where(api_tokens.c.name == "Lost").values(expires_at=app.clock.now()))
    elif lost == "disabled":
        app.people.disable(people["admin"], person.id)
    elif lost == "lesser":
        app.people.change_role(people["admin"], person.id, "read_only")
    else:
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    asked = [way for way in ways if way.api and way.who is not Who.PUBLIC][::4]  # fewer than may be wrong in a minute
    with site.client(**borne(token)) as after:
        for way in asked:
            assert told(after.request(way.method, way.path)) == (401, "api.token_wrong"), way


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reaches_what_it_may_and_nothing_else(
    role: str, site: Site, ways: list[Way], people: dict[str, Person]
) -> None:
    with site.client(people[role]) as client:
        token = csrf_of(client.get("/profile").text)
        for way in (way for way in ways if not way.api):
            permitted = not isinstance(way.who, Action) or way.who in MATRIX[people[role].role]
            if permitted and way.method not in SAFE:
                continue  # what changes things has tests of its own
            answer = client.request(way.method, way.path, data=None if way.method in SAFE else {"_csrf": token})
            if permitted:
                assert answer.status_code in (200, 303, 404, 422), (str(way), answer.status_code)
            else:
                assert answer.status_code == 403, (str(way), answer.status_code)
                assert people[role].email not in answer.headers.get("location", "")


def test_a_form_without_its_token_does_nothing(site: Site, ways: list[Way], ada: Person) -> None:
    with site.client(ada, accept="application/json") as client, site.client() as stranger:
        foreign = csrf_of(stranger.get("/sign-in").text)
        for way in (way for way in ways if way.method not in SAFE and not way.signed and not way.api):
            for sent in ({}, {"_csrf": ""}, {"_csrf": foreign}):
                answer = client.request(way.method, way.path, data=sent)
                assert (answer.status_code, answer.json()["code"]) == (403, "web.form_stale"), way


def test_what_proves_itself_by_a_signature_needs_no_session_and_is_helped_by_none(
    site: Site, ways: list[Way], people: dict[str, Person]
) -> None:
    signed = [way for way in ways if way.signed]
    assert {str(way) for way in signed} == {"POST /webhooks/stripe/none"}
    for person in (None, *people.values()):
        with site.client(person) as client:
            token = csrf_of(client.get("/profile" if person else "/sign-in").text)
            for way in signed:
                assert client.request(way.method, way.path, data={"_csrf": token}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
)
def test_a_form_sent_by_another_site_does_nothing(site: Site, ada: Person, headers: dict[str, str]) -> None:
    with site.client(ada) as client:
        token = csrf_of(client.get("/profile").text)
        answer = client.post("/profile", data={"_csrf": token, "name": "Mallory"}, headers=headers)
        assert answer.status_code == 403
    assert site.app.people.list(ada)[0].name == "Ada Lovelace"


def test_a_known_token_is_worth_nothing_in_another_session(site: Site, ada: Person) -> None:
    with site.client(ada) as one, site.client(ada) as other:
        token = csrf_of(one.get("/profile").text)
        assert other.post("/profile", data={"_csrf": token, "name": "Ada Lovelace"}).status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/none", "/healthz", "/", "/static/none.js", "/admin/people"])
def test_every_answer_carries_the_guards(site: Site, path: str) -> None:
    with site.client() as client:
        headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


def test_over_https_cookies_and_transport_are_strict(make_site: Callable[..., Site]) -> None:
    secure = make_site(base_url="https://takings.example.com")
    secure.administrator()
    with secure.client() as client:
        page = client.get("/sign-in")
        assert page.headers["strict-transport-security"].startswith("max-age=")
        (visit,) = page.headers.get_list("set-cookie")
        assert visit.startswith("__Host-takings-visit=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(visit.split("; "))
        cookie = visit.split(";")[0]
        answer = client.post(
            "/sign-in",
            data={"_csrf": csrf_of(page.text), "email": "ada@example.com", "password": "correct horse battery"},
            headers={"cookie": cookie},
        )
        assert answer.status_code == 303
        session = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-takings="))
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(session.split("; "))


def test_no_page_is_kept_by_caches_and_files_are_kept_for_ever(site: Site, ada: Person) -> None:
    with site.client(ada) as client:
        assert client.get("/profile").headers["cache-control"] == "no-store"
        file = client.get(assets().script("main"), headers={"accept-encoding": "gzip"})
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert file.headers["content-encoding"] == "gzip"
        assert "set-cookie" not in file.headers
        plain = client.get(assets().script("main"), headers={"accept-encoding": "identity"})
        assert plain.content == file.content


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py", "/static/manifest.json/x"])
def test_nothing_but_built_files_is_served(site: Site, path: str) -> None:
    with httpx2.Client() as client:
        assert client.get(site.url + path).status_code == 404


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_signing_in_never_leads_out(site: Site, wanted: str, ada: Person) -> None:
    with site.client(ada) as client:
        assert client.get("/sign-in", params={"next": wanted}).headers["location"] == "/"


def test_an_error_is_a_page_for_people_and_values_for_programs(site: Site, ada: Person) -> None:
    site.app.people.set_preferences(ada, locale="fr")
    with site.client(ada) as client:
        page = client.get("/no/such/page")
        assert page.status_code == 404
        assert "Cette page n’existe pas." in page.text
        values = client.get("/no/such/page", headers={"accept": "application/json"}).json()
        assert (values["status"], values["code"], values["sentence"]) == (
            404,
            "web.no_page",
            "Cette page n’existe pas.",
        )
    site.app.people.set_preferences(ada, locale="en")


def test_the_server_says_that_it_lives(site: Site) -> None:
    with site.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_a_page_with_charts_fits_in_250_kb(site: Site) -> None:
    built = assets()
    files = [built.script("main"), built.script("chart"), built.script("icon"), *built.styles("main")]
    with site.client(**{"accept-encoding": "gzip"}) as client:
        sizes = [int(client.get(file).headers["content-length"]) for file in files]
        font = next(name for name in built.names() if name.endswith(".woff2"))
        sizes.append(int(client.get(f"/static/{font}").headers["content-length"]))
    assert sum(sizes) <= 225_000, "25 kB are left for the page itself"
