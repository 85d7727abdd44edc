"""Make the mapping of Sigma's tables anew: ``python -m takings.warehouse.sigma.generate [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import msgspec

from takings import catalog
from takings.catalog.source import Sdk, installed
from takings.warehouse.sigma.derive import BadOverlay, derive
from takings.warehouse.sigma.model import DATA, Mapping


def encode(mapping: Mapping) -> str:
    """Return the data file's text: a column a line, in Sigma's order, so that people can read a diff."""

    def line(value: object) -> str:
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)

    tables = []
    for name, table in mapping.tables.items():
        rest = {key: value for key, value in msgspec.to_builtins(table).items() if key != "columns"}
        parts = [f"    {line(key)}: {line(value)}" for key, value in rest.items()]
        columns = ",\n".join(f"      {line(column)}: {line(value)}" for column, value in table.columns.items())
        parts.append(f'    "columns": {{\n{columns}\n    }}')
        tables.append(f"  {line(name)}: {{\n" + ",\n".join(parts) + "\n  }")
    return f'{{\n"api_version": {line(mapping.api_version)},\n"tables": {{\n' + ",\n".join(tables) + "\n}\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the mapping, or with ``--check`` only tell whether it is up to date.

    Returns:
        0; 1 when ``--check`` finds it not up to date; 2 when the overlay does not fit Sigma, the catalogue and the SDK.
    """
    parser = argparse.ArgumentParser(prog="python -m takings.warehouse.sigma.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is not up to date")
    options = parser.parse_args(arguments)
    try:
        mapping = derive(catalog.load(), Sdk(installed()))
    except (FileNotFoundError, BadOverlay) as error:
        print(error, file=sys.stderr)
        return 2
    text = encode(mapping)
    fresh = DATA.exists() and DATA.read_text(encoding="utf-8") == text
    if not fresh and options.check:
        print(f"{DATA.name} is not up to date: run `python -m takings.warehouse.sigma.generate`.", file=sys.stderr)
        return 1
    if not fresh:
        DATA.write_text(text, encoding="utf-8")
    print(
        f"{DATA.name}: {mapping.had} of {mapping.columns} columns, {len(mapping.available)} of {len(mapping.tables)} tables."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
