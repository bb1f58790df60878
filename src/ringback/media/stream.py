# SPDX-License-Identifier: Apache-2.0
"""How does a negotiated stream run? Two sockets, two clocks, a sender, a receiver and their reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from ringback.media.codecs import codec_for
from ringback.media.input import Input
from ringback.media.output import Output
from ringback.media.pacing import Pacer
from ringback.media.pcm import FRAME_MS, SAMPLE_RATE
from ringback.media.playout import Playout
from ringback.media.ports import PortRange, SocketPair, bind_pair
from ringback.media.receiver import Receiver
from ringback.media.sender import Sender
from ringback.media.statistics import StreamStatistics, mean_opinion_score
from ringback.net.network import Network
from ringback.rtp.rtcp_session import RtcpSession
from ringback.sdp.offer_answer import NegotiatedAudio
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address

log = logging.getLogger("ringback.media")

Datagrams = Sequence[tuple[bytes, Address]]


class AudioStream:
    """RTP and RTCP of one call, from `start` to `close`.

    What is said comes from `output`, what is heard goes to `input`; `configure` may be called often.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self.output = Output()
        self.input = Input()
        self.sender = Sender(self.output, random_bytes)
        self.rtcp = RtcpSession(self.sender.ssrc, random_bytes(12).hex(), random_bytes)
        self.receiver = Receiver(self.rtcp)
        self._playout = Playout(self.receiver.buffer, self.receiver.decode)
        self._sockets: SocketPair | None = None
        self._negotiated: NegotiatedAudio | None = None
        self._described_rtcp: Address | None = None
        self._learned_rtcp: Address | None = None
        self._send_pacer: Pacer | None = None
        self._play_pacer = Pacer(FRAME_MS / 1_000, self._play)
        self._report_timer: asyncio.TimerHandle | None = None
        self._is_started = False
        self.is_closed = False

    async def bind(self, network: Network, host: str, ports: PortRange | None) -> SocketPair:
        """Open the two sockets."""
        self._sockets = await bind_pair(
            network, host, ports=ports, rtp_received=self._rtp_received, rtcp_received=self._rtcp_received
        )
        return self._sockets

    def configure(self, negotiated: NegotiatedAudio | None, *, signalling_host: str | None) -> None:
        """Go on as negotiated; None stops the stream."""
        self._negotiated = negotiated
        remote = negotiated.remote if negotiated else None
        self.receiver.lock.renegotiated(remote, signalling_host=signalling_host)
        self.receiver.is_listening = negotiated is not None and negotiated.direction.receives
        self._described_rtcp = negotiated.remote_rtcp if negotiated else None
        self._learned_rtcp = None
        if negotiated is not None:
            self.receiver.configure(negotiated.receive)
            self.sender.codec = codec_for(negotiated.send)
            self.sender.payload_type = negotiated.send.payload_type
            self.sender.telephone_event = negotiated.telephone_event
            self.sender.packet_samples = negotiated.packet_time_ms * SAMPLE_RATE // 1_000
        if self._is_started:
            self._adjust()

    def start(self) -> None:
        """Begin to send and to play what comes. Twice is as good as once."""
        if not self._is_started and not self.is_closed:
            self._is_started = True
            self._play_pacer.start()
            self.rtcp.start(now=self._loop.time())
            self._schedule_report()
            self._adjust()

    def close(self) -> None:
        """Say goodbye and free the ports."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._sockets is not None:
            destination = self._rtcp_destination()
            if self._is_started and destination is not None:
                self._sockets.rtcp.send(self.rtcp.goodbye(now=self._loop.time()), destination)
            self._sockets.close()
        self._play_pacer.stop()
        if self._send_pacer is not None:
            self._send_pacer.stop()
        if self._report_timer is not None:
            self._report_timer.cancel()
        self.sender.stop()
        self.output.clear()
        self.input.close()

    @property
    def statistics(self) -> StreamStatistics:
        source, counters, block = self.rtcp.source, self.receiver.buffer.counters, self.rtcp.remote_block
        received = source.received if source else 0
        lost = max(0, source.lost) if source else 0
        round_trip_ms = self.rtcp.round_trip * 1_000 if self.rtcp.round_trip is not None else None
        delay_ms = (round_trip_ms or 0.0) / 2 + self.receiver.buffer.target_ms + FRAME_MS
        unheard = (lost + counters.late) / max(1, received + lost)
        return StreamStatistics(
            packets_sent=self.rtcp.packets_sent,
            packets_received=received,
            lost=lost,
            jitter_ms=source.jitter * 1_000 / SAMPLE_RATE if source else 0.0,
            round_trip_ms=round_trip_ms,
            mos=mean_opinion_score(loss=unheard, delay_ms=delay_ms) if received else None,
            codec=self._negotiated.send.encoding if self._negotiated else None,
            remote=self.receiver.lock.destination,
            late=counters.late,
            duplicates=counters.duplicate,
            refused=self.receiver.lock.refused,
            malformed=self.receiver.malformed,
            buffer_ms=self.receiver.buffer.target_ms,
            remote_lost=block.lost if block else None,
            remote_jitter_ms=block.jitter * 1_000 / SAMPLE_RATE if block else None,
        )

    # --- the two clocks ---------------------------------------------------------------------------

    def _adjust(self) -> None:
        """Run the sending clock exactly while there is somebody to send to."""
        interval = self.sender.packet_samples / SAMPLE_RATE
        negotiated = self._negotiated
        sends = negotiated is not None and negotiated.remote is not None and negotiated.direction.sends
        pacer = self._send_pacer
        if pacer is not None and (not sends or pacer.interval != interval):
            pacer.stop()
            self._send_pacer = pacer = None
        if sends and pacer is None:
            self.sender.resume(self._loop.time())
            self._send_pacer = Pacer(interval, self._send)
            self._send_pacer.start()

    def _send(self, missed: int) -> None:
        destination = self.receiver.lock.destination
        if self._sockets is None or destination is None:
            return
        now = self._loop.time()
        packet = self.sender.next_packet(missed, now=now)
        self.rtcp.sent(packet, now=now)
        self._sockets.rtp.send(packet.to_bytes(), destination)

    def _play(self, missed: int) -> None:
        """Hear the next 20 ms, and those that were missed: the timeline of a recording has no holes."""
        now = self._loop.time()
        for _ in range(missed + 1):
            self.input.hear(self._playout.frame(now))

    # --- datagrams --------------------------------------------------------------------------------

    def _rtp_received(self, datagrams: Datagrams) -> None:
        now = self._loop.time()
        for data, source in datagrams:
            self.receiver.receive(data, source, now)

    def _rtcp_received(self, datagrams: Datagrams) -> None:
        now = self._loop.time()
        for data, source in datagrams:
            if not self.receiver.lock.accepts_report(source):
                continue
            try:
                self.rtcp.receive_rtcp(data, now=now)
                self._learned_rtcp = source
            except PeerError as error:
                self.receiver.malformed += 1
                log.debug("malformed RTCP from %s: %s", source, error.detail)

    def _rtcp_destination(self) -> Address | None:
        """Where reports go: as described, or, for a peer behind a NAT, back to where its own come from."""
        destination = self.receiver.lock.destination
        if destination is None or self._described_rtcp is None:
            return None
        if destination == self.receiver.lock.described:
            return self._described_rtcp
        return self._learned_rtcp or Address(destination.host, min(destination.port + 1, 65_535))

    def _schedule_report(self) -> None:
        deadline = self.rtcp.next_deadline()
        if deadline is not None and not self.is_closed:
            self._report_timer = self._loop.call_at(deadline, self._report)

    def _report(self) -> None:
        data = self.rtcp.handle_timer(self._loop.time())
        destination = self._rtcp_destination()
        if data is not None and destination is not None and self._sockets is not None:
            self._sockets.rtcp.send(data, destination)
        self._schedule_report()
