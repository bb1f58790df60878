# SPDX-License-Identifier: Apache-2.0
"""Offer and answer: RFC 3264, RFC 6337."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.attributes import AudioFormat, Direction, audio_formats
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.offer_answer import AudioCapabilities, make_answer, make_offer, negotiate
from ringback.sdp.session import SessionDescription
from ringback.sip.flow import Address

PCMU, PCMA = AudioFormat(0, "PCMU"), AudioFormat(8, "PCMA")
ALICE = AudioCapabilities((PCMU, PCMA), Address("192.0.2.1", 4000), rtcp_port=4001)
BOB = AudioCapabilities((PCMA, PCMU), Address("192.0.2.2", 5000), rtcp_port=5001)


def described(*lines: str, connection: str | None = "IN IP4 192.0.2.9") -> SessionDescription:
    head = ["v=0", "o=- 7 7 IN IP4 192.0.2.9", "s=-"]
    if connection:
        head.append(f"c={connection}")
    return SessionDescription.parse("\r\n".join([*head, "t=0 0", *lines, ""]).encode())


def answered(*lines: str, connection: str | None = "IN IP4 192.0.2.9", **options) -> list[str]:
    answer = make_answer(described(*lines, connection=connection), BOB, session_id=1, **options)
    return [str(line) for media in answer.media for line in media.lines]


def test_an_offer_is_answered_with_its_numbers_in_its_order():
    offer = make_offer(ALICE, session_id=17)
    assert offer.to_bytes().decode().split("\r\n") == [
        "v=0",
        "o=- 17 17 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
    answer = make_answer(offer, BOB, session_id=99)
    assert answer.media[0].line.formats == ("0", "8", "101")

    ours, theirs = negotiate(offer, answer), negotiate(answer, offer)
    assert ours.remote == Address("192.0.2.2", 5000)
    assert ours.remote_rtcp == Address("192.0.2.2", 5001)
    assert theirs.remote == Address("192.0.2.1", 4000)
    assert ours.send == theirs.send == PCMU
    assert ours.direction is theirs.direction is Direction.SENDRECV
    assert ours.telephone_event == theirs.telephone_event == 101
    assert set(ours.receive) == {0, 8, 101}


def test_dynamic_numbers_of_the_offer_are_kept():
    lines = answered(
        "m=audio 49170 RTP/AVP 97 96 110",
        "a=rtpmap:97 iLBC/8000",
        "a=rtpmap:96 pcma/8000",
        "a=rtpmap:110 telephone-event/8000",
        "a=fmtp:110 0-15",
    )
    assert lines[0] == "m=audio 5000 RTP/AVP 96 110"
    assert lines[1:4] == ["a=rtpmap:96 PCMA/8000", "a=rtpmap:110 telephone-event/8000", "a=fmtp:110 0-16"]


def test_each_end_sends_with_the_numbers_of_the_other():
    local = described("m=audio 5000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000")
    remote = described("m=audio 6000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    agreed = negotiate(local, remote)
    assert agreed.telephone_event == 96
    assert {n: f.encoding for n, f in agreed.receive.items()} == {
        0: "PCMU",
        96: "telephone-event",
        101: "telephone-event",
    }


def test_events_of_another_clock_are_not_taken():
    lines = answered("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/48000")
    assert lines[0] == "m=audio 5000 RTP/AVP 0"


def test_other_streams_are_rejected_with_port_0_in_their_places():
    lines = answered(
        "m=video 4002 RTP/AVP 31",
        "m=audio 4000 RTP/SAVP 0",
        "m=audio 4000 RTP/AVPF 8",
        "m=audio 4004 RTP/AVP 0",
        "m=message 2855/2 TCP/MSRP *",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    )
    assert [line for line in lines if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 5000 RTP/AVPF 8",
        "m=audio 0 RTP/AVP 0",
        "m=message 0 TCP/MSRP *",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ]


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("m=video 4002 RTP/AVP 31", WarnCode.MEDIA_TYPE_NOT_AVAILABLE),
        ("m=audio 4000 RTP/SAVP 0", WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL),
        ("m=audio 4000 RTP/AVP 18", WarnCode.INCOMPATIBLE_MEDIA_FORMAT),
        ("m=audio 4000 RTP/AVP 96", WarnCode.INCOMPATIBLE_MEDIA_FORMAT),
    ],
)
def test_nothing_usable_is_488_with_the_reason(line, warning):
    with pytest.raises(UnacceptableSession) as caught:
        answered(line)
    assert (caught.value.status, caught.value.warning) == (488, warning)


def test_telephone_events_alone_are_no_call():
    with pytest.raises(UnacceptableSession):
        answered("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000")


@pytest.mark.parametrize(
    "lines",
    [
        ("m=audio 4000 RTP/AVP 4294967296",),
        ("m=audio 4000 RTP/AVP 128",),
        ("m=audio 4000 RTP/AVP x",),
        ("m=audio 4000 RTP/AVP 0", "a=rtpmap:65535 PCMU/8000"),
        ("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 /8000"),
        ("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/1_0"),
        ("m=audio 4000 RTP/AVP 0", "a=rtpmap:"),
        ("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000/999"),
        ("m=audio 4000 RTP/AVP 0", "a=fmtp:x 1"),
        ("m=audio 4000 RTP/AVP 0", "a=rtcp:99999"),
        ("m=audio 4000 RTP/AVP 0", "a=rtcp:4001 IN IP4 host.example"),
        ("m=audio 4000 RTP/AVP 0", "a=rtcp:4001 IN IP4 127.0.0.1"),
        ("m=audio 4000 RTP/AVP 0", "c=IN IP4 127.0.0.1"),
        ("m=audio 4000 RTP/AVP 0", "c=IN IP4 224.2.0.1"),
        ("m=audio 5000 RTP/AVP 0", "c=IN IP4 192.0.2.2"),
        ("m=audio 5000 RTP/AVP 0", "c=IN IP6 2001:db8::1"),
    ],
)
def test_hostile_values_are_488(lines):
    with pytest.raises(UnacceptableSession):
        answered(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        ("a=",),
        ("a=fmtp:101 0-15",),
        ("a=ptime:20.5", "a=maxptime:x", "a=ptime:", "a=unknown:value"),
        ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",) * 65,
    ],
)
def test_odd_but_harmless_lines_are_ignored(lines):
    assert answered("m=audio 4000 RTP/AVP 0", *lines)[0] == "m=audio 5000 RTP/AVP 0"


def test_a_stream_without_any_connection_is_refused():
    with pytest.raises(UnacceptableSession):
        answered("m=audio 4000 RTP/AVP 0", connection=None)
    assert answered("m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.9", connection=None)


def test_loopback_is_for_those_who_listen_there():
    lines = ("m=audio 4000 RTP/AVP 0", "c=IN IP4 127.0.0.1")
    local = AudioCapabilities((PCMU,), Address("127.0.0.1", 5000))
    assert make_answer(described(*lines), local, session_id=1)
    allowed = AudioCapabilities((PCMU,), Address("192.0.2.2", 5000), allow_loopback=True)
    assert make_answer(described(*lines), allowed, session_id=1)


DIRECTIONS = [
    ("sendrecv", "sendrecv", "sendrecv"),
    ("sendonly", "sendrecv", "recvonly"),
    ("recvonly", "sendrecv", "sendonly"),
    ("inactive", "sendrecv", "inactive"),
    ("sendrecv", "sendonly", "sendonly"),
    ("sendonly", "sendonly", "inactive"),
    ("recvonly", "sendonly", "sendonly"),
    ("sendrecv", "inactive", "inactive"),
]


@pytest.mark.parametrize(("offered", "wanted", "expected"), DIRECTIONS)
def test_directions_are_answered(offered, wanted, expected):
    lines = answered("m=audio 4000 RTP/AVP 0", f"a={offered}", wanted=Direction(wanted))
    assert f"a={expected}" in lines


def test_the_direction_of_the_session_counts_where_the_stream_has_none():
    offer = SessionDescription.parse(
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\na=sendonly\r\n"
        b"m=audio 4000 RTP/AVP 0\r\n"
    )
    assert make_answer(offer, BOB, session_id=1).media[0].attribute("recvonly") == ""


def test_the_old_hold_is_understood():
    offer = described("m=audio 4000 RTP/AVP 0", connection="IN IP4 0.0.0.0")
    answer = make_answer(offer, BOB, session_id=1)
    assert answer.media[0].attribute("recvonly") == ""
    agreed = negotiate(answer, offer)
    assert agreed.remote is None
    assert agreed.direction is Direction.RECVONLY


def test_where_rtcp_goes_is_read_and_written():
    offer = described("m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 192.0.2.77")
    answer = make_answer(offer, BOB, session_id=1)
    assert negotiate(answer, offer).remote_rtcp == Address("192.0.2.77", 53020)
    odd = AudioCapabilities((PCMU,), Address("192.0.2.2", 5000), rtcp_port=7777)
    assert make_offer(odd, session_id=1).media[0].attribute("rtcp") == "7777"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), 20),
        (("a=ptime:30",), 30),
        (("a=ptime:20", "a=maxptime:10"), 10),
        (("a=ptime:500",), 60),
        (("a=ptime:1",), 10),
        (("a=ptime:0",), 20),
        (("a=ptime:25.5",), 20),
        (("a=ptime:99999999999",), 20),
    ],
)
def test_the_packet_time_the_peer_likes_is_used_within_reason(lines, expected):
    offer = described("m=audio 4000 RTP/AVP 0", *lines)
    answer = make_answer(offer, BOB, session_id=1)
    assert negotiate(answer, offer).packet_time_ms == expected


def test_rtcp_mux_is_not_taken_and_ice_is_not_answered():
    lines = answered(
        "m=audio 4000 RTP/AVP 0", "a=rtcp-mux", "a=ice-ufrag:x", "a=candidate:1 1 UDP 1 1.2.3.4 5 typ host"
    )
    assert not any("mux" in line or "ice" in line or "candidate" in line for line in lines)


def test_ipv6_is_spoken():
    six = AudioCapabilities((PCMU,), Address("2001:db8::1", 4000), rtcp_port=4001)
    offer = make_offer(six, session_id=5)
    assert str(offer.lines[1]) == "o=- 5 5 IN IP6 2001:db8::1"
    assert str(offer.lines[3]) == "c=IN IP6 2001:db8::1"
    assert negotiate(
        make_answer(offer, six_bob := AudioCapabilities((PCMU,), Address("2001:db8::2", 4)), session_id=1),
        offer,
    ).remote == Address("2001:db8::1", 4000)
    assert six_bob.rtcp_port is None


# --- again -------------------------------------------------------------------------------------------


def test_the_version_grows_by_one_only_when_something_changed():
    first = make_offer(ALICE, session_id=10)
    same = make_offer(ALICE, session_id=10, previous=first)
    held = make_offer(ALICE, session_id=10, wanted=Direction.SENDONLY, previous=same)
    assert [each.origin.version for each in (first, same, held)] == ["10", "10", "11"]


def test_a_new_offer_keeps_the_places_and_numbers_of_the_session():
    offer = described(
        "m=video 4002 RTP/AVP 31",
        "m=audio 4000 RTP/AVP 100 110",
        "a=rtpmap:100 PCMU/8000",
        "a=rtpmap:110 telephone-event/8000",
    )
    answer = make_answer(offer, BOB, session_id=3)
    again = make_offer(BOB, session_id=3, previous=answer)
    assert again.media[0].line.port == 0
    assert again.media[1].line.port == 5000
    encodings = {each.encoding: each.payload_type for each in audio_formats(again.media[1])}
    assert encodings == {"PCMA": 8, "PCMU": 100, "telephone-event": 110}


def test_a_number_in_use_is_not_given_to_another_encoding():
    offer = described("m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 PCMA/8000")
    answer = make_answer(offer, BOB, session_id=3)
    again = make_offer(BOB, session_id=3, previous=answer)
    numbers = [each.payload_type for each in audio_formats(again.media[0])]
    assert len(set(numbers)) == len(numbers) == 3


def test_a_stream_that_was_refused_gets_a_new_place():
    offer = described("m=audio 0 RTP/AVP 0")
    answer = make_answer(offer, BOB, session_id=3)
    assert negotiate(answer, offer) is None
    again = make_offer(BOB, session_id=3, previous=answer)
    assert [media.line.port for media in again.media] == [0, 5000]


def test_an_offer_without_streams_is_answered_without_streams():
    answer = make_answer(described(), BOB, session_id=3)
    assert answer.media == ()
    assert negotiate(answer, described()) is None


def test_an_answer_of_another_shape_is_refused():
    offer = make_offer(ALICE, session_id=1)
    with pytest.raises(UnacceptableSession):
        negotiate(offer, described())
    with pytest.raises(UnacceptableSession):
        negotiate(offer, described("m=audio 1000 RTP/AVP 18"))


# --- whatever comes ----------------------------------------------------------------------------------

attribute_lines = st.one_of(
    st.sampled_from(
        ("a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv", "a=", "a=rtcp-mux", "c=IN IP4 0.0.0.0")
    ),
    st.builds(
        "a=rtpmap:{} {}/{}".format,
        st.integers(0, 130),
        st.sampled_from(("PCMU", "pcma", "telephone-event")),
        st.sampled_from(("8000", "16000", "8000/1", "x")),
    ),
    st.builds("a=fmtp:{} {}".format, st.integers(0, 130), st.text("0123-,", max_size=6)),
    st.builds("a=ptime:{}".format, st.integers(-5, 5_000)),
    st.builds("a=rtcp:{}".format, st.integers(-1, 70_000)),
)
media_texts = st.builds(
    lambda kind, port, protocol, formats, attributes: [
        f"m={kind} {port} {protocol} {' '.join(map(str, formats))}",
        *attributes,
    ],
    st.sampled_from(("audio", "audio", "video")),
    st.integers(0, 65_535),
    st.sampled_from(("RTP/AVP", "RTP/AVPF", "RTP/SAVP")),
    st.lists(st.integers(0, 129), min_size=1, max_size=5),
    st.lists(attribute_lines, max_size=5),
)


@given(st.lists(media_texts, max_size=4))
def test_whatever_is_offered_is_refused_or_answered_in_shape(media):
    offer = described(*(line for lines in media for line in lines))
    try:
        answer = make_answer(offer, BOB, session_id=1)
    except UnacceptableSession:
        return
    assert SessionDescription.parse(answer.to_bytes()) == answer
    assert [m.line.media for m in answer.media] == [m.line.media for m in offer.media]
    assert all(a.line.protocol == o.line.protocol for a, o in zip(answer.media, offer.media, strict=True))
    assert all(o.line.port or not a.line.port for a, o in zip(answer.media, offer.media, strict=True))
    agreed = negotiate(answer, offer)
    if agreed is None:
        assert not any(media.line.port for media in answer.media)
    else:
        assert 10 <= agreed.packet_time_ms <= 60
        assert agreed.send.payload_type in agreed.receive
        assert make_answer(make_offer(BOB, session_id=1, previous=answer), ALICE, session_id=2)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        # 2.1: audio and video with several codecs each
        (
            (
                "m=audio 49170 RTP/AVP 0 8 97",
                "a=rtpmap:97 iLBC/8000",
                "m=video 51372 RTP/AVP 31 32",
                "a=rtpmap:31 H261/90000",
            ),
            ["m=audio 5000 RTP/AVP 0 8", "m=video 0 RTP/AVP 31 32"],
        ),
        # 2.4: two audio streams, the second one for events
        (
            (
                "m=audio 49170 RTP/AVP 0",
                "m=audio 51372 RTP/AVP 97 101",
                "a=rtpmap:97 iLBC/8000",
                "a=rtpmap:101 telephone-event/8000",
                "a=sendonly",
            ),
            ["m=audio 5000 RTP/AVP 0", "m=audio 0 RTP/AVP 97 101"],
        ),
        # 2.5: a stream is added to a call, then removed again
        (
            ("m=audio 49170 RTP/AVP 0", "m=video 0 RTP/AVP 31"),
            ["m=audio 5000 RTP/AVP 0", "m=video 0 RTP/AVP 31"],
        ),
        # 4.1: the audio is given up
        (("m=audio 0 RTP/AVP 0",), ["m=audio 0 RTP/AVP 0"]),
        # 5.1: third party call control offers no media at first
        ((), []),
    ],
)
def test_the_examples_of_rfc_4317_are_answered_as_far_as_they_are_audio(offered, expected):
    assert [line for line in answered(*offered) if line.startswith("m=")] == expected
