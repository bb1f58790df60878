# SPDX-License-Identifier: Apache-2.0
"""Who may do what: RFC 3261 section 22, RFC 7616, RFC 8760. Every method and every bad proof."""

import asyncio
from dataclasses import replace

import pytest
from server_rig import (
    DOMAIN,
    SERVER,
    Device,
    Leg,
    Rig,
    ack_to,
    answer_to,
    final,
    on_a_server,
    talk,
    with_proxy,
)

from ringback.server.config import AuthenticationSettings
from ringback.sip.flow import Address
from ringback.sip.message.message import Response
from ringback.sip.message.parser import parse_message
from ringback.testing import Peer

METHODS = ("REGISTER", "INVITE", "OPTIONS", "MESSAGE", "INFO", "SUBSCRIBE", "REFER", "NEWMETHOD")
PROOFS = (
    "none",
    "wrong password",
    "replayed",
    "other realm",
    "other user",
    "missing user",
    "expired",
    "invented nonce",
    "another source's nonce",
    "other uri",
    "other method",
    "no nonce count",
)


async def challenge_for(rig: Rig, device: Device, method: str) -> tuple[bytes, Response]:
    target = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:102@{DOMAIN}"
    to = device.address if method == "REGISTER" else target
    sent = device.send(method, target, to=f"<{to}>", headers=[("Contact", f"<{device.contact}>")])
    return sent, await device.peer.expect(401 if method == "REGISTER" else 407)


async def bad_request(rig: Rig, device: Device, method: str, proof: str) -> bytes:
    """A request of 101 whose proof is bad in one way."""
    sent, challenge = await challenge_for(rig, device, method)
    if proof == "none":
        return sent
    claims: dict[str, str] = {}
    if proof == "wrong password":
        claims["password"] = "guess"
    elif proof == "other realm":
        claims["realm"] = "elsewhere.test"
    elif proof == "other user":
        claims |= {"username": "102", "password": "secret-101"}
    elif proof == "missing user":
        claims["username"] = "999"
    elif proof == "expired":
        await asyncio.sleep(301)
    elif proof == "invented nonce":
        claims["nonce"] = "0" * 56
    elif proof == "another source's nonce":
        neighbour = await rig.device("101", "10.0.0.99")
        _, theirs = await challenge_for(rig, neighbour, method)
        claims["nonce"] = theirs.challenges[0].parameters["nonce"]
    elif proof == "other uri":
        claims["uri"] = "sip:103@ringback.test"
    if proof == "other method":
        line = answer_to(challenge, "101", "secret-101", "BYE", sent.split(b" ")[1].decode())
        name = b"Authorization: " if method == "REGISTER" else b"Proxy-Authorization: "
        return sent.replace(b"\r\n\r\n", b"\r\n" + name + line.encode() + b"\r\n\r\n", 1)
    data = device.with_credentials(sent, challenge, **claims)
    if proof == "no nonce count":
        data = data.replace(b", nc=00000001", b"")
    if proof == "replayed":
        device.peer.send(data, SERVER)
        await _drain(device.peer)
        data = data.replace(b"n;rport", b"nn;rport", 1)
    return data


def branches(peer: Peer) -> set[str | None]:
    """Each request once, however often it was repeated."""
    return {parse_message(data).top_via.branch for data in peer.heard}


def registrations(rig: Rig) -> list[tuple[str, str, int]]:
    return [(each.user, each.key, each.cseq) for each in rig.server.registrations()]


async def _drain(peer: Peer) -> None:
    await asyncio.sleep(0.2)
    while not peer._inbox.empty():
        peer._inbox.get_nowait()


@pytest.mark.parametrize("proof", PROOFS)
@pytest.mark.parametrize("method", METHODS)
def test_no_bad_proof_is_admitted_for_any_method(method: str, proof: str) -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "10.0.0.11")
        data = await bad_request(rig, anna, method, proof)
        heard, registered = branches(bob.peer), registrations(rig)
        anna.peer.send(data, SERVER)
        answer = await anna.peer.expect(401 if method == "REGISTER" else 407)
        assert answer.challenges
        await asyncio.sleep(1)
        assert branches(bob.peer) == heard
        assert registrations(rig) == registered

    on_a_server(test)


@pytest.mark.parametrize("method", METHODS)
def test_the_right_password_is_admitted_for_every_method(method: str) -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "10.0.0.11")
        sent, challenge = await challenge_for(rig, anna, method)
        anna.resend_with_credentials(sent, challenge)
        if method == "REGISTER":
            await anna.peer.expect(200)
        else:
            await bob.peer.expect(method)

    on_a_server(test)


