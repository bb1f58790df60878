# SPDX-License-Identifier: Apache-2.0
"""How does a `House` become a web application? Here, and nowhere else, all routes are put together."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.middleware import Middleware

from ringback.version import VERSION
from ringback.web import events, health, pages, trust
from ringback.web.api import ROUTERS as API
from ringback.web.api import docs
from ringback.web.barriers import BoundedBody, OnlyEncrypted, SecureHeaders
from ringback.web.house import House
from ringback.web.problems import add_problems
from ringback.web.routers import ROUTERS


def make_app(house: House) -> FastAPI:
    """The application for one house."""
    app = FastAPI(
        title="Ringback",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[
            Middleware(SecureHeaders),
            Middleware(OnlyEncrypted, https_host=_https_host(house)),
            Middleware(BoundedBody),
        ],
    )
    app.state.house = house
    add_problems(app)
    for router in (*ROUTERS, *API, docs.router, events.router, health.router, trust.router, pages.router):
        app.include_router(router)
    return app


def _https_host(house: House) -> Callable[[str], str]:
    """The same host name with the port of https."""

    def https_host(host: str) -> str:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        port = house.addresses.get("wss", "").rpartition(":")[2]
        if not name or not port:
            return ""
        return name if port == "443" else f"{name}:{port}"

    return https_host
