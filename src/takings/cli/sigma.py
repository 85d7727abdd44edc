"""``takings sigma``: which of Stripe Sigma's tables and columns are here, what from, and why the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from takings.cli.common import json_option

if TYPE_CHECKING:
    from takings.warehouse.sigma import Mapping, Table


@click.command(short_help="Show how much of Stripe Sigma there is here.")
@click.option("--table", "name", metavar="TABLE", help="Show this table's columns instead.")
@click.option("--lacking", is_flag=True, help="Show every column that cannot be had, with the reason.")
@click.option("--sql", "as_sql", is_flag=True, help="Print the views in SQL, for DuckDB with the warehouse attached.")
@json_option
def sigma(name: str | None, lacking: bool, as_sql: bool, as_json: bool) -> None:
    """Show which of Stripe Sigma's tables and columns are here, table by table, and why the others are not.

    Queries written for Sigma run with `takings query --dialect sigma`.
    """
    from takings.cli.output import print_json, print_table
    from takings.warehouse.sigma import load, reason

    mapping = load()
    tables = mapping.tables if name is None else {name: _find(mapping, name)}
    if as_sql:
        _print_views(tables)
    elif as_json:
        print_json(_document(mapping, tables))
    elif lacking:
        rows = [(table, column, reason(why)) for table, one in tables.items() for column, why in one.lacking.items()]
        print_table(["table", "column", "why it is not here"], rows)
    elif name is None:
        print_table(
            ["table", "columns", "here", "share", "note"],
            [(table, len(one.columns), one.had, _percent(one.share), _said(one)) for table, one in tables.items()],
        )
        click.echo(_total(mapping))
    else:
        one = tables[name]
        print_table(
            ["column", "type", "from"],
            [
                (column, c.type, _origin(c.sql) if c.sql else f"not here: {reason(c.why)}")
                for column, c in one.columns.items()
            ],
        )
        click.echo(f"{one.had} of {len(one.columns)} columns are here. {_said(one)}".rstrip())


def _find(mapping: Mapping, name: str) -> Table:
    from takings.errors import NotFound

    if name not in mapping.tables:
        raise NotFound("sigma.no_table", f"Sigma has no table {name}: `takings sigma` lists them.", table=name)
    return mapping.tables[name]


def _said(table: Table) -> str:
    from takings.warehouse.sigma import note, reason

    return reason(table.why) if table.why else note(table.note)


def _total(mapping: Mapping) -> str:
    open_to = sum(len(table.columns) for table in mapping.available.values())
    return (
        f"{mapping.had:,} of Sigma's {mapping.columns:,} columns are here ({_percent(mapping.share)}): "
        f"{len(mapping.available)} of {len(mapping.tables)} tables, with {_percent(mapping.had / open_to)} of their "
        f"columns. API version {mapping.api_version}."
    )


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 1 else "100%"


def _origin(sql: tuple[str, ...]) -> str:
    return " | ".join(sql)


def _print_views(tables: dict[str, Table]) -> None:
    click.echo("CREATE SCHEMA IF NOT EXISTS sigma;")
    for name, table in tables.items():
        if table.parts:
            click.echo(f'CREATE OR REPLACE VIEW sigma."{name}" AS\n{table.select()};')


def _document(mapping: Mapping, tables: dict[str, Table]) -> dict[str, Any]:
    from takings.warehouse.sigma import reason

    return {
        "api_version": mapping.api_version,
        "columns": mapping.columns,
        "here": mapping.had,
        "share": round(mapping.share, 4),
        "tables": [
            {
                "table": name,
                "columns": len(table.columns),
                "here": table.had,
                "share": round(table.share, 4),
                "reads": table.reads,
                "said": _said(table) or None,
                "lacking": {column: reason(why) for column, why in table.lacking.items()},
            }
            for name, table in tables.items()
        ],
    }
