"""What the commands share: their common options, the settings they start from, and the data folder made ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from takings.app import App
    from takings.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


def home_option(command: Command) -> Command:
    """Give a command ``--home``, which wins over ``TAKINGS_HOME``."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="The data folder; default TAKINGS_HOME, else one under the user's data directory.",
    )(command)


def json_option(command: Command) -> Command:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def settings_for(*, service: bool = False, **overrides: Any) -> Settings:
    """Read the settings, set up logging, and make the data folder ready.

    Args:
        service: True for what runs for long and speaks through its log; a command that answers and ends stays silent
            below warnings, so that its output is the answer.
        **overrides: Values from options; ``None`` is ignored.

    Raises:
        Misconfigured: A setting is wrong, or the data folder cannot be made or written.
    """
    from takings import log
    from takings.settings import load

    settings = load(**overrides)
    level = "warning" if settings.log_level == "info" and not service else settings.log_level
    log.configure(settings.log_form, level)
    ready_home(settings.home)
    return settings


def ready_home(home: Path) -> None:
    """Make the data folder, open to its owner only, and see that it can be written.

    Raises:
        Misconfigured: It cannot; the sentence names the folder and the reason.
    """
    import tempfile

    from takings.errors import Misconfigured

    try:
        if not home.exists():
            home.mkdir(parents=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise Misconfigured(
            "home.not_writable",
            f"The data folder {home} cannot be written ({error.strerror}): give this user the right to write it, "
            "or choose another with TAKINGS_HOME.",
            path=str(home),
            cause=error.strerror,
        ) from error


@contextmanager
def opened(settings: Settings) -> Iterator[App]:
    """Put the parts together for one command, and close them after it.

    Raises:
        Unavailable: The data folder is being restored.
    """
    from takings import app
    from takings.cli.processes import using

    with using(settings.home):
        parts = app.build(settings)
        try:
            yield parts
        finally:
            parts.close()


def can_ask() -> bool:
    """Tell whether a person sits at the terminal to answer."""
    return os.isatty(0)
