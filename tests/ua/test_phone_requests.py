# SPDX-License-Identifier: Apache-2.0
"""Messages, OPTIONS and whatever else comes to a phone; digest and redirections for what leaves it."""

import asyncio
import errno

import pytest
from phones import ALICE, BOB, phone, uri_of
from scripted_server import HOST, ScriptedServer, challenging

from ringback.sip.errors import InvalidState
from ringback.sip.message import Request
from ringback.testing import Network, run
from ringback.ua.errors import AuthenticationFailed, CallError, NotFound
from ringback.ua.ladder import Ladder
from ringback.ua.phone import Phone


def test_a_message_is_delivered_and_read():
    async def main():
        network = Network(seed=1)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        got = []

        @bob.on_message
        async def read(message):
            got.append((message.sender.number, message.text, message.request.headers["Content-Type"]))

        async with alice, bob:
            response = await alice.message(uri_of("bob", BOB), "Grüße, 世界")
        return response.status, got

    assert run(main()) == (200, [("alice", "Grüße, 世界", "text/plain;charset=UTF-8")])


class SomebodyElsesPorts:
    """A host on which the first so many TCP ports belong to another program already."""

    def __init__(self, network: Network, host: str, taken: int) -> None:
        self._host = network.host(host)
        self._taken = taken
        self.bind_datagram, self.connect = self._host.bind_datagram, self._host.connect
        self.source_address = self._host.source_address

    async def listen(self, local, *arguments, **options):
        if self._taken:
            self._taken -= 1
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return await self._host.listen(local, *arguments, **options)


@pytest.mark.parametrize(("taken", "transports"), [(3, ["UDP", "TCP"]), (1000, ["UDP"])])
def test_a_phone_finds_a_port_that_udp_and_tcp_can_share_or_does_without_tcp(
    taken: int, transports: list[str]
):
    async def main():
        network = Network(seed=3)
        view = SomebodyElsesPorts(network, ALICE, taken)
        async with phone(network, "alice", ALICE, port=0, view=view) as alice:
            found = [
                endpoint for endpoint in alice.agent.driver.endpoints if endpoint.local.host == "0.0.0.0"
            ]
            return [str(each.transport) for each in found], len({each.local.port for each in found})

    assert run(main()) == (transports, 1)


def test_a_failing_message_handler_harms_nobody():
    async def main():
        network = Network(seed=2)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        count = 0

        @bob.on_message
        async def read(message):
            nonlocal count
            count += 1
            raise ValueError(message.text)

        async with alice, bob:
            await alice.message(uri_of("bob", BOB), "one")
            await alice.message(uri_of("bob", BOB), "two")
        return count

    assert run(main()) == 2


def test_a_phone_that_wants_no_messages_says_so():
    async def main():
        network = Network(seed=3)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        async with alice, bob:
            with pytest.raises(CallError, match="405") as raised:
                await alice.message(uri_of("bob", BOB), "hello")
        return raised.value.response.allow

    assert "MESSAGE" not in run(main())


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("OPTIONS", uri_of("bob", BOB), [], 200),
        ("OPTIONS", f"sip:{BOB}", [], 200),
        ("OPTIONS", uri_of("mallory", BOB), [], 404),
        ("INVITE", uri_of("100", BOB), [("Contact", "<sip:x@10.0.0.11>")], 404),
        ("OPTIONS", uri_of("bob", BOB), [("Require", "nonsense, 100rel")], 420),
        ("BYE", uri_of("bob", BOB), [], 481),
        ("INFO", uri_of("bob", BOB), [], 481),
        ("NOTIFY", uri_of("bob", BOB), [("Event", "x"), ("Subscription-State", "active")], 481),
        ("REGISTER", uri_of("bob", BOB), [], 405),
        ("SUBSCRIBE", uri_of("bob", BOB), [("Event", "presence")], 405),
        ("MESSAGE", uri_of("bob", BOB), [("Content-Type", "image/png")], 415),
    ],
)
def test_what_comes_to_a_phone_is_answered_as_the_standard_says(method, target, headers, status):
    async def main():
        network = Network(seed=4)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)

        @bob.on_message
        async def read(message):
            raise AssertionError

        @bob.on_call
        async def answer(call):
            raise AssertionError

        async with alice, bob:
            request = Request.new(
                method, target, from_="<sip:alice@10.0.0.11>;tag=1", to=f"<{target}>", call_id="a", cseq=1,
                headers=headers, body=b"x" if method == "MESSAGE" else b"",
            )  # fmt: skip
            return await alice.agent.driver.request(request)

    response = run(main())
    assert response.status == status
    if status == 420:
        assert response.unsupported == ["nonsense"]
    if method == "OPTIONS" and status == 200:
        assert {"INVITE", "MESSAGE", "BYE"} <= set(response.allow)
        assert "application/sdp" in response.headers["Accept"]


