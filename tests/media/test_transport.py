# SPDX-License-Identifier: Apache-2.0
"""A stream's way to its peer, plain and secured, with attackers around: RELIABILITY rows 39 to 42."""

import asyncio
import random
import struct
from dataclasses import replace

import pytest
from checking_peer import BrowserPeer, Heard, described, rtp, until

from ringback.media.certificate import Certificate
from ringback.media.shared_port import SharedPort
from ringback.media.transport import RtpTransport
from ringback.rtp.srtp import KEY_BYTES
from ringback.sdp.crypto import CryptoLine
from ringback.sdp.dtls import DtlsDescription, Setup
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.security import Security
from ringback.sip.flow import Address
from ringback.testing import Network, run

ALICE, BOB, MALLORY = "10.0.0.1", "10.0.0.2", "10.66.66.66"
OURS, THEIRS = b"\x2a" * 160, b"\x80" * 160
REPORT = bytes.fromhex("80c9000100000007")


async def opened(network: Network, host: str, seed: int = 1, **options) -> RtpTransport:
    return await RtpTransport.open(
        network.host(host), host=host, random_bytes=random.Random(seed).randbytes, **options
    )


def join(alice: RtpTransport, bob: RtpTransport) -> None:
    """Alice offers, Bob answers."""
    offer = described(alice.describe_offer())
    answer = described(bob.describe_answer(offer))
    bob.connect(offer, is_offerer=False)
    alice.connect(answer, is_offerer=True)


async def joined(network: Network, **options) -> tuple[RtpTransport, RtpTransport]:
    alice, bob = await opened(network, ALICE, 1, **options), await opened(network, BOB, 2, **options)
    join(alice, bob)
    return alice, bob


def closed(*transports: RtpTransport) -> None:
    for each in transports:
        each.close()


async def assert_they_talk(alice: RtpTransport, bob: RtpTransport) -> None:
    at_alice, at_bob = Heard(alice), Heard(bob)
    await until(lambda: alice.is_ready and bob.is_ready)
    for number in range(10):
        alice.send_rtp([rtp(number)])
        bob.send_rtp([rtp(number, THEIRS)])
    alice.send_rtcp([REPORT])
    bob.send_rtcp([REPORT])
    await asyncio.sleep(0.1)
    assert at_bob.payloads == [OURS] * 10
    assert at_alice.payloads == [THEIRS] * 10
    assert at_bob.reports == at_alice.reports == [REPORT]


def carried(network: Network) -> list[bytes]:
    """All datagrams that are delivered from now on."""
    found: list[bytes] = []
    network.watchers.append(lambda delivery: found.append(delivery[4]))
    return found


# --- all kinds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_mux", [False, True])
@pytest.mark.parametrize("security", list(Security))
def test_two_ends_of_a_kind_talk(security, has_mux):
    async def main():
        network = Network(1)
        found = carried(network)
        alice, bob = await joined(network, security=security, rtcp_mux=has_mux)
        await assert_they_talk(alice, bob)
        assert (alice.suite, bob.suite) == (bob.suite, alice.suite)
        assert (alice.suite is None) == (security is Security.PLAIN)
        is_readable = any(OURS[:32] in each for each in found)
        assert is_readable == (security is Security.PLAIN)
        assert (bob.own.rtcp is None) == has_mux
        closed(alice, bob)
        assert network.host(ALICE).open_sockets == network.host(BOB).open_sockets == 0

    run(main())


@pytest.mark.parametrize("suite", sorted(KEY_BYTES))
def test_an_offer_of_any_one_suite_is_taken(suite):
    async def main():
        network = Network(2)
        alice, bob = (
            await opened(network, ALICE, security=Security.SDES),
            await opened(network, BOB, 2, security=Security.SDES),
        )
        line = CryptoLine(7, suite, random.Random(3).randbytes(KEY_BYTES[suite]))
        offer = described(replace(alice.describe_offer(), crypto=(line,)))
        answer = bob.describe_answer(offer)
        bob.connect(offer, is_offerer=False)
        assert [(each.tag, each.suite) for each in answer.crypto] == [(7, suite)]
        assert bob.suite == suite
        assert bob.own.crypto == answer.crypto
        closed(alice, bob)

    run(main())


