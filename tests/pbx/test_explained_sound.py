# SPDX-License-Identifier: Apache-2.0
"""Does the server say why there is no sound? Real packets over a network in memory, through a real media plane."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from explain_rig import ExplainedOffice, answered, call_id_of, in_an_office, sound
from server_rig import DOMAIN, SERVER, Device, Leg, ack_to, callee_request, final

from ringback.sip.flow import Address
from ringback.sip.message.message import Request

ALWAYS = {"media": {"anchor": "always"}}


def port_of(sdp: bytes) -> int:
    return int(sdp.partition(b"m=audio ")[2].split()[0])


def packet(number: int) -> bytes:
    """One of 20 ms of G.711."""
    return (
        bytes((0x80, 0))
        + number.to_bytes(2, "big")
        + (160 * number).to_bytes(4, "big")
        + b"ssrc"
        + bytes(160)
    )


class Mouth:
    """Speaks RTP from an address; hears nothing."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    @classmethod
    async def at(cls, office: ExplainedOffice, host: str, port: int) -> "Mouth":
        return cls(await office.network.host(host).bind_datagram(Address(host, port), lambda _: None))

    async def speak(self, port: int, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._socket.send(packet(number), Address("10.0.0.1", port))
            await asyncio.sleep(0.02)


class Talk:
    """A call whose sound comes through the server."""

    def __init__(self, leg: Leg, invite: Request, bob: Device) -> None:
        self.leg, self.invite, self.bob = leg, invite, bob
        assert leg.answer is not None
        #: Where Anna, and where Bob, sends sound to.
        self.for_anna, self.for_bob = port_of(leg.answer.body), port_of(invite.body)

    @classmethod
    async def begin(cls, office: ExplainedOffice) -> "Talk":
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        invite = await answered(bob, sound("10.0.0.12", 5000))
        await leg.answered(200)
        await bob.peer.expect("ACK")
        return cls(leg, invite, bob)

    async def judged(self, office: ExplainedOffice, *, after: float = 12.0) -> dict[str, dict[str, Any]]:
        """Hang up, and ask with the record that was made."""
        await asyncio.sleep(after)
        self.leg.request("BYE")
        await self.bob.peer.expect("BYE")
        self.bob.peer.reply(200)
        await self.leg.device.peer.expect(200, skip=("ACK",))
        await asyncio.sleep(2)
        (record,) = office.ended
        return await office.verdicts(call_id_of(self.leg.invite), record=record)


def test_a_call_in_which_both_are_heard_has_no_verdict() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna, bob = await Mouth.at(office, "10.0.0.11", 4000), await Mouth.at(office, "10.0.0.12", 5000)
        await asyncio.gather(anna.speak(talk.for_anna, range(700)), bob.speak(talk.for_bob, range(700)))
        assert await talk.judged(office, after=1) == {}

    in_an_office(check, has_plane=True, **ALWAYS)


def test_when_nothing_comes_from_either_that_is_said_with_the_addresses_of_both() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        verdicts = await talk.judged(office)
        assert set(verdicts) == {"RB-1001"}
        text = verdicts["RB-1001"]["text"]
        assert "nothing came from 101 nor from 102" in text
        assert "101 said it is at 10.0.0.11:4000; 102 said it is at 10.0.0.12:5000" in text

    in_an_office(check, has_plane=True, **ALWAYS)


def test_one_way_sound_names_the_one_who_is_not_heard() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna = await Mouth.at(office, "10.0.0.11", 4000)
        await anna.speak(talk.for_anna, range(700))
        verdicts = await talk.judged(office, after=1)
        assert set(verdicts) == {"RB-1002"}
        assert verdicts["RB-1002"]["text"].startswith("101 is heard (")
        assert "102 is not: nothing came from it" in verdicts["RB-1002"]["text"]

    in_an_office(check, has_plane=True, **ALWAYS)


def test_who_falls_silent_in_the_middle_of_a_call_is_named_with_a_warning() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna, bob = await Mouth.at(office, "10.0.0.11", 4000), await Mouth.at(office, "10.0.0.12", 5000)
        await asyncio.gather(anna.speak(talk.for_anna, range(1300)), bob.speak(talk.for_bob, range(300)))
        verdicts = await talk.judged(office, after=1)
        assert {code: each["severity"] for code, each in verdicts.items()} == {"RB-1002": "warning"}
        assert verdicts["RB-1002"]["text"] == (
            "During the call 102 is not heard, the other is, for more than 10 s."
        )

    in_an_office(check, has_plane=True, **ALWAYS)


def test_a_short_call_without_sound_is_not_judged() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        assert await talk.judged(office, after=4) == {}

    in_an_office(check, has_plane=True, **ALWAYS)


def test_sound_from_another_port_than_the_description_says() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna, bob = await Mouth.at(office, "10.0.0.11", 4000), await Mouth.at(office, "10.0.0.12", 5563)
        await asyncio.gather(anna.speak(talk.for_anna, range(700)), bob.speak(talk.for_bob, range(700)))
        verdicts = await talk.judged(office, after=1)
        assert set(verdicts) == {"RB-1003"}
        assert verdicts["RB-1003"]["text"] == (
            "102 sends its sound from 10.0.0.12:5563, but its description says 10.0.0.12:5000."
        )

    in_an_office(check, has_plane=True, **ALWAYS)


def test_a_long_hold_in_which_nobody_speaks_is_no_trouble() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna, bob = await Mouth.at(office, "10.0.0.11", 4000), await Mouth.at(office, "10.0.0.12", 5000)
        await asyncio.gather(anna.speak(talk.for_anna, range(100)), bob.speak(talk.for_bob, range(100)))
        body = sound("10.0.0.12", 5000, extra="a=inactive")
        talk.bob.peer.send(
            with_offer(callee_request("INVITE", talk.invite, talk.bob, cseq=7), talk.bob, body), SERVER
        )
        phone = talk.leg.device
        hold = await phone.peer.expect("INVITE")
        phone.peer.reply(
            200,
            headers=[("Contact", f"<{phone.contact}>")],
            body=sound("10.0.0.11", extra="a=inactive"),
            tag="",
        )
        assert b"a=inactive" in hold.body
        accepted = await talk.bob.peer.expect(200, skip=(100,))
        assert accepted.status == 200
        talk.bob.peer.send(callee_request("ACK", talk.invite, talk.bob, cseq=7), SERVER)
        verdicts = await talk.judged(office, after=60)
        assert {code for code in verdicts if code.startswith("RB-1")} == set()

    in_an_office(check, has_plane=True, **ALWAYS)


def with_offer(request: bytes, phone: Device, body: bytes) -> bytes:
    """An INVITE with a Contact and a description."""
    head = request.partition(b"\r\n\r\n")[0].replace(b"Content-Length: 0", b"Content-Type: application/sdp")
    return (
        b"\r\n".join(
            [head, f"Contact: <{phone.contact}>".encode(), b"Content-Length: %d" % len(body), b"", b""]
        )
        + body
    )


def test_heavy_loss_is_told_with_its_share() -> None:
    async def check(office: ExplainedOffice) -> None:
        talk = await Talk.begin(office)
        anna, bob = await Mouth.at(office, "10.0.0.11", 4000), await Mouth.at(office, "10.0.0.12", 5000)
        lossy = [number for number in range(800) if number % 5]
        await asyncio.gather(anna.speak(talk.for_anna, range(800)), bob.speak(talk.for_bob, lossy))
        verdicts = await talk.judged(office, after=1)
        assert verdicts["RB-1008"]["severity"] == "error"
        assert "of the sound from 102 was lost" in verdicts["RB-1008"]["text"]
        assert "RB-1002" not in verdicts

    in_an_office(check, has_plane=True, **ALWAYS)


@pytest.mark.parametrize("mode", ["bridge", "proxy"])
def test_codecs_that_do_not_meet_are_named_on_both_sides(mode: str) -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11", formats="0 8"))
        takes = sound("10.0.0.12", 5000, formats="96", extra="a=rtpmap:96 opus/48000/2")
        await answered(bob, takes, status=488)
        await leg.answered(488)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert set(verdicts) == {"RB-1005"}
        assert verdicts["RB-1005"]["text"] == "101 offers PCMU, PCMA; 102 refused with 488 and takes opus."

    in_an_office(check, calls=mode)


def test_a_refusal_that_was_followed_by_a_better_offer_is_no_trouble() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11", formats="0"))
        await answered(bob, status=488)
        await bob.peer.expect("ACK")
        await answered(bob, sound("10.0.0.12", 5000, formats="9"))
        await leg.answered(200)
        await asyncio.sleep(5)
        answer = await office.explain(call_id_of(leg.invite))
        assert [each["code"] for each in answer["verdicts"]] == []
        assert any("102 answered 488" in each["saw"] for each in answer["decisions"])

    in_an_office(check, has_plane=True)


def test_required_encryption_is_told_with_its_setting() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, _ = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}", body=sound("10.0.0.11"), call_id="plain")
        anna.peer.send(ack_to(sent, await final(anna.peer)), SERVER)
        await asyncio.sleep(1)
        verdicts = await office.verdicts("plain")
        assert set(verdicts) == {"RB-1006"}
        assert "101 offered sound without encryption" in verdicts["RB-1006"]["text"]

    in_an_office(check, media={"security": "required"})


def test_phones_that_cannot_reach_each_other_and_are_left_alone() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "203.0.113.7"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("192.168.1.20"))
        await answered(bob, sound("10.0.0.12", 5000))
        await leg.answered(200)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "101 is behind a NAT (192.168.1.20, seen from 203.0.113.7)" in verdicts["RB-1004"]["text"]

    in_an_office(check, calls="proxy")


def test_an_answer_that_refuses_the_sound_is_noticed() -> None:
    async def check(office: ExplainedOffice) -> None:
        anna, bob = await office.phone("101", "10.0.0.11"), await office.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}", body=sound("10.0.0.11"))
        await answered(bob, sound("10.0.0.12", 0))
        await leg.answered(200)
        await asyncio.sleep(1)
        verdicts = await office.verdicts(call_id_of(leg.invite))
        assert "The call was offered with PCMU; the answer took no sound." in verdicts["RB-1007"]["text"]

    in_an_office(check, calls="proxy")
