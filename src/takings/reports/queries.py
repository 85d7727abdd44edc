"""The SQL of reports: read from ``sql/*.sql``, put together by name, with only the parameters that a statement uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from takings.reports.figures import Topic

_PARAMETER = re.compile(r"\$([a-z_][a-z_0-9]*)")


@cache
def text(name: str) -> str:
    """Return a statement as it stands in its file, explanation included.

    Args:
        name: File name under ``sql/`` without its ending.
    """
    return resources.files("takings.reports").joinpath("sql", f"{name}.sql").read_text("utf-8").strip()


@cache
def statement(name: str) -> str:
    """Return a statement without its comment lines."""
    return "\n".join(line for line in text(name).splitlines() if not line.lstrip().startswith("--"))


@cache
def over(topic: Topic, name: str) -> str:
    """Return a statement that reads ``contributions``, with those of a topic."""
    body = statement(name)
    rest = f", {body.removeprefix('WITH ')}" if body.startswith("WITH ") else f"\n{body}"
    return f"WITH contributions AS (\n{statement(topic)}\n){rest}"


def used(sql: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that a statement names.

    Raises:
        KeyError: The statement names one that is not given.
    """
    return {name: values[name] for name in set(_PARAMETER.findall(sql))}