@pytest.mark.parametrize("uri", ["sip:10.0.0.1:5060", f"sip:{DOMAIN}"])
def test_a_digest_made_of_the_servers_own_address_is_accepted(uri: str) -> None:
    async def test(rig: Rig) -> None:
        bob, anna = await rig.phone("102", "10.0.0.12"), await rig.device("101", "10.0.0.11")
        sent, challenge = await challenge_for(rig, anna, "INVITE")
        anna.resend_with_credentials(sent, challenge, uri=uri)
        await bob.peer.expect("INVITE")

    on_a_server(test)


def test_an_expired_nonce_is_stale_so_that_nobody_is_asked_for_the_password_again() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent, challenge = await challenge_for(rig, anna, "REGISTER")
        await asyncio.sleep(301)
        anna.resend_with_credentials(sent, challenge)
        again = await anna.peer.expect(401)
        assert again.challenges[0].parameters["stale"] == "true"
        anna.resend_with_credentials(sent, again)
        await anna.peer.expect(200)

    on_a_server(test)


def test_nonces_from_before_a_restart_are_stale() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent, challenge = await challenge_for(rig, anna, "REGISTER")
        used = anna.resend_with_credentials(sent, challenge)
        await anna.peer.expect(200)
        await rig.restart()
        anna.peer.send(used.replace(b"n;rport", b"nn;rport", 1), SERVER)
        again = await anna.peer.expect(401)
        assert again.challenges[0].parameters["stale"] == "true"

    on_a_server(test)


def test_the_stronger_algorithm_is_offered_first_and_old_phones_get_only_md5() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        for agent, offered in (
            ("Shiny/9", ["SHA-256", "MD5"]),
            ("baresip v1.0.0 (x86_64/linux)", ["MD5"]),
            ("Baresip V0.6.5", ["MD5"]),
            ("OldPhone 3.1", ["MD5"]),
        ):
            anna.send("REGISTER", f"sip:{DOMAIN}", headers=[("User-Agent", agent)])
            answer = await anna.peer.expect(401)
            assert [each.parameters["algorithm"] for each in answer.challenges] == offered

    settings = with_proxy()
    settings = settings.model_copy(
        update={"authentication": AuthenticationSettings(md5_only_agents=("OldPhone",))}
    )
    on_a_server(test, settings=settings)


def test_nobody_calls_under_another_users_name() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send("INVITE", f"sip:102@{DOMAIN}", from_=f"<sip:103@{DOMAIN}>;tag=1")
        challenge = await anna.peer.expect(407)
        anna.resend_with_credentials(sent, challenge)
        await anna.peer.expect(403)
        await bob.peer.expect_silence(1)

    on_a_server(test)


def test_credentials_of_two_realms_are_told_apart_and_ours_go_no_further() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        foreign = 'Digest username="101", realm="elsewhere.test", nonce="1", uri="sip:x", response="2"'
        await anna.call(f"sip:102@{DOMAIN}", headers=[("Proxy-Authorization", foreign)])
        invite = await bob.peer.expect("INVITE")
        assert invite.headers.get_all("Proxy-Authorization") == [foreign]

    on_a_server(test)


def test_users_may_call_out_and_others_not() -> None:
    async def test(rig: Rig) -> None:
        far = await Peer.bind(rig.network.host("192.0.2.50"), _at("192.0.2.50"))
        rig.network.dns.a("elsewhere.test", "192.0.2.50")
        anna = await rig.phone("101", "10.0.0.11")
        await anna.call("sip:zoe@elsewhere.test")
        invite = await far.expect("INVITE")
        assert invite.target == "sip:zoe@elsewhere.test"
        assert "P-Asserted-Identity" not in invite.headers

    on_a_server(test)


def test_no_calls_out_when_the_setting_says_so() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        sent = await anna.ask("INVITE", "sip:zoe@elsewhere.test")
        await Leg(anna, sent).answered(403, skip=(100,))

    on_a_server(test, settings=with_proxy(users_may_call_out=False))


