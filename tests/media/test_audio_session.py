# SPDX-License-Identifier: Apache-2.0
"""Two ends talk: in virtual time on good and bad networks, with attackers around, and on real sockets."""

import asyncio
import random
import struct

import pytest

from ringback.media.errors import NoFreePort, UnreadableAudio
from ringback.media.files import read_pcm, write_pcm
from ringback.media.pcm import FRAME_BYTES, duration_of, tone_share
from ringback.media.ports import PortRange
from ringback.media.session import AudioSession
from ringback.media.tones import TONES, steady
from ringback.net.sockets import RealNetwork
from ringback.rtp.packet import RtpPacket
from ringback.sdp.attributes import Direction
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.security import Security
from ringback.sip.errors import InvalidState
from ringback.sip.flow import Address
from ringback.testing import Network, run

ALICE, BOB, MALLORY = "10.0.0.1", "10.0.0.2", "10.66.66.66"
RTP_HEADER = struct.Struct("!BBHII")


async def opened(network: Network, host: str, seed: int, **options) -> AudioSession:
    return await AudioSession.open(
        network.host(host), host=host, random_bytes=random.Random(seed).randbytes, **options
    )


async def connected(network: Network, **options) -> tuple[AudioSession, AudioSession]:
    alice, bob = await opened(network, ALICE, 1, **options), await opened(network, BOB, 2, **options)
    alice.accept_answer(bob.make_answer(alice.make_offer()))
    alice.start()
    bob.start()
    return alice, bob


async def closed(*sessions: AudioSession) -> None:
    for session in sessions:
        await session.close()


def rtp_between(network: Network, source: str, destination: str) -> list[tuple[float, RtpPacket]]:
    """A list that fills with what is delivered from one host to the other."""
    found: list[tuple[float, RtpPacket]] = []

    def watch(delivery):
        now, _, origin, target, data = delivery
        if origin.host == source and target.host == destination and target.port % 2 == 0:
            found.append((now, RtpPacket.parse(data)))

    network.watchers.append(watch)
    return found


# --- sound -------------------------------------------------------------------------------------------


def test_what_one_plays_the_other_records(tmp_path):
    async def main():
        network = Network(1)
        alice, bob = await connected(network)
        with bob.record(tmp_path / "bob.wav") as heard, alice.record(tmp_path / "alice.wav"):
            await asyncio.gather(alice.play(steady(1_000, 3_000)), bob.play(steady(440, 3_000)))
        assert heard.duration == pytest.approx(3.0, abs=0.03)
        await closed(alice, bob)
        assert network.host(ALICE).open_sockets == network.host(BOB).open_sockets == 0

    run(main())
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 1_000) > 0.95
    assert tone_share(read_pcm(tmp_path / "alice.wav"), 440) > 0.95
    assert duration_of(read_pcm(tmp_path / "bob.wav")) == pytest.approx(3.0, abs=0.03)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_files_are_played_with_every_codec(tmp_path, codec):
    write_pcm(tmp_path / "in.wav", b"".join(steady(700, 1_000)))

    async def main():
        alice, bob = await connected(Network(2), codecs=(codec,))
        assert alice.negotiated.send.encoding == codec
        with bob.record(tmp_path / "out.wav"):
            await alice.play(tmp_path / "in.wav")
            await asyncio.sleep(0.1)
        assert bob.statistics.codec == codec
        await closed(alice, bob)

    run(main())
    assert tone_share(read_pcm(tmp_path / "out.wav")[3_200:16_000], 700) > 0.95


def test_the_recording_of_a_silent_call_lasts_as_long_as_the_call(tmp_path):
    async def main():
        alice, bob = await connected(Network(3))
        bob.record(tmp_path / "out.wav")
        await asyncio.sleep(7.5)
        await closed(alice, bob)

    run(main())
    pcm = read_pcm(tmp_path / "out.wav")
    assert duration_of(pcm) == pytest.approx(7.5, abs=0.03)
    assert max(abs(value) for value in memoryview(pcm).cast("h")) < 10


def test_written_sound_is_paced_and_frames_can_be_heard_one_by_one():
    async def main():
        alice, bob = await connected(Network(4))
        frames = bob.frames()
        alice.write(b"".join(steady(600, 1_000)))
        heard = b"".join([await anext(frames) for _ in range(55)])
        assert asyncio.get_running_loop().time() == pytest.approx(1.1, abs=0.03)
        assert tone_share(heard[1_600:], 600) > 0.9
        await closed(alice, bob)
        assert [frame async for frame in bob.frames()] == []

    run(main())


