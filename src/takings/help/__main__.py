"""Write the generated parts of the manual (settings, commands, figures, Sigma, the API): ``python -m takings.help``."""

from __future__ import annotations

import re
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import click

from takings import catalog
from takings.accounts import MATRIX, ROLES, Action
from takings.cli import takings
from takings.metrics import Derived, Measure, Registry
from takings.reports import load_dashboards
from takings.settings import Settings, variable
from takings.warehouse.sigma import load, reason
from takings.web.api.routes import describe
from takings.words import LOCALES, Words

FOLDER = Path(__file__).parent
_HEADINGS = {
    "en": {
        "variable": "Variable",
        "default": "Default",
        "meaning": "Meaning",
        "option": "Option",
        "figure": "Figure",
        "figures": "Figures",
        "dashboard": "Dashboard",
        "source": "Definition",
        "table": "Table",
        "columns": "In Sigma",
        "here": "Here",
        "all": "All tables",
        "given": "Tables that Stripe's API gives",
        "not_here": "Not here",
        "why": "Why",
        "route": "Route",
        "role": "Least role",
    },
    "fr": {
        "variable": "Variable",
        "default": "Valeur par défaut",
        "meaning": "Sens",
        "option": "Option",
        "figure": "Chiffre",
        "figures": "Chiffres",
        "dashboard": "Tableau de bord",
        "source": "Définition",
        "table": "Table",
        "columns": "Dans Sigma",
        "here": "Ici",
        "all": "Toutes les tables",
        "given": "Tables que donne l’API de Stripe",
        "not_here": "Absente",
        "why": "Pourquoi",
        "route": "Route",
        "role": "Rôle minimal",
    },
}


def settings_table(locale: str) -> str:
    """Return the table of all settings in one language."""
    words, heads = Words(locale), _HEADINGS[locale]
    lines = [f"| {heads['variable']} | {heads['default']} | {heads['meaning']} |", "| --- | --- | --- |"]
    for field in fields(Settings):
        name = f"`{variable(field.name)}`"
        if field.metadata.get("secret"):
            name += f", `{variable(field.name)}_FILE`"
        none = field.default is MISSING or field.default is None
        default = "–" if none else f"`{field.default}`"
        lines.append(f"| {name} | {default} | {words(f'cli.setting.{field.name}')} |")
    return "\n".join(lines)


def dashboards_table(locale: str) -> str:
    """Return the table of all dashboards with the figures on each, in one language."""
    heads, registry = _HEADINGS[locale], Registry.load(catalog.load())
    lines = [f"| {heads['dashboard']} | {heads['meaning']} | {heads['figures']} |", "| --- | --- | --- |"]
    for one in load_dashboards(registry):
        names = ", ".join(f"`{name}`" for name in one.metrics)
        lines.append(f"| {one.title[locale]} | {one.intro[locale]} | {names} |")
    return "\n".join(lines)


def command_sections(locale: str) -> str:
    """Return a section for each command, with its usage, what it does and its options, in one language."""
    parts = []
    for name, command in takings.commands.items():
        heads = _HEADINGS[locale]
        lines = [f"### takings {name}", "", f"```sh\n{usage(command)}\n```", ""]
        lines += [sentence(locale, name, "about"), ""]
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        if options:
            lines += [f"| {heads['option']} | {heads['meaning']} |", "| --- | --- |"]
            lines += [f"| {spelled(option)} | {sentence(locale, name, option.name or '')} |" for option in options]
            lines.append("")
        parts.append("\n".join(lines))
    return "\n".join(parts).rstrip("\n")


