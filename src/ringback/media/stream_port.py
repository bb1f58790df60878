# SPDX-License-Identifier: Apache-2.0
"""What comes and goes on one m= line of a leg? Counted packets, taken apart where several share a transport.

A `Carrier` has sockets; a `StreamPort` is one stream on it. Where the carrier is a bundle, packets are told
apart by payload type, as RFC 8843 section 9.2 allows when the numbers are all different, and reports by the
sources they speak of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ringback.media.facilities import Carrier
from ringback.media.receiver import NOMINAL_RATE, RATE_ALLOWANCE, RateLimit
from ringback.media.round_trips import RoundTrips
from ringback.rtp.packet import HEADER_BYTES, RtpPacket
from ringback.rtp.reception import ReceptionStatistics
from ringback.rtp.telephone_event import TelephoneEventReceiver
from ringback.sdp.stream import StreamDescription
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address

Packets = list[bytes]
#: Sources of one stream that are remembered; a stranger's packets do not come so far.
MOST_SOURCES = 32
#: Clock rate where no rtpmap says another one.
_CLOCK_RATE = 8_000


def _ignore(packets: Packets) -> None:
    """Nobody listens."""


def _ignore_key(key: str) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Passed:
    """What went one way."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    jitter_ms: float = 0.0

    def add(self, other: Passed) -> None:
        """Both together."""
        self.packets += other.packets
        self.bytes += other.bytes
        self.lost += other.lost


def _nothing() -> tuple[Passed, Passed]:
    return _NOTHING, _NOTHING


_NOTHING = Passed()


class StreamPort:
    """One stream of a leg. It is used like a transport by all that speak or listen there."""

    def __init__(self, kind: str, carrier: Carrier) -> None:
        self.kind = kind
        self.carrier = carrier
        self.on_rtp: Callable[[Packets], None] = _ignore
        self.on_rtcp: Callable[[Packets], None] = _ignore
        #: Called when packets can be sent from now on.
        self.on_ready: Callable[[], None] | None = None
        #: Who hears along, a recording.
        self.taps: list[Callable[[Packets], None]] = []
        self.clock_rates: Mapping[int, int] = {}
        #: Payload numbers of telephone events, with their clock rates, and who is told of keys.
        self.event_rates: Mapping[int, int] = {}
        self.on_key: Callable[[str], None] = _ignore_key
        self._events = TelephoneEventReceiver()
        #: What came and went here; a relay that carries the stream counts for itself.
        self._came, self._went = Passed(), Passed()
        self.relayed: Callable[[], tuple[Passed, Passed]] = _nothing
        #: Packets beyond three times what a stream of sound has (RELIABILITY row 43).
        self.excess = 0
        self._rate = RateLimit(NOMINAL_RATE * RATE_ALLOWANCE)
        self.reception: ReceptionStatistics | None = None
        self.round_trips = RoundTrips()
        self.sources_heard: dict[int, None] = {}
        self.sources_sent: dict[int, None] = {}
        self._now = asyncio.get_running_loop().time

    # --- what a transport has

    def send_rtp(self, packets: Packets) -> None:
        self._went.packets += len(packets)
        self._went.bytes += sum(map(len, packets))
        if packets and len(packets[0]) >= HEADER_BYTES:
            _remember(self.sources_sent, int.from_bytes(packets[0][8:12], "big"))
        self.carrier.send_rtp(packets)

    def send_rtcp(self, packets: Packets) -> None:
        for each in packets:
            self.round_trips.sent(each, now=self._now())
        self.carrier.send_rtcp(packets)

    def connect(
        self, remote: StreamDescription | None, *, is_offerer: bool, signalling_host: str | None = None
    ) -> None:
        """The leg does it."""

    def close(self) -> None:
        """The leg does it."""

    @property
    def is_ready(self) -> bool:
        return self.carrier.is_ready

    @property
    def destination(self) -> Address | None:
        return self.carrier.destination

    @property
    def suite(self) -> str | None:
        return self.carrier.suite

    @property
    def refused(self) -> int:
        return self.carrier.refused

    @property
    def malformed(self) -> int:
        return self.carrier.malformed

    @property
    def srtp_failures(self) -> int:
        return self.carrier.srtp_failures

    # --- in numbers

    @property
    def is_relayed(self) -> bool:
        """True while a relay takes what comes."""
        return self.relayed is not _nothing

    def absorb(self, came: Passed, went: Passed) -> None:
        """A relay has ended: its numbers are ours now."""
        self._came.add(came)
        self._went.add(went)
        self.relayed = _nothing

    @property
    def packets_received(self) -> int:
        return self._came.packets + self.relayed()[0].packets

    @property
    def bytes_received(self) -> int:
        return self._came.bytes + self.relayed()[0].bytes

    @property
    def packets_sent(self) -> int:
        return self._went.packets + self.relayed()[1].packets

    @property
    def bytes_sent(self) -> int:
        return self._went.bytes + self.relayed()[1].bytes

    @property
    def lost(self) -> int:
        """Packets that never came."""
        here = max(0, self.reception.lost) if self.reception else 0
        return self._came.lost + here + self.relayed()[0].lost

    @property
    def jitter_ms(self) -> float:
        here = self.reception.jitter * 1_000 / self.reception.clock_rate if self.reception else 0.0
        return self.relayed()[0].jitter_ms or here

    # --- what came

    def take_rtp(self, packets: Packets) -> None:
        """Packets of this stream."""
        now = self._now()
        if self.kind == "audio":
            allowed = [data for data in packets if self._rate.allows(now)]
            self.excess += len(packets) - len(allowed)
            packets = allowed
        for data in packets:
            self._came.bytes += len(data)
            if self.kind != "image":
                self._measure(data, now)
        self._came.packets += len(packets)
        for tap in self.taps:
            tap(packets)
        self.on_rtp(packets)

    def take_rtcp(self, packets: Packets) -> None:
        """Reports of this stream."""
        for each in packets:
            self.round_trips.received(each, now=self._now())
        self.on_rtcp(packets)

    def _measure(self, data: bytes, now: float) -> None:
        ssrc = int.from_bytes(data[8:12], "big")
        reception = self.reception
        if reception is None or reception.ssrc != ssrc:
            self._came.lost += max(0, reception.lost) if reception else 0
            clock_rate = self.clock_rates.get(data[1] & 0x7F, _CLOCK_RATE)
            reception = self.reception = ReceptionStatistics(ssrc, clock_rate)
            _remember(self.sources_heard, ssrc)
        timestamp = int.from_bytes(data[4:8], "big")
        reception.receive(int.from_bytes(data[2:4], "big"), timestamp, now=now)
        if (rate := self.event_rates.get(data[1] & 0x7F)) is not None:
            self._hear_key(data, rate)

    def _hear_key(self, data: bytes, clock_rate: int) -> None:
        try:
            packet = RtpPacket.parse(data)
            key = self._events.receive(
                packet.payload, timestamp=packet.timestamp, ssrc=packet.ssrc, clock_rate=clock_rate
            )
        except PeerError:
            return
        if key is not None:
            self.on_key(key)


