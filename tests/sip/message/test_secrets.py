# SPDX-License-Identifier: Apache-2.0
"""What may be shown of a message, and what may not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.message.secrets import without_secrets

SECRET = b"5ecre7"
HEAD = b"INVITE sip:102@example.com SIP/2.0\r\nCall-ID: kept\r\n"
END = b"Content-Length: 0\r\n\r\n"
SDP = b"Content-Type: application/sdp\r\n\r\nv=0\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b'Authorization: Digest response="5ecre7"\r\n' + END,
        HEAD + b"PROXY-AUTHORIZATION \t: Digest\r\n response=5ecre7,\r\n\tcnonce=5ecre7\r\n" + END,
        HEAD + b"Authentication-Info: rspauth=5ecre7\r\nproxy-authentication-info: rspauth=5ecre7\r\n" + END,
        HEAD + b"Identity: 5ecre7\r\ny: 5ecre7\r\n" + END,
        b"\r\n\r\n" + HEAD + b"Authorization: Bearer 5ecre7\r\n" + END,
        HEAD.replace(b"\r\n", b"\n") + b"Authorization: Bearer 5ecre7\n\n",
        HEAD.replace(b"\r\n", b"\r") + b"Authorization: Bearer 5ecre7\r\r",
        b"Authorization: Bearer 5ecre7",
        HEAD
        + SDP
        + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7\r\na=ice-pwd:5ecre7\r\nk=clear:5ecre7\r\n",
        HEAD + SDP + b"A=key-mgmt:mikey 5ecre7",
        HEAD + b"Contact: <sip:a:5ecre7@b>, sips:c;x?y:5ecre7@d\r\n" + END,
        HEAD + b"Refer-To: <sip:a@b?Proxy-Authorization=Digest%205ecre7&X=kept>\r\n" + END,
        b"REGISTER sip:u:5ecre7@example.com SIP/2.0\r\n\r\n",
        HEAD + b"\r\n--b\r\nContent-Type: message/sip\r\n\r\nSIP/2.0 200 OK\r\nAuthorization: 5ecre7\r\n",
        b"INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal= 5ecre7\r\nDuration=160\r\n",
        b"INFO sip:a@b SIP/2.0\r\nc : application/dtmf\r\n\r\n5ecre7",
        b"INFO sip:a@b SIP/2.0\r\nContent-Type: application/kpml-response+xml\r\n\r\n<kpml digits='5ecre7'/>",
        b"MESSAGE sip:a@b SIP/2.0\r\nContent-Type: text/plain\r\n\r\nmeet me 5ecre7\r\n\r\n5ecre7",
        b"message sip:a@b SIP/2.0\nContent-Type: text/plain\n\nmeet me 5ecre7",
        b"SIP/2.0 200 OK\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\r\nmeet me 5ecre7",
    ],
)
def test_no_secret_is_left(data: bytes) -> None:
    assert SECRET in data
    assert SECRET not in without_secrets(data)


def test_the_rest_is_as_it_came() -> None:
    body = b"v=0\r\na=rtpmap:0 PCMU/8000\r\na=ice-ufrag:8hhY\r\na=fingerprint:sha-256 AB:CD\r\n"
    data = HEAD + b"X-Key: y: identity\r\nContact: <sip:101@192.0.2.9:5060;transport=tcp>\r\n\r\n" + body
    assert without_secrets(data) == data
    kept = HEAD + b"Authorization: Digest 5ecre7\r\n more\r\nSubject: kept\r\n" + END
    assert without_secrets(kept) == HEAD + b"Authorization: (hidden)\r\nSubject: kept\r\n" + END


def test_of_a_text_only_the_length_is_left() -> None:
    data = b"MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nhello"
    assert without_secrets(data).endswith(b"\r\n\r\n(hidden: 5 bytes)")


@given(st.lists(st.sampled_from([
    b"MESSAGE sip:a:b@c SIP/2.0", b"INVITE sip:a@b SIP/2.0", b"\r\n", b"\n", b"\r", b" ", b"y: ", b"Authorization:",
    b"k=", b"a=crypto:", b"Signal=", b"sip:x:y@z", b"?authorization=1", b"\xff", b"text",
])).map(b"".join))  # fmt: skip
def test_hiding_twice_is_hiding_once(data: bytes) -> None:
    once = without_secrets(data)
    assert without_secrets(once) == once


@pytest.mark.parametrize(
    "piece", [b"sip:", b"sip:a:", b"\n", b"y:", b"k=\n", b"authorization:\r\n ", b"&", b"cseq: "]
)
def test_a_large_message_made_to_be_slow_is_not_slow(piece: bytes) -> None:
    import time

    data = (HEAD + piece * 65_536)[:65_536]
    begun = time.process_time()
    without_secrets(data)
    assert time.process_time() - begun < 1.0