def figure_tables(locale: str) -> str:
    """Return a section for each model, with every figure that comes from its lines, in one language."""
    heads = _HEADINGS[locale]
    parts = []
    for model in Registry.load(catalog.load()).ordered:
        if not model.measures:
            continue
        lines = [f"### {model.name}", "", model.meaning[locale], ""]
        lines += [f"| {heads['figure']} | {heads['meaning']} | {heads['source']} |", "| --- | --- | --- |"]
        figures: tuple[Measure | Derived, ...] = (*model.measures, *model.derived)
        for one in figures:
            source = f"[{one.source.split('/')[2]}]({one.source})" if "://" in one.source else one.source
            lines.append(f"| `{one.name}` | **{one.title[locale]}.** {one.meaning[locale]} | {source} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts).rstrip("\n")


def sigma_table(locale: str) -> str:
    """Return the share of each Sigma table that is here, and why the others are not, in one language."""
    mapping, heads = load(), _HEADINGS[locale]
    open_to = sum(len(table.columns) for table in mapping.available.values())
    lines = [f"| {heads['table']} | {heads['columns']} | {heads['here']} |", "| --- | --- | --- |"]
    lines += [
        f"| **{heads['all']}** | {mapping.columns} | {mapping.had} |",
        f"| **{heads['given']}** | {open_to} | {mapping.had} |",
    ]
    lines += [f"| `{name}` | {len(table.columns)} | {table.had} |" for name, table in mapping.available.items()]
    lines += ["", f"| {heads['not_here']} | {heads['why']} |", "| --- | --- |"]
    lines += [f"| `{name}` | {reason(table.why, locale)} |" for name, table in mapping.tables.items() if table.why]
    return "\n".join(lines)


def api_table(locale: str) -> str:
    """Return the table of the API's routes with what each gives and the least role that may use it, in one language."""
    words, heads = Words(locale), _HEADINGS[locale]
    lines = [f"| {heads['route']} | {heads['meaning']} | {heads['role']} |", "| --- | --- | --- |"]
    for path, methods in describe()["paths"].items():
        for method, operation in methods.items():
            actions = {Action(name) for scopes in operation["security"] for one in scopes.values() for name in one}
            least = next(role for role in reversed(ROLES) if actions <= MATRIX[role])
            role = words(f"accounts.role_{least}") if actions else "–"
            said = words(f"api.{operation['operationId']}")
            lines.append(f"| `{method.upper()} {path}` | {said} | {role} |")
    return "\n".join(lines)


def sentence(locale: str, command: str, what: str) -> str:
    """Return the sentence on a command (``about``) or on one of its options, in one language."""
    words = Words(locale)
    own = f"cli.{command}.{what}"
    return words(own if words.has(own) else f"cli.option.{what}")


def usage(command: click.Command) -> str:
    """Return the line that shows how a command is written."""
    context = click.Context(command, info_name=command.name, parent=click.Context(takings, info_name="takings"))
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def spelled(option: click.Option) -> str:
    """Return an option's spellings with the word for its value."""
    value = "" if option.is_flag else " " + option.make_metavar(click.Context(takings)).replace("|", "\\|")
    return ", ".join(f"`{form}{value}`" for form in option.opts)


def filled(text: str, locale: str) -> str:
    """Return a page with what stands between its markers made anew.

    Raises:
        ValueError: A marker is opened and not closed.
    """
    for name, content in (
        ("settings", settings_table),
        ("commands", command_sections),
        ("figures", figure_tables),
        ("dashboards", dashboards_table),
        ("sigma", sigma_table),
        ("api", api_table),
    ):
        opening, closing = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if opening not in text:
            continue
        if closing not in text:
            raise ValueError(f"{opening} has no {closing}.")
        pattern = re.compile(re.escape(opening) + ".*?" + re.escape(closing), re.DOTALL)
        block = f"{opening}\n{content(locale)}\n{closing}"
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    return text


def main() -> int:
    """Write all pages anew and name those that changed."""
    for locale in LOCALES:
        for path in sorted((FOLDER / locale).glob("*.md")):
            before = path.read_text("utf-8")
            after = filled(before, locale)
            if after != before:
                path.write_text(after, "utf-8")
                sys.stdout.write(f"{path.relative_to(FOLDER)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
