# SPDX-License-Identifier: Apache-2.0
"""How does video travel on the transport of the sound? Told apart by payload type (RFC 8843 section 9.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ringback.media.transport import RtpTransport
from ringback.sdp.stream import StreamDescription
from ringback.sip.flow import Address

Packets = list[bytes]


def _ignore(packets: Packets) -> None:
    """Nobody listens."""


class BundledVideo:
    """The share of the video. It is used like a transport; the sound opens, connects and closes it.

    Reports go to both: each reads what is said of its own sources.
    """

    def __init__(self, transport: RtpTransport) -> None:
        self._transport = transport
        self._sound_rtp, self._sound_rtcp = transport.on_rtp, transport.on_rtcp
        self._sound_ready = transport.on_ready
        #: Which payload types are ours; none until the video is agreed on.
        self.numbers: Collection[int] = frozenset()
        self.on_rtp: Callable[[Packets], None] = _ignore
        self.on_rtcp: Callable[[Packets], None] = _ignore
        self.on_ready: Callable[[], None] | None = None
        transport.on_rtp, transport.on_rtcp, transport.on_ready = self._split, self._both, self._ready

    def connect(
        self, remote: StreamDescription | None, *, is_offerer: bool, signalling_host: str | None = None
    ) -> None:
        """The sound does it."""

    def close(self) -> None:
        """The sound does it."""
        self.on_rtp = self.on_rtcp = _ignore

    def send_rtp(self, packets: Packets) -> None:
        self._transport.send_rtp(packets)

    def send_rtcp(self, packets: Packets) -> None:
        self._transport.send_rtcp(packets)

    @property
    def is_ready(self) -> bool:
        return self._transport.is_ready

    @property
    def destination(self) -> Address | None:
        return self._transport.destination

    @property
    def suite(self) -> str | None:
        return self._transport.suite

    @property
    def refused(self) -> int:
        return self._transport.refused

    @property
    def malformed(self) -> int:
        return self._transport.malformed

    @property
    def srtp_failures(self) -> int:
        return self._transport.srtp_failures

    def _split(self, packets: Packets) -> None:
        """A batch, each kind in its order."""
        numbers = self.numbers
        video = [data for data in packets if data[1] & 0x7F in numbers]
        if video:
            self.on_rtp(video)
            packets = [data for data in packets if data[1] & 0x7F not in numbers]
        if packets:
            self._sound_rtp(packets)

    def _both(self, packets: Packets) -> None:
        self._sound_rtcp(packets)
        self.on_rtcp(packets)

    def _ready(self) -> None:
        for call in (self._sound_ready, self.on_ready):
            if call is not None:
                call()
