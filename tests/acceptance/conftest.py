"""The whole product over real HTTP, the people who use it, and a real browser that looks at it and measures it."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from takings import log
from takings.accounts import Person
from takings.app import App, build
from takings.settings import load
from takings.web.server import create

PASSWORD = "correct horse battery"
AXE = Path(__file__).parents[2] / "src/takings/web/assets/node_modules/axe-core/axe.min.js"


@dataclass(frozen=True)
class Site:
    """The product, served.

    Attributes:
        url: Where it is, without a slash at the end.
        app: Its parts.
    """

    url: str
    app: App

    def administrator(self) -> Person:
        """Set the product up and return its administrator, Ada."""
        return self.app.people.setup(
            company_name="Bakery & Sons",
            locale="en",
            time_zone="Europe/Paris",
            currency="eur",
            email="ada@example.com",
            name="Ada Lovelace",
            password=PASSWORD,
        )

    def joined(self, admin: Person, role: str, name: str = "") -> Person:
        """Return somebody with a role, whose address is ``<role>@example.com``, or begins with another name."""
        token = self.app.people.invite(admin, f"{name or role}@example.com", role)
        return self.app.people.accept(token, role.title(), PASSWORD)

    def client(self, person: Person | None = None, **headers: str) -> httpx2.Client:
        """Return a browser without scripts, signed in as a person; the caller closes it."""
        cookies = {"takings_session": self.app.sessions.open(person)} if person else {}
        return httpx2.Client(
            base_url=self.url,
            cookies=cookies,
            headers={"accept": "text/html", **headers},
            follow_redirects=False,
            timeout=60,
        )


@pytest.fixture(autouse=True)
def _logs_as_in_the_product() -> None:
    """Set logging up before each test: a command that another test ran in this process may have made it quieter."""
    log.configure()


@pytest.fixture(scope="module")
def make_site(
    tmp_path_factory: pytest.TempPathFactory, furnish: Callable[[Path], Path]
) -> Iterator[Callable[..., Site]]:
    """Start products of one's own; they stop when the module's tests end.

    In the data folder nothing has happened yet, unless something else is named that fills an empty one.
    """
    with ExitStack() as running:

        def start(fill: Callable[[Path], Path] = furnish, **settings: Any) -> Site:
            port = free_port()
            app = build(load({}, home=fill(tmp_path_factory.mktemp("home")), port=port, **settings))
            running.callback(app.close)
            server = uvicorn.Server(
                uvicorn.Config(create(app), host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
            )
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            running.callback(thread.join, 20)
            running.callback(setattr, server, "should_exit", True)
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.02)
            return Site(f"http://127.0.0.1:{port}", app)

        yield start


@pytest.fixture(scope="module")
def site(make_site: Callable[..., Site]) -> Site:
    """A product that is set up, with Ada as its administrator."""
    started = make_site()
    started.administrator()
    return started


@pytest.fixture(scope="module")
def ada(site: Site) -> Person:
    """The administrator of ``site``."""
    return site.app.people.authenticate("ada@example.com", PASSWORD)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def csrf_of(html: str) -> str:
    """Return what a page's forms send back."""
    found = re.search(r'name="_csrf" value="([0-9a-f]+)"', html)
    assert found, "the page has no form"
    return found[1]


class Look:
    """A browser window on a site that notes whatever goes wrong in it.

    Attributes:
        troubles: Errors of scripts and refusals of the content policy, except failed loads of error pages themselves.
    """

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context = context
        self.site = site
        self.page: Page = context.new_page()
        self.troubles: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def at(self, path: str) -> Page:
        """Go to a path and wait until everything is loaded."""
        self.page.goto(self.site.url + path, wait_until="load")
        return self.page

    def violations(self) -> list[str]:
        """Return what axe finds wrong with the page: rule, help and the first place."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in found["violations"]
        ]

    def is_too_wide(self) -> bool:
        """Tell whether the page scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@pytest.fixture
def look(chromium: Browser, site: Site) -> Iterator[Callable[..., Look]]:
    """Open windows: ``look(person, locale="fr", theme="dark", width=1280)``."""
    with ExitStack() as open_windows:

        def window(
            person: Person | None = None,
            *,
            on: Site | None = None,
            locale: str = "en",
            theme: str = "light",
            width: int = 1280,
            javascript: bool = True,
        ) -> Look:
            at = on or site
            context = chromium.new_context(
                viewport={"width": width, "height": 800},
                locale={"en": "en-US", "fr": "fr-FR"}[locale],
                timezone_id="Europe/Paris",
                color_scheme="dark" if theme == "dark" else "light",
                java_script_enabled=javascript,
            )
            open_windows.callback(context.close)
            if person is not None:
                at.app.people.set_preferences(person, locale=locale, theme="auto")
                token = at.app.sessions.open(person, "Test")
                context.add_cookies([{"name": "takings_session", "value": token, "url": at.url, "httpOnly": True}])
            else:
                context.add_cookies([{"name": "takings_locale", "value": locale, "url": at.url}])
            return Look(context, at)

        yield window


def cold_bytes(look: Look, path: str) -> int:
    """Load a page with an empty cache and return all bytes that came over the wire, headers included."""
    wire = look.context.new_cdp_session(look.page)
    sizes: list[float] = []
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    look.page.goto(look.site.url + path, wait_until="networkidle")
    return round(sum(sizes))


def as_json(client: httpx2.Client, path: str) -> Any:
    """Return a page's values."""
    answer = client.get(path, headers={"accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content)
