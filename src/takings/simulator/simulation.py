"""Everything one simulated Stripe is made of, put together: world, keys, limits, faults, OAuth, clock."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from takings.simulator.faults import Faults
from takings.simulator.keys import Keyring, derived
from takings.simulator.limits import Limits
from takings.simulator.memory import Memory
from takings.simulator.neighbours import Platform, sketch
from takings.simulator.oauth import Choice, Client, OAuth, User
from takings.simulator.options import Options
from takings.simulator.simclock import MovableClock
from takings.simulator.stats import Stats
from takings.simulator.webhooks import Webhooks
from takings.simulator.world import World, WorldConfig


class Simulation:
    """A simulated Stripe without its wire.

    Args:
        options: How it was started.

    Attributes:
        credentials: What the ready line tells: keys, clients and the user who may sign in.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.clock = MovableClock(options.end)
        self._memory = Memory(options.state, options.end, self.clock.now())
        self.keys = Keyring(self.clock.unix)
        self.webhooks = Webhooks(lambda account, livemode: self.keys.connected.get((account, livemode), frozenset()))
        self.world = World(_world(options, self._memory.end), self.clock, self.webhooks.tell)
        self.limits = Limits(options.allowance())
        self.faults = Faults()
        self.stats = Stats()
        self.latency_ms = options.latency_ms
        self.jitter = options.jitter
        self.company = self.world.accounts()[0]
        self.platform = Platform(f"acct_{derived(options.seed, 'platform', 16)}", self.keys)
        seed = options.seed
        self._made = 0
        if options.connected:
            own = sketch(seed, 0, self.world.end, name="Halles Marketplace", purpose="platform")
            self.world.add(replace(own, account=self.platform.account))
        for _ in range(options.connected):
            self.connect()
        self.neighbours = tuple(sketch(seed, place, self.world.end, purpose="sister") for place in range(2))
        for one in self.neighbours:
            self.world.add(one)

        def first(kind: str, mode: str, purpose: str) -> str:
            return f"{kind}_{mode}_51Sim{derived(seed, f'{purpose} {mode}')}"

        for mode in ("live", "test"):
            self.keys.create(self.company, mode == "live", secret=first("rk", mode, "key"))
            for purpose in ("connect", "app"):
                self.keys.create(self.platform.account, mode == "live", secret=first("sk", mode, purpose))
            self.keys.create(self.platform.account, mode == "live", secret=first("rk", mode, "platform"))
            self.keys.create(
                "",
                mode == "live",
                secret=f"sk_org_{mode}_51Sim{derived(seed, f'organization {mode}')}",
                connected=(self.company, *(one.account for one in self.neighbours), self.platform.account),
                organization=True,
            )
        connect_id, app_id = f"ca_{derived(seed, 'connect client')}", f"ca_{derived(seed, 'app client')}"
        user = User(f"owner@{re.sub('[^a-z0-9]+', '-', options.name.lower()).strip('-')}.example", "simulated-stripe")
        self.oauth = OAuth(
            clients=[
                Client(
                    connect_id, "connect", "Takings", (first("sk", "live", "connect"), first("sk", "test", "connect"))
                ),
                Client(app_id, "app", "Takings", (first("sk", "live", "app"), first("sk", "test", "app"))),
            ],
            user=user,
            choices=[
                Choice(account, livemode, self.world.account(account, livemode).name)
                for account in self.world.accounts()
                for livemode in (True, False)
            ],
            keys=self.keys,
            redirect_uris=options.redirect_uri,
        )
        self.credentials: dict[str, Any] = {
            "live_key": first("rk", "live", "key"),
            "test_key": first("rk", "test", "key"),
            "account": self.company,
            "connect_client_id": connect_id,
            "connect_secret": first("sk", "live", "connect"),
            "connect_test_secret": first("sk", "test", "connect"),
            "app_client_id": app_id,
            "app_secret": first("sk", "live", "app"),
            "app_test_secret": first("sk", "test", "app"),
            "user": asdict(user),
            "platform": self.platform.account,
            "platform_key": first("rk", "live", "platform"),
            "platform_test_key": first("rk", "test", "platform"),
            "org_key": f"sk_org_live_51Sim{derived(seed, 'organization live')}",
            "org_test_key": f"sk_org_test_51Sim{derived(seed, 'organization test')}",
            "org_accounts": [self.company, *(one.account for one in self.neighbours)],
        }
        self._memory.recall(self.keys, self.oauth)
        self.remember()

    def connect(self, name: str | None = None) -> str:
        """Connect a new small account to the platform, in both modes, and return its id."""
        one = sketch(self.options.seed, self._made, self.world.end, name=name)
        self._made += 1
        self.world.add(one)
        for livemode in (True, False):
            self.platform.connect(one, livemode)
        return one.account

    def remember(self) -> None:
        """Keep what was granted, where a file for it was given."""
        self._memory.keep(self.keys, self.oauth)


def _world(options: Options, end: datetime) -> WorldConfig:
    return WorldConfig(
        objects=options.objects,
        seed=options.seed,
        months=options.months,
        end=end,
        name=options.name,
        country=options.country,
        currency=options.currency,
        test_objects=options.test_objects,
        profile=options.profile,
    )
