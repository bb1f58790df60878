# SPDX-License-Identifier: Apache-2.0
"""How do the pictures of many become one stream for whoever watches? Headers are rewritten, no more.

`ContinuousRow` makes packets of sources in turn look like those of one: one SSRC, sequence numbers without
holes of our making, timestamps and picture numbers that go on (RFC 3550 section 5.1, RFC 7741 section 4.2).
`View` decides when one source gives way to another: at the next whole picture, or when that takes too long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ringback.media.receiver import RateLimit
from ringback.media.video_stream import CLOCK_RATE, KEY_FRAME_INTERVAL, VideoStream
from ringback.rtp.packet import RtpPacket
from ringback.rtp.rtcp_feedback import Feedback
from ringback.rtp.serial import difference, extended
from ringback.rtp.video_key_frames import begins_key_frame
from ringback.rtp.vp8_descriptor import Vp8Descriptor
from ringback.sdp.attributes import AudioFormat
from ringback.sdp.video_stream import counterpart
from ringback.sip.errors import PeerError

#: A source that sends no whole picture is shown as it is after so many seconds.
LONGEST_WAIT = 2.0
#: Formats that are remembered; others can negotiate as often as they like.
MOST_FORMATS = 64
#: Packets a second that are sent again to one party.
MOST_REPEATS = 100.0
_HEADER = struct.Struct("!BBHII")
_VERSION, _PADDED, _MARKER = 0x80, 0x20, 0x80
#: What an unknown pause lasts at least: a picture at 60 a second.
_SHORTEST_STEP = CLOCK_RATE // 60


@dataclass(frozen=True, slots=True)
class SourcePacket:
    """A packet of a source, read once for all who watch: 4 instead of 11 us for each of them."""

    packet: RtpPacket
    format: AudioFormat
    descriptor: Vp8Descriptor | None
    begins_key_frame: bool
    #: The payload with its padding: what stands behind the header of 12 octets.
    content: bytes

    @classmethod
    def read(cls, data: bytes, known: AudioFormat) -> SourcePacket | None:
        """None for what is no RTP."""
        try:
            packet = RtpPacket.parse(data)
        except PeerError:
            return None
        is_vp8 = known.encoding.upper() == "VP8"
        return cls(
            packet,
            known,
            Vp8Descriptor.parse(packet.payload) if is_vp8 else None,
            begins_key_frame(known.encoding, packet.payload),
            packet.payload + data[len(data) - packet.padding :],
        )


class ContinuousRow:
    """Packets of one source after another, as one stream. `random_bytes` gives the first numbers."""

    __slots__ = (
        "_first",
        "_layer_index",
        "_layer_index_step",
        "_newest",
        "_picture",
        "_picture_step",
        "_sent_at",
        "_sequence",
        "_sequence_step",
        "_timestamp",
        "_timestamp_step",
        "source",
        "ssrc",
    )

    def __init__(self, ssrc: int, random_bytes: Callable[[int], bytes]) -> None:
        self.ssrc = ssrc
        #: The SSRC that is passed on now.
        self.source: int | None = None
        #: The newest we sent: unwrapped sequence number, timestamp, when, picture and layer index.
        self._sequence = int.from_bytes(random_bytes(2), "big")
        self._timestamp = int.from_bytes(random_bytes(4), "big")
        self._sent_at: float | None = None
        self._picture = int.from_bytes(random_bytes(2), "big") & 0x7FFF
        self._layer_index = 0
        #: First and newest packet of the source, unwrapped.
        self._first = self._newest = 0
        self._sequence_step = self._timestamp_step = self._picture_step = self._layer_index_step = 0

    def begin(self, first: SourcePacket, now: float) -> None:
        """From this packet on its source is what is passed on."""
        packet = first.packet
        self.source = packet.ssrc
        self._first = self._newest = packet.sequence
        self._sequence_step = self._sequence + 1 - packet.sequence
        pause = now - self._sent_at if self._sent_at is not None else 0.0
        step = max(_SHORTEST_STEP, round(pause * CLOCK_RATE))
        self._timestamp_step = self._timestamp + step - packet.timestamp
        descriptor = first.descriptor
        if descriptor is not None:
            self._picture_step = self._picture + 1 - (descriptor.picture or 0)
            self._layer_index_step = self._layer_index + 1 - (descriptor.layer_index or 0)

    def rewritten(self, one: SourcePacket, payload_type: int, now: float) -> bytes | None:
        """The packet as it goes out; None for one of before the beginning, or of another source."""
        packet = one.packet
        sequence = extended(packet.sequence, self._newest, bits=16)
        if packet.ssrc != self.source or sequence < self._first:
            return None
        timestamp = packet.timestamp + self._timestamp_step & 0xFFFFFFFF
        content = one.content
        if one.descriptor is not None:
            content = self._renumbered(one.descriptor, content, is_newest=sequence >= self._newest)
        if sequence >= self._newest:
            self._newest = sequence
            self._sequence = sequence + self._sequence_step
        if self._sent_at is None or difference(timestamp, self._timestamp, bits=32) > 0:
            self._timestamp, self._sent_at = timestamp, now
        return self._header(packet, payload_type, sequence, timestamp) + content

    def original(self, sequence: int) -> int | None:
        """Which packet of the source went out under this number; None for those of earlier sources."""
        number = extended(sequence, self._sequence, bits=16) - self._sequence_step
        return number & 0xFFFF if self.source is not None and self._first <= number <= self._newest else None

    def _header(self, packet: RtpPacket, payload_type: int, sequence: int, timestamp: int) -> bytes:
        return _HEADER.pack(
            _VERSION | (_PADDED if packet.padding else 0),
            payload_type | (_MARKER if packet.marker else 0),
            sequence + self._sequence_step & 0xFFFF,
            timestamp,
            self.ssrc,
        )

    def _renumbered(self, descriptor: Vp8Descriptor, content: bytes, *, is_newest: bool) -> bytes:
        if is_newest and descriptor.picture is not None:
            self._picture = descriptor.picture + self._picture_step & 0x7FFF
        if is_newest and descriptor.layer_index is not None:
            self._layer_index = descriptor.layer_index + self._layer_index_step & 0xFF
        return descriptor.renumbered(
            content, picture_step=self._picture_step, layer_index_step=self._layer_index_step
        )


class View:
    """What one party sees."""

    def __init__(self, stream: VideoStream) -> None:
        self.stream = stream
        #: Who is seen, and who will be as soon as a whole picture comes.
        self.shown: VideoStream | None = None
        self.wanted: VideoStream | None = None
        self.switches = 0
        self._row = ContinuousRow(stream.ssrc, stream.random_bytes)
        self._wanted_since = 0.0
        self._waiting_for: int | None = None
        #: In which format each one is shown here that was met; None: not at all.
        self._targets: dict[AudioFormat, AudioFormat | None] = {}
        self._repeats = RateLimit(MOST_REPEATS)
        self._asked_at = float("-inf")

    def want(self, source: VideoStream, now: float) -> None:
        """Show this one from its next whole picture on."""
        if source is (self.wanted or self.shown):
            return
        if source is self.shown:
            self.wanted = None
            return
        self._await(source, now)

    def forget(self, source: VideoStream) -> None:
        """This one is not there any more."""
        if self.shown is source:
            self.shown = None
        if self.wanted is source:
            self.wanted = None

    def renegotiated(self) -> None:
        """The one who watches takes other formats now."""
        self._targets.clear()

    def can_show(self, source: VideoStream) -> bool:
        """True when what comes of a source can be shown."""
        if source.negotiated is None or source.coming is None or source is self.stream:
            return False
        return self._target(source.coming) is not None

    def concerns(self, source: VideoStream) -> bool:
        """True when what comes of this one matters here."""
        return source is self.shown or source is self.wanted

    def take(self, source: VideoStream, packets: Sequence[SourcePacket], now: float) -> None:
        """What came of a source that is shown, or wanted."""
        sent: list[bytes] = []
        for packet in packets:
            target = self._target(packet.format)
            data = self._taken(source, packet, target.payload_type, now) if target is not None else None
            if data is not None:
                sent.append(data)
        self.stream.send(sent)

    def receive_feedback(self, feedback: Feedback, now: float) -> None:
        """What the one who watches asks for."""
        source = self.shown
        if source is None:
            return
        if feedback.wants_key_frame and now - self._asked_at >= KEY_FRAME_INTERVAL:
            self._asked_at = now
            source.ask_key_frame()
        originals = [each for each in map(self._row.original, feedback.lost) if each is not None]
        missing = [each for each in originals if each not in source.kept]
        for number in originals:
            if number in source.kept and self._repeats.allows(now):
                self.take(source, read(source, [source.kept[number]]), now)
        if missing:
            source.ask_again(missing)

    def remind(self) -> None:
        """Ask again for the whole picture that did not come."""
        if self.wanted is not None and self.wanted.is_live:
            self.wanted.ask_key_frame()

    def _await(self, source: VideoStream, now: float) -> None:
        self.wanted, self._wanted_since, self._waiting_for = source, now, None
        source.ask_key_frame()

    def _target(self, coming: AudioFormat) -> AudioFormat | None:
        if coming not in self._targets:
            if len(self._targets) >= MOST_FORMATS:
                self._targets.clear()
            self._targets[coming] = counterpart(coming, self.stream.formats)
        return self._targets[coming]

    def _taken(self, source: VideoStream, one: SourcePacket, number: int, now: float) -> bytes | None:
        if source is self.shown and one.packet.ssrc != self._row.source and self.wanted is None:
            self._await(source, now)  # it began anew
        if source is self.wanted and self._begins(one, now):
            self.shown, self.wanted = source, None
            self.switches += 1
            self._row.begin(one, now)
        return self._row.rewritten(one, number, now) if source is self.shown else None

    def _begins(self, one: SourcePacket, now: float) -> bool:
        """True for the first packet that may be shown of the one who is wanted."""
        is_frame_start = self._waiting_for not in (None, one.packet.timestamp)
        self._waiting_for = one.packet.timestamp
        if one.begins_key_frame:
            return True
        return is_frame_start and now - self._wanted_since >= LONGEST_WAIT


def read(source: VideoStream, packets: Sequence[bytes]) -> list[SourcePacket]:
    """The packets of a batch that are some, in formats that were agreed on."""
    known = ((data, source.format_of(data)) for data in packets)
    found = (SourcePacket.read(data, form) for data, form in known if form is not None)
    return [each for each in found if each is not None]