@pytest.mark.parametrize(
    ("offering", "answering", "protected"),
    [
        (Security.OPPORTUNISTIC, Security.PLAIN, False),
        (Security.OPPORTUNISTIC, Security.SDES, True),
        (Security.SDES, Security.OPPORTUNISTIC, True),
        (Security.PLAIN, Security.OPPORTUNISTIC, False),
    ],
)
def test_who_can_do_more_meets_who_can_do_less(offering, answering, protected):
    async def main():
        network = Network(3)
        alice, bob = (
            await opened(network, ALICE, security=offering),
            await opened(network, BOB, 2, security=answering),
        )
        join(alice, bob)
        await assert_they_talk(alice, bob)
        assert (alice.suite is not None) == (bob.suite is not None) == protected
        closed(alice, bob)

    run(main())


@pytest.mark.parametrize(
    ("offering", "answering"),
    [
        (Security.PLAIN, Security.SDES),
        (Security.PLAIN, Security.DTLS),
        (Security.SDES, Security.PLAIN),
        (Security.SDES, Security.DTLS),
        (Security.DTLS, Security.PLAIN),
        (Security.DTLS, Security.SDES),
    ],
)
def test_what_is_demanded_and_not_met_is_refused_and_changes_nothing(offering, answering):
    async def main():
        network = Network(4)
        alice, bob = (
            await opened(network, ALICE, security=offering),
            await opened(network, BOB, 2, security=answering),
        )
        offer = described(alice.describe_offer())
        with pytest.raises(UnacceptableSession):
            bob.describe_answer(offer)
        with pytest.raises(UnacceptableSession):
            bob.connect(offer, is_offerer=False)
        assert bob.destination is None
        closed(alice, bob)

    run(main())


def test_an_answer_without_the_demanded_key_is_refused_and_changes_nothing():
    async def main():
        network = Network(5)
        alice, bob = await joined(network, security=Security.SDES)
        bare = described(replace(bob.own, crypto=()))
        with pytest.raises(UnacceptableSession):
            alice.connect(bare, is_offerer=True)
        await assert_they_talk(alice, bob)
        closed(alice, bob)

    run(main())


def test_the_kind_of_the_offer_is_adopted():
    async def main():
        network = Network(6)
        for security in Security:
            alice, bob = (
                await opened(network, ALICE, security=security, rtcp_mux=True),
                await opened(network, BOB, 2),
            )
            bob.adopt(described(alice.describe_offer()))
            join(alice, bob)
            await assert_they_talk(alice, bob)
            assert bob.security is security
            closed(alice, bob)

    run(main())


def test_a_reoffer_keeps_keys_and_counters_and_may_go_either_way():
    async def main():
        for security in (Security.SDES, Security.DTLS):
            network = Network(7)
            alice, bob = await joined(network, security=security)
            await assert_they_talk(alice, bob)
            session = bob._path.srtp
            join(bob, alice)
            join(alice, bob)
            at_bob = Heard(bob)
            alice.send_rtp([rtp(100)])
            await asyncio.sleep(0.1)
            assert at_bob.payloads == [OURS]
            assert bob._path.srtp is session
            closed(alice, bob)

    run(main())


def test_a_peer_that_moves_with_a_new_certificate_is_followed():
    async def main():
        network = Network(8)
        alice, bob = await joined(network, security=Security.DTLS, rtcp_mux=True)
        await assert_they_talk(alice, bob)
        carol = await opened(
            network, "10.0.0.3", 3, security=Security.DTLS, rtcp_mux=True, certificate=Certificate.make()
        )
        offer = described(carol.describe_offer())
        answer = described(alice.describe_answer(offer))
        alice.connect(offer, is_offerer=False)
        carol.connect(answer, is_offerer=True)
        await assert_they_talk(carol, alice)
        closed(alice, bob, carol)

    run(main())


def test_packets_wait_for_nothing_and_ready_is_said_once():
    async def main():
        network = Network(9)
        alice, bob = await joined(network, security=Security.DTLS)
        said: list[str] = []
        alice.on_ready = lambda: said.append("ready")
        alice.send_rtp([rtp(1)])
        alice.send_rtcp([REPORT])
        assert not alice.is_ready
        await until(lambda: alice.is_ready)
        await assert_they_talk(alice, bob)
        assert said == ["ready"]
        closed(alice, bob)

    run(main())


