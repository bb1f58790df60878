# SPDX-License-Identifier: Apache-2.0
"""Which key was pressed? Telephone events in RTP: RFC 4733 section 2.

The receiver tells of a key when its event is first heard of: from whichever packet came through, with or
without the marker, with or without an end. One event is told once; its packets share a timestamp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ringback.rtp.serial import difference
from ringback.sip.errors import PeerError

#: RFC 4733 section 3.2, table 3: codes 0 to 15, and the flash hook.
KEYS = "0123456789*#ABCD"
FLASH = "!"
_KEYS_AND_FLASH = KEYS + FLASH

VOLUME = 10
LONGEST_EVENT = 0xFFFF
END_PACKETS = 3

#: Packets of an earlier event may come so many seconds late; anything older is a clock that was set anew.
_REMEMBERED = 10

_PAYLOAD = struct.Struct("!BBH")
_END = 0x80


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one packet (section 2.3). `duration` counts ticks of the RTP clock."""

    event: int
    is_end: bool
    volume: int
    duration: int

    @classmethod
    def parse(cls, payload: bytes) -> TelephoneEvent:
        """The first event in `payload`; PeerError when it is too short."""
        if len(payload) < _PAYLOAD.size:
            raise PeerError("telephone-event payload too short", section="RFC 4733 2.3")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event, bool(flags & _END), flags & 0x3F, duration)

    def to_bytes(self) -> bytes:
        return _PAYLOAD.pack(self.event, (_END if self.is_end else 0) | self.volume, self.duration)

    @property
    def key(self) -> str | None:
        """The key as one character ("!" is the flash hook); None for other events."""
        return _KEYS_AND_FLASH[self.event] if self.event < len(_KEYS_AND_FLASH) else None


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What the sender puts into the next packet: all packets of an event carry the timestamp of its start."""

    event: TelephoneEvent
    marker: bool


def event_code(key: str) -> int:
    """The code of a key; ValueError for a character that is on no keypad."""
    code = _KEYS_AND_FLASH.find(key.upper()) if len(key) == 1 and key.isascii() else -1
    if code < 0:
        raise ValueError(f"not a telephone key: {key!r}")
    return code


def event_packets(key: str, *, duration: int, step: int) -> Iterator[EventPacket]:
    """The packets of one key press (section 2.5.1): one every `step` ticks, growing, the last three times."""
    code = event_code(key)
    total = min(max(duration, step), LONGEST_EVENT)
    for elapsed in range(step, total, step):
        yield EventPacket(TelephoneEvent(code, False, VOLUME, elapsed), marker=elapsed == step)
    for index in range(END_PACKETS):
        yield EventPacket(TelephoneEvent(code, True, VOLUME, total), marker=index == 0 and total <= step)


@dataclass(slots=True)
class TelephoneEventReceiver:
    """Turns the event packets of one source into keys."""

    _ssrc: int | None = None
    _event: int = -1
    _timestamp: int = 0
    _duration: int = 0
    _has_ended: bool = True
    _clock_rate: int = 8_000

    def receive(self, payload: bytes, *, timestamp: int, ssrc: int, clock_rate: int = 8_000) -> str | None:
        """The key this packet is the first to tell of; None for repeats, updates and other events."""
        event = TelephoneEvent.parse(payload)
        if (ssrc, clock_rate) == (self._ssrc, self._clock_rate) and self._is_known(event, timestamp):
            return None
        self._ssrc, self._clock_rate = ssrc, clock_rate
        self._event, self._timestamp = event.event, timestamp
        self._duration, self._has_ended = event.duration, event.is_end
        return event.key

    def _is_known(self, event: TelephoneEvent, timestamp: int) -> bool:
        step = difference(timestamp, self._timestamp, bits=32)
        if -_REMEMBERED * self._clock_rate < step < 0:
            return True
        if step == 0 or self._is_continued(event, step):
            self._timestamp = timestamp
            self._duration = max(self._duration, event.duration) if step == 0 else event.duration
            self._has_ended = self._has_ended or event.is_end
            return True
        return False

    def _is_continued(self, event: TelephoneEvent, step: int) -> bool:
        """A long event goes on in a new segment where the last one stopped (section 2.5.1.3); and some
        senders move the timestamp with every packet of an event.
        """
        return not self._has_ended and event.event == self._event and step <= self._duration
