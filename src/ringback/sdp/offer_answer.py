# SPDX-License-Identifier: Apache-2.0
"""Which stream do two ends agree on? RFC 3264 with RFC 6337, for one audio stream.

    offerer:    make_offer(...)  ->  the peer  ->  negotiate(local=offer, remote=answer)
    answerer:   make_answer(offer, ...)        ->  negotiate(local=answer, remote=offer)

Every function is pure. `previous` is our own last description of the session: the order of the m= lines, the
payload numbers in use and the version of o= go on from there (RFC 3264 section 8). An offer that cannot be
taken raises UnacceptableSession (488) and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ringback.sdp.addresses import is_loopback, is_relayable, is_unspecified
from ringback.sdp.attributes import (
    FIRST_DYNAMIC_PAYLOAD_TYPE,
    HIGHEST_PAYLOAD_TYPE,
    TELEPHONE_EVENT,
    AudioFormat,
    Direction,
    audio_formats,
    direction,
    packet_time_ms,
    rtcp_address,
)
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.session import (
    MAXIMUM_MEDIA,
    Line,
    MediaDescription,
    MediaLine,
    Origin,
    SessionDescription,
    connection_line,
)
from ringback.sip.flow import Address

#: RTP/SAVP comes with SRTP.
PROTOCOLS = ("RTP/AVP", "RTP/AVPF")

_EVENT_PARAMETERS = "0-16"
_SHORTEST_PACKET_MS = 10
_LONGEST_PACKET_MS = 60


@dataclass(frozen=True, slots=True)
class AudioCapabilities:
    """What we can do: formats in order of preference, and where we listen.

    `telephone_event` is the payload number offered for RFC 4733, None to do without.
    `allow_loopback` says whether media may go to this machine itself; by default it may when we listen there.
    """

    formats: tuple[AudioFormat, ...]
    address: Address
    rtcp_port: int | None = None
    packet_time_ms: int = 20
    telephone_event: int | None = 101
    allow_loopback: bool | None = None

    @property
    def loopback_is_allowed(self) -> bool:
        return is_loopback(self.address.host) if self.allow_loopback is None else self.allow_loopback

    @property
    def all_formats(self) -> tuple[AudioFormat, ...]:
        """The codecs and, last, telephone-event."""
        if self.telephone_event is None:
            return self.formats
        return (
            *self.formats,
            AudioFormat(self.telephone_event, TELEPHONE_EVENT, parameters=_EVENT_PARAMETERS),
        )


@dataclass(frozen=True, slots=True)
class NegotiatedAudio:
    """The stream both ends agreed on, seen from our side.

    `remote` and `remote_rtcp` are None when the peer wants nothing sent (c=0.0.0.0).
    `receive` maps payload numbers that may come in; `send` is what we send.
    """

    send: AudioFormat
    receive: Mapping[int, AudioFormat]
    remote: Address | None
    remote_rtcp: Address | None
    direction: Direction
    packet_time_ms: int
    telephone_event: int | None


def make_offer(
    capabilities: AudioCapabilities,
    *,
    session_id: int,
    wanted: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
) -> SessionDescription:
    """An offer of one audio stream (RFC 3264 section 5), or a changed one (section 8)."""
    formats = _numbered(capabilities.all_formats, previous)
    audio = _audio_media(capabilities, formats, wanted=wanted, protocol=PROTOCOLS[0])
    media = [_rejected(each) for each in previous.media] if previous else []
    index = _own_audio_index(previous)
    if index is None:
        media.append(audio)
    else:
        media[index] = audio
    if len(media) > MAXIMUM_MEDIA:
        raise UnacceptableSession("the session has no room for another stream", section="RFC 3264 8.1")
    return _description(capabilities, media, session_id=session_id, previous=previous)


def make_answer(
    offer: SessionDescription,
    capabilities: AudioCapabilities,
    *,
    session_id: int,
    wanted: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
) -> SessionDescription:
    """The answer to `offer` (RFC 3264 section 6): the first usable audio stream, port 0 for all others."""
    answers: list[MediaDescription] = []
    refusal: UnacceptableSession | None = None
    has_audio = False
    for media in offer.media:
        answer = _rejected(media)
        if media.line.port and not has_audio:
            try:
                answer = _audio_answer(offer, media, capabilities, wanted=wanted)
                has_audio = True
            except UnacceptableSession as error:
                refusal = refusal or error
        answers.append(answer)
    if refusal and not has_audio:
        raise refusal
    return _description(capabilities, answers, session_id=session_id, previous=previous)


def negotiate(local: SessionDescription, remote: SessionDescription) -> NegotiatedAudio | None:
    """What offer and answer agree on; None when no stream is left (every port is 0)."""
    if len(local.media) != len(remote.media):
        raise UnacceptableSession("offer and answer differ in their number of m= lines", section="RFC 3264 6")
    for ours, theirs in zip(local.media, remote.media, strict=True):
        if ours.line.port and theirs.line.port:
            return _negotiated(local, ours, remote, theirs)
    return None


# --- answering ---------------------------------------------------------------------------------------


def _audio_answer(
    offer: SessionDescription, media: MediaDescription, capabilities: AudioCapabilities, *, wanted: Direction
) -> MediaDescription:
    _check_kind(media)
    common = _common_formats(audio_formats(media), capabilities.all_formats)
    if not any(each.is_codec for each in common):
        raise UnacceptableSession(
            "no common audio codec", warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT, section="RFC 3264 6"
        )
    own = Address(capabilities.address.host, capabilities.address.port)
    remote, _ = _remote_addresses(offer, media, own=own, allow_loopback=capabilities.loopback_is_allowed)
    offered = _effective_direction(offer, media, remote)
    return _audio_media(
        replace(capabilities, packet_time_ms=_packet_time(media, capabilities.packet_time_ms)),
        common,
        wanted=wanted.meet(offered),
        protocol=media.line.protocol,
    )


def _check_kind(media: MediaDescription) -> None:
    if media.line.media != "audio":
        raise UnacceptableSession(
            "no audio is offered", warning=WarnCode.MEDIA_TYPE_NOT_AVAILABLE, section="RFC 3264 6"
        )
    if media.line.protocol not in PROTOCOLS:
        raise UnacceptableSession(
            "the audio is not offered over RTP/AVP",
            warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL,
            section="RFC 3264 6",
        )


def _common_formats(offered: Sequence[AudioFormat], known: Sequence[AudioFormat]) -> tuple[AudioFormat, ...]:
    """Ours among the offered ones, in the order and with the numbers of the offer (RFC 3264 section 6.1).

    Of an encoding offered twice the first number counts. Events need a codec of the same clock rate
    (RFC 4733 section 2.1), which the clock rate in the comparison sees to.
    """
    common: list[AudioFormat] = []
    for theirs in offered:
        ours = next((each for each in known if each.is_same_encoding(theirs)), None)
        if ours is not None and not any(each.is_same_encoding(ours) for each in common):
            common.append(replace(ours, payload_type=theirs.payload_type))
    return tuple(common)


def _effective_direction(
    session: SessionDescription, media: MediaDescription, remote: Address | None
) -> Direction:
    """The peer's direction; c=0.0.0.0 is the hold of RFC 2543: it receives nothing (RFC 3264 8.4)."""
    stated = direction(session, media)
    return stated if remote is not None else Direction.of(sends=stated.sends, receives=False)


