# SPDX-License-Identifier: Apache-2.0
"""Streams of real programs and of hostile ones: RELIABILITY rows 9 and 10."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import NAMES, described, said_by

from ringback.sdp.attributes import Direction
from ringback.sdp.bundle import bundle_groups, bundle_tags
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.security import Security, has_feedback, is_dtls, is_rtp, is_srtp, is_udptl
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import StreamDescription, effective_direction, streams_of
from ringback.sip.flow import Address

ICE = ("a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22)
FINGERPRINT = "a=fingerprint:sha-256 " + ":".join("AB" for _ in range(32))


def one(
    *lines: str, head: tuple[str, ...] = ("c=IN IP4 198.51.100.7",), **options: bool
) -> StreamDescription:
    (stream,) = streams_of(described(*lines, head=head), **options)
    return stream


@pytest.mark.parametrize("name", NAMES)
def test_what_real_programs_say_is_understood(name):
    streams = streams_of(said_by(name))
    assert [stream.index for stream in streams] == list(range(len(streams)))
    for stream in streams:
        spoken = is_rtp(stream.protocol) and not stream.is_rejected
        assert bool(stream.formats) == spoken


@pytest.mark.parametrize(
    ("name", "security"),
    [
        ("baresip-offer", Security.PLAIN),
        ("baresip-opportunistic-offer", Security.OPPORTUNISTIC),
        ("baresip-sdes-offer", Security.SDES),
        ("baresip-dtls-offer", Security.DTLS),
        ("linphone-offer", Security.PLAIN),
        ("linphone-sdes-offer", Security.SDES),
        ("linphone-dtls-offer", Security.DTLS),
        ("chromium-audio-offer", Security.DTLS),
        ("firefox-audio-video-offer", Security.DTLS),
    ],
)
def test_the_security_of_a_stream_is_known(name, security):
    assert streams_of(said_by(name))[0].security is security


def test_a_secure_stream_with_a_fingerprint_and_the_old_name_is_dtls():
    stream = one("m=audio 4000 RTP/SAVPF 0", FINGERPRINT, "a=setup:actpass")
    assert stream.security is Security.DTLS


@pytest.mark.parametrize(
    ("security", "feedback", "protocol"),
    [
        (Security.PLAIN, False, "RTP/AVP"),
        (Security.OPPORTUNISTIC, True, "RTP/AVPF"),
        (Security.SDES, False, "RTP/SAVP"),
        (Security.SDES, True, "RTP/SAVPF"),
        (Security.DTLS, False, "UDP/TLS/RTP/SAVPF"),
    ],
)
def test_every_security_has_its_protocol(security, feedback, protocol):
    assert security.protocol(feedback=feedback) == protocol
    assert is_rtp(protocol)
    assert is_srtp(protocol) == (security in (Security.SDES, Security.DTLS))
    assert is_dtls(protocol) == (security is Security.DTLS)
    assert has_feedback(protocol) == protocol.endswith("F")


def test_the_streams_of_a_browser_share_one_transport():
    audio, video = streams_of(said_by("chromium-audio-video-answer"))
    assert (audio.mid, audio.bundle_tag, audio.is_bundled) == ("0", "0", False)
    assert (video.mid, video.bundle_tag, video.is_bundled) == ("1", "0", True)
    assert video.ice == audio.ice
    assert video.dtls == audio.dtls
    assert video.rtcp_mux
    assert audio.ice is not None
    assert audio.dtls is not None


def test_a_stream_without_a_port_that_borrows_one_is_not_rejected():
    session = described(
        "m=audio 9000 UDP/TLS/RTP/SAVPF 0",
        "a=mid:a",
        FINGERPRINT,
        *ICE,
        "a=rtcp-mux",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:v",
        "a=bundle-only",
        "a=rtpmap:96 VP8/90000",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "a=mid:w",
        head=("c=IN IP4 198.51.100.7", "a=group:BUNDLE a v"),
    )
    audio, borrowing, rejected = streams_of(session)
    assert not borrowing.is_rejected
    assert borrowing.dtls == audio.dtls
    assert borrowing.ice == audio.ice
    assert borrowing.rtp == audio.rtp
    assert rejected.is_rejected


def test_groups_are_read_and_a_rejected_stream_lends_no_transport():
    head = ("a=group:LS a b", "a=group:BUNDLE a b c", "a=group:BUNDLE", "a=group:")
    session = described("m=audio 0 RTP/AVP 0", "a=mid:a", "m=audio 9 RTP/AVP 0", "a=mid:b", head=head)
    assert bundle_groups(session) == (("a", "b", "c"),)
    assert bundle_tags(session) == {"a": "b", "b": "b", "c": "b"}


def test_hold_is_known_in_the_new_way_and_the_old():
    assert one("m=audio 4000 RTP/AVP 0", "a=sendonly").is_held
    old = described("m=audio 4000 RTP/AVP 0", head=("c=IN IP4 0.0.0.0",))
    assert streams_of(old)[0].is_held
    assert effective_direction(old, old.media[0]) is Direction.SENDONLY
    browser = described("m=audio 9 UDP/TLS/RTP/SAVPF 0", FINGERPRINT, *ICE, head=("c=IN IP4 0.0.0.0",))
    assert not streams_of(browser)[0].is_held
    assert effective_direction(browser, browser.media[0]) is Direction.SENDRECV
    assert streams_of(said_by("jssip-hold-offer"))[0].is_held


def test_fax_has_an_address_and_no_formats():
    audio, fax = streams_of(said_by("fax-offer"))
    assert audio.is_rejected
    assert is_udptl(fax.protocol)
    assert fax.rtp == Address("198.51.100.7", 5010)
    assert one("m=image 5010 UDPTL t38").rtp == Address("198.51.100.7", 5010)


def test_video_with_bare_static_numbers_is_understood():
    (video,) = streams_of(described("m=video 4000 RTP/AVP 34 31"))
    assert [each.encoding for each in video.formats] == ["H263", "H261"]


def test_protocols_that_are_not_ours_are_described_without_judgement():
    stream = one("m=message 2855 TCP/MSRP *", "a=path:msrp://127.0.0.1:2855/x;tcp", "c=IN IP4 host.example")
    assert (stream.is_rejected, stream.rtp, stream.formats) == (False, None, ())


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("m=audio 4000 RTP/SAVP 0",), "a=crypto"),
        (("m=audio 4000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"), "a=crypto"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0",), "a=fingerprint"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 AB"), "a=fingerprint"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0", FINGERPRINT, "a=setup:none"), "a=setup"),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0", FINGERPRINT, "a=ice-ufrag:x"), "a=ice-ufrag"),
        (("m=audio 4000 RTP/AVP 4294967296",), "payload type in m="),
        (("m=audio 4000 RTP/AVP 65535",), "payload type in m="),
        (("m=audio 4000 RTP/AVP 0", "a=rtpmap:0"), "a=rtpmap"),
        (("m=video 4000 RTP/AVP 96", "a=rtpmap:96 VP8/x"), "a=rtpmap"),
        (("m=audio 4000 RTP/AVP 0", "a=fmtp:x 1"), "a=fmtp"),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:4001 IN IP4 host.example"), "a=rtcp"),
        (("m=audio 4000 RTP/AVP 0", "a=mid:a b"), "a=mid"),
        (("m=audio 4000 RTP/AVP 0", "a=mid:a", "m=audio 4000 RTP/AVP 0", "a=mid:a"), "a=mid"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 127.0.0.1"), "127.0.0.1"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 224.0.0.1/127"), "224.0.0.1"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP6 ::ffff:127.0.0.1"), "127.0.0.1"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 media.example.com"), "c="),
        (("m=image 4000 udptl t38", "c=IN IP4 127.0.0.1"), "127.0.0.1"),
    ],
)
def test_hostile_values_are_refused_and_the_line_is_named(lines, named):
    with pytest.raises(UnacceptableSession, match=named) as caught:
        streams_of(described(*lines))
    assert caught.value.status == 488
    assert '"' not in caught.value.detail


def test_the_stream_at_fault_is_counted_in_the_refusal():
    with pytest.raises(UnacceptableSession, match=r"^m= line 2 \(video\): ") as caught:
        streams_of(described("m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 96", "c=IN IP4 10.0.0.1.9"))
    assert caught.value.warning is WarnCode.INCOMPATIBLE_ADDRESS_FORMAT


@pytest.mark.parametrize(
    "lines",
    [
        (
            "m=audio 4000 RTP/AVP 0",
            "a=",
            "a=ptime:",
            "a=group:",
            "a=candidate:",
            "a=fingerprint:x",
            "a=setup:x",
        ),
        ("m=audio 4000 RTP/AVP 0", "a=fmtp:101 0-15", "a=rtpmap:0 RED/8000"),
        ("m=audio 4000 RTP/AVP 0", *("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x",) * 65),
        ("m=audio 4000 RTP/AVP 0", "a=ice-ufrag:x", "a=candidate:1 1 UDP 1 1.2.3.4 5 typ host"),
        ("m=audio 0 RTP/AVP 999", "c=IN IP4 127.0.0.1", "a=rtpmap:x"),
        ("m=audio 4000 RTP/SAVP 0", FINGERPRINT, "a=crypto:bad"),
    ],
)
def test_odd_but_harmless_lines_are_ignored(lines):
    assert one(*lines).index == 0


def test_seventeen_streams_are_refused_and_sixteen_are_not():
    assert len(streams_of(described(*("m=audio 0 RTP/AVP 0",) * 16))) == 16
    with pytest.raises(UnacceptableSession, match="m= lines"):
        described(*("m=audio 0 RTP/AVP 0",) * 17)


def test_our_own_sockets_are_refused_wherever_they_are_named():
    ours: Callable[[Address], bool] = lambda address: address == Address("198.51.100.7", 4001)  # noqa: E731
    assert streams_of(described("m=audio 4002 RTP/AVP 0"), is_self=ours)
    for lines in (
        ("m=audio 4000 RTP/AVP 0",),
        ("m=audio 5000 RTP/AVP 0", "a=rtcp:4001"),
        (
            "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            FINGERPRINT,
            *ICE,
            "a=candidate:1 1 udp 1 198.51.100.7 4001 typ host",
        ),
    ):
        with pytest.raises(UnacceptableSession, match="one of ours"):
            streams_of(described(*lines), is_self=ours)


def test_loopback_is_for_those_who_listen_there():
    lines = ("m=audio 4000 RTP/AVP 0", "c=IN IP4 127.0.0.1")
    assert one(*lines, allow_loopback=True).rtp == Address("127.0.0.1", 4000)


mostly_sane = st.one_of(
    st.sampled_from(
        (
            "a=rtpmap:96 VP8/90000",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            FINGERPRINT,
            "a=setup:actpass",
            *ICE,
            "a=candidate:1 1 udp 1 203.0.113.9 9 typ host",
            "a=mid:0",
            "a=mid:1",
            "a=bundle-only",
            "a=rtcp-mux",
            "a=rtcp:9 IN IP4 0.0.0.0",
            "c=IN IP4 0.0.0.0",
            "c=IN IP6 ::",
            "a=inactive",
        )
    ),
    st.builds(
        "a={}:{}".format,
        st.sampled_from(("mid", "rtcp", "fmtp", "rtpmap", "crypto", "ice-pwd", "ptime")),
        st.text("0123:. ax", max_size=8),
    ),
)
sections = st.builds(
    lambda kind, port, protocol, attributes: [f"m={kind} {port} {protocol} 0 96", *attributes],
    st.sampled_from(("audio", "video", "image", "application")),
    st.sampled_from((0, 9, 4000, 65_535)),
    st.sampled_from(("RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl", "TCP/MSRP")),
    st.lists(mostly_sane, max_size=6),
)


@given(st.lists(sections, max_size=4), st.booleans())
def test_whatever_is_said_is_refused_or_typed(media, has_group):
    head = ("c=IN IP4 198.51.100.7", *(("a=group:BUNDLE 0 1",) if has_group else ()))
    session = described(*(line for lines in media for line in lines), head=head)
    try:
        streams = streams_of(session)
    except UnacceptableSession:
        return
    assert len(streams) == len(media)
    for stream in streams:
        if stream.is_rejected or not is_rtp(stream.protocol):
            continue
        assert not is_srtp(stream.protocol) or stream.crypto or stream.dtls


@given(st.binary(max_size=400))
def test_bytes_after_a_good_start_are_refused_or_typed(tail):
    start = (
        b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nm=audio 4000 RTP/AVP 0\r\na="
    )
    try:
        assert streams_of(SessionDescription.parse(start + tail))
    except UnacceptableSession:
        return
