"""Child processes: started, watched, started again when they die, stopped together, and never left behind."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from takings import log
from takings.errors import Misconfigured, Unavailable

T = TypeVar("T")

#: Seconds a child has to stop by itself before it is killed.
GRACE_S = 15.0
#: A child that lived this long was well: its earlier deaths no longer count.
WELL_AFTER_S = 60.0
#: Exit code of a wrong setting or argument: starting again would not help.
MISCONFIGURED = Misconfigured.exit_code


def restart_delay_s(deaths: int) -> float:
    """Return how long to wait before a child that died is started again, in seconds.

    Args:
        deaths: How often it died in a row, at least 1.

    Returns:
        Half a second, doubled with each death, a minute at most.
    """
    return float(min(60.0, 0.5 * 2.0 ** (min(deaths, 10) - 1)))


def this_program(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs ``takings`` with this very Python."""
    return (sys.executable, "-m", "takings", *arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs.

    Attributes:
        name: Its name in the log.
        command: Program and arguments.
        env: Variables on top of our own.
        pass_fds: Open files handed down, such as a listening socket.
        on_line: Called with each line it prints (in a thread); None leaves its output where ours goes.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    on_line: Callable[[str], None] | None = None


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[str]
    started: float
    deaths: int = 0


class Stopped(Exception):
    """Someone asked this process to stop while it was waiting."""


class Gone(Exception):
    """A child ended in a way that starting it again would not mend.

    Args:
        name: The child's name.
        exit_code: What it ended with.
    """

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(name)
        self.exit_code = exit_code


class Supervisor:
    """Holds a few children for as long as the ``with`` block lasts.

    A child that dies is started again after a growing pause. SIGINT, SIGTERM and SIGHUP end the block's waits with
    :class:`Stopped`; leaving the block stops every child: SIGTERM first, SIGKILL after ``grace_s``, or at once at a
    second signal. Children stop by themselves when this process dies in any way, for each follows it
    (:func:`follow_parent`).

    Args:
        grace_s: Seconds the children have to stop.
    """

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._children: dict[str, _Child] = {}
        self._due: dict[str, tuple[float, Program, int]] = {}
        self._handlers: dict[signal.Signals, Any] = {}
        self._signals = 0
        self._log = log.get("up")

    def __enter__(self) -> Supervisor:
        for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[kind] = signal.signal(kind, self._signalled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self._events.put("")

    def start(self, program: Program) -> None:
        """Start a child and keep it running from now on."""
        self._spawn(program, deaths=0)

    def _spawn(self, program: Program, deaths: int) -> None:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            program.command,
            env={**os.environ, **program.env, "TAKINGS_FOLLOW_PARENT": "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if program.on_line else None,
            pass_fds=program.pass_fds,
            text=True,
            # Ctrl-C in the terminal reaches only us: we stop the children in order.
            start_new_session=True,
        )
        self._children[program.name] = _Child(program, process, time.monotonic(), deaths)
        self._log.info("up.started", child=program.name, pid=process.pid)
        threading.Thread(target=self._watch, args=(program, process), name=f"watch {program.name}", daemon=True).start()

    def _watch(self, program: Program, process: subprocess.Popen[str]) -> None:
        if program.on_line and process.stdout:
            with process.stdout as lines:
                for line in lines:
                    program.on_line(line)
        process.wait()
        self._events.put(program.name)

    def wait(self, future: Future[T]) -> T:
        """Wait for a value while the children are kept running.

        Raises:
            Stopped: A signal asked us to stop.
            Gone: A child ended for good.
            Exception: What the future failed with.
        """
        future.add_done_callback(lambda _: self._events.put(""))
        while not future.done():
            self._next_event()
        return future.result()

    def call(self, work: Callable[[], T]) -> T:
        """Do a piece of work in a thread while the children are kept running; raises as :meth:`wait` does."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return self.wait(future)

    def run(self) -> None:
        """Keep the children running until a signal comes.

        Raises:
            Gone: A child ended for good.
        """
        try:
            while True:
                self._next_event()
        except Stopped:
            return

    def _next_event(self) -> None:
        if self._signals:
            raise Stopped
        now = time.monotonic()
        for name, (due, program, deaths) in list(self._due.items()):
            if due <= now:
                del self._due[name]
                self._spawn(program, deaths)
        wait = min((due for due, _, _ in self._due.values()), default=None)
        try:
            name = self._events.get(timeout=None if wait is None else max(0.0, wait - now))
        except queue.Empty:
            return
        if self._signals:
            raise Stopped
        if name:
            self._died(name)

    def _died(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is None:
            return
        code = child.process.returncode
        if child.process.stdin:
            child.process.stdin.close()
        if code == MISCONFIGURED:
            raise Gone(name, code)
        lived_s = time.monotonic() - child.started
        deaths = 1 if lived_s >= WELL_AFTER_S else child.deaths + 1
        delay_s = restart_delay_s(deaths)
        self._log.error("up.child_died", child=name, exit_code=code, lived_s=round(lived_s, 1), again_in_s=delay_s)
        self._due[name] = (time.monotonic() + delay_s, child.program, deaths)

    def stop(self) -> None:
        """Stop all children, last started first asked, and wait until they are gone."""
        asked = self._signals
        children = list(reversed(self._children.values()))
        for child in children:
            _send(child.process, signal.SIGTERM)
        deadline = time.monotonic() + self._grace_s
        for child in children:
            while True:
                try:
                    child.process.wait(timeout=min(0.2, max(0.0, deadline - time.monotonic())))
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() >= deadline or self._signals > max(asked, 1):
                        self._log.warning("up.killed", child=child.program.name, pid=child.process.pid)
                        _send(child.process, signal.SIGKILL)
                        child.process.wait()
                        break
        for child in children:
            if child.process.stdin:
                child.process.stdin.close()
            self._log.info("up.stopped", child=child.program.name)
        self._children.clear()
        self._due.clear()


def _send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def follow_parent(grace_s: float = GRACE_S) -> None:
    """Stop this process when its parent dies, however it dies.

    The parent holds the other end of our standard input; the system closes it when the parent is gone. Then we ask
    ourselves to stop as SIGTERM does, and end by force after ``grace_s``.
    """

    def watch() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="follow parent", daemon=True).start()


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; a second signal ends the process at once."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop


def listen(host: str, port: int, wait_s: float = 0.0) -> socket.socket:
    """Take the port, so that nobody else can, and so that a restart of the server loses no visitor.

    Args:
        host: Name or address.
        port: 0 takes a free one.
        wait_s: How long to wait for a port that is just being given up.

    Raises:
        Misconfigured: The port is taken, may not be used, or the address is not this machine's.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address[:2], family=family, backlog=512)
        except PermissionError as error:
            raise Misconfigured(
                "up.port_forbidden",
                f"Port {port} may not be used by this user: choose one from 1024 upwards with --port or TAKINGS_PORT.",
                port=port,
            ) from error
        except OSError as error:
            if "already in use" in str(error).lower():
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                raise Misconfigured(
                    "up.port_taken",
                    f"Port {port} on {host} is taken by another program: stop that one, or choose another port with "
                    "--port or TAKINGS_PORT.",
                    port=port,
                    host=host,
                ) from error
            raise Misconfigured(
                "up.host_unknown",
                f"This machine has no address {host}: set TAKINGS_HOST to one it has, such as 127.0.0.1 or 0.0.0.0.",
                host=host,
            ) from error


def answers(host: str, port: int, timeout_s: float = 90.0) -> None:
    """Wait until the web server answers a request.

    Raises:
        Unavailable: It did not within ``timeout_s``.
    """
    from http.client import HTTPConnection, HTTPException

    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to knock, not where to listen
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        connection = HTTPConnection(target, port, timeout=max(1.0, deadline - time.monotonic()))
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except (OSError, HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    raise Unavailable(
        "up.web_silent", f"The web server gave no answer within {timeout_s:.0f} s: see its log above.", port=port
    )


LOCK_FILE = "up.lock"
USE_FILE = "use.lock"


@contextmanager
def only_one(home: Path, **about: str | int) -> Iterator[Callable[..., None]]:
    """Hold the data folder for one ``takings up``; yields a function that writes who holds it and where it answers.

    The lock ends with the process, however it ends.

    Raises:
        Misconfigured: Another process holds it; the sentence names it and its address.
    """
    with (home / LOCK_FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = running(home) or {}
            raise Misconfigured(
                "up.already_running",
                f"Takings already runs on {home} (process {holder.get('pid', '?')}, {holder.get('url', 'starting')}): "
                "use that one, stop it, or choose another data folder with TAKINGS_HOME.",
                path=str(home),
                pid=holder.get("pid"),
            ) from error

        def tell(**more: str | int) -> None:
            file.seek(0)
            file.truncate()
            json.dump({"pid": os.getpid(), **about, **more}, file)
            file.flush()

        tell()
        yield tell
        file.truncate(0)


def running(home: Path) -> dict[str, Any] | None:
    """Return what a running ``takings up`` on this data folder says of itself (``pid``, ``url``), None if none runs."""
    try:
        with (home / LOCK_FILE).open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                try:
                    found: dict[str, Any] = json.loads(file.read() or "{}")
                except ValueError:  # read while it was being written
                    return {}
                return found
    except FileNotFoundError:
        return None
    return None


@contextmanager
def using(home: Path) -> Iterator[None]:
    """Say that this process works on the data folder, for as long as the ``with`` block lasts; many may at once.

    Raises:
        Unavailable: It is being restored.
    """
    with (home / USE_FILE).open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                "archive.restoring", f"{home} is being restored: wait until that is done.", path=str(home)
            ) from error
        yield


@contextmanager
def unused(home: Path) -> Iterator[None]:
    """Keep the data folder from being worked on, for as long as the ``with`` block lasts.

    Raises:
        Misconfigured: A process of this machine works on it: ``takings up``, a web server, a worker, or a command.
    """
    busy = Misconfigured("archive.running", f"Takings runs on {home}: stop it first.", path=str(home))
    if running(home) is not None:
        raise busy
    with ExitStack() as held:
        try:
            file = held.enter_context((home / USE_FILE).open("r", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass  # nobody ever worked there
        except BlockingIOError as error:
            raise busy from error
        yield


def run_product(
    supervisor: Supervisor,
    listener: socket.socket,
    *,
    home: Path,
    host: str,
    env: Mapping[str, str],
    arguments: Sequence[str] = (),
) -> None:
    """Start the web server on a listening socket and, once it answers, one worker.

    Args:
        supervisor: Who keeps them running.
        listener: The socket the web server takes over.
        home: The data folder, handed down.
        host: Address to knock at.
        env: More variables for both.
        arguments: More arguments for the web server.

    Raises:
        Stopped: A signal asked us to stop.
        Gone: A child ended for good.
        Unavailable: The web server never answered.
    """
    port = listener.getsockname()[1]
    shared = {**env, "TAKINGS_HOME": str(home), "TAKINGS_PORT": str(port), "TAKINGS_HOST": host}
    supervisor.start(
        Program(
            name="web",
            command=this_program("web", "--fd", str(listener.fileno()), *arguments),
            env=shared,
            pass_fds=(listener.fileno(),),
        )
    )
    supervisor.call(lambda: answers(host, port))
    supervisor.start(Program(name="worker", command=this_program("worker"), env=shared))
