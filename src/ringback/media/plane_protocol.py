# SPDX-License-Identifier: Apache-2.0
"""What do signalling and a media worker say to each other? Frames of JSON over a local socket.

    {"number": 1, "verb": "offer", "bridge": ..., "source": ..., "target": ..., "sdp": ..., ...}
    {"number": 1, "sdp": ...}   or   {"number": 1, "error": "UnacceptableSession", "detail": ...}
    {"event": "digit", "bridge": ..., "leg": ..., "detail": ...}

Both ends are this program, of the same version; still nothing that comes is believed before it was looked at.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ringback.media.errors import MediaError, NoFreePort, UnreadableAudio, UnwritableAudio
from ringback.media.plane import (
    BridgeStatistics,
    LegProfile,
    LegStatistics,
    MediaEvent,
    MediaEventKind,
    PlaneUnavailable,
    Security,
    StreamNumbers,
)
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sip.errors import RingbackError
from ringback.sip.flow import Address

Message = dict[str, Any]

#: A description of 64 KB, every octet of which is written as an escape.
MAXIMUM_BYTES = 1_048_576
_LENGTH = struct.Struct("!I")

_ERRORS = {each.__name__: each for each in (NoFreePort, UnreadableAudio, UnwritableAudio, PlaneUnavailable)}


class MalformedFrame(MediaError):
    """The other end says what is no message."""


def frame(message: Message) -> bytes:
    """A message as it goes over the socket."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Octets in, messages out."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. MalformedFrame ends it."""
        self._received += data
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            if length > MAXIMUM_BYTES:
                raise MalformedFrame("a message is too long")
            if len(self._received) < _LENGTH.size + length:
                return
            text = bytes(self._received[_LENGTH.size : _LENGTH.size + length])
            del self._received[: _LENGTH.size + length]
            yield _message(text)


def _message(text: bytes) -> Message:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedFrame("not JSON") from error
    if not isinstance(message, dict):
        raise MalformedFrame("not a message")
    return message


# --- descriptions and profiles


def written_sdp(sdp: bytes) -> str:
    """Any octets as text."""
    return sdp.decode("utf-8", "surrogateescape")


def read_sdp(text: str) -> bytes:
    """What `written_sdp` wrote."""
    return text.encode("utf-8", "surrogateescape")


def written_profile(profile: LegProfile) -> Message:
    return asdict(profile)


def read_profile(message: Message) -> LegProfile:
    """What `written_profile` wrote; ValueError or TypeError otherwise."""
    return LegProfile(
        **{**message, "security": Security(message["security"]), "codecs": tuple(message["codecs"])}
    )


# --- statistics and events


def written_statistics(statistics: BridgeStatistics) -> Message:
    return asdict(statistics)


def read_statistics(message: Message) -> BridgeStatistics:
    """What `written_statistics` wrote."""
    return BridgeStatistics(
        message["bridge"],
        tuple(_read_leg(leg) for leg in message["legs"]),
        message["is_transcoded"],
        tuple(message["verdicts"]),
    )


def _read_leg(message: Message) -> LegStatistics:
    address = message["address"]
    return LegStatistics(
        message["name"],
        Address(*address) if address is not None else None,
        Security(message["security"]),
        message["suite"],
        tuple(StreamNumbers(**stream) for stream in message["streams"]),
    )


def written_event(event: MediaEvent) -> Message:
    return {"event": event.kind, "bridge": event.bridge, "leg": event.leg, "detail": event.detail}


def read_event(message: Message) -> MediaEvent:
    """What `written_event` wrote."""
    return MediaEvent(message["bridge"], message["leg"], MediaEventKind(message["event"]), message["detail"])


# --- errors


def written_error(error: Exception) -> Message:
    """What went wrong, for the other end to raise again."""
    if isinstance(error, UnacceptableSession):
        return {
            "error": "UnacceptableSession",
            "detail": error.detail,
            "warning": int(error.warning),
            "section": error.section,
        }
    if isinstance(error, ValueError):
        return {"error": "ValueError", "detail": str(error)}
    kind = type(error).__name__ if type(error).__name__ in _ERRORS else "PlaneUnavailable"
    return {"error": kind, "detail": str(error)}


def read_error(message: Message) -> RingbackError | ValueError:
    """What `written_error` wrote."""
    kind, detail = message["error"], str(message.get("detail"))
    if kind == "UnacceptableSession":
        return UnacceptableSession(
            detail, warning=WarnCode(message["warning"]), section=str(message["section"])
        )
    if kind == "ValueError":
        return ValueError(detail)
    return _ERRORS.get(kind, PlaneUnavailable)(detail)
