# SPDX-License-Identifier: Apache-2.0
"""What is at stake in a message? Told from its first octets, without parsing it.

What is told here decides only who waits for whom. A liar gains little: each source has its turn in each lane,
and what it says is judged like everything else once it is served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ringback.server.overload.lanes import LaneName
from ringback.server.overload.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ringback.sip.flow import Address, Flow

#: They end or continue what began before, with a To tag or without one.
CONTINUING = frozenset({b"ACK", b"BYE", b"CANCEL", b"PRACK"})
#: RFC 5031: the service of emergency calls, and what stands below it (urn:service:sos.police).
EMERGENCY_SERVICE = b"urn:service:sos"
#: Phones register at least every two hours (`registrar.maximum_expires`); more of them are forgotten earlier.
KNOWN_FOR = 7200.0
MOST_KNOWN = 65_536


class Stakes:
    """Knows the trunks, the phones that proved who they are, and the numbers of those who help."""

    __slots__ = ("_emergency", "_known", "_trunks")

    def __init__(self) -> None:
        self._emergency: frozenset[bytes] = frozenset()
        self._trunks: frozenset[str] = frozenset()
        self._known: Recent[Address] = Recent(lifetime=KNOWN_FOR, limit=MOST_KNOWN)

    def change(self, *, emergency_numbers: Iterable[str], trunks: Iterable[str]) -> None:
        """The settings were read."""
        self._emergency = frozenset(number.encode() for number in emergency_numbers)
        self._trunks = frozenset(trunks)

    def trust(self, flow: Flow, now: float) -> None:
        """Who is there proved who it is."""
        self._known.forget(now)
        self._known.add(flow.remote, now)

    def is_trunk(self, flow: Flow) -> bool:
        """True for the addresses in the settings."""
        return flow.remote.host in self._trunks

    def lane_of(self, data: bytes, flow: Flow, method: bytes, *, has_to_tag: bool) -> LaneName:
        """Its lane; `method` is empty for a response."""
        if not method or has_to_tag or method in CONTINUING:
            return LaneName.UNDERWAY
        if method == b"INVITE":
            if self.is_emergency(_target(data)):
                return LaneName.EMERGENCY
            is_known = self.is_trunk(flow) or flow.remote in self._known
            return LaneName.KNOWN_CALL if is_known else LaneName.CALL
        if method == b"OPTIONS" and b"@" not in _target(data):
            return LaneName.HEALTH
        if method == b"REGISTER" and b"\nAuthorization:" in data and flow.remote in self._known:
            return LaneName.REFRESH
        return LaneName.OTHER

    def is_emergency(self, target: bytes) -> bool:
        """True for the service URN, and for SIP and tel URIs of an emergency number."""
        scheme, _, rest = target.partition(b":")
        scheme = scheme.lower()
        if scheme == b"urn":
            service, dot = target[: len(EMERGENCY_SERVICE)].lower(), target[len(EMERGENCY_SERVICE) :]
            return service == EMERGENCY_SERVICE and dot[:1] in (b"", b".")
        user = rest.partition(b"@")[0] if scheme in (b"sip", b"sips") and b"@" in rest else rest
        if scheme == b"tel" or user is not rest:
            return user.partition(b";")[0] in self._emergency
        return False


def _target(data: bytes) -> bytes:
    """The Request-URI, or what stands in its place."""
    start = data.find(b" ") + 1
    return data[start : data.find(b" ", start)]
