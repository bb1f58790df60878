# SPDX-License-Identifier: Apache-2.0
"""Which stream do two ends agree on? RFC 3264 with RFC 6337, for one audio stream.

    offerer:    make_offer(...)  ->  the peer  ->  negotiate(local=offer, remote=answer)
    answerer:   make_answer(offer, ...)        ->  negotiate(local=answer, remote=offer)

Every function is pure. `previous` is our own last description of the session: the order of the m= lines, the
payload numbers in use and the version of o= go on from there (RFC 3264 section 8). An offer that cannot be
taken raises UnacceptableSession (488) and changes nothing. How the stream is secured stands in
`AudioCapabilities.local`: without one it is plain RTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ringback.sdp.addresses import is_loopback
from ringback.sdp.attributes import (
    COMFORT_NOISE,
    TELEPHONE_EVENT,
    AudioFormat,
    Direction,
    audio_formats,
    direction,
    packet_time_ms,
    preferred_packet_time_ms,
)
from ringback.sdp.audio_capabilities import AudioCapabilities, free_numbers
from ringback.sdp.bundle import bundle_tags, identification, is_open
from ringback.sdp.composition import (
    bundle_lines,
    compose,
    lite_lines,
    refused_as_it_was,
    transport_lines,
)
from ringback.sdp.crypto import CryptoLine, agreed_crypto, crypto_lines
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.passage import format_lines, track_line
from ringback.sdp.security import Security, is_dtls, is_rtp, is_srtp
from ringback.sdp.session import MAXIMUM_MEDIA, Line, MediaDescription, MediaLine, SessionDescription
from ringback.sdp.stream import StreamDescription, effective_direction, stream_of
from ringback.sdp.video_stream import VideoCapabilities, is_video, video_answer, video_offer
from ringback.sip.flow import Address

__all__ = ["AudioCapabilities", "NegotiatedAudio", "make_answer", "make_offer", "negotiate"]


@dataclass(frozen=True, slots=True)
class NegotiatedAudio:
    """The stream both ends agreed on, seen from our side.

    `remote` and `remote_rtcp` are None when the peer wants nothing sent (c=0.0.0.0), or when ICE will tell.
    `receive` maps payload numbers that may come in; `send` is what we send. `crypto` are our key and the
    peer's, `remote_stream` is all the peer said.
    """

    send: AudioFormat
    receive: Mapping[int, AudioFormat]
    remote: Address | None
    remote_rtcp: Address | None
    direction: Direction
    packet_time_ms: int
    telephone_event: int | None
    comfort_noise: int | None = None
    crypto: tuple[CryptoLine, CryptoLine] | None = None
    remote_stream: StreamDescription | None = None


def make_offer(
    capabilities: AudioCapabilities,
    *,
    session_id: int,
    wanted: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
    video: VideoCapabilities | None = None,
) -> SessionDescription:
    """An offer of one audio stream (RFC 3264 section 5), or a changed one (section 8).

    With `video` that which `previous` has goes on.
    """
    own = capabilities.own
    formats = _numbered(capabilities.all_formats, previous)
    index = _own_audio_index(previous)
    media = [_kept(each, video) for each in previous.media] if previous else []
    mid = _offered_mid(own, previous, len(media) if index is None else index)
    line = MediaLine("audio", own.address.port, own.protocol, _numbers(formats))
    audio = _audio_media(capabilities, line, formats, wanted=wanted, mid=mid)
    if index is None:
        media.append(audio)
    else:
        media[index] = audio
    if len(media) > MAXIMUM_MEDIA:
        raise UnacceptableSession("the session has no room for another stream", section="RFC 3264 8.1")
    groups = [] if mid is None else [[mid]]
    if groups and video is not None and video.is_bundled:
        groups[0] += [each for each in map(_open_video_mid, media) if each is not None]
    return _description(capabilities, media, groups, session_id=session_id, previous=previous)


def make_answer(
    offer: SessionDescription,
    capabilities: AudioCapabilities,
    *,
    session_id: int,
    wanted: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
    video: VideoCapabilities | None = None,
) -> SessionDescription:
    """The answer to `offer` (RFC 3264 section 6): the first usable audio stream, port 0 for all others.

    With `video` also the first usable stream of that.
    """
    tags = bundle_tags(offer)
    answers: list[MediaDescription] = []
    groups: list[list[str]] = []
    refusal: UnacceptableSession | None = None
    has_audio = False
    for index, media in enumerate(offer.media):
        answer = refused_as_it_was(media)
        if not has_audio and is_open(media, tags):
            try:
                answer, stream = _audio_answer(offer, index, tags, capabilities, wanted=wanted)
                has_audio = True
                if stream.mid is not None and stream.bundle_tag is not None:
                    groups.append([stream.mid])
            except UnacceptableSession as error:
                refusal = refusal or error
        answers.append(answer)
    if refusal and not has_audio:
        raise refusal
    if video is not None and has_audio:
        _answer_video(offer, tags, video, answers, groups)
    return _description(capabilities, answers, groups, session_id=session_id, previous=previous)


def negotiate(
    local: SessionDescription, remote: SessionDescription, *, allow_loopback: bool | None = None
) -> NegotiatedAudio | None:
    """What offer and answer agree on; None when no stream is left (every port is 0).

    `allow_loopback` as in `AudioCapabilities`.
    """
    if len(local.media) != len(remote.media):
        raise UnacceptableSession("offer and answer differ in their number of m= lines", section="RFC 3264 6")
    tags = bundle_tags(remote)
    for index, (ours, theirs) in enumerate(zip(local.media, remote.media, strict=True)):
        if ours.line.port and ours.line.media == "audio" and is_open(theirs, tags):
            own_host = ours.connection_host or local.connection_host or local.origin.host
            may_loop = is_loopback(own_host) if allow_loopback is None else allow_loopback
            _check_kind(theirs, ours.line.protocol)
            stream = stream_of(remote, index, tags=tags, allow_loopback=may_loop)
            _check_reachable(Address(own_host, ours.line.port), stream)
            peer_direction = effective_direction(remote, theirs)
            return _negotiated(ours, theirs, stream, direction(local, ours).meet(peer_direction))
    return None


# --- answering ---------------------------------------------------------------------------------------


def _answer_video(
    offer: SessionDescription,
    tags: dict[str, str],
    video: VideoCapabilities,
    answers: list[MediaDescription],
    groups: list[list[str]],
) -> None:
    """Take the first stream of video that we can; the sound does without when there is none."""
    for index, media in enumerate(offer.media):
        if not is_video(media, tags):
            continue
        with suppress(UnacceptableSession):
            answers[index] = video_answer(offer, index, tags, video, borrows=video.is_bundled)
            if video.is_bundled and groups:
                groups[0].append(str(identification(media)))
            return


def _kept(media: MediaDescription, video: VideoCapabilities | None) -> MediaDescription:
    """A stream of ours beside the sound, in the next offer."""
    if video is None or media.line.media != "video" or not media.line.port:
        return refused_as_it_was(media)
    return video_offer(media, video)


def _open_video_mid(media: MediaDescription) -> str | None:
    is_open_video = media.line.media == "video" and media.line.port
    return identification(media) if is_open_video else None


def _audio_answer(
    offer: SessionDescription,
    index: int,
    tags: dict[str, str],
    capabilities: AudioCapabilities,
    *,
    wanted: Direction,
) -> tuple[MediaDescription, StreamDescription]:
    media, own = offer.media[index], capabilities.own
    _check_security(media, own)
    common = _common_formats(audio_formats(media), capabilities.all_formats)
    if not any(each.is_codec for each in common):
        raise _no_codec()
    stream = stream_of(offer, index, tags=tags, allow_loopback=capabilities.loopback_is_allowed)
    _check_reachable(own.address, stream)
    answer = _audio_media(
        replace(capabilities, packet_time_ms=preferred_packet_time_ms(media, capabilities.packet_time_ms)),
        MediaLine("audio", own.address.port, media.line.protocol, _numbers(common)),
        common,
        wanted=wanted.meet(effective_direction(offer, media)),
        mid=stream.mid,
        offered=stream,
    )
    return answer, stream


def _check_security(media: MediaDescription, own: LocalStream) -> None:
    """Refuse what our end cannot secure, and what it must not leave unsecured."""
    insists = is_srtp(own.protocol)
    protocol = media.line.protocol
    has_keys = bool(own.crypto or own.fingerprint) if is_srtp(protocol) else not insists
    if is_dtls(protocol):
        has_keys = own.fingerprint is not None
    _check_kind(media, protocol if has_keys else own.protocol)


def _check_kind(media: MediaDescription, expected: str) -> None:
    """Refuse what is no audio over RTP, or not of the same kind as `expected` (SRTP or not)."""
    if media.line.media != "audio":
        raise UnacceptableSession(
            "no audio is offered", warning=WarnCode.MEDIA_TYPE_NOT_AVAILABLE, section="RFC 3264 6"
        )
    protocol = media.line.protocol
    if not is_rtp(protocol) or (is_srtp(protocol), is_dtls(protocol)) != (
        is_srtp(expected),
        is_dtls(expected),
    ):
        raise UnacceptableSession(
            f"the audio is not offered over {expected}",
            warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL,
            section="RFC 3264 6",
        )


def _common_formats(offered: Sequence[AudioFormat], known: Sequence[AudioFormat]) -> tuple[AudioFormat, ...]:
    """Ours among the offered ones, in the order and with the numbers of the offer (RFC 3264 section 6.1).

    Of an encoding offered twice the first number counts. Events and comfort noise need a codec of the same
    clock rate (RFC 4733 section 2.1, RFC 3389 section 4).
    """
    common: list[AudioFormat] = []
    for theirs in offered:
        ours = next((each for each in known if each.is_same_encoding(theirs)), None)
        if ours is not None and not any(each.is_same_encoding(ours) for each in common):
            common.append(replace(ours, payload_type=theirs.payload_type))
    clocks = {each.clock_rate for each in common if each.is_codec}
    return tuple(each for each in common if each.is_codec or not clocks or each.clock_rate in clocks)


def _check_reachable(own: Address, stream: StreamDescription) -> None:
    """Refuse the other address family, and ourselves. With ICE the candidates decide."""
    rtp = stream.rtp
    if rtp is None or stream.ice is not None:
        return
    if (":" in own.host) != (":" in rtp.host):
        raise UnacceptableSession(
            f"media cannot be sent from {own.host} to {rtp.host}",
            warning=WarnCode.INCOMPATIBLE_ADDRESS_FORMAT,
            section="RFC 8866 5.7",
        )
    if own == rtp:
        raise UnacceptableSession("media would be sent to its own sender", section="RFC 8866 5.7")


# --- agreeing ----------------------------------------------------------------------------------------


def _negotiated(
    ours: MediaDescription, theirs: MediaDescription, stream: StreamDescription, way: Direction
) -> NegotiatedAudio:
    local_formats = audio_formats(ours)
    common = [each for each in stream.formats if any(each.is_same_encoding(other) for other in local_formats)]
    send = next((each for each in common if each.is_codec), None)
    if send is None:
        raise _no_codec()
    has_mux = stream.rtcp_mux and ours.attribute("rtcp-mux") is not None
    return NegotiatedAudio(
        send=send,
        receive={each.payload_type: each for each in (*common, *local_formats)},
        remote=stream.rtp,
        remote_rtcp=stream.rtp if has_mux else stream.rtcp,
        direction=way,
        packet_time_ms=preferred_packet_time_ms(theirs, packet_time_ms(ours, "ptime") or 20),
        telephone_event=_beside(send, TELEPHONE_EVENT, common),
        comfort_noise=_beside(send, COMFORT_NOISE, common),
        crypto=_agreed_keys(ours, stream),
        remote_stream=stream,
    )


def _beside(send: AudioFormat, encoding: str, common: Sequence[AudioFormat]) -> int | None:
    """The number of what rides along with `send`: of the same clock."""
    riders = (each for each in common if each.encoding.lower() == encoding.lower())
    return next((each.payload_type for each in riders if each.clock_rate == send.clock_rate), None)


def _agreed_keys(ours: MediaDescription, stream: StreamDescription) -> tuple[CryptoLine, CryptoLine] | None:
    agreed = agreed_crypto(crypto_lines(ours), stream.crypto)
    if agreed is None and stream.security is Security.SDES:
        raise UnacceptableSession("no a=crypto in common", section="RFC 4568 5.1.3")
    return agreed


def _no_codec() -> UnacceptableSession:
    return UnacceptableSession(
        "no common audio codec", warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT, section="RFC 3264 6"
    )


# --- writing -----------------------------------------------------------------------------------------


def _description(
    capabilities: AudioCapabilities,
    media: Sequence[MediaDescription],
    groups: Sequence[Sequence[str]],
    *,
    session_id: int,
    previous: SessionDescription | None,
) -> SessionDescription:
    own = capabilities.own
    more = [*bundle_lines(groups), *lite_lines([own])]
    return compose(own.address.host, media, session_id=session_id, previous=previous, more=more)


def _audio_media(
    capabilities: AudioCapabilities,
    line: MediaLine,
    formats: Sequence[AudioFormat],
    *,
    wanted: Direction,
    mid: str | None,
    offered: StreamDescription | None = None,
) -> MediaDescription:
    lines = [] if mid is None else [Line("a", f"mid:{mid}")]
    lines += [each for one in formats for each in format_lines(one)]
    lines += [Line("a", f"ptime:{capabilities.packet_time_ms}"), Line("a", wanted.value)]
    lines += transport_lines(capabilities.own, offered=offered)
    if is_dtls(line.protocol) and wanted.sends:
        lines.append(track_line(MediaDescription.new(line)))
    return MediaDescription.new(line, tuple(lines))


def _numbers(formats: Sequence[AudioFormat]) -> tuple[str, ...]:
    return tuple(str(each.payload_type) for each in formats)


def _offered_mid(own: LocalStream, previous: SessionDescription | None, index: int) -> str | None:
    """The mid of our stream: as it was, as we are told, or its place when browsers need one."""
    earlier = None
    if previous is not None and index < len(previous.media):
        earlier = previous.media[index].attribute("mid")
    if earlier is not None or own.mid is not None:
        return earlier if earlier is not None else own.mid
    return str(index) if is_dtls(own.protocol) else None


def _own_audio_index(previous: SessionDescription | None) -> int | None:
    if previous is None:
        return None
    return next(
        (
            index
            for index, media in enumerate(previous.media)
            if media.line.port and media.line.media == "audio" and is_rtp(media.line.protocol)
        ),
        None,
    )


def _numbered(formats: Sequence[AudioFormat], previous: SessionDescription | None) -> tuple[AudioFormat, ...]:
    """`formats` with the numbers they already have in this session (RFC 3264 section 8.3.2)."""
    index = _own_audio_index(previous)
    used = audio_formats(previous.media[index]) if previous and index is not None else ()
    taken = {each.payload_type for each in used}
    free = free_numbers(taken | {each.payload_type for each in formats})
    numbered: list[AudioFormat] = []
    for each in formats:
        known = next((other for other in used if other.is_same_encoding(each)), None)
        if known is not None:
            numbered.append(replace(each, payload_type=known.payload_type))
        else:
            numbered.append(replace(each, payload_type=next(free)) if each.payload_type in taken else each)
    return tuple(numbered)
