# SPDX-License-Identifier: Apache-2.0
"""How does the API say no? With problem details (RFC 9457), at the field, never with a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ringback.server.cluster.link import LinkLost
from ringback.server.storage.people import AlreadyThere, NoSuchPerson
from ringback.server.storage.store import StorageError
from ringback.sip.errors import RingbackError
from ringback.web.security_headers import SECURITY_HEADERS

logger = logging.getLogger("ringback.web")

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 100
#: Said to strangers, too: the name of the file and what is wrong with it are in the log.
STORE_AWAY = "The store of this server cannot be used just now; its log says why."


class ServerAway(RingbackError):
    """The telephone server does not answer the console just now."""


class ApiProblem(Exception):
    """A refusal. `kind` is a word for programs, where the status is not enough: "code-needed"; `needs` names
    the field that is missing.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        kind: str = "",
        needs: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.kind = kind
        self.needs = needs
        self.headers = headers


def at_field(field: str, message: str, *, status: int = 422) -> ApiProblem:
    """A refusal that belongs to one field of a form."""
    return ApiProblem(status, message, errors=[{"field": field, "message": message}])


def problem(
    status: int,
    detail: str = "",
    *,
    errors: Sequence[Mapping[str, str]] = (),
    kind: str = "",
    needs: str = "",
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response."""
    title = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Problem"
    body: dict[str, Any] = {"type": f"urn:ringback:{kind}" if kind else "about:blank", "title": title}
    body |= {"status": status, "detail": detail or title}
    if errors:
        body["errors"] = list(errors)
    if needs:
        body["needs"] = needs
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def add_problems(app: FastAPI) -> None:
    """Every exception becomes a problem."""
    app.add_exception_handler(ApiProblem, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RingbackError, _complained)
    app.add_exception_handler(TimeoutError, _late)
    app.add_exception_handler(Exception, _failed)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return problem(
        error.status,
        error.detail,
        errors=error.errors,
        kind=error.kind,
        needs=error.needs,
        headers=error.headers,
    )


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [
        {"field": ".".join(map(str, each["loc"][1:])) or str(each["loc"][0]), "message": _sentence(each)}
        for each in error.errors()[:MAX_ERRORS]
    ]
    first = found[0] if found else {"field": "", "message": "it cannot be read"}
    return problem(422, f"{first['field']}: {first['message']}", errors=found)


def _sentence(error: Mapping[str, Any]) -> str:
    """pydantic's own words, without its prefix for ours."""
    return str(error["msg"]).removeprefix("Value error, ")


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _complained(_: Request, error: Exception) -> JSONResponse:
    """What our own parts complain of is a sentence for people already."""
    if isinstance(error, NoSuchPerson):
        return problem(404, str(error))
    if isinstance(error, AlreadyThere):
        return problem(409, str(error))
    if isinstance(error, ServerAway | LinkLost | StorageError):
        logger.warning("the console cannot do what it should: %s", error)
        told = STORE_AWAY if isinstance(error, StorageError) else str(error)
        return problem(503, told, headers={"Retry-After": "2"})
    return problem(422, str(error))


async def _late(_: Request, error: Exception) -> JSONResponse:
    return problem(503, "The telephone server does not answer just now.", headers={"Retry-After": "2"})


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Our fault: the log has it (starlette raises it on to whoever runs the app), the visitor does not."""
    return problem(500, "Something is wrong with this server; its log says what.", headers=SECURITY_HEADERS)
