# SPDX-License-Identifier: Apache-2.0
"""What sound was agreed on with a leg, as something that decodes and speaks needs to know it?"""

from __future__ import annotations

from ringback.media.leg import Leg
from ringback.media.transcodable import decodable_formats
from ringback.sdp.attributes import COMFORT_NOISE, TELEPHONE_EVENT, AudioFormat, Direction, stream_formats
from ringback.sdp.offer_answer import NegotiatedAudio
from ringback.sdp.security import is_rtp

#: What packets may last; more is delay (RFC 3551 section 4.2).
_LONGEST_PACKET_MS = 60


def negotiated_audio(leg: Leg, index: int) -> NegotiatedAudio | None:
    """None when the m= line is not in use, is no sound, or sound that we cannot decode."""
    stream = leg.stream(index)
    if stream is None or leg.ours is None or stream.kind != "audio" or not is_rtp(stream.protocol):
        return None
    ours = stream_formats(leg.ours.media[index])
    common = [each for each in stream.formats if any(each.is_same_encoding(other) for other in ours)]
    send = _first_decodable(common if leg.we_offered else _in_order(common, ours))
    if send is None:
        return None
    return NegotiatedAudio(
        send=send,
        receive={each.payload_type: each for each in (*common, *ours)},
        remote=stream.rtp,
        remote_rtcp=stream.rtcp,
        direction=Direction.of(sends=not stream.is_held, receives=stream.direction.sends),
        packet_time_ms=max(10, min(stream.packet_time_ms, _LONGEST_PACKET_MS)) // 10 * 10,
        telephone_event=_beside(send, common, TELEPHONE_EVENT),
        comfort_noise=_beside(send, common, COMFORT_NOISE.lower()),
        remote_stream=stream,
    )


def _in_order(formats: list[AudioFormat], wanted: tuple[AudioFormat, ...]) -> list[AudioFormat]:
    """`formats` as the answer has them: who answers says what is best."""
    ordered = [each for other in wanted for each in formats if each.is_same_encoding(other)]
    return list(dict.fromkeys(ordered))


def _first_decodable(formats: list[AudioFormat]) -> AudioFormat | None:
    known = decodable_formats()
    return next(
        (
            each
            for each in formats
            if each.encoding.lower() not in (TELEPHONE_EVENT, COMFORT_NOISE.lower())
            and any(each.is_same_encoding(other) for other in known)
        ),
        None,
    )


def _beside(codec: AudioFormat, formats: list[AudioFormat], encoding: str) -> int | None:
    """What rides along must have the clock of the codec (RFC 4733 section 2.1)."""
    return next(
        (
            each.payload_type
            for each in formats
            if each.encoding.lower() == encoding and each.clock_rate == codec.clock_rate
        ),
        None,
    )