def test_an_echo_comes_back():
    async def main():
        alice, bob = await connected(Network(5))

        async def echo():
            async for frame in bob.frames():
                bob.write(frame)

        echoing = asyncio.create_task(echo())
        frames = alice.frames()
        playing = asyncio.create_task(alice.play(steady(900, 2_000)))
        heard = b"".join([await anext(frames) for _ in range(100)])
        assert tone_share(heard[8_000:], 900) > 0.95
        await playing
        await closed(alice, bob)
        await echoing

    run(main())


def test_sources_play_in_turn_and_can_be_stopped():
    async def main():
        alice, bob = await connected(Network(6))
        first = asyncio.create_task(alice.play(TONES["dial"]))
        second = asyncio.create_task(alice.play(steady(1_200, 500)))
        await asyncio.sleep(1.0)
        assert not second.done()
        first.cancel()
        await second
        assert asyncio.get_running_loop().time() == pytest.approx(1.5, abs=0.05)
        alice.write(bytes(16_000))
        alice.flush()
        frames = bob.frames()
        await asyncio.sleep(0.1)
        assert not any(abs(v) > 8 for v in memoryview(await anext(frames)).cast("h")[:1])
        await closed(alice, bob)
        await alice.play(steady(1_000, 1_000))
        await alice.send_dtmf("1")

    run(main())


def test_a_file_that_cannot_be_read_is_the_players_error(tmp_path):
    async def main():
        alice, bob = await connected(Network(7))
        with pytest.raises(UnreadableAudio):
            await alice.play(tmp_path / "nowhere.wav")
        await closed(alice, bob)

    run(main())


def test_too_much_written_sound_is_refused():
    async def main():
        alice, bob = await connected(Network(8))
        for _ in range(60):
            alice.write(bytes(16_000))
        with pytest.raises(InvalidState):
            alice.write(bytes(16_000))
        with pytest.raises(InvalidState):
            alice.write(b"x")
        await closed(alice, bob)

    run(main())


# --- pace --------------------------------------------------------------------------------------------


def test_packets_leave_on_a_grid_of_20_ms_without_drifting():
    async def main():
        network = Network(9, delay=0.0)
        sent = rtp_between(network, ALICE, BOB)
        alice, bob = await connected(network)
        await asyncio.sleep(600)
        await closed(alice, bob)
        return sent

    sent = run(main())
    start = sent[0][0]
    assert len(sent) == pytest.approx(30_000, abs=1)
    assert max(abs(now - start - number * 0.020) for number, (now, _) in enumerate(sent)) < 0.001
    first = sent[0][1]
    assert first.marker
    assert not any(packet.marker for _, packet in sent[1:])
    assert all(
        packet.sequence == (first.sequence + number) & 0xFFFF
        and packet.timestamp == (first.timestamp + 160 * number) & 0xFFFFFFFF
        for number, (_, packet) in enumerate(sent)
    )


def test_after_a_stall_a_few_packets_are_made_up_for_and_the_timestamp_stays_true():
    async def main():
        network = Network(10, delay=0.0)
        sent = rtp_between(network, ALICE, BOB)
        alice, bob = await connected(network)
        await asyncio.sleep(1.0)
        loop = asyncio.get_running_loop()
        loop._jumping.now += 0.5
        await asyncio.sleep(1.0)
        await closed(alice, bob)
        return sent

    sent = run(main())
    at_once = max(sum(1 for now, _ in sent if now == moment) for moment in {now for now, _ in sent})
    assert at_once <= 5
    start, first = sent[0]
    for now, packet in sent[-20:]:
        assert (packet.timestamp - first.timestamp) & 0xFFFFFFFF == pytest.approx(
            (now - start) * 8_000, abs=1
        )
    assert sum(packet.marker for _, packet in sent) == 2


@pytest.mark.parametrize("packet_time", [10, 30, 40, 60])
def test_the_packet_time_of_the_peer_is_kept(packet_time):
    async def main():
        network = Network(11)
        alice, bob = await opened(network, ALICE, 1), await opened(network, BOB, 2)
        offer = alice.make_offer().replace(b"ptime:20", b"ptime:%d" % packet_time)
        alice.accept_answer(bob.make_answer(offer))
        sent = rtp_between(network, BOB, ALICE)
        bob.start()
        alice.start()
        frames = alice.frames()
        await bob.play(steady(500, 1_200))
        heard = b"".join([await anext(frames) for _ in range(50)])
        assert {len(packet.payload) for _, packet in sent} == {packet_time * 8}
        assert tone_share(heard[4_800:], 500) > 0.9
        await closed(alice, bob)

    run(main())


