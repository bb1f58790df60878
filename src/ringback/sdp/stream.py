# SPDX-License-Identifier: Apache-2.0
"""What does a description say of each of its streams? RFC 8866, 3264, 3605, 5761, 8843."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ringback.sdp.addresses import is_relayable, is_unspecified
from ringback.sdp.attributes import (
    AudioFormat,
    Direction,
    direction,
    preferred_packet_time_ms,
    rtcp_address,
    stream_formats,
)
from ringback.sdp.bundle import bundle_tags, identification, is_open
from ringback.sdp.crypto import CryptoLine, crypto_lines
from ringback.sdp.dtls import DtlsDescription, dtls_of
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.ice import IceDescription, ice_of
from ringback.sdp.security import Security, is_dtls, is_rtp, is_srtp, is_udptl
from ringback.sdp.session import MediaDescription, SessionDescription
from ringback.sip.flow import Address

_DISCARD_PORT = 9


@dataclass(frozen=True, slots=True)
class StreamDescription:
    """One m= line, seen from its author: where it listens, what it takes, how it is secured.

    `rtp` and `rtcp` are None when nothing is to be sent (c=0.0.0.0), when the stream is rejected, and when
    only ICE will tell. `bundle_tag` is the mid of the stream whose transport is shared (RFC 8843 section 2).
    """

    index: int
    kind: str
    protocol: str
    port: int
    formats: tuple[AudioFormat, ...]
    direction: Direction
    rtp: Address | None
    rtcp: Address | None
    rtcp_mux: bool = False
    mid: str | None = None
    bundle_tag: str | None = None
    crypto: tuple[CryptoLine, ...] = ()
    ice: IceDescription | None = None
    dtls: DtlsDescription | None = None
    packet_time_ms: int = 20
    is_rejected: bool = False

    @property
    def security(self) -> Security:
        """What the m= line asks for."""
        if is_dtls(self.protocol) or (is_srtp(self.protocol) and self.dtls is not None and not self.crypto):
            return Security.DTLS
        if is_srtp(self.protocol):
            return Security.SDES
        return Security.OPPORTUNISTIC if self.crypto else Security.PLAIN

    @property
    def is_held(self) -> bool:
        """True when its author wants nothing sent, said in the new way or the old (RFC 3264 section 8.4)."""
        return not self.direction.receives or (self.rtp is None and self.ice is None)

    @property
    def is_bundled(self) -> bool:
        """True when it travels on the transport of another stream."""
        return self.bundle_tag is not None and self.bundle_tag != self.mid


def streams_of(
    session: SessionDescription,
    *,
    allow_loopback: bool = False,
    is_self: Callable[[Address], bool] = lambda address: False,
) -> tuple[StreamDescription, ...]:
    """Every m= line, typed. UnacceptableSession names the line that cannot be taken.

    `is_self` knows the sockets of this program: whoever names one of them wants us to talk to ourselves.
    """
    tags = bundle_tags(session)
    streams = tuple(
        stream_of(session, index, tags=tags, allow_loopback=allow_loopback)
        for index in range(len(session.media))
    )
    for stream in streams:
        _check_not_ours(stream, is_self)
    return streams


def stream_of(
    session: SessionDescription,
    index: int,
    *,
    tags: dict[str, str] | None = None,
    allow_loopback: bool = False,
) -> StreamDescription:
    """The m= line at `index`, typed. `tags` as from `bundle_tags(session)`, which saves making them again."""
    tags = bundle_tags(session) if tags is None else tags
    stream = _named_stream(session, index, tags, allow_loopback=allow_loopback)
    if stream.is_rejected or not stream.is_bundled:
        return stream
    for other, media in enumerate(session.media):
        if identification(media) == stream.bundle_tag:
            tagged = _named_stream(session, other, tags, allow_loopback=allow_loopback)
            return _on_transport_of(tagged, stream)
    return stream


def _named_stream(
    session: SessionDescription, index: int, tags: dict[str, str], *, allow_loopback: bool
) -> StreamDescription:
    """The m= line at `index`; what is wrong with it is said with its number."""
    media = session.media[index]
    try:
        return _stream(session, media, index, tags, allow_loopback=allow_loopback)
    except UnacceptableSession as error:
        raise UnacceptableSession(
            f"m= line {index + 1} ({media.line.media}): {error.detail}",
            warning=error.warning,
            section=error.section,
        ) from None


def _stream(
    session: SessionDescription,
    media: MediaDescription,
    index: int,
    tags: dict[str, str],
    *,
    allow_loopback: bool,
) -> StreamDescription:
    line, mid = media.line, identification(media)
    bare = StreamDescription(
        index=index,
        kind=line.media,
        protocol=line.protocol,
        port=line.port,
        formats=(),
        direction=direction(session, media),
        rtp=None,
        rtcp=None,
        mid=mid,
        bundle_tag=tags.get(mid) if mid is not None else None,
    )
    if not is_open(media, tags):
        return replace(bare, is_rejected=True)
    if not is_rtp(line.protocol):
        return _other_stream(session, media, bare, allow_loopback=allow_loopback)
    return _rtp_stream(session, media, bare, allow_loopback=allow_loopback)


def _other_stream(
    session: SessionDescription, media: MediaDescription, bare: StreamDescription, *, allow_loopback: bool
) -> StreamDescription:
    """Fax has an address to check; what other protocols say is not ours to judge."""
    if not is_udptl(bare.protocol):
        return bare
    rtp, _ = stated_addresses(session, media, allow_loopback=allow_loopback)
    return replace(bare, rtp=rtp)


def _rtp_stream(
    session: SessionDescription, media: MediaDescription, bare: StreamDescription, *, allow_loopback: bool
) -> StreamDescription:
    must_be_secure = is_srtp(bare.protocol)
    crypto = crypto_lines(media)
    dtls = dtls_of(session, media) if must_be_secure else None
    borrows = bare.is_bundled
    if must_be_secure and not borrows:
        _check_keys(bare, crypto, dtls)
    read_ice = ice_of if must_be_secure else _harmless_ice
    ice = read_ice(session, media, allow_loopback=allow_loopback)
    rtp, rtcp = (
        _addresses_beside_ice(session, media, allow_loopback=allow_loopback)
        if ice is not None or borrows
        else stated_addresses(session, media, allow_loopback=allow_loopback)
    )
    return replace(
        bare,
        formats=stream_formats(media),
        rtp=rtp,
        rtcp=rtcp,
        rtcp_mux=media.attribute("rtcp-mux") is not None,
        crypto=crypto,
        ice=ice,
        dtls=dtls,
        packet_time_ms=preferred_packet_time_ms(media, 20),
    )


def _check_keys(
    bare: StreamDescription, crypto: tuple[CryptoLine, ...], dtls: DtlsDescription | None
) -> None:
    if is_dtls(bare.protocol) and dtls is None:
        raise UnacceptableSession("there is no usable a=fingerprint", section="RFC 5763 5")
    if not crypto and dtls is None:
        raise UnacceptableSession("there is no usable a=crypto", section="RFC 4568 5.1")


def _harmless_ice(
    session: SessionDescription, media: MediaDescription, *, allow_loopback: bool
) -> IceDescription | None:
    """ICE of a plain stream, which works without: malformed is as good as absent."""
    try:
        return ice_of(session, media, allow_loopback=allow_loopback)
    except UnacceptableSession:
        return None


def stated_addresses(
    session: SessionDescription, media: MediaDescription, *, allow_loopback: bool
) -> tuple[Address | None, Address | None]:
    """Where RTP and RTCP go by c=, m= and a=rtcp. Both None for the unspecified address."""
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
    return rtp, rtcp if stated_port else None


def effective_direction(session: SessionDescription, media: MediaDescription) -> Direction:
    """Who sends; c=0.0.0.0 is the hold of RFC 2543: its author receives nothing (RFC 3264 section 8.4)."""
    stated = direction(session, media)
    has_ice = any(section.attribute("ice-ufrag") is not None for section in (media, session))
    if has_ice or not is_rtp(media.line.protocol):
        return stated
    host = media.connection_host or session.connection_host
    if host is None or not is_unspecified(host):
        return stated
    return Direction.of(sends=stated.sends, receives=False)


def _addresses_beside_ice(
    session: SessionDescription, media: MediaDescription, *, allow_loopback: bool
) -> tuple[Address | None, Address | None]:
    """With ICE the candidates decide; what c= says is used where it is usable (RFC 8839 section 4.2.1)."""
    try:
        rtp, rtcp = stated_addresses(session, media, allow_loopback=allow_loopback)
    except UnacceptableSession:
        return None, None
    return (None, None) if rtp is None or rtp.port in (0, _DISCARD_PORT) else (rtp, rtcp)


def _check_not_ours(stream: StreamDescription, is_self: Callable[[Address], bool]) -> None:
    candidates = stream.ice.candidates if stream.ice else ()
    named = (stream.rtp, stream.rtcp, *(each.address for each in candidates))
    if any(address is not None and is_self(address) for address in named):
        raise UnacceptableSession(
            f"m= line {stream.index + 1} ({stream.kind}): the media address is one of ours",
            section="RFC 3264 5",
        )


def _on_transport_of(tagged: StreamDescription, stream: StreamDescription) -> StreamDescription:
    """A bundled stream uses all that the tagged one says of its transport (RFC 8843 section 7.1.3)."""
    return replace(
        stream,
        rtp=tagged.rtp,
        rtcp=tagged.rtcp,
        rtcp_mux=tagged.rtcp_mux,
        crypto=tagged.crypto or stream.crypto,
        ice=tagged.ice,
        dtls=tagged.dtls,
    )
