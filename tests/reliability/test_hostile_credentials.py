# SPDX-License-Identifier: Apache-2.0
"""Passwords: bent, replayed, guessed, leaked, and the addresses of others: RELIABILITY 2.1, rows 22 to 30."""

import asyncio

import pytest
from reliability_rig import QUIET, answers_to, changed, request, spoof, statuses, stranger
from server_rig import DOMAIN, SERVER, Rig, answer_to, digest, final, on_a_server, with_proxy

from ringback.server.config import AuthenticationSettings, Settings
from ringback.server.subscribers import Principal
from ringback.sip.flow import Address
from ringback.sip.message.names import METHODS
from ringback.testing import Peer
from ringback.ua.errors import CallError
from ringback.ua.phone import Phone

GOOD = (
    'username="101", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
    'algorithm=MD5, qop=auth, nc=00000001, cnonce="0a"'
)
#: What is done to good credentials, with 400 (cannot be read) or a challenge (says nothing to us).
BENT = {
    "empty": lambda good: "",
    "scheme only": lambda good: "Digest",
    "scheme and blank": lambda good: "Digest ",
    "no value": lambda good: "Digest username",
    "comma only": lambda good: "Digest ,",
    "equals only": lambda good: "Digest =",
    "open quote": lambda good: 'Digest username="101',
    "garbage": lambda good: "Digest \u2028\u202e\x7f",
    "other scheme": lambda good: "Basic MTAxOnNlY3JldA==",
    "bearer": lambda good: "Bearer abc.def.ghi",
    "other realm": lambda good: "Digest " + good.replace(DOMAIN, "elsewhere.test"),
    "other realm in other case": lambda good: "Digest " + good.replace(DOMAIN, DOMAIN.upper()),
    "no realm": lambda good: "Digest " + good.replace(f'realm="{DOMAIN}", ', ""),
    "no user": lambda good: "Digest " + good.replace('username="101", ', ""),
    "empty user": lambda good: "Digest " + good.replace('"101"', '""'),
    "no nonce": lambda good: "Digest " + good.replace("nonce=", "nnce=", 1).replace(", cnnce", ", cnonce"),
    "empty nonce": lambda good: "Digest " + _with(good, "nonce", ""),
    "long nonce": lambda good: "Digest " + _with(good, "nonce", "0" * 4000),
    "no uri": lambda good: "Digest " + good.replace("uri=", "url="),
    "bent uri": lambda good: "Digest " + _with(good, "uri", "sip:@"),
    "no response": lambda good: "Digest " + good.replace("response=", "respond="),
    "empty response": lambda good: "Digest " + _with(good, "response", ""),
    "short response": lambda good: "Digest " + _with(good, "response", "0"),
    "response in another script": lambda good: "Digest " + _with(good, "response", "٠" * 32),
    "unknown algorithm": lambda good: "Digest " + good.replace("MD5", "MD4"),
    "unknown qop": lambda good: "Digest " + good.replace("qop=auth", "qop=auth-conf"),
    "count of 9 digits": lambda good: "Digest " + good.replace("nc=00000001", "nc=000000001"),
    "count that is none": lambda good: "Digest " + good.replace("nc=00000001", "nc=xxxxxxxx"),
    "count of 0": lambda good: "Digest " + good.replace("nc=00000001", "nc=00000000"),
    "no cnonce": lambda good: "Digest " + good.replace(', cnonce="0a"', ""),
    "parameter twice": lambda good: "Digest " + good + ', username="102"',
    "a thousand parameters": lambda good: "Digest " + ", ".join(f"x{number}=y" for number in range(700)),
    "a nonce inside a nonce": lambda good: "Digest " + _with(good, "nonce", 'a\\", nonce=\\"b'),
}


def keys(rig: Rig) -> list[tuple[str, str, int]]:
    """Who is registered where, and since which REGISTER."""
    return [(each.user, each.key, each.cseq) for each in rig.server.registrations()]


