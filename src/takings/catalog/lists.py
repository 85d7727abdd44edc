"""The endpoints and events of the SDK: every GET that answers a page, what can be deleted, what events there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from takings.catalog.annotations import read_type
from takings.catalog.source import Class, Sdk


@dataclass(frozen=True)
class Found:
    """A list endpoint as the SDK's source has it."""

    path: str
    classes: tuple[Class, ...]
    parameters: Mapping[str, tuple[ast.expr, str]]
    params: Class | None

    @property
    def api(self) -> Literal["v1", "v2"]:
        """Which of Stripe's two APIs it belongs to."""
        return "v2" if self.path.startswith("/v2/") else "v1"

    @property
    def required(self) -> list[str]:
        """Query parameters without which Stripe answers 400."""
        return [
            name
            for name, (annotation, _) in self.parameters.items()
            if not ast.unparse(annotation).startswith("NotRequired")
        ]

    @property
    def created_filter(self) -> bool:
        """True where ``created`` takes a range."""
        if "created" not in self.parameters or self.params is None:
            return False
        kind = ast.unparse(self.parameters["created"][0])
        ranges = re.findall(r"\b(\w+Created)\b", kind)
        found = self.params.find(ranges[0]) if ranges else None
        return found is not None and "gte" in found.attributes


def read_lists(sdk: Sdk) -> list[Found]:
    """Return every GET endpoint that answers a page of objects, by path.

    Read from the service classes: a method that returns a ``ListObject`` and asks ``get``.
    """
    found: list[Found] = []
    for module in sdk.modules("**/*_service.py"):
        for service in module.classes.values():
            for method in service.functions:
                returns = method.returns.value if isinstance(method.returns, ast.Constant) else ""
                if not str(returns).startswith("ListObject["):
                    continue
                path = next(_requests(method, "get"), None)
                if path is None:
                    continue
                classes = read_type(ast.parse(str(returns), mode="eval").body, service).classes
                params = _params_class(method, service)
                parameters = (
                    {item.name: (item.annotation, item.doc) for item in params.attributes.values()} if params else {}
                )
                found.append(Found(path, classes, parameters, params))
    return sorted(found, key=lambda item: item.path)


def _requests(method: ast.FunctionDef, verb: str) -> Iterator[str]:
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_request":
            texts = [item.value for item in ast.walk(node) if isinstance(item, ast.Constant)]
            if texts and texts[0] == verb:
                yield next(str(text) for text in texts if str(text).startswith(("/v1/", "/v2/")))


def _params_class(method: ast.FunctionDef, service: Class) -> Class | None:
    for argument in method.args.args:
        if argument.arg == "params" and argument.annotation is not None:
            names = re.findall(r"\w+Params\b", ast.unparse(argument.annotation))
            return service.find(names[0]) if names else None
    return None


def read_events(sdk: Sdk) -> list[str]:
    """Return every event type: the snapshot events of v1 and the thin events of v2, in order."""
    snapshot = sdk.module("_event").classes["Event"]
    types = set(read_type(snapshot.attributes["type"].annotation, snapshot).values)
    thin = sdk.module("events._event_classes").tree
    types.update(
        node.value
        for node in ast.walk(thin)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("v2.")
    )
    return sorted(types)


def read_deletable(sdk: Sdk) -> set[str]:
    """Return the dotted names of classes that some service can delete."""
    return {
        found.dotted
        for module in sdk.modules("**/*_service.py")
        for service in module.classes.values()
        for method in service.functions
        if method.name == "delete" and any(_requests(method, "delete")) and isinstance(method.returns, ast.Constant)
        for found in read_type(ast.parse(str(method.returns.value), mode="eval").body, service).classes
    }
