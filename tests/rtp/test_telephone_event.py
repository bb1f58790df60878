# SPDX-License-Identifier: Apache-2.0
"""Keys in RTP: RFC 4733 section 2. Every key once, whatever the network and the sender do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.telephone_event import (
    FLASH,
    KEYS,
    TelephoneEvent,
    TelephoneEventReceiver,
    event_code,
    event_packets,
)
from ringback.sip.errors import PeerError


def stream(
    keys: str, *, start: int = 0, duration: int = 800, pause: int = 800
) -> list[tuple[int, bool, bytes]]:
    """(timestamp, marker, payload) of all packets of these keys."""
    packets, timestamp = [], start
    for key in keys:
        packets += [
            (timestamp & 0xFFFFFFFF, each.marker, each.event.to_bytes())
            for each in event_packets(key, duration=duration, step=160)
        ]
        timestamp += duration + pause
    return packets


def heard(packets, *, ssrc: int = 1) -> str:
    receiver = TelephoneEventReceiver()
    found = [receiver.receive(payload, timestamp=timestamp, ssrc=ssrc) for timestamp, _, payload in packets]
    return "".join(key for key in found if key)


def test_a_key_press_starts_with_a_marker_grows_and_ends_three_times():
    packets = list(event_packets("5", duration=800, step=160))
    assert [each.marker for each in packets] == [True] + [False] * 6
    assert [each.event.duration for each in packets] == [160, 320, 480, 640, 800, 800, 800]
    assert [each.event.is_end for each in packets] == [False] * 4 + [True] * 3
    assert {each.event.event for each in packets} == {5}


def test_a_very_short_press_still_has_marker_and_end():
    packets = list(event_packets("#", duration=1, step=160))
    assert [(each.marker, each.event.is_end) for each in packets] == [
        (True, True),
        (False, True),
        (False, True),
    ]


def test_codes_are_those_of_the_rfc():
    assert [event_code(key) for key in KEYS] == list(range(16))
    assert event_code(FLASH) == 16
    assert event_code("a") == 12
    for wrong in ("", "E", "12", "\u0665", " "):
        with pytest.raises(ValueError):
            event_code(wrong)


def test_the_payload_is_that_of_the_rfc():
    assert TelephoneEvent(11, True, 10, 800).to_bytes() == bytes.fromhex("0b8a0320")
    assert TelephoneEvent.parse(bytes.fromhex("0bca0320")) == TelephoneEvent(11, True, 10, 800)


def test_every_key_is_heard_once():
    assert heard(stream(KEYS)) == KEYS
    assert heard(stream("1111")) == "1111"


@given(st.data(), st.text(KEYS, min_size=1, max_size=6), st.integers(0, 0xFFFFFFFF))
def test_keys_survive_loss_and_repetition_while_one_packet_of_each_comes(data, keys, start):
    packets = stream(keys, start=start)
    kept = []
    for number in range(len(keys)):
        press = packets[number * 7 : number * 7 + 7]
        positions = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
        kept += [press[position] for position in sorted(positions)]
    assert heard(kept) == keys


def test_late_packets_of_an_earlier_key_are_not_heard_again():
    first, second = stream("1"), stream("2", start=1_600)
    assert heard([*first[:3], *second[:2], *first[3:], *second[2:]]) == "12"


def test_a_long_press_in_several_segments_is_one_key():
    segment = TelephoneEvent(1, False, 10, 0xFFFF).to_bytes()
    more = TelephoneEvent(1, False, 10, 160).to_bytes()
    last = TelephoneEvent(1, True, 10, 320).to_bytes()
    assert heard([(0, True, segment), (0xFFFF, False, more), (0xFFFF, False, last)]) == "1"


def test_a_sender_that_moves_the_timestamp_with_each_packet_is_understood():
    packets = [(160 * n, False, TelephoneEvent(7, False, 10, 160 * n).to_bytes()) for n in range(1, 8)]
    end = (160 * 8, False, TelephoneEvent(7, True, 10, 160 * 8).to_bytes())
    assert heard([*packets, end]) == "7"


def test_a_new_source_may_press_the_same_key_at_the_same_time():
    receiver = TelephoneEventReceiver()
    payload = TelephoneEvent(3, False, 10, 160).to_bytes()
    assert receiver.receive(payload, timestamp=1, ssrc=1) == "3"
    assert receiver.receive(payload, timestamp=1, ssrc=1) is None
    assert receiver.receive(payload, timestamp=1, ssrc=2) == "3"


def test_a_clock_that_was_set_back_is_followed():
    receiver = TelephoneEventReceiver()
    payload = TelephoneEvent(3, True, 10, 800).to_bytes()
    assert receiver.receive(payload, timestamp=10_000_000, ssrc=1) == "3"
    assert receiver.receive(payload, timestamp=500, ssrc=1) == "3"


def test_other_events_and_short_payloads_are_no_keys():
    receiver = TelephoneEventReceiver()
    assert receiver.receive(TelephoneEvent(32, False, 0, 10).to_bytes(), timestamp=1, ssrc=1) is None
    with pytest.raises(PeerError):
        receiver.receive(b"\x01\x02\x03", timestamp=2, ssrc=1)


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(min_size=4, max_size=8)), max_size=40))
def test_whatever_comes_gives_keys_or_nothing(packets):
    receiver = TelephoneEventReceiver()
    for timestamp, payload in packets:
        assert receiver.receive(payload, timestamp=timestamp, ssrc=1) in (None, *KEYS, FLASH)
