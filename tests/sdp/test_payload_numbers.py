# SPDX-License-Identifier: Apache-2.0
"""Payload numbers that mean the same on both sides of a bridge: RFC 3264 sections 6.1 and 8.3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import EVENT, OPUS, PCMA, PCMU, described, said_by

from ringback.sdp.attributes import AudioFormat, stream_formats
from ringback.sdp.payload_numbers import (
    appended,
    counterparts,
    numbers_for,
    payload_map,
    rewritten_parameters,
)
from ringback.sdp.session import MediaDescription


def video(number: int, encoding: str, parameters: str = "") -> AudioFormat:
    return AudioFormat(number, encoding, 90_000, parameters=parameters)


def section(*lines: str) -> MediaDescription:
    return described(*lines).media[0]


def test_an_encoding_is_the_same_under_another_number_and_other_parameters():
    theirs = [AudioFormat(96, "OPUS", 48_000, 2, "stereo=1"), PCMU]
    assert counterparts(theirs, [PCMU, OPUS]) == {96: 111, 0: 0}
    assert counterparts([EVENT], [AudioFormat(101, "telephone-event", 48_000)]) == {}


def test_profiles_of_h264_are_told_apart_and_levels_are_not():
    ours = [
        video(102, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
        video(104, "H264", "packetization-mode=0; profile-level-id=42e01f"),
        video(108, "H264", "packetization-mode=1;profile-level-id=42e01f"),
    ]
    assert counterparts(
        [video(97, "H264", "profile-level-id=42E034;packetization-mode=1"), video(98, "H264")], ours
    ) == {97: 108}


def test_repair_formats_follow_what_they_repair():
    theirs = [video(96, "VP8"), video(97, "rtx", "apt=96"), video(98, "VP9"), video(99, "rtx", "apt=98")]
    ours = [video(120, "VP9"), video(121, "rtx", "apt=120"), video(122, "VP8"), video(123, "rtx", "apt=122")]
    assert counterparts(theirs, ours) == {96: 122, 97: 123, 98: 120, 99: 121}


def test_two_of_a_kind_with_the_same_parameters_go_by_their_numbers():
    twins = [AudioFormat(96, "L16", 16_000), AudioFormat(97, "L16", 16_000)]
    assert counterparts(list(reversed(twins)), twins) == {96: 96, 97: 97}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("apt=96", "apt=122"),
        ("rtx-time=3000;apt=96", "rtx-time=3000;apt=122"),
        ("96/96", "122/122"),
        ("0-15", "0-15"),
        ("profile-level-id=42e01f", "profile-level-id=42e01f"),
        ("apt=97", None),
        ("96/97", None),
    ],
)
def test_numbers_inside_parameters_change_too(text, expected):
    assert rewritten_parameters(text, {96: 122}) == expected


def test_a_session_keeps_its_numbers_and_gives_none_away_twice():
    used = [AudioFormat(96, "opus", 48_000, 2), AudioFormat(111, "speex", 8_000)]
    numbers = numbers_for([OPUS, PCMU, AudioFormat(96, "L16", 16_000)], used)
    assert numbers[111] == 96
    assert numbers[0] == 0
    assert numbers[96] not in (96, 111, 0)


def test_what_is_appended_takes_free_numbers():
    assert appended([PCMU], [PCMU, PCMA, EVENT], []) == (PCMA, EVENT)
    (event,) = appended([AudioFormat(101, "iLBC")], [EVENT], [])
    assert event.payload_type not in (101, 64, 95)
    (again,) = appended([PCMU], [EVENT], [AudioFormat(126, "telephone-event")])
    assert again.payload_type == 126
    (reserved,) = appended([PCMU], [EVENT], [], {101})
    assert reserved.payload_type == 96


A_SAID = ("m=audio 4000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000")
B_SAID = ("m=audio 5000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")


def test_a_relay_is_told_which_number_becomes_which():
    to_b = section(
        "m=audio 6000 RTP/AVP 0 8 101 111", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:111 opus/48000/2"
    )
    to_a = section("m=audio 6002 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    a, b = section(*A_SAID), section(*B_SAID)
    assert payload_map(to_sender=to_a, of_sender=a, of_receiver=b, to_receiver=to_b) == {0: 0, 101: 96}
    assert payload_map(to_sender=to_b, of_sender=b, of_receiver=a, to_receiver=to_a) == {0: 0, 101: 101}


@pytest.mark.parametrize(
    "answer",
    [
        ("m=audio 5000 RTP/AVP 111", "a=rtpmap:111 opus/48000/2"),
        ("m=audio 5000 RTP/AVP 111 0", "a=rtpmap:111 opus/48000/2"),
    ],
)
def test_a_codec_that_only_one_leg_has_must_be_transcoded(answer):
    to_b = section("m=audio 6000 RTP/AVP 0 111", "a=rtpmap:111 opus/48000/2")
    to_a, a = section("m=audio 6002 RTP/AVP 0"), section("m=audio 4000 RTP/AVP 0")
    assert payload_map(to_sender=to_b, of_sender=section(*answer), of_receiver=a, to_receiver=to_a) is None


def test_a_stream_of_events_only_is_relayed():
    only = section("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000")
    assert payload_map(to_sender=only, of_sender=only, of_receiver=only, to_receiver=only) == {101: 101}


def test_nothing_in_common_is_no_relay():
    one, other = section("m=audio 4000 RTP/AVP 0"), section("m=audio 4000 RTP/AVP 8")
    assert payload_map(to_sender=one, of_sender=one, of_receiver=other, to_receiver=other) is None


def test_video_is_never_transcoded():
    to_b = said_by("chromium-audio-video-offer").media[1]
    b = said_by("chromium-audio-video-answer").media[1]
    numbers = payload_map(to_sender=to_b, of_sender=b, of_receiver=to_b, to_receiver=b)
    assert numbers is not None
    assert all(number == other for number, other in numbers.items())
    none = section("m=video 4000 RTP/AVP 31")
    assert payload_map(to_sender=to_b, of_sender=b, of_receiver=none, to_receiver=none) == {}


formats = st.lists(
    st.builds(
        AudioFormat,
        st.integers(0, 127),
        st.sampled_from(("PCMU", "opus", "H264", "rtx", "red", "telephone-event")),
        st.sampled_from((8_000, 48_000)),
        st.sampled_from((1, 2)),
        st.sampled_from(("", "apt=96", "apt=1", "0-15", "96/97", "profile-level-id=42e01f", "a=b;c")),
    ),
    max_size=8,
    unique_by=lambda each: each.payload_type,
)


@given(formats, formats)
def test_pairs_are_of_one_encoding_and_no_number_is_taken_twice(theirs, ours):
    here, there = ({each.payload_type: each for each in side} for side in (theirs, ours))
    found = counterparts(theirs, ours)
    assert all(here[one].is_same_encoding(there[other]) for one, other in found.items())
    assert len(set(found.values())) == len(found)


@given(formats, formats, formats)
def test_new_numbers_never_change_the_meaning_of_old_ones(theirs, used, more):
    numbers = numbers_for(theirs, used)
    meaning = {each.payload_type: each for each in used}
    for each in theirs:
        new = numbers[each.payload_type]
        assert new not in meaning or meaning[new].is_same_encoding(each)
    extra = appended(theirs, more, used)
    assert all(
        each.payload_type not in meaning or meaning[each.payload_type].is_same_encoding(each)
        for each in extra
    )
    assert len(stream_formats(section("m=audio 1 RTP/AVP 0"))) == 1
