"""Measures keeping in step: ``python benchmarks/follow.py [--objects 10000 1000000] [--days 30] [--short]`` prints a table.

For each size of history: what an idle cycle takes, what an event costs (CPU and requests), how long a cycle takes when 1, 10
and 100 events a second came in the minute before, and how many requests comparing everything takes in a month. The company is
simulated, in a process of its own; clocks are moved, so that a month is over in minutes. CPU is the worker's own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from takings import app, log, settings
from takings.connections import Credentials
from takings.simulator.process import Simulator
from takings.simulator.simclock import MovableClock

RATES = (1, 10, 100)
_SECONDS = 60
_AT_ONCE = 500


@dataclass(frozen=True)
class Took:
    """What one piece of work took."""

    wall_s: float
    cpu_s: float
    requests: int


class Bench:
    """A replica in this process, beside a simulated company with the same clock."""

    def __init__(self, home: Path, stripe: Simulator) -> None:
        self.stripe = stripe
        self.clock = MovableClock(stripe.advance(timedelta(0)))
        # The simulator limits no rate; with Stripe's limit of each endpoint a month of comparing would be waited for in real time.
        wide = {"TAKINGS_HEADROOM": "0", "TAKINGS_RATE_ENDPOINT": "10000"}
        known = {**stripe.environ(), "TAKINGS_HOME": str(home), "TAKINGS_LOG_LEVEL": "warning", **wide}
        self.parts = app.build(settings.load(known), self.clock)
        credentials = Credentials(way="key", secret=stripe.live_key)
        pending = self.parts.connections.pend(None, credentials, self.parts.connections.probe(credentials))
        self.connection = self.parts.connections.confirm(None, pending, "Benchmark", None).id

    def cycle(self, by: timedelta = timedelta(0)) -> Took:
        """Let time go by, then do what is due."""
        self.stripe.advance(by)
        self.clock.advance(by)
        self.stripe.reset_stats()
        wall, cpu = time.monotonic(), time.process_time()
        self.parts.sync.run_once(self.connection)
        return Took(time.monotonic() - wall, time.process_time() - cpu, int(self.stripe.stats()["requests"]))

    def happen(self, events: int, customers: list[str], turn: int) -> None:
        """Change customers of any age, an event each."""
        for start in range(0, events, _AT_ONCE):
            self.stripe.changes(
                {
                    "do": "update",
                    "id": customers[n % len(customers)],
                    "fields": {"description": f"turn {turn}, change {n}"},
                }
                for n in range(start, min(events, start + _AT_ONCE))
            )


@contextmanager
def bench(objects: int) -> Iterator[Bench]:
    """Make a company and a replica of it."""
    with (
        Simulator(objects=objects, rate=0, test_rate=0, endpoint_rate=0) as stripe,
        tempfile.TemporaryDirectory(prefix="takings-benchmark-") as folder,
    ):
        made = Bench(Path(folder), stripe)
        try:
            yield made
        finally:
            made.parts.close()


def measure(objects: int, days: int, rates: tuple[int, ...]) -> None:
    """Print the figures of one size of history."""
    with bench(objects) as at:
        load = at.cycle()
        print(f"\n{sum(at.stripe.facts()['objects'].values()):,} objects of history")
        print(
            f"  first load              {load.wall_s:8.1f} s wall {load.cpu_s:8.1f} s CPU {load.requests:8,} requests"
        )
        while at.cycle(timedelta(minutes=11)).requests > 3:  # what follows the first load
            pass
        idle = [at.cycle(timedelta(seconds=_SECONDS)) for _ in range(5)]
        middle = sorted(idle, key=lambda took: took.cpu_s)[2]
        print(f"  idle cycle              {middle.wall_s:8.3f} s wall {middle.cpu_s:8.3f} s CPU {max(took.requests for took in idle):8,} requests at most")  # fmt: skip
        customers = list(at.stripe.objects("customers"))
        for turn, rate in enumerate(rates):
            events = rate * _SECONDS
            at.happen(events, customers, turn)
            took = at.cycle(timedelta(seconds=_SECONDS))
            extra = took.cpu_s - middle.cpu_s
            print(f"  cycle at {rate:3} events/s    {took.wall_s:8.3f} s wall {took.cpu_s:8.3f} s CPU {took.requests:8,} requests   "
                  f"an event: {1000 * extra / events:.2f} ms CPU, {took.requests / events:.4f} requests")  # fmt: skip
        month = []
        for day in range(1, days + 1):
            month += [at.cycle(timedelta(hours=6)) for _ in range(4)]
            if day in (1, 10, 20):
                print(f"  day {day:2} of {days:2}            {sum(t.wall_s for t in month):8.1f} s wall {sum(t.cpu_s for t in month):8.1f} s CPU "
                      f"{sum(t.requests for t in month):8,} requests so far", flush=True)  # fmt: skip
        requests = sum(took.requests for took in month) * 30 / days
        each = requests * 100_000 / sum(at.stripe.facts()["objects"].values())
        print(f"  {days} days, every 6 hours   {sum(t.wall_s for t in month):8.1f} s wall {sum(t.cpu_s for t in month):8.1f} s CPU "
              f"{requests:8,.0f} requests a month, {each:,.0f} a month for 100,000 objects")  # fmt: skip


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--short", action="store_true", help="2,000 objects and a week: whether it runs, in a minute")
    asked = parser.parse_args()
    log.configure("text", "error")
    for objects in [2_000] if asked.short else asked.objects:
        measure(objects, 7 if asked.short else asked.days, RATES[:2] if asked.short else RATES)


if __name__ == "__main__":
    main()
