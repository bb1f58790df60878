# SPDX-License-Identifier: Apache-2.0
"""How does a party's video come in and go out? Packets, reports and requests, nothing decoded.

What comes is believed by the transport, counted and limited here, and handed on as it is. What goes out was
made one row by `video_forwarding.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ringback.media.packet_transport import PacketTransport
from ringback.media.receiver import RateLimit
from ringback.rtp.packet import HEADER_BYTES
from ringback.rtp.reception import ReceptionStatistics, ntp_timestamp
from ringback.rtp.rtcp import (
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SdesChunk,
    SdesItem,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)
from ringback.rtp.rtcp_feedback import Feedback, feedback_on, full_intra_request, lost_packets, picture_loss
from ringback.rtp.serial import difference
from ringback.sdp.attributes import AudioFormat
from ringback.sdp.video_stream import FULL_INTRA, NACK, PICTURE_LOSS, NegotiatedVideo
from ringback.sip.errors import PeerError

log = logging.getLogger("ringback.media")

CLOCK_RATE = 90_000
#: Packets a second that are taken of one party: 6 Mbit/s, five times what it was told to send.
MOST_PACKETS = 500.0
#: Packets that are kept to be sent again: two seconds of what a party was told to send.
MOST_KEPT = 256
#: A source is gone when nothing came of it for so long; another SSRC takes over after less.
SILENCE, HANDOVER = 3.0, 0.5
#: A whole picture is asked for at most so often, and a lost packet.
KEY_FRAME_INTERVAL, LOST_INTERVAL = 0.5, 0.1
#: RFC 3550 section 6.2 lets 1.2 Mbit/s report three times a second.
REPORT_INTERVAL = 1.0

Packets = list[bytes]


def _ignore_packets(stream: VideoStream, packets: Packets) -> None:
    """Nobody watches."""


def _ignore_feedback(stream: VideoStream, feedback: Feedback) -> None:
    """Nobody sends."""


class VideoStream:
    """One stream of video each way, from `start` to `close`. Silent until `attach` and `configure`."""

    def __init__(self, random_bytes: Callable[[int], bytes], name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: PacketTransport | None = None
        self.random_bytes = random_bytes
        self.ssrc = int.from_bytes(random_bytes(4), "big")
        self.name = name
        self.negotiated: NegotiatedVideo | None = None
        #: Where what comes goes, and what the peer asks of us. A room sets them.
        self.on_packets: Callable[[VideoStream, Packets], None] = _ignore_packets
        self.on_feedback: Callable[[VideoStream, Feedback], None] = _ignore_feedback
        self.on_change: Callable[[VideoStream], None] | None = None
        self.reception: ReceptionStatistics | None = None
        #: The format of what came last.
        self.coming: AudioFormat | None = None
        #: The last packets that came, by their sequence number, oldest first.
        self.kept: dict[int, bytes] = {}
        #: What the peer says of what we send.
        self.remote_block: ReportBlock | None = None
        self.packets_sent = self.octets_sent = 0
        self.excess = self.malformed = self.key_frames_asked = 0
        self._rate = RateLimit(MOST_PACKETS)
        self._came_at = self._asked_at = float("-inf")
        self._lost_asked: dict[int, float] = {}
        self._last_sent: tuple[int, float] | None = None
        self._wants_key_frame = False
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False

    def attach(self, transport: PacketTransport) -> None:
        """Send and receive here."""
        self._transport = transport
        transport.on_rtp, transport.on_rtcp = self._rtp_received, self._rtcp_received

    def configure(self, negotiated: NegotiatedVideo | None) -> None:
        """Go on as agreed; None: there is no video any more."""
        self.negotiated = negotiated
        if self.on_change is not None:
            self.on_change(self)

    def start(self) -> None:
        """Begin to report. Twice is as good as once."""
        if self._timer is None and not self.is_closed:
            self._timer = self._loop.call_later(REPORT_INTERVAL, self._report)

    def close(self) -> None:
        """Nothing comes and goes any more; whoever owns the transport closes it."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.kept.clear()

    # --- for the room -----------------------------------------------------------------------------

    @property
    def formats(self) -> tuple[AudioFormat, ...]:
        """What the peer can show; nothing while it wants no video."""
        negotiated = self.negotiated
        return negotiated.send if negotiated is not None and negotiated.direction.sends else ()

    @property
    def is_live(self) -> bool:
        """True while packets come."""
        return self._loop.time() - self._came_at < SILENCE

    def format_of(self, data: bytes) -> AudioFormat | None:
        """In which format a packet of the peer is."""
        return self.negotiated.receive.get(data[1] & 0x7F) if self.negotiated is not None else None

    def send(self, packets: Packets) -> None:
        """Show these to the peer."""
        if not packets or self._transport is None or not self._transport.is_ready or self.is_closed:
            return
        self.packets_sent += len(packets)
        self.octets_sent += sum(map(len, packets)) - HEADER_BYTES * len(packets)
        timestamp = int.from_bytes(packets[-1][4:8], "big")
        if self._last_sent is None or difference(timestamp, self._last_sent[0], bits=32) > 0:
            self._last_sent = (timestamp, self._loop.time())
        self._transport.send_rtp(packets)

    def ask_key_frame(self) -> None:
        """Ask the peer for a whole picture: now, or as soon as that may be asked again."""
        self._wants_key_frame = True
        self.repeat_request()

    def repeat_request(self) -> None:
        """Ask for what was not asked for yet."""
        now = self._loop.time()
        if self._wants_key_frame and self.reception and now - self._asked_at >= KEY_FRAME_INTERVAL:
            self._wants_key_frame = False
            self._asked_at = now
            self.key_frames_asked += 1
            self._send_reports([self._key_frame_request(self.reception.ssrc)])

    def ask_again(self, sequences: Sequence[int]) -> None:
        """Ask the peer for packets that were lost, each once in a while."""
        negotiated, now = self.negotiated, self._loop.time()
        if self.reception is None or negotiated is None or NACK not in negotiated.feedback:
            return
        asked = {each: at for each, at in self._lost_asked.items() if now - at < LOST_INTERVAL}
        new = [each for each in sequences if each not in asked][: MOST_KEPT - len(asked)]
        self._lost_asked = asked | dict.fromkeys(new, now)
        if new:
            self._send_reports([lost_packets(self.ssrc, self.reception.ssrc, new)])

    # --- what comes -------------------------------------------------------------------------------

    def _rtp_received(self, packets: Packets) -> None:
        negotiated, now = self.negotiated, self._loop.time()
        if negotiated is None or not negotiated.direction.receives or self.is_closed:
            return
        taken = [data for data in packets if self._takes(data, now)]
        if taken:
            self.on_packets(self, taken)

    def _takes(self, data: bytes, now: float) -> bool:
        coming = self.format_of(data) if len(data) >= HEADER_BYTES else None
        if coming is None:
            self.malformed += 1
            return False
        if not self._rate.allows(now):
            self.excess += 1
            return False
        ssrc, sequence = int.from_bytes(data[8:12], "big"), int.from_bytes(data[2:4], "big")
        reception = self.reception
        if reception is None or reception.ssrc != ssrc:
            if reception is not None and now - self._came_at < HANDOVER:
                self.excess += 1
                return False
            reception = self.reception = ReceptionStatistics(ssrc, CLOCK_RATE)
            self.kept.clear()
        reception.receive(sequence, int.from_bytes(data[4:8], "big"), now=now)
        self._came_at, self.coming = now, coming
        self._keep(sequence, data)
        return True

    def _keep(self, sequence: int, data: bytes) -> None:
        self.kept.pop(sequence, None)
        if len(self.kept) >= MOST_KEPT:
            del self.kept[next(iter(self.kept))]
        self.kept[sequence] = data

    def _rtcp_received(self, packets: Packets) -> None:
        for data in packets:
            try:
                self._heard(parse_compound(data, may_be_reduced=True))
            except PeerError as error:
                self.malformed += 1
                log.debug("malformed RTCP of a video stream: %s", error.detail)

    def _heard(self, packets: list[RtcpPacket]) -> None:
        reception = self.reception
        for packet in packets:
            if isinstance(packet, SenderReport) and reception and reception.ssrc == packet.ssrc:
                reception.receive_report(packet, now=self._loop.time())
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.reports:
                    self.remote_block = block if block.ssrc == self.ssrc else self.remote_block
        feedback = feedback_on(self.ssrc, packets)
        if feedback.wants_key_frame or feedback.lost:
            self.on_feedback(self, feedback)

    # --- what we report ---------------------------------------------------------------------------

    def _report(self) -> None:
        self._timer = self._loop.call_later(REPORT_INTERVAL, self._report)
        if self.negotiated is not None and (self.reception or self._last_sent):
            self._send_reports([])

    def _send_reports(self, more: list[RtcpPacket]) -> None:
        if self._transport is None or not self._transport.is_ready or self.is_closed:
            return
        name = SourceDescription((SdesChunk(self.ssrc, ((SdesItem.CNAME, self.name.encode()),)),))
        self._transport.send_rtcp([build_compound([self._own_report(), name, *more])])

    def _own_report(self) -> SenderReport | ReceiverReport:
        now, reception = self._loop.time(), self.reception
        blocks = (reception.report_block(now=now),) if reception and reception.received else ()
        if self._last_sent is None:
            return ReceiverReport(self.ssrc, blocks)
        timestamp, at = self._last_sent
        return SenderReport(
            ssrc=self.ssrc,
            ntp=ntp_timestamp(now),
            rtp_timestamp=(timestamp + int((now - at) * CLOCK_RATE)) & 0xFFFFFFFF,
            packets=self.packets_sent & 0xFFFFFFFF,
            octets=self.octets_sent & 0xFFFFFFFF,
            reports=blocks,
        )

    def _key_frame_request(self, source: int) -> RtcpPacket:
        """PLI; FIR to those who know only that. Who knows neither ignores it (RFC 4585 section 6.1)."""
        known = self.negotiated.feedback if self.negotiated is not None else frozenset()
        if FULL_INTRA in known and PICTURE_LOSS not in known:
            return full_intra_request(self.ssrc, source, self.key_frames_asked)
        return picture_loss(self.ssrc, source)
