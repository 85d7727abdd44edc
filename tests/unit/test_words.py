"""Every sentence stands in both languages, fits its placeholders, and is there when a page asks for it."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import nodes

from takings.accounts import ROLES, THEMES
from takings.web.context import NAV
from takings.web.server import environment
from takings.words import LOCALES, Sentence, sentences

SOURCE = Path(__file__).parents[2] / "src" / "takings"
TEMPLATES = SOURCE / "web" / "templates"


def forms(sentence: Sentence) -> list[str]:
    return [sentence] if isinstance(sentence, str) else [sentence["one"], sentence["other"]]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_each_sentence_stands_in_both_languages_with_the_same_placeholders() -> None:
    wrong = {}
    for key, both in sentences().items():
        if set(both) != set(LOCALES):
            wrong[key] = "a language is missing"
            continue
        if any(not isinstance(one, str) and set(one) != {"one", "other"} for one in both.values()):
            wrong[key] = "a sentence by number has one and other"
            continue
        if not all(form.strip() for one in both.values() for form in forms(one)):
            wrong[key] = "a sentence is empty"
        asked = [set().union(*map(placeholders, forms(both[locale]))) for locale in LOCALES]
        if asked[0] != asked[1]:
            wrong[key] = f"placeholders differ: {asked}"
    assert wrong == {}


@pytest.mark.parametrize(
    ("mistake", "pattern"),
    [
        ("an apostrophe is ’", r"[^\W\d_]'[^\W\d_]"),
        ("a no-break space stands before : ; ! ? » and after «", r" [:;!?»]|« "),
        ("a space stands before ; ! ? »", r"\w[!?;»]"),
        ("quotation marks are « »", r"[“”]"),
    ],
)
def test_french_is_set_as_french_is(mistake: str, pattern: str) -> None:
    code = re.compile(r"`[^`]*`|https?://\S+|\{[^}]*\}|(?<!\w)'[^']*'")
    wrong = {
        key: text
        for key, both in sentences().items()
        for text in forms(both["fr"])
        if re.search(pattern, code.sub("x", text))
    }
    assert wrong == {}, mistake


def asked_by_templates() -> Iterator[tuple[str, str, bool]]:
    """Yield template, key and whether the key is whole, for each ``w("…")`` and ``w("…" ~ x)``."""
    env = environment()
    for path in sorted(TEMPLATES.rglob("*.j2")):
        for call in env.parse(path.read_text("utf-8")).find_all(nodes.Call):
            if not (isinstance(call.node, nodes.Name) and call.node.name == "w" and call.args):
                continue
            first = call.args[0]
            whole = isinstance(first, nodes.Const)
            if isinstance(first, nodes.Concat):
                first = first.nodes[0]
            if isinstance(first, nodes.Const):
                yield path.relative_to(TEMPLATES).as_posix(), str(first.value), whole


@pytest.mark.parametrize(("template", "key", "whole"), sorted(set(asked_by_templates())))
def test_what_a_template_says_exists(template: str, key: str, whole: bool) -> None:
    assert key in sentences() if whole else any(known.startswith(key) for known in sentences()), template


def asked_by_code() -> Iterator[tuple[str, str]]:
    """Yield file and key for each ``words("…")``, ``w("…")``, ``reader.words("…")`` and ``Flash(…, "…")``."""
    for path in sorted(SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            place = {"words": 0, "w": 0, "Flash": 1}.get(name)
            key = call.args[place] if place is not None and len(call.args) > place else None
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield path.relative_to(SOURCE).as_posix(), key.value


@pytest.mark.parametrize(("file", "key"), sorted(set(asked_by_code())))
def test_what_the_code_says_exists(file: str, key: str) -> None:
    assert key in sentences(), file


def raised_by_code() -> Iterator[tuple[str, str, str]]:
    """Yield file, code and English sentence of every error that these parts raise with a literal code."""
    kinds = {"Misconfigured", "Invalid", "NotFound", "NotAllowed", "Refused", "Unavailable", "Unexpected"}
    for part in (
        "accounts",
        "answers",
        "connections",
        "metrics",
        "proof",
        "reports",
        "stripe",
        "sync",
        "warehouse",
        "web",
    ):
        for path in sorted((SOURCE / part).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") in kinds and len(call.args) == 2:
                    code = call.args[0]
                    if isinstance(code, ast.Constant):
                        yield path.relative_to(SOURCE).as_posix(), str(code.value), ast.unparse(call.args[1])


@pytest.mark.parametrize(("file", "code", "sentence"), sorted(set(raised_by_code())))
def test_what_goes_wrong_is_said_in_both_languages(file: str, code: str, sentence: str) -> None:
    assert f"error.{code}" in sentences(), f"{file}: {sentence}"


def test_why_something_is_not_proven_is_said_in_both_languages() -> None:
    codes = {
        found
        for path in sorted((SOURCE / "proof").glob("*.py"))
        for line in path.read_text("utf-8").splitlines()
        for found in re.findall(r'"(proof\.\w+)"', line)
        if "log." not in line
    }
    assert {"proof.moving", "proof.interrupted", "proof.not_loaded"} <= codes
    told_to_the_log = {"proof.ended"}
    assert {code for code in codes if f"error.{code}" not in sentences()} == told_to_the_log


def test_what_is_composed_at_run_time_exists() -> None:
    composed = {
        *(entry.key for entry in NAV),
        *(entry.group for entry in NAV if entry.group),
        *(f"accounts.role_{role}" for role in ROLES),
        *(f"accounts.role_text_{role}" for role in ROLES),
        *(f"web.theme_{theme}" for theme in THEMES),
    }
    assert composed <= set(sentences())
