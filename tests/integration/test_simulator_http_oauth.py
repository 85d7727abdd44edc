"""Both OAuth flows of the simulator over HTTP: pages, codes, tokens, and every way they are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from takings.simulator import Simulator

BACK = "http://127.0.0.1:9/back?from=here"


class Browser:
    """Somebody at the pages: keeps cookies, reads the forms, follows no redirect that leads away."""

    def __init__(self, simulator: Simulator, language: str = "en") -> None:
        self.simulator = simulator
        self.http = httpx2.Client(
            base_url=simulator.api_base, headers={"accept-language": language}, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def authorize(self, flow: str, **changes: str | None) -> httpx2.Response:
        path = "/oauth/authorize" if flow == "connect" else "/oauth/v2/authorize"
        client = self.simulator.connect_client_id if flow == "connect" else self.simulator.app_client_id
        asked = {"client_id": client, "redirect_uri": BACK, "state": "opaque&state"}
        if flow == "connect":
            asked |= {"response_type": "code", "scope": "read_only"}
        asked = {name: value for name, value in (asked | changes).items() if value is not None}
        return self.http.get(path, params=asked)

    def sign_in(self, access: httpx2.Response, password: str | None = None) -> httpx2.Response:
        page = self.http.get("/oauth/sign_in", params=hidden(access))
        given = {"email": self.simulator.email.upper(), "password": password or self.simulator.password}
        return self.http.post("/oauth/sign_in", data=hidden(page) | given)

    def consent_page(self, flow: str, **changes: str | None) -> httpx2.Response:
        return self.http.get(self.sign_in(self.authorize(flow, **changes)).headers["location"])

    def decide(self, flow: str, decision: str = "connect", mode: str = "live", **changes: str | None) -> dict[str, str]:
        """Go the whole way and return what the redirect carries."""
        page = self.consent_page(flow, **changes)
        given = {"account": f"{self.simulator.account}:{mode}", "decision": decision}
        back = self.http.post("/oauth/consent", data=hidden(page) | given)
        assert back.status_code == 303
        assert back.headers["location"].startswith("http://127.0.0.1:9/back?")
        return {name: value for name, [value] in parse_qs(urlsplit(back.headers["location"]).query).items()}

    def token(self, flow: str, *, secret: str | None = None, **given: str) -> httpx2.Response:
        if flow == "connect":
            proof = {"client_secret": self.simulator.connect_secret if secret is None else secret}
            return self.http.post("/oauth/token", data=proof | given)
        return self.http.post("/v1/oauth/token", data=given, auth=(secret or self.simulator.app_secret, ""))

    def granted(self, flow: str, mode: str = "live") -> dict[str, Any]:
        code = self.decide(flow, mode=mode)["code"]
        return self.token(flow, grant_type="authorization_code", code=code).json()

    def reads(self, token: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.get("/v1/charges", headers={"authorization": f"Bearer {token}"} | named).status_code


def hidden(page: httpx2.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


@pytest.fixture
def own(simulator_factory: Callable[..., Simulator]) -> Simulator:
    return simulator_factory(objects=300, test_objects=200)


FLOWS = pytest.mark.parametrize("flow", ["connect", "app"])


class TestPages:
    @FLOWS
    def test_the_words_on_the_way(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            access = browser.authorize(flow)
            assert "Takings wants access to your Stripe account" in access.text
            assert "Sign in with Stripe to Continue" in access.text
            assert "Sign in to your account" in browser.http.get("/oauth/sign_in", params=hidden(access)).text
            consent = browser.consent_page(flow)
            assert ">Connect</button>" in consent.text
            assert ">Deny</button>" in consent.text
            assert f'value="{simulator.account}:live" checked' in consent.text

    def test_in_french_when_the_browser_wants_it(self, simulator: Simulator) -> None:
        with Browser(simulator, "fr-FR,fr;q=0.9,en;q=0.5") as browser:
            access = browser.authorize("connect")
            assert '<html lang="fr">' in access.text
            assert "Se connecter avec Stripe pour continuer" in access.text

    def test_they_load_nothing_foreign_and_run_no_script(self, simulator: Simulator) -> None:
        with Browser(simulator) as browser:
            access = browser.authorize("connect")
            policy = access.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert "form-action" not in policy
            assert "<script" not in access.text
            assert browser.http.get("/oauth/style.css").headers["content-type"].startswith("text/css")

    def test_a_wrong_password_is_told_and_can_be_tried_again(self, simulator: Simulator) -> None:
        with Browser(simulator) as browser:
            access = browser.authorize("connect")
            wrong = browser.sign_in(access, "<b>wrong</b>")
            assert wrong.status_code == 422
            assert 'role="alert"' in wrong.text
            assert browser.sign_in(access).status_code == 303

    def test_consent_is_not_reached_without_signing_in(self, simulator: Simulator) -> None:
        with Browser(simulator) as browser:
            access = browser.authorize("connect")
            page = browser.http.get("/oauth/consent", params=hidden(access))
            assert page.headers["location"].startswith("/oauth/sign_in?")
            sign_in = browser.http.get("/oauth/sign_in", params=hidden(access))
            given = {"account": f"{simulator.account}:live", "decision": "connect"}
            posted = browser.http.post("/oauth/consent", data=hidden(sign_in) | given)
            assert posted.headers["location"].startswith("/oauth/consent?")

    def test_a_form_without_its_nonce_or_from_another_browser_is_refused(self, simulator: Simulator) -> None:
        with Browser(simulator) as browser, Browser(simulator) as other:
            page = browser.consent_page("connect")
            given = {"account": f"{simulator.account}:live", "decision": "connect"}
            forged = browser.http.post("/oauth/consent", data=hidden(page) | given | {"nonce": "guess"})
            elsewhere = other.http.post("/oauth/consent", data=hidden(page) | given)
            assert (forged.status_code, elsewhere.status_code) == (400, 400)
            assert browser.http.post("/oauth/consent", data=hidden(page) | given).status_code == 303

    @FLOWS
    def test_an_unknown_client_is_never_sent_anywhere(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            answer = browser.authorize(flow, client_id="ca_unknown")
            assert answer.status_code == 400
            assert "No application has this client id" in answer.text

    @pytest.mark.parametrize("address", ["https://evil.example/back", "javascript:alert(1)", "//127.0.0.1/x", "", None])
    def test_an_unregistered_address_is_never_returned_to(self, simulator: Simulator, address: str | None) -> None:
        with Browser(simulator) as browser:
            answer = browser.authorize("connect", redirect_uri=address)
            assert answer.status_code == 400
            assert "not registered" in answer.text

    def test_a_registered_address_is(self, simulator_factory: Callable[..., Simulator]) -> None:
        address = "https://takings.example/back"
        running = simulator_factory(objects=300, redirect_uri=(address,))
        with Browser(running) as browser:
            assert browser.authorize("connect", redirect_uri=address).status_code == 200
            assert browser.authorize("connect", redirect_uri=address + "/other").status_code == 400


class TestTheWayBack:
    @FLOWS
    def test_it_carries_code_and_state_and_what_the_address_had(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            carried = browser.decide(flow)
            assert carried["state"] == "opaque&state"
            assert carried["from"] == "here"
            assert carried["code"].startswith("ac_")

    @FLOWS
    def test_denying_is_an_error_with_the_state(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            carried = browser.decide(flow, decision="deny")
            assert (carried["error"], carried["state"]) == ("access_denied", "opaque&state")
            assert carried["error_description"]
            assert "code" not in carried

    @pytest.mark.parametrize(
        ("changes", "name"),
        [({"response_type": "token"}, "unsupported_response_type"), ({"scope": "everything"}, "invalid_scope")],
    )
    def test_what_cannot_be_asked_for(self, simulator: Simulator, changes: dict[str, str], name: str) -> None:
        with Browser(simulator) as browser:
            answer = browser.authorize("connect", **changes)
            carried = parse_qs(urlsplit(answer.headers["location"]).query)
            assert (carried["error"], carried["state"]) == ([name], ["opaque&state"])


class TestTokens:
    @FLOWS
    @pytest.mark.parametrize("mode", ["live", "test"])
    def test_a_code_gives_a_token_that_reads_the_chosen_side(self, simulator: Simulator, flow: str, mode: str) -> None:
        with Browser(simulator) as browser:
            grant = browser.granted(flow, mode)
            assert grant["stripe_user_id"] == simulator.account
            assert grant["livemode"] is (mode == "live")
            assert grant["token_type"] == "bearer"
            assert grant["scope"] == ("read_only" if flow == "connect" else "stripe_apps")
            rows = browser.http.get("/v1/charges", auth=(grant["access_token"], "")).json()["data"]
            assert {row["livemode"] for row in rows} == {mode == "live"}

    @FLOWS
    def test_a_code_works_once_and_a_second_use_ends_what_the_first_gave(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            code = browser.decide(flow)["code"]
            first = browser.token(flow, grant_type="authorization_code", code=code).json()
            assert browser.reads(first["access_token"]) == 200
            second = browser.token(flow, grant_type="authorization_code", code=code)
            assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
            assert browser.reads(first["access_token"]) == 401

    @FLOWS
    def test_a_code_lasts_five_minutes(self, own: Simulator, flow: str) -> None:
        with Browser(own) as browser:
            in_time, too_late = browser.decide(flow)["code"], browser.decide(flow)["code"]
            own.advance(timedelta(minutes=4, seconds=50))
            assert browser.token(flow, grant_type="authorization_code", code=in_time).status_code == 200
            own.advance(timedelta(seconds=20))
            late = browser.token(flow, grant_type="authorization_code", code=too_late)
            assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")
            assert "expired" in late.json()["error_description"]

    @FLOWS
    @pytest.mark.parametrize(
        ("given", "status", "name"),
        [
            ({"grant_type": "authorization_code", "code": "ac_neverGivenOutByAnybody"}, 400, "invalid_grant"),
            ({"grant_type": "authorization_code"}, 400, "invalid_request"),
            ({"grant_type": "refresh_token", "refresh_token": "rt_neverGivenOut"}, 400, "invalid_grant"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({}, 400, "invalid_request"),
        ],
    )
    def test_what_the_token_endpoint_refuses(
        self, simulator: Simulator, flow: str, given: dict[str, str], status: int, name: str
    ) -> None:
        with Browser(simulator) as browser:
            answer = browser.token(flow, **given)
            assert (answer.status_code, answer.json()["error"]) == (status, name)
            assert "neverGivenOut" not in answer.json()["error_description"]

    @FLOWS
    def test_a_wrong_or_foreign_secret_is_no_client(self, simulator: Simulator, flow: str) -> None:
        with Browser(simulator) as browser:
            code = browser.decide(flow)["code"]
            foreign = simulator.app_secret if flow == "connect" else simulator.connect_secret
            for secret in ("sk_live_51SimWrongWrongWrongWrong", foreign, simulator.live_key):
                answer = browser.token(flow, secret=secret, grant_type="authorization_code", code=code)
                assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
                assert secret not in answer.text
            assert browser.token(flow, grant_type="authorization_code", code=code).status_code == 200

    def test_a_connect_token_does_not_end_and_its_refresh_token_stays(self, own: Simulator) -> None:
        with Browser(own) as browser:
            grant = browser.granted("connect")
            own.advance(timedelta(days=300))
            assert browser.reads(grant["access_token"]) == 200
            again = browser.token("connect", grant_type="refresh_token", refresh_token=grant["refresh_token"]).json()
            assert again["refresh_token"] == grant["refresh_token"]
            assert browser.reads(again["access_token"]) == browser.reads(grant["access_token"]) == 200

    def test_an_app_token_lasts_an_hour_and_its_refresh_token_rolls(self, own: Simulator) -> None:
        with Browser(own) as browser:
            first = browser.granted("app")
            own.advance(timedelta(minutes=59))
            assert browser.reads(first["access_token"]) == 200
            own.advance(timedelta(minutes=2))
            expired = browser.http.get("/v1/charges", auth=(first["access_token"], ""))
            assert (expired.status_code, expired.json()["error"]["code"]) == (401, "api_key_expired")
            second = browser.token("app", grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
            assert second["refresh_token"] != first["refresh_token"]
            assert browser.reads(second["access_token"]) == 200
            dead = browser.token("app", grant_type="refresh_token", refresh_token=first["refresh_token"])
            assert (dead.status_code, dead.json()["error"]) == (400, "invalid_grant")
            third = browser.token("app", grant_type="refresh_token", refresh_token=second["refresh_token"])
            assert third.status_code == 200

    def test_an_app_token_reads_what_the_manifest_asks_for(self, own: Simulator) -> None:
        own.permit_app(["rak_customer_read"])
        with Browser(own) as browser:
            assert browser.reads(browser.granted("app")["access_token"]) == 403

    def test_a_refresh_token_ends_after_a_year(self, own: Simulator) -> None:
        with Browser(own) as browser:
            grant = browser.granted("app")
            own.advance(timedelta(days=366))
            late = browser.token("app", grant_type="refresh_token", refresh_token=grant["refresh_token"])
            assert (late.status_code, late.json()["error"]) == (400, "invalid_grant")


class TestTheEnd:
    def test_a_platform_reaches_an_account_while_it_is_connected(self, own: Simulator) -> None:
        with Browser(own) as browser:
            through = {"stripe_account": own.account}
            assert browser.reads(own.connect_secret, **through) == 403
            browser.granted("connect")
            assert browser.reads(own.connect_secret, **through) == 200
            assert browser.reads(own.connect_test_secret, **through) == 403
            own.withdraw()
            assert browser.reads(own.connect_secret, **through) == 403

    def test_deauthorizing_ends_the_tokens(self, own: Simulator) -> None:
        with Browser(own) as browser:
            grant = browser.granted("connect")
            given = {"client_id": own.connect_client_id, "stripe_user_id": own.account}
            secret = {"authorization": f"Bearer {own.connect_secret}"}
            answer = browser.http.post("/oauth/deauthorize", data=given, headers=secret)
            assert answer.json() == {"stripe_user_id": own.account}
            assert browser.reads(grant["access_token"]) == 401
            dead = browser.token("connect", grant_type="refresh_token", refresh_token=grant["refresh_token"])
            assert dead.json()["error"] == "invalid_grant"
            twice = browser.http.post("/oauth/deauthorize", data=given, headers=secret)
            assert (twice.status_code, twice.json()["error"]) == (401, "invalid_client")

    def test_withdrawing_in_the_dashboard_ends_the_tokens(self, own: Simulator) -> None:
        with Browser(own) as browser:
            token = browser.granted("app")["access_token"]
            assert own.withdraw() == 1
            assert browser.reads(token) == 401


def test_an_exchange_can_fail_like_any_request(simulator: Simulator) -> None:
    with Browser(simulator) as browser:
        code = browser.decide("connect")["code"]
        simulator.fault("status", status=503, path="/oauth/token")
        assert browser.token("connect", grant_type="authorization_code", code=code).status_code == 503
        assert browser.token("connect", grant_type="authorization_code", code=code).status_code == 200
