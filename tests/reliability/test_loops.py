# SPDX-License-Identifier: Apache-2.0
"""Calls that go round in circles between whole servers, and Routes that lead to ourselves: rows 37, 38 and 53."""

import asyncio
import itertools
from functools import partial
from typing import Any

import pytest
from reliability_rig import QUIET, ByteCount, assert_alive, established, request, stranger
from server_rig import (
    DOMAIN,
    SECRET,
    SERVER,
    Device,
    Leg,
    People,
    Rig,
    callee_request,
    in_dialog,
    on_a_server,
    with_proxy,
)

from ringback.server.app import Server
from ringback.server.identity import Identity
from ringback.server.storage import MemoryStore
from ringback.sip.flow import Address
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import Peer

OTHER = Address("10.0.9.1", 5060)
#: RFC 5393 section 1: with Max-Forwards 70 and two branches everywhere it could be 2**71.
MOST_MESSAGES = 4200


async def second_server(rig: Rig, **settings: Any) -> Server:
    """Another server of our kind, other.test, at 10.0.9.1."""
    options = with_proxy(strangers_may_call=True, **settings)
    options = options.model_copy(
        update={"sip": options.sip.model_copy(update={"domain": "other.test", "host": (OTHER.host,)})}
    )
    server = Server(
        options,
        Identity(domain="other.test", advertised=(OTHER.host,), realm=DOMAIN, secret=SECRET[::-1]),
        subscribers=People(),
        store=MemoryStore(),
        network=rig.network.host(OTHER.host),
        dns=rig.network.dns,
        random_bytes=rig.random_bytes,
    )
    await server.start()
    return server


async def register_there(rig: Rig, number: str, host: str, contact: str) -> None:
    """A phone at the other server, whose contact leads to the first."""
    device = Device(number, await Peer.bind(rig.network.host(host), Address(host, 5060)))
    send = device.peer.request
    device.peer.request = lambda *words, **parts: send(*words, **{**parts, "remote": OTHER})  # type: ignore[method-assign]
    target, to = "sip:other.test", f"<sip:{number}@other.test>"
    sent = device.send("REGISTER", target, to=to, from_=f"{to};tag=1", headers=[("Contact", contact)])
    challenge = await device.peer.expect(401)
    device.peer.send(device.with_credentials(sent, challenge), OTHER)
    await device.peer.expect(200)


