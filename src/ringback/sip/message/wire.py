# SPDX-License-Identifier: Apache-2.0
"""What can be known and changed of a message without taking it apart? The wire is the message.

A message that the kernel could read in one pass keeps its octets and the kernel's `Head`. As long as nobody
touches a header field through `headers`, it is answered, forwarded and printed by joining slices; the list of
header fields is made when somebody asks (8 us), and the octets are given up when somebody changes one.
"""

from __future__ import annotations

from typing import NamedTuple

from ringback.kernel import BIT, Head, edit_request, split_head
from ringback.sip.errors import PeerError
from ringback.sip.message.headers import Headers


class Edit(NamedTuple):
    """What changes in a request when it is printed; the meaning is that of `kernel.edit_request`."""

    target: str | None = None
    max_forwards: int = -1
    drop_routes: int = 0
    without: int = 0
    on_top: bytes = b""
    at_end: bytes = b""


class WireMessage:
    """Header fields and body, taken apart only on demand.

    `_head` tells Call-ID, CSeq, tags and what else no hop changes; `_data` is the whole message as it is now,
    unless `_edit` is yet to be applied to `_head.data`. All three are None for a message made here.
    """

    __slots__ = ("_body", "_data", "_edit", "_head", "_headers", "defect")

    _body: bytes | None
    _data: bytes | None
    _edit: Edit | None
    _head: Head | None
    _headers: Headers | None
    defect: PeerError | None

    @property
    def headers(self) -> Headers:
        """The header fields. Reading some is cheap beside making them; changing one ends the cheap ways."""
        headers = self._headers
        if headers is None:
            data = self._octets()
            assert data is not None
            headers = self._headers = Headers(split_head(data)[1])
        return headers

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self._leave_wire()
        self._headers = headers

    @property
    def body(self) -> bytes:
        """The octets behind the head."""
        body = self._body
        if body is None:
            head = self._head
            data = self._data if head is None else head.data
            assert data is not None
            start = data.index(b"\r\n\r\n") + 4 if head is None else head.body_start
            body = self._body = data[start:]
        return body

    @body.setter
    def body(self, body: bytes) -> None:
        self._leave_wire()
        self._body = body

    @property
    def head(self) -> Head | None:
        """The kernel's reading of the message as it stands; None when there is none any more."""
        head = self._facts()
        return head if head is not None and self._edit is None and head.data is self._data else None

    @property
    def present(self) -> int:
        """Which header fields occur: the bits of `kernel.BIT`. Fields the kernel does not know have none."""
        head = self.head
        if head is not None:
            return head.present
        bits = 0
        for key in self.headers.by_key:
            bits |= BIT.get(key, 0)
        return bits

    @property
    def is_wire(self) -> bool:
        """True while it is a peer's message of which no header field was changed but by `Edit`."""
        return self._facts() is not None

    def _facts(self) -> Head | None:
        """Of the head, what no hop changes: Call-ID, CSeq, tags, the URIs of From and To."""
        headers = self._headers
        if headers is not None and headers.is_changed and self._head is not None:
            self._leave_wire()
        return self._head

    def _octets(self) -> bytes | None:
        """The message as it is printed; None when it must be put together from its header fields."""
        headers = self._headers
        if headers is not None and headers.is_changed:
            self._leave_wire()
        edit = self._edit
        if edit is None:
            return self._data
        assert self._head is not None
        return edit_request(
            self._head.data,
            target=edit.target,
            max_forwards=edit.max_forwards,
            drop_routes=edit.drop_routes,
            without=edit.without,
            on_top=edit.on_top,
            at_end=edit.at_end,
        )

    def _leave_wire(self) -> None:
        """From now on the header fields and the body are the message."""
        if self._head is not None or self._data is not None:
            self._body, self._headers = self.body, self.headers
            self._head = self._data = self._edit = None

    def _share_wire(self, twin: WireMessage) -> None:
        """Make `twin` an independent copy of everything this class knows."""
        self._facts()
        headers = self._headers
        twin._body, twin._data, twin._edit = self._body, self._data, self._edit
        twin._head = self._head
        twin._headers = None if headers is None else headers.copy()
        twin.defect = self.defect
