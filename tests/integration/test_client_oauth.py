"""Both OAuth flows against the simulated Stripe: what is granted, and what every refusal becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from takings.clock import SystemClock
from takings.errors import Misconfigured, Refused, Unavailable
from takings.settings import load
from takings.simulator import Simulator
from takings.stripe import oauth

CLOCK = SystemClock()
BACK = "http://127.0.0.1:9/back"


@pytest.fixture(scope="module")
def own() -> Simulator:  # type: ignore[misc]
    with Simulator(objects=300, test_objects=200) as running:
        yield running  # type: ignore[misc]


def provider(simulator: Simulator, way: oauth.OAuthWay) -> oauth.Provider:
    found = oauth.Provider.of(load(simulator.environ() | {"TAKINGS_HOME": "/nonexistent"}), way)
    assert found is not None
    return found


def hidden(page: httpx2.Response) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))


def clicked(
    simulator: Simulator, way: oauth.OAuthWay, *, mode: str = "live", decision: str = "connect"
) -> dict[str, str]:
    """Go through the pages as a person does; return what comes back on the redirect."""
    with httpx2.Client(base_url=simulator.api_base, trust_env=False) as browser:
        access = browser.get(oauth.authorize_url(provider(simulator, way), state="s&1", redirect_uri=BACK))
        sign_in = browser.get("/oauth/sign_in", params=hidden(access))
        given = {"email": simulator.email, "password": simulator.password}
        consent = browser.get(browser.post("/oauth/sign_in", data=hidden(sign_in) | given).headers["location"])
        choice = {"account": f"{simulator.account}:{mode}", "decision": decision}
        back = browser.post("/oauth/consent", data=hidden(consent) | choice).headers["location"]
        assert back.startswith(BACK)
        return {name: value for name, [value] in parse_qs(urlsplit(back).query).items()}


def reads(simulator: Simulator, token: str) -> int:
    with httpx2.Client(base_url=simulator.api_base, trust_env=False) as http:
        return http.get("/v1/charges", headers={"authorization": f"Bearer {token}"}).status_code


WAYS = pytest.mark.parametrize("way", ["app_oauth", "connect_oauth"])


@WAYS
@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_code_becomes_tokens_that_open_the_account(own: Simulator, way: oauth.OAuthWay, mode: str) -> None:
    back = clicked(own, way, mode=mode)
    assert back["state"] == "s&1"
    grant = oauth.exchange_code(provider(own, way), back["code"], CLOCK)
    assert (grant.account_id, grant.livemode) == (own.account, mode == "live")
    assert reads(own, grant.access_token) == 200
    assert grant.access_token not in repr(grant)
    assert str(grant.refresh_token) not in repr(grant)
    if way == "app_oauth":
        assert grant.expires_at is not None
        assert timedelta(minutes=59) < grant.expires_at - CLOCK.now() <= timedelta(hours=1)
    else:
        assert grant.expires_at is None


@WAYS
def test_a_code_works_once(own: Simulator, way: oauth.OAuthWay) -> None:
    code = clicked(own, way)["code"]
    oauth.exchange_code(provider(own, way), code, CLOCK)
    for wrong in (code, "ac_never_given"):
        with pytest.raises(Refused) as told:
            oauth.exchange_code(provider(own, way), wrong, CLOCK)
        assert told.value.code == "oauth.code_refused"
        assert code not in f"{told.value}{told.value.fields}"


def test_a_refresh_token_works_once_and_gives_the_next(own: Simulator) -> None:
    app = provider(own, "app_oauth")
    first = oauth.exchange_code(app, clicked(own, "app_oauth")["code"], CLOCK)
    assert first.refresh_token is not None
    second = oauth.refresh(app, first.refresh_token, CLOCK)
    assert second.refresh_token not in (None, first.refresh_token)
    assert reads(own, second.access_token) == 200
    with pytest.raises(Refused) as told:
        oauth.refresh(app, first.refresh_token, CLOCK)
    assert told.value.code == "oauth.grant_refused"


@WAYS
def test_saying_no_is_told_as_such(own: Simulator, way: oauth.OAuthWay) -> None:
    back = clicked(own, way, decision="deny")
    told = oauth.denied(back["error"], provider(own, way))
    assert (type(told), told.code) == (Refused, "oauth.denied")
    assert oauth.denied("<script>", provider(own, way)).fields["error"] == "unknown"


@WAYS
@pytest.mark.parametrize("secret", ["sk_live_51Wrong", "sk_live\nX: y", "é"])
def test_a_wrong_secret_is_the_installation_s_matter(own: Simulator, way: oauth.OAuthWay, secret: str) -> None:
    wrong = replace(provider(own, way), secret=secret)
    with pytest.raises(Misconfigured) as told:
        oauth.exchange_code(wrong, clicked(own, way)["code"], CLOCK)
    assert told.value.code == "oauth.client_refused"
    assert secret not in f"{told.value}{told.value.fields}{wrong!r}"


def test_deauthorizing_ends_access_and_may_be_said_twice(own: Simulator) -> None:
    platform = provider(own, "connect_oauth")
    grant = oauth.exchange_code(platform, clicked(own, "connect_oauth")["code"], CLOCK)
    oauth.deauthorize(platform, grant.account_id)
    assert reads(own, grant.access_token) == 401
    oauth.deauthorize(platform, grant.account_id)
    with pytest.raises(Misconfigured):
        oauth.deauthorize(replace(platform, secret="sk_live_51Wrong"), grant.account_id)


def test_an_app_is_uninstalled_by_its_user(own: Simulator) -> None:
    oauth.deauthorize(replace(provider(own, "app_oauth"), token_base="http://127.0.0.1:9"), own.account)


@WAYS
def test_nobody_there_means_to_try_again(own: Simulator, way: oauth.OAuthWay) -> None:
    away = replace(provider(own, way), token_base="http://127.0.0.1:9")
    with pytest.raises(Unavailable) as told:
        oauth.exchange_code(away, "ac_1", CLOCK)
    assert told.value.code == "oauth.unreachable"


@pytest.mark.parametrize(
    ("set_up", "there"),
    [
        ({}, False),
        ({"CLIENT_ID": "ca_1"}, False),
        ({"SECRET": "sk_1"}, False),
        ({"CLIENT_ID": "ca_1", "SECRET": "sk_1"}, True),
    ],
)
def test_a_way_is_there_only_when_id_and_secret_are(set_up: dict[str, str], there: bool) -> None:
    ways: dict[oauth.OAuthWay, str] = {"app_oauth": "APP", "connect_oauth": "CONNECT"}
    for way, name in ways.items():
        environ = {f"TAKINGS_STRIPE_{name}_{key}": value for key, value in set_up.items()} | {
            "TAKINGS_HOME": "/nonexistent"
        }
        assert (oauth.Provider.of(load(environ), way) is not None) == there


def test_faults_of_the_token_endpoint_are_not_repeated_blindly(
    own: Simulator, simulator_factory: Callable[..., Simulator]
) -> None:
    app = provider(own, "app_oauth")
    own.fault("status", path="/v1/oauth/token", status=500)
    code = clicked(own, "app_oauth")["code"]
    own.reset_stats()
    with pytest.raises(Unavailable) as told:
        oauth.exchange_code(app, code, CLOCK)
    assert told.value.code == "oauth.down"
    assert len([path for _, path, _, _ in own.requests() if path == "/v1/oauth/token"]) <= 1
