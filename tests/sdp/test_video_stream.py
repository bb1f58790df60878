# SPDX-License-Identifier: Apache-2.0
"""Video beside the sound of a room: what is answered to browsers and desk phones, and what that means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import (
    NAMES,
    OPUS,
    OURS,
    PCMA,
    PCMU,
    attributes,
    browser_end,
    described,
    media_lines,
    plain_end,
    said_by,
)

from ringback.sdp.attributes import AudioFormat, Direction
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.offer_answer import AudioCapabilities, make_answer, make_offer, negotiate
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import streams_of
from ringback.sdp.video_stream import MOST_KILOBITS, VideoCapabilities, counterpart, negotiate_video
from ringback.sip.flow import Address

BROWSER = VideoCapabilities(browser_end(), 4242, "our-name", is_bundled=True)
PHONE = VideoCapabilities(plain_end(5000), 4242, "our-name")
VP8 = AudioFormat(96, "VP8", 90_000)
WHOLE, CUT = (AudioFormat(97 + n, "H264", 90_000, 1, f"packetization-mode={n}") for n in (0, 1))
OLD = AudioFormat(99, "H264", 90_000)


def sound(video: VideoCapabilities) -> AudioCapabilities:
    local = browser_end() if video is BROWSER else plain_end()
    return AudioCapabilities((OPUS, PCMU, PCMA), Address(OURS, 4000), local=local)


def answered(offer: SessionDescription, video: VideoCapabilities | None, **options) -> SessionDescription:
    return make_answer(offer, sound(video or BROWSER), session_id=5, video=video, **options)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("chromium-audio-video-offer", "96 108 114"),
        ("chromium-max-bundle-offer", "96 108 114"),
        ("firefox-audio-video-offer", "120 126 97"),
    ],
)
def test_a_browser_gets_vp8_first_and_baseline_h264_on_the_transport_of_its_sound(name, numbers):
    offer = said_by(name)
    answer = answered(offer, BROWSER)
    assert media_lines(answer)[1] == f"m=video 7000 UDP/TLS/RTP/SAVPF {numbers}"
    mids = [media.attribute("mid") for media in offer.media[:2]]
    assert answer.attribute_values("group") == [f"BUNDLE {mids[0]} {mids[1]}"]
    assert answer.media[1].attribute("candidate") is None
    for key in ("fingerprint", "setup", "ice-ufrag", "ice-pwd"):
        assert answer.media[0].attribute(key) is not None
        assert answer.media[1].attribute(key) == answer.media[0].attribute(key)
    assert answer.media[1].attribute("rtcp-mux") == ""
    assert answer.media[1].value("b") == f"AS:{MOST_KILOBITS}"
    assert attributes(answer, 1, "ssrc") == ["4242 cname:our-name"]
    assert attributes(answer, 1, "msid") == ["ringback video"]
    assert not {"rtx", "red", "goog-remb", "transport-cc", "extmap"} & set(
        " ".join(line.value for line in answer.media[1].lines).replace(":", " ").split(" ")
    )
    wishes = {value.partition(" ")[2] for value in attributes(answer, 1, "rtcp-fb")}
    assert wishes == {"nack", "nack pli", "ccm fir"}


def test_a_desk_phone_gets_its_video_at_another_port():
    offer = said_by("baresip-video-offer")
    answer = answered(offer, PHONE)
    assert media_lines(answer)[1] == "m=video 5000 RTP/AVP 96"
    assert attributes(answer, 1, "rtcp-fb") == ["96 nack pli"]
    assert answer.attribute("group") is None
    assert attributes(answer, 1, "ssrc") == []
    video = negotiate_video(answer, offer)
    assert video is not None
    assert (video.send, video.direction, video.feedback) == (
        (AudioFormat(96, "VP8", 90_000, 1, "max-fs=3600"),), Direction.SENDRECV, {"nack pli"},
    )  # fmt: skip
    assert video.remote_stream.rtp == Address("198.51.100.7", 30_146)


@pytest.mark.parametrize("name", ["chromium-audio-video-offer", "baresip-video-offer"])
def test_without_video_of_ours_it_is_refused_as_before(name):
    offer = said_by(name)
    answer = answered(offer, None) if name.startswith("chrom") else make_answer(
        offer, sound(PHONE), session_id=5
    )  # fmt: skip
    assert answer.media[1].line.port == 0
    assert negotiate_video(answer, offer) is None


@pytest.mark.parametrize(
    "video",
    [
        "m=video 6000 RTP/AVP 31",
        "m=video 6000 RTP/AVP 98\r\na=rtpmap:98 VP9/90000",
        "m=video 6000 RTP/AVP 98\r\na=rtpmap:98 VP8/8000",
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000",
        "m=video 6000 RTP/AVP 96\r\nc=IN IP4 224.0.0.1\r\na=rtpmap:96 VP8/90000",
        "m=video 6000 udp 96",
    ],
)
def test_video_that_cannot_be_taken_leaves_the_sound(video):
    offer = described("m=audio 5004 RTP/AVP 0", video)
    answer = answered(offer, PHONE)
    assert [media.line.port for media in answer.media] == [4000, 0]
    assert negotiate_video(answer, offer) is None
    assert negotiate(answer, offer) is not None


@pytest.mark.parametrize(
    ("offered", "ours"),
    [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")],
)
def test_the_direction_is_the_other_end_of_what_is_offered(offered, ours):
    offer = described(
        "m=audio 5004 RTP/AVP 0", "m=video 6000 RTP/AVP 96", "a=rtpmap:96 VP8/90000", f"a={offered}"
    )
    answer = answered(offer, PHONE)
    assert answer.media[1].attribute(ours) == ""
    assert negotiate_video(answer, offer).direction is Direction(ours)


def test_only_the_first_video_is_taken():
    video = ("m=video 6000 RTP/AVP 96", "a=rtpmap:96 VP8/90000")
    offer = described("m=audio 5004 RTP/AVP 0", *video, *video)
    assert [media.line.port for media in answered(offer, PHONE).media] == [4000, 5000, 0]


def test_an_offer_of_ours_keeps_the_video_that_is_there():
    offer = said_by("chromium-audio-video-offer")
    answer = answered(offer, BROWSER)
    again = make_offer(sound(BROWSER), session_id=5, previous=answer, video=BROWSER)
    assert media_lines(again)[1] == media_lines(answer)[1]
    assert again.attribute_values("group") == answer.attribute_values("group")
    assert attributes(again, 1, "rtpmap") == attributes(answer, 1, "rtpmap")
    assert attributes(again, 1, "rtcp-fb") == attributes(answer, 1, "rtcp-fb")
    assert len(streams_of(again)) == 2
    without = make_offer(sound(BROWSER), session_id=5, previous=answer)
    assert without.media[1].line.port == 0


def test_the_first_line_may_be_the_video():
    offer = described("m=video 6000 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "m=audio 5004 RTP/AVP 0")
    answer = answered(offer, PHONE)
    assert [media.line.port for media in answer.media] == [5000, 4000]
    assert negotiate(answer, offer).remote == Address("198.51.100.7", 5004)
    assert negotiate_video(answer, offer).remote_stream.rtp == Address("198.51.100.7", 6000)


@pytest.mark.parametrize(
    ("source", "taken", "expected"),
    [
        (VP8, (CUT, VP8), VP8),
        (VP8, (CUT, WHOLE), None),
        (CUT, (WHOLE, VP8), None),  # fragments are too much for it
        (WHOLE, (CUT,), CUT),
        (OLD, (CUT, WHOLE), WHOLE),
        (AudioFormat(1, "h264", 90_000, 1, "Packetization-Mode=1"), (CUT,), CUT),
        (VP8, (), None),
    ],
)
def test_a_picture_is_passed_on_only_to_who_can_show_it(source, taken, expected):
    assert counterpart(source, taken) is expected


@given(
    st.sampled_from([name for name in NAMES if name.endswith("offer")]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=1)), max_size=6),
)
def test_bent_offers_are_answered_or_refused(name, changes):
    offer = said_by(name)
    section = min(1, len(offer.media) - 1)
    text = bytearray(offer.to_bytes())
    start = text.find(str(offer.media[section].lines[0]).encode())
    for at, octet in changes:
        text[start + at : start + at + 1] = octet if start + at < len(text) else b""
    for video in (BROWSER, PHONE):
        try:
            bent = SessionDescription.parse(bytes(text))
            answer = answered(bent, video)
            negotiate_video(answer, bent)
        except UnacceptableSession:
            continue
        assert len(answer.media) == len(bent.media)
