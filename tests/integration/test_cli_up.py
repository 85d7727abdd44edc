"""``takings up`` and ``takings demo`` as a person starts them: real processes, real ports, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "It never came true."
        time.sleep(0.05)


class Started:
    """A command that runs, with what it has said so far in a file."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.said_in = folder / f"said-{len(list(folder.glob('said-*')))}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TAKINGS_", "DISPLAY"))}
        with self.said_in.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "takings", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**clean, "TMPDIR": str(folder), **(env or {})},
            )

    @property
    def said(self) -> str:
        return self.said_in.read_text("utf-8")

    def url(self) -> str:
        """Wait until it says that it runs, and where."""
        until(lambda: "Takings runs at" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        found = ADDRESS.search(self.said[self.said.index("Takings runs at") :])
        assert found is not None, self.said
        return found.group()

    def children(self) -> dict[str, psutil.Process]:
        """Return its children by command: web, worker, simulator."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # one that has just died is none, a zombie too
                if command := child.cmdline():
                    found[command[command.index("takings") + 1]] = child
        return found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    running: list[Started] = []

    def begin(*arguments: str, env: Mapping[str, str] | None = None) -> Started:
        running.append(Started(tmp_path, *arguments, env=env))
        return running[-1]

    yield begin
    for one in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(one.process.pid).children(recursive=True), one.process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        one.process.wait()


def answer(url: str) -> tuple[int, str]:
    """Ask for a page, following redirects; return status and final address."""
    try:
        with urllib.request.urlopen(url, timeout=60) as got:
            got.read()
            return got.status, got.url
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.url


def gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_the_product_comes_up_mends_itself_and_goes_down(start: Callable[..., Started], tmp_path: Path) -> None:
    home = tmp_path / "home"
    product = start("up", "--port", "0", "--home", str(home))
    url = product.url()
    assert answer(f"{url}/healthz")[0] == 200
    status, where = answer(url)
    assert (status, where) == (200, f"{url}/setup"), "a fresh installation opens at its set-up"

    # Commands work meanwhile, and say that it runs.
    query = [sys.executable, "-m", "takings", "query", "SELECT 41 + 1 AS n", "--json", "--home", str(home)]
    assert json.loads(subprocess.check_output(query)) == [{"n": 42}]
    status_command = [sys.executable, "-m", "takings", "status", "--json", "--home", str(home)]
    until(lambda: json.loads(subprocess.check_output(status_command))["worker"])
    assert json.loads(subprocess.check_output(status_command))["url"] == url

    # A second one on the same folder is refused, and so is the port.
    second = start("up", "--port", "0", "--home", str(home))
    assert second.process.wait(60) == 2 and f"already runs on {home}" in second.said and url in second.said
    other = start("up", "--port", url.rpartition(":")[2], "--home", str(tmp_path / "other"))
    assert other.process.wait(60) == 2 and "is taken by another program" in other.said

    # A web server that dies is started again, and whoever asks meanwhile only waits.
    first = product.children()["web"]
    first.kill()
    until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    until(lambda: "web" in product.children() and product.children()["web"].pid != first.pid)
    assert answer(f"{url}/healthz")[0] == 200

    children = list(product.children().values())
    assert len(children) == 2
    product.process.terminate()
    assert product.process.wait(60) == 0, product.said
    assert gone(children)
    assert "Traceback" not in product.said


def test_killing_the_product_leaves_nothing_behind(start: Callable[..., Started], tmp_path: Path) -> None:
    home = tmp_path / "home"
    product = start("up", "--port", "0", "--home", str(home))
    url = product.url()
    until(lambda: len(product.children()) == 2)
    children = list(product.children().values())
    product.process.kill()
    product.process.wait()
    until(lambda: gone(children), seconds=30)
    # And it can be started again at once, on the same port.
    again = start("up", "--port", url.rpartition(":")[2], "--home", str(home))
    assert again.url() == url


def test_a_setting_that_is_wrong_stops_the_start_with_a_sentence(start: Callable[..., Started], tmp_path: Path) -> None:
    home = tmp_path / "home"
    product = start("up", "--port", "0", "--home", str(home), env={"TAKINGS_SECRET_KEY": "no key"})
    assert product.process.wait(60) == 2
    assert "TAKINGS_SECRET_KEY" in product.said and "Traceback" not in product.said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_demo_shows_a_connected_company_and_leaves_nothing(
    start: Callable[..., Started], tmp_path: Path, how: signal.Signals
) -> None:
    demo = start("demo", "--port", "0", "--objects", "1500", "--months", "12", "--no-browser")
    url = demo.url()
    assert answer(f"{url}/healthz")[0] == 200
    assert re.search(r"Sign in with +demo@example\.com +password +\S+", demo.said)
    home = re.search(r"Data folder +(\S+)", demo.said)
    assert home is not None and Path(home.group(1)).is_dir()
    question = [sys.executable, "-m", "takings", "status", "--json", "--home", home.group(1)]

    def loaded() -> bool:
        (standing,) = json.loads(subprocess.check_output(question))["connections"]
        assert standing["status"] in ("waiting", "syncing", "success"), standing
        return bool(standing["status"] == "success")

    until(loaded, seconds=200)
    until(lambda: set(demo.children()) == {"simulator", "web", "worker"})
    children = list(demo.children().values())
    demo.process.send_signal(how)
    code = demo.process.wait(60)
    until(lambda: gone(children), seconds=30)
    if how == signal.SIGINT:
        assert code == 0 and not Path(home.group(1)).exists()
        assert "Traceback" not in demo.said, demo.said


def test_the_demo_from_scratch_opens_at_the_set_up_with_a_key_to_connect(
    start: Callable[..., Started], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    demo = start("demo", "--from-scratch", "--port", "0", "--objects", "500", "--no-browser", "--home", str(home))
    url = demo.url()
    assert answer(url) == (200, f"{url}/setup")
    assert re.search(r"Restricted key +rk_live_\S+", demo.said)
    demo.process.terminate()
    assert demo.process.wait(60) == 0
    assert (home / "takings.db").exists(), "a folder of one's own is kept"
