"""`takings reconcile`, `sync` and `status` against a simulated Stripe that changes without a word."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from takings.app import App, build
from takings.cli import main
from takings.cli.reconcile import lists_of, moment_of
from takings.errors import Invalid
from takings.settings import load
from takings.simulator import Options, Simulator
from takings.store import Store
from takings.store.schema import list_states


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    """A small company of one's own, which these tests change."""
    with Simulator(Options(objects=500, test_objects=200, seed=11, rate=0, test_rate=0, endpoint_rate=0)) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def run(
    home: Path, stripe: Simulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """Run a command in this process, on the one data folder of this module, loaded before the first."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("TAKINGS_HOME", str(home))
    monkeypatch.setattr("takings.cli.common.can_ask", lambda: False)
    for name, value in stripe.environ().items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str) -> Ran:
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    if not (home / "takings.db").exists():
        assert command("connect", "--api-key", stripe.live_key, "--name", "Shop").code == 0
        early = command("reconcile", "Shop")
        assert early.code == 2
        assert "has not been loaded yet" in early.err
        assert command("sync", "Shop", "--once").code == 0
    yield command
    structlog.reset_defaults()
    for number, handler in handlers.items():
        signal.signal(number, handler)


Run = Callable[..., Ran]


def test_silent_changes_are_found_named_and_healed_and_the_second_time_nothing_differs(
    run: Run, stripe: Simulator
) -> None:
    customers = list(stripe.objects("customers"))
    for one in customers[:2]:
        stripe.update(one, {"name": "Changed without a word"}, event=False)
    stripe.delete(customers[2], event=False)
    done = run("reconcile", "Shop", "--resource", "customers", "--full", "--json")
    assert done.code == 0, done.err
    assert "about 1 request, about 1 second" in done.err
    (result,) = done.json
    assert (result["state"], result["differences"], result["error"]) == ("complete", 3, None)
    by_kind = {line["kind"]: line for line in result["tables"]}
    assert sorted(by_kind["stale"]["ids"]) == sorted(customers[:2])
    assert by_kind["ghost"]["ids"] == [customers[2]]
    assert all(line["healed"] == line["count"] and line["since"] for line in result["tables"])
    rows = run("query", "SELECT id, name, _deleted_at FROM stripe.customers", "--json").json
    here = {row["id"]: row for row in rows}
    assert {here[one]["name"] for one in customers[:2]} == {"Changed without a word"}
    assert here[customers[2]]["_deleted_at"] is not None

    stripe.update(customers[0], {"name": "Once more"}, event=False)
    shown = run("reconcile", "Shop", "-r", "/v1/customers", "--full")
    assert shown.code == 0
    assert "1 rows differed from Stripe's" in shown.out
    assert "older state here" in shown.out and customers[0] in shown.out
    assert "4 rows differed in 7 days (customers 4)" in run("status").out


def test_a_table_inside_others_is_compared_with_those(run: Run, stripe: Simulator) -> None:
    done = run("reconcile", "--resource", "invoice_line_items", "--json")
    assert done.code == 0, done.err
    assert done.json[0]["rows"] > 0
    assert done.json[0]["tables"] == [], "what was asked for before is not compared again"


def test_the_cost_said_before_counts_the_lists_inside_objects(run: Run, stripe: Simulator) -> None:
    """Forty invoices with more lines than come embedded take forty requests more, each time they are compared."""
    some = sorted(stripe.objects("invoices"))[:40]
    for invoice in some:
        for n in range(12):
            stripe.create("line_item", {"amount": n}, parent=invoice, event=False)
    (first,) = run("reconcile", "Shop", "-r", "invoices", "--full", "--json").json
    (second,) = run("reconcile", "Shop", "-r", "invoices", "--full", "--json").json
    assert second["requests"] > len(some)
    assert abs(second["requests_expected"] - second["requests"]) <= 3, second
    assert first["requests_expected"] < second["requests_expected"]  # nobody could know


def test_a_sync_that_finds_nothing_says_so_and_up_to_when_the_data_is_in_step(run: Run, stripe: Simulator) -> None:
    done = run("sync", "Shop", "--once")
    assert done.code == 0
    assert "Nothing new; 0 new events. Up to date as of 2" in done.out
    one = next(iter(stripe.objects("customers")))
    stripe.update(one, {"name": "Told"})
    (result,) = run("sync", "Shop", "--once", "--json").json
    assert (result["events"], result["rows_changed"], result["findings"]) == (1, 1, 0)
    assert result["as_of"] and result["requests"] >= 1


def test_a_list_that_cannot_be_read_makes_it_partial_and_is_tried_again_when_asked_for(
    run: Run, home: Path, stripe: Simulator
) -> None:
    with closing(Store.open(load({}, home=home))) as store, store.write() as db:
        db.execute(
            sa.update(list_states).where(list_states.c.list == "/v1/coupons").values(state="partial", reason="Away.")
        )
    stripe.fault("malformed", path="/v1/coupons", times=None)
    done = run("reconcile", "Shop", "-r", "coupons", "--full")
    assert done.code == 1
    assert "Shop: partial" in done.out and "Error: " in done.err
    assert run("reconcile", "Shop", "-r", "products").code == 0  # it was not asked for coupons
    known = run("status", "--json").json["connections"][0]
    assert known["status"] == "incomplete"
    assert known["health"]["word"] == "short"
    assert known["health"]["tables"]["coupons"]["state"] == "partial"
    assert known["health"]["requests"]["by_purpose"]["reconcile"] >= 3
    stripe.clear_faults()
    done = run("reconcile", "Shop", "-r", "coupons", "--full")
    assert done.code == 0
    assert "Shop: complete; nothing differed" in done.out


def test_a_wrong_wish_is_one_sentence(run: Run) -> None:
    done = run("reconcile", "Shop", "--resource", "chargs")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean charges?" in done.err and "Traceback" not in done.err


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    built = build(load({}, home=tmp_path))
    yield built
    built.close()


def test_what_a_person_names_is_found_or_told(app: App) -> None:
    assert lists_of(app, ["charges", "/v1/customers", "charges"]) == ["/v1/charges", "/v1/customers"]
    assert lists_of(app, ["invoice_line_items"]) == ["/v1/invoices"]
    for wrong, said in (("customer", "Did you mean customers"), ("quite another thing", "takings tables --all")):
        with pytest.raises(Invalid, match=said):
            lists_of(app, [wrong])
    for wrong, said in (("yesterday", "write it as 2026-03-01"), ("2999-01-01", "lies in the future")):
        with pytest.raises(Invalid, match=said):
            moment_of(app, wrong)


def test_a_day_begins_at_midnight_where_the_company_is(app: App) -> None:
    assert moment_of(app, "2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    app.people.setup(
        company_name="Bakery",
        locale="fr",
        time_zone="Europe/Paris",
        currency="eur",
        email="ada@example.com",
        name="Ada",
        password="correct horse battery",
    )
    assert moment_of(app, "2026-03-01") == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert moment_of(app, "2026-03-01T00:00:00Z") == datetime(2026, 3, 1, tzinfo=UTC)
