# SPDX-License-Identifier: Apache-2.0
"""Where do the server's own calls get their sound from? Sockets of this process, opened when one comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ringback.media.errors import NoFreePort
from ringback.sdp.addresses import is_loopback

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.media.session import AudioSession
    from ringback.net.network import Network
    from ringback.server.identity import Identity
    from ringback.sip.flow import Address, Flow

#: What the server speaks itself, where the caller has no preference; what is not installed is left out.
CODECS = ("opus", "G722", "PCMU", "PCMA")


@dataclass(slots=True)
class OwnMedia:
    """Where the server's own calls get their sockets from."""

    network: Network
    identity: Identity
    ports: PortRange | None = None
    random_bytes: Callable[[int], bytes] = os.urandom
    #: The ports the server listens on for SIP.
    signalling_ports: Callable[[], Iterable[int]] = tuple
    _hosts: set[str] = field(default_factory=set)
    _open: list[AudioSession] = field(default_factory=list)

    async def open(self, flow: Flow) -> AudioSession:
        """Sound towards whoever is at the other end of `flow`. NoFreePort when there is no room."""
        try:
            host = await self.network.source_address(flow.remote.host)
        except OSError as error:
            raise NoFreePort(f"no way to {flow.remote.host}: {error}") from error
        # not before the first call: with all it stands on it is 8 MB, and who only signals never needs it
        from ringback.media.session import AudioSession  # noqa: PLC0415

        advertise = host if is_loopback(host) else self.identity.advertised_for(host)
        audio = await AudioSession.open(
            self.network,
            host=host,
            advertise=advertise,
            ports=self.ports,
            codecs=CODECS,
            random_bytes=self.random_bytes,
            is_self=self.is_self,
            accepts_any_security=True,
        )
        self._hosts.update((host, audio.local.host))
        self._open = [*(session for session in self._open if not session.is_closed), audio]
        return audio

    def is_self(self, address: Address) -> bool:
        """True for our SIP sockets and those of our calls: nobody's sound belongs there."""
        if address.host not in self._hosts:
            return False
        media = {port for session in self._open for port in session.ports}
        return address.port in media or address.port in self.signalling_ports()
