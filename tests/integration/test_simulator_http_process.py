"""The simulator as a process: its ready line, loopback only, its end, and what it remembers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from takings.errors import Unexpected
from takings.simulator import Options, Simulator
from takings.simulator.options import parse

COMMAND = [sys.executable, "-m", "takings.simulator", "--objects", "300", "--test-objects", "200"]


def until(condition: Callable[[], bool]) -> bool:
    """Wait for something that happens in another process; give up after a time no healthy run needs."""
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_the_ready_line_says_all_one_needs() -> None:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    keys = {"live_key", "test_key", "connect_secret", "connect_test_secret", "app_secret", "app_test_secret"}
    keys |= {"org_key", "org_test_key", "platform_key", "platform_test_key"}
    named = {"api", "account", "connect_client_id", "app_client_id", "user", "platform", "org_accounts"}
    assert set(told) == keys | named
    assert told["live_key"].startswith("rk_live_")
    assert told["test_key"].startswith("rk_test_")
    assert set(told["user"]) == {"email", "password"}
    answer = httpx2.get(f"{told['api']}/v1/account", auth=(told["live_key"], ""), trust_env=False)
    assert answer.json()["id"] == told["account"]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_it_listens_on_loopback_only(host: str) -> None:
    ended = subprocess.run([*COMMAND, "--host", host], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "loopback addresses only" in ended.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_is_not_reached_from_another_address(simulator: Simulator) -> None:
    port = urlsplit(simulator.api_base).port
    listening = [c.laddr for c in psutil.Process(simulator.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", port)]


def test_it_dies_with_its_parent() -> None:
    parent = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); p.wait()"
    process = subprocess.Popen(
        [sys.executable, "-c", parent, *COMMAND, "--with-parent"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    child = psutil.Process(process.pid).children()[0]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_stopping_leaves_nothing_and_may_be_repeated() -> None:
    with Simulator(objects=300, test_objects=200) as running:
        pid = running.pid
    assert not psutil.pid_exists(pid)
    running.stop()
    with pytest.raises(Unexpected):
        _ = running.pid


def test_a_start_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unexpected) as told:
        Simulator(host="192.0.2.1").start()
    assert "code 2" in told.value.sentence
    assert "loopback" in capfd.readouterr().err


def test_the_same_seed_gives_the_same_keys_and_another_seed_others() -> None:
    def keys(seed: int) -> tuple[str, str, str]:
        with Simulator(objects=300, test_objects=200, seed=seed) as running:
            return running.live_key, running.connect_client_id, running.app_secret

    first = keys(3)
    assert first == keys(3)
    assert not set(first) & set(keys(4))


def test_keys_outlive_a_restart_where_a_file_is_given(tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    options = Options(objects=300, test_objects=200, state=file)
    with Simulator(options) as running:
        made, revoked = running.create_key(permissions=["charge"]), running.create_key()
        running.revoke_key(revoked)
    assert file.stat().st_mode & 0o777 == 0o600
    with Simulator(options) as running:
        statuses = {
            (key, path): httpx2.get(f"{running.api_base}{path}", auth=(key, ""), trust_env=False).status_code
            for key in (made, revoked)
            for path in ("/v1/charges", "/v1/customers")
        }
    assert list(statuses.values()) == [200, 403, 401, 401]


def test_data_outlives_a_restart_where_a_file_is_given(tmp_path: Path) -> None:
    def charges(file: Path) -> dict[str, str]:
        with Simulator(objects=300, test_objects=200, state=file) as running:
            return running.objects("charges")

    first = charges(tmp_path / "one.json")
    time.sleep(1.1)  # the present has another second now
    assert charges(tmp_path / "one.json") == first
    assert charges(tmp_path / "other.json") != first


def test_options_and_command_line_are_one() -> None:
    options = Options(
        objects=123, latency_ms=2.5, redirect_uri=("https://a.example/x", "https://b.example/y"), with_parent=True
    )
    assert parse(options.arguments()) == options
    assert parse([]) == Options()
    assert parse(["--end", "2026-11-01T01:00:00+01:00"]).end == datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(SystemExit):
        parse(["--end", "2026-11-01T01:00:00"])