class Demultiplexer:
    """Gives what comes on one carrier to the streams on it."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self._ports: Sequence[StreamPort] = ()
        self._by_number: dict[int, StreamPort] = {}

    def serve(self, ports: Sequence[StreamPort]) -> None:
        """These streams, from now on."""
        self._ports = ports
        self._by_number = {number: port for port in reversed(ports) for number in port.clock_rates}
        if not any(port.is_relayed for port in ports):
            self.carrier.on_rtp = ports[0].take_rtp if len(ports) == 1 else self._split
        self.carrier.on_rtcp = ports[0].take_rtcp if len(ports) == 1 else self._split_reports
        self.carrier.on_ready = self._ready

    def _ready(self) -> None:
        for port in self._ports:
            if port.on_ready is not None:
                port.on_ready()

    def _split(self, packets: Packets) -> None:
        """One batch is mostly of one stream; order within a stream is kept."""
        shares: dict[int, Packets] = {}
        ports: dict[int, StreamPort] = {}
        for data in packets:
            port = self._by_number.get(data[1] & 0x7F)
            if port is not None:
                shares.setdefault(id(port), []).append(data)
                ports[id(port)] = port
        for key, share in shares.items():
            ports[key].take_rtp(share)

    def _split_reports(self, packets: Packets) -> None:
        for data in packets:
            sources = set(_sources_of(data))
            concerned = [
                port
                for port in self._ports
                if sources & (port.sources_heard.keys() | port.sources_sent.keys())
            ]
            for port in concerned or self._ports[:1]:
                port.take_rtcp([data])


def _remember(sources: dict[int, None], ssrc: int) -> None:
    if ssrc not in sources:
        if len(sources) >= MOST_SOURCES:
            del sources[next(iter(sources))]
        sources[ssrc] = None


def _sources_of(data: bytes) -> Iterator[int]:
    """Who sent each packet of a compound, and the first source it speaks of (RFC 3550 6.4, RFC 4585 6.1)."""
    at = 0
    while at + 8 <= len(data):
        kind, length = data[at + 1], 4 * (int.from_bytes(data[at + 2 : at + 4], "big") + 1)
        yield int.from_bytes(data[at + 4 : at + 8], "big")
        spoken_of = at + (28 if kind == 200 else 8)
        if kind in (200, 201, 205, 206) and spoken_of + 4 <= min(at + length, len(data)):
            yield int.from_bytes(data[spoken_of : spoken_of + 4], "big")
        at += length