def _with(good: str, name: str, value: str) -> str:
    before, _, rest = good.partition(f' {name}="')
    return f'{before} {name}="{value}"' + rest.partition('"')[2]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_bent_credentials_are_a_challenge_or_400_and_nothing_else(method: str) -> None:
    """Row 22: wrong realm, missing parts, doubled parts, in both fields."""

    async def test(rig: Rig) -> None:
        bob = await rig.phone("102", "10.0.0.12")
        anna = await rig.device("101", "10.0.0.11")
        uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:102@{DOMAIN}"
        to = f"<{anna.address}>" if method == "REGISTER" else f"<{uri}>"
        heard = len(bob.peer.heard)
        for number, (name, bend) in enumerate(BENT.items()):
            await asyncio.sleep(1000)  # who makes that many mistakes has to wait
            sent = anna.send(
                method, uri, to=to, headers=[("Contact", f"<{anna.contact}>")], call_id=f"b{number}"
            )
            challenge = await final(anna.peer)
            nonce = challenge.challenges[-1].parameters["nonce"]
            proof = digest(
                digest("101", DOMAIN, "secret-101"), nonce, "00000001", "0a", "auth", digest(method, uri)
            )
            good = GOOD.format(realm=DOMAIN, nonce=nonce, uri=uri, response=proof)
            for field in ("Authorization", "Proxy-Authorization"):
                line = f"{field}: {bend(good)}".encode()
                data = changed(sent, b"Content-Length", line, b"Content-Length: 0")
                data = data.replace(b";rport", field[:1].encode() + b"%d;rport" % number, 1)
                (status,) = await answers_to(anna.peer, data, 0.3)
                assert status in (400, challenge.status), (name, field)
        assert len(bob.peer.heard) == heard
        assert [each.user for each in rig.server.registrations()] == []

    on_a_server(test)


def test_the_same_credentials_twice_are_admitted_once() -> None:
    """Row 22: two equal lines of one header field, as a confused phone sends them, are one use of the count."""

    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>")
        challenge = await anna.peer.expect(401)
        line = answer_to(challenge, "101", "secret-101", "REGISTER", f"sip:{DOMAIN}")
        twice = [f"Authorization: {line}".encode()] * 2
        data = changed(sent, b"Content-Length", *twice, b"Content-Length: 0").replace(
            b";rport", b"x;rport", 1
        )
        assert await answers_to(anna.peer, data) == [200]
        assert await answers_to(anna.peer, data.replace(b"x;rport", b"y;rport", 1)) == [401]

    on_a_server(test)


REFUSED = {401, 403, 404, 405, 407}


def test_everything_that_was_overheard_is_worth_nothing() -> None:
    """Row 23: each request with credentials once more: from its own address, from another, as another method."""

    async def test(rig: Rig) -> None:
        overheard: list[bytes] = []
        rig.network.watchers.append(
            lambda each: overheard.append(each[4]) if b"uthorization: Digest" in each[4] else None
        )
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        await anna.ask("MESSAGE", f"sip:102@{DOMAIN}", body=b"x", content_type="text/plain")
        await bob.peer.expect("MESSAGE")
        bob.peer.reply(200)
        await anna.peer.expect(200)
        await anna.register(expires=0)
        replayed = [data for data in overheard if data[:8] in (b"REGISTER", b"MESSAGE ")]
        assert len(replayed) >= 4
        before, registered = len(bob.peer.heard), keys(rig)
        thief = await stranger(rig)
        for number, data in enumerate(replayed):
            fresh = data.replace(b";rport", b"r%d;rport" % number, 1)
            other = fresh.replace(b"MESSAGE", b"INVITE").replace(b"REGISTER", b"INVITE")
            for attempt in (fresh, other.replace(b"r%d;" % number, b"i%d;" % number, 1)):
                assert set(await answers_to(anna.peer, attempt)) <= REFUSED
                assert set(await answers_to(thief, attempt.replace(b"10.0.0.11", b"198.51.100.9"))) <= REFUSED
        assert len(bob.peer.heard) == before
        assert keys(rig) == registered

    on_a_server(test)


