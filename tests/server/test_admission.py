# SPDX-License-Identifier: Apache-2.0
"""What is let in: RFC 3261 section 16.3, RFC 5393, and what is refused without keeping anything."""

import asyncio

import pytest
from server_rig import DOMAIN, SERVER, Leg, Rig, ack_to, final, on_a_server, with_proxy

from ringback.sip.flow import Address
from ringback.sip.message.message import Request
from ringback.sip.message.parser import parse_message
from ringback.testing import Peer, Unexpected, messages


async def stranger(rig: Rig, host: str = "198.51.100.9") -> Peer:
    return await Peer.bind(rig.network.host(host), Address(host, 5060))


async def ask(rig: Rig, method: str, target: str, **parts: object) -> tuple[int, object]:
    """A stranger's request: the status it gets, and the response."""
    peer = await stranger(rig)
    hops = parts.pop("hops", None)
    data = messages.request(method, target, via=f"SIP/2.0/UDP {peer.local}", **parts)  # type: ignore[arg-type]
    if hops is not None:
        data = data.replace(b"Max-Forwards: 70", f"Max-Forwards: {hops}".encode())
    peer.send(data, SERVER)
    response = await final(peer)
    return response.status, response


@pytest.mark.parametrize(
    ("method", "target", "parts", "status"),
    [
        ("INVITE", f"sip:102@{DOMAIN}", {"hops": 0}, 483),
        ("OPTIONS", f"sip:102@{DOMAIN}", {"hops": 0}, 200),
        ("OPTIONS", "sip:102@elsewhere.test", {"hops": 0}, 200),
        ("OPTIONS", f"sip:{DOMAIN}", {}, 200),
        ("OPTIONS", "sip:10.0.0.1", {}, 200),
        ("OPTIONS", "sip:alias.test", {}, 200),
        ("OPTIONS", f"sip:{DOMAIN}", {"headers": [("Require", "x-y")]}, 420),
        ("OPTIONS", f"sip:102@{DOMAIN}", {"headers": [("Proxy-Require", "x-y")]}, 420),
        ("OPTIONS", "nobodyKnowsThisScheme:totallyopaquecontent", {}, 416),
        ("INVITE", "http://example.com", {}, 416),
        ("INVITE", f"sip:{'1' * 3000}@{DOMAIN}", {}, 414),
        ("BYE", f"sip:102@{DOMAIN}", {}, 481),
        ("NOTIFY", f"sip:102@{DOMAIN}", {}, 481),
        ("UPDATE", f"sip:102@{DOMAIN}", {}, 481),
        ("PRACK", f"sip:102@{DOMAIN}", {}, 481),
        ("PUBLISH", f"sip:102@{DOMAIN}", {}, 405),
        ("INVITE", f"sip:{DOMAIN}", {}, 404),
        ("NEWMETHOD", f"sip:{DOMAIN}", {}, 405),
        ("INVITE", f"sip:102@{DOMAIN}", {"headers": [("Max-Breadth", "0")]}, 440),
        ("INVITE", f"sip:102@{DOMAIN}", {}, 403),
        ("INVITE", "sip:102@elsewhere.test", {}, 403),
        ("MESSAGE", "sip:102@elsewhere.test", {}, 403),
        ("OPTIONS", f"sip:102@{DOMAIN}", {}, 200),
        ("OPTIONS", "sip:102@elsewhere.test", {}, 403),
        ("OPTIONS", f"sip:{DOMAIN}", {"headers": [("Route", "<sip:victim.test;lr>")]}, 403),
        ("BYE", f"sip:102@{DOMAIN}", {"to": f"<sip:102@{DOMAIN}>;tag=x"}, 481),
    ],
)
def test_what_a_stranger_gets_and_that_nothing_is_kept(
    method: str, target: str, parts: dict[str, object], status: int
) -> None:
    async def test(rig: Rig) -> None:
        assert (await ask(rig, method, target, **parts))[0] == status
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_unsupported_names_what_was_asked_for() -> None:
    async def test(rig: Rig) -> None:
        headers = [("Proxy-Require", "one, two"), ("Require", "three")]
        _, response = await ask(rig, "OPTIONS", f"sip:102@{DOMAIN}", headers=headers)
        assert response.unsupported == ["one", "two", "three"]  # type: ignore[attr-defined]

    on_a_server(test)


