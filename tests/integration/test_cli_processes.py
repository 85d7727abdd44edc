"""Child processes: started again when they die, stopped in order, and gone when their parent is, however it went."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import psutil
import pytest

from takings.cli import processes
from takings.cli.demo import sweep
from takings.cli.processes import Gone, Program, Stopped, Supervisor
from takings.errors import Misconfigured

FOLLOWS = "from takings.cli.processes import follow_parent; follow_parent(2);"


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", FOLLOWS + code)


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.02)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def living(pids: list[str]) -> list[str]:
    return [p for p in pids if psutil.pid_exists(int(p)) and psutil.Process(int(p)).status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    return tmp_path / "noted"


def noting(file: Path, then: str) -> tuple[str, ...]:
    """Return a child that writes its pid into a file and then does something."""
    return child(f"import os, sys, time; open({str(file)!r}, 'a').write(str(os.getpid()) + '\\n'); {then}")


def test_a_child_that_dies_is_started_again(noted: Path) -> None:
    done: Future[None] = Future()

    def heard(_line: str) -> None:
        if len(lines(noted)) >= 3 and not done.done():
            done.set_result(None)

    with Supervisor(grace_s=10) as supervisor:
        supervisor.start(
            Program(name="dies", command=noting(noted, "print('here', flush=True); sys.exit(1)"), on_line=heard)
        )
        supervisor.wait(done)
    assert len(set(lines(noted))) >= 3


def test_a_child_with_a_wrong_setting_is_not_started_again(noted: Path) -> None:
    with Supervisor(grace_s=10) as supervisor:
        supervisor.start(Program(name="wrong", command=noting(noted, "sys.exit(2)")))
        with pytest.raises(Gone) as caught:
            supervisor.run()
    assert caught.value.exit_code == 2
    assert len(lines(noted)) == 1


def test_leaving_stops_all_children_and_kills_the_deaf(noted: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    ready: Future[None] = Future()
    with Supervisor(grace_s=0.5) as supervisor:
        supervisor.start(Program(name="willing", command=noting(noted, "time.sleep(600)")))
        supervisor.start(Program(name="deaf", command=noting(noted, deaf), on_line=lambda _: ready.set_result(None)))
        supervisor.wait(ready)
        until(lambda: len(lines(noted)) == 2)
    assert living(lines(noted)) == []


def test_a_signal_ends_the_wait(noted: Path) -> None:
    never: Future[None] = Future()
    with Supervisor(grace_s=10) as supervisor:
        supervisor.start(Program(name="waits", command=noting(noted, "time.sleep(600)")))
        until(lambda: len(lines(noted)) == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped):
            supervisor.wait(never)
    assert living(lines(noted)) == []


def test_work_that_fails_tells_why() -> None:
    def work() -> None:
        raise Misconfigured("some.code", "A sentence.")

    with Supervisor() as supervisor, pytest.raises(Misconfigured, match="A sentence"):
        supervisor.call(work)


PARENT = """
import sys
from takings.cli.processes import Program, Supervisor
with Supervisor() as supervisor:
    for number in range(2):
        supervisor.start(Program(name=f"c{number}", command=%r))
    supervisor.run()
"""


@pytest.fixture
def parent(noted: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT % (noting(noted, "time.sleep(600)"),)])
    until(lambda: len(lines(noted)) == 2)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_behind_however_the_parent_goes(
    parent: subprocess.Popen[bytes], noted: Path, number: signal.Signals
) -> None:
    assert len(living(lines(noted))) == 2
    parent.send_signal(number)
    parent.wait()
    until(lambda: living(lines(noted)) == [])


def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    with processes.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"Port {port} on 127.0.0.1 is taken by another program"):
            processes.listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(Misconfigured, match=r"has no address 192\.0\.2\.1"):
        processes.listen("192.0.2.1", 0)


def test_a_port_that_is_being_given_up_is_waited_for() -> None:
    with processes.listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
    with processes.listen("127.0.0.1", port, wait_s=5) as again:
        assert again.getsockname()[1] == port


def test_only_one_holds_a_data_folder_and_says_who(tmp_path: Path) -> None:
    assert processes.running(tmp_path) is None
    with processes.only_one(tmp_path) as tell:
        tell(url="http://127.0.0.1:1")
        assert processes.running(tmp_path) == {"pid": os.getpid(), "url": "http://127.0.0.1:1"}
        with (
            pytest.raises(Misconfigured, match=rf"already runs on .*process {os.getpid()}, http://127.0.0.1:1"),
            processes.only_one(tmp_path),
        ):
            pass
    assert processes.running(tmp_path) is None
    with processes.only_one(tmp_path):
        pass


def test_the_lock_ends_with_a_killed_holder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from takings.cli.processes import only_one\n"
        f"with only_one(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert processes.running(tmp_path) == {"pid": holder.pid}
        holder.kill()
        holder.wait()
    assert processes.running(tmp_path) is None


def test_the_web_answers_only_when_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(processes.Unavailable, match="no answer within 1 s"):
        processes.answers("127.0.0.1", port, timeout_s=1.0)


def test_a_demo_sweeps_up_after_one_that_was_killed_and_lets_a_running_one_be(tmp_path: Path) -> None:
    killed, running, foreign = (tmp_path / f"takings-demo-{name}" for name in ("killed", "running", "foreign"))
    for folder in (killed, running, foreign):
        folder.mkdir()
    with processes.only_one(killed):
        pass
    with processes.only_one(running):
        sweep(tmp_path)
        assert (killed.exists(), running.exists(), foreign.exists()) == (False, True, True)
