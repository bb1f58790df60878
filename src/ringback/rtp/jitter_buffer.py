# SPDX-License-Identifier: Apache-2.0
"""When is which packet played? An adaptive playout buffer for one RTP stream, without I/O or codec.

Packets go in as they come, pieces of the timeline come out whenever the player asks. `cursor` is the
timestamp that is played next. A packet that is there is PLAYED. One that is not there but may still come in
time is waited for: the piece is CONCEALED and the cursor stands still, which makes the delay longer. One that
is overdue is lost: the piece is CONCEALED and the cursor moves on. When more is waiting than the jitter asks
for, now and then a packet is left out, which makes the delay shorter.

A stream may start anew at any time: another SSRC, or a timestamp far from where it should be. One such packet
proves nothing (RFC 3550 appendix A.1); a second that follows it does. Nothing is kept for more than a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from ringback.rtp.packet import RtpPacket
from ringback.rtp.playout_delay import PlayoutDelay
from ringback.rtp.serial import difference, extended

MAXIMUM_PACKETS = 128
FRAME_MS = 20
#: Shares of a second: the longest wait, and the silence after which the timeline is forgotten.
LONGEST_DELAY = 0.5
LONGEST_SILENCE = 0.5
#: A packet is left out at most once in so many pieces, unless far too much is waiting.
PIECES_BETWEEN_SKIPS = 10
SKIP_AT_ONCE = 0.2
#: Late packets in a row, over at least so many frames of time, that make us follow them.
LATE_IN_A_ROW = 3


class PieceKind(IntEnum):
    """What the player shall do with a piece of the timeline."""

    PLAYED = 0
    CONCEALED = 1
    SILENT = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """`duration` ticks of the timeline; `packet` for PLAYED only."""

    kind: PieceKind
    duration: int
    packet: RtpPacket | None = None


@dataclass(slots=True)
class BufferCounters:
    """What became of the packets."""

    played: int = 0
    late: int = 0
    duplicate: int = 0
    discarded: int = 0
    restarts: int = 0
    concealed: int = 0


@dataclass(slots=True)
class JitterBuffer:
    """`frame` is the length of a concealed piece in ticks, 20 ms if nothing is said; `minimum_delay_ms` the
    least wait.
    """

    clock_rate: int = 8_000
    frame: int = 0
    minimum_delay_ms: int = 20
    counters: BufferCounters = field(default_factory=BufferCounters)
    _delay: PlayoutDelay = field(init=False)
    _packets: dict[int, tuple[RtpPacket, int]] = field(default_factory=dict)
    _ssrc: int | None = None
    _cursor: int | None = None
    _highest: int = 0
    _candidate: tuple[RtpPacket, int] | None = None
    _last_played: int | None = None
    _late_in_a_row: int = 0
    _late_since: float = 0.0
    _empty_ticks: int = 0
    _pieces_since_skip: int = 0

    def __post_init__(self) -> None:
        self.frame = self.frame or self.clock_rate * FRAME_MS // 1_000
        minimum = self.minimum_delay_ms * self.clock_rate // 1_000
        self._delay = PlayoutDelay(
            minimum=minimum,
            maximum=round(LONGEST_DELAY * self.clock_rate),
            margin=self.frame // 2,
            target=float(minimum + self.frame),
        )

    @property
    def waiting(self) -> int:
        """Packets that wait to be played."""
        return len(self._packets)

    @property
    def target_ms(self) -> float:
        """How long a packet with the shortest way waits at present."""
        return self._delay.target * 1_000 / self.clock_rate

    @property
    def is_unused(self) -> bool:
        """True before the first packet."""
        return self._ssrc is None

    def insert(self, packet: RtpPacket, *, duration: int, now: float) -> None:
        """Take a packet that came at `now` and holds `duration` ticks of sound."""
        if duration <= 0 or duration > self.clock_rate:
            self.counters.discarded += 1
            return
        timestamp = extended(packet.timestamp, self._highest, bits=32)
        transit = now * self.clock_rate - timestamp
        if packet.ssrc != self._ssrc or abs(transit - self._delay.base) > self.clock_rate:
            self._consider_restart(packet, duration, now)
            return
        is_idle = not self._packets and self._empty_ticks > LONGEST_SILENCE * self.clock_rate
        if (is_idle or self._cursor is None) and not self._is_new(packet):
            self._consider_restart(packet, duration, now)
            return
        self._candidate = None
        if is_idle:
            self._restart_timeline(transit)
        self._store(packet, duration, timestamp, transit, now)

    def pull(self, now: float) -> Piece:
        """The next piece to play."""
        if self._cursor is None and not self._start_playing(now):
            return Piece(PieceKind.SILENT, self.frame)
        assert self._cursor is not None
        due = now * self.clock_rate - self._delay.base - self._delay.target
        self._skip(due)
        entry = self._packets.pop(self._cursor, None)
        if entry is None:
            return self._missing(due)
        packet, duration = entry
        self._last_played = packet.sequence
        self._cursor += duration
        self._forget_before(self._cursor)
        self._empty_ticks = 0
        self.counters.played += 1
        return Piece(PieceKind.PLAYED, duration, packet)

    def clear(self) -> None:
        """Forget the stream (after a negotiation, say)."""
        self._packets.clear()
        self._ssrc = self._cursor = self._candidate = self._last_played = None

    # --- coming in --------------------------------------------------------------------------------

    def _store(self, packet: RtpPacket, duration: int, timestamp: int, transit: float, now: float) -> None:
        if self._cursor is not None and timestamp < self._cursor:
            self._late(packet, duration, timestamp, transit, now)
            return
        self._delay.observe(transit)
        self._late_in_a_row = 0
        if timestamp in self._packets:
            self.counters.duplicate += 1
        elif len(self._packets) >= MAXIMUM_PACKETS:
            self.counters.discarded += 1
        else:
            self._packets[timestamp] = (packet, duration)
            self._highest = max(self._highest, timestamp)

    def _late(self, packet: RtpPacket, duration: int, timestamp: int, transit: float, now: float) -> None:
        """Too late to be played. When all new packets are late for a while, it is the timeline that moved."""
        self.counters.late += 1
        if not self._is_new(packet):
            self._delay.observe_late(transit)
            return
        if self._late_in_a_row == 0:
            self._late_since = now
        self._late_in_a_row += 1
        waited = (now - self._late_since) * self.clock_rate
        if self._packets or self._late_in_a_row < LATE_IN_A_ROW or waited < (LATE_IN_A_ROW - 1) * self.frame:
            self._delay.observe_late(transit)
            return
        self._restart_timeline(transit)
        self._store(packet, duration, timestamp, transit, now)

    def _is_new(self, packet: RtpPacket) -> bool:
        """True for a packet that was sent after the one played last."""
        return self._last_played is None or difference(packet.sequence, self._last_played, bits=16) > 0

    def _consider_restart(self, packet: RtpPacket, duration: int, now: float) -> None:
        first = self._candidate
        is_confirmed = (
            first is not None
            and first[0].ssrc == packet.ssrc
            and (packet.sequence - first[0].sequence) & 0xFFFF == 1
            and (packet.timestamp - first[0].timestamp) & 0xFFFFFFFF <= self.clock_rate
        )
        if self._ssrc is not None and not is_confirmed:
            self._candidate = (packet, duration)
            return
        self.counters.restarts += self._ssrc is not None
        self._packets.clear()
        self._ssrc, self._candidate, self._last_played = packet.ssrc, None, None
        entries = [(packet, duration)] if first is None or not is_confirmed else [first, (packet, duration)]
        self._highest = entries[0][0].timestamp
        self._restart_timeline(now * self.clock_rate - extended(packet.timestamp, self._highest, bits=32))
        for each, ticks in entries:
            timestamp = extended(each.timestamp, self._highest, bits=32)
            self._store(each, ticks, timestamp, now * self.clock_rate - timestamp, now)

    def _restart_timeline(self, transit: float) -> None:
        self._delay.restart(transit)
        self._cursor = None
        self._late_in_a_row = 0
        self._empty_ticks = 0

    # --- going out --------------------------------------------------------------------------------

    def _start_playing(self, now: float) -> bool:
        if not self._packets:
            return False
        first = min(self._packets)
        if now * self.clock_rate < first + self._delay.base + self._delay.target:
            return False
        self._cursor = first
        return True

    def _missing(self, due: float) -> Piece:
        """The packet at the cursor is not there: wait for it, or give it up."""
        assert self._cursor is not None
        self.counters.concealed += 1
        gap = min(self._packets) - self._cursor if self._packets else self.frame
        if not self._packets:
            self._empty_ticks += self.frame
        if gap < self.frame or due >= self._cursor:
            duration = min(gap, self.frame)
            self._cursor += duration
            return Piece(PieceKind.CONCEALED, duration)
        return Piece(PieceKind.CONCEALED, self.frame)

    def _skip(self, due: float) -> None:
        """Leave out what would make the delay longer than it must be."""
        assert self._cursor is not None
        self._pieces_since_skip += 1
        while len(self._packets) > 1 and due - self._cursor > 1.5 * self.frame:
            far = due - self._cursor > SKIP_AT_ONCE * self.clock_rate
            if not far and self._pieces_since_skip < PIECES_BETWEEN_SKIPS:
                return
            first = min(self._packets)
            self._cursor = first + self._packets.pop(first)[1]
            self._forget_before(self._cursor)
            self._pieces_since_skip = 0
            self.counters.discarded += 1

    def _forget_before(self, cursor: int) -> None:
        """Packets that overlap what was played (a sender with odd timestamps) will not be asked for again."""
        if self._packets and min(self._packets) < cursor:
            for timestamp in [each for each in self._packets if each < cursor]:
                del self._packets[timestamp]
                self.counters.discarded += 1
