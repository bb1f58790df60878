# SPDX-License-Identifier: Apache-2.0
"""Where does a programmer read about the API? /docs, which needs nothing from outside, and /openapi.json."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, JSONResponse

from ringback.web.api.docs_page import docs_page
from ringback.web.openapi import document

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent
ASK_AGAIN = {"Cache-Control": "no-cache"}


@router.get("/docs")
def read_docs() -> HTMLResponse:
    """The page. It says nothing that is not in the source, so it is open to all."""
    return HTMLResponse(_page(), headers=ASK_AGAIN)


@router.get("/openapi.json")
def read_openapi() -> JSONResponse:
    """The document, for programs."""
    return JSONResponse(document(), headers=ASK_AGAIN)


@router.get("/docs/docs.css")
def read_style() -> Response:
    """How the page looks."""
    return Response(_file("docs.css"), media_type="text/css", headers=ASK_AGAIN)


@router.get("/docs/docs.js")
def read_script() -> Response:
    """How the page tries an operation."""
    return Response(_file("docs.js"), media_type="text/javascript", headers=ASK_AGAIN)


@lru_cache(maxsize=1)
def _page() -> str:
    return docs_page(document())


@lru_cache(maxsize=2)
def _file(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
