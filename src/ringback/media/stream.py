# SPDX-License-Identifier: Apache-2.0
"""How does a negotiated stream run? A transport, two clocks, a sender, a receiver and their reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ringback.media.input import Input
from ringback.media.output import Output
from ringback.media.pacing import Pacer
from ringback.media.packet_transport import PacketTransport
from ringback.media.pcm import FRAME_MS
from ringback.media.playout import Playout
from ringback.media.receiver import Receiver
from ringback.media.sender import Sender
from ringback.media.statistics import StreamStatistics, mean_opinion_score
from ringback.rtp.rtcp_session import RtcpSession
from ringback.sdp.offer_answer import NegotiatedAudio
from ringback.sip.errors import PeerError

log = logging.getLogger("ringback.media")


class AudioStream:
    """RTP and RTCP of one call, from `start` to `close`.

    What is said comes from `output`, what is heard goes to `input`; `configure` may be called often.

    owns_transport:
        False when somebody else connects the transport, and closes it
    """

    def __init__(
        self, transport: PacketTransport, random_bytes: Callable[[int], bytes], *, owns_transport: bool = True
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport = transport
        self._owns_transport = owns_transport
        transport.on_rtp = self._rtp_received
        transport.on_rtcp = self._rtcp_received
        transport.on_ready = self._adjust
        self.output = Output()
        self.input = Input()
        self.sender = Sender(self.output, random_bytes)
        self.rtcp = RtcpSession(self.sender.ssrc, random_bytes(12).hex(), random_bytes)
        self.receiver = Receiver(self.rtcp)
        self._playout = Playout(self.receiver)
        self._negotiated: NegotiatedAudio | None = None
        self._send_pacer: Pacer | None = None
        self._play_pacer = Pacer(FRAME_MS / 1_000, self._play)
        self._report_timer: asyncio.TimerHandle | None = None
        self._is_started = False
        self.is_closed = False

    def configure(
        self,
        negotiated: NegotiatedAudio | None,
        *,
        is_offerer: bool = False,
        signalling_host: str | None = None,
    ) -> None:
        """Go on as negotiated; None stops the stream. UnacceptableSession leaves all as it was."""
        if self._owns_transport:
            remote = negotiated.remote_stream if negotiated else None
            self.transport.connect(remote, is_offerer=is_offerer, signalling_host=signalling_host)
        self._negotiated = negotiated
        self.receiver.is_listening = negotiated is not None and negotiated.direction.receives
        if negotiated is not None:
            self.receiver.configure(negotiated.receive)
            self.rtcp.clock_rate = negotiated.send.clock_rate
            self.sender.configure(
                negotiated.send,
                packet_time_ms=negotiated.packet_time_ms,
                telephone_event=negotiated.telephone_event,
            )
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
        if self._is_started:
            self.transport.send_rtcp([self.rtcp.goodbye(now=self._loop.time())])
        self._leave_transport()
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
            jitter_ms=source.jitter * 1_000 / source.clock_rate if source else 0.0,
            round_trip_ms=round_trip_ms,
            mos=mean_opinion_score(loss=unheard, delay_ms=delay_ms) if received else None,
            codec=self._negotiated.send.encoding if self._negotiated else None,
            remote=self.transport.destination,
            late=counters.late,
            duplicates=counters.duplicate,
            refused=self.transport.refused,
            malformed=self.receiver.malformed + self.transport.malformed,
            buffer_ms=self.receiver.buffer.target_ms,
            remote_lost=block.lost if block else None,
            suite=self.transport.suite,
            srtp_failures=self.transport.srtp_failures,
            remote_jitter_ms=block.jitter * 1_000 / self.sender.clock_rate if block else None,
        )

    # --- the two clocks ---------------------------------------------------------------------------

    def _adjust(self) -> None:
        """Run the sending clock exactly while there is somebody to send to, and a way to do it.

        The first words wait for it: what is sent before a handshake is complete is lost.
        """
        if not self._is_started or self.is_closed:
            return
        interval = self.sender.packet_time
        negotiated = self._negotiated
        sends = negotiated is not None and self.transport.is_ready and negotiated.direction.sends
        pacer = self._send_pacer
        if pacer is not None and (not sends or pacer.interval != interval):
            pacer.stop()
            self._send_pacer = pacer = None
        if sends and pacer is None:
            self.sender.resume()
            self._send_pacer = Pacer(interval, self._send)
            self._send_pacer.start()

    def _send(self, missed: int) -> None:
        now = self._loop.time()
        packet = self.sender.next_packet(missed, now=now)
        if packet is None:
            return
        self.rtcp.sent(packet, now=now)
        self.transport.send_rtp([packet.to_bytes()])

    def _play(self, missed: int) -> None:
        """Hear the next 20 ms, and those that were missed: the timeline of a recording has no holes."""
        now = self._loop.time()
        for _ in range(missed + 1):
            self.input.hear(self._playout.frame(now), self._playout.rate)

    def _leave_transport(self) -> None:
        if self._owns_transport:
            self.transport.close()
        else:
            self.transport.on_rtp = self.transport.on_rtcp = _ignore
            self.transport.on_ready = None

    # --- packets ----------------------------------------------------------------------------------

    def _rtp_received(self, packets: list[bytes]) -> None:
        now = self._loop.time()
        for data in packets:
            self.receiver.receive(data, now)

    def _rtcp_received(self, packets: list[bytes]) -> None:
        now = self._loop.time()
        for data in packets:
            try:
                self.rtcp.receive_rtcp(data, now=now)
            except PeerError as error:
                self.receiver.malformed += 1
                log.debug("malformed RTCP of %s: %s", self.transport.destination, error.detail)

    def _schedule_report(self) -> None:
        deadline = self.rtcp.next_deadline()
        if deadline is not None and not self.is_closed:
            self._report_timer = self._loop.call_at(deadline, self._report)

    def _report(self) -> None:
        data = self.rtcp.handle_timer(self._loop.time())
        if data is not None:
            self.transport.send_rtcp([data])
        self._schedule_report()


def _ignore(packets: list[bytes]) -> None:
    """Nobody listens any more."""
