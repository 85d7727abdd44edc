"""The commands, against a simulated Stripe: what they print, what they leave, and how they end."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import structlog
import time_machine

from takings import app, settings
from takings.cli import main
from takings.simulator import Simulator
from takings.store.schema import deliveries


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def run(
    home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a command of the command line in this process, on a data folder of its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("TAKINGS_HOME", str(home))
    for name, value in simulator.environ().items():
        monkeypatch.setenv(name, value)

    def command(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        monkeypatch.setattr("takings.cli.common.can_ask", lambda: False)
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    yield command
    structlog.reset_defaults()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def templates(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two data folders to copy from: one with a connection, and one in which it is synchronised, too."""
    folder = tmp_path_factory.mktemp("templates")
    homes = {"connected": folder / "connected", "synced": folder / "synced"}

    def takings(*arguments: str, home: Path, stdin: str = "") -> None:
        subprocess.run(
            [sys.executable, "-m", "takings", *arguments, "--home", str(home)],
            env={**os.environ, **simulator.environ()},
            input=stdin,
            text=True,
            check=True,
        )

    takings("connect", "--api-key", "-", "--name", "Shop", home=homes["connected"], stdin=simulator.live_key)
    shutil.copytree(homes["connected"], homes["synced"])
    takings("sync", "--once", home=homes["synced"])
    return homes


@pytest.fixture
def connected(run: Run, home: Path, templates: dict[str, Path]) -> Run:
    """Run commands where an account is connected."""
    shutil.copytree(templates["connected"], home)
    return run


@pytest.fixture
def synced(run: Run, home: Path, templates: dict[str, Path]) -> Run:
    """Run commands where an account is connected and its data are loaded."""
    shutil.copytree(templates["synced"], home)
    return run


def test_connecting_shows_what_the_key_opens_and_keeps_the_key_to_itself(
    run: Run, simulator: Simulator, home: Path
) -> None:
    done = run("connect", "--api-key", "-", "--name", "Shop", "--json", stdin=f" {simulator.live_key}\n")
    assert done.code == 0, done.err
    said = done.json
    assert (said["name"], said["account"], said["livemode"]) == ("Shop", simulator.account, True)
    assert said["lists"]["/v1/charges"]["access"] == "allowed"
    assert said["estimate"]["objects"] > 1000
    assert simulator.live_key not in done.out + done.err
    files = [path for path in home.rglob("*") if path.is_file()]
    assert files and not [path for path in files if simulator.live_key.encode() in path.read_bytes()]
    assert home.stat().st_mode & 0o077 == 0


def test_the_key_comes_from_a_file_or_the_environment(
    run: Run, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text(simulator.live_key)
    assert run("connect", "--api-key-file", str(file)).code == 0
    monkeypatch.setenv("TAKINGS_API_KEY", simulator.test_key)
    done = run("connect")
    assert done.code == 0, done.err
    assert "test" in done.err
    modes = {one["livemode"] for one in run("status", "--json").json["connections"]}
    assert modes == {True, False}


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("", 2, "No key was entered"),
        ("pk_live_abcdefgh", 2, "publishable key"),
        ("rk_live_thisisnokeyatall", 5, "does not accept this key"),
    ],
)
def test_a_key_that_does_not_work_is_one_sentence(run: Run, given: str, code: int, said: str) -> None:
    done = run("connect", "--api-key", "-", stdin=given + "\n")
    assert done.code == code
    assert said in done.err and "Traceback" not in done.err
    assert not given or given not in done.err
    assert run("status", "--json").json["connections"] == []


def test_no_key_and_nobody_to_ask(run: Run) -> None:
    done = run("connect")
    assert done.code == 2 and "No key was given" in done.err


def test_the_same_account_is_not_connected_twice(connected: Run, simulator: Simulator) -> None:
    done = connected("connect", "--api-key", simulator.live_key)
    assert done.code == 2 and "already" in done.err
    assert len(connected("status", "--json").json["connections"]) == 1


