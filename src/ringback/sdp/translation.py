# SPDX-License-Identifier: Apache-2.0
"""What is one leg of a bridge told of what the other one said?

    offer of A  -> translate_offer  -> our offer to B
    answer of B -> translate_answer -> our answer to A

What the media are goes through: order and number of m= lines, formats with their parameters, directions,
fax, labels. How they travel is ours: addresses, ports, ICE, keys (`LocalStream`, one for each m= line). Only
what is known to describe media is copied, so nothing a leg says of its own network or keys reaches the other.
Every function is pure; a description that cannot be passed on raises UnacceptableSession and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringback.sdp.attributes import AudioFormat, Direction, stream_formats
from ringback.sdp.bundle import bundle_tags, identification, is_open
from ringback.sdp.composition import (
    Bundle,
    bundle_lines,
    compose,
    lite_lines,
    refused,
    refused_as_it_was,
    transport_lines,
)
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.passage import Passage, format_lines, passed_lines, titles_and_bandwidths, track_line
from ringback.sdp.payload_numbers import appended, counterparts, numbers_for, payload_map
from ringback.sdp.security import is_dtls, is_rtp, is_udptl
from ringback.sdp.session import (
    MAXIMUM_FORMATS,
    MAXIMUM_MEDIA,
    Line,
    MediaDescription,
    MediaLine,
    SessionDescription,
    connection_line,
)
from ringback.sdp.stream import StreamDescription, effective_direction, stream_of

__all__ = ["LocalStream", "payload_map", "translate_answer", "translate_offer"]


def translate_offer(
    offer: SessionDescription,
    own: Sequence[LocalStream | None],
    *,
    session_id: int,
    previous: SessionDescription | None = None,
    added: Sequence[AudioFormat] = (),
    bundle: bool = False,
) -> SessionDescription:
    """Our offer of what `offer` offers.

    `own` has an element for each m= line, None for what cannot be bridged. `previous` is our own last
    description towards the leg that gets this one. `added` are formats of audio that we would transcode.
    """
    tags = bundle_tags(offer)
    group = Bundle() if bundle else None
    reserved = _all_numbers(offer) | _all_numbers(previous)
    host = _host(own)
    media: list[MediaDescription] = []
    mids = _offered_mids(offer, own, previous, is_needed=bundle)
    for index, (source, mid) in enumerate(zip(offer.media, mids, strict=True)):
        ours, before = _at(own, index), _media_at(previous, index)
        offered = None
        if ours is not None and is_open(source, tags):
            stream = _Stream(offer, source, ours, host, mid=mid)
            offered = _offered_media(stream, before, added=added, reserved=reserved, group=group)
        media.append(_closed(source, before, mid) if offered is None else offered)
    _check_something_left(media, own, offer)
    media += _left_over(previous, len(media))
    groups = bundle_lines([group.mids]) if group else []
    more = [*_bandwidths(offer), *groups, *lite_lines(own)]
    return compose(host, media, session_id=session_id, previous=previous, more=more)


def translate_answer(
    answer: SessionDescription,
    offer_of_target: SessionDescription,
    own: Sequence[LocalStream | None],
    *,
    session_id: int,
    previous: SessionDescription | None = None,
    transcodable: Sequence[AudioFormat] = (),
    bundle: bool = True,
) -> SessionDescription:
    """Our answer to `offer_of_target`, now that the other leg gave `answer`.

    `transcodable` are the formats that we can decode: one of them is named when the legs share no codec.
    `bundle` says whether we take the bundle that is offered.
    """
    tags = bundle_tags(offer_of_target) if bundle else {}
    groups: dict[str, Bundle] = {}
    host = _host(own)
    media: list[MediaDescription] = []
    for index, offered in enumerate(offer_of_target.media):
        ours, source = _at(own, index), _media_at(answer, index)
        answered = None
        if ours is not None and source is not None and source.line.port and is_open(offered, tags):
            target = stream_of(offer_of_target, index, tags=tags, allow_loopback=True)
            stream = _Stream(answer, source, ours, host, mid=target.mid)
            group = groups.setdefault(target.bundle_tag, Bundle()) if target.bundle_tag is not None else None
            answered = _answered_media(stream, offered, target, transcodable=transcodable, group=group)
        media.append(refused_as_it_was(offered) if answered is None else answered)
    _check_something_left(media, own, answer)
    more = [*_bandwidths(answer), *bundle_lines([each.mids for each in groups.values()]), *lite_lines(own)]
    return compose(host, media, session_id=session_id, previous=previous, more=more)


# --- one stream --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stream:
    """One m= line on its way: what its author said, and our end on the other side."""

    session: SessionDescription
    source: MediaDescription
    own: LocalStream
    session_host: str
    mid: str | None = None

    @property
    def is_one_kind(self) -> bool:
        """True when our end speaks what its author speaks: RTP, or fax."""
        ours, theirs = self.own.protocol, self.source.line.protocol
        return (is_rtp(ours), is_udptl(ours)) == (is_rtp(theirs), is_udptl(theirs))

    def written(
        self,
        line: MediaLine,
        passage: Passage,
        formats: Sequence[Line],
        *,
        way: Direction,
        transport: Sequence[Line],
    ) -> MediaDescription:
        """The whole m= section."""
        titles, bandwidths = titles_and_bandwidths(self.source)
        lines = [*titles]
        if self.own.address.host != self.session_host:
            lines.append(connection_line(self.own.address.host))
        lines += bandwidths
        if self.mid is not None:
            lines.append(Line("a", f"mid:{self.mid}"))
        lines += formats
        if is_rtp(line.protocol):
            lines.append(Line("a", way.value))
        if is_dtls(line.protocol) and way.sends:
            lines.append(track_line(self.source))
        return MediaDescription.new(line, (*lines, *transport))


def _offered_media(
    stream: _Stream,
    before: MediaDescription | None,
    *,
    added: Sequence[AudioFormat],
    reserved: set[int],
    group: Bundle | None,
) -> MediaDescription | None:
    """The m= section of our offer; None when nothing in it can be offered."""
    source, own = stream.source, stream.own
    used = stream_formats(before) if before is not None else ()
    bundled = group.numbers if group is not None else frozenset[int]()
    passage = _passage(source, own.protocol, numbers_for(stream_formats(source), used, reserved, bundled))
    numbers, lines = passage.formats(source), passed_lines(source, passage)
    more: tuple[AudioFormat, ...] = ()
    if source.line.media == "audio" and is_rtp(own.protocol):
        known = _renumbered(stream_formats(source), passage)
        more = appended(known, added, used, reserved)[: MAXIMUM_FORMATS - len(numbers)]
        numbers += tuple(str(each.payload_type) for each in more)
        lines += [line for each in more for line in format_lines(each)]
    if not _can_be_spoken(numbers, stream):
        return None
    is_shared = group is not None and stream.mid is not None and group.joins(stream.mid, own)
    if group is not None:
        # One number means one thing in all streams of a bundle (RFC 8843 section 9.1).
        group.numbers |= {number for number in passage.numbers.values() if str(number) in numbers}
        group.numbers |= {each.payload_type for each in more}
    transport = _borrowed_transport(own) if is_shared else transport_lines(own)
    line = MediaLine(source.line.media, own.address.port, own.protocol, numbers)
    if is_shared and not _is_known(before):
        # A new stream asks for a port of its own or for none (RFC 8843 section 7.2).
        line = replace(line, port=0)
        transport = [*transport, Line("a", "bundle-only")]
    way = effective_direction(stream.session, source)
    return stream.written(line, passage, lines, way=way, transport=transport)


def _answered_media(
    stream: _Stream,
    offered: MediaDescription,
    target: StreamDescription,
    *,
    transcodable: Sequence[AudioFormat],
    group: Bundle | None,
) -> MediaDescription | None:
    """The m= section of our answer; None when nothing in it can be taken."""
    source, own = stream.source, stream.own
    known = stream_formats(offered)
    passage = _passage(source, target.protocol, counterparts(stream_formats(source), known))
    numbers, lines = passage.formats(source), passed_lines(source, passage)
    is_sound = is_rtp(target.protocol) and target.kind == "audio"
    if is_sound and not _shares_codec(stream_formats(source), passage):
        chosen = _transcoded(known, transcodable)
        numbers = tuple(str(each.payload_type) for each in chosen)
        passage = _passage(source, target.protocol, {})
        lines = passed_lines(source, passage) + [line for each in chosen for line in format_lines(each)]
    if not _can_be_spoken(numbers, stream):
        return None
    is_shared = group is not None and stream.mid is not None and group.joins(stream.mid, own)
    transport = _borrowed_transport(own) if is_shared else transport_lines(own, offered=target)
    way = effective_direction(stream.session, source).meet(target.direction)
    line = MediaLine(target.kind, own.address.port, target.protocol, numbers)
    return stream.written(line, passage, lines, way=way, transport=transport)


def _renumbered(formats: Sequence[AudioFormat], passage: Passage) -> list[AudioFormat]:
    """The formats as the other side knows them."""
    numbers = passage.numbers
    return [
        replace(each, payload_type=numbers[each.payload_type])
        for each in formats
        if each.payload_type in numbers
    ]


def _shares_codec(answered: Sequence[AudioFormat], passage: Passage) -> bool:
    """True when an answered codec was offered, or when the stream is for events only."""
    codecs = [each.payload_type for each in answered if each.is_codec]
    return any(number in passage.numbers for number in codecs) if codecs else bool(passage.numbers)


def _passage(source: MediaDescription, target_protocol: str, numbers: dict[int, int]) -> Passage:
    return Passage(numbers, source.line.protocol, target_protocol)


def _transcoded(offered: Sequence[AudioFormat], transcodable: Sequence[AudioFormat]) -> list[AudioFormat]:
    """The offered codec we like to speak to a leg that shares none with the other; its events with it."""
    for theirs in offered:
        ours = next((each for each in transcodable if each.is_codec and each.is_same_encoding(theirs)), None)
        if ours is None or not theirs.is_codec:
            continue
        aside = [each for each in offered if not each.is_codec and each.clock_rate == theirs.clock_rate]
        return [replace(ours, payload_type=theirs.payload_type), *aside]
    return []


def _can_be_spoken(numbers: Sequence[str], stream: _Stream) -> bool:
    """False without a format in common, and between RTP and something else."""
    return bool(numbers) and stream.is_one_kind


def _check_something_left(
    told: Sequence[MediaDescription], own: Sequence[LocalStream | None], said: SessionDescription
) -> None:
    """Refuse when there was something to pass on, and nothing of it could be."""
    was_open = any(ours is not None and media.line.port for ours, media in zip(own, said.media, strict=False))
    if was_open and not any(media.line.port for media in told):
        raise UnacceptableSession(
            "no stream has a codec in common",
            warning=WarnCode.INCOMPATIBLE_MEDIA_FORMAT,
            section="RFC 3264 6",
        )


def _borrowed_transport(own: LocalStream) -> list[Line]:
    """What a bundled stream repeats of the transport it shares: RTCP on one port (RFC 8843 section 9.2)."""
    return [Line("a", "rtcp-mux")] if own.rtcp_mux else []


# --- the whole ---------------------------------------------------------------------------------------


def _at(own: Sequence[LocalStream | None], index: int) -> LocalStream | None:
    return own[index] if index < len(own) else None


def _media_at(session: SessionDescription | None, index: int) -> MediaDescription | None:
    return session.media[index] if session is not None and index < len(session.media) else None


def _all_numbers(session: SessionDescription | None) -> set[int]:
    """Every payload number in sight: in a bundle it means one thing in all streams (RFC 8843 section 9.1)."""
    media = session.media if session is not None else ()
    return {format_.payload_type for each in media for format_ in stream_formats(each)}


def _is_known(before: MediaDescription | None) -> bool:
    """True when the other end has seen this stream in the bundle."""
    return before is not None and bool(before.line.port or before.attribute("bundle-only") is not None)


def _offered_mids(
    offer: SessionDescription,
    own: Sequence[LocalStream | None],
    previous: SessionDescription | None,
    *,
    is_needed: bool,
) -> list[str | None]:
    """The mid of every stream: as it was, as we are told, or that of the other leg, else its place.

    The same mid on both legs is best: it travels in header extensions (RFC 8843 section 15). When one
    stream has a mid, all have, also the refused ones: browsers insist.
    """
    is_needed = is_needed or any(each is not None and is_dtls(each.protocol) for each in own)
    mids: list[str | None] = []
    for index, source in enumerate(offer.media):
        ours, before = _at(own, index), _media_at(previous, index)
        earlier = identification(before) if before is not None else None
        told = ours.mid if ours is not None and earlier is None else earlier
        wanted = identification(source) if told is None and is_needed else told
        mids.append(wanted if wanted is not None and wanted not in mids else None)
    kept = previous.media[len(mids) :] if previous is not None else ()
    taken = {*mids, *map(identification, kept)}
    free = (str(number) for number in range(3 * MAXIMUM_MEDIA) if str(number) not in taken)
    return [next(free) if mid is None and is_needed else mid for mid in mids]


def _closed(source: MediaDescription, before: MediaDescription | None, mid: str | None) -> MediaDescription:
    """A refused stream of an offer; what it once was in this session, it remains."""
    return refused(source.line if before is None else before.line, mid)


def _left_over(previous: SessionDescription | None, count: int) -> list[MediaDescription]:
    """Streams of the session that the new other leg does not have: m= lines never go (RFC 3264 section 8)."""
    return [refused_as_it_was(media) for media in previous.media[count:]] if previous is not None else []


def _bandwidths(session: SessionDescription) -> list[Line]:
    return [line for line in session.lines if line.type == "b"]


def _host(own: Sequence[LocalStream | None]) -> str:
    """The address of the session; the one that leads nowhere when every stream is refused."""
    return next((each.address.host for each in own if each is not None), "0.0.0.0")  # noqa: S104