# --- agreeing ----------------------------------------------------------------------------------------


def _negotiated(
    local: SessionDescription, ours: MediaDescription, remote: SessionDescription, theirs: MediaDescription
) -> NegotiatedAudio:
    _check_kind(theirs)
    own_host = ours.connection_host or local.connection_host or local.origin.host
    remote_rtp, remote_rtcp = _remote_addresses(
        remote, theirs, own=Address(own_host, ours.line.port), allow_loopback=is_loopback(own_host)
    )
    local_formats = audio_formats(ours)
    common = [
        each for each in audio_formats(theirs) if any(each.is_same_encoding(other) for other in local_formats)
    ]
    send = next((each for each in common if each.is_codec), None)
    if send is None:
        raise UnacceptableSession(
            "no common audio codec", warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT, section="RFC 3264 6"
        )
    events = (each for each in common if each.encoding.lower() == TELEPHONE_EVENT)
    event = next((each for each in events if each.clock_rate == send.clock_rate), None)
    return NegotiatedAudio(
        send=send,
        receive={each.payload_type: each for each in (*common, *local_formats)},
        remote=remote_rtp,
        remote_rtcp=remote_rtcp,
        direction=direction(local, ours).meet(_effective_direction(remote, theirs, remote_rtp)),
        packet_time_ms=_packet_time(theirs, packet_time_ms(ours, "ptime") or 20),
        telephone_event=event.payload_type if event else None,
    )