# --- bad networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_lossy_network_leaves_no_gap_in_the_timeline(tmp_path, seed):
    path = tmp_path / "out.wav"

    async def main():
        network = Network(seed, loss=0.05, duplicate=0.02, delay=(0.010, 0.060), reorder=0.02)
        alice, bob = await connected(network)
        playing = asyncio.create_task(alice.play(steady(1_000, 20_000)))
        await asyncio.sleep(1.0)
        with bob.record(path):
            await playing
        statistics = bob.statistics
        await closed(alice, bob)
        return statistics

    statistics = run(main())
    pcm = read_pcm(path)
    assert duration_of(pcm) == pytest.approx(19.0, abs=0.03)
    assert tone_share(pcm, 1_000) > 0.85
    silent = sum(not any(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES))
    assert silent <= 9
    # 50 of 1000 are lost, and 20 come twice, which RFC 3550 section 6.4.1 counts as found again.
    assert statistics.lost == pytest.approx(30, abs=27)
    assert 2.5 < statistics.mos < 4.3


def test_quality_is_measured_from_both_ends():
    async def main():
        alice, bob = await connected(Network(12, delay=0.040))
        await asyncio.sleep(20)
        numbers = alice.statistics
        await closed(alice, bob)
        return numbers

    numbers = run(main())
    assert numbers.round_trip_ms == pytest.approx(80, abs=2)
    assert numbers.packets_sent == pytest.approx(1_000, abs=3)
    assert numbers.packets_received == pytest.approx(1_000, abs=5)
    assert (numbers.lost, numbers.late, numbers.remote_lost) == (0, 0, 0)
    assert numbers.mos > 4.2
    assert numbers.remote == Address(BOB, numbers.remote.port)


def test_the_same_seed_gives_the_same_packets():
    async def main():
        network = Network(13, loss=0.1, delay=(0.005, 0.050))
        alice, bob = await connected(network)
        await alice.play(TONES["sit"])
        await alice.send_dtmf("42")
        await closed(alice, bob)
        return network.trace_hash

    assert run(main()) == run(main())


# --- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_keys_arrive_once_each(loss):
    keys = "0123456789*#ABCD"

    async def main():
        network = Network(14, loss=loss, duplicate=0.1)
        alice, bob = await connected(network)
        called: list[str] = []
        bob.on_digit.append(called.append)
        await alice.send_dtmf(keys)
        heard = [await bob.digit(timeout=1.0) for _ in range(len(keys) + 1)]
        await closed(alice, bob)
        assert await bob.digit() is None
        return heard, called

    heard, called = run(main())
    assert heard == [*keys, None]
    assert called == list(keys)


def test_a_peer_without_events_gets_tones(tmp_path):
    async def main():
        network = Network(15)
        alice, bob = await opened(network, ALICE, 1), await opened(network, BOB, 2)
        offer = b"\r\n".join(
            line for line in alice.make_offer().split(b"\r\n") if b"101 " not in line
        ).replace(b" 101", b"")
        alice.accept_answer(bob.make_answer(offer))
        alice.start()
        bob.start()
        with alice.record(tmp_path / "keys.wav"):
            await bob.send_dtmf("5")
            await asyncio.sleep(0.1)
        await closed(alice, bob)

    run(main())
    pcm = read_pcm(tmp_path / "keys.wav")[960:2_000]
    assert tone_share(pcm, 770) + tone_share(pcm, 1_336) > 0.75


def test_keys_nobody_asks_for_are_bounded_and_what_is_no_key_is_refused():
    async def main():
        alice, bob = await connected(Network(16))
        await alice.send_dtmf("1" * 100)
        count = 0
        while await bob.digit(timeout=0.1):
            count += 1
        assert count == 64
        with pytest.raises(ValueError):
            await alice.send_dtmf("1x")
        await closed(alice, bob)

    run(main())


# --- negotiating -------------------------------------------------------------------------------------


