"""A simulated Stripe in a process of its own, for the tests and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import msgspec

from takings.errors import Unexpected
from takings.simulator.options import Options

_READY_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 5.0


class _Ready(msgspec.Struct):
    api: str
    live_key: str
    test_key: str
    account: str
    connect_client_id: str
    connect_secret: str
    connect_test_secret: str
    app_client_id: str
    app_secret: str
    app_test_secret: str
    user: dict[str, str]
    platform: str
    platform_key: str
    platform_test_key: str
    org_key: str
    org_test_key: str
    org_accounts: list[str]


_NO_LIMIT = 10_000


class Simulator:
    """Starts ``python -m takings.simulator``, knows its keys, and turns its controls.

    It dies with the process that started it. Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    Args:
        options: How to start it.
        **changes: Single options by name, over ``options``: ``objects=5_000``.
    """

    def __init__(self, options: Options | None = None, **changes: Any) -> None:
        self.options = replace(options or Options(), **changes, with_parent=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: _Ready | None = None

    def start(self) -> Self:
        """Start it and wait until it listens.

        Raises:
            Unexpected: It ended, or was not ready within three minutes; it says why on stderr, which it shares with us.
        """
        process = subprocess.Popen(  # noqa: S603 -- this very interpreter, arguments of ours
            [sys.executable, "-m", "takings.simulator", *self.options.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        too_late = threading.Timer(_READY_SECONDS, process.kill)
        too_late.start()
        try:
            line = process.stdout.readline()
        finally:
            too_late.cancel()
        if not line:
            process.stdout.close()
            code = process.wait()
            raise Unexpected(
                "simulator.not_started",
                f"The simulator ended with code {code} before it was ready: what it said on stderr tells why.",
                exit=code,
            )
        self._process = process
        self._ready = msgspec.json.decode(line, type=_Ready)
        return self

    def stop(self) -> None:
        """Stop it; once it is stopped this does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Who it is

    @property
    def _told(self) -> _Ready:
        if self._ready is None:
            raise Unexpected("simulator.not_started", "The simulator is not started.")
        return self._ready

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise Unexpected("simulator.not_started", "The simulator is not started.")
        return self._process.pid

    @property
    def api_base(self) -> str:
        """Address of its API, its Connect pages and its marketplace, all in one: ``http://127.0.0.1:PORT``."""
        return self._told.api

    @property
    def account(self) -> str:
        """Id of the company's account."""
        return self._told.account

    @property
    def live_key(self) -> str:
        """A restricted key that reads everything in live mode."""
        return self._told.live_key

    @property
    def test_key(self) -> str:
        """A restricted key that reads everything in test mode."""
        return self._told.test_key

    @property
    def connect_client_id(self) -> str:
        """Client id of the Connect platform."""
        return self._told.connect_client_id

    @property
    def connect_secret(self) -> str:
        """Secret live key of the Connect platform; reads connected accounts through ``Stripe-Account``."""
        return self._told.connect_secret

    @property
    def connect_test_secret(self) -> str:
        """The platform's secret key in test mode."""
        return self._told.connect_test_secret

    @property
    def app_client_id(self) -> str:
        """Client id of the Stripe App."""
        return self._told.app_client_id

    @property
    def app_secret(self) -> str:
        """Secret live key of the Stripe App's owner."""
        return self._told.app_secret

    @property
    def app_test_secret(self) -> str:
        """The same owner's key in test mode."""
        return self._told.app_test_secret

    @property
    def platform(self) -> str:
        """Id of the Connect platform's account; it has data of its own where ``connected`` is more than 0."""
        return self._told.platform

    @property
    def platform_key(self) -> str:
        """A restricted key of the platform that reads everything in live mode."""
        return self._told.platform_key

    @property
    def platform_test_key(self) -> str:
        """The same in test mode."""
        return self._told.platform_test_key

    @property
    def org_key(self) -> str:
        """Key of an organisation in live mode; it reads :attr:`org_accounts` and the platform through ``Stripe-Context``."""
        return self._told.org_key

    @property
    def org_test_key(self) -> str:
        """The same in test mode."""
        return self._told.org_test_key

    @property
    def org_accounts(self) -> list[str]:
        """Accounts of the organisation: the company's, and two small ones that have nothing to do with it."""
        return list(self._told.org_accounts)

    @property
    def email(self) -> str:
        """With what to sign in on its pages."""
        return self._told.user["email"]

    @property
    def password(self) -> str:
        """With what to sign in on its pages."""
        return self._told.user["password"]

    def environ(self, *, connect: bool = True, app: bool = True) -> dict[str, str]:
        """Return the settings, as environment variables, that make the product use this Stripe.

        Args:
            connect: Whether Connect OAuth is set up.
            app: Whether Stripe App OAuth is set up.
        """
        values = {f"TAKINGS_STRIPE_{what}_BASE": self.api_base for what in ("API", "CONNECT", "MARKETPLACE")}
        if connect:
            values["TAKINGS_STRIPE_CONNECT_CLIENT_ID"] = self.connect_client_id
            values["TAKINGS_STRIPE_CONNECT_SECRET"] = self.connect_secret
        if app:
            values["TAKINGS_STRIPE_APP_CLIENT_ID"] = self.app_client_id
            values["TAKINGS_STRIPE_APP_SECRET"] = self.app_secret
        for setting, rate in (("LIVE", "rate"), ("SANDBOX", "test_rate"), ("ENDPOINT", "endpoint_rate")):
            if getattr(self.options, rate) == 0:  # without limits: nobody need hold back
                values[f"TAKINGS_RATE_{setting}"] = str(_NO_LIMIT)
        return values

    # What it knows

    def facts(self, account: str | None = None, *, livemode: bool = True) -> dict[str, Any]:
        """Return the truth about an account (the company's by default)."""
        return dict(self._control("GET", "facts", self._which(account, livemode)))

    def tables(self, account: str | None = None, *, livemode: bool = True) -> list[str]:
        """Return the tables of an account that hold anything."""
        return list(self._control("GET", "tables", self._which(account, livemode)))

    def objects(self, table: str, account: str | None = None, *, livemode: bool = True) -> dict[str, str]:
        """Return the id of every object of a table with its content's fingerprint (as :func:`takings.simulator.fingerprint` computes it)."""
        lines = self._lines(table, account, livemode, raw=False)
        return {line["id"]: line["sha256"] for line in lines}

    def contents(self, table: str, account: str | None = None, *, livemode: bool = True) -> dict[str, Any]:
        """Return every object of a table by id, as a GET by id gives it."""
        return {line["id"]: line["object"] for line in self._lines(table, account, livemode, raw=True)}

    def parents(self, table: str, account: str | None = None, *, livemode: bool = True) -> dict[str, str]:
        """Return, for a table whose objects are parts of others, the id of that other by id."""
        return dict(self._control("GET", "parents", self._which(account, livemode) | {"table": table}))

    def stats(self) -> dict[str, Any]:
        """Return what was asked of it since the start or the last :meth:`reset_stats`."""
        return dict(self._control("GET", "stats"))

    def reset_stats(self) -> None:
        """Begin counting anew."""
        self._control("DELETE", "stats")

    def requests(self, last: int = 1000) -> list[tuple[str, str, str, int]]:
        """Return the latest requests, oldest first: method, path, raw query, status."""
        return [tuple(each) for each in self._control("GET", "requests", {"last": str(last)})]

    def connected(self, *, livemode: bool = True) -> dict[str, str]:
        """Return the accounts connected to the platform now, newest first: id and name."""
        found = self._control("GET", "connected", {"livemode": "true" if livemode else "false"})
        return {one["account"]: one["name"] for one in found}

    # What it can be made to do

    def fault(self, kind: str, **rule: Any) -> str:
        """Make requests fail (fields as in ``faults.Rule``; once, unless ``times`` says otherwise); return the rule's id."""
        return str(self._control("POST", "faults", body={"kind": kind} | rule)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the rules with how often each fired."""
        return list(self._control("GET", "faults"))

    def clear_faults(self, id: str | None = None) -> None:
        """Take one rule out, or all."""
        self._control("DELETE", "faults", {"id": id} if id else {})

    def limits(self, **values: float) -> None:
        """Change limits and latency (``live``, ``test``, ``endpoint``, ``concurrency``, ``endpoint_concurrency``, ``latency_ms``, ``jitter``)."""
        self._control("POST", "limits", body=values)

    def create_key(self, *, permissions: Iterable[str] | None = None, livemode: bool = True, **more: Any) -> str:
        """Make a key; ``permissions`` as ``charge`` or ``rak_charge_read``, None reads everything."""
        given = None if permissions is None else list(permissions)
        body = {"do": "create", "permissions": given, "livemode": livemode} | more
        return str(self._control("POST", "keys", body=body)["key"])

    def revoke_key(self, key: str) -> None:
        """Make a key invalid."""
        self._control("POST", "keys", body={"do": "revoke", "key": key})

    def expire_key(self, key: str) -> None:
        """Make a key expired."""
        self._control("POST", "keys", body={"do": "expire", "key": key})

    def permit_key(self, key: str, permissions: Iterable[str] | None) -> None:
        """Give a key other permissions."""
        given = None if permissions is None else list(permissions)
        self._control("POST", "keys", body={"do": "permit", "key": key, "permissions": given})

    def permit_app(self, permissions: Iterable[str] | None) -> None:
        """Set the permissions that tokens of the Stripe App get from now on."""
        self._control("POST", "app", body={"permissions": None if permissions is None else list(permissions)})

    def withdraw(self, account: str | None = None) -> int:
        """End all OAuth accesses to an account from Stripe's side; return how many."""
        return int(self._control("POST", "withdraw", body={"account": account or self.account})["ended"])

    def connect(self, account: str | None = None, *, name: str | None = None, livemode: bool = True) -> str:
        """Connect a new account to the platform, or connect one again that withdrew; return its id."""
        body = {"do": "connect", "account": account, "name": name, "livemode": livemode}
        return str(self._control("POST", "connected", body=body)["account"])

    def deauthorize(self, account: str, *, livemode: bool = True) -> None:
        """Let an account withdraw from the platform: the platform's key gets 403 for it, and lists it no more."""
        self._control("POST", "connected", body={"do": "deauthorize", "account": account, "livemode": livemode})

    def advance(self, by: timedelta) -> datetime:
        """Move its clock forward and return its present."""
        now = self._control("POST", "clock", body={"advance_s": by.total_seconds()})["now"]
        return datetime.fromisoformat(now)

    def skew(self, by: timedelta) -> None:
        """Set its clock wrong (or right again), either way, without time going by."""
        self._control("POST", "clock", body={"skew_s": by.total_seconds()})

    def create(self, object: str, fields: Mapping[str, Any], **more: Any) -> str:
        """Create an object (``event``, ``account``, ``livemode`` as in ``control``) and return its id."""
        return str(
            self._control("POST", "mutate", body={"do": "create", "object": object, "fields": fields} | more)["id"]
        )

    def update(self, id: str, fields: Mapping[str, Any], **more: Any) -> None:
        """Change top-level fields of an object."""
        self._control("POST", "mutate", body={"do": "update", "id": id, "fields": fields} | more)

    def delete(self, id: str, **more: Any) -> None:
        """Delete an object."""
        self._control("POST", "mutate", body={"do": "delete", "id": id} | more)

    def change(self, do: str, id: str = "", **more: Any) -> str:
        """Make any other change (verbs and fields as in ``changes.Change``) and return the id it made or changed."""
        return str(self._control("POST", "mutate", body={"do": do, "id": id} | more)["id"])

    def live(self, turns: int, *, seed: int, told: bool = True, **more: Any) -> list[str]:
        """Let the company live for some turns, by dice: changes of all kinds, told by events or silent.

        Returns:
            The ids of the objects whose last state events tell; what moved with them silently is not among them.
        """
        return list(self._control("POST", "live", body={"turns": turns, "seed": seed, "told": told} | more)["told"])

    def changes(self, several: Iterable[Mapping[str, Any]]) -> list[str]:
        """Make several changes in one request; return the id that each made or changed."""
        return list(self._control("POST", "mutate", body=list(several))["ids"])

    # Webhooks

    def add_webhook(self, url: str, **more: Any) -> tuple[str, str]:
        """Send events of changes to an address on this machine; return the endpoint's id and its signing secret.

        Args:
            url: Where to.
            **more: ``account`` (the company's by default), ``livemode``, ``connect`` (events of the accounts connected
                to it instead of its own), ``secret``.
        """
        made = self._webhook("add", url=url, **more)
        return made["id"], made["secret"]

    def roll_webhook(self, id: str) -> str:
        """Return a new signing secret; the former ones sign too, until :meth:`expire_webhook`."""
        return str(self._webhook("roll", id=id)["secret"])

    def expire_webhook(self, id: str) -> None:
        """Sign with the newest secret only."""
        self._webhook("expire", id=id)

    def remove_webhook(self, id: str) -> None:
        """Send nothing there any more."""
        self._webhook("remove", id=id)

    def disturb_webhooks(self, kind: str, times: int | None = 1, *, seconds: float = 1.0) -> None:
        """Let something befall the next deliveries: ``doubled``, ``reordered``, ``delayed``, ``lost``, ``forged`` or ``old``."""
        self._webhook("disturb", kind=kind, times=times, seconds=seconds)

    def calm_webhooks(self) -> None:
        """Let nothing befall them any more."""
        self._webhook("calm")

    def retry_webhooks(self, *seconds: float) -> None:
        """Try a delivery that failed again after these times, and then no more."""
        self._webhook("retries", seconds=seconds)

    def webhook_attempts(self, id: str) -> list[tuple[str, int | None, str]]:
        """Return the latest requests to an endpoint, oldest first: event, status (None: no answer), ``true``, ``forged`` or ``old``."""
        (found,) = (one for one in self._control("GET", "webhooks") if one["id"] == id)
        return [(one["event"], one["status"], one["kind"]) for one in found["attempts"]]

    def _webhook(self, do: str, **fields: Any) -> dict[str, Any]:
        return dict(self._control("POST", "webhooks", body={"do": do} | fields))

    # How it is spoken to

    def _which(self, account: str | None, livemode: bool) -> dict[str, str]:
        return {"account": account or self.account, "livemode": "true" if livemode else "false"}

    def _lines(self, table: str, account: str | None, livemode: bool, *, raw: bool) -> list[dict[str, Any]]:
        query = self._which(account, livemode) | {"table": table, "raw": "true" if raw else "false"}
        return [msgspec.json.decode(line) for line in self._ask("GET", "objects", query, None).splitlines()]

    def _control(self, method: str, name: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        return msgspec.json.decode(self._ask(method, name, query or {}, body))

    def _ask(self, method: str, name: str, query: Mapping[str, str], body: Any) -> bytes:
        address = f"{self.api_base}/_sim/{name}?{urlencode(query)}"
        content = None if body is None else msgspec.json.encode(body)
        request = urllib.request.Request(address, content, method=method)  # noqa: S310 -- http to our own loopback
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
                read: bytes = answer.read()
                return read
        except urllib.error.HTTPError as refused:
            with refused:
                said = refused.read().decode("utf-8", "replace")
            raise Unexpected(
                "simulator.refused", f"The simulator refuses {method} {name} with {refused.code}: {said}"
            ) from refused
