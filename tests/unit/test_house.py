"""The house: parts import in one direction, nothing imports late outside the command line, no knots."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "takings"

#: From the ground up: a part imports only parts that stand before it.
ORDER = (
    "errors",
    "money",
    "clock",
    "settings",
    "log",
    "words",
    "catalog",
    "stripe",
    "simulator",
    "warehouse",
    "store",
    "archive",
    "accounts",
    "connections",
    "sync",
    "metrics",
    "proof",
    "alerts",
    "reports",
    "app",
    "answers",
    "web",
    "cli",
    "help",
)
GROUND = frozenset(("errors", "money", "clock", "settings", "log", "words"))


def modules() -> dict[str, Path]:
    """Return every module by its dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = ("takings", *path.relative_to(SOURCE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def part_of(module: str) -> str:
    """Return the part a module belongs to; the package itself and ``__main__`` belong to the command line."""
    name = module.split(".")[1] if "." in module else ""
    return "cli" if name in ("", "__main__") else name


def package_of(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def imported(module: str) -> Iterator[tuple[str, int, bool]]:
    """Go through what a module imports: full name, line, and whether late (inside a function)."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    late = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node in late
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package_of(module).split(".")
                base = ".".join([*above[: len(above) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield (whole if whole in MODULES else base), node.lineno, node in late


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_part_imports_only_parts_above_it(module: str) -> None:
    mine = part_of(module)
    for name, line, _ in imported(module):
        if not name.startswith("takings.") or part_of(name) == mine:
            continue
        assert ORDER.index(part_of(name)) < ORDER.index(mine), f"{module}:{line} imports {name}"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part_of(name) == "simulator"))
def test_the_simulator_is_an_independent_witness(module: str) -> None:
    for name, line, _ in imported(module):
        if name.startswith("takings.") and part_of(name) != "simulator":
            assert part_of(name) in GROUND | {"catalog"}, f"{module}:{line} imports {name}"
        assert name.split(".")[0] != "stripe", f"{module}:{line} imports the official client"


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part_of(name) != "cli"))
def test_only_the_command_line_imports_late(module: str) -> None:
    assert [f"{name}, line {line}" for name, line, late in imported(module) if late] == []


def test_only_one_part_speaks_http_to_stripe_and_one_module_to_webhooks() -> None:
    speakers = {module for module in MODULES for name, *_ in imported(module) if name.split(".")[0] == "httpx2"}
    assert {part_of(module) for module in speakers - {"takings.alerts.hook"}} <= {"stripe"}


def test_every_part_has_its_place() -> None:
    parts = {part_of(module) for module in MODULES if module != "takings"}
    assert parts <= set(ORDER), f"Not in the order of parts: {parts - set(ORDER)}"


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: {name for name, _, late in imported(module) if name in MODULES and name != module and not late}
        for module in MODULES
    }
    done: set[str] = set()

    def walk(module: str, road: tuple[str, ...]) -> None:
        assert module not in road, " → ".join([*road[road.index(module) :], module])
        if module not in done:
            for name in sorted(graph[module]):
                walk(name, (*road, module))
            done.add(module)

    for module in sorted(graph):
        walk(module, ())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_says_what_it_is(module: str) -> None:
    said = ast.get_docstring(ast.parse(MODULES[module].read_text("utf-8")))
    assert said or MODULES[module].parent.name == "versions", f"{module} has no docstring."