def test_hold_stops_the_sound_of_the_peer_and_resume_brings_it_back():
    async def main():
        network = Network(17)
        alice, bob = await connected(network)
        from_bob = rtp_between(network, BOB, ALICE)
        answer = bob.make_answer(alice.hold(True))
        assert b"a=recvonly" in answer
        alice.accept_answer(answer)
        assert alice.negotiated.direction is Direction.SENDONLY
        await asyncio.sleep(0.1)
        from_bob.clear()
        await asyncio.sleep(5)
        assert from_bob == []
        alice.accept_answer(bob.make_answer(alice.hold(False)))
        await asyncio.sleep(1)
        assert len(from_bob) == pytest.approx(50, abs=2)
        assert from_bob[0][1].marker
        await closed(alice, bob)

    run(main())


def test_the_timestamp_goes_on_during_a_hold():
    async def main():
        network = Network(18, delay=0.0)
        sent = rtp_between(network, BOB, ALICE)
        alice, bob = await connected(network)
        await asyncio.sleep(1)
        alice.accept_answer(bob.make_answer(alice.hold(True)))
        await asyncio.sleep(10)
        alice.accept_answer(bob.make_answer(alice.hold(False)))
        await asyncio.sleep(1)
        await closed(alice, bob)
        return sent

    sent = run(main())
    (start, first), (end, last) = sent[0], sent[-1]
    assert (last.timestamp - first.timestamp) & 0xFFFFFFFF == pytest.approx((end - start) * 8_000, abs=2)
    assert {packet.ssrc for _, packet in sent} == {first.ssrc}


def test_the_old_hold_stops_our_sending():
    async def main():
        network = Network(19)
        alice, bob = await connected(network)
        sent = rtp_between(network, BOB, ALICE)
        bob.make_answer(alice.make_offer().replace(b"c=IN IP4 10.0.0.1", b"c=IN IP4 0.0.0.0"))
        await asyncio.sleep(0.1)
        sent.clear()
        await asyncio.sleep(2)
        assert sent == []
        await closed(alice, bob)

    run(main())


def test_an_answer_may_come_twice_and_a_bad_offer_changes_nothing():
    async def main():
        network = Network(20)
        alice, bob = await opened(network, ALICE, 1), await opened(network, BOB, 2)
        with pytest.raises(InvalidState):
            alice.accept_answer(b"v=0\r\n")
        answer = bob.make_answer(alice.make_offer())
        alice.accept_answer(answer)
        before = alice.negotiated
        alice.accept_answer(answer)
        assert alice.negotiated is before
        for bad in (
            b"",
            b"v=0",
            answer.replace(b"10.0.0.2", b"127.0.0.1"),
            answer.replace(b"0 8 101", b"18"),
        ):
            with pytest.raises(UnacceptableSession):
                alice.make_answer(bad)
        assert alice.negotiated is before
        await closed(alice, bob)

    run(main())


def test_a_refused_offer_is_followed_by_one_with_a_higher_version():
    async def main():
        network = Network(21)
        alice, bob = await connected(network)
        versions = [
            int(sdp.split(b"o=- ")[1].split(b" ")[1])
            for sdp in (alice.make_offer(), alice.hold(True), alice.hold(True), alice.hold(False))
        ]
        assert [version - versions[0] for version in versions] == [0, 1, 1, 2]
        await closed(alice, bob)

    run(main())


# --- attackers ---------------------------------------------------------------------------------------


async def sprayed(network: Network, target: Address, *, source: str, seconds: float, payload: bytes) -> None:
    """An attacker at `source` sends RTP to `target`, five times as fast as a phone."""
    socket = await network.host(source).bind_datagram(Address(source, 7_777), lambda batch: None)
    for number in range(int(seconds * 250)):
        socket.send(RtpPacket(0, number & 0xFFFF, number * 160, 99, payload).to_bytes(), target)
        await asyncio.sleep(0.004)
    socket.close()


def test_packets_of_an_attacker_are_neither_heard_nor_answered(tmp_path):
    async def main():
        network = Network(22)
        alice, bob = await connected(network)
        to_mallory = rtp_between(network, BOB, MALLORY)
        target = Address(BOB, alice.negotiated.remote.port)
        with bob.record(tmp_path / "out.wav"):
            loud = bytes((0x80,)) * 160
            spraying = sprayed(network, target, source=MALLORY, seconds=3, payload=loud)
            await asyncio.gather(spraying, alice.play(steady(1_000, 3_000)))
        assert to_mallory == []
        assert bob.statistics.refused == pytest.approx(750, abs=5)
        assert bob.statistics.lost == 0
        await closed(alice, bob)

    run(main())
    assert tone_share(read_pcm(tmp_path / "out.wav"), 1_000) > 0.95


