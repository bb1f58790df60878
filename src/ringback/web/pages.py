# SPDX-License-Identifier: Apache-2.0
"""Which page belongs to which address? The files of `static/`, read once; everything else is the console.

A request names a file by looking into a table of what is there: no path of a visitor reaches the disk.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem, problem

router = APIRouter(include_in_schema=False)

CONSOLE, PHONE, GUEST = "index.html", "phone.html", "guest.html"
#: What never is a page: a wrong address there must not be answered with one.
NO_PAGES = ("/api/", "/assets/", "/events", "/ws", "/.well-known/")
FILES = (
    ".css",
    ".html",
    ".ico",
    ".jpg",
    ".js",
    ".json",
    ".map",
    ".php",
    ".png",
    ".svg",
    ".txt",
    ".webmanifest",
    ".xml",
)
#: Files whose names hold a hash of their content.
IMMUTABLE = "/assets/"
FOR_A_YEAR, ASK_AGAIN = "public, max-age=31536000, immutable", "no-cache"
SMALLEST_ZIPPED = 500
MAX_FILE, MAX_FILES = 20_000_000, 2_000

mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/manifest+json", ".webmanifest")
mimetypes.add_type("font/woff2", ".woff2")

NOT_BUILT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Ringback</title>
<p>The pages of the console are not built. In a clone: <code>make frontend</code>, then start again.</p>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One file, ready to be sent. `zipped` is empty where that would not make it smaller."""

    body: bytes
    zipped: bytes
    media_type: str
    tag: str


class Pages:
    """All files of a folder. Made when the process starts: 1 MB takes 60 ms to zip."""

    def __init__(self, folder: Path) -> None:
        self._pages = {f"/{name}": _page(file) for name, file in _files(folder)}

    def find(self, path: str) -> tuple[str, Page] | None:
        """The file of this path; else the page that answers there."""
        if path in self._pages and path != f"/{CONSOLE}":
            return path, self._pages[path]
        if path.startswith(NO_PAGES) or path.endswith(FILES):
            return None
        name = f"/{_page_at(path)}"
        return name, self._pages.get(name) or _ready(NOT_BUILT, "text/html; charset=utf-8")


def _page_at(path: str) -> str:
    """/phone is the telephone, /call/NAME the guest's; the rest belongs to the console."""
    if path == "/phone" or path.startswith("/phone/"):
        return PHONE
    return GUEST if path.startswith("/call/") else CONSOLE


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        return
    for count, file in enumerate(sorted(folder.rglob("*"))):
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= MAX_FILE:
            yield file.relative_to(folder).as_posix(), file
        if count > MAX_FILES:
            return


def _page(file: Path) -> Page:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind.endswith(("json", "xml"))
    return _ready(file.read_bytes(), f"{kind}; charset=utf-8" if is_text else kind)


def _ready(body: bytes, media_type: str) -> Page:
    zipped = b""
    if len(body) >= SMALLEST_ZIPPED and not media_type.startswith(("image/png", "font/", "audio/", "video/")):
        zipped = gzip.compress(body, 9, mtime=0)
    if len(zipped) > 0.9 * len(body):
        zipped = b""
    return Page(body, zipped, media_type, f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def pages_of(request: Request, house: Annotated[House, Depends(house_of)]) -> Pages:
    """Read with the first request."""
    state = request.app.state
    if not hasattr(state, "pages"):
        state.pages = Pages(house.static)
    pages: Pages = state.pages
    return pages


@router.api_route("/{path:path}", methods=["GET", "HEAD"])
async def page(path: str, request: Request, pages: Annotated[Pages, Depends(pages_of)]) -> Response:
    """A file or a page."""
    found = pages.find(f"/{path}")
    if found is None:
        raise ApiProblem(404, "There is nothing here.")
    name, file = found
    headers = {
        "Cache-Control": FOR_A_YEAR if name.startswith(IMMUTABLE) else ASK_AGAIN,
        "ETag": file.tag,
        "Vary": "Accept-Encoding",
    }
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = file.body
    if file.zipped and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = file.zipped
    return Response(body, headers=headers, media_type=file.media_type)


@router.api_route("/{path:path}", methods=["POST", "PUT", "PATCH", "DELETE"])
async def nothing(path: str) -> Response:
    """Pages are for reading."""
    return problem(404, "There is nothing here.") if path.startswith("api/") else problem(405)