@pytest.mark.parametrize("security", list(Security))
def test_a_relay_is_told_whose_packets_it_may_take_and_how_they_are_opened(security):
    async def main():
        network = Network(10)
        alice, bob = await joined(network, security=security)
        at_bob = Heard(bob)
        await until(lambda: alice.is_ready and bob.is_ready)
        before = bob.relayed()
        assert before is not None
        alice.send_rtp([rtp(1)])
        await until(lambda: bool(at_bob.payloads))

        relayed = bob.relayed()
        assert relayed is not None
        assert (relayed.source, relayed.is_settled) == (alice.address, True)
        assert (relayed.opener is None) == (relayed.sealer is None) == (security is Security.PLAIN)
        assert (relayed.opener, relayed.sealer) == (before.opener, before.sealer)
        closed(alice, bob)

    run(main())


def test_a_relay_gets_nothing_while_there_are_no_keys_or_two_of_them():
    async def main():
        network = Network(11)
        alice = await opened(network, ALICE, security=Security.DTLS)
        assert alice.relayed() is None
        closed(alice)

        alice, bob = await joined(network, security=Security.SDES)
        heard = Heard(bob)
        alice.send_rtp([rtp(1)])
        await until(lambda: bool(heard.payloads))
        fresh = CryptoLine(1, alice.suite, random.Random(9).randbytes(KEY_BYTES[alice.suite]))
        offer = described(replace(alice.describe_offer(), crypto=(fresh,)))
        bob.connect(offer, is_offerer=False)
        assert bob.relayed() is None
        closed(alice, bob)

    run(main())


# --- DTLS --------------------------------------------------------------------------------------------


def test_a_peer_with_another_certificate_is_never_believed():
    async def main():
        network = Network(11)
        alice, bob = (
            await opened(network, ALICE, security=Security.DTLS),
            await opened(network, BOB, 2, security=Security.DTLS),
        )
        offer = described(alice.describe_offer())
        answer = described(bob.describe_answer(offer))
        other = DtlsDescription((Certificate.make().fingerprint,), answer.dtls.setup)
        bob.connect(offer, is_offerer=False)
        alice.connect(replace(answer, dtls=other), is_offerer=True)
        at_alice = Heard(alice)
        await asyncio.sleep(3)
        assert not alice.is_ready
        bob.send_rtp([rtp(1)])
        await asyncio.sleep(0.1)
        assert at_alice.packets == []
        assert alice._path.rtp.dtls.failures > 0
        closed(alice, bob)

    run(main())


def test_before_the_keys_nothing_plain_goes_in_or_out():
    async def main():
        network = Network(12)
        alice, bob = await joined(network, security=Security.DTLS)
        network.cut(ALICE, BOB, both_ways=False)
        at_bob = Heard(bob)
        found = carried(network)
        bob.send_rtp([rtp(1)])
        network.carry(rtp(1), alice.address, bob.address)
        network.heal()
        network.carry(rtp(1), alice.address, bob.address)
        network.carry(REPORT, alice.rtcp_address, bob.rtcp_address)
        await asyncio.sleep(0.001)
        assert at_bob.packets == at_bob.reports == []
        assert not any(OURS[:32] in each for each in found if each != rtp(1))
        closed(alice, bob)

    run(main())


def client_hello(chance: random.Random) -> bytes:
    """A ClientHello whose first cipher is none at all (CVE-2023-49786)."""
    body = bytes.fromhex("fefd") + chance.randbytes(32) + b"\0\0" + bytes.fromhex("0004 0000 c02b") + b"\1\0"
    length = len(body).to_bytes(3, "big")
    handshake = b"\1" + length + b"\0\0" + b"\0\0\0" + length + body
    return bytes.fromhex("16feff 0000 000000000000") + struct.pack("!H", len(handshake)) + handshake


