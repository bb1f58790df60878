# SPDX-License-Identifier: Apache-2.0
"""What do the numbers of an rtpengine call mean in our terms? The reply to `query`, leg by leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ringback.media.bencode import Value
from ringback.media.plane import BridgeStatistics, LegProfile, LegStatistics, Security, StreamNumbers
from ringback.media.rtpengine_control import Reply
from ringback.sip.flow import Address

#: More m= lines than a description may have are not looked at.
_MOST_STREAMS = 16


def bridge_statistics(bridge: str, legs: Mapping[str, LegProfile], reply: Reply) -> BridgeStatistics:
    """The bridge in numbers; a leg that rtpengine does not speak of has none."""
    tags = _dictionary(reply.get("tags"))
    sources = _dictionary(reply.get("SSRC"))
    found = tuple(
        _leg(name, profile, tags, sources, partner=_partner(name, tags)) for name, profile in legs.items()
    )
    is_transcoded = any(
        "transcoding" in _flags(media) for name in legs for media in _media(_dictionary(tags.get(name)))
    )
    return BridgeStatistics(bridge, found, is_transcoded=is_transcoded)


def last_packets(reply: Reply) -> dict[str, float]:
    """How many seconds ago each leg sent its last packet, by the clock of rtpengine itself."""
    newest: dict[str, int] = {}
    for name, tag in _dictionary(reply.get("tags")).items():
        streams = [_rtp(media) for media in _media(_dictionary(tag))]
        newest[name] = max((_number(each.get("last packet")) for each in streams), default=0)
    now = max((*newest.values(), _number(reply.get("last signal"))), default=0)
    return {name: float(now - last) for name, last in newest.items()}


def _leg(
    name: str,
    profile: LegProfile,
    tags: Mapping[str, Value],
    sources: Mapping[str, Value],
    *,
    partner: str | None,
) -> LegStatistics:
    own = list(_media(_dictionary(tags.get(name))))
    others = list(_media(_dictionary(tags.get(partner)))) if partner else []
    streams = tuple(
        _stream(media, others[index] if index < len(others) else {}, sources)
        for index, media in enumerate(own)
    )
    is_encrypted = any({"SDES", "DTLS-SRTP"} & _flags(media) for media in own)
    security = profile.security if is_encrypted else Security.PLAIN
    return LegStatistics(name, _address(_rtp(own[0])) if own else None, security, None, streams)


def _stream(media: Reply, other: Reply, sources: Mapping[str, Value]) -> StreamNumbers:
    stream = _rtp(media)
    came, went = _dictionary(stream.get("stats")), _dictionary(_rtp(other).get("stats"))
    quality = _dictionary(sources.get(str(_number(stream.get("SSRC")))))
    average = _dictionary(quality.get("average MOS"))
    codec = media.get("codec")
    is_known = bool(_number(average.get("samples")))
    return StreamNumbers(
        kind=_text(media.get("type")),
        codec=_text(codec).partition("/")[0] if codec else None,
        packets_received=_number(came.get("packets")),
        packets_sent=_number(went.get("packets")),
        bytes_received=_number(came.get("bytes")),
        bytes_sent=_number(went.get("bytes")),
        lost=_number(quality.get("cumulative loss")),
        jitter_ms=float(_number(average.get("jitter"))),
        round_trip_ms=_number(average.get("round-trip time")) / 1_000 if is_known else None,
        mos=_number(average.get("MOS")) / 10 if is_known else None,
    )


def _partner(name: str, tags: Mapping[str, Value]) -> str | None:
    """Whom the leg hears."""
    for each in _list(_dictionary(tags.get(name)).get("subscriptions")):
        return _text(_dictionary(each).get("tag"))
    return None


def _media(tag: Reply) -> Iterator[Reply]:
    return (_dictionary(each) for each in _list(tag.get("medias"))[:_MOST_STREAMS])


def _rtp(media: Reply) -> Reply:
    """The first stream of a media; the second is its RTCP."""
    return next((_dictionary(each) for each in _list(media.get("streams"))), {})


def _address(stream: Reply) -> Address | None:
    endpoint = _dictionary(stream.get("endpoint"))
    port = _number(endpoint.get("port"))
    return Address(_text(endpoint.get("address")), port) if port else None


def _flags(media: Reply) -> set[str]:
    return {_text(flag) for flag in _list(media.get("flags"))}


def _dictionary(value: Value | None) -> Reply:
    return value if isinstance(value, dict) else {}


def _list(value: Value | None) -> list[Value]:
    return value if isinstance(value, list) else []


def _number(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Value | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
