# SPDX-License-Identifier: Apache-2.0
"""Our own end of a call that is encrypted: SDES (RFC 4568), DTLS with ICE (RFC 5763, 8839), one port (RFC 5761)."""

from dataclasses import replace

import pytest
from sdp_peers import (
    CRYPTO,
    FINGERPRINT,
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
    sdes_end,
)

from ringback.sdp.attributes import AudioFormat, Direction
from ringback.sdp.errors import UnacceptableSession, WarnCode
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.offer_answer import AudioCapabilities, make_answer, make_offer, negotiate
from ringback.sdp.security import Security
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import streams_of
from ringback.sip.flow import Address

G722 = AudioFormat(9, "G722")
WIDE = AudioFormat(96, "L16", 16_000)


def capable(local: LocalStream | None, *formats: AudioFormat, **options) -> AudioCapabilities:
    return AudioCapabilities(formats or (OPUS, PCMU), Address(OURS, 4000), local=local, **options)


PEER = capable(replace(browser_end(), address=Address("198.51.100.7", 9000), ice=None), OPUS, PCMA, PCMU)


def test_an_offer_over_dtls_has_all_a_browser_asks_for():
    offer = make_offer(capable(browser_end()), session_id=5)
    assert offer.attribute_values("group") == ["BUNDLE 0"]
    assert offer.attribute("ice-lite") == ""
    assert media_lines(offer) == ["m=audio 7000 UDP/TLS/RTP/SAVPF 111 0 101 96"]
    (stream,) = streams_of(offer)
    assert (stream.security, stream.mid, stream.rtcp_mux) == (Security.DTLS, "0", True)
    assert stream.dtls is not None
    assert stream.dtls.fingerprint == FINGERPRINT
    assert attributes(offer, 0, "setup") == ["actpass"]
    assert attributes(offer, 0, "msid") == ["ringback audio"]


@pytest.mark.parametrize(
    "name", ["chromium-audio-offer", "chromium-audio-video-offer", "firefox-audio-video-offer"]
)
def test_a_browser_is_answered(name):
    offer = said_by(name)
    answer = make_answer(offer, capable(browser_end()), session_id=5)
    assert answer.attribute_values("group") == ["BUNDLE 0"]
    assert attributes(answer, 0, "setup") == ["active"]
    assert attributes(answer, 0, "ice-ufrag") == ["ouru"]
    assert attributes(answer, 0, "rtcp-mux") == [""]
    assert [str(m.line.port) for m in answer.media] == ["7000", "0"][: len(answer.media)]
    assert [attributes(answer, index, "mid") for index in range(len(answer.media))] == [["0"], ["1"]][
        : len(answer.media)
    ]
    agreed = negotiate(answer, offer)
    assert agreed is not None
    assert agreed.send.encoding == "opus"
    assert agreed.direction is Direction.SENDRECV
    assert agreed.remote_stream is not None
    assert agreed.remote_stream.ice is not None


def test_a_browser_that_holds_is_answered_with_recvonly():
    answer = make_answer(said_by("jssip-hold-offer"), capable(browser_end()), session_id=5)
    agreed = negotiate(answer, said_by("jssip-hold-offer"))
    assert agreed is not None
    assert (agreed.direction, agreed.remote) == (Direction.RECVONLY, None)
    assert attributes(answer, 0, "msid") == []


def test_events_are_answered_at_the_clock_of_every_codec():
    offer = said_by("linphone-offer")
    answer = make_answer(offer, replace(capable(None), address=Address("2001:db8:1::1", 4000)), session_id=5)
    assert media_lines(answer) == ["m=audio 4000 RTP/AVP 96 0 99 101"]
    agreed = negotiate(answer, offer)
    assert agreed is not None
    assert (agreed.send.encoding, agreed.telephone_event) == ("opus", 99)


def test_events_without_a_codec_of_their_clock_are_not_answered():
    answer = make_answer(said_by("chromium-audio-offer"), capable(browser_end(), PCMU), session_id=5)
    assert media_lines(answer)[0].endswith(" 0 126")


def test_every_clock_gets_its_events_in_an_offer():
    offer = make_offer(capable(None, OPUS, WIDE, G722, PCMU), session_id=5)
    events = [value for value in attributes(offer, 0, "rtpmap") if "telephone-event" in value]
    assert events == ["101 telephone-event/8000", "97 telephone-event/16000", "98 telephone-event/48000"]


def test_comfort_noise_is_agreed_on_where_both_know_it():
    caps = capable(None, PCMU, comfort_noise=True)
    offer = make_offer(caps, session_id=5)
    assert media_lines(offer) == ["m=audio 4000 RTP/AVP 0 13 101"]
    peer = AudioCapabilities((PCMU,), Address("198.51.100.7", 9000), comfort_noise=True)
    agreed = negotiate(offer, make_answer(offer, peer, session_id=6))
    assert agreed is not None
    assert agreed.comfort_noise == 13
    silent = negotiate(offer, make_answer(offer, replace(peer, comfort_noise=False), session_id=6))
    assert silent is not None
    assert silent.comfort_noise is None


