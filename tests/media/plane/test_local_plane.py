# SPDX-License-Identifier: Apache-2.0
"""Bridges in this process, over real sockets: every kind of phone with every other, and what may go wrong."""

from __future__ import annotations

import struct

import pytest
from plane_calls import Call
from plane_peers import Opener, PhonePeer, talk

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import LegProfile, PlaneUnavailable, Security
from ringback.media.ports import PortRange
from ringback.net.sockets import RealNetwork
from ringback.sdp.errors import UnacceptableSession
from ringback.sip.flow import Address

PLAIN = LegProfile()
SDES = LegProfile(Security.SDES)
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM")


async def test_two_plain_phones_hear_each_other(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join("caller", "callee")
    await talk(caller, callee)
    assert caller.sources == {caller.remote}
    assert caller.remote != ("127.0.0.1", callee.port)

    numbers = await local_plane.delete("call")

    one, other = numbers.legs
    assert (one.name, other.name) == ("caller", "callee")
    assert one.streams[0].packets_received >= 5
    assert one.streams[0].packets_received == other.streams[0].packets_sent
    assert one.streams[0].codec == "PCMU"
    assert one.streams[0].lost == 0
    assert one.streams[0].mos is not None
    assert one.address == Address("127.0.0.1", caller.port)
    assert not numbers.is_transcoded
    assert local_plane.bridges == 0


@pytest.mark.parametrize("suite", SUITES)
async def test_a_phone_with_sdes_speaks_with_one_without(
    local_plane: LocalPlane, phone: Opener, suite: str
) -> None:
    call = Call(local_plane)
    call.add("caller", await phone("anna"))
    call.add("callee", await phone("bob", suite=suite), SDES)
    offer, answer = await call.join("caller", "callee")
    await talk(call.peers["caller"], call.peers["callee"])
    assert b"RTP/SAVP " in offer
    assert b"a=crypto" not in answer
    caller, callee = (await local_plane.statistics("call")).legs
    assert (caller.security, caller.suite) == (Security.PLAIN, None)
    assert (callee.security, callee.suite) == (Security.SDES, suite)


@pytest.mark.parametrize("suite", SUITES)
async def test_a_caller_with_sdes_gets_its_own_suite_back(
    local_plane: LocalPlane, phone: Opener, suite: str
) -> None:
    call = Call(local_plane)
    call.add("caller", await phone("anna", suite=suite), SDES)
    call.add("callee", await phone("bob"))
    await call.join("caller", "callee")
    await talk(call.peers["caller"], call.peers["callee"])


async def test_two_phones_with_different_suites(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    call.add("caller", await phone("anna", suite=SUITES[0]), SDES)
    call.add("callee", await phone("bob", suite=SUITES[1]), SDES)
    await call.join("caller", "callee")
    await talk(call.peers["caller"], call.peers["callee"])


async def test_an_opportunistic_offer_is_taken_up_or_left(local_plane: LocalPlane, phone: Opener) -> None:
    for suite in (None, SUITES[0]):
        call = Call(local_plane, f"call-{suite}")
        call.add("caller", await phone("anna"))
        callee = await phone("bob", suite=suite, protocol="RTP/AVP")
        call.add("callee", callee, LegProfile(Security.OPPORTUNISTIC))
        offer, _ = await call.join("caller", "callee")
        assert b" RTP/AVP " in offer
        assert b"a=crypto" in offer
        await talk(call.peers["caller"], callee)
        assert (await local_plane.statistics(call.name)).legs[1].suite == suite


async def test_a_caller_that_must_encrypt_and_does_not_is_refused(
    local_plane: LocalPlane, phone: Opener
) -> None:
    call = Call(local_plane)
    call.add("caller", await phone("anna"), SDES)
    call.add("callee", await phone("bob"))
    with pytest.raises(UnacceptableSession, match="without encryption"):
        await call.offer("caller", "callee", call.peers["caller"].sdp())
    assert local_plane.bridges == 0


async def test_payload_numbers_differ_on_the_two_sides(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join(
        "caller",
        "callee",
        offered=("96 iLBC/8000", "97 telephone-event/8000"),
        answered=("110 iLBC/8000", "112 telephone-event/8000"),
    )
    caller.send(3, payload_type=96)
    await callee.until(lambda: callee.of(caller, payload_type=110) or callee.of(caller))
    assert {each[1] for each in callee.of(caller)} == {110}
    callee.send(3, payload_type=96)
    await caller.until(lambda: caller.of(callee))
    assert {each[1] for each in caller.of(callee)} == {96}


async def test_hold_and_resume_by_either_side(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    first, _ = await call.join("caller", "callee")
    held = await call.offer("callee", "caller", callee.sdp(version=2, direction="sendonly"))
    assert b"a=sendonly" in held
    answer = await call.answer("caller", "callee", caller.sdp(version=2, direction="recvonly"))
    assert b"a=recvonly" in answer
    assert answer.split(b"m=audio ")[1].split()[0] == first.split(b"m=audio ")[1].split()[0]
    await caller.hears(callee)
    await call.offer("callee", "caller", callee.sdp(version=3))
    await call.answer("caller", "callee", caller.sdp(version=3))
    caller.received.clear()
    callee.received.clear()
    await talk(caller, callee)


async def test_a_refused_offer_leaves_the_call_as_it_was(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    call.add("caller", await phone("anna"))
    call.add("callee", await phone("bob"))
    await call.join("caller", "callee")
    for sdp in (b"", b"hello", call.peers["callee"].sdp().replace(b"127.0.0.1", b"224.0.0.1")):
        with pytest.raises(UnacceptableSession):
            await call.offer("callee", "caller", sdp)
    await talk(call.peers["caller"], call.peers["callee"])


async def test_an_answer_that_does_not_fit_is_refused(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    with pytest.raises(UnacceptableSession):
        await call.answer("callee", "caller", callee.sdp())
    await call.offer("caller", "callee", caller.sdp())
    with pytest.raises(UnacceptableSession):
        await call.answer("callee", "caller", callee.sdp(more="m=video 5004 RTP/AVP 96\r\n"))
    await call.answer("callee", "caller", callee.sdp())
    await talk(caller, callee)


async def test_media_is_never_sent_to_ourselves(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller = await phone("anna")
    call.add("caller", caller)
    call.add("callee", await phone("bob"))
    offer = await call.offer("caller", "callee", caller.sdp())
    own = offer.split(b"m=audio ")[1].split()[0]
    looped = caller.sdp().replace(b"m=audio %d" % caller.port, b"m=audio %s" % own)
    with pytest.raises(UnacceptableSession):
        await call.answer("callee", "caller", looped)


async def test_of_two_phones_that_answer_the_last_one_is_heard(
    local_plane: LocalPlane, phone: Opener
) -> None:
    call = Call(local_plane)
    caller, first, second = await phone("anna"), await phone("bob1"), await phone("bob2")
    call.add("caller", caller)
    call.add("callee-1", first)
    call.add("callee-2", second)
    offer = caller.sdp()
    await call.offer("caller", "callee-1", offer)
    await call.offer("caller", "callee-2", offer)
    await call.answer("callee-1", "caller", first.sdp())
    await caller.hears(first)  # early media
    await call.answer("callee-2", "caller", second.sdp())
    await talk(caller, second)
    caller.received.clear()
    first.received.clear()
    first.send(5)
    await talk(caller, second)
    assert caller.of(first) == first.of(caller) == []

    await local_plane.drop("call", "callee-1")
    await local_plane.drop("call", "nobody")
    assert [leg.name for leg in (await local_plane.statistics("call")).legs] == ["caller", "callee-2"]
    caller.received.clear()
    await caller.hears(second)


async def test_the_same_answer_twice_changes_nothing(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    _, first = await call.join("caller", "callee")
    await talk(caller, callee)
    assert await call.answer("callee", "caller", callee.sdp()) == first
    await talk(caller, callee)


async def test_a_caller_with_ipv6_reaches_a_phone_with_ipv4(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna", "::1"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee, LegProfile(host="127.0.0.1"))
    offer, answer = await call.join("caller", "callee")
    assert b"IN IP4 127.0.0.1" in offer
    assert b"IP6" not in offer
    assert b"IN IP6 ::1" in answer
    await talk(caller, callee)


async def test_video_passes_through(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee, camera, screen = (
        await phone("anna"),
        await phone("bob"),
        await phone("cam"),
        await phone("scr"),
    )
    call.add("caller", caller)
    call.add("callee", callee)

    def video(port: int, number: int) -> str:
        return (
            f"m=video {port} RTP/AVPF {number}\r\na=rtpmap:{number} VP8/90000\r\n"
            f"a=rtcp-fb:{number} nack pli\r\na=sendrecv\r\n"
        )

    offer = await call.offer("caller", "callee", caller.sdp(more=video(camera.port, 98)))
    answer = await call.answer("callee", "caller", callee.sdp(more=video(screen.port, 98)))
    assert b"nack pli" in offer
    assert b"RTP/AVPF" in offer
    camera.remote = ("127.0.0.1", int(answer.split(b"m=video ")[1].split()[0]))
    screen.remote = ("127.0.0.1", int(offer.split(b"m=video ")[1].split()[0]))
    await screen.hears(camera, payload_type=98)
    await camera.hears(screen, payload_type=98)
    await talk(caller, callee)
    caller_numbers = (await local_plane.statistics("call")).legs[0]
    assert [each.kind for each in caller_numbers.streams] == ["audio", "video"]
    assert caller_numbers.streams[1].packets_received >= 5


async def test_a_fax_passes_through(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)

    def fax(peer_port: int) -> bytes:
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=image {peer_port} udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n"
        ).encode()

    async def told(sdp: bytes) -> tuple[str, int]:
        assert b"a=T38FaxVersion:0" in sdp
        return "127.0.0.1", int(sdp.split(b"m=image ")[1].split()[0])

    profiles = {"source_profile": PLAIN, "target_profile": PLAIN}
    offer = await local_plane.offer("call", "caller", "callee", fax(caller.port), **profiles)
    answer = await local_plane.answer("call", "callee", "caller", fax(callee.port), **profiles)
    callee.remote, caller.remote = await told(offer), await told(answer)
    caller.transport.sendto(b"\x00\x01\x02fax", caller.remote)
    await callee.until(lambda: callee.received)
    callee.transport.sendto(b"\x00\x01xaf", callee.remote)
    await caller.until(lambda: caller.received)
    assert callee.received == [b"\x00\x01\x02fax"]
    assert caller.received == [b"\x00\x01xaf"]


async def test_nobody_else_is_passed_on(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee, stranger = await phone("anna"), await phone("bob"), await phone("evil", "127.0.0.2")
    call.add("caller", caller)
    call.add("callee", callee)
    await call.join("caller", "callee")
    stranger.remote = caller.remote
    stranger.send(10)
    await talk(caller, callee)
    assert callee.of(stranger) == []
    assert stranger.received == []


async def test_there_are_limits(phone: Opener) -> None:
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1"), most_bridges=1)
    await plane.start()
    caller = await phone("anna")

    async def offer(bridge: str, target: str) -> None:
        await plane.offer(bridge, "caller", target, caller.sdp(), source_profile=PLAIN, target_profile=PLAIN)

    await offer("one", "callee")
    with pytest.raises(PlaneUnavailable):
        await offer("two", "callee")
    for number in range(14):
        await offer("one", f"callee-{number}")
    with pytest.raises(PlaneUnavailable):
        await offer("one", "one too many")
    await plane.close()


def sender_report(peer: PhonePeer, middle: int) -> bytes:
    """An SR; `middle` are the bits of its time that others repeat (RFC 3550 section 6.4.1)."""
    return struct.pack("!BBHIQIII", 0x80, 200, 6, peer.ssrc, middle << 16, 0, 0, 0)


def receiver_report(peer: PhonePeer, of: PhonePeer, middle: int) -> bytes:
    return struct.pack("!BBHIIIIIII", 0x81, 201, 7, peer.ssrc, of.ssrc, 0, 0, 0, middle, 0)


async def test_reports_pass_and_tell_the_round_trip(local_plane: LocalPlane, phone: Opener) -> None:
    call = Call(local_plane)
    caller, callee = await phone("anna"), await phone("bob")
    call.add("caller", caller)
    call.add("callee", callee)
    offer = await call.offer("caller", "callee", caller.sdp(more=f"a=rtcp:{caller.port}\r\n"))
    answer = await call.answer("callee", "caller", callee.sdp(more=f"a=rtcp:{callee.port}\r\n"))
    await talk(caller, callee)
    report, back = sender_report(caller, 77), receiver_report(callee, caller, 77)
    caller.transport.sendto(report, rtcp_of(answer))
    await callee.until(lambda: report in callee.received)
    callee.transport.sendto(back, rtcp_of(offer))
    await caller.until(lambda: back in caller.received)
    legs = {leg.name: leg.streams[0] for leg in (await local_plane.statistics("call")).legs}
    assert legs["callee"].round_trip_ms is not None
    assert 0.0 <= legs["callee"].round_trip_ms < 5_000.0
    assert legs["caller"].round_trip_ms is None


def rtcp_of(sdp: bytes) -> tuple[str, int]:
    return "127.0.0.1", int(sdp.split(b"m=audio ")[1].split()[0]) + 1


async def test_calls_leave_no_port_behind(phone: Opener) -> None:
    """There is room for one call with each of its two legs; twenty come, and end in every way."""
    plane = LocalPlane(Facilities(RealNetwork(), host="127.0.0.1", ports=PortRange(23_200, 23_203)))
    await plane.start()
    caller, callee = await phone("anna"), await phone("bob")
    for number in range(20):
        call = Call(plane, f"call-{number}")
        call.add("caller", caller)
        call.add("callee", callee)
        call.profiles["callee"] = LegProfile(Security.OPPORTUNISTIC) if number % 2 else PLAIN
        await call.join("caller", "callee")
        if number % 3:
            await plane.drop(call.name, "callee")
        with pytest.raises(UnacceptableSession):
            await call.offer("caller", "callee", b"v=0")
        await plane.delete(call.name)
    assert plane.bridges == 0
    await plane.close()


async def test_a_phone_behind_a_nat_is_reached_where_its_signalling_comes_from() -> None:
    """There may be no way at all to the address of its home network."""
    facilities = Facilities(RealNetwork())
    hidden = LegProfile(signalling_host="127.0.0.1", is_behind_nat=True)
    assert await facilities.host_for(hidden, "192.168.1.10") == "127.0.0.1"
    open_to_all = LegProfile(signalling_host="192.168.1.10")
    assert await facilities.host_for(open_to_all, "127.0.0.1") == "127.0.0.1"
