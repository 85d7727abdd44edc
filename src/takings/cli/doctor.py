"""``takings doctor``: what is well, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from takings.cli.common import home_option, json_option

if TYPE_CHECKING:
    from takings.app import App
    from takings.connections.model import Connection
    from takings.settings import Settings

#: Below this free space a first load may not fit; below the second nothing can be written safely.
LITTLE_SPACE_BYTES = 2 * 1024**3
NO_SPACE_BYTES = 200 * 1024**2
#: Stripe's signatures bear five minutes, but a clock that far off already puts rows on the wrong day.
SKEW_WARNING_S = 5
SKEW_FAILED_S = 120

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        state: How it stands; only ``failed`` makes the command fail.
        found: What was found, in a sentence.
        advice: What to do, None where nothing.
    """

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    advice: str | None = None


@click.command(short_help="Check everything and say what to do.")
@json_option
@home_option
def doctor(as_json: bool, home: Path | None) -> int:
    """Check settings, disk, store, warehouse, Stripe, keys, clock and versions, and say what to do.

    Ends with 1 when something is wrong, else with 0.
    """
    from takings.cli.output import print_json

    checks: list[Check] = []
    for check in examine(home):
        checks.append(check)
        if not as_json:
            mark, colour = _MARKS[check.state]
            click.echo(f"{click.style(mark, fg=colour, bold=True)} {click.style(check.name, bold=True)}: {check.found}")
            if check.advice:
                click.echo(f"  → {check.advice}")
    failed = sum(1 for check in checks if check.state == "failed")
    if as_json:
        print_json({"healthy": not failed, "checks": [asdict(check) for check in checks]})
    else:
        click.echo("Something is wrong." if failed else "All is well.")
    return 1 if failed else 0


def examine(home: Path | None) -> Iterator[Check]:
    """Look at one thing after another; what cannot be looked at because of an earlier fault is left out."""
    from takings.cli.common import ready_home
    from takings.errors import TakingsError
    from takings.settings import load

    yield versions()
    try:
        settings = load(home=home)
        yield Check("Settings", "ok", settings_source(settings))
        ready_home(settings.home)
    except TakingsError as error:
        yield Check("Settings", "failed", error.sentence)
        return
    yield disk(settings)
    yield from stripe_reached(settings)
    parts: list[App] = []
    yield _guarded("Store and warehouse", lambda: _open(settings, parts))
    for app in parts:
        try:
            yield from inside(app)
        finally:
            app.close()


def _open(settings: Settings, parts: list[App]) -> str:
    from takings import app, log

    log.configure(settings.log_form, "error")
    built = app.build(settings)
    parts.append(built)
    snapshot = built.warehouse.snapshot()
    return f"Both open; the warehouse ({settings.warehouse}) is at snapshot {snapshot}."


def inside(app: App) -> Iterator[Check]:
    """Look at workers and connections of a product that opens."""
    connections = app.connections.all()
    yield worker_alive(app, needed=bool(connections))
    if not connections:
        yield Check("Connections", "warning", "None yet.", "Add one with `takings connect` or in the browser.")
    for connection in connections:
        yield connection_works(app, connection)


def _guarded(name: str, look: Callable[[], str]) -> Check:
    from takings.errors import TakingsError

    try:
        return Check(name, "ok", look())
    except TakingsError as error:
        return Check(name, "failed", error.sentence)
    except Exception as error:
        return Check(name, "failed", f"{type(error).__name__}: {error}", "Tell us, with what stands above.")


def versions() -> Check:
    """Say which versions run."""
    import platform
    from importlib.metadata import version

    from takings import __version__, catalog

    found = catalog.load()
    installed = version("stripe")
    said = (
        f"takings {__version__}, Python {platform.python_version()}, DuckDB {version('duckdb')}, "
        f"Stripe API {found.api_version}."
    )
    if installed != found.sdk_version:
        return Check(
            "Versions",
            "failed",
            f"{said} The catalogue was made from Stripe's library {found.sdk_version}, installed is {installed}.",
            "Install the product anew with `uv sync`.",
        )
    return Check("Versions", "ok", said)


