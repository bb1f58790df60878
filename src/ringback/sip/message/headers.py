# SPDX-License-Identifier: Apache-2.0
"""Which header fields has this message? In order, in any case or form, raw until asked (RFC 3261 7.3).

A line is kept as it came: the name, and the bytes of the value with their folds. Text is made when
somebody asks; typed values by the table of `fields.py`, once. A change forgets the typed value of its field.
"""

import re
from collections.abc import Iterator
from typing import Self, cast

from ringback.sip.errors import InvalidState, PeerError
from ringback.sip.message.fields import FIELDS, KEYS, Shape, canonical, canonical_text, long_name
from ringback.sip.message.parameters import is_token, split_list

Line = tuple[bytes, bytes]

_UNREAD = object()
_FORBIDDEN = re.compile(rb"[\r\n\0]")
_QUOTED_PAIR = re.compile(rb"\\[^\r\n]", re.DOTALL)


class Headers:
    """The header fields of one message."""

    __slots__ = ("_lines", "_typed", "_values")

    def __init__(self, lines: list[Line] | None = None) -> None:
        """`lines` become this object's own."""
        self._lines: list[Line] = [] if lines is None else lines
        self._values: dict[str, list[bytes]] | None = None
        self._typed: dict[str, object] = {}

    @property
    def by_key(self) -> dict[str, list[bytes]]:
        """The raw lines of each field, by its long name in lower case. Do not change it."""
        values = self._values
        if values is None:
            values = self._values = {}
            for name, value in self._lines:
                key = KEYS.get(name) or canonical(name)
                if key in values:
                    values[key].append(value)
                else:
                    values[key] = [value]
        return values

    # --- reading ---

    def get(self, name: str) -> str | None:
        """The first line of this name, unfolded; None if there is none."""
        values = self.by_key.get(canonical_text(name))
        return _text(values[0]) if values else None

    def get_all(self, name: str) -> list[str]:
        """Each line of this name, unfolded."""
        return [_text(value) for value in self.by_key.get(canonical_text(name), ())]

    def raw(self, name: str) -> list[bytes]:
        """Each line of this name as it came, folds included."""
        return list(self.by_key.get(canonical_text(name), ()))

    def first(self, key: str) -> bytes | None:
        """The first line as it came; `key` is the long name in lower case."""
        values = self.by_key.get(key)
        return values[0] if values else None

    def parsed(self, name: str) -> object:
        """The typed value by the table: None or [] when absent, PeerError when malformed. Keep as is."""
        value = self._typed.get(name, _UNREAD)
        if value is _UNREAD:
            key = canonical_text(name)
            value = self._typed.get(key, _UNREAD)
            if value is _UNREAD:
                value = self._typed[key] = self._parse(key)
        return value

    def _parse(self, key: str) -> object:
        row = FIELDS.get(key)
        values = self.by_key.get(key, ())
        if row is None:
            return [_text(value) for value in values]
        try:
            if row.shape is Shape.ONE:
                return row.parse(_text(values[0])) if values else None
            if row.shape is Shape.LINES:
                return [row.parse(_text(value)) for value in values]
            return [element for value in values for element in cast(list[object], row.parse(_text(value)))]
        except PeerError as error:
            raise PeerError(
                f"{row.name}: {error.detail}", status=error.status, section=error.section or row.rfc
            ) from None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return canonical_text(name) in self.by_key

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for name, value in self._lines:
            yield long_name(canonical(name), name), _text(value)

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self._lines!r})"

    @property
    def lines(self) -> list[Line]:
        """(name, value) of each line as it came. Do not change it."""
        return self._lines

    def count(self, name: str) -> int:
        """How many lines have this name."""
        return len(self.by_key.get(canonical_text(name), ()))

    # --- writing ---

    def __setitem__(self, name: str, value: str | bytes) -> None:
        """Replace every line of this name by one, in the place of the first."""
        line, key = checked_line(name, value), canonical_text(name)
        if key not in self.by_key:
            self._lines.append(line)
        else:
            place = next(i for i, old in enumerate(self._lines) if canonical(old[0]) == key)
            rest = [old for old in self._lines[place:] if canonical(old[0]) != key]
            self._lines[place:] = [line, *rest]
        self.by_key[key] = [line[1]]
        self._typed.pop(key, None)

    def add(self, name: str, value: str | bytes) -> None:
        """Append a line."""
        line, key = checked_line(name, value), canonical_text(name)
        self.by_key.setdefault(key, []).append(line[1])
        self._lines.append(line)
        self._typed.pop(key, None)

    def prepend(self, name: str, value: str | bytes) -> None:
        """Put a line before all others (16.6 steps 4 and 8: Record-Route, Via)."""
        line, key = checked_line(name, value), canonical_text(name)
        self.by_key.setdefault(key, []).insert(0, line[1])
        self._lines.insert(0, line)
        self._typed.pop(key, None)

    def remove(self, name: str) -> None:
        """Drop every line of this name, if there is any."""
        key = canonical_text(name)
        if self.by_key.pop(key, None) is not None:
            self._lines = [line for line in self._lines if canonical(line[0]) != key]
            self._typed.pop(key, None)

    def replace_first_value(self, name: str, value: str | bytes | None) -> None:
        """Replace the first element of the first line of a comma list; None drops it (16.7 step 3)."""
        key = canonical_text(name)
        values = self.by_key.get(key)
        if not values:
            return
        place = next(i for i, old in enumerate(self._lines) if canonical(old[0]) == key)
        elements = split_list(_text(values[0]))
        new = [] if value is None else [_checked_value(value)]
        kept = b", ".join([*new, *(element.encode("utf-8", "surrogateescape") for element in elements[1:])])
        if kept:
            values[0] = kept
            self._lines[place] = (self._lines[place][0], kept)
        else:
            del values[0], self._lines[place]
            if not values:
                del self.by_key[key]
        self._typed.pop(key, None)

    def remove_first_value(self, name: str) -> None:
        """Drop the first element of a comma list: the top Via, the top Route."""
        self.replace_first_value(name, None)

    def copy(self) -> Self:
        """An independent copy that shares the typed values."""
        twin = type(self)(self._lines.copy())
        twin._typed = self._typed.copy()
        return twin


def _text(value: bytes) -> str:
    """Unfolded text (7.3.1: a fold is one blank)."""
    if b"\r\n" in value:
        value = b" ".join([piece.strip(b" \t") for piece in value.split(b"\r\n")])
    return value.decode("utf-8", "surrogateescape")


def checked_line(name: str, value: str | bytes) -> Line:
    """A line to put among the others. InvalidState for what would be no line, or more than one."""
    if not is_token(name):
        raise InvalidState(f"not the name of a header field: {name!r}")
    return name.encode("ascii"), _checked_value(value)


def _checked_value(value: str | bytes) -> bytes:
    """No line end and no NUL, so that nobody's text becomes a header field of its own.

    A NUL behind a backslash is legal in a quoted string (25.1), and a peer's display name may hold one.
    """
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    data = data.strip(b" \t")
    if _FORBIDDEN.search(data) and _FORBIDDEN.search(_QUOTED_PAIR.sub(b"", data)):
        raise InvalidState("a header field's value cannot hold a line end or NUL")
    return data
