# SPDX-License-Identifier: Apache-2.0
"""What is known of one leg of a bridge? What was said on both sides, and the sockets that came of it.

A leg takes offers and makes them, and the answers to both (RFC 3264). Nothing of a new negotiation is in
force before its answer is there; what fails leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringback.media.facilities import Carrier, Facilities
from ringback.media.fax_port import FaxPort
from ringback.media.leg_ports import LegPorts
from ringback.media.plane import LegProfile
from ringback.media.transcodable import decodable_formats, formats_of
from ringback.sdp.addresses import is_loopback
from ringback.sdp.attributes import AudioFormat, stream_formats
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.security import Security, has_feedback, is_dtls, is_rtp, is_udptl
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import StreamDescription, streams_of
from ringback.sdp.translation import translate_answer, translate_offer

_ENCRYPTED = (Security.SDES, Security.DTLS)


@dataclass(frozen=True, slots=True)
class Statement:
    """A description with its streams read."""

    description: SessionDescription
    streams: tuple[StreamDescription, ...]


class Leg:
    """One end of a bridge, as we see it."""

    def __init__(self, name: str, profile: LegProfile, facilities: Facilities) -> None:
        self.name = name
        self.profile = profile
        self._facilities = facilities
        self._session_id = int.from_bytes(facilities.random_bytes(4), "big") >> 1
        self._host = ""
        #: One for each m= line; those of a bundle are the same object.
        self.carriers: list[Carrier | None] = []
        self.ports = LegPorts()
        #: What is in force: our words and theirs.
        self.ours: SessionDescription | None = None
        self.theirs: Statement | None = None
        self.we_offered = False
        #: Our last words, in force or not: numbers and the version of o= go on from there.
        self._said: SessionDescription | None = None
        #: Its last offer, and ours to it; the answer to either may come more than once.
        self._its_offer: Statement | None = None
        self._our_offer: SessionDescription | None = None

    # --- it offers, we answer

    async def take_offer(self, offer: SessionDescription) -> Statement:
        """Read it, and open what it needs. UnacceptableSession when we cannot answer it."""
        await self._settle_host(_first_host(offer))
        streams = self._read(offer)
        carriers = await self._carriers_for(streams, is_bundled=False, is_theirs=True)
        try:
            self._check(streams, carriers)
        except UnacceptableSession:
            self._release(carriers)
            raise
        self.carriers = carriers
        self._its_offer = Statement(offer, streams)
        return self._its_offer

    def make_answer(self, answer: Statement) -> SessionDescription:
        """The answer to its offer, made of the `answer` of its partner."""
        if self._its_offer is None:
            raise UnacceptableSession("an answer without an offer", section="RFC 3264 6")
        offer = self._its_offer
        own = [
            carrier.describe_answer(theirs, signalling_host=self.profile.signalling_host or None)
            if carrier and not (theirs.is_rejected or each.is_rejected)
            else None
            for carrier, theirs, each in zip(self.carriers, offer.streams, answer.streams, strict=False)
        ]
        return translate_answer(
            answer.description,
            offer.description,
            own,
            session_id=self._session_id,
            previous=self._said,
            transcodable=decodable_formats(),
        )

    def answered(self, words: SessionDescription) -> None:
        """Our answer is in force, and with it the offer that it answers."""
        assert self._its_offer is not None
        self._in_force(words, self._its_offer, is_offerer=False)

    # --- we offer, it answers

    async def make_offer(self, offer: Statement) -> SessionDescription:
        """The offer to this leg, made of the `offer` of its partner."""
        await self._settle_host("")
        carriers = await self._carriers_for(offer.streams, is_bundled=self.profile.bundle, is_theirs=False)
        own = [
            _offered(carrier, stream) if carrier and _is_bridgeable(stream) else None
            for carrier, stream in zip(carriers, offer.streams, strict=False)
        ]
        try:
            words = translate_offer(
                offer.description,
                own,
                session_id=self._session_id,
                previous=self._said,
                added=_added((*formats_of(self.profile.codecs), *self._spoken(offer.streams)), offer.streams),
                bundle=self.profile.bundle,
            )
        except UnacceptableSession:
            self._release(carriers)
            raise
        self.carriers = carriers
        self._our_offer = self._said = words
        return words

    def take_answer(self, answer: SessionDescription) -> Statement:
        """Read its answer to our offer. UnacceptableSession when it does not fit."""
        if self._our_offer is None:
            raise UnacceptableSession("an answer without an offer", section="RFC 3264 6")
        if len(answer.media) != len(self._our_offer.media):
            raise UnacceptableSession(
                "offer and answer differ in their number of m= lines", section="RFC 3264 6"
            )
        return Statement(answer, self._read(answer))

    def agreed(self, answer: Statement) -> None:
        """Its answer is in force, and with it our offer."""
        assert self._our_offer is not None
        self._in_force(self._our_offer, answer, is_offerer=True)

    # --- the rest

    def close(self) -> None:
        """Give all sockets back."""
        for carrier in self.carriers:
            if carrier is not None:
                self._facilities.close(carrier)

    @property
    def has_offered(self) -> bool:
        """True when it has made an offer of its own."""
        return self._its_offer is not None

    def stream(self, index: int) -> StreamDescription | None:
        """What it says of an m= line; None when nothing is in force there."""
        streams = self.theirs.streams if self.theirs else ()
        return streams[index] if index < len(streams) and not streams[index].is_rejected else None

    def codec(self, index: int) -> str | None:
        """The encoding that was agreed on: the first one of the answer."""
        formats: Sequence[AudioFormat] = ()
        if self.we_offered and self.theirs is not None and index < len(self.theirs.streams):
            formats = self.theirs.streams[index].formats
        elif self.ours is not None and index < len(self.ours.media):
            media = self.ours.media[index]
            formats = stream_formats(media) if is_rtp(media.line.protocol) else ()
        return next((each.encoding for each in formats if each.is_codec), None)

    def _spoken(self, offered: Sequence[StreamDescription]) -> tuple[AudioFormat, ...]:
        """What it speaks until now, where its partner does not: a call that is transcoded stays so."""
        for stream in offered:
            own = self.stream(stream.index)
            formats = own.formats if own is not None and own.kind == stream.kind == "audio" else ()
            first = next((each for each in formats if each.is_codec), None)
            if first is not None and not any(each.is_same_encoding(first) for each in stream.formats):
                known = decodable_formats()
                return tuple(each for each in formats if any(each.is_same_encoding(other) for other in known))
        return ()

    def _in_force(self, ours: SessionDescription, theirs: Statement, *, is_offerer: bool) -> None:
        """The same answer again (in a 183, then in the 200) changes nothing."""
        if (ours, theirs) != (self.ours, self.theirs):
            self._connect(ours, theirs, is_offerer=is_offerer)
            self.ports.update(self.carriers, ours, theirs.streams)
        self.ours = self._said = ours
        self.theirs, self.we_offered = theirs, is_offerer

    def _connect(self, ours: SessionDescription, theirs: Statement, *, is_offerer: bool) -> None:
        """Every carrier once; the first stream of a bundle speaks for all of it (RFC 8843 section 7)."""
        used: dict[int, StreamDescription | None] = {}
        for carrier, stream, media in zip(self.carriers, theirs.streams, ours.media, strict=False):
            if carrier is None:
                continue
            is_open = not stream.is_rejected and (media.line.port or stream.is_bundled)
            if used.get(id(carrier)) is None:
                used[id(carrier)] = stream if is_open else None
        for carrier in {id(each): each for each in self.carriers if each is not None}.values():
            carrier.connect(
                used.get(id(carrier)),
                is_offerer=is_offerer,
                signalling_host=self.profile.signalling_host or None,
            )

    def _read(self, description: SessionDescription) -> tuple[StreamDescription, ...]:
        return streams_of(
            description, allow_loopback=is_loopback(self._host), is_self=self._facilities.is_self
        )

    async def _settle_host(self, remote: str) -> None:
        if not self._host:
            self._host = await self._facilities.host_for(self.profile, remote)

    def _check(self, streams: Sequence[StreamDescription], carriers: Sequence[Carrier | None]) -> None:
        """Whether an answer will be possible. One stream that cannot be taken refuses all."""
        if not any(_is_bridgeable(stream) for stream in streams):
            raise UnacceptableSession(
                "no stream is offered that could be bridged",
                warning=WarnCode.MEDIA_TYPE_NOT_AVAILABLE,
                section="RFC 3264 6",
            )
        for stream, carrier in zip(streams, carriers, strict=False):
            if carrier is None or stream.is_rejected:
                continue
            if (
                stream.kind != "image"
                and self.profile.security in _ENCRYPTED
                and stream.security not in _ENCRYPTED
            ):
                raise UnacceptableSession(
                    f"{stream.kind} is offered without encryption, which this user must have",
                    warning=WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL,
                    section="RFC 3264 6",
                )
            carrier.describe_answer(stream, signalling_host=self.profile.signalling_host or None)

    # --- sockets

    async def _carriers_for(
        self, streams: Sequence[StreamDescription], *, is_bundled: bool, is_theirs: bool
    ) -> list[Carrier | None]:
        """The carriers we have, and new ones where they are missing."""
        carriers: list[Carrier | None] = [*self.carriers]
        carriers += [None] * (len(streams) - len(carriers))
        try:
            for index, stream in enumerate(streams):
                if carriers[index] is None and _is_bridgeable(stream):
                    shared = self._shared(
                        index, streams, carriers, is_bundled=is_bundled, is_theirs=is_theirs
                    )
                    carriers[index] = shared or await self._open(stream, is_theirs=is_theirs)
        except BaseException:
            self._release(carriers)
            raise
        return carriers

    def _shared(
        self,
        index: int,
        streams: Sequence[StreamDescription],
        carriers: Sequence[Carrier | None],
        *,
        is_bundled: bool,
        is_theirs: bool,
    ) -> Carrier | None:
        """The carrier of the bundle that a stream belongs to (RFC 8843)."""
        if not is_theirs:
            return next((each for each in carriers if each is not None), None) if is_bundled else None
        tag = streams[index].bundle_tag if streams[index].is_bundled else None
        if tag is None:
            return None
        return next(
            (carriers[other] for other, each in enumerate(streams) if each.mid == tag and other != index),
            None,
        )

    async def _open(self, stream: StreamDescription, *, is_theirs: bool) -> Carrier | None:
        if is_udptl(stream.protocol):
            if self.profile.security is Security.DTLS:
                return None  # a browser sends no fax
            return await self._facilities.open_fax(self.profile, self._host)
        return await self._facilities.open(
            self.profile,
            self._host,
            rtcp_mux=stream.rtcp_mux if is_theirs else self.profile.rtcp_mux,
            adopted=stream if is_theirs else None,
        )

    def _release(self, carriers: Sequence[Carrier | None]) -> None:
        """Close what was opened for nothing."""
        for carrier in carriers:
            if carrier is not None and carrier not in self.carriers:
                self._facilities.close(carrier)


def _is_bridgeable(stream: StreamDescription) -> bool:
    return not stream.is_rejected and (is_rtp(stream.protocol) or is_udptl(stream.protocol))


def _offered(carrier: Carrier, stream: StreamDescription) -> LocalStream:
    """What we say of ourselves; early feedback (RFC 4585) stays where a phone offered it.

    Every browser offers it, and many a desk phone refuses a profile that it does not know.
    """
    own = carrier.describe_offer()
    if isinstance(carrier, FaxPort) or own.fingerprint is not None or is_dtls(stream.protocol):
        return own
    if not has_feedback(stream.protocol):
        return own
    return replace(own, protocol=own.protocol.removesuffix("F") + "F")


def _added(formats: Sequence[AudioFormat], streams: Sequence[StreamDescription]) -> Sequence[AudioFormat]:
    """`formats`, if we can decode anything of what the partner offers."""
    can_decode = any(
        each.is_same_encoding(other)
        for stream in streams
        if stream.kind == "audio"
        for each in stream.formats
        for other in decodable_formats()
    )
    return formats if can_decode else ()


def _first_host(description: SessionDescription) -> str:
    """Where the peer says it is: how it is reached decides which address we bind."""
    for section in (*description.media, description):
        if (host := section.connection_host) is not None:
            return host
    return ""
