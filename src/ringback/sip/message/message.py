# SPDX-License-Identifier: Apache-2.0
"""What is a SIP message? A request or a response: start line, header fields, body (RFC 3261 section 7)."""

import re
from collections.abc import Iterable
from typing import Protocol, Self, overload

from ringback.kernel import Head, pop_via
from ringback.sip.message.editing import apply_edit, plain_response, remove_top_via
from ringback.sip.message.headers import Headers
from ringback.sip.message.names import reason_phrase
from ringback.sip.message.sip_message import SipMessage
from ringback.sip.message.typed import HasHeaders, Required
from ringback.sip.message.uri import NameAddr, Uri, parse_uri
from ringback.sip.message.wire import Edit
from ringback.sip.message.writer import fill, lines_for_response, print_message

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")

_TO = Required[NameAddr]("to")


class Request(SipMessage):
    """METHOD target SIP/2.0. `target` is the Request-URI as it is written.

    `hop`, when set, is where the request goes next in spite of its Route (strict routers; `routing.py`).
    """

    __slots__ = ("_target", "_uri", "hop", "method")

    to = Required[NameAddr]("to")

    def __init__(self, method: str, target: str, headers: Headers | None = None, body: bytes = b"") -> None:
        self.method = method
        self._target = target
        self._uri: Uri | None = None
        self.hop: Uri | None = None
        self.head = self.facts = self._data = self._edit = None
        self._reading = Headers() if headers is None else headers
        self._body = body
        self.defect = None

    @classmethod
    def read(cls, head: Head) -> Self:
        """The request that the kernel has read: `parse_message` and `check_request` in one."""
        request = cls.__new__(cls)
        request.method = head.method
        request._target = head.target
        request.head = request.facts = head
        request._data = head.data
        request._uri = request.hop = request._edit = request._reading = request._body = request.defect = None
        return request

    @classmethod
    def new(
        cls,
        method: str,
        target: str | Uri,
        *,
        from_: NameAddr | str,
        to: NameAddr | str,
        call_id: str,
        cseq: int,
        max_forwards: int = 70,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Self:
        """A request with the mandatory header fields but Via, which the stack adds (8.1.1)."""
        request = cls(method, str(target), body=body)
        mandatory = (
            ("Max-Forwards", str(max_forwards)),
            ("From", str(from_)),
            ("To", str(to)),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
        )
        fill(request.headers, (*mandatory, *headers), content_type)
        return request

    def __repr__(self) -> str:
        return f"<{self.method} {self._target}>"

    @property
    def target(self) -> str:
        """The Request-URI as text; setting it forgets the typed one, and the hop."""
        return self._target

    @target.setter
    def target(self, text: str) -> None:
        self._target = text
        self._uri = self.hop = None
        if self.facts is not None:
            self._begin_edit().target = text

    @property
    def uri(self) -> Uri:
        """The Request-URI, typed; PeerError if it is malformed."""
        if self._uri is None:
            self._uri = parse_uri(self._target)
        return self._uri

    def with_target(self, target: str | Uri) -> Self:
        """A copy with another Request-URI."""
        twin = self.copy()
        twin.target = str(target)
        return twin

    def copy(self) -> Self:
        """An independent copy."""
        twin = type(self).__new__(type(self))
        twin.method, twin._target, twin._uri, twin.hop = self.method, self._target, self._uri, self.hop
        self._share_wire(twin)
        return twin

    def edited(  # noqa: PLR0917 - called for every request that passes, and keywords cost
        self,
        target: str | None = None,
        max_forwards: int = -1,
        drop_routes: int = 0,
        without: int = 0,
        on_top: bytes = b"",
        at_end: bytes = b"",
    ) -> Self:
        """A copy with these changes, which cost nothing before it is printed (16.6).

        `max_forwards` from 0 on replaces the field; the first `drop_routes` values of Route go, and so do all
        lines whose bit of `kernel.BIT` is in `without`; `on_top` and `at_end` are whole header lines.
        """
        head = self.head
        if head is None:
            return self._edited_apart(Edit(target, max_forwards, drop_routes, without, on_top, at_end))
        twin = type(self).__new__(type(self))
        twin.method, twin.facts, twin._body = self.method, head, self._body
        if target is None:
            twin._target, twin._uri, twin.hop = self._target, self._uri, self.hop
        else:
            twin._target, twin._uri, twin.hop = target, None, None
        twin._edit = Edit(target, max_forwards, drop_routes, without, on_top, at_end)
        twin.head = twin._data = twin._reading = twin.defect = None
        return twin

    def push_via(self, value: bytes) -> None:
        """Put our Via on top of all others (8.1.1.7, 16.6 step 8)."""
        if self.facts is None:
            self.headers.prepend("Via", value)
            return
        edit = self._edit
        if edit is None or self._reading is not None:
            edit = self._begin_edit()
        edit.on_top = b"Via: " + value + b"\r\n" + edit.on_top

    def _begin_edit(self) -> Edit:
        """What is to change; whatever was read before is read anew."""
        edit = self._edit
        if edit is None:
            edit = self._edit = Edit()
        self.head = self._data = self._reading = None
        return edit

    def _edited_apart(self, edit: Edit) -> Self:
        twin = self.copy()
        apply_edit(twin.headers, edit)
        if edit.target is not None:
            twin.target = edit.target
        return twin

    def to_bytes(self) -> bytes:
        """The message as it is sent, with a fresh Content-Length."""
        octets = self._data if self._edit is None else self._octets()
        if octets is not None:
            return octets
        return print_message(f"{self.method} {self._target} SIP/2.0", self.headers, self.body)


class _ResponseMaker(Protocol):
    def __call__(
        self,
        request: Request,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> "Response": ...


class _AddressOrAnswer:
    """`response.to` is the To header field; `Response.to(request, 486)` makes the response to a request."""

    @overload
    def __get__(self, message: None, owner: type) -> _ResponseMaker: ...
    @overload
    def __get__(self, message: HasHeaders, owner: type) -> NameAddr: ...
    def __get__(self, message: HasHeaders | None, owner: type) -> _ResponseMaker | NameAddr:
        return make_response if message is None else _TO.__get__(message, owner)


class Response(SipMessage):
    """SIP/2.0 status reason."""

    __slots__ = ("_reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        self.status = status
        self._reason: str | None = reason_phrase(status) if reason is None else reason
        self.head = self.facts = self._data = self._edit = None
        self._reading = Headers() if headers is None else headers
        self._body = body
        self.defect = None

    @classmethod
    def read(cls, head: Head) -> Self:
        """The response that the kernel has read: `parse_message` and `check_response` in one."""
        response = cls.__new__(cls)
        response.status = head.status
        response.head = response.facts = head
        response._data = head.data
        response._reason = response._edit = response._reading = response._body = response.defect = None
        return response

    @classmethod
    def made(cls, status: int, reason: str, octets: bytes) -> Self:
        """A response that was printed before it was a response."""
        response = cls.__new__(cls)
        response.status, response._reason, response._data = status, reason, octets
        response.head = response.facts = response._edit = None
        response._reading = response._body = response.defect = None
        return response

    @property
    def reason(self) -> str:
        """The reason phrase."""
        reason = self._reason
        if reason is None:
            assert self.facts is not None
            line = self.facts.data.partition(b"\r\n")[0]
            reason = self._reason = line[12:].decode("utf-8", "surrogateescape")
        return reason

    @reason.setter
    def reason(self, reason: str) -> None:
        self._leave_wire()
        self._reason = reason

    to = _AddressOrAnswer()

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason}>"

    def copy(self) -> Self:
        """An independent copy."""
        twin = type(self).__new__(type(self))
        twin.status, twin._reason = self.status, self._reason
        self._share_wire(twin)
        return twin

    def _leave_wire(self) -> None:
        self._reason = self.reason
        super()._leave_wire()

    def without_top_via(self, without: int = 0) -> Self | None:
        """A copy without the first Via value, and without the lines of `without` (16.7 step 3).

        None when no Via is left: then the response was for us.
        """
        head = self.head
        if head is None:
            careful = self.copy()
            return careful if remove_top_via(careful.headers, without) else None
        if head.via_count < 2:
            return None
        twin = type(self).__new__(type(self))
        twin.status, twin._reason, twin.facts, twin._body = self.status, self._reason, head, self._body
        twin._data = pop_via(head.data, without)
        twin.head = twin._edit = twin._reading = twin.defect = None
        return twin

    def to_bytes(self) -> bytes:
        """The message as it is sent, with a fresh Content-Length. No reason can add a line."""
        octets = self._data
        if octets is not None:
            return octets
        reason = self.reason if self.reason.isprintable() else _UNPRINTABLE.sub(" ", self.reason)
        return print_message(f"SIP/2.0 {self.status} {reason}", self.headers, self.body)


Message = Request | Response


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """The response to a request, as 8.2.6.2 says, known as `Response.to`.

    Via, From, To (with `to_tag` if it had none), Call-ID and CSeq are copied raw, as far as they are there: a
    request too broken to be understood can still be answered.
    """
    head = request.head
    if head is not None:
        phrase = reason_phrase(status) if reason is None else reason
        octets = plain_response(
            head,
            status,
            phrase if phrase.isprintable() else _UNPRINTABLE.sub(" ", phrase),
            to_tag=to_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        if octets is not None:
            return Response.made(status, phrase, octets)
    lines = lines_for_response(
        request.headers, request.method, status, to_tag, is_clean=request.defect is None
    )
    response = Response(status, reason, Headers(lines), body)
    fill(response.headers, headers, content_type)
    return response
