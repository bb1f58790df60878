# SPDX-License-Identifier: Apache-2.0
"""How does a header field become an attribute of a message? By descriptors, each naming a row of `fields.py`.

Reading raises PeerError when the field is malformed. The value is parsed once, and forgotten when it changes.
"""

from typing import Generic, Protocol, Self, TypeVar, cast, overload

from ringback.sip.errors import PeerError
from ringback.sip.message.fields import FIELDS
from ringback.sip.message.headers import Headers

T = TypeVar("T")


class HasHeaders(Protocol):
    """What the descriptors are put on."""

    @property
    def reading(self) -> Headers: ...


class Required(Generic[T]):
    """A field every message has (8.1.1): PeerError 400 if it is missing."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, message: None, owner: type) -> Self: ...
    @overload
    def __get__(self, message: HasHeaders, owner: type) -> T: ...
    def __get__(self, message: HasHeaders | None, owner: type) -> Self | T:
        if message is None:
            return self
        value = message.reading.parsed(self.name)
        if value is None:
            raise PeerError(f"{FIELDS[self.name].name} is missing", section="RFC 3261 8.1.1")
        return cast(T, value)


class Optional(Generic[T]):
    """A field that may be absent: None."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, message: None, owner: type) -> Self: ...
    @overload
    def __get__(self, message: HasHeaders, owner: type) -> T | None: ...
    def __get__(self, message: HasHeaders | None, owner: type) -> Self | T | None:
        if message is None:
            return self
        return cast(T | None, message.reading.parsed(self.name))


class Listed(Generic[T]):
    """The elements of all lines of a field: a list of its own for each reader, empty when absent."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, message: None, owner: type) -> Self: ...
    @overload
    def __get__(self, message: HasHeaders, owner: type) -> list[T]: ...
    def __get__(self, message: HasHeaders | None, owner: type) -> Self | list[T]:
        if message is None:
            return self
        return cast(list[T], message.reading.parsed(self.name)).copy()
