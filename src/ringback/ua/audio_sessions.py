# SPDX-License-Identifier: Apache-2.0
"""Where does the sound of a phone's calls come in and go out? Sockets opened for each call, and closed
after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ringback.media.session import AudioSession
from ringback.sdp.security import Security

if TYPE_CHECKING:
    from ringback.media.ports import PortRange
    from ringback.net.network import Network

#: Bound to all addresses: no address to tell a peer.
ANY_HOSTS = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
#: Any address outside, when nobody knows yet where the call goes to.
OUTSIDE = "192.0.2.1"


class AudioSessions:
    """Opens audio sessions with the settings of one phone, and sees their closing through."""

    def __init__(
        self,
        network: Network,
        *,
        host: str | None,
        advertise: str | None,
        codecs: Sequence[str],
        ports: PortRange | None,
        random_bytes: Callable[[int], bytes],
        security: Security = Security.PLAIN,
    ) -> None:
        self._network = network
        self._host = None if host in ANY_HOSTS else host
        self._advertise = advertise
        self._codecs = codecs
        self._ports = ports
        self._random_bytes = random_bytes
        self._security = security
        self._open: dict[AudioSession, None] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def open(self, remote_host: str | None) -> AudioSession:
        """Sockets for sound towards `remote_host`."""
        host = self._host or await self._network.source_address(remote_host or OUTSIDE)
        audio = await AudioSession.open(
            self._network,
            host=host,
            advertise=self._advertise,
            ports=self._ports,
            codecs=self._codecs,
            random_bytes=self._random_bytes,
            security=self._security,
            ice=self._security is Security.DTLS,
            rtcp_mux=self._security is Security.DTLS,
            # Whoever demands encryption gets it, too; what we demand ourselves is not given up.
            accepts_any_security=self._security in (Security.PLAIN, Security.OPPORTUNISTIC),
        )
        self._open[audio] = None
        return audio

    def close_later(self, audio: AudioSession) -> None:
        """Close without anybody waiting."""
        self._open.pop(audio, None)
        task = asyncio.create_task(audio.close(), name="ringback audio closing")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close what a call that never ended left open, and wait for what is being closed."""
        for audio in list(self._open):
            self.close_later(audio)
        await asyncio.gather(*self._closing, return_exceptions=True)
