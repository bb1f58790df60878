# SPDX-License-Identifier: Apache-2.0
"""When sound comes through the server, and the sentence that says why."""

from contextlib import nullcontext

import pytest

from ringback.media.plane import BROWSER, Security
from ringback.sdp.errors import UnacceptableSession
from ringback.server.anchoring import (
    TRANSLATED_CODECS,
    AnchoringPolicy,
    Attempt,
    End,
    attempts,
    check_answer,
    check_security,
    described,
    profile_for,
    profile_of,
    reason_to_anchor,
)
from ringback.sip.flow import Address, Flow, Transport

NEEDED = AnchoringPolicy(is_possible=True)
ANNA = End("101", "10.0.0.11", "10.0.0.11", security=Security.PLAIN)
BOB = End("102", "10.0.0.12", "10.0.0.12")
BROWSER_END = End("103", "10.0.0.13", is_browser=True, is_secret=True)
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.11\r\ns=-\r\nc=IN IP4 10.0.0.11\r\nt=0 0\r\n"
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n"


def changed(end: End, **parts: object) -> End:
    from dataclasses import replace

    return replace(end, **parts)  # type: ignore[arg-type]


def test_two_phones_that_can_send_to_each_other_do() -> None:
    assert reason_to_anchor(ANNA, BOB, NEEDED) == ""


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (ANNA, BROWSER_END, "103 is a browser (DTLS-SRTP)"),
        (changed(ANNA, security=Security.DTLS), BOB, "101 speaks DTLS-SRTP"),
        (
            changed(ANNA, security=Security.SDES),
            changed(BOB, security=Security.PLAIN),
            "101 encrypts (SDES), 102 does not",
        ),
        (changed(ANNA, media_host="2001:db8::1"), BOB, "101 speaks IPv6, 102 IPv4"),
        (
            ANNA,
            End("102", "203.0.113.9", "192.168.1.5"),
            "102 is behind a NAT (192.168.1.5, seen from 203.0.113.9)",
        ),
    ],
)
def test_the_reason_is_a_sentence(one: End, other: End, reason: str) -> None:
    assert reason_to_anchor(one, other, NEEDED) == reason
    assert reason_to_anchor(one, other, AnchoringPolicy("never", is_possible=True)) == ""
    assert reason_to_anchor(one, other, AnchoringPolicy(is_possible=False)) == ""


def test_browsers_speak_to_each_other_wherever_they_are() -> None:
    other = End("104", "203.0.113.9", "192.168.1.5", is_browser=True)
    assert reason_to_anchor(BROWSER_END, other, NEEDED) == ""


def test_neighbours_behind_one_router_are_left_alone() -> None:
    one = End("101", "203.0.113.9", "192.168.1.5", security=Security.PLAIN)
    assert reason_to_anchor(one, End("102", "203.0.113.9", "192.168.1.6"), NEEDED) == ""
    assert "NAT" in reason_to_anchor(one, End("102", "203.0.113.9", "192.168.7.6"), NEEDED)
    assert "NAT" in reason_to_anchor(one, End("102", "203.0.113.8", "192.168.1.6"), NEEDED)


def test_the_setting_may_ask_for_every_call() -> None:
    policy = AnchoringPolicy("always", is_possible=True)
    assert reason_to_anchor(ANNA, BOB, policy) == "the setting media.anchor is always"


def test_what_cannot_be_encrypted_is_refused_where_it_must() -> None:
    policy = AnchoringPolicy(security="required", is_possible=True)
    with pytest.raises(UnacceptableSession):
        check_security(ANNA, policy)
    check_security(changed(ANNA, security=Security.SDES), policy)
    assert attempts(changed(ANNA, security=Security.DTLS), BOB, policy)[0].security is Security.SDES


def test_off_means_plain_but_for_browsers() -> None:
    policy = AnchoringPolicy(security="off", is_possible=True)
    sdes = changed(ANNA, security=Security.SDES)
    assert reason_to_anchor(sdes, BOB, policy) == "encryption of sound is off here"
    assert {each.security for each in attempts(sdes, BOB, policy)} == {Security.PLAIN, Security.DTLS}
    assert attempts(ANNA, BROWSER_END, policy)[0].security is Security.DTLS


def test_a_refusal_is_met_by_translating_and_then_by_the_other_kind_of_security() -> None:
    first, second, third, fourth = attempts(ANNA, BOB, NEEDED)
    assert first == Attempt("")
    assert second == Attempt("102 refuses what 101 offers", Security.PLAIN, TRANSLATED_CODECS)
    assert third == Attempt("102 refuses what 101 offers", Security.SDES, TRANSLATED_CODECS)
    assert fourth == Attempt("102 refuses what 101 offers", Security.DTLS, TRANSLATED_CODECS)
    assert not profile_for(BOB, fourth).ice
    assert attempts(ANNA, BOB, AnchoringPolicy()) == [Attempt("")]