@pytest.mark.parametrize("place", ["another host", "another port", "the peer's own address"])
@pytest.mark.parametrize("has_ice", [True, False])
def test_a_race_of_client_hellos_stops_no_handshake(has_ice, place):
    """Row 41: a thousand a second, before and during the handshake; every call is set up."""

    async def main():
        chance = random.Random(1)
        network = Network(13)
        # Who can forge the very address delays an unchecked peer until it asks again: after a real second.
        for number in range(2 if place == "the peer's own address" and not has_ice else 10):
            bob = await opened(network, BOB, number, security=Security.DTLS, ice=has_ice, rtcp_mux=True)
            peer = await BrowserPeer.open(network.host(ALICE), Address(ALICE, 0), seed=number)
            sources = {
                "another host": Address(MALLORY, 7_777),
                "another port": Address(ALICE, 7_777),
                "the peer's own address": peer.socket.local,
            }

            async def race(target=bob.address, source=sources[place]):
                while True:
                    network.carry(client_hello(chance), source, target)
                    await asyncio.sleep(0.001)

            racing = asyncio.create_task(race())
            offer = peer.describe(Setup.ACTIVE)
            if not has_ice:
                offer = replace(offer, ice=None)
            answer = bob.describe_answer(offer)
            assert answer.setup is Setup.PASSIVE
            bob.connect(offer, is_offerer=False)
            await asyncio.sleep(0.05)
            if has_ice:
                peer.meet(answer, is_client=True)
            else:
                peer.meet(replace(answer, ice=(peer.describe().ice)), is_client=True)
                peer.dtls.start(bob.address)
            at_bob = Heard(bob)
            # Simulated seconds: OpenSSL repeats by its own clock, which is slower.
            async with asyncio.timeout(300):
                await peer.is_keyed.wait()
            await until(lambda b=bob: b.is_ready)
            peer.say()
            await until(lambda h=at_bob: h.payloads == [OURS])
            racing.cancel()
            peer.close()
            bob.close()

    run(main())


# --- row 39: injection -------------------------------------------------------------------------------


@pytest.mark.parametrize("security", [Security.SDES, Security.DTLS])
@pytest.mark.parametrize("place", ["another host", "another port", "the peer's own address"])
def test_no_injected_frame_is_heard_with_srtp_and_nothing_goes_to_the_attacker(security, place):
    async def main():
        network = Network(14)
        alice, bob = await joined(network, security=security)
        await until(lambda: bob.is_ready)
        at_bob = Heard(bob)
        sources = {
            "another host": Address(MALLORY, 7_777),
            "another port": Address(ALICE, 7_777),
            "the peer's own address": alice.address,
        }
        strange = await opened(network, MALLORY, 9, security=Security.SDES)
        found = []
        network.watchers.append(
            lambda each: found.append(each) if each[3] == sources["another host"] else None
        )
        for number in range(200):
            network.carry(rtp(number, THEIRS), sources[place], bob.address)
            network.carry(random.Random(number).randbytes(182), sources[place], bob.address)
            if number >= 100:
                alice.send_rtp([rtp(number)])
                bob.send_rtp([rtp(number)])
            await asyncio.sleep(0.02)
        assert at_bob.payloads == [OURS] * 100
        assert bob.destination == alice.address
        assert found == []
        closed(alice, bob, strange)

    run(main())


def test_a_phone_that_moved_behind_another_nat_is_found_by_its_signature():
    """Its packets come from nowhere near its description or its signalling; only it has the key."""

    async def main():
        network = Network(15)
        alice, bob = (
            await opened(network, ALICE, security=Security.SDES),
            await opened(network, BOB, 2, security=Security.SDES),
        )
        offer = described(
            alice.describe_offer(), rtp=Address("192.168.1.5", 4_000), rtcp=Address("192.168.1.5", 4_001)
        )
        answer = described(bob.describe_answer(offer))
        bob.connect(offer, is_offerer=False, signalling_host="203.0.113.7")
        alice.connect(answer, is_offerer=True)
        await assert_they_talk_from_hiding(network, alice, bob)
        closed(alice, bob)

    async def assert_they_talk_from_hiding(network, alice, bob):
        at_bob = Heard(bob)
        for number in range(50):
            network.carry(rtp(number, THEIRS), Address(MALLORY, 7_777), bob.address)
            alice.send_rtp([rtp(number)])
            await asyncio.sleep(0.02)
        assert at_bob.payloads == [OURS] * 50
        assert bob.destination == alice.address

    run(main())


def test_a_packet_caught_and_sent_again_from_elsewhere_moves_nothing():
    async def main():
        network = Network(16)
        alice, bob = (
            await opened(network, ALICE, security=Security.SDES),
            await opened(network, BOB, 2, security=Security.SDES),
        )
        join(alice, bob)
        (caught,) = alice._path.srtp.protect_rtp([rtp(1)])
        for _ in range(20):
            network.carry(caught, Address(MALLORY, 7_777), bob.address)
        await asyncio.sleep(0.1)
        assert bob.destination == alice.address
        closed(alice, bob)

    run(main())


# --- rows 40 and 42 ----------------------------------------------------------------------------------


