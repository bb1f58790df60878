# SPDX-License-Identifier: Apache-2.0
"""How are values written for rtpengine? Bencode (BEP 3): integers, octets, lists, dictionaries.

What is read comes from a neighbour, but is bounded like everything else: depth, size, and the length of a
number are looked at before anything is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ringback.media.errors import MediaError

Value: TypeAlias = "int | bytes | list[Value] | dict[str, Value]"
#: What may be written: text is written as UTF-8.
Writable: TypeAlias = "int | bytes | str | Sequence[Writable] | Mapping[str, Writable]"

MAXIMUM_BYTES = 65_536
MAXIMUM_DEPTH = 16
_LONGEST_NUMBER = 20

_INTEGER, _LIST, _DICTIONARY, _END = b"i", b"l", b"d", b"e"


class MalformedBencode(MediaError):
    """Octets that are no bencode."""


def encode(value: Writable) -> bytes:
    """The octets of a value; keys are sorted, as BEP 3 asks."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, Mapping):
        pairs = sorted((key.encode(), each) for key, each in value.items())
        return b"d" + b"".join(encode(key) + encode(each) for key, each in pairs) + b"e"
    return b"l" + b"".join(encode(each) for each in value) + b"e"


def decode(data: bytes) -> Value:
    """The one value in `data`. MalformedBencode when it is none, or when anything follows it."""
    if len(data) > MAXIMUM_BYTES:
        raise MalformedBencode("too long")
    value, end = _value(data, 0, 0)
    if end != len(data):
        raise MalformedBencode("something follows the value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAXIMUM_DEPTH:
        raise MalformedBencode("too deep")
    first = data[at : at + 1]
    if first == _INTEGER:
        return _number(data, at + 1, b"e")
    if first == _LIST:
        return _list(data, at + 1, depth + 1)
    if first == _DICTIONARY:
        return _dictionary(data, at + 1, depth + 1)
    return _octets(data, at)


def _number(data: bytes, at: int, stop: bytes) -> tuple[int, int]:
    end = data.find(stop, at, at + _LONGEST_NUMBER + 1)
    digits = data[at:end].removeprefix(b"-")
    if end < 0 or not digits.isdigit():
        raise MalformedBencode("not a number")
    return int(data[at:end]), end + 1


def _octets(data: bytes, at: int) -> tuple[bytes, int]:
    length, start = _number(data, at, b":")
    if length < 0 or start + length > len(data):
        raise MalformedBencode("a string is longer than the message")
    return data[start : start + length], start + length


def _list(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    found: list[Value] = []
    while data[at : at + 1] != _END:
        each, at = _value(data, at, depth)
        found.append(each)
    return found, at + 1


def _dictionary(data: bytes, at: int, depth: int) -> tuple[dict[str, Value], int]:
    found: dict[str, Value] = {}
    while data[at : at + 1] != _END:
        key, at = _octets(data, at)
        found[key.decode("utf-8", "replace")], at = _value(data, at, depth)
    return found, at + 1