def test_a_device_that_must_encrypt_is_offered_nothing_else() -> None:
    careful = changed(BOB, wish="required")
    assert reason_to_anchor(ANNA, careful, NEEDED) == "102 must encrypt"
    assert reason_to_anchor(careful, ANNA, NEEDED) == "102 must encrypt"
    made = attempts(ANNA, careful, NEEDED)
    assert [attempt.security for attempt in made] == [Security.SDES, Security.SDES, Security.DTLS]
    assert made[0].reason == "102 must encrypt"
    with pytest.raises(UnacceptableSession):
        check_security(changed(careful, security=Security.PLAIN), NEEDED)
    check_security(changed(careful, security=Security.SDES), NEEDED)
    sdes = changed(ANNA, security=Security.SDES)
    assert reason_to_anchor(sdes, careful, NEEDED) == ""


def test_a_device_may_speak_in_the_clear_where_others_must_not() -> None:
    required = AnchoringPolicy(security="required", is_possible=True)
    old = changed(BOB, wish="off")
    check_security(changed(old, security=Security.PLAIN), required)
    sdes = changed(ANNA, security=Security.SDES)
    assert reason_to_anchor(sdes, old, required) == "encryption of sound is off for 102"
    assert attempts(sdes, old, required)[0].security is Security.PLAIN
    lenient = changed(BOB, wish="optional")
    check_security(changed(lenient, security=Security.PLAIN), required)


def test_keys_are_offered_first_where_the_signalling_is_secret() -> None:
    dtls = changed(ANNA, security=Security.DTLS)
    assert attempts(dtls, BOB, NEEDED)[0].security is Security.PLAIN
    assert attempts(dtls, changed(BOB, is_secret=True), NEEDED)[0].security is Security.OPPORTUNISTIC


def test_a_description_says_how_sound_is_taken() -> None:
    end = End("101", "10.0.0.11")
    assert described(end, SDP + b"m=audio 4000 RTP/AVP 0\r\n").security is Security.PLAIN
    assert described(end, SDP + b"m=audio 4000 RTP/AVP 0\r\n" + KEY).security is Security.OPPORTUNISTIC
    sdes = described(end, SDP + b"m=audio 4000 RTP/SAVP 0\r\n" + KEY)
    assert (sdes.security, sdes.media_host) == (Security.SDES, "10.0.0.11")
    assert profile_of(sdes).security is Security.SDES
    assert described(end, SDP + b"m=audio 0 RTP/AVP 0\r\n") == end
    assert described(end, SDP + b"m=audio 0 RTP/AVP 0\r\nm=video 9000 RTP/AVP 97\r\n").media_host


@pytest.mark.parametrize("host", ["127.0.0.1", "224.0.0.1", "0.1.2.3", "phone.example"])
def test_addresses_that_are_no_place_for_a_phone_are_refused(host: str) -> None:
    bad = SDP.replace(b"c=IN IP4 10.0.0.11", f"c=IN IP4 {host}".encode()) + b"m=audio 4000 RTP/AVP 0\r\n"
    with pytest.raises(UnacceptableSession) as caught:
        described(End("101", "10.0.0.11"), bad)
    assert caught.value.status == 488


def test_loopback_is_a_place_for_who_signals_from_there() -> None:
    sdp = SDP.replace(b"10.0.0.11", b"127.0.0.1") + b"m=audio 4000 RTP/AVP 0\r\n"
    assert described(End("101", "127.0.0.1"), sdp).media_host == "127.0.0.1"


def test_who_speaks_over_websocket_is_a_browser_until_it_says_otherwise() -> None:
    flow = Flow(Transport.WSS, Address("10.0.0.1", 8443), Address("10.0.0.13", 50000), 7)
    end = End.reached_by("103", flow, contact_host="abc.invalid")
    assert (end.is_browser, end.is_secret, end.media_host) == (True, True, "")
    attempt = attempts(ANNA, end, NEEDED)[0]
    profile = profile_for(end, attempt)
    assert (profile.security, profile.ice, profile.bundle) == (BROWSER.security, True, True)
    plain = described(end, SDP + b"m=audio 4000 RTP/AVP 0\r\n")
    assert not plain.speaks_dtls


@pytest.mark.parametrize(
    ("offered", "answered", "works"),
    [
        (Security.SDES, Security.SDES, True),
        (Security.SDES, Security.DTLS, False),
        (Security.SDES, Security.PLAIN, False),
        (Security.DTLS, Security.SDES, False),
        (Security.OPPORTUNISTIC, Security.PLAIN, True),
        (Security.PLAIN, None, True),
    ],
)
def test_an_answer_must_encrypt_as_it_was_offered(
    offered: Security, answered: Security | None, works: bool
) -> None:
    one, other = changed(ANNA, security=offered), changed(BOB, security=answered)
    with nullcontext() if works else pytest.raises(UnacceptableSession):
        check_answer(other, one)


def test_who_is_called_where_its_contact_says_signals_there() -> None:
    assert End.reached_by("102", None, contact_host="10.0.0.12").host == "10.0.0.12"
    assert End.reached_by("102", None, contact_host="phone.example").host == ""