def test_a_flood_of_garbage_costs_the_call_nothing():
    """Row 40: ten thousand bad packets a second from the peer's own address, for two seconds of a call."""

    async def main():
        chance = random.Random(1)
        network = Network(17, delay=0.001)
        alice, bob = await joined(network, security=Security.SDES)
        at_bob = Heard(bob)
        garbage = [b"\x80\0" + chance.randbytes(180) for _ in range(200)]
        for number in range(100):
            for each in garbage:
                network.carry(each, alice.address, bob.address)
            alice.send_rtp([rtp(number)])
            await asyncio.sleep(0.02)
        assert at_bob.payloads == [OURS] * 100
        assert bob.srtp_failures == 100 * len(garbage)
        assert bob.is_ready
        closed(alice, bob)

    run(main())


@pytest.mark.parametrize("has_mux", [False, True])
@pytest.mark.parametrize("security", [Security.SDES, Security.DTLS])
def test_no_report_is_believed_that_is_not_signed(security, has_mux):
    """Row 42: forged RTCP of the peer's own address."""

    async def main():
        network = Network(18)
        alice, bob = await joined(network, security=security, rtcp_mux=has_mux)
        await until(lambda: alice.is_ready and bob.is_ready)
        at_bob = Heard(bob)
        source = alice.address if has_mux else alice.rtcp_address
        target = bob.address if has_mux else bob.rtcp_address
        bye = struct.pack("!BBHI", 0x81, 203, 1, 4711)
        for data in (bye, REPORT, b"\x81\xcd\xff\xff", b"\x80\xc9\0\0", b"\x80\xcf\0\1" * 300, b"\x80"):
            network.carry(data, source, target)
        await asyncio.sleep(0.1)
        assert at_bob.reports == []
        await assert_they_talk(alice, bob)
        closed(alice, bob)

    run(main())


# --- ICE ---------------------------------------------------------------------------------------------


async def browser_call(network: Network, host: str, bob: RtpTransport, seed: int) -> BrowserPeer:
    peer = await BrowserPeer.open(network.host(host), Address(host, 0), seed=seed)
    offer = peer.describe()
    answer = bob.describe_answer(offer)
    bob.connect(offer, is_offerer=False)
    peer.meet(answer, is_client=answer.setup is Setup.PASSIVE)
    await until(lambda: bob.is_ready and peer.is_keyed.is_set())
    return peer


def webrtc(network: Network, host: str, seed: int = 2, **options):
    return opened(network, host, seed, security=Security.DTLS, ice=True, rtcp_mux=True, **options)


def test_a_browser_talks_and_what_is_not_checked_is_not_heard():
    async def main():
        network = Network(19)
        bob = await webrtc(network, BOB)
        at_bob = Heard(bob)
        peer = await browser_call(network, ALICE, bob, 1)
        before = bob.refused
        for number in range(50):
            peer.say()
            bob.send_rtp([rtp(number)])
            network.carry(rtp(number, THEIRS), Address(ALICE, 7_777), bob.address)
            network.carry(client_hello(random.Random(1)), Address(ALICE, 7_777), bob.address)
            await asyncio.sleep(0.02)
        assert at_bob.payloads == [OURS] * 50
        assert peer.heard == [OURS] * 50
        assert bob.refused == before + 100
        peer.close()
        bob.close()

    run(main())


def test_a_browser_that_is_gone_gets_nothing_after_half_a_minute():
    async def main():
        network = Network(20)
        bob = await webrtc(network, BOB)
        peer = await browser_call(network, ALICE, bob, 1)
        peer.close()
        await asyncio.sleep(29)
        assert bob.is_ready
        await asyncio.sleep(5)
        assert not bob.is_ready
        found = carried(network)
        bob.send_rtp([rtp(1)])
        await asyncio.sleep(1)
        assert found == []
        bob.close()

    run(main())


def test_a_browser_that_restarts_gets_new_names_and_keeps_its_keys():
    async def main():
        network = Network(21)
        bob = await webrtc(network, BOB)
        peer = await browser_call(network, ALICE, bob, 1)
        old = bob.own.ice
        again = replace(peer.describe(), ice=replace(peer.describe().ice, ufrag="anew", password="p" * 24))
        answer = bob.describe_answer(again)
        assert answer.ice.ufrag != old.ufrag
        assert bob.describe_answer(again) == answer
        bob.connect(again, is_offerer=False)
        assert bob.is_ready
        session = bob._path.srtp
        peer.theirs = answer.ice
        await asyncio.sleep(3)
        at_bob = Heard(bob)
        peer.say()
        await asyncio.sleep(0.1)
        assert at_bob.payloads == [OURS]
        assert bob._path.srtp is session
        peer.close()
        bob.close()

    run(main())