def test_sdes_is_agreed_on_with_a_key_each_way():
    offer = make_offer(capable(sdes_end()), session_id=5)
    assert media_lines(offer)[0].startswith("m=audio 4000 RTP/SAVP ")
    theirs = tuple(replace(line, key=bytes(len(line.key))) for line in CRYPTO[3:])
    peer_end = LocalStream(Address("198.51.100.7", 9000), protocol="RTP/SAVP", crypto=theirs)
    answer = make_answer(offer, replace(capable(peer_end), address=peer_end.address), session_id=6)
    ours, peers = negotiate(offer, answer), negotiate(answer, offer)
    assert ours is not None
    assert peers is not None
    assert ours.crypto == (CRYPTO[3], replace(theirs[0], tag=CRYPTO[3].tag))
    assert peers.crypto == (ours.crypto[1], ours.crypto[0])


def test_a_phone_that_insists_on_sdes_is_answered():
    offer = said_by("linphone-sdes-offer")
    six = replace(sdes_end(), address=Address("2001:db8:1::1", 4000), rtcp=None)
    answer = make_answer(offer, capable(six), session_id=5)
    assert len(attributes(answer, 0, "crypto")) == 1
    agreed = negotiate(answer, offer)
    assert agreed is not None
    assert agreed.crypto is not None


def test_opportunistic_encryption_is_taken_where_both_want_it():
    offer = said_by("baresip-opportunistic-offer")
    encrypted = make_answer(offer, capable(sdes_end(protocol="RTP/AVP")), session_id=5)
    assert media_lines(encrypted)[0].startswith("m=audio 4000 RTP/AVP ")
    agreed = negotiate(encrypted, offer)
    assert agreed is not None
    assert agreed.crypto is not None
    plain = negotiate(make_answer(offer, capable(plain_end()), session_id=5), offer)
    assert plain is not None
    assert plain.crypto is None


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("baresip-offer", sdes_end()),
        ("baresip-offer", browser_end()),
        ("baresip-sdes-offer", plain_end()),
        ("baresip-dtls-offer", sdes_end()),
        ("baresip-dtls-offer", None),
    ],
)
def test_security_that_one_side_lacks_is_488(name, local):
    with pytest.raises(UnacceptableSession) as caught:
        make_answer(said_by(name), capable(local), session_id=5)
    assert caught.value.warning is WarnCode.INCOMPATIBLE_TRANSPORT_PROTOCOL


def test_an_answer_that_gives_up_encryption_is_refused():
    offer = make_offer(capable(sdes_end()), session_id=5)
    with pytest.raises(UnacceptableSession):
        negotiate(offer, described("m=audio 9000 RTP/AVP 0"))
    with pytest.raises(UnacceptableSession):
        negotiate(offer, described("m=audio 9000 RTP/SAVP 0"))
    stranger = "a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40
    with pytest.raises(UnacceptableSession, match="a=crypto"):
        negotiate(offer, described("m=audio 9000 RTP/SAVP 0", stranger))


def test_rtcp_shares_the_port_only_when_both_say_so():
    offer = make_offer(capable(replace(plain_end(), rtcp_mux=True)), session_id=5)
    assert attributes(offer, 0, "rtcp-mux") == [""]
    both = negotiate(offer, described("m=audio 9000 RTP/AVP 0", "a=rtcp-mux"))
    one = negotiate(offer, described("m=audio 9000 RTP/AVP 0"))
    assert both is not None
    assert one is not None
    assert (both.remote_rtcp, one.remote_rtcp) == (
        Address("198.51.100.7", 9000),
        Address("198.51.100.7", 9001),
    )


def test_a_changed_offer_keeps_mid_and_numbers():
    offer = said_by("chromium-audio-video-offer")
    answer = make_answer(offer, capable(browser_end()), session_id=5)
    again = make_offer(capable(browser_end()), session_id=5, wanted=Direction.SENDONLY, previous=answer)
    assert [line.split(" ")[:2] for line in media_lines(again)] == [["m=audio", "7000"], ["m=video", "0"]]
    assert again.attribute_values("group") == ["BUNDLE 0"]
    assert attributes(again, 0, "mid") == ["0"]
    assert attributes(again, 1, "mid") == ["1"]
    events = [value for value in attributes(again, 0, "rtpmap") if "telephone-event" in value]
    assert sorted(events) == ["110 telephone-event/48000", "126 telephone-event/8000"]
    assert again.origin.version == "6"


def test_two_ends_of_ours_agree_over_dtls():
    offer = make_offer(capable(browser_end()), session_id=5)
    answer = make_answer(offer, PEER, session_id=6)
    assert SessionDescription.parse(answer.to_bytes()) == answer
    ours, theirs = negotiate(offer, answer), negotiate(answer, offer)
    assert ours is not None
    assert theirs is not None
    assert ours.send.encoding == theirs.send.encoding == "opus"
    assert ours.remote_stream is not None
    assert ours.remote_stream.dtls is not None
    assert ours.remote_stream.dtls.setup == "active"
