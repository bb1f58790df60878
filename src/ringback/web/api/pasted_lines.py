# SPDX-License-Identifier: Apache-2.0
"""Which users does a pasted text mean? One a line: "Anna Smith, anna@example.com, 105", in any order."""

from __future__ import annotations

import re

from pydantic import ValidationError

from ringback.web.api.people_shapes import LineProblem, NewUser

MAX_LINES = 1000


def read_lines(text: str) -> tuple[list[tuple[int, NewUser]], list[LineProblem]]:
    """The users with the numbers of their lines, and what is wrong with the other lines. Empty lines count
    for nothing.
    """
    wishes: list[tuple[int, NewUser]] = []
    problems: list[LineProblem] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip():
            continue
        if len(wishes) >= MAX_LINES:
            problems.append(LineProblem(line=number, message=f"more than {MAX_LINES} lines at once"))
            break
        try:
            wishes.append((number, _wish(line)))
        except ValueError as error:
            problems.append(LineProblem(line=number, message=_sentence(error)))
    return wishes, problems


def _wish(line: str) -> NewUser:
    """Cells are told apart by what is in them. "Anna <anna@example.com>" is understood too."""
    parts = [part.strip() for part in re.split(r"[,;\t]|<(?=[^>]*>)|>", line)]
    cells = [part for part in parts if part]
    emails = [cell for cell in cells if "@" in cell]
    numbers = [cell for cell in cells if cell.isascii() and cell.isdecimal()]
    names = [cell for cell in cells if cell not in emails and cell not in numbers]
    if not names:
        raise ValueError("there is no name in this line")
    if max(len(names), len(emails), len(numbers)) > 1:
        raise ValueError("write one person a line: a name, an e-mail address, a number")
    return NewUser(name=names[0], email=(emails or [""])[0], number=(numbers or [None])[0])


def _sentence(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        words = {"number": "a number has 1 to 15 digits", "email": "this is no e-mail address"}
        return words.get(str(first["loc"][0]), f"{first['loc'][0]}: {first['msg']}")
    return str(error)
