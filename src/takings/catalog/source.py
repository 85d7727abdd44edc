"""The installed Stripe SDK's source, read with ``ast``: classes, annotations, docstrings; nothing of it is imported or run."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """Return a docstring as one line of plain text: Markdown links and HTML tags give way to their words."""
    return _SPACE.sub(" ", _TAG.sub("", _LINK.sub(r"\1", text))).strip()


def installed() -> Path:
    """Return the folder of the installed ``stripe`` package.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    spec = importlib.util.find_spec("stripe")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The package `stripe` is not installed.")
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True)
class Attribute:
    """One annotated attribute of a class: its annotation as source tree and what the source says of it."""

    name: str
    annotation: ast.expr
    doc: str


@dataclass(frozen=True, eq=False)
class Class:
    """A class of the SDK and the module it stands in."""

    module: Module
    node: ast.ClassDef
    #: Class this one is written inside of; None for one at the module's top.
    outer: Class | None = None

    @property
    def name(self) -> str:
        """Its bare name."""
        return self.node.name

    @property
    def dotted(self) -> str:
        """Where it is under ``stripe``, such as ``checkout._session.Session``."""
        return f"{self.module.name}.{self.name}"

    @property
    def doc(self) -> str:
        """Its docstring; empty where there is none."""
        return ast.get_docstring(self.node) or ""

    @cached_property
    def inner(self) -> dict[str, Class]:
        """Classes written inside it, by name."""
        return {item.name: Class(self.module, item, self) for item in self.node.body if isinstance(item, ast.ClassDef)}

    @cached_property
    def attributes(self) -> dict[str, Attribute]:
        """Its annotated public attributes, with the docstring that follows each, without ``OBJECT_NAME``."""
        found: dict[str, Attribute] = {}
        body = self.node.body
        for index, item in enumerate(body):
            if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                continue
            name = item.target.id
            if name.startswith("_") or name.isupper():
                continue
            after = body[index + 1] if index + 1 < len(body) else None
            found[name] = Attribute(name.removesuffix("_"), item.annotation, _string(after) or "")
        # A keyword such as `from` cannot be an attribute's name: the SDK writes it in an `__annotations__` mapping.
        for key, annotation in self._by_mapping():
            found.setdefault(key, Attribute(key, annotation, ""))
        return found

    def _by_mapping(self) -> Iterator[tuple[str, ast.expr]]:
        for item in self.node.body:
            if (
                isinstance(item, ast.Assign)
                and isinstance(item.value, ast.Dict)
                and ast.unparse(item.targets[0]) == "__annotations__"
            ):
                for key, value in zip(item.value.keys, item.value.values, strict=True):
                    if isinstance(key, ast.Constant):
                        yield str(key.value), value

    @property
    def object_name(self) -> str | None:
        """Stripe's word in the ``object`` field; None where the class is no object of the API."""
        for item in self.node.body:
            if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == "OBJECT_NAME" and item.value is not None:
                return str(ast.literal_eval(item.value))
        return None

    @property
    def functions(self) -> Iterator[ast.FunctionDef]:
        """Its methods that are not asynchronous twins."""
        return (item for item in self.node.body if isinstance(item, ast.FunctionDef))

    def find(self, name: str) -> Class | None:
        """Return the class that a name means inside this one: an inner class, one of an outer, or an imported one."""
        scope: Class | None = self
        while scope is not None:
            if name in scope.inner:
                return scope.inner[name]
            scope = scope.outer
        return self.module.find(name)


@dataclass(eq=False)
class Module:
    """A module of the SDK, parsed when first asked."""

    sdk: Sdk
    #: Dotted name under ``stripe``, such as ``checkout._session``.
    name: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.sdk.path(self.name).read_text(encoding="utf-8"))

    @cached_property
    def classes(self) -> dict[str, Class]:
        """The classes at its top, by name."""
        return {item.name: Class(self, item) for item in self.tree.body if isinstance(item, ast.ClassDef)}

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Names brought in from the SDK, each with its module under ``stripe`` and its name there."""
        found: dict[str, tuple[str, str]] = {}
        for item in ast.walk(self.tree):
            if isinstance(item, ast.ImportFrom) and item.module and item.module.startswith("stripe."):
                for alias in item.names:
                    found[alias.asname or alias.name] = (item.module.removeprefix("stripe."), alias.name)
        return found

    def find(self, name: str) -> Class | None:
        """Return the class a name means in this module, here or where it is imported from; None when it is no class."""
        if name in self.classes:
            return self.classes[name]
        if name not in self.imports:
            return None
        module, original = self.imports[name]
        if not self.sdk.path(module).exists():
            return None
        return self.sdk.module(module).classes.get(original)


@dataclass(eq=False)
class Sdk:
    """The SDK's source folder; modules are parsed once.

    Args:
        root: Folder of the package ``stripe``.
    """

    root: Path
    _modules: dict[str, Module] = field(default_factory=dict)

    def path(self, module: str) -> Path:
        """Return the file of a module given by its dotted name under ``stripe``."""
        return self.root.joinpath(*module.split(".")).with_suffix(".py")

    def module(self, name: str) -> Module:
        """Return a module by its dotted name under ``stripe``."""
        if name not in self._modules:
            self._modules[name] = Module(self, name)
        return self._modules[name]

    def cls(self, dotted: str) -> Class | None:
        """Return a class by its dotted path under ``stripe``; None when there is none."""
        module, _, name = dotted.rpartition(".")
        return self.module(module).classes.get(name) if self.path(module).exists() else None

    def modules(self, pattern: str) -> Iterator[Module]:
        """Yield the modules whose path under the package matches a glob, such as ``**/*_service.py``, in order."""
        for path in sorted(self.root.glob(pattern)):
            yield self.module(".".join(path.relative_to(self.root).with_suffix("").parts))

    def constant(self, module: str, name: str) -> str:
        """Return a string constant assigned anywhere in a module.

        Raises:
            LookupError: There is no such assignment.
        """
        for item in ast.walk(self.module(module).tree):
            if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == name:
                return str(ast.literal_eval(item.value))
        raise LookupError(f"stripe.{module} does not say {name}.")


def _string(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value.strip()
    return None
