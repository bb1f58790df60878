# SPDX-License-Identifier: Apache-2.0
"""What have requests and responses in common? The typed header fields, and the few that cost nothing."""

import re
from typing import cast

from ringback.sip.errors import PeerError
from ringback.sip.message.body import ContentType
from ringback.sip.message.credentials import Challenge, Credentials
from ringback.sip.message.headers import Headers
from ringback.sip.message.parameters import Parameterised
from ringback.sip.message.typed import Listed, Optional, Required
from ringback.sip.message.uri import NameAddr, Uri, parse_uri
from ringback.sip.message.values import CSeq, RAck, Reason, RetryAfter, SessionExpires
from ringback.sip.message.via import Via
from ringback.sip.message.wire import WireMessage

_TAG = re.compile(rb";[ \t]*+tag[ \t]*+=[ \t]*+([^;, \t]++)", re.IGNORECASE)

_CALL_ID = Required[str]("call-id")
_CSEQ = Required[CSeq]("cseq")
_MAX_FORWARDS = Optional[int]("max-forwards")


class SipMessage(WireMessage):
    """What requests and responses have in common: the typed header fields.

    `defect` is what the parser found wrong with a message that can still be answered; `check_request`
    and `check_response` raise it. The attributes below raise PeerError when their field is malformed.
    """

    __slots__ = ()

    vias = Listed[Via]("via")
    from_ = Required[NameAddr]("from")
    contacts = Listed[NameAddr]("contact")
    routes = Listed[NameAddr]("route")
    record_routes = Listed[NameAddr]("record-route")
    path = Listed[NameAddr]("path")
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
        vias = cast(list[Via], self.reading.parsed("via"))
        if not vias:
            raise PeerError("Via is missing", section="RFC 3261 8.1.1")
        return vias[0]

    @property
    def call_id(self) -> str:
        """The Call-ID. Cheap, like the next five: for matching dialogs and transactions (17.2.3)."""
        facts = self.facts
        return _CALL_ID.__get__(self, SipMessage) if facts is None else facts.call_id

    @property
    def cseq(self) -> CSeq:
        """Number and method of CSeq."""
        facts = self.facts
        return _CSEQ.__get__(self, SipMessage) if facts is None else CSeq(facts.cseq, facts.method)

    @property
    def cseq_number(self) -> int:
        """The number of CSeq."""
        facts = self.facts
        return _CSEQ.__get__(self, SipMessage).number if facts is None else facts.cseq

    @property
    def from_tag(self) -> str | None:
        """The tag of From."""
        facts = self.facts
        return _find_tag(self.reading, "from") if facts is None else facts.from_tag

    @property
    def from_uri(self) -> Uri:
        """The URI of From."""
        facts = self.facts
        return self.from_.uri if facts is None else parse_uri(facts.from_uri)

    @property
    def to_tag(self) -> str | None:
        """The tag of To."""
        facts = self.facts
        return _find_tag(self.reading, "to") if facts is None else facts.to_tag

    @property
    def max_forwards(self) -> int | None:
        """How many more hops are allowed (20.22); None when the field is absent."""
        facts = self.facts
        if facts is None:
            return _MAX_FORWARDS.__get__(self, SipMessage)
        edit = self._edit
        hops = facts.max_forwards if edit is None or edit.max_forwards < 0 else edit.max_forwards
        return None if hops < 0 else hops

    @property
    def is_star_contact(self) -> bool:
        """True for "Contact: *": all bindings (10.2.2)."""
        return self.reading.get_all("contact") == ["*"]

    @property
    def min_se(self) -> int | None:
        """The shortest session interval somebody on the path takes (RFC 4028 5)."""
        value = cast(SessionExpires | None, self.reading.parsed("min-se"))
        return None if value is None else value.seconds

    @property
    def challenges(self) -> list[Challenge]:
        """WWW-Authenticate, then Proxy-Authenticate."""
        www = cast(list[Challenge], self.reading.parsed("www-authenticate"))
        return [*www, *cast(list[Challenge], self.reading.parsed("proxy-authenticate"))]

    @property
    def credentials(self) -> list[Credentials]:
        """Authorization, then Proxy-Authorization."""
        own = cast(list[Credentials], self.reading.parsed("authorization"))
        return [*own, *cast(list[Credentials], self.reading.parsed("proxy-authorization"))]

    def parsed(self, name: str) -> object:
        """The typed value of any header field by the table: None or [] when absent. Do not change it."""
        return self.reading.parsed(name)


def _find_tag(headers: Headers, key: str) -> str | None:
    """What stands behind the last ">" are the field's own parameters, unless there are quotes."""
    value = headers.first(key) or b""
    tail = value[value.rfind(b">") + 1 :]
    if b'"' in tail or b"\r" in tail:
        address = cast(NameAddr | None, headers.parsed(key))
        return None if address is None else address.tag
    found = _TAG.search(tail)
    return None if found is None else found[1].decode("ascii", "surrogateescape")
