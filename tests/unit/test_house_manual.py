"""The manual and the code, held together: settings, commands, exit codes, both languages, and the words."""

from __future__ import annotations

import re
import string
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from takings import errors
from takings.cli import takings
from takings.help.__main__ import FOLDER, filled
from takings.settings import Settings, variable
from takings.web.api.routes import describe
from takings.words import LOCALES, sentences

PAGES = (FOLDER / "contents.txt").read_text("utf-8").split()
TEXTS = {(locale, page): (FOLDER / locale / f"{page}.md").read_text("utf-8") for locale in LOCALES for page in PAGES}
EVERY_TEXT = sorted(TEXTS)


def flat(text: str | None) -> str:
    """Return a docstring as running text, without click's formatting marks."""
    return " ".join((text or "").replace("\b", "").split())


def options(command: click.Command) -> list[click.Option]:
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_is_listed_and_there(locale: str) -> None:
    assert sorted(path.stem for path in (FOLDER / locale).glob("*.md")) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_sections(page: str) -> None:
    shapes = []
    for locale in LOCALES:
        text = re.sub(r"```.*?```", "", TEXTS[locale, page], flags=re.DOTALL)
        shapes.append([len(marks) for marks in re.findall(r"^(#+) \S", text, flags=re.MULTILINE)])
    assert shapes[0] == shapes[1]
    assert shapes[0][0] == 1 and shapes[0].count(1) == 1


@pytest.mark.parametrize(("locale", "page"), EVERY_TEXT)
def test_generated_parts_are_up_to_date(locale: str, page: str) -> None:
    assert filled(TEXTS[locale, page], locale) == TEXTS[locale, page], "Run: python -m takings.help"


@pytest.mark.parametrize(("locale", "page"), EVERY_TEXT)
def test_links_lead_to_pages(locale: str, page: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", TEXTS[locale, page]):
        assert target.removesuffix(".md") in PAGES, target


@pytest.mark.parametrize("locale", LOCALES)
def test_every_setting_is_in_the_manual(locale: str) -> None:
    for field in fields(Settings):
        assert f"`{variable(field.name)}`" in TEXTS[locale, "settings"]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", sorted(takings.commands))
def test_every_command_and_option_is_in_the_manual(locale: str, name: str) -> None:
    text = TEXTS[locale, "command-line"]
    section = text[text.index(f"### takings {name}\n") :]
    section = section[:end] if (end := section.find("\n### ", 1)) > 0 else section
    for option in options(takings.commands[name]):
        for form in option.opts:
            assert f"`{form}" in section, form


@pytest.mark.parametrize("locale", LOCALES)
def test_every_exit_code_is_explained(locale: str) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TakingsError)]
    assert len(kinds) > 5
    for code in {kind.exit_code for kind in kinds}:
        assert re.search(rf"^\| {code} \|", TEXTS[locale, "troubleshooting"], flags=re.MULTILINE), code


def test_the_english_words_are_what_the_code_says() -> None:
    said = {key: both["en"] for key, both in sentences().items() if key.startswith("cli.")}
    for field in fields(Settings):
        assert said.pop(f"cli.setting.{field.name}") == field.metadata["meaning"]
    used = set()
    for name, command in takings.commands.items():
        assert said.pop(f"cli.{name}.about") == flat(command.help), name
        for option in options(command):
            key = f"cli.{name}.{option.name}" if f"cli.{name}.{option.name}" in said else f"cli.option.{option.name}"
            assert said[key] == flat(option.help), key
            used.add(key)
    assert set(said) == used, "Words of commands or options that are gone"


def test_the_apis_routes_are_said_as_the_code_says_them_and_every_parameter_is_in_the_manual() -> None:
    said = {key: both["en"] for key, both in sentences().items() if key.startswith("api.")}
    for methods in describe()["paths"].values():
        for operation in methods.values():
            assert said.pop(f"api.{operation['operationId']}") == flat(operation["description"])
            for parameter in operation.get("parameters", ()):
                for locale in LOCALES:
                    assert parameter["in"] == "path" or f"`{parameter['name']}`" in TEXTS[locale, "api"], parameter
    assert not said, "Words of routes that are gone"


def placeholders(sentence: object) -> set[str]:
    forms = [sentence] if isinstance(sentence, str) else list(sentence.values())  # type: ignore[attr-defined]
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def test_every_sentence_is_there_in_both_languages_with_the_same_fields() -> None:
    for key, both in sentences().items():
        assert set(both) == set(LOCALES), key
        assert placeholders(both["en"]) == placeholders(both["fr"]), key


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("a straight apostrophe", r"[a-zàâçéèêëîïôûù]'[a-zàâçéèêëîïôûù]"),
        ("straight quotes around words", r'(?:^|\s)"\w'),
        ("a plain space before a double sign", r"\w [:;!?»](?:\s|$)"),
        ("no space before a double sign", r"[a-zàâçéèêëîïôûù»)][;!?](?:\s|$)"),
        ("a plain space inside « »", r"« | »"),
    ],
)
def test_french_is_typeset_as_french(fault: str, pattern: str) -> None:
    wrong = []
    for key, both in sentences().items():
        french = both["fr"]
        for form in [french] if isinstance(french, str) else french.values():
            if re.search(pattern, re.sub(r"https?://\S+|`[^`]*`|-c '[^']*'", "", form), flags=re.IGNORECASE):
                wrong.append(f"{key}: {form}")
    for (locale, page), text in TEXTS.items():
        if locale == "fr":
            prose = re.sub(r"```.*?```|<!--.*?-->|https?://\S+|`[^`]*`", "", text, flags=re.DOTALL)
            wrong += [f"{page}: {line}" for line in prose.splitlines() if re.search(pattern, line, flags=re.IGNORECASE)]
    assert not wrong, f"{fault}:\n" + "\n".join(wrong)


def test_help_answers_without_loading_what_commands_need() -> None:
    heavy = {"duckdb", "sqlalchemy", "litestar", "babel", "pyarrow", "rich", "structlog", "numpy", "stripe", "uvicorn"}
    program = "import sys, takings.cli as c; c.main(['--help']); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name in takings.commands:
        assert re.search(rf"^  {name} ", done.stdout, flags=re.MULTILINE), name
    assert not heavy & set(done.stderr.split())


def test_the_readmes_two_commands_are_one_line_each() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", readme, flags=re.DOTALL)
    assert [block.strip() for block in blocks[:2]] == [
        "python3 -m venv .uv && .uv/bin/pip install -q uv && .uv/bin/uv run --no-dev takings demo",
        ".uv/bin/uv run pytest",
    ]
