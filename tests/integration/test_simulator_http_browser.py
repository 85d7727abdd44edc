"""The simulator's OAuth pages in a real browser: their content policy lets a person through, to another origin too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser

from takings.simulator import Simulator

pytestmark = pytest.mark.browser


class Application(BaseHTTPRequestHandler):
    """The application that asked: says that one is back."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Back</title><h1>Back</h1>")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def application() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/back"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("locale", "scheme", "words"),
    [
        ("en-US", "light", ("Sign in with Stripe to Continue", "Email", "Password", "Sign in", "Connect")),
        (
            "fr-FR",
            "dark",
            ("Se connecter avec Stripe pour continuer", "Adresse e-mail", "Mot de passe", "Se connecter", "Refuser"),
        ),
    ],
)
def test_a_person_goes_all_the_way(
    simulator: Simulator, chromium: Browser, application: str, locale: str, scheme: str, words: tuple[str, ...]
) -> None:
    begin, email, password, sign_in, decide = words
    context = chromium.new_context(locale=locale, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(
        f"{simulator.api_base}/oauth/authorize?response_type=code&scope=read_only&state=s"
        f"&client_id={simulator.connect_client_id}&redirect_uri={quote(application, safe='')}"
    )
    background = page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius")
    assert background == "12px"  # the style sheet is let in
    page.get_by_role("button", name=begin).click()
    page.get_by_label(email).fill(simulator.email)
    page.get_by_label(password).fill(simulator.password)
    page.get_by_role("button", name=sign_in).click()
    page.get_by_role("button", name=decide).click()
    page.wait_for_url(f"{application}?**")
    assert page.title() == "Back"
    carried = parse_qs(urlsplit(page.url).query)
    assert carried["state"] == ["s"]
    assert ("code" in carried) is (decide == "Connect")
    assert ("error" in carried) is (decide != "Connect")
    assert refused == []
    context.close()
