# SPDX-License-Identifier: Apache-2.0
"""Who reports what, and when? One RTP stream each way with its RTCP: RFC 3550 section 6, without I/O.

The owner tells of every packet sent and received, hands in what came on the RTCP port, and sends what
`handle_timer` returns once `next_deadline` has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.rtp.packet import RtpPacket
from ringback.rtp.reception import ReceptionStatistics, ntp_timestamp, round_trip
from ringback.rtp.report_interval import report_interval
from ringback.rtp.rtcp import (
    Goodbye,
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

#: Octets a second of G.711 with its headers, and octets of UDP and IP headers.
_SESSION_BANDWIDTH = 10_000.0
_LOWER_HEADERS = 28


@dataclass(slots=True)
class RtcpSession:
    """`random_bytes` gives the chance that spreads the reports; `cname` names us (RFC 7022).

    `clock_rate` is that of what we send, `source_clock_rate` that of what comes.
    """

    ssrc: int
    cname: str
    random_bytes: Callable[[int], bytes] = field(repr=False)
    clock_rate: int = 8_000
    source_clock_rate: int = 8_000
    packets_sent: int = 0
    octets_sent: int = 0
    source: ReceptionStatistics | None = None
    #: Seconds to the peer and back; None until the peer has reported on a report of ours.
    round_trip: float | None = None
    #: What the peer said last of our stream.
    remote_block: ReportBlock | None = None
    _deadline: float | None = None
    _is_first: bool = True
    _average_size: float = 100.0
    _timestamp: tuple[int, float] = (0, 0.0)
    _sent_at_last_report: int = 0

    def start(self, *, now: float) -> None:
        """Begin to report (section 6.3.2)."""
        if self._deadline is None:
            self._schedule(now)

    def stop(self) -> None:
        """No more reports until `start`."""
        self._deadline = None

    def sent(self, packet: RtpPacket, *, now: float) -> None:
        """Count a packet of ours."""
        self.packets_sent += 1
        self.octets_sent += len(packet.payload)
        self._timestamp = (packet.timestamp, now)

    def received(self, packet: RtpPacket, *, now: float) -> bool:
        """Count a packet of the peer's. A new SSRC starts new statistics (section 8.2)."""
        if self.source is None or self.source.ssrc != packet.ssrc:
            self.source = ReceptionStatistics(packet.ssrc, self.source_clock_rate)
        return self.source.receive(packet.sequence, packet.timestamp, now=now)

    def follow_clock(self, clock_rate: int) -> None:
        """What comes is counted in another clock from now on."""
        self.source_clock_rate = clock_rate
        if self.source is not None:
            self.source.follow_clock(clock_rate)

    def receive_rtcp(self, data: bytes, *, now: float) -> list[RtcpPacket]:
        """Read a datagram of the RTCP port; PeerError when it is malformed. A BYE has no effect here."""
        packets = parse_compound(data)
        self._weigh(len(data))
        for packet in packets:
            if isinstance(packet, SenderReport | ReceiverReport):
                self._read_report(packet, now)
        return packets

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called."""
        return self._deadline

    def handle_timer(self, now: float) -> bytes | None:
        """The report that is due, or None when none is."""
        if self._deadline is None or now < self._deadline:
            return None
        self._is_first = False
        data = build_compound(self._report(now))
        self._weigh(len(data))
        self._schedule(now)
        self._sent_at_last_report = self.packets_sent
        return data

    def goodbye(self, *, now: float) -> bytes:
        """The last report: we leave (section 6.6)."""
        return build_compound([*self._report(now), Goodbye((self.ssrc,))])

    def _report(self, now: float) -> list[RtcpPacket]:
        blocks = (self.source.report_block(now=now),) if self.source and self.source.received else ()
        description = SourceDescription((SdesChunk(self.ssrc, ((SdesItem.CNAME, self.cname.encode()),)),))
        if self.packets_sent == self._sent_at_last_report:
            return [ReceiverReport(self.ssrc, blocks), description]
        timestamp, at = self._timestamp
        reported = SenderReport(
            ssrc=self.ssrc,
            ntp=ntp_timestamp(now),
            rtp_timestamp=(timestamp + int((now - at) * self.clock_rate)) & 0xFFFFFFFF,
            packets=self.packets_sent & 0xFFFFFFFF,
            octets=self.octets_sent & 0xFFFFFFFF,
            reports=blocks,
        )
        return [reported, description]

    def _read_report(self, packet: SenderReport | ReceiverReport, now: float) -> None:
        if isinstance(packet, SenderReport) and self.source and self.source.ssrc == packet.ssrc:
            self.source.receive_report(packet, now=now)
        for block in packet.reports:
            if block.ssrc == self.ssrc:
                self.remote_block = block
                measured = round_trip(block, now=now)
                self.round_trip = self.round_trip if measured is None else measured

    def _schedule(self, now: float) -> None:
        chance = int.from_bytes(self.random_bytes(2), "big") / 0xFFFF
        hears = self.source is not None and self.source.received > 0
        self._deadline = now + report_interval(
            members=2,
            senders=(self.packets_sent > 0) + hears,
            session_bandwidth=_SESSION_BANDWIDTH,
            we_sent=self.packets_sent > self._sent_at_last_report,
            average_size=self._average_size,
            is_first=self._is_first,
            chance=chance,
        )

    def _weigh(self, size: int) -> None:
        """The moving average of section 6.3.3."""
        self._average_size += (size + _LOWER_HEADERS - self._average_size) / 16.0
