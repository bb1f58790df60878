# SPDX-License-Identifier: Apache-2.0
"""Bodies: multipart that never ends, SDP that lies, addresses nobody should send to: rows 8, 9 and 10."""

import asyncio

import pytest
from reliability_office import DOMAIN, HOST, Office, offer
from server_rig import DOMAIN as RIG_DOMAIN
from server_rig import Rig, on_a_server

from ringback.sip.flow import Address
from ringback.testing import Network, Peer, run

ECHO = f"sip:*43@{DOMAIN}"
GOOD = offer("10.0.0.11")

MULTIPART = {
    "no boundary": ("multipart/mixed", b"--x\r\n\r\nbody\r\n--x--\r\n"),
    "empty boundary": ('multipart/mixed;boundary=""', b"--\r\n\r\n--\r\n"),
    "empty body": ("multipart/mixed;boundary=x", b""),
    "no part": ("multipart/mixed;boundary=x", b"--x--\r\n"),
    "boundary at the end of the buffer": ("multipart/mixed;boundary=x", b"--x\r\n\r\nbody\r\n--x"),
    "half a boundary": ("multipart/mixed;boundary=xyz", b"--xyz\r\n\r\nbody\r\n--xy"),
    "line feeds only": ("multipart/mixed;boundary=x", b"--x\n\nbody\n--x--\n"),
    "no empty line": ("multipart/mixed;boundary=x", b"--x\r\nContent-Type: application/sdp\r\n--x--\r\n"),
    "a hundred deep": (
        "multipart/mixed;boundary=x",
        b"--x\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n" * 100 + GOOD + b"\r\n--x--" * 100,
    ),
    "a thousand parts": ("multipart/mixed;boundary=x", b"--x\r\n\r\ny\r\n" * 1000 + b"--x--\r\n"),
    "long boundary": (f"multipart/mixed;boundary={'x' * 4000}", b"--x\r\n\r\ny\r\n--x--\r\n"),
    "other type": ("text/plain", b"hello"),
    "no type": ("/", b"hello"),
}


@pytest.mark.parametrize("name", MULTIPART)
def test_a_bent_multipart_is_refused_and_costs_no_time(name: str) -> None:
    """Row 8: 400, 415 or 488 from the one who has to read it; nothing is left of the call."""
    content_type, body = MULTIPART[name]

    async def main() -> None:
        async with Office(Network()) as office:
            caller = await office.caller()
            answer = await caller.ask("INVITE", ECHO, body=body, content_type=content_type)
            assert answer.status in ((200,) if name == "empty body" else (400, 413, 415, 488))
            if answer.status != 200:
                caller.acknowledge(answer)
                await office.assert_quiet()

    run(main())


@pytest.mark.parametrize("name", MULTIPART)
def test_to_a_proxy_a_body_is_octets(name: str) -> None:
    """Row 8: what passes through us is neither read nor changed."""
    content_type, body = MULTIPART[name]

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        if name == "no type":  # the one thing about a body that everybody must understand (RFC 3261 20.15)
            anna.send("MESSAGE", f"sip:102@{RIG_DOMAIN}", body=body, content_type=content_type)
            await anna.peer.expect(400)
            return
        sent = await anna.ask("MESSAGE", f"sip:102@{RIG_DOMAIN}", body=body, content_type=content_type)
        message = await bob.peer.expect("MESSAGE")
        assert message.body == body
        assert sent.endswith(body)
        bob.peer.reply(200)
        await anna.peer.expect(200)

    on_a_server(test)


def sdp(*lines: str, audio: str = "m=audio 40000 RTP/AVP 0") -> bytes:
    """A description with other lines."""
    head = ("v=0", "o=- 1 1 IN IP4 10.0.0.11", "s=-", "c=IN IP4 10.0.0.11", "t=0 0")
    return "".join(f"{line}\r\n" for line in (*head, audio, *lines)).encode()


