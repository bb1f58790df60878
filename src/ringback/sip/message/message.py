# SPDX-License-Identifier: Apache-2.0
"""What is a SIP message? A request or a response: start line, header fields, body (RFC 3261 section 7)."""

import re
from collections.abc import Iterable
from typing import Protocol, Self, cast, overload

from ringback.sip.errors import PeerError
from ringback.sip.message.body import ContentType
from ringback.sip.message.credentials import Challenge, Credentials
from ringback.sip.message.headers import Headers
from ringback.sip.message.names import reason_phrase
from ringback.sip.message.parameters import Parameterised
from ringback.sip.message.typed import HasHeaders, Listed, Optional, Required
from ringback.sip.message.uri import NameAddr, Uri, parse_uri
from ringback.sip.message.values import CSeq, RAck, Reason, RetryAfter, SessionExpires
from ringback.sip.message.via import Via
from ringback.sip.message.writer import fill, lines_for_response, print_message

_TAG = re.compile(rb";[ \t]*+tag[ \t]*+=[ \t]*+([^;, \t]++)", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


_TO = Required[NameAddr]("to")


class SipMessage:
    """What requests and responses have in common: the typed header fields.

    `defect` is what the parser found wrong with a message that can still be answered; `check_request`
    and `check_response` raise it. The attributes below raise PeerError when their field is malformed.
    """

    __slots__ = ("body", "defect", "headers")

    headers: Headers
    body: bytes
    defect: PeerError | None

    vias = Listed[Via]("via")
    from_ = Required[NameAddr]("from")
    call_id = Required[str]("call-id")
    cseq = Required[CSeq]("cseq")
    contacts = Listed[NameAddr]("contact")
    routes = Listed[NameAddr]("route")
    record_routes = Listed[NameAddr]("record-route")
    path = Listed[NameAddr]("path")
    max_forwards = Optional[int]("max-forwards")
    max_breadth = Optional[int]("max-breadth")
    expires = Optional[int]("expires")
    min_expires = Optional[int]("min-expires")
    content_type = Optional[ContentType]("content-type")
    require = Listed[str]("require")
    proxy_require = Listed[str]("proxy-require")
    supported = Listed[str]("supported")
    unsupported = Listed[str]("unsupported")
    allow = Listed[str]("allow")
    rseq = Optional[int]("rseq")
    rack = Optional[RAck]("rack")
    session_expires = Optional[SessionExpires]("session-expires")
    event = Optional[Parameterised]("event")
    reasons = Listed[Reason]("reason")
    retry_after = Optional[RetryAfter]("retry-after")

    @property
    def top_via(self) -> Via:
        """The Via of the last hop; PeerError if there is none."""
        vias = cast(list[Via], self.headers.parsed("via"))
        if not vias:
            raise PeerError("Via is missing", section="RFC 3261 8.1.1")
        return vias[0]

    @property
    def from_tag(self) -> str | None:
        """The tag of From. Cheap: for matching dialogs and transactions, after the message was checked."""
        return _find_tag(self.headers, "from")

    @property
    def to_tag(self) -> str | None:
        """The tag of To, likewise."""
        return _find_tag(self.headers, "to")

    @property
    def is_star_contact(self) -> bool:
        """True for "Contact: *": all bindings (10.2.2)."""
        return self.headers.get_all("contact") == ["*"]

    @property
    def min_se(self) -> int | None:
        """The shortest session interval somebody on the path takes (RFC 4028 5)."""
        value = cast(SessionExpires | None, self.headers.parsed("min-se"))
        return None if value is None else value.seconds

    @property
    def challenges(self) -> list[Challenge]:
        """WWW-Authenticate, then Proxy-Authenticate."""
        www = cast(list[Challenge], self.headers.parsed("www-authenticate"))
        return [*www, *cast(list[Challenge], self.headers.parsed("proxy-authenticate"))]

    @property
    def credentials(self) -> list[Credentials]:
        """Authorization, then Proxy-Authorization."""
        own = cast(list[Credentials], self.headers.parsed("authorization"))
        return [*own, *cast(list[Credentials], self.headers.parsed("proxy-authorization"))]

    def parsed(self, name: str) -> object:
        """The typed value of any header field by the table: None or [] when absent. Do not change it."""
        return self.headers.parsed(name)


def _find_tag(headers: Headers, key: str) -> str | None:
    """What stands behind the last ">" are the field's own parameters, unless there are quotes."""
    value = headers.first(key) or b""
    tail = value[value.rfind(b">") + 1 :]
    if b'"' in tail or b"\r" in tail:
        address = cast(NameAddr | None, headers.parsed(key))
        return None if address is None else address.tag
    found = _TAG.search(tail)
    return None if found is None else found[1].decode("ascii", "surrogateescape")


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
        self.headers = Headers() if headers is None else headers
        self.body = body
        self.defect = None

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
        twin = type(self)(self.method, self._target, self.headers.copy(), self.body)
        twin._uri = self._uri
        twin.hop = self.hop
        twin.defect = self.defect
        return twin

    def to_bytes(self) -> bytes:
        """The message as it is sent, with a fresh Content-Length."""
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

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        self.status = status
        self.reason = reason_phrase(status) if reason is None else reason
        self.headers = Headers() if headers is None else headers
        self.body = body
        self.defect = None

    to = _AddressOrAnswer()

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason}>"

    def copy(self) -> Self:
        """An independent copy."""
        twin = type(self)(self.status, self.reason, self.headers.copy(), self.body)
        twin.defect = self.defect
        return twin

    def to_bytes(self) -> bytes:
        """The message as it is sent, with a fresh Content-Length. No reason can add a line."""
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
    lines = lines_for_response(
        request.headers, request.method, status, to_tag, is_clean=request.defect is None
    )
    response = Response(status, reason, Headers(lines), body)
    fill(response.headers, headers, content_type)
    return response
