# SPDX-License-Identifier: Apache-2.0
"""How do two ends without a codec in common hear each other? Each is heard, and said again to the other.

Keys that come as telephone events leave as such in the other clock rate, or as tones where the other end
knows no events; tones of such an end become events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback.media.dtmf_detector import DtmfDetector
from ringback.media.pcm import SAMPLE_RATE
from ringback.media.stream import AudioStream
from ringback.media.stream_port import StreamPort
from ringback.media.tones import key_tone
from ringback.sdp.offer_answer import NegotiatedAudio


class TranscodingJoint:
    """Two streams joined through PCM. `update` says how; `start` makes the sound flow."""

    def __init__(self, a: StreamPort, b: StreamPort, random_bytes: Callable[[int], bytes]) -> None:
        self.streams = {port: AudioStream(port, random_bytes, owns_transport=False) for port in (a, b)}
        self._taps: list[tuple[AudioStream, Callable[[bytes], None]]] = []

    def update(self, negotiated: Mapping[StreamPort, NegotiatedAudio]) -> None:
        """What was agreed on with each."""
        for port, stream in self.streams.items():
            stream.configure(negotiated[port])
        for stream, tap in self._taps:
            stream.input.remove(tap)
        self._taps.clear()
        a, b = self.streams.values()
        for one, other in ((a, b), (b, a)):
            self._lead(one, other)

    def start(self) -> None:
        """Hear and speak."""
        for stream in self.streams.values():
            stream.start()

    def stop(self) -> None:
        """And no more."""
        for stream in self.streams.values():
            stream.close()

    def _lead(self, one: AudioStream, other: AudioStream) -> None:
        """What `one` hears is said to `other`: resampled once, to what the other's codec takes."""
        rate = other.output.rate
        self._tap(one, lambda pcm: other.output.forward(pcm, rate), rate)
        one.receiver.on_key = lambda key: press(other, key)
        if one.sender.telephone_event is None and other.sender.telephone_event is not None:
            detector = DtmfDetector(SAMPLE_RATE)
            self._tap(one, lambda pcm: _press_all(other, detector.feed(pcm)), SAMPLE_RATE)

    def _tap(self, stream: AudioStream, hear: Callable[[bytes], None], rate: int) -> None:
        stream.input.add(hear, rate)
        self._taps.append((stream, hear))


def press(stream: AudioStream, key: str) -> None:
    """Let the other end have a key."""
    if stream.sender.telephone_event is not None:
        stream.sender.press(key)
    else:
        stream.output.play(iter(key_tone(key)))


def _press_all(stream: AudioStream, keys: str) -> None:
    for key in keys:
        press(stream, key)
