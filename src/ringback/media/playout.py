# SPDX-License-Identifier: Apache-2.0
"""What is heard in the next 20 ms? The jitter buffer, decoded, what is missing concealed: no gap, ever."""

from __future__ import annotations

from ringback.media.comfort_noise import ComfortNoise
from ringback.media.concealment import Concealment
from ringback.media.pcm import SAMPLE_BYTES, SAMPLE_RATE, frame_bytes
from ringback.media.receiver import Receiver
from ringback.media.resampling import resampled
from ringback.rtp.jitter_buffer import Piece, PieceKind
from ringback.rtp.packet import RtpPacket


class Playout:
    """Pulls pieces out of the receiver's jitter buffer and makes frames of 20 ms of them.

    `rate` is the sample rate of the codec that was heard last; it may change with any frame.
    """

    __slots__ = ("_concealment", "_receiver", "_waiting")

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._waiting = b""
        self._concealment = Concealment(SAMPLE_RATE)

    @property
    def rate(self) -> int:
        return self._concealment.rate

    def frame(self, now: float) -> bytes:
        """The next 20 ms, at `rate`."""
        while len(self._waiting) < frame_bytes(self.rate):
            piece = self._receiver.buffer.pull(now)
            if piece.packet is not None:
                self._play(piece.packet, piece)
            elif piece.kind is PieceKind.CONCEALED:
                self._waiting += self._concealment.conceal(self._samples(piece))
            else:
                self._waiting += bytes(self._samples(piece) * SAMPLE_BYTES)
        size = frame_bytes(self.rate)
        frame, self._waiting = self._waiting[:size], self._waiting[size:]
        return frame

    def _play(self, packet: RtpPacket, piece: Piece) -> None:
        """A packet that cannot be decoded (any more) is as good as lost."""
        codec = self._receiver.codec_of(packet)
        if isinstance(codec, ComfortNoise):
            codec.decode(packet.payload)
            self._concealment.noise_began(codec.level)
        pcm = codec.decode(packet.payload) if codec and not isinstance(codec, ComfortNoise) else b""
        if codec is None or not pcm:
            self._waiting += self._concealment.conceal(self._samples(piece))
            return
        if codec.sample_rate != self.rate:
            self._change_rate(codec.sample_rate)
        self._concealment.heard(pcm)
        self._waiting += pcm

    def _change_rate(self, rate: int) -> None:
        """Less than a frame waits: a rare moment, so the short way will do."""
        self._waiting = resampled(self._waiting, self.rate, rate)
        self._concealment = Concealment(rate)

    def _samples(self, piece: Piece) -> int:
        return max(1, piece.duration * self.rate // self._receiver.buffer.clock_rate)
