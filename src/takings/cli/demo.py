"""``takings demo``: the product with a simulated Stripe and a company of three years, and nothing left behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import home_option

if TYPE_CHECKING:
    from takings.settings import Settings

EMAIL = "demo@example.com"
NOTE = "demo.json"
PREFIX = "takings-demo-"


@click.command(short_help="Show the product with a simulated Stripe.")
@click.option("--from-scratch", is_flag=True, help="Open at the first-run wizard, with nothing connected yet.")
@click.option(
    "--objects",
    type=click.IntRange(100, 10_000_000),
    metavar="N",
    default=20_000,
    show_default=True,
    help="About how many Stripe objects the demo company has.",
)
@click.option(
    "--months",
    type=click.IntRange(1, 120),
    metavar="N",
    default=36,
    show_default=True,
    help="How many months of life it looks back on.",
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on; default TAKINGS_HOST, else 127.0.0.1.")
@click.option(
    "--port", type=int, metavar="PORT", help="Port to listen on, 0 for a free one; default TAKINGS_PORT, else 8420."
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@home_option
def demo(
    from_scratch: bool,
    objects: int,
    months: int,
    host: str | None,
    port: int | None,
    no_browser: bool,
    home: Path | None,
) -> int:
    """Show the product with a simulated Stripe account; no Stripe account and no key needed.

    Without --home everything lives in a temporary folder and is deleted at the end.
    """
    import tempfile

    from takings.cli import processes

    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as folder:
        try:
            return _run(home or Path(folder), from_scratch, objects, months, host, port, not no_browser)
        except processes.Stopped:
            pass
        except processes.Gone as gone:
            return gone.exit_code
    click.echo("Stopped.", err=True)
    return 0


def _run(
    home: Path, from_scratch: bool, objects: int, months: int, host: str | None, port: int | None, browser: bool
) -> int:
    import json
    from concurrent.futures import Future

    from takings.cli import processes
    from takings.cli.common import settings_for
    from takings.cli.up import address

    settings = settings_for(host=host, port=port, home=home)
    with (
        processes.only_one(settings.home) as tell,
        processes.listen(settings.host, settings.port, wait_s=5.0) as listener,
        processes.Supervisor() as supervisor,
    ):
        url = address(settings.host, listener.getsockname()[1])
        click.echo("Starting a simulated Stripe …", err=True)
        with processes.listen("127.0.0.1", 0) as free:
            simulator_port = free.getsockname()[1]
        said: Future[dict[str, Any]] = Future()

        def heard(line: str) -> None:
            if not said.done():
                said.set_result(json.loads(line))

        supervisor.start(
            processes.Program(
                name="simulator",
                command=processes.this_program(
                    "simulator",
                    *("--port", str(simulator_port), "--objects", str(objects), "--months", str(months)),
                    *("--redirect-uri", f"{url}/", "--state", str(settings.home / "simulator.json")),
                ),
                on_line=heard,
            )
        )
        simulator = supervisor.wait(said)
        env = stripe_variables(simulator)
        note = None
        if not from_scratch:
            click.echo("Making the demo company and connecting its account …", err=True)
            note = supervisor.call(lambda: prepare(home, env, simulator))
        processes.run_product(supervisor, listener, home=settings.home, host=settings.host, env=env)
        tell(url=url)
        announce(url, settings, simulator, note)
        if browser and has_display():
            import webbrowser

            webbrowser.open(url)
        supervisor.run()
    click.echo("Stopped.", err=True)
    return 0


def sweep(folder: Path) -> None:
    """Delete what demos that were killed have left in the folder for temporary files; those that run are let be."""
    import os
    import shutil

    from takings.cli import processes

    for left in folder.glob(f"{PREFIX}*"):
        ours = (left / processes.LOCK_FILE).exists() and left.stat().st_uid == os.getuid()
        if ours and processes.running(left) is None:
            shutil.rmtree(left, ignore_errors=True)


def stripe_variables(simulator: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that make the product take the simulator for Stripe, from the line it prints when ready."""
    return {
        "TAKINGS_STRIPE_API_BASE": simulator["api"],
        "TAKINGS_STRIPE_CONNECT_BASE": simulator["api"],
        "TAKINGS_STRIPE_MARKETPLACE_BASE": simulator["api"],
        "TAKINGS_STRIPE_APP_CLIENT_ID": simulator["app_client_id"],
        "TAKINGS_STRIPE_APP_SECRET": simulator["app_secret"],
        "TAKINGS_STRIPE_CONNECT_CLIENT_ID": simulator["connect_client_id"],
        "TAKINGS_STRIPE_CONNECT_SECRET": simulator["connect_secret"],
    }


def prepare(home: Path, env: Mapping[str, str], simulator: Mapping[str, Any]) -> str:
    """Set up the demo company and its connection where they are not there yet.

    Returns:
        The demo administrator's password, the same at every start on one data folder.
    """
    import os

    from takings import app, log
    from takings.connections.model import Credentials
    from takings.settings import load

    settings = load({**os.environ, **env}, home=home)
    log.configure(settings.log_form, "warning")
    parts = app.build(settings)
    try:
        password = _password(settings.home / NOTE)
        if not parts.people.is_set_up():
            parts.people.setup(
                company_name="Aurore Coffee",
                locale="en",
                time_zone="Europe/Paris",
                currency="eur",
                email=EMAIL,
                name="Demo",
                password=password,
            )
        if not parts.connections.all():
            credentials = Credentials(way="key", secret=simulator["live_key"])
            probe = parts.connections.probe(credentials)
            pending = parts.connections.pend(None, credentials, probe)
            parts.connections.confirm(None, pending, "", None)
        return password
    finally:
        parts.close()


def _password(file: Path) -> str:
    import json
    import os
    import secrets

    if file.exists():
        return str(json.loads(file.read_text("utf-8"))["password"])
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as to:
        json.dump({"email": EMAIL, "password": password}, to)
    return password


def announce(url: str, settings: Settings, simulator: Mapping[str, Any], password: str | None) -> None:
    """Print where the product is, how to sign in, and what opens the simulated Stripe."""
    click.echo(f"\n  Takings runs at    {url}")
    if password is not None:
        click.echo(f"  Sign in with       {EMAIL}   password  {password}")
    else:
        click.echo("  It opens at the set-up page. To connect the simulated account:")
        click.echo(f"  Restricted key     {simulator['live_key']}")
    user = simulator["user"]
    click.echo(f"  Stripe’s sign-in   {user['email']}   password  {user['password']}   (simulated)")
    click.echo(f"  Data folder        {settings.home}")
    click.echo("\n  Ctrl-C stops it.\n")


def has_display() -> bool:
    """Tell whether a browser can open here."""
    import os
    import sys

    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
