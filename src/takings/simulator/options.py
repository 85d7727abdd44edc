"""What a simulator can be started with: one definition for the command line, the tests and the demo."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from takings.clock import require_aware
from takings.simulator.limits import Allowance

Profile = Literal["company", "benchmark"]


def _option(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to start a simulator. Each field ``a_b`` is the option ``--a-b``."""

    host: str = _option("127.0.0.1", "loopback address to listen on")
    port: int = _option(0, "port to listen on; 0 takes a free one")
    objects: int = _option(50_000, "about how many objects the live account has, 100 to 10,000,000")
    test_objects: int = _option(1_500, "about how many objects its test mode has")
    connected: int = _option(0, "how many small accounts are connected to the Connect platform")
    seed: int = _option(1, "what the dice start from; keys follow from it too")
    months: int = _option(36, "length of the company's life in months")
    end: datetime | None = field(
        default=None, metadata={"meaning": "the simulated present, ISO 8601 with a zone; default now"}
    )
    profile: Profile = field(
        default="company",
        metadata={"meaning": "what the objects are like: a whole company, or four big tables to measure by"},
    )
    name: str = _option("Aurore Coffee", "the company's name")
    country: str = _option("FR", "the company's country, two letters")
    currency: str = _option("eur", "the company's main currency")
    latency_ms: float = _option(0.0, "time every API answer takes at least, in ms")
    jitter: float = _option(0.0, "share (0 to 1) by which the latency varies at random, both ways")
    rate: float = _option(100.0, "requests a second in live mode; 0 for no limit")
    test_rate: float = _option(25.0, "requests a second in test mode; 0 for no limit")
    endpoint_rate: float = _option(25.0, "requests a second an endpoint; 0 for no limit")
    concurrency: int = _option(0, "requests of an account under way at once; 0 for no limit")
    endpoint_concurrency: int = _option(0, "requests to an endpoint under way at once; 0 for no limit")
    redirect_uri: tuple[str, ...] = _option(
        (),
        "address OAuth may return to, besides loopback ones; one that ends in / stands for all below it; may be repeated",
    )
    state: Path | None = field(
        default=None,
        metadata={"meaning": "file that keeps keys, grants and the present of the world from one start to the next"},
    )
    with_parent: bool = _option(False, "exit when the process that started this one dies")

    def allowance(self) -> Allowance:
        """Return the part that says how much is let through."""
        return Allowance(
            live=self.rate,
            test=self.test_rate,
            endpoint=self.endpoint_rate,
            concurrency=self.concurrency,
            endpoint_concurrency=self.endpoint_concurrency,
        )

    def arguments(self) -> list[str]:
        """Return the command line that gives these options."""
        line: list[str] = []
        for name, value in asdict(self).items():
            flag = "--" + name.replace("_", "-")
            if value is None or value is False:
                continue
            if value is True:
                line.append(flag)
            elif isinstance(value, tuple):
                line += [word for each in value for word in (flag, each)]
            else:
                line += [flag, value.isoformat() if isinstance(value, datetime) else str(value)]
        return line


def parse(line: Sequence[str]) -> Options:
    """Read a command line; a wrong one ends the process with a sentence on stderr and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m takings.simulator",
        description="A Stripe of our own: one JSON line on stdout says where it listens and with which keys.",
    )
    hints = get_type_hints(Options)
    for spec in fields(Options):
        flag, hint, meaning = "--" + spec.name.replace("_", "-"), hints[spec.name], spec.metadata["meaning"]
        if hint is bool:
            parser.add_argument(flag, action="store_true", help=meaning)
        elif hint == tuple[str, ...]:
            parser.add_argument(flag, action="append", default=[], help=meaning)
        elif hint is Profile:
            parser.add_argument(flag, choices=get_args(Profile), default=spec.default, help=meaning)
        else:
            kinds: dict[Any, Callable[[str], Any]] = {datetime | None: _moment, Path | None: Path}
            kind = kinds.get(hint, hint)
            parser.add_argument(flag, type=kind, default=spec.default, help=meaning)
    given = vars(parser.parse_args(line))
    return Options(**given | {"redirect_uri": tuple(given["redirect_uri"])})


def _moment(text: str) -> datetime:
    try:
        return require_aware(datetime.fromisoformat(text))
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 moment with a time zone") from problem
