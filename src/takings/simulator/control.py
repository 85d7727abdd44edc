"""The simulator's own controls under ``/_sim/``: faults, keys, limits, the clock, changes, and the truth for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Literal

import msgspec

from takings.clock import require_aware
from takings.simulator.changes import Change, make
from takings.simulator.faults import Rule
from takings.simulator.fingerprint import fingerprint
from takings.simulator.life import Life
from takings.simulator.replies import Reply, as_json
from takings.simulator.simulation import Simulation
from takings.simulator.webhooks import Mischief
from takings.simulator.world import Account

_LINES_AT_ONCE = 200


class _NewKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="create", tag_field="do"):
    """A new restricted key; permissions None reads everything, ``without`` takes some away from everything."""

    account: str | None = None
    livemode: bool = True
    kind: Literal["rk", "sk"] = "rk"
    permissions: list[str] | None = None
    expires_in: float | None = None
    #: Accounts a platform key reads through ``Stripe-Account``, or an organisation's through ``Stripe-Context``.
    connected: list[str] = []
    organization: bool = False


class _RevokeKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="revoke", tag_field="do"):
    key: str


class _ExpireKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="expire", tag_field="do"):
    key: str


class _PermitKey(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="permit", tag_field="do"):
    key: str
    permissions: list[str] | None


class _Limits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    live: float | msgspec.UnsetType = msgspec.UNSET
    test: float | msgspec.UnsetType = msgspec.UNSET
    endpoint: float | msgspec.UnsetType = msgspec.UNSET
    concurrency: int | msgspec.UnsetType = msgspec.UNSET
    endpoint_concurrency: int | msgspec.UnsetType = msgspec.UNSET
    latency_ms: float | msgspec.UnsetType = msgspec.UNSET
    jitter: float | msgspec.UnsetType = msgspec.UNSET


class _Clock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    advance_s: float = 0.0
    #: By how much it is set, either way, without time going by: a clock that is wrong.
    skew_s: float = 0.0
    to: datetime | None = None


class _Live(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of all kinds by dice."""

    account: str | None = None
    livemode: bool = True
    seed: int = 1
    turns: int = 1
    told: bool = True
    only: list[str] = []


class _App(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    #: Permissions in the Stripe App's manifest; None is all.
    permissions: list[str] | None


class _Withdraw(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    account: str


class _Connect(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="connect", tag_field="do"):
    """A connected account: a new one (``name`` as it shall be called), or ``account`` again."""

    account: str | None = None
    name: str | None = None
    livemode: bool = True


class _Deauthorize(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="deauthorize", tag_field="do"):
    account: str
    livemode: bool = True


class _AddWebhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="add", tag_field="do"):
    url: str
    account: str | None = None
    livemode: bool = True
    #: Events of the accounts connected to ``account``, not its own.
    connect: bool = False
    #: ``whsec_…``; empty for a new one.
    secret: str = ""


class _TurnWebhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    id: str


class _RollWebhook(_TurnWebhook, kw_only=True, forbid_unknown_fields=True, tag="roll"):
    """A new secret; the ones before sign too."""


class _ExpireWebhook(_TurnWebhook, kw_only=True, forbid_unknown_fields=True, tag="expire"):
    """Only the newest secret signs."""


class _RemoveWebhook(_TurnWebhook, kw_only=True, forbid_unknown_fields=True, tag="remove"):
    pass


class _Disturb(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="disturb", tag_field="do"):
    """What befalls the next ``times`` deliveries; None never ends."""

    kind: Mischief
    times: int | None = 1
    #: For ``delayed``.
    seconds: float = 1.0


class _Calm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="calm", tag_field="do"):
    pass


class _Retries(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="retries", tag_field="do"):
    seconds: tuple[float, ...]


_Webhook = _AddWebhook | _RollWebhook | _ExpireWebhook | _RemoveWebhook | _Disturb | _Calm | _Retries


