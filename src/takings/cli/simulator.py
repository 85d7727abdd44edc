"""``takings simulator``: a Stripe of our own, for trying things out."""

from __future__ import annotations

import click


@click.command(
    short_help="Run the simulated Stripe alone.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> None:
    """Run the simulated Stripe alone; prints its address and keys as one line of JSON."""
    from takings.simulator.options import parse
    from takings.simulator.server import serve

    serve(parse(arguments))
