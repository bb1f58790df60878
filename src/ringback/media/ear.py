# SPDX-License-Identifier: Apache-2.0
"""How is a stream heard that is only passed on? A receiver beside the path, for recordings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.media.input import Input
from ringback.media.pacing import Pacer
from ringback.media.pcm import FRAME_MS
from ringback.media.playout import Playout
from ringback.media.receiver import Receiver
from ringback.media.stream_port import Packets, StreamPort
from ringback.rtp.rtcp_session import RtcpSession
from ringback.sdp.offer_answer import NegotiatedAudio


class Ear:
    """Hears one stream from `start` to `stop`; the sound comes out of `input`."""

    def __init__(self, port: StreamPort, random_bytes: Callable[[int], bytes]) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self.input = Input()
        # Reports are for the two ends; nothing of this session is ever sent.
        self._receiver = Receiver(RtcpSession(0, "", random_bytes))
        self._playout = Playout(self._receiver)
        self._pacer = Pacer(FRAME_MS / 1_000, self._play)

    def start(self, negotiated: NegotiatedAudio) -> None:
        """Listen as negotiated."""
        self._receiver.configure(negotiated.receive)
        self._receiver.is_listening = True
        self._port.taps.append(self._take)
        self._pacer.start()

    def stop(self) -> None:
        """Listen no more."""
        if self._take in self._port.taps:
            self._port.taps.remove(self._take)
        self._pacer.stop()

    def _take(self, packets: Packets) -> None:
        now = self._loop.time()
        for data in packets:
            self._receiver.receive(data, now)

    def _play(self, missed: int) -> None:
        now = self._loop.time()
        for _ in range(missed + 1):
            frame = self._playout.frame(now)
            self.input.hear(frame, self._playout.rate)