class Control:
    """Answers under ``/_sim/``; a request that is not understood gets 400 with what is wrong."""

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation

    def handle(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Reply | Iterator[bytes]:
        """Answer a request, whole or in lines."""
        name = path.removeprefix("/_sim/")
        doing: Callable[..., Reply | Iterator[bytes]] | None = getattr(self, f"_{method.lower()}_{name}", None)
        if doing is None:
            return as_json({"problem": f"There is no {method} {path}."}, 404)
        try:
            return doing(query) if method in ("GET", "DELETE") else doing(body)
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError, KeyError, TypeError) as problem:
            return as_json({"problem": f"{type(problem).__name__}: {problem}"}, 400)

    def _account(self, given: Mapping[str, str]) -> Account:
        account = given.get("account") or self._sim.company
        return self._sim.world.account(account, given.get("livemode", "true") == "true")

    # What is going on

    def _get_stats(self, query: Mapping[str, str]) -> Reply:
        return as_json(self._sim.stats.show())

    def _delete_stats(self, query: Mapping[str, str]) -> Reply:
        self._sim.stats.reset()
        return as_json({})

    def _get_requests(self, query: Mapping[str, str]) -> Reply:
        """The latest requests, oldest first: method, path, raw query, status."""
        last = int(query.get("last", "1000"))
        kept = list(self._sim.stats.requests)[-last:]
        return as_json([[method, path, raw.decode("latin-1"), status] for method, path, raw, status in kept])

    # The truth

    def _get_facts(self, query: Mapping[str, str]) -> Reply:
        return as_json(self._account(query).facts())

    def _get_objects(self, query: Mapping[str, str]) -> Iterator[bytes]:
        """Every object of a table, a line each: its id and the fingerprint of its content; with ``raw=true`` itself."""
        account, table, raw = self._account(query), query["table"], query.get("raw") == "true"
        lines = _lines(account, table, raw)
        return chain([next(lines, b"")], lines)  # begun here, so that an unknown table is refused and not half answered

    def _get_parents(self, query: Mapping[str, str]) -> Reply:
        """For every object of a table that is part of another, by its id, the id of that other."""
        return as_json(self._account(query).parents(query["table"]))

    def _get_tables(self, query: Mapping[str, str]) -> Reply:
        return as_json(self._account(query).tables())

    # Faults, limits, clock

    def _get_faults(self, query: Mapping[str, str]) -> Reply:
        return as_json(self._sim.faults.all())

    def _post_faults(self, body: bytes) -> Reply:
        return as_json({"id": self._sim.faults.add(msgspec.json.decode(body, type=Rule))})

    def _delete_faults(self, query: Mapping[str, str]) -> Reply:
        if "id" in query:
            self._sim.faults.remove(query["id"])
        else:
            self._sim.faults.clear()
        return as_json({})

    def _post_limits(self, body: bytes) -> Reply:
        wanted = msgspec.to_builtins(msgspec.json.decode(body, type=_Limits))
        self._sim.latency_ms = wanted.pop("latency_ms", self._sim.latency_ms)
        self._sim.jitter = wanted.pop("jitter", self._sim.jitter)
        self._sim.limits.change(replace(self._sim.limits.allowance, **wanted))
        return as_json(self._sim.limits.allowance)

    def _get_clock(self, query: Mapping[str, str]) -> Reply:
        return as_json({"now": self._sim.clock.now()})

    def _post_clock(self, body: bytes) -> Reply:
        wanted = msgspec.json.decode(body, type=_Clock)
        clock = self._sim.clock
        clock.advance(timedelta(seconds=wanted.advance_s))
        clock.shift(timedelta(seconds=wanted.skew_s))
        if wanted.to is not None:
            clock.advance(require_aware(wanted.to) - clock.now())
        return as_json({"now": clock.now()})

    # Keys and accesses

    def _post_keys(self, body: bytes) -> Reply:
        wanted = msgspec.json.decode(body, type=_NewKey | _RevokeKey | _ExpireKey | _PermitKey)
        keys = self._sim.keys
        match wanted:
            case _NewKey():
                made = keys.create(
                    "" if wanted.organization else wanted.account or self._sim.company,
                    wanted.livemode,
                    kind=wanted.kind,
                    permissions=wanted.permissions,
                    expires_at=None if wanted.expires_in is None else keys.now() + wanted.expires_in,
                    connected=wanted.connected,
                    organization=wanted.organization,
                )
                return as_json({"key": made.secret})
            case _RevokeKey():
                keys.get(wanted.key).revoked = True
            case _ExpireKey():
                keys.get(wanted.key).expires_at = keys.now()
            case _PermitKey():
                keys.permit(wanted.key, wanted.permissions)
        return as_json({"key": wanted.key})

    def _post_app(self, body: bytes) -> Reply:
        self._sim.oauth.permit_app(msgspec.json.decode(body, type=_App).permissions)
        return as_json({})

    def _post_withdraw(self, body: bytes) -> Reply:
        """End every access that OAuth gave to an account, as its owner does in Stripe's dashboard."""
        return as_json({"ended": self._sim.oauth.withdraw(msgspec.json.decode(body, type=_Withdraw).account)})

    def _get_connected(self, query: Mapping[str, str]) -> Reply:
        """The accounts connected to the platform now, newest first."""
        members = self._sim.platform.members(query.get("livemode", "true") == "true")
        return as_json([{"account": one.account, "name": one.name, "created": one.created} for one in members])

    def _post_connected(self, body: bytes) -> Reply:
        """Connect an account to the platform, or let one withdraw."""
        wanted = msgspec.json.decode(body, type=_Connect | _Deauthorize)
        platform = self._sim.platform
        match wanted:
            case _Deauthorize():
                platform.deauthorize(wanted.account, wanted.livemode)
            case _Connect(account=None):
                return as_json({"account": self._sim.connect(wanted.name)})
            case _Connect():
                platform.connect(platform.known(wanted.account or ""), wanted.livemode)
        return as_json({"account": wanted.account})

    # Webhooks

    def _get_webhooks(self, query: Mapping[str, str]) -> Reply:
        """The endpoints with the latest requests to each, oldest first."""
        return as_json(
            [
                {"id": one.id, "url": one.url, "secrets": one.secrets, "attempts": list(one.attempts)}
                for one in self._sim.webhooks.endpoints.values()
            ]
        )

    def _post_webhooks(self, body: bytes) -> Reply:
        webhooks = self._sim.webhooks
        match msgspec.json.decode(body, type=_Webhook):
            case _AddWebhook() as new:
                account = new.account or self._sim.company
                made = webhooks.add(new.url, account, livemode=new.livemode, connect=new.connect, secret=new.secret)
                return as_json({"id": made.id, "secret": made.secrets[0]})
            case _RollWebhook(id=id):
                return as_json({"id": id, "secret": webhooks.roll(id)})
            case _ExpireWebhook(id=id):
                webhooks.expire(id)
            case _RemoveWebhook(id=id):
                webhooks.remove(id)
            case _Disturb() as mischief:
                webhooks.disturb(mischief.kind, mischief.times, mischief.seconds)
            case _Calm():
                webhooks.calm()
            case _Retries(seconds=seconds):
                webhooks.retries_s = seconds
        return as_json({})

    # Changes

    def _post_mutate(self, body: bytes) -> Reply:
        """Make a change, or several in their order; answers the id that each made or changed."""
        wanted = msgspec.json.decode(body, type=Change | list[Change])
        changes = wanted if isinstance(wanted, list) else [wanted]
        ids = [
            make(self._sim.world.account(each.account or self._sim.company, each.livemode), each) for each in changes
        ]
        return as_json({"id": ids[-1] if ids else "", "ids": ids})

    def _post_live(self, body: bytes) -> Reply:
        """Let an account live for some turns; answers the ids whose last state events tell."""
        wanted = msgspec.json.decode(body, type=_Live)
        account = self._sim.world.account(wanted.account or self._sim.company, wanted.livemode)
        return as_json({"told": Life(account, wanted.seed, told=wanted.told, only=wanted.only).live(wanted.turns)})


def _lines(account: Account, table: str, raw: bool) -> Iterator[bytes]:
    lines: list[bytes] = []
    for id, content in account.objects(table):
        line: dict[str, Any] = {"id": id, "sha256": fingerprint(content)}
        if raw:
            line["object"] = msgspec.Raw(content)
        lines.append(msgspec.json.encode(line))
        if len(lines) == _LINES_AT_ONCE:
            yield b"\n".join(lines) + b"\n"
            lines = []
    if lines:
        yield b"\n".join(lines) + b"\n"
