# SPDX-License-Identifier: Apache-2.0
"""Who carries the sound of a bridged call, and what is it asked? The seam between signalling and media.

A bridge is a call: legs with names of the signalling's choosing. Every description that crosses it goes
through `offer` or `answer`, and what comes back is what the other leg is told. Behind the seam are our own
media workers, the same classes inside one program, or rtpengine; whoever signals does not see which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ringback.media.errors import MediaError
from ringback.sdp.security import Security
from ringback.sip.flow import Address

__all__ = [
    "BROWSER",
    "BridgeStatistics",
    "LegProfile",
    "LegStatistics",
    "MediaEvent",
    "MediaEventKind",
    "MediaPlane",
    "OnMediaEvent",
    "PlaneUnavailable",
    "Security",
    "StreamNumbers",
    "ignore_event",
]


@dataclass(frozen=True, slots=True)
class LegProfile:
    """How media is spoken with one leg.

    `host` is the local address to bind ("" for the plane's own choice), `advertise` the one to be told.
    `signalling_host` is where the leg's SIP comes from: media of a phone behind a NAT may, too.
    `codecs` are encodings to add to what is offered to the leg, by transcoding; () adds none.
    """

    security: Security = Security.PLAIN
    ice: bool = False
    rtcp_mux: bool = False
    bundle: bool = False
    host: str = ""
    advertise: str = ""
    signalling_host: str = ""
    is_behind_nat: bool = False
    codecs: tuple[str, ...] = ()


#: What a browser speaks (RFC 8834, 8835).
BROWSER = LegProfile(Security.DTLS, ice=True, rtcp_mux=True, bundle=True)


class MediaEventKind(StrEnum):
    """What happens to the media of a bridge without being asked for."""

    #: A leg that should send has not for ten seconds.
    NO_RTP = "no-rtp"
    #: One leg is heard, its partner is not.
    ONE_WAY = "one-way"
    #: Packets come again after NO_RTP or ONE_WAY.
    RESUMED = "resumed"
    #: A key was pressed; `detail` is the key.
    DIGIT = "digit"
    #: A recording ended by itself; `detail` says why.
    RECORDING_ENDED = "recording-ended"
    #: The process that carried the bridge is gone: offer anew.
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class MediaEvent:
    """Something happened to `leg` of `bridge`; `leg` is "" when it concerns the whole bridge."""

    bridge: str
    leg: str
    kind: MediaEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StreamNumbers:
    """One stream (m= line) of a leg: what came from it and what went to it.

    `jitter_ms` and `lost` are of what came; `round_trip_ms` and `mos` are None until known.
    """

    kind: str
    codec: str | None = None
    packets_received: int = 0
    packets_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    mos: float | None = None


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """One leg of a bridge. `address` is where its media goes, None when nowhere; `suite` its SRTP suite."""

    name: str
    address: Address | None = None
    security: Security = Security.PLAIN
    suite: str | None = None
    streams: tuple[StreamNumbers, ...] = ()


@dataclass(frozen=True, slots=True)
class BridgeStatistics:
    """A bridge in numbers. `verdicts` are sentences like "no RTP from caller for 10 s"."""

    bridge: str
    legs: tuple[LegStatistics, ...] = ()
    is_transcoded: bool = False
    verdicts: tuple[str, ...] = ()


class PlaneUnavailable(MediaError):
    """The process that carries media does not answer, or refuses for lack of room."""


OnMediaEvent = Callable[[MediaEvent], None]


def ignore_event(event: MediaEvent) -> None:
    """What planes call until somebody sets `on_event`."""


class MediaPlane(Protocol):
    """What signalling asks of media.

    UnacceptableSession (488) for a description that cannot be taken, with everything as before;
    NoFreePort and PlaneUnavailable when there is no room or nobody answers.
    """

    on_event: OnMediaEvent

    async def start(self) -> None:
        """Get ready. PlaneUnavailable when that fails."""

    async def close(self) -> None:
        """End every bridge."""

    async def offer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        """The offer for `target`, made of the one that came from `source`.

        Both legs come into being when first named; the same pair again is a re-offer, in either direction.
        """

    async def answer(
        self,
        bridge: str,
        source: str,
        target: str,
        sdp: bytes,
        *,
        source_profile: LegProfile,
        target_profile: LegProfile,
    ) -> bytes:
        """The answer for `target`, made of the one that came from `source` to the offer made for it.

        The two are connected from now on; an earlier partner of `target` is disconnected, not dropped.
        """

    async def drop(self, bridge: str, leg: str) -> None:
        """Forget a leg; its ports are free. Nothing happens when there is none."""

    async def delete(self, bridge: str) -> BridgeStatistics:
        """End the bridge, and say how it was."""

    async def statistics(self, bridge: str) -> BridgeStatistics:
        """How the bridge is doing; no legs when there is none."""

    async def record(self, bridge: str, path: str) -> None:
        """Record into a stereo WAV file, a leg a channel. UnwritableAudio when it cannot be opened."""

    async def stop_recording(self, bridge: str) -> None:
        """Finish the recording's file."""

    async def play(self, bridge: str, leg: str, path: str) -> None:
        """Play a file to a leg in place of its partner, or "tone:ringback" (a name of `tones.TONES`); returns
        when all was sent, or the leg has another partner. UnreadableAudio.
        """

    async def press(self, bridge: str, leg: str, digits: str) -> None:
        """Press keys for a leg to hear: as telephone events, or as tones where it knows none."""