def test_a_ping_tells_how_long_it_took():
    async def main():
        network = Network(seed=5, delay=0.05)
        alice, bob = phone(network, "alice", ALICE), phone(network, "bob", BOB)
        async with alice, bob:
            return await alice.ping(uri_of("bob", BOB))

    assert run(main()) == pytest.approx(0.1, abs=0.01)


def accept(request, flow):
    return 200, []


def test_a_message_through_a_server_that_challenges():
    async def main():
        network = Network(seed=6)
        server = await ScriptedServer.start(network, challenging(accept, status=407))
        mine = phone(network, "101", ALICE, address=f"sip:101@{HOST}", password="s3cret")
        async with mine:
            assert (await mine.message("102", "hi")).status == 200
        other = phone(network, "other", ALICE, address=f"sip:101@{HOST}", password="wrong")
        async with other:
            with pytest.raises(AuthenticationFailed, match="407"):
                await other.message("102", "hi")
        await server.close()
        return server.requests[0].target

    assert run(main()) == f"sip:102@{HOST}"


def test_the_password_is_for_our_own_server_only():
    async def main():
        network = Network(seed=7)
        script = challenging(accept, status=407)
        stranger = await ScriptedServer.start(network, script, host="10.0.0.66")
        mine = phone(network, "101", ALICE, address=f"sip:101@{HOST}", password="s3cret")
        async with mine:
            with pytest.raises(AuthenticationFailed):
                await mine.message("sip:102@10.0.0.66", "hi")
        await stranger.close()
        return [request.headers.get("Proxy-Authorization") for request in stranger.requests]

    assert run(main()) == [None]


def test_a_callee_that_challenges_our_bye_gets_no_digest():
    async def main():
        network = Network(seed=8)
        alice = phone(network, "101", ALICE, address=f"sip:101@{HOST}", password="s3cret")

        @alice.on_call
        async def answer(call):
            await call.answer()
            await asyncio.sleep(1)

        mallory = phone(network, "mallory", BOB)
        challenged = []
        async with alice, mallory:
            call = await mallory.dial(f"sip:101@{ALICE}")
            session = call.session

            def leak(request, transaction, flow, now):
                if transaction is None:
                    return
                challenged.append(request)
                header = ("WWW-Authenticate", f'Digest realm="{HOST}", nonce="n", algorithm=MD5')
                response = mallory.agent.stack.make_response(transaction, 401, headers=[header])
                mallory.agent.stack.respond(transaction, response, now=now)

            mallory.agent.stack.register_dialog(session.dialog.id, Leaker(leak))
            await asyncio.sleep(5)
        return [(request.method, request.headers.get("Authorization")) for request in challenged]

    assert run(main()) == [("BYE", None)]


class Leaker:
    """A dialog usage that answers with a challenge."""

    def __init__(self, receive):
        self.receive_request = receive


def test_a_redirected_message_follows_the_best_contact_and_then_the_next():
    async def main():
        network = Network(seed=9)
        bob = phone(network, "bob", BOB)

        @bob.on_message
        async def read(message):
            pass

        contacts = [
            ("Contact", f"<{uri_of('bob', BOB)}>;q=0.1"),
            ("Contact", f"<sip:nobody@{BOB}:5060>;q=0.9"),
        ]
        server = await ScriptedServer.start(network, lambda request, flow: (302, contacts))
        ladder = Ladder()
        mine = phone(network, "alice", ALICE)
        mine.watch(ladder.record)
        async with bob, mine:
            response = await mine.message(f"sip:bob@{HOST}", "hi")
            del contacts[0]
            with pytest.raises(NotFound):
                await mine.message(f"sip:bob@{HOST}", "hi")
        await server.close()
        return response.status, ladder.labels[:6]

    assert run(main()) == (
        200,
        [
            f"MESSAGE sip:bob@{HOST}",
            "302 Moved Temporarily (MESSAGE)",
            f"MESSAGE sip:nobody@{BOB}:5060",
            "404 Not Found (MESSAGE)",
            f"MESSAGE sip:bob@{BOB}:5060",
            "200 OK (MESSAGE)",
        ],
    )


def test_a_phone_that_is_not_started_says_so():
    with pytest.raises(InvalidState, match="not started"):
        Phone("sip:101@example.com").dial("102")
