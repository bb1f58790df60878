# SPDX-License-Identifier: Apache-2.0
"""How well does a stream arrive? Validity, loss and jitter: RFC 3550 appendices A.1, A.3 and A.8."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ringback.rtp.rtcp import ReportBlock, SenderReport
from ringback.rtp.serial import difference

MAXIMUM_DROPOUT = 3_000
MAXIMUM_MISORDER = 100
MINIMUM_SEQUENTIAL = 2

_CIRCLE = 1 << 16
_ONE_SECOND_NTP = 65_536


def ntp_timestamp(now: float) -> int:
    """The 64 bit timestamp of `now`. Elapsed time will do where there is no wall clock (RFC 3550 6.4.1)."""
    seconds = max(now, 0.0)
    return (math.floor(seconds) & 0xFFFFFFFF) << 32 | int((seconds % 1.0) * (1 << 32))


def middle_bits(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp, as LSR carries them."""
    return ntp >> 16 & 0xFFFFFFFF


@dataclass(slots=True)
class ReceptionStatistics:
    """One source, as we hear it.

    A source is on probation until two packets came in sequence; a wild jump of the sequence number is
    believed when a second packet confirms it. `receive` says whether a packet counts as valid.
    """

    ssrc: int
    clock_rate: int = 8_000
    received: int = 0
    jitter: float = 0.0
    highest: int = 0
    cycles: int = 0
    _base: int = 0
    _bad: int = _CIRCLE + 1
    _probation: int = MINIMUM_SEQUENTIAL
    _started: bool = False
    _transit: float | None = None
    _expected_before: int = 0
    _received_before: int = 0
    _report: SenderReport | None = field(default=None, repr=False)
    _report_at: float = 0.0

    def receive(self, sequence: int, timestamp: int, *, now: float) -> bool:
        """Count one packet that came at `now`. False while the source is not (or no longer) believed."""
        if not self._started:
            self._started = True
            self._restart(sequence)
            self.highest = (sequence - 1) % _CIRCLE
        if not self._is_valid(sequence):
            return False
        self.received += 1
        self._measure_jitter(timestamp, now)
        return True

    def receive_report(self, report: SenderReport, *, now: float) -> None:
        """Remember the SR for LSR and DLSR (RFC 3550 section 6.4.1)."""
        self._report, self._report_at = report, now

    def follow_clock(self, clock_rate: int) -> None:
        """Timestamps count in another clock from now on: the jitter so far in the new ticks."""
        self.jitter *= clock_rate / self.clock_rate
        self.clock_rate = clock_rate
        self._transit = None

    @property
    def extended_highest(self) -> int:
        return self.cycles + self.highest

    @property
    def expected(self) -> int:
        return self.extended_highest - self._base + 1 if self.received else 0

    @property
    def lost(self) -> int:
        """Packets that never came; duplicates can make it negative (RFC 3550 section 6.4.1)."""
        return self.expected - self.received

    def report_block(self, *, now: float) -> ReportBlock:
        """What goes into our next SR or RR; starts a new interval for the fraction lost (A.3)."""
        expected, received = self.expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = self.expected, self.received
        lost = expected - received
        delay = now - self._report_at if self._report else 0.0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min((lost << 8) // expected, 255) if expected > 0 and lost > 0 else 0,
            lost=self.lost,
            highest_sequence=self.extended_highest & 0xFFFFFFFF,
            jitter=round(self.jitter) & 0xFFFFFFFF,
            last_sender_report=middle_bits(self._report.ntp) if self._report else 0,
            delay_since_last=min(int(delay * _ONE_SECOND_NTP), 0xFFFFFFFF),
        )

    def _is_valid(self, sequence: int) -> bool:
        """update_seq() of appendix A.1."""
        step = (sequence - self.highest) % _CIRCLE
        if self._probation:
            return self._probe(sequence, step)
        if step < MAXIMUM_DROPOUT:
            if sequence < self.highest:
                self.cycles += _CIRCLE
            self.highest = sequence
        elif step <= _CIRCLE - MAXIMUM_MISORDER:
            if sequence != self._bad:
                self._bad = (sequence + 1) % _CIRCLE
                return False
            self._restart(sequence)
        return True

    def _probe(self, sequence: int, step: int) -> bool:
        if step != 1:
            self._probation = MINIMUM_SEQUENTIAL - 1
            self.highest = sequence
            return False
        self._probation -= 1
        self.highest = sequence
        if self._probation:
            return False
        self._restart(sequence)
        return True

    def _restart(self, sequence: int) -> None:
        self._base = self.highest = sequence
        self._bad = _CIRCLE + 1
        self.cycles = 0
        self.received = self._received_before = self._expected_before = 0
        self._transit = None

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        """The filter of appendix A.8; the circle of the timestamp is unrolled by its differences."""
        arrival = now * self.clock_rate
        transit = (arrival - timestamp) % (1 << 32)
        if self._transit is not None:
            moved = abs(_shorter_way(transit - self._transit))
            self.jitter += (moved - self.jitter) / 16.0
        self._transit = transit


def round_trip(block: ReportBlock, *, now: float) -> float | None:
    """Seconds to the peer and back, from what it says of our SR (RFC 3550 section 6.4.1), if anything."""
    if not block.last_sender_report:
        return None
    elapsed = difference(middle_bits(ntp_timestamp(now)), block.last_sender_report, bits=32)
    seconds = (elapsed - block.delay_since_last) / _ONE_SECOND_NTP
    return seconds if 0.0 <= seconds < 60.0 else None


def _shorter_way(step: float) -> float:
    half = float(1 << 31)
    return (step + half) % (2 * half) - half
