# SPDX-License-Identifier: Apache-2.0
"""Where is a peer that may sit anywhere? ICE lite: it asks, we answer and remember (RFC 8445 section 2.5).

We are reachable at the address we name, so that the peer does all the checking. A check counts only when it
is signed with our password (RFC 8489; RELIABILITY row 44). The pair that the peer nominates is where we send,
for as long as its checks go on (RFC 7675).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.net.stun_message import REQUEST, Attribute, StunMessage
from ringback.sip.flow import Address

#: Seconds without a check after which nothing more is sent (RFC 7675 section 5.1).
CONSENT_SECONDS = 30.0
#: Addresses of one peer that are remembered: networks it has, times protocols, times NATs.
MOST_SOURCES = 16
_LONGEST_USERNAME = 513


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """Our name and password for one session, or one restart of it."""

    ufrag: str
    password: str = field(repr=False)

    @classmethod
    def make(cls, random_bytes: Callable[[int], bytes]) -> IceCredentials:
        """48 and 144 bits of chance (RFC 8445 section 5.3 asks for 24 and 128)."""
        return cls(b64encode(random_bytes(6)).decode(), b64encode(random_bytes(18)).decode())


class IceLite:
    """One component's checks. `receive` answers them; `selected` is where to send.

    on_selected:
        called when there is a nominated pair, or another one
    """

    __slots__ = ("_checked", "_credentials", "_selected", "on_selected", "refused")

    def __init__(self, credentials: IceCredentials, on_selected: Callable[[], None]) -> None:
        self._credentials = [credentials]
        #: Sources that have proved to know our password, and when they did last.
        self._checked: dict[Address, float] = {}
        self._selected: Address | None = None
        self.on_selected = on_selected
        self.refused = 0

    @property
    def credentials(self) -> IceCredentials:
        """What we name ourselves now."""
        return self._credentials[0]

    def restart(self, credentials: IceCredentials) -> None:
        """The peer starts anew (RFC 8445 section 9); the old pair serves until a new one is nominated."""
        if credentials != self._credentials[0]:
            self._credentials = [credentials, self._credentials[0]]

    def receive(self, data: bytes, source: Address, now: float) -> bytes | None:
        """The answer to what may be a check; None when it deserves none."""
        message = StunMessage.parse(data)
        if message is None or message.kind != REQUEST:
            return None
        username = message.attributes.get(Attribute.USERNAME)
        if username is None or message.signed is None:
            return self._refusal(data, message.error(400, "Bad Request"))
        key = self._key_for(username)
        if key is None or not message.is_signed_with(key):
            return self._refusal(data, message.error(401, "Unauthenticated"))
        if message.unknown:
            return message.error(420, "Unknown Attribute", key)
        if Attribute.ICE_CONTROLLED in message.attributes:
            return message.error(487, "Role Conflict", key)  # a lite agent never controls (section 6.1.1)
        self._remember(source, now, is_nominated=Attribute.USE_CANDIDATE in message.attributes)
        return message.success(source, key)

    def believes(self, source: Address) -> bool:
        """True for a source whose check was signed."""
        return source in self._checked

    def selected(self, now: float) -> Address | None:
        """Where to send; None before a pair is nominated, and when its checks have stopped."""
        if self._selected is None or now - self._checked[self._selected] > CONSENT_SECONDS:
            return None
        return self._selected

    def _refusal(self, data: bytes, answer: bytes) -> bytes | None:
        """Strangers get no more octets than they sent: their address may be somebody else's."""
        self.refused += 1
        return answer if len(answer) <= len(data) else None

    def _key_for(self, username: bytes) -> bytes | None:
        """Section 7.3: the name is ours and theirs with a colon between."""
        if len(username) > _LONGEST_USERNAME:
            return None
        ours = username.partition(b":")[0]
        for each in self._credentials:
            if each.ufrag.encode() == ours:
                return each.password.encode()
        return None

    def _remember(self, source: Address, now: float, *, is_nominated: bool) -> None:
        if source not in self._checked and len(self._checked) >= MOST_SOURCES:
            oldest = min(self._checked, key=lambda each: (each == self._selected, self._checked[each]))
            del self._checked[oldest]
        self._checked[source] = now
        if is_nominated and source != self._selected:
            self._selected = source
            self.on_selected()
