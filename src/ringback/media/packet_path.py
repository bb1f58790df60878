# SPDX-License-Identifier: Apache-2.0
"""Which packets are the peer's, and how do ours get there? One way for RTP, one for RTCP, or one for both.

A packet is believed for its source (`source_lock.py`, `ice.py`) and, with SRTP, for its signature. What is
not believed is counted, and has no other effect (RELIABILITY rows 39, 40 and 42).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ringback.media.component import Component
from ringback.media.dtls import SrtpKeys
from ringback.media.ice import IceCredentials
from ringback.media.source_lock import SourceLock
from ringback.net.network import DatagramSocket
from ringback.rtp.packet import HEADER_BYTES
from ringback.rtp.srtp import RtpCipher, SrtpSession
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

Datagrams = Sequence[tuple[bytes, Address]]
Packets = list[bytes]

#: RFC 5761 section 4: what the second octet of RTCP is, and of no RTP that shares a port with it.
_RTCP_TYPES = range(192, 224)


def _ignore(packets: Packets) -> None:
    """Nobody listens yet."""


class RelayedSocket(NamedTuple):
    """What a relay needs to carry RTP itself.

    Packets of `source` are the peer's, if the opener opens them; None: nobody is believed yet.
    It `is_settled` when no other place can be the peer's.
    """

    rtp: DatagramSocket
    source: Address | None
    is_settled: bool
    opener: RtpCipher | None
    sealer: RtpCipher | None


class PacketPath:
    """The two components of a stream, whom they believe, and the keys.

    must_protect:
        True when nothing may go in or out without SRTP
    """

    __slots__ = (
        "_described_rtcp",
        "_learned_rtcp",
        "_malformed",
        "_refused",
        "_srtcp",
        "_was_ready",
        "excess",
        "has_mux",
        "lock",
        "must_protect",
        "on_ready",
        "on_rtcp",
        "on_rtp",
        "rtcp",
        "rtp",
        "srtp",
    )

    def __init__(self, *, must_protect: bool) -> None:
        self.rtp = Component(1, self)
        self.rtcp = Component(2, self)
        self.has_mux = False
        self.must_protect = must_protect
        self.srtp: SrtpSession | None = None
        #: Only for DTLS without rtcp-mux, which has a handshake for each port (RFC 5764 section 4.1).
        self._srtcp: SrtpSession | None = None
        self.lock = SourceLock()
        self._described_rtcp: Address | None = None
        self._learned_rtcp: Address | None = None
        self._was_ready = False
        self.on_rtp: Callable[[Packets], None] = _ignore
        self.on_rtcp: Callable[[Packets], None] = _ignore
        self.on_ready: Callable[[], None] | None = None
        #: Packets that came before there were keys for them.
        self.excess = 0
        self._malformed = self._refused = 0

    def lead_to(
        self,
        remote: StreamDescription | None,
        *,
        credentials: IceCredentials | None,
        signalling_host: str | None,
    ) -> None:
        """The peer is there now; None: nowhere. Without credentials there is no ICE."""
        self._learned_rtcp = None
        self._described_rtcp = remote.rtcp if remote else None
        self.lock.renegotiated(remote.rtp if remote else None, signalling_host=signalling_host)
        if remote is not None:
            self.listen(credentials)

    def listen(self, credentials: IceCredentials | None) -> None:
        """Answer checks under this name, even before the peer is described (RFC 8445 section 7.3)."""
        for component in (self.rtp, self.rtcp):
            component.use_ice(credentials)

    def take_keys(self, keys: SrtpKeys | None, *, must_protect: bool) -> None:
        """Protect packets with these from now on; None for packets that stay plain."""
        self.srtp = _renewed(self.srtp, keys) if keys else None
        self.must_protect = must_protect

    @property
    def components(self) -> tuple[Component, ...]:
        """Those in use."""
        return (self.rtp,) if self.has_mux else (self.rtp, self.rtcp)

    # --- sending ----------------------------------------------------------------------------------

    def send_rtp(self, packets: Packets) -> None:
        """Send to the peer; lost while nobody knows where it is, or there are no keys."""
        destination, socket = self.destination, self.rtp.socket
        if destination is None or socket is None:
            return
        if self.srtp is not None:
            packets = self.srtp.protect_rtp(packets)
        elif self.must_protect:
            return
        socket.send_batch([(packet, destination) for packet in packets])

    def send_rtcp(self, packets: Packets) -> None:
        """The same for reports."""
        destination = self.rtcp_destination
        socket = self.rtp.socket if self.has_mux else self.rtcp.socket
        if destination is None or socket is None:
            return
        keys = self._srtcp or self.srtp
        if keys is not None:
            packets = keys.protect_rtcp(packets)
        elif self.must_protect:
            return
        socket.send_batch([(packet, destination) for packet in packets])

    @property
    def is_ready(self) -> bool:
        """True when packets can be sent."""
        return self.destination is not None and (self.srtp is not None or not self.must_protect)

    @property
    def destination(self) -> Address | None:
        """Where RTP goes."""
        ice = self.rtp.ice
        return self.lock.destination if ice is None else ice.selected(self.rtp.now)

    @property
    def rtcp_destination(self) -> Address | None:
        """Where reports go: as described, or, for a peer behind a NAT, back to where its own come from."""
        destination = self.destination
        if self.has_mux or destination is None:
            return destination
        if self.rtcp.ice is not None:
            return self.rtcp.ice.selected(self.rtcp.now)
        if self._described_rtcp is None:
            return None
        if destination == self.lock.described:
            return self._described_rtcp
        return self._learned_rtcp or Address(destination.host, min(destination.port + 1, 65_535))

    def relayed(self) -> RelayedSocket | None:
        """For a relay; None while there are no keys, or while two of them are good."""
        socket, srtp, ice, lock = self.rtp.socket, self.srtp, self.rtp.ice, self.lock
        if socket is None or (self.must_protect and srtp is None):
            return None
        opener, sealer = (srtp.opener, srtp.sealer) if srtp is not None else (None, None)
        if srtp is not None and (opener is None or sealer is None):
            return None
        if ice is not None:
            return RelayedSocket(socket, ice.selected(self.rtp.now), False, opener, sealer)
        is_settled = lock.locked is not None and lock.locked == lock.described
        return RelayedSocket(socket, lock.locked, is_settled, opener, sealer)

    # --- what the components ask and tell ---------------------------------------------------------

    def media_received(self, component: Component, datagrams: Datagrams) -> None:
        """RTP or RTCP came."""
        packets: Packets = []
        reports: Packets = []
        is_rtcp, has_mux = component is self.rtcp, self.has_mux
        for data, source in datagrams:
            if is_rtcp or (has_mux and len(data) > 1 and data[1] in _RTCP_TYPES):
                report = self._believed_report(component, data, source)
                if report is not None:
                    reports.append(report)
            else:
                packet = self._believed_packet(component, data, source)
                if packet is not None:
                    packets.append(packet)
        if packets:
            self.on_rtp(packets)
        if reports:
            self.on_rtcp(reports)

    def may_shake_hands(self, component: Component, source: Address) -> bool:
        """True when DTLS of `source` is looked at: a checked source, or one that can be the peer (row 41)."""
        if component.ice is not None:
            return component.ice.believes(source)
        return self.lock.is_plausible(source) or source == self._described_rtcp

    def destination_of(self, component: Component) -> Address | None:
        """Where a component sends."""
        return self.destination if component is self.rtp else self.rtcp_destination

    def keys_agreed(self, component: Component, keys: SrtpKeys, peer: Address) -> None:
        """A handshake is complete."""
        if component is self.rtcp:
            self._srtcp = _renewed(self._srtcp, keys)
            return
        if component.ice is None:
            self.lock.proved(peer)
        self.take_keys(keys, must_protect=True)
        self.path_changed()

    def path_changed(self) -> None:
        """Perhaps packets can be sent now."""
        was_ready, self._was_ready = self._was_ready, self.is_ready
        if self._was_ready and not was_ready and self.on_ready is not None:
            self.on_ready()

    def close(self) -> None:
        """Free the ports."""
        self.rtp.close()
        self.rtcp.close()

    # --- counters ---------------------------------------------------------------------------------

    @property
    def refused(self) -> int:
        """Packets of sources that are not believed."""
        return self._refused + self.lock.refused + self.rtp.refused + self.rtcp.refused

    @property
    def malformed(self) -> int:
        """Datagrams that are nothing we know."""
        return self._malformed + self.rtp.malformed + self.rtcp.malformed

    @property
    def srtp_failures(self) -> int:
        """Packets that did not authenticate."""
        return sum(each.failures for each in (self.srtp, self._srtcp) if each is not None)

    # --- believing --------------------------------------------------------------------------------

    def _believed_packet(self, component: Component, data: bytes, source: Address) -> bytes | None:
        """The plain packet, if it is the peer's: first its place, then its signature, then it is learned."""
        if len(data) < HEADER_BYTES:
            self._malformed += 1
            return None
        ssrc = int.from_bytes(data[8:12], "big")
        if component.ice is None and not self.must_protect:
            return data if self.lock.accepts(source, ssrc) else None
        if not self._may_be_peer(component, source):
            self._refused += 1
            return None
        if self.srtp is None:
            self.excess += self.must_protect
            return None if self.must_protect else data
        plain = self.srtp.unprotect_rtp(data)
        if plain is not None and component.ice is None:
            self.lock.authenticated(source, ssrc)
        return plain

    def _believed_report(self, component: Component, data: bytes, source: Address) -> bytes | None:
        """The same for reports: they are signed when packets are (row 42)."""
        keys = self._srtcp or self.srtp
        plain: bytes | None = data
        if component.ice is not None and not component.ice.believes(source):
            self._refused += 1
            return None
        if self.must_protect:
            plain = keys.unprotect_rtcp(data) if keys else None
        elif component.ice is None and not self.lock.accepts_report(source):
            return None
        if plain is not None and not self.has_mux:
            self._learned_rtcp = source
        return plain

    def _may_be_peer(self, component: Component, source: Address) -> bool:
        ice = component.ice
        return self.lock.may_be_peer(source) if ice is None else ice.believes(source)


def _renewed(session: SrtpSession | None, keys: SrtpKeys) -> SrtpSession:
    """The same session with other keys, or a first one."""
    if session is None:
        return SrtpSession(keys.suite, local=keys.local, remote=keys.remote)
    session.rekey(keys.suite, local=keys.local, remote=keys.remote)
    return session