def test_the_server_says_what_it_can_do() -> None:
    async def test(rig: Rig) -> None:
        _, response = await ask(rig, "OPTIONS", f"sip:{DOMAIN}")
        assert "REGISTER" in response.allow  # type: ignore[attr-defined]
        assert response.headers["Accept"] == "application/sdp"  # type: ignore[attr-defined]

    on_a_server(test)


def test_require_in_a_call_is_the_phones_business() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(f"sip:102@{DOMAIN}", headers=[("Require", "100rel")])
        invite = await bob.peer.expect("INVITE")
        assert invite.require == ["100rel"]

    on_a_server(test)


def test_a_request_that_comes_back_unchanged_is_a_loop() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        # Bob's box sends the call back to the number it was made for, as a badly configured PBX does.
        lines = bob.peer.heard[-1].split(b"\r\n")
        lines[0] = f"INVITE sip:102@{DOMAIN} SIP/2.0".encode()
        lines = [line for line in lines if not line.startswith(b"Record-Route")]
        lines.insert(1, b"Via: SIP/2.0/UDP 10.0.0.12:5060;branch=z9hG4bKback;rport")
        bob.peer.send(b"\r\n".join(lines), SERVER)
        await bob.peer.expect(482)

    on_a_server(test)


def test_a_spiral_is_no_loop() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        lines = bob.peer.heard[-1].split(b"\r\n")
        lines[0] = f"INVITE sip:103@{DOMAIN} SIP/2.0".encode()
        lines.insert(1, b"Via: SIP/2.0/UDP 10.0.0.12:5060;branch=z9hG4bKon;rport")
        bob.peer.send(b"\r\n".join(lines), SERVER)
        await bob.peer.expect(407)

    on_a_server(test)


def test_two_servers_that_forward_to_each_other_stop_at_once() -> None:
    """RFC 5393 section 3: one contact here leads there, one there leads here, and both fork."""

    async def test(rig: Rig) -> None:
        attacker = await rig.device("101", "10.0.0.66")
        mirror = await Peer.bind(rig.network.host("10.0.0.99"), Address("10.0.0.99", 5060))
        await attacker.register(contact="<sip:101@10.0.0.99>, <sip:x@10.0.0.99>", call_id="loop")
        seen, bounced = 0, {}
        leg = await attacker.call(f"sip:101@{DOMAIN}")
        while seen < 5000:
            try:
                data = await mirror.hear(timeout=60)
            except Unexpected:
                break
            message = parse_message(data)
            if isinstance(message, Request):
                if message.method != "INVITE":
                    continue
                seen += 1
                start, _, rest = data.partition(b"\r\n")
                via = f"Via: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bKm{seen};rport".encode()
                start = start.replace(message.target.encode(), f"sip:101@{DOMAIN}".encode())
                back = b"\r\n".join([start, via, rest])
                bounced[f"z9hG4bKm{seen}"] = (data, back)
                mirror.send(back, SERVER)
            elif message.status >= 300:
                original, back = bounced[message.top_via.branch]
                mirror.send(ack_to(back, message), SERVER)
                mirror.reply(message.status, to=original)
        assert seen <= 20
        await leg.answered(482)

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_an_unauthenticated_flood_leaves_nothing_behind() -> None:
    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        before = rig.server.stack.next_deadline()
        for number in range(300):
            for method, target in (
                ("REGISTER", f"sip:{DOMAIN}"),
                ("INVITE", f"sip:102@{DOMAIN}"),
                ("MESSAGE", f"sip:{number}@{DOMAIN}"),
                ("SUBSCRIBE", f"sip:102@{DOMAIN}"),
                ("OPTIONS", f"sip:102@{DOMAIN}"),
                ("NOTIFY", f"sip:102@{DOMAIN}"),
                ("BYE", f"sip:102@{DOMAIN}"),
            ):
                sender = f"<sip:{number}@{DOMAIN}>;tag={number}"
                peer.request(method, target, remote=SERVER, from_=sender)
        await asyncio.sleep(0.5)
        assert rig.state == (0, 0, 0, 0, 0)
        assert rig.server.stack.next_deadline() == before
        assert len(peer.heard) == 2100

    on_a_server(test)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "BYE"])
