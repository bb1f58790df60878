# SPDX-License-Identifier: Apache-2.0
"""Descriptions: RFC 8866. Every line is kept; broken frames and floods are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.session import (
    Line,
    MediaDescription,
    MediaLine,
    Origin,
    SessionDescription,
    parse_connection,
)

FULL = (
    b"v=0\r\n"
    b"o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n"
    b"s=Call to John Smith\r\n"
    b"i=SDP Offer #1\r\n"
    b"u=http://www.jdoe.example.com/home.html\r\n"
    b"e=Jane Doe <jane@jdoe.example.com>\r\n"
    b"p=+1 617 555-6011\r\n"
    b"c=IN IP4 198.51.100.1\r\n"
    b"b=CT:128\r\n"
    b"t=0 0\r\n"
    b"x=unknown line types are kept, too\r\n"
    b"a=recvonly\r\n"
    b"m=audio 49170 RTP/AVP 0\r\n"
    b"m=video 51372/2 RTP/AVP 99\r\n"
    b"c=IN IP6 2001:db8::2\r\n"
    b"a=rtpmap:99 h263-1998/90000\r\n"
)


def test_a_description_prints_as_it_came():
    assert SessionDescription.parse(FULL).to_bytes() == FULL


def test_bare_line_feeds_and_empty_last_lines_are_tolerated():
    loose = FULL.replace(b"\r\n", b"\n") + b"\n\r\n"
    assert SessionDescription.parse(loose).to_bytes() == FULL


def test_lines_are_typed_when_asked():
    session = SessionDescription.parse(FULL)
    assert session.origin == Origin("jdoe", "3724394400", "3724394405", "198.51.100.1")
    assert session.connection_host == "198.51.100.1"
    assert session.attribute_values("recvonly") == [""]
    audio, video = session.media
    assert audio.line == MediaLine("audio", 49170, "RTP/AVP", ("0",))
    assert video.line == MediaLine("video", 51372, "RTP/AVP", ("99",), port_count=2)
    assert audio.connection_host is None
    assert video.connection_host == "2001:db8::2"
    assert video.attribute("rtpmap") == "99 h263-1998/90000"
    assert video.attribute("fmtp") is None


def test_bytes_that_are_no_utf_8_survive():
    odd = FULL.replace(b"Call to John Smith", b"\xff\xfe\x80")
    assert SessionDescription.parse(odd).to_bytes() == odd


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"hello",
        b"o=- 1 1 IN IP4 10.0.0.1\r\nv=0\r\n",
        b"v=1\r\no=- 1 1 IN IP4 10.0.0.1\r\n",
        b"v=0\r\n",
        b"v=0\r\no=- 1 1 IN IP4\r\n",
        b"v=0\r\no=- 1 1 XX IP4 10.0.0.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\no=- 1 1 IN IP4 10.0.0.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n\r\ns=-\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=a\rb\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=a\0b\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nA=b\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio 1 RTP/AVP\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio -1 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio 1_0 RTP/AVP 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio \u0663\u0664 RTP/AVP 0\r\n".encode(),
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=audio 1/x RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nm=au:dio 1 RTP/AVP 0\r\n",
    ],
)
def test_a_broken_frame_is_refused_with_488(data):
    with pytest.raises(UnacceptableSession) as caught:
        SessionDescription.parse(data)
    assert caught.value.status == 488


HEAD = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    ("part", "most"),
    [
        (b"m=audio 4000 RTP/AVP 0\r\n", 16),
        (b"a=x\r\n", 512),
        (b"i=x\r\n", 1_020),
    ],
)
def test_floods_are_refused(part, most):
    assert SessionDescription.parse(HEAD + part * most)
    with pytest.raises(UnacceptableSession):
        SessionDescription.parse(HEAD + part * (most + 1))


def test_too_many_formats_and_too_many_bytes_are_refused():
    numbers = b" ".join(b"%d" % n for n in range(65))
    with pytest.raises(UnacceptableSession):
        SessionDescription.parse(HEAD + b"m=audio 4000 RTP/AVP " + numbers + b"\r\n")
    with pytest.raises(UnacceptableSession):
        SessionDescription.parse(HEAD + b"i=" + bytes(65_536))


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("IN IP4 192.0.2.1", "192.0.2.1"),
        ("IN IP4 224.2.1.1/127/3", "224.2.1.1"),
        ("IN IP6 2001:DB8:0:0::1", "2001:db8::1"),
        ("IN IP6 ::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_address_of_a_connection_is_canonical(value, host):
    assert parse_connection(value) == host


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("IN IP4 host.example.com", WarnCode.INCOMPATIBLE_ADDRESS_FORMAT),
        ("IN IP4 127.1", WarnCode.INCOMPATIBLE_ADDRESS_FORMAT),
        ("IN IP4 2130706433", WarnCode.INCOMPATIBLE_ADDRESS_FORMAT),
        ("IN IP4 0x7f.1", WarnCode.INCOMPATIBLE_ADDRESS_FORMAT),
        ("IN IP6 fe80::1%eth0", WarnCode.INCOMPATIBLE_ADDRESS_FORMAT),
        ("IN IP4", WarnCode.INCOMPATIBLE_NETWORK_PROTOCOL),
        ("ATM NSAP 47.0091", WarnCode.INCOMPATIBLE_NETWORK_PROTOCOL),
    ],
)
def test_a_connection_without_an_ip_address_is_refused(value, warning):
    with pytest.raises(UnacceptableSession) as caught:
        parse_connection(value)
    assert caught.value.warning is warning
    assert caught.value.warning_value("ringback").startswith(f'{warning:d} ringback "')


line_values = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=40)
lines = st.builds(Line, st.sampled_from("isuepcbtrzkax"), line_values)
tokens = st.from_regex(r"[A-Za-z0-9]{1,10}", fullmatch=True)
media_lines = st.builds(
    MediaLine,
    media=tokens,
    port=st.integers(0, 65_535),
    protocol=st.sampled_from(("RTP/AVP", "RTP/SAVPF", "udp", "TCP/TLS/RTP/SAVP")),
    formats=st.lists(tokens, min_size=1, max_size=5).map(tuple),
    port_count=st.none() | st.integers(0, 65_535),
)
descriptions = st.builds(
    lambda before, after, media: SessionDescription(
        (Line("v", "0"), *before, Line("o", "- 1 2 IN IP4 10.0.0.1"), *after), media
    ),
    st.lists(lines, max_size=3),
    st.lists(lines, max_size=3),
    st.lists(
        st.builds(MediaDescription.new, media_lines, st.lists(lines, max_size=4).map(tuple)), max_size=4
    ).map(tuple),
)


@given(descriptions)
def test_what_is_printed_is_parsed_again(description):
    assert SessionDescription.parse(description.to_bytes()) == description


@given(st.binary(max_size=300) | st.text("v=0\r\nom acIN P46.:-/", max_size=120).map(str.encode))
def test_garbage_is_refused_or_kept(data):
    try:
        session = SessionDescription.parse(data)
    except UnacceptableSession:
        return
    assert SessionDescription.parse(session.to_bytes()) == session
