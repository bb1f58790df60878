# SPDX-License-Identifier: Apache-2.0
"""Which lines of a stream may pass from one leg of a bridge to the other, and how do they change?

What is not listed here stays behind: addresses, keys, and whatever nobody thought of. RFC 8859 sorts the
attributes by what they belong to; those of the media pass, those of the transport do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ringback.sdp.attributes import AudioFormat, stream_formats
from ringback.sdp.payload_numbers import rewritten_parameters
from ringback.sdp.security import is_dtls, is_rtp
from ringback.sdp.session import Line, MediaDescription

#: Attributes that describe the media itself.
_OF_MEDIA = frozenset(
    (
        *("ptime", "maxptime", "silenceSupp", "ecan"),
        *("framerate", "quality", "orient", "content", "label", "type"),
        *("lang", "sdplang", "hlang-send", "hlang-recv", "charset"),
        *("curr", "des", "conf"),  # quality of service before ringing (RFC 3312)
    )
)
#: Attributes whose value starts with a payload number.
_OF_FORMATS = frozenset(("rtpmap", "fmtp", "rtcp-fb", "imageattr", "framesize"))
#: Attributes that make sense only when RTP passes from browser to browser unchanged.
_OF_BROWSERS = frozenset(("rtcp-rsize", "extmap", "extmap-allow-mixed", "ssrc-group"))
#: Fax (T.38 annex D).
_FAX = "T38"

_EXTENSION = re.compile(r"[0-9]{1,5}(?:/[a-z]{1,8})? +(?P<uri>[^ ]{1,256})(?: .{0,256})?")
#: Congestion control over the whole transport: gaps where sound is transcoded would look like loss.
_TRANSPORT_WIDE = "transport-wide-cc"
_ENCRYPTED = "rtp-hdrext:encrypt"
_SOURCE = re.compile(r"[0-9]{1,10} cname:[!-~]{1,256}")
_TRACK = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64}(?: [!#$%&'*+.0-9A-Z^_`a-z{|}~-]{1,64})?")


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of one stream: the new number of each payload number, and the protocols at both ends."""

    numbers: Mapping[int, int]
    source_protocol: str
    target_protocol: str

    @property
    def is_between_browsers(self) -> bool:
        """True when both ends speak DTLS-SRTP: then header extensions and sources are the same on both."""
        return is_dtls(self.source_protocol) and is_dtls(self.target_protocol)

    def formats(self, media: MediaDescription) -> tuple[str, ...]:
        """The formats of the new m= line."""
        if not is_rtp(self.target_protocol):
            return media.line.formats
        known = (each.payload_type for each in stream_formats(media))
        return tuple(str(self.numbers[number]) for number in known if number in self.numbers)


def passed_lines(media: MediaDescription, passage: Passage) -> list[Line]:
    """The a= lines that pass, as they read on the other side."""
    lines: list[Line] = []
    if is_rtp(passage.target_protocol):
        lines += _missing_rtpmaps(media, passage)
    new_texts = {str(number): str(new) for number, new in passage.numbers.items()}
    for line in media.lines:
        if line.type != "a":
            continue
        name, colon, value = line.value.partition(":")
        passed = _passed(name, value, media, passage, new_texts)
        if passed is not None:
            lines.append(Line("a", f"{name}{colon}{passed}"))
    return lines


def titles_and_bandwidths(media: MediaDescription) -> tuple[list[Line], list[Line]]:
    """i= and b= of a stream, which pass as they are."""
    return [line for line in media.lines if line.type == "i"], [
        line for line in media.lines if line.type == "b"
    ]


def format_lines(each: AudioFormat) -> list[Line]:
    """a=rtpmap and a=fmtp of a format of ours."""
    lines = [Line("a", f"rtpmap:{each.rtpmap}")]
    if each.parameters:
        lines.append(Line("a", f"fmtp:{each.payload_type} {each.parameters}"))
    return lines


def track_line(media: MediaDescription) -> Line:
    """a=msid for a browser, which sorts what it gets into streams by it (RFC 8830)."""
    stated = media.attribute("msid")
    track = stated if stated is not None and _TRACK.fullmatch(stated) else f"ringback {media.line.media}"
    return Line("a", f"msid:{track}")


def _passed(
    name: str, value: str, media: MediaDescription, passage: Passage, new_texts: Mapping[str, str]
) -> str | None:
    """The new value of an attribute; None when it stays behind."""
    if name in _OF_MEDIA or name.startswith(_FAX):
        return value
    if name in _OF_FORMATS and is_rtp(passage.target_protocol):
        return _renumbered(name, value, media, passage, new_texts)
    if not passage.is_between_browsers:
        return None
    if name == "ssrc":
        return value if media.line.media != "audio" and _SOURCE.fullmatch(value) else None
    if name not in _OF_BROWSERS or (name == "ssrc-group" and media.line.media == "audio"):
        return None
    return value if name != "extmap" or _extension_passes(value, media) else None


def _renumbered(
    name: str, value: str, media: MediaDescription, passage: Passage, new_texts: Mapping[str, str]
) -> str | None:
    payload_text, space, rest = value.partition(" ")
    if name == "rtcp-fb" and "transport-cc" in rest and not _carries_transport_feedback(media, passage):
        return None
    if payload_text == "*":
        return value
    new = new_texts.get(payload_text)
    if new is None:
        return None
    parameters = rewritten_parameters(rest, passage.numbers) if name == "fmtp" else rest
    return None if parameters is None else f"{new}{space}{parameters}"


def _carries_transport_feedback(media: MediaDescription, passage: Passage) -> bool:
    return passage.is_between_browsers and media.line.media != "audio"


def _extension_passes(value: str, media: MediaDescription) -> bool:
    """Header extensions keep their numbers in RTP that is passed on (RFC 8285 section 5)."""
    found = _EXTENSION.fullmatch(value)
    if found is None or _ENCRYPTED in found["uri"]:
        return False
    return _TRANSPORT_WIDE not in found["uri"] or media.line.media != "audio"


def _missing_rtpmaps(media: MediaDescription, passage: Passage) -> list[Line]:
    """A static number that becomes a dynamic one needs the rtpmap it came without."""
    mapped = {value.partition(" ")[0] for value in media.attribute_values("rtpmap")}
    lines: list[Line] = []
    for each in stream_formats(media):
        new = passage.numbers.get(each.payload_type)
        if new is not None and new != each.payload_type and str(each.payload_type) not in mapped:
            lines.append(Line("a", f"rtpmap:{new} {each.rtpmap.partition(' ')[2]}"))
    return lines