HOSTILE_SDP = {
    "nothing": (b"\r\n", {400, 488}),
    "garbage": (b"\xff\0\xfe" * 50, {400, 488}),
    "not SDP": (b"hello", {400, 488}),
    "no version": (GOOD.removeprefix(b"v=0\r\n"), {400, 488}),
    "empty attribute": (sdp("a="), {200, 488}),
    "fmtp without rtpmap": (sdp("a=fmtp:0", "a=fmtp:", "a=fmtp:999 x"), {200, 488}),
    "payload type of 33 bits": (sdp(audio="m=audio 40000 RTP/AVP 4294967296"), {488}),
    "payload type of 16 bits": (sdp(audio="m=audio 40000 RTP/AVP 65535"), {488}),
    "payload type in arabic digits": (sdp(audio="m=audio 40000 RTP/AVP ٠"), {488}),
    "port of 17 bits": (sdp(audio="m=audio 70000 RTP/AVP 0"), {488}),
    "negative port": (sdp(audio="m=audio -1 RTP/AVP 0"), {488}),
    "port 0": (sdp(audio="m=audio 0 RTP/AVP 0"), {488, 200}),
    "a hundred streams": (sdp(*["m=audio 40000 RTP/AVP 0"] * 100), {488}),
    "seventy crypto lines": (
        sdp(*["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40] * 70),
        {200, 488},
    ),
    "a thousand attributes": (sdp(*["a=x"] * 1000), {488}),
    "redundancy of itself": (
        sdp("a=rtpmap:0 red/8000", "a=fmtp:0 0/0/0/0", audio="m=audio 40000 RTP/AVP 0"),
        {200, 488},
    ),
    "ptime 0": (sdp("a=ptime:0"), {200, 488}),
    "ptime of a day": (sdp("a=ptime:86400000"), {200, 488}),
    "a type of 200 characters": (sdp(audio=f"m={'a' * 200} 40000 RTP/AVP 0"), {488}),
    "no address": (sdp().replace(b"c=IN IP4 10.0.0.11\r\n", b""), {488}),
    "a name for an address": (sdp().replace(b"c=IN IP4 10.0.0.11", b"c=IN IP4 victim.test"), {488}),
    "long line": (sdp("a=" + "x" * 60_000), {200, 400, 413, 488, 513}),
}


@pytest.mark.parametrize("name", HOSTILE_SDP)
def test_a_hostile_offer_is_refused_with_a_warning_or_answered_in_shape(name: str) -> None:
    """Row 9: 488 with the reason in Warning; the port for its sound is free again at once."""
    body, expected = HOSTILE_SDP[name]

    async def main() -> None:
        async with Office(Network()) as office:
            caller = await office.caller()
            answer = await caller.ask("INVITE", ECHO, body=body)
            assert answer.status in expected
            if answer.status == 200:
                assert answer.body.count(b"m=") == body.count(b"m=")
            else:
                caller.acknowledge(answer)
            if answer.status == 488:
                assert answer.headers["Warning"].startswith("3")
                await office.assert_quiet()

    run(main())


def test_a_hostile_answer_ends_the_call_and_nothing_else() -> None:
    """Row 9: the same descriptions as the answer to our own offer, and in a re-INVITE."""

    async def main() -> None:
        async with Office(Network()) as office:
            for number, (body, _) in enumerate(HOSTILE_SDP.values()):
                caller = await office.caller(f"10.0.1.{number}")
                answer = await caller.ask("INVITE", ECHO)
                assert answer.status == 200
                caller.peer.request(
                    "ACK", str(answer.contacts[0].uri), remote=HOST, from_=answer.headers["From"],
                    to=answer.headers["To"], call_id=answer.call_id, cseq=answer.cseq.number, body=body,
                )  # fmt: skip
                caller.peer.request(
                    "BYE", str(answer.contacts[0].uri), remote=HOST, from_=answer.headers["From"],
                    to=answer.headers["To"], call_id=answer.call_id, cseq=answer.cseq.number + 1,
                )  # fmt: skip
                await asyncio.sleep(5)
            await office.assert_quiet()

    run(main())


NOBODY = [
    "127.0.0.1",
    "127.1.2.3",
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "240.0.0.1",
    "192.88.99.1",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:224.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1",
    "ff02::1",
    "127.1",
    "2130706433",
    "0x7f.1",
    "127.0.0.1.",
    "localhost",
]


@pytest.mark.parametrize("address", NOBODY)
def test_no_sound_is_sent_where_no_telephone_can_be(address: str) -> None:
    """Row 10: special-purpose addresses of both families, in all their clothes: refused in offer and re-INVITE."""
    family = "IP6" if ":" in address else "IP4"

    async def main() -> None:
        network = Network()
        sent: list[Address] = []
        async with Office(network) as office:
            caller = await office.caller()
            host = network.host("10.0.0.1")
            carry = network.carry
            network.carry = lambda data, source, destination: (  # type: ignore[method-assign]
                sent.append(destination) if source.port != 5060 else None,
                carry(data, source, destination),
            )[-1]
            body = GOOD.replace(b"c=IN IP4 10.0.0.11", f"c=IN {family} {address}".encode())
            answer = await caller.ask("INVITE", ECHO, body=body)
            assert answer.status == 488
            caller.acknowledge(answer)
            await asyncio.sleep(1)
            assert sent == []
            assert host.open_sockets == office.idle_sockets

    run(main())


def test_sound_is_not_sent_to_our_own_signalling_port() -> None:
    """Row 10: never media to self. An offer that names our SIP port makes us talk nonsense to ourselves."""

    async def main() -> None:
        network = Network()
        office = Office(network)
        async with office:
            caller = await office.caller()
            received: list[bytes] = []
            network.watchers.append(
                lambda each: (
                    received.append(each[4]) if (each[2].host, each[3]) == (HOST.host, HOST) else None
                )
            )
            answer = await caller.ask("INVITE", ECHO, body=offer(HOST.host, HOST.port))
            await asyncio.sleep(1)
            assert answer.status == 488
            assert received == []

    run(main())


def test_sound_is_not_sent_to_our_own_media_ports() -> None:
    """Row 10: an echo test whose peer is the echo test of the next call would speak for ever."""

    async def main() -> None:
        network = Network()
        async with Office(network) as office:
            loop_packets: list[Address] = []
            network.watchers.append(
                lambda each: (
                    loop_packets.append(each[3]) if each[2].host == each[3].host == HOST.host else None
                )
            )
            first = await office.caller("10.0.0.11")
            answer = await first.ask("INVITE", ECHO, body=offer("10.0.0.11"))
            port = int(answer.body.split(b"m=audio ")[1].split(b" ")[0])
            second = await office.caller("10.0.0.12", "102")
            await second.ask("INVITE", ECHO, body=offer(HOST.host, port))
            await asyncio.sleep(2)
            assert loop_packets == []

    run(main())


def test_sound_for_a_third_host_is_what_the_offer_says_and_no_more() -> None:
    """Row 10: a victim named in an authenticated offer gets one stream, not several (RFC 3264 lets any address stand)."""

    async def main() -> None:
        network = Network()
        async with Office(network) as office:
            victim = await Peer.bind(network.host("192.0.2.77"), Address("192.0.2.77", 7000))
            caller = await office.caller()
            await caller.ask("INVITE", ECHO, body=offer("192.0.2.77", 7000))
            await asyncio.sleep(2)
            assert len(victim.heard) <= 110
            victim.close()

    run(main())
