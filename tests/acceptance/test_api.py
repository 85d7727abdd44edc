"""The HTTP API with tokens: the same answers as the command line and the pages, whole, bounded, and for nobody else."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import httpx2
import pytest

from takings.accounts import Person
from takings.answers.query import turn
from takings.cli import main
from takings.connections import Credentials
from takings.reports import REPORTS
from takings.simulator import Simulator
from takings.web.api.door import TRIES
from takings.web.api.routes import describe

from .conftest import Site, as_json, csrf_of

MONTH = "from=2026-09-01&to=2026-09-30"


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A smaller Stripe than the others': what is held here is that answers are the same, not that they are many."""
    end = datetime(2026, 11, 1, tzinfo=UTC)
    with Simulator(objects=1_500, test_objects=100, seed=7, end=end, rate=0, test_rate=0, endpoint_rate=0) as running:
        yield running


@pytest.fixture(scope="module")
def company(make_site: Callable[..., Site], simulator: Simulator) -> Site:
    """A product with the company in it, and its figures."""
    stripe = {name.removeprefix("TAKINGS_").lower(): value for name, value in simulator.environ().items()}
    site = make_site(**stripe)
    site.administrator()
    app = site.app
    credentials = Credentials(way="key", secret=simulator.live_key)
    pending = app.connections.pend(None, credentials, app.connections.probe(credentials))
    made = app.connections.confirm(None, pending, "Company", None)
    assert app.sync.run_once(made.id).state == "complete"
    app.builder.build("Europe/Paris")
    return site


@pytest.fixture(scope="module")
def owner(company: Site) -> Person:
    return company.app.people.authenticate("ada@example.com", "correct horse battery")


@pytest.fixture(scope="module")
def api(company: Site, owner: Person) -> Iterator[httpx2.Client]:
    token = company.app.tokens.make(owner, "Tests", "admin")
    with bearing(company, token) as client:
        yield client


