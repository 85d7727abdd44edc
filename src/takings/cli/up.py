"""``takings up``: the web server and one worker, kept running."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option


@click.command(short_help="Start the product: web server and worker.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on; default TAKINGS_HOST, else 127.0.0.1.")
@click.option(
    "--port", type=int, metavar="PORT", help="Port to listen on, 0 for a free one; default TAKINGS_PORT, else 8420."
)
@home_option
def up(host: str | None, port: int | None, home: Path | None) -> int:
    """Start the product: the web server and one worker.

    Ctrl-C or SIGTERM stops both cleanly. A part that dies is started again.
    """
    from takings.cli import processes
    from takings.cli.common import settings_for
    from takings.settings import variable

    settings = settings_for(service=True, host=host, port=port, home=home)
    with processes.only_one(settings.home) as tell:
        listener = processes.listen(settings.host, settings.port, wait_s=5.0)
        taken = listener.getsockname()[1]
        url = (settings.base_url or address(settings.host, taken)).rstrip("/")
        try:
            with listener, processes.Supervisor() as supervisor:
                processes.run_product(supervisor, listener, home=settings.home, host=settings.host, env={})
                tell(url=url)
                click.echo(f"Takings runs at {url} (Ctrl-C stops it). Data folder: {settings.home}")
                if settings.base_url is None and settings.host not in ("127.0.0.1", "localhost", "::1"):
                    click.echo(
                        f"Others reach it without encryption: put a proxy with HTTPS before it and set "
                        f"{variable('base_url')}.",
                        err=True,
                    )
                supervisor.run()
        except processes.Stopped:
            pass
        except processes.Gone as gone:
            return gone.exit_code
    click.echo("Stopped.", err=True)
    return 0


def address(host: str, port: int) -> str:
    """Return the address a person types in a browser on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
