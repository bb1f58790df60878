# SPDX-License-Identifier: Apache-2.0
"""What is at stake in a message? Told from its first octets, without parsing it.

What is told here decides only who waits for whom. A liar gains little: each source has its turn in each
lane, and what it says is judged like everything else once it is served.
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
#: No number that people dial for help is longer, with what stands around it.
LONGEST_NUMBER = 64

# The commonest ones: to look up a member of an Enum costs 0.05 us each time.
UNDERWAY, CALL, OTHER = LaneName.UNDERWAY, LaneName.CALL, LaneName.OTHER

#: What `lane_of` says, as `kernel.Door` wants it. Calls, requests with credentials, others: each from
#: strangers, from trunks, and from those who proved who they are.
LANES_OF_NEW_WORK = bytes(
    (
        *(CALL, LaneName.KNOWN_CALL, LaneName.KNOWN_CALL),
        *(OTHER, OTHER, LaneName.REFRESH),
        *(OTHER, OTHER, OTHER),
    )
)


class Stakes:
    """Knows the trunks, the phones that proved who they are, and the numbers of those who help."""

    __slots__ = ("emergency", "known", "trunks")

    def __init__(self) -> None:
        self.emergency: frozenset[bytes] = frozenset()
        self.trunks: frozenset[str] = frozenset()
        self.known: Recent[Address] = Recent(lifetime=KNOWN_FOR, limit=MOST_KNOWN)

    def change(self, *, emergency_numbers: Iterable[str], trunks: Iterable[str]) -> None:
        """The settings were read."""
        self.emergency = frozenset(number.encode() for number in emergency_numbers)
        self.trunks = frozenset(trunks)

    def trust(self, flow: Flow, now: float) -> None:
        """Who is there proved who it is."""
        self.known.add(flow.remote, now)

    def is_trunk(self, flow: Flow) -> bool:
        """True for the addresses in the settings."""
        return flow.remote.host in self.trunks

    def lane_of(self, data: bytes, flow: Flow, method: bytes, *, has_to_tag: bool) -> LaneName:
        """Its lane; `method` is empty for a response."""
        if not method or has_to_tag or method in CONTINUING:
            return UNDERWAY
        if method == b"INVITE":
            if self._is_emergency(data):
                return LaneName.EMERGENCY
            is_known = flow.remote.host in self.trunks or flow.remote in self.known
            return LaneName.KNOWN_CALL if is_known else CALL
        if method == b"OPTIONS" and b"@" not in data[: data.find(b" ", len(b"OPTIONS "))]:
            return LaneName.HEALTH
        if method == b"REGISTER" and b"\nAuthorization:" in data and flow.remote in self.known:
            return LaneName.REFRESH
        return LaneName.OTHER

    def _is_emergency(self, invite: bytes) -> bool:
        """True for the service URN, and for SIP and tel URIs of an emergency number."""
        start = invite.find(b":") + 1
        user = invite[start : invite.find(b"@", start, start + LONGEST_NUMBER)]
        if user in self.emergency:
            return True
        if invite.startswith(b"INVITE sip") and b";" not in user:
            return False
        target = invite[len(b"INVITE ") : invite.find(b" ", len(b"INVITE "))].lower()
        if target.startswith(EMERGENCY_SERVICE):
            return target[len(EMERGENCY_SERVICE) :][:1] in (b"", b".")
        scheme, _, rest = target.partition(b":")
        number = rest.partition(b"@")[0].partition(b";")[0]
        return number in self.emergency and (scheme == b"tel" or b"@" in rest)