def _remote_addresses(
    session: SessionDescription, media: MediaDescription, *, own: Address, allow_loopback: bool
) -> tuple[Address | None, Address | None]:
    """Where the peer listens for RTP and RTCP. Both None for the unspecified address."""
    host = media.connection_host or session.connection_host
    if host is None:
        raise UnacceptableSession("there is no c= line for the stream", section="RFC 8866 5.7")
    if is_unspecified(host):
        return None, None
    port = media.line.port
    stated_port, stated_host = rtcp_address(media) or (min(port + 1, 65_535), None)
    rtp, rtcp = Address(host, port), Address(stated_host or host, stated_port)
    for address in (rtp, rtcp):
        if not is_relayable(address.host, allow_loopback=allow_loopback):
            raise UnacceptableSession(
                f"media cannot be sent to {address.host}",
                warning=WarnCode.INCOMPATIBLE_ADDRESS_FORMAT,
                section="RFC 8866 5.7",
            )
    if (":" in own.host) != (":" in host):
        raise UnacceptableSession(
            f"media cannot be sent from {own.host} to {host}",
            warning=WarnCode.INCOMPATIBLE_ADDRESS_FORMAT,
            section="RFC 8866 5.7",
        )
    if own == rtp:
        raise UnacceptableSession("media would be sent to its own sender", section="RFC 8866 5.7")
    return rtp, rtcp if stated_port else None


def _packet_time(media: MediaDescription, wanted: int) -> int:
    """What the peer likes to get (RFC 8866 section 6.4), in whole tens of milliseconds and within reason."""
    liked = packet_time_ms(media, "ptime") or wanted
    liked = min(liked, packet_time_ms(media, "maxptime") or liked)
    return max(_SHORTEST_PACKET_MS, min(liked, _LONGEST_PACKET_MS)) // 10 * 10


# --- writing -----------------------------------------------------------------------------------------


def _description(
    capabilities: AudioCapabilities,
    media: Sequence[MediaDescription],
    *,
    session_id: int,
    previous: SessionDescription | None,
) -> SessionDescription:
    """The whole text. The version of o= grows by one when anything else changed (RFC 3264 section 8)."""
    host = capabilities.address.host
    origin = previous.origin if previous else Origin("-", str(session_id), str(session_id), host)

    def written(version: str) -> SessionDescription:
        return SessionDescription(
            (
                Line("v", "0"),
                Line("o", str(replace(origin, version=version, host=host))),
                Line("s", "-"),
                connection_line(host),
                Line("t", "0 0"),
            ),
            tuple(media),
        )

    same = written(origin.version)
    if previous is None or same == previous:
        return same
    return written(str(int(origin.version) + 1))  # checked: our own number


def _audio_media(
    capabilities: AudioCapabilities, formats: Sequence[AudioFormat], *, wanted: Direction, protocol: str
) -> MediaDescription:
    port = capabilities.address.port
    lines: list[str] = []
    for each in formats:
        lines.append(f"rtpmap:{each.rtpmap}")
        if each.parameters:
            lines.append(f"fmtp:{each.payload_type} {each.parameters}")
    lines += [f"ptime:{capabilities.packet_time_ms}", wanted.value]
    if capabilities.rtcp_port not in (None, port + 1):
        lines.append(f"rtcp:{capabilities.rtcp_port}")
    numbers = tuple(str(each.payload_type) for each in formats)
    return MediaDescription.new(
        MediaLine("audio", port, protocol, numbers), tuple(Line("a", line) for line in lines)
    )


def _rejected(media: MediaDescription) -> MediaDescription:
    """The same m= line with port 0: no stream here (RFC 3264 section 6)."""
    return MediaDescription.new(replace(media.line, port=0, port_count=None))


def _own_audio_index(previous: SessionDescription | None) -> int | None:
    if previous is None:
        return None
    return next(
        (
            index
            for index, media in enumerate(previous.media)
            if media.line.port and media.line.media == "audio" and media.line.protocol in PROTOCOLS
        ),
        None,
    )


def _numbered(formats: Sequence[AudioFormat], previous: SessionDescription | None) -> tuple[AudioFormat, ...]:
    """`formats` with the numbers they already have in this session (RFC 3264 section 8.3.2)."""
    index = _own_audio_index(previous)
    used = audio_formats(previous.media[index]) if previous and index is not None else ()
    taken = {each.payload_type for each in used}
    free = _free_numbers(taken | {each.payload_type for each in formats})
    numbered: list[AudioFormat] = []
    for each in formats:
        known = next((other for other in used if other.is_same_encoding(each)), None)
        if known is not None:
            numbered.append(replace(each, payload_type=known.payload_type))
        else:
            numbered.append(replace(each, payload_type=next(free)) if each.payload_type in taken else each)
    return tuple(numbered)


def _free_numbers(taken: set[int]) -> Iterator[int]:
    return (each for each in range(FIRST_DYNAMIC_PAYLOAD_TYPE, HIGHEST_PAYLOAD_TYPE + 1) if each not in taken)
