# SPDX-License-Identifier: Apache-2.0
"""What does a description say of its sound, as far as a diagnosis needs it? Keys may be struck out of it."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sdp.session import SessionDescription
from ringback.sip.errors import PeerError

#: Encodings of the numbers that need no a=rtpmap (RFC 3551 6).
STATIC = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "15": "G728", "18": "G729"}
#: No sound: keys, comfort noise, repairs.
NO_SOUND = frozenset({"telephone-event", "cn", "red", "ulpfec"})
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


@dataclass(frozen=True, slots=True)
class Sound:
    """The first m=audio. `port` 0 means that it is refused."""

    host: str
    port: int
    codecs: tuple[str, ...]
    is_encrypted: bool
    has_fingerprint: bool
    direction: str
    origin_host: str

    @property
    def address(self) -> str:
        """Where it wants to be sent to."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def sends(self) -> bool:
        """True when sound comes from there."""
        return self.direction in ("sendrecv", "sendonly") and self.port > 0


def sound_of(body: str) -> Sound | None:
    """None where there is no description, or none that can be read."""
    try:
        return _sound_of(SessionDescription.parse(body.encode("utf-8", "replace")))
    except (PeerError, ValueError):
        return None


def _sound_of(session: SessionDescription) -> Sound | None:
    media = next((each for each in session.media if each.line.media == "audio"), None)
    if media is None:
        return None
    names = dict(STATIC)
    for value in media.attribute_values("rtpmap"):
        number, _, encoding = value.partition(" ")
        names[number] = encoding.partition("/")[0]
    codecs = [names[each] for each in media.line.formats if each in names]
    direction = next(
        (name for section in (media, session) for name in DIRECTIONS if section.attribute(name) is not None),
        "sendrecv",
    )
    return Sound(
        media.connection_host or session.connection_host or "",
        media.line.port,
        tuple(each for each in codecs if each.lower() not in NO_SOUND),
        "SAVP" in media.line.protocol,
        bool(media.attribute_values("fingerprint") or session.attribute_values("fingerprint")),
        direction,
        session.origin.host,
    )
