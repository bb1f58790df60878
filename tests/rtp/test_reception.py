# SPDX-License-Identifier: Apache-2.0
"""Loss, jitter and round trips: RFC 3550 sections 6.3, 6.4 and appendix A."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.rtp.packet import RtpPacket
from ringback.rtp.reception import ReceptionStatistics, ntp_timestamp
from ringback.rtp.report_interval import report_interval
from ringback.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, build_compound, parse_compound
from ringback.rtp.rtcp_session import RtcpSession
from ringback.sip.errors import PeerError


def fed(sequences, *, jitter=lambda n: 0.0) -> ReceptionStatistics:
    source = ReceptionStatistics(1)
    for number, sequence in enumerate(sequences):
        source.receive(sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, now=number * 0.020 + jitter(number))
    return source


def test_a_source_is_believed_at_its_second_packet():
    source = ReceptionStatistics(1)
    assert [source.receive(n, n * 160, now=n * 0.02) for n in (7, 8, 9)] == [False, True, True]
    assert [source.receive(n, 0, now=1.0) for n in (40_000, 20_000)] == [False, False]
    assert (source.received, source.lost) == (2, 0)


def test_losses_are_counted_across_the_wrap():
    source = fed(n for n in range(65_500, 65_700) if n % 10)
    assert source.lost == pytest.approx(20, abs=1)
    assert source.extended_highest == 65_699


def test_a_jump_is_believed_when_it_goes_on():
    source = fed([*range(100, 150), *range(30_000, 30_050)])
    assert source.lost == 0
    assert source.highest == 30_049


def test_the_fraction_lost_is_that_of_the_last_interval():
    source = fed(n for n in range(1, 102) if n <= 51 or n % 2)
    assert source.report_block(now=3.0).lost == 25
    for n in range(102, 202):
        source.receive(n, n * 160, now=n * 0.02)
    assert source.report_block(now=5.0).fraction_lost == 0


def test_jitter_is_that_of_appendix_a_8():
    steady = fed(range(1_000))
    assert steady.jitter == pytest.approx(0.0, abs=1e-6)
    chance = random.Random(3)
    shaken = fed(range(1_000), jitter=lambda n: chance.uniform(0, 0.010))
    assert 10 < shaken.jitter < 50


def test_jitter_does_not_mind_the_wrap_of_the_timestamp():
    source = ReceptionStatistics(1)
    for number in range(100):
        source.receive(number, (0xFFFFFFFF - 8_000 + number * 160) & 0xFFFFFFFF, now=number * 0.02)
    assert source.jitter < 1


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)), max_size=60))
def test_no_order_of_packets_breaks_the_report(packets):
    source = ReceptionStatistics(1)
    for number, (sequence, timestamp) in enumerate(packets):
        source.receive(sequence, timestamp, now=number * 0.01)
    block = source.report_block(now=10.0)
    assert parse_compound(build_compound([ReceiverReport(9, (block,))])) == [ReceiverReport(9, (block,))]


# --- intervals ---------------------------------------------------------------------------------------


def interval(**changes) -> float:
    settings = {
        "members": 2,
        "senders": 2,
        "session_bandwidth": 10_000.0,
        "we_sent": True,
        "average_size": 100.0,
        "is_first": False,
        "chance": 0.5,
    }
    return report_interval(**(settings | changes))


def test_reports_of_a_call_come_every_five_seconds_on_average_after_compensation():
    assert interval() == pytest.approx(5.0 / (math.e - 1.5))
    assert interval(is_first=True) == pytest.approx(2.5 / (math.e - 1.5))
    assert interval(chance=0.0) == pytest.approx(interval() / 2)
    assert interval(chance=1.0) == pytest.approx(interval() * 1.5)


def test_many_members_share_the_bandwidth():
    alone = interval(members=10_000, senders=1, we_sent=False)
    assert alone == pytest.approx(100.0 * 9_999 / (10_000 * 0.05 * 0.75) / (math.e - 1.5))
    assert interval(members=10_000, senders=1, we_sent=True) < 5.0


# --- a session ---------------------------------------------------------------------------------------


def session(ssrc: int) -> RtcpSession:
    return RtcpSession(ssrc, f"cname-{ssrc}", random.Random(ssrc).randbytes)


def test_two_ends_measure_each_other():
    alice, bob = session(1), session(2)
    alice.start(now=0.0)
    bob.start(now=0.0)
    delay = 0.030
    for number in range(1_500):
        now = number * 0.020
        for sender, receiver in ((alice, bob), (bob, alice)):
            packet = RtpPacket(0, number & 0xFFFF, number * 160, sender.ssrc, bytes(160))
            sender.sent(packet, now=now)
            if number % 20:
                receiver.received(packet, now=now + delay)
            data = sender.handle_timer(now)
            if data is not None:
                receiver.receive_rtcp(data, now=now + delay)
    assert alice.round_trip == pytest.approx(2 * delay, abs=0.002)
    assert bob.round_trip == pytest.approx(2 * delay, abs=0.002)
    assert alice.remote_block.lost == pytest.approx(1_500 * 0.05, abs=12)
    assert bob.source.lost == 75 - 1


def test_who_sends_nothing_reports_as_a_receiver():
    alice = session(1)
    alice.start(now=0.0)
    report, description = parse_compound(alice.handle_timer(100.0))
    assert report == ReceiverReport(1)
    assert description.chunks[0].items == ((1, b"cname-1"),)
    assert alice.handle_timer(100.0) is None


def test_a_sender_reports_its_counts_and_leaves_with_a_goodbye():
    alice = session(1)
    for number in range(3):
        alice.sent(RtpPacket(0, number, 160 * number, 1, bytes(160)), now=number * 0.02)
    report, _, goodbye = parse_compound(alice.goodbye(now=1.04))
    assert isinstance(report, SenderReport)
    assert (report.packets, report.octets, report.rtp_timestamp) == (3, 480, 8_320)
    assert report.ntp == ntp_timestamp(1.04)
    assert goodbye == Goodbye((1,))


def test_forged_reports_change_nothing_but_numbers():
    alice = session(1)
    with pytest.raises(PeerError):
        alice.receive_rtcp(b"\x81\xcd\xff\xff" + bytes(8), now=1.0)
    alice.receive_rtcp(build_compound([ReceiverReport(2), Goodbye((1, 2))]), now=1.0)
    assert alice.round_trip is None
    assert alice.source is None
