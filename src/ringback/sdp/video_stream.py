# SPDX-License-Identifier: Apache-2.0
"""What do we say of a stream of video that ends here? RFC 3264 for one stream beside the sound.

Nothing is decoded here, so a format is all the parties of a room must share: VP8 first, which every browser
has (RFC 7742 section 5), then H.264 as packets are cut (RFC 6184 section 6). Pure, like `offer_answer.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ringback.sdp.attributes import AudioFormat, Direction, direction, stream_formats
from ringback.sdp.bundle import bundle_tags, identification, is_open
from ringback.sdp.composition import transport_lines
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.passage import format_lines, track_line
from ringback.sdp.security import is_dtls, is_rtp
from ringback.sdp.session import Line, MediaDescription, MediaLine, SessionDescription
from ringback.sdp.stream import StreamDescription, effective_direction, stream_of

#: What may be asked of the sender (RFC 4585 section 4.2, RFC 5104 section 7.1).
NACK, PICTURE_LOSS, FULL_INTRA = "nack", "nack pli", "ccm fir"
_FEEDBACK = (NACK, PICTURE_LOSS, FULL_INTRA)
#: What a peer is told to send at most, in kbit/s: it is multiplied by all who watch (RFC 8866 section 5.8).
MOST_KILOBITS = 1_200
#: The profile that everybody can show: constrained baseline (RFC 7742 section 6.2).
_BASELINE = "42e0"
#: Parameters of H.264 that the answer must repeat (RFC 6184 section 8.2.2).
_REPEATED = ("level-asymmetry-allowed", "packetization-mode", "profile-level-id")
_REPEATED_KEYS = ("rtcp-mux", "ice-ufrag", "ice-pwd", "fingerprint", "setup")

Codec = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VideoCapabilities:
    """Our end of the stream. `source` and `name` are the SSRC and the CNAME under which we send.

    `is_bundled` says that the packets travel with those of the sound.
    """

    local: LocalStream
    source: int
    name: str
    is_bundled: bool = False
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class NegotiatedVideo:
    """What both ends agreed on, seen from our side: `send` is what the peer takes, what it likes first."""

    index: int
    send: tuple[AudioFormat, ...]
    receive: Mapping[int, AudioFormat]
    direction: Direction
    feedback: frozenset[str]
    remote_stream: StreamDescription


def codec_of(each: AudioFormat) -> Codec:
    """What must be the same for a picture to be shown without being decoded on the way."""
    encoding = each.encoding.upper()
    return encoding, _parameters(each).get("packetization-mode", "0") if encoding == "H264" else ""


def counterpart(source: AudioFormat, taken: Iterable[AudioFormat]) -> AudioFormat | None:
    """The format of a receiver in which it can take what comes as `source`; None when it cannot."""
    encoding, mode = codec_of(source)
    # Who takes fragments takes whole NAL units as well (RFC 6184 section 6.3).
    modes = (mode, "1") if mode == "0" else (mode,)
    known = {codec_of(each): each for each in taken}
    return next((known[encoding, each] for each in modes if (encoding, each) in known), None)


def is_video(media: MediaDescription, tags: dict[str, str]) -> bool:
    """True for an m= line of video that asks for something."""
    return media.line.media == "video" and is_rtp(media.line.protocol) and is_open(media, tags)


def video_answer(
    offer: SessionDescription,
    index: int,
    tags: dict[str, str],
    capabilities: VideoCapabilities,
    *,
    borrows: bool,
) -> MediaDescription:
    """The answer to one m= line. `borrows`: an earlier one of the answer says all about the transport."""
    media = offer.media[index]
    stream = stream_of(offer, index, tags=tags, allow_loopback=capabilities.allow_loopback)
    formats = _chosen(stream.formats)
    if not formats:
        raise UnacceptableSession(
            "no common video codec", warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT, section="RFC 3264 6"
        )
    way = Direction.SENDRECV.meet(effective_direction(offer, media))
    return _written(
        media.line.protocol,
        formats,
        capabilities,
        _feedback_lines(media, formats),
        mid=stream.mid,
        way=way,
        transport=_transport(capabilities, borrows=borrows, offered=stream),
    )


def video_offer(previous: MediaDescription, capabilities: VideoCapabilities) -> MediaDescription:
    """The stream goes on, in an offer of ours: as it was answered, with the same numbers."""
    formats = stream_formats(previous)
    return _written(
        capabilities.local.protocol,
        formats,
        capabilities,
        _feedback_lines(previous, formats),
        mid=identification(previous),
        way=Direction.SENDRECV,
        transport=_transport(capabilities, borrows=capabilities.is_bundled),
    )


def negotiate_video(
    local: SessionDescription, remote: SessionDescription, *, allow_loopback: bool = False
) -> NegotiatedVideo | None:
    """What offer and answer agree on; None without video in both."""
    tags = bundle_tags(remote)
    for index, (ours, theirs) in enumerate(zip(local.media, remote.media, strict=False)):
        if ours.line.media != "video" or not ours.line.port or not is_video(theirs, tags):
            continue
        stream = stream_of(remote, index, tags=tags, allow_loopback=allow_loopback)
        mine = stream_formats(ours)
        send = tuple(each for each in stream.formats if counterpart(each, mine) is not None)
        if not send:
            return None
        return NegotiatedVideo(
            index=index,
            send=send,
            receive={each.payload_type: each for each in (*send, *mine)},
            direction=direction(local, ours).meet(effective_direction(remote, theirs)),
            feedback=frozenset(_wishes(theirs, send)) & frozenset(_wishes(ours, mine)),
            remote_stream=stream,
        )
    return None


# --- choosing ----------------------------------------------------------------------------------------


def _chosen(offered: Sequence[AudioFormat]) -> tuple[AudioFormat, ...]:
    """One format of each kind that rooms pass on, with the numbers of the offer."""
    found: dict[Codec, AudioFormat] = {}
    for each in offered:
        if each.encoding.upper() not in ("VP8", "H264") or each.clock_rate != 90_000:
            continue
        known = found.get(codec_of(each))
        if known is None or (_is_baseline(each) and not _is_baseline(known)):
            found[codec_of(each)] = each
    order = (("VP8", ""), ("H264", "1"), ("H264", "0"))
    return tuple(_answered(found[codec]) for codec in order if codec in found)


def _answered(each: AudioFormat) -> AudioFormat:
    parameters = _parameters(each)
    kept = ";".join(f"{name}={parameters[name]}" for name in _REPEATED if name in parameters)
    is_known = each.encoding.upper() == "H264"
    return AudioFormat(each.payload_type, each.encoding, each.clock_rate, 1, kept if is_known else "")


def _parameters(each: AudioFormat) -> dict[str, str]:
    pairs = (part.strip(" ").partition("=") for part in each.parameters.split(";"))
    return {name.lower(): value for name, _, value in pairs if name}


def _is_baseline(each: AudioFormat) -> bool:
    return _parameters(each).get("profile-level-id", "").lower().startswith(_BASELINE)


def _wishes(media: MediaDescription, formats: Iterable[AudioFormat]) -> list[str]:
    numbers = {"*", *(str(each.payload_type) for each in formats)}
    found: list[str] = []
    for value in media.attribute_values("rtcp-fb"):
        number, _, wish = value.partition(" ")
        if number in numbers:
            found.append(wish.strip(" "))
    return found


# --- writing -----------------------------------------------------------------------------------------


def _feedback_lines(media: MediaDescription, formats: Sequence[AudioFormat]) -> list[Line]:
    """Of what is offered for each format that which we know (RFC 4585 section 4.2)."""
    return [
        Line("a", f"rtcp-fb:{each.payload_type} {wish}")
        for each in formats
        for wish in _FEEDBACK
        if wish in _wishes(media, (each,))
    ]


def _transport(
    capabilities: VideoCapabilities, *, borrows: bool, offered: StreamDescription | None = None
) -> list[Line]:
    """A bundled stream need not say where it is; in answers it repeats the keys of its transport.

    RFC 8843 section 7.1.3 has them only with the first stream, but aiortc refuses a stream without them.
    """
    lines = transport_lines(capabilities.local, offered=offered)
    if not borrows:
        return lines
    kept = _REPEATED_KEYS if offered is not None else ("rtcp-mux",)
    return [line for line in lines if line.value.partition(":")[0] in kept]


def _written(
    protocol: str,
    formats: Sequence[AudioFormat],
    capabilities: VideoCapabilities,
    feedback: Sequence[Line],
    *,
    mid: str | None,
    way: Direction,
    transport: Sequence[Line],
) -> MediaDescription:
    numbers = tuple(str(each.payload_type) for each in formats)
    line = MediaLine("video", capabilities.local.address.port, protocol, numbers)
    lines = [Line("b", f"AS:{MOST_KILOBITS}")]
    if mid is not None:
        lines.append(Line("a", f"mid:{mid}"))
    lines += [each for one in formats for each in format_lines(one)]
    lines += [*feedback, Line("a", way.value), *transport]
    if is_dtls(protocol) and way.sends:
        lines.append(track_line(MediaDescription.new(line)))
        lines.append(Line("a", f"ssrc:{capabilities.source} cname:{capabilities.name}"))
    return MediaDescription.new(line, tuple(lines))
