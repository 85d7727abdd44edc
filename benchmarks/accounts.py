"""Measures a platform: ``python benchmarks/accounts.py [--accounts 500] [--loads 500]`` prints what its accounts cost.

A simulated Stripe has a platform with so many connected accounts (some 150 objects each) in a process of its own, without
latency and at the real rates, which all of them share. Measured are: connecting the platform, finding its accounts, the
first load of ``--loads`` of them, an idle round over those (one look at each account's events), and the pages that show them.
The worker is a process of its own, so that its CPU and memory are its alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from takings import app, log, settings
from takings.app import App
from takings.connections import connected, families, key_credentials, own_standings, reach, read_key
from takings.simulator.process import Simulator
from takings.sync import Maintenance

AT_ONCE = 4  # as many as the worker takes


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=500)
    parser.add_argument("--loads", type=int, help="how many of them to load; default all")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second for all of them; 0 for no limit")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker, asked.loads)
        return
    begun = time.monotonic()
    limits = {"rate": asked.rate, "endpoint_rate": min(asked.rate, 25.0)}
    with (
        Simulator(objects=300, test_objects=300, connected=asked.accounts, **limits) as stripe,
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
    ):
        print(f"{'simulator ready':28}{time.monotonic() - begun:10.1f} s", flush=True)
        rates = {f"TAKINGS_RATE_{name}": str(round(asked.rate) or 100_000) for name in ("LIVE", "SANDBOX")}
        rates["TAKINGS_RATE_ENDPOINT"] = str(round(limits["endpoint_rate"]) or 100_000)
        env = os.environ | stripe.environ() | rates | {"TAKINGS_HOME": folder, "TAKINGS_HEADROOM": "0"}
        loads = asked.loads or asked.accounts
        command = [sys.executable, __file__, "--worker", stripe.platform_key, "--loads", str(loads)]
        print(f"{'':28}{'wall s':>10}{'CPU s':>10}{'requests':>10}{'429s':>8}{'peak MB':>9}", flush=True)
        worker = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        for line in worker.stdout:
            told = json.loads(line)
            stats = stripe.stats()
            asked_for = sum(stats["by_status"].values())
            refused = stats["by_status"].get("429", 0)
            stripe.reset_stats()
            print(
                f"{told['step']:28}{told['wall_s']:10.2f}{told['cpu_s']:10.2f}{asked_for:10,}{refused:8,}"
                f"{told['peak_mb']:9.0f}  {told['said']}",
                flush=True,
            )
        sys.exit(worker.wait())


def work(key: str, loads: int) -> None:
    """Do one step after the other, and tell each as a JSON line."""
    log.configure("text", "error")
    parts = app.build(settings.load())
    service = parts.connections
    credentials = key_credentials(read_key(key), None)

    def connect() -> str:
        pending = service.pend(None, credentials, service.probe(credentials))
        service.confirm(None, pending, "Platform", None, follow_accounts=True)
        return ""

    step("connect the platform", connect)
    (platform,) = service.all()
    step("find its accounts", lambda: f"{len(service.discover(platform.id).added)} accounts")
    step("list them again", lambda: f"{service.discover(platform.id).listed} listed")
    children = [one.id for one in service.all() if one.platform_id == platform.id][:loads]
    step(f"first load of {len(children)}", lambda: everyone(parts, children))
    step("first round after it", lambda: everyone(parts, children))
    step("idle round", lambda: everyone(parts, children))
    step(
        "page: data sources", lambda: str(len([own_standings(parts.store), families(parts.store), reach(parts.store)]))
    )
    step("page: 50 of the accounts", lambda: f"{connected(parts.store, platform.id).matching} match")
    parts.close()


def everyone(parts: App, ids: list[str]) -> str:
    """Do what is due for each, some side by side, while the warehouse is kept in order as the worker does; say how it came out."""
    over, keep = threading.Event(), Maintenance(parts.warehouse, parts.settings, parts.clock)

    def one(id: str) -> str:
        return str(parts.sync.run_once(id, patient=True).state)

    def order() -> None:
        while not over.wait(1):
            keep.tick()

    keeping = threading.Thread(target=order)
    keeping.start()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            states = list(pool.map(one, ids))
    finally:
        over.set()
        keeping.join()
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))


def step(name: str, act: Callable[[], str]) -> None:
    """Do a step and tell what it took."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    said = act()
    after = resource.getrusage(resource.RUSAGE_SELF)
    told: dict[str, Any] = {
        "step": name,
        "wall_s": time.monotonic() - begun,
        "cpu_s": (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime),
        "peak_mb": after.ru_maxrss / 1024,
        "said": said,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
