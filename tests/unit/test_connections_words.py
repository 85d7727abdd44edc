"""Everything connections say: each error has its sentence in both languages, the English one word for word the code's."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from takings.words import sentences

SOURCE = Path(__file__).parents[2] / "src" / "takings"
FILES = [*(SOURCE / "connections").glob("*.py"), *(SOURCE / "web" / "pages").glob("connections*.py")]
ERRORS = {"Invalid", "NotFound", "Refused", "Unavailable", "Misconfigured", "Unexpected"}


def raised() -> Iterator[tuple[str, str | None]]:
    """Return each error's code, with its sentence where it has no values in it."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                code, sentence = node.args[:2]
                assert isinstance(code, ast.Constant)
                yield str(code.value), str(sentence.value) if isinstance(sentence, ast.Constant) else None


FOUND = sorted(set(raised()), key=str)


def test_the_search_finds_them() -> None:
    assert len(FOUND) > 20


@pytest.mark.parametrize(("code", "sentence"), FOUND, ids=[code for code, _ in FOUND])
def test_an_error_speaks_both_languages(code: str, sentence: str | None) -> None:
    found = sentences()[f"error.{code}"]
    assert set(found) == {"en", "fr"}
    if sentence is not None:
        assert found["en"] == sentence


def fields_of(sentence: object) -> set[str]:
    texts = sentence.values() if isinstance(sentence, dict) else [str(sentence)]
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", [key for key in sentences() if key.startswith(("connections.", "error.connections."))])
def test_both_languages_tell_the_same_in_good_typography(key: str) -> None:
    found = sentences()[key]
    assert fields_of(found["en"]) == fields_of(found["fr"])
    french = found["fr"] if isinstance(found["fr"], str) else " / ".join(found["fr"].values())
    assert "'" not in french
    for mark in ":;!?»":
        assert f" {mark}" not in french, "a plain space before the mark: it must not break"
    assert "« " not in french
