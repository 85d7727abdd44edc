"""Measures a first load: ``python benchmarks/backfill.py [--objects 200000]`` prints CPU, requests, memory and time.

A simulated Stripe serves charges, customers, invoices and balance transactions (about 3.4 kB each) from a process of its
own at 150 ms latency, 100 requests a second and 25 a list; the worker leaves no head-room. The worker is a process of its
own too, so that its CPU and memory are its alone.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time

from takings import app, log, settings
from takings.connections import Credentials
from takings.simulator.process import Simulator
from takings.warehouse import Scope

LISTS = ("/v1/charges", "/v1/customers", "/v1/invoices", "/v1/balance_transactions")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--latency-ms", type=float, default=150.0)
    parser.add_argument("--warehouse", choices=("ducklake", "duckdb"), default="ducklake")
    parser.add_argument("--batch-rows", type=int)
    parser.add_argument("--memory-mb", type=int)
    parser.add_argument("--profile", action="store_true", help="print where the worker's main thread spends its time")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker, asked.profile)
        return
    with (
        Simulator(objects=asked.objects, profile="benchmark", latency_ms=asked.latency_ms) as stripe,
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
    ):
        env = (
            os.environ
            | stripe.environ()
            | {
                "TAKINGS_HOME": folder,
                "TAKINGS_HEADROOM": "0",
                "TAKINGS_LOG_LEVEL": "warning",
                "TAKINGS_WAREHOUSE": asked.warehouse,
            }
        )
        if asked.batch_rows:
            env["TAKINGS_BATCH_ROWS"] = str(asked.batch_rows)
        if asked.memory_mb:
            env["TAKINGS_WAREHOUSE_MEMORY_MB"] = str(asked.memory_mb)
        connection = connect(env, stripe.live_key)
        stripe.reset_stats()
        command = [sys.executable, __file__, "--worker", connection, *(["--profile"] if asked.profile else [])]
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True)
        *profile, line = done.stdout.splitlines()
        print("\n".join(profile))
        report(json.loads(line), stripe.stats())


def connect(env: dict[str, str], key: str) -> str:
    """Connect the simulated account; return the connection's id."""
    log.configure("text", "warning")
    parts = app.build(settings.load(env))
    try:
        credentials = Credentials(way="key", secret=key)
        pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
        return parts.connections.confirm(None, pending, "Benchmark", None).id
    finally:
        parts.close()


def work(connection: str, profile: bool) -> None:
    """Load everything, and print what it took as one JSON line."""
    log.configure("text", "warning")
    parts = app.build(settings.load())
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.monotonic()
    profiler = cProfile.Profile() if profile else None
    if profiler:
        profiler.enable()
    summary = parts.sync.run_once(connection)
    if profiler:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("cumulative").print_stats(35)
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    rows = parts.warehouse.query("SELECT count(*) FROM raw.versions").rows[0][0]
    typed = sum(
        parts.warehouse.count(
            Scope(*parts.warehouse.query("SELECT account, livemode FROM raw.versions LIMIT 1").rows[0])
        ).values()
    )
    size = sum(file.stat().st_size for file in (parts.settings.home / "warehouse").rglob("*") if file.is_file())
    print(
        json.dumps(
            {
                "state": summary.state,
                "rows": rows,
                "typed_rows": typed,
                "wall_s": wall,
                "cpu_s": (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime),
                "peak_mb": after.ru_maxrss / 1024,
                "disk_bytes": size,
                "lists": {p: [summary.lists[p].rows, summary.lists[p].requests] for p in LISTS if p in summary.lists},
            }
        )
    )
    parts.close()


def report(took: dict[str, object], stripe: dict[str, object]) -> None:
    """Print the figures."""
    rows = int(str(took["rows"]))
    cpu, wall = float(str(took["cpu_s"])), float(str(took["wall_s"]))
    lists = took["lists"]
    assert isinstance(lists, dict)
    asked = sum(requests for _, requests in lists.values())
    full = sum(-(-count // 100) for count, _ in lists.values())
    print(f"state                    {took['state']}")
    print(f"objects                  {rows:,}")
    print(f"wall                     {wall:.1f} s ({rows / wall:,.0f} objects/s)")
    print(f"worker CPU               {cpu:.1f} s ({1000 * cpu / rows:.3f} ms an object)")
    print(f"worker peak memory       {took['peak_mb']:.0f} MB")
    print(f"requests a full page     {asked / full:.3f} ({asked} for {full} pages)")
    print(f"disk                     {int(str(took['disk_bytes'])) / rows:.0f} bytes an object, raw and typed")
    print(f"simulator CPU            {float(str(stripe['busy_cpu_seconds'])):.1f} s")


if __name__ == "__main__":
    main()