def settings_source(settings: Settings) -> str:
    """Say where the settings come from, never what secrets they hold."""
    import os

    named = os.environ.get("TAKINGS_SETTINGS")
    file = Path(named) if named else settings.home / "settings.toml"
    variables = sorted(name for name in os.environ if name.startswith("TAKINGS_"))
    said = f"data folder {settings.home}"
    if file.exists():
        said += f", file {file}"
    if variables:
        said += f", variables {', '.join(variables)}"
    return said + "."


def disk(settings: Settings) -> Check:
    """Look at the free space of the data folder."""
    import shutil

    free = shutil.disk_usage(settings.home).free
    said = f"{free / 1024**3:.1f} GiB free where the data folder is."
    if free < NO_SPACE_BYTES:
        return Check("Disk", "failed", said, "Make room, or move the data folder (TAKINGS_HOME): nothing is lost.")
    if free < LITTLE_SPACE_BYTES:
        return Check("Disk", "warning", said, "Make room before a first load: a million objects take about 1 GiB.")
    return Check("Disk", "ok", said)


def stripe_reached(settings: Settings) -> Iterator[Check]:
    """Knock at Stripe's API without a key: is it reached, and does its clock agree with ours?"""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    request = Request(f"{settings.stripe_api_base}/v1/charges", method="GET")  # noqa: S310 - settings allow https, or http to ourselves
    try:
        with urlopen(request, timeout=15) as answer:  # noqa: S310
            date = answer.headers.get("Date")
    except HTTPError as error:  # 401 is the right answer to a request without a key
        date = error.headers.get("Date")
        error.close()
    except (URLError, OSError) as error:
        yield Check(
            "Stripe",
            "failed",
            f"{settings.stripe_api_base} cannot be reached: {getattr(error, 'reason', error)}.",
            "Check the network, the proxy (HTTPS_PROXY) and the firewall of this machine.",
        )
        return
    yield Check("Stripe", "ok", f"{settings.stripe_api_base} answers.")
    if not date:
        return
    skew_s = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    said = (
        "agrees with Stripe's."
        if abs(skew_s) < SKEW_WARNING_S
        else (f"{abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} Stripe's.")
    )
    advice = "Let the system set its clock from the network (NTP)."
    if abs(skew_s) >= SKEW_FAILED_S:
        yield Check("Clock", "failed", said, advice)
    elif abs(skew_s) >= SKEW_WARNING_S:
        yield Check("Clock", "warning", said, advice)
    else:
        yield Check("Clock", "ok", said)


def worker_alive(app: App, *, needed: bool) -> Check:
    """Look whether anybody keeps the connections in step."""
    from takings.connections import worker_is_there

    if worker_is_there(app.store, app.clock.now()):
        return Check("Worker", "ok", "One has given a sign of life within the last minute.")
    if needed:
        return Check("Worker", "warning", "None is running: nothing is kept in step.", "Start `takings up`.")
    return Check("Worker", "ok", "None is running, and none is needed yet.")


def connection_works(app: App, connection: Connection) -> Check:
    """Ask Stripe for one row with a connection's own credentials."""
    from takings.errors import TakingsError
    from takings.stripe import LocalLimiter

    name = f"Connection “{connection.name}”"
    if connection.state in ("reauth", "failed"):
        return Check(name, "failed", connection.reason or connection.state, "Re-authenticate it in the browser.")
    if connection.state in ("paused", "disconnecting"):
        return Check(name, "ok", f"It is {connection.state}; Stripe is not asked.")
    readable = [path for path, access in connection.permissions.items() if access == "allowed" and "{" not in path]
    settings = app.settings
    limiter = LocalLimiter(
        rate_global=settings.rate_live if connection.livemode else settings.rate_sandbox,
        rate_endpoint=settings.rate_endpoint,
        headroom=settings.headroom,
        clock=app.clock,
    )
    try:
        client = app.connections.client(connection, limiter=limiter)
        try:
            client.get(next(iter(readable), "/v1/charges"), {"limit": 1})
        finally:
            client.close()
    except TakingsError as error:
        return Check(name, "failed", error.sentence)
    forbidden = sorted(path for path, access in connection.permissions.items() if access == "forbidden")
    if forbidden:
        return Check(
            name,
            "warning",
            f"The key works; it may not read {', '.join(forbidden)}.",
            "Give the key these read permissions in Stripe if you want these tables, then re-authenticate.",
        )
    return Check(name, "ok", f"The key works and may read {len(readable)} lists.")