def test_syncing_loads_every_row_and_says_so(connected: Run, simulator: Simulator) -> None:
    done = connected("sync", "Shop", "--json")
    assert done.code == 0, done.err
    (result,) = done.json
    assert result["complete"] and result["error"] is None
    filled = set(simulator.tables())
    short = {path for path, one in result["lists"].items() if one["state"] != "complete" and one["table"] in filled}
    assert not short

    rows = {one["table"]: one["rows"] for one in connected("tables", "--json").json}
    for table in ("charges", "customers", "invoices", "balance_transactions", "invoice_line_items", "prices"):
        there = len(simulator.objects(table))
        counted = connected("query", f"SELECT count(*) AS n FROM stripe.{table}", "--json").json[0]["n"]
        assert there == counted == rows[table] > 0, table

    (standing,) = connected("status", "--json").json["connections"]
    assert standing["complete_as_of"] and standing["run"]["state"] == "complete"
    again = connected("sync", "--once", "--json")
    assert again.code == 0 and again.json[0]["requests"] < result["requests"]


def test_lists_that_the_key_may_not_read_are_named(run: Run, simulator: Simulator) -> None:
    key = simulator.create_key(permissions=["charge", "customer", "balance_transaction"])
    done = run("connect", "--api-key", "-", "--name", "Little", stdin=key)
    assert done.code == 0, done.err
    assert "invoices" in done.err
    synced = run("sync", "Little", "--once")
    assert synced.code == 0, synced.err
    assert "forbidden" in synced.out and "/v1/invoices" in synced.out
    checked = run("doctor", "--json").json
    (check,) = [check for check in checked["checks"] if "Little" in check["name"]]
    assert check["state"] == "warning" and "/v1/invoices" in check["found"]


def test_a_revoked_key_ends_with_the_code_for_stripe_refuses(run: Run, simulator: Simulator) -> None:
    key = simulator.create_key()
    assert run("connect", "--api-key", "-", "--name", "Gone", stdin=key).code == 0
    simulator.revoke_key(key)
    done = run("sync", "Gone")
    assert done.code == 5
    assert key not in done.out + done.err
    (standing,) = run("status", "--json").json["connections"]
    assert standing["status"] == "reauth" and standing["reason"]
    doctor = run("doctor", "--json")
    assert doctor.code == 1 and not doctor.json["healthy"]

    # Another key of the same account mends it; one of the other mode does not.
    wrong = run("connect", "--reauthenticate", "Gone", "--api-key", "-", stdin=simulator.test_key)
    assert wrong.code == 2
    done = run("connect", "--reauthenticate", "Gone", "--api-key", "-", "--json", stdin=simulator.live_key)
    assert done.code == 0 and done.json["name"] == "Gone", done.err
    (standing,) = run("status", "--json").json["connections"]
    assert standing["status"] in ("waiting", "syncing")


def test_stripe_away_is_incomplete_and_the_next_sync_makes_it_whole(connected: Run, simulator: Simulator) -> None:
    simulator.fault("status", path="/v1/refunds", status=503, times=None, should_retry=False)
    done = connected("sync", "--once", "--json")
    assert done.code == 1
    assert done.json[0]["lists"]["/v1/refunds"]["state"] == "partial"
    simulator.clear_faults()
    again = connected("sync", "--once", "--json")
    assert again.code == 0 and again.json[0]["lists"]["/v1/refunds"]["state"] == "complete", again.err


QUESTION = "SELECT id, amount, currency, created FROM stripe.charges ORDER BY id LIMIT 7"


def test_the_same_answer_in_every_form(synced: Run, tmp_path: Path) -> None:
    rows = synced("query", QUESTION, "--format", "json").json
    assert len(rows) == 7
    read = list(csv.DictReader(io.StringIO(synced("query", QUESTION, "--format", "csv").out)))
    assert [{**row, "amount": int(row["amount"])} for row in read] == rows
    file = tmp_path / "rows.parquet"
    assert synced("query", QUESTION, "--output", str(file)).code == 0
    table = pq.read_table(file)
    assert table.column("id").to_pylist() == [row["id"] for row in rows]
    assert table.column("amount").to_pylist() == [row["amount"] for row in rows]
    shown = synced("query", "-", stdin=QUESTION).out
    assert all(row["id"] in shown for row in rows)


