"""The SDK's type annotations, taken apart: what is optional, expandable, an array, an enum, an object."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from takings.catalog.source import Class


@dataclass(frozen=True)
class Type:
    """An annotation, taken apart: what is left when optionality, expansion and containers are peeled off."""

    #: ``str``, ``int``, ``bool``, ``float``, ``Decimal``, ``literal``, ``class``, ``mapping``, ``list-object`` or ``any``.
    base: str
    nullable: bool = False
    #: An array of it.
    many: bool = False
    expandable: bool = False
    #: A mapping from texts to it.
    mapping: bool = False
    values: tuple[str, ...] = ()
    open: bool = False
    classes: tuple[Class, ...] = ()


def read_type(node: ast.expr, scope: Class) -> Type:
    """Take an annotation of the SDK apart.

    Args:
        node: The annotation as source tree.
        scope: The class it is written in: names are looked up from there.

    Raises:
        ValueError: An annotation of a shape that the SDK has not used so far.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return read_type(ast.parse(node.value, mode="eval").body, scope)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right], scope)
    if isinstance(node, ast.Subscript):
        head = ast.unparse(node.value)
        arguments = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        match head:
            case "Optional" | "NotRequired":
                return replace(read_type(arguments[0], scope), nullable=True)
            case "ExpandableField":
                return replace(read_type(arguments[0], scope), expandable=True)
            case "List":
                return replace(read_type(arguments[0], scope), many=True)
            case "UntypedStripeObject":
                return replace(read_type(arguments[0], scope), mapping=True, nullable=False)
            case "Dict":
                return replace(read_type(arguments[1], scope), mapping=True, nullable=False)
            case "ListObject":
                return Type("list-object", classes=read_type(arguments[0], scope).classes)
            case "Literal":
                values = tuple(str(ast.literal_eval(value)) for value in arguments)
                return Type("bool" if values == ("True",) else "literal", values=values)
            case "Union":
                return _union(arguments, scope)
    if isinstance(node, ast.Name):
        if node.id in ("str", "int", "bool", "float", "Decimal"):
            return Type(node.id)
        if node.id == "Any":
            return Type("any")
        found = scope.find(node.id)
        return Type("class", classes=(found,)) if found else Type("any")
    raise ValueError(f"{scope.dotted} has an annotation of an unknown shape: {ast.unparse(node)}")


def _union(arguments: Sequence[ast.expr], scope: Class) -> Type:
    parts = [read_type(argument, scope) for argument in arguments]
    literals = [part for part in parts if part.base == "literal"]
    if literals:
        return Type("literal", values=literals[0].values, open=any(part.base == "str" for part in parts))
    classes = tuple(found for part in parts for found in part.classes)
    if classes:
        return Type("class", classes=classes)
    return Type(parts[0].base if len({part.base for part in parts}) == 1 else "any")