def test_an_algorithm_that_is_not_offered_is_no_way_in() -> None:
    """Row 23: a phone is not talked down to MD5 where the server has it switched off."""

    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>")
        challenge = await anna.peer.expect(401)
        assert [each.parameters["algorithm"] for each in challenge.challenges] == ["SHA-256"]
        for name in ("MD5", "md5", "MD5-sess", "SHA-256"):
            challenge.headers["WWW-Authenticate"] = (
                challenge.headers["WWW-Authenticate"].replace("SHA-256", "MD5").replace("MD5-sess", "MD5")
            )
            line = answer_to(challenge, "101", "secret-101", "REGISTER", f"sip:{DOMAIN}")
            line = line.replace("algorithm=MD5", f"algorithm={name}")
            data = changed(sent, b"Content-Length", f"Authorization: {line}".encode(), b"Content-Length: 0")
            assert await answers_to(anna.peer, data.replace(b";rport", name.encode() + b";rport", 1)) == [401]

    on_a_server(test, settings=only("SHA-256"))


def only(algorithm: str) -> Settings:
    """A server that offers one algorithm."""
    return with_proxy().model_copy(update={"authentication": AuthenticationSettings(algorithms=(algorithm,))})


@pytest.mark.parametrize("field", ["WWW-Authenticate", "Proxy-Authenticate"])
def test_a_callee_behind_our_server_gets_no_digest_for_a_nonce_of_its_own(field: str) -> None:
    """Row 25: it answers, waits for the BYE, and challenges it in the name of our server (CVE-2021-41158)."""
    realm = f'{field} + Digest realm="{DOMAIN}", nonce="chosen-by-the-callee", algorithm=MD5, qop="auth"'
    name, _, challenge = realm.partition(" + ")

    async def test(rig: Rig) -> None:
        leaked: list[bytes] = []
        rig.network.watchers.append(
            lambda each: leaked.append(each[4]) if b"chosen-by-the-callee" in each[4] else None
        )
        bob = await rig.phone("102", "10.0.0.12")
        phone = Phone(
            f"sip:101@{DOMAIN}", "secret-101", server=str(SERVER), host="10.0.0.11", network=rig.network.host("10.0.0.11"),
            dns=rig.network.dns, transport="udp",
        )  # fmt: skip
        async with phone:
            calling = asyncio.create_task(_call_and_hang_up(phone))
            invite = await bob.peer.expect("INVITE")
            sdp = invite.body.replace(b"10.0.0.11", b"10.0.0.12")
            bob.peer.reply(200, headers=[("Contact", f"<{bob.contact}>")], body=sdp)
            await bob.peer.expect("ACK")
            for _ in range(3):
                try:
                    await bob.peer.expect("BYE", timeout=5)
                except AssertionError:
                    break
                bob.peer.reply(401 if name == "WWW-Authenticate" else 407, headers=[(name, challenge)])
            await calling
        answers = [data for data in leaked if not data.startswith(b"SIP/2.0")]
        assert leaked
        assert answers == []

    on_a_server(test, settings=only("MD5"))


async def _call_and_hang_up(phone: Phone) -> None:
    try:
        async with phone.dial("102") as call:
            await asyncio.sleep(0.5)
            await call.hangup()
    except CallError:
        pass


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_phone_cannot_challenge_in_the_name_of_our_server(method: str) -> None:
    """Row 25: a challenge for our realm comes from us; from a phone it is taken out of the response."""

    async def test(rig: Rig) -> None:
        anna, bob = await rig.phone("101", "10.0.0.11"), await rig.phone("102", "10.0.0.12")
        foreign = 'Digest realm="elsewhere.test", nonce="1", algorithm=MD5, qop="auth"'
        ours = foreign.replace("elsewhere.test", DOMAIN)
        await anna.ask(method, f"sip:102@{DOMAIN}")
        await bob.peer.expect(method)
        bob.peer.reply(407, headers=[("Proxy-Authenticate", ours), ("Proxy-Authenticate", foreign)])
        answer = await anna.peer.expect(407, skip=(100,))
        assert [each.parameters["realm"] for each in answer.challenges] == ["elsewhere.test"]

    on_a_server(test)


