"""The built front end: its manifest, the addresses of its files, and serving them, compressed and kept for ever."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.params import FromPath

from takings.errors import Misconfigured, NotFound
from takings.web.context import Who

BUILT: Final = Path(__file__).parent / "static" / "built"
PREFIX: Final = "/static"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_WORTH_PACKING: Final = frozenset((".js", ".css", ".svg", ".json", ".txt"))


@dataclass(frozen=True, slots=True)
class File:
    """A built file, ready to be sent."""

    kind: str
    plain: bytes
    gzipped: bytes | None


class Assets:
    """The built front end.

    Args:
        folder: Where the build put it.

    Raises:
        Misconfigured: It was never built.
    """

    def __init__(self, folder: Path = BUILT) -> None:
        try:
            manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Misconfigured(
                "web.not_built",
                "The front end was not built: install the product again (its build step makes it).",
            ) from error
        self._entries = {entry.get("name", Path(source).stem): entry for source, entry in manifest.items()}
        self._files: dict[str, File] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._files[path.relative_to(folder).as_posix()] = _load(path)

    def script(self, name: str) -> str:
        """Return the address of an entry's script, such as ``main`` or ``chart``."""
        return f"{PREFIX}/{self._entries[name]['file']}"

    def styles(self, name: str) -> list[str]:
        """Return the addresses of an entry's style sheets."""
        return [f"{PREFIX}/{file}" for file in self._entries[name].get("css", [])]

    def names(self) -> list[str]:
        """Return the names of all built files."""
        return list(self._files)

    def file(self, path: str) -> File:
        """Return a built file.

        Raises:
            NotFound: There is none of this name.
        """
        found = self._files.get(path)
        if found is None:
            raise NotFound("web.no_page", "There is no such page.")
        return found


@cache
def assets() -> Assets:
    """Return the built front end, read once for the process."""
    return Assets()


def _load(path: Path) -> File:
    plain = path.read_bytes()
    return File(
        kind=guess_type(path.name)[0] or "application/octet-stream",
        plain=plain,
        gzipped=gzip.compress(plain, 9, mtime=0) if path.suffix in _WORTH_PACKING else None,
    )


@get(f"{PREFIX}/{{path:path}}", opt={"who": Who.PUBLIC, "static": True, "uncompressed": True}, sync_to_thread=False)
def serve(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    """Send a built file, compressed once at the start if the browser takes that. Its name holds its hash: it never changes."""
    file = assets().file(path.lstrip("/"))
    accepted = {part.split(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")}
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    body = file.plain
    if file.gzipped is not None and "gzip" in accepted:
        body, headers["Content-Encoding"] = file.gzipped, "gzip"
    return Response(content=body, media_type=file.kind, headers=headers)


routes = [serve]
