"""What serving costs the simulator: CPU a page of 100, so that a benchmark over it measures the product and not it.

Run with ``python benchmarks/simulator_http.py [--pages 400] [--objects 200000]``. It fails when 100 pages a second,
compressed, would take half a core or more.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec

from takings.simulator import Simulator

LISTS = ("charges", "customers", "invoices", "balance_transactions")
PAGES_A_SECOND = 100
CORES_AT_MOST = 0.5


class _Row(msgspec.Struct):
    id: str


class _Page(msgspec.Struct):
    data: list[_Row]
    has_more: bool


def walk(simulator: Simulator, table: str, pages: int) -> tuple[int, int, int]:
    """Read a list by its cursor; return pages, rows and bytes as sent."""
    where = urlsplit(simulator.api_base)
    connection = http.client.HTTPConnection(str(where.hostname), where.port)
    headers = {"Authorization": f"Bearer {simulator.live_key}", "Accept-Encoding": "gzip"}
    read = rows = sent = 0
    cursor = ""
    while read < pages:
        connection.request("GET", f"/v1/{table}?limit=100{cursor}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{table} answered {answer.status}")
        sent += len(body)
        page = msgspec.json.decode(gzip.decompress(body), type=_Page)
        read += 1
        rows += len(page.data)
        if not page.has_more:
            break
        cursor = f"&starting_after={page.data[-1].id}"
    connection.close()
    return read, rows, sent


def main() -> int:
    """Measure, print, and return 1 when it is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--profile", default="benchmark")
    given = parser.parse_args()
    with Simulator(
        objects=given.objects, profile=given.profile, test_objects=200, rate=0, endpoint_rate=0
    ) as simulator:
        simulator.reset_stats()
        with ThreadPoolExecutor(len(LISTS)) as threads:
            walked = list(threads.map(lambda table: walk(simulator, table, given.pages // len(LISTS)), LISTS))
        stats = simulator.stats()
    pages, rows, sent = (sum(column) for column in zip(*walked, strict=True))
    cpu_ms = 1000 * stats["busy_cpu_seconds"] / pages
    cores = cpu_ms / 1000 * PAGES_A_SECOND
    print(
        f"{pages} pages, {rows} rows, {stats['sent_bytes'] / rows / 1000:.2f} kB a row, {sent / rows:.0f} B compressed"
    )
    print(
        f"{cpu_ms:.2f} ms CPU a page: {cores:.2f} of a core at {PAGES_A_SECOND} pages a second (at most {CORES_AT_MOST})"
    )
    return 0 if cores < CORES_AT_MOST else 1


if __name__ == "__main__":
    sys.exit(main())
