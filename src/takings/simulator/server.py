"""The HTTP side: an ASGI application that checks key, limits and faults, and lets the world answer."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import os
import random
import re
import signal
import socket
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from isal import isal_zlib
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from takings.errors import Misconfigured
from takings.simulator import faults as fault
from takings.simulator.control import Control
from takings.simulator.endpoints import OPENED_BY, template
from takings.simulator.keys import Caller, lacking, no_such_account, not_a_key
from takings.simulator.limits import Slot, locked, too_many
from takings.simulator.options import Options
from takings.simulator.replies import Headers, Reply, as_json, error
from takings.simulator.simulation import Simulation
from takings.simulator.strange import cursor, with_strangers
from takings.simulator.world import API_VERSION

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: Bodies shorter than this are sent as they are.
_GZIP_FROM_BYTES: Final = 1_000
_GZIP_LEVEL: Final = 1
_GZIP_CONTAINER: Final = 31  # zlib's window bits for a gzip header

_CONNECTION: Final = "takings.connection"
_VERSION = re.compile(rb"\d{4}-\d{2}-\d{2}(\.[a-z]+)?")
_OUR_VERSION: Final = API_VERSION.encode()
_BODY_LIMIT_BYTES: Final = 1 << 24


class App:
    """The ASGI application over one simulated Stripe."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._control = Control(simulation)
        self._dice = random.Random(simulation.options.seed)
        self._request_number = self._dice.getrandbits(40)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(("/v1/", "/v2/")) and path != "/v1/oauth/token":
            await self._api(scope, receive, send)
        elif path.startswith("/_sim/"):
            await self._controlled(scope, receive, send)
        else:
            await self._oauth(scope, receive, send)

    # The API

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        path: str = scope["path"]
        query: bytes = scope["query_string"]
        authorization = on_behalf = context = version = encoding = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"stripe-account":
                on_behalf = value
            elif name == b"stripe-context":
                context = value
            elif name == b"stripe-version":
                version = value
            elif name == b"accept-encoding":
                encoding = value
        caller = self._sim.keys.identify(authorization, on_behalf, context)
        early: Reply | None = None
        slot: Slot | None = None
        rule: fault.Rule | None = None
        if isinstance(caller, Reply):
            early = caller
        else:
            slot = Slot(caller.pool, caller.livemode, f"{method} {template(path)}")
            reason = self._sim.limits.enter(slot, time.monotonic())
            if reason is not None:
                slot, early = None, too_many(reason)
            else:
                rule = self._sim.faults.meet(path, query.decode("latin-1"), caller.livemode)
        self._sim.stats.begin()
        try:
            await self._wait(rule)
            if early is not None:
                reply = early
            else:
                assert isinstance(caller, Caller)
                reply = spoilt(rule, caller, path) or self._answer(caller, method, path, query, version)
                reply = self._altered(rule, caller, reply)
        finally:
            self._sim.stats.end()
            if slot is not None:
                self._sim.limits.leave(slot)
        if method not in ("GET", "HEAD", "OPTIONS"):
            self._sim.stats.writes[f"{method} {template(path)}"] += 1
            print(f"simulator: REFUSED A WRITE: {method} {template(path)}", file=sys.stderr, flush=True)
        headers: Headers = (
            self._date(),
            (b"stripe-version", version if version and _is_version(version) else _OUR_VERSION),
        )
        if on_behalf is not None:
            headers += ((b"stripe-account", on_behalf),)
        if context is not None:
            headers += ((b"stripe-context", context),)
        self._sim.stats.count(method, template(path), path, query, reply.status, len(reply.body))
        if rule is not None and rule.kind == "truncated":
            reply = reply._replace(body=reply.body[: len(reply.body) // 2])
        reply = reply._replace(headers=reply.headers + headers + self._request_id() + _retry_headers(rule))
        await _respond(scope, receive, send, _compressed(reply, encoding), rule)

    def _altered(self, rule: fault.Rule | None, caller: Caller, reply: Reply) -> Reply:
        """Return an answer with what a fault adds to it; what it takes away, it takes away after."""
        if rule is None or reply.status != 200:
            return reply
        if rule.kind == "strange":
            return reply._replace(body=with_strangers(reply.body))
        if rule.kind == "vanish" and (last := cursor(reply.body)) is not None:
            self._sim.world.account(caller.account, caller.livemode).delete(last, event=rule.event)
        return reply

    async def _wait(self, rule: fault.Rule | None) -> None:
        seconds = self._sim.latency_ms / 1000
        if self._sim.jitter:
            seconds *= 1 + self._sim.jitter * self._dice.uniform(-1, 1)
        if rule is not None and rule.kind == "slow":
            seconds += rule.seconds
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _answer(self, caller: Caller, method: str, path: str, query: bytes, version: bytes | None) -> Reply:
        if version is not None and not _is_version(version):
            return error(400, f"Invalid Stripe API version: {version.decode('latin-1')}")
        if method != "GET":
            return lacking(caller, path, "write")
        refusal = self._sim.keys.refusal(caller, path)
        if refusal is not None:
            return refusal
        try:
            account = self._sim.world.account(caller.account, caller.livemode)
        except KeyError:
            if caller.account == self._sim.platform.account:
                return error(400, "This simulated platform has no data of its own: send Stripe-Account.")
            return no_such_account(caller.key.secret, caller.account)
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        for name, value in pairs:
            inside = OPENED_BY.get(value.rpartition(".")[2]) if name.startswith("expand[") else None
            refusal = self._sim.keys.refusal(caller, inside) if inside else None
            if refusal is not None:
                return refusal
        try:
            listed = None
            if caller.account == self._sim.platform.account:
                listed = self._sim.platform.get(path, pairs, caller.livemode)
            status, body = listed or account.get(path, pairs)
        except Exception:  # a fault of the simulator's own: answered as Stripe would, and told loudly
            traceback.print_exc()
            return error(500, "The simulator itself failed: its stderr tells how.", kind="api_error")
        return Reply(status, body)

    def _date(self) -> tuple[bytes, bytes]:
        return b"date", formatdate(self._sim.clock.unix(), usegmt=True).encode()

    def _request_id(self) -> Headers:
        self._request_number += 1
        return ((b"request-id", b"req_%014x" % self._request_number),)

    # OAuth and the rest

    async def _oauth(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path, query = scope["method"], scope["path"], scope["query_string"].decode("latin-1")
        rule = self._sim.faults.meet(path, query, None)
        body = await _body(receive)
        await self._wait(rule)
        reply = spoilt(rule, None, path) or self._sim.oauth.handle(method, path, query, dict(scope["headers"]), body)
        if reply is None:
            reply = error(404, f"Unrecognized request URL ({method}: {path}).")
        self._sim.remember()
        self._sim.stats.count(method, path, path, b"", reply.status, len(reply.body))
        reply = reply._replace(headers=reply.headers + self._request_id() + _retry_headers(rule))
        await _respond(scope, receive, send, reply, rule)

    async def _controlled(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if any(name == b"origin" for name, _ in scope["headers"]):  # a page in somebody's browser has no say here
            await _respond(scope, receive, send, as_json({"problem": "Controls are not for browsers."}, 403), None)
            return
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        answer = self._control.handle(scope["method"], scope["path"], query, body)
        self._sim.remember()
        if isinstance(answer, Reply):
            await _respond(scope, receive, send, answer, None)
            return
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/x-ndjson")]}
        )
        for lines in answer:
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def spoilt(rule: fault.Rule | None, caller: Caller | None, path: str) -> Reply | None:
    """Return the answer that a fault puts in place of the right one, or None where it leaves that alone."""
    if rule is None:
        return None
    match rule.kind:
        case "status":
            kind = "api_error" if rule.status >= 500 else "invalid_request_error"
            return error(rule.status, "An error occurred while processing this request.", kind=kind)
        case "rate_limit":
            return too_many(rule.reason)
        case "lock_timeout":
            return locked()
        case "malformed":
            return Reply(200, b'{"object": "list", "data": [{"id": }], "has_more": nope}')
        case "html":
            page = b"<!doctype html><html><head><title>Sign in to the network</title></head><body>Hello.</body></html>"
            return Reply(200, page, ((b"content-type", b"text/html; charset=utf-8"),))
        case "unauthorized":
            return not_a_key(caller.key.secret if caller else "")
        case "forbidden":
            return lacking(caller, path) if caller else error(403, "This is not permitted.")
        case _:
            return None


def _retry_headers(rule: fault.Rule | None) -> Headers:
    if rule is None:
        return ()
    headers: Headers = ()
    if rule.should_retry is not None:
        headers += ((b"stripe-should-retry", b"true" if rule.should_retry else b"false"),)
    if rule.retry_after is not None:
        headers += ((b"retry-after", str(rule.retry_after).encode()),)
    return headers


def _is_version(text: bytes) -> bool:
    return _VERSION.fullmatch(text) is not None


def _compressed(reply: Reply, accepted: bytes | None) -> Reply:
    if accepted is None or b"gzip" not in accepted or len(reply.body) < _GZIP_FROM_BYTES:
        return reply
    body = isal_zlib.compress(reply.body, _GZIP_LEVEL, _GZIP_CONTAINER)
    more: Headers = ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))
    return Reply(reply.status, body, reply.headers + more)


async def _respond(scope: Scope, receive: Receive, send: Send, reply: Reply, rule: fault.Rule | None) -> None:
    kind = None if rule is None else rule.kind
    if kind == "drop_before":
        await _drop(scope, receive)
        return
    headers = [*reply.headers, (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if kind == "drop_middle":
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        scope["extensions"][_CONNECTION].close()  # what was written still goes out
        await _gone(receive)
        return
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


async def _drop(scope: Scope, receive: Receive) -> None:
    scope["extensions"][_CONNECTION].abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes:
    parts = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= _BODY_LIMIT_BYTES:
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if size <= _BODY_LIMIT_BYTES else b""


# Running it


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol, which lets the application cut its connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_CONNECTION: self.transport}  # type: ignore[dict-item]


class _Server(uvicorn.Server):
    """Uvicorn's server, which says when it is ready and watches its parent."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], parent: int | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._parent = parent
        self._watch: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._parent is not None:
            self._watch = asyncio.get_running_loop().create_task(self._watch_parent(self._parent))
        self._ready()

    async def _watch_parent(self, parent: int) -> None:
        while os.getppid() == parent:
            await asyncio.sleep(0.25)
        self.should_exit = True


def serve(options: Options) -> None:
    """Build the world, listen, print the ready line, and serve until told to stop.

    Raises:
        Misconfigured: The address is not a loopback one, or cannot be listened on.
    """
    parent = os.getppid() if options.with_parent else None
    listening = _listen(options.host, options.port)
    simulation = Simulation(options)
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def ready() -> None:
        print(msgspec.json.encode({"api": address} | simulation.credentials).decode(), flush=True)

    gc.collect()
    gc.freeze()
    # Answers hold no cycles: looking for some cost a third of the CPU of a page.
    gc.set_threshold(100_000, 50, 50)
    config = uvicorn.Config(
        App(simulation),
        http=_Protocol,
        ws="none",
        loop="auto",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    for signum in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again once it has stopped
        signal.signal(signum, lambda *_: None)
    _Server(config, ready, parent).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise Misconfigured(
                "simulator.not_loopback",
                f"The simulator listens on loopback addresses only, and {host} is none: use 127.0.0.1 or ::1.",
                host=host,
            )
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as problem:
        raise Misconfigured(
            "simulator.cannot_listen",
            f"The simulator cannot listen on {host}, port {port} ({problem.strerror}): choose another.",
            host=host,
            port=port,
        ) from problem
