# SPDX-License-Identifier: Apache-2.0
"""How do packets of one stream get to a peer and back? Sockets, whom to believe, keys, and where to send.

    transport = await RtpTransport.open(network, host="192.0.2.10", security=Security.DTLS, ice=True)
    transport.on_rtp = play
    answer = transport.describe_answer(offered)         # goes into the answer
    transport.connect(offered, is_offerer=False)
    transport.send_rtp([packet])                        # is lost until there are keys and a way

Packets go in and out plain: SRTP is done here. What cannot be authenticated is counted and ends nothing
(RELIABILITY rows 39 to 42). A transport serves one stream, or all that are bundled (RFC 8843).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from ringback.media.certificate import Certificate
from ringback.media.dtls import SrtpKeys
from ringback.media.packet_path import Datagrams, PacketPath, Packets, RelayedSocket
from ringback.media.ports import PortRange, bind_pair
from ringback.media.self_description import SelfDescription
from ringback.media.shared_port import SharedPort
from ringback.media.source_lock import SourceLock
from ringback.net.network import Network
from ringback.sdp.dtls import Setup
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.security import Security
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

#: Wishes that are not met by plain packets.
_DEMANDING = (Security.SDES, Security.DTLS)


class RtpTransport:
    """The sockets of one stream towards one peer. Make it with `open`; `close` it whatever happens."""

    def __init__(self, wishes: SelfDescription, shared: SharedPort | None) -> None:
        self._self = wishes
        self._shared = shared
        self._path = PacketPath(must_protect=wishes.security in _DEMANDING)
        #: What is in force, or was said last.
        self.own = LocalStream(Address("", 0))
        self.is_closed = False

    @classmethod
    async def open(
        cls,
        network: Network,
        *,
        host: str,
        ports: PortRange | None = None,
        advertise: str = "",
        security: Security = Security.PLAIN,
        ice: bool = False,
        rtcp_mux: bool = False,
        certificate: Certificate | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        shared: SharedPort | None = None,
    ) -> RtpTransport:
        """Bind two ports on `host`; `advertise` is the address that peers see, when it is another one.

        `shared` is taken instead by streams with ICE and rtcp-mux, which then have no port of their own.
        """
        transport = cls(SelfDescription(security, ice, rtcp_mux, random_bytes, certificate), shared)
        if shared is not None and ice and rtcp_mux:
            transport._join(shared)
        else:
            await transport._bind(network, host, ports, advertise or host)
        transport._listen()
        return transport

    # --- describing -------------------------------------------------------------------------------

    def adopt(self, remote: StreamDescription) -> None:
        """Do as the peer's first offer wants: security, ICE, rtcp-mux."""
        self._self.adopt(remote)
        self._path.must_protect = self._self.security in _DEMANDING
        if self._shared is not None and self._self.wants_ice and self._self.wants_mux:
            self._join(self._shared)
        self._listen()

    def describe_offer(self) -> LocalStream:
        """What to say of it in an offer."""
        self.own = self._self.offer()
        return self.own

    def describe_answer(
        self, remote: StreamDescription, *, signalling_host: str | None = None
    ) -> LocalStream:
        """What to say in the answer to `remote`. UnacceptableSession (488) leaves all as it was."""
        return self._self.answer(remote, signalling_host=signalling_host)

    def connect(
        self,
        remote: StreamDescription | None,
        *,
        is_offerer: bool,
        signalling_host: str | None = None,
    ) -> None:
        """Go on as negotiated with `remote`: the answer to our offer, or the offer that we answer.

        None stops the stream. UnacceptableSession leaves all as it was.
        """
        path = self._path
        if remote is None:
            path.lead_to(None, credentials=None, signalling_host=signalling_host)
            return
        own = (
            self._self.offer()
            if is_offerer
            else self.describe_answer(remote, signalling_host=signalling_host)
        )
        lines = self._self.agreed_keys(own, remote)
        has_ice = self._self.agreed(own, remote, is_offerer=is_offerer)
        path.has_mux = own.rtcp_mux and remote.rtcp_mux
        credentials = self._self.credentials if has_ice else None
        path.lead_to(remote, credentials=credentials, signalling_host=signalling_host)
        self.own = replace(
            own,
            rtcp=None if path.has_mux else own.rtcp,
            rtcp_mux=path.has_mux,
            crypto=(lines[0],) if lines else (),
            ice=own.ice if has_ice else None,
        )
        if self._self.security is Security.DTLS:
            self._shake_hands(own, remote, is_offerer=is_offerer)
        else:
            self._take_keys(SrtpKeys(lines[0].suite, lines[0].key, lines[1].key) if lines else None)
        path.path_changed()

    @property
    def address(self) -> Address:
        """Where peers send RTP."""
        return self._self.rtp

    @property
    def rtcp_address(self) -> Address:
        """Where peers send RTCP."""
        return self._self.rtcp or self._self.rtp

    @property
    def security(self) -> Security:
        """What is wished for, or was adopted."""
        return self._self.security

    # --- packets ----------------------------------------------------------------------------------

    def send_rtp(self, packets: Packets) -> None:
        """Send to the peer; lost while nobody knows where it is, or there are no keys."""
        self._path.send_rtp(packets)

    def send_rtcp(self, packets: Packets) -> None:
        """The same for reports."""
        self._path.send_rtcp(packets)

    def take_rtp(self, datagrams: Datagrams) -> None:
        """What came to the port for RTP. A relay that reads it hands in what it cannot place."""
        self._path.rtp.take(datagrams)

    def take_rtcp(self, datagrams: Datagrams) -> None:
        """What came to the port for RTCP."""
        self._path.rtcp.take(datagrams)

    def relayed(self) -> RelayedSocket | None:
        """For a relay that carries packets itself; None when they must come through here."""
        return self._path.relayed()

    def close(self) -> None:
        """Free the ports."""
        self.is_closed = True
        self._path.close()

    @property
    def on_rtp(self) -> Callable[[Packets], None]:
        """Called with the packets of each wake-up, whose source is believed."""
        return self._path.on_rtp

    @on_rtp.setter
    def on_rtp(self, call: Callable[[Packets], None]) -> None:
        self._path.on_rtp = call

    @property
    def on_rtcp(self) -> Callable[[Packets], None]:
        """The same for reports."""
        return self._path.on_rtcp

    @on_rtcp.setter
    def on_rtcp(self, call: Callable[[Packets], None]) -> None:
        self._path.on_rtcp = call

    @property
    def on_ready(self) -> Callable[[], None] | None:
        """Called when packets can be sent from now on."""
        return self._path.on_ready

    @on_ready.setter
    def on_ready(self, call: Callable[[], None] | None) -> None:
        self._path.on_ready = call

    @property
    def is_ready(self) -> bool:
        """True when packets can be sent."""
        return self._path.is_ready

    @property
    def lock(self) -> SourceLock:
        """Whose plain packets are believed."""
        return self._path.lock

    @property
    def destination(self) -> Address | None:
        """Where RTP goes."""
        return self._path.destination

    @property
    def rtcp_destination(self) -> Address | None:
        """Where reports go."""
        return self._path.rtcp_destination

    @property
    def suite(self) -> str | None:
        """The SRTP suite in force; None while packets are plain."""
        return self._path.srtp.suite if self._path.srtp else None

    @property
    def refused(self) -> int:
        """Packets of sources that are not believed."""
        return self._path.refused

    @property
    def malformed(self) -> int:
        """Datagrams that are nothing we know."""
        return self._path.malformed

    @property
    def excess(self) -> int:
        """Packets that came before there were keys for them."""
        return self._path.excess

    @property
    def srtp_failures(self) -> int:
        """Packets that did not authenticate."""
        return self._path.srtp_failures

    # --- inside -----------------------------------------------------------------------------------

    async def _bind(self, network: Network, host: str, ports: PortRange | None, advertise: str) -> None:
        pair = await bind_pair(
            network, host, ports=ports, rtp_received=self.take_rtp, rtcp_received=self.take_rtcp
        )
        self._path.rtp.socket, self._path.rtcp.socket = pair.rtp, pair.rtcp
        self._self.rtp = Address(advertise, pair.rtp.local.port)
        self._self.rtcp = Address(advertise, pair.rtcp.local.port)

    def _join(self, shared: SharedPort) -> None:
        path = self._path
        for component in (path.rtp, path.rtcp):
            if component.socket is not None:
                component.socket.close()
        path.rtp.socket, path.rtcp.socket = shared.join(self.take_rtp), None
        self._self.rtp, self._self.rtcp = Address(shared.advertise, shared.socket.local.port), None

    def _listen(self) -> None:
        self._path.listen(self._self.credentials if self._self.wants_ice else None)
        self.own = replace(self.own, address=self._self.rtp, rtcp=self._self.rtcp)

    def _shake_hands(self, own: LocalStream, remote: StreamDescription, *, is_offerer: bool) -> None:
        assert remote.dtls is not None  # agreed_keys has refused it otherwise
        is_client = remote.dtls.setup is Setup.PASSIVE if is_offerer else own.setup is Setup.ACTIVE
        self._self.dtls_role = Setup.ACTIVE if is_client else Setup.PASSIVE
        self._path.must_protect = True
        for component in self._path.components:
            component.use_dtls(self._self.own_certificate, remote.dtls, is_client=is_client)
            component.begin()

    def _take_keys(self, keys: SrtpKeys | None) -> None:
        old = self.suite
        self._path.take_keys(keys, must_protect=keys is not None)
        if old is not None and (keys is None or keys.suite != old):
            self._self.forget_key(old)
