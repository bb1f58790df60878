# SPDX-License-Identifier: Apache-2.0
"""What a leg of a bridge is told of the other: every pair of real programs, and whatever comes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import (
    CRYPTO,
    EVENT,
    FINGERPRINT,
    OFFERS,
    OPUS,
    OURS,
    OURS_6,
    PCMA,
    PCMU,
    THEIR_HOSTS,
    attributes,
    browser_end,
    described,
    ends,
    media_lines,
    plain_end,
    said_by,
    sdes_end,
)

from ringback.sdp.attributes import Direction, stream_formats
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.security import Security
from ringback.sdp.session import MediaDescription, SessionDescription
from ringback.sdp.stream import effective_direction, streams_of
from ringback.sdp.translation import LocalStream, payload_map, translate_answer, translate_offer


def text(session: SessionDescription) -> str:
    return session.to_bytes().decode()


def to_phone(name: str, **options) -> SessionDescription:
    offer = said_by(name)
    return translate_offer(offer, ends(offer), session_id=1, **options)


def to_browser(offer: SessionDescription, **options) -> SessionDescription:
    return translate_offer(offer, ends(offer, browser_end, shared=True), session_id=1, bundle=True, **options)


# --- offers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [plain_end, sdes_end, browser_end])
@pytest.mark.parametrize("name", OFFERS)
def test_every_offer_of_a_real_program_can_be_made_to_every_kind_of_leg(name, make):
    offer = said_by(name)
    bundle = make is browser_end
    told = translate_offer(
        offer, ends(offer, make, shared=bundle), session_id=1, added=(OPUS, PCMU), bundle=bundle
    )
    assert SessionDescription.parse(told.to_bytes()) == told
    assert [m.line.media for m in told.media] == [m.line.media for m in offer.media]
    for ours, theirs, stream in zip(told.media, offer.media, streams_of(told), strict=True):
        assert stream.is_rejected == (
            theirs.line.port == 0 or "TCP" in theirs.line.protocol or "SCTP" in theirs.line.protocol
        )
        if not stream.is_rejected:
            assert effective_direction(told, ours) is effective_direction(offer, theirs)


@pytest.mark.parametrize("make", [plain_end, sdes_end, browser_end])
@pytest.mark.parametrize("name", OFFERS)
def test_no_address_and_no_key_of_one_leg_reaches_the_other(name, make):
    offer = said_by(name)
    told = text(translate_offer(offer, ends(offer, make), session_id=1))
    assert not any(host in told for host in THEIR_HOSTS)
    secrets = re.findall(r"(?:inline:|ice-pwd:|ice-ufrag:|fingerprint:\S+ )(\S+)", text(offer))
    assert not any(secret in told for secret in secrets)


def test_a_browser_sounds_like_a_phone_to_a_phone():
    assert text(to_phone("chromium-audio-offer")).split("\r\n") == [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 111 63 9 0 8 13 110 126",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        "a=sendrecv",
        "",
    ]


def test_a_phone_sounds_like_a_browser_to_a_browser():
    told = to_browser(said_by("linphone-offer"), added=(OPUS,))
    assert told.attribute_values("group") == ["BUNDLE 0"]
    assert told.attribute("ice-lite") == ""
    (line,) = media_lines(told)
    assert line == "m=audio 7000 UDP/TLS/RTP/SAVPF 96 97 98 0 8 18 99 100 101"
    for name, value in {
        "mid": "0",
        "setup": "actpass",
        "rtcp-mux": "",
        "ice-ufrag": "ouru",
        "candidate": "1 1 udp 2130706431 192.0.2.1 7000 typ host",
        "end-of-candidates": "",
        "msid": "ringback audio",
        "fingerprint": str(FINGERPRINT),
    }.items():
        assert attributes(told, 0, name) == [value]
    assert streams_of(told)[0].security is Security.DTLS


def test_between_browsers_header_extensions_tracks_and_sources_pass():
    offer = said_by("chromium-audio-video-offer")
    told = to_browser(offer)
    for index in (0, 1):
        assert attributes(told, index, "mid") == attributes(offer, index, "mid")
        assert attributes(told, index, "msid") == attributes(offer, index, "msid")
    assert attributes(told, 1, "extmap") == attributes(offer, 1, "extmap")
    assert attributes(told, 1, "ssrc-group") == attributes(offer, 1, "ssrc-group")
    assert attributes(told, 1, "rtcp-fb") == attributes(offer, 1, "rtcp-fb")
    assert [line.partition(" ")[0] for line in attributes(told, 1, "ssrc")] == attributes(
        told, 1, "ssrc-group"
    )[0].split(" ")[1:]
    assert "transport-wide" not in " ".join(attributes(told, 0, "extmap"))
    assert "transport-cc" not in " ".join(attributes(told, 0, "rtcp-fb"))
    assert attributes(told, 0, "ssrc") == []


def test_to_a_phone_no_header_extensions_tracks_or_sources_pass():
    told = to_phone("firefox-audio-video-offer")
    for index in (0, 1):
        for name in (
            "extmap",
            "msid",
            "ssrc",
            "ssrc-group",
            "mid",
            "rtcp-mux",
            "rtcp-rsize",
            "candidate",
            "setup",
        ):
            assert attributes(told, index, name) == []
    assert attributes(told, 1, "rtcp-fb") == [
        "120 nack",
        "120 nack pli",
        "120 ccm fir",
        "120 goog-remb",
        "126 nack",
        "126 nack pli",
    ]


def test_the_second_stream_of_a_new_bundle_waits_for_the_port_of_the_first():
    told = to_browser(said_by("chromium-audio-video-offer"))
    assert [line.split(" ")[1] for line in media_lines(told)] == ["7000", "0"]
    assert attributes(told, 1, "bundle-only") == [""]
    assert attributes(told, 1, "ice-ufrag") == []
    assert attributes(told, 1, "rtcp-mux") == [""]
    again = to_browser(said_by("chromium-audio-video-offer"), previous=told)
    assert [line.split(" ")[1] for line in media_lines(again)] == ["7000", "7000"]
    assert attributes(again, 1, "bundle-only") == []


def test_streams_of_a_phone_that_share_a_number_get_two_in_a_bundle():
    told = to_browser(said_by("baresip-video-offer"))
    audio, video = (stream_formats(media) for media in told.media)
    assert not {each.payload_type for each in audio} & {each.payload_type for each in video}
    assert [each.encoding for each in video] == ["VP8"]
    assert attributes(told, 1, "rtcp-fb") == ["* nack pli"]


def test_sdes_is_offered_with_all_our_suites_and_opportunistic_stays_plain_in_name():
    offer = said_by("baresip-offer")
    told = translate_offer(offer, [sdes_end()], session_id=1)
    assert streams_of(told)[0].crypto == CRYPTO
    maybe = translate_offer(offer, [sdes_end(protocol="RTP/AVP")], session_id=1)
    assert streams_of(maybe)[0].security is Security.OPPORTUNISTIC


def test_fax_passes_with_all_that_is_said_of_it():
    told = to_phone("fax-offer")
    assert media_lines(told) == ["m=audio 0 RTP/AVP 0", "m=image 4002 udptl t38"]
    lines = [str(line) for line in told.media[1].lines[1:]]
    assert lines == [str(line) for line in said_by("fax-offer").media[1].lines[1:]]


def test_bandwidth_title_and_description_of_the_media_pass_and_nothing_unknown():
    offer = described(
        "m=video 4000 RTP/AVP 99",
        "i=the camera at the door",
        "c=IN IP4 198.51.100.8",
        "b=AS:512",
        "k=clear:secret",
        "a=rtpmap:99 H264/90000",
        "a=imageattr:99 send [x=1280,y=720]",
        "a=imageattr:* recv [x=320,y=240]",
        "a=framerate:25",
        "a=content:slides",
        "a=label:7",
        "a=rtcp:4009 IN IP4 198.51.100.9",
        "a=x-their-address:198.51.100.8",
        "a=remote-candidates:1 198.51.100.8 9",
        head=("c=IN IP4 198.51.100.7", "b=CT:1000"),
    )
    told = translate_offer(offer, [plain_end(5000, host=OURS_6)], session_id=1)
    assert [str(line) for line in told.lines if line.type == "b"] == ["b=CT:1000"]
    assert [str(line) for line in told.media[0].lines] == [
        "m=video 5000 RTP/AVP 99",
        "i=the camera at the door",
        "b=AS:512",
        "a=rtpmap:99 H264/90000",
        "a=imageattr:99 send [x=1280,y=720]",
        "a=imageattr:* recv [x=320,y=240]",
        "a=framerate:25",
        "a=content:slides",
        "a=label:7",
        "a=sendrecv",
    ]
    assert str(told.lines[3]) == "c=IN IP6 2001:db8:1::1"


def test_streams_at_two_addresses_say_so():
    offer = described("m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31")
    told = translate_offer(offer, [plain_end(), plain_end(6000, host="192.0.2.50")], session_id=1)
    assert told.media[0].connection_host is None
    assert told.media[1].connection_host == "192.0.2.50"


def test_rtcp_on_an_odd_port_is_named():
    offer = described("m=audio 4000 RTP/AVP 0")
    own = LocalStream(plain_end().address, plain_end(9000).address)
    assert attributes(translate_offer(offer, [own], session_id=1), 0, "rtcp") == ["9000"]


def test_what_cannot_be_bridged_is_refused_in_its_place():
    told = to_phone("chromium-data-channel-offer")
    assert [line.split(" ")[1] for line in media_lines(told)] == ["4000", "4002", "0"]
    strange = described("m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 99", "m=message 9 TCP/MSRP *")
    told = translate_offer(strange, [plain_end(), plain_end(5000), None], session_id=1)
    assert [line.split(" ")[1] for line in media_lines(told)] == ["4000", "0", "0"]
    with pytest.raises(UnacceptableSession) as caught:
        translate_offer(described("m=audio 4000 RTP/AVP 99"), [plain_end()], session_id=1)
    assert caught.value.warning is WarnCode.INCOMPATIBLE_MEDIA_FORMAT


def test_the_old_hold_passes_as_the_new_one():
    offer = described("m=audio 4000 RTP/AVP 0", head=("c=IN IP4 0.0.0.0",))
    told = translate_offer(offer, [plain_end()], session_id=1)
    assert attributes(told, 0, "sendonly") == [""]
    assert told.connection_host == OURS


def test_added_codecs_come_last_with_numbers_that_are_free_in_all_streams():
    offer = described(
        "m=audio 4000 RTP/AVP 0 111",
        "a=rtpmap:111 iLBC/8000",
        "m=video 4002 RTP/AVP 96",
        "a=rtpmap:96 VP8/90000",
    )
    told = translate_offer(offer, ends(offer), session_id=1, added=(PCMA, PCMU, OPUS, EVENT))
    encodings = {each.payload_type: each.encoding for each in stream_formats(told.media[0])}
    assert encodings == {0: "PCMU", 111: "iLBC", 8: "PCMA", 97: "opus", 101: "telephone-event"}


# --- offers again ------------------------------------------------------------------------------------


def test_the_version_grows_by_one_only_when_something_changed():
    first = to_phone("baresip-offer")
    same = to_phone("baresip-offer", previous=first)
    held = described(
        *(str(line) for line in said_by("baresip-offer").media[0].lines if line.value != "sendrecv"),
        "a=sendonly",
    )
    changed = translate_offer(held, [plain_end()], session_id=1, previous=same)
    assert [each.origin.version for each in (first, same, changed)] == ["1", "1", "2"]


def test_a_leg_that_meets_another_partner_keeps_its_numbers_and_places():
    first = to_phone("chromium-audio-video-offer")
    again = translate_offer(
        described("m=audio 4000 RTP/AVP 107 111", "a=rtpmap:107 opus/48000/2", "a=rtpmap:111 iLBC/8000"),
        [plain_end()],
        session_id=1,
        previous=first,
    )
    assert [line.split(" ")[1] for line in media_lines(again)] == ["4000", "0"]
    encodings = {each.payload_type: each.encoding for each in stream_formats(again.media[0])}
    assert encodings[111] == "opus"
    assert "iLBC" in encodings.values()
    assert 107 not in encodings or encodings[107] == "iLBC"


# --- answers -----------------------------------------------------------------------------------------


def test_a_phone_answers_a_browser():
    offer = said_by("chromium-audio-video-offer")
    phone = described(
        "m=audio 9000 RTP/AVP 0 126", "a=rtpmap:126 telephone-event/8000", "m=video 0 RTP/AVP 96"
    )
    told = translate_answer(phone, offer, ends(offer, browser_end, shared=True), session_id=1)
    assert text(told).split("\r\n") == [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "a=group:BUNDLE 0",
        "a=ice-lite",
        "m=audio 7000 UDP/TLS/RTP/SAVPF 0 126",
        "a=mid:0",
        "a=rtpmap:126 telephone-event/8000",
        "a=sendrecv",
        "a=msid:ringback audio",
        "a=ice-ufrag:ouru",
        "a=ice-pwd:ourpassword0123456789ab",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 7000 typ host",
        "a=end-of-candidates",
        "a=rtcp-mux",
        f"a=fingerprint:{FINGERPRINT}",
        "a=setup:active",
        str(offer.media[1].lines[0]).replace("m=video " + str(offer.media[1].line.port), "m=video 0"),
        "a=mid:1",
        "",
    ]


def test_a_browser_answers_a_browser():
    offer, answer = said_by("chromium-audio-video-offer"), said_by("chromium-audio-video-answer")
    told = translate_answer(answer, offer, ends(offer, browser_end, shared=True), session_id=1)
    assert told.attribute_values("group") == ["BUNDLE 0 1"]
    assert [line.split(" ")[1] for line in media_lines(told)] == ["7000", "7000"]
    assert attributes(told, 1, "ice-ufrag") == []
    assert attributes(told, 1, "extmap") == attributes(answer, 1, "extmap")
    assert [m.line.formats for m in told.media] == [m.line.formats for m in answer.media]


def test_a_browser_answers_a_phone():
    phone = described(
        "m=audio 9000 RTP/AVP 0 8 101",
        "a=rtpmap:101 telephone-event/8000",
        "m=video 9002 RTP/AVP 34 99",
        "a=rtpmap:99 H264/90000",
        "m=image 0 udptl t38",
    )
    told = translate_answer(said_by("chromium-answer-to-phone"), phone, ends(phone), session_id=1)
    assert media_lines(told) == [
        "m=audio 4000 RTP/AVP 0 8 101",
        "m=video 4002 RTP/AVP 99",
        "m=image 0 udptl t38",
    ]
    assert not any(
        line.value.startswith(("mid", "setup", "ice", "group"))
        for media in told.media
        for line in media.lines
    )


def test_a_bundle_may_be_declined():
    offer = said_by("chromium-audio-video-offer")
    phone = described("m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/AVP 96", "a=rtpmap:96 VP8/90000")
    told = translate_answer(phone, offer, ends(offer, browser_end), session_id=1, bundle=False)
    assert told.attribute_values("group") == []
    assert [line.split(" ")[1] for line in media_lines(told)] == ["4000", "4002"]
    assert attributes(told, 1, "ice-ufrag") == ["ouru"]


def test_sdes_is_answered_with_the_one_line_that_fits():
    offer = said_by("linphone-sdes-offer")
    phone = described("m=audio 9000 RTP/AVP 0")
    told = translate_answer(phone, offer, [sdes_end()], session_id=1)
    (line,) = streams_of(told)[0].crypto
    assert (line.tag, line.suite) == (1, "AES_CM_128_HMAC_SHA1_80")
    assert line.key in {each.key for each in CRYPTO}
    with pytest.raises(UnacceptableSession, match="encrypt"):
        translate_answer(phone, offer, [plain_end()], session_id=1)


def test_opportunistic_encryption_is_answered_where_we_have_keys():
    offer = said_by("baresip-opportunistic-offer")
    phone = described("m=audio 9000 RTP/AVP 0")
    with_keys = translate_answer(phone, offer, [sdes_end(protocol="RTP/AVP")], session_id=1)
    assert len(attributes(with_keys, 0, "crypto")) == 1
    without = translate_answer(phone, offer, [plain_end()], session_id=1)
    assert attributes(without, 0, "crypto") == []


def test_an_added_codec_that_was_chosen_makes_us_transcode():
    offer = described("m=audio 9000 RTP/AVP 18 8 101", "a=rtpmap:101 telephone-event/8000")
    to_b = translate_offer(offer, [plain_end()], session_id=1, added=(OPUS,))
    answer = described("m=audio 9100 RTP/AVP 111", "a=rtpmap:111 opus/48000/2")
    told = translate_answer(answer, offer, [plain_end(5000)], session_id=2, transcodable=(OPUS, PCMU, PCMA))
    assert media_lines(told) == ["m=audio 5000 RTP/AVP 8 101"]
    sides = {"to_sender": told, "of_sender": offer, "of_receiver": answer, "to_receiver": to_b}
    assert payload_map(**{name: each.media[0] for name, each in sides.items()}) is None
    with pytest.raises(UnacceptableSession, match="codec"):
        translate_answer(answer, offer, [plain_end(5000)], session_id=2)


def test_an_answer_with_other_numbers_is_told_in_those_of_the_offer():
    offer = described("m=audio 9000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    answer = described("m=audio 9100 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000", "a=fmtp:96 0-15")
    told = translate_answer(answer, offer, [plain_end(5000)], session_id=2)
    assert media_lines(told) == ["m=audio 5000 RTP/AVP 0 101"]
    assert attributes(told, 0, "fmtp") == ["101 0-15"]


@pytest.mark.parametrize(
    ("offered", "answered", "expected"),
    [
        ("sendrecv", "recvonly", "recvonly"),
        ("sendonly", "recvonly", "recvonly"),
        ("sendonly", "sendrecv", "recvonly"),
        ("recvonly", "sendonly", "sendonly"),
        ("inactive", "sendrecv", "inactive"),
    ],
)
def test_an_answer_never_says_more_than_the_offer_allows(offered, answered, expected):
    offer = described("m=audio 9000 RTP/AVP 0", f"a={offered}")
    answer = described("m=audio 9100 RTP/AVP 0", f"a={answered}")
    told = translate_answer(answer, offer, [plain_end()], session_id=2)
    assert effective_direction(told, told.media[0]) is Direction(expected)


def test_an_answer_with_fewer_or_more_streams_has_the_shape_of_the_offer():
    offer = described("m=audio 9000 RTP/AVP 0", "m=video 9002 RTP/AVP 31")
    short = translate_answer(described("m=audio 9100 RTP/AVP 0"), offer, ends(offer), session_id=2)
    assert media_lines(short) == ["m=audio 4000 RTP/AVP 0", "m=video 0 RTP/AVP 31"]
    long = described("m=audio 9100 RTP/AVP 0", "m=video 0 RTP/AVP 31", "m=video 0 RTP/AVP 31")
    assert len(translate_answer(long, offer, ends(offer), session_id=2).media) == 2


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        # RFC 4317 2.1, 2.2: one of several codecs, video accepted
        (
            ("m=audio 49170 RTP/AVP 0 8 97", "a=rtpmap:97 iLBC/8000", "m=video 51372 RTP/AVP 31 32"),
            ("m=audio 49174 RTP/AVP 0", "m=video 49170 RTP/AVP 32"),
        ),
        # 2.3: a dynamic number chosen
        (
            ("m=audio 49170 RTP/AVP 99", "a=rtpmap:99 iLBC/8000", "m=video 51372 RTP/AVP 31"),
            ("m=audio 49172 RTP/AVP 99", "a=rtpmap:99 iLBC/8000", "m=video 0 RTP/AVP 31"),
        ),
        # 2.4: two audio streams, one for events
        (
            (
                "m=audio 49170 RTP/AVP 0",
                "m=audio 51372 RTP/AVP 97 101",
                "a=rtpmap:97 iLBC/8000",
                "a=rtpmap:101 telephone-event/8000",
            ),
            (
                "m=audio 49172 RTP/AVP 0",
                "m=audio 49174 RTP/AVP 101",
                "a=rtpmap:101 telephone-event/8000",
                "a=sendonly",
            ),
        ),
        # 3.1: hold
        (("m=audio 49170 RTP/AVP 0", "a=sendonly"), ("m=audio 49172 RTP/AVP 0", "a=recvonly")),
        # 4.1: the only stream is given up
        (("m=audio 0 RTP/AVP 0",), ("m=audio 0 RTP/AVP 0",)),
        # 5.1: third party call control begins without streams
        ((), ()),
    ],
)
def test_the_examples_of_rfc_4317_pass_through_both_ways(offered, answered):
    offer, answer = described(*offered), described(*answered)
    to_b = translate_offer(offer, ends(offer), session_id=1)
    assert [m.line.formats for m in to_b.media] == [m.line.formats for m in offer.media]
    to_a = translate_answer(answer, offer, ends(offer), session_id=2)
    assert [(bool(m.line.port), m.line.formats) for m in to_a.media] == [
        (bool(m.line.port), m.line.formats) for m in answer.media
    ]
    for ours, theirs in zip(to_a.media, answer.media, strict=True):
        assert effective_direction(to_a, ours) is effective_direction(answer, theirs)


# --- whatever comes ----------------------------------------------------------------------------------

attribute_lines = st.one_of(
    st.sampled_from(
        (
            *("a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv", "a=", "a=rtcp-mux", "c=IN IP4 0.0.0.0"),
            *(
                "a=rtpmap:96 opus/48000/2",
                "a=rtpmap:97 rtx/90000",
                "a=fmtp:97 apt=96",
                "a=rtpmap:98 VP8/90000",
            ),
            *(
                "a=rtpmap:101 telephone-event/8000",
                "a=fmtp:101 0-15",
                "a=fmtp:96 96/97",
                "a=mid:0",
                "a=mid:x",
            ),
            *("a=bundle-only", "a=msid:a b", "a=ssrc:1 cname:x", "a=extmap:1 urn:x", "a=rtcp-fb:* nack"),
            *(
                "a=T38FaxVersion:0",
                "a=candidate:1 1 udp 1 198.51.100.7 9 typ host",
                "a=ice-ufrag:abcd",
                "b=AS:9",
            ),
        )
    ),
    st.builds(
        "a={}:{}".format,
        st.sampled_from(("rtpmap", "fmtp", "rtcp-fb", "imageattr", "msid", "extmap", "ptime")),
        st.text("0169 /=*apt", max_size=10),
    ),
)
sections = st.builds(
    lambda kind, port, protocol, formats, attributes: [
        f"m={kind} {port} {protocol} {' '.join(map(str, formats))}",
        *attributes,
    ],
    st.sampled_from(("audio", "audio", "video", "image")),
    st.sampled_from((0, 9, 4000, 4002)),
    st.sampled_from(("RTP/AVP", "RTP/AVP", "RTP/AVPF", "udptl")),
    st.lists(st.sampled_from((0, 8, 9, 31, 96, 97, 98, 101)), min_size=1, max_size=5, unique=True),
    st.lists(attribute_lines, max_size=6),
)
sessions = st.lists(sections, min_size=1, max_size=3).map(
    lambda media: described(*(line for lines in media for line in lines))
)
makers = st.sampled_from((plain_end, sdes_end, browser_end))


def is_typed(session: SessionDescription) -> bool:
    try:
        streams_of(session)
    except UnacceptableSession:
        return False
    return True


def numbers(media: MediaDescription) -> set[int]:
    return {each.payload_type for each in stream_formats(media)}


@given(sessions, sessions, makers, makers, st.booleans())
def test_whatever_two_legs_say_is_refused_or_told_in_good_shape(offer, answer, make_b, make_a, bundle):
    if not (is_typed(offer) and is_typed(answer)):
        return
    try:
        to_b = translate_offer(
            offer, ends(offer, make_b), session_id=1, added=(OPUS, PCMU, EVENT), bundle=bundle
        )
        to_a = translate_answer(answer, offer, ends(offer, make_a), session_id=2, transcodable=(PCMU, PCMA))
    except UnacceptableSession:
        return
    for told, shape in ((to_b, offer), (to_a, offer)):
        assert SessionDescription.parse(told.to_bytes()) == told
        assert is_typed(told)
        assert [m.line.media for m in told.media] == [m.line.media for m in shape.media]
        assert not any(host in text(told) for host in THEIR_HOSTS)
        for media in told.media:
            assert len(set(media.line.formats)) == len(media.line.formats)
    for index, media in enumerate(to_a.media):
        assert offer.media[index].line.port or not media.line.port
        assert numbers(media) <= numbers(offer.media[index]) or not media.line.port


@given(sessions, sessions, makers)
def test_numbers_keep_their_meaning_when_a_leg_is_offered_something_else(first, second, make):
    if not (is_typed(first) and is_typed(second)):
        return
    try:
        before = translate_offer(first, ends(first, make), session_id=1, added=(OPUS, PCMU))
        after = translate_offer(second, ends(second, make), session_id=1, previous=before, added=(OPUS, PCMU))
    except UnacceptableSession:
        return
    assert len(after.media) >= len(before.media)
    for old, new in zip(before.media, after.media, strict=False):
        meaning = {each.payload_type: each for each in stream_formats(old)}
        if old.line.media == new.line.media:
            assert all(
                meaning.get(each.payload_type, each).is_same_encoding(each) for each in stream_formats(new)
            )
