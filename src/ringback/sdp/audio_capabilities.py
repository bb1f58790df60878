# SPDX-License-Identifier: Apache-2.0
"""What sound can we take part in, and where do we listen?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ringback.sdp.addresses import is_loopback
from ringback.sdp.attributes import (
    COMFORT_NOISE,
    FIRST_DYNAMIC_PAYLOAD_TYPE,
    HIGHEST_PAYLOAD_TYPE,
    TELEPHONE_EVENT,
    AudioFormat,
)
from ringback.sdp.local_stream import LocalStream
from ringback.sip.flow import Address

_EVENT_PARAMETERS = "0-16"


@dataclass(frozen=True, slots=True)
class AudioCapabilities:
    """What we can do: formats in order of preference, and where we listen.

    `telephone_event` is the payload number offered for RFC 4733 at 8000 Hz, None to do without; codecs with
    another clock get events of theirs. `local` says how the stream is found and secured; without it, that is
    plain RTP at `address`. `allow_loopback` says whether media may go to this machine itself; by default it
    may when we listen there.
    """

    formats: tuple[AudioFormat, ...]
    address: Address
    rtcp_port: int | None = None
    packet_time_ms: int = 20
    telephone_event: int | None = 101
    allow_loopback: bool | None = None
    local: LocalStream | None = None
    comfort_noise: bool = False

    @property
    def loopback_is_allowed(self) -> bool:
        return is_loopback(self.address.host) if self.allow_loopback is None else self.allow_loopback

    @property
    def own(self) -> LocalStream:
        """Our end of the stream."""
        if self.local is not None:
            return self.local
        rtcp = None if self.rtcp_port is None else self.address._replace(port=self.rtcp_port)
        return LocalStream(self.address, rtcp)

    @property
    def all_formats(self) -> tuple[AudioFormat, ...]:
        """The codecs, then comfort noise and, last, telephone-event at each of their clocks."""
        noise = (AudioFormat(13, COMFORT_NOISE),) if self.comfort_noise else ()
        return (*self.formats, *noise, *self._events)

    @property
    def _events(self) -> tuple[AudioFormat, ...]:
        """Events count in the clock of the codec they interrupt (RFC 4733 section 2.1)."""
        if self.telephone_event is None:
            return ()
        free = free_numbers({self.telephone_event, *(each.payload_type for each in self.formats)})
        clocks = sorted({each.clock_rate for each in self.formats if each.is_codec})
        return tuple(
            AudioFormat(
                self.telephone_event if clock == clocks[0] else next(free),
                TELEPHONE_EVENT,
                clock,
                parameters=_EVENT_PARAMETERS,
            )
            for clock in clocks
        )


def free_numbers(taken: set[int]) -> Iterator[int]:
    """The dynamic payload numbers that are not taken."""
    return (each for each in range(FIRST_DYNAMIC_PAYLOAD_TYPE, HIGHEST_PAYLOAD_TYPE + 1) if each not in taken)
