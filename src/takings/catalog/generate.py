"""Make the catalogue's data file from the installed SDK's source: ``python -m takings.catalog.generate [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from takings.catalog import DATA
from takings.catalog.build import build
from takings.catalog.changes import compare
from takings.catalog.model import Catalog


def encode(catalog: Catalog) -> str:
    """Return the data file's text: a list and a field a line, in a fixed order, so that people can read a diff."""

    def line(value: object) -> str:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(", ", ": "))

    out = ["{"]
    out.append(f'"sdk_version": {line(catalog.sdk_version)},')
    out.append(f'"api_version": {line(catalog.api_version)},')
    out.append('"lists": [')
    out.append(",\n".join(f"  {line(item)}" for item in catalog.lists))
    out.append("],")
    out.append('"resources": {')
    resources = []
    for table, resource in catalog.resources.items():
        plain: dict[str, Any] = msgspec.to_builtins(resource)
        parts = []
        for key, value in plain.items():
            if key in ("fields", "inner", "nested"):
                rows = ",\n".join(f"      {line(row)}" for row in value)
                parts.append(f"    {line(key)}: [\n{rows}\n    ]")
            else:
                parts.append(f"    {line(key)}: {line(value)}")
        resources.append(f"  {line(table)}: {{\n" + ",\n".join(parts) + "\n  }")
    out.append(",\n".join(resources))
    out.append("}")
    out.append("}")
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the data file, or with ``--check`` only tell whether it is up to date; print what moved.

    Returns:
        0; 1 when ``--check`` finds the file not up to date; 2 when rules and overlay do not cover the SDK.
    """
    parser = argparse.ArgumentParser(prog="python -m takings.catalog.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is not up to date")
    options = parser.parse_args(arguments)
    try:
        catalog = build()
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    text = encode(catalog)
    before = DATA.read_text(encoding="utf-8") if DATA.exists() else ""
    if before == text:
        print(f"{DATA.name} is up to date: {len(catalog.lists)} lists, {len(catalog.resources)} resources.")
        return 0
    if before:
        try:
            print(compare(msgspec.json.decode(before, type=Catalog), catalog).text())
        except msgspec.DecodeError as error:
            print(f"{DATA.name} cannot be compared: {error}")
    if options.check:
        print(f"{DATA.name} is not up to date: run `python -m takings.catalog.generate`.", file=sys.stderr)
        return 1
    DATA.write_text(text, encoding="utf-8")
    print(f"{DATA.name} written: {len(catalog.lists)} lists, {len(catalog.resources)} resources.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
