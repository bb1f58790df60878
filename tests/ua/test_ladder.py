# SPDX-License-Identifier: Apache-2.0
"""The ladder: who sent what to whom, and no secret in it."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.flow import Address, Flow, Transport
from ringback.ua.ladder import Ladder, label_of

US = Address("192.0.2.9", 5060)
SERVER = Flow(Transport.UDP, US, Address("192.0.2.1", 5060))
FRIEND = Flow(Transport.TCP, US, Address("192.0.2.2", 5070), 1)

INVITE = (
    b"INVITE sip:bob:hunter2@example.com;transport=tcp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n"
    b'Proxy-Authorization: Digest username="a",\r\n response="5ecre7",\r\n\tnonce="x"\r\n'
    b'authorization : Digest response="5ecre7"\r\n'
    b"CSeq: 1 INVITE\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7\r\n"
    b"a=ice-pwd:5ecre7\r\nk=clear:5ecre7\r\na=rtpmap:0 PCMU/8000\r\n"
)
RINGING = b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"
INFO = b"INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=7\r\nDuration=160\r\n"


def test_a_rung_for_each_message_with_time_and_direction():
    ladder = Ladder("101")
    ladder.record(True, INVITE, SERVER, 100.0)
    ladder.record(True, INVITE, SERVER, 100.5)
    ladder.record(False, RINGING, SERVER, 100.75)
    assert ladder.labels == [
        "INVITE sip:bob@example.com (SDP)",
        "INVITE sip:bob@example.com (SDP) (again)",
        "180 Ringing (INVITE)",
    ]
    assert ladder.text().split("\n") == [
        " seconds  101                             192.0.2.1:5060 UDP",
        "          │                                                │",
        "   0.000  │── INVITE sip:bob@example.com (SDP) ───────────▶│",
        "   0.500  │── INVITE sip:bob@example.com (SDP) (again) ───▶│",
        "   0.750  │◀── 180 Ringing (INVITE) ───────────────────────│",
    ]


def test_each_host_has_a_column_and_all_lines_are_as_long():
    ladder = Ladder()
    ladder.record(True, INVITE, SERVER, 0.0)
    ladder.record(True, INVITE, FRIEND, 1.0)
    ladder.record(False, RINGING, FRIEND, 2.0)
    lines = ladder.text().split("\n")
    assert lines[0].endswith("192.0.2.2:5070 TCP")
    assert len({len(line) for line in lines}) == 1


def test_keep_alives_are_no_rungs():
    ladder = Ladder()
    ladder.record(False, b"\r\n\r\n", SERVER, 0.0)
    assert ladder.text() == "no message was sent or received"


def test_no_secret_is_shown():
    ladder = Ladder()
    for data in (INVITE, INFO):
        ladder.record(True, data, SERVER, 0.0)
    shown = ladder.text() + ladder.messages() + repr(ladder._rungs)
    for secret in ("5ecre7", "hunter2", "Signal=7"):
        assert secret not in shown
    assert "a=rtpmap:0 PCMU/8000" in shown
    assert "CSeq: 1 INVITE" in shown


def test_escape_sequences_of_a_peer_do_not_reach_the_terminal():
    ladder = Ladder("\x1b[31m")
    ladder.record(False, b"SIP/2.0 200 \x1b]0;evil\x07\r\nCSeq: 1 \x1b\r\n\r\n\x1b", SERVER, 0.0)
    assert "\x1b" not in ladder.text() + ladder.messages()


def test_a_ladder_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr("ringback.ua.ladder.LIMIT", 3)
    ladder = Ladder()
    for number in range(5):
        ladder.record(True, INVITE + bytes([number]), SERVER, 0.0)
    assert len(ladder.labels) == 3
    assert ladder.text().endswith("2 more messages are not shown")


@given(st.binary())
def test_any_bytes_have_a_label_and_can_be_shown(data):
    assert "\x1b" not in label_of(data)
    ladder = Ladder()
    ladder.record(False, data, SERVER, 0.0)
    ladder.text()
    ladder.messages()