def test_guessing_from_one_source_is_slow() -> None:
    """Row 27: thousand guesses in a minute are a handful of digests; the others are not looked at."""

    async def test(rig: Rig) -> None:
        guesser = await rig.device("101", "10.0.0.66")
        looked_at = 0
        sent = guesser.send("REGISTER", f"sip:{DOMAIN}", to=f"<{guesser.address}>")
        challenge = await guesser.peer.expect(401)
        for guess in range(300):
            guesser.resend_with_credentials(sent, challenge, password=f"guess-{guess}", nc=f"{guess + 1:08x}")
            looked_at += (await final(guesser.peer)).status == 401
            await asyncio.sleep(0.2)
        assert looked_at < 15
        await asyncio.sleep(600)
        assert (await guesser.register()).status == 200

    on_a_server(test)


def test_guessing_many_accounts_from_one_source_is_slow_too() -> None:
    """Row 27: one guess for each of many users, existing or not."""

    async def test(rig: Rig) -> None:
        looked_at = 0
        guesser = await rig.device("101", "10.0.0.66")
        for number in range(200):
            guesser.number, guesser.password = str(1000 + number), "1234"
            sent = guesser.send(
                "REGISTER", f"sip:{DOMAIN}", to=f"<{guesser.address}>", call_id=f"many-{number}"
            )
            challenge = await final(guesser.peer)
            guesser.resend_with_credentials(sent, challenge)
            looked_at += (await final(guesser.peer)).status == 401
        assert looked_at <= 35

    on_a_server(test)


def test_guessing_one_account_from_many_sources_is_slow_and_locks_nobody_out() -> None:
    """Row 27: a botnet guesses; the phone that is registered is heard all the time, a new one within a minute."""

    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        looked_at = 0
        for number in range(400):
            guesser = await rig.device("101", f"198.18.{number >> 6}.{number % 64 * 4 + 1}")
            sent = guesser.send("REGISTER", f"sip:{DOMAIN}", to=f"<{guesser.address}>")
            challenge = await final(guesser.peer)
            guesser.resend_with_credentials(sent, challenge, password=f"guess-{number}")
            looked_at += (await final(guesser.peer)).status == 401
            guesser.peer.close()
        assert looked_at <= 200
        assert (await anna.register()).status == 200
        await asyncio.sleep(60)
        moved = await rig.device("101", "10.0.0.77")
        assert (await moved.register()).status == 200

    on_a_server(test)


@pytest.mark.parametrize(
    "from_", [f"sip:101@{DOMAIN}", "sip:eve@example.com", "sip:x@anonymous.invalid", "tel:101"]
)
def test_no_method_does_anything_without_a_password(from_: str) -> None:
    """Row 28: every method we know and one nobody knows, to a user, to the server and to another domain."""

    async def test(rig: Rig) -> None:
        rig.network.dns.a("elsewhere.test", "192.0.2.77")
        victim = await stranger(rig, "192.0.2.77")
        bob = await rig.phone("102", "10.0.0.12")
        registered, heard = keys(rig), len(bob.peer.heard)
        await asyncio.sleep(60)
        eve = await stranger(rig)
        for method in [*METHODS, "NEWMETHOD", "invite"]:
            for target in (
                f"sip:102@{DOMAIN}",
                f"sip:{DOMAIN}",
                "sip:x@elsewhere.test",
                "sip:102@10.0.0.12",
                "tel:102",
            ):
                for to in (f"<{target}>", f"<{target}>;tag=x"):
                    data = request(peer=eve, method=method, target=target, from_=f"<{from_}>;tag=1", to=to,
                                   headers=[("Event", "presence"), ("Refer-To", "<sip:evil@x>")])  # fmt: skip
                    answers = await answers_to(eve, data, 0.01)
                    if method == "ACK":
                        assert answers == []
                    elif method == "OPTIONS":
                        assert answers in ([200], [403], [407], [481])
                    else:
                        assert len(answers) == 1, (method, target)
                        assert 400 <= answers[0] < 500 or answers == [501], (method, target, to)
        assert len(bob.peer.heard) == heard
        assert victim.heard == []
        assert keys(rig) == registered
        assert rig.state == QUIET

    on_a_server(test)


