"""Measures a full verification: ``python benchmarks/verify.py [--objects 200000]`` prints requests, time, CPU and memory.

A simulated Stripe serves charges, customers, invoices and balance transactions (about 3.4 kB each) from a process of its
own at 150 ms latency, 100 requests a second and 25 a list; nothing is left as head-room. After a first load everything is
verified; then one row is altered, one removed and one added behind the program's back, and everything is verified again:
each must be named. ``--objects 20000`` is the short form.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time

from takings import app, log, settings
from takings.connections import Credentials
from takings.proof import Asked, Progress, Proven
from takings.simulator.process import Simulator


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--latency-ms", type=float, default=150.0)
    asked = parser.parse_args()
    log.configure("text", "warning")
    with (
        Simulator(objects=asked.objects, profile="benchmark", latency_ms=asked.latency_ms) as stripe,
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
    ):
        known = {**stripe.environ(), "TAKINGS_HOME": folder, "TAKINGS_HEADROOM": "0", "TAKINGS_LOG_LEVEL": "warning"}
        parts = app.build(settings.load({**os.environ, **known}))
        try:
            credentials = Credentials(way="key", secret=stripe.live_key)
            pending = parts.connections.pend(None, credentials, parts.connections.probe(credentials))
            connection = parts.connections.confirm(None, pending, "Benchmark", None).id
            begun = time.monotonic()
            parts.sync.run_once(connection)
            print(f"first load               {time.monotonic() - begun:.1f} s")
            measured(parts, connection, "full")
            altered, removed, added = tamper(parts)
            found = measured(parts, connection, "full, three rows changed")
            named = {(one.kind, one_id) for one in found.findings for one_id in one.ids}
            for kind, row in (("altered", altered), ("missing", removed), ("ghost", added)):
                print(f"{kind:<24} {row} {'named' if (kind, row) in named else 'NOT NAMED'}")
            print(f"findings                 {sum(one.count for one in found.findings)}")
            measured(parts, connection, "recent", Asked())
        finally:
            parts.close()


def measured(parts: app.App, connection: str, what: str, asked: Asked | None = None) -> Proven:
    """Verify, and print what it took."""
    moments: dict[str, float] = {}

    def tell(at: Progress) -> None:
        moments.setdefault(at.doing, time.monotonic())

    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    found = parts.proof.verify(connection, asked or Asked(extent="full"), tell=tell)
    wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    at = found.verification
    print(f"--- {what}")
    print(f"state                    {at.state} {at.reason or ''}")
    print(f"rows compared            {at.rows:,}")
    print(f"requests                 {at.requests:,}")
    print(f"wall                     {wall:.1f} s ({at.requests / wall:.1f} requests/s)")
    print(f"  comparing              {moments['integrity'] - moments['compare']:.1f} s")
    print(f"  payloads               {moments['figures'] - moments['integrity']:.1f} s")
    print(f"CPU                      {cpu:.1f} s ({1000 * cpu / max(1, at.rows):.3f} ms a row)")
    print(f"peak memory              {after.ru_maxrss / 1024:.0f} MB")
    return found


def tamper(parts: app.App) -> tuple[str, str, str]:
    """Alter one row, remove one and add one behind the program's back; return their ids."""
    with parts.warehouse._engine.session(write=True) as session:
        ids = [row[0] for row in session.execute("SELECT id FROM stripe.charges ORDER BY hash(id) LIMIT 2").fetchall()]
        session.execute(f"UPDATE stripe.charges SET amount = amount + 1 WHERE id = '{ids[0]}'")
        session.execute(f"DELETE FROM stripe.charges WHERE id = '{ids[1]}'")
        session.execute(
            f"INSERT INTO stripe.charges SELECT * REPLACE ('ch_made_up' AS id) FROM stripe.charges WHERE id = '{ids[0]}'"
        )
    return ids[0], ids[1], "ch_made_up"


if __name__ == "__main__":
    main()
