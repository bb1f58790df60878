# SPDX-License-Identifier: Apache-2.0
"""What does a description say of ICE? RFC 8839: credentials, candidates, ice-lite.

Candidates that we cannot send to are skipped: TCP, names (browsers hide their addresses behind mDNS names)
and addresses that are not relayable. An agent that is ICE-lite learns addresses from checks anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from ringback.sdp.addresses import canonical_host, is_relayable
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import Line, MediaDescription, Section, SessionDescription
from ringback.sip.flow import Address

#: Candidates of one stream that are looked at.
MOST_CANDIDATES = 64

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_CANDIDATE = re.compile(
    r"(?P<foundation>[A-Za-z0-9+/]{1,32}) +(?P<component>[0-9]{1,3}) +(?P<transport>[A-Za-z]{1,8}) +"
    r"(?P<priority>[0-9]{1,10}) +(?P<host>[0-9A-Fa-f:.]{2,45}) +(?P<port>[0-9]{1,5}) +typ +"
    r"(?P<kind>host|srflx|prflx|relay)(?P<rest>(?: .{0,512})?)"
)
_RELATED = re.compile(r" +raddr +(?P<host>[0-9A-Fa-f:.]{2,45}) +rport +(?P<port>[0-9]{1,5})(?: |\Z)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where one component of a stream might be reached (RFC 8839 section 5.1)."""

    foundation: str
    component: int
    priority: int
    address: Address
    kind: str = "host"
    related: Address | None = None
    transport: str = "udp"

    @classmethod
    def parse(cls, value: str) -> Candidate | None:
        """The candidate behind "a=candidate:"; None when media cannot be sent there by UDP."""
        parts = _CANDIDATE.fullmatch(value)
        if parts is None or parts["transport"].lower() != "udp":
            return None
        address = _address(parts["host"], parts["port"])
        component = int(parts["component"])  # checked: three digits at most
        priority = int(parts["priority"])  # checked: ten digits at most
        if address is None or not 1 <= component <= 256 or priority >= 2**32:
            return None
        related = _RELATED.match(parts["rest"])
        return cls(
            foundation=parts["foundation"],
            component=component,
            priority=priority,
            address=address,
            kind=parts["kind"],
            related=_address(related["host"], related["port"]) if related else None,
        )

    def __str__(self) -> str:
        """The value of a=candidate."""
        where = f"{self.priority} {self.address.host} {self.address.port}"
        text = f"{self.foundation} {self.component} {self.transport} {where} typ {self.kind}"
        return text if self.related is None else f"{text} raddr {self.related.host} rport {self.related.port}"


@dataclass(frozen=True, slots=True)
class IceDescription:
    """The ICE side of one stream: our own, or the peer's."""

    ufrag: str
    password: str = field(repr=False)
    candidates: tuple[Candidate, ...] = ()
    is_lite: bool = False

    @property
    def lines(self) -> tuple[Line, ...]:
        """The a= lines of the m= section. All candidates are named at once: no trickling (RFC 8840)."""
        values = [f"ice-ufrag:{self.ufrag}", f"ice-pwd:{self.password}"]
        values += [f"candidate:{each}" for each in self.candidates]
        if self.candidates:
            values.append("end-of-candidates")
        return tuple(Line("a", value) for value in values)


def ice_of(
    session: SessionDescription, media: MediaDescription, *, allow_loopback: bool = False
) -> IceDescription | None:
    """What is said of ICE for this stream; None when nothing is. UnacceptableSession when it is malformed."""
    ufrag = _credential(session, media, "ice-ufrag")
    password = _credential(session, media, "ice-pwd")
    if ufrag is None and password is None:
        return None
    if ufrag is None or not _UFRAG.fullmatch(ufrag):
        raise UnacceptableSession("a=ice-ufrag is malformed", section="RFC 8839 5.4")
    if password is None or not _PASSWORD.fullmatch(password):
        raise UnacceptableSession("a=ice-pwd is malformed", section="RFC 8839 5.4")
    return IceDescription(
        ufrag,
        password,
        _candidates(media, allow_loopback=allow_loopback),
        is_lite=session.attribute("ice-lite") is not None,
    )


def _credential(session: SessionDescription, media: MediaDescription, name: str) -> str | None:
    """The stream's own, else the session's (RFC 8839 section 5.4)."""
    own = media.attribute(name)
    return session.attribute(name) if own is None else own


def _candidates(media: Section, *, allow_loopback: bool) -> tuple[Candidate, ...]:
    looked_at = islice(media.attribute_values("candidate"), MOST_CANDIDATES)
    parsed = (Candidate.parse(value) for value in looked_at)
    return tuple(
        each
        for each in parsed
        if each is not None and is_relayable(each.address.host, allow_loopback=allow_loopback)
    )


def _address(host: str, port: str) -> Address | None:
    number = int(port)  # checked: five digits at most
    try:
        return Address(canonical_host(host), number) if number <= 65_535 else None
    except ValueError:
        return None