@pytest.fixture
def run(company: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command on the same data folder and return what it printed as JSON."""
    monkeypatch.setenv("TAKINGS_HOME", str(company.app.settings.home))

    def command(*arguments: str) -> Any:
        capfd.readouterr()
        main([*arguments, "--json"])
        return json.loads(capfd.readouterr().out)

    return command


def bearing(site: Site, token: str) -> httpx2.Client:
    """Return a program that bears a token; the caller closes it."""
    return httpx2.Client(base_url=site.url + "/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=60)


def got(client: httpx2.Client, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers
    return answer.json()


def timeless(value: Any) -> Any:
    """Return values without those that say when they were asked for."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("known_at", "lag_seconds", "done")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def wrong(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of an error, which has the one shape that errors have."""
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"} and body["error"]["message"]
    return answer.status_code, body["error"]["code"]


# -- the same figures everywhere


@pytest.mark.parametrize(
    ("metric", "more"),
    [("gross_volume", ["--by", "month"]), ("fee_rate", []), ("mrr", [])],
)
def test_the_api_the_command_and_the_page_give_one_figure(
    metric: str, more: list[str], api: httpx2.Client, run: Callable[..., Any], company: Site, owner: Person
) -> None:
    by = {"by": more[1]} if more else {}
    said = run("explain", metric, "--period", "2026-09-01..2026-10-01", *more)
    assert said["values"], "the company has none of it"
    asked = {"from": "2026-09-01", "to": "2026-09-30", **by}
    told = got(api, f"/metrics/{metric}/explain", **asked)
    assert told == said
    assert got(api, f"/metrics/{metric}/explain", period="2026-09", **by) == said
    assert got(api, f"/metrics/{metric}", **asked) == {key: value for key, value in said.items() if key != "sums"}
    with company.client(owner) as client:
        for one in said["values"]:
            page = as_json(client, f"/explain?metric={metric}&range=custom&{MONTH}&currency={one['currency']}")
            assert Fraction(page["value"]) == Fraction(one["value"]), one


def test_pages_of_contributions_are_all_of_them_once_and_add_up(api: httpx2.Client, run: Callable[..., Any]) -> None:
    whole = run("explain", "fees", "--period", "2026", "--currency", "eur", "--all")["sums"][0]
    assert whole["next_offset"] is None
    found, offset = [], 0
    while offset is not None:
        page = got(api, "/metrics/fees/explain", period="2026", currency="EUR", limit=29, offset=offset)["sums"][0]
        assert len(page["contributions"]) <= 29
        found += page["contributions"]
        offset = page["next_offset"]
    assert found == whole["contributions"] and len(found) > 60
    (figure,) = whole["figures"]
    assert sum(one["amount"] for one in found) == figure["amount"] and figure["lines"] == len(found)
    assert {(one["currency"], one["exponent"]) for one in (*found, figure)} == {("eur", 2)}


def test_a_figure_is_filtered_known_and_converted_as_elsewhere(
    api: httpx2.Client, run: Callable[..., Any], company: Site
) -> None:
    filters = ("--only", "part=charge", "--in", "eur", "--known", "2026-06-30")
    filtered = run("explain", "gross_volume", "--period", "2026", *filters)
    asked = {"period": "2026", "only": "part=charge", "into": "eur", "known": "2026-06-30"}
    assert got(api, "/metrics/gross_volume/explain", **asked) == filtered
    assert filtered["converted"]["exponent"] == 2 and filtered["known_at"].startswith("2026-07-01")
    other = run("explain", "mrr", "--at", "2026-10-31", "--policy", "conservative")
    assert timeless(got(api, "/metrics/mrr/explain", at="2026-10-31", policy="conservative")) == timeless(other)
    assert other["policy"] == "conservative 2"
    account = company.app.connections.all()[0].account_id
    assert got(api, "/metrics/fees", account=account)["values"] == got(api, "/metrics/fees")["values"]
    assert got(api, "/metrics/fees", test="true")["values"] == []


def test_recurring_revenue_rolls_forward_as_the_command_says(api: httpx2.Client, run: Callable[..., Any]) -> None:
    told = run("recurring", "--period", "2026-03-01..2026-09-01", "--in", "eur")
    assert got(api, "/recurring", period="2026-03-01..2026-09-01", into="eur") == told
    whole, moved = told["converted"], [name for name in told["converted"] if name.endswith("_mrr")]
    assert len(moved) == 5 and whole["opening"] + sum(whole[name] for name in moved) + whole["fx"] == whole["closing"]
    for one in told["currencies"]:
        assert one["opening"] + sum(one[name] for name in moved) == one["closing"] and "exponent" in one
    other = run("recurring", "--policy", "conservative")
    assert got(api, "/recurring", policy="conservative") == other
    assert (other["policy"], "converted" in other) == ("conservative 2", False)
    assert got(api, "/recurring", test="true")["currencies"] == []
    assert wrong(api.get("/recurring?policy=none"))[0] == 404
    assert wrong(api.get("/recurring?period=soon")) == (422, "answers.no_period")


def test_conditions_on_one_dimension_are_met_by_any_of_their_values(api: httpx2.Client) -> None:
    whole = got(api, "/metrics/fees", period="2026", currency="eur", by="part")["groups"]
    one, other = whole[0]["group"], whole[1]["group"]
    both = got(api, "/metrics/fees", period="2026", currency="eur", only=[f"part={one}", f"part={other}"])
    assert int(both["values"][0]["value"]) == int(whole[0]["value"]) + int(whole[1]["value"])


def test_metrics_are_listed_with_what_they_mean(api: httpx2.Client, run: Callable[..., Any], company: Site) -> None:
    told = got(api, "/metrics")
    assert told["metrics"] == run("metrics")
    by_name = {one["metric"]: one for one in told["metrics"]}
    assert set(by_name) == {*company.app.registry.measures, *company.app.registry.derived}
    assert by_name["fees"]["unit"] == "money" and "balance_transactions" in by_name["fees"]["needs"]
    assert by_name["mrr"]["depends_on_policy"] and not by_name["fees"]["depends_on_policy"]
    assert "stripe 1" in told["policies"] and "month" in told["grains"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/metrics/no_such", 404, "metrics.unknown"),
        ("/metrics/fees?by=no_such", 422, "metrics.no_cut"),
        ("/metrics/fees?curency=eur", 422, "api.unknown_parameter"),
        ("/metrics/fees?currency=eur&currency=usd", 422, "api.parameter_twice"),
        ("/metrics/fees?currency=euros", 400, "api.parameter"),
        ("/metrics/fees?from=yesterday", 400, "api.parameter"),
        ("/metrics/fees?from=2026-10-02&to=2026-10-01", 422, "api.days_order"),
        ("/metrics/fees?to=9999-12-31", 422, "answers.no_date"),
        ("/metrics/fees?known=9999-12-31", 422, "answers.no_date"),
        ("/metrics/fees?period=2026&at=2026-01-01", 422, "api.days"),
        ("/metrics/fees?period=26", 422, "answers.no_period"),
        ("/metrics/fees?only=part", 422, "answers.no_filter"),
        ("/metrics/fees?policy=no_such", 404, "metrics.no_policy"),
        ("/metrics/fees?policy=conservative&known=2026-01-01", 422, "metrics.known_policy"),
        ("/metrics/fees/explain?limit=1001", 400, "api.parameter"),
        ("/metrics/fees/explain?limit=x", 400, "api.parameter"),
        ("/tables/no_such", 404, "reports.no_table"),
        ("/tables/charges/rows?after=nowhere", 422, "answers.no_cursor"),
        ("/tables/charges/rows/ch_none", 404, "reports.no_row"),
        ("/reports/no_such", 404, "api.no_report"),
        ("/reports/balance_summary?zone=Mars", 422, "answers.no_zone"),
        ("/reports/balance_summary?account=nobody", 404, "connection.unknown_name"),
        ("/nothing", 404, "api.no_route"),
        ("/query", 405, "api.no_method"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_shape(api: httpx2.Client, path: str, status: int, code: str) -> None:
    assert wrong(api.get(path)) == (status, code)


# -- tables


def test_tables_and_their_rows_come_whole_page_by_page(
    api: httpx2.Client, run: Callable[..., Any], company: Site
) -> None:
    told = got(api, "/tables")["tables"]
    assert told == run("tables", "--all")
    assert next(one for one in told if one["table"] == "charges")["state"] == "complete"
    columns = got(api, "/tables/charges")["columns"]
    assert next(one for one in columns if one["name"] == "amount")["description"]
    found, after = [], None
    while True:
        page = got(api, "/tables/charges/rows", limit=333, **({"after": after} if after else {}))
        found += page["rows"]
        if (after := page["next"]) is None:
            break
    ids = [one["id"] for one in found]
    assert ids == sorted(set(ids))
    ((count, amount),) = company.app.warehouse.query("SELECT count(*), sum(amount) FROM stripe.charges").rows
    assert (len(found), sum(one["amount"] for one in found)) == (count, amount)
    assert got(api, f"/tables/charges/rows/{ids[0]}")["row"] == found[0]
    account = found[0]["_account"]
    assert len(got(api, "/tables/charges/rows", account=account, livemode="true", limit=1)["rows"]) == 1
    assert got(api, "/tables/charges/rows", livemode="false")["rows"] == []
    assert {one["name"] for one in columns} == set(found[0])


# -- SQL


def test_a_question_in_sql_is_answered_as_json_and_csv(api: httpx2.Client, run: Callable[..., Any]) -> None:
    sql = "SELECT currency, sum(amount) AS minor, 1.50::DECIMAL(9,2) AS d, NULL AS n FROM stripe.charges GROUP BY 1 ORDER BY 1"
    told = api.post("/query", json={"sql": sql}).json()
    assert told["rows"] == run("query", sql) and told["rows"]
    assert [one["name"] for one in told["columns"]] == ["currency", "minor", "d", "n"]
    assert (told["columns"][0]["type"], told["rows"][0]["d"], told["truncated"]) == ("VARCHAR", "1.50", False)
    answer = api.post("/query", json={"sql": sql}, headers={"accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv") and answer.headers["x-takings-truncated"] == "false"
    assert [row["minor"] for row in csv.DictReader(io.StringIO(answer.text))] == [
        str(one["minor"]) for one in told["rows"]
    ]
    cut = api.post("/query", json={"sql": "SELECT id, id FROM stripe.charges", "limit": 2}).json()
    assert cut["truncated"] and len(cut["rows"]) == 2 and set(cut["rows"][0]) == {"id", "id_2"}


def test_a_question_of_sigmas_is_answered_as_by_the_command(api: httpx2.Client, run: Callable[..., Any]) -> None:
    sql = "select currency, count(*) as n from charges group by 1 order by 1"
    told = api.post("/query", json={"sql": sql, "dialect": "sigma"}).json()
    assert told["rows"] == run("query", "--dialect", "sigma", sql) and told["rows"]
    assert wrong(api.post("/query", json={"sql": "select nothing from charges", "dialect": "sigma"}))[0] == 422


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sql": "DELETE FROM stripe.charges"}, 422, "sql.select_only"),
        ({"sql": "SELECT 1; SELECT 2"}, 422, "sql.select_only"),
        ({"sql": "SELEC 1"}, 422, "sql.syntax"),
        ({"sql": "SELECT nothing FROM stripe.charges"}, 422, "sql.wrong"),
        ({"sql": "SELECT * FROM read_csv('/etc/passwd')"}, 422, "sql.function"),
        ({"sql": "SELECT * FROM '/etc/passwd'"}, 422, "sql.file"),
        ({"sql": "COPY (SELECT 1) TO '/tmp/x'"}, 422, "sql.select_only"),
        ({"sql": "ATTACH '/tmp/x.db'"}, 422, "sql.select_only"),
        ({"sql": "SELECT 1", "account": "acct_1"}, 422, "sql.not_sigma"),
        ({"sql": "SELECT 1", "limit": 10_001}, 400, "api.parameter"),
        ({"sql": "SELECT 1", "dialect": "klingon"}, 400, "api.parameter"),
        ({"sql": ""}, 400, "api.parameter"),
        ({}, 400, "api.parameter"),
        ([], 400, "api.parameter"),
    ],
)
def test_sql_is_asked_within_the_guards(api: httpx2.Client, body: Any, status: int, code: str) -> None:
    assert wrong(api.post("/query", json=body)) == (status, code)


def test_a_question_that_takes_too_long_is_given_up(api: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takings.answers.query.SECONDS", 0.3)
    sql = "SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b WHERE (a.range * b.range) % 7 = 3"
    answer = api.post("/query", json={"sql": sql})
    assert wrong(answer) == (503, "sql.timeout")
    assert api.post("/query", json={"sql": "SELECT 1 AS one"}).json()["rows"] == [{"one": 1}]


def test_no_more_are_worked_on_than_the_server_has_room_for(
    api: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("takings.answers.query._PATIENCE_S", 0.05)
    with turn(), turn():
        assert wrong(api.post("/query", json={"sql": "SELECT 1"})) == (503, "sql.busy")
        assert wrong(api.get("/metrics/mrr", params={"policy": "conservative"})) == (503, "sql.busy")
        assert api.get("/metrics/fees").status_code == 200
    assert api.post("/query", json={"sql": "SELECT 1 AS one"}).status_code == 200


# -- the books


def test_stripes_reports_and_the_month_are_those_of_the_command(
    api: httpx2.Client, run: Callable[..., Any], company: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    assert got(api, "/reports")["reports"] == list(REPORTS)
    told = got(api, "/reports/balance_change_from_activity", period="2026-09", currency="eur")
    main(["report", "balance_change_from_activity", "--period", "2026-09", "--currency", "eur"])
    said = capfd.readouterr().out
    answer = api.get(
        "/reports/balance_change_from_activity?period=2026-09&currency=eur", headers={"accept": "text/csv"}
    )
    assert answer.text == said and "set-cookie" not in answer.headers
    assert int(answer.headers["x-takings-missing"]) == len(told["missing"])
    lines = list(csv.DictReader(io.StringIO(said)))
    assert told["columns"] == list(lines[0]) and len(told["rows"]) == len(lines)
    for row, line in zip(told["rows"], lines, strict=True):
        assert row["gross"]["exponent"] == 2 and row["gross"]["currency"] == "eur"
        assert row["gross"]["amount"] == round(Fraction(line["gross"]) * 100)
    statements = run("month-end", "--period", "2026-09")
    assert timeless(got(api, "/month-end", period="2026-09")["statements"]) == timeless(statements) and statements
    answer = api.get("/month-end?period=2026-09", headers={"accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["currency"], int(row["closing"])) for row in rows] == [
        (one["currency"], one["closing"]) for one in statements
    ]


def test_how_connections_stand_is_said_as_by_the_command_and_holds_no_secret(
    api: httpx2.Client, run: Callable[..., Any], simulator: Simulator
) -> None:
    told, said = got(api, "/status"), run("status")
    assert timeless(told["connections"]) == timeless(said["connections"]) and told["connections"][0]["status"]
    assert simulator.live_key not in json.dumps(told)


# -- who may ask


def test_tokens_open_what_their_role_may_and_as_long_as_they_may(site: Site, ada: Person) -> None:
    grace, app = site.joined(ada, "standard"), site.app
    tokens = {
        "all": app.tokens.make(ada, "All", "admin"),
        "less": app.tokens.make(ada, "Less", "read_only"),
        "grace": app.tokens.make(grace, "Hers", "standard"),
        "grace less": app.tokens.make(grace, "Hers", "read_only"),
        "over": app.tokens.make(ada, "Short", "admin", (app.clock.now() + timedelta(days=1)).date()),
    }

    def opens(name: str, path: str = "/metrics") -> int:
        with bearing(site, tokens[name]) as client:
            return client.get(path).status_code

    assert [opens(name) for name in tokens] == [200] * 5
    assert [opens(name, "/tables") for name in ("all", "less", "grace", "grace less")] == [200, 403, 200, 403]
    assert [opens(name, "/status") for name in ("all", "less", "grace")] == [200, 403, 403]
    app.people.change_role(ada, grace.id, "read_only")
    assert [opens(name) for name in ("grace", "grace less")] == [401, 200]
    app.people.change_role(ada, grace.id, "admin")
    assert [opens(name) for name in ("grace", "grace less")] == [401, 200], "what has died stays dead"
    app.people.disable(ada, grace.id)
    assert opens("grace less") == 401
    app.people.enable(ada, grace.id)
    assert opens("grace less") == 401
    assert app.tokens.revoke(ada, app.tokens.list(ada)[-1].id)
    assert opens("all") == 401
    said = [(one.action, one.subject) for one in app.audit.latest() if one.action.startswith("token.")]
    assert said[0] == ("token.revoked", "All") and said[-1] == ("token.made", "All") and len(said) == 6


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "takings_x"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer takings_" + "x" * 43},
        {"authorization": "Bearer Ünknown"},
    ],
)
def test_without_a_good_token_nothing_is_told(company: Site, headers: dict[str, str]) -> None:
    answer = httpx2.get(company.url + "/api/v1/metrics", headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert wrong(answer)[0] == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_cookies_and_addresses_carry_no_token(company: Site, owner: Person) -> None:
    token = company.app.tokens.make(owner, "Address", "admin")
    with company.client(owner, accept="application/json") as client:
        assert wrong(client.get("/api/v1/metrics"))[0] == 401
        assert wrong(client.post("/api/v1/query", json={"sql": "SELECT 1"}))[0] == 401
        for name in ("token", "access_token", "api_key"):
            answer = client.get("/api/v1/metrics", params={name: token})
            assert answer.status_code in (401, 422) and token not in answer.text
        client.cookies.set("authorization", f"Bearer {token}")
        assert wrong(client.get("/api/v1/metrics"))[0] == 401


def test_no_token_is_stored_or_logged(
    company: Site, owner: Person, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "uvicorn")
    token = company.app.tokens.make(owner, "Secret", "read_only")
    with bearing(company, token) as client:
        assert client.get(f"/tables/{token}").status_code == 403
        assert client.get(f"/nothing/{token}").status_code == 404
    said = capfd.readouterr()
    assert "api.refused" in said.err and token not in said.err + said.out
    assert not [one for one in caplog.records if one.name.startswith("uvicorn") and token in one.getMessage()]
    home = company.app.settings.home
    files = [path for path in home.glob("*") if path.is_file()]
    assert files and all(token.encode() not in path.read_bytes() for path in files)


# -- the description


def test_the_description_names_every_route_and_who_may_use_it(company: Site) -> None:
    described = httpx2.get(company.url + "/api/v1/openapi.json").json()
    assert described == json.loads(json.dumps(describe()))
    assert (
        described["openapi"].startswith("3.")
        and described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    )
    assert described["paths"]["/api/v1/query"]["post"]["security"] == [{"token": ["see_tables"]}]
    names = {one["name"] for one in described["paths"]["/api/v1/metrics/{name}"]["get"]["parameters"]}
    assert {
        "name",
        "from",
        "to",
        "at",
        "known",
        "by",
        "only",
        "currency",
        "account",
        "policy",
        "into",
        "test",
    } == names - {"period"}


def test_which_methods_there_are_is_told_and_no_other_site_is_let_in(company: Site) -> None:
    answer = httpx2.options(company.url + "/api/v1/query", headers={"origin": "https://evil.example"})
    assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (204, {"OPTIONS", "POST"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


# -- making tokens on the profile page


def test_a_token_is_made_shown_once_listed_and_revoked(site: Site, ada: Person) -> None:
    reader = site.joined(ada, "read_only")
    with site.client(reader) as client:
        csrf = csrf_of(client.get("/profile").text)
        made = client.post("/profile/tokens", data={"_csrf": csrf, "token_name": "Sheet", "token_role": "read_only"})
        token = made.text.split('id="token" readonly value="')[1].split('"')[0]
        assert token.startswith("takings_") and made.headers["cache-control"] == "no-store"
        assert token not in client.get("/profile").text
        with bearing(site, token) as program:
            assert program.get("/metrics").status_code == 200
        (listed,) = as_json(client, "/profile")["tokens"]
        assert (listed["token"]["name"], listed["over"]) == ("Sheet", False) and listed["token"]["used_at"]
        for field, value in (
            ("token_role", "admin"),
            ("token_day", "2020-01-01"),
            ("token_day", "soon"),
            ("token_name", ""),
        ):
            data = {"_csrf": csrf, "token_name": "More", "token_role": "read_only", field: value}
            assert client.post("/profile/tokens", data=data).status_code == 422, field
        with site.client(ada) as other:
            theirs = csrf_of(other.get("/profile").text)
            other.post(f"/profile/tokens/{listed['token']['id']}/revoke", data={"_csrf": theirs})
        assert len(as_json(client, "/profile")["tokens"]) == 1, "only its own person revokes it"
        client.post(f"/profile/tokens/{listed['token']['id']}/revoke", data={"_csrf": csrf})
        assert as_json(client, "/profile")["tokens"] == []
        with bearing(site, token) as program:
            assert program.get("/metrics").status_code == 401


def test_a_figure_of_the_api_is_that_of_the_lines(api: httpx2.Client, company: Site) -> None:
    told = {one["currency"]: int(one["value"]) for one in got(api, "/metrics/gross_volume", period="2026")["values"]}
    sql = got(api, "/metrics/gross_volume/explain", period="2026")["sums"][0]["sql"]
    assert told == {currency: int(amount) for currency, amount in company.app.warehouse.query(sql).rows}


def test_who_guesses_tokens_is_stopped_and_who_has_one_is_not(make_site: Callable[..., Site]) -> None:
    site = make_site()
    good = site.app.tokens.make(site.administrator(), "Works", "admin")
    late = site.app.tokens.make(
        site.app.people.authenticate("ada@example.com", "correct horse battery"), "Late", "admin"
    )
    with bearing(site, good) as works, bearing(site, "takings_guess") as guesses, bearing(site, late) as unheard:
        assert works.get("/metrics").status_code == 200
        assert [guesses.get("/metrics").status_code for _ in range(TRIES)] == [401] * TRIES
        refused = guesses.get("/metrics")
        assert wrong(refused) == (429, "web.too_many") and refused.headers["retry-after"] == "60"
        assert unheard.get("/metrics").status_code == 429, "a right guess is no better than a wrong one"
        assert works.get("/metrics").status_code == 200
