# SPDX-License-Identifier: Apache-2.0
"""What do all bodies of the REST API have in common? How strict they are, how paged, and how they fail."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")

MAX_PAGE_SIZE = 500
MAX_PAGE = 1_000_000

#: A user's number, as `pbx.accounts.checked_number` wants it.
Number = Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
#: The same in an address: one that cannot exist is refused like one that does not.
NumberInPath = Annotated[str, Path(max_length=64)]
IdInPath = Annotated[str, Path(max_length=128)]
#: What somebody dials: a number, a name, a SIP address.
Dialled = Annotated[str, Field(min_length=1, max_length=256)]
PageNumber = Annotated[int, Query(ge=1, le=MAX_PAGE, description="The page, from 1.")]
PageSize = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="How many items a page has.")]
SearchText = Annotated[str, Query(max_length=200, description="Only what contains this text.")]
#: Seconds since 1970; 0 is "not said".
Moment = Annotated[float, Field(ge=0, le=32_503_680_000, allow_inf_nan=False)]


class Given(BaseModel):
    """What a caller sends: unknown fields are mistakes, and what was sent is not repeated in errors."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Asked(BaseModel):
    """What stands behind the ? of an address."""

    model_config = ConfigDict(use_attribute_docstrings=True, hide_input_in_errors=True)


class AskedPage(Asked):
    """The same for a list in pages."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 50


class Shape(BaseModel):
    """What a caller gets: every field is always there."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
    )


class Page(Shape):
    """A part of a list."""

    total: int = 0
    page: int = 1
    size: int = 50


class FieldProblem(Shape):
    """What is wrong with one field of a request."""

    field: str
    """The name of the field; fields inside others with dots, as in "changes.sip.port"."""
    message: str


class Problem(Shape):
    """Why a request failed (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    """What happened and what to do, in words for people."""
    errors: list[FieldProblem] = []


class Done(Shape):
    """It is done."""

    done: bool = True


def part(items: list[Item], *, page: int, size: int) -> list[Item]:
    """The items of one page."""
    return items[(page - 1) * size : page * size]
