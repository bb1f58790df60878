# SPDX-License-Identifier: Apache-2.0
"""Which streams does the relay carry, and how is it given them?"""

from __future__ import annotations

from ringback.media.path import Numbers
from ringback.media.relay import Relay, RelayNumbers, RelayTransport
from ringback.media.stream_port import Packets, Passed, StreamPort
from ringback.media.transport import RtpTransport


class RelayedJoint:
    """Two streams, each alone on its transport, joined by the relay; reports pass through the ports."""

    def __init__(self, a: StreamPort, b: StreamPort) -> None:
        self._ends = (a, b)
        assert isinstance(a.carrier, RtpTransport)
        assert isinstance(b.carrier, RtpTransport)
        self._relay = Relay(a.carrier, b.carrier, {}, {})
        self._relay.on_key = self._tell_key

    def update(self, a_to_b: Numbers, b_to_a: Numbers) -> None:
        """The numbers each way, after the transports were connected (again)."""
        a, b = self._ends
        self._relay.update(
            a_to_b or {},
            b_to_a or {},
            rates_ab=a.clock_rates,
            rates_ba=b.clock_rates,
            events_ab=a.event_rates,
            events_ba=b.event_rates,
        )

    def start(self) -> None:
        """Packets go through from now on."""
        a, b = self._ends
        a.on_rtcp, b.on_rtcp = b.send_rtcp, a.send_rtcp
        a.relayed = lambda: (_came(self._relay.numbers_ab), _went(self._relay.numbers_ba))
        b.relayed = lambda: (_came(self._relay.numbers_ba), _went(self._relay.numbers_ab))
        self._relay.start()

    def stop(self) -> None:
        """And no more."""
        self._relay.stop()
        for port in self._ends:
            port.absorb(*port.relayed())
            port.on_rtcp = _nowhere

    def _tell_key(self, transport: RelayTransport, key: str) -> None:
        a, b = self._ends
        (a if transport is a.carrier else b).on_key(key)


def is_relayable(one: StreamPort, other: StreamPort) -> bool:
    """True when the relay can carry both: it knows RTP, plain or protected."""
    return isinstance(one.carrier, RtpTransport) and isinstance(other.carrier, RtpTransport)


def _came(numbers: RelayNumbers) -> Passed:
    return Passed(numbers.packets, numbers.bytes, max(0, numbers.lost), numbers.jitter_ms)


def _went(numbers: RelayNumbers) -> Passed:
    return Passed(numbers.sent_packets, numbers.sent_bytes)


def _nowhere(packets: Packets) -> None:
    """Nobody is joined."""