def test_a_limit_says_that_there_is_more(run: Run) -> None:
    done = run("query", "SELECT * FROM range(10)", "--limit", "3", "--format", "csv")
    assert done.out.split() == ["range", "0", "1", "2"]
    assert "there are more" in done.err
    assert "there are more" not in run("query", "SELECT * FROM range(3)", "--limit", "3").err


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "DROP TABLE stripe.charges", "SELECT 1; SELECT 2", "COPY (SELECT 1) TO '/tmp/x'", "SELECT nope"]
)
def test_only_selects_are_answered(run: Run, sql: str) -> None:
    done = run("query", sql)
    assert done.code == 2 and done.out == "" and done.err.startswith("Error: ")


COUNT = "SELECT count(*) AS n FROM stripe.charges"


def test_disconnecting_keeps_the_data_and_wants_a_yes(synced: Run) -> None:
    rows = synced("query", COUNT, "--json").json[0]["n"]
    assert synced("disconnect", "Shop").code == 2, "nobody is here to confirm"
    assert len(synced("status", "--json").json["connections"]) == 1
    assert synced("disconnect", "Shop", "--yes").code == 0
    assert synced("status", "--json").json["connections"] == []
    assert synced("query", COUNT, "--json").json[0]["n"] == rows > 0


def test_purging_deletes_every_row_and_version(synced: Run) -> None:
    rows = synced("query", COUNT, "--json").json[0]["n"]
    done = synced("disconnect", "Shop", "--purge", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["purged"] and done.json["tables"]["charges"] == rows > 0
    assert synced("query", COUNT, "--json").json[0]["n"] == 0
    assert synced("query", "SELECT count(*) AS n FROM raw.versions", "--json").json[0]["n"] == 0
    assert synced("status", "--json").json["connections"] == []


def test_tokens_of_the_api_are_made_listed_and_revoked(run: Run, home: Path) -> None:
    with closing(app.build(settings.load({"TAKINGS_HOME": str(home)}))) as made:
        made.people.setup(
            company_name="Shop", locale="en", time_zone="Europe/Paris", currency="eur", email="ada@example.com", name="Ada",
            password="a long enough secret",
        )  # fmt: skip
    make = ("token", "--make", "Nightly export", "--for", "Ada@Example.com")
    assert run("token", "--json").json == []
    token = run(*make, "--role", "standard", "--until", "2999-12-31").out.strip()
    other = run(*make, "--json").json["token"]
    assert token.startswith("takings_") and other != token
    rows = run("token", "--json").json
    assert {(one["name"], one["owner"], one["role"]) for one in rows} == {
        ("Nightly export", "Ada", "standard"),
        ("Nightly export", "Ada", "read_only"),
    }
    (dated,) = [one for one in rows if one["expires_at"]]
    assert dated["role"] == "standard" and dated["expires_at"] == "2999-12-31T23:00:00Z"
    listed = run("token")
    assert "Nightly export" in listed.out and token not in listed.out + listed.err and other not in listed.out
    with closing(app.build(settings.load({"TAKINGS_HOME": str(home)}))) as made:
        assert (found := made.tokens.who(token)) is not None and (found.name, found.role) == ("Ada", "standard")
    assert dated["id"] not in [one["id"] for one in run("token", "--revoke", dated["id"], "--json").json]
    with closing(app.build(settings.load({"TAKINGS_HOME": str(home)}))) as made:
        assert made.tokens.who(token) is None and made.tokens.who(other) is not None
    for wrong, said in (
        (("--revoke", dated["id"]), "no token with this id"),
        (("--make", "Export"), "Give --make and --for together"),
        (("--until", "2999-12-31"), "--until is of a token"),
        (("--make", "Export", "--for", "eve@example.com"), "Nobody signs in with this address"),
        ((*make[1:], "--role", "owner"), "role"),
        ((*make[1:], "--until", "soon"), "is no date"),
        ((*make[1:], "--until", "2020-01-01"), "over already"),
    ):
        done = run("token", *wrong)
        assert done.code != 0 and said in done.err and done.out == "", (wrong, done)


def test_a_webhooks_address_and_secrets(connected: Run) -> None:
    first, second = "whsec_0123456789abcdefghij", "whsec_jihgfedcba9876543210"
    said = connected("webhook", "Shop").out
    assert "/webhooks/stripe/" in said and "none: nothing is accepted" in said
    connected("webhook", "Shop", "--add-secret", "-", stdin=f"{first}\n")
    done = connected("webhook", "Shop", "--add-secret", second, "--json")
    assert [one["ending"] for one in done.json["secrets"]] == ["3210", "ghij"]
    assert (done.json["waiting"], done.json["last_received_at"]) == (0, None)
    assert first not in done.out + done.err and second not in done.out + done.err
    assert connected("webhook", "Shop", "--remove", "none").code == 3
    assert [one["ending"] for one in connected("webhook", "Shop", "--remove", "ghij", "--json").json["secrets"]] == [
        "3210"
    ]
    assert connected("webhook", "Shop", "--add-secret", "rk_live_nothing").code == 2


def test_what_a_webhook_let_go_is_said(connected: Run, home: Path) -> None:
    assert connected("webhook", "Shop", "--json").json["let_go"] is None
    with closing(app.build(settings.load({"TAKINGS_HOME": str(home)}))) as parts:
        (connection,), now = parts.connections.all(), parts.clock.now()
        with parts.store.write() as db:
            gone = {"event_type": "customer.updated", "size_bytes": 100, "state": "let_go"}
            rows = [{"id": f"{n}", "event_id": f"evt_{n}", "received_at": now - timedelta(hours=n)} for n in (1, 2)]
            db.execute(
                sa.insert(deliveries),
                [{**gone, **row, "connection_id": connection.id, "handled_at": now} for row in rows],
            )
    said = connected("webhook", "Shop", "--json").json["let_go"]
    assert said["events"] == 2 and said["since"] < said["until"] < said["at"]
    assert "let go    2 since too many waited" in connected("webhook", "Shop").out


def test_a_connection_that_is_not_there(run: Run) -> None:
    for command in (["sync", "Nope"], ["disconnect", "Nope", "--yes"]):
        done = run(*command)
        assert done.code == 3 and "Nope" in done.err


def test_nothing_to_sync_says_what_to_do(run: Run) -> None:
    done = run("sync")
    assert done.code == 3 and "takings connect" in done.err


def test_the_doctor_finds_a_working_connection_well(connected: Run, simulator: Simulator) -> None:
    with time_machine.travel(simulator.advance(timedelta(0)), tick=True):  # its clock and ours agree
        done = connected("doctor", "--json")
    states = {check["name"]: check["state"] for check in done.json["checks"]}
    assert states["Connection “Shop”"] in ("ok", "warning")  # some lists are of products that answer 403
    assert states["Worker"] == "warning"
    assert done.code == 0 and done.json["healthy"]


def test_the_doctor_tells_a_clock_that_is_wrong(run: Run) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        done = run("doctor", "--json")
    (clock,) = [check for check in done.json["checks"] if check["name"] == "Clock"]
    assert clock["state"] == "failed" and "ahead of" in clock["found"] and done.code == 1


@pytest.mark.parametrize("command", ["status", "doctor", "tables"])
def test_a_wrong_setting_is_one_sentence(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAKINGS_PORT", "many")
    done = run(command)
    assert done.code in (1, 2) and "TAKINGS_PORT is 'many'" in done.out + done.err


def test_a_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("status", "--home", str(tmp_path / "file" / "below"))
    assert done.code == 2 and "cannot be written" in done.err


def test_wrong_arguments_end_with_two(run: Run) -> None:
    assert run("query").code == 2
    assert run("nonsense").code == 2
    assert run("connect", "--start", "yesterday").code == 2
    assert run("--version").out.startswith("takings ")


def test_what_nobody_foresaw_is_still_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("with rk_live_abcdefgh inside")

    monkeypatch.setattr("takings.settings.load", broken)
    done = run("status")
    assert done.code == 7 and "ZeroDivisionError" in done.err and "rk_live" not in done.err
