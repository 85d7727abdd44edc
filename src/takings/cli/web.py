"""``takings web``: the web server alone."""

from __future__ import annotations

from pathlib import Path

import click

from takings.cli.common import home_option


@click.command(short_help="Run the web server alone.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on; default TAKINGS_HOST, else 127.0.0.1.")
@click.option(
    "--port", type=int, metavar="PORT", help="Port to listen on, 0 for a free one; default TAKINGS_PORT, else 8420."
)
@click.option("--fd", type=int, hidden=True, help="A listening socket handed down by `takings up`.")
@home_option
def web(host: str | None, port: int | None, fd: int | None, home: Path | None) -> None:
    """Run the web server alone, without a worker (`takings up` runs both)."""
    import signal
    import socket
    from dataclasses import replace

    import uvicorn

    from takings.accounts import SetupToken
    from takings.cli import processes
    from takings.cli.common import opened, settings_for
    from takings.cli.up import address
    from takings.settings import is_loopback
    from takings.web import server

    settings = settings_for(service=True, host=host, port=port, home=home)
    if fd is None:
        listener = processes.listen(settings.host, settings.port)
        settings = replace(settings, port=listener.getsockname()[1])
        click.echo(f"Takings runs at {settings.base_url or address(settings.host, settings.port)} (Ctrl-C stops it).")
    else:
        listener = socket.socket(fileno=fd)
    # The server raises the signal that stopped it once more when it is done: we still have to close what is open.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with listener, opened(settings) as app, app.alerts.watch().standing_in():
        if not app.people.is_set_up() and (settings.base_url or not is_loopback(f"http://{settings.host}")):
            code = SetupToken(settings.home).issue()
            click.echo(f"To set it up from another machine, use the set-up code {code}")
        config = uvicorn.Config(
            server.create(app),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Behind a proxy the visitor's address and scheme come from its headers; only this machine is believed.
            proxy_headers=True,
            timeout_graceful_shutdown=3,
        )
        uvicorn.Server(config).run(sockets=[listener])