def test_without_the_password_nobody_is_selected():
    """Row 44 at the socket: bad signatures before, during and after the call is set up."""

    async def main():
        network = Network(22)
        bob = await webrtc(network, BOB)
        peer = await browser_call(network, ALICE, bob, 1)
        for number in range(100):
            network.carry(peer.check(password="p" * 24), Address(MALLORY, 1 + number), bob.address)
        await asyncio.sleep(0.1)
        assert bob.destination == peer.socket.local
        peer.close()
        bob.close()

    run(main())


def test_without_rtcp_mux_each_port_is_checked_and_found():
    """As baresip and linphone do with ICE."""

    async def main():
        network = Network(25)
        bob = await opened(network, BOB, 2, security=Security.SDES, ice=True)
        alice = await opened(network, ALICE, 1, security=Security.SDES)
        peer = await BrowserPeer.open(network.host(ALICE), Address(ALICE, 0))
        offer = described(alice.describe_offer(), ice=peer.describe().ice, rtp=None, rtcp=None)
        answer = described(bob.describe_answer(offer))
        bob.connect(offer, is_offerer=False)
        assert [(each.component, each.address) for each in answer.ice.candidates] == [
            (1, bob.address),
            (2, bob.rtcp_address),
        ]
        alice.connect(replace(answer, ice=None), is_offerer=True)
        peer.theirs = answer.ice
        network.carry(peer.check(), alice.address, bob.address)
        network.carry(peer.check(), alice.rtcp_address, bob.rtcp_address)
        await asyncio.sleep(0.1)
        assert (bob.destination, bob.rtcp_destination) == (alice.address, alice.rtcp_address)
        await assert_they_talk(alice, bob)
        peer.close()
        closed(alice, bob)

    run(main())


def test_all_browsers_fit_into_one_port():
    async def main():
        network = Network(23)
        shared = await SharedPort.open(network.host(BOB), Address(BOB, 4_433), advertise="203.0.113.1")
        bobs = [await webrtc(network, BOB, seed, shared=shared) for seed in range(5)]
        assert {bob.address for bob in bobs} == {Address("203.0.113.1", 4_433)}
        network.host(BOB, "203.0.113.1")
        peers = []
        for number, bob in enumerate(bobs):
            peer = await BrowserPeer.open(
                network.host(f"10.0.1.{number + 1}"), Address(f"10.0.1.{number + 1}", 0), seed=number
            )
            offer = peer.describe()
            answer = bob.describe_answer(offer)
            bob.connect(offer, is_offerer=False)
            peer.meet(replace(answer, address=Address(BOB, 4_433)), is_client=False)
            peers.append(peer)
        await until(
            lambda: all(bob.is_ready for bob in bobs) and all(peer.is_keyed.is_set() for peer in peers)
        )
        ears = [Heard(bob) for bob in bobs]
        for number, peer in enumerate(peers):
            peer.say(bytes((number,)) * 160)
            bobs[number].send_rtp([rtp(1, bytes((100 + number,)) * 160)])
        network.carry(rtp(1, THEIRS), Address(MALLORY, 1), Address(BOB, 4_433))
        network.carry(b"", Address(MALLORY, 1), Address(BOB, 4_433))
        await asyncio.sleep(0.1)
        assert [ear.payloads for ear in ears] == [[bytes((number,)) * 160] for number in range(5)]
        assert [peer.heard for peer in peers] == [[bytes((100 + number,)) * 160] for number in range(5)]
        assert shared.refused == 2
        for bob, peer in zip(bobs, peers, strict=True):
            bob.close()
            peer.close()
        assert not shared._by_name
        assert not shared._by_source
        shared.close()

    run(main())


def test_a_stream_without_ice_is_refused_at_the_shared_port():
    async def main():
        network = Network(24)
        shared = await SharedPort.open(network.host(BOB), Address(BOB, 4_433))
        bob = await webrtc(network, BOB, shared=shared)
        alice = await opened(network, ALICE, security=Security.DTLS)
        with pytest.raises(UnacceptableSession):
            bob.describe_answer(described(alice.describe_offer()))
        phone = await opened(network, BOB, shared=shared)
        assert phone.address.port != 4_433
        peer = await BrowserPeer.open(network.host("10.0.0.3"), Address("10.0.0.3", 0))
        phone.adopt(peer.describe())
        assert phone.address.port == 4_433
        peer.close()
        closed(alice, bob, phone)
        shared.close()

    run(main())
