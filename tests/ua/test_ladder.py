# SPDX-License-Identifier: Apache-2.0
"""The ladder: who sent what to whom, and no secret in it."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.flow import Address, Flow, Transport
from ringback.ua.ladder import Ladder
from ringback.ua.ladder_label import fitted, label_of

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


def proxied(ours: str = "ringback") -> Ladder:
    ladder = Ladder(ours, between=True)
    ladder.record(False, INVITE, SERVER, 0.0)
    ladder.record(True, INVITE, FRIEND, 0.5)
    ladder.record(False, RINGING, FRIEND, 1.0)
    ladder.record(True, RINGING, SERVER, 1.5)
    return ladder


def test_a_server_stands_between_the_caller_and_the_called():
    assert proxied().text(width=80).split("\n") == [
        " seconds  192.0.2.1:5060 UDP         ringback                192.0.2.2:5070 TCP",
        "          │                                 │                                 │",
        "   0.000  │── INVITE bob@example.c… (SDP) ─▶│                                 │",
        "   0.500  │                                 │── INVITE bob@example.c… (SDP) ─▶│",
        "   1.000  │                                 │◀── 180 Ringing (INVITE) ────────│",
        "   1.500  │◀── 180 Ringing (INVITE) ────────│                                 │",
    ]


def test_names_without_room_are_numbers_with_a_list():
    far = Flow(Transport.WSS, US, Address("2001:db8:85a3:8d3:1319:8a2e:370:7348", 50_601), 2)
    ladder = proxied()
    ladder.record(True, INVITE, far, 2.0)
    lines = ladder.text(width=80).split("\n")
    assert "       3  [2001:db8:85a3:8d3:1319:8a2e:370:7348]:50601 WSS" in lines
    assert max(map(len, lines)) <= 80


@given(st.integers(10, 200), st.text(max_size=60), st.integers(1, 4))
def test_a_ladder_keeps_to_its_width_as_far_as_that_goes(width, name, peers):
    ladder = Ladder(name, between=True)
    for number in range(peers):
        flow = Flow(Transport.UDP, US, Address("192.0.2.1", 5060 + number))
        ladder.record(number == 2, INVITE, flow, 0.0)
        ladder.record(number == 1, RINGING, flow, 1.0)
    lines = ladder.text(width=width).split("\n")
    drawn = [line for line in lines if "│" in line]
    assert len(drawn) == 1 + 2 * peers
    assert {len(line) for line in drawn} <= set(range(max(width, 11 + 18 * peers) + 1))
    assert len({len(line) for line in drawn}) == 1


def test_a_label_gives_up_what_matters_least():
    invite, refused = "INVITE sip:102@example.com (SDP)", "407 Proxy Authentication Required (INVITE)"
    assert [fitted(invite, room) for room in (32, 28, 20, 17, 15, 8, 3)] == [
        invite,
        "INVITE 102@example.com (SDP)",
        "INVITE 102@ex… (SDP)",
        "INVITE 102 (SDP)",
        "INVITE (SDP)",
        "INVITE",
        "IN…",
    ]
    assert [fitted(refused, room) for room in (42, 30, 16, 12, 5)] == [
        refused,
        "407 Proxy Authentica… (INVITE)",
        "407 (INVITE)",
        "407 (INVITE)",
        "407…",
    ]
    assert fitted("200 OK (INVITE) (SDP) (again)", 14) == "200 (INVITE)"


@given(st.text(), st.integers(1, 80))
def test_any_label_fits(text, room):
    assert len(fitted(text, room)) <= room
