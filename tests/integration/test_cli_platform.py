"""Platforms and organisations on the command line: what is connected, what is told, what goes along."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from takings.cli import main
from takings.simulator import Simulator

COUNT = 16


@pytest.fixture(scope="module")
def stripe() -> Iterator[Simulator]:
    with Simulator(objects=300, test_objects=300, seed=6, rate=0, test_rate=0, endpoint_rate=0, connected=COUNT) as it:
        yield it


@pytest.fixture
def run(
    stripe: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run a command in this process on a data folder of its own; return its exit code and what it said."""
    monkeypatch.setenv("TAKINGS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAKINGS_STRIPE_API_BASE", stripe.api_base)
    for name in ("LIVE", "SANDBOX", "ENDPOINT"):
        monkeypatch.setenv(f"TAKINGS_RATE_{name}", "1000")
    monkeypatch.setattr("takings.cli.common.can_ask", lambda: False)

    def command(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return code, said.out, said.err

    yield command
    structlog.reset_defaults()


Run = Callable[..., tuple[int, str, str]]


def as_json(ran: tuple[int, str, str]) -> Any:
    assert ran[0] == 0, ran[2]
    return json.loads(ran[1])


def test_a_platform_with_its_accounts(run: Run, stripe: Simulator) -> None:
    code, out, err = run(
        "connect", "--api-key", "-", "--connected-accounts", "--name", "Halles", stdin=stripe.platform_key
    )
    assert code == 0, err
    assert f"with {COUNT} connected accounts" in out
    assert f"{COUNT} connected accounts, followed too" in err
    assert stripe.platform_key not in out + err
    (platform,) = as_json(run("status", "--json"))["connections"]
    assert platform["connected_accounts"] == {"total": COUNT, "by_status": {"waiting": COUNT}, "rows": 0}
    assert f"Halles: {COUNT} connected accounts ({COUNT} waiting)" in run("status")[1]
    every = as_json(run("status", "--accounts", "--json"))["connections"]
    assert {one["account"] for one in every if one["platform"] == platform["id"]} == set(stripe.connected())
    account = next(iter(stripe.connected()))
    code, _, err = run("connect", "--reauthenticate", account, "--api-key", "-", stdin=stripe.platform_key)
    assert code == 2
    assert "re-authenticate “Halles”" in err
    assert run("disconnect", "Halles", "--yes")[0] == 0
    assert as_json(run("status", "--accounts", "--json"))["connections"] == []


def test_accounts_that_are_named_and_accounts_that_are_not_there(run: Run, stripe: Simulator) -> None:
    first, *others = stripe.org_accounts
    code, _, err = run("connect", "--api-key", "-", stdin=stripe.org_key)
    assert (code, "name those to connect" in err) == (2, True)
    named = [word for account in (first, *others) for word in ("--account", account)]
    told = as_json(run("connect", "--api-key", "-", *named, "--name", "First", "--json", stdin=stripe.org_key))
    assert (told["account"], [one["account"] for one in told["others"]]) == (first, others)
    code, _, err = run(
        "connect", "--reauthenticate", "First", "--api-key", "-", "--account", first, "--account", others[0],
        stdin=stripe.org_key,
    )  # fmt: skip
    assert (code, "for one account" in err) == (2, True)
    assert run("connect", "--reauthenticate", "First", "--api-key", "-", stdin=stripe.org_key)[0] == 0
    code, _, err = run("connect", "--api-key", "-", "--connected-accounts", stdin=stripe.test_key)
    assert (code, "leave out --connected-accounts" in err) == (2, True)
