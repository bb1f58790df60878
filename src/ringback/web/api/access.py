# SPDX-License-Identifier: Apache-2.0
"""Who may do what in the API? The door of each route, and whose things a person sees."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from ringback.web.api.shapes import Problem
from ringback.web.house import House, house_of
from ringback.web.problems import ApiProblem
from ringback.web.sessions import Role, Visitor

PREFIX = "/api/v1"

#: What the server's parts offer to the web process.
TheHouse = Annotated[House, Depends(house_of)]

REFUSALS = {
    400: "what was sent cannot be read",
    401: "nobody is signed in",
    403: "not allowed",
    404: "there is no such thing, or it is somebody else's",
    409: "it has changed meanwhile, or is there already",
    413: "too long",
    422: "a field is wrong",
    429: "too often",
    503: "the server cannot do it now",
}


def routes(tag: str) -> APIRouter:
    """A router for one noun. The name of a function is the name of its operation in the document."""
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        generate_unique_id_function=_operation_name,
        responses={
            status: {"model": Problem, "description": sentence} for status, sentence in REFUSALS.items()
        },
    )


def sees_all(visitor: Visitor) -> bool:
    """True for those who look after the office; everybody else sees what is theirs."""
    return visitor.role >= Role.OPERATOR


def must_be_theirs(visitor: Visitor, number: str) -> None:
    """Somebody else's things are as if they were not there: no one learns which numbers exist."""
    if not sees_all(visitor) and (not visitor.number or visitor.number != number):
        raise missing("user", number)


def missing(noun: str, name: str) -> ApiProblem:
    """What is said of things that are not there."""
    return ApiProblem(404, f"there is no {noun} {name[:64]!r}")


def _operation_name(route: APIRoute) -> str:
    return route.name