def test_an_attacker_who_comes_first_gets_nothing_either():
    async def main():
        network = Network(23)
        alice, bob = await opened(network, ALICE, 1), await opened(network, BOB, 2)
        alice.accept_answer(bob.make_answer(alice.make_offer()))
        bob.start()
        to_mallory = rtp_between(network, BOB, MALLORY)
        target = Address(BOB, alice.negotiated.remote.port)
        await sprayed(network, target, source=MALLORY, seconds=2, payload=b"\x80" * 160)
        alice.start()
        await asyncio.sleep(1)
        assert to_mallory == []
        assert bob.statistics.packets_received == pytest.approx(49, abs=3)
        await closed(alice, bob)

    run(main())


def test_a_peer_behind_a_nat_is_heard_and_answered():
    async def main():
        network = Network(24)
        nat = "203.0.113.7"
        alice, bob = await opened(network, nat, 1), await opened(network, BOB, 2)
        offer = alice.make_offer().replace(nat.encode(), b"192.168.1.5")
        alice.accept_answer(bob.make_answer(offer, signalling_host=nat))
        alice.start()
        bob.start()
        frames = alice.frames()
        await bob.play(steady(800, 1_000))
        heard = b"".join([await anext(frames) for _ in range(40)])
        assert tone_share(heard[3_200:], 800) > 0.9
        assert bob.statistics.remote.host == nat
        await asyncio.sleep(12)
        assert bob.statistics.round_trip_ms is not None
        await closed(alice, bob)

    run(main())


def test_a_flood_of_the_peer_itself_is_bounded_and_ends_nothing():
    async def main():
        network = Network(25)
        alice, bob = await connected(network)
        target = Address(BOB, alice.negotiated.remote.port)
        socket = network.host(ALICE)._sockets[Address(ALICE, bob.negotiated.remote.port)]
        chance = random.Random(1)
        for _ in range(2_000):
            socket.send(chance.randbytes(chance.choice((1, 12, 40, 172, 1_400))), target)
            socket.send(RtpPacket(101, 1, chance.randrange(1 << 32), 5, b"\1\2\3").to_bytes(), target)
        await asyncio.sleep(2)
        assert bob._stream.receiver.excess > 0
        assert bob._stream.receiver.buffer.waiting < 60
        frames = bob.frames()
        await alice.play(steady(1_000, 4_000))
        heard = b"".join([await anext(frames) for _ in range(50)])
        assert tone_share(heard, 1_000) > 0.9
        await closed(alice, bob)

    run(main())


def test_forged_rtcp_ends_nothing():
    async def main():
        network = Network(26)
        alice, bob = await connected(network)
        target = Address(BOB, alice.negotiated.remote_rtcp.port)
        socket = await network.host(ALICE).bind_datagram(Address(ALICE, 9), lambda batch: None)
        for data in (b"\x81\xcb\x00\x01\x00\x00\x00\x01", b"\x80\xc9\xff\xff", b"", b"\xff" * 1_000):
            socket.send(data, target)
        await asyncio.sleep(1)
        assert bob.statistics.malformed == 4
        before = bob.statistics.packets_received
        await asyncio.sleep(1)
        assert bob.statistics.packets_received == pytest.approx(before + 50, abs=1)
        await closed(alice, bob)

    run(main())


# --- security ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", list(Security))
def test_sound_keys_hold_and_reports_are_the_same_with_every_kind_of_security(tmp_path, security):
    async def main():
        network = Network(29)
        alice = await opened(network, ALICE, 1, security=security)
        bob = await opened(network, BOB, 2, accepts_any_security=True)
        alice.accept_answer(bob.make_answer(alice.make_offer()))
        alice.start()
        bob.start()
        with bob.record(tmp_path / "bob.wav"):
            await alice.play(steady(1_000, 2_000))
        await alice.send_dtmf("42")
        assert [await bob.digit(timeout=1), await bob.digit(timeout=1)] == ["4", "2"]
        bob.make_answer(alice.hold(True))
        answer = bob.make_answer(alice.hold(False))
        alice.accept_answer(answer)
        await asyncio.sleep(15)
        assert alice.statistics.round_trip_ms == pytest.approx(2, abs=1)
        assert bob.statistics.suite == alice.statistics.suite
        assert (bob.statistics.suite is None) == (security is Security.PLAIN)
        assert bob.statistics.srtp_failures == bob.statistics.lost == 0
        await closed(alice, bob)

    run(main())
    assert tone_share(read_pcm(tmp_path / "bob.wav"), 1_000) > 0.9