@pytest.mark.parametrize("fork", [1, 2, 8])
def test_two_servers_whose_users_point_at_each_other_come_to_an_end(fork: int) -> None:
    """Row 37: A forks to B, B forks to A; loop detection and Max-Breadth stop it within a few messages."""

    async def test(rig: Rig) -> None:
        other = await second_server(rig)
        rig.network.dns.a("other.test", OTHER.host)
        rig.network.dns.a(DOMAIN, SERVER.host)
        there = ", ".join(f"<sip:102@{OTHER.host};x={number}>" for number in range(fork))
        back = ", ".join(f"<sip:101@{SERVER.host};y={number}>" for number in range(fork))
        await register_there(rig, "102", "10.0.9.12", back)
        anna, caller = await rig.device("101", "10.0.0.11"), await rig.phone("103", "10.0.0.13")
        await anna.register(contact=there)
        invites = itertools.count()
        seen = [0]
        rig.network.watchers.append(
            lambda each: seen.__setitem__(0, next(invites) + 1) if each[4].startswith(b"INVITE") else None
        )
        await caller.ask("INVITE", f"sip:101@{DOMAIN}")
        outcome = 100
        while outcome < 200:
            message = parse_message(await caller.peer.hear(timeout=300))
            outcome = message.status if isinstance(message, Response) else outcome
        assert outcome >= 400
        assert seen[0] <= MOST_MESSAGES
        assert seen[0] <= 3 + fork * fork * 4
        await asyncio.sleep(300)
        assert rig.state == QUIET
        await other.close()

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_redirections_between_two_users_come_to_an_end() -> None:
    """Row 37: each phone says the other is where to go."""

    async def test(rig: Rig) -> None:
        caller = await rig.phone("103", "10.0.0.13")
        phones = {number: await rig.phone(number, f"10.0.1.{number[2:]}") for number in ("101", "102")}
        asked = []

        async def redirect(device: Device, to: str) -> None:
            while True:
                await device.peer.expect("INVITE", skip=("ACK", "CANCEL"), timeout=10_000)
                asked.append(device.number)
                device.peer.reply(302, headers=[("Contact", f"<sip:{to}@{DOMAIN}>")])

        tasks = [
            asyncio.create_task(redirect(phones["101"], "102")),
            asyncio.create_task(redirect(phones["102"], "101")),
        ]
        sent = await caller.ask("INVITE", f"sip:101@{DOMAIN}")
        leg = Leg(caller, sent)
        message = parse_message(await caller.peer.hear(timeout=100))
        while isinstance(message, Response) and message.status < 200:
            message = parse_message(await caller.peer.hear(timeout=100))
        assert isinstance(message, Response)
        assert 300 <= message.status < 700
        assert leg.answer is None
        assert sorted(asked) == ["101", "102"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    on_a_server(test)


@pytest.mark.parametrize("breadth", ["0", "1", "60", "255", "99999999999", "-1", "x"])
def test_no_max_breadth_of_a_caller_makes_us_fork_wider(breadth: str) -> None:
    """Row 37: sixteen branches at most, whatever the request allows."""

    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        bob = await rig.device("102", "10.0.0.12")
        contacts = [f"<sip:102@10.0.0.12:{6000 + number}>" for number in range(20)]
        for number in range(2):
            await bob.register(
                contact=", ".join(contacts[number * 10 : number * 10 + 10]), call_id=f"c{number}"
            )
        count = ByteCount("10.0.0.12")
        rig.network.watchers.append(lambda each: count(each) if each[4].startswith(b"INVITE") else None)
        for port in range(6000, 6020):
            await Peer.bind(rig.network.host("10.0.0.12"), Address("10.0.0.12", port))
        data = request(peer=anna.peer, method="INVITE", target=f"sip:102@{DOMAIN}", from_=f"<{anna.address}>;tag=1",
                       headers=[("Max-Breadth", breadth), ("Contact", f"<{anna.contact}>")])  # fmt: skip
        anna.peer.send(data, SERVER)
        answer = await anna.peer.expect(
            407
            if breadth.isdecimal() and breadth not in ("0", "99999999999")
            else 440
            if breadth == "0"
            else 400
        )
        if answer.status == 407:
            anna.resend_with_credentials(data, answer)
            await asyncio.sleep(0.4)
        assert count.messages_to <= 16

    on_a_server(
        test,
        settings=with_proxy().model_copy(
            update={"registrar": with_proxy().registrar.model_copy(update={"max_contacts": 30})}
        ),
    )


def test_an_ack_never_asks_dns() -> None:
    """Row 38: an ACK that belongs to nothing goes nowhere and looks nothing up, whatever its Route and target."""

    async def test(rig: Rig) -> None:
        anna, bob, leg = await established(rig)
        await asyncio.sleep(100)
        asked = sum(rig.network.dns.asked.values())
        eve = await stranger(rig)
        for headers in (
            [],
            [("Route", "<sip:victim.test;lr>")],
            [("Route", f"<sip:{DOMAIN};lr>, <sip:victim.test;lr>")],
        ):
            for target in ("sip:x@victim.test", f"sip:102@{DOMAIN}", "sip:102@10.0.0.12"):
                eve.request("ACK", target, remote=SERVER, to=f"<{target}>;tag=x", headers=headers)
                anna.send("ACK", target, to=f"<{target}>;tag=x", headers=headers)
        await bob.peer.expect_silence(5)
        assert sum(rig.network.dns.asked.values()) == asked
        assert rig.state == QUIET
        assert leg.answer is not None

    on_a_server(test)


def test_thirty_routes_to_ourselves_end_inside_of_us() -> None:
    """Row 38: with a password, in every spelling of our address; not one datagram goes from us to us."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        count = ByteCount(SERVER.host)
        rig.network.watchers.append(
            lambda each: count(each) if each[2].host == each[3].host == SERVER.host else None
        )
        for number, own in enumerate(
            (DOMAIN, "10.0.0.1", "10.0.0.1:5060", "alias.test", "[::ffff:10.0.0.1]")
        ):
            routes = ", ".join([f"<sip:{own};lr>"] * 30)
            await anna.ask(
                "INVITE", f"sip:102@{DOMAIN}", headers=[("Route", routes)], call_id=f"routes-{number}"
            )
            message = parse_message(await anna.peer.hear())
            while isinstance(message, Response) and message.status < 200:
                bob.peer.reply(486) if bob.peer.heard[-1].startswith(b"INVITE") else None
                message = parse_message(await anna.peer.hear())
            assert isinstance(message, Response)
            assert message.status >= 400
        assert count.messages_to <= 5 * 8
        await assert_alive(rig)

    on_a_server(test)


# --- row 53: what crosses in a call through the server ---------------------------------------------

#: What a caller or an outsider does to a call, and whether the call must live on.
HAPPENINGS = {
    "CANCEL of somebody else": True,
    "CANCEL with a guessed branch": True,
    "CANCEL for another call": True,
    "ACK for nothing": True,
    "ACK again": True,
    "PRACK for nothing": True,
    "INVITE again": True,
    "INVITE with the same CSeq": True,
    "UPDATE from outside": True,
    "BYE from outside": True,
    "BYE with swapped tags": True,
    "re-INVITE": True,
    "CANCEL": False,
    "BYE": False,
    "BYE of the callee": False,
}


async def happen(what: str, rig: Rig, leg: Leg, bob: Device) -> None:
    """One of them."""
    device, invite = leg.device, leg.invite
    eve = await stranger(rig, f"198.51.100.{rig.chance % 200 + 1}", port=6000 + rig.chance % 1000)
    rig.chance += 1
    call = parse_message(invite)
    outside = {"call_id": call.call_id, "from_": call.headers["From"], "to": f"<sip:102@{DOMAIN}>;tag=guess"}
    if what.startswith("CANCEL "):
        data = invite.replace(b"INVITE", b"CANCEL")
        if "branch" in what:
            data = data.replace(b"branch=z9hG4bK", b"branch=z9hG4bKguess")
        elif "another" in what:
            data = data.replace(call.call_id.encode(), b"another@call")
        else:
            data = data.replace(b"tag=from", b"tag=eve")
        eve.send(data, SERVER)
    elif what == "CANCEL":
        leg.cancel()
    elif what in ("INVITE again", "INVITE with the same CSeq"):
        data = invite if what == "INVITE again" else invite.replace(b"branch=z9hG4bK", b"branch=z9hG4bKtwin")
        device.peer.send(data, SERVER)
    elif what == "ACK for nothing":
        eve.request("ACK", f"sip:102@{DOMAIN}", remote=SERVER, **outside)
    elif what.endswith("from outside"):
        eve.request(what.split(" ", maxsplit=1)[0], bob.contact, remote=SERVER, **outside)
    elif what == "BYE with swapped tags":
        eve.request("BYE", bob.contact, remote=SERVER, call_id=call.call_id, from_=f"<sip:102@{DOMAIN}>;tag=peer",
                    to=call.headers["From"])  # fmt: skip
    elif what == "BYE of the callee":
        heard = next(data for data in bob.peer.heard if data.startswith(b"INVITE"))
        bob.peer.send(callee_request("BYE", parse_message(heard), bob), SERVER)  # type: ignore[arg-type]
    elif leg.answer is not None:
        method = {"PRACK for nothing": "PRACK", "ACK again": "ACK", "re-INVITE": "INVITE"}.get(what, what)
        headers = [("RAck", "9 9 INVITE")] if method == "PRACK" else [("Contact", f"<{device.contact}>")]
        device.peer.send(in_dialog(method, invite, leg.answer, device, headers=headers), SERVER)


async def follow(bob: Device, heard: list[str]) -> None:
    """The callee answers everything in the call with 200, and remembers the methods."""
    while True:
        message = parse_message(await bob.peer.hear(timeout=100_000))
        if isinstance(message, Response):
            continue
        heard.append(message.method)
        if message.method != "ACK":
            bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])


@pytest.mark.parametrize("first", HAPPENINGS)
def test_two_things_that_cross_an_answered_call_end_as_they_should(first: str) -> None:
    """Row 53: all pairs; what is forged ends nothing, what is real ends it once, and nothing is left."""

    async def test(second: str, rig: Rig) -> None:
        _anna, bob, leg = await established(rig)
        heard: list[str] = []
        callee = asyncio.create_task(follow(bob, heard))
        await happen(first, rig, leg, bob)
        await happen(second, rig, leg, bob)
        await asyncio.sleep(200)
        real = {what for what in (first, second) if not HAPPENINGS[what]} - {"CANCEL", "BYE of the callee"}
        assert ("BYE" in heard) is ("BYE" in real), (first, second, heard)
        assert "CANCEL" not in heard
        callee.cancel()
        await asyncio.gather(callee, return_exceptions=True)
        assert rig.state == QUIET, (first, second)

    for second in HAPPENINGS:
        on_a_server(partial(test, second))


RINGING = [what for what in HAPPENINGS if what not in ("re-INVITE", "BYE", "BYE of the callee")]


@pytest.mark.parametrize("first", RINGING)
def test_two_things_that_cross_a_ringing_call_end_as_they_should(first: str) -> None:
    """Row 53: before the answer, only the caller's own CANCEL stops the ringing."""

    async def test(second: str, rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        rung = bob.peer.heard[-1]
        bob.peer.reply(180)
        await anna.peer.expect(180)
        await happen(first, rig, leg, bob)
        await happen(second, rig, leg, bob)
        await asyncio.sleep(1)
        is_cancelled = any(data.startswith(b"CANCEL") for data in bob.peer.heard)
        assert is_cancelled is ("CANCEL" in (first, second)), (first, second)
        for data in [each for each in bob.peer.heard if each.startswith(b"CANCEL")]:
            bob.peer.reply(200, to=data)
        for data in [each for each in bob.peer.heard if each.startswith(b"INVITE")]:
            bob.peer.reply(487 if is_cancelled and data == rung else 486, to=data)
        await asyncio.sleep(300)
        assert rig.state == QUIET, (first, second)

    for second in RINGING:
        on_a_server(partial(test, second))