def test_a_forged_source_is_not_sent_three_times_what_it_sent(method: str) -> None:
    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        target = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:102@{DOMAIN}"
        sent = peer.request(method, target, remote=SERVER, from_=f"<sip:101@{DOMAIN}>;tag=1")
        await asyncio.sleep(60)
        assert len(peer.heard) == 1
        assert len(peer.heard[0]) <= 3 * len(sent)

    on_a_server(test)


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"])
def test_existing_and_missing_users_get_answers_of_one_size(method: str) -> None:
    async def test(rig: Rig) -> None:
        peer = await stranger(rig)
        sizes = set()
        for claimed in ("101", "999"):
            for target in ("102", "998"):
                uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:{target}@{DOMAIN}"
                to = f"<sip:{claimed}@{DOMAIN}>"
                sent = peer.request(
                    method, uri, remote=SERVER, from_=f"{to};tag=1", to=to, call_id=f"{claimed}-{target}@test"
                )
                answer = await final(peer)
                sizes.add((answer.status, len(peer.heard[-1]) - len(sent)))
        (only,) = sizes
        assert only[0] in (401, 407)

    on_a_server(test)


def test_acks_for_nothing_go_nowhere() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        await asyncio.sleep(60)
        peer = await stranger(rig)
        for headers in ([], [("Route", "<sip:victim.test;lr>")], [("Route", f"<sip:AAAA@{DOMAIN};lr>")]):
            peer.request(
                "ACK", f"sip:102@{DOMAIN}", remote=SERVER, to=f"<sip:102@{DOMAIN}>;tag=x", headers=headers
            )
        await bob.peer.expect_silence(5)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)


def test_a_forged_record_route_is_no_entrance() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        invite = await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        await leg.answered(200)
        await bob.peer.expect("ACK")
        (route,) = invite.record_routes
        thief = await stranger(rig)
        for changes in (
            {"call_id": "another@call"},
            {"from_": "<sip:eve@example.com>;tag=eve", "to": f"<sip:102@{DOMAIN}>;tag=eve2"},
            {"to": f"<sip:102@{DOMAIN}>"},
        ):
            parts = {
                "call_id": invite.call_id,
                "from_": invite.headers["From"],
                "to": f"{invite.headers['To']};tag=peer",
                **changes,
            }
            thief.request("BYE", bob.contact, remote=SERVER, headers=[("Route", str(route))], **parts)
            assert (await final(thief)).status in (403, 407, 481)
        await bob.peer.expect_silence(2)

    on_a_server(test)


def test_a_dialog_is_no_permission_to_send_elsewhere() -> None:
    """The token of a call takes its requests to the other phone, whatever they say about where they go."""

    async def test(rig: Rig) -> None:
        victim = await stranger(rig, "192.0.2.77")
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        leg = await anna.call(f"sip:102@{DOMAIN}")
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", "<sip:102@192.0.2.77>")])
        await leg.answered(200)
        await bob.peer.expect("ACK")
        leg.request("INFO", headers=[("Route", "<sip:192.0.2.77;lr>")])
        await bob.peer.expect("INFO")
        await victim.expect_silence(2)

    on_a_server(test)


def test_nobody_is_a_relay_for_preloaded_routes() -> None:
    async def test(rig: Rig) -> None:
        victim = await stranger(rig, "192.0.2.77")
        status, _ = await ask(
            rig, "INVITE", f"sip:102@{DOMAIN}", headers=[("Route", f"<sip:{DOMAIN};lr>, <sip:192.0.2.77;lr>")]
        )
        assert status == 403
        await victim.expect_silence(2)

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_our_own_route_thirty_times_ends() -> None:
    async def test(rig: Rig) -> None:
        own = ", ".join([f"<sip:{DOMAIN};lr>"] * 30)
        status, _ = await ask(rig, "INVITE", f"sip:102@{DOMAIN}", headers=[("Route", own)])
        assert status == 403

    on_a_server(test)


def test_an_exception_of_ours_is_a_500_and_leaves_nothing() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        await rig.phone("102", "10.0.0.12")
        rig.server.location._by_user["102"] = 5  # type: ignore[assignment]
        sent = await anna.ask("INVITE", f"sip:102@{DOMAIN}")
        await Leg(anna, sent).answered(500, skip=(100,))
        await asyncio.sleep(60)
        assert rig.state == (0, 0, 0, 0, 0)

    on_a_server(test)
