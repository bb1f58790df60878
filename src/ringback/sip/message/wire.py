# SPDX-License-Identifier: Apache-2.0
"""What can be known and changed of a message without taking it apart? The wire is the message.

A message that the kernel could read in one pass keeps its octets and the kernel's `Head`. As long as nobody
asks for `headers`, it is answered, forwarded and printed by joining slices. The list of header fields is made
when somebody wants to read it (`reading`, 8 us); whoever wants to change it (`headers`) gives the octets up.
"""

from __future__ import annotations

from ringback.kernel import BIT, Head, edit_request, split_head
from ringback.sip.errors import PeerError
from ringback.sip.message.headers import Headers

_NOTHING = Headers()


class Edit:
    """What changes in a request when it is printed; the meaning is that of `kernel.edit_request`."""

    __slots__ = ("at_end", "drop_routes", "max_forwards", "on_top", "target", "without")

    def __init__(  # noqa: PLR0917 - one for each part of a request
        self,
        target: str | None = None,
        max_forwards: int = -1,
        drop_routes: int = 0,
        without: int = 0,
        on_top: bytes = b"",
        at_end: bytes = b"",
    ) -> None:
        self.target = target
        self.max_forwards = max_forwards
        self.drop_routes = drop_routes
        self.without = without
        self.on_top = on_top
        self.at_end = at_end

    def copy(self) -> Edit:
        """An independent copy."""
        return Edit(self.target, self.max_forwards, self.drop_routes, self.without, self.on_top, self.at_end)


class WireMessage:
    """Header fields and body, taken apart only on demand.

    head:
        the kernel's reading of the message as it stands; None when there is none (any more)
    facts:
        the head it came with, for what no hop changes: Call-ID, CSeq, tags, the URIs of From and To; None for
        messages made here or taken apart. Plain attributes: each is read several times a message
    """

    __slots__ = ("_body", "_data", "_edit", "_reading", "defect", "facts", "head")

    head: Head | None
    facts: Head | None
    defect: PeerError | None
    _data: bytes | None  # the message as it is printed, unless _edit is yet to be applied to facts.data
    _edit: Edit | None
    _reading: Headers | None
    _body: bytes | None

    @property
    def reading(self) -> Headers:
        """The header fields, for reading only: a change made here is never printed."""
        reading = self._reading
        if reading is None:
            data = self._octets()
            assert data is not None
            reading = self._reading = Headers(split_head(data)[1])
        return reading

    @property
    def headers(self) -> Headers:
        """The header fields, to be changed as well: from now on they and the body are the message."""
        if self._data is not None or self._edit is not None:
            self._leave_wire()
        headers = self._reading
        assert headers is not None
        return headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._leave_wire()
        self._reading = headers

    @property
    def body(self) -> bytes:
        """The octets behind the head."""
        body = self._body
        if body is None:
            facts = self.facts
            if facts is not None:  # no edit touches the body
                body = facts.data[facts.body_start :]
            else:
                assert self._data is not None
                body = self._data[self._data.index(b"\r\n\r\n") + 4 :]
            self._body = body
        return body

    @body.setter
    def body(self, body: bytes) -> None:
        self._leave_wire()
        self._body = body

    @property
    def present(self) -> int:
        """Which header fields occur: the bits of `kernel.BIT`. Fields the kernel does not know have none."""
        head = self.head
        if head is not None:
            return head.present
        bits = 0
        for key in self.reading.by_key:
            bits |= BIT.get(key, 0)
        return bits

    def shed(self) -> None:
        """Forget all but the start line: for what stands in memory to recognise repetitions only."""
        self.head = self.facts = self._data = self._edit = None
        self._reading, self._body = _NOTHING, b""

    def _octets(self) -> bytes | None:
        """The message as it is printed; None when it must be put together from its header fields."""
        edit = self._edit
        if edit is None:
            return self._data
        assert self.facts is not None
        return edit_request(
            self.facts.data,
            target=edit.target,
            max_forwards=edit.max_forwards,
            drop_routes=edit.drop_routes,
            without=edit.without,
            on_top=edit.on_top,
            at_end=edit.at_end,
        )

    def _leave_wire(self) -> None:
        if self._data is not None or self._edit is not None:
            self._body, self._reading = self.body, self.reading
            self.head = self.facts = self._data = self._edit = None

    def _share_wire(self, twin: WireMessage) -> None:
        """Make `twin` an independent copy of everything this class knows."""
        twin.head, twin.facts, twin.defect = self.head, self.facts, self.defect
        twin._data, twin._body = self._data, self._body
        twin._edit = None if self._edit is None else self._edit.copy()
        twin._reading = None if self._reading is None else self._reading.copy()
