# SPDX-License-Identifier: Apache-2.0
"""How does a call that we answer come to video? Negotiated beside its sound, on its transport or another.

A browser bundles both (RFC 8843); for a phone another transport is opened before the answer is made. What
cannot be agreed on is refused with port 0, and the sound goes on without.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ringback.media.bundled_video import BundledVideo
from ringback.media.errors import NoFreePort
from ringback.media.transport import RtpTransport
from ringback.media.video_stream import VideoStream
from ringback.sdp.attributes import audio_formats
from ringback.sdp.bundle import bundle_tags, is_open
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import StreamDescription, stream_of
from ringback.sdp.video_stream import VideoCapabilities, is_video, negotiate_video
from ringback.sip.errors import PeerError
from ringback.sip.flow import Address

OpenTransport = Callable[[], Awaitable[RtpTransport]]


class SessionVideo:
    """The video side of an `AudioSession`: its `stream`, and how that is agreed on."""

    def __init__(
        self,
        sound: RtpTransport,
        open_another: OpenTransport | None,
        *,
        name: str,
        random_bytes: Callable[[int], bytes],
        adopts: bool,
        allow_loopback: bool,
        is_self: Callable[[Address], bool],
    ) -> None:
        self.stream = VideoStream(random_bytes, name)
        self._sound = sound
        self._open_another = open_another
        self._adopts = adopts
        self._allow_loopback = allow_loopback
        self._is_self = is_self
        #: One of the two at most: it travels with the sound, or alone.
        self._bundled: BundledVideo | None = None
        self._own: RtpTransport | None = None
        self._is_connected = False

    async def prepare(self, offer: bytes | None) -> None:
        """Open what the answer to `offer` will need. A malformed one is not judged here."""
        try:
            remote = SessionDescription.parse(offer or b"")
            offered = self._offered(remote)
        except PeerError:
            return
        if offered is None or self._is_attached or _is_bundled(remote, offered) or self._open_another is None:
            return
        try:
            self._own = await self._open_another()
        except NoFreePort:
            return
        if self.stream.is_closed:
            self._own.close()
        self.stream.attach(self._own)

    def answering(self, remote: SessionDescription, signalling_host: str | None) -> VideoCapabilities | None:
        """What we say of our end to the first stream of video; None: refuse it."""
        try:
            offered = self._offered(remote)
            if offered is None:
                return None
            if _is_bundled(remote, offered):
                return self._answering_bundled(offered, signalling_host)
            return self._answering_alone(offered, signalling_host)
        except UnacceptableSession:
            return None

    def offering(self) -> VideoCapabilities | None:
        """What an offer of ours says of the video that is there; None: nothing."""
        if self.stream.negotiated is None:
            return None
        if self._bundled is not None:
            return self._capabilities(self._sound, is_bundled=True)
        return self._capabilities(self._own) if self._own is not None else None

    def agree(
        self,
        local: SessionDescription,
        remote: SessionDescription,
        signalling_host: str | None,
        *,
        is_offerer: bool,
    ) -> None:
        """Offer and answer are in force."""
        try:
            negotiated = negotiate_video(local, remote, allow_loopback=self._allow_loopback)
            if self._own is not None and (negotiated is not None or self._is_connected):
                stream = negotiated.remote_stream if negotiated is not None else None
                self._own.connect(stream, is_offerer=is_offerer, signalling_host=signalling_host)
                self._is_connected = negotiated is not None
        except UnacceptableSession:
            negotiated = None
        if self._bundled is not None:
            sound = _sound_numbers(local)
            self._bundled.numbers = set(negotiated.receive) - sound if negotiated is not None else ()
        self.stream.configure(negotiated)

    def close(self) -> None:
        """Free the ports."""
        self.stream.close()
        if self._own is not None:
            self._own.close()

    @property
    def ports(self) -> set[int]:
        """Of its own transport, if it has one."""
        if self._own is None:
            return set()
        return {self._own.address.port, self._own.rtcp_address.port}

    @property
    def _is_attached(self) -> bool:
        return self._bundled is not None or self._own is not None

    def _offered(self, remote: SessionDescription) -> StreamDescription | None:
        tags = bundle_tags(remote)
        for index, media in enumerate(remote.media):
            if is_video(media, tags):
                stream = stream_of(remote, index, tags=tags, allow_loopback=self._allow_loopback)
                self._check_not_ours(stream)
                return stream
        return None

    def _check_not_ours(self, stream: StreamDescription) -> None:
        for address in (stream.rtp, stream.rtcp):
            if address is not None and self._is_self(address):
                raise UnacceptableSession("the media address is one of ours", section="RFC 3264 5")

    def _answering_bundled(
        self, offered: StreamDescription, signalling_host: str | None
    ) -> VideoCapabilities | None:
        if self._own is not None:
            return None
        if self._bundled is None:
            self._bundled = BundledVideo(self._sound)
            self.stream.attach(self._bundled)
        own = self._sound.describe_answer(offered, signalling_host=signalling_host)
        return VideoCapabilities(own, self.stream.ssrc, self.stream.name, True, self._allow_loopback)

    def _answering_alone(
        self, offered: StreamDescription, signalling_host: str | None
    ) -> VideoCapabilities | None:
        if self._own is None or _is_other_family(self._own.address, offered):
            return None
        if self._adopts and not self._is_connected:
            self._own.adopt(offered)
        own = self._own.describe_answer(offered, signalling_host=signalling_host)
        return VideoCapabilities(own, self.stream.ssrc, self.stream.name, False, self._allow_loopback)

    def _capabilities(self, transport: RtpTransport, *, is_bundled: bool = False) -> VideoCapabilities:
        own = transport.describe_offer()
        return VideoCapabilities(own, self.stream.ssrc, self.stream.name, is_bundled, self._allow_loopback)


def _is_bundled(remote: SessionDescription, video: StreamDescription) -> bool:
    """True when it is in the group of the sound that we take."""
    tags = bundle_tags(remote)
    for media in remote.media:
        if media.line.media == "audio" and is_open(media, tags):
            mid = media.attribute("mid")
            return mid is not None and video.bundle_tag is not None and tags.get(mid) == video.bundle_tag
    return False


def _is_other_family(own: Address, offered: StreamDescription) -> bool:
    """True when there is no way from our address to theirs; with ICE the candidates decide."""
    return offered.ice is None and offered.rtp is not None and (":" in own.host) != (":" in offered.rtp.host)


def _sound_numbers(local: SessionDescription) -> set[int]:
    return {
        each.payload_type
        for media in local.media
        if media.line.media == "audio" and media.line.port
        for each in audio_formats(media)
    }