def test_nothing_is_done_before_the_password_is_checked() -> None:
    """Row 29: knowing a Call-ID, tags, CSeq and contact of a phone is no key to its registration."""

    async def test(rig: Rig) -> None:
        anna = await rig.phone("101", "10.0.0.11")
        before = keys(rig)
        heard = anna.peer.heard
        thief = await stranger(rig)
        for contact, expires in (("*", "0"), (f"<{anna.contact}>", "0"), ("<sip:101@198.51.100.9>", "600")):
            for port in (5060, 5061):
                data = request(
                    peer=thief, method="REGISTER", target=f"sip:{DOMAIN}", from_=f"<{anna.address}>;tag=1",
                    to=f"<{anna.address}>", call_id=anna.call_id, cseq=99,
                    headers=[("Contact", contact), ("Expires", expires)],
                )  # fmt: skip
                assert await answers_to(thief, data, 0.1) == [401]
                spoof(
                    rig,
                    data.replace(b"198.51.100.9:5060", b"10.0.0.11:%d" % port),
                    Address("10.0.0.11", port),
                )
        await asyncio.sleep(1)
        assert keys(rig) == before
        assert b"401" in heard[-1][:12]

    on_a_server(test)
    with pytest.raises(AttributeError):
        Principal("101").number = "102"  # type: ignore[misc]


def test_nobody_can_have_somebody_else_locked_out() -> None:
    """Row 30: two thousand datagrams with a victim's address, wrong digests and nonces of all kinds."""

    async def test(rig: Rig) -> None:
        attacker = await rig.device("101", "10.0.0.66")
        attacker.send("REGISTER", f"sip:{DOMAIN}")
        own = (await attacker.peer.expect(401)).challenges[-1].parameters["nonce"]
        victim = Address("10.0.0.11", 5060)
        anna = await rig.device("101", victim.host)
        sent = anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>")
        challenge = await anna.peer.expect(401)
        for number in range(500):
            for nonce in (own, "f" * 56, "", own[:24] + "0" * 32):
                data = anna.with_credentials(sent, challenge, password="x", nonce=nonce)
                spoof(rig, data.replace(b";rport", b"s%d;rport" % number, 1), victim)
        await statuses(anna.peer, 5)
        assert (await anna.register()).status == 200
        trunk = await Peer.connect(rig.network.host(victim.host), SERVER)
        assert await answers_to(trunk, request(peer=trunk)) == [200]

    on_a_server(test)


def test_the_helpers_send_what_they_say() -> None:
    """Rows 22 to 30: good credentials through the same helpers are admitted."""

    async def test(rig: Rig) -> None:
        anna = await rig.device("101", "10.0.0.11")
        sent = anna.send("REGISTER", f"sip:{DOMAIN}", to=f"<{anna.address}>")
        challenge = await anna.peer.expect(401)
        anna.resend_with_credentials(sent, challenge)
        assert (await final(anna.peer)).status == 200
        nonce = challenge.challenges[-1].parameters["nonce"]
        proof = digest(
            digest("101", DOMAIN, "secret-101"),
            nonce,
            "00000002",
            "0a",
            "auth",
            digest("REGISTER", f"sip:{DOMAIN}"),
        )
        good = GOOD.format(realm=DOMAIN, nonce=nonce, uri=f"sip:{DOMAIN}", response=proof).replace(
            "nc=00000001", "nc=00000002"
        )
        line = f"Authorization: Digest {good}".encode()
        data = changed(sent, b"Content-Length", line, b"Content-Length: 0").replace(b";rport", b"z;rport", 1)
        assert await answers_to(anna.peer, data.replace(b"CSeq: 1", b"CSeq: 9")) == [200]

    on_a_server(test)
