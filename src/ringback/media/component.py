# SPDX-License-Identifier: Apache-2.0
"""What came to this port: a check, a handshake, or media? RFC 7983 tells them apart by their first octet.

Checks and handshakes are dealt with here; media goes on to the transport that owns the port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ringback.media.certificate import Certificate
from ringback.media.dtls import DtlsAssociation, SrtpKeys
from ringback.media.ice import IceCredentials, IceLite
from ringback.media.shared_port import SharedSocket
from ringback.net.network import DatagramSocket
from ringback.sdp.dtls import DtlsDescription
from ringback.sip.flow import Address

Datagrams = Sequence[tuple[bytes, Address]]

#: The first octets of STUN, DTLS and RTP or RTCP (RFC 7983 section 7).
_STUN = range(4)
_DTLS = range(20, 64)
_MEDIA = range(128, 192)


class ComponentOwner(Protocol):
    """What a component asks of its transport."""

    def media_received(self, component: Component, datagrams: Datagrams) -> None: ...
    def may_shake_hands(self, component: Component, source: Address) -> bool: ...
    def destination_of(self, component: Component) -> Address | None: ...
    def keys_agreed(self, component: Component, keys: SrtpKeys, peer: Address) -> None: ...
    def path_changed(self) -> None: ...


class Component:
    """One port of a stream: 1 carries RTP, 2 RTCP (RFC 8445 section 4)."""

    __slots__ = ("_loop", "_owner", "dtls", "ice", "malformed", "number", "refused", "socket")

    def __init__(self, number: int, owner: ComponentOwner) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self.number = number
        self.socket: DatagramSocket | None = None
        self.ice: IceLite | None = None
        self.dtls: DtlsAssociation | None = None
        self.malformed = self.refused = 0

    def take(self, datagrams: Datagrams) -> None:
        """What came to the port."""
        media = []
        for datagram in datagrams:
            data, source = datagram
            first = data[0] if data else 255
            if first in _MEDIA:
                media.append(datagram)
            elif first in _STUN and self.ice is not None:
                self._check(self.ice, data, source)
            elif first in _DTLS and self.dtls is not None:
                self._shake_hands(self.dtls, data, source)
            else:
                self.malformed += 1
        if media:
            self._owner.media_received(self, media)

    def use_ice(self, credentials: IceCredentials | None) -> None:
        """Answer checks under this name; None for peers without ICE."""
        if credentials is None:
            self.ice = None
        elif self.ice is None:
            self.ice = IceLite(credentials, self._selected)
        else:
            self.ice.restart(credentials)
        if credentials is not None and isinstance(self.socket, SharedSocket):
            self.socket.listen_for(credentials.ufrag)

    def use_dtls(self, certificate: Certificate, expected: DtlsDescription, *, is_client: bool) -> None:
        """Agree on keys with the peer that is described; an association that is the same goes on."""
        if self.dtls is not None:
            if self.dtls.is_for(expected, is_client=is_client):
                return
            self.dtls.close()
        self.dtls = DtlsAssociation(
            certificate, is_client=is_client, expected=expected, send=self._send_flight, on_keys=self._keyed
        )

    def begin(self) -> None:
        """Open the handshake, if it is ours to open and it is known with whom."""
        peer = self._owner.destination_of(self)
        if self.dtls is not None and peer is not None:
            self.dtls.start(peer)

    def close(self) -> None:
        """Free the port."""
        if self.dtls is not None:
            self.dtls.close()
        if self.socket is not None:
            self.socket.close()

    @property
    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def _check(self, ice: IceLite, data: bytes, source: Address) -> None:
        answer = ice.receive(data, source, self.now)
        if answer is not None and self.socket is not None:
            self.socket.send(answer, source)
        if isinstance(self.socket, SharedSocket) and ice.believes(source):
            self.socket.claim(source)

    def _shake_hands(self, dtls: DtlsAssociation, data: bytes, source: Address) -> None:
        if self._owner.may_shake_hands(self, source):
            dtls.receive(data, source, is_proven=self.ice is not None)
        else:
            self.refused += 1

    def _selected(self) -> None:
        self.begin()
        self._owner.path_changed()

    def _keyed(self, keys: SrtpKeys, peer: Address) -> None:
        self._owner.keys_agreed(self, keys, peer)

    def _send_flight(self, flight: list[bytes], peer: Address) -> None:
        if self.socket is not None:
            self.socket.send_batch([(data, peer) for data in flight])
