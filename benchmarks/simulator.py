"""How fast the simulator is: start-up time, memory, and CPU a page for every list, at three sizes.

    python benchmarks/simulator.py [--objects 10000 1000000 10000000] [--profile company|benchmark]

Each size runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from datetime import UTC, datetime

import msgspec
import psutil

from takings.clock import SystemClock
from takings.simulator.account import LISTS
from takings.simulator.world import Account, World, WorldConfig

PAGES = 12


def cpu_ms_a_page(account: Account, path: str, extra: tuple[tuple[str, str], ...]) -> tuple[float, float, int, int]:
    """Return CPU ms a page (mean and best), rows a page and bytes an object, paging from the newest on."""
    spent, rows, size, cursor = [], 0, 0, None
    for _ in range(PAGES):
        query = (("limit", "100"), *extra, *((("starting_after", cursor),) if cursor else ()))
        begun = time.process_time()
        status, body = account.get(path, query)
        spent.append(time.process_time() - begun)
        assert status == 200, body
        answer = msgspec.json.decode(body)
        rows, size = rows + len(answer["data"]), size + len(body)
        if not answer["has_more"]:
            break
        cursor = answer["data"][-1]["id"]
    return sum(spent) / len(spent) * 1e3, min(spent) * 1e3, rows // len(spent), size // max(1, rows)


def measure(objects: int, profile: str) -> None:
    """Print one size."""
    before = psutil.Process().memory_info().rss
    begun = time.perf_counter()
    config = WorldConfig(objects=objects, profile=profile, end=datetime(2026, 11, 20, 15, tzinfo=UTC), test_objects=100)
    world = World(config, SystemClock())
    took = time.perf_counter() - begun
    info = psutil.Process().memory_info()
    account = world.account(world.accounts()[0])
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # as the server does
    total = sum(account.facts()["objects"].values())
    print(
        f"\n{total:,} objects ({profile}): started in {took:.2f} s, {(info.rss - before) / 2**20:.0f} MiB more than before"
    )
    print(f"  {'list':34}{'ms CPU a page':>15}{'best':>8}{'rows':>6}{'bytes an object':>17}")
    for path, table in LISTS.items():
        if table == "subscription_items" or not account.facts()["objects"][table]:
            continue
        extra = (("status", "all"),) if table == "subscriptions" else ()
        mean, best, rows, size = cpu_ms_a_page(account, path, extra)
        print(f"  {path:34}{mean:>15.2f}{best:>8.2f}{rows:>6}{size:>17,}")


def main() -> None:
    """Read the arguments and measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--profile", default="company", choices=("company", "benchmark"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.one, args.profile)
        return
    for objects in args.objects:
        subprocess.run([sys.executable, __file__, "--one", str(objects), "--profile", args.profile], check=True)


if __name__ == "__main__":
    main()
