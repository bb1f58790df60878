# SPDX-License-Identifier: Apache-2.0
"""Where in a TOML text does each key, and each value, stand?

`tomllib` reads the values but does not say where they were. This scanner walks a text that `tomllib` has
accepted and notes positions only; it judges nothing, and on a text that is no TOML it stops early instead
of failing. Paths are those of the parsed document: ("sip", "host", 0) is the first element of the array
`host` in `[sip]`.
"""

from __future__ import annotations

import contextlib
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

KeyPath = tuple[str | int, ...]


class Position(NamedTuple):
    """A place in a text, counted from 1 as editors do."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is written and where its value begins. A table has its header for both."""

    key: Position
    value: Position


def toml_positions(text: str) -> dict[KeyPath, Place]:
    """The place of every key and array element of a TOML document."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    with contextlib.suppress(_NotTomlError, RecursionError):  # tomllib is the judge: what was found is true
        scanner.document()
    return scanner.places


class _NotTomlError(Exception):
    """The text is not what tomllib accepts."""


class _Scanner:
    """A cursor over the text. Every method leaves the cursor behind what it is named after."""

    __slots__ = ("_array_lengths", "_cursor", "_line_starts", "_text", "places")

    def __init__(self, text: str) -> None:
        self._text = text
        self._cursor = 0
        self._line_starts = [0, *(index + 1 for index, character in enumerate(text) if character == "\n")]
        self._array_lengths: dict[KeyPath, int] = {}
        self.places: dict[KeyPath, Place] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(" \t\n#"):
            if self._text.startswith("[[", self._cursor):
                table = self._header("[[", "]]", is_array=True)
            elif self._text[self._cursor] == "[":
                table = self._header("[", "]", is_array=False)
            else:
                self._pair(table)

    def _header(self, opening: str, closing: str, *, is_array: bool) -> KeyPath:
        self._cursor += len(opening)
        self._skip(" \t")
        begin = self._cursor
        path = self._key()
        self._expect(closing)
        if is_array:
            array = (*self._resolved(path[:-1]), path[-1])
            self._array_lengths[array] = self._array_lengths.get(array, 0) + 1
            self._note(array, begin, begin)
        path = self._resolved(path)
        self._note(path, begin, begin)
        return path

    def _resolved(self, path: KeyPath) -> KeyPath:
        """The same path with the index of the last element behind each name of an array of tables."""
        resolved: KeyPath = ()
        for part in path:
            resolved = (*resolved, part)
            if isinstance(part, str) and resolved in self._array_lengths:
                resolved = (*resolved, self._array_lengths[resolved] - 1)
        return resolved

    def _pair(self, table: KeyPath) -> None:
        begin = self._cursor
        path = (*table, *self._key())
        self._expect("=")
        self._skip(" \t")
        self._note(path, begin, self._cursor)
        self._value(path)

    def _key(self) -> KeyPath:
        """A dotted key: bare, "quoted" or 'literal' parts."""
        parts: list[str] = []
        while True:
            self._skip(" \t")
            parts.append(self._key_part())
            self._skip(" \t")
            if not self._take("."):
                return tuple(parts)

    def _key_part(self) -> str:
        begin = self._cursor
        if self._peek() in ('"', "'"):
            quote = self._peek()
            self._string()
            inside = self._text[begin + 1 : self._cursor - 1]
            return _unescaped(inside) if quote == '"' else inside
        while self._peek().isalnum() or self._peek() in ("-", "_"):
            self._cursor += 1
        if begin == self._cursor:
            raise _NotTomlError
        return self._text[begin : self._cursor]

    def _value(self, path: KeyPath) -> None:
        character = self._peek()
        if character in ('"', "'"):
            self._string()
        elif character == "[":
            self._array(path)
        elif character == "{":
            self._inline_table(path)
        else:
            while self._peek() not in ("", ",", "]", "}", "#", "\n"):
                self._cursor += 1

    def _string(self) -> None:
        quote = self._peek()
        mark = quote * 3 if self._text.startswith(quote * 3, self._cursor) else quote
        self._cursor += len(mark)
        while not self._text.startswith(mark, self._cursor):
            self._cursor += 2 if quote == '"' and self._peek() == "\\" else 1
            if self._cursor >= len(self._text):
                raise _NotTomlError
        self._cursor += len(mark)
        while len(mark) == 3 and self._peek() == quote:
            self._cursor += 1  # up to two quotes may stand before the closing three

    def _array(self, path: KeyPath) -> None:
        self._cursor += 1
        index = 0
        while self._skip(" \t\n#") and not self._take("]"):
            self._note((*path, index), self._cursor, self._cursor)
            self._value((*path, index))
            index += 1
            self._skip(" \t\n#")
            if not self._take(","):
                self._expect("]")
                return

    def _inline_table(self, path: KeyPath) -> None:
        self._cursor += 1
        while self._skip(" \t\n#") and not self._take("}"):
            self._pair(path)
            self._skip(" \t\n#")
            if not self._take(","):
                self._expect("}")
                return

    def _note(self, path: KeyPath, key: int, value: int) -> None:
        """Remember a place, and the same one for tables that a dotted key makes on its way."""
        for length in range(1, len(path)):
            self.places.setdefault(path[:length], Place(self._position(key), self._position(key)))
        self.places.setdefault(path, Place(self._position(key), self._position(value)))

    def _position(self, index: int) -> Position:
        line = bisect_right(self._line_starts, index)
        return Position(line, index - self._line_starts[line - 1] + 1)

    def _skip(self, characters: str) -> bool:
        """Pass over these characters ("#" stands for a whole comment). False at the end of the text."""
        while (character := self._peek()) and character in characters:
            if character == "#":
                end = self._text.find("\n", self._cursor)
                self._cursor = len(self._text) if end < 0 else end
            else:
                self._cursor += 1
        return bool(self._peek())

    def _peek(self) -> str:
        return self._text[self._cursor : self._cursor + 1]

    def _take(self, expected: str) -> bool:
        if not self._text.startswith(expected, self._cursor):
            return False
        self._cursor += len(expected)
        return True

    def _expect(self, expected: str) -> None:
        self._skip(" \t")
        if not self._take(expected):
            raise _NotTomlError


def _unescaped(text: str) -> str:
    """The text of a basic string: TOML's escapes are those tomllib knows, so it may read them."""
    if "\\" not in text:
        return text
    try:
        value = tomllib.loads(f'k = "{text}"')["k"]
    except tomllib.TOMLDecodeError as error:
        raise _NotTomlError from error
    return str(value)
