# SPDX-License-Identifier: Apache-2.0
"""Calls whose sound comes through the server: a real plane on the network in memory, and planes that fail."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from bridge_rig import call, half_of_callee, on_a_bridge, sdp_of, two_phones
from server_rig import DOMAIN, Rig, with_bridge

from ringback.media.facilities import Facilities
from ringback.media.local_plane import LocalPlane
from ringback.media.plane import MediaEvent, MediaEventKind, PlaneUnavailable
from ringback.media.ports import PortRange
from ringback.server.config import Settings
from ringback.sip.flow import Address
from ringback.testing import run

KEY = "a=crypto:1~AES_CM_128_HMAC_SHA1_80~inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
DTLS = (
    "a=rtpmap:0~PCMU/8000 a=rtcp-mux a=mid:0 a=ice-ufrag:abcd a=ice-pwd:abcdefghijklmnopqrstuvwx "
    "a=candidate:1~1~udp~2130706431~10.0.0.11~4000~typ~host a=setup:actpass "
    "a=fingerprint:sha-256~" + ":".join(["AB"] * 32)
)


def lines(text: str) -> str:
    return text.replace("~", " ")


def secured(sdp: bytes, protocol: str, attributes: str) -> bytes:
    body = "".join(f"{line}\r\n" for line in map(lines, attributes.split()))
    return sdp.replace(b"RTP/AVP", protocol.encode()) + body.encode()


def settings(**media: Any) -> Settings:
    made = with_bridge()
    return made.model_copy(update={"media": made.media.model_copy(update=media)})


class PlanedRig(Rig):
    """A server with a media plane of its own."""

    def __init__(self, *, plane_class: type[LocalPlane] = LocalPlane, **options: Any) -> None:
        super().__init__(**options)
        self.plane = plane_class(
            Facilities(self.server_host, host="10.0.0.1", ports=PortRange(20_000, 30_000))
        )
        self.options["plane"] = self.plane


def on_planes(
    test: Any,
    *,
    plane_class: type[LocalPlane] = LocalPlane,
    options: dict[str, Any] | None = None,
    **media: Any,
) -> None:
    async def main() -> None:
        rig = PlanedRig(settings=settings(**media), plane_class=plane_class, **(options or {}))
        await rig.plane.start()
        await rig.start()
        try:
            await test(rig)
            assert not rig.server.status()["waiting"]
        finally:
            await rig.server.close()
            await rig.plane.close()

    run(main())


def port_of(sdp: bytes) -> int:
    return int(sdp.partition(b"m=audio ")[2].split()[0])


async def ear(rig: Rig, host: str, port: int) -> tuple[Any, list[bytes]]:
    heard: list[bytes] = []

    def received(batch: Sequence[tuple[bytes, Address]]) -> None:
        heard.extend(data for data, _ in batch)

    return await rig.network.host(host).bind_datagram(Address(host, port), received), heard


def rtp(number: int) -> bytes:
    return (
        bytes((0x80, 0))
        + number.to_bytes(2, "big")
        + (160 * number).to_bytes(4, "big")
        + b"ssrc"
        + bytes(160)
    )


def test_the_sound_of_an_anchored_call_is_relayed_and_its_reason_is_shown() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        invite = await bob.peer.expect("INVITE")
        assert b"10.0.0.11" not in invite.body
        assert b"c=IN IP4 10.0.0.1\r\n" in invite.body
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        assert b"10.0.0.12" not in answer.body
        await bob.peer.expect("ACK")
        mouth, heard_by_anna = await ear(rig, "10.0.0.11", 4000)
        other, heard_by_bob = await ear(rig, "10.0.0.12", 5000)
        for number in range(5):
            mouth.send(rtp(number), Address("10.0.0.1", port_of(answer.body)))
            other.send(rtp(number), Address("10.0.0.1", port_of(invite.body)))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert len(heard_by_anna) >= 4
        assert len(heard_by_bob) >= 4
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["anchored"] == "the setting media.anchor is always"
        assert (shown["caller"], shown["callee"], shown["state"]) == ("101", "102", "talking")
        leg.request("BYE")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await asyncio.sleep(1)
        assert rig.plane.bridges == 0

    on_planes(test, anchor="always")


def test_plain_phones_are_left_alone_though_there_is_a_plane() -> None:
    async def test(rig: PlanedRig) -> None:
        await call(rig, *await two_phones(rig))
        assert rig.plane.bridges == 0
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["anchored"] == ""

    on_planes(test)


def test_who_speaks_dtls_is_joined_with_a_plain_phone() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        offer = secured(sdp_of(anna), "UDP/TLS/RTP/SAVPF", DTLS)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=offer)
        invite = await bob.peer.expect("INVITE")
        assert b" RTP/AVP " in invite.body
        assert b"fingerprint" not in invite.body
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        assert b"a=fingerprint:sha-256" in answer.body
        assert b"a=ice-ufrag" in answer.body
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["anchored"] == "101 speaks DTLS-SRTP"

    on_planes(test)


def test_a_phone_that_refuses_encryption_is_asked_again_without() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=secured(sdp_of(anna), "RTP/SAVP", KEY))
        first = await bob.peer.expect("INVITE")
        assert b"RTP/SAVP" in first.body
        bob.peer.reply(488)
        await bob.peer.expect("ACK")
        second = await bob.peer.expect("INVITE")
        assert b" RTP/AVP " in second.body or b"RTP/SAVP" in second.body
        if b"RTP/SAVP" in second.body:
            bob.peer.reply(488)
            await bob.peer.expect("ACK")
            second = await bob.peer.expect("INVITE")
        assert b" RTP/AVP " in second.body
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(200)
        assert b"RTP/SAVP" in answer.body
        assert b"a=crypto" in answer.body

    on_planes(test)


def test_a_phone_without_a_common_codec_is_asked_again_with_more() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna, payload="0"))
        await bob.peer.expect("INVITE")
        bob.peer.reply(488)
        await bob.peer.expect("ACK")
        again = await bob.peer.expect("INVITE")
        assert b"G722/8000" in again.body
        formats = again.body.partition(b"m=audio ")[2].split(b"\r\n")[0].split()[2:]
        assert b"9" in formats
        bob.peer.reply(
            200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000, payload="9")
        )
        answer = await leg.answered(200)
        assert b"RTP/AVP 0" in answer.body
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["anchored"] == "102 refuses what 101 offers"

    on_planes(test)


def test_hold_crosses_an_anchored_call() -> None:
    async def test(rig: PlanedRig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INVITE", body=sdp_of(one.device, version=2) + b"a=sendonly\r\n")
        asked = await other.expect("INVITE")
        assert b"a=sendonly" in asked.body
        other.reply(200, body=sdp_of(other.device, port=5000, version=2) + b"a=recvonly\r\n")
        assert b"a=recvonly" in (await one.expect(200, skip=(100,))).body

    on_planes(test, anchor="always")


def test_a_transfer_of_an_anchored_call_gives_the_new_phone_a_leg() -> None:
    async def test(rig: PlanedRig) -> None:
        staying, referrer = await call(rig, *await two_phones(rig))
        carol = await rig.phone("103", "10.0.0.13")
        referrer.send("REFER", headers=[("Refer-To", f"<sip:103@{DOMAIN}>")])
        await referrer.expect(202)
        invite = await carol.peer.expect("INVITE")
        assert b"c=IN IP4 10.0.0.1\r\n" in invite.body
        carol.peer.reply(200, headers=[("Contact", f"<{carol.contact}>")], body=sdp_of(carol, port=6000))
        await carol.peer.expect("ACK")
        other = half_of_callee(carol, invite)
        await staying.expect("INVITE")
        staying.reply(200, body=sdp_of(staying.device, version=2))
        told = await other.expect("INVITE")
        assert b"c=IN IP4 10.0.0.1\r\n" in told.body
        other.reply(200, body=sdp_of(carol, port=6000, version=2))
        await other.expect("ACK")
        ack = await staying.expect("ACK")
        assert b"c=IN IP4 10.0.0.1\r\n" in ack.body

    on_planes(test, anchor="always")


def test_a_plane_that_was_lost_is_offered_everything_anew() -> None:
    async def test(rig: PlanedRig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        (number,) = rig.server.services.bridge._calls
        await rig.plane.delete(number)
        rig.plane.on_event(MediaEvent(number, "", MediaEventKind.LOST))
        asked = await one.expect("INVITE")
        assert asked.body == b""
        one.reply(200, body=sdp_of(one.device, version=2))
        told = await other.expect("INVITE")
        assert b"c=IN IP4 10.0.0.1\r\n" in told.body
        other.reply(200, body=sdp_of(other.device, port=5000, version=2))
        await other.expect("ACK")
        assert b"c=IN IP4 10.0.0.1\r\n" in (await one.expect("ACK")).body
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["verdicts"] == ["the process that carried the sound was lost"]

    on_planes(test, anchor="always")


class StuckPlane(LocalPlane):
    """Says nothing more."""

    async def offer(self, *arguments: Any, **options: Any) -> bytes:
        await asyncio.sleep(3600)
        return b""


class RefusingPlane(LocalPlane):
    """Has no room."""

    async def offer(self, *arguments: Any, **options: Any) -> bytes:
        raise PlaneUnavailable("no room")


class BrokenPlane(LocalPlane):
    """Our own code fails."""

    async def answer(self, *arguments: Any, **options: Any) -> bytes:
        raise RuntimeError("a fault that was put in")


@pytest.mark.parametrize("plane_class", [StuckPlane, RefusingPlane])
def test_a_plane_that_does_not_answer_fails_its_own_calls_only(plane_class: type[LocalPlane]) -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        carol = await rig.phone("103", "10.0.0.13")
        offer = secured(sdp_of(anna), "UDP/TLS/RTP/SAVPF", DTLS)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=offer)
        await call(rig, carol, bob)  # plain: nobody waits for the plane
        assert (await leg.answered(500)).status == 500
        assert rig.server.status()["bridged"] == 1

    on_planes(test, plane_class=plane_class)


def test_a_fault_of_ours_ends_both_halves_and_is_not_told_to_anybody() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        answer = await leg.answered(500)
        assert b"fault" not in answer.to_bytes()
        await bob.peer.expect("ACK")
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        assert invite.call_id
        await asyncio.sleep(40)
        assert rig.state == (0, 0, 0, 0, 0)
        assert rig.server.status()["bridged"] == 0

    on_planes(test, plane_class=BrokenPlane, anchor="always")


def test_an_answer_of_nonsense_sends_the_phone_home_and_the_caller_gets_488() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await two_phones(rig)
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna))
        await bob.peer.expect("INVITE")
        body = sdp_of(bob).replace(b"10.0.0.12", b"127.0.0.1")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=body)
        await bob.peer.expect("ACK")
        await bob.peer.expect("BYE")
        answer = await leg.answered(488)
        assert "Warning" in answer.headers

    on_a_bridge(test)


def test_where_encryption_is_required_plain_phones_are_refused() -> None:
    async def test(rig: PlanedRig) -> None:
        anna, _bob = await two_phones(rig)
        await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sdp_of(anna))
        answer = await anna.peer.expect(488, skip=(100,))
        assert "SRTP" in answer.headers["Warning"]

    on_planes(test, security="required")


def test_a_key_in_an_info_is_heard_by_a_phone_that_knows_no_info() -> None:
    async def test(rig: PlanedRig) -> None:
        one, other = await call(rig, *await two_phones(rig))
        one.send("INFO", body=b"Signal=7\r\nDuration=100\r\n", content_type="application/dtmf-relay")
        await other.expect("INFO")
        other.device.peer.reply(415)
        await one.expect(200)

    on_planes(test, anchor="always")


def test_phones_on_other_networks_are_joined_by_the_server() -> None:
    async def test(rig: PlanedRig) -> None:
        anna = await rig.phone("101", "203.0.113.11")
        bob = await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sdp_of(anna).replace(b"203.0.113.11", b"192.168.1.7"))
        invite = await bob.peer.expect("INVITE")
        assert b"c=IN IP4 10.0.0.1\r\n" in invite.body
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp_of(bob, port=5000))
        await leg.answered(200)
        (shown,) = rig.server.status()["calls"]  # type: ignore[misc]
        assert shown["anchored"] == "101 is behind a NAT (192.168.1.7, seen from 203.0.113.11)"

    on_planes(test)