def test_strangers_may_call_users_if_the_setting_says_so_and_nobody_else() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        eve = await Peer.bind(rig.network.host("192.0.2.50"), _at("192.0.2.50"))
        eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, from_="<sip:eve@example.com>;tag=1")
        await bob.peer.expect("INVITE")
        await eve.expect(100)
        for method, target in (
            ("INVITE", "sip:x@elsewhere.test"),
            ("SUBSCRIBE", f"sip:102@{DOMAIN}"),
            ("REFER", f"sip:102@{DOMAIN}"),
            ("INFO", f"sip:102@{DOMAIN}"),
        ):
            eve.request(method, target, remote=SERVER, from_="<sip:eve@example.com>;tag=2")
            await eve.expect(403)

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_a_client_that_ignores_record_route_can_still_hang_up_where_strangers_may_call() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        eve = await Peer.bind(rig.network.host("192.0.2.50"), _at("192.0.2.50"))
        parts = {"from_": "<sip:eve@example.com>;tag=1", "call_id": "careless@call"}
        eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, **parts)
        await bob.peer.expect("INVITE")
        bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")])
        answer = await eve.expect(200, skip=(100,))
        parts["to"] = answer.headers["To"]
        eve.request("ACK", f"sip:102@{DOMAIN}", remote=SERVER, **parts)
        await bob.peer.expect("ACK")
        eve.request("BYE", f"sip:102@{DOMAIN}", remote=SERVER, cseq=2, **parts)
        await bob.peer.expect("BYE")
        bob.peer.reply(200)
        await eve.expect(200)

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_a_stranger_with_a_local_from_is_asked_for_the_password_all_the_same() -> None:
    async def test(rig: Rig) -> None:
        eve = await Peer.bind(rig.network.host("192.0.2.50"), _at("192.0.2.50"))
        for host in (DOMAIN, "10.0.0.1", "alias.test", "10.0.0.1:5060", DOMAIN.upper()):
            eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, from_=f"<sip:101@{host}>;tag=1")
            await eve.expect(407)

    on_a_server(test, settings=with_proxy(strangers_may_call=True))


def test_an_anonymous_user_is_known_by_the_password() -> None:
    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.call(f"sip:102@{DOMAIN}", from_="<sip:anonymous@anonymous.invalid>;tag=x")
        await bob.peer.expect("INVITE")

    on_a_server(test)


def test_guessing_is_slowed_down_but_never_for_the_phone_that_is_registered_there() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        guesser = await rig.device("101", "10.0.0.66")
        statuses = []
        for guess in range(8):
            sent, challenge = await challenge_for(rig, guesser, "REGISTER")
            guesser.resend_with_credentials(sent, challenge, password=f"guess-{guess}")
            statuses.append((await final(guesser.peer)).status)
        assert statuses == [401] * 6 + [503] * 2
        assert (await anna.register()).status == 200
        await asyncio.sleep(5)
        assert (await guesser.register()).status == 200

    on_a_server(test)


def test_forged_sources_without_our_nonce_slow_nobody_down() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent, challenge = await challenge_for(rig, anna, "REGISTER")
        for _ in range(50):
            anna.resend_with_credentials(sent, challenge, password="x", nonce="f" * 56)
            await anna.peer.expect(401)
        assert (await anna.register()).status == 200

    on_a_server(test)


def test_requests_inside_a_call_need_the_call_and_not_the_password() -> None:
    """In a dialog, every method from either side; outside of it, none."""

    async def test(rig: Rig) -> None:
        anna, bob, leg = await talk(rig)
        for method in (
            "INFO",
            "MESSAGE",
            "OPTIONS",
            "UPDATE",
            "REFER",
            "NOTIFY",
            "PRACK",
            "NEWMETHOD",
            "BYE",
        ):
            leg.request(method)
            await bob.peer.expect(method)
            bob.peer.reply(200)
            await anna.peer.expect(200)

    on_a_server(test)


def test_a_reload_changes_the_rules_for_the_next_request() -> None:
    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        eve = await Peer.bind(rig.network.host("192.0.2.50"), _at("192.0.2.50"))
        sent = eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, from_="<sip:eve@example.com>;tag=1")
        refused = await eve.expect(403)
        eve.send(ack_to(sent, refused), SERVER)
        rig.server.reload(with_proxy(strangers_may_call=True))
        eve.request("INVITE", f"sip:102@{DOMAIN}", remote=SERVER, from_="<sip:eve@example.com>;tag=2")
        await bob.peer.expect("INVITE")

    on_a_server(test)


def test_a_user_who_is_removed_is_forgotten() -> None:
    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        rig.server.forget_user("101")
        assert rig.server.registrations() == []
        assert rig.store.bindings(now=0) == []
        users = rig.server.services.authentication._subscribers.users  # type: ignore[attr-defined]
        users["101"] = replace(users["101"], ha1s={})
        sent, challenge = await challenge_for(rig, anna, "REGISTER")
        anna.resend_with_credentials(sent, challenge)
        await anna.peer.expect(401)

    on_a_server(test)


def _at(host: str) -> Address:
    return Address(host, 5060)
