# SPDX-License-Identifier: Apache-2.0
"""Whose packets are taken for the peer's? Symmetric RTP with a lock: RELIABILITY row 39, RFC 7362.

The address of the description is believed at once. Another source is believed only when it can be the same
peer behind a NAT: the same host with another port, or, when the description names a private address, the
host the signalling comes from. It must send a few packets in a row with one SSRC before it is taken, and from
then on nobody else is. A learned source gives way to the described one, and to nothing else, until the
session is negotiated anew. A peer that describes another address then has left the one before: what still
comes from there must be its own stream, and not that of the next one who was given the port.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sdp.addresses import is_private
from ringback.sip.flow import Address

#: Packets in a row from one source with one SSRC before it is believed.
PACKETS_TO_LEARN = 3


@dataclass(slots=True)
class SourceLock:
    """One stream's idea of where its peer is."""

    described: Address | None = None
    signalling_host: str | None = None
    #: Whom we listen to; None until a packet was believed.
    locked: Address | None = None
    refused: int = 0
    _trusted: Address | None = None
    _locked_ssrc: int | None = None
    _known: tuple[Address, Address] | None = None
    #: The source that an earlier description meant, and the SSRC it had.
    _left: tuple[Address, int] | None = None
    _candidate: tuple[Address, int] | None = None
    _candidate_packets: int = 0

    def renegotiated(self, described: Address | None, *, signalling_host: str | None) -> None:
        """The session was negotiated (again).

        None (c=0.0.0.0) says nothing about where the peer is: a source known before stays believed, as it
        does when the description is the one it belongs to.
        """
        if self.locked is not None and self.described is not None:
            self._known = (self.described, self.locked)
        is_same = self._known is not None and described in (None, self._known[0])
        if self.locked is not None and self._locked_ssrc is not None:
            self._left = (self.locked, self._locked_ssrc)
        self._trusted = self._known[1] if self._known and is_same else None
        self.described = described
        self.signalling_host = signalling_host
        self.locked = None
        self._candidate = None

    def accepts(self, source: Address, ssrc: int) -> bool:
        """True when a packet of `source` is to be played."""
        if source == self.locked:
            return True
        is_final = self.locked is not None and self.locked == self.described
        if source in (self.described, self._trusted) and not is_final:
            self._lock(source, ssrc)
            return True
        if self.locked is None and self._may_learn(source, ssrc) and self._learns(source, ssrc):
            self._lock(source, ssrc)
            return True
        self.refused += 1
        return False

    def may_be_peer(self, source: Address) -> bool:
        """True while a packet of `source` could be the peer's, if it is signed with the peer's key."""
        if source in (self.locked, self.described, self._trusted):
            return True
        return self.locked is None and self.described is not None

    def authenticated(self, source: Address, ssrc: int) -> None:
        """A packet of `source` was signed with the peer's key: wherever that is, it is the peer.

        Still it must come a few times before packets are sent there: somebody may have caught one on its way.
        """
        if source == self.locked:
            return
        is_final = self.locked is not None and self.locked == self.described
        if (source in (self.described, self._trusted) and not is_final) or (
            self.locked is None and self._learns(source, ssrc)
        ):
            self._lock(source, ssrc)

    def proved(self, source: Address) -> None:
        """The peer has finished a handshake from there."""
        if self.locked is None and source != self.described:
            self._lock(source)

    def is_plausible(self, source: Address) -> bool:
        """True when `source` can be the peer: the described host, or its NAT."""
        if self.locked is not None:
            return source in (self.locked, self.described)
        return self._is_plausible(source)

    @property
    def destination(self) -> Address | None:
        """Where to send: to whom we listen, else where the description says."""
        if self.described is None:
            return None
        return self.locked or self._trusted or self.described

    def accepts_report(self, source: Address) -> bool:
        """True when RTCP of `source` may be the peer's: the host is the one we talk to."""
        destination = self.destination
        return destination is not None and source.host == destination.host

    def _is_plausible(self, source: Address) -> bool:
        if self.described is None:
            return False
        if source.host == self.described.host:
            return True
        return source.host == self.signalling_host and is_private(self.described.host)

    def _may_learn(self, source: Address, ssrc: int) -> bool:
        """Not what comes from where the peer no longer is."""
        is_left = self._left is not None and source == self._left[0] and ssrc != self._left[1]
        return not is_left and self._is_plausible(source)

    def _learns(self, source: Address, ssrc: int) -> bool:
        if self._candidate != (source, ssrc):
            self._candidate = (source, ssrc)
            self._candidate_packets = 0
        self._candidate_packets += 1
        return self._candidate_packets >= PACKETS_TO_LEARN

    def _lock(self, source: Address, ssrc: int | None = None) -> None:
        self.locked, self._locked_ssrc = source, ssrc
        self._trusted = None
        self._candidate = None
