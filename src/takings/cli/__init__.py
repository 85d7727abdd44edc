"""The command line: ``takings`` and its commands, one file a command, each importing its work only when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from takings import __version__
from takings.cli import (
    alerts,
    backup,
    books,
    compare,
    connect,
    demo,
    disconnect,
    doctor,
    explain,
    journal,
    metrics,
    month_end,
    query,
    rebuild,
    reconcile,
    recurring,
    report,
    restore,
    sigma,
    simulator,
    status,
    sync,
    tables,
    token,
    up,
    verify,
    web,
    webhook,
    worker,
)
from takings.errors import TakingsError

INTERRUPTED = 130
UNEXPECTED = 7


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from TAKINGS_… variables or settings.toml in the data folder (TAKINGS_HOME).",
)
@click.version_option(__version__, prog_name="takings", message="%(prog)s %(version)s")
def takings() -> None:
    """Keep every Stripe payment and invoice in a warehouse you own."""


for _command in (
    demo.demo,
    up.up,
    connect.connect,
    sync.sync,
    reconcile.reconcile,
    verify.verify,
    status.status,
    alerts.alerts,
    tables.tables,
    query.query,
    sigma.sigma,
    metrics.metrics,
    explain.explain,
    books.books,
    journal.journal,
    journal.trial_balance,
    journal.income_statement,
    journal.balance_sheet,
    journal.waterfall,
    recurring.recurring,
    month_end.month_end,
    report.report,
    compare.compare,
    token.token,
    webhook.webhook,
    disconnect.disconnect,
    backup.backup,
    restore.restore,
    rebuild.rebuild,
    doctor.doctor,
    web.web,
    worker.worker,
    simulator.simulator,
):
    takings.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one sentence on stderr.

    Args:
        arguments: What follows ``takings``; default the process's own arguments.

    Returns:
        0 when all went well, 2 for a wrong argument or setting, 130 when interrupted, else the ``exit_code`` of the
        error's class (see :mod:`takings.errors`).
    """
    if os.environ.pop("TAKINGS_FOLLOW_PARENT", None):
        from takings.cli.processes import follow_parent

        follow_parent()
    try:
        result = takings.main(args=arguments, prog_name="takings", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough (`takings query … | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except TakingsError as error:
        if _tells_all():
            raise
        _say(error.sentence)
        return error.exit_code
    except Exception as error:
        if _tells_all():
            raise
        _say(
            f"Something unexpected happened ({type(error).__name__}: {error}). "
            "Run it again with TAKINGS_LOG_LEVEL=debug to see where, and tell us."
        )
        return UNEXPECTED


def _tells_all() -> bool:
    return os.environ.get("TAKINGS_LOG_LEVEL") == "debug"


def _say(sentence: str) -> None:
    from takings.log import redact

    click.echo(f"{click.style('Error:', fg='red', bold=True)} {redact(sentence)}", err=True)
