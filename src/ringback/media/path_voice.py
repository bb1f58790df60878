# SPDX-License-Identifier: Apache-2.0
"""How is something said to a leg whose sound is otherwise only passed on? With a sender of its own.

It is a source of its own (SSRC), as RTP has it: to the peer it is as if somebody else spoke for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.media.output import Output
from ringback.media.pacing import Pacer
from ringback.media.sender import Sender
from ringback.media.stream_port import StreamPort
from ringback.sdp.offer_answer import NegotiatedAudio


class PathVoice:
    """Speaks to one stream from `start` to `stop`."""

    def __init__(self, port: StreamPort, random_bytes: Callable[[int], bytes]) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self.output = Output()
        self.sender = Sender(self.output, random_bytes)
        self._pacer: Pacer | None = None

    def start(self, negotiated: NegotiatedAudio) -> None:
        """Speak as negotiated."""
        self.sender.configure(
            negotiated.send,
            packet_time_ms=negotiated.packet_time_ms,
            telephone_event=negotiated.telephone_event,
        )
        self.sender.resume()
        self._pacer = Pacer(self.sender.packet_time, self._send)
        self._pacer.start()

    def stop(self) -> None:
        """Be silent; what waits is forgotten."""
        if self._pacer is not None:
            self._pacer.stop()
        self.sender.stop()
        self.output.clear()

    def _send(self, missed: int) -> None:
        packet = self.sender.next_packet(missed, now=self._loop.time())
        if packet is not None:
            self._port.send_rtp([packet.to_bytes()])