def test_who_demands_srtp_refuses_a_call_without_and_the_other_way_round():
    async def main():
        network = Network(30)
        for offering, answering in ((Security.PLAIN, Security.SDES), (Security.SDES, Security.PLAIN)):
            alice = await opened(network, ALICE, 1, security=offering)
            bob = await opened(network, BOB, 2, security=answering)
            with pytest.raises(UnacceptableSession):
                bob.make_answer(alice.make_offer())
            assert bob.negotiated is None
            await closed(alice, bob)

    run(main())


def test_of_two_lines_for_one_stream_the_secured_one_is_taken_where_it_is_demanded():
    """As phones offer that would rather encrypt (before RFC 8643)."""

    async def main():
        network = Network(31)
        alice = await opened(network, ALICE, 1, security=Security.SDES)
        plain = await opened(network, ALICE, 3)
        bob = await opened(network, BOB, 2, security=Security.SDES)
        session, _, secured = alice.make_offer().partition(b"m=audio")
        offer = session + b"m=audio" + plain.make_offer().partition(b"m=audio")[2] + b"m=audio" + secured
        answer = bob.make_answer(offer)
        assert b"m=audio 0 RTP/AVP" in answer
        assert answer.count(b"a=crypto:") == 1
        assert bob.negotiated.remote == alice.local
        await closed(alice, plain, bob)

    run(main())


# --- ports and real sockets --------------------------------------------------------------------------


def test_ports_come_in_pairs_out_of_the_range_and_in_turn():
    async def main():
        network = Network(27)
        ports = PortRange(10_001, 10_008)
        assert ports.pairs == 3
        sessions = [await opened(network, ALICE, n, ports=ports) for n in range(3)]
        offered = [int(s.make_offer().split(b"m=audio ")[1].split(b" ")[0]) for s in sessions]
        assert offered == [10_002, 10_004, 10_006]
        with pytest.raises(NoFreePort):
            await opened(network, ALICE, 4, ports=ports)
        await sessions[1].close()
        again = await opened(network, ALICE, 5, ports=ports)
        assert b"m=audio 10004 " in again.make_offer()
        await closed(*sessions, again)

    run(main())


def test_a_range_may_begin_in_its_middle_and_ends_where_it_began():
    ports = PortRange(10_000, 10_007)
    ports.skip(0.5)
    assert [ports.take_turn() for _ in range(5)] == [10_004, 10_006, 10_000, 10_002, 10_004]


@pytest.mark.parametrize(("first", "last"), [(5, 5), (10_001, 10_002), (0, 10), (1, 65_536), (9, 8)])
def test_a_range_without_a_pair_is_refused(first, last):
    with pytest.raises(ValueError):
        PortRange(first, last)


def test_the_advertised_address_is_the_one_peers_see():
    async def main():
        network = Network(28)
        alice = await opened(network, ALICE, 1, advertise="203.0.113.1")
        assert b"c=IN IP4 203.0.113.1" in alice.make_offer()
        await closed(alice)

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_two_ends_talk_over_real_sockets(tmp_path, host):
    network = RealNetwork()
    alice = await AudioSession.open(network, host=host, ports=PortRange(31_000, 31_998))
    bob = await AudioSession.open(network, host=host)
    alice.accept_answer(bob.make_answer(alice.make_offer()))
    alice.start()
    bob.start()
    with bob.record(tmp_path / "bob.wav"), alice.record(tmp_path / "alice.wav"):
        await asyncio.gather(alice.play(steady(1_000, 1_500)), bob.play(steady(440, 1_500)))
    await alice.send_dtmf("7")
    assert await bob.digit(timeout=2) == "7"
    await closed(alice, bob)
    assert tone_share(read_pcm(tmp_path / "bob.wav")[1_600:], 1_000) > 0.9
    assert tone_share(read_pcm(tmp_path / "alice.wav")[1_600:], 440) > 0.9
    assert duration_of(read_pcm(tmp_path / "bob.wav")) == pytest.approx(1.5, abs=0.2)
