"""What the token endpoint may answer, exactly: each form, and what it becomes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from takings.errors import Misconfigured, Refused, TakingsError, Unavailable, Unexpected
from takings.stripe import oauth

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GOOD = {
    "access_token": "sk_live_51New",
    "refresh_token": "rt_next",
    "stripe_user_id": "acct_1",
    "livemode": True,
    "scope": "stripe_apps",
}


class Noon:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("Nothing here waits.")


class Endpoint(HTTPServer):
    """Gives one answer to every POST and keeps what was posted."""

    answer: tuple[int, bytes] = (200, b"")
    posted: list[tuple[str, str | None, dict[str, list[str]]]]


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.posted.append((self.path, self.headers["Authorization"], form))
        status, body = self.server.answer
        if status == 0:
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(("127.0.0.1", 0), _Handler) as running:
        running.posted = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def provider(endpoint: Endpoint, way: oauth.OAuthWay) -> oauth.Provider:
    base = f"http://127.0.0.1:{endpoint.server_address[1]}"
    return oauth.Provider(way=way, client_id="ca_1", secret="sk_live_51Owner", authorize_base=base, token_base=base)


def test_an_app_proves_itself_with_its_owner_s_key(endpoint: Endpoint) -> None:
    endpoint.answer = (200, json.dumps(GOOD).encode())
    grant = oauth.exchange_code(provider(endpoint, "app_oauth"), "ac_1", Noon())
    proof = "Basic " + base64.b64encode(b"sk_live_51Owner:").decode()
    assert endpoint.posted == [("/v1/oauth/token", proof, {"grant_type": ["authorization_code"], "code": ["ac_1"]})]
    assert grant == oauth.Grant(
        access_token="sk_live_51New",
        refresh_token="rt_next",
        expires_at=NOW + timedelta(hours=1),
        account_id="acct_1",
        livemode=True,
        scope="stripe_apps",
    )


def test_a_platform_proves_itself_with_its_secret_in_the_form(endpoint: Endpoint) -> None:
    endpoint.answer = (200, json.dumps({**GOOD, "scope": "read_only"}).encode())
    grant = oauth.exchange_code(provider(endpoint, "connect_oauth"), "ac_1", Noon())
    form = {"grant_type": ["authorization_code"], "code": ["ac_1"], "client_secret": ["sk_live_51Owner"]}
    assert endpoint.posted == [("/oauth/token", None, form)]
    assert grant.expires_at is None


def test_a_life_that_is_told_counts(endpoint: Endpoint) -> None:
    endpoint.answer = (200, json.dumps({**GOOD, "expires_in": 60}).encode())
    assert oauth.refresh(provider(endpoint, "app_oauth"), "rt_1", Noon()).expires_at == NOW + timedelta(minutes=1)
    assert endpoint.posted[0][2] == {"grant_type": ["refresh_token"], "refresh_token": ["rt_1"]}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "invalid_grant", "error_description": "ac_1 was used"}, Refused, "oauth.code_refused"),
        (401, {"error": "invalid_client"}, Misconfigured, "oauth.client_refused"),
        (401, {"error": {"type": "invalid_request_error", "message": "sk_live_51Owner?"}}, Misconfigured, "oauth.client_refused"),
        (400, {"error": "invalid_scope"}, Unexpected, "oauth.unexpected"),
        (200, {"error": "invalid_grant"}, Refused, "oauth.code_refused"),
        (500, {"error": "server_error"}, Unavailable, "oauth.down"),
        (429, {}, Unavailable, "oauth.down"),
        (404, {}, Unexpected, "oauth.malformed"),
        (200, {}, Unexpected, "oauth.malformed"),
        (200, {**GOOD, "stripe_user_id": None}, Unexpected, "oauth.malformed"),
        (200, [], Unexpected, "oauth.malformed"),
        (503, "<html>", Unavailable, "oauth.down"),
        (200, "<html>", Unexpected, "oauth.malformed"),
        (0, "", Unavailable, "oauth.unreachable"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["app_oauth", "connect_oauth"])
def test_each_refusal_becomes_the_right_error_and_is_asked_once(
    endpoint: Endpoint, way: oauth.OAuthWay, status: int, body: Any, kind: type[TakingsError], code: str
) -> None:
    endpoint.answer = (status, body.encode() if isinstance(body, str) else json.dumps(body).encode())
    with pytest.raises(kind) as told:
        oauth.exchange_code(provider(endpoint, way), "ac_1", Noon())
    assert told.value.code == code
    assert len(endpoint.posted) == 1
    shown = f"{told.value} {told.value.fields}"
    assert "ac_1" not in shown
    assert "51Owner" not in shown


def test_a_platform_withdraws_and_an_account_that_was_not_joined_counts_as_done(endpoint: Endpoint) -> None:
    platform = provider(endpoint, "connect_oauth")
    endpoint.answer = (200, b'{"stripe_user_id":"acct_1"}')
    oauth.deauthorize(platform, "acct_1")
    form = {"client_id": ["ca_1"], "stripe_user_id": ["acct_1"], "client_secret": ["sk_live_51Owner"]}
    assert endpoint.posted == [("/oauth/deauthorize", None, form)]
    told = "This application is not connected to stripe account acct_1, or that account does not exist."
    endpoint.answer = (401, json.dumps({"error": "invalid_client", "error_description": told}).encode())
    oauth.deauthorize(platform, "acct_1")
    endpoint.answer = (401, json.dumps({"error": "invalid_client", "error_description": "No such API key"}).encode())
    with pytest.raises(Misconfigured):
        oauth.deauthorize(platform, "acct_1")


def test_the_consent_page_is_asked_for_by_the_book(endpoint: Endpoint) -> None:
    base = provider(endpoint, "app_oauth").authorize_base
    back = "https://takings.example.com/back?x=1"
    app = oauth.authorize_url(provider(endpoint, "app_oauth"), state="a&b", redirect_uri=back)
    quoted = "redirect_uri=https%3A%2F%2Ftakings.example.com%2Fback%3Fx%3D1&state=a%26b"
    assert app == f"{base}/oauth/v2/authorize?client_id=ca_1&{quoted}"
    platform = oauth.authorize_url(provider(endpoint, "connect_oauth"), state="a&b", redirect_uri=back)
    assert platform == f"{base}/oauth/authorize?response_type=code&scope=read_write&client_id=ca_1&{quoted}"
