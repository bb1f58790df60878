# SPDX-License-Identifier: Apache-2.0
"""What does the REST API promise? The OpenAPI document: `python -m ringback.web.openapi` prints it.

The types of the console are generated from it, and /docs shows it. It needs no running server.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ringback.version import VERSION
from ringback.web.api import ROUTERS as API
from ringback.web.api.scopes import SCOPES
from ringback.web.api.shapes import Problem
from ringback.web.routers import ROUTERS

Document = dict[str, Any]

PROBLEM = "application/problem+json"
DESCRIPTION = """Everything the console does, programs can do too.

Sign in with an API token: `Authorization: Bearer rb_...`. A token has scopes and never more rights than the
person it belongs to; make one in the console under your account. Lists come in pages: `items`, `total`,
`page`, `size`. What goes wrong is a problem (RFC 9457) whose `detail` is a sentence and whose `errors` name
the fields. Times are seconds since 1970.
"""


@lru_cache(maxsize=1)
def document() -> Document:
    """The whole document. Nobody changes it."""
    app = FastAPI()
    for router in (*API, *ROUTERS):
        app.include_router(router)
    found = get_openapi(
        title="Ringback", version=VERSION, description=DESCRIPTION, routes=app.routes, tags=_tags()
    )
    schemas = found["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    schemas |= schemas["Problem"].pop("$defs", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    found["components"]["securitySchemes"] = _schemes()
    found["security"] = [{"token": []}, {"session": []}]
    for path in found["paths"].values():
        for operation in path.values():
            _say_how_it_fails(operation)
    return found


def printed() -> str:
    """The document as it is kept in `frontend/openapi.json`."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _say_how_it_fails(operation: Document) -> None:
    """Every refusal is a problem, whichever router the operation belongs to."""
    for status, response in operation["responses"].items():
        if status[0] in "45":
            response["content"] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _tags() -> list[Document]:
    return [{"name": tag} for router in (*API, *ROUTERS) for tag in router.tags]


def _schemes() -> Document:
    words = "\n".join(f"- `{scope}`: {sentence}" for scope, sentence in SCOPES.items())
    return {
        "token": {"type": "http", "scheme": "bearer", "description": f"An API token. Scopes:\n\n{words}"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "ringback_session",
            "description": "A browser that has signed in; it sends X-Ringback-CSRF with every change.",
        },
    }


if __name__ == "__main__":
    sys.stdout.write(printed())
